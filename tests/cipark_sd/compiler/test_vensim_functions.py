"""Functions whose rule Vensim's manual gives by an example or by equations; none is in a public recorded run."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError, EquationError
from cipark_sd.engines.programs import flat_model
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import to_mdl
from cipark_sd.language.write.mdl import write_mdl as save_mdl
from cipark_sd.language.write.mdl import write_mdl as write_mdl_file
from cipark_sd.language.write.xmile import to_xmile, write_xmile
from cipark_sd.model.expr import walk
from cipark_sd.model.variables import expressions
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
LOOK = "look((0,1),(1,1),(2,2)) ~~|\n"


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_lookups_are_read_as_the_manual_s_examples_say(write_mdl: Write, engine: str) -> None:
    """fn_lookup_forward and fn_lookup_extrapolate; BACKWARD is the former's mirror image."""
    inputs = {"below": -1.0, "between": 1.5, "above": 2.5}
    equations = LOOK + "".join(
        f"{way} {name} = LOOKUP {way}(look, {value}) ~~|\n"
        for way in ("FORWARD", "BACKWARD", "EXTRAPOLATE")
        for name, value in inputs.items()
    )
    result = simulate(read_model(write_mdl(equations)), engine=engine)
    values = {name: float(result[name][0]) for name in result.data_vars if "_" in str(name)}
    expected = {"forward": (1.0, 2.0, 2.0), "backward": (1.0, 1.0, 2.0), "extrapolate": (1.0, 1.5, 2.5)}
    for way, numbers in expected.items():
        assert [values[f"{way}_{name}"] for name in inputs] == list(numbers), way


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_data_stay_over_a_step_of_runge_kutta(write_mdl: Write, tmp_path: Path, engine: str) -> None:
    """rungekutta.html: exogenous inputs are held over the interval, here data that rise by 1 and are marked :RAW:."""
    (tmp_path / "d.csv").write_text("time,d,r\n0,0,0\n1,1,1\n2,2,2\n3,3,3\n", encoding="utf-8")
    path = write_mdl("d ~~|\nr :RAW: ~~|\nS = INTEG(d, 0) ~~|\nT = INTEG(r, 0) ~~|\n", final=3, step=1)
    path.write_text(path.read_text() + "\\\\\\---/// Sketch\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,5,0,0\n")
    model = read_model(path, series=[tmp_path / "d.csv"])
    assert model.time.method == "rk4"
    run = simulate(model, engine=engine)
    assert run["s"].to_numpy().tolist() == [0, 0, 1, 3]
    assert run["t"].to_numpy().tolist() == [0, 0, 1, 3]


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_stages_that_are_counted_go_by_steps_and_are_no_more_than_fit(write_mdl: Write, engine: str) -> None:
    """fn_smooth_n: constant over each step of Runge-Kutta, and the order is reduced until its time has the steps."""
    equations = "S = INTEG(1, 0) ~~|\nx = SMOOTH N(S, 2, 0, 1) ~~|\ny = DELAY N(S, 2, 0, 1) ~~|\n"
    equations += "z = SMOOTH N(S, 2, 0, 5) ~~|\n"
    path = write_mdl(equations, final=3, step=1)
    euler = simulate(read_model(path), engine=engine)
    stages = [0, 0], [0, 0], [1, 0], [2, 1]
    assert euler["z"].to_numpy().tolist() == [second for _, second in stages]
    path.write_text(path.read_text() + "\\\\\\---/// Sketch\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,5,0,0\n")
    model = read_model(path)
    run = simulate(model, engine=engine)
    for name in ("x", "y", "z"):
        np.testing.assert_array_equal(run[name], euler[name], err_msg=name)
    with pytest.raises(CiparkError, match="SMOOTH N under Runge-Kutta, over whose steps Vensim holds it"):
        to_xmile(model)


