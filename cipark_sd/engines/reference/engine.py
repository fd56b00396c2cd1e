"""The reference engine: PySD runs the model, one run after another, and a run leaves no trace.

The model is written anew under neutral labels (:mod:`cipark_sd.engines.reference.text`), so that no word of a
stranger's file reaches the Python that PySD writes: PySD judges how a model is run, and not how its file is read.
"""

import random
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import ModelFileError, RunFailed, UnsupportedFeature
from cipark_sd.compiler.graph import MOST_STAGES
from cipark_sd.engines.base import Settings, Values, part, start_name
from cipark_sd.engines.plan import RunPlan
from cipark_sd.engines.programs import flat_model
from cipark_sd.engines.reference.text import neutral_text, with_true_labels
from cipark_sd.language.read.climbing import room_for_parser
from cipark_sd.model.expr import Call, Const, Ref, walk
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Constant, Piece, expressions


class ReferenceEngine:
    """Runs a model through PySD."""

    name: ClassVar[str] = "pysd"
    compiled: ClassVar[bool] = False
    foreign: ClassVar[bool] = True

    def run(self, plan: RunPlan, settings: Settings, runs: NDArray[np.uint64]) -> Values:
        """See :class:`cipark_sd.engines.registry.Engine`; elements for which the file has no equation are NaN.

        Raises
        ------
        UnsupportedFeature
            When another method than Euler is asked for, be it by the file, for reductions, for a delay or smooth of
            more stages than PySD could count down, and for what Vensim's language cannot say without subscripts.
        EquationError, Problems
            For what the language refuses, such as a macro with too many arguments.
        ModelFileError
            When PySD cannot translate the model.
        RunFailed
            When an equation has no value, with its name and the time.
        """
        _check_method(plan)
        _check_orders(plan.model, settings)
        if settings.reductions:
            raise _refused(plan.model, "a reduction", "save the variables and reduce them afterwards")
        if any(stock.name in settings.series for stock in flat_model(plan.model).stocks):
            raise _refused(plan.model, "a stock that is set on the way", 'take the engine "native" or "numpy"')
        single = [part(settings, np.array([run])) for run in range(len(runs))]
        return np.stack([_run_alone(plan, _scalars(alone)) for alone in single], axis=2)


def _scalars(alone: Settings) -> Settings:
    """The settings of one run with plain numbers and series."""

    def number(value: float | Values) -> float:
        return float(value[0]) if isinstance(value, np.ndarray) else float(value)

    return Settings(
        {name: number(value) for name, value in alone.numbers.items()},
        {name: number(value) for name, value in alone.initials.items()},
        alone.tables,
        {name: entry[0] if isinstance(entry, tuple) else entry for name, entry in alone.series.items()},
    )


def _run_alone(plan: RunPlan, settings: Settings) -> Values:
    """The outputs of one run, (n_outputs, n_saved)."""
    until = plan.to_the_last_time()
    times, end = until.grid.times.tolist(), float(plan.resolved.final_time)
    controls = {name: float(getattr(plan.resolved, name)) for name in CONTROL}
    text, labels, meaning = neutral_text(plan.model, settings, controls)
    numbers_set = {**settings.numbers, **{start_name(name): value for name, value in settings.initials.items()}}
    numbers = {labels[name]: float(value) for name, value in numbers_set.items()}
    needed = [labels[name] for name in plan.outputs if name in labels]
    table = run_in_pysd(text, plan.model.name, numbers, times, end, partial(with_true_labels, meaning), needed)
    columns = {name: table[label] for name, label in labels.items() if label in table}
    columns |= {name: np.full(len(times), value) for name, value in controls.items()}
    nothing = np.full(len(times), np.nan)
    return np.array([columns.get(name, nothing)[until.saved] for name in plan.outputs])


def _refused(model: Model, feature: str, alternative: str) -> UnsupportedFeature:
    return UnsupportedFeature(feature, variable="the engine pysd", where=model.name, alternative=alternative)


def _check_method(plan: RunPlan) -> None:
    if plan.integration != "euler":
        option = f'method="{plan.method}"'
        raise _refused(
            plan.model,
            option if plan.method else f"the integration method {plan.integration}, for which the file asks",
            'take the engine "native" or "numpy" (--engine native), or accept Euler in so many words: '
            'method="euler" (--method euler)',
        )


def _check_orders(model: Model, settings: Settings) -> None:
    """PySD makes as many stages as the order says, before it leaves out those that are too short to be seen."""
    flat = flat_model(model)
    for variable in flat.variables:
        for call in (p for expr in expressions(variable) for p in walk(expr)):
            if not isinstance(call, Call) or call.function not in ("delay_n", "smooth_n"):
                continue
            order = call.arguments[3]
            if isinstance(order, Ref):
                source = flat.by_name.get(order.name)
                equation = source.pieces[0] if isinstance(source, Constant) else None
                set_here = settings.numbers.get(order.name)
                if set_here is not None:
                    order = Const(float(np.max(set_here)))
                elif isinstance(equation, Piece):
                    order = equation.expr
            if isinstance(order, Const) and order.value > MOST_STAGES:
                feature = f"an order of {order.value:g}, which PySD counts down one by one"
                way = f"take the engine native or numpy, or an order of at most {MOST_STAGES:,}"
                raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way)


