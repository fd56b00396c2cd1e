"""Parameters of groups: one for all, one for each by itself, or partially pooled.

A partially pooled parameter has, on its scale, ``value[g] = typical + spread deviation[g]`` with standard normal
deviations: groups differ, and how much they do is learnt from all of them (non-centred: Papaspiliopoulos, Roberts and
Sköld 2007, Statistical Science 22(1), 59-73; Gelman and others 2013, Bayesian Data Analysis, third edition, chapter 5).
The parameter's own prior is that of ``typical``. The model gets a constant for each, and the value of a group where
the constant stood::

    [[parameter]]
    name = "Growth Rate"
    prior = { family = "lognormal", median = 0.2, sigma = 1 }
    pooled = "partial"
    between = { family = "half-normal", sd = 0.5 }
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.study.groups import RANGE, Group, element_of
from calibration.study.parameters import Aim, Parameter, ParameterSpace
from calibration.study.priors import Normal, Scale, from_scale, to_scale
from calibration.study.sections import Pooling
from cipark_sd.arrays import Array
from cipark_sd.errors import CiparkError, InvalidValue
from cipark_sd.model.expr import Binary, Call, Const, Expr, Ref
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Stock, Variable
from cipark_sd.naming import canonical, split_name
from cipark_sd.scenarios import override_key, split_key


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
    groups : tuple of str
    innovations : tuple of Parameter
        The deviation of each group, in sds between groups.
    """

    name: str
    scale: Scale
    typical: Parameter
    size: Parameter
    groups: tuple[str, ...]
    innovations: tuple[Parameter, ...]

    @property
    def size_name(self) -> str:
        """The name of the sd between groups."""
        return self.size.name

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All of them, the typical value first."""
        return (self.typical, self.size, *self.innovations)

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
    read: Sequence[tuple[Parameter, Pooling]],
    groups: Sequence[Group],
    informed: Collection[str],
    model: Model,
    problems: list[CiparkError],
) -> tuple[tuple[Parameter, ...], tuple[Pool, ...]]:
    """All parameters in the order of the file, and those that are partially pooled.

    A group that is not among the ``informed`` has no fitted row: nothing is estimated of it, and its values are those
    of a new group.
    """
    parameters: list[Parameter] = []
    pools: list[Pool] = []
    for parameter, pooling in read:
        if pooling.how == "common":
            parameters.append(parameter)
            continue
        if parameter.target == "noise":
            expected = "'common' for a parameter of the noise"
            where = f"parameter {parameter.name!r}"
            problems.append(InvalidValue("pooled", pooling.how, expected, where=where))
        elif pooling.how == "none":
            parameters += [
                replace(parameter, name=element_of(parameter.name, group.name), use=_use(parameter, group, informed))
                for group in groups
            ]
        elif pooling.between is not None:
            pool = _pool(parameter, pooling, groups, informed)
            problems += _pool_problems(pool, model)
            pools.append(pool)
            parameters += pool.parameters
    return tuple(parameters), tuple(pools)


def _use(parameter: Parameter, group: Group, informed: Collection[str]) -> Aim:
    return parameter.use if group.name in informed else "PRI"


def _pool(parameter: Parameter, pooling: Pooling, groups: Sequence[Group], informed: Collection[str]) -> Pool:
    name, between = parameter.name, pooling.between
    assert between is not None
    why = f"how much groups differ in {name}, as an sd on the scale {parameter.scale}"
    size = Parameter(f"{name} Spread", between, 0.0, math.inf, between.natural, use=parameter.use, why=why)
    deviations = tuple(
        Parameter(
            element_of(f"{name} Deviation", group.name),
            Normal(0.0, 1.0),
            use=_use(parameter, group, informed),
            why=f"{group.name} beside the typical group, in sds between groups",
        )
        for group in groups
    )
    typical = replace(parameter, name=f"{name} Typical")
    return Pool(name, parameter.scale, typical, size, tuple(group.name for group in groups), deviations)


def _pool_problems(pool: Pool, model: Model) -> list[CiparkError]:
    where = f"parameter {pool.name!r}"
    variable = model.by_name.get(canonical(pool.name))
    if split_name(pool.name)[1] or (variable is not None and variable.dims):
        return [InvalidValue("pooled", "partial", "a constant or a stock without subscripts", where=where)]
    added = (pool.typical.name, pool.size.name, f"{pool.name} Deviation")
    return [
        InvalidValue("name", pool.name, f"one with which the model has no variable {label!r}", where=where)
        for label in added
        if canonical(label) in model.by_name
    ]


def with_pools(model: Model, pools: Sequence[Pool]) -> Model:
    """The ``model`` of groups with the value of each group where a pooled constant, or a stock's start, stood."""
    for pool in pools:
        model = _with_pool(model, pool)
    return model


def _with_pool(model: Model, pool: Pool) -> Model:
    variable = model.by_name.get(canonical(pool.name))
    if not isinstance(variable, Constant | Stock):
        # the reader of parameters says what is wrong with such a name
        return model

    def constant(label: str, *, ranged: bool = False) -> Constant:
        subscripts = (RANGE,) if ranged else ()
        piece = Piece(Const(0.0), subscripts)
        return Constant(name=canonical(label), label=label, units="Dmnl", dims=subscripts, pieces=(piece,))

    deviation = f"{pool.name} Deviation"
    added = [
        replace(constant(pool.typical.name), units=variable.units),
        constant(pool.size.name),
        constant(deviation, ranged=True),
    ]
    shift = Binary("*", Ref(canonical(pool.size.name)), Ref(canonical(deviation), (RANGE,)))
    expr = _shifted(Ref(canonical(pool.typical.name)), shift, pool.scale)
    changed: Variable
    if isinstance(variable, Stock):
        changed = replace(variable, pieces=tuple(replace(piece, initial=expr) for piece in variable.pieces))
    else:
        described = {key: getattr(variable, key) for key in ("name", "label", "units", "doc", "limits", "group")}
        changed = Auxiliary(**described, dims=(RANGE,), pieces=(Piece(expr, (RANGE,)),))
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


def own_names(read: Sequence[tuple[Parameter, Pooling]]) -> tuple[str, ...]:
    """Canonical names of what each group has a value of."""
    of_model = [p for p, pooling in read if pooling.how != "common" and p.target == "model"]
    return tuple(split_key(override_key(parameter.name))[0] for parameter in of_model)
