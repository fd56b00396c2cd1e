"""Ensembles that are killed at random moments and given again: whether they end with the bits of one that never was.

Each cycle begins a store, kills the process that writes it (SIGKILL) one to three times after a random part of the time
that the whole takes, and lets the last one end. A cycle fails where the store cannot be opened in between, where a
chunk that is called complete does not have its digest, or where any byte differs in the end. With --dask the killed
process has a local cluster, or it is a worker that is killed.
"""

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from cases import CASES
from measure import show, show_machine
from store import work_of

from cipark_sd.runs.stored import store_runs
from cipark_sd.runs.work import Work
from cipark_sd.store.chunks import RunStore
from cipark_sd.store.schema import MARKS
from cipark_sd.tasks.pool import Pool
from cipark_sd.tasks.threads import Threads


def write(work: Work, path: Path, dask: bool) -> int:
    """A process of its own that writes a store; its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    try:
        store_runs(work, path, _pool(dask), chunk=64)
    finally:
        os._exit(0 if path.exists() and RunStore(path).n_complete() == work.design.n else 1)


def _pool(dask: bool) -> Pool:
    if not dask:
        return Threads(2)
    from cipark_sd.tasks.cluster import Cluster

    return Cluster("local", 2)


def ended(child: int) -> bool:
    """Wait for a process; whether it ended well."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def content(path: Path) -> str:
    """A digest of all that a store holds, marks included."""
    store = RunStore(path)
    total = hashlib.sha256()
    for name in (*store.columns.values(), MARKS):
        total.update(store.read(name, 0, store.n_chunks if name == MARKS else store.n_runs).tobytes())
    return total.hexdigest()


def cycle(work: Work, path: Path, expected: str, span: float, rng: np.random.Generator, dask: bool) -> tuple[int, str]:
    """How often a process was killed, and what was wrong."""
    kills = 0
    for _ in range(int(rng.integers(1, 4))):
        child = write(work, path, dask)
        time.sleep(float(rng.uniform(0, span)))
        os.killpg(child, signal.SIGKILL) if _leads(child) else os.kill(child, signal.SIGKILL)
        kills += not ended(child)
        if path.exists():
            store = RunStore(path)
            store.open()
            damaged = [i for i in np.flatnonzero(store.complete()) if not store.entry("chunk", int(i)).whole()]
            if damaged:
                return kills, f"chunks {damaged} are called complete and are not"
    if not ended(write(work, path, dask)):
        return kills, "the last process did not end well"
    return kills, "" if content(path) == expected else "other bits"


def _leads(child: int) -> bool:
    try:
        return os.getpgid(child) == child
    except ProcessLookupError:
        return False


@click.command(help=__doc__)
@click.option("--cycles", default=100, show_default=True)
@click.option("--runs", default=4_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--within", default=1.0, show_default=True, help="Kills fall into this share of the span of a run.")
@click.option("--dask", is_flag=True, help="On a local cluster.")
@click.option("--quick", is_flag=True, help="Two cycles.")
def main(cycles: int, runs: int, seed: int, within: float, dask: bool, quick: bool) -> None:
    if quick:
        cycles, runs = 2, 512
    case = CASES["power"]
    work = work_of(case, runs, tuple(case.eight_dates()))
    # the fingerprint of the program is taken once: a source that is edited meanwhile makes it no other program
    _ = work.identity
    rng = np.random.default_rng(seed)
    kills, killed, wrong = 0, 0, []
    with tempfile.TemporaryDirectory() as there:
        # the first compiles, the others are timed
        spans = []
        for name in ("first", "whole", "again"):
            start = time.perf_counter()
            if not ended(write(work, Path(there) / name, dask)):
                raise SystemExit("a process that nobody killed did not end well")
            spans.append(time.perf_counter() - start)
        span = min(spans)
        expected = content(Path(there) / "whole")
        for number in range(cycles):
            path = Path(there) / f"{number}.zarr"
            times, problem = cycle(work, path, expected, within * span, rng, dask)
            kills, killed = kills + times, killed + bool(times)
            if problem:
                wrong.append(f"cycle {number}: {problem}")
            shutil.rmtree(path, ignore_errors=True)
    kind = "a local cluster" if dask else "two threads"
    rows = [
        ("cycles", str(cycles)),
        ("of them with a kill", str(killed)),
        ("kills", str(kills)),
        ("span of a whole run", f"{span:.2f} s"),
    ]
    show(f"{runs:,} runs of {case.name} on {kind}", ("", ""), [*rows, ("wrong", str(len(wrong)))])
    for line in wrong:
        click.echo(line)
    show_machine()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
