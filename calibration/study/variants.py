"""Variants of a study: rival structures that are refitted, and scenarios of the time after the data.

Both are constants set by name::

    [[rival]]
    name = "M1"
    why = "the founder is as able as China Merchants"
    set = { "Founding Capability" = 1 }
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from cipark_sd.errors import CiparkError, InvalidValue, collected
from cipark_sd.experiments.definition import Structure
from cipark_sd.inputs import place
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.section import Section, is_number
from cipark_sd.sensitivities.factors import constant_values


def read_variants(top: Section, kind: str) -> tuple[Structure, ...]:
    """The variants in ``[[kind]]`` tables, their names unlike each other."""
    variants = top.named(kind, _variant)
    top.problems += repeated([variant.id for variant in variants], f"[[{kind}]]")
    return variants


def with_own_structure(model: Model, scenario: Scenario, rivals: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """Rivals with the study's own structure first, where none of them is it: they are rivals to it.

    A rival is the study's own structure where all that it sets is as the study, its ``scenario`` or the file has it.
    """
    if not rivals or any(_changes_nothing(model, scenario, variant.scenario) for variant in rivals):
        return rivals
    taken = {variant.id for variant in rivals}
    name = next(name for name in ("base", "own", "own structure") if name not in taken)
    return (Structure(name, "the study's own structure", Scenario(name, {})), *rivals)


def _changes_nothing(model: Model, scenario: Scenario, settings: Scenario) -> bool:
    values = {
        override_key(label): value
        for name in {split_key(key)[0] for key in settings.overrides}
        if isinstance(constant := model.by_name.get(name), Constant)
        for label, value in constant_values(model, constant).items()
    }
    values |= {key: value for key, value in scenario.overrides.items() if isinstance(value, float)}
    return all(values.get(key) == value for key, value in settings.overrides.items())


def repeated(names: Sequence[str], where: str) -> list[InvalidValue]:
    """A problem for each name that stands there more than once."""
    counted = Counter(names)
    return [InvalidValue("name", name, "each once", where=where) for name, times in counted.items() if times > 1]


def _variant(section: Section) -> Structure:
    return Structure(section.title, section.text("why", ""), Scenario(section.title, constants_set(section, "set")))


def constants_set(section: Section, key: str) -> dict[str, float]:
    """The table of constants and their values under ``key``; problems go to the section's list."""
    raw = section.raw(key)
    values: dict[str, float] = {}
    if not isinstance(raw, Mapping):
        section.wrong(key, "a table of constants and their values, {} for the model as it is")
        return values
    for name, value in raw.items():
        if is_number(value):
            values[str(name)] = float(value)
        else:
            section.problems.append(
                InvalidValue(str(name), value, "a finite number", where=place(raw, section.name, str(name)))
            )
    return values


def variant_problems(
    model: Model, scenario: Scenario, variants: Sequence[Structure], parameters: Sequence[str]
) -> list[CiparkError]:
    """Variants that set what the model does not have or what is estimated."""
    problems: list[CiparkError] = []
    for variant in variants:
        problems += setting_problems(model, scenario, variant.scenario, parameters, f"variant {variant.id!r}", "set")
    return problems


def setting_problems(
    model: Model, scenario: Scenario, changes: Scenario, parameters: Sequence[str], where: str, key: str
) -> list[CiparkError]:
    """What is wrong with constants set under ``key``."""
    estimated = {override_key(name) for name in parameters}
    expected = "a constant that is not estimated, else the parameter would have no effect"
    problems: list[CiparkError] = [
        InvalidValue(key, name, expected, where=where) for name in changes.overrides if override_key(name) in estimated
    ]
    collected(problems, partial(resolve, model, scenario | changes))
    return problems
