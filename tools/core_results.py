"""What the core model and its rivals make of the counts, by weighted draws of the prior.

    python tools/results.py core_fit park_on_core_windows

A model of a dozen constants that runs in a tenth of a millisecond needs no chains: draws of the prior, each weighted by
the likelihood of the counts, give the evidence (their mean weight), what a window was predicted to be without it, what
later windows were predicted to be from earlier ones, and the posterior. All structures see the same draws, so
that their evidences differ by what they say and less by chance. Bridge sampling from chains, in `cipark calibrate
--rivals`, is the second route to the same evidences.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from calibration.assess.rivals import with_variant
from calibration.inference.sample.densities import prior_draws
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study import STUDIES
from calibration.study.observations import Count, Quantity
from calibration.study.parameters import ParameterSpace
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Catalogue
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.statements.claims import Evidence, Tally, classify

Array = NDArray[np.float64]
Numbers = dict[str, Any]
#: Draws of the prior for each structure, and their seed. The full model runs longer, and its prior lies farther off.
DRAWS, SEED = 50_000, 20200115
CHUNK = 500
#: Draws of prior and posterior that knock-outs are run over.
RUNS = 2000
#: Counts of the days and months before a ceremony, and what waits.
BEFORE = ("2014-12-24", "2019-07-01")
WAITING = {"dispersion": "entry dispersion", "share": "share released", "rate": "release rate"}
ORIGINS = {"y2018": 2018.0, "y2019": 2019.0}
#: Constants that act on the counts, the dispersion left out; a gain counts where its loop is on.
GAINS = {
    "R1": "Partner Gain",
    "R2": "Host Gain",
    "R3": "Reputation Gain",
    "R4": "Learning Gain",
    "R5": "Return Gain",
    "R6": "Leaving Response",
}
CURVE_CONSTANTS = {"constant rate": 1, "two rates": 2, "logistic": 3, "Bass": 3}
#: Policies of the catalogue in which an actor leaves or never came; all others leave out or cut a loop.
ACTORS = ("no operator", "no reform", "operator leaves", "host turns", "agreement ends", "all leave", "no earnings")
#: Structures whose claims and knock-outs are shown.
SHOWN = ("none", "all", "none, reform on contacts", "all, reform on contacts")


@dataclass(frozen=True, eq=False)
class Weighted:
    """Draws of a prior with the log likelihood of each term.

    Parameters
    ----------
    theta : (n, k)
    logs : (n, n_terms)
    series : (n_terms,)
        The observation that a term is of.
    end : (n_terms,)
        When a term's window ends.
    """

    problem: CalibrationProblem
    theta: Array
    logs: Array
    series: tuple[str, ...]
    end: Array

    @cached_property
    def residents(self) -> NDArray[np.bool_]:
        """The terms that are windows of residents."""
        return np.array([name == "residents" for name in self.series])

    def of(self, terms: NDArray[np.bool_]) -> Array:
        """Log likelihood ``(n,)`` of some of the terms."""
        return np.asarray(self.logs[:, terms].sum(axis=1))

    def evidence(self, terms: NDArray[np.bool_]) -> tuple[float, float, float]:
        """Log evidence of some of the terms, its standard error, and how many draws the weighted ones are worth."""
        logs = self.of(terms)
        weights = np.exp(logs - logs.max())
        size = float(weights.sum() ** 2 / (weights**2).sum())
        return log_mean(logs), math.sqrt(1 / size - 1 / len(logs)), size

    def left_out(self, terms: NDArray[np.bool_]) -> float:
        """The sum, over the terms, of the log density of each given all others of them."""
        whole, positions = log_mean(self.of(terms)), np.flatnonzero(terms)
        without = (np.delete(self.logs, [*np.flatnonzero(~terms), position], axis=1) for position in positions)
        return float(sum(whole - log_mean(columns.sum(axis=1)) for columns in without))

    def later(self, terms: NDArray[np.bool_], origin: float) -> float:
        """Log density of all terms that end after ``origin``, jointly, given those before."""
        return log_mean(self.of(terms)) - log_mean(self.of(terms & (self.end <= origin + 1e-9)))

    def resampled(self, terms: NDArray[np.bool_], n: int) -> Array:
        """``(n, k)`` posterior draws, by systematic resampling."""
        logs = self.of(terms)
        weights = np.exp(logs - logs.max())
        places = (np.arange(n) + 0.5) / n
        index = np.searchsorted(np.cumsum(weights) / weights.sum(), places)
        return np.asarray(self.theta[np.minimum(index, len(weights) - 1)])


def log_mean(logs: Array) -> float:
    """The logarithm of the mean of the exponentials."""
    return float(logsumexp(logs) - math.log(len(logs)))


def weighted(problem: CalibrationProblem, theta: Array) -> Weighted:
    """The draws under a problem's structure."""
    density = posterior(problem, choose("native"))
    parts = [density.pointwise(theta[i : i + CHUNK], weighted=False) for i in range(0, len(theta), CHUNK)]
    fitted = [(o.name, t) for o in problem.observations for t in o.terms if t.use == "fit"]
    ends = np.array([max(q.end for q in term.quantities) for _, term in fitted])
    return Weighted(problem, theta, np.concatenate(parts), tuple(name for name, _ in fitted), ends)


