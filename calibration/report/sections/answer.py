"""The first screen of the page: the finding, its figure, what is known, not known and assumed, and one line of limits.

The console ends with the same lines (:mod:`calibration.report.output`). The study's questions with their answers, and
what keeps the numbers from being used, follow.
"""

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.posterior_predictive import LEVEL
from calibration.inference.judge.conditions import step_bound_words
from calibration.inference.profile.walk import SPENT
from calibration.report import conclusions, figures_fit
from calibration.report.conclusions import prediction_given
from calibration.report.findings import Findings, Fit, Observed
from calibration.report.sections.base import ReportPart, misfit, on_bounds_words
from calibration.report.sections.constants import class_changes, classes, constants
from calibration.report.sections.course import course, course_words, date_words
from calibration.report.sections.predictions import Predictions, at_estimate, since_words, unseen
from cipark_sd.base.wording import first_of, interval, listed, number, said_date
from cipark_sd.data.readings import METRICS
from cipark_sd.pages.blocks import FirstScreen, Listing, Paragraph, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Headline
from cipark_sd.statements.standing import Standing
from cipark_sd.verify.checks.outcome import BUILT_IN_SOURCE, Outcome

if TYPE_CHECKING:
    import pandas as pd

#: Numbers that are drawn, at most.
NUMBERS = 3
#: The title where half the time step moves the numbers.
NO_FINDING = "No finding: the time step is too coarse"
#: After sentences of a study's authors.
OWN_WORDS = "Sentences: the study's own. Numbers: as reported, or the model's."


class First(ReportPart):
    """What the page begins with."""

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The observation that the study lists first, beside the model: for a wide screen and for a phone."""
        fit, drawn = findings.fit, findings.draws
        shown = first_shown(fit)
        if shown is None:
            return
        (observed,) = (entry for entry in fit.study.observations if entry.name == shown)
        quantiles = None if drawn is None else drawn.fan
        course = fit.curves.courses[shown] if quantiles is None else quantiles[2]
        name, _, units = observed.label.partition(" [")
        options = {
            # a stock does not jump: the line is of what had been reported
            "axis_label": f"{name}, as reported{units and f' [{units}'}" if observed.jumps else observed.label,
            "time": fit.study.time,
            "fan": quantiles,
            "expected": next((text for name, text in _expected(findings) if name == shown), ""),
            # the numbers that are drawn are those that were fitted, so that their noise can be drawn beside them
            "noise": observed.kind == "level",
        }
        parts = (fit.curves.times, course, _with_bars(findings, fit.curves.dated(shown)))
        yield Drawing("answer", figures_fit.answer_figure, *parts, **options)
        yield Drawing("answer_narrow", figures_fit.answer_figure, *parts, **options, narrow=True)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block."""
        yield Section("In short", (first_screen(findings, pictures),))


def first_screen(findings: Findings, pictures: Pictures = Pictures()) -> FirstScreen:  # noqa: B008  (frozen)
    """What the findings come to, on one screen.

    Parameters
    ----------
    pictures : Pictures
        None of them for the console.
    """
    fit, records = findings.fit, leading(findings)
    questions = fit.study.questions
    caption = caption_words(findings)
    findings_known = [questions.known, _known_words(records), course_words(findings), held_out_words(findings)]
    known = " ".join(map(_sentence, filter(None, findings_known)))
    # a question, or what is computed in the place of one, is drawn with its class
    drawn = records if records and (records[0].title or fit.study.about) else course(findings)[0]
    return FirstScreen(
        subject=fit.study.title,
        title=_title(findings, records),
        known=known or _sentence(f"Nothing firmly{'' if misfit(findings) else f'. {fit_words(fit)}'}"),
        not_known=_sentence(questions.not_known or _not_known_words(records, fit.study.about)),
        assumed=_sentence(questions.assumed or _assumed_words(fit, records)),
        limits=" ".join([limits(findings), *([OWN_WORDS] if questions.finding or questions.known else [])]),
        numbers=tuple(drawn[:NUMBERS]),
        cautions=tuple(cautions(findings)),
        warnings=tuple(warnings(findings)),
        picture=next(pictures.show("answer", caption), None),
        narrow=next(pictures.show("answer_narrow", caption), None),
        player=pictures.player,
    )


