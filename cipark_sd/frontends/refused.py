"""Functions that the modelling languages have and that nothing here can run, with the way round each.

PySD's reader takes most of them in as calls and its translation stops in the run; here the file is refused at once.
Source of the list: Vensim's reference manual, function by function, against PySD 3.14's
``builders/python/python_functions.py`` and ``translators/*/*_structures.py``.
"""

from collections.abc import Iterable, Mapping

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.model.expr import Call, Expr, walk

_AS_SERIES = "bring the numbers as a time series"
_DATA = "compute the number from the data beforehand and write it as a constant"

REFUSED: Mapping[str, str] = {
    "vector_lookup": "use IF THEN ELSE",
    "delay_information": "use DELAY FIXED",
    "delay_batch": "use DELAY FIXED",
    "delay_conveyor": "use DELAY FIXED or DELAY N",
    "delay_profile": "use several DELAY FIXED and add them",
    "delayp": "write the delay as INTEG stocks",
    "shift_if_true": "write the cohorts as stocks",
    "random_lookup": _AS_SERIES,
    "random_pink_noise": _AS_SERIES,
    "get_data_at_time": "use the data variable itself, delayed by DELAY FIXED if need be",
    "get_data_between_times": "use the data variable itself, or its mean as a constant",
    "get_data_first_time": _DATA,
    "get_data_last_time": _DATA,
    "get_data_max": _DATA,
    "get_data_min": _DATA,
    "get_data_mean": _DATA,
    "get_data_median": _DATA,
    "get_data_stdv": _DATA,
    "get_data_total_points": _DATA,
    "lookup_area": "write the area as a table of its own",
    "lookup_backward": "write the table with each value held to the left",
    "lookup_extrapolate": "add a point far out at either end of the table",
    "lookup_forward": "write the table with each value held to the right",
    "lookup_invert": "write the inverse table",
    "lookup_slope": "write the slope as a table of its own",
    "find_market_price": "compute the price from supply and demand with a stock",
    "demand_at_price": "write the demand curve as a lookup",
    "supply_at_price": "write the supply curve as a lookup",
    "queue_fifo": "model the queue with stocks",
    "queue_age_average": "model the queue with stocks",
    "queue_age_in_range": "model the queue with stocks",
    "queue_age_oldest": "model the queue with stocks",
    "simultaneous": "put a stock, a SMOOTH or a DELAY into the loop",
    # isee's help leaves open what its parameters are of
    "counter": "write start + (TIME - STARTTIME) MOD (end - start)",
    "runcount": "write 1: there is one run",
    "lognormal": "write EXP(NORMAL(mean, deviation)) with those of the logarithm",
    "geometric": "count from INT(LN(RANDOM(0, 1)) / LN(1 - probability)), and add 1 to count the success too",
    "internal_rate_of_return": "compute it from the saved result",
    "npv": "accumulate the discounted flow in a stock",
    "npve": "accumulate the discounted flow in a stock",
    "a_function_of": "give the variable an equation",
    "conveyor": "use DELAY FIXED",
    "previous": "use DELAY FIXED with a delay of one time step",
    "init_of": "use INITIAL",
    "self": "name the variable",
    "lookupxy": "name the lookup and call it",
}


def refused_functions(
    where: str, variable: str, expressions: Iterable[Expr], macros: frozenset[str]
) -> list[CiparkError]:
    """One error for each function of the table that a variable's equations call; ``macros`` are the model's macros."""
    called = {
        part.function
        for expr in expressions
        for part in walk(expr)
        if isinstance(part, Call) and part.function not in macros
    }
    return [
        UnsupportedFeature(name.upper().replace("_", " "), variable=variable, where=where, alternative=REFUSED[name])
        for name in sorted(called & REFUSED.keys())
    ]
