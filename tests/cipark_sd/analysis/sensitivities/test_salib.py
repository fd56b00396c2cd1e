"""The example of the documents that runs SALib's methods on our ensemble, and the problem that SALib is given."""

import re

import numpy as np
import pytest
from places import ROOT
from scipy import stats

from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Shares
from cipark_sd.analysis.sensitivities.salib import salib_problem

MODEL = """
Population= INTEG(Births,Start) ~ person ~ |
Births= SQRT(Doubtful-1.5)*Rate ~ person/Year ~ |
Start= 100 ~ person ~ |
Rate= 2 ~ person/Year ~ |
Doubtful= 2 ~ Dmnl ~ |
"""


def test_the_example_of_the_documents_screens_and_leaves_failed_runs_out(write_mdl, tmp_path, monkeypatch):
    """A start of 100 and a rate of 2, each within 30%; the square root of 0.5, and none where it is below zero."""
    text = (ROOT / "docs" / "how-to" / "sensitivity.md").read_text(encoding="utf-8").split("## With SALib")[1]
    code = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)[1]
    (tmp_path / "my.mdl").write_bytes(write_mdl(MODEL, final=10, step=1).read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "sensitivity.md", "exec"), names)  # noqa: S102  (our own document)
    star = dict(zip(names["problem"]["names"], names["screened"]["mu_star"], strict=True))
    assert star["Start"] == pytest.approx(60)
    assert 0 < star["Rate"] < 60
    assert np.isfinite(names["screened"]["mu_star_conf"]).all()
    assert 0 < (~names["whole"]).sum() < len(names["whole"])


def test_an_end_without_a_finite_value_is_kept_from(write_mdl):
    laws = (stats.uniform(2, 3), stats.norm(1, 2), stats.lognorm(0.5), stats.beta(2, 2))
    blocks = tuple(Factor(f"c{i}", law.ppf) for i, law in enumerate(laws))
    problem = salib_problem(Factors((*blocks, Shares(("p", "q"), (1, 2), 6.0))), edge=0.1)
    assert problem["names"] == ["c0", "c1", "c2", "c3", "p", "q"]
    assert problem["bounds"] == [[0, 1], [0.1, 0.9], [0, 0.9], [0, 1], [0, 1], [0, 1]]
