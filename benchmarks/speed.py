"""What people wait for, beside what bounds it: the table of docs/results/benchmarks.md.

    python benchmarks/speed.py                          what takes minutes: kernels, one run, the posterior, commands
    python benchmarks/speed.py one --sde FOLDER           beside SDEverywhere's C: see `sdeverywhere.py`
    python benchmarks/speed.py one --sde FOLDER --zig "python -m ziglang"   and beside its WebAssembly
    python benchmarks/speed.py all player               all structures of the park; the page in a browser
    python benchmarks/speed.py --keep                   keeps the rows, and writes them into the page

Every number is of processor time, sides in turn in one process, the least of the repeats; commands run in a process of
their own with kernels on disk. A side that is ten times below what bounds it ends the script: its clock missed work.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import click
import numpy as np
from c_twin import OWN, twin
from cases import CASES, HERE, Case
from measure import in_turn, machine, refuse_nonsense

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs
from cipark_sd.engines.blocks import Blocks, by_run
from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.engines.wasm.compiling import LANES, compiled
from cipark_sd.simulations.ensembles import ensemble

ROOT = HERE.parent
KEPT = HERE / "speed.json"
PAGE = ROOT / "docs" / "results" / "benchmarks.md"
BEGIN, END = "<!-- speed -->\n", "<!-- end of speed -->\n"
#: Runs of a model that are computed at once.
MANY = 1024


@dataclass(frozen=True)
class Row:
    """What was measured, how much it is now, and what is wished."""

    measure: str
    now: float
    goal: str

    def cells(self) -> tuple[str, str, str]:
        """Of the table."""
        return self.measure, f"{self.now:.3g}" if self.now < 100 else f"{self.now:,.0f}", self.goal


@dataclass(frozen=True)
class Tools:
    """What the machine has besides Python: SDEverywhere and a compiler for WebAssembly; and how often to repeat."""

    sde: Path | None
    zig: str | None
    repeats: int
    cases: tuple[Case, ...]


def ratios(
    sides: Mapping[str, Callable[[], object]], bound: str, repeats: int, *, most: float = 10.0
) -> dict[str, float]:
    """The least processor time of each side over that of the one that bounds all; ``most`` as of refuse_nonsense."""
    times = in_turn(sides, repeats=repeats, clock=time.process_time)
    for side in sides:
        refuse_nonsense(times, side, bound, most=most)
    return {side: t.least / times[bound].least for side, t in times.items()}


def require_agreement(ours: Any, theirs: Any, most: float, names: str) -> None:
    """End the script where two sides do not compute the same."""
    worst = (
        np.abs(ours - theirs).reshape(len(ours), -1).max(axis=1) / np.abs(theirs).reshape(len(ours), -1).max(axis=1)
    ).max()
    if not worst <= most:
        raise SystemExit(f"{names} differ by {worst:.1e} of a scale")


def kernels(tools: Tools) -> list[Row]:
    """Many runs on one core, beside C of the same program with eight lanes and glibc's vector functions."""
    rows = []
    for case in tools.cases:
        dates, draws = case.eight_dates(), case.draws(MANY)
        inputs = case.inputs(MANY, dates=dates)
        c = twin(case.program, "libmvec")
        call = c.prepared(inputs)
        exact = not OWN & {node.op for node in case.program.nodes}
        require_agreement(
            NativeEngine().execute(case.program, inputs),
            by_run(call(), MANY),
            0 if exact else 1e-12,
            f"{case.name}, C and native",
        )
        sides: dict[str, Callable[[], object]] = {
            "kernel": lambda case=case, inputs=inputs: NativeEngine().execute(case.program, inputs),
            "ensemble": lambda case=case, draws=draws, dates=dates: ensemble(
                case.model, draws, save=case.saved, times=dates, workers=1
            ),
            "C": call,
        }
        of = ratios(sides, "C", tools.repeats)
        goal = {"park": "0.60", "world3": "0.95", "power": "0.70"}[case.name]
        rows.append(Row(f"kernel beside C with 8 lanes and libmvec, {case.name}", of["kernel"], goal))
        rows.append(Row(f"`ensemble()` beside the same, {case.name}", of["ensemble"], "1.05 at most"))
    return rows


