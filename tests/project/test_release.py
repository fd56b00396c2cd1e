"""One version in all places that say it, so that a tag can follow."""

import re
import tomllib

from places import ROOT


def test_the_version_is_that_of_the_changelog_and_of_the_citation() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    (cited,) = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert heads[0] == version == cited
