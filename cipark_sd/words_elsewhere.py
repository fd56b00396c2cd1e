"""Words of other tools, answered with ours."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from cipark_sd.errors import CiparkError, UnknownName

P = ParamSpec("P")
T = TypeVar("T")

#: Keywords and functions of PySD (3.14, its user guide) and what does the same here.
_OPTIONS = {
    "params": "give the values by name: simulate(model, {'Contact Rate': 2})",
    "return_columns": "save=['Infected'] keeps some variables",
    "return_timestamps": "times=[1, 2] keeps some times",
    "initial_condition": "a stock is set like a constant, {'Infected': 5}, and start(model) continues from a state",
    "initial_time": "give Scenario('', {…}, initial_time=…)",
    "final_time": "give Scenario('', {…}, final_time=…)",
    "time_step": "give Scenario('', {…}, time_step=…)",
    "saveper": "give Scenario('', {…}, saveper=…)",
    "output_file": "write save(run, 'run.nc')",
    "reload": "each run begins again",
}
#: Functions and methods of PySD's; those of its model are the same here with a model in front.
_FUNCTIONS = {
    "read_vensim": "read_model('model.mdl')",
    "read_xmile": "read_model('model.xmile')",
    "run": "simulate(model, {'Contact Rate': 2})",
    "step": "start(model).step()",
    "set_components": "simulate(model, {'Contact Rate': 2})",
    "set_initial_condition": "simulate(model, {'Infected': 5}), since a stock is set like a constant",
    "components": "model['Contact Rate'] for one variable, model.variables for all",
    "doc": "show(model), or the model as the last line of a cell",
}


class UnknownOption(CiparkError, TypeError):
    """A keyword that a function does not have, or an argument too many; a TypeError, as Python's own would be."""

    def __init__(self, function: str, options: Iterable[str], known: Iterable[str], reason: str) -> None:
        known = tuple(known)
        unknown = [name for name in options if name not in known]
        lines = [_answer(name, function, known) for name in unknown]
        super().__init__("\n".join(lines) if lines else f"{function}: {reason}")


class UnknownMethod(CiparkError, AttributeError):
    """A name that a model does not have; an AttributeError, as Python's own would be."""

    def __init__(self, name: str, model: str) -> None:
        answer = f"; write {_FUNCTIONS[name]}" if name in _FUNCTIONS else ""
        super().__init__(f"{model}: a model has no {name!r}{answer}")


class UnknownFunction(CiparkError, AttributeError):
    """A name that the package does not have; an AttributeError, as Python's own would be."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        if name in _FUNCTIONS:
            super().__init__(f"cipark_sd has no {name!r}; write {_FUNCTIONS[name]}")
        else:
            super().__init__(str(UnknownName(name, known, kind="function", where="cipark_sd")))


def _answer(name: str, function: str, known: tuple[str, ...]) -> str:
    if name in _OPTIONS:
        return f"{function} has no option {name!r}; {_OPTIONS[name]}"
    return str(UnknownName(name, known, kind="option", where=function))


def answered(function: Callable[P, T]) -> Callable[P, T]:
    """The function, which answers a keyword that it does not have with what there is in its place."""
    known = frozenset(inspect.signature(function).parameters)

    @functools.wraps(function)
    def called(*values: P.args, **options: P.kwargs) -> T:
        if not options.keys() <= known:
            raise UnknownOption(function.__name__, options, known, "")
        return function(*values, **options)

    return called
