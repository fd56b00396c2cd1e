"""``cipark check``: test a model against its units, its own laws and the modeller's expectations."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.console import Printable, Rows, echo, progress_bars
from cipark_sd.commands import options
from cipark_sd.commands.options import command_of, option
from cipark_sd.commands.result import Result

if TYPE_CHECKING:
    from cipark_sd.model.model import Model
    from cipark_sd.verify.checks.file import Checks
    from cipark_sd.verify.checks.outcome import Finding, Outcome

#: Findings of one check that the table shows; a report file has them all.
SHOWN = 10
#: What many variables of a file may lack, by the check that looks for it: one line with this many names.
_LACKING, _NAMED = {"documented": "documentation", "declared-units": "units"}, 3


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    checks: Path | None = option("--checks", type=options.PATH, help="Checks file (default: the one beside FILE).")
    engine: str = options.engine()
    only: tuple[str, ...] = option("--only", multiple=True, metavar="ID", help="Run only this check; repeatable.")
    extreme: bool = option("--extreme", is_flag=True, help="Also run each constant at both of its limits.")
    output: Path | None = options.output("Save all findings: FILE.csv or FILE.json.")


@command_of(Request)
def command(request: Request) -> Result:
    """Test a model: units, finite values, negative stocks, conservation, time step, reality checks.

    FILE is a Vensim or XMILE model, the park model when it is left out. Your expectations are in
    NAME.checks.toml; without that file only the built-in checks are made. A check that fails is reported with the
    numbers on both sides. A note is no failure.

    The exit code is 0 when everything passes, 1 when a check fails, 2 when the input is not understood.

    \b
    Examples:
      cipark check                               the park model
      cipark check my.mdl --only units           without a run
      cipark check my.mdl --checks mine.toml -o report.csv
      cipark check my.mdl --extreme              each constant at its limits
    """
    from cipark_sd.data.described import check_writable
    from cipark_sd.verify.checks.file import Checks, read_checks
    from cipark_sd.verify.checks.outcome import as_json, write_report
    from cipark_sd.verify.remarks import remarks

    output, only = request.output, request.only
    if output is not None:
        check_writable(output, role="the report", endings=(".csv", ".json"), where="-o")
    path = request.path
    model = request.model()
    beside = path.with_name(f"{path.stem}.checks.toml")
    source = request.checks or (beside if beside.is_file() else None)
    checks = Checks() if source is None else read_checks(source, model, named=source is request.checks)
    if request.extreme or ("extreme" in only and not checks.builtin.extreme):
        checks = replace(checks, builtin=replace(checks.builtin, extreme=True))
    for remark in remarks(model):
        echo(f"warning: {model.name}: {remark}", err=True)
    outcomes = _run(model, checks, request.engine, only)
    if output is not None:
        write_report(outcomes, output)
    printed = tuple(_printed(outcomes, f"{path.name}" + (f" against {source.name}" if source is not None else "")))
    failed = any(outcome.status == "fail" for outcome in outcomes)
    facts = {"model": model.name, "model_digest": model.digest, "checks": as_json(outcomes)}
    return Result(facts, int(failed), printed)


def _run(model: "Model", checks: "Checks", engine: str, only: Sequence[str]) -> tuple["Outcome", ...]:
    """The outcomes, with a bar that says which run is being made when a person is looking."""
    import functools

    from cipark_sd.engines import registry
    from cipark_sd.simulations.simulation import simulate
    from cipark_sd.verify.checks.run import run_checks

    if registry.choose(engine).foreign:
        # what crosses a chain is counted beside the model, in which this engine runs what the file has
        checks = replace(checks, builtin=replace(checks.builtin, conservation="off"))
    with progress_bars() as bars:
        begun = itertools.count()

        def progress(name: str, total: int) -> None:
            bars.show("runs", next(begun), total, name)

        return run_checks(model, checks, functools.partial(simulate, engine=engine), only=only, progress=progress)


def _printed(outcomes: Sequence["Outcome"], title: str) -> Iterator[str | Printable]:
    """The table: one row a check, and under it the findings of one that does not pass or that has several."""
    from cipark_sd.verify.checks.outcome import BUILT_IN_SOURCE

    rows = []
    for outcome in outcomes:
        # a built-in check only says what is wrong; of the modeller's own, every number is shown
        listed = [f for f in outcome.findings if not f.passed or outcome.source != BUILT_IN_SOURCE]
        only = outcome.findings[0] if len(outcome.findings) == 1 else None
        rows.append([outcome.id, outcome.title, outcome.status, *_numbers(only)])
        if only is not None and only.passed:
            continue
        if (lack := _LACKING.get(outcome.id)) and len(listed) > _NAMED:
            names = ", ".join(finding.claim.removesuffix(f" has no {lack}") for finding in listed[:_NAMED])
            sentence = f"  {len(listed)} variables have no {lack}: {names} and {len(listed) - _NAMED} more"
            rows.append(["", f"{sentence}; -o report.csv has them all", "", "", "", ""])
            continue
        for finding in listed[:SHOWN]:
            remark = f" ({finding.remark})" if finding.remark else ""
            rows.append(["", f"  {finding.claim}{remark}", "", *_numbers(None if only is not None else finding)])
        if len(listed) > SHOWN:
            rows.append(["", f"  and {len(listed) - SHOWN} more; -o report.csv has them all", "", "", "", ""])
    yield Rows(("id", "check", "result", "time", "left", "right"), rows, title=title)
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in ("pass", "fail", "note")}
    yield f"{counts['pass']} passed, {counts['fail']} failed, {counts['note']} noted"


def _numbers(finding: "Finding | None") -> list[str]:
    sides = (finding.time, finding.left, finding.right) if finding is not None else (None, None, None)
    return ["" if value is None else f"{value:.6g}" for value in sides]
