"""A study of this package as analyses see it; the module is its :class:`cipark_sd.study.StudyReader`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from calibration.assess.rival_draws import as_variant
from calibration.assess.rivals import with_variant
from calibration.for_analyses.contradiction import contradictions
from calibration.for_analyses.draws import argument_of, find_draws
from calibration.for_analyses.fit_at_hand import after_fit
from calibration.for_analyses.question import read_question
from calibration.likelihood.posterior import On
from calibration.sampling.draws import problem_digest
from calibration.sampling.free_density import prior_draws
from calibration.study.library import DEFAULT_STUDY as DEFAULT_STUDY
from calibration.study.library import FILE as FILE
from calibration.study.library import shipped_studies as shipped_studies
from calibration.study.placeholders import is_placeholder
from calibration.study.priors import to_scale
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.console import Bars
from cipark_sd.experiments.definition import Structure
from cipark_sd.experiments.draws import Draws
from cipark_sd.failures import ALLOWED, ALLOWED_OF_PLACEHOLDERS
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, override_key
from cipark_sd.sensitivities.factors import Factor
from cipark_sd.sensitivities.question import Question
from cipark_sd.study import DrawRequest, DrawSet, FittedDraws

#: Prior draws whose middle is set against the data.
_PRIOR_DRAWS = 500


def read(folder: Path, allow_files: Sequence[Path] = ()) -> "CalibrationStudy":
    """The study in a folder; its files may lie beneath ``allow_files`` as well.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    return CalibrationStudy(read_problem(folder, allow_files=allow_files))


@dataclass(frozen=True)
class CalibrationStudy:
    """A model with data, priors and rival structures."""

    problem: CalibrationProblem
    has_data: bool = True

    @property
    def allowed(self) -> float:
        """Most of them where a prior is a placeholder: the ranges are nobody's."""
        return ALLOWED_OF_PLACEHOLDERS if any(map(is_placeholder, self.problem.space)) else ALLOWED

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.problem.folder.resolve().name

    @property
    def title(self) -> str:
        """For people."""
        return self.problem.title

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.problem.folder

    @property
    def argument(self) -> str:
        """A blank and the folder; empty for the study that runs when none is named."""
        return argument_of(self.problem)

    @property
    def model(self) -> Model:
        """What is fitted."""
        return self.problem.model

    @property
    def scenario(self) -> Scenario:
        """What the study holds fixed, over the whole time of the model rather than that of the data."""
        return Scenario("", {item.name: item.value for item in self.problem.fixed})

    @cached_property
    def parameters(self) -> tuple[Factor, ...]:
        """Those of the model, not of the noise."""
        return tuple(
            Factor(
                parameter.name, parameter.distribution.quantile, parameter.why, partial(to_scale, scale=parameter.scale)
            )
            for parameter in self.problem.space
            if parameter.target == "model"
        )

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The rivals that it refits."""
        return tuple(Structure(variant.name, variant.why, variant.scenario) for variant in self.problem.rivals)

    def digest(self, structure: Structure) -> str:
        """Of model, data, priors and settings."""
        if not structure.scenario.overrides:
            # the study as it stands, as a calibration has it
            return problem_digest(self.problem)
        return problem_digest(with_variant(self.problem, as_variant(structure)))

    def draws(self, request: DrawRequest, bars: Bars) -> DrawSet:
        """From the posterior at hand, best fits, files or the priors; fitted first where that is asked for."""
        return find_draws(self.problem, request, bars)

    def fit_at_hand(self) -> FittedDraws | None:
        """Of ``cipark calibrate``, in its usual place."""
        return after_fit(self.problem)

    def contradictions(self, structure: Structure | None, draws: Draws | None, *, seed: int, engine: str) -> str:
        """Where the middle of the draws has numbers that the noise of the data does not allow."""
        problem = self.problem if structure is None else with_variant(self.problem, as_variant(structure))
        density = On(engine)(problem)
        if draws is None:
            rng = np.random.default_rng(seed)
            theta = prior_draws(problem.space, _PRIOR_DRAWS, rng)
        else:
            rng = np.random.default_rng([seed, 3])
            theta = np.tile(problem.space.medians, (len(draws), 1))
            for position, parameter in enumerate(problem.space):
                theta[:, position] = draws.values.get(override_key(parameter.name), theta[:, position])
        return "; ".join(map(str, contradictions(density, theta, rng)))

    def question(self) -> Question:
        """What its ``sensitivity.toml`` asks."""
        return read_question(self.problem, self.parameters)
