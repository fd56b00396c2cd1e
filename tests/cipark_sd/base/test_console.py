"""Tables on a terminal keep within its width, whatever it is; in a pipe nothing is cut."""

import ast
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import cipark
from places import ROOT

from cipark_sd.base import console

COMMAND = (sys.executable, "-c", "from cipark_sd.commands.cli import main; main()")
#: Sets a terminal's title, turns letters round, and begins a control sequence in one character.
NASTY = "\x1b]0;title\x07 \u202egnp\u202c \x9b31m"
#: The same with the letter of a name that Latin-1 lacks.
MODEL = (
    "{UTF-8}\nСтокж = INTEG(rate, 1) ~ " + NASTY + " ~ " + NASTY + "|\nrate = 1 ~~ " + NASTY + "|\n"
    "INITIAL TIME = 0 ~~| FINAL TIME = 2 ~~| TIME STEP = 1 ~~| SAVEPER = 1 ~~|"
)
CONTROL = r"[\0-\x1f\x7f-\x9f\u202a-\u202e]"
CALLS = [
    ["show"],
    ["show", "--equations"],
    ["show", "--json"],
    ["check"],
    ["run"],
    ["run", "--json"],
    ["run", "--set", NASTY + "=1"],
]


def shown(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.Rows(columns, rows, title="Title").show(sys.stdout)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


NUMBERS = ("Time", *(f"Stock number {i} [firm]" for i in range(8)))
ROWS = [[str(year), *(f"{year * i / 7:.4g}" for i in range(8))] for year in (2010, 2011)]


@pytest.mark.parametrize("width", [80, 60, 200])
def test_columns_of_numbers_go_on_below_under_the_first(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(NUMBERS, ROWS, width, monkeypatch, capsys)
    assert max(map(len, lines)) <= width
    heads = [line for line in lines if "Stock number" in line]
    assert all(line.split()[0] == "Time" for line in heads)
    for i in range(8):
        assert sum(f"Stock number {i} [firm]" in line for line in heads) == 1
    assert sum(line.split()[:1] == ["2011"] for line in lines) == len(heads)
    assert sum("Title" in line for line in lines) == 1
    assert len(heads) == {80: 3, 60: 4, 200: 1}[width]


def test_a_table_in_a_pipe_has_tabs_and_no_cell_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    console.Rows(("name", "so\tmany"), [["two\nlines", "1"], ["", "2"]], title="Title").show(sys.stdout)
    assert capsys.readouterr().out.splitlines() == ["Title", "name\tso many", "two lines\t1", "\t2"]


def test_words_wrap_where_there_is_room_for_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(("name", "n", "verdict"), [("rate", "0.25", "bounded by the data " * 4)], 60, monkeypatch, capsys)
    assert max(map(len, lines)) <= 60
    # a word is never cut into letters
    assert "".join(lines).count("bounded") == 4


def test_what_has_no_room_as_a_table_is_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = tuple(f"a long head of words {i}" for i in range(6))
    rows = [tuple(f"words and words {i}" for i in range(6)), ("", "", "more", "", "", "")]
    lines = shown(columns, rows, 70, monkeypatch, capsys)
    assert lines[:3] == ["Title", "words and words 0", "  a long head of words 1: words and words 1"]
    # an empty cell has no line, and a row without a name goes on with the one before
    assert lines[-1] == "  a long head of words 2: more"
    assert max(map(len, lines)) <= 70


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.mdl"
    path.write_text(MODEL, encoding="utf-8")
    return path


def called(arguments: Sequence[object], **options: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, check=False, **options)  # type: ignore[call-overload]


def on_a_terminal(arguments: Sequence[object]) -> str:
    """What a terminal gets, without the colours that the program itself sets."""
    leader, follower = pty.openpty()
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=follower, stderr=follower, stdin=follower) as child:
        os.close(follower)
        parts = []
        try:
            while part := os.read(leader, 65536):
                parts.append(part)
        except OSError:  # the end of a terminal
            pass
    os.close(leader)
    assert child.returncode in (0, 1, 2)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode())


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_nothing_in_a_model_steers_what_reads_the_output(call: list[str], model: Path) -> None:
    text = cipark(call[0], model, *call[1:], code=None).output
    assert text
    assert not re.search(CONTROL, text.replace("\n", "").replace("\t", ""))
    if call[0] == "show" and call[1:] != ["--equations"]:
        assert r"\u001b]0;title\u0007" in text


