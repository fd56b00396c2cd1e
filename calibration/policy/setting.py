"""One call of ``cipark policy``: the parts in order, what is written, and what a person reads."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibration.policy.draws import Found, find_draws
from calibration.policy.parts import PARTS
from calibration.policy.study import FILE, PolicyStudy, find_policy_study, read_policy_study
from calibration.study.library import DEFAULT_STUDY
from calibration.study.problem import CalibrationProblem
from cipark_sd import results
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.experiments.definition import Catalogue, Policy, Rival
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.run import OnProgress, failed, run_policies
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.report import HTML, Section
from cipark_sd.scenarios import Scenario, override_key, split_key

if TYPE_CHECKING:
    import xarray as xr

    from calibration.likelihood.forward import EngineName


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
    allow_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What all parts share.

    ``weights`` is the file that the weights of the rivals come from, if they have any; ``notes`` say where the draws
    come from and what a reader must know of them.
    """

    settings: Settings
    study: PolicyStudy
    rivals: tuple[Rival, ...]
    draws: dict[str, Draws]
    folder: Path
    weights: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def problem(self) -> CalibrationProblem:
        """The study that the parameters come from."""
        return self.study.problem

    @property
    def catalogue(self) -> Catalogue:
        """What is tried."""
        return self.study.catalogue

    @property
    def scenario(self) -> Scenario:
        """What the study holds fixed, over the whole time of the model rather than that of the data."""
        return Scenario("", {item.name: item.value for item in self.problem.fixed})

    @property
    def unseen(self) -> bool:
        """Whether the draws have seen no data."""
        return {draws.origin for draws in self.draws.values()} <= {"prior", "ranges"}

    @property
    def basis(self) -> str:
        """In words: what the draws are."""
        n = len(next(iter(self.draws.values())))
        origins = [draws.origin for draws in self.draws.values()]
        if set(origins) == {"prior"}:
            return f"{n} draws from the PRIOR: nothing here has seen the data"
        if set(origins) == {"ranges"}:
            return f"{n} draws from declared ranges, any value as good as another: nothing here has seen data"
        borrowed = [rival for rival, draws in self.draws.items() if draws.origin == "borrowed"]
        own = [rival for rival in self.draws if rival not in borrowed]
        lent = f"; not fitted, so with the draws of {own[0]}: {', '.join(borrowed)}" if borrowed else ""
        weighted = f", by weight {self.weighed}" if self.weighed else ""
        whose = "posterior" if self.problem.folder == self.study.folder else f"posterior of {self.problem.folder.name}"
        several = f" of each of {len(own)} rivals" if not borrowed else f" under {', '.join(own)}"
        return f"{n} draws from the {whose}{several if len(self.rivals) > 1 else ''}{weighted}{lent}"

    @property
    def weighed(self) -> str:
        """Which rivals a mixture by weight consists of; empty without weights."""
        weights = {rival: draws.weight for rival, draws in self.draws.items()}
        whole = sum(weights.values())
        if not math.isfinite(whole) or whole <= 0:
            return ""
        most = sorted(((weight / whole, rival) for rival, weight in weights.items()), reverse=True)
        return ", ".join(f"{rival} {share:.2f}" for share, rival in most if share >= 0.005)

    def units(self, outcome: str) -> str:
        """The unit of an outcome, empty for a ratio."""
        one = self.catalogue.outcome_by_id[outcome]
        return "" if one.per else self.problem.model[split_key(override_key(one.variable))[0]].units

    def input_titles(self) -> dict[str, str]:
        """Uncertain inputs in words, with their units, by the name of their constant."""
        titles = {}
        for one in self.catalogue.uncertainties:
            units = self.problem.model[split_key(override_key(one.name))[0]].units
            plain = units.lower() in ("", "1", "dmnl", "dimensionless") or "[" in one.title
            titles[one.name] = one.title if plain else f"{one.title} [{units}]"
        return titles

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
    study = read_policy_study(find_policy_study(settings.study or DEFAULT_STUDY), allow_files=settings.allow_files)
    rivals = _asked_for(settings, study)
    folder = settings.output or OUTPUT_FOLDER / f"{study.folder.resolve().name}-policy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        expected = f"one that can be written ({fault.strerror})"
        raise InvalidValue("the output folder", str(folder), expected, where="-o") from None
    found = _draws(settings, study, rivals, folder)
    # what is set for the place holds under all rivals, and a rival may take it back
    placed = tuple(replace(rival, scenario=study.catalogue.here | rival.scenario) for rival in found.rivals)
    return Setting(settings, study, placed, found.draws, folder, found.weights, found.notes)


