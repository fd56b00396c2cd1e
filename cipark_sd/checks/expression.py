"""Expectations as text: Vensim's expressions, with other runs and other times.

``X@2015.3`` is ``X`` at that time, ``base(e)`` is ``e`` in the base run, ``run(name, e)`` is ``e`` in a named run. They
become calls ``at``, ``base`` and ``run`` in the model's own expressions. The grammar, weakest first::

    expression  = conjunction { ":OR:" conjunction }
    conjunction = negation { ":AND:" negation }
    negation    = [ ":NOT:" ] comparison
    comparison  = sum [ ( "<" | "<=" | ">" | ">=" | "=" | "<>" ) sum ]
    sum         = product { ( "+" | "-" ) product }
    product     = factor { ( "*" | "/" ) factor }
    factor      = [ "-" | "+" ] factor | power
    power       = atom [ "^" factor ]
    atom        = ( number | "(" expression ")" | call | series ) [ "@" number ]
    call        = function "(" expression { "," expression } ")"
    series      = name [ "[" subscript { "," subscript } "]" ]

It is not PySD's grammar since that has no ``@``, and since a message should say where in the text it went wrong.
"""

import re
from collections.abc import Callable, Iterator
from typing import cast

from cipark_sd.errors import CiparkError, UnknownName
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Operator, Ref, children
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Lookup
from cipark_sd.naming import canonical

#: Fewest and most arguments of each function.
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "min": (2, None),
    "max": (2, None),
    "abs": (1, 1),
    "exp": (1, 1),
    "ln": (1, 1),
    "sqrt": (1, 1),
    "zidz": (2, 2),
    "xidz": (3, 3),
    "sum": (1, 1),
    "vmin": (1, 1),
    "vmax": (1, 1),
    "base": (1, 1),
    "run": (2, 2),
}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<logic>:AND:|:OR:|:NOT:)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>"(?:\\"|[^"])*"|[^\W\d][\w$']*(?:\s+[\w$']+)*)
    |(?P<operator><>|<=|>=|[-+*/^()\[\],@<>=!])
    )""",
    re.VERBOSE | re.IGNORECASE,
)


class ExpressionError(CiparkError):
    """An expectation that cannot be understood."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"the expression {text!r} {reason}")


