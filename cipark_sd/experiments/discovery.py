"""Scenario discovery: in which futures does a policy fail, in words.

The box is found by PRIM (Friedman and Fisher 1999, Statistics and Computing 9, 123-143) as the EMA workbench has it
(Kwakkel 2017, Environmental Modelling & Software 96, 239-250; extra ``ema``); Bryant and Lempert (2010, Technological
Forecasting and Social Change 77, 34-49) describe coverage, density, quasi-p and resampling.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import InvalidValue, MissingPackage

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]
#: A restriction whose quasi-p is above this may be there by chance.
LIKELY = 0.05
#: A box is looked for where at least so many futures fail and so many do not.
FEWEST = 10


@dataclass(frozen=True)
class Restriction:
    """One side of a box.

    Parameters
    ----------
    name : str
    low, high : float or None
        The limits, None where the box is open.
    among : tuple of str
        The categories in the box, for an input that is none of numbers.
    quasi_p : float
        Of the binomial test that the input does not matter given the others.
    reproduced : float
        Share of half samples of the futures in which the box restricts it too.
    """

    name: str
    low: float | None
    high: float | None
    among: tuple[str, ...]
    quasi_p: float
    reproduced: float

    def __str__(self) -> str:
        if self.among:
            # ids that are numbered, in the order of their numbers
            *first, last = sorted(self.among, key=lambda text: (len(text), text))
            return f"{self.name} is {', '.join(first)}{' or ' if first else ''}{last}"
        if self.low is None:
            return f"{self.name} is under {_short(self.high)}"
        if self.high is None:
            return f"{self.name} is over {_short(self.low)}"
        return f"{self.name} is between {_short(self.low)} and {_short(self.high)}"


def _short(value: float | None) -> str:
    return "open" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


@dataclass(frozen=True)
class Box:
    """Futures in which most of the failures lie.

    ``coverage`` is the share of all failures that lie in it, ``density`` the share of the futures in it that fail,
    ``mass`` the share of all futures that lie in it, ``failing`` the share of all futures that fail.
    """

    restrictions: tuple[Restriction, ...]
    coverage: float
    density: float
    mass: float
    failing: float

    def __str__(self) -> str:
        where = " and ".join(map(str, self.restrictions)) or "anywhere"
        return (
            f"fails where {where}: {self.density:.0%} of such futures fail (of all futures {self.failing:.0%}), "
            f"and {self.coverage:.0%} of all failures lie there"
        )


def discover(inputs: "pd.DataFrame", fails: Flags, rng: np.random.Generator, *, resamples: int = 10) -> Box | None:
    """The box of inputs in which ``fails : (n_futures,)`` is most often true; None where there is none to find.

    Of the boxes that PRIM peels off, that with the largest harmonic mean of coverage and density is taken. It is none
    where fewer than :data:`FEWEST` futures fail or do not fail, or where no side of a box makes failure likelier.

    Raises
    ------
    MissingPackage
        Without the EMA workbench.
    InvalidValue
        When inputs and failures differ in number.
    """
    fails = np.asarray(fails, dtype=bool)
    if len(inputs) != len(fails):
        raise InvalidValue("the futures", (len(inputs), len(fails)), "as many inputs as failures", where="discover")
    if fails.sum() < FEWEST or (~fails).sum() < FEWEST:
        return None
    peeled = _peeled(inputs, fails)
    if peeled is None:
        return None
    limits, chances, (coverage, density, mass) = peeled
    counts = dict.fromkeys(limits, 0)
    for _ in range(resamples):
        half = rng.choice(len(fails), len(fails) // 2, replace=False)
        again = _peeled(inputs.iloc[half].reset_index(drop=True), fails[half])
        for name in counts:
            counts[name] += again is not None and name in again[0]
    sides = tuple(
        Restriction(name, *limit, chances.get(name, float("nan")), counts[name] / max(resamples, 1))
        for name, limit in limits.items()
    )
    return Box(sides, coverage, density, mass, float(fails.mean()))


_Limits = tuple[float | None, float | None, tuple[str, ...]]


def _peeled(
    inputs: "pd.DataFrame", fails: Flags
) -> tuple[dict[str, _Limits], dict[str, float], tuple[float, float, float]] | None:
    """Limits by input, quasi-p by input, and coverage, density and mass of the box that is taken."""
    # a quiet library: it logs each step, and pandas warns of what it does inside
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("EMA").setLevel(logging.ERROR)
        box = prim_box(inputs, fails, peel_alpha=0.05, mass_min=0.05)
        steps = box.peeling_trajectory
        coverage, density = steps["coverage"].to_numpy(float), steps["density"].to_numpy(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            balance = np.nan_to_num(2 * coverage * density / (coverage + density))
        taken = int(balance.argmax())
        if not steps["res_dim"].iloc[taken]:
            return None
        # a side that may be there by chance is given up, the weakest first
        while (weakest := _weakest(quasi_p(box)[taken])) is not None:
            box.drop_restriction(weakest, taken)
            taken = len(box.box_lims) - 1
        steps = box.peeling_trajectory
        coverage, density = steps["coverage"].to_numpy(float), steps["density"].to_numpy(float)
        limits = restrictions(box.box_lims[taken], inputs)
        chances = {str(name): _least(values) for name, values in quasi_p(box)[taken].items()}
    return limits, chances, (float(coverage[taken]), float(density[taken]), float(steps["mass"].iloc[taken]))


def prim_box(inputs: "pd.DataFrame", fails: Flags, *, peel_alpha: float, mass_min: float) -> Any:
    """The library's box with all the steps that led to it, in its versions 2 and 3."""
    prim = _prim().Prim
    # version 2 wants to know above which density a box counts; here the choice among the steps says so
    options = {"threshold": 0.1} if "threshold" in signature(prim).parameters else {}
    return prim(inputs, fails, peel_alpha=peel_alpha, mass_min=mass_min, **options).find_box()


