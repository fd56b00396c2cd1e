"""How often draws of a study that nobody edited hold constants that the data cannot tell apart.

Four models of strangers, each with constants of which the data know a product, or which may change places. For each
data set the truth is drawn about the numbers of the model file, an integrator of this script (Runge and Kutta's, in
NumPy) makes the course, noise is added, cipark new-study makes the study, and the steps of cipark calibrate --posterior
give draws. Counted is how often the central 90 % of them hold the truth of each constant.

Two laws of the truth: ``prior``, that which new-study writes about a file's number, so that intervals of draws hold
90 % if all is right, whatever the data tell; and ``third``, evenly within three times up or down (on the scale of the
prior): such truths lie within the bulk of the prior, and intervals that lean on it hold more. A truth beyond what the
time step allows is drawn again.

    python benchmarks/new_study_draws.py --law prior --data-sets 20 -o new-study-draws

One line a data set goes into a file of JSON lines; a second start with the same folder goes on from there.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measure import show, show_machine

from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.new_study.request import Request
from calibration.new_study.study import new_study
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.naming import canonical

#: What the coverage of 90 % intervals has to lie between.
GOAL = (0.87, 0.93)
#: Standard deviation of the logarithm (of a share, the logit) of new-study's priors.
SIGMA = 1.5
#: Steps of the integrator in a unit of time: no rate that is drawn is faster than a few a unit.
FINE = 64

#: Constants by name.
Constants = Mapping[str, float]
#: Noise around a course ``(n,)``.
Noise = Callable[[Array, np.random.Generator], Array]


def in_proportion(size: float) -> Noise:
    """Measurements whose logarithm errs by ``size``."""
    return lambda mean, rng: mean * np.exp(size * rng.standard_normal(len(mean)))


def of_one_size(share: float) -> Noise:
    """Measurements that err by a share of the largest mean."""
    return lambda mean, rng: mean + share * np.abs(mean).max() * rng.standard_normal(len(mean))


@dataclass(frozen=True)
class Case:
    """A model file with its numbers, and the same model written once more.

    Parameters
    ----------
    equations : str
        With ``{}`` where a number of ``file`` stands, in its order.
    file : mapping of str to float
        Constants and starts of stocks by name.
    shares : frozenset of str
        Those between 0 and 1.
    begin, slopes : function
        Stocks at time 0 by constants, and their derivatives by time, stocks and constants.
    columns : mapping of str to (function, noise)
        What each reads, of stocks ``(n_stocks, n)`` at all times and constants: a level, or the running total of a flow
        of which the table has what came since the row before.
    flows : frozenset of str
        Columns of flows.
    """

    unit: str
    rows: int
    equations: str
    file: Constants
    begin: Callable[[Constants], Array]
    slopes: Callable[[float, Array, Constants], Sequence[float]]
    columns: Mapping[str, tuple[Callable[[Array, Constants], Array], Noise]]
    flows: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()

    def model(self, path: Path) -> None:
        """Write the model file."""
        ends = f"INITIAL TIME=0~{self.unit}~|\nFINAL TIME={self.rows}~{self.unit}~|\n"
        ends += f"TIME STEP=0.0625~{self.unit}~|\nSAVEPER=1~{self.unit}~|\n"
        path.write_text("{UTF-8}" + self.equations.format(*self.file.values()) + ends, encoding="utf-8")

    def truth(self, law: str, rng: np.random.Generator) -> dict[str, float]:
        """Constants about those of the file."""
        reach = math.log(3)
        away = (
            rng.uniform(-reach, reach, len(self.file))
            if law == "third"
            else SIGMA * rng.standard_normal(len(self.file))
        )
        odds = {name: value / (1 - value) if name in self.shares else value for name, value in self.file.items()}
        moved = {name: value * math.exp(by) for (name, value), by in zip(odds.items(), away.tolist(), strict=True)}
        return {name: value / (1 + value) if name in self.shares else value for name, value in moved.items()}

    def course(self, truth: Constants) -> Array:
        """Stocks ``(n_stocks, rows + 1)``."""
        state, step, courses = self.begin(truth), 1 / FINE, []

        def slope(t: float, at: Array) -> Array:
            return np.asarray(self.slopes(t, at, truth), dtype=float)

        for i in range(self.rows * FINE + 1):
            if i % FINE == 0:
                courses.append(state)
            t = i * step
            first = slope(t, state)
            second = slope(t + step / 2, state + step / 2 * first)
            third = slope(t + step / 2, state + step / 2 * second)
            last = slope(t + step, state + step * third)
            state = state + step / 6 * (first + 2 * second + 2 * third + last)
        return np.array(courses).T

    def table(self, truth: Constants, rng: np.random.Generator) -> str:
        """CSV of times and columns, with noise."""
        course, columns = self.course(truth), []
        for name, (read, noise) in self.columns.items():
            values = read(course, truth)
            columns.append(noise(np.diff(values) if name in self.flows else values[1:], rng))
        lines = [",".join((self.unit, *self.columns))]
        lines += [",".join((str(t), *(f"{v:.5g}" for v in row))) for t, row in enumerate(zip(*columns, strict=True), 1)]
        return "\n".join(lines) + "\n"


DRUG = Case(
    "Hour",
    14,
    """
