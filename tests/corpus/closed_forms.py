"""Expected values by arithmetic of their own: NumPy formulas and explicit recurrences, no modelling tool.

``python tests/corpus/closed_forms.py`` writes ``expected.csv`` of every feature below. Each function takes the saved
times and gives the columns that are easy to state; columns that a model has besides are constants of the file.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

T = NDArray[np.float64]
Columns = dict[str, T | float | int]
HERE = Path(__file__).parent
FORMS: dict[str, tuple[Callable[[T], Columns], T]] = {}


def form(
    first: float = 0, last: float = 10, every: float = 1, at: Sequence[float] = ()
) -> Callable[[Callable[[T], Columns]], Callable[[T], Columns]]:
    """Enter a function as the closed form of the feature that it is called after; ``at`` times that are not even."""
    times = np.array(at) if at else first + every * np.arange(round((last - first) / every) + 1)

    def enter(function: Callable[[T], Columns]) -> Callable[[T], Columns]:
        FORMS[function.__name__] = (function, times)
        return function

    return enter


def where(condition: NDArray[np.bool_], yes: T | float = 1.0, no: T | float = 0.0) -> T:
    return np.where(condition, yes, no).astype(float)


def euler(t: T, start: float, rate: Callable[[float, float], float], per_save: int = 1) -> T:
    """A stock by Euler's method with ``per_save`` steps between saved times."""
    values, y = [start], start
    for now, after in pairwise(t):
        dt = (after - now) / per_save
        for k in range(per_save):
            y = y + dt * rate(float(now + k * dt), y)
        values.append(y)
    return np.array(values)


def smoothed(t: T, entering: T, duration: T | float, start: float, order: int = 1) -> T:
    """The last of ``order`` first-order smooths in a row, each with its share of the time."""
    times, levels, out = np.broadcast_to(duration, t.shape), [start] * order, []
    for i in range(len(t)):
        out.append(levels[-1])
        if i + 1 < len(t):
            goals = [entering[i], *levels[:-1]]
            share = (t[i + 1] - t[i]) * order / times[i]
            levels = [level + share * (goal - level) for level, goal in zip(levels, goals, strict=True)]
    return np.array(out)


def delayed(t: T, entering: T, duration: T | float, start: float, order: int = 1) -> T:
    """The outflow of ``order`` stocks in a row, each emptied in its share of the time."""
    times = np.broadcast_to(duration, t.shape)
    stocks, out = [start * times[0] / order] * order, []
    for i in range(len(t)):
        flows = [stock * order / times[i] for stock in stocks]
        out.append(flows[-1])
        if i + 1 < len(t):
            dt = t[i + 1] - t[i]
            inflows = [entering[i], *flows[:-1]]
            stocks = [s + dt * (a - b) for s, a, b in zip(stocks, inflows, flows, strict=True)]
    return np.array(out)


def delayed_n(t: T, entering: T, duration: T, start: float, order: int) -> T:
    """DELAY N: what is in a stage keeps the delay time with which it came in, one step a stage."""
    stocks, times, out = [start * duration[0]] * order, [duration[0]] * order, []
    for i in range(len(t)):
        out.append(stocks[-1] / times[0])
        if i + 1 < len(t):
            times = [duration[i], *times[:-1]]
            flows = [stock / time for stock, time in zip(stocks, times, strict=True)]
            inflows = [entering[i], *flows[:-1]]
            dt = (t[i + 1] - t[i]) * order
            stocks = [s + dt * (a - b) for s, a, b in zip(stocks, inflows, flows, strict=True)]
    return np.array(out)


def piped(entering: T, n: int, start: float) -> T:
    """What went in ``n`` saved steps ago."""
    return np.array([entering[i - n] if i >= n else start for i in range(len(entering))])


@form()
def add_subtract(t: T) -> Columns:
    return {
        "a": 10, "b": 4, "c": 3, "difference_of_three": 3, "difference_of_a_difference": 9,
        "mixed": 10 + t, "minus_a_sum": 3,
    }  # fmt: skip


@form()
def multiply_divide(t: T) -> Columns:
    return {
        "a": 24, "b": 4, "c": 3, "quotient_of_three": 2, "quotient_of_a_quotient": 18, "product_over": 32,
        "over_times": 18, "with_sums": 24 / 7 * 20, "with_time": 24 * t / (t + 1),
    }  # fmt: skip


@form()
def power_right_associative(t: T) -> Columns:
    return {
        "a": 2, "b": 3, "c": 2, "tower": 512, "grouped": 64, "literal_tower": 512, "four_high": 65536,
        "root": math.sqrt(2), "inverse": 0.5, "of_a_sum": 9, "times_power": 24, "grows": np.exp(t * math.log(1.5)),
    }  # fmt: skip


@form()
def unary_minus(t: T) -> Columns:
    return {
        "a": 3, "b": 2, "minus_a_power": -9, "minus_a_literal_power": -4, "power_of_a_minus": 9, "plus_minus": 1,
        "minus_minus": 5, "times_minus": -6, "over_minus": -1.5, "minus_a_product": -6, "minus_a_sum": -5,
        "minus_in_an_exponent": 1 / 9, "plus_sign": 3, "minus_time": -t,
    }  # fmt: skip


@form()
def negative_literal_base(t: T) -> Columns:
    sign = where(t % 2 == 0, 1.0, -1.0)
    return {
        "square_of_minus_two": 4, "cube_of_minus_two": -8, "nested": 4, "minus_its_square": -4,
        "to_a_power_that_varies": sign * 2**t,
    }  # fmt: skip


@form()
def negated_quotient(t: T) -> Columns:
    return {
        "a": 3, "b": 4, "literal_quotient": -32 / 3, "literal_product": -2 / 3, "quotient": -32 / 3,
        "power": math.exp(-0.75 * math.log(8)), "times": -6, "minus": 8.75,
    }  # fmt: skip


@form()
def comparison(t: T) -> Columns:
    return {
        "equal": where(t == 3), "unequal": where(t != 3), "less": where(t < 3), "at_most": where(t <= 3),
        "more": where(t > 3), "at_least": where(t >= 3), "truth_is_one": where(t > 3) + where(t > 5),
        "of_sums": where(t < 4),
    }  # fmt: skip


@form()
def logic(t: T) -> Columns:
    return {
        "early": where(t < 6), "late": where(t > 3), "both": where((t > 3) & (t < 6)),
        "either": where((t < 3) | (t > 6)), "neither": where((t >= 3) & (t <= 6)), "not_early": where(t >= 6),
        "not_one_and_other": where(t >= 6), "lower_case": where((t > 3) & (t < 6)),
        "three": where((t > 2) & (t < 8) & (t != 5)),
    }  # fmt: skip


@form()
def logic_and_before_or(t: T) -> Columns:
    inside = (t > 5) & (t < 8)
    return {
        "or_then_and": where((t > 8) | ((t > 2) & (t < 5))), "and_then_or": where((t < 3) | inside),
        "grouped": where(((t < 3) | (t > 5)) & (t < 8)), "first_false": where(t < 3),
    }  # fmt: skip


@form()
def logic_numbers(t: T) -> Columns:
    return {"a": 2, "b": 0, "both_as_number": 0, "either_as_number": 1, "not_a_number": 1}


