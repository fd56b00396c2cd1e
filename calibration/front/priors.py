"""Priors as Python users state them: families of ours, frozen distributions of SciPy, or values to hold."""

from collections.abc import Callable, Mapping
from typing import Any

from calibration.new_study.parameters import Stated
from calibration.noise import priors as families
from calibration.noise.priors import FAMILIES, Prior
from cipark_sd.base.errors import InvalidValue, UnusableInput

#: Distributions of scipy.stats by name, each from its location, scale and shape numbers; None for a shift that has no
#: counterpart here.
_SCIPY: Mapping[str, Callable[..., Prior | None]] = {
    "norm": lambda loc, scale: families.Normal(loc, scale),
    "lognorm": lambda loc, scale, s: None if loc else families.LogNormal(scale, s),
    "uniform": lambda loc, scale: families.Uniform(loc, loc + scale),
    "loguniform": lambda loc, scale, a, b: None if loc else families.LogUniform(a * scale, b * scale),
    "reciprocal": lambda loc, scale, a, b: None if loc else families.LogUniform(a * scale, b * scale),
    "triang": lambda loc, scale, c: families.Triangular(loc, loc + c * scale, loc + scale),
    "beta": lambda loc, scale, a, b: None if loc or scale != 1 else families.Beta(a, b),
    "gamma": lambda loc, scale, a: None if loc else families.Gamma(a, scale),
    "halfnorm": lambda loc, scale: None if loc else families.HalfNormal(scale),
    "expon": lambda loc, scale: None if loc else families.Exponential(scale),
    "t": lambda loc, scale, df: families.StudentT(loc, scale, df),
    "halfcauchy": lambda loc, scale: None if loc else families.HalfCauchy(scale),
}


def stated(name: str, value: object) -> Stated:
    """What is stated of a constant, as a prior of ours or a number.

    Parameters
    ----------
    name : str
        Of the constant, for errors.
    value : Prior, frozen scipy.stats distribution or number
        A number is held.

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
        names = ", ".join(sorted({kind.__name__ for kind in FAMILIES.values()}))
        expected = f"a number to hold, one of {names}, or their frozen counterpart in scipy.stats, not shifted"
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
