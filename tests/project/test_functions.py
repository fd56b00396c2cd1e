"""One set of functions: what is read, has a meaning, has units and is written are the same names.

A function that is added to one table and forgotten in another fails here. Special forms are listed with the reason.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product

import pytest

from cipark_sd.compiler.array_sizes import REDUCTIONS
from cipark_sd.compiler.functions import FUNCTIONS
from cipark_sd.compiler.statefuls import STATEFULS
from cipark_sd.compiler.unroll import ALLOCATIONS, VECTOR_FUNCTIONS
from cipark_sd.exporters import functions as xmile
from cipark_sd.exporters import vensim_words
from cipark_sd.frontends.calls import Meaning, WrongCall
from cipark_sd.frontends.vensim.functions import FUNCTIONS as OF_VENSIM
from cipark_sd.frontends.xmile.functions import FUNCTIONS as OF_XMILE
from cipark_sd.frontends.xmile.functions import PROVIDED
from cipark_sd.model.expr import Call, Const, Expr, walk
from cipark_sd.model.unit_rules import RULES

#: All that an equation can call once a model is read.
CALLED = {*FUNCTIONS, *STATEFULS, *REDUCTIONS, "xmile_element"}

WITHOUT_MEANING_OF_THEIR_OWN = {
    "vmin_xmile": "becomes vmin when subscripts are written out: XMILE's MIN of an array takes every element",
    "vmax_xmile": "becomes vmax when subscripts are written out: XMILE's MAX of an array takes every element",
    "xmile_mean": "becomes a sum and its number of terms when subscripts are written out",
    "xmile_size": "becomes a number when subscripts are written out",
    "xmile_rank": "becomes a sort order when subscripts are written out",
    "xmile_element": "becomes the element, or a choice among all, when subscripts are written out",
}
UNITS_IN_THE_CHECKER = {
    "power": "the exponent's value decides the unit",
    "sqrt": "halves the exponents of the unit",
    "zidz": "divides units",
    "xidz": "divides units, and the third argument has the unit of the ratio",
    "invert_matrix": "the unit is one over the argument's",
}
WRITTEN_ELSEWHERE_IN_XMILE = {
    "not": "an operator of XMILE's",
    "sum": "is written out element by element",
    "prod": "is written out element by element",
    "vmin": "is written out element by element",
    "vmax": "is written out element by element",
    "vmin_xmile": "its elements are written out by --flat",
    "vmax_xmile": "its elements are written out by --flat",
    "xmile_mean": "is written out element by element",
    "xmile_size": "is written out as a number",
    "xmile_stddev": "is written out element by element",
    "xmile_rank": "its elements are written out by --flat",
    "xmile_element": "the element is written out",
}


def differences(names: set[str], table: Mapping[str, object], special: Mapping[str, str]) -> list[str]:
    """What a table lacks, what it has too much, and what is listed as special without need."""
    lacking = [f"lacks {name}" for name in sorted(names - table.keys() - special.keys())]
    unknown = [f"has {name}, which is no function" for name in sorted(table.keys() - names)]
    needless = [f"has {name}, which is listed as special" for name in sorted(special.keys() & table.keys())]
    return [*lacking, *unknown, *needless, *(f"special: {name}" for name in sorted(special.keys() - names))]


TABLES = {
    "meanings": ({**FUNCTIONS, **STATEFULS}, WITHOUT_MEANING_OF_THEIR_OWN),
    "units": (RULES, UNITS_IN_THE_CHECKER),
    "XMILE": ({**xmile.BUILT_IN, **xmile.UNSUPPORTED}, WRITTEN_ELSEWHERE_IN_XMILE),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_each_function(table: str) -> None:
    assert differences(CALLED, *TABLES[table]) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_row_too_few_or_too_many_is_found(table: str) -> None:
    rows, special = TABLES[table]
    first = next(iter(rows))
    assert differences(CALLED, {name: row for name, row in rows.items() if name != first}, special) == [
        f"lacks {first}"
    ]
    assert differences(CALLED, {**rows, "elmcount": None}, special) == ["has elmcount, which is no function"]


def test_no_function_has_two_meanings_or_is_both_written_and_refused() -> None:
    assert FUNCTIONS.keys() & STATEFULS.keys() == set()
    assert xmile.BUILT_IN.keys() & xmile.UNSUPPORTED.keys() == set()
    assert {*VECTOR_FUNCTIONS, *ALLOCATIONS} <= FUNCTIONS.keys()


def made(meanings: Mapping[str, Meaning | Callable[..., Expr]]) -> Iterator[tuple[str, str]]:
    """What a reader makes of each of its functions, with as many arguments as it takes: names in the model's terms."""
    for name, meaning in meanings.items():
        calls: set[str] = set()
        for n, first in product(range(8), (1.0, 0.0)):
            try:
                expr = meaning([Const(first * (i + 1)) for i in range(n)])
            except WrongCall:
                continue
            calls |= {part.function for part in walk(expr) if isinstance(part, Call)}
        yield from ((name, call) for call in calls)


@pytest.mark.parametrize("reader", [OF_VENSIM, OF_XMILE], ids=["Vensim", "XMILE"])
def test_what_a_reader_makes_of_a_function_has_a_meaning(reader: Mapping[str, Meaning]) -> None:
    """And a name that it leaves alone is not one that it would translate."""
    pairs = list(made(reader))
    assert [pair for pair in pairs if pair[1] not in CALLED] == []
    assert {name for name, _ in pairs} >= reader.keys() - {"if_then_else", "game", "percent", "rootn"}


def test_what_xmile_provides_has_a_meaning() -> None:
    calls = [part.function for expr in PROVIDED.values() for part in walk(expr) if isinstance(part, Call)]
    assert set(calls) <= CALLED


def test_what_vensim_cannot_say_is_a_function() -> None:
    assert vensim_words.UNSUPPORTED.keys() <= CALLED
