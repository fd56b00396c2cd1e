"""The question that is asked of a study: read as records spell it, answered first, handed on with the fit."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from numpy.typing import NDArray
from small_study import POLICIES, small_study

from calibration.commands.for_analyses.fitted_study import find_fit
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings
from calibration.report.sections import answer
from calibration.report.sections.course import Course, course, course_words
from calibration.study.asked import asked_event, read_about
from calibration.study.problem import CalibrationProblem, read_problem, with_question
from cipark_sd.base.errors import CiparkError
from cipark_sd.data.readings import Maximum
from cipark_sd.language.read.model_file import read_model
from cipark_sd.statements.headline import Bounds

PREDICTION = '[[prediction]]\nname = "slower"\nvariable = "left"\nat = "8"\nagainst = { pace = 2 }\n'


@pytest.fixture
def problem(tmp_path: Path) -> CalibrationProblem:
    return small_study(tmp_path, PREDICTION)


@pytest.mark.parametrize(
    ("question", "about", "first"),
    [
        ("RATE", "parameter rate", "slower"),
        ("stock at 6", "stock at 6", "stock at 6"),
        ("maximum of stock at 12", "maximum of stock at 12", "maximum of stock at 12"),
        ("first-below 30 of stock at 12", "first-below 30 of stock at 12", "first-below 30 of stock at 12"),
        ("first above 5 of left at 3", "first-above 5 of left at 3", "first above 5 of left at 3"),
        ("Slower", "left at 8, change from pace = 2", "slower"),
        ("left at 8, change from pace = 2", "left at 8, change from pace = 2", "slower"),
        (
            "left at 8, with pace = 0.5, change from pace = 2",
            "left at 8, with pace = 0.5, change from pace = 2",
            "left at 8, with pace = 0.5, change from pace = 2",
        ),
    ],
)
def test_a_question_is_an_estimand_or_a_name(
    problem: CalibrationProblem, question: str, about: str, first: str
) -> None:
    of = with_question(problem, question, where="--about")
    assert (of.about, of.predictions[0].name) == (about, first)
    # its own spelling asks the same
    again = with_question(problem, of.about.removeprefix("parameter "), where="--about")
    assert again.about == of.about
    kept, first_of = again.predictions[0], of.predictions[0]
    assert (kept.parts, kept.reading) == (first_of.parts, first_of.reading)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("rte", "--about has no variable 'rte'; did you mean 'rate'"),
        ("stok at 6", "--about has no variable 'stok'; did you mean 'stock'?"),
        ("stock", "a variable with its date, such as 'stock at 12'"),
        ("pace", "a constant that is fitted, such as size"),
        ("stock at noon", "the date is 'noon', expected a date such as 2019-12-31, or a number"),
        ("stock at -3", "expected a time from 0 on"),
        ("first-below of stock at 6", "expected a threshold, as in 'first-below 10 of stock'"),
        ("first-below ten of stock at 6", "the threshold is 'ten', expected a number"),
        ("left at 8, change from rate = 2", "expected a constant that is not estimated"),
        ("left at 8, change from pace", "expected constants with their values, as in 'Rent = 2'"),
        ("left at 8, change from pace = fast", "pace is 'fast', expected a number"),
    ],
)
def test_a_question_about_nothing_is_one_error(problem: CalibrationProblem, question: str, said: str) -> None:
    with pytest.raises(CiparkError) as caught:
        with_question(problem, question, where="--about")
    assert said in str(caught.value)


def test_the_title_answers_and_what_follows_the_fit_has_its_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "leaving"
    study.mkdir()
    problem = small_study(study)
    monkeypatch.chdir(tmp_path)
    done = cipark("calibrate", str(study), "--about", "stock at 6", "--fast", "--no-player")
    finding = done.stdout.splitlines()[0]
    folder = tmp_path / "cipark-output" / "leaving"
    fit = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    assert fit["about"] == "stock at 6"
    # what is left of an exponential decay in steps of an eighth
    size, rate = (fit["parameters"][name] for name in ("size", "rate"))
    left = size * (1 - rate / 8) ** 48
    assert finding.startswith(f"Finding\tleaving: Stock at 6: {left:.0f} firms (95%: ")
    at_hand = find_fit(problem, folder)
    assert at_hand is not None
    assert at_hand.problem.about == "stock at 6"
    assert at_hand.problem.predictions[0].name == "stock at 6"
    cipark("calibrate", str(study), "--about", "stok", "--fast", code=2)
    # a policy page is about the same stock at the same time, which its catalogue does not have
    (study / "policies.toml").write_text(POLICIES, encoding="utf-8")
    lines = cipark("policy", str(study), "--part", "effects").stdout
    known = dict(line.split("\t", 1) for line in lines.splitlines() if "\t" in line)
    answer = finding.partition("leaving: ")[2]
    assert (
        f"Asked of the fit: {answer}." in (known["Known"], known["Not known"])[fit["classes"]["stock at 6"] != "known"]
    )
    assert "stock at 6 [firm]" in lines
    half = size * (1 - rate / 16) ** 48 - left
    assert f"Half the pace\tpace from 1 to 0.50\t+{half:.0f}" in lines


def test_without_draws_and_profiles_the_best_fit_answers_and_a_misfit_keeps_the_number(tmp_path: Path) -> None:
    small_study(tmp_path)
    made = calibrate(Settings(tmp_path, about="stock at 6", profiles=False, posterior=False, starts=2))
    findings = Findings(fit_findings(made))
    size, rate = made.optimum.theta
    value = size * (1 - rate / 8) ** 48
    assert answer.first_screen(findings).title == f"Stock at 6: {value:.4g} firms, by the best fit"
    (record,) = (record for record in answer.leading(findings) if record.estimand == "stock at 6")
    doubted = replace(
        record, interval=Bounds(30.0, 40.0, 0.9, "x"), prior=Bounds(1.0, 99.0, 0.9, "x"), doubt="the model misses"
    )
    said = f"stock at 6 ({doubted.brief}): another structure of the model may give other values"
    assert answer._not_known_words([doubted], "stock at 6") == said
    assert answer._not_known_words([doubted]) == said.replace(f" ({doubted.brief})", "")


def test_a_study_keeps_its_question_and_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    small_study(tmp_path)
    path = tmp_path / "problem.toml"
    path.write_text(f'about = "rate"\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    assert read_problem(tmp_path).about == "parameter rate"
    made = calibrate(Settings(tmp_path, about="size", profiles=False, posterior=False, starts=2))
    assert made.problem.about == "parameter size"
    path.write_text(path.read_text(encoding="utf-8").replace('"rate"', '"rte"', 1), encoding="utf-8")
    with pytest.raises(CiparkError, match=r"about in .*problem\.toml has no variable 'rte'; did you mean 'rate'"):
        read_problem(tmp_path)


HUMP = """{UTF-8}
first = INTEG(-a, size) ~ firm ~ |
second = INTEG(a - b, 0) ~ firm ~ |
a = first * rate ~ firm/year ~ |
b = second * rate ~ firm/year ~ |
size = 100 ~ firm ~ |
rate = 0.5 ~ 1/year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 12 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.0625 ~ year ~ |
"""


@pytest.fixture(scope="module")
def hump(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("hump")
    write_hump(folder)
    return Findings(fit_findings(calibrate(Settings(folder, profiles=False, posterior=True, starts=2))))


@pytest.mark.parametrize("metric", ["time-of-maximum", "first-above 50"])
def test_a_time_that_is_asked_for_is_a_date_where_the_study_has_dates(tmp_path: Path, metric: str) -> None:
    write_hump(tmp_path)
    path = tmp_path / "problem.toml"
    asked = f'about = "{metric} of second at 10"\n' + path.read_text(encoding="utf-8")
    path.write_text(
        asked.replace("[model]", '[dates]\nunit = "year"\norigin = 2000-12-31\n\n[model]'), encoding="utf-8"
    )
    table = (tmp_path / "left.csv").read_text(encoding="utf-8")
    (tmp_path / "left.csv").write_text(re.sub(r"^(\d+),", lambda m: f"{2000 + int(m[1])}-12-31,", table, flags=re.M))
    title = answer.first_screen(Findings(fit_findings(calibrate(Settings(tmp_path, profiles=False, starts=2))))).title
    # 1 / rate is some two years
    said = rf"{metric.capitalize()} of second at 10: [\d.]+ years \(90%: .*\), \d+ [A-Z][a-z]+ 200[123]"
    assert re.fullmatch(said, title)


def write_hump(folder: Path) -> None:
    """Two equal stages: the second holds size * rate * t * exp(-rate t), which is highest at 1 / rate."""
    small_study(folder)
    (folder / "leaving.mdl").write_text(HUMP, encoding="utf-8")
    text = (folder / "problem.toml").read_text(encoding="utf-8")
    text = text.replace('"increments"', '"level"').replace('variable = "left"', 'variable = "second"')
    text = text.replace("start = 0.0\n", "").replace('file = "leaving.mdl"', 'file = "leaving.mdl"\nmethod = "rk4"')
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    rng = np.random.default_rng(5)
    rows = [f"{t},{rng.poisson(300 * 0.5 * t * math.exp(-0.5 * t))}" for t in range(1, 11)]
    (folder / "left.csv").write_text("\n".join(["time,left", *rows]) + "\n", encoding="utf-8")


def test_without_a_question_the_title_is_the_peak_of_the_course(hump: Findings) -> None:
    assert hump.draws is not None
    records, sentence = course(hump)
    size, rate = np.median(hump.draws.flat, axis=0)
    top, when, end = Course().headlines(hump)
    assert (top.estimand, when.estimand) == ("maximum of second at 12", "time-of-maximum of second at 12")
    assert top.number == pytest.approx(size / math.e, rel=0.01)
    assert when.number == pytest.approx(1 / rate, rel=0.01)
    assert end.number == pytest.approx(size * rate * 12 * math.exp(-12 * rate), rel=0.05)
    assert records == [top, end]
    # the rows end at year 10, after the peak and before the end of the run
    after = "assumptions alone after 10"
    assert [after in record.conditional_on for record in (top, when, end)] == [False, False, True]
    assert sentence == f"Peak of second: {top.brief} at year {when.value.partition(' ')[0]}"
    assert answer.first_screen(hump).title == sentence
    # by the draws themselves: each has its own peak at 1 / rate
    ends = 1 / np.quantile(hump.draws.flat[:, 1], [0.95, 0.05])
    assert when.interval is not None
    assert (when.interval.low, when.interval.high) == pytest.approx(tuple(ends), rel=0.01)
    assert course_words(hump).startswith("The peak of second comes between year ")
    assert isinstance(asked_metric(hump), Maximum)


def asked_metric(findings: Findings) -> object:
    """The reading of the first record's estimand, as a question reads it."""
    from cipark_sd.analysis.experiments.definition import METRICS

    return METRICS[findings.fit.study.course[0].estimand.partition(" of ")[0]]


