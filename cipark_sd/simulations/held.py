"""What people hold in their hands as what functions take: values of pandas, xarray and NumPy, tables of any form."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from cipark_sd.base.errors import UnusableInput
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.changes_files import ScenarioLike, as_scenario
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a long table: which series, when, how much. The first are those of forecasting packages.
_LONG = (("unique_id", "ds", "y"), ("variable", None, "value"))


class Span(TypedDict, total=False):
    """The times of a run, in place of the file's: each as of :class:`cipark_sd.Scenario`."""

    initial_time: float
    final_time: float
    time_step: float
    saveper: float


def scenario_of(model: Model, scenario: Any, **span: Any) -> Scenario:
    """The scenario that somebody gives.

    Parameters
    ----------
    scenario : Scenario, path, or mapping, pandas.Series or DataFrame of values by name
        A value may be a Series or a DataArray over time, a mapping of times to values, or an array. Columns of a
        DataFrame are courses over its index.
    span : times of the run
    """
    named = isinstance(scenario, Mapping) or not hasattr(scenario, "items")
    chosen: ScenarioLike = scenario if named else dict(scenario.items())
    return as_scenario(chosen, model) | Scenario("", span)


def table_of(data: Any, *, where: str) -> Any:
    """A table with a column for each series and one of times; what is no table, such as a path, as it is.

    Parameters
    ----------
    data : DataFrame, Series, DataArray, Dataset of a run, mapping of columns, or a long table
        Long are ``unique_id, ds, y``, and ``variable, value`` with one other column.
    where : for messages

    Raises
    ------
    UnusableInput
        For a long table with two values of a series at one time.
    """
    import pandas as pd
    import xarray as xr

    from cipark_sd.data.results import to_table

    if isinstance(data, xr.Dataset):
        return to_table(data).reset_index()
    if isinstance(data, xr.DataArray):
        data = data.to_series()
    if isinstance(data, pd.Series):
        return data.rename_axis(str(data.index.name or "time")).reset_index(name=str(data.name or "value"))
    table = pd.DataFrame(data) if isinstance(data, Mapping) else data
    return _wide(table, where) if isinstance(table, pd.DataFrame) else table


def _wide(table: "pd.DataFrame", where: str) -> "pd.DataFrame":
    for series, time, value in _LONG:
        times = [name for name in table if name not in (series, value)]
        if {series, value} <= {*table} and (times == [time] or (time is None and len(times) == 1)):
            if table.duplicated([series, *times]).any():
                reason = f"the long table has two rows of one {series!r} at one {times[0]!r}; mean or choose them"
                raise UnusableInput(reason, where=where)
            return table.pivot(index=times[0], columns=series, values=value).reset_index().rename_axis(columns=None)
    return table
