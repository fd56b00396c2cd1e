"""Data as tables over Time, for files that have to stand by themselves."""

from dataclasses import replace

from cipark_sd.errors import CiparkError, UnsupportedFeature
from cipark_sd.model.expr import Apply, Ref
from cipark_sd.model.variables import Auxiliary, External, Piece, Series


def data_as_table(series: Series, where: str, problems: list[CiparkError]) -> Auxiliary:
    """Data as a table over Time, so that the file stands by itself."""

    def refuse(feature: str, alternative: str) -> None:
        problems.append(UnsupportedFeature(feature, variable=series.label, where=where, alternative=alternative))

    pieces = []
    for piece in series.pieces:
        if piece.source is None or isinstance(piece.source, External):
            refuse("data that a scenario brings", "write the points as a lookup over Time")
        elif series.interpolation == "raw":
            refuse("data that are read 'raw'", "write the points as a lookup over Time")
        else:
            table = replace(piece.source, interpolation=series.interpolation)
            pieces.append(Piece(Apply(table, Ref("time")), piece.subscripts, piece.exceptions))
    described = {
        name: getattr(series, name) for name in ("name", "label", "units", "doc", "limits", "dims", "group")
    }  # fmt: skip
    return Auxiliary(**described, pieces=tuple(pieces))
