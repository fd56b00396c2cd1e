"""Vensim's binary files of runs and datasets (``.vdf``, ``.vdfx``), as pysimlin reads them."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.errors import InvalidValue, installing
from cipark_sd.model.expr import MISSING

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".vdf", ".vdfx")


def read_vdf(path: Path, *, role: str, where: str) -> "pd.DataFrame":
    """The columns of a run by variable and element, NaN where there is no value; the index is time.

    Raises
    ------
    InvalidValue
        When pysimlin is not installed or does not read the file. ``role`` and ``where`` are for the message.
    """
    if importlib.util.find_spec("simlin") is None:
        expected = f"a .csv, or pysimlin installed to read a .vdf ({installing('loops')})"
        raise InvalidValue(role, path.name, expected, where=where)
    import simlin

    try:
        table: pd.DataFrame = simlin.load_vdf(str(path))
    except simlin.SimlinError as problem:
        reason = " ".join(str(problem).split())
        raise InvalidValue("its content", reason, "a run of Vensim's", where=str(path)) from None
    # recorded runs of Vensim's have twice the number of the manual for :NA:
    return table.mask(table == 2 * MISSING)