Gut = INTEG(-Absorbing, 100 * Bioavailable Share) ~mg~|
Plasma = INTEG(Absorbing - Eliminating, 0) ~mg~|
Absorbing = Absorption * Gut ~mg/Hour~|
Eliminating = Elimination * Plasma ~mg/Hour~|
Concentration = Plasma / Volume ~mg/l~|
Absorption = {} ~1/Hour~|
Elimination = {} ~1/Hour~|
Volume = {} ~l~|
Bioavailable Share = {} ~Dmnl~|
""",
    {"Absorption": 0.8, "Elimination": 0.2, "Volume": 30.0, "Bioavailable Share": 0.6},
    lambda c: np.array([100 * c["Bioavailable Share"], 0.0]),
    lambda _, s, c: (-c["Absorption"] * s[0], c["Absorption"] * s[0] - c["Elimination"] * s[1]),
    {"concentration": (lambda s, c: s[1] / c["Volume"], in_proportion(0.1))},
    shares=frozenset({"Bioavailable Share"}),
)


def _joining(s: Array, c: Constants) -> float:
    return float((c["Word Of Mouth"] * s[0] / c["Town"] + c["Advertising"]) * (c["Town"] - s[0]))


CLUB = Case(
    "Month",
    24,
    """
Members = INTEG(Joining - Leaving, {}) ~person~|
Joining = (Word Of Mouth * Members / Town + Advertising) * (Town - Members) ~person/Month~|
Leaving = Members / Stay ~person/Month~|
Word Of Mouth = {} ~1/Month~|
Advertising = {} ~1/Month~|
Town = {} ~person~|
Stay = {} ~Month~|
""",
    {"Members": 20.0, "Word Of Mouth": 0.5, "Advertising": 0.005, "Town": 800.0, "Stay": 12.0},
    lambda c: np.array([c["Members"]]),
    lambda _, s, c: (_joining(s, c) - s[0] / c["Stay"],),
    {"members": (lambda s, _: s[0], of_one_size(0.03))},
)


def _caught(t: float, s: Array, c: Constants) -> float:
    return float(c["Catchability"] * c["Boats"] * (1 + t / 10) * s[0])


FISH = Case(
    "Year",
    20,
    """
Fish = INTEG(Growing - Catching, {}) ~ton~|
Growing = Growth Rate * Fish * (1 - Fish / Carrying Capacity) ~ton/Year~|
Catching = Catchability * Boats * (1 + Time / 10) * Fish ~ton/Year~|
Survey = Caught Per Haul * Fish ~kg~|
Growth Rate = {} ~1/Year~|
Carrying Capacity = {} ~ton~|
Catchability = {} ~1/boat/Year~|
Boats = {} ~boat~|
Caught Per Haul = {} ~kg/ton~|
""",
    {
        "Fish": 5000.0,
        "Growth Rate": 0.3,
        "Carrying Capacity": 8000.0,
        "Catchability": 0.001,
        "Boats": 40.0,
        "Caught Per Haul": 0.02,
    },
    lambda c: np.array([c["Fish"], 0.0]),
    lambda t, s, c: (
        c["Growth Rate"] * s[0] * (1 - s[0] / c["Carrying Capacity"]) - _caught(t, s, c),
        _caught(t, s, c),
    ),
    {
        "catching": (lambda s, _: s[1], in_proportion(0.1)),
        "survey": (lambda s, c: c["Caught Per Haul"] * s[0], in_proportion(0.15)),
    },
    flows=frozenset({"catching"}),
)


def _moving(t: float, s: Array, c: Constants) -> tuple[float, ...]:
    ordering = c["Customers"] * c["Orders Per Customer"] * (1 + 0.5 * math.sin(t / 4))
    shipping = s[0] / c["Delivery Delay"]
    stages = [3 * stock / c["Transit Time"] for stock in s[1:4]]
    return (ordering - shipping, shipping - stages[0], stages[0] - stages[1], stages[1] - stages[2], stages[2])


ORDERS = Case(
    "Week",
    26,
    """