@form()
def if_then_else(t: T) -> Columns:
    return {
        "nested": where(t < 2, 1, where(t < 5, 2, 3)), "number_as_condition": 1, "zero_as_condition": 2,
        "unused_branch": where(t == 0, 7, 10 / np.maximum(t, 1)),
    }  # fmt: skip


@form()
def division_by_zero(t: T) -> Columns:
    with np.errstate(all="ignore"):
        return {"over": 1 / (t - 3), "under": -1 / (t - 3), "nothing": where(t == 3, math.nan, 1.0)}


@form()
def root_of_a_negative(t: T) -> Columns:
    return {"base": -8, "root": math.nan, "square": 64}


@form()
def absolute_value(t: T) -> Columns:
    return {"absolute": where(t < 4, 4 - t, t - 4), "of_a_literal": 2.5}


@form()
def square_root(t: T) -> Columns:
    return {"root": np.array([math.sqrt(x) for x in t]), "of_sixteen": 4}


@form()
def exponential(t: T) -> Columns:
    return {"grows": np.array([math.exp(x / 5) for x in t]), "falls": math.e**-t, "one": 1}


@form()
def logarithms(t: T) -> Columns:
    return {"natural": np.log1p(t), "base_two": np.log2(t + 1), "base_ten": 3}


@form()
def trigonometry(t: T) -> Columns:
    return {
        "sine": np.array([math.sin(x) for x in t]), "cosine": np.array([math.cos(x) for x in t]),
        "tangent": np.sin(t / 10) / np.cos(t / 10),
    }  # fmt: skip


@form()
def inverse_trigonometry(t: T) -> Columns:
    return {
        "arc_sine": np.array([math.asin(x / 10) for x in t]), "arc_cosine": np.array([math.acos(x / 10) for x in t]),
        "arc_tangent": np.array([math.atan(x - 5) for x in t]),
    }  # fmt: skip


@form()
def hyperbolic(t: T) -> Columns:
    up, down = np.exp(t / 5), np.exp(-t / 5)
    return {"sine_h": (up - down) / 2, "cosine_h": (up + down) / 2, "tangent_h": (up - down) / (up + down)}


@form()
def integer_part(t: T) -> Columns:
    whole = np.array([int(x * 0.7) for x in t], dtype=float)
    return {"positive": whole, "negative": -whole, "of_a_literal": -2}


@form()
def modulo(t: T) -> Columns:
    return {"of_time": t % 3, "of_a_negative": -(t % 3), "of_a_fraction": t % 2.5, "by_zero": 0 * t}


@form()
def quantum(t: T) -> Columns:
    return {
        "of_time": t - t % 3, "of_a_negative": -(t - t % 3), "of_a_fraction": t - t % 2.5, "by_zero": t + 0.5,
        "by_a_negative": t,
    }  # fmt: skip


@form()
def power_function(t: T) -> Columns:
    return {"squared": t * t, "root": np.sqrt(t)}


@form()
def minimum_maximum(t: T) -> Columns:
    return {"smaller": where(t < 4, t, 4), "larger": where(t < 4, 4, t), "clamped": np.clip(t, 2, 6)}


@form()
def zidz_xidz(t: T) -> Columns:
    divisor = np.maximum(t - 3, 0)
    safe = np.where(divisor > 0, divisor, 1)
    return {
        "divisor": divisor, "or_zero": where(divisor > 0, 12 / safe, 0), "or_other": where(divisor > 0, 12 / safe, -1),
        "nearly_zero": 5, "just_not_zero": 1.2e6, "negative_divisor": -6,
    }  # fmt: skip


@form(every=0.25)
def step_function(t: T) -> Columns:
    # a step counts as reached from half a time step before it
    return {
        "on_the_grid": where(t >= 3, 5), "between": where(t >= 3, 5), "late_between": where(t >= 3.25, 5),
        "at_the_start": 5, "before_the_start": 5, "two": where(t >= 3, 5) - where(t >= 6, 2), "never": 0,
    }  # fmt: skip


@form(every=0.25)
def ramp_function(t: T) -> Columns:
    def ramp(slope: float, first: float, last: float) -> T:
        return slope * np.clip(t - first, 0, last - first)

    return {
        "on_the_grid": ramp(2, 3, 7), "between": ramp(2, 3.1, 6.9), "endless": ramp(2, 3, 100),
        "from_the_start": ramp(2, 0, 4), "falling": ramp(-1, 2, 5),
    }  # fmt: skip


@form(every=0.25)
def pulse_function(t: T) -> Columns:
    # a pulse acts where its time contains the middle of a step, and one without width lasts a step
    return {
        "on_the_grid": where((t >= 3) & (t < 5)), "between": where((t >= 3) & (t < 5)),
        "later_between": where((t >= 3.25) & (t < 5.25)), "narrow_on_the_grid": 0, "narrow_between": where(t == 3),
        "narrow_around": where(t == 3), "at_the_start": where(t < 1), "begun_before": where(t < 1),
        "one_step": where(t == 5), "no_width": where(t == 5), "width": 0, "no_width_between": where(t == 5),
        "level": where(t > 5, 10),
    }  # fmt: skip


@form(last=40, every=0.25)
def pulse_train(t: T) -> Columns:
    early = (t >= 1) & (t <= 8)
    return {
        "on_the_grid": where(early & ((t - 1) % 2 < 0.5)),
        "between": where(early & ((t - 1) % 2 < 0.5)),
        "wide": where(early & ((t - 1) % 2 < 1.5)),
        "one_step": where(t % 3 == 0),
        "uneven": where((t <= 9) & (t % 1.5 < 0.5)),
        # Vensim recorded a last pulse of one step at 30 (models/pulsetrain of SDEverywhere)
        "up_to_the_end": where((t >= 10) & (t <= 30) & (t % 5 < 1)),
        "to_the_last": where(t % 4 < 1),
        "no_width": where(early & (t % 2 == 1)),
        "narrow": where(early & (t % 2 == 1)),
        "without_pause": where(early),
        "interval": 0,
        "no_interval": where(early),
    }


@form()
def pulse_runge_kutta(t: T) -> Columns:
    # what acts for whole steps acts on all stages of them, so a pulse brings its height times its width
    return {
        "height": 12, "level": 12 * np.clip(t - 3, 0, 1), "stepped": 12 * np.maximum(t - 3, 0),
    }  # fmt: skip


@form()
def pulse_train_runge_kutta(t: T) -> Columns:
    return {"height": 12, "repeated": 6 * np.clip(np.floor(t / 2), 0, 4)}


@form()
def game(t: T) -> Columns:
    return {"steered": 2 * t}


@form(2, 12, 0.5)
def time_variable(t: T) -> Columns:
    return {"now": t, "step_size": 0.5, "last": 12, "first": 2, "left": 12 - t}


@form()
def get_time_value(t: T) -> Columns:
    return {"now": t, "later": t + 2}


@form(every=0.5)
def lookup_named(t: T) -> Columns:
    x, y = (1, 2, 4, 7, 9), (10, 30, 20, 20, 50)
    return {"inside_and_outside": np.interp(t, x, y), "on_a_knot": 30, "between": 25, "below": 10, "above": 50}


@form(every=0.5)
def lookup_with_limits(t: T) -> Columns:
    return {"value": np.interp(t, (0, 2.5, 5), (0, 10, 60)), "other": 1 + t / 10}


