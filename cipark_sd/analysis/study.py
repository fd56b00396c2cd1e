"""A study as ``cipark sensitivity`` and ``cipark policy`` see it; a model without data is one as well.

This package knows no study format. A package that has one registers a :class:`StudyReader` under :data:`STUDIES`.
"""

import difflib
import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from cipark_sd.analysis.experiments.definition import Outcome, Structure
from cipark_sd.analysis.experiments.draws import Draws, latin_hypercube
from cipark_sd.analysis.sensitivities.evaluation import Output, Question
from cipark_sd.analysis.sensitivities.factors import Factor, Factors
from cipark_sd.analysis.sensitivities.ranking import Moment, moment_in
from cipark_sd.base.arrays import Array
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import MEANT, InvalidValue, UnknownName, UnusableInput
from cipark_sd.base.library import STUDIES, load
from cipark_sd.base.naming import override_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Model
from cipark_sd.simulations.failures import ALLOWED
from cipark_sd.statements.claims import Basis
from cipark_sd.statements.standing import Standing

#: Outputs of a model without data that are explained when none is named.
STOCKS = 3

#: Where draws come from: the fit at hand or the priors; the folder of a fit; a file for each structure.
DrawSource = Literal["at hand", "prior"] | Path | Mapping[str, Path]


@dataclass(frozen=True)
class DrawRequest:
    """What draws are wanted.

    Parameters
    ----------
    n, seed : int
        How many of each structure, at most, and of the random numbers.
    of_fits : int
        How many of all structures together, at most, where fits have more of them than ``n`` of each.
    folder : Path
        Where what is computed for them is kept.
    known : tuple of Structure
        All structures that a table of weights beside the draws may name.
    """

    structures: tuple[Structure, ...]
    source: DrawSource
    n: int
    seed: int
    folder: Path
    engine: str
    known: tuple[Structure, ...] = ()
    of_fits: int = 0


@dataclass(frozen=True)
class Asked:
    """The question of a fit with its answer.

    Parameters
    ----------
    sentence : str
        The number that answers it, without a full stop.
    standing : Standing
        What the data say of that.
    outcome : Outcome or None
        What is asked of, read at ``time``; None for a constant and for an effect.
    """

    sentence: str
    standing: Standing
    outcome: Outcome | None = None
    time: float = math.nan


@dataclass(frozen=True)
class DrawSet:
    """Draws of each structure.

    Parameters
    ----------
    structures : tuple of Structure
        Those that have draws: one that the data refute is left out.
    draws : mapping of str to Draws
        By structure.
    prior : mapping of str to Draws
        What expectations are set against: draws that have seen no data, the same under each structure.
    notes : tuple of str
        Sentences: where they come from, and what a reader must know of them.
    unreliable : mapping of str to str
        By structure, where it is known: how many terms of the comparison behind the weights cannot be judged.
    misfit : str
        What the fitted model does not follow in the data, so that its intervals are too narrow; empty where nothing.
    study_digest : str
        Of the study that they were fitted to; empty for draws that have seen no data.
    question : Asked or None
        Of their fit.
    """

    structures: tuple[Structure, ...]
    draws: Mapping[str, Draws]
    prior: Mapping[str, Draws]
    notes: tuple[str, ...] = ()
    unreliable: Mapping[str, str] = field(default_factory=dict)
    misfit: str = ""
    study_digest: str = ""
    question: Asked | None = None


@dataclass(frozen=True)
class FittedDraws:
    """Joint draws of a study's constants after a fit.

    Parameters
    ----------
    basis : Basis
        What they are.
    columns : mapping of str to (n,)
        By the name of the constant.
    source : str
        Where they come from, and of which rows of the data where they are not of all.
    study_digest : str
        Of the study that they were fitted to; empty where the draws do not say.
    """

    basis: Basis
    columns: Mapping[str, Array]
    source: str
    study_digest: str = ""


