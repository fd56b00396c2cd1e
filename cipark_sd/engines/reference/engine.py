"""The reference engine: PySD runs the original file, and a run leaves no trace.

Each run loads the translation afresh into a temporary folder, so nothing that PySD remembers (parameters, final time,
time step, saved states) can reach the next one; what is kept for speed is the translated text alone. The folder of
the model is only read: external data are looked up there, nothing is written there.
"""

import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.starts import MOST_STAGES
from cipark_sd.compiler.subscripts import Subscripts
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.engines.plan import RunPlan
from cipark_sd.engines.programs import flat_model
from cipark_sd.engines.reference.run import PySDRun
from cipark_sd.engines.reference.translation import loaded_afresh
from cipark_sd.engines.settings import Settings
from cipark_sd.errors import MissingData, Problems, UnsupportedFeature, raise_all
from cipark_sd.model.expr import Call, Const, Ref, Table, walk
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import Constant, External, Piece, expressions
from cipark_sd.scenarios import Override, Resolved, TimeSeries

Values = NDArray[np.float64]
_Keys = Mapping[str, tuple[str, tuple[str, ...]]]

#: Messages of PySD and its dependencies that say nothing about the model or the run; all others are passed on.
_QUIET = (
    # chardet renamed a module that PySD imports by the old name; it still works
    "chardet.universaldetector is deprecated",
    # a table that is read beyond its ends holds them (Vensim) or goes on straight (XMILE extrapolate): as documented
    r"(?s).*extrapolating data (above|below) the",
    # a variable that is defined for some elements only; the others are NaN in the result
    r"(?s).*Dimension given by subscripts:.*is incomplete using",
    # concerns PySD's way to change a variable, in whose place PySDRun.apply() has its own
    r"(?s).*is defined with different types:",
)


@dataclass(frozen=True)
class ReferenceEngine:
    """Runs the model's own file through PySD, one run after another."""

    name: ClassVar[str] = "pysd"
    compiled: ClassVar[bool] = False
    exact_file: ClassVar[bool] = True
    fixed_step: ClassVar[bool] = True

    def run(self, plan: RunPlan, settings: Settings, runs: NDArray[np.uint64]) -> Values:
        """See :class:`cipark_sd.engines.registry.Engine`; elements for which the file has no equation are NaN.

        Raises
        ------
        UnsupportedFeature
            When another method than Euler is asked for, be it by the file, for reductions, and for a delay or smooth of
            more stages than PySD could count down.
        EquationError, Problems
            For what the language refuses and PySD would run, such as a macro with too many arguments.
        ModelFileError
            When the file has changed since it was read, or PySD cannot translate it.
        RunFailed
            When an equation has no value, with its name and the time.
        """
        _check_method(plan.model, plan.method)
        _check_language(plan.model)
        _check_orders(plan.model, plan.resolved)
        if settings.reductions:
            raise UnsupportedFeature(
                "a reduction",
                variable="the engine pysd",
                where=plan.model.name,
                alternative="save the variables and reduce them afterwards",
            )
        keys = _keys(plan.model)
        return np.stack([_run_alone(plan, settings, run, keys) for run in range(len(runs))], axis=2)


def _keys(model: Model) -> _Keys:
    """Name and elements by flat name, which cannot be taken apart where an element's own name has a comma in it."""
    return {
        flat_name(variable.name, elements): (variable.name, elements)
        for variable in model.variables
        for elements in model.elements(variable)
    }


def _run_alone(plan: RunPlan, settings: Settings, run: int, known: _Keys) -> Values:
    """The outputs of one run, (n_outputs, n_saved)."""
    model = plan.model
    resolved = _with_data(model, _resolved(plan.resolved, settings, run, known))
    keys = [known[name] for name in plan.outputs]
    places = [(base, model.elements(model.by_name[base]).index(elements)) for base, elements in keys]
    names = dict.fromkeys(base for base, _ in keys)
    columns: list[Values] = []
    with _isolated(), loaded_afresh(model) as (loaded, scratch, labels):
        live = PySDRun(model, loaded, scratch, labels)
        live.apply(resolved)
        live.start()
        for index in range(int(np.flatnonzero(plan.saved).max(initial=0)) + 1):
            if index:
                live.step()
            if plan.saved[index]:
                values = {name: live.value(name).reshape(-1) for name in names}
                columns.append(np.array([values[name][place] for name, place in places]))
    return np.array(columns).reshape(len(columns), len(places)).T


