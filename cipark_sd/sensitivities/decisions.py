"""Questions whose answer may rest on uncertain constants: does a claim hold, and which alternative is best?

They are asked by the policies of a study: what its ``policies.toml`` expects of them, and its strategies.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from cipark_sd.experiments.catalogue import FILE, read_catalogue
from cipark_sd.experiments.definition import Catalogue, Expected, Outcome, Policy, Uncertainty
from cipark_sd.model.model import Model
from cipark_sd.timegrid import when


@dataclass(frozen=True, slots=True)
class Claim:
    """What is expected of an outcome under a policy, which is named by its id."""

    policy: str
    outcome: Outcome
    expected: Expected
    time_units: str = ""

    def __str__(self) -> str:
        expected = self.expected
        times = "" if expected.factor == 1 else f"{expected.factor:g} times "
        at = when(expected.at, self.time_units)
        return f"{self.policy}: {self.outcome.title} {at} {expected.how} than {times}{expected.than}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of some policies, by their ids, has the most (or the least) of an outcome at a time."""

    outcome: Outcome
    at: float
    policies: tuple[str, ...]
    time_units: str = ""

    def __str__(self) -> str:
        most = "most" if self.outcome.better == "more" else "least"
        return f"{most} {self.outcome.title} {when(self.at, self.time_units)}"


@dataclass(frozen=True)
class Decisions:
    """What is asked.

    Parameters
    ----------
    policies : tuple of Policy
        Those that claims and choices name.
    uncertainties : tuple of Uncertainty
        Inputs that are uncertain for a decision only; one that a policy in question sets is left out.
    """

    policies: tuple[Policy, ...] = ()
    claims: tuple[Claim, ...] = ()
    choices: tuple[Choice, ...] = ()
    uncertainties: tuple[Uncertainty, ...] = ()


def read_decisions(folder: Path, model: Model) -> Decisions:
    """What the study's ``policies.toml`` expects of its policies, and which of its strategies is best; none without it.

    Outcomes that are equations of the file, and numbers that only these have, are no part of the model and left out.

    Raises
    ------
    InvalidValue, Problems
    """
    path = folder / FILE
    if not path.is_file():
        return Decisions()
    questions = decisions_of(read_catalogue(path, model))
    return replace(
        questions,
        claims=tuple(claim for claim in questions.claims if not claim.outcome.equation),
        choices=tuple(choice for choice in questions.choices if not choice.outcome.equation),
        uncertainties=tuple(number for number in questions.uncertainties if number.name in model),
    )


def decisions_of(catalogue: Catalogue) -> Decisions:
    """A catalogue as claims and choices: strategies by the outcome of ``[robustness]`` and by the headline."""
    outcomes, robustness = catalogue.outcome_by_id, catalogue.robustness
    claims = tuple(
        Claim(policy.id, outcomes[expected.outcome], expected, catalogue.time_units)
        for policy in catalogue.policies
        for expected in policy.expected
    )
    strategies = robustness.strategies if robustness else tuple(policy.id for policy in catalogue.strategies)
    ranked = [(robustness.outcome, robustness.at)] if robustness else []
    choices = tuple(
        Choice(outcomes[outcome], at, strategies, catalogue.time_units)
        for outcome, at in dict.fromkeys([*ranked, catalogue.headline])
        if len(strategies) > 1
    )
    return Decisions((*catalogue.policies, *catalogue.strategies), claims, choices, catalogue.uncertainties)
