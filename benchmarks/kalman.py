"""An ensemble Kalman filter on ``cipark_sd.ensemble``: states of a running model are corrected where they are observed.

Between two observations all members run on as one ensemble that begins at their states; at an observation the ensemble
square root filter corrects mean and spread without random numbers, so that of a linear model and a given ensemble it is
the Kalman filter.

Source: J. S. Whitaker, T. M. Hamill, Monthly Weather Review 130 (2002) 1913-1924, equations 2, 3 and 13, one
observation after the other.

It is for models whose whole state are the stocks that it has: what a delay or a conveyor holds begins anew after each
observation, and such models are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import cipark_sd as cp
from cipark_sd.base.errors import UnusableInput
from cipark_sd.model.expr import Call
from cipark_sd.model.variables import Stock, expressions

Array = NDArray[np.float64]
#: Functions of a model whose past is in no stock that has a name.
_REMEMBERING = ("delay", "smooth", "trend", "forecast", "sample_if_true", "conveyor", "random")


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
        Of each stock without subscripts, the ensemble at the initial time.
    observed : mapping of str to mapping of float to float
        By stock, its values by saved time.
    sd : float
        Standard deviation of the noise of each number that was seen.

    Raises
    ------
    UnusableInput
        For a model with a state that is in no stock of ``first``.
    """
    labels = list(first)
    _check(model, labels)
    states, now = np.column_stack([first[label] for label in labels]).astype(float), model.time.initial
    times = sorted({time for values in observed.values() for time in values})
    means, covariances = [], []
    for time in times:
        if time > now:
            states, now = _run_on(model, labels, states, now, time), time
        for label, values in observed.items():
            if time in values:
                states = corrected(states, labels.index(label), values[time], sd)
        means.append(states.mean(axis=0))
        covariances.append(np.cov(states, rowvar=False).reshape(len(labels), len(labels)))
    return Filtered(np.array(times), np.array(means), np.array(covariances))


def _run_on(model: cp.Model, labels: Sequence[str], states: Array, begin: float, end: float) -> Array:
    draws = {label: states[:, place] for place, label in enumerate(labels)}
    runs = cp.ensemble(
        model, draws, save=labels, times=[end], initial_time=begin, final_time=end, saveper=end - begin, progress=False
    )
    return np.column_stack([runs.cp[label].sel(time=end).values for label in labels])


def _check(model: cp.Model, labels: Sequence[str]) -> None:
    stocks = [variable.label for variable in model.variables if isinstance(variable, Stock)]
    if set(stocks) != set(labels):
        raise UnusableInput(f"the ensemble has to begin with each stock: {', '.join(stocks)}", where=model.name)
    for variable in model.variables:
        for expr in expressions(variable):
            if isinstance(expr, Call) and expr.function.startswith(_REMEMBERING):
                raise UnusableInput(
                    f"{variable.label!r} remembers by {expr.function}, not in a stock", where=model.name
                )
