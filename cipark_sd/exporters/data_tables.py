"""Data as tables over Time, for files that have to stand by themselves."""

from dataclasses import replace

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.model.expr import Apply, Ref, Table
from cipark_sd.model.variables import Auxiliary, Piece, Series


def data_as_table(series: Series, where: str, problems: list[CiparkError]) -> Auxiliary | Series:
    """Data as a table over Time, so that the file stands by itself; data that a scenario brings stay as they are."""

    def refuse(feature: str, alternative: str) -> Series:
        problems.append(UnsupportedFeature(feature, variable=series.label, where=where, alternative=alternative))
        return series

    if all(piece.source is None for piece in series.pieces):
        if series.interpolation != "interpolate":
            return refuse(f"data that a scenario brings and that are read {series.interpolation!r}", _GIVE)
        return series
    if series.interpolation == "raw":
        return refuse("data that are read 'raw'", "write the points as a lookup over Time")
    pieces = []
    for piece in series.pieces:
        if isinstance(piece.source, Table):
            table = replace(piece.source, interpolation=series.interpolation)
            pieces.append(Piece(Apply(table, Ref("time")), piece.subscripts, piece.exceptions))
        elif piece.source is not None:
            return refuse("data in a file that cannot be read", "write the points into the model")
    described = {
        name: getattr(series, name) for name in ("name", "label", "units", "doc", "limits", "dims", "group")
    }  # fmt: skip
    return Auxiliary(**described, pieces=tuple(pieces))


_GIVE = "bring the data from a file (--series FILE, in Python read_model(series=[…]))"
