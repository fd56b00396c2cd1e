"""Macros written into the equations that call them, unless they stand for too many variables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cipark_sd.base.errors import EquationError, UnsupportedFeature
from cipark_sd.compiler.unroll import unroll
from cipark_sd.model.expr import Call, Expr, Ref, rebuild, walk, with_references
from cipark_sd.model.model import CONTROL, Macro, Model
from cipark_sd.model.variables import Auxiliary, Piece, Variable, expressions, rewritten


def inline_macros(model: Model) -> Model:
    """``model`` with each macro call replaced by variables of its own.

    Where a variable with subscripts calls one, all subscripts are written out first.

    The call's inner variables are called ``caller#macro#variable``, with a number after the macro from the second
    call in one equation on; their labels are ``Caller MACRO Variable``. Macro parameters are variables too and take
    the argument anew at each instant.

    Raises
    ------
    EquationError
        For a wrong number of arguments, macros that call themselves, or more variables than can be computed.
    """
    if not model.macros:
        return model
    flat = unroll(model) if any(_calls(model, variable) for variable in model.variables if variable.dims) else model
    check_macro_sizes(flat.name, flat.variables, flat.macros)
    inliner = _Inliner(flat)
    variables: list[Variable] = []
    for variable in flat.variables:
        variables.extend(inliner.expand(variable, 0))
    return replace(flat, variables=tuple(variables), macros=())


def _calls(model: Model, variable: Variable) -> bool:
    """Whether a variable calls a macro."""
    macros = {macro.name for macro in model.macros}
    return any(isinstance(p, Call) and p.function in macros for expr in expressions(variable) for p in walk(expr))


class _Inliner:
    def __init__(self, model: Model) -> None:
        self.where = model.name
        self.macros = {macro.name: macro for macro in model.macros}
        self.taken = {variable.name for variable in model.variables}

    def expand(self, variable: Variable, depth: int) -> Iterator[Variable]:
        """The inner variables of the calls in ``variable``, then ``variable`` itself."""
        if depth > DEEPEST:
            raise EquationError(self.where, variable.label, "calls a macro that calls itself")
        inner: list[Variable] = []

        def change(expr: Expr) -> Expr:
            expr = rebuild(expr, change)
            if isinstance(expr, Call) and expr.function in self.macros:
                return self._call(variable, self.macros[expr.function], expr.arguments, inner)
            return expr

        new = rewritten(variable, change)
        for added in inner:
            yield from self.expand(added, depth + 1)
        yield new

    def _call(self, caller: Variable, macro: Macro, arguments: tuple[Expr, ...], inner: list[Variable]) -> Expr:
        every = macro.completed(arguments)
        most = len(macro.parameters)
        if len(every) != most:
            least = most - sum(expr is not None for expr in macro.defaults)
            taken = f"{most}" if least == most else f"{least} to {most}"
            reason = f"gives the macro {macro.name!r} {len(arguments)} argument(s) instead of {taken}"
            raise EquationError(self.where, caller.label, reason)
        prefix, number = f"{caller.name}#{macro.name}", 1
        while f"{prefix}#{macro.results[0]}" in self.taken:
            number += 1
            prefix = f"{caller.name}#{macro.name}{number}"
        title = f"{caller.label} {macro.name.upper()}" + (f" {number}" if number > 1 else "")
        local = {*(v.name for v in macro.variables if v.name not in CONTROL), *macro.parameters}
        names = {name: f"{prefix}#{name}" for name in local}
        self.taken.update(names.values())
        # a default is an expression of the macro, an argument one of the caller
        inputs = (*arguments, *(self._local(expr, names, caller) for expr in every[len(arguments) :]))
        for parameter, argument in zip(macro.parameters, inputs, strict=True):
            inner.append(
                Auxiliary(
                    name=names[parameter], label=f"{title} {parameter.replace('_', ' ')}", pieces=(Piece(argument),)
                )
            )
        inner.extend(self._renamed(v, names, title, caller) for v in macro.variables if v.name not in CONTROL)
        return Ref(names[macro.results[0]])

    def _local(self, expr: Expr, names: dict[str, str], caller: Variable) -> Expr:
        """An expression of a macro in the names that its variables have at one call."""

        def local(ref: Ref) -> Ref:
            if ref.subscripts:
                way = "write the macro's equations into the model"
                feature = "subscripts inside a macro"
                raise UnsupportedFeature(feature, variable=caller.label, where=self.where, alternative=way)
            # Vensim marks the model's own control variables with a dollar inside a macro
            return Ref(names.get(ref.name, ref.name.removesuffix("$")))

        return with_references(expr, local)

    def _renamed(self, variable: Variable, names: dict[str, str], title: str, caller: Variable) -> Variable:
        def change(expr: Expr) -> Expr:
            return self._local(expr, names, caller)

        name, label = names[variable.name], f"{title} {variable.label}"
        return replace(rewritten(variable, change), name=name, label=label)


#: A macro that calls itself never ends; no model nests them this deep.
DEEPEST = 50
#: Variables that macro calls are written out as; a macro that calls another one twice doubles them.
MOST_WRITTEN = 100_000


def check_macro_sizes(where: str, variables: Sequence[Variable], macros: Sequence[Macro]) -> None:
    """Refuse calls that stand for too many variables, before the first of them is written out.

    Parameters
    ----------
    where : str
        The model's name.
    variables : sequence of Variable
        Of the model, in order.

    Raises
    ------
    EquationError
        For the first variable with whose calls there are more than :data:`MOST_WRITTEN`.
    """
    by_name = {macro.name: macro for macro in macros}

    def called(variable: Variable) -> Iterator[str]:
        for expr in expressions(variable):
            yield from (part.function for part in walk(expr) if isinstance(part, Call) and part.function in by_name)

    inside = {name: Counter(inner for v in macro.variables for inner in called(v)) for name, macro in by_name.items()}
    # as deep as calls may be nested, each round counts one level more
    sizes = dict.fromkeys(by_name, 0)
    for _ in range(DEEPEST):
        sizes = {
            name: min(
                len(macro.parameters)
                + len(macro.variables)
                + sum(number * sizes[inner] for inner, number in inside[name].items()),
                # beyond the limit by far: the count of macros that call themselves must not grow without end
                10**30,
            )
            for name, macro in by_name.items()
        }
    total = 0
    for variable in variables:
        added = sum(sizes[name] for name in called(variable))
        total += added
        if total > MOST_WRITTEN:
            reason = (
                f"calls macros that become {added:,} variables, and all calls up to here {total:,}; at most "
                f"{MOST_WRITTEN:,} are computed: let a macro call another one once and use its value twice"
            )
            raise EquationError(where, variable.label, reason)
