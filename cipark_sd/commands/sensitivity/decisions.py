"""The policies of a study as claims and choices, for ``cipark sensitivity``."""

from pathlib import Path

from cipark_sd.experiments.catalogue import FILE, read_catalogue
from cipark_sd.experiments.definition import BASE, Catalogue, Outcome, Policy, Uncertainty
from cipark_sd.model.model import Model
from cipark_sd.sensitivities.decisions import Alternative, Choice, Claim, Decisions, Quantity
from cipark_sd.sensitivities.factors import Factor


def read_decisions(folder: Path, model: Model) -> Decisions:
    """What the study's ``policies.toml`` expects of its policies, and which of its strategies is best; none without it.

    Strategies are compared by the outcome of ``[robustness]`` and by the headline.

    Raises
    ------
    InvalidValue, Problems
    """
    path = folder / FILE
    return decisions_of(read_catalogue(path, model)) if path.is_file() else Decisions()


def decisions_of(catalogue: Catalogue) -> Decisions:
    """A catalogue as claims and choices."""
    outcomes = catalogue.outcome_by_id
    claims = tuple(
        Claim(
            policy.id,
            _quantity(outcomes[expected.outcome], expected.at),
            expected.how == "more",
            expected.than,
            expected.factor,
        )
        for policy in catalogue.policies
        for expected in policy.expected
    )
    strategies = catalogue.robustness.strategies if catalogue.robustness else tuple(s.id for s in catalogue.strategies)
    ranked = [(catalogue.robustness.outcome, catalogue.robustness.at)] if catalogue.robustness else []
    choices = tuple(
        Choice(_quantity(outcomes[outcome], at), outcomes[outcome].better == "more", strategies)
        for outcome, at in dict.fromkeys([*ranked, catalogue.headline])
        if len(strategies) > 1
    )
    named = [_alternative(policy) for policy in (*catalogue.policies, *catalogue.strategies)]
    return Decisions(
        tuple(named), claims, choices, tuple(_factor(uncertainty) for uncertainty in catalogue.uncertainties)
    )


def _quantity(outcome: Outcome, at: float) -> Quantity:
    return Quantity(outcome.title, outcome.variable, at, outcome.per, (outcome.low, outcome.high))


def _alternative(policy: Policy) -> Alternative:
    changed = policy.id != BASE and bool(policy.scenario.overrides)
    return Alternative(policy.id, policy.title, policy.scenario if changed else None)


def _factor(unknown: Uncertainty) -> Factor:
    return Factor(unknown.name, unknown.quantile, "no data inform it")
