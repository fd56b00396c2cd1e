"""Starts of stocks that were fitted, as constants that a page can draw and move."""

from collections.abc import Iterable
from dataclasses import replace

from cipark_sd.errors import UnsupportedFeature
from cipark_sd.model.expr import Const, Ref
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import Constant, Piece, Stock
from cipark_sd.naming import canonical, one_name, override_key, split_key


def start_of(model: Model, name: str) -> str:
    """The constant that stands for a drawn name: that of a stock's start, else the name itself."""
    variable = model.by_name.get(split_key(override_key(name))[0])
    return canonical(one_name("start of", variable.name)) if isinstance(variable, Stock) else name


def with_starts(model: Model, names: Iterable[str]) -> Model:
    """The model in which the starts of the stocks among ``names`` are constants, spelt as the stocks are.

    A run that sets such a constant is that of a run which sets the start of the stock, bit for bit.

    Raises
    ------
    UnsupportedFeature
        For a stock with subscripts.
    """
    started = dict.fromkeys(split_key(override_key(name))[0] for name in names)
    stocks = [variable for name in started if isinstance(variable := model.by_name.get(name), Stock)]
    for stock in stocks:
        if stock.dims:
            raise UnsupportedFeature(
                "a start that was fitted, with subscripts",
                variable=stock.label,
                where="play",
                alternative="give the start by a constant and fit that",
            )
        constant = start_of(model, stock.name)
        pieces = tuple(replace(piece, initial=Ref(constant)) for piece in stock.pieces)
        variables = [replace(stock, pieces=pieces) if v.name == stock.name else v for v in model.variables]
        # what it is in the file is not asked: each run sets it
        start = Constant(name=constant, label=stock.label, units=stock.units, pieces=(Piece(Const(0.0)),))
        digest = digest_of(model.digest.encode(), constant.encode())
        model = replace(model, variables=(*variables, start), digest=digest)
    return model
