"""Running totals: counts of a stock that only ever grows, which a fit takes by their increments and not as levels.

Each total holds all errors of those before it. Fitted as independent levels, the same error counts again and again, and
intervals come out far too narrow.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.study.observations import Count, Observation
from cipark_sd.arrays import Array
from cipark_sd.errors import RunFailed
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, Variable
from cipark_sd.scenarios import Scenario, override_key, split_key

#: Units of what is measured and not counted, however whole its numbers are.
MEASURES = frozenset({"mg", "g", "gram", "grams", "kg", "t", "ton", "tons", "tonne", "tonnes", "mol", "l", "ml"})
MEASURES |= {"litre", "liter", "m2", "m3", "mm", "cm", "m", "km", "ha", "%", "percent", "degc", "kelvin", "pa"}
MEASURES |= {"kwh", "mwh", "mw", "gw", "kw", "joule", "usd", "eur", "gbp", "cny", "dollar", "dollars", "$", "€", "£"}
MEASURES |= {"thousand", "thousands", "million", "millions", "billion", "billions"}
#: Fewer rising numbers than these may rise by chance.
FEWEST = 4


class StudyWarning(UserWarning):
    """A study can be fitted as it is, and will mislead."""


def counted(values: Array, name: str, units: str) -> bool:
    """Whether all are whole numbers, none below 0, and nothing says that they were measured in some unit.

    Parameters
    ----------
    name : str
        Of the column or the observation, with its unit in brackets if it has one.
    units : str
        Of the model's variable.
    """
    whole = bool(np.all(values >= 0) and np.all(values == np.round(values)))
    bracketed = " ".join(re.findall(r"[(\[]([^)\]]*)[)\]]", name))
    return whole and not MEASURES & set(re.split(r"[\s/*^_.\d()]+", f"{bracketed} {units}".casefold()))


def running_total(variable: Variable, values: Array, rising: frozenset[str], *, are_counts: bool) -> bool:
    """Whether counts that never fall were seen of a stock that never falls in a run either.

    Parameters
    ----------
    values : (n,)
        In the order of time.
    rising : frozenset of str
        Variables that never fall, as of :func:`never_falling`.
    """
    return isinstance(variable, Stock) and variable.name in rising and are_counts and bool(np.all(np.diff(values) >= 0))


def never_falling(model: Model, names: Iterable[str], scenario: Scenario) -> frozenset[str]:
    """Which of the variables never fall in a run; none where the run fails."""
    from cipark_sd.simulation import simulate

    names = list(dict.fromkeys(names))
    try:
        run = simulate(model, scenario, save=names, engine="native")
    except RunFailed:
        return frozenset()
    return frozenset(name for name in names if np.all(np.diff(run[name].to_numpy(), axis=0) >= 0))


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """An observation that is a running total fitted as a level, and how many of its numbers are fitted."""

    name: str
    n: int


def cumulative_levels(
    model: Model, scenario: Scenario, observations: Sequence[Observation]
) -> tuple[RunningTotal, ...]:
    """The observations of kind ``level`` that are running totals; the model is run only where the numbers rise."""
    candidates = []
    for observation in observations:
        terms = [t for t in observation.terms if isinstance(t, Count) and t.use == "fit" and t.lower == t.upper]
        terms.sort(key=lambda term: term.quantity.end)
        values = np.array([term.lower for term in terms])
        if observation.kind != "level" or len(values) < FEWEST or not np.all(np.diff(values) >= 0):
            continue
        bases = {split_key(override_key(name))[0] for term in terms for name, _ in term.quantity.parts}
        variables = [model[base] for base in sorted(bases)]
        as_counts = terms[0].noise.family.discrete
        are_counts = all(as_counts or counted(values, observation.name, variable.units) for variable in variables)
        signs = {sign for term in terms for _, sign in term.quantity.parts}
        if signs == {1.0} and values[-1] > values[0] and are_counts:
            candidates.append((observation, variables, values))
    if not candidates:
        return ()
    rising = never_falling(model, [v.name for _, variables, _ in candidates for v in variables], scenario)
    return tuple(
        RunningTotal(observation.name, sum(term.use == "fit" for term in observation.terms))
        for observation, variables, values in candidates
        if all(running_total(variable, values, rising, are_counts=True) for variable in variables)
    )


def cumulative_words(totals: Sequence[RunningTotal]) -> list[str]:
    """What is wrong with each running total that is fitted as a level, and what to do."""
    return [
        f"{total.name} is a running total fitted as a level: its {total.n} numbers "
        "never fall and its stock only grows, so that each holds the errors of those before and intervals are far too "
        'narrow. Set kind = "increments" in its [[observation]], with start where the total was nothing.'
        for total in totals
    ]


def warn_of_levels(model: Model, scenario: Scenario, observations: Sequence[Observation]) -> None:
    """A :class:`StudyWarning` for each running total that is fitted as a level."""
    for sentence in cumulative_words(cumulative_levels(model, scenario, observations)):
        warnings.warn(sentence, StudyWarning, stacklevel=3)
