"""The sections of the page in their order: another one is its file and its place here."""

from collections.abc import Iterator

from calibration.report.findings import Findings
from calibration.report.sections.answer import First, answers, informed, knowledge
from calibration.report.sections.base import ReportPart
from calibration.report.sections.best_fit import Calculation, Data, Optimum
from calibration.report.sections.course import Course
from calibration.report.sections.posterior import Groups, Posterior
from calibration.report.sections.predictions import Forecasts, Holdout, Predictions, Rivals
from cipark_sd.pages.blocks import Listing, Section
from cipark_sd.pages.parts import Part, Words

_RESULTS: tuple[Part[Findings], ...] = (
    First(),
    Words(knowledge),
    Words(answers),
    Predictions(),
    Course(),
    Data(),
    Words(informed),
    Optimum(),
    Posterior(),
    Groups(),
    Holdout(),
    Rivals(),
    Forecasts(),
    Calculation(),
)


def _not_run(findings: Findings) -> Iterator[Section]:
    """What the sections lack, each with the option that asks for it."""
    left = tuple(line for part in _RESULTS if isinstance(part, ReportPart) for line in part.not_run(findings))
    if left:
        yield Section("Not run", (Listing(left),))


SECTIONS: tuple[Part[Findings], ...] = (*_RESULTS, Words(_not_run))
