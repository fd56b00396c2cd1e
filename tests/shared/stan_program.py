"""The density of a study as a program of Stan (mc-stan.org), a judge of ours that shares no code with it.

The program computes what the engines compute, operation by operation, and its target is the log posterior with all
constants. What has no counterpart there is refused with all that stands in the way.
"""

import json
import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from calibration.likelihood.posterior import posterior
from calibration.noise.families.measurements import StudentT as StudentNoise
from calibration.study.observations import Count
from calibration.study.parameters import Parameter
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.errors import UnusableInput, raise_all
from cipark_sd.compiler.primitives import OPERATORS, RECIPES, segments
from cipark_sd.compiler.program import PER_STEP, Node, Program
from cipark_sd.engines.base import fixed_method, stage_times, start_name, with_numbers
from cipark_sd.engines.compiled import inputs_for
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import choose
from cipark_sd.model.expr import Table

#: Log densities of priors, by name; ``x`` is the parameter.
_PRIORS: Mapping[str, str] = {
    "normal": "normal_lpdf(x | {mean}, {sd})",
    "lognormal": "lognormal_lpdf(x | log({median}), {sigma})",
    "logit-normal": "normal_lpdf(logit(x) | logit({median}), {sigma}) - log(x) - log1m(x)",
    "uniform": "-log({high} - {low})",
    "log-uniform": "-log(x) - log(log({high} / {low}))",
    "beta": "beta_lpdf(x | {a}, {b})",
    "gamma": "gamma_lpdf(x | {shape}, 1 / {scale})",
    "half-normal": "normal_lpdf(x | 0, {sd}) + log2()",
    "exponential": "exponential_lpdf(x | 1 / {mean})",
    "student-t": "student_t_lpdf(x | {dof}, {mean}, {scale})",
    "half-cauchy": "cauchy_lpdf(x | 0, {scale}) + log2()",
}
#: Log densities of noise, by family: of a number ``y`` around ``m`` with spread ``s``.
_NOISE: Mapping[str, str] = {
    "normal": "normal_lpdf({y} | {m}, {s})",
    "lognormal": "lognormal_lpdf({y} | log({m}), {s})",
    "student-t": "student_t_lpdf({y} | {dof}, {m}, {s})",
    "poisson": "poisson_lpmf({y} | {m})",
    "nb1": "neg_binomial_2_lpmf({y} | {m}, {m} / {s})",
    "nb2": "neg_binomial_2_lpmf({y} | {m}, 1 / {s})",
    "negative-binomial": "neg_binomial_2_lpmf({y} | {m}, {s})",
}
#: Operations that are functions of the same name there.
_FUNCTIONS = RECIPES.keys() - {"poisson_few", "poisson_try", "binomial_few", "binomial_try"} | {
    *("abs", "sqrt", "floor", "trunc", "fmod")
}
_RENAMED = {"min": "fmin", "max": "fmax"}
_LOGICAL = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}


def stan_program(problem: CalibrationProblem) -> str:
    """The program; its parameters are those of the study, in order, as ``p1``, ``p2`` and so on.

    Raises
    ------
    Problems, UnusableInput
        For what has no counterpart there.
    """
    return _Written(problem).text()


