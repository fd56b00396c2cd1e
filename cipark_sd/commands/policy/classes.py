"""The class of each policy's effect: informed by the data, not decided by them, or assumed by the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from cipark_sd.arrays import Array
from cipark_sd.claims import WORDS, Kind, class_of, has_assumed_sign
from cipark_sd.experiments.definition import Catalogue
from cipark_sd.experiments.effects import paired

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
    catalogue: Catalogue, prior: xr.Dataset, posterior: xr.Dataset, rivals: Sequence[str], misfit: str = ""
) -> tuple[EffectClass, ...]:
    """Each effect over draws before and after the data, under all structures ``rivals`` that were fitted.

    A structure under which a policy changes nothing, before the data and after them, takes no part. Data that the model
    does not follow, which ``misfit`` names, inform no effect.
    """
    outcome, at = catalogue.headline
    classes = []
    for policy in catalogue.changes:
        by_data = [paired(runs, policy.id, outcome, at) for runs in (prior, posterior)]
        of = [[_change(*values[rival]) for values in by_data] for rival in rivals]
        low, median, high = np.quantile(of[0][0][0], [0.05, 0.5, 0.95]).tolist()
        active = [pair for pair in of if any(changes.any() for changes, _ in pair)]
        pairs, shares = ([(before[i], after[i]) for before, after in active] for i in (0, 1))
        kind = class_of(pairs, shares) if active else "built in"
        assumed = not active or has_assumed_sign(pairs)
        if misfit and kind == "informed":
            kind = "built in" if assumed else "undecided"
        classes.append(EffectClass(policy.id, kind, median, low, high, assumed))
    return tuple(classes)


def _change(values: Array, base: Array) -> tuple[Array, Array]:
    """The differences to the base, and the same as shares of the base."""
    changes = values - base
    return changes, np.divide(changes, base, out=np.full_like(changes, np.nan), where=base != 0)
