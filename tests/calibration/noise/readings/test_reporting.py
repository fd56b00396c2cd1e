"""Releases of what waits: against a simulation of every waiting firm, a fine integration, and in studies."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from left_fit import leave_fit
from small_study import MODEL

from calibration.assess.forecast import forecast
from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.inference.search.optimise import optimise
from calibration.likelihood.forward import reported
from calibration.likelihood.posterior import On, Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.noise.reporting import Reporting
from calibration.report.collect import study_facts
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose
from cipark_sd.pages.page import read_page
from cipark_sd.pages.player.page import as_json

EVENTS = (1.5, 3.0, 5.5)
TIMES = np.linspace(0, 7, 57)
COURSE = 40 * (1 - np.exp(-0.3 * TIMES))
WINDOWS = ((0.0, 1.5), (1.5, 2.2), (2.2, 5.5), (5.5, 7.0))
LAYER = Reporting(EVENTS, "share", "rate", 0.0)

STUDY = """
title = "reports"
[model]
file = "leaving.mdl"
[[event]]
name = "ceremonies"
dates = [2.5, 5.5, 8.5]
why = "a test"
[[observation]]
name = "left"
table = "left.csv"
kind = "increments"
variable = "left"
time = "time"
value = "left"
start = 0.0
family = "poisson"
{noise}
[[parameter]]
name = "size"
prior = {{ family = "lognormal", median = 1000, sigma = 0.5 }}
[[parameter]]
name = "rate"
prior = {{ family = "lognormal", median = 0.2, sigma = 0.5 }}
{more}
[method]
starts = 4
"""
REPORTED = 'reported = { at = "ceremonies", share = "share released", rate = "release rate" }'
PARAMETERS = """
[[parameter]]
name = "share released"
target = "noise"
prior = { family = "beta", a = 1, b = 1 }
[[parameter]]
name = "release rate"
target = "noise"
prior = { family = "half-normal", sd = 2 }
"""
ROWS = (1.0, 2.0, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)


def study(
    folder: Path, noise: str = REPORTED, more: str = PARAMETERS, rows: tuple[float, ...] = ROWS
) -> CalibrationProblem:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    lines = "".join(f"{time:g},{100 + 10 * i}\n" for i, time in enumerate(rows))
    (folder / "left.csv").write_text("time,left\n" + lines, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY.format(noise=noise, more=more), encoding="utf-8")
    return read_problem(folder)


def synthetic(density: Posterior, theta: np.ndarray, seed: int) -> Posterior:
    rng = np.random.default_rng(seed)
    return replaced(density, replicate(density, theta[None], rng)[0], rng)


def released(share: float, rate: float) -> np.ndarray:
    numbers = {"share": np.array([share]), "rate": np.array([rate])}
    return np.asarray(LAYER.read(TIMES, COURSE[None], WINDOWS, numbers)[0])


def test_releases_are_poisson_counts_of_firms_that_wait_one_by_one() -> None:
    """The other route draws every firm's arrival and what becomes of it, and knows no differential equation."""
    share, rate, n = 0.6, 0.8, 4000
    rng = np.random.default_rng(1)
    counts = np.zeros((n, len(WINDOWS)))
    for _ in range(n):
        arrivals = np.interp(rng.uniform(0, COURSE[-1], rng.poisson(COURSE[-1])), COURSE, TIMES)
        away = arrivals + rng.exponential(1 / rate, len(arrivals))
        for event in EVENTS:
            called = (arrivals <= event) & (away > event) & (rng.random(len(arrivals)) < share)
            away[called] = event
        counts[_] = [((away > start) & (away <= end)).sum() for start, end in WINDOWS]
    expected = released(share, rate)
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=5 * np.sqrt(expected / n).max())
    np.testing.assert_allclose(counts.var(axis=0), expected, rtol=0.12)
    assert np.abs(np.corrcoef(counts.T) - np.eye(len(WINDOWS))).max() < 0.07


