"""Structures by how they foretold what they had not seen, and the weights of their mixture.

Leave-future-out: at each origin every structure is fitted to what was known then, and scored by what came. Weights
maximise the log score of the mixture (stacking); they come with bootstrap standard errors over the numbers, since few
numbers leave them nearly open, and with the mixture of equal weights beside, which needs no estimate.

Source: Bürkner, Gabry and Vehtari 2020, Journal of Statistical Computation and Simulation 90(14), 2499-2523
(leave-future-out); Geweke and Amisano 2011, Journal of Econometrics 164(1), 130-141 (pools of forecasts by log score).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import stacking, stacking_errors
from calibration.assess.scores import Score, mean_error
from cipark_sd.arrays import Array

#: What the mixtures are called among structures.
EQUAL, WEIGHTED = "mixture, equal weights", "mixture, these weights"


@dataclass(frozen=True, slots=True)
class FutureWeight:
    """One structure, or a mixture of all, by its predictions of what came.

    ``behind`` and its error are those of the mean log score against the best structure. ``weight`` and its bootstrap
    standard error are NaN for mixtures. The mixture of the weights has them from the very numbers that score it.
    """

    structure: str
    n: int
    n_numbers: int
    mean_log_score: float
    behind: float
    behind_error: float
    weight: float
    weight_error: float
    equal_weight: float


def future_weights(rolling: RollingOrigin, rng: np.random.Generator) -> tuple[FutureWeight, ...]:
    """A line for each structure, best first, and two for mixtures; none with fewer than two structures or numbers."""
    by_structure = {
        name: sorted(
            (entry for entry in rolling.comparable if entry.forecaster == name),
            key=lambda entry: (entry.origin, entry.time, entry.label),
        )
        for name in rolling.structures
    }
    by_structure = {name: entries for name, entries in by_structure.items() if entries}
    labels = [entry.label for entry in next(iter(by_structure.values()), [])]
    if len(by_structure) < 2 or len(set(labels)) < 2:
        return ()
    names, entries = list(by_structure), next(iter(by_structure.values()))
    logs = -np.array([[entry.log_score for entry in scores] for scores in by_structure.values()])
    # a structure to which what came was impossible gives a mixture nothing, and no infinity either
    logs = np.maximum(logs, -700.0)
    weights = stacking(logs)
    errors = stacking_errors(logs, labels, rng)
    best = int(logs.mean(axis=1).argmax())
    lines = [
        _line(name, entries, logs[i], logs[best], float(weights[i]), float(errors[i]), 1 / len(names))
        for i, name in enumerate(names)
    ]
    lines.sort(key=lambda line: line.mean_log_score)
    for name, chosen in ((EQUAL, np.full(len(names), 1 / len(names))), (WEIGHTED, weights)):
        mixed = np.logaddexp.reduce(logs + np.log(np.maximum(chosen, 1e-300))[:, None], axis=0)
        lines.append(_line(name, entries, mixed, logs[best], np.nan, np.nan, np.nan))
    return tuple(lines)


def _line(
    name: str, entries: Sequence[Score], logs: Array, best: Array, weight: float, error: float, equal: float
) -> FutureWeight:
    behind = best - logs
    return FutureWeight(
        name,
        len(entries),
        len({entry.label for entry in entries}),
        float(-logs.mean()),
        float(behind.mean()),
        mean_error(behind, entries),
        weight,
        error,
        equal,
    )