def draws_of(problem: CalibrationProblem, n: int) -> Array:
    """Draws of the prior; the same whatever the structure."""
    return prior_draws(problem.space, n, np.random.default_rng(SEED))


def best(density: Posterior) -> float:
    """The largest log likelihood that searches from ten starts find, all parameters free."""
    problem = density.problem
    free = ParameterSpace(tuple(replace(p, use="CAL") for p in problem.space))
    goal = posterior(replace(problem, space=free), choose("native"))
    optimum = optimise(goal, starts=10, rng=np.random.default_rng(SEED), estimate="ml")
    return float(goal.log_likelihood(optimum.theta[None])[0])


def residents_only(problem: CalibrationProblem) -> CalibrationProblem:
    """The problem with nothing but the residents' windows."""
    return replace(problem, observations=tuple(o for o in problem.observations if o.name == "residents"))


def line(name: str, sample: Weighted, constants: int) -> Numbers:
    """One line of the comparison: the residents' windows."""
    terms = sample.residents
    evidence, error, size = sample.evidence(terms)
    return {
        "name": name,
        "constants": constants,
        "best": best(posterior(residents_only(sample.problem), choose("native"))),
        "evidence": evidence,
        "error": error,
        "worth": size,
        "left_out": sample.left_out(terms),
        **{key: sample.later(terms, origin) for key, origin in ORIGINS.items()},
    }


def ceremonies() -> Numbers:
    """The residents' windows with and without the layer of announced dates, whole and with two windows joined."""
    rows = []
    for name, model, structures in (
        ("great_stone_core", "core", ("none", "none, no reform")),
        ("great_stone", "full", ("M0", "M6")),
    ):
        study = read_problem(STUDIES / name)
        variants = [next(rival for rival in study.rivals if rival.id == structure) for structure in structures]
        with_reform, without = (residents_only(with_variant(study, variant)) for variant in variants)
        theta, names = draws_of(study, DRAWS), study.space.names
        for joined in (False, True):
            for layer in (False, True):
                sample = weighted(_windows(with_reform, joined=joined, layer=layer), theta)
                evidence, error, size = sample.evidence(sample.residents)
                unreformed = weighted(_windows(without, joined=joined, layer=layer), theta)
                after = sample.resampled(sample.residents, DRAWS)
                rows.append(
                    {
                        "model": model,
                        "windows": int(sample.residents.sum()),
                        "layer": "yes" if layer else "no",
                        "evidence": evidence,
                        "error": error,
                        "worth": size,
                        "left_out": sample.left_out(sample.residents),
                        **{key: sample.later(sample.residents, origin) for key, origin in ORIGINS.items()},
                        "reform": evidence - unreformed.evidence(unreformed.residents)[0],
                        **{key: _quantiles(after[:, names.index(parameter)]) for key, parameter in WAITING.items()},
                    }
                )
    named = {f"{row['model']} {row['windows']} {row['layer']}": row for row in rows}
    return {"draws": DRAWS, "seed": SEED, "rows": rows, "of": named}


