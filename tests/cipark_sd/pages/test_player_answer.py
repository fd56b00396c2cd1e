"""The answer of a page that plays a model: its class, what was counted, and what moves with a lever."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from in_node import in_node, needs_node
from left_fit import leave_fit
from places import ROOT
from small_study import small_study

from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of
from calibration.noise.reporting import Reporting
from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.analysis.experiments.effects import summary
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.player.contents import Waiting
from cipark_sd.pages.player.of_model import lever_of, moved_along
from cipark_sd.pages.player.page import as_json, counted
from cipark_sd.statements.claims import as_data, class_of
from cipark_sd.statements.standing import Standing

Write = Callable[..., Path]
#: What a page says of classes, as its script has it.
RULE = f"const page = {{rule: {json.dumps(as_data())}}};"
#: The mean before the data, and mean and deviation after them, where the deviation before them is 1.
SPREADS = [(0, 0, 0.3), (0, 0, 0.7), (3, 3, 0.3), (-3, -2, 0.95), (0, 2, 1.0), (0, 0.2, 1.0), (2.5, 0, 1)]


@needs_node
def test_the_classes_of_the_page_are_those_of_the_package() -> None:
    rng = np.random.default_rng(5)
    pairs = [(rng.normal(a, 1, 200), rng.normal(b, width, 200)) for a, b, width in SPREADS]
    of_one = [(pair,) for pair in pairs]
    # one structure under which the data do not narrow it is enough, and so is one whose sign is open
    cases = [*of_one, (pairs[0], pairs[1]), (pairs[2], pairs[3]), (pairs[2], pairs[0]), (pairs[0], pairs[0])]
    # what acts in few draws has the sign that it has there, also where it acts in fewer after the data
    cases.append(((np.maximum(pairs[0][0] + 1, 0), np.maximum(pairs[0][1] - 0.3, 0)),))
    asked = [(some, change, misfit) for some in cases for change in (True, False) for misfit in ("", "a trend")]
    plain = [[[[list(draws) for draws in pair] for pair in some], change, misfit] for some, change, misfit in asked]
    calls = f"console.log(JSON.stringify({json.dumps(plain)}.map((some) => classOf(...some))))"
    ours = {"built in": "assumed", "informed": "informed", "undecided": "undecided"}
    expected = [ours[class_of(some, is_change=change, misfit=misfit)] for some, change, misfit in asked]
    assert in_node(f"{RULE} {calls}", "numbers.js", "answer.js") == expected
    # a change: a sign that the priors give stays assumed, however narrow, unless the data turn its odds
    first = ["informed", "undecided", "assumed", "assumed", "informed", "undecided", "informed"]
    assert expected[::4] == [*first, "undecided", "undecided", "informed", "informed", "assumed"]
    # data that the model does not follow inform nothing
    first = ["undecided", "undecided", "assumed", "assumed", "undecided", "undecided", "assumed"]
    assert expected[1::4] == [*first, *["undecided"] * 4, "assumed"]
    # a level
    # one that has moved off is informed as well: an end of it cuts the priors' interval
    first = ["informed", "undecided", "informed", "undecided", "informed", "undecided", "informed"]
    assert expected[2::4] == [*first, "undecided", "undecided", "informed", "informed", "informed"]
    assert set(expected[3::4]) == {"undecided"}


@needs_node
def test_a_number_that_the_report_has_bears_its_class() -> None:
    """Whatever the draws of the page say, which are some of those of the report."""
    of = {"3": "known", "4": "narrowed", "5": "not narrowed", "6": "assumed", "7": "doubted", "8": "not found"}
    assert {*of.values()} == {*get_args(Standing)} - {""}
    calls = f"const capital = (s) => s[0].toUpperCase() + s.slice(1), o = {json.dumps({'judged': of})};"
    calls += "console.log(JSON.stringify([2, 3, 4, 5, 6, 7, 8].map((at) => recorded(o, at))))"
    assert in_node(f"{RULE} {calls}", "numbers.js", "answer.js") == [
        None,
        ["informed", "Known", "The data narrow this"],
        ["informed", "Narrowed", "The data narrow this"],
        ["undecided", "Not narrowed", "The data narrow this little"],
        ["assumed", "Assumed", "The priors alone give this to within a factor of 3"],
        ["undecided", "Doubted", "The data narrow this, and the model does not follow them"],
        ["undecided", "Not found", "Whether the data narrow this was not found"],
    ]


@needs_node
def test_what_was_counted_is_the_same_as_a_fit_reads_it_and_in_the_page(tmp_path: Path) -> None:
    times = np.linspace(2010, 2020, 641)
    curves = np.column_stack([np.exp((times - 2010) / 3), 5 * (times - 2010) ** 1.5])
    waiting = Waiting((2012.3614, 2017.5), "share", "rate", 2010.5)
    beside = {"share": np.array([0.6, 0.2]), "rate": np.array([0.7, 3.0])}
    ours = counted(times, curves, waiting, beside)
    reading = Reporting(waiting.events, "share", "rate", waiting.begin)
    at = [(-np.inf, time) for time in (2011.0, 2012.4, 2015.0, 2018.25, 2020.0)]
    theirs = reading.read(times, curves.T, at, beside)
    places = [int(np.searchsorted(times, end - 1e-9)) for _, end in at]
    # the fit takes the dates at which it reads into its grid, and curves are straight between two times
    np.testing.assert_allclose(ours[places][[0, 2, 3, 4]].T, theirs[:, [0, 2, 3, 4]], rtol=2e-4)
    assert (ours[-1] < curves[-1]).all()
    numbers = {name: values.tolist() for name, values in beside.items()}
    inputs = json.dumps([times.tolist(), curves.ravel().tolist(), asdict(waiting), numbers])
    calls = f"const [t, c, w, b] = {inputs}, found = counted(t, Float64Array.from(c), 2, w, b);"
    calls += "console.log(JSON.stringify(Array.from(found)))"
    np.testing.assert_allclose(in_node(calls, "counted.js"), ours.ravel(), rtol=1e-13)  # type: ignore[arg-type]


@needs_node
def test_changes_are_said_in_whole_things_where_things_are_counted() -> None:
    firms, money = {"units": "firm", "whole": True}, {"units": "MUSD", "whole": False}
    said = [
        ("saidChange", (-11.4, 18, firms), "11 fewer firms"),
        ("saidChange", (0.7, 3, firms), "1 more firm"),
        ("saidChange", (0.2, 3, firms), "less than 1 more"),
        ("saidChange", (-0.123456, 0.5, money), "0.12 MUSD less"),
        ("saidChange", (0, 0, firms), "no change"),
        ("saidChange", (-11.4, 100, firms, 2.6), "11 ± 3 fewer firms"),
        ("saidChange", (-1.2, 100, firms, 2.6), "1 ± 3 fewer firms"),
        ("saidChange", (-11.4, 100, firms, 1.9), "11 fewer firms"),
        ("saidChange", (-0.123456, 0.5, money, 0.031), "0.12 ± 0.03 MUSD less"),
        ("saidLevels", ([-240, -100, -63, -20, 31], money, True, 9), ["63 ± 9 MUSD less", "240 less to 31 more"]),
        ("saidChanges", (-23.6, -6.2, firms), "6 to 24 fewer"),
        ("saidChanges", (-2.4, 9, firms), "2 fewer to 9 more"),
        ("saidChanges", (0.2, 33, firms), "0 to 33 more"),
        ("saidChanges", (-0.2, 0.3, firms), "less than 1 either way"),
        ("saidLevels", ([54012.3, 55000, 56783.9, 58000, 58950.0], firms, False), ["56,800 firms", "54,000 to 59,000"]),
        ("saidLevels", ([39.6, 50, 56.5, 60, 76.9], firms, False), ["57 firms", "40 to 77"]),
    ]
    calls = ", ".join(f"{name}(...{json.dumps(list(arguments))})" for name, arguments, _ in said)
    setting = (
        'page.plurals = {firm: "firms"};'
        "const withUnits = (t, u) => (u ? `${t} ${/^[−-]?1$/.test(t) ? u : page.plurals[u] || u}` : t);"
    )
    found = in_node(f"{RULE} {setting} console.log(JSON.stringify([{calls}]))", "numbers.js", "answer.js")
    assert found == [expected for *_, expected in said]


@needs_node
def test_the_error_of_a_median_is_that_of_a_table_of_effects() -> None:
    draws = np.random.default_rng(3).exponential(size=301)
    for worth in (40.0, 301.0, 1000.0):
        calls = f"console.log(JSON.stringify(medianError({json.dumps(draws.tolist())}, {worth})))"
        assert in_node(calls, "numbers.js") == pytest.approx(summary(draws, effective=worth).mcse_median, rel=1e-12)


@needs_node
def test_what_was_counted_for_a_date_is_named_though_it_was_not_fitted() -> None:
    seen = [
        {"time": t, "low": low, "high": high, "use": use, "date": str(t)}
        for t, low, high, use in ((2019.3, 8, 10, "fit"), (2020, 17, 20, "check"), (2021, 30, 30, "check"))
    ]
    calls = f"const o = {json.dumps({'whole': True, 'seen': seen})}, whenCounted = (s) => `at ${{s.date}}`;"
    calls += "console.log(JSON.stringify([2020, 2020.5].map((t) => countedBeside(o, t))))"
    assert in_node(calls, "numbers.js", "answer.js") == ["Reported: 17 to 20 at 2020.", "Reported: 8 to 10 at 2019.3."]


@needs_node
def test_after_the_last_count_each_draw_goes_on_from_it(tmp_path: Path) -> None:
    """Whatever a draw had expected by then; the priors have seen no count."""
    problem = small_study(tmp_path)
    theta = np.array([120.0, 0.2]) * np.exp(0.1 * np.random.default_rng(1).standard_normal((300, 2)))
    leave_fit(tmp_path / "fit", problem, draws=theta)
    found = contents_of(Settings(folder=tmp_path, fit=tmp_path / "fit", runs=20), problem)
    (outcome,) = found.outcomes
    assert outcome.last is None
    waits = Waiting((3.0,), 0.5, 0.7, 0.0)
    page = as_json(replace(found, outcomes=(replace(outcome, waiting=waits, last=(8.0, 85.0)),)))
    plain = as_json(replace(found, outcomes=(replace(outcome, waiting=waits),)))
    times = np.arange(0, 12.001, 0.125)
    (structure,) = page["structures"]  # type: ignore[misc]
    size, rate = theta.T
    left = size * (1 - (1 - rate * 0.125) ** np.arange(len(times))[:, None])
    curves = counted(times, left, waits, {})
    curves[times > 8] += 85 - curves[times == 8]
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    whole = np.frombuffer(base64.b64decode(structure["whole"][0])).reshape(5, -1)
    np.testing.assert_allclose(whole, np.quantile(curves, levels, axis=1), rtol=1e-9)
    assert structure["prior"] == plain["structures"][0]["prior"]  # type: ignore[index]
    # the page's own runs, by the same numbers
    assert structure["beside"] == ["lacks left"]
    packed = np.frombuffer(base64.b64decode(page["draws"][structure["draws"]])).reshape(-1, structure["runs"])  # type: ignore[index]
    of = dict(zip([*structure["drawn"], *structure["beside"]], packed, strict=True))
    some = counted(times, of["size"] * (1 - (1 - of["rate"] * 0.125) ** np.arange(len(times))[:, None]), waits, {})
    np.testing.assert_allclose(of["lacks left"], 85 - some[times == 8][0], rtol=1e-9)
    inputs = json.dumps([times.tolist(), some.ravel().tolist(), of["lacks left"].tolist()])
    calls = f"const [t, c, l] = {inputs}; goOn(t, c, l.length, 8, l); console.log(JSON.stringify(c));"
    some[times > 8] += of["lacks left"]
    np.testing.assert_allclose(in_node(calls, "counted.js"), some.ravel(), rtol=1e-13)  # type: ignore[arg-type]


def test_the_counts_nearest_in_time_on_either_side_are_named() -> None:
    seen = [
        {"time": t, "low": v, "high": v, "use": "fit", "date": str(t)}
        for t, v in ((2018, 41), (2019.75, 55), (2020, 60))
    ]
    outcome = json.dumps({"whole": True, "seen": seen})
    calls = f"const o = {outcome}, whenCounted = (s) => `at ${{s.date}}`;"
    calls += "console.log(JSON.stringify([2019.9, 2020, 2021, 2017].map((t) => countedBeside(o, t))))"
    assert in_node(calls, "numbers.js", "answer.js") == [
        "Reported: 55 at 2019.75 and 60 at 2020.",
        "Reported: 60 at 2020.",
        "Reported: 60 at 2020.",
        "Reported: 41 at 2018.",
    ]


def test_a_lever_names_the_dates_that_the_model_computes_from_it(write_mdl: Write) -> None:
    text = """
    x = INTEG(STEP(1, Opening) + STEP(2, MAX(Law, Fair + Shift)) + late + IF THEN ELSE(Time > Shift * 2, 1, 0), 0) ~~|
    late = PULSE(Harbour - Shift, 1) * Gain ~~|
    Shift = Follows * (Opening - Planned) ~~|
    Opening = 4 ~ Year [2,8] ~ | Planned = 4 ~~| Fair = 5 ~~| Harbour = 9 ~~| Law = 1 ~~| Follows = 1 ~~| Gain = 1 ~~|
    """
    model = read_model(write_mdl(text))
    levers = [lever_of(model, name) for name in ("Opening", "Gain", "Law")]
    assert moved_along(model, levers, Scenario()) == [("Fair", "x", "Harbour"), (), ()]
    # a shift that is switched off moves nothing
    assert moved_along(model, levers, Scenario("", {"Follows": 0})) == [(), (), ()]


def test_the_operator_of_the_park_moves_six_dates_beside_its_own() -> None:
    model = read_model(ROOT / "models/cipark.mdl")
    ((*dates,),) = moved_along(model, [Lever("", ("CMG Entry Date",), 2012.8, 2018)], Scenario())
    assert dates == [
        *("Duisport Entry", "Logistics Park Built", "Logistics Park Open", "Fund Date", "Spark Date", "Culture Date")
    ]