@pytest.mark.parametrize("command", ["show", "run"])
def test_nothing_in_a_model_steers_a_terminal(command: str, model: Path) -> None:
    text = on_a_terminal([command, model])
    assert "Стокж" in text
    assert not re.search(CONTROL, re.sub(r"[\r\n]", "", text))


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("call", [["show"], ["run", "--json"]], ids=" ".join)
def test_a_stream_without_the_letters_of_a_name_has_their_escapes(call: list[str], encoding: str, model: Path) -> None:
    done = called([call[0], model, *call[1:]], env=os.environ | {"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert r"\u0421\u0442\u043e\u043a\u0436" in text
    assert call == ["show"] or "Стокж" in json.loads(text)["variables"]


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("file", ["m.mdl", "missing.mdl"])
def test_a_closed_stream_is_no_error(file: str, closed: tuple[int, ...], model: Path) -> None:
    marks = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    saved = model.with_name("saved.nc")
    done = subprocess.run(
        ["sh", "-c", f'"$@" {marks}', "sh", *COMMAND, "run", str(model.with_name(file)), "-o", str(saved)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if file == "m.mdl" else 2), done.stderr
    assert b"Traceback" not in done.stderr
    assert saved.is_file() == (file == "m.mdl")
    assert (b"does not exist" in done.stderr) == (file == "missing.mdl" and 2 not in closed)
    # nothing that is printed went into a file that was opened in place of the stream
    assert model.read_text(encoding="utf-8") == MODEL


def test_everything_is_printed_by_the_console() -> None:
    """Calls that print, outside of the one file whose functions escape what they print."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("cipark_sd", "calibration")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "cipark_sd" / "base" / "console.py"
        if re.search(r"\bprint\(|\bclick\b|\bsys\.__?std|\brich\b", text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if prints(node)
    ]
    assert found == []


PRINTING = {"click.echo", "click.secho", "click.style", "click.echo_via_pager", "click.confirm", "click.prompt"}


def prints(node: ast.AST) -> bool:
    """Whether a node of a program prints by itself, or takes what does from elsewhere."""
    match node:
        case ast.Call(func=func):
            name = ast.unparse(func)
            return (
                name == "print" or name in PRINTING or bool(re.fullmatch(r"sys\.(__)?std(out|err)(__)?\.write", name))
            )
        case ast.ImportFrom(module=module, names=names):
            taken = {f"{module}.{name.name}" for name in names}
            return bool(taken & (PRINTING | {"rich.console.Console", "rich.print"}))
        case _:
            return False


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("print(1)", True),
        ("click.echo(x)", True),
        ("from click import echo", True),
        ("sys.stdout.write(x)", True),
        ("from rich.console import Console", True),
        ("echo(x)", False),
        ("sys.stdout.flush()", False),
    ],
)
def test_what_prints_is_found(text: str, wanted: bool) -> None:
    assert any(map(prints, ast.walk(ast.parse(text)))) == wanted


@pytest.mark.parametrize(
    "code", [0, 7, 8, 11, 13, 27, 31, 127, 128, 159, 0x202A, 0x202E, 0x2066, 0x2069, 0x200F, 0x2028]
)
def test_a_control_character_is_an_escape_of_json(code: int) -> None:
    assert console.escaped(f"a{chr(code)}b") == f"a\\u{code:04x}b"
    assert json.loads(f'"{console.escaped(chr(code))}"') == chr(code)


def test_letters_of_any_script_are_left() -> None:
    text = "größe Стокж 流量 שלום\tx\n🙂"
    assert console.escaped(text) == text


def test_numbers_of_a_piped_table_have_no_commas(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads them; on a terminal people do."""
    rows = [("a", "1,234,568", "1,234 firms"), ("b", "-1,000.5 to 12,345", "")]
    console.Rows(("name", "Capital", "note"), rows).show(sys.stdout)
    assert capsys.readouterr().out.splitlines()[1:] == ["a\t1234568\t1,234 firms", "b\t-1000.5 to 12345\t"]


def test_long_work_in_a_pipe_says_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter((0.0, 30.0, 61.0, 90.0, 119.0, 125.0))
    monkeypatch.setattr("cipark_sd.base.console.time.monotonic", lambda: next(clock))
    with console.progress_bars() as bars:
        for done in range(5):
            bars.show("sampling", done, 40, "chain 1 \x1b[31m")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "sampling, chain 1 \\u001b[31m: 1 of 40, 1 min",
        "sampling, chain 1 \\u001b[31m: 4 of 40, 2 min",
    ]
