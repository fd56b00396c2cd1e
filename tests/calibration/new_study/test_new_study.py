"""A stranger's model and table become a study that runs: what is guessed, what is refused, what is written."""

import datetime
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from places import ROOT

from calibration.inference.search import objective as asking
from calibration.inference.search.objective import Answer, Request
from calibration.likelihood.posterior import Posterior, posterior
from calibration.new_study import study as making
from calibration.new_study.columns import read_axis
from calibration.new_study.dates import date_of, date_orders, months_earlier
from calibration.new_study.matching import likeness, words
from calibration.new_study.parameters import MOVES, STARTS, STEPS, Candidate, roles
from calibration.new_study.table import number_reader, read_sheet
from calibration.noise.priors import LogNormal
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

Write = Callable[..., Path]
SIR = """
Susceptible = INTEG(-New Infections, 762) ~ person ~ |
Infected = INTEG(New Infections - Recovering, 1) ~ person ~ |
Recovered = INTEG(Recovering, 0) ~ person ~ |
Total Cases = INTEG(New Infections, 0) ~ person ~ |
New Infections = Contact Rate * Susceptible * Infected / Population ~ person/Day ~ |
Recovering = Infected / Recovery Time ~ person/Day ~ |
Population = 763 ~ person ~ |
Contact Rate = 1.5 ~ 1/Day ~ |
Recovery Time = 2 ~ Day ~ |
Price Of Beds = 10 ~ pound ~ |
"""
WEEK = ["2020-03-02", "2020-03-03", "2020-03-04", "2020-03-05", "2020-03-06", "2020-03-07", "2020-03-08"]


@pytest.fixture
def sir(write_mdl: Write) -> Path:
    path = write_mdl(SIR, name="sir.mdl", final=14, step=0.125)
    path.write_text(path.read_text().replace("~ Year ~", "~ Day ~"))
    return path


def ask(model: Path, table: str, name: str = "flu.csv", **more: object) -> making.NewStudy:
    data = model.parent / name
    data.write_text(table, encoding="utf-8")
    return making.new_study(making.Request(model, data, model.parent / "study", **more))  # type: ignore[arg-type]


def written(made: making.NewStudy) -> CalibrationProblem:
    return read_problem(made.folder)


def content(made: making.NewStudy) -> dict[str, object]:
    return tomllib.loads((made.folder / "problem.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("texts", "delimiter", "numbers"),
    [
        (["1,5", "2,25"], ";", [1.5, 2.25]),
        (["1.234,5", "12,0"], ";", [1234.5, 12.0]),
        (["1,234.5", "12.0"], ",", [1234.5, 12.0]),
        (["987", "1,234", "12,345"], ";", [987, 1234, 12345]),
        (["987", "1.234", "12.345"], ";", [987, 1234, 12345]),
        (["0,123", "1,234"], ";", [0.123, 1.234]),
        (["1.234", "2.5"], ",", [1.234, 2.5]),
        (["1 234", "$ 5", "1'000"], ",", [1234, 5, 1000]),
        (["1e3", "-2"], ",", [1000, -2]),
    ],
)
def test_numbers_are_read_as_the_column_writes_them(texts: list[str], delimiter: str, numbers: list[float]) -> None:
    read = number_reader(texts, delimiter)
    assert [read(text) for text in texts] == numbers


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        ("t;price;store\n1;1,58;306.984\n2;1,53;330.062\n", [306984, 330062]),
        ("t;price;store\n1;1.58;306,984\n2;1.53;330,062\n", [306984, 330062]),
        ('t,price,store\n1,"1,58",306.984\n2,"1,53",330.062\n', [306984, 330062]),
        ("t;price;store\n1;2.000.000;1,250\n2;3.000.000;1,500\n", [1.25, 1.5]),
        ("t;day;store\n1;3.5.2020;1.250\n2;4.5.2020;1.500\n", [1.25, 1.5]),
        ("t;note;store\n1;see 1,5;1.250\n2;none;1.500\n", [1.25, 1.5]),
    ],
)
def test_the_columns_of_a_file_write_numbers_in_one_way(tmp_path: Path, table: str, numbers: list[float]) -> None:
    (tmp_path / "a.csv").write_text(table)
    sheet = read_sheet(tmp_path / "a.csv")
    texts = sheet.column("store")
    assert [sheet.reader(texts)(text) for text in texts] == numbers


def test_columns_that_write_numbers_in_two_ways_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t;price;store\n1;1,58;306.9\n2;1,53;330.0\n")
    with pytest.raises(CiparkError, match=r"a\.csv: '1,58' \(price, line 2\) .* comma and '306\.9' \(store, line 2\)"):
        read_sheet(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["", "NA", "n/a", "-", "–", "NaN", ".."])
def test_what_people_write_for_nothing_is_nothing(text: str) -> None:
    assert np.isnan(number_reader(["1", text], ",")(text))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-03-01", "2020-03-01"),
        ("2020-03-01T00:00:00Z", "2020-03-01"),
        ("20200301", "2020-03-01"),
        ("1 March 2020", "2020-03-01"),
        ("Mar 1, 2020", "2020-03-01"),
        ("01.03.20", "2020-03-01"),
        ("2020-02", "2020-02-29"),
        ("Feb 2020", "2020-02-29"),
        ("2020 Q1", "2020-03-31"),
        ("2020-W10", "2020-03-08"),
    ],
)
def test_dates_and_periods_are_their_last_day(text: str, date: str) -> None:
    assert date_of(text, "dmy") == datetime.date.fromisoformat(date)


