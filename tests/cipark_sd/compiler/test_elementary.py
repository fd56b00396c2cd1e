"""exp, log, pow, sin and cos: how exact they are, and that every engine gives the same bits."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from exact import errors_in_last_places

from cipark_sd.compiler.primitives import MEANING, ON_ARRAYS, RECIPES, library
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble

SPECIAL = np.array(
    [0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 2.5, -2.5, np.inf, -np.inf, np.nan, 5e-324, -5e-324]  # noqa: RUF005  (two lines of numbers)
    + [1e308, -1e308, 1e-310, 2.0**52 + 1, 2.0**53 - 1, -(2.0**53 - 1), 709.78, 709.79, -745.13, -745.14, 1e-300]
)
#: Units in the last place; the C library's own functions are within 1, ours within 1.1 (``elementary.py``).
CLOSE = 2.5


def of_library(name: str, *arguments: np.ndarray) -> np.ndarray:
    import ctypes

    function = getattr(library(), name)
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * len(arguments)
    return np.array([function(*lane) for lane in zip(*(a.tolist() for a in arguments), strict=True)])


def assert_close(values: np.ndarray, expected: np.ndarray) -> None:
    """Equal, both NaN, or within a few units in the last place; with the same sign of zero."""
    with np.errstate(all="ignore"):
        near = np.abs(values - expected) <= CLOSE * np.spacing(np.abs(expected))
    same = (values == expected) | (np.isnan(values) & np.isnan(expected)) | near
    signs = np.isnan(expected) | (np.signbit(values) == np.signbit(expected))
    assert (same & signs).all()


@pytest.fixture(autouse=True)
def _quiet() -> object:
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(
    "name", sorted(name for name, n in RECIPES.items() if n == 1 and name not in ("lgamma", "digamma"))
)
def test_special_arguments_are_as_in_c_for(name: str) -> None:
    assert_close(MEANING[name](SPECIAL), of_library(name, SPECIAL))


def test_special_arguments_are_as_in_c_for_pow() -> None:
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    moderate = ~(np.abs(y * np.log(np.abs(x))) > 8) | ~np.isfinite(y * np.log(np.abs(x)))
    values, expected = MEANING["pow"](x, y), of_library("pow", x, y)
    assert_close(values[moderate], expected[moderate])
    assert np.allclose(values, expected, rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("exp", -745, 710), ("log", 1e-3, 3), ("log", 1e-310, 1e-300), ("sin", -1e6, 1e6), ("cos", -20, 20)],
)
def test_accuracy_of(name: str, low: float, high: float) -> None:
    x = np.random.default_rng(0).uniform(low, high, 20_000)
    assert_close(MEANING[name](x), of_library(name, x))


def wide(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Numbers of both signs whose sizes are even on a logarithmic scale, between powers of e."""
    return np.exp(rng.uniform(low, high, 150)) * rng.choice([-1.0, 1.0], 150)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *(("sin", 1.1), ("cos", 1.1), ("asin", 1.1), ("acos", 1.1), ("atan", 1.1), ("log10", 1.1)),
        *(("tan", 2.0), ("sinh", 2.0), ("cosh", 2.0), ("tanh", 2.0), ("erfc", 3.0)),
    ],
)
def test_the_rarer_functions_are_as_exact_as_they_say(name: str, most: float) -> None:
    """``rarer.py`` states these bounds; the judge is decimal arithmetic, by series that it shares with no recipe."""
    rng = np.random.default_rng(0)
    near_one = 1 - np.exp(rng.uniform(-30, -1, 100))
    far = np.array([1e6, -1e6, 1e22, 6381956970095103.0 * 2.0**797, 1.7e308])
    x = {
        "asin": (rng.uniform(-1, 1, 300), near_one),
        "acos": (rng.uniform(-1, 1, 300), near_one),
        "atan": (wide(rng, -20, 20), rng.uniform(-3, 3, 300)),
        "log10": (np.abs(wide(rng, -700, 700)), rng.uniform(0.5, 2, 200), 1 + rng.normal(size=100) * 1e-5),
        "sinh": (rng.uniform(-3, 3, 300), wide(rng, 0, 6.56), wide(rng, -30, 0)),
        "cosh": (rng.uniform(-3, 3, 300), wide(rng, 0, 6.56)),
        "tanh": (rng.uniform(-3, 3, 300), wide(rng, -30, 3)),
        "erfc": (rng.uniform(-6, 6, 300), rng.uniform(0.8, 26.4, 200)),
    }.get(name, (wide(rng, -5, 13), wide(rng, 14, 709), far))
    numbers = np.concatenate(x)
    errors = errors_in_last_places(name, numbers.tolist(), MEANING[name](numbers).tolist())
    assert max(errors) <= most


