"""What an entry defines: a subscript range, a table, a data variable or an equation; its left side, read.

The right side of an equation stays tokens: which names are tables is known only when all left sides are read. Ranges
become dimensions together, since they may be made of others, of elements in a file, and be mapped.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from cipark_sd.base.errors import CiparkError, EquationError, UnknownName, UnsupportedFeature
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.climbing import Cursor, Names, SyntaxProblem
from cipark_sd.language.read.dimensions import MOST_ELEMENTS, MOST_IN_ALL
from cipark_sd.language.read.external_files import in_any_case
from cipark_sd.language.read.vensim.entries import is_name
from cipark_sd.model.model import Dimension

_KEYWORDS = {
    ":RAW:": "raw",
    ":INTERPOLATE:": "interpolate",
    ":HOLD BACKWARD:": "hold_backward",
    ":LOOK FORWARD:": "look_forward",
}
_NUMBERED = re.compile(r"(.*?)(\d+)$")
#: More than any numbering has, and few enough to read.
_MOST_DIGITS = 18


#: ``-> target`` or ``-> (target: member, …)``, labels as they stand.
ToRange = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Range:
    """A definition of a range as it stands in the file: ``Region: north, south -> Target`` or ``Second <-> First``.

    ``members`` are labels of elements or of other ranges; ``copied`` names the range that this one repeats;
    ``external`` holds file, tab, first cell, last cell and prefix of a range that stands in a spreadsheet.
    """

    label: str
    members: tuple[str, ...] = ()
    copied: str = ""
    external: tuple[str, ...] = ()
    mappings: tuple[ToRange, ...] = ()
    where: str = ""

    def wrong(self, reason: str) -> EquationError:
        """What to say of it."""
        return EquationError(self.where, plain_label(self.label), reason)


@dataclass(frozen=True, slots=True)
class EquationHead:
    """The left side of an equation, and where its right side begins among the tokens.

    ``kind`` is the mark between the sides: ``=`` (also for ``==``), ``:=`` for data, ``(`` for a table, which has no
    mark, and an empty text for a data variable without a right side.
    """

    label: str
    name: str
    kind: str
    start: int
    subscripts: tuple[str, ...] = ()
    exceptions: tuple[tuple[str, ...], ...] = ()
    keyword: str = ""

    @property
    def at(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The elements that it is for."""
        return self.subscripts, self.exceptions


def head(tokens: list[str], names: Names) -> Range | EquationHead | tuple[str, str] | None:
    """The left side of an entry; None for a reality check, which is no equation of the model.

    ``name :IS: 'text'`` is name and text: a variable that stands for a text in the functions that read files.

    Parameters
    ----------
    tokens : list of str
        Of the whole entry.

    Returns
    -------
    Range, EquationHead, (str, str) or None

    Raises
    ------
    SyntaxProblem
    """
    cursor = Cursor(tokens)
    if not is_name(cursor.token):
        raise cursor.unexpected("the name of a variable or a range")
    label = cursor.token
    cursor.at += 1
    if cursor.token == ":":
        cursor.at += 1
        return _range(plain_label(label), cursor)
    if cursor.accept("<->"):
        copied = _name(cursor, "the range that is repeated")
        cursor.end("the end of the entry")
        return Range(plain_label(label), copied=copied)
    subscripts: tuple[str, ...] = ()
    exceptions: list[tuple[str, ...]] = []
    if cursor.token == "[":
        subscripts = _bracket(cursor, names)
        if cursor.accept(":EXCEPT:"):
            exceptions = cursor.listed(lambda at: _bracket(at, names))
    named = (plain_label(label), names[label])
    right = (subscripts, tuple(exceptions))
    if cursor.token in (":THE CONDITION:", ":TEST INPUT:"):
        return None
    keyword = _KEYWORDS.get(cursor.token, "")
    if cursor.accept(":IS:"):
        text = cursor.token
        if text[:1] != "'" or subscripts:
            raise cursor.unexpected("a text in single quotes, of a variable without subscripts")
        cursor.at += 1
        cursor.end("the end of the entry")
        return names[label], text[1:-1]
    if keyword:
        cursor.at += 1
    if not cursor.token:
        return EquationHead(*named, "", cursor.at, *right, keyword)
    if keyword and cursor.token != ":=":
        raise cursor.unexpected("':=' or the end of the entry")
    if cursor.token in ("=", "==", ":="):
        kind = ":=" if cursor.token == ":=" else "="
        return EquationHead(*named, kind, cursor.at + 1, *right, keyword)
    if cursor.token == "(":
        return EquationHead(*named, "(", cursor.at, *right)
    raise cursor.unexpected("'=', ':=', ':', '<->', '[' or a table in brackets")


def _name(cursor: Cursor, expected: str) -> str:
    token = cursor.token
    if not is_name(token):
        raise cursor.unexpected(expected)
    cursor.at += 1
    return plain_label(token)


def _bracket(cursor: Cursor, names: Names) -> tuple[str, ...]:
    cursor.take("[")
    labels = cursor.listed(lambda at: _name(at, "a subscript range or an element"))
    cursor.take("]", in_words="',' or ']'")
    return tuple(names[label] for label in labels)


def _range(label: str, cursor: Cursor) -> Range:
    members: list[list[str]] = []
    external: tuple[str, ...] = ()
    if is_name(cursor.token) and cursor.tokens[cursor.at + 1 : cursor.at + 2] == ["("]:
        external = _external(cursor)
    else:
        members = cursor.listed(_members)
    mappings = cursor.listed(_mapping) if cursor.accept("->") else []
    cursor.end("the end of the entry")
    return Range(label, tuple(chain(*members)), external=external, mappings=tuple(mappings))


def _external(cursor: Cursor) -> tuple[str, ...]:
    function = re.sub(r"[\s_]+", " ", cursor.token).upper()
    if function not in ("GET XLS SUBSCRIPT", "GET DIRECT SUBSCRIPT"):
        raise cursor.unexpected("elements, or GET XLS SUBSCRIPT or GET DIRECT SUBSCRIPT")
    opened = cursor.at
    cursor.at += 2
    texts: list[str] = []
    while cursor.token[:1] == "'" and len(cursor.token) > 1:
        texts.append(cursor.token[1:-1])
        cursor.at += 1
        cursor.accept(",")
    cursor.take(")", in_words="a text in single quotes or ')'")
    if len(texts) != 5:
        reason = f"{function} takes file, tab, first cell, last cell and prefix, here are {len(texts)} texts"
        raise SyntaxProblem(opened, reason)
    return tuple(texts)


def _members(cursor: Cursor) -> list[str]:
    """One element or range, or the elements of ``(a1-a5)``."""
    if not cursor.accept("("):
        return [_name(cursor, "an element or a range")]
    at = cursor.at
    first = _NUMBERED.match(_name(cursor, "the first element"))
    cursor.take("-")
    last = _NUMBERED.match(_name(cursor, "the last element"))
    cursor.take(")")
    if first is None or last is None or first.group(1) != last.group(1):
        raise SyntaxProblem(at, "a range of elements needs two names that differ in the number at their end")
    if max(len(first.group(2)), len(last.group(2))) > _MOST_DIGITS:
        raise SyntaxProblem(at, f"the number of an element has more than {_MOST_DIGITS} digits")
    low, high = int(first.group(2)), int(last.group(2))
    if low >= high:
        raise SyntaxProblem(at, "the first number of a range of elements has to be the smaller one")
    if high - low >= MOST_ELEMENTS:
        raise SyntaxProblem(at, f"the range has {high - low + 1} elements, more than {MOST_ELEMENTS}")
    return [f"{first.group(1)}{number}" for number in range(low, high + 1)]


def _mapping(cursor: Cursor) -> ToRange:
    if not cursor.accept("("):
        return _name(cursor, "the range that is mapped to"), ()
    target = _name(cursor, "the range that is mapped to")
    cursor.take(":")
    members = cursor.listed(lambda at: _name(at, "an element of the range that is mapped to"))
    cursor.take(")")
    return target, tuple(members)


_WITHIN_ITSELF = "contains itself; every name means one thing"


class _Ranges:
    """Ranges on their way to dimensions: labels by canonical name as first spelled, elements by range."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.defined: dict[str, Range] = {}
        self.labels: dict[str, str] = {}
        self.elements: dict[str, tuple[str, ...]] = {}

    def spell(self, label: str) -> str:
        """The canonical name; the spelling is kept if it is the first."""
        name = canonical(label)
        self.labels.setdefault(name, plain_label(label))
        return name

    def flat(self, name: str, inside: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The elements of a range, those of ranges inside it in their place."""
        if name in self.elements:
            return self.elements[name]
        definition = self.defined[name]
        if name in inside:
            raise definition.wrong(_WITHIN_ITSELF)
        if definition.external:
            members = self._from_file(definition)
        elif definition.copied:
            target = canonical(definition.copied)
            if target not in self.defined:
                known = [other_range.label for other_range in self.defined.values()]
                raise UnknownName(plain_label(definition.copied), known, kind="subscript range", where=definition.where)
            members = self.flat(target, (*inside, name))
        else:
            listed: list[str] = []
            for member in definition.members:
                spelled = canonical(member)
                if spelled == name:
                    raise definition.wrong(_WITHIN_ITSELF)
                listed += self.flat(spelled, (*inside, name)) if spelled in self.defined else (spelled,)
                if len(listed) > MOST_ELEMENTS:
                    raise definition.wrong(
                        f"has more than {MOST_ELEMENTS:,} elements, those of ranges inside it counted"
                    )
            members = tuple(listed)
        self.elements[name] = members
        return members

    def _from_file(self, definition: Range) -> tuple[str, ...]:
        from pysd.py_backend.external import ExtSubscript

        try:
            with warnings.catch_warnings():
                # of the libraries that open spreadsheets, about their own versions
                warnings.simplefilter("ignore")
                file, *place = definition.external
                labels = ExtSubscript(in_any_case(self.path.parent, file), *place, root=self.path.parent).subscript
        except Exception as problem:  # PySD and openpyxl raise whatever comes up in a damaged or missing file
            source, tab, first, last, _ = definition.external
            if source.startswith("?"):
                origin = f"the file behind the tag {source!r}, which Vensim keeps in its settings"
                way = "write the file's name in its place"
            else:
                there = "is not there" if isinstance(problem, FileNotFoundError) else "has no names there"
                origin = f"{source!r}, tab {tab!r}, cells {first} to {last}, which {there}"
                way = "mend the file or the place, or list the elements"
            raise definition.wrong(f"takes its elements from {origin}; {way}") from None
        if not labels:
            raise definition.wrong(f"takes its elements from {definition.external[0]!r}, where there are none")
        return tuple(self.spell(str(label)) for label in labels)


def dimensions(path: Path, defined: Sequence[Range], problems: list[CiparkError]) -> tuple[Dimension, ...]:
    """The dimensions of a model; what is wrong with a range is added to the problems.

    Parameters
    ----------
    path : Path
        Of the model, beside which files with elements lie.
    defined : sequence of Range
        In the order of the file.
    problems : list of CiparkError
        Grows by what is wrong.
    """
    ranges = _Ranges(path)
    for definition in defined:
        name = ranges.spell(definition.label)
        for label in (*definition.members, *([definition.copied] if definition.copied else [])):
            ranges.spell(label)
        if name in ranges.defined:
            problems.append(definition.wrong("is defined twice"))
        ranges.defined[name] = definition
    made: list[Dimension] = []
    total = 0
    for name, definition in ranges.defined.items():
        try:
            elements = ranges.flat(name)
            if (total := total + len(elements)) > MOST_IN_ALL:
                problems.append(
                    definition.wrong(f"is the one after which all ranges have more than {MOST_IN_ALL:,} elements")
                )
                break
            targets = [canonical(target) for target, _ in definition.mappings]
            grouped = [(canonical(m[0]), _grouped(definition, m, ranges)) for m in definition.mappings]
            listed: tuple[str, ...] = ()
            if len(set(elements)) < len(elements) and grouped and all(standing == elements for _, standing in grouped):
                listed, elements = elements, tuple(dict.fromkeys(elements))
        except CiparkError as problem:
            # that of a range inside it is the same for each range around it
            if str(problem) not in map(str, problems):
                problems.append(problem)
            continue
        if definition.copied:
            targets.append(canonical(definition.copied))
        made.append(
            Dimension(
                name,
                ranges.labels[name],
                elements,
                tuple(ranges.labels[e] for e in elements),
                mappings=tuple(targets),
                groups=tuple((target, standing) for target, standing in grouped if standing),
                listed=listed,
            )
        )
    return tuple(made)


def _grouped(definition: Range, mapping: ToRange, ranges: _Ranges) -> tuple[str, ...]:
    """For each element of a range that is mapped to, the element that stands for it; nothing where all are in order.

    What is listed behind ``->`` belongs to what is listed before it, one by one: an element, or a range of them, which
    one element stands for together or as many elements one by one.

    Source: Vensim's reference manual, "Mapping of Subscript Ranges".
    """
    label, listed_members = mapping
    target, members = canonical(label), tuple(map(canonical, listed_members))
    if not members:
        # an element with several places stands for as many of a range that it is mapped to
        elements = ranges.flat(canonical(definition.label))
        as_many = target in ranges.defined and len(ranges.flat(target)) == len(elements)
        return elements if as_many and len(set(elements)) < len(elements) else ()

    def refused(reason: str) -> UnsupportedFeature:
        return UnsupportedFeature(
            f"a mapping to {plain_label(label)} {reason}",
            variable=plain_label(definition.label),
            where=definition.where,
            alternative="list an element or a subrange of it for each element, or write one equation for each element",
        )

    if target not in ranges.defined:
        raise refused("that is no range")
    elements = ranges.flat(target)
    if members == elements and len(elements) == len(ranges.flat(canonical(definition.label))):
        return ()
    listed = tuple(map(canonical, definition.members)) or ranges.flat(canonical(definition.label))
    if len(listed) != len(members):
        listed = ranges.flat(canonical(definition.label))
    if len(listed) != len(members):
        raise refused(f"with {len(members)} groups for {len(listed)} elements")
    standing: dict[str, str] = {}
    for source, member in zip(listed, members, strict=True):
        ours, theirs = (ranges.flat(name) if name in ranges.defined else (name,) for name in (source, member))
        if len(ours) not in (1, len(theirs)):
            raise refused(f"in which {len(ours)} elements are mapped to {len(theirs)}")
        for place, element in enumerate(theirs):
            if element not in elements:
                raise refused(f"which has no element {ranges.labels.get(element, element)}")
            if element in standing:
                raise refused(f"in which {ranges.labels.get(element, element)} appears twice")
            standing[element] = ours[min(place, len(ours) - 1)]
    return tuple(standing.get(element, "") for element in elements)