@pytest.mark.parametrize("text", ["2020.5", "1990", "31.02.2020", "twelve"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_of(text, "dmy") is None


def test_the_order_of_day_and_month_is_the_column_s() -> None:
    assert date_orders(["01/02/2020", "13/02/2020"]) == ("dmy",)
    assert date_orders(["01/02/2020", "02/13/2020"]) == ("mdy",)
    # as days of one month they would run backwards
    assert date_orders(["11/30/2020", "12/01/2020"]) == ("mdy",)
    assert date_orders(["01/02/2020", "02/02/2020"]) == ("dmy", "mdy")


def test_a_month_before_the_last_of_one_is_the_last_of_another() -> None:
    assert months_earlier(datetime.date(2020, 3, 31), 1) == datetime.date(2020, 2, 29)
    assert months_earlier(datetime.date(2020, 3, 15), 15) == datetime.date(2018, 12, 15)


def test_a_spreadsheet_s_export_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("Ausbruch 1978;;\nDatum;Fälle;Ort\n01.02.2020;1,5;Köln\n\n02.02.2020;;Köln\n".encode("cp1252"))
    sheet = read_sheet(path)
    assert sheet.header == ("Datum", "Fälle", "Ort")
    assert sheet.column("Fälle") == ("1,5", "")
    path.write_bytes("time\tx\n1\t2\n".encode("utf-16"))
    assert read_sheet(path).rows == (("1", "2"),)


def test_a_last_row_with_a_cell_beyond_the_header_alone_has_no_time(sir: Path) -> None:
    made = ask(sir, "day,infected\n0,3\n1,8\n2,20\n3,45\n,,provisional\n")
    assert made.notes == ("1 row without a time: left out",)


def test_a_table_of_more_cells_than_memory_has_room_for_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,x\n" + "1,2\n" * 4)
    monkeypatch.setattr("calibration.new_study.table._MOST_CELLS", 10)
    assert len(read_sheet(path).rows) == 4
    path.write_text("time,x\n" + "1,2\n" * 5)
    with pytest.raises(CiparkError, match=r"the table is 'a\.csv', expected at most 10 cells"):
        read_sheet(path)


def test_the_column_of_times_is_found_by_dates_names_or_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for table, column in (("x,when\n3,2020-01-01\n1,2020-01-02\n", "when"), ("cases,week\n5,1\n3,2\n", "week"),
                          ("a,b\n5,1\n3,2\n", "b")):  # fmt: skip
        path.write_text(table)
        assert read_axis(read_sheet(path), None, None).column == column


def test_names_are_compared_as_words() -> None:
    assert words("Number of newCases (per week)") == ("new", "case")
    assert likeness("Population (millions)", "population") == 1
    assert likeness("cases", "New Cases") > 0.8
    assert likeness("revenue", "Recovered") < 0.72
    assert likeness("Polulation", "Population") == pytest.approx(0.9)
    assert likeness("hospitalbeds", "Hospital Beds") == 1
    assert likeness("Card holders", "On Order") == likeness("female", "male") == likeness("increase", "decrease") == 0
    assert likeness("New unvaccinated", "New Vaccinated") < 0.72 > likeness("older", "order")
    assert likeness("North removals", "removing North") == likeness("Arrivals", "arriving") == 0.99
    # what is, is not what happens
    assert likeness("infected", "infection") < 0.72 < likeness("infections", "infecting")


def test_a_column_without_a_variable_names_all_there_are(sir: Path) -> None:
    with pytest.raises(CiparkError, match=r"no column sounds like a variable of sir.*\n.*foo\n.*Susceptible, Infected"):
        ask(sir, "time,foo\n1,2\n2,3\n")
    assert not (sir.parent / "study").exists()


def test_two_variables_that_sound_the_same_are_asked_for(write_mdl: Write) -> None:
    model = write_mdl("Old stock = INTEG(0.1*Old stock, r)~~|New stock = INTEG(0.1*New stock, r)~~|r=1~~|")
    with pytest.raises(
        CiparkError,
        match=r"the column 'stock' may be any of several variables: write "
        r'--value "stock=Old stock" or --value "stock=New stock"',
    ):
        ask(model, "time,stock\n1,2\n2,3\n")
    made = ask(model, "time,stock\n1,2\n2,3\n", values={"stock": "New stock"})
    assert made.series[0].match.names == ("New stock",)


def test_a_subscripted_variable_is_matched_by_element_or_as_the_sum(write_mdl: Write) -> None:
    equations = "K: north,south~~|Firms[K]=INTEG(r*Firms[K], start[K])~~|r=0.1~1/Year~|start[K]=1,2~~|"
    model = write_mdl(equations)
    made = ask(model, "time,firms north,firms\n1,2,3.5\n2,3,4.5\n3,4,6.5\n")
    assert [one.match.names for one in made.series] == [("Firms[north]",)]
    assert made.ignored == ("firms",)
    made = ask(model, "time,firms\n1,3.5\n2,4.5\n3,6.5\n", force=True)
    assert made.series[0].match.names == ("Firms[north]", "Firms[south]")


CARE = """
Region: North, North East, West~~|
Age: A65, A75, A85~~|
Residents[Region, Age] = INTEG(rate * Residents[Region, Age], 10) ~~|
staff[Region] = SUM(Residents[Region, Age!]) / 8 ~~|
rate = 0.1 ~1/Year~|
"""


@pytest.mark.parametrize(
    ("columns", "read"),
    [
        ("North nursing home residents", ["Residents[North]"]),
        ("residents (North)", ["Residents[North]"]),
        ("residents North East", ["Residents[North East]"]),
        ("Residents A75,residents West A65", ["Residents[A75]", "Residents[West,A65]"]),
        ("Residents A75,residents West A75", ["", "Residents[West,A75]"]),
        ("A65 residents (West)", ["Residents[West,A65]"]),
        ("West staff,residents", ["staff[West]", "Residents"]),
        ("residents wesst", ["Residents[West]"]),
        ("residents North West", [""]),
    ],
)
def test_a_column_that_names_elements_is_read_as_these_alone(write_mdl: Write, columns: str, read: list[str]) -> None:
    names = [*columns.split(","), "staff west"] if read == [""] else columns.split(",")
    rows = "".join(f"{i}{f',{i + 10}.5' * len(names)}\n" for i in range(1, 5))
    made = ask(write_mdl(CARE), f"time,{','.join(names)}\n{rows}")
    found = {part.match.column: part.match.label for part in made.series}
    assert [found.get(column, "") for column in columns.split(",")] == read
    for part in made.series:
        elements = re.findall(r"[^\[\],]+", part.match.label)[1:]
        assert all(element in re.findall(r"[^\[\],]+", name) for element in elements for name in part.match.names)
    assert made.series[0].match.label != "Residents[North]" or made.series[0].match.names == (
        "Residents[North,A65]", "Residents[North,A75]", "Residents[North,A85]",
    )  # fmt: skip


LONG = "Quarter,Region,Age group,Indicator,Value\n" + "".join(
    f"2012 Q{q},{region},{age},residents,{100 * q + 10 * i + j}\n"
    for q in (1, 2, 3)
    for i, region in enumerate(("North", "West"))
    for j, age in enumerate(("A65", "A75"))
)
#: Two readings of one series at one time, and one that is missing.
LONG += "2012 Q4,North,A65,residents,400\n2012 Q4,North,A65,residents,402\n2012 Q4,West,A75,residents,n/a\n"


def test_a_long_table_is_a_series_of_each_case(write_mdl: Write) -> None:
    model = write_mdl(CARE, name="care.mdl")
    model.write_text(model.read_text().replace("~ Year ~", "~ Quarter ~"))
    with pytest.raises(
        CiparkError, match=r'--series-by Region,"Age group" makes .* --where "Age group=A65" chooses one'
    ):
        ask(model, LONG)
    made = ask(model, LONG, series_by='Region,"Age group",Indicator')
    assert [part.match.names for part in made.series] == [
        (f"Residents[{region},{age}]",) for region in ("North", "West") for age in ("A65", "A75")
    ]
    assert [part.values.tolist() for part in made.series] == [
        [100, 200, 300, 400, 402], [101, 201, 301], [110, 210, 310], [111, 211, 311],
    ]  # fmt: skip
    assert [row.text for row in made.series[0].rows][2:] == ["2012-09-30", "2012-12-31", "2012-12-31"]
    with pytest.raises(CiparkError, match="Age group tells numbers of one series apart: --series-by Region,Age group"):
        ask(model, LONG, series_by="Region", force=True)
    with pytest.raises(CiparkError, match="no column 'Regon'"):
        ask(model, LONG, series_by="Regon", force=True)


def test_counts_that_fall_are_what_a_stock_that_only_grows_gained(sir: Path) -> None:
    counts = (1, 4, 9, 22, 40, 31, 12, 5, 0, 1)
    rows = "day,cases\n" + "".join(f"{day},{n}\n" for day, n in enumerate(counts, 1))
    made = ask(sir, rows, values={"cases": "Total Cases"})
    problem = written(made)
    assert problem.observations[0].kind == "increments"
    assert [(*t.quantities[0].times, t.quantities[0].how, t.lower) for t in problem.terms] == [  # type: ignore[union-attr]
        (day - 1, day, "between", n) for day, n in enumerate(counts, 1)
    ]
    # a total that was corrected is one, and so is what falls of a stock that can
    corrected = "day,cases\n" + "".join(f"{d},{n}\n" for d, n in enumerate((5, 20, 60, 58, 90, 120), 1))
    assert ask(sir, corrected, values={"cases": "Total Cases"}, force=True).series[0].kind == "level"
    assert ask(sir, rows, values={"cases": "Infected"}, force=True).series[0].kind == "level"


@pytest.mark.parametrize(("final", "n", "asked"), [(60, 60, True), (60, 700, False), (3, 60, False)])
def test_months_that_may_be_days_are_asked_about(sir: Path, final: int, n: int, asked: bool) -> None:
    text = sir.read_text().replace("~ Day ~", "~ Months ~").replace("FINAL TIME = 14", f"FINAL TIME = {final}")
    sir.write_text(text)
    first = datetime.date(2020, 3, 1)
    rows = "date,infected\n" + "".join(f"{first + datetime.timedelta(days=i)},{i % 9 + 1.5}\n" for i in range(n))
    if asked:
        with pytest.raises(CiparkError, match=r"has 60 days, .* runs for 60 months, .*; write --unit month where"):
            ask(sir, rows)
    assert ask(sir, rows, unit="month" if asked else None).clock.calendar.unit == "month"  # type: ignore[union-attr]


def test_an_element_that_is_named_leaves_the_sum_of_the_others(write_mdl: Write) -> None:
    rows = "time,old,x\n" + "".join(f"{i},{i + 10}.5,{i + 20}.5\n" for i in range(1, 5))
    made = ask(write_mdl(CARE), rows, values={"old": "Residents[A85]", "x": "residents[west, a65]"})
    assert made.series[0].match.names == ("Residents[North,A85]", "Residents[North East,A85]", "Residents[West,A85]")
    assert made.series[1].match.names == ("Residents[West,A65]",)
    with pytest.raises(CiparkError, match=r"no element 'Residents\[South\]'"):
        ask(write_mdl(CARE), rows, values={"old": "Residents[South]"}, force=True)


def test_a_pattern_of_columns_names_the_variable_of_all_each_with_its_element(write_mdl: Write) -> None:
    rows = "time,North old,West old\n" + "".join(f"{i},{i + 10}.5,{i + 20}.5\n" for i in range(1, 5))
    made = ask(write_mdl(CARE), rows, values={"* old": "Residents"})
    assert [part.match.label for part in made.series] == ["Residents[North]", "Residents[West]"]
    with pytest.raises(CiparkError, match=r"no column with numbers '\* young'"):
        ask(write_mdl(CARE), rows, values={"* young": "Residents"}, force=True)


def test_a_stock_is_a_level_from_the_first_date_on(sir: Path) -> None:
    made = ask(sir, "date,infected\n" + "".join(f"{d},{n}\n" for d, n in zip(WEEK, (3, 8, 28, 75, 221, 291, 255))))  # noqa: B905
    problem = written(made)
    assert made.series[0].kind == "level"
    assert problem.terms[0].quantities[0].times == (0.0,)
    assert problem.calendar.label(6.0) == "2020-03-08"


def test_a_flow_has_windows_and_a_missing_week_widens_none(sir: Path) -> None:
    table = "day;new infections\n1;3\n2;8\n4;20\n5;\n6;40\n"
    problem = written(ask(sir, table))
    windows = [term.quantities[0].times for term in problem.terms]
    assert windows == [(0, 1), (1, 2), (3, 4), (5, 6)]


def totals(first: int, increments: Sequence[int], column: str = "total cases") -> str:
    numbers = np.cumsum([first, *increments]).tolist()
    return f"day,{column}\n" + "".join(f"{day},{number}\n" for day, number in enumerate(numbers, start=1))


TEN = (5, 12, 20, 31, 44, 30, 18, 9, 4)


@pytest.mark.parametrize(
    ("equation", "units", "is_flow"),
    [
        ("Stock * use", "disc/Year", True),
        ("Stock * use", "disc/(Year*home)", True),
        ("Stock * use", "day/Year", True),
        ("Stock * use", "disc", False),
        ("Stock * use", "1/Year", False),
        ("Stock * use", "disc/Month", False),
        ("Stock * use", "disc/Year/Year", False),
        ("Stock * use", "disc//", False),
        ("SMOOTH(Stock * use, 3)", "disc/Year", False),
    ],
)
def test_a_thing_per_unit_of_time_is_a_flow(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, equation: str, units: str, is_flow: bool
) -> None:
    text = f"Stock = INTEG(grow, 100) ~home~|grow = 5 ~home/Year~|use = 3 ~~|sold = {equation} ~{units}~|"
    model = write_mdl(text, final=10)
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text("t,sold\n1,300\n2,320\n3,330\n4,350\n")
    made = cipark("new-study", model.name, "d.csv")
    assert (f"by its unit {units}\t" in made.output) == is_flow
    assert read_problem(Path("d")).terms[1].quantities[0].times == ((1, 2) if is_flow else (2,))


def test_a_count_that_only_grows_is_fitted_by_increments(sir: Path) -> None:
    made = ask(sir, totals(3, TEN))
    assert made.series[0].kind == "increments"
    assert made.series[0].n_fitted == 10
    assert [term.lower for term in written(made).terms] == [3, *TEN]  # type: ignore[union-attr]


def test_a_total_counted_from_an_earlier_day_has_no_first_increment(sir: Path) -> None:
    made = ask(sir, totals(300, TEN))
    assert made.series[0].n_fitted == 9
    assert [term.lower for term in written(made).terms] == list(TEN)  # type: ignore[union-attr]


def test_control_characters_of_a_column_are_escapes_in_the_study(sir: Path) -> None:
    rows = "".join(f"{week},{week + 1},1\n" for week in range(1, 6))
    made = ask(sir, "week,Infected,odd\x1b]0;\x7f\n" + rows)
    assert "# odd\\u001b]0;\\u007f | nothing | " in (made.folder / "problem.toml").read_text(encoding="utf-8")
    assert written(made)


def test_a_few_rising_whole_numbers_are_measurements(sir: Path) -> None:
    made = ask(sir, totals(3, TEN[:-1]))
    assert (made.series[0].kind, made.series[0].family.discrete) == ("level", False)


def test_a_stock_with_an_outflow_is_a_level_however_its_numbers_rise(sir: Path) -> None:
    made = ask(sir, totals(3, TEN, "infected"))
    assert made.series[0].kind == "level"


@pytest.mark.parametrize(
    ("cells", "options", "noise"),
    [
        ((3, 8, 28, 75, 60, 45), [], "nb1"),
        ((30, 80, 280, 750, 600, 450), [], "lognormal"),
        ((0.3, 0.8, 2.8, 7.5, 6.0, 4.5), ["--scale", "infected=100"], "lognormal"),
        ((0.003, 0.008, 0.028, 0.075, 0.06, 0.045), ["--scale", "infected=1000"], "lognormal"),
        ((10, 20, 10, 20, 20, 10), [], "nb1"),
    ],
)
def test_rounded_and_scaled_whole_numbers_are_measurements(
    sir: Path, monkeypatch: pytest.MonkeyPatch, cells: Sequence[float], options: list[str], noise: str
) -> None:
    monkeypatch.chdir(sir.parent)
    (sir.parent / "flu.csv").write_text("day,infected\n" + "".join(f"{i},{n}\n" for i, n in enumerate(cells, 1)))
    made = cipark("new-study", "sir.mdl", "flu.csv", *options)
    assert f"\tlevel; person; {noise} noise; " in made.output


def test_a_running_total_in_thousands_is_fitted_by_its_increments(sir: Path) -> None:
    cells = (1, 4, 9, 22, 50, 100, 190, 300, 400, 440, 455, 460)
    rows = "".join(f"{day},{n / 100}\n" for day, n in enumerate(cells, 1))
    made = ask(sir, "day,total cases\n" + rows, scale={"total cases": 100.0})
    assert (made.series[0].kind, made.series[0].family.name) == ("increments", "lognormal")


def test_whole_numbers_in_a_unit_of_measure_are_no_counts(write_mdl: Write) -> None:
    model = write_mdl("BOD = INTEG(k * (limit - BOD), 0)~~|k = 1~~|limit = 100~~|")
    made = ask(model, "x,BOD (mg/l)\n1,109\n2,149\n3,149\n5,191\n7,213\n10,224\n")
    assert (made.series[0].kind, made.series[0].family.name) == ("level", "normal")


def test_data_files_of_the_model_come_along(write_mdl: Write) -> None:
    model = write_mdl("X = INTEG(i*g, 5)~~|i := GET DIRECT DATA('drive.csv', ',', 'A', 'B2')~~|g = 1~~|")
    (model.parent / "drive.csv").write_text("t,v\n0,1\n10,2\n")
    made = ask(model, "t,X\n1,6.5\n2,7.5\n3,8.5\n")
    assert (made.folder / "drive.csv").is_file()


def test_months_of_a_model_without_years_count_from_the_start_of_the_data(write_mdl: Write) -> None:
    model = write_mdl("Level = INTEG(a - Level / b, 5) ~thing~|a = 1 ~thing/Month~|b = 9 ~Month~|", final=24)
    model.write_text(model.read_text().replace("~ Year ~", "~ Month ~"))
    made = ask(model, "Month;Level\n2020-01;5,5\n2020-02;6,1\n2020-04;6,9\n")
    problem = written(made)
    assert [term.quantities[0].end for term in problem.terms] == [0, 1, 3]
    assert problem.calendar.label(2.0) == "2020-03-31"


def test_a_flow_and_the_stock_that_it_alone_fills_are_not_both_fitted(sir: Path) -> None:
    table = "day,new infections,total cases\n1,3,3\n2,8,11\n3,20,31\n"
    made = ask(sir, table)
    assert [one.match.column for one in made.series] == ["new infections"]
    assert made.ignored == ("total cases",)
    made = ask(sir, table, values={"total cases": "Total Cases"}, force=True)
    assert len(made.series) == 2


def test_a_stock_that_starts_at_nothing_meets_its_first_number_a_step_later(sir: Path) -> None:
    made = ask(sir, "date,recovered\n2020-03-02,1.5\n2020-03-03,3.5\n2020-03-04,9.5\n")
    assert made.possible
    assert made.series[0].rows[0].time == 1


def test_a_run_that_ends_before_the_data_goes_on(sir: Path) -> None:
    problem = written(ask(sir, "day,infected\n" + "".join(f"{t},{30 + t % 3}\n" for t in range(1, 21))))
    assert problem.scenario.final_time == 20


def test_what_reaches_the_data_is_fitted_and_the_rest_held_with_a_reason(sir: Path) -> None:
    made = ask(sir, "day,infected\n" + "".join(f"{t},{n}\n" for t, n in enumerate((3, 8, 28, 75, 221, 291, 255, 235))))
    roles = {one.name: one.role for one in made.candidates}
    assert roles["Contact Rate"] == roles["Recovery Time"] == "CAL"
    held = {item["name"]: item["why"] for item in content(made)["fixed"]}  # type: ignore[attr-defined]
    assert held["Price Of Beds"] == "no observed variable depends on it"


def test_what_moves_the_data_elsewhere_than_in_the_file_is_fitted(write_mdl: Write) -> None:
    model = write_mdl(
        "Level = INTEG(a + IF THEN ELSE(trigger > 1, extra, 0), 5) ~~|a = 1 ~~|extra = 2 ~~|trigger = 0.5 ~~|"
        "idle = 3 ~~|out = Level + 0 * idle ~~|"
    )
    made = ask(model, "time,out\n" + "".join(f"{t},{5 + 3.2 * t - t % 2:.3f}\n" for t in range(1, 9)))
    roles = {candidate.name: (candidate.role, candidate.why) for candidate in made.candidates}
    assert roles["extra"][0] == "CAL"
    assert roles["idle"] == ("fixed", "does not move the observed numbers")


def test_what_moves_the_data_a_little_is_fitted_unless_a_stock_starts_there() -> None:
    """More police catch nobody while the courts are full, and the truth may have them empty."""

    def one(name: str, *, starts: bool = False) -> Candidate:
        return Candidate(name, 1.0, "", LogNormal(1.0, 1.5), "", "CAL", starts)

    seen = {"strong": 5.0, "weak": MOVES / 3, "start": MOVES / 3, "strong start": 1.0, "idle": 0.0}
    options = [one("strong"), one("weak"), one("start", starts=True), one("strong start", starts=True), one("idle")]
    assert [candidate.role for candidate in roles(options, seen)] == ["CAL", "CAL", "fixed", "CAL", "fixed"]
    assert roles(options[1:2], {"weak": 0.0})[0].role == "CAL"


def test_thresholds_that_no_search_converges_at_take_bounded_time(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "Stock = INTEG(in - out, 100) ~m3~|in = inflow ~m3/Year~|inflow = 10 ~m3/Year~|cut 1 = 0.9 ~~|cut 2 = 0.5 ~~|"
        "out = Stock/life * IF THEN ELSE(Stock/full < cut 1, IF THEN ELSE(Stock/full < cut 2, low, mid), 1) ~m3/Year~|"
        "life = 6 ~Year~|low = 0.3 ~~|mid = 0.7 ~~|full = 110 ~m3~|"
    )
    model = write_mdl(text, final=40)
    asked: list[int] = []
    answers = asking._answers

    def counted(density: Posterior, requests: list[Request], exact: bool) -> list[Answer]:
        asked.append(len(requests))
        return answers(density, requests, exact)

    monkeypatch.setattr(asking, "_answers", counted)
    rows = "".join(f"{t},{60 + 30 * np.sin(t):.2f},{9 + 3 * np.cos(t):.2f}\n" for t in range(1, 40))
    ask(model, "t,stock,out\n" + rows)
    # a line search takes one or two evaluations a step
    assert 0 < sum(asked) <= 2 * STARTS * STEPS


def test_a_threshold_that_a_standard_deviation_crosses_is_fitted(write_mdl: Write) -> None:
    text = (
        "Stock = INTEG(IF THEN ELSE(load > limit, 5, 10), 100) ~m3~|limit = 3 ~~|load = 5 ~~|"
        "other = 1 ~~|never = IF THEN ELSE(other > 3, 1, 0) ~~|"
    )
    made = ask(write_mdl(text, final=5), "t,stock\n1,105\n2,109\n3,116\n4,120\n")
    assert {candidate.name: candidate.role for candidate in made.candidates}["limit"] == "CAL"


def test_no_rule_of_numbers_holds_a_constant(write_mdl: Write) -> None:
    """Aliases too are fitted: their priors say where they are as far as the data do not."""
    names = [f"rate {letter}" for letter in "abcdefghijklmn"]
    model = write_mdl(f"Level = INTEG({' + '.join(names)}, 5) ~~|" + "".join(f"{name} = 0.1 ~~|" for name in names))
    made = ask(model, "time,level\n1,6.4\n2,7.9\n3,9.1\n4,10.8\n")
    assert {candidate.name: candidate.role for candidate in made.candidates}.items() >= dict.fromkeys(
        names, "CAL"
    ).items()


def test_dates_switches_and_conversions_are_held(write_mdl: Write) -> None:
    model = write_mdl(
        "Level = INTEG(inflow * SW Inflow / Months Per Year, 5) ~~|inflow = a + STEP(b, Opening) ~~|a = 1 ~~|b = 2 ~~|"
        "Opening = 3 ~Year~|SW Inflow = 1 ~~|Months Per Year = 12 ~Month/Year~|"
    )
    made = ask(model, "time,level\n" + "".join(f"{t},{5.2 + t / 12 + max(t - 3, 0) / 6:.3f}\n" for t in range(1, 9)))
    held = {candidate.name: candidate.why for candidate in made.candidates if candidate.role == "fixed"}
    assert held["Opening"] == "a date, or the length of an event or a cycle"
    assert held["SW Inflow"] == "a switch"
    assert held["Months Per Year"] == "converts one unit into another"


def test_a_round_number_is_a_conversion_only_by_the_word_that_goes_with_it(write_mdl: Write) -> None:
    model = write_mdl(
        "Level = INTEG(releases per million * 3000000 / million, 5) ~Title~|million = 1000000 ~Home~|"
        "releases per million = 1000 ~Title/Home/Year~|"
    )
    made = ask(model, "time,level\n1,3005\n2,6020\n3,9003\n4,12010\n")
    roles = {candidate.name: candidate.role for candidate in made.candidates}
    assert roles["releases per million"] == "CAL"
    assert roles["million"] == "fixed"


@pytest.mark.parametrize(
    ("equation", "prior"),
    [
        ("k = -2 ~~|", {"family": "normal", "mean": -2, "sd": 3}),
        ("k = 0.25 ~~|", {"family": "lognormal", "median": 0.25, "sigma": 1.5}),
        ("k = 4 ~Dmnl [-9,9] ~|", {"family": "normal", "mean": 4, "sd": 6}),
        ("k = 0.25 ~Dmnl~|", {"family": "logit-normal", "median": 0.25, "sigma": 1.5}),
        ("k = 0.33 ~Dmnl~|", {"family": "logit-normal", "median": 0.33, "sigma": 1.5}),
        ("k = 0.34 ~Dmnl~|", {"family": "lognormal", "median": 0.34, "sigma": 0.75}),
        ("k = 0.9 ~Dmnl~|other = 1 - k ~~|", {"family": "logit-normal", "median": 0.9, "sigma": 1.5}),
        ("k = 0.25 ~1/Year~|", {"family": "lognormal", "median": 0.25, "sigma": 1.5}),
        ("k = 0.25 ~Dmnl [0,5] ~|", {"family": "lognormal", "median": 0.25, "sigma": 1.5}),
        ("k = 0.25 ~~|other = 1 - k ~~|", {"family": "logit-normal", "median": 0.25, "sigma": 1.5}),
        ("k = 0.25 ~Dmnl~|other = Level ^ k ~~|", {"family": "lognormal", "median": 0.25, "sigma": 1.5}),
        ("k = 3 ~Dmnl~|", {"family": "lognormal", "median": 3, "sigma": 1.5}),
    ],
)
def test_priors_are_wide_around_the_model_s_value_on_the_scale_of_its_kind(
    write_mdl: Write, equation: str, prior: dict[str, object]
) -> None:
    model = write_mdl(f"Level = INTEG(1 + k * 0.1, 5) ~~|{equation}")
    made = ask(model, "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n")
    (parameter,) = [p for p in content(made)["parameter"] if p["name"] == "k"]  # type: ignore[attr-defined]
    assert parameter["prior"] == prior
    assert "placeholder" in parameter["why"]


def test_ranges_in_the_file_are_bounds(write_mdl: Write) -> None:
    model = write_mdl("Level = INTEG(a + k, 5) ~~|a = 1 ~~|k = 0.5 ~1/Year [0.1,1.5] ~|z = 3 ~Year~|x = a/z ~~|")
    made = ask(model, "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n")
    bounds = {p.name: (p.lower, p.upper) for p in written(made).space}
    assert bounds["k"] == (0.1, 1.5)
    assert bounds["a"] == (-np.inf, np.inf)


DRIFT = "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n"


def under(made: making.NewStudy, *lines: str) -> CalibrationProblem:
    """The study with further lines under [model]."""
    file = made.folder / "problem.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[model]\n", "\n".join(["[model]", *lines, ""])), encoding="utf-8")
    return written(made)


