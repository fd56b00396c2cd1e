"""One estimand has one number: on the page, in its file for programs, on the console and in the figure."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from small_study import small_study

from calibration.assess.drawn_predictions import DRAWS, PRIOR_DRAWS, thinned
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.fit.profile import Profile
from calibration.fit.profiling import predictions
from calibration.fit.threshold import Threshold
from calibration.fit.verdict import Side, Verdict
from calibration.fit.walk import SPENT
from calibration.report import console
from calibration.report.collect import Calibration, fit_findings
from calibration.report.findings import Findings
from calibration.report.output import write
from calibration.report.sections.answer import First, first_screen
from cipark_sd.checkpoints import NOT_KEPT
from cipark_sd.console import Bars
from cipark_sd.headline import Bounds
from cipark_sd.pages.page import read_page
from cipark_sd.scenarios import Scenario
from cipark_sd.simulation import simulate

sys.path.insert(0, str(ROOT / "tools"))

from one_number import faults, on_page, several

ASKED = """
[[prediction]]
name = "left at the end"
variable = "left"
at = 8
[[prediction]]
name = "slower"
variable = "left"
at = 8
against = { pace = 0.5 }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    folder = tmp_path_factory.mktemp("one")
    small_study(folder, ASKED)
    return calibrate(Settings(study=folder, engine="native", starts=4, compare_pysd=False))


@pytest.fixture(scope="module")
def findings(made: Calibration) -> Findings:
    return Findings(fit_findings(made))


def test_every_estimand_has_one_number_everywhere(
    findings: Findings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(findings, tmp_path)
    html, records = (tmp_path / "report.html").read_text(encoding="utf-8"), read_page(tmp_path).headlines
    shown = on_page(html)
    assert {record.estimand for record in records} <= set(shown)
    assert several(shown, records) == []
    # a fault is found: another number in a table, on the first screen, or in the records
    first = records[0]
    (text,) = shown[first.estimand]
    assert several({first.estimand: {text, "12.5"}}, records) == [first.estimand]
    assert several({first.estimand: {"12.5"}}, records) == [first.estimand]
    assert several({}, (*records, replace(first, number=12.5))) == [first.estimand]
    assert list(faults([tmp_path])) == []
    (tmp_path / "report.html").write_text(html.replace(f"<b>{text}", "<b>12.5"), encoding="utf-8")
    assert [first.estimand in fault for fault in faults([tmp_path])] == [True]
    console.show(findings, tmp_path / "report.html")
    known = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())["Known"]
    assert first.brief.partition(" (")[0] in known
    assert json.loads((tmp_path / "report.json").read_text())["headlines"][0]["number"] == first.number
    drawing = next(iter(First().drawings(findings)))
    assert drawing.options is not None
    assert drawing.options["expected"] == text


def test_the_number_is_the_median_of_the_draws_with_their_central_ninety_per_cent(
    made: Calibration, findings: Findings
) -> None:
    """Each run again by the interpreter of another engine."""
    assert made.draws is not None
    theta = thinned(made.draws.flat, 60)
    assert len(thinned(made.draws.flat, DRAWS)) == min(DRAWS, len(made.draws.flat))
    names = [parameter.name for parameter in made.problem.space if parameter.target == "model"]
    ends = []
    for row in theta:
        scenario = Scenario("", dict(zip(names, row[: len(names)].tolist(), strict=True)))
        ends.append(float(simulate(made.problem.model, scenario, engine="numpy").left.sel(time=8)))
    record = first_screen(findings).numbers[0]
    assert record.kind == "median"
    assert record.basis is not None
    assert record.basis.origin == "posterior"
    assert record.interval is not None
    low, high = record.interval.low, record.interval.high
    assert low is not None
    assert high is not None
    # sixty draws know a median to a sixth of the deviation, and the ends to a third
    spread = (high - low) / 3.29
    assert abs(record.number - np.median(ends)) < 0.7 * spread
    assert np.abs(np.quantile(ends, [0.05, 0.95]) - [low, high]).max() < 1.3 * spread
    fan = findings.fit.posterior.fan  # type: ignore[union-attr]
    assert fan is not None
    at_end = fan.quantiles[:, np.isclose(findings.fit.curves.times, 8)][:, 0]
    assert np.abs(at_end[[0, 2, 4]] - [low, record.number, high]).max() < 0.3 * spread
    assert record.prior is not None
    assert PRIOR_DRAWS >= 2000


def test_without_draws_to_be_trusted_the_optimum_is_named_and_no_band_is_drawn(
    made: Calibration, findings: Findings
) -> None:
    profiles, _ = predictions(made.optimum, NOT_KEPT, Bars())
    fit = replace(findings.fit, predictions=tuple(profiles))
    assert fit.posterior is not None
    rough = replace(findings, fit=replace(fit, posterior=replace(fit.posterior, converged=False)))
    for other, cautioned in ((rough, 1), (replace(findings, fit=replace(fit, posterior=None)), 0)):
        screen = first_screen(other)
        assert {record.kind for record in screen.numbers} == {"MAP optimum"}
        assert len(screen.cautions) == cautioned
        drawing = next(iter(First().drawings(other)))
        assert drawing.options is not None
        assert drawing.options["fan"] is None
    assert "--posterior" in first_screen(replace(findings, fit=replace(fit, posterior=None))).limits
    for reason, said in ((f"{SPENT} after 9 points", ("An end of the interval of c was not found",)), ("a jump", ())):
        side, rule = Side("not found", 1.0, reason), Threshold(0.95)
        walked = Profile("c", np.ones(1), np.zeros(1), 1.0, rule, Verdict(side, Side("bounded", 2.0)))
        cautions = first_screen(replace(findings, fit=replace(findings.fit, profiles=(walked,)))).cautions
        assert len(cautions) == len(said)
        assert all(caution.startswith(start) for caution, start in zip(cautions, said, strict=True))
    assert first_screen(findings).cautions == ()
    assert isinstance(first_screen(findings).numbers[0].interval, Bounds)
