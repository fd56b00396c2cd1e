"""Scenario discovery: in which futures does a policy fail.

The box is found by PRIM (Friedman and Fisher 1999, Statistics and Computing 9, 123-143) as the EMA workbench has it
(Kwakkel 2017, Environmental Modelling & Software 96, 239-250; extra ``ema``); Bryant and Lempert (2010, Technological
Forecasting and Social Change 77, 34-49) describe coverage, density and quasi-p.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import MissingPackage
from cipark_sd.experiments.ema import workbench

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]
#: A restriction whose quasi-p is above this may be there by chance.
LIKELY = 0.05
#: A box is looked for where at least so many futures fail and so many do not.
FEWEST = 10
#: Of a box: a side (``among`` for an input that is none of numbers), its quasi-p, and what holds for the whole box.
COLUMNS = ("input", "low", "high", "among", "quasi_p", "coverage", "density", "mass")


def discover(inputs: "pd.DataFrame", fails: Flags) -> "pd.DataFrame":
    """The box of inputs in which ``fails : (n_futures,)`` is most often true, a row of :data:`COLUMNS` for each side.

    Of the boxes that PRIM peels off, that with the largest harmonic mean of coverage and density is taken: the share of
    all failures that lie in it, and the share of its futures that fail. There is no row where fewer than :data:`FEWEST`
    futures fail or do not fail, or where no side of a box makes failure likelier.

    Raises
    ------
    MissingPackage
        Without the EMA workbench.
    """
    import pandas as pd

    enough = min(fails.sum(), (~fails).sum()) >= FEWEST
    return pd.DataFrame(list(_sides(inputs, fails)) if enough else [], columns=list(COLUMNS))


def _sides(inputs: "pd.DataFrame", fails: Flags) -> Iterator[dict[str, object]]:
    # a quiet library: it logs each step, and pandas warns of what it does inside
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("EMA").setLevel(logging.ERROR)
        box = prim_box(inputs, fails, peel_alpha=0.05, mass_min=0.05)
        steps = box.peeling_trajectory
        coverage, density = steps["coverage"].to_numpy(float), steps["density"].to_numpy(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            taken = int(np.nan_to_num(2 * coverage * density / (coverage + density)).argmax())
        if not steps["res_dim"].iloc[taken]:
            return
        # a side that may be there by chance is given up, the weakest first
        while (weakest := _weakest(quasi_p(box)[taken])) is not None:
            box.drop_restriction(weakest, taken)
            taken = len(box.box_lims) - 1
        limits = restrictions(box.box_lims[taken], inputs)
        chances = {str(name): _least(values) for name, values in quasi_p(box)[taken].items()}
        whole = {name: float(box.peeling_trajectory[name].iloc[taken]) for name in ("coverage", "density", "mass")}
    for name, (low, high, among) in limits.items():
        yield {"input": name, "low": low, "high": high, "among": among, "quasi_p": chances.get(name, np.nan), **whole}


def prim_box(inputs: "pd.DataFrame", fails: Flags, *, peel_alpha: float, mass_min: float) -> Any:
    """The library's box with all the steps that led to it, in its versions 2 and 3."""
    prim = workbench("scenario discovery", "ema_workbench.analysis.prim").Prim
    # version 2 wants to know above which density a box counts; here the choice among the steps says so
    options = {"threshold": 0.1} if "threshold" in signature(prim).parameters else {}
    return prim(inputs, fails, peel_alpha=peel_alpha, mass_min=mass_min, **options).find_box()


def quasi_p(box: Any) -> Sequence[Mapping[str, Any]]:
    """The quasi-p values of each step by input; version 3 of the library calls them p values."""
    # vars, since any other attribute is looked up among the inputs
    steps: Sequence[Mapping[str, Any]] = vars(box).get("p_values") or vars(box)["qp"]
    return steps


def restrictions(box: Any, inputs: "pd.DataFrame") -> dict[str, tuple[float, float, str]]:
    """The sides of a box of the library, by input: those that leave out some of the futures; NaN where it is open."""
    limits: dict[str, tuple[float, float, str]] = {}
    for name in map(str, inputs.columns):
        column = inputs[name]
        if column.dtype.kind in "fiub":
            low, high = (float(value) for value in box[name].to_list())
            low, high = (low if low > column.min() else np.nan), (high if high < column.max() else np.nan)
            if np.isfinite([low, high]).any():
                limits[name] = (low, high, "")
        elif set(box[name].iloc[0]) < set(column):
            # ids that are numbered, in the order of their numbers
            among = sorted(map(str, box[name].iloc[0]), key=lambda text: (len(text), text))
            limits[name] = (np.nan, np.nan, ", ".join(among))
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
