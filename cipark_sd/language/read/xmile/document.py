"""An XMILE document: strict XML without entities of its own, other files or the network, looked at by local names."""

import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cipark_sd.base.errors import ModelFileError, UnsupportedFeature


class Document:
    """The root of a file and the namespace that its parts are in."""

    def __init__(self, path: Path, root: Any) -> None:
        self.path = path
        self.root = root
        #: Where each variable begins, by its name as it is written; entered when it is read.
        self.lines: dict[str, int] = {}
        self.space = root.tag.rpartition("}")[0].removeprefix("{") if "}" in root.tag else ""

    def children(self, node: Any, *names: str) -> Iterator[Any]:
        """The children of a node with these names; elements of a vendor's own namespace are none of them."""
        for child in node:
            if isinstance(child.tag, str) and self.name(child) in names:
                yield child

    def child(self, node: Any, name: str) -> Any | None:
        """The first child of that name."""
        return next(self.children(node, name), None)

    def has(self, node: Any, *names: str) -> bool:
        """Whether a node has a child with one of these names."""
        return next(self.children(node, *names), None) is not None

    def is_conveyor(self, node: Any) -> bool:
        """Whether a node is a stock of that kind."""
        return self.name(node) == "stock" and self.has(node, "conveyor")

    def refused(self, node: Any, label: str, feature: str, alternative: str) -> UnsupportedFeature:
        """What to say of a part of a variable that is not computed here."""
        where = f"{self.path.name}:{node.sourceline}"
        return UnsupportedFeature(feature, variable=label, where=where, alternative=alternative)

    def text(self, node: Any, name: str) -> str:
        """The text of the first child of that name, on one line; empty where there is none."""
        element = self.child(node, name)
        return "" if element is None else " ".join("".join(element.itertext()).replace("\\n", " ").split())

    @property
    def beyond(self) -> float:
        """What a file's arrays have at a place that they have not: zero where ``<uses_arrays>`` does not ask for NaN.

        Source: XMILE 1.0, section 2.2.1, ``invalid_index_value``.
        """
        space = f"{{{self.space}}}"
        option = self.root.find(f"{space}header/{space}options/{space}uses_arrays")
        value = "" if option is None else option.get("invalid_index_value", "")
        return math.nan if value.strip().lower() == "nan" else 0.0

    def variables(self, model: Any) -> Any:
        """What holds the variables of a model: ``<variables>``, or the model itself, as Stella 10 wrote it."""
        element = self.child(model, "variables")
        return model if element is None else element

    def name(self, node: Any) -> str:
        """The local name of an element of XMILE; empty for one of another namespace."""
        space, _, local = node.tag.rpartition("}")
        return local if space.removeprefix("{") == self.space else ""


def parse(path: Path, raw: bytes) -> Document:
    """The document in a file.

    Parameters
    ----------
    raw : bytes
        What the file holds.

    Raises
    ------
    ModelFileError
        Where it is not XML, declares a document type, or is not XMILE.
    """
    root = xml_tree(raw, path)
    for element in root.iter():
        # an equation has such a name in quotes, which stay part of it
        if "[" in (name := element.get("name", "")) and not name.lstrip().startswith('"'):
            element.set("name", f'"{name}"')
    space, _, local = root.tag.rpartition("}")
    if local != "xmile":
        raise ModelFileError(path, f"is XML but not XMILE: its root is <{local}>")
    if not space:
        expected = 'xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"'
        raise ModelFileError(path, f"has no XMILE namespace; its root needs {expected}")
    return Document(path, root)


#: Faults that vendors' own files have and that lose nothing: a prefix that is not declared, dashes in a comment.
_HARMLESS = frozenset({"NS_ERR_UNDEFINED_NAMESPACE", "ERR_HYPHEN_IN_COMMENT"})

#: A start or end tag of what lies side by side in ``<variables>`` and never inside another of them.
_VARIABLE = re.compile(rb"<(/?)(stock|flow|aux|module|variables)\b[^<>]*?(/?)>")
#: What draws the model; Stella saves names of fonts in it that are no text.
_VIEWS = re.compile(rb"<views\b.*?</views>", re.DOTALL)


def xml_tree(raw: bytes, path: Path) -> Any:
    """The root element (of ``lxml.etree``) of an XML file without comments and processing instructions.

    Raises
    ------
    ModelFileError
        When it is not XML (but for a variable whose end is missing before the next one, which is a warning), is nested
        or sized beyond libxml2's own bounds, or has a document type declaration: XMILE
        has none, and entities that expand without end or name other files stand there.
    """
    root, faults = _parsed(raw, path)
    if faults and faults[0].type_name == "ERR_INVALID_ENCODING" and _is_utf8(_VIEWS.sub(b"", raw)):
        root, faults = _parsed(raw.decode("utf-8", "replace").encode(), path)
    if root is not None and faults and all(f.type_name == "ERR_TAG_NAME_MISMATCH" for f in faults):
        mended, notes = _closed(raw)
        whole, remaining = _parsed(mended, path) if notes else (None, faults)
        if whole is not None and not remaining:
            for note in notes:
                warnings.warn(f"{path.name}: {note}", stacklevel=2)
            return whole
    if root is None or faults:
        reason = f"{faults[0].message}, line {faults[0].line}, column {faults[0].column}" if faults else "it is empty"
        raise ModelFileError(path, f"is not XML: {reason}")
    return root


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parsed(raw: bytes, path: Path) -> tuple[Any, list[Any]]:
    """The root element and the faults that lose something."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        # all faults are looked at below; without this, the harmless ones would end the reading
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise ModelFileError(path, f"is not XML: {problem.msg if hasattr(problem, 'msg') else problem}") from None
    if root is not None and root.getroottree().docinfo.doctype:
        raise ModelFileError(path, "has a document type declaration (<!DOCTYPE>), which XMILE does not know")
    faults = [f for f in parser.error_log if f.level > etree.ErrorLevels.WARNING and f.type_name not in _HARMLESS]
    return root, faults


def _closed(raw: bytes) -> tuple[bytes, list[str]]:
    """The text with the ends of variables that are missing before the next variable, and a sentence about each.

    Since no variable stands inside another, only one end fits there.
    """
    parts: list[bytes] = []
    notes: list[str] = []
    start, open_, at = 0, b"", 0
    for match in _VARIABLE.finditer(raw):
        ends, name, empty = match.groups()
        if open_ and name != open_ if ends else open_ and name != b"variables":
            parts += [raw[start : match.start()], b"</" + open_ + b">"]
            start = match.start()
            begin, end = (1 + raw.count(b"\n", 0, place) for place in (at, match.start()))
            tag = open_.decode()
            notes.append(f"<{tag}> in line {begin} is never closed; it is taken to end before line {end}")
            open_ = b""
        if name != b"variables" and not empty:
            open_, at = (b"" if ends else name), match.start()
    return b"".join([*parts, raw[start:]]), notes
