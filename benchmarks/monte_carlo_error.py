"""Whether means and limits of a posterior miss the truth by as much as their Monte Carlo errors say.

Targets of known moments are sampled by many groups of four ensembles, each group judged by itself as a calibration's
chains are: sampling ends when all of it has converged at two looks in a row. The root mean square of each miss in units
of its own error is near 1 where errors are right. Beside it stands what ending at the first good look would give.

    python benchmarks/monte_carlo_error.py --runs 20

Each group is as independent of the others as runs with other seeds are; all move together since that is faster.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from calibration.inference.sampling.chains import looks
from calibration.inference.sampling.convergence import CONVERGED, QUANTILES, Convergence, Effort, convergence
from calibration.inference.sampling.moves import step
from cipark_sd.base.arrays import Array

EFFORT = Effort()
Truth = list[tuple[float, ...]]


def gaussian(k: int, rho: float) -> tuple[Callable[[Array], Array], Callable[[int, np.random.Generator], Array], Truth]:
    """Log density, a way to draw from it, and mean and quantiles of each coordinate; the last one is lognormal."""
    covariance = rho ** np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    precision, root = np.linalg.inv(covariance), np.linalg.cholesky(covariance)
    limits = tuple(stats.norm.ppf(QUANTILES))
    truth = [(0.0, *limits)] * (k - 1) + [(float(np.exp(0.5)), *np.exp(limits))]
    return (
        lambda x: -0.5 * np.einsum("ni,ij,nj->n", x, precision, x),
        lambda n, rng: rng.normal(size=(n, k)) @ root.T,
        truth,
    )


def banana() -> tuple[Callable[[Array], Array], Callable[[int, np.random.Generator], Array], Truth]:
    """As of :func:`gaussian`: a normal number, and its square with noise, whose quantiles come from quadrature."""
    from scipy.optimize import brentq

    def cumulative(y: float) -> float:
        x = np.linspace(-9, 9, 20_001)
        return float(np.trapezoid(stats.norm.pdf(x) * stats.norm.cdf((y - x**2) / 0.5), x))

    def drawn(n: int, rng: np.random.Generator) -> Array:
        x = rng.normal(size=n)
        return np.stack([x, x**2 + 0.5 * rng.normal(size=n)], axis=1)

    limits = tuple(brentq(lambda y, q=q: cumulative(y) - q, -5, 50) for q in QUANTILES)
    truth: Truth = [(0.0, *stats.norm.ppf(QUANTILES)), (1.0, *limits)]
    return (lambda x: -0.5 * x[:, 0] ** 2 - 0.5 * ((x[:, 1] - x[:, 0] ** 2) / 0.5) ** 2, drawn, truth)


def misses(line: Convergence, truth: tuple[float, ...]) -> list[float]:
    """Mean, lower limit, median and upper limit less the truth, in units of their errors."""
    estimates = (line.mean, line.low, line.median, line.high)
    errors = (line.mcse_mean, line.mcse_low, line.mcse_median, line.mcse_high)
    return [(a - b) / error for a, b, error in zip(estimates, truth, errors, strict=True)]


def measure(name: str, target, draw, truth: Truth, n_runs: int, n_walkers: int, most: int, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Print one line for each rule."""
    k = len(truth)
    streams = np.random.default_rng(seed).spawn(4 * n_runs)
    position = np.stack([draw(n_walkers, stream) for stream in streams])
    logs = target(position.reshape(-1, k)).reshape(len(streams), n_walkers)
    course = np.empty((len(streams), most, n_walkers, k), dtype=float)
    for i in range(most):
        position, logs = step(target, position, logs, streams)
        course[:, i] = position
    if name.startswith("gaussian"):
        course[..., -1] = np.exp(course[..., -1])
    ended: dict[str, list[tuple[int, list[list[float]]]]] = {"first good look": [], "two in a row": []}
    for first in range(0, len(streams), 4):
        before = False
        for n in looks(most, EFFORT):
            lines = convergence([str(i) for i in range(k)], course[first : first + 4, n // 2 : n])
            good = all(line.reaches(CONVERGED) for line in lines)
            outcome = (n, [misses(line, true_line) for line, true_line in zip(lines, truth, strict=True)])
            if good and len(ended["first good look"]) <= first // 4:
                ended["first good look"].append(outcome)
            if good and before:
                ended["two in a row"].append(outcome)
                break
            before = good
    for rule, runs in ended.items():
        z = np.array([miss for _, miss in runs])
        rms = "  ".join(f"{value:.2f}" for value in np.sqrt((z**2).mean(axis=(0, 1)))) if len(z) else "-"
        steps = np.mean([n for n, _ in runs]) if runs else float("nan")
        print(
            f"{name:22} {rule:16} {len(runs):3} of {n_runs} ended, after {steps:5.0f} steps; rms miss: {rms}",
            flush=True,
        )


def main() -> None:
    """Measure all targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("rms miss of mean, lower limit, median and upper limit, in units of their Monte Carlo errors")
    measure("gaussian, 2", *gaussian(2, 0.5), arguments.runs, 24, 1200, arguments.seed)
    measure("gaussian, 6", *gaussian(6, 0.95), arguments.runs, 24, 1900, arguments.seed)
    measure("banana", *banana(), arguments.runs, 24, 3000, arguments.seed)


if __name__ == "__main__":
    main()
