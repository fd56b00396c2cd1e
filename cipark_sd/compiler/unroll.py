"""Subscripts written out: a model whose every variable is a scalar.

Where the flat model and the subscripted one differ is only in names: ``residents[soe]`` is the element ``SOE`` of
``Residents``, and its label is ``Residents[SOE]``. The lowering and ``cipark convert --flat`` both start from it.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from operator import add, mul
from typing import Any, assert_never

from cipark_sd.base.errors import CiparkError, EquationError, UnsupportedFeature, raise_all
from cipark_sd.base.naming import flat_name
from cipark_sd.compiler.functions.arrays import MOST_ROWS, within_array
from cipark_sd.compiler.functions.registry import of_arrays
from cipark_sd.compiler.subscripts import (
    MOST_SUMMED,
    REDUCTIONS,
    Binding,
    Elements,
    Subscripts,
    check_array_sizes,
    own_parts,
    too_many_summed,
)
from cipark_sd.model.expr import (
    MISSING,
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    If,
    Neg,
    Operator,
    Ref,
    Text,
    rebuild,
)
from cipark_sd.model.model import Model
from cipark_sd.model.variables import (
    Auxiliary,
    External,
    ExternalPiece,
    Piece,
    StockPiece,
    TablePiece,
    Variable,
)

#: Functions of a whole vector, along its last subscript.
VECTOR_FUNCTIONS = of_arrays("vector")
ALLOCATIONS = of_arrays("allocation")
MARKETS = of_arrays("market")


#: What each pair of a VECTOR SORT ORDER or RANK counts for: of 2,000 elements they had taken 1.3 GB after 39 s, and not
#: ended. Of 600 a first run takes 45 s still, on a machine that was busy with more.
OF_A_RANK = 4

AnyPiece = Piece | StockPiece | TablePiece | ExternalPiece


def unroll(model: Model, *, keep_reductions: bool = False) -> Model:
    """The same model without subscripts, its variables in the order of the file and their elements in order.

    Parameters
    ----------
    keep_reductions : bool
        Keep ``sum``, ``prod``, ``vmin`` and ``vmax`` as calls with one argument for each element. Otherwise they
        become sums, products and nested ``min`` and ``max``, which any modelling language has.

    Raises
    ------
    EquationError, Problems
        For subscripts that cannot be understood, all of them at once, and for arrays that are too large.
    """
    dims = Subscripts.of(model)
    problems: list[CiparkError] = []
    check_array_sizes(model, dims)
    summed = Counter[str]()

    def written_out(variables: tuple[Variable, ...], parameters: Sequence[str] = ()) -> tuple[Variable, ...]:
        known: dict[str, Variable] = {name: Auxiliary(name=name, label=name, pieces=()) for name in parameters}
        known |= {variable.name: variable for variable in variables}
        flat: list[Variable] = []
        for variable in variables:
            try:
                flat.extend(_Unroller(model, dims, known, variable, keep_reductions, summed).run())
            except CiparkError as problem:
                problems.append(problem)
        return tuple(flat)

    variables = written_out(model.variables)
    macros = tuple(replace(macro, variables=written_out(macro.variables, macro.parameters)) for macro in model.macros)
    raise_all(model.name, problems)
    return replace(model, variables=variables, macros=macros, dimensions=())


def _own_references(expr: Expr) -> Iterator[Ref]:
    return (part for part in own_parts(expr) if isinstance(part, Ref))


class _Unroller:
    """One variable written out."""

    def __init__(
        self,
        model: Model,
        subscripts: Subscripts,
        known: dict[str, Variable],
        variable: Variable,
        keep_reductions: bool,
        summed: Counter[str],
    ) -> None:
        self.model, self.subscripts, self.known, self.variable = model, subscripts, known, variable
        self.keep_reductions = keep_reductions
        #: Operations of sums and vectors so far, by the label of the variable.
        self._summed = summed
        #: The cells of matrices that are inverted, which all elements of the inverse share.
        self._matrices: dict[object, tuple[Expr, ...]] = {}

    def run(self) -> Iterator[Variable]:
        for elements in self._spanned():
            piece, bound = self._piece(elements)
            name = flat_name(self.variable.name, elements)
            label = self.model.label(self.variable, elements)
            # a variable has pieces of its own kind, and so have its elements
            pieces: Any = (self._scalar(piece, elements, bound),)
            yield replace(self.variable, name=name, label=label, dims=(), pieces=pieces)

    def _spanned(self) -> list[Elements]:
        """The combinations that some equation covers, the last dimension fastest."""
        choices = [self.subscripts.dimensions[dim].elements for dim in self.variable.dims]
        pieces = self.variable.pieces
        return [e for e in product(*choices) if any(self.subscripts.applies(piece, e) for piece in pieces)]

    def _piece(self, elements: Elements) -> tuple[AnyPiece, Binding]:
        """The equation that holds for a combination (the last that covers it) and what its dimensions are there."""
        pieces: Sequence[AnyPiece] = self.variable.pieces
        for piece in reversed(pieces):
            if self.subscripts.applies(piece, elements):
                bound = {
                    sub: element
                    for sub, element in zip(piece.subscripts, elements, strict=True)
                    if sub in self.subscripts.dimensions
                }
                return piece, bound
        raise self._wrong(f"does not cover {', '.join(elements)}")

    def _scalar(self, piece: AnyPiece, elements: Elements, bound: Binding) -> AnyPiece:
        """An equation for one element."""

        def value(expr: Expr) -> Expr:
            return self._value(expr, elements, piece.subscripts, bound)

        match piece:
            case Piece(expr):
                return Piece(value(expr))
            case StockPiece(flow, initial):
                return StockPiece(value(flow), value(initial), non_negative=piece.non_negative)
            case TablePiece(External() as source) | ExternalPiece(External() as source) if elements:
                # one address stands for a whole array, so it cannot be given to each element
                raise self._wrong(f"is in {source.file!r}, which has to be read first")
            case TablePiece(table):
                return TablePiece(table)
            case ExternalPiece(source):
                return ExternalPiece(source)
            case _:
                assert_never(piece)

    def _value(self, expr: Expr, elements: Elements, subscripts: Elements, bound: Binding) -> Expr:
        if isinstance(expr, Grid):
            return Const(self._cell(expr, elements, subscripts))
        return self._expr(expr, bound)

    def _cell(self, grid: Grid, elements: Elements, subscripts: Elements) -> float:
        """The number of a literal array that belongs to a combination of elements."""
        ranges = [s for s in subscripts if s in self.subscripts.dimensions]
        total = math.prod(len(self.subscripts.dimensions[dim].elements) for dim in ranges)
        if total != len(grid.values):
            reason = f"lists {len(grid.values)} numbers for {total} elements"
            if total == 1:
                reason = (
                    f"lists {len(grid.values)} numbers where one belongs; a decimal number has a point, such as 2.5"
                )
            raise self._wrong(reason)
        place = 0
        for sub, element in zip(subscripts, elements, strict=True):
            if sub in self.subscripts.dimensions:
                members = self.subscripts.dimensions[sub].elements
                place = place * len(members) + self.subscripts.places[sub][element]
        return grid.values[place]

    def _expr(self, expr: Expr, bound: Binding) -> Expr:
        match expr:
            case Const() | Text():
                return expr
            case Grid():
                raise self._wrong("has a list of numbers inside an expression")
            case Ref():
                return self._ref(expr, bound)
            case Apply(Ref() as table, argument, reading):
                return Apply(self._table(table, bound), self._expr(argument, bound), reading)
            case Apply() | Neg() | Binary() | If():
                return rebuild(expr, lambda part: self._expr(part, bound))
            case Call(function, arguments):
                return self._call(function, arguments, bound)
            case _:
                assert_never(expr)

    def _ref(self, ref: Ref, bound: Binding) -> Expr:
        if ref.name not in self.known and not ref.subscripts:
            number = self.subscripts.number(ref.name, bound)
            if number is not None:
                return Const(float(number))
        return self._table(ref, bound)

    def _wrong(self, reason: str) -> EquationError:
        return EquationError(self.subscripts.where, self.variable.label, reason)

    def _table(self, ref: Ref, bound: Binding) -> Ref:
        target = self.known.get(ref.name)
        if not ref.subscripts and target is not None and target.dims:
            raise self._wrong(f"uses {target.label!r} without its {len(target.dims)} subscript(s)")
        return Ref(flat_name(ref.name, tuple(self._at(sub, bound) for sub in ref.subscripts)))

    def _call(self, function: str, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        if function == "elmcount":
            return Const(float(self._size(arguments)))
        if function in REDUCTIONS:
            return self._reduction(function, arguments, bound)
        if function == "xmile_element":
            return self._element_of(arguments, bound)
        if function in VECTOR_FUNCTIONS:
            return self._vector(function, arguments, bound)
        if function in MARKETS:
            return self._market(function, arguments, bound)
        if function in ALLOCATIONS:
            return self._allocation(function, arguments, bound)
        return Call(function, tuple(self._expr(argument, bound) for argument in arguments))

    def _size(self, arguments: tuple[Expr, ...]) -> int:
        match arguments:
            case (Ref(name, ()),) if name in self.subscripts.dimensions:
                return len(self.subscripts.dimensions[name].elements)
            case _:
                raise self._wrong("gives ELMCOUNT something that is no subscript range")

    def _count(self, arguments: tuple[Expr, ...], n: int) -> None:
        """Count ``n`` elements of a sum or a vector, before they are written out."""
        self._summed[self.variable.label] += n * sum(1 for argument in arguments for _ in own_parts(argument))
        if (total := self._summed.total()) > MOST_SUMMED:
            of_variable = self._summed[self.variable.label]
            raise too_many_summed(self.subscripts.where, self.variable.label, of_variable, total)

    def _along(self, arguments: tuple[Expr, ...], bound: Binding, *, unmarked: bool) -> list[Binding]:
        """What the summed subscripts are, one binding a term, in the order in which they first appear."""
        names: list[str] = []
        for argument in arguments:
            for ref in _own_references(argument):
                for sub in ref.subscripts:
                    summed = sub.endswith("!") or (unmarked and sub in self.subscripts.dimensions and sub not in bound)
                    if summed and sub not in names:
                        names.append(sub)
        ranges = [self.subscripts.dimensions.get(name.removesuffix("!")) for name in names]
        choices = [dimension.elements for dimension in ranges if dimension is not None]
        if len(choices) < len(names):
            name = names[ranges.index(None)]
            reason = f"goes along {name!r}, but {name.removesuffix('!')!r} is an element and no dimension"
            raise self._wrong(reason)
        self._count(arguments, math.prod(map(len, choices)))
        return [{**bound, **dict(zip(names, elements, strict=True))} for elements in product(*choices)]

    def _reduction(self, function: str, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        if function == "vector_select":
            return self._select(arguments, bound)
        if function == "xmile_interpolate":
            return self._interpolated(arguments, bound)
        array, *ranks = arguments
        if len(ranks) != (function == "xmile_rank"):
            raise self._wrong(f"gives {function.upper()} {len(arguments)} arguments instead of 1")
        if function == "xmile_size" and isinstance(array, Ref) and array.name in self.subscripts.dimensions:
            return Const(float(self._size(arguments)))
        every = self._along((array,), bound, unmarked=function.endswith("_xmile"))
        n = Const(float(len(every)))
        if function == "xmile_size":
            return n
        terms = tuple(self._expr(array, binding) for binding in every)
        match function:
            case "xmile_mean":
                return self._put_together("sum", terms) / n
            case "xmile_stddev" if not self.keep_reductions:
                mean = folded("sum", terms) / n
                squares = tuple(Binary("^", term - mean, Const(2.0)) for term in terms)
                return Call("sqrt", (folded("sum", squares) / n,))
            case "xmile_stddev":
                return Call(function, terms)
            case "xmile_rank":
                place = self._expr(ranks[0], bound) - 1.0
                inside = Binary("and", Binary(">=", place, Const(0.0)), Binary("<", place, n))
                order = Call("vector_sort_order", (place, n, Const(1.0), *terms))
                return If(inside, order + 1.0, Const(math.nan))
            case _:
                return self._put_together(function.removesuffix("_xmile"), terms)

    def _interpolated(self, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """An array between its elements, of which 0 is the first and 1 the last along each of its dimensions."""
        array, *places = arguments
        every = self._along((array,), bound, unmarked=False)
        sizes = [len({binding[sub] for binding in every}) for sub in every[0] if sub not in bound]
        if len(sizes) != len(places) or min(sizes, default=0) < 2:
            reason = f"gives INTERPOLATE {len(places)} places in an array of {len(sizes)} dimensions"
            raise self._wrong(f"{reason}; give one for each dimension, which has at least two elements")
        values = [self._expr(array, binding) for binding in every]
        for place, size in zip(reversed(places), reversed(sizes), strict=True):
            # VECTOR LOOKUP by lines that holds its ends is the same rule
            at = (self._expr(place, bound), Const(0.0), Const(1.0), Const(0.0))
            rows = (values[first : first + size] for first in range(0, len(values), size))
            values = [Call("vector_lookup", (*at, *row)) for row in rows]
        return values[0]

    def _put_together(self, function: str, terms: tuple[Expr, ...]) -> Expr:
        return Call(function, terms) if self.keep_reductions else folded(function, terms)

    def _select(self, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """``vector_select`` (missing, action, error action, then selection and value of each element in turn)."""
        if len(arguments) != 5:
            raise self._wrong(f"gives VECTOR SELECT {len(arguments)} arguments instead of 5")
        selection, value, *vectors = arguments
        terms = [
            self._expr(part, binding)
            for binding in self._along((selection, value), bound, unmarked=False)
            for part in (selection, value)
        ]
        return Call("vector_select", (*(self._expr(part, bound) for part in vectors), *terms))

    def _vector(self, function: str, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """A function of a vector for one of its elements: (position from 0, length, other arguments, elements)."""
        if function == "vector_elm_map":
            return self._element_at(arguments, bound)
        if function == "vector_lookup":
            heights, *numbers = arguments
            return Call(
                function, (*(self._expr(part, bound) for part in numbers), *self._from_first(heights, bound, function))
            )
        if function == "invert_matrix":
            return self._inverse(arguments[0], bound)
        last = self._dimensions_of(arguments[0])[-1]
        members, head = self._along_last(last, bound)
        # a place among others is compared, and its ties told, for each of them
        cost = 1 if function == "vector_reorder" else OF_A_RANK
        self._count(arguments if function == "vector_reorder" else arguments[:1], cost * len(members))
        vector = tuple(self._expr(arguments[0], {**bound, last: member}) for member in members)
        if function == "vector_reorder":
            order = tuple(self._expr(arguments[1], {**bound, last: member}) for member in members)
            return Call(function, (*head, *order, *vector))
        return Call(function, (*head, self._expr(arguments[1], bound), *vector))

    def _inverse(self, matrix: Expr, bound: Binding) -> Expr:
        """``invert_matrix`` (row and column of the element, number of columns, cells); rows and columns of the matrix
        may be one range, ``m[R,R]``: then the last two subscripts of the left side say which element it is.
        """
        rows, columns = self._dimensions_of(matrix)[-2:]
        element_place = (
            list(bound.items())[-2:] if rows == columns else [(rows, bound[rows]), (columns, bound[columns])]
        )
        places = [Const(float(self.subscripts.places[sub][element])) for sub, element in element_place]
        members = self.subscripts.dimensions[columns].elements
        key = (matrix, *((sub, element) for sub, element in bound.items() if (sub, element) not in element_place))
        down = self.subscripts.dimensions[rows].elements
        if len(down) * len(members) > MOST_ROWS**2:
            feature, way = (
                f"INVERT MATRIX of more than {MOST_ROWS} rows",
                "give the inverse as numbers, or invert blocks of it",
            )
            raise UnsupportedFeature(
                feature, variable=self.variable.label, where=self.subscripts.where, alternative=way
            )
        if key not in self._matrices:
            self._count((matrix,), 5 * len(down) ** 2 * len(members))
            cells = product(down, members)
            self._matrices[key] = tuple(self._cell_of(matrix, rows, columns, r, c, bound) for r, c in cells)
        return Call("invert_matrix", (*places, Const(float(len(members))), *self._matrices[key]))

    def _cell_of(self, matrix: Expr, rows: str, columns: str, row: str, column: str, bound: Binding) -> Expr:
        if rows != columns:
            return self._expr(matrix, {**bound, rows: row, columns: column})
        if not isinstance(matrix, Ref) or matrix.subscripts[-2:] != (rows, columns):
            reason = f"inverts an expression with {rows!r} twice; give the matrix a variable of its own"
            raise self._wrong(reason)
        return self._ref(Ref(matrix.name, (*matrix.subscripts[:-2], row, column)), bound)

    def _from_first(self, reference: Expr, bound: Binding, function: str) -> list[Expr]:
        """The elements of a vector that is named by the first of them."""
        target = self.known.get(reference.name) if isinstance(reference, Ref) else None
        members = self.subscripts.dimensions[target.dims[-1]].elements if target is not None and target.dims else ()
        if not isinstance(reference, Ref) or reference.subscripts[-1:] != members[:1] or len(members) < 2:
            shown = function.replace("_", " ").upper()
            reason = f"gives {shown} no variable with the first element of its last subscript range"
            raise self._wrong(reason)
        self._count((reference,), len(members))
        return [self._ref(Ref(reference.name, (*reference.subscripts[:-1], member)), bound) for member in members]

    def _element_at(self, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """VECTOR ELM MAP: the element so many places on, counted over all subscripts, the last one fastest.

        Where the offset is a number, it is that element alone, so that a recurrence along a subscript is no loop.
        """
        reference, offset = arguments
        target = self.known.get(reference.name) if isinstance(reference, Ref) else None
        if not isinstance(reference, Ref) or target is None or len(reference.subscripts) != len(target.dims):
            reason = "gives VECTOR ELM MAP something that is no element of a variable; give it a variable of its own"
            raise self._wrong(reason)
        ranges = [self.subscripts.dimensions[dim].elements for dim in target.dims]
        first = 0
        for sub, members in zip(reference.subscripts, ranges, strict=True):
            element = self._at(sub, bound)
            first = first * len(members) + members.index(element)
        self._count((reference,), math.prod(map(len, ranges)))
        every = [Ref(flat_name(reference.name, elements)) for elements in product(*ranges)]
        moved = self._expr(offset, bound)
        number = _number(moved)
        if number is not None:
            place = first + round(number)
            return every[place] if 0 <= place < len(every) else Const(MISSING)
        return Call("vector_elm_map", (Const(float(first)), moved, *every))

    def _element_of(self, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """The element of an array by its places, which count from 1; beyond the array it is the first argument.

        Where the places are numbers, it is that element alone, so that an ageing chain along a dimension is no loop.
        """
        beyond, array, *indices = arguments
        assert isinstance(array, Ref)
        ranges = [self.subscripts.dimensions[dim].elements for dim in array.subscripts]
        places = [self._expr(index, bound) for index in indices]
        numbers = [_number(place) for place in places]
        if all(number is not None for number in numbers):
            at = [round(number or 0.0) - 1 for number in numbers]
            if not all(0 <= i < len(members) for i, members in zip(at, ranges, strict=True)):
                return beyond
            return Ref(flat_name(array.name, tuple(members[i] for i, members in zip(at, ranges, strict=True))))
        self._count((array,), math.prod(map(len, ranges)))
        every = [Ref(flat_name(array.name, elements)) for elements in product(*ranges)]
        inside, along = within_array(places, list(map(len, ranges)))
        return If(inside, Call("vector_elm_map", (Const(0.0), along, *every)), beyond)

    def _dimensions_of(self, expr: Expr) -> list[str]:
        for ref in _own_references(expr):
            dims = [sub for sub in ref.subscripts if sub in self.subscripts.dimensions]
            if dims:
                return dims
        raise self._wrong("gives a vector function a scalar")

    def _along_last(self, last: str, bound: Binding) -> tuple[Elements, tuple[Const, Const]]:
        """The elements of a dimension; the position of the present one, from 0, and how many there are."""
        members = self.subscripts.dimensions[last].elements
        return members, (Const(float(members.index(self._at(last, bound)))), Const(float(len(members))))

    def _at(self, subscript: str, bound: Binding) -> str:
        """The element that a subscript stands for."""
        return self.subscripts.element(subscript, bound, variable=self.variable.label)

    def _allocation(self, function: str, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """An allocation for one claimant: (position from 0, number of claimants, scalars, requests, profiles)."""
        if function == "allocate":
            return self._allocate(arguments, bound)
        last = self._dimensions_of(arguments[0])[-1]
        members, head = self._along_last(last, bound)
        self._count(arguments, len(members))
        requests = tuple(self._expr(arguments[0], {**bound, last: member}) for member in members)
        if function == "allocate_by_priority":
            priority, _, width, supply = arguments[1:]
            priorities = tuple(self._expr(priority, {**bound, last: member}) for member in members)
            scalars = (self._expr(width, bound), self._expr(supply, bound))
            return Call(function, (*head, *scalars, *requests, *priorities))
        profile, available = arguments[1:]
        return Call(
            function, (*head, self._expr(available, bound), *requests, *self._profiles(profile, members, bound))
        )

    def _allocate(self, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """The same with the kind, priority and width of each claimant as arguments; the fourth number is of no kind."""
        available, claimants, request, priority, width, *kind = arguments
        if not isinstance(claimants, Ref) or claimants.name not in self.subscripts.dimensions:
            reason = "gives ALLOCATE no dimension as its second argument; name that of the requests"
            raise self._wrong(reason)
        last = claimants.name
        members, head = self._along_last(last, bound)
        self._count(arguments, len(members))
        bindings = [{**bound, last: member, f"{last}!": member} for member in members]
        requests = [self._expr(request, binding) for binding in bindings]
        if not kind:
            priorities = [self._expr(priority, binding) for binding in bindings]
            position = int(head[0].value)
            return self._in_order(self._expr(available, bound), requests, priorities, position, width)
        profiles = [
            part
            for binding in bindings
            for part in (*(self._expr(number, binding) for number in (*kind, priority, width)), Const(0.0))
        ]
        return Call("allocate_available", (*head, self._expr(available, bound), *requests, *profiles))

    def _in_order(
        self, available: Expr, requests: Sequence[Expr], priorities: Sequence[Expr], position: int, width: Expr
    ) -> Expr:
        """What a claimant has where profiles of any kind have no width: those of a higher priority come first.

        Equals share what is left in proportion to their requests.
        """
        if width != Const(0.0):
            reason = "calls ALLOCATE with a width and without a kind of profile; give the kind, 1 for rectangular ones"
            raise self._wrong(reason)

        def requested(operator: Operator) -> Expr:
            total: Expr = Const(0.0)
            for theirs, request in zip(priorities, requests, strict=True):
                total = total + If(Binary(operator, theirs, priorities[position]), request, Const(0.0))
            return total

        part = (available - requested(">")) / requested("=")
        share = requests[position] * Call("max", (Const(0.0), Call("min", (Const(1.0), part))))
        return If(Binary(">", requests[position], Const(0.0)), share, Const(0.0))

    def _market(self, function: str, arguments: tuple[Expr, ...], bound: Binding) -> Expr:
        """A number (how many buyers, or the price), the quantities, and of each the four numbers of its profile."""
        if function == "find_market_price":
            quantities: list[Expr] = []
            profiles: list[Expr] = []
            for quantity, profile in (arguments[:2], arguments[2:]):
                every = self._from_first(quantity, bound, function)
                assert isinstance(quantity, Ref)
                members = self.subscripts.dimensions[self.known[quantity.name].dims[-1]].elements
                quantities, profiles = [*quantities, *every], [*profiles, *self._profiles(profile, members, bound)]
            return Call(function, (Const(float(len(quantities) - len(every))), *quantities, *profiles))
        quantity, profile, price = arguments
        if not isinstance(profile, Ref) or len(profile.subscripts) < 2:
            raise self._wrong("needs a priority profile with subscripts")
        member = self._at(profile.subscripts[-2], bound)
        numbers = (self._expr(price, bound), self._expr(quantity, bound))
        return Call(function, (*numbers, *self._profiles(profile, (member,), bound)))

    def _profiles(self, profile: Expr, members: Elements, bound: Binding) -> tuple[Expr, ...]:
        """The four numbers of each claimant's priority profile, claimant by claimant."""
        target = self.known.get(profile.name) if isinstance(profile, Ref) else None
        if not isinstance(profile, Ref) or target is None or not target.dims:
            raise self._wrong("needs a priority profile with subscripts")
        kinds = self.subscripts.dimensions[target.dims[-1]].elements
        heads = profile.subscripts[:-2]
        fixed = tuple(self._at(sub, bound) for sub in heads)
        return tuple(Ref(flat_name(profile.name, (*fixed, member, kind))) for member in members for kind in kinds)


def _number(expr: Expr) -> float | None:
    """The value of numbers that are added, subtracted and multiplied; nothing for anything else."""
    match expr:
        case Const(value):
            return value
        case Neg(operand):
            value_or_none = _number(operand)
            return None if value_or_none is None else -value_or_none
        case Binary("+" | "-" | "*" as operator, left, right):
            a, b = _number(left), _number(right)
            if a is None or b is None:
                return None
            return a + b if operator == "+" else a - b if operator == "-" else a * b
        case _:
            return None


def folded(function: str, terms: Sequence[Expr]) -> Expr:
    """A reduction of these terms, written out from the left.

    Parameters
    ----------
    function : {"sum", "prod", "vmin", "vmax"}
    terms : sequence of Expr
        At least one.

    Returns
    -------
    Expr
        Sums and products, or nested calls of ``min`` and ``max``.
    """
    match function:
        case "sum":
            return reduce(add, terms)
        case "prod":
            return reduce(mul, terms)
        case _:
            return reduce(lambda total, term: Call(function.removeprefix("v"), (total, term)), terms)
