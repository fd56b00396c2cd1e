"""A whole model: variables, dimensions, macros, time and the drawing, as one value; what stands in which equations.

Vensim writes one expression of a net flow, XMILE names inflows and outflows. Where the expression is a sum and
difference of variables that span the stock's own subscripts, those variables are the flows.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NewType

from cipark_sd.base.errors import EquationError, UnknownMethod, UnknownName
from cipark_sd.base.naming import flat_name, override_key, protected_among, split_key
from cipark_sd.execution.shared import MadeOnce
from cipark_sd.model.expr import Expr, flow_terms
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Series, Stock, Variable, kind, names_in

Method = Literal["euler", "rk4", "rk4_auto", "rk2", "rk2_auto", "gear"]
Format = Literal["vensim", "xmile"]

#: Elements of one variable, and of all. Each costs the first run some 0.14 ms and 6 kB: 400,000 take 56 s and 2.4 GB.
MOST_ELEMENTS = 500_000
#: How messages say that limit.
ELEMENTS_HELD = f"at most {MOST_ELEMENTS:,} are computed, in some 3 GB of memory"
#: Control variables, by canonical name; they are variables of the model too.
CONTROL = ("initial_time", "final_time", "time_step", "saveper")


@dataclass(frozen=True, slots=True)
class Dimension:
    """A subscript range: elements in order, and the ranges it is mapped to (Vensim's ``->``).

    All names are canonical except ``label`` and ``element_labels``. A mapping holds element by element, in order, but
    for those that ``groups`` has: for each element of the other range, in its order, the element that it stands for,
    empty where it stands for none. ``listed`` is the range as the file has it where an element has several places in
    it, each for another element of the ranges that it is mapped to; ``elements`` has each once.
    """

    name: str
    label: str
    elements: tuple[str, ...]
    element_labels: tuple[str, ...]
    mappings: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeSpec:
    """When a run starts and ends, its step, how often it is saved, and how the file asks to be integrated.

    A number is NaN where the file makes it depend on other variables; the control variables of the model hold the
    equations.
    """

    initial: float
    final: float
    step: float
    saveper: float
    method: Method = "euler"
    units: str = ""


@dataclass(frozen=True, slots=True)
class Macro:
    """A function that the model itself defines: canonical parameters, results (the first is the value of the call).

    ``defaults`` are the arguments of calls that leave the last ones out; None, or nothing, where one has to be written.
    """

    name: str
    parameters: tuple[str, ...]
    results: tuple[str, ...]
    variables: tuple[Variable, ...]
    defaults: tuple[Expr | None, ...] = ()

    def completed(self, arguments: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """A call's arguments, then the defaults of those that it leaves out."""
        return (*arguments, *(expr for expr in self.defaults[len(arguments) :] if expr is not None))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model was read from; no part of its identity.

    ``allowed`` are folders in which its files may lie beside its own, ``series`` the files that its data variables were
    given, ``lines`` where each variable begins, by its name as it is written.
    """

    path: Path
    format: Format
    allowed: tuple[Path, ...] = ()
    series: tuple[Path, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, repr=False)
class Model(MadeOnce):
    """A stock-and-flow model.

    Every reference exists and names are canonical: the front end guarantees it. Two models are equal when their
    content is, wherever they came from.

    Parameters
    ----------
    name : str
        For messages and attributes, usually the file's stem.
    variables : tuple of Variable
        In the order of the file, control variables included.
    time : TimeSpec
        Begin, end, step and saved times, their unit, and the method of integration.
    dimensions : tuple of Dimension
        Subscript ranges with their elements and mappings.
    macros : tuple of Macro
        With their arguments and equations.
    digest : str
        SHA-256 over the file and everything it reads, in hexadecimal.
    drawing : str
        The sketch section of a Vensim file or the views of an XMILE file, verbatim; empty when there is none.
    unit_synonyms : tuple of tuple of str
        Names of units that the file declares to be the same, as it spells them; the first of each group is the main
        one and may be a product of others.
    range_files : tuple of str
        Files in which elements of subscript ranges stand, as the model names them.
    origin : Origin, optional
        The file that it was read from, with the lines of its equations; None for a model made in Python.
    """

    name: str
    variables: tuple[Variable, ...]
    time: TimeSpec
    dimensions: tuple[Dimension, ...] = ()
    macros: tuple[Macro, ...] = ()
    digest: str = ""
    drawing: str = field(default="", repr=False)
    unit_synonyms: tuple[tuple[str, ...], ...] = ()
    range_files: tuple[str, ...] = ()
    origin: Origin | None = field(default=None, compare=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name.startswith("_"):
                raise AttributeError(name)
            raise UnknownMethod(name, self.name)

    @property
    def of_vensim(self) -> bool:
        """Whether Vensim's rules hold where the languages differ and no function says so: unless XMILE was read."""
        return self.origin is None or self.origin.format != "xmile"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self._counts}; {self._span}; digest {self.digest[:12]}>"

    def _repr_html_(self) -> str:
        """A table for notebooks: every variable with what it is, its unit and what the file says of it."""
        from html import escape

        rows = "".join(
            f"<tr><th scope='row'>{escape(variable.label)}</th><td>{kind(variable)}</td>"
            f"<td>{escape(variable.units)}</td><td>{escape(variable.doc)}</td></tr>"
            for variable in self.variables
            if variable.name not in CONTROL
        )
        heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Variable", "Kind", "Unit", "Documentation"))
        about = f"{escape(self._counts)}; {escape(self._span)}; digest {escape(self.digest[:12])}"
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        title = f"<p><strong>{escape(self.name)}</strong>: {about}</p>"
        return f"{title}<details><summary>Variables</summary>{table}</details>"

    @property
    def _counts(self) -> str:
        counts = (
            (len(self.stocks), "stock", "stocks"),
            (len(self.auxiliaries), "auxiliary", "auxiliaries"),
            (len(self.constants), "constant", "constants"),
        )
        return ", ".join(f"{n} {single if n == 1 else several}" for n, single, several in counts)

    @property
    def _span(self) -> str:
        time = self.time
        return f"{time.initial:g} to {time.final:g} {time.units or 'units of time'} in steps of {time.step:g}"

    @cached_property
    def by_name(self) -> Mapping[str, Variable]:
        """Variables by canonical name."""
        return {variable.name: variable for variable in self.variables}

    @cached_property
    def dimension_by_name(self) -> Mapping[str, Dimension]:
        """Dimensions by canonical name."""
        return {dimension.name: dimension for dimension in self.dimensions}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels of all variables."""
        return tuple(variable.label for variable in self.variables)

    @cached_property
    def names_but_of_the_clock(self) -> tuple[str, ...]:
        """The labels of all variables but INITIAL TIME, FINAL TIME, TIME STEP and SAVEPER."""
        return tuple(variable.label for variable in self.variables if variable.name not in CONTROL)

    def __getitem__(self, name: str) -> Variable:
        """The variable of that name, in any spelling that the languages treat as the same.

        Raises
        ------
        UnknownName
            With the closest names there are.
        """
        if name not in self:
            raise UnknownName(name, self.names, where=self.name)
        return self.by_name[self.key(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.key(name) in self.by_name

    def key(self, text: str) -> str:
        """The canonical key of ``Name`` or ``Name[element]``; a whole text that is a name comes first."""
        return override_key(self.protected(text))

    def protected(self, text: str) -> str:
        """A text with protecting quotes where it is a name with brackets, or an element of it, and lacks them."""
        return protected_among(text, self.by_name)

    def label(self, name: str | Variable, elements: Sequence[str] = ()) -> str:
        """A variable or an element of it in the modeller's words, as all that people read has it: ``Name[element]``.

        Parameters
        ----------
        name : Variable, or any spelling of ``Name`` or ``Name[element]``
        elements : canonical, one for each dimension; none for the whole variable, or where ``name`` has them
        """
        if isinstance(name, str):
            base, behind = split_key(self.key(name))
            name, elements = self[base if behind else name], elements or behind
        return name.label + (f"[{','.join(self.element_labels(name, elements))}]" if elements else "")

    def element_labels(self, variable: Variable, elements: Sequence[str]) -> tuple[str, ...]:
        """The elements of a variable in the modeller's words, one for each of its dimensions."""
        return tuple(self._labels[dim][element] for dim, element in zip(variable.dims, elements, strict=True))

    @cached_property
    def _labels(self) -> dict[str, dict[str, str]]:
        # by name, since an array may have thousands of elements
        return {d.name: dict(zip(d.elements, d.element_labels, strict=True)) for d in self.dimensions}

    def labels(self, variable: Variable) -> tuple[str, ...]:
        """The labels of all elements of a variable, in the order of :meth:`elements`; of a scalar its own."""
        return tuple(self.label(variable, elements) for elements in self.elements(variable))

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    @property
    def stocks(self) -> tuple[Stock, ...]:
        """Stocks in the order of the file."""
        return tuple(variable for variable in self.variables if isinstance(variable, Stock))

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Constants in the order of the file, control variables left out."""
        return tuple(v for v in self.variables if isinstance(v, Constant) and v.name not in CONTROL)

    @property
    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Auxiliaries and flows in the order of the file, control variables left out."""
        return tuple(v for v in self.variables if isinstance(v, Auxiliary) and v.name not in CONTROL)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """Named graphical functions in the order of the file."""
        return tuple(variable for variable in self.variables if isinstance(variable, Lookup))

    @property
    def series(self) -> tuple[Series, ...]:
        """Data variables in the order of the file."""
        return tuple(variable for variable in self.variables if isinstance(variable, Series))

    @property
    def over_time(self) -> tuple[Variable, ...]:
        """What has values over time, in the order of the file: all but tables and the control variables."""
        return tuple(v for v in self.variables if v.name not in CONTROL and not isinstance(v, Lookup))

    def elements(self, variable: Variable) -> tuple[tuple[str, ...], ...]:
        """All combinations of elements that a variable spans, the last dimension fastest; one empty tuple if scalar.

        Raises
        ------
        EquationError
            For more than :data:`MOST_ELEMENTS`, before any is named.
        """
        size = self.n_elements(variable)
        if size > MOST_ELEMENTS:
            reason = f"has {size:,} elements; {ELEMENTS_HELD}"
            raise EquationError(self.name, variable.label, f"{reason}: use ranges with fewer elements")
        return tuple(product(*(self.dimension_by_name[dim].elements for dim in variable.dims)))

    def flat_names(self, variable: Variable) -> tuple[str, ...]:
        """What the elements of a variable are called without subscripts, in the order of :meth:`elements`."""
        return tuple(flat_name(variable.name, elements) for elements in self.elements(variable))

    def n_elements(self, variable: Variable) -> int:
        """How many they are."""
        return math.prod(len(self.dimension_by_name[dim].elements) for dim in variable.dims)