@form(every=0.5)
def lookup_unsorted(t: T) -> Columns:
    return {"value": np.interp(t, (1, 2, 4), (10, 30, 20))}


@form()
def lookup_old_form(t: T) -> Columns:
    return {"value": np.interp(t / 3, (0, 1, 2), (10, 30, 20))}


@form()
def lookup_with_constant_values(t: T) -> Columns:
    return {"value": 5, "sharp": np.interp(t / 5, (0, 1, 2), (0, 1e6, -1e6))}


@form()
def with_lookup(t: T) -> Columns:
    return {
        "value": np.interp(t, (0, 3, 6, 10), (0, 9, 1, 4)), "without_limits": np.interp(2 * t, (0, 3, 6), (0, 9, 1)),
        "of_an_expression": 6,
    }  # fmt: skip


@form()
def lookup_subscripted(t: T) -> Columns:
    return {"value[north]": 10 * t, "value[south]": 10 * abs(t - 5), "one": 25}


@form(every=0.5)
def xmile_graphical_functions(t: T) -> Columns:
    x, y = np.array([1, 2, 4, 7.0]), np.array([10, 30, 20, 50.0])
    at = t - 1
    inside = np.interp(at, x, y)
    stairs = np.array([y[max(np.searchsorted(x, one, side="right") - 1, 0)] for one in at])
    straight = where(at < 1, 10 + 20 * (at - 1), where(at > 7, 50 + 10 * (at - 7), inside))
    return {
        "value_held": inside, "value_straight": straight, "value_stairs": stairs,
        "inline": np.interp(t / 2, (0, 1, 2, 3, 4), (0, 1, 4, 9, 16)),
    }  # fmt: skip


@form(every=0.25)
def stock_decay(t: T) -> Columns:
    stock = 100 * 0.975 ** np.arange(len(t))
    return {"stock": stock, "outflow": 0.1 * stock, "rate": 0.1}


@form()
def stock_initial_depends(t: T) -> Columns:
    return {
        "stock": 6.5 + t, "start": 6.5, "base": 3, "other": 0.5, "other_stock": 3.25 * 0.8**t,
    }  # fmt: skip


@form()
def unchangeable_constant(t: T) -> Columns:
    return {"fixed": 12, "double": 24}


@form(every=0.25)
def smooth(t: T) -> Columns:
    entering = where(t >= 2, 10)
    after = np.maximum(np.arange(len(t)) - 8, 0)
    return {"entering": entering, "smoothed": 10 * (1 - (1 - 0.25 / 4) ** after)}


@form(every=0.5)
def smoothi(t: T) -> Columns:
    entering, n = where(t >= 2, 10), np.arange(len(t))
    return {
        "entering": entering, "smoothed": smoothed(t, entering, 4, 5), "from_a_fraction": 1.9 - 0.9 * 0.75**n,
        "from_a_float": 1.9 - 0.4 * 0.75**n,
    }  # fmt: skip


@form(every=0.25)
def smooth3(t: T) -> Columns:
    entering = where(t >= 2, 10)
    return {"entering": entering, "smoothed": smoothed(t, entering, 4, 0, 3)}


@form(every=0.25)
def smooth3i(t: T) -> Columns:
    entering = where(t >= 2, 10) + 0.3
    return {"entering": entering, "smoothed": smoothed(t, entering, 4, 5, 3)}


@form(every=0.25)
def smooth_n(t: T) -> Columns:
    entering = where(t >= 2, 10)
    return {
        "entering": entering, "n": 2, "smoothed": smoothed(t, entering, 4, 1.5, 2),
        "fifth": smoothed(t, entering, 4, 0.5, 5),
    }  # fmt: skip


@form(every=0.25)
def smooth_time_varies(t: T) -> Columns:
    return {"duration": 2 + t / 5, "smoothed": smoothed(t, t, 2 + t / 5, 0)}


@form(every=0.25)
def delay1(t: T) -> Columns:
    entering = where(t >= 2, 10) + 1.5
    after = np.maximum(np.arange(len(t)) - 8, 0)
    return {"entering": entering, "delayed": 11.5 - 10 * (1 - 0.25 / 4) ** after}


@form(every=0.25)
def delay1i(t: T) -> Columns:
    entering = where(t >= 2, 10)
    return {"entering": entering, "delayed": delayed(t, entering, 4, 5)}


@form(every=0.25)
def delay3(t: T) -> Columns:
    entering = where(t >= 2, 10) + 1.5
    return {"entering": entering, "delayed": delayed(t, entering, 4, 1.5, 3)}


@form(every=0.25)
def delay3i(t: T) -> Columns:
    entering = where(t >= 2, 10)
    return {"entering": entering, "delayed": delayed(t, entering, 4, 5.5, 3)}


@form(every=0.25)
def delay_n(t: T) -> Columns:
    entering = where(t >= 2, 10)
    return {"entering": entering, "delayed": delayed(t, entering, 4, 5.5, 4)}


@form(every=0.25)
def delay_n_time_varies(t: T) -> Columns:
    entering, duration = where(t >= 2, 10), 4.5 + t / 4
    return {"entering": entering, "duration": duration, "delayed": delayed_n(t, entering, duration, 5.5, 3)}


@form(every=0.25)
def delay_n_integer_time(t: T) -> Columns:
    entering, duration = where(t >= 2, 10), 4 + where(t >= 5, 1.5)
    return {"entering": entering, "duration": duration, "delayed": delayed_n(t, entering, duration, 5.5, 3)}


@form(every=0.25)
def delay3_time_varies(t: T) -> Columns:
    entering, duration = where(t >= 2, 10), 4.5 + t / 4
    return {"entering": entering, "duration": duration, "delayed": delayed(t, entering, duration, 0, 3)}


@form()
def delay_order_reduction(t: T) -> Columns:
    # DELAY N has no more stages than steps fit into its time: two of three, three of six
    entering = where(t >= 2, 10) + 1.5
    return {
        "entering": entering,
        "delayed": delayed(t, entering, 2, 1.5, 2),
        "many_stages": delayed(t, entering, 3, 1.5, 3),
    }  # fmt: skip


@form()
def delay_short(t: T) -> Columns:
    # DELAY3 keeps its stages and overshoots. Vensim recorded 10, -260, 1360, -5120, 16480 of the first from time 6 on
    # (models/delay of SDEverywhere), and 0, 0, 0, 0, 3.375 of a delay of Time (tests/arguments of SDXorg's models)
    entering = where(t < 4, 10)
    one, two, three = (delayed(t, entering, n, 10, 3) for n in (1, 2, 3))
    assert np.allclose(one[6:], [10, -260, 1360, -5120, 16480])
    return {
        "entering": entering, "factor": 42, "in_one": one, "in_two": two, "in_three": three, "multiple": 42 * one,
        "of_time": delayed(t, t, 2, 0, 3), "with_start": delayed(t, t, 2, 0, 3),
    }  # fmt: skip


@form(every=0.5)
def delay_fixed(t: T) -> Columns:
    entering = 10 * t
    return {
        "entering": entering, "whole": piped(entering, 6, -1), "one_step": piped(entering, 1, -1),
        "no_time": piped(entering, 1, -1), "between": piped(entering, 3, -1.5), "longer_than_the_run": 4.5,
    }  # fmt: skip


