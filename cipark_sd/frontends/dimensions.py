"""The dimensions of a variable from the subscripts of its equations."""

from collections.abc import Sequence

from cipark_sd.errors import EquationError, UnknownName
from cipark_sd.model.model import Dimension


def merged_dimensions(
    spans: Sequence[tuple[str, ...]], dimensions: tuple[Dimension, ...], *, where: str, variable: str
) -> tuple[str, ...]:
    """The dimensions that cover all pieces of a variable: one used in an equation if it does, else the smallest."""
    if len({len(span) for span in spans}) > 1:
        raise EquationError(where, variable, "has pieces with different numbers of subscripts")
    by_name = {dimension.name: dimension for dimension in dimensions}
    dims: list[str] = []
    for position in range(len(spans[0])):
        used = [span[position] for span in spans]
        covered: set[str] = set()
        for sub in used:
            if sub in by_name:
                covered |= set(by_name[sub].elements)
            elif any(sub in dimension.elements for dimension in dimensions):
                covered.add(sub)
            else:
                raise UnknownName(
                    sub, [d.label for d in dimensions], kind="dimension or element", where=f"{where}, {variable!r}"
                )
        whole = [sub for sub in used if sub in by_name and set(by_name[sub].elements) == covered]
        elsewhere = {span[i] for span in spans for i in range(len(span)) if i != position} | set(dims)
        wide = [d for d in dimensions if covered <= set(d.elements) and d.name not in elsewhere]
        if whole:
            dims.append(whole[0])
        elif wide:
            dims.append(min(wide, key=lambda dimension: len(dimension.elements)).name)
        else:
            raise EquationError(
                where,
                variable,
                f"covers {', '.join(sorted(covered))}, which no range holds that is still free; "
                "a range can be used twice under a second name (Second <-> First)",
            )
    return tuple(dims)