#: Messages of PySD and its dependencies that say nothing about the model or the run; all others are passed on.
_QUIET = (
    # chardet renamed a module that PySD imports by the old name; it still works
    "chardet.universaldetector is deprecated",
    # what PySD asks of pandas will change there; it works as it is
    "The inplace keyword in DataFrame",
    # a table that is read beyond its ends holds them
    r"(?s).*extrapolating data (above|below) the",
    # a delay that is no whole number of steps takes the nearest, as Vensim's does
    r"(?s)_delayfixed.*Casting delay order from",
)


def run_in_pysd(
    text: str,
    where: str,
    numbers: Mapping[str, float],
    times: Sequence[float],
    final_time: float,
    restored: Callable[[str], str],
    needed: Sequence[str],
) -> Mapping[str, Values]:
    """One run of a model's text.

    Parameters
    ----------
    text : str
        In Vensim's format; PySD makes Python of it, so that nothing of a stranger's file may be in it.
    numbers : mapping of str to float
        The constants that are set, by label.
    times : (n_times,)
        All time points of the run until the last one that is needed.
    final_time : float
        What the model's equations take for the end.
    restored : callable
        Puts the modeller's labels into a message.
    needed : sequence of str
        Labels that are asked for: an equation without a value keeps PySD from these alone.

    Returns
    -------
    mapping of str to (n_times,)
        By the label that PySD gives a column.

    Raises
    ------
    ModelFileError
        When PySD cannot translate or load the text.
    RunFailed
        When an equation has no value, with its label and the time.
    """
    import pysd

    def table_of(columns: Sequence[str] | None) -> Any:
        with _isolated(restored), tempfile.TemporaryDirectory(prefix="cipark-") as scratch:
            path = Path(scratch) / "model.py"
            try:
                path.write_text(_translated(text), encoding="utf-8")
                loaded = pysd.load(str(path), initialize=False)
            except Exception as problem:  # PySD's parsers and builders raise whatever goes wrong inside them
                reason = f"cannot be translated by PySD: {restored(_one_line(problem))}"
                raise ModelFileError(where, reason) from problem
            try:
                return loaded.run(
                    params=dict(numbers),
                    return_timestamps=list(times),
                    final_time=final_time,
                    return_columns=None if columns is None else list(columns),
                )
            except Exception as problem:  # generated code raises whatever its equation leads to
                reason, culprit = restored(_one_line(problem)), restored(_culprit(problem, path))
                raise RunFailed(where, reason, variable=culprit, time=float(loaded.time())) from problem

    try:
        # all variables are saved at all times, so that PySD keeps the value of each before the states move on
        table = table_of(None)
    except RunFailed:
        if not needed:
            raise
        table = table_of(needed)
    if len(table) != len(times):
        raise RunFailed(where, f"PySD saved {len(table)} time points of {len(times)}")
    return {str(name): _real(table[name].to_list(), restored(str(name)), times, where) for name in table}


@contextmanager
def _unformatted() -> Iterator[None]:
    """PySD without Black, which takes three quarters of a translation that nobody reads."""
    from pysd.builders.python import python_model_builder

    as_it_is = SimpleNamespace(format_file_contents=lambda text, **_: text, FileMode=lambda **_: None)
    black, python_model_builder.black = python_model_builder.black, as_it_is
    try:
        yield
    finally:
        python_model_builder.black = black


@lru_cache(maxsize=32)
def _translated(text: str) -> str:
    """The Python that PySD makes of a text."""
    import pysd

    with tempfile.TemporaryDirectory(prefix="cipark-") as scratch:
        path = Path(scratch) / "model.mdl"
        path.write_text(text, encoding="utf-8")
        # PySD writes the points of tables as NumPy prints them, which is with eight digits
        with np.printoptions(precision=17, floatmode="unique"), room_for_parser(), _unformatted():
            pysd.read_vensim(str(path), initialize=False, encoding="utf-8")
        return path.with_suffix(".py").read_text(encoding="utf-8")


def _real(values: list[Any], label: str, times: Sequence[float], where: str) -> Values:
    """A column of PySD's table; a table that is a function of its argument has no values."""
    if any(map(callable, values)):
        return np.full(len(values), np.nan)
    for value, time in zip(values, times, strict=True):
        if isinstance(value, complex | np.complexfloating):
            problem = "a negative number has no real power with a fractional exponent"
            raise RunFailed(where, problem, variable=label, time=time)
    return np.array(values, dtype=float)


def _culprit(problem: Exception, path: Path) -> str:
    """The generated function that stood innermost, or nothing."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(problem.__traceback__)]
    named = [code.co_name for code in frames if code.co_filename == str(path) and code.co_name != "<lambda>"]
    return named[-1] if named else ""


@contextmanager
def _isolated(restored: Callable[[str], str]) -> Iterator[None]:
    """PySD without its side effects, its warnings in the model's words.

    Vensim repeats its random numbers from run to run; here NumPy's and Python's global generators start each run alike
    and are put back afterwards.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (the generator that PySD's functions use)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # division by zero and overflow are IEEE values here; simulate() reports the first of them
        for message in _QUIET:
            warnings.filterwarnings("ignore", message=message)
        show = warnings.showwarning
        warnings.showwarning = lambda message, category, *place, **options: show(
            category(restored(str(message))), category, *place, **options
        )
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


def _one_line(problem: Exception) -> str:
    """A message of PySD's, which break theirs over lines, in one; without the tree of the equation."""
    return " ".join(str(problem).partition("Parse tree:")[0].split()) or type(problem).__name__
