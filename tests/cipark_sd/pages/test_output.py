"""Tables of a page as files."""

import pandas as pd
import pytest

from cipark_sd.base.timegrid import calendar_years
from cipark_sd.pages.blocks import Table
from cipark_sd.pages.output import _dated


def test_every_column_of_model_times_has_its_dates_beside_it() -> None:
    frame = pd.DataFrame(
        {"time": [2019.9, 2030.0], "name": ["a", "b"], "peak_time": [2015.33, float("nan")], "n": [1, 2]}
    )
    dated = _dated(frame, calendar_years("Year"))
    assert list(dated.columns) == ["time", "date", "name", "peak_time", "peak_date", "n"]
    assert dated["date"].tolist() == ["2019-11-25", "2029-12-31"]
    assert dated["peak_date"].tolist() == ["2015-04-30", ""]
    # a model that counts no calendar years has none, and dates that are there stay as they are
    assert _dated(frame, calendar_years("Week")) is frame
    assert _dated(dated, calendar_years("Year")) is dated


def test_rows_of_pairs_are_a_table_of_one_head() -> None:
    rows = [[("policy", name), ("P>0", share)] for name, share in (("a", "0.5"), ("b", "1"))]
    assert Table.of(rows, "c") == Table(("policy", "P>0"), (("a", "0.5"), ("b", "1")), "c")
    assert Table.of([]) == Table((), ())
    with pytest.raises(ValueError, match="different columns"):
        Table.of([rows[0], rows[1][:1]])
