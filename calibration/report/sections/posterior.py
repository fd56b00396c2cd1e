"""The posterior: what the data added to the priors, how well the draws know it, and what groups have."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.contraction import COLUMNS, ENDS, NEW, TYPICAL, Contraction
from calibration.assess.posterior_predictive import Discrepancy, judged
from calibration.inference.sample.convergence import CONVERGED, poorest
from calibration.report import figures_posterior
from calibration.report.findings import Findings, posterior_table
from calibration.report.findings import Posterior as Draws
from calibration.report.sections.base import IN_GROUPS, ReportPart, Rows, record
from calibration.study.groups import element_of
from cipark_sd.base.wording import interval, number, rounded, with_error
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Bounds, Headline, parameter

if TYPE_CHECKING:
    import pandas as pd

#: Of the parameters in a pair plot: those that the data narrowed most.
MOST = 8


class Posterior(ReportPart):
    """Joint draws of all parameters."""

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Moments with their convergence; where that was reached, predictions and what the data added."""
        drawn, shown = findings.fit.posterior, findings.shown
        return {
            "posterior": posterior_table(findings.fit),
            "predictive": [asdict(row) for row in drawn.predicted] if drawn is not None and findings.bands else [],
            "contraction": [asdict(line) | {"verdict": line.verdict} for line in shown.contractions],
            "discrepancies": [asdict(line) for line in shown.discrepancies],
        }

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Priors beside posteriors, pairs, and ranks of the data."""
        drawn, lines, space = findings.fit.posterior, findings.shown.contractions, findings.fit.study.space
        if drawn is None or not lines:
            return
        names = [line.name for line in sorted(lines, key=lambda line: -line.contraction)[:MOST]]
        yield Drawing("posterior", figures_posterior.posterior_figure, space, drawn.flat)
        yield Drawing("pairs", figures_posterior.pairs_figure, space, drawn.flat, names)
        if pits := judged(drawn.predicted):
            yield Drawing("pit", figures_posterior.pit_figure, pits)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """How it was drawn, and where that is to be trusted its numbers and figures."""
        drawn, assessed = findings.fit.posterior, findings.shown
        if drawn is None:
            return
        text = f"{drawn.how} {len(drawn.flat):,} draws kept; {poorest(drawn.mixing)} (wanted: {CONVERGED})."
        if not assessed.contractions:
            yield Section("The posterior", (Paragraph(text),))
            return
        blocks: tuple[Block, ...] = (
            Paragraph(text),
            *_on_placeholders(drawn, assessed.contractions),
            _contracted(drawn, assessed.contractions),
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


def _on_placeholders(drawn: Draws, lines: Sequence[Contraction]) -> Iterator[Block]:
    """How far constants go with wider placeholders, a line each."""
    ends = np.quantile(drawn.flat, ENDS, axis=0).T
    listing = [
        f"{line.name}: {number(median)} ({interval(low, high)}), about {number(line.wide_median)} "
        f"({interval(line.wide_low, line.wide_high)}) with placeholders twice as wide."
        for line, (low, median, high) in zip(lines, ends.tolist(), strict=True)
        if line.on_placeholders
    ]
    if listing:
        yield Paragraph("These numbers hold under placeholder priors, which only say what stands in the model file:")
        yield Listing(tuple(listing))


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
        "Probability: of a replicate at least as far out, on both sides. What fails has less than 5% over the number "
        "of statistics."
    )
    yield Table(("observation", "statistic", "data", "replicates", "95%", "probability", ""), tuple(rows), caption)


def _contracted(drawn: Draws, lines: Sequence[Contraction]) -> Table:
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
        "parameter", "mean ± error", "median", "95%", "errors of these", "contraction", "to prior", "to data", "R-hat",
        "ESS", "in words",
    )  # fmt: skip
    caption = (
        "Errors are Monte Carlo standard errors: how far a number would move with another seed. "
        "Contraction: 1 - posterior variance / prior variance. To prior, to data: how far the posterior "
        "moves per doubling of the weight of either (above 0.05 counts)."
    )
    return Table(head, tuple(rows), caption)


class Groups(ReportPart):
    """Partially pooled parameters."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Medians of each group with data and of a new one."""
        fit, assessed = findings.fit, findings.shown
        if fit.posterior is None:
            return
        for name, group, low, _, median, _, high, _, n_fitted in assessed.groups.itertuples(index=False, name=None):
            if (n_fitted and group != TYPICAL) or group == NEW:
                yield record(
                    findings,
                    parameter(element_of(name, group)),
                    median,
                    unit=fit.study.unit(f"{name} Typical"),
                    kind="median",
                    interval=Bounds(low, high, 0.95, "central draws"),
                    conditional_on=(IN_GROUPS,),
                    basis=fit.posterior.basis,
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each group of each parameter, from draws that have converged."""
        rows = findings.shown.groups.to_dict("records")
        return {"groups": [{str(key): None if cell != cell else cell for key, cell in row.items()} for row in rows]}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Values of all groups."""
        if len(findings.shown.groups):
            yield Drawing("groups", figures_posterior.groups_figure, findings.shown.groups, findings.fit.study.units)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Values, shrinkage, and a new group."""
        assessed = findings.shown
        if not len(assessed.groups):
            return
        blocks: list[Block] = [Paragraph(sentence) for sentence in sentences(assessed.groups)]
        blocks += pictures.show(
            "groups",
            "Median, central half (thick) and 95% (thin) of each group; the band is the central half of a new group.",
        )
        blocks.append(_group_table(assessed.groups))
        yield Section("Groups", tuple(blocks))


def sentences(groups: "pd.DataFrame") -> list[str]:
    """For each parameter: the typical group, the range over groups, and what a new one may have."""
    told_lines: list[str] = []
    for name, of_it in groups.groupby("parameter", sort=False):
        typical, new = of_it.set_index("group").loc[[TYPICAL, NEW], COLUMNS].to_numpy()
        ends = sorted(of_it[(of_it["fitted"] > 0) & (of_it["group"] != TYPICAL)]["q50"])
        told_lines.append(
            f"{name}: the typical group has {number(typical[2])} (95% {interval(typical[0], typical[4])}), medians of "
            f"the {len(ends)} groups with data lie from {number(ends[0])} to {number(ends[-1])}, and a new group "
            f"of their kind has {number(new[2])} (95% {interval(new[0], new[4])})."
        )
    return told_lines


def _group_table(groups: "pd.DataFrame") -> Table:
    """All parameters in all groups."""
    rows = []
    for name, group, *q, shrinkage, n_fitted in groups.itertuples(index=False, name=None):
        shrunk = "" if math.isnan(shrinkage) else f"{shrinkage:.2f}"
        fitted = "" if group in (TYPICAL, NEW) else str(n_fitted)
        numbers = (number(q[2]), interval(q[1], q[3]), interval(q[0], q[4]), shrunk, fitted)
        rows.append((name, group, *numbers))
    head = ("parameter", "group", "median", "50%", "95%", "shrinkage", "fitted numbers")
    caption = (
        "Partially pooled parameters. Shrinkage: the part of a group's departure from the typical one that pooling "
        "takes away; 0 where its own data decide, 1 where only the other groups do. A new group is one more from the "
        "same distribution of groups, of which nothing is known."
    )
    return Table(head, tuple(rows), caption)
