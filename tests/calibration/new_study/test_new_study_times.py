"""The unit of a table's times and that of the model's agree, are converted and said, or are asked for."""

import datetime
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from approved import approved
from command_line import cipark
from counted import called, exponent

from calibration.commands.pipeline import _with_options
from calibration.commands.settings import Settings
from calibration.new_study import study as making
from calibration.new_study.clock import Clock, calendar_years, clock, windowed
from calibration.new_study.columns import Axis, read_axis
from calibration.new_study.matching import Match, matches
from calibration.new_study.table import Sheet
from calibration.study.calendar import length, time_unit_of, unit_in
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError, Problems
from cipark_sd.base.wording import TIME_UNITS
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model

Write = Callable[..., Path]
SIR = """
Susceptible = INTEG(-New Infections, 762) ~ person ~ |
Infected = INTEG(New Infections - Recovering, 1) ~ person ~ |
New Infections = Contact Rate * Susceptible * Infected / 763 ~ person/Day ~ |
Recovering = Infected / Recovery Time ~ person/Day ~ |
Contact Rate = 0.5 ~ 1/Day ~ |
Recovery Time = 5 ~ Day ~ |
"""


@pytest.fixture
def sir(write_mdl: Write) -> Path:
    path = write_mdl(SIR, name="sir.mdl", final=100, step=0.125)
    path.write_text(path.read_text().replace("~ Year ~", "~ Day ~"))
    return path


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("level") / "level.mdl"
    control = "INITIAL TIME=0~~|FINAL TIME=100~~|TIME STEP=1~~|SAVEPER=1~~|"
    path.write_text("{UTF-8}\nLevel = INTEG(a, 5)~~|a = 1~~|" + control)
    return read_model(path)


def test_the_work_grows_with_the_rows_and_not_with_their_square(sir: Path, tmp_path: Path) -> None:
    def work(n: int) -> int:
        data = tmp_path / f"{n}.csv"
        rows = (f"{100 * k / n!r},{5 + k % 7}\n" for k in range(n))
        data.write_text("time,infected\n" + "".join(rows), encoding="utf-8")
        call = ["new-study", str(sir), str(data), "--value", "infected=Infected", "-o", str(tmp_path / f"s{n}")]
        return called(lambda: cipark(*call))

    # what is imported and made once is counted with the first
    work(10)
    some, twice, more = map(work, (400, 800, 1600))
    # twice the rows add twice the work, by squares four times
    assert more - twice < 2.5 * (twice - some)


def counting(model: Model, units: str, initial: float = 0.0, final: float = 100.0) -> Model:
    return replace(model, time=replace(model.time, units=units, initial=initial, final=final))


def axis_of(column: str, entries: Iterable[object], **more: tuple[object, ...]) -> Axis:
    columns = {column: tuple(entries), **more}
    rows = tuple(tuple(map(str, row)) for row in zip(*columns.values(), strict=True))
    return read_axis(Sheet("a.csv", tuple(columns), rows, tuple(range(2, 2 + len(rows))), ","), None, None)


def window_of(axis: Axis, i: int) -> tuple[str, ...]:
    """The dates at whose ends the window of an entry starts and ends."""
    ends = axis.span(i, starts=axis.edge == "start")
    return tuple(datetime.date.fromordinal(int(day)).isoformat() for day in ends)


def clock_of(model: Model, axis: Axis, unit: str | None = None, *, windows: bool = False) -> Clock:
    return clock(model, axis, unit, None, windows=windows)  # type: ignore[arg-type]


def ask(model: Path, table: str, **more: object) -> making.NewStudy:
    data = model.parent / "flu.csv"
    data.write_text(table, encoding="utf-8")
    return making.new_study(making.Request(model, data, model.parent / "study", **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        ("Second seconds sec s", "second"),
        ("Minute Minutes min mins", "minute"),
        ("Hour hours hr hrs h", "hour"),
        ("Day Days d", "day"),
        ("Week weeks wk wks w", "week"),
        ("Month Months mo mth", "month"),
        ("Quarter quarters qtr q", "quarter"),
        ("Year years yr yrs y", "year"),
        ("Generation Dmnl decade x", None),
    ],
)
def test_units_are_read_in_full_in_short_and_in_the_plural(texts: str, unit: str | None) -> None:
    assert {time_unit_of(text) for text in texts.split()} == {unit}


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("Week", "week"), ("wk", "week"), ("epi_week", "week"), ("WEEKS", "week"), ("t (d)", "day"),
        ("time [yr]", "year"),
        ("elapsedMinutes", "minute"), ("Mo", "month"), ("qtr", "quarter"), ("time", None), ("t", None), ("x", None),
        ("yield", None), ("monitor", None), ("weekly", None), ("days since start", "day"),
    ],
)  # fmt: skip
def test_a_column_s_name_says_its_unit(column: str, unit: str | None) -> None:
    assert unit_in(column) == unit


