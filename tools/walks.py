"""Five values on their way through the rooms: how many pairs of rooms each passes between, and where it goes back up.

    python tools/walks.py

A model file is read and run; a scenario value is run with; rows of a study become a log density; a policy becomes a
table of effects over draws of the prior; a fit is made and its draws become one. Counted are the calls from a room into
another one of the contracts in ``pyproject.toml``; a call into a higher room is a function that was handed down.
"""

import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from calibration.likelihood.posterior import posterior
from calibration.study.library import STUDIES
from calibration.study.problem import read_problem
from cipark_sd import Scenario, bundled, read_model, simulate
from cipark_sd.console import progress_bars
from cipark_sd.engines.registry import choose
from cipark_sd.experiments.catalogue import read_catalogue
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.effects import table
from cipark_sd.experiments.run import Setup, run_policies
from cipark_sd.study import DrawRequest, find_study

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("calibration", "cipark_sd")
STUDY = "great_stone_core"
#: Draws that are followed, and what a forecast of the study needs.
N, LATER = 8, Scenario("", final_time=2031.0)


def depths() -> dict[str, tuple[int, int]]:
    """How deep each room lies, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    places = {}
    for contract in contracts["contracts"]:
        for package in contract.get("containers", ()):
            for floor, rooms in enumerate(contract["layers"]):
                for room in re.findall(r"\w+", rooms):
                    places[f"{package}.{room}"] = (PACKAGES.index(package), floor)
    return places


class Walk:
    """Calls between rooms while a function runs."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.depths = depths()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.upward: Counter[tuple[str, str]] = Counter()
        sys.setprofile(self._note)
        try:
            self.value = function()
        finally:
            sys.setprofile(None)

    def _room(self, frame: FrameType | None) -> str | None:
        if frame is None:
            return None
        room = ".".join(frame.f_globals.get("__name__", "").split(".")[:2])
        return room if room in self.depths else None

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        room = self._room(frame) if event == "call" else None
        if room is None:
            return
        caller = frame.f_back
        while caller is not None and self._room(caller) is None:
            caller = caller.f_back
        above = self._room(caller)
        if above is None or caller is None or above == room:
            return
        self.pairs[above, room] += 1
        if self.depths[room] < self.depths[above]:
            self.upward[caller.f_globals["__name__"], frame.f_globals["__name__"]] += 1


def walks() -> Iterator[tuple[str, Walk]]:
    """Each value with its way."""
    file = bundled("core.mdl")
    yield "a model file", Walk(lambda: simulate(read_model(file), engine="native"))
    model = read_model(file)
    simulate(model, engine="native")  # reads and compiles it
    yield "a scenario value", Walk(lambda: simulate(model, Scenario("", {"Start Time": 2.0}), engine="native"))
    rows = Walk(_density)
    yield "an observation row", rows
    problem, space = rows.value
    catalogue = read_catalogue(STUDIES / STUDY / "policies.toml", problem.model)
    prior = {name: values for name, values in zip(space.names, _points(space).T, strict=True) if name in problem.model}
    first = catalogue.rivals[:1]

    def effects(draws: Any) -> Any:
        scenario = problem.scenario | catalogue.settings | LATER
        policies, times = catalogue.policies[:3], catalogue.times
        return table(
            run_policies(Setup(problem.model, scenario=scenario), policies, first, draws, catalogue.outcomes, times)
        )

    yield "a policy", Walk(lambda: effects({first[0].id: Draws(first[0].id, prior, "prior")}))
    study = find_study(STUDY)

    def posterior_draws() -> Any:
        with tempfile.TemporaryDirectory() as folder, progress_bars() as bars:
            request = DrawRequest(first, "at hand", 100, 1, Path(folder), "native")
            return effects(study.draws(request, bars).draws)

    yield "a posterior draw", Walk(posterior_draws)


def _points(space: Any) -> np.ndarray:
    return np.asarray(space.from_unit(np.random.default_rng(1).uniform(size=(N, len(space)))))


def _density() -> Any:
    problem = read_problem(STUDIES / STUDY)
    density = posterior(problem, choose("native"))
    density.log_posterior(_points(density.space))
    return problem, density.space


def main() -> None:
    """Print a line for each value, and its ways up below it."""
    for name, walk in walks():
        print(f"{name}: {len(walk.pairs)} pairs of rooms, {len(walk.upward)} of modules upward")
        for (caller, called), count in walk.upward.most_common():
            print(f"    {caller} -> {called}: {count} calls")


if __name__ == "__main__":
    main()