def test_the_waiting_stock_is_that_of_a_fine_integration() -> None:
    fine = np.linspace(0, 7, 70_001)
    course, waiting, total = np.interp(fine, TIMES, COURSE), 0.0, {0.0: 0.0}
    step = fine[1]
    for i, time in enumerate(fine[1:], start=1):
        waiting += course[i] - course[i - 1] - 0.8 * waiting * step
        for event in EVENTS:
            if abs(time - event) < step / 2:
                waiting *= 0.4
        total[round(float(time), 4)] = course[i] - waiting
    np.testing.assert_allclose(released(0.6, 0.8), [total[end] - total[start] for start, end in WINDOWS], atol=1e-2)


def test_without_waiting_reports_are_what_happened_and_all_are_out_at_an_event() -> None:
    plain = [np.interp(end, TIMES, COURSE) - np.interp(start, TIMES, COURSE) for start, end in WINDOWS]
    np.testing.assert_allclose(released(0.0, 1e9), plain, rtol=1e-6)
    assert released(1.0, 0.0)[0] == pytest.approx(plain[0])
    assert released(1.0, 0.0)[1] == 0
    assert released(1.0, 0.0)[:3].sum() == pytest.approx(np.interp(5.5, TIMES, COURSE))


@pytest.mark.parametrize("n", [1, 5])
def test_courses_that_are_read_together_are_each_by_itself_to_the_bit(n: int) -> None:
    """With times, stops and events of their own, one of them before anything waits, and one that is no number."""
    layer = replace(LAYER, begin=1.0)
    known = [
        (TIMES, WINDOWS[1:]),
        (TIMES[:41], ((-np.inf, 1.3), (1.3, 2.2), (2.2, 4.9))),
        (TIMES[:9], ((0.2, 0.9),)),
        (TIMES, ((0.0, 3.0), (3.0, 6.9))),
    ]
    rng = np.random.default_rng(3)
    courses = [rng.uniform(1, 5, (n, len(times))).cumsum(axis=1) for times, _ in known]
    courses[3][-1] = np.nan
    numbers = {"share": rng.uniform(size=n), "rate": rng.uniform(0, 2, n)}
    alone = [layer.read(*pair[:1], course, pair[1], numbers) for pair, course in zip(known, courses, strict=True)]
    together = layer.reads(known)(np.concatenate(courses, axis=1), numbers)
    assert np.isfinite(together[:, :7]).all()
    assert together.tobytes() == np.concatenate(alone, axis=1).tobytes()


