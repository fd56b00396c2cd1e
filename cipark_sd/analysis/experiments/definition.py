"""What a catalogue of policy experiments is made of; decisions that are still open among it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cipark_sd.base.arrays import Array
from cipark_sd.base.timegrid import time_label
from cipark_sd.base.wording import is_date
from cipark_sd.data.readings import Maximum, Metric, Minimum, TimeOfMaximum
from cipark_sd.data.scenarios import Scenario


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


#: The policy that changes nothing.
BASE = "base"
#: The structure of a catalogue without rivals.
ONLY = "model"
#: The mixture over rivals by their weights, in the column ``rival`` of a table.
WEIGHTED = "weighted"
#: Which way an outcome goes: the better one, or the one that is expected of a policy.
Way = Literal["more", "less"]


#: What an outcome may read of a course. When a threshold is passed is none: a run that never does has no effect.
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (Maximum(), Minimum(), TimeOfMaximum())}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A quantity that policies are compared by.

    Parameters
    ----------
    variable : str
        Of the model; ``Name[element]`` for one element, a whole subscripted variable is summed over its elements.
    per : str
        Another variable that it is divided by, or empty.
    better : {"more", "less"}
        Which direction is the good one.
    low, high : float
        What is possible. A run outside is a fault of its time step, and is run again with a finer one.
    equation : str
        In place of a variable of the model: ``variable`` is then the name that it gets.
    units : str
        Of an equation.
    total : bool
        Whether the equation is a rate that adds up from the date of the decisions on.
    side : str
        Whose gain it is; empty for nobody's.
    metric : str
        What is read of its course from the start of the run on, by its name in :data:`METRICS`; empty for its value.
    """

    id: str
    title: str
    variable: str
    per: str = ""
    better: Way = "more"
    low: float = -math.inf
    high: float = math.inf
    equation: str = ""
    units: str = ""
    total: bool = False
    side: str = ""
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """An expectation: ``outcome`` at ``at`` is more or less than ``factor`` times what it is under ``than``."""

    outcome: str
    at: float
    how: Way
    than: str = BASE
    factor: float = 1.0

    def __str__(self) -> str:
        times = "" if self.factor == 1 else f"{self.factor:g} x "
        return f"{self.outcome} at {self.at:g} {self.how} than {times}{self.than}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that are tried, and what is expected of them.

    ``equations`` are constants, or elements of them, with equations of constants as each draw has them under the base.
    """

    id: str
    title: str
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    expected: tuple[Expected, ...] = ()
    source: str = ""
    equations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """Another structure of the model that may be true as well."""

    id: str
    title: str
    scenario: Scenario = Scenario()  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class Factor:
    """A mechanism that an attribution switches: ``off`` are the settings without it, ``on`` those with it, the base's
    own where there are none.
    """

    id: str
    title: str
    off: Scenario
    on: Scenario = Scenario()  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """An input that no data inform: any value between ``low`` and ``high`` is taken to be as good.

    One with ``units`` may be a number that only the catalogue's own equations have. Without a ``source`` the range is
    assumed.
    """

    id: str
    title: str
    name: str
    low: float
    high: float
    whole: bool = False
    units: str = ""
    source: str = ""

    def quantile(self, shares: Array) -> Array:
        """Shares between 0 and 1 as values, elementwise."""
        if not self.whole:
            return np.asarray(self.low + shares * (self.high - self.low))
        steps = self.high - self.low + 1
        return np.asarray(self.low + np.minimum(np.floor(shares * steps), steps - 1))


#: Positions of a lever, about.
POSITIONS = 200


@dataclass(frozen=True, slots=True)
class Lever:
    """A number that the reader of a page moves.

    Parameters
    ----------
    title : str
        In plain words.
    names : tuple of str
        The constants that take the value: ``Name`` or ``Name[element]``, a whole subscripted one for all its elements.
    low, high : float
        Within which it is moved.
    about : str
        What it does in the world; empty for what the model's file says of its constants.
    guessed : bool
        Whether the range is a guess.
    id : str
        In the file of policies.
    base : float, optional
        The value that stands for doing nothing, where the file says so. A page opens with the model's own.
    """

    title: str
    names: tuple[str, ...]
    low: float
    high: float
    about: str = ""
    guessed: bool = False
    id: str = ""
    base: float | None = None

    @property
    def step(self) -> float:
        """A round number that goes some :data:`POSITIONS` times into the range.

        >>> Lever("Entry", ("x",), 2012.8, 2018.0).step
        0.05
        """
        rough = (self.high - self.low) / POSITIONS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
        return float(f"{step:.12g}")


@dataclass(frozen=True, slots=True)
class KnockoutGroup:
    """Policies that take something away, by id, and the time at which what is left is looked at."""

    title: str
    at: float
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knockouts:
    """What is taken away, and how small a change of the outcome, as a share of the base, is none."""

    outcome: str
    near: float
    groups: tuple[KnockoutGroup, ...]


@dataclass(frozen=True)
class Catalogue:
    """A file of policy experiments, checked against a model.

    Parameters
    ----------
    note : str
        What a reader of the results must know first.
    money : str
        The unit of costs and budgets.
    beside : tuple of str
        Outcomes that are shown in full after the headline's.
    settings : Scenario
        Settings of the place, under all policies and rivals.
    own_rivals : bool
        Whether the file has rivals of its own.
    time_units : str
        Of the model.
    dates : tuple of (float, str)
        Times of the file, as its study writes them.
    """

    title: str
    digest: str
    outcomes: tuple[Outcome, ...]
    times: tuple[float, ...]
    headline: tuple[str, float]
    policies: tuple[Policy, ...]
    rivals: tuple[Structure, ...]
    factors: tuple[Factor, ...] = ()
    variants: tuple[Policy, ...] = ()
    uncertainties: tuple[Uncertainty, ...] = ()
    levers: tuple[Lever, ...] = ()
    knockouts: Knockouts | None = None
    decisions: Decisions | None = None
    own_rivals: bool = True
    note: str = ""
    money: str = ""
    beside: tuple[str, ...] = ()
    settings: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    time_units: str = ""
    dates: tuple[tuple[float, str], ...] = ()

    def date(self, time: float) -> str:
        """A time as people write it."""
        return dict(self.dates).get(time) or time_label(time, self.time_units)

    def when(self, time: float) -> str:
        """A time in a sentence: ``on 2019-11-25``, ``at 8``."""
        label = self.date(time)
        return f"{'on' if is_date(label) else 'at'} {label}"

    def read_at(self, outcome: str, time: float) -> str:
        """An outcome and when it is read, in a sentence: ``Firms on 2019-11-25``, ``Peak of ill until 8``."""
        of = self.outcome_by_id[outcome]
        return f"{of.title} {f'until {self.date(time)}' if of.metric or of.total else self.when(time)}"

    @property
    def changes(self) -> tuple[Policy, ...]:
        """The policies that are compared with the base, which is the first."""
        return self.policies[1:]

    @property
    def outcome_by_id(self) -> Mapping[str, Outcome]:
        """Outcomes by their ids."""
        return {outcome.id: outcome for outcome in self.outcomes}

    @property
    def policy_by_id(self) -> Mapping[str, Policy]:
        """Policies by their ids."""
        return {policy.id: policy for policy in self.policies}
