"""Which feedback loops drive a run, and when: Loops That Matter, through pysimlin.

pysimlin reads the model file itself, finds all loops and scores them at each saved time; here they are gathered under
the modeller's names and repeated for draws of the uncertain constants.

Source: Schoenberg, Davidsen and Eberlein 2020, System Dynamics Review 36, for the scores; Eberlein and Schoenberg 2020
for their discovery in large models.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import spans
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, MissingPackage, UnknownName, raise_all
from cipark_sd.base.inputs import read_toml
from cipark_sd.base.naming import base_name, canonical, split_key
from cipark_sd.base.section import Section
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import xarray as xr

Polarity = Literal["R", "B", ""]
#: Loops under none of the names.
OTHERS = "other loops"
#: Names that are told apart where the model's author has given none: the strongest; the rest are other loops.
MOST = 20
#: The band over draws: 90%, and the middle.
BAND = (0.05, 0.5, 0.95)
#: Seconds for the search in one run.
TIMEOUT = 60.0


@dataclass(frozen=True)
class NamedLoop:
    """A name for the loops that pass through all of some variables and none of others.

    ``polarity`` restricts it to reinforcing (R) or balancing (B) loops. The elements of a subscripted variable count as
    the variable.
    """

    name: str
    through: frozenset[str]
    avoiding: frozenset[str] = frozenset()
    polarity: Polarity = ""

    def holds(self, variables: frozenset[str], polarity: str) -> bool:
        """Whether a loop through these variables (canonical, without elements) bears the name."""
        fits = not self.polarity or polarity.startswith(self.polarity)
        return fits and self.through <= variables and not self.avoiding & variables


def read_loops(path: Path, model: Model) -> tuple[NamedLoop, ...]:
    """The names in a ``.loops.toml`` file: ``[[loop]]`` with name, through, and optionally avoiding and polarity.

    Parameters
    ----------
    model : Model
        Whose variables the file names.

    Returns
    -------
    tuple of NamedLoop
        In the order of the file.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problems: list[CiparkError] = []
    top = Section(read_toml(path), "", problems)
    loops: list[NamedLoop] = []
    for number, entry in enumerate(top.tables("loop"), start=1):
        section = Section(entry, f"loop {number}", problems, within=top)
        sets = [section.names(key) for key in ("through", "avoiding")]
        if not sets[0]:
            section.wrong("through", "names of variables")
        problems += [
            UnknownName(n, model.names, where=section.where) for names in sets for n in names if n not in model
        ]
        through, avoiding = (frozenset(map(canonical, names)) for names in sets)
        polarity: Polarity = section.choice("polarity", ("R", "B", ""), "")
        loops.append(NamedLoop(section.text("name"), through, avoiding, polarity))
        section.note_unread()
    top.note_unread()
    raise_all(str(path), problems)
    return tuple(loops)


def loop_dominance(
    model: Model,
    names: Sequence[NamedLoop] = (),
    *,
    draws: Sequence[Mapping[str, float]] = (),
    most: int = MOST,
    progress: Callable[[int, int], None] | None = None,
) -> "xr.Dataset":
    """Loop scores over time at the file's own constants and at draws of them.

    Parameters
    ----------
    model : Model
        Read from a file.
    names : sequence of NamedLoop
        The first that holds is a loop's name; without any, each loop stands for itself.
    draws : sequence of mapping of str to float
        Constants by name, one mapping a draw.
    most : int
        So many loops at most stand for themselves, by their mean share in run 0; a loop that has a name always does.
    progress : callable, optional
        Called with the runs done and all runs.

    Returns
    -------
    xarray.Dataset
        ``reinforcing`` and ``balancing`` with dims run, loop, time: the share of all scores, in absolute value, that
        the loops of that name and polarity have; run 0 is the file's own. ``reported`` (run, time): the share of all
        scores that the search gave out loop by loop; ``complete`` (run): whether it saw every loop. ``members`` (loop):
        how many loops stand under the name in run 0.

    Raises
    ------
    InvalidValue
        For a model that pysimlin cannot analyse.
    MissingPackage
        Without pysimlin.
    """
    import xarray as xr

    origin = model.origin
    if origin is None:
        raise InvalidValue("the model", model.name, "one that was read from a file", where="loop_dominance")
    runs = []
    for number, draw in enumerate(({}, *draws)):
        runs.append(_scored(origin.path, model, draw))
        if progress is not None:
            progress(number + 1, len(draws) + 1)
    times, first, _ = runs[0]
    labels = [_label(variables, polarity, names) for variables, polarity, _ in first]
    known = [loop.name for loop in names]
    strength: dict[str, float] = dict.fromkeys(known, np.inf)
    for label, (_, _, score) in zip(labels, first, strict=True):
        strength[label] = strength.get(label, 0.0) + float(score.mean())
    strongest = sorted(strength, key=lambda name: -strength[name])[: None if names else most]
    labels = [label if label in strongest else OTHERS for label in labels]
    order = list(dict.fromkeys([*known, *labels, OTHERS]))
    shares = {polarity: np.zeros((len(runs), len(order), len(times))) for polarity in ("reinforcing", "balancing")}
    for number, (_, loops, _) in enumerate(runs):
        for variables, polarity, score in loops:
            label = _label(variables, polarity, names)
            place = order.index(label if label in order else OTHERS)
            shares["balancing" if polarity.startswith("B") else "reinforcing"][number, place] += score
    reported = np.array([np.array([score for _, _, score in loops]).sum(axis=0) for _, loops, _ in runs])
    # a loop that has a name is told of even where it never does anything
    scored = np.any([(array > 0).any(axis=(0, 2)) for array in shares.values()], axis=0)
    present = [i for i, name in enumerate(order) if scored[i] or name in known]
    data: dict[str, Any] = {
        **{polarity: (("run", "loop", "time"), array[:, present]) for polarity, array in shares.items()},
        "reported": (("run", "time"), reported),
        "complete": (("run",), [int(complete) for _, _, complete in runs]),
        "members": (("loop",), [labels.count(order[place]) for place in present]),
    }
    coords: dict[str, Any] = {
        "loop": [order[place] for place in present],
        "time": (("time",), times, {"units": model.time.units}),
    }
    attributes = {"format": "cipark_sd loops 1", "model": model.name, "model_digest": model.digest}
    return xr.Dataset(data, coords=coords, attrs=attributes)