def test_gains_and_losses_of_a_net_stock_wait_alike(tmp_path: Path) -> None:
    """A count is the difference of what was released of both: the other route reads either course by itself."""
    noise = f'{REPORTED}\ngains = "left"'
    problem = study(tmp_path, noise=noise)
    text = (tmp_path / "problem.toml").read_text("utf-8")
    text = text.replace('variable = "left"', 'variable = ["left", "-half"]', 1)
    model = MODEL.replace("left = ", "half = INTEG(leaving/2, 0) ~ x ~ |\nleft = ")
    (tmp_path / "leaving.mdl").write_text(model, encoding="utf-8")
    (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
    problem = read_problem(tmp_path)
    density = posterior(problem, choose("native"))
    share, rate = 0.7, 0.9
    values = density.quantities(np.array([[2000.0, 0.25, share, rate]]))[0].reshape(-1, 2)
    times = np.arange(0, 7.5 + 1e-9, 2**-12)
    course = 2000 * (1 - np.exp(-0.25 * times))
    fine = Reporting((2.5, 5.5), share, rate, 0.0)
    windows = list(zip((0.0, *ROWS[:-1]), ROWS, strict=True))
    gained = fine.read(times, course[None], windows, {})[0]
    np.testing.assert_allclose(values[:, 1], gained, rtol=0.02)
    # half of what came in was lost
    np.testing.assert_allclose(values[:, 0], values[:, 1] / 2, rtol=1e-9)


def test_a_page_that_plays_the_model_goes_on_from_the_last_number_that_was_reported(tmp_path: Path) -> None:
    """As a forecast does: 170 are there, whatever each draw had expected by then."""
    problem = study(tmp_path)
    draws = np.array([2000.0, 0.25, 0.7, 0.9]) * np.exp(0.1 * np.random.default_rng(1).standard_normal((200, 4)))
    draws[:, 2] = np.minimum(draws[:, 2], 0.95)
    leave_fit(tmp_path / "fit", problem, draws=draws)
    found = contents_of(Settings(folder=tmp_path, fit=tmp_path / "fit"), problem)
    (outcome,) = found.outcomes
    assert outcome.waiting is not None
    assert outcome.last == (7.5, 170.0)
    (structure,) = as_json(found)["structures"]  # type: ignore[misc]
    whole = np.frombuffer(base64.b64decode(structure["whole"][0])).reshape(5, -1)
    # a column for each of the model's steps, an eighth
    after, before = 62, 58
    assert 170 < whole[0, after] < whole[4, after] < 170 + 100
    # the draws themselves expect thousands
    assert whole[0, before] > 400


def test_what_happened_is_told_from_what_was_reported_in_the_ranges_of_a_sensitivity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None
) -> None:
    """A report has the number of reports under the same name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving").mkdir()
    problem = study(tmp_path / "leaving")
    draws = problem.space.from_unit(np.random.default_rng(1).uniform(0.4, 0.6, (100, len(problem.space))))
    leave_fit(tmp_path / "cipark-output" / "leaving", problem, draws=draws)
    cipark("sensitivity", "leaving", "--method", "sample", "--variables", "left,stock")
    (screen,) = read_page(tmp_path / "cipark-output" / "leaving-sensitivity").sections[0].blocks
    assert screen.known.startswith("left, those not yet reported included, at year 12: ")  # type: ignore[union-attr]
    assert ". stock at year 12: " in screen.known  # type: ignore[union-attr]


def test_a_prediction_is_what_would_have_been_reported(tmp_path: Path) -> None:
    prediction = '\n[[prediction]]\nname = "p"\nvariable = "left"\nat = "8"\nreported = "left"\n'
    problem = study(tmp_path, more=PARAMETERS + prediction)
    theta = np.array([[2000.0, 0.25, 0.7, 0.9], [1500.0, 0.2, 1e-9, 1e6]])
    found = reported(problem, problem.predictions[0], choose("native"))(theta)
    layer = Reporting((2.5, 5.5, 8.5), 0.7, 0.9, 0.0)
    times = np.arange(0, 8 + 1e-9, 2**-12)
    expected = layer.read(times, 2000 * (1 - np.exp(-0.25 * times))[None], [(-np.inf, 8.0)], {})[0, 0]
    assert found[0] == pytest.approx(expected, rel=0.02)
    # another quantity than the model's own, so that no page sets one beside the other
    (facts,) = study_facts(problem).predictions
    assert facts.estimand.endswith(", as reported")
    # reports are of this quantity; of the model's own they are not, and its name says what it counts
    assert (facts.title, facts.observations) == ("p", ("left",))
    own = study(tmp_path, more=PARAMETERS + prediction.replace('reported = "left"\n', ""))
    (facts,) = study_facts(own).predictions
    assert (facts.title, facts.observations) == ("p, those not yet reported included", ())
    # nobody waits
    assert found[1] == pytest.approx(1500 * (1 - np.exp(-0.2 * 8)), rel=0.02)
    with pytest.raises(CiparkError, match="the name of an observation with 'reported'"):
        study(tmp_path, more=PARAMETERS + prediction.replace('reported = "left"', 'reported = "right"'))


def test_a_course_is_known_at_the_steps_that_matter(tmp_path: Path) -> None:
    """Read at some hundred steps it gives what it gives at all of them; without those at an instant it does not."""
    theta = np.array([[2000.0, 0.25, 0.7, 0.9]])
    problem = study(tmp_path)
    some = posterior(problem, choose("native"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporting, "points", property(lambda self: 0))
        every = posterior(problem, choose("native"))
        patch.setattr(Reporting, "points", property(lambda self: 4))
        few = posterior(problem, choose("native"))
    assert len(few.reader.times) < len(every.reader.times)
    exact = every.quantities(theta)
    np.testing.assert_allclose(some.quantities(theta), exact, rtol=1e-3)
    np.testing.assert_allclose(few.quantities(theta), exact, rtol=0.1)
    nobody_waits = np.array([[2000.0, 0.25, 1e-9, 1e9]])
    np.testing.assert_allclose(few.quantities(nobody_waits), every.quantities(nobody_waits), rtol=1e-6)


def test_share_and_rate_are_recovered_with_the_rest(tmp_path: Path) -> None:
    density = posterior(study(tmp_path), choose("native"))
    truth = np.array([2000.0, 0.25, 0.7, 0.9])
    found = draw(synthetic(density, truth, 3), np.random.default_rng(4), effort=Effort())
    assert found.sampled.converged
    away = (found.flat.mean(axis=0) - truth) / found.flat.std(axis=0)
    assert np.abs(away).max() < 3
    # the data know them: a tenth of what the prior left open
    assert (found.flat.std(axis=0)[2:] < [0.08, 0.2]).all()


def test_over_dispersion_no_longer_pays_for_the_dates(tmp_path: Path) -> None:
    """Data of waiting firms; the noise of a fit that does not know the events is wide, of one that does it is not."""
    truth = np.array([2000.0, 0.25, 0.9, 0.2])
    made = synthetic(posterior(study(tmp_path), choose("native")), truth, 5).problem.terms
    dispersion = '[[parameter]]\nname = "d"\ntarget = "noise"\nprior = { family = "half-cauchy", scale = 1 }\n'
    found = {}
    for name, noise, more in (
        ("alone", 'dispersion = "d"', dispersion),
        ("reported", f'dispersion = "d"\n{REPORTED}', PARAMETERS + dispersion),
    ):
        text = STUDY.replace('"poisson"', '"nb1"')
        if name == "alone":
            text = text.replace('[[event]]\nname = "ceremonies"\ndates = [2.5, 5.5, 8.5]\nwhy = "a test"\n', "")
        (tmp_path / "problem.toml").write_text(text.format(noise=noise, more=more), encoding="utf-8")
        problem = read_problem(tmp_path)
        terms = tuple(
            replace(term, lower=seen.lower, upper=seen.upper) for term, seen in zip(problem.terms, made, strict=True)
        )
        problem = replace(problem, observations=(replace(problem.observations[0], terms=terms),))
        best = optimise(posterior(problem, choose("native")), starts=4, rng=np.random.default_rng(1))
        found[name] = best.theta[problem.space.names.index("d")]
    assert found["alone"] > 20
    assert found["reported"] < 2


def test_a_forecast_knows_the_events_to_come(tmp_path: Path) -> None:
    problem = study(tmp_path)
    theta = np.repeat([[2000.0, 0.25, 1.0, 1e-9]], 400, axis=0)
    rows = forecast(problem, On("native"), theta, np.random.default_rng(1), every=0.5)
    by_time = dict(zip(rows["time"], rows["mean"], strict=True))
    assert f"{by_time[8.0]:g}" == rows["origin_level"][0]
    assert by_time[8.5] > by_time[8.0] + 50
    assert by_time[12.0] == by_time[8.5]


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ('reported = { at = "ceremony" }', "has no [[event]] 'ceremony'"),
        ('merge_over = "ceremonies"', "join rows of the table, or say with 'reported' how counts wait"),
        ("", "an event that an observation names"),
        ('reported = { at = "ceremonies", share = 1.2 }', "a number from 0 to 1"),
        ('reported = { at = "ceremonies", rate = -1 }', "a number not below 0"),
        ("reported = { share = 0.5 }", "the name of an [[event]]"),
        ('reported = { at = "ceremonies", share = "s" }', "has no noise parameter 's'"),
    ],
)
def test_what_is_wrong_with_events_is_told(tmp_path: Path, noise: str, expected: str) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, noise, "")
    assert expected in str(raised.value)


def test_a_share_beyond_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match="within 0 and 1, for a share"):
        study(tmp_path, more=PARAMETERS.replace('"beta", a = 1, b = 1', '"half-normal", sd = 1'))
