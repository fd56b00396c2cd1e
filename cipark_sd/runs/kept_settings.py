"""The runs of policies in stores: all settings that are run together in one, with a chunk for each over its draws.

It takes the place of the files of :class:`~cipark_sd.checkpoints.Checkpoints` and is used as they are: a call that was
stopped takes the chunks that are complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cipark_sd import results
from cipark_sd.checkpoints import Arrays, Entry, digest, program
from cipark_sd.engines.base import fixed_method
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Outcome
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.run import Ran, SettingsTask
from cipark_sd.failures import REASON, TIME, VARIABLE, labels
from cipark_sd.runs.kept import NUMBER, Keeper, MadeHere, column_name
from cipark_sd.runs.recipe import scenario_of
from cipark_sd.runs.work import DRAWS, failure_columns
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.store.chunks import StoredChunk
from cipark_sd.store.schema import Column, Layout, NoStore

#: What a recipe says that is one of policies.
POLICIES = "policies"
#: Which runs needed a finer step, and the place of a run's settings among the coordinate of that name.
REFINED, SETTING = "refined", "setting"


@dataclass(frozen=True)
class KeptSettings:
    """Stores for settings over draws."""

    keeper: Keeper

    def entries(self, tasks: Sequence[SettingsTask]) -> Sequence[Entry]:
        """The chunk of each task; those whose draws are of the same parameters share a store.

        Raises
        ------
        InvalidValue, NoStore
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for position, task in enumerate(tasks):
            groups.setdefault((len(task.draws), *task.draws.values), []).append(position)
        entries: dict[int, Entry] = {}
        for members in groups.values():
            layout = layout_of([tasks[position] for position in members], self.keeper.seed, self.keeper.about)
            store = self.keeper.store(POLICIES, layout)
            for place, position in enumerate(members):
                entries[position] = _Chunk(store.entry("chunk", place), tasks[position])
        return [entries[position] for position in range(len(tasks))]


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The chunk of one task; arrays pass in and out as the task answers them."""

    chunk: StoredChunk
    task: SettingsTask

    @property
    def there(self) -> bool:
        return self.chunk.there

    def load(self) -> Arrays | None:
        stored = self.chunk.load()
        if stored is None:
            return None
        if stored[DRAWS].tobytes() != self._inputs[DRAWS].tobytes():
            raise NoStore(self.chunk.store.path, f"chunk {self.chunk.number} holds other draws than this call has")
        courses = [stored[column_name(outcome.id)] for outcome in self.task.outcomes]
        marks = {name: stored[name] for name in (REASON, VARIABLE, TIME)}
        return {"values": np.stack(courses), "refined": stored[REFINED], **marks}

    def save(self, arrays: Arrays) -> None:
        self.chunk.save({**_as_stored(arrays, self.task.outcomes), **self._inputs})

    def discard(self) -> None:
        self.chunk.discard()

    @cached_property
    def _inputs(self) -> Arrays:
        draws, n = self.task.draws, len(self.task.draws)
        return {
            DRAWS: np.stack(list(draws.values.values()), axis=1),
            NUMBER: np.arange(n, dtype=np.uint64),
            SETTING: np.full(n, self.chunk.number, dtype=np.int32),
        }


def _as_stored(answer: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Arrays:
    courses = {column_name(outcome.id): answer["values"][place] for place, outcome in enumerate(outcomes)}
    return {**courses, **{name: answer[name] for name in (REFINED, REASON, VARIABLE, TIME)}}


def layout_of(tasks: Sequence[SettingsTask], seed: int, about: Mapping[str, Any]) -> Layout:
    """How a store holds what tasks of one model over draws of the same parameters answer."""
    first = tasks[0]
    model, n, names = first.model, len(first.draws), list(first.draws.values)
    if any(task.extra for task in tasks):
        raise ValueError("settings that differ from draw to draw are not stored")
    columns = {
        column_name(outcome.id): Column(
            ("time",),
            (len(first.instants),),
            attributes={"long_name": outcome.title, "variable": outcome.variable, "per": outcome.per},
        )
        for outcome in first.outcomes
    }
    columns[DRAWS] = Column(("parameter",), (len(names),), attributes={"long_name": "what was set"})
    columns[NUMBER] = Column((), (), "<u8", 0, {"long_name": "by which random functions know the run"})
    columns[SETTING] = Column((), (), "<i4", -1, {"long_name": "the place in the coordinate settings"})
    columns[REFINED] = Column((), (), "|b1", 0, {"long_name": "whether the run needed a finer step"})
    columns |= failure_columns(model)
    return Layout(
        n * len(tasks),
        n,
        columns,
        {
            "time": np.array(first.instants),
            "parameter": np.array(names),
            "settings": np.array([task.label for task in tasks]),
            "failing": np.array(labels(model)),
        },
        {
            "the model": model.digest,
            "the policies, structures or draws": digest(*(task.key for task in tasks)),
            "the engine": first.engine,
            "the seed": str(seed),
            "the version of cipark or of its libraries": program(),
        },
        {
            **results.run_attributes(
                model,
                engine=first.engine,
                method=fixed_method(model.time.method),
                time_step=resolve(model, first.scenario).time_step,
                scenario=first.scenario.to_json(),
                seed=seed,
            ),
            "design": f"{len(tasks):,} settings (policies under structures) over {n:,} draws, seed {seed}",
            **about,
            "recipe": _plain(tasks),
            "format": "cipark_sd runs",
        },
    )


def _plain(tasks: Sequence[SettingsTask]) -> dict[str, Any]:
    """What a store says of how a run follows from its draws; :class:`SettingsAgain` reads it."""
    first = tasks[0]
    return {
        "kind": POLICIES,
        "names": list(first.draws.values),
        "instants": list(first.instants),
        "scenario": first.scenario.to_json(),
        "engine": first.engine,
        "outcomes": [
            {"id": outcome.id, "variable": outcome.variable, "per": outcome.per}
            | {"range": [repr(outcome.low), repr(outcome.high)]}
            for outcome in first.outcomes
        ],
        "settings": [task.settings.to_json() for task in tasks],
    }


@dataclass(frozen=True)
class SettingsAgain(MadeHere):
    """The runs of a store computed anew from settings and draws."""

    def compute(self, first: int, last: int) -> Arrays:
        """All that is stored of some runs of one chunk, their draws read from the store."""
        names, outcomes, instants, scenario, engine, settings = self._recipe
        inputs = {name: self.store.read(name, first, last) for name in (DRAWS, NUMBER, SETTING)}
        draws = Draws("", dict(zip(names, np.ascontiguousarray(inputs[DRAWS].T), strict=True)), "prior")
        chosen, numbers = settings[first // self.store.chunk], np.ascontiguousarray(inputs[NUMBER])
        task = SettingsTask(self.model, chosen, draws, outcomes, instants, scenario, engine, workers=1)
        ran: Ran = task.run(numbers)
        place = np.full(last - first, first // self.store.chunk, dtype=np.int32)
        return {**_as_stored(ran.arrays, outcomes), **inputs, SETTING: place}

    @cached_property
    def _recipe(
        self,
    ) -> tuple[list[str], tuple[Outcome, ...], tuple[float, ...], Scenario, str, tuple[Scenario, ...]]:
        recipe = self.store.attributes["recipe"]
        try:
            outcomes = tuple(
                Outcome(
                    str(entry["id"]),
                    "",
                    str(entry["variable"]),
                    str(entry["per"]),
                    low=float(entry["range"][0]),
                    high=float(entry["range"][1]),
                )
                for entry in recipe["outcomes"]
            )
            settings = tuple(scenario_of(str(text)) for text in recipe["settings"])
            if len(settings) != self.store.n_chunks:
                raise ValueError(f"{len(settings)} settings for {self.store.n_chunks} chunks")
            names, instants = list(map(str, recipe["names"])), tuple(map(float, recipe["instants"]))
            return names, outcomes, instants, scenario_of(str(recipe["scenario"])), str(recipe["engine"]), settings
        except (KeyError, TypeError, ValueError, IndexError, InvalidValue) as problem:
            raise NoStore(self.store.path, f"it does not say how it was made ({problem})") from None
