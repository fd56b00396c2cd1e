"""One call of ``cipark calibrate``: the steps in order, with progress, and what a person reads at the end."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from calibration.convergence import Convergence, poorest
from calibration.diagnostics import identifiability, identifiability_words
from calibration.draws import PER_CHAIN, PosteriorDraws, chains_path, draw, study_digest
from calibration.fitted import FittedRow, fitted
from calibration.kept import KEPT, key
from calibration.optimise import Optimum, maximise, optimise
from calibration.parts import Parts, code
from calibration.posterior import Posterior, posterior
from calibration.predict import EngineName, runner_factory
from calibration.prediction_profile import PredictionProfile, all_free, prediction_profile, prediction_words
from calibration.predictions import Prediction, Reported, reported
from calibration.predictive import predict, scores
from calibration.problem import FILE, CalibrationProblem, read_problem, until
from calibration.profile import Profile, profile
from calibration.record import Fit, estimates, posterior_lines, reference_gap
from calibration.sample import Effort
from calibration.sections import Method
from calibration.variants import Variant
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.scenarios import Scenario, resolve

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

#: Searches for the best of all parameters, held ones included, from which the profiles of predictions start.
JOINT_STARTS = 10
#: Draws of the priors that show what a prediction would be without data.
PRIOR_DRAWS = 2000
STUDIES = Path(__file__).parent / "studies"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for; None leaves the study's own."""

    study: Path
    starts: int | None = None
    seed: int | None = None
    estimate: str | None = None
    optimiser: str | None = None
    until: str | None = None
    fit_also: tuple[str, ...] = ()
    profiles: bool = True
    fast: bool = False
    engine: str = "native"
    posterior: bool = False
    draws: int = PER_CHAIN
    steps: int = 6000
    holdout: bool = False
    rivals: bool = False
    scenarios: tuple[str, ...] = ()
    self_tests: int = 0
    workers: int | None = None
    output: Path | None = None


def find_study(name: str, *, where: str = "calibrate") -> Path:
    """A folder as given, or a study of that name that comes with the package.

    Raises
    ------
    UnknownName
        When there is neither, with the names there are.
    """
    given = Path(name)
    if (given / FILE).is_file() or given.is_dir():
        return given
    shipped = sorted(path.name for path in STUDIES.iterdir() if (path / FILE).is_file())
    if name in shipped:
        return STUDIES / name
    beside = sorted(str(path.parent) for path in given.parent.glob(f"*/{FILE}"))
    raise UnknownName(name, [*shipped, *beside], kind=f"folder with {FILE} and no bundled study", where=where)


def fit(settings: Settings) -> Fit:
    """Read, optimise, look around the optimum, and check it in PySD and at half the step."""
    problem = _asked(read_problem(settings.study, fit_also=settings.fit_also), settings)
    # a misspelt scenario is told before anything runs
    chosen_scenarios(problem, settings.scenarios)
    method = problem.method
    engine = cast(EngineName, settings.engine)
    density = posterior(problem, runner_factory(engine))
    n = settings.starts or (method.fast_starts if settings.fast else method.starts)
    parts = _parts(density, settings, n)
    found_before = parts.count()
    bar = progress_bars()
    with bar if bar is not None else cast("AbstractContextManager[object]", nullcontext()):
        task = bar.add_task("searches", total=n) if bar is not None else None

        def searched(done: int, total: int, best: float) -> None:
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=total, description=f"searches, best log density {best:.3f}")

        optimum = optimise(
            density,
            starts=n,
            rng=np.random.default_rng(method.seed),
            estimate=method.estimate,
            optimiser=method.optimiser,
            parts=parts,
            on_progress=searched,
        )
        profiles: list[Profile] = []
        predictions: list[PredictionProfile] = []
        if settings.profiles and not optimum.interrupted:
            profiles, optimum = _profiles(optimum, parts, bar)
        if settings.profiles and not optimum.interrupted:
            predictions, optimum = _predictions(optimum, engine, parts, bar)
        draws = _sampled(density, settings, bar) if settings.posterior and not optimum.interrupted else None
    predicted = predict(density, draws.flat, np.random.default_rng([method.seed, 1])) if draws is not None else []
    return Fit(
        problem,
        optimum,
        fitted(density, optimum.theta),
        identifiability(optimum),
        profiles,
        engine,
        method.seed,
        None
        if settings.fast or engine == "pysd" or problem.model.time.method != "euler"
        else reference_gap(problem, optimum),
        _step_shift(problem, optimum, engine),
        draws,
        predicted,
        predictions,
        found_before,
    )


