"""Which part of the settled firms works, over parks: the closed form, the noise and the evidence."""

import sys

import numpy as np
import pytest
from places import ROOT
from scipy import stats
from scipy.integrate import quad

sys.path.insert(0, str(ROOT / "tools"))

import later_pages
import parks_results
from parks_results import MEANS, SDS, Park, by_bridge, by_quadrature

PARK = Park("x", np.array([0.0, 2.0, 5.0]), np.array([0.0, 10.0, 40.0]), np.array([0.0, 3.0, 12.0]), {"estate": 1.0})


def test_firms_that_started_are_entries_that_waited_long_enough() -> None:
    def started(now: float, years: float) -> float:
        rate = lambda t: 5.0 if t < 2 else 10.0  # noqa: E731
        part = lambda t: rate(t) * (1 - np.exp(-(now - t) / years))  # noqa: E731
        return quad(part, 0, min(now, 2))[0] + (quad(part, 2, now)[0] if now > 2 else 0.0)

    for years in (0.3, 2.5):
        expected = [started(now, years) for now in (2.0, 5.0)]
        assert PARK.part_started(np.array(years)) == pytest.approx(expected, rel=1e-8)


def test_new_starts_are_beta_binomial_among_those_that_did_not_work() -> None:
    odds, years, concentration = 0.4, 2.0, 8.0
    working = stats.logistic.cdf(odds) * PARK.part_started(np.array(years))
    chances = working[0] / 10, (working[1] - working[0]) / (40 - working[0])
    expected = sum(
        stats.betabinom.logpmf(began, could, concentration * chance, concentration * (1 - chance))
        for began, could, chance in ((3, 10, chances[0]), (9, 37, chances[1]))
    )
    logs = PARK.log_likelihood(*(np.array([x]) for x in (odds, np.log(years), np.log(concentration))))
    assert logs[0] == pytest.approx(expected, rel=1e-10)


def test_both_routes_have_the_evidence_that_draws_of_the_prior_have(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POINTS", 256), ("STEPS", 500), ("BURNT", 150)):
        monkeypatch.setattr(parks_results, name, value)
    scores = np.random.default_rng(1).standard_normal((60_000, 9))
    values = MEANS + SDS * scores[:, :7]
    odds = values[:, 0] + values[:, 1] + np.abs(values[:, 4]) * scores[:, 7]
    years = values[:, 2] + np.abs(values[:, 5]) * scores[:, 8]
    plain = np.log(np.exp(PARK.log_likelihood(odds, years, values[:, 6])).mean())
    total, error, *_ = by_quadrature("kind of estate, share", [PARK])
    assert total == pytest.approx(plain, abs=4 * error + 0.02)
    bridged, its_error = by_bridge("kind of estate, share", [PARK])
    assert bridged == pytest.approx(plain, abs=4 * its_error + 0.02)
    # another model has another evidence
    assert abs(by_quadrature("no difference", [PARK])[0] - plain) > 4 * error + 0.02


def test_what_the_page_says_in_words_is_what_was_found() -> None:
    kept = later_pages.kept_numbers("parks")
    assert kept["same"], "estate and count divide the parks alike"
    for row in kept["evidence"].values():
        routes = [row[route] for route in ("quadrature", "bridge")]
        assert routes[0][0] == pytest.approx(routes[1][0], abs=4 * np.hypot(routes[0][1], routes[1][1]))
    evidence = {name: row["quadrature"][0] for name, row in kept["evidence"].items()}
    assert evidence["kind of estate, both"] == evidence["kind of count, both"] > evidence["no difference"] + 1
    assert evidence["agreement between states, both"] < evidence["no difference"] + 1
    left_out = kept["left_out"]
    assert left_out["foretold"][0] < left_out["working"] < left_out["foretold"][2], "an ordinary one of its kind"
    for causes in kept["causes"].values():
        ranks = causes["evidence"]
        for name, rest in (("Word of Mouth", "trend"), ("Calendar Trend", "word of mouth")):
            assert abs(ranks["word of mouth"][0] - ranks["trend"][0]) < 1, "either alone explains the counts as well"
            assert causes[name]["without"] == pytest.approx(ranks[rest][0] - ranks["both"][0], abs=0.25)
