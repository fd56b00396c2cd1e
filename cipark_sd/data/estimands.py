"""How the estimand of a headline record is spelt: the same output, time and scenarios give the same text everywhere."""

from collections.abc import Sequence

from cipark_sd.base.naming import base_name
from cipark_sd.base.wording import written_unit
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Model
from cipark_sd.statements import headline


def of_output(
    model: Model,
    parts: Sequence[tuple[str, float]],
    time: float,
    *,
    under: Scenario | None = None,
    against: Scenario | None = None,
) -> str:
    """The estimand of a sum of outputs at a time.

    Parameters
    ----------
    parts : names of outputs, each with its sign or factor
    time : in the model's unit of time
    under : what is set beside the scenario of the study or model; None where nothing is
    against : where given, the estimand is the change from what the outputs are with this set
    """
    signs = {1.0: " + ", -1.0: " - "}
    text = "".join(f"{signs.get(sign, f' {sign:+g} ')}{name_in(model, name)}" for name, sign in parts)
    text = text.removeprefix(" + ").lstrip()
    return headline.output(text, time, under=settings(model, under), against=settings(model, against))


def name_in(model: Model, name: str) -> str:
    """A variable, or an element of one, as the model spells it.

    Parameters
    ----------
    name : any spelling of ``Name`` or ``Name[element]``

    Returns
    -------
    str
        ``name`` itself where the model has none such.
    """
    return model.label(name) if base_name(name) in model.by_name else name


def unit_of(model: Model, name: str) -> str:
    """The units of a variable, nothing for a pure number.

    Parameters
    ----------
    name : any spelling of ``Name`` or ``Name[element]``
    """
    variable = model.by_name.get(base_name(name))
    return "" if variable is None else written_unit(variable.units)


def settings(model: Model, scenario: Scenario | None) -> str:
    """What a scenario sets, in the order of its names.

    Parameters
    ----------
    scenario : None for one that sets nothing
    """
    if scenario is None:
        return ""
    return ", ".join(
        f"{name_in(model, key)} = {f'{value:.10g}' if isinstance(value, float) else 'another trajectory'}"
        for key, value in sorted(scenario.overrides.items())
    )
