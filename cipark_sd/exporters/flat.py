"""The flat model: subscripts written out under names that both languages accept.

PySD runs a flat model some forty times faster than the subscripted one, since scalars need no labelled arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.unroll import flat_name, unroll
from cipark_sd.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.exporters.arrays import vector_calls
from cipark_sd.frontends.externals import read_externals
from cipark_sd.model.expr import Expr, Ref, with_references
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, rewritten
from cipark_sd.naming import canonical, one_name


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
