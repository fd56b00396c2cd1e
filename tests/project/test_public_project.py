"""What people and machines look for in a public project."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping

import pytest
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


#: Files that name addresses, and what marks one that is to come (RFC 2606: no address ends so).
ADDRESSES = ("pyproject.toml", "SECURITY.md", "tools/conda/meta.yaml")
TO_COME = re.compile(r"\.invalid\b|\"invalid\"")


def unfinished(texts: Mapping[str, str], citation: str, tags: Iterable[str]) -> list[str]:
    """What a release may not have, of a version that has its tag."""
    if f"v{PROJECT['version']}" not in tags:
        return []
    lacking = [name for name, text in texts.items() if TO_COME.search(text)]
    return lacking + ([] if re.search(r"^date-released: \d", citation, re.MULTILINE) else ["CITATION.cff"])


def test_a_release_has_addresses_and_a_date() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("tags are in a repository of git")
    tags = subprocess.run(["git", "tag"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in ADDRESSES}
    assert unfinished(texts, (ROOT / "CITATION.cff").read_text(encoding="utf-8"), tags) == []


def test_a_tag_forbids_addresses_that_are_to_come() -> None:
    tag = f"v{PROJECT['version']}"
    texts = {"SECURITY.md": "write to security@x.invalid", "b": "https://x.org", "c": 'sha256: "invalid"'}
    assert unfinished(texts, "version: 1", [tag]) == ["SECURITY.md", "c", "CITATION.cff"]
    assert unfinished(texts, "version: 1", ["v0.0.1"]) == []
    assert unfinished({"b": "an invalid file"}, "date-released: 2026-12-03", [tag]) == []


def test_security_names_an_address() -> None:
    assert re.search(r"write to \S+@\S+\.\w+", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def test_the_recipe_of_conda_asks_for_what_the_package_asks_for() -> None:
    recipe = (ROOT / "tools" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    rows = re.findall(r"^    - (.+)$", recipe.partition("  run:")[2].partition("test:")[0], re.MULTILINE)
    expected = [f"python {PROJECT['requires-python']}"]
    for needed in PROJECT["dependencies"]:
        name, bounds = re.match(r"([\w-]+)(?:\[\w+\])?(.*)", needed).groups()  # type: ignore[union-attr]
        expected.append(f"{'matplotlib-base' if name == 'matplotlib' else name} {bounds}")
    assert rows == expected
    assert f'version = "{PROJECT["version"]}"' in recipe
    assert f"cipark = {PROJECT['scripts']['cipark']}" in recipe
