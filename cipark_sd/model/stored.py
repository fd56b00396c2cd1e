"""A model as JSON text and back, exactly: for the cache, not for people.

The text can only become values of the closed set of types below; reading it executes nothing. Numbers are written so
that they come back bit for bit.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cipark_sd.model.expr import Apply, Binary, Call, Const, Grid, If, Neg, Ref, Table, Text
from cipark_sd.model.model import Dimension, Macro, Model, TimeSpec
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    External,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    StockPiece,
    TablePiece,
)

# The position of a class is its mark in the text; 0 marks a tuple.
_CLASSES: tuple[type[Any], ...] = (
    tuple,
    *(Const, Text, Grid, Ref, Neg, Binary, Call, If, Table, Apply),
    *(External, Piece, StockPiece, TablePiece, ExternalPiece),
    *(Constant, Auxiliary, Stock, Lookup, Series),
    *(Dimension, TimeSpec, Macro, Model),
)
_MARKS: Mapping[type[Any], int] = {cls: mark for mark, cls in enumerate(_CLASSES)}
_FIELDS: Mapping[type[Any], tuple[str, ...]] = {
    # where a model was read from is not part of it
    cls: tuple(field.name for field in fields(cls) if field.name != "origin")
    for cls in _CLASSES[1:]
}
_PLAIN = (str, bool, int, float, type(None))


def to_text(model: Model) -> str:
    """The model as text, without its origin."""
    return json.dumps(_told(model), separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> Model:
    """The model that :func:`to_text` wrote.

    Raises
    ------
    ValueError
        When the text is something else.
    """
    try:
        model = _read(json.loads(text))
    except (TypeError, IndexError, RecursionError) as problem:
        raise ValueError(f"not a stored model: {problem}") from None
    if not isinstance(model, Model):
        raise ValueError("not a stored model")
    return model


def _told(value: Any) -> Any:
    cls = type(value)
    if cls is tuple:
        return [0, *map(_told, value)]
    if cls in _FIELDS:
        return [_MARKS[cls], *(_told(getattr(value, name)) for name in _FIELDS[cls])]
    if isinstance(value, _PLAIN):
        return value
    raise TypeError(f"a {cls.__name__} is not part of a model")


def _read(value: Any) -> Any:
    if not isinstance(value, list):
        if isinstance(value, _PLAIN):
            return value
        raise TypeError("an object stands where none can")
    mark, *rest = value
    if mark == 0:
        return tuple(map(_read, rest))
    cls = _CLASSES[mark]
    return cls(**dict(zip(_FIELDS[cls], map(_read, rest), strict=True)))
