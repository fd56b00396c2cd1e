"""One call of ``cipark sensitivity``: the methods in order, with progress."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from cipark_sd.commands.sensitivity.draws import inputs_of
from cipark_sd.commands.sensitivity.files import write
from cipark_sd.commands.sensitivity.findings import Found
from cipark_sd.commands.sensitivity.request import Request, asked_methods, paired
from cipark_sd.commands.sensitivity.target import asked_about
from cipark_sd.console import progress_bars
from cipark_sd.ensemble import processors
from cipark_sd.files import OUTPUT_FOLDER, output_folder
from cipark_sd.sensitivity.question import Question
from cipark_sd.sensitivity.response import ModelResponse, model_response
from cipark_sd.timegrid import time_grid

if TYPE_CHECKING:
    import xarray as xr

#: Runs done and runs planned.
Step = Callable[[int, int], None]

#: Trajectories of the screening for each count of levels.
_TRAJECTORIES = 40
#: Draws for claims and choices, and at least for a sample.
_DRAWS = 1024


def answer(request: Request) -> None:
    """Compute, write and tell.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    target = asked_about(request)
    folder = output_folder(request.output or OUTPUT_FOLDER / f"{target.study.name}-sensitivity")
    inputs = inputs_of(request, target, folder, max(request.rows, _DRAWS))
    question = inputs.question
    methods = asked_methods(request, question, joint=not inputs.unseen)
    response = _response(question, request.workers)
    sizes = {"uncertain constant": response.names, "output": response.outputs, "time": response.times}
    click.echo(f"{question.title}: " + ", ".join(f"{len(n)} {what}{'s' * (len(n) != 1)}" for what, n in sizes.items()))
    found = Found(question, inputs)
    for sentence in found.rests_on:
        click.echo(sentence)
    try:
        with progress_bars() as bars:
            for method in methods:
                _compute(method, request, response, folder, found, bars.counter(f"{method}, runs"))
            if request.loop_draws is not None:
                found.loops = _loops(question, request.loop_draws, request.seed, bars.counter("loops, runs"))
        written = write(found, folder, request.seed, request.workers or processors())
    except KeyboardInterrupt:
        kept = " The Sobol design so far is kept: the same command with --resume goes on." if _kept(folder) else ""
        click.echo(f"\nStopped.{kept}", err=True)
        raise SystemExit(130) from None
    for line in found.sentences():
        click.echo(f"\n{line}")
    click.echo(f"\nwritten to {folder}: " + ", ".join(path.name for path in written))


def _compute(method: str, request: Request, response: ModelResponse, folder: Path, found: Found, step: Step) -> None:
    """One method; what belongs to it is imported with it."""
    seed, rows, resamples = request.seed, request.rows, request.resamples
    match method:
        case "morris":
            from cipark_sd.sensitivity.morris import morris

            found.morris = morris(response, trajectories=_TRAJECTORIES, seed=seed, progress=step)
        case "sobol":
            found.sobol = _sobol(request, response, folder, found.question, step)
        case "sample":
            from cipark_sd.sensitivity.sample import sample

            found.sample = sample(response, n=max(rows, _DRAWS), seed=seed + 1, progress=step)
        case "tornado":
            from cipark_sd.sensitivity.local import tornado

            found.tornado = tornado(response)
        case "dgsm":
            from cipark_sd.sensitivity.local import dgsm

            found.dgsm = dgsm(response, n=max(rows // 8, 16), seed=seed, resamples=resamples, progress=step)
        case "shapley":
            from cipark_sd.sensitivity.shapley import shapley

            found.shapley = shapley(response, n=max(rows // 4, 64), seed=seed, resamples=resamples, progress=step)
        case "decisions":
            _decisions(request, found, step)


def _sobol(request: Request, response: ModelResponse, folder: Path, question: Question, step: Step) -> "xr.Dataset":
    from cipark_sd.sensitivity.sobol import sobol

    store = _store(folder)
    if not request.resume:
        store.unlink(missing_ok=True)
    return sobol(
        response,
        n=request.rows,
        seed=request.seed,
        resamples=request.resamples,
        second_order=paired(request, question),
        until=request.until,
        until_times=_nearest(response, question) if request.until else None,
        most=request.most_rows,
        progress=step,
        store=store,
    )


def _decisions(request: Request, found: Found, step: Step) -> None:
    """Claims against the priors; which alternative is best only where data stand behind the draws."""
    from cipark_sd.sensitivity.deciding import best_alternatives, claims_over_draws, with_classes

    inputs, asked, draws = found.inputs, found.question.decisions, max(_DRAWS, request.rows // 4)

    def over(compute: "Callable[..., xr.Dataset]", question: Question) -> "xr.Dataset":
        return compute(
            question, n=draws, seed=request.seed, resamples=request.resamples, workers=request.workers, progress=step
        )

    if asked.claims:
        claims = over(claims_over_draws, inputs.question)
        prior = claims if inputs.unseen else over(claims_over_draws, inputs.prior)
        worth = inputs.independent
        found.claims = with_classes(claims, prior, None if worth is None else min(draws, worth))
    if asked.choices and not inputs.unseen:
        found.choices = over(best_alternatives, inputs.question)


def _response(question: Question, workers: int | None) -> ModelResponse:
    times = None
    if question.every is not None:
        first, last = question.model.time.initial, question.model.time.final
        grid = time_grid(first, last, question.every, question.every, where=f"{question.title}, every")
        times = grid.times[grid.times <= last + question.every / 2].tolist()
    return model_response(
        question.model,
        question.factors,
        question.outputs,
        times=times,
        scenario=question.scenario,
        engine="native",
        workers=workers,
        drains=question.drains,
    )


def _nearest(response: ModelResponse, question: Question) -> list[float]:
    """The computed times next to the moments."""
    return [float(response.times[np.abs(response.times - moment.time).argmin()]) for moment in question.moments]


def _loops(question: Question, n: int, seed: int, step: Step) -> "xr.Dataset":
    """Loop dominance under the names in the model's .loops.toml, where there is one."""
    from cipark_sd.sensitivity.loops import loop_dominance, read_loops

    origin, factors = question.model.origin, question.factors
    beside = None if origin is None else origin.path.with_name(f"{origin.path.stem}.loops.toml")
    names = read_loops(beside, question.model) if beside is not None and beside.is_file() else ()
    shares = factors.joint(np.random.default_rng([seed, n]).random((n, len(factors))))
    draws = [dict(zip(factors.names, row, strict=True)) for row in factors.from_unit(shares).tolist()]
    return loop_dominance(question.model, names, draws=draws, progress=step)


def _store(folder: Path) -> Path:
    return folder / "sobol-design.npz"


def _kept(folder: Path) -> bool:
    return _store(folder).is_file()
