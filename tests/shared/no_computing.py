"""Model runs and random generators that raise, for tests of what only writes."""

import importlib

import numpy as np
import pytest

from cipark_sd.engines import registry
from cipark_sd.engines.compiled import Repeated


class Computed(AssertionError):
    """Something was computed."""


def refused(*_: object, **__: object) -> None:
    raise Computed("a model was run or a random number drawn")


def forbid_computing(patch: pytest.MonkeyPatch) -> None:
    """From here on no engine runs and no random generator can be made."""
    # a module that is imported meanwhile would keep what stands in for the generator
    for name in ("scipy.stats", "matplotlib.figure", "xarray"):
        importlib.import_module(name)
    for name in registry.names():
        patch.setattr(type(registry.choose(name)), "run", refused)
    for name in ("at", "back"):
        patch.setattr(Repeated, name, refused)
    patch.setattr(np.random, "default_rng", refused)
