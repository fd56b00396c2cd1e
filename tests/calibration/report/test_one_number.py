"""One estimand has one number: on the page, in its file for programs, on the console and in the figure."""

import base64
import json
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from approved import approved
from numpy.typing import NDArray
from one_number import faults, is_rounded, on_page, places
from small_study import small_study

from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.inference.profile.interval_rules import Threshold
from calibration.inference.profile.profile import Profile, predictions
from calibration.inference.profile.verdict import Side, Verdict
from calibration.inference.profile.walk import SPENT
from calibration.likelihood.replicate import PRIOR_DRAWS
from calibration.report import output
from calibration.report.collect import FAN, Calibration, fit_findings
from calibration.report.findings import Findings
from calibration.report.output import write
from calibration.report.sections.answer import First, first_screen
from cipark_sd.base.arrays import evenly
from cipark_sd.base.checkpoints import NOT_KEPT
from cipark_sd.base.console import Bars
from cipark_sd.pages.first_screen import unbroken
from cipark_sd.pages.page import read_page
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.statements.headline import Bounds

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
    output.ending(findings, tmp_path / "report.html").show(sys.stdout)
    (tmp_path / "calibrate.txt").write_text(capsys.readouterr().out, encoding="utf-8")
    approved((tmp_path / "calibrate.txt").read_text(encoding="utf-8"))
    records = read_page(tmp_path).headlines
    assert {record.estimand for record in records} <= {
        name for name, _ in on_page((tmp_path / "report.html").read_text())
    }
    read = [tmp_path, tmp_path / "calibrate.txt"]
    assert said_twice(*read) == []
    first, change = records[0], next(record for record in records if record.is_change)
    text = first.brief.partition(" ")[0]
    drawing = next(iter(First().drawings(findings)))
    assert drawing.options is not None
    assert drawing.options["expected"] == text
    # another number on the first screen, in a table, on the console and in a record; and a change the other way
    for file, before, after in (
        ("report.html", f"<b>{text} ", "<b>12.5 "),
        ("report.html", f">{first.value}", ">12.5"),
        ("report.html", f"<b>{unbroken(change.brief)}", f"<b>{unbroken(change.brief.replace(' more', ' fewer'))}"),
        ("report.html", f">{change.value}", f">-{change.value}"),
        ("calibrate.txt", f"{text} firms (90%", "12.5 firms (90%"),
        ("report.json", f'"number": {first.number!r}', '"number": 12.5'),
    ):
        whole = (tmp_path / file).read_text(encoding="utf-8")
        assert before in whole, (file, before)
        (tmp_path / file).write_text(whole.replace(before, after, 1), encoding="utf-8")
        assert said_twice(*read), (file, before)
        (tmp_path / file).write_text(whole, encoding="utf-8")


def said_twice(*found: Path) -> list[str]:
    return list(faults([place for path in found for place in places(path)]))


RECORD: dict[str, object] = {"estimand": "left at 8", "number": -15.7, "interval": {"low": -32.8, "high": -8.36}}
RECORD |= {"conditional_on": [], "kind": "median", "judged": "built in"}
PAGE = '<script type="application/json" id="data">{}</script>'
CURVES = struct.pack("<10d", 0.0, -32.8, 0.0, -20.0, 0.0, -15.7, 0.0, -12.0, 0.0, -8.36)
OPENED = {
    "at": 1,
    "outcomes": [{"estimand": "left at 8"}],
    "structures": [{"whole": [base64.b64encode(CURVES).decode()]}],
}


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("player.html", PAGE.format(json.dumps(OPENED)), PAGE.format(json.dumps(OPENED | {"at": 0}))),
        (
            "report.html",
            '<section class="first"><dd>Half the pace: 16 firms fewer (90%: 8 to 33 fewer).</dd></section>',
            '<section class="first"><dd>Half the pace: 16 firms more (90%: 8 to 33 more).</dd></section>',
        ),
        ("README.md", "16 fewer (90%: 8 to 33)", "16 fewer (90%: 8 to 35)"),
        ("README.md", "16 m^3 less (90%: 8 to 33)", "16 m^3 less (90%: 8 to 35)"),
        ("README.md", "the model says −15.7 firms (90%: −32.8 to −8.36)", "15.7 firms (90%: 8.36 to 32.8)"),
        (
            "kept.json",
            json.dumps({"headlines": {"out": [RECORD]}}),
            json.dumps({"headlines": [RECORD | {"number": 1}]}),
        ),
        (
            "kept.json",
            json.dumps({"headlines": [RECORD | {"judged": "built in"}]}),
            json.dumps({"headlines": [RECORD | {"judged": "informed"}]}),
        ),
    ],
)
def test_a_number_of_any_page_is_compared_with_its_sign(file: str, right: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"headlines": [RECORD]}))
    for text, n in ((right, 0), (wrong, 1)):
        (tmp_path / file).write_text(text, encoding="utf-8")
        assert len(said_twice(tmp_path / "report.json", tmp_path / file)) == n


