"""Designs of any length: row *i* follows from the seed and *i* alone, so that no more is held than is computed."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cipark_sd.analysis.experiments.draws import read_file
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform, around, check_factors
from cipark_sd.analysis.sensitivities.response import BLOCK, Points, blocks
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import digest
from cipark_sd.base.errors import InvalidValue, raise_all
from cipark_sd.base.inputs import MEGABYTE, number_in, read_text
from cipark_sd.base.naming import base_name
from cipark_sd.model.model import Model

KINDS: tuple[Points, ...] = ("sobol", "random")
#: Runs of a design: Sobol's sequence has 2^30 points as scipy makes it.
MOST_RUNS: Mapping[Points, int] = {"sobol": 2**30, "random": 10**12}
#: Of a design that stands in a file, which is held as a whole.
TABLE_LIMIT = 256 * MEGABYTE


@dataclass(frozen=True)
class Drawn:
    """Points of the unit cube as values of constants.

    Parameters
    ----------
    kind : {"sobol", "random"}
    n : int
        Rows; more of them continue the same design.

    Raises
    ------
    InvalidValue
        For more runs than the design has.
    """

    kind: Points
    n: int
    factors: Factors
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST_RUNS[self.kind]:
            expected = f"1 to {MOST_RUNS[self.kind]:,}, the most of the design {self.kind!r}"
            raise InvalidValue("the number of runs", self.n, expected, where="--runs")

    @property
    def names(self) -> tuple[str, ...]:
        """The constants, in order."""
        return self.factors.names

    @property
    def identity(self) -> str:
        """A digest of kind, seed, length and of each distribution at a few places."""
        places = np.linspace(0.05, 0.95, 7)[:, None] * np.ones(len(self.factors))
        return digest(self.kind, self.n, self.seed, self.names, self.factors.from_unit(places))

    @property
    def sentence(self) -> str:
        """What it is."""
        words = {"sobol": "a scrambled Sobol sequence", "random": "independent draws"}
        return f"{words[self.kind]} of {len(self.names)} constants, seed {self.seed}"

    def rows(self, first: int, last: int) -> Array:
        """The values of some runs, ``(last - first, n_constants)``."""
        return self.factors.from_unit(self._points(first, last))

    def _points(self, first: int, last: int) -> Array:
        k = len(self.names)
        # whole blocks, whichever rows are asked for
        start, stop = first - first % BLOCK, last + -last % BLOCK
        points = np.concatenate([piece for _, piece in blocks(k, start, stop, self.seed, self.kind)])
        return points[first - start : last - start]


@dataclass(frozen=True, eq=False)
class Listed:
    """Values that stand in a file."""

    names: tuple[str, ...]
    values: Array
    source: str = ""

    @property
    def n(self) -> int:
        """How many runs."""
        return len(self.values)

    @property
    def identity(self) -> str:
        """A digest of all values."""
        return digest(self.names, self.values)

    @property
    def sentence(self) -> str:
        """What it is."""
        return f"{self.n:,} rows of {len(self.names)} constants in {self.source}"

    def rows(self, first: int, last: int) -> Array:
        """The values of some runs, ``(last - first, n_constants)``."""
        return self.values[first:last]


#: Values of constants by run: ``rows(first, last)`` gives those of some runs.
Design = Drawn | Listed


def read_design(path: Path) -> Listed:
    """A design in a CSV file: names in its first row, one run in each of the others.

    Raises
    ------
    InvalidValue
        All that is wrong with the first bad row, with its line.
    """
    where = str(path)
    try:
        text = read_text(path, TABLE_LIMIT, encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InvalidValue("its content", str(problem), "text in UTF-8", where=where) from None
    except OSError as problem:
        expected = "a CSV file that can be read"
        raise InvalidValue("the design", problem.strerror or str(problem), expected, where=where) from None
    lines = csv.reader(io.StringIO(text))
    try:
        head = [name.strip() for name in next(lines, [])]
        if not any(head) or not all(head):
            raise InvalidValue("its first row", ",".join(head), "the name of a constant in each column", where=where)
        values = np.fromiter(_numbers(lines, head, where), dtype=np.dtype((float, (len(head),))))
    except csv.Error as problem:
        raise InvalidValue(f"line {lines.line_num}", str(problem), "CSV", where=where) from None
    if not len(values):
        raise InvalidValue("the number of rows", 0, "at least one below the names", where=where)
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise InvalidValue("a column", twice, "each name once", where=where)
    return Listed(tuple(head), np.asarray(values, dtype=float), path.name)


def _of_draws(path: Path, model: Model) -> Listed:
    """The draws of a fit; numbers of its noise, which no run takes, are left out."""
    drawn = {name: x for name, x in read_file(path).columns.items() if base_name(model.key(name)) in model.by_name}
    if not drawn:
        raise InvalidValue("the draws", "of no variable", f"some of a variable of {model.name}", where=str(path))
    return Listed(tuple(drawn), np.stack(list(drawn.values()), axis=1), path.name)


def design_of(
    model: Model,
    design: str,
    *,
    runs: int,
    seed: int,
    share: float | None,
    vary: Sequence[tuple[str, float, float]],
    held: Sequence[str] = (),
) -> Design:
    """What varies in an ensemble.

    Parameters
    ----------
    design : str
        ``"sobol"``, ``"random"``, a CSV file, or a fit's draws in NetCDF.
    runs, seed : int
        Of a design that is drawn.
    share : float or None
        All constants vary by this share of their values.
    vary : sequence of (str, float, float)
        Constants and the ends between which they vary.
    held : sequence of str
        Constants, by override key, that somebody has set: they do not vary by the share.

    Raises
    ------
    CiparkError
    """
    if design not in KINDS:
        path = Path(design)
        return _of_draws(path, model) if path.suffix.lower() == ".nc" else read_design(path)
    expected = "two finite numbers, the lower first"
    problems = [
        InvalidValue(f"the range of {name!r}", f"{low:g}:{high:g}", expected, where="--vary")
        for name, low, high in vary
        if not low < high
    ]
    raise_all("--vary", problems)
    constants = [Factor(name, Uniform(low, high), f"{low:g} to {high:g}") for name, low, high in vary]
    if share is not None:
        named = {base_name(model.key(name)) for name, _, _ in vary}
        constants += around(model, share, without=(*named, *held)).constants
    factors = Factors(tuple(constants))
    check_factors(factors, where=model.name)
    return Drawn(design, runs, factors, seed)


def _numbers(lines: Iterator[list[str]], head: list[str], where: str) -> Iterator[tuple[float, ...]]:
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(head):
            raise InvalidValue(f"row {number}", f"{len(cells)} cells", f"{len(head)}, as the names", where=where)
        for name, cell in zip(head, cells, strict=True):
            if not math.isfinite(number_in(cell)):
                raise InvalidValue(f"{name!r} in row {number}", cell, "a finite number", where=where)
        yield tuple(map(float, cells))
