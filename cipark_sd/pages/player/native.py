"""What the native engine gives for the runs that a page shows first, and its digest."""

import hashlib
from collections.abc import Mapping

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.engines.base import Settings, Values
from cipark_sd.engines.plan import missing_as_nan
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm.carried import Carried


def digest(values: Values) -> str:
    """SHA-256 of numbers, (outputs, times, runs), as doubles of little-endian order in which all NaN are one."""
    plain = np.where(np.isnan(values), np.nan, values)
    return hashlib.sha256(np.ascontiguousarray(plain).astype("<f8").tobytes()).hexdigest()


def native_base(made: Carried, fixed: Mapping[str, float], columns: Mapping[str, Array], n: int) -> Values:
    """The runs of a structure, (outputs, times, runs): numbers that all have, and one for each."""
    settings = made.plan.settings
    numbers = {**settings.numbers, **fixed, **columns}
    every = Settings(numbers, settings.initials, settings.tables, settings.series)
    return missing_as_nan(choose("native").run(made.plan, every, np.arange(n, dtype=np.uint64)))
