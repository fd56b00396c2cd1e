"""Where the uncertain constants of a study come from: other packages read their own folders.

This package knows no study format. A package that has one registers a reader under :data:`GROUP`; it is asked with what
the user typed and answers with the study, or with None when it is not one of its own.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
    drawn : Path, optional
        Posterior draws of this study that a calibration has left in its usual place.
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
    drawn: Path | None = None


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
