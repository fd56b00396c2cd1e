"""What the model predicts: the numbers that the study reports, forecasts, and how it foretold beside its rivals."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.forecast import EQUAL, FITTED, OWN, QUANTILES, origins
from calibration.assess.posterior_predictive import DRAWN, LEVEL
from calibration.report import figures_fit, figures_posterior
from calibration.report.conclusions import prediction_given, prediction_sentences, prediction_verdict, prior_bounds
from calibration.report.findings import Findings, Fit, Posterior, Reported
from calibration.report.sections.base import IN_GROUPS, ReportPart, Rows, given_texts, record
from calibration.report.sections.best_fit import profile_points
from calibration.report.sections.constants import kind_of, profile_bounds
from cipark_sd.base.wording import beside, interval, number, percent, rounded, said_date
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.claims import CONFIDENCE, classify
from cipark_sd.statements.headline import Bounds, Details, Headline

if TYPE_CHECKING:
    import pandas as pd
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import Comparison
from calibration.assess.scores import summaries
from cipark_sd.base.wording import listed

if TYPE_CHECKING:
    import pandas as pd


class Predictions(ReportPart):
    """Reported predictions."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """One for each: the posterior's median, or the optimum with its profile where no draws are to be trusted."""
        fit, drawn = findings.fit, findings.draws
        yield from _of_event(findings)
        structure = ("the study's own structure",) if fit.study.rivals else ()
        conditions = (*structure, *([IN_GROUPS] if fit.study.pools else given_texts(prediction_given(fit))))
        has_draws = drawn is not None and len(drawn.predictions) > 0
        details = by_draws(drawn, drawn.predictions) if drawn is not None and has_draws else _by_profiles(fit)
        for reported, (value, known) in zip(fit.study.predictions, details, strict=False):
            if math.isfinite(value):
                beyond = (unseen(fit),) if is_beyond(fit, reported) else ()
                known |= {"unit": reported.unit, "conditional_on": (*conditions, *beyond)}
                known |= {"title": _reached(reported, drawn), "reported": reported_number(fit, reported)}
                yield record(findings, reported.estimand, value, **known)

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each prediction over the draws, at the optimum with its profile, and for each point of that."""
        fit = findings.fit
        drawn = _lines(fit.posterior.predictions) if fit.posterior is not None and findings.bands else []
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
                "low_side": profile.verdict.lower.state,
                "high_side": profile.verdict.upper.state,
                "verdict": profile.words,
            }
            for profile in fit.predictions
        ]
        points = profile_points("prediction", fit.predictions)
        return {"drawn_predictions": drawn, "predictions": lines, "prediction_profiles": points}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Profiles."""
        if findings.fit.predictions:
            labels = [reported.label for reported in findings.fit.study.predictions]
            draw = figures_fit.prediction_profiles_figure
            yield Drawing("prediction_profiles", draw, findings.fit.predictions, labels)

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
            _prediction_table(fit),
            *map(Paragraph, prediction_sentences(fit)),
            *pictures.show(
                "prediction_profiles",
                "Profiles of the predictions: how much worse the best fit is when the model has to give each number. "
                f"Dashed: the {level} interval ends where the curve crosses; without a crossing it is open. Shaded: "
                f"{level} of what the priors alone say. Line: at the estimate.",
            ),
        )
        yield Section("Profiles of the headline numbers", blocks)


def _of_event(findings: Findings) -> Iterator[Headline]:
    """The probability of what is asked, the most likely of several first, under the question's own estimand."""
    drawn, about = findings.draws, findings.fit.study.about
    if drawn is None or not findings.fit.study.asks_event:
        return
    lines = [(evidence.posterior, evidence) for evidence in drawn.event if evidence.posterior is not None]
    for i, (after, evidence) in enumerate(sorted(lines, key=lambda line: -line[0].share)):
        ours, alone = (Bounds(*of.interval, CONFIDENCE, "draws") for of in (after, evidence.prior))
        known = Details(unit="", kind="probability", interval=ours, prior=alone, basis=drawn.basis)
        known |= {"judged": classify([evidence]).kind, "title": f"probability that {evidence.structure}"}
        yield record(findings, about if i == 0 else f"{about}: {evidence.structure}", after.share, **known)


def _reached(reported: Reported, drawn: Posterior | None) -> str:
    """The title of a prediction, with the share of the draws of which its number is where it is not all."""
    lines = () if drawn is None else drawn.predictions[["name", "failed"]].itertuples(index=False, name=None)
    share = 1 - dict(lines).get(reported.name, 0.0)
    if share == 1:
        return reported.title
    return f"{reported.title}, in the {percent(min(round(share, 3), 0.999))} of draws that reach it"


def at_estimate(findings: Findings, about: str) -> Iterator[Headline]:
    """The prediction of an estimand by the estimate alone, where neither draws nor its profile give an interval.

    Parameters
    ----------
    about : str
        The estimand.

    Returns
    -------
    iterator of Headline
        One, or none.
    """
    fit = findings.fit
    for reported, value in zip(fit.study.predictions, fit.reported, strict=True):
        if reported.estimand == about and math.isfinite(value):
            known = Details(unit=reported.unit, kind=kind_of(fit), title=reported.title)
            yield record(findings, about, value, **known)


