"""Which model files of a folder are read, run, and agree with the outputs that their vendor recorded beside them.

    python tools/coverage.py FOLDER [--csv FILE]

A file agrees when every recorded column that the run has lies within ``1e-3 x largest recorded + 1e-6`` at every
recorded time. Outputs are ``output.csv`` or ``output.tab`` beside the model, columns named after variables.
"""

import argparse
import csv
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from cipark_sd.errors import CiparkError
from cipark_sd.frontends.model_file import SUFFIXES, read_model
from cipark_sd.model.model import Model
from cipark_sd.naming import canonical
from cipark_sd.simulation import simulate


def recorded(path: Path) -> pd.DataFrame | None:
    """The vendor's output beside a model: times down, one column a variable."""
    for name, separator in (("output.csv", ","), ("output.tab", "\t")):
        file = path.parent / name
        if not file.is_file():
            continue
        for encoding in ("utf-8-sig", "cp1252"):
            try:
                frame = pd.read_csv(file, sep=separator, encoding=encoding, index_col=0)
                break
            except UnicodeDecodeError:
                continue
        if canonical(str(frame.index.name)).startswith("time"):
            return frame.loc[:, ~frame.columns.str.startswith("Unnamed")]
        frame = frame.T
        return frame if len(frame) else None
    return None


def columns(model: Model, run) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """Each saved column by canonical name, elements as ``name[a,b]``."""
    found: dict[str, np.ndarray] = {}
    for name in run.data_vars:
        variable = model.by_name.get(str(name))
        if variable is None:
            continue
        values = run[name].to_numpy()
        if "time" not in run[name].dims:
            values = np.broadcast_to(values, (run.sizes["time"], *values.shape))
        flat = values.reshape(run.sizes["time"], -1)
        for index, elements in enumerate(model.elements(variable)):
            label = f"{name}[{','.join(elements)}]" if elements else str(name)
            found[label] = flat[:, index]
    return found


def key(column: str) -> str:
    """A recorded column's name as :func:`columns` has it."""
    name, _, inside = column.partition("[")
    elements = ",".join(canonical(part) for part in inside.rstrip("]").split(",")) if inside else ""
    return f"{canonical(name)}[{elements}]" if elements else canonical(name)


def compare(model: Model, run, frame: pd.DataFrame) -> tuple[int, list[str]]:  # type: ignore[no-untyped-def]
    """How many recorded columns the run has, and those that differ."""
    own = columns(model, run)
    times = run["time"].to_numpy()
    at = pd.to_numeric(pd.Series(frame.index), errors="coerce").to_numpy(dtype=float)
    known = [(i, int(np.argmin(abs(times - t)))) for i, t in enumerate(at) if np.isfinite(t)]
    known = [(i, j) for i, j in known if abs(times[j] - at[i]) < 1e-6 * max(1, abs(at[i]))]
    compared, differ = 0, []
    for column in frame.columns:
        values = own.get(key(str(column)))
        if values is None:
            continue
        expected = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        pairs = [(expected[i], values[j]) for i, j in known if np.isfinite(expected[i])]
        if not pairs:
            continue
        compared += 1
        want, have = np.array(pairs).T
        if not (abs(want - have) <= 1e-3 * abs(want).max() + 1e-6).all():
            differ.append(str(column))
    return compared, differ


def state(path: Path) -> tuple[str, str]:
    """What became of a file, in a word and in detail."""
    try:
        model = read_model(path)
    except CiparkError as problem:
        return "refused", str(problem)
    try:
        constants = [
            v.name for v in model.variables if not hasattr(v, "interpolation") and type(v).__name__ != "Lookup"
        ]
        run = simulate(model, save=constants, engine="native")
    except CiparkError as problem:
        return "does not run", str(problem)
    frame = recorded(path)
    if frame is None:
        return "runs", "nothing recorded"
    compared, differ = compare(model, run, frame)
    if not compared:
        return "runs", "no recorded column of that name"
    return ("differs", ", ".join(differ[:5])) if differ else ("agrees", f"{compared} columns")


def main() -> int:
    """The table on the screen, and as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--skip", help="Leave out files whose path holds this.")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    paths = sorted(p for p in asked.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    for path in paths:
        if asked.skip and asked.skip in str(path):
            continue
        if "<xmile" not in path.read_text("utf-8", "replace") and path.suffix.lower() != ".mdl":
            continue
        word, detail = state(path)
        rows.append((str(path.relative_to(asked.folder)), word, " ".join(detail.split())))
        if word not in ("agrees", "runs"):
            print(f"{word:13} {rows[-1][0]}: {rows[-1][2][:300]}")
    for suffix, name in ((".mdl", "Vensim"), ("", "XMILE")):
        counts = Counter(word for path, word, _ in rows if path.endswith(".mdl") == bool(suffix))
        print(f"{name}: {sum(counts.values())} files; " + ", ".join(f"{n} {word}" for word, n in counts.most_common()))
    if asked.csv:
        with asked.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "state", "detail"), *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