def test_lengths_agree_with_the_clock_and_the_calendar() -> None:
    assert (length("week", "day"), length("day", "hour"), length("hour", "second")) == (7, 24, 3600)
    assert (length("year", "quarter"), length("quarter", "month"), length("year", "day")) == (4, 3, 365.25)
    for one in TIME_UNITS:
        for other in TIME_UNITS:
            assert length(one, other) * length(other, one) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(
    ("column", "units", "model_time"),
    [
        ("Week", "Day", 7), ("wks", "Days", 7), ("Month", "Day", 30.4375), ("day", "Week", 1 / 7), ("qtr", "Month", 3),
        ("month", "Year", 1 / 12), ("year", "Month", 12), ("hour", "Minute", 60), ("day", "Hour", 24),
        ("Day", "Day", 1), ("week", "Weeks", 1), ("yr", "Year", 1), ("minutes", "Minute", 1),
        ("time", "Day", 1), ("t", "", 1), ("x", "Generation", 1),
    ],
)  # fmt: skip
def test_numbers_are_converted_to_the_model_s_unit(level: Model, column: str, units: str, model_time: float) -> None:
    timing = clock_of(counting(level, units), axis_of(column, range(1, 8)))
    assert [timing.time(1), timing.time(3)] == pytest.approx([model_time, 3 * model_time], rel=1e-14)


def test_what_is_converted_is_said(level: Model) -> None:
    week = axis_of("Week", range(1, 12))
    approved(clock_of(counting(level, "Day"), week).note)
    month = clock_of(counting(level, "Days"), axis_of("month", range(1, 4)))
    approved(month.note)
    approved(clock_of(counting(level, "Day"), axis_of("day", range(1, 9))).note)
    own = clock_of(counting(level, "Day"), axis_of("time", range(1, 9)))
    approved(own.note)


@pytest.mark.parametrize("column", ["week", "Month", "qtr", "years", "Day", "hrs"])
@pytest.mark.parametrize("units", ["", "Generation"])
def test_a_unit_that_the_model_does_not_know_is_asked_for(level: Model, column: str, units: str) -> None:
    model, axis = counting(level, units), axis_of(column, range(1, 12))
    unit = unit_in(column)
    with pytest.raises(CiparkError, match=rf"'{column}' counts {unit}s, and the model level .*; write --unit {unit} "):
        clock_of(model, axis)
    assert clock_of(model, axis, unit).time(3) == 3


def test_a_unit_that_contradicts_the_file_is_refused(level: Model) -> None:
    model, axis = counting(level, "Day"), axis_of("time", range(1, 9))
    with pytest.raises(CiparkError, match=r"--unit is 'week', expected day, which is the model's unit of time"):
        clock_of(model, axis, "week")
    assert clock_of(model, axis, "day").time(3) == 3


@pytest.mark.parametrize(
    ("column", "numbers", "units", "written"),
    [
        ("dose", (200, 300), "", "--origin 0 where they are the model's own time"),
        ("week", (30, 31), "Day", "--origin 29 where the run starts one step before"),
        ("t", (-9, -8), "Day", "--origin -10 where the run starts one step before"),
        ("day", (150, 151), "Day", "--origin 149 where the run starts one step before"),
    ],
)
def test_data_outside_the_run_are_never_moved(
    level: Model, column: str, numbers: tuple[int, ...], units: str, written: str
) -> None:
    with pytest.raises(
        CiparkError, match=rf"no '{column}', .* lies within the model's run, 0 to 100.*{re.escape(written)}"
    ):
        clock_of(counting(level, units), axis_of(column, numbers))


