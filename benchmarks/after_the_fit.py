"""What follows a fit, on data of known truth: forecasts, effects and probabilities of structures.

A stock of firms leaves at a rate, seen as yearly counts for eight years; four more years are foretold, and the effect
of a subsidy at half the rate is told. Data come from the study's own structure, from a rival in which crowding hastens
departures, and from one whose rate breaks, within the data or after them. The loss of coverage is the answer.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine

from calibration.assess.rivals import fit_rivals, with_variant
from calibration.assess.self_test import EFFORT, MASSES, SelfTest, self_test
from calibration.inference.sample.densities import prior_draws
from calibration.likelihood.posterior import On, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose
from cipark_sd.execution.workers import Workers
from cipark_sd.simulations.ensembles import processors

MODEL = """{UTF-8}
left = INTEG(leaving, 0) ~ firm ~ |
stock = INTEG(-leaving, size) ~ firm ~ |
leaving = stock * rate * pace * IF THEN ELSE(Time >= break time, break factor, 1) * (1 + crowding * stock / 200)
    ~ firm/year ~ |
size = 200 ~ firm ~ |
rate = 0.2 ~ 1/year ~ |
pace = 1 ~ Dmnl ~ |
crowding = 0 ~ Dmnl ~ |
break time = 100 ~ year ~ |
break factor = 0.4 ~ Dmnl ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 12 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
"""
STUDY = """
title = "after the fit"
[model]
file = "leaving.mdl"
{events}
[[observation]]
name = "left"
table = "left.csv"
kind = "increments"
variable = "left"
start = 0.0
family = "poisson"
value = "left"
{reported}
[[parameter]]
name = "size"
prior = {{ family = "lognormal", median = 200, sigma = 0.5 }}
[[parameter]]
name = "rate"
prior = {{ family = "lognormal", median = 0.2, sigma = 0.5 }}
[[rival]]
name = "own"
set = {{}}
[[rival]]
name = "crowding"
set = {{ crowding = 3 }}
[[rival]]
name = "break"
set = {{ "break time" = 4 }}
[[rival]]
name = "later break"
set = {{ "break time" = 8 }}
{layers}
"""
EVENTS = '[[event]]\nname = "ceremonies"\ndates = [1.5, 4.0, 6.5, 9.5, 11.0]\nwhy = "a benchmark"\n'
REPORTED = 'reported = { at = "ceremonies", share = "share released", rate = "release rate" }\n'
WAITING = """
[[parameter]]
name = "share released"
target = "noise"
prior = { family = "beta", a = 2, b = 2 }
[[parameter]]
name = "release rate"
target = "noise"
prior = { family = "lognormal", median = 0.5, sigma = 0.7 }
"""


def study(folder: Path, *, reported: bool = False) -> CalibrationProblem:
    """The study with or without a reporting layer; its data are a pattern alone."""
    folder.mkdir()
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "left.csv").write_text("time,left\n" + "".join(f"{t},{20 * t}\n" for t in range(1, 9)), encoding="utf-8")
    text = STUDY.format(
        events=EVENTS if reported else "", reported=REPORTED if reported else "", layers=WAITING if reported else ""
    )
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    return read_problem(folder)


def rates(name: str, tested: SelfTest) -> tuple[str, ...]:
    """A row of the table: coverage of parameters, and of numbers to come at both ends."""
    parts = (tested.inside, tested.later_inside[:, :1], tested.later_inside[:, -1:])
    cells = [f"{part[..., mass].mean():.2f}" for part in parts for mass in range(1, len(MASSES))]
    return (name, str(len(tested.ranks)), str(tested.n_not_converged), *cells)


def structures(problem: CalibrationProblem, n: int, seed: int) -> tuple[str, ...]:
    """Data from one of two equally likely structures: how much probability the evidence gives to the right one."""
    problem = CalibrationProblem(**{**vars(problem), "rivals": problem.rivals[:2]})
    shares_of = []
    for stream in np.random.default_rng([seed, 9]).spawn(n):
        right = int(stream.integers(2))
        maker = posterior(with_variant(problem, problem.rivals[right]), choose("native"))
        theta = prior_draws(maker.space, 1, stream)
        made = replaced(maker, replicate(maker, theta, stream)[0], stream).problem.observations
        synthetic = CalibrationProblem(**{**vars(problem), "observations": made})
        fits, *_ = fit_rivals(synthetic, On("native"), stream, effort=EFFORT, refit=None)
        if len(fits) == 2:
            logs = np.array([fit.log_evidence for fit in fits])
            shares_of.append((right, np.exp(logs - np.logaddexp.reduce(logs))))
    probability = np.array([shares[right] for right, shares in shares_of])
    second = np.array([shares[1] for _, shares in shares_of])
    was_second = np.array([right for right, _ in shares_of])
    larger = np.maximum(second, 1 - second)
    sure = larger > 0.8
    return (
        str(len(shares_of)),
        f"{probability.mean():.2f}",
        # where probabilities are right, their mean is the rate at which the structure made the data
        f"{second.mean():.2f} ± {np.std(second - was_second) / np.sqrt(len(shares_of)):.2f}",
        f"{was_second.mean():.2f}",
        f"{(probability[sure] > 0.5).mean():.2f} of {sure.sum()}, told {larger[sure].mean():.2f}",
    )


@click.command(help=__doc__)
@click.option("--data-sets", default=100, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=processors(), show_default=True)
@click.option("--case", "chosen", multiple=True, type=int, help="Of the table's rows, counted from 1; default all.")
@click.option("--quick", is_flag=True, help="Three data sets of each.")
def main(data_sets: int, seed: int, workers: int, chosen: tuple[int, ...], quick: bool) -> None:
    n = 3 if quick else data_sets
    with tempfile.TemporaryDirectory() as folder, Workers(workers) as pool:
        plain = study(Path(folder) / "plain")
        reported = study(Path(folder) / "reported", reported=True)
        makers = {rival.id: with_variant(plain, rival) for rival in plain.rivals}
        cases = [
            ("own structure", plain, None),
            ("reports at events, own structure", reported, None),
            ("reports at events, fitted without them", plain, reported),
            ("crowding, fitted without", plain, makers["crowding"]),
            ("break within the data, fitted without", plain, makers["break"]),
            ("break after the data, fitted without", plain, makers["later break"]),
        ]
        rows = []
        for number, (name, problem, maker) in enumerate(cases, start=1):
            if chosen and number not in chosen:
                continue
            rng = np.random.default_rng(seed)
            rows.append(rates(name, self_test(problem, On("native"), n, rng, maker=maker, workers=pool)))
            click.echo(" ".join(rows[-1]))
        heads = [f"{name} {mass:.0%}" for name in ("parameters", "next year", "fourth year") for mass in MASSES[1:]]
        show("Coverage of what follows a fit", ("data", "sets", "not converged", *heads), rows)
        if chosen:
            return
        head = ("sets", "to the right one", "told of the second", "was the second", "right where sure")
        show("Probability by evidence, of two structures", head, [structures(plain, n, seed)])
    show_machine()


if __name__ == "__main__":
    main()
