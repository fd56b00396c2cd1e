"""Which part of the settled firms works: ten parks, the kind of estate, and what follows for Great Stone.

    python tools/results.py parks

Entry is straight between the counts of a park. A part of the firms will start, at one rate; nobody leaves. Firms that
began since the last report are beta-binomial among those that did not work then. Parks differ around what their kind
has. The evidence is had twice: parks are integrated out one by one, by Gauss and Hermite, over hyperparameters drawn
from their prior; and chains in all dimensions are bridged to a mixture.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from core_results import Array
from scipy.special import betaln, expit, gammaln, logsumexp
from scipy.stats import gaussian_kde, norm, qmc

from calibration.assess.rivals import with_variant
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import draw, log_evidence
from calibration.inference.sample.modes import log_evidence_of
from calibration.inference.sample.moves import step
from calibration.likelihood.posterior import On
from calibration.likelihood.replicate import named_streams
from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem

PAIRS = STUDIES / "other_parks" / "data" / "pairs.csv"
SEED = 20260129
#: Hyperparameters: log odds that a firm will start, what the covariate adds, log of years to start, what the covariate
#: adds, sds of parks around both (half normal), log concentration of the starts. Means and sds of normal priors.
MEANS = np.array([0.0, 0.0, np.log(2.5), 0.0, 0.0, 0.0, np.log(20)])
SDS = np.array([1.2, 1.5, 0.5, 0.7, 0.7, 0.4, 0.8])
SHARE, TIME = 1, 3
#: Replicates and points of each; nodes of a park's two deviations.
REPLICATES, POINTS, NODES = 8, 512, (15, 9)
#: Ensembles, walkers of each, steps, and steps that are left out.
ENSEMBLES, WALKERS, STEPS, BURNT = 3, 60, 1200, 300
#: Structures: the column that divides the parks, and what it changes.
STRUCTURES: dict[str, tuple[str, tuple[int, ...]]] = {
    "no difference": ("estate", ()),
    "kind of estate, share": ("estate", (SHARE,)),
    "kind of estate, time": ("estate", (TIME,)),
    "kind of estate, both": ("estate", (SHARE, TIME)),
    "kind of count, both": ("entered", (SHARE, TIME)),
    "agreement between states, both": ("treaty", (SHARE, TIME)),
}
#: The structure from whose draws the parks are described.
TOLD = "kind of estate, both"


def _year(text: str) -> float:
    day = date.fromisoformat(text)
    return day.year + (day - date(day.year, 1, 1)).days / 365.25


@dataclass(frozen=True, eq=False)
class Park:
    """Reports of a park: times from the start of works on, and firms settled and working at each, 0 at the start."""

    name: str
    times: Array
    settled: Array
    working: Array
    covariates: dict[str, float]

    def part_started(self, years: Array) -> Array:
        """Firms ``(..., n_reports)`` that would work if all will start, after ``years : (...)`` on average."""
        rates, tau = np.diff(self.settled) / np.diff(self.times), years[..., None]
        columns = []
        for k, now in enumerate(self.times[1:], start=1):
            low, high = now - self.times[1 : k + 1], now - self.times[:k]
            started = high - low - tau * (np.exp(-low / tau) - np.exp(-high / tau))
            columns.append((rates[:k] * started).sum(axis=-1))
        return np.stack(columns, axis=-1)

    def log_likelihood(self, odds: Array, log_years: Array, log_concentration: Array) -> Array:
        """Of the firms that began between reports, at arrays of one shape."""
        working = expit(odds)[..., None] * self.part_started(np.exp(log_years))
        before = np.concatenate([np.zeros((*working.shape[:-1], 1)), working[..., :-1]], axis=-1)
        chance = np.clip((working - before) / np.maximum(self.settled[1:] - before, 1e-6), 1e-6, 1 - 1e-6)
        began, could = np.diff(self.working), self.settled[1:] - self.working[:-1]
        alpha, beta = (np.exp(log_concentration)[..., None] * part for part in (chance, 1 - chance))
        ways = gammaln(could + 1) - gammaln(began + 1) - gammaln(could - began + 1)
        logs = ways + betaln(began + alpha, could - began + beta) - betaln(alpha, beta)
        return np.asarray(logs.sum(axis=-1))


def read_parks(*, doubtful: bool = True, without: str = "") -> list[Park]:
    """The parks of the table, those whose two numbers are not of one date only if ``doubtful``."""
    frame = pd.read_csv(PAIRS)
    frame["entered"] = frame["counts"] == "entered"
    parks = []
    for name, rows in frame.groupby("park", sort=False):
        if name == without or (rows["doubt"].any() and not doubtful):
            continue
        times = np.array([_year(rows["begun"].iloc[0]), *rows["date"].map(_year)])
        numbers = [np.array([0.0, *rows[column]]) for column in ("settled", "working")]
        covariates = {column: float(rows[column].iloc[0]) for column in ("estate", "entered", "treaty")}
        parks.append(Park(str(name), times, *numbers, covariates))
    return parks


def _of(structure: str, scores: Array) -> tuple[str, Array]:
    """The column of a structure, and hyperparameters ``(n, 7)`` from standard normal scores."""
    column, used = STRUCTURES[structure]
    values = MEANS + SDS * scores[:, : len(SDS)]
    values[:, 4:6] = np.abs(values[:, 4:6])
    values[:, [i for i in (SHARE, TIME) if i not in used]] = 0.0
    return column, values


def _at(values: Array, covariate: float, deviations: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Log odds, log years and log concentration of a park whose deviations are given, ``(n, ...)``."""
    a, b, c, d, sd_share, sd_time, concentration = (v.reshape(-1, *[1] * (deviations[0].ndim - 1)) for v in values.T)
    odds = a + b * covariate + sd_share * deviations[0]
    years = c + d * covariate + sd_time * deviations[1]
    return odds, years, concentration + 0 * odds


