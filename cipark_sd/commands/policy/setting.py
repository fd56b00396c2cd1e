"""One call of ``cipark policy``: the parts in order, what is written, and what a person reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd import results
from cipark_sd.basis import UNSEEN, Basis, Origin
from cipark_sd.commands.policy.parts import PARTS
from cipark_sd.commands.policy.study import FILE, PolicyStudy, read_policy_study
from cipark_sd.console import progress_bars
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.experiments.definition import Catalogue, Policy, Rival
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.run import failed, run_policies
from cipark_sd.files import OUTPUT_FOLDER, output_folder, write_table
from cipark_sd.model.units import is_dimensionless
from cipark_sd.pages.blocks import Section
from cipark_sd.pages.page import HTML
from cipark_sd.scenarios import Scenario, override_key, split_key
from cipark_sd.study import DrawRequest, DrawSource, Study, find_folder

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


#: Parts that have something to say without a fit: signs.
WITHOUT_RANKING = ("effects",)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for."""

    target: str | None
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

    ``prior`` are the draws that expectations are set against; ``unreliable`` says of rivals how many terms their
    weights cannot judge; ``notes`` say where the draws come from and what a reader must know of them.
    """

    settings: Settings
    policies_of: PolicyStudy
    rivals: tuple[Rival, ...]
    draws: Mapping[str, Draws]
    prior: Mapping[str, Draws]
    folder: Path
    notes: tuple[str, ...] = ()
    unreliable: Mapping[str, str] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        """What the parameters come from."""
        return self.policies_of.study

    @property
    def catalogue(self) -> Catalogue:
        """What is tried."""
        return self.policies_of.catalogue

    @property
    def scenario(self) -> Scenario:
        """What the study holds fixed."""
        return self.study.scenario

    @property
    def unseen(self) -> bool:
        """Whether the draws have seen no data."""
        return all(draws.origin in UNSEEN for draws in self.draws.values())

    @property
    def signs_only(self) -> bool:
        """Whether the draws are of the priors of a study: what policies do is then said by its sign alone."""
        return all(draws.origin == "prior" for draws in self.draws.values())

    @property
    def bases(self) -> dict[Origin, tuple[Basis, tuple[str, ...]]]:
        """By origin, what the draws are at their worst, and the rivals that have them."""
        found: dict[Origin, list[str]] = {}
        for rival, draws in self.draws.items():
            found.setdefault(draws.origin, []).append(rival)
        return {origin: (_worst([self.draws[r].basis for r in own]), tuple(own)) for origin, own in found.items()}

    @property
    def basis(self) -> str:
        """In words: what the draws are."""
        told = []
        for basis, own in self.bases.values():
            who = "" if len(self.draws) == 1 else f" ({self._whose(basis, own)})"
            told.append(f"{basis.sentence}{who}")
        study = "" if self.study.folder == self.policies_of.folder or self.unseen else f" of {self.study.folder.name}"
        weighted = f"; by weight {self.weighed}" if self.weighed else ""
        return f"{'; '.join(told)}{study and f'; the fit is that{study}'}{weighted}"

    def _whose(self, basis: Basis, own: Sequence[str]) -> str:
        each = f"each of {len(own)} structures" if len(own) == len(self.draws) else ", ".join(own)
        if basis.origin == "laplace":
            return f"{each}, k the largest of them"
        lent = basis.origin == "borrowed"
        return f"{each}, not fitted and so with those of {next(iter(self.draws))}" if lent else each

    @property
    def of_draws(self) -> str:
        """For captions: what kind of draws the numbers are of."""
        return " and ".join(basis.name for basis, _ in self.bases.values())

    @property
    def label(self) -> str:
        """For a column of files."""
        return "; ".join(
            basis.label if len(self.bases) == 1 else f"{', '.join(own)}: {basis.label}"
            for basis, own in self.bases.values()
        )

    def write_csv(self, frame: "pd.DataFrame", name: str) -> None:
        """A table as CSV whose first column says of each row what draws it rests on; whole or not at all."""
        write_table(self.folder / name, frame, draws=self.label)

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
        return "" if one.per else self.study.model[split_key(override_key(one.variable))[0]].units

    def input_titles(self) -> dict[str, str]:
        """Uncertain inputs in words, with their units, by the name of their constant."""
        titles = {}
        for one in self.catalogue.uncertainties:
            units = self.study.model[split_key(override_key(one.name))[0]].units
            plain = is_dimensionless(units) or "[" in one.title
            titles[one.name] = one.title if plain else f"{one.title} [{units}]"
        return titles

    def from_prior(self, policies: Sequence[Policy], outcomes: Sequence[str], times: Sequence[float]) -> "xr.Dataset":
        """Policies over the prior draws that expectations are set against, with progress."""
        with progress_bars() as bars:
            return run_policies(
                self.study.model,
                policies,
                self.rivals,
                self.prior,
                [self.catalogue.outcome_by_id[outcome] for outcome in outcomes],
                times,
                scenario=self.scenario,
                engine=self.settings.engine,
                progress=bars.counter("the same without data"),
            )

    def policies(self, policies: Sequence[Policy], what: str, parts: str | None = None) -> "xr.Dataset":
        """Policies over the setting's draws and rivals, with progress; what fails is said."""
        with progress_bars() as bars:
            result = run_policies(
                self.study.model,
                policies,
                self.rivals,
                self.draws,
                self.catalogue.outcomes,
                self.catalogue.times,
                scenario=self.scenario,
                engine=self.settings.engine,
                parts=None if parts is None else self.folder / parts,
                progress=bars.counter(what),
            )
        finer = int(result["refined"].sum())
        if finer:
            click.echo(f"note: {finer} runs needed a finer time step than the model's", err=True)
        bad = failed(result)
        if bad:
            click.echo(f"warning: {bad} runs have an outcome that is no number; they are left out", err=True)
        return result