@form()
def delay_fixed_of_a_delay(t: T) -> Columns:
    slow = delayed(t, t, 4, 0.5)
    return {"slow": slow, "piped": piped(slow, 2, 0.25)}


@form(every=0.25)
def trend(t: T) -> Columns:
    level = 100 * np.exp(0.05 * t)
    average = smoothed(t, level, 4, 100 / 1.08)
    return {"level": level, "growth": (level - average) / (4 * average), "of_nothing": 0}


@form(every=0.25)
def forecast(t: T) -> Columns:
    level = 100 + 5 * t
    average = smoothed(t, level, 4, 100)
    return {"level": level, "ahead": level * (1 + (level - average) / (average * 4) * 6)}


@form()
def sample_if_true(t: T) -> Columns:
    return {"signal": 2 * t, "held": 2 * (t - t % 3), "never": 4.5}


@form()
def sample_if_true_of_an_early_stock(t: T) -> Columns:
    last = t - 1 - (t - 1) % 4 + 1
    return {"a_stock": 1.5 + 2 * t, "held": where(t < 1, 0.5, 1.5 + 2 * last)}


@form(2, 12)
def initial(t: T) -> Columns:
    return {"stock": 4 + 3 * (t - 2), "at_the_start": 10}


@form(every=0.5)
def active_initial(t: T) -> Columns:
    stock = 2 + 6.5 * 0.75 ** np.arange(len(t))
    return {"stock": stock, "wanted": stock / 2 + 1}


@form()
def runge_kutta(t: T) -> Columns:
    h = 0.5
    return {"stock": 100 * (1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24) ** t}


@form()
def runge_kutta_second_order(t: T) -> Columns:
    # Heun's method: the mean of the slopes at both ends of a step
    values = [100.0]
    for now in t[:-1]:
        first = -values[-1] / 2 + now
        second = -(values[-1] + first) / 2 + now + 1
        values.append(values[-1] + (first + second) / 2)
    return {"stock": np.array(values)}


@form(every=0.5)
def delay_order_reduction_subscripted(t: T) -> Columns:
    # each element for itself: two steps fit into the time of the first, sixteen into that of the second
    entering = where(t >= 2, 10) + 1.5
    delays = {"north": delayed(t, entering, 1, 1.5, 2), "south": delayed(t, entering, 8, 1.5, 3)}
    return {"entering": entering} | over("duration", north=1, south=8) | over("delayed", **delays)


@form(every=2)
def saveper_differs(t: T) -> Columns:
    stock = euler(t, 2, lambda _, y: 1 + 0.1 * y, 8)
    return {"stock": stock, "shown": 2 * stock}


@form(at=[0, 0.5, 1.5, 2, 3, 3.5, 4.5, 5, 6, 6.5, 7.5, 8, 9, 9.5])
def saveper_not_a_multiple(t: T) -> Columns:
    # the steps of 0.5 that are nearest to multiples of 0.75, the earlier one of two as near
    return {"stock": t}


@form(every=0.75, last=10.5)
def step_does_not_divide(t: T) -> Columns:
    return {"stock": t, "now": t}


@form(every=0.5, last=2)
def step_of_a_tenth(t: T) -> Columns:
    return {"stock": t, "now": t, "started": where(t > 0.25), "pulsed": 0}


@form(2, 8, 0.5)
def control_from_constants(t: T) -> Columns:
    return {"years": 2, "per_year": 3, "parts": 4, "stock": t - 2}


@form()
def names(t: T) -> Columns:
    return {
        "r&d_budget": 3, "farmer's_income": 4, "доход": 2, "人口": 6, "50%_share": 0.5, "mixed_case": 6,
        "sum_of_all": 3 + 4 + 2 + 6 + 0.5 + 6 + 6, "max": 2, "smaller_of_max": 1,
    }  # fmt: skip


@form()
def comments_and_flags(t: T) -> Columns:
    return {
        "before": 3, "after": 6, "short": 7, "lacks_one": 8, "limited": 3, "water_level_°c": 4, "a_sum": 15,
    }  # fmt: skip


@form()
def constants_signed(t: T) -> Columns:
    return {"minus": -3, "plus": 4, "fraction": 0.5, "scientific": 0.0015, "sum_of_them": 1.5015}


@form(every=0.5)
def macro(t: T) -> Columns:
    n = np.arange(len(t))
    return {"slow": 10 * 1.05**n, "fast": 10 * 1.1**n}


@form()
def macro_several(t: T) -> Columns:
    return {"first": 2, "second": (2 + t) ** 2, "third": 5 + (2 + t) ** 2}


@form(every=0.25)
def macro_time_step(t: T) -> Columns:
    return {"value": 2 + t}


def over(name: str, **values: T | float) -> Columns:
    return {f"{name}[{element}]": value for element, value in values.items()}


@form(every=0.5)
def subscript_range(t: T) -> Columns:
    n = np.arange(len(t))
    rates = {"north": 0.1, "south": 0.2, "east": 0.3}
    population = {element: 100 * (1 + rate / 2) ** n for element, rate in rates.items()}
    return (
        over("rate", **rates)
        | over("population", **population)
        | over("double", **{element: 2 * value for element, value in population.items()})
    )


@form()
def subscript_elements(t: T) -> Columns:
    return over("base", north=3, south=4) | over("value", north=4 + t, south=3 * t) | {"alone": 4}


@form()
def subscript_subrange(t: T) -> Columns:
    return (
        over("worth", north=1, south=2, east=3)
        | over("on_the_coast", south=20, east=30)
        | over("mixed", north=7, south=2 + t, east=3 + t)
    )


@form()
def variable_called_value(t: T) -> Columns:
    return over("value", north=1, south=2) | over("mixed", north=7, south=2 + t)


@form()
def subscript_except(t: T) -> Columns:
    return over("value", north=5 + t, south=1, east=5 + t) | over("two", north=3, south=2, east=4)


@form()
def subscript_except_two_dimensions(t: T) -> Columns:
    cells = {f"cell[r{i},c{j}]": t + 1 for i in (1, 2) for j in (1, 2, 3)}
    return {**cells, "cell[r1,c2]": 20, "cell[r2,c3]": 30}


@form()
def subscript_mapping(t: T) -> Columns:
    return over("income", north=1, south=2, east=3) | over("cost", oslo=10 + t, rome=20 + t, riga=30 + t)


@form()
def subscript_mapping_overlap(t: T) -> Columns:
    # the numbers that Vensim recorded of such a chain: 900, 980, 1060, ... teens; a cohort gets what the younger loses
    ages, flows = ("infant", "child", "teen", "middle", "old"), (300, 280, 200, 150, 100)
    start, into = (1000, 900, 900, 800, 200), (200, 300, 280, 200, 150)
    chain = dict(zip(ages, zip(start, into, flows, strict=True), strict=True))
    columns: Columns = {}
    level = np.array(start, dtype=float)
    courses = [level]
    for _ in t[1:]:
        lost = level / 10
        level = level + np.concatenate([[100], lost[:-1]]) - lost
        courses.append(level)
    for sex in ("female", "male"):
        columns |= {f"people[{sex},{age}]": np.array(courses)[:, i] for i, age in enumerate(ages)}
    return (
        {"births": 200}
        | over("ageing", **dict(zip(ages, flows, strict=True)))
        | over("start", **dict(zip(ages, start, strict=True)))
        | over("population", **{age: first + (come - gone) * t for age, (first, come, gone) in chain.items()})
        | over("arriving", **dict(zip(ages[1:], flows[:-1], strict=True)))
        | over("leaving", **dict(zip(ages[:-1], flows[:-1], strict=True)))
        | columns
    )


