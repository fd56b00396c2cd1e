"""Model runs and random generators that raise, for tests of what only writes."""

import numpy as np
import pytest

from cipark_sd.engines import registry


class Computed(AssertionError):
    """Something was computed."""


def refused(*_: object, **__: object) -> None:
    raise Computed("a model was run or a random number drawn")


def forbid_computing(patch: pytest.MonkeyPatch) -> None:
    """From here on no engine runs and no random generator can be made."""
    for name in registry.names():
        patch.setattr(type(registry.choose(name)), "run", refused)
    patch.setattr(registry, "choose", refused)
    for name in ("default_rng", "Generator", "PCG64", "RandomState", "SeedSequence"):
        patch.setattr(np.random, name, refused)
