"""What a study asked, answered in words from the numbers of a run."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from calibration.assess.assessment import Assessment
from calibration.assess.contraction import SENSITIVE
from calibration.assess.holdout import MODEL, RollingOrigin, verdict
from calibration.assess.rivals import Comparison
from calibration.assess.scores import mean_error
from calibration.inference.judge.conditions import given_words
from calibration.inference.judge.held import Held
from calibration.inference.judge.identifiability import DECIDES
from calibration.inference.judge.residuals import beyond_chance, unexplained
from calibration.inference.profile.interval_rules import OF_SPREADS, Threshold, threshold_words
from calibration.inference.profile.profile import Profile, prediction_words
from calibration.inference.profile.scatter import Scatter
from calibration.report.findings import Fit
from calibration.study.parameters import placeholder_words
from cipark_sd.base.wording import listed, number, percent, with_unit
from cipark_sd.statements.headline import Bounds
from cipark_sd.statements.standing import NARROW, Standing, left

#: What the data say of each fitted constant, by its name in order.
Classes = Mapping[str, Standing]
#: Difference in log predictive density below which few terms cannot tell two structures apart, whatever its standard
#: error. Source: Sivula, Magnusson, Matamoros and Vehtari 2020, arXiv:2008.10296.
SMALL = 4.0


def informed(fit: Fit, classes: Classes, changes: str = "") -> list[str]:
    """Of which constants the data speak, and what that rests on.

    Parameters
    ----------
    changes : str
        Which of them have another class by their profiles, in a sentence.

    Returns
    -------
    list of str
        Sentences.
    """
    identified = fit.identifiability
    sentences = [text] if (text := class_words(classes)) and not fit.conditions.first else []
    sentences += [changes] if changes else []
    sentences.append(
        f"At the optimum, the data inform {identified.n_informed} of {len(identified.names)} combinations of the "
        "fitted parameters more than the priors do."
    )
    by_prior = [verdict.name for verdict in fit.conditions.parameters if verdict.by_own_prior > DECIDES]
    if by_prior and not fit.conditions.first:
        sentences.append(f"The prior decides more than the data for {listed(by_prior)}.")
    if fit.posterior is None or not fit.posterior.speaks:
        why = "was not sampled (--posterior)" if fit.posterior is None else "has not converged"
        sentences.append(f"The posterior {why}, so nothing is reported for parameters that are held.")
    return sentences


#: Log units from which on one of two families of noise with as many constants is told to fit better: a ratio of 20.
DECISIVE = 3.0
#: Of a family of noise that fits better: what residuals ask for, and what its spread is.
_ASKED = {
    "normal": ("an error of fixed size", "standard deviation of the data"),
    "lognormal": ("an error in proportion", "standard deviation of their logarithms"),
    "nb1": ("a variance that grows with the mean", "dispersion: variance = mean * (1 + dispersion)"),
    "nb2": ("a variance that grows with the mean's square", "dispersion: variance = mean + dispersion * mean^2"),
}
#: What a list of constants of a class says of them.
_GROUPS: Mapping[Standing, str] = {
    "known": "known",
    "narrowed": "narrowed",
    "doubted": "narrowed by data that the model does not follow",
    "not narrowed": "not narrowed",
    "assumed": "as their priors alone give them",
    "not found": "with an end that was not found",
}


def class_words(classes: Classes) -> str:
    """How many fitted constants are of which class, and which; empty where none has one."""
    counted = [
        f"{len(names)} {words} ({listed(names)})" for kind, words in _GROUPS.items() if (names := of(classes, kind))
    ]
    n = f"{len(classes)} fitted constant{'s' * (len(classes) != 1)}"
    return f"Of {n}: {'; '.join(counted)}." if counted else ""


def of(classes: Classes, *kinds: Standing) -> list[str]:
    """The constants of some classes, in order."""
    return [name for name, kind in classes.items() if kind in kinds]


def rule_words(fit: Fit) -> str:
    """How far the profiles of the parameters of the model may rise; empty without any."""
    model = {parameter.name for parameter in fit.study.space if parameter.target == "model"}
    rules = [profile.threshold for profile in fit.profiles if profile.name in model]
    return threshold_words(rules or [profile.threshold for profile in fit.profiles])


def noise_warnings(fit: Fit) -> Iterator[str]:
    """Series whose residuals ask for the other of normal and lognormal noise, or of nb1 and nb2, and what to write.

    Returns
    -------
    iterator of str
        A sentence for each.
    """
    for row in fit.residuals[fit.residuals["gain"] > DECISIVE].to_dict("records"):
        error, unit = _ASKED[row["other"]]
        yield (
            f"The residuals of {row['observation']} ask for {error}, by {row['gain']:.3g} log units: write "
            f'family = "{row["other"]}" for it, and a prior of {row["spread"]} around {row["other_sd"]:.2g}, as a '
            f"{unit}."
        )


def estimate_words(fit: Fit) -> list[str]:
    """What answers lean on, how intervals end, how far residuals spread, which parameters have no standard error."""
    sentences = []
    if fit.study.method.estimate == "map":
        sentences += placeholder_words(fit.study.space, fit.optimum.theta.tolist())
    if fit.profiles:
        sentences.append(f"Profile intervals are of level {percent(fit.level)}: {rule_words(fit)}.")
    for observation, n, squares, sd in fit.residuals[OF_SPREADS].dropna(subset="n").itertuples(index=False, name=None):
        spread = "" if math.isnan(sd) else f"standard deviation {sd:.5g}, "
        numbers = with_unit(str(int(n)), "number")
        sentences.append(f"Residuals of {observation}: {spread}sum of squares {squares:.5g}, {numbers}.")
    if fit.optimum.moved:
        times = "once" if fit.optimum.moved == 1 else f"{fit.optimum.moved} times"
        sentences.append(f"A profile found a better fit than the searches ({times}): the estimate is that one.")
    if fit.scatter is not None:
        words = _scatter_words(fit, fit.scatter)
        if fit.posterior is not None and fit.posterior.speaks and fit.hills is None:
            words += " The walkers of the draws began about the best fit and came to no other hill."
        sentences.append(words)
    if fit.optimum.stepwise:
        sentences.append(
            f"The likelihood is a step function of {listed(fit.optimum.stepwise)}: each search scanned it and searched "
            "the others at each place. It has no profile and no standard error; profiles of other parameters and of "
            "predictions hold it at its estimate."
        )
    without = {name: reason for name, reason in fit.no_errors.items() if name not in fit.optimum.stepwise}
    for reason in dict.fromkeys(without.values()):
        names = listed(name for name in without if without[name] == reason)
        sentences.append(f"No standard error: {names} ({reason}).")
    return sentences


def _scatter_words(fit: Fit, scatter: Scatter) -> str:
    """Why a best fit over jumps is one of many, how far they lie apart, and how far an end may be off."""
    ends = zip(scatter.names, scatter.low.tolist(), scatter.high.tolist(), strict=True)
    model = {parameter.name for parameter in fit.study.space if parameter.target == "model"}
    apart = listed(f"{name} {number(low)} to {number(high)}" for name, low, high in ends if name in model)
    rises = [profile.threshold.rise for profile in fit.profiles] or [Threshold(fit.level).rise]
    return (
        "The likelihood jumps, as where an equation asks whether a level is above another and what happens moves by "
        "whole time steps. Searches and profiles step over the jumps, and the estimate is one of many places as good: "
        f"{apart}. Standard errors are the spread of likely places; an end of an interval may be off by "
        f"{percent(round(scatter.end_share(min(rises)), 2))} of its distance from the estimate."
    )


def caused(fit: Fit, assessment: Assessment) -> tuple[str, list[str]]:
    """One sentence that answers, and a point for each cause.

    Parameters
    ----------
    assessment : Assessment
        With a comparison.
    """
    close = near_best(assessment.comparison)
    text = (
        f"{len(close)} of {len(assessment.comparison)} structures predict the data about as well as the best: not more "
        f"than {SMALL:g} behind in log predictive density, or within two standard errors."
    )
    names = {line.name for line in close}
    without = {
        cause: lines
        for cause, rivals in fit.study.questions.causes
        if (lines := [line for line in assessment.comparison if line.name in rivals])
    }
    points = [_cause(cause, lines) for cause, lines in without.items()]
    spared = [cause for cause, lines in without.items() if any(line.name in names for line in lines)]
    needed = [cause for cause in without if cause not in spared]
    if spared:
        text = f"The data do not decide. {text} For each of these causes there is such a structure without it: "
        text += f"{listed(spared)}."
    if needed:
        text += f" The data need {listed(needed)}: every structure without it predicts worse than that."
    for name, why in assessment.refuted.items():
        text += f" {name} ({why}) is refuted: under it the data are impossible."
    return text, points


def near_best(lines: Sequence[Comparison]) -> list[Comparison]:
    """Structures that the data cannot tell from the best predictor."""
    return [line for line in lines if line.elpd_behind <= max(SMALL, 2 * line.behind_error)]


def _cause(cause: str, without: Sequence[Comparison]) -> str:
    behind = listed(
        "the best of all" if line.elpd_behind == 0 else f"{line.elpd_behind:.1f} ± {line.behind_error:.1f} behind"
        for line in without
    )
    names = listed(f"{line.name} ({line.why})" for line in without)
    return f"Structures without {cause}: {names}; log predictive density: {behind}."


def predicted(fit: Fit, rolling: RollingOrigin) -> list[str]:
    """How forecasts from before the data did, beside those of rivals, over how many numbers.

    Returns
    -------
    list of str
        Sentences.
    """
    sentences = [verdict(rolling)]
    gap = _gaps(rolling)
    if gap:
        sentences.append(gap)
    origins = sorted(rolling.comparable["origin"].unique())
    dates = listed(fit.study.calendar.label(origin) for origin in origins)
    sentences.append(
        f"Each forecast rests on the data up to {dates} only; but the model's structure and its dated events were "
        "written by people who knew the later data, so this is no blind test."
    )
    return sentences


def _gaps(rolling: RollingOrigin) -> str:
    """The paired difference to each rival with its standard error, which few numbers leave wide."""
    scores = rolling.comparable.sort_values(["origin", "label"], kind="stable")
    model = scores[scores["forecaster"] == MODEL]
    n_numbers = model["label"].nunique()
    words = []
    for name, of_rival in scores.groupby("forecaster", sort=False):
        # one that changes nothing has the scores of the model
        if name != MODEL and len(of_rival) == len(model):
            difference = of_rival["log_score"].to_numpy() - model["log_score"].to_numpy()
            if difference.any() and np.isfinite(difference).all():
                words.append(f"{name} {difference.mean():+.2f} ± {mean_error(difference, model):.2f}")
    if n_numbers < 2 or not words:
        return ""
    return (
        f"Log score of a rival less that of the model, mean over {len(model)} predictions of {n_numbers} numbers with "
        "its standard error, in which a number that several origins predict counts once and neighbours in time may "
        f"depend on each other (positive: the model is better): {'; '.join(words)}."
    )


def supports(fit: Fit, assessment: Assessment, classes: Classes) -> str:
    """What the data say."""
    narrowed = of(classes, "known", "narrowed")
    text = fit.study.questions.supports
    if narrowed:
        text += f" The data narrow {listed(narrowed)}."
        resting = [line.name for line in assessment.contractions if line.name in narrowed and line.to_prior > SENSITIVE]
        text += f" The priors still matter for {listed(resting)}." if resting else ""
    elif of(classes, "not narrowed", "assumed", "doubted"):
        text += " The data narrow no fitted constant firmly."
    elif not text:
        text = _unjudged_words(fit, classes)
    missed = unexplained(fit.rows)
    if len(missed):
        text += (
            f" Not explained by the model, and left to its noise: {listed(missed['label'])} (quantile "
            f"residual beyond {chance_limit(fit):.1f}, which a right model has in one study in twenty)."
        )
    return text.strip()


def _unjudged_words(fit: Fit, classes: Classes) -> str:
    """Why no constant has a class."""
    if fit.conditions.first:
        return "No interval is judged: the time step is too coarse."
    if of(classes, "not found"):
        return "Of no constant were both ends of an interval found."
    if not classes:
        return "No single constant of the model has an interval of its own."
    return "No interval was computed: there are neither profiles (--profiles) nor draws to rely on (--posterior)."


def chance_limit(fit: Fit) -> float:
    """What no residual of so many fitted numbers exceeds by chance, as a rule."""
    return beyond_chance(int(((fit.rows["use"] == "fit") & np.isfinite(fit.rows["residual"])).sum()))


def adds(fit: Fit, assessment: Assessment, checked: str) -> str:
    """What the theory adds.

    Parameters
    ----------
    checked : str
        What the modeller's own checks come to, as sentences.
    """
    assumed = ["the structure of the model", "what the model file sets and the study does not name"]
    n = len(fit.study.fixed)
    assumed += ["one constant that the study sets"] if n == 1 else [f"{n} constants that the study sets"] if n else []
    held = sum(parameter.use == "PRI" for parameter in fit.study.space)
    if assessment.contractions:
        prior = [line.name for line in assessment.contractions if line.kind != "informed"]
        assumed += [f"the priors of {listed(prior)}, which the data do not narrow"] if prior else []
    elif held:
        assumed.append(
            "one parameter that the estimate holds at its prior median"
            if held == 1
            else f"{held} parameters that the estimate holds at their prior medians"
        )
    return f"{fit.study.questions.theory} Assumed besides: {listed(assumed)}. {checked}".strip()


def unknowable(fit: Fit, assessment: Assessment, classes: Classes) -> str:
    """What these data cannot tell."""
    text = fit.study.questions.unknown
    unmoved, unfound = of(classes, "not narrowed"), of(classes, "not found")
    text += f" The data do not narrow {listed(unmoved)}." if unmoved else ""
    text += f" Whether they narrow {listed(unfound)} was not found." if unfound and not fit.conditions.first else ""
    if fit.hills is not None:
        text += f" The data leave two places open: {', or '.join(fit.hills.places)}."
    if assessment.comparison:
        close = near_best(assessment.comparison)
        names = "" if len(close) == len(assessment.comparison) else f": {listed(line.name for line in close)}"
        text += f" Which of {len(close)} structures is right{names}."
    if text:
        return text.strip()
    unasked = [] if assessment.contractions else ["a posterior"]
    unasked += [] if assessment.comparison else ["rival structures"]
    left = f"; {listed(unasked)} may show more" if unasked else ""
    return f"Nothing was found that the data leave open{left}."


def prediction_given(fit: Fit) -> tuple[Held, ...]:
    """Held constants on which the estimate of a fitted parameter rests, and with it every prediction; those with priors
    move in the profile of a prediction.
    """
    rests_on = (held for verdict in fit.conditions.parameters for held in verdict.held)
    return tuple({held.name: held for held in rests_on if held.source != "prior"}.values())


def prior_bounds(prediction: Profile) -> Bounds | None:
    """The central interval of a prediction under the priors alone."""
    ends = prediction.prior_low, prediction.prior_high
    return Bounds(*ends, prediction.threshold.level, "central draws") if all(map(math.isfinite, ends)) else None


def prediction_verdict(fit: Fit, prediction: Profile) -> str:
    """The verdict of a prediction as it stands beside its interval."""
    conditions, ends = prediction_given(fit), (prediction.lower, prediction.upper)
    text, prior = prediction.words, (prediction.prior_low, prediction.prior_high)
    if None not in ends and all(map(math.isfinite, prior)):
        text += "" if left(ends, prior) < NARROW else ", no narrower than by the priors alone"
    return text + (f", given {given_words(conditions)}" if conditions else "")


def prediction_sentences(fit: Fit) -> list[str]:
    """What the profiles of predictions say in words."""
    held = sum(parameter.use == "PRI" for parameter in fit.study.space)
    estimate, rivals = fit.study.method.estimate, len(fit.study.rivals)
    return prediction_words(fit.predictions, estimate=estimate, held=held, rivals=rivals)
