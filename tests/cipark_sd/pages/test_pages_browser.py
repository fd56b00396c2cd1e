"""The pages of commands in a real browser: axe-core's checks, a phone, and print."""

from pathlib import Path
from typing import Any

import pytest
from browsing import AXE, CHROMIUM, DRIVER, axe_violations

from cipark_sd.pages.blocks import FirstScreen, Folded, Listing, Page, Paragraph, Picture, Section, Table
from cipark_sd.pages.page import write_page

pytest.importorskip("selenium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"),
]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000000000500015a2d"
    "b4040000000049454e44ae426082"
)
WIDE = Table(
    ("name", *(f"a column with a long head {i}" for i in range(9)), ""),
    tuple((name, *(f"{i}.123456" for i in range(9)), "words") for name in ("rabbits", "foxes")),
    "Numbers of all kinds.",
)
NAME = "const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent"
PICTURE = Picture("course.png", "Over time.", "Rabbits fall from 9 to 3.")
FOLDED = Folded("R-hat and others", (Paragraph("R-hat 1.01"), WIDE, PICTURE))
EVERY = Page(
    "Rabbits and foxes",
    "Model foxes (abc), seed 1.",
    (
        Section("In short", (FirstScreen("How many?", "rabbits: 3", "3.", "Why.", "All.", picture=PICTURE),)),
        Section("Posterior", (Paragraph("Posterior draws."), Paragraph("Not converged.", warning=True), WIDE, PICTURE)),
        Section(
            "Statistics", (Folded("R-hat and others", (Paragraph("R-hat 1.01"), WIDE, PICTURE)), Listing(("a", "b")))
        ),
    ),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "course.png").write_bytes(PIXEL)
    write_page(EVERY, folder)
    return folder / "report.html"


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: .ci/run says how")
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_on_a_page_with_every_kind_of_block(driver: Any, report: Path, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver.get(report.as_uri())
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert axe_violations(driver) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_is_folded_is_open_in_print(driver: Any, report: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get("about:blank")
    driver.get(report.as_uri())
    shown = "return document.querySelector('details p').checkVisibility()"
    assert not driver.execute_script(shown)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        WebDriverWait(driver, 20).until(lambda _: driver.execute_script(shown))
        assert driver.execute_script("return getComputedStyle(document.querySelector('.skip')).display") == "none"
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_table_is_moved_by_keys_and_a_word_leads_to_its_meaning(driver: Any, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.get(report.as_uri())
    driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    reached = []
    for _ in range(30):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(driver.execute_script(NAME))
        if reached[-1].startswith("Table"):
            break
    assert reached[0] == "Go to the content"
    assert reached[-1] == "Table 1.1: Numbers of all kinds."
    driver.find_element("css selector", "a.word").click()
    meaning = driver.execute_script("return document.querySelector(location.hash).nextElementSibling.textContent")
    assert meaning.startswith("what is likely once the data are used")
    assert driver.get_log("browser") == []