def leading(findings: Findings) -> list[Headline]:
    """What is asked, then numbers that the study reports, those within its data first, else the fitted constants.

    What the model and its priors assume comes after what the data say something of; of constants the one first that
    the data narrow most.
    """
    study, after = findings.fit.study, unseen(findings.fit)
    fitted = sorted(constants(findings), key=attrgetter("width_left"))
    records = sorted(
        Predictions().headlines(findings),
        key=lambda record: (after in record.conditional_on, record.standing == "assumed"),
    )
    first = [record for record in (*records, *fitted) if record.estimand == study.about]
    first = first or list(at_estimate(findings, study.about))
    following = [record for record in records if record.estimand != study.about]
    # a question takes the place of no number
    following = following or [record for record in fitted if record.estimand != study.about]
    return [*first, *following]


def _with(records: Sequence[Headline], *standings: Standing) -> list[Headline]:
    return [record for record in records if record.standing in standings]


def _title(findings: Findings, records: Sequence[Headline]) -> str:
    """The finding: what keeps it from being one, the study's own words for it, or what the numbers come to.

    A bound that the tool set comes before a misfit, which it may make, and that before the time step: a model that
    cannot make its data is driven to where the step matters.
    """
    fit, questions = findings.fit, findings.fit.study.questions
    if fit.conditions.on_step_bounds:
        return _capital(on_bounds_words(fit.conditions.on_step_bounds))
    if (doubt := misfit(findings)) and not questions.finding:
        return _capital(doubt)
    if fit.conditions.first:
        return NO_FINDING
    if not questions.finding and fit.mostly_unfound:
        return f"The intervals of {len(fit.unfound)} of {len(fit.profiles)} fitted constants were not found"
    return answer(findings) or questions.finding or _title_words(records, course(findings)[1])


def answer(findings: Findings) -> str:
    """The number that answers the study's question, in words; empty where none is asked."""
    about = findings.fit.study.about
    record = next((r for r in leading(findings) if about and r.estimand == about), None)
    if record is None:
        at_estimate = zip(findings.fit.study.predictions, findings.fit.reported, strict=True)
        if findings.fit.study.asks_event:
            return f"{_capital(findings.fit.study.question)}: only draws tell (--posterior)"
        never = (of.title for of, value in at_estimate if of.estimand == about and value == math.inf)
        by = ", by the best fit" if findings.draws is None else " in any draw"
        return next((f"{_capital(title)}: not by then{by}" for title in never), "")
    after = ", no finding" if record.has_assumed_sign else "" if record.interval is not None else ", by the best fit"
    is_time = record.kind != "probability" and about.startswith(
        tuple(f"{metric.name} " for metric in METRICS if metric.is_time)
    )
    date = date_words(findings.fit, record.number) if is_time else ""
    return f"{_capital(record.called)}: {record.brief}{date and f', {date}'}{after}"


def _title_words(records: Sequence[Headline], of_course: str) -> str:
    """The finding where the study has no words of its own: of the system, and of the fit where it has no course."""
    first = next((record for record in records if record.title and not record.has_assumed_sign), None)
    if first is not None:
        return f"{_capital(first.title)}: {first.brief}"
    if of_course:
        return _capital(of_course)
    fitted = [record for record in records if not record.title]
    n, k, unfound = (
        len(_with(fitted, "known", "narrowed")),
        len(fitted),
        len(_with(fitted, "not found")),
    )
    if not k:
        return "No constant was fitted"
    if k == 1 and not unfound:
        return f"The data {'narrow' if n else 'do not narrow'} {fitted[0].called}: {fitted[0].brief}"
    some = ("both" if k == 2 else f"all {k}") if n == k else f"{n or 'none'} of {k}"
    return f"The data narrow {some} fitted constants{f', and of {unfound} it was not found' if unfound else ''}"


def _known_words(records: Sequence[Headline]) -> str:
    """The first number that the data make known, with what was reported of it."""
    known = _with(records, "known")
    first = next((r for r in records if r.reported), None) or next(iter(known), None)
    if first is None:
        return ""
    if first.reported:
        model = "" if _is_given(first) else f". The fitted model gives {first.brief}"
        return f"{first.title}: {first.reported} reported{model}"
    n_more = len([record for record in known if not record.title]) - 1
    rest_of = f"; and {n_more} more constant{'s' * (n_more > 1)}" if n_more > 0 and not first.title else ""
    return f"{first.called}: {first.brief}{rest_of}"


def _is_given(record: Headline) -> bool:
    return record.interval is not None and record.interval.is_given


