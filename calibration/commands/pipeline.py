"""One call of ``cipark calibrate``: the steps in order, with progress."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from calibration.assess.assessment import NOTHING, Assessment, Stages, assess
from calibration.commands.for_analyses.fitted_study import DRAWS, FIT
from calibration.commands.settings import Settings
from calibration.inference.judge.verification import (
    UNSAMPLED,
    Replication,
    Stepping,
    finer,
    replication,
    shift_at_half_the_step,
    stepping_words,
)
from calibration.inference.profile.profile import predictions as profiles_of_predictions
from calibration.inference.profile.profile import profiles as profiles_of_parameters
from calibration.inference.sample.convergence import EFFORT, Convergence, Effort, affordable_steps, cost_of_a_run
from calibration.inference.sample.draws import PosteriorDraws, chains_entry, draw, study_digest, tree
from calibration.inference.sample.failed_draws import failed_draws, impossible_terms
from calibration.inference.sample.known_optima import POINTS_EACH
from calibration.inference.sample.warming import NEAR
from calibration.inference.search.optimise import NothingFits, Optimum, continued, optimise
from calibration.inference.search.scoring import drawn_about
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import On, Posterior, posterior
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.report.collect import Calibration
from calibration.report.findings import Findings
from calibration.report.output import write_fit
from calibration.study.parameters import share_that_may_fail
from calibration.study.problem import CalibrationProblem, at_step, read_problem, until, with_question
from calibration.study.sections import Method
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.checkpoints import Checkpoints, digest, sign_files
from cipark_sd.base.console import Bars, echo, progress_bars
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.optional import attempt
from cipark_sd.data.results import load_what_writes, write_netcdf
from cipark_sd.engines.registry import choose
from cipark_sd.execution import cluster
from cipark_sd.execution.pool import Pool, Progress
from cipark_sd.execution.workers import Workers
from cipark_sd.simulations.ensembles import processors
from cipark_sd.simulations.failures import TooManyFailed

#: Operations of the model up to which a posterior is sampled unasked. The park takes half of it, 14 CPU seconds.
UNASKED = 100_000_000_000
#: Operations that searches with finer steps may take, all turns together: two minutes of processor time at 127 million
#: a second, the least of four cases of benchmarks/gauntlet (housing; prison, dengue and reservoir make 450 to 500).
#: Those of a run at most, beyond which profiles of 20 constants take a quarter of an hour. And how often: an estimate
#: that moves may ask for more.
AGAIN, DEAREST, MOST_FINER = 15_000_000_000, 1_000_000, 4
#: Steps of ensembles about the best fit that are not asked for, at most: with 256 walkers they take 180 MB, and each
#: look at them takes as long as a fifth of all.
MOST_WALKED = 3000
#: Why there are no draws of a posterior that was not asked for.
LONGER = "it has not converged yet ({}): the same command goes on"
#: Of draws that have not converged when something else is asked of them.
KEPT = "another question is answered by the draws that are kept: the same command again goes on sampling"
#: In the place of stages that a stop has left out, or that failed.
STOPPED = Replication("not compared", "the fit was stopped before its end")
NOT_TRIED: tuple[str, ...] = ("Whether there are draws with which the model fails was not computed.",)


def calibrate(
    settings: Settings,
    change: Callable[[CalibrationProblem], CalibrationProblem] = lambda problem: problem,
    *,
    maximised: bool = False,
) -> Calibration:
    """Read, ``change``, optimise, look around the optimum, sample where that is asked for, and compare with PySD.

    Parameters
    ----------
    settings : Settings
        As of :func:`calibration.commands.calibrate.whole`.
    change : function of a problem
        What Python changes of it before options do.
    maximised : bool
        As of :func:`calibration.study.problem.read_problem`.

    Returns
    -------
    Calibration
        Of the stages that were done, where the user has stopped.
    """
    read = read_problem(
        settings.folder, fit_also=settings.fit_also, allow_files=settings.allow_files, maximised=maximised
    )
    problem = _with_options(change(read), settings)
    # a misspelt scenario is told before anything runs
    _chosen_scenarios(problem, settings.scenarios)
    density = posterior(problem, choose(settings.engine, settings.workers or processors()))
    if _may_sample(problem, settings):
        load_what_writes()
    made: Calibration | None = None
    try:
        with closing(_stages(density, settings)) as stages:
            for made in stages:
                if made.interrupted:
                    break
    except KeyboardInterrupt:
        # whatever is done is written, wherever between two stages or within one the user stops
        if made is None:
            raise
        made = replace(made, optimum=replace(made.optimum, interrupted=True))
    assert made is not None  # the searches raise or give an optimum
    if made.interrupted:
        # figures and pages of it take longer than somebody waits who has pressed a key
        echo("stopped: what is finished is kept, and written now; Ctrl-C again ends immediately", err=True)
    return made


def _may_sample(problem: CalibrationProblem, settings: Settings) -> bool:
    """Whether draws may come: they are asked for, pools need them, or nobody has said and the model may be cheap."""
    return bool(settings.posterior or problem.pools or (settings.posterior is None and not settings.fast))


def _stages(density: Posterior, settings: Settings) -> Generator[Calibration, None, None]:
    """What is known after each stage."""
    with progress_bars() as bars, pool_of(settings) as pool:
        made, checkpoints = yield from _with_a_step_that_serves(density, settings, bars, pool)
        optimum = made.optimum
        density, problem = optimum.goal.density, optimum.goal.density.problem
        if problem.payoff and not problem.method.log_density:
            return
        # nothing is judged by such a step: the answer is to fit with another, and needs no search more
        if settings.profiles and not made.is_unjudged and not problem.payoff:
            made, optimum = _profiled(made, checkpoints, bars, pool)
            yield made
        is_asked_for = bool(settings.posterior or problem.pools)
        if made.is_unjudged:
            made = replace(made, unsampled=UNSAMPLED if is_asked_for else "")
        elif is_asked_for or (_may_sample(problem, settings) and _is_cheap(density)):
            drawn = _sampled(optimum, settings, _effort_of(settings, density), bars)
            shown = is_asked_for or drawn.sampled.converged or drawn.sampled.interrupted
            why = "" if shown else LONGER.format(drawn.sampled.obstacle)
            yield (made := replace(made, draws=drawn if shown else None, unsampled=why))
        # draws that can be trusted give each number with its interval: a profile would be a second one
        is_sampled = made.draws is not None and made.draws.sampled.converged
        if problem.payoff:
            # it has no numbers that PySD, failing draws or half the step could be set against
            if settings.profiles and not is_sampled:
                yield _profiled(made, checkpoints, bars, pool)[0]
            return
        if settings.profiles and not is_sampled and not made.is_unjudged:
            predictions, optimum = profiles_of_predictions(optimum, checkpoints, bars, pool)
            made = replace(made, optimum=optimum, predictions=tuple(predictions), reused=checkpoints.origin)
            yield made
    # a profile may have reached a better optimum
    if optimum.moved:
        made = replace(made, step_shift=_step_shift(optimum, settings))
    yield (made := replace(made, replication=_replication(optimum, settings)))
    theta, seed = None if made.draws is None else made.draws.flat, problem.method.seed
    allowed = share_that_may_fail(problem.space) if settings.allow_failed is None else settings.allow_failed
    failed = attempt(
        "failed draws",
        lambda: failed_draws(density, theta, seed, allowed),
        NOT_TRIED,
        refused=TooManyFailed,
    )
    yield replace(made, failed=failed)


def _with_a_step_that_serves(
    density: Posterior, settings: Settings, bars: Bars, pool: Pool
) -> Generator[Calibration, None, tuple[Calibration, Checkpoints]]:
    """The optimum, with finer steps while these are needed; tells what draws of the priors make impossible then."""
    try:
        optimum, checkpoints = _searched(density, settings, bars, pool)
        yield (made := _at(optimum, settings, checkpoints))
        made = replace(made, step_shift=_step_shift(optimum, settings))
        first, dearer, left = made, 1.0, float(AGAIN)
        for _ in range(MOST_FINER):
            way, cost = _finer(made)
            left -= cost
            if way is None or left < 0:
                break
            echo(stepping_words(optimum, made.step_shift, way), err=True)
            dearer *= way.dearer
            sentence = stepping_words(first.optimum, first.step_shift, replace(way, dearer=dearer))
            density = posterior(at_step(density.problem, way.step, way.method), density.runner.engine)
            optimum, checkpoints = _searched(density, settings, bars, pool, optimum)
            yield (made := replace(_at(optimum, settings, checkpoints), stepped=sentence))
            made = replace(made, step_shift=_step_shift(optimum, settings))
    except NothingFits:
        _tell_impossible(density)
        raise
    _tell_impossible(density)
    return made, checkpoints


def _profiled(made: Calibration, checkpoints: Checkpoints, bars: Bars, pool: Pool) -> tuple[Calibration, Optimum]:
    """With the profile of each parameter, and the optimum, which one of them may have moved."""
    profiles, optimum = profiles_of_parameters(made.optimum, checkpoints, bars, pool)
    return replace(made, optimum=optimum, profiles=tuple(profiles), reused=checkpoints.origin), optimum


def _tell_impossible(density: Posterior) -> None:
    """Which data draws of the priors make impossible."""
    for line in () if density.problem.payoff else impossible_terms(density, density.problem.method.seed):
        echo(f"warning: {line}", err=True)


def _searched(
    density: Posterior, settings: Settings, bars: Bars, pool: Pool, near: Optimum | None = None
) -> tuple[Optimum, Checkpoints]:
    """The best of all searches, and where what follows it is kept; searches go on from an optimum that is ``near``."""
    method = density.problem.method
    n = settings.starts or (method.fast_starts if settings.fast else method.starts)
    checkpoints = _fit_checkpoints(density, settings, n)
    bars.show("searches", 0, n)

    def searched(n_done: int, total: int, best: float) -> None:
        bars.show("searches", n_done, total, f"best log density {best:.3f}")

    search: Callable[..., Optimum]
    if near is None:
        search = partial(optimise, starts=n, rng=np.random.default_rng(method.seed))
    else:
        search = partial(continued, near)
    optimum = search(density, estimate=method.estimate, checkpoints=checkpoints, pool=pool, on_progress=searched)
    return optimum, checkpoints if near is None else checkpoints.within("finer", optimum.theta)


def _at(optimum: Optimum, settings: Settings, checkpoints: Checkpoints) -> Calibration:
    """A calibration of which nothing but the optimum is known."""
    asked_step = settings.step is not None or settings.method is not None
    made = Calibration(optimum, (), (), settings.engine, STOPPED, NOT_TRIED, asked_step=asked_step)
    return replace(made, reused=checkpoints.origin)


def _finer(made: Calibration) -> tuple[Stepping | None, float]:
    """How to fit again where the step is too coarse, and the operations that it takes; None where the user said how."""
    optimum, cost = made.optimum, cost_of_a_run(made.optimum.goal.density)
    is_held = made.asked_step or bool(made.problem.payoff)
    if made.optimum.interrupted or is_held or cost is None:
        return None, 0.0
    way: Stepping | None = attempt("half step", lambda: finer(optimum, made.step_shift, made.engine), None)
    if way is None or way.dearer * cost > DEAREST:
        return None, 0.0
    # the searches that go on take 0.3 to 1.3 times as many as those before took each; over jumps a slope is 2 runs
    searches = (SEARCH.go_on + 2) * float(np.mean([search.evaluations for search in optimum.searches]))
    return way, way.dearer * cost * searches * (2 * len(optimum.goal.free) if optimum.goal.rough else 1)


def pool_of(settings: Settings) -> Pool:
    """Processes of this machine, or the workers of a cluster."""
    n, checkpoints = processors() if settings.workers is None else settings.workers, settings.checkpoints
    return cluster.pool_of(settings.dask, partial(Workers, n, checkpoints), checkpoints)


def keep_fit(findings: Findings, folder: Path) -> None:
    """Write the record of the fit, signed by the user's key, and the scenario of its estimate.

    Parameters
    ----------
    folder : Path
        Of the output.
    """
    write_fit(findings, folder)
    sign_files(folder, FIT)


def keep_draws(made: Calibration, folder: Path) -> None:
    """Write the draws with what they predict, where there are any.

    Parameters
    ----------
    folder : Path
        Of the output.
    """
    if made.draws is not None:
        seed = made.problem.method.seed
        write_netcdf(tree(made.draws, stage_numbers(seed, Stage.FILE_OF_DRAWS), seed), folder / DRAWS)
        sign_files(folder, DRAWS)


def _fit_checkpoints(density: Posterior, settings: Settings, starts: int) -> Checkpoints:
    """Where searches and profiles are kept, under a digest of all that they depend on."""
    method, fixed_starts = density.problem.method, [p.start for p in density.space if p.start is not None]
    how = (density.runner.engine.name, method.estimate, method.seed, starts, *fixed_starts)
    return settings.checkpoints.within("fit", study_digest(density), how)


def _sampled(optimum: Optimum, settings: Settings, effort: Effort, bars: Bars) -> PosteriorDraws:
    """Joint draws of all parameters, with a bar.

    Without a number of steps each call that has not come to an end has a budget of its own, and the next one goes on.
    The draws have to hold every optimum that searches found by what it weighs. Where the likelihood jumps, slopes lead
    trajectories astray and chains that are warmed miss narrow hills: ensembles, which need no slope, begin about the
    best fit.
    """
    density, walkers, about = optimum.goal.density, None, None
    optima = np.array([optimum.theta, *optimum.as_good(NEAR)])
    if optimum.goal.rough:
        _, first, further = stage_numbers(density.problem.method.seed, Stage.POSTERIOR).spawn(3)
        k = len(density.space)
        about = np.array([drawn_about(optimum.goal, end, POINTS_EACH * k, further, spread=1.0) for end in optima])
        if effort.sampler == EFFORT.sampler:
            steps = settings.steps or min(effort.most_steps, MOST_WALKED)
            effort = replace(effort, sampler="chains", walkers=2 * k + 4, most_steps=steps, least_steps=steps * 3 // 5)
            begin = drawn_about(optimum.goal, optimum.theta, effort.ensembles * effort.walkers, first)
            walkers = begin.reshape(effort.ensembles, effort.walkers, k)
    bars.show("posterior", 0, effort.most_steps)

    def stepped(steps: int, total: int, worst: Convergence | None) -> None:
        bars.show("posterior", steps, total, "" if worst is None else str(worst))

    rng = stage_numbers(density.problem.method.seed, Stage.POSTERIOR)
    saved = chains_entry(settings.checkpoints, density, rng, effort)
    spent = settings.checkpoints.entry("steps", saved.key)
    if settings.steps is None and (before := spent.load()) is not None:
        # another budget on top of those that were used up: a call that was stopped had not used up its own
        is_same = str(before["asked"]) == density.problem.about
        effort = replace(effort, most_steps=int(before["steps"]) + is_same * effort.most_steps)
        if not is_same:
            echo(KEPT, err=True)
    drawn = draw(
        density,
        rng,
        effort=effort,
        per_chain=settings.draws,
        saved=saved,
        failed=settings.checkpoints.entry("importance", saved.key, effort.sampler, effort.most_points, digest(optima)),
        walkers=walkers,
        optima=optima,
        about=about,
        on_block=stepped,
    )
    if settings.steps is None and not (drawn.sampled.converged or drawn.sampled.interrupted):
        spent.save({"steps": np.array(effort.most_steps), "asked": np.array(density.problem.about)})
    return drawn


def _effort_of(settings: Settings, density: Posterior) -> Effort:
    """How much sampling is asked for, or what the model can afford."""
    steps = settings.steps or affordable_steps(density)
    return Effort(most_steps=steps, least_steps=min(steps, Effort().least_steps), sampler=settings.sampler)


def _is_cheap(density: Posterior) -> bool:
    """Whether importance sampling with all of its points stays within :data:`UNASKED`."""
    cost = cost_of_a_run(density)
    return cost is not None and cost * Effort().most_points <= UNASKED


def _chosen_scenarios(problem: CalibrationProblem, names: Sequence[str]) -> tuple[Structure, ...]:
    """The study's scenarios of those names, all of them where none is named."""
    by_name = {variant.id: variant for variant in problem.scenarios}
    for name in names:
        if name not in by_name:
            raise UnknownName(name, sorted(by_name), kind="scenario", where=f"{problem.title}: --scenario")
    return tuple(by_name[name] for name in names) if names else problem.scenarios