def by_quadrature(structure: str, parks: list[Park]) -> tuple[float, float, Array, Array]:
    """Log evidence with its error, and hyperparameters ``(n, 7)`` with their log weights."""
    (u, wu), (v, wv) = (np.polynomial.hermite_e.hermegauss(n) for n in NODES)
    grid = [part.reshape(1, -1) for part in np.meshgrid(u, v, indexing="ij")]
    weights = np.log(np.outer(wu / wu.sum(), wv / wv.sum()).reshape(1, -1))
    points = [norm.ppf(qmc.Sobol(len(SDS), seed=SEED + i).random(POINTS)) for i in range(REPLICATES)]
    column, values = _of(structure, np.concatenate(points))
    logs = np.zeros(len(values))
    for park in parks:
        for part in np.array_split(np.arange(len(values)), 32):
            at = _at(values[part], park.covariates[column], (grid[0], grid[1]))
            logs[part] += logsumexp(weights + park.log_likelihood(*at), axis=1)
    means = logsumexp(logs.reshape(REPLICATES, POINTS), axis=1) - np.log(POINTS)
    total = float(logsumexp(means) - np.log(REPLICATES))
    error = float(np.exp(means - total).std(ddof=1) / np.sqrt(REPLICATES))
    return total, error, values, logs


def by_bridge(structure: str, parks: list[Park]) -> tuple[float, float]:
    """Log evidence and its error from chains over hyperparameters and all deviations."""
    dimensions = len(SDS) + 2 * len(parks)

    def target(scores: Array) -> Array:
        column, values = _of(structure, scores)
        logs = norm.logpdf(scores).sum(axis=1)
        for i, park in enumerate(parks):
            deviations = scores[:, len(SDS) + 2 * i], scores[:, len(SDS) + 2 * i + 1]
            logs += park.log_likelihood(*_at(values, park.covariates[column], deviations))
        return np.asarray(logs)

    (rng,) = named_streams(np.random.default_rng(SEED), [structure])
    streams = rng.spawn(ENSEMBLES)
    position = rng.standard_normal((ENSEMBLES, WALKERS, dimensions))
    density = target(position.reshape(-1, dimensions)).reshape(ENSEMBLES, WALKERS)
    points, logs = [], []
    for i in range(STEPS):
        position, density = step(target, position, density, streams)
        if i >= BURNT:
            points.append(position)
            logs.append(density)
    return log_evidence_of(target, np.stack(points, axis=1), np.stack(logs, axis=1), 20_000, rng)


def _kinds(values: Array, logs: Array, rng: np.random.Generator, n: int = 4000) -> dict[str, Array]:
    """Log odds and log years ``(n, 2)`` of one more park, running estate or not, with the log concentration."""
    weights = np.exp(logs - logs.max())
    chosen = values[rng.choice(len(values), size=n, p=weights / weights.sum())]
    deviations = rng.standard_normal((2, n))
    return {
        kind: np.stack(_at(chosen, covariate, (deviations[0], deviations[1])), axis=1)
        for kind, covariate in (("own plants", 0.0), ("ready halls", 1.0))
    }


def _quantiles(values: Array, weights: Array | None = None) -> list[float]:
    order = np.argsort(values)
    cumulated = np.cumsum(np.ones(len(values)) if weights is None else weights[order])
    places = np.searchsorted(cumulated / cumulated[-1], (0.05, 0.5, 0.95))
    return [float(values[order][place]) for place in places]


