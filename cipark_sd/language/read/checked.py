"""The last step of every reader: names are checked, the parts become one model, messages get the line in its file."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cipark_sd.base.errors import (
    AlgebraicLoop,
    CiparkError,
    EquationError,
    InvalidValue,
    Problems,
    UnknownName,
    UnsupportedFeature,
    raise_all,
)
from cipark_sd.base.naming import spelling
from cipark_sd.compiler.functions.registry import REFUSED
from cipark_sd.compiler.macros import check_macro_sizes
from cipark_sd.language.read.climbing import MOST_PARTS, TOO_DEEP, TOO_LONG, n_parts
from cipark_sd.language.read.external_files import external_contents, external_names
from cipark_sd.model.expr import Binary, Call, Const, Expr, Grid, Ref, levels, references, walk
from cipark_sd.model.model import CONTROL, Dimension, Macro, Method, Model, TimeSpec, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, Piece, StockPiece, Variable, expressions

#: Unknown names of one file that are looked for in it as their writer spelt them.
_MOST_SEARCHED = 100


def unchecked_time(method: Method) -> TimeSpec:
    """The times of a model whose equations for them are not looked at yet."""
    return TimeSpec(math.nan, math.nan, math.nan, math.nan, method)


def checked_model(path: Path, draft: Model, raw: bytes, problems: list[CiparkError]) -> Model:
    """The model of what a reader found, with its times and its digest.

    Parameters
    ----------
    path : Path
        Its file.
    draft : Model
        What the reader found, with the :func:`unchecked_time` and where it was read from.
    raw : bytes
        What the file holds.
    problems : list of CiparkError
        Those met so far.

    Raises
    ------
    OutsideFolder, EquationError, UnknownName, UnsupportedFeature, Problems
        All problems together.
    """
    assert draft.origin is not None
    variables, dimensions, macros, lines = draft.variables, draft.dimensions, draft.macros, draft.origin.lines
    problems += _too_deep(path.name, variables)
    for macro in macros:
        problems += _too_deep(f"{path.name}, macro {macro.name}", macro.variables)
    # what follows walks through the expressions; and a name may be unknown because its entry could not be read
    raise_all(str(path), [placed(problem, (path.name,), lines) for problem in problems])
    problems += _ambiguous(path.name, variables, dimensions, macros)
    problems += _self_calling(path.name, macros)
    problems += _over_repeats(path.name, variables, {d.name: d.label for d in dimensions if d.listed})
    macro_names = frozenset(macro.name for macro in macros)
    text = raw.decode("utf-8", "replace")
    problems += _unknown_references(path.name, variables, dimensions, (), macro_names, text)
    names = [variable.name for variable in variables]
    for macro in macros:
        # inside a macro a dollar marks a variable of the model itself; it may use the times without being given them
        extra = (*macro.parameters, *(f"{name}$" for name in (*names, "time", *CONTROL)), *CONTROL)
        where = f"{path.name}, macro {macro.name}"
        defaults = (
            Auxiliary(name=name, label=name, pieces=(Piece(expr),))
            for name, expr in zip(macro.parameters, macro.defaults, strict=False)
            if expr is not None
        )
        problems += _unknown_references(where, (*macro.variables, *defaults), dimensions, extra, macro_names, text)
    raise_all(str(path), [placed(problem, (path.name,), lines) for problem in problems])
    check_macro_sizes(path.name, variables, macros)
    by_name = {variable.name: variable for variable in variables}
    initial, final, step, saveper = (_control_value(by_name, name) for name in CONTROL)
    units = next((by_name[name].units for name in ("time_step", "final_time") if name in by_name), "")
    named = external_contents(path, external_names(draft), draft.origin.allowed)
    time = TimeSpec(initial, final, step, saveper, draft.time.method, units)
    return replace(draft, time=time, digest=digest_of(raw, *named))


#: Expressions inside one another in one equation; operations in a row, as the terms of a sum, count as one.
MOST_LEVELS = 300
#: Expressions inside one another, each operation of a row counted.
MOST_TERMS = 2_000


def _too_deep(where: str, variables: Iterable[Variable]) -> Iterator[CiparkError]:
    """One error for each variable that the passes after this one, which go down by recursion, cannot take."""
    for variable in variables:
        if any(n_parts(expr) > MOST_PARTS for expr in expressions(variable)):
            yield EquationError(where, variable.label, TOO_LONG)
            continue
        nested = [levels(expr) for expr in expressions(variable)]
        if any(level > MOST_LEVELS for level, _ in nested) or any(terms > MOST_TERMS for _, terms in nested):
            yield EquationError(where, variable.label, TOO_DEEP)


def _ambiguous(
    where: str, variables: Sequence[Variable], dimensions: Sequence[Dimension], macros: Sequence[Macro]
) -> Iterator[CiparkError]:
    """One error for each name that stands for two things or for nothing."""
    for variable in variables:
        if variable.name == "time":
            yield EquationError(where, variable.label, "cannot be: the name is that of the run's time; use another")
        if any(variable.name == dimension.name for dimension in dimensions):
            yield EquationError(where, variable.label, "is called like a dimension; rename one of the two")
    for dimension in dimensions:
        for element, many in Counter(dimension.elements).items():
            if many > 1:
                label = dimension.element_labels[dimension.elements.index(element)]
                yield InvalidValue(
                    f"the subscript range {dimension.label!r}", f"with {label} {many} times", "each once", where=where
                )
    for name, many in Counter(macro.name for macro in macros).items():
        if many > 1:
            yield EquationError(
                where, f"macro {name}", f"is defined {many} times; which definition counts is not known"
            )
    for macro in macros:
        missing = [result for result in macro.results if all(v.name != result for v in macro.variables)]
        if missing:
            reason = f"is missing: no equation in it computes {', '.join(map(repr, missing))}"
            yield EquationError(where, f"macro {macro.name}", reason)


def _over_repeats(where: str, variables: Iterable[Variable], repeated: Mapping[str, str]) -> Iterator[CiparkError]:
    """One error for each variable that takes a range whole in which an element has several places."""
    for variable in variables if repeated else ():
        values = [p for p in variable.pieces if not (isinstance(p, Piece) and not isinstance(p.expr, Grid))]
        whole = {s for p in values if not isinstance(p, StockPiece) for s in p.subscripts}
        for part in (part for expr in expressions(variable) for part in walk(expr)):
            match part:
                case Ref(_, subscripts):
                    whole |= {sub.removesuffix("!") for sub in subscripts if sub.endswith("!")}
                case Call("elmcount", (Ref(name, ()),)):
                    whole.add(name)
        for name in sorted(whole & repeated.keys()):
            reason = (
                f"takes all of {repeated[name]!r}, in which elements appear more than once; use a range with each once"
            )
            yield EquationError(where, variable.label, reason)


def _self_calling(where: str, macros: Sequence[Macro]) -> Iterator[CiparkError]:
    """One error for each macro that calls itself, be it through others: it has no end."""
    known = {macro.name for macro in macros}
    called = {
        macro.name: {
            part.function
            for variable in macro.variables
            for expr in expressions(variable)
            for part in walk(expr)
            if isinstance(part, Call) and part.function in known
        }
        for macro in macros
    }
    for name in called:
        reached, pending = set[str](), [*called[name]]
        while pending:
            inner = pending.pop()
            if inner not in reached:
                reached.add(inner)
                pending += called[inner]
        if name in reached:
            through = sorted(caller for caller in reached - {name} if name in called[caller])
            way = "" if name in called[name] else f" through {' and '.join(map(repr, through))}"
            yield EquationError(where, f"macro {name}", f"calls itself{way}, which never ends")


def _unknown_references(
    where: str,
    variables: Iterable[Variable],
    dimensions: Sequence[Dimension],
    extra: Collection[str],
    macros: frozenset[str],
    text: str,
) -> list[CiparkError]:
    """One error for each name in the equations that stands for nothing; ``extra`` are known beside the variables.

    ``text`` is the file, in which the name is looked up as its writer spelt it.
    """
    variables = tuple(variables)
    subscripts = {dimension.name for dimension in dimensions} | {
        e for dimension in dimensions for e in dimension.elements
    }
    names = {variable.name for variable in variables} | subscripts | {"time", *extra}
    labels = [variable.label for variable in variables]
    subscript_labels = [label for d in dimensions for label in (d.label, *d.element_labels)]
    problems: list[CiparkError] = []

    def unknown(name: str, known: Sequence[str], kind: str, place: str) -> UnknownName:
        # nobody reads so many that the file had to be searched for all of them
        if len(problems) >= _MOST_SEARCHED:
            return UnknownName(name, (), kind=kind, where=place)
        instead = "write an equation for it" if kind == "variable" else "declare it"
        if name.endswith("'") and name.rstrip("'") in names:
            # isee's transposition
            instead, known = "write its subscripts in the other order: ' is not read", ()
        return UnknownName(spelling(name, text), known, kind=kind, where=place, instead=instead)

    for variable in variables:
        place = f"{where}: the equation of {variable.label!r}"
        reported: set[str] = set()
        if refused := _refused(where, variable.label, expressions(variable), macros):
            # what stands in its call may be a word of the vendor's settings
            problems += refused
            continue
        for expr in expressions(variable):
            for ref in references(expr):
                if ref.name not in names and ref.name not in reported:
                    reported.add(ref.name)
                    problems.append(unknown(ref.name, labels, "variable", place))
                for sub in ref.subscripts:
                    if sub.removesuffix("!") not in subscripts and sub not in reported:
                        reported.add(sub)
                        problems.append(unknown(sub, subscript_labels, "dimension or element", place))
    return problems


def _refused(where: str, variable: str, expressions: Iterable[Expr], macros: frozenset[str]) -> list[CiparkError]:
    """One error for each function of the table that a variable's equations call; ``macros`` are the model's macros."""
    called = {
        part.function
        for expr in expressions
        for part in walk(expr)
        if isinstance(part, Call) and part.function not in macros
    }
    return [
        UnsupportedFeature(name.upper().replace("_", " "), variable=variable, where=where, alternative=REFUSED[name])
        for name in sorted(called & REFUSED.keys())
    ]


def _control_value(variables: Mapping[str, Variable], name: str) -> float:
    """The number a control variable has, followed through plain references; NaN when it is computed."""
    for _ in range(len(variables)):
        match variables.get(name):
            case Constant(pieces=(Piece(Const(value)),)):
                return value
            case Auxiliary(pieces=(Piece(Ref(target, ())),)):
                name = target
            case Auxiliary(pieces=(Piece(Binary("/", Const(over), Const(under))),)) if under:
                return over / under
            case _:
                return float("nan")
    return float("nan")


#: The variable that a message names first, in quotes as Python writes a text, and before it what it says of it.
_NAMED = re.compile(
    r"""(?:, |: )(?:the equation of |the subscript range )?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")"""
)


