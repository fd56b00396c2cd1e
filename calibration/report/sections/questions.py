"""The study's questions with their answers, and what keeps the numbers from being used."""

from collections.abc import Iterator

from calibration.fit.walk import SPENT
from calibration.report import conclusions
from calibration.report.findings import Findings, Fit
from calibration.report.model_checks import verdict
from calibration.report.sections.base import ReportPart
from cipark_sd.pages.blocks import Listing, Paragraph, Section
from cipark_sd.pages.parts import Pictures
from cipark_sd.wording import listed

#: Why an end of an interval is missing that was given up.
BUDGET = " within the budget of its searches"


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


class Questions(ReportPart):
    """A section for each of the study's questions about the world."""

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """In the study's own words, each with its answer."""
        fit, assessed = findings.fit, findings.assessment
        questions = fit.study.questions
        # what nothing was asked of stands at the end, in one line with all else that was not asked
        if assessed.comparison:
            answer, causes = conclusions.caused(fit, assessed)
            yield Section(questions.caused, (Paragraph(answer), *((Listing(tuple(causes)),) if causes else ())))
        if assessed.rolling is not None:
            yield Section(questions.predicted, tuple(map(Paragraph, conclusions.predicted(fit, assessed.rolling))))
        if questions.settle:
            yield Section(questions.settled, (Listing(questions.settle),))


class Informed(ReportPart):
    """What the data say of the parameters, in the study's own words."""

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The answer in sentences."""
        fit = findings.fit
        yield Section(
            fit.study.questions.informed, tuple(map(Paragraph, conclusions.informed(fit, findings.assessment)))
        )


def cautions(findings: Findings) -> Iterator[str]:
    """What keeps the numbers from being used, with what to do."""
    fit, drawn, assessed = findings.fit, findings.fit.posterior, findings.assessment
    if fit.optimum.interrupted or assessed.interrupted or (drawn is not None and drawn.interrupted):
        yield "Stopped before the end. Run the same command to resume."
    if fit.conditions.first:
        yield fit.conditions.first
    if not fit.replication.sound:
        yield fit.replication.sentence
    if drawn is not None and not drawn.converged:
        yield f"The posterior has not converged, so no band is drawn: {drawn.obstacle}."
    if findings.draws is None:
        yield from _unfound(fit)


def _unfound(fit: Fit) -> Iterator[str]:
    """Whose intervals lack an end that no search came to: such constants count neither as narrowed nor as left open."""
    remedy = "" if fit.posterior is not None else ": --posterior gives it by draws"
    for reason, left in fit.unfound_by_reason.items():
        names = listed([*left[:3], *([f"{len(left) - 3} more"] if len(left) > 3 else [])])
        why = f", since {reason.removeprefix('not computed: ')}"
        yield f"An end of the interval of {names} was not found{BUDGET if reason == SPENT else why}{remedy}."


def warnings(findings: Findings) -> Iterator[str]:
    """What else a modeller should look at."""
    fit, assessed = findings.fit, findings.assessment
    if assessed.rolling is not None and assessed.rolling.not_converged:
        origins = listed(fit.study.calendar.label(origin) for origin in assessed.rolling.not_converged)
        yield f"Not converged at the hold-out origins {origins}."
    failed = [line.name for line in assessed.comparison if not line.converged]
    if failed:
        yield f"Not converged for the rivals {listed(failed)}."
    yield from (line.sentence for line in assessed.discrepancies if line.fails)
    if len(fit.optimum.searches) > 1 and fit.optimum.n_arrived == 1:
        yield "Only one start reached this optimum, so a better one may exist: raise --starts."
    if fit.optimum.at_bound:
        yield f"The optimum lies at a bound of {listed(fit.optimum.at_bound)}."
    yield from fit.conditions.warnings
