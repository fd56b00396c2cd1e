"""A program's own placeholders end no analysis: numbers that no noise is around, and runs that fail."""

import math
import re
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import cipark
from left_fit import leave_fit
from small_study import POLICIES, small_study

from calibration.commands.for_analyses.study import contradictions, read
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.simulations.failures import ALLOWED, ALLOWED_OF_PLACEHOLDERS, MOST_FAILED


def changed(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_a_number_that_no_count_can_be_around_is_a_contradiction(tmp_path: Path) -> None:
    """A level of counts that the model has below 0: there is no band, and no crash."""
    small_study(tmp_path)
    level = [
        ('kind = "increments"', 'kind = "level"'),
        ('variable = "left"', 'variable = "stock"'),
        ("start = 0.0\n", ""),
    ]
    changed(tmp_path / "problem.toml", *level)
    changed(tmp_path / "leaving.mdl", ("stock * rate * pace", "40 * rate"))
    density = On("numpy")(read_problem(tmp_path))
    (line,) = contradictions(density, np.tile([50.0, 0.5], (20, 1)), np.random.default_rng(1))
    assert line == "left by 8: -110 in the model, which no data can be around"


def test_placeholders_let_most_runs_fail(tmp_path: Path) -> None:
    small_study(tmp_path)
    assert read(tmp_path).allowed == ALLOWED
    changed(tmp_path / "problem.toml", ('name = "rate"\n', 'name = "rate"\nwhy = "placeholder: a guess"\n'))
    assert read(tmp_path).allowed == ALLOWED_OF_PLACEHOLDERS


@pytest.mark.parametrize(
    ("command", "made"), [("sensitivity", "sensitivity.output._response"), ("policy", "policy.analysis.Analysis")]
)
@pytest.mark.parametrize(
    ("why", "options", "allowed"),
    [("a guess", [], ALLOWED), ("placeholder: a guess", [], ALLOWED_OF_PLACEHOLDERS),
     ("placeholder: a guess", ["--allow-failed", "0.3"], 0.3)],
)  # fmt: skip
def test_analyses_let_as_many_fail_as_the_study_allows_or_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, made: str,
    why: str, options: list[str], allowed: float,
) -> None:  # fmt: skip
    small_study(tmp_path)
    (tmp_path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    changed(tmp_path / "problem.toml", ('name = "rate"\n', f'name = "rate"\nwhy = "{why}"\n'))
    asked = SimpleNamespace(allowed=None)
    # sensitivity says that it has no finding; a policy has no page without one
    allowed = min(allowed, MOST_FAILED) if command == "policy" and not options else allowed

    def refuse(*arguments: Any, **named: Any) -> None:
        asked.allowed = named.get("allowed", arguments[-1])
        raise CiparkError("enough")

    monkeypatch.setattr(f"cipark_sd.commands.{made}", refuse)
    monkeypatch.chdir(tmp_path)
    done = cipark(command, tmp_path, "--draws", "prior", *options, code=2)
    assert "enough" in done.output, done.output
    assert asked.allowed == allowed


@pytest.mark.parametrize(("floor", "ended"), [(99.0, False), (104.0, True)])
def test_more_than_a_tenth_of_failed_runs_ends_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None, floor: float, ended: bool
) -> None:
    """A limit of the stock that few, or a third, of the priors' starts lie below."""
    monkeypatch.chdir(tmp_path)
    small_study(tmp_path)
    placeholder = 'name = "size"\nwhy = "placeholder: a guess"\n'
    changed(
        tmp_path / "problem.toml",
        ('name = "size"\n', placeholder),
        ("median = 100, sigma = 0.5", "median = 110, sigma = 0.06"),
    )
    changed(
        tmp_path / "leaving.mdl",
        ("stock = INTEG(-leaving, size) ~ firm ~", "stock = INTEG(0, size) ~ firm [" + f"{floor:g},?] ~"),
    )
    done = cipark("sensitivity", ".", "--method", "sobol", "--rows", "64", "-o", "out")
    share = NormalDist(math.log(110), 0.06).cdf(math.log(floor))
    assert (share > MOST_FAILED) == ended
    lines = dict(line.split("\t", 1) for line in done.stdout.splitlines() if line.startswith(("Finding", "Known")))
    (tell,) = re.findall(r"sobol.*?: [\d,]+ of [\d,]+ runs \((\d+)", done.stdout)[:1]
    assert float(tell) / 100 == pytest.approx(share, abs=0.05)
    assert lines["Finding"].startswith(f"No finding: {tell}%") == ended
    assert ("no sample" in lines["Known"]) == ended


@pytest.mark.usefixtures("undrawn_figures")
def test_placeholders_that_fail_end_no_policy_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the priors' starts lie below the limit of the stock, and none of the fit's draws."""
    monkeypatch.chdir(tmp_path)
    small_study(tmp_path)
    (tmp_path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    placeholder = ('name = "size"\n', 'name = "size"\nwhy = "placeholder: a guess"\n')
    changed(tmp_path / "problem.toml", placeholder, ("median = 100, sigma = 0.5", "median = 110, sigma = 0.06"))
    changed(tmp_path / "leaving.mdl", ("INTEG(-leaving, size) ~ firm ~", "INTEG(0, size) ~ firm [104,?] ~"))
    draws = np.random.default_rng(1).uniform([110, 0.1], [112, 0.3], (500, 2))
    leave_fit(Path("cipark-output", tmp_path.name), read_problem(tmp_path), draws=draws)
    cipark("policy", ".", "--part", "effects", "--runs", "50")
