"""Each rule of dimensional consistency, alone, and all of them against another program's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from approved import approved

from cipark_sd.language.read.model_file import read_model
from cipark_sd.verify.checks.structure import check_units

Write = Callable[..., Path]
#: Variables of several units for the equations below.
PARTS = """
f = 3 ~ firm ~ |
g = 2 ~ firm ~ |
k = 2 ~ km2 ~ |
n = 2 ~ Dmnl ~ |
t = 1 ~ Year ~ |
r = 1 ~ 1/Year ~ |
effect( (0,0), (9,2) ) ~ km2 ~ |
"""

CONSISTENT = {
    "sum of the same": ("f + g - f", "firm"),
    "a number takes the unit of what it is added to": ("f + 1", "firm"),
    "a number alone takes any unit": ("5", "firm"),
    "numbers that are combined are a number still": ("2 * 3 - 1", "firm"),
    "a number as factor has no unit": ("2 * f / 4", "firm"),
    "product": ("f * k", "firm*km2"),
    "quotient": ("f / t", "firm/Year"),
    "sign": ("-f", "firm"),
    "literal power": ("f ^ 2", "firm*firm"),
    "literal root": ("f ^ (1/2) * f ^ 0.5", "firm"),
    "power of none": ("n ^ n", "Dmnl"),
    "comparison": ("f > g", "Dmnl"),
    "logic": ("f > g :AND: k > 1", "Dmnl"),
    "choice": ("IF THEN ELSE(f > g, f, 0)", "firm"),
    "EXP": ("EXP(f / g)", "Dmnl"),
    "LN": ("LN(n)", "Dmnl"),
    "SIN": ("SIN(n)", "Dmnl"),
    "ABS": ("ABS(f)", "firm"),
    "MIN and MAX": ("MIN(f, MAX(0, g))", "firm"),
    "SQRT": ("SQRT(f * f)", "firm"),
    "ZIDZ": ("ZIDZ(f, t)", "firm/Year"),
    "XIDZ": ("XIDZ(f, t, f * r)", "firm/Year"),
    "MODULO": ("MODULO(f, g)", "firm"),
    "INTEGER": ("INTEGER(f)", "firm"),
    "STEP": ("STEP(f, t)", "firm"),
    "STEP of a number": ("STEP(1, t) * f", "firm"),
    "RAMP": ("RAMP(f / t, t, 2 * t)", "firm"),
    "PULSE": ("PULSE(t, t)", "Dmnl"),
    "SMOOTH": ("SMOOTH(f, t)", "firm"),
    "SMOOTH3I": ("SMOOTH3I(f, t, g)", "firm"),
    "SMOOTH over a number": ("SMOOTH(f, 3)", "firm"),
    "DELAY3": ("DELAY3(f, t)", "firm"),
    "DELAY FIXED": ("DELAY FIXED(f, t, g)", "firm"),
    "TREND": ("TREND(f, t, r)", "1/Year"),
    "FORECAST": ("FORECAST(f, t, t)", "firm"),
    "SAMPLE IF TRUE": ("SAMPLE IF TRUE(k > 1, f, g)", "firm"),
    "INITIAL": ("INITIAL(f)", "firm"),
    "ACTIVE INITIAL": ("ACTIVE INITIAL(f, g)", "firm"),
    "lookup gives its own units whatever its argument": ("effect(f)", "km2"),
    "lookup in place gives numbers": ("WITH LOOKUP(f, ((0,0),(9,1)))", "km2"),
    "random": ("RANDOM UNIFORM(f, g, 7)", "firm"),
    "time": ("Time + TIME STEP", "Year"),
}

INCONSISTENT = {
    "declared": ("f / t", "firm", "units that its equation does not give: firm against firm/Year"),
    "sum": ("f + k", "firm", "adds different units: firm against km2"),
    "difference": ("f - k", "firm", "subtracts different units"),
    "a constant is not a number": ("f + n", "firm", "adds different units: firm against Dmnl"),
    "exponent with units": ("n ^ f", "Dmnl", "exponent with units: firm against Dmnl"),
    "power that may change": ("f ^ n", "firm*firm", "power that is no literal number"),
    "comparison": ("f > k", "Dmnl", "compares different units"),
    "inside logic": ("f > k :OR: n > 1", "Dmnl", "compares different units"),
    "choice": ("IF THEN ELSE(n > 1, f, k)", "firm", "chooses between different units"),
    "condition": ("IF THEN ELSE(f > k, n, n)", "Dmnl", "compares different units"),
    "EXP": ("EXP(f)", "Dmnl", "argument 1 in EXP in other units: Dmnl against firm"),
    "LN": ("LN(f)", "Dmnl", "argument 1 in LN"),
    "MIN": ("MIN(f, k)", "firm", "mixes units in MIN: firm against km2"),
    "SQRT": ("SQRT(f)", "firm", r"firm against firm\^\(1/2\)"),
    "ZIDZ": ("ZIDZ(f, t)", "firm", "firm against firm/Year"),
    "XIDZ": ("XIDZ(f, t, f)", "firm/Year", "XIDZ with a third argument"),
    "MODULO": ("MODULO(f, k)", "firm", "mixes units in MODULO"),
    "STEP at no time": ("STEP(f, f)", "firm", "argument 2 in STEP in other units: Year against firm"),
    "STEP of another height": ("STEP(k, t)", "firm", "firm against km2"),
    "RAMP": ("RAMP(f, t, t)", "firm", r"firm against firm\*Year"),
    "PULSE": ("PULSE(f, t)", "Dmnl", "argument 1 in PULSE"),
    "SMOOTH": ("SMOOTH(f, k)", "firm", "argument 2 in SMOOTH in other units: Year against km2"),
    "SMOOTHI": ("SMOOTHI(f, t, k)", "firm", "mixes units in SMOOTH"),
    "DELAY1": ("DELAY1(f, f)", "firm", "argument 2 in DELAY"),
    "DELAY FIXED": ("DELAY FIXED(f, t, k)", "firm", "mixes units in DELAY FIXED"),
    "TREND": ("TREND(f, t, n)", "1/Year", "argument 3 in TREND in other units: 1/Year against Dmnl"),
    "FORECAST": ("FORECAST(f, t, f)", "firm", "argument 3 in FORECAST"),
    "SAMPLE IF TRUE": ("SAMPLE IF TRUE(n > 1, f, k)", "firm", "mixes units in SAMPLE IF TRUE"),
    "lookup": ("effect(f)", "firm", "firm against km2"),
    "time": ("f * Time", "firm", r"firm against firm\*Year"),
}


@pytest.mark.parametrize(("equation", "units"), CONSISTENT.values(), ids=CONSISTENT)
def test_consistent(equation: str, units: str, write_mdl: Write) -> None:
    assert check_units(read_model(write_mdl(f"{PARTS}x = {equation} ~ {units} ~ |"))) == ()


@pytest.mark.parametrize(("equation", "units", "message"), INCONSISTENT.values(), ids=INCONSISTENT)
def test_inconsistent(equation: str, units: str, message: str, write_mdl: Write) -> None:
    (issue,) = check_units(read_model(write_mdl(f"{PARTS}x = {equation} ~ {units} ~ |")))
    assert (issue.kind, issue.variable) == ("mismatch", "x")
    with pytest.raises(ValueError, match=message):
        raise ValueError(str(issue))


def _issues(write: Write, equations: str) -> list[str]:
    return [str(issue) for issue in check_units(read_model(write(equations)))]


def test_a_stock_changes_by_its_units_per_time(write_mdl: Write) -> None:
    good = "s = INTEG(in, 1) ~ firm ~ | in = 2 ~ firm/Year ~ |"
    assert _issues(write_mdl, good) == []
    (issue,) = _issues(write_mdl, good.replace("firm/Year", "firm"))
    approved(issue)


def test_a_stock_starts_in_its_units(write_mdl: Write) -> None:
    (issue,) = _issues(write_mdl, "s = INTEG(0, x) ~ firm ~ | x = 2 ~ km2 ~ |")
    approved(issue)


def test_sums_over_subscripts_keep_units(write_mdl: Write) -> None:
    equations = "D: A, B ~~| x[D] = 1, 2 ~ firm ~ | y = SUM(x[D!]) ~ {} ~ |"
    assert _issues(write_mdl, equations.format("firm")) == []
    assert "y: " in _issues(write_mdl, equations.format("km2"))[0]


def test_each_piece_of_a_subscripted_variable_is_checked(write_mdl: Write) -> None:
    (issue,) = _issues(write_mdl, "D: A, B ~~| k = 1 ~ km2 ~ | f = 1 ~ firm ~ | x[A] = f ~ firm ~ | x[B] = k ~~|")
    assert "in 'k'" in issue


def test_a_subscript_as_a_number_has_no_units(write_mdl: Write) -> None:
    assert _issues(write_mdl, "D: A, B ~~| x[D] = D * 2 ~ Dmnl ~ |") == []


def test_variables_without_units_are_reported_and_start_no_further_findings(write_mdl: Write) -> None:
    (issue,) = check_units(read_model(write_mdl("a = 1 ~ ~ | b = a + c ~ firm ~ | c = 1 ~ firm ~ |")))
    assert (issue.kind, issue.variable) == ("missing", "a")


def test_a_unit_that_cannot_be_read_is_reported(write_mdl: Write) -> None:
    (issue,) = check_units(read_model(write_mdl("a = 1 ~ firm/ ~ |")))
    assert issue.kind == "unreadable"
    approved(issue.problem)


def test_one_mistake_is_one_finding(write_mdl: Write) -> None:
    assert len(_issues(write_mdl, f"{PARTS}x = (f + k) * 2 + f ~ firm ~ |")) == 1


MACRO = """
:MACRO: DECAY(input, life)
DECAY = INTEG(input - DECAY/life, input*life) ~ input ~ |
:END OF MACRO:
"""


def test_a_macro_is_checked_with_the_units_of_its_call(write_mdl: Write) -> None:
    good = MACRO + "r = 1 ~ firm/Year ~ | t = 1 ~ Year ~ | k = 1 ~ km2 ~ | x = DECAY(r, t) ~ firm ~ |"
    assert _issues(write_mdl, good) == []
    (issue,) = _issues(write_mdl, good.replace("DECAY(r, t)", "DECAY(r, k)"))
    assert issue.startswith("x: subtracts different units: firm/Year against firm/Year") or "km2" in issue


#: Where pysimlin (0.8.5) sees nothing wrong and Vensim's rules do.
ONLY_OURS = ("comparison", "inside logic", "condition", "power that may change")


def _other_finds(path: Path) -> bool:
    import simlin

    return any("unit" in issue.message for issue in simlin.load(path).check())


@pytest.mark.parametrize(
    "name", ["sum of the same", "product", "quotient", "literal power", "MIN and MAX", "SQRT", "ZIDZ", "STEP", "SMOOTH"]
)
def test_pysimlin_agrees_on_a_consistent_model(name: str, write_mdl: Write) -> None:
    equation, units = CONSISTENT[name]
    path = write_mdl(f"{PARTS}x = {equation} ~ {units} ~ |")
    assert not _other_finds(path)
    assert not check_units(read_model(path))


@pytest.mark.parametrize("name", ["declared", "sum", "difference", "choice", "EXP", "MIN", "SMOOTH", "lookup", "time"])
def test_pysimlin_agrees_on_an_inconsistent_model(name: str, write_mdl: Write) -> None:
    equation, units, _ = INCONSISTENT[name]
    path = write_mdl(f"{PARTS}x = {equation} ~ {units} ~ |")
    assert _other_finds(path)
    assert check_units(read_model(path))


@pytest.mark.parametrize("name", ONLY_OURS)
def test_pysimlin_does_not_look_at_comparisons_and_exponents(name: str, write_mdl: Write) -> None:
    equation, units, _ = INCONSISTENT[name]
    assert not _other_finds(write_mdl(f"{PARTS}x = {equation} ~ {units} ~ |"))
