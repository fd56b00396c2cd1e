"""An ensemble Kalman filter on ``cipark_sd.ensemble``: states of a running model are corrected where they are observed.

All members are one ensemble whose stocks are set at each observation; there the ensemble square root filter corrects
mean and spread without random numbers, so that of a linear model and a given ensemble it is the Kalman filter.

Source: J. S. Whitaker, T. M. Hamill, Monthly Weather Review 130 (2002) 1913-1924, equations 2, 3 and 13, one
observation after the other.

What delays and conveyors hold runs on as it is, and is not corrected.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import cipark_sd as cp

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Filtered:
    """The states after each observation.

    Parameters
    ----------
    times : (n_times,)
    mean : (n_times, n_stocks)
    covariance : (n_times, n_stocks, n_stocks)
    """

    times: Array
    mean: Array
    covariance: Array


def corrected(states: Array, place: int, value: float, sd: float) -> Array:
    """The ensemble after one number was seen.

    Parameters
    ----------
    states : (n_members, n_stocks)
    place : which stock was observed
    value, sd : what was seen, and the standard deviation of its noise
    """
    mean = states.mean(axis=0)
    spread = states - mean
    departures = spread[:, place].copy()
    variance = departures @ departures / (len(states) - 1)
    gain = spread.T @ departures / (len(states) - 1) / (variance + sd**2)
    share = 1 / (1 + np.sqrt(sd**2 / (variance + sd**2)))
    moved: Array = mean + gain * (value - mean[place]) + spread - share * np.outer(departures, gain)
    return moved


def filtered(
    model: cp.Model, first: Mapping[str, Array], observed: Mapping[str, Mapping[float, float]], sd: float
) -> Filtered:
    """The states of a model, corrected by what was seen of its stocks.

    Parameters
    ----------
    first : mapping of str to (n_members,)
        Of stocks without subscripts, the ensemble at the initial time. These are corrected.
    observed : mapping of str to mapping of float to float
        By stock, its values by saved time.
    sd : float
        Standard deviation of the noise of each number that was seen.
    """
    labels, times = list(first), sorted({time for values in observed.values() for time in values})
    put = {model.time.initial: np.column_stack([first[label] for label in labels]).astype(float)}
    means, covariances = [], []
    for time in times:
        members = [
            cp.Scenario("", {label: dict(zip(put, member[:, i], strict=True)) for i, label in enumerate(labels)})
            for member in np.stack(list(put.values()), axis=1)
        ]
        runs = cp.ensemble(model, members, save=labels, times=[time], progress=False)
        states = np.column_stack([runs.cp[label].sel(time=time).values for label in labels])
        for label, values in observed.items():
            if time in values:
                states = corrected(states, labels.index(label), values[time], sd)
        put[time] = states
        means.append(states.mean(axis=0))
        covariances.append(np.cov(states, rowvar=False).reshape(len(labels), len(labels)))
    return Filtered(np.array(times), np.array(means), np.array(covariances))