def _not_known_words(records: Sequence[Headline], about: str = "") -> str:
    """What the data narrow and no more, what they do not narrow, and what a misfit puts in doubt.

    What the study is ``about`` has its number, whatever stands in the title.
    """

    def named(record: Headline) -> str:
        return f"{record.called} ({record.brief})" if record.estimand == about else record.called

    parts = []
    # what was reported is known beside the model's number
    if narrowed := [record for record in _with(records, "narrowed") if not record.reported or _is_given(record)]:
        rest_of = f", and {len(narrowed) - 1} more" if len(narrowed) > 1 else ""
        parts.append(f"narrowed only: {narrowed[0].called}, {narrowed[0].brief}{rest_of}")
    if unmoved := _with(records, "not narrowed"):
        parts.append(f"{first_of(map(named, unmoved))}: the data do not narrow what the priors alone say")
    if doubted := _with(records, "doubted"):
        parts.append(f"{first_of(map(named, doubted))}: another structure of the model may give other values")
    # a caution says it beside other lines
    if (unfound := _with(records, "not found")) and not parts:
        parts.append(f"{first_of(map(attrgetter('called'), unfound))}: no interval was found")
    return "; ".join(parts) or "Whether another structure of the model explains the data as well"


def _assumed_words(fit: Fit, records: Sequence[Headline]) -> str:
    """The changes whose sign the priors give, the constants that these give, and what was held."""
    assumed = _with(records, "assumed")
    # of what else may be the largest the tables say it
    shown = [record for record in assumed if record.kind != "probability" or record.estimand == fit.study.about]
    changes = [f"{record.title}: {record.brief}, no finding" for record in shown if record.title]
    names = [record.called for record in assumed if not record.title]
    changes += [
        f"{first_of(names)}, as {'its prior alone gives it' if len(names) == 1 else 'their priors alone give them'}"
    ] * bool(names)
    n = len(fit.study.fixed) + sum(parameter.use == "PRI" for parameter in fit.study.space)
    held = f" and {n} fixed constant{'s' * (n != 1)}" if n else ""
    return "; ".join([*changes, f"the model's structure{',' if held else ' and'} its priors{held}"])


def limits(findings: Findings) -> str:
    """What the intervals take for granted, and what this run did not test."""
    fit, assessed = findings.fit, findings.assessment
    fixed = " and its fixed constants" if prediction_given(fit) or fit.study.fixed else ""
    text = f"Intervals hold for one model structure{fixed}"
    n = 0 if assessed.comparison else len(fit.study.rivals)
    rivals = "its rival was not fitted" if n == 1 else f"none of its {n} rivals was fitted"
    parts = [rivals] if n else []
    if fit.posterior is None:
        parts.append(f"the posterior was not sampled ({fit.unsampled or '--posterior'})")
    if fit.study.holdout and assessed.rolling is None:
        parts.append("prediction of held-out data was not tested")
    text = f"{text}; {listed(parts)}." if parts else f"{text}."
    return f"{text} {fit.stepped}".rstrip()


def fit_words(fit: Fit) -> str:
    """How well the model fits: the count of numbers within the band of their noise."""
    judged = fit.rows[(fit.rows["use"] == "fit") & np.isfinite(fit.rows["low"]) & np.isfinite(fit.rows["high"])]
    if judged.empty:
        return ""
    inside = ((judged["upper"] >= judged["low"]) & (judged["lower"] <= judged["high"])).sum()
    return f"{inside} of {len(judged)} fitted numbers lie within their 90% range"


def held_out_words(findings: Findings) -> str:
    """How many numbers that the fit has not seen lie where it expects them; empty where there are none."""
    rows = _with_bars(findings, findings.fit.rows) if findings.draws is not None else findings.fit.rows
    judged = rows[(rows["use"] == "holdout") & np.isfinite(rows["low"]) & np.isfinite(rows["high"])]
    if judged.empty:
        return ""
    inside = ((judged["upper"] >= judged["low"]) & (judged["lower"] <= judged["high"])).sum()
    alone = ", of noise about the best fit alone (--posterior adds the doubt of the constants)"
    text = f"{inside} of {len(judged)} held-out numbers lie within their 90% bars"
    return f"{text}{alone if findings.draws is None else ''}"


def _with_bars(findings: Findings, rows: "pd.DataFrame") -> "pd.DataFrame":
    """Some of the rows of a fit, with 90% of the noise at those that were held out under the draws: none without."""
    shown, held = rows.copy(), rows.index[rows["use"] == "holdout"]
    predicted = () if findings.draws is None else findings.draws.predicted
    for name in ("low", "high"):
        shown.loc[held, name] = [getattr(predicted[place], name) if predicted else np.nan for place in held]
    return shown


