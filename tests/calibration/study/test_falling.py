"""Whether a stock can fall is read from its equations, whatever a run of the file's constants does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from calibration.study.cumulative import cannot_fall
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.variables import Stock

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("equations", "steady"),
    [
        ("X = INTEG(a, 0) ~~|", True),
        ("X = INTEG(a * other + STEP(b, 3), 0) ~~|other = INTEG(-other, 9) ~~|", True),
        ("X = INTEG(sold, 0) ~~|sold = MAX(0, a - b) ~~|", True),
        ("X = INTEG(a * (b - X), 0) ~~|", True),
        ("X = INTEG(sold, 0) ~~|sold = (a + b * X / market) * left ~~|left = market - X ~~|market = 99 ~~|", True),
        ("X = INTEG(a * X * (1 - X / b), 1) ~~|", True),
        ("X = INTEG(a * WITH LOOKUP(X, ((0,0),(9,1))), 1) ~~|", True),
        ("X = INTEG(DELAY1(a, b), 0) ~~|", True),
        ("X = INTEG(a * done, 0) ~~|done = 1 - b * other / MAX(1, other) ~~|other = INTEG(-other, 9) ~~|", True),
        # more than fits into a whole that shrinks goes away again
        ("X = INTEG(a * X * room, 1) ~~|room = 1 - X / other ~~|other = INTEG(-other, 9) ~~|", False),
        # an outflow, although it is nearly nothing in a run of these constants
        ("X = INTEG(a - out, 0) ~~|out = 1e-09 * X ~~|", False),
        ("X = INTEG(change, 0) ~~|change = (goal - X) / b ~~|goal = other ~~|other = INTEG(a, 5) ~~|", False),
        ("X = INTEG(a + d, 0) ~~|d = -0.001 ~~|", False),
        ("X = INTEG(-a, 90) ~~|", False),
        ("X = INTEG(a * WITH LOOKUP(X, ((0,1),(9,-1))), 1) ~~|", False),
        ("X = INTEG(IF THEN ELSE(Time > 9, -a, b), 0) ~~|", False),
        ("X = INTEG(a * (b - other), 0) ~~|other = INTEG(a, 5) ~~|", False),
        ("X = INTEG(a * SIN(b), 0) ~~|", False),
    ],
)
def test_a_stock_can_fall_where_a_term_can_take_from_it(write_mdl: Write, equations: str, *, steady: bool) -> None:
    model = read_model(write_mdl(equations + "a = 2 ~~|b = 3 ~~|"))
    stock = model["X"]
    assert isinstance(stock, Stock)
    assert cannot_fall(model, stock) == steady
