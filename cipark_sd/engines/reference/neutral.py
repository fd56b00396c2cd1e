"""A model without its words: what PySD builds Python of holds numbers, structure and neutral labels.

PySD writes names, units, documentation and the places of external data into Python text without marking what would end
a text there. So before it builds, every label gets a neutral one (``v0001`` for a variable, ``r0001`` for a subscript
range, ``e0001`` for an element, ``m0001`` for a macro, ``f0001`` for a function that PySD does not have, ``x0001`` for
a file, tab or cell), texts go, and what is left is made anew of the few types that an equation consists of.

Neutral labels sort as the true ones do: PySD takes the first of two equal ranges by name, and goes through stocks in
the order of their names, so that results are the same bits.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pysd.builders.python.python_functions import functionspace
from pysd.translators.structures import abstract_expressions as syntax
from pysd.translators.structures.abstract_model import (
    AbstractComponent,
    AbstractControlElement,
    AbstractData,
    AbstractElement,
    AbstractLookup,
    AbstractModel,
    AbstractSection,
    AbstractSubscriptRange,
    AbstractUnchangeableConstant,
)

from cipark_sd.errors import ModelFileError
from cipark_sd.model.model import CONTROL
from cipark_sd.naming import canonical, plain_label

#: Any neutral label, also inside a name that PySD makes of it, such as ``_integ_v0001``.
LABEL = r"[vremfx]\d{4,}"
_INSIDE = re.compile(rf"(?<![A-Za-z0-9]){LABEL}(?![0-9])", re.IGNORECASE)
_FUNCTIONS = frozenset(functionspace) | {"a_function_of"}
_OPERATORS = frozenset(["+", "-", "*", "/", "^", "negative", "=", "<>", "<=", "<", ">=", ">", ":AND:", ":OR:", ":NOT:"])
_KEYWORDS = (None, "interpolate", "raw", "hold_backward", "look_forward")
_TABLES = ("interpolate", "extrapolate", "hold_backward")
_COMPONENTS = (AbstractComponent, AbstractUnchangeableConstant, AbstractLookup, AbstractData)
_ELEMENTS = (AbstractElement, AbstractControlElement)
_EXTERNAL = (syntax.GetConstantsStructure, syntax.GetDataStructure, syntax.GetLookupsStructure)
#: Structures whose parts are expressions, numbers and nothing else.
_PLAIN = (
    syntax.GameStructure,
    syntax.AllocateAvailableStructure,
    syntax.AllocateByPriorityStructure,
    syntax.InitialStructure,
    syntax.IntegStructure,
    syntax.DelayStructure,
    syntax.DelayNStructure,
    syntax.DelayFixedStructure,
    syntax.SmoothStructure,
    syntax.SmoothNStructure,
    syntax.TrendStructure,
    syntax.ForecastStructure,
    syntax.SampleIfTrueStructure,
    syntax.InlineLookupsStructure,
    syntax.DataStructure,
)


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the neutral labels of a translation stand for.

    Parameters
    ----------
    variables : mapping
        Neutral label by canonical name, of the main section.
    elements : mapping
        Canonical name by neutral label, of subscript ranges and elements.
    meaning : mapping
        The modeller's label, or the text of a file, tab or cell, by neutral label.
    """

    variables: Mapping[str, str]
    elements: Mapping[str, str]
    meaning: Mapping[str, str]

    def text(self, token: str) -> str:
        """The file, tab or cell that a token stands for; what is none stays as it is."""
        return self.meaning.get(token, token)

    def restored(self, message: str) -> str:
        """A message of PySD's with the modeller's labels."""
        return _INSIDE.sub(lambda match: self.meaning.get(match.group().lower(), match.group()), message)


def neutral_model(model: Any, folder: Path, where: str) -> tuple[Any, Labels]:
    """An abstract model of PySD's without any text of the file, and what its labels stand for.

    Parameters
    ----------
    model : AbstractModel
    folder : Path
        Where the Python text will be written.
    where : str
        The model's name, for errors.

    Raises
    ------
    ModelFileError
        For a name that stands for nothing, and for a part that is no equation.
    """
    return _Neutral(model, where).model(folder)


