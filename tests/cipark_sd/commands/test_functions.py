"""Commands as functions of Python: the same options, the same facts, errors in Python's words."""

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from command_line import cipark

import cipark_sd as cp
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.commands.cli import FUNCTIONS, command_of_name
from cipark_sd.commands.requests import in_python, parameters_of, requested

Write = Callable[..., Path]
POOL = "Rate = 0.1 ~ 1/Year ~ |\nPool = INTEG(-Rate * Pool, 100) ~ firm ~ |\n"


@pytest.fixture
def path(write_mdl: Write) -> Path:
    return write_mdl(POOL, name="pool.mdl")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_of_a_command_is_a_keyword_of_its_function(name: str) -> None:
    command = command_of_name(name)
    shown = [p for p in command.params if p.expose_value and not getattr(p, "hidden", False)]
    signature = inspect.signature(getattr(cp, name))
    # of Python alone
    assert "progress" in signature.parameters
    assert len(signature.parameters) - 1 == len(shown) == len(parameters_of(command))
    for parameter in shown:
        words = [text.removeprefix("--").replace("-", "_") for text in parameter.opts]
        assert any(word in signature.parameters or f"{word}_" in signature.parameters for word in words), words
    assert f"cipark {name.replace('_', '-')}" in (getattr(cp, name).__doc__ or "")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("check", {"only": ["units", "finite"]}, ["--only", "units", "--only", "finite"]),
        ("show", {"kind": "constant"}, ["--kind", "constant"]),
        ("certify", {"engines": "native,numpy", "set": {"Rate": 0.2}}, ["--engines=native,numpy", "--set=Rate=0.2"]),
        ("convert", {"output": "o.xmile", "flat": True}, ["-o", "o.xmile", "--flat"]),
    ],
)  # fmt: skip
def test_a_function_gives_the_facts_of_the_command(
    name: str, options: dict[str, object], words: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    answer = getattr(cp, name)(cp.read_model(path), **options)
    from cipark_sd.base.console import plain

    printed = cipark(name, path, *words, "--json")
    facts = json.loads(printed.output)
    assert plain(answer.facts) == {key: facts[key] for key in answer.facts}
    assert answer.exit_code == facts["exit_code"] == printed.exit_code
    assert str(answer) == cipark(name, path, *words).output


def test_values_of_python_become_those_of_the_request(path: Path) -> None:
    command = command_of_name("new_study")
    frame = pd.DataFrame({"firms": [1, 2]}, index=pd.Index([2001, 2002], name="year"))
    options = {"value": {"firms": "Pool"}, "prior_width": 2, "force": True, "from_": None, "until": None}
    with requested("new_study", command, (path, frame), options) as chosen:
        table = chosen.pop("data")
        assert table.read_text() == "year,firms\n2001,1\n2002,2\n"
        assert chosen == {"model": path, "values": {"firms": "Pool"}, "prior_width": 2.0, "force": True}
    assert not table.exists(), "the table of a call goes with the call"
    with (
        pytest.raises(CiparkError, match="neither a text"),
        requested("new_study", command, (path, object()), {}),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("show", {"kind": "const"}, "show: .*'kind'.*'const' is not one of"),
        ("policy", {"runs": 1}, "policy: .*'runs'.*1 is not in the range 2<=x"),
        ("policy", {"runs": 2.5}, "policy: .*'runs'.*'2.5' is not a valid integer"),
        ("policy", {"fresh": "maybe"}, "policy: .*'fresh'.*'maybe' is not a valid boolean"),
        ("convert", {"output": None}, "convert: Missing option 'output'"),
        ("report", {}, "report: Missing argument 'folders'"),
    ],
)
def test_a_value_that_no_option_takes_is_one_clear_error(
    name: str, options: dict[str, object], message: str, path: Path
) -> None:
    values = () if name == "report" else (path,)
    with pytest.raises(InvalidValue, match=message):
        getattr(cp, name)(*values, **options)


def test_a_model_is_checked_as_it_was_read(write_mdl: Write, tmp_path: Path) -> None:
    """Its values over time were brought when it was read, and its file may be gone."""
    file = write_mdl("rain ~ mm ~ |\nPool = INTEG(rain, 1) ~ mm ~ |\n", name="rain.mdl")
    (tmp_path / "rain.csv").write_text("time,rain\n0,1\n100,2\n", encoding="utf-8")
    model = cp.read_model(file, series=[tmp_path / "rain.csv"])
    assert cp.check(model, only="finite").exit_code == 0
    file.unlink()
    assert cp.show(model)["model_digest"] == model.digest
    assert cp.diff(model, model).exit_code == 0


