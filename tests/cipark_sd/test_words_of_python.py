"""What Python passes on as one of some words: a wrong word is refused, and its case does not matter.

Type checkers see a wrong word, and who runs a notebook has none: an integration method that nobody knows once ran as a
third of each step.
"""

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import matplotlib.figure
import pandas as pd
import pytest
import xarray as xr

import calibration
import cipark_sd as cp
from cipark_sd.base.errors import InvalidValue
from cipark_sd.engines.base import Reduction
from cipark_sd.model.expr import Ref

MODEL = cp.read_model(cp.bundled("core.mdl"))
DRAWS = {"Start Time": [1.0, 2.0]}
#: Rows of a study.
TABLE = pd.DataFrame({"Year": [2013, 2014, 2015, 2016], "Firms": [0, 2, 7, 8]})
#: Values that come from functions and files, which know their words.
MADE = (cp.Model, calibration.Fit)
#: Modules that functions import only for their types.
LATE = {"pd": pd, "xr": xr, "Figure": matplotlib.figure.Figure}


def series(word: Any) -> object:
    return cp.simulate(MODEL, {"Start Time": cp.TimeSeries((2012.0, 2019.0), (1.0, 2.0), word)}, save=["Residents"])


def table(word: Any) -> object:
    return cp.simulate(MODEL, {"Serviced Area Table": cp.Table((0.0, 1.0), (0.0, 1.0), word)}, save=["Residents"])


def reduction(word: Any) -> object:
    return cp.ensemble(MODEL, DRAWS, reduce={"most": Reduction(word, Ref("residents"))})


#: Each place where a word of a closed list comes in from Python, with a call that uses it.
CALLS: dict[tuple[str, str], Callable[[Any], object]] = {
    ("simulate", "method"): lambda word: cp.simulate(MODEL, save=["Residents"], method=word),
    ("ensemble", "method"): lambda word: cp.ensemble(MODEL, DRAWS, save=["Residents"], method=word),
    ("start", "method"): lambda word: cp.start(MODEL, method=word),
    ("ensemble", "failures"): lambda word: cp.ensemble(MODEL, DRAWS, save=["Residents"], failures=word),
    ("TimeSeries", "interpolation"): series,
    ("Table", "interpolation"): table,
    ("Reduction", "how"): reduction,
    ("Study", "method"): lambda word: cp.Study(MODEL, TABLE, {"Firms": "Residents"}, method=word),
}


def words_in(hint: Any) -> Iterator[tuple[Any, ...]]:
    """The closed lists of a type, at any depth."""
    if get_origin(hint) is Literal:
        yield get_args(hint)
        return
    for inner in get_args(hint):
        if not isinstance(inner, (str, int)):
            yield from words_in(inner)


def public() -> Iterator[tuple[str, Any]]:
    """Functions and methods of the two packages, and what makes values of their classes."""
    yield "Reduction", Reduction.__init__
    for package in (cp, calibration):
        for name in package.__all__:
            found = getattr(package, name)
            if not inspect.isclass(found):
                yield name, found
                continue
            if found not in MADE:
                yield name, found.__init__
            yield from (
                (f"{name}.{key}", value)
                for key, value in vars(found).items()
                if inspect.isfunction(value) and not key.startswith("_")
            )


def closed_lists() -> dict[tuple[str, str], tuple[Any, ...]]:
    """Places and their words."""
    places: dict[tuple[str, str], tuple[Any, ...]] = {}
    for name, made in public():
        function = inspect.unwrap(made)
        if inspect.isfunction(function):
            hints = typing.get_type_hints(function, LATE | vars(sys.modules[function.__module__]))
            # what is returned is not passed on
            places |= {(name, key): words for key in hints.keys() - {"return"} for words in words_in(hints[key])}
    return places


def test_each_closed_list_of_the_public_functions_is_tried_here() -> None:
    assert closed_lists().keys() == CALLS.keys()


@pytest.mark.parametrize("place", CALLS, ids=" ".join)
@pytest.mark.parametrize("word", ["nonsense", "", "rk45", 4, None, ["euler"]])
def test_a_wrong_word_is_refused(place: tuple[str, str], word: Any) -> None:
    if word is None and place[1] == "method":
        CALLS[place](word)
        return
    with pytest.raises(InvalidValue, match=r", expected \w+, .*or \w+|, expected warn or leave"):
        CALLS[place](word)


@pytest.mark.parametrize("place", CALLS, ids=" ".join)
def test_each_word_is_taken_in_any_case(place: tuple[str, str]) -> None:
    for word in closed_lists()[place]:
        CALLS[place](word)
        CALLS[place](word.upper())


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("method", ["Euler", "RK4"])
def test_a_method_in_capitals_is_the_method(write_mdl: Callable[..., Path], engine: str, method: Any) -> None:
    """A closed form, x' = -x over one step of 0.5: 1 - 0.5, and 1 - 0.5 + 0.5^2/2 - 0.5^3/6 + 0.5^4/24."""
    model, exact = write_mdl("x = INTEG(-x, 1) ~~|", final=0.5, step=0.5), {"Euler": 0.5, "RK4": 0.6067708333333334}
    one = cp.simulate(model, engine=engine, method=method)
    many = cp.ensemble(model, [{}], engine=engine, method=method)
    assert float(one.cp["x"][-1]) == pytest.approx(exact[method], rel=1e-15)
    assert float(many.cp["x"][0, -1]) == float(one.cp["x"][-1])
    assert one.attrs["integration_method"] == many.attrs["integration_method"] == method.lower()


def test_the_command_takes_a_method_in_capitals(write_mdl: Callable[..., Path]) -> None:
    model = write_mdl("x = INTEG(-x, 1) ~~|", final=1, step=0.5)
    assert cp.certify(model, method="RK4", engines="native,numpy").exit_code == 0
