"""What stands beside a prediction: what was reported of it, whether it lies after the data, and its ends."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from approved import approved
from fitted_rows import fitted_rows
from small_study import small_study

from calibration.commands.pipeline import Settings, calibrate
from calibration.report.collect import fit_findings
from calibration.report.findings import Curves, Findings
from calibration.report.sections import constants, predictions
from cipark_sd.pages.blocks import Table
from cipark_sd.pages.parts import Pictures

SEEN, LATER = "within the data", "after them"


def row(end: float, lower: float, upper: float | None = None, use: str = "fit") -> Any:
    return {"end": end, "lower": lower, "upper": lower if upper is None else upper, "use": use}


def fit(*rows: Any, **levels: tuple[Any, ...]) -> Any:
    calendar = SimpleNamespace(label=lambda time: f"day {time:g}")
    curves = Curves(np.zeros(0), {}, {name: fitted_rows(*seen) for name, seen in levels.items()})
    return SimpleNamespace(rows=fitted_rows(*rows), curves=curves, study=SimpleNamespace(calendar=calendar))


def at(time: float, *observations: str) -> Any:
    return SimpleNamespace(time=time, observations=observations)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (row(3.0, 41.0), "41"),
        (row(3.0 + 1e-12, 41.0), "41"),
        (row(3.0, 40.0, 50.0), "40 to 50"),
        (row(3.0, 40.0, math.inf), "at least 40"),
        (row(3.0, math.nan), ""),
        (row(2.0, 41.0), ""),
    ],
)
def test_what_was_reported_at_its_date_stands_beside_it(seen: Any, said: str) -> None:
    assert predictions.reported_number(fit(firms=(row(1.0, 7.0), seen)), at(3.0, "firms")) == said
    assert predictions.reported_number(fit(firms=(seen,)), at(3.0, "others")) == ""
    assert predictions.reported_number(fit(firms=(seen,)), at(3.0)) == ""


@pytest.mark.parametrize(
    ("time", "beyond"), [(4.0, False), (5.0, False), (5.0 * (1 + 1e-12), False), (5.001, True), (6.0, True)]
)
def test_a_number_after_all_that_was_fitted_rests_on_assumptions(time: float, beyond: bool) -> None:
    # what is held out or only looked at is no data of the fit
    study = fit(row(5.0, 1.0), row(3.0, 1.0), row(9.0, 1.0, use="holdout"), row(8.0, 1.0, use="check"))
    assert predictions.is_beyond(study, at(time)) == beyond
    approved(predictions.unseen(study))


def test_where_nothing_was_fitted_every_number_is_beyond() -> None:
    assert predictions.is_beyond(fit(row(9.0, 1.0, use="check")), at(-5.0))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (2.0, 4.0, "2.0 to 4.0"),
        # digits go by the width, whatever is far from zero
        (1002.04, 1002.56, "1002.04 to 1002.56"),
        (None, 4.0, "open"),
        (2.0, None, "open"),
        (-math.inf, 4.0, "open"),
        (2.0, math.inf, "open"),
    ],
)
def test_an_interval_that_lacks_an_end_is_said_in_words(low: float | None, high: float | None, said: str) -> None:
    assert predictions._as_headline(low, high, "open") == said


@pytest.mark.parametrize(("estimate", "kind"), [("map", "MAP optimum"), ("ml", "ML optimum")])
def test_the_kind_of_an_estimate(estimate: str, kind: str) -> None:
    study: Any = SimpleNamespace(study=SimpleNamespace(method=SimpleNamespace(estimate=estimate)))
    assert constants.kind_of(study) == kind


ASKED = "".join(
    f'[[prediction]]\nname = "{name}"\nvariable = "left"\nat = {at}\n' for name, at in ((SEEN, 8), (LATER, 10))
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("asked")
    small_study(folder, ASKED)
    return Findings(
        fit_findings(calibrate(Settings(folder, posterior=False, engine="native", starts=2, compare_pysd=False)))
    )


def test_a_prediction_after_the_data_is_conditional_on_assumptions(asked: Findings) -> None:
    seen, later = predictions.Predictions().headlines(asked)
    assert (seen.title, later.title) == (SEEN, LATER)
    assert not any("assumptions alone" in condition for condition in seen.conditional_on)
    approved(later.conditional_on)


def test_where_the_user_stopped_the_predictions_that_are_done_are_said(asked: Findings) -> None:
    stopped = replace(asked, fit=replace(asked.fit, predictions=asked.fit.predictions[:1]))
    assert [record.title for record in predictions.Predictions().headlines(stopped)] == [SEEN]
    (section,) = predictions.Predictions().sections(stopped, Pictures())
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    approved(table.head)
    assert [row[0] for row in table.rows] == [SEEN]
    approved(table.caption)
    none = replace(asked, fit=replace(asked.fit, predictions=()))
    assert not list(predictions.Predictions().sections(none, Pictures()))
    assert not any(predictions.Predictions().tables(none).values())