@pytest.mark.parametrize(
    ("rule", "value", "lower"),
    [
        # steps are 0.25: half of one for a time by itself, one for each stage of a chain
        ("SMOOTH(inflow, z)", 4, 0.125),
        ("SMOOTH3(inflow, z)", 4, 0.75),
        ("DELAY3I(inflow, z, 1)", 40, 0.75),
        ("DELAY N(inflow, z, 1, 3)", 4, 0.125),
        # a plain constant has the bound of its longest chain
        ("SMOOTH(inflow, z) + SMOOTH3(inflow, z) + inflow/z", 4, 0.75),
        # a file that is beyond is not bounded
        ("SMOOTH3(inflow, z)", 0.72, -np.inf),
        ("inflow/z", 0.1, -np.inf),
    ],
)
def test_a_delay_lasts_as_many_steps_as_its_stages_need(
    write_mdl: Write, rule: str, value: float, lower: float
) -> None:
    model = write_mdl(f"Level = INTEG({rule}, 5) ~~|inflow = a * Time ~~|a = 1 ~~|z = {value} ~Year~|", step=0.25)
    (parameter,) = [p for p in written(ask(model, DRIFT)).space if p.name == "z"]
    assert parameter.lower == lower
    assert parameter.bounds_from == ("step" if lower > 0 else "")


