"""A study is read as a whole: what it means, and what is said when it is wrong."""

import datetime
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.inference.search.optimise import optimise
from calibration.likelihood.observation_operator import INTEGRAL, Reader, reader
from calibration.likelihood.posterior import posterior
from calibration.noise.reporting import Reporting
from calibration.study import STUDIES
from calibration.study.calendar import UNITS, Calendar, Unit
from calibration.study.observations import Count, Quantity, ReadQuantity, Share
from calibration.study.problem import CalibrationProblem, read_problem, until
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, Problems, UnsupportedFeature
from cipark_sd.base.timegrid import decimal_year, time_grid
from cipark_sd.engines.registry import choose

Write = Callable[..., Path]
MODEL = """
Rate=0.3~1/Year~|
Size[Kind]=1,2~firm~|
Kind: small,large~~|
joining=Rate*(50-Members)~firm/Year~|
Members=INTEG(joining,0)~firm~|
Leavers=INTEG(0.1*Members,0)~firm~|
"""
OBSERVATION = """
[[observation]]
name = "members"
table = "members.csv"
kind = "increments"
variable = "Members"
family = "poisson"
"""
PARAMETER = """
[[parameter]]
name = "Rate"
bounds = [0.01, 2.0]
prior = { family = "lognormal", median = 0.3, sigma = 1.0 }
"""
TABLE = "time,value\n0,0\n2,20\n5,37\n9,45\n"


@pytest.fixture
def make(tmp_path: Path, write_mdl: Write) -> Callable[..., CalibrationProblem]:
    def read(
        observation: str = OBSERVATION, parameter: str = PARAMETER, *, table: str = TABLE, more: str = ""
    ) -> CalibrationProblem:
        model = write_mdl(MODEL)
        (tmp_path / "members.csv").write_text(table)
        (tmp_path / "problem.toml").write_text(f'[model]\nfile = "{model.name}"\n{observation}{parameter}{more}')
        return read_problem(tmp_path)

    return read


Make = Callable[..., CalibrationProblem]


def test_the_last_day_of_a_year_closes_it_in_leap_years_too() -> None:
    assert decimal_year(datetime.date(2019, 12, 31)) == 2020
    assert decimal_year(datetime.date(2020, 12, 31)) == 2021


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)))
def test_a_later_date_is_a_later_time(date: datetime.date) -> None:
    assert decimal_year(date + datetime.timedelta(days=1)) > decimal_year(date)


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)), st.sampled_from(UNITS))
def test_a_date_s_time_is_labelled_as_the_date(date: datetime.date, unit: Unit) -> None:
    calendar = Calendar(unit, None if unit == "decimal year" else datetime.date(1999, 12, 31))
    assert calendar.label(calendar.time_of(date)) == date.isoformat()


def test_a_month_is_one_whatever_its_length() -> None:
    calendar = Calendar("month", datetime.date(2020, 1, 31))
    assert [calendar.model_time(text) for text in ("2020-02-29", "2020-03-31", "2021-01-31")] == [1, 2, 12]
    assert Calendar("quarter", datetime.date(2019, 12, 31)).model_time("2020-06-30") == 2


def test_days_and_weeks_count_from_the_origin() -> None:
    origin = datetime.date(2020, 3, 1)
    assert Calendar("day", origin).model_time("2020-03-15") == 14
    assert Calendar("week", origin).model_time("2020-03-15") == 2


def value_of(read: Reader, outputs: Array) -> float:
    """The only quantity, of ``outputs : (n_outputs, n_times)``."""
    return float(read.of_places(outputs.T.reshape(-1, 1)[read.places], {})[0, 0])


def test_reading_between_steps_is_exact_for_a_straight_line() -> None:
    grid = time_grid(0, 10, 0.25, 0.25, where="test")
    read = reader([Quantity((("x", 1.0), ("y", -1.0)), "between", 1.1, 7.77)], grid, left_rule=True)
    assert value_of(read, np.stack([3 * read.times, read.times])) == pytest.approx(2 * (7.77 - 1.1))


def test_the_integral_of_a_flow_is_the_sum_of_its_steps_under_euler() -> None:
    grid = time_grid(0, 10, 0.25, 0.25, where="test")
    read = reader([Quantity((("flow", 1.0),), "integral", 0, 3.1)], grid, left_rule=True)
    assert read.outputs == ("flow",)
    assert value_of(read, read.times[None]) == pytest.approx(0.5 * (9 - 0.25 * 3) + 0.1 * 3)


