"""What further data would narrow, before anybody has them.

In normal scores the prior is 1 and linear numbers with normal noise give the posterior the inverse of 1 plus their
expected information, whatever is seen. It is taken at draws, and the widths are averaged over these: the expected
width after the data over that before. How widely the noise scatters counts as known.

Copies that have some constants in common tell of these what is left of each copy's information when its own constants
are not known (the Schur complement of these), once for each copy.

Source: Chaloner and Verdinelli 1995, Statistical Science 10, 273-304 (expected information in nonlinear models).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.inference.sample.densities import NormalScores
from calibration.likelihood.posterior import DensityOf
from calibration.likelihood.replicate import Stage, named_streams, stage_numbers
from calibration.power.local import information
from calibration.power.question import Design, with_designs
from calibration.power.simulated import Structured, makers
from cipark_sd.base.arrays import Array

#: The data that there are, as a row of the table.
PRESENT = "these data"


def expected_widths(of: Structured, designs: Sequence[Design], density_of: DensityOf, n: int) -> pd.DataFrame:
    """A row for the data that there are and for each design beside them, a column for each constant.

    Parameters
    ----------
    n : int
        Draws over which the widths are averaged.

    Returns
    -------
    DataFrame
        Expected standard deviation after the data over that of the prior, in normal scores. What moves no number has no
        column.
    """
    scores = NormalScores(density_of(of.problem))
    (rng,) = named_streams(stage_numbers(of.problem.method.seed, Stage.POWER), [f"value {of.name}"])
    points = makers(of, scores, n, rng)
    extended = NormalScores(density_of(with_designs(of.problem, designs)))
    names = scores.space.names
    shared = {design.name: np.isin(names, design.shared) for design in designs}
    widths = []
    for point in points:
        terms = information(extended, point)
        of_row = {PRESENT: terms[: len(of.problem.terms)].sum(axis=0)}
        first = len(of.problem.terms)
        for design in designs:
            last = first + len(design.observation.terms)
            of_row[design.name] = terms[first:last].sum(axis=0)
            first = last
        rows = [_width(of_row[PRESENT], 1, np.zeros(len(names), dtype=bool))]
        for design in designs:
            together = [of_row[name] for name in (PRESENT, *_with(design, designs))]
            rows.append(_width(np.sum(together, axis=0), design.copies, shared[design.name]))
        widths.append(rows)
    table = pd.DataFrame(np.mean(widths, axis=0), [PRESENT, *(design.name for design in designs)], list(names))
    return table.loc[:, scores.space.is_model & (table < 1 - 1e-9).any(axis=0).to_numpy()]


def _with(design: Design, designs: Sequence[Design]) -> list[str]:
    """A design and all that come with it, each once."""
    by_name = {entry.name: entry for entry in designs}
    names = [design.name]
    for name in names:
        names += [beside for beside in by_name[name].beside if beside not in names]
    return names


def _width(information_matrix: Array, copies: int, shared: NDArray[np.bool_]) -> Array:
    """Widths ``(k,)`` after information ``(k, k)`` from each of the copies."""
    precision = information_matrix + np.eye(len(information_matrix))
    widths = np.sqrt(np.linalg.inv(precision).diagonal())
    if copies > 1 and shared.any():
        apart = ~shared
        across = precision[np.ix_(shared, apart)]
        alone = information_matrix[np.ix_(shared, shared)] - across @ np.linalg.solve(
            precision[np.ix_(apart, apart)], across.T
        )
        widths[shared] = np.sqrt(np.linalg.inv(copies * alone + np.eye(int(shared.sum()))).diagonal())
    return np.asarray(widths)
