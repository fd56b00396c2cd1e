"""Expectations as text: Vensim's expressions, with other runs and other times.

``X@2015.3`` is ``X`` at that time, ``run(name, e)`` is ``e`` in a named run, ``base(e)`` in the one called base. They
become calls ``at`` and ``run`` in the model's own expressions; functions are those of a saved run alone.
"""

from collections.abc import Iterator

from cipark_sd.checks.evaluate import BASE, FUNCTIONS
from cipark_sd.errors import CiparkError, UnknownName
from cipark_sd.frontends.climbing import Cursor, Names, SyntaxProblem, TooDeep
from cipark_sd.frontends.vensim.expressions import Reader, number
from cipark_sd.frontends.vensim.tokens import is_number, place, tokens
from cipark_sd.model.expr import Call, Const, Expr, Ref, Text, children
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Lookup

#: Fewest and most arguments of each function; ``NOT`` is an operator.
_ARGUMENTS = {name: row[:2] for name, row in FUNCTIONS.items() if name != "not"} | {"base": (1, 1), "run": (2, 2)}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


class ExpressionError(CiparkError):
    """An expectation that cannot be understood."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"the expression {text!r} {reason}")


def parse_expression(text: str) -> Expr:
    """The expression that ``text`` writes; names are canonical and not yet looked up.

    Raises
    ------
    ExpressionError, UnknownName
        With the place where the text stops making sense.
    """
    cursor = Cursor(tokens(text))
    try:
        expr = _Expectations(text).whole(cursor)
        if cursor.token:
            raise cursor.unexpected("an operator or the end")
    except TooDeep as problem:
        raise ExpressionError(f"{text[:40]}…", problem.reason) from None
    except SyntaxProblem as problem:
        tail = text[place(text, problem.index) :].strip()
        where = f" at {tail[:20]!r}" if tail else ""
        raise ExpressionError(text, f"cannot be read{where}: {problem.reason}") from None
    return expr


class _Expectations(Reader):
    """Vensim's expressions with times behind ``@``, the functions above, and elements that are numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(Names(), ())
        self.text = text

    def atom(self, cursor: Cursor) -> Expr:
        at, atom = cursor.at, super().atom(cursor)
        if isinstance(atom, Text):
            raise SyntaxProblem(at, "a text has no value")
        return Call("at", (atom, Const(number(cursor)))) if cursor.accept("@") else atom

    def named(self, cursor: Cursor) -> Expr:
        name, at = self.names[cursor.token], cursor.at
        cursor.at += 1
        if cursor.token != "(":
            return Ref(name, self.subscripts(cursor) if cursor.token == "[" else ())
        if name not in _ARGUMENTS:
            raise UnknownName(name.upper(), [f.upper() for f in _ARGUMENTS], kind="function", where=repr(self.text))
        arguments = self.arguments(cursor, name)
        least, most = _ARGUMENTS[name]
        if self.further or len(arguments) < least or (most is not None and len(arguments) > most):
            count = f"{least}" if most == least else f"at least {least}"
            raise SyntaxProblem(at, f"{name.upper()} takes {count} argument(s), here are {len(arguments)}")
        if name == "run" and not (isinstance(arguments[0], Ref) and not arguments[0].subscripts):
            raise SyntaxProblem(at, "the first argument of run() is not the name of a run")
        return Call(name, arguments) if name != "base" else Call("run", (Ref(BASE), *arguments))

    def subscript(self, cursor: Cursor) -> str:
        if not is_number(cursor.token):
            return super().subscript(cursor)
        cursor.at += 1
        return self.names[cursor.tokens[cursor.at - 1]]


def name_problems(expr: Expr, text: str, model: Model, runs: tuple[str, ...], where: str) -> Iterator[CiparkError]:
    """What in an expectation the model and the file do not have: variables, subscripts, runs; and nested runs."""
    names = [variable.label for variable in model.variables]

    def visit(part: Expr, inside: bool) -> Iterator[CiparkError]:
        match part:
            case Call("run", (Ref(name), inner)):
                if name not in runs:
                    yield UnknownName(name, runs, kind="run", where=where)
                if inside:
                    yield ExpressionError(text, "has base() or run() inside another; which run is meant?")
                yield from visit(inner, True)
            case Ref("time", ()):
                return
            case Ref():
                yield from reference(part)
            case _:
                for child in children(part):
                    yield from visit(child, inside)

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