def _with_options(problem: CalibrationProblem, settings: Settings) -> CalibrationProblem:
    chosen = {"seed": settings.seed, "estimate": settings.estimate, "level": settings.level}
    method: Method = replace(problem.method, **{key: value for key, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    problem = at_step(replace(problem, method=method), settings.step, settings.method)
    if problem.pools and method.estimate == "ml":
        where = f"{problem.title}: [method] or --estimate"
        expected = "'map', since groups that share a parameter in part have priors that count"
        raise InvalidValue("the estimate", method.estimate, expected, where=where)
    if settings.about is not None:
        problem = with_question(problem, settings.about, where="--about")
    if settings.until is None:
        return problem
    early = until(problem, _last(problem, settings.until))
    if not early.fitted_terms:
        raise InvalidValue("the date", settings.until, "one after the first row to fit", where="--until")
    return early


def _last(problem: CalibrationProblem, text: str) -> float:
    """The end of the rows that have such a title, such as a year; else the time that a date or a number is."""
    titled = [(term, f"{o.name} {text}") for o in problem.observations for term in o.terms]
    ends = [quantity.end for term, title in titled if term.label == title for quantity in term.quantities]
    if ends:
        return max(ends)
    try:
        return problem.calendar.model_time(text)
    except ValueError:
        expected = "a date such as 2017-12-31, or a number"
        raise InvalidValue("the date", text, expected, where="--until") from None


def _step_shift(optimum: Optimum, settings: Settings) -> float:
    """The largest move of an expected number at half the time step; NaN where it cannot be had, as of a payoff."""
    if optimum.goal.density.problem.payoff:
        return float("nan")
    return attempt("half step", lambda: shift_at_half_the_step(optimum, settings.engine), float("nan"))


def _replication(optimum: Optimum, settings: Settings) -> Replication:
    """The comparison with PySD: as asked, else not with ``--fast``, else where it takes little time."""
    compare = False if settings.fast and settings.compare_pysd is None else settings.compare_pysd
    nothing = Replication("not compared", "the comparison failed")
    return attempt("pysd", lambda: replication(optimum, engine=settings.engine, compare=compare), nothing)


def assessment(settings: Settings, made: Calibration) -> Assessment:
    """What follows the posterior of a calibration, nothing without draws; after a stop, what takes no fit.

    Raises
    ------
    UnknownName
        For a scenario that the study does not have.
    """
    problem, drawn = made.problem, made.draws
    if drawn is None:
        return NOTHING
    # a posterior that was not asked for has no forecast under scenarios, which would cost as much again
    scenarios = _chosen_scenarios(problem, settings.scenarios) if settings.posterior else ()
    with progress_bars() as bars, pool_of(settings) as workers:

        def show_stage(stage: str, now: Progress) -> None:
            bars.show(stage, now.completed, now.total, ", ".join(now.running))

        goes_on = not made.interrupted
        stages = Stages(
            _effort_of(settings, drawn.density),
            holdout=goes_on and settings.holdout,
            rivals=goes_on and settings.rivals,
            scenarios=scenarios,
            self_tests=settings.self_tests if goes_on else 0,
            folder=settings.output,
            workers=workers,
            on_stage=show_stage,
        )
        return assess(drawn, On(made.engine), stages)
