"""Assessments that were not run, each with the option that runs it."""

from collections.abc import Iterator
from dataclasses import dataclass

from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart
from cipark_sd.pages.blocks import Listing, Section
from cipark_sd.pages.parts import Pictures


@dataclass(frozen=True, slots=True)
class NotRun(ReportPart):
    """What the sections ``of`` lack, each with the option that asks for it."""

    of: tuple[ReportPart, ...]

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """A point for each."""
        left = tuple(line for part in self.of for line in part.not_run(findings))
        if left:
            yield Section("Not run", (Listing(left),))
