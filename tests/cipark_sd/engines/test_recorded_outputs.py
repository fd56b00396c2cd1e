"""The field's common suite of test models, beside what Vensim and Stella recorded of them: a test a file.

``CIPARK_TEST_MODELS`` names the suite's folder (SDXorg's test-models); without it nothing here runs. The numbers that
matter most stand in the corpus too, which every copy of the project has.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

SUITE = os.environ.get("CIPARK_TEST_MODELS", "")
pytestmark = pytest.mark.skipif(not SUITE, reason="CIPARK_TEST_MODELS names no folder")


def _tool() -> ModuleType:
    """The script that makes the page of coverage; the library that is called so is another one."""
    spec = importlib.util.spec_from_file_location("model_coverage", ROOT / "tools" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tool = _tool()
NOTES = tool.read_notes(ROOT / "tools" / "sdxorg.toml")


def _files() -> list[str]:
    """The files of the suite, those that are the same text in two spellings of the ending once."""
    seen: dict[str, str] = {}
    for path in tool.model_files(Path(SUITE)) if SUITE else []:
        seen.setdefault(tool.text_of(path), path.relative_to(SUITE).as_posix())
    return sorted(seen.values())


FILES = _files()


def _recorded(file: str) -> bool:
    return tool.recorded(Path(SUITE) / file, NOTES.get(file, tool.Notes()).record) is not None


@pytest.mark.parametrize("file", FILES)
@pytest.mark.filterwarnings("ignore:.*is never closed")
def test_a_model_of_the_suite_gives_what_its_vendor_recorded(file: str, tmp_path: Path, monkeypatch) -> None:
    """Every recorded column within 1e-5 of its largest number, or within the tolerance of the notes, which say why."""
    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path))
    notes = NOTES.get(file, tool.Notes())
    found = tool.outcome(Path(SUITE) / file, notes, "native")
    wanted = notes.state if notes.state == "refused" or _recorded(file) else "runs"
    assert found.word == wanted, found.detail


def test_every_note_is_of_a_file_and_says_why() -> None:
    known = {path.relative_to(SUITE).as_posix() for path in tool.model_files(Path(SUITE))}
    assert set(NOTES) <= known
    assert [file for file, notes in NOTES.items() if not notes.why and notes.record is None] == []


def test_what_agrees_does_not_get_fewer() -> None:
    """Files with a record, those of XMILE that are the same text in two folders counted twice."""
    agree = [f for f in FILES if _recorded(f) and NOTES.get(f, tool.Notes()).state == "agrees"]
    assert sum(file.endswith(".mdl") for file in agree) >= 145
    assert sum(not file.endswith(".mdl") for file in agree) >= 68
