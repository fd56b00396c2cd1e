"""The posterior: what the data added to the priors, and how well the draws know it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from calibration.assess.contraction import Contraction
from calibration.assess.discrepancies import Discrepancy
from calibration.assess.posterior_predictive import LEVEL, judged
from calibration.report import figures_posterior
from calibration.report.findings import Findings, posterior_table
from calibration.report.findings import Posterior as Draws
from calibration.report.sections.base import ReportPart, Rows, given_texts, record
from calibration.sampling.convergence import CONVERGED, poorest
from cipark_sd.headline import Bounds, Headline, parameter
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import interval, rounded, with_error

#: Of the parameters in a pair plot: those that the data narrowed most.
MOST = 8


class Posterior(ReportPart):
    """Joint draws of all parameters."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Medians of the fitted parameters of the model, where the draws are to be trusted."""
        fit, drawn = findings.fit, findings.draws
        if drawn is None:
            return
        kinds = {line.name: line.kind for line in findings.assessment.contractions}
        ends = np.quantile(drawn.flat, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T.tolist()
        for estimated, line, (low, high) in zip(fit.study.space, drawn.mixing, ends, strict=True):
            verdict = fit.conditions.of(estimated.name)
            is_told = estimated.target == "model" and estimated.name not in fit.study.deviations
            if is_told and verdict is not None:
                yield record(
                    findings,
                    parameter(line.name),
                    line.median,
                    unit=fit.study.unit(line.name),
                    kind="median",
                    interval=Bounds(low, high, LEVEL, "central draws"),
                    conditional_on=given_texts(held for held in verdict.held if held.source != "prior"),
                    basis=drawn.basis,
                    prior=Bounds(*estimated.interval(LEVEL), LEVEL, "central draws"),
                    judged=kinds.get(estimated.name),
                    scale=estimated.scale,
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Moments and predictions, and what the data added."""
        drawn, assessed = findings.fit.posterior, findings.assessment
        return {
            "posterior": posterior_table(findings.fit),
            "predictive": [asdict(row) for row in drawn.predicted] if drawn is not None else [],
            "contraction": [asdict(line) | {"verdict": line.verdict} for line in assessed.contractions],
            "discrepancies": [asdict(line) for line in assessed.discrepancies],
        }

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Priors beside posteriors, pairs, and ranks of the data."""
        drawn, assessed, space = findings.fit.posterior, findings.assessment, findings.fit.study.space
        if drawn is None or not assessed.contractions:
            return
        narrowed = sorted(assessed.contractions, key=lambda line: -line.contraction)
        names = [line.name for line in narrowed[:MOST]]
        if findings.bands:
            yield Drawing("posterior", figures_posterior.posterior_figure, (space, drawn.flat))
            yield Drawing("pairs", figures_posterior.pairs_figure, (space, drawn.flat, names))
        pits = judged(list(drawn.predicted))
        if pits and findings.bands:
            yield Drawing("pit", figures_posterior.pit_figure, (pits,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """How it was drawn, its numbers, and figures."""
        drawn, assessed = findings.fit.posterior, findings.assessment
        if drawn is None or not assessed.contractions:
            return
        text = f"{drawn.how} {len(drawn.flat):,} draws kept; {poorest(drawn.mixing)} (wanted: {CONVERGED})."
        blocks: tuple[Block, ...] = (
            Paragraph(text),
            contracted(drawn, assessed.contractions),
            *pictures.show("posterior", "Posterior (filled) and prior (line) of each parameter, on its own scale."),
            *pictures.show(
                "pairs",
                "Joint draws of the parameters that the data narrow most, with their rank correlations above the "
                "diagonal.",
            ),
            *pictures.show(
                "pit",
                "Where each fitted count (each measurement, where nothing was counted) lies within its prediction by a "
                "posterior that has not seen it, on the line where predictions are right. Hollow: importance sampling "
                "cannot leave it out (Pareto k above 0.7), so its prediction has seen it and the point lies too near a "
                "half. Cells of a breakdown are not among them, since one follows from the others.",
            ),
        )
        yield Section("The posterior", (*blocks, *replicated(assessed.discrepancies)))

    def not_run(self, findings: Findings) -> Iterable[str]:
        """Joint draws."""
        if findings.fit.posterior is None:
            yield "The posterior: joint uncertainty of all parameters, those held included (--posterior)."


def replicated(lines: Sequence[Discrepancy]) -> Iterator[Block]:
    """Statistics of the data against those of replicates."""
    if not lines:
        return
    rows = [
        (line.observation, line.name, f"{line.observed:.3g}", f"{line.median:.3g}",
         f"{line.low:.3g} to {line.high:.3g}", f"{line.probability:.2g}", "fails" if line.fails else "")
        for line in lines
    ]  # fmt: skip
    caption = (
        "Statistics of the data against posterior predictive simulations. "
        "Probability: of a replicate at least as far out, on both sides. What fails has less than 5 % over the number "
        "of statistics."
    )
    yield Table(("observation", "statistic", "data", "replicates", "95 %", "probability", ""), tuple(rows), caption)


def contracted(drawn: Draws, lines: Sequence[Contraction]) -> Table:
    """Posterior of each parameter, what the data added, and how well the draws know it."""
    rows = []
    for line, mixing in zip(lines, drawn.mixing, strict=True):
        size = min(mixing.ess_bulk, mixing.ess_tail)
        numbers = (
            with_error(mixing.mean, mixing.mcse_mean),
            rounded(mixing.median, mixing.high - mixing.low),
            interval(mixing.low, mixing.high),
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
        "Contraction: 1 - posterior variance / prior variance. To prior, to data: how far the posterior "
        "moves per doubling of the weight of either (above 0.05 counts)."
    )
    return Table(head, tuple(rows), caption)
