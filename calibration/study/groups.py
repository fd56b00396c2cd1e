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

A parameter of groups is one for all, one for each by itself, or partially pooled: it then has, on its scale,
``value[g] = typical + spread deviation[g]`` with standard normal deviations. Groups differ, and how much they do is
learnt from all of them (non-centred: Papaspiliopoulos, Roberts and Sköld 2007, Statistical Science 22(1), 59-73; Gelman
and others 2013, Bayesian Data Analysis, third edition, chapter 5). The parameter's own prior is that of ``typical``.
The model gets a constant for each, and the value of a group where the constant stood::

    [[parameter]]
    name = "Growth Rate"
    prior = { family = "lognormal", median = 0.2, sigma = 1 }
    pooled = "partial"
    between = { family = "half-normal", sd = 0.5 }
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from calibration.noise.priors import Normal, Prior, Scale, from_scale, to_scale
from calibration.study.observations import Observation, Prediction, Quantity, Term, read_otherwise
from calibration.study.parameters import Aim, Parameter, ParameterSpace
from calibration.study.payoff import expanded
from calibration.study.sections import Pooling, constants_set
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.base.naming import base_name, canonical, split_key, split_name
from cipark_sd.base.section import Section
from cipark_sd.model.expr import Binary, Call, Const, Expr, Grid, Ref, rebuild
from cipark_sd.model.model import CONTROL, Dimension, Model, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, ExternalPiece, Piece, Stock, Variable, names_in, rewritten

