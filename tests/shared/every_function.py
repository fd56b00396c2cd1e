"""Random models in which every function of the languages takes part, by seed: chains of stocks, tables, arrays, delays.

Each function has a template whose blanks are filled with what the model has so far, kept where it has a finite value.
The stocks are chains that flows join, so that what is made or lost shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: Whether pysimlin has a function with the same meaning when it reads our conversion.
Judge = Literal["simlin", "bits"]


@dataclass(frozen=True)
class Template:
    """An equation with blanks for expressions, {} each; ``judge`` is who has the same numbers.

    ``name`` is what it is called in a model. With ``side`` it is one of an array.
    """

    name: str
    text: str
    judge: Judge = "simlin"
    side: bool = False


def _named(texts: Sequence[str], judge: Judge, prefix: str, *, side: bool = False) -> list[Template]:
    return [Template(f"{prefix}{number}", text, judge, side) for number, text in enumerate(texts)]


#: Vensim's. Arguments are any expressions, of any size and sign.
VENSIM = [
    *_named(
        [
            "ABS({}) + {}", "SQRT(ABS({}))", "EXP(SIN({}))", "LN(1 + ABS({}))", "LOG(2 + ABS({}), 3)", "SIN({}) * {}",
            "COS({})", "TAN(SIN({}))", "ARCSIN(SIN({}))", "ARCCOS(SIN({}))", "ARCTAN({})", "INTEGER({})",
            "QUANTUM({}, 0.5)",
            "MODULO(ABS({}), 1 + ABS({}))", "(1 + ABS(SIN({}))) ^ 1.5", "MIN({}, {})", "MAX({}, {})", "XIDZ({}, {}, 2)",
            "ZIDZ({}, {})", "STEP({}, 1.5)", "RAMP({}, 0.5, 2)", "PULSE(1, 1.25)", "PULSE TRAIN(0.5, 0.5, 1, 3)",
            "IF THEN ELSE({} > {} :AND: :NOT: (c0 = c1), {}, {})", "IF THEN ELSE({} < {} :OR: {} >= {}, {}, {})",
            "INITIAL({})", "SMOOTH({}, 1.5)", "SMOOTHI({}, 2, 1)", "SMOOTH3({}, 2)", "SMOOTH3I({}, 2, 1)",
            "DELAY1({}, 1.5)", "DELAY1I({}, 2, 1)", "DELAY3({}, 2)", "DELAY3I({}, 2, 1)", "TREND(2 + SIN({}), 2, 0.1)",
            "SAMPLE IF TRUE({} > {}, {}, 0.5)", "table({}) + table(SIN({}))",
            "WITH LOOKUP(SIN({}), ((-1, 2), (0, 0.5), (1, 3)))",
        ], "simlin", "f",
    ),
    *_named(
        [
            "SINH(SIN({}))", "COSH(SIN({}))", "TANH({})", "POWER(1 + ABS(SIN({})), {} - {})", "GAMMA LN(1 + ABS({}))",
            "ACTIVE INITIAL({}, 2)", "SMOOTH N({}, 2, 1, 2)", "DELAY N({}, 2, 1, 2)", "DELAY FIXED({}, 1.5, 0.5)",
            "DELAY INFORMATION({}, 1.5, 0.5)", "DEPRECIATE STRAIGHTLINE(1 + SIN({}), 2, TIME STEP, 0.5)",
            "VECTOR LOOKUP(heights[d1], SIN({}), 0, 2, 0)",
            "DELAY MATERIAL(1 + SIN({}), 1.5, 0.5, 0)", "FORECAST(2 + SIN({}), 2, 1)", "NPV({}, 0.05, 0, 1)",
            "NPVE({}, 0.05, 0, 1)",
            "LOOKUP FORWARD(table, SIN({}))", "LOOKUP BACKWARD(table, {})", "LOOKUP EXTRAPOLATE(table, {})",
            "MAX(LOOKUP INVERT(rising, {}), -1)", "GET TIME VALUE(0, 0.5, 0)",
            "RANDOM 0 1() + {}", "RANDOM UNIFORM(-1, 1, 5) * {}", "RANDOM NORMAL(-5, 5, 0, 1, 3)",
            "RANDOM EXPONENTIAL(0, 9, 0, 1, 2)", "RANDOM POISSON(0, 99, 3, 0, 1, 0)", "RANDOM GAMMA(0, 99, 2, 0, 1, 0)",
            "RANDOM BINOMIAL(0, 9, 0.3, 9, 0, 1, 0)", "RANDOM NEGATIVE BINOMIAL(0, 99, 0.4, 3, 0, 1, 0)",
            "RANDOM BETA(0, 1, 2, 3, 0, 1, 0)", "RANDOM TRIANGULAR(0, 1, 0, 0.3, 1, 0)",
            "RANDOM WEIBULL(0, 9, 2, 0, 1, 0)",
            "SUM(a{}[side!])", "PROD(a{}[side!])", "VMIN(a{}[side!]) + ELMCOUNT(side)", "VMAX(a{}[side!])",
            "VECTOR SELECT(weight[side!], a{}[side!], 0, 3, 0)", "VECTOR ELM MAP(a{}[left], 2 * weight[left] - 2)",
        ], "bits", "g",
    ),
    *_named(
        [
            "VECTOR SORT ORDER(a{}[side], 1)", "VECTOR RANK(a{}[side], -1)",
            "VECTOR REORDER(a{}[side], 1 - VECTOR SORT ORDER(weight[side], 1))",
            "ALLOCATE BY PRIORITY(request[side], weight[side], ELMCOUNT(side), 1, 1 + ABS(SIN({})))",
            "ALLOCATE AVAILABLE(request[side], profile[side, ptype], 1 + ABS(SIN({})))",
            "SUM(inverse[side, again!] * a{}[again!])",
            "FIND MARKET PRICE(request[left], profile[left, ptype], request[left], profile[left, ptype]) + SIN({})",
            "DEMAND AT PRICE(request[side], profile[side, ptype], 1 + ABS(SIN({})))",
            "SUPPLY AT PRICE(request[side], profile[side, ptype], 1 + ABS(SIN({})))",
        ], "bits", "v", side=True,
    ),
]  # fmt: skip
#: What XMILE has of its own, or spells otherwise.
STELLA = [
    *_named(
        [
            "INT({})", "ABS({})", "EXP(SIN({}))", "LN(1 + ABS({}))", "SQRT(ABS({}))",
            "SIN({}) + COS({})", "TAN(SIN({}))", "ARCTAN({})", "MIN({}, {})", "MAX({}, {}, {})", "SAFEDIV({}, {}, 2)",
            "STEP({}, 1.5)",
            "RAMP({}, 0.5, 2)", "RAMP({}, 1)", "PULSE({}, 1, 1.5)", "PULSE({}, 0.6)", "PULSE({})",
            "IF {} &gt; {} AND NOT (c0 = c1) THEN {} ELSE {}", "INIT({})", "SMTH1({}, 1.5)", "SMTH3({}, 2, 1)",
            "DELAY1({}, 2)", "DELAY3({}, 2, 1)", "DELAYN({}, 2, 3)", "SMTHN({}, 2, 3, 1)",
            "TREND(2 + SIN({}), 2)", "LOOKUP(table, SIN({}))",
            "MEAN({}, {}, {})", "ROUND({})", "ABS({}) MOD 3", "PI * {}",
        ], "simlin", "f",
    ),
    *_named(
        [
            "DELAY({}, 1.5, 0.5)", "PREVIOUS({}, 0.5)", "LOG10(1 + ABS({}))", "FORCST(2 + SIN({}), 2, 1)",
            "ROOTN(ABS({}), 3)", "PMT(0.01, 36, {}, 0)", "PV(0, 36, {}, 1)", "FV(0.01, 12, {}, 1)",
            "PERCENT({})",
            "FACTORIAL(ABS(INT(SIN({}))))", "MOD({}, 3)", "GAMMALN(1 + ABS({}))",
            "HISTORY(S0, TIME - 1)", "LOOKUPINV(rising, {})", "RANDOM(0, 1, 3)", "UNIFORM(-1, 1, 2)", "NORMAL(0, 1, 2)",
            "EXPRND(2, 1)", "POISSON(3, 1)", "MONTECARLO(20, 1)", "BETA(2, 3, 1)", "BINOMIAL(9, 0.3, 1)",
            "GAMMA(2, 1, 1)", "LOGISTIC(0, 1, 1)", "PARETO(3, 1, 1)",
            "TRIANGULAR(0, 0.3, 1, 1)", "WEIBULL(2, 1, 1)", "TANH({})", "SUM(a{}[*])", "STDDEV(a{}[*])", "RANK(a{}, 1)",
            "INTERPOLATE(a{}, 0.3)",
            "SIZE(side)", "MIN({}, INF)", "NORMALCDF(SIN({}), 1 + ABS({}))", "CGROWTH(ABS({}))",
        ], "bits", "g",
    ),
]  # fmt: skip


#: What functions of whole arrays are given.
OF_ARRAYS = [
    "square[left, again] = 2, 1 ~~| square[right, again] = 1, 3 ~~|",
    "inverse[side, again] = INVERT MATRIX(square[side, again], 2) ~~|",
    "ptype: kind, pprio, pwidth, pextra ~~|",
    "request[side] = 1, 2 ~~|",
    "profile[side, ptype] = 3, 1, 1, 0; 3, 1, 1, 0; ~~|",
]


class _Model:
    """One model as it grows: what an expression may read, and the random numbers."""

    def __init__(self, seed: int, known: Sequence[str]) -> None:
        self.random = np.random.default_rng(seed)
        self.known = list(known)
        self.arrays: list[str] = []

    def number(self) -> str:
        return str(self.random.choice([0.25, 0.5, 1.5, 2.0, 3.25]))

    def expression(self) -> str:
        """A name, or two joined; divisors stay away from zero."""
        one, other = (str(name) for name in self.random.choice(self.known, 2))
        way = self.random.integers(6)
        joined = (f"({one} + {other})", f"({one} - {other})", f"(0.5 * {one})", f"({one} / (1 + ABS({other})))")
        return joined[way] if way < len(joined) else one

    def filled(self, template: Template) -> str:
        text = template.text
        while "{}" in text:
            array = text[: text.index("{}")].endswith("a")
            text = text.replace("{}", str(self.random.integers(2)) if array else self.expression(), 1)
        return text

    def bounded(self) -> str:
        """The rate at which a stock is filled: between 0 and 2."""
        return f"1 + SIN({self.expression()})"


def chosen(templates: Sequence[Template], seed: int, n: int, judge: Judge | None = None) -> list[Template]:
    """Some of the templates; seeds that follow each other take all of them in turn."""
    of_judge = [template for template in templates if judge is None or template.judge == judge]
    order = np.random.default_rng(7).permutation(len(of_judge))
    return [of_judge[order[(seed * n + place) % len(of_judge)]] for place in range(min(n, len(of_judge)))]


def vensim_model(templates: Sequence[Template], seed: int) -> str:
    """A Vensim file: three stocks in a chain, two arrays of stocks, and an auxiliary for each template."""
    made = _Model(seed, ["S0", "S1", "S2", "c0", "c1", "Time", "wave"])
    lines = [
        "{UTF-8}", "side: left, right ~~|",
        "again <-> side ~~|", "weight[side] = 1, 1.5 ~~|", *(OF_ARRAYS if any(t.side for t in templates) else ()),
        "step of heights: d1, d2, d3 ~~|", "heights[step of heights] = 1, 3, 2 ~~|",
        "table((-2, 1), (0, 2.5), (1, 0.5), (4, 3)) ~~|", "rising((0, 0), (2, 1), (3, 5)) ~~|",
        "wave = SIN(3 * Time) ~~|",
        f"c0 = {made.number()} ~~|", f"c1 = {made.number()} ~~|",
    ]  # fmt: skip
    equations = []
    for template in templates:
        equations.append(f"{template.name}{'[side]' if template.side else ''} = {made.filled(template)} ~~|")
        made.known.append(f"{template.name}[left]" if template.side else template.name)
    lines += equations
    for i in range(2):
        lines += [
            f"in{i}[side] = weight[side] * ({made.bounded()}) ~~|",
            f"across{i}[side] = a{i}[side] / 3 ~~|",
            f"a{i}[side] = INTEG(in{i}[side] - across{i}[side], weight[side]) ~~|",
            f"b{i}[side] = INTEG(across{i}[side], 0) ~~|",
        ]
    lines += [
        f"entering = {made.bounded()} ~~|", f"moving = S0 * ({made.bounded()}) / 4 ~~|",
        f"going = S1 * ({made.bounded()}) / 4 ~~|", "leaving = S2 / 5 ~~|",
        "S0 = INTEG(entering - moving, c0) ~~|", "S1 = INTEG(moving - going, 1) ~~|",
        "S2 = INTEG(going - leaving, c1) ~~|",
        "INITIAL TIME = 0 ~~|", "FINAL TIME = 4 ~~|", "TIME STEP = 0.25 ~~|", "SAVEPER = TIME STEP ~~|",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def stella_variables(templates: Sequence[Template], seed: int) -> tuple[str, str]:
    """What stands before a model, and its variables: non-negative stocks that their flows would empty, and arrays."""
    made = _Model(seed, ["S0", "S1", "S2", "c0", "c1", "TIME", "wave"])
    dims = '<dimensions><dim name="side"/></dimensions>'
    before = '<dimensions><dim name="side"><elem name="left"/><elem name="right"/></dim></dimensions>'
    auxiliaries: Mapping[str, str] = {
        "wave": "SIN(3 * TIME)", "c0": made.number(), "c1": made.number(),
        **{template.name: "" for template in templates},
    }  # fmt: skip
    lines = []
    by_name = {template.name: template for template in templates}
    for name, equation in auxiliaries.items():
        lines.append(f'<aux name="{name}"><eqn>{equation or made.filled(by_name[name])}</eqn></aux>')
        if name in by_name:
            made.known.append(name)
    lines += [
        '<aux name="table"><gf><xpts>-2,0,1,4</xpts><ypts>1,2.5,0.5,3</ypts></gf></aux>',
        '<aux name="rising"><gf><xpts>0,2,3</xpts><ypts>0,1,5</ypts></gf></aux>',
        f'<aux name="weight">{dims}<element subscript="left"><eqn>1</eqn></element>'
        '<element subscript="right"><eqn>1.5</eqn></element></aux>',
    ]
    flows = {
        "entering": made.bounded(), "moving": f"3 * ({made.bounded()})", "going": f"2 * ({made.bounded()})",
        "lost": made.bounded(),
    }  # fmt: skip
    lines += [f'<flow name="{name}"><eqn>{text}</eqn><non_negative/></flow>' for name, text in flows.items()]
    ways = (("entering", "moving lost", "c0"), ("moving", "going", "1"), ("going", "", "c1"))
    for i, (inflow, outflows, start) in enumerate(ways):
        ends = "".join(f"<outflow>{name}</outflow>" for name in outflows.split())
        lines.append(f'<stock name="S{i}"><eqn>{start}</eqn><inflow>{inflow}</inflow>{ends}<non_negative/></stock>')
    for i in range(2):
        lines += [
            f'<flow name="in{i}">{dims}<eqn>weight * ({made.bounded()}) / 4</eqn><non_negative/></flow>',
            f'<flow name="across{i}">{dims}<eqn>weight * ({made.bounded()})</eqn><non_negative/></flow>',
            f'<stock name="a{i}">{dims}<eqn>weight</eqn><inflow>in{i}</inflow><outflow>across{i}</outflow>'
            "<non_negative/></stock>",
            f'<stock name="b{i}">{dims}<eqn>0</eqn><inflow>across{i}</inflow><non_negative/></stock>',
        ]
    return before, "\n".join(lines)
