"""Groups: what each has, how far they are pulled together, and what a group that nobody has seen may have."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from calibration.assess.contraction import NEW, QUANTILES, TYPICAL, GroupValue
from calibration.report import figures_assessment
from calibration.report.findings import Findings
from calibration.report.sections.base import IN_GROUPS, ReportPart, Rows, record
from calibration.study.groups import element_of
from cipark_sd.headline import Bounds, Headline, parameter
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import interval, number

#: Heads of the columns of quantiles in files.
COLUMNS = tuple(f"q{100 * q:g}" for q in QUANTILES)


class Groups(ReportPart):
    """Partially pooled parameters."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Medians of each group with data and of a new one."""
        fit, assessed = findings.fit, findings.assessment
        if fit.posterior is None:
            return
        for line in assessed.groups:
            if (line.fitted and line.group != TYPICAL) or line.group == NEW:
                yield record(
                    findings,
                    parameter(element_of(line.parameter, line.group)),
                    line.quantiles[2],
                    unit=fit.study.unit(f"{line.parameter} Typical"),
                    kind="median",
                    interval=Bounds(line.quantiles[0], line.quantiles[4], 0.95, "central draws"),
                    conditional_on=(IN_GROUPS,),
                    basis=fit.posterior.basis,
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each group of each parameter."""
        return {"groups": [_columns(asdict(line)) for line in findings.assessment.groups]}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Values of all groups."""
        assessed = findings.assessment
        if assessed.groups and findings.bands:
            yield Drawing("groups", figures_assessment.groups_figure, (assessed.groups, findings.fit.study.units))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Values, shrinkage, and a new group."""
        assessed = findings.assessment
        if not assessed.groups:
            return
        blocks: list[Block] = [Paragraph(sentence) for sentence in sentences(assessed.groups)]
        blocks += pictures.show(
            "groups",
            "Median, central half (thick) and 95 % (thin) of each group; the band is the central half of a new group.",
        )
        blocks.append(group_table(assessed.groups))
        yield Section("Groups", tuple(blocks))


def _columns(line: dict[str, object]) -> dict[str, object]:
    """A line with a column for each quantile, and nothing where a number is not defined."""
    quantiles = line.pop("quantiles")
    assert isinstance(quantiles, tuple)
    named = dict(zip(COLUMNS, quantiles, strict=True))
    whole = {key: line.pop(key) for key in ("parameter", "group", "name") if key in line}
    return whole | {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in (named | line).items()
    }


def sentences(lines: Sequence[GroupValue]) -> list[str]:
    """For each parameter: the typical group, the range over groups, and what a new one may have."""
    told_lines: list[str] = []
    for name in dict.fromkeys(line.parameter for line in lines):
        of_it = {line.group: line for line in lines if line.parameter == name}
        typical, new = of_it.pop(TYPICAL).quantiles, of_it.pop(NEW).quantiles
        informed = [line for line in of_it.values() if line.fitted]
        ends = sorted(line.quantiles[2] for line in informed)
        told_lines.append(
            f"{name}: the typical group has {number(typical[2])} (95 % {interval(typical[0], typical[4])}), medians of "
            f"the {len(informed)} groups with data lie from {number(ends[0])} to {number(ends[-1])}, and a new group "
            f"of their kind has {number(new[2])} (95 % {interval(new[0], new[4])})."
        )
    return told_lines


def cells(line: GroupValue) -> tuple[str, ...]:
    """A group's line as it is printed."""
    q = line.quantiles
    shrunk = "" if math.isnan(line.shrinkage) else f"{line.shrinkage:.2f}"
    fitted = "" if line.group in (TYPICAL, NEW) else str(line.fitted)
    return line.group, number(q[2]), interval(q[1], q[3]), interval(q[0], q[4]), shrunk, fitted


HEAD = ("median", "50 %", "95 %", "shrinkage", "fitted numbers")


def group_table(lines: Sequence[GroupValue]) -> Table:
    """All parameters in all groups."""
    rows = [(line.parameter, *cells(line)) for line in lines]
    caption = (
        "Partially pooled parameters. Shrinkage: the part of a group's departure from the typical one that pooling "
        "takes away; 0 where its own data decide, 1 where only the other groups do. A new group is one more from the "
        "same distribution of groups, of which nothing is known."
    )
    return Table(("parameter", "group", *HEAD), tuple(rows), caption)
