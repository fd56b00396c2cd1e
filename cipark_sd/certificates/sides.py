"""The runs that are compared: engines of this package, pysimlin, and a recorded run."""

import importlib.util
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.engines import registry
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.columns import missing_as_nan
from cipark_sd.engines.reference.faults import fault_of_failure
from cipark_sd.errors import (
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
from cipark_sd.frontends import vdf
from cipark_sd.inputs import TABLE_LIMIT, read_bytes
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.naming import canonical, override_key, split_key
from cipark_sd.results import version as own_version
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.simulation import simulate
from cipark_sd.timegrid import SLACK, TimeGrid, nearest_indices

#: An engine of another package, which runs a file as it is.
SIMLIN = "pysimlin"
#: Everything that can take part by name, in the order in which it is compared.
KNOWN = (*registry.names(), SIMLIN)
#: The endings of a recorded run.
RECORDED = (".csv", ".tab", *vdf.SUFFIXES)


@dataclass(frozen=True)
class Side:
    """One run: columns by flat name (``residents[soe]``), each ``(n_times,)`` at the certificate's times.

    In a ``recorded`` run NaN means that nothing was recorded. ``remarks`` are what it said while it ran;
    ``compiled`` and ``foreign`` are what :class:`~cipark_sd.engines.registry.Engine` says of its engine.
    """

    name: str
    version: str
    columns: Mapping[str, Array]
    recorded: bool = False
    compiled: bool = False
    foreign: bool = False
    single: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """An engine that takes no part: why, and whether that speaks against the certificate."""

    name: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Question:
    """What every side has to answer."""

    model: Model
    scenario: Scenario
    method: Method | None
    grid: TimeGrid

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are compared: all but tables and the control variables."""
        variables = (v for v in self.model.variables if not isinstance(v, Lookup) and v.name not in CONTROL)
        return tuple(variable.name for variable in variables)

    @property
    def labels(self) -> dict[str, tuple[str, str]]:
        """Variable and the label of the column, by flat name."""
        labels = {}
        for name in self.names:
            variable = self.model.by_name[name]
            for elements in self.model.elements(variable):
                labels[flat_name(name, elements)] = (name, self.model.label(name, elements))
        return labels


def installed() -> tuple[str, ...]:
    """The engines that can take part in this installation."""
    there = {name for name in registry.names() if registry.ENGINES[name].installed}
    if importlib.util.find_spec("simlin") is not None:
        there.add(SIMLIN)
    return tuple(name for name in KNOWN if name in there)


def engine_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """The engines that take part, in order; all that are installed when none is named.

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    if names is None:
        return installed()
    problems: list[CiparkError] = []
    for name in names:
        if name not in KNOWN:
            problems.append(UnknownName(name, KNOWN, kind="engine", where="certify"))
        elif name not in installed():
            extra = "loops" if name == SIMLIN else registry.ENGINES[name].extra
            expected = f"one that is installed ({installing(extra)})"
            problems.append(InvalidValue("the engine", name, expected, where="certify"))
    raise_all("certify", problems)
    return tuple(name for name in KNOWN if name in names)


def side_of(question: Question, name: str) -> Side | LeftOut:
    """The run of an engine, or why there is none."""
    if name == SIMLIN:
        return _simlin(question)
    model, engine = question.model, registry.choose(name)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            results = simulate(
                model,
                question.scenario,
                save=question.names,
                times=question.grid.saved_times.tolist(),
                engine=engine.name,
                method=question.method,
            )
    except UnsupportedFeature as problem:
        return LeftOut(name, str(problem))
    except RunFailed as problem:
        fault = fault_of_failure(problem) if engine.foreign else None
        if fault is None:
            return LeftOut(name, str(problem), failed=True)
        return LeftOut(name, f"{problem}. Known fault of PySD ({fault.id}): {fault.why}")
    except CiparkError as problem:
        causes = problem.problems if isinstance(problem, Problems) else [problem]
        if not engine.foreign and not all(isinstance(cause, UnsupportedFeature) for cause in causes):
            # the language refuses the model or its settings
            raise
        return LeftOut(name, str(problem))
    columns = {}
    for variable in (model.by_name[name] for name in question.names):
        values = results[variable.name].to_numpy().reshape(len(question.grid.saved_times), -1)
        for position, elements in enumerate(model.elements(variable)):
            columns[flat_name(variable.name, elements)] = values[:, position]
    remarks = tuple(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
    return Side(
        name,
        version(name) if engine.foreign else own_version(),
        columns,
        compiled=engine.compiled,
        foreign=engine.foreign,
        remarks=remarks,
    )


def _simlin(question: Question) -> Side | LeftOut:
    import simlin

    model = question.model
    reason = _beyond_simlin(question)
    if reason:
        return LeftOut(SIMLIN, reason)
    assert model.origin is not None
    with warnings.catch_warnings():
        # about feedback loops that it does not rank
        warnings.simplefilter("ignore")
        try:
            run = simlin.load(str(model.origin.path)).simulate()
            for name, value in _numbers(question).items():
                run.set_value(name, value)
            run.run_to_end()
            table = run.get_run().results
        except simlin.SimlinError as problem:
            return LeftOut(SIMLIN, f"it does not run the model: {' '.join(str(problem).split())}")
    places, missed = _places(question.grid, table.index.to_numpy(dtype=float))
    if missed or len(set(places)) != len(question.grid.saved_times):
        return LeftOut(SIMLIN, "it saves at other times")
    columns = {canonical(str(name)): missing_as_nan(table[name].to_numpy(dtype=float)) for name in table}
    return Side(SIMLIN, version(SIMLIN), {name: columns[name] for name in question.labels if name in columns})


def _beyond_simlin(question: Question) -> str:
    """Why pysimlin cannot be asked this; empty when it can."""
    model, scenario = question.model, question.scenario
    if model.origin is None:
        return "the model was not read from a file"
    if question.method and fixed_method(question.method) != fixed_method(model.time.method):
        return f"it integrates as the file says ({model.time.method}), not with {question.method}"
    if any(getattr(scenario, control) is not None for control in CONTROL):
        return "the scenario changes the run's times, which it takes from the file"
    resolved = resolve(model, scenario)
    changed = {*resolved.whole, *(name for name, _ in resolved.elements)}
    if not all(isinstance(model.by_name[name], Constant) for name in changed):
        return "the scenario changes more than constants"
    values = [*resolved.whole.values(), *resolved.elements.values()]
    return (
        "" if all(isinstance(value, float | int | tuple) for value in values) else "the scenario has values over time"
    )


def _numbers(question: Question) -> dict[str, float]:
    model, resolved = question.model, resolve(question.model, question.scenario)
    numbers: dict[str, float] = {}
    for name, value in resolved.whole.items():
        for position, elements in enumerate(model.elements(model.by_name[name])):
            single = value[position] if isinstance(value, tuple) else value
            assert isinstance(single, float | int)
            numbers[flat_name(name, elements)] = single
    for (name, elements), value in resolved.elements.items():
        assert isinstance(value, float | int)
        numbers[flat_name(name, elements)] = value
    return numbers


def recorded_side(question: Question, path: Path) -> Side:
    """A recorded run from a wide table (``.csv``, ``.tab``) or Vensim's own file (``.vdf``).

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a file that cannot be read, has no common times with the run, or names what the model does not have.
    """
    import pandas as pd

    where = str(path)
    if not path.is_file():
        raise MissingFile(path, where="--recorded")
    suffix = path.suffix.lower()
    if suffix not in RECORDED:
        raise InvalidValue(
            "the recorded run", path.name, f"a name that ends in {', '.join(RECORDED)}", where="--recorded"
        )
    if suffix in vdf.SUFFIXES:
        table = vdf.read_vdf(path, role="the recorded run", where="--recorded")
    else:
        try:
            content = io.BytesIO(read_bytes(path, TABLE_LIMIT))
            table = pd.read_csv(content, comment="#", sep="\t" if suffix == ".tab" else ",", skipinitialspace=True)
            heads = [head for head in table if split_key(override_key(str(head)))[0].split("_(")[0] == "time"]
            if len(heads) != 1:
                raise InvalidValue("its columns", list(map(str, table))[:8], "one that is called time", where=where)
            table = table.set_index(heads[0]).astype(float)
        except (ValueError, UnicodeDecodeError) as problem:
            raise InvalidValue(
                "its content", " ".join(str(problem).split()), "a table of numbers", where=where
            ) from None
    labels, ignored = question.labels, {*CONTROL, *(v.name for v in question.model.lookups), "dt"}
    by_name = {_column(str(head)): missing_as_nan(table[head].to_numpy(dtype=float)) for head in table}
    unknown = [head for head in map(str, table) if _column(head) not in {*labels, *ignored}]
    if unknown and suffix not in vdf.SUFFIXES:
        raise_all(where, [UnknownName(head, [label for _, label in labels.values()], where=where) for head in unknown])
    places, missed = _places(question.grid, table.index.to_numpy(dtype=float))
    if (places < 0).all():
        raise InvalidValue(
            "its times", f"{table.index[0]:g} to {table.index[-1]:g}", "some that the run saves", where=where
        )
    columns = {}
    for name in labels:
        if name in by_name:
            columns[name] = np.full(len(question.grid.saved_times), math.nan)
            columns[name][places[places >= 0]] = by_name[name][places >= 0]
    if not columns:
        raise InvalidValue("its columns", list(map(str, table))[:8], "at least one variable of the model", where=where)
    remarks = [f"{missed} of its times are not saved by the run"] if missed else []
    remarks += [f"{len(unknown)} of its columns are no variables of the model"] if unknown else []
    return Side(path.name, "recorded", columns, recorded=True, single=suffix in vdf.SUFFIXES, remarks=tuple(remarks))


def _column(head: str) -> str:
    """The flat name that a heading such as ``Residents[ SOE, East ]`` means."""
    return override_key(head)


def _places(grid: TimeGrid, times: Array) -> tuple[NDArray[np.intp], int]:
    """For each time its position among the saved ones, -1 for none, and how many have none."""
    saved = grid.saved_times
    places = nearest_indices(saved, times)
    # a file may hold times in single precision
    missed = ~(np.abs(saved[places] - times) <= np.maximum(SLACK * grid.step, 1e-7 * np.abs(times)))
    places[missed] = -1
    return places, int(missed.sum())