#: The times of a run, its loops (variables, polarity, score at each time), and whether the search saw every loop.
Scored = tuple[Array, list[tuple[frozenset[str], str, Array]], bool]


def _label(variables: frozenset[str], polarity: str, names: Sequence[NamedLoop]) -> str:
    for loop in names:
        if loop.holds(variables, polarity):
            return loop.name
    return OTHERS if names else f"{polarity[:1]}: {', '.join(sorted(variables))}"


def _scored(path: Path, model: Model, draw: Mapping[str, float]) -> Scored:
    try:
        import simlin
    except ImportError:
        raise MissingPackage("pysimlin", "loops", "the dominance of loops") from None
    # it warns that it searches rather than enumerates, which `complete` says
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            theirs = simlin.load(str(path))
            _set(theirs, model, draw)
            scores = theirs.analyze(timeout=TIMEOUT)
        except simlin.SimlinError as problem:
            raise InvalidValue("the model", str(problem), "one that pysimlin runs", where=model.name) from None
    if scores.analysis_error is not None:
        raise InvalidValue("the model", str(scores.analysis_error), "one that pysimlin can analyse", where=model.name)
    loops = []
    for loop in scores.loops:
        polarity = str(loop.polarity)
        score = np.nan_to_num(np.abs(np.asarray(loop.behavior_time_series, dtype=float)))
        variables = frozenset(base_name(name) for name in loop.variables)
        loops.append((variables, polarity, score))
    n = len(loops[0][2]) if loops else 1
    times = np.linspace(model.time.initial, model.time.final, n)
    return times, loops, bool(scores.enumeration_complete) and not bool(scores.truncated)


def _set(theirs: Any, model: Model, draw: Mapping[str, float]) -> None:
    """Put a draw's constants into pysimlin's copy of the model."""
    if not draw:
        return
    by_variable: dict[str, dict[tuple[str, ...], float]] = {}
    for name, value in draw.items():
        base, elements = split_key(name)
        by_variable.setdefault(base, {})[elements] = value
    with theirs.edit() as (current, patch):
        known = {canonical(name): variable for name, variable in current.items()}
        for base, values in by_variable.items():
            variable = known.get(base)
            if variable is None:
                raise UnknownName(base, [constant.label for constant in model.constants], where=model.name)
            if () in values:
                patch.upsert(replace(variable, equation=repr(float(values[()]))))
                continue
            equations = tuple(
                replace(entry, equation=repr(float(values[key])))
                if (key := tuple(map(canonical, entry.subscript.split(",")))) in values
                else entry
                for entry in variable.element_equations
            )
            patch.upsert(replace(variable, element_equations=equations))


def _total(dominance: "xr.Dataset") -> Array:
    """Shares of both polarities together, ``(run, loop, time)``."""
    shares = dominance["reinforcing"] + dominance["balancing"]
    return np.asarray(shares.transpose("run", "loop", "time").to_numpy())


def takeovers(dominance: "xr.Dataset") -> list[tuple[float, float, str]]:
    """Which name leads when, in the file's own run: start, end and name, for spans of two units of time and more."""
    total = _total(dominance)[0]
    times, names = dominance["time"].to_numpy(), dominance["loop"].to_numpy()
    active = total.sum(axis=0) > 0
    return spans(np.where(active, total.argmax(axis=0), -1), times, names, 2.0)


def leading(dominance: "xr.Dataset") -> Array:
    """In which share of the draws each name has the largest share of scores, ``(loop, time)``; NaN without draws."""
    total = _total(dominance)[1:]
    if not len(total):
        return np.full(total.shape[1:], np.nan)
    first = np.where(total.sum(axis=1) > 0, total.argmax(axis=1), -1)
    return np.stack([(first == place).mean(axis=0) for place in range(total.shape[1])])


def bands(dominance: "xr.Dataset") -> Array:
    """:data:`BAND` of each name's share over the draws, ``(3, loop, time)``; of run 0 where there are none."""
    total = _total(dominance)
    return np.asarray(np.quantile(total[1:] if len(total) > 1 else total, BAND, axis=0))


def common_leads(dominance: "xr.Dataset") -> list[tuple[float, float, str, float, float]]:
    """Spans of half a unit of time and more in which one name leads in most draws; empty without draws.

    Each has its start, end and name, and the least and the largest share of the draws in which the name leads.
    """
    shares, times = leading(dominance), dominance["time"].to_numpy()
    if not np.isfinite(shares).all():
        return []
    common = np.where(shares.sum(axis=0) > 0, shares.argmax(axis=0), -1)
    names = [str(name) for name in dominance["loop"].to_numpy()]
    leads_in_most = []
    for start, end, name in spans(common, times, dominance["loop"].to_numpy(), 0.5):
        within = (times >= start) & (times < end) & (common == names.index(name))
        course = shares[names.index(name)][within]
        leads_in_most.append((start, end, name, float(course.min()), float(course.max())))
    return leads_in_most