def test_the_integral_of_a_flow_is_read_from_a_stock_else_exactly_where_the_stock_is_a_cubic() -> None:
    """The last part of a step too: a flow of 3 t^2 fills a stock of t^3, whatever the window."""
    grid = time_grid(0, 10, 0.25, 0.25, where="test")
    for start, end in ((0, 3), (0.6, 3.1), (3.01, 3.24), (2.5, 9.99)):
        read = reader([Quantity((("flow", 1.0),), "integral", start, end)], grid, left_rule=False)
        courses = {"flow": 3 * read.times**2, INTEGRAL + "flow": read.times**3}
        outputs = np.stack([courses[name] for name in read.outputs])
        assert value_of(read, outputs) == pytest.approx(end**3 - start**3, rel=1e-12)


#: Innovation, imitation and adopters of a Bass curve, and the settings line with which Vensim asks for Runge-Kutta.
P, Q, MARKET = 0.03, 0.38, 1000.0
RUNGE_KUTTA = "\\\\\\---/// Sketch information\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,5,0,0\n"


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_flow_under_runge_kutta_meets_the_closed_form(tmp_path: Path, engine: str) -> None:
    """Bass' adopters over windows on the steps and between them, to a millionth."""
    equations = (
        "{UTF-8}\nRegion: north, south~~|\nsize[Region]=1,0.5~~|market=1000~~|\n"
        "adoption[Region]=(0.03+0.38*adopters[Region]/(market*size[Region]))*(market*size[Region]-adopters[Region])~~|\n"
        "adopters[Region]=INTEG(adoption[Region],0)~~|\n"
        "INITIAL TIME=0~~|FINAL TIME=20~~|TIME STEP=0.0625~~|SAVEPER=TIME STEP~~|\n"
    )
    (tmp_path / "bass.mdl").write_text(equations + RUNGE_KUTTA)
    times = np.array([1.0, 2.0, 3.03, 5.5, 7.77, 12.9, 20.0])
    (tmp_path / "data.csv").write_text("time,value\n" + "".join(f"{time},50\n" for time in times))
    (tmp_path / "problem.toml").write_text(
        '[model]\nfile = "bass.mdl"\n[[observation]]\nname = "adopters"\ntable = "data.csv"\nkind = "flow"\nstart = 0\n'
        'variable = ["adoption[north]", "adoption[south]"]\nfamily = "poisson"\n'
        '[[parameter]]\nname = "market"\nbounds = [100, 5000]\n'
    )
    problem = read_problem(tmp_path)
    assert problem.model.time.method == "rk4"
    found = posterior(problem, choose(engine)).quantities(np.array([MARKET]))[0]
    decay = np.exp(-(P + Q) * np.append(0.0, times))
    exact = np.diff(1.5 * MARKET * (1 - decay) / (1 + Q / P * decay))
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    with pytest.raises(UnsupportedFeature, match="rk4"):
        posterior(problem, choose("pysd")).quantities(np.array([MARKET]))


def test_an_integrated_flow_equals_the_increments_of_its_stock(make: Make) -> None:
    flow = OBSERVATION.replace('"increments"', '"flow"').replace('"Members"', '"joining"') + "start = 0\n"
    increments, integrals = (
        make(table="time,value\n0,0\n2.1,20\n5.03,37\n"),
        make(flow, table="time,value\n2.1,20\n5.03,17\n"),
    )
    both = [posterior(p, choose("numpy")).quantities(np.array([0.3])) for p in (increments, integrals)]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-12)


def test_dated_counts_become_windows_between_them(make: Make) -> None:
    terms = make().terms
    assert [(t.quantities[0].start, t.quantities[0].end, t.lower) for t in terms if isinstance(t, Count)] == [
        (0, 2, 20),
        (2, 5, 17),
        (5, 9, 8),
    ]


def test_a_count_that_is_only_a_check_cuts_no_window(make: Make) -> None:
    problem = make(OBSERVATION + 'use = "use"\n', table="time,value,use\n0,0,fit\n2,20,check\n5,37,fit\n")
    assert [(t.quantities[0].how, t.quantities[0].end, t.use) for t in problem.terms] == [
        ("between", 5, "fit"),
        ("at", 2, "check"),
    ]


def test_bounds_of_counts_widen_the_bounds_of_their_increments(make: Make) -> None:
    observation = OBSERVATION + 'lower = "low"\nupper = "high"\nvalue = "value"\n'
    (term,) = make(observation, table="time,value,low,high\n0,3,2,4\n2,20,19,22\n").terms
    assert isinstance(term, Count)
    assert (term.lower, term.upper) == (15, 20)


