"""An XMILE document: parsed without entities and without the network, and looked at by local names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cipark_sd.errors import ModelFileError

#: Faults that vendors' own files have and that lose nothing: a prefix that is not declared, dashes in a comment.
_HARMLESS = frozenset({"NS_ERR_UNDEFINED_NAMESPACE", "ERR_HYPHEN_IN_COMMENT"})


class Document:
    """The root of a file and the namespace that its parts are in."""

    def __init__(self, path: Path, root: Any) -> None:
        self.path = path
        self.root = root
        self.space = root.tag.rpartition("}")[0].removeprefix("{") if "}" in root.tag else ""

    def children(self, node: Any, *names: str) -> Iterator[Any]:
        """The children of a node with these names; elements of a vendor's own namespace are none of them."""
        for child in node:
            if isinstance(child.tag, str) and self.name(child) in names:
                yield child

    def child(self, node: Any, name: str) -> Any | None:
        """The first child of that name."""
        return next(self.children(node, name), None)

    def text(self, node: Any, name: str) -> str:
        """The text of the first child of that name, on one line; empty where there is none."""
        found = self.child(node, name)
        return "" if found is None else " ".join("".join(found.itertext()).replace("\\n", " ").split())

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
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True, remove_pis=True
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise ModelFileError(path, f"is not XML: {problem}") from None
    faults = [f for f in parser.error_log if f.level > etree.ErrorLevels.WARNING and f.type_name not in _HARMLESS]
    if root is None or faults:
        said = f"line {faults[0].line}: {faults[0].message}" if faults else "it is empty"
        raise ModelFileError(path, f"is not XML: {said}")
    if root.getroottree().docinfo.doctype:
        raise ModelFileError(path, "declares a document type, which a model file has no use for; remove <!DOCTYPE …>")
    local = etree.QName(root).localname
    if local != "xmile":
        raise ModelFileError(path, f"is XML but not XMILE: its root is <{local}>")
    return Document(path, root)
