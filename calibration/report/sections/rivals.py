"""Rival structures."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from calibration.assess.rivals import Comparison
from calibration.report import figures_posterior
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, Rows
from cipark_sd.pages.blocks import Block, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures


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
