"""XML as a tree, read strictly: no entities of the file's own, no other file, no network."""

from pathlib import Path
from typing import Any

from cipark_sd.errors import ModelFileError


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
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise ModelFileError(path, f"is not XML: {problem.msg if hasattr(problem, 'msg') else problem}") from None
    if root.getroottree().docinfo.doctype:
        raise ModelFileError(path, "has a document type declaration (<!DOCTYPE>), which XMILE does not know")
    return root