@form()
def subscript_mapping_listed(t: T) -> Columns:
    return over("income", north=1, south=2) | over("cost", oslo=10, rome=20)


@form()
def data_between_times(t: T) -> Columns:
    at, inside = t / 2, (t >= 2) & (t <= 8)

    # later and earlier count whole steps, and at the time of a point the earlier one is that before it
    step = np.floor(at)
    on_steps = (step >= 1) & (step <= 4)
    return {
        "sales": np.interp(t, [1, 2, 4], [10, 20, 0]),
        "joined": np.where(inside, np.interp(at, [1, 2, 4], [10, 20, 0]), np.nan),
        "later": np.where(on_steps, np.where(step <= 1, 10, np.where(step <= 2, 20, 0)), np.nan),
        "earlier": np.where(on_steps, np.where(step <= 2, 10, 20), np.nan), "fixed": where(t >= 0, 20),
    }  # fmt: skip


@form()
def subscript_mapping_groups(t: T) -> Columns:
    return (
        over("income", north=1, south=2) | over("cost", oslo=11, bergen=12, rome=23, tunis=24)
        | over("size", oslo=1, bergen=2, rome=3, tunis=4) | over("seat", d1=2, d2=1) | over("back", north=8, south=7)
        | over("size_of_desk", d1=7, d2=8) | over("upper_cost", upper=4, lower=1)
    )  # fmt: skip


@form()
def subscript_copy(t: T) -> Columns:
    matrix = np.arange(1, 10).reshape(3, 3)
    flow: Columns = {f"flow[{o},{d}]": int(matrix[i, j]) for i, o in enumerate("abc") for j, d in enumerate("abc")}
    return flow | over("leaving", a=6, b=15, c=24) | over("arriving", a=12, b=15, c=18)


@form()
def subscript_merge_of_a_copy(t: T) -> Columns:
    return {
        "flow[a,a]": 1, "flow[a,b]": 2, "flow[b,a]": 3, "flow[b,b]": 4,
        "turned[a,a]": 5, "turned[b,a]": 6, "turned[a,b]": 7, "turned[b,b]": 8,
        "crossed[a,a]": 9, "crossed[a,b]": 10, "crossed[b,a]": 11, "crossed[b,b]": 12,
    }  # fmt: skip


@form()
def subscript_numeric_range(t: T) -> Columns:
    return over("people", a1=10, a2=20, a3=30, a4=40, a5=50) | {"total": 150, "third": 30}


@form()
def subscript_as_number(t: T) -> Columns:
    return (
        over("number", young=10, middle=20, old=30)
        | over("of_a_subrange", middle=2, old=3)
        | over("late", young=0, middle=t, old=t)
        | {"an_element": 3}
    )


@form()
def subscript_of_ranges(t: T) -> Columns:
    return over("value", north=1, south=2, east=3) | {"total": 6}


@form()
def subscript_spelling(t: T) -> Columns:
    return over("value", north_pole=1, south=2) | over("other", north_pole=2, south=4) | {"one": 2, "total": 3}


@form()
def subscript_elements_quoted(t: T) -> Columns:
    return over("people", **{"0-4": 1, "5-9": 2, "10+": 3}) | {"eldest": 3, "total": 6}


@form()
def two_dimensions(t: T) -> Columns:
    columns: Columns = {"all": 21, "product[r1]": 321, "product[r2]": 654}
    for j in range(3):
        columns[f"vector[c{j + 1}]"] = 10**j
        columns[f"first_row[c{j + 1}]"] = j + 1
        for i in range(2):
            columns[f"matrix[r{i + 1},c{j + 1}]"] = 3 * i + j + 1
            columns[f"transposed[c{j + 1},r{i + 1}]"] = 3 * i + j + 1 + t
            columns[f"outer[r{i + 1},c{j + 1}]"] = (321, 654)[i] * 10**j
    return columns


@form()
def three_dimensions(t: T) -> Columns:
    columns: Columns = {"sum_over_all": 36}
    for i in range(2):
        for k in range(2):
            columns[f"sum_over_y[x{i + 1},z{k + 1}]"] = 8 * i + 2 * k + 4
            for j in range(2):
                columns[f"cube[x{i + 1},y{j + 1},z{k + 1}]"] = 4 * i + 2 * j + k + 1
    return columns


@form()
def array_functions(t: T) -> Columns:
    return (
        over("value", north=3, south=1, east=2)
        | {"total": 6 + 3 * t, "product": 6, "smallest": 1, "largest": 3 * t, "of_squares": 14, "count": 3}
        | over("share", north=1 / 2, south=1 / 6, east=1 / 3)
    )


@form()
def sum_nested(t: T) -> Columns:
    return {
        "matrix[r1,c1]": 1, "matrix[r1,c2]": 2, "matrix[r2,c1]": 3, "matrix[r2,c2]": 4, "rows[r1]": 3, "rows[r2]": 7,
        "largest_row": 7, "best_of": 6,
    }  # fmt: skip


@form()
def array_tabbed(t: T) -> Columns:
    return {"matrix[r1,c1]": 1, "matrix[r1,c2]": 2, "matrix[r2,c1]": 3, "matrix[r2,c2]": 4}


@form()
def array_negative_numbers(t: T) -> Columns:
    return over("vector", r1=-1, r2=2.5, r3=-0.03) | over("minus", r1=1, r2=-2.5, r3=0.03)


_ITEMS = {"i1": 30, "i2": 10, "i3": 40, "i4": 20}


@form()
def vector_sort_order(t: T) -> Columns:
    return over("value", **_ITEMS) | over("up", i1=1, i2=3, i3=0, i4=2) | over("down", i1=2, i2=0, i3=3, i4=1)


@form()
def vector_rank(t: T) -> Columns:
    return over("value", **_ITEMS) | over("up", i1=3, i2=1, i3=4, i4=2) | over("down", i1=2, i2=4, i3=1, i4=3)


@form()
def vector_reorder(t: T) -> Columns:
    return over("value", **_ITEMS) | over("order", i1=1, i2=3, i3=0, i4=2) | over("sorted", i1=10, i2=20, i3=30, i4=40)


@form()
def vector_select(t: T) -> Columns:
    return (
        over("value", **_ITEMS) | over("chosen", i1=1, i2=0, i3=1, i4=0) | {"total": 70, "largest": 40, "smallest": 30}
    )


@form()
def invert_matrix(t: T) -> Columns:
    return {
        "matrix[r1,c1]": 4, "matrix[r1,c2]": 7, "matrix[r2,c1]": 2, "matrix[r2,c2]": 6,
        "inverse[r1,c1]": 0.6, "inverse[r1,c2]": -0.7, "inverse[r2,c1]": -0.2, "inverse[r2,c2]": 0.4,
    }  # fmt: skip


