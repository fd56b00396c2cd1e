"""How many operations a step has, counted a second time from the text of the file by a route of its own.

The count here shares no code with reader, lowering and graph: equations are cut out of the text by a pattern, read by
Python's own parser, and numbered by value (an operation on the same values is one operation). What a smooth or a delay
is comes from Vensim's manual. An operation counts when a stock or the time is behind it. Three rules are the compiler's
own and stand here too: a choice between equal values is none, a square is a product, and a power of a half is a root.
"""

import ast
import re
from collections import Counter

import pytest
from places import ROOT

from cipark_sd.compiler.program import PER_STEP
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.language.read.model_file import read_model

#: A value: what it is made of, and whether it changes in a run.
Value = tuple[object, bool]
_OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
#: Vensim's words for them; >= is <= the other way round.
_COMPARED = {ast.GtE: ("le", True), ast.LtE: ("le", False), ast.Gt: ("lt", True), ast.Lt: ("lt", False)}
_PLAIN = {"LN": "log", "EXP": "exp", "ABS": "abs", "COS": "cos", "MIN": "min", "MAX": "max", "SQRT": "sqrt"}
#: What is no operation: where values come from.
_SOURCES = ("state", "time", "instant")


class Counting:
    """The values of one model, each once."""

    def __init__(self, text: str) -> None:
        body = re.sub(r"\\\n\s*", " ", text.split("\\\\\\---///")[0].removeprefix("{UTF-8}"))
        entries = (entry.split("~")[0].strip() for entry in body.split("|") if not entry.strip().startswith("***"))
        self.equations: dict[str, str] = {}
        self.tables: dict[str, str] = {}
        for entry in filter(None, entries):
            table = re.match(r"([^=(]+)\((.*)\)\s*$", entry, re.DOTALL)
            if table is not None:
                self.tables[table[1].strip().lower()] = "".join(table[2].split())
            else:
                name, _, right = entry.partition("=")
                self.equations[name.strip().lower()] = " ".join(right.split())
        names = sorted({*self.equations, *self.tables, "time"}, key=len, reverse=True)
        self.number = {name: f"v{place}" for place, name in enumerate(names)}
        self.spelt = {number: name for name, number in self.number.items()}
        self.pattern = re.compile("|".join(rf"(?<![\w]){re.escape(name)}(?![\w])" for name in names), re.IGNORECASE)
        self.operations: dict[object, str] = {}
        self.values: dict[str, Value] = {}
        for name in self.equations:
            self.variable(name)

    def variable(self, name: str) -> Value:
        if name == "time":
            return ("time", True)
        if name not in self.values:
            right = self.equations[name]
            python = self.pattern.sub(lambda found: self.number[found[0].lower()], right).replace("^", "**")
            python = python.replace("IF THEN ELSE", "IF")
            tree = ast.parse(python, mode="eval").body
            if isinstance(tree, ast.Call) and ast.unparse(tree.func) == "INTEG":
                self.values[name] = (("state", name), True)
                self.value(tree.args[0])
            elif isinstance(tree, ast.Constant | ast.UnaryOp) and not list(ast.walk(tree))[1:][1:]:
                self.values[name] = (("constant", name), False)
            else:
                self.values[name] = self.value(tree)
        return self.values[name]

    def operation(self, kind: str, *parts: Value) -> Value:
        key = (kind, *(part[0] for part in parts))
        moves = any(part[1] for part in parts)
        if moves:
            self.operations.setdefault(key, kind)
        return key, moves

    def value(self, tree: ast.expr) -> Value:
        match tree:
            case ast.Constant(value):
                return (float(value), False)  # type: ignore[arg-type]
            case ast.UnaryOp(ast.USub(), ast.Constant(value)):
                return (-float(value), False)  # type: ignore[arg-type]
            case ast.UnaryOp(ast.USub(), operand):
                return self.operation("neg", self.value(operand))
            case ast.Name(number):
                return self.variable(self.spelt[number])
            case ast.BinOp(left, ast.Pow(), ast.Constant(2)):
                return self.operation("mul", self.value(left), self.value(left))
            case ast.BinOp(left, ast.Pow(), ast.Constant(0.5)):
                return self.operation("sqrt", self.value(left))
            case ast.BinOp(left, operator, right):
                return self.operation(_OPERATORS[type(operator)], self.value(left), self.value(right))
            case ast.Compare(left, [operator], [right]):
                kind, turned = _COMPARED[type(operator)]
                sides = [self.value(left), self.value(right)]
                return self.operation(kind, *(reversed(sides) if turned else sides))
            case ast.Call(ast.Name(function), arguments):
                return self.call(function, arguments)
            case _:
                raise AssertionError(ast.dump(tree))

    def call(self, function: str, arguments: list[ast.expr]) -> Value:
        if function in self.spelt:
            table = (self.tables[self.spelt[function]], False)
            return self.operation("table", table, self.value(arguments[0]))
        parts = [self.value(argument) for argument in arguments]
        if function in _PLAIN:
            return self.operation(_PLAIN[function], *parts)
        if function == "IF":
            if parts[1] == parts[2]:
                return parts[1]
            return self.operation("select", *parts)
        if function == "XIDZ":
            numerator, denominator, otherwise = parts
            small = self.operation("lt", self.operation("abs", denominator), (1e-6, False))
            return self.operation("select", small, otherwise, self.operation("div", numerator, denominator))
        stages = [(("state", ast.dump(arguments[0]), function, place), True) for place in range(3)]
        match function, parts:
            case "SMOOTH", [value, time]:
                self.operation("div", self.operation("sub", value, stages[0]), time)
                return stages[0]
            case "SMOOTH3", [value, time]:
                for goal, stage in zip([value, *stages], stages, strict=False):
                    pull = self.operation("mul", self.operation("sub", goal, stage), (3.0, False))
                    self.operation("div", pull, time)
                return stages[2]
            case "DELAY3", [value, time]:
                leaving = [self.operation("div", stage, time) for stage in stages]
                for entering, out in zip([value, *leaving], leaving, strict=False):
                    self.operation("mul", self.operation("sub", entering, out), (3.0, False))
                return leaving[2]
            case _:
                raise AssertionError(function)


@pytest.mark.parametrize("name", ["world3", "power"])
def test_the_lowering_has_the_operations_that_the_text_has(name: str) -> None:
    path = ROOT / "benchmarks" / "models" / f"{name}.mdl"
    wanted = Counter(Counting(path.read_text(encoding="utf-8")).operations.values())
    model = read_model(path)
    planned = plan(model, Scenario(), save=None, times=None, method=None)
    program = program_for(model, planned.outputs, planned.settings)
    moving = (node.op for node, rate in zip(program.nodes, program.rates, strict=True) if rate == PER_STEP)
    assert Counter(op for op in moving if op not in _SOURCES) == wanted
