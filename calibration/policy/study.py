"""What ``cipark policy`` starts from: a catalogue of policies with the study or the model that it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.study.library import STUDIES, shipped_studies
from calibration.study.parameters import ParameterSpace
from calibration.study.problem import FILE as STUDY_FILE
from calibration.study.problem import CalibrationProblem, read_problem
from calibration.study.sections import Method
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.experiments.catalogue import model_named_in, read_catalogue
from cipark_sd.experiments.definition import Catalogue, Rival
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.futures import sample_ranges
from cipark_sd.frontends.model_file import read_model
from cipark_sd.inputs import beneath
from cipark_sd.library import bundled
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario

FILE = "policies.toml"


@dataclass(frozen=True)
class PolicyStudy:
    """A catalogue, and where its parameters come from.

    ``problem`` is the study beside the catalogue or the one that it names; for a catalogue that names only a model it
    has neither data nor parameters.
    """

    folder: Path
    catalogue: Catalogue
    problem: CalibrationProblem

    @property
    def fitted(self) -> bool:
        """Whether there is a study behind it, with priors and data."""
        return len(self.problem.space) > 0

    @property
    def rivals(self) -> tuple[Rival, ...]:
        """The rivals of the catalogue, or where it has none of its own those that the study refits."""
        if self.catalogue.own_rivals or not self.problem.rivals:
            return self.catalogue.rivals
        return tuple(Rival(variant.name, variant.why, variant.scenario) for variant in self.problem.rivals)

    def draws_from_ranges(self, rivals: tuple[Rival, ...], n: int, seed: int) -> dict[str, Draws]:
        """``n`` draws of the uncertain inputs, the same for each rival.

        Raises
        ------
        InvalidValue
            When the catalogue declares no uncertain input.
        """
        values = sample_ranges(self.catalogue.uncertainties, n, np.random.default_rng(seed))
        if not values:
            expected = f"at least one, or a study with parameters: nothing is uncertain in a model without {STUDY_FILE}"
            raise InvalidValue("[[uncertainty]]", "none", expected, where=str(self.folder / FILE))
        return {rival.id: Draws(rival.id, values, "ranges") for rival in rivals}


def read_policy_study(folder: Path, *, allow_files: Sequence[Path] = ()) -> PolicyStudy:
    """The catalogue in a folder with its study or its model.

    Raises
    ------
    InvalidValue, Problems, ModelFileError, EquationError
        For what is wrong in one of the files, all of a file together.
    """
    path = folder / FILE
    named = model_named_in(path)
    if "study" in named:
        near = folder / named["study"]
        if near.is_dir():
            near = beneath(folder, named["study"], allow_files, where=str(path))
        elif named["study"] in shipped_studies():
            near = STUDIES / named["study"]
        else:
            kind = f"folder with {STUDY_FILE} beneath {folder} and no bundled study"
            raise UnknownName(named["study"], shipped_studies(), kind=kind, where=str(path))
        problem = read_problem(near, allow_files=allow_files)
    elif named:
        file = (
            bundled(named["bundled"])
            if "bundled" in named
            else beneath(folder, named["file"], allow_files, where=str(path))
        )
        model = read_model(file, allow_files=allow_files)
        problem = _without_data(model, folder)
    elif (folder / STUDY_FILE).is_file():
        problem = read_problem(folder, allow_files=allow_files)
    else:
        expected = f"a model: {STUDY_FILE} beside the file, or [model] in it with file, bundled or study"
        raise InvalidValue("[model]", None, expected, where=str(path))
    return PolicyStudy(folder, read_catalogue(path, problem.model), problem)


def _without_data(model: Model, folder: Path) -> CalibrationProblem:
    return CalibrationProblem(model.name, folder, model, Scenario(), (), ParameterSpace(()), (), Method())
