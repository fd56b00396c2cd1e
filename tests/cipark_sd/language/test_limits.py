"""What is far too large is refused before memory is taken or work is done, with the number that was too large."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from counted import calls, peak, processor_seconds

from cipark_sd.analysis.experiments.run import check_memory
from cipark_sd.base.errors import CiparkError, EquationError, InvalidValue
from cipark_sd.commands.cli import cli
from cipark_sd.compiler import unroll
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim import definitions
from cipark_sd.language.read.xmile import reader
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
SMALL = "s = INTEG(-k * s, 10) ~~|\nk = 0.1 ~~|"
HUGE = 10**12
#: Calls of functions, and bytes of Python and NumPy at once.
CALLS, BYTES = 1_000_000, 50_000_000
XMILE = """<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
<header><name>m</name><vendor>v</vendor><product version="1">p</product></header>
<sim_specs><start>0</start><stop>10</stop><dt>1</dt></sim_specs>
<dimensions>{dims}</dimensions><model><variables><stock name="s"><eqn>1</eqn></stock><aux name="k"><eqn>3</eqn></aux>
<aux name="a"><dimensions>{used}</dimensions><eqn>1</eqn></aux></variables></model></xmile>"""
CUBE = "".join(f"{name}: ({name}1-{name}100) ~~|\n" for name in "ABC") + "y[A, B, C] = 1 + Time ~~|"
DOUBLING = ":MACRO: M0(x)\nM0 = x ~~|\n:END OF MACRO:\n" + "".join(
    f":MACRO: M{i}(x)\nM{i} = M{i - 1}(x) + M{i - 1}(x + 1) ~~|\n:END OF MACRO:\n" for i in range(1, 41)
)
MODELS = {
    "order": ("y = SMOOTH N(Time, 1e12, 0, 1e9) ~~|", "has the order 1e+09"),
    "range": ("A: (A1-A3000000) ~~| y[A] = 1 ~~|", "the range has 3000000 elements"),
    "array": (CUBE, "'y' has 1,000,000 elements"),
    "sum": (
        "A: (A1-A2000) ~~| B: (B1-B2000) ~~| c[A] = 1 ~~| d[B] = 2 ~~| y = SUM(c[A!] * d[B!]) ~~|",
        "sums or vectors of 12,000,000 operations",
    ),
    "a large inverse": (
        "A: (A1-A60) ~~| B <-> A ~~| c[A, B] = Time ~~| y[A, B] = INVERT MATRIX(c[A, B], 60) ~~|",
        "'y' uses INVERT MATRIX of more than 48 rows",
    ),
    "ranges that double": (
        "\n".join(f"r{i}: r{i + 1}, r{i + 1} ~~|" for i in range(40)) + " r40: A, B ~~| y[r0] = Time ~~|",
        "the equation of 'r24' has more than 100,000 elements",
    ),
    "macros": (f"{DOUBLING}{SMALL}\ny = M40(k) ~~|", "become 4,398,046,511,102 variables"),
    "brackets": ("{" * 50_000, "'{' is not expected here"),
    "macro without an end": (":MACRO: f(a)\n" + "w " * 100_000, "has no equations outside its macros"),
}
#: What takes whole vectors, and more operations than the limit of the test.
VECTORS = {
    "sorted": ("y[A] = VECTOR SORT ORDER(c[A], 1) ~~|", "160"),
    "reordered": ("y[A] = VECTOR REORDER(c[A], c[A]) ~~|", "120"),
    "by offset": ("y[A] = VECTOR ELM MAP(c[a1], Time) ~~|", "100"),
    "allocated": ("y[A] = ALLOCATE BY PRIORITY(c[A], c[A], 20, 1, Time) ~~|", "100"),
    "inverted": ("B <-> A ~~| m[A, B] = Time ~~| y[A, B] = INVERT MATRIX(m[A, B], 20) ~~|", "40,000"),
}
LARGE = '<dim name="d" size="20000"/><dim name="e" size="20000"/>'
XMILE_MODELS = {
    "size": ('<dim name="d" size="100000000"/>', '<dim name="d"/>', "the dimension 'd' is '100000000'"),
    "sizes": (LARGE, '<dim name="d"/><dim name="e"/>', "'a' has 400,000,000 elements"),
}
#: Commands that go over all elements of a stock, or of a constant.
COMMANDS = ("run", "check", "sensitivity", "ensemble", "certify")
OPTIONS = {
    "steps": (("run", "--to", HUGE), "is 1000000000000"),
    "times": (("sensitivity", "--method", "tornado", "--every", 1e-12), "is 10000000000000"),
    "runs of a design": (("ensemble", "--runs", HUGE), "is 1000000000000"),
    "runs that do not fit": (("ensemble", "--runs", 2**31, "-o", "all"), "is 2147483648"),
    "rows": (("sensitivity", "--rows", 2**40), "1099511627776 is not in the range"),
    "resamples": (("sensitivity", "--resamples", HUGE), "1000000000000 is not in the range"),
    "draws of loops": (("sensitivity", "--loops", HUGE), "1000000000000 is not in the range"),
    "workers": (("ensemble", "--workers", HUGE), "1000000000000 is not in the range"),
    "runs of policies": (("policy", "--runs", HUGE), "1000000000000 is not in the range"),
    "searches": (("calibrate", "--starts", HUGE), "1000000000000 is not in the range"),
    "kept draws": (("calibrate", "--keep", HUGE), "1000000000000 is not in the range"),
    "steps of chains": (("calibrate", "--steps", HUGE), "1000000000000 is not in the range"),
    "self-tests": (("calibrate", "--self-test", HUGE), "1000000000000 is not in the range"),
}
TABLES = {
    "design": (("ensemble", "good.mdl", "--design", "large.csv"), "20,480 MiB"),
    "data": (("new-study", "good.mdl", "large.csv"), "20,480 MiB"),
    "model": (("run", "large.mdl"), "20,480 MiB"),
    "scenario": (("run", "good.mdl", "--scenario", "large.toml"), "20,480 MiB"),
    "checks": (("check", "good.mdl", "--checks", "large.toml"), "20,480 MiB"),
}


def held(expected: str, *arguments: object) -> None:
    """The call is refused with the number, after few calls of functions and with little memory."""
    done: list[Result] = []

    def call() -> None:
        done.append(CliRunner().invoke(cli, [str(argument) for argument in arguments]))

    # nor is what an import calls: that of the designs of ensembles, once in a process, a million functions
    importlib.import_module("scipy.stats.qmc")
    # the patterns of the readers are not counted: what a text without an end costs them is hours, or nothing
    with processor_seconds(60), calls(CALLS):
        taken = peak(call)
    assert done[0].exit_code == 2, done[0].output
    assert expected in " ".join(done[0].output.split())
    assert taken < BYTES


@pytest.fixture(autouse=True)
def warm(write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good model, run once: what is imported for it is no part of what is counted."""
    path = write_mdl(SMALL, final=10, step=1).rename(tmp_path / "good.mdl")
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(cli, ["run", str(path)])
    return path


