"""Where the uncertain constants of a study come from: other packages read their own folders.

This package knows no study format. A package that has one registers a reader under :data:`GROUP`; it is asked with what
the user typed and answers with the study, or with None when it is not one of its own.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cipark_sd.arrays import Array
from cipark_sd.basis import Basis
from cipark_sd.errors import InvalidValue
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivity.decisions import Decisions
from cipark_sd.sensitivity.factors import Factors
from cipark_sd.sensitivity.ranking import Moment
from cipark_sd.sensitivity.response import Output

#: The entry-point group of study readers.
GROUP = "cipark_sd.studies"


@dataclass(frozen=True)
class FittedDraws:
    """Joint draws of a study's constants after a fit.

    Parameters
    ----------
    basis : Basis
        What they are.
    columns : mapping of str to (n,)
        By the name of the constant.
    effective : float
        How many independent draws they are worth.
    source : str
        Where they come from.
    """

    basis: Basis
    columns: Mapping[str, Array]
    effective: float
    source: str


@dataclass(frozen=True)
class Study:
    """What is uncertain and what is asked.

    Parameters
    ----------
    every : float, optional
        Time between the instants at which indices are computed; without it each saved time.
    name : str
        Short, as part of a folder's name.
    decisions : Decisions
        Claims and choices that are examined as well; none where a study has none.
    origin : {"prior", "ranges"}
        Whether the factors are priors of a study or ranges that a user gave for a bare model.
    after_fit : function, optional
        Draws of a fit of this very study that is at hand, or None; given a folder for what it computes, and a seed.
    against_data : function, optional
        In words, where the model with its priors has numbers that the data rule out; empty where it has none.
    """

    title: str
    model: Model
    factors: Factors
    outputs: tuple[Output, ...]
    moments: tuple[Moment, ...]
    scenario: Scenario
    every: float | None = None
    drains: tuple[tuple[str, str], ...] = ()
    name: str = "model"
    decisions: Decisions = field(default_factory=Decisions)
    origin: Literal["prior", "ranges"] = "prior"
    after_fit: Callable[[Path, int], FittedDraws | None] | None = None
    against_data: Callable[[], str] | None = None


#: Reads what the user named, or the reader's default for None; None when that is not a study of its kind. The paths are
#: folders in which its files may lie beside its own.
StudyReader = Callable[[str | None, Sequence[Path]], Study | None]


def find_study(target: str | None, allow_files: Sequence[Path] = ()) -> Study:
    """The study of that name or folder, from whichever reader knows it.

    Raises
    ------
    InvalidValue
        When no reader does.
    """
    for entry in importlib.metadata.entry_points(group=GROUP):
        reader: StudyReader = entry.load()
        study = reader(target, allow_files)
        if study is not None:
            return study
    raise InvalidValue(
        "the study or model", target, "a model file, a study's folder, or a study by name", where="sensitivity"
    )