def first_shown(fit: Fit) -> str | None:
    """The observation that is drawn."""
    return fit.curves.first(entry.name for entry in fit.study.observations)


def _expected(findings: Findings) -> Iterator[tuple[str, str]]:
    """Observations whose last number is that of a prediction, with the number as all pages have it."""
    fit = findings.fit
    by_estimand = {record.estimand: record for record in Predictions().headlines(findings)}
    for reported in fit.study.predictions:
        record = by_estimand.get(reported.estimand)
        for name in reported.observations if record is not None else ():
            rows = fit.curves.dated(name)
            last = rows.loc[(rows["use"] != "check") & np.isfinite(rows["lower"]), "end"].max()
            if record is not None and math.isclose(last, reported.time):
                yield name, record.brief.partition(" ")[0]


def caption_words(findings: Findings) -> str:
    """What the line, the bands, the dots and the jumps are, and how well the model fits."""
    fit = findings.fit
    observed = next((entry for entry in fit.study.observations if entry.name == first_shown(fit)), None)
    line = "Line: the best fit."
    banded = findings.draws is not None and findings.draws.fan is not None
    if banded:
        line = "Line and bands: the model without noise, its median with 50% and 90% intervals."
    rows = _rows_shown(fit)
    hollow = " Open dots: not fitted." if (rows["use"] != "fit").any() else ""
    text = f"{line} Dots: reported.{hollow}"
    if observed is not None and len(rows):
        first, last = rows["end"].min(), rows["end"].max()
        dates = [said_date(fit.study.calendar.label(at)) for at in observed.jumps if first < at <= last]
        text += f" Jump on {listed(dates)}: what had waited was reported together." if dates else ""
    return f"{text} {_noise_words(fit, observed, banded=banded)}".rstrip()


def _noise_words(fit: Fit, observed: Observed | None, *, banded: bool) -> str:
    """How far single numbers scatter, and how many of them lie as the model expects; empty where none is judged."""
    fitted = fit_words(fit)
    if observed is not None and observed.kind == "level":
        barred = ("fit", "holdout") if banded else ("fit",)
        of = " at fitted numbers" if not _rows_shown(fit)["use"].isin(barred).all() else ""
        return f"Grey bars{of}: 90% of reported numbers, noise included; {fitted}." if fitted else ""
    of_a_total = observed is not None and observed.kind == "increments"
    increases = ", as increases of the running total" if of_a_total else ""
    outside = "Dots may lie outside the bands. " if banded else ""
    return f"{outside}With noise{increases}, {fitted}." if fitted else ""


def _rows_shown(fit: Fit) -> "pd.DataFrame":
    return fit.curves.dated(first_shown(fit) or "")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _sentence(text: str) -> str:
    """A text as a sentence of its questions."""
    return f"{_capital(text.rstrip('.'))}." if text else ""


#: Why an end of an interval is missing that was given up.
BUDGET = " within the budget of its searches"


def knowledge(findings: Findings) -> Iterator[Section]:
    """What is known, assumed and unknown, a paragraph each."""
    fit, assessed, by_name = findings.fit, findings.shown, classes(findings)
    blocks = (
        Paragraph("What the data say. " + conclusions.supports(fit, assessed, by_name)),
        Paragraph("What the theory adds. " + conclusions.adds(fit, assessed, _checked(findings.checks))),
        Paragraph("What cannot be known from these data. " + conclusions.unknowable(fit, assessed, by_name)),
    )
    yield Section("What is known, assumed and unknown", blocks)


def answers(findings: Findings) -> Iterator[Section]:
    """A section for each of the study's questions about the world, in its own words."""
    fit, assessed, questions = findings.fit, findings.assessment, findings.fit.study.questions
    # what nothing was asked of stands at the end, in one line with all else that was not asked
    if assessed.comparison:
        answer, causes = conclusions.caused(fit, assessed)
        yield Section(questions.caused, (Paragraph(answer), *((Listing(tuple(causes)),) if causes else ())))
    if assessed.rolling is not None:
        yield Section(questions.predicted, tuple(map(Paragraph, conclusions.predicted(fit, assessed.rolling))))
    if questions.settle:
        yield Section(questions.settled, (Listing(questions.settle),))


def informed(findings: Findings) -> Iterator[Section]:
    """What the data say of the parameters, under the study's own question."""
    sentences = conclusions.informed(findings.fit, classes(findings), class_changes(findings))
    yield Section(findings.fit.study.questions.informed, tuple(map(Paragraph, sentences)))


