"""What a person reads of a fit on the console: tables, and sentences that say what the numbers mean."""

from collections.abc import Iterable, Sequence

import numpy as np

from calibration.assess.groups import GroupValue
from calibration.fit.diagnostics import identifiability_words
from calibration.fit.optimise import ARRIVED
from calibration.fit.quantile_residuals import unexplained
from calibration.fit.residuals import FittedRow
from calibration.fit.verification import half_step_sentence
from calibration.report.conclusions import (
    chance_limit,
    estimate_words,
    prediction_sentences,
    prediction_verdict,
)
from calibration.report.findings import Findings, Fit, Posterior, estimates
from calibration.report.sections import registry
from calibration.report.sections.groups import HEAD as GROUP_HEAD
from calibration.report.sections.groups import cells as cells_of_group
from calibration.report.sections.groups import sentences as group_sentences
from calibration.sampling.convergence import CONVERGED, poorest
from cipark_sd.console import print_table, say
from cipark_sd.headline import HEAD, cells
from cipark_sd.wording import band, beside, interval, number, percent, rounded, with_error

#: What the estimates of groups are worth.
POOLED = (
    "Groups share parameters in part: the best joint fit (the column of estimates) says nothing of how much they "
    "differ, so that there are no profiles; the posterior does."
)


#: What is said of parameters whose profile has no end.
WITHOUT_ENDS = {
    "open": "Bounded by the data on neither side",
    "closed": "Bounded by the data on neither side, though a bound of another parameter ends the profile",
    "not found": "The ends of the profile were not found on either side",
}


def show(fit: Fit, reused: int = 0) -> None:
    """The tables and sentences of a fit."""
    say(fit.study.title, bold=True)
    if fit.conditions.first:
        say(fit.conditions.first, bold=True)
    _show_estimates(fit)
    if fit.predictions:
        _show_predictions(fit)
    _show_rows(fit.rows)
    if fit.posterior is not None:
        _show_posterior(fit.posterior)
    for sentence in sentences(fit, reused):
        say(sentence)


def show_headlines(findings: Findings) -> None:
    """The headline numbers as every page prints them."""
    records = [record for part in registry.SECTIONS for record in part.headlines(findings)]
    if records:
        say()
        print_table(HEAD, [cells(record) for record in records], right=(), title="Headline numbers")


def _show_estimates(fit: Fit) -> None:
    level = percent(fit.level)
    heads = ("estimate", "standard error", "prior median", f"{level} of prior", f"{level} profile")
    rows = [
        (
            line.name,
            line.shown,
            "" if line.standard_error is None else number(line.standard_error, digits=3),
            number(line.prior_median, digits=3),
            interval(line.prior_low, line.prior_high),
            line.profile,
            line.verdict,
        )
        for line in estimates(fit)
    ]
    print_table(("parameter", *heads, ""), rows, right=(1, 2, 3, 4, 5))


def _show_predictions(fit: Fit) -> None:
    level = percent(fit.level)
    heads = ("prediction", "at the estimate", f"{level} profile", f"{level} of priors alone", "")
    rows = [
        (
            profile.name,
            beside(profile.estimate, profile.lower, profile.upper),
            profile.sides.interval,
            interval(profile.prior_low, profile.prior_high),
            prediction_verdict(fit, profile),
        )
        for profile in fit.predictions
    ]
    say()
    print_table(heads, rows, right=(1, 2, 3))


def _show_rows(rows: Iterable[FittedRow]) -> None:
    cells = [
        (
            row.label,
            f"{row.lower:g}" if row.lower == row.upper else interval(row.lower, row.upper),
            f"{row.expected:.2f}",
            band(row.low, row.high) if np.isfinite(row.low) else "",
            f"{row.residual:+.1f}",
            row.use,
        )
        for row in rows
    ]
    say()
    print_table(("observed", "data", "model", "90 % of noise", "residual", "use"), cells, right=(1, 2, 3, 4))
    say()


