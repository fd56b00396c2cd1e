"""Headline records: a number that a command reports, with everything needed to set it beside another one.

Console, pages, the combined report and documents print records, so that a quantity has one value everywhere, or several
with the difference said beside them. Records of one estimand are compared by :func:`disagreements`; draws that must not
be read together are named by :func:`mixtures`.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from cipark_sd.basis import Basis
from cipark_sd.wording import beside, listed, number, percent, rounded, with_unit

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


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval; an end is None where nothing bounds that side.

    Parameters
    ----------
    low, high : float or None
    level : float
        Nominal coverage or mass, between 0 and 1.
    by : str
        How it was made: "profile likelihood", "central draws", "bootstrap".
    """

    low: float | None
    high: float | None
    level: float
    by: str

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"the level of an interval lies between 0 and 1, not at {self.level!r}")
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(
                f"the ends of an interval are finite and in order, or None, not {self.low!r}, {self.high!r}"
            )

    def ends(self) -> tuple[str, str]:
        """Both ends with two digits of the width and two of their own at least; "open" where nothing bounds."""
        width = self.high - self.low if self.low is not None and self.high is not None else math.inf
        low, high = (
            "open" if end is None else rounded(end, width) if math.isfinite(width) else number(end, digits=3)
            for end in (self.low, self.high)
        )
        return low, high

    def __str__(self) -> str:
        ends = "open on both sides" if self.low is None and self.high is None else " to ".join(self.ends())
        return f"{ends} ({percent(self.level)}, {self.by})"


