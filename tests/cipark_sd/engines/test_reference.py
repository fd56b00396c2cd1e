"""Runs through PySD: they leave no trace, hide no fault, and say what they cannot do."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import cipark_sd
from cipark_sd.base.errors import (
    EquationError,
    InvalidValue,
    MissingData,
    OffGrid,
    RunFailed,
    UnknownName,
    UnsupportedFeature,
)
from cipark_sd.base.naming import canonical
from cipark_sd.base.timegrid import time_grid
from cipark_sd.data.scenarios import Override, Scenario, TimeSeries
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Table
from cipark_sd.model.variables import Lookup

simulate = partial(cipark_sd.simulate, engine="pysd")

Write = Callable[..., Path]

TEACUP = """
Cup = INTEG(-loss, start) ~ degrees ~ |
start = 180 ~ degrees ~ |
loss = (Cup - room) / cooling time ~ degrees/Year ~ |
room = 70 ~ degrees ~ |
cooling time = 10 ~ Year ~ |
"""
REGIONS = """
Region: East, West, North ~~|
People[Region] = INTEG(births[Region], initial people[Region]) ~ people ~ |
initial people[Region] = 1, 2, 3 ~ people ~ |
births[Region] = People[Region] * rate[Region] * effect(Time) ~ people/Year ~ |
rate[Region] = 0.1 ~ 1/Year ~ |
effect((0,1), (10,2)) ~ Dmnl ~ |
total = SUM(People[Region!]) ~ people ~ |
"""
RUNGE_KUTTA = (
    "\\\\\\---/// Sketch information - do not modify anything except names\n"
    "///---\\\\\\\n:L<%^E!@\n15:0,0,0,{code},0,0\n"
)


def test_no_program_of_pysd_s_is_formatted_and_pysd_is_left_as_it_was(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import black
    from pysd.builders.python import python_model_builder

    monkeypatch.setattr(black, "format_file_contents", None)
    assert float(simulate(read_model(write_mdl(TEACUP)))["cup"][0]) == 180
    assert python_model_builder.black is black


def test_a_run_after_experiments_equals_the_run_before_bit_for_bit(write_mdl: Write) -> None:
    model = read_model(write_mdl(REGIONS))
    before = simulate(model)
    rest = Scenario("", {"rate[West]": 5, "People": (9, 9, 9), "effect": Table((0.0, 1.0), (3.0, 4.0))})
    simulate(model, rest | Scenario("", {}, initial_time=1, final_time=4, time_step=0.5, saveper=1), times=[2])
    xr.testing.assert_identical(before, simulate(model))


def test_what_is_saved_does_not_change_the_values(write_mdl: Write) -> None:
    model = read_model(write_mdl("A stock = INTEG(2, 1) ~~| z = DELAY FIXED(A stock * 2, 0.5, 0) ~~|", saveper="1"))
    alone = simulate(model, save=["z"])
    xr.testing.assert_equal(alone["z"], simulate(model)["z"])


def test_the_folder_of_the_model_stays_untouched(write_mdl: Write) -> None:
    path = write_mdl(TEACUP)

    def listing() -> list[tuple[str, int, bytes]]:
        return [(p.name, p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(path.parent.iterdir())]

    before = (listing(), path.parent.stat().st_mtime_ns)
    simulate(read_model(path))
    assert (listing(), path.parent.stat().st_mtime_ns) == before


def test_the_scratch_folder_is_gone_after_the_run(
    write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(write_mdl(TEACUP))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    simulate(model)
    assert list(scratch.iterdir()) == []


def test_random_numbers_repeat_and_leave_the_global_generator_alone(write_mdl: Write) -> None:
    model = read_model(write_mdl("noise = RANDOM UNIFORM(0, 1, 5) ~~|"))
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = simulate(model)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]  # noqa: NPY002
    xr.testing.assert_identical(first, simulate(model))


@pytest.mark.parametrize(
    ("overrides", "element"),
    [
        ({"rate": 0.2}, 1),
        ({"rate[west]": 0.2}, 1),
        ({"rate": [0.1, 0.2, 0.1]}, 1),
        ({"rate": {"times": [0, 10], "values": [0.2, 0.2]}}, 1),
        ({"rate[West]": {"times": [0, 10], "values": [0.2, 0.2]}}, 1),
    ],
)
def test_each_form_of_override_equals_the_same_change_in_the_file(
    write_mdl: Write, overrides: Mapping[str, Override], element: int
) -> None:
    changed = read_model(write_mdl(REGIONS.replace("= 0.1 ~ 1/Year", "= 0.2 ~ 1/Year"), name="changed.mdl"))
    run = simulate(read_model(write_mdl(REGIONS)), Scenario("", overrides))
    assert np.array_equal(run["people"][:, element], simulate(changed)["people"][:, element])


def test_an_element_override_leaves_the_other_elements_alone(write_mdl: Write) -> None:
    model = read_model(write_mdl(REGIONS))
    run, base = simulate(model, Scenario("", {"rate[West]": 0.2})), simulate(model)
    assert np.array_equal(run["people"].sel(region="North"), base["people"].sel(region="North"))


def test_an_initial_stock_value_can_be_set_whole_and_by_element(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl(REGIONS)), Scenario("", {"People": 5}) | Scenario("", {"people[north]": 7}))
    assert run["people"][0].to_numpy().tolist() == [5, 5, 7]


def test_a_lookup_can_be_replaced(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl(REGIONS)), Scenario("", {"effect": Table((0.0, 1.0), (0.0, 0.0))}))
    assert np.all(run["births"] == 0)


def test_a_time_series_drives_a_constant_and_is_saved(write_mdl: Write) -> None:
    series = TimeSeries((0.0, 5.0), (70.0, 20.0), "hold_backward")
    run = simulate(read_model(write_mdl(TEACUP)), Scenario("", {"room": series}))
    assert run["room"].sel(time=[4.75, 5]).to_numpy().tolist() == [70, 20]


def test_another_start_reaches_equations_that_read_the_time_at_the_start(write_mdl: Write) -> None:
    model = read_model(write_mdl("begun = INITIAL(Time) ~~| Stock = INTEG(0, Time * 2) ~~|"))
    run = simulate(model, Scenario(initial_time=3))
    assert (float(run["begun"][0]), float(run["stock"][0]), float(run["time"][0])) == (3, 6, 3)


def test_saved_times_are_those_of_the_time_grid(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl(TEACUP, step=0.1, saveper="0.5")))
    grid = time_grid(0, 10, 0.1, 0.5, where="")
    assert np.array_equal(run["time"], grid.saved_times)
    assert float(run["cup"][-1]) == pytest.approx(70 + 110 * 0.99**100, rel=1e-12)


def test_the_save_period_is_the_models_and_not_the_readers(write_mdl: Write) -> None:
    # PySD's XMILE reader takes the time step for it, whatever the file says
    model = read_model(write_mdl(TEACUP))
    run = simulate(replace(model, time=replace(model.time, saveper=2.5)), save=["SAVEPER"])
    assert (run["time"].to_numpy().tolist(), float(run["saveper"][0])) == ([0, 2.5, 5, 7.5, 10], 2.5)


def test_a_step_that_does_not_fit_the_save_period_is_an_error_rather_than_fewer_times(write_mdl: Write) -> None:
    model = read_model(write_mdl(TEACUP, saveper="1"))
    with pytest.raises(InvalidValue, match=r"the save period is 1\.0, expected a multiple of the time step 0\.3"):
        simulate(model, Scenario(time_step=0.3))


def test_times_off_the_grid_are_an_error(write_mdl: Write) -> None:
    with pytest.raises(OffGrid, match=r"time 2\.1 is not on the saved grid"):
        simulate(read_model(write_mdl(TEACUP)), times=[1, 2.1])


def test_a_time_outside_the_run_is_an_error(write_mdl: Write) -> None:
    with pytest.raises(OffGrid, match="from 0 to 10"):
        simulate(read_model(write_mdl(TEACUP)), times=[11])


def runge_kutta(path: Path) -> Path:
    path.write_text(path.read_text(encoding="utf-8") + RUNGE_KUTTA.format(code=5), encoding="utf-8")
    return path


def test_a_file_that_asks_for_runge_kutta_is_not_silently_integrated_with_euler(write_mdl: Write) -> None:
    model = read_model(runge_kutta(write_mdl(TEACUP)))
    assert model.time.method == "rk4"
    with pytest.raises(UnsupportedFeature, match="--method euler"):
        simulate(model)


def test_euler_can_be_asked_for_in_so_many_words(write_mdl: Write) -> None:
    euler = simulate(read_model(write_mdl(TEACUP, name="euler.mdl")))
    run = simulate(read_model(runge_kutta(write_mdl(TEACUP))), method="euler")
    assert np.array_equal(run["cup"], euler["cup"])
    assert run.attrs["integration_method"] == "euler"


def test_division_by_zero_names_variable_and_time(write_mdl: Write) -> None:
    model = read_model(write_mdl("odd one = 1 / (3 - Time) ~~|"))
    with pytest.raises(RunFailed, match=r"model: 'odd one' has no value at time 3: .*division by zero"):
        simulate(model)


def test_the_first_value_that_is_no_number_is_reported(write_mdl: Write) -> None:
    model = read_model(write_mdl("D: A, B ~~| k[D] = 1, 3 ~~| odd one[D] = 1e308 * (1 + Time * k[D]) ~~|"))
    assert simulate(model).attrs["first_non_finite"] == "odd one[B] is inf at time 0.5"


def test_external_data_are_read_beside_the_model_and_from_above_where_that_is_allowed(tmp_path: Path) -> None:
    pd.DataFrame([["time", 0, 5, 10], ["value", 1, 2, 4]]).to_csv(tmp_path / "data.csv", header=False, index=False)
    folder = tmp_path / "deep"
    folder.mkdir()
    path = folder / "model.mdl"
    path.write_text(
        "{UTF-8}\nseen := GET DIRECT DATA('../data.csv', ',', '1', 'B2') ~~|\n"
        "INITIAL TIME = 0 ~~|\nFINAL TIME = 10 ~~|\nTIME STEP = 2.5 ~~|\nSAVEPER = TIME STEP ~~|\n",
        encoding="utf-8",
    )
    model = read_model(path, allow_files=[tmp_path])
    assert simulate(model, engine="pysd")["seen"].to_numpy().tolist() == [1, 1.5, 2, 3, 4]


def test_missing_external_data_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.mdl"
    path.write_text(
        "{UTF-8}\nseen := GET DIRECT DATA('gone.csv', ',', '1', 'B2') ~~|\n"
        "INITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n",
        encoding="utf-8",
    )
    with pytest.raises(EquationError, match=r"model\.mdl:2: the equation of 'seen' reads 'gone\.csv'"):
        simulate(read_model(path))


def test_data_that_no_file_holds_must_come_from_the_scenario_or_a_table(write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl("R: p, q ~~| seen :HOLD BACKWARD: ~~| by[R] ~~| double = seen * 2 + by[p] ~~|")
    model = read_model(path)
    with pytest.raises(MissingData, match=r"'seen', 'by\[p\]', 'by\[q\]' have no equation and no data"):
        simulate(model)
    (tmp_path / "seen.tab").write_text("Time\tseen\tby[p]\tby[q]\n0\t1\t5\t0\n4\t3\t5\t0\n")
    given = read_model(path, series=[tmp_path / "seen.tab"])
    wanted = simulate(given, save=["double"], engine="native")["double"]
    assert wanted.sel(time=[0, 3, 4]).values.tolist() == [7.0, 7.0, 11.0]
    np.testing.assert_array_equal(simulate(given, save=["double"])["double"].values, wanted.values)
    model = read_model(write_mdl("seen :INTERPOLATE: ~~| double = seen * 2 ~~|"))
    run = simulate(model, Scenario("", {"seen": TimeSeries((0.0, 10.0), (0.0, 10.0))}))
    assert float(run["double"][-1]) == 20


def test_control_variables_may_be_computed_or_given(write_mdl: Write) -> None:
    path = write_mdl("length = 3 ~~|")
    path.write_text(path.read_text().replace("FINAL TIME = 10", "FINAL TIME = length * 2"))
    model = read_model(path)
    assert float(simulate(model, save=["length"])["time"][-1]) == 6
    assert float(simulate(model, Scenario(final_time=5), save=["length"])["time"][-1]) == 5


def test_unknown_names_to_save_are_reported_together(write_mdl: Write) -> None:
    with pytest.raises(Exception, match=r"2 problems(.|\n)*did you mean 'Cup'(.|\n)*did you mean 'room'"):
        simulate(read_model(write_mdl(TEACUP)), save=["cups", "rooms"])


def test_an_unknown_engine_is_named_with_those_there_are(write_mdl: Write) -> None:
    with pytest.raises(UnknownName, match="did you mean 'pysd'"):
        simulate(read_model(write_mdl(TEACUP)), engine="psd")


RICH = """
:MACRO: LAGGED(x, lag)
LAGGED = INTEG((x - LAGGED) / lag, x) ~~|
:END OF MACRO:
D: A, B, C ~~|
S: A, B ~~|
E: X, Y ~~|
k[D, E] = 1, 2; 3, 4; 5, 6; ~~|
part[S] = 2 ~~|
mixed[A] = 1 ~~|
mixed[B] = Time ~~|
mixed[C] = SUM(k[C, E!]) ~~|
level[D, E] = INTEG(k[D, E] * 0.1 - level[D, E] * 0.05, k[D, E]) ~~|
lagged = LAGGED(Time * 2, 3) ~~|
smoothed[D] = SMOOTH3(mixed[D], 2) ~~|
delayed[S] = DELAY3(mixed[S] * part[S], 1.5) ~~|
rising = RAMP(0.5, 2, 7) + PULSE(3, 1) + STEP(2, 4) ~~|
bent = WITH LOOKUP(Time, ((0,0), (3,4), (8,1))) ~~|
held = ACTIVE INITIAL(rising + 1, 5) ~~|
"""


@pytest.mark.parametrize("equations", [TEACUP, REGIONS, RICH])
def test_the_engine_gives_what_plain_pysd_gives_of_the_file(write_mdl: Write, equations: str) -> None:
    path = write_mdl(equations)
    model = read_model(path)
    ours = simulate(model, save=[v.name for v in model.variables if not isinstance(v, Lookup)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysd

        theirs = pysd.read_vensim(path).run(flatten_output=False)
    for label in theirs.columns:
        values = np.array([np.asarray(value, dtype=float) for value in theirs[label]])
        np.testing.assert_allclose(ours[canonical(label)].to_numpy(), values, rtol=1e-13, err_msg=label)


def test_an_integer_initial_value_does_not_truncate_a_smooth(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl("s = SMOOTHI(1.9, 2, 1) ~~|", step=1)))
    assert run["s"][:3].to_numpy() == pytest.approx([1, 1.45, 1.675])


def test_a_delay_time_that_starts_as_an_integer_may_become_a_fraction(write_mdl: Write) -> None:
    equation = "d = DELAY N(Time, IF THEN ELSE(Time < 3, {start}, 2.5), 1, 1) ~~|"
    whole = simulate(read_model(write_mdl(equation.format(start="2"), name="whole.mdl")))
    nearly = simulate(read_model(write_mdl(equation.format(start="2.000000000001"), name="nearly.mdl")))
    assert whole["d"].to_numpy() == pytest.approx(nearly["d"].to_numpy(), abs=1e-9)


def test_a_fixed_delay_reads_its_input_before_other_delays_move(write_mdl: Write) -> None:
    # at a time that is saved PySD has the input in its cache, so saving every step gives the right course
    equations = "d = DELAY1I(Time, 2, 0) ~~| z = DELAY FIXED(d * 2, 0.5, 0) ~~|"
    rarely = simulate(read_model(write_mdl(equations, name="rarely.mdl", saveper="1")))
    always = simulate(read_model(write_mdl(equations, name="always.mdl")))
    assert np.array_equal(rarely["z"], always["z"].sel(time=rarely["time"]))


def test_a_sample_reads_its_input_before_stocks_move(write_mdl: Write) -> None:
    equations = "A stock = INTEG(2, 1) ~~| z = SAMPLE IF TRUE(ABS(Time - 1.25) < 0.1, A stock, 0) ~~|"
    assert float(simulate(read_model(write_mdl(equations, saveper="1")))["z"][-1]) == 1 + 2 * 1.25


def test_a_negated_quotient_keeps_its_parentheses(write_mdl: Write) -> None:
    equations = "a = 8 / -(3/4) ~~| b = 8 ^ -(3/4) ~~| c = 8 / -(3*4) ~~| d = 8 - -(3/4) ~~| e = -(3/4) ~~|"
    run = simulate(read_model(write_mdl(equations)))
    values = [float(run[name][0]) for name in "abcde"]
    assert values == [8 / -(3 / 4), 8 ** -(3 / 4), 8 / -(3 * 4), 8 - -(3 / 4), -(3 / 4)]


def test_a_negative_base_with_a_fractional_exponent_is_an_error(write_mdl: Write) -> None:
    model = read_model(write_mdl("base = 1 - 9 ~~| root = base ^ (1/3) ~~|"))
    with pytest.raises(RunFailed, match="'root' has no value"):
        simulate(model)


def test_and_is_done_before_or(write_mdl: Write) -> None:
    text = "a = IF THEN ELSE(Time > 20 :AND: Time > 0 :OR: Time < 30, 1, 0) ~ Dmnl ~ |\n"
    assert simulate(read_model(write_mdl(text)))["a"].to_numpy().min() == 1.0


def test_the_reference_runs_what_the_sanitiser_wins_back(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl("a = 2 {two} + 1 ~ Dmnl ~ |\n")), save=["a"])
    assert run["a"].to_numpy().max() == 3.0


def test_constants_of_a_file_that_fill_part_of_a_range_are_those_elements(tmp_path: Path, write_mdl: Write) -> None:
    (tmp_path / "numbers.csv").write_text("2,3\n4,5\n", encoding="utf-8")
    text = "D: A, B ~~| E: x, y ~~|\nc[D, x] = GET DIRECT CONSTANTS('numbers.csv', ',', 'A1*') ~~|\n"
    model = read_model(write_mdl(text + "twice[D, x] = c[D, x] * 2 + Time ~~|\n", step=1))
    for engine in ("native", "pysd"):
        run = simulate(model, save=["c", "twice"], engine=engine)
        np.testing.assert_array_equal(run["c"][0], [[2, np.nan], [4, np.nan]])
        np.testing.assert_array_equal(run["twice"][1], [[5, np.nan], [9, np.nan]])


def test_elements_with_commas_in_their_names_are_told_apart(write_mdl) -> None:
    model = read_model(
        write_mdl('kind: "a, b", "b, a" ~ ~ | x[kind] = 1, 2 ~ ~ | y[kind] = 2 * x[kind] ~ ~ |', final=1)
    )
    for engine in ("pysd", "native"):
        assert cipark_sd.simulate(model, save=["y"], engine=engine).y[0].to_numpy().tolist() == [2.0, 4.0]
    changed = Scenario("more", {"x": [3.0, 5.0]})
    assert cipark_sd.simulate(model, changed, save=["y"], engine="pysd").y[0].to_numpy().tolist() == [6.0, 10.0]
