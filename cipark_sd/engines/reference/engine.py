"""The reference engine: PySD runs the original file, and a run leaves no trace.

Each run loads the translation afresh into a temporary folder, so nothing that PySD remembers (parameters, final time,
time step, saved states) can reach the next one; what is kept for speed is the translated text alone. The folder of
the model is only read: external data are looked up there, nothing is written there.
"""

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from cipark_sd.engines.reference.run import PySDRun
from cipark_sd.engines.reference.translation import loaded_afresh
from cipark_sd.errors import InvalidValue, UnsupportedFeature
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import ExternalPiece
from cipark_sd.scenarios import Resolved
from cipark_sd.timegrid import saved_indices, time_grid

Values = NDArray[np.float64]

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


def run(
    model: Model, resolved: Resolved, *, save: Sequence[str], times: Values, method: Method | None
) -> dict[str, Values]:
    """Variables of one run of the model's own file through PySD.

    Parameters
    ----------
    save : sequence of str
        Canonical names; no lookups.
    times : (n_times,)
        Saved times of the run, ascending.
    method : Method or None
        None asks for the file's own. PySD has Euler only.

    Returns
    -------
    dict of str to array, (n_times, *sizes of the variable's dimensions)
        NaN for elements for which the file has no equation.

    Raises
    ------
    UnsupportedFeature
        When another method than Euler is asked for, be it by the file.
    ModelFileError
        When the file has changed since it was read, or PySD cannot translate it.
    RunFailed
        When an equation has no value, with its name and the time.
    OffGrid
        When ``times`` are not saved ones.
    """
    _check_method(model, method)
    _check_data(model, resolved)
    grid = time_grid(resolved.initial_time, resolved.final_time, resolved.time_step, resolved.saveper, where=model.name)
    wanted = set(np.flatnonzero(grid.saved)[saved_indices(grid, times.tolist(), where=model.name)].tolist())
    with _isolated(), loaded_afresh(model) as (loaded, scratch, labels):
        live = PySDRun(model, loaded, scratch, labels)
        live.apply(resolved)
        rows: dict[str, list[Values]] = {name: [] for name in save}
        live.start()
        for index in range(max(wanted, default=0) + 1):
            if index:
                live.step()
            if index in wanted:
                for name, kept in rows.items():
                    kept.append(live.value(name))
    return {name: np.array(kept) for name, kept in rows.items()}


def _check_method(model: Model, method: Method | None) -> None:
    asked = method or model.time.method
    if asked != "euler":
        source = f'method="{asked}"' if method else f"the integration method {asked}, for which the file asks"
        raise UnsupportedFeature(
            source,
            variable="the engine pysd",
            where=model.name,
            alternative='take the engine "native" or "numpy" (--engine native), or accept Euler in so many words: '
            'method="euler" (--method euler)',
        )


def _check_data(model: Model, resolved: Resolved) -> None:
    """Every data variable has values, from a file or the scenario."""
    missing = [
        variable
        for variable in model.series
        if variable.name not in resolved.whole
        and any(isinstance(piece, ExternalPiece) and piece.source is None for piece in variable.pieces)
        and not all((variable.name, element) in resolved.elements for element in model.elements(variable))
    ]
    if missing:
        names = ", ".join(repr(variable.label) for variable in missing)
        raise InvalidValue(
            f"the data of {names}", None, "a time series from a scenario, since the file has none", where=model.name
        )


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
