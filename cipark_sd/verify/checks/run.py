"""Make the runs that a model's checks need, each once, and judge them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import xarray as xr

from cipark_sd.base.errors import CiparkError, InvalidValue, RunFailed, UnknownName, raise_all
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.expr import Apply, Call, Const, Grid, Ref, references, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Lookup, Piece, expressions
from cipark_sd.verify.checks.course import (
    Chain,
    beyond_tables,
    chains,
    conserved,
    halved,
    negative_stocks,
    not_finite,
    tested,
    unaccounted,
    with_accounts,
)
from cipark_sd.verify.checks.evaluate import BASE, NoValue
from cipark_sd.verify.checks.file import BUILT_IN_IDS, HALF_STEP, BuiltIn, Check, Checks
from cipark_sd.verify.checks.outcome import BUILT_IN_SOURCE, Finding, Outcome, outcome
from cipark_sd.verify.checks.structure import structural_outcomes

#: What stands in for an open upper end: ten times the value.
FAR = 10.0


def conditions(model: Model, names: tuple[str, ...] | Literal[True]) -> tuple[Scenario, ...]:
    """The runs to make, each with one constant at one value: of the named constants, or of all that have limits.

    The lower end is the lower limit, or 0 where there is none and the constant is positive; the upper end is the upper
    limit, or ten times the largest value where there is none. A value that the constant has anyway is left out.

    Raises
    ------
    InvalidValue
        When a name is not that of a constant.
    """
    if names is True:
        chosen = [constant for constant in model.constants if constant.limits != (None, None)]
    else:
        variables = [model[name] for name in names]
        chosen = [variable for variable in variables if isinstance(variable, Constant)]
        raise_all(
            model.name,
            [
                InvalidValue("extreme", variable.label, "constants only", where=model.name)
                for variable in variables
                if not isinstance(variable, Constant)
            ],
        )
    return tuple(condition for constant in chosen for condition in _ends(model, constant))


def _ends(model: Model, constant: Constant) -> Iterator[Scenario]:
    size = model.n_elements(constant)
    values = _values(constant)
    lower, upper = constant.limits
    if lower is None and values and min(values) > 0:
        lower = 0.0
    if upper is None and values and max(values) > 0:
        upper = FAR * max(values)
    for end in dict.fromkeys((lower, upper)):
        if end is None or set(values) == {end}:
            continue
        name = f"{constant.label} = {end:g}"
        yield Scenario(name, {constant.name: end if not constant.dims else (end,) * size})


def _values(constant: Constant) -> tuple[float, ...]:
    """The numbers that stand in the model file."""
    numbers: list[float] = []
    for piece in constant.pieces:
        match piece:
            case Piece(Const(value)):
                numbers.append(value)
            case Piece(Grid(values)):
                numbers.extend(values)
            case _:
                pass
    return tuple(numbers)


#: What switches a built-in check off, by its field of :class:`BuiltIn`.
_OFF: Mapping[str, Any] = dict.fromkeys(BUILT_IN_IDS.values(), "off") | {"halving": None, "extreme": ()}


#: What makes a run, as :func:`cipark_sd.simulations.simulation.simulate` of a model, a scenario and what to ``save``.
Simulate = Callable[..., xr.Dataset]
#: What is told of each run before it starts: what it is for, and how many there are in all.
Progress = Callable[[str, int], None]


@dataclass
class _Findings:
    """What the built-in checks find as the runs come in."""

    finite: list[Finding] = field(default_factory=list)
    negative: list[Finding] = field(default_factory=list)
    tables: list[Finding] = field(default_factory=list)
    chains: tuple[Chain, ...] = ()
    unaccounted: list[Finding] = field(default_factory=list)
    conservation: dict[str, list[Finding]] = field(default_factory=dict)
    runs: int = 0


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
    progress : Progress

    Raises
    ------
    UnknownName
        For an id that no check has.
    """
    outputs = _looked_at(model, checks)
    checks = _chosen(checks, only)
    looked_at = _looked_at(model, checks)
    outcomes = list(structural_outcomes(model, checks.builtin, outputs))
    needed = _scenarios(model, checks)
    extremes = conditions(model, checks.builtin.extreme)
    total = len({scenario.renamed("") for scenario in needed.values()}) + len(extremes)
    findings = _Findings(chains=chains(model) if checks.builtin.conservation != "off" else ())
    counted = with_accounts(model, findings.chains)
    results: dict[str, xr.Dataset | RunFailed] = {}
    made: dict[Scenario, xr.Dataset | RunFailed] = {}
    saved = (*_saved(model, looked_at), *(chain.account for chain in findings.chains))
    for name, scenario in needed.items():
        key = scenario.renamed("")
        if key not in made:
            progress(name, total)
            made[key] = _made(counted, scenario, simulate, saved)
            _watch(model, checks, name, made[key], findings)
            made[key] = _reduced(model, made[key], looked_at)
        results[name] = made[key]
    outcomes += _course_outcomes(model, checks, results, findings)
    if extremes:
        outcomes.append(
            _extreme_outcome(counted, checks.builtin, extremes, simulate, saved, lambda name: progress(name, total))
        )
    outcomes += (_check_outcome(model, check, results) for check in checks.checks)
    return tuple(outcomes)


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
    mentioned = {ref.name for check in checks.checks for e in check.expectations for ref in references(e.expr)}
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
    expressions = [e.expr for check in checks.checks for e in check.expectations]
    expressions += [flow.expr for law in checks.conservation for flow in (*law.inflows, *law.outflows)]
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


