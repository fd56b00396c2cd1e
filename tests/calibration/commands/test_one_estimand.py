"""All commands on one study: an estimand has one number and one class on every page, each console its approved text."""

import json
import re
import shutil
from pathlib import Path

import pytest
from approved import approved
from command_line import cipark
from one_number import faults, places
from small_study import POLICIES, small_study
from undrawn import undraw

ASKED = '[[prediction]]\nname = "left at the end"\nvariable = "left"\nat = 8\n'
CALLS = {
    "calibrate": ("--fast", "--posterior", "--no-profiles"),
    "policy": ("--runs", "60"),
    "sensitivity": ("--rows", "32", "--resamples", "20"),
    "play": ("--runs", "20"),
}
PAGES = ("leaving", "leaving-policy", "leaving-sensitivity", "leaving-play.html")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of output, and what each command printed."""
    path = tmp_path_factory.mktemp("one")
    (path / "leaving").mkdir()
    small_study(path / "leaving", ASKED)
    (path / "leaving" / "policies.toml").write_text(POLICIES, encoding="utf-8")
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        undraw(patch)
        for command, options in CALLS.items():
            done = cipark(command, "leaving", *options, standalone_mode=False)
            assert done.exception is None, done.output
            printed[command] = done.stdout
    return path / "cipark-output", printed


def said_twice(*found: Path) -> list[str]:
    return list(faults([place for path in found for place in places(path)]))


def test_an_estimand_has_one_number_and_one_class_on_all_pages(
    made: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, printed = made
    for command, text in printed.items():
        (tmp_path / f"{command}.txt").write_text(text, encoding="utf-8")
    texts = sorted(tmp_path.glob("*.txt"))
    assert said_twice(*(folder / name for name in PAGES), *texts) == []
    page, other = folder / "leaving-policy" / "report.json", tmp_path / "other"
    records = json.loads(page.read_text(encoding="utf-8"))["headlines"]
    levels = json.loads((folder / "leaving" / "report.json").read_text(encoding="utf-8"))["headlines"]
    # all but a forecast of numbers to be observed
    assert all(record["judged"] for record in levels if not record["estimand"].startswith("observation"))
    assert levels[0]["judged"] == "informed"
    # the priors give the sign of a slower and of a faster pace: they are no headlines
    assert not {"Half the pace", "Twice the pace"} & {record["title"] for record in records}
    # another number and another class of one estimand, anywhere
    shutil.copytree(folder / "leaving", other)
    for before, after in (
        (f'"number": {levels[0]["number"]!r}', '"number": 12.5'),
        ('"judged": "informed"', '"judged": "built in"'),
    ):
        text = (folder / "leaving" / "report.json").read_text(encoding="utf-8")
        assert before in text
        (other / "report.json").write_text(text.replace(before, after, 1), encoding="utf-8")
        assert said_twice(folder / "leaving", other)


@pytest.mark.parametrize("command", CALLS)
def test_what_a_command_prints_is_approved(made: tuple[Path, dict[str, str]], command: str) -> None:
    approved(re.sub(r"\d+ kB", "SIZE", made[1][command]))