Backlog = INTEG(Ordering - Shipping, {}) ~order~|
Ordering = Customers * Orders Per Customer * (1 + 0.5 * SIN(Time / 4)) ~order/Week~|
Shipping = Backlog / Delivery Delay ~order/Week~|
Arriving = DELAY3(Shipping, Transit Time) ~order/Week~|
Customers = {} ~customer~|
Orders Per Customer = {} ~order/customer/Week~|
Delivery Delay = {} ~Week~|
Transit Time = {} ~Week~|
""",
    {"Backlog": 60.0, "Customers": 50.0, "Orders Per Customer": 0.4, "Delivery Delay": 3.0, "Transit Time": 2.0},
    # a delay begins with what its input leaves in it
    lambda c: np.array([c["Backlog"], *3 * [c["Backlog"] / c["Delivery Delay"] * c["Transit Time"] / 3], 0.0]),
    _moving,
    {"backlog": (lambda s, _: s[0], of_one_size(0.05)), "arriving": (lambda s, _: s[4], in_proportion(0.1))},
    flows=frozenset({"arriving"}),
)
CASES = {"drug": DRUG, "club": CLUB, "fish": FISH, "orders": ORDERS}


def data_set(name: str, law: str, number: int, seed: int, folder: Path) -> dict[str, object]:
    """One data set: of each constant the share of draws below the truth, None where it is held; or why there is none.

    ``beyond`` says that a truth lies where the time step of the study allows none.
    """
    case, start = CASES[name], time.process_time()
    rng = np.random.default_rng([seed, sorted(CASES).index(name), ("prior", "third").index(law), number])
    truth = case.truth(law, rng)
    model, data, study = (folder / f"{name}{ending}" for ending in (".mdl", ".csv", ""))
    case.model(model)
    data.write_text(case.table(truth, rng), encoding="utf-8")
    shutil.rmtree(study, ignore_errors=True)
    record: dict[str, object] = {"set": number, "truth": truth}
    try:
        new_study(Request(model, data, study))
        made = calibrate(Settings(study, posterior=True, profiles=False, compare_pysd=False, workers=0))
    except CiparkError as problem:
        return record | {"why": str(problem)}
    space = made.optimum.goal.density.space
    by_name = {canonical(parameter.name): parameter for parameter in space}
    ranges = {
        constant: (by_name[canonical(constant)].lower, by_name[canonical(constant)].upper)
        for constant in truth
        if canonical(constant) in by_name
    }
    if any(not low <= truth[constant] <= high for constant, (low, high) in ranges.items()):
        return record | {"beyond": True}
    record |= {"seconds": time.process_time() - start}
    if made.draws is None or not made.draws.sampled.converged:
        return record | {"why": made.unsampled if made.draws is None else made.draws.sampled.obstacle}
    columns = dict(zip(map(canonical, space.names), made.draws.flat.T, strict=True))
    below = {constant: float(np.mean(columns[canonical(constant)] < truth[constant])) for constant in ranges}
    return record | {
        "sampler": made.draws.sampled.sampler,
        "below": {constant: below.get(constant) for constant in truth},
    }


def computed(name: str, law: str, n: int, seed: int, folder: Path) -> list[dict[str, object]]:
    """The first ``n`` data sets whose truths the time step allows; those of an earlier start are taken over."""
    path = folder / f"{name}_{law}_seed_{seed}.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    while sum("beyond" not in record for record in records) < n:
        records.append(data_set(name, law, len(records), seed, folder))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(records[-1]) + "\n")
    return [record for record in records if "beyond" not in record]


def pooled(sets: Sequence[Sequence[bool]]) -> str:
    """Hits of how many, their share, and its error over data sets, whose intervals depend on each other."""
    hits, counts = np.array([sum(x) for x in sets]), np.array([len(x) for x in sets])
    share = hits.sum() / max(counts.sum(), 1)
    error = math.sqrt(float(np.sum((hits - share * counts) ** 2))) / max(counts.sum(), 1)
    return f"{hits.sum()} of {counts.sum()}: {share:.3f} ± {error:.3f}"


def within(records: Sequence[Mapping[str, object]], mass: float) -> list[list[bool]]:
    """Whether the central ``mass`` of draws holds each truth, by data set."""
    shares = [record["below"] for record in records if "below" in record]
    return [[abs(2 * u - 1) <= mass for u in below.values() if u is not None] for below in shares]  # type: ignore[attr-defined]


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, type=click.Choice(list(CASES)), help="Default all.")
@click.option("--law", type=click.Choice(["prior", "third"]), default="prior", show_default=True)
@click.option("--data-sets", default=20, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("new-study-draws"))
@click.option("--quick", is_flag=True, help="Two data sets of one model.")
def main(names: tuple[str, ...], law: str, data_sets: int, seed: int, output: Path, quick: bool) -> None:
    if quick:
        names, data_sets = ("drug",), 2
    output.mkdir(parents=True, exist_ok=True)
    by_model = {name: computed(name, law, data_sets, seed, output) for name in names or CASES}
    rows = []
    for name, records in (by_model | {"all": [record for of in by_model.values() for record in of]}).items():
        counts = (len(records), sum("why" in record for record in records))
        rows.append((name, *map(str, counts), *(pooled(within(records, mass)) for mass in (0.9, 0.5))))
    show(f"Draws of unedited studies, truths by {law}", ("model", "sets", "without", "in 90 %", "in 50 %"), rows)
    click.echo(f"goal: {GOAL[0]} to {GOAL[1]} in 90 %")
    show_machine()


if __name__ == "__main__":
    main()
