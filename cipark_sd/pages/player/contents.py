"""What a page that plays a model is made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import override_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Model
from cipark_sd.statements.claims import Basis


@dataclass(frozen=True)
class Seen:
    """A number that was counted or measured at a time, exactly or between two ends; an infinite end is *at least*.

    ``date`` is the time as people write it.
    """

    time: float
    low: float
    high: float
    use: str = "fit"
    date: str = ""


@dataclass(frozen=True)
class Waiting:
    """How what happened is reported later: it waits, and is released at events and little by little.

    Parameters
    ----------
    events : tuple of float
        Times at which a ``share`` of what waits is released.
    share, rate : float or str
        A number or the name of a number in :attr:`PlayedStructure.beside`: between 0 and 1, and per unit of time.
    begin : float
        When nothing waits yet.
    """

    events: tuple[float, ...]
    share: float | str
    rate: float | str
    begin: float


@dataclass(frozen=True)
class Outcome:
    """A curve of the page: a variable, summed over its elements, or its ratio to another (``per``).

    Where counts come later than what they count, ``waiting`` says how, and the curve is of what was counted. After a
    fit it goes on from the ``last`` count, a time and its number: open is what comes on top. Five quantiles that a
    report has ``printed`` for a time take the place of the page's own, and those of the priors alone.
    """

    title: str
    variable: str
    per: str = ""
    observed: tuple[Seen, ...] = ()
    waiting: Waiting | None = None
    last: tuple[float, float] | None = None
    printed: tuple[tuple[float, tuple[float, ...]], ...] = ()
    printed_prior: tuple[tuple[float, tuple[float, ...]], ...] = ()


@dataclass(frozen=True)
class PlayedStructure:
    """One way in which the model is built, with draws of its constants.

    Parameters
    ----------
    scenario : Scenario
        What makes the structure, in numbers.
    draws : mapping of str to (n,)
        By the name of the constant; none for a model without a fit.
    estimate : mapping of str to float
        One value for each of them: the optimum of a fit, or the middle of the draws.
    basis : Basis, optional
        What the draws are.
    beside : mapping of str to (n + 1,)
        Numbers of the noise that a :class:`Waiting` names, the estimate last.
    prior, prior_beside : mappings of str to arrays
        The same of the priors, with what is named in ``draws`` and ``beside``; empty where nothing was fitted.
    every, every_beside, every_prior, every_prior_beside : mappings of str to arrays
        All draws of which ``draws`` and ``prior`` are some, for the numbers of the model as it was fitted.
    """

    title: str
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    draws: Mapping[str, Array] = field(default_factory=dict)
    estimate: Mapping[str, float] = field(default_factory=dict)
    basis: Basis | None = None
    beside: Mapping[str, Array] = field(default_factory=dict)
    prior: Mapping[str, Array] = field(default_factory=dict)
    prior_beside: Mapping[str, Array] = field(default_factory=dict)
    every: Mapping[str, Array] = field(default_factory=dict)
    every_beside: Mapping[str, Array] = field(default_factory=dict)
    every_prior: Mapping[str, Array] = field(default_factory=dict)
    every_prior_beside: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """A page.

    Parameters
    ----------
    target : str
        How a command names the model.
    scenario : Scenario
        What all runs share beside the file.
    structures : sequence of PlayedStructure
        The first is the one that is shown at first.
    outcomes : sequence of Outcome
        In the order of the tabs.
    at : float
        The time at which numbers are read at first.
    until : float
        The time up to which curves are shown at first.
    base : str
        What the dashed line is, such as ``as fitted``.
    limits : sequence of str
        What a reader must not overlook; the first of them is always in view.
    labels : sequence of str
        Of the saved times; empty for numbers of the model's unit.
    data_end : float
        The time of the last number that was counted; NaN without data.
    notice : str
        One line beneath the title: what to do for intervals, or that priors contradict the data.
    misfit : str
        What the model does not follow in the data, so that no number is informed by them; empty where nothing.
    classes : mapping of str to str
        What the fit's report says of a number, by its estimand; the page classes others itself.
    model_digest : str
        Of the model's files, where the page runs a model with constants of its own; empty for that of ``model``.
    """

    title: str
    model: Model
    target: str
    scenario: Scenario
    structures: Sequence[PlayedStructure]
    levers: Sequence[Lever]
    outcomes: Sequence[Outcome]
    at: float
    until: float
    base: str
    limits: Sequence[str]
    labels: Sequence[str] = ()
    data_end: float = math.nan
    notice: str = ""
    misfit: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    model_digest: str = ""

    @property
    def fitted(self) -> set[str]:
        """Constants that have draws or an estimate of their own; all others are as the model has them."""
        return {override_key(name) for structure in self.structures for name in (*structure.draws, *structure.estimate)}
