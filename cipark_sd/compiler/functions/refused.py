"""Functions that the modelling languages have and that nothing here can run, with the way round each.

PySD's reader takes most of them in as calls and its translation stops in the run; here the file is refused at once.
Source of the list: Vensim's reference manual, function by function, against PySD 3.14's
``builders/python/python_functions.py`` and ``translators/*/*_structures.py``.
"""

from collections.abc import Mapping

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("delay_batch", "conveyor"), "use DELAY FIXED"),
    "delay_conveyor": "use DELAY FIXED or DELAY N",
    "delay_profile": "use several DELAY FIXED and add them",
    "depreciate_by_schedule": "delay the stream by each period of the schedule and add",
    "delayp": "write the delay as INTEG stocks",
    "shift_if_true": "write the cohorts as stocks",
    **dict.fromkeys(("random_lookup", "random_pink_noise"), "bring the numbers as a time series"),
    "get_data_between_times": "use the data variable itself, or its mean as a constant",
    # whether by the number of points or one less is not said where it could be read
    "get_data_stdv": "compute the number from the data beforehand and write it as a constant",
    "time_base": "write start + slope * Time",
    "lookup_area": "write the area as a table of its own",
    "lookup_slope": "write the slope as a table of its own",
    **dict.fromkeys(
        ("queue_fifo", "queue_age_average", "queue_age_in_range", "queue_age_oldest"), "model the queue with stocks"
    ),
    "simultaneous": "put a stock, a SMOOTH or a DELAY into the loop",
    # isee's help leaves open what its parameters are of
    "counter": "write start + (TIME - STARTTIME) MOD (end - start)",
    "runcount": "write 1: there is one run",
    "lognormal": "write EXP(NORMAL(mean, deviation)) with those of the logarithm",
    "geometric": "count from INT(LN(RANDOM(0, 1)) / LN(1 - probability)), and add 1 to count the success too",
    **dict.fromkeys(("internal_rate_of_return", "irr"), "compute it from the saved result"),
    # isee's help leaves open whether they count from 0 or from the start
    "sinwave": "write amplitude * SIN(2 * PI * TIME / period)",
    "coswave": "write amplitude * COS(2 * PI * TIME / period)",
    "clocktime": "use TIME; a run gives the same numbers at any hour",
    **dict.fromkeys(("pmt", "pv", "fv"), "write the formula of the annuity out"),
    "lookuparea": "write the area as a table of its own",
    "interpolate": "write the interpolation out",
    "lookupmean": "write the mean as a table of its own",
    "negbinomial": "draw POISSON of a GAMMA number",
    "invnorm": "write the quantiles as a graphical function",
    **dict.fromkeys(("npv", "npve"), "accumulate the discounted flow in a stock"),
    "a_function_of": "give the variable an equation",
    "previous": "use DELAY FIXED with a delay of one time step",
    "init_of": "use INITIAL",
    "self": "name the variable",
    "lookupxy": "name the lookup and call it",
}
