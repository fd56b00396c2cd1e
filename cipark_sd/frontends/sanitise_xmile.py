"""XMILE equations in the form that PySD's reader takes, with the same meaning.

PySD's grammar wants ``and``, ``or``, ``not`` and ``mod`` in small letters, ``IF``, ``THEN`` and ``ELSE`` in capitals,
no line breaks and no comments; the standard (XMILE 1.0, section 3.3) takes letters of either case.
"""

import re
from typing import Any

_QUOTED = re.compile(r'"(?:\\"|[^"])*"')
_COMMENT = re.compile(r"\{[^{}]*\}")
_SMALL = re.compile(r"(?<![\w.$])(and|or|not|mod)(?![\w.$])", re.IGNORECASE)
_CAPITAL = re.compile(r"(?<![\w.$])(if|then|else)(?![\w.$])", re.IGNORECASE)
_NEGATIVE_BASE = re.compile(r"\(\s*-\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\)(?=[\s)]*\^)")


def sanitised_equation(equation: str) -> str:
    """One equation as PySD's XMILE grammar takes it; names in quotes stay as they are.

    >>> sanitised_equation("if a > 1 AND b then c{why}\\n * 2 else 0")
    'IF a > 1 and b THEN c * 2 ELSE 0'
    """
    parts: list[str] = []
    position = 0
    for quoted in _QUOTED.finditer(equation):
        parts += [_plain(equation[position : quoted.start()]), quoted.group()]
        position = quoted.end()
    parts.append(_plain(equation[position:]))
    return re.sub(r"\s+", " ", "".join(parts)).strip()


def _plain(text: str) -> str:
    text = _COMMENT.sub(" ", text)
    text = _SMALL.sub(lambda found: found.group().lower(), text)
    text = _CAPITAL.sub(lambda found: found.group().upper(), text)
    # PySD reads (-2)^2 as -2^2
    return _NEGATIVE_BASE.sub(r"(0 - \1)", re.sub(r"\s+", " ", text))


def sanitise_xmile(root: Any) -> None:
    """Change all equations of an XMILE tree (of ``lxml.etree``) in place."""
    for node in root.iter():
        if isinstance(node.tag, str) and node.tag.rpartition("}")[2] in ("eqn", "start", "stop", "dt") and node.text:
            node.text = sanitised_equation(node.text)
