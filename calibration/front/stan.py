"""The density of a study as a program of Stan (mc-stan.org), for its samplers and as a second opinion on ours.

The program computes what the engines compute, operation by operation, and its target is the log posterior with all
constants. What has no counterpart there is refused with all that stands in the way.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from calibration.families.base import CountFamily
from calibration.families.student_t import StudentT as StudentNoise
from calibration.likelihood.forward import ForwardModel
from calibration.likelihood.posterior import posterior
from calibration.study.observations import Count
from calibration.study.parameters import Parameter
from calibration.study.priors import (
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogitNormal,
    LogNormal,
    LogUniform,
    Normal,
    Prior,
    StudentT,
    Uniform,
)
from calibration.study.problem import CalibrationProblem
from cipark_sd.compiler.primitives import OPERATORS, RECIPES, segments
from cipark_sd.compiler.program import PER_STEP, Node, Program
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.compiled import inputs_for
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import choose
from cipark_sd.engines.settings import start_name, with_numbers
from cipark_sd.errors import UnusableInput, raise_all
from cipark_sd.model.expr import Table

#: Log densities of priors, by class; ``x`` is the parameter.
_PRIORS: Mapping[type[Prior], str] = {
    Normal: "normal_lpdf(x | {mean}, {sd})",
    LogNormal: "lognormal_lpdf(x | log({median}), {sigma})",
    LogitNormal: "normal_lpdf(logit(x) | logit({median}), {sigma}) - log(x) - log1m(x)",
    Uniform: "-log({high} - {low})",
    LogUniform: "-log(x) - log(log({high} / {low}))",
    Beta: "beta_lpdf(x | {a}, {b})",
    Gamma: "gamma_lpdf(x | {shape}, 1 / {scale})",
    HalfNormal: "normal_lpdf(x | 0, {sd}) + log2()",
    Exponential: "exponential_lpdf(x | 1 / {mean})",
    StudentT: "student_t_lpdf(x | {dof}, {mean}, {scale})",
    HalfCauchy: "cauchy_lpdf(x | 0, {scale}) + log2()",
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
    """The program; its parameters are those of the study, in order, as ``p[1]``, ``p[2]`` and so on.

    Raises
    ------
    Problems, UnusableInput
        For what Stan has no counterpart of, or a method other than Euler's.
    """
    return _Written(problem).text()


class _Written:
    """A program as it is written."""

    def __init__(self, problem: CalibrationProblem) -> None:
        self.problem = problem
        self.density = posterior(problem, choose("numpy"))
        runner: ForwardModel = self.density.runner
        plan, fixed = runner._fixed
        self.names = runner._parameters
        medians = np.array([[p.median for p in problem.space if p.target == "model"]])
        settings = with_numbers(fixed, self.names, medians)
        self.program: Program = program_for(plan.model, plan.outputs, settings, method=plan.method)
        self.inputs = inputs_for(plan, self.program, settings, np.zeros(1, dtype=np.uint64))
        self.tables: list[Table] = []
        self.problems: list[UnusableInput] = []

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
        self.problems.append(UnusableInput(what, where="as a Stan program"))
        return "0"

    def text(self) -> str:
        program = self.program
        if fixed_method(program.method) != "euler":
            self.wrong(f"the model is integrated by {program.method}; Euler's method is written")
        if program.pipes or program.n_random or not program.settled:
            self.wrong("the model has fixed delays, conveyors, random numbers or delays of changing order")
        priors, model, terms = [*self.priors()], [*self.simulation()], [*self.terms()]
        raise_all("as a Stan program", self.problems)
        outputs, times = len(program.outputs), len(self.density.runner.times)
        places = np.cumsum(self.inputs.saved) * self.inputs.saved
        title, model_name = _comment(self.problem.title), _comment(self.problem.model.name)
        lines = [
            f"// {title}; model {model_name}, {self.problem.model.digest}",
            *_block("functions", [line for i, table in enumerate(self.tables) for line in _table(i, table)]),
            *_block("transformed data", self.data(places.tolist())),
            *_block("parameters", map(self.declared, range(1, len(self.problem.space) + 1), self.problem.space)),
            "transformed parameters {",
            f"  vector[{len(self.density.reader.weights)}] q;",
            "  {",
            f"    matrix[{outputs}, {times}] y;",
            *(f"    {line}" for line in model),
            *(f"    {line}" for line in self.quantities()),
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
            form = _PRIORS.get(type(parameter.prior))
            if form is None:
                self.wrong(f"the prior of {parameter.name!r} is {parameter.prior.name}")
                continue
            values = {key: _number(value) for key, value in vars(parameter.prior).items()}
            text = form.format(**values).replace("(x", f"(p{number}")
            yield f"target += {text} - {_number(float(parameter.distribution.log_mass))};"

    def data(self, places: Sequence[int]) -> Iterator[str]:
        """What the run reads by its steps."""
        instants = self.inputs.grid.times.tolist()
        yield f"array[{len(places)}] int place = {{{', '.join(map(str, places))}}};"
        yield f"array[{len(instants)}] real instant = {{{', '.join(map(_number, instants))}}};"
        for slot, series in enumerate(self.inputs.series):
            values = series[: len(instants)].ravel().tolist()
            yield f"array[{len(values)}] real series{slot} = {{{', '.join(map(_number, values))}}};"

    def simulation(self) -> Iterator[str]:
        """The run, which fills ``y`` at the steps that are read."""
        program, n_steps = self.program, len(self.inputs.grid.times)
        for node, rate in enumerate(program.rates):
            if rate != PER_STEP:
                yield self.assigned(node)
        for slot, state in enumerate(program.states):
            yield f"real x{slot} = n{state.initial};"
        for slot, cell in enumerate(program.cells):
            yield f"real c{slot} = n{cell.initial};"
        yield f"for (step in 1:{n_steps}) {{"
        yield from (f"  {self.assigned(node)}" for node in program.dynamic)
        yield "  if (place[step] > 0) {"
        yield from (f"    {self.assigned(node)}" for node in program.observed)
        yield from (f"    y[{i}, place[step]] = n{node};" for i, (_, node) in enumerate(program.outputs, 1))
        yield "  }"
        step = _number(self.inputs.grid.step)
        for slot, state in enumerate(program.states):
            yield f"  real moved{slot} = x{slot} + n{state.rate} * {step};"
        for slot, cell in enumerate(program.cells):
            yield f"  c{slot} = n{cell.following};"
        for slot, state in enumerate(program.states):
            moved = f"moved{slot}"
            yield f"  x{slot} = {f'x{slot} < 0 ? {moved} : fmax({moved}, 0)' if state.non_negative else moved};"
        yield "}"

    def assigned(self, place: int) -> str:
        return f"real n{place} = {self.expression(self.program.nodes[place])};"

    def expression(self, node: Node) -> str:
        """An operation on the nodes before it."""
        arguments = [f"n{argument}" for argument in node.args]
        if not arguments:
            return self.source(node)
        if isinstance(node.payload, Table):
            self.tables.append(node.payload)
            return f"table{len(self.tables) - 1}({arguments[0]})"
        match node.op:
            case "neg":
                return f"-{arguments[0]}"
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
        by_op: Mapping[str, Callable[[], str]] = {
            "param": lambda: self.of_slot.get(slot) or _number(float(self.inputs.params[slot, 0])),
            "uniform": lambda: _number(float(self.inputs.uniforms[slot])),
            "initial_series": lambda: f"series{slot}[1]",
            "series": lambda: f"series{slot}[step]",
            "time": lambda: "instant[step]",
            "instant": lambda: "instant[step]",
            "state": lambda: f"x{slot}",
            "cell": lambda: f"c{slot}",
        }
        if isinstance(node.payload, float):
            return _number(node.payload)
        return by_op[node.op]() if node.op in by_op else self.wrong(f"the model uses {node.op}")

    def quantities(self) -> Iterator[str]:
        """What the observations read of the run."""
        reader = self.density.reader
        if reader.courses:
            self.wrong("the study reads whole courses: metrics, or counts that are reported later")
        for i, row in enumerate(reader.weights, 1):
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
            density = _NOISE[family.name].format(**words)
            if isinstance(family, CountFamily) and term.quantity.how != "at":
                yield f'if ({mean} < 0) reject("the model falls in a window of counts");'
            weight = "" if term.weight == 1 else f"{_number(term.weight)} * "
            yield f"target += {weight}{density};  // {_comment(term.label)}"


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