class _Neutral:
    """The neutral labels of one model, and its parts made anew with them."""

    def __init__(self, model: Any, where: str) -> None:
        self.where = where
        self.sections: Sequence[Any] = model.sections
        self.meaning: dict[str, str] = {}
        ranges = [sub.name for section in self.sections for sub in section.subscripts]
        members = [e for section in self.sections for sub in section.subscripts for e in _members(sub)]
        # PySD compares the names of ranges in small letters, those of elements as they are
        self.subscripts = self._numbered("r", ranges, lambda name: name.replace(" ", "_").lower())
        self.subscripts |= self._numbered("e", (e for e in members if canonical(e) not in self.subscripts), str)
        self.macros = self._numbered("m", (section.name for section in self.sections[1:]), str)
        names = [name for section in self.sections for name in (*(e.name for e in section.elements), *section.params)]
        self.names = {"time": "Time"} | self._numbered("v", names, lambda name: name.lower())
        self.names |= {name: name.upper().replace("_", " ") for name in CONTROL}
        self.functions: dict[str, str] = {}
        self.places: dict[str, str] = {}
        # names in each section: its own, and no other's
        self.local: Mapping[str, str] = {}

    def _numbered(self, kind: str, labels: Iterable[str], order: Callable[[str], str]) -> dict[str, str]:
        first: dict[str, str] = {}
        for label in labels:
            first.setdefault(canonical(label), label)
        neutral = {}
        for number, (name, label) in enumerate(sorted(first.items(), key=lambda item: order(item[1])), start=1):
            neutral[name] = f"{kind}{number:04d}"
            self.meaning[neutral[name]] = plain_label(label)
        return neutral

    def _token(self, kind: str, text: str, known: dict[str, str]) -> str:
        if text not in known:
            known[text] = f"{kind}{len(known) + 1:04d}"
            self.meaning[known[text]] = text
        return known[text]

    def _refuse(self, reason: str) -> ModelFileError:
        return ModelFileError(self.where, f"cannot be run by PySD: {reason}")

    def model(self, folder: Path) -> tuple[Any, Labels]:
        sections = tuple(self._section(section, folder) for section in self.sections)
        main = {canonical(element.name) for element in self.sections[0].elements} | {"time"}
        variables = {name: label for name, label in self.names.items() if name in main}
        elements = {label: name for name, label in self.subscripts.items()}
        labels = Labels(variables, elements, dict(self.meaning))
        return AbstractModel(original_path=folder / "model", sections=sections), labels

    def _section(self, section: Any, folder: Path) -> Any:
        macro = section.type == "macro"
        name = self.macros[canonical(section.name)] if macro else "__main__"
        present = {canonical(label) for label in (*(e.name for e in section.elements), *section.params)} | {"time"}
        self.local = {key: label for key, label in self.names.items() if key in present}
        if macro:
            # PySD takes the variable that is called like the macro for its result
            self.local = {**self.local, canonical(section.name): name}
        return AbstractSection(
            name=name,
            path=folder / (f"{name}.py" if macro else "model.py"),
            type="macro" if macro else "main",
            params=[self.local[canonical(parameter)] for parameter in section.params],
            returns=[],
            subscripts=tuple(self._range(sub) for sub in section.subscripts),
            elements=tuple(self._element(element) for element in section.elements),
            constraints=(),
            test_inputs=(),
            split=False,
            views_dict=None,
        )

    def _range(self, sub: Any) -> Any:
        members = sub.subscripts
        return AbstractSubscriptRange(
            name=self._subscript(sub.name),
            subscripts=self._subscript(members) if isinstance(members, str) else [*map(self._subscript, members)],
            # a mapping to a range that does not exist means nothing; PySD passes over it as well
            mapping=[self._subscript(target) for target in sub.mapping if canonical(target) in self.subscripts],
        )

    def _element(self, element: Any) -> Any:
        kind = _exactly(element, _ELEMENTS)
        if kind is None:
            raise self._refuse(f"{type(element).__name__} is no variable")
        return kind(
            name=self.local[canonical(element.name)],
            components=[self._component(component) for component in element.components],
        )

    def _component(self, component: Any) -> Any:
        kind = _exactly(component, _COMPONENTS)
        if kind is None:
            raise self._refuse(f"{type(component).__name__} is no equation")
        options = {}
        if kind is AbstractData:
            if component.keyword not in _KEYWORDS:
                raise self._refuse(f"{component.keyword!r} is no way to read data")
            options = {"keyword": component.keyword}
        subscripts, exceptions = component.subscripts
        return kind(
            subscripts=(
                [*map(self._subscript, subscripts)],
                [[*map(self._subscript, group)] for group in exceptions],
            ),
            ast=self._tree(component.ast),
            **options,
        )

    def _subscript(self, label: str) -> str:
        mark = "!" if label.endswith("!") else ""
        name = canonical(label.removesuffix("!"))
        if name not in self.subscripts:
            raise self._refuse(f"{label!r} is no subscript range and no element of one")
        return self.subscripts[name] + mark

    def _tree(self, node: Any) -> Any:
        """An expression made anew; anything that is not one of the known kinds is refused."""
        if isinstance(node, bool | int | float | np.number):
            return self._literal(node)
        if isinstance(node, np.ndarray) and node.dtype.kind in "iuf" and np.isfinite(node).all():
            return node
        kind = type(node)
        if kind is syntax.ReferenceStructure:
            return self._reference(node)
        if kind is syntax.CallStructure:
            arguments = tuple(self._tree(argument) for argument in node.arguments)
            return syntax.CallStructure(self._function(node.function), arguments)
        if kind in (syntax.ArithmeticStructure, syntax.LogicStructure):
            if not _OPERATORS.issuperset(node.operators):
                raise self._refuse(f"{node.operators!r} are no operators")
            return kind(list(node.operators), tuple(self._tree(argument) for argument in node.arguments))
        if kind is syntax.LookupsStructure:
            return self._table(node)
        if kind in _EXTERNAL:
            return kind(**{field.name: self._place(getattr(node, field.name)) for field in dataclasses.fields(kind)})
        if kind in _PLAIN:
            return kind(**{field.name: self._tree(getattr(node, field.name)) for field in dataclasses.fields(kind)})
        raise self._refuse(f"{node if isinstance(node, str) else kind.__name__!r} is no part of an equation")

    def _literal(self, value: Any) -> Any:
        plain = value.item() if isinstance(value, np.number) else value
        if isinstance(plain, float) and np.isinf(plain):
            # Python has no word for it; the product is the same bits
            return syntax.ArithmeticStructure(["*"], (np.copysign(1e308, plain).item(), 10))
        return plain

    def _reference(self, node: Any) -> Any:
        name = canonical(node.reference)
        label = self.local.get(name) or self.subscripts.get(name)
        if label is None:
            raise self._refuse(f"nothing is called {node.reference!r}")
        return syntax.ReferenceStructure(label.lower().replace(" ", "_"), self._indices(node.subscripts))

    def _indices(self, node: Any) -> Any:
        if node is None:
            return None
        return syntax.SubscriptsReferenceStructure([*map(self._subscript, node.subscripts)])

    def _function(self, node: Any) -> Any:
        name = canonical(node.reference)
        if name in self.macros:
            label = self.macros[name]
        elif name in self.local:
            label = self.local[name].lower().replace(" ", "_")
        elif node.reference in _FUNCTIONS:
            label = node.reference
        else:
            # PySD builds a call that stops when it is reached; the message gets the name back
            label = self._token("f", node.reference, self.functions)
        return syntax.ReferenceStructure(label, self._indices(node.subscripts))

    def _table(self, node: Any) -> Any:
        if node.type not in _TABLES:
            raise self._refuse(f"{node.type!r} is no kind of table")
        x, y = (tuple(self._number(value) for value in values) for values in (node.x, node.y))
        return syntax.LookupsStructure(x, y, (np.nan, np.nan), (np.nan, np.nan), node.type)

    def _number(self, value: Any) -> Any:
        if not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise self._refuse(f"{value!r} is no point of a table")
        return value

    def _place(self, text: Any) -> str:
        """A token for a file, tab, row, column or cell; the star that turns a row into a column stays visible."""
        if not isinstance(text, str):
            raise self._refuse("the file, tab and cell of external data are texts in single quotes")
        bare = text.rstrip("*")
        return self._token("x", bare, self.places) + ("*" if bare != text else "")


def _members(sub: Any) -> list[str]:
    """The elements that a range lists; those in a file have been read by now."""
    return [] if isinstance(sub.subscripts, str) else list(sub.subscripts)


def _exactly(value: Any, kinds: Sequence[Any]) -> Any:
    return next((kind for kind in kinds if type(value) is kind), None)
