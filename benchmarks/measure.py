"""How things are timed and shown: sides in turn, the median of repeats, and the machine they were measured on."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from statistics import median

PACKAGES = ("numpy", "llvmlite", "pysd", "pysimlin")


@dataclass(frozen=True)
class Time:
    """Seconds that one side took, over its repeats."""

    median: float
    least: float


def in_turn(
    sides: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Time]:
    """Seconds of each side: all sides once untimed, then in turn, so that a busy moment meets every side.

    Parameters
    ----------
    clock : callable
        ``time.perf_counter``, or ``time.process_time`` for work, on any thread: it does not count the time in which
        other processes had the core.
    """
    for side in sides.values():
        side()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        # the order changes, so that no side is always the one after another
        names = list(sides) if repeat % 2 == 0 else list(sides)[::-1]
        for name in names:
            start = clock()
            sides[name]()
            taken[name].append(clock() - start)
    return {name: Time(median(seconds), min(seconds)) for name, seconds in taken.items()}


def refuse_nonsense(times: Mapping[str, Time], side: str, bound: str, *, most: float = 10.0) -> None:
    """End the script where ``side`` is so many times as fast as one that bounds it: the clock has missed its work."""
    ratio = times[bound].least / times[side].least
    if ratio > most:
        raise SystemExit(f"{side} cannot be {ratio:.0f} times as fast as {bound}: the clock does not see its work")


def machine() -> str:
    """Processor, cores and versions, in one line."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            facts = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in facts.items()}
        model = f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"
        model += ", AVX-512" if "avx512f" in fields["flags"].split() else ""
    except (OSError, KeyError):
        model = f"{model}, {platform.system()}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES if _installed(name))
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def seconds(value: float) -> str:
    """A duration with its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a small table in plain text."""
    table = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(table):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def show_times(title: str, times: Mapping[str, Time], *, base: str) -> None:
    """Print the sides' times and how many times ``base``'s each one is."""
    rows = [
        (name, seconds(t.median), seconds(t.least), f"{t.median / times[base].median:.3g}") for name, t in times.items()
    ]
    show(title, ("side", "median a call", "least", f"ratio to {base}"), rows)


def show_machine() -> None:
    """Print what it was measured on, and how busy the machine is: figures of a busy machine are not for the record."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{machine()}; load {busy:.1f}\n{' '.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])}")
