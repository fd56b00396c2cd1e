"""Predictions from before the data, scored by what came."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from calibration.assess.holdout import RollingOrigin
from calibration.assess.scores import summaries
from calibration.report import figures_posterior
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import listed

if TYPE_CHECKING:
    import pandas as pd


class Holdout(ReportPart):
    """Rolling-origin forecasts of the model and of rivals."""

    def tables(self, findings: Findings) -> "Mapping[str, pd.DataFrame]":
        """A line for each score, and their means."""
        rolling = findings.assessment.rolling
        if rolling is None or rolling.scores.empty:
            return {}
        return {"holdout": rolling.scores, "holdout_summary": rolling.summary}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """What each forecaster said, and what came."""
        rolling = findings.assessment.rolling
        if rolling is not None and len(rolling.scores):
            yield Drawing("holdout", figures_posterior.holdout_figure, (rolling, findings.fit.study.calendar))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Scores."""
        rolling = findings.assessment.rolling
        if rolling is None:
            return
        caption = (
            "What each forecaster said of the numbers that came later: medians and 90 % intervals; grey: what came."
        )
        blocks: tuple[Block, ...] = (score_table(findings.fit, rolling), *pictures.show("holdout", caption))
        if rolling.refuted:
            refuted = listed(rolling.refuted)
            blocks += (Paragraph(f"Under {refuted} the data up to an origin are impossible: no prediction."),)
        yield Section("Predictions before the data", blocks)

    def not_run(self, findings: Findings) -> Iterable[str]:
        """The dates of the study to predict from."""
        study = findings.fit.study
        if study.holdout and findings.assessment.rolling is None:
            dates = listed(study.calendar.label(time) for time in study.holdout)
            yield f"Predictions from {dates}, scored by what came later (--holdout)."


def score_table(fit: Fit, rolling: RollingOrigin) -> Table:
    """Scores of all forecasters, over all origins and for each."""
    whole = rolling.comparable
    parts = [("all", whole)]
    origins = sorted(whole["origin"].unique())
    if len(origins) > 1:
        parts += [(fit.study.calendar.label(origin), whole[whole["origin"] == origin]) for origin in origins]
    rows = [
        (known, s["forecaster"], str(s["n"]), str(s["n_numbers"]),
         f"{s['mean_log_score']:.2f} ± {s['log_score_error']:.2f}", f"{s['mean_crps']:.2f} ± {s['crps_error']:.2f}",
         f"{s['coverage_50']:.0%}", f"{s['coverage_90']:.0%}")
        for known, scores in parts
        for s in summaries(scores).to_dict("records")
    ]  # fmt: skip
    head = ("known up to", "forecaster", "n", "numbers", "log score", "CRPS", "in 50 %", "in 90 %")
    caption = (
        "Mean scores of the numbers that every forecaster predicted; lower is better. ± standard errors, in which a "
        "number that several origins predict counts once and neighbours in time may depend on each other."
    )
    return Table(head, tuple(rows), caption)
