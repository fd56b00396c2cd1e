"""Headline records: a number that a command reports, with everything needed to set it beside another one.

Console, pages, the combined report and documents print records, so that a quantity has one value everywhere, or several
with the difference said beside them (:mod:`cipark_sd.commands.report`).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Required, TypedDict

from cipark_sd.base.wording import (
    NO_END,
    absent,
    beside,
    between,
    in_sentence,
    is_counted,
    is_date,
    listed,
    number,
    percent,
    rounded,
    with_unit,
)
from cipark_sd.statements.claims import SURE, Basis
from cipark_sd.statements.claims import Kind as Class
from cipark_sd.statements.standing import Scale, Standing, are_near, left, standing_of

#: States of a side of which nothing is known of the data.
_UNJUDGED = {"not found", "none", "not judged"}
#: Before what a change is measured from, in an estimand.
_CHANGE = ", change from "
#: Where :func:`output` has put the time.
_TIME = re.compile(r" at (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)(?=$|,)")

#: What a number is of the distribution or the function that it summarises. ``run`` is the value of one run; an
#: ``optimum`` is ``MAP`` with the priors and ``ML`` without; an ``index`` is a share of a variance. ``log evidence`` is
#: the log of the mean likelihood over the prior, ``log score`` the log density of what was observed; ``maximum`` and
#: ``count`` are of what the estimand names.
Kind = Literal[
    "MAP optimum", "ML optimum", "mean", "median", "probability", "share", "index", "run", "log evidence", "log score",
    "maximum", "count",
]  # fmt: skip


#: An interval without both ends, by what is known of its sides.
_WITHOUT = {
    "open": "unbounded",
    "not found": "ends not computed",
    "none": "not computed for a step function",
    "not judged": "not computed, the time step is too coarse",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval; an end is None where there is none, and ``states`` say why.

    Parameters
    ----------
    level : float
        Nominal coverage or mass, between 0 and 1.
    by : str
        How it was made: "profile likelihood", "central draws", "bootstrap".
    states : (str, str)
        What is known of a side without an end: a key of :data:`cipark_sd.base.wording.NO_END`; "bounded" where it has
        one, or "closed" where that holds with ``bounds``.
    gaps : tuple of (float, float)
        Stretches within that do not belong to it, where it is around several optima.
    error : float or None
        The standard error of the number, or how finely a step is resolved.
    bounds : tuple of str
        What a closed end is given: other parameters on bounds of their searches, such as "Delay at least 1", or held.
    widest : (float, float), optional
        Both ends of draws, moved apart by their Monte Carlo errors.
    """

    low: float | None
    high: float | None
    level: float
    by: str
    states: tuple[str, str] = ("open", "open")
    gaps: tuple[tuple[float, float], ...] = ()
    error: float | None = None
    bounds: tuple[str, ...] = ()
    widest: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"the level of an interval lies between 0 and 1, not at {self.level!r}")
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(
                f"the ends of an interval are finite and in order, or None, not {self.low!r}, {self.high!r}"
            )
        sides = zip((self.low, self.high), self.states, strict=True)
        known = tuple(state if end is None or state == "closed" else "bounded" for end, state in sides)
        object.__setattr__(self, "states", known)

    def given_also(self, text: str) -> "Bounds":
        """The same with ends that hold with something more, without which both may lie elsewhere."""
        below, above = ("closed" if state == "bounded" else state for state in self.states)
        return replace(self, states=(below, above), bounds=(*self.bounds, text))

    def ends(self) -> tuple[str, str]:
        """Both ends with two digits of the width and two of their own at least; in words where there is none."""
        below, above = self.states
        return (
            NO_END[below] if self.low is None else self._shown(self.low),
            NO_END[above] if self.high is None else self._shown(self.high),
        )

    def _shown(self, end: float) -> str:
        width = self.high - self.low if self.low is not None and self.high is not None else math.inf
        return rounded(end, width) if math.isfinite(width) else number(end, digits=3)

    @property
    def stretches(self) -> str:
        """Both ends, and those of the gaps between them."""
        low, high = self.ends()
        ends = [low, *(self._shown(end) for gap in self.gaps for end in gap), high]
        return " or ".join(map(" to ".join, zip(ends[::2], ends[1::2], strict=True)))

    def __str__(self) -> str:
        text = self.stretches if self.gaps else between(*self.ends(), self.low is not None, self.high is not None)
        if self.states == ("none", "none"):
            return f"{text}: the likelihood is a step function of it"
        error = ""
        if "not found" in self.missing and self.error is not None:
            error = f"; standard error {number(self.error, digits=2)}"
        return f"{text}{self.conditions} ({percent(self.level)}, {self.by}{error})"

    @property
    def conditions(self) -> str:
        """What its ends are given, after a comma; empty where they are given nothing."""
        return f", with {listed(self.bounds)}" if self.bounds else ""

    @property
    def brief(self) -> str:
        """The level and both ends, or what is known of a side without one.

        >>> Bounds(40.2, 76.6, 0.9, "central draws").brief, Bounds(1.5, None, 0.95, "profile likelihood").brief
        ('90%: 40 to 77', '95%: at least 1.5')
        """
        missing, level = self.missing, f"{100 * self.level:.6g}%"
        if len(missing) == 2:
            return f"{level}: {_WITHOUT[missing[0]]}" if len(set(missing)) == 1 else f"{level}: {absent(*self.ends())}"
        if not missing:
            return f"{level}: {self.stretches}{self.conditions}"
        low, high = self.ends()
        side = f"at most {high}" if self.low is None else f"at least {low}"
        return f"{level}: {side}{self.conditions}"

    @property
    def missing(self) -> tuple[str, ...]:
        """The states of the sides without an end."""
        return tuple(state for state, end in zip(self.states, (self.low, self.high), strict=True) if end is None)

    @property
    def is_given(self) -> bool:
        """Whether an end holds with something more than the data, so that it makes nothing known."""
        return "closed" in self.states

    @property
    def unjudged(self) -> bool:
        """Whether a side was not found, or not judged, which says nothing of the data."""
        return not _UNJUDGED.isdisjoint(self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One number of a command.

    Parameters
    ----------
    estimand : str
        What the number is of, such as "Total Residents at 2019.5": records with the same text are of the same quantity.
        :func:`output` and :func:`parameter` spell it.
    number : float
        Finite.
    unit : str
        Empty where there is none.
    interval : Bounds or None
        None where none was computed.
    conditional_on : tuple of str
        A structure, constants that are held, a scenario. Draws stand in ``basis``.
    basis : Basis or None
        The draws that the number summarises; None where it rests on none.
    command : str
        Such as "cipark calibrate".
    model_digest, study_digest : str
        Of the model's files; of the scenario, the fitted observations and the priors. The second is empty where no
        data stand behind the number.
    seed : int or None
        None where no random number is in it.
    version : str
        Of this package.
    title : str
        What the study calls the estimand, where it has a name of its own for it.
    date : str
        The time in the estimand where that is a date: people read it in place of the number.
    prior : Bounds or None
        The interval of the same estimand under the priors alone, where it was computed.
    reported : str
        What was reported of the estimand, as people read it; empty where nothing was.
    doubt : str
        Why the interval is not to be trusted, such as residuals that are no noise; empty where no test says so.
    judged : Class or None
        Its class by :func:`cipark_sd.statements.claims.class_of`; None where no draws are at hand and the
        intervals have to do.
    scale : Scale
        On which the interval is set beside that of the priors: of a parameter its own, on which it was searched.
    at_start : bool
        Of a parameter, whether it is the initial value of the stock by whose name it goes.
    """

    estimand: str
    number: float
    unit: str
    kind: Kind
    interval: Bounds | None = None
    conditional_on: tuple[str, ...] = ()
    basis: Basis | None = None
    command: str
    model_digest: str
    study_digest: str
    seed: int | None
    version: str
    title: str = ""
    date: str = ""
    prior: Bounds | None = None
    reported: str = ""
    doubt: str = ""
    judged: Class | None = None
    scale: Scale = "identity"
    at_start: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.number):
            raise ValueError(f"a headline has a finite number, not {self.number!r} ({self.estimand})")

    @property
    def name(self) -> str:
        """The study's name of the estimand, with the estimand itself."""
        return self.dated if self.estimand.startswith(self.title) else f"{self.title} ({self.dated})"

    @property
    def dated(self) -> str:
        """The estimand, its time as people write it."""
        text = f"{self.estimand}{' at the start' * self.at_start}"
        return _TIME.sub(f" on {self.date}", text, count=1) if self.date else text

    @property
    def called(self) -> str:
        """What people call it: its title, else what it is of."""
        return self.title or self.dated.removeprefix(parameter(""))

    @property
    def estimate(self) -> str:
        """The kind of estimate in words, such as "posterior median"."""
        if self.basis is None:
            return self.kind
        if self.basis.alone:
            return "best fit"
        return {
            "prior": f"prior {self.kind}",
            "ranges": f"{self.kind} over ranges",
            "posterior": f"posterior {self.kind}",
            "borrowed": f"{self.kind} over another structure's posterior",
        }[self.basis.origin]

    @property
    def value(self) -> str:
        """Number and unit, with the digits that the interval carries where there is one."""
        bounds = self.interval
        return with_unit(
            number(self.number) if bounds is None else beside(self.number, bounds.low, bounds.high, bounds.error),
            self.unit,
        )

    @property
    def conditions(self) -> str:
        """What stands beside the number: what it is conditional on, and the draws that it rests on."""
        return _conditions_in_words(self.conditional_on, self.basis)

    @property
    def bounds(self) -> str:
        """The interval, and the priors' own beside it; empty where none was computed."""
        if self.interval is None:
            return ""
        return f"{self.interval}{_prior_in_words(self)}"

    @property
    def width_left(self) -> float:
        """Of the interval under the priors alone what the data leave; all of it where either is not known."""
        if self.interval is None or self.prior is None:
            return 1.0
        return left((self.interval.low, self.interval.high), (self.prior.low, self.prior.high), self.scale)

    @property
    def has_assumed_sign(self) -> bool:
        """Whether it is a change to which the priors alone give its sign."""
        if self.judged is not None or self.prior is None or not self.is_change:
            return self.judged == "built in"
        low, high = self.prior.low, self.prior.high
        return (low is not None and low > 0 and self.number > 0) or (high is not None and high < 0 and self.number < 0)

    @property
    def is_change(self) -> bool:
        """Whether it is the difference of two scenarios, and not the probability of one."""
        return _CHANGE in self.estimand and self.kind != "probability"

    @property
    def standing(self) -> Standing:
        """What the data say of it; empty where it has no interval, its priors have none, or it is one number in all."""
        if self.interval is None or self.prior is None:
            return ""
        ends, prior = (self.interval.low, self.interval.high), (self.prior.low, self.prior.high)
        if ends == prior and ends[0] == ends[1]:
            return ""
        standing = standing_of(
            ends,
            prior,
            self.scale,
            narrowed={"informed": True, "undecided": False}.get(self.judged or ""),
            ends_found=not self.interval.unjudged,
            sign_assumed=self.has_assumed_sign,
            doubted=bool(self.doubt),
        )
        # near the limit a number would be known by one seed and not by the next; an end that another constant gives
        # lies elsewhere without it
        sure = not self.interval.is_given and are_near(self.interval.widest or ends, prior, self.scale)
        low, high = ends
        if self.kind == "probability" and low is not None and high is not None:
            # of an event one knows whether it is true, and not how likely it is
            sure = not self.interval.is_given and (low >= SURE or high <= 1 - SURE)
            standing = "known" if sure and standing == "narrowed" else standing
        return "narrowed" if standing == "known" and not sure else standing

    @property
    def brief(self) -> str:
        """Number, unit and interval as a sentence has them: a change of one sign as so much more or less."""
        bounds, size, way = self.interval, self.number, ""
        if bounds is None:
            return self.value
        low, high = bounds.low, bounds.high
        if low is None or high is None or bounds.gaps:
            return f"{self.value} ({bounds.brief})"
        if self.is_change and not low <= 0 <= high:
            low, high = sorted((abs(low), abs(high)))
            size, way = abs(size), " more" if size > 0 else " fewer" if is_counted(self.unit) else " less"
        shown, *ends = (in_sentence(value, high - low, self.unit) for value in (size, low, high))
        level = f"{100 * bounds.level:.6g}%"
        return f"{with_unit(shown, self.unit)}{way} ({level}: {ends[0]} to {ends[1]}{bounds.conditions})"

    def __str__(self) -> str:
        bounds = f", {self.bounds}" if self.bounds else ""
        conditions = f"; {self.conditions}" if self.conditions else ""
        return f"{self.name}: {self.value} [{self.estimate}{bounds}{conditions}]"


def output(label: str, time: float, *, under: str = "", against: str = "") -> str:
    """The estimand of a model's output at a time.

    :func:`cipark_sd.data.estimands.of_output` spells it for a model.

    >>> output("Total Residents", 2019.5), output("Total Residents", 2019.5, against="SW CMG = 0")
    ('Total Residents at 2019.5', 'Total Residents at 2019.5, change from SW CMG = 0')

    Parameters
    ----------
    label : the output, or a sum of some
    time : in the model's unit of time
    under : what is set beside the scenario of the study or model; empty where nothing is
    against : the same of the run from which the change is measured; empty where the estimand is no change

    Returns
    -------
    str
        Records with the same text are of the same quantity.
    """
    text = f"{label} at {time:.10g}" + (f", with {under}" if under else "")
    return f"{text}{_CHANGE}{against}" if against else text


class Details(TypedDict, total=False):
    """What a record says of its number beside what it is of: fields of :class:`Headline`."""

    unit: Required[str]
    kind: Required[Kind]
    interval: Bounds | None
    conditional_on: tuple[str, ...]
    basis: Basis | None
    title: str
    prior: Bounds | None
    reported: str
    doubt: str
    judged: Class | None
    scale: Scale
    at_start: bool


def date_in(estimand: str, label: Callable[[float], str]) -> str:
    """The date of an estimand's time; empty where there is no time or no date.

    >>> date_in("Total Residents at 2019.5, with a = 1", lambda time: "2019-07-02"), date_in("x at 8", str)
    ('2019-07-02', '')

    Parameters
    ----------
    estimand : as of :func:`output`
    label : writes a model time, as an ISO date where it is one
    """
    match = _TIME.search(estimand)
    text = label(float(match[1])) if match else ""
    return text if is_date(text) else ""


def parameter(name: str) -> str:
    """The estimand of a parameter.

    >>> parameter("rate")
    'parameter rate'
    """
    return f"parameter {name}"


def sentences(records: Sequence[Headline]) -> tuple[str, ...]:
    """Headline numbers in words; what all of them are given stands once, after them."""
    if len(records) < 2:
        return tuple(map(_with_conditions, records))
    common, owns = in_common(records)
    basis = records[0].basis if len({text_of(record.basis) for record in records}) == 1 else None
    if basis is not None:
        owns = [replace(record, basis=None) for record in owns]
    shared = _conditions_in_words(common, basis)
    return (*map(_with_conditions, owns), *([f"All of these {shared}."] if shared else []))


def _with_conditions(record: Headline) -> str:
    return f"{in_words(record)}; {record.conditions}" if record.conditions else in_words(record)


def in_common(records: Sequence[Headline]) -> tuple[tuple[str, ...], list[Headline]]:
    """What all records are conditional on, and the records with the rest."""
    common = tuple(
        text for text in records[0].conditional_on if all(text in record.conditional_on for record in records)
    )
    return common, [
        replace(record, conditional_on=tuple(text for text in record.conditional_on if text not in common))
        for record in records
    ]


def given_in_words(conditional_on: Sequence[str]) -> str:
    """Conditions after "given", the elements of one variable together; empty where there are none."""
    return f"given {', '.join(_by_variable(conditional_on))}" if conditional_on else ""


def _conditions_in_words(conditional_on: Sequence[str], basis: Basis | None) -> str:
    return "; ".join(filter(None, (given_in_words(conditional_on), basis.label if basis is not None else "")))


#: A constant of several elements with its value.
_ELEMENT = re.compile(r"([^\[\]=]+)\[([^\]]+)\] = (.+)")


def _by_variable(conditions: Sequence[str]) -> list[str]:
    """Conditions with the elements of one variable together.

    >>> _by_variable(["Size[a] = 1", "rate = 2", "Size[b] = 3", "Cost[a] = 4"])
    ['Size = 1 (a), 3 (b)', 'rate = 2', 'Cost[a] = 4']
    """
    parts: dict[str, list[tuple[str, str, str]]] = {}
    for text in conditions:
        match = _ELEMENT.fullmatch(text)
        key = match[1] if match else text
        parts.setdefault(key, []).append((text, match[2], match[3]) if match else (text, "", ""))
    return [
        members[0][0] if len(members) == 1 else f"{key} = {', '.join(f'{v} ({e})' for _, e, v in members)}"
        for key, members in parts.items()
    ]


def in_words(record: Headline) -> str:
    """A headline number with its interval, what was reported of it, and what the priors alone say."""
    name = record.called
    if record.reported:
        text = f"{name}: {record.reported} reported; the model says {record.value}"
    elif record.has_assumed_sign:
        text = f"{name}: no finding; the model says {record.value}"
    else:
        text = f"{name}: {record.value}"
    return f"{text}{_interval_in_words(record.interval)}{_prior_in_words(record)}"


def _prior_in_words(record: Headline) -> str:
    """What the priors alone say, and whether the data narrow it or give it its sign."""
    prior = record.prior
    if prior is None:
        return ""
    unmoved = "the data do not narrow it"
    caution = {"assumed": "its sign is assumed" if record.has_assumed_sign else unmoved, "not narrowed": unmoved}
    text = f"; the priors alone say {' to '.join(prior.ends())}"
    return f"{text}: {caution[record.standing]}" if record.standing in caution else text


def _interval_in_words(bounds: Bounds | None) -> str:
    if bounds is None:
        return ", with no range computed for it"
    level, missing = percent(bounds.level), bounds.missing
    if missing == ("open", "open"):
        return f", unbounded (at {level})"
    if missing == ("none", "none"):
        return "; the likelihood is a step function of it, which has no profile"
    if missing == ("not judged", "not judged"):
        return ", with no range: the time step is too coarse"
    if len(missing) == 2:
        return f", with no end of its range ({absent(*bounds.ends())}, at {level})"
    if missing:
        low, high = bounds.ends()
        side = f"at most {high}" if bounds.low is None else f"at least {low}"
        return f", {side} ({level}){bounds.conditions}; {_OTHER_SIDE[missing[0]]}"
    if bounds.gaps:
        return f", {bounds.stretches} ({level}){bounds.conditions}, around optima that are equally good"
    return f", between {' and '.join(bounds.ends())} ({level}){bounds.conditions}"


#: What is said of the side without an end where the other one has one.
_OTHER_SIDE = {
    "open": "the data leave the other side open",
    "not found": "the other end was not found",
}


#: Columns under which every page and console prints records.
HEAD = ("quantity", "number", "interval", "kind of estimate", "conditional on", "from")


def cells(record: Headline) -> tuple[str, ...]:
    """A record as the cells of a row under :data:`HEAD`."""
    value = f"{record.value} ({record.reported} reported)" if record.reported else record.value
    seed = "" if record.seed is None else f", seed {record.seed}"
    return (record.name, value, record.bounds, record.estimate, record.conditions, f"{record.command}{seed}")


def text_of(value: object) -> str:
    """A text by which values of a field are told apart: an unknown quality of draws is equal to none in itself."""
    return value.label if isinstance(value, Basis) else repr(value)
