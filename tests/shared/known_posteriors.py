"""Five studies whose posteriors are hard to draw, and the quantiles of these by quadrature."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline

from cipark_sd.base.arrays import Array

#: Ends of the central 95%, of which draws claim an error.
ENDS = (0.025, 0.975)
#: Exact ends by parameter.
Exact = dict[str, tuple[float, float]]
_TIMES = np.arange(1, 13)
_CONTROLS = "INITIAL TIME=0~~|FINAL TIME=12~~|TIME STEP=.25~~|SAVEPER=1~~|"


def write_study(
    folder: Path,
    equations: str,
    series: Mapping[str, tuple[Array, object]],
    priors: Mapping[str, str],
    why: str = "made up",
) -> None:
    """A study: equations separated by blanks, values from time 1 on with their error, and priors by constant."""
    text = "{UTF-8}\n" + "".join(f"{line}~~|" for line in equations.split()) + _CONTROLS
    (folder / "model.mdl").write_text(text)
    lines = ['[model]\nfile = "model.mdl"\n[method]\nestimate = "map"']
    for variable, (values, error) in series.items():
        rows = "".join(f"{time},{value!r}\n" for time, value in enumerate(values.tolist(), 1))
        (folder / f"{variable}.csv").write_text("time,value\n" + rows)
        lines += [f'[[observation]]\nname = "{variable} seen"\ntable = "{variable}.csv"\nkind = "level"']
        lines += [f'variable = "{variable}"\nfamily = "normal"\nsd = {error}']
    for name, prior in priors.items():
        family, first, second = prior.split()
        keys = {"normal": ("mean", "sd"), "lognormal": ("median", "sigma"), "uniform": ("low", "high")}[family]
        lines += [f'[[parameter]]\nname = "{name}"' + ('\ntarget = "noise"' if name == "noise" else "")]
        lines += [f'prior = {{ family = "{family}", {keys[0]} = {first}, {keys[1]} = {second} }}\nwhy = "{why}"']
    (folder / "problem.toml").write_text("\n".join(lines) + "\n")


def _ends(grid: Array, logs: Array) -> tuple[float, float]:
    """Quantiles of a density whose logarithm is given at even places of ``grid``, or of a function of them."""
    places = np.arange(len(grid))
    between = np.linspace(0, len(grid) - 1, 20 * len(grid))
    below = CubicSpline(places, np.exp(logs - logs.max())).antiderivative()(between)
    low, high = CubicSpline(places, grid)(np.interp(ENDS, below / below[-1], between))
    return float(low), float(high)


def _margins(logs: Array) -> list[Array]:
    """Log marginal densities along each axis of a grid."""
    top = logs.max()
    weights = np.exp(logs - top)
    axes = range(logs.ndim)
    with np.errstate(divide="ignore"):
        return [np.log(weights.sum(axis=tuple(other for other in axes if other != axis))) for axis in axes]


def wells(folder: Path) -> Exact:
    """Two hills of one shape in one of six parameters, a third and two thirds: ``(p - 4)^2`` is seen."""
    rng = np.random.default_rng(11)
    curve = 20 + 1.5 * _TIMES + 3 * np.cos(_TIMES) + rng.normal(0, 1, 12)
    lift = 8 * np.exp(-0.1 * _TIMES) + rng.normal(0, 0.3, 12)
    priors = {"a": (18.0, 10.0), "b": (1.0, 2.0), "c": (2.0, 5.0)}
    write_study(
        folder,
        "curve=a+b*Time+c*COS(Time) lift=s*(p-4)^2*EXP(-q*Time) a=18 b=1 c=2 s=2 p=5 q=0.1",
        {"curve": (curve, 1.0), "lift": (lift, 0.3)},
        {name: f"normal {mean} {sd}" for name, (mean, sd) in priors.items()}
        | {"s": "lognormal 2.0 0.1", "p": "normal 4.7 2.0", "q": "lognormal 0.1 1.0"},
    )
    # a, b and c are normal
    design, means, sds = np.column_stack([_TIMES**0, _TIMES, np.cos(_TIMES)]), *np.array([*priors.values()]).T
    covariance = np.linalg.inv(design.T @ design + np.diag(sds**-2.0))
    centre = covariance @ (design.T @ curve + means / sds**2)
    exact = {
        name: tuple(stats.norm.ppf(ENDS, at, sd).tolist())
        for name, at, sd in zip(priors, centre, np.sqrt(np.diag(covariance)), strict=True)
    }
    s, p, q = np.linspace(np.log(1.2), np.log(3.4), 61), np.linspace(0, 8, 801), np.linspace(-3.2, -1.5, 61)
    decay = np.exp(-np.exp(q)[:, None] * _TIMES)
    height = np.exp(s)[:, None] * (p - 4) ** 2
    fit = -2 * height[..., None] * (decay @ lift) + height[..., None] ** 2 * (decay**2).sum(axis=1)
    logs = -0.5 * fit / 0.3**2 - 0.5 * ((s - np.log(2)) / 0.1)[:, None, None] ** 2
    logs = logs - 0.5 * ((p - 4.7) / 2)[:, None] ** 2 - 0.5 * (q - np.log(0.1)) ** 2
    of_s, of_p, of_q = _margins(logs)
    return exact | {"s": _ends(np.exp(s), of_s), "p": _ends(p, of_p), "q": _ends(np.exp(q), of_q)}


def alias(folder: Path) -> Exact:
    """Two exponentials that may change places, at different priors."""
    values = 10 * np.exp(-0.6 * _TIMES) + 4 * np.exp(-0.08 * _TIMES) + np.random.default_rng(5).normal(0, 0.25, 12)
    priors = {"a1": (7.0, 0.8), "a2": (6.0, 0.8), "k1": (0.3, 1.2), "k2": (0.2, 1.2)}
    write_study(
        folder,
        "curve=a1*EXP(-k1*Time)+a2*EXP(-k2*Time) a1=8 a2=5 k1=0.3 k2=0.2",
        {"curve": (values, 0.25)},
        {name: f"lognormal {median} {sigma}" for name, (median, sigma) in priors.items()},
    )
    a, k = np.linspace(np.log(0.5), np.log(30), 161), np.linspace(np.log(5e-3), np.log(3), 241)
    decay, size = np.exp(-np.exp(k)[:, None] * _TIMES), np.exp(a)
    seen, products = decay @ values, decay @ decay.T
    squares = np.diag(products)
    by_prior = zip((a, a, k, k), priors.values(), strict=True)
    prior = [-0.5 * ((at - np.log(median)) / sigma) ** 2 for at, (median, sigma) in by_prior]
    # the highest by any two sizes; of two equal rates there is one exponential
    single = np.outer(squares, squares) - products**2 < 1e-9 * np.outer(squares, squares)
    apart = np.where(single, 1.0, np.outer(squares, squares) - products**2)
    of_two = np.outer(seen**2, squares) - 2 * np.outer(seen, seen) * products + np.outer(squares, seen**2)
    highest = (
        0.5 * np.where(single, (seen**2 / squares)[:, None], of_two / apart) / 0.25**2 + prior[2][:, None] + prior[3]
    )
    top = highest.max()
    weights = np.zeros(len(a)), np.zeros(len(a)), np.zeros(len(k)), np.zeros(len(k))
    alone = np.exp(prior[0])[:, None] * np.exp(prior[1])
    for i, j in np.argwhere(highest > top - 25):
        fit = (-2 * size * seen[i] + size**2 * squares[i])[:, None] + (-2 * size * seen[j] + size**2 * squares[j])
        fit += 2 * products[i, j] * np.outer(size, size)
        cell = alone * np.exp(-0.5 * fit / 0.25**2 + prior[2][i] + prior[3][j] - top)
        for of, place, weight in zip(
            weights, (..., ..., i, j), (cell.sum(1), cell.sum(0), *2 * [cell.sum()]), strict=True
        ):
            of[place] += weight
    grids = np.exp(a), np.exp(a), np.exp(k), np.exp(k)
    with np.errstate(divide="ignore"):
        return {name: _ends(grid, np.log(of)) for name, grid, of in zip(priors, grids, weights, strict=True)}


def bent(folder: Path) -> Exact:
    """A thin valley that bends, and six effects under a spread that has a number each."""
    rng = np.random.default_rng(7)
    bend, effects = rng.normal(0.3, 0.3, 4), np.array([1.2, -0.4, 2.1, 0.3, -1.5, 0.8]) + rng.normal(0, 1.2, 6)
    names = range(len(effects))
    write_study(
        folder,
        "bend=x2-x1*x1 x1=0 x2=1 spread=1 " + " ".join(f"z{i}=0 e{i}=z{i}*spread" for i in names),
        {"bend": (bend, 0.3)} | {f"e{i}": (effects[i : i + 1], 1.2) for i in names},
        {"x1": "normal 0.0 2.0", "x2": "normal 1.0 6.0", "spread": "lognormal 0.5 1.5"}
        | {f"z{i}": "normal 0.0 1.0" for i in names},
    )
    x1, x2, variance = np.linspace(-8, 8, 1601), np.linspace(-3, 40, 1721), 0.3**2 / len(bend)
    first = -0.5 * (x1 / 2) ** 2 - 0.5 * (x1**2 + bend.mean() - 1) ** 2 / (36 + variance)
    # given x1, the other is normal about the valley
    weights = 1 / variance + 1 / 36
    centre = ((x1**2 + bend.mean()) / variance + 1 / 36) / weights
    below = np.exp(first - first.max()) @ stats.norm.cdf((x2 - centre[:, None]) * np.sqrt(weights))
    low, high = np.interp(ENDS, below / below[-1], x2)
    spread = np.linspace(-9, 6, 30001)
    total = np.exp(2 * spread)[:, None] + 1.2**2
    of_spread = -0.5 * (np.log(total) + effects**2 / total).sum(axis=1) - 0.5 * ((spread - np.log(0.5)) / 1.5) ** 2
    return {"x1": _ends(x1, first), "x2": (float(low), float(high)), "spread": _ends(np.exp(spread), of_spread)}


def heavy(folder: Path) -> Exact:
    """A place and a spread that three numbers tell of: tails as of Student's t with two degrees of freedom."""
    values = np.array([-0.8, 0.3, 0.7])
    write_study(
        folder,
        "level=x x=0.5",
        {"level": (values, '"noise"')},
        {"x": "normal 0.0 30.0", "noise": "lognormal 1.0 2.0"},
    )
    x, log_sd = np.sinh(np.linspace(-6, 6, 4001)), np.linspace(-8, 8, 1601)
    squares = ((values - x[:, None]) ** 2).sum(axis=1)
    logs = -3 * log_sd - 0.5 * squares[:, None] * np.exp(-2 * log_sd) - 0.5 * (log_sd / 2) ** 2
    # even steps of the inverse hyperbolic sine are uneven ones of x
    logs = logs + (-0.5 * (x / 30) ** 2 + 0.5 * np.log1p(x**2))[:, None]
    of_x, of_sd = _margins(logs)
    return {"x": _ends(x, of_x), "noise": _ends(np.exp(log_sd), of_sd)}


def ridge(folder: Path) -> Exact:
    """A product that is known, one of whose factors ends where the other is likely."""
    values = 6 + np.random.default_rng(2).normal(0, 0.3, 10)
    write_study(
        folder,
        "rate=a*b a=2 b=3",
        {"rate": (values, 0.3)},
        {"a": "uniform 0.0 3.0", "b": "lognormal 2.0 0.7"},
    )
    a, b = (np.arange(3000) + 0.5) / 1000, np.linspace(np.log(0.8), np.log(60), 2501)
    product = a[:, None] * np.exp(b)
    logs = -0.5 * len(values) * (product - values.mean()) ** 2 / 0.3**2 - 0.5 * ((b - np.log(2)) / 0.7) ** 2
    of_a, of_b = _margins(logs)
    return {"a": _ends(a, of_a), "b": _ends(np.exp(b), of_b)}


SHAPES = {shape.__name__: shape for shape in (wells, alias, bent, heavy, ridge)}