def _windows(problem: CalibrationProblem, *, joined: bool, layer: bool) -> CalibrationProblem:
    """The problem with the windows before a ceremony joined to that which ends with it, or without the layer."""
    (observation,) = problem.observations
    terms = [term for term in observation.terms if isinstance(term, Count) and term.use == "fit"]
    if joined:
        ends = [term.quantity.end for term in terms if any(date in term.label for date in BEFORE)]
        terms = merged_over(terms, ends)
    if not layer:
        terms = [term.reading(plain) for term in terms]
    return replace(problem, observations=(replace(observation, terms=tuple(terms)),))


def merged_over(terms: Sequence[Count], ends: Sequence[float]) -> list[Count]:
    """Windows joined where one ends and the next begins at one of the ``ends``: counts add up."""
    merged: list[Count] = []
    for term in sorted(terms, key=lambda term: term.quantity.end):
        last = merged[-1] if merged else None
        if last is None or term.quantity.start not in ends or last.quantity.end != term.quantity.start:
            merged.append(term)
            continue
        gains = None if last.gains is None or term.gains is None else replace(term.gains, start=last.gains.start)
        quantity = replace(term.quantity, start=last.quantity.start)
        lower, upper = last.lower + term.lower, last.upper + term.upper
        merged[-1] = replace(term, quantity=quantity, gains=gains, lower=lower, upper=upper)
    return merged


def plain(quantity: Quantity) -> Quantity:
    """The quantity as the model has it, whatever is reported of it."""
    return Quantity(quantity.parts, quantity.how, quantity.start, quantity.end)


def core_fit() -> Numbers:
    """All structures of the core, and the curves."""
    core, curves = (read_problem(STUDIES / name) for name in ("great_stone_core", "great_stone_curves"))
    theta = draws_of(core, DRAWS)
    lines = []
    for variant in curves.rivals:
        sample = weighted(with_variant(curves, variant), draws_of(curves, DRAWS))
        lines.append(line(variant.id, sample, CURVE_CONSTANTS[variant.id]))
    structures: dict[str, Weighted] = {}
    table: dict[str, Numbers] = {}
    for variant in core.rivals:
        print(variant.id, flush=True)
        sample = weighted(with_variant(core, variant), theta)
        table[variant.id] = _structure(sample)
        if variant.id in SHOWN:
            structures[variant.id] = sample
    lines += [line(name, structures[name], len(acting(structures[name].problem))) for name in SHOWN]
    return {
        "draws": DRAWS,
        "seed": SEED,
        "windows": int(structures["all"].residents.sum()),
        "firms": float(sum(t.lower for t in core.fitted_terms if isinstance(t, Count) and t.label.startswith("resid"))),
        "lines": {entry["name"]: entry for entry in lines},
        "structures": table,
        "rows": [{"name": v.id, "why": v.title, **table[v.id]} for v in core.rivals],
        "loops": _loops(table, structures["all"]),
        "parameters": _parameters(structures["all"]),
        "prior": _course(core, theta[:RUNS]),
        **_knocked_out(structures),
    }


def acting(problem: CalibrationProblem) -> list[str]:
    """The constants, of those that are drawn, that change residents up to the end of 2019 in some draw of the prior."""
    theta, second = np.split(draws_of(problem, 128), 2)
    times = (2016.0, 2018.0, 2020.0)
    base = runs(problem, theta, Scenario(), times)["residents"]
    names = []
    for i, parameter in enumerate(problem.space):
        moved = theta.copy()
        moved[:, i] = second[:, i]
        if parameter.target == "model" and (runs(problem, moved, Scenario(), times)["residents"] != base).any():
            names.append(parameter.name)
    return names