def one_run(tools: Tools) -> list[Row]:
    """One run, beside scalar C of the same program and, where it is at hand, SDEverywhere's."""
    import sdeverywhere

    rows = []
    for case in tools.cases:
        inputs = case.inputs(1)
        defaults = np.array(case.program.defaults)[:, None]
        inputs = inputs.with_runs(defaults, inputs.runs)
        expected = NativeEngine().execute(case.program, inputs)[:, :, 0]
        native = {"kernel": lambda case=case, inputs=inputs: NativeEngine().execute(case.program, inputs)}
        sides: dict[str, Callable[[], object]] = {**native, "C": twin(case.program, "scalar").prepared(inputs)}
        of = ratios(sides, "C", 10 * tools.repeats)
        rows.append(Row(f"one run, kernel, beside scalar C of the same program, {case.name}", of["kernel"], "1"))
        # SDEverywhere cannot order the equations of power.mdl
        if tools.sde is None or case.name == "power":
            continue
        with tempfile.TemporaryDirectory() as folder:
            compilers = ["gcc", *([f"{tools.zig} cc"] if tools.zig else [])]
            theirs = {
                f"SDE {i}": sdeverywhere.native(case, tools.sde, Path(folder), c) for i, c in enumerate(compilers)
            }
            for run in theirs.values():
                require_agreement(expected, run(), 1e-9, f"{case.name}, SDEverywhere and native")
            of = ratios({**native, **theirs}, "SDE 0", 10 * tools.repeats)
            faster = min(of[name] for name in theirs)
            rows.append(Row(f"one run, kernel, beside SDEverywhere's C, {case.name}", of["kernel"] / faster, "1"))
            if tools.zig is not None:
                module = sdeverywhere.webassembly(case, tools.sde, Path(folder), tools.zig)
                require_agreement(expected, module(), 1e-9, f"{case.name}, SDEverywhere's WebAssembly and native")
                of = ratios({"wasm": in_page(case.program, inputs), "SDE": module}, "SDE", 10 * tools.repeats)
                rows.append(Row(f"one run as WebAssembly beside SDEverywhere's, {case.name}", of["wasm"], "1"))
    return rows


def in_page(program: Program, inputs: Inputs) -> Callable[[], object]:
    """One run as a page makes it: of a module that is there already, powers of 1 and 0 skipped."""
    sys.path.insert(0, str(ROOT / "tests" / "shared"))
    from wasm_engine import Layout, prepared

    module, *sizes = compiled(program, skips=True)
    blocks = Blocks(program, inputs, LANES)
    layout = Layout.of(program, *sizes, blocks, int(inputs.saved.sum()))
    return prepared(program, module, layout, blocks, inputs, 0, blocks.n_blocks)


def posterior_row(tools: Tools) -> list[Row]:
    """The log posterior of the park for the points of a batch, beside the runs of its model alone."""
    from calibration.likelihood.posterior import posterior
    from calibration.study import STUDIES
    from calibration.study.problem import read_problem

    engine = NativeEngine()
    density = posterior(read_problem(STUDIES / "great_stone"), engine)
    shares = np.random.default_rng(1).uniform(0.3, 0.7, size=(2048, len(density.space)))
    theta = density.space.from_unit(shares)
    repeated = density.runner._repeated
    assert repeated is not None
    inputs = repeated._inputs(theta[:, density.space.is_model])
    # the runs of the last batch are remembered
    batches = cycle((theta, theta[::-1]))
    sides = {
        "runs": lambda: engine.at(repeated._program, inputs, density.reader.places[:1]),
        "density": lambda: density.log_posterior(next(batches)),
    }
    # a density makes these runs, and reads more of them
    of = ratios(sides, "runs", tools.repeats, most=1.2)
    return [Row("log posterior of the park, a point in batches, beside the kernel", of["density"], "1.25")]


def draws(tools: Tools) -> list[Row]:
    """Effective draws of the worst of the park's 28 parameters for a second of processor, from Python."""
    from posterior import EFFORT, density_of, sampled

    ((seconds, drawn),) = sampled(density_of("park"), 1, EFFORT)
    worst = min((line.sd / line.mcse_mean) ** 2 for line in drawn.sampled.lines)
    return [Row("effective draws a second, park (28 parameters), from Python", worst / seconds, "1,500")]


#: Arguments of a command, what is asked of it, the goal in seconds, and that of its memory in MB.
COMMANDS: tuple[tuple[str, str, str, str], ...] = (
    ("--help", "`cipark --help`, seconds of processor", "0.5", ""),
    ("run WORLD3 -o OUT/x.csv", "`run -o x.csv`, World3, seconds of processor", "0.8", ""),
    ("run WORLD3 -o OUT/x.nc", "`run -o x.nc`, World3, seconds of processor", "0.8", ""),
    (
        "sensitivity --draws prior --rows 256 -o OUT/s",
        "`sensitivity --draws prior --rows 256`, seconds of processor",
        "10",
        "",
    ),
    ("calibrate -o OUT/c", "`cipark calibrate` of the park with its posterior, seconds of processor", "30", "400"),
)


