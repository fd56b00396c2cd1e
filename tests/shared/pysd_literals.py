"""PySD's visitors of equations, with numbers read as numbers.

PySD 3.14 hands pieces of a model's text to Python's ``eval``: numbers, the points and the range of a table, texts in
single quotes. Its grammar takes any text without a bracket for a range, so a range could be a program. The visitors
here read each of these pieces themselves and take nothing but plain numbers; :func:`parse_component` and
:func:`parse_element` put them in the place of PySD's.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from pysd.translators.vensim import vensim_utils
from pysd.translators.vensim.vensim_element import Data, EquationVisitor, Lookup, LookupsVisitor
from pysd.translators.vensim.vensim_structures import parsing_ops, structures
from pysd.translators.xmile import xmile_utils
from pysd.translators.xmile.xmile_element import EquationVisitor as XmileVisitor
from pysd.translators.xmile.xmile_structures import parsing_ops as xmile_parsing_ops
from sanitise_text import UNSIGNED

from cipark_sd.model.expr import MISSING

#: What PySD's grammar takes between the parts of a number or pair: blanks, and the backslash of a continued line.
_GAP = r"[\s\\]*+"
_NUMBER = re.compile(rf"{_GAP}([+-]?){_GAP}({UNSIGNED}){_GAP}", re.ASCII)
_PAIR = re.compile(
    rf"{_GAP}\({_GAP}([+-]?{_GAP}{UNSIGNED}){_GAP},{_GAP}([+-]?{_GAP}{UNSIGNED}){_GAP}\){_GAP}(?:,{_GAP}|\Z)", re.ASCII
)


def number(text: str) -> int | float:
    """The number that a text is; whole ones stay whole, as PySD's output keeps them.

    Raises
    ------
    ValueError
        When the text is anything else.

    >>> number("- 5"), number("2."), number(".5e1")
    (-5, 2.0, 5.0)
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number")
    digits = "".join(match.groups())
    return int(digits) if match.group(2).isdigit() else float(digits)


def points(text: str) -> list[tuple[int | float, int | float]]:
    """The pairs of a table.

    Raises
    ------
    ValueError
        When the text is anything else.

    >>> points("(0, 1), (10, 2.5)")
    [(0, 1), (10, 2.5)]
    """
    pairs: list[tuple[int | float, int | float]] = []
    position = 0
    while position < len(text):
        pair = _PAIR.match(text, position)
        if pair is None:
            raise ValueError(f"{text!r} is not a list of pairs of numbers")
        pairs.append((number(pair.group(1)), number(pair.group(2))))
        position = pair.end()
    return pairs


def _table(text: str) -> Any:
    """PySD's lookup of the pairs in a text; the range of the drawing is no part of a table's meaning."""
    values = np.array(points(text))
    values = values[np.argsort(values[:, 0])]
    unknown = (np.nan, np.nan)
    return structures["lookup"](
        x=tuple(values[:, 0]), y=tuple(values[:, 1]), x_limits=unknown, y_limits=unknown, type="interpolate"
    )


def _array(text: str) -> Any:
    """The array of constants that a text is, or the one number; PySD's grammar reads ``1 + 2`` as two of one."""
    if ";" not in text and "," not in text:
        terms = [number(term) for term in re.split(r"(?<=[\d.])[\s\\]*(?=[+-])", text.strip())]
        return sum(terms[1:], start=terms[0])
    return np.squeeze(np.array([row.split(",") for row in text.strip(";").split(";")], dtype=float))


class _Numbers:
    """What the visitors of both languages share."""

    elements: dict[str, Any]
    add_element: Any

    def visit_array(self, node: Any, children: Any) -> Any:
        return self.add_element(_array(node.text))

    def visit_expr(self, node: Any, children: Any) -> Any:
        return children[0] if children[0] in self.elements else self.add_element(number(children[0]))

    def visit_arguments(self, node: Any, children: Iterable[str]) -> Any:
        parts = (child.strip(",") for child in children)
        return self.add_element(tuple(self.elements[p] if p in self.elements else number(p) for p in parts))


class _VensimEquation(_Numbers, EquationVisitor):  # type: ignore[misc]  # PySD has no types
    def visit_limits(self, node: Any, children: Any) -> str:
        return ""

    def visit_lookup_with_def(self, node: Any, children: Any) -> Any:
        return self.add_element(structures["with_lookup"](self.elements[children[4]], _table(children[11])))

    def visit_nan(self, node: Any, children: Any) -> Any:
        # PySD makes it NaN, to which no comparison is true
        return self.add_element(MISSING)

    def visit_string(self, node: Any, children: Any) -> Any:
        return self.add_element(node.text.strip()[1:-1])


class _VensimTable(LookupsVisitor):  # type: ignore[misc]
    def visit_limits(self, node: Any, children: Any) -> str:
        return ""

    def visit_regularLookup(self, node: Any, children: Any) -> None:  # noqa: N802  (named after the grammar's rule)
        self.translation = _table(children[2])


class _XmileEquation(_Numbers, XmileVisitor):  # type: ignore[misc]
    pass


def parse_component(component: Any) -> None:
    """Give a component of PySD's Vensim reader its syntax tree, as its own ``parse`` does."""
    if isinstance(component, Lookup):
        tree = vensim_utils.Grammar.get("lookups").parse(component.expression)
        component.ast = _VensimTable(tree).translation
    elif isinstance(component, Data) and not component.expression:
        component.ast = structures["data"]()
    else:
        tree = vensim_utils.Grammar.get("components", parsing_ops).parse(component.expression)
        component.ast = _VensimEquation(tree).translation
        component.lookup = isinstance(component.ast, structures["get_xls_lookups"])


def parse_element(element: Any, behaviors: Any) -> None:
    """Give an element of PySD's XMILE reader its syntax trees, as its own ``parse`` does."""
    element._smile_parser = _xmile_tree
    element.parse(behaviors)


def _xmile_tree(expression: str) -> Any:
    tree = xmile_utils.Grammar.get("equations", xmile_parsing_ops).parse(expression.strip())
    return _XmileEquation(tree).translation