@form(every=0.5)
def smooth_subscripted(t: T) -> Columns:
    columns: Columns = {}
    for element, duration, entering in (("north", 2, 10.5), ("south", 5, 20.5)):
        columns |= {
            f"duration[{element}]": duration,
            f"entering[{element}]": entering,
            f"smoothed[{element}]": smoothed(t, 0 * t + entering, duration, 1.5),
            f"delayed[{element}]": delayed(t, entering + where(t >= 3, 5), duration, entering, 3),
            f"held[{element}]": where(t > 4, entering * t, 0.5),
            f"start[{element}]": entering,
            f"piped[{element}]": piped(entering * t, 4, 0.5),
        }
    return columns


_SEEN = (np.array([0, 2, 5, 8, 9.0]), np.array([10, 14, 8, 20, 18.0]))


@form(every=0.5)
def data_interpolate(t: T) -> Columns:
    return {"seen": np.interp(t, *_SEEN), "twice": 2 * np.interp(t, *_SEEN)}


@form(every=0.5)
def data_computed(t: T) -> Columns:
    """Each at the times of its data; a value of data that are no neighbours of it does not matter."""
    x, seen, other = np.array([0, 2, 5, 8, 9]), np.array([10, 14, 8, 20, 18]), np.array([1, 2, 4, 5, 9])
    before = np.searchsorted(x, t, side="right") - 1
    behind = np.searchsorted(x, t).clip(0, len(x) - 1)
    quotients = 2 * seen / other
    quotient, late = np.interp(t, x, quotients), np.interp(t, [1, 5], [3, 6])
    late_sum = np.interp(t, [1, 5], np.array([3, 6]) + np.interp([1, 5], x, quotients))
    return {
        "seen": np.interp(t, x, seen), "other": other[before], "late": where(t == 1, 3, where(t == 5, 6, np.nan)),
        "factor": 2, "quotient": quotient, "held": (seen * other)[before], "ahead": (seen * other)[behind],
        "between": late, "of_computed": np.interp(t, x, quotients + seen * other), "at_all_times": late_sum,
        "used": quotient * t, "last": 5, "at_a_time": np.interp(t / 2, x, quotients),
    }  # fmt: skip


@form(every=0.5)
def data_without_keyword(t: T) -> Columns:
    return {"seen": np.interp(t, *_SEEN), "twice": 2 * np.interp(t, *_SEEN)}


@form(every=0.5)
def data_hold_backward(t: T) -> Columns:
    seen = np.array([_SEEN[1][_SEEN[0] <= one][-1] for one in t])
    return {"seen": seen, "twice": 2 * seen}


@form(every=0.5)
def data_look_forward(t: T) -> Columns:
    seen = np.array([_SEEN[1][_SEEN[0] >= min(one, 9)][0] for one in t])
    return {"seen": seen, "twice": 2 * seen}


@form()
def data_raw(t: T) -> Columns:
    known = dict(zip(*_SEEN, strict=True))
    return {"seen": np.array([known.get(one, math.nan) for one in t])}


_CELLS = {"north": {"a": 1, "b": 2, "c": 3}, "south": {"a": 4, "b": 5, "c": 6}}


@form(last=7)
def sum_over_missing_numbers(t: T) -> Columns:
    """A reduction of what has no value has none either (Vensim stops the run at a root of a negative number)."""
    columns: Columns = {}
    with np.errstate(invalid="ignore"):
        roots = {row: {c: np.sqrt(n - t) for c, n in cells.items()} for row, cells in _CELLS.items()}
    for row, cells in roots.items():
        every = np.array(list(cells.values()))
        columns |= {f"cell[{row},{c}]": n for c, n in _CELLS[row].items()}
        columns |= {f"root[{row},{c}]": value for c, value in cells.items()}
        columns |= {f"by_row[{row}]": 2 * every.sum(0), f"product[{row}]": every.prod(0), f"least[{row}]": every.min(0)}
    total = sum(np.array(list(cells.values())).sum(0) for cells in roots.values())
    most = np.where(t <= 1, np.sqrt(np.maximum(6 - t, 0)), np.nan)
    by_plus = roots["north"]["a"] + roots["north"]["b"]
    level = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    return columns | {"total": total, "most": most, "by_plus": by_plus, "level": level}


@form()
def data_along_a_row(t: T) -> Columns:
    return {
        "seen": np.interp(t, (0, 2, 5, 10), (10, 14, 8, 20)), "other": np.interp(t, (0, 2, 5, 10), (1, 2, 3, 4)),
    }  # fmt: skip


@form()
def data_subscripted(t: T) -> Columns:
    north, south = np.interp(t, (0, 5, 10), (10, 8, 20)), np.interp(t, (0, 5, 10), (1, 3, 5))
    return over("seen", north=north, south=south) | {"total": north + south}


@form()
def direct_constants(t: T) -> Columns:
    columns: Columns = {"alone": 42, "used[r1]": 6 * 42 + t, "used[r2]": 15 * 42 + t, "down[r1]": 1, "down[r2]": 4}
    for j in range(3):
        columns[f"along[c{j + 1}]"] = j + 1
        for i in range(2):
            columns[f"both[r{i + 1},c{j + 1}]"] = columns[f"turned[c{j + 1},r{i + 1}]"] = 3 * i + j + 1
    return columns


@form()
def direct_constants_by_element(t: T) -> Columns:
    return over("value", north=3, south=4) | {"total": 7}


@form()
def direct_lookups(t: T) -> Columns:
    first = ((0, 4, 8), (0, 10, 6))
    return {"value": np.interp(t, *first)} | over(
        "read", north=np.interp(t / 2, *first), south=np.interp(t / 2, (0, 4, 8), (5, 3, 1))
    )


@form()
def direct_subscript(t: T) -> Columns:
    return over("value", north=1, south=2, east=3) | {"total": 8}


@form()
def excel(t: T) -> Columns:
    seen = np.interp(t, (0, 4, 10), (10, 20, 5))
    return {"rate": 0.25, "seen": seen, "value": np.interp(t, (0, 4, 10), (1, 3, 9)) / 4 + seen}


@form()
def xmile_operators(t: T) -> Columns:
    return {
        "a": 24, "b": 4, "c": 3, "difference": 17, "quotient": 2, "tower": 512, "minus": 6, "rest": t % 3,
        "upper_rest": t % 3, "negated": -48, "minus_squared": -16, "squared_minus": 4,
    }  # fmt: skip


@form()
def xmile_small_divisors(t: T) -> Columns:
    """A growth of e^0.1 a step under an average over two steps, which is a geometric sum."""
    course, held = np.exp(t / 10), 0.5 / (math.exp(0.1) - 0.5)
    averages = [held * course + (first - held) * 0.5**t for first in (1.0, 1 / 1.04)]
    growth, expected = ((course - average) / (2 * average) for average in averages)
    stock = 1e-6 * (7 / 8) ** t
    return {
        "stock": stock, "loss": stock / 8, "share": 1 / 8, "whole": 1e7, "otherwise": 1e7 * t + 5,
        "small": 1e-8 * course, "growth": growth, "foretold": 1e-8 * course * (1 + 3 * expected),
    }  # fmt: skip


@form()
def xmile_logic(t: T) -> Columns:
    return {
        "both": where((t > 3) & (t < 6)), "either": where((t < 3) | (t > 6)), "negation": where(t >= 3),
        "upper": where((t > 3) & (t < 6)), "small": where((t < 3) | (t > 6)),
        "nested": where(t < 2, 1, where(t < 5, 2, 3)), "mixed": where((t > 8) | ((t > 2) & (t < 5))),
    }  # fmt: skip