def _resolved(shared: Resolved, settings: Settings, run: int, known: _Keys) -> Resolved:
    """The overrides of one run under the times that all share, as PySD's functions take them."""
    whole: dict[str, Override] = {}
    elements: dict[tuple[str, tuple[str, ...]], float | TimeSeries] = {}
    for values in (settings.numbers, settings.initials, settings.series):
        for name, value in values.items():
            base, at = known[name]
            single = value[run] if isinstance(value, np.ndarray | tuple) else value
            single = single if isinstance(single, TimeSeries) else float(single)
            if at:
                elements[base, at] = single
            else:
                whole[base] = single
    # a table is always a whole lookup's
    whole |= {known[name][0]: table for name, table in settings.tables.items()}
    return replace(shared, whole=whole, elements=elements)


def _check_method(model: Model, method: Method | None) -> None:
    requested = method or model.time.method
    if requested != "euler":
        source = f'method="{requested}"' if method else f"the integration method {requested}, for which the file asks"
        raise UnsupportedFeature(
            source,
            variable="the engine pysd",
            where=model.name,
            alternative='take the engine "native" or "numpy" (--engine native), or accept Euler in so many words: '
            'method="euler" (--method euler)',
        )


def _check_language(model: Model) -> None:
    """Raise what the compiled engines say of the equations; what only they cannot do is no reason."""
    try:
        flat_model(model)
    except UnsupportedFeature:
        return
    except Problems as problem:
        raise_all(model.name, [cause for cause in problem.problems if not isinstance(cause, UnsupportedFeature)])


def _check_orders(model: Model, resolved: Resolved) -> None:
    """PySD makes as many stages as the order says, before it leaves out those that are too short to be seen."""
    for variable in model.variables:
        for call in (part for expr in expressions(variable) for part in walk(expr)):
            if not isinstance(call, Call) or call.function not in ("delay_n", "smooth_n"):
                continue
            order = call.arguments[3]
            if isinstance(order, Ref):
                set_here = resolved.whole.get(order.name)
                source = model.by_name.get(order.name)
                constants = source.pieces if isinstance(source, Constant) else ()
                pieces = [piece.expr for piece in constants if isinstance(piece, Piece)]
                order = Const(set_here) if isinstance(set_here, float) else next(iter(pieces), order)
            if isinstance(order, Const) and order.value > MOST_STAGES:
                raise UnsupportedFeature(
                    f"an order of {order.value:g}, which PySD counts down one by one",
                    variable=variable.label,
                    where=model.name,
                    alternative=f"take the engine native or numpy, or an order of at most {MOST_STAGES:,}",
                )


def _with_data(model: Model, resolved: Resolved) -> Resolved:
    """The overrides with the values that files gave to data variables, which the model's own file does not have.

    Raises
    ------
    MissingData
        For variables without an equation that neither a file nor the scenario gives values.
    UnsupportedFeature
    """
    whole, elements, missing = dict(resolved.whole), dict(resolved.elements), []
    for variable in model.series:
        if variable.name in whole or not any(isinstance(p.source, Table | None) for p in variable.pieces):
            continue
        subscripts = Subscripts.of(model)
        for at in model.elements(variable):
            source = next((p.source for p in reversed(variable.pieces) if subscripts.applies(p, at)), None)
            if (variable.name, at) in elements or isinstance(source, External):
                continue
            if source is None:
                missing.append(flat_name(variable.label, at))
            elif variable.interpolation == "raw":
                feature = f"the data of {variable.label!r} from a file and :RAW:"
                raise UnsupportedFeature(
                    feature, variable="the engine pysd", where=model.name, alternative="take the engine native or numpy"
                )
            elif at:
                elements[variable.name, at] = TimeSeries(source.x, source.y, variable.interpolation)
            else:
                whole[variable.name] = TimeSeries(source.x, source.y, variable.interpolation)
    if missing:
        raise MissingData(model.name, missing)
    return replace(resolved, whole=whole, elements=elements)


@contextmanager
def _isolated() -> Iterator[None]:
    """PySD without its side effects: random state, floating-point warnings and messages that are no news.

    Vensim repeats its random numbers from run to run; here NumPy's and Python's global generators start each run alike
    and are put back afterwards.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (the generator that PySD's functions use)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # division by zero and overflow are IEEE values here; simulate() reports the first of them
        for message in _QUIET:
            warnings.filterwarnings("ignore", message=message)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
