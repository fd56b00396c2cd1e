"""XML as a tree, read strictly: no entities of the file's own, no other file, no network."""

from pathlib import Path
from typing import Any

from cipark_sd.errors import ModelFileError

#: Faults that vendors' own files have and that lose nothing: a prefix that is not declared, dashes in a comment.
_HARMLESS = frozenset({"NS_ERR_UNDEFINED_NAMESPACE", "ERR_HYPHEN_IN_COMMENT"})


def xml_tree(raw: bytes, path: Path) -> Any:
    """The root element (of ``lxml.etree``) of an XML file without comments and processing instructions.

    Raises
    ------
    ModelFileError
        When it is not XML, is nested or sized beyond libxml2's own bounds, or has a document type declaration: XMILE
        has none, and entities that expand without end or name other files stand there.
    """
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
    if root is None or faults:
        said = f"{faults[0].message}, line {faults[0].line}, column {faults[0].column}" if faults else "it is empty"
        raise ModelFileError(path, f"is not XML: {said}")
    return root