#: The range of the groups; no file can have such a name.
RANGE = "\0group"


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its ``name``, and the constants ``held`` that it has for itself, by name."""

    name: str
    held: tuple[tuple[str, float], ...] = ()


def group_section(section: Section, model: Model) -> Group:
    """A ``[[group]]``.

    Parameters
    ----------
    model : Model
        Its names are not the group's, and its constants are those that the group may set.
    """
    name = section.title
    held = constants_set(section, "set") if "set" in section else {}
    section.text("why", "")
    if set(name) & set("[],!"):
        section.wrong("name", "a name without brackets, commas and exclamation marks")
    taken = {element for dimension in model.dimensions for element in (dimension.name, *dimension.elements)}
    if canonical(name) in taken | set(model.by_name):
        section.wrong("name", "a name that no variable, range or element of the model has")
    wrong = []
    for constant in held:
        variable = model.by_name.get(base_name(constant))
        if variable is None:
            section.problems.append(UnknownName(constant, [v.label for v in model.constants], where=section.at("set")))
            wrong.append(constant)
        elif not isinstance(variable, Constant) or variable.name in CONTROL or _in_file(variable):
            section.wrong("set", f"numbers of constants that the model file writes out; {variable.label!r} is none")
            wrong.append(constant)
    # what is wrong here would be told once more of what is held
    return Group(name, tuple(item for item in held.items() if item[0] not in wrong))


def _in_file(variable: Constant) -> bool:
    return any(isinstance(piece, ExternalPiece) for piece in variable.pieces)


def element_of(name: str, group: str) -> str:
    """The element of ``name`` that belongs to a group.

    >>> element_of("Firms", "Suez"), element_of("Firms[ SOE ]", "Suez")
    ('Firms[Suez]', 'Firms[Suez,SOE]')

    Parameters
    ----------
    name : str
        ``Name`` or ``Name[element]`` in the model of one group.
    """
    base, elements = split_name(name)
    return f"{base}[{','.join((group, *elements))}]"


def of_group(observation: Observation, group: Group, differing: Collection[str]) -> Observation:
    """The observation read from the group's elements.

    Parameters
    ----------
    differing : collection of str
        Canonical names of the variables that have the range of groups.

    Returns
    -------
    Observation
        Its name and the labels of its terms name the group.
    """
    name = f"{observation.name}, {group.name}"

    def quantity(read: Quantity) -> Quantity:
        parts = tuple(
            (element_of(name, group.name) if base_name(name) in differing else name, sign) for name, sign in read.parts
        )
        return replace(read, parts=parts)

    def of_it(term: Term) -> Term:
        noise, memory = cast(Any, term.noise), term.noise.memory
        noise = noise if memory is None else replace(noise, memory=replace(memory, series=name))
        return replace(
            read_otherwise(term, quantity), label=name + term.label.removeprefix(observation.name), noise=noise
        )

    return replace(observation, name=name, terms=tuple(map(of_it, observation.terms)))


def predictions_of_groups(
    predictions: Sequence[Prediction], groups: Sequence[Group], differing: Collection[str]
) -> tuple[Prediction, ...]:
    """Predictions of which each that names what differs between groups, and no group, is made for all of them.

    Parameters
    ----------
    differing : collection of str
        Canonical names of the variables that have the range of groups.
    """
    names = {canonical(group.name) for group in groups}

    def is_open(name: str) -> bool:
        base, elements = split_key(name)
        return base in differing and not names & set(elements)

    made: list[Prediction] = []
    for prediction in predictions:
        if not any(is_open(name) for name, _ in prediction.parts):
            made.append(prediction)
            continue
        for group in groups:
            parts = tuple((element_of(n, group.name) if is_open(n) else n, sign) for n, sign in prediction.parts)
            made.append(replace(prediction, name=f"{prediction.name}, {group.name}", parts=parts))
    return tuple(made)


def differing_names(model: Model, groups: Sequence[Group], read: Sequence[tuple[Parameter, Pooling]]) -> frozenset[str]:
    """What differs between groups: stocks, auxiliaries, and constants that a group has for itself.

    Parameters
    ----------
    read : pairs of Parameter and Pooling
        Those that are not common are constants of each group.

    Returns
    -------
    frozenset of str
        Canonical names; none without groups.
    """
    if not groups:
        return frozenset()
    names = {variable.name for variable in model.variables if isinstance(variable, Stock | Auxiliary)} - set(CONTROL)
    separate = [name for group in groups for name, _ in group.held]
    separate += [parameter.name for parameter, pooling in read if pooling != "common" and parameter.target == "model"]
    return frozenset(names | {base_name(name) for name in separate})


def with_groups(
    model: Model, groups: Sequence[Group], differing: Collection[str], problems: list[CiparkError]
) -> Model:
    """The model with one more range, of groups, on all variables that are ``differing``.

    Parameters
    ----------
    differing : collection of str
        Canonical names.
    problems : list of CiparkError
        Gets what is wrong: the run itself is the same for all groups.
    """
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
        if variable.name in CONTROL and names_in(variable).keys() & set(differing):
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


@dataclass(frozen=True, slots=True)
class Pool:
    """A partially pooled parameter.

    Parameters
    ----------
    name : str
        Of the constant or stock in the model.
    scale : {"identity", "log", "logit"}
        On which groups are normal around the typical one.
    typical, size : Parameter
        The value of the group in the middle, and the sd between groups on the scale.
    innovations : tuple of Parameter
        The deviation of each group, in sds between groups.
    """

    name: str
    scale: Scale
    typical: Parameter
    size: Parameter
    groups: tuple[str, ...]
    innovations: tuple[Parameter, ...]

    def values(self, space: ParameterSpace, theta: Array) -> Array:
        """``theta : (n, k)`` to the value of each group ``(n, n_groups)``."""
        places = [space.names.index(deviation.name) for deviation in self.innovations]
        return self.at(space, theta, theta[:, places])

    def at(self, space: ParameterSpace, theta: Array, deviations: Array) -> Array:
        """The values ``(n, m)`` of groups with ``deviations : (n, m)`` under ``theta : (n, k)``."""
        typical, size = (theta[:, space.names.index(p.name)] for p in (self.typical, self.size))
        scaled = to_scale(typical, self.scale)[:, None] + size[:, None] * deviations
        with np.errstate(over="ignore"):
            return from_scale(scaled, self.scale)


def pooled_parameters(
    read: Sequence[tuple[Parameter, Pooling, bool]],
    groups: Sequence[Group],
    informed: Collection[str],
    model: Model,
    problems: list[CiparkError],
) -> tuple[tuple[Parameter, ...], tuple[Pool, ...]]:
    """All parameters in the order of the file, and those that are partially pooled.

    Parameters
    ----------
    read : triples of Parameter, Pooling and bool
        The last says that there is one for each element of what the parameter names.
    informed : collection of str
        Groups with a fitted row. Nothing is estimated of another one: its values are those of a new group.
    problems : list of CiparkError
        Gets what is wrong.
    """
    parameters: list[Parameter] = []
    pools: list[Pool] = []
    for parameter, pooling, by_element in read:
        elements = expanded(model, parameter.name) if by_element else []
        if by_element and isinstance(pooling, str):
            parameters += [replace(parameter, name=element) for element in elements]
        elif pooling == "common":
            parameters.append(parameter)
        elif parameter.target == "noise":
            expected, how = "'common' for a parameter of the noise", "none" if pooling == "none" else "partial"
            problems.append(InvalidValue("pooled", how, expected, where=f"parameter {parameter.name!r}"))
        elif pooling == "none":
            parameters += [
                replace(parameter, name=element_of(parameter.name, group.name), use=_use(parameter, group, informed))
                for group in groups
            ]
        else:
            uses = {group.name: _use(parameter, group, informed) for group in groups}
            if by_element:
                uses = {split_name(element)[1][0]: parameter.use for element in elements if "[" in element}
                parameter = replace(parameter, name=split_name(parameter.name)[0])
            pool = _pool(parameter, pooling, uses)
            problems += _pool_problems(pool, model, by_element=by_element)
            pools.append(pool)
            parameters += (pool.typical, pool.size, *pool.innovations)
    return tuple(parameters), tuple(pools)


def _use(parameter: Parameter, group: Group, informed: Collection[str]) -> Aim:
    return parameter.use if group.name in informed else "PRI"


def _pool(parameter: Parameter, between: Prior, uses: Mapping[str, Aim]) -> Pool:
    name = parameter.name
    why = f"how much groups differ in {name}, as an sd on the scale {parameter.scale}"
    size = Parameter(f"{name} Spread", between, 0.0, math.inf, between.natural, use=parameter.use, why=why)
    deviations = tuple(
        Parameter(
            element_of(f"{name} Deviation", group),
            Normal(0.0, 1.0),
            use=use,
            why=f"{group} beside the typical group, in sds between groups",
        )
        for group, use in uses.items()
    )
    typical = replace(parameter, name=f"{name} Typical")
    return Pool(name, parameter.scale, typical, size, tuple(uses), deviations)


def _pool_problems(pool: Pool, model: Model, *, by_element: bool = False) -> list[CiparkError]:
    where = f"parameter {pool.name!r}"
    variable = model.by_name.get(canonical(pool.name))
    size = model.n_elements(variable) if variable is not None and len(variable.dims) == 1 else 0
    if by_element and not (isinstance(variable, Constant) and len(pool.groups) == size > 0):
        return [InvalidValue("pooled", "partial", "all elements of a constant of one range", where=where)]
    if not by_element and (split_name(pool.name)[1] or (variable is not None and variable.dims)):
        return [InvalidValue("pooled", "partial", "a constant or a stock without subscripts", where=where)]
    added = (pool.typical.name, pool.size.name, f"{pool.name} Deviation")
    return [
        InvalidValue("name", pool.name, f"one with which the model has no variable {label!r}", where=where)
        for label in added
        if canonical(label) in model.by_name
    ]


def with_pools(model: Model, pools: Sequence[Pool]) -> Model:
    """The model with the value of each group where a pooled constant, or a stock's start, stood.

    Parameters
    ----------
    model : Model
        Of groups.

    Returns
    -------
    Model
        With a constant for the typical value, the spread, and the deviation of each group.
    """
    for pool in pools:
        model = _with_pool(model, pool)
    return model


def _with_pool(model: Model, pool: Pool) -> Model:
    variable = model.by_name.get(canonical(pool.name))
    if not isinstance(variable, Constant | Stock):
        # the reader of parameters says what is wrong with such a name
        return model

    dims = variable.dims or (RANGE,)

    def constant(label: str, *, ranged: bool = False) -> Constant:
        subscripts = dims if ranged else ()
        piece = Piece(Const(0.0), subscripts)
        return Constant(name=canonical(label), label=label, units="Dmnl", dims=subscripts, pieces=(piece,))

    deviation = f"{pool.name} Deviation"
    added = [
        replace(constant(pool.typical.name), units=variable.units),
        constant(pool.size.name),
        constant(deviation, ranged=True),
    ]
    shift = Binary("*", Ref(canonical(pool.size.name)), Ref(canonical(deviation), dims))
    expr = _shifted(Ref(canonical(pool.typical.name)), shift, pool.scale)
    changed: Variable
    if isinstance(variable, Stock):
        changed = replace(variable, pieces=tuple(replace(piece, initial=expr) for piece in variable.pieces))
    else:
        described = {key: getattr(variable, key) for key in ("name", "label", "units", "doc", "limits", "group")}
        changed = Auxiliary(**described, dims=dims, pieces=(Piece(expr, dims),))
    variables = tuple(changed if known.name == variable.name else known for known in model.variables)
    digest = digest_of(model.digest.encode(), repr(("pool", pool.name, pool.scale)).encode())
    return replace(model, variables=(*variables, *added), digest=digest)


def _shifted(typical: Expr, shift: Expr, scale: Scale) -> Expr:
    """``typical`` moved by ``shift`` on the scale."""
    match scale:
        case "identity":
            return Binary("+", typical, shift)
        case "log":
            return Binary("*", typical, Call("exp", (shift,)))
        case "logit":
            odds = Binary("*", Binary("/", typical, Binary("-", Const(1.0), typical)), Call("exp", (shift,)))
            return Binary("/", odds, Binary("+", Const(1.0), odds))
