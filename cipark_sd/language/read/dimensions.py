"""Dimensions: how many elements one may have, and those of a variable from the subscripts of its equations."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cipark_sd.base.errors import EquationError, UnknownName
from cipark_sd.model.model import Dimension

#: More elements than this no range of a model has; its arrays would not fit into memory.
MOST_ELEMENTS = 100_000
#: And all ranges together: each element of each has its label and its place, some 150 bytes.
MOST_IN_ALL = 1_000_000


@dataclass
class SecondRanges:
    """Ranges under a second name, for variables that use one twice: ``matrix[A, Dims]``, ``matrix[B, Dims]``.

    An array has each of its dimensions once, so the second place gets a range of its own with the same elements, as
    ``Second <-> First`` declares one.
    """

    taken: set[str]
    made: dict[str, Dimension] = field(default_factory=dict)

    def of(self, dimension: Dimension) -> Dimension:
        """The second of a range."""
        if dimension.name not in self.made:
            number = 2
            while f"{dimension.name}_{number}" in self.taken:
                number += 1
            name = f"{dimension.name}_{number}"
            self.taken.add(name)
            self.made[dimension.name] = replace(
                dimension, name=name, label=f"{dimension.label} {number}", mappings=(dimension.name,)
            )
        return self.made[dimension.name]

    def part(self, dimension: Dimension, first: int, last: int) -> Dimension:
        """The elements of a range from one place to another, counted from 1, both included."""
        name = f"{dimension.name}_{first}_to_{last}"
        if name not in self.made:
            inside = slice(first - 1, last)
            elements, labels = dimension.elements[inside], dimension.element_labels[inside]
            self.made[name] = Dimension(name, f"{dimension.label} {first} to {last}", elements, labels)
        return self.made[name]


def merged_dimensions(
    spans: Sequence[tuple[str, ...]],
    dimensions: tuple[Dimension, ...],
    *,
    where: str,
    variable: str,
    seconds: SecondRanges | None = None,
) -> tuple[str, ...]:
    """The dimensions that cover all pieces of a variable: one used in an equation if it does, else the smallest.

    ``seconds`` gives a range that is taken a second name; without it such a variable is refused.

    Parameters
    ----------
    spans : sequence of tuple of str, (n_pieces, n_subscripts)
        The subscripts of the left side of each equation.
    dimensions : tuple of Dimension
        All of the model, in order.
    where, variable : str
        For messages.
    seconds : SecondRanges, optional
        Gives a range that is taken a second name; without it such a variable is refused.

    Returns
    -------
    tuple of str, (n_subscripts,)
    """
    if len({len(span) for span in spans}) > 1:
        raise EquationError(where, variable, "has pieces with different numbers of subscripts")
    by_name = {dimension.name: dimension for dimension in dimensions}
    for span in spans:
        if twice := next((sub for i, sub in enumerate(span) if sub in by_name and sub in span[:i]), None):
            reason = (
                f"has the range {by_name[twice].label!r} twice in one equation, so that its right side cannot say "
                "which of the two it means; use a second name for one of them (Second <-> First)"
            )
            raise EquationError(where, variable, reason)
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
        whole = [sub for sub in used if sub in by_name and set(by_name[sub].elements) == covered and sub not in dims]
        elsewhere = {span[i] for span in spans for i in range(len(span)) if i != position} | set(dims)
        wide = [d for d in dimensions if covered <= set(d.elements)]
        free = [d for d in wide if d.name not in elsewhere]
        if whole:
            dims.append(whole[0])
        elif free:
            dims.append(min(free, key=lambda dimension: len(dimension.elements)).name)
        elif wide and seconds is not None:
            second = seconds.of(min(wide, key=lambda dimension: len(dimension.elements)))
            if second.name in dims:
                raise EquationError(where, variable, f"needs the range {second.label!r} more than twice")
            dims.append(second.name)
        else:
            reason = f"covers {', '.join(sorted(covered))}, which no range holds that is still free; "
            way = "a range can be used twice under a second name (Second <-> First)"
            raise EquationError(where, variable, reason + way)
    return tuple(dims)
