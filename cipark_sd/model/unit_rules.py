"""What each function asks of the units of its arguments, and what unit it gives: one table.

Source: the function descriptions of the Vensim reference manual and of the XMILE 1.0 standard (OASIS 2015, section
3.5), written down as demands. Division and roots (``zidz``, ``xidz``, ``sqrt``, ``power``, ``invert_matrix``) change
exponents and stand in the checker itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cipark_sd.model.distributions import DISTRIBUTIONS, Demand

#: same: that of the arguments in ``same``; over_time and by_time: that divided or multiplied by time.
Result = Literal["same", "over_time", "by_time", "time", "none", "rate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Demands on the arguments in order, the last of them on any further ones, and the result."""

    demands: tuple[Demand, ...]
    result: Result


_ONE_LIKE = Rule(("none",), "none")
_KEEPS = Rule(("same",), "same")

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("exp", "ln", "log", "log10", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
        _ONE_LIKE,
    ),
    **dict.fromkeys(
        (
            *("abs", "min", "max", "sum", "vmin", "vmax", "vmin_xmile", "vmax_xmile"),
            *("round", "xmile_mean", "xmile_stddev"),
            *("integer", "floor", "quantum", "modulo", "floored_modulo", "initial", "active_initial"),
        ),
        _KEEPS,
    ),
    "factorial": _ONE_LIKE,
    "xmile_size": Rule(("any",), "none"),
    "xmile_rank": Rule(("any", "none"), "none"),
    "xmile_element": Rule(("any", "same", "none"), "same"),
    "not": Rule(("any",), "none"),
    "prod": _ONE_LIKE,
    "gamma_ln": _ONE_LIKE,
    "pi": Rule(("any",), "none"),
    "inf": Rule(("any",), "none"),
    # inputs over time
    "step": Rule(("same", "time"), "same"),
    "ramp": Rule(("same", "time"), "by_time"),
    "xramp": Rule(("same", "time"), "by_time"),
    "pulse": Rule(("time",), "none"),
    "pulse_train": Rule(("time",), "none"),
    # XMILE's PULSE adds its magnitude to a stock within one step, so it is a magnitude per time
    "xpulse": Rule(("time", "same"), "over_time"),
    "xpulse_train": Rule(("time", "time", "same"), "over_time"),
    "get_time_value": Rule(("any",), "time"),
    # memory
    "smooth": Rule(("same", "time", "same", "none"), "same"),
    "smooth_n": Rule(("same", "time", "same", "none"), "same"),
    "delay": Rule(("same", "time", "same", "none"), "same"),
    "delay_n": Rule(("same", "time", "same", "none"), "same"),
    "delay_fixed": Rule(("same", "time", "same"), "same"),
    "conveyor_delay": Rule(("same", "time", "same"), "same"),
    "xmile_history": Rule(("same", "time"), "same"),
    "trend": Rule(("any", "time", "rate"), "rate"),
    "forecast": Rule(("same", "time", "time", "rate"), "same"),
    "vensim_npv": Rule(("same", "rate", "any", "none"), "by_time"),
    "vensim_npve": Rule(("same", "rate", "any", "none"), "by_time"),
    "raw_data": _KEEPS,
    "data_between": Rule(("same", "time", "none"), "same"),
    "sample_if_true": Rule(("any", "same", "same"), "same"),
    # chance; the seed is a number without meaning
    "random_0_1": Rule(("any",), "none"),
    "random_uniform": Rule(("same", "same", "any"), "same"),
    **{name: Rule(("same", "same", *row.demands, "any"), "same") for name, row in DISTRIBUTIONS.items()},
    # arrays
    "vector_select": Rule(("any", "same", "any"), "same"),
    "vector_sort_order": Rule(("any",), "none"),
    "vector_rank": Rule(("any",), "none"),
    "vector_reorder": Rule(("same", "none"), "same"),
    "vector_elm_map": Rule(("same", "none"), "same"),
    "allocate_available": Rule(("same", "any", "same"), "same"),
    "allocate_by_priority": Rule(("same", "any", "none", "any", "same"), "same"),
}
