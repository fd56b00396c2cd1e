"""Whether the warm-up of trajectories leaves chains that are draws of the posterior: its simulation-based calibration.

Parameters are drawn from their prior and data from them; one chain of each group, as it stands when the warm-up ends,
is ranked with the truth. Groups know nothing of each other, so that each rank is as probable as any other if chains are
draws of the posterior (Talts and others 2018, arXiv:1804.06788). ``--planted`` leaves the drawing anew by weights out.
Moves at the first power mix these two hills by themselves, so that 600 data sets show little of it (p 0.03, and 0.09 to
0.33 with the drawing): what these ranks test is the whole warm-up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
from measure import show
from scipy import stats

from calibration.inference.sampling import sloped_scores, warming
from calibration.inference.sampling.warming import summits
from cipark_sd.base.arrays import Array

#: Independent groups of a data set, whose chains have ranks from 0 to this.
GROUPS = 4
#: The probability of ranks as uneven as these below which chains are no draws, over all that is ranked.
LEAST_P = 0.01


@dataclass(frozen=True)
class Known:
    """Numbers ``expected(x)`` of standard normal parameters ``x : (n, k)`` with normal noise of a known deviation."""

    k: int
    expected: Callable[[Array], Array]
    slopes: Callable[[Array], Array]
    noise: float


def _two_hills() -> Known:
    """One number that two values of the first parameter explain, of unequal weight; the second is free."""
    return Known(
        2,
        lambda x: x[:, :1] ** 2 + 0.4 * x[:, :1],
        lambda x: np.stack([2 * x[:, :1] + 0.4, np.zeros((len(x), 1))], axis=2),
        0.15,
    )


def _sheet() -> Known:
    """Five numbers of eight parameters: a bent sheet of three dimensions."""
    mixed = np.random.default_rng(5).standard_normal((5, 8))
    bent = np.eye(5, 8)

    def slopes(x: Array) -> Array:
        return mixed[None] + 0.6 * bent[None] * (x @ bent.T)[:, :, None]

    return Known(8, lambda x: x @ mixed.T + 0.3 * (x @ bent.T) ** 2, slopes, 0.3)


CASES: dict[str, Callable[[], Known]] = {"two hills": _two_hills, "bent sheet": _sheet}


class _Space:
    """Standard normal parameters, which are their own scores."""

    def __init__(self, k: int) -> None:
        self.names = tuple(f"x{i}" for i in range(k))

    def __len__(self) -> int:
        return len(self.names)

    def log_priors(self, theta: Array) -> Array:
        """``(n, k)``."""
        return np.asarray(-0.5 * theta**2 - 0.5 * np.log(2 * np.pi))


def scores_of(known: Known, data: Array) -> Any:
    """The posterior as the warm-up takes it."""

    def likelihood(_: object, points: Array) -> tuple[Array, Array]:
        away = (data - known.expected(points)) / known.noise
        return -0.5 * (away**2).sum(axis=1), (away[:, :, None] * known.slopes(points)).sum(axis=1) / known.noise

    sloped_scores.log_likelihood_and_gradient = likelihood  # type: ignore[assignment]
    return SimpleNamespace(
        theta=lambda points: points,
        log_prior=lambda points: -0.5 * (points**2).sum(axis=-1),
        log_likelihood=lambda points: likelihood(None, points)[0],
        draw_prior=lambda n, rng: rng.standard_normal((n, known.k)),
        density=SimpleNamespace(problem=SimpleNamespace(title="known")),
        space=_Space(known.k),
    )


def ranks(known: Known, seed: int) -> Array:
    """Of the parameters of one data set, and of its log likelihood, ``(k + 1,)``."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((1, known.k))
    data = known.expected(truth) + known.noise * rng.standard_normal((1, known.expected(truth).shape[1]))
    scores = scores_of(known, data)
    warm, chains = warming.warmed(scores, summits(scores, GROUPS, rng), rng)
    drawn = warm.target.scores_of(chains.stand[0]).reshape(GROUPS, -1, known.k)
    one_each = drawn[np.arange(GROUPS), rng.integers(drawn.shape[1], size=GROUPS)]
    values = np.column_stack([one_each, scores.log_likelihood(one_each)])
    return np.asarray((values < np.append(truth[0], scores.log_likelihood(truth))).sum(axis=0))


@click.command(help=__doc__)
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), help="Default all.")
@click.option("--data-sets", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--planted", is_flag=True, help="Without the drawing anew by weights.")
@click.option("--quick", is_flag=True, help="Two data sets of each.")
def main(names: tuple[str, ...], data_sets: int, seed: int, planted: bool, quick: bool) -> None:
    if planted:
        warming.anew = lambda log_weights, rng: np.arange(log_weights.size)
    rows, least, tests = [], 1.0, 0
    for name in names or CASES:
        known = CASES[name]()
        of_truths = np.array([ranks(known, seed * 100_000 + i) for i in range(2 if quick else data_sets)])
        for i, column in enumerate(of_truths.T):
            counts = np.bincount(column, minlength=GROUPS + 1)
            p, tests = float(stats.chisquare(counts).pvalue), tests + 1
            least = min(least, p)
            quantity = f"parameter {i + 1}" if i < known.k else "log likelihood"
            rows.append((name, quantity, " ".join(map(str, counts)), f"{p:.3f}"))
    show(f"Ranks of the truth among {GROUPS} chains, data sets of each rank", ("case", "of", "ranks", "p"), rows)
    if not quick and least * tests < LEAST_P:
        raise SystemExit(f"chains are no draws of the posterior: p {least:.2g}, the least of {tests}")


if __name__ == "__main__":
    main()
