"""What effects are conditional on: each as a line over the constants that the fit holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from calibration.assess.effect_lines import EffectLine, LinePoint, moving
from calibration.report import figures_assessment
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, Rows
from cipark_sd.model.units import is_dimensionless
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import number

#: Lines that the page shows; the file has all.
MOST = 9


@dataclass(frozen=True, slots=True)
class EffectLines(ReportPart):
    """Effects over held constants."""

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each value of each constant."""
        assessed = findings.assessment
        rows = [
            {"constant": line.constant, "held": line.held, "experiment": line.experiment,
             "observation": line.observation}
            | {key: value if math.isfinite(value) else None for key, value in asdict(point).items()}
            for line in (() if assessed is None else assessed.effect_lines)
            for point in line.points
        ]  # fmt: skip
        return {"effect_lines": rows} if rows else {}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The lines that move most."""
        lines = shown(findings)
        if lines and findings.bands:
            yield Drawing("effect_lines", figures_assessment.effect_lines_figure, (lines,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Sentences, lines and their ends."""
        assessed = findings.assessment
        if assessed is None or not assessed.effect_lines:
            return
        lines = shown(findings)
        blocks: list[Block] = [Paragraph(sentence(assessed.effect_lines))]
        blocks += pictures.show(
            "effect_lines",
            "Share of the total that each experiment changes, over one held constant at a time: median and central "
            "90 %, the other parameters following by importance weights. The dot is the value that the fit holds. "
            "Hollow: so far off that the weights cannot be trusted (Pareto k above 0.7); the draws as they are.",
        )
        if lines:
            blocks.append(line_table(lines))
        yield Section("What effects are conditional on", tuple(blocks))


def shown(findings: Findings) -> list[EffectLine]:
    """The lines of the first observation that move, up to :data:`MOST`."""
    assessed = findings.assessment
    if assessed is None or not assessed.effect_lines:
        return []
    return moving(assessed.effect_lines, main_observation(assessed.effect_lines))[:MOST]


def main_observation(lines: Sequence[EffectLine]) -> str:
    """The observation on which effects are told."""
    observations = [line.observation for line in lines if line.experiment == lines[0].experiment]
    return min(observations, key=[line.observation for line in lines].index)


def sentence(lines: Sequence[EffectLine]) -> str:
    """How many constants were moved, and which of them move an effect."""
    constants = list(dict.fromkeys(line.constant for line in lines))
    movers = list(dict.fromkeys(line.constant for line in moving(lines, main_observation(lines))))
    start = (
        f"The effects are given {len(constants)} constants that nothing estimates and whose model file says what range "
        "is sensible. Each was moved over its range, one at a time, under the study's own structure."
    )
    if not movers:
        return f"{start} None moves an effect by more than a tenth of its 90 % interval."
    names = ", ".join(movers[:MOST]) + (" and others" if len(movers) > MOST else "")
    return f"{start} {len(movers)} of them move an effect by more than a tenth of its 90 % interval: {names}."


def line_table(lines: Sequence[EffectLine]) -> Table:
    """Ends and held values of lines."""
    rows = []
    for line in lines:
        held = next(point for point in line.points if point.value == line.held)
        unit = f" {line.unit}" if line.unit and not is_dimensionless(line.unit) else ""
        ends = [f"{number(point.value)}{unit}: {share(point)}" for point in (line.points[0], held, line.points[-1])]
        rows.append((line.experiment, line.constant, *ends))
    caption = (
        "Median share (central 90 %) at the ends of the constant's range and at the value that is held. In brackets: "
        "without the other parameters following, since the data are too unlikely there for weights."
    )
    return Table(("experiment", "held constant", "low end", "held", "high end"), tuple(rows), caption)


def share(point: LinePoint) -> str:
    """A share with its interval, or without it where the weights cannot be trusted."""
    if math.isfinite(point.share):
        return f"{point.share:+.0%} ({point.share_low:+.0%} to {point.share_high:+.0%})"
    return f"[{point.kept_share:+.0%}]" if math.isfinite(point.kept_share) else "the model fails"
