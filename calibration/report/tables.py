"""Tables of a calibration's page."""

from collections.abc import Sequence

import numpy as np

from calibration.assess.contraction import Contraction
from calibration.assess.counterfactuals import Effect
from calibration.assess.forecast import ForecastRow
from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import Comparison
from calibration.assess.scores import summaries
from calibration.fit.prediction_profile import PredictionProfile
from calibration.report.files import Estimate, Fit
from calibration.report.findings import main_effects
from calibration.sampling.draws import PosteriorDraws
from calibration.study.observations import Observation
from cipark_sd.pages.page import Table
from cipark_sd.scenarios import override_key, split_key
from cipark_sd.wording import interval, number, percent

#: Dates of a forecast that stand on the page.
DATES = 4


def observed_table(fit: Fit) -> Table:
    """What was observed: a row for each observation."""
    rows = []
    for observation in fit.problem.observations:
        own = [row for row in fit.rows if row.observation == observation.name]
        n = {use: sum(row.use == use for row in own) for use in ("fit", "holdout", "check")}
        label = fit.problem.calendar.label
        dated = [row.end for row in own if row.use != "check"] or [row.end for row in own]
        first, last = label(min(dated)), label(max(dated))
        span = first if first == last else f"{first} to {last}"
        families = ", ".join(sorted({term.noise.family.name for term in observation.terms}))
        counts = (str(n["fit"]), str(n["holdout"]), str(n["check"]))
        rows.append((observation.name, observation.kind, _variables(fit, observation), span, families, *counts))
    head = ("observation", "kind", "of the model", "dates", "noise", "fitted", "held out", "compared")
    return Table(head, tuple(rows), "What was observed; numbers of each use. Sources stand in the study's tables.")


def _variables(fit: Fit, observation: Observation) -> str:
    names = dict.fromkeys(
        split_key(name)[0] for term in observation.terms for quantity in term.quantities for name, _ in quantity.parts
    )
    return ", ".join(fit.problem.model[name].label for name in names)


def fitted_table(fit: Fit) -> Table:
    """Observed against expected at the optimum, row by row."""
    rows = []
    for row in fit.rows:
        seen = f"{row.lower:g}" if row.lower == row.upper else interval(row.lower, row.upper)
        band = f"{row.low:g} to {row.high:g}" if np.isfinite(row.low) else ""
        rows.append((row.label, seen, f"{row.expected:.2f}", band, f"{row.residual:+.1f}", row.use))
    head = ("number", "seen", "model", "90 % of noise", "quantile residual", "use")
    caption = (
        "Seen against expected at the optimum, whose parameters are held in the band. Quantile residual: the standard "
        "normal number that is as improbable as what was seen, in the same direction."
    )
    return Table(head, tuple(rows), caption)


def prediction_table(found: Sequence[PredictionProfile]) -> Table:
    """Reported predictions with their profiles, beside what the priors alone say."""
    rows = [
        (one.name, number(one.estimate), one.sides.interval,
         interval(one.prior_low, one.prior_high), one.verdict)
        for one in found
    ]  # fmt: skip
    level = percent(found[0].threshold.level)
    head = ("prediction", "at the estimate", f"{level} profile", f"{level} of priors alone", "")
    return Table(head, tuple(rows), "Numbers of the model that the study reports.")


def parameter_table(fit: Fit, lines: Sequence[Estimate]) -> Table:
    """Estimates beside priors and profiles, with units and the reason why each is there."""
    rows = []
    for line, parameter in zip(lines, fit.problem.space, strict=True):
        units = ""
        if parameter.target == "model":
            units = fit.problem.model[split_key(override_key(line.name))[0]].units
        prior = f"{number(line.prior_median, digits=3)} ({interval(line.prior_low, line.prior_high)})"
        error = "" if line.standard_error is None else number(line.standard_error, digits=3)
        estimate = (number(line.estimate, digits=4), error)
        rows.append((line.name, units, prior, *estimate, line.profile, line.verdict, parameter.why))
    level = percent(fit.level)
    head = ("parameter", "units", f"prior median ({level})", "estimate", "standard error", f"{level} profile",
            "in words", "seen in")  # fmt: skip
    return Table(head, tuple(rows), "Priors, estimates with standard errors, and profile intervals.")


