"""Make the runs that a model's checks need, each once, and judge them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import xarray as xr

from cipark_sd.base.errors import CiparkError, InvalidValue, RunFailed, UnknownName, raise_all
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.expr import Apply, Call, Const, Grid, Ref, references, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Lookup, Piece, Variable, expressions
from cipark_sd.verify.checks.course import (
    Chain,
    beyond_tables,
    chains,
    conserved,
    halved,
    negative_stocks,
    not_finite,
    tested,
    too_coarse,
    unaccounted,
    with_accounts,
)
from cipark_sd.verify.checks.evaluate import BASE, NoValue
from cipark_sd.verify.checks.file import BUILT_IN_IDS, HALF_STEP, Check, Checks
from cipark_sd.verify.checks.outcome import BUILT_IN_SOURCE, Finding, Outcome, outcome
from cipark_sd.verify.checks.structure import structural_outcomes

#: What stands in for an open upper end: ten times the value.
FAR = 10.0


def conditions(model: Model, names: tuple[str, ...] | Literal[True]) -> tuple[Scenario, ...]:
    """The runs to make, each with one constant at one value: of the named constants, or of all that have limits.

    The lower end is the lower limit, or 0 where there is none and the constant is positive; the upper end is the upper
    limit, or ten times the largest value where there is none. A value that the constant has anyway is left out.

    Parameters
    ----------
    names : names of constants; true for all that have limits

    Returns
    -------
    tuple of Scenario
        Named as they read: ``Label = value``.

    Raises
    ------
    InvalidValue
        When a name is not that of a constant.
    """
    if names is True:
        chosen: list[Variable] = [constant for constant in model.constants if constant.limits != (None, None)]
    else:
        chosen = [model[name] for name in names]
    raise_all(
        model.name,
        [
            InvalidValue("extreme", variable.label, "constants only", where=model.name)
            for variable in chosen
            if not isinstance(variable, Constant)
        ],
    )
    return tuple(end for constant in chosen if isinstance(constant, Constant) for end in _ends(model, constant))


def _ends(model: Model, constant: Constant) -> Iterator[Scenario]:
    values = _values(constant)
    lower, upper = constant.limits
    if lower is None and values and min(values) > 0:
        lower = 0.0
    if upper is None and values and max(values) > 0:
        upper = FAR * max(values)
    for end in dict.fromkeys((lower, upper)):
        if end is not None and set(values) != {end}:
            value = (end,) * model.n_elements(constant) if constant.dims else end
            yield Scenario(f"{constant.label} = {end:g}", {constant.name: value})


def _values(constant: Constant) -> list[float]:
    """The numbers that stand in the model file."""
    numbers: list[float] = []
    for piece in constant.pieces:
        match piece:
            case Piece(Const(value)):
                numbers.append(value)
            case Piece(Grid(values)):
                numbers.extend(values)
    return numbers


#: What switches a built-in check off, by its field of :class:`BuiltIn`.
_OFF: Mapping[str, Any] = dict.fromkeys(BUILT_IN_IDS.values(), "off") | {"halving": None, "extreme": ()}


#: What makes a run, as :func:`cipark_sd.simulations.simulation.simulate` of a model, a scenario and what to ``save``.
Simulate = Callable[..., xr.Dataset]
#: What is told of each run before it starts: what it is for, and how many there are in all.
Progress = Callable[[str, int], None]
#: What came of a run; a failure is a finding about the model and no mistake of the user, so it is kept and reported.
_Made = xr.Dataset | RunFailed
#: What the checks of runs found, by the id of the check.
_Findings = defaultdict[str, list[Finding]]


def run_checks(
    model: Model, checks: Checks, simulate: Simulate, *, only: Sequence[str] = (), progress: Progress
) -> tuple[Outcome, ...]:
    """All outcomes, the built-in checks first.

    Parameters
    ----------
    simulate : Simulate
        Called once for each distinct scenario.
    only : sequence of str
        Ids of the checks to make; all of them when empty. Only the runs that these need are made.

    Returns
    -------
    tuple of Outcome
        Those of the file's own checks last, in its order.

    Raises
    ------
    UnknownName
        For an id that no check has.
    """
    outputs = _looked_at(model, checks)
    checks = _chosen(checks, only)
    builtin, looked_at = checks.builtin, _looked_at(model, checks)
    outcomes = list(structural_outcomes(model, builtin, outputs))
    needed = _scenarios(model, checks)
    extremes = conditions(model, builtin.extreme)
    total = len({scenario.renamed("") for scenario in needed.values()}) + len(extremes)
    joined = chains(model) if builtin.conservation != "off" else ()
    counted = with_accounts(model, joined)
    saved = (*_saved(model, looked_at), *(chain.account for chain in joined))

    def run(name: str, scenario: Scenario) -> _Made:
        progress(name, total)
        try:
            return simulate(counted, scenario, save=saved)
        except RunFailed as failure:
            return failure

    findings: _Findings = defaultdict(list)
    results: dict[str, _Made] = {}
    made: dict[Scenario, _Made] = {}
    for name, scenario in needed.items():
        key = scenario.renamed("")
        if key not in made:
            result = run(name, scenario)
            _watch(model, checks, joined, name, result, findings)
            made[key] = _reduced(model, result, looked_at)
        results[name] = made[key]
    outcomes += _course_outcomes(model, checks, results, findings, n_runs=len(made), n_chains=len(joined))
    for condition in extremes:
        result = run(condition.name, condition)
        if isinstance(result, RunFailed):
            broken = [_stopped(result)]
        else:
            broken = [
                *not_finite(condition.name, result),
                *negative_stocks(model, condition.name, result, builtin.may_be_negative),
            ]
        findings["extreme"] += (replace(finding, claim=f"{condition.name}: {finding.claim}") for finding in broken)
    if extremes:
        title = f"Constants at their limits ({len(extremes)} runs): finite, no stock negative"
        outcomes.append(outcome("extreme", title, findings["extreme"]))
    return (*outcomes, *(_check_outcome(model, check, results) for check in checks.checks))


def _chosen(checks: Checks, only: Sequence[str]) -> Checks:
    """The checks with these ids, and nothing else."""
    if not only:
        return checks
    known = [*BUILT_IN_IDS, *(law.id for law in checks.conservation), *(check.id for check in checks.checks)]
    by_folded = {name.casefold(): name for name in known}
    problems: list[CiparkError] = [
        UnknownName(name, known, kind="check", where="--only") for name in only if name.casefold() not in by_folded
    ]
    chosen = {by_folded[name.casefold()] for name in only if name.casefold() in by_folded}
    off = {name: _OFF[key] for name, key in BUILT_IN_IDS.items() if name not in chosen}
    problems += [
        InvalidValue("the check", name, "one that the checks file has not switched off", where="--only")
        for name in sorted(chosen & BUILT_IN_IDS.keys())
        if getattr(checks.builtin, BUILT_IN_IDS[name]) == _OFF[BUILT_IN_IDS[name]]
    ]
    raise_all("--only", problems)
    return Checks(
        replace(checks.builtin, **{BUILT_IN_IDS[name]: value for name, value in off.items()}),
        checks.runs,
        tuple(check for check in checks.checks if check.id in chosen),
        tuple(law for law in checks.conservation if law.id in chosen),
    )


def _scenarios(model: Model, checks: Checks) -> dict[str, Scenario]:
    """Every run by name: the base, the named ones that something asks for, those of the checks, the half step.

    The built-in checks of a run look at all runs of the file.
    """
    builtin = checks.builtin
    levels = (builtin.finite, builtin.no_negative_stocks, builtin.conservation)
    watching = any(level != "off" for level in levels) or checks.conservation
    mentioned = {ref.name for check in checks.checks for _, expr in check.expectations for ref in references(expr)}
    needed: dict[str, Scenario] = {}
    if watching or builtin.lookup_ranges != "off" or builtin.halving or checks.checks:
        needed[BASE] = Scenario(BASE)
    needed |= {name: scenario for name, scenario in checks.runs.items() if watching or name in mentioned}
    needed |= {check.id: check.scenario for check in checks.checks}
    if builtin.halving:
        base = resolve(model, Scenario())
        # the save period stays, so that both runs have the same saved times
        needed[HALF_STEP] = Scenario(HALF_STEP, time_step=base.time_step / 2, saveper=base.saveper)
    return needed


def _looked_at(model: Model, checks: Checks) -> frozenset[str]:
    """Variables that the expectations, laws and limits of the checks are about."""
    expressions = [expr for check in checks.checks for _, expr in check.expectations]
    expressions += [flow for law in checks.conservation for flow in (*law.inflows, *law.outflows)]
    names = {ref.name for expr in expressions for ref in references(expr)}
    names |= {name for law in checks.conservation for name in law.stocks}
    names |= set(checks.builtin.halving.variables) if checks.builtin.halving else set()
    return frozenset(name for name in names if name in model.by_name)


def _saved(model: Model, looked_at: frozenset[str]) -> tuple[str, ...]:
    """What a run has to save: all that changes, and the constants that checks or arguments of tables refer to."""
    constants = set(looked_at)
    for variable in model.variables:
        for expr in expressions(variable):
            constants |= {
                ref.name for part in walk(expr) if isinstance(part, Apply) for ref in references(part.argument)
            }
    for stock in model.stocks:
        constants |= {ref.name for piece in stock.pieces for ref in references(piece.flow)}
    return tuple(
        variable.name
        for variable in model.variables
        if not isinstance(variable, Lookup) and (variable.name in constants or not isinstance(variable, Constant))
    )


def _watch(
    model: Model, checks: Checks, joined: Sequence[Chain], name: str, result: _Made, findings: _Findings
) -> None:
    """The built-in checks of one run, before all but a few of its variables are let go."""
    builtin = checks.builtin
    if isinstance(result, RunFailed):
        findings["finite"].append(_stopped(result, f"the run {name}"))
        return
    findings["finite"] += not_finite(name, result)
    findings["negative-stocks"] += negative_stocks(model, name, result, builtin.may_be_negative)
    findings["conservation"] += unaccounted(model, name, result, joined)
    if name == BASE and builtin.lookup_ranges != "off":
        findings["lookup-ranges"] += beyond_tables(model, name, result)
    for law in checks.conservation:
        try:
            finding = conserved(model, name, result, law)
        except NoValue as problem:
            remark = f"{problem}; give it an auxiliary of its own"
            finding = Finding(f"{law.title} can be checked", False, remark=remark)
        findings[law.id].append(finding)


def _reduced(model: Model, result: _Made, looked_at: frozenset[str]) -> _Made:
    """What the expectations and the comparison of time steps look at; many runs of everything would fill the memory."""
    if isinstance(result, RunFailed):
        return result
    names = looked_at | {stock.name for stock in model.stocks}
    return result[[name for name in result.data_vars if name in names]]


def _stopped(failure: RunFailed, run: str = "the run") -> Finding:
    return Finding(f"{run} reaches its end", False, failure.time, remark=str(failure))


def _course_outcomes(
    model: Model,
    checks: Checks,
    results: Mapping[str, _Made],
    findings: _Findings,
    *,
    n_runs: int,
    n_chains: int,
) -> Iterator[Outcome]:
    builtin = checks.builtin

    def built_in(name: str, title: str) -> Iterator[Outcome]:
        if (level := getattr(builtin, BUILT_IN_IDS[name])) != "off":
            yield outcome(name, title, findings[name], level=level)

    yield from built_in("finite", f"All values are finite ({n_runs} runs)")
    yield from built_in("negative-stocks", f"No stock is negative ({n_runs} runs)")
    if n_chains:
        title = f"Stocks change by their flows alone ({n_chains} chains, {n_runs} runs)"
        yield from built_in("conservation", title)
    elif builtin.conservation != "off":
        # nothing was looked at, which is no pass
        title = "Stocks change by their flows alone: no closed chain found"
        yield Outcome("conservation", title, BUILT_IN_SOURCE, "note", ())
    for law in checks.conservation:
        failed = [finding for finding in findings[law.id] if not finding.passed]
        yield outcome(law.id, law.title, failed or findings[law.id][:1])
    yield from built_in("lookup-ranges", "Tables are used within their range")
    if builtin.halving:
        match results[BASE], results[HALF_STEP]:
            case xr.Dataset() as coarse, xr.Dataset() as fine:
                apart = list(halved(model, coarse, fine, builtin.halving))
            case pair:
                apart = [_stopped(result) for result in pair if isinstance(result, RunFailed)]
        if not all(finding.passed for finding in apart):
            apart += too_coarse(model)
        yield outcome("time-step", "Half the time step changes little", apart)


def _check_outcome(model: Model, check: Check, results: Mapping[str, _Made]) -> Outcome:
    parts = (part for _, expr in check.expectations for part in walk(expr))
    runs_named = (part.arguments[0] for part in parts if isinstance(part, Call) and part.function == "run")
    names = {check.id, *(named.name for named in runs_named if isinstance(named, Ref))}
    failed = [_stopped(run) for name, run in results.items() if name in names and isinstance(run, RunFailed)]
    runs = {name: result for name, result in results.items() if not isinstance(result, RunFailed)}
    return outcome(check.id, check.title, failed or tested(model, check, runs), source=check.source)
