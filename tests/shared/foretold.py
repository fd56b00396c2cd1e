"""Rows of a forecast as tests need them."""

from collections.abc import Sequence

from calibration.assess.forecast import COLUMNS, OWN


def foretold(year: int, quantiles: Sequence[float], structure: str = OWN) -> dict[str, object]:
    """The row of one date, with quantiles at the levels of a forecast."""
    row = (structure, "as fitted", "left", str(year), float(year), "2019", 2019.0, "", 4.0, *quantiles, 100)
    return dict(zip(COLUMNS, row, strict=True))