class Study(Protocol):
    """A model with what is uncertain in it."""

    @property
    def name(self) -> str:
        """Short, as part of a folder's name."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def folder(self) -> Path:
        """Where its files are."""

    @property
    def argument(self) -> str:
        """What names it on a command line, after a blank; empty for the study that runs when none is named."""

    @property
    def model(self) -> Model:
        """What is run."""

    @property
    def scenario(self) -> Scenario:
        """What is held fixed, over the whole time of the model."""

    @property
    def parameters(self) -> tuple[Factor, ...]:
        """The uncertain constants, with their priors or ranges."""

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that it compares; empty for the model as it is."""

    @property
    def has_data(self) -> bool:
        """Whether there are data that draws may have seen."""

    @property
    def allowed(self) -> float:
        """The share of runs that may fail where nobody says another one."""

    def draws(self, request: DrawRequest, bars: Bars) -> DrawSet:
        """Draws of each structure, computed where they have to be.

        Raises
        ------
        InvalidValue, UnknownName, Problems
        """

    def fit_at_hand(self) -> FittedDraws | None:
        """Draws of the fit that has been made of this study; None where none was.

        Raises
        ------
        UnusableInput
            For a fit of something else, or one without draws.
        """

    def rows_of(self, digest: str) -> str:
        """In words, up to when the rows go that draws are of, by their fingerprint; empty for all rows of the data."""

    def contradictions(self, structure: Structure | None, draw_set: DrawSet | None, *, seed: int, engine: str) -> str:
        """In words, where the model has numbers that the data rule out; empty for nowhere.

        Parameters
        ----------
        structure : Structure or None
            None for the model as it is.
        draw_set : DrawSet or None
            With draws of the structure; they are set against the rows that they were fitted to. None for draws of the
            priors.
        """

    def moment(self, text: str) -> Moment:
        """The time that a date or a number is.

        Raises
        ------
        ValueError
            For anything else.
        """

    def question(self, about: str | None = None) -> Question:
        """What is asked about it where a command line says nothing else.

        Parameters
        ----------
        about : str, optional
            The question that comes first, as ``cipark calibrate`` takes one; empty for none. By default that of its
            fit, or its own.

        Raises
        ------
        InvalidValue, UnknownName, Problems
        """


@dataclass(frozen=True)
class PlainModel:
    """A model without data: its uncertain constants have ranges that somebody gave."""

    name: str
    folder: Path
    model: Model
    parameters: tuple[Factor, ...]
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    structures: tuple[Structure, ...] = ()
    argument: str = ""
    has_data: bool = False
    allowed: float = ALLOWED

    @property
    def title(self) -> str:
        """The model's name."""
        return self.model.name

    def draws(self, request: DrawRequest, bars: Bars) -> DrawSet:
        """A Latin hypercube over the ranges, the same for each structure."""
        if request.source not in ("at hand", "prior"):
            expected = "prior: a model without a study has no data, and its inputs are drawn from their ranges"
            raise InvalidValue("the draws", _source_text(request.source), expected, where="--draws")
        values = latin_hypercube(
            {override_key(parameter.name): parameter.quantile for parameter in self.parameters},
            request.n,
            np.random.default_rng(request.seed),
        )
        if not values:
            expected = "at least one, or a study with data: nothing is uncertain in a model without either"
            raise InvalidValue("[[uncertainty]]", "none", expected, where=str(self.folder))
        draws = {structure.id: Draws(structure.id, values, "ranges") for structure in request.structures}
        return DrawSet(request.structures, draws, draws)

    def fit_at_hand(self) -> None:
        """None: there is nothing to fit to."""

    def rows_of(self, digest: str) -> str:
        """Empty: there are no rows."""
        return ""

    def contradictions(self, structure: Structure | None, draw_set: DrawSet | None, *, seed: int, engine: str) -> str:
        """Empty: there are no data to contradict."""
        return ""

    def moment(self, text: str) -> Moment:
        """By the model's unit of time."""
        return moment_in(self.model.time.units, text)

    def question(self, about: str | None = None) -> Question:
        """The first stocks at the end of the run, each element of one with subscripts on its own."""
        names = stock_names(self.model)[:STOCKS]
        return Question(
            title=self.title,
            model=self.model,
            factors=Factors(self.parameters),
            outputs=tuple(Output(name, name) for name in names),
            moments=(Moment("at the end", self.model.time.final),),
            scenario=self.scenario,
        )


def stock_names(model: Model) -> list[str]:
    """The stocks of a model, each element of one with subscripts on its own."""
    return [label for stock in model.stocks for label in model.labels(stock)]


def _source_text(source: DrawSource) -> str:
    """A source as a command line names it."""
    match source:
        case str() | Path():
            return str(source)
        case _:
            return ", ".join(map(str, source.values()))


