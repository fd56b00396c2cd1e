"""What ``cipark calibrate`` has found: frozen values from which tables, figures, sentences and the page are made.

They hold numbers and texts alone, no model and no random generator, and come back from their file bit for bit. Of the
study they know names, units and questions.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.assess.assessment import NOTHING, Assessment
from calibration.assess.posterior_predictive import DRAWN, Predicted
from calibration.inference.judge.conditions import Conditions
from calibration.inference.judge.course_errors import CourseErrors
from calibration.inference.judge.identifiability import Identifiability
from calibration.inference.judge.residuals import table_of
from calibration.inference.judge.verification import TOO_COARSE, Replication
from calibration.inference.profile.profile import Profile
from calibration.inference.profile.scatter import Scatter
from calibration.inference.profile.walk import SPENT
from calibration.inference.sample.convergence import Convergence, n_effective
from calibration.inference.sample.known_optima import Hills, Place, hills
from calibration.inference.sample.warming import NEAR
from calibration.inference.search.optimise import Reached
from calibration.study.problem import Stated
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.records import of_this_version, read_record, write_record
from cipark_sd.base.wording import listed, number, written_unit
from cipark_sd.pages.figures.panels import TimeAxis, of_units
from cipark_sd.statements import headline
from cipark_sd.statements.claims import Basis, Evidence, worth
from cipark_sd.verify.checks.outcome import Outcome

#: The file of findings within the folder of output.
FILE = "findings-calibrate.zip"

#: Of a number whose counts are reported later.
NOT_YET = "those not yet reported included"


@dataclass(frozen=True, slots=True)
class Observed:
    """One observation.

    Parameters
    ----------
    variables : str
        Of the model, in the modeller's names.
    families : str
        Of its noise.
    label : str
        Of an axis: what its first number is of, with units.
    jumps : tuple of float
        Times at which what waited is reported together.
    """

    name: str
    kind: str
    variables: str
    families: str
    label: str
    jumps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """A prediction of the study: its name, the label of an axis, its estimand and unit, its time, and the observations
    that are of the same quantity. ``waits`` says that reports of it come later, so that it has more than was reported;
    ``metric`` is what is read of the course, empty for its value.
    """

    name: str
    label: str
    estimand: str
    unit: str
    time: float
    observations: tuple[str, ...]
    waits: bool
    metric: str = ""

    @property
    def title(self) -> str:
        """Its name, and what it counts where that is not what was counted."""
        return f"{self.name}, {NOT_YET}" if self.waits else self.name


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyFacts(Stated):
    """A study, for tables, figures and sentences.

    Parameters
    ----------
    scenario : str
        As one line of JSON.
    study_digest : str
        Of all that the posterior depends on, as in ``draws.nc``.
    time_method, time_step, time_units :
        Of the run.
    units : by parameter of the model
        As the model file has them.
    rivals : tuple of str
        Names of the structures other than the study's own, which may stand among them for its weight.
    course : tuple of Reported
        What the study is about where it says nothing of it: of the course that it observes first, see
        :func:`calibration.study.asked.course`.
    groups : tuple of str
        Canonical names of the groups that each run the model.
    starts : tuple of str
        Parameters that are initial values of stocks, by whose names they go.
    """

    model: str
    model_digest: str
    study_digest: str
    scenario: str
    time_method: str
    time_step: float
    time_units: str
    units: dict[str, str]
    rivals: tuple[str, ...]
    observations: tuple[Observed, ...]
    predictions: tuple[Reported, ...]
    course: tuple[Reported, ...] = ()
    groups: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    @property
    def deviations(self) -> frozenset[str]:
        """Parameters that say how far a group lies from the typical one, of which its value is told instead."""
        return frozenset(deviation.name for pool in self.pools for deviation in pool.innovations)

    @property
    def question(self) -> str:
        """What is asked, by a name that :func:`calibration.study.asked.read_about` takes; empty where nothing is."""
        for reported in self.predictions:
            event = self.about.removeprefix(reported.estimand)
            if event != self.about and (not event or event.startswith((" above ", " below "))):
                return f"{reported.name}{event}"
        return self.about.removeprefix(headline.parameter(""))

    @property
    def asks_event(self) -> bool:
        """Whether it is asked what is true in some draws and not in others."""
        numbers = {reported.estimand for reported in self.predictions}
        return self.about not in {"", *numbers, *map(headline.parameter, self.space.names)}

    @property
    def time(self) -> TimeAxis:
        """How an axis of model time is drawn: with dates where the study has some."""
        return TimeAxis(of_units(self.time_units).label, self.calendar)

    def unit(self, name: str) -> str:
        """Units of a constant of the model, nothing for a pure number or a parameter of the noise."""
        return written_unit(self.units.get(name))


@dataclass(frozen=True, eq=False)
class Curves:
    """The model at the estimate beside its dated numbers.

    Parameters
    ----------
    times : (n_times,)
    courses : by observation, each (n_times,)
    levels : by observation
        Dated numbers as levels: increments as the counts that were reported or as their running sum.
    question : str
        The observation of what the study's question is about; empty for none.
    """

    times: Array
    courses: dict[str, Array]
    levels: dict[str, pd.DataFrame]
    question: str = ""

    def dated(self, name: str) -> pd.DataFrame:
        """The dated numbers of an observation, none where it has none."""
        return self.levels.get(name, table_of())

    def first(self, observations: Iterable[str]) -> str | None:
        """The observation that a first screen shows: what is asked about, else the first curve that is fitted."""
        if self.question:
            return self.question
        for name in observations:
            rows = self.dated(name)
            if name in self.courses and (rows.empty or (rows["use"] == "fit").any()):
                return name
        return None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Joint draws and what they say.

    Parameters
    ----------
    theta : (n_chains, n_draws, k)
    how : str
        The sampler, and what it did.
    mixing : tuple of Convergence
        A line a parameter: moments, central 95% and their Monte Carlo errors, of all weighted points, or all positions
        of chains, of which draws are kept.
    predictions : DataFrame
        Numbers that the study reports under :data:`calibration.assess.posterior_predictive.DRAWN`, in its order; empty
        where they were not computed.
    fan : (5, n_times), optional
        What the model expects of the observation that the first screen shows: 5, 25, 50, 75 and 95% over draws, at the
        times of :class:`Curves`.
    course : DataFrame
        The same of :attr:`StudyFacts.course`.
    event : tuple of Evidence
        How often what the study is asked is true, as of :func:`calibration.assess.posterior_predictive.drawn_event`.
    obstacle : str
        Why they have not converged, where they have not.
    """

    theta: Array
    how: str
    converged: bool
    interrupted: bool
    mixing: tuple[Convergence, ...]
    predicted: tuple[Predicted, ...]
    predictions: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=DRAWN))
    fan: Array | None = None
    course: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=DRAWN))
    event: tuple[Evidence, ...] = ()
    obstacle: str = ""

    @property
    def flat(self) -> Array:
        """``(n_chains * n_draws, k)``."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    @property
    def basis(self) -> Basis:
        """What the draws are."""
        return Basis("posterior", len(self.flat), self.converged, worth(n_effective(self.mixing)))

    @property
    def speaks(self) -> bool:
        """Whether anything may be said from the draws: the one place that is asked."""
        return self.basis.bands and not self.interrupted


@dataclass(frozen=True, eq=False)
class Fit:
    """An optimum and what was found around it.

    ``at_bound`` names parameters that ended at an end of their range, and ``scatter`` says how far places as good lie
    apart where the likelihood jumps along most of them. ``as_good`` are other places ``(k,)`` where searches ended as
    high, within the rise of an interval. ``errors`` are standard errors, and ``no_errors`` says why a
    parameter has none. ``comparable`` says whether PySD could be asked at all, and ``replication`` whether it gives the
    same at the estimate.
    ``unsampled`` says why there is no posterior where it was tried, and what to do; ``stepped`` why the time step or
    the method is not that of the study, where it is not.
    ``course`` and ``reported`` have the study's course and predictions at the estimate, and ``courses`` how each
    long series and the model part. ``optima`` are all that are nearly as good, the best first, with the share of
    the posterior and of the draws about each where there are draws.
    """

    study: StudyFacts
    optimum: Reached
    at_bound: tuple[str, ...]
    scatter: Scatter | None
    as_good: tuple[Array, ...]
    rows: pd.DataFrame
    identifiability: Identifiability
    errors: dict[str, float | None]
    no_errors: dict[str, str]
    residuals: pd.DataFrame
    conditions: Conditions
    profiles: tuple[Profile, ...]
    predictions: tuple[Profile, ...]
    engine: str
    comparable: bool
    seed: int
    replication: Replication
    curves: Curves
    course: tuple[float, ...]
    reported: tuple[float, ...]
    courses: tuple[CourseErrors, ...]
    optima: tuple[Place, ...]
    posterior: Posterior | None
    failed: tuple[str, ...]
    unsampled: str
    stepped: str
    version: str
    numpy_version: str

    @property
    def level(self) -> float:
        """Of all intervals."""
        return self.study.method.level

    @cached_property
    def hills(self) -> Hills | None:
        """Two hills of draws that are to be trusted, that of the estimate first; None where there is one."""
        if self.posterior is None or not self.posterior.speaks:
            return None
        fitted = {i: line for i, line in enumerate(self.study.space) if line.target == "model" and line.use == "CAL"}
        near = (end.theta for end in self.optimum.searches if self.optimum.log_density - end.log_density < NEAR)
        ends = [self.optimum.theta, *(place.theta for place in self.optima), *near]
        names, scales = zip(*((line.name, line.scale) for line in fitted.values()), strict=True) if fitted else ((), ())
        return hills([end[[*fitted]] for end in ends], names, scales, self.posterior.flat[:, [*fitted]])

    @property
    def unfound(self) -> tuple[str, ...]:
        """Parameters of which an end of the profile was not found."""
        return tuple(name for names in self.unfound_by_reason.values() for name in names)

    @property
    def unfound_by_reason(self) -> dict[str, list[str]]:
        """Parameters of which an end of the profile was not found, by what stood in the way first."""
        by_reason: dict[str, list[str]] = {}
        for profile in self.profiles:
            sides = (profile.verdict.lower, profile.verdict.upper)
            reason = next((side.reason for side in sides if side.state == "not found"), "")
            if reason:
                by_reason.setdefault(SPENT if SPENT in reason else reason, []).append(profile.name)
        return by_reason

    @property
    def mostly_unfound(self) -> bool:
        """Whether these are more than half of the profiles, and no draws give their intervals."""
        drawn = self.posterior is not None and self.posterior.speaks
        return not drawn and 2 * len(self.unfound) > len(self.profiles)


@dataclass(frozen=True, eq=False)
class Findings:
    """All that one call has computed.

    Parameters
    ----------
    assessment : Assessment
        What follows a posterior; nothing without one.
    checks : tuple of Outcome
        Of the model, at the estimate.
    """

    fit: Fit
    assessment: Assessment = NOTHING
    checks: tuple[Outcome, ...] = ()

    @property
    def study_digest(self) -> str:
        """The fingerprint of the study that was fitted."""
        return self.fit.study.study_digest

    @property
    def draws(self) -> Posterior | None:
        """The draws of the posterior, where they are to be trusted: nothing else of a page speaks from any."""
        return self.fit.posterior if self.fit.posterior is not None and self.fit.posterior.speaks else None

    @property
    def bands(self) -> bool:
        """Whether there are draws that a band may be drawn of."""
        return self.fit.posterior is None or self.draws is not None

    @property
    def shown(self) -> Assessment:
        """What a page may have of the assessment: nothing of draws that are not to be trusted."""
        return self.assessment if self.bands else NOTHING

    @property
    def by_profiles(self) -> "Findings":
        """The same without draws, and what follows them."""
        return Findings(replace(self.fit, posterior=None))

    @property
    def sound(self) -> bool:
        """Whether all is done: intervals found, draws converged, the step fine or asked for, PySD's run the same."""
        fit = self.fit
        whole = not fit.conditions.first and self.bands and not fit.optimum.interrupted and not fit.mostly_unfound
        return whole and fit.replication.sound and self.assessment.sound


