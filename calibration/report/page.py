"""The page of a calibration: the study's questions answered, then figures and tables, then what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from calibration.assess.assessment import Inquiry
from calibration.assess.forecast import origins
from calibration.assess.self_test import MASSES
from calibration.fit.diagnostics import identifiability_words
from calibration.fit.optimise import ARRIVED
from calibration.fit.prediction_profile import prediction_words
from calibration.fit.verification import OPTION, half_step_sentence, not_possible
from calibration.report import findings
from calibration.report.checklist import checklist
from calibration.report.files import Fit, estimates
from calibration.report.model_checks import verdict as checked
from calibration.report.tables import (
    compared,
    contracted,
    effect_table,
    fitted_table,
    forecast_table,
    observed_table,
    parameter_table,
    prediction_table,
    score_table,
)
from calibration.sampling.convergence import CONVERGED, poorest
from calibration.sampling.draws import PosteriorDraws
from cipark_sd.checks.outcome import Outcome
from cipark_sd.pages.page import Block, Listing, Page, Paragraph, Picture, Section, Table
from cipark_sd.results import version
from cipark_sd.wording import listed, percent

Pictures = Mapping[str, Path]


def report(fit: Fit, found: Inquiry | None, checks: Sequence[Outcome], written: Sequence[Path]) -> Page:
    """The page of a fit and of what was inquired after it, if anything was.

    Parameters
    ----------
    checks : of the model, at the estimate
    written : files of the run; a section shows the figures that are among them
    """
    pictures = {path.stem: path for path in written if path.suffix == ".png"}
    sections = (
        *_questions(fit, found),
        Section("What is known, assumed and unknown", _honest(fit, found, checks)),
        Section("The data and the model", _data(fit, pictures)),
        Section("The optimum", _optimum(fit, pictures)),
        Section("Reported predictions", _predictions(fit, pictures)),
        *_posterior(fit, found, pictures),
        *_holdout(fit, found, pictures),
        *_rivals(found, pictures),
        *_forecasts(found, pictures),
        Section("Checks of the calculation", (*_trust(fit, found), *_picture(pictures, "self_test", _SELF_TEST))),
        *_unasked(fit, found),
        Section("Reporting checklist", _checklist(fit, found, checks)),
    )
    identity = (
        f"Model {fit.problem.model.name} ({fit.problem.model.digest[:12]}), cipark_sd {version()}, "
        f"engine {fit.engine}, seed {fit.seed}."
    )
    return Page(fit.problem.title, identity, tuple(section for section in sections if section.blocks))


_SELF_TEST = (
    "Simulation-based calibration: how the ranks of the true parameters spread over synthetic data sets, less what is "
    "uniform. A course within the grey band says that intervals hold what they promise."
)


def _questions(fit: Fit, found: Inquiry | None) -> list[Section]:
    asked = fit.problem.questions
    answer, causes = findings.caused(fit, found)
    said = findings.predicted(fit, found)
    settle = Listing(asked.settle) if asked.settle else Paragraph("The study does not say ([report] settle).")
    return [
        Section(asked.informed, (*_warnings(fit, found), *map(Paragraph, findings.informed(fit, found)))),
        Section(asked.caused, (Paragraph(answer), *((Listing(tuple(causes)),) if causes else ()))),
        Section(asked.predicted, tuple(map(Paragraph, said))),
        Section(asked.settled, (settle,)),
    ]


def _warnings(fit: Fit, found: Inquiry | None) -> list[Paragraph]:
    said = []
    drawn = fit.draws
    if drawn is not None and not drawn.chains.converged:
        said.append("The posterior HAS NOT CONVERGED: do not use its numbers; allow more steps.")
    if found is not None and found.rolling is not None and found.rolling.not_converged:
        origins = listed(fit.problem.calendar.label(origin) for origin in found.rolling.not_converged)
        said.append(f"Not converged at the hold-out origins {origins}.")
    failed = [line.name for line in found.comparison if not line.converged] if found is not None else []
    if failed:
        said.append(f"Not converged for the rivals {listed(failed)}.")
    if fit.optimum.interrupted or (found and found.interrupted) or (drawn is not None and drawn.chains.interrupted):
        said.append("Stopped before all was done; a second start goes on.")
    if len(fit.optimum.searches) > 1 and fit.optimum.n_arrived == 1:
        said.append("Only one search arrived at the best optimum, so a better one may exist: raise --starts.")
    if not fit.replication.sound:
        said.append(fit.replication.sentence)
    if fit.optimum.at_bound:
        said.append(f"The optimum lies at a bound of {listed(fit.optimum.at_bound)}.")
    said += fit.conditions.warnings
    return [Paragraph(text, warning=True) for text in said]


def _honest(fit: Fit, found: Inquiry | None, checks: Sequence[Outcome]) -> tuple[Block, ...]:
    return (
        Paragraph("What the data say. " + findings.supports(fit, found)),
        Paragraph("What the theory adds. " + findings.adds(fit, found, checked(checks))),
        Paragraph("What cannot be known from these data. " + findings.unknowable(fit, found)),
    )


def _data(fit: Fit, pictures: Pictures) -> tuple[Block, ...]:
    return (
        observed_table(fit),
        *_picture(
            pictures,
            "bands",
            "What the posterior predicts, noise included, and what was seen; increments are added up from the start, "
            "so that a batch lifts all that follows.",
        ),
        *_picture(
            pictures,
            "fit",
            "The model at the optimum, dated numbers where they were reported, and residuals of the fitted ones.",
        ),
        fitted_table(fit),
    )


def _optimum(fit: Fit, pictures: Pictures) -> tuple[Block, ...]:
    optimum, level = fit.optimum, percent(fit.level)
    said = (
        f"Log likelihood {optimum.log_likelihood:.2f}. {optimum.n_arrived} of {len(optimum.searches)} searches ended "
        f"within {ARRIVED:g} of the best."
    )
    return (
        Paragraph(said),
        parameter_table(fit, estimates(fit)),
        *map(Paragraph, findings.estimate_words(fit)),
        *map(Paragraph, identifiability_words(fit.identifiability)),
        *map(Paragraph, fit.conditions.remarks),
        *_picture(pictures, "waterfall", "What each local search reached; a flat left end is reassuring."),
        *_picture(
            pictures,
            "profiles",
            "Profile likelihoods: how much worse the best fit is with one parameter held. Dashed: the "
            f"{level} interval ends where the curve crosses; without a crossing it is open. Shaded: {level} of the "
            "prior. Line: estimate.",
        ),
    )


def _predictions(fit: Fit, pictures: Pictures) -> tuple[Block, ...]:
    if not fit.predictions:
        return ()
    level = percent(fit.level)
    return (
        Paragraph(
            f"How far each reported number may lie from that of the estimate before the fit gets worse than {level} "
            "allows (profile likelihood). It is the model's own number; the noise of a count comes on top."
        ),
        prediction_table(fit.predictions),
        *map(Paragraph, prediction_words(fit.predictions, fit.problem)),
        *_picture(
            pictures,
            "prediction_profiles",
            "Profiles of the predictions: how much worse the best fit is when the model has to say each number. "
            f"Dashed: the {level} interval ends where the curve crosses; without a crossing it is open. Shaded: "
            f"{level} of what the priors alone say. Line: at the estimate.",
        ),
    )


def _posterior(fit: Fit, found: Inquiry | None, pictures: Pictures) -> list[Section]:
    drawn = fit.draws
    if drawn is None or found is None:
        return []
    blocks: tuple[Block, ...] = (
        Paragraph(_sampled(drawn)),
        contracted(drawn, found.contractions),
        *_picture(pictures, "posterior", "Posterior (filled) and prior (line) of each parameter, on its own scale."),
        *_picture(
            pictures,
            "pairs",
            "Joint draws of the parameters that the data narrow most, with their rank correlations above the diagonal.",
        ),
        *_picture(pictures, "mixing", "Courses and ranks by ensemble; level ranks say that the ensembles agree."),
        *_picture(
            pictures,
            "pit",
            "Where each fitted count (each measurement, where nothing was counted) lies within its prediction by a "
            "posterior that has not seen it, on the line where predictions are right. Hollow: importance sampling "
            "cannot leave it out (Pareto k above 0.7), so its prediction has seen it and the point lies too near a "
            "half. Cells of a breakdown are not among them, since one follows from the others.",
        ),
    )
    return [Section("The posterior", blocks)]


def _sampled(drawn: PosteriorDraws) -> str:
    chains = drawn.chains
    n, walkers = drawn.theta.shape[0], chains.position.shape[2]
    return (
        f"{n} independent ensembles of {walkers} walkers, {chains.n_steps} steps of which the first half was left out; "
        f"{len(drawn.flat)} draws kept; {poorest(chains.found)} (wanted: {CONVERGED})."
    )


def _holdout(fit: Fit, found: Inquiry | None, pictures: Pictures) -> list[Section]:
    if found is None or found.rolling is None:
        return []
    picture = _picture(
        pictures,
        "holdout",
        "What each forecaster said of the numbers that came later: medians and 90 % intervals; grey: what came.",
    )
    return [Section("Predictions before the data", (score_table(fit, found.rolling), *picture))]


def _rivals(found: Inquiry | None, pictures: Pictures) -> list[Section]:
    if found is None or not found.comparison:
        return []
    blocks: tuple[Block, ...] = (
        compared(found.comparison),
        *_picture(
            pictures,
            "rivals",
            "Left: leave-one-out log predictive density against the best, ± 2 standard errors. Right: weights.",
        ),
        *_picture(
            pictures,
            "effects",
            "What experiments change under each structure (median and 90 %) and under their stacked mixture (black).",
        ),
        *((effect_table(found.effects),) if found.effects else ()),
    )
    return [Section("Rival structures", blocks)]


def _forecasts(found: Inquiry | None, pictures: Pictures) -> list[Section]:
    if found is None or not found.forecasts:
        return []
    words = (
        "Given the structure and the scenario; forecast.csv has every date and more quantiles, for later data to score."
    )
    blocks: tuple[Block, ...] = (
        Paragraph(words),
        Listing(origins(found.forecasts)),
        *_picture(pictures, "forecast", "Medians, 50 % and 90 % bands by scenario, after the numbers that were seen."),
        forecast_table(found.forecasts),
    )
    return [Section("Forecasts", blocks)]


def _trust(fit: Fit, found: Inquiry | None) -> tuple[Block, ...]:
    said = []
    if found is not None:
        name, shift = found.step_shift.largest
        steps = listed(f"{step:g}" for step in found.step_shift.steps[1:])
        said.append(
            f"Refitted with time steps of {steps}: the estimate that moves most is {name}, by {shift:+.3f} prior "
            "standard deviations."
        )
    step = half_step_sentence(fit.step_shift)
    if step:
        said.append(step)
    said.append(fit.replication.sentence)
    if found is not None and found.tested is not None:
        pooled = ", ".join(f"{m:.0%}: {c:.1%}" for m, c in zip(MASSES, found.tested.pooled, strict=True))
        outside = found.tested.outside(np.random.default_rng(fit.seed))
        said.append(
            f"On {len(found.tested.ranks)} synthetic data sets central intervals held the truth at the rates {pooled}; "
            f"ranks leave their band for {listed(outside, 'no parameter')}; {found.tested.n_not_converged} "
            "fits used up their effort."
        )
    return (Listing(tuple(said)),)


def _unasked(fit: Fit, found: Inquiry | None) -> list[Section]:
    """What this run could have said and was not asked to."""
    problem = fit.problem
    left = []
    if not fit.profiles:
        left.append("Profile likelihoods: how far the data bound each parameter by itself (--profiles).")
    if fit.draws is None:
        left.append("The posterior: joint uncertainty of all parameters, those held included (--posterior).")
    if problem.holdout and (found is None or found.rolling is None):
        dates = listed(problem.calendar.label(time) for time in problem.holdout)
        left.append(f"Predictions from {dates}, scored by what came later (--holdout).")
    if problem.rivals and (found is None or not (found.comparison or found.refuted)):
        left.append(f"{len(problem.rivals)} rival structures, each refitted to the same data (--rivals).")
    if found is None or found.tested is None:
        left.append("Synthetic data sets with known parameters, fitted in the same way (--self-test 200).")
    if not fit.replication.compared and not not_possible(problem, fit.engine):
        left.append(f"The estimate run again in PySD on the original file ({OPTION}).")
    return [Section("What was not asked", (Listing(tuple(left)),))] if left else []


def _checklist(fit: Fit, found: Inquiry | None, checks: Sequence[Outcome]) -> tuple[Block, ...]:
    rows = tuple((item.about, item.level, item.what, item.where) for item in checklist(fit, found, checks))
    source = (
        "Minimum and preferred items after Rahmandad and Sterman 2012, System Dynamics Review 28(4), 396-411, in our "
        "words; files are those beside this page."
    )
    return (Paragraph(source), Table(("about", "level", "item", "where"), rows))


def _picture(pictures: Pictures, name: str, caption: str) -> tuple[Picture, ...]:
    return (Picture(pictures[name].name, caption),) if name in pictures else ()
