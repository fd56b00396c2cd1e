"""Printed equations read back as what they were."""

from collections.abc import Callable
from pathlib import Path

import pytest
from counted import called, exponent

from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.printing import equations

Write = Callable[..., Path]

DECLARED = """
D: A, B, C ~~|
a = 2 ~~| b = 3 ~~| c = 4 ~~| "R&D budget" = 1 ~~|
v[D] = 1, 2, 3 ~~|
table((0,0), (1,5)) ~~|
"""


@pytest.mark.parametrize(
    "right",
    [
        "a - (b - c)",
        "a - b - c",
        "a / (b * c)",
        "a / b * c",
        "a * (b + c)",
        "a ^ b ^ c",
        "(a ^ b) ^ c",
        "-a ^ 2",
        "(-a) ^ 2",
        "a * -b",
        "a - -b",
        "-(a + b)",
        "8 / -(3 / 4)",
        "a ^ -b",
        "(a + b) ^ (1 - c)",
        "IF THEN ELSE(a > b :AND: b > c :OR: a = 2, a, -b)",
        "IF THEN ELSE((a > b :OR: b > c) :AND: a <> 2, 1, 0)",
        "IF THEN ELSE(:NOT: (a > b), 1, 0)",
        '"R&D budget" * 2',
        "table(a / 4) + table(Time)",
        "WITH LOOKUP(a, ((0, 1), (2, 3.5)))",
        "SUM(v[D!]) + v[B]",
        "SMOOTH(a, b) + SMOOTHI(a, b, c) + SMOOTH3(a, b) + SMOOTH3I(a, b, c) + SMOOTH N(a, b, c, 2)",
        "DELAY1(a, b) + DELAY1I(a, b, c) + DELAY3(a, b) + DELAY3I(a, b, c) + DELAY N(a, b, c, 2)",
        "DELAY FIXED(a, b, c) + SAMPLE IF TRUE(a > 1, b, c) + TREND(a, b, c)",
        "MAX(a, MIN(b, c)) + XIDZ(a, b, 1) + PULSE(1, 2) + STEP(a, 3) + 1e-09 + 123456789.125",
        "INTEG(a - b, c * 2)",
        "INITIAL(Time + a)",
        "ACTIVE INITIAL(a, b)",
    ],
)
def test_a_printed_equation_reads_back_as_the_same_expression(write_mdl: Write, right: str) -> None:
    model = read_model(write_mdl(f"{DECLARED} x = {right} ~~|"))
    (printed,) = equations(model, model["x"])
    again = read_model(write_mdl(f"{DECLARED} {printed} ~~|", name="again.mdl"))
    assert again["x"] == model["x"]


def test_subscripts_exceptions_and_elements_are_printed(write_mdl: Write) -> None:
    model = read_model(write_mdl(DECLARED + "w[D] :EXCEPT: [C] = v[D] * a ~~| w[C] = 7 ~~|"))
    assert list(equations(model, model["w"])) == ["w[D] :EXCEPT: [C] = v[D] * a", "w[C] = 7"]


def test_lookups_arrays_and_data_are_printed(write_mdl: Write) -> None:
    model = read_model(write_mdl(DECLARED + "seen := GET DIRECT DATA('d.csv', ',', 'A', 'B2') ~~|"))
    printed = [line for name in ("v", "table", "seen") for line in equations(model, model[name])]
    assert printed == [
        "v[D] = 1, 2, 3",
        "table((0, 0), (1, 5))",
        "seen = GET DIRECT DATA('d.csv', ',', 'A', 'B2')",
    ]


def test_the_work_of_all_equations_grows_with_them_and_not_with_their_square(write_mdl: Write) -> None:
    def work(n: int) -> int:
        text = "\n".join(f"v{i} = v{i + 1} + 1 ~~|" for i in range(n)) + f" v{n} = 1 ~~|"
        model = read_model(write_mdl(text, name=f"{n}.mdl"))
        return called(lambda: [line for variable in model for line in equations(model, variable)])

    assert exponent(work, 50, 200) < 1.2
