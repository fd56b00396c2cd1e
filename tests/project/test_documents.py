"""What the documents say runs: code blocks of the README and the two commands that CI reads from it."""

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import cipark
from places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_the_readme_s_python_runs(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  (our own document)
    assert "Beta" in capsys.readouterr().out
    # a lower rate of infection has a lower peak: 298 boys were in bed
    assert 50 < float(names["fewer"].median()) < 250


#: What the pages call "my model": a population that grows and pools in two regions, in years.
MY_MODEL = """{UTF-8}
Region: East, West ~~|
Population = INTEG(births - deaths, 100) ~ person ~ |
births = Population * birth rate ~ person/Year ~ |
deaths = Population * death rate ~ person/Year ~ |
birth rate = 0.03 ~ 1/Year ~ |
death rate = 0.01 ~ 1/Year ~ |
Water[Region] = INTEG(-Water[Region] / Pool[Region], 1) ~ m ~ |
Pool[Region] = 3, 5 ~ Year ~ |
INITIAL TIME = 2020 ~ Year ~ |
FINAL TIME = 2030 ~ Year ~ |
TIME STEP = 0.25 ~ Year ~ |
SAVEPER = 1 ~ Year ~ |
"""


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("how-to/running", lambda names: float(names["run"]["population"][-1]) > 100),
        ("reference/engines", lambda names: 0 < float(names["error"]["population"]) < 1),
        (
            "how-to/sensitivity",
            lambda names: float(names["indices"]["ST"].sel(time=2030, parameter="birth rate").max()) > 0.5,
        ),
    ],
)
def test_the_python_of_a_page_runs_on_a_model_of_its_own(
    page: str, made: Callable[[dict[str, Any]], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text("utf-8"), flags=re.DOTALL)
    (tmp_path / "my.mdl").write_text(MY_MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, f"docs/{page}.md", "exec"), names)  # noqa: S102  (our own document)
    assert made(names)


@pytest.mark.parametrize("marker", ["main job", "tests"])
def test_the_readme_has_both_commands_where_ci_looks_for_them(marker: str) -> None:
    assert re.search(rf"<!-- {marker} -->\n```bash\n[^\n]+\n```", README)


def test_the_walk_through_of_a_new_study_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "tutorial" / "studies.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\n(.*?)```", page, flags=re.DOTALL):
        Path(name).write_text(text, encoding="utf-8")
    shown = re.findall(r"<!-- run -->\n```\n\$ cipark ([^\n]*)\n(.*?)```", page, flags=re.DOTALL)
    assert len(shown) == 2
    for command, output in shown:
        assert cipark(*shlex.split(command), code=None).output == output


PAGES = sorted(page.relative_to(ROOT).as_posix() for page in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("path", PAGES)
def test_links_to_files_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)]+)\)", text) if "://" not in t and not t.startswith("#")]
    assert [target for target in targets if not ((ROOT / path).parent / target).exists()] == []


#: Pages that say where something stands.
KINDS_OF_PAGES = ("docs/explanation/", "docs/reference/", "docs/how-to/")
#: What the recipes of extending.md add.
ADDED = {
    "cipark_sd/engines/single.py",
    "calibration/noise/families/laplace.py",
    "calibration/report/sections/misfits.py",
}
SOURCES = {
    path.relative_to(ROOT).as_posix()
    for top in ("cipark_sd", "calibration", "tests", "tools", "benchmarks")
    for path in (ROOT / top).rglob("*")
}


def lost(text: str) -> list[str]:
    """Files and folders of the packages, tests and tools that a text names in backticks and that are not there.

    A path may leave out its package and its folders, as of a file that stands beside one named before.
    """
    names = re.findall(
        r"`([\w./-]+\.(?:pyi?|js|css)|(?:cipark_sd|calibration|tests|tools|benchmarks|engines)/[\w./-]+)`", text
    )
    return [name for name in names if name not in ADDED and not any(_ends(path, name.rstrip("/")) for path in SOURCES)]


def _ends(path: str, name: str) -> bool:
    """Whether a path is that of the name; a name with folders is whole, but for its package."""
    return (
        path == name
        or ("/" in name and path.partition("/")[2] == name)
        or ("/" not in name and path.endswith(f"/{name}"))
    )


@pytest.mark.parametrize("path", [path for path in PAGES if path.startswith(KINDS_OF_PAGES)])
def test_files_of_the_packages_that_a_page_names_are_there(path: str) -> None:
    assert lost((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "name", ["fit/threshold.py", "cipark_sd/xml_tree.py", "gone.js", "engines/none", "tests/texte"]
)
def test_a_file_that_is_gone_is_seen(name: str) -> None:
    assert lost(f"In `report/collect.py`, `kernel.js` and `{name}`.") == [name]


def test_no_file_holds_both_sides_of_a_merge() -> None:
    marks = ("<" * 7, ">" * 7)
    kinds = {".py", ".md", ".toml", ".mdl", ".xmile", ".csv"}
    files = [
        p for p in ROOT.rglob("*") if p.suffix in kinds and not any(q[0] == "." for q in p.relative_to(ROOT).parts)
    ]
    torn = [p for p in files if any(x.startswith(marks) for x in p.read_text("utf-8", "replace").splitlines())]
    assert torn == []


def test_the_park_s_finding_is_the_same_in_readme_and_studies() -> None:
    """It is the title of the pages of both studies, so that a reader finds the same words there and here."""
    text = " ".join(README.split())
    for name in ("great_stone", "great_stone_core"):
        content = tomllib.loads((ROOT / "calibration" / "studies" / name / "problem.toml").read_text(encoding="utf-8"))
        assert content["report"]["finding"] in text


def test_the_readme_fits_two_screens() -> None:
    assert len(README.splitlines()) <= 80