class _Written:
    """A program as it is written."""

    def __init__(self, problem: CalibrationProblem) -> None:
        self.problem = problem
        self.density = posterior(problem, choose("numpy"))
        plan, fixed = self.density.runner._fixed
        self.names = self.density.runner._parameters
        medians = np.array([[p.median for p in problem.space if p.target == "model"]])
        settings = with_numbers(fixed, self.names, medians)
        self.program: Program = program_for(plan.model, plan.outputs, settings, method=plan.method)
        self.inputs = inputs_for(plan, self.program, settings, np.zeros(1, dtype=np.uint64))
        self.tables: list[Table] = []
        self.problems: dict[str, UnusableInput] = {}
        #: How many stages of a step are behind, and how many half steps later this one is.
        self.stage = self.later = 0

    @cached_property
    def of_slot(self) -> dict[int, str]:
        """The parameters of Stan by the slots of the program that they fill."""
        place = {p.name: i for i, p in enumerate(self.problem.space, 1)}
        model = [p.name for p in self.problem.space if p.target == "model"]
        slots = {}
        for name, (flat, starts) in zip(model, self.names.items(), strict=True):
            slot = self.program.param_position.get(start_name(flat) if starts else flat)
            if slot is not None:
                slots[slot] = f"p{place[name]}"
        return slots

    def wrong(self, reason: str) -> str:
        """Note what stands in the way."""
        self.problems[reason] = UnusableInput(reason, where="as a Stan program")
        return "0"

    def text(self) -> str:
        program = self.program
        if program.pipes or program.n_random or not program.settled:
            self.wrong("the model has fixed delays, conveyors, random numbers or delays of changing order")
        priors, run, terms = [*self.priors()], [*self.simulation(), *self.quantities()], [*self.terms()]
        raise_all("as a Stan program", [*self.problems.values()])
        outputs, times = len(program.outputs), len(self.density.runner.times)
        places = np.cumsum(self.inputs.saved) * self.inputs.saved
        title, model_name = _comment(self.problem.title), _comment(self.problem.model.name)
        lines = [
            f"// {title}; model {model_name}, {self.problem.model.digest}",
            *_block("functions", [line for i, table in enumerate(self.tables) for line in _table(i, table)]),
            *_block("transformed data", self.data(places.tolist())),
            *_block("parameters", map(self.declared, range(1, len(self.problem.space) + 1), self.problem.space)),
            "transformed parameters {",
            f"  vector[{self.density.reader.weights.shape[0]}] q;",
            "  {",
            f"    matrix[{outputs}, {times}] y;",
            *(f"    {line}" for line in run),
            "  }",
            "}",
            *_block("model", [*priors, *terms]),
        ]
        return "\n".join(lines) + "\n"

    def declared(self, number: int, parameter: Parameter) -> str:
        """The line of a parameter with its bounds."""
        known = parameter.distribution
        ends = (("lower", float(known.low)), ("upper", float(known.high)))
        bounds = ", ".join(f"{name}={_number(end)}" for name, end in ends if math.isfinite(end))
        return f"real{f'<{bounds}>' if bounds else ''} p{number};  // {_comment(parameter.name)}"

    def priors(self) -> Iterator[str]:
        for number, parameter in enumerate(self.problem.space, 1):
            form = _PRIORS.get(parameter.prior.name)
            if form is None:
                self.wrong(f"the prior of {parameter.name!r} is {parameter.prior.name}")
                continue
            values = {key: _number(value) for key, value in vars(parameter.prior).items()}
            text = form.format(**values).replace("(x", f"(p{number}")
            mass = float(parameter.distribution.log_mass)
            yield f"target += {text}{f' - {_number(mass)}' if mass else ''};"

    def data(self, places: Sequence[int]) -> Iterator[str]:
        """What the run reads by its steps, and with Runge-Kutta in the middle of them."""
        columns = {
            "time": stage_times(self.inputs.grid, self.program.method),
            "instant": self.inputs.grid.times,
            **{f"series{slot}": series.ravel() for slot, series in enumerate(self.inputs.series)},
        }
        read = {node.op if node.op != "series" else f"series{node.payload}" for node in self.program.nodes}
        read |= {f"series{node.payload}" for node in self.program.nodes if node.op == "initial_series"}
        yield f"array[{len(places)}] int place = {{{', '.join(map(str, places))}}};"
        for name, values in columns.items():
            if name in read:
                yield f"array[{len(values)}] real {name} = {{{', '.join(map(_number, values.tolist()))}}};"

    def simulation(self) -> Iterator[str]:
        """The run, which fills ``y`` at the steps that are read."""
        program, grid = self.program, self.inputs.grid
        yield from self.assigned([node for node, rate in enumerate(program.rates) if rate != PER_STEP])
        for slot, state in enumerate(program.states):
            yield f"real x{slot} = {self.name(state.initial)};  // {_comment(state.label)}"
        for slot, cell in enumerate(program.cells):
            yield f"real c{slot} = {self.name(cell.initial)};  // {_comment(cell.label)}"
        yield f"for (step in 1:{len(grid.times)}) {{"
        yield from (f"  {line}" for line in self.assigned(program.dynamic))
        yield "  if (place[step] > 0) {"
        yield from (f"    {line}" for line in self.assigned(program.observed))
        for place, (_, node) in enumerate(program.outputs, 1):
            yield f"    y[{place}, place[step]] = {self.name(node)};"
        yield "  }"
        yield f"  if (step == {len(grid.times)}) break;"
        slopes = yield from self.stages(grid.step)
        for slot, slope in enumerate(slopes):
            yield f"  real moved{slot} = x{slot} + {slope};"
        for slot, cell in enumerate(program.cells):
            yield f"  c{slot} = {self.name(cell.following)};"
        for slot, state in enumerate(program.states):
            moved = f"moved{slot}"
            yield f"  x{slot} = {f'x{slot} < 0 ? {moved} : fmax({moved}, 0)' if state.non_negative else moved};"
        yield "}"

    def stages(self, step: float) -> Generator[str, None, list[str]]:
        """The stages of a step after its first; gives what each state moves by."""
        program, method = self.program, fixed_method(self.program.method)
        rates = [[self.name(state.rate) for state in program.states]]
        for length in {"euler": (), "rk2": (step,)}.get(method, (step / 2, step / 2, step)):
            self.stage += 1
            for slot, rate in enumerate(rates[-1]):
                yield f"  real x{slot}_{self.stage} = x{slot} + {rate} * {_number(length)};"
            self.later = 2 if length == step else 1
            yield from (f"  {line}" for line in self.assigned(program.rates_only))
            rates.append([self.name(state.rate) for state in program.states])
        self.stage = self.later = 0
        by_state, whole = zip(*rates, strict=True), _number(step)
        match method:
            case "euler":
                return [f"{a} * {whole}" for (a,) in by_state]
            case "rk2":
                return [f"({a} + {b}) * {_number(step / 2)}" for a, b in by_state]
            case _:
                return [f"({a} + {b} * 2 + {c} * 2 + {d}) * {_number(step / 6)}" for a, b, c, d in by_state]

    def name(self, place: int) -> str:
        """A node as others read it: a number as it is, and of a later stage what that stage computes."""
        payload = self.program.nodes[place].payload
        if isinstance(payload, float):
            return _number(payload)
        return f"n{place}_{self.stage}" if self.stage and place in self.staged else f"n{place}"

    @cached_property
    def staged(self) -> frozenset[int]:
        return frozenset(self.program.rates_only)

    def assigned(self, nodes: Iterable[int]) -> Iterator[str]:
        """A line for each node that is no number."""
        for place in nodes:
            node, label = self.program.nodes[place], self.labels.get(place)
            if not isinstance(node.payload, float):
                comment = "" if label is None or self.stage else f"  // {_comment(label)}"
                yield f"real {self.name(place)} = {self.expression(node)};{comment}"

    @cached_property
    def labels(self) -> Mapping[int, str]:
        return {node: label for label, node in reversed(self.program.labels)}

    def expression(self, node: Node) -> str:
        """An operation on the nodes before it."""
        arguments = [self.name(argument) for argument in node.args]
        if not arguments:
            return self.source(node)
        if isinstance(node.payload, Table):
            if node.payload not in self.tables:
                self.tables.append(node.payload)
            return f"table{self.tables.index(node.payload)}({arguments[0]})"
        match node.op:
            case "neg":
                return f"-{arguments[0]}"
            case "held":
                return arguments[0]
            case "select":
                return f"{arguments[0]} != 0 ? {arguments[1]} : {arguments[2]}"
            case "not":
                return f"{arguments[0]} != 0 ? 0.0 : 1.0"
            case "and" | "or":
                sign = "&&" if node.op == "and" else "||"
                return f"{arguments[0]} != 0 {sign} {arguments[1]} != 0 ? 1.0 : 0.0"
            case op if op in _LOGICAL:
                return f"{arguments[0]} {_LOGICAL[op]} {arguments[1]} ? 1.0 : 0.0"
            case op if op in _FUNCTIONS or op in _RENAMED:
                return f"{_RENAMED.get(op, op)}({', '.join(arguments)})"
            case op if op in OPERATORS:
                return f" {OPERATORS[op]} ".join(arguments)
            case op:
                return self.wrong(f"the model uses {op}")

    def source(self, node: Node) -> str:
        """A node without arguments."""
        slot = node.payload if isinstance(node.payload, int) else 0
        index = "step" if fixed_method(self.program.method) == "euler" else f"2 * step - 1 + {self.later}"
        match node.op:
            case "param":
                return self.of_slot.get(slot) or _number(float(self.inputs.params[slot, 0]))
            case "uniform":
                return _number(float(self.inputs.uniforms[slot]))
            case "initial_series":
                return f"series{slot}[1]"
            case "series":
                return f"series{slot}[{index}]"
            case "time":
                return f"time[{index}]"
            case "instant":
                return "instant[step]"
            case "state":
                return f"x{slot}_{self.stage}" if self.stage else f"x{slot}"
            case "cell":
                return f"c{slot}"
            case op:
                return self.wrong(f"the model uses {op}")

    def quantities(self) -> Iterator[str]:
        """What the observations read of the run."""
        reader = self.density.reader
        if reader.courses:
            self.wrong("the study reads whole trajectories: metrics, or counts that are reported later")
        for i, row in enumerate(reader.weights.toarray(), 1):
            parts = [
                f"{_number(float(row[at]))} * y[{at // len(reader.times) + 1}, {at % len(reader.times) + 1}]"
                for at in np.flatnonzero(row)
            ]
            yield f"q[{i}] = {' + '.join(parts) or '0'};"

    def terms(self) -> Iterator[str]:
        """The likelihood."""
        place = {p.name: f"p{i}" for i, p in enumerate(self.problem.space, 1)}
        for term, slot in zip(self.problem.terms, self.density.slots, strict=True):
            if term.use != "fit":
                continue
            plain = isinstance(term, Count) and term.lower == term.upper and term.gains is None
            if not (plain and isinstance(term, Count) and term.noise.family.name in _NOISE) or term.noise.memory:
                self.wrong(f"{term.label} is no plain number under {', '.join(_NOISE)} noise")
                continue
            family = term.noise.family
            mean = f"q[{slot.start + 1}]" if term.denominator is None else f"(q[{slot.start + 1}] / q[{slot.stop}])"
            spread = term.noise.spread
            words = {
                "y": str(int(term.lower)) if family.discrete else _number(term.lower),
                "m": mean,
                "s": place[spread] if isinstance(spread, str) else _number(float(spread)),
                "dof": _number(family.dof) if isinstance(family, StudentNoise) else "",
            }
            # where none are expected none are certain, and Stan knows no such noise
            possible = f"if ({mean} != 0) " if family.discrete and term.lower == 0 else ""
            weight = "" if term.weight == 1 else f"{_number(term.weight)} * "
            yield f"{possible}target += {weight}{_NOISE[family.name].format(**words)};  // {_comment(term.label)}"


