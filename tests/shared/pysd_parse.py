"""Vensim and XMILE files through PySD's translators, for the engine that runs them; nothing is written beside them."""

import re
import warnings
from pathlib import Path
from typing import Any

from sanitise import sanitise
from sanitise_xmile import refused_parts, sanitise_xmile

from cipark_sd.base.errors import CiparkError, EquationError, ModelFileError, raise_all
from cipark_sd.language.read.climbing import room_for_parser, too_deep
from cipark_sd.language.read.model_file import model_bytes
from cipark_sd.language.read.vensim.entries import decoded
from cipark_sd.language.read.xmile.document import xml_tree
from cipark_sd.model.model import Format


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
        parsed = parsed_vensim(path, raw) if source_format == "vensim" else parsed_xmile(path, raw)
        return parsed.get_abstract_model()


def sanitised_file(path: Path, source_format: Format, raw: bytes | None = None) -> Any:
    """PySD's own reader on a file, with the text that its grammar takes, not parsed yet.

    ``raw`` is what the file holds where that is known.

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


def parsed_vensim(path: Path, raw: bytes) -> Any:
    """PySD's Vensim file with the syntax trees of its equations."""
    import parsimonious
    from pysd.translators.vensim.vensim_element import Component, SubscriptRange
    from pysd_literals import parse_component

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


def parsed_xmile(path: Path, raw: bytes) -> Any:
    """PySD's XMILE file with the syntax trees of its equations."""
    import parsimonious
    from pysd_literals import parse_element

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


def _left_side(equation: str) -> str:
    return re.split(r"[=(\[:~]", equation, maxsplit=1)[0].strip()


def _parse_reason(problem: Exception) -> str:
    """PySD's parser error in words: where it stopped, without the grammar."""
    import parsimonious

    if isinstance(problem, parsimonious.ParseError):
        tail = problem.text[problem.pos : problem.pos + 40].strip()
        before = problem.text[max(0, problem.pos - 30) : problem.pos].strip()
        return (
            f"it stops making sense after {before!r}, at {tail!r}" if tail else f"it ends too early, after {before!r}"
        )
    first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    if "positional argument" in first or (isinstance(problem, parsimonious.VisitationError) and "KeyError" in first):
        return "a function of it is given the wrong number of arguments"
    return first
