"""Whether a column counts in thousands or millions of what the model counts."""

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.new_study.series import Series
from cipark_sd.arrays import Array
from cipark_sd.errors import CiparkError

#: How far the middle number may be from a power of a thousand times the model's, and the middle half of them, in powers
#: of ten: constants ten times off bend a course, and do not shift all of it by a thousand.
NEAR, HALF_NEAR = 0.6, 1.2
_WORDS = {-6: "a millionth", -3: "a thousandth", 3: "a thousand times", 6: "a million times"}


def check_scales(density: Posterior, series: Sequence[Series], chosen: Mapping[str, float]) -> None:
    """Compare each series with a run of the file's own values; those in ``chosen`` are left alone.

    Raises
    ------
    CiparkError
        Where a series is about a power of a thousand away.
    """
    expected = iter(density.by_term(density.space.medians[None, :]))
    lines = []
    for part, observation in zip(series, density.problem.observations, strict=True):
        pairs = [(term.lower, float(next(expected)[0, 0])) for term in observation.terms]  # type: ignore[union-attr]
        power = power_of_thousand(*np.array(pairs).T)
        column = part.match.column
        if power and column not in chosen:
            names = " + ".join(part.match.names)
            lines.append(
                f"{column} is about {_WORDS[power]} of {names} in a run of the file's own values: write "
                f'--scale "{column}={10.0**-power:g}" if it counts in other units, or --scale "{column}=1" if not'
            )
    if lines:
        raise CiparkError("new-study: " + "\n  ".join(lines))


def power_of_thousand(observed: Array, expected: Array) -> int:
    """The power of ten, -6, -3, 3 or 6, by which numbers ``(n,)`` lie from the expected ones; else 0.

    >>> power_of_thousand(np.array([0.4, 0.5]), np.array([300.0, 450.0]))
    -3
    >>> power_of_thousand(np.array([40.0, 500.0]), np.array([400.0, 450.0]))
    0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(observed / expected)
    powers = powers[np.isfinite(powers)]
    if len(powers) < 2:
        return 0
    low, middle, high = np.quantile(powers, [0.25, 0.5, 0.75]).tolist()
    nearest = 3 * round(middle / 3)
    near = abs(middle - nearest) <= NEAR and max(high - nearest, nearest - low) <= HALF_NEAR
    return nearest if nearest in _WORDS and near else 0
