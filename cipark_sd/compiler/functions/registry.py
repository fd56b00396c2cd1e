"""The table of functions: one row a function, from the files of their families.

What reads, runs, checks the units of and writes a call looks here, so that a function is added by its row. What the
languages have and nothing here can run has no row, but the way round it: PySD's reader takes most of these in as calls
and its translation stops in the run; here the file is refused at once. Source of that list: Vensim's reference manual,
function by function, against PySD 3.14's ``builders/python/python_functions.py`` and
``translators/*/*_structures.py``.
"""

import math
from collections.abc import Mapping

from cipark_sd.base.naming import canonical
from cipark_sd.compiler.functions import arithmetic, arrays, chance, data, delays, inputs, memory, slats
from cipark_sd.compiler.functions.row import Function, Reading, Remembered, WrongCall, fits, numbers_of
from cipark_sd.model.expr import Call, Const, Expr, Ref

#: By our name.
FUNCTIONS: dict[str, Function] = {}
#: What the languages spell, by canonical name: rows that differ in their number of arguments share a spelling.
IN_VENSIM: dict[str, tuple[Reading, ...]] = {}
IN_XMILE: dict[str, tuple[Reading, ...]] = {}

#: What XMILE (1.0, section 3.5) provides without an equation.
PROVIDED: Mapping[str, Expr] = {
    "dt": Ref("time_step"),
    "starttime": Ref("initial_time"),
    "stoptime": Ref("final_time"),
    "pi": Call("pi", ()),
    "inf": chance.ENDLESS,
    "nan": Const(math.nan),
}


def add(*rows: Function) -> None:
    """Put rows into the table."""
    for row in rows:
        FUNCTIONS[row.name] = row
        _spell(IN_VENSIM, *row.readings(row.vensim))
        _spell(IN_XMILE, *row.readings(row.xmile))


def _spell(language: dict[str, tuple[Reading, ...]], *readings: Reading) -> None:
    """Add spellings to a language."""
    for reading in readings:
        name = canonical(reading.spelling)
        language[name] = (*language.get(name, ()), reading)


for _family in (arithmetic, inputs, delays, slats, memory, data, chance, arrays):
    add(*_family.ROWS)
_spell(IN_VENSIM, *arithmetic.VENSIM, *data.VENSIM)
_spell(IN_XMILE, *arithmetic.XMILE, *inputs.XMILE, *delays.XMILE, *chance.XMILE, *arrays.XMILE)


#: Our names for what only readers and passes make: no file can call it so.
INTERNAL = FUNCTIONS.keys() - IN_VENSIM.keys() - IN_XMILE.keys() - {"pi", "inf", "floor", "not"}


def read(language: dict[str, tuple[Reading, ...]], function: str, arguments: tuple[Expr, ...]) -> Expr:
    """A call of a language in the model's own terms; a function that it does not spell keeps name and arguments.

    Parameters
    ----------
    language : dict
        :data:`IN_VENSIM` or :data:`IN_XMILE`.
    function : str
        As the language spells it, canonical.
    arguments : tuple of Expr
        In the language's order.

    Raises
    ------
    WrongCall
        For a wrong number of arguments, and for a name that stands for something of ours alone.
    """
    readings = language.get(function)
    if readings is None:
        if function in INTERNAL:
            raise WrongCall(f"{FUNCTIONS[function].title} is no function of the language; write it with its own")
        return Call(function, arguments)
    n = len(arguments)
    for reading in readings:
        if fits(reading.parameters, n):
            return reading.build(*arguments)
    counts = sorted({count for reading in readings for count in numbers_of(reading.parameters)})
    endless = any(reading.parameters.endswith("...") for reading in readings)
    expected = f"{counts[0]} or more" if endless else " or ".join(map(str, counts))
    shown = " or ".join(map(str, sorted(readings, key=lambda reading: numbers_of(reading.parameters))))
    raise WrongCall(f"{shown} takes {expected} argument{'s' * (expected != '1')}, here are {n}")


def remembers(function: str) -> bool:
    """Whether a function has memory."""
    return function in FUNCTIONS and isinstance(FUNCTIONS[function].meaning, Remembered)


def of_arrays(*kinds: str) -> frozenset[str]:
    """The functions that do such things to arrays, by our name."""
    return frozenset(name for name, row in FUNCTIONS.items() if row.arrays in kinds)


REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("delay_batch", "conveyor"), "use DELAY FIXED"),
    "delay_conveyor": "use DELAY FIXED or DELAY N",
    "delay_profile": "use several DELAY FIXED and add them",
    "depreciate_by_schedule": "delay the stream by each period of the schedule and add",
    "delayp": "write the delay as INTEG stocks",
    "shift_if_true": "write the cohorts as stocks",
    "reinitial": "write the value as a constant, or as INITIAL",
    **dict.fromkeys(("random_lookup", "random_pink_noise"), "bring the numbers as a time series"),
    "get_data_between_times": "use the data variable itself, or its mean as a constant",
    # whether by the number of points or one less is not said where it could be read
    "get_data_stdv": "compute the number from the data beforehand and write it as a constant",
    **dict.fromkeys(
        ("get_vdf_data", "get_vdf_lookups"),
        "save what it reads as a table, and read that with GET DIRECT CONSTANTS, DATA or LOOKUPS",
    ),
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
    "lookuparea": "write the area as a table of its own",
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
