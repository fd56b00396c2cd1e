"""Two ways to sort the same things: true categories, and the categories in which an authority reports them.

A coding is a matrix: each row belongs to a true category and holds the probabilities with which one of its members is
reported in each of the reported categories. A row is given as numbers, or as a Dirichlet prior from which it is
estimated. A Dirichlet row is a broken stick: the first part of the stick is beta distributed, the next one is a beta
distributed share of what is left, and so on, so that each is a parameter of its own between 0 and 1 and a row always
adds up to 1.

Source of the stick: Connor and Mosimann 1969, JASA 64(325), 194-206, section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.noise.priors import Beta
from calibration.study.parameters import AIMS, Aim, Parameter
from cipark_sd.base.arrays import Array
from cipark_sd.base.section import Section, is_number


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """The prior of a row; an exponent of 0 is a category that is never reported."""

    exponents: tuple[float, ...]
    use: Aim = "CAL"

    @property
    def order(self) -> tuple[int, ...]:
        """Possible categories, the likeliest first: the stick is broken in this order."""
        possible = [i for i, exponent in enumerate(self.exponents) if exponent > 0]
        return tuple(sorted(possible, key=lambda i: -self.exponents[i]))

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each category."""
        return tuple(exponent / sum(self.exponents) for exponent in self.exponents)


Row = tuple[float, ...] | Dirichlet


@dataclass(frozen=True, slots=True)
class Coding:
    """A matrix from ``true`` to ``reported`` categories, a row for each true one."""

    name: str
    true: tuple[str, ...]
    reported: tuple[str, ...]
    rows: tuple[Row, ...]
    why: str = ""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the rows that are estimated, in the order of rows and sticks."""
        return tuple(p for label, row in zip(self.true, self.rows, strict=True) for p in self._sticks(label, row))

    def _sticks(self, label: str, row: Row) -> list[Parameter]:
        if not isinstance(row, Dirichlet):
            return []
        parameters = []
        for position, i in enumerate(row.order[:-1]):
            left = sum(row.exponents[j] for j in row.order[position + 1 :])
            name = f"{self.name}: {label} as {self.reported[i]}" + (", of the rest" if position else "")
            prior = Beta(row.exponents[i], left)
            parameters.append(Parameter(name, prior, 0.0, 1.0, "logit", "noise", use=row.use, why=self.why))
        return parameters

    def matrix(self, theta: Array, names: Sequence[str]) -> Array:
        """``(n, n_true, n_reported)`` for parameters ``theta : (n, k)`` of those names.

        A row whose parameters are not among the names has its prior mean.
        """
        result = np.zeros((len(theta), len(self.true), len(self.reported)))
        for into, label, row in zip(result.transpose(1, 0, 2), self.true, self.rows, strict=True):
            if not isinstance(row, Dirichlet):
                into[:] = row
                continue
            sticks = self._sticks(label, row)
            if any(stick.name not in names for stick in sticks):
                into[:] = row.mean
                continue
            left = np.ones(len(theta))
            for stick, i in zip(sticks, row.order, strict=False):
                part = theta[:, names.index(stick.name)]
                into[:, i] = left * part
                left = left * (1 - part)
            into[:, row.order[-1]] = left
        return result

    def matrix_slopes(self, theta: Array, names: Sequence[str]) -> dict[str, Array]:
        """Derivatives of :meth:`matrix` by the parameters of its rows, by their names."""
        slopes: dict[str, Array] = {}
        whole = self.matrix(theta, names)
        for place, (label, row) in enumerate(zip(self.true, self.rows, strict=True)):
            sticks = self._sticks(label, row)
            if not isinstance(row, Dirichlet) or any(stick.name not in names for stick in sticks):
                continue
            left = np.ones(len(theta))
            for position, (stick, i) in enumerate(zip(sticks, row.order, strict=False)):
                share = theta[:, names.index(stick.name)]
                moved = np.zeros_like(whole)
                moved[:, place, i] = left
                for later in row.order[position + 1 :]:
                    with np.errstate(divide="ignore", invalid="ignore"):
                        moved[:, place, later] = -whole[:, place, later] / (1 - share)
                slopes[stick.name] = moved
                left = left * (1 - share)
        return slopes


def coding_section(section: Section) -> Coding:
    """A ``[[coding]]``."""
    reported, true = section.names("reported"), section.table("true", "true")
    if len(set(reported)) < 2 or len(set(reported)) < len(reported):
        section.wrong("reported", "two categories at least, each once, in which things are reported")
    if not true.content:
        section.wrong("true", "a row of probabilities for each true category")
    rows = tuple(_row(true, label, len(reported)) for label in true.content)
    return Coding(section.title, tuple(true.content), reported, rows, section.text("why", ""))


def _row(section: Section, label: str, n: int) -> Row:
    value = section.raw(label)
    expected = f"{n} probabilities that add up to 1, or a prior such as {{ dirichlet = [8, 1, 1] }} of {n} exponents"
    if isinstance(value, Mapping):
        inner = section.table(label, label)
        exponents, use = _numbers(inner.raw("dirichlet"), n), inner.choice("use", AIMS, "CAL")
        inner.note_unread()
        if exponents is not None and min(exponents) >= 0 and max(exponents) > 0:
            return Dirichlet(exponents, use)
    else:
        row = _numbers(value, n)
        if row is not None and min(row) >= 0 and abs(sum(row) - 1) < 1e-9:
            return row
    section.wrong(label, expected)
    return (1.0,) * n


def _numbers(value: object, n: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != n:
        return None
    numbers = [float(x) for x in value if is_number(x)]
    return tuple(numbers) if len(numbers) == n and n else None
