"""What draws are, and what can be said from them: whether the model has it built in, data have informed it, or neither.

A :class:`Basis` says what draws have seen, how many and how good they are, in words that pages, consoles and files
share.

A sign that an equation forces comes true in draws that have seen no data, so that its coming true after a fit says
nothing. An expectation is set against the priors first:

- **built in**: true in at least :data:`BUILT_IN` of the prior draws under every structure (or false in as many: built
  in against it), so that it could not come out otherwise;
- **informed**: the data have moved its odds by a Bayes factor of at least :data:`INFORMED` in the same direction under
  every structure in which the policy does anything;
- **undecided**: all else, too few draws to tell included.

Draws are finite, and a class is given only where the interval of a probability or a factor clears its threshold.

A number, and not an expectation, is classed by :func:`class_of` from its draws before and after the data.

Source: Kass and Raftery 1995, Journal of the American Statistical Association 90, 773-795, for the Bayes factor as
posterior odds over prior odds and for 3 as where evidence begins to be positive; Wilson 1927, ibid. 22, 209-212, for
the interval.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from cipark_sd.base.arrays import Array
from cipark_sd.statements.standing import NARROW, SHOWN, Standing, left

#: Where draws come from. ``borrowed`` are those of another structure, used for one that has not been fitted itself;
#: ``ranges`` lie between limits that a user gave, and there are no data; ``optimum`` is the best fit alone.
Origin = Literal["prior", "ranges", "posterior", "borrowed", "optimum"]
#: Origins that have seen no data.
UNSEEN: tuple[Origin, ...] = ("prior", "ranges")
#: An expectation that is true in this share of prior draws under every structure is built in.
BUILT_IN = 0.9
#: A Bayes factor of this much, or one over it, says that data have informed an expectation.
INFORMED = 3.0
#: Of the intervals that have to clear the two.
CONFIDENCE = 0.95
#: A policy that leaves the outcome as it is in this share of draws does nothing under a structure.
IDLE = 0.9

#: Independent draws that a posterior of a full fit is worth at least, after Vehtari and others 2021, Bayesian Analysis
#: 16(2), 667-718: with another seed a mean moves by some twentieth of a standard deviation.
ENOUGH = 400
#: Groups of draws that are left out in turn for the error of that share, and the deviations that it has to clear.
GROUPS, ONE_SIDED = 10, 1.6448536269514722
#: Prior draws of one sign from which on the model is said to assume it.
SURE = 0.9

Kind = Literal["built in", "informed", "undecided"]
#: The classes as pages say them.
WORDS: Mapping[Kind, str] = {
    "informed": "informed by the data",
    "undecided": "not decided by the data",
    "built in": "assumed by the model",
}
#: How a sentence of a change of each class begins; of a level :data:`cipark_sd.statements.standing.SHOWN` has it.
CHANGES: Mapping[Kind, str] = {
    "informed": "The data narrow this",
    "undecided": "The data leave this open",
    "built in": "The equations give the direction, and the data do not test it",
}
#: A Monte Carlo error up to this share of the interval's width is not printed: 400 independent draws of a normal
#: distribution have 1.9%, which seldom moves the second digit of the width.
UNSEEN_ERROR = 0.02
Side = Literal["for", "against", ""]


@dataclass(frozen=True, slots=True)
class Basis:
    """What ``n`` draws are.

    Parameters
    ----------
    converged : bool or None
        Of a posterior, whether its sampling has, so that bands may be drawn; None where nobody has said.
    worth : int or None
        How many independent draws those of a posterior are worth, where that is less than :data:`ENOUGH`.
    """

    origin: Origin
    n: int
    converged: bool | None = None
    worth: int | None = None

    @property
    def sure(self) -> bool:
        """Whether these are draws of chains that have converged."""
        return self.origin == "posterior" and bool(self.converged)

    @property
    def alone(self) -> bool:
        """Whether it is one run at the best fit, also where the draws of a posterior cannot be trusted."""
        return self.origin == "optimum" or (self.n == 1 and self.converged is False)

    @property
    def name(self) -> str:
        """A few words for captions."""
        return {
            "prior": "draws from the priors",
            "ranges": "draws from ranges given by you",
            "posterior": "posterior draws",
            "borrowed": "posterior draws of another structure",
            "optimum": "the best fit",
        }[self.origin]

    @property
    def bands(self) -> bool:
        """Whether a band may be drawn of them: not of chains that have not converged."""
        return self.origin in UNSEEN or (self.origin != "optimum" and self.converged is not False)

    @property
    def _number(self) -> str:
        return f"{self.n} draw{'' if self.n == 1 else 's'}"

    @property
    def label(self) -> str:
        """For a column of a table: origin, number and quality."""
        match self.origin:
            case _ if self.alone:
                return "best fit, no draws"
            case "posterior" | "borrowed":
                known = "converged" if self.worth is None else f"worth {self.worth}"
                quality = {True: known, False: "not converged", None: "not checked for convergence"}[self.converged]
                return f"{self.origin}, {self._number}, {quality}"
            case _:
                return f"{self.origin}, {self._number}, no data seen"

    @property
    def sentence(self) -> str:
        """What stands first on a page and a console; without a full stop."""
        match self.origin:
            case "posterior" | "borrowed" if self.alone:
                return (
                    "the best fit alone, without intervals: the posterior has not converged, and "
                    "'cipark calibrate STUDY --posterior --steps N' samples longer"
                )
            case "posterior" | "borrowed":
                few = f"they are worth {self.worth} independent ones, and ends of intervals are as rough"
                quality = {
                    True: "the sampling has converged" if self.worth is None else few,
                    False: "the sampling has NOT converged, so that no band of them can be trusted: "
                    "'cipark calibrate STUDY --posterior --steps N' continues it",
                    None: "whether the sampling has converged is not recorded",
                }[self.converged]
                return f"{self._number} from the posterior; {quality}"
            case "optimum":
                return "the best fit alone, without intervals"
            case "prior":
                return f"{self._number} from the PRIOR: nothing here has seen the data"
            case _:
                return (
                    f"{self._number} from ranges given by you, any value as good as another: there are no data, and "
                    "all numbers are conditional on these ranges"
                )


def worth(n_effective: float) -> int | None:
    """What a :class:`Basis` has of so many effective draws: nothing where they are enough.

    >>> worth(394.6), worth(5000.0)
    (394, None)
    """
    return int(n_effective) if n_effective < ENOUGH else None


def as_said(text: str) -> str:
    """A class or a verdict of a file in the words of pages.

    >>> as_said("built in: fewer"), as_said("undecided")
    ('assumed by the model: fewer', 'not decided by the data')
    """
    kind = next((kind for kind in WORDS if text.startswith(kind)), None)
    return text if kind is None else WORDS[kind] + text.removeprefix(kind)


def wilson(count: float, n: float) -> tuple[float, float]:
    """The interval of a share of which ``count`` of ``n`` have been seen, with :data:`CONFIDENCE` (Wilson 1927).

    With ``z`` the normal quantile of that and ``p = count / n`` it is
    ``(p + z^2/2n ± z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)``. Neither number has to be whole: draws that depend
    on each other are worth fewer.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, z2 = count / n, z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # at the ends the interval closes exactly, which rounding would miss
    return (0.0 if count == 0 else max(0.0, middle - half)), (1.0 if count == n else min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class Tally:
    """In how many of ``n`` draws something is true."""

    true: float
    n: float

    @property
    def share(self) -> float:
        """The probability; NaN without a draw."""
        return self.true / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Of the probability; all of 0 to 1 without a draw."""
        return wilson(self.true, self.n) if self.n else (0.0, 1.0)

    def worth(self, n: float) -> "Tally":
        """The same share of ``n`` independent draws, where that is fewer."""
        return self if not n < self.n else Tally(self.share * n, n)


@dataclass(frozen=True, slots=True)
class BayesFactor:
    """Posterior odds over prior odds; zero or infinite where a count is zero, and then one end of the interval is left.

    The interval joins those of the two probabilities, so that it covers with at least :data:`CONFIDENCE`.
    """

    value: float
    low: float
    high: float

    @property
    def bounds(self) -> str:
        """The interval alone, or the end of it that there is."""
        low, high = _digits(self.low), _digits(self.high)
        if self.low > 0 and math.isinf(self.high):
            return f"over {low}"
        if self.low == 0 and math.isfinite(self.high):
            return f"under {high}"
        if math.isinf(self.high):
            return "not bounded"
        return f"{low} to {high}"

    def __str__(self) -> str:
        bounded = 0 < self.value < math.inf and self.low > 0 and math.isfinite(self.high)
        return f"{_digits(self.value)} ({self.bounds})" if bounded else self.bounds


def bayes_factor(prior: Tally, posterior: Tally) -> BayesFactor:
    """By how much data have multiplied the odds of something.

    >>> str(bayes_factor(Tally(100, 200), Tally(160, 200)))
    '4 (2.1 to 7.4)'
    >>> str(bayes_factor(Tally(100, 200), Tally(200, 200)))
    'over 39'
    """
    (prior_low, prior_high), (low, high) = prior.interval, posterior.interval
    return BayesFactor(
        _ratio(_odds(posterior.share), _odds(prior.share)),
        _ratio(_odds(low), _odds(prior_high)),
        _ratio(_odds(high), _odds(prior_low)),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What draws say of an expectation under one structure.

    Parameters
    ----------
    posterior : Tally or None
        None where this structure has not been fitted.
    idle : bool
        The policy does nothing here: the mechanism that it works through is switched off.
    """

    structure: str
    prior: Tally
    posterior: Tally | None = None
    idle: bool = False

    @property
    def columns(self) -> dict[str, float]:
        """For tables: probabilities before and after the fit with intervals, and the Bayes factor between them."""
        low, high = self.prior.interval
        columns = {"prior": self.prior.share, "prior_low": low, "prior_high": high}
        factor = self.factor
        if self.posterior is not None and factor is not None:
            low, high = self.posterior.interval
            columns |= {"posterior": self.posterior.share, "posterior_low": low, "posterior_high": high}
            columns |= {"bayes_factor": factor.value, "bayes_factor_low": factor.low, "bayes_factor_high": factor.high}
        return columns

    @property
    def factor(self) -> BayesFactor | None:
        """None without a posterior."""
        return None if self.posterior is None else bayes_factor(self.prior, self.posterior)


@dataclass(frozen=True, slots=True)
class Classified:
    """A class, on which side of the expectation it stands, and what it rests on."""

    kind: Kind
    side: Side
    evidence: tuple[Evidence, ...]

    def __str__(self) -> str:
        return f"{WORDS[self.kind]}, against it" if self.side == "against" else WORDS[self.kind]


def classify(evidence: Sequence[Evidence]) -> Classified:
    """The class of an expectation; what data say against something built in comes before its being built in."""
    active = [judgement for judgement in evidence if not judgement.idle]
    factors = [judgement.factor for judgement in active]
    known = [factor for factor in factors if factor is not None]
    moved: Side = ""
    if known and len(known) == len(active):
        if all(factor.low >= INFORMED for factor in known):
            moved = "for"
        elif all(factor.high <= 1 / INFORMED for factor in known):
            moved = "against"
    built: Side = ""
    if evidence and all(judgement.prior.interval[0] >= BUILT_IN for judgement in evidence):
        built = "for"
    elif active and all(judgement.prior.interval[1] <= 1 - BUILT_IN for judgement in active):
        built = "against"
    if built and (not moved or moved == built):
        return Classified("built in", built, tuple(evidence))
    return Classified("informed" if moved else "undecided", moved, tuple(evidence))


Pairs = Sequence[tuple[Array, Array]]


def class_of(pairs: Pairs, *, is_change: bool = False, misfit: str = "") -> Kind:
    """The class of a number from its draws ``(n,)`` before and after the data under each structure that was fitted.

    - *built in*: a change whose sign is the same in :data:`SURE` of the prior draws in which there is one, under every
      structure, however far the data narrow its size, unless they turn the odds against it;
    - *informed*: under every structure the central 90% after the data leave at most :data:`NARROW` of those before
      (:func:`cipark_sd.statements.standing.left`), clear of the error of finite draws, or the odds of a change's sign
      have moved by :data:`INFORMED`;
    - *undecided*: neither. The player has the same rule for the runs that it makes (``pages/player/answer.js``).

    Parameters
    ----------
    pairs : one of prior and posterior draws for each structure, each (n,); draws that are not finite are left out
    is_change : whether the number is the difference of two scenarios, whose sign may be built in
    misfit : what the model does not follow of the data, empty where there is nothing: such data inform nothing
    """
    clean = [tuple(draws[np.isfinite(draws)] for draws in pair) for pair in pairs]
    turns = [_odds_moved(*pair) if is_change else 0 for pair in clean]
    sign = _assumed_sign([prior for prior, _ in clean]) if is_change else 0
    if sign:
        return "informed" if not misfit and all(turn == -sign for turn in turns) else "built in"
    informed = all(turn or _is_narrowed(*pair) for turn, pair in zip(turns, clean, strict=True))
    return "informed" if informed and not misfit else "undecided"


def as_data() -> dict[str, object]:
    """The rule of :func:`class_of`, the classes and their words, for a page that classes runs of its own.

    Returns
    -------
    dict of str to object
        As JSON has it; what the model has built in is called *assumed* there.
    """
    level: Mapping[Kind, Standing] = {"informed": "narrowed", "undecided": "not narrowed", "built in": "assumed"}

    def kind_of(kind: Kind) -> str:
        return "assumed" if kind == "built in" else kind

    return {
        "narrow": NARROW,
        "sure": SURE,
        "moved": INFORMED,
        "z": NormalDist().inv_cdf((1 + CONFIDENCE) / 2),
        "groups": GROUPS,
        "oneSided": ONE_SIDED,
        "unseenError": UNSEEN_ERROR,
        "classes": {
            kind_of(kind): {"words": words.capitalize(), "level": SHOWN[level[kind]][1], "change": CHANGES[kind]}
            for kind, words in WORDS.items()
        },
        "standings": {standing: [kind_of(kind), words] for standing, (kind, words) in SHOWN.items()},
    }


def _assumed_sign(priors: Sequence[Array]) -> int:
    """The sign that the priors alone give a change, the same under every structure; 0 where they leave it open."""
    moving = [prior[prior != 0] for prior in priors]
    return next((sign for sign in (1, -1) if all(len(m) and (sign * m > 0).mean() >= SURE for m in moving)), 0)


def _is_narrowed(prior: Array, posterior: Array) -> bool:
    """Whether the data leave at most :data:`NARROW` of the central 90%, clear of the error of finite draws.

    The standard error is the jackknife's over :data:`GROUPS` groups of draws, ``sqrt((g - 1) / g sum (s_i - s)^2)``.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, equation 11.5.
    """

    def share(group: int | None) -> float:
        pair = (prior, posterior)
        chosen = (draws[np.arange(len(draws)) % GROUPS != group] if group is not None else draws for draws in pair)
        before, after = (tuple(np.quantile(draws, [0.05, 0.95]).tolist()) for draws in chosen)
        return left(after, before)

    error = math.sqrt((GROUPS - 1) * np.var([share(group) for group in range(GROUPS)]))
    return share(None) + ONE_SIDED * error <= NARROW


def _odds_moved(prior: Array, posterior: Array) -> int:
    """The sign towards which the data have moved the odds by :data:`INFORMED`; 0 where they have not.

    Draws that change nothing have no sign.
    """
    before, after = (Tally(int((draws > 0).sum()), int((draws != 0).sum())) for draws in (prior, posterior))
    factor = bayes_factor(before, after)
    return 1 if factor.low >= INFORMED else -1 if factor.high <= 1 / INFORMED else 0


def count_sentence(expectations: Sequence[Classified]) -> str:
    """How many expectations are of which class, and what the classes say."""
    counts = Counter(expectation.kind for expectation in expectations)
    n = f"{len(expectations)} expectation{'s' * (len(expectations) != 1)}"
    structures = max((len(expectation.evidence) for expectation in expectations), default=1)
    under = "the one structure" if structures == 1 else f"each of {structures} structures"
    fitted = any(e.posterior is not None for expectation in expectations for e in expectation.evidence)
    moved = (
        f"{counts['informed']} (their odds moved by a factor of {INFORMED:g} or more)"
        if fitted
        else "none, since there are no posterior draws of all that varies"
    )
    return (
        f"Of {n}: informed by the data {moved}; not decided by the data {counts['undecided']}; assumed by the model "
        f"{counts['built in']} (true, or false, in {BUILT_IN:.0%} or more of the prior draws under {under}, so no "
        "findings)."
    )


def over_structures(factors: Sequence[BayesFactor]) -> BayesFactor:
    """From the lowest to the highest bound of several factors; its value is that of the only one, if it is one."""
    value = factors[0].value if len(factors) == 1 else float("nan")
    return BayesFactor(value, min(f.low for f in factors), max(f.high for f in factors))


def _odds(share: float) -> float:
    return math.inf if share == 1 else share / (1 - share)


def _ratio(above: float, below: float) -> float:
    """A quotient of odds, NaN where both are zero or infinite."""
    if (above == 0 and below == 0) or (math.isinf(above) and math.isinf(below)):
        return float("nan")
    return math.inf if below == 0 else 0.0 if math.isinf(below) else above / below


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
