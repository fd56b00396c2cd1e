"""The pages of reference that the site makes: nothing public is missing, and a docstring is read as it is written."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import AXE, CHROMIUM, DRIVER, axe_violations, chromium
from places import ROOT

import cipark_sd
from cipark_sd.commands.cli import cli

#: Where ``tools/site.py`` has built the site; ``.ci/run`` says so.
SITE = os.environ.get("CIPARK_SITE", "")


@pytest.fixture(scope="module")
def pages() -> Any:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools" / "reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_and_command_has_its_part(pages: Any) -> None:
    page = pages.api()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == sorted(
        cipark_sd.__all__, key=str.casefold
    )
    for line in ("### Study.fit", "### Fit.report" if "### Fit.report" in page else "### Study.save"):
        assert f"\n{line}\n" in page
    assert "- `save` (sequence of str, optional): Variables by any spelling of their names" in page
    assert ":class:" not in page
    commands = pages.commands()
    for name in cli.commands if hasattr(cli, "commands") else ():
        assert f"## cipark {name}\n" in commands
    assert "| `--method [" in commands


def test_keys_are_those_that_readers_ask_for(pages: Any) -> None:
    tables = {part.partition("\n")[0]: part for part in pages.keys().split("\n### ")}
    assert "| `starts` | whole number | 100 |" in tables["[method]"]
    assert "| `family` |" in tables["[parameter.prior]"]
    assert "| `kind` |" in tables["[[observation]]"]


def test_a_docstring_is_read_as_numpy_writes_it(pages: Any) -> None:
    text = "What.\n\n>>> 1 + 1\n2\n\nParameters\n----------\na : int\n    Of :func:`~x.y`,\n    ``b``.\n"
    assert (
        pages.markdown(text) == "What.\n\n```pycon\n>>> 1 + 1\n2\n```\n\n**Parameters**\n\n- `a` (int): Of `x.y`, `b`."
    )


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.browser
@pytest.mark.skipif(not SITE, reason="no site was built: .ci/run says how")
@pytest.mark.skipif(AXE is None or CHROMIUM is None or DRIVER is None, reason="no browser or no axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_site(driver: Any, scheme: str) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    # that of an address which is not there asks a server for its style
    paths = [path for path in sorted(Path(SITE).resolve().rglob("*.html")) if path.name != "404.html"]
    assert len(paths) > 50
    violations = {}
    for path in paths:
        driver.get(path.as_uri())
        violations[path.name] = axe_violations(driver)
    assert {name: rules for name, rules in violations.items() if rules} == {}