def test_a_ramp_and_data_under_runge_kutta_are_not_written_as_what_does_not_wait(
    write_mdl: Write, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text("time,d\n0,0\n3,3\n", encoding="utf-8")
    path = write_mdl("d ~~|\nr = RAMP(1, 0, 3) ~~|\nS = INTEG(d + r, 0) ~~|\n", final=3, step=1)
    euler = read_model(path, series=[tmp_path / "d.csv"])
    to_xmile(euler)
    path.write_text(path.read_text() + "\\\\\\---/// Sketch\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,5,0,0\n")
    model = read_model(path, series=[tmp_path / "d.csv"])
    with pytest.raises(CiparkError, match=r"data under Runge-Kutta[\s\S]*RAMP under Runge-Kutta"):
        to_xmile(model)
    with pytest.raises(CiparkError, match="'d' uses data under Runge-Kutta"):
        to_mdl(model)


def test_an_integral_with_bounds_stops_at_them_and_starts_between_them(write_mdl: Write) -> None:
    """fn_sinteg: never below min, never above max, with :NA: for both it is INTEG; arrays and exceptions too."""
    equations = """
D: a, b ~~| rate[D] = 3, -3 ~~| end = :NA: ~~|
S[D] = SINTEG(rate[D] * IF THEN ELSE(Time > 3, -1, 1), 12 - 10 * (D - 1), 0, 10, :NA:, :NA:, :NA:) ~~|
free = SINTEG(Time - free, 1, :NA:, :NA:, :NA:, :NA:, :NA:) ~~| plain = INTEG(Time - plain, 1) ~~|
low = SINTEG(-3, 4, 0.5, :NA:, :NA:, :NA:, :NA:) ~~|
"""
    run = simulate(read_model(write_mdl(equations, step=1, final=6)))
    np.testing.assert_array_equal(run["s"].T, [[10, 10, 10, 10, 10, 7, 4], [2, 0, 0, 0, 0, 3, 6]])
    np.testing.assert_array_equal(run["free"], run["plain"])
    np.testing.assert_array_equal(run["low"], [4, 1, *[0.5] * 5])
    with pytest.raises(CiparkError, match=r"model\.mdl:2:\d+: .*SINTEG with a quantum or a special value"):
        read_model(write_mdl("S = SINTEG(1, 0, 0, 9, 1, :NA:, :NA:) ~~|\n"))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_the_inverse_of_a_table_is_the_first_and_beyond_it_missing(write_mdl: Write, engine: str) -> None:
    """fn_lookup_invert, with its three examples: the smallest value where a table turns, :NA: beyond it."""
    equations = """
falling((0,8),(1,4),(4,1)) ~~| manual((0,0),(1,1),(3,2)) ~~| turning((0,1),(1,1),(2,3),(4,2),(6,6),(7,6)) ~~|
x = LOOKUP INVERT(falling, Time) ~~| there = IF THEN ELSE(x = :NA:, 0, 1) ~~|
below = LOOKUP INVERT(manual, -1) ~~| half = LOOKUP INVERT(manual, 0.5) ~~| above = LOOKUP INVERT(manual, 1.5) ~~|
first = LOOKUP INVERT(turning, Time / 2) ~~|
"""
    model = read_model(write_mdl(equations, step=1, final=14))
    run = simulate(model, save=["x", "there", "below", "half", "above", "first"], engine=engine)
    nan = np.nan
    np.testing.assert_array_equal(run["x"], [nan, 4, 3, 2, 1, 0.75, 0.5, 0.25, 0, *[nan] * 6])
    np.testing.assert_array_equal(run["there"], [0, *[1] * 8, *[0] * 6])
    assert np.isnan(run["below"]).all()
    assert (run["half"] == 0.5).all()
    assert (run["above"] == 2.0).all()
    turns = [nan, nan, 0, 1.25, 1.5, 1.75, 2, 4.75, 5, 5.25, 5.5, 5.75, 6]
    np.testing.assert_allclose(run["first"], [*turns, nan, nan], rtol=1e-14)


def test_the_inverse_of_a_table_with_turns_is_not_written_and_of_one_with_steps_is_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl(f"{LOOK}x = LOOKUP INVERT(look, Time) ~~|\n"))
    with pytest.raises(EquationError, match="takes the inverse of a table that does not rise throughout"):
        to_xmile(model)