def parse_expression(text: str) -> Expr:
    """The expression that ``text`` writes; names are canonical and not yet looked up.

    Raises
    ------
    ExpressionError
        With the place where the text stops making sense.
    """
    try:
        return _Parser(text).parse()
    except RecursionError:
        raise ExpressionError(f"{text[:40]}…", "is nested too deeply") from None


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ExpressionError(text, f"has something unknown at {text[position:].strip()[:20]!r}")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            position = match.end()
        self.position = 0

    def peek(self) -> str:
        """The next operator or logical word, folded; empty at the end and before names and numbers."""
        if self.position >= len(self.tokens):
            return ""
        kind, token, _ = self.tokens[self.position]
        return token.lower() if kind in ("operator", "logic") else ""

    def fail(self, reason: str = "") -> ExpressionError:
        if self.position >= len(self.tokens):
            return ExpressionError(self.text, reason or "ends too early")
        tail = self.text[self.tokens[self.position][2] :]
        return ExpressionError(self.text, f"{reason or 'makes no sense'} at {tail[:20]!r}")

    def accept(self, *tokens: str) -> str:
        token = self.peek()
        if token and token in tokens:
            self.position += 1
            return token
        return ""

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.fail(f"should have {token!r}")

    def parse(self) -> Expr:
        expr = self.disjunction()
        if self.position < len(self.tokens):
            raise self.fail()
        return expr

    def chain(self, operand: Callable[[], Expr], *operators: str) -> Expr:
        left = operand()
        while operator := self.accept(*operators):
            left = Binary(cast(Operator, operator.strip(":")), left, operand())
        return left

    def disjunction(self) -> Expr:
        return self.chain(self.conjunction, ":or:")

    def conjunction(self) -> Expr:
        return self.chain(self.negation, ":and:")

    def negation(self) -> Expr:
        return Call("not", (self.negation(),)) if self.accept(":not:") else self.comparison()

    def comparison(self) -> Expr:
        left = self.sum()
        if operator := self.accept(*COMPARISONS):
            left = Binary(cast(Operator, operator), left, self.sum())
            if self.peek() in COMPARISONS:
                raise self.fail("compares three things; join two comparisons with :AND:")
        return left

    def sum(self) -> Expr:
        return self.chain(self.product, "+", "-")

    def product(self) -> Expr:
        return self.chain(self.factor, "*", "/")

    def factor(self) -> Expr:
        if sign := self.accept("-", "+"):
            operand = self.factor()
            return Neg(operand) if sign == "-" else operand
        base = self.atom()
        return Binary("^", base, self.factor()) if self.accept("^") else base

    def atom(self) -> Expr:
        atom = self.plain_atom()
        if self.accept("@"):
            return Call("at", (atom, Const(self.number())))
        return atom

    def number(self) -> float:
        sign = -1.0 if self.accept("-") else 1.0
        if self.position >= len(self.tokens) or self.tokens[self.position][0] != "number":
            raise self.fail("should have a time after '@'")
        self.position += 1
        return sign * float(self.tokens[self.position - 1][1])

    def plain_atom(self) -> Expr:
        if self.accept("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        if self.position >= len(self.tokens):
            raise self.fail()
        kind, token, _ = self.tokens[self.position]
        if kind == "number":
            self.position += 1
            return Const(float(token))
        if kind != "name":
            raise self.fail()
        self.position += 1
        if self.accept("("):
            return self.call(canonical(token))
        return Ref(canonical(token), self.subscripts() if self.accept("[") else ())

    def subscripts(self) -> tuple[str, ...]:
        subscripts: list[str] = []
        while True:
            if self.position >= len(self.tokens) or self.tokens[self.position][0] not in ("name", "number"):
                raise self.fail("should have a subscript")
            subscripts.append(canonical(self.tokens[self.position][1]))
            self.position += 1
            if self.accept("!"):
                subscripts[-1] += "!"
            if not self.accept(","):
                self.expect("]")
                return tuple(subscripts)

    def call(self, function: str) -> Expr:
        if function not in FUNCTIONS:
            raise UnknownName(function.upper(), [f.upper() for f in FUNCTIONS], kind="function", where=repr(self.text))
        arguments = [self.disjunction()]
        while self.accept(","):
            arguments.append(self.disjunction())
        self.expect(")")
        least, most = FUNCTIONS[function]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            count = f"{least}" if most == least else f"at least {least}"
            raise ExpressionError(self.text, f"gives {function.upper()} {len(arguments)} argument(s), it takes {count}")
        if function == "run" and not (isinstance(arguments[0], Ref) and not arguments[0].subscripts):
            raise ExpressionError(self.text, "has a run() whose first argument is not the name of a run")
        return Call(function, tuple(arguments))


def name_problems(expr: Expr, text: str, model: Model, runs: tuple[str, ...], where: str) -> Iterator[CiparkError]:
    """What in an expectation the model and the file do not have: variables, subscripts, runs; and nested runs."""
    names = [variable.label for variable in model.variables]

    def visit(part: Expr, inside: bool) -> Iterator[CiparkError]:
        match part:
            case Call("run", (Ref(name), inner)):
                if name not in runs:
                    yield UnknownName(name, runs, kind="run", where=where)
                yield from nested(inner, inside)
            case Call("base", (inner,)):
                yield from nested(inner, inside)
            case Ref("time", ()):
                return
            case Ref():
                yield from reference(part)
            case _:
                for child in children(part):
                    yield from visit(child, inside)

    def nested(inner: Expr, inside: bool) -> Iterator[CiparkError]:
        if inside:
            yield ExpressionError(text, "has base() or run() inside another; which run is meant?")
        yield from visit(inner, True)

    def reference(ref: Ref) -> Iterator[CiparkError]:
        variable = model.by_name.get(ref.name)
        if variable is None:
            yield UnknownName(ref.name, names, where=where)
            return
        if isinstance(variable, Lookup):
            yield ExpressionError(text, f"uses the lookup {variable.label!r}, which is no value over time")
        if len(ref.subscripts) != len(variable.dims):
            dims = ", ".join(model.dimension_by_name[dim].label for dim in variable.dims)
            spans = f"[{dims}]" if dims else "no subscripts"
            yield ExpressionError(text, f"gives {variable.label!r} {len(ref.subscripts)} subscript(s); it has {spans}")
            return
        for subscript, dim in zip(ref.subscripts, variable.dims, strict=True):
            dimension = model.dimension_by_name[dim]
            elements = set(dimension.elements)
            part = model.dimension_by_name.get(subscript.removesuffix("!"))
            within = set(part.elements) <= elements if part is not None else subscript in elements
            if not within:
                yield UnknownName(
                    subscript, [*dimension.element_labels, dimension.label], kind="subscript", where=where
                )

    yield from visit(expr, False)
