"""Equations of models that nobody wrote, for tests that hold two computations of one model against each other."""

from hypothesis import strategies as st

N_STOCKS = 3
#: A function of the model's own, with a stock in it.
MACRO = """:MACRO: blend(input, pace)
blend = (input + kept) / 2 ~~|
kept = INTEG((SIN(input) - kept) / (1 + pace), 0.5) ~~|
:END OF MACRO:"""

names = st.sampled_from([f"c{i}" for i in range(3)] + [f"S{i}" for i in range(N_STOCKS)] + ["Time"])
numbers = st.sampled_from(["0.5", "1", "2", "3.25", "7"])


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions one level deeper; divisors and arguments are kept where both engines have a finite value."""
    return st.one_of(
        st.tuples(parts, st.sampled_from("+-*"), parts).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(parts, parts).map(lambda t: f"({t[0]} / (1 + ABS({t[1]})))"),
        st.tuples(parts, st.sampled_from(["0.5", "1.5", "2"])).map(lambda t: f"(ABS({t[0]}) + 0.1)^{t[1]}"),
        st.tuples(st.sampled_from(["SIN", "ARCTAN", "TANH", "ABS"]), parts).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["MIN", "MAX"]), parts, parts).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(parts, st.sampled_from(["<", ">="]), parts, parts, parts).map(
            lambda t: f"IF THEN ELSE({t[0]} {t[1]} {t[2]}, {t[3]}, {t[4]})"
        ),
        st.tuples(parts, parts).map(lambda t: f"ZIDZ({t[0]}, INTEGER({t[1]}))"),
        st.tuples(parts, parts).map(lambda t: f"MODULO({t[0]}, 1 + ABS({t[1]}))"),
        # of names only: PySD loses the parentheses of a negated quotient
        names.map(lambda name: f"(-{name})"),
        st.tuples(parts, numbers).map(lambda t: f"STEP({t[0]}, {t[1]})"),
        st.tuples(numbers, numbers).map(lambda t: f"PULSE({t[0]}, {t[1]})"),
        parts.map(lambda p: f"table({p})"),
        st.tuples(parts, numbers).map(lambda t: f"blend({t[0]}, {t[1]})"),
    )


expressions = st.recursive(st.one_of(names, numbers), _joined, max_leaves=6)
memories = st.tuples(
    st.sampled_from(["SMOOTH({0}, {1})", "SMOOTH3I({0}, {1}, 0.5)", "DELAY1I({0}, {1}, 1.5)", "DELAY3({0}, {1})"]),
    expressions,
    numbers,
).map(lambda t: t[0].format(t[1], t[2]))


@st.composite
def models(draw: st.DrawFn) -> str:
    """The equations of a model whose stocks are held together by decay, so that none runs away."""
    lines = [MACRO, *(f"c{i} = {draw(numbers)} ~~|" for i in range(3))]
    lines.append("table((-2,1),(0,2.5),(1,0.5),(4,3)) ~~|")
    lines += [f"x{i} = {draw(expressions)} ~~|" for i in range(3)]
    lines.append(f"m = {draw(memories)} ~~|")
    lines += ["side: left, right ~~|", f"weight[side] = {draw(numbers)}, {draw(numbers)} ~~|"]
    lines.append(f"part[side] = INTEG(weight[side] * SIN({draw(expressions)}) - part[side] / 3, weight[side]) ~~|")
    lines.append("whole = SUM(part[side!]) + part[left] ~~|")
    for i in range(N_STOCKS):
        inflow = draw(st.sampled_from(["x0", "x1", "x2", "m", "whole"]))
        lines.append(f"S{i} = INTEG(SIN({inflow}) - S{i} / 4, {draw(numbers)}) ~~|")
    return "\n".join(lines) + "\n"