RATE = "Level = INTEG(a - k * Level, 5) ~~|a = 1 ~~|k = {} ~1/Year~|"


def test_a_rate_that_the_run_carries_is_possible_and_no_other(write_mdl: Write) -> None:
    made = ask(write_mdl(RATE.format(0.1), step=0.25), DRIFT)
    (parameter,) = [p for p in written(made).space if p.name == "k"]
    assert (parameter.upper, parameter.bounds_from) == (8.0, "step")

    def end(k: float) -> float:
        level = 5.0
        for _ in range(400):
            level += 0.25 * (1 - k * level)
        return abs(level - 1 / k)

    assert end(7.9) < 1e-3 < 1e3 < end(8.1)


@pytest.mark.parametrize(("line", "upper"), [("step = 0.125", 16.0), ('method = "rk4"', 11.14), ("step = 1", 2.0)])
def test_the_bound_of_the_step_is_that_of_the_step_in_force(write_mdl: Write, line: str, upper: float) -> None:
    made = ask(write_mdl(RATE.format(0.1), step=0.25), DRIFT)
    assert "bounds =" not in re.split(r"name = \"k\"", (made.folder / "problem.toml").read_text())[1].split("[[")[0]
    (parameter,) = [p for p in under(made, line).space if p.name == "k"]
    assert (parameter.upper, parameter.bounds_from) == (pytest.approx(upper), "step")


