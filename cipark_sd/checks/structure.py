"""Checks that need no run: units, documentation, what nothing refers to."""

from collections.abc import Iterator

from cipark_sd.checks.definition import BuiltIn
from cipark_sd.checks.outcome import Finding, Outcome, outcome
from cipark_sd.checks.unit_check import UnitIssue, check_units
from cipark_sd.model.expr import references
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Stock, Variable, expressions


def structural_outcomes(model: Model, builtin: BuiltIn, referred: frozenset[str]) -> Iterator[Outcome]:
    """Outcomes of the checks on the file itself; ``referred`` are variables that the checks look at."""
    issues = check_units(model)
    if builtin.units != "off":
        findings = [
            Finding(f"{issue.variable}: {issue.problem}", issue.kind == "unchecked", remark=_details(issue))
            for issue in issues
            if issue.kind != "missing"
        ]
        yield outcome("units", "Equations are dimensionally consistent", findings, level=builtin.units)
    if builtin.declared_units != "off":
        findings = [Finding(f"{issue.variable} {issue.problem}", False) for issue in issues if issue.kind == "missing"]
        yield outcome("declared-units", "Every variable has units", findings, level=builtin.declared_units)
    if builtin.documented != "off":
        undocumented = [variable for variable in model.variables if not variable.doc and variable.name not in CONTROL]
        findings = [Finding(f"{variable.label} has no documentation", False) for variable in undocumented]
        yield outcome("documented", "Every variable is documented", findings, level=builtin.documented)
    if builtin.used != "off":
        findings = [
            Finding(f"{variable.label} is used by nothing", False, remark="an output? list it in [builtin] outputs")
            for variable in unused(model)
            if variable.name not in referred | builtin.outputs
        ]
        yield outcome("used", "Every variable is used or an output", findings, level=builtin.used)


def _details(issue: UnitIssue) -> str:
    units = f"{issue.left or 'a number'} against {issue.right or 'a number'}" if issue.left or issue.right else ""
    return "; ".join(part for part in (units, f"in {issue.equation}" if issue.equation else "") if part)


def unused(model: Model) -> tuple[Variable, ...]:
    """Variables that no other variable refers to, stocks with flows and control variables left out."""
    used = set(CONTROL)
    for variable in model.variables:
        used |= {ref.name for expr in expressions(variable) for ref in references(expr) if ref.name != variable.name}
    for macro in model.macros:
        used |= {ref.name for inner in macro.variables for expr in expressions(inner) for ref in references(expr)}
    return tuple(v for v in model.variables if v.name not in used and not isinstance(v, Stock))
