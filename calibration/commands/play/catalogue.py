"""What a page shows of ``policies.toml``: outcomes, levers and structures; whole pages of models without data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibration.commands.play.request import Settings
from cipark_sd.analysis.experiments import definition
from cipark_sd.analysis.experiments.catalogue import FILE
from cipark_sd.analysis.experiments.definition import ONLY, Catalogue, Lever
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.study import DrawRequest
from cipark_sd.base.console import progress_bars
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.commands.policy.analysis import Target, read_target
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Model
from cipark_sd.pages.player.contents import Contents, Outcome, PlayedStructure
from cipark_sd.pages.player.of_model import LEVERS, OUTCOMES, lever_of, most_influential, within_numbers

RANGES_LIMIT = "These are results of the equations and of the ranges in policies.toml; nothing was fitted to data."
#: Draws of a page at least: while a lever moves, every second one is run.
FEWEST = 200
FAN = "Bands are of draws from these ranges, each value as likely as another; a lever that you move takes one value."
NO_FAN = "One run at a time: the file names nothing as uncertain."


def contents_of(request: Settings) -> Contents:
    """The page of a model with policies.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    target = read_target(request.folder, allow_files=request.allow_files)
    model, catalogue = target.study.model, target.catalogue
    chosen = tuple(Outcome(name, name) for name in request.variables) or outcomes_of(catalogue, model)
    if not chosen:
        raise InvalidValue(
            "[[outcome]]", "none", "one at least, or --variables NAMES", where=str(request.folder / FILE)
        )
    scenario = target.study.scenario | catalogue.settings
    structures = _structures(request, target)
    drawn = bool(structures[0].draws)
    return Contents(
        title=catalogue.title or model.name,
        model=model,
        target=str(model.origin.path) if model.origin is not None else model.name,
        scenario=scenario,
        structures=structures,
        levers=_levers(request, model, catalogue, scenario | structures[0].scenario, chosen),
        outcomes=chosen[:OUTCOMES],
        at=catalogue.headline[1],
        until=model.time.final,
        base="as assumed",
        limits=(RANGES_LIMIT, FAN if drawn else NO_FAN),
    )


def outcomes_of(catalogue: Catalogue, model: Model) -> tuple[Outcome, ...]:
    """The curve of the headline, those that are shown beside it, and the others; not those that are equations.

    A peak and its time are read from one curve, which has the name of its variable. Where nothing but such readings of
    the same curve stands beside the headline, the other outcomes are shown, too.

    Returns
    -------
    tuple of Outcome
        At most :data:`~cipark_sd.pages.player.of_model.OUTCOMES`.
    """
    by_id = {outcome.id: outcome for outcome in catalogue.outcomes if not outcome.equation}
    curves: dict[tuple[str, str], Outcome] = {}
    for id_ in (catalogue.headline[0], *catalogue.beside, *by_id):
        outcome = by_id.get(id_)
        if outcome is None or (len(curves) > 1 and catalogue.beside and id_ not in catalogue.beside):
            continue
        title = model.label(outcome.variable) if outcome.metric else outcome.title
        curves.setdefault((outcome.variable, outcome.per), Outcome(title, outcome.variable, outcome.per))
    return tuple(curves.values())[:OUTCOMES]


def named_levers(
    request: Settings, model: Model, catalogue: Catalogue | None, fitted: Mapping[str, Lever]
) -> tuple[Lever, ...]:
    """The levers that the command line names, as they were ``fitted`` where they were, else those of the file.

    Parameters
    ----------
    fitted : mapping of str to Lever
        By canonical name.

    Returns
    -------
    tuple of Lever
        At most :data:`~cipark_sd.pages.player.of_model.LEVERS` of the file's; empty where neither has any.
    """
    names = map(model.protected, request.levers)
    of_file = () if catalogue is None else catalogue.levers[:LEVERS]
    return tuple(fitted.get(override_key(name)) or lever_of(model, name) for name in names) or of_file


def _structures(request: Settings, target: Target) -> tuple[PlayedStructure, ...]:
    if request.draws not in (None, "prior"):
        raise InvalidValue("--draws", request.draws, "a study, which has data", where="cipark play")
    alone = (definition.Structure(ONLY, "the model as it is"),)
    rivals = target.rivals if len(target.rivals) > 1 else alone
    if not target.study.parameters:
        return tuple(PlayedStructure(rival.title or rival.id, rival.scenario) for rival in rivals)
    draw_request = DrawRequest(
        rivals, "prior", request.runs or FEWEST, request.seed, request.folder, engine="native", known=rivals
    )
    with progress_bars() as bars:
        draws = target.study.draws(draw_request, bars).draws
    return tuple(_structure(rival, draws[rival.id]) for rival in rivals)


def _structure(rival: definition.Structure, draws: Draws) -> PlayedStructure:
    middle = {name: float(np.median(values)) for name, values in draws.values.items()}
    return PlayedStructure(rival.title or rival.id, rival.scenario, draws.values, middle, draws.basis)


def _levers(
    request: Settings, model: Model, catalogue: Catalogue, scenario: Scenario, outcomes: Sequence[Outcome]
) -> tuple[Lever, ...]:
    """Those that are named, of the file, or the constants that its policies set, as far as these do."""
    if named := named_levers(request, model, catalogue, {}):
        return named
    values: dict[str, list[float]] = {}
    for policy in catalogue.policies:
        for name, value in policy.scenario.overrides.items():
            if isinstance(value, int | float):
                values.setdefault(override_key(name), []).append(float(value))
    if not values:
        raise InvalidValue("[[lever]]", "none", "one at least, or --levers NAMES", where=str(request.folder / FILE))
    shown = [base_name(outcome.variable) for outcome in outcomes]
    known = ((lever_of(model, name), tried) for name, tried in values.items())
    # each reaches as far as a policy has set it
    levers = tuple(replace(lever, low=min(lever.low, *tried), high=max(lever.high, *tried)) for lever, tried in known)
    levers = within_numbers(model, scenario, levers, shown)
    return most_influential(model, scenario, levers, shown, LEVERS)
