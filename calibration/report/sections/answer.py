"""The first screen of the page: the finding, its figure, what is known, not known and assumed, and one line of limits.

The console ends with the same lines (:mod:`calibration.report.console`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibration.report import figures_fit
from calibration.report.conclusions import prediction_given
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart
from calibration.report.sections.best_fit import Optimum
from calibration.report.sections.posterior import Posterior
from calibration.report.sections.predictions import Predictions, unseen
from calibration.report.sections.questions import cautions, warnings
from cipark_sd.headline import Headline, Standing
from cipark_sd.pages.blocks import FirstScreen, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import listed

#: Numbers that are drawn, and constants that a line names, at most; the share of noise of which rows are counted.
NUMBERS, NAMED, BAND = 3, 3, 0.9
#: After sentences of a study's authors.
OWN_WORDS = "The sentences are the study's own; the numbers come from the model."


@dataclass(frozen=True, slots=True)
class First(ReportPart):
    """What the page begins with."""

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The observation that the study lists first, beside the model: for a wide screen and for a phone."""
        shown = first_shown(findings.fit)
        if shown is not None:
            fit = findings.fit
            label = next(entry.label for entry in fit.study.observations if entry.name == shown)
            parts = (fit.curves.times, fit.curves.courses[shown], fit.curves.levels.get(shown, ()))
            options = {"axis_label": label, "time": fit.study.time}
            yield Drawing("answer", figures_fit.answer_figure, parts, options)
            yield Drawing("answer_narrow", figures_fit.answer_figure, parts, {**options, "narrow": True})

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block."""
        yield Section("In short", (first_screen(findings, pictures),))


def first_screen(findings: Findings, pictures: Pictures = Pictures()) -> FirstScreen:  # noqa: B008  (frozen)
    """What the findings come to, on one screen."""
    fit, records = findings.fit, leading(findings)
    own = fit.study.questions
    caption = caption_words(fit)
    known = " ".join(filter(None, [_sentence(own.known), _sentence(known_words(records))]))
    return FirstScreen(
        subject=fit.study.title,
        title=own.finding or title_words(records),
        known=known or _sentence(fit_words(fit)),
        not_known=_sentence(own.not_known or not_known_words(fit, records)),
        assumed=_sentence(own.assumed or assumed_words(fit, records)),
        limits=" ".join([limits(findings), *([OWN_WORDS] if own.finding or own.known else [])]),
        numbers=tuple(records[:NUMBERS]) if fit.predictions or fit.study.predictions else (),
        cautions=tuple(cautions(findings)),
        warnings=tuple(warnings(findings)),
        picture=next(pictures.show("answer", caption), None),
        narrow=next(pictures.show("answer_narrow", caption), None),
        player=pictures.player,
    )


def leading(findings: Findings) -> list[Headline]:
    """Numbers that the study reports, those within its data first, else the fitted constants.

    What the model and its priors assume comes after what the data say something of.
    """
    after = unseen(findings.fit)
    predictions = list(Predictions().headlines(findings))
    records = predictions or [*Posterior().headlines(findings)] or [*Optimum().headlines(findings)]
    return sorted(records, key=lambda record: (after in record.conditional_on, record.standing == "assumed"))


def _with(records: Sequence[Headline], standing: Standing) -> list[Headline]:
    return [record for record in records if record.standing == standing]


def title_words(records: Sequence[Headline]) -> str:
    """The finding where the study has no words of its own for it."""
    first = next((record for record in records if record.title and not record.is_assumed), None)
    if first is not None:
        return f"{first.title[:1].upper()}{first.title[1:]}: {first.brief}"
    constants = [record for record in records if not record.title]
    n, k = len(_with(constants, "known")), len(constants)
    if not k:
        return "No constant was fitted"
    if k == 1:
        return f"The data {'narrow' if n else 'do not narrow'} {_name(constants[0])}: {constants[0].brief}"
    return f"The data narrow {'all' if n == k else n or 'none'} of {k} fitted constants".replace("all of", "all")


def known_words(records: Sequence[Headline]) -> str:
    """The first number that the data narrow, with what was reported of it."""
    found = next((r for r in records if r.reported), None) or next(iter(_with(records, "known")), None)
    if found is None:
        return ""
    if found.reported:
        expected = found.brief.replace(" (", " expected (", 1)
        return f"{found.title}: {found.reported} reported, {expected}"
    more = len(_with([record for record in records if not record.title], "known")) - 1
    others = f"; and {more} more constant{'s' * (more > 1)}" if more > 0 and not found.title else ""
    return f"{_name(found)}: {found.brief}{others}"


def not_known_words(fit: Fit, records: Sequence[Headline]) -> str:
    """What the data leave open: numbers, then constants that they do not narrow."""
    left = [_name(record) for record in _with(records, "not known")]
    if not left:
        return "Whether another structure of the model explains the data as well"
    more = len(left) - NAMED
    names = listed([*left[:NAMED], *([f"{more} more"] if more > 0 else [])])
    return f"{names}: the data hardly narrow what the priors alone say"


def assumed_words(fit: Fit, records: Sequence[Headline]) -> str:
    """The changes whose sign the priors give, and what was held."""
    changes = [f"{record.title}: {record.brief}, no finding" for record in _with(records, "assumed")]
    n = len(fit.study.fixed) + sum(parameter.use == "PRI" for parameter in fit.study.space)
    held = f" and {n} constant{'s' * (n != 1)} that it fixes" if n else ""
    return "; ".join([*changes, f"the model's structure{held}"])


def limits(findings: Findings) -> str:
    """What the intervals take for granted, and what this run did not test."""
    fit, assessed = findings.fit, findings.assessment
    fixed = " and its fixed constants" if prediction_given(fit) or fit.study.fixed else ""
    text = f"Intervals hold for one model structure{fixed}"
    n = 0 if assessed is not None and assessed.comparison else len(fit.study.rivals)
    rivals = "its rival was not fitted" if n == 1 else f"none of its {n} rivals was fitted"
    parts = [rivals] if n else []
    if fit.study.holdout and (assessed is None or assessed.rolling is None):
        parts.append("prediction of held-out data was not tested")
    return f"{text}; {listed(parts)}." if parts else f"{text}."


def fit_words(fit: Fit) -> str:
    """How well the model fits: the count of numbers within the band of their noise."""
    judged = [row for row in fit.rows if row.use == "fit" and math.isfinite(row.low) and math.isfinite(row.high)]
    if not judged:
        return ""
    inside = sum(row.upper >= row.low and row.lower <= row.high for row in judged)
    wide = any(p.target == "noise" and p.use == "CAL" for p in fit.study.space)
    return f"{inside} of {len(judged)} fitted numbers lie within 90% of the {'estimated ' * wide}noise"


def first_shown(fit: Fit) -> str | None:
    """The observation that is drawn: the first with a trajectory, but for those that are compared only."""
    for entry in fit.study.observations:
        rows = fit.curves.levels.get(entry.name, ())
        if entry.name in fit.curves.courses and (not rows or any(row.use == "fit" for row in rows)):
            return entry.name
    return None


def caption_words(fit: Fit) -> str:
    """What the line, the band and the points are, and how well the model fits."""
    said = fit_words(fit)
    return f"Line: the model at the optimum. Dots: what was reported.{f' {said}.' if said else ''}"


def _name(record: Headline) -> str:
    return record.title or record.dated.removeprefix("parameter ")


def _sentence(text: str) -> str:
    """A text as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
