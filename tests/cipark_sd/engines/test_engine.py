"""What a program is, what it refuses, and how accurate its integration is."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import AlgebraicLoop, EquationError, Problems, UnknownName, UnsupportedFeature
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.unroll import unroll
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines import compiled
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]


def end(path: Path, name: str, engine: str = "native") -> float:
    runs = ensemble(read_model(path), [Scenario()], save=[name], engine=engine, failures="leave")
    return float(runs[name][0, -1])


def test_an_algebraic_loop_is_shown_in_the_modellers_names(write_mdl: Write) -> None:
    path = write_mdl("Price = Demand * 2 ~~|\nDemand = 10 - Hype ~~|\nHype = Price / 3 ~~|\nfree = 1 ~~|\n")
    with pytest.raises(AlgebraicLoop, match="Price -> Demand -> Hype -> Price"):
        end(path, "price")
    assert end(path, "free") == 1


def test_a_loop_through_initial_values_is_shown_too(write_mdl: Write) -> None:
    path = write_mdl("x = INTEG(1, y * 2) ~~|\ny = INTEG(1, x * 2) ~~|\n")
    with pytest.raises(AlgebraicLoop, match="x -> y -> x; it is one of initial values"):
        end(path, "x")
    path = write_mdl("Strain = SMOOTH(Load, 3) ~~|\nLoad = 10 - Strain ~~|\n")
    with pytest.raises(
        AlgebraicLoop, match=r"give a SMOOTH or a DELAY in it a value to start from \(SMOOTHI, DELAY1I, "
    ):
        end(path, "strain")
    assert end(write_mdl("Strain = SMOOTHI(Load, 3, 5) ~~|\nLoad = 10 - Strain ~~|\n"), "strain") == 5
    path = write_mdl("x = y ~~|\ny = x ~~|\n")
    with pytest.raises(AlgebraicLoop, match=r"put a stock, a SMOOTH or a DELAY into it$"):
        end(path, "x")


def test_elements_of_one_variable_may_depend_on_each_other(write_mdl: Write) -> None:
    path = write_mdl("D: A, B, C ~~|\nx[A] = 2 ~~|\nx[B] = x[A] * 3 ~~|\nx[C] = x[B] + x[A] ~~|\n")
    np.testing.assert_array_equal(ensemble(read_model(path), [Scenario()], save=["x"]).x[0, 0], [2, 6, 8])


def test_a_chain_of_thousands_of_variables_compiles(write_mdl: Write) -> None:
    chain = "x0 = Time ~~|\n" + "".join(f"x{i + 1} = x{i} + 1 ~~|\n" for i in range(1200))
    assert end(write_mdl(chain, final=1, step=0.5), "x1200") == 1201


def test_an_unsupported_function_names_itself_the_variable_and_the_alternative(write_mdl: Write) -> None:
    path = write_mdl("x = DELAY CONVEYOR(Time, 2, 0) ~~|\n")
    with pytest.raises(UnsupportedFeature, match=r"'x' uses DELAY CONVEYOR.*DELAY FIXED"):
        end(path, "x")


def test_an_unknown_function_is_named_with_the_closest_one(write_mdl: Write) -> None:
    with pytest.raises(UnknownName, match="function 'sqroot'; did you mean 'sqrt'"):
        end(write_mdl("x = SQROOT(Time) ~~|\n"), "x")


def test_all_problems_are_reported_at_once(write_mdl: Write) -> None:
    with pytest.raises(Problems) as caught:
        end(write_mdl("x = SQROOT(Time) ~~|\ny = ABBS(1) ~~|\nz = MODULUS(1) ~~|\n"), "x")
    assert len(caught.value.problems) == 3
    with pytest.raises(Problems) as caught:
        read_model(write_mdl("y = ABS(1, 2) ~~|\nz = MODULO(1) ~~|\n"))
    assert len(caught.value.problems) == 2


def test_a_subscript_that_is_nowhere_on_the_left_is_an_error(write_mdl: Write) -> None:
    path = write_mdl("D: A, B ~~|\np[D] = 1, 2 ~~|\nx = p[D] * 2 ~~|\n")
    with pytest.raises(EquationError, match="add '!' to sum over it"):
        end(path, "x")


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2), ("rk4", 4)])
def test_the_error_falls_with_the_order_of_the_method(write_mdl: Write, method: str, order: int) -> None:
    model = read_model(write_mdl("x = INTEG(v, 1) ~~|\nv = INTEG(-x, 0) ~~|\n", final=4))
    steps = [1 / 32, 1 / 64, 1 / 128]
    errors = []
    for step in steps:
        run = ensemble(model, [Scenario("", {"time step": step})], save=["x"], method=method)  # type: ignore[arg-type]
        errors.append(abs(float(run.x[0, -1]) - np.cos(4)))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.1


def test_the_files_own_method_is_used_unless_another_is_asked_for(tmp_path: Path) -> None:
    text = "{UTF-8}\nx = INTEG(-x, 1) ~~|\nINITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\n"
    text += "TIME STEP = 0.25 ~~|\nSAVEPER = 1 ~~|\n"
    text += "\\\\\\---/// Sketch information\n///---\\\\\\\n:L<%^E!@\n15:0,0,0,5,0,0\n"
    (tmp_path / "m.mdl").write_text(text)
    model = read_model(tmp_path / "m.mdl")
    assert model.time.method == "rk4"
    assert abs(float(ensemble(model, [Scenario()], save=["x"]).x[0, -1]) - np.exp(-1)) < 1e-4
    euler = ensemble(model, [Scenario()], save=["x"], method="euler")
    assert float(euler.x[0, -1]) == 0.75**4
    assert euler.attrs["integration_method"] == "euler"


def test_a_hostile_model_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, labels, units, comments and texts that would be code if any of them were ever executed."""
    mark = tmp_path / "marked"
    monkeypatch.chdir(tmp_path)
    code = f"__import__('os').system('touch {mark}')"
    path = tmp_path / "hostile.mdl"
    path.write_text(
        "{UTF-8}\n"
        f"\"x); {code}; (\" = INTEG(\"rate#\\\\n{code}\", 1) ~ \"{code}\" ~ '''{code}'''|\n"
        f'"rate#\\\\n{code}" = 2 ~ $(touch {mark}) ~ `touch {mark}`|\n'
        "INITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 0.5 ~~|\nSAVEPER = 0.5 ~~|\n"
    )
    model = read_model(path)
    names = [v.name for v in model.variables]
    for engine in ("native", "numpy"):
        ensemble(model, [Scenario()], save=names, engine=engine)
    program = compiled.program_for(model, names, compiled.Settings())
    from cipark_sd.engines.native.kernel import kernel

    assert "touch" not in kernel(program)[0]
    assert not mark.exists()
    assert sorted(os.listdir(tmp_path)) == ["hostile.mdl"]


