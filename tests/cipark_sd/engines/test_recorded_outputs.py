"""The field's common suite of test models, beside what Vensim and Stella recorded of them: a test a file.

``CIPARK_TEST_MODELS`` names the suite's folder (SDXorg's test-models); without it nothing here runs. The numbers that
matter most stand in the corpus too, which every copy of the project has.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT, script

FOLDER = os.environ.get("CIPARK_TEST_MODELS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="CIPARK_TEST_MODELS names no folder")


#: The script that counts public files.
tool = script(ROOT / "tools" / "public_files.py")
SUITE = replace(tool.suites()[0], folder=FOLDER)
FILES = {file.name: file for file in (tool.files_of(SUITE, Path(), {}) if FOLDER else [])}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:.*is never closed")
def test_a_model_of_the_suite_gives_what_its_vendor_recorded(name: str) -> None:
    """Every recorded column within 1e-5 of its largest number, or within the tolerance of the notes, which say why."""
    file = FILES[name]
    found = tool.outcome(file, "native")
    assert found.word == (file.notes.state or ("agrees" if file.recorded else "runs")), found.detail


def test_every_note_is_of_a_file_and_says_why() -> None:
    assert set(SUITE.notes) <= set(FILES)
    assert [name for name, notes in SUITE.notes.items() if not notes.why and notes.record is None] == []


def test_what_agrees_does_not_get_fewer() -> None:
    """Texts with a record, each once."""
    agree = [name for name, file in FILES.items() if file.recorded and file.notes.state in ("", "agrees")]
    assert sum(name.endswith(".mdl") for name in agree) >= 145
    assert sum(not name.endswith(".mdl") for name in agree) >= 60