def test_a_course_that_ends_at_its_top_has_no_peak(hump: Findings) -> None:
    fit, name = hump.fit, hump.fit.study.course[0].name
    rising = replace(fit.curves, courses={name: np.linspace(0, 50, len(fit.curves.times))})
    records, sentence = course(Findings(replace(fit, curves=rising)))
    assert [record.estimand for record in records] == ["second at 12"]
    assert sentence == f"second at year 12: {records[0].brief}"
    assert course_words(Findings(replace(fit, curves=rising))) == ""


SHAPES = {
    # x = size * exp(rate t), whose doubling time is ln 2 / rate
    "growth": (
        "x = INTEG(born - dying, size) ~ firm ~ |\nborn = 2 * x * rate ~~|\ndying = x * rate ~~|",
        lambda t: 300 * math.exp(0.25 * t),
    ),
    "decline": ("x = INTEG(-x * rate, size) ~ firm ~ |", lambda t: 300 * math.exp(-0.25 * t)),
    "limit": (
        "x = INTEG(come - go, 20) ~ firm ~ |\ncome = 16 * size * rate ~~|\ngo = 4 * x * rate ~~|",
        lambda t: 1200 - 1180 * math.exp(-t),
    ),
    # a spring about twice the size: x'' = -(10 rate)^2 (x - 2 size)
    "swing": (
        "x = INTEG(10 * rate * y, 3 * size) ~ firm ~ |\ny = INTEG(-10 * rate * (x - 2 * size), 0) ~ firm ~ |",
        lambda t: 600 + 300 * math.cos(2.5 * t),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_course_is_told_by_its_shape(shape: str, tmp_path: Path) -> None:
    equations, truth = SHAPES[shape]
    write_hump(tmp_path)
    head = HUMP[HUMP.index("size = 100") :]
    (tmp_path / "leaving.mdl").write_text(f"{{UTF-8}}\n{equations}\n{head}", encoding="utf-8")
    path = tmp_path / "problem.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('variable = "second"', 'variable = "x"'), encoding="utf-8")
    rng = np.random.default_rng(7)
    rows = [f"{t},{rng.poisson(truth(t))}" for t in range(1, 11)]
    (tmp_path / "left.csv").write_text("\n".join(["time,left", *rows]) + "\n", encoding="utf-8")
    findings = Findings(fit_findings(calibrate(Settings(tmp_path, profiles=False, posterior=True, starts=2))))
    assert findings.draws is not None
    rates = np.sort(findings.draws.flat[:, 1])
    numbers = {record.title: record for record in Course().headlines(findings)}
    title, words = answer.first_screen(findings).title, course_words(findings)
    if shape == "limit":
        limits = np.quantile(4 * findings.draws.flat[:, 0], [0.05, 0.95])
        (settled,) = numbers.values()
        assert title == f"X settles at: {settled.brief}"
        assert words == ""
        assert settled.interval is not None
        assert (settled.interval.low, settled.interval.high) == pytest.approx(tuple(limits), rel=0.01)
        return
    name, constant = {
        "growth": ("First doubling time of x", math.log(2)),
        "decline": ("First half time of x", math.log(2)),
        "swing": ("Period of x", 2 * math.pi / 10),
    }[shape]
    number = numbers[name]
    assert number.number == pytest.approx(constant / np.median(rates), rel=0.01)
    assert number.unit == "year"
    assert number.interval is not None
    ends = constant / np.quantile(rates, [0.95, 0.05])
    assert (number.interval.low, number.interval.high) == pytest.approx(tuple(ends), rel=0.01)
    verb = {"swing": "swings once in", "growth": "first doubles within", "decline": "first halves within"}[shape]
    assert words == f"x {verb} {number.brief}"
    assert title.startswith("Period of x: " if shape == "swing" else "X at year 12: ")


def threshold(folder: Path, about: str, **settings: bool) -> Findings:
    return Findings(fit_findings(calibrate(Settings(folder, about=about, starts=2, **settings))))


def crossing(level: float, size: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """When a stock that decays in steps of an eighth, straight between two, first is at a level."""
    before = np.floor(np.log(level / size) / np.log1p(-rate / 8))
    held = size * (1 - rate / 8) ** before
    return np.asarray((before + (held - level) / (held * rate / 8)) / 8)


def test_when_a_threshold_is_passed_is_answered_by_the_draws_that_reach_it(tmp_path: Path) -> None:
    small_study(tmp_path)
    findings = threshold(tmp_path, "first below 30 of stock at 12", profiles=False, posterior=True)
    assert findings.draws is not None
    when = crossing(30, *findings.draws.flat.T)
    reached = when <= 12
    assert 0.5 < reached.mean() < 1
    record = next(r for r in answer.leading(findings) if r.estimand == "first-below 30 of stock at 12")
    assert record.interval is not None
    numbers = (record.interval.low, record.number, record.interval.high)
    assert numbers == pytest.approx(np.quantile(when[reached], [0.05, 0.5, 0.95]), rel=1e-6)
    name = f"First below 30 of stock at 12, in the {100 * reached.mean():.3g}% of draws that reach it"
    assert answer.first_screen(findings).title == f"{name}: {record.brief}"


def test_a_threshold_by_the_best_fit_has_its_time_or_is_said_to_be_never_reached(tmp_path: Path) -> None:
    small_study(tmp_path)
    findings = threshold(tmp_path, "first-above 40 of left at 12", profiles=True, posterior=False)
    size, rate = findings.fit.optimum.theta
    (record,) = (r for r in answer.leading(findings) if r.estimand == "first-above 40 of left at 12")
    assert record.number == pytest.approx(crossing(size - 40, size, rate))
    assert record.interval is not None
    assert answer.first_screen(findings).title == f"First-above 40 of left at 12: {record.brief}"
    never = threshold(tmp_path, "first-above 500 of left at 12", profiles=True, posterior=False)
    assert answer.first_screen(never).title == "First-above 500 of left at 12: not by then, by the best fit"


def test_what_follows_the_fit_has_the_time_of_a_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that never passes it has no effect to rank: the question comes back as its answer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving").mkdir()
    small_study(tmp_path / "leaving")
    cipark("calibrate", "leaving", "--about", "first-below 30 of stock at 12", "--fast", "--no-player")
    answered = json.loads(Path("cipark-output", "leaving", "fit.json").read_text(encoding="utf-8"))["answer"]
    assert answered.startswith("First-below 30 of stock at 12: ")
    (tmp_path / "leaving" / "policies.toml").write_text(POLICIES, encoding="utf-8")
    assert f"Asked of the fit: {answered}" in cipark("policy", "leaving", "--part", "effects").stdout
    asked = "first-below 30 of stock at 12"
    done = cipark("sensitivity", "leaving", "--about", asked, code=2)
    assert "expected a variable at a date, its change or a metric" in " ".join(done.output.split())


#: Two stocks that decay by rates of their own, seen with an error of 4.
PAIR = """{UTF-8}
k: north, south ~~|
stock[k] = INTEG(-rate[k]*stock[k], 100) ~ firm ~ |
rate[k] = 0.2, 0.2 ~ 1/year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 8 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "pair.mdl").write_text(PAIR, encoding="utf-8")
    text, rng = 'title = "pair"\n[model]\nfile = "pair.mdl"\n', np.random.default_rng(3)
    for name, rate in (("north", 0.20), ("south", 0.21)):
        rows = [f"{t},{100 * (1 - rate / 8) ** (8 * t) + 4 * rng.normal():.4f}" for t in range(1, 7)]
        (folder / f"{name}.csv").write_text("\n".join(["time,value", *rows]) + "\n", encoding="utf-8")
        text += (
            f'[[observation]]\nname = "{name}"\ntable = "{name}.csv"\nkind = "level"\nvariable = "stock[{name}]"\n'
            f'family = "normal"\nsd = 4.0\n[[parameter]]\nname = "rate[{name}]"\nbounds = [0.01, 2]\n'
            'prior = { family = "lognormal", median = 0.2, sigma = 0.5 }\n'
        )
    (folder / "problem.toml").write_text(text + "[method]\nstarts = 2\n", encoding="utf-8")
    return folder


def asked_of(folder: Path, about: str, *, posterior: bool = True) -> Findings:
    return Findings(
        fit_findings(calibrate(Settings(folder, about=about, profiles=False, posterior=posterior, starts=2)))
    )


@pytest.mark.parametrize(
    ("about", "kept", "way"),
    [
        ("stock[north] at 6 above 30", "stock[north] at 6 above 30", 1),
        ("Stock[north]  at 6 below 30.0", "stock[north] at 6 below 30", -1),
        ("rate[north] above 0.2", "rate[north] above 0.2", 0),
    ],
)
def test_a_threshold_asks_for_a_probability_which_is_the_share_of_draws(
    pair: Path, about: str, kept: str, way: int
) -> None:
    findings = asked_of(pair, about)
    assert findings.draws is not None
    rate = findings.draws.flat[:, 0]
    holds = rate > 0.2 if way == 0 else way * (100 * (1 - rate / 8) ** 48) > way * 30
    (record,) = (record for record in answer.leading(findings) if record.estimand == findings.fit.study.about)
    assert (record.kind, record.number) == ("probability", pytest.approx(holds.mean(), abs=1e-12))
    # what the priors say of it: exp(0.5 z) 0.2 is above 0.2 in half of them, and below 30 is above a rate of 0.1986
    assert record.prior is not None
    assert record.prior.low is not None
    limit = 0.2 if way == 0 else 8 * (1 - 0.3 ** (1 / 48))
    above = 0.5 * math.erfc(math.log(limit / 0.2) / 0.5 / math.sqrt(2))
    assert record.prior.low < (above if way < 1 else 1 - above) < record.prior.high
    # nothing is known of what is true in half of the draws
    assert record.standing != "known"
    title = answer.first_screen(findings).title
    of, word, threshold = re.split(" (above|below) ", kept)
    assert title.lower().startswith(f"probability that {of} is {word} {threshold}: 0.")
    # the question is kept in words that are read again
    again = with_question(read_problem(pair), findings.fit.study.question, where="kept")
    assert again.about == findings.fit.study.about


def test_of_the_largest_each_element_has_its_probability(pair: Path) -> None:
    findings = asked_of(pair, "largest of stock[*] at 6")
    assert findings.draws is not None
    north, south = findings.draws.flat.T
    first, second, *_ = answer.leading(findings)
    # the slower one is the larger one
    share = float((north < south).mean())
    assert (first.number, second.number) == pytest.approx((max(share, 1 - share), min(share, 1 - share)))
    more = "stock[north]" if share > 0.5 else "stock[south]"
    assert answer.first_screen(findings).title.startswith(f"Probability that {more} at 6 is the largest: 0.")
    assert first.estimand == findings.fit.study.about == "largest of stock[*] at 6"
    (fewest, *_) = answer.leading(asked_of(pair, "smallest of stock at 6"))
    assert fewest.number == pytest.approx(first.number)
    assert more not in fewest.called


def test_an_event_that_holds_in_all_draws_is_known_and_without_draws_nothing_is_said(pair: Path) -> None:
    (record, *_) = answer.leading(asked_of(pair, "stock[north] at 6 above 15"))
    assert record.number > 0.99
    assert record.standing == "known"
    alone = asked_of(pair, "stock[north] at 6 above 15", posterior=False)
    said = answer.first_screen(alone).title
    assert said == "Stock[north] at 6 above 15: only draws tell (--posterior)"


def test_dimensions_without_a_star_are_added_up(pair: Path) -> None:
    path = pair / "ages.mdl"
    text = PAIR.replace(
        "stock[k] =", "a: young, old ~~|\ncrowd[k,a] = INTEG(-rate[k]*crowd[k,a], 10) ~ firm ~ |\nstock[k] ="
    )
    path.write_text(text, encoding="utf-8")
    problem = replace(read_problem(pair), model=read_model(path))
    about, predictions = read_about(problem, "Largest of Crowd[*] at 3".lower(), where="x")
    assert about == "largest of crowd[*] at 3"
    assert [p.name for p in predictions] == ["crowd[north] at 3", "crowd[south] at 3"]
    assert predictions[1].parts == (("crowd[south,young]", 1.0), ("crowd[south,old]", 1.0))
    event = asked_event(replace(problem, about=about, predictions=predictions))
    assert event is not None
    assert event.of[0] == "crowd[north,young] + crowd[north,old] at 3"
    assert event.holds(np.array([[3.0, 2.0], [1.0, 2.0]])).tolist() == [[True, False], [False, True]]
    assert len(read_about(problem, "largest of crowd[*,*] at 3", where="x")[1]) == 4


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("stock[north] at 6 above much", "the threshold is 'much', expected a number"),
        ("stok[north] at 6 above 3", "has no variable .stok"),
        ("largest of stok[*] at 6", "did you mean"),
        ("largest of TIME STEP[*] at 6", "has none"),
        ("largest of stock[*] at soon", "a date such as"),
    ],
)
def test_a_wrong_event_is_one_error(pair: Path, about: str, message: str) -> None:
    with pytest.raises(CiparkError, match=message):
        with_question(read_problem(pair), about, where="--about")
