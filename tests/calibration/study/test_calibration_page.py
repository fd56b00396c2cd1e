"""docs/reference/calibration.md describes every key that the reader of a study takes, and its example is a study."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from places import ROOT

from calibration.noise.families import registry
from calibration.noise.priors import FAMILIES
from calibration.study.problem import KINDS, read_problem
from calibration.study.rows import DERIVED, USES
from calibration.study.sections import Method

PAGE = (ROOT / "docs" / "reference" / "calibration.md").read_text(encoding="utf-8")
READERS = sorted((ROOT / "calibration" / "study").rglob("*.py"))
ASKED = re.compile(
    r"(?:text|number|whole|choice|names|table|tables|sections|raw|number_or_name|named|parts|positive|each_once)\(\s*\"(\w+)\""
    r"|(?:constants_set|times?_under)\((?:self\.)?section, \"(\w+)\"\)"
)
#: Keys that are no longer taken, whose message says what is.
GONE = {"merge_over", "experiment"}


def keys() -> set[str]:
    found = {key for path in READERS for match in ASKED.findall(path.read_text(encoding="utf-8")) for key in match}
    # keys that stand in tables of their own in the reader
    found |= {"from", "to", "step", "informed", "caused", "predicted", "settled", "supports", "theory", "unknown"}
    found |= {"rival", "scenario", DERIVED}
    for noise in registry.families():
        found |= {noise.spread, *(option.name for option in fields(noise))}
    return (found | {field.name for family in FAMILIES.values() for field in fields(family)}) - GONE - {""}


WORDS = {*FAMILIES, *KINDS, *(noise.name for noise in registry.families()), *USES}


def test_the_reader_s_keys_are_found() -> None:
    assert len(keys()) > 70
    assert {"gains", "against", "fast_starts", "autocorrelation", "without", "bundled"} <= keys()


@pytest.mark.parametrize("key", sorted(keys() | WORDS))
def test_the_page_describes(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{re.escape(key)}\b[^`\n]*`", PAGE)


def test_the_page_s_study_is_one(tmp_path: Path) -> None:
    for name in ("leaving.mdl", "left.csv", "problem.toml"):
        block = re.search(rf"`{re.escape(name)}`\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(block[1], encoding="utf-8")
    found = read_problem(tmp_path)
    assert [len(found.terms), len(found.space), len(found.predictions)] == [4, 2, 1]


def test_the_page_names_the_defaults() -> None:
    assert f"| {Method().starts}, {Method().fast_starts} |" in PAGE