#: A model whose every variable is a scalar: no subscripts and no macros are left. Its variables are called by element,
#: ``residents[soe]``. What takes a flat model says so in its type, so that a subscripted one, which has no variable of
#: such a name, cannot be passed in its place.
FlatModel = NewType("FlatModel", Model)


def as_flat(model: Model) -> FlatModel:
    """``model``, which has neither subscripts nor macros, as what it is."""
    if model.dimensions or model.macros:
        raise ValueError(f"{model.name} has subscripts or macros")
    return FlatModel(model)


def digest_of(*contents: bytes) -> str:
    """SHA-256 over several byte strings, their lengths included, in hexadecimal."""
    total = hashlib.sha256()
    for content in contents:
        total.update(len(content).to_bytes(8, "big"))
        total.update(content)
    return total.hexdigest()


def causes(model: Model, variable: Variable) -> list[str]:
    """What stands in the equations of a variable.

    Returns
    -------
    list of str
        Canonical names in the order in which they stand there; tables, control variables and itself left out.
    """
    left_out = (variable.name, *CONTROL)
    known = [name for name in names_in(variable) if name in model.by_name and name not in left_out]
    return [name for name in known if not isinstance(model.by_name[name], Lookup)]


def uses(model: Model, variable: Variable) -> list[str]:
    """In whose equations a variable stands.

    Returns
    -------
    list of str
        Canonical names in the order of the file, itself left out.
    """
    return [user.name for user in model.variables if user.name != variable.name and variable.name in names_in(user)]


