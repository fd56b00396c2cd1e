"""Vensim and XMILE files through PySD's translators.

PySD parses; this module turns its abstract model into ours. Nothing else knows PySD's structures, and nothing is
written beside the model file.
"""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, EquationError, ModelFileError, raise_all
from cipark_sd.frontends.assemble import assemble
from cipark_sd.frontends.file_state import VENSIM_SUFFIXES, model_bytes
from cipark_sd.frontends.nesting import room_for_parser, too_deep
from cipark_sd.frontends.sanitise import decoded, sanitise
from cipark_sd.frontends.sanitise_xmile import refused_parts, sanitise_xmile
from cipark_sd.frontends.vensim_details import vensim_groups, vensim_method, vensim_synonyms
from cipark_sd.frontends.xmile_details import (
    completed,
    declared_dimensions,
    xmile_groups,
    xmile_method,
    xmile_synonyms,
)
from cipark_sd.frontends.xml_tree import xml_tree
from cipark_sd.model.model import Format, Model


def read_with_pysd(path: Path | str, *, allow_files: Sequence[Path | str] = ()) -> Model:
    """The model in a file as PySD reads it: the judge of :func:`cipark_sd.frontends.model_file.read_model`.

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


def abstract_model(path: Path, source_format: Format) -> Any:
    """PySD's abstract model of a file, parsed as it is for :func:`read_model`.

    Raises
    ------
    ModelFileError, EquationError, UnsupportedFeature, Problems
    """
    with warnings.catch_warnings():
        # what PySD warns of while it parses was checked when the file was read
        warnings.simplefilter("ignore")
        raw = model_bytes(path)
        parsed = _parsed_vensim(path, raw) if source_format == "vensim" else _parsed_xmile(path, raw)
        return parsed.get_abstract_model()


def sanitised_file(path: Path, source_format: Format, raw: bytes | None = None) -> Any:
    """PySD's own reader on a file, with the text that its grammar takes, not parsed yet.

    What this module and the reference engine read is the same text. ``raw`` is what the file holds where that is known.

    Raises
    ------
    ModelFileError
        When the file cannot be read or is not XML.
    UnsupportedFeature, Problems
        For what its grammar has no place for.
    """
    raw = model_bytes(path) if raw is None else raw
    from pysd.translators.vensim.vensim_file import VensimFile
    from pysd.translators.xmile.xmile_file import XmileFile

    if source_format == "vensim":
        # the encoding is settled here, so PySD need not guess it
        vensim = VensimFile(path, encoding="utf-8")
        vensim.model_text = sanitise(decoded(raw), where=path.name)
        vensim._split_sketch()
        return vensim
    xmile = _with_tree(XmileFile, path, raw)
    raise_all(str(path), [*refused_parts(xmile.xmile_root, path.name)])
    sanitise_xmile(xmile.xmile_root)
    return xmile


def _with_tree(kind: type[Any], path: Path, raw: bytes) -> Any:
    """PySD's XMILE file on a tree that was read strictly; its own reading of the file takes in what that refuses."""
    file: Any = object.__new__(kind)
    file.xmile_path, file.root_path = path, path.parent
    file.xmile_root = xml_tree(raw, path)
    # every element bears the namespace of the root, under a prefix or none
    file.ns = file.xmile_root.tag.rpartition("}")[0].removeprefix("{")
    file.view_elements = None
    return file


def _parsed_vensim(path: Path, raw: bytes) -> Any:
    """PySD's Vensim file with the syntax trees of its equations."""
    import parsimonious
    from pysd.translators.vensim.vensim_element import Component, SubscriptRange

    from cipark_sd.frontends.literals import parse_component

    file = sanitised_file(path, "vensim", raw)
    problems: list[CiparkError] = []
    try:
        file.parse(parse_all=False)
        for section in file.sections:
            section.parse(parse_all=False)
    except parsimonious.ParseError as problem:
        raise ModelFileError(path, f"is not a Vensim model: {_parse_reason(problem)}") from None
    except AttributeError:
        if file.sections[0] is not None:
            raise
        raise ModelFileError(path, "has no equations outside its macros") from None
    for section in file.sections:
        parsed = []
        for element in section.elements:
            try:
                with room_for_parser():
                    component = element.parse()
                    if isinstance(component, Component):
                        parse_component(component)
                parsed.append(component)
            except RecursionError:
                problems.append(EquationError(path.name, _left_side(element.equation), too_deep(element.equation)))
            except (
                parsimonious.ParseError,
                parsimonious.VisitationError,
                ValueError,
                TypeError,
                LookupError,
            ) as problem:
                name = _left_side(element.equation)
                problems.append(EquationError(path.name, name, f"cannot be read: {_parse_reason(problem)}"))
        section.subscripts = [item for item in parsed if isinstance(item, SubscriptRange)]
        section.components = [item for item in parsed if isinstance(item, Component)]
        # reality checks in Vensim's own language are not part of the equations
        section.constraints, section.test_inputs = [], []
    raise_all(str(path), problems)
    return file


def _read_vensim(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
    text = decoded(raw)
    main, *macros = _parsed_vensim(path, raw).get_abstract_model().sections
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


def _parsed_xmile(path: Path, raw: bytes) -> Any:
    """PySD's XMILE file with the syntax trees of its equations."""
    import parsimonious

    from cipark_sd.frontends.literals import parse_element

    file = sanitised_file(path, "xmile", raw)
    problems: list[CiparkError] = []
    file.parse(parse_all=False)
    (section,) = file.sections
    section.parse(parse_all=False)
    for component in section.components:
        try:
            with room_for_parser():
                parse_element(component, section.behaviors)
        except RecursionError:
            text = " ".join(component.node.itertext())
            problems.append(EquationError(path.name, component.name, too_deep(text)))
        except (
            parsimonious.ParseError,
            parsimonious.VisitationError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
        ) as problem:
            problems.append(EquationError(path.name, component.name, f"cannot be read: {_parse_reason(problem)}"))
    raise_all(str(path), problems)
    return file


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
    file = _parsed_xmile(path, raw)
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


def _left_side(equation: str) -> str:
    return re.split(r"[=(\[:~]", equation, maxsplit=1)[0].strip()


def _parse_reason(problem: Exception) -> str:
    """PySD's parser error in words: where it stopped, without the grammar."""
    import parsimonious

    if isinstance(problem, parsimonious.ParseError):
        rest = problem.text[problem.pos : problem.pos + 40].strip()
        before = problem.text[max(0, problem.pos - 30) : problem.pos].strip()
        return (
            f"it stops making sense after {before!r}, at {rest!r}" if rest else f"it ends too early, after {before!r}"
        )
    first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    if "positional argument" in first or (isinstance(problem, parsimonious.VisitationError) and "KeyError" in first):
        return "a function of it is given the wrong number of arguments"
    return first
