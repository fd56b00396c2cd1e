"""Macros: what stands in them is theirs."""

from collections.abc import Callable
from pathlib import Path

from cipark_sd import read_model, simulate


def test_a_parameter_is_no_element_of_the_model_that_is_called_alike(write_mdl: Callable[..., Path]) -> None:
    model = read_model(
        write_mdl(
            ":MACRO: TWICE(x)\nTWICE = x * 2 ~~|\n:END OF MACRO:\nE: X, Y ~~| c[E] = 1, 2 ~~| y = TWICE(Time + 5) ~~|"
        )
    )
    for engine in ("native", "pysd"):
        assert simulate(model, save=["y"], engine=engine)["y"].sel(time=[0, 1]).to_numpy().tolist() == [10, 12]
