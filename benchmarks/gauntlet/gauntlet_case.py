"""A case: a folder with a model, what the data are made with, and the command that a person would type.

``case.toml`` says all but the model itself. The model file holds the true constants; a data set's copy has those under
``[truth]`` wrong by random factors up to its level, rounded as a person rounds, and everything else right.
"""

import re
import shlex
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CASES = Path(__file__).parent / "cases"
#: By how much constants of the model file are wrong at most.
LEVELS = (1, 3, 10)
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"

Values = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Parameters
    ----------
    reading : str
        ``level`` at a time, ``flow`` over a period, or ``total`` of whole events since the start.
    law, size : str, float
        The noise and its dispersion or standard deviation.
    digits, every, gaps : int, int, float
        Decimals; how many rows apart its numbers are; the share of these that is missing.
    per : float
        What one of the table's units is in the model's.
    """

    header: str
    variable: str
    reading: str
    law: str
    size: float
    digits: int = 0
    every: int = 1
    gaps: float = 0.0
    per: float = 1.0


@dataclass(frozen=True)
class Case:
    """A folder, read; ``table`` is the section of that name."""

    name: str
    folder: Path
    title: str
    field: str
    command: tuple[str, ...]
    truth: Values
    refusal: str
    table: Mapping[str, object]
    columns: tuple[Column, ...]
    nature_step: float = 0.0

    @property
    def model(self) -> Path:
        """The model file with the true constants."""
        return next(path for path in sorted(self.folder.iterdir()) if path.suffix in (".mdl", ".stmx", ".xmile"))

    @property
    def rows(self) -> int:
        """Rows of the table, those held out included."""
        return int(str(self.table["rows"]))

    @property
    def known(self) -> int:
        """Rows that the table holds: the last fifth is held out."""
        return self.rows - self.rows // 5

    @property
    def key(self) -> int:
        """A number for random streams, of the name alone."""
        return zlib.crc32(self.name.encode())

    def in_file(self, level: int, seed: int) -> Values:
        """What the data set's model file has for each constant of the truth: at level 1 the truth."""
        rng = np.random.default_rng([self.key, level, seed])
        return {name: tuple(_wrong(v, float(level), rng) for v in numbers) for name, numbers in self.truth.items()}

    def text(self, values: Values) -> str:
        """The model file with these values.

        Raises
        ------
        ValueError
            Where the file has no such constant.
        """
        text = self.model.read_text(encoding="utf-8")
        for name, numbers in values.items():
            text, n = _place(name, self.model.suffix).subn(lambda m, x=numbers: m[1] + _written(x) + m[2], text)
            if n != 1:
                raise ValueError(f"{self.name}: {self.model.name} has {n} constants {name!r}, expected 1")
        return text

    def constant(self, name: str) -> tuple[float, ...]:
        """A constant's numbers in the model file; empty where it is none."""
        match = _place(name, self.model.suffix, capture=True).search(self.model.read_text(encoding="utf-8"))
        return tuple(float(number) for number in match[2].split(",")) if match else ()


def _wrong(value: float, level: float, rng: np.random.Generator) -> float:
    """A value off by up to ``level``, a fraction on its odds; two digits where it is wrong."""
    factor = level ** rng.uniform(-1, 1)
    if factor == 1 or value == 0:
        return value
    odds = value / (1 - value) * factor if 0 < value < 1 else 0.0
    return float(f"{odds / (1 + odds) if odds else value * factor:.2g}")


def _written(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.12g}" for number in numbers)


def _place(name: str, suffix: str, *, capture: bool = False) -> re.Pattern[str]:
    """Where a constant's numbers stand: the text before them, with ``capture`` the numbers, the text after."""
    numbers = rf"{_NUMBER}(?:\s*,\s*{_NUMBER})*"
    numbers = f"({numbers})" if capture else numbers
    words = r"\s+".join(re.escape(word) for word in name.split())
    if suffix == ".mdl":
        return re.compile(rf'(?m)(^[ \t]*"?{words}"?[ \t]*(?:\[[^\]]*\])?[ \t]*=\s*){numbers}(\s*~)')
    return re.compile(rf'(<(?:aux|stock) name="{words}"[^>]*>(?:(?!</aux>|</stock>).)*?<eqn>){numbers}(</eqn>)', re.S)


def read(name: str, folder: Path = CASES) -> Case:
    """The case of a folder."""
    content = tomllib.loads((folder / name / "case.toml").read_text(encoding="utf-8"))
    truth = {key: tuple(map(float, v if isinstance(v, list) else [v])) for key, v in content["truth"].items()}
    return Case(
        name=name,
        folder=folder / name,
        title=content["title"],
        field=content["field"],
        command=tuple(shlex.split(content["command"])),
        truth=truth,
        refusal=content.get("refusal", ""),
        table=content["table"],
        columns=tuple(map(_column, content["column"])),
        nature_step=float(content.get("nature_step", 0.0)),
    )


def _column(entry: dict[str, Any]) -> Column:
    noise = entry.pop("noise")
    return Column(law=noise["law"], size=float(noise.get("sd", noise.get("dispersion", 0.0))), **entry)


def names(folder: Path = CASES) -> list[str]:
    """All cases."""
    return sorted(path.parent.name for path in folder.glob("*/case.toml"))
