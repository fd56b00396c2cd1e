"""One call of ``cipark sensitivity``: the methods in order, with progress, and what they find."""

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd import estimands
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.commands.result import Result, ended
from cipark_sd.commands.sensitivity.draws import inputs_of
from cipark_sd.commands.sensitivity.findings import Constant, ExplainedOutput, Facts, Findings, Inputs, save
from cipark_sd.commands.sensitivity.methods.base import DRAWS, Job, Method
from cipark_sd.commands.sensitivity.methods.registry import LOOPS, METHODS
from cipark_sd.commands.sensitivity.output import sentences, write
from cipark_sd.commands.sensitivity.request import MOST_TIMES, Request
from cipark_sd.commands.sensitivity.target import target_of
from cipark_sd.console import echo, progress_bars
from cipark_sd.described import version
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.files import OUTPUT_FOLDER, output_folder
from cipark_sd.model.variables import Stock
from cipark_sd.optional import record_in
from cipark_sd.scenarios import override_key, split_key
from cipark_sd.sensitivities.evaluation import Question
from cipark_sd.sensitivities.response import ModelResponse, model_response
from cipark_sd.tasks.cluster import Cluster
from cipark_sd.timegrid import time_grid

if TYPE_CHECKING:
    from cipark_sd.sensitivities.factors import Factors
    from cipark_sd.tasks.pool import Pool

#: Points of the cube from which quantiles of the constants are read.
_POINTS = 2001


def answer(request: Request) -> Result:
    """Compute, write and tell.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    pool = None if request.dask is None else Cluster(request.dask)
    target = target_of(request)
    folder = output_folder(request.output or OUTPUT_FOLDER / f"{target.study.name}-sensitivity")
    record_in(folder)
    checkpoints = Checkpoints.in_output(folder, fresh=request.fresh)
    inputs = inputs_of(request, target, max(request.rows, DRAWS))
    question = inputs.question
    methods = chosen_methods(request, joint=not inputs.unseen)
    allowed = target.study.allowed if request.allow_failed is None else request.allow_failed
    response = _response(question, request, pool, bare=not target.study.has_data, allowed=allowed)
    sizes = {"uncertain constant": response.names, "output": response.outputs, "time": response.times}
    echo(f"{question.title}: " + ", ".join(f"{len(n)} {kind}{'s' * (len(n) != 1)}" for kind, n in sizes.items()))
    findings = Findings(facts(request, inputs), {})
    for sentence in findings.rests_on:
        echo(sentence)
    try:
        with progress_bars() as bars, pool or nullcontext():
            for method in methods:
                progress = bars.counter(f"{method.name}, runs")
                findings = findings.with_results(method.compute(Job(request, inputs, response, checkpoints, progress)))
        sentences_of = (failures.sentence(design) for design, failures in response.failures.items())
        failed = tuple(filter(None, sentences_of))
        findings = replace(findings, facts=replace(findings.facts, failed=failed))
        save(findings, folder)
        write(findings, folder)
    except KeyboardInterrupt:
        resumable = any(method.name == "sobol" for method in methods)
        resume = " The Sobol design so far is kept: the same command resumes." if resumable else ""
        echo(f"\nStopped.{resume}", err=True)
        raise SystemExit(130) from None
    for line in sentences(findings):
        echo(f"\n{line}")
    echo()
    return ended(folder)


def chosen_methods(request: Request, *, joint: bool) -> tuple[Method, ...]:
    """In the order of the page, loops last; ``joint`` where constants depend on each other."""
    loops = (LOOPS,) if request.loop_draws is not None else ()
    if request.methods:
        return (*(method for method in METHODS if method.name in request.methods), *loops)
    return (*(method for method in METHODS if (method.default_joint if joint else method.default)), *loops)


def facts(request: Request, inputs: Inputs) -> Facts:
    """What the results are of."""
    question = inputs.question
    return Facts(
        title=question.title,
        model=question.model.name,
        model_digest=question.model.digest,
        study_digest=inputs.study_digest,
        seed=request.seed,
        version=version(),
        basis=inputs.basis,
        notes=inputs.notes,
        moments=question.moments,
        outputs=tuple(
            ExplainedOutput(
                output.label,
                estimands.name_in(question.model, output.variable),
                estimands.settings(question.model, output.without),
                estimands.unit_of(question.model, output.variable),
            )
            for output in question.outputs
        ),
        constants=tuple(_constants(question.factors)),
        time_units=question.model.time.units,
        starts=tuple(
            name
            for name in question.factors.names
            if isinstance(question.model.by_name.get(split_key(override_key(name))[0]), Stock)
        ),
    )


def _constants(factors: "Factors") -> list[Constant]:
    rng = np.random.default_rng(0)
    shares = factors.joint((rng.permuted(np.tile(np.arange(_POINTS), (len(factors), 1)), axis=1).T + 0.5) / _POINTS)
    quantiles = np.percentile(factors.from_unit(shares), (5, 50, 95), axis=0).tolist()
    why = [block.why for block in factors.blocks for _ in block.names]
    return [Constant(*row) for row in zip(factors.names, *quantiles, why, strict=True)]


def _times(question: Question, every: float | None, *, bare: bool) -> list[float] | None:
    """The times that are analysed, None for all saved ones."""
    if every is not None:
        first, last = question.model.time.initial, question.model.time.final
        grid = time_grid(first, last, every, every, where=f"{question.title}, every")
        return [float(time) for time in grid.times if time <= last + every / 2]
    saved = grid_of(question.model, checked(question.model, question.scenario)).saved_times
    if not bare or len(saved) <= MOST_TIMES:
        return None
    chosen = set(np.linspace(0, len(saved) - 1, MOST_TIMES).round().astype(int).tolist())
    chosen |= {int(np.abs(saved - moment.time).argmin()) for moment in question.moments}
    echo(f"note: {len(chosen)} of {len(saved):,} saved times are analysed; --every TIME chooses others", err=True)
    return [float(saved[i]) for i in sorted(chosen)]


def _response(
    question: Question, request: Request, pool: "Pool | None", *, bare: bool, allowed: float
) -> ModelResponse:
    times = _times(question, question.every if request.every is None else request.every, bare=bare)
    how: dict[str, Any] = {"scenario": question.scenario, "workers": request.workers if pool is None else 1}
    response = model_response(question.model, question.factors, question.outputs, times=times, **how)
    return replace(response, pool=pool, allowed=allowed)
