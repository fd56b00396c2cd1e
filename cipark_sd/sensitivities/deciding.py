"""How often claims are true and alternatives the best over uncertain constants, and which constants decide that.

All alternatives are run with the same draws, so that a difference between two of them is due to what they change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.claims import wilson
from cipark_sd.experiments.definition import BASE, Outcome, Uncertainty
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, override_key, resolve
from cipark_sd.sensitivities.evaluation import Output
from cipark_sd.sensitivities.factors import Factor, Factors
from cipark_sd.sensitivities.question import Question
from cipark_sd.sensitivities.response import ModelResponse, model_response
from cipark_sd.sensitivities.sample import sample
from cipark_sd.sensitivities.slices import pooled_effects, single_effects
from cipark_sd.timegrid import time_grid

if TYPE_CHECKING:
    import xarray as xr

#: Outcomes of two alternatives that differ by less than this share are equally good.
_EQUAL = 1e-9

#: An outcome and the time at which it is looked at.
_Looked = tuple[Outcome, float]


@dataclass(frozen=True)
class Sampling:
    """How a question is put to draws.

    Parameters
    ----------
    n : int
        Draws, a power of two.
    seed : int
        Of the draws and of the bootstrap.
    resamples : int
        Of the bootstrap.
    like : ModelResponse, optional
        Whose workers and checkpoints serve; they change no result.
    progress : callable, optional
        Called with the runs done and planned.
    """

    n: int
    seed: int
    resamples: int = 100
    like: ModelResponse | None = None
    progress: Callable[[int, int], None] | None = None


def claims_over_draws(question: Question, sampling: Sampling, label: str = "claims") -> "xr.Dataset":
    """In which share of the draws each claim is true, and which constants move its margin.

    The margin is the quantity under the alternative less ``factor`` times that under the other one, in the claim's
    direction: above zero the claim is true.

    Parameters
    ----------
    label : str
        Under which runs that fail are counted.

    Returns
    -------
    xarray.Dataset
        ``true``, ``true_low``, ``true_high`` (95 % Wilson interval), ``n_true``, ``n_known``, ``n_failed``, ``same``
        (share of the draws in which the alternative changes nothing), ``margin`` (percentiles 5, 50 and 95) with dim
        ``claim``; ``S1``, ``S1_conf`` of the margin with dims parameter, claim.

    Raises
    ------
    InvalidValue, UnknownName, OffGrid, Problems
    """
    import xarray as xr

    decisions = question.decisions
    ids = [name for claim in decisions.claims for name in (claim.policy, claim.expected.than)]
    looked = [(claim.outcome, claim.expected.at) for claim in decisions.claims for _ in range(2)]
    drawn = _drawn(question, ids, looked, sampling, label)
    values = drawn["values"].to_numpy()[:, :, 0]
    signs = np.array([1.0 if claim.expected.how == "more" else -1.0 for claim in decisions.claims])
    factor = np.array([claim.expected.factor for claim in decisions.claims])
    margins = signs * (values[:, 0::2] - factor * values[:, 1::2])
    labels = [str(claim) for claim in decisions.claims]
    of_margins = _sample_of(drawn, margins, labels)
    effects = single_effects(of_margins, seed=sampling.seed, resamples=sampling.resamples).isel(time=0, drop=True)
    known = np.isfinite(margins)
    counts, true = known.sum(axis=0), (margins > 0).sum(axis=0)
    intervals = [wilson(int(t), int(c)) if c else (np.nan, np.nan) for t, c in zip(true, counts, strict=True)]
    equal = known & np.isclose(values[:, 0::2], values[:, 1::2], rtol=_EQUAL, atol=0)
    percentiles = np.full((3, len(labels)), np.nan)
    percentiles[:, counts > 0] = np.nanpercentile(margins[:, counts > 0], (5, 50, 95), axis=0)
    data: dict[str, Any] = {
        "S1": (("parameter", "claim"), effects["S1"].to_numpy()),
        "S1_conf": (("parameter", "claim"), effects["S1_conf"].to_numpy()),
        "true": (("claim",), np.divide(true, counts, out=np.full(len(labels), np.nan), where=counts > 0)),
        "true_low": (("claim",), [low for low, _ in intervals]),
        "true_high": (("claim",), [high for _, high in intervals]),
        "n_true": (("claim",), true),
        "n_known": (("claim",), counts),
        "same": (("claim",), equal.sum(axis=0) / np.maximum(counts, 1)),
        "margin": (("percentile", "claim"), percentiles),
        "n_failed": (("claim",), (~known).sum(axis=0)),
    }
    titles = {policy.id: policy.title for policy in decisions.policies}
    coords: dict[str, Any] = {
        "parameter": drawn["parameter"].to_numpy(),
        "claim": labels,
        "title": (("claim",), [titles[claim.policy] for claim in decisions.claims]),
        "percentile": [5.0, 50.0, 95.0],
    }
    return xr.Dataset(data, coords=coords, attrs=_facts("claims", drawn, sampling.seed))


def with_classes(claims: "xr.Dataset", prior: "xr.Dataset", effective: float | None) -> "xr.Dataset":
    """Claims over some draws beside what they are over draws that have seen no data.

    Parameters
    ----------
    claims, prior : Dataset
        Of :func:`claims_over_draws`.
    effective : float or None
        How many independent draws those of ``claims`` are worth; None where they have seen no data either.

    Returns
    -------
    xarray.Dataset
        ``claims`` with ``prior_true``, ``prior_n``, ``prior_same`` and ``effective`` (NaN without data) beside; from
        them :func:`cipark_sd.sensitivities.verdicts.evidence_of` makes what a claim is classified by.
    """
    worth = np.nan if effective is None else effective
    return claims.assign(
        prior_true=prior["n_true"],
        prior_n=prior["n_known"],
        prior_same=prior["same"],
        effective=(("claim",), np.full(claims.sizes["claim"], worth)),
    )


def best_alternatives(question: Question, sampling: Sampling, label: str = "choices") -> "xr.Dataset":
    """In which share of the draws each alternative is the best, and which constants decide that.

    Alternatives that are equally good share a draw.

    Parameters
    ----------
    label : str
        As for :func:`claims_over_draws`.

    Returns
    -------
    xarray.Dataset
        ``best``, ``best_low``, ``best_high`` (95 % Wilson interval), ``mean``, ``regret`` (mean of what the best of
        each draw has more) with dims choice, alternative, NaN for those not in the choice; ``S1``, ``S1_conf`` (how
        much of which is best a constant explains alone) and ``best_at_low``, ``best_at_high`` (share in which an
        alternative is best while the constant is in its lowest and its highest fifth) with dims parameter, choice [,
        alternative]; ``changes`` (share of draws in which the best is another than that with the best mean),
        ``n_failed`` (choice).

    Raises
    ------
    InvalidValue, UnknownName, OffGrid, Problems
    """
    import xarray as xr

    decisions = question.decisions
    ids = [name for choice in decisions.choices for name in choice.policies]
    looked = [(choice.outcome, choice.at) for choice in decisions.choices for _ in choice.policies]
    drawn = _drawn(question, ids, looked, sampling, label)
    values, shares = drawn["values"].to_numpy()[:, :, 0], drawn["shares"].to_numpy()
    names = list(dict.fromkeys(ids))
    k, shape = shares.shape[1], (len(decisions.choices), len(names))
    table = {name: np.full(shape, np.nan) for name in ("best", "best_low", "best_high", "mean", "regret")}
    ends = {name: np.full((k, *shape), np.nan) for name in ("best_at_low", "best_at_high")}
    index, width = np.full((k, shape[0]), np.nan), np.full((k, shape[0]), np.nan)
    changes, n_failed = np.full(shape[0], np.nan), np.zeros(shape[0], dtype=np.int64)
    start = 0
    for row, choice in enumerate(decisions.choices):
        of_choice = values[:, start : (start := start + len(choice.policies))]
        whole = np.isfinite(of_choice).all(axis=1)
        n_failed[row] = int((~whole).sum())
        if not whole.any():
            continue
        places = [names.index(name) for name in choice.policies]
        good = of_choice[whole] if choice.outcome.better == "more" else -of_choice[whole]
        flags = _best(good)
        intervals = np.array([wilson(float(count), len(flags)) for count in flags.sum(axis=0)])
        table["best"][row, places] = flags.mean(axis=0)
        table["best_low"][row, places], table["best_high"][row, places] = intervals.T
        table["mean"][row, places] = of_choice[whole].mean(axis=0)
        table["regret"][row, places] = (good.max(axis=1, keepdims=True) - good).mean(axis=0)
        changes[row] = 1 - flags[:, good.mean(axis=0).argmax()].mean()
        index[:, row], width[:, row] = pooled_effects(
            flags, shares[whole], seed=sampling.seed, resamples=sampling.resamples
        )
        for name, inside in (("best_at_low", shares[whole] < 0.2), ("best_at_high", shares[whole] > 0.8)):
            ends[name][:, row, places] = (inside.T @ flags) / np.maximum(inside.sum(axis=0), 1)[:, None]
    dims = ("choice", "alternative")
    data: dict[str, Any] = {name: (dims, array) for name, array in table.items()}
    data |= {name: (("parameter", *dims), array) for name, array in ends.items()}
    data |= {"S1": (("parameter", "choice"), index), "S1_conf": (("parameter", "choice"), width)}
    data |= {"changes": (("choice",), changes), "n_failed": (("choice",), n_failed)}
    titles = {policy.id: policy.title for policy in decisions.policies}
    coords: dict[str, Any] = {
        "parameter": drawn["parameter"].to_numpy(),
        "choice": [str(choice) for choice in decisions.choices],
        "alternative": names,
        "title": (("alternative",), [titles[name] for name in names]),
    }
    return xr.Dataset(data, coords=coords, attrs=_facts("choices", drawn, sampling.seed))


def _best(good: Array) -> Array:
    """``(n, n_alternatives)``: 1 for the best of a run, shared among equals."""
    top = good.max(axis=1, keepdims=True)
    flags = good >= top - _EQUAL * np.abs(top)
    return np.asarray(flags / flags.sum(axis=1, keepdims=True))


def _drawn(
    question: Question, ids: Sequence[str], looked: Sequence[_Looked], sampling: Sampling, label: str
) -> "xr.Dataset":
    """A sample whose outputs are the outcomes under the policies of ``ids``, in pairs, at one time."""
    worlds = {
        policy.id: policy.scenario if policy.id != BASE and policy.scenario.overrides else None
        for policy in question.decisions.policies
    }
    chosen = [worlds[name] for name in ids]
    stepped, times = _on_steps(question.model, question.scenario, [time for _, time in looked])
    outputs: list[Output] = []
    for world, (outcome, _) in zip(chosen, looked, strict=True):
        outputs.append(Output(outcome.title, outcome.variable, range=(outcome.low, outcome.high), under=world))
        if outcome.per:
            outputs.append(Output(outcome.title, outcome.per, under=world))
    response = model_response(
        question.model,
        _with_uncertainties(question.factors, question.decisions.uncertainties, chosen),
        outputs,
        times=sorted(set(times)),
        scenario=stepped,
        engine="native",
        drains=question.drains,
    )
    response = response if sampling.like is None else response.as_in(sampling.like)
    worlds_of_a_draw, progress = response.n_scenarios, sampling.progress
    counted = (
        None
        if progress is None
        else lambda completed, of: progress(completed * worlds_of_a_draw, of * worlds_of_a_draw)
    )
    drawn = sample(response, n=sampling.n, seed=sampling.seed, progress=counted, label=label)
    values, columns, place = drawn["values"].to_numpy(), [], 0
    for (outcome, _), time in zip(looked, times, strict=True):
        at = int(np.flatnonzero(response.times == time)[0])
        column = values[:, place, at]
        place += 1
        if outcome.per:
            with np.errstate(invalid="ignore", divide="ignore"):
                column = column / values[:, place, at]
            place += 1
        columns.append(column)
    counts = {"runs": sampling.n * response.n_scenarios, "draws": sampling.n}
    return _sample_of(drawn, np.stack(columns, axis=1), [outcome.title for outcome, _ in looked]).assign_attrs(counts)


def _with_uncertainties(
    factors: Factors, uncertainties: Sequence[Uncertainty], worlds: Sequence[Scenario | None]
) -> Factors:
    """The factors and those uncertainties that nothing else sets; the latter depend on no other."""
    taken = {override_key(name) for name in factors.names}
    taken |= {override_key(name) for world in worlds if world is not None for name in world.overrides}
    added = tuple(
        Factor(uncertainty.name, uncertainty.quantile, "no data inform it")
        for uncertainty in uncertainties
        if override_key(uncertainty.name) not in taken
    )
    correlation = factors.correlation
    if correlation is not None:
        size = len(factors)
        wider = np.eye(size + len(added))
        wider[:size, :size] = correlation
        correlation = wider
    return replace(factors, blocks=(*factors.blocks, *added), correlation=correlation)


def _on_steps(model: Model, scenario: Scenario, times: Sequence[float]) -> tuple[Scenario, list[float]]:
    """The scenario with every step saved, and the step nearest to each time."""
    resolved = resolve(model, scenario)
    step = resolved.time_step
    grid = time_grid(resolved.initial_time, resolved.final_time, step, step, where=model.name).times
    nearest = [float(grid[np.abs(grid - time).argmin()]) for time in times]
    return scenario | Scenario("", saveper=step), nearest


def _sample_of(drawn: "xr.Dataset", columns: Array, labels: Sequence[str]) -> "xr.Dataset":
    """Columns ``(n_runs, n_outputs)`` as a sample of one time, at the points of ``drawn``."""
    import xarray as xr

    data: dict[str, Any] = {"values": (("run", "output", "time"), columns[:, :, None]), "shares": drawn["shares"]}
    coords: dict[str, Any] = {
        "parameter": drawn["parameter"],
        "output": list(labels),
        "units": (("output",), [""] * len(labels)),
        "time": [0.0],
    }
    return xr.Dataset(data, coords=coords, attrs=drawn.attrs)


def _facts(content: str, drawn: "xr.Dataset", seed: int) -> dict[str, Any]:
    return {
        "format": f"cipark_sd {content} 1",
        "seed": seed,
        "draws": int(drawn.attrs["draws"]),
        "runs": int(drawn.attrs["runs"]),
    }
