"""What was found of decisions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cipark_sd.experiments.decisions import Decisions
from cipark_sd.experiments.definition import Catalogue

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DecisionsFound:
    """What alternatives do.

    Parameters
    ----------
    table : DataFrame
        Of :func:`cipark_sd.experiments.alternatives.alternatives_table`.
    costs : DataFrame
        A row for each alternative that costs something: ``alternative``, ``median``, ``low``, ``high`` of what it has
        cost by then.
    rules : DataFrame
        A row for each rule: ``alternative``, ``rule``, ``share`` of draws in which it was in force at all, ``median``,
        ``low``, ``high`` of how long in these.
    hangs_on, measurements : DataFrame
        Of the functions of those names in :mod:`cipark_sd.experiments.alternatives`.
    doubts : tuple of str
        Sentences.
    """

    table: "pd.DataFrame"
    costs: "pd.DataFrame"
    rules: "pd.DataFrame"
    hangs_on: "pd.DataFrame"
    measurements: "pd.DataFrame"
    doubts: tuple[str, ...]


def decided(catalogue: Catalogue) -> Decisions:
    """The decisions of a catalogue that has some."""
    assert catalogue.decisions is not None, "the part is run only where the catalogue has them"
    return catalogue.decisions
