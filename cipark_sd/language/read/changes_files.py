"""Vensim's changes files (``.cin``) and optima (``.out``): constants and lookups of a run, as a scenario.

An entry is an equation without units and comment, on a line of its own, or on several where brackets or a comma at the
end go on. The lines of an optimization control are understood too: options and remarks set nothing, and a constant
between two bounds has the value between them. Source: Vensim's reference manual, "Constant Input Files".
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.data.scenarios import Override, Scenario, read_scenario
from cipark_sd.language.read.climbing import Cursor, Names, SyntaxProblem
from cipark_sd.language.read.vensim.definitions import EquationHead, head
from cipark_sd.language.read.vensim.entries import tokens
from cipark_sd.language.read.vensim.expressions import number, table
from cipark_sd.language.read.vensim.search_controls import control_text, is_range, search_range, without_remarks
from cipark_sd.model.model import Model

#: Endings of files that are read as changes.
SUFFIXES = (".cin", ".out")
ScenarioLike = Scenario | Mapping[str, Override] | Path | str


def as_scenario(scenario: ScenarioLike, model: Model) -> Scenario:
    """A scenario as it is; the values of a mapping; what is in the file at a path, TOML or a changes file.

    Parameters
    ----------
    scenario : Scenario, mapping, or path
        A path that ends in ``.cin`` or ``.out`` is a changes file, any other a scenario in TOML.
    model : Model
        Whose ranges a changes file may name.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    match scenario:
        case Scenario():
            return scenario
        case Mapping():
            return Scenario("", scenario)
        case Path() | str():
            path = Path(scenario)
            return read_changes(path, model) if path.suffix.lower() in SUFFIXES else read_scenario(path)
        case _:
            expected = "a Scenario, a mapping of names to values, or the path of a scenario file"
            raise InvalidValue("the scenario", scenario, expected, where=model.name)


def read_changes(path: Path, model: Model) -> Scenario:
    """The scenario of a changes file; of several entries for one name the last counts.

    Parameters
    ----------
    path : Path
        The ``.cin`` or ``.out`` file.
    model : Model
        Whose names and ranges the entries have to have.

    Returns
    -------
    Scenario
        Named after the file.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a file that cannot be read, an entry that is no change of a constant or a lookup, a range that the model
        does not have.
    """
    names = Names()
    overrides: dict[str, Override] = {}
    problems: list[CiparkError] = []
    for line, entry in _entries(without_remarks(control_text(path, "changes file"))):
        try:
            overrides |= _changes(entry, model, names, f"{path.name}:{line}")
        except CiparkError as problem:
            problems.append(problem)
    raise_all(str(path), problems)
    return Scenario(path.stem, overrides)


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each entry with the line on which it begins; options and remarks behind a keyword are none."""
    begun, parts = 0, list[str]()
    for line, content in enumerate(lines, start=1):
        if not parts and (not content.strip() or content.lstrip().startswith(":")):
            continue
        begun = begun if parts else line
        parts.append(content.rstrip().removesuffix("\\"))
        whole = "\n".join(parts)
        if whole.count("(") > whole.count(")") or content.rstrip().endswith((",", "\\", "=")):
            continue
        yield begun, whole
        parts = []
    if parts:
        yield begun, "\n".join(parts)


def _changes(entry: str, model: Model, names: Names, where: str) -> dict[str, Override]:
    """What an entry sets, by name or name and elements."""
    words = tokens(entry)
    if is_range(entry):
        searched = search_range(entry, 0, where)
        if searched.start is None:
            return {}
        # what is between the bounds is set as by an entry of its own
        words = tokens(f"{searched.place} = {searched.start!r}")
    try:
        heading = head(words, names)
        if (
            not isinstance(heading, EquationHead)
            or heading.kind not in ("=", "(")
            or heading.exceptions
            or heading.keyword
        ):
            raise SyntaxProblem(0, "it changes neither a constant nor a lookup")
        cursor = Cursor(words, heading.start)
        if heading.kind == "(":
            points = table(cursor)
            cursor.end("the end of the entry")
            return {heading.label: points}
        values = [number(cursor)]
        while cursor.token in (",", ";"):
            cursor.at += 1
            if cursor.token:
                values.append(number(cursor))
        cursor.end("the end of the entry")
    except SyntaxProblem as problem:
        expected = f"NAME = number or NAME(points) ({problem.reason})"
        raise InvalidValue("the entry", " ".join(entry.split()), expected, where=where) from None
    if not heading.subscripts:
        return {heading.label: values[0] if len(values) == 1 else tuple(values)}
    return _by_element(heading, values, model, where)


def _by_element(heading: EquationHead, values: Sequence[float], model: Model, where: str) -> dict[str, Override]:
    choices = []
    for sub in heading.subscripts:
        dimension = model.dimension_by_name.get(sub)
        if dimension is None and not any(sub in candidate.elements for candidate in model.dimensions):
            known = [label for candidate in model.dimensions for label in (candidate.label, *candidate.element_labels)]
            raise UnknownName(sub, known, kind="dimension or element", where=where)
        choices.append((sub,) if dimension is None else dimension.elements)
    places = list(product(*choices))
    if len(values) not in (1, len(places)):
        raise InvalidValue(f"the values of {heading.label!r}", list(values), f"1 or {len(places)} numbers", where=where)
    every = list(values) * (len(places) if len(values) == 1 else 1)
    return {f"{heading.name}[{','.join(at)}]": value for at, value in zip(places, every, strict=True)}