def _parts(density: Posterior, settings: Settings, starts: int) -> Parts:
    """Where searches and profiles are kept, under a digest of all that they depend on."""
    import scipy

    method = density.problem.method
    how = (density.runner.engine, method.estimate, method.optimiser, method.seed, starts)
    versions = (code(), np.__version__, scipy.__version__)
    return Parts(settings.output, key(study_digest(density), how, versions))


def _sampled(density: Posterior, settings: Settings, bar: "Progress | None") -> PosteriorDraws:
    """Joint draws of all parameters, with a bar."""
    task = bar.add_task("posterior", total=settings.steps) if bar is not None else None

    def stepped(done: int, total: int, worst: Convergence | None) -> None:
        if bar is not None and task is not None:
            state = f", {worst}" if worst is not None else ""
            bar.update(task, completed=done, total=total, description=f"posterior{plain(state)}")

    rng = np.random.default_rng([density.problem.method.seed, 2])
    effort = Effort(most_steps=settings.steps, least_steps=min(settings.steps, Effort().least_steps))
    saved = chains_path(None if settings.output is None else settings.output / KEPT, density, rng, effort)
    return draw(density, rng, effort=effort, per_chain=settings.draws, saved=saved, on_block=stepped)


def chosen_scenarios(problem: CalibrationProblem, names: Sequence[str]) -> tuple[Variant, ...]:
    """The study's scenarios of those names, all of them where none is named."""
    by_name = {variant.name: variant for variant in problem.scenarios}
    for name in names:
        if name not in by_name:
            raise UnknownName(name, sorted(by_name), kind="scenario", where=f"{problem.title}: --scenario")
    return tuple(by_name[name] for name in names) if names else problem.scenarios


