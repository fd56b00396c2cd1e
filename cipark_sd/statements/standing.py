"""What the data say of a number: one rule, for constants and for what a model computes, by profiles and by draws.

An interval after the data is set beside that of the priors alone, of the same level, on the scale of the number:

- **not found**: an end was not computed, so that nothing is said of the data;
- **assumed**: the priors alone give a change its sign, or a number to within a factor of :data:`FACTOR`;
- **not narrowed**: more than :data:`NARROW` of the priors' interval is left, whichever end would cut it;
- **known**: narrowed, and both ends are near each other (:func:`are_near`) with the Monte Carlo error of draws, and
  given no bound and no value of another constant;
- **narrowed**: narrowed and not known, such as by one end alone;
- **doubted**: narrowed by a model that does not follow the data.

Levels of draws and of a profile differ, and a profile leaves out the prior of its own parameter: near a limit the two
may give a constant two classes, and a page says so where it has both.
"""

import math
from collections.abc import Mapping
from typing import Literal

#: The class of a number; empty where it has no interval, or its priors have none.
Standing = Literal["known", "narrowed", "not narrowed", "not found", "assumed", "doubted", ""]
#: The scale on which an interval is judged: a factor is as wide up as down on that of the logarithm.
Scale = Literal["identity", "log", "logit"]
#: Ends of an interval; None where there is none.
Ends = tuple[float | None, float | None]

#: Data narrow a number when they leave less than this share of the interval under the priors alone.
NARROW = 0.7
#: Ends, or their odds on the scale of the logit, that lie no further apart than by this factor are near each other:
#: with more a reader asks which end. Of the prior that ``new-study`` writes, on the logarithm, it is a fifth.
FACTOR = 3.0
#: The same on the scale of the number itself, where zero may lie anywhere, as a share of the priors' interval.
SHARE = 0.2
#: Of each class of a number: what a page shows it as among the three of draws (:mod:`cipark_sd.statements.claims`), and
#: how a sentence of it begins.
SHOWN: Mapping[Standing, tuple[Literal["informed", "undecided", "built in"], str]] = {
    "known": ("informed", "The data narrow this"),
    "narrowed": ("informed", "The data narrow this"),
    "not narrowed": ("undecided", "The data narrow this little"),
    "not found": ("undecided", "Whether the data narrow this was not found"),
    "assumed": ("built in", f"The priors alone give this to within a factor of {FACTOR:g}"),
    "doubted": ("undecided", "The data narrow this, and the model does not follow them"),
}


def standing_of(
    ends: Ends,
    prior: Ends,
    scale: Scale = "identity",
    *,
    narrowed: bool | None = None,
    ends_found: bool = True,
    sign_assumed: bool = False,
    doubted: bool = False,
) -> Standing:
    """The class of a number by its interval.

    >>> prior = (11.0, 3783.0)
    >>> [standing_of(ends, prior, "log") for ends in ((242.0, 270.0), (196.0, None), (20.0, 2000.0), (8.0, None))]
    ['known', 'narrowed', 'not narrowed', 'not narrowed']

    Parameters
    ----------
    ends : after the data
    prior : of the same level, under the priors alone
    scale : on which they are compared
    narrowed : whether draws say so, clear of their own error; None where the ends have to do
    ends_found : whether a side without an end is known to have none
    sign_assumed : whether it is a change to which the priors alone give its sign
    doubted : whether the model does not follow the data that narrow it
    """
    if not ends_found:
        return "not found"
    if sign_assumed:
        return "assumed"
    if not (left(ends, prior, scale) < NARROW if narrowed is None else narrowed):
        return "assumed" if are_near(prior, prior, scale) else "not narrowed"
    if doubted:
        return "doubted"
    return "known" if are_near(ends, prior, scale) else "narrowed"


def left(ends: Ends, prior: Ends, scale: Scale = "identity") -> float:
    """The share of the priors' interval that lies in the interval after the data, on a scale.

    A side without an end cuts nothing off. A time and the rate that is its reciprocal have one answer on the scale of
    the logarithm.

    >>> [round(left((0.02, 5.0), (0.01, 100.0), scale), 2) for scale in ("identity", "log")]
    [0.05, 0.6]
    >>> left((5.0, None), (0.0, 10.0)), left((-3.0, 20.0), (0.0, 10.0)), left((11.0, 12.0), (0.0, 10.0))
    (0.5, 1.0, 0.0)

    Parameters
    ----------
    ends : after the data
    prior : under the priors alone
    scale : on which they are compared

    Returns
    -------
    float
        From 0 to 1; 1 where the priors' interval has no width.
    """
    first, last = _on(prior[0], scale, -math.inf), _on(prior[1], scale, math.inf)
    low, high = max(first, _on(ends[0], scale, -math.inf)), min(last, _on(ends[1], scale, math.inf))
    if not first < last or high - low == math.inf:
        return 1.0
    return max(0.0, high - low) / (last - first)


def are_near(ends: Ends, prior: Ends, scale: Scale = "identity") -> bool:
    """Whether both ends are so near each other that a reader would call the number known.

    On the scales of logarithm and logit by :data:`FACTOR`. On that of the number itself by the same factor, where both
    have one sign and it means something: not of a date, say, of which the priors' ends lie within it as well; or by
    :data:`SHARE` of the width under the priors.

    >>> are_near((40.0, 77.0), (11.0, 84.0)), are_near((2011.0, 2016.0), (2010.0, 2018.0))
    (True, False)

    Parameters
    ----------
    ends : after the data
    prior : under the priors alone
    scale : of the number
    """
    width = _width(ends, scale)
    if scale != "identity":
        return width <= math.log(FACTOR)
    return (_within_factor(ends) and not _within_factor(prior)) or width <= SHARE * _width(prior, scale) < math.inf


def _width(ends: Ends, scale: Scale) -> float:
    return _on(ends[1], scale, math.inf) - _on(ends[0], scale, -math.inf)


def _within_factor(ends: Ends) -> bool:
    low, high = ends
    if low is None or high is None:
        return False
    return low * high > 0 and max(abs(low), abs(high)) <= FACTOR * min(abs(low), abs(high))


def _on(end: float | None, scale: Scale, without: float) -> float:
    """An end on a scale, ``without`` where there is none; infinite where it is an end of the scale."""
    if end is None:
        return without
    if scale == "identity":
        return end
    if end <= 0:
        return -math.inf
    if scale == "log":
        return math.log(end)
    return math.log(end / (1 - end)) if end < 1 else math.inf
