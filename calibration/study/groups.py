"""Groups that each run the study's model with data, constants and parameters of their own: parks, regions, cohorts.

A table a group, a column of the observation's table that says whose a row is::

    [[group]]
    name = "Suez"
    set = { "Start Year" = 2008.7 }
    why = "groundbreaking, by the operator"

    [[observation]]
    name = "firms"
    group = "park"

The model gets one more range, whose elements are the groups: ``Firms`` becomes ``Firms[Suez]``. Stocks and auxiliaries
have it, and constants that differ between groups; constants that are common, tables and data variables stay as they
are. The range stands first, since functions of a vector go along the last one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from calibration.study.observations import Observation, Quantity, Term
from calibration.study.sections import Fixed
from calibration.study.variants import constants_set, repeated
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.model.expr import Expr, Grid, Ref, rebuild, references
from cipark_sd.model.model import CONTROL, Dimension, Model, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, ExternalPiece, Piece, Stock, Variable, expressions, rewritten
from cipark_sd.naming import canonical, split_name
from cipark_sd.scenarios import override_key, split_key
from cipark_sd.section import Section

#: The range of the groups; no file can have such a name.
RANGE = "\0group"


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its ``name``, and the constants ``held`` that it has for itself, by name."""

    name: str
    held: tuple[tuple[str, float], ...] = ()
    why: str = ""


def read_groups(top: Section, model: Model) -> tuple[Group, ...]:
    """The ``[[group]]`` tables of a study."""
    groups = top.named("group", partial(_group, model=model))
    top.problems += repeated([canonical(group.name) for group in groups], "[[group]]")
    return groups


def _group(section: Section, model: Model) -> Group:
    name = section.title
    held = constants_set(section, "set") if "set" in section else {}
    why = section.text("why", "")
    if set(name) & set("[],!"):
        section.wrong("name", "a name without brackets, commas and exclamation marks")
    taken = {element for dimension in model.dimensions for element in (dimension.name, *dimension.elements)}
    if canonical(name) in taken | set(model.by_name):
        section.wrong("name", "a name that no variable, range or element of the model has")
    wrong = []
    for constant in held:
        variable = model.by_name.get(split_key(override_key(constant))[0])
        if variable is None:
            labels = [v.label for v in model.constants]
            section.problems.append(UnknownName(constant, labels, where=section.at("set")))
            wrong.append(constant)
        elif not isinstance(variable, Constant) or variable.name in CONTROL or _in_file(variable):
            section.wrong("set", f"numbers of constants that the model file writes out; {variable.label!r} is none")
            wrong.append(constant)
    # what is wrong here would be told once more of what is held
    return Group(name, tuple(item for item in held.items() if item[0] not in wrong), why)


def _in_file(variable: Constant) -> bool:
    return any(isinstance(piece, ExternalPiece) for piece in variable.pieces)


def element_of(name: str, group: str) -> str:
    """The element of ``name`` that belongs to a group.

    >>> element_of("Firms", "Suez"), element_of("Firms[ SOE ]", "Suez")
    ('Firms[Suez]', 'Firms[Suez,SOE]')
    """
    base, elements = split_name(name)
    return f"{base}[{','.join((group, *elements))}]"


def held_by(groups: Sequence[Group]) -> tuple[Fixed, ...]:
    """The constants that groups have for themselves, as what is held."""
    return tuple(
        Fixed(element_of(name, group.name), value, group.why) for group in groups for name, value in group.held
    )


def of_group(observation: Observation, group: Group, differing: Collection[str]) -> Observation:
    """The observation read from the group's elements; ``differing`` are canonical names of what has the range."""
    name = f"{observation.name}, {group.name}"

    def quantity(read: Quantity) -> Quantity:
        parts = tuple(
            (element_of(name, group.name) if split_key(override_key(name))[0] in differing else name, sign)
            for name, sign in read.parts
        )
        return replace(read, parts=parts)

    def of_it(term: Term) -> Term:
        noise, memory = cast(Any, term.noise), term.noise.memory
        noise = noise if memory is None else replace(noise, memory=replace(memory, series=name))
        return replace(term.reading(quantity), label=name + term.label.removeprefix(observation.name), noise=noise)

    return replace(observation, name=name, terms=tuple(map(of_it, observation.terms)))


def differing_names(model: Model, groups: Sequence[Group], separate: Collection[str]) -> frozenset[str]:
    """Canonical names of what differs between groups: stocks, auxiliaries, and constants that are ``separate``."""
    if not groups:
        return frozenset()
    names = {variable.name for variable in model.variables if isinstance(variable, Stock | Auxiliary)} - set(CONTROL)
    held = {split_key(override_key(name))[0] for group in groups for name, _ in group.held}
    return frozenset(names | held | {split_key(override_key(name))[0] for name in separate})


def with_groups(
    model: Model, groups: Sequence[Group], differing: Collection[str], problems: list[CiparkError]
) -> Model:
    """The model with one more range, of groups, on all variables that are ``differing``."""
    if not groups:
        return model
    members = tuple(canonical(group.name) for group in groups)
    dimension = Dimension(RANGE, "group", members, tuple(group.name for group in groups))

    def changed(expr: Expr) -> Expr:
        match expr:
            case Ref(name, subscripts) if name in differing:
                return Ref(name, (RANGE, *subscripts))
            case _:
                return rebuild(expr, changed)

    for variable in model.variables:
        used = {ref.name for expr in expressions(variable) for ref in references(expr)}
        if variable.name in CONTROL and used & set(differing):
            expected = "a number, the same for all groups"
            problems.append(InvalidValue(variable.label, "an equation", expected, where="[[group]]"))
    variables = tuple(
        _ranged(variable, changed, len(groups)) if variable.name in differing else variable
        for variable in model.variables
    )
    digest = digest_of(model.digest.encode(), repr((members, sorted(differing))).encode())
    return replace(model, variables=variables, dimensions=(*model.dimensions, dimension), digest=digest)


def _ranged(variable: Variable, changed: Callable[[Expr], Expr], n: int) -> Variable:
    pieces: list[Any]
    match variable:
        case Auxiliary() | Stock():
            pieces = [*rewritten(variable, changed).pieces]
        case Constant():
            pieces = [replace(p, expr=_for_each(p.expr, n)) for p in variable.pieces if isinstance(p, Piece)]
        case _:
            return variable
    spanned = [
        replace(p, subscripts=(RANGE, *p.subscripts), exceptions=tuple((RANGE, *parts) for parts in p.exceptions))
        for p in pieces
    ]
    whole: Variable = replace(cast(Any, variable), dims=(RANGE, *variable.dims), pieces=tuple(spanned))
    return whole


def _for_each(literal: Expr, n: int) -> Expr:
    """A literal array once for each group; a number stands for all of them as it is."""
    return Grid(literal.values * n, (n, *literal.shape)) if isinstance(literal, Grid) else literal