def test_an_end_of_an_interval_is_never_missing(make: Make) -> None:
    observation = OBSERVATION + 'lower = "low"\nupper = "high"\n'
    with pytest.raises(CiparkError, match="row 3: high is '', expected a number, or inf: at least"):
        make(observation, table="time,low,high\n0,2,4\n2,19,\n")
    with pytest.raises(CiparkError, match="row 3: low is '', expected a number"):
        make(observation, table="time,low,high\n0,2,4\n2,,19\n")
    (term,) = make(observation, table="time,low,high\n0,2,4\n2,19,inf\n").terms
    assert isinstance(term, Count)
    assert (term.lower, term.upper) == (15, math.inf)


def test_rows_after_the_origin_are_held_out(make: Make) -> None:
    assert [term.use for term in until(make(), 5.0).terms] == ["fit", "fit", "holdout"]


def test_a_net_stock_with_gains_takes_losses_as_the_difference(make: Make) -> None:
    observation = OBSERVATION.replace('"Members"', '["Members", "-Leavers"]') + 'gains = "Members"\n'
    density = posterior(make(observation, table="time,value\n2,20\n5,15\n"), choose("numpy"))
    assert np.isfinite(density.log_likelihood(np.array([[0.3]]))).all()


def test_the_likelihood_of_a_batch_is_that_of_its_rows_bit_for_bit(make: Make) -> None:
    density = posterior(make(), choose("numpy"))
    theta = np.linspace(0.05, 1.5, 7)[:, None]
    together = density.log_posterior(theta)
    assert together.tolist() == [float(density.log_posterior(row[None])[0]) for row in theta]


def test_outside_the_bounds_the_density_is_zero(make: Make) -> None:
    assert np.isneginf(posterior(make(), choose("numpy")).log_posterior(np.array([[3.0]]))).all()


def test_what_the_data_do_not_touch_ends_at_its_prior_median(make: Make) -> None:
    untouched = PARAMETER.replace('"Rate"', '"Size[small]"').replace("0.3", "0.45")
    density = posterior(make(parameter=PARAMETER + untouched), choose("numpy"))
    optimum = optimise(density, starts=2, rng=np.random.default_rng(1), estimate="map")
    assert optimum.theta[1] == pytest.approx(0.45, rel=1e-3)


