"""What a player shows, as data: the kernel, the numbers that it is checked against, levers, outcomes and draws.

``counted.js`` does in a browser what :func:`counted` does, and the same operations in the same order.

The fan's kernel gives the outcomes alone. A second kernel gives all that changes in a run, for what the page says of
causes and for its diagram; the page makes one run of it and one of the base, and checks the base against a digest of
the native engine's, as it does for the fan.
"""

import base64
import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.base.timegrid import nearest_indices
from cipark_sd.base.wording import is_counted, with_unit, written_unit
from cipark_sd.data.described import version
from cipark_sd.data.estimands import of_output
from cipark_sd.data.scenarios import resolve
from cipark_sd.engines.base import Settings, Values, settings
from cipark_sd.engines.plan import missing_as_nan, plan
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm.carried import Carried, carried
from cipark_sd.model.model import CONTROL, Model, causes, kinds
from cipark_sd.model.variables import Lookup
from cipark_sd.pages.player.contents import Contents, Outcome, PlayedStructure, Waiting
from cipark_sd.pages.player.diagram import diagram
from cipark_sd.pages.player.of_model import moved_along
from cipark_sd.pages.player.shell import page_with
from cipark_sd.simulations.ensembles import elements_drawn
from cipark_sd.statements.claims import UNSEEN, as_data
from cipark_sd.statements.headline import parameter
from cipark_sd.statements.standing import SHOWN

FORMAT = "cipark_sd player 2"
#: Saved times of a page, about at most: more than a screen has points across.
MOST_TIMES = 1000
#: Of the bands, and the draws that are run together for them.
LEVELS, CHUNK = (0.05, 0.25, 0.5, 0.75, 0.95), 500
#: Times that differ by less are one.
SAME_TIME = 1e-6
#: Before an outcome's name: by how much its last count lies above the base run of each draw.
LACKING = "lacks "


