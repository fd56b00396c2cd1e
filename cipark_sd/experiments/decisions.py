"""Decisions that are still open: levers that are set from a date on, or by a rule, at a cost and within a budget."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Levers that are set from a date on, or once a condition is first true after it, and stay set.

    Parameters
    ----------
    settings : tuple of (str, str)
        Constants, or elements of them, and the equations of the values that they take.
    date : float
        From which on, in the time of the model.
    when : str
        The condition, an equation; empty for none.
    """

    settings: tuple[tuple[str, str], ...]
    date: float
    when: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """An alternative to doing nothing. Where rules set the same lever, the later one in the file wins.

    Parameters
    ----------
    note : str
        What it is, in a few words.
    cost : str
        What it costs once, an equation of constants; empty for nothing.
    spend : str
        What it costs for each unit of time while it is in force; empty for nothing.
    budget : str
        What it may cost in all; at its end the levers go back. Empty for no limit.
    source : str
        Where the costs come from; empty where they are assumed.
    event : bool
        Whether it happens and is not chosen.
    under : str
        The id of an event that has happened: what is compared is then that event alone. Empty for doing nothing.
    """

    id: str
    title: str
    rules: tuple[Rule, ...]
    note: str = ""
    cost: str = ""
    spend: str = ""
    budget: str = ""
    source: str = ""
    event: bool = False
    under: str = ""

    @property
    def priced(self) -> bool:
        """Whether it costs anything."""
        return bool(self.cost or self.spend)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What is compared with doing nothing.

    Parameters
    ----------
    date : float
        Before which all alternatives are the same.
    outcome : str
        The id of the outcome by which alternatives are chosen.
    at : float
        When outcomes are read.
    margin : float
        The share by which an outcome has to improve to count.
    alternatives : tuple of Decision
    beside : tuple of str
        Ids of outcomes that the first screen shows beside it.
    """

    date: float
    outcome: str
    at: float
    margin: float
    alternatives: tuple[Decision, ...]
    beside: tuple[str, ...] = ()

    @property
    def options(self) -> Sequence[Decision]:
        """What can be chosen before anything has happened."""
        return [decision for decision in self.alternatives if not (decision.event or decision.under)]
