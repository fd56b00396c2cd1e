"""What a page says of discrepancies, of what structures foretold, of shares, and of what follows the fit."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from foretold import foretold

from calibration.assess.assessment import NOTHING
from calibration.assess.forecast import EQUAL, LEVELS, OWN, table_of
from calibration.assess.posterior_predictive import Discrepancy
from calibration.assess.self_test import SelfTest
from calibration.report.sections import answer, best_fit, posterior, predictions
from cipark_sd.pages.blocks import Table
from cipark_sd.statements.claims import Basis

LINES = (
    Discrepancy("left", "the largest count", 41.0, 13.0, 21.0, 32.0, 0.0004, True),
    Discrepancy("left", "the scatter of residuals", 0.9, 0.3, 1.0, 2.2, 0.8, False),
)


def cells(table: object) -> list[tuple[str, ...]]:
    assert isinstance(table, Table)
    return [tuple(map(str, row)) for row in table.rows]


def test_what_fails_is_a_warning_and_nothing_else() -> None:
    said, no_residuals = SimpleNamespace(warnings=[], on_step_bounds=()), pd.DataFrame({"gain": []})
    reached = SimpleNamespace(searches=())
    fit = SimpleNamespace(optimum=reached, at_bound=(), conditions=said, residuals=no_residuals)
    assessed = SimpleNamespace(discrepancies=LINES, rolling=None, comparison=())
    findings: Any = SimpleNamespace(fit=fit, assessment=assessed, shown=assessed)
    assert list(answer.warnings(findings)) == [LINES[0].sentence]
    # of draws that are not to be trusted nothing is said
    findings.shown = NOTHING
    assert list(answer.warnings(findings)) == []


def test_all_statistics_stand_in_a_table_that_marks_what_fails() -> None:
    (table,) = posterior.replicated(LINES)
    assert [row[-1] for row in cells(table)] == ["fails", ""]
    assert cells(table)[0][2:5] == ("41", "21", "13 to 32")
    assert list(posterior.replicated(())) == []


@pytest.mark.parametrize(("structures", "n"), [((OWN,), 0), ((OWN, "A", EQUAL), 3)])
def test_every_structure_stands_at_the_last_date(structures: tuple[str, ...], n: int) -> None:
    rows = table_of(
        [
            foretold(year, [100.0 * i + round(100 * level) for level in LEVELS], name)
            for i, name in enumerate(structures)
            for year in (2020, 2021)
        ]
    )
    tables = list(predictions.by_structure(rows))
    assert sum(len(cells(table)) for table in tables) == n
    if n:
        assert cells(tables[0])[1] == ("left", "A", "2021", "105", "125", "150", "175", "195")
    assert set(predictions.own_rows(rows)["structure"]) == {OWN}


def test_the_coverage_of_forecasts_is_a_row_each() -> None:
    inside = np.array([[[0, 1, 1], [1, 1, 1]], [[0, 0, 1], [0, 1, 1]]], dtype=bool)
    tested = SelfTest(
        ("rate",), np.zeros((2, 1), dtype=np.intp), np.ones((2, 1, 3), dtype=bool), 0, 0, False,
        ("left at 9", "left at 10"), inside,
    )  # fmt: skip
    found = SimpleNamespace(assessment=SimpleNamespace(tested=tested))
    first, second = best_fit.Calculation().tables(found)["self_test_later"]
    assert first == {
        "quantity": "left at 9",
        "data_sets": 2,
        "coverage_0.5": 0.0,
        "coverage_0.9": 0.5,
        "coverage_0.95": 1.0,
    }
    assert second["coverage_0.5"] == 0.5


@pytest.mark.parametrize("structure", [OWN, EQUAL])
def test_the_headline_of_a_forecast_is_the_median_of_its_last_date_between_the_ends_of_its_level(
    structure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each quantile is its own level, so that an interval says which level it is of."""
    monkeypatch.setattr(predictions, "record", lambda findings, estimand, number, **more: SimpleNamespace(
        estimand=estimand, number=number, **more))  # fmt: skip
    rows = table_of([foretold(year, [year + level for level in LEVELS], structure) for year in (2021, 2020)])
    assessed = SimpleNamespace(forecasts=rows, comparison=[])
    posterior = SimpleNamespace(basis=Basis("posterior", 50))
    study = SimpleNamespace(questions=SimpleNamespace(since=()))
    fit = SimpleNamespace(posterior=posterior, study=study)
    findings = SimpleNamespace(assessment=assessed, shown=assessed, fit=fit)
    (headline,) = predictions.Forecasts().headlines(findings)
    assert headline.number == 2021.5
    ends = (headline.interval.low - 2021, headline.interval.high - 2021)
    assert ends == pytest.approx((0.05, 0.95))
    assert headline.interval.level == pytest.approx(ends[1] - ends[0])