@pytest.mark.parametrize("case", VECTORS)
def test_vectors_are_counted_like_sums(case: str, write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unroll, "MOST_SUMMED", 99)
    text, n = VECTORS[case]
    path = write_mdl(f"A: (a1-a20) ~~| c[A] = Time ~~| {text}", final=2, step=1)
    with pytest.raises(EquationError, match=f"'y' has sums or vectors of {n} operations or more"):
        simulate(read_model(path))


def test_all_ranges_together(write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "MOST_IN_ALL", 20)
    monkeypatch.setattr(reader, "MOST_IN_ALL", 20)
    path = tmp_path / "m.xmile"
    path.write_text(XMILE.format(dims='<dim name="d" size="15"/><dim name="e" size="6"/>', used='<dim name="d"/>'))
    for model, last in ((write_mdl("A: (A1-A15) ~~|\nB <-> A ~~|\n"), "B"), (path, "e")):
        with pytest.raises(CiparkError, match=f"'{last}' is the one after which all .* have more than 20 elements"):
            read_model(model)


@pytest.mark.parametrize("case", MODELS)
def test_models(case: str, write_mdl: Write) -> None:
    text, message = MODELS[case]
    held(message, "run", write_mdl(text, final=2, step=1))


@pytest.mark.parametrize("case", XMILE_MODELS)
def test_models_in_xmile(case: str, tmp_path: Path) -> None:
    dims, used, message = XMILE_MODELS[case]
    path = tmp_path / "m.xmile"
    path.write_text(XMILE.format(dims=dims, used=used), encoding="utf-8")
    held(message, "run", path)


@pytest.mark.parametrize("kind", ["stock", "aux"])
@pytest.mark.parametrize("command", COMMANDS)
def test_arrays_of_any_kind_in_every_command(command: str, kind: str, tmp_path: Path) -> None:
    path, used = tmp_path / "m.xmile", '<dim name="d"/><dim name="e"/>'
    text = XMILE.format(dims=LARGE.replace("20000", "2000"), used=used)
    if kind == "stock":
        text = text.replace('<aux name="a">', '<stock name="a">').replace("</aux></var", "</stock></var")
    path.write_text(text, encoding="utf-8")
    held("has 4,000,000 elements", command, path)


@pytest.mark.parametrize("case", OPTIONS)
def test_designs(case: str, warm: Path) -> None:
    (command, *options), message = OPTIONS[case]
    held(message, command, *([] if command in ("policy", "calibrate") else [warm]), *options)


@pytest.mark.parametrize("case", TABLES)
def test_tables(case: str, tmp_path: Path) -> None:
    arguments, message = TABLES[case]
    for name in ("large.csv", "large.mdl", "large.toml"):
        with (tmp_path / name).open("wb") as file:
            # without content on the disk
            file.truncate(20 * 2**30)
    held(message, *arguments)


def test_outcomes_that_memory_does_not_hold() -> None:
    check_memory(1000, 8000)
    with pytest.raises(InvalidValue, match=r"the number of runs of each policy is 1000000.* of memory"):
        check_memory(10**6, 10**9)
