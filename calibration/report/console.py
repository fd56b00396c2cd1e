"""What a person reads of a fit on the console: tables, and sentences that say what the numbers mean."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.posterior_predictive import scores
from calibration.console import plain, printer
from calibration.fit.diagnostics import identifiability_words
from calibration.fit.optimise import ARRIVED
from calibration.fit.prediction_profile import PredictionProfile, prediction_words
from calibration.fit.quantile_residuals import unexplained
from calibration.fit.residuals import FittedRow
from calibration.fit.threshold import percent
from calibration.fit.verification import half_step_sentence
from calibration.report.files import Fit, estimates, posterior_lines
from calibration.report.findings import chance_limit, estimate_words
from calibration.report.intervals import interval, number, verdict_interval
from calibration.sampling.convergence import CONVERGED, poorest
from calibration.sampling.draws import PosteriorDraws

if TYPE_CHECKING:
    from rich.console import Console


def show(fit: Fit) -> None:
    """The tables and sentences of a fit."""
    console = printer()
    console.print(fit.problem.title, style="bold")
    _show_estimates(console, fit)
    if fit.predictions:
        _show_predictions(console, fit.predictions, percent(fit.level))
    _show_rows(console, fit.rows)
    if fit.draws is not None:
        _show_posterior(console, fit, fit.draws)
    for sentence in sentences(fit):
        console.print(sentence)


def _show_estimates(console: "Console", fit: Fit) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("parameter", no_wrap=True)
    level = percent(fit.level)
    for header in ("estimate", "standard error", "prior median", f"{level} of prior", f"{level} profile"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("")
    for line in estimates(fit):
        table.add_row(
            plain(line.name),
            number(line.estimate),
            "" if line.standard_error is None else number(line.standard_error),
            number(line.prior_median),
            interval(line.prior_low, line.prior_high),
            line.profile,
            plain(line.verdict),
        )
    console.print(table)


def _show_predictions(console: "Console", found: Sequence[PredictionProfile], level: str) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("prediction", no_wrap=True)
    for header in ("at the estimate", f"{level} profile", f"{level} of priors alone"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("")
    for one in found:
        prior = interval(one.prior_low, one.prior_high)
        row = (plain(one.name), number(one.estimate), verdict_interval(one.sides), prior, plain(one.verdict))
        table.add_row(*row)
    console.print()
    console.print(table)


def _show_rows(console: "Console", rows: Iterable[FittedRow]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("observed", no_wrap=True)
    for header in ("data", "model", "90 % of noise", "residual"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("use")
    for row in rows:
        seen = f"{row.lower:g}" if row.lower == row.upper else interval(row.lower, row.upper)
        band = f"{row.low:g} to {row.high:g}" if np.isfinite(row.low) else ""
        table.add_row(plain(row.label), seen, f"{row.expected:.2f}", band, f"{row.residual:+.1f}", row.use)
    console.print()
    console.print(table)
    console.print()


def _show_posterior(console: "Console", fit: Fit, draws: PosteriorDraws) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("posterior", no_wrap=True)
    for header in ("mean ± error", "median", "95 %", "errors of these", "contraction", "R-hat", "ESS bulk", "ESS tail"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in posterior_lines(fit, draws):
        table.add_row(
            plain(str(line["name"])),
            f"{line['mean']:.4g} ± {line['mcse_mean']:.1g}",
            f"{line['median']:.4g}",
            f"{line['low_95']:.3g} to {line['high_95']:.3g}",
            f"{line['mcse_low_95']:.1g}, {line['mcse_high_95']:.1g}",
            f"{line['contraction']:.2f}",
            f"{line['rhat']:.3f}",
            f"{line['ess_bulk']:.0f}",
            f"{line['ess_tail']:.0f}",
        )
    console.print(table)
    table = Table(box=None, pad_edge=False)
    for header in ("predicted", "numbers", "log score", "mean CRPS", "within 50 %", "within 90 %"):
        table.add_column(header, justify="right", no_wrap=True)
    for score in scores(fit.optimum.goal.density, list(fit.predicted)):
        table.add_row(
            score.use,
            str(score.n),
            f"{score.log_score:.2f}",
            f"{score.crps:.2f}",
            f"{score.within_50:.0%}",
            f"{score.within_90:.0%}",
        )
    console.print()
    console.print(table)
    console.print()


def sentences(fit: Fit) -> Sequence[str]:
    """What the numbers say, in words."""
    optimum, found = fit.optimum, fit.identifiability
    said = [
        f"Log likelihood {optimum.log_likelihood:.3f}; {optimum.n_arrived} of {len(optimum.searches)} searches ended "
        f"within {ARRIVED:g} of the best log density."
    ]
    if optimum.interrupted:
        said.append("Stopped before all was done: this is the best so far. The same command goes on from here.")
    if fit.found_before:
        said.append(f"{fit.found_before} finished searches and profiles of an earlier start were taken over.")
    if len(optimum.searches) > 1 and optimum.n_arrived == 1:
        said.append("Only one search arrived there, so a better optimum may exist: raise --starts.")
    said += [plain(sentence) for sentence in (*fit.conditions.warnings, *estimate_words(fit))]
    if fit.problem.method.estimate == "ml":
        said.append(
            "The priors count in no estimate and no profile (estimate = ml); what they are is shown beside them."
        )
    if optimum.at_bound:
        said.append("At a bound: " + ", ".join(map(plain, optimum.at_bound)) + ".")
    said += [plain(sentence) for sentence in (*identifiability_words(found), *fit.conditions.remarks)]
    opened = [r.name for r in fit.profiles if {r.verdict.lower.state, r.verdict.upper.state} == {"open"}]
    if opened:
        said.append("Bounded by the data on neither side: " + ", ".join(map(plain, opened)) + ".")
    said += [plain(sentence) for sentence in prediction_words(fit.predictions, fit.problem)]
    far = unexplained(fit.rows)
    if far:
        said.append(
            f"Not explained by the model, quantile residual beyond {chance_limit(fit):.1f} (in one study in twenty by "
            "chance): " + ", ".join(plain(row.label) for row in far) + "."
        )
    if fit.draws is not None:
        state = (
            "has converged"
            if fit.draws.chains.converged
            else "HAS NOT CONVERGED, do not use its numbers; raise --steps"
        )
        worst = plain(str(poorest(fit.draws.chains.found)))
        said.append(f"The posterior {state}: {worst} (wanted: {CONVERGED}).")
    step = half_step_sentence(fit.step_shift)
    if step:
        said.append(step)
    said.append(plain(fit.replication.sentence))
    return said
