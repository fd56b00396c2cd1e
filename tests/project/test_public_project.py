"""What people and machines look for in a public project."""

import re
import tomllib

from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == PROJECT["version"]


def test_the_citation_names_version_and_licence_of_the_package() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    facts = dict(re.findall(r'^([a-z-]+): "?(.*?)"?$', text, flags=re.MULTILINE))
    assert facts["version"] == PROJECT["version"]
    assert facts["license"] == PROJECT["license"]
    assert [author["name"] for author in PROJECT["authors"]] == re.findall(r'name: "(.*)"', text)[:1]


def test_the_workflow_tries_each_python_that_the_package_names() -> None:
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    named = [entry.rpartition(" ")[2] for entry in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", entry)]
    (row,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"3\.\d+", row) == named


def test_nothing_says_to_install_the_package_from_an_index() -> None:
    """It is on none, so that the command would install what somebody else puts there."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    paths += [path for package in ("cipark_sd", "calibration") for path in (ROOT / package).rglob("*.py")]
    pattern = re.compile(r"pip install[^\n`]*cipark[-_]sd")
    assert [path.name for path in paths if pattern.search(path.read_text(encoding="utf-8"))] == []
