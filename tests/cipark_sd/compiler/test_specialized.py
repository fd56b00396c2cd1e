"""Programs in which shared constants are numbers and what hangs on time alone is a table: the bits of the whole one."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from same_bits import same_bits

from cipark_sd.base.library import bundled
from cipark_sd.base.timegrid import TimeGrid
from cipark_sd.compiler.program import PER_STEP, Program
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import Inputs, stage_times
from cipark_sd.engines.compiled import inputs_for
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm.carried import tabulated, with_numbers
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Method, Model

#: Everything that a run remembers, and what of time alone it may use: a step and a table by a date, data, a pulse.
EQUATIONS = (
    "Date = 3 ~~|\nSwitch = 1 ~~|\nPower = 2 ~~|\nRate = 0.3 ~~|\nWait = 2 ~~|\n"
    "on = Switch * STEP(1, Date) + t(Time / Date) ~~|\nt((0,0),(1,0.5),(2,2)) ~~|\n"
    "S = INTEG(on * Rate - late * Switch + noise, 3) ~~|\nlate = DELAY FIXED(S * on, Wait, 0.1) ~~|\n"
    "noise = RANDOM UNIFORM(0, 1, 0) * on ~~|\nheld = SAMPLE IF TRUE(on > 0.4, S, 0) ~~|\n"
    "out = held + (S + on)^Power / Switch + IF THEN ELSE(Switch > 0, given * on, 1) ~~|\ngiven = GAME(1) ~~|\n"
    "beat = PULSE(Date, 1) + S ~~|\nalone = on * 2 ~~|\n"
)
GIVEN = Scenario("s", {"given": {"times": [0.0, 3.0, 9.0], "values": [1.0, 4.0, -2.0]}})
SAVE = ("out", "late", "beat", "alone")


def specialised(
    model: Model, save: Collection[str], draws: Mapping[str, np.ndarray], shared: Mapping[str, float], method: Method
) -> tuple[np.ndarray, np.ndarray, Program, Program]:
    """Outputs of the whole program and of the one in two, (outputs, times, runs), and the two programs."""
    n = len(next(iter(draws.values())))
    planned = plan(model, GIVEN if "given" in model.by_name else Scenario(), save=save, times=None, method=method)
    chosen = replace(planned.settings, numbers={**planned.settings.numbers, **shared, **draws})
    program = program_for(model, planned.outputs, chosen, method=method)
    given = inputs_for(planned, program, chosen, np.arange(n, dtype=np.uint64))
    whole = choose("native").execute(program, given)  # type: ignore[attr-defined]
    numbers = dict(zip(program.params, given.params[:, 0].tolist(), strict=True))
    narrow = with_numbers(program, {k: v for k, v in numbers.items() if k not in {*draws, *shared}})
    split = tabulated(narrow, draws)
    assert split is not None
    timetable, remainder, read = split
    assert set(read) <= set(shared)
    own = replace(given, params=np.array([given.params[program.param_position[name]] for name in narrow.params]))
    table = choose("native").execute(timetable, _at_each_instant(own, method))  # type: ignore[attr-defined]
    rest = replace(own, series=(*own.series, *table[:, :, 0]))
    return whole, choose("native").execute(remainder, rest), program, remainder  # type: ignore[attr-defined]


def _at_each_instant(inputs: Inputs, method: Method) -> Inputs:
    """One run that takes a step to each instant at which the whole reads its equations, and keeps all of them."""
    times = stage_times(inputs.grid, method)
    grid = TimeGrid(times, np.ones(len(times), dtype=bool), inputs.grid.step, inputs.grid.saveper)
    every = np.ones(len(times), dtype=bool)
    return replace(inputs, grid=grid, saved=every, params=inputs.params[:, :1], runs=inputs.runs[:1])


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
@pytest.mark.parametrize(
    ("shared", "draws"),
    [
        ({"date": 3.5, "switch": 1.0}, {"rate": np.linspace(-1, 2, 19)}),
        ({"date": 1.0, "switch": 0.0}, {"power": np.linspace(0, 3, 19)}),
        ({"switch": -0.0}, {"rate": np.linspace(-1, 2, 19), "wait": np.arange(19) / 4}),
        # every run has a date of its own, so that of what hangs on it nothing is shared
        ({"switch": 1.0}, {"date": np.linspace(-1, 9, 19)}),
    ],
)
def test_the_bits_are_those_of_the_whole_program(
    write_mdl: Callable[..., Path], method: Method, shared: dict[str, float], draws: dict[str, np.ndarray]
) -> None:
    model = read_model(write_mdl(EQUATIONS))
    if "date" in draws:
        model = read_model(write_mdl(f"{EQUATIONS}hour = Time * Switch ~~|\n", name="more.mdl"))
    save = (*SAVE, "hour") if "date" in draws else SAVE
    whole, made, _, _ = specialised(model, save, draws, shared, method)
    assert same_bits(whole, made)
    assert (whole[:, :, 0] != whole[:, :, -1]).any()


def test_a_power_that_becomes_a_square_stays_a_power(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("Power = 2 ~~|\nX = 1 ~~|\nDate = 1 ~~|\ny = (X + STEP(1, Date))^Power ~~|\n"))
    draws = {"x": np.random.default_rng(1).uniform(0.1, 9, 4000)}
    whole, made, _, rest = specialised(model, ["y"], draws, {"date": 1.0}, "euler")
    assert same_bits(whole, made)
    assert [node.op for node in rest.nodes].count("pow") == 1


def test_of_the_park_a_quarter_of_a_step_is_the_same_for_all_draws() -> None:
    model = read_model(bundled())
    rng = np.random.default_rng(2)
    draws = {name: rng.uniform(0.3, 1.5, 16) for name in ("return_gain", "pool_scale", "connectivity_scale")}
    shared = {"cmg_entry_date": 2014.3, "fund_size": 300.0, "phase_one_date": 2016.0}
    whole, made, program, rest = specialised(
        model, ["total_residents", "jobs", "developer_cash"], draws, shared, "euler"
    )
    assert same_bits(whole, made)
    assert sum(rate == PER_STEP for rate in rest.rates) < 0.8 * sum(rate == PER_STEP for rate in program.rates)


def test_where_nothing_hangs_on_time_alone_there_is_no_table(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("Rate = 0.1 ~~|\nS = INTEG(S * Rate, 1) ~~|\n"))
    planned = plan(model, Scenario(), save=["s"], times=None, method=None)
    assert tabulated(program_for(model, planned.outputs, planned.settings), ["rate"]) is None
