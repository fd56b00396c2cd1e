"""The runs that are compared: engines of this package, pysimlin, and a recorded run."""

import importlib.util
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import (
    CiparkError,
    InvalidValue,
    MissingFile,
    Problems,
    RunFailed,
    UnknownName,
    UnsupportedFeature,
    installing,
    raise_all,
)
from cipark_sd.base.inputs import TABLE_LIMIT, read_bytes
from cipark_sd.base.naming import base_name, canonical, override_key
from cipark_sd.base.timegrid import SLACK, TimeGrid, nearest_indices
from cipark_sd.data.described import version as own_version
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines import registry
from cipark_sd.engines.base import Settings, fixed_method, settings
from cipark_sd.engines.plan import missing_as_nan
from cipark_sd.language.read.model_file import VDF_SUFFIXES, read_vdf
from cipark_sd.model.expr import Call, walk
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import expressions
from cipark_sd.simulations.simulation import course

if TYPE_CHECKING:
    import pandas as pd

#: An engine of another package, which runs a file as it is.
SIMLIN = "pysimlin"
#: Everything that can take part by name, in the order in which it is compared.
KNOWN = (*registry.names(), SIMLIN)
#: Functions that pysimlin 0.8.5 computes against Vensim's rule: INTEGER and MODULO of a negative number go down, and a
#: pulse between two steps begins at the step after. A test pins that it still does.
SIMLIN_DIFFERS = {"integer": "INTEGER", "modulo": "MODULO", "pulse": "PULSE", "pulse_train": "PULSE TRAIN"}
#: Where PySD 3.14.3 stops although the model has a value, or none that matters: words of its errors, and why.
PYSD_STOPS: Mapping[str, str] = {
    "division by zero": "a scalar division by zero stops PySD's run; an array gives inf, as every division does here",
    "no real power": "a broken power of a negative number is complex in Python; the real power has no value",
}
#: Largest difference between engines, as a share of a column's scale (its largest value in the run). What limits it:
#: sums in another order and another library's ``exp`` differ in the last of 16 digits at each step, and a run of some
#: thousand steps gathers such differences to 1e-14 or 1e-13; a mistake in an equation is far larger.
TOLERANCE = 1e-12
#: The same against a run of Vensim's own (``.vdf``), which holds single precision and was computed in it: rounding of
#: 6e-8 at each step.
SINGLE_PRECISION = 1e-3
#: The endings of a recorded run.
RECORDED = (".csv", ".tab", *VDF_SUFFIXES)


@dataclass(frozen=True)
class Side:
    """One run: columns by flat name (``residents[soe]``), each ``(n_times,)`` at the certificate's times.

    In a ``recorded`` run NaN means that nothing was recorded. ``exact`` sides run one program, and may not differ from
    each other by a bit; others differ from it by ``tolerance`` at most. ``remarks`` are what it said while it ran.
    """

    name: str
    version: str
    columns: Mapping[str, Array]
    tolerance: float = TOLERANCE
    recorded: bool = False
    exact: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """An engine that takes no part: why, and whether that speaks against the certificate."""

    name: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class CertificateRun:
    """What every side has to answer."""

    model: Model
    scenario: Scenario
    method: Method | None
    grid: TimeGrid

    @cached_property
    def labels(self) -> dict[str, tuple[str, str]]:
        """Variable and the label of the column, by flat name."""
        return {
            flat: (variable.name, label)
            for variable in self.model.over_time
            for flat, label in zip(self.model.flat_names(variable), self.model.labels(variable), strict=True)
        }


