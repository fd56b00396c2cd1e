"""What a part of ``cipark policy`` is, and what all compute from: a catalogue with its study or model, and draws."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

from cipark_sd.analysis.experiments.catalogue import FILE, model_named_in, read_catalogue
from cipark_sd.analysis.experiments.definition import Catalogue, Outcome, Policy, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.extended import extended
from cipark_sd.analysis.experiments.run import FEWEST, affordable, failures_in, run_policies, units_of
from cipark_sd.analysis.experiments.settings import Setup, moved
from cipark_sd.analysis.sensitivities.factors import Factor
from cipark_sd.analysis.study import (
    Asked,
    DrawRequest,
    DrawSet,
    DrawSource,
    PlainModel,
    Study,
    find_folder,
    readers,
    study_in,
)
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.base.files import OUTPUT_FOLDER, output_folder
from cipark_sd.base.inputs import all_beneath, beneath
from cipark_sd.base.library import bundled
from cipark_sd.base.naming import override_key
from cipark_sd.base.optional import attempt, record_in
from cipark_sd.base.wording import commas, labelled, listed, number, rounded, with_unit, written_unit
from cipark_sd.commands.options import split_names
from cipark_sd.commands.policy.about import About, Findings
from cipark_sd.commands.policy.request import Request
from cipark_sd.data import estimands
from cipark_sd.data.described import version
from cipark_sd.execution.cluster import pool_of
from cipark_sd.execution.workers import Workers
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.pages.blocks import Table
from cipark_sd.pages.parts import Part, Pictures
from cipark_sd.simulations.failures import MOST_FAILED
from cipark_sd.statements.claims import class_of

if TYPE_CHECKING:
    import xarray as xr

R = TypeVar("R")


@dataclass(frozen=True)
class Target:
    """A catalogue, and the study beside it or the one that it names; of one that names a model alone, that model."""

    folder: Path
    catalogue: Catalogue
    study: Study

    @cached_property
    def model(self) -> Model:
        """That of the study, with what the catalogue adds."""
        return extended(self.study.model, self.catalogue)

    @property
    def rivals(self) -> tuple[Structure, ...]:
        """The rivals of the catalogue, or where it has none of its own those that the study refits."""
        from_catalogue = self.catalogue.own_rivals or not self.study.structures
        return self.catalogue.rivals if from_catalogue else self.study.structures


def read_target(folder: Path, *, allow_files: Sequence[Path] = ()) -> Target:
    """The catalogue in a folder with its study or its model.

    Parameters
    ----------
    folder : Path
        With policies.toml.
    allow_files : sequence of Path
        Folders beneath which files may lie that the model or the study names, beside its own.

    Raises
    ------
    InvalidValue, Problems, ModelFileError, EquationError
        For what is wrong in one of the files, all of a file together.
    """
    path = folder / FILE
    named, series = model_named_in(path)
    if "file" in named or "bundled" in named:
        file = (
            bundled(named["bundled"])
            if "bundled" in named
            else beneath(folder, named["file"], allow_files, where=str(path))
        )
        data = all_beneath(folder, series, allow_files, where=str(path))
        model = read_model(file, allow_files=allow_files, series=data)
        catalogue = read_catalogue(path, model)
        ranges = tuple(
            Factor(uncertainty.name, uncertainty.quantile, uncertainty.title) for uncertainty in catalogue.uncertainties
        )
        return Target(folder, catalogue, PlainModel(folder.resolve().name, folder, model, ranges))
    study = study_in(_study_folder(folder, named["study"], allow_files) if named else folder, allow_files)
    if study is None:
        files = " or ".join(reader.FILE for reader in readers())
        expected = f"a model: {files} beside the file, or [model] in it with file, bundled or study"
        raise InvalidValue("[model]", None, expected, where=str(path))
    return Target(folder, read_catalogue(path, study.model, study.moment), study)


def _study_folder(folder: Path, name: str, allow_files: Sequence[Path]) -> Path:
    """The folder of a study that a catalogue names: one beneath it, or one that comes with a package."""
    if (folder / name).is_dir():
        return beneath(folder, name, allow_files, where=str(folder / FILE))
    shipped = {name: place for reader in readers() for name, place in reader.shipped_studies(reader.FILE).items()}
    if name not in shipped:
        files = " or ".join(reader.FILE for reader in readers())
        instead = f"name a folder with {files} beneath {folder}, or a study that comes with the package"
        raise UnknownName(name, shipped, kind="study", where=str(folder / FILE), instead=instead)
    return shipped[name]


def _chosen_rivals(ids: Sequence[str], target: Target) -> tuple[Structure, ...]:
    """The rivals of these ids, all of them where there are none; all that is not there is told at once.

    Raises
    ------
    UnknownName, Problems
    """
    known = [rival.id for rival in target.rivals]
    raise_all("cipark policy", [UnknownName(i, known, kind="rival", where="--rivals") for i in ids if i not in known])
    return tuple(rival for rival in target.rivals if not ids or rival.id in ids)


def draw_source(draws: Sequence[str], ids: Sequence[str]) -> DrawSource:
    """What ``--draws`` names: words, a folder, files of one structure each, or the file of the first.

    Raises
    ------
    UnknownName
        For ``RIVAL=FILE`` with a rival that there is not.
    """
    named = [text for text in draws if text != "prior"]
    if not named:
        return "prior" if draws else "at hand"
    if len(draws) == 1 and Path(draws[0]).is_dir():
        return Path(draws[0])
    files: dict[str, Path] = {}
    for text in named:
        rival, equals, path = text.partition("=")
        if equals and rival not in ids and not Path(text).is_file():
            raise UnknownName(rival, ids, kind="rival", where="--draws")
        files |= {rival: Path(path)} if equals and rival in ids else {ids[0]: Path(text)}
    return files


@dataclass(frozen=True)
class Analysis:
    """What all parts share.

    Parameters
    ----------
    rivals : tuple of Structure
        Those that have draws, with what is set for the place.
    draws, prior : mapping of str to Draws
        By rival; ``prior`` are those that expectations are set against.
    about : About
        What is told of all findings.
    setup : Setup
        What all its runs share.
    folder : Path
        Of the output.
    allowed : float
        The share of runs that may fail.
    """

    study: Study
    catalogue: Catalogue
    rivals: tuple[Structure, ...]
    draws: Mapping[str, Draws]
    prior: Mapping[str, Draws]
    about: About
    setup: Setup
    folder: Path
    allowed: float

    @property
    def model(self) -> Model:
        """That of the study with what the catalogue adds."""
        return self.setup.model

    def run(
        self,
        policies: Sequence[Policy],
        bars: Bars,
        stage: str,
        *,
        draws: Mapping[str, Draws] | None = None,
        outcomes: Sequence[Outcome] | None = None,
        times: Sequence[float] | None = None,
        rivals: Sequence[Structure] | None = None,
    ) -> "xr.Dataset":
        """Policies over draws under every rival; by default those of the analysis, all outcomes, the catalogue's times.

        Parameters
        ----------
        stage : str
            In words, for the progress.

        Raises
        ------
        TooManyFailed
        """
        runs = run_policies(
            self.setup,
            policies,
            self.rivals if rivals is None else rivals,
            self.draws if draws is None else draws,
            self.catalogue.outcomes if outcomes is None else outcomes,
            self.catalogue.times if times is None else times,
            bars.counter(stage),
        )
        failures = failures_in(self.model, runs)
        # placeholders that draws after data are only compared with may fail as often as in any other command
        compared = draws is self.prior and draws[self.rivals[0].id].origin != self.draws[self.rivals[0].id].origin
        allowed = max(self.allowed, self.study.allowed) if compared else self.allowed
        failures.check(f"{self.model.name}, {stage}", failures.total, allowed)
        return runs

    def moves(self) -> dict[str, str]:
        """By policy, from where to where it moves what, over all draws of the first rival: ``Pace from 5 to 4``."""
        first = self.rivals[0]
        draws = self.draws[first.id]

        def words(name: str, ends: tuple[float, float]) -> str:
            unit = estimands.unit_of(self.model, name)
            # with the digits that tell both apart: a date has four before them
            width = abs(ends[1] - ends[0])
            before, after = (commas(number(end, digits=3) if end.is_integer() else rounded(end, width)) for end in ends)
            return f"{estimands.name_in(self.model, name)} from {before} to {with_unit(after, unit)}"

        by_policy = moved(self.setup, self.catalogue.changes, first, draws.whole or draws)
        return {policy: listed([words(*item) for item in numbers.items()], "") for policy, numbers in by_policy.items()}

    def widened(self, draws: Mapping[str, Draws]) -> dict[str, Draws]:
        """Draws by rival, with the inputs that no data inform drawn from their ranges."""
        uncertainties, seed = self.catalogue.uncertainties, self.about.seed
        return {rival: of_rival.widened(uncertainties, seed) for rival, of_rival in draws.items()}

    def doubts(self, runs: "xr.Dataset") -> tuple[str, ...]:
        """In words: how many runs needed a finer step, how many failed, and of what."""
        finer, failures = int(runs["refined"].sum()), failures_in(self.model, runs)
        sentences = [f"{finer} runs needed a finer time step than the model's."] if finer else []
        return (*sentences, *([failures.sentence("Policies")] if failures.failed else []))


def start(request: Request, bars: Bars, n_settings: Callable[[Catalogue], int]) -> Analysis:
    """Read the study, its catalogue and its draws, and set the base against the data.

    Parameters
    ----------
    bars : Bars
        For draws that have to be made first.
    n_settings : function of a catalogue
        With how many settings each draw is run under a structure.

    Raises
    ------
    CiparkError
        For what is wrong in them, and for priors whose base the data rule out.
    """
    place = find_folder(request.target, file=FILE, where="policy")
    target = read_target(place, allow_files=request.allow_files)
    rivals = _chosen_rivals(split_names([request.rivals or ""]), target)
    source = draw_source(request.sources, [rival.id for rival in rivals])
    folder = output_folder(request.output or OUTPUT_FOLDER / f"{place.resolve().name}-policy")
    record_in(folder)
    checkpoints = Checkpoints.in_output(folder, fresh=request.fresh)
    pool = pool_of(request.dask, lambda: Workers(0, checkpoints), checkpoints)
    setup = Setup(target.model, target.study.scenario, engine=request.engine, pool=pool)
    read = [name for outcome in target.catalogue.outcomes for name in (outcome.variable, outcome.per)]
    most = 0 if request.n_draws else affordable(setup, read, n_settings(target.catalogue))
    how = (request.n_draws or FEWEST, request.seed, folder, request.engine, target.rivals, most)
    made = target.study.draws(DrawRequest(rivals, source, *how), bars)
    target = replace(target, catalogue=_about_the_question(target.catalogue, made.question))
    # what is set for the place holds under all rivals, and a rival may take it back
    placed = tuple(replace(rival, scenario=target.catalogue.settings | rival.scenario) for rival in made.structures)
    model = target.model
    about = About(
        catalogue=target.catalogue,
        rivals=placed,
        bases={rival: draws.basis for rival, draws in made.draws.items()},
        weights={rival: draws.weight for rival, draws in made.draws.items()},
        units={outcome.id: written_unit(units_of(target.model, outcome)) for outcome in target.catalogue.outcomes},
        inputs=_input_titles(target),
        quantities={outcome.id: _quantity(target, outcome) for outcome in target.catalogue.outcomes},
        settings=_settings(target),
        place=estimands.settings(model, target.catalogue.settings),
        model_digest=target.study.model.digest,
        study_digest=made.study_digest,
        seed=request.seed,
        identity="",
        fit_of="" if target.study.folder == target.folder else target.study.folder.name,
        notes=made.notes,
        misfit=made.misfit,
        unreliable=made.unreliable,
        untaught=untaught(target.study, made.draws[placed[0].id]),
        question=made.question,
    )
    against = _against_data(request, target.study, placed[0], made, about)
    about = replace(about, against=against, identity=_identity(request, target, made.draws, about.basis))
    # of placeholders most runs may fail, but no effect is told from those that are left
    allowed = min(target.study.allowed, MOST_FAILED) if request.allow_failed is None else request.allow_failed
    return Analysis(
        target.study, target.catalogue, placed, made.draws, made.prior, about, setup, folder, allowed,
    )  # fmt: skip


def _about_the_question(catalogue: Catalogue, question: Asked | None) -> Catalogue:
    """The catalogue with the outcome that the fit was asked about in its headline; as it is where nothing was asked."""
    if question is None or question.outcome is None:
        return catalogue
    outcome, key = question.outcome, override_key(question.outcome.variable)
    plain = [o for o in catalogue.outcomes if not o.per and not o.equation and o.metric == outcome.metric]
    known = next((o for o in plain if override_key(o.variable) == key), None)
    outcomes = catalogue.outcomes if known is not None else (*catalogue.outcomes, outcome)
    headline = (outcome if known is None else known).id, question.time
    return replace(
        catalogue,
        outcomes=outcomes,
        headline=headline,
        times=tuple(sorted({*catalogue.times, question.time})),
        beside=tuple(dict.fromkeys((catalogue.headline[0], *catalogue.beside))),
        digest=hashlib.sha256(f"{catalogue.digest} {headline}".encode()).hexdigest(),
    )


def _against_data(request: Request, study: Study, first: Structure, made: DrawSet, about: About) -> str:
    """A sentence where the base contradicts the data even after a fit; before one that is an error."""
    against = attempt(
        "contradiction",
        lambda: study.contradictions(first, made, seed=request.seed, engine=request.engine),
        "",
    )
    if not against:
        return ""
    if about.signs_only:
        raise CiparkError(
            f"cipark policy --draws prior: the base contradicts the data, so that nothing is shown of what policies "
            f"change of it: {against}. Run 'cipark calibrate{study.argument}', and then "
            f"'cipark policy{study.argument}' without --draws, which uses that fit."
        )
    return f"The base does not meet the data even after the fit: {against}."


def _quantity(target: Target, outcome: Outcome) -> str:
    names = (outcome.variable, outcome.per) if outcome.per else (outcome.variable,)
    quantity = " / ".join(estimands.name_in(target.model, name) for name in names)
    return f"{outcome.metric} of {quantity}" if outcome.metric else quantity


def _settings(target: Target) -> dict[str, str]:
    """What each policy sets, and which decision each alternative to doing nothing is."""
    catalogue = target.catalogue
    settings = {}
    for policy in catalogue.policies:
        numbers = estimands.settings(target.model, policy.scenario)
        equations = [f"{estimands.name_in(target.model, name)} = {text}" for name, text in policy.equations]
        settings[policy.id] = ", ".join([*filter(None, [numbers]), *equations])
    if catalogue.decisions is not None:
        settings |= {decision.id: f"the decision {decision.title}" for decision in catalogue.decisions.alternatives}
    return settings


def _input_titles(target: Target) -> dict[str, str]:
    titles = {}
    for uncertainty in target.catalogue.uncertainties:
        title, units = uncertainty.title, estimands.unit_of(target.model, uncertainty.name)
        titles[uncertainty.name] = title if "[" in title else labelled(title, units)
    return titles


def untaught(study: Study, draws: Draws) -> tuple[str, ...]:
    """Parameters that the data do not narrow on their own scale; none where there is one draw.

    Parameters
    ----------
    study : Study
        With the priors.
    draws : Draws
        After the data; where they are some of more, all are judged, as the fit judges its constants.

    Returns
    -------
    tuple of str
        Their names.
    """
    draws = draws.whole or draws
    grid = (np.arange(2000) + 0.5) / 2000
    names = []
    for parameter in study.parameters:
        values = draws.values.get(override_key(parameter.name))
        if values is not None and len(values) > 1:
            before, after = map(parameter.scale, (parameter.quantile(grid), values))
            names += [] if class_of([(before, after)]) == "informed" else [parameter.name]
    return tuple(names)


def _identity(request: Request, target: Target, draws: Mapping[str, Draws], basis: str) -> str:
    digest = hashlib.sha256()
    for rival, rival_draws in draws.items():
        digest.update(f"{rival} {rival_draws.weight}".encode())
        for name, values in sorted(rival_draws.values.items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    model = target.study.model
    return (
        f"{basis}. Model {model.name} ({model.digest[:12]}), policies {target.catalogue.digest[:12]}, "
        f"cipark_sd {version()}, engine {request.engine}, seed {request.seed}; draws {digest.hexdigest()[:12]}."
    )


class PolicyPart(Part[Findings], Generic[R]):
    """One analysis of policies, with its name in ``--part`` and a result of its own, by that name in the findings.

    Only :meth:`compute` runs the model or draws a random number.

    Parameters
    ----------
    kind : type
        Of the result: a frozen dataclass that :mod:`cipark_sd.pages.output` can save and load.
    needs : (str, str, str)
        What the part cannot be without: the attribute of the catalogue, its table, and what is expected there.
    """

    __slots__ = ()
    name: ClassVar[str]
    kind: ClassVar[type]
    needs: ClassVar[tuple[str, str, str]] = ("changes", "[[policy]]", "at least one")

    def n_settings(self, catalogue: Catalogue) -> int:
        """With how many settings each draw is run under a structure."""
        return len(catalogue.policies)

    def lacks(self, catalogue: Catalogue) -> InvalidValue | None:
        """The table of the catalogue without which the part is not run."""
        attribute, table, expected = self.needs
        there = getattr(catalogue, attribute)
        return None if there else InvalidValue(table, None, expected, where=f"--part {self.name}")

    @abstractmethod
    def compute(self, analysis: Analysis, bars: Bars) -> R:
        """The result."""

    def shown(self, findings: Findings) -> Table | None:
        """What a console shows of the part: the first table of its page; None without one."""
        blocks = (block for section in self.sections(findings, Pictures()) for block in section.blocks)
        return next((block for block in blocks if isinstance(block, Table)), None)

    def read(self, findings: Findings) -> tuple[R, About]:
        """The result of the part, and what it rests on."""
        return findings.results[self.name], findings.about
