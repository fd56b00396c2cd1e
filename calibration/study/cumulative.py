"""Running totals: counts of a stock that cannot fall, which a fit takes by their increments and not as levels.

Each total holds all errors of those before it. Fitted as independent levels, the same error counts again and again, and
intervals come out far too narrow. That a stock cannot fall is a matter of its equations
(:mod:`calibration.study.falling`): counts that rise of a stock with an outflow are levels.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.study.falling import cannot_fall
from calibration.study.observations import Count, Observation
from cipark_sd.arrays import Array
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, Variable
from cipark_sd.scenarios import override_key, split_key

#: Units of what is measured and not counted, however whole its numbers are.
MEASURES = frozenset({"mg", "g", "gram", "grams", "kg", "t", "ton", "tons", "tonne", "tonnes", "mol", "l", "ml"})
MEASURES |= {"litre", "liter", "m2", "m3", "mm", "cm", "m", "km", "ha", "%", "percent", "degc", "kelvin", "pa"}
MEASURES |= {"kwh", "mwh", "mw", "gw", "kw", "joule", "usd", "eur", "gbp", "cny", "dollar", "dollars", "$", "€", "£"}
MEASURES |= {"thousand", "thousands", "million", "millions", "billion", "billions", "euro", "euros"}
#: Fewer rising whole numbers than these may be measurements that were rounded.
FEWEST = 10


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


def running_total(model: Model, variable: Variable, values: Array, *, are_counts: bool) -> bool:
    """Whether ten or more counts that never fall were seen of a stock that cannot fall.

    Parameters
    ----------
    values : (n,)
        In the order of time.
    """
    rising = len(values) >= FEWEST and bool(np.all(np.diff(values) >= 0)) and values[-1] > values[0]
    return are_counts and rising and isinstance(variable, Stock) and cannot_fall(model, variable)


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """An observation that is a running total fitted as a level, and how many of its numbers are fitted."""

    name: str
    n: int


def cumulative_levels(model: Model, observations: Sequence[Observation]) -> tuple[RunningTotal, ...]:
    """The observations of kind ``level`` that are running totals."""
    totals = []
    for observation in observations:
        terms = [t for t in observation.terms if isinstance(t, Count) and t.use == "fit" and t.lower == t.upper]
        if observation.kind != "level" or not terms:
            continue
        terms.sort(key=lambda term: term.quantity.end)
        values = np.array([term.lower for term in terms])
        parts = [part for term in terms for part in term.quantity.parts]
        variables = [model[base] for base in sorted({split_key(override_key(name))[0] for name, _ in parts})]
        as_counts = terms[0].noise.family.discrete
        if {sign for _, sign in parts} == {1.0} and all(
            running_total(
                model, variable, values, are_counts=as_counts or counted(values, observation.name, variable.units)
            )
            for variable in variables
        ):
            totals.append(RunningTotal(observation.name, sum(term.use == "fit" for term in observation.terms)))
    return tuple(totals)


def cumulative_words(totals: Sequence[RunningTotal]) -> list[str]:
    """What is wrong with each running total that is fitted as a level, and what to do."""
    return [
        f"{total.name} is a running total fitted as a level: its {total.n} numbers never fall and its stock has no "
        "outflow, so that each holds the errors of those before and intervals are far too narrow. "
        'Set kind = "increments" in its [[observation]], with start where the total was nothing.'
        for total in totals
    ]


def warn_of_levels(model: Model, observations: Sequence[Observation]) -> None:
    """A :class:`StudyWarning` for each running total that is fitted as a level."""
    for sentence in cumulative_words(cumulative_levels(model, observations)):
        warnings.warn(sentence, StudyWarning, stacklevel=3)
