"""What a subscript stands for in one element of a subscripted equation, and how large the arrays of a model may be."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from cipark_sd.base.errors import EquationError
from cipark_sd.compiler.functions.registry import of_arrays
from cipark_sd.model.expr import Apply, Call, Expr, Ref, children, walk
from cipark_sd.model.model import ELEMENTS_HELD, MOST_ELEMENTS, Dimension, Model
from cipark_sd.model.variables import ExternalPiece, Piece, StockPiece, TablePiece, Variable

Elements = tuple[str, ...]
#: Element by the name of the dimension (or ``dimension!``) that it is taken from.
Binding = Mapping[str, str]


@dataclass(frozen=True)
class Subscripts:
    """The dimensions of a model and how their elements answer to each other."""

    where: str
    dimensions: Mapping[str, Dimension]
    of_vensim: bool = True

    @cached_property
    def places(self) -> Mapping[str, Mapping[str, int]]:
        """The position of each element, from 0, by dimension."""
        return {
            name: {element: place for place, element in enumerate(dimension.elements)}
            for name, dimension in self.dimensions.items()
        }

    @cached_property
    def _holders(self) -> Mapping[str, tuple[Dimension, ...]]:
        """The dimensions that have an element, in the order of the model."""
        holders: dict[str, list[Dimension]] = {}
        for dimension in self.dimensions.values():
            for element in dimension.elements:
                holders.setdefault(element, []).append(dimension)
        return {element: tuple(dimensions) for element, dimensions in holders.items()}

    @cached_property
    def _wider(self) -> Mapping[str, tuple[Dimension, ...]]:
        """The dimensions that have all elements of a dimension, itself among them."""
        return {
            name: tuple(
                candidate
                for candidate in self.dimensions.values()
                if dimension.elements and places.keys() <= self.places[candidate.name].keys()
            )
            for (name, dimension), places in zip(self.dimensions.items(), self.places.values(), strict=True)
        }

    @classmethod
    def of(cls, model: Model) -> "Subscripts":
        """Those of a model."""
        return cls(model.name, model.dimension_by_name, model.of_vensim)

    def combinations(self, subscripts: Elements) -> Iterator[tuple[Elements, Binding]]:
        """Every combination of elements that an equation's left side covers, and what each dimension is in it."""
        choices = [self.dimensions[sub].elements if sub in self.dimensions else (sub,) for sub in subscripts]
        for elements in product(*choices):
            yield elements, {s: e for s, e in zip(subscripts, elements, strict=True) if s in self.dimensions}

    def covers(self, group: Elements, elements: Elements) -> bool:
        """Whether ``group``, of dimensions or elements, includes the combination."""
        return all(
            element in self.places[sub] if sub in self.places else sub == element
            for sub, element in zip(group, elements, strict=True)
        )

    def applies(self, piece: Piece | StockPiece | TablePiece | ExternalPiece, elements: Elements) -> bool:
        """Whether an equation holds for a combination of elements, its exceptions taken out."""
        covered = self.covers(piece.subscripts, elements)
        return covered and not any(self.covers(group, elements) for group in piece.exceptions)

    def number(self, name: str, bound: Binding) -> int | None:
        """The position, from 1, that a dimension or element name stands for where a number is wanted.

        An element counts in the widest dimension that has it: a subrange's elements keep the numbers they have in
        the whole range, as in Vensim.
        """
        element = self.element(name, bound, variable=name) if name in self.dimensions else name
        holders = self._wider[name] if name in self.dimensions else self._holders.get(element, ())
        if not holders:
            return None
        widest = max(holders, key=lambda dimension: len(dimension.elements))
        return self.places[widest.name][element] + 1

    def _in_groups(self, target: Dimension, source: Dimension, element: str, variable: str) -> str | None:
        """The element of a range of the right side for one of the left, where a mapping between them has groups."""
        standing = dict(target.groups).get(source.name)
        if standing is not None:
            chosen = [standing[self.places[source.name][element]]]
        else:
            back = dict(source.groups).get(target.name)
            if back is None:
                return None
            chosen = [there for there, member in zip(target.elements, back, strict=True) if member == element]
        if len(chosen) == 1 and chosen[0]:
            return chosen[0]
        many = "no element" if not any(chosen) else f"{len(chosen)} elements"
        label = source.element_labels[self.places[source.name][element]]
        reason = f"uses {target.label!r}, of which {many} are mapped to {label!r}"
        raise EquationError(self.where, variable, reason)

    def element(self, subscript: str, bound: Binding, *, variable: str) -> str:
        """The element that a subscript on the right side stands for.

        An element stands for itself, a dimension of the left side for its element there, a mapped dimension for the
        element at the same place, and a range that shares the element for that element. A mapping comes before a
        shared element: ``young`` flows into ``mid`` where ``(young, mid)`` is mapped to ``(mid, old)``.

        Source: Vensim's reference manual, "Mapping of Subscript Ranges", and its runs of ageing chains.

        Raises
        ------
        EquationError
            When nothing on the left side says which element is meant, or mapped ranges differ in length.
        """
        if subscript in bound:
            return bound[subscript]
        if subscript not in self.dimensions:
            return subscript
        target = self.dimensions[subscript]
        sources = {dim: self.dimensions[dim.removesuffix("!")] for dim in bound}
        # a mapping says what a range of the right side is where its target stands on the left; the way back comes next
        mapped = [dim for dim, source in sources.items() if source.name in target.mappings]
        mapped += [dim for dim, source in sources.items() if subscript in source.mappings]
        for dim in mapped:
            source = sources[dim]
            grouped = self._in_groups(target, source, bound[dim], variable)
            if grouped is not None:
                return grouped
            if len(source.elements) != len(target.elements):
                sizes = f"{target.label!r}, of {len(target.elements)} elements, for {source.label!r}, of "
                reason = f"uses {sizes}{len(source.elements)}; mapped ranges need the same number of elements"
                raise EquationError(self.where, variable, reason)
            return target.elements[self.places[source.name][bound[dim]]]
        for dim, element in bound.items():
            if not dim.endswith("!") and element in self.places[subscript]:
                return element
        sought = f"uses the subscript {target.label!r}, which is neither on its left side nor mapped to what is"
        way = (
            "add '!' to sum over it"
            if self.of_vensim
            else "take SUM, MEAN, MIN or MAX of the array alone, or an element"
        )
        raise EquationError(self.where, variable, f"{sought}; {way}")


