"""How long a Sobol design of the park takes here, through SALib's own evaluation loop, and through PySD.

    python benchmarks/sensitivity.py            N = 4096, all uncertain constants, and a sample of the other two routes
    python benchmarks/sensitivity.py --million  a million runs as well, with the most memory that they took

The two slow routes run a part of the same design and say what the whole would take. Wall time says what a user waits on
a machine with nothing else to do; processor time is what was computed, whatever else ran.
"""

import argparse
import resource
import time

import numpy as np

from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.designs import blocks
from cipark_sd.sensitivities.question import Question
from cipark_sd.sensitivities.ranking import sentences
from cipark_sd.sensitivities.response import ModelResponse, model_response
from cipark_sd.sensitivities.sobol import sobol
from cipark_sd.simulation import simulate
from cipark_sd.study import find_study

OUTPUT = "Residents"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    arguments = parser.parse_args()
    question = find_study(None).question()
    response = park(question)
    sobol(response, n=16, seed=1)  # compiles
    ours, runs = timed_design(response, 32 if arguments.quick else arguments.rows)
    print("\n".join(sentences(ours, question.moments)))
    through_salib(response, runs)
    through_pysd(question, response, runs, Scenario(final_time=2011) if arguments.quick else Scenario())
    if arguments.million:
        rows = 1 << int(np.log2(1_000_000 / (len(response.names) + 2)))
        timed_design(response, 2 * rows)


def park(question: Question) -> ModelResponse:
    """Total residents, four times a year."""
    times = np.arange(2010, 2030.01, 0.25).tolist()
    outputs = [output for output in question.outputs if output.label == OUTPUT]
    return model_response(
        question.model, question.factors, outputs, times=times, scenario=question.scenario, drains=question.drains
    )


def timed_design(response: ModelResponse, rows: int):
    """First-order and total indices with 100 resamples."""
    wall, processor = time.perf_counter(), time.process_time()
    indices = sobol(response, n=rows, seed=1)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    runs = int(indices.attrs["runs"])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"here: N = {rows}, {len(response.names)} constants, {len(response.times)} times, {runs} runs: {wall:.1f} s, "
        f"{processor:.1f} s of processors ({processor / runs * 1e6:.0f} us a run), at most {memory:.2f} GiB"
    )
    return indices, runs


def through_salib(response: ModelResponse, runs: int, points: int = 128) -> None:
    """SALib's interface: one function call a point, then its analysis for one time."""
    from SALib import ProblemSpec

    names = list(response.names)
    problem = ProblemSpec({"num_vars": len(names), "names": names, "bounds": [[0, 1]] * len(names), "outputs": ["y"]})

    def one_by_one(shares):
        return np.array(
            [response(response.scores(row[None]), np.zeros(1, dtype=np.uint64))[0, 0, -1] for row in shares]
        )

    shares = next(blocks(len(names), 0, points, 1))[1][:points]
    start = time.perf_counter()
    one_by_one(shares)
    per_run = (time.perf_counter() - start) / len(shares)
    problem.sample_sobol(64, calc_second_order=False)
    problem.set_results(
        one_by_one(problem.samples[:1]).repeat(len(problem.samples)) + np.arange(len(problem.samples)) % 7
    )
    start = time.perf_counter()
    problem.analyze_sobol(calc_second_order=False)
    analysis = time.perf_counter() - start
    print(
        f"SALib's loop over this engine: {per_run * 1e3:.2f} ms a run, {per_run * runs:.0f} s for the design; analysis "
        f"takes {analysis:.2f} s for one time at N = 64, {analysis * len(response.times):.0f} s for all"
    )


def through_pysd(question: Question, response: ModelResponse, runs: int, span: Scenario, points: int = 2) -> None:
    """PySD on the original file."""
    shares = next(blocks(len(response.names), 0, points, 1))[1]
    values = question.factors.from_unit(shares)
    draws = [
        question.scenario | span | Scenario("", dict(zip(response.names, row.tolist(), strict=True))) for row in values
    ]
    simulate(question.model, draws[0], save=["Total Residents"], engine="pysd")
    start = time.perf_counter()
    for draw in draws:
        simulate(question.model, draw, save=["Total Residents"], engine="pysd")
    per_run = (time.perf_counter() - start) / points
    print(f"PySD: {per_run:.2f} s a run, {per_run * runs / 3600:.0f} h for the design")


if __name__ == "__main__":
    main()
