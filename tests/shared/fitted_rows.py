"""Rows of fitted numbers as tests need them."""

from typing import Any

import pandas as pd

from calibration.inference.judge.residuals import COLUMNS, table_of

#: Of a row that a test says nothing of: a number 3 that the model expects to be 2.
USUAL: dict[str, Any] = {
    "observation": "o", "label": "r", "use": "fit", "start": 0.0, "end": 1.0, "lower": 3.0, "upper": 3.0,
    "expected": 2.0, "low": 0.0, "high": 5.0, "sd": 1.0, "residual": 0.0, "log_likelihood": -1.0,
}  # fmt: skip


def fitted_rows(*rows: dict[str, Any]) -> pd.DataFrame:
    """A table of rows, each with what a test says of it."""
    return table_of([[(USUAL | row)[name] for name in COLUMNS] for row in rows])