def _asked(problem: CalibrationProblem, settings: Settings) -> CalibrationProblem:
    chosen = {
        "seed": settings.seed,
        "estimate": settings.estimate,
        "optimiser": settings.optimiser,
    }
    method: Method = replace(problem.method, **{key: value for key, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    problem = replace(problem, method=method)
    if settings.until is None:
        return problem
    try:
        time = problem.calendar.model_time(settings.until)
    except ValueError:
        expected = "a date such as 2017-12-31, or a number"
        raise InvalidValue("the date", settings.until, expected, where="--until") from None
    seen = until(problem, time)
    if not seen.fitted_terms:
        raise InvalidValue("the date", settings.until, "one after the first row to fit", where="--until")
    return seen


def _profiles(optimum: Optimum, parts: Parts, bar: "Progress | None") -> tuple[list[Profile], Optimum]:
    """Profiles of all fitted parameters; when the user stops, those that are done."""
    names = optimum.goal.space.names
    task = bar.add_task("profiles", total=len(names)) if bar is not None else None
    done: list[Profile] = []
    try:
        for name in names:
            done.append(parts.recall(Profile, f"profile {name}", partial(profile, optimum, name)))
            if bar is not None and task is not None:
                bar.update(task, advance=1, description=f"profiles, {plain(name)}")
    except KeyboardInterrupt:
        return done, replace(optimum, interrupted=True)
    return done, optimum


def _predictions(
    optimum: Optimum, engine: EngineName, parts: Parts, bar: "Progress | None"
) -> tuple[list[PredictionProfile], Optimum]:
    """Profiles of all reported predictions; when the user stops, those that are done."""
    problem = optimum.goal.density.problem
    done: list[PredictionProfile] = []
    if not problem.predictions:
        return done, optimum
    goal = all_free(replace(optimum.goal, base=optimum.theta))
    task = bar.add_task("predictions", total=len(problem.predictions)) if bar is not None else None
    try:
        best = optimum.theta
        if len(goal.free) > len(optimum.goal.free):
            rng = np.random.default_rng([problem.method.seed, 5])
            best = maximise(goal, starts=JOINT_STARTS, rng=rng, parts=parts.within("joint")).theta
        for prediction in problem.predictions:

            def make(prediction: Prediction = prediction) -> PredictionProfile:
                value = reported(problem, prediction, runner_factory(engine))
                found = prediction_profile(goal, optimum.theta, prediction.name, value, best=best)
                return _beside_prior(found, value, problem)

            done.append(parts.recall(PredictionProfile, f"prediction {prediction!r}", make))
            if bar is not None and task is not None:
                bar.update(task, advance=1, description=f"predictions, {plain(prediction.name)}")
    except KeyboardInterrupt:
        return done, replace(optimum, interrupted=True)
    return done, optimum


def _beside_prior(found: PredictionProfile, value: Reported, problem: CalibrationProblem) -> PredictionProfile:
    """The profile with the central 95 % that the priors alone give the prediction."""
    rng = np.random.default_rng([problem.method.seed, 6])
    values = value(problem.space.from_unit(rng.random((PRIOR_DRAWS, len(problem.space)))))
    usable = values[np.isfinite(values)]
    if not len(usable):
        return found
    low, high = np.quantile(usable, [0.025, 0.975])
    return replace(found, prior_low=float(low), prior_high=float(high))


def _step_shift(problem: CalibrationProblem, optimum: Optimum, engine: EngineName) -> float:
    """Largest move of an expected number in standard deviations of its noise when the step is halved."""
    if engine == "pysd":
        return float("nan")
    half = resolve(problem.model, problem.scenario).time_step / 2
    finer = replace(problem, scenario=problem.scenario | Scenario("", time_step=half))
    before = fitted(optimum.goal.density, optimum.theta)
    after = fitted(posterior(finer, runner_factory(engine)), optimum.theta)
    shifts = [
        abs(b.expected - a.expected) / sd
        for b, a in zip(before, after, strict=True)
        if b.use == "fit" and (sd := _sd(b)) > 0
    ]
    return float(max(shifts, default=float("nan")))


def _sd(row: FittedRow) -> float:
    """The noise's standard deviation, from the row's residual; a row that is met exactly says nothing."""
    nearest = min(max(row.expected, row.lower), row.upper)
    return abs((nearest - row.expected) / row.residual) if row.residual else 0.0


# --- what a person reads ----------------------------------------------------------------------------------------------


def progress_bars() -> "Progress | None":
    """Bars where someone watches, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def show(fit: Fit) -> None:
    """The tables and sentences of a fit."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(fit.problem.title, style="bold")
    _show_estimates(console, fit)
    if fit.predictions:
        _show_predictions(console, fit.predictions)
    _show_rows(console, fit.rows)
    if fit.draws is not None:
        _show_posterior(console, fit, fit.draws)
    for sentence in sentences(fit):
        console.print(sentence)


def _show_estimates(console: "Console", fit: Fit) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("parameter", no_wrap=True)
    for header in ("estimate", "prior median", "95 % of prior", "95 % profile"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("")
    for line in estimates(fit):
        table.add_row(
            plain(line.name),
            f"{line.estimate:.4g}",
            f"{line.prior_median:.4g}",
            f"{line.prior_low:.3g} to {line.prior_high:.3g}",
            _interval(line.profile_low, line.profile_high) if fit.profiles and line.use == "CAL" else "",
            line.verdict,
        )
    console.print(table)


def _show_predictions(console: "Console", found: Sequence[PredictionProfile]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("prediction", no_wrap=True)
    for header in ("at the estimate", "95 % profile", "95 % of priors alone"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("")
    for one in found:
        prior = f"{one.prior_low:.3g} to {one.prior_high:.3g}"
        table.add_row(plain(one.name), f"{one.estimate:.4g}", _interval(one.lower, one.upper), prior, one.verdict)
    console.print()
    console.print(table)


def _show_rows(console: "Console", rows: Iterable[FittedRow]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("observed", no_wrap=True)
    for header in ("data", "model", "90 % of noise", "residual"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("use")
    for row in rows:
        seen = f"{row.lower:g}" if row.lower == row.upper else _interval(row.lower, row.upper)
        band = f"{row.low:g} to {row.high:g}" if np.isfinite(row.low) else ""
        table.add_row(plain(row.label), seen, f"{row.expected:.2f}", band, f"{row.residual:+.1f}", row.use)
    console.print()
    console.print(table)
    console.print()


def _show_posterior(console: "Console", fit: Fit, draws: PosteriorDraws) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("posterior", no_wrap=True)
    for header in ("median", "95 %", "contraction", "R-hat", "ESS bulk", "ESS tail"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in posterior_lines(fit, draws):
        table.add_row(
            plain(str(line["name"])),
            f"{line['median']:.4g}",
            f"{line['low_95']:.3g} to {line['high_95']:.3g}",
            f"{line['contraction']:.2f}",
            f"{line['rhat']:.3f}",
            f"{line['ess_bulk']:.0f}",
            f"{line['ess_tail']:.0f}",
        )
    console.print(table)
    table = Table(box=None, pad_edge=False)
    for header in ("predicted", "numbers", "log score", "mean CRPS", "within 50 %", "within 90 %"):
        table.add_column(header, justify="right", no_wrap=True)
    for score in scores(fit.optimum.goal.density, list(fit.predicted)):
        table.add_row(
            score.use,
            str(score.n),
            f"{score.log_score:.2f}",
            f"{score.crps:.2f}",
            f"{score.within_50:.0%}",
            f"{score.within_90:.0%}",
        )
    console.print()
    console.print(table)
    console.print()


def plain(text: str) -> str:
    """Text in which square brackets stay what they are."""
    return text.replace("[", r"\[")


def _interval(low: float | None, high: float | None) -> str:
    left = "open" if low is None or np.isinf(low) else f"{low:.3g}"
    right = "open" if high is None or np.isinf(high) else f"{high:.3g}"
    return f"{left} to {right}"


def sentences(fit: Fit) -> Sequence[str]:
    """What the numbers say, in words."""
    optimum, found = fit.optimum, fit.identifiability
    said = [
        f"Log likelihood {optimum.log_likelihood:.3f}; {optimum.n_arrived} of {len(optimum.searches)} searches ended "
        "within 0.1 of the best log density."
    ]
    if optimum.interrupted:
        said.append("Stopped before all was done: this is the best so far. The same command goes on from here.")
    if fit.found_before:
        said.append(f"{fit.found_before} finished searches and profiles of an earlier start were taken over.")
    if len(optimum.searches) > 1 and optimum.n_arrived == 1:
        said.append("Only one search arrived there, so a better optimum may exist: raise --starts.")
    if optimum.at_bound:
        said.append("At a bound: " + ", ".join(map(plain, optimum.at_bound)) + ".")
    said += [plain(sentence) for sentence in identifiability_words(found)]
    opened = [result.name for result in fit.profiles if result.lower is None and result.upper is None]
    if opened:
        said.append("Bounded by the data on neither side: " + ", ".join(map(plain, opened)) + ".")
    said += [plain(sentence) for sentence in prediction_words(fit.predictions, fit.problem)]
    far = [row.label for row in fit.rows if row.use == "fit" and abs(row.residual) > 3]
    if far:
        said.append("More than three standard deviations off: " + ", ".join(map(plain, far)) + ".")
    if fit.draws is not None:
        state = (
            "has converged"
            if fit.draws.chains.converged
            else "HAS NOT CONVERGED, do not use its numbers; raise --steps"
        )
        said.append(f"The posterior {state}: {plain(str(poorest(fit.draws.chains.found)))}.")
    if np.isfinite(fit.step_shift):
        said.append(f"Half the time step moves no expected number by more than {fit.step_shift:.2g} of its noise.")
    if fit.reference_gap is not None:
        gap = "none, to the last bit" if fit.reference_gap == 0 else f"{fit.reference_gap:.1e}"
        said.append(f"Run again in PySD on the original file: largest relative difference {gap}.")
    return said
