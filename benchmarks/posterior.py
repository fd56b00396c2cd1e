"""What a posterior costs: effective draws per processor second, by their own account and by the spread over seeds.

Each study is sampled with several seeds. The *claimed* effective size is the smallest over the parameters, for the mean
and for the tails, as the sampler reports it. The *true* one comes from the means that the seeds give: the variance of
the posterior over the variance of these means; it is known to ``1 / sqrt(2 (seeds - 1))`` of itself, so that the
smallest of several parameters is low by chance, and ten seeds are the least to look at.

    python benchmarks/posterior.py influenza predation --seeds 16
    python benchmarks/posterior.py park --seeds 10

``park`` is the study of today; ``first_park``, with 17 parameters, is the one that it came from.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import show, show_machine

from calibration.inference.sample.convergence import EFFORT, Effort
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import PosteriorDraws, draw
from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

FOLDERS = {
    "influenza": STUDIES / "flu_1978",
    "predation": STUDIES / "hare_lynx",
    "park": STUDIES / "great_stone",
    "first_park": Path(__file__).parent / "studies" / "first_park",
    "core": STUDIES / "great_stone_core",
}


def density_of(name: str) -> Posterior:
    """The density of one of the studies."""
    return posterior(read_problem(FOLDERS[name]), choose("native"))


def sampled(density: Posterior, seeds: int, effort: Effort) -> list[tuple[float, PosteriorDraws]]:
    """By each seed the processor seconds and the study's posterior, after a run that pays for the compiler."""
    points = prior_draws(density.space, 64, np.random.default_rng(0))
    density.log_posterior(points)
    if effort.sampler == "hmc":
        log_likelihood_and_gradient(density, points[:32])
    fits = []
    for seed in range(seeds):
        start = time.process_time()
        drawn = draw(density, np.random.default_rng([seed, 2]), effort=effort)
        print(f"seed {seed}: {drawn.sampled.sentence}")
        fits.append((time.process_time() - start, drawn))
    return fits


def true_sizes(means: Array, sds: Array) -> Array:
    """Effective sizes ``(k,)`` by the scatter of means ``(n_seeds, k)`` around their own mean."""
    return np.asarray((sds**2).mean(axis=0) / means.var(axis=0, ddof=1))


def row(name: str, fits: list[tuple[float, PosteriorDraws]]) -> tuple[object, ...]:
    """Of the table."""
    seconds = float(np.mean([taken for taken, _ in fits]))
    lines = [drawn.sampled.lines for _, drawn in fits]
    bulk = float(np.mean([min((line.sd / line.mcse_mean) ** 2 for line in of_seed) for of_seed in lines]))
    tail = float(np.mean([min(line.ess_tail for line in of_seed) for of_seed in lines]))
    true = float("nan")
    if len(fits) > 1:
        means = np.array([[line.mean for line in of_seed] for of_seed in lines])
        sds = np.array([[line.sd for line in of_seed] for of_seed in lines])
        true = float(true_sizes(means, sds).min())
    converged = sum(drawn.sampled.converged for _, drawn in fits)
    return (
        name,
        len(lines[0]),
        f"{converged} of {len(fits)}",
        f"{seconds:.2f}",
        f"{bulk:.0f}",
        f"{tail:.0f}",
        f"{true:.0f}",
        f"{bulk / seconds:.0f}",
        f"{tail / seconds:.0f}",
        f"{true / seconds:.0f}",
    )


def main() -> None:
    """Measure the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=FOLDERS, metavar="STUDY")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sampler", choices=["importance", "hmc", "chains"], default="importance")
    arguments = parser.parse_args()
    show_machine()
    effort = replace(EFFORT, sampler=arguments.sampler)
    head = ("study", "k", "converged", "CPU s", "mean", "tail", "true mean", "mean/s", "tail/s", "true/s")
    rows = []
    for name in arguments.studies:
        rows.append(row(name, sampled(density_of(name), arguments.seeds, effort)))
        show(f"effective draws of the worst parameter, {arguments.seeds} seeds", head, rows)


if __name__ == "__main__":
    main()
