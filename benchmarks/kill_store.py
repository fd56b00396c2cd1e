"""Ensembles that are killed at random moments and given again: whether they end with the bits of one that never was.

Each cycle begins a store, kills the process that writes it (SIGKILL) one to three times after a random part of the time
that the whole takes, and lets the last one end. A cycle fails where the store cannot be opened in between, where a
chunk that is called complete does not have its digest, or where any byte differs in the end.

With --dask the process that writes is the client of a scheduler with two worker processes of their own. Either it is
killed, or a worker is, in whose place another one comes while the client goes on.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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


class Scheduler:
    """A scheduler of this machine with two workers, which can be killed."""

    def __init__(self) -> None:
        self._scheduler = _dask("scheduler", "--port", "0")
        self.address = self._listening()
        self._workers = [self._worker(), self._worker()]

    def _listening(self) -> str:
        assert self._scheduler.stderr is not None
        for line in self._scheduler.stderr:
            if match := re.search(r"tcp://127\.0\.0\.1:\d+", line):
                # whoever writes to a pipe that nobody reads waits in the end
                threading.Thread(target=self._scheduler.stderr.read, daemon=True).start()
                return match[0]
        raise SystemExit("the scheduler did not start")

    def _worker(self) -> "subprocess.Popen[str]":
        return _dask("worker", self.address, "--nthreads", "1", "--no-nanny", quiet=True)

    def kill_worker(self, place: int) -> None:
        """Kill one and start another one."""
        self._workers[place].kill()
        self._workers[place].wait()
        self._workers[place] = self._worker()

    def end(self) -> None:
        """Kill all of it."""
        for process in (*self._workers, self._scheduler):
            process.kill()
            process.wait()


def _dask(kind: str, *arguments: str, quiet: bool = False) -> "subprocess.Popen[str]":
    call = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
    heard = subprocess.DEVNULL if quiet else subprocess.PIPE
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=heard, text=True)


def write(work: Work, path: Path, address: str | None) -> int:
    """A process of its own that writes a store; its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    try:
        store_runs(work, path, _pool(address), chunk=64)
    finally:
        os._exit(0 if path.exists() and RunStore(path).n_complete() == work.design.n else 1)


def _pool(address: str | None) -> Pool:
    if address is None:
        return Threads(2)
    from cipark_sd.tasks.cluster import Cluster

    return Cluster(address)


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


def cycle(
    work: Work, path: Path, expected: str, span: float, rng: np.random.Generator, cluster: Scheduler | None
) -> tuple[int, int, str]:
    """How often a process that writes and a worker were killed, and what was wrong."""
    address = None if cluster is None else cluster.address
    kills, workers = 0, 0
    for _ in range(int(rng.integers(1, 4))):
        child = write(work, path, address)
        time.sleep(float(rng.uniform(0, span)))
        if cluster is not None and rng.random() < 0.5:
            workers += os.waitpid(child, os.WNOHANG)[0] == 0
            cluster.kill_worker(int(rng.integers(2)))
            if not _goes_on(child):
                return kills, workers, "the client did not end well after a worker was killed"
        else:
            os.killpg(child, signal.SIGKILL) if _leads(child) else os.kill(child, signal.SIGKILL)
            kills += not ended(child)
        if path.exists():
            store = RunStore(path)
            store.open()
            damaged = [i for i in np.flatnonzero(store.complete()) if not store.entry("chunk", int(i)).whole()]
            if damaged:
                return kills, workers, f"chunks {damaged} are called complete and are not"
    if not ended(write(work, path, address)):
        return kills, workers, "the last process did not end well"
    return kills, workers, "" if content(path) == expected else "other bits"


def _goes_on(child: int) -> bool:
    try:
        return ended(child)
    except ChildProcessError:
        # it was done before, and has been waited for
        return True


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
@click.option("--dask", is_flag=True, help="On a scheduler with two workers.")
@click.option("--quick", is_flag=True, help="Two cycles.")
def main(cycles: int, runs: int, seed: int, within: float, dask: bool, quick: bool) -> None:
    if quick:
        cycles, runs = 2, 512
    case = CASES["power"]
    work = work_of(case, runs, tuple(case.eight_dates()))
    # the fingerprint of the program is taken once: a source that is edited meanwhile makes it no other program
    _ = work.identity
    rng = np.random.default_rng(seed)
    kills, workers, killed, wrong = 0, 0, 0, []
    cluster = Scheduler() if dask else None
    address = None if cluster is None else cluster.address
    try:
        with tempfile.TemporaryDirectory() as there:
            # the first compiles, the others are timed
            spans = []
            for name in ("first", "whole", "again"):
                start = time.perf_counter()
                if not ended(write(work, Path(there) / name, address)):
                    raise SystemExit("a process that nobody killed did not end well")
                spans.append(time.perf_counter() - start)
            span = min(spans)
            expected = content(Path(there) / "whole")
            for number in range(cycles):
                path = Path(there) / f"{number}.zarr"
                of_writers, of_workers, problem = cycle(work, path, expected, within * span, rng, cluster)
                kills, workers = kills + of_writers, workers + of_workers
                killed += bool(of_writers + of_workers)
                if problem:
                    wrong.append(f"cycle {number}: {problem}")
                shutil.rmtree(path, ignore_errors=True)
    finally:
        if cluster is not None:
            cluster.end()
    rows = [
        ("cycles", str(cycles)),
        ("of them with a kill", str(killed)),
        ("processes that write, killed", str(kills)),
        *([("workers killed", str(workers))] if dask else []),
        ("span of a whole run", f"{span:.2f} s"),
    ]
    kind = "two workers of a scheduler" if dask else "two threads"
    show(f"{runs:,} runs of {case.name} on {kind}", ("", ""), [*rows, ("wrong", str(len(wrong)))])
    for line in wrong:
        click.echo(line)
    show_machine()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