def flows_of(model: Model, stock: Stock) -> dict[str, int] | None:
    """The flows of a stock by name: 1 for what enters it, -1 for what leaves.

    The order of the additions is the only thing that changes: all inflows first, as XMILE has it.

    Returns
    -------
    dict of str to int, or None
        None where its equations do not name the same flows, each once and over the stock's own subscripts.
    """
    alike: set[tuple[tuple[int, str], ...]] = set()
    for piece in stock.pieces:
        signed = flow_terms(piece.flow)
        if signed is None or piece.exceptions or any(ref.subscripts != piece.subscripts for _, ref in signed):
            return None
        alike.add(tuple((sign, ref.name) for sign, ref in signed))
    if len(alike) != 1:
        return None
    (flows,) = alike
    if len({name for _, name in flows}) < len(flows):
        return None
    for _, name in flows:
        flow = model.by_name.get(name)
        if not isinstance(flow, Auxiliary | Constant) or flow.name in CONTROL or flow.dims != stock.dims:
            return None
    return {name: sign for side in (1, -1) for sign, name in flows if sign == side}


def kinds(model: Model) -> dict[str, str]:
    """What each variable is, by its name; an auxiliary that is a flow of a stock is a ``flow``."""
    flows = {name for stock in model.stocks for name in flows_of(model, stock) or ()}
    return {
        variable.name: "flow" if isinstance(variable, Auxiliary) and variable.name in flows else kind(variable)
        for variable in model.variables
    }