def test_a_bound_of_the_step_is_said(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_mdl(RATE.format(0.1), step=0.25)
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text(DRIFT)
    made = cipark("new-study", model.name, "d.csv")
    assert "their bounds\tnarrower\tk at most 8\tthe run's step\tstep or method in [model]" in made.output
    written_ = (model.parent / "d" / "problem.toml").read_text()
    assert 'bounds_from = "step" # at most 8 in a run as the file has it: a smaller step or rk4, more' in written_


def test_a_bound_of_the_step_beyond_the_range_of_the_file_is_none_that_is_said(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in the study for a coarser step, where it is the narrower one."""
    model = write_mdl(RATE.format(0.1).replace("~1/Year~", "~1/Year [0,5]~"), step=0.25)
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text(DRIFT)
    made = cipark("new-study", model.name, "d.csv")
    assert "their bounds" not in made.output
    written_ = (model.parent / "d" / "problem.toml").read_text()
    assert "bounds = [0, 5]" in written_
    assert 'bounds_from = "step" # beyond the range' in written_


def test_a_study_by_likelihood_alone_has_bounds_and_a_width_is_what_it_says(write_mdl: Write) -> None:
    model = write_mdl("Level = INTEG(a, 5) ~~|a = 1 ~~|")
    table = "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n"
    assert written(ask(model, table)).method.estimate == "map"
    problem = written(ask(model, table, estimate="ml", prior_width=2.0, force=True))
    (parameter,) = [p for p in problem.space if p.name == "a"]
    assert (problem.method.estimate, parameter.lower, parameter.upper) == ("ml", 0.01, 100)
    assert parameter.prior == LogNormal(1, 2)


LEVERS = (
    "Level = INTEG(inflow, Initial Level) ~~|inflow = a + SW Extra Flow * b + Extra Budget * c ~~|Initial Level = 5 ~~|"
    "a = 1 ~~|b = 0.1 ~1/Year [0,0.5] ~|c = 0.1 ~~|Extra Budget = 0.2 ~~|SW Extra Flow = 1 ~~|"
)
ROWS = "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n"


@pytest.mark.parametrize(
    ("without", "sets"),
    [
        ((), [{"Extra Budget": "1.2 * Extra Budget"}]),
        (("SW Extra Flow", "Extra Budget", " [0,0.5] "), [{"a": "0.8 * a"}]),
    ],
)
def test_policies_are_levers_and_never_starts(
    write_mdl: Write, without: tuple[str, ...], sets: list[dict[str, float]]
) -> None:
    equations = LEVERS
    for name in without:
        equations = equations.replace(name, "d" if name == "Extra Budget" else "f" if name[0] == "S" else "")
    equations = equations.replace("d = 0.2", "d = 0").replace("f = 1", "f = 0")
    made = ask(write_mdl(equations), ROWS)
    catalogue = tomllib.loads((made.folder / "policies.toml").read_text(encoding="utf-8"))
    assert [policy["set"] for policy in catalogue["policy"]] == sets


def test_examples_of_policies_move_the_outcome_that_is_asked_about(write_mdl: Write) -> None:
    """The price follows the level and moves nothing: the level is no question to ask of it."""
    model = write_mdl(
        "Level = INTEG(-a * Level, 50) ~~|a = 0.1 ~~|wanted = SMOOTH(price, b) ~~|b = 2 ~~|"
        "price = normal price * 20 / Level ~~|normal price = 3 ~~|"
    )
    rows = "".join(f"{t},{50 * 0.9**t:.3f},{1.2 / 0.9**t:.3f}\n" for t in range(1, 9))
    made = ask(model, f"time,level,price\n{rows}")
    catalogue = tomllib.loads((made.folder / "policies.toml").read_text(encoding="utf-8"))
    assert [policy["set"] for policy in catalogue["policy"]] == [{"normal price": "1.2 * normal price"}]
    assert [outcome["id"] for outcome in catalogue["outcome"]] == ["level", "price"]
    assert catalogue["headline"]["outcome"] == "price"


def test_no_policy_is_about_a_date_a_switch_the_width_of_a_group_or_a_time_that_is_never(write_mdl: Write) -> None:
    model = write_mdl(
        "Young = INTEG(born - ageing, 50) ~person ~|Old = INTEG(ageing - dying, 20) ~person ~|"
        "born = 5 * rise * SW Births ~person/Year ~|ageing = Young / Width of Age Group ~person/Year ~|"
        "dying = Old / Time to Die + Old / For Ever ~person/Year ~|rise = 1 + STEP(1, Start of Scheme) ~~|"
        "Width of Age Group = 7 ~Year ~|For Ever = 1e9 ~Year ~|Time to Die = 6 ~Year ~|Start of Scheme = 4 ~Year ~|"
        "SW Births = 1 ~~|"
    )
    rows = "".join(f"{t},{20 + t}\n" for t in range(1, 10))
    made = ask(model, f"time,old\n{rows}")
    catalogue = tomllib.loads((made.folder / "policies.toml").read_text(encoding="utf-8"))
    levers = {name for policy in catalogue["policy"] for name in policy["set"]}
    fitted = set(made.names("CAL"))
    assert levers == {"Time to Die"}
    assert "Width of Age Group" not in fitted


@pytest.mark.parametrize(
    ("column", "numbers", "asked"),
    [
        ("level", (1, 3, 9, 20, 8, 3), {"metric": "maximum", "title": "Peak of Level"}),
        ("level", (1, 3, 9, 20, 18, 19), {"variable": "Level", "title": "Level"}),
        ("inflow", (1, 3, 9, 20, 18, 19), {"equation": "inflow", "total": True, "units": "person"}),
        ("inflow", (1, 3, 9, 20, 8, 3), {"metric": "maximum", "title": "Peak of inflow"}),
    ],
)
def test_what_is_asked_follows_from_the_shape_of_the_series(
    write_mdl: Write, column: str, numbers: tuple[int, ...], asked: dict[str, object]
) -> None:
    model = write_mdl(
        "Level = INTEG(inflow - a * Level, 1) ~person ~|inflow = 5 * b ~person/Year ~|a = 0.1 ~1/Year ~|b = 1.5 ~~|"
    )
    rows = "".join(f"{t},{number}\n" for t, number in enumerate(numbers, start=1))
    made = ask(model, f"time,{column}\n{rows}")
    catalogue = tomllib.loads((made.folder / "policies.toml").read_text(encoding="utf-8"))
    first = catalogue["outcome"][0]
    assert first["id"] == catalogue["headline"]["outcome"]
    assert {key: first.get(key) for key in asked} == asked
    is_wave = "metric" in asked
    assert [outcome.get("metric") for outcome in catalogue["outcome"]] == (
        ["maximum", "time-of-maximum"] if is_wave else [None]
    )
    assert ("also" in catalogue["headline"]) == is_wave


def test_outcomes_of_elements_are_told_apart(write_mdl: Write) -> None:
    model = write_mdl("R: north, south ~~|Level[R] = INTEG(-a * Level[R], 50) ~~|a = 0.1 ~~|")
    rows = "".join(f"{t},{50 * 0.9**t:.3f},{50 * 0.9**t:.3f}\n" for t in range(1, 9))
    made = ask(model, f"time,level north,level south\n{rows}")
    catalogue = tomllib.loads((made.folder / "policies.toml").read_text(encoding="utf-8"))
    assert [outcome["title"] for outcome in catalogue["outcome"]] == ["Level[north]", "Level[south]"]


def test_a_zero_is_held(write_mdl: Write) -> None:
    model = write_mdl("Level = INTEG(a + k, 5) ~~|k = 0 ~~|a = 1 ~~|")
    made = ask(model, "time,level\n1,6.1\n2,6.9\n3,8.2\n4,9.1\n")
    assert {one.name: one.role for one in made.candidates}["k"] == "fixed"


THOUSANDS = "day,infected\n" + "".join(f"{t},{n / 1000}\n" for t, n in enumerate((1, 3, 4, 6, 9, 8, 21, 30)))


def test_data_in_thousands_are_asked_about(sir: Path) -> None:
    with pytest.raises(
        CiparkError, match=r'the values are about a thousandth of those of .* --scale "infected=1000" if'
    ):
        ask(sir, THOUSANDS)
    assert not (sir.parent / "study").exists()
    made = ask(sir, THOUSANDS, scale={"infected": 1000.0})
    assert [row.value for row in made.series[0].rows][:3] == [1, 3, 4]
    assert made.scaled == {}
    assert ask(sir, THOUSANDS, scale={"infected": 1.0}, force=True).scaled == {}
    # a factor that is wrong is compared with the run as well
    note = ask(sir, THOUSANDS, scale={"infected": 1e6}, force=True).scaled["infected"]
    assert "about 1000 times those of Infected" in note
    assert note.endswith("after --scale 1e+06")


def test_a_stock_that_dies_out_in_the_file_alone_is_no_other_unit(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's constants leave a thousandth of the members; others of the priors keep all of them."""
    model = write_mdl("Members = INTEG(join - leave, 20) ~person~|join = b * Members ~person/Year~|"
                      "leave = d * Members ~person/Year~|b = 0.3 ~1/Year~|d = 0.67 ~1/Year~|", final=22)  # fmt: skip
    numbers = (19.2, 21.4, 20.1, 18.7, 22, 20, 21)
    cells = "".join(f"{year},{members}\n" for year, members in enumerate(numbers, start=15))
    made = ask(model, "year,members\n" + cells)
    assert [row.value for row in made.series[0].rows][:2] == [19.2, 21.4]
    # by the run of the file alone the numbers would be in other units
    monkeypatch.setattr("calibration.new_study.series.FAR_BETTER", 0.0)
    with pytest.raises(CiparkError, match=r"about 1000 times those of Members in a run of the file's own constants"):
        ask(model, "year,members\n" + cells, force=True)


FULL = "Beds = 50 ~bed~|Patients = INTEG(in, 20) ~bed~|in = 3 ~bed/Year~|occupancy = Patients / Beds ~{units}~|"


@pytest.mark.parametrize(
    ("units", "header", "cells", "options", "says", "first"),
    [
        ("Dmnl", "occupancy (%)", "46,55,51,60", [], "is in percent and occupancy a fraction", 0.46),
        ("", "occupancy per cent", "46,55,51,60", [], "is in percent and occupancy a fraction", 0.46),
        ("Dmnl", "occupancy (%)", "0.46,0.55,0.51,0.60", [], None, 0.46),
        ("%", "occupancy (%)", "0.46,0.55,0.51,0.60", [], None, 0.46),
        ("Dmnl", "occupancy (%)", "46,55,51,60", ["--scale", "occupancy (%)=0.01"], None, 0.46),
        ("Dmnl", "occupancy (%)", "46,55,51,60", ["--scale", "occupancy (%)=1"], None, 46),
        (
            "Dmnl",
            "occupancy",
            "46,55,51,60",
            [],
            'about 100 times those of .*--scale "occupancy=0.01" if they are perc',
            None,
        ),
        ("Dmnl", "occupancy", "150,155,151,160", [], '--scale "occupancy=0.01" if they are perc', None),
    ],
)
def test_percent_of_a_fraction_are_hundredths(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, units: str, header: str, cells: str, options: list[str],
    says: str | None, first: float | None,
) -> None:  # fmt: skip
    model = write_mdl(FULL.replace("{units}", units), final=6)
    monkeypatch.chdir(model.parent)
    Path("o.csv").write_text(f"t,{header}\n" + "".join(f"{i},{n}\n" for i, n in enumerate(cells.split(","), 1)))
    made = cipark("new-study", model.name, "o.csv", "--value", f"{header}=occupancy", *options, code=None)
    assert made.exit_code == (2 if first is None else 0), made.output
    assert re.search(says or "a study with", made.output, re.DOTALL), made.output
    assert ("percent" in made.output) == (says is not None)
    if first is not None:
        assert read_problem(Path("o")).terms[0].lower == pytest.approx(first)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("label", "cells", "asked"),
    [
        ("Salvage share", "20.9,39.8,29.4,17.1", True),
        ("Salvage share", "0.2,0.4,0.3,1.02", False),
        # it may well be a multiplier, and the run says nothing of its size
        ("Salvage pressure", "20.9,39.8,29.4,17.1", False),
    ],
)
def test_a_share_far_above_one_is_asked_about_whatever_the_run_is(
    write_mdl: Write, label: str, cells: str, asked: bool
) -> None:
    """Beetles that die out in the file's own run leave a share of nothing, from which 30 is no hundredfold."""
    model = write_mdl(
        f"Beetles = INTEG(-k * Beetles, 1) ~~|k = 9 ~~|{label} = Beetles / (Beetles + 1) ~Dmnl~|", step=0.1
    )
    table = f"t,{label}\n" + "".join(f"{i},{n}\n" for i, n in enumerate(cells.split(","), 1))
    if not asked:
        assert ask(model, table).scaled == {}
        return
    with pytest.raises(CiparkError, match=r'reach 39.8, and .* between 0 and 1 .*--scale "Salvage share=0.01" if they'):
        ask(model, table)
    assert ask(model, table, scale={label: 0.01}).series[0].rows[0].value == 0.209
    assert ask(model, table, scale={label: 1.0}, force=True).series[0].rows[0].value == 20.9


def test_rows_that_are_cut_are_not_said_to_have_no_number(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    rows = "".join(f"{day},{n}\n" for day, n in zip(WEEK, (3, "", 7, 12, 20, 30, 40), strict=True))
    Path("flu.csv").write_text(f"date,infected\n{rows}")
    made = cipark("new-study", "sir.mdl", "flu.csv", "--until", WEEK[4])
    assert f"2 rows after --until {WEEK[4]}: left out" in made.output
    assert "\ta stock; one row has no number: left out" in made.output


@pytest.mark.parametrize(
    ("label", "units", "cells", "noise"),
    [
        ("positivity", "Dmnl", "0.05,0.2,0.6,0.93", "normal"),
        ("positivity", "fraction", "0.05,0.2,0.6,0.93", "normal"),
        ("Share positive", "", "0.05,0.2,0.6,0.93", "normal"),
        # far from 1, beyond it, or something else than a part of 1: the error is in proportion
        ("positivity", "Dmnl", "0.005,0.02,0.06,0.093", "lognormal"),
        ("positivity", "Dmnl", "0.05,0.2,0.6,1.3", "lognormal"),
        ("positivity", "mg", "0.05,0.2,0.6,0.93", "lognormal"),
        ("positivity", "", "0.05,0.2,0.6,0.93", "lognormal"),
    ],
)
def test_the_error_of_a_fraction_near_one_is_not_in_proportion(
    write_mdl: Write, label: str, units: str, cells: str, noise: str
) -> None:
    model = write_mdl(FULL.replace("occupancy", label).replace("{units}", units), final=6)
    made = ask(model, f"t,{label}\n" + "".join(f"{i},{n}\n" for i, n in enumerate(cells.split(","), 1)))
    assert [part.family.name for part in made.series] == [noise]


def test_a_file_ten_times_off_is_no_question_of_units(sir: Path) -> None:
    assert ask(sir, "day,infected\n0,0.1\n1,0.2\n2,0.4\n3,0.7\n").series


def test_few_numbers_and_known_amounts_are_said(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text("day,infected\n1,3\n2,4\n")
    result = cipark("new-study", "sir.mdl", "flu.csv")
    assert "NOTE    2 numbers are too few for 5 constants and the noise" in result.output
    assert "amounts that you know are better held: Population\t--fix NAME" in result.output


def test_counts_are_said_as_people_say_them(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text("day,new infections\n0,3\n1,4\n2,9\n3,11\n")
    result = cipark("new-study", "sir.mdl", "flu.csv", "--origin", "1")
    said = "one row is before the run's initial time: left out (0)"
    assert said in result.output
    assert said in re.sub(r"\n# +", " ", Path("flu/problem.toml").read_text())
    assert "\n5 constants\tfitted\t" in result.output


def test_the_density_of_what_is_written_is_finite(sir: Path) -> None:
    problem = written(ask(sir, "day,infected\n1,3\n2,8\n3,20\n4,45\n"))
    density = posterior(problem, choose("numpy"))
    assert np.isfinite(density.log_posterior(problem.space.medians[None, :])).all()


def test_the_command_writes_a_study_that_calibrates(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    table = "".join(f"{day};{n}\n" for day, n in zip(WEEK, (3, 8, 28, 75, 221, 291, 255), strict=True))
    (sir.parent / "flu.csv").write_text("\ufeffDate;Infected\n" + table, encoding="utf-8")
    result = cipark("new-study", "sir.mdl", "flu.csv")
    assert "cipark calibrate flu --fast" in result.output
    assert {path.name for path in Path("flu").iterdir()} == {
        "problem.toml", "sensitivity.toml", "policies.toml", "README.md", "sir.mdl", "data",
    }  # fmt: skip
    cipark("calibrate", "flu", "--fast", "--no-profiles")
    assert Path("cipark-output/flu/report.html").exists()


@pytest.mark.parametrize(
    ("below", "note"),
    [
        ("Total,76\n", "line 6 ('Total') is below the data and left out"),
        (",76\nSource: ministry,\n", "line 7 ('Source: ministry') is below"),
        ("Sum,76\nSource: ministry of health,\n", "line 6 ('Sum'), line 7 ('Source: ministry of health') are below"),
        ("provisional figures,\n", "line 6 ('provisional figures') is below"),
    ],
)
def test_a_footer_is_left_out_with_a_note(sir: Path, monkeypatch: pytest.MonkeyPatch, below: str, note: str) -> None:
    monkeypatch.chdir(sir.parent)
    (sir.parent / "flu.csv").write_text("day,infected\n0,3\n1,8\n2,20\n3,45\n" + below)
    result = cipark("new-study", "sir.mdl", "flu.csv")
    assert "; 4 rows, 0 to 3\t" in result.output
    assert note in result.output


def test_a_folder_is_not_written_over_without_being_told_to(sir: Path) -> None:
    table = "day,infected\n1,3\n2,8\n3,20\n"
    made = ask(sir, table)
    (made.folder / "notes.txt").write_text("mine")
    with pytest.raises(CiparkError, match="--force"):
        ask(sir, table)
    ask(sir, table, force=True)
    assert (made.folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("day,infected\n1,3\n1,4\n", [], r"all rows have one time, and two are the least"),
        ("day,place,infected\n1,N,3\n1,S,4\n2,N,5\n2,S,6\n", [], r'--where "place=N"'),
        (
            "day,place,sex,infected\n" + "".join(f"{d},{p},{s},{d}\n" for d in (1, 2) for p in "NS" for s in "fm"),
            [],
            r'lines 2 and 3, of different place and sex: --series-by place,sex .*, --where "place=N" --where "sex=f" c',
        ),
        # a window is filled once
        (
            "from,to,new infections\n2 Mar 2020,8 Mar 2020,3\n2 Mar 2020,8 Mar 2020,4\n9 Mar 2020,15 Mar 2020,5\n",
            ["--time", "to"],
            r"new infections is 'two numbers at 2020-03-08', expected each time once: only levels are",
        ),
        ("day,infected\n1,3\n", [], r"flu.csv: one row has a time, and two are the least"),
        ("day,infected\n1,3\n2,many\n3,4\n", [], r"line 3: infected is 'many', expected a number"),
        (
            "day,infected\n1,3\n2,many\n3,4\n4,few\n5,6\n",
            [],
            r"2 problems:\n  - .*line 3: .*'many'.*\n  - .*line 5: .*'few'",
        ),
        ("day,infected\n1,3\n2,4\nprovisional,9\n", [], r"'provisional', expected a number, as 1 is: mend the cell"),
        ("day,infected\n1,3\n2,4\nTotal,7\n3,5\n", [], r"line 4: day is 'Total', .*, or take the row out if it is no"),
        (
            "place,infected\nN,4\nN,3\n",
            [],
            r"no column has dates or ascending numbers; --time names the column of times",
        ),
        ("place,infected\nN,3\nN,4\n", [], r"no column beside the times has numbers: place, infected"),
        ("1,3\n2,4\n", [], r"expected column names"),
        ("day,infected\n", [], r"rows below"),
        ("date,infected\n01/02/2020,1\n02/02/2020,3\n", [], r"--dates dmy or --dates mdy"),
        ("day,infected\n1,3\n2,4\n", ["--value", "infected=Infectd"], r"did you mean 'Infected'"),
        ("day,infected\n1,3\n2,4\n", ["--value", "infected=Contact Rate"], r"a stock or an auxiliary"),
        ("day,infected\n1,3\n2,4\n", ["--time", "dya"], r"did you mean 'day'"),
        ("day,infected\n1,3\n2,4\n", ["--where", "place=N"], r"no column 'place'"),
        ("day,infected\n1,3\n2,4\n", ["--scale", "infectd=2"], r"no column with numbers 'infectd'"),
        ("day,infected\n1,3\n2,4\n", ["--scale", "infected=-2"], r"COLUMN=FACTOR with a positive number"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    sir: Path, monkeypatch: pytest.MonkeyPatch, table: str, options: list[str], message: str
) -> None:
    monkeypatch.chdir(sir.parent)
    (sir.parent / "flu.csv").write_text(table)
    before = sorted(path.name for path in sir.parent.iterdir())
    result = cipark("new-study", "sir.mdl", "flu.csv", *options, code=2)
    assert re.search(message, result.output), result.output
    assert "Traceback" not in result.output
    assert sorted(path.name for path in sir.parent.iterdir()) == before


def test_another_park_starts_from_the_first_one_s_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cipark("new-study", "--from", "great_stone", "-o", "my_park")
    ours, theirs = read_problem(tmp_path / "my_park"), read_problem(ROOT / STUDY)
    assert ours.space.names == theirs.space.names
    assert len(ours.terms) == len(theirs.terms)
    assert ours.model.digest == theirs.model.digest
    rows = (tmp_path / "my_park" / "data" / "residents.csv").read_text()
    assert rows.startswith("# EXAMPLE ROWS of great_stone")
    page = (tmp_path / "my_park" / "README.md").read_text()
    assert page.startswith("# my_park")
    assert "cipark calibrate great_stone --posterior --rivals -o first" in page
    from cipark_sd.analysis.study import find_study
    from cipark_sd.commands.policy.analysis import read_target

    assert find_study(str(tmp_path / "my_park")).question().outputs
    assert len(read_target(tmp_path / "my_park").catalogue.policies) > 5


def test_a_copy_has_the_tables_of_other_studies_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cipark("new-study", "--from", "great_stone_core", "-o", "my_core")
    ours, theirs = read_problem(tmp_path / "my_core"), read_problem(ROOT / (STUDY + "_core"))
    assert [t.label for t in ours.terms] == [t.label for t in theirs.terms]
    assert (tmp_path / "my_core" / "data" / "residents.csv").is_file()
    assert "study = " not in (tmp_path / "my_core" / "problem.toml").read_text()


STUDY = "calibration/studies/great_stone"


def test_a_header_may_have_an_equals_sign(sir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sir.parent)
    Path("flu.csv").write_text("day,in bed (day 0 = 1)\n0,1\n1,3\n2,8\n3,26\n", encoding="utf-8")
    named = "in bed (day 0 = 1)=Infected"
    cipark("new-study", "sir.mdl", "flu.csv", "--value", named, "-o", "study")
    assert 'variable = "Infected"' in Path("study/problem.toml").read_text(encoding="utf-8")


def test_numbers_of_elements_beside_an_equation_are_named(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else would say that they are there."""
    model = write_mdl(
        "Part: north, south, west ~~|share[north] = 0.3 ~~|share[south] = 0 ~~|"
        "share[west] = 1 - share[north] - share[south] ~~|"
        "unseen[north] = 2 ~~|unseen[south] = a ~~|unseen[west] = a ~~|"
        "Level = INTEG(a * share[west], 5) ~~|a = 1 ~~|"
    )
    monkeypatch.chdir(model.parent)
    Path("rows.csv").write_text(ROWS)
    made = cipark("new-study", model.name, "rows.csv")
    assert "share[north]\tleft\t-\ta number beside an equation" in made.output, made.output
    assert "# share[north] | left | - | a number beside" in Path("rows/problem.toml").read_text()
    run = cipark("run", model.name, "--set", "share[north]=0.4", "--variables", "share")
    assert run.output.split()[-1] == "0.6"
    refused = cipark("run", model.name, "--set", "share=0.4", code=2)
    assert "an element that is a number can be set by its name, share[…]" in refused.output