def test_logarithms_of_powers_of_ten_are_whole() -> None:
    assert MEANING["log10"](10.0 ** np.arange(23)).tolist() == list(range(23))


def test_accuracy_of_pow() -> None:
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-20, 20, 20_000))
    y = rng.uniform(-8, 8, 20_000) / np.log(x)
    assert_close(MEANING["pow"](x, y), of_library("pow", x, y))


def test_what_a_product_lacks_is_exact() -> None:
    """By fractions: one fused operation then gives the same bits."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 2, (2, 2000))
    # all bits of the lower halves
    a[:500], b[:500] = np.nextafter(1 + rng.integers(2**25, size=(2, 500)) * 2.0**-25, 0)
    for product, error, one, other in zip(*ON_ARRAYS._product(a, b), a, b, strict=True):
        assert Fraction(float(product)) + Fraction(float(error)) == Fraction(float(one)) * Fraction(float(other))


def test_powers_of_whole_numbers_are_exact() -> None:
    for base in range(1, 60):
        for exponent in range(9):
            if base**exponent < 2**53:
                assert MEANING["pow"](np.float64(base), np.float64(exponent)) == base**exponent


@pytest.mark.parametrize(
    ("short", "whole", "n"),
    [
        (ON_ARRAYS.plain_exp, ON_ARRAYS.exp, 1),
        (ON_ARRAYS.plain_log, ON_ARRAYS.log, 1),
        (ON_ARRAYS.plain_pow, ON_ARRAYS.pow, 2),
        (ON_ARRAYS.plain_sin, ON_ARRAYS.sin, 1),
        (ON_ARRAYS.plain_cos, ON_ARRAYS.cos, 1),
    ],
)
def test_the_short_way_gives_the_bits_of_the_whole(
    short: Callable[..., object], whole: Callable[..., object], n: int
) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(-(2**63), 2**63 - 1, size=(n, 200_000)).view(np.float64)
    arguments = [np.concatenate([row, rng.uniform(-5, 5, 10_000), SPECIAL]) for row in numbers]
    value, right = short(*arguments)  # type: ignore[misc]
    assert right.any()
    assert np.array_equal(value[right], whole(*arguments)[right])  # type: ignore[index]


def test_the_shortest_way_gives_the_bits_of_the_whole() -> None:
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    value, right = ON_ARRAYS.trivial_pow(x, y)
    assert (right == ((x == 1) | (y == 0) | ((x == 0) & ~np.signbit(x) & (y > 0)))).all()
    assert np.array_equal(value[right].view(np.int64), ON_ARRAYS.pow(x, y)[right].view(np.int64))


def test_native_gives_the_same_bits(write_mdl: Callable[..., Path]) -> None:
    equations = "X=1~~|\nY=1~~|\n" + "".join(
        f"{name}={text}~~|\n"
        for name, text in {
            "power": "X^(Y+Time*0)", "rise": "EXP(Y+Time*0)", "logarithm": "LN(X+Time*0)",
            "sine": "SIN(X+Time*0)", "cosine": "COS(X+Time*0)",
        }.items()
    )  # fmt: skip
    model = read_model(write_mdl(equations, final=1, step=1))
    rng = np.random.default_rng(1)
    finite = SPECIAL[np.isfinite(SPECIAL)]
    x, y = (a.ravel() for a in np.meshgrid(finite, finite))
    x = np.concatenate([x, np.exp(rng.uniform(-300, 300, 3000)), rng.normal(size=3000)])
    y = np.concatenate([y, rng.normal(size=3000) * 3, rng.integers(-5, 6, 3000)])
    save = ["power", "rise", "logarithm", "sine", "cosine"]
    native, numpy = (
        ensemble(model, {"X": x, "Y": y}, save=save, engine=engine, failures="leave") for engine in ("native", "numpy")
    )
    for name in save:
        known = ~np.isnan(native[name].values)
        assert np.array_equal(known, ~np.isnan(numpy[name].values)), name
        bits = [side[name].values[known].view(np.int64) for side in (native, numpy)]
        assert np.array_equal(*bits), name
    assert math.isnan(float(native["power"].values[(x < 0) & (y == 2.5)][0, 0]))


def test_kept_machine_code_is_not_used_after_a_recipe_has_changed(
    write_mdl: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cipark_sd.compiler import elementary
    from cipark_sd.engines.native import engine as native

    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path / "kept"))
    model = read_model(write_mdl("x=EXP(Time)~~|\n", final=1, step=1))

    def in_a_new_process() -> float:
        monkeypatch.setattr(native, "_LOADED", {})
        return float(ensemble(model, [Scenario()], save=["x"]).x[0, -1])

    before = in_a_new_process()
    assert in_a_new_process() == before
    monkeypatch.setattr(elementary, "_EXP_EVEN", tuple(2 * c for c in elementary._EXP_EVEN))
    assert in_a_new_process() != before
