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
import warnings
from pathlib import Path

import numpy as np

import cipark_sd as cp
from calibration.assess.rivals import log_evidence
from calibration.inference.sampling.convergence import Criteria, Effort, affordable_steps
from calibration.inference.sampling.draws import draw
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
#: By name: end, step, constants, an equation a line, and variable, kind, family and spacing of each series.
BEDS = {
    "epidemic": (
        104,
        0.25,
        {
            "population": 200000,
            "contacts": 8,
            "infectivity": 0.12,
            "incubation time": 1.0,
            "infectious time": 1.4,
            "waning time": 60,
            "hospital share": 0.02,
            "hospital stay": 1.6,
            "death share": 0.12,
            "reaction": 0.4,
            "perception time": 3,
            "start infected": 20,
            "start exposed": 30,
            "detection": 0.3,
            "import rate": 2,
            "season": 0.15,
            "fatigue time": 40,
            "reporting time": 0.8,
        },
        """\
S=INTEG(waning-infection,population-start infected-start exposed)
E=INTEG(infection+import rate-onset,start exposed)
I=INTEG(onset-recovery,start infected)
R=INTEG(recovery*(1-hospital share)+leaving*(1-death share)-waning,0)
H=INTEG(recovery*hospital share-leaving,0)
fear=INTEG((H/population*10000-fear)/perception time,0)
weariness=INTEG((fear-weariness)/fatigue time,0)
waiting=INTEG(onset*detection-reported,0)
reported=waiting/reporting time
force=contacts*infectivity*(1+season*SIN(6.2832*Time/52))/(1+reaction*MAX(0,fear-weariness))
infection=force*S*I/population
onset=E/incubation time
recovery=I/infectious time
waning=R/waning time
leaving=H/hospital stay
deaths=leaving*death share
""",
        [("reported", "flow", "nb1", 1), ("H", "level", "nb1", 1), ("deaths", "flow", "nb1", 4)],
    ),
    "housing": (
        40,
        0.125,
        {
            "start houses": 9000,
            "start households": 9000,
            "growth": 0.02,
            "building time": 1.5,
            "demolition": 0.012,
            "start price": 150,
            "price time": 2.5,
            "elasticity": 1.2,
            "construction cost": 110,
            "profit response": 2.2,
            "start under way": 250,
            "income growth": 0.012,
            "demand elasticity": 0.5,
            "normal vacancy": 1.05,
        },
        """\
houses=INTEG(completion-demolition*houses,start houses)
households=INTEG(growth*households*(price/start price)^(-0.3*demand elasticity),start households)
under way=INTEG(starts-completion,start under way)
price=INTEG((wanted price-price)/price time,start price)
wanted price=price*(wanted houses/houses)^elasticity
wanted houses=households*normal vacancy*(1+income growth)^Time*(price/start price)^(-demand elasticity)
starts=houses*demolition*MIN(6,MAX(0,(price/construction cost))^profit response)
completion=under way/building time
""",
        [("price", "level", "lognormal", 1), ("houses", "level", "lognormal", 2), ("starts", "flow", "nb1", 1)],
    ),
    "staff": (
        60,
        0.25,
        {
            "start juniors": 30,
            "start seniors": 60,
            "start experts": 15,
            "junior time": 12,
            "senior time": 40,
            "junior quits": 0.02,
            "senior quits": 0.01,
            "expert quits": 0.006,
            "hiring time": 4,
            "wanted backlog time": 3,
            "junior productivity": 2,
            "senior productivity": 5,
            "expert productivity": 9,
            "start backlog": 1200,
            "order rate": 700,
            "order growth": 0.005,
            "overtime response": 0.3,
            "burnout time": 6,
            "burnout on quits": 1.5,
        },
        """\
juniors=INTEG(hiring-promotion-juniors*junior quits*stress,start juniors)
seniors=INTEG(promotion-mastery-seniors*senior quits*stress,start seniors)
experts=INTEG(mastery-experts*expert quits*stress,start experts)
backlog=INTEG(orders-completed,start backlog)
burnout=INTEG((pressure-burnout)/burnout time,1)
stress=MAX(0.2,burnout)^burnout on quits
orders=order rate*EXP(order growth*Time)*(1+0.15*SIN(6.2832*Time/12))
capacity=juniors*junior productivity+seniors*senior productivity+experts*expert productivity
pressure=backlog/wanted backlog time/MAX(1,capacity)
completed=MIN(backlog/0.5,capacity*MAX(0.1,pressure)^overtime response)
staff=juniors+seniors+experts
leavers=stress*(juniors*junior quits+seniors*senior quits+experts*expert quits)
hiring=MAX(0,leavers+(backlog/wanted backlog time-capacity)/senior productivity/hiring time)
promotion=juniors/junior time
mastery=seniors/senior time
""",
        [
            ("staff", "level", "nb1", 2),
            ("completed", "flow", "nb1", 1),
            ("backlog", "level", "nb1", 1),
            ("hiring", "flow", "nb1", 1),
        ],
    ),
    "energy": (
        45,
        0.25,
        {
            "start demand": 900,
            "demand growth": 0.025,
            "price elasticity": 0.25,
            "demand delay": 4,
            "start coal": 500,
            "start gas": 450,
            "start wind": 40,
            "coal life": 32,
            "gas life": 26,
            "wind life": 20,
            "coal cost": 45,
            "gas cost": 60,
            "wind cost": 110,
            "learning": 0.18,
            "choice": 2,
            "build time": 3,
            "margin": 1.15,
            "start price": 55,
            "price delay": 1.5,
            "scarcity": 1.8,
        },
        """\
demand=INTEG(demand*demand growth-(demand-indicated demand)/demand delay,start demand)
indicated demand=demand*(price/start price)^(-price elasticity)
coal=INTEG(built coal-coal/coal life,start coal)
gas=INTEG(built gas-gas/gas life,start gas)
wind=INTEG(built wind-wind/wind life,start wind)
under way=INTEG(ordered-finished,60)
finished=under way/build time
capacity=coal+gas+wind
ordered=MAX(0,demand*margin-capacity-under way)/2+retired
retired=coal/coal life+gas/gas life+wind/wind life
experience=INTEG(built wind,start wind)
wind price=wind cost*(experience/start wind)^(-learning)
weight coal=(coal cost/50)^(-choice)
weight gas=(gas cost/50)^(-choice)
weight wind=(wind price/50)^(-choice)
weights=weight coal+weight gas+weight wind
built coal=finished*weight coal/weights
built gas=finished*weight gas/weights
built wind=finished*weight wind/weights
mean cost=(coal*coal cost+gas*gas cost+wind*wind price)/capacity
price=INTEG((mean cost*MAX(0.3,demand*margin/capacity)^scarcity-price)/price delay,start price)
""",
        [
            ("demand", "level", "lognormal", 1),
            ("coal", "level", "lognormal", 3),
            ("wind", "level", "lognormal", 1),
            ("price", "level", "lognormal", 1),
        ],
    ),
    "business": (
        60,
        0.25,
        {
            "market": 40000,
            "innovation": 0.004,
            "imitation": 0.15,
            "churn time": 30,
            "order backlog time": 1,
            "start adopters": 200,
            "start inventory": 600,
            "start workers": 20,
            "worker output": 40,
            "hiring time": 3,
            "coverage": 1.5,
            "correction time": 3,
            "smoothing time": 4,
            "price fall": 0.2,
            "price effect": 0.8,
            "start potential share": 0.6,
            "quit time": 25,
        },
        """\
adopters=INTEG(sales-churn,start adopters)
potential=MAX(0,market*start potential share*price^(-price effect)-adopters)
orders=potential*(innovation+imitation*adopters/market)
backlog=INTEG(orders-sales,start adopters*0.2)
sales=MIN(backlog/order backlog time,inventory/0.5)
churn=adopters/churn time
inventory=INTEG(production-sales,start inventory)
workers=INTEG(hiring-workers/quit time,start workers)
production=workers*worker output
expected=INTEG((orders-expected)/smoothing time,orders at start)
orders at start=market*start potential share*innovation
wanted production=MAX(0,expected+(coverage*expected-inventory)/correction time+(backlog-expected*\
order backlog time)/correction time)
hiring=MAX(0,(wanted production/worker output-workers)/hiring time+workers/quit time)
experience=INTEG(production,1000)
price=(experience/1000)^(-price fall)
""",
        [
            ("sales", "flow", "nb1", 1),
            ("adopters", "level", "nb1", 3),
            ("inventory", "level", "nb1", 1),
            ("workers", "level", "nb1", 3),
        ],
    ),
    "fishery": (
        50,
        0.125,
        {
            "carrying": 8000,
            "growth": 0.5,
            "start fish": 5000,
            "start boats": 60,
            "catchability": 0.003,
            "fish price": 1.5,
            "boat cost": 12,
            "entry time": 4,
            "exit time": 6,
            "boat life": 18,
            "price elasticity": 0.3,
            "recruit share": 0.4,
            "young time": 2,
            "start young": 1500,
            "cheating": 0.1,
            "effort response": 0.4,
        },
        """\
fish=INTEG(maturing-catch-fish*0.1,start fish)
young=INTEG(recruits-maturing-young*0.15,start young)
maturing=young/young time
recruits=growth*fish*MAX(0,1-fish/carrying)+recruit share*fish/(1+fish/carrying)
boats=INTEG(entry-exit,start boats)
catch=MIN(fish/0.5,boats*effort*catchability*fish)
outlook=INTEG((profit-outlook)/2,0)
effort=MAX(0.1,outlook+1)^effort response*(1+cheating)
price now=fish price*(MAX(1,catch)/600)^(-price elasticity)
profit=(catch*price now-boats*boat cost)/MAX(1,boats*boat cost)
entry=boats*MAX(0,profit)/entry time
exit=boats/boat life+boats*MAX(0,-profit)/exit time
""",
        [("catch", "flow", "nb1", 1), ("boats", "level", "nb1", 1), ("fish", "level", "lognormal", 4)],
    ),
}


def write_study(folder: Path, name: str, rng: np.random.Generator) -> dict[str, float]:
    """A study in ``folder``, and the truth that its data come from."""
    end, step, constants, equations, series = BEDS[name]
    lines = [f"{constant}={value}~~|" for constant, value in constants.items()]
    text = (
        "{UTF-8}\n"
        + "".join(f"{line}~~|" for line in equations.splitlines())
        + "".join(lines)
        + CONTROL.format(end=end, step=step)
    )
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
        # a delay stays above two time steps, as in a study of new-study
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
