"""What size costs: models of up to 100,000 operations, tables of thousands of points, 40,000 saved times.

Times are processor time, each in a process of its own, with an exponent of growth between the smallest and the largest
size. What is compiled is never from disk.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from measure import show, show_machine

_CONTROL = "INITIAL TIME = 0 ~~|\nFINAL TIME = {final} ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"


def vector(n: int) -> str:
    """Stocks along a subscript, all tied to their sum: twelve operations an element."""
    return (
        f"el: (e1-e{n}) ~~|\ns[el] = INTEG(a[el] - b[el] * s[el] / tot, k[el]) ~~|\nk[el] = 1 + c ~~|\nc = 2 ~~|\n"
        "a[el] = MAX(0.5 * s[el] - tot / 1000, 0) ~~|\nb[el] = s[el] * 0.01 + SIN(s[el]) ~~|\n"
        f"tot = SUM(s[el!]) + 1 ~~|\n{_CONTROL.format(final=2)}"
    )


def chain(n: int) -> str:
    """Variables that each need the one before: four operations a variable."""
    links = "".join(f"v{i} = v{i - 1} * 0.5 + {i} * p ~~|\n" for i in range(1, n))
    return f"{links}v0 = Time ~~|\np = 3 ~~|\ntot = v{n - 1} ~~|\n{_CONTROL.format(final=2)}"


def table(n: int) -> str:
    """A graphical function of so many points."""
    points = ",".join(f"({i},{(i * 7919) % 1000})" for i in range(n))
    return f"t({points}) ~~|\ntot = t(Time * 3) ~~|\n{_CONTROL.format(final=2)}"


def times(n: int) -> str:
    """A stock that is saved so many times."""
    return f"tot = INTEG(-0.1 * tot, 1) ~~|\n{_CONTROL.format(final=n)}"


#: Title, model, sizes, engine, and the seconds that the largest may take.
CASES: dict[str, tuple[str, Callable[[int], str], tuple[int, ...], str, float]] = {
    "vector": ("a vector of stocks, 12 operations an element", vector, (1000, 2000, 4000, 8000), "native", 15.0),
    "chain": ("a chain of variables, 4 operations each", chain, (3000, 6000, 12000, 25000), "native", 15.0),
    "table": ("points of a table", table, (750, 1500, 3000, 6000), "native", 2.0),
    "wasm": ("points of a table, as WebAssembly", table, (750, 1500, 3000, 6000), "wasm", 2.0),
    "times": ("saved times of a stock", times, (5000, 10000, 20000, 40000), "native", 2.0),
}


def first_run(case: str, n: int) -> float:
    """Processor time of reading, lowering, compiling and running a model, in this process."""
    from cipark_sd.data.scenarios import Scenario
    from cipark_sd.engines.registry import ENGINES
    from cipark_sd.language.read.model_file import read_model
    from cipark_sd.simulations.ensembles import ensemble

    _, text, _, engine, _ = CASES[case]
    if engine not in ENGINES:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "shared"))
        from wasm_engine import ROW

        ENGINES[engine] = ROW
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.mdl"
        path.write_text("{UTF-8}\n" + text(n), encoding="utf-8")
        start = time.process_time()
        ensemble(read_model(path), [Scenario()], save=["tot"], engine=engine)
        return time.process_time() - start


def in_a_process(case: str, n: int) -> float:
    """The same in a new process with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        made = subprocess.run(
            [sys.executable, __file__, "--only", case, "--size", str(n)],
            env={**os.environ, "CIPARK_CACHE": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(made.stdout)


@click.command()
@click.option("--only", type=click.Choice(list(CASES)), help="One case in this process, of one size.")
@click.option("--size", type=int)
@click.option("--quick", is_flag=True, help="Small sizes, and one of them alone in a process of its own.")
def main(only: str | None, size: int | None, quick: bool) -> None:
    """What size costs."""
    if only is not None and size is not None:
        print(first_run(only, size))
        return
    rows = []
    for case, (title, _, sizes, _, most) in CASES.items():
        chosen = tuple(n // 100 for n in sizes[:2]) if quick else sizes
        seconds = [(first_run if quick and (rows or n != chosen[0]) else in_a_process)(case, n) for n in chosen]
        exponent = math.log(seconds[-1] / seconds[0]) / math.log(chosen[-1] / chosen[0])
        shown = ", ".join(f"{n:,}: {taken:.2f} s" for n, taken in zip(chosen, seconds, strict=True))
        rows.append((title, shown, f"{exponent:.2f}", f"{most:g} s"))
    show("What size costs", ("what grows", "size and processor time", "exponent", "aim for the largest"), rows)
    show_machine()


if __name__ == "__main__":
    main()
