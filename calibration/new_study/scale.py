"""Whether a column counts in thousands, millions or hundredths of what the model counts."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.new_study.series import Series
from cipark_sd.arrays import Array
from cipark_sd.errors import CiparkError
from cipark_sd.model.units import is_dimensionless

#: How far the middle number may be from a power of a thousand times the model's, and the middle half of them, in powers
#: of ten: constants ten times off bend a course, and do not shift all of it by a thousand.
NEAR, HALF_NEAR = 0.6, 1.2
_WORDS = {-6: "a millionth of", -3: "a thousandth of", 2: "100 times", 3: "1000 times", 6: "a million times"}
_PERCENT = re.compile(r"%|\b(per ?cent|pct|prozent)\b", re.IGNORECASE)
_FRACTIONS = ("fraction", "share", "proportion")


def check_scales(
    density: Posterior, series: Sequence[Series], chosen: Mapping[str, float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Compare each series with a run of the file's own values.

    Returns
    -------
    factors : dict of str to float
        0.01 for each column of percent whose variable is a fraction and that ``chosen`` does not name.
    notes : tuple of str
        What was done, and which columns in ``chosen`` are off once their factor is in.

    Raises
    ------
    CiparkError
        Where a series that ``chosen`` does not name is about a hundred times, or a power of a thousand, away.
    """
    expected = iter(density.by_term(density.space.medians[None, :]))
    factors, notes, lines = dict[str, float](), list[str](), list[str]()
    for part, observation in zip(series, density.problem.observations, strict=True):
        pairs = [(term.lower, float(next(expected)[0, 0])) for term in observation.terms]  # type: ignore[union-attr]
        observed, run = np.array(pairs).T
        column, names = part.match.column, " + ".join(part.match.names)
        if column not in chosen and _is_percent(part, observed, run):
            factors[column] = 0.01
            notes.append(
                f"{column} is in percent and {names} a fraction: its numbers are multiplied by 0.01 "
                f'(--scale "{column}=1" if that is wrong)'
            )
            continue
        fraction = _is_fraction(part) and bool(np.all((run >= 0) & (run <= 1)))
        power = 2 * is_hundredfold(observed, run) if fraction else power_of_thousand(observed, run)
        off = (
            f"{column}: the values are about {_WORDS.get(power)} those of {names} in a run of the file's own constants"
        )
        if power and column not in chosen:
            why = "are percent" if power == 2 else "count in other units"
            lines.append(
                f'{off}; write --scale "{column}={10.0**-power:g}" if they {why}, or --scale "{column}=1" if not'
            )
        elif power and chosen[column] != 1.0:
            notes.append(f"{off}, after --scale {chosen[column]:g}")
    if lines:
        raise CiparkError("new-study: " + "\n  ".join(lines))
    return factors, tuple(notes)


def _is_fraction(part: Series) -> bool:
    units = part.match.variable.units
    return is_dimensionless(units) or units.strip().casefold() in _FRACTIONS


def _is_percent(part: Series, observed: Array, run: Array) -> bool:
    """Whether a header says percent, the variable has no unit, and its run is nearer to fractions than to percent."""
    if not _PERCENT.search(part.match.column) or not _is_fraction(part):
        return False
    powers = _powers(observed, run)
    return float(np.median(powers)) > 1 if len(powers) else bool(part.match.variable.units.strip())


def _powers(observed: Array, expected: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(observed / expected)
    return np.asarray(powers[np.isfinite(powers)])


def is_hundredfold(observed: Array, expected: Array) -> bool:
    """Whether numbers ``(n,)`` lie about a hundred times above fractions, as percent do.

    >>> is_hundredfold(np.array([40.0, 50.0]), np.array([0.3, 0.6]))
    True
    """
    powers = _powers(observed, expected)
    return len(powers) > 1 and abs(float(np.median(powers)) - 2) <= NEAR and bool(observed.max() > 1)


def power_of_thousand(observed: Array, expected: Array) -> int:
    """The power of ten, -6, -3, 3 or 6, by which numbers ``(n,)`` lie from the expected ones; else 0.

    >>> power_of_thousand(np.array([0.4, 0.5]), np.array([300.0, 450.0]))
    -3
    >>> power_of_thousand(np.array([40.0, 500.0]), np.array([400.0, 450.0]))
    0
    """
    powers = _powers(observed, expected)
    if len(powers) < 2:
        return 0
    low, middle, high = np.quantile(powers, [0.25, 0.5, 0.75]).tolist()
    nearest = 3 * round(middle / 3)
    near = abs(middle - nearest) <= NEAR and max(high - nearest, nearest - low) <= HALF_NEAR
    return nearest if nearest in _WORDS and near else 0