def contracted(drawn: PosteriorDraws, lines: Sequence[Contraction]) -> Table:
    """Posterior of each parameter, what the data added, and how well the draws know it."""
    rows = []
    for line, mixing in zip(lines, drawn.chains.found, strict=True):
        size = min(mixing.ess_bulk, mixing.ess_tail)
        numbers = (
            f"{mixing.mean:.3g} ± {mixing.mcse_mean:.1g}",
            f"{mixing.median:.3g}",
            f"{mixing.low:.3g} to {mixing.high:.3g}",
            f"{mixing.mcse_low:.1g}, {mixing.mcse_high:.1g}",
            f"{line.contraction:.2f}",
            f"{line.to_prior:.2f}",
        )
        rows.append((line.name, *numbers, f"{line.to_data:.2f}", f"{mixing.r_hat:.3f}", f"{size:.0f}", line.verdict))
    head = (
        "parameter", "mean ± error", "median", "95 %", "errors of these", "contraction", "to prior", "to data", "R-hat",
        "ESS", "in words",
    )  # fmt: skip
    caption = (
        "Errors are Monte Carlo standard errors: how far a number would move with another seed. "
        "Contraction: share of the prior variance that the data took away. To prior, to data: how far the posterior "
        "moves per doubling of the weight of either (above 0.05 counts)."
    )
    return Table(head, tuple(rows), caption)


def score_table(fit: Fit, rolling: RollingOrigin) -> Table:
    """Scores of all forecasters, over all origins and for each."""
    parts = [("all", rolling.comparable)]
    origins = sorted({one.origin for one in rolling.comparable})
    if len(origins) > 1:
        label = fit.problem.calendar.label
        parts += [(label(o), tuple(one for one in rolling.comparable if one.origin == o)) for o in origins]
    rows = [
        (known, s.forecaster, str(s.n), str(s.n_numbers), f"{s.mean_log_score:.2f} ± {s.log_score_error:.2f}",
         f"{s.mean_crps:.2f} ± {s.crps_error:.2f}", f"{s.coverage_50:.0%}", f"{s.coverage_90:.0%}")
        for known, scores in parts
        for s in summaries(scores)
    ]  # fmt: skip
    head = ("known up to", "forecaster", "n", "numbers", "log score", "CRPS", "in 50 %", "in 90 %")
    caption = (
        "Mean scores of the numbers that every forecaster predicted; lower is better. ± standard errors, in which a "
        "number that several origins predict counts once and neighbours in time may depend on each other."
    )
    return Table(head, tuple(rows), caption)


def compared(lines: Sequence[Comparison]) -> Table:
    """Rival structures, best predictor first."""
    rows = [
        (f"{r.name}: {r.why}", f"{r.best_log_likelihood:.1f}", f"{r.elpd_behind:.1f} ± {r.behind_error:.1f}",
         f"{r.stacking:.2f}", f"{r.log_evidence:.1f} ± {r.evidence_error:.1f}", f"{r.probability:.2f}",
         str(r.n_unreliable))
        for r in lines
    ]  # fmt: skip
    head = ("structure", "log likelihood", "behind ± s.e.", "stacking", "log evidence", "probability", "k > 0.7")
    caption = (
        "Best log likelihood; log predictive density behind the best; stacking weight; log evidence and the "
        "probability that it gives to equally likely structures; terms whose leave-one-out density took a refit."
    )
    return Table(head, tuple(rows), caption)


def effect_table(effects: Sequence[Effect]) -> Table:
    """A row for each structure, a column for each experiment, on the observation that comes first."""
    main = main_effects(effects)
    experiments = list(dict.fromkeys(effect.experiment for effect in main))
    cells = {(effect.structure, effect.experiment): effect for effect in main}
    rows = [
        (name, *(f"{(e := cells[name, one]).median:+.1f} ({e.low:+.1f} to {e.high:+.1f})" for one in experiments))
        for name in dict.fromkeys(effect.structure for effect in main)
    ]
    caption = (
        f"Change of {main[0].observation} in each experiment: median and central 90 % of paired differences. "
        "effects.csv has the other observations."
    )
    return Table(("structure", *experiments), tuple(rows), caption)


def forecast_table(forecasts: Sequence[ForecastRow]) -> Table:
    """Quantiles at a few dates, evenly over the time to come."""
    times = sorted({row.time for row in forecasts})
    chosen = {times[i] for i in np.linspace(0, len(times) - 1, min(DATES, len(times))).round().astype(int)}
    rows = [
        (row.observation, row.scenario, row.date, *(f"{row.quantiles[i]:{_digits(row)}}" for i in (1, 3, 4, 5, 7)))
        for row in sorted(forecasts, key=lambda row: [r.observation for r in forecasts].index(row.observation))
        if row.time in chosen
    ]
    return Table(("observation", "scenario", "date", "5 %", "25 %", "50 %", "75 %", "95 %"), tuple(rows))


def _digits(row: ForecastRow) -> str:
    """Counts are whole; a measurement has three digits."""
    return ".0f" if all(q.is_integer() for q in row.quantiles) else ".3g"
