"""What strategies cost, and how all of them come to cost the same: else the dearest wins by its money alone."""

from collections.abc import Sequence
from dataclasses import replace

from cipark_sd.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.experiments.definition import Lever, Policy
from cipark_sd.scenarios import Scenario, override_key


def lever_value(lever: Lever, scenario: Scenario) -> float:
    """The value of a lever in a scenario: its base where the scenario leaves it alone."""
    for name in lever.names:
        value = scenario.overrides.get(override_key(name))
        if isinstance(value, float):
            return value
    return lever.base


def lever_cost(lever: Lever, value: float) -> float:
    """What a value of a lever costs: its distance from what is free, times the price of one unit."""
    return lever.cost * abs(value - lever.free)


def base_cost(levers: Sequence[Lever]) -> float:
    """What all levers together cost at their base."""
    return sum(lever_cost(lever, lever.base) for lever in levers)


def policy_cost(policy: Policy, levers: Sequence[Lever]) -> float:
    """What a policy costs: its levers, and what it says beside."""
    return policy.cost + sum(lever_cost(lever, lever_value(lever, policy.scenario)) for lever in levers)


def balanced(policies: Sequence[Policy], levers: Sequence[Lever], balance: str, budget: float) -> tuple[Policy, ...]:
    """The policies with one lever moved so that each costs the budget.

    Parameters
    ----------
    balance : str
        Id of the lever that takes what the others leave, or gives what they lack.

    Raises
    ------
    Problems
        For each policy that sets that lever itself, or with which it would have to leave its range.
    """
    (lever,) = (candidate for candidate in levers if candidate.id == balance)
    where = "[robustness], balance"
    if lever.cost <= 0:
        raise InvalidValue("the lever", balance, "one that has a cost", where=where)
    problems: list[CiparkError] = []
    priced = []
    for policy in policies:
        if any(override_key(name) in policy.scenario.overrides for name in lever.names):
            expected = f"settings that leave {balance!r} alone: it takes what they leave of the budget"
            problems.append(InvalidValue("set", policy.id, expected, where=where))
            continue
        spent = policy_cost(policy, levers) - lever_cost(lever, lever.base)
        # above what is free where the range allows it: money that is there is spent
        distance = (budget - spent) / lever.cost
        value = lever.free + distance if lever.high > lever.free else lever.free - distance
        if distance < 0 or not lever.low <= value <= lever.high:
            expected = (
                f"between {lever.low:g} and {lever.high:g}, so that {policy.id!r} costs {budget:g} like all others"
            )
            problems.append(InvalidValue(balance, f"{value:.6g}", expected, where=where))
            continue
        money = Scenario("", dict.fromkeys(lever.names, value))
        priced.append(replace(policy, scenario=(policy.scenario | money).renamed(policy.scenario.name)))
    raise_all(where, problems)
    return tuple(priced)
