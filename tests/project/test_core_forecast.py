"""The frozen forecast is the file whose digest its page gives, and its draws are those of the model and its noise."""

import hashlib
import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from places import ROOT

from calibration.study import STUDIES

sys.path.insert(0, str(ROOT / "tools"))

import core_forecast

FILE = STUDIES / "great_stone_core" / "forecast_2020_2030.nc"
PAGE = (STUDIES / "great_stone_core" / "forecast.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    with xr.open_dataset(FILE, engine="h5netcdf") as content:
        return content.load()


def test_the_file_is_the_one_that_was_frozen() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == re.search(r"`([0-9a-f]{64})`", PAGE)[1]


def test_it_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["core_forecast.py", str(FILE)])
    with pytest.raises(SystemExit, match="made once"):
        core_forecast.main()


def test_it_says_what_it_depends_on_and_knows_nothing_later(found: xr.Dataset) -> None:
    tables = json.loads(found.attrs["data_digests"])
    for name in tables:
        rows = pd.read_csv(STUDIES / "great_stone" / "data" / name)
        assert rows["date"].max() <= "2020-01-31"
    assert len(found.attrs["model_digest"]) == 64
    assert set(json.loads(found.attrs["study_digests"])) == {*core_forecast.SHOWN, "two rates"}
    assert found["year"].values.tolist() == list(range(2020, 2031))


def test_no_more_firms_work_than_are_there_and_the_mixture_is_made_of_the_structures(found: xr.Dataset) -> None:
    core = found.sel(structure=[*core_forecast.SHOWN, "mixture"])
    assert bool((core["working"] <= core["residents"]).all())
    assert bool((core["residents"] >= 0).all())
    evidence = np.array(list(json.loads(found.attrs["log_evidence"]).values()))
    weights = np.exp(evidence - evidence.max())
    kept = found["weight"].sel(structure=list(json.loads(found.attrs["log_evidence"]))).values
    np.testing.assert_allclose(kept, weights / weights.sum(), rtol=1e-12)
    mixed = core["residents"].sel(structure="mixture")
    parts = core["residents"].sel(structure=list(core_forecast.SHOWN))
    assert bool((mixed == parts).all("year").any("structure").all())


def test_counts_are_the_last_ones_and_what_the_noise_adds() -> None:
    """Mean and variance by hand: entries of variance mean (1 + dispersion), losses, starts and exits Poisson."""
    rng, n = np.random.default_rng(1), 40_000
    yearly = {"gained": 10.0, "lost": 2.0, "starting": 5.0, "exiting": 1.0}
    expected = {name: np.full((n, 11), value) for name, value in yearly.items()}
    residents, working = core_forecast.counted(expected, np.full(n, 1.5), rng)
    assert residents[:, 0].mean() == pytest.approx(68, abs=0.15)
    assert residents[:, 0].var() == pytest.approx(10 * 2.5 + 2, rel=0.05)
    assert residents[:, 10].mean() == pytest.approx(60 + 11 * 8, abs=0.5)
    assert working[:, 0].mean() == pytest.approx(18.5 + 4, abs=0.1)