@pytest.mark.parametrize("inline", [False, True])
def test_an_inverse_that_is_missing_beyond_its_table_is_so_in_xmile(
    write_mdl: Write, tmp_path: Path, inline: bool
) -> None:
    equations = """
D: a, b ~~| t((0,8),(1,4),(4,1)) ~~| c[a]((0,0),(2,5)) ~~| c[b]((0,5),(1,1),(3,0)) ~~|
x = LOOKUP INVERT(t, Time) ~~| y[D] = LOOKUP INVERT(c[D], Time) ~~|
"""
    model = read_model(write_mdl(equations, final=10))
    write_xmile(model, tmp_path / "again.xmile", inline_lookups=inline)
    first, second = simulate(model), simulate(read_model(tmp_path / "again.xmile"))
    for name in ("x", "y"):
        assert np.isnan(first[name]).any()
        np.testing.assert_array_equal(first[name], second[name])


def test_a_lookup_that_is_none_is_named(write_mdl: Write) -> None:
    with pytest.raises(CiparkError, match="LOOKUP FORWARD takes two arguments, a lookup and a number"):
        read_model(write_mdl("a = 1 ~~|\nx = LOOKUP FORWARD(a, Time) ~~|\n"))


@pytest.mark.parametrize("function", ["NPV", "NPVE"])
def test_net_present_value_is_the_manual_s_equations(write_mdl: Write, function: str) -> None:
    """fn_npv and fn_npve: the functions are equivalent to three equations each."""
    first = "1" if function == "NPV" else "1 / (1 + rate * TIME STEP)"
    equations = f"""
stream = 3 + Time ~~|
rate = 0.1 + Time / 100 ~~|
value = {function}(stream, rate, 5, 2) ~~|
written out = (total + stream * TIME STEP * df) * 2 ~~|
total = INTEG(stream * df, 5) ~~|
df = INTEG(-df * rate / (1 + rate * TIME STEP), {first}) ~~|
"""
    result = simulate(read_model(write_mdl(equations)))
    assert np.allclose(result["value"], result["written_out"], rtol=1e-14, atol=0)
    assert float(result["value"][0]) != 10.0


MISSING_VALUES = """
sub: s1, s2 ~~|
a = :NA: ~~|
equal = IF THEN ELSE(a = :NA:, 1, 0) ~~|
differs = IF THEN ELSE(a <> :NA:, 1, 0) ~~|
less = IF THEN ELSE(a < 0, 1, 0) ~~|
larger = MAX(a, 3) ~~|
beside = IF THEN ELSE(Time > 1, a, 5) ~~|
half = a / 2 ^ 109 ~~|
known[s1] = 4 ~~|
known[s2] = :NA: ~~|
mean known = SUM(IF THEN ELSE(known[sub!] = :NA:, 0, known[sub!])) ~~|
"""


@pytest.mark.parametrize("engine", ["native", "numpy", "pysd"])
def test_what_is_missing_is_a_number_that_results_show_as_none(write_mdl: Write, engine: str) -> None:
    """na.html: ":NA: takes on a special value (-2^109) that can be used to test for the existence of data"."""
    model = read_model(write_mdl(MISSING_VALUES))
    result = simulate(model, save=[v.name for v in model.variables if v.name != "saveper"], engine=engine)
    one = {name: float(result[name][0]) for name in ("equal", "differs", "less", "larger", "half", "mean_known")}
    assert one == {"equal": 1.0, "differs": 0.0, "less": 1.0, "larger": 3.0, "half": -1.0, "mean_known": 4.0}
    assert np.isnan(result["a"]).all()
    assert result["beside"].to_numpy().tolist()[:5] == [5.0] * 5
    assert np.isnan(result["beside"][5:]).all()
    assert "first_non_finite" not in result.attrs
    runs = ensemble(model, [{}, {}], save=["beside"]) if engine == "native" else None
    if runs is not None:
        assert np.isnan(runs["beside"][:, 5:]).all()
        assert not runs["run_failed"].any()


