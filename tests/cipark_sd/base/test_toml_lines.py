"""Messages about TOML files name the file and the line of the key."""

import pickle
import re
import tomllib
from pathlib import Path

import pytest
from counted import exponent, steps
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from cipark_sd.base.errors import CiparkError
from cipark_sd.base.inputs import LinedTable, lined, parsed_toml, place, read_toml
from cipark_sd.base.section import Section

TEXT = '''# a comment with [brackets] and "quotes
title = "a # that is none"   # and one that is

"quoted key" = [
  "x = 1",   # not a key
  [1, 2],
]
dotted.inner . deep = 1
multi = """
[not a header]
key = "neither"
"""
literal = \'\'\'
[[nor this]]\'\'\'\'
inline = { a = 1, b = "}" }

[model]
file = 'c:\\x'

[[parameter]]
name = "a"
prior = { family = "normal",  mean = 1 }

[[parameter]]
name = "b"
  [parameter.more]
  x = 1
  [[parameter.list]]
  y = 1
  [[parameter.list]]
  y = 2
[a."b.c".d]
z = 1
'''


def table() -> LinedTable:
    return parsed_toml(TEXT, Path("study/problem.toml"))


def line_of(needle: str, nth: int = 0) -> int:
    return [i for i, line in enumerate(TEXT.splitlines(), 1) if needle in line][nth]


def test_lines_change_nothing_of_the_content() -> None:
    assert table() == tomllib.loads(TEXT)


def test_each_key_has_its_line() -> None:
    top = table()
    assert top.lines["title"] == 2
    assert top.lines["quoted key"] == line_of("quoted key")
    assert top["dotted"]["inner"].lines["deep"] == top.lines["dotted"] == line_of("dotted")
    assert top.lines["multi"] == line_of("multi")
    assert top.lines["literal"] == line_of("literal")
    assert top["inline"].lines["b"] == line_of("inline")
    assert (top["model"].line, top["model"].lines["file"]) == (line_of("[model]"), line_of("file ="))
    first, second = top["parameter"]
    assert (first.line, second.line) == (line_of("[[parameter]]"), line_of("[[parameter]]", 1))
    assert first["prior"].lines["mean"] == line_of("prior")
    assert second["more"].lines["x"] == line_of("x = 1", 1)
    assert [entry.lines["y"] for entry in second["list"]] == [line_of("y = 1"), line_of("y = 2")]
    assert top["a"]["b.c"]["d"].lines["z"] == line_of("z = 1")


def test_a_table_goes_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(table()))
    assert again == table()
    assert again["parameter"][1].lines == table()["parameter"][1].lines


KEYS = st.sampled_from(["a", "b", '"q = 1"', "'[x]'"])
VALUES = st.sampled_from(
    ["1", '"#"', '"""\n[h]\n"""', "'''\nk = 1\n'''", "[\n1, # ]\n2]", "{ c = [1], d = '}' }", '"\\\\"', '"\\""']
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4, unique_by=lambda pair: pair[0]), st.integers(0, 3))
def test_a_key_after_any_value_has_the_line_on_which_it_stands(pairs: list[tuple[str, str]], blanks: int) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in pairs) + "\n" * blanks + "last = true"
    assert parsed_toml(text, Path("x.toml")).lines["last"] == text.count("\n") + 1


def test_a_section_says_where_a_key_stands() -> None:
    problems: list[CiparkError] = []
    top = Section(table(), "", problems)
    top.number("title")
    parameter = Section(top.tables("parameter")[1], "parameter 'b'", problems, within=top)
    parameter.number("name")
    inner = Section(parameter.raw("more"), "more", problems, within=parameter)
    inner.text("x")
    inner.text("absent")
    inner.note_unread()
    Section(top.raw("title"), "[title]", problems, within=top)
    assert [str(problem).split(" is ")[0] for problem in problems] == [
        "study/problem.toml:2: title",
        f"study/problem.toml:{line_of('name =', 1)}: parameter 'b': name",
        f"study/problem.toml:{line_of('x = 1', 1)}: parameter 'b', more: x",
        f"study/problem.toml:{line_of('[parameter.more]')}: parameter 'b', more: absent",
        "study/problem.toml:1: [title]: its content",
    ]


