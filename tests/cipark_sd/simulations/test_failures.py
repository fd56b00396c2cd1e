"""Runs that fail are marked with the variable and the time of the first bad value, and the others continue."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cipark_sd.analysis.runs.design import Listed
from cipark_sd.analysis.runs.work import Work
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.failures import BELOW, NOT_FINITE, REASON, TIME, VARIABLE, labels

Write = Callable[..., Path]
#: ``ratio`` divides by zero from time 2 on where d is 2, ``root`` has no value from time 3 on where d is 3.
MODEL = """
level = INTEG(ratio - IF THEN ELSE(drain > 0, drain, 0), 10) ~ m [0,?] ~ |
ratio = after / 4 ~~|
after = IF THEN ELSE(d = 2, 1 / (2 - MIN(Time, 2)), 1) ~~|
root = SQRT(IF THEN ELSE(d = 3, 2.9 - Time, 1)) ~~|
drain = 0 ~~|
d = 0 ~~|
"""


def work(write_mdl: Write, rows: list[list[float]], save: tuple[str, ...] = ("level",), **more: object) -> Work:
    model = read_model(write_mdl(MODEL, final=10, step=0.25, saveper="1"))
    return Work(model, Listed(("d", "drain"), np.array(rows, dtype=float)), save, **{"engine": "native", **more})  # type: ignore[arg-type]


def marks(work: Work, first: int = 0, last: int | None = None) -> list[tuple[int, str, float]]:
    computed = work.compute(first, work.design.n if last is None else last)
    names = labels(work.model)
    return [
        (int(reason), names[place] if place >= 0 else "", float(time))
        for reason, place, time in zip(computed[REASON], computed[VARIABLE], computed[TIME], strict=True)
    ]


def test_the_cause_is_named_and_not_what_follows_from_it(write_mdl: Write) -> None:
    # at time 2 after is infinite, and ratio with it; the stock is infinite at the next step
    assert marks(work(write_mdl, [[2, 0]])) == [(NOT_FINITE, "after", 2.0)]


def test_a_stock_below_its_limit_is_marked_though_all_is_a_number(write_mdl: Write) -> None:
    ((reason, label, time),) = marks(work(write_mdl, [[0, 3.25]]))
    # the stock loses 3 a year from 10 on
    assert (reason, label, time) == (BELOW, "level", 4.0)


def test_a_stock_at_its_limit_is_not_below_it(write_mdl: Write) -> None:
    ((reason, label, time),) = marks(work(write_mdl, [[0, 1.25]]))
    assert (reason, label) == (0, "")
    assert np.isnan(time)


def test_what_is_not_saved_is_seen_where_it_reaches_what_is(write_mdl: Write) -> None:
    assert marks(work(write_mdl, [[3, 0]], save=("root",))) == [(NOT_FINITE, "root", 3.0)]
    # of the stock alone nothing is bad: the root reaches nothing that is kept, as docs/how-to/reliability.md says
    assert marks(work(write_mdl, [[3, 0]]))[0][0] == 0


def test_a_stock_below_its_limit_is_seen_when_it_is_not_saved_at_all(write_mdl: Write) -> None:
    assert marks(work(write_mdl, [[0, 3.25]], save=("root",), times=(0.0, 10.0))) == [(BELOW, "level", 4.0)]


def test_runs_beside_a_failed_one_keep_their_bits_and_marks_do_not_depend_on_the_chunk(write_mdl: Write) -> None:
    rows = [[0, 0.1 * i] for i in range(40)]
    good = work(write_mdl, rows)
    mixed = work(write_mdl, [row if i % 3 else [2, 0] for i, row in enumerate(rows)])
    one, two = good.compute(0, 40)["level"], mixed.compute(0, 40)["level"]
    kept = np.arange(40) % 3 != 0
    assert np.array_equal(one[kept], two[kept])
    whole = marks(mixed)
    assert [repr(each) for i in range(40) for each in marks(mixed, i, i + 1)] == [repr(each) for each in whole]
