"""The class of each policy's effect: informed by the data, not decided by them, or assumed by the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from cipark_sd.claims import WORDS, Kind, class_of
from cipark_sd.experiments.definition import Catalogue
from cipark_sd.experiments.effects import paired

#: The order of a page: what the data inform comes first, what the model assumes last.
ORDER: tuple[Kind, ...] = ("informed", "undecided", "built in")


@dataclass(frozen=True, slots=True)
class EffectClass:
    """A policy's effect on the headline's outcome at its time: its class, and what the priors alone say of it.

    ``median``, ``low`` and ``high`` (90 %) are of prior draws under the first structure.
    """

    policy: str
    kind: Kind
    median: float
    low: float
    high: float

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
        before, after = ({rival: values - base for rival, (values, base) in runs.items()} for runs in by_data)
        low, median, high = np.quantile(before[rivals[0]], [0.05, 0.5, 0.95]).tolist()
        pairs = [(before[rival], after[rival]) for rival in rivals if before[rival].any() or after[rival].any()]
        kind = class_of(pairs, is_change=True, misfit=misfit) if pairs else "built in"
        classes.append(EffectClass(policy.id, kind, median, low, high))
    return tuple(classes)
