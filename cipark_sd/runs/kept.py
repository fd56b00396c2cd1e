"""The runs of an analysis in stores: one for each of its designs, from which a call that was stopped goes on.

A run is stored with what was drawn for it and by which number the model's random functions know it, so that it can be
run again from the store and the model alone.
"""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd import results
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Arrays, digest, program
from cipark_sd.engines.base import fixed_method
from cipark_sd.errors import InvalidValue
from cipark_sd.failures import REASON, TIME, VARIABLE, labels
from cipark_sd.files import file_name
from cipark_sd.model.model import Model
from cipark_sd.runs.recipe import scenario_of
from cipark_sd.runs.stored import check_room
from cipark_sd.runs.work import DRAWS, chunk_size, failure_columns
from cipark_sd.scenarios import resolve
from cipark_sd.sensitivities.evaluation import Evaluation, Output, Rows
from cipark_sd.sensitivities.response import Compute, ModelResponse
from cipark_sd.store.chunks import RunStore
from cipark_sd.store.lock import writing
from cipark_sd.store.schema import Column, Layout, NoStore, require_zarr

#: The folder of stores within the folder of results.
FOLDER = "runs"
#: The number by which random functions know a run.
NUMBER = "run_number"
#: What an attribute says that is the recipe of an analysis.
EVALUATION = "evaluation"
_TAKEN = (
    *(DRAWS, NUMBER, REASON, VARIABLE, TIME, "time", "parameter", "failing", "chunk_digest"),
    *("refined", "settings", "setting"),
)


@dataclass(frozen=True)
class Keeper:
    """Makes the stores of one call.

    Parameters
    ----------
    folder : Path
        Of the results.
    about : mapping
        What each store says of its making.
    seed : int
        Of the designs.
    """

    folder: Path
    about: Mapping[str, Any]
    seed: int
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *problem: object) -> None:
        self._open.close()

    def __call__(self, label: str, n: int, response: ModelResponse) -> "KeptRuns":
        """What keeps the ``n`` runs of a design.

        Raises
        ------
        InvalidValue, NoStore
        """
        return KeptRuns(self.store(label, layout_of(label, n, response, self.seed, self.about)), response.outputs)

    def store(self, label: str, layout: Layout) -> RunStore:
        """The store of a layout, which is written to until the end of the call.

        Raises
        ------
        InvalidValue, NoStore
        """
        path = self.folder / FOLDER / f"{file_name(label)}-{layout.key[:12]}.zarr"
        if not path.exists():
            check_room(path, layout, (1, 1))
        store = RunStore.of(path, layout)
        if self._open.enter_context(writing(path)):
            store.remove_unfinished()
        return store


