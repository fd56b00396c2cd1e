"""Subscripts for other languages: equations that XMILE can say as they are, sums written out, and the flat model.

The flat model has its subscripts written out under names that both languages accept. PySD runs it some forty times
faster than the subscripted one, since scalars need no labelled arrays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from cipark_sd.base.errors import CiparkError, InvalidValue, UnsupportedFeature, raise_all
from cipark_sd.base.naming import canonical, flat_name, one_name
from cipark_sd.compiler.functions.registry import of_arrays
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.subscripts import REDUCTIONS
from cipark_sd.compiler.unroll import VECTOR_FUNCTIONS, folded, unroll
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.model.expr import Apply, Call, Expr, Grid, Ref, bound_to, rebuild, references, walk, with_references
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, expressions, rewritten

#: Functions of whole arrays that XMILE lacks: they are written under Vensim's names, with underscores, as files that
#: other converters wrote have them.
VENSIM_NAMED = of_arrays("selection", "vector", "allocation", "market")
_SUMMED = ("sum", "prod", "vmin", "vmax")


def write_out_reductions(model: Model, expr: Expr) -> Expr:
    """``SUM(x[D!])`` as ``x[A] + x[B] + …``: readers of XMILE differ in how they mark what is summed over."""

    def change(part: Expr) -> Expr:
        part = rebuild(part, change)
        match part:
            case Call(function, (argument,)) if function in _SUMMED:
                return folded(function, _terms(model, argument))
            case _:
                return part

    return change(expr)


def _terms(model: Model, argument: Expr) -> list[Expr]:
    marked = list(dict.fromkeys(s for ref in references(argument) for s in ref.subscripts if s.endswith("!")))
    choices = [model.dimension_by_name[mark.removesuffix("!")].elements for mark in marked]
    return [bound_to(argument, dict(zip(marked, elements, strict=True))) for elements in product(*choices)]


def sayable(model: Model, expr: Expr, dims: tuple[str, ...]) -> bool:
    """Whether an equation that holds for all of ``dims`` means the same in XMILE without being written out.

    It does when each reference has a dimension of the left side where its variable has that very dimension, or an
    element; subranges, mappings, numbers of elements and tables with subscripts are written out instead. Inside a
    function of whole arrays the dimension of an argument may also be one that is gone along, marked or not.
    """
    ranges = set(model.dimension_by_name) | {e for d in model.dimensions for e in d.elements}
    named = of_whole_arrays(expr)
    inside = {s for ref in references(expr) for s in ref.subscripts if s in model.dimension_by_name}
    for part in walk(expr):
        match part:
            case Grid():
                return False
            case Ref(name, subscripts):
                along = inside if named else ()
                if not _plain(model, name, subscripts, (*dims, *along), ranges, marks=named):
                    return False
            case Apply(Ref(_, subscripts), _) if subscripts:
                return False
            case Call(function, _) if function in (*REDUCTIONS, *VECTOR_FUNCTIONS) and function not in VENSIM_NAMED:
                return False
            case _:
                pass
    return True


def of_whole_arrays(expr: Expr) -> bool:
    """Whether an equation has a function that XMILE lacks and that takes whole arrays."""
    return any(isinstance(part, Call) and part.function in VENSIM_NAMED for part in walk(expr))


def _plain(
    model: Model, name: str, subscripts: tuple[str, ...], dims: tuple[str, ...], ranges: set[str], *, marks: bool
) -> bool:
    target = model.by_name.get(name)
    if target is None:
        return name not in ranges
    if len(subscripts) != len(target.dims):
        return False
    return all(
        (sub == dim and sub in dims)
        if sub in model.dimension_by_name
        else (marks and sub == f"{dim}!") or not sub.endswith("!")
        for sub, dim in zip(subscripts, target.dims, strict=True)
    )


def vector_calls(model: Model, flat: Model, alternative: str) -> Iterator[UnsupportedFeature]:
    """Functions of a whole vector in a model whose subscripts are written out; no language has them for elements."""
    refused = VENSIM_NAMED
    for variable in model.variables:
        names = {flat_name(variable.name, elements) for elements in model.elements(variable)} & set(flat.by_name)
        parts = (part for name in names for expr in expressions(flat.by_name[name]) for part in walk(expr))
        for function in sorted({p.function for p in parts if isinstance(p, Call) and p.function in refused}):
            shown = function.replace("_", " ").upper()
            yield UnsupportedFeature(shown, variable=variable.label, where=model.name, alternative=alternative)


@dataclass(frozen=True)
class Flat:
    """A model without subscripts and what its variables were.

    ``names`` maps the canonical name of each variable or element, ``residents[soe]``, to the canonical name in the
    flat model, ``residents_soe``.
    """

    model: Model
    names: Mapping[str, str]


def flat_model(model: Model) -> Flat:
    """``model`` with macros, files and subscripts written out: ``Residents[SOE]`` becomes ``Residents SOE``.

    Raises
    ------
    UnsupportedFeature
        For functions of a whole vector, such as VECTOR RANK.
    Problems, InvalidValue
        When two variables would get the same name.
    """
    read = inline_macros(read_externals(model))
    written_out = unroll(read) if read.dimensions else read
    raise_all(model.name, list(vector_calls(read, written_out, "a flat model cannot have it: convert without --flat")))
    labels = _labels(model, written_out)
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    problems: list[CiparkError] = []
    for variable in written_out.variables:
        flat = canonical(labels[variable.name])
        if flat in owners:
            quantity = f"the flat name of {owners[flat]!r} and {variable.label!r}"
            problems.append(InvalidValue(quantity, labels[variable.name], "a different one", where=model.name))
        owners[flat] = variable.label
        names[variable.name] = flat
    raise_all(model.name, problems)
    variables = tuple(_renamed(variable, names, labels[variable.name]) for variable in written_out.variables)
    # the picture shows the variables with subscripts, so the flat model has none
    return Flat(replace(written_out, variables=variables, drawing="", origin=None), names)


def _labels(model: Model, flat: Model) -> dict[str, str]:
    """What each variable of the flat model is called, by its name there."""
    labels = {variable.name: variable.label for variable in flat.variables}
    for variable in model.variables:
        for elements in model.elements(variable):
            name = flat_name(variable.name, elements)
            if name in labels:
                labels[name] = one_name(variable.label, *model.element_labels(variable, elements))
    return labels


def _renamed(variable: Variable, names: Mapping[str, str], label: str) -> Variable:
    def change(expr: Expr) -> Expr:
        return with_references(expr, lambda ref: Ref(names.get(ref.name, ref.name), ref.subscripts))

    return replace(rewritten(variable, change), name=names[variable.name], label=label)