def by_draws(drawn: Posterior, predictions: "pd.DataFrame") -> Iterator[tuple[float, Details]]:
    """Medians with the central 90% of the draws and of the priors; no number where the draws have no interval.

    Parameters
    ----------
    predictions : DataFrame
        Of its draws, under :data:`calibration.assess.posterior_predictive.DRAWN`.
    """
    lines = predictions.itertuples(index=False, name=None)
    for _, low, _, median, _, high, prior_low, prior_high, _, judged in lines:
        ends = [(low, high), (prior_low, prior_high)]
        ours, alone = (
            Bounds(*pair, LEVEL, "central draws") if all(map(math.isfinite, pair)) else None for pair in ends
        )
        known: Details = {"unit": "", "kind": "median", "interval": ours, "prior": alone}
        yield math.nan if ours is None else median, known | {"basis": drawn.basis, "judged": judged or None}


def _by_profiles(fit: Fit) -> Iterator[tuple[float, Details]]:
    """Values at the optimum with their profiles."""
    for profile in fit.predictions:
        bounds, prior = profile_bounds(fit, profile), prior_bounds(profile)
        yield profile.estimate, {"unit": "", "kind": kind_of(fit), "interval": bounds, "prior": prior}


def _lines(drawn: "pd.DataFrame") -> Rows:
    """Lines without the classes, and nothing where a number is not defined."""
    return [
        dict(zip(DRAWN, (name, *(value if math.isfinite(value) else None for value in values)), strict=False))
        for name, *values, _ in drawn.itertuples(index=False, name=None)
    ]


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


def since_words(findings: Findings) -> Iterator[str]:
    """What was counted after the data, beside what this fit forecasts of it where it has draws."""
    study = findings.fit.study
    for since in study.questions.since:
        lower, upper, date = since.lower, since.upper, said_date(study.calendar.label(since.time))
        counted = number(lower) if lower == upper else f"{number(lower)} to {number(upper)}"
        estimand = _estimand_of(since.observation, since.time, FITTED)
        forecasts = [record for record in Forecasts().headlines(findings) if record.estimand == estimand]
        beside_it = "".join(f"; forecast from here: {record.brief}" for record in forecasts)
        name, see = f"{since.observation[:1].upper()}{since.observation[1:]}", since.see.rstrip(".")
        yield f"{name}, {date}: {counted} counted since ({since.source}){beside_it}.{f' {see}.' if see else ''}"


def _last_fitted(fit: Fit) -> float:
    """The last date of what was fitted; before everything where nothing was."""
    return float(max(fit.rows.loc[fit.rows["use"] == "fit", "end"], default=-math.inf))


def is_beyond(fit: Fit, prediction: Reported) -> bool:
    """Whether a prediction lies after all that was fitted."""
    last = _last_fitted(fit)
    return prediction.time > last and not math.isclose(prediction.time, last)


def unseen(fit: Fit) -> str:
    """The condition of a number after the data."""
    return f"assumptions alone after {fit.study.calendar.label(_last_fitted(fit))}"