def placed(problem: CiparkError, names: Sequence[str], lines: Mapping[str, int]) -> CiparkError:
    """A problem whose message begins with the name of a file or model, with the line of the variable it names.

    Parameters
    ----------
    names : sequence of str
        The file's name, which is put first, and other names that messages begin with.
    lines : mapping
        Where each variable begins, by its name as it is written.

    Returns
    -------
    CiparkError
        The problem itself where it names no variable of the file.
    """
    if isinstance(problem, Problems):
        where = names[0] if problem.where in names else problem.where
        return Problems(where, [placed(part, names, lines) for part in problem.problems])
    for name in names:
        match = _NAMED.match(problem.message, len(name)) if problem.message.startswith(name) else None
        label = problem.loop[0] if isinstance(problem, AlgebraicLoop) else match and (match[1] or match[2])
        line = lines.get(_written(label or ""))
        if line is not None and problem.message.startswith(name):
            return problem.saying(f"{names[0]}:{line}{problem.message[len(name) :]}")
    return problem


def _written(label: str) -> str:
    """A variable's name in a message, without the element that it may say."""
    return label.replace("\\'", "'").partition("[")[0]


@contextmanager
def lines_of(model: Model) -> Iterator[None]:
    """Problems of a model that come up after it was read, with the line in its file."""
    try:
        yield
    except CiparkError as problem:
        origin = model.origin
        if origin is None or not origin.lines:
            raise
        better = placed(problem, (origin.path.name, model.name), origin.lines)
        if better is problem:
            raise
        raise better from None
