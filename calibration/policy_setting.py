"""One call of ``cipark policy``: the parts in order, what is written, and what a person reads."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibration.fitting import find_study
from calibration.problem import CalibrationProblem, read_problem
from calibration.study_draws import draws_for, read_weights
from cipark_sd import results
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.experiments.catalogue import read_catalogue
from cipark_sd.experiments.definition import Catalogue, Policy, Rival
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.run import OnProgress, failed, run_policies
from cipark_sd.scenarios import Scenario

if TYPE_CHECKING:
    import xarray as xr

FILE = "policies.toml"
DEFAULT_STUDY = "great_stone"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for."""

    study: str | None
    sources: tuple[str, ...]
    n_draws: int
    rivals: tuple[str, ...]
    weights: Path | None
    outcomes: tuple[str, ...]
    seed: int
    engine: str
    output: Path | None


@dataclass(frozen=True)
class Setting:
    """What all parts share."""

    settings: Settings
    problem: CalibrationProblem
    catalogue: Catalogue
    rivals: tuple[Rival, ...]
    draws: dict[str, Draws]
    folder: Path

    @property
    def scenario(self) -> Scenario:
        """What the study holds fixed, over the whole time of the model rather than that of the data."""
        return Scenario("", {item.name: item.value for item in self.problem.fixed})

    @property
    def basis(self) -> str:
        """In words: what the draws are."""
        n = len(next(iter(self.draws.values())))
        origins = [draws.origin for draws in self.draws.values()]
        if set(origins) == {"prior"}:
            return f"{n} draws from the PRIOR: nothing here has seen the data"
        borrowed = [rival for rival, draws in self.draws.items() if draws.origin == "borrowed"]
        lent = (
            f"; not fitted themselves, with the draws of {self.rivals[0].id}: {', '.join(borrowed)}" if borrowed else ""
        )
        weighted = "" if all(math.isnan(draws.weight) for draws in self.draws.values()) else ", rivals with weights"
        return f"{n} draws from the posterior of each rival{weighted}{lent}"

    def policies(self, policies: Sequence[Policy], what: str, parts: str | None = None) -> "xr.Dataset":
        """Policies over the setting's draws and rivals, with progress; what fails is said."""
        with progress(what) as tick:
            result = run_policies(
                self.problem.model,
                policies,
                self.rivals,
                self.draws,
                self.catalogue.outcomes,
                self.catalogue.times,
                scenario=self.scenario,
                engine=self.settings.engine,
                parts=None if parts is None else self.folder / parts,
                progress=tick,
            )
        finer = int(result["refined"].sum())
        if finer:
            click.echo(f"note: {finer} runs needed a finer time step than the model's", err=True)
        bad = failed(result)
        if bad:
            click.echo(f"warning: {bad} runs have an outcome that is no number; they are left out", err=True)
        return result


def start(settings: Settings) -> Setting:
    """Read the study, its catalogue and its draws.

    Raises
    ------
    CiparkError
    """
    study = find_study(settings.study or DEFAULT_STUDY, where="policy")
    problem = read_problem(study)
    catalogue = read_catalogue(study / FILE, problem.model)
    known = rivals_of(problem, catalogue)
    ids = [rival.id for rival in known]
    outcomes = [outcome.id for outcome in catalogue.outcomes]
    wrong: list[CiparkError] = [
        UnknownName(one, ids, kind="rival", where="--rivals") for one in settings.rivals if one not in ids
    ]
    wrong += [
        UnknownName(one, [*outcomes, "all"], kind="outcome", where="--outcome")
        for one in settings.outcomes
        if one not in (*outcomes, "all")
    ]
    raise_all("cipark policy", wrong)
    rivals = tuple(rival for rival in known if not settings.rivals or rival.id in settings.rivals)
    folder = settings.output or Path("cipark-output") / f"{study.resolve().name}-policy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        expected = f"one that can be written ({fault.strerror})"
        raise InvalidValue("the output folder", str(folder), expected, where="-o") from None
    sources, table = settings.sources, settings.weights
    if sources == ("fit",):
        files, fitted_weights = _fitted(problem, rivals, folder, settings)
        sources, table = tuple(f"{rival}={path}" for rival, path in files.items()), table or fitted_weights
    weights = None if table is None else read_weights(table, known)
    draws = draws_for(problem, rivals, sources, settings.n_draws, settings.seed, weights)
    return Setting(settings, problem, catalogue, rivals, draws, folder)


def rivals_of(problem: CalibrationProblem, catalogue: Catalogue) -> tuple[Rival, ...]:
    """The rivals of the catalogue, or where it has none of its own those that the study refits."""
    if catalogue.own_rivals or not problem.rivals:
        return catalogue.rivals
    return tuple(Rival(variant.name, variant.why, variant.scenario) for variant in problem.rivals)


def _fitted(
    problem: CalibrationProblem, rivals: Sequence[Rival], folder: Path, settings: Settings
) -> tuple[dict[str, Path], Path]:
    """The posterior of every rival, with progress."""
    from calibration.predict import EngineName
    from calibration.rival_draws import fitted

    engine: EngineName = "numpy" if settings.engine == "numpy" else "native"
    ids = [rival.id for rival in rivals]
    with progress("posteriors of the rivals") as tick:

        def told(name: str, done: int, most: int) -> None:
            if tick is not None:
                tick(ids.index(name) * most + done, len(ids) * most)

        return fitted(problem, rivals, folder / "posterior", settings.seed, engine=engine, on_steps=told)


def run(settings: Settings, parts: Sequence[str]) -> None:
    """The parts that are asked for, one after the other."""
    setting = start(settings)
    click.echo(f"{setting.catalogue.title}\n{setting.basis}\n")
    for part in parts:
        match part:
            case "effects":
                from calibration.policy_effects import show_effects

                show_effects(setting)
            case "attribution":
                from calibration.policy_effects import show_attribution

                show_attribution(setting)
            case "robustness":
                from calibration.policy_choice import show_robustness

                show_robustness(setting)
            case "design":
                from calibration.policy_choice import show_design

                show_design(setting)
            case "information":
                from calibration.policy_choice import show_information

                show_information(setting)
    click.echo(f"\nwritten to {setting.folder}")


@contextmanager
def progress(what: str) -> Iterator[OnProgress | None]:
    """A bar where someone watches, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def save(setting: Setting, result: "xr.Dataset", name: str) -> None:
    """Write a result with what it rests on."""
    results.save(result.assign_attrs(basis=setting.basis, catalogue=setting.catalogue.digest), setting.folder / name)