def _left_out(name: str, rng: np.random.Generator) -> tuple[dict[str, Any], Array]:
    """What the other parks say of the last report of a park with own plants; its log odds and log years ``(n, 2)``."""
    (park,) = (p for p in read_parks() if p.name == name)
    *_, values, logs = by_quadrature(TOLD, read_parks(without=name))
    odds, years, concentration = _kinds(values, logs, rng)["own plants"].T
    settled = int(park.settled[-1])
    chance = np.clip(expit(odds) * park.part_started(np.exp(years))[:, -1] / settled, 1e-6, 1 - 1e-6)
    alpha, beta = (np.exp(concentration) * part for part in (chance, 1 - chance))
    foretold = rng.binomial(settled, rng.beta(alpha, beta)).astype(float)
    facts = {"settled": settled, "working": int(park.working[-1]), "foretold": _quantiles(foretold)}
    return facts, np.stack([odds, years], axis=1)


def _great_stone(elsewhere: Array) -> dict[str, Any]:
    """Share and time of the later study's model without loops, under its own priors and under what other parks say.

    Draws are weighted by the normal density of the other parks' log odds and log years over that of the study's priors.
    """
    from later_draws import fitted
    from scipy.stats import multivariate_normal

    share, years = fitted("none", "y2026").of(["Serious Share", "Start Time"]).T
    inside = np.clip(share, 1e-6, 1 - 1e-6)
    at = np.stack([np.log(inside / (1 - inside)), np.log(years)], axis=1)
    before_data = np.log(inside * (1 - inside)) + norm.logpdf(at[:, 1], np.log(2.5), 0.5)
    logs = multivariate_normal(elsewhere.mean(axis=0), np.cov(elsewhere.T)).logpdf(at) - before_data
    weights = np.exp(logs - logs.max())
    return {
        "share": {"own": _quantiles(share), "parks": _quantiles(share, weights)},
        "years": {"own": _quantiles(years), "parks": _quantiles(years, weights)},
        "effective": float(weights.sum() ** 2 / (weights**2).sum()),
    }


def _causes(problem: CalibrationProblem, rng: np.random.Generator) -> dict[str, Any]:
    """Evidence for word of mouth and for a common trend in the entry of eleven parks, each by two routes.

    The second is the density of the coefficient at zero, after over before, with both in (Savage and Dickey).
    """
    evidence, drawn_by = {}, {}
    for variant in problem.rivals:
        drawn = draw(On("native")(with_variant(problem, variant)), rng, effort=Effort(effective=1000.0))
        evidence[variant.id], drawn_by[variant.id] = list(log_evidence(drawn, rng)), drawn.flat
    before = prior_draws(problem.space, 50_000, rng)
    facts: dict[str, Any] = {"evidence": evidence}
    for name, alone in (("Word of Mouth", "word of mouth"), ("Calendar Trend", "trend")):
        place = problem.space.names.index(name)
        joint = drawn_by["both"][:, place]
        without = np.log(gaussian_kde(joint)(0.0) / gaussian_kde(before[:, place])(0.0))
        facts[name] = {
            "alone": _quantiles(drawn_by[alone][:, place]),
            "both": _quantiles(joint),
            "without": float(without[0]),
        }
    return facts


def _all_rows(problem: CalibrationProblem) -> CalibrationProblem:
    """The problem with the rows that it holds out among those that are fitted."""
    rows = (replace(o, terms=tuple(replace(term, use="fit") for term in o.terms)) for o in problem.observations)
    return replace(problem, observations=tuple(rows))


def parks() -> dict[str, Any]:
    """Evidence by both routes on all pairs and on those of one date, and what follows."""
    rng, study = np.random.default_rng(SEED), read_problem(STUDIES / "other_parks")
    everyone, clean = read_parks(), read_parks(doubtful=False)
    evidence, posteriors = {}, {}
    for name in STRUCTURES:
        *by_nodes, values, logs = by_quadrature(name, everyone)
        posteriors[name] = values, logs
        evidence[name] = {
            "quadrature": by_nodes,
            "bridge": list(by_bridge(name, everyone)),
            "of one date": list(by_quadrature(name, clean)[:2]),
        }
    values, logs = posteriors[TOLD]
    weights = np.exp(logs - logs.max())
    facts, elsewhere = _left_out("Great Stone", rng)
    return {
        "parks": len(everyone),
        "clean": len(clean),
        "pairs": sum(len(park.times) - 1 for park in everyone),
        "same": all(park.covariates["estate"] == park.covariates["entered"] for park in everyone),
        "evidence": evidence,
        "effects": {"share": _quantiles(values[:, SHARE], weights), "time": _quantiles(values[:, TIME], weights)},
        "kinds": {
            kind: {"share": _quantiles(expit(of[:, 0])), "years": _quantiles(np.exp(of[:, 1]))}
            for kind, of in _kinds(values, logs, rng).items()
        },
        "left_out": facts,
        "great_stone": _great_stone(elsewhere),
        "causes": {"to 2019": _causes(study, rng), "all": _causes(_all_rows(study), rng)},
    }
