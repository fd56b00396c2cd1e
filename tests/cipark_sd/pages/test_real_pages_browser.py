"""The pages of a fit, a sensitivity and a policy analysis, and all of them as one, in a real browser."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import AXE, CHROMIUM, DRIVER, axe_violations
from command_line import cipark
from matplotlib.image import imread
from places import ROOT
from small_study import POLICIES, small_study

pytest.importorskip("selenium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"),
]
PAGES = ("fit/report.html", "sensitivity/report.html", "policy/report.html", "all.html")
CALLS = (
    ("calibrate", ".", "--fast", "--posterior", "-o", "fit"),
    ("sensitivity", ".", "--rows", "64", "--resamples", "20", "-o", "sensitivity"),
    ("policy", ".", "--runs", "60", "-o", "policy"),
    ("report", "fit", "sensitivity", "policy", "-o", "all.html"),
    ("policy", "clinic", "-o", "clinic/out"),
    ("play", ".", "-o", "play.html"),
)
#: Pages of their own kind, with a style of their own.
OTHERS = ("clinic/out/what_next.html", "play.html")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with the pages that its commands have left."""
    path = tmp_path_factory.mktemp("pages")
    small_study(path)
    (path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    (path / "clinic").mkdir()
    document = (ROOT / "docs" / "how-to" / "what_next.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\n(.*?)```", document, flags=re.DOTALL):
        (path / "clinic" / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for call in CALLS:
            done = cipark(*call, standalone_mode=False)
            assert done.exception is None, done.output
    return path


@contextmanager
def screen(driver: Any, width: int) -> Iterator[None]:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def opened(driver: Any, page: Path) -> None:
    """Open a page anew, and wait for the model in it, where there is one."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get("about:blank")
    driver.get(page.as_uri())
    driver.execute_script("document.querySelectorAll('.first details').forEach((d) => (d.open = true))")
    ready = (
        "const f = document.querySelector('iframe'); const d = f && f.contentDocument;"
        "return !f || Boolean(d && d.querySelector('#now') && d.querySelector('#now').textContent)"
    )
    WebDriverWait(driver, 30).until(lambda _: driver.execute_script(ready))


#: Of phones, tablets, halves of a screen, a notebook's frame, and a screen.
WIDTHS = (320, 390, 600, 768, 816, 900, 1024, 1400)
#: Texts of twelve letters or more in a box on whose lines twelve do not find room; heads of columns, and what is for
#: screen readers alone, are small by intent.
TEXTS = ".first *, .say *, .ans *, .options tbody th, #levers *, dl *, h1, h2, h3, p, li, figcaption"
CRAMPED = """
const clipped = (e) => e && (getComputedStyle(e).clipPath !== "none" || clipped(e.parentElement));
const context = document.createElement("canvas").getContext("2d"), found = [];
for (const e of document.querySelectorAll(arguments[0])) {
  const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent).join("").trim();
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (text.length < 12 || e.closest("svg, thead") || clipped(e) || style.display === "inline" || !box.height) continue;
  context.font = `${style.fontSize} ${style.fontFamily}`;
  if (box.width < context.measureText("n".repeat(12)).width) found.push(`${Math.round(box.width)} px: ${text}`);
}
return found;
"""


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_no_text_is_squeezed_and_no_page_wider_than_its_window(driver: Any, folder: Path, page: str) -> None:
    for width in WIDTHS:
        with screen(driver, width):
            opened(driver, folder / page)
            assert driver.execute_script(CRAMPED, TEXTS) == [], width
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    planted = "document.querySelector('.fold dl, dl, .ans, #levers').style.width = '20px'"
    driver.execute_script(planted)
    assert driver.execute_script(CRAMPED, TEXTS) != []


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: .ci/run says how")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_on_the_pages_of_commands(driver: Any, folder: Path, page: str, width: int) -> None:
    with screen(driver, width):
        opened(driver, folder / page)
        # axe-core has complaints of its own about frames of a file
        assert driver.get_log("browser") == []
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert axe_violations(driver) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        frames = driver.find_elements("css selector", "iframe")
        assert len(frames) == (page in ("fit/report.html", "all.html"))
        for frame in frames:
            driver.switch_to.frame(frame)
            assert axe_violations(driver) == []
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
            driver.switch_to.default_content()
    driver.get_log("browser")


@pytest.mark.parametrize("page", PAGES)
def test_tables_can_be_read_on_a_phone(driver: Any, folder: Path, page: str) -> None:
    """Captions stay in sight, heads are whole words, and names of rows stay while numbers move."""
    with screen(driver, 390):
        opened(driver, folder / page)
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        moved = "document.querySelectorAll('.wide').forEach((w) => (w.scrollLeft = 1000));"
        outside = (
            "const out = (e) => { const r = e.getBoundingClientRect(); return r.left < -1 || r.right > 391; };"
            "return [...document.querySelectorAll('caption > span, tbody th')].filter(out).map((e) => e.textContent)"
        )
        for before in ("", moved):
            assert driver.execute_script(before + outside) == []
        broken = (
            "return [...document.querySelectorAll('thead th')]"
            ".filter((e) => getComputedStyle(e).overflowWrap !== 'normal' || e.scrollWidth > e.clientWidth + 1)"
            ".map((e) => e.textContent)"
        )
        assert driver.execute_script(broken) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_read_by_keyboard_alone(driver: Any, folder: Path, page: str) -> None:
    """The skip link first, details open, regions that scroll are reached and have names, and the focus is seen."""
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    with screen(driver, 390):
        opened(driver, folder / page)
        if page == "fit/report.html":
            # its levers write what they show into the address once they are there
            WebDriverWait(driver, 20).until(lambda d: "#show=" in d.current_url)
        active = "const e = document.activeElement; "
        driver.find_element("css selector", "body").send_keys(Keys.TAB)
        place = driver.execute_script(active + "return [e.className, e.getBoundingClientRect().left >= 0]")
        assert place == ["skip", True]
        outline = (
            "return getComputedStyle(e).outlineStyle !== 'none' && parseFloat(getComputedStyle(e).outlineWidth) >= 2"
        )
        assert driver.execute_script(active + outline)
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        assert driver.current_url.endswith("#content")
        summaries = driver.find_elements("css selector", "summary")
        assert summaries
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = false))")
        for summary in summaries[:1]:
            driver.execute_script("arguments[0].focus()", summary)
            summary.send_keys(Keys.ENTER)
            assert driver.execute_script("return arguments[0].parentElement.open", summary)
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        scrolled = driver.execute_script(
            "return [...document.querySelectorAll('*')].filter((e) => e.scrollWidth > e.clientWidth + 1"
            " && getComputedStyle(e).overflowX === 'auto').map((e) => [e.tabIndex, e.getAttribute('role'),"
            " Boolean(e.getAttribute('aria-label'))])"
        )
        assert scrolled
        assert set(map(tuple, scrolled)) == {(0, "region", True)}
        names = driver.execute_script(
            "return [...document.querySelectorAll('[role=region]')].map((e) => e.getAttribute('aria-label'))"
        )
        assert len(set(names)) == len(names)
        wide = driver.execute_script(
            "return [...document.querySelectorAll('.wide')].find((e) => e.scrollWidth > e.clientWidth + 50)"
        )
        driver.execute_script("arguments[0].focus()", wide)
        wide.send_keys(Keys.ARROW_RIGHT)
        WebDriverWait(driver, 10).until(lambda _: driver.execute_script("return arguments[0].scrollLeft", wide) > 0)


def test_a_wide_table_uses_the_room_of_a_wide_screen(driver: Any, folder: Path) -> None:
    with screen(driver, 1400):
        opened(driver, folder / "fit" / "report.html")
        driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        widths = driver.execute_script("return [...document.querySelectorAll('.wide')].map((w) => w.offsetWidth)")
        assert min(widths) >= 928
        assert 928 < max(widths) <= 1400 / 2 + 28 * 16
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 1400


@pytest.mark.parametrize("page", PAGES)
def test_in_print_the_answer_begins_under_the_title(driver: Any, folder: Path, page: str) -> None:
    opened(driver, folder / page)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        of = "return getComputedStyle(document.querySelector('{}')).{}"
        assert driver.execute_script(of.format(".first", "breakInside")) == "auto"
        for before in ("h1", ".identity", "h2", "caption", "summary"):
            if driver.find_elements("css selector", before):
                assert driver.execute_script(of.format(before, "breakAfter")) == "avoid", before
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("page", PAGES)
def test_each_page_begins_with_its_answer_and_every_figure_says_a_number(driver: Any, folder: Path, page: str) -> None:
    driver.get((folder / page).as_uri())
    first = "return [...document.querySelector('main').children].find((e) => e.tagName !== 'H1').className"
    assert driver.execute_script(first) == "first"
    alternatives = driver.execute_script("return [...document.querySelectorAll('img')].map((i) => i.alt)")
    assert alternatives
    # what has no lines or named rows to tell says what it shows, and no more
    silent = [text for text in alternatives if not any(character.isdigit() for character in text)]
    assert len(silent) <= len(alternatives) / 2, silent
    kinds = driver.execute_script("return [...document.querySelectorAll('img')].map((i) => i.src.slice(5, 18))")
    assert set(kinds) == {"image/svg+xml"}


def test_a_lever_within_the_report_moves_the_number_and_the_link_restores_it(driver: Any, folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    report = folder / "fit" / "report.html"
    opened(driver, report)
    unfold = "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    driver.execute_script(unfold)
    driver.switch_to.frame(driver.find_element("css selector", "iframe.player"))
    # of a fit without draws one run is made, and by the page itself
    if driver.execute_script("return navigator.hardwareConcurrency > 1 && page.structures[0].runs > 1"):
        WebDriverWait(driver, 20).until(lambda _: driver.execute_script("return workers !== null"))
    before = driver.find_element("id", "number").text
    driver.find_element("css selector", "#levers input[type=range]").send_keys(Keys.END)
    WebDriverWait(driver, 20).until(lambda _: driver.find_element("id", "number").text != before)
    # while a lever moves the number is of half the draws
    WebDriverWait(driver, 20).until(lambda _: driver.execute_script("return !waiting && !speaking"))
    after = driver.find_element("id", "number").text
    driver.switch_to.default_content()
    WebDriverWait(driver, 20).until(lambda _: "set=" in driver.current_url)
    link = driver.current_url
    assert link.startswith(report.as_uri())
    driver.get("about:blank")
    driver.get(link)
    driver.execute_script(unfold)
    driver.switch_to.frame(driver.find_element("css selector", "iframe.player"))
    WebDriverWait(driver, 30).until(lambda _: driver.find_element("id", "number").text == after)
    driver.switch_to.default_content()
    assert driver.get_log("browser") == []


def test_the_figure_is_seen_whole_and_in_print_without_the_model(driver: Any, folder: Path) -> None:
    size = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened(driver, folder / "fit" / "report.html")
    bottom = "return document.querySelector('.fold figure img').getBoundingClientRect().bottom"
    display = "return ['figure', '.player'].map((s) => getComputedStyle(document.querySelector('.first ' + s)).display)"
    try:
        assert driver.execute_script(bottom) < 900
        assert driver.execute_script(display) == ["block", "inline"]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert driver.execute_script(display) == ["block", "none"]
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def lightness(driver: Any) -> float:
    """The mean of all pixels of the window, from black (0) to white (1)."""
    return float(np.mean(imread(io.BytesIO(driver.get_screenshot_as_png()))[..., :3]))


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_a_page_is_dark_where_the_reader_prefers_that_and_its_player_too(driver: Any, folder: Path, page: str) -> None:
    with screen(driver, 1024):
        opened(driver, folder / page)
        frames = driver.find_elements("css selector", "iframe")
        for light in (True, False):
            wanted = [{"name": "prefers-color-scheme", "value": "light" if light else "dark"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
            assert (lightness(driver) > 0.7) == light
            assert (lightness(driver) < 0.3) != light
            for frame in frames:
                driver.execute_script("arguments[0].scrollIntoView()", frame)
                assert (lightness(driver) < 0.35) != light
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