def quasi_p(box: Any) -> Sequence[Mapping[str, Any]]:
    """The quasi-p values of each step by input; version 3 of the library calls them p values."""
    # vars, since any other attribute is looked up among the inputs
    steps: Sequence[Mapping[str, Any]] = vars(box).get("p_values") or vars(box)["qp"]
    return steps


def restrictions(box: Any, inputs: "pd.DataFrame") -> dict[str, _Limits]:
    """The sides of a box of the library, by input: those that leave out some of the futures."""
    limits: dict[str, _Limits] = {}
    for name in inputs.columns:
        column = inputs[name]
        if column.dtype.kind in "fiub":
            low, high = (float(value) for value in box[name].to_list())
            limit_low = low if low > float(column.min()) else None
            limit_high = high if high < float(column.max()) else None
            if limit_low is not None or limit_high is not None:
                limits[str(name)] = (limit_low, limit_high, ())
        else:
            inside = set(box[name].iloc[0])
            if inside < set(column):
                limits[str(name)] = (
                    None,
                    None,
                    tuple(category for category in dict.fromkeys(column) if category in inside),
                )
    return limits


def _weakest(chances: Mapping[str, Any]) -> str | None:
    """The input whose restriction is likeliest there by chance, if it is likelier than :data:`LIKELY`."""
    least = {name: _least(values) for name, values in chances.items()}
    doubtful = {name: value for name, value in least.items() if value > LIKELY}
    return max(doubtful, key=lambda name: doubtful[name]) if len(least) > 1 and doubtful else None


def _least(values: Any) -> float:
    """The smaller of the quasi-p values of both sides; a side that is open has none (below zero in the library)."""
    known = [float(value) for value in np.atleast_1d(values) if value >= 0]
    return min(known, default=float("nan"))


def missing() -> MissingPackage | None:
    """The package of :func:`discover`, where it is not installed."""
    return None if find_spec("ema_workbench") else MissingPackage("ema-workbench", "ema", "scenario discovery")


def _prim() -> Any:
    with warnings.catch_warnings():
        # it warns of optional parallel back ends that nothing here uses
        warnings.simplefilter("ignore")
        try:
            from ema_workbench.analysis import prim
        except ImportError:
            raise MissingPackage("ema-workbench", "ema", "scenario discovery") from None
    return prim


def plain_words(
    box: Box | None, title: str, shares: Mapping[str, float], names: Mapping[str, str] | None = None
) -> list[str]:
    """What a box says, sentence by sentence.

    Parameters
    ----------
    shares : mapping
        ``failing``: the share of the futures in which the policy fails.
    names : mapping of str to str, optional
        What inputs are called in words.
    """
    failing = shares["failing"]
    if box is None:
        return [f"{title} fails in {failing:.0%} of the futures; no range of the inputs sets these apart."]
    titles = dict(names or {})
    box = replace(box, restrictions=tuple(replace(r, name=titles.get(r.name, r.name)) for r in box.restrictions))
    sentences = [f"{title} {box}."]
    weak = [r.name for r in box.restrictions if not r.quasi_p <= LIKELY]
    if weak:
        sentences.append(f"May be there by chance (quasi-p over {LIKELY:g}): {', '.join(weak)}.")
    shaky = [r.name for r in box.restrictions if r.reproduced < 0.5]
    if shaky:
        sentences.append(f"Found again in fewer than half of the half samples: {', '.join(shaky)}.")
    return sentences
