"""World3 on every engine and, if it was computed, against another implementation of the 1974 equations.

``--other FILE`` takes a CSV with ``time`` and columns named as the model's variables.
"""

import shutil
import tempfile
import warnings
from pathlib import Path

import click
import numpy as np
import pandas as pd
from cases import CASES
from measure import show, show_machine

from cipark_sd.base.naming import canonical
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.simulations.simulation import simulate


def worst(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[int, str, float]:
    """How many columns both have, and the one that differs most, as a part of its largest value."""
    shared = [name for name in ours if name in theirs]
    differences = {}
    for name in shared:
        scale = np.abs(ours[name]).max() or 1.0
        differences[name] = float(np.abs(ours[name].to_numpy() - theirs[name].to_numpy()).max() / scale)
    name = max(differences, key=differences.__getitem__)
    return len(shared), name, differences[name]


@click.command(help=__doc__)
@click.option("--other", "table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "name", default="world3", show_default=True, type=click.Choice(list(CASES)))
@click.option("--quick", is_flag=True, help="The small model, without PySD.")
def main(table: Path | None, name: str, quick: bool) -> None:
    warnings.simplefilter("ignore")
    import pysd
    import simlin

    case = CASES["power" if quick else name]
    constant = Constant | Lookup
    save = [v.name for v in case.model.variables if not isinstance(v, constant) and not v.dims]
    runs = {engine: simulate(case.model, save=save, engine=engine).to_dataframe() for engine in ("native", "numpy")}
    runs["pysimlin"] = simlin.load(str(case.path)).run(analyze_loops=False).results
    if not quick:
        with tempfile.TemporaryDirectory() as folder:
            # PySD writes its translation beside the file
            runs["pysd"] = pysd.read_vensim(shutil.copy(case.path, folder)).run()
        runs["pysd"].columns = [canonical(column) for column in runs["pysd"].columns]
    if table is not None:
        runs[table.name] = pd.read_csv(table).set_index("time").loc[runs["native"].index]
    rows = []
    for side, run in list(runs.items())[1:]:
        n, variable, difference = worst(runs["native"], run)
        rows.append((side, n, variable, f"{difference:.1e}"))
    show(f"{case.name}: native against others", ("side", "columns", "differs most", "part of its scale"), rows)
    show_machine()


if __name__ == "__main__":
    main()
