"""Whether posteriors agree with independent ones within Monte Carlo error: nested sampling, ensemble chains, print.

Each study is sampled by importance with ten seeds, and by another sampler with some. Nested sampling is dynesty's; it
is given the prior's quantile function and the log likelihood of a point, and shares no sampling code with ours.
Compared are the mean and the ends of the 95 % interval of each parameter, and the log evidence; errors come from the
spread over seeds, so that each difference is Welch's t. The probability is that of the largest |t| under agreement,
times the number of numbers (Bonferroni). Published posterior means are compared as they were printed.

    python benchmarks/posterior_agreement.py influenza predation diffusion leaving spread
"""

import time
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine
from scipy import stats

from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

HERE = Path(__file__).parent / "studies"
FOLDERS = {
    "influenza": STUDIES / "flu_1978",
    "predation": STUDIES / "hare_lynx",
    "diffusion": STUDIES / "bass_air_conditioners",
    "leaving": HERE / "leaving",
    "spread": HERE / "spread",
}
#: Published posterior means, as printed, in the order of the study's parameters; NaN where there is none.
#: Source: Grinsztajn et al. 2021, Statistics in Medicine 40, 6209; Carpenter 2018, a case study of Stan.
PUBLISHED = {
    "influenza": ("1.73", "0.54", ""),
    "predation": ("0.55", "0.028", "0.80", "0.024", "34.0", "5.9", "0.25", "0.25"),
}
#: Live points of nested sampling, and of a quick look.
LIVE = 250
QUICK_LIVE = 40
#: From how many parameters on dynesty walks to a new point; points of ellipsoids, which it draws else, fail ever more.
WALKING = 6
SAMPLERS = ("importance", "chains", "nested")


def summary(values: Array, weights: Array | None = None) -> Array:
    """Mean and ends of the central 95 % of each column of ``values : (n, k)``: ``(3 k,)``."""
    weights = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    numbers = []
    for column in values.T:
        order = np.argsort(column)
        along = np.cumsum(weights[order]) - weights[order] / 2
        numbers += [float(weights @ column), *np.interp([0.025, 0.975], along, column[order])]
    return np.array(numbers)


def ours(density: Posterior, sampler: str, seed: int) -> tuple[Array, float]:
    """Summary and log evidence, NaN of chains."""
    effort = Effort(effective=4000, sampler="chains" if sampler == "chains" else "importance")
    drawn = draw(density, np.random.default_rng([seed, 12]), effort=effort)
    if not drawn.sampled.converged:
        raise click.ClickException(f"{sampler}, seed {seed}: not converged")
    lines = drawn.sampled.lines
    numbers = np.array([number for line in lines for number in (line.mean, line.low, line.high)])
    evidence = getattr(drawn.sampled, "evidence", None)
    return numbers, float(evidence[0]) if evidence is not None else np.nan


def nested(density: Posterior, seed: int, live: int = LIVE) -> tuple[Array, float]:
    """The same by dynesty."""
    try:
        import dynesty
    except ImportError:
        raise click.ClickException("nested sampling needs dynesty: pip install dynesty") from None

    sampler = dynesty.NestedSampler(
        lambda theta: max(float(density.log_likelihood(theta[None])[0]), -1e300),
        lambda share: density.space.from_unit(share),
        len(density.space),
        nlive=live,
        sample="rwalk" if len(density.space) >= WALKING else "auto",
        rstate=np.random.default_rng([seed, 13]),
    )
    sampler.run_nested(dlogz=0.01, print_progress=False)
    results = sampler.results
    return summary(results.samples, results.importance_weights()), float(results.logz[-1])


def sampled(density: Posterior, sampler: str, seeds: int, live: int = LIVE) -> tuple[Array, Array]:
    """Summaries ``(seeds, 3 k)`` and log evidences ``(seeds,)``."""
    runs = [
        nested(density, seed, live) if sampler == "nested" else ours(density, sampler, seed)
        for seed in range(1, seeds + 1)
    ]
    return np.array([run[0] for run in runs]), np.array([run[1] for run in runs])


def largest(first: Array, second: Array) -> tuple[float, int, float]:
    """The largest Welch's t between the means of two samples ``(m, q)``, its column, and its Bonferroni probability."""
    test = stats.ttest_ind(first, second, equal_var=False)
    t, p = np.abs(np.asarray(test.statistic)), np.asarray(test.pvalue)
    least = int(np.argmin(p))
    return float(t[least]), least, min(1.0, float(p[least]) * len(p))


def rows_of(name: str, seeds: int, other_seeds: int, live: int) -> list[tuple[str, ...]]:
    """A row for each other sampler, and for what was published."""
    density = posterior(read_problem(FOLDERS[name]), choose("native"))
    start = time.process_time()
    base, evidence = sampled(density, "importance", seeds)
    sds = (base[:, 2::3] - base[:, 1::3]).mean(axis=0) / 3.92
    names = density.space.names
    labels = [f"{part} of {parameter}" for parameter in names for part in ("mean", "low end", "high end")]
    rows = []
    for sampler in SAMPLERS[1:]:
        numbers, logs = sampled(density, sampler, other_seeds, live)
        t, place, p = largest(base, numbers)
        apart = np.abs(base.mean(axis=0) - numbers.mean(axis=0))[::3] / sds
        cells = (f"{apart.max():.3f}", f"{t:.1f}", labels[place], f"{p:.2f}")
        apart_in_evidence = ""
        if np.isfinite(logs).all():
            error = np.sqrt(evidence.var(ddof=1) / seeds + logs.var(ddof=1) / other_seeds)
            apart_in_evidence = f"{evidence.mean() - logs.mean():+.3f} ± {error:.3f}"
        rows.append((name, sampler, str(len(names)), f"{seeds}, {other_seeds}", *cells, apart_in_evidence))
        click.echo(" | ".join(rows[-1]))
    printed = PUBLISHED.get(name, ())
    for parameter, mean, text in zip(names, base.mean(axis=0)[::3], printed, strict=False):
        if text:
            half = 0.5 * 10.0 ** -len(text.partition(".")[2])
            error = base[:, 3 * names.index(parameter)].std(ddof=1) / np.sqrt(seeds)
            click.echo(f"{name}, {parameter}: {mean:.4g} ± {error:.1g}, printed {text} (± {half:g} of rounding)")
    click.echo(f"{name}: {time.process_time() - start:.0f} s of processor time")
    return rows


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(FOLDERS)))
@click.option("--seeds", default=10, show_default=True, help="Of importance sampling.")
@click.option("--other-seeds", default=4, show_default=True, help="Of each other sampler.")
@click.option("--live", default=LIVE, show_default=True, help="Live points of nested sampling.")
@click.option("--quick", is_flag=True, help="Two seeds of a small study.")
def main(names: tuple[str, ...], seeds: int, other_seeds: int, live: int, quick: bool) -> None:
    if quick:
        names, seeds, other_seeds, live = ("leaving",), 2, 2, QUICK_LIVE
    rows = [row for name in names or FOLDERS for row in rows_of(name, seeds, other_seeds, live)]
    head = ("study", "against", "parameters", "seeds", "means apart, sd", "largest |t|", "of", "p", "log evidence")
    show("Posteriors against independent ones", head, rows)
    show_machine()


if __name__ == "__main__":
    main()
