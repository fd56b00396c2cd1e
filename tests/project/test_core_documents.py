"""The causal loop diagram is that of the model, and the kept numbers of the core agree with another route to them."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import ROOT
from scipy.special import gammaln
from scipy.stats import nbinom, norm, poisson

from cipark_sd.base.library import bundled
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble

sys.path.insert(0, str(ROOT / "tools"))

import results as numbers
from causal_loops import draw, faults, read_diagram
from core_results import Weighted

WHEN, STEP = 2018.0, 1 / 128
CORE = read_diagram(ROOT / "tools" / "core.causal.toml")
LINKS = CORE.links


def _pushed(text: str, names: set[str]) -> str:
    """The model with a constant for each variable that pushes it up from :data:`WHEN` on; a stock once."""
    for name in sorted(names):
        push = f"Push {name.title()}"
        stock = re.search(rf"\n{re.escape(name)}= INTEG \(\n\t(.*),\n", text)
        if stock:
            kick = f"{stock[1]}+{push}*(STEP(1,{WHEN})-STEP(1,{WHEN + STEP}))/TIME STEP"
            text = text[: stock.start(1)] + kick + text[stock.end(1) :]
        else:
            found = re.search(rf"\n{re.escape(name)}=\n\t(.*)\n", text)
            assert found, name
            text = text[: found.start(1)] + f"{found[1]}+{push}*STEP(1,{WHEN})" + text[found.end(1) :]
        text = text.replace("\nTIME STEP=", f"\n{push}= 0 ~ ~ |\n\nTIME STEP=", 1)
    return text


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, float], float]:
    """How each variable has moved three steps after each was pushed, by the sign of the open gains."""
    causes = {CORE.stands_for.get(f"{link.cause} -> {link.effect}", link.cause.strip("<>")) for link in LINKS}
    file = tmp_path_factory.mktemp("pushed") / "core.mdl"
    file.write_text(_pushed(bundled("core.mdl").read_text(encoding="utf-8"), causes), encoding="utf-8")
    model = read_model(file)
    effects = sorted({link.effect for link in LINKS})
    order = ["", *sorted(causes)]
    moved = {}
    for gain in (0.35, -0.35):
        pushes = {f"Push {c.title()}": np.where(np.array(order) == c, 1e-4, 0.0) for c in sorted(causes)}
        gains = {name: np.full(len(order), gain) for name in ("Partner Gain", "Host Gain")}
        found = ensemble(model, pushes | gains, save=effects, times=[WHEN + 0.0625], workers=1)
        for effect in effects:
            values = found[effect.lower().replace(" ", "_")].values[:, 0]
            moved |= {(c, effect, gain): float(v - values[0]) for c, v in zip(order, values, strict=True)}
    return moved


@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link.cause} to {link.effect}")
def test_each_link_of_the_diagram_is_in_the_model_with_its_sign(link, answers) -> None:
    cause = CORE.stands_for.get(f"{link.cause} -> {link.effect}", link.cause.strip("<>"))
    up, down = (np.sign(answers[cause, link.effect, gain]) for gain in (0.35, -0.35))
    if link.sign == "?":
        assert (up, down) == (1, -1)
    else:
        # below zero both sides give more while the park lags, and firms gain no more than was promised
        assert up == {"+": 1, "-": -1}[link.sign]


def test_the_figure_is_that_of_its_script(tmp_path: Path) -> None:
    assert all({link.cause, link.effect} <= set(CORE.standing) for link in LINKS)
    assert faults(read_model(bundled("core.mdl")), CORE) == []
    assert draw(CORE, tmp_path / "core_loops") == 0
    kept = (ROOT / "docs" / "figures" / "core_loops.svg").read_text(encoding="utf-8")
    names = lambda text: sorted(re.findall(r">([^<>]+)</text>", text))  # noqa: E731
    assert names((tmp_path / "core_loops.svg").read_text(encoding="utf-8")) == names(kept)


def test_the_evidence_of_the_constant_rate_is_that_of_a_quadrature() -> None:
    """By the table, scipy's negative binomial and a sum over four priors; no part of the project takes part.

    What waits under a constant rate has a closed form between ceremonies.
    """
    rows = pd.read_csv(ROOT / "calibration" / "studies" / "great_stone" / "data" / "residents.csv")
    rows = rows[rows["use"] == "fit"]
    day = pd.to_datetime(rows["date"]) + pd.Timedelta(days=1)
    start = pd.to_datetime(day.dt.year.astype(str) + "-01-01")
    ends = (day.dt.year + (day - start).dt.days / np.where(day.dt.is_leap_year, 366, 365)).to_numpy()
    counts = np.diff(rows["residents"], prepend=0)
    assert (len(counts), counts.sum()) == (16, 60)
    ceremonies = [ends[rows["date"].tolist().index(date)] for date in ("2015-05-12", "2019-07-02")]
    # middles of shares of equal probability
    middles = (np.arange(20) + 0.5) / 20
    priors = (
        norm.ppf(middles, np.log(5.4), 0.8),
        norm.ppf(middles),
        np.log(middles),
        norm.ppf(middles, np.log(2), 1.5),
    )
    rate, alpha, share, wait = map(np.exp, np.meshgrid(*priors))
    likelihood, waiting, position = np.ones(rate.shape), np.zeros(rate.shape), 2012.43
    for end, count in zip(ends, counts, strict=True):
        before = waiting
        # those who wait go one by one, and new ones come
        waiting = waiting * np.exp(-wait * (end - position)) + rate / wait * -np.expm1(-wait * (end - position))
        if end in ceremonies:
            waiting = waiting * (1 - share)
        mean = rate * (end - position) + before - waiting
        likelihood, position = likelihood * nbinom.pmf(count, mean / alpha, 1 / (1 + alpha)), end
    exact = np.log(likelihood.mean())
    line = numbers.record_of("core_fit")["numbers"]["lines"]["constant rate"]
    assert line["evidence"] == pytest.approx(exact, abs=4 * line["error"] + 0.03)


def test_weighted_draws_give_back_what_a_closed_form_says() -> None:
    """Evidence, leave-one-out and later given earlier of a rate of Poisson counts under a gamma prior."""
    rng = np.random.default_rng(3)
    counts, n = np.array([3.0, 5.0, 2.0]), 200_000
    rates = rng.gamma(4.0, 1.0, n)
    logs = poisson.logpmf(counts, rates[:, None])
    found = Weighted(None, rates[:, None], logs, ("residents",) * 3, np.array([1.0, 2.0, 3.0]))  # type: ignore[arg-type]

    def evidence(chosen: np.ndarray) -> float:
        total, m = chosen.sum(), len(chosen)
        return float(gammaln(4 + total) - gammaln(4) - (4 + total) * np.log(1 + m) - gammaln(chosen + 1).sum())

    every = np.ones(3, dtype=bool)
    value, error, size = found.evidence(every)
    assert value == pytest.approx(evidence(counts), abs=4 * error)
    assert 0.2 * n < size < n
    left = sum(evidence(counts) - evidence(np.delete(counts, i)) for i in range(3))
    assert found.left_out(every) == pytest.approx(left, abs=0.02)
    assert found.later(every, 1.0) == pytest.approx(evidence(counts) - evidence(counts[:1]), abs=0.02)
    after = found.resampled(every, 20_000)[:, 0]
    assert after.mean() == pytest.approx((4 + counts.sum()) / (1 + 3), rel=0.01)


def test_what_the_pages_say_in_words_is_what_the_numbers_are() -> None:
    fit, full = numbers.record_of("core_fit")["numbers"], numbers.record_of("park_on_core_windows")["numbers"]
    # no loop is supported: alone or beside the others, none is worth a unit
    assert all(abs(row["alone"]) < 1 and abs(row["beside"]) < 1 for row in fit["loops"])
    both = {row["name"]: row["both"] for row in fit["rows"]}
    none = both["none"]
    # the counts hardly ask for May 2017, and not for the operator, with it or without
    assert none - 1.5 < both["none, no reform"] < none
    assert abs(both["none, no operator"] - none) < 0.5
    assert both["none, no reform"] - 1 < both["none, neither"] < both["none, no reform"]
    # decisions before contacts, by less than a search among several dozen variants is worth
    assert 0 < none - both["none, reform on contacts"] < np.log(24)
    # for the site, by less than such a search is worth, and neither for nor against pool and staff
    assert 2 < none - both["none, no B3"] < np.log(24)
    assert all(abs(both[f"none, no {loop}"] - none) < 1 for loop in ("B1", "B2"))
    lines = fit["lines"]
    # the core has more evidence than every curve, and the full model about as much; it is nearest at its best
    curves = [lines[name] for name in ("constant rate", "two rates", "logistic", "Bass")]
    assert lines["none"]["evidence"] > max(line["evidence"] for line in curves) + 2
    assert abs(full["evidence"] - lines["none"]["evidence"]) < 1
    assert full["best"] > max(line["best"] for line in lines.values()) + 1
    # what had not been seen tells nothing but the constant rate apart, which of 2019 was the best guess
    others = [line["y2018"] for name, line in lines.items() if name != "constant rate"] + [full["y2018"]]
    assert max(others) - min(others) < 1
    assert lines["constant rate"]["y2018"] < min(others) - 1
    assert max([*lines.values(), full], key=lambda line: line["y2019"])["name"] == "constant rate"
    read = numbers.record_of("ceremonies")["numbers"]["of"]
    for model in ("core", "full"):
        # the same counts with and without waiting; the dispersion falls by a half, and so does most of the reform
        some, all_of_them = ([read[f"{model} {n} {wait}"] for wait in ("no", "yes")] for n in (14, 16))
        plain, waits = some
        assert 0.4 < waits["evidence"] - plain["evidence"] < 1.5
        assert waits["y2018"] > plain["y2018"] + 0.5
        assert waits["y2019"] > plain["y2019"] + 0.5
        assert waits["reform"] < 1.5 < 2.5 < plain["reform"]
        plain, waits = all_of_them
        assert 6.5 < waits["evidence"] - plain["evidence"] < 7.5
        assert 0.4 < waits["dispersion"][1] / plain["dispersion"][1] < 0.65
        assert waits["reform"] < 1
        assert waits["evidence"] == pytest.approx((lines["none"] if model == "core" else full)["evidence"], abs=0.1)
    # when somebody leaves: "no effect" possible before and after, as often, but for the reform
    for row in fit["leaving"]:
        shares = [row[when]["y2031"]["same"] for when in ("prior", "posterior")]
        assert min(shares) >= 1
        assert abs(shares[0] - shares[1]) < (30 if row["id"] == "no reform" else 5), row["id"]
    assert {c["id"]: c["class"] for c in fit["claims"] if c["class"].startswith("informed")} == {
        "R5 out": "informed, against it",
    }