@pytest.mark.parametrize("ending", [".mdl", ".xmile"])
def test_what_is_missing_is_written_and_read_again(write_mdl: Write, tmp_path: Path, ending: str) -> None:
    model = read_model(write_mdl(MISSING_VALUES + "listed[sub] = 4, :NA: ~~|\nlast = listed[s2] ~~|\n"))
    again = tmp_path / f"again{ending}"
    (write_mdl_file if ending == ".mdl" else write_xmile)(model, again)
    assert (":NA:" in again.read_text(encoding="utf-8")) == (ending == ".mdl")
    back = to_mdl(read_model(again))
    # in XMILE the sum is written out
    assert back.count(":NA:") == (6 if ending == ".mdl" else 7)
    before, after = simulate(model), simulate(read_model(again))
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before.data_vars)


def test_raw_data_are_missing_between_their_times(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("time,d\n0,7\n2,8\n", encoding="utf-8")
    path = write_mdl("d :RAW: ~~|\nthere = IF THEN ELSE(d = :NA:, 0, 1) ~~|\n")
    result = simulate(read_model(path, series=[tmp_path / "data.csv"]))
    assert result["there"].sel(time=[0, 1, 2, 3]).to_numpy().tolist() == [1.0, 0.0, 1.0, 0.0]


def test_a_sum_that_has_no_value_is_not_one_without_it(write_mdl: Write) -> None:
    path = write_mdl(
        "sub: s1, s2 ~~|\nv[s1] = 3 ~~|\nv[s2] = Time / Time ~~|\nx = SUM(v[sub!]) ~~|\ny = VMIN(v[sub!]) ~~|\n"
    )
    result = simulate(read_model(path))
    assert np.isnan(result["x"][0])
    assert np.isnan(result["y"][0])
    assert float(result["x"][4]) == 4.0


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_vector_select_has_no_value_where_its_error_action_stops_vensim(write_mdl: Write, engine: str) -> None:
    """fn_vector_select: 1 is an error where nothing is selected, 2 where more than one is, 3 either way."""
    equations = "sub: s1, s2, s3 ~~|\nv[sub] = 5, 6, 7 ~~|\nnone[sub] = 0, 0, 0 ~~|\none[sub] = 0, 1, 0 ~~|\n"
    equations += "two[sub] = 1, 1, 0 ~~|\n" + "".join(
        f"{name}{error} = VECTOR SELECT({name}[sub!], v[sub!], -1, 6, {error}) ~~|\n"
        for name in ("none", "one", "two")
        for error in range(4)
    )
    model = read_model(write_mdl(equations))
    result = simulate(model, save=[f"{n}{e}" for n in ("none", "one", "two") for e in range(4)], engine=engine)
    values = {n: [float(result[f"{n}{e}"][0]) for e in range(4)] for n in ("none", "one", "two")}
    np.testing.assert_equal(values, {"none": [-1, np.nan, -1, np.nan], "one": [6] * 4, "two": [11, 11, np.nan, np.nan]})


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_sample_if_true_may_read_what_it_has_held(write_mdl: Write, tmp_path: Path, engine: str) -> None:
    """fn_sample_if_true: the usual way to keep a minimum; each element is one of its own."""
    path = write_mdl(
        "sub: s1, s2 ~~|\nv[s1] = ABS(Time - 3) ~~|\nv[s2] = 5 - Time ~~|\n"
        "least[sub] = SAMPLE IF TRUE(v[sub] < least[sub], v[sub], 10) ~~|\n"
        "count = SAMPLE IF TRUE(MODULO(Time, 2) = 1, count + 1, 0) ~~|\n",
        final=6,
        step=1,
    )
    model = read_model(path)
    write_xmile(model, tmp_path / "again.xmile")
    again = read_model(tmp_path / "again.xmile")
    save_mdl(again, tmp_path / "back.mdl")
    for read in (model, again, read_model(tmp_path / "back.mdl")):
        result = simulate(read, engine=engine)
        assert result["least"].to_numpy().T.tolist() == [[3, 2, 1, 0, 0, 0, 0], [5, 4, 3, 2, 1, 0, -1]]
        assert result["count"].to_numpy().tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert re.search(r"count = SAMPLE IF TRUE\([^~]*, count \+ 1, 0\)", (tmp_path / "back.mdl").read_text())


def test_an_array_may_be_a_stock_for_some_elements_alone(write_mdl: Write) -> None:
    path = write_mdl(
        "sub: s1, s2 ~~|\nx[s1] = INTEG(2, 1) ~~|\nx[s2] = Time * 10 ~~|\ntotal = SUM(x[sub!]) ~~|\n", final=2, step=1
    )
    result = simulate(read_model(path))
    assert result["total"].to_numpy().tolist() == [1.0, 13.0, 25.0]
    assert result["x"].to_numpy().T.tolist() == [[1, 3, 5], [0, 10, 20]]


def test_computed_data_that_are_raw_are_missing_where_their_data_are(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("time,d,e\n0,7,1\n1,,2\n2,8,3\n", encoding="utf-8")
    equations = "d ~~|\ne ~~|\nboth := d + e ~~|\nraw :RAW: := both ~~|\nthere = IF THEN ELSE(raw = :NA:, 0, raw) ~~|\n"
    result = simulate(read_model(write_mdl(equations), series=[tmp_path / "data.csv"]))
    assert result["there"].sel(time=[0, 1, 2, 3]).to_numpy().tolist() == [8.0, 0.0, 11.0, 0.0]
    assert result["both"].sel(time=1).item() == 9.5


def test_data_are_not_computed_by_what_a_run_alone_knows(write_mdl: Write, tmp_path: Path) -> None:
    """Source: Vensim's manual, dataequations: only other data and constants may stand on the right of ``:=``."""
    (tmp_path / "d.csv").write_text("time,d\n0,7\n3,8\n", encoding="utf-8")
    of_run = {
        "STEP(1, 2)": "STEP",
        "PULSE(1, 2)": "PULSE",
        "RANDOM UNIFORM(0, 1, 7)": "RANDOM UNIFORM",
        "SMOOTH(d, 2)": "SMOOTH",
        "stock": "'stock'",
        "later": "'later'",
    }
    model = "d ~~|\nk = 2 ~~|\ntwice = 2 * k ~~|\nstock = INTEG(1, 0) ~~|\nlater = twice * STEP(1, 2) ~~|\n"
    for text, name in of_run.items():
        path = write_mdl(f"{model}x := d * {text} ~~|\n")
        with pytest.raises(
            EquationError, match=rf"mdl:\d+: .*'x' computes data \(:=\) by {name}, .* write the equation"
        ):
            simulate(read_model(path, series=[tmp_path / "d.csv"]))
    steps = "x := d * IF THEN ELSE(Time < 2, k, twice) ~~|\n"
    run = simulate(read_model(write_mdl(model + steps, final=3, step=1), series=[tmp_path / "d.csv"]))
    assert run["x"].to_numpy().tolist() == [14.0, 20.0, 26.0, 32.0]


def test_a_chain_of_computed_data_is_as_long_as_the_model_that_runs(write_mdl: Write, tmp_path: Path) -> None:
    """Each reads the one before it twice: written out in each other they would be 2^40 terms."""
    (tmp_path / "d.csv").write_text("time,x0,z\n0,1,0\n2,3,\n3,,3\n4,5,4\n", encoding="utf-8")
    chain = "".join(f"x{i} := 0.5 * x{i - 1} + 0.5 * x{i - 1} + 0 * z ~~|\n" for i in range(1, 41))
    model = read_model(write_mdl(f"x0 ~~|\nz ~~|\n{chain}", final=4, step=1), series=[tmp_path / "d.csv"])
    assert simulate(model)["x40"].to_numpy().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    terms = sum(1 for v in flat_model(model).variables for expr in expressions(v) for _ in walk(expr))
    assert terms < 40 * 200


def test_further_results_of_a_macro_are_variables_of_the_model(write_mdl: Write) -> None:
    macro = ":MACRO: M(x, y : more, less)\nM = x + y ~~|\nmore = INTEG(x, 0) ~~|\nless = x - y ~~|\n:END OF MACRO:\n"
    result = simulate(read_model(write_mdl(macro + "a = M(3, 2 : b, My Less) ~~|\nc = b + My Less ~~|\n", step=1)))
    assert [float(result[name][2]) for name in ("a", "b", "my_less", "c")] == [5.0, 6.0, 1.0, 7.0]
    with pytest.raises(
        CiparkError, match=r"model\.mdl:.*'d'.* is asked of 'm', which has 2 further results; name no more"
    ):
        read_model(write_mdl(macro + "a = M(3, 2 : b, c, d) ~~|\n"))
    outer = ":MACRO: N(x)\nN = M(x, 1 : z, w) ~~|\n:END OF MACRO:\n"
    with pytest.raises(CiparkError, match="'z' is a further result of a macro inside a macro"):
        read_model(write_mdl(macro + outer + "a = N(3) ~~|\n"))


ELEMENTS = """
sub: s1, s2, s3 ~~|
tub: t1, t2 ~~|
v[sub] = 10, 20, 30 ~~|
same[sub] = VECTOR ELM MAP(v[s1], sub - 1) ~~|
before[sub] = IF THEN ELSE(sub = s1, 5, VECTOR ELM MAP(chain[sub], -1)) ~~|
chain[sub] = before[sub] * 2 ~~|
w[sub, tub] = 1, 2; 3, 4; 5, 6; ~~|
both[sub, tub] = VECTOR ELM MAP(w[s1, t1], (sub - 1) * ELMCOUNT(tub) + (tub - 1)) ~~|
moving = VECTOR ELM MAP(v[s2], Time) ~~|
"""


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_vector_elm_map_is_the_manual_s_examples(write_mdl: Write, engine: str) -> None:
    """fn_vector_elm_map, and the aging chain of the page on numeric subscripts; beyond the range it is :NA:."""
    result = simulate(read_model(write_mdl(ELEMENTS, step=1, final=3)), engine=engine)
    assert result["same"][0].to_numpy().tolist() == [10, 20, 30]
    assert result["chain"][0].to_numpy().tolist() == [10, 20, 40]
    assert result["both"][0].to_numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert np.array_equal(result["moving"].to_numpy(), [20, 30, np.nan, np.nan], equal_nan=True)


def test_they_are_written_and_read_again(write_mdl: Write, tmp_path: Path) -> None:
    falling = "t((0,8),(1,4),(4,1)) ~~|\n"
    equations = f"{falling}x = LOOKUP INVERT(t, Time) ~~|\ny = NPV(x, 0.1, 0, 1) ~~|\n"
    equations += "z = LOOKUP FORWARD(t, Time) + LOOKUP BACKWARD(t, Time) + LOOKUP EXTRAPOLATE(t, Time) ~~|\n"
    model = read_model(write_mdl(equations))
    written = tmp_path / "again.mdl"
    written.write_text(to_mdl(model), encoding="utf-8")
    first, second = simulate(model), simulate(read_model(written))
    for name in ("x", "y", "z"):
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_delay_information_holds_where_its_time_rises_and_drops_where_it_falls(write_mdl: Write, engine: str) -> None:
    """The examples of fn_delay_information: what entered before a more recent value has come out is lost."""
    equations = (
        "r = RAMP(1, 10, 60) ~~|\n"
        "longer = DELAY INFORMATION(r, 15 + STEP(15, 40), 0) ~~|\n"
        "shorter = DELAY INFORMATION(r, 15 - STEP(10, 40), -1) ~~|\n"
        "within a step = DELAY INFORMATION(Time, 0, 7) ~~|\n"
    )
    run = simulate(read_model(write_mdl(equations, final=100)), engine=engine)
    t = run.time.to_numpy()

    def entered(at: np.ndarray, before: float) -> np.ndarray:
        return np.where(at < 0, before, np.clip(at, 10, 60) - 10)

    assert np.array_equal(run.longer, entered(np.where(t < 55, t - 15, np.where(t < 70, 39.75, t - 30)), 0))
    assert np.array_equal(run.shorter, entered(np.where(t < 45, t - 15, t - 5), -1))
    assert np.array_equal(run.within_a_step, np.where(t < 0.25, 7, t - 0.25))


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_straight_line_depreciation_is_the_mean_over_the_lifetime(write_mdl: Write, engine: str) -> None:
    """fn_depreciate_straightline: a constant stream that goes on as it began gives itself; a period is one step."""
    equations = (
        "spent = PULSE(2, 0.25) * 100 + 8 ~~|\n"
        "over two = DEPRECIATE STRAIGHTLINE(spent, 2, 0.25, 8) ~~|\n"
        "from nothing = DEPRECIATE STRAIGHTLINE(spent, 1, 0.25, 0) ~~|\n"
        "at once = DEPRECIATE STRAIGHTLINE(spent, 0.25, 0.25, 3) ~~|\n"
        "in years = DEPRECIATE STRAIGHTLINE(spent, 2, 1, 0) ~~|\n"
    )
    run = simulate(read_model(write_mdl(equations, final=6)), engine=engine)
    t = run.time.to_numpy()
    spent = np.where(t == 2, 108.0, 8.0)
    assert np.array_equal(run.spent, spent)
    assert np.array_equal(run.over_two, np.where((t >= 2) & (t < 4), 8 + 100 / 8, 8))
    assert np.array_equal(run.from_nothing, np.minimum(4 * t + 1, 4) * 2 + np.where((t >= 2) & (t < 3), 25, 0))
    assert np.array_equal(run.at_once, spent)
    assert np.isnan(run.in_years).all()


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_a_vector_is_a_lookup_of_even_distances(write_mdl: Write, engine: str) -> None:
    """fn_vector_lookup: heights that change in the run, read as LOOKUP and its relatives read a table."""
    equations = (
        "d: d1, d2, d3, d4 ~~|\nrow: r1, r2 ~~|\nh[row, d] = row * (d - 2) ^ 2 + Time ~~|\nx = 3 * Time - 2 ~~|\n"
        + "".join(f"mode {mode}[row] = VECTOR LOOKUP(h[row, d1], x, 1, 7, {mode}) ~~|\n" for mode in (0, 2, 3, 4, 5))
    )
    run = simulate(read_model(write_mdl(equations, final=4)), engine=engine)
    t = run.time.to_numpy()
    at, knots = 3 * t - 2, np.array([1.0, 3, 5, 7])
    for row in (1, 2):
        heights = row * np.array([1.0, 0, 1, 4])
        before = np.clip(np.searchsorted(knots, at, "right") - 1, 0, 3)
        after = np.clip(np.searchsorted(knots, at, "left"), 0, 3)
        above = np.where(at > 7, 4 + 3 * (at - 7) / 2, np.interp(at, knots, [1, 0, 1, 4]))
        beyond = np.where(at < 1, 1 - (at - 1) / 2, above) * row
        found = {mode: run[f"mode_{mode}"][:, row - 1].to_numpy() - t for mode in (0, 2, 3, 4)}
        np.testing.assert_allclose(found[0], np.interp(at, knots, heights), atol=1e-14)
        np.testing.assert_array_equal(found[2], heights[before])
        np.testing.assert_allclose(found[3], beyond, atol=1e-14)
        np.testing.assert_array_equal(found[4], heights[after])
    assert np.isnan(run.mode_5).all()


def test_a_vector_lookup_names_the_first_element(write_mdl: Write) -> None:
    equations = "d: d1, d2, d3 ~~|\nh[d] = 1, 2, 3 ~~|\n"
    for heights in ("h[d2]", "Time", "3"):
        with pytest.raises(EquationError, match="no variable with the first element"):
            simulate(read_model(write_mdl(f"{equations}y = VECTOR LOOKUP({heights}, 0.5, 0, 1, 0) ~~|\n")))
