"""The class of each policy's effect: informed by the data, not decided by them, or assumed by the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from cipark_sd.arrays import Array
from cipark_sd.claims import WORDS, Kind, class_of, has_assumed_sign
from cipark_sd.experiments.definition import BASE, Catalogue
from cipark_sd.experiments.run import time_position

#: The order of a page: what the data inform comes first, what the model assumes last.
ORDER: tuple[Kind, ...] = ("informed", "undecided", "built in")


@dataclass(frozen=True, slots=True)
class EffectClass:
    """A policy's effect on the headline's outcome at its time: its class, and what the priors alone say of it.

    ``median``, ``low`` and ``high`` (90 %) are of prior draws under the first structure. With ``assumed_sign`` the
    priors alone give it its sign: the data may inform its size, but it is no headline.
    """

    policy: str
    kind: Kind
    median: float
    low: float
    high: float
    assumed_sign: bool = False

    @property
    def words(self) -> str:
        """The class as people read it."""
        return WORDS[self.kind]


def effect_classes(
    catalogue: Catalogue, prior: xr.Dataset, posterior: xr.Dataset, rivals: Sequence[str]
) -> tuple[EffectClass, ...]:
    """Each effect over draws before and after the data, under all structures ``rivals`` that were fitted.

    A structure under which a policy changes nothing, before the data and after them, takes no part.
    """
    outcome, at = catalogue.headline
    classes = []
    for policy in catalogue.changes:
        of = [tuple(_changes(runs, outcome, at, policy.id, rival) for runs in (prior, posterior)) for rival in rivals]
        low, median, high = np.quantile(of[0][0][0], [0.05, 0.5, 0.95]).tolist()
        active = [pair for pair in of if any(changes.any() for changes, _ in pair)]
        pairs, shares = ([(before[i], after[i]) for before, after in active] for i in (0, 1))
        kind = class_of(pairs, shares) if active else "built in"
        assumed = not active or has_assumed_sign(pairs)
        classes.append(EffectClass(policy.id, kind, median, low, high, assumed))
    return tuple(classes)


def _changes(runs: xr.Dataset, outcome: str, at: float, policy: str, rival: str) -> tuple[Array, Array]:
    """The differences of a policy to the base ``(n,)``, those that are numbers, and the same as shares of the base."""
    values = runs[outcome].isel(time=time_position(at, runs["time"].to_numpy().tolist())).sel(rival=rival)
    base = values.sel(policy=BASE).to_numpy()
    differences = values.sel(policy=policy).to_numpy() - base
    fine = np.isfinite(differences)
    of = differences[fine], base[fine]
    return of[0], np.divide(of[0], of[1], out=np.full_like(of[0], np.nan), where=of[1] != 0)
