"""``cipark certify``: all engines on one model, and their first divergence."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.base.console import Printable, Rows, busy
from cipark_sd.commands import options
from cipark_sd.commands.options import command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.commands.run import scenario_from
from cipark_sd.model.model import Method

if TYPE_CHECKING:
    from cipark_sd.verify.certificate import Certificate, Difference, Pair

#: Variables that the table shows; the certificate's file has all.
SHOWN = 15


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    assignments: tuple[str, ...] = options.assignments("Set a constant, NAME[element] too.")
    scenario_files: tuple[Path, ...] = options.scenario_files("A scenario (TOML).")
    recorded: Path | None = option(
        "--recorded", type=options.PATH, help="A run of another program: .csv, .tab or Vensim's .vdf."
    )
    engines: tuple[str, ...] = option(
        "--engines", multiple=True, metavar="NAMES", help="Comma-separated: native, numpy, pysd, pysimlin."
    )
    method: Method | None = options.method()
    recorded_tolerance: float | None = option(
        "--recorded-tolerance", type=click.FloatRange(min=0), help="Tolerance against the recorded run."
    )
    everything: bool = option("--all", is_flag=True, help="List all variables, equal ones too.")
    output: Path | None = options.output("Save the certificate: FILE.json.")


@command_of(Request)
def command(request: Request) -> Result:
    """Run FILE (by default the park model) on every engine and compare all variables.

    For each variable the table shows the largest difference, relative to the largest value of its column, and the time
    of the first divergence. The native and the NumPy engine have to be equal bit for bit, the others to 1e-12. A column
    that is only what rounding leaves of larger terms is compared on the scale of those terms, and listed. An engine
    that does not read the model, or is known to have another rule for one of its functions, takes no part, and the
    reason is shown.

    A recorded run has one column a variable, under any spelling of its name, and a column "time". A file that gives
    six digits needs --recorded-tolerance 1e-5.

    The exit code is 0 when the model is certified, 1 when sides differ, 2 when the input is not understood.

    \b
    Examples:
      cipark certify                                           the park model
      cipark certify my.mdl --recorded vensim.csv --recorded-tolerance 1e-5
      cipark certify my.xmile --engines native,pysd -o certificate.json
    """
    from cipark_sd.base.files import write_text
    from cipark_sd.data.described import check_writable
    from cipark_sd.verify.certificate import as_json, certify

    output = request.output
    if output is not None:
        check_writable(output, role="the certificate", endings=(".json",), where="-o")
    model = request.model()
    with busy(f"Running {model.name}") as update:
        certificate = certify(
            model,
            scenario_from(model, request.assignments, request.scenario_files),
            engines=options.split_names(request.engines) or None,
            recorded=request.recorded,
            method=request.method,
            recorded_tolerance=request.recorded_tolerance,
            begin=lambda engine: update(f"Running {model.name} on {engine}"),
        )
    facts = as_json(certificate)
    if output is not None:
        write_text(output, json.dumps(facts, indent=1) + "\n")
    saved = () if output is None else (f"saved {output}",)
    printed = (*_printed(certificate, everything=request.everything), *saved)
    return Result(facts, 0 if certificate.certified else 1, printed)


def _printed(certificate: "Certificate", *, everything: bool) -> Iterator[str | Printable]:
    question = certificate.question
    labels = {column: label for column, (_, label) in question.labels.items()}
    times = question.grid.saved_times
    yield (
        f"{question.model.name}: {question.method or question.model.time.method}, step {question.grid.step:g}, "
        f"{len(times)} saved times from {times[0]:g} to {times[-1]:g}"
    )
    rows = [_pair_row(pair, labels) for pair in certificate.pairs]
    heads = ("left", "right", "columns", "largest difference", "in", "tolerance", "result")
    yield Rows(heads, rows)
    yield ""
    yield from _columns(certificate, labels, everything=everything)
    for absent in certificate.left_out:
        yield f"{absent.name} {'failed' if absent.failed else 'takes no part'}: {absent.reason}"
    for side in certificate.sides:
        for remark in side.remarks:
            yield f"{side.name}: {remark}"
    for column, scale in certificate.rounded.items():
        yield f"round-off: {labels[column]} is what rounding leaves of terms of {scale:.4g}, and compared with them"
    for pair in certificate.pairs:
        if pair.first:
            first = min(d.apart_from for d in pair.apart if d.apart_from is not None)
            where = ", ".join(labels[column] for column in pair.first[:5])
            surplus = f" and {len(pair.first) - 5} more" if len(pair.first) > 5 else ""
            yield f"{pair.left} and {pair.right} part first at time {first:.10g} in {where}{surplus}"
    yield "certified" if certificate.certified else "not certified"


def _pair_row(pair: "Pair", labels: "dict[str, str]") -> list[str]:
    worst = pair.worst
    apart = f" in {len(pair.apart)} columns" if pair.apart else ""
    return [
        pair.left,
        pair.right,
        str(len(pair.differences)),
        "" if worst is None else f"{worst.largest:.1e}",
        "" if worst is None or worst.equal_bits else labels[worst.column],
        f"{pair.tolerance:g}",
        ("nothing in common" if worst is None else pair.verdict) + apart,
    ]


def _columns(certificate: "Certificate", labels: "dict[str, str]", *, everything: bool) -> Iterator[str | Printable]:
    """One row a column: the two sides that differ most in it."""
    every = [(difference, pair) for pair in certificate.pairs for difference in pair.differences]
    # beyond its tolerance comes before within it, however large
    every.sort(key=lambda entry: (entry[0].apart_from is None, -entry[0].largest))
    largest: dict[str, tuple[Difference, Pair]] = {}
    for difference, pair in every:
        largest.setdefault(difference.column, (difference, pair))
    ordered = list(largest.values())
    unequal = [entry for entry in ordered if not entry[0].equal_bits]
    shown = ordered if everything else unequal[:SHOWN]
    rows = [
        [
            labels[difference.column],
            f"{difference.largest:.1e}",
            f"{pair.left}, {pair.right}",
            f"{difference.at:.10g}",
            "never" if difference.apart_from is None else f"{difference.apart_from:.10g}",
            *(f"{value:.10g}" for value in (difference.left, difference.right)),
        ]
        for difference, pair in shown
    ]
    if rows:
        heads = ("variable", "largest", "sides", "at", "part at", "left", "right")
        yield Rows(heads, rows, right=(1, 3, 4, 5, 6))
    if len(unequal) > len(shown):
        yield f"and {len(unequal) - len(shown)} more; --all lists them, -o certificate.json keeps them"
    yield f"{len(ordered) - len(unequal)} of {len(ordered)} columns are the same on all sides, bit for bit"
