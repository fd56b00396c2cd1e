"""Model files as PySD reads them, in our terms: the judge of our own reader."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from pysd_assemble import assemble
from pysd_parse import parsed_vensim, parsed_xmile
from pysd_xmile import completed, declared_dimensions

from cipark_sd.base.errors import ModelFileError
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.model_file import VENSIM_SUFFIXES, model_bytes
from cipark_sd.language.read.vensim.entries import decoded
from cipark_sd.language.read.vensim.reader import vensim_method, vensim_synonyms
from cipark_sd.language.read.xmile.document import xml_tree
from cipark_sd.language.read.xmile.reader import xmile_groups, xmile_method, xmile_synonyms
from cipark_sd.model.model import Model


def read_with_pysd(path: Path | str, *, allow_files: Sequence[Path | str] = ()) -> Model:
    """The model in a file as PySD reads it: the judge of :func:`cipark_sd.language.read.model_file.read_model`.

    Raises
    ------
    ModelFileError, OutsideFolder, EquationError, UnknownName, Problems
    """
    path = Path(path)
    return _parse(path, model_bytes(path), tuple(Path(folder).resolve() for folder in allow_files))


def _parse(path: Path, raw: bytes, allowed: tuple[Path, ...] = ()) -> Model:
    with warnings.catch_warnings():
        # PySD warns of what it imports (chardet's renamed detector) and of features that our passes check themselves.
        warnings.simplefilter("ignore")
        read = _read_vensim if path.suffix.lower() in VENSIM_SUFFIXES else _read_xmile
        return read(path, raw, allowed)


def _read_vensim(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
    text = decoded(raw)
    main, *macros = parsed_vensim(path, raw).get_abstract_model().sections
    drawing_parts = text.split("\\\\\\---///", 1)
    return assemble(
        path,
        "vensim",
        main,
        macros,
        raw=raw,
        allowed=allowed,
        method=vensim_method(text),
        groups=vensim_groups(drawing_parts[0]),
        drawing="\\\\\\---///" + drawing_parts[1] if len(drawing_parts) == 2 else "",
        unit_synonyms=vensim_synonyms(text),
    )


def _read_xmile(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
    from lxml import etree

    root = xml_tree(raw, path)
    name = etree.QName(root)
    if name.localname != "xmile":
        raise ModelFileError(path, f"is XML but not XMILE: its root is <{name.localname}>")
    if not name.namespace:
        expected = 'xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"'
        raise ModelFileError(path, f"has no XMILE namespace; its root needs {expected}")
    space = {"x": name.namespace}
    if not root.xpath("x:sim_specs", namespaces=space):
        raise ModelFileError(path, "has no <sim_specs>, so the run's times are not known")
    file = parsed_xmile(path, raw)
    groups = xmile_groups(root, space)
    views = root.xpath("//x:views", namespaces=space)
    drawing = "".join(etree.tostring(view, encoding="unicode") for view in views)
    (main,) = file.get_abstract_model().sections
    return assemble(
        path,
        "xmile",
        main,
        [],
        raw=raw,
        allowed=allowed,
        method=xmile_method(root, space, path),
        groups=groups,
        drawing=drawing,
        declared=declared_dimensions(file.xmile_root),
        finish=lambda variables: completed(variables, root, space, path.name, groups),
        unit_synonyms=xmile_synonyms(root, space),
    )


def vensim_groups(equations: str) -> dict[str, str]:
    """Sector by canonical variable name, from the banners between the equations of a Vensim file."""
    groups: dict[str, str] = {}
    current = ""
    for entry in equations.split("|"):
        banner = re.search(r"\*{10,}\s*\.([^\n*]+?)\s*\*{10,}", entry)
        if banner:
            current = plain_label(banner.group(1))
            continue
        head = re.split(r"~", entry, maxsplit=1)[0]
        quoted = re.match(r'\s*("(?:\\"|[^"])*")', head)
        name = quoted.group(1) if quoted else re.split(r"[=(\[:]", head, maxsplit=1)[0]
        if name.strip():
            groups.setdefault(canonical(name), current)
    return groups
