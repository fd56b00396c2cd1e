"""Programs of a model, remembered: the second call with the same model, names and kinds of override only runs."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from cipark_sd.compiler.adjoint import Adjoint, adjoint
from cipark_sd.compiler.functions.data import asks_for_data, with_data_between
from cipark_sd.compiler.limits import with_limits
from cipark_sd.compiler.lower import PUT, Orders, lower
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.program import Program
from cipark_sd.compiler.unroll import unroll
from cipark_sd.engines.base import Settings, interpolation, start_name, taken_name
from cipark_sd.language.read.checked import lines_of
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.model.expr import Call, Const, Ref
from cipark_sd.model.model import FlatModel, Method, Model, as_flat
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    TablePiece,
    Variable,
)

#: How many models and programs are remembered.
REMEMBERED = 64
_K = TypeVar("_K")
_T = TypeVar("_T")
_LOCK = threading.RLock()
_FLAT: OrderedDict[int, tuple[Model, FlatModel]] = OrderedDict()
_PROGRAMS: OrderedDict[object, tuple[Model, Program]] = OrderedDict()
_ADJOINTS: OrderedDict[tuple[int, tuple[str, ...]], tuple[Program, Adjoint]] = OrderedDict()


def remember(store: "OrderedDict[_K, _T]", key: "_K", make: Callable[[], _T]) -> _T:
    """What a store has under a key, made and kept where it has nothing; of too many the oldest goes.

    Parameters
    ----------
    store : OrderedDict
        The values hold what their keys name by ``id``, so that no other object gets that number.
    key : hashable
    make : callable
        Gives the value.

    Returns
    -------
    the value
    """
    with _LOCK:
        if key not in store:
            store[key] = make()
            if len(store) > REMEMBERED:
                store.popitem(last=False)
        store.move_to_end(key)
        return store[key]


def flat_model(model: Model) -> FlatModel:
    """The model without files, subscripts and macros, as the lowering takes it."""

    def make() -> tuple[Model, FlatModel]:
        # the model is kept too, so that its identity stays its own
        with lines_of(model):
            written_out = inline_macros(unroll(read_externals(model), keep_reductions=True))
            return model, as_flat(with_data_between(written_out) if asks_for_data(model) else written_out)

    return remember(_FLAT, id(model), make)[1]


def changed(flat: FlatModel, shape: Settings) -> FlatModel:
    """The flat model in which what the settings override is a constant, another table or a data variable.

    Parameters
    ----------
    shape : Settings
        Their numbers do not matter, only which there are.
    """
    if not (shape.initials or shape.tables or shape.series or shape.reductions):
        return flat
    variables: list[Variable] = []
    for variable in flat.variables:
        name = variable.name
        match variable:
            case Stock(pieces=(stock,)):
                if name in shape.initials:
                    start = start_name(name)
                    variable = replace(variable, pieces=(replace(stock, initial=Ref(start)),))
                    label = f"initial {variable.label}"
                    variables.append(Constant(name=start, label=label, pieces=(Piece(Const(0.0)),)))
                if name in shape.series:
                    variables.append(
                        Series(name=name + PUT, label=name, pieces=(ExternalPiece(None),), interpolation="raw")
                    )
                variables.append(variable)
            case Lookup() if name in shape.tables:
                variables.append(replace(variable, pieces=(TablePiece(shape.tables[name]),)))
            case _ if name in shape.series:
                data = Series(
                    name=name,
                    label=variable.label,
                    units=variable.units,
                    pieces=(ExternalPiece(None),),
                    interpolation=interpolation(shape.series[name]),
                )
                variables.append(data)
            case _:
                variables.append(variable)
    for name, reduction in shape.reductions.items():
        taken = Ref(taken_name(name))
        call = Call(f"reduce: {reduction.how}", (taken, reduction.expr))
        variables.append(Auxiliary(name=name, label=name, pieces=(Piece(call),)))
        for data_name in (taken.name, *reduction.data):
            if data_name not in flat.by_name and all(v.name != data_name for v in variables):
                interpolated = interpolation(shape.series[data_name])
                variables.append(
                    Series(name=data_name, label=data_name, pieces=(ExternalPiece(None),), interpolation=interpolated)
                )
    return replace(flat, variables=tuple(variables))


def program_for(
    model: Model, save: Sequence[str], shape: Settings, *, method: Method | None = None, orders: Orders | None = None
) -> Program:
    """The program that computes flat variables under settings of some shape.

    Parameters
    ----------
    save : sequence of str
        Flat names, in the order of the outputs.
    shape : Settings
        Of which :attr:`Settings.shape` counts.
    method : Method, optional
        None for the file's own.
    orders : Orders, optional
        Stages of delays and smooths; None for those that the model's own constants ask for.
    """
    flat = flat_model(model)
    method = method or model.time.method
    key = (id(model), tuple(save), shape.shape, method, tuple((orders or {}).items()))

    def make() -> tuple[Model, Program]:
        with_method = replace(flat, time=replace(flat.time, method=method))
        with lines_of(model):
            # what a scenario brings over time is not limited
            return model, lower(with_limits(changed(with_method, shape)), save, orders=orders)

    return remember(_PROGRAMS, key, make)[1]


def adjoint_of(program: Program, parameters: tuple[str, ...]) -> Adjoint:
    """The program's way back (see :func:`cipark_sd.compiler.adjoint.adjoint`), made once.

    Parameters
    ----------
    parameters : tuple of str
        Constants of the program.
    """
    return remember(_ADJOINTS, (id(program), parameters), lambda: (program, adjoint(program, parameters)))[1]
