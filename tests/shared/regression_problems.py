"""Regression problems of the literature as studies: a curve over a table of x, read at times 1, 2, 3, …

Data and certified values of Misra1a, BoxBOD, Rat42, Rat43, Lanczos3 and Bennett5: NIST Statistical Reference Datasets,
nonlinear regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. BOD and Puromycin (treated cells): Bates
and Watts 1988, Nonlinear Regression Analysis and Its Applications, appendix A1, as in R's package datasets; the
estimates of BOD are R's summary(nls(demand ~ SSasympOrig(Time, A, lrc))), whose rate is exp(lrc), to the digits that
it prints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import Optimum, local_search, optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.arrays import Array
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
#: The interval at 95% is confint(nls(...)) of R, whose profile.nls are the authors' t-profiles.
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


#: NIST's Lanczos3: 0.0951 exp(-x) + 0.8607 exp(-3 x) + 1.5576 exp(-5 x), rounded.
LANCZOS3 = Curve(
    "a * EXP(-b * x) + c * EXP(-d * x) + e * EXP(-f * x)",
    lambda x, a, b, c, d, e, f: a * np.exp(-b * x) + c * np.exp(-d * x) + e * np.exp(-f * x),
    tuple(round(0.05 * i, 2) for i in range(24)),
    (2.5134, 2.0443, 1.6684, 1.3664, 1.1232, 0.9269, 0.7679, 0.6389, 0.5338, 0.4479, 0.3776, 0.3197, 0.2720, 0.2325,
     0.1997, 0.1723, 0.1493, 0.1301, 0.1138, 0.1000, 0.0883, 0.0783, 0.0698, 0.0624),
    ("a", "b", "c", "d", "e", "f"),
    (8.6816414977e-02, 9.5498101505e-01, 8.4400777463e-01, 2.9515951832, 1.5825685901, 4.9863565084),
    (1.7197908859e-02, 9.7041624475e-02, 4.1488663282e-02, 1.0766312506e-01, 5.8371576281e-02, 3.4436403035e-02),
    2.9923229172e-05,
    1.6117193594e-08,
)  # fmt: skip
#: NIST's Bennett5: magnetization of a superconductor against the logarithm of time.
BENNETT5 = Curve(
    "a * (b + x) ^ (-1 / c)",
    lambda x, a, b, c: a * (b + x) ** (-1 / c),
    (7.447168, 8.102586, 8.452547, 8.711278, 8.916774, 9.087155, 9.23259, 9.359535, 9.472166, 9.573384, 9.665293,
     9.749461, 9.827092, 9.899128, 9.966321, 10.02928, 10.08851, 10.14443, 10.19738, 10.24767, 10.29556, 10.34125,
     10.38495, 10.42682, 10.467, 10.50564, 10.54283, 10.57869, 10.61331, 10.64678, 10.67915, 10.71052, 10.74092,
     10.77044, 10.7991, 10.82697, 10.85408, 10.88047, 10.90619, 10.93126, 10.95572, 10.97959, 11.00291, 11.0257,
     11.04798, 11.06977, 11.0911, 11.11198, 11.13244, 11.15248, 11.17213, 11.19141, 11.21031, 11.22887, 11.24709,
     11.26498, 11.28256, 11.29984, 11.31682, 11.33352, 11.34994, 11.3661, 11.382, 11.39766, 11.41307, 11.42824,
     11.4432, 11.45793, 11.47244, 11.48675, 11.50086, 11.51477, 11.52849, 11.54202, 11.55538, 11.56855, 11.58156,
     11.59442, 11.607121, 11.61964, 11.632, 11.64421, 11.65628, 11.6682, 11.67998, 11.69162, 11.70313, 11.71451,
     11.72576, 11.73688, 11.74789, 11.75878, 11.76955, 11.7802, 11.79073, 11.80116, 11.81148, 11.8217, 11.83181,
     11.84182, 11.85173, 11.86155, 11.87127, 11.88089, 11.89042, 11.89987, 11.90922, 11.91849, 11.92768, 11.93678,
     11.94579, 11.95473, 11.96359, 11.97237, 11.98107, 11.9897, 11.99826, 12.00674, 12.01515, 12.02349, 12.03176,
     12.03997, 12.0481, 12.05617, 12.06418, 12.07212, 12.08001, 12.08782, 12.09558, 12.10328, 12.11092, 12.1185,
     12.12603, 12.1335, 12.14091, 12.14827, 12.15557, 12.16283, 12.17003, 12.17717, 12.18427, 12.19132, 12.19832,
     12.20527, 12.21217, 12.21903, 12.22584, 12.2326, 12.23932, 12.24599, 12.25262, 12.2592, 12.26575, 12.27224),
    (-34.834702, -34.3932, -34.152901, -33.979099, -33.845901, -33.732899, -33.640301, -33.5592, -33.486801,
     -33.4231, -33.365101, -33.313, -33.260899, -33.2174, -33.176899, -33.139198, -33.101601, -33.066799, -33.035,
     -33.003101, -32.971298, -32.942299, -32.916302, -32.890202, -32.864101, -32.841, -32.817799, -32.797501,
     -32.7743, -32.757, -32.733799, -32.7164, -32.6991, -32.678799, -32.6614, -32.644001, -32.626701, -32.612202,
     -32.597698, -32.583199, -32.568699, -32.554298, -32.539799, -32.525299, -32.510799, -32.499199, -32.487598,
     -32.473202, -32.461601, -32.435501, -32.435501, -32.4268, -32.4123, -32.400799, -32.392101, -32.380501,
     -32.366001, -32.3573, -32.348598, -32.339901, -32.3284, -32.319698, -32.311001, -32.2994, -32.290699,
     -32.282001, -32.2733, -32.264599, -32.256001, -32.247299, -32.238602, -32.2299, -32.224098, -32.215401,
     -32.2038, -32.198002, -32.1894, -32.183601, -32.1749, -32.169102, -32.1633, -32.154598, -32.145901, -32.140099,
     -32.131401, -32.125599, -32.119801, -32.111198, -32.1054, -32.096699, -32.0909, -32.088001, -32.0793,
     -32.073502, -32.067699, -32.061901, -32.056099, -32.050301, -32.044498, -32.038799, -32.033001, -32.027199,
     -32.0243, -32.018501, -32.012699, -32.004002, -32.001099, -31.9953, -31.9895, -31.9837, -31.9779, -31.972099,
     -31.969299, -31.963501, -31.957701, -31.9519, -31.9461, -31.9403, -31.937401, -31.931601, -31.9258, -31.922899,
     -31.917101, -31.911301, -31.9084, -31.902599, -31.8969, -31.893999, -31.888201, -31.8853, -31.882401, -31.8766,
     -31.873699, -31.867901, -31.862101, -31.8592, -31.8563, -31.8505, -31.8447, -31.841801, -31.8389, -31.833099,
     -31.8302, -31.827299, -31.8216, -31.818701, -31.812901, -31.809999, -31.8071, -31.8013, -31.798401, -31.7955,
     -31.7897, -31.7868),
    ("a", "b", "c"),
    (-2.5235058043e03, 4.6736564644e01, 9.3218483193e-01),
    (2.9715175411e02, 1.2448871856, 2.0272299378e-02),
    1.8629312528e-03,
    5.2404744073e-04,
)  # fmt: skip
