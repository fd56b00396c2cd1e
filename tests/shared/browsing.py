"""Debian's Chromium under Selenium, and the checks of axe-core.

axe-core (MPL 2.0) is not part of the project: ``.ci/run`` fetches it from npm into the environment's folder.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from places import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


def _axe() -> Path | None:
    path = Path(os.environ.get("CIPARK_AXE") or ROOT / ".venv/axe/package/axe.min.js")
    return path if path.is_file() else None


AXE = _axe()


@contextmanager
def chromium(width: int = 1280, height: int = 1000) -> Iterator[Any]:
    """A browser without a window that keeps what pages complain of."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def axe_violations(driver: Any) -> list[str]:
    """What axe-core holds against the page that is open: rule, and the elements."""
    assert AXE is not None
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    driver.set_script_timeout(60)
    violations = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
        ".then((r) => done(r.violations), (e) => done([{id: String(e), nodes: []}]))"
    )
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in violations]
