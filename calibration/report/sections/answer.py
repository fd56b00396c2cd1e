"""What the page says first: the question, its numbers in words, how well the model fits, and what it cannot say."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.report import conclusions, figures_fit
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart
from calibration.report.sections.best_fit import Optimum
from calibration.report.sections.predictions import Predictions, unseen
from calibration.report.sections.questions import warnings
from cipark_sd.headline import Headline, sentences
from cipark_sd.pages.blocks import Answer, Paragraph, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import listed, number, percent

#: Numbers in the box, at most, and share of the noise in the band of its figure.
NUMBERS, BAND = 3, 0.9


@dataclass(frozen=True, slots=True)
class First(ReportPart):
    """The box at the top."""

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The observation that the study lists first, beside the model."""
        shown = first_shown(findings.fit)
        if shown is not None:
            fit = findings.fit
            label = next(entry.label for entry in fit.study.observations if entry.name == shown)
            parts = (fit.curves.times, fit.curves.courses[shown], fit.curves.levels.get(shown, ()))
            options = {"axis_label": label, "time": fit.study.time}
            yield Drawing("answer", figures_fit.answer_figure, parts, options)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The answer, and what keeps its numbers from being used."""
        fit = findings.fit
        picture = next(pictures.show("answer", picture_words(fit)), None)
        answer = Answer(
            question=question(findings),
            numbers=sentences(leading(findings)),
            fit=" ".join([fit_words(fit), *failing(findings)]).strip(),
            cannot=cannot_say(findings),
            picture=picture,
            words=fit.study.questions.words,
            player=pictures.player,
        )
        yield Section("In short", (answer, *(Paragraph(text, warning=True) for text in warnings(findings))))


def question(findings: Findings) -> str:
    """The study's own question, or that about causes where its structures were compared, else what was fitted."""
    fit = findings.fit
    if fit.study.questions.first:
        return fit.study.questions.first
    compared = findings.assessment is not None and bool(findings.assessment.comparison)
    if compared:
        return fit.study.questions.caused
    if fit.study.pools:
        return "What do the groups say of each other, and of a new one?"
    names = listed(dict.fromkeys(row.observation for row in fit.rows if row.use == "fit"))
    if fit.predictions:
        return f"What does the model say, fitted to {names}?"
    return f"What do the data ({names}) say of the model's constants?"


def leading(findings: Findings) -> list[Headline]:
    """Numbers that the study asks for, those within its data first, else the constants that were fitted."""
    after = unseen(findings.fit)
    predictions = sorted(Predictions().headlines(findings), key=lambda record: after in record.conditional_on)
    return (predictions or list(Optimum().headlines(findings)))[:NUMBERS]


def fit_words(fit: Fit) -> str:
    """How well the model fits: the count of numbers within the band of their noise, whose width may be fitted too."""
    judged = [row for row in fit.rows if row.use == "fit" and math.isfinite(row.low) and math.isfinite(row.high)]
    if not judged:
        return ""
    inside = sum(row.upper >= row.low and row.lower <= row.high for row in judged)
    wide = any(p.target == "noise" and p.use == "CAL" for p in fit.study.space)
    width = ", whose width was fitted as well" if wide else ""
    return f"Fit: {inside} of {len(judged)} fitted numbers lie within the {percent(BAND)} band of the noise{width}."


def failing(findings: Findings) -> list[str]:
    """What the model with its noise does not bring forth, a sentence each."""
    assessed = findings.assessment
    return [] if assessed is None else [line.sentence for line in assessed.discrepancies if line.fails]


def cannot_say(findings: Findings) -> str:
    """What the numbers leave open, and what was not looked at."""
    fit = findings.fit
    open_questions = [conclusions.unknowable(fit, findings.assessment)]
    if fit.posterior is None:
        open_questions.append("Each range is of one number by itself.")
    return " ".join([*open_questions, *untested(findings)])


def untested(findings: Findings) -> Iterator[str]:
    """What this run did not hold the model against."""
    fit, assessed = findings.fit, findings.assessment
    n = 0 if assessed is not None and assessed.comparison else len(fit.study.rivals)
    rivals = "the rival structure fits" if n == 1 else f"any of {n} rival structures fits"
    parts = [f"whether {rivals} as well"] if n else []
    if fit.study.holdout and (assessed is None or assessed.rolling is None):
        parts.append("whether the model foretells later numbers from earlier ones")
    if parts:
        yield f"Not tested in this run: {listed(parts)}; a good fit alone is no evidence for the model."


def first_shown(fit: Fit) -> str | None:
    """The observation that is drawn: the first with a course, but for those whose numbers are looked at only."""
    for entry in fit.study.observations:
        rows = fit.curves.levels.get(entry.name, ())
        if entry.name in fit.curves.courses and (not rows or any(row.use == "fit" for row in rows)):
            return entry.name
    return None


def picture_words(fit: Fit) -> str:
    """What the picture shows, with the numbers at its last date."""
    shown = first_shown(fit)
    if shown is None:
        return ""
    label = fit.study.calendar.label
    course, times = fit.curves.courses[shown], fit.curves.times
    levels = [row for row in fit.curves.levels.get(shown, ()) if row.use != "check" and math.isfinite(row.lower)]
    computed = np.flatnonzero(np.isfinite(course))
    if not len(computed):
        return f"{shown}: the model has no number at the optimum. Points: what was reported."
    end = computed[-1]
    text = f"{shown}: the model ends at {number(float(course[end]), digits=3)} {_when(label(float(times[end])))}"
    if levels:
        last = max(levels, key=lambda row: row.end)
        text += f"; reported last were {number(last.lower, digits=3)} {_when(label(last.end))}"
    return f"{text}. Line: the model at the optimum; points: what was reported."


def _when(label: str) -> str:
    """A date or a number of model time in a sentence."""
    return f"{'on' if '-' in label[1:] else 'at time'} {label}"
