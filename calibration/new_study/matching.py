"""Which variable of a model a column of data means, by name."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from calibration.study.consistency import output_problem
from cipark_sd.base.errors import CiparkError, InvalidValue, UnusableInput, raise_all
from cipark_sd.base.naming import split_key
from cipark_sd.model.expr import Call, references
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.units import Unit, UnitSyntaxError, UnitSystem
from cipark_sd.model.variables import Auxiliary, Stock, Variable

#: Likeness of two names, 0 to 1, from which one is taken for the other.
ALIKE = 0.72
#: Two variables whose likeness differs by less are both possible.
_TIE = 0.02
_EMPTY_WORDS = frozenset(
    {"the", "of", "a", "in", "number", "no", "n", "observed", "reported", "measured", "data", "obs"}
)


@dataclass(frozen=True)
class Match:
    """A column and what it is a reading of: one variable, one element, or all elements of a variable added up."""

    column: str
    variable: Variable
    names: tuple[str, ...]


def words(name: str) -> tuple[str, ...]:
    """A name as words: units in brackets and filling words left out, camel case cut, plurals made singular.

    >>> words("Number of newCases (per week)")
    ('new', 'case')
    """
    bare = re.sub(r"\(.*?\)|\[[^\]]*/[^\]]*\]", " ", name)
    bare = re.sub(r"\b(per|by|a) (day|week|month|quarter|year)\b", " ", bare, flags=re.IGNORECASE)
    bare = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    parts = [part for part in re.split(r"[\W_]+", bare.casefold()) if part]
    words = [part for part in parts if part not in _EMPTY_WORDS] or parts
    return tuple(
        part[:-1] if len(part) > 3 and part.endswith("s") and not part.endswith("ss") else part for part in words
    )


def likeness(column: str, variable: str) -> float:
    """From 0 to 1, of a column's name and a variable's.

    Parameters
    ----------
    column, variable : str

    Returns
    -------
    float
    """
    mine, theirs = words(column), words(variable)
    if sorted(mine) == sorted(theirs):
        return 1.0
    spelled = difflib.SequenceMatcher(None, "".join(mine), "".join(theirs)).ratio()
    smaller, larger = sorted((set(mine), set(theirs)), key=len)
    if smaller and smaller <= larger and max(map(len, smaller)) > 2:
        # one name within the other: 'cases' in 'new cases'
        return max(spelled, 0.74 + 0.25 * len(smaller) / len(larger))
    return spelled


def observable(model: Model) -> list[tuple[Variable, tuple[str, ...], str]]:
    """What a column may mean: variables with a course of their own, their elements, with the name to compare."""
    targets: list[tuple[Variable, tuple[str, ...], str]] = []
    for variable in model.variables:
        if variable.name in CONTROL or not isinstance(variable, Stock | Auxiliary):
            continue
        elements = model.labels(variable)
        targets.append((variable, elements, variable.label))
        if len(elements) > 1:
            targets += [(variable, (label,), label) for label in elements]
    return targets


#: What these return is a level in the units of their input, were it a flow.
_PERCEIVES = frozenset({"smooth", "smooth_n", "trend", "forecast"})


def flows(model: Model) -> dict[str, str]:
    """Flows by canonical name, each with its unit where that alone says so, else an empty text.

    An auxiliary in a stock's net flow is one, and so is one whose unit is a thing per unit of the model's time, unless
    it is a perceived rate.
    """
    moving = {ref.name for stock in model.stocks for piece in stock.pieces for ref in references(piece.flow)}
    units = {variable.name: "" for variable in model.auxiliaries if variable.name in moving}
    system = UnitSystem.of_model(model)
    time = _unit(system, model.time.units)
    if time is None or len(time.exponents) != 1:
        return units
    ((clock, _),) = time.exponents
    for variable in model.auxiliaries:
        perceived = any(isinstance(p.expr, Call) and p.expr.function in _PERCEIVES for p in variable.pieces)
        unit = None if perceived or variable.name in units else _unit(system, variable.units)
        powers = dict(unit.exponents) if unit is not None else {}
        if powers.get(clock) == -1 and any(power > 0 for power in powers.values()):
            units[variable.name] = variable.units
    return units


def _unit(system: UnitSystem, text: str) -> Unit | None:
    """A unit, None where none is written or it cannot be read."""
    with suppress(UnitSyntaxError):
        return system.parse(text)
    return None


def matches(model: Model, columns: Sequence[str], chosen: Mapping[str, str]) -> list[Match]:
    """The variable of each column that has one: first as given, then by likeness of names.

    Parameters
    ----------
    model : Model
    columns : sequence of str
        Those with numbers, in the order of the table.
    chosen : mapping of str to str
        By column the variable that the user names.

    Returns
    -------
    list of Match
        In the order of the columns; none of a column that sounds like nothing.

    Raises
    ------
    UnknownName, InvalidValue, Problems
        For a given variable that the model does not have, and for a column that means two variables equally well.
    """
    paired = [_chosen_match(model, column, name) for column, name in chosen.items()]
    raise_all(
        "new-study",
        list(_doubtful(model, [c for c in columns if c not in chosen], {n for m in paired for n in m.names})),
    )
    # a sum and a part of it would count the same twice
    taken = {name for match in paired for name in match.names}
    pairs = sorted(
        (
            (score, column, place)
            for column in columns
            if column not in chosen
            for score, place in _ranked(model, column)
        ),
        key=lambda item: -item[0],
    )
    options = observable(model)
    for _, column, place in pairs:
        variable, names, _ = options[place]
        if not taken & set(names) and column not in {match.column for match in paired}:
            paired.append(Match(column, variable, names))
            taken |= set(names)
    order = {column: i for i, column in enumerate(columns)}
    return sorted(paired, key=lambda match: order[match.column])


def _ranked(model: Model, column: str) -> list[tuple[float, int]]:
    """Likeness and place among :func:`observable`, the best first; what moves stocks comes before what does not."""
    moving = flows(model)
    scores = []
    for place, (variable, names, label) in enumerate(observable(model)):
        if label != variable.label and set(words(column)) <= set(words(variable.label)):
            # the variable's own name says nothing of one element
            continue
        score = likeness(column, label)
        if score >= ALIKE:
            plain = not isinstance(variable, Stock) and variable.name not in moving
            scores.append((score - 0.03 * plain - 0.01 * (len(names) > 1), place))
    return sorted(scores, key=lambda item: -item[0])


def _doubtful(model: Model, columns: Sequence[str], taken: set[str]) -> Iterator[CiparkError]:
    options = observable(model)
    for column in columns:
        ranked = [(score, place) for score, place in _ranked(model, column) if not taken & set(options[place][1])]
        best = [options[place] for score, place in ranked if ranked[0][0] - score < _TIE]
        if len(best) > 1:
            names = [label for _, _, label in best]
            expected = " or ".join(f'--value "{column}={name}"' for name in names[:4])
            yield UnusableInput(
                f"the column {column!r} may be any of several variables: write {expected}", where="new-study"
            )


def _chosen_match(model: Model, column: str, name: str) -> Match:
    """What ``--value COL=variable`` says; a subscripted variable without element is the sum of all."""
    fault = output_problem(model, name, f"--value {column}")
    base, elements = split_key(name)
    variable = model.by_name.get(base)
    if variable is not None and isinstance(variable, Stock | Auxiliary):
        labels = model.labels(variable)
        if not elements:
            return Match(column, variable, labels)
        if fault is None:
            return Match(column, variable, (labels[model.elements(variable).index(elements)],))
    if fault is not None:
        raise fault
    expected = "a variable that the model computes, a stock or an auxiliary"
    raise InvalidValue("the variable", name, expected, where=f"--value {column}")
