"""Hamiltonian Monte Carlo on realistic studies of 17 to 24 parameters whose truth is known.

    python benchmarks/stranger_posteriors.py [NAME ...] [--seed 1] [--steps N]

Each model has one or two dozen constants under lognormal priors with sigma 1.5 about values that are off by a quarter,
and three or four simulated series. Sampling ends where R-hat is below 1.01 and all effective sizes are above 400, or
after ``--steps`` steps, by default as many as a command makes. Printed: processor seconds, R-hat, effective sizes, what
trajectories say of themselves, evidence, and how many truths lie in the central 95 %.
"""

import argparse
import tempfile
import time
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import cipark_sd as cp
from calibration.inference.sample.convergence import Criteria, Effort, affordable_steps
from calibration.inference.sample.draws import draw, log_evidence
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

#: Where sampling ends.
WANTED = Criteria(r_hat=1.01, ess=400)
CONTROL = "INITIAL TIME=0~~|FINAL TIME={end}~~|TIME STEP={step}~~|SAVEPER=1~~|"
#: Dispersion of counts, and relative error of measurements.
DISPERSION, ERROR = 1.5, 0.04
#: Constants between 0 and 1.
SHARES = ("share", "detection", "season", "cheating")
#: Constants that are delays.
DELAYS = ("time", "delay", "life", "stay")
#: By name: end and step of a run, constants, equations, and variable, kind, family and spacing of each series.
BEDS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "studies" / "strangers.toml").read_text(encoding="utf-8")
)


def write_study(folder: Path, name: str, rng: np.random.Generator) -> dict[str, float]:
    """A study in ``folder``, and the truth that its data come from."""
    bed = BEDS[name]
    end, step, constants, series = bed["end"], bed["step"], bed["constants"], bed["series"]
    lines = [*bed["equations"].splitlines(), *(f"{constant}={value}" for constant, value in constants.items())]
    text = "{UTF-8}\n" + "".join(f"{line}~~|" for line in lines) + CONTROL.format(end=end, step=step)
    (folder / "model.mdl").write_text(text, encoding="utf-8")
    truth = {constant: value * float(np.exp(0.25 * rng.standard_normal())) for constant, value in constants.items()}
    run = cp.simulate(str(folder / "model.mdl"), truth)
    study = [f'title = "{name}"', "[model]", 'file = "model.mdl"']
    for variable, kind, family, every in series:
        course, table = np.asarray(run.cp[variable].values, dtype=float), ["time,value"]
        for t in range(every, end + 1, every):
            mean = course[t] if kind == "level" else (course[t - every : t + 1].sum() - course[[t - every, t]].mean())
            table.append(f"{t},{_noisy(mean, family, rng)}")
        (folder / f"{variable}.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
        spread = "dispersion" if family == "nb1" else "sd"
        study += ["[[observation]]", f'name = "{variable} seen"', f'table = "{variable}.csv"', f'kind = "{kind}"']
        study += [f'variable = "{variable}"', f'family = "{family}"', f'{spread} = "{variable} noise"']
        study += ["start = 0"] if kind == "flow" else []
    for variable, _, family, _ in series:
        median = 1 if family == "nb1" else 0.1
        study += ["[[parameter]]", f'name = "{variable} noise"', 'target = "noise"', "bounds = [1e-5, 100]"]
        study += [f'prior = {{ family = "lognormal", median = {median}, sigma = 1.5 }}']
    for constant, value in constants.items():
        family = "logit-normal" if any(word in constant for word in SHARES) else "lognormal"
        study += ["[[parameter]]", f'name = "{constant}"']
        study += [f'prior = {{ family = "{family}", median = {value}, sigma = 1.5 }}']
        # a delay stays above two time steps
        low = min(2 * step, value / 2) if any(word in constant for word in DELAYS) else value / 300
        study += [] if family == "logit-normal" else [f"bounds = [{low:.6g}, {value * 300:.6g}]"]
    (folder / "problem.toml").write_text("\n".join([*study, "[method]", 'estimate = "map"']) + "\n", encoding="utf-8")
    return truth


def _noisy(mean: float, family: str, rng: np.random.Generator) -> float:
    if family == "nb1":
        return int(rng.negative_binomial(max(mean, 1e-3) / DISPERSION, 1 / (1 + DISPERSION)))
    return round(float(mean * np.exp(ERROR * rng.standard_normal())), 3)


def measure(name: str, seed: int, steps: int | None) -> str:
    """A line on one study."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = write_study(Path(folder), name, np.random.default_rng([seed, list(BEDS).index(name)]))
        density = posterior(read_problem(Path(folder)), choose("native", 1))
        density.log_likelihood(density.space.medians[None])
        begin = time.process_time()
        effort = Effort(criteria=WANTED, confirmed=False, most_steps=steps or affordable_steps(density))
        drawn = draw(density, np.random.default_rng(seed), effort=effort)
        seconds, sampled = time.process_time() - begin, drawn.sampled
        evidence, error = log_evidence(drawn, np.random.default_rng(0))
    held = sum(line.low <= truth[line.name] <= line.high for line in sampled.lines if line.name in truth)
    worst = max(line.r_hat for line in sampled.lines)
    bulk, tail = (min(getattr(line, size) for line in sampled.lines) for size in ("ess_bulk", "ess_tail"))
    return (
        f"{name} ({len(density.space)}): {seconds:.1f} CPU s, R-hat {worst:.3f}, bulk {bulk:.0f}, tail {tail:.0f}, "
        f"sound {sampled.reaches(WANTED)}, evidence {evidence:.2f} ± {error:.2f}, {held} of {len(truth)} truths within "
        f"95 %. {sampled.sentence}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(BEDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    for name in options.names:
        print(measure(name, options.seed, options.steps), flush=True)