def _prediction_table(fit: Fit) -> Table:
    """Reported predictions with their profiles, beside what the priors alone say."""
    rows = [
        (
            reported.title,
            beside(profile.estimate, profile.lower, profile.upper),
            _as_headline(profile.lower, profile.upper, profile.verdict.interval),
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


#: Dates of a forecast that stand on the page.
DATES = 4


def _estimand_of(observation: str, time: float, scenario: str) -> str:
    """What a forecast of a number to be observed is of."""
    return f"observation {observation} at {time:.10g}, scenario {scenario}"


class Forecasts(ReportPart):
    """Quantiles of what may come."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each observation and scenario the median at the last date, and at one for which it was counted since."""
        rows, drawn = findings.shown.forecasts, findings.fit.posterior
        if drawn is None:
            return
        chosen = rows[rows["structure"].isin((OWN, EQUAL))].sort_values("time", kind="stable")
        counted = [(entry.observation, entry.time) for entry in findings.fit.study.questions.since]
        for (name, *_), of in chosen.groupby(["observation", "scenario", "structure"], sort=False):
            times = [of["time"].iloc[-1], *(time for observation, time in counted if observation == name)]
            for _, row in of[of["time"].isin(times)].iterrows():
                if np.isfinite(row[QUANTILES].to_numpy(float)).all():
                    alone = row["structure"] == OWN
                    n = len({line.name for line in findings.assessment.comparison})
                    mixed = f"the mixture of {n} structures with equal weights"
                    scenario = row["scenario"] if alone else f"{row['scenario']}, mixture"
                    yield record(
                        findings,
                        _estimand_of(row["observation"], row["time"], scenario),
                        float(row["q0.5"]),
                        unit="",
                        kind="median",
                        interval=Bounds(float(row["q0.05"]), float(row["q0.95"]), 0.9, "central draws"),
                        conditional_on=("the study's own structure" if alone else mixed,),
                        basis=replace(drawn.basis, n=int(row["draws"])),
                    )

    def tables(self, findings: Findings) -> "Mapping[str, pd.DataFrame]":
        """Every date and quantile, of draws that have converged."""
        rows = findings.shown.forecasts
        return {} if rows.empty else {"forecast": rows}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bands by scenario, of the study's own structure."""
        fit, rows = findings.fit, findings.shown.forecasts
        if len(rows):
            draw = figures_posterior.forecast_figure
            yield Drawing("forecast", draw, own_rows(rows), fit.curves.levels, time=fit.study.time)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """From when, bands, and a few dates."""
        forecasts = findings.shown.forecasts
        if forecasts.empty:
            return
        words = (
            "Given the structure and the scenario; forecast.csv has every date and more quantiles, for later data to "
            "score."
        )
        caption = "Medians, 50% and 90% bands by scenario, after the numbers that were seen."
        blocks: tuple[Block, ...] = (
            Paragraph(words),
            Listing(tuple(origins(forecasts))),
            *map(Paragraph, since_words(findings)),
            *pictures.show("forecast", caption),
            _forecast_table(own_rows(forecasts)),
            *by_structure(forecasts),
        )
        yield Section("Forecasts", blocks)

    def not_run(self, findings: Findings) -> Iterable[str]:
        """Bands of draws that have not converged; a posterior that has always has a forecast, where time is left."""
        if not findings.bands:
            yield "Bands and forecasts: the chains have not converged; raise --steps."


def own_rows(forecasts: "pd.DataFrame") -> "pd.DataFrame":
    """Those of the study's own structure."""
    return forecasts[forecasts["structure"] == OWN]


def by_structure(forecasts: "pd.DataFrame") -> Iterator[Block]:
    """Every structure and mixture at the last date, with the study's own settings."""
    last = (forecasts["time"] == forecasts["time"].max()) & (forecasts["scenario"] == forecasts["scenario"].iloc[0])
    chosen = forecasts[last]
    if chosen["structure"].nunique() < 2:
        return
    caption = (
        "The last date under every structure and under their mixtures, with the settings as fitted. A band of one "
        "structure holds no doubt about the structure; that of a mixture does, as far as the study lists structures."
    )
    yield Table(("observation", "structure", *_HEAD), _rows(chosen, "structure"), caption)


def _forecast_table(forecasts: "pd.DataFrame") -> Table:
    """Quantiles at a few dates, evenly over the time to come."""
    times = np.unique(forecasts["time"])
    chosen = times[np.linspace(0, len(times) - 1, min(DATES, len(times))).round().astype(int)]
    return Table(("observation", "scenario", *_HEAD), _rows(forecasts[forecasts["time"].isin(chosen)], "scenario"))


_HEAD = ("date", "5%", "25%", "50%", "75%", "95%")


def _rows(forecasts: "pd.DataFrame", by: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table, an observation after the other; counts are whole, a measurement has three digits."""
    rows = []
    for name in forecasts["observation"].unique():
        for row in forecasts[forecasts["observation"] == name].to_dict("records"):
            digits = ".0f" if all(float(row[q]).is_integer() for q in QUANTILES) else ".3g"
            shown = (f"{row[q]:{digits}}" for q in ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95"))
            rows.append((name, row[by], row["date"], *shown))
    return tuple(rows)


class Rivals(ReportPart):
    """Structures that were fitted to the same data."""

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each structure."""
        return {"rivals": [asdict(line) for line in findings.assessment.comparison]}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Structures against the best."""
        if findings.assessment.comparison:
            yield Drawing("rivals", figures_posterior.rivals_figure, findings.assessment.comparison)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The comparison."""
        assessed = findings.assessment
        if not assessed.comparison:
            return
        blocks: list[Block] = [_compared(assessed.comparison)]
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


def _compared(lines: Sequence[Comparison]) -> Table:
    """Rival structures, best predictor first."""
    rows = [
        (f"{r.name}: {r.why}", f"{r.best_log_likelihood:.1f}", f"{r.elpd_behind:.1f} ± {r.behind_error:.1f}",
         _weight_words(r), f"{r.log_evidence:.1f} ± {r.evidence_error:.1f}", f"{r.probability:.2f}",
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


def _weight_words(line: Comparison) -> str:
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
            yield Drawing("holdout", figures_posterior.holdout_figure, rolling, findings.fit.study.calendar)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Scores."""
        rolling = findings.assessment.rolling
        if rolling is None:
            return
        caption = (
            "What each forecaster said of the numbers that came later: medians and 90% intervals; grey: what came."
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
    head = ("known up to", "forecaster", "n", "numbers", "log score", "CRPS", "in 50%", "in 90%")
    caption = (
        "Mean scores of the numbers that every forecaster predicted; lower is better. ± standard errors, in which a "
        "number that several origins predict counts once and neighbours in time may depend on each other."
    )
    return Table(head, tuple(rows), caption)
