"""The corpus models run through PySD as it is, for expected files and to know its faults."""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sanitise import sanitise
from sanitise_xmile import sanitise_xmile

from cipark_sd.base.naming import canonical
from cipark_sd.language.read.vensim.entries import decoded

T = TypeVar("T")
CONTROL = {"initial_time", "final_time", "time_step", "saveper"}


def model_file(folder: Path) -> Path:
    """The one model in a folder of the corpus."""
    (found,) = (
        path for path in folder.iterdir() if path.stem == "model" and path.suffix in (".mdl", ".xmile", ".stmx")
    )
    return found


def flat(label: str) -> str:
    """The canonical name of a column such as ``Residents[SOE,Large]``."""
    head, bracket, elements = label.partition("[") if not label.startswith('"') else (label, "", "")
    if not bracket:
        return canonical(head)
    return f"{canonical(head)}[{','.join(canonical(element) for element in elements.rstrip(']').split(','))}]"


def in_pysd(folder: Path, use: Callable[[Any], T]) -> T:
    """What is done with a model that PySD has read, without any repair."""
    import pysd
    from lxml import etree

    source = model_file(folder)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        copy = Path(scratch) / folder.name
        shutil.copytree(folder, copy)
        target = copy / source.name
        if source.suffix == ".mdl":
            target.write_text(sanitise(decoded(source.read_bytes())), encoding="utf-8")
            return use(pysd.read_vensim(str(target)))
        tree = etree.parse(str(source))
        sanitise_xmile(tree.getroot())
        tree.write(str(target), encoding="utf-8", xml_declaration=True)
        return use(pysd.read_xmile(str(target)))


def pysd_table(folder: Path, asked: list[str] | None = None) -> pd.DataFrame:
    """All saved variables of a model, or those asked for, by PySD; columns by flat name."""
    table = in_pysd(folder, lambda model: model.run(return_columns=asked))
    table.columns = [flat(column) for column in table.columns]
    kept = [name for name in table.columns if name not in CONTROL and not table[name].map(callable).any()]
    # where Python makes a number complex, its real part stands here, which is wrong on purpose
    table = table[kept].map(np.real).astype(float)
    table.index.name = "time"
    return table


#: Of a variable: its label, dimensions, units, limits and comment.
Words = tuple[str, tuple[str, ...], str, tuple[float | None, float | None], str]


def pysd_words(folder: Path) -> dict[str, Words]:
    """What PySD reads of each variable beside its equation, by canonical name."""
    table = in_pysd(folder, lambda model: model.doc)
    table = table[table["Py Name"] != "time"].astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return {
        canonical(row["Real Name"]): (
            row["Real Name"].strip('"'),
            tuple(canonical(dimension) for dimension in row["Subscripts"] or ()),
            row["Units"] or "",
            tuple(None if np.isnan(limit) else float(limit) for limit in row["Limits"][:2]),
            row["Comment"] or "",
        )
        for row in rows
    }