@form()
def xmile_functions(t: T) -> Columns:
    divisor = np.maximum(t - 3, 1)
    return {
        "absolute": abs(t - 4), "part": np.floor(t * 0.7), "root": t**0.5, "natural": np.log1p(t),
        "power_of_e": np.exp(t / 5), "sine": np.sin(t), "circle": math.pi, "smaller": np.minimum(t, 4),
        "larger": np.maximum(t, 4), "safe": where(t > 3, 12 / divisor, 0), "safe_other": where(t > 3, 12 / divisor, -1),
        "kept": 3,
    }  # fmt: skip


@form(every=0.25)
def xmile_test_inputs(t: T) -> Columns:
    return {
        "stepped": where(t >= 3, 5), "ramp_on": 2 * np.maximum(t - 3, 0), "ramp_end": 2 * np.clip(t - 3, 0, 3),
        "pulse_once": where(t == 3, 80), "pulse_again": where((t >= 3) & ((t - 3) % 2 == 0), 80),
    }  # fmt: skip


@form()
def xmile_rounding(t: T) -> Columns:
    # INT goes down, and a remainder has the divisor's sign (XMILE 1.0, section 3.3.1); Stella's INT(-19.875) is -20
    a = t * 1.25 - 6
    return {
        "a": a, "whole": np.floor(a), "of_a_literal": -3, "rest": np.array([math.fmod(one + 8, 4) for one in a]),
        "of_a_negative_divisor": np.array([-math.fmod(8 - one, 4) for one in a]), "divisor": 0, "by_zero": a,
    }  # fmt: skip


@form()
def xmile_matrix_by_element(t: T) -> Columns:
    columns: Columns = {}
    for i, one in enumerate("ab"):
        for j, two in enumerate("ab"):
            cell = 2 * i + j + 1
            columns |= {
                f"matrix[{one},{two}]": cell, f"tenfold[{one},{two}]": 10 * cell, f"turned[{two},{one}]": cell + t,
                f"moving[{one},{two}]": cell / 2 + t, f"moved[{one},{two}]": cell / 2 * t + t * (t - 1) / 2,
            }  # fmt: skip
    return columns


@form()
def xmile_matrix_by_element_unequal(t: T) -> Columns:
    cells = {f"{one},{two}": 1.5 + 3 * i + j for i, one in enumerate("ab") for j, two in enumerate("abc")}
    return over("wide", **cells) | over("held", **{cell: rate * t for cell, rate in cells.items()})


@form(every=0.25)
def xmile_delays(t: T) -> Columns:
    entering = where(t >= 2, 10) + 1.5
    return {
        "entering": entering, "fixed": piped(entering, 8, 1.5), "fixed_start": piped(entering, 8, 0.5),
        "first": delayed(t, entering, 4, 1.5), "first_start": delayed(t, entering, 4, 3.5),
        "third": delayed(t, entering, 4, 1.5, 3), "third_start": delayed(t, entering, 4, 3.5, 3),
        "nth": delayed(t, entering, 4, 1.5, 2), "nth_start": delayed(t, entering, 4, 3.5, 2),
    }  # fmt: skip


@form(every=0.25)
def xmile_stella_10(t: T) -> Columns:
    # empty from 4 on, so that nothing leaves; from 5 on one more comes than leaves
    water = where(t <= 4, 8 - 2 * t) + where(t > 5, t - 5)
    return {
        "water_in_the_tank": water, "rain": where(t >= 5, 3), "drain-pipe": where((t < 4) | (t >= 5), 2),
        "level": water / 10, "shares[1]": where(t >= 0, 0.25), "shares[2]": where(t >= 0, 0.75), "split[1]": water / 4,
        "split[2]": 0.75 * water, "together": water,
    }  # fmt: skip


@form()
def xmile_initial_equation(t: T) -> Columns:
    filled = 8 * 1.25**t
    north, south = 3 + t, 5 + t
    return {
        "filled": filled, "filling": filled / 4, "target": 2 * filled, "each[north]": north, "each[south]": south,
        "more[north]": where(t >= 0, 1), "more[south]": where(t >= 0, 1), "by_place[north]": north + 1,
        "by_place[south]": where(t >= 0, 5),
    }  # fmt: skip


@form()
def xmile_previous_self(t: T) -> Columns:
    north = 2.0 ** (t + 1)
    # the sum of what North was before, from 5 on
    south = 5 + 2 * (2.0**t - 1)
    return {
        "count": t, "highest": where(t <= 5, t * (10 - t)) + where(t > 5, 25), "taken": t - t % 3,
        "doubled[north]": north, "doubled[south]": south,
    }  # fmt: skip


@form(every=0.25)
def xmile_smooths(t: T) -> Columns:
    entering = where(t >= 2, 10) + 1.5
    slow, risen = smoothed(t, entering, 4, 1.5), smoothed(t, entering, 4, 1.5 / 1.4)
    return {
        "entering": entering, "first": slow, "first_start": smoothed(t, entering, 4, 3.5),
        "third": smoothed(t, entering, 4, 1.5, 3), "third_start": smoothed(t, entering, 4, 3.5, 3),
        "nth": smoothed(t, entering, 4, 1.5, 2), "nth_start": smoothed(t, entering, 4, 3.5, 2),
        "growth": (entering - slow) / (4 * slow), "growth_start": (entering - risen) / (4 * risen),
        "ahead": entering * (1 + (entering - slow) / (4 * slow) * 3),
        "ahead_start": entering * (1 + (entering - risen) / (4 * risen) * 3),
    }  # fmt: skip


@form(every=0.25)
def xmile_stock_and_flows(t: T) -> Columns:
    tank = euler(t, 100, lambda now, y: 5 + now + 2 - 0.1 * y - 1)
    return {
        "tank": tank, "drain": 50 - 2 * t, "still": 7, "filling": 5 + t, "rain": 2, "leak_age": 0.1 * tank,
        "drinking": 1,
    }  # fmt: skip


@form()
def xmile_non_negative(t: T) -> Columns:
    # the flow that both stocks have is limited by the one that is not to fall below zero
    left = np.maximum(5 - 2 * t, 0)
    return {
        "tank": left, "free": left, "draining": np.minimum(left, 2), "one_way": np.maximum(4 - t, 0),
        "both_ways": 4 - t,
    }  # fmt: skip


@form(last=8, every=0.25)
def xmile_pulse_between(t: T) -> Columns:
    """Each pulse is one step of 3 / 0.25, the first that begins at its time or later."""

    def pulses(*times: float) -> Columns | np.ndarray:
        return 12.0 * np.isin(t, [np.ceil(time * 4) / 4 for time in times])

    return {
        "on_the_grid": pulses(2), "soon_after": pulses(1.1), "soon_before": pulses(1.2),
        "repeated": pulses(1.1, 3.1, 5.1, 7.1), "drifting": pulses(1.2, 3.3, 5.4, 7.5), "level": 3 * (t > 1.25),
    }  # fmt: skip


