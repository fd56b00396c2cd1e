"""Rows that count the same events twice are found, with work that grows with the rows and not with their pairs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from counted import exponent, steps
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibration.new_study.columns import read_axis
from calibration.new_study.table import read_sheet
from calibration.noise.families.measurements import Normal
from calibration.noise.families.splits import Binomial, Multinomial
from calibration.study.consistency import counted_twice
from calibration.study.observations import Breakdown, Count, Noise, Observation, Quantity, ReadQuantity, Share, Since
from cipark_sd.data.readings import Maximum

ROW = st.tuples(st.integers(0, 8), st.integers(0, 3))


def observation(name: str, windows: Sequence[tuple[float, float]], *, level: bool = False) -> Observation:
    """Counts of one variable over windows, or at their ends."""
    terms = tuple(
        Count(f"{name} {i}", Quantity((("y", 1.0),), "at" if level else "between", start, end), 1, 1, Noise(Normal()))
        for i, (start, end) in enumerate(windows)
    )
    return Observation(name, "increments", f"{name}.csv", terms)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, max_size=8), st.lists(ROW, max_size=8))
# of two rows that are open the longer one meets what comes later
@example([(0, 3), (1, 1)], [(2, 1)])
def test_windows_that_overlap_are_found(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    tables = {"a": [(s, s + n) for s, n in first], "b": [(s, s + n) for s, n in second]}
    told = [str(error) for error in counted_twice([observation(*table) for table in tables.items()], where="study")]

    def meet(left: tuple[int, int], right: tuple[int, int]) -> bool:
        """Whether both windows have a step of time in common."""
        return bool({*range(*left)} & {*range(*right)})

    rows = [(f"{name} {i}", window) for name, windows in tables.items() for i, window in enumerate(windows)]
    pairs = {(one, two) for i, (one, left) in enumerate(rows) for two, right in rows[i + 1 :] if meet(left, right)}
    named = {tuple(error.split("'")[1:4:2]) for error in told}
    assert named <= pairs
    for left in "ab":
        for right in "ab":
            wanted = {pair for pair in pairs if pair[0][0] == left and pair[1][0] == right}
            found = {pair for pair in named if pair[0][0] == left and pair[1][0] == right}
            assert bool(wanted) == bool(found)
            assert left == right or len(found) <= 1


def test_several_readings_of_a_level_are_replicates_and_the_same_one_of_two_tables_is_not() -> None:
    table = observation("a", [(0, 1), (0, 2), (0.5, 1)], level=True)
    assert not [*counted_twice([table], where="study")]
    again = replace(table, name="b")
    (error,) = counted_twice([table, again], where="study")
    assert "'a 0' and 'a 0' count the same events twice: y at time 1 is the same number in both" in str(error)
    others = tuple(replace(term, lower=2, upper=2) for term in table.terms if isinstance(term, Count))
    assert not [*counted_twice([table, replace(again, terms=others)], where="study")]


def at(name: str, end: float = 1) -> Quantity:
    return Quantity(((name, 1.0),), "at", end, end)


def over(name: str, start: float, end: float) -> Quantity:
    return Quantity(((name, 1.0),), "between", start, end)


def count(quantity: Quantity, of: Quantity | None = None) -> Count:
    return Count("count", quantity, 1, 1, Noise(Normal()), denominator=of)


def split(*quantities: Quantity) -> Breakdown:
    names = tuple(quantity.parts[0][0] for quantity in quantities)
    return Breakdown("split", names, quantities, (1.0,) * len(names), Noise(Multinomial()))


def share(*quantities: Quantity, since: Since | None = None) -> Share:
    return Share("share", quantities, 1, 1, 2, Noise(Binomial()), since=since)


PEAK = ReadQuantity((("y", 1.0),), "between", 0, 4, Maximum())
MEETING = {
    "a part and its split": (count(at("a")), split(at("a"), at("b")), "a category of the breakdown already"),
    "at another date": (count(at("a", 2)), split(at("a"), at("b")), ""),
    "another variable": (count(at("c")), split(at("a"), at("b")), ""),
    "a part and its share": (count(at("a")), share(at("a"), at("b")), "a category of the breakdown already"),
    "a window and who joined": (count(over("a", 0, 2)), share(over("a", 1, 3), at("b"), since=Since(1)), "overlap"),
    "after who joined": (count(over("a", 3, 4)), share(over("a", 1, 3), at("b"), since=Since(1)), ""),
    "two splits": (split(at("a"), at("b")), split(at("a"), at("b")), "both split the same total"),
    "two splits of windows": (
        split(over("a", 0, 2), over("b", 0, 2)),
        split(over("a", 1, 3), over("b", 1, 3)),
        "overlap",
    ),
    "two splits one after the other": (split(over("a", 0, 1)), split(over("a", 1, 3)), ""),
    "a split and a share": (split(at("a"), at("b")), share(at("a"), at("c")), "both split the same total"),
    "a split and a share of what it splits": (split(at("a"), at("b")), share(at("c"), at("a")), ""),
    "one metric": (count(PEAK), count(PEAK), "both say the maximum of y"),
    "a metric of another window": (count(PEAK), count(replace(PEAK, end=3)), ""),
    "a metric and a level": (count(PEAK), count(at("y")), ""),
    "one ratio": (count(at("a"), at("b")), count(at("a"), at("b")), "at time 1 is the same number in both"),
    "a ratio and its part": (count(at("a"), at("b")), count(at("a")), ""),
    "a level and increments": (count(at("a", 9)), count(over("a", 0, 1)), "the sum of its increments"),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", MEETING)
def test_two_rows_that_count_the_same(case: str, turned: bool) -> None:
    *terms, reason = MEETING[case]
    tables = [Observation(f"table {i}", "level", "", (term,)) for i, term in enumerate(terms)]
    errors = [*counted_twice(tables[::-1] if turned else tables, where="study")]
    assert len(errors) == bool(reason)
    assert all(reason in str(error) for error in errors)


def test_the_work_on_rows_grows_with_their_number() -> None:
    def work(n: int) -> int:
        tables = [
            observation("increments", [(i, i + 1) for i in range(n)]),
            observation("level", [(0, i) for i in range(n)], level=True),
        ]
        return steps(lambda: list(counted_twice([tables[0]], where="study"))) + steps(
            lambda: list(counted_twice([tables[1]], where="study"))
        )

    assert exponent(work, 50, 200) < 1.2


def test_the_work_on_a_column_of_times_grows_with_its_length(tmp_path: Path) -> None:
    def work(n: int) -> int:
        path = tmp_path / "table.csv"
        path.write_text("time,y\n" + "".join(f"{i},1\n" for i in range(n)))
        axis = read_axis(read_sheet(path), None, None)
        return steps(lambda: [axis.span(i, starts=False) for i in range(n)])

    assert exponent(work, 50, 200) < 1.2