def show_groups(lines: Sequence[GroupValue]) -> None:
    """Values of partially pooled parameters."""
    for name in dict.fromkeys(line.parameter for line in lines):
        say()
        rows = [cells_of_group(line) for line in lines if line.parameter == name]
        print_table((name, *GROUP_HEAD), rows, right=(1, 2, 3, 4, 5))
    for sentence in group_sentences(lines):
        say(sentence)


def _show_posterior(drawn: Posterior) -> None:
    heads = ("mean ± error", "median", "95 %", "errors of these", "contraction", "R-hat", "ESS bulk", "ESS tail")
    rows = [
        (
            line.name,
            with_error(line.mean, line.mcse_mean),
            rounded(line.median, line.high - line.low),
            interval(line.low, line.high),
            f"{line.mcse_low:.1g}, {line.mcse_high:.1g}",
            f"{contraction:.2f}",
            f"{line.r_hat:.3f}",
            f"{line.ess_bulk:.0f}",
            f"{line.ess_tail:.0f}",
        )
        for line, contraction in zip(drawn.mixing, drawn.contraction.tolist(), strict=True)
    ]
    print_table(("posterior", *heads), rows)
    say()
    scored = [
        (
            score.use,
            str(score.n),
            f"{score.log_score:.2f}",
            f"{score.crps:.2f}",
            f"{score.within_50:.0%}",
            f"{score.within_90:.0%}",
        )
        for score in drawn.scores
    ]
    print_table(("predicted", "numbers", "log score", "mean CRPS", "within 50 %", "within 90 %"), scored)
    say()


def sentences(fit: Fit, reused: int = 0) -> Sequence[str]:
    """What the numbers say, in words, and how many searches and profiles an earlier run had completed."""
    optimum, identified = fit.optimum, fit.identifiability
    sentences = [
        f"Log likelihood {optimum.log_likelihood:.3f}; {optimum.n_arrived} of {len(optimum.searches)} searches ended "
        f"within {ARRIVED:g} of the best log density."
    ]
    if optimum.interrupted:
        sentences.append("Stopped before all was done: this is the best so far. The same command goes on from here.")
    if reused:
        sentences.append(
            f"Reused {reused} completed searches and profiles from an earlier run; --fresh computes them anew."
        )
    if len(optimum.searches) > 1 and optimum.n_arrived == 1:
        sentences.append("Only one search arrived there, so a better optimum may exist: raise --starts.")
    sentences += [*fit.conditions.warnings, *estimate_words(fit)]
    if fit.study.method.estimate == "ml":
        sentences.append(
            "The priors count in no estimate and no profile (estimate = ml); what they are is shown beside them."
        )
    if optimum.at_bound:
        sentences.append("At a bound: " + ", ".join(optimum.at_bound) + ".")
    if fit.study.pools:
        sentences.append(POOLED)
    sentences += [*identifiability_words(identified), *fit.conditions.remarks]
    for state, words in WITHOUT_ENDS.items():
        names = [result.name for result in fit.profiles if result.verdict.states == (state, state)]
        if names:
            sentences.append(f"{words}: {', '.join(names)}.")
    sentences += prediction_sentences(fit)
    far = unexplained(fit.rows)
    if far:
        sentences.append(
            f"Not explained by the model, quantile residual beyond {chance_limit(fit):.1f} (in one study in twenty by "
            "chance): " + ", ".join(row.label for row in far) + "."
        )
    if fit.posterior is not None:
        state = (
            "has converged" if fit.posterior.converged else "HAS NOT CONVERGED, do not use its numbers; raise --steps"
        )
        worst = str(poorest(fit.posterior.mixing))
        sentences.append(f"The posterior {state}: {worst} (wanted: {CONVERGED}). {fit.posterior.how}")
    sentences += fit.failed.sentences
    step = half_step_sentence(fit.step_shift)
    if step and not fit.conditions.first:
        sentences.append(step)
    sentences.append(fit.replication.sentence)
    return sentences
