"""The course in continuous time, for studies of how accurate a step is: adaptive integration to tight tolerances.

The program's rates are read by the NumPy engine; ``scipy.integrate.solve_ivp`` integrates them with DOP853 (Hairer,
Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.5) from each instant of the run's grid to
the next. Where rates jump or bend is not known in general; what happens on an instant of the grid is met exactly, what
happens between two is found by the error control. STEP and PULSE are read as their limits for a small step, so that
they act at their times and not half a step before. ``TIME STEP`` in an equation, and the number of stages of a delay
that depends on it, keep the grid's step.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.compiled import by_orders, inputs_for
from cipark_sd.engines.evaluation import Evaluation
from cipark_sd.engines.plan import RunPlan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.settings import Settings, part
from cipark_sd.errors import InvalidValue, RunFailed, UnsupportedFeature
from cipark_sd.model.expr import Table

#: Error that a step of the integration may make, as a share of the state and in its own unit.
RELATIVE, ABSOLUTE = 1e-12, 1e-14


def _slack(time: float, step: float) -> float:
    """How far from an instant of the grid a time still counts as it: some roundings of the time, or little of the step.

    The instants are sums and an event's time is a number of the file, so the same instant may differ in the last bits.
    """
    return 1e-11 * step + 8 * float(np.spacing(abs(time)))


@dataclass(frozen=True)
class AdaptiveEngine:
    """Integrates a program in continuous time, one run after another."""

    name: ClassVar[str] = "adaptive"
    compiled: ClassVar[bool] = False
    foreign: ClassVar[bool] = False
    fixed_step: ClassVar[bool] = False

    def run(self, plan: RunPlan, settings: Settings, runs: NDArray[np.uint64]) -> Values:
        """See :class:`cipark_sd.engines.registry.Engine`.

        Raises
        ------
        InvalidValue
            When a method is asked for.
        UnsupportedFeature
            For what only exists in steps: DELAY FIXED, SAMPLE IF TRUE, random numbers, stocks that stop at zero, the
            previous delay time of DELAY N, data variables.
        RunFailed
            When the integration does not get on.
        """
        if plan.method is not None:
            expected = "none: the engine adaptive chooses its own steps"
            raise InvalidValue("the method", plan.method, expected, where=plan.model.name)
        # rates are read at the times of the integration; Euler's program has no stages of its own
        plan = replace(plan, method="euler")
        courses = [_course_of(plan, part(settings, np.array([run])), runs[run : run + 1]) for run in range(len(runs))]
        return np.concatenate(courses, axis=2)


def _course_of(plan: RunPlan, settings: Settings, number: NDArray[np.uint64]) -> Values:
    """The outputs of one run, (n_outputs, n_saved, 1)."""
    program = program_for(plan.model, plan.outputs, settings, method=plan.method)
    groups = by_orders(program, inputs_for(plan, program, settings, number))
    if groups is not None:
        program = program_for(plan.model, plan.outputs, settings, method=plan.method, orders=groups[0][0])
    _check_continuous(program)
    with np.errstate(all="ignore"):
        return _Course(program, inputs_for(plan, program, settings, number)).course()


def _check_continuous(program: Program) -> None:
    def refuse(feature: str, variable: str) -> None:
        raise UnsupportedFeature(
            feature,
            variable=variable,
            where=f"{program.name}, engine adaptive",
            alternative="compare runs of a fixed method with smaller and smaller steps (--step)",
        )

    if program.cells:
        refuse("a value that is kept from step to step (SAMPLE IF TRUE, DELAY N)", program.cells[0].label)
    if program.pipes:
        refuse("DELAY FIXED", program.pipes[0].label)
    for state in program.states:
        if state.non_negative:
            refuse("a stock that stops at zero", state.label)
    if program.n_random:
        refuse("random numbers", program.name)
    if program.series:
        refuse("values over time that are data", program.series[0].name)


class _Course(Evaluation):
    """The NumPy engine's evaluation at any time."""

    def __init__(self, program: Program, inputs: Inputs) -> None:
        self.now = float(inputs.grid.times[0])
        self.soon = _sums_with_half_a_step(program)
        super().__init__(program, inputs)

    def source(self, op: str, payload: float | int | Table | None) -> Any:
        return np.array(self.now) if op in ("time", "instant") else super().source(op, payload)

    def evaluate(self, nodes: Any) -> None:
        for position in nodes:
            if position in self.soon:
                # STEP and PULSE compare their times with the middle of the step; here the step is as good as none
                self.values[position] = np.array(self.now + _slack(self.now, self.inputs.grid.step))
            else:
                super().evaluate((position,))

    def slope(self, time: float, state: Values) -> Values:
        self.now = time
        self.states = list(state[:, None])
        self.evaluate(self.program.rates_only)
        return np.array([float(rate[0]) for rate in self.rates()])

    def advanced(self, state: Values, first: float, last: float) -> Values:
        """The states at the end of an interval."""
        from scipy.integrate import solve_ivp

        # rates are read inside the interval: what begins or ends on its edges has begun, or not ended yet; twice the
        # slack, so that a STEP at its end has not come
        margin = 2 * _slack(last, self.inputs.grid.step)

        # counted from the interval's start, since beside a calendar year there are not digits enough to close in on a
        # jump
        length = last - first

        def inside(since: float, values: Values) -> Values:
            return self.slope(first + min(max(since, margin), length - margin), values)

        solution = solve_ivp(
            inside, (0.0, length), state, method="DOP853", rtol=RELATIVE, atol=ABSOLUTE, first_step=length
        )
        if not solution.success:
            raise RunFailed(
                self.program.name,
                f"the adaptive integration stops: {solution.message}",
                time=first + float(solution.t[-1]),
            )
        return np.asarray(solution.y[:, -1], dtype=np.float64)

    def course(self) -> Values:
        """The outputs, (n_outputs, n_saved, 1)."""
        program, grid = self.program, self.inputs.grid
        result = np.empty((len(program.outputs), int(self.inputs.saved.sum()), 1))
        state = np.array([float(value[0]) for value in self.states])
        place = 0
        for step, time in enumerate(grid.times):
            if self.inputs.saved[step]:
                self.now, self.states = float(time), list(state[:, None])
                self.evaluate(program.dynamic)
                self.evaluate(program.observed)
                for slot, (_, node) in enumerate(program.outputs):
                    result[slot, place] = self.values[node]
                place += 1
            if step + 1 == len(grid.times) or not len(state):
                continue
            state = self.advanced(state, float(time), float(grid.times[step + 1]))
        return result


def _sums_with_half_a_step(program: Program) -> frozenset[int]:
    """The nodes ``instant + TIME STEP / 2``, by which STEP and PULSE round to the nearest instant."""
    nodes = program.nodes

    def is_half(position: int) -> bool:
        node = nodes[position]
        return (
            node.op == "div"
            and nodes[node.args[0]].op == "uniform"
            and nodes[node.args[0]].payload == 0
            and nodes[node.args[1]].payload == 2.0
        )

    return frozenset(
        position
        for position, node in enumerate(nodes)
        if node.op == "add" and any(nodes[a].op == "instant" and is_half(b) for a, b in (node.args, node.args[::-1]))
    )