WRONG = {
    "variable 'Membrs'; did you mean 'Members'": (OBSERVATION.replace('"Members"', '"Membrs"'), PARAMETER),
    "no variable 'Rat'; did you mean 'Rate'": (OBSERVATION, PARAMETER.replace('"Rate"', '"Rat"')),
    "a constant or a stock, not the auxiliary": (OBSERVATION, PARAMETER.replace('"Rate"', '"joining"')),
    "one element of it": (OBSERVATION, PARAMETER.replace('"Rate"', '"Size"')),
    "no element 'Size.medium.'": (OBSERVATION, PARAMETER.replace('"Rate"', '"Size[medium]"')),
    "family 'lognorml'; did you mean 'lognormal'": (OBSERVATION, PARAMETER.replace("lognormal", "lognorml")),
    "median and sigma must be positive": (OBSERVATION, PARAMETER.replace("sigma = 1.0", "sigma = -1.0")),
    "low below high": (OBSERVATION, PARAMETER.replace("[0.01, 2.0]", "[2.0, 0.01]")),
    "no mass between": (
        OBSERVATION,
        PARAMETER.replace('"lognormal", median = 0.3, sigma = 1.0', '"uniform", low = 5, high = 6'),
    ),
    "no family 'poison'; did you mean 'poisson'": (OBSERVATION.replace("poisson", "poison"), PARAMETER),
    "no column 'count'": (OBSERVATION + 'value = "count"\n', PARAMETER),
    "no key 'familly'": (OBSERVATION + 'familly = "poisson"\n', PARAMETER),
    "no noise parameter 'spread'": (OBSERVATION.replace('"poisson"', '"nb1"\ndispersion = "spread"'), PARAMETER),
    "a parameter that an observation names": (
        OBSERVATION,
        PARAMETER + '[[parameter]]\nname = "s"\ntarget = "noise"\nbounds = [0, 1]\n',
    ),
    "a constant that is set once": (OBSERVATION, PARAMETER + '[[fixed]]\nname = "rate"\nvalue = 1\nwhy = "known"\n'),
    r"an experiment is a \[\[policy\]\] in policies.toml": (
        OBSERVATION,
        PARAMETER + '[[experiment]]\nname = "e"\nset = {}\n',
    ),
    "why is None": (OBSERVATION, PARAMETER + '[[fixed]]\nname = "Rate"\nvalue = 1\n'),
    "count the same events twice.*overlap": (
        OBSERVATION + OBSERVATION.replace('name = "members"', 'name = "again"'),
        PARAMETER,
    ),
    "sum of its increments": (
        OBSERVATION + OBSERVATION.replace('name = "members"', 'name = "again"').replace("increments", "level"),
        PARAMETER,
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_mistake_is_named(message: str, make: Make) -> None:
    with pytest.raises(CiparkError, match=message):
        make(*WRONG[message])


TABLES = {
    "outside the run, 0 to 10": "time,value\n0,0\n2,20\n11,40\n",
    "a date such as 2019-11-26": "time,value\n0,0\nsoon,20\n",
    "row 3: value is 'many'": "time,value\n0,0\n2,many\n",
    "whole numbers for the family poisson": "time,value\n0,0\n2,20.5\n",
    "would count it twice": "time,value,derived_from\n0,0,\n2,20,rows 3 and 4\n",
    "two dated counts": "time,value\n2,20\n",
    "a table with rows": "time,value\n",
}


@pytest.mark.parametrize("message", TABLES)
def test_a_mistake_in_a_table_is_named(message: str, make: Make) -> None:
    with pytest.raises(CiparkError, match=message):
        make(table=TABLES[message])


def test_the_rows_that_a_study_leaves_out_of_a_large_table_take_no_part(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on what is chosen, and none on what the table has."""
    monkeypatch.setattr("calibration.study.rows.MOST_ROWS", 3)
    table = "# two places\ntime,value,place\n0,0,a\n2,20,a\n5,25,a\n" + "1,many,b\n" * 5
    assert len(make(OBSERVATION + 'where = { place = "a" }\n', table=table).terms) == 2
    with pytest.raises(CiparkError, match=r"is 'members\.csv', expected 3 rows at most; choose some with where"):
        make(table=table.replace("many", "3"))
    with pytest.raises(CiparkError, match=r"members\.csv row 6: value is 'many', expected a number"):
        make(OBSERVATION + 'where = { place = "b" }\n', table=table)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[dates]\nunit = "day"\norigin = 2020-01-01T00:00:00\n', "origin"),
        (
            f"{OBSERVATION.replace('members', 'b', 1)}reported = {{ at = [[]] }}\n[[event]]\nname = 'e'\ndates = [3]\n",
            "reported",
        ),
    ],
)
def test_a_value_of_another_kind_is_one_of_the_mistakes(more: str, message: str, make: Make) -> None:
    with pytest.raises(CiparkError, match=message):
        make(more=more)


def test_a_model_file_whose_name_is_too_long_does_not_exist(make: Make, tmp_path: Path) -> None:
    make()
    study = tmp_path / "problem.toml"
    for key in ("file", "bundled"):
        lines = [
            f'{key} = "{"m" * 400}.mdl"' if "model.mdl" in line else line for line in study.read_text().splitlines()
        ]
        (tmp_path / "long").mkdir(exist_ok=True)
        (tmp_path / "long" / "problem.toml").write_text("\n".join(lines))
        with pytest.raises(CiparkError, match=r"does not exist|not among the bundled"):
            read_problem(tmp_path / "long")


def test_all_mistakes_are_reported_together(make: Make) -> None:
    with pytest.raises(Problems) as caught:
        make(
            OBSERVATION.replace('"Members"', '"Membrs"') + "weight = -1\n",
            PARAMETER.replace('"Rate"', '"Rat"'),
            table="time,value\n0,0\n20,3\n",
            more="[method]\nstarts = 0\n",
        )
    assert len(caught.value.problems) == 5


def test_a_missing_study_says_what_a_study_is(tmp_path: Path) -> None:
    with pytest.raises(CiparkError, match=r"is no study: it has no problem\.toml"):
        read_problem(tmp_path / "nowhere")


def test_the_park_study_reads_and_uses_each_firm_once() -> None:
    problem = read_problem(STUDIES / "great_stone")
    entries = [t for t in problem.fitted_terms if t.label.startswith("residents")]
    assert sum(t.lower for t in entries if isinstance(t, Count)) == 60
    assert sum(parameter.use == "CAL" for parameter in problem.space) == 13
    checks = [t.label for t in problem.terms if t.use == "check"]
    assert "residents 2015-04-30" in checks


def test_a_table_may_be_that_of_a_study_of_the_package(make: Make) -> None:
    """The core study reads the tables of great_stone; nobody else's folder can be named so."""
    core, park = read_problem(STUDIES / "great_stone_core"), read_problem(STUDIES / "great_stone")
    assert not (STUDIES / "great_stone_core" / "data").exists()
    entries = [t for t in core.fitted_terms if t.label.startswith("residents") and isinstance(t, Count)]
    assert sum(t.lower for t in entries) == 60
    ends = {t.quantity.end for t in park.fitted_terms if t.label.startswith("residents") and isinstance(t, Count)}
    assert {t.quantity.end for t in entries} == ends
    for name in ("..", "nowhere", "/etc", "great_stone/../hare_lynx"):
        with pytest.raises(CiparkError, match="no study of the package"):
            make(OBSERVATION + f'study = "{name}"\n')
    with pytest.raises(CiparkError, match="outside"):
        make(OBSERVATION.replace('"members.csv"', '"../hare_lynx/data/lynx.csv"') + 'study = "great_stone"\n')


def test_a_date_that_is_only_looked_at_merges_the_windows_on_both_sides(make: Make) -> None:
    problem = make(OBSERVATION + 'check_at = ["2"]\n')
    fitted = [t for t in problem.fitted_terms if isinstance(t, Count)]
    assert [(t.quantity.start, t.quantity.end, t.lower) for t in fitted] == [(0, 5, 37), (5, 9, 8)]
    assert [t.label for t in problem.terms if t.use == "check"] == ["members 2"]
    with pytest.raises(CiparkError, match=r"no date '3'.*"):
        make(OBSERVATION + 'check_at = ["3"]\n')


@pytest.mark.parametrize("name", ["great_stone", "great_stone_core", "great_stone_curves"])
def test_ceremonies_are_events_at_which_those_who_wait_get_their_certificates(name: str) -> None:
    found = {t.label: t for t in read_problem(STUDIES / name).fitted_terms if isinstance(t, Count)}
    assert [found[f"residents {date}"].lower for date in ("2014-12-24", "2015-05-12", "2019-07-01", "2019-07-02")] == [
        0, 7, 1, 11,
    ]  # fmt: skip
    for term in found.values():
        layers = {q.reading for q in term.quantities if isinstance(q, ReadQuantity)}
        (layer,) = layers
        assert isinstance(layer, Reporting)
        # each ceremony lies at the end of the window that ends with it
        assert layer.events == tuple(found[f"residents {date}"].quantity.end for date in ("2015-05-12", "2019-07-02"))


def test_firms_at_work_are_told_given_the_last_count_of_residents() -> None:
    """Each total is the last dated count by that day, and each firm at work is counted once."""
    for name, label in (("great_stone", "operating"), ("great_stone_core", "working")):
        problem = read_problem(STUDIES / name)
        counts = sorted(
            (t.quantity.end, t.level[0])
            for t in problem.fitted_terms
            if isinstance(t, Count) and t.label.startswith("residents") and t.level is not None
        )
        shares = [t for t in problem.terms if isinstance(t, Share) and t.label.startswith(f"{label} 20")]
        for share in shares:
            day = share.quantities[0].end
            assert share.total == [count for end, count in counts if end <= day + 1e-9][-1], share.label
        fitted = [share for share in shares if share.use == "fit"]
        assert [share.since.before for share in fitted if share.since] == [0, 3, 3, 3][: len(fitted)]


def test_an_observation_that_is_fitted_on_request_is_fitted_whole(make: Make, tmp_path: Path) -> None:
    make(OBSERVATION + 'check_at = ["2"]\n')
    problem = read_problem(tmp_path, fit_also=["members"])
    assert [t.use for t in problem.terms] == ["fit"] * 3


def test_a_row_is_told_by_its_line_below_comments_too(make: Make) -> None:
    with pytest.raises(CiparkError, match=r"members.csv row 4: value is 'x'"):
        make(table="# a note\ntime,value\n0,0\n2,x\n5,37\n9,45\n")


def test_a_share_s_prior_needs_no_bounds(make: Make) -> None:
    problem = make(
        parameter=PARAMETER.replace("bounds = [0.01, 2.0]", "").replace(
            '{ family = "lognormal", median = 0.3, sigma = 1.0 }',
            '{ family = "logit-normal", median = 0.3, sigma = 1.0 }',
        )
    )
    assert problem.space.parameters[0].median == pytest.approx(0.3)