def cautions(findings: Findings) -> Iterator[str]:
    """What keeps the numbers from being used, with what to do."""
    fit, drawn, assessed = findings.fit, findings.fit.posterior, findings.assessment
    yield from disagreements(findings)
    if (hills := fit.hills) is not None:
        yield hills.sentence
    if fit.optimum.interrupted or assessed.interrupted or (drawn is not None and drawn.interrupted):
        yield "Stopped before the end. Run the same command to resume."
    yield from filter(None, (step_bound_words(fit.conditions.on_step_bounds), fit.conditions.of_the_step))
    if not fit.replication.sound:
        yield fit.replication.sentence
    if drawn is not None and not drawn.converged:
        yield f"The posterior has not converged, so no band is drawn: {drawn.obstacle}."
    elif drawn is not None and drawn.basis.worth is not None:
        error = max(line.limit_error for line in drawn.mixing)
        yield (
            f"The draws are worth {drawn.basis.worth} independent ones: ends of 95% intervals are known to "
            f"{error:.2g} standard deviations. Four times as many --steps halve that."
        )
    if findings.draws is None:
        yield from _unfound(fit)
    yield from since_words(findings)


def disagreements(findings: Findings) -> Iterator[str]:
    """Constants of which the best fit, the profile and the draws say different things: one of them is wrong."""
    fit, drawn = findings.fit, findings.draws
    if drawn is None:
        return
    profiles = {profile.name: profile for profile in fit.profiles}
    ends = np.quantile(drawn.flat, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T.tolist()
    for parameter, estimate, (low, high) in zip(fit.study.space, fit.optimum.theta.tolist(), ends, strict=True):
        profile = profiles.get(parameter.name)
        lower, upper = (None, None) if profile is None else (profile.lower, profile.upper)
        apart = (lower is not None and lower > high) or (upper is not None and upper < low)
        # an estimate on a bound says itself that it is no middle of anything
        outside = not low <= estimate <= high and parameter.name not in fit.at_bound
        if parameter.target == "model" and parameter.use == "CAL" and (apart or outside):
            by_profile = f", its profile {profile.verdict.interval}" if profile is not None else ""
            yield (
                f"Best fit and draws disagree in {parameter.name}: the estimate is {number(estimate)}{by_profile}, the "
                f"draws {interval(low, high)} ({LEVEL:.0%}). Use neither before you know why."
            )


def _unfound(fit: Fit) -> Iterator[str]:
    """Whose intervals lack an end that no search came to: such constants count neither as narrowed nor as left open."""
    remedy = "" if fit.posterior is not None else ": --posterior gives it by draws"
    for reason, left in fit.unfound_by_reason.items():
        why = f", since {reason.removeprefix('not computed: ')}"
        yield f"An end of the interval of {first_of(left)} was not found{BUDGET if reason == SPENT else why}{remedy}."


def warnings(findings: Findings) -> Iterator[str]:
    """What else a modeller should look at."""
    fit, assessed = findings.fit, findings.assessment
    on_step_bounds = {verdict.name for verdict in fit.conditions.on_step_bounds}
    if assessed.rolling is not None and assessed.rolling.not_converged:
        origins = listed(fit.study.calendar.label(origin) for origin in assessed.rolling.not_converged)
        yield f"Not converged at the hold-out origins {origins}."
    failed = [line.name for line in assessed.comparison if not line.converged]
    if failed:
        yield f"Not converged for the rivals {listed(failed)}."
    yield from (line.sentence for line in findings.shown.discrepancies if line.fails and not on_step_bounds)
    if len(fit.optimum.searches) > 1 and fit.optimum.n_arrived == 1:
        yield "Only one start reached this optimum, so a better one may exist: raise --starts."
    yield from conclusions.noise_warnings(fit)
    if at_bound := [name for name in fit.at_bound if name not in on_step_bounds]:
        yield f"The optimum lies at a bound of {listed(at_bound)}."
    yield from fit.conditions.warnings


def _checked(outcomes: Sequence[Outcome]) -> str:
    """How many of the modeller's own checks pass, and which do not."""
    expected = [outcome for outcome in outcomes if outcome.source != BUILT_IN_SOURCE]
    if not expected:
        return "The model comes with no checks of what its theory expects."
    failed = [outcome for outcome in expected if outcome.status == "fail"]
    text = f"At the estimate {len(expected) - len(failed)} of {len(expected)} checks of what the theory expects pass"
    text += "; not: " + "; ".join(f"{outcome.title} ({outcome.id})" for outcome in failed) if failed else ""
    return text + ". That a check passes is no evidence for the theory: an equation may force it for any data."
