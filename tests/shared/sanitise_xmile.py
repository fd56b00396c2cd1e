"""XMILE trees in the form that PySD's reader takes, with the same meaning.

PySD's grammar wants ``and``, ``or``, ``not`` and ``mod`` in small letters, ``IF``, ``THEN`` and ``ELSE`` in capitals,
no line breaks and no comments, and knows none of the names that XMILE provides; the standard (XMILE 1.0, section 3)
is wider.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from cipark_sd.base.naming import canonical, plain_label

_QUOTED = re.compile(r'"(?:\\"|[^"])*"')
_COMMENT = re.compile(r"\{[^{}]*\}")
_SMALL = re.compile(r"(?<![\w.$])(and|or|not|mod)(?![\w.$])", re.IGNORECASE)
_CAPITAL = re.compile(r"(?<![\w.$])(if|then|else)(?![\w.$])", re.IGNORECASE)
_NEGATIVE_BASE = re.compile(r"\(\s*-\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\)(?=[\s)]*\^)")
#: What XMILE (1.0, section 3.5) provides without an equation, in words that PySD knows.
_PROVIDED: Mapping[str, str] = {
    "dt": "time_step",
    "starttime": "initial_time",
    "stoptime": "final_time",
    "pi": "PI()",
    "inf": "(1e308 * 10)",
}


def sanitised_equation(equation: str, declared: frozenset[str] = frozenset()) -> str:
    """One equation as PySD's XMILE grammar takes it; names in quotes and ``declared`` ones stay as they are.

    >>> sanitised_equation("if a > 1 AND b then c{why}\\n * DT else 0")
    'IF a > 1 and b THEN c * time_step ELSE 0'
    """
    parts: list[str] = []
    position = 0
    for quoted in _QUOTED.finditer(equation):
        parts += [_plain(equation[position : quoted.start()], declared), quoted.group()]
        position = quoted.end()
    parts.append(_plain(equation[position:], declared))
    return re.sub(r"\s+", " ", "".join(parts)).strip()


def _plain(text: str, declared: frozenset[str]) -> str:
    text = _COMMENT.sub(" ", text)
    text = _SMALL.sub(lambda match: match.group().lower(), text)
    text = _CAPITAL.sub(lambda match: match.group().upper(), text)
    for name, meaning in _PROVIDED.items():
        if name not in declared:
            text = re.sub(rf"(?<![\w.$]){name}(?![\w.$])(?!\s*\()", meaning, text, flags=re.IGNORECASE)
    # PySD reads (-2)^2 as -2^2
    return _NEGATIVE_BASE.sub(r"(0 - \1)", re.sub(r"\s+", " ", text))


def sanitise_xmile(root: Any) -> None:
    """Change an XMILE tree (of ``lxml.etree``) in place.

    Equations are changed as by :func:`sanitised_equation`; a dimension given by its size gets the elements 1, 2, …;
    a variable that is a graphical function without input becomes a named one; the initial values of a stock's
    elements, which PySD does not find, become an array called ``<stock> initial value``.
    """
    space = root.tag.rpartition("}")[0] + "}" if "}" in root.tag else ""
    declared = frozenset(
        canonical(node.get("name", "")) for node in root.iter(f"{space}aux", f"{space}flow", f"{space}stock")
    )
    for node in root.iter(f"{space}eqn", f"{space}start", f"{space}stop", f"{space}dt"):
        if node.text:
            node.text = sanitised_equation(node.text, declared)
    for dim in root.iterfind(f"{space}dimensions/{space}dim"):
        if dim.get("size") and not len(dim):
            for number in range(1, int(dim.get("size")) + 1):
                dim.append(dim.makeelement(f"{space}elem", {"name": str(number)}))
    for aux in list(root.iter(f"{space}aux")):
        table = aux.find(f"{space}gf")
        if table is not None and aux.find(f"{space}eqn") is None and aux.find(f"{space}element") is None:
            _name_table(aux, table, space)
    for stock in list(root.iter(f"{space}stock")):
        if stock.find(f"{space}element/{space}eqn") is not None:
            _put_initials_aside(stock, space)


def _name_table(aux: Any, table: Any, space: str) -> None:
    aux.tag = f"{space}gf"
    for key, value in table.attrib.items():
        if key != "name":
            aux.set(key, value)
    for child in list(table):
        aux.append(child)
    aux.remove(table)


def _put_initials_aside(stock: Any, space: str) -> None:
    name = f"{stock.get('name')} initial value"
    aux = stock.makeelement(f"{space}aux", {"name": name})
    dims = stock.find(f"{space}dimensions")
    aux.append(deepcopy(dims))
    for element in stock.findall(f"{space}element"):
        aux.append(element)
    equation = stock.makeelement(f"{space}eqn", {})
    spanned = ", ".join(dim.get("name", "").replace(" ", "_") for dim in dims)
    equation.text = f'"{plain_label(name)}"[{spanned}]'
    stock.insert(0, equation)
    stock.addprevious(aux)
