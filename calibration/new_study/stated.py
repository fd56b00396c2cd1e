"""Priors that somebody states for a new study: families of ours, frozen distributions of SciPy, or values to hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calibration.new_study.parameters import Candidate
from calibration.study.priors import (
    FAMILIES,
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    LogUniform,
    Normal,
    Prior,
    StudentT,
    Triangular,
    Uniform,
)
from cipark_sd.errors import InvalidValue, UnknownName, UnusableInput
from cipark_sd.scenarios import override_key

#: A prior, or the value at which a constant is held.
Stated = Prior | float
WHY = "stated when the study was made"

#: Distributions of scipy.stats by name, each from its location, scale and shape numbers; None for a shift that has no
#: counterpart here.
_SCIPY: Mapping[str, Callable[..., Prior | None]] = {
    "norm": lambda loc, scale: Normal(loc, scale),
    "lognorm": lambda loc, scale, s: None if loc else LogNormal(scale, s),
    "uniform": lambda loc, scale: Uniform(loc, loc + scale),
    "loguniform": lambda loc, scale, a, b: None if loc else LogUniform(a * scale, b * scale),
    "reciprocal": lambda loc, scale, a, b: None if loc else LogUniform(a * scale, b * scale),
    "triang": lambda loc, scale, c: Triangular(loc, loc + c * scale, loc + scale),
    "beta": lambda loc, scale, a, b: None if loc or scale != 1 else Beta(a, b),
    "gamma": lambda loc, scale, a: None if loc else Gamma(a, scale),
    "halfnorm": lambda loc, scale: None if loc else HalfNormal(scale),
    "expon": lambda loc, scale: None if loc else Exponential(scale),
    "t": lambda loc, scale, df: StudentT(loc, scale, df),
    "halfcauchy": lambda loc, scale: None if loc else HalfCauchy(scale),
}


def stated(name: str, value: object) -> Stated:
    """What is stated of a constant, as a prior of ours or a number.

    Raises
    ------
    InvalidValue
        For a distribution that no family of ours is, or numbers that it cannot have.
    """
    where = f"priors[{name!r}]"
    if isinstance(value, (int, float)):
        return float(value)
    prior = value if isinstance(value, Prior) else _of_scipy(value)
    if prior is None:
        families = ", ".join(sorted({kind.__name__ for kind in FAMILIES.values()}))
        expected = f"a number to hold, one of {families}, or their frozen counterpart in scipy.stats, not shifted"
        raise InvalidValue("the prior", value, expected, where=where)
    if fault := prior.fault():
        raise UnusableInput(fault, where=where)
    return prior


def _of_scipy(frozen: Any) -> Prior | None:
    dist: Any = getattr(frozen, "dist", None)
    name = str(getattr(dist, "name", ""))
    if name not in _SCIPY:
        return None
    shapes = [shape.strip() for shape in (dist.shapes or "").split(",") if shape.strip()]
    numbers = dict(zip([*shapes, "loc", "scale"], frozen.args, strict=False)) | frozen.kwds
    numbers = {"loc": 0.0, "scale": 1.0} | {key: float(number) for key, number in numbers.items()}
    return _SCIPY[name](**numbers)


def with_stated(candidates: Sequence[Candidate], priors: Mapping[str, Stated], where: str) -> list[Candidate]:
    """The candidates with what is stated of them, which is fitted or held as it is stated.

    Raises
    ------
    UnknownName
        For a name that is none of theirs.
    """
    by_key = {override_key(candidate.name): candidate for candidate in candidates}
    for name, value in priors.items():
        candidate = by_key.get(override_key(name))
        if candidate is None:
            known = [entry.name for entry in candidates]
            raise UnknownName(name, known, kind="constant or start of a stock", where=where)
        change: dict[str, Any] = (
            {"prior": value, "role": "CAL"} if isinstance(value, Prior) else {"value": value, "role": "fixed"}
        )
        if isinstance(value, Prior) and math.inf in map(abs, candidate.bounds):
            # one end alone keeps a placeholder from what the time step cannot carry; what is stated says its own ends
            change["bounds"] = (-math.inf, math.inf)
        by_key[override_key(name)] = replace(candidate, why=WHY, **change)
    return list(by_key.values())