def _draws(settings: Settings, study: PolicyStudy, rivals: tuple[Rival, ...], folder: Path) -> Found:
    """The draws, fitted first where that is asked for, with progress."""
    if settings.sources != ("fit",) or not study.fitted:
        return find_draws(study, rivals, settings.sources, settings.n_draws, settings.seed, folder, settings.weights)
    from calibration.assess.rival_draws import fitted

    kept = folder / "posterior"
    ids = [rival.id for rival in rivals]
    with progress("posteriors of the rivals") as tick:

        def told(name: str, done: int, most: int) -> None:
            if tick is not None:
                tick(ids.index(name) * most + done, len(ids) * most)

        engine: EngineName = "numpy" if settings.engine == "numpy" else "native"
        fitted(study.problem, rivals, kept, engine=engine, on_steps=told)
    return find_draws(study, rivals, (str(kept),), settings.n_draws, settings.seed, folder, settings.weights)


def _asked_for(settings: Settings, study: PolicyStudy) -> tuple[Rival, ...]:
    """The rivals that the command line wants; all that it wants and is not there is told at once."""
    ids = [rival.id for rival in study.rivals]
    outcomes = [outcome.id for outcome in study.catalogue.outcomes]
    wrong: list[CiparkError] = [
        UnknownName(one, ids, kind="rival", where="--rivals") for one in settings.rivals if one not in ids
    ]
    wrong += [
        UnknownName(one, [*outcomes, "all"], kind="outcome", where="--outcome")
        for one in settings.outcomes
        if one not in (*outcomes, "all")
    ]
    raise_all("cipark policy", wrong)
    return tuple(rival for rival in study.rivals if not settings.rivals or rival.id in settings.rivals)


def lacking(catalogue: Catalogue) -> dict[str, tuple[str, str]]:
    """The parts that a catalogue has no tables for: the table that is missing, and what it holds."""
    tables = {
        "effects": (len(catalogue.policies) > 1, "[[policy]]", "at least one"),
        "attribution": (bool(catalogue.factors), "[[factor]]", "at least one mechanism to switch"),
        "robustness": (catalogue.robustness is not None, "[robustness]", "a table with outcome, at and strategies"),
        "design": (catalogue.design is not None, "[design]", "a table with outcome and at"),
        "information": (catalogue.robustness is not None, "[robustness]", "a table with outcome, at and strategies"),
    }
    return {part: (table, expected) for part, (there, table, expected) in tables.items() if not there}


def run(settings: Settings, parts: Sequence[str] | None) -> None:
    """The parts that are asked for, one after the other; None for all that the catalogue has tables for.

    Raises
    ------
    Problems
        For each part that is asked for and has no table, before anything is run.
    """
    setting = start(settings)
    without = lacking(setting.catalogue)
    raise_all(
        str(setting.study.folder / FILE),
        [
            InvalidValue(without[part][0], None, without[part][1], where=f"--part {part}")
            for part in parts or ()
            if part in without
        ],
    )
    click.echo(f"{setting.catalogue.title}\n{setting.basis}")
    for note in setting.notes:
        click.echo(note)
    click.echo()
    if setting.catalogue.note:
        click.echo(f"{setting.catalogue.note}\n")
    from calibration.policy import page as policy_page

    if parts is None and without:
        click.echo("left out, since the catalogue has no table for it: " + ", ".join(without) + "\n")
    for part in [part for part in PARTS if part not in without] if parts is None else parts:
        # after each part, so that a call that is stopped leaves what it has found
        policy_page.write(setting, _shown(setting, part))
    click.echo(f"\nwritten to {setting.folder}; {setting.folder / HTML} has all of it on one page")


def _shown(setting: Setting, part: str) -> list[Section]:
    """Run one part; its sections of the page."""
    match part:
        case "effects":
            from calibration.policy.effects import show_effects

            return show_effects(setting)
        case "attribution":
            from calibration.policy.attribution import show_attribution

            return show_attribution(setting)
        case "robustness":
            from calibration.policy.robustness import show_robustness

            return show_robustness(setting)
        case "design":
            from calibration.policy.design import show_design

            return show_design(setting)
        case _:
            from calibration.policy.information import show_information

            return show_information(setting)


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
