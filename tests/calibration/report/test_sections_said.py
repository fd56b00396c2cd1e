"""What stands around the numbers of a page: heads of tables, what a picture shows, and what was not run."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from approved import approved
from foretold import foretold
from scipy import stats

from calibration.assess import forecast
from calibration.assess.assessment import NOTHING
from calibration.assess.contraction import Contraction
from calibration.assess.forecast import EQUAL, LEVELS, OWN
from calibration.assess.holdout import MODEL, RollingOrigin
from calibration.assess.posterior_predictive import Discrepancy
from calibration.assess.rivals import Comparison
from calibration.assess.scores import COLUMNS, table_of
from calibration.inference.profile.verdict import Side, Verdict
from calibration.inference.sample.convergence import CONVERGED, Convergence, poorest
from calibration.inference.sample.known_optima import Hills
from calibration.report.sections.answer import cautions
from calibration.report.sections.constants import constants
from calibration.report.sections.posterior import Posterior
from calibration.report.sections.predictions import Forecasts, Holdout, Rivals
from calibration.study.calendar import Calendar
from cipark_sd.pages.blocks import Listing, Paragraph, Picture, Table
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.claims import Basis

ALL = Pictures(frozenset({"holdout", "rivals", "posterior", "pairs", "pit", "forecast"}))


def entry(forecaster: str, origin: float, year: float, log_score: float) -> dict[str, object]:
    scores = (log_score, 1.0, 0.1, 0.5, True, False)
    row = (forecaster, origin, f"left {year:g}", year, 1.0, 1.0, *scores, 0.0, 1.0, 2.0, 3.0, 4.0)
    return dict(zip(COLUMNS, row, strict=True))


ROLLING = RollingOrigin(
    table_of(
        [entry(name, origin, origin + 1, bad) for origin in (2019.0, 2020.0) for name, bad in ((MODEL, 1), ("B", 2))]
    ),
    (),
)
COMPARED = (Comparison("A", "as it is", True, -10.0, -12.0, 0.0, 0.0, 1, 0.75, -15.0, 0.1, 0.8, "importance", 0.2),)
FORECASTS = forecast.table_of(
    [
        foretold(year, [10 * (year - 2020) + level for level in LEVELS], structure)
        for year in range(2021, 2028)
        for structure in (OWN, EQUAL)
    ]
)
MIXED = Convergence("rate", 1.004, 900.0, 800.0, 0.2, 0.02, 0.16, 0.2, 0.24, 0.001, 0.002, 0.001, 0.003, 0.05)
DRAWN = SimpleNamespace(
    how="Importance sampling.",
    flat=np.zeros((1234, 1)),
    theta=np.zeros((2, 617, 1)),
    mixing=(MIXED,),
    lines=(),
    predicted=(),
    basis=Basis("posterior", 1234, True),
)


def findings(**assessed: Any) -> Any:
    study = SimpleNamespace(
        calendar=Calendar(),
        holdout=(2019.0, 2020.0),
        rivals=("A", "B"),
        space=(),
        deviations=(),
        time=None,
        questions=SimpleNamespace(since=()),
    )
    fit = SimpleNamespace(study=study, posterior=DRAWN, curves=SimpleNamespace(levels={}))
    parts = {"rolling": None, "comparison": (), "refuted": (), "forecasts": forecast.table_of(())}
    everything = SimpleNamespace(**(parts | {"contractions": (), "discrepancies": ()} | assessed))
    return SimpleNamespace(fit=fit, assessment=everything, shown=everything, bands=True)


def cautioned(estimate: float = 0.2, profile: Any = None, bound: tuple[str, ...] = (), **of_draws: Any) -> list[str]:
    """Cautions of a fit of one constant, whose draws are the hundredths from 0.01 to 1, and of hills."""
    known = {"converged": True, "basis": Basis("posterior", 100, True), "hills": None} | of_draws
    hills = known.pop("hills")
    drawn = SimpleNamespace(**known, interrupted=False, obstacle="9 chains stay at other optima", mixing=(MIXED,))
    drawn.flat = np.linspace(0.01, 1, 100)[:, None]
    rate = SimpleNamespace(name="rate", target="model", use="CAL")
    fit = SimpleNamespace(
        study=SimpleNamespace(space=[rate], questions=SimpleNamespace(since=())),
        optimum=SimpleNamespace(interrupted=False, theta=np.array([estimate])),
        at_bound=bound,
        hills=hills,
        profiles=() if profile is None else (profile,),
        unfound_by_reason={},
        conditions=SimpleNamespace(of_the_step="", on_step_bounds=()),
        replication=SimpleNamespace(sound=True),
        posterior=drawn,
    )
    shown: Any = SimpleNamespace(
        fit=fit, draws=drawn if known["converged"] else None, assessment=SimpleNamespace(interrupted=False)
    )
    return list(cautions(shown))


def test_what_stands_in_the_way_of_a_posterior_is_the_caution() -> None:
    assert cautioned() == []
    said = "The posterior has not converged, so no band is drawn: 9 chains stay at other optima."
    assert cautioned(converged=False) == [said]


def test_two_hills_are_a_caution() -> None:
    (said,) = cautioned(hills=Hills(("rate",), (0.2,), (0.7,), 0.5))
    assert said == Hills(("rate",), (0.2,), (0.7,), 0.5).sentence


def test_few_draws_say_how_rough_their_ends_are() -> None:
    (said,) = cautioned(basis=Basis("posterior", 100, True, 99))
    approved(said)


def test_an_estimate_or_a_profile_apart_from_the_draws_is_the_first_caution() -> None:
    def profiled(lower: float | None, upper: float | None) -> Any:
        sides = Side("bounded", lower or 0.0), Side("bounded", upper or 2.0)
        return SimpleNamespace(name="rate", lower=lower, upper=upper, verdict=Verdict(*sides))

    approved(cautioned(1.5)[0])
    approved(cautioned(0.5, profiled(1.2, 1.4))[0])
    assert cautioned(1.5, basis=Basis("posterior", 100, True, 99))[0].startswith("Best fit and draws disagree in rate")
    assert len(cautioned(0.5, profiled(None, 0.001))) == 1
    # what is wide of one and narrow of the other is no contradiction
    assert cautioned(0.5, profiled(0.9, None)) == []
    # an estimate on its bound is said by itself
    assert cautioned(1.5, bound=("rate",)) == []


def blocks(part: Any, found: Any) -> tuple[list[Table], dict[str, str], str]:
    """Tables, captions of pictures, and all other words of the one section."""
    (section,) = part.sections(found, ALL)
    tables = [block for block in section.blocks if isinstance(block, Table)]
    shown = {block.file.removesuffix(".svg"): block.caption for block in section.blocks if isinstance(block, Picture)}
    words = [block.text if isinstance(block, Paragraph) else " ".join(block.items)
             for block in section.blocks if isinstance(block, Paragraph | Listing)]  # fmt: skip
    return tables, shown, " ".join(words)


def test_predictions_before_the_data_are_scored_in_all_and_for_each_origin() -> None:
    found = findings(rolling=ROLLING)
    (scores,), shown, _ = blocks(Holdout(), found)
    assert scores.head == ("known up to", "forecaster", "n", "numbers", "log score", "CRPS", "in 50%", "in 90%")
    assert [row[:4] for row in scores.rows] == [
        ("all", MODEL, "2", "2"), ("all", "B", "2", "2"),
        ("2018-12-31", MODEL, "1", "1"), ("2018-12-31", "B", "1", "1"),
        ("2019-12-31", MODEL, "1", "1"), ("2019-12-31", "B", "1", "1"),
    ]  # fmt: skip
    assert scores.rows[0][-2:] == ("100%", "0%")
    approved(scores.caption)
    assert shown["holdout"].startswith("What each forecaster said of the numbers that came later: medians and 90%")
    assert Holdout().tables(found).keys() == {"holdout", "holdout_summary"}
    assert Holdout().tables(found)["holdout"]["q0.95"].tolist() == [4.0] * 4
    assert [drawing.name for drawing in Holdout().drawings(found)] == ["holdout"]
    assert not list(Holdout().not_run(found))


def test_one_origin_has_no_lines_of_its_own() -> None:
    one = RollingOrigin(ROLLING.scores.head(2), ())
    (scores,), _, words = blocks(Holdout(), findings(rolling=one))
    assert [row[0] for row in scores.rows] == ["all", "all"]
    assert not words
    refuted = RollingOrigin(ROLLING.scores.head(2), (), ("C",))
    approved(blocks(Holdout(), findings(rolling=refuted))[2])


def test_what_was_not_run_is_said_with_its_option_and_nothing_is_written_of_it() -> None:
    without = findings()
    for part in (Holdout(), Rivals(), Forecasts(), Posterior()):
        # of draws nothing is said but how they were made
        assert [block.text for section in part.sections(without, ALL) for block in section.blocks] == (
            [f"Importance sampling. 1,234 draws kept; {poorest((MIXED,))} (wanted: {CONVERGED})."]
            if isinstance(part, Posterior)
            else []
        )
        assert not list(part.drawings(without))
    assert Holdout().tables(without) == Forecasts().tables(without) == {}
    assert not Rivals().tables(without)["rivals"]
    approved(list(Holdout().not_run(without)))
    approved(list(Rivals().not_run(without)))
    assert not list(Posterior().not_run(without))
    without.fit.posterior = None
    approved(list(Posterior().not_run(without)))
    assert not list(Forecasts().not_run(without))
    without.bands, without.shown = False, NOTHING
    approved(list(Forecasts().not_run(without)))


def test_rivals_are_compared() -> None:
    found = findings(comparison=COMPARED)
    (compared,), shown, _ = blocks(Rivals(), found)
    assert compared.head == (
        "structure", "log likelihood", "behind ± s.e.", "stacking", "log evidence", "probability", "k > 0.7",
    )  # fmt: skip
    assert compared.rows == (("A: as it is", "-10.0", "0.0 ± 0.0", "0.75 ± 0.20", "-15.0 ± 0.1", "0.80", "1"),)
    approved(compared.caption)
    assert shown["rivals"].startswith("Left: leave-one-out log predictive density against the best, ± 2 standard")
    assert [drawing.name for drawing in Rivals().drawings(found)] == ["rivals"]
    assert Rivals().tables(found).keys() == {"rivals"}
    assert not list(Rivals().not_run(found))


def test_the_posterior_is_described_with_what_the_data_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibration.report.sections.posterior.posterior_table", lambda fit: [])
    line = Contraction("rate", 0.9, 0.01, 0.3, "informed")
    statistic = Discrepancy("left", "the largest count", 41.0, 13.0, 21.0, 32.0, 0.0004, True)
    found = findings(contractions=(line,), discrepancies=(statistic,))
    (table, replicated), shown, words = blocks(Posterior(), found)
    approved(words)
    assert table.head == (
        "parameter", "mean ± error", "median", "95%", "errors of these", "contraction", "to prior", "to data", "R-hat",
        "ESS", "in words",
    )  # fmt: skip
    assert table.rows == (
        ("rate", "0.200 ± 0.001", "0.200", "0.16 to 0.24", "0.002, 0.003", "0.90", "0.01", "0.30", "1.004", "800",
         "narrowed"),
    )  # fmt: skip
    approved(table.caption)
    assert replicated.head == ("observation", "statistic", "data", "replicates", "95%", "probability", "")
    approved(replicated.caption)
    assert shown["posterior"] == "Posterior (filled) and prior (line) of each parameter, on its own scale."
    assert shown["pairs"].startswith("Joint draws of the parameters that the data narrow most, with their rank corr")
    assert shown["pit"].startswith("Where each fitted count (each measurement, where nothing was counted) lies within ")
    assert "posterior that has not seen it, on the line where predictions are right. Hollow: imp" in shown["pit"]
    assert [drawing.name for drawing in Posterior().drawings(found)] == ["posterior", "pairs"]
    assert Posterior().tables(found).keys() == {"posterior", "predictive", "contraction", "discrepancies"}
    found.bands, found.shown = False, NOTHING
    assert not list(Posterior().drawings(found))
    # the moments have their convergence beside them
    assert not any(rows for name, rows in Posterior().tables(found).items() if name != "posterior")


def test_a_forecast_has_a_few_dates_with_the_ends_that_its_head_names() -> None:
    found = findings(forecasts=FORECASTS, comparison=COMPARED)
    (dates, last), shown, words = blocks(Forecasts(), found)
    assert dates.head == ("observation", "scenario", "date", "5%", "25%", "50%", "75%", "95%")
    assert [row[2] for row in dates.rows] == ["2021", "2023", "2025", "2027"]
    # each quantile is ten a year and its own level
    assert dates.rows[0] == ("left", "as fitted", "2021", "10.1", "10.2", "10.5", "10.8", "10.9")
    assert last.head == ("observation", "structure", "date", "5%", "25%", "50%", "75%", "95%")
    assert [row[:3] for row in last.rows] == [("left", OWN, "2027"), ("left", EQUAL, "2027")]
    approved(last.caption)
    approved(words)
    assert shown["forecast"] == "Medians, 50% and 90% bands by scenario, after the numbers that were seen."
    # without bands nothing of it is on the page or in a table
    assert Forecasts().tables(found).keys() == {"forecast"}
    found.bands, found.shown = False, NOTHING
    assert not Forecasts().tables(found)
    assert not list(Forecasts().sections(found, ALL))
    assert not list(Forecasts().drawings(found))
    alone = findings(forecasts=FORECASTS[FORECASTS["structure"] == OWN])
    assert len(blocks(Forecasts(), alone)[0]) == 1


def test_counts_are_whole_and_measurements_have_three_digits() -> None:
    counts = forecast.table_of([foretold(2021, [float(round(100 * level)) for level in LEVELS])])
    ((table,), _, _) = blocks(Forecasts(), findings(forecasts=counts))
    assert table.rows[0][3:] == ("5", "25", "50", "75", "95")


def told(findings: Any, estimand: str, number: float, **more: Any) -> Any:
    """In the place of a record, which needs a whole fit."""
    return SimpleNamespace(estimand=estimand, number=number, **more)


def test_a_forecast_says_which_structure_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibration.report.sections.predictions.record", told)
    own, mixed = Forecasts().headlines(findings(forecasts=FORECASTS, comparison=COMPARED * 2))
    approved(own.estimand)
    approved(own.conditional_on)
    approved(mixed.estimand)
    approved(mixed.conditional_on)
    assert not list(Forecasts().headlines(findings()))


def test_constants_of_the_model_are_headlines_of_the_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the noise are none, nor what was judged by nothing, nor how groups differ."""
    monkeypatch.setattr("calibration.report.sections.constants.record", told)
    monkeypatch.setattr("calibration.report.sections.constants.misfit", lambda findings: "")
    names = ("rate", "sd", "unjudged", "group 1")
    space = tuple(
        SimpleNamespace(
            name=name, target="noise" if name == "sd" else "model", interval=lambda level: (0.0, level), scale="log"
        )
        for name in names
    )
    lines = tuple(SimpleNamespace(name=name, median=0.2, ess_tail=np.inf) for name in names)
    held = (
        SimpleNamespace(name="pace", value=1.0, source="file"),
        SimpleNamespace(name="x", value=2.0, source="prior"),
    )
    verdicts = {name: SimpleNamespace(held=held) for name in names if name != "unjudged"}
    # the 5% and 95% quantiles of 0.1, 0.2, ... 2.1 lie at the second value and the one before the last
    flat = np.tile(np.linspace(0.1, 2.1, 21)[:, None], 4)
    drawn = SimpleNamespace(mixing=lines, flat=flat, basis=Basis("posterior", 10, True))
    study = SimpleNamespace(space=space, deviations=("group 1",), starts=(), unit=lambda name: "1/year")
    seen = SimpleNamespace(names=())
    fit = SimpleNamespace(
        study=study, posterior=drawn, conditions=SimpleNamespace(of=verdicts.get), identifiability=seen, profiles=()
    )
    added = SimpleNamespace(contractions=(Contraction("rate", 0.9, 0.01, 0.3, "informed"),))
    (found,) = constants(SimpleNamespace(fit=fit, draws=drawn, assessment=added))  # type: ignore[arg-type]
    assert (found.number, found.unit, found.conditional_on) == (0.2, "1/year", ("pace = 1",))
    assert (found.interval.low, found.interval.high) == pytest.approx((0.2, 2.0))
    # one standard error beyond 5% of 21 draws: Vehtari et al. 2021, by the beta distribution of that share
    share = stats.beta.ppf(stats.norm.cdf(-1), 21 * 0.05 + 1, 21 * 0.95 + 1)
    assert found.interval.widest == pytest.approx((0.1 + 2 * share, 2.1 - 2 * share))
    assert found.interval.level == found.prior.level == found.prior.high == 0.9
    assert found.scale == "log"


def test_ranks_of_the_data_are_drawn_where_there_are_some() -> None:
    found = findings(contractions=(Contraction("rate", 0.9, 0.01, 0.3, "informed"),))
    found.fit.posterior = SimpleNamespace(**vars(DRAWN) | {"predicted": (SimpleNamespace(use="fit", kind="count"),)})
    assert [drawing.name for drawing in Posterior().drawings(found)][-1] == "pit"
    found.bands, found.shown = False, NOTHING
    assert "pit" not in [drawing.name for drawing in Posterior().drawings(found)]
