"""Input that is hostile, broken or far too large: one error of bounded length, exit code 2, no traceback, no waiting.

The commands are called below the net of ``main`` for errors that nobody foresaw, so that it hides none of them.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark
from counted import exponent, peak, processor_seconds

from cipark_sd.base.errors import LONGEST, LONGEST_LIST, AlgebraicLoop, EquationError, InvalidValue, Problems, shortened
from cipark_sd.commands.cli import _as_user_meets_it
from cipark_sd.compiler.graph import MOST_STAGES, stages
from cipark_sd.compiler.lower import lower
from cipark_sd.engines.programs import flat_model
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.entries import split
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
CONTROL = "\nINITIAL TIME = 0 ~~| FINAL TIME = 2 ~~| TIME STEP = 1 ~~| SAVEPER = 1 ~~|\n"
SMALL = "rate = 1 ~~| level = INTEG(rate, 0) ~~|"
#: Frame of messages that click and the commands put round an error.
FRAME = 500


def refused(*arguments: str) -> str:
    """What a command says of input that it refuses."""
    done = cipark(*arguments, code=2)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 2, done.output[:LONGEST]
    assert len(done.output) <= (LONGEST_LIST if " problems:" in done.output else LONGEST) + FRAME
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def doubling(levels: int) -> str:
    """Macros of which each calls the one before it twice."""
    first = ":MACRO: M0(x)\nM0 = x + 1 ~~|\n:END OF MACRO:\n"
    others = (
        f":MACRO: M{i}(x)\nM{i} = M{i - 1}(x) + M{i - 1}(x + 1) ~~|\n:END OF MACRO:\n" for i in range(1, levels + 1)
    )
    return first + "".join(others) + f"y = M{levels}(Time) ~~|"


def cube(equation: str) -> str:
    ranges = "".join(f"{name}: ({name}1-{name}100) ~~|\n" for name in "ABC")
    return f"{ranges}y[A, B, C] = {equation} ~~|"


def macro(*equations: str) -> str:
    return "".join(f":MACRO: M(x)\n{equation} ~~|\n:END OF MACRO:\n" for equation in equations) + "y = M(Time) ~~|"


MODELS: dict[str, tuple[str, str]] = {
    "macros that double": (doubling(18), "calls macros that become 1,048,574 variables"),
    "macros that double for ever": (doubling(49), "at most 100,000 are computed"),
    "order of a smooth": ("y = SMOOTH N(Time, 1e12, 0, 1e9) ~~|", "has the order 1e+09; at most 10,000 stages"),
    "order of a delay": ("y = DELAY N(Time, 1e12, 0, 1e300) ~~|", "at most 10,000 stages"),
    "array": (cube("1 + Time"), "'y' has 1,000,000 elements"),
    "array of stocks": (
        cube("INTEG(1, 0)"),
        "at most 500,000 are computed, in some 3 GB of memory: use ranges with fewer elements",
    ),
    "sum": (
        "A: (A1-A3000) ~~| B: (B1-B3000) ~~| c[A] = 1 ~~| d[B] = 2 ~~| y = SUM(c[A!] * d[B!]) ~~|",
        "has sums or vectors of 27,000,000 operations or more, and all variables together 27,000,000",
    ),
    "sums of many variables": (
        "A: (A1-A200) ~~| B: (B1-B200) ~~| c[A] = 1 ~~| d[B] = 2 ~~|\n"
        + "\n".join(f"y{i} = SUM(c[A!] * d[B!]) ~~|" for i in range(60)),
        "'y0' has sums or vectors of 120,000 operations or more, and all variables together 7,200,000",
    ),
    "places among 1,300": (
        "A: (A1-A1300) ~~| c[A] = Time ~~| y[A] = VECTOR SORT ORDER(c[A], 1) ~~|",
        "'y' has sums or vectors of 6,",
    ),
    "range": ("A: (A1-A3000000) ~~| y[A] = 1 ~~|", "the range has 3000000 elements, more than 100000"),
    "number of an element": (f"A: (A1-A{'9' * 5000}) ~~| y[A] = 1 ~~|", "has more than 18 digits"),
    "loop": (
        "\n".join(f"v{i} = v{(i + 1) % 500} + 1 ~~|" for i in range(500)),
        "-> … 490 more … ->",
    ),
    "unknown names": ("\n".join(f"v{i} = unknown{i} ~~|" for i in range(1000)), "has 1000 problems"),
    "equations": ("\n".join(f"v{i} = )( ~~|" for i in range(1000)), "more"),
    "long name": ("n" * 100_000 + " = )( ~~|", "characters left out"),
    "long unknown name": ("y = " + "n" * 100_000 + " ~~|", "characters left out"),
    "macro twice": (macro("M = x + 1", "M = x + 2"), "the equation of 'macro m' is defined 2 times"),
    "macro without result": (macro("z = x + 1"), "no equation in it computes 'm'"),
    "element twice": ("A: p, p ~~| y[A] = 1 ~~|", "is 'with p 2 times', expected each once"),
    "time as a variable": ("TIME = INTEG(1, 0) ~~| y = Time ~~|", "the name is that of the run's time"),
}


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_model(command: str, case: str, write_mdl: Write) -> None:
    equations, message = MODELS[case]
    said = refused(command, str(write_mdl(equations, final=2, step=1)))
    assert message in said
    assert "model" in said


@pytest.mark.parametrize(
    "case", ["unknown names", "equations", "long name", "macro twice", "macro without result", "element twice"]
)
def test_a_model_that_is_only_shown(case: str, write_mdl: Write) -> None:
    equations, message = MODELS[case]
    assert message in refused("show", str(write_mdl(equations)))


UNCLOSED = [
    "{" * 200_000,
    ":MACRO: " + "word " * 100_000,
    ":MACRO: a b\n" * 10_000,
    ':MACRO: a(")"' * 100_000,
    ":MACRO: a" + " " * 200_000 + "b",
    "*" * 200_000 + "." + "a" * 200_000,
    "****." + " " * 200_000 + "a",
]


@pytest.mark.parametrize("text", UNCLOSED, ids=lambda text: text[:12])
def test_what_is_never_closed_is_read_in_linear_time(text: str, write_mdl: Write) -> None:
    path = str(write_mdl("y = 1 ~~|\n" + text))
    with processor_seconds(20):
        read = cipark("show", path, code=None)
    assert read.exit_code in (0, 2)
    assert read.exception is None or isinstance(read.exception, SystemExit)


def test_heads_of_macros_are_taken_off_one_by_one() -> None:
    with processor_seconds(5):
        assert len(split(":MACRO: a(x) " * 100_000 + "y = 1 ~~|").macros) == 100_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_model_with_a_byte_order_mark_is_read_as_it_says(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.mdl"
    path.write_bytes(("größe = 3 ~~| y = größe ~~|" + CONTROL).encode(encoding))
    assert simulate(read_model(path))["y"].to_numpy().tolist() == [3, 3, 3]


@pytest.mark.parametrize("name", ["undefined", "punycode", "idna", "zlib_codec", "nonsense"])
def test_an_encoding_that_does_not_decode_gives_way_to_utf_8(name: str, tmp_path: Path) -> None:
    path = tmp_path / "named.mdl"
    path.write_text(f"{{{name}}}\ngröße = 3 ~~|" + CONTROL, encoding="utf-8")
    assert "größe" in read_model(path).by_name


@pytest.mark.parametrize("raw", [b"\0" * 1000, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 500], ids=["zeros", "image"])
def test_a_file_that_is_no_text(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.mdl").write_bytes(raw)
    assert "is not text: it has zero bytes; save the model as text" in refused("run", str(tmp_path / "m.mdl"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "rate=" + "x" * 100_000], "expected a finite number"),
        (["--set", "x" * 100_000 + "=1"], "has no variable"),
        (["--set", "x" * 100_000], "characters left out"),
        (["--variables", ",".join(f"v{i}" for i in range(5000))], "more"),
        (["--to", "x" * 100_000], "characters left out"),
        (["--step", "x" * 100_000], "is not a valid float"),
        (["--scenario", "many.toml"], "problems"),
        (["--scenario", "long.toml"], "expected a finite number"),
        (["-o", "\udcff.csv"], "is not valid UTF-8"),
    ],
    ids=lambda value: value[0] + " " + value[1][:10].encode("ascii", "replace").decode() if len(value) == 2 else "",
)
def test_what_is_given_to_a_run(
    arguments: list[str], message: str, write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mdl(SMALL)
    monkeypatch.chdir(path.parent)
    Path("many.toml").write_text("[set]\n" + "".join(f"unknown{i} = 1\n" for i in range(5000)), encoding="utf-8")
    Path("long.toml").write_text(f'[set]\nrate = "{"x" * 2_500_000}"\n', encoding="utf-8")
    assert message in refused("run", str(path), *arguments)


@pytest.mark.parametrize("name", ["d.csv", "d.tab"])
def test_a_cell_that_is_too_long(name: str, write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl("given ~~| level = INTEG(given, 0) ~~|")
    (tmp_path / name).write_text("time,given\n" + "1" * 200_000 + ",2\n", encoding="utf-8")
    assert "field larger than field limit" in refused("run", str(path), "--series", str(tmp_path / name))
    assert "field larger than field limit" in refused(
        "new-study", str(path), str(tmp_path / name), "-o", str(tmp_path / "study")
    )


def test_a_table_in_utf_16_that_is_cut_short(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes("time,level\n1,2\n".encode("utf-16")[:-1])
    refused("new-study", str(write_mdl(SMALL)), str(tmp_path / "d.csv"), "-o", str(tmp_path / "study"))


@pytest.mark.parametrize(
    ("order", "time", "step", "expected"),
    [
        (3, None, 1, 3),
        (3, 10, 1, 3),
        (1e9, 5, 1, 5),
        (1e9, 0.5, 1, 1),
        (1e300, -1, 1, 1),
        (1e9, 0.3, 0.1, 2),
        (2.5, 9, 1, 2),
    ],
)
def test_stages_are_as_many_as_fit_into_the_time(order: float, time: float | None, step: float, expected: int) -> None:
    assert stages(order, time, step, "y", "m") == expected


def test_stages_are_bounded() -> None:
    assert stages(MOST_STAGES, None, 1, "y", "m") == MOST_STAGES
    with pytest.raises(EquationError, match="has the order 10001; at most 10,000 stages"):
        stages(MOST_STAGES + 1, None, 1, "y", "m")


def test_several_problems_keep_all_and_list_the_first() -> None:
    each = [InvalidValue(f"value {i}", i, "another", where="m") for i in range(1000)]
    problem = Problems("m", each)
    assert len(str(problem)) <= LONGEST_LIST
    assert problem.problems == tuple(each)
    listed = str(problem).count("expected another")
    assert str(problem).endswith(f"\n  - and {1000 - listed:,} more")
    few = str(Problems("m", each[:3]))
    assert "more" not in few
    assert few.count("\n") == 3


def test_a_loop_of_ten_is_named_whole() -> None:
    labels = [f"v{i}" for i in range(10)]
    assert " -> ".join([*labels, "v0"]) in str(AlgebraicLoop("m", labels))


def test_a_long_text_keeps_its_beginning_its_end_and_the_count() -> None:
    text = shortened("a" * 5000 + "b" * 5000, 100)
    assert len(text) <= 100
    assert text.startswith("aaa")
    assert text.endswith("bbb")
    left_out = int(text.split("(")[1].split()[0])
    head, _, rest = text.partition(" … ")
    assert left_out == 10_000 - len(head) - len(rest.rpartition(" … ")[2])


FAULT = "from cipark_sd.commands import cli; cli.cli.invoke = lambda ctx: 1 // 0; cli.main()"


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_that_nobody_foresaw(debug: bool, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "CIPARK_DEBUG"}
    environment |= {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", FAULT, "show"],
        env=environment | ({"CIPARK_DEBUG": "1"} if debug else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("Traceback" in done.stderr) is debug
    assert "ZeroDivisionError" in done.stderr
    if not debug:
        assert done.returncode == 70
        assert done.stderr.count("\n") == 2
        assert "This is a fault of cipark, not of your input: please report it with " in done.stderr
        log = Path(done.stderr.partition("report it with ")[2].partition(", which")[0])
        assert "ZeroDivisionError" in log.read_text(encoding="utf-8")
        assert "Traceback" in log.read_text(encoding="utf-8")
        if os.name != "nt":
            assert log.stat().st_mode & 0o077 == 0


def test_an_error_that_nobody_foresaw_where_no_log_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {key: value for key, value in os.environ.items() if key != "CIPARK_DEBUG"}
    environment |= {"XDG_STATE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file")}
    done = subprocess.run(
        [sys.executable, "-c", FAULT, "show"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (70, 2)
    assert "please report this line with the command" in done.stderr


@pytest.mark.parametrize("equation", ["1 + Time", "INTEG(1, 0)"])
def test_an_array_that_is_too_large_is_refused_before_its_elements_are_named(
    equation: str, write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(*_: object) -> str:
        raise AssertionError("an element was named")

    monkeypatch.setattr("cipark_sd.engines.plan.flat_name", named)
    with pytest.raises(EquationError, match="has 1,000,000 elements"):
        simulate(read_model(write_mdl(cube(equation), final=2, step=1)))


def test_a_model_of_control_variables_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / "m.mdl").write_text("{UTF-8}" + CONTROL, encoding="utf-8")
    for command in ("certify", "run"):
        said = refused(command, str(tmp_path / "m.mdl"))
        assert said.endswith("m: its variables is [], expected at least one stock or auxiliary")


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX systems")
def test_a_name_that_is_no_utf8_is_said_and_not_the_page_in_which_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m\udcff.mdl").write_text("{UTF-8}" + SMALL + CONTROL, encoding="utf-8")
    said = refused("run", "m\udcff.mdl", "-o", "r.csv")
    assert said.endswith(r"error: 'm\udcff' is not valid UTF-8; use a name that is")


@pytest.mark.parametrize(
    "problem",
    [
        ImportError("libgfortran.so.5: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        MemoryError(),
    ],
)
def test_a_library_for_which_there_is_no_memory_is_no_fault_and_no_output(problem: Exception) -> None:
    found = OSError("Could not find/load shared object file 'libllvmlite.so'")
    found.__cause__ = problem
    for error in (problem, found):
        said = _as_user_meets_it(error)
        assert said is not None
        assert said.message.startswith("there is not enough memory")
    other = _as_user_meets_it(OSError(28, "No space left on device"))
    assert other is not None
    assert "No space left" in other.message
    assert _as_user_meets_it(ImportError("No module named 'x'")) is None


def test_what_waits_for_a_loop_costs_no_loop_of_its_own(tmp_path: Path) -> None:
    """Each element needs a sum that needs a row of them; looked into anew for each, 400 x 400 took 7 GB."""

    def work(n: int) -> float:
        path = tmp_path / f"m{n}.mdl"
        path.write_text(
            f"a: (A1-A{n}) ~~|\nb: (B1-B{n}) ~~|\nx[a, b] = y[a] * z[b] ~~|\ny[a] = 1 ~~|\nz[b] = SUM(x[A1, b!]) ~~|\n"
            "INITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"
        )
        flat = flat_model(read_model(path))

        def lowered() -> None:
            with pytest.raises(AlgebraicLoop, match=r"x\[A1,B1\] -> z\[B1\] -> x\[A1,B1\]"):
                lower(flat, [variable.name for variable in flat.variables])

        return peak(lowered)

    # by its elements, which are the square of n; each with a loop of its own it would be the cube
    assert exponent(work, 20, 60) < 2.3