def test_an_origin_says_where_the_run_starts(level: Model) -> None:
    week = axis_of("week", (30, 31, 32))
    timing = clock(counting(level, "Day", 5), week, None, "29", windows=False)
    assert [timing.time(number) for number in week.times] == [12, 19, 26]
    approved(timing.note)
    with pytest.raises(CiparkError, match=r"--origin is 'May', expected a number"):
        clock(counting(level, "Day"), week, None, "May", windows=False)


def test_years_of_the_calendar_start_a_run_in_years(level: Model) -> None:
    year = axis_of("year", (1999, 2000, 2001))
    timing = clock_of(counting(level, "Year"), year)
    assert [timing.time(number) for number in year.times] == [0, 1, 2]
    approved(timing.note)
    assert clock_of(counting(level, "Year", 1990, 2010), year).time(1999) == 1999
    # the run itself says that it counts years of the calendar
    assert clock_of(counting(level, "", 1990, 2010), year).time(1999) == 1999


@pytest.mark.parametrize(
    ("units", "times"), [("Day", [0, 366, 731]), ("Month", [0, 12, 24]), ("Hour", [0, 8784, 17544])]
)
def test_years_of_the_calendar_are_dates_for_a_model_in_another_unit(
    level: Model, units: str, times: list[float]
) -> None:
    model = counting(level, units)
    axis = calendar_years(axis_of("year", (1999, 2000, 2001)), model, None)
    calendar = clock_of(model, axis).calendar
    assert calendar is not None
    assert [calendar.time_of(date) for date in axis.dates] == times
    assert axis.texts == ("1999", "2000", "2001")


DAILY = ("2020-03-01", "2020-03-02", "2020-03-03")
SPACED = {
    "day": DAILY,
    "week": ("2020-03-01", "2020-03-08", "2020-03-15"),
    "month": ("2020-01", "2020-02", "2020-03"),
    "quarter": ("2020 Q1", "2020 Q2", "2020 Q3"),
    "year": ("2019-12-31", "2020-12-31", "2021-12-31"),
}


@pytest.mark.parametrize(
    ("units", "spacing", "second"),
    [
        ("Day", "week", 7), ("Days", "month", 29), ("Week", "day", 1 / 7), ("Week", "week", 1), ("Month", "quarter", 3),
        ("Quarter", "year", 4), ("Year", "year", 1), ("Yrs", "quarter", 0.25), ("Hour", "day", 24),
        ("Minute", "week", 10080),
    ],
)  # fmt: skip
def test_dates_are_converted_to_the_model_s_unit(level: Model, units: str, spacing: str, second: float) -> None:
    axis = axis_of("when", SPACED[spacing])
    timing = clock_of(counting(level, units), axis)
    assert timing.calendar is not None
    assert timing.calendar.time_of(axis.dates[0]) == 0
    assert timing.calendar.time_of(axis.dates[1]) == pytest.approx(second, abs=0.002)
    assert f"one unit of model time is a {time_unit_of(units)}" in timing.note


@pytest.mark.parametrize("spacing", list(SPACED))
@pytest.mark.parametrize("units", ["", "Generation"])
def test_dates_need_a_unit_of_the_model_s_time(level: Model, units: str, spacing: str) -> None:
    model, axis = counting(level, units), axis_of("when", SPACED[spacing])
    with pytest.raises(CiparkError, match=rf"dates a {spacing} apart, and the model level .*; write --unit {spacing} "):
        clock_of(model, axis)
    assert f"is a {spacing}" in clock_of(model, axis, spacing).note


def test_dates_that_no_unit_is_apart_are_said_in_days_and_the_header_s_unit_is_offered(level: Model) -> None:
    axis = axis_of("Week ending", ("2020-03-01", "2020-04-05", "2020-05-10"))
    with pytest.raises(CiparkError, match=r"holds dates 35 days apart, .*; write --unit week where"):
        clock_of(counting(level, "cycle"), axis)


