"""The data and the model at the optimum, number by number."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from calibration.inference.optimum.course_errors import ENOUGH, SETS, course_words
from calibration.report import figures_fit, figures_posterior
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart, Rows
from cipark_sd.base.wording import band, interval, listed, number
from cipark_sd.pages.blocks import Block, Folded, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd


class Data(ReportPart):
    """Observed against expected."""

    def tables(self, findings: Findings) -> "Mapping[str, Rows | pd.DataFrame]":
        """A line for each number."""
        courses = [
            {**{key: value for key, value in asdict(errors).items() if key != "chance"},
             **{f"chance_{key}".replace(" ", "_"): value for key, value in errors.chance.items()}}
            for errors in findings.fit.courses
        ]  # fmt: skip
        return {"fitted": findings.fit.rows, "course_errors": courses}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The model beside the numbers, and what the posterior predicts of them."""
        fit = findings.fit
        options = {
            "axis_labels": {observation.name: observation.label for observation in fit.study.observations},
            "time": fit.study.time,
        }
        parts = (fit.curves.times, fit.curves.courses, fit.curves.levels, fit.rows)
        yield Drawing("fit", figures_fit.fit_figure, parts, options)
        if findings.assessment.bands and findings.bands:
            yield Drawing(
                "bands",
                figures_posterior.bands_figure,
                (findings.assessment.bands, fit.study.observations),
                {"time": fit.study.time},
            )

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Figures, and folded away observations and a line for each number."""
        blocks: tuple[Block, ...] = (
            *pictures.show(
                "bands",
                "What the posterior predicts, noise included, and what was reported; increments are added up from the "
                "start, so that a batch raises all later numbers.",
            ),
            *pictures.show(
                "fit",
                "The model at the optimum, dated numbers where they were reported, and residuals of the fitted ones.",
            ),
            *map(Paragraph, course_words(findings.fit.courses)),
            *((courses_table(findings.fit),) if findings.fit.courses else ()),
            Folded("Every number, seen and expected", (observed_table(findings.fit), fitted_table(findings.fit))),
        )
        yield Section("The data and the model", blocks)


def courses_table(fit: Fit) -> Table:
    """How each long series and the model part."""
    rows = []
    for errors in fit.courses:
        figures = {
            "bias": f"{errors.bias:.0%}",
            "variance": f"{errors.variance:.0%}",
            "phase": f"{errors.phase:+.2g}",
            "autocorrelation": f"{errors.autocorrelation:+.2f}",
            "mean residual": f"{errors.mean_residual:+.2f}",
        }
        shown = (f"{figures[name]} ({errors.chance[name]:.2g})" for name in figures)
        rows.append((errors.observation, str(errors.n), number(errors.rmse, digits=2), *shown))
    names = ("bias", "unequal variation", "phase", "autocorrelation of residuals", "mean residual")
    head = ("series", "numbers", "root mean square", *names)
    caption = (
        f"Series of {ENOUGH} fitted numbers and more: where the model and what was seen part. In brackets the share of "
        f"{SETS:,} data sets of the fitted model itself in which a figure is as large; parameters are held, so that "
        "the share is rather too large. Bias and unequal variation are parts of the mean squared error of the "
        "trajectory, with increments added up. Phase, in model time: how much later the model would fit best; "
        "negative: earlier. A steady rise cannot separate phase from bias. A figure that is not striking does not "
        "show the model right: few numbers let little stand out."
    )
    return Table(head, tuple(rows), caption)


def observed_table(fit: Fit) -> Table:
    """What was observed: a row for each observation."""
    rows = []
    label = fit.study.calendar.label
    for observation in fit.study.observations:
        chosen = fit.rows[fit.rows["observation"] == observation.name]
        counts = tuple(str((chosen["use"] == use).sum()) for use in ("fit", "holdout", "check"))
        dated = chosen if (chosen["use"] == "check").all() else chosen[chosen["use"] != "check"]
        first, last = label(dated["end"].min()), label(dated["end"].max())
        span = first if first == last else f"{first} to {last}"
        names = (observation.name, observation.kind, observation.variables)
        rows.append((*names, span, observation.families, *counts))
    head = ("observation", "kind", "of the model", "dates", "noise", "fitted", "held out", "compared only")
    return Table(head, tuple(rows), "What was observed; numbers of each use. Sources are in the study's tables.")


def fitted_table(fit: Fit) -> Table:
    """Observed against expected at the optimum, row by row."""
    rows = []
    for row in fit.rows.to_dict("records"):
        lower, upper = row["lower"], row["upper"]
        observed = f"{lower:g}" if lower == upper else interval(lower, upper)
        noise = band(row["low"], row["high"]) if np.isfinite(row["low"]) else ""
        shown = (f"{row['expected']:.2f}", noise, f"{row['residual']:+.1f}", figures_fit.USES[row["use"]][2])
        rows.append((str(row["label"]), observed, *shown))
    head = ("number", "seen", "model", "90 % of noise", "quantile residual", "use")
    caption = (
        "Seen against expected at the optimum, whose parameters are held in the band. Quantile residual: the standard "
        "normal number that is as improbable as what was seen, in the same direction."
    )
    if (fit.rows["use"] == "holdout").any():
        caption += (
            " The band is the noise alone: of numbers that are held out fewer lie in it than the share that it names, "
            "since the parameters are uncertain, too."
        )
    increments = [observation.name for observation in fit.study.observations if observation.kind == "increments"]
    if increments:
        caption += f" Of {listed(increments)}, a number is what came since the one before it."
    return Table(head, tuple(rows), caption)
