"""Engines that run a model's program: what they share, NumPy's readable one, and plans that are run again and again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.console import echo
from cipark_sd.base.errors import InvalidValue, MissingData
from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.compiler.graph import stages
from cipark_sd.compiler.lower import PUT, Orders
from cipark_sd.compiler.program import Program
from cipark_sd.engines import implicit
from cipark_sd.engines.base import (
    SLOPES,
    Inputs,
    Settings,
    Values,
    Weigh,
    back_inputs,
    fixed_method,
    part,
    put_at,
    sample,
    stage_times,
    start_name,
    taped_inputs,
    with_numbers,
)
from cipark_sd.engines.evaluation import Evaluation, start_values
from cipark_sd.engines.plan import RunPlan
from cipark_sd.engines.programs import adjoint_of, flat_model, program_for
from cipark_sd.language.read.checked import lines_of
from cipark_sd.model.expr import Table


class CompiledEngine(ABC):
    """Lowers a model to a program and runs it for all runs together; every such engine gives the same bits."""

    compiled: ClassVar[bool] = True
    foreign: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """By which the engine is chosen and recorded."""

    @abstractmethod
    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs of a program, (n_outputs, n_saved, n_runs)."""

    def outputs(self, program: Program, inputs: Inputs) -> Values:
        """As :meth:`execute`, by implicit steps where the method asks for them."""
        if program.method == "gear":
            return implicit.outputs(self.execute, program, inputs)
        return self.execute(program, inputs)

    def at(self, program: Program, inputs: Inputs, places: NDArray[np.intp]) -> Values:
        """Some outputs (n_places, n_runs): places count those of the first saved instant, then of the second."""
        n_outputs = len(program.outputs)
        return self.outputs(program, inputs)[places % n_outputs, places // n_outputs]

    def execute_back(self, way: Adjoint, inputs: Inputs, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives by the parameters of a program, (n_parameters, n_runs).

        They are those of the sum of some outputs of a run times their weights; ``places`` as of :meth:`at`.

        Raises
        ------
        InvalidValue
            From an engine that does not go back.
        """
        raise InvalidValue(
            "the engine", self.name, "native or numpy, which go back through a run", where=way.taped.name
        )

    def run(self, plan: RunPlan, settings: Settings, runs: NDArray[np.uint64]) -> Values:
        """See :class:`cipark_sd.engines.registry.Engine`."""
        return _in_groups(plan, settings, runs, lambda program, inputs, members: self.outputs(program, inputs))

    def run_back(
        self,
        plan: RunPlan,
        settings: Settings,
        runs: NDArray[np.uint64],
        parameters: Sequence[str],
        places: NDArray[np.intp],
        weigh: Weigh,
    ) -> Values:
        """The derivatives (n_wanted, n_runs) of what ``weigh`` weighs outputs of :meth:`run` for.

        Parameters
        ----------
        parameters : sequence of str
            Constants of the flat model, or names of initial values (:func:`cipark_sd.engines.base.start_name`).
        places : (n_places,)
            Of the outputs that are weighed, as of :meth:`at`.
        """

        def back(program: Program, inputs: Inputs, members: NDArray[np.intp] | None) -> Values:
            # members count themselves from 0
            theirs = weigh if members is None else (lambda values, runs: weigh(values, members[runs]))
            return self.execute_back(adjoint_of(program, tuple(parameters)), inputs, places, theirs)

        return _in_groups(plan, settings, runs, back)


def _in_groups(
    plan: RunPlan,
    settings: Settings,
    runs: NDArray[np.uint64],
    compute: Callable[[Program, Inputs, NDArray[np.intp] | None], Values],
) -> Values:
    """What is computed for all runs, (…, n_runs), by a program for each group of them that needs other stages.

    ``compute`` is told the places of a group's runs among all, None where all are one group.
    """
    program = program_for(plan.model, plan.outputs, settings, method=plan.method)
    inputs = inputs_for(plan, program, settings, runs)
    groups = by_orders(program, inputs)
    if groups is None:
        return compute(program, inputs, None)
    parts = []
    for orders, members in groups:
        program = program_for(plan.model, plan.outputs, settings, method=plan.method, orders=orders)
        parts.append(compute(program, inputs_for(plan, program, part(settings, members), runs[members]), members))
    places = np.concatenate([members for _, members in groups])
    return np.take(np.concatenate(parts, axis=-1), np.argsort(places), axis=-1)


def inputs_for(plan: RunPlan, program: Program, settings: Settings, runs: NDArray[np.uint64]) -> Inputs:
    """What a program is given: its own constants but for the settings, and its series at the times it reads them.

    Parameters
    ----------
    program : Program
        Of the plan's model.
    settings : Settings
        All overrides; numbers are one for all runs or ``(n_runs,)``.
    runs : (n_runs,)
        The number of each run in the whole ensemble.
    """
    params = np.repeat(np.array(program.defaults)[:, None], len(runs), axis=1)
    starts = {start_name(name): value for name, value in settings.initials.items()}
    for name, value in {**settings.numbers, **starts}.items():
        slot = program.param_position.get(name)
        if slot is not None:
            params[slot] = value
    times = stage_times(plan.grid, program.method)
    series: list[Values] = []
    missing: list[str] = []
    for entry in program.series:
        override = settings.series.get(entry.name.removesuffix(PUT))
        if override is None:
            if entry.table is None:
                missing.append(flat_model(plan.model).by_name[entry.name].label)
            else:
                series.append(sample(entry, entry.table, times))
            continue
        courses = override if isinstance(override, tuple) else (override,)
        if entry.name.endswith(PUT):
            sampled = [put_at(plan.grid, course, len(times), where=plan.model.name) for course in courses]
        else:
            sampled = [sample(entry, Table(course.times, course.values), times) for course in courses]
        series.append(np.stack(sampled, axis=1) if isinstance(override, tuple) else sampled[0])
    if missing:
        with lines_of(plan.model):
            raise MissingData(plan.model.name, missing)
    return Inputs(plan.grid, plan.resolved.final_time, params, tuple(series), plan.saved, runs, seed=plan.seed)


def by_orders(program: Program, inputs: Inputs) -> list[tuple[Orders, NDArray[np.intp]]] | None:
    """Runs grouped by the stages that their delays need; ``None`` when all need what the program has.

    Returns
    -------
    list of (Orders, (n,)), or None
        For each group its stages and the positions of its runs; None when all need what the program has.
    """
    if program.settled:
        return None
    step = inputs.grid.step
    needed = []
    nodes = [node for order in program.orders for node in (order.order, order.time) if node is not None]
    values = dict(zip(nodes, start_values(program, inputs, nodes), strict=True))
    for order in program.orders:
        time_values = np.full(inputs.n_runs, np.nan) if order.time is None else values[order.time]
        pairs = np.array([values[order.order], time_values])
        # nearly always every run needs what was built, which is told without going through the runs
        settled = np.floor(pairs[0]) == order.built
        if order.time is not None:
            settled &= ~(order.built * step > pairs[1])
        orders = np.full(inputs.n_runs, order.built)
        if not settled.all():
            unique, back = np.unique(pairs[:, ~settled], axis=1, return_inverse=True)
            counts = [
                stages(float(n), None if order.time is None else float(time), step, order.label, program.name)
                for n, time in unique.T
            ]
            orders[~settled] = np.array(counts)[back.reshape(-1)]
        needed.append(orders)
    table = np.array(needed)
    if (table == np.array([[order.built] for order in program.orders])).all():
        return None
    kinds, back = np.unique(table, axis=1, return_inverse=True)
    keys = [order.key for order in program.orders]
    return [
        (dict(zip(keys, map(int, kind), strict=True)), np.flatnonzero(back.reshape(-1) == i))
        for i, kind in enumerate(kinds.T)
    ]


#: Seconds of an operation of NumPy on few runs, measured over a million steps, and of a run from which on it is said.
SECONDS, LONG = 1.4e-6, 20.0


class NumpyEngine(CompiledEngine):
    """Runs programs with NumPy; slots come first and runs last in every array."""

    name: ClassVar[str] = "numpy"

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs); a run that takes long is said before it begins."""
        n_steps = len(inputs.grid.times)
        seconds = n_steps * len(program.dynamic) * SLOPES[fixed_method(program.method)] * SECONDS
        if seconds > LONG:
            text = f"numpy takes an operation at a time: {n_steps:,} steps take about {seconds:,.0f} seconds"
            echo(f"{text}; the engine native gives the same bits in a small part of it", err=True)
        with np.errstate(all="ignore"):
            return Evaluation(program, inputs).outputs()

    def execute_back(self, way: Adjoint, inputs: Inputs, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives of the weighted outputs."""
        n = way.n_outputs
        tape = self.execute(way.taped, taped_inputs(inputs))
        at = places % n, np.flatnonzero(inputs.saved)[places // n]
        weights = weigh(tape[at], np.arange(inputs.n_runs))
        tape[:n] = 0.0
        tape[at] = weights
        return self.execute(way.back, back_inputs(way, inputs, tape))[:, 0]


@dataclass(frozen=True, eq=False)
class Repeated:
    """Runs of a plan on a compiled engine, their bits those of :meth:`CompiledEngine.run`.

    Parameters
    ----------
    settings : Settings
        What is the same for all runs.
    numbers : mapping of str to bool
        Flat names, in order, that each run has a number for, and whether it is where a stock starts.
    """

    engine: CompiledEngine
    plan: RunPlan
    settings: Settings
    numbers: Mapping[str, bool]

    def at(self, values: Values, places: NDArray[np.intp]) -> Values:
        """Some outputs ``(n_places, n_runs)`` of runs with numbers ``(n_runs, n_numbers)``.

        ``places`` count the outputs of the first saved instant, then those of the second, and so on.
        """
        inputs = self._inputs(values)
        if by_orders(self._program, inputs) is None:
            return self.engine.at(self._program, inputs, places)
        # some runs need delays of other orders, and so programs of their own
        n_outputs = len(self.plan.outputs)
        result = self.engine.run(self.plan, self._with(values), inputs.runs)
        return result[places % n_outputs, places // n_outputs]

    def back(self, values: Values, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives ``(n_numbers, n_runs)`` by the numbers of some outputs times what ``weigh`` makes of them.

        ``places`` are as of :meth:`at`.

        Raises
        ------
        UnsupportedFeature, InvalidValue
            Where the model or the engine does not go back.
        """
        inputs = self._inputs(values)
        if by_orders(self._program, inputs) is None:
            return self.engine.execute_back(adjoint_of(self._program, self._names), inputs, places, weigh)
        return self.engine.run_back(self.plan, self._with(values), inputs.runs, self._names, places, weigh)

    @cached_property
    def n_operations(self) -> int:
        """Operations of one run that are computed anew for the slopes of each of its steps, all steps together."""
        slopes = SLOPES[fixed_method(self._program.method)]
        return len(self._program.dynamic) * slopes * len(self._single[0].grid.times)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The constants of the program that the numbers are."""
        return tuple(start_name(name) if starts else name for name, starts in self.numbers.items())

    def _with(self, values: Values) -> Settings:
        return with_numbers(self.settings, self.numbers, values)

    @cached_property
    def _nothing(self) -> Values:
        return np.zeros((1, len(self.numbers)))

    @cached_property
    def _program(self) -> Program:
        plan = self.plan
        return program_for(plan.model, plan.outputs, self._with(self._nothing), method=plan.method)

    @cached_property
    def _single(self) -> tuple[Inputs, NDArray[np.intp], NDArray[np.intp]]:
        """Inputs of one run, the columns of numbers that the program reads, and the constants that they are."""
        single = inputs_for(self.plan, self._program, self._with(self._nothing), np.zeros(1, dtype=np.uint64))
        slots = [self._program.param_position.get(name, -1) for name in self._names]
        read = np.flatnonzero(np.array(slots, dtype=np.intp) >= 0)
        return single, read, np.array(slots, dtype=np.intp)[read]

    def _inputs(self, values: Values) -> Inputs:
        single, read, slots = self._single
        params = np.empty((len(single.params), len(values)))
        params[:] = single.params
        params[slots] = values.T[read]
        return single.with_runs(params, np.arange(len(values), dtype=np.uint64))