def engine_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """The engines that take part, in order; all that are installed when none is named.

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    installed = {name for name in registry.names() if registry.ENGINES[name].installed}
    installed |= {SIMLIN} if importlib.util.find_spec("simlin") is not None else set()
    problems: list[CiparkError] = []
    for name in names or ():
        if name not in KNOWN:
            problems.append(UnknownName(name, KNOWN, kind="engine", where="certify"))
        elif name not in installed:
            needed = installing("loops") if name == SIMLIN else registry.ENGINES[name].needs
            expected = f"one that is installed ({needed})"
            problems.append(InvalidValue("the engine", name, expected, where="certify"))
    raise_all("certify", problems)
    return tuple(name for name in KNOWN if name in (installed if names is None else names))


def side_of(question: CertificateRun, name: str) -> Side | LeftOut:
    """The run of an engine, or why there is none.

    Parameters
    ----------
    name : of :data:`KNOWN`
    """
    if name == SIMLIN:
        return _simlin(question)
    model, engine = question.model, registry.choose(name)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            run = course(
                model,
                question.scenario,
                save=[variable.name for variable in model.over_time],
                times=question.grid.saved_times.tolist(),
                engine=engine.name,
                method=question.method,
            )
    except UnsupportedFeature as problem:
        return LeftOut(name, str(problem))
    except RunFailed as problem:
        known = [why for words, why in PYSD_STOPS.items() if engine.foreign and words in str(problem)]
        return LeftOut(name, ". ".join([str(problem), *known]), failed=not known)
    except CiparkError as problem:
        causes = problem.problems if isinstance(problem, Problems) else [problem]
        if not engine.foreign and not all(isinstance(cause, UnsupportedFeature) for cause in causes):
            # the language refuses the model or its settings
            raise
        return LeftOut(name, str(problem))
    columns: dict[str, Array] = {}
    for variable in model.over_time:
        values = run.values[variable.name].reshape(len(run.times), -1)
        columns |= dict(zip(model.flat_names(variable), values.T, strict=True))
    remarks = tuple(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
    made_by = version(name) if engine.foreign else own_version()
    return Side(name, made_by, columns, exact=engine.compiled, remarks=remarks)


def _simlin(question: CertificateRun) -> Side | LeftOut:
    import simlin

    model = question.model
    changes = settings(model, resolve(model, question.scenario))
    if reason := _beyond_simlin(question, changes):
        return LeftOut(SIMLIN, reason)
    assert model.origin is not None
    with warnings.catch_warnings():
        # about feedback loops that it does not rank
        warnings.simplefilter("ignore")
        try:
            run = simlin.load(str(model.origin.path)).simulate()
            for name, value in changes.numbers.items():
                run.set_value(name, float(value))
            run.run_to_end()
            table = run.get_run().results
        except simlin.SimlinError as problem:
            return LeftOut(SIMLIN, f"it does not run the model: {' '.join(str(problem).split())}")
    places, missed = _places(question.grid, table.index.to_numpy(dtype=float))
    if missed or len(set(places)) != len(question.grid.saved_times):
        return LeftOut(SIMLIN, "it saves at other times")
    columns = {canonical(str(name)): missing_as_nan(table[name].to_numpy(dtype=float)) for name in table}
    columns = {name: columns[name] for name in question.labels if name in columns}
    return Side(SIMLIN, version(SIMLIN), columns)


def _beyond_simlin(question: CertificateRun, changes: Settings) -> str:
    """Why pysimlin cannot be asked this; empty when it can."""
    model, scenario = question.model, question.scenario
    parts = (part for v in model.variables for expr in expressions(v) for part in walk(expr))
    called = {part.function for part in parts if isinstance(part, Call)}
    if model.origin is None:
        return "the model was not read from a file"
    if question.method and fixed_method(question.method) != fixed_method(model.time.method):
        return f"it integrates as the file says ({model.time.method}), not with {question.method}"
    if any(getattr(scenario, control) is not None for control in CONTROL):
        return "the scenario changes the run's times, which it takes from the file"
    if differing := called & SIMLIN_DIFFERS.keys():
        return f"it has another rule than Vensim for {', '.join(SIMLIN_DIFFERS[name] for name in sorted(differing))}"
    return "the scenario changes more than numbers" if changes.initials or changes.tables or changes.series else ""


def recorded_side(question: CertificateRun, path: Path, tolerance: float | None) -> Side:
    """A recorded run.

    Parameters
    ----------
    path : with an ending of :data:`RECORDED`
    tolerance : a share of a column's scale; None for :data:`TOLERANCE`, or :data:`SINGLE_PRECISION` of a ``.vdf``

    Raises
    ------
    InvalidValue, UnknownName, MissingFile, Problems
        For a file that cannot be read, has no common times with the run, or names what the model does not have.
    """
    table, where, labels = _table(path), str(path), question.labels
    single = path.suffix.lower() in VDF_SUFFIXES
    by_name = {override_key(str(head)): missing_as_nan(table[head].to_numpy(dtype=float)) for head in table}
    ignored = {*CONTROL, *(v.name for v in question.model.lookups), "dt"}
    unknown = [head for head in map(str, table) if override_key(head) not in {*labels, *ignored}]
    if unknown and not single:
        raise_all(where, [UnknownName(head, [label for _, label in labels.values()], where=where) for head in unknown])
    places, missed = _places(question.grid, table.index.to_numpy(dtype=float))
    if (places < 0).all():
        span = f"{table.index[0]:g} to {table.index[-1]:g}"
        raise InvalidValue("its times", span, "some that the run saves", where=where)
    columns = {name: np.full(len(question.grid.saved_times), math.nan) for name in labels if name in by_name}
    for name, column in columns.items():
        column[places[places >= 0]] = by_name[name][places >= 0]
    if not columns:
        raise InvalidValue("its columns", list(table)[:8], "at least one variable of the model", where=where)
    remarks = [f"{missed} of its times are not saved by the run"] if missed else []
    remarks += [f"{len(unknown)} of its columns are no variables of the model"] if unknown else []
    usual = SINGLE_PRECISION if single else TOLERANCE
    allowed = usual if tolerance is None else tolerance
    return Side(path.name, "recorded", columns, recorded=True, tolerance=allowed, remarks=tuple(remarks))


def _table(path: Path) -> "pd.DataFrame":
    """A wide table (``.csv``, ``.tab``) or a file of Vensim's (``.vdf``): columns by name, the index is time."""
    import pandas as pd

    suffix = path.suffix.lower()
    if not path.is_file():
        raise MissingFile(path, where="--recorded")
    if suffix not in RECORDED:
        expected = f"a name that ends in {', '.join(RECORDED)}"
        raise InvalidValue("the recorded run", path.name, expected, where="--recorded")
    if suffix in VDF_SUFFIXES:
        return read_vdf(path, role="the recorded run", where="--recorded")
    try:
        content = io.BytesIO(read_bytes(path, TABLE_LIMIT))
        table = pd.read_csv(content, comment="#", sep="\t" if suffix == ".tab" else ",", skipinitialspace=True)
        table.columns = [str(head) for head in table]
        times = [head for head in table if base_name(str(head)).split("_(")[0] == "time"]
        if len(times) != 1:
            raise InvalidValue("its columns", list(table)[:8], "one that is called time", where=str(path))
        return table.set_index(times[0]).astype(float)
    except (ValueError, UnicodeDecodeError) as problem:
        reason = " ".join(str(problem).split())
        raise InvalidValue("its content", reason, "a table of numbers", where=str(path)) from None


def _places(grid: TimeGrid, times: Array) -> tuple[NDArray[np.intp], int]:
    """For each time its position among the saved ones, -1 for none, and how many have none."""
    saved = grid.saved_times
    places = nearest_indices(saved, times)
    # a file may hold times in single precision
    missed = ~(np.abs(saved[places] - times) <= np.maximum(SLACK * grid.step, 1e-7 * np.abs(times)))
    places[missed] = -1
    return places, int(missed.sum())