#: Equations of a model that is written out; each one is lowered and compiled by itself.
MOST_EQUATIONS = MOST_ELEMENTS
#: Operations of all sums, vectors and other reductions, written out; each costs a run some 100 bytes and 3 us.
MOST_SUMMED = 6_000_000
#: Functions that put the elements of a range together.
REDUCTIONS = of_arrays("reduction", "selection")


def check_array_sizes(model: Model, subscripts: Subscripts) -> None:
    """Refuse arrays with more equations and sums with more terms than can be compiled, before any is written out.

    Parameters
    ----------
    subscripts : Subscripts
        Those of the model.

    Raises
    ------
    EquationError
        For the variable with the most elements, and for one that adds up too many.
    """
    equations = {
        variable.label: sum(
            math.prod(
                len(subscripts.dimensions[sub].elements) for sub in piece.subscripts if sub in subscripts.dimensions
            )
            for piece in variable.pieces
        )
        for variable in (*model.variables, *(inner for macro in model.macros for inner in macro.variables))
    }
    total = sum(equations.values())
    if total > MOST_EQUATIONS:
        label, largest = max(equations.items(), key=lambda item: item[1])
        sizes = f"has {largest:,} elements, and all arrays together {total:,}"
        raise EquationError(model.name, label, f"{sizes}; {ELEMENTS_HELD}: use ranges with fewer elements")
    summed = {variable.label: _summed(variable, subscripts) for variable in model.variables}
    total = sum(summed.values())
    if total > MOST_SUMMED:
        label, largest = max(summed.items(), key=lambda item: item[1])
        raise too_many_summed(model.name, label, largest, total)


def too_many_summed(where: str, label: str, n: int, total: int) -> EquationError:
    """The error of sums and vectors that become more operations than are computed.

    Parameters
    ----------
    where, label : str
        The model and the variable.
    n, total : int
        The operations of this variable, and of all, at least.
    """
    sizes = f"has sums or vectors of {n:,} operations or more, and all variables together {total:,}"
    return EquationError(where, label, f"{sizes}; at most {MOST_SUMMED:,} are computed: use smaller ranges")


def _summed(variable: Variable, subscripts: Subscripts) -> int:
    """How many operations the reductions of a variable have at least: those over subscripts marked with ``!``."""
    total = 0
    for piece in variable.pieces:
        match piece:
            case Piece(expr) | StockPiece(expr):
                n_summed = sum(_marked(call, subscripts) for call in walk(expr))
                # how many elements exceptions leave is known when they are written out
                spanned = () if piece.exceptions else piece.subscripts
                total += n_summed * math.prod(_length(sub, subscripts) for sub in spanned)
    return total


def _marked(expr: Expr, subscripts: Subscripts) -> int:
    if not isinstance(expr, Call) or expr.function not in REDUCTIONS:
        return 0
    parts = [part for argument in expr.arguments for part in own_parts(argument)]
    subs = {sub for part in parts if isinstance(part, Ref) for sub in part.subscripts if sub.endswith("!")}
    return len(parts) * math.prod(_length(sub.removesuffix("!"), subscripts) for sub in subs) if subs else 0


def _length(sub: str, subscripts: Subscripts) -> int:
    return len(subscripts.dimensions[sub].elements) if sub in subscripts.dimensions else 1


def own_parts(expr: Expr) -> Iterator[Expr]:
    """``expr`` and what is inside it but for what is inside a reduction of its own; tables are among it.

    Parameters
    ----------
    expr : Expr
        An argument of a reduction.
    """
    if isinstance(expr, Call) and expr.function in REDUCTIONS:
        return
    yield expr
    if isinstance(expr, Apply) and isinstance(expr.table, Ref):
        yield expr.table
    for child in children(expr):
        yield from own_parts(child)