def _made(model: Model, scenario: Scenario, simulate: Simulate, saved: Sequence[str]) -> xr.Dataset | RunFailed:
    try:
        return simulate(model, scenario, save=saved)
    except RunFailed as failure:
        # a finding about the model, not a mistake of the user: it is reported in the table
        return failure


def _watch(model: Model, checks: Checks, name: str, result: xr.Dataset | RunFailed, findings: _Findings) -> None:
    """The built-in checks of one run, before all but a few of its variables are let go."""
    builtin = checks.builtin
    findings.runs += 1
    if isinstance(result, RunFailed):
        findings.finite.append(Finding(f"the run {name} reaches its end", False, result.time, remark=str(result)))
        return
    findings.finite += not_finite(name, result)
    findings.negative += negative_stocks(model, name, result, builtin.may_be_negative)
    findings.unaccounted += unaccounted(model, name, result, findings.chains)
    if name == BASE and builtin.lookup_ranges != "off":
        findings.tables += beyond_tables(model, name, result)
    for law in checks.conservation:
        try:
            finding = conserved(model, name, result, law)
        except NoValue as problem:
            finding = Finding(
                f"{law.title} can be checked", False, remark=f"{problem}; give it an auxiliary of its own"
            )
        findings.conservation.setdefault(law.id, []).append(finding)


def _reduced(model: Model, result: xr.Dataset | RunFailed, looked_at: frozenset[str]) -> xr.Dataset | RunFailed:
    """What the expectations and the comparison of time steps look at; many runs of everything would fill the memory."""
    if isinstance(result, RunFailed):
        return result
    stocks = {stock.name for stock in model.stocks}
    return result[[name for name in result.data_vars if name in looked_at | stocks]]


def _course_outcomes(
    model: Model, checks: Checks, results: Mapping[str, xr.Dataset | RunFailed], watched: _Findings
) -> Iterator[Outcome]:
    builtin = checks.builtin
    if builtin.finite != "off":
        yield outcome("finite", f"All values are finite ({watched.runs} runs)", watched.finite, level=builtin.finite)
    if builtin.no_negative_stocks != "off":
        title = f"No stock is negative ({watched.runs} runs)"
        yield outcome("negative-stocks", title, watched.negative, level=builtin.no_negative_stocks)
    if builtin.conservation != "off":
        title = f"Stocks change by their flows alone ({len(watched.chains)} chains, {watched.runs} runs)"
        if watched.chains:
            yield outcome("conservation", title, watched.unaccounted, level=builtin.conservation)
        else:
            # nothing was looked at, which is no pass
            title = "Stocks change by their flows alone: no closed chain found"
            yield Outcome("conservation", title, BUILT_IN_SOURCE, "note", ())
    for law in checks.conservation:
        findings = watched.conservation.get(law.id, [])
        failed = [finding for finding in findings if not finding.passed]
        yield outcome(law.id, law.title, failed or findings[:1])
    if builtin.lookup_ranges != "off":
        yield outcome(
            "lookup-ranges", "Tables are used within their range", watched.tables, level=builtin.lookup_ranges
        )
    if builtin.halving:
        pair = results[BASE], results[HALF_STEP]
        if isinstance(pair[0], RunFailed) or isinstance(pair[1], RunFailed):
            findings = _stopped([result for result in pair if isinstance(result, RunFailed)])
        else:
            findings = list(halved(model, pair[0], pair[1], builtin.halving))
        yield outcome("time-step", "Half the time step changes little", findings)


def _stopped(failures: Sequence[RunFailed]) -> list[Finding]:
    return [Finding("the run reaches its end", False, failure.time, remark=str(failure)) for failure in failures]


def _check_outcome(model: Model, check: Check, results: Mapping[str, xr.Dataset | RunFailed]) -> Outcome:
    parts = (part for expectation in check.expectations for part in walk(expectation.expr))
    runs_named = (part.arguments[0] for part in parts if isinstance(part, Call) and part.function == "run")
    names = {check.id, *(named.name for named in runs_named if isinstance(named, Ref))}
    failures = [result for name, result in results.items() if name in names and isinstance(result, RunFailed)]
    if failures:
        findings = _stopped(failures)
    else:
        runs = {name: result for name, result in results.items() if not isinstance(result, RunFailed)}
        findings = list(tested(model, check, runs))
    return outcome(check.id, check.title, findings, source=check.source)


def _extreme_outcome(
    model: Model,
    builtin: BuiltIn,
    extremes: Sequence[Scenario],
    simulate: Simulate,
    saved: Sequence[str],
    progress: Callable[[str], None],
) -> Outcome:
    findings: list[Finding] = []
    for condition in extremes:
        progress(condition.name)
        result = _made(model, condition, simulate, saved)
        if isinstance(result, RunFailed):
            broken = [Finding("the run reaches its end", False, result.time, remark=str(result))]
        else:
            broken = [
                *not_finite(condition.name, result),
                *negative_stocks(model, condition.name, result, builtin.may_be_negative),
            ]
        findings += (replace(finding, claim=f"{condition.name}: {finding.claim}") for finding in broken)
    title = f"Constants at their limits ({len(extremes)} runs): finite, no stock negative"
    return outcome("extreme", title, findings)
