"""A study as a program of Stan: Stan's own numbers, recorded, and what is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from stan_studies import studies

import cipark_sd as cp
from calibration.likelihood.posterior import posterior
from cipark_sd.engines.registry import choose
from cipark_sd.errors import CiparkError

#: What Stan (stanc3 v2.35.0, by pystan 3.10) computes; benchmarks/stan_density.py writes it again.
RECORDED = json.loads(Path(__file__).with_name("stan_densities.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_stan_computes_our_log_posterior(name: str, tmp_path: Path) -> None:
    study, kept = studies(tmp_path)[name], RECORDED[name]
    text = study.stan()
    assert hashlib.sha256(text.encode()).hexdigest() == kept["program"], "a program that is new has to be judged anew"
    ours = posterior(study.problem, choose("native")).log_posterior(np.array(kept["theta"]))
    np.testing.assert_allclose(ours, kept["log_posterior"], rtol=1e-9)
    assert np.ptp(ours) > 1, "the points differ"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("flu_1978", "integrated by rk4; Euler's method is written"),
        ("great_stone_core", "residents 2014-12-24 is no plain number"),
    ],
)
def test_what_stan_has_no_counterpart_of_is_refused(name: str, reason: str) -> None:
    with pytest.raises(CiparkError, match=reason):
        cp.read_study(name).stan()


def test_words_of_a_file_stay_comments(tmp_path: Path) -> None:
    path = tmp_path / "m.mdl"
    path.write_text('Pool = INTEG(-Pool * "a\\"b}; target += 1; //", 10) ~~|\n"a\\"b}; target += 1; //" = 0.1 ~~|\n')
    path.write_text(path.read_text() + "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n")
    (tmp_path / "d.csv").write_text("time,Pool\n1,9\n2,8\n3,7.5\n")
    text = cp.Study(path, tmp_path / "d.csv", {"Pool": "Pool"}).stan()
    code = "\n".join(line.partition("//")[0] for line in text.splitlines())
    assert "target += 1" not in code
    assert code.count("target +=") == text.count("\n  target +=")