def test_functions_work_in_several_threads_at_once(write_mdl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    models = [write_mdl(POOL + f"Only{i} = {i} ~ firm ~ |\n", name=f"m{i}.mdl") for i in range(8)]
    one_by_one = [str(cp.show(model)) + str(cp.check(model, only="units")) for model in models]

    def both(model: Path) -> str:
        together.wait()
        return str(cp.show(model)) + str(cp.check(model, only="units"))

    together = threading.Barrier(len(models))
    with ThreadPoolExecutor(len(models)) as threads:
        assert list(threads.map(both, models)) == one_by_one
    for i, text in enumerate(one_by_one):
        assert f"Only{i}" in text
    assert capsys.readouterr().out == "", "a function prints nothing"


def test_standard_output_stays_what_it_is_while_a_function_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cipark_sd.verify.checks.run as checks

    seen, run_checks = list[object](), checks.run_checks

    def looked(*values: object, **options: object) -> object:
        seen.append(sys.stdout)
        return run_checks(*values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "run_checks", looked)
    before = sys.stdout
    cp.check(path, only="units")
    assert seen == [before]


def test_a_word_that_a_function_does_not_have_is_answered(path: Path) -> None:
    with pytest.raises(TypeError, match="did you mean 'only'") as problem:
        cp.check(path, onli="units")  # type: ignore[call-arg]
    assert isinstance(problem.value, CiparkError)
    with pytest.raises(CiparkError, match="check: too many positional arguments"):
        cp.check(path, path)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda model: cp.simulate(model, params={"Rate": 1}), "give the values by name"),  # type: ignore[call-arg]
        (lambda model: cp.simulate(model, return_columns=["Pool"]), r"save=\["),  # type: ignore[call-arg]
        (lambda model: cp.ensemble(model, [{}], save=["Pool"], return_columns=1), "save="),  # type: ignore[call-arg]
        (lambda model: cp.sensitivity(model, {}, "Pool", params=1), "by name"),  # type: ignore[call-arg]
        (lambda model: cp.read_vensim("m.mdl"), "read_model"),  # type: ignore[attr-defined]
        (lambda model: cp.run(model), "simulate"),  # type: ignore[attr-defined]
        (lambda model: cp.read_model(model).run(), "pool: a model has no 'run'; write simulate"),  # type: ignore[attr-defined]
        (lambda model: cp.read_model(model).rnu, "pool: a model has no 'rnu'$"),  # type: ignore[attr-defined]
    ],
)
def test_words_of_pysd_are_answered_with_ours(call: Callable[[Path], object], answer: str, path: Path) -> None:
    with pytest.raises(CiparkError, match=answer) as problem:
        call(path)
    assert isinstance(problem.value, TypeError | AttributeError)


def test_a_name_that_is_missing_is_missing_for_python_too() -> None:
    assert not hasattr(cp, "no_such_function")
    assert not hasattr(cp, "__wrapped__")
    assert cp.__version__[0].isdigit()


def test_a_page_with_levers_is_a_frame_and_with_anywidget_a_widget(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    page = cp.play(path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "anywidget", None)
        shown = page._repr_mimebundle_()
        assert set(shown) == {"text/plain", "text/html"}
        assert shown["text/html"].startswith("<iframe title=")
        with pytest.raises(CiparkError, match='levers in Python needs anywidget: pip install "anywidget'):
            page.levers  # noqa: B018
    anywidget = pytest.importorskip("anywidget")
    assert isinstance(page.widget, anywidget.AnyWidget)
    assert "application/vnd.jupyter.widget-view+json" in page._repr_mimebundle_()
    assert page.widget.get_state()["page"] == (tmp_path / "cipark-output" / "pool-play.html").read_text()
    heard = list[dict[str, float]]()
    page.widget.observe(lambda change: heard.append(change["new"]), "levers")
    # as the browser says what was moved
    page.widget.set_state({"levers": {"Rate": 0.2}})
    assert heard == [{"Rate": 0.2}]
    assert page.levers == {"Rate": 0.2}
    run = cp.simulate(path, page.levers, save=["Pool"])
    assert run.cp["Pool"].isel(time=1) != cp.simulate(path, save=["Pool"]).cp["Pool"].isel(time=1)
    page.levers = {"Rate": 0.3}
    assert page.widget.get_state()["levers"] == {"Rate": 0.3}


def test_options_in_messages_are_keywords() -> None:
    command = command_of_name("new_study")
    message = 'say --value "a (b=c)=d", or --force, or -o, or --unit UNIT; --unknown stays, and so does well-o'
    expected = 'say value={"a (b=c)": "d"}, or force=True, or output, or unit=UNIT; --unknown stays, and so does well-o'
    assert in_python(message, command) == expected


HIDING = """
import cipark_sd as cp
run = cp.simulate(cp.bundled("core.mdl"), save=["Residents"])
try:
    cp.calibrate("nist_rat42")
except cp.CiparkError as problem:
    print(problem)
"""


@pytest.mark.parametrize("file", ["calibration.py", "calibration/__init__.py"])
def test_a_file_that_hides_the_package_is_named_and_not_run(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("print('it was run')\n")
    done = subprocess.run(
        [sys.executable, "-c", HIDING], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / file))
    assert "rename" in done.stdout
    assert "it was run" not in done.stdout


@pytest.mark.parametrize("name", ["core", "great_stone_core"])
@pytest.mark.parametrize("words", [("show",), ("check", "--only", "units"), ("convert", "-o", "o.mdl"), ("run",)])
def test_bundled_names_work_in_every_command_of_a_model(
    name: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cipark(words[0], name, *words[1:], catch_exceptions=False)
    assert cp.read_model(name) == cp.read_model(cp.bundled("core.mdl"))


def test_a_file_comes_before_a_bundled_name_and_an_unknown_name_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(CiparkError, match="coree"):
        cp.read_model("coree")
    with pytest.raises(UnknownName):
        command_of_name("nothing")