@dataclass(frozen=True, slots=True)
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
    kind : Kind
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
    """

    estimand: str
    number: float
    unit: str
    kind: Kind
    interval: Bounds | None
    conditional_on: tuple[str, ...]
    basis: Basis | None
    command: str
    model_digest: str
    study_digest: str
    seed: int | None
    version: str
    title: str = ""
    date: str = ""

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
        return _TIME.sub(f" on {self.date}", self.estimand, count=1) if self.date else self.estimand

    @property
    def estimate(self) -> str:
        """The kind of estimate in words, such as "posterior median"."""
        if self.basis is None:
            return self.kind
        return {
            "prior": f"prior {self.kind}",
            "ranges": f"{self.kind} over ranges",
            "posterior": f"posterior {self.kind}",
            "laplace": f"Laplace {self.kind}",
            "borrowed": f"{self.kind} over another structure's posterior",
        }[self.basis.origin]

    @property
    def value(self) -> str:
        """Number and unit, with the digits that the interval carries where there is one."""
        bounds = self.interval
        return with_unit(
            number(self.number) if bounds is None else beside(self.number, bounds.low, bounds.high), self.unit
        )

    @property
    def conditions(self) -> str:
        """What stands beside the number: what it is conditional on, and the draws that it rests on."""
        assumptions = f"given {', '.join(self.conditional_on)}" if self.conditional_on else ""
        return "; ".join(filter(None, (assumptions, self.basis.label if self.basis is not None else "")))

    def __str__(self) -> str:
        bounds = "" if self.interval is None else f", {self.interval}"
        conditions = f"; {self.conditions}" if self.conditions else ""
        return f"{self.name}: {self.value} [{self.estimate}{bounds}{conditions}]"


def output(label: str, time: float, *, under: str = "", against: str = "") -> str:
    """The estimand of a model's output at a time with what ``under`` sets, or of its change from ``against``.

    :func:`cipark_sd.estimands.of_output` spells both for a model.

    >>> output("Total Residents", 2019.5), output("Total Residents", 2019.5, against="SW CMG = 0")
    ('Total Residents at 2019.5', 'Total Residents at 2019.5, change from SW CMG = 0')
    """
    settings = (f", with {under}" if under else "", f", change from {against}" if against else "")
    return f"{label} at {time:.10g}{''.join(settings)}"


def date_in(estimand: str, label: Callable[[float], str]) -> str:
    """The date of an estimand's time by ``label``; empty where there is no time or no date.

    >>> date_in("Total Residents at 2019.5, with a = 1", lambda time: "2019-07-02"), date_in("x at 8", str)
    ('2019-07-02', '')
    """
    match = _TIME.search(estimand)
    text = label(float(match[1])) if match else ""
    return text if "-" in text[1:] and "e-" not in text else ""


def parameter(name: str) -> str:
    """The estimand of a parameter.

    >>> parameter("rate")
    'parameter rate'
    """
    return f"parameter {name}"


def sentences(records: Sequence[Headline]) -> tuple[str, ...]:
    """Headline numbers in words; what all of them are given stands once, after them."""
    conditions = [record.conditions for record in records]
    if len(records) > 1 and len(set(conditions)) == 1 and conditions[0]:
        return (*map(in_words, records), f"All of these {conditions[0]}.")
    return tuple(
        f"{in_words(record)}; {text}" if text else in_words(record)
        for record, text in zip(records, conditions, strict=True)
    )


def in_words(record: Headline) -> str:
    """A headline number with its interval."""
    text = f"{record.title or record.dated.removeprefix('parameter ')}: {record.value}"
    bounds = record.interval
    if bounds is None:
        text += ", with no range computed for it"
    elif bounds.low is None and bounds.high is None:
        text += f", bounded on neither side by the data (at {percent(bounds.level)})"
    elif bounds.low is None or bounds.high is None:
        low, high = bounds.ends()
        side = f"at most {high}" if bounds.low is None else f"at least {low}"
        text += f", {side} ({percent(bounds.level)}); the data leave the other side open"
    else:
        text += f", between {' and '.join(bounds.ends())} ({percent(bounds.level)})"
    return text


#: Columns under which every page and console prints records.
HEAD = ("quantity", "number", "interval", "kind of estimate", "conditional on", "from")


def cells(record: Headline) -> tuple[str, ...]:
    """A record as the cells of a row under :data:`HEAD`."""
    bounds = "" if record.interval is None else str(record.interval)
    seed = "" if record.seed is None else f", seed {record.seed}"
    return (record.name, record.value, bounds, record.estimate, record.conditions, f"{record.command}{seed}")


#: Fields that may explain why two records of one estimand have different numbers, in the order in which they are told.
_REASONS = {
    "model_digest": "the model",
    "study_digest": "the study (data, priors or scenario)",
    "unit": "the unit",
    "kind": "the kind of estimate",
    "basis": "the draws",
    "conditional_on": "what the number is conditional on",
    "seed": "the seed",
    "version": "the version of the program",
}
assert set(_REASONS) <= {field.name for field in fields(Headline)}


def disagreements(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """A sentence for each estimand of which two folders have different numbers, with what else differs between them.

    Parameters
    ----------
    folders : sequence of name and records
    """
    sentences = []
    by_estimand: dict[str, list[tuple[str, Headline]]] = {}
    for folder, records in folders:
        for record in records:
            by_estimand.setdefault(record.estimand, []).append((folder, record))
    for estimand, pairs in by_estimand.items():
        for group in _differing(pairs):
            # with more digits than an interval carries: in fewer they may be equal
            numbers = "; ".join(
                f"{with_unit(number(record.number), record.unit)} in {folder} ({_conditions(record)})"
                for folder, record in group
            )
            sentences.append(f"{estimand} has several numbers: {numbers}. {_why([record for _, record in group])}")
    return sentences


def _differing(records: Sequence[tuple[str, Headline]]) -> list[list[tuple[str, Headline]]]:
    """Records of one estimand that folders disagree on.

    Estimates of one kind are set beside each other; those of different kinds only where no kind is in all folders.
    """
    kinds: dict[str, list[tuple[str, Headline]]] = {}
    for folder, record in records:
        kinds.setdefault(record.estimate, []).append((folder, record))
    folders = {folder for folder, _ in records}
    groups = [group for group in kinds.values() if len({folder for folder, _ in group}) > 1]
    if not any({folder for folder, _ in group} == folders for group in groups):
        groups = [list(records)] if len(folders) > 1 else []
    return [group for group in groups if len({record.number for _, record in group}) > 1]


def _conditions(record: Headline) -> str:
    return f"{record.estimate}{'; ' if record.conditions else ''}{record.conditions}"


def _why(records: Sequence[Headline]) -> str:
    reasons = [
        words for name, words in _REASONS.items() if len({_shown(getattr(record, name)) for record in records}) > 1
    ]
    if not reasons:
        return (
            "Nothing else that the records hold differs between them, so that one folder is of another state of the "
            "program: run its command again."
        )
    return f"They differ in {listed(reasons)}."


def _shown(value: object) -> str:
    """A text by which values of a field are told apart: an unknown quality of draws is equal to none in itself."""
    return value.label if isinstance(value, Basis) else repr(value)


def mixtures(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """Warnings where folders that are read together rest on different models, studies or kinds of draws."""
    warnings = []
    for words, of in (
        ("models", lambda record: record.model_digest[:12]),
        ("studies (data, priors or scenario)", lambda record: record.study_digest[:12]),
        ("kinds of draws", lambda record: "" if record.basis is None else record.basis.name),
    ):
        where: dict[str, list[str]] = {}
        for folder, records in folders:
            for value in dict.fromkeys(filter(None, map(of, records))):
                where.setdefault(value, []).append(folder)
        if len(where) > 1:
            parts = "; ".join(f"{value} in {listed(names)}" for value, names in where.items())
            warnings.append(f"Numbers here rest on different {words}: {parts}. They are no results of one analysis.")
    return warnings