def test_content_from_elsewhere_has_a_name_only() -> None:
    assert place({"a": 1}, "[model]", "a") == "[model]"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("s.toml", "name = 's'\n[set]\na = 1\n[tme]\nfrom = 1\n", 4),
        ("m.checks.toml", "[builtin]\nunits = true\nfinit = true\n", 3),
        ("m.checks.toml", "[[check]]\nid = 'a'\nexpect = 'Cup > 0'\nat = 'never'\n", 4),
        ("m.display.toml", "[table]\nevery = 1\ncolums = []\n", 3),
    ],
)
def test_every_reader_says_the_line(name: str, text: str, line: int, tmp_path: Path, write_mdl) -> None:
    from cipark_sd.data.scenarios import read_scenario
    from cipark_sd.language.read.model_file import read_model
    from cipark_sd.pages.figures.observed import display_of
    from cipark_sd.verify.checks.file import read_checks

    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    model = read_model(write_mdl("Cup= INTEG(-1,1) ~ ~ |"))
    readers = {
        "s.toml": lambda: read_scenario(path),
        "m.display.toml": lambda: display_of(tmp_path / "m.mdl"),
        "m.checks.toml": lambda: read_checks(path, model),
    }
    with pytest.raises(CiparkError, match=rf"{re.escape(str(path))}:{line}\b"):
        readers[name]()


def test_a_study_says_the_line(tmp_path: Path) -> None:
    from calibration.study import STUDIES
    from calibration.study.problem import read_problem

    text = (STUDIES / "great_stone" / "problem.toml").read_text(encoding="utf-8")
    text = text.replace("starts =", "strats =", 1) if "starts =" in text else text + "\n[method]\nstrats = 1\n"
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "strats" in row)
    with pytest.raises(
        CiparkError, match=rf"problem\.toml:{line}: \[method\] has no key 'strats'; did you mean 'starts'"
    ):
        read_problem(tmp_path)


def test_every_file_of_the_project_is_read_with_lines() -> None:
    """Against a route that knows nothing of statements: the key stands on its line."""
    files = [
        path for folder in ("calibration/studies", "models", "tests/corpus") for path in (ROOT / folder).rglob("*.toml")
    ]
    assert len(files) > 10

    def check(value: object, rows: list[str]) -> int:
        if isinstance(value, LinedTable):
            for key, line in value.lines.items():
                assert key in rows[line - 1] or key.strip() in rows[line - 1].replace("\\", ""), (value.file, key, line)
            return len(value.lines) + sum(check(item, rows) for item in value.values())
        return sum(check(item, rows) for item in value) if isinstance(value, list) else 0

    for path in files:
        rows = path.read_text(encoding="utf-8").splitlines()
        assert check(read_toml(path), rows) > 0


GROWING = {
    "keys": lambda n: "".join(f"k{i} = 1\n" for i in range(n)),
    "tables": lambda n: "[[a]]\nx = 1\n" * n,
    "items": lambda n: "a = [\n" + "1,\n" * n + "]",
}


@pytest.mark.parametrize("case", GROWING)
def test_a_text_is_searched_for_lines_once(case: str) -> None:
    """What is done to the text as a whole happens as often, however long it is."""
    text = GROWING[case](200)
    table = parsed_toml(text, Path("study/problem.toml"))
    lines = table.lines.values() if case == "keys" else [1]
    assert list(lines) == list(range(1, len(lines) + 1))
    assert exponent(lambda n: steps(lambda: parsed_toml(GROWING[case](n), Path("a.toml"))), 50, 200) < 1.2
    assert exponent(lambda n: _characters_counted(GROWING[case](n)), 50, 200) < 1.2


def _characters_counted(text: str) -> int:
    """How many characters of a text are passed over while line ends are counted or looked for."""
    passed = 0

    class Watched(str):
        def count(self, mark: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
            nonlocal passed
            passed += (len(self) if end is None else end) - start
            return super().count(mark, start, len(self) if end is None else end)

    lined({}, Watched(text), Path("a.toml"))
    return passed + len(text)


@pytest.mark.parametrize(
    "text", [".".join("a" * 101) + " = 1", "[" + '"a".' * 101 + "a]", "a = " + "[" * 101 + "]" * 101]
)
def test_what_is_nested_too_deeply_is_an_error(text: str) -> None:
    with pytest.raises(CiparkError, match=r"^deep\.toml: lists or tables are nested too deeply$"):
        parsed_toml(text, Path("deep.toml"))


@pytest.mark.parametrize("text", [".".join("a" * 99) + " = 1", "a = " + "[" * 99 + "]" * 99, "a = '" + "a." * 99 + "'"])
def test_what_is_nested_less_deeply_is_read(text: str) -> None:
    assert parsed_toml(text, Path("deep.toml"))


def test_a_byte_order_mark_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\nb = 2\n")
    content = read_toml(path)
    assert dict(content) == {"a": 1, "b": 2}
    assert place(content, "", "b") == f"{path}:2"
