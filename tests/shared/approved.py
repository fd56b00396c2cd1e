"""Texts that people read, as they were last approved: one file for each command in ``tests/texts``.

``CIPARK_WRITE_TEXTS=1 pytest -n0 PATHS`` writes those of the tests that it runs again; read the difference as a reader
of the page would. A test that compares a text says with which record or class it goes; the words are in the file alone.
"""

import os
import re
from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path

from places import ROOT

FOLDER = ROOT / "tests" / "texts"
WRITE = "CIPARK_WRITE_TEXTS"
#: The file of what a test says, by the beginning of its path; the first that fits.
_FILES = (
    ("tests/cipark_sd/commands/test_sensitivity", "sensitivity"),
    ("tests/cipark_sd/commands/policy/", "policy"),
    ("tests/cipark_sd/analysis/experiments/", "policy"),
    ("tests/cipark_sd/pages/figures/test_plotting_policies", "policy"),
    ("tests/cipark_sd/verify/checks/", "check"),
    ("tests/calibration/new_study/", "new_study"),
    ("tests/calibration/", "calibrate"),
    ("tests/", "run"),
)
_TEST = re.compile(r"^== (.*)$", re.MULTILINE)
_BETWEEN = "\n--\n"
_numbers: dict[str, "count[int]"] = {}


def approved(said: object) -> None:
    """Compare a text, or several, with what was approved at this place of the running test."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    place = next(_numbers.setdefault(test, count()))
    text = said if isinstance(said, str) else "\n".join(map(str, said)) if isinstance(said, Iterable) else str(said)
    # without trailing blanks, and without the folder of the test, by whose name a study may be called
    text = re.sub(r"/[^\s'\"]*/pytest-[^\s/]+/(?:popen-gw\d+/)?[^\s/]+/", "", text)
    text = re.sub(r"\btest_\w*\d\b", "FOLDER", text)
    text = "\n".join(map(str.rstrip, text.splitlines())).strip("\n")
    file = FOLDER / f"{next(name for start, name in _FILES if test.startswith(start))}.txt"
    texts = read(file)
    if os.environ.get(WRITE):
        texts[test] = [*(texts.get(test, [])[:place] if place else []), text]
        _write(file, texts)
    known = texts.get(test, [])
    assert place < len(known), f"no approved text; {WRITE}=1 writes it:\n{text}"
    assert text == known[place], f"another text than the approved one; {WRITE}=1 writes it"


@cache
def read(file: Path) -> dict[str, list[str]]:
    """The texts of a file, by test."""
    parts = _TEST.split(file.read_text(encoding="utf-8")) if file.is_file() else [""]
    return {test: body.strip("\n").split(_BETWEEN) for test, body in zip(parts[1::2], parts[2::2], strict=True)}


def _write(file: Path, texts: dict[str, list[str]]) -> None:
    file.parent.mkdir(exist_ok=True)
    body = "\n\n".join(f"== {test}\n{_BETWEEN.join(some)}" for test, some in sorted(texts.items()))
    file.write_text(body + "\n", encoding="utf-8")