def _structure(sample: Weighted) -> Numbers:
    every = np.ones(len(sample.series), dtype=bool)
    evidence, evidence_error, size = sample.evidence(every)
    alone, error, _ = sample.evidence(sample.residents)
    return {
        "both": evidence,
        "both_error": evidence_error,
        "worth": size,
        "residents": alone,
        "error": error,
        "left_out": sample.left_out(every),
        **{key: sample.later(sample.residents, origin) for key, origin in ORIGINS.items()},
    }


def _loops(table: Mapping[str, Numbers], sample: Weighted) -> list[Numbers]:
    """For each loop: evidence for it alone and beside the others, and its gain before and after the counts."""
    rows = []
    for loop, gain in GAINS.items():
        row = next(entry for entry in _parameters(sample) if entry["name"] == gain)
        rows.append(
            {
                "loop": loop,
                "alone": table[loop]["both"] - table["none"]["both"],
                "beside": table["all"]["both"] - table[f"all but {loop}"]["both"],
                **row,
            }
        )
    return rows


def _parameters(sample: Weighted) -> list[Numbers]:
    """Each constant before and after the counts, all of them; contraction of variance on the prior's scale."""
    every = np.ones(len(sample.series), dtype=bool)
    after = sample.resampled(every, len(sample.theta))
    rows = []
    for i, parameter in enumerate(sample.problem.space):
        before, now = sample.theta[:, i], after[:, i]
        scale = np.log if parameter.scale == "log" and parameter.lower > 0 else np.asarray
        rows.append(
            {
                "name": parameter.name,
                "prior": _quantiles(before),
                "posterior": _quantiles(now),
                "contraction": float(1 - np.var(scale(now)) / np.var(scale(before))),
                "above_zero": [float((before > 0).mean()), float((now > 0).mean())],
            }
        )
    return rows


def _quantiles(values: Array) -> list[float]:
    """5, 50 and 95 %."""
    return [float(q) for q in np.quantile(values, (0.05, 0.5, 0.95))]


def runs(problem: CalibrationProblem, theta: Array, scenario: Scenario, times: Sequence[float]) -> dict[str, Array]:
    """Residents and working firms ``(n, n_times)`` of draws ``(n, k)`` under a problem's structure and a scenario."""
    columns = {p.name: theta[:, i] for i, p in enumerate(problem.space) if p.target == "model"}
    run_scenario = problem.scenario | scenario | Scenario("", final_time=max(times))
    save = ["Residents", "Working Firms"]
    dataset = ensemble(problem.model, columns, save=save, times=list(times), scenario=run_scenario, workers=1)
    return {"residents": dataset["residents"].values, "working": dataset["working_firms"].values}


def _course(problem: CalibrationProblem, theta: Array) -> Numbers:
    residents = runs(problem, theta, Scenario(), (2020.0, 2026.0, 2031.0))["residents"]
    near = (residents[:, 0] > 41 / 3) & (residents[:, 0] < 41 * 3)
    return {
        "y2020": _quantiles(residents[:, 0]),
        "y2031": _quantiles(residents[:, 2]),
        "near": float(100 * near.mean()),
    }