@dataclass(eq=False)
class KeptRuns:
    """The runs of one design, in the order in which they are asked for."""

    store: RunStore
    outputs: tuple[str, ...]
    position: int = 0
    _begun: dict[int, list[Arrays]] = field(default_factory=dict)
    _last: tuple[int, Arrays] | None = None

    def __call__(self, values: Array, rows: Rows, compute: Compute) -> Arrays:
        """The next runs: those of complete chunks from the store, the others computed and stored."""
        first, last = self.position, self.position + len(rows)
        self.position = last
        parts = list(self._parts(first, last, values, rows))
        missing = np.concatenate([np.arange(a, b) for a, b, _, known in parts if known is None] or [np.empty(0, int)])
        places = missing - first
        computed = compute(values[places], rows[places]) if len(missing) else {}
        whole: list[Arrays] = []
        taken = 0
        for a, b, chunk, known in parts:
            if known is None:
                known = {name: array[taken : taken + b - a] for name, array in computed.items()}
                taken += b - a
                inputs = {DRAWS: values[a - first : b - first], NUMBER: rows[a - first : b - first]}
                self._put(chunk, b, {**known, **inputs})
            whole.append(known)
        return {name: np.concatenate([part[name] for part in whole]) for name in whole[0]}

    def _parts(self, first: int, last: int, values: Array, rows: Rows) -> Iterator[tuple[int, int, int, Arrays | None]]:
        """Ranges of runs within one chunk, and their content where the store has it."""
        size = self.store.chunk
        for chunk in range(first // size, -(-last // size)):
            start, end = self.store.bounds(chunk)
            a, b = max(first, start), min(last, end)
            known = None if chunk in self._begun else self._loaded(chunk)
            if known is not None:
                known = {name: array[a - start : b - start] for name, array in known.items()}
                drawn, numbers = known[DRAWS], known[NUMBER]
                if drawn.tobytes() != values[a - first : b - first].tobytes() or not np.array_equal(
                    numbers, rows[a - first : b - first]
                ):
                    raise NoStore(self.store.path, f"chunk {chunk} holds other draws than this design has")
                known = self._as_answer(known)
            yield a, b, chunk, known

    def _loaded(self, chunk: int) -> Arrays | None:
        if self._last is None or self._last[0] != chunk:
            content = self.store.entry("chunk", chunk).load()
            if content is None:
                return None
            self._last = chunk, content
        return self._last[1]

    def _as_answer(self, stored: Arrays) -> Arrays:
        values = np.stack([stored[column_name(label)] for label in self.outputs], axis=1)
        return {"values": values, **{name: stored[name] for name in (REASON, VARIABLE, TIME)}}

    def _put(self, chunk: int, end: int, part: Arrays) -> None:
        self._begun.setdefault(chunk, []).append(part)
        if end == self.store.bounds(chunk)[1]:
            parts = self._begun.pop(chunk)
            whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            self.store.entry("chunk", chunk).save(as_stored(whole, self.outputs))


def as_stored(answer: Arrays, outputs: tuple[str, ...]) -> Arrays:
    """The content of a chunk."""
    courses = {column_name(label): answer["values"][:, i] for i, label in enumerate(outputs)}
    return {**courses, **{name: array for name, array in answer.items() if name != "values"}}


def column_name(label: str) -> str:
    """Of an output; one called as something that each store has is told apart."""
    return f"output {label}" if label in _TAKEN else label


def layout_of(label: str, n: int, response: ModelResponse, seed: int, about: Mapping[str, Any]) -> Layout:
    """How a store holds the runs of a design."""
    model, units = response.model, response.units
    columns = {
        column_name(name): Column(("time",), (len(response.times),), attributes={"units": unit, "long_name": name})
        for name, unit in zip(response.outputs, units, strict=True)
    }
    columns[DRAWS] = Column(("parameter",), (len(response.names),), attributes={"long_name": "what was set"})
    columns[NUMBER] = Column((), (), "<u8", 0, {"long_name": "by which random functions know the run"})
    columns |= failure_columns(model)
    coordinates: dict[str, NDArray[np.generic]] = {
        "time": response.times,
        "parameter": np.array(response.names),
        "failing": np.array(labels(model)),
    }
    scenario = response.scenario
    return Layout(
        n,
        chunk_size(n, sum(column.size for column in columns.values())),
        columns,
        coordinates,
        {
            "the model": model.digest,
            "the design": digest(label, n, response.signature),
            "the engine": response.engine,
            "the seed": str(seed),
            "the version of cipark or of its libraries": program(),
        },
        {
            **results.run_attributes(
                model,
                engine=response.engine,
                method=fixed_method(model.time.method),
                time_step=resolve(model, scenario).time_step,
                scenario=scenario.to_json(),
                seed=seed,
            ),
            "design": f"{label} of {len(response.names)} constants, seed {seed}",
            **about,
            "recipe": _plain(response.evaluation),
            "format": "cipark_sd runs",
        },
    )


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """What a store says of how a run follows from its draws; :class:`Again` reads it."""
    return {
        "kind": EVALUATION,
        "names": list(evaluation.names),
        "times": evaluation.times.tolist(),
        "scenario": evaluation.scenario.to_json(),
        "engine": evaluation.engine,
        "drains": [list(drain) for drain in evaluation.drains],
        "outputs": [
            {
                "label": output.label,
                "variable": output.variable,
                "range": [repr(end) for end in output.range],
                "without": None if output.without is None else output.without.to_json(),
            }
            for output in evaluation.definitions
        ],
    }


def kind_of(store: RunStore) -> str:
    """What the runs of a store are: :data:`EVALUATION`, those of policies, or empty for an ensemble."""
    recipe = store.attributes.get("recipe")
    return str(recipe.get("kind", "")) if isinstance(recipe, dict) else ""


@dataclass(frozen=True)
class MadeHere:
    """The runs of a store, of this model and version.

    Raises
    ------
    NoStore
        For runs of another model or version, and for a store that does not say how they were made.
    """

    store: RunStore
    model: Model

    def __post_init__(self) -> None:
        identity = self.store.attributes.get("identity", {})
        now = {"the model": self.model.digest, "the version of cipark or of its libraries": program()}
        differing = [name for name, value in now.items() if identity.get(name) != value]
        if differing:
            raise NoStore(self.store.path, f"it holds other runs: {' and '.join(differing)} differ")


@dataclass(frozen=True)
class Again(MadeHere):
    """The runs of a store computed anew from what was drawn for them."""

    def compute(self, first: int, last: int) -> Arrays:
        """All that is stored of some runs, their draws and numbers read from the store."""
        values, rows = (np.ascontiguousarray(self.store.read(name, first, last)) for name in (DRAWS, NUMBER))
        evaluation = self._evaluation()
        outputs = tuple(output.label for output in evaluation.definitions)
        return as_stored({**evaluation(values, rows), DRAWS: values, NUMBER: rows}, outputs)

    def _evaluation(self) -> Evaluation:
        recipe = self.store.attributes["recipe"]
        try:
            outputs = tuple(
                Output(
                    str(entry["label"]),
                    str(entry["variable"]),
                    None if entry["without"] is None else scenario_of(entry["without"]),
                    (float(entry["range"][0]), float(entry["range"][1])),
                )
                for entry in recipe["outputs"]
            )
            drains = tuple((str(flow), str(stock)) for flow, stock in recipe["drains"])
            names, times = tuple(map(str, recipe["names"])), np.array(recipe["times"], dtype=float)
            scenario = scenario_of(str(recipe["scenario"]))
        except (KeyError, TypeError, ValueError, IndexError, InvalidValue) as problem:
            raise NoStore(self.store.path, f"it does not say how it was made ({problem})") from None
        return Evaluation(self.model, names, outputs, times, scenario, str(recipe["engine"]), 1, drains)


def keeper_of(folder: Path, model: Model, seed: int, *, fresh: bool) -> Keeper:
    """What keeps the runs of the command that is running; with ``fresh`` the stores of earlier calls are removed.

    Raises
    ------
    MissingPackage, NoStore
        Without zarr, or when another process writes to a store that is to be removed.
    """
    require_zarr("--keep-runs")
    if fresh:
        for path in sorted((folder / FOLDER).glob("*.zarr")):
            RunStore(path).remove()
    file = "" if model.origin is None else str(model.origin.path)
    return Keeper(folder, {"model_file": file, "command": shlex.join(["cipark", *sys.argv[1:]])}, seed)
