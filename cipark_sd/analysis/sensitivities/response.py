"""What is asked of a model: outputs over time as a function of scores, at many points of the unit cube at once.

Row *i* of a design is the same whatever is computed with it, so that a design can be continued, stopped and resumed.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from cipark_sd.analysis.sensitivities.evaluation import Evaluation, Output, Rows, world_key
from cipark_sd.analysis.sensitivities.factors import Factors, check_factors
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays
from cipark_sd.base.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.execution.pool import ArraysTask, Pool
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.named import output_problem
from cipark_sd.simulations.failures import Failures, labels

#: Rows whose sums are formed together; sums of blocks are added in order, whatever is run at a time.
BLOCK = 128
#: Keeps the streams of random numbers that one seed gives apart.
_BOOTSTRAP, _RANDOM = 1, 3

#: Runs of a design that are computed in one call: enough to keep the threads busy, little enough to stay small.
RUNS_AT_A_TIME = 16384
#: Draws of a task that a worker is sent.
PIECE = 1024

Points = Literal["sobol", "random"]


def check_power_of_two(n: int, *, where: str) -> None:
    """Raise unless ``n`` is a power of two from 16 on: what Sobol's sequence is balanced for.

    Parameters
    ----------
    n : int
        Rows of a design.
    where : str
        For the message.

    Raises
    ------
    InvalidValue
    """
    if n < 16 or n & (n - 1):
        below = 1 << max(4, n.bit_length() - 1)
        raise InvalidValue("the number of rows", n, f"a power of two such as {below} or {2 * below}", where=where)


def blocks(dimensions: int, start: int, stop: int, seed: int, points: Points = "sobol") -> Iterator[tuple[int, Array]]:
    """Rows of a design in pieces that end at multiples of :data:`BLOCK`.

    Sobol's sequence is scrambled (Owen 1998), which keeps its balance and avoids the corner 0; ``random`` points are
    independent.

    Parameters
    ----------
    start, stop : int
        The first row, and the one after the last.
    points : {"sobol", "random"}

    Yields
    ------
    (int, (n, dimensions))
        The number of a piece's first row, and points of the unit cube.
    """
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed)) if points == "sobol" else None
    if engine is not None and start:
        engine.fast_forward(start)
    first = start
    while first < stop:
        number, at = divmod(first, BLOCK)
        size = min(BLOCK - at, stop - first)
        if engine is not None:
            # pieces are powers of two, so that scipy, which judges the first piece alone, has nothing to warn of
            yield first, np.asarray(engine.random(size))
        else:
            rng = np.random.default_rng([seed, _RANDOM, number])
            yield first, rng.random((BLOCK, dimensions))[at : at + size]
        first += size


def bootstrap_weights(seed: int, first: int, size: int, resamples: int) -> Array:
    """How often each row of a piece is drawn in each resample of a bootstrap.

    Poisson counts in place of multinomial ones, so that sums of pieces add up whatever follows.

    Source: Hanley and MacGibbon 2006, Creating non-parametric bootstrap samples using Poisson frequencies.

    Parameters
    ----------
    first, size : int
        The first row of a piece and how many it has, all within one block.

    Returns
    -------
    (1 + resamples, size)
        The first resample takes each row once.
    """
    number, at = divmod(first, BLOCK)
    rng = np.random.default_rng([seed, _BOOTSTRAP, number])
    counts = rng.poisson(1.0, size=(BLOCK, resamples))[at : at + size].T
    return np.concatenate([np.ones((1, size)), counts])


@dataclass(frozen=True, eq=False)
class ModelResponse:
    """Outputs of a model as a function of the unit cube, in two steps: a cross design computes each score once.

    Parameters
    ----------
    evaluation : Evaluation
        What is computed of each draw.
    pool : Pool, optional
        Who computes in place of threads of this process; it changes no bit.
    allowed : float
        The share of a design's runs that may fail.
    """

    factors: Factors
    evaluation: Evaluation
    pool: Pool | None = None
    allowed: float = 1.0
    #: By design, what failed.
    failures: dict[str, Failures] = field(default_factory=dict)
    _design: tuple[str, int] | None = None

    @property
    def model(self) -> Model:
        """What is run."""
        return self.evaluation.model

    @property
    def times(self) -> Array:
        """``(n_times,)``."""
        return self.evaluation.times

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors."""
        return self.factors.names

    @property
    def outputs(self) -> tuple[str, ...]:
        """Labels."""
        return tuple(output.label for output in self.evaluation.definitions)

    @property
    def units(self) -> tuple[str, ...]:
        """Of the outputs."""
        return tuple(output.units(self.model) for output in self.evaluation.definitions)

    @property
    def time_units(self) -> str:
        """Of the times."""
        return self.model.time.units

    @cached_property
    def signature(self) -> str:
        """What decides the values: model, factors by their quantiles, outputs, times, scenario."""
        probes = self.factors.from_unit(np.linspace(0.05, 0.95, 7)[:, None].repeat(len(self.factors), axis=1))
        of = self.evaluation
        outputs = [(o.label, o.variable, *map(world_key, (None, o.without)), o.range) for o in of.definitions]
        texts = [self.model.digest, repr(self.names), repr(outputs), of.scenario.to_json()]
        return digest_of(*(text.encode() for text in texts), probes.tobytes(), self.times.tobytes())

    @property
    def n_scenarios(self) -> int:
        """How many runs one point of a design costs."""
        return self.evaluation.n_worlds

    @property
    def at_a_time(self) -> int:
        """Runs that a call should have so that all who compute are busy."""
        return RUNS_AT_A_TIME if self.pool is None else max(RUNS_AT_A_TIME, PIECE * self.pool.room)

    def no_failures(self) -> Failures:
        """A count that has begun."""
        return Failures(labels(self.model))

    def for_design(self, label: str, n: int, counted: Failures | None = None) -> "ModelResponse":
        """The response for the ``n`` runs of one design, whose failures are counted.

        Parameters
        ----------
        counted : Failures, optional
            What failed of the runs before, which are among the ``n``.
        """
        self.failures[label] = self.no_failures() if counted is None else counted
        return replace(self, _design=(label, n))

    def scores(self, shares: Array) -> Array:
        """Each coordinate for itself, ``(…, k)`` to ``(…, k)``."""
        return self.factors.scores(shares)

    def __call__(self, scores: Array, rows: Rows) -> Array:
        """``scores : (n, k)`` to ``(n, n_outputs, n_times)``; NaN where a run failed.

        ``rows : (n,)`` number the runs for a model's random functions: runs of one number draw the same.

        Raises
        ------
        TooManyFailed
            As soon as more runs of a planned design have failed than may.
        """
        return self.at_values(self.factors.values(scores), rows)

    def at_values(self, values: Array, rows: Rows) -> Array:
        """The same of values of the constants themselves ``(n, k)``, as draws have them."""
        answer = self._computed(values, rows)
        if self._design is not None:
            label, n = self._design
            self.failures[label].add(answer)
            self.failures[label].check(f"{self.model.name}, {label}", n, self.allowed)
        return np.asarray(answer["values"])

    def _computed(self, values: Array, rows: Rows) -> Arrays:
        if self.pool is None:
            return self.evaluation(values, rows)
        places = [slice(start, start + PIECE) for start in range(0, len(rows), PIECE)]
        parts: list[Arrays] = [{} for _ in places]
        tasks = (
            ArraysTask(partial(self.evaluation, values[place], rows[place]), f"{len(rows[place]):,} draws")
            for place in places
        )
        with closing(self.pool.answers(tasks)) as answers:
            for number, part in answers:
                parts[number] = part
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def coordinates(response: ModelResponse) -> dict[str, Any]:
    """Of a Dataset over factors, outputs and times, with the units of the outputs and of time."""
    return {
        "parameter": list(response.names),
        "output": list(response.outputs),
        "units": (("output",), list(response.units)),
        "time": (("time",), response.times, {"units": response.time_units}),
    }


def model_response(
    model: Model,
    factors: Factors,
    outputs: Sequence[Output],
    *,
    times: Sequence[float] | None = None,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    workers: int | None = None,
) -> ModelResponse:
    """The response of a model, checked by one run.

    Parameters
    ----------
    times : sequence of float, optional
        Saved times; None for all of them.
    scenario : Scenario
        What all runs share.
    workers : int, optional
        Threads; None for as many as there are processors.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, Problems
    """
    check_factors(factors, where=model.name)
    problems: list[CiparkError] = [p for output in outputs if (p := output_problem(model, output.variable)) is not None]
    if not outputs:
        problems.append(InvalidValue("the outputs", "none", "at least one", where=model.name))
    raise_all(model.name, problems)
    saved = grid_of(model, checked(model, scenario)).saved_times if times is None else np.array(times)
    evaluation = Evaluation(model, factors.names, tuple(outputs), saved, scenario, engine="native", workers=workers)
    response = ModelResponse(factors, evaluation)
    # one run finds names and times that the model does not have before thousands are planned
    evaluation(factors.from_unit(np.full((1, len(factors)), 0.5)), np.zeros(1, dtype=np.uint64))
    return response
