"""The page that plays a model in a real browser, opened from disk: what a reader does, and what comes of it."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import AXE, CHROMIUM, DRIVER, axe_violations
from command_line import cipark

from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of as contents_of_study
from calibration.study import DEFAULT_STUDY, STUDIES
from cipark_sd.data.scenarios import Scenario, read_scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.player.of_model import contents_of
from cipark_sd.pages.player.page import render
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.statements.standing import SHOWN

selenium = pytest.importorskip("selenium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"),
]

SIR = """{UTF-8}
Susceptible = INTEG(-infections, 999) ~ person ~ |
Infectious = INTEG(infections - recovering, 1) ~ person ~ |
infections = Contacts * Susceptible * Infectious / 1000 ~ person/Day ~ |
recovering = Infectious / Duration ~ person/Day ~ |
Contacts = 0.6 ~ 1/Day [0,3] ~ |
Duration = 5 ~ Day [1,20] ~ |
INITIAL TIME = 0 ~ Day ~ |
FINAL TIME = 60 ~ Day ~ |
TIME STEP = 0.25 ~ Day ~ |
SAVEPER = 1 ~ Day ~ |
"""
HOSTILE = "</script><img src=x onerror=alert(1)>"


class Browser:
    """A page and what a reader does with it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, hash_: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(path.resolve().as_uri() + hash_)
        self.until("return !document.getElementById('page').hidden || !document.getElementById('fatal').hidden")
        if self.run("return document.getElementById('fatal').hidden"):
            self.rest()

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda _: self.run(script))

    def rest(self) -> None:
        """Wait until what was moved is drawn, written into the address and said."""
        self.until("return !waiting && !speaking")

    def find(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def click(self, name: str) -> None:
        """Bring an element into view and click it; nothing may lie over it."""
        element = self.driver.find_element("css selector", name if name.startswith("[") else f"#{name}")
        self.run("arguments[0].scrollIntoView({block: 'nearest'})", element)
        element.click()

    def press(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def slide(self, name: str, value: float) -> None:
        """Move a slider as a hand does."""
        self.run(
            "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
            "s.dispatchEvent(new Event('input', {bubbles: true}))",
            name,
            value,
        )

    def move(self, place: int, value: float) -> None:
        """Move a lever and wait."""
        self.slide(f"lever{place}", value)
        self.rest()

    @property
    def value(self) -> float:
        """The number in the answer, in full."""
        return float(self.find("now").get_attribute("value"))

    @property
    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    found = Browser(driver)
    yield found
    assert found.complaints == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("player")


@pytest.fixture(scope="module")
def sir(folder: Path) -> Path:
    """The page of a small model, beside the model."""
    (folder / "sir.mdl").write_text(SIR, encoding="utf-8")
    path = folder / "sir.html"
    contents = contents_of(read_model(folder / "sir.mdl"), "sir.mdl", variables=["Infectious", "Susceptible"])
    contents = replace(contents, at=60.0)
    path.write_text(render(contents), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def flu(folder: Path) -> Path:
    """The page of a study that has not been fitted."""
    path = folder / "flu.html"
    contents = contents_of_study(Settings(folder=STUDIES / "flu_1978", draws="prior", runs=50))
    path.write_text(render(contents), encoding="utf-8")
    return path


def test_a_lever_shows_what_the_report_says_of_its_constant(browser: Browser, sir: Path, folder: Path) -> None:
    """Each class has its word and its icon; a constant that was not fitted has none."""
    browser.open(sir)
    assert browser.run("return document.querySelectorAll('.note .cls').length") == 0
    shown = browser.run(
        "return Object.keys(page.rule.standings).map((standing, i) => {"
        "const {row} = leverRow({...page.levers[0], standing}, 90 + i), badge = row.querySelector('.note .cls');"
        "return [standing, badge.textContent, badge.className, badge.parentElement.title]; })"
    )
    assert shown == [
        [standing, standing.capitalize(), f"cls {'assumed' if kind == 'built in' else kind}", f"{sentence}."]
        for standing, (kind, sentence) in SHOWN.items()
    ]
    assert ["not found", "Not found", "cls undecided", "Whether the data narrow this was not found."] in shown


def lever_places(browser: Browser) -> dict[str, int]:
    return {lever["title"]: i for i, lever in enumerate(browser.run("return page.levers"))}


def expected(folder: Path, values: dict[str, float], at: float, variable: str = "infectious") -> float:
    run = simulate(read_model(folder / "sir.mdl"), Scenario("", dict(values)), save=[variable])
    return float(run[variable].sel(time=at))


def test_a_lever_moves_the_curve_to_the_value_that_a_run_prints(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    assert browser.value == expected(sir.parent, {}, 60)
    before = browser.run("return document.getElementById('chart').innerHTML")
    places = lever_places(browser)
    browser.move(places["Contacts"], 1.2)
    browser.move(places["Duration"], 8)
    assert browser.value == expected(sir.parent, {"Contacts": 1.2, "Duration": 8.0}, 60)
    assert browser.run("return document.getElementById('chart').innerHTML") != before
    course = browser.run("return Array.from(view().courses[0])")
    run = simulate(read_model(sir.parent / "sir.mdl"), Scenario("", {"Contacts": 1.2, "Duration": 8.0}))
    np.testing.assert_array_equal(course, run["infectious"].to_numpy())
    assert re.search(r"\([\d,.]+ persons? (more|less) than as in the file\)", browser.find("number").text)
    browser.click("reset")
    browser.rest()
    assert browser.value == expected(sir.parent, {}, 60)
    assert "than" not in browser.find("number").text, "nothing is moved"


def test_where_the_data_end_a_line_parts_the_figure(browser: Browser, sir: Path, flu: Path) -> None:
    browser.open(sir)
    assert "data end" not in browser.find("chart").text
    browser.run("page.dataEnd = 30; return refresh()")
    browser.rest()
    assert {"data end", "forecast"} <= set(browser.find("chart").text.splitlines())
    edge, left, right = browser.run(
        "const a = document.querySelector('#chart [stroke=\"#5a4590\"]'), b = document.querySelector('#chart line');"
        "return [a, b, b].map((line, i) => Number(line.getAttribute(i === 2 ? 'x2' : 'x1')))"
    )
    assert edge == pytest.approx((left + right) / 2)
    browser.open(flu)
    # a table of 14 days
    assert browser.run("return page.dataEnd") == 14


def test_in_a_frame_there_is_one_title_and_one_scroll_bar(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    title = "return document.querySelector('h1').getBoundingClientRect().width"
    assert browser.run(title) > 20
    outer = sir.with_name("outer.html")
    outer.write_text(f"<h1>Outer</h1><iframe height=200 srcdoc='{escape(sir.read_text())}'></iframe>", encoding="utf-8")
    browser.driver.get(outer.resolve().as_uri())
    inner = "const f = document.querySelector('iframe'), d = f.contentDocument;"
    browser.until(
        f"{inner} return d.getElementById('page') && !d.getElementById('page').hidden && f.clientHeight > 300"
    )
    height, needed = browser.run(
        f"{inner} return [f.clientHeight, d.querySelector('main').getBoundingClientRect().bottom]"
    )
    assert height >= needed
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe"))
    assert browser.run(title) <= 1
    browser.driver.switch_to.default_content()


def test_keys_alone_move_a_lever_choose_an_output_and_pin(browser: Browser, sir: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(sir)
    browser.run("document.body.focus()")
    reached = []
    for _ in range(40):
        browser.press(Keys.TAB)
        name = browser.run("return document.activeElement.id || document.activeElement.textContent")
        reached.append(name)
        if name == "lever0":
            break
    assert reached[0] == "Go to the levers"
    assert "lever0" in reached
    shown = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert shown != "none"
    browser.press(Keys.ARROW_RIGHT)
    browser.rest()
    lever = browser.run("return page.levers[0]")
    base = browser.run("return baseOf(page.levers[0])")
    assert browser.run("return state.levers")[lever["id"]] == pytest.approx(base + lever["step"])
    assert browser.value == expected(sir.parent, {lever["title"]: base + lever["step"]}, 60)
    browser.run("document.querySelector('#outcomes input:checked').focus()")
    browser.press(Keys.ARROW_RIGHT)
    browser.rest()
    assert browser.find("question").text.startswith("Susceptible at Day 60")
    browser.run("document.getElementById('pin').focus()")
    browser.press(Keys.ENTER)
    browser.rest()
    assert browser.find("compare").is_displayed()


def test_bad_values_are_said_and_change_nothing(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    place = lever_places(browser)["Contacts"]
    box, before = browser.find(f"box{place}"), browser.value
    for text, said in (
        ("7", "Contacts: 7 lies outside 0 to 3; the figure keeps as in the file."),
        ("-", "Contacts: what is written is no number; the figure keeps as in the file."),
        ("", "Contacts: what is written is no number; the figure keeps as in the file."),
    ):
        box.clear()
        box.send_keys(text or " ")
        assert browser.find(f"wrong{place}").text == said
        assert box.get_attribute("aria-invalid") == "true"
        assert browser.value == before
    box.clear()
    box.send_keys("1.25")
    browser.rest()
    assert browser.find(f"wrong{place}").text == ""
    assert browser.value == expected(sir.parent, {"Contacts": 1.25}, 60)


def test_a_setting_without_numbers_shows_none(browser: Browser, folder: Path) -> None:
    (folder / "stages.mdl").write_text(
        "{UTF-8}\nOrder = 3 ~ Dmnl [1,9] ~ |\nlate = DELAY N(1, 4, 0, Order) ~~|\nS = INTEG(late, 0) ~~|\n"
        "INITIAL TIME = 1 ~ Day ~ |\nFINAL TIME = 9 ~ Day ~ |\nTIME STEP = 0.25 ~ Day ~ |\nSAVEPER = 1 ~ Day ~ |\n"
    )
    path = folder / "stages.html"
    path.write_text(render(contents_of(read_model(folder / "stages.mdl"), "stages.mdl", levers=["Order"])))
    browser.open(path)
    browser.slide("lever0", 6)
    browser.until("return !document.getElementById('problem').hidden")
    assert "6 stages; this file was made with 3" in browser.find("problem").text
    assert browser.find("number").text == browser.find("answer").text.strip() == "—"
    assert browser.run("return document.getElementById('chart').childNodes.length") == 0
    browser.click("reset")
    browser.rest()
    assert not browser.find("problem").is_displayed()


def test_pinned_scenarios_are_compared_and_a_link_restores_everything(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    places = lever_places(browser)
    for contacts in (1.0, 2.0, 3.0):
        browser.move(places["Contacts"], contacts)
        browser.click("pin")
        browser.rest()
    assert not browser.find("pin").is_enabled()
    browser.slide("when", 20)
    browser.rest()
    table = browser.find("table").text
    for name, contacts in (("A", 1), ("B", 2), ("C", 3)):
        change = expected(sir.parent, {"Contacts": float(contacts)}, 20) - expected(sir.parent, {}, 20)
        said = browser.run("return saidChange(arguments[0], 0, {...page.outcomes[0], units: ''})", change)
        # two levels never stand beside a contrast: only the first row has one
        assert re.search(rf"^{name}\b", table, re.M)
        assert said in table
    browser.move(places["Contacts"], 0.9)
    browser.click("link")
    browser.until("return !document.getElementById('copied').hidden")
    link = browser.find("copied").get_attribute("value")
    value = browser.value
    assert value == expected(sir.parent, {"Contacts": 0.9}, 20)
    browser.open(sir, "#" + link.split("#")[1])
    assert browser.value == value
    assert browser.run("return state.pins.map((pin) => [pin.name, pin.levers.contacts])") == [
        ["A", 1],
        ["B", 2],
        ["C", 3],
    ]
    assert browser.find(f"box{places['Contacts']}").get_attribute("value") == "0.9"
    browser.click("[aria-label='Remove scenario B']")
    browser.rest()
    assert browser.run("return state.pins.map((pin) => pin.name)") == ["A", "C"]


def test_a_link_of_another_page_is_taken_as_far_as_it_goes(browser: Browser, sir: Path) -> None:
    browser.open(sir, "#show=nothing&at=999&set=contacts=7&set=what=1&set=duration=9&pin={&structure=4")
    said = browser.find("news").text
    for part in (
        "there is no output nothing",
        "there is no time 999",
        "Contacts: 7 lies outside 0 to 3",
        "there is no lever what",
        "a pinned scenario cannot be read",
        "there is no structure 4",
    ):
        assert part in said
    assert browser.value == expected(sir.parent, {"Duration": 9.0}, 60)


def test_the_command_and_the_scenario_file_give_the_number_of_the_page(
    browser: Browser, sir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open(sir)
    browser.move(lever_places(browser)["Contacts"], 1.7)
    browser.click("command")
    browser.until("return !document.getElementById('copied').hidden")
    words = shlex.split(browser.find("copied").get_attribute("value"))
    assert words[:2] == ["cipark", "run"]
    monkeypatch.chdir(sir.parent)
    cipark(*words[1:], "-o", "out.csv")
    last = Path("out.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")
    assert float(last[1]) == browser.value
    text = browser.run("return scenarioFile(state, page, estimate(), 'x')")
    Path("s.toml").write_text(text, encoding="utf-8")
    assert read_scenario("s.toml").overrides == {"contacts": 1.7}
    table = browser.run("return csv()").splitlines()
    assert table[0] == '"time","Infectious","Infectious as in the file"'
    assert float(table[-1].split(",")[1]) == browser.value


def test_text_of_a_model_is_text(browser: Browser, folder: Path) -> None:
    (folder / "hostile.mdl").write_text(
        f'{{UTF-8}}\n"{HOSTILE}" = 2 ~ {HOSTILE} [0,4] ~ {HOSTILE} |\n'
        f'"=S{HOSTILE}" = INTEG("{HOSTILE}", 0) ~ {HOSTILE} ~ |\n'
        f"INITIAL TIME = 0 ~ {HOSTILE} ~ |\nFINAL TIME = 4 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"
    )
    path = folder / "hostile.html"
    path.write_text(render(contents_of(read_model(folder / "hostile.mdl"), f"{HOSTILE}.mdl", title=HOSTILE)))
    browser.open(path)
    browser.move(0, 3)
    browser.click("pin")
    browser.rest()
    browser.click("command")
    browser.rest()
    assert browser.find("title").text == HOSTILE
    assert browser.run("return document.querySelectorAll('img, script:not(#data)').length") == 1
    assert browser.run("return csv().split('\\n')[0]").startswith('"time","\'=S')


def test_a_page_with_other_numbers_shows_none(browser: Browser, sir: Path, folder: Path) -> None:
    text = sir.read_text(encoding="utf-8")
    digest = re.search(r'"digest":"([0-9a-f]{64})"', text)
    assert digest
    other = digest[1][:-1] + ("0" if digest[1][-1] != "0" else "1")
    path = folder / "tampered.html"
    path.write_text(text.replace(f'"digest":"{digest[1]}"', f'"digest":"{other}"'), encoding="utf-8")
    browser.open(path)
    assert "gives other numbers than the native engine" in browser.find("fatal").text
    assert not browser.find("page").is_displayed()
    assert not re.search(r"\d", browser.find("fatal").text)


def test_a_study_without_a_fit_says_prior_across_its_figure_and_its_estimate_can_be_run(
    browser: Browser, flu: Path, folder: Path
) -> None:
    browser.open(flu)
    assert "PRIOR" in browser.run("return document.getElementById('chart').textContent")
    assert "PRIOR" in browser.find("basis").text
    assert browser.find("limit").is_displayed()
    assert browser.find("class").text == "Assumed by the model"
    assert "No data have been used." in browser.find("say").text
    # the count at the date that is read
    browser.run("state.at = kernel.times.findIndex((t) => t >= page.outcomes[0].seen[5].time); refresh()")
    seen = browser.run("return page.outcomes[0].seen[5]")
    assert re.search(rf"Reported: {seen['low']:.0f} ", browser.find("say").text)
    assert browser.run("return document.querySelectorAll('#chart circle').length") >= 14
    browser.move(lever_places(browser)["Beta"], 2.0)
    assert re.search(r"(more|fewer|less).* \(90%: ", browser.find("number").text)
    assert "Beta 2" in browser.find("question").text
    estimate = browser.run("const {reading} = view(); return reading.estimate")
    text = browser.run("return scenarioFile(state, page, estimate(), 'x')")
    (folder / "flu.toml").write_text(text, encoding="utf-8")
    (model,) = (path for path in (STUDIES / "flu_1978").iterdir() if path.stem == "model")
    run = simulate(read_model(model), read_scenario(folder / "flu.toml"), save=["Infected"])
    at = browser.run("return kernel.times[state.at]")
    assert float(run["infected"].sel(time=at)) == estimate


#: The numbers of the page with levers, run by a worker or by the page; `levers` takes the middle of each.
MIDDLES = "const levers = Object.fromEntries(page.levers.map((lever) => [lever.id, (lever.low + lever.high) / 2]));"


def test_runs_of_any_number_of_workers_have_the_bits_of_the_page_itself(browser: Browser, flu: Path) -> None:
    browser.open(flu)
    found = browser.driver.execute_async_script(
        f"const done = arguments[0]; {MIDDLES} const found = [];"
        "(async () => { for (const count of [2, 3, 7]) for (const last of [4, page.last])"
        "for (const some of [{}, levers]) {"
        "const values = valuesOf(some, 0), { runs } = page.structures[0], made = await Workers.of(kernel, count);"
        "const known = kernel.run(values, runs, { last }), numbers = await made.run(values, runs, last);"
        "found.push(known.length === numbers.length && known.every((value, i) => Object.is(value, numbers[i])));"
        "} done([found, page.structures[0].runs]); })()"
    )
    assert found == [[True] * 12, 51]


def test_with_workers_the_page_itself_runs_nothing_and_the_last_of_many_moves_stays(
    browser: Browser, flu: Path
) -> None:
    browser.open(flu)
    browser.run("Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 }); if (!workers) hire()")
    browser.until("return workers !== null")
    browser.run(
        "window.own = []; const run = kernel.run;"
        "kernel.run = function () { own.push(1); return run.apply(this, arguments); }"
    )
    browser.click("pin")
    browser.rest()
    for share in (0.2, 0.4, 0.6, 0.5):
        for place in (0, 1):
            value = browser.run(
                "const { low, high } = page.levers[arguments[0]]; return low + arguments[1] * (high - low)",
                place,
                share,
            )
            browser.slide(f"lever{place}", value)
    browser.rest()
    assert browser.find("shares").find_elements("css selector", "tr")
    answer = browser.find("answer").text
    assert browser.run("return own.length") == 0
    moved = browser.run("return state.levers")
    assert len(moved) == 2
    known = browser.run(
        "kept.clear(); workers = null; const { reading } = view();return [String(reading.levels[2]), "
        "saidLevels(reading.levels, page.outcomes[state.outcome], true)]"
    )
    assert browser.find("now").get_attribute("value") == known[0]
    assert all(said in answer for said in known[1])
    assert browser.run("return own.length") > 0


def test_a_lever_that_moves_shows_every_second_draw_and_all_at_rest(browser: Browser, folder: Path) -> None:
    path = folder / "many.html"
    contents = contents_of_study(Settings(folder=STUDIES / "flu_1978", draws="prior", runs=200))
    path.write_text(render(contents), encoding="utf-8")
    browser.open(path)
    browser.run(
        "window.shown = []; const before = show; window.show = (levers, asked, of, pause) => {"
        "before(levers, asked, of, pause); const { draws, base } = view(levers, of).reading;"
        "shown.push([of, [...draws], [...base.middle]]); }"
    )
    browser.move(0, browser.run("return (page.levers[0].low + 2 * page.levers[0].high) / 3"))
    # what was drawn may be drawn once more where the answer changed its height
    (some, half, base), *_, (every, draws, base_at_rest) = browser.run("return shown")
    assert (some, every) == ("some", "all")
    assert len(draws) == 200
    assert half == draws[::2]
    assert base == base_at_rest
    assert browser.value == browser.run("return view().reading.levels[2]")


def test_where_workers_are_refused_the_page_gives_the_same_numbers(browser: Browser, flu: Path, folder: Path) -> None:
    path = folder / "alone.html"
    text = flu.read_text(encoding="utf-8")
    assert "worker-src blob:" in text
    path.write_text(text.replace("worker-src blob:", "worker-src 'none'"), encoding="utf-8")
    numbers = []
    for page in (flu, path):
        browser.open(page)
        browser.move(0, browser.run("return (page.levers[0].low + 2 * page.levers[0].high) / 3"))
        numbers.append([browser.find("answer").text, browser.find("shares").text, browser.value])
    assert browser.run("return workers") is None
    assert all("Content Security Policy" in complaint for complaint in browser.complaints)
    assert numbers[0] == numbers[1]


def test_every_structure_of_the_park_is_chosen_linked_and_in_the_range(browser: Browser, folder: Path) -> None:
    from selenium.webdriver.support.ui import Select

    path = folder / "park.html"
    request = Settings(folder=STUDIES / DEFAULT_STUDY, draws="prior", runs=10)
    contents = contents_of_study(request)
    path.write_text(render(contents), encoding="utf-8")
    browser.open(path)
    titles = [structure.title for structure in contents.structures]
    browser.run("document.getElementById('structures').open = true")
    menu = Select(browser.find("structure"))
    assert [option.text for option in menu.options] == titles
    # priors are those of all structures
    assert browser.run("return page.draws.length") == 1
    levers = {"cmg_entry_date": 2016.5, "fund_size": 600.0}
    ids = browser.run("return page.levers.map((lever) => lever.id)")
    # an output whose numbers are the model's own, not those that were counted
    browser.run("state.outcome = page.outcomes.findIndex(({ name }) => name === 'total_entrants'); refresh()")
    for name, value in levers.items():
        browser.move(ids.index(name), value)
    base, moved = [
        {
            structure.title: ensemble(
                contents.model,
                dict(structure.draws),
                save=["Total Entrants"],
                times=[browser.run("return kernel.times[state.at]")],
                scenario=contents.scenario | structure.scenario | Scenario("", values),
            )["total_entrants"].to_numpy()[:, 0]
            for structure in contents.structures
        }
        for values in ({}, levers)
    ]
    differences = [float(np.median(moved[title] - base[title])) for title in titles]
    changes = browser.run(
        "return saidChanges(arguments[0], arguments[1], page.outcomes[state.outcome])",
        min(differences),
        max(differences),
    )
    said = f"Over {len(titles)} structures: {changes} (medians)."
    assert browser.find("beside").text == said
    for place in (3, len(titles) - 1):
        menu.select_by_index(place)
        browser.rest()
        assert browser.value == differences[place]
        assert browser.find("beside").text == said
    browser.click("pin")
    browser.rest()
    answer = browser.find("answer").text
    browser.open(path, browser.run("return location.hash"))
    assert browser.find("answer").text == answer
    browser.run("document.getElementById('structures').open = true")
    assert Select(browser.find("structure")).first_selected_option.text == titles[-1]
    assert titles[-1] in browser.find("table").text
    # a newer move ends what an older one has begun, and no range of other levers stays beside it
    beside = browser.driver.execute_async_script(
        "const [place, done] = arguments, slider = document.getElementById(`lever${place}`); slider.value = 200;"
        "slider.dispatchEvent(new Event('input', { bubbles: true }));"
        "const look = () => (waiting ? setTimeout(look, 1) : done(document.getElementById('beside').textContent));"
        "look();",
        ids.index("fund_size"),
    )
    assert beside == ""
    browser.rest()
    assert browser.find("beside").text.endswith("(medians).")


@pytest.mark.parametrize("page", ["sir", "flu"])
def test_nothing_is_wider_than_a_phone_and_the_answer_stays_in_view(
    browser: Browser, page: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(page)
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(path)
        browser.click("pin")
        browser.rest()
        assert browser.run("return document.documentElement.scrollWidth") == 390
        # more outcomes than a phone has room for are reached by pushing them aside
        browser.run("document.querySelectorAll('.tabs label').forEach((label) => { label.style.minWidth = '20rem'; })")
        assert browser.run("return document.documentElement.scrollWidth") == 390
        sizes = browser.run(
            "return Array.from(document.querySelectorAll('#chart text'), (t) => +t.getAttribute('font-size'))"
        )
        assert min(sizes) >= 12
        browser.run("document.querySelector('#levers li:last-child').scrollIntoView({block: 'end'})")
        for name in ("answer", "chart"):
            assert browser.run(
                "const r = document.getElementById(arguments[0]).getBoundingClientRect();"
                "return r.top >= 0 && r.bottom <= innerHeight",
                name,
            ), name
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_control_has_a_name(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    browser.click("pin")
    browser.rest()
    nameless = browser.run(
        "return Array.from(document.querySelectorAll('input, button, select, textarea, a, summary')).filter((e) => "
        "!(e.getAttribute('aria-label') || (e.labels && e.labels.length) || e.textContent.trim()))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []
    assert browser.run("return document.querySelector('#chart').getAttribute('role')") == "img"
    said = browser.find("caption").get_attribute("textContent")
    assert said.startswith("Infectious from 1 at Day 0 to ")


def test_causes_are_read_from_one_run_at_the_estimate_and_lead_to_their_own(
    browser: Browser, sir: Path, flu: Path
) -> None:
    browser.open(sir)
    assert browser.find("whytext").text.startswith(
        "Infectious is changed by 2 variables. One run as in the file, read at"
    )
    whole = "return document.querySelector('main').innerText.match(/best fit|\\bas fitted/g)"
    # nothing was fitted here, nor of a study before its fit; of a fit it is said
    assert browser.run(whole) is None
    assert browser.run("page.base = 'as fitted'; return atWhat()") == "at the best fit"
    browser.open(flu)
    assert "One run as assumed, read at" in browser.find("whytext").get_attribute("textContent")
    browser.open(sir)
    browser.move(lever_places(browser)["Duration"], 8)
    assert "The levers move infections, recovering. " in browser.find("whytext").text
    recovering = expected(sir.parent, {"Duration": 8.0}, 60, "recovering")
    words = browser.run("return Array.from(document.querySelectorAll('#causes p'), (p) => p.textContent)")
    told, before = browser.run(
        "return [told(arguments[0]), told(arguments[1])]", recovering, expected(sir.parent, {}, 60, "recovering")
    )
    assert f"recovering flow{told} persons/Day; as in the file {before} persons/Day" in words
    course = browser.run("return Array.from(tracedCourses(tracing.variables.get('recovering'), state.levers, 0)[0])")
    run = simulate(read_model(sir.parent / "sir.mdl"), Scenario("", {"Duration": 8.0}), save=["recovering"])
    np.testing.assert_array_equal(course, run["recovering"].to_numpy())
    browser.click("[aria-label='Why recovering?']")
    assert browser.find("whytext").text.startswith(
        "recovering is computed from 2 variables. The levers move Infectious, Duration"
    )
    assert browser.run("return document.activeElement.id") == "whyof"
    words = browser.run("return Array.from(document.querySelectorAll('#causes p'), (p) => p.textContent)")
    assert "Duration lever8 Days; as in the file 5 Days" in words
    # the link keeps what is asked about
    browser.open(sir, browser.run("return location.hash"))
    assert browser.find("whytext").text.startswith("recovering is computed")
    browser.open(sir, "#why=nothing")
    assert "there is no variable nothing" in browser.find("news").text


def test_each_lever_has_its_share_alone_and_last_and_the_rest_is_shown(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    assert not browser.find("sharesection").is_displayed()
    places = lever_places(browser)
    browser.slide("when", 20)
    browser.move(places["Contacts"], 0.7)
    browser.move(places["Duration"], 6)
    base, both = (expected(sir.parent, v, 20) for v in ({}, {"Contacts": 0.7, "Duration": 6.0}))
    contacts, duration = (expected(sir.parent, v, 20) for v in ({"Contacts": 0.7}, {"Duration": 6.0}))
    found = browser.run(
        "const {total, bars, rest} = sharesOf(state.levers);"
        "return [total, bars.map((b) => [b.lever.title, b.alone, b.last]), rest]"
    )
    bars = {"Contacts": [contacts - base, both - duration], "Duration": [duration - base, both - contacts]}
    assert found[0] == both - base
    assert {name: rest for name, *rest in found[1]} == bars
    assert found[2] == pytest.approx(both - base - (contacts - base) - (duration - base), rel=1e-12)
    text = browser.find("shares").text
    for value in (both - base, found[2], *bars["Contacts"], *bars["Duration"]):
        assert browser.run("return change(arguments[0])", value) in text
    assert "all levers together change it by " in browser.find("sharetext").text


def test_the_diagram_carries_the_numbers_of_the_run(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    texts = (
        "return Array.from(document.querySelectorAll('#map .place'),"
        "(g) => Array.from(g.querySelectorAll('text'), (t) => t.textContent))"
    )
    told = browser.run("return told(arguments[0])", expected(sir.parent, {}, 60))
    assert ["Infectious", told] in browser.run(texts)
    assert "are shown in rows" in browser.find("maptext").text
    browser.move(lever_places(browser)["Contacts"], 0.7)
    told = browser.run("return told(arguments[0])", expected(sir.parent, {"Contacts": 0.7}, 60))
    sign = "▲" if expected(sir.parent, {"Contacts": 0.7}, 60) > expected(sir.parent, {}, 60) else "▼"
    assert ["Infectious", f"{sign} {told}"] in browser.run(texts)
    assert "without the levers, which have moved 4 of the 4 that are shown" in browser.find("maptext").text


def test_behind_a_name_of_the_diagram_lies_its_course_with_and_without_levers(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    paths = (
        "return Array.from(document.querySelectorAll('#map .place'))"
        ".find((g) => g.textContent.startsWith('Infectious'))"
        ".querySelectorAll('.course path[fill=none]').values().map((p) => p.getAttribute('d')).toArray()"
    )

    def is_drawn(path: str, values: dict[str, float]) -> bool:
        heights = [float(point.split(",")[1]) for point in re.split("[ML]", path)[1:]]
        run = simulate(read_model(sir.parent / "sir.mdl"), Scenario("", values), save=["infectious"])
        course = run["infectious"].to_numpy()
        # upwards is less, and a picture has one decimal
        shares = (max(heights) - np.array(heights)) / np.ptp(heights)
        return np.allclose(shares, (course - course.min()) / np.ptp(course), atol=0.005)

    (alone,) = browser.run(paths)
    assert is_drawn(alone, {})
    browser.move(lever_places(browser)["Contacts"], 0.7)
    now, base = browser.run(paths)
    assert is_drawn(now, {"Contacts": 0.7})
    assert is_drawn(base, {})
    assert not is_drawn(now, {})


def test_causes_with_other_numbers_than_the_native_engines_are_not_shown(
    browser: Browser, sir: Path, folder: Path
) -> None:
    text = sir.read_text(encoding="utf-8")
    (place,) = re.finditer(r'"set":\{\},"digest":"([0-9a-f]{64})"', text)
    other = place[1][:-1] + ("0" if place[1][-1] != "0" else "1")
    path = folder / "causes.html"
    path.write_text(text.replace(place[1], other), encoding="utf-8")
    browser.open(path)
    assert "gives other numbers than the native engine" in browser.find("whymissing").text
    assert not browser.find("whybody").is_displayed()
    assert not browser.find("mapsection").is_displayed()
    assert browser.value == expected(sir.parent, {}, 60)


def test_a_page_is_printed_with_its_answer_and_without_its_controls(browser: Browser, sir: Path) -> None:
    browser.open(sir)
    browser.move(lever_places(browser)["Contacts"], 0.7)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for name in ("answer", "chart", "limit", "sharesection", "chosen", "map"):
            assert browser.find(name).is_displayed(), name
        for name in ("lever0", "reset", "link", "when", "whole"):
            assert not browser.find(name).is_displayed(), name
        # A4 with Chromium's margins of a centimetre each
        size = {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.run("return document.documentElement.scrollWidth") <= 718
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: .ci/run says how")
@pytest.mark.parametrize("page", ["sir", "flu"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_on_the_player(
    browser: Browser, page: str, width: int, request: pytest.FixtureRequest
) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(request.getfixturevalue(page))
        browser.move(0, browser.run("return (page.levers[0].low + 2 * page.levers[0].high) / 3"))
        browser.click("pin")
        browser.rest()
        assert axe_violations(browser.driver) == []
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_picture_and_tables_are_saved(browser: Browser, sir: Path, tmp_path: Path) -> None:
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.open(sir)
    for name in ("toml", "csv", "png"):
        browser.click(name)
        browser.until(f"return document.getElementById('news').textContent === 'sir-scenario.{name} is saved.'")
    for _ in range(100):
        if len(list(tmp_path.glob("sir-scenario.*"))) == 3 and not list(tmp_path.glob("*.crdownload")):
            break
        browser.run("return new Promise((done) => setTimeout(done, 100))")
    assert (tmp_path / "sir-scenario.png").read_bytes().startswith(b"\x89PNG")
    assert read_scenario(tmp_path / "sir-scenario.toml").overrides == {}
    assert len((tmp_path / "sir-scenario.csv").read_text().splitlines()) == 62


#: What a notebook gives a widget, as anywidget documents it: get, set, save_changes, on and off of a model.
NOTEBOOK = """<!doctype html><meta charset="utf-8"><title>cells</title><div id="cell"></div>
<script type="module">
const source = %s, state = %s, hear = {};
const model = {
  get: (name) => state[name],
  set: (name, value) => {
    if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
    state[name] = value;
    (hear[`change:${name}`] ?? []).forEach((one) => one());
  },
  save_changes: () => (window.saved = JSON.stringify(state.levers)),
  on: (name, one) => (hear[name] ??= []).push(one),
  off: () => {},
};
window.model = model;
const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
(await import(url)).default.render({ model, el: document.getElementById("cell") });
</script>"""


def test_a_notebook_hears_the_levers_and_sets_them(driver: Any, tmp_path: Path) -> None:
    (tmp_path / "sir.mdl").write_text(SIR)
    page = render(contents_of(read_model(tmp_path / "sir.mdl"), "sir.mdl"))
    script = files("cipark_sd.pages.player").joinpath("widget.js").read_text(encoding="utf-8")
    state = {"page": page, "title": "play", "style": "width: 100%", "levers": {"Contacts": 1.5}}
    host = tmp_path / "host.html"
    host.write_text(NOTEBOOK % (json.dumps(script), json.dumps(state).replace("<", "\\u003c")), encoding="utf-8")
    browser = Browser(driver)
    driver.get(host.as_uri())
    address = driver.current_url
    # what Python had set before the page came
    browser.until("return window.saved === '{\"Contacts\":1.5}'")
    driver.switch_to.frame(driver.find_element("css selector", "iframe"))
    browser.rest()
    place = browser.run("return page.levers.findIndex(({ set }) => set[0] === 'Duration')")
    browser.move(place, 10)
    assert browser.run("return document.getElementById('link').hidden")
    shown = browser.value
    driver.switch_to.default_content()
    assert json.loads(browser.run("return saved")) == {"Contacts": 1.5, "Duration": 10}
    assert driver.current_url == address, "the address of the notebook is the notebook's"
    # and what it sets while the page is there; a value out of the range is refused
    browser.run("model.set('levers', { Contacts: 99, Duration: 12 })")
    browser.until("return window.saved === '{\"Duration\":12}'")
    browser.run("model.set('levers', { Contacts: 1.5, Duration: 10 })")
    driver.switch_to.frame(driver.find_element("css selector", "iframe"))
    browser.until("return Object.keys(state.levers).length === 2")
    browser.rest()
    assert browser.value == shown
    driver.switch_to.default_content()
    assert not browser.complaints
