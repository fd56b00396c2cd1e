"""What ``cipark calibrate`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from calibration.inference.judge.conditions import conditions_record
from calibration.inference.profile.interval_rules import Threshold
from calibration.inference.profile.verdict import Verdict
from calibration.inference.sample.convergence import USABLE
from calibration.report.conclusions import prediction_given, rule_words
from calibration.report.findings import FILE, Findings, Fit, load, posterior_table
from calibration.report.sections import registry
from calibration.report.sections.answer import answer, first_screen
from calibration.report.sections.base import misfit
from calibration.report.sections.constants import constants
from calibration.report.sections.predictions import Predictions
from calibration.study.parameters import far_off
from cipark_sd.base.console import NamedLines
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.files import write_text
from cipark_sd.base.naming import override_key, split_key
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Page
from cipark_sd.pages.figures.files import FOR_PRINT
from cipark_sd.pages.parts import Pictures


def page(findings: Findings, pictures: Pictures) -> Page:
    """The page of findings, with the pictures that there are."""
    return output.page_of(registry.SECTIONS, findings, pictures, findings.fit.study.title, _identity(findings))


def write(findings: Findings, folder: Path, *, for_print: bool = False) -> list[Path]:
    """Write tables, figures, the record and the page into a folder that exists, each file whole or not at all.

    Parameters
    ----------
    for_print : bool
        Figures as PNG and PDF, too.

    Returns
    -------
    list of Path
        What was written.
    """
    title, written = findings.fit.study.title, write_fit(findings, folder)
    return written + output.write(registry.SECTIONS, findings, folder, title, _identity(findings), for_print=for_print)


def files_of_earlier(folder: Path) -> set[Path]:
    """Tables and figures of the fit that a folder holds: those that the next one does not write would be of none.

    None where the findings are of another version, and nothing says the names.
    """
    names = set[Path]()
    with suppress(InvalidValue):
        earlier = load(folder)
        for part in registry.SECTIONS:
            tables = [f"{name}.csv" for name in part.tables(earlier)]
            figures = [f"{drawing.name}{ending}" for drawing in part.drawings(earlier) for ending in FOR_PRINT]
            names |= {folder / name for name in (*tables, *figures)}
    return names


def write_fit(findings: Findings, folder: Path) -> list[Path]:
    """Write the record of the fit and the scenario of its estimate, which other commands take up."""
    text = json.dumps(record(findings), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return [write_text(folder / "fit.json", text), write_text(folder / "fitted.toml", fitted_scenario(findings.fit))]


write_again = output.again(FILE, load, write)


def _identity(findings: Findings) -> str:
    fit = findings.fit
    return (
        f"Model {fit.study.model} ({fit.study.model_digest[:12]}), cipark_sd {fit.version}, engine {fit.engine}, "
        f"{fit.study.time_method} in steps of {fit.study.time_step:g}, seed {fit.seed}."
    )


#: The keys of a scenario file's [time], by the names that scenarios have for them.
TIME_KEYS = {"initial_time": "from", "final_time": "to", "time_step": "step", "saveper": "save_every"}


def record(findings: Findings) -> dict[str, object]:
    """What ``fit.json`` holds; what is not finite becomes null."""
    fit = findings.fit
    study, optimum = fit.study, fit.optimum
    conditions = {held.name: held.value for held in prediction_given(fit)}
    numbers = [*constants(findings), *Predictions().headlines(findings)]
    content = {
        "format": "cipark calibration 1",
        "title": study.title,
        "about": study.question,
        "answer": answer(findings),
        "cipark_sd_version": fit.version,
        "numpy_version": fit.numpy_version,
        "model": study.model,
        "model_digest": study.model_digest,
        "study_digest": study.study_digest,
        "scenario": json.loads(study.scenario),
        "engine": fit.engine,
        "integration_method": study.time_method,
        "time_step": study.time_step,
        "why_this_step": fit.stepped,
        "estimate": study.method.estimate,
        "seed": fit.seed,
        "searches": len(optimum.searches),
        "searches_arrived": optimum.n_arrived,
        "better_fits_of_profiles": optimum.moved,
        "interrupted": optimum.interrupted,
        "log_likelihood": optimum.log_likelihood,
        "log_density": optimum.log_density,
        "parameters": dict(zip(study.space.names, optimum.theta.tolist(), strict=True)),
        "level": fit.level,
        "interval_rule": rule_words(fit) if fit.profiles else "",
        "standard_errors": fit.errors,
        "no_standard_error": fit.no_errors,
        "residuals": fit.residuals.dropna(subset="n").to_dict("records"),
        "conditions": conditions_record(fit.conditions),
        "misfit": misfit(findings),
        "classes": {record.estimand: record.standing for record in numbers},
        "at_bound": list(fit.at_bound),
        "far_from_the_file": [name for name, *_ in far_off(fit.study.space, optimum.theta.tolist())],
        "step_functions_of": list(optimum.stepwise),
        "singular_values": list(fit.identifiability.singular_values),
        "directions_informed": fit.identifiability.n_informed,
        "collinearity": fit.identifiability.collinearity,
        "profiles": {
            profile.name: {
                "lower": profile.lower,
                "upper": profile.upper,
                "verdict": str(fit.conditions.of(profile.name)),
                **_sides(profile.verdict, profile.threshold),
            }
            for profile in fit.profiles
        },
        "predictions": {
            prediction.name: {
                "estimate": prediction.estimate,
                "lower": prediction.lower,
                "upper": prediction.upper,
                "verdict": prediction.words,
                "conditional_on": conditions,
                **_sides(prediction.verdict, prediction.threshold),
            }
            for prediction in fit.predictions
        },
        "comparison_with_pysd": fit.replication.record(),
        "converged_means": None if fit.posterior is None else str(USABLE),
        "converged": None if fit.posterior is None else fit.posterior.converged,
        "optima": [
            {
                "values": dict(zip(fit.study.space.names, place.theta.tolist(), strict=True)),
                "below_the_best": place.below,
                "share_of_posterior_about_it": place.weight,
                "share_of_draws_about_it": place.share,
            }
            for place in fit.optima
        ],
        "posterior": None if fit.posterior is None else {row.pop("name"): row for row in posterior_table(fit)},
        "largest_shift_at_half_the_step": fit.conditions.shift,
        "under_step": fit.conditions.under_step,
    }
    return {key: _finite(value) for key, value in content.items()}


def fitted_scenario(fit: Fit) -> str:
    """A scenario file of the run at the estimate, for ``cipark run --scenario``: what the study holds, then what was
    fitted.
    """
    content = json.loads(fit.study.scenario)
    values: dict[str, object] = dict(content.get("set", {}))
    at_estimate = zip(fit.study.space, fit.optimum.theta.tolist(), strict=True)
    typical = {pool.typical.name: pool.name for pool in fit.study.pools}
    added = {p.name for pool in fit.study.pools for p in (pool.size, *pool.innovations)}
    of_file = [(typical.get(p.name, p.name), value) for p, value in at_estimate if p.target == "model"]
    values |= {override_key(name): value for name, value in of_file if name not in added}
    groups = set(fit.study.groups)
    values = {name: value for name, value in values.items() if not groups & set(split_key(name)[1])}
    time = {key: content[name] for name, key in TIME_KEYS.items() if content.get(name) is not None}
    lines = [f"# {fit.study.title}: one run of the model {fit.study.model} at the estimate.".replace("\n", " ")]
    lines += ['name = "fitted"', ""]
    if fit.study.time_method == "rk4":
        lines.insert(1, "# It was fitted by Runge-Kutta's method, which a scenario does not say: --method rk4.")
    if fit.study.groups:
        lines.insert(1, "# The typical group of [[group]]; what groups have for themselves is as the file has it.")
    lines += ["[time]", *(f"{key} = {value!r}" for key, value in time.items()), ""] if time else []
    lines += ["[set]", *(f"{json.dumps(name)} = {_toml(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A number, numbers or a table of them, as TOML has it."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case str():
            return json.dumps(value)
        case _:
            return repr(float(value))  # type: ignore[arg-type]


def _sides(verdict: Verdict, rule: Threshold) -> dict[str, object]:
    """Each side of a profile for a program, and the rise at which an interval ends."""
    sides = {
        name: {"state": side.state, "at": side.at, "reason": side.reason}
        for name, side in (("lower", verdict.lower), ("upper", verdict.upper))
    }
    return {
        "sides": sides,
        "interval": verdict.interval,
        "gaps": [list(gap) for gap in verdict.gaps],
        "at_other_optima": list(verdict.alternatives),
        "threshold": rule.rise,
    }


def _finite(value: object) -> object:
    """A value as JSON has it: numbers that are not finite are null, at any depth."""
    match value:
        case dict():
            return {key: _finite(part) for key, part in value.items()}
        case list() | tuple():
            return [_finite(part) for part in value]
        case float():
            return value if math.isfinite(value) else None
    return value


def ending(findings: Findings, page: Path) -> NamedLines:
    """Five lines, and one more for each thing that keeps the numbers from being used.

    Parameters
    ----------
    page : Path
        Where to read on.
    """
    screen, study = first_screen(findings), findings.fit.study
    title = screen.title if study.questions.finding else f"{screen.subject}: {screen.title}"
    # the page has it among its limits
    unsampled = findings.fit.unsampled if findings.fit.posterior is None else ""
    cautions = [*screen.cautions, *([f"The posterior was not sampled: {unsampled}."] if unsampled else [])]
    return NamedLines(replace(screen, title=title, cautions=tuple(cautions)).ending(page))
