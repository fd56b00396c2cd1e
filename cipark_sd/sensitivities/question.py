"""What a sensitivity analysis asks: which constants are uncertain, which outputs are looked at, and when."""

from dataclasses import dataclass

from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.evaluation import Output
from cipark_sd.sensitivities.factors import Factors
from cipark_sd.sensitivities.ranking import Moment


@dataclass(frozen=True)
class Question:
    """What is uncertain and what is asked.

    Parameters
    ----------
    every : float, optional
        Time between the instants at which indices are computed; without it each saved time.
    """

    title: str
    model: Model
    factors: Factors
    outputs: tuple[Output, ...]
    moments: tuple[Moment, ...]
    scenario: Scenario
    every: float | None = None
