"""Expected values from PySD, for the features that have no closed form: ``python tests/corpus/make_expected.py``.

It runs every model whose ``expected.csv`` is missing or came from PySD, as PySD is, after the sanitiser only. It never
writes over a closed form: those come from ``closed_forms.py``, and a feature that PySD gets wrong has to have one. Look
at what it writes before you keep it.
"""

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "shared")]

from closed_forms import FORMS  # noqa: E402  (a script beside this one)
from running import pysd_table  # noqa: E402


def main() -> None:
    version = importlib.metadata.version("pysd")
    for folder in sorted(path for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_")):
        target = folder / "expected.csv"
        source = target.read_text(encoding="utf-8").splitlines()[0] if target.exists() else "# source: PySD"
        if folder.name in FORMS or not source.startswith("# source: PySD"):
            continue
        table = pysd_table(folder)
        with target.open("w", encoding="utf-8", newline="") as file:
            file.write(f"# source: PySD {version}\n")
            # an element without an equation is not a number throughout, and no column
            table.dropna(axis="columns", how="all").to_csv(file, lineterminator="\n")
        print(f"{folder.name}: {table.shape[1]} columns, {table.shape[0]} times")


if __name__ == "__main__":
    main()