@pytest.mark.parametrize(
    ("text", "value", "same"),
    [
        ("300", 303.6, True),
        ("300", 340.0, False),
        ("57", 56.53, True),
        ("57", -56.53, False),
        ("1,234,600", 1234567, True),
    ],
)
def test_a_rounded_number_is_its_number(text: str, value: float, same: bool) -> None:
    assert is_rounded(text, value) == same


def test_the_number_is_the_median_of_the_draws_with_their_central_ninety_per_cent(
    made: Calibration, findings: Findings
) -> None:
    """Each run again by the interpreter of another engine; a wrong quantile is off by a tenth of the spread or more."""
    assert made.draws is not None
    names = [parameter.name for parameter in made.problem.space if parameter.target == "model"]

    def ends(n: int) -> NDArray[np.float64]:
        columns = dict(zip(names, evenly(made.draws.flat, n).T, strict=False))  # type: ignore[union-attr]
        runs = ensemble(made.problem.model, columns, save=["left"], engine="numpy")
        return np.asarray(runs.left.sel(time=8))

    record = first_screen(findings).numbers[0]
    assert record.kind == "median"
    assert record.basis is not None
    assert record.basis.origin == "posterior"
    assert record.interval is not None
    low, high = record.interval.low, record.interval.high
    every = np.quantile(ends(len(made.draws.flat)), [0.05, 0.5, 0.95])
    assert (low, record.number, high) == pytest.approx(tuple(every), rel=1e-9)
    fan = findings.fit.posterior.fan  # type: ignore[union-attr]
    assert fan is not None
    at_end = fan[:, np.isclose(findings.fit.curves.times, 8)][:, 0]
    assert at_end == pytest.approx(np.quantile(ends(FAN), [0.05, 0.25, 0.5, 0.75, 0.95]), rel=1e-9)
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
    for reason, why in (
        (f"{SPENT} after 9 points", " within the budget of its searches"),
        ("a jump", ", since a jump"),
    ):
        side, rule = Side("not found", 1.0, reason), Threshold(0.95)
        walked = Profile("c", np.ones(1), np.zeros(1), 1.0, rule, Verdict(side, Side("bounded", 2.0)))
        # draws that are to be trusted give the interval
        assert first_screen(replace(findings, fit=replace(findings.fit, profiles=(walked,)))).cautions == ()
        sentence = f"An end of the interval of c was not found{why}"
        assert first_screen(replace(rough, fit=replace(rough.fit, profiles=(walked,)))).cautions[-1] == f"{sentence}."
        alone = replace(findings, fit=replace(findings.fit, profiles=(walked,), posterior=None))
        screen = first_screen(alone)
        assert not alone.sound
        assert screen.title == "The intervals of 1 of 1 fitted constants were not found"
        assert screen.cautions == (f"{sentence}: --posterior gives it by draws.",)
        bounded = replace(walked, verdict=Verdict(Side("bounded", 1.0), Side("bounded", 2.0)))
        assert replace(alone, fit=replace(alone.fit, profiles=(walked, bounded))).sound
    assert first_screen(findings).cautions == ()
    assert isinstance(first_screen(findings).numbers[0].interval, Bounds)
