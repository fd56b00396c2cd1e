"""A run store against the same runs without one: processor time, bytes, memory, and how long a store takes to open.

Both sides compute the same chunks on the same threads; one throws them away. Time is that of the processors that this
process used, so that what else runs on the machine does not count.
"""

import resource
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
import numpy as np
from cases import CASES, Case
from measure import show, show_machine

from cipark_sd.runs.design import Drawn
from cipark_sd.runs.stored import store_runs
from cipark_sd.runs.work import ChunkTask, Work
from cipark_sd.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.store.chunks import RunStore
from cipark_sd.tasks.threads import Threads


def work_of(case: Case, runs: int, times: tuple[float, ...] | None) -> Work:
    """Runs over 5 % around the case's drawn constants."""
    values = dict(zip(case.program.params, case.program.defaults, strict=True))
    spans = [(name, sorted((0.95 * values[name], 1.05 * values[name]))) for name in case.drawn]
    factors = Factors(tuple(Factor(name, Uniform(low, high)) for name, (low, high) in spans))
    return Work(case.model, Drawn("lhs", runs, factors, 1), case.saved, "native", times)


def without(work: Work, threads: int, chunk: int) -> float:
    """Seconds of the processors for all chunks, which are thrown away."""
    n = work.design.n
    tasks = (ChunkTask(work, i // chunk, i, min(n, i + chunk)) for i in range(0, n, chunk))
    start = time.process_time()
    with Threads(threads) as pool, closing(pool.answers(tasks)) as answers:
        for _ in answers:
            pass
    return time.process_time() - start


def stored(work: Work, path: Path, threads: int, chunk: int) -> float:
    """Seconds of the processors with a store that is begun, which takes some 0.1 s whatever its size."""
    RunStore.of(path, work.layout({}, chunk=chunk))
    start = time.process_time()
    with Threads(threads) as pool:
        store_runs(work, path, pool, chunk=chunk)
    return time.process_time() - start


def overhead(work: Work, folder: Path, threads: int, chunk: int, repeats: int) -> tuple[float, float]:
    """Seconds without and with a store, the least of several turns each."""
    sides: tuple[list[float], list[float]] = ([], [])
    without(work, threads, chunk)
    for turn in range(repeats):
        sides[0].append(without(work, threads, chunk))
        sides[1].append(stored(work, folder / f"{turn}.zarr", threads, chunk))
        shutil.rmtree(folder / f"{turn}.zarr")
    return min(sides[0]), min(sides[1])


def large(work: Work, path: Path, threads: int) -> list[tuple[str, str]]:
    """One store as large as is asked for: time, memory as it grows, and opening."""
    samples: list[tuple[int, float]] = []

    def progress(n_done: int, _: int) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append((n_done, pages * resource.getpagesize() / 1e6))

    wall, cpu = time.perf_counter(), time.process_time()
    with Threads(threads) as pool:
        store_runs(work, path, pool, progress=progress)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n_done, memory = np.array(samples).T
    later = n_done > work.design.n / 4
    slope = np.polyfit(n_done[later], memory[later], 1)[0] * 1e6 if later.sum() > 2 else float("nan")
    start = time.perf_counter()
    opened = RunStore(path).open()
    opening = time.perf_counter() - start
    start = time.perf_counter()
    complete = RunStore(path).n_complete()
    counting = time.perf_counter() - start
    size = RunStore(path).size()
    return [
        ("runs", f"{complete:,}"),
        ("wall time", f"{wall:.0f} s"),
        ("processor time", f"{cpu:.0f} s, {cpu / complete * 1e6:.0f} us a run"),
        ("memory after a quarter, at the end", f"{memory[later][0]:.0f} MB, {memory[-1]:.0f} MB"),
        ("slope of memory over the last three quarters", f"{slope:.2f} MB a million runs"),
        ("bytes a run, and on disk", f"{work.layout({}).bytes_per_run:,}, {size / complete:,.0f}"),
        ("chunks of", f"{RunStore(path).chunk:,} runs"),
        ("opened lazily in", f"{opening:.2f} s ({opened.sizes['run']:,} runs)"),
        ("complete chunks counted in", f"{counting:.3f} s"),
    ]


@click.command(help=__doc__)
@click.option("--model", default="park", show_default=True, type=click.Choice(list(CASES)))
@click.option("--runs", default=1_000_000, show_default=True, help="Of the large store.")
@click.option("--compare", default=40_000, show_default=True, help="Runs of the comparison.")
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the stores go, for a while.")
@click.option("--compare-only", is_flag=True, help="No large store.")
@click.option("--quick", is_flag=True, help="A thousand runs of the small model, once.")
def main(
    model: str,
    runs: int,
    compare: int,
    threads: int,
    repeats: int,
    folder: Path | None,
    compare_only: bool,
    quick: bool,
) -> None:
    case = CASES["power" if quick else model]
    if quick:
        runs, compare, repeats = 1000, 1000, 1
    dates = tuple(case.eight_dates())
    with tempfile.TemporaryDirectory(dir=folder) as there:
        rows = []
        for label, times, whole in (
            ("all saved times, a store of its own", None, compare),
            ("eight times, a store of its own", dates, compare),
            (f"all saved times, as in one of {runs:,} runs", None, runs),
            (f"eight times, as in one of {runs:,} runs", dates, runs),
        ):
            work = work_of(case, compare, times)
            chunk = work_of(case, whole, times).layout({}).chunk
            bare, stored = overhead(work, Path(there), threads, chunk, repeats)
            size = work.layout({}).bytes_per_run
            label = f"{label}, chunks of {chunk:,}"
            rows.append((label, f"{size:,}", f"{bare:.2f} s", f"{stored:.2f} s", f"{stored / bare - 1:+.1%}"))
        columns = ("saved", "bytes a run", "computed", "computed and stored", "overhead")
        show(f"{compare:,} runs of {case.name}, {threads} threads, processor time", columns, rows)
        if compare_only:
            return
        work = work_of(case, runs, dates)
        show(f"One store of {case.name}, eight times", ("", ""), large(work, Path(there) / "large.zarr", threads))
    show_machine()


if __name__ == "__main__":
    main()
