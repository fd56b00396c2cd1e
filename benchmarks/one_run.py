"""One warm run: the native engine, the NumPy engine and PySD."""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from cases import CASES, Case
from measure import in_turn, show_machine, show_times

from cipark_sd.simulation import simulate


def pysd_side(case: Case, folder: Path) -> Callable[[], object]:
    """PySD's own run of a copy of the file: it writes its translation beside it."""
    import pysd

    copy = Path(shutil.copy(case.path, folder))
    loaded = pysd.read_vensim(str(copy))

    def run() -> object:
        loaded.reload()
        return loaded.run(return_columns=list(case.saved))

    return run


def compare(case: Case, *, repeats: int, with_pysd: bool) -> None:
    """Print what a run takes; the engines are checked against each other first."""
    save = list(case.saved)
    sides: dict[str, Callable[[], object]] = {
        "native": lambda: simulate(case.model, save=save, engine="native"),
        "numpy": lambda: simulate(case.model, save=save, engine="numpy"),
    }
    native, numpy = (simulate(case.model, save=save, engine=name) for name in ("native", "numpy"))
    assert all(np.array_equal(native[name], numpy[name]) for name in save)
    times = in_turn({"native": sides["native"]}, repeats=20 * repeats)
    times |= in_turn({"numpy": sides["numpy"]}, repeats=repeats)
    if with_pysd:
        with tempfile.TemporaryDirectory() as folder:
            times |= in_turn({"pysd": pysd_side(case, Path(folder))}, repeats=repeats, warm=False)
    show_times(f"one run of {case.name}", times, base="native", unit="run")


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--repeats", default=3, show_default=True, help="Of PySD and NumPy; native is run 20 times as often.")
@click.option("--quick", is_flag=True, help="The small model alone, once, without PySD.")
def main(names: tuple[str, ...], repeats: int, quick: bool) -> None:
    warnings.simplefilter("ignore")  # PySD's, about what it imports
    for name in ("power",) if quick else names or tuple(CASES):
        start = time.perf_counter()
        compare(CASES[name], repeats=1 if quick else repeats, with_pysd=not quick)
        print(f"  ({time.perf_counter() - start:.0f} s)")
    show_machine()


if __name__ == "__main__":
    main()