class StudyReader(Protocol):
    """A package's own study format."""

    #: The file that makes a folder a study, and the study that runs when none is named.
    FILE: str
    DEFAULT_STUDY: str

    def shipped_studies(self, file: str) -> Mapping[str, Path]:
        """The studies that come with the package and have a file of that name, by name."""

    def read(self, folder: Path, allow_files: Sequence[Path]) -> Study:
        """The study in a folder; its files may lie beneath ``allow_files`` as well.

        Raises
        ------
        InvalidValue, UnknownName, Problems
        """


def readers() -> tuple[StudyReader, ...]:
    """Those of all packages."""
    return tuple(load(entry) for entry in importlib.metadata.entry_points(group=STUDIES))


def find_folder(name: str | None, *, file: str, where: str) -> Path:
    """A folder as given, or the study of that name that comes with a package; the reader's default for None.

    Parameters
    ----------
    file : str
        What the folder has to hold; of a folder that is there and does not, its reader says what is missing.
    where : str
        The command, for the message.

    Raises
    ------
    UnknownName
        When there is neither, with the names there are.
    """
    for reader in readers():
        folder = _folder(reader, name or reader.DEFAULT_STUDY, file)
        if folder is not None:
            return folder
    if name is not None and Path(name).is_dir():
        return Path(name)
    if name is not None and Path(name).is_file():
        raise UnusableInput(_instead_of_study(Path(name), file), where=where)
    known = known_studies(name or "", file)
    # who writes half of a name means those that have it
    near = [study for study in known if name and name in study]
    instead = "" if near else f"name a folder with {file}, or a study that comes with the package"
    listing = MEANT if near else "known:"
    raise UnknownName(name or "", near or known, kind="study", where=where, listing=listing, instead=instead)


def _instead_of_study(path: Path, file: str) -> str:
    """What to do with a file where the folder of a study belongs."""
    if path.name == file:
        return f"{path} is a file of a study: name its folder, {path.parent}"
    if path.suffix.casefold() in (".csv", ".tsv", ".txt", ".xlsx"):
        return f"{path} is a table, and a study is needed: cipark new-study MODEL {path} makes one"
    return f"{path} is a model, and a study is needed: cipark new-study {path} DATA makes one"


def known_studies(name: str, file: str) -> list[str]:
    """The studies that may be meant: those of packages, and the folders beside the one that is named."""
    beside = sorted(str(path.parent) for path in Path(name).parent.glob(f"*/{file}"))
    return [*(name for reader in readers() for name in reader.shipped_studies(file)), *beside]


def _folder(reader: StudyReader, name: str, file: str) -> Path | None:
    return Path(name) if (Path(name) / file).is_file() else reader.shipped_studies(file).get(name)


def find_study(name: str | None, allow_files: Sequence[Path] = ()) -> Study:
    """The study in a folder, or the one of that name that comes with a package.

    Parameters
    ----------
    name : str or None
        None for the default of the first reader.
    allow_files : sequence of Path
        Folders beneath which its files may lie as well.

    Returns
    -------
    Study
        From whichever reader knows it.

    Raises
    ------
    UnknownName
        For a name that is nearly that of a study.
    InvalidValue
        When no reader knows it.
    Problems
        For all that is wrong in its files.
    """
    for reader in readers():
        folder = _folder(reader, name or reader.DEFAULT_STUDY, reader.FILE)
        if folder is not None:
            return reader.read(folder, allow_files)
    known = list(dict.fromkeys(known for reader in readers() for known in known_studies(name or "", reader.FILE)))
    kind = "model file, study's folder or study by name"
    if name and difflib.get_close_matches(name, known, n=1):
        raise UnknownName(name, known, kind=kind, where="sensitivity")
    expected = "a model file, a study's folder, or a study by name"
    raise InvalidValue("the study or model", name, expected, where="sensitivity")


def study_in(folder: Path, allow_files: Sequence[Path] = ()) -> Study | None:
    """The study in a folder.

    Parameters
    ----------
    allow_files : sequence of Path
        Folders beneath which its files may lie as well.

    Returns
    -------
    Study or None
        None where there is none.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    for reader in readers():
        if (folder / reader.FILE).is_file():
            return reader.read(folder, allow_files)
    return None