def start(settings: Settings) -> Setting:
    """Read the study, its catalogue and its draws, and set the base against the data.

    Raises
    ------
    CiparkError
    """
    place = find_folder(settings.target, file=FILE, where="policy")
    found = read_policy_study(place, allow_files=settings.allow_files)
    rivals = _asked_for(settings, found)
    source = draw_source(settings.sources, [rival.id for rival in rivals])
    folder = output_folder(settings.output or OUTPUT_FOLDER / f"{place.resolve().name}-policy")
    wanted = DrawRequest(
        rivals, source, settings.n_draws, settings.seed, folder, settings.engine, settings.weights, found.rivals
    )
    with progress_bars() as bars:
        made = found.study.draws(wanted, bars)
    # what is set for the place holds under all rivals, and a rival may take it back
    placed = tuple(replace(rival, scenario=found.catalogue.here | rival.scenario) for rival in made.structures)
    return _against_data(Setting(settings, found, placed, made.draws, made.prior, folder, made.notes, made.unreliable))


def draw_source(given: Sequence[str], ids: Sequence[str]) -> DrawSource:
    """What ``--draws`` names: words, a folder, files of one structure each, or the file of the first.

    Raises
    ------
    UnknownName
        For ``RIVAL=FILE`` with a rival that there is not.
    """
    named = [text for text in given if text != "prior"]
    if not named:
        return "prior" if given else "at hand"
    if tuple(given) == ("fit",):
        return "fit"
    if len(given) == 1 and Path(given[0]).is_dir():
        return Path(given[0])
    files: dict[str, Path] = {}
    for text in named:
        rival, equals, path = text.partition("=")
        if equals and rival not in ids and not Path(text).is_file():
            raise UnknownName(rival, ids, kind="rival", where="--draws")
        files |= {rival: Path(path)} if equals and rival in ids else {ids[0]: Path(text)}
    return files


def _against_data(setting: Setting) -> Setting:
    """The setting, if its base does not contradict the data; after a fit that is said, before one it is an error.

    Raises
    ------
    CiparkError
        When the priors have a base that the data rule out.
    """
    first, study = setting.rivals[0], setting.study
    draws = setting.draws[first.id]
    told = study.contradictions(first, draws, seed=setting.settings.seed, engine=setting.settings.engine)
    if not told:
        return setting
    if setting.signs_only:
        raise CiparkError(
            f"cipark policy --draws prior: the base contradicts the data, so that nothing is shown of what policies "
            f"change of it: {told}. Run 'cipark calibrate{study.argument}', and then 'cipark policy{study.argument}' "
            "without --draws, which takes up that fit."
        )
    return replace(setting, notes=(f"The base does not meet the data even after the fit: {told}.", *setting.notes))


def _worst(bases: Sequence[Basis]) -> Basis:
    """One basis for several of the same origin: converged where all have, as far from the posterior as the farthest."""
    converged: bool | None = True
    if any(basis.converged is None for basis in bases):
        converged = None
    if any(basis.converged is False for basis in bases):
        converged = False
    return replace(bases[0], converged=converged, pareto_k=max(basis.pareto_k for basis in bases))


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
    InvalidValue
        When a part that ranks is asked for with draws from the priors of a study.
    """
    setting = start(settings)
    without = lacking(setting.catalogue)
    raise_all(
        str(setting.policies_of.folder / FILE),
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
    from cipark_sd.commands.policy import page as policy_page

    if parts is None and without:
        click.echo("left out, since the catalogue has no table for it: " + ", ".join(without) + "\n")
    asked = [part for part in PARTS if part not in without] if parts is None else list(parts)
    ranking = [part for part in asked if part not in WITHOUT_RANKING]
    if setting.signs_only and ranking:
        if parts is not None:
            expected = f"{' or '.join(WITHOUT_RANKING)}: from the priors nothing is ranked and no size is told"
            raise InvalidValue("--part", ", ".join(ranking), expected, where="cipark policy --draws prior")
        click.echo("left out, since from the priors nothing is ranked: " + ", ".join(ranking) + "\n")
        asked = [part for part in asked if part in WITHOUT_RANKING]
    for part in asked:
        # after each part, so that a call that is stopped leaves what it has found
        policy_page.write(setting, _shown(setting, part))
    click.echo(f"\nwritten to {setting.folder}; {setting.folder / HTML} has all of it on one page")


def _shown(setting: Setting, part: str) -> list[Section]:
    """Run one part; its sections of the page."""
    match part:
        case "effects":
            from cipark_sd.commands.policy.effects import show_effects
            from cipark_sd.commands.policy.signs import show_signs

            return show_signs(setting) if setting.signs_only else show_effects(setting)
        case "attribution":
            from cipark_sd.commands.policy.attribution import show_attribution

            return show_attribution(setting)
        case "robustness":
            from cipark_sd.commands.policy.robustness import show_robustness

            return show_robustness(setting)
        case "design":
            from cipark_sd.commands.policy.design import show_design

            return show_design(setting)
        case _:
            from cipark_sd.commands.policy.information import show_information

            return show_information(setting)


def save(setting: Setting, result: "xr.Dataset", name: str) -> None:
    """Write a result with what it rests on."""
    results.save(result.assign_attrs(basis=setting.basis, catalogue=setting.catalogue.digest), setting.folder / name)