def posterior_table(fit: Fit) -> list[dict[str, object]]:
    """A line for each parameter, in order; none without a posterior."""
    if fit.posterior is None:
        return []
    lines = zip(fit.study.space, fit.posterior.mixing, strict=True)
    return [{"name": line.name, "use": estimated.use, **moments(line)} for estimated, line in lines]


def moments(line: Convergence) -> dict[str, object]:
    """Moments of the draws of a parameter with their Monte Carlo errors, and how well its chains have mixed."""
    return {
        "mean": line.mean, "sd": line.sd, "median": line.median, "low_95": line.low, "high_95": line.high,
        "mcse_mean": line.mcse_mean, "mcse_median": line.mcse_median, "mcse_low_95": line.mcse_low,
        "mcse_high_95": line.mcse_high, "rhat": line.r_hat, "ess_bulk": line.ess_bulk, "ess_tail": line.ess_tail,
    }  # fmt: skip


def estimates(fit: Fit) -> list[dict[str, Any]]:
    """All parameters in order, estimates beside priors: the rows of ``summary.csv``.

    Intervals of the prior and of the profile are of one ``level``; an end of a profile that is not there is None, as is
    a standard error, which is given constants of which the likelihood is a step function.
    """
    profiles = {profile.name: profile for profile in fit.profiles}
    hills, held, rows = fit.hills, listed(fit.optimum.stepwise, none=""), []
    elsewhere = {} if hills is None else dict(zip(hills.names, hills.elsewhere, strict=True))

    def beside(profile: Profile | None) -> str:
        lower, upper = (None, None) if profile is None else (profile.lower, profile.upper)
        at = math.nan if profile is None else elsewhere.get(profile.name, math.nan)
        beyond = (lower is not None and at < lower) or (upper is not None and at > upper)
        return f"; the profile is of one of two hills, and the other one is at {number(at)}" if beyond else ""

    for parameter, value in zip(fit.study.space, fit.optimum.theta.tolist(), strict=True):
        (low, high), profile = parameter.interval(fit.level), profiles.get(parameter.name)
        low_side, high_side = ("", "") if profile is None else profile.verdict.states
        is_held = parameter.use == "PRI"
        rows.append(
            {
                "name": parameter.name,
                "use": parameter.use,
                "estimate": value,
                "standard_error": (error := fit.errors.get(parameter.name)),
                "standard_error_with": f"{held} held" if held and error is not None else "",
                "level": fit.level,
                "prior_median": parameter.median,
                "prior_low": low,
                "prior_high": high,
                "profile_low": profile.lower if profile else None,
                "profile_high": profile.upper if profile else None,
                "low_side": low_side,
                "high_side": high_side,
                "verdict": "held at the prior median" if is_held else _verdict(fit, parameter.name) + beside(profile),
            }
        )
    return rows


def _verdict(fit: Fit, name: str) -> str:
    """What the data determine of a parameter; with too coarse a time step, which others fit as well, or under which."""
    if (words := str(fit.conditions.of(name))) or not fit.conditions.first:
        return "; ".join(filter(None, (words, fit.conditions.under_step)))
    place = fit.study.space.names.index(name)
    places = listed(number(float(theta[place])) for theta in fit.as_good)
    return TOO_COARSE + (f"; another optimum as good at {places}" if places else "")


def save(findings: Findings, folder: Path) -> Path:
    """Write findings into a folder, whole or not at all.

    Returns
    -------
    Path
        Of the file.
    """
    return write_record(findings, folder / FILE)


def load(folder: Path) -> Findings:
    """The findings that :func:`save` wrote.

    Raises
    ------
    InvalidValue
        The folder has none, or some that this version cannot read.
    """
    path = folder / FILE
    if not path.exists():
        expected = f"the output folder of cipark calibrate, with {FILE} in it"
        raise InvalidValue("the folder", str(folder), expected, where="cipark report")
    with of_this_version("findings", path):
        return read_record(Findings, path)
