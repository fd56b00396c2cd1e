"""Joint draws of a model's parameters, one set for each structure of the model."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cipark_sd.analysis.experiments.definition import Uncertainty
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, MissingFile
from cipark_sd.base.inputs import TABLE_LIMIT, check_readable
from cipark_sd.base.naming import override_key
from cipark_sd.data.netcdf import read_groups
from cipark_sd.statements.claims import UNSEEN, Basis, Origin, worth

#: Groups of a file of draws: the draws, and how well their chains agree.
POSTERIOR, CONVERGENCE = "posterior", "convergence"


@dataclass(frozen=True, eq=False)
class Draws:
    """Joint draws under one structure.

    Parameters
    ----------
    rival : str
        The structure's id.
    values : mapping of str to (n_draws,)
        By override key (``Name`` or ``Name[element]``, any spelling; stored canonically).
    weight : float
        Of the structure among its rivals, such as a stacking weight; NaN where there is none.
    converged : bool or None
        Of draws from chains; None where nobody has said.
    independent : float
        How many independent draws all of them are worth, at most; infinite for draws that do not depend on each other.
    noise : mapping of str to (n_draws,)
        By name of the study, numbers of the noise of the data in the same draws, which no run of the model takes.
    whole : Draws, optional
        All draws, of which these are some: what is said of the constants themselves takes no run, and is of them.

    Raises
    ------
    InvalidValue
        For arrays of different lengths, none at all, or values that are not finite.
    """

    rival: str
    values: Mapping[str, NDArray[np.float64]]
    origin: Origin
    weight: float = math.nan
    converged: bool | None = None
    independent: float = math.inf
    noise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    whole: "Draws | None" = None

    def __post_init__(self) -> None:
        values = {override_key(name): np.asarray(array, dtype=float) for name, array in self.values.items()}
        shapes = {array.shape for array in (*values.values(), *self.noise.values())}
        where = f"the draws for {self.rival}"
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or not next(iter(shapes))[0]:
            raise InvalidValue("their shapes", sorted(shapes), "one length, at least 1", where=where)
        bad = [name for name, array in values.items() if not np.isfinite(array).all()]
        if bad:
            raise InvalidValue("the values of", ", ".join(bad), "finite numbers", where=where)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def basis(self) -> Basis:
        """What they are, in words."""
        return Basis(self.origin, len(self), self.converged, worth(self.independent))

    @property
    def effective(self) -> float:
        """How many independent draws these are worth."""
        return min(float(len(self)), self.independent)

    def take(self, positions: ArrayLike) -> "Draws":
        """Some of the draws, by position."""
        chosen = np.asarray(positions)
        values, noise = ({name: array[chosen] for name, array in of.items()} for of in (self.values, self.noise))
        return replace(self, values=values, noise=noise)

    def under(self, rival: str) -> "Draws":
        """The same draws for another structure: those from data are borrowed, others stay what they are."""
        after_data = self.origin not in UNSEEN
        return replace(self, rival=rival, origin="borrowed" if after_data else self.origin)

    def thinned(self, n: int) -> "Draws":
        """``n`` of the draws, evenly spaced; all of them where there are no more.

        Neighbours of one chain say nearly the same, so that few of many dependent draws lose little if they are apart,
        and as much as independent ones if they are chosen at random.
        """
        if n >= len(self):
            return self
        return replace(self.take(np.linspace(0, len(self) - 1, n).round().astype(int)), whole=self.whole or self)

    def widened(self, uncertainties: Sequence[Uncertainty], seed: int) -> "Draws":
        """The draws with inputs that no data inform drawn beside them, over their ranges."""
        quantiles = {override_key(uncertainty.name): uncertainty.quantile for uncertainty in uncertainties}
        beside = latin_hypercube(quantiles, len(self), np.random.default_rng(seed))
        return replace(self, values={**self.values, **beside})


def latin_hypercube(
    quantiles: Mapping[str, Callable[[Array], Array]], n: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Values of independent inputs, together a Latin hypercube: each has one draw in each n-th of its distribution.

    Parameters
    ----------
    quantiles : mapping of str to callable
        By the name of the input, elementwise from shares between 0 and 1 to values.
    n : int
        Draws.

    Returns
    -------
    dict of str to (n,)
    """
    from scipy.stats import qmc

    if not quantiles:
        return {}
    unit = qmc.LatinHypercube(len(quantiles), rng=rng).random(n)
    return {name: quantile(column) for column, (name, quantile) in zip(unit.T, quantiles.items(), strict=True)}


class DrawsFile(NamedTuple):
    """What a file of draws holds.

    Parameters
    ----------
    columns : mapping of str to (n_draws,)
    attributes : what it says of all its groups; nothing of a CSV file
    effective : by parameter how many independent draws they are worth, empty where it does not say
    """

    columns: dict[str, Array]
    attributes: dict[str, Any]
    effective: Array


def read_file(path: Path) -> DrawsFile:
    """Draws by name: the columns of a CSV file, or the variables of a group ``posterior`` of NetCDF, chain by chain.

    A variable with further dims is a name for each of their elements (``Approach Hazard[SOE]``); a dim ``parameter``
    holds the names themselves.

    Raises
    ------
    InvalidValue
    """
    import pandas as pd

    from cipark_sd.data.results import dataset_of

    try:
        if path.suffix.lower() == ".csv":
            check_readable(path, TABLE_LIMIT)
            # as texts: pandas before 3 reads a number to one bit beside it
            table = pd.read_csv(path, dtype=str)
            columns = {str(name): column.to_numpy(dtype=float) for name, column in table.items()}
            return DrawsFile(columns, {}, np.array([]))
        groups = read_groups(path, POSTERIOR, CONVERGENCE, limit=TABLE_LIMIT)
        if POSTERIOR not in groups:
            raise ValueError("it has no such group")
        group = dataset_of(groups[POSTERIOR], path)
        arrays = {str(label): array.astype(float) for label, array in group.data_vars.items()}
        sizes = groups[CONVERGENCE].variables.get("ess_bulk") if CONVERGENCE in groups else None
        effective = np.array([]) if sizes is None else sizes[1].astype(float)
    except FileNotFoundError:
        raise MissingFile(path, where="--draws", instead="give a file of draws, or the word prior") from None
    except (OSError, ValueError, KeyError) as problem:
        expected = "columns by name (.csv) or NetCDF with a group 'posterior' (.nc)"
        reason = getattr(problem, "strerror", None) or problem
        raise InvalidValue("the draws", f"{path} ({reason})", expected, where="--draws") from None
    columns = {}
    for label, array in arrays.items():
        if not {"chain", "draw"} <= set(array.dims):
            raise InvalidValue(f"the dims of {label!r}", array.dims, "chain and draw among them", where=str(path))
        named = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose("chain", "draw", *named).to_numpy()
        values = values.reshape(-1, *values.shape[2:])
        for place in np.ndindex(*values.shape[1:]):
            elements = ",".join(str(array[dim].to_numpy()[i]) for dim, i in zip(named, place, strict=True))
            name = f"{label}[{elements}]" if elements else label
            columns[elements if named == ["parameter"] else name] = values[(slice(None), *place)]
    return DrawsFile(columns, groups["/"].attributes, effective)


def attributes_of(path: Path) -> dict[str, Any]:
    """What a file says of all its groups, none of which is read; nothing of a CSV file.

    Raises
    ------
    OSError
        For a file that is not NetCDF.
    """
    return {} if path.suffix.lower() == ".csv" else read_groups(path, limit=TABLE_LIMIT)["/"].attributes
