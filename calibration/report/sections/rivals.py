"""How well the model and its rivals predict: structures side by side, and predictions from before the data, scored."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import Comparison
from calibration.assess.scores import summaries
from calibration.report import figures_posterior
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart, Rows
from cipark_sd.base.wording import listed
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd


class Rivals(ReportPart):
    """Structures that were fitted to the same data."""

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each structure."""
        return {"rivals": [asdict(line) for line in findings.assessment.comparison]}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Structures against the best."""
        if findings.assessment.comparison:
            yield Drawing("rivals", figures_posterior.rivals_figure, (findings.assessment.comparison,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The comparison."""
        assessed = findings.assessment
        if not assessed.comparison:
            return
        blocks: list[Block] = [compared(assessed.comparison)]
        blocks += pictures.show(
            "rivals",
            "Left: leave-one-out log predictive density against the best, ± 2 standard errors. Right: weights.",
        )
        yield Section("Rival structures", tuple(blocks))

    def not_run(self, findings: Findings) -> Iterable[str]:
        """The rivals of the study."""
        rivals, assessed = findings.fit.study.rivals, findings.assessment
        if rivals and not (assessed.comparison or assessed.refuted):
            yield f"{len(rivals)} rival structures, each refitted to the same data (--rivals)."


def compared(lines: Sequence[Comparison]) -> Table:
    """Rival structures, best predictor first."""
    rows = [
        (f"{r.name}: {r.why}", f"{r.best_log_likelihood:.1f}", f"{r.elpd_behind:.1f} ± {r.behind_error:.1f}",
         weight_words(r), f"{r.log_evidence:.1f} ± {r.evidence_error:.1f}", f"{r.probability:.2f}",
         str(r.n_unreliable))
        for r in lines
    ]  # fmt: skip
    head = ("structure", "log likelihood", "behind ± s.e.", "stacking", "log evidence", "probability", "k > 0.7")
    caption = (
        "Best log likelihood; log predictive density behind the best; stacking weight with its bootstrap standard "
        "error over the terms; log evidence and the "
        "probability that it gives to equally likely structures; terms whose leave-one-out density took a refit."
    )
    return Table(head, tuple(rows), caption)


def weight_words(line: Comparison) -> str:
    """A stacking weight with its error, where it has one."""
    error = line.stacking_error
    return f"{line.stacking:.2f}" + ("" if math.isnan(error) else f" ± {error:.2f}")


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
