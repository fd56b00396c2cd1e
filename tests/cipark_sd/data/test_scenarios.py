"""The algebra of scenarios, and what they refuse."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from counted import exponent, steps
from hypothesis import given
from hypothesis import strategies as st

from cipark_sd.base.errors import CiparkError, InvalidValue, Problems, UnknownName
from cipark_sd.base.naming import split_key
from cipark_sd.data.scenarios import Override, Scenario, TimeSeries, parse_assignments, read_scenario, resolve
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Table
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]

numbers = st.floats(allow_nan=False, allow_infinity=False)
overrides = st.dictionaries(
    st.sampled_from(["a", "b", "B", "c d", "C_D", "a[x]", "a[ Y ]", "b[x]"]),
    st.one_of(
        numbers,
        st.lists(numbers, min_size=2, max_size=3).map(tuple),
        st.just(TimeSeries((0.0, 1.0), (2.0, 3.0))),
        st.just(Table((0.0, 1.0), (2.0, 3.0))),
    ),
)
scenarios = st.builds(
    Scenario,
    st.sampled_from(["", "dry", "wet"]),
    overrides,
    initial_time=st.none() | numbers,
    final_time=st.none() | numbers,
    time_step=st.none() | numbers,
    saveper=st.none() | numbers,
)


@given(scenarios, scenarios, scenarios)
def test_combining_is_associative(a: Scenario, b: Scenario, c: Scenario) -> None:
    assert (a | b) | c == a | (b | c)


@given(scenarios)
def test_the_empty_scenario_is_neutral(a: Scenario) -> None:
    assert a | Scenario() == a == Scenario() | a


@given(scenarios, scenarios)
def test_the_right_one_wins(a: Scenario, b: Scenario) -> None:
    combined = a | b
    assert all(combined.overrides[key] == value for key, value in b.overrides.items())
    assert all(getattr(b, name) in (None, getattr(combined, name)) for name in ("initial_time", "saveper"))


@given(scenarios)
def test_a_scenario_combined_with_itself_changes_nothing(a: Scenario) -> None:
    assert (a | a).renamed("") == a.renamed("")


@given(scenarios)
def test_equal_scenarios_have_equal_hashes_and_survive_pickling(a: Scenario) -> None:
    again = pickle.loads(pickle.dumps(a))
    assert again == a
    assert hash(again) == hash(a)


@given(scenarios)
def test_the_json_of_a_scenario_is_json(a: Scenario) -> None:
    assert json.loads(a.to_json()).get("name", "") == a.name


def test_a_whole_variable_takes_back_what_was_said_of_its_elements() -> None:
    assert dict((Scenario("", {"a[x]": 1}) | Scenario("", {"A": 2})).overrides) == {"a": 2.0}


def test_an_element_is_said_on_top_of_the_whole() -> None:
    assert dict((Scenario("", {"a": 2}) | Scenario("", {"a[x]": 1})).overrides) == {"a": 2.0, "a[x]": 1.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("much", "'much', expected a finite number"),
        (float("nan"), "expected a finite number"),
        (True, "expected a finite number"),
        ({"times": [0, 0], "values": [1, 2]}, "expected ascending numbers"),
        ({"times": [0, 1], "values": [1]}, "as many points as values"),
        ({"x": [0, 1]}, r"expected \{x, y\} or \{times, values\}"),
        ({"x": [0], "y": [1], "interpolation": "spline"}, "expected interpolate, extrapolate"),
        (None, "expected a number, a list"),
    ],
)
def test_a_value_of_no_known_form_is_an_error(value: Override, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        Scenario("", {"a": value})


EQUATIONS = """
D: East, West ~~|
pool[D] = 1, 2 ~~| rate = 3 ~~| flow = rate * 2 ~~|
Stock = INTEG(flow, 1) ~~| table((0,0), (1,1)) ~~|
"""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rat": 1}, "has no variable 'rat'; did you mean 'rate'"),
        ({"pool[Est]": 1}, "has no element of D 'Est'; did you mean 'West' or 'East'"),
        ({"pool[East, West]": 1}, r"expected 1 element\(s\)"),
        ({"rate[East]": 1}, r"expected 0 element\(s\)"),
        ({"pool": [1, 2, 3]}, "expected 2 numbers"),
        ({"flow": 1}, "'flow' is computed by its equation and cannot be 1; set one of: rate"),
        ({"table": 1}, "the lookup 'table'.*expected a table"),
        ({"Stock": Table((0.0, 1.0), (1.0, 2.0))}, "the stock 'Stock'.*expected an initial value, or what it is"),
    ],
)
def test_a_scenario_that_does_not_fit_the_model_says_why(
    write_mdl: Write, changes: Mapping[str, Override], message: str
) -> None:
    with pytest.raises(CiparkError, match=message):
        resolve(read_model(write_mdl(EQUATIONS)), Scenario("", changes))


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm", "pysd"])
def test_a_number_in_place_of_data_holds_at_all_times(write_mdl: Write, tmp_path: Path, engine: str) -> None:
    data = tmp_path / "rain.csv"
    data.write_text("Time,rain,price[East],price[West]\n0,1,5,6\n4,9,5,6\n")
    equations = "D: East, West ~~| rain ~~| price[D] ~~| wet = 2 * rain ~~| dear[D] = price[D] ~~|"
    model = read_model(write_mdl(equations), series=[data])
    assert simulate(model, engine=engine)["wet"].to_numpy()[-1] > 2
    run = simulate(model, Scenario("", {"rain": 0.01, "price[West]": 7}), engine=engine)
    assert set(run["wet"].to_numpy()) == {0.02}
    assert run["dear"].to_numpy().tolist() == [[5.0, 7.0]] * run.sizes["time"]


def test_data_that_a_number_replaces_need_no_table(write_mdl: Write) -> None:
    model = read_model(write_mdl("rain ~~| wet = 2 * rain ~~|"))
    assert set(simulate(model, Scenario("", {"rain": 0.01}))["wet"].to_numpy()) == {0.02}
    with pytest.raises(
        CiparkError, match=r"the series 'rain'.*expected a number that holds at all times or a time series"
    ):
        resolve(model, Scenario("", {"rain": [1, 2]}))


def test_all_that_does_not_fit_is_reported_at_once(write_mdl: Write) -> None:
    with pytest.raises(Problems, match="2 problems") as caught:
        resolve(read_model(write_mdl(EQUATIONS)), Scenario("odd", {"rat": 1, "pool": (1,)}))
    assert [type(problem) for problem in caught.value.problems] == [UnknownName, InvalidValue]


def test_a_file_that_saves_every_step_goes_on_to_do_so(write_mdl: Write) -> None:
    model = read_model(write_mdl(EQUATIONS))
    assert resolve(model, Scenario(time_step=0.5)).saveper == 0.5


def test_a_scenario_file_is_read_with_times_tables_and_series(tmp_path: Path) -> None:
    path = tmp_path / "drought.toml"
    path.write_text(
        '[set]\n"Room Temperature" = 5\ntable = {x = [0, 1], y = [2, 3]}\nrain = {times = [0, 1], values = [2, 0]}\n'
        "[time]\nto = 20\n"
    )
    series = TimeSeries((0.0, 1.0), (2.0, 0.0))
    expected: dict[str, Override] = {"room temperature": 5, "table": Table((0.0, 1.0), (2.0, 3.0)), "rain": series}
    assert read_scenario(path) == Scenario("drought", expected, final_time=20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[sett]\na = 1", "has no key 'sett'; did you mean 'set'"),
        ("[time]\nform = 1", r"\[time\] has no key 'form'; did you mean 'from'"),
        ("[set\na = 1", "this is no TOML"),
        ('[set]\na = "much"', "expected a finite number"),
        ("set = 3", r"\[set\]: its content is 3, expected a table"),
        ("time = 3", r"\[time\]: its content is 3, expected a table"),
        ("[set]\na = true\nb = []\n", "2 problems"),
    ],
)
def test_a_scenario_file_with_a_mistake_names_it(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(content)
    with pytest.raises(CiparkError, match=message):
        read_scenario(path)


def test_a_missing_scenario_file_suggests_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "drought.toml").write_text("")
    with pytest.raises(InvalidValue, match=r"did you mean 'drought\.toml'"):
        read_scenario(tmp_path / "drouht.toml")


def test_assignments_may_hold_lists_elements_and_spaces() -> None:
    scenario = parse_assignments(["Pool [East] = 4", "rate=1e-3", "pool2=1, 2"])
    assert dict(scenario.overrides) == {"pool[east]": 4.0, "rate": 0.001, "pool2": (1.0, 2.0)}


def test_the_last_equals_sign_of_an_assignment_is_before_its_value() -> None:
    scenario = parse_assignments(['"ratio a=b" = 4', "c>=d=2"])
    assert dict(scenario.overrides) == {"ratio_a=b": 4.0, "c>=d": 2.0}


def test_all_assignments_that_are_none_are_reported_at_once() -> None:
    with pytest.raises(Problems, match=r"3 problems(.|\n)*NAME=VALUE(.|\n)*'much'(.|\n)*'1,x'"):
        parse_assignments(["rate", "rate=much", "pool=1,x"])


@pytest.mark.parametrize("key", ["x{}", "x[a{}]"])
def test_the_work_grows_as_the_number_of_settings(key: str) -> None:
    def work(n: int) -> float:
        values = {key.format(i): 1.0 for i in range(n)}
        split_key.cache_clear()
        return steps(lambda: Scenario("", values) | Scenario("", values))

    assert exponent(work, 50, 200) < 1.2


def test_a_whole_variable_takes_back_its_elements_and_elements_change_the_whole() -> None:
    assert dict(Scenario("", {"x[a]": 1, "y[a]": 3, "X": 2}).overrides) == {"y[a]": 3, "x": 2}
    assert dict(Scenario("", {"x": 2, "x[a]": 1, "X[ A ]": 4}).overrides) == {"x": 2, "x[a]": 4}
    assert dict((Scenario("", {"x[a]": 1}) | Scenario("", {"x": 2})).overrides) == {"x": 2}
    assert dict((Scenario("", {"x": 2}) | Scenario("", {"x[a]": 1, "x": 5})).overrides) == {"x": 5}
