"""The fitted constants of the model as numbers with a class: by draws that are to be trusted, else by profiles."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from calibration.assess.posterior_predictive import LEVEL
from calibration.inference.profile.profile import Profile
from calibration.inference.profile.verdict import Verdict
from calibration.inference.sample.convergence import quantile_places
from calibration.report.findings import Findings, Fit, Posterior
from calibration.report.sections.base import given_texts, misfit, missed, record
from calibration.study.parameters import Parameter
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import listed, percent
from cipark_sd.statements.headline import Bounds, Details, Headline, Kind, parameter
from cipark_sd.statements.standing import Standing

#: What a number rests on that moves with priors that a program wrote.
PLACEHOLDERS = "placeholder priors"


def constants(findings: Findings) -> Iterator[Headline]:
    """Medians of draws with their central interval where there are draws to be trusted, else estimates with profiles.

    Only what hangs on a series that the model misses is doubted.
    """
    fit, drawn, doubt = findings.fit, findings.draws, misfit(findings)
    if drawn is None and fit.study.pools:
        # the best joint fit of groups and of how much they differ estimates neither
        return
    details = _by_profiles(fit) if drawn is None else _by_draws(findings, drawn)
    hang = fit.identifiability.hang_on(missed(findings)) if doubt else frozenset()
    for estimated, value, known in details:
        name = estimated.name
        if estimated.target == "model" and name not in fit.study.deviations:
            is_doubted = name in hang or name not in fit.identifiability.names
            known |= {"unit": fit.study.unit(name), "scale": estimated.scale, "doubt": doubt if is_doubted else ""}
            known |= {"at_start": name in fit.study.starts}
            yield record(findings, parameter(name), value, **known)


def classes(findings: Findings) -> dict[str, Standing]:
    """What the data say of each fitted constant, by its name."""
    return {record.estimand.removeprefix(parameter("")): record.standing for record in constants(findings)}


def class_changes(findings: Findings) -> str:
    """Constants to which their profiles alone give another class than draws do, and why; empty where none is."""
    if findings.draws is None or not findings.fit.profiles or findings.fit.conditions.first:
        return ""
    by_draws, alone = classes(findings), classes(findings.by_profiles)
    changed = [f"{name} ({kind} by draws, {alone[name]} by its profile)"
               for name, kind in by_draws.items() if alone.get(name, "") not in ("", kind)]  # fmt: skip
    if not changed:
        return ""
    level = percent(findings.fit.level)
    hold = f", hold {listed(stepwise)}" if (stepwise := findings.fit.optimum.stepwise) else ""
    return (
        f"Profiles, of level {level}, leave out the parameter's own prior{hold} and say otherwise of {listed(changed)}."
    )


Line = tuple[Parameter, float, Details]


def _by_profiles(fit: Fit) -> Iterator[Line]:
    """Estimates of the fitted parameters with their profiles."""
    profiles: Mapping[str, Profile] = {profile.name: profile for profile in fit.profiles}
    for estimated, value in zip(fit.study.space, fit.optimum.theta.tolist(), strict=True):
        verdict, profile = fit.conditions.of(estimated.name), profiles.get(estimated.name)
        if verdict is not None:
            known: Details = {
                "unit": "",
                "kind": kind_of(fit),
                "interval": None if profile is None else profile_bounds(fit, profile),
                "conditional_on": given_texts(verdict.held),
                "prior": Bounds(*estimated.interval(fit.level), fit.level, "central draws"),
            }
            yield estimated, value, known


def _by_draws(findings: Findings, drawn: Posterior) -> Iterator[Line]:
    """Medians of the fitted parameters with their central draws."""
    fit = findings.fit
    lines = {line.name: line for line in findings.assessment.contractions}
    profiles = {profile.name: profile.verdict for profile in fit.profiles}
    for estimated, line, values in zip(fit.study.space, drawn.mixing, drawn.flat.T, strict=True):
        verdict = fit.conditions.of(estimated.name)
        if verdict is not None:
            added = lines.get(estimated.name)
            held = given_texts(constant for constant in verdict.held if constant.source != "prior")
            placeholders = (PLACEHOLDERS,) if added is not None and added.on_placeholders else ()
            known: Details = {
                "unit": "",
                "kind": "median",
                "interval": _central(values, line.ess_tail, profiles.get(estimated.name)),
                "conditional_on": (*held, *placeholders),
                "basis": drawn.basis,
                "prior": Bounds(*estimated.interval(LEVEL), LEVEL, "central draws"),
                "judged": None if added is None else added.kind,
            }
            yield estimated, line.median, known


def _central(values: Array, ess_tail: float, profile: Verdict | None) -> Bounds:
    """The central interval of draws ``(n,)``, closed by the bound of another constant where their profile is."""
    tail = (1 - LEVEL) / 2
    # no tail has a size where all draws are the same
    size = min(ess_tail, len(values)) or math.inf
    below, above = quantile_places(tail, size)[0], quantile_places(1 - tail, size)[1]
    lowest, low, high, highest = np.quantile(values, [below, tail, 1 - tail, above]).tolist()
    states, bounds = (("bounded", "bounded"), ()) if profile is None else (profile.states, profile.bounds)
    return Bounds(low, high, LEVEL, "central draws", states, bounds=bounds, widest=(lowest, highest))


def kind_of(fit: Fit) -> Kind:
    """The kind of the estimate."""
    return "MAP optimum" if fit.study.method.estimate == "map" else "ML optimum"


def profile_bounds(fit: Fit, profile: Profile) -> Bounds:
    """The interval of a profile."""
    verdict, level, by = profile.verdict, profile.threshold.level, "profile likelihood"
    error = fit.errors.get(profile.name)
    if error is None and "none" in verdict.states:
        # a step is told apart to a time step
        error = fit.study.time_step / 4
    ends = profile.lower, profile.upper
    bounds = Bounds(*ends, level, by, verdict.states, gaps=verdict.gaps, error=error, bounds=verdict.bounds)
    return bounds.given_also(f"{listed(verdict.held)} held") if verdict.held else bounds