def render(contents: Contents) -> str:
    """The HTML of a page.

    Raises
    ------
    InvalidValue
        When no lever changes any of the outcomes.
    UnknownName, UnsupportedFeature, Problems
    """
    content = as_json(contents)
    return page_with(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def as_json(contents: Contents) -> dict[str, object]:
    """What the script reads."""
    model = contents.model
    variables = [name for o in contents.outcomes for name in (o.variable, o.per) if name]
    save = dict.fromkeys(base_name(name) for name in variables)
    every = plan(model, contents.scenario, save=(), times=None, method=None).times
    shown = _thinned(len(every))
    names = [name for lever in contents.levers for name in lever.names]
    drawn = {flat for structure in contents.structures for flat in _flat(model, [*structure.draws, *structure.prior])}
    made = carried(
        model,
        contents.scenario,
        save=tuple(save),
        times=every[shown].tolist(),
        free=drawn.union(_flat(model, names), *(_set(model, structure) for structure in contents.structures)),
        varying=drawn,
    )
    structures = [_structure(contents, made, structure) for structure in contents.structures]
    draws = _shared(structures)
    along = moved_along(model, contents.levers, contents.scenario | contents.structures[0].scenario)
    levers = [
        entry
        for lever, dates in zip(contents.levers, along, strict=True)
        if (entry := _lever(contents, made, lever, dates))
    ]
    if not levers:
        expected = f"one at least that changes {', '.join(variables)}"
        raise InvalidValue("the levers", [lever.title for lever in contents.levers], expected, where="play")
    times = made.plan.times
    labels = [contents.labels[i] for i in shown] if len(contents.labels) == len(every) else []
    return {
        "format": FORMAT,
        "title": contents.title,
        "model": model.name,
        "target": contents.target,
        "model_digest": contents.model_digest or model.digest,
        "version": version(),
        "held": json.loads(contents.scenario.to_json()),
        "base": contents.base,
        "limits": list(contents.limits),
        "notice": contents.notice,
        "misfit": contents.misfit,
        "labels": labels,
        "at": int(nearest_indices(times, np.array([contents.at]))[0]),
        "until": int(nearest_indices(times, np.array([contents.until]))[0]),
        "dataEnd": None if np.isnan(contents.data_end) else contents.data_end,
        "levers": levers,
        "outcomes": [_outcome(contents, made, outcome) for outcome in contents.outcomes],
        "rule": as_data(),
        "plurals": {
            unit: several
            for unit in (written_unit(variable.units) for variable in model.variables)
            if (several := with_unit("", unit).strip()) != unit
        },
        "structures": structures,
        "draws": draws,
        "kernel": base64.b64encode(made.module).decode(),
        "trace": _trace(contents, times),
    }


def _thinned(n: int) -> NDArray[np.intp]:
    """Positions of the saved times that a page has: the last, and from the first on every so many."""
    stride = -(-(n - 1) // MOST_TIMES) or 1
    return np.unique(np.append(np.arange(0, n, stride), n - 1))


def _flat(model: Model, names: Iterable[str]) -> list[str]:
    """The constants of the flat model that names mean."""
    return [flat for name in names for flat, _, _ in elements_drawn(model, name, np.zeros(1), 1)]


def _set(model: Model, structure: PlayedStructure) -> dict[str, float]:
    """What makes a structure, by constant of the flat model."""
    changed = settings(model, resolve(model, structure.scenario))
    if changed.initials or changed.tables or changed.series:
        raise InvalidValue("the structure", structure.title, "one that is made by constants", where="play")
    return {name: float(np.asarray(value)) for name, value in changed.numbers.items()}


def _lever(contents: Contents, made: Carried, lever: Lever, along: Sequence[str]) -> dict[str, object] | None:
    """None where no outcome depends on it; ``along`` are the dates that move with it."""
    model, known = contents.model, set(made.constants)
    every = _flat(model, lever.names)
    names = [flat for flat in every if flat in known]
    if not names:
        return None
    variable = model[base_name(lever.names[0])]
    return {
        "id": "+".join(dict.fromkeys(map(override_key, lever.names))),
        "title": lever.title,
        "names": names,
        "every": every,
        "keys": [override_key(name) for name in lever.names],
        "set": [model.label(name) for name in lever.names],
        "low": lever.low,
        "high": lever.high,
        "step": lever.step,
        "units": written_unit(variable.units),
        "about": lever.about or " ".join(variable.doc.replace("\\", " ").split()),
        "along": list(along),
        "fitted": any(override_key(name) in contents.fitted for name in lever.names),
        "standing": next((standing for name in lever.names if (standing := _standing(contents, name))), ""),
    }


def _standing(contents: Contents, name: str) -> str:
    """What the report says of a fitted constant; empty of any other."""
    key = override_key(name)
    of = (kind for of, kind in contents.classes.items() if override_key(of.removeprefix(parameter(""))) == key)
    return next((kind for kind in of if kind in SHOWN), "")


def _outcome_id(outcome: Outcome) -> str:
    return override_key(outcome.variable) + (f"/{override_key(outcome.per)}" if outcome.per else "")


def _outcome(contents: Contents, made: Carried, outcome: Outcome) -> dict[str, object]:
    """A curve; its estimand is that of the number with which the page opens, and a ratio has none.

    Numbers of the report have the class that they have there, by the place of their time.
    """
    model = contents.model
    variable = model[base_name(outcome.variable)]
    units = "" if outcome.per else written_unit(variable.units)
    reported = "" if outcome.waiting is None else ", as reported"

    def estimand(time: float) -> str:
        return of_output(model, [(outcome.variable, 1.0)], time) + reported

    judged = {
        place: contents.classes[estimand(time)]
        for place, time in enumerate(made.plan.times.tolist())
        if contents.classes.get(estimand(time)) in SHOWN
    }
    return {
        "id": _outcome_id(outcome),
        "title": outcome.title,
        "estimand": "" if outcome.per else estimand(contents.at),
        "judged": judged,
        "waiting": None if outcome.waiting is None else asdict(outcome.waiting),
        "last": None if outcome.last is None else outcome.last[0],
        "name": variable.name,
        "variable": variable.label,
        "over": model[base_name(outcome.per)].label if outcome.per else "",
        "units": units,
        "whole": is_counted(units),
        "parts": _places(made, outcome.variable),
        "per": _places(made, outcome.per) if outcome.per else [],
        "seen": [
            asdict(s) | {"high": s.high if np.isfinite(s.high) else None, "date": s.date or f"{s.time:.6g}"}
            for s in outcome.observed
            if np.isfinite(s.low)
        ],
    }


def _places(made: Carried, name: str) -> list[int]:
    key, outputs = override_key(name), made.plan.outputs
    return [i for i, flat in enumerate(outputs) if key in (flat, base_name(flat))]


def _structure(contents: Contents, made: Carried, structure: PlayedStructure) -> dict[str, Any]:
    """A structure's numbers, its draws with the estimate as the last run, and the digest of its native base run."""
    model, known = contents.model, set(made.constants)
    fixed = {name: value for name, value in _set(model, structure).items() if name in known}
    columns = _columns(model, structure.draws, structure.estimate, known)
    n = max(map(len, structure.draws.values()), default=0)
    values = native_base(made, fixed, columns, n + 1)
    m = max(map(len, structure.prior.values()), default=0)
    # the last run is of no use there, and keeps both alike
    middle = {name: float(np.median(drawn)) for name, drawn in structure.prior.items()}
    prior = _columns(model, structure.prior, middle, known)
    beside = {name: np.append(drawn, np.median(drawn)) for name, drawn in structure.prior_beside.items()}
    basis, outcomes = structure.basis, contents.outcomes
    noise = dict(structure.beside)
    if basis is not None and basis.origin not in UNSEEN:
        noise |= _goes_on(made, outcomes, values, noise)
    whole, whole_prior = (
        [
            _packed(dict(enumerate(_with_printed(quantiles, of_outcome, made.plan.times))))
            for quantiles, of_outcome in zip(
                _whole(contents, made, every, beside, fixed, after_data=after_data), printed, strict=False
            )
        ]
        for every, beside, printed, after_data in (
            (structure.every, structure.every_beside, [o.printed for o in outcomes], True),
            (structure.every_prior, structure.every_prior_beside, [o.printed_prior for o in outcomes], False),
        )
    )
    return {
        "title": structure.title,
        "set": fixed,
        "scenario": json.loads(structure.scenario.to_json()),
        **_draws(columns, noise, n + 1),
        "prior": _draws(prior, beside, m + 1) | {"whole": whole_prior} if m else None,
        "whole": whole,
        "digest": digest(values),
        "numbers": int(values.size),
        "basis": basis and {name: getattr(basis, name) for name in ("origin", "name", "sentence", "worth")},
    }


def _goes_on(
    made: Carried, outcomes: Sequence[Outcome], values: Values, noise: Mapping[str, Array]
) -> dict[str, Array]:
    """By outcome that goes on from its last count what each base run of ``(outputs, m, n)`` lacks there, ``(n,)``."""
    return {
        f"{LACKING}{_outcome_id(outcome)}": _lacking(
            _curves(made, outcome, values, made.plan.times, noise), outcome.last, made.plan.times
        )
        for outcome in outcomes
        if outcome.last is not None
    }


def _lacking(curves: Array, last: tuple[float, float], times: Array) -> Array:
    """How far the last count lies above curves ``(m, n)`` at its time, ``(n,)``."""
    return np.asarray(last[1] - curves[int(nearest_indices(times, np.array([last[0]]))[0])])


def _draws(columns: Mapping[str, Array], beside: Mapping[str, Array], n: int) -> dict[str, Any]:
    """Draws of the constants, and beside them the numbers of the noise, ``(n,)`` each."""
    packed = _packed({**columns, **beside})
    return {"drawn": list(columns), "draws": packed, "beside": list(beside), "runs": n}


def _packed(columns: Mapping[Any, Array]) -> str:
    """Numbers of one length, one column after the other, as text."""
    return base64.b64encode(np.array(list(columns.values())).astype("<f8").tobytes()).decode()


def _shared(structures: Sequence[dict[str, Any]]) -> list[str]:
    """Draws once each, and in their place the number of them: structures that nothing was fitted to have the same."""
    holders = [*structures, *(structure["prior"] for structure in structures if structure["prior"])]
    draws = list(dict.fromkeys(holder["draws"] for holder in holders))
    for holder in holders:
        holder["draws"] = draws.index(holder["draws"])
    return draws


def _whole(
    contents: Contents,
    made: Carried,
    every: Mapping[str, Array],
    noise: Mapping[str, Array],
    fixed: Mapping[str, float],
    *,
    after_data: bool,
) -> list[Array]:
    """By outcome its quantiles ``(5, m)`` over all draws; nothing where there are none.

    With ``after_data`` what goes on from a last count does.
    """
    if not every:
        return []
    known, n = set(made.constants), len(next(iter(every.values())))
    times, parts = made.plan.times, list[list[Array]]()
    for start in range(0, n, CHUNK):
        some = {name: values[start : start + CHUNK] for name, values in every.items()}
        last = {name: float(values[-1]) for name, values in some.items()}
        columns = {name: c[:-1] for name, c in _columns(contents.model, some, last, known).items()}
        values = native_base(made, fixed, columns, min(CHUNK, n - start))
        beside = {name: of[start : start + CHUNK] for name, of in noise.items()}
        curves = [_curves(made, outcome, values, times, beside) for outcome in contents.outcomes]
        for of_outcome, outcome in zip(curves, contents.outcomes, strict=True):
            if outcome.last is not None and after_data:
                of_outcome[times > outcome.last[0] + SAME_TIME] += _lacking(of_outcome, outcome.last, times)
        parts.append(curves)
    return [_quantiles(np.concatenate(of, axis=1)) for of in zip(*parts, strict=True)]


def _quantiles(curves: Array) -> Array:
    """Five of them ``(5, m)`` over the runs that have a number, as the page's script takes them; NaN where none has."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanquantile(np.where(np.isfinite(curves), curves, np.nan), LEVELS, axis=1))


def _with_printed(quantiles: Array, printed: Sequence[tuple[float, Sequence[float]]], times: Array) -> Array:
    """The same with the numbers that a report has printed: one quantity has one number."""
    for time, levels in printed:
        quantiles[:, np.abs(times - time) < SAME_TIME] = np.array(levels)[:, None]
    return quantiles


def _curves(made: Carried, outcome: Outcome, values: Array, times: Array, beside: Mapping[str, Array]) -> Array:
    """An outcome ``(m, n)`` of runs ``(outputs, m, n)``."""
    curves = values[_places(made, outcome.variable)].sum(axis=0)
    if outcome.per:
        curves = curves / values[_places(made, outcome.per)].sum(axis=0)
    return curves if outcome.waiting is None else counted(times, curves, outcome.waiting, beside)


def _columns(
    model: Model, draws: Mapping[str, Array], estimate: Mapping[str, float], known: set[str]
) -> dict[str, Array]:
    """By constant of the flat model its draws and, last, the estimate; those that change nothing are left out."""
    return {
        flat: column
        for name, values in draws.items()
        for flat, column, _ in elements_drawn(model, name, np.append(values, estimate[name]), len(values) + 1)
        if flat in known
    }


def counted(times: Array, curves: Array, waiting: Waiting, beside: Mapping[str, Array]) -> Array:
    """What was counted ``(m, n)`` of ``n`` runs at ``m`` times; curves are straight between two times.

    With ``M`` the curve, ``W`` what waits and ``r`` the rate: ``dW/dt = dM/dt - r W``, a share of ``W`` leaves at each
    event, and ``M - W`` was counted.

    Parameters
    ----------
    times : (m,), ascending
    curves : (m, n)
    beside : mapping of str to (n,)
        The numbers that ``waiting`` names.

    Returns
    -------
    (m, n)
    """
    share, rate = (_number(value, beside) for value in (waiting.share, waiting.rate))
    waits = np.zeros(curves.shape[1])
    result = curves.copy()
    for step in range(1, len(times)):
        start, end = max(times[step - 1], waiting.begin), times[step]
        if end <= waiting.begin:
            continue
        rise = (curves[step] - curves[step - 1]) / (times[step] - times[step - 1])
        for event in [*(event for event in waiting.events if start < event <= end), None]:
            stop = end if event is None else event
            x = rate * (stop - start)
            # the mean share of a step's rise that still waits at its end
            left = np.divide(-np.expm1(-x), x, out=np.ones_like(x), where=x > 0)
            waits = waits * np.exp(-x) + rise * (stop - start) * left
            if event is not None:
                waits, start = waits * (1 - share), event
        result[step] = curves[step] - waits
    return result


def _number(value: float | str, beside: Mapping[str, Array]) -> Array:
    return np.atleast_1d(beside[value] if isinstance(value, str) else np.asarray(float(value)))


def digest(values: Values) -> str:
    """SHA-256 of numbers, (outputs, times, runs), as doubles of little-endian order in which all NaN are one."""
    plain = np.where(np.isnan(values), np.nan, values)
    return hashlib.sha256(np.ascontiguousarray(plain).astype("<f8").tobytes()).hexdigest()


def native_base(made: Carried, fixed: Mapping[str, float], columns: Mapping[str, Array], n: int) -> Values:
    """The runs of a structure by the native engine.

    Parameters
    ----------
    made : Carried
        The kernel.
    fixed : mapping of str to float
        By constant of the flat model, what all runs have.
    columns : mapping of str to (n,)
        What each run has.
    n : int
        Runs.

    Returns
    -------
    (n_outputs, n_times, n)
    """
    shared = made.plan.settings
    every = Settings({**shared.numbers, **fixed, **columns}, shared.initials, shared.tables, shared.series)
    return missing_as_nan(choose("native").run(made.plan, every, np.arange(n, dtype=np.uint64)))


def _trace(contents: Contents, times: NDArray[np.float64]) -> dict[str, object]:
    """The second kernel, the variables with their causes, and the diagram; for some of the saved times."""
    model = contents.model
    made = carried(model, contents.scenario, times=times.tolist())
    return {
        "kernel": base64.b64encode(made.module).decode(),
        "structures": [_run_at_estimate(contents, made, structure) for structure in contents.structures],
        "variables": _variables(model, made),
        "diagram": diagram(model),
    }


def _run_at_estimate(contents: Contents, made: Carried, structure: PlayedStructure) -> dict[str, Any]:
    """The constants of one run at the estimate, and the digest of what the native engine gives for it."""
    model, known = contents.model, set(made.constants)
    fixed = {name: value for name, value in _set(model, structure).items() if name in known}
    alone = dict.fromkeys(structure.estimate, np.empty(0))
    estimate = _columns(model, alone, structure.estimate, known)
    fixed |= {flat: float(column[0]) for flat, column in estimate.items()}
    values = native_base(made, {}, {name: np.array([value]) for name, value in fixed.items()}, 1)
    return {"set": fixed, "digest": digest(values)}


def _variables(model: Model, made: Carried) -> list[dict[str, object]]:
    """Every variable that changes or is a constant: what it is, where its numbers are, and what it is computed from."""
    outputs, roles = _by_variable(made.plan.outputs), kinds(model)
    constants = _by_variable(made.constants)
    return [
        {
            "name": variable.name,
            "label": variable.label,
            "kind": roles[variable.name],
            "units": written_unit(variable.units),
            "doc": variable.doc,
            "outputs": outputs.get(variable.name, []),
            "constants": constants.get(variable.name, []),
            "causes": causes(model, variable),
        }
        for variable in model.variables
        if variable.name not in CONTROL and not isinstance(variable, Lookup)
    ]


def _by_variable(flat: Sequence[str]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(flat):
        places.setdefault(base_name(name), []).append(place)
    return places
