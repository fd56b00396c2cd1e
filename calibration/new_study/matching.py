"""Which variable of a model a column of data means, by name."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, raise_all
from cipark_sd.base.naming import split_key
from cipark_sd.model.expr import Call, references
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.named import output_problem
from cipark_sd.model.units import Unit, UnitSyntaxError, UnitSystem
from cipark_sd.model.variables import Auxiliary, Stock, Variable
from cipark_sd.model.variables import Series as DataVariable

#: Likeness of two names, 0 to 1, from which one is taken for the other.
ALIKE = 0.72
#: Two variables whose likeness differs by less are both possible.
_TIE = 0.02
#: Likeness of letters from which a word is another one misspelt: Polulation has 0.9, Order and Older 0.8.
_MISSPELT = 0.85
_EMPTY_WORDS = frozenset(
    {"the", "of", "a", "in", "number", "no", "n", "observed", "reported", "measured", "data", "obs"}
)


@dataclass(frozen=True)
class Match:
    """A column and what it is a reading of: one variable, or the elements of it that it names, added up.

    ``label`` says it in short, such as ``Residents[North]``.
    """

    column: str
    variable: Variable
    names: tuple[str, ...]
    label: str

    @property
    def is_input(self) -> bool:
        """Whether it is a data variable, which the model takes and does not compute."""
        return isinstance(self.variable, DataVariable)


@lru_cache(100_000)
def _tokens(name: str) -> tuple[str, ...]:
    """All words of a name, camel case cut, plurals made singular; kept, since each column asks for all elements."""
    parts = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return tuple(part[:-1] if len(part) > 3 and re.search("[^s]s$", part) else part for part in parts if part)


def _stem(word: str) -> str:
    """A word without the ending of what happens: installations are what installing brings, removals what removing."""
    return re.sub("(?<=....)(?:ing|ation|ion|ment|al)$", "", word)


@lru_cache(100_000)
def words(name: str) -> tuple[str, ...]:
    """A name as words: units in brackets and filling words left out, camel case cut, plurals made singular.

    >>> words("Number of newCases (per week)")
    ('new', 'case')
    """
    bare = re.sub(r"\(.*?\)|\[[^\]]*/[^\]]*\]", " ", name)
    bare = re.sub(r"\b(per|by|a) (day|week|month|quarter|year)\b", " ", bare, flags=re.IGNORECASE)
    parts = _tokens(bare)
    return tuple(part for part in parts if part not in _EMPTY_WORDS) or parts


@lru_cache(100_000)
def _stems(name: str) -> tuple[str, ...]:
    """Its words in any order and form; names that have the same mean the same."""
    return tuple(sorted(map(_stem, words(name))))


def likeness(column: str, variable: str) -> float:
    """From 0 to 1, of a column's name and a variable's."""
    mine, theirs = words(column), words(variable)
    if _stems(column) == _stems(variable):
        return 1.0 - 0.01 * (sorted(mine) != sorted(theirs))
    spelled = _spelt(mine, theirs)
    smaller, larger = sorted((set(mine), set(theirs)), key=len)
    if smaller and smaller <= larger and max(map(len, smaller)) > 2:
        # one name within the other: 'cases' in 'new cases'
        return max(spelled, 0.74 + 0.25 * len(smaller) / len(larger))
    return spelled


def _spelt(mine: Sequence[str], theirs: Sequence[str]) -> float:
    """Likeness of names that are spelt or joined otherwise; else less than :data:`ALIKE`, by words they share.

    Letters alone say nothing of short words, and a first one that differs turns a word round: male, unvaccinated.
    """
    pairs = list(zip(mine, theirs, strict=True)) if len(mine) == len(theirs) else [("".join(mine), "".join(theirs))]
    if all(a[:1] == b[:1] for a, b in pairs):
        compared = [difflib.SequenceMatcher(None, a, b) for a, b in pairs]
        # the first is no smaller than the second, and a tenth of the work
        if min(matcher.quick_ratio() for matcher in compared) >= _MISSPELT:
            ratio = min(matcher.ratio() for matcher in compared)
            if ratio >= _MISSPELT:
                return ratio
    # a word or the beginning of one, as of Promo in Promotion
    begun = [a for a in mine if any(min(len(a), len(b)) > 3 and (a.startswith(b) or b.startswith(a)) for b in theirs)]
    return 0.7 * len(begun) / max(len(mine), len(theirs))


def lacks_data(variable: Variable) -> bool:
    """Whether it is a data variable whose values nobody has brought yet."""
    return isinstance(variable, DataVariable) and all(piece.source is None for piece in variable.pieces)


def observable(model: Model) -> list[Variable]:
    """What a column may mean: variables with a course of their own, and data variables that lack their data."""
    variables = (variable for variable in model.variables if variable.name not in CONTROL)
    return [variable for variable in variables if isinstance(variable, Stock | Auxiliary) or lacks_data(variable)]


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


def matches(model: Model, columns: Sequence[str], chosen: Mapping[str, str], *, inputs: bool = False) -> list[Match]:
    """The variable of each column that has one: first as given, then by likeness of names.

    Parameters
    ----------
    columns : sequence of str
        Those with numbers, in the order of the table.
    chosen : mapping of str to str
        By column the variable that the user names.
    inputs : bool
        Whether the table holds nothing but values of data variables.

    Returns
    -------
    list of Match
        In the order of the columns; none of a column that sounds like nothing.

    Raises
    ------
    UnknownName, InvalidValue, Problems
        For a given variable that the model does not have, and for a column that means two variables equally well.
    """
    paired = {column: _chosen_match(model, column, name) for column, name in chosen.items()}
    # a sum and a part of it would count the same twice
    taken = {name for match in paired.values() for name in match.names}
    moving, possible = flows(model), observable(model)
    possible = [variable for variable in possible if not inputs or isinstance(variable, DataVariable)]
    arrays = [variable for variable in possible if variable.dims]
    by_stems: dict[tuple[str, ...], list[Variable]] = {}
    for variable in possible:
        if not variable.dims and variable.label not in taken:
            by_stems.setdefault(_stems(variable.label), []).append(variable)
    n_columns = Counter(_stems(column) for column in columns)
    ranked = {}
    for column in columns:
        if column not in chosen:
            # a name that is a variable's, and no other column's, is compared with no other scalar
            namesakes = by_stems.get(_stems(column), []) if n_columns[_stems(column)] == 1 else []
            ranked[column] = list(_ranked(model, column, [*namesakes, *arrays] if namesakes else possible, moving))
    free = {c: [(score, m) for score, m in options if not taken & set(m.names)] for c, options in ranked.items()}
    raise_all("new-study", [fault for column, options in free.items() for fault in _doubtful(column, options)])
    for _, match in sorted((pair for options in free.values() for pair in options), key=lambda pair: -pair[0]):
        if not taken & set(match.names) and match.column not in paired:
            paired[match.column] = match
            taken |= set(match.names)
    return [paired[column] for column in columns if column in paired]


def _ranked(
    model: Model, column: str, possible: Sequence[Variable], moving: Collection[str]
) -> Iterator[tuple[float, Match]]:
    """What a column may mean, each with its likeness; what moves stocks comes before what does not."""
    for variable in possible:
        chosen = _elements_in(model, variable, column)
        if chosen is None:
            continue
        score = likeness(column, variable.label + "".join(f" {label}" for _, label in chosen.values()))
        if score >= ALIKE:
            plain = not isinstance(variable, Stock) and variable.name not in moving
            match = _part(model, column, variable, chosen)
            yield score - 0.03 * plain - 0.01 * (len(match.names) > 1), match


#: Elements of a variable by the place of their dimension: canonical, and in the modeller's words.
_Chosen = Mapping[int, tuple[str, str]]


def _part(model: Model, column: str, variable: Variable, chosen: _Chosen) -> Match:
    """All elements of a variable that lie under the chosen ones."""
    elements = [e for e in model.elements(variable) if all(e[i] == name for i, (name, _) in chosen.items())]
    shown = f"[{','.join(label for _, label in chosen.values())}]" if chosen else ""
    return Match(column, variable, tuple(model.label(variable, e) for e in elements), variable.label + shown)


def _elements_in(model: Model, variable: Variable, column: str) -> _Chosen | None:
    """The elements of a variable that a column names, one of a dimension at most; None where it may be several.

    A column that names some is never read as all.
    """
    chosen: dict[int, tuple[str, str]] = {}
    mine, as_spelt = set(_tokens(column)), set(re.findall(r"[^\W_]+", column))
    if not variable.dims or mine <= set(_tokens(variable.label)):
        # the variable's own name says nothing of one element
        return chosen
    for place, dim in enumerate(variable.dims):
        dimension = model.dimension_by_name[dim]
        there = {pair: _tokens(pair[1]) for pair in zip(dimension.elements, dimension.element_labels, strict=True)}
        # a filling word, such as A, is an element only as it is spelt
        there = {pair: parts for pair, parts in there.items() if _EMPTY_WORDS.isdisjoint(parts) or pair[1] in as_spelt}
        there = {pair: parts for pair, parts in there.items() if parts}
        named = [pair for pair, parts in there.items() if set(parts) <= mine]
        if not named:
            # misspelt, where that leaves no doubt: of A65 and A85 nothing is near
            near = _nearest(mine - set(_tokens(variable.label)), {word for parts in there.values() for word in parts})
            named = [pair for pair, parts in there.items() if set(parts) <= near]
        # 'north east' holds 'east'
        longest = max((len(there[pair]) for pair in named), default=0)
        named = [pair for pair in named if len(there[pair]) == longest]
        if len(named) > 1 or set(named) & set(chosen.values()):
            return None
        if named:
            chosen[place] = named[0]
    return chosen


def _nearest(mine: Collection[str], known: Collection[str]) -> set[str]:
    """Of known words those that some of mine are meant to be, but for a letter or two."""
    return {word for part in mine if part.isalpha() for word in difflib.get_close_matches(part, known, 1, 0.8)}


def _doubtful(column: str, options: Sequence[tuple[float, Match]]) -> Iterator[CiparkError]:
    """That a column may be any of several variables."""
    top = max((score for score, _ in options), default=0.0)
    names = [match.label for score, match in sorted(options, key=lambda pair: -pair[0]) if top - score < _TIE]
    if len(names) > 1:
        expected = " or ".join(f'--value "{column}={name}"' for name in names[:4])
        yield UnusableInput(
            f"the column {column!r} may be any of several variables: write {expected}", where="new-study"
        )


def _chosen_match(model: Model, column: str, name: str) -> Match:
    """What ``--value COL=variable`` says; without elements those that the column names, and the sum of all others."""
    base, elements = split_key(name)
    variable = model.by_name.get(base)
    if not isinstance(variable, Stock | Auxiliary | DataVariable):
        expected = "a variable that the model computes, a stock or an auxiliary, or a data variable"
        fault = output_problem(model, name, f"--value {column}")
        raise fault or InvalidValue("the variable", name, expected, where=f"--value {column}")
    chosen: dict[int, tuple[str, str]] = {}
    for place, dim in enumerate(variable.dims):
        labels = dict(
            zip(model.dimension_by_name[dim].elements, model.dimension_by_name[dim].element_labels, strict=True)
        )
        if len(chosen) < len(elements) and (element := elements[len(chosen)]) in labels:
            chosen[place] = (element, labels[element])
    if len(chosen) < len(elements):
        raise UnknownName(name, model.labels(variable), kind="element", where=f"--value {column}: model {model.name}")
    return _part(model, column, variable, chosen if elements else _elements_in(model, variable, column) or {})
