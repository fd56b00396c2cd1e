"""A study as a program of Stan: its own numbers, recorded and live, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stan_judge import judged, points, studies
from stan_program import stan_program

import cipark_sd as cp
from cipark_sd.base.errors import CiparkError

#: Programs, and what Stan computed of them.
KEPT = Path(__file__).with_name("stan")
NAMES = sorted(path.stem for path in KEPT.glob("*.stan"))


def compare(study: cp.Study, stan: dict[str, Any]) -> None:
    logs, slopes = study.density.value_and_gradient(stan["theta"])
    assert np.ptp(logs) > 1, "the points differ"
    np.testing.assert_allclose(logs, stan["log_posterior"], rtol=1e-9)
    largest = np.abs(slopes).max(axis=1, keepdims=True)
    np.testing.assert_allclose(slopes / largest, stan["slopes"] / largest, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_stan_computed_our_log_posterior_and_slopes_of_the_program(name: str, tmp_path: Path) -> None:
    study = studies(tmp_path)[name]
    kept = json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))
    assert stan_program(study.problem) == (KEPT / f"{name}.stan").read_text(encoding="utf-8"), (
        "a new program has to be judged anew"
    )
    # quantiles of priors differ in the last bit between processors; the densities are those of the kept points
    np.testing.assert_allclose(kept["theta"], points(study), rtol=1e-14)
    compare(study, kept)
    # the comparison sees a part in a hundred million
    with pytest.raises(AssertionError):
        compare(study, kept | {"log_posterior": [value * (1 + 1e-8) for value in kept["log_posterior"]]})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_stan_computes_them_here(name: str, tmp_path: Path) -> None:
    pytest.importorskip("stan", reason="pystan is not installed")
    study = studies(tmp_path)[name]
    compare(study, judged(study))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("great_stone_core", "residents 2014-12-24 is no plain number"),
        ("great_stone_curves", "the study reads whole trajectories"),
    ],
)
def test_what_stan_has_no_counterpart_of_is_refused(name: str, reason: str) -> None:
    with pytest.raises(CiparkError, match=reason):
        stan_program(cp.read_study(name).problem)


def test_words_of_a_file_stay_comments(tmp_path: Path) -> None:
    path = tmp_path / "m.mdl"
    path.write_text('Pool = INTEG(-Pool * "a\\"b}; target += 1; //", 10) ~~|\n"a\\"b}; target += 1; //" = 0.1 ~~|\n')
    path.write_text(path.read_text() + "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n")
    (tmp_path / "d.csv").write_text("time,Pool\n1,9\n2,8\n3,7.5\n")
    text = stan_program(cp.Study(path, tmp_path / "d.csv", {"Pool": "Pool"}).problem)
    code = "\n".join(line.partition("//")[0] for line in text.splitlines())
    assert "target += 1" not in code
    assert code.count("target +=") == text.count("\n  target +=")
