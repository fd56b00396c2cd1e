"""Numbers of the model that the study reports, with their profiles and what they are conditional on."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from calibration.report import figures_fit
from calibration.report.conclusions import prediction_given, prediction_sentences, prediction_verdict
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart, Rows, given_texts, record
from calibration.report.sections.best_fit import kind_of, profile_bounds, profile_points
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import interval, number, percent


@dataclass(frozen=True, slots=True)
class Predictions(ReportPart):
    """Reported predictions."""

    def headlines(self, found: Findings) -> Iterator[Headline]:
        """All of them."""
        fit = found.fit
        given = given_texts(prediction_given(fit))
        structure = ("the study's own structure",) if fit.study.rivals else ()
        for profile, reported in zip(fit.predictions, fit.study.predictions, strict=False):
            if math.isfinite(profile.estimate):
                yield record(
                    found,
                    reported.estimand,
                    profile.estimate,
                    unit=reported.unit,
                    kind=kind_of(fit),
                    interval=profile_bounds(profile),
                    given=(*structure, *given),
                    basis=None,
                    title=reported.name,
                )

    def tables(self, found: Findings) -> Mapping[str, Rows]:
        """A line for each prediction, and for each point of its profile."""
        fit = found.fit
        if not fit.predictions:
            return {}
        lines = [
            {
                "name": one.name,
                "estimate": one.estimate,
                "best": one.best,
                "level": one.threshold.level,
                "profile_low": one.lower,
                "profile_high": one.upper,
                "followed_to_low": float(one.values[0]),
                "followed_to_high": float(one.values[-1]),
                "prior_low": one.prior_low if math.isfinite(one.prior_low) else None,
                "prior_high": one.prior_high if math.isfinite(one.prior_high) else None,
                "low_side": one.sides.lower.state,
                "high_side": one.sides.upper.state,
                "verdict": one.verdict,
            }
            for one in fit.predictions
        ]
        return {"predictions": lines, "prediction_profiles": profile_points("prediction", fit.predictions)}

    def drawings(self, found: Findings) -> Iterator[Drawing]:
        """Profiles."""
        if found.fit.predictions:
            labels = [reported.label for reported in found.fit.study.predictions]
            parts = (found.fit.predictions, labels)
            yield Drawing("prediction_profiles", figures_fit.prediction_profiles_figure, parts)

    def sections(self, found: Findings, pictures: Pictures) -> Iterator[Section]:
        """Numbers, what they are given, and profiles."""
        fit = found.fit
        if not fit.predictions:
            return
        level = percent(fit.level)
        blocks: tuple[Block, ...] = (
            Paragraph(
                f"How far each reported number may lie from that of the estimate before the fit gets worse than "
                f"{level} allows (profile likelihood). It is the model's own number; the noise of a count comes on top."
            ),
            prediction_table(fit),
            *map(Paragraph, prediction_sentences(fit)),
            *pictures.show(
                "prediction_profiles",
                "Profiles of the predictions: how much worse the best fit is when the model has to say each number. "
                f"Dashed: the {level} interval ends where the curve crosses; without a crossing it is open. Shaded: "
                f"{level} of what the priors alone say. Line: at the estimate.",
            ),
        )
        yield Section("Reported predictions", blocks)

    def not_run(self, found: Findings) -> Iterable[str]:
        """Nothing: what a study reports is always computed, with the profiles of its parameters."""
        return ()


def prediction_table(fit: Fit) -> Table:
    """Reported predictions with their profiles, beside what the priors alone say."""
    rows = [
        (one.name, number(one.estimate), one.sides.interval, interval(one.prior_low, one.prior_high),
         prediction_verdict(fit, one))
        for one in fit.predictions
    ]  # fmt: skip
    level = percent(fit.predictions[0].threshold.level)
    head = ("prediction", "at the estimate", f"{level} profile", f"{level} of priors alone", "")
    return Table(head, tuple(rows), "Numbers of the model that the study reports.")