@form()
def xmile_arrays(t: T) -> Columns:
    columns = over("base", north=3, south=4) | over("all_alike", north=6 + t, south=8 + t)
    columns |= over("level", north=3 + 1.5 * t, south=4 + 2 * t) | over("flowing", north=1.5, south=2)
    for item in ("i1", "i2", "i3"):
        columns |= {f"two_d[north,{item}]": 30, f"two_d[south,{item}]": 40}
    return columns | {"one": 4, "total": 7, "largest": 4}


@form()
def xmile_initials_by_element(t: T) -> Columns:
    level = {"north": 3 * 1.5**t, "south": 4 * 1.5**t}
    return over("level", **level) | over("flowing", **{element: value / 2 for element, value in level.items()})


_KNOTS = (np.array([0, 2, 4, 6.0]), np.array([1, 4, 2, 3.0]))


@form(last=8, every=0.25)
def xmile_lookup_discrete(t: T) -> Columns:
    s = t - 1.3
    return {"s": s, "x": np.array([_KNOTS[1][max(np.searchsorted(_KNOTS[0], one, side="right") - 1, 0)] for one in s])}


@form(last=8, every=0.25)
def xmile_lookup_extrapolate(t: T) -> Columns:
    s = t - 1.3
    return {"s": s, "x": where(s < 0, 1 + 1.5 * s, where(s > 6, 3 + (s - 6) / 2, np.interp(s, *_KNOTS)))}


@form()
def xmile_table_without_input(t: T) -> Columns:
    return {"value": np.interp(t, (0, 5, 10), (0, 10, 0))}


@form()
def xmile_dimension_by_size(t: T) -> Columns:
    return over("base", **{"1": 3, "2": 4}) | over("double", **{"1": 6, "2": 8}) | {"second": 4}


@form()
def xmile_names(t: T) -> Columns:
    return {"net_growth_rate": 0.25, "r&d_budget": 3, "sum_of_them": 3.5, "over_two_lines": 7, "tank": 3}


@form(1, 4, 0.25)
def xmile_step_in_quarters(t: T) -> Columns:
    return {"now": t, "length": 0.25, "a": 1, "z": 4}


@form()
def allocate_profiles(t: T) -> Columns:
    """Each curve falls with the price; the price at which all of the supply is given comes by halving."""
    claims = {"a": 3.0, "b": 5.0, "c": 4.0, "d": 2.0}
    curves: dict[int, Callable[[float], float]] = {
        1: lambda x: min(1.0, max(0.0, 0.5 - x)),
        # the integral of a triangle over one width
        2: lambda x: 2 * max(0.5 - x, 0.0) ** 2 if x > 0 else 1 - 2 * max(0.5 + x, 0.0) ** 2,
        3: lambda x: 0.5 * math.erfc(x / math.sqrt(2)),
        4: lambda x: 0.5 * math.exp(-x) if x > 0 else 1 - 0.5 * math.exp(x),
    }
    profiles = {
        "triangular": ((2, 5, 3), (2, 4, 3), (2, 3, 3), (2, 1, 2)),
        "normal": ((3, 5, 1), (3, 4, 2), (3, 3, 1), (3, 1, 1)),
        "exponential": ((4, 5, 1), (4, 4, 2), (4, 3, 1), (4, 1, 1)),
        "each": ((1, 5, 3), (2, 4, 3), (3, 3, 1), (4, 1, 1)),
    }
    columns: Columns = over("request", **claims) | {"supply": t * 1.45}
    for name, result in zip(profiles, ("by_triangle", "by_normal", "by_exponential", "by_each"), strict=True):
        for (claim, _), numbers in zip(claims.items(), profiles[name], strict=True):
            for part, number in zip(("ptype", "ppriority", "pwidth", "pextra"), (*numbers, 0), strict=True):
                columns[f"{name}[{claim},{part}]"] = number
        shares = []
        for supply in t * 1.45:

            def given(price: float, name: str = name) -> list[float]:
                return [
                    request * curves[kind]((price - priority) / width)
                    for request, (kind, priority, width) in zip(claims.values(), profiles[name], strict=True)
                ]

            low, high = -100.0, 100.0
            for _ in range(200):
                middle = (low + high) / 2
                low, high = (middle, high) if sum(given(middle)) > supply else (low, middle)
            enough = supply >= sum(claims.values())
            shares.append(list(claims.values()) if enough else [0.0] * 4 if supply == 0 else given(low))
        for i, claim in enumerate(claims):
            columns[f"{result}[{claim}]"] = np.array(shares)[:, i]
    return columns


@form()
def vector_select_changing(t: T) -> Columns:
    """Actions 0 to 10 in turn, on the values 3, 4, 2 that are chosen with the weights 2, 1, 3."""
    weights, values = np.array([2, 1, 3]), np.array([3, 4, 2])
    weighted = weights * values
    results = (
        weighted.sum(), weighted.prod(), weighted.min(), weighted.max(), weighted.mean(), (values**weights).prod(),
        values.sum(), values.prod(), values.min(), values.max(), values.mean(),
    )  # fmt: skip
    listed = over("value", i1=3, i2=1, i3=4, i4=2) | over("chosen", i1=2, i2=0, i3=1, i4=3)
    return listed | {"action": t, "result": np.array(results, dtype=float), "nothing": -9}


@form()
def range_twice(t: T) -> Columns:
    distance: Columns = {
        "distance[north,north]": 0, "distance[north,south]": 7, "distance[south,north]": 5, "distance[south,south]": 0,
    }  # fmt: skip
    moving: Columns = {f"moving[i1,i{k}]": k for k in (1, 2, 3)}
    moving |= {f"moving[i2,i{k}]": t for k in (1, 2, 3)} | {f"moving[i3,i{k}]": k * t for k in (1, 2, 3)}
    sent = over("sent", north=2, south=3) | over("reach", north=0, south=21)
    return distance | moving | sent | {"there": 7, "back": 5, "all_in_all": 12}


@form()
def data_part_constant(t: T) -> Columns:
    north, south = np.interp(t, (0, 5, 10), (10, 8, 20)), np.interp(t, (0, 5, 10), (1, 3, 5))
    rates = {"seen": (north, south), "listed": (0.5, 1.5), "stated": (2, 4), "computed": (t / 2, t / 2)}
    columns: Columns = {
        "rate_data[seen,north]": north, "rate_data[seen,south]": south,
        "rate_constants[listed,north]": 0.5, "rate_constants[listed,south]": 1.5,
    }  # fmt: skip
    for kind, pair in rates.items():
        for region, value in zip(("north", "south"), pair, strict=True):
            columns |= {f"rate[{kind},{region}]": value, f"ten_times[{kind},{region}]": 10 * np.asarray(value)}
    return columns


def expected_text(feature: str) -> str:
    """The content of ``expected.csv`` of one feature."""
    function, times = FORMS[feature]
    columns = {
        name: np.broadcast_to(np.asarray(value, dtype=float), times.shape) for name, value in function(times).items()
    }
    head = ",".join(f'"{name}"' if "," in name else name for name in ("time", *columns))
    rows = (",".join(repr(float(value)) for value in row) for row in zip(times, *columns.values(), strict=True))
    return "\n".join(["# source: closed form in tests/corpus/closed_forms.py", head, *rows, ""])


if __name__ == "__main__":
    for name in FORMS:
        (HERE / name / "expected.csv").write_text(expected_text(name), encoding="utf-8")
