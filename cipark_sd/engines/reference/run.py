"""A text in Vensim's format through PySD, by its public functions, without a trace in any folder."""

import random
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import ModelFileError, RunFailed
from cipark_sd.frontends.nesting import room_for_parser

Values = NDArray[np.float64]

#: Messages of PySD and its dependencies that say nothing about the model or the run; all others are passed on.
_QUIET = (
    # chardet renamed a module that PySD imports by the old name; it still works
    "chardet.universaldetector is deprecated",
    # what PySD asks of pandas will change there; it works as it is
    "The inplace keyword in DataFrame",
    # a table that is read beyond its ends holds them
    r"(?s).*extrapolating data (above|below) the",
    # a variable that is defined for some elements only; the others are NaN in the result
    r"(?s).*Dimension given by subscripts:.*is incomplete using",
)


def run_in_pysd(
    text: str,
    where: str,
    numbers: Callable[[Any], Mapping[str, Any]],
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
    numbers : callable
        Gives the loaded PySD model's constants that are set, by label.
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
                    params=dict(numbers(loaded)),
                    return_timestamps=list(times),
                    final_time=final_time,
                    return_columns=None if columns is None else list(columns),
                )
            except Exception as problem:  # generated code raises whatever its equation leads to
                raise RunFailed(
                    where,
                    restored(_one_line(problem)),
                    variable=restored(_culprit(problem, path)),
                    time=float(loaded.time()),
                ) from problem

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


class _AsItIs:
    """In the place of Black, which takes three quarters of a translation that nobody reads."""

    @staticmethod
    def format_file_contents(text: str, **_: object) -> str:
        """The text."""
        return text

    @staticmethod
    def FileMode(**_: object) -> None:  # noqa: N802
        """No mode."""


@contextmanager
def _unformatted() -> Iterator[None]:
    from pysd.builders.python import python_model_builder

    black, python_model_builder.black = python_model_builder.black, _AsItIs
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
