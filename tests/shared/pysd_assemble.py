"""From PySD's abstract model to ours, with a check of every name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pysd_elements import section_variables

from cipark_sd.base.errors import CiparkError, ModelFileError
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.checked import checked_model, unchecked_time
from cipark_sd.language.read.external_files import check_located
from cipark_sd.model.model import Dimension, Format, Macro, Method, Model, Origin
from cipark_sd.model.variables import Variable


def assemble(
    path: Path,
    source_format: Format,
    main: Any,
    macro_sections: Sequence[Any],
    *,
    raw: bytes,
    allowed: tuple[Path, ...],
    method: Method,
    groups: Mapping[str, str],
    drawing: str,
    unit_synonyms: tuple[tuple[str, ...], ...],
    declared: Mapping[str, tuple[str, ...]] | None = None,
    finish: Callable[[tuple[Variable, ...]], tuple[Variable, ...]] = lambda variables: variables,
) -> Model:
    """The model of PySD's sections, checked; the rest is what PySD does not read.

    ``allowed`` are folders in which its files may lie, beside its own; ``declared`` holds the dimensions that an XMILE
    file declares, by variable, and is None for a Vensim file; ``finish`` is applied to the variables of the main
    section.

    Raises
    ------
    OutsideFolder, EquationError, UnknownName, ModelFileError, UnsupportedFeature, Problems
    """
    problems: list[CiparkError] = []
    range_files = tuple(sorted({sub.subscripts["file"] for sub in main.subscripts if isinstance(sub.subscripts, dict)}))
    # PySD opens them by itself
    check_located(path, range_files, allowed)
    dimensions = _dimensions(path, main, problems)
    variables = finish(section_variables(path.name, main, dimensions, groups, problems, declared))
    macros = tuple(
        Macro(
            name=canonical(section.name),
            parameters=tuple(canonical(parameter) for parameter in section.params),
            results=_macro_results(section),
            variables=section_variables(f"{path.name}, macro {section.name}", section, dimensions, {}, problems, None),
        )
        for section in macro_sections
    )
    draft = Model(
        name=path.stem,
        variables=variables,
        time=unchecked_time(method),
        dimensions=dimensions,
        macros=macros,
        drawing=drawing,
        unit_synonyms=unit_synonyms,
        range_files=range_files,
        origin=Origin(path.resolve(), source_format, allowed),
    )
    return checked_model(path, draft, raw, problems)


def _macro_results(section: Any) -> tuple[str, ...]:
    named = canonical(section.name)
    returns = [canonical(result) for result in section.returns]
    return (named, *(result for result in returns if result != named))


def _dimensions(path: Path, section: Any, problems: list[CiparkError]) -> tuple[Dimension, ...]:
    from pysd.builders.python.subscripts import SubscriptManager

    try:
        manager = SubscriptManager(section.subscripts, path.parent)
    except (ValueError, KeyError, OSError) as problem:
        problems.append(ModelFileError(path, f"has a subscript range that cannot be read: {problem}"))
        return ()
    return tuple(
        Dimension(
            name=canonical(label),
            label=plain_label(label),
            elements=tuple(canonical(element) for element in elements),
            element_labels=tuple(plain_label(element) for element in elements),
            mappings=tuple(canonical(target) for target in manager.mapping.get(label, [])),
        )
        for label, elements in manager.subscripts.items()
    )
