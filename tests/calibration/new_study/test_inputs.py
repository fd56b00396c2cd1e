"""Columns that drive the model: found by name or as said, held over windows or joined by lines, in all that runs."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark

from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd import Scenario, simulate

Write = Callable[..., Path]
#: A shop: orders come from customers, whom promotions bring.
SHOP = """
Customers = INTEG(gain - Customers/Stay, 200) ~ Person ~ |
gain = Base Gain * (1 + Effect * Promotion) ~ Person/Week ~ |
Orders = Customers * Rate ~ Order/Week ~ |
Base Gain = 15 ~ Person/Week ~ |
Effect = 0.4 ~ Dmnl ~ |
Stay = 12 ~ Week ~ |
Rate = 0.5 ~ Order/Person/Week ~ |
Promotion ~ Dmnl ~ |
"""
SWITCHED = (0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1)
WEEKS = ["2022-01-09", "2022-01-16", "2022-01-23", "2022-01-30", "2022-02-06", "2022-02-13", "2022-02-20", "2022-02-27",
         "2022-03-06", "2022-03-13", "2022-03-20", "2022-03-27"]  # fmt: skip
STEP = 0.25
FINE = Scenario("", saveper=STEP)


@pytest.fixture
def shop(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_mdl(SHOP, name="shop.mdl", final=12, step=STEP)
    path.write_text(path.read_text().replace("~ Year ~", "~ Week ~"))
    monkeypatch.chdir(path.parent)
    return path


def orders(promotion: Callable[[float], float], effect: float = 0.4) -> np.ndarray:
    """What is ordered in each week, by hand."""
    customers, by_week = 200.0, np.zeros(12)
    for i in range(round(12 / STEP)):
        by_week[int(i * STEP)] += STEP * 0.5 * customers
        customers += STEP * (15 * (1 + effect * promotion(i * STEP)) - customers / 12)
    return by_week


def table(name: str, **columns: object) -> None:
    """A CSV file of the weeks and columns of numbers."""
    lines = [",".join(["Week ending", *columns]), *(",".join(map(str, row)) for row in zip(WEEKS, *columns.values()))]  # type: ignore[call-overload]  # noqa: B905
    Path(name).write_text("\n".join(lines) + "\n")


def expected(problem: CalibrationProblem) -> np.ndarray:
    """The run of a study, over the windows of its orders."""
    run = simulate(problem.model, problem.scenario | FINE)["orders"]
    windows = [term.quantities[0].times for term in problem.observations[0].terms]
    return np.array([STEP * float(run.sel(time=slice(low, high - STEP / 2)).sum()) for low, high in windows])


def held(time: float) -> float:
    return SWITCHED[int(time)]


@pytest.mark.parametrize("way", ["the same table", "a table of its own", "the same table by --series"])
def test_a_switch_holds_over_the_window_of_its_row(shop: Path, way: str) -> None:
    seen = np.round(orders(held), 3).tolist()
    value = ["--value", "Promo=Promotion"]
    if way == "a table of its own":
        table("weeks.csv", orders=seen)
        table("promo.csv", promotion=SWITCHED)
        made = cipark("new-study", "shop.mdl", "weeks.csv", "--series", "promo.csv")
    else:
        table("weeks.csv", orders=seen, Promo=SWITCHED)
        series = ["--series", "weeks.csv"] if "--series" in way else []
        made = cipark("new-study", "shop.mdl", "weeks.csv", *series, *value)
    assert "\theld over a window (2022-01-09: 2022-01-02 to 2022-01-09)\tDmnl\tinput\t12, " in made.output
    assert 'drives the model; kind = "level" in problem.toml reads lines' in made.output
    np.testing.assert_allclose(expected(read_problem(Path("weeks"))), orders(held), rtol=1e-12)


def test_other_numbers_are_joined_by_lines_and_either_is_changed_by_a_word(shop: Path) -> None:
    prices = [1.5 + 0.1 * i + value for i, value in enumerate(SWITCHED)]
    table("weeks.csv", orders=np.round(orders(held), 3).tolist(), promotion=prices)
    made = cipark("new-study", "shop.mdl", "weeks.csv")
    assert "promotion\tPromotion\tlines between rows" in made.output
    assert 'promotion: drives the model; --window "promotion=rows" holds each value over its window' in made.output
    lines = expected(read_problem(Path("weeks")))
    np.testing.assert_allclose(lines, orders(lambda t: float(np.interp(t, np.arange(1, 13), prices))), rtol=1e-12)
    file = Path("weeks/problem.toml")
    file.write_text(file.read_text().replace('kind = "level" # straight', 'kind = "held" # straight'))
    from_row_on = orders(lambda t: prices[max(int(t) - 1, 0)])
    np.testing.assert_allclose(expected(read_problem(Path("weeks"))), from_row_on, rtol=1e-12)
    assert not np.allclose(lines, from_row_on)


PRICES = np.repeat([9.99, 9.49, 10.49, 9.99], 3)
COURSE = 9.99 + 0.1 * np.arange(12)


@pytest.mark.parametrize(("prices", "options"), [(PRICES, []), (COURSE, ["--window", "promotion=rows"])])
def test_a_price_holds_over_its_window_and_so_does_what_the_user_says(
    shop: Path, prices: np.ndarray, options: list[str]
) -> None:
    table("weeks.csv", orders=np.round(orders(held), 3).tolist(), promotion=prices.tolist(), Remark=["ok"] * 12)
    made = cipark("new-study", "shop.mdl", "weeks.csv", *options)
    assert "promotion\tPromotion\theld over a window (2022-01-09: 2022-01-02 to 2022-01-09)" in made.output
    assert expected(read_problem(Path("weeks"))) == pytest.approx(orders(lambda t: prices[int(t)]), rel=1e-12)


def test_whole_numbers_that_drive_are_themselves(shop: Path) -> None:
    table("weeks.csv", orders=np.round(orders(held), 3).tolist(), promotion=range(7, 19))
    cipark("new-study", "shop.mdl", "weeks.csv")
    lines = expected(read_problem(Path("weeks")))
    np.testing.assert_allclose(lines, orders(lambda t: float(np.interp(t, range(1, 13), range(7, 19)))), rtol=1e-12)
    assert "lower" not in Path("weeks/data/inputs/promotion.csv").read_text()


def test_flows_alone_can_be_played(shop: Path) -> None:
    """Their policies ask for sums over the run, which have no curve."""
    table("weeks.csv", orders=np.round(orders(held), 3).tolist(), promotion=SWITCHED)
    cipark("new-study", "shop.mdl", "weeks.csv")
    assert "total = true" in Path("weeks/policies.toml").read_text()
    cipark("play", "weeks", "-o", "weeks.html")
    assert "Orders" in Path("weeks.html").read_text()


def test_all_that_runs_a_study_has_its_inputs(shop: Path) -> None:
    table("weeks.csv", orders=np.round(orders(held), 3).tolist(), promotion=SWITCHED)
    cipark("new-study", "shop.mdl", "weeks.csv")
    problem = read_problem(Path("weeks"))
    # the model by itself, as the player and policies take it
    run = simulate(problem.model, FINE)["promotion"]
    np.testing.assert_array_equal(run.values[:-1], np.repeat(SWITCHED, round(1 / STEP)))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"orders": range(50, 62), "Promo": SWITCHED}, [], r'no equation and no data: Promotion; .* "Promo=Promotion"'),
        ({"orders": range(50, 62), "Promo": SWITCHED}, ["--series", "weeks.csv"], r'--value "Promo=Promotion"'),
        ({"promotion": SWITCHED}, [], "no column beside the times has numbers"),
        (
            {"orders": range(50, 62), "promotion": ("x", *SWITCHED[1:])},
            [],
            r"line 2: promotion is 'x', expected a number",
        ),
    ],
)
def test_an_input_that_is_missing_is_one_sentence(
    shop: Path, columns: dict[str, object], options: list[str], message: str
) -> None:
    table("weeks.csv", **columns)
    made = cipark("new-study", "shop.mdl", "weeks.csv", *options, code=2)
    assert re.search(message, made.output), made.output
    assert not Path("weeks").exists()


def test_several_tables_are_one_study_each_with_its_own_times(shop: Path) -> None:
    seen = np.round(orders(held), 3)
    table("weeks.csv", orders=seen.tolist(), note=range(90, 102))
    Path("desk.csv").write_text(
        "Day,customers,promo\n2022-01-09,<190,0\n2022-02-27,201.5,1\n2022-02-27,203,\n2022-03-27,>190,\n2022-04-03,,0\n"
    )
    made = cipark("new-study", "shop.mdl", "weeks.csv", "desk.csv", "--value", "promo=Promotion")
    assert "customers\tCustomers\tlevel\tPerson\tnormal\t4, 2022-01-09 to 2022-03-27\n" in made.output
    assert "1 of the times has several rows" in made.output
    assert "customers: one row has no number: left out" in made.output
    assert "ignored note" in made.output
    problem = read_problem(Path("weeks"))
    assert {observation.name for observation in problem.observations} == {"orders", "customers"}
    times = [term.quantities[0].times[-1] for o in problem.observations if o.name == "customers" for term in o.terms]
    assert times == [1.0, 8.0, 8.0, 12.0]
    assert sorted(path.name for path in Path("weeks/data/original").iterdir()) == ["desk.csv", "weeks.csv"]


@pytest.mark.parametrize(
    ("head", "message"),
    [("orders", "'orders', expected another name in one"), ("visits", "desk.csv: no column sounds like a variable")],
)
def test_a_further_table_that_does_not_fit_is_one_sentence(shop: Path, head: str, message: str) -> None:
    table("weeks.csv", orders=range(50, 62), promotion=SWITCHED)
    Path("desk.csv").write_text(f"Day,{head}\n2022-01-09,60.5\n2022-02-27,61.5\n")
    made = cipark("new-study", "shop.mdl", "weeks.csv", "desk.csv", code=2)
    assert message in made.output, made.output
    assert not Path("weeks").exists()


def test_a_table_of_the_model_s_own_time_is_read_as_the_model_says(shop: Path) -> None:
    table("weeks.csv", orders=np.round(orders(held), 3).tolist())
    Path("own.csv").write_text("Time,Promotion\n0,0\n12,1\n")
    cipark("new-study", "shop.mdl", "weeks.csv", "--series", "own.csv")
    np.testing.assert_allclose(expected(read_problem(Path("weeks"))), orders(lambda t: t / 12), rtol=1e-12)