def _table(number: int, table: Table) -> Iterator[str]:
    """A function of Stan for a table; on knots exactly the knot's value."""
    x, y, slope = segments(table)
    yield f"real table{number}(real x) {{"
    if table.interpolation == "look_forward":
        for knot, value in zip(x[:-1], y[:-1], strict=True):
            yield f"  if (x <= {_number(knot)}) return {_number(value)};"
        yield f"  return {_number(y[-1])};"
    elif table.interpolation == "hold_backward" or len(x) == 1:
        for knot, value in zip(x[1:], y[:-1], strict=True):
            yield f"  if (x < {_number(knot)}) return {_number(value)};"
        yield f"  return {_number(y[-1])};"
    else:
        if table.interpolation == "interpolate":
            yield f"  if (x < {_number(x[0])}) return {_number(y[0])};"
        for i, knot in enumerate(x[1:]):
            line = f"{_number(slope[i])} * (x - {_number(x[i])}) + {_number(y[i])}"
            yield f"  if (x < {_number(knot)}) return {line};"
        beyond = f"{_number(slope[-1])} * (x - {_number(x[-1])}) + " if table.interpolation == "extrapolate" else ""
        yield f"  return {beyond}{_number(y[-1])};"
    yield "}"


def _block(name: str, lines: Iterable[str]) -> list[str]:
    inner = [f"  {line}" for line in lines]
    return [f"{name} {{", *inner, "}"] if inner else []


def _number(value: float) -> str:
    value = float(value)
    if math.isnan(value):
        return "not_a_number()"
    if math.isinf(value):
        return "positive_infinity()" if value > 0 else "negative_infinity()"
    return repr(value) if value >= 0 else f"({value!r})"


def _comment(text: str) -> str:
    """Words of a file, in one line of plain letters."""
    return json.dumps(text)
