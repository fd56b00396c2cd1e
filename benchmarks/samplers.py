"""Our samplers beside nutpie and emcee, on the same density with the same gradients.

Each draws a study's posterior until its worst parameter is worth some hundred draws. The effective size is that of
arviz-stats, for all alike, on the draws that each gives back. Ours runs many chains in step, since a batch of points
costs little more than one; nutpie asks for one point at a time, and emcee, which takes no gradients, for half its
walkers.

    pip install nutpie emcee
    python benchmarks/samplers.py flu_1978 hare_lynx crow_grouped great_stone_core
"""

import argparse
import time

import numpy as np
from arviz_stats.base import array_stats
from measure import show, show_machine

import cipark_sd as cp
from calibration.front.density import Density
from calibration.inference.sample.convergence import EFFORT, Effort
from calibration.inference.sample.draws import draw
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import maximise
from cipark_sd.base.arrays import Array

#: Draws ``(n_chains, n_draws, k)`` and the seconds of processor that they took.
Drawn = tuple[Array, float]


def ours(density: Density, seed: int) -> Drawn:
    """What ``posterior=True`` does: importance sampling, and trajectories where its weights cannot be trusted."""
    return _timed(density, seed, EFFORT)


def trajectories(density: Density, seed: int) -> Drawn:
    """Hamiltonian Monte Carlo alone."""
    return _timed(density, seed, Effort(sampler="hmc"))


def _timed(density: Density, seed: int, effort: Effort) -> Drawn:
    start = time.process_time()
    theta = draw(density.posterior, np.random.default_rng(seed), effort=effort).theta
    return theta, time.process_time() - start


def nutpie(density: Density, seed: int) -> Drawn:
    """Four chains of a thousand draws after 500 of adaptation, more than its default of 300."""
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    of, k = density.unconstrained, len(density.names)
    begin = _begin(density, 4, seed)
    start = time.process_time()
    model = from_pyfunc(
        k,
        lambda: of.value_and_gradient,
        lambda *_: lambda point: {"theta": of.from_unconstrained(point)},
        [np.dtype(float)],
        [(k,)],
        ["theta"],
        make_initial_point_fn=lambda chain: begin[int(chain) % 4],
    )
    drawn = nutpie.sample(model, draws=1000, tune=500, chains=4, cores=1, seed=seed, progress_bar=False)
    return np.asarray(drawn.posterior["theta"]), time.process_time() - start


def emcee(density: Density, seed: int) -> Drawn:
    """Four walkers a parameter, the first half of what they did left out."""
    import emcee

    of, k = density.unconstrained, len(density.names)
    n_walkers = max(32, 4 * k)
    begin, start = _begin(density, n_walkers, seed), time.process_time()
    np.random.seed(seed)  # noqa: NPY002  (the generator that emcee begins with)
    sampler = emcee.EnsembleSampler(n_walkers, k, of.value, vectorize=True)
    sampler.run_mcmc(begin, 4000)
    seconds = time.process_time() - start
    chains = sampler.get_chain(discard=2000, thin=4).transpose(1, 0, 2)
    return of.from_unconstrained(chains.reshape(-1, k)).reshape(chains.shape), seconds


def _begin(density: Density, n: int, seed: int) -> Array:
    """Coordinates about the optimum, the search for which is not counted: ours find theirs in the time that is."""
    goal = objective(density.posterior, estimate="map")
    reached = goal.box(maximise(goal, starts=8, rng=np.random.default_rng(seed)).theta)
    # an optimum at an end of its prior has no coordinate
    best = goal.theta(np.clip(reached, 0.01, 0.99)[None, :])[0]
    scatter = np.random.default_rng(seed).normal(0, 0.05, (n, len(best)))
    return np.asarray(density.to_unconstrained(best) + scatter)


def row(name: str, study: str, seed: int) -> tuple[tuple[object, ...], float]:
    """Of the table: seconds of processor, the worst effective size, and what a second gives; and the last by itself."""
    density = cp.read_study(study).density
    # the compiler is paid before
    density.unconstrained.value_and_gradient(density.unconstrained.prior_draws(32))
    theta, seconds = {"ours": ours, "trajectories": trajectories, "nutpie": nutpie, "emcee": emcee}[name](density, seed)
    worst = min(float(array_stats.ess(theta[:, :, i])) for i in range(theta.shape[2]))
    r_hat = max(float(array_stats.rhat(theta[:, :, i])) for i in range(theta.shape[2]))
    rate = worst / seconds
    return (study, theta.shape[2], name, f"{seconds:.1f}", f"{worst:.0f}", f"{r_hat:.3f}", f"{rate:.0f}"), rate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", default=["flu_1978", "hare_lynx", "great_stone_core"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samplers", nargs="*", default=["ours", "trajectories", "nutpie", "emcee"])
    parser.add_argument("--quick", action="store_true", help="one study, without the packages of others")
    chosen = parser.parse_args()
    studies, samplers = (["flu_1978"], ["ours", "trajectories"]) if chosen.quick else (chosen.studies, chosen.samplers)
    show_machine()
    rows: list[tuple[object, ...]] = []
    for study in studies:
        first = 0.0
        for name in samplers:
            cells, rate = row(name, study, chosen.seed)
            first = first or rate
            rows.append((*cells, f"{rate / first:.3g}"))
            print(*rows[-1], flush=True)
    head = ("study", "parameters", "sampler", "CPU s", "worst ESS", "R-hat", "ESS a CPU s", f"ratio to {samplers[0]}")
    show("samplers", head, rows)