def test_a_column_of_starts_is_no_column_of_ends(level: Model) -> None:
    starts = axis_of("t_start", (0, 1, 2))
    timing = clock_of(counting(level, ""), starts, windows=True)
    assert (timing.starts, starts.span(2, starts=timing.starts)) == (True, (2, 3))
    weeks = axis_of("week start", ("2020-03-01", "2020-03-08", "2020-03-15"))
    # a day begins where the one before it ends
    assert list(window_of(weeks, 2)) == ["2020-03-14", "2020-03-21"]
    assert weeks.texts[0] == "2020-03-01"
    # a month has its own first day, and needs no shift
    assert window_of(axis_of("month start", ("2020-03", "2020-04")), 0)[1] == "2020-03-31"


def test_starts_and_ends_make_windows() -> None:
    both = axis_of("t_start", (0, 2, 7), t_end=(1, 3, 9))
    assert (both.column, both.started) == ("t_end", "t_start")
    assert [both.span(i, starts=False) for i in range(3)] == [(0, 1), (2, 3), (7, 9)]
    days = axis_of("from", ("2020-03-02", "2020-03-09"), to=("2020-03-08", "2020-03-15"))
    assert list(window_of(days, 0)) == ["2020-03-01", "2020-03-08"]


@pytest.mark.parametrize(
    ("column", "entries", "second"),
    [
        ("Month", ("2015-01-01", "2015-02-01", "2015-03-01"), ("2015-01-31", "2015-02-28")),
        ("Quarter", ("2015-01-01", "2015-04-01", "2015-07-01"), ("2015-03-31", "2015-06-30")),
        ("year", ("2015-01-01", "2016-01-01", "2017-01-01"), ("2015-12-31", "2016-12-31")),
        # no first days of what the name says, or a name that says another thing
        ("Quarter", ("2015-02-01", "2015-05-01", "2015-08-01"), ("2015-02-01", "2015-05-01")),
        ("month ending", ("2015-01-01", "2015-02-01", "2015-03-01"), ("2015-01-01", "2015-02-01")),
        ("Date", ("2015-01-01", "2015-02-01", "2015-03-01"), ("2015-01-01", "2015-02-01")),
        ("Date", ("2015-01-31", "2015-02-28", "2015-03-31"), ("2015-01-31", "2015-02-28")),
        ("Date", ("2015-01-01", "2015-01-02", "2015-01-03"), ("2015-01-01", "2015-01-02")),
    ],
)
def test_first_days_stand_for_the_months_that_the_column_names(
    column: str, entries: tuple[str, ...], second: tuple[str, str]
) -> None:
    """As a spreadsheet shows January 2015."""
    axis = axis_of(column, entries)
    assert window_of(axis, 1) == second


def test_a_column_of_intervals_is_not_taken_for_times() -> None:
    assert axis_of("interval_days", (1, 1, 1), t=(1, 2, 3)).column == "t"
    with pytest.raises(
        CiparkError,
        match=r"repeated readings of the same, rename the column to Replicate. 'day' was taken for the column of times",
    ):
        axis_of("day", (1, 1, 2, 2), n=(3, 5, 4, 5), of=("x", "y", "x", "y"))


WEEKS = "Week,new infections\n" + "".join(f"{week},{n}\n" for week, n in enumerate((9, 25, 70, 110, 70, 30, 9), 1))


def test_a_week_is_a_window_of_seven_days(sir: Path) -> None:
    made = ask(sir, WEEKS)
    problem = read_problem(made.folder)
    assert [term.quantities[0].times for term in problem.terms][:2] == [(0, 7), (7, 14)]
    table = (made.folder / "data" / "new_infections.csv").read_text().splitlines()
    assert table[:2] == ["start,time,as given,value", "0,7,1,9"]
    content = re.sub(r"\n# +", " ", (made.folder / "problem.toml").read_text())
    assert " Week | time | Week counts weeks, the model days: Week 1 is days 0 to 7 of the model | - | " in content


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("Week,infected", ["--unit", "week"], r"--unit is 'week', expected day"),
        ("Week,infected", ["--time", "infected"], r"no column sounds like"),
        ("Day,infected", ["--origin", "x"], r"--origin is 'x', expected a number"),
    ],
)
def test_a_contradiction_is_refused_by_the_command(
    sir: Path, monkeypatch: pytest.MonkeyPatch, header: str, options: list[str], message: str
) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text(f"{header}\n1,3\n2,3\n3,7\n")
    result = cipark("new-study", "sir.mdl", "flu.csv", *options, code=2)
    assert re.search(message, result.output), result.output
    assert not Path("flu").exists()


