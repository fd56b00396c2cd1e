"""Regression problems of the literature as studies: a curve over a table of x, read at times 1, 2, 3, …

Data and certified values of Misra1a, BoxBOD, Rat42 and Rat43: NIST Statistical Reference Datasets, nonlinear
regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. BOD and Puromycin (treated cells): Bates and Watts
1988, Nonlinear Regression Analysis and Its Applications, appendix A1, as in R's package datasets; the estimates of
BOD are R's summary(nls(demand ~ SSasympOrig(Time, A, lrc))), whose rate is exp(lrc), to the digits that it prints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.fit.objective import objective
from calibration.fit.optimise import Optimum, local_search, optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.arrays import Array
from cipark_sd.engines.registry import choose

#: Lower end, upper end, scale.
Range = tuple[float, float, str]


@dataclass(frozen=True)
class Curve:
    """A curve with its data; ``formula`` is Vensim's, ``function`` the same one in NumPy, of x and the parameters.

    ``estimates``, ``errors``, ``residual_sd`` and ``squares`` are the published ones.
    """

    formula: str
    function: Callable[..., Array]
    x: Sequence[float]
    y: Sequence[float]
    names: tuple[str, ...]
    estimates: tuple[float, ...]
    errors: tuple[float, ...]
    residual_sd: float
    squares: float


def _rising(x: Array, a: float, b: float) -> Array:
    return a * -np.expm1(-b * x)


MISRA1A = Curve(
    "a * (1 - EXP(-b * x))",
    _rising,
    (77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0),
    (10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78),
    ("a", "b"),
    (2.3894212918e02, 5.5015643181e-04),
    (2.7070075241e00, 7.2668688436e-06),
    1.0187876330e-01,
    1.2455138894e-01,
)
BOXBOD = Curve(
    "a * (1 - EXP(-b * x))",
    _rising,
    (1, 2, 3, 5, 7, 10),
    (109, 149, 149, 191, 213, 224),
    ("a", "b"),
    (2.1380940889e02, 5.4723748542e-01),
    (1.2354515176e01, 1.0455993237e-01),
    1.7088072423e01,
    1.1680088766e03,
)
RAT42 = Curve(
    "a / (1 + EXP(b - c * x))",
    lambda x, a, b, c: a / (1 + np.exp(b - c * x)),
    (9, 14, 21, 28, 42, 57, 63, 70, 79),
    (8.930, 10.800, 18.590, 22.330, 39.350, 56.110, 61.730, 64.620, 67.080),
    ("a", "b", "c"),
    (7.2462237576e01, 2.6180768402e00, 6.7359200066e-02),
    (1.7340283401e00, 8.8295217536e-02, 3.4465663377e-03),
    1.1587725499e00,
    8.0565229338e00,
)
RAT43 = Curve(
    "a / (1 + EXP(b - c * x)) ^ (1 / d)",
    lambda x, a, b, c, d: a / (1 + np.exp(b - c * x)) ** (1 / d),
    tuple(range(1, 16)),
    (16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96, 637.56,
     717.41),
    ("a", "b", "c", "d"),
    (6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00),
    (1.6302297817e01, 2.0828735829e00, 1.9566123451e-01, 6.8761936385e-01),
    2.8262414662e01,
    8.7864049080e03,
)  # fmt: skip
BOD = Curve(
    "a * (1 - EXP(-b * x))",
    _rising,
    (1, 2, 3, 4, 5, 7),
    (8.3, 10.3, 19.0, 16.0, 15.6, 19.8),
    ("a", "b"),
    (19.1425768, 0.5310889),
    (2.4959, 0.5310889 * 0.3824),
    2.549,
    25.99,
)
#: The interval at 95 % is confint(nls(...)) of R, whose profile.nls are the authors' t-profiles.
PUROMYCIN = Curve(
    "a * x / (b + x)",
    lambda x, a, b: a * x / (b + x),
    (0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10),
    (76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200),
    ("a", "b"),
    (212.68358, 0.06412102739),
    (6.947146256, 0.00828092242),
    10.93365819,
    1195.448815,
)


def study(
    folder: Path, curve: Curve, ranges: Mapping[str, Range], *, sd: float | Range, level: float = 0.95
) -> CalibrationProblem:
    """The curve as a study by likelihood; ``sd`` is known, or estimated within a range."""
    table = ",".join(f"({i},{x!r})" for i, x in enumerate(curve.x, start=1))
    constants = "".join(f"{name} = 1 ~ ~ |\n" for name in curve.names)
    n = len(curve.x)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curve.mdl").write_text(
        f"{{UTF-8}}\nx = WITH LOOKUP(Time, ({table})) ~ ~ |\ny = {curve.formula} ~ ~ |\n{constants}"
        f"INITIAL TIME = 1 ~ ~ |\nFINAL TIME = {n} ~ ~ |\nTIME STEP = 1 ~ ~ |\nSAVEPER = 1 ~ ~ |\n",
        encoding="utf-8",
    )
    rows = "".join(f"{i},{y!r}\n" for i, y in enumerate(curve.y, start=1))
    (folder / "y.csv").write_text("time,value\n" + rows, encoding="utf-8")
    spread = f"sd = {sd!r}" if isinstance(sd, float) else 'sd = "spread"'
    text = (
        f'[model]\nfile = "curve.mdl"\n[[observation]]\nname = "y"\ntable = "y.csv"\nkind = "level"\n'
        f'variable = "y"\nfamily = "normal"\n{spread}\n[method]\nestimate = "ml"\n'
    )
    if level != 0.95:
        text += f"level = {level!r}\n"
    for name, (low, high, scale) in ranges.items():
        text += f'[[parameter]]\nname = "{name}"\nbounds = [{low!r}, {high!r}]\nscale = "{scale}"\n'
    if not isinstance(sd, float):
        low, high, scale = sd
        text += f'[[parameter]]\nname = "spread"\ntarget = "noise"\nbounds = [{low!r}, {high!r}]\nscale = "{scale}"\n'
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    return read_problem(folder)


def fitted(problem: CalibrationProblem, *, starts: int = 8, seed: int = 1) -> Optimum:
    """The optimum by likelihood."""
    density = posterior(problem, choose("native"))
    return optimise(density, starts=starts, rng=np.random.default_rng(seed), estimate="ml")


def nearby(problem: CalibrationProblem, estimates: Sequence[float]) -> Optimum:
    """The optimum by likelihood from near the known one, in the order of the problem's parameters."""
    density = posterior(problem, choose("native"))
    goal = objective(density, estimate="ml")
    search = local_search(goal, goal.box(np.array(estimates)))
    return Optimum(search.theta, search.log_density, search.log_density, (search,), False, goal)
