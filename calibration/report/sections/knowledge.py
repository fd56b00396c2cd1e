"""What the data say, what the theory adds, and what cannot be known."""

from collections.abc import Iterator

from calibration.report import conclusions
from calibration.report.findings import Findings
from calibration.report.model_checks import verdict
from calibration.report.sections.base import ReportPart
from cipark_sd.pages.blocks import Paragraph, Section
from cipark_sd.pages.parts import Pictures


class Knowledge(ReportPart):
    """What is known, assumed and unknown."""

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Three paragraphs."""
        fit, assessed = findings.fit, findings.assessment
        blocks = (
            Paragraph("What the data say. " + conclusions.supports(fit, assessed)),
            Paragraph("What the theory adds. " + conclusions.adds(fit, assessed, verdict(findings.checks))),
            Paragraph("What cannot be known from these data. " + conclusions.unknowable(fit, assessed)),
        )
        yield Section("What is known, assumed and unknown", blocks)