def commands(tools: Tools) -> list[Row]:
    """Processor seconds and peak memory of whole commands, the second call of each: kernels are on disk then.

    In a folder of its own, or it would go on with what the first has kept.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for line, measure, goal, memory in COMMANDS if tools.repeats > 1 else COMMANDS[:2]:
            first, second = (
                line.replace("OUT/", out).replace("WORLD3", str(CASES["world3"].path)).split()
                for out in (f"{folder}/first-", f"{folder}/second-")
            )
            spent(first)
            cpu, peak = spent(second)
            rows.append(Row(measure, cpu, goal))
            if memory:
                rows.append(Row(f"peak memory of `{line.split()[0]}`, MB", peak, memory))
    return rows


def all_structures(tools: Tools) -> list[Row]:
    """The park's fourteen structures."""
    with tempfile.TemporaryDirectory() as folder:
        cpu, _ = spent(["calibrate", "--all", "-o", f"{folder}/all"])
    return [Row("`calibrate --all`, 14 structures, minutes of processor", cpu / 60, "3")]


def spent(arguments: list[str]) -> tuple[float, float]:
    """Processor seconds and the largest memory in MB of one call of ``cipark``, its children included.

    What Python compiles is kept from one call to the next, as it is for everybody, whatever this process was told.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "-c", "from cipark_sd.commands.cli import main; main()", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stderr is not None
    problems = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"cipark {' '.join(arguments)}: {problems}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def player(tools: Tools) -> list[Row]:
    """A move on the park's page in Chromium, wall time: only of an idle machine."""
    import player as page

    sys.path.insert(0, str(ROOT / "tests" / "shared"))
    from browsing import chromium

    rows = []
    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        made = page.park(Path(folder))
        for slow, words, goal in ((1, "idle", "40"), (6, "slowed six times", "200")):
            times, _, _ = page.measured(driver, made, 120, slow)
            rows.append(Row(f"player, a move on the park, 95 %, {words}, ms", float(np.quantile(times, 0.95)), goal))
    return rows


GROUPS: Mapping[str, Callable[[Tools], list[Row]]] = {
    "kernels": kernels,
    "one": one_run,
    "density": posterior_row,
    "draws": draws,
    "commands": commands,
    "all": all_structures,
    "player": player,
}
#: What is measured when nothing is named.
USUAL = ("kernels", "one", "density", "draws", "commands")


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    return of_lines([("measure", "now", "goal"), ("---",) * 3, *(row.cells() for row in rows)])


def of_lines(lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def keep(group: str, rows: list[Row], load: float) -> None:
    """Keep the rows of a group that was measured, and write all that are kept into the page."""
    groups = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    day = time.strftime("%d %B %Y", time.gmtime()).lstrip("0")
    about = {"day": day, "load": f"{load:.0f}", "machine": machine()}
    groups[group] = {**about, "rows": [asdict(row) for row in rows]}
    KEPT.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")
    before, old = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + tables(groups) + END + old.split(END)[1], encoding="utf-8")


def tables(groups: Mapping[str, Any]) -> str:
    """A table for each machine that measured some of the groups."""
    made = ""
    for on in dict.fromkeys(group["machine"] for group in groups.values()):
        those = [groups[name] for name in GROUPS if name in groups and groups[name]["machine"] == on]
        lines = [("measure", "now", "goal", "day, load"), ("---",) * 4]
        lines += [(*Row(**row).cells(), f"{group['day']}, {group['load']}") for group in those for row in group["rows"]]
        made += f"{on}:\n\n{of_lines(lines)}\n"
    return made


@click.command(help=__doc__)
@click.argument("groups", nargs=-1, type=click.Choice(list(GROUPS)))
@click.option(
    "--sde", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder with SDEverywhere."
)
@click.option("--zig", help="A command for zig, which compiles C to WebAssembly.")
@click.option("--keep", "keeps", is_flag=True, help="Keep the rows and write the page.")
@click.option("--quick", is_flag=True, help="The small model, each side twice.")
def main(groups: tuple[str, ...], sde: Path | None, zig: str | None, keeps: bool, quick: bool) -> None:
    cases = (CASES["power"],) if quick else tuple(CASES.values())
    tools = Tools(sde and sde.resolve(), zig, 1 if quick else 7, cases)
    for group in groups or (("kernels", "one", "commands") if quick else USUAL):
        load = os.getloadavg()[0]
        rows = GROUPS[group](tools)
        print(f"load {load:.1f}\n{table(rows)}", flush=True)
        if keeps:
            keep(group, rows, load)
    print(machine())


if __name__ == "__main__":
    main()
