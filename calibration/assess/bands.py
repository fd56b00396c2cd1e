"""What the posterior predicts of the dated numbers of each observation, noise included, as central bands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.assess.scores import LEVELS
from calibration.likelihood.replicate import numbers
from calibration.study.observations import Level, Observation
from cipark_sd.arrays import Array

#: Kinds of observation whose numbers are counts or measurements over time.
DATED = ("increments", "level", "flow")


@dataclass(frozen=True, eq=False)
class Band:
    """Predictions of one observation, increments added up.

    Parameters
    ----------
    times : (n_times,)
        Without those at which the model has no value; empty where it never has one.
    quantiles : (n_levels, n_times)
        At :data:`calibration.assess.scores.LEVELS`.
    observed : tuple of Level
        What was seen at those times, and beside a band that is not added up also what is only looked at.
    """

    observation: str
    times: Array
    quantiles: Array
    observed: tuple[Level, ...]


def bands(observations: Sequence[Observation], replicates: Array) -> Iterator[Band]:
    """A band for each observation of :data:`DATED`.

    Parameters
    ----------
    replicates : (n, n_numbers)
        As of :func:`calibration.likelihood.replicate.replicate`.
    """
    every = numbers(observations)
    for observation in observations:
        if observation.kind not in DATED:
            continue
        named = [i for i, number in enumerate(every) if number.observation == observation.name]
        # a number that is only looked at has no part in the band
        chosen = [i for i in named if every[i].use != "check"] or named
        # where the model has no value there is no band
        chosen = [i for i in chosen if np.isfinite(replicates[:, i]).any()]
        if not chosen:
            yield Band(observation.name, np.zeros(0), np.zeros((len(LEVELS), 0)), ())
            continue
        predicted = replicates[:, chosen]
        ends = np.array([(every[i].lower, every[i].upper) for i in chosen])
        if observation.kind == "increments":
            predicted = predicted.cumsum(axis=1)
            middle, half = ends.mean(axis=1).cumsum(), (ends[:, 1] - ends[:, 0]) / 2
            ends = np.stack([middle - half, middle + half], axis=1)
        observed = [
            Level(every[i].time, low, high, every[i].use) for i, (low, high) in zip(chosen, ends.tolist(), strict=True)
        ]
        if observation.kind != "increments":
            # beside a band of increments that are added up, a level has no place
            aside = [every[i] for i in named if i not in chosen]
            observed += [Level(number.time, number.lower, number.upper, number.use) for number in aside]
        quantiles = np.nanquantile(predicted, LEVELS, axis=0, method="inverted_cdf")
        yield Band(observation.name, np.array([every[i].time for i in chosen]), quantiles, tuple(observed))