def test_the_command_says_what_a_week_is(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text(WEEKS)
    result = cipark("new-study", "sir.mdl", "flu.csv")
    assert "Week 1 is days 0 to 7 of the model" in result.output


HAND = """
[model]
file = "sir.mdl"
{dates}
[[observation]]
name = "ill"
table = "ill.csv"
kind = "level"
variable = "Infected"
time = "{column}"
value = "ill"
family = "normal"
sd = 3.0
[[parameter]]
name = "Contact Rate"
bounds = [0.1, 2]
"""


@pytest.mark.parametrize(
    ("column", "first", "dates", "message"),
    [
        ("Week", "1", "", r"Week is '1', expected model time, in days: .*'Week' is a column of weeks"),
        ("date", "2020-03-01", "", r'date is .*expected \[dates\] with unit = "day"'),
        (
            "date",
            "2020-03-01",
            '[dates]\nunit = "week"\norigin = 2020-02-01',
            r"unit is 'week', expected 'day', since the",
        ),
        ("date", "2020-03-01", '[dates]\nunit = "day"\norigin = 2020-02-01', None),
        ("day", "1", "", None),
        ("time", "1", "", None),
    ],
)
def test_a_study_s_unit_of_time_is_the_model_s(
    sir: Path, column: str, first: str, dates: str, message: str | None
) -> None:
    (sir.parent / "ill.csv").write_text(f"{column},ill\n{first},3\n")
    (sir.parent / "problem.toml").write_text(HAND.format(dates=dates, column=column))
    if message is None:
        assert len(read_problem(sir.parent).terms) == 1
        return
    with pytest.raises((Problems, CiparkError), match=message):
        read_problem(sir.parent)


YEARLY = (
    "Stock = INTEG(births - loss, 100) ~person~|births = rate * Stock ~person/Year~|"
    "loss = 1 ~person/Year~|rate = 0.02 ~1/Year~|"
)


def test_a_year_s_flow_is_that_of_the_year_and_the_console_says_so(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_mdl(YEARLY, final=1990)
    model.write_text(model.read_text().replace("INITIAL TIME = 0", "INITIAL TIME = 1980"))
    monkeypatch.chdir(model.parent)
    Path("b.csv").write_text("Year,births,stock\n1985,2.2,\n1986,2.4,112\n1987,2.3,115\n")
    made = cipark("new-study", model.name, "b.csv")
    assert "births\tbirths\tflow over a window (1985: 1985 to 1986)" in made.output
    times = {term.label: term.quantities[0].times for term in read_problem(Path("b")).terms}
    assert times["births 1985"] == (1985, 1986)
    assert times["stock 1986"] == (1986,)


SPARSE = ("2020-03-08", "2020-04-12", "2020-05-17")
WEEK_BEFORE, WEEK_AFTER = ("2020-04-05", "2020-04-12"), ("2020-04-11", "2020-04-18")
FROM_ROW_TO_ROW = ("2020-03-08", "2020-04-12")


@pytest.mark.parametrize(
    ("times", "column", "window"),
    [
        ("date", "cases per week", WEEK_BEFORE),
        ("date", "Weekly cases", WEEK_BEFORE),
        ("date", "cases in the week", WEEK_BEFORE),
        ("date", "cases (1/week)", WEEK_BEFORE),
        ("date", "cases per day", ("2020-04-11", "2020-04-12")),
        ("Week ending", "cases", WEEK_BEFORE),
        ("Week ending", "cases per week", WEEK_BEFORE),
        ("Week", "cases", WEEK_BEFORE),
        ("Week of", "cases", WEEK_AFTER),
        ("Week starting", "cases", WEEK_AFTER),
        # nothing says a shorter window than the rows are apart
        ("date", "cases", FROM_ROW_TO_ROW),
        ("date", "cases per year", FROM_ROW_TO_ROW),
        ("date", "weeks of waiting", FROM_ROW_TO_ROW),
    ],
)
def test_a_header_says_how_long_the_windows_of_sparse_rows_are(
    times: str, column: str, window: tuple[str, str]
) -> None:
    """A number per week in rows five weeks apart is that of one week, and no sum over five."""
    axis = windowed(axis_of(times, SPARSE), column, "day", None)
    assert window_of(axis, 1) == window
    rows = windowed(axis, column, "day", "rows") if times == "date" else axis
    assert rows.gap == 35


@pytest.mark.parametrize(
    ("times", "entries", "column", "window"),
    [
        ("Month", ("2020-01", "2020-04", "2020-07"), "cases", ("2020-03-31", "2020-04-30")),
        ("month ending", ("2020-01-31", "2020-04-30", "2020-07-31"), "cases", ("2020-03-31", "2020-04-30")),
        ("Year", (2000, 2005, 2010), "births", (2005, 2006)),
        ("Year", (2000, 2005, 2010), "births per year", (2005, 2006)),
        ("Year", (2000, 2001, 2002), "births", (2001, 2002)),
        ("t (days)", (7, 14, 21), "cases", (7, 14)),
        ("t (days)", (7, 14, 21), "cases per day", (13, 14)),
        ("time", (35, 70, 105), "cases per week", (63, 70)),
    ],
)
def test_windows_of_periods_and_numbers(
    times: str, entries: tuple[object, ...], column: str, window: tuple[object, ...]
) -> None:
    axis = windowed(axis_of(times, entries), column, "day", None)
    if axis.dates:
        assert window_of(axis, 1) == window
    else:
        assert axis.span(1, starts=axis.years) == window


def test_two_units_are_asked_about_once() -> None:
    axis = axis_of("Month", ("2020-01", "2020-02", "2020-03"))
    with pytest.raises(CiparkError) as caught:
        windowed(axis, "cases per week", "day", None)
    approved(str(caught.value))
    assert window_of(windowed(axis, "cases per week", "day", "month"), 1)[0] == "2020-01-31"
    assert window_of(windowed(axis, "cases per week", "day", "week"), 1)[0] == "2020-02-22"


def test_the_command_says_the_window_and_levels_of_a_week_are_at_its_end(
    sir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text(
        "Week of,new infections,infected\n" + "".join(f"{day},9,{n}\n" for n, day in enumerate(SPARSE, 3))
    )
    new = ["new-study", "sir.mdl", "flu.csv", "--force"]
    made = cipark(*new)
    assert "flow over one week (2020-03-08: 2020-03-07 to 2020-03-14)" in made.output, made.output
    assert "each at the week's end" in made.output
    assert "\n2020-03-14,2020-03-08,3,2.5,3.5\n" in Path("flu/data/infected.csv").read_text()
    rows = cipark(*new, "--window", "new infections=rows")
    assert "flow over a window (2020-03-08: 2020-03-07 to 2020-04-11)" in rows.output, rows.output
    level = cipark(*new, "--window", "infected=week", code=2)
    assert (level.exit_code, "'infected' is read as a level" in level.output) == (2, True)
    other = cipark(*new, "--window", "new infections=fortnight", code=2)
    assert (other.exit_code, "COLUMN=UNIT with one of" in other.output) == (2, True)


def test_a_year_of_sparse_rows_is_one_year_and_its_end_is_its_own(write_mdl: Write) -> None:
    model = write_mdl(YEARLY, final=2010)
    model.write_text(model.read_text().replace("INITIAL TIME = 0", "INITIAL TIME = 1980"))
    table = "Year,births,stock at year-end\n1985,2.2,110\n1990,2.4,112\n1995,2.3,115\n"
    times = {term.label: term.quantities[0].times for term in read_problem(ask(model, table).folder).terms}
    assert times["births 1985"] == (1985, 1986)
    assert times["stock at year-end 1985"] == (1986,)


def test_until_means_the_same_rows_for_a_study_and_its_fit(write_mdl: Write) -> None:
    """The row of 1990 ends with that year, at 1991; a date still is that date."""
    model = write_mdl(YEARLY, final=2010)
    model.write_text(model.read_text().replace("INITIAL TIME = 0", "INITIAL TIME = 1980"))
    table = "Year,births,stock at year-end\n1989,2.2,110\n1990,2.4,112\n1991,2.3,115\n1992,2.3,116\n"
    cut = [row.text for part in ask(model, table, until="1990").series for row in part.rows]
    problem = read_problem(ask(model, table, force=True).folder)

    def fitted(text: str) -> list[str]:
        return [term.label.split()[-1] for term in _with_options(problem, Settings(until=text)).fitted_terms]

    assert fitted("1990") == cut == ["1989", "1990"] * 2
    assert fitted("1991-12-31") == ["1989", "1990", "1991"] * 2
    with pytest.raises(CiparkError, match="--until: the date is 'soon', expected"):
        fitted("soon")


def test_a_column_of_values_is_none_of_times_whatever_its_name() -> None:
    rows = (("1", "0.5"), ("2", "1.5"), ("3", "2.5"))
    sheet = Sheet("a.csv", ("week", "admitted from start"), rows, (2, 3, 4), ",")
    assert read_axis(sheet, None, None).column == "week"
    assert read_axis(replace(sheet, header=("week", "from week")), "week", None, ("from week",)).started == ""
    sheet = Sheet("a.csv", ("week to", "sent from start"), rows, (2, 3, 4), ",")
    assert read_axis(sheet, None, None).started == "sent from start"
    assert read_axis(sheet, None, None, ("sent from start",)).started == ""


def test_values_that_overlap_are_no_starts_of_windows() -> None:
    rows = (("4", "1"), ("8", "3"), ("12", "2"))
    sheet = Sheet("a.csv", ("week to", "arrivals from abroad"), rows, (2, 3, 4), ",")
    assert read_axis(sheet, "week to", None).started == ""


def years(*entries: int) -> Sheet:
    return Sheet("a.csv", ("year", "x"), tuple((str(year), "1") for year in entries), tuple(range(2, 99)), ",")


def test_rows_are_read_up_to_a_time() -> None:
    sheet = years(2018, 2019, 2020, 2021, 2081)
    assert read_axis(sheet, None, None).texts[-1] == "2081"
    assert read_axis(sheet, None, None, until="2021").texts == ("2018", "2019", "2020", "2021")
    assert read_axis(sheet, None, None, until="2081").texts[-1] == "2081"
    with pytest.raises(CiparkError, match="two rows of 'year' before it"):
        read_axis(sheet, None, None, until="2018")
    with pytest.raises(CiparkError, match="--until is 'soon', expected a time such as 2081"):
        read_axis(sheet, None, None, until="soon")


def yearly(write_mdl: Write, monkeypatch: pytest.MonkeyPatch, initial: int = 1980) -> Path:
    model = write_mdl(YEARLY, final=initial + 10)
    model.write_text(model.read_text().replace("INITIAL TIME = 0", f"INITIAL TIME = {initial}"))
    monkeypatch.chdir(model.parent)
    return model


@pytest.mark.parametrize(
    ("title", "header", "options", "time", "said"),
    [
        ("", "stock", [], 1985, "each at the year's start"),
        ("", "stock, 31 Dec", [], 1986, "each at the year's end"),
        ("", "stock at year-end", [], 1986, "each at the year's end"),
        ("", "stock (1 January)", [], 1985, "each at the year's start"),
        ("", "stock mid-year", [], 1985.5, "each at the year's middle"),
        ("Heads at the end of the year,,\n", "stock", [], 1986, "each at the year's end"),
        ("Heads at the end of the month,,\n", "stock", [], 1985, "each at the year's start"),
        ("", "stock", ["--level-at", "end"], 1986, "each at the year's end"),
        ("", "stock, 31 Dec", ["--level-at", "start"], 1985, "each at the year's start"),
    ],
)
@pytest.mark.parametrize("flow", [True, False])
def test_a_level_is_of_the_point_of_the_year_that_the_table_says(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, flow: bool,
    title: str, header: str, options: list[str], time: float, said: str,
) -> None:  # fmt: skip
    model = yearly(write_mdl, monkeypatch)
    births = ",births" if flow else ",comment"
    Path("b.csv").write_text(f'{title}Year,"{header}"{births}\n1985,110,2.2\n1986,112,2.4\n1987,115,2.3\n')
    options = [*options, "--value", f"{header}=Stock", *(["--value", "births=births"] if flow else [])]
    made = cipark("new-study", model.name, "b.csv", *options)
    terms = [term for term in read_problem(Path("b")).terms if term.label.startswith("stock")]
    assert terms[0].quantities[0].times == (time,)
    assert f"\tlevel, {said}; " in made.output
    assert "\t--value, --level-at, " in made.output
    flows = [term for term in read_problem(Path("b")).terms if term.label.startswith("births")]
    assert [term.quantities[0].times for term in flows[:1]] == ([(1985, 1986)] if flow else [])


def test_days_say_their_own_time_point(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text('date,"infected, 1 Jan"\n2020-01-01,3\n2021-01-01,5\n2022-01-01,7\n')
    made = cipark("new-study", "sir.mdl", "flu.csv")
    assert read_problem(Path("flu")).terms[0].quantities[0].times == (0,)
    assert "each at" not in made.output
    made = cipark("new-study", "sir.mdl", "flu.csv", "--force", "--level-at", "end", code=2)
    assert "expected nothing: 'date' holds days" in made.output


def test_a_week_is_named_by_its_first_day(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    rows = "".join(
        f"{day},{n},{m}\n" for day, n, m in (("2 Mar 2020", 9, 3), ("9 Mar 2020", 25, 8), ("16 Mar 2020", 70, 20))
    )
    Path("flu.csv").write_text("week of,new infections,infected\n" + rows)
    made = cipark("new-study", "sir.mdl", "flu.csv")
    times = {term.label: term.quantities[0].times for term in read_problem(Path("flu")).terms}
    assert times["new infections 2020-03-02"] == (0, 7)
    assert times["infected 2020-03-02"] == (7,)
    assert "(2020-03-02: 2020-03-01 to 2020-03-08)" in made.output
    assert "each at the week's end" in made.output


@pytest.mark.parametrize(
    "cells",
    [("2000/01", "2001/02", "2002/03"), ("1990/91", "1991/92", "1992/93"), ("1998-1999", "1999-2000", "2000-2001")],
)
def test_seasons_are_no_months(cells: tuple[str, ...]) -> None:
    with pytest.raises(CiparkError, match=f"line 2: Season is '{cells[0]}', which is no month.*2001-06-30"):
        axis_of("Season", cells, x=tuple("345"))


def test_months_whose_numbers_follow_a_year_are_months() -> None:
    assert axis_of("m", ("2009-10", "2009-11", "2009-12")).texts[0] == "2009-10-31"
    assert axis_of("m", ("2000-01", "2000-02")).texts == ("2000-01-31", "2000-02-29")


@pytest.mark.parametrize(
    ("header", "cells", "first"),
    [
        ("Quarter", ("2006/1", "2006/2"), "2006-03-31"),
        ("Quartal", ("2006-01", "2006-02"), "2006-03-31"),
        ("t", ("2006-1", "2006-2", "2006-3", "2006-4", "2007-1"), "2006-03-31"),
        ("t", ("2006-1", "2006-2", "2006-3"), "2006-01-31"),
        ("Month", ("2006-4", "2007-1"), "2006-04-30"),
        ("Quarter", ("2006-03", "2006-06"), "2006-03-31"),
        ("Month", ("201801", "201802"), "2018-01-31"),
        ("yearmonth", ("201812", "201901"), "2018-12-31"),
        ("week", ("201852", "201901"), "2018-12-30"),
        ("t", ("201801", "201813"), "201801"),
    ],
)
def test_quarters_months_and_weeks_are_known_by_their_numbers(header: str, cells: tuple[str, ...], first: str) -> None:
    assert axis_of(header, cells).texts[0] == first


def test_the_work_grows_with_columns_that_are_named_as_variables(write_mdl: Callable[..., Path]) -> None:
    def work(n: int) -> int:
        names = [f"level {i}" for i in range(n)]
        model = read_model(write_mdl("\n".join(f"{name} = INTEG(1, 5) ~~|" for name in names), name=f"{n}.mdl"))
        found: list[Match] = []
        count = called(lambda: found.extend(matches(model, names, {})))
        assert [match.label for match in found] == names
        return count

    assert exponent(work, 50, 200) < 1.5


def test_a_name_that_two_columns_share_is_compared_with_all_variables(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("cases = INTEG(1, 5) ~~| new cases = INTEG(1, 5) ~~| Recoverd = INTEG(1, 5) ~~|"))
    found = matches(model, ["cases", "Cases (per day)", "Recovered"], {})
    assert [match.label for match in found] == ["cases", "new cases", "Recoverd"]