def test_the_program_is_listed_in_the_modellers_names(write_mdl: Write) -> None:
    model = read_model(
        write_mdl("Birth Rate = 0.1 ~~|\nPeople = INTEG(births, 100) ~~|\nbirths = People * Birth Rate ~~|\n")
    )
    program = compiled.program_for(model, ["people", "births"], compiled.Settings())
    listing = list(program.listing())
    assert "births = (People * Birth Rate)" in listing
    assert "state People: from 100.0, rate births" in listing


def test_what_no_output_needs_is_not_built(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = INTEG(1, 0) ~~|\nother = INTEG(EXP(other), 0) ~~|\n"))
    program = compiled.program_for(model, ["x"], compiled.Settings())
    assert [state.label for state in program.states] == ["x"]


def test_names_do_not_change_what_is_computed(write_mdl: Write) -> None:
    one = read_model(write_mdl("a = INTEG(a * r, 1) ~~|\nr = 0.1 ~~|\n", name="one.mdl"))
    two = read_model(write_mdl("People = INTEG(People * Rate, 1) ~~|\nRate = 0.1 ~~|\n", name="two.mdl"))
    programs = [
        compiled.program_for(model, [save], compiled.Settings()) for model, save in ((one, "a"), (two, "people"))
    ]
    assert programs[0].digest == programs[1].digest


def test_division_by_zero_gives_infinity_and_the_run_goes_on(write_mdl: Write) -> None:
    path = write_mdl("x = 1 / (Time - 1) ~~|\n", final=2, step=1)
    for engine in ("native", "numpy"):
        with pytest.warns(RuntimeWarning, match="1 of 1 runs left the numbers; the first is run 0, where 'x' is no"):
            values = ensemble(read_model(path), [Scenario()], save=["x"], engine=engine).x[0].to_numpy()
        np.testing.assert_array_equal(values, [-1, np.inf, 1])


def test_control_variables_may_be_computed_from_constants(write_mdl: Write) -> None:
    model = read_model(write_mdl("n = 4 ~~|\nx = INTEG(1, 0) ~~|\n", saveper="n * TIME STEP"))
    assert list(ensemble(model, [Scenario()], save=["x"], times=[1, 2]).time) == [1, 2]


def test_flat_names_keep_the_modellers_labels(write_mdl: Write) -> None:
    model = read_model(write_mdl("Own: SOE, Private ~~|\nPool[Own] = 1, 2 ~~|\nall = SUM(Pool[Own!]) ~~|\n"))
    flat = unroll(model)
    assert flat.dimensions == ()
    assert flat["pool[soe]"].label == "Pool[SOE]"
    assert inline_macros(flat) == flat


def test_an_external_constant_and_series_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("t,0,2,4\nv,1,5,3\nc,7,8,9\n")
    (tmp_path / "m.mdl").write_text(
        "{UTF-8}\nD: A, B, C ~~|\n"
        "c[D] = GET DIRECT CONSTANTS('data.csv', ',', 'B3') ~~|\n"
        "v:INTERPOLATE::= GET DIRECT DATA('data.csv', ',', '1', 'B2') ~~|\n"
        "t = GET DIRECT LOOKUPS('data.csv', ',', '1', 'B2') ~~|\n"
        "y = t(Time) + SUM(c[D!]) ~~|\n"
        "INITIAL TIME = 0 ~~|\nFINAL TIME = GET DIRECT CONSTANTS('data.csv', ',', 'D1') ~~|\n"
        "TIME STEP = FINAL TIME / 4 ~~|\nSAVEPER = 1 ~~|\n"
    )
    result = ensemble(read_model(tmp_path / "m.mdl"), [Scenario()], save=["c", "v", "y"])
    np.testing.assert_array_equal(result.c[0, 0], [7, 8, 9])
    np.testing.assert_array_equal(result.v[0], [1, 3, 5, 4, 3])
    np.testing.assert_array_equal(result.y[0], [25, 27, 29, 28, 27])


@pytest.mark.parametrize(
    ("equation", "value"),
    [
        # PySD 3.14.3 loses the parentheses of a negated quotient: it gives -0.667 and 0.000488
        ("8 / -(3/4)", -32 / 3),
        ("8 ^ -(3/4)", 8**-0.75),
        # PySD's own power of a negative number turns the whole output complex
        ("-(8 ^ (1/3))", -2.0),
        ("(0 - 2) ^ 2", 4.0),
        ("-two ^ 2", -4.0),
        ("(-two) ^ 2", 4.0),
        ("2 ^ -two", 0.25),
        ("2 ^ 3 ^ two", 512.0),
    ],
)
def test_signs_quotients_and_powers_follow_arithmetic(write_mdl: Write, equation: str, value: float) -> None:
    path = write_mdl(f"x = {equation} ~~|\ntwo = 2 ~~|\n", final=1)
    assert end(path, "x") == pytest.approx(value, rel=1e-15)
    assert end(path, "x", "numpy") == pytest.approx(value, rel=1e-15)


def test_a_fractional_power_of_a_negative_number_is_not_a_number(write_mdl: Write) -> None:
    assert np.isnan(end(write_mdl("x = (0 - 8) ^ (1/3) ~~|\n", final=1), "x"))


def test_an_integer_start_of_a_smooth_does_not_truncate_its_input(write_mdl: Write) -> None:
    """PySD 3.14.3 gives 1, 1, 1.45."""
    model = read_model(write_mdl("x = SMOOTHI(1.9, 2, 1) ~~|\n", final=2, step=1))
    np.testing.assert_allclose(ensemble(model, [Scenario()], save=["x"]).x[0], [1, 1.45, 1.675])


def test_a_sample_is_taken_at_the_start_of_a_step_whatever_is_saved(write_mdl: Write) -> None:
    """PySD 3.14.3 reads the input after stocks that come earlier in the alphabet have moved, unless it is saved."""
    equations = "a = INTEG(1, 0) ~~|\nz = SAMPLE IF TRUE(Time < 0.9, a, 7) ~~|\nd = DELAY FIXED(a, 1, 9) ~~|\n"
    model = read_model(write_mdl(equations, final=2, step=0.5))
    for save in (["z", "d"], ["a", "z", "d"]):
        run = ensemble(model, [Scenario()], save=save)
        np.testing.assert_array_equal(run.z[0], [0, 0.5, 0.5, 0.5, 0.5])
        np.testing.assert_array_equal(run.d[0], [9, 9, 0, 0.5, 1])


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_fixed_delay_of_any_length_has_defined_values(write_mdl: Write, engine: str) -> None:
    """A time below a step is a step (Vensim's manual), one beyond the run never ends, and none has no value."""
    model = read_model(
        write_mdl("x = Time + 1 ~~|\nt = 1 ~~|\nn = 1 ~~|\nd = DELAY FIXED(x, t / n, 7) ~~|\n", final=3, step=1)
    )
    endless, least = [7.0, 7, 7, 7], [7.0, 1, 2, 3]
    cases = [
        ((2, 1), [7.0, 7, 1, 2]),
        ((0, 0), [np.nan] * 4),
        ((1, 0), endless),
        ((-1, 0), least),
        ((-5, 1), least),
        ((0, 1), least),
        ((1e300, 1), endless),
        ((2.0**62, 1), endless),
        ((2.0**63, 1), endless),
        ((-1e300, 1), least),
        ((3, 1), [7.0, 7, 7, 1]),
        ((4, 1), endless),
    ]
    draws = {"t": [float(t) for (t, _), _ in cases], "n": [float(n) for (_, n), _ in cases]}
    together = ensemble(model, draws, save=["d"], engine=engine, failures="leave")
    np.testing.assert_array_equal(together.d, [wanted for _, wanted in cases])
    for (t, n), wanted in cases:
        alone = ensemble(model, {"t": [float(t)], "n": [float(n)]}, save=["d"], engine=engine, failures="leave")
        np.testing.assert_array_equal(alone.d[0], wanted)


def test_a_fixed_delay_without_a_length_says_so(write_mdl: Write) -> None:
    run = simulate(
        read_model(write_mdl("n = 0 ~~|\nd = DELAY FIXED(Time, n / n, 7) ~~|\ny = INITIAL(d) ~~|\n", final=1))
    )
    assert run.attrs["first_non_finite"] == "d is nan at time 0"
    assert np.isnan(run.y).all()


def test_a_time_value_is_relative_to_now_or_to_the_start(write_mdl: Write) -> None:
    """Vensim's manual, fn_get_time_value; PySD has the first alone, so that this is no model of the corpus."""
    path = write_mdl("now = GET TIME VALUE(0, 1, 0) ~~|\nbegun = GET TIME VALUE(1, 2.5, 0) ~~|\n")
    for engine in ("native", "numpy"):
        run = simulate(read_model(path), Scenario(initial_time=3), save=["now", "begun"], engine=engine)
        assert run["now"].values.tolist() == (run["time"].values + 1).tolist()
        assert set(run["begun"].values.tolist()) == {5.5}
    with pytest.raises(UnsupportedFeature, match="GET TIME VALUE of calendar or clock"):
        simulate(read_model(write_mdl("x = GET TIME VALUE(1, 0, 3) ~~|\n")), save=["x"], engine="native")
