"""Errors as callers from Python meet them: of Python's own kinds too, and a traceback that is read at a glance."""

import pickle
import traceback
from collections.abc import Callable

import pandas as pd
import pytest

import cipark_sd as cp
from cipark_sd.base.errors import CiparkError, InvalidValue, Problems, UnknownName
from cipark_sd.simulations.simulation import course

TABLE = pd.DataFrame({"year": [2016, 2017, 2018, 2019], "firms": [8, 23, 42, 60]})
#: Lines of a traceback that somebody reads.
MOST = 15

CALLS: dict[str, tuple[type[Exception], Callable[[], object]]] = {
    "constant": (KeyError, lambda: cp.simulate("core", {"Strat Time": 1})),
    "value": (ValueError, lambda: cp.simulate("core", {"Start Time": "soon"})),
    "several": (ValueError, lambda: cp.simulate("core", {"Start Time": "soon", "Pass Fraction": None})),
    "time": (ValueError, lambda: cp.simulate("core", times=[2013.01])),
    "option": (TypeError, lambda: cp.simulate("core", params={})),  # type: ignore[call-arg]
    "model": (ValueError, lambda: cp.read_model("nosuch.mdl")),
    "runs": (KeyError, lambda: cp.ensemble("core", {"Strat Time": [1.0]})),
    "range": (ValueError, lambda: cp.sensitivity("core", {"Start Time": (2, 1)}, "Residents")),
    "file": (ValueError, lambda: cp.load("nosuch.nc")),
    "run": (KeyError, lambda: cp.simulate("core").cp["Resident"]),
    "command": (KeyError, lambda: cp.check("core", only=["nonsense"])),
    "keyword": (TypeError, lambda: cp.check("core", onyl=["units"])),
    "study": (KeyError, lambda: cp.Study("core", TABLE, {"firms": "Resident"})),
    "data": (ValueError, lambda: cp.Study("core", TABLE, {"firms": "Residents"}, method="RK5")),  # type: ignore[arg-type]
    "fit": (KeyError, lambda: cp.calibrate("nosuch")),
    "options of a fit": (TypeError, lambda: cp.Study("core", TABLE, {"firms": "Residents"}).fit(chains=4)),
    "name": (AttributeError, lambda: cp.optimise),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_error_is_one_of_pythons_too_and_short(name: str) -> None:
    kind, call = CALLS[name]
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, CiparkError)
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    # the first frame is pytest's own
    assert len(lines) - len(str(caught.value).splitlines()) < MOST, "\n".join(lines)


def test_the_whole_traceback_is_there_for_who_looks_for_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIPARK_DEBUG", "1")
    with pytest.raises(UnknownName) as caught:
        cp.simulate("core", {"Strat Time": 1})
    assert any("scenarios.py" in frame.filename for frame in traceback.extract_tb(caught.value.__traceback__))


def test_an_error_says_and_is_the_same_in_another_process() -> None:
    with pytest.raises(InvalidValue) as caught:
        cp.simulate("core", {"Start Time": "soon"})
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
    with pytest.raises(Problems) as several:
        cp.simulate("core", {"Start Time": "soon", "Pass Fraction": None})  # type: ignore[dict-item]
    assert len(several.value.problems) == 2


def test_a_reader_within_the_package_tells_pythons_errors_from_ours() -> None:
    """One that puts Python's ValueError into words of its own must not put ours into them."""
    with pytest.raises(InvalidValue) as caught:
        course("core", {"Start Time": "soon"}, engine="native")
    assert not isinstance(caught.value, ValueError)


def test_what_is_handed_out_is_the_same_each_time() -> None:
    assert cp.read_model is cp.read_model
    assert cp.check is cp.check
    assert cp.read_model.__doc__
