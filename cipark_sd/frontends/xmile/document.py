"""An XMILE document: parsed without entities and without the network, and looked at by local names."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cipark_sd.errors import ModelFileError, UnsupportedFeature
from cipark_sd.frontends.xml_tree import xml_tree


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

    def is_stock(self, node: Any, kind: str) -> bool:
        """Whether a node is a stock of that kind, a conveyor or a queue."""
        return self.name(node) == "stock" and self.has(node, kind)

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
