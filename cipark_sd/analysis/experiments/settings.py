"""What each run of an experiment has set: what is shared, what was drawn, and equations of what was drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cipark_sd.analysis.experiments.definition import Policy, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.execution.pool import Pool
from cipark_sd.execution.workers import Workers
from cipark_sd.model.expr import Expr, Ref, references
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.verify.checks.evaluate import BASE, Reading, evaluate, parse_expression


@dataclass(frozen=True, eq=False)
class Setup:
    """What all runs of an experiment share.

    Parameters
    ----------
    scenario : Scenario
        Everything else wins over it.
    pool : Pool
        Who runs each policy under each rival, and keeps the runs; it changes no bit.
    """

    model: Model
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    engine: str = "native"
    pool: Pool = field(default_factory=Workers)


def inputs(
    settings: Scenario, draws: Draws, scenario: Scenario, by_draw: Mapping[str, Array] | None = None
) -> tuple[dict[str, Array], Scenario]:
    """What runs have set: what differs from one to another, and what all share.

    Parameters
    ----------
    settings : Scenario
        They win over the draws.
    scenario : Scenario
        Everything else wins over it.
    by_draw : mapping of str to (n_draws,), optional
        Settings that differ from draw to draw, which win over all others.

    Returns
    -------
    (dict of str to array, Scenario)
        By override key ``(n_draws,)``, or ``(n_draws, n_elements)`` for a whole array; and the scenario.
    """
    structured = {key: of for key, of in settings.overrides.items() if not isinstance(of, float | tuple)}
    return _columns(settings, draws, by_draw or {}), scenario | Scenario(settings.name, structured)


def _columns(settings: Scenario, draws: Draws, by_draw: Mapping[str, Array]) -> dict[str, Array]:
    """What changes from run to run, by override key; settings win over draws, a whole variable over its elements."""
    columns: dict[str, Array] = {}
    for key, value in [*draws.values.items(), *settings.overrides.items(), *by_draw.items()]:
        base, elements = split_key(key)
        varies = isinstance(value, float | tuple | np.ndarray)
        for known in list(columns):
            if known == key or (base_name(known) == base and not (elements and varies)):
                del columns[known]
        match value:
            case float():
                columns[key] = np.full(len(draws), value)
            case tuple():
                columns[key] = np.tile(np.array(value), (len(draws), 1))
            case np.ndarray():
                columns[key] = value
            case _:
                # a table or a series is shared by all runs; what was drawn for it would win over it
                pass
    return columns


class BaseConstants:
    """Constants as each draw has them under a structure, before any policy.

    Parameters
    ----------
    draws : Draws
        Of that structure.
    names : iterable of str
        Of the constants, without elements.
    """

    def __init__(self, setup: Setup, rival: Structure, draws: Draws, names: Iterable[str]) -> None:
        columns, shared = inputs(rival.scenario, draws, setup.scenario)
        resolved = resolve(setup.model, shared)
        start, step = resolved.initial_time, resolved.time_step
        brief = shared | Scenario("", final_time=start + step, saveper=step)
        runs = ensemble(
            setup.model,
            columns,
            scenario=brief,
            save=sorted({*names}),
            times=[start],
            engine=setup.engine,
            failures="leave",
            workers=setup.pool.own_threads,
        )
        self._n = len(draws)
        self._reading = Reading(setup.model, {BASE: runs.isel(time=0)}, BASE, np.zeros(0))

    def value(self, expr: Expr) -> Array:
        """An equation of them ``(n_draws,)``; of a whole array ``(n_elements, ..., n_draws)``."""
        values = evaluate(expr, self._reading)
        if "run" not in values.dims:
            return np.full(self._n, float(values))
        return np.asarray(values.transpose(..., "run").to_numpy())


def in_each_draw(
    setup: Setup, policies: Sequence[Policy], rival: Structure, draws: Draws
) -> dict[str, dict[str, Array]]:
    """What the equations of policies come to: a value ``(n_draws,)`` for each constant that one sets.

    Parameters
    ----------
    setup, rival, draws
        As of :class:`BaseConstants`.

    Returns
    -------
    dict of str to dict of str to (n_draws,)
        By policy and override key; empty for a policy without equations.
    """
    parsed = {policy.id: [(name, parse_expression(text)) for name, text in policy.equations] for policy in policies}
    if not any(parsed.values()):
        return {policy: {} for policy in parsed}
    names = [ref.name for equations in parsed.values() for _, expr in equations for ref in references(expr)]
    base = BaseConstants(setup, rival, draws, names)
    return {policy: {override_key(n): base.value(e) for n, e in equations} for policy, equations in parsed.items()}


def moved(
    setup: Setup, policies: Sequence[Policy], rival: Structure, draws: Draws
) -> dict[str, dict[str, tuple[float, float]]]:
    """From where to where policies move constants: medians over draws, by policy and name; of no whole array.

    Parameters
    ----------
    setup, policies, rival, draws
        As of :func:`in_each_draw`.

    Returns
    -------
    dict of str to dict of str to (float, float)
        The median under the base, and that under the policy.
    """
    by_draw = in_each_draw(setup, policies, rival, draws)
    sets = {
        p.id: {k: v for k, v in p.scenario.overrides.items() if isinstance(v, float)} | by_draw[p.id] for p in policies
    }
    constants = {constant.name: constant for constant in setup.model.constants}
    split = {key: split_key(key) for values in sets.values() for key in values if base_name(key) in constants}
    single = {key: Ref(*parts) for key, parts in split.items() if len(parts[1]) == len(constants[parts[0]].dims)}
    if not single:
        return {policy: {} for policy in sets}
    base = BaseConstants(setup, rival, draws, (ref.name for ref in single.values()))
    before = {key: float(np.median(base.value(ref))) for key, ref in single.items()}
    return {
        policy: {key: (before[key], float(np.median(value))) for key, value in values.items() if key in before}
        for policy, values in sets.items()
    }
