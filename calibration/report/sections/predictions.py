"""Numbers of the model that the study reports, with their profiles and what they are conditional on."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from calibration.assess.posterior_predictive import LEVEL, DrawnPrediction
from calibration.report import figures_fit
from calibration.report.conclusions import prediction_given, prediction_sentences, prediction_verdict, prior_bounds
from calibration.report.findings import Findings, Fit, Posterior
from calibration.report.sections.base import IN_GROUPS, ReportPart, Rows, given_texts, record
from calibration.report.sections.best_fit import kind_of, profile_bounds, profile_points
from calibration.report.study_facts import Reported
from cipark_sd.headline import Bounds, Details, Headline
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import beside, interval, number, percent, rounded


class Predictions(ReportPart):
    """Reported predictions."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """One for each: the posterior's median, or the optimum with its profile where no draws are to be trusted."""
        fit, drawn = findings.fit, findings.draws
        structure = ("the study's own structure",) if fit.study.rivals else ()
        conditions = (*structure, *([IN_GROUPS] if fit.study.pools else given_texts(prediction_given(fit))))
        details = _by_draws(drawn) if drawn is not None and drawn.predictions else _by_profiles(fit)
        for reported, (value, known) in zip(fit.study.predictions, details, strict=False):
            if math.isfinite(value):
                beyond = (unseen(fit),) if is_beyond(fit, reported) else ()
                known |= {"unit": reported.unit, "conditional_on": (*conditions, *beyond)}
                known |= {"title": reported.title, "reported": reported_number(fit, reported)}
                yield record(findings, reported.estimand, value, **known)

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each prediction over the draws, at the optimum with its profile, and for each point of that."""
        fit = findings.fit
        drawn = () if fit.posterior is None else fit.posterior.predictions
        lines = [
            {
                "name": profile.name,
                "estimate": profile.estimate,
                "best": profile.best,
                "level": profile.threshold.level,
                "profile_low": profile.lower,
                "profile_high": profile.upper,
                "followed_to_low": float(profile.values[0]),
                "followed_to_high": float(profile.values[-1]),
                "prior_low": profile.prior_low if math.isfinite(profile.prior_low) else None,
                "prior_high": profile.prior_high if math.isfinite(profile.prior_high) else None,
                "low_side": profile.sides.lower.state,
                "high_side": profile.sides.upper.state,
                "verdict": profile.verdict,
            }
            for profile in fit.predictions
        ]
        points = profile_points("prediction", fit.predictions)
        return {"drawn_predictions": list(map(_columns, drawn)), "predictions": lines, "prediction_profiles": points}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Profiles."""
        if findings.fit.predictions:
            labels = [reported.label for reported in findings.fit.study.predictions]
            parts = (findings.fit.predictions, labels)
            yield Drawing("prediction_profiles", figures_fit.prediction_profiles_figure, parts)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Numbers, what they are given, and profiles."""
        fit = findings.fit
        if not fit.predictions:
            return
        level = percent(fit.level)
        blocks: tuple[Block, ...] = (
            Paragraph(
                f"How far each number may lie from that of the estimate before the fit gets worse than {level} allows "
                "(profile likelihood). It is what the model expects; the noise of a count comes on top."
            ),
            prediction_table(fit),
            *map(Paragraph, prediction_sentences(fit)),
            *pictures.show(
                "prediction_profiles",
                "Profiles of the predictions: how much worse the best fit is when the model has to give each number. "
                f"Dashed: the {level} interval ends where the curve crosses; without a crossing it is open. Shaded: "
                f"{level} of what the priors alone say. Line: at the estimate.",
            ),
        )
        yield Section("Profiles of the headline numbers", blocks)


def _by_draws(drawn: Posterior) -> Iterator[tuple[float, Details]]:
    """Medians with the central 90 % of the draws and of the priors; no number where the draws have no interval."""
    for line in drawn.predictions:
        low, _, median, _, high = line.quantiles
        ends = [(low, high), (line.prior_low, line.prior_high)]
        ours, alone = (
            Bounds(*pair, LEVEL, "central draws") if all(map(math.isfinite, pair)) else None for pair in ends
        )
        known: Details = {"unit": "", "kind": "median", "interval": ours, "prior": alone}
        yield math.nan if ours is None else median, known | {"basis": drawn.basis, "judged": line.kind}


def _by_profiles(fit: Fit) -> Iterator[tuple[float, Details]]:
    """Values at the optimum with their profiles."""
    for profile in fit.predictions:
        bounds, prior = profile_bounds(fit, profile), prior_bounds(profile)
        yield profile.estimate, {"unit": "", "kind": kind_of(fit), "interval": bounds, "prior": prior}


def _columns(line: DrawnPrediction) -> dict[str, object]:
    """A line with a column for each quantile, and nothing where a number is not defined."""
    values = {**dict(zip(("q5", "q25", "q50", "q75", "q95"), line.quantiles, strict=True)),
              "prior_q5": line.prior_low, "prior_q95": line.prior_high, "failed": line.failed}  # fmt: skip
    return {"name": line.name} | {key: value if math.isfinite(value) else None for key, value in values.items()}


def reported_number(fit: Fit, prediction: Reported) -> str:
    """What was reported of the quantity at its date, as people read it; empty where nothing was."""
    for rows in map(fit.curves.dated, prediction.observations):
        at_date = rows[np.isclose(rows["end"], prediction.time, rtol=1e-9, atol=0) & np.isfinite(rows["lower"])]
        if len(at_date):
            lower, upper = map(float, at_date.iloc[0][["lower", "upper"]])
            if math.isinf(upper):
                return f"at least {number(lower)}"
            return number(lower) if lower == upper else interval(lower, upper)
    return ""


def last_fitted(fit: Fit) -> float:
    """The last date of what was fitted; before everything where nothing was."""
    return float(max(fit.rows.loc[fit.rows["use"] == "fit", "end"], default=-math.inf))


def is_beyond(fit: Fit, prediction: Reported) -> bool:
    """Whether a prediction lies after all that was fitted."""
    last = last_fitted(fit)
    return prediction.time > last and not math.isclose(prediction.time, last)


def unseen(fit: Fit) -> str:
    """The condition of a number after the data."""
    return f"assumptions alone after {fit.study.calendar.label(last_fitted(fit))}"


def prediction_table(fit: Fit) -> Table:
    """Reported predictions with their profiles, beside what the priors alone say."""
    rows = [
        (
            reported.title,
            beside(profile.estimate, profile.lower, profile.upper),
            _as_headline(profile.lower, profile.upper, profile.sides.interval),
            _as_headline(profile.prior_low, profile.prior_high, interval(profile.prior_low, profile.prior_high)),
            prediction_verdict(fit, profile),
        )
        for profile, reported in zip(fit.predictions, fit.study.predictions, strict=False)
    ]
    level = percent(fit.predictions[0].threshold.level)
    head = ("prediction", "at the estimate", f"{level} profile", f"{level} of priors alone", "")
    return Table(head, tuple(rows), "What the model expects, beside what its priors alone say.")


def _as_headline(low: float | None, high: float | None, otherwise: str) -> str:
    """Both ends with the digits of the headline numbers of the page, ``otherwise`` where one lacks."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return otherwise
    return f"{rounded(low, high - low)} to {rounded(high, high - low)}"