def _knocked_out(structures: Mapping[str, Weighted]) -> Numbers:
    """Each policy of the study's catalogue over prior and posterior draws, under each structure."""
    any_one = next(iter(structures.values()))
    catalogue = read_catalogue(STUDIES / "great_stone_core" / "policies.toml", any_one.problem.model)
    effects = {name: _effects(sample, catalogue) for name, sample in structures.items()}
    rows: list[Numbers] = []
    claims: list[Numbers] = []
    for policy in catalogue.policies[1:]:
        whole = effects["all"][policy.id]
        rows.append({"id": policy.id, "title": policy.title, **whole["shown"]})
        for expected in policy.expected:
            position = catalogue.times.index(expected.at)
            evidence = []
            for name, sample in structures.items():
                ratios = effects[name][policy.id]["ratios"]
                idle = bool((np.abs(ratios["prior"][:, position] - 1) < 1e-9).mean() >= 0.9)
                size = sample.evidence(np.ones(len(sample.series), dtype=bool))[2]
                tallies = {
                    when: Tally(float(_holds(ratios[when][:, position], expected.how, expected.factor).sum()), RUNS)
                    for when in ("prior", "posterior")
                }
                evidence.append(Evidence(name, tallies["prior"], tallies["posterior"].worth(size), idle))
            found_class = classify(evidence)
            active = [e for e in evidence if not e.idle]
            claims.append(
                {
                    "id": policy.id,
                    "title": policy.title,
                    "at": int(expected.at) - 1,
                    "how": expected.how,
                    "factor": expected.factor,
                    "class": str(found_class),
                    "structures": len(active),
                    "prior": [min(e.prior.share for e in active), max(e.prior.share for e in active)],
                    "posterior": [
                        f([e.posterior.share for e in active if e.posterior is not None]) for f in (min, max)
                    ],
                }
            )
    base = {name: sample["base"]["base"] for name, sample in effects.items()}
    kinds = ("built in", "informed", "undecided")
    counts = {kind: sum(claim["class"].startswith(kind) for claim in claims) for kind in kinds}
    actors = [row for row in rows if row["id"] in ACTORS]
    loops = [row for row in rows if row["id"] not in ACTORS]
    return {"knock_outs": loops, "leaving": actors, "claims": claims, "classes": counts, "base": base}


def _holds(ratios: Array, how: str, factor: float) -> NDArray[np.bool_]:
    return ratios < factor if how == "less" else ratios > factor


def _effects(sample: Weighted, catalogue: Catalogue) -> dict[str, Numbers]:
    every = np.ones(len(sample.series), dtype=bool)
    sets = {"prior": sample.theta[:RUNS], "posterior": sample.resampled(every, RUNS)}
    base = {when: runs(sample.problem, theta, Scenario(), catalogue.times) for when, theta in sets.items()}
    answer: dict[str, Numbers] = {
        "base": {
            "base": {
                when: {
                    quantity: {f"y{time:g}": _quantiles(values[:, i]) for i, time in enumerate(catalogue.times)}
                    for quantity, values in courses.items()
                }
                for when, courses in base.items()
            }
        }
    }
    for policy in catalogue.policies[1:]:
        ratios = {
            when: runs(sample.problem, theta, policy.scenario, catalogue.times)["residents"] / base[when]["residents"]
            for when, theta in sets.items()
        }
        answer[policy.id] = {"ratios": ratios, "shown": _shown(ratios, catalogue.times)}
    return answer


def _shown(ratios: Mapping[str, Array], times: Sequence[float]) -> Numbers:
    """Change in per cent with its 90 %, and in how many draws it is a tenth or more."""
    shown: Numbers = {}
    for when, values in ratios.items():
        shown[when] = {
            f"y{time:g}": {
                "change": [100 * (q - 1) for q in _quantiles(values[:, i])],
                "fewer": float(100 * (values[:, i] < 0.9).mean()),
                "same": float(100 * ((values[:, i] >= 0.9) & (values[:, i] <= 1.1)).mean()),
                "more": float(100 * (values[:, i] > 1.1).mean()),
            }
            for i, time in enumerate(times)
        }
    return shown


def park_on_core_windows() -> Numbers:
    """The full model on the residents' windows of the core, with its own priors and nothing else in the likelihood."""
    core, park = read_problem(STUDIES / "great_stone_core"), read_problem(STUDIES / "great_stone")
    (windows,) = (o for o in core.observations if o.name == "residents")
    names = {"Residents": "Total Residents", "Total Entrants": "Total Entrants"}

    def renamed(quantity: Quantity) -> Quantity:
        return replace(quantity, parts=tuple((names[name], sign) for name, sign in quantity.parts))

    terms = tuple(
        replace(t, quantity=renamed(t.quantity), gains=None if t.gains is None else renamed(t.gains))
        for t in windows.terms
        if isinstance(t, Count) and t.use == "fit"
    )
    problem = replace(park, observations=(replace(windows, terms=terms),))
    sample = weighted(problem, draws_of(problem, DRAWS))
    constants = sum(p.target == "model" for p in problem.space)
    return line("full", sample, constants)
