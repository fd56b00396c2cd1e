"""The best fit: the data beside it, estimates beside priors, standard errors, profiles, and checks of its numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.self_test import MASSES
from calibration.inference.judge.conditions import held_table
from calibration.inference.judge.course_errors import course_words
from calibration.inference.judge.identifiability import identifiability_tables, identifiability_words
from calibration.inference.judge.verification import OPTION, half_step_sentence
from calibration.inference.profile.profile import Profile
from calibration.inference.search.optimise import Reached
from calibration.inference.search.tuning import SEARCH
from calibration.report import figures_fit, figures_posterior
from calibration.report.conclusions import estimate_words
from calibration.report.findings import Findings, Fit, estimates
from calibration.report.sections.base import ReportPart, Rows
from calibration.report.sections.constants import classes, constants
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import NO_END, band, beside, interval, listed, number, percent
from cipark_sd.pages.blocks import Block, Folded, Listing, Paragraph, Plain, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Headline

if TYPE_CHECKING:
    import pandas as pd


class Optimum(ReportPart):
    """Estimates, searches and profiles."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The fitted parameters of the model."""
        return constants(findings)

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Estimates, searches, identifiability, held constants and profiles."""
        fit, by_name = findings.fit, classes(findings)
        return {
            "summary": [row | {"class": by_name.get(row["name"], "")} for row in estimates(fit)],
            "waterfall": _searches(fit.optimum, fit.study.space.names),
            **identifiability_tables(fit.identifiability),
            "held": held_table(fit.conditions.held),
            "profiles": profile_points("parameter", fit.profiles),
        }

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Where searches ended, and profiles."""
        fit = findings.fit
        yield Drawing("waterfall", figures_fit.waterfall_figure, fit.optimum)
        if fit.profiles:
            units = [fit.study.unit(profile.name) for profile in fit.profiles]
            draw = figures_fit.profiles_figure
            yield Drawing("profiles", draw, fit.study.space, fit.optimum.theta, fit.profiles, units)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """What the searches reached, estimates, and what the data determine."""
        fit, optimum, level = findings.fit, findings.fit.optimum, percent(findings.fit.level)
        text = (
            f"Log likelihood {optimum.log_likelihood:.2f}. {optimum.n_arrived} of {len(optimum.searches)} searches "
            f"ended within {SEARCH.arrived:g} of the best."
        )
        if optimum.blind:
            text += f" There {listed(optimum.blind)} moves no number at all, so searches that ended there count as one."
        blocks: tuple[Plain, ...] = (
            Paragraph(text),
            _parameter_table(fit),
            *map(Paragraph, estimate_words(fit)),
            *map(Paragraph, identifiability_words(fit.identifiability)),
            *map(Paragraph, fit.conditions.remarks),
            *pictures.show("waterfall", "What each local search reached; a flat left end is reassuring."),
            *pictures.show(
                "profiles",
                "Profile likelihoods: how much worse the best fit is with one parameter held. Dashed: the "
                f"{level} interval ends where the curve crosses; without a crossing it is open. Shaded: {level} of the "
                "prior. Line: estimate.",
            ),
        )
        yield Section("The optimum", (Folded("Estimates, searches and profiles", blocks),))

    def not_run(self, findings: Findings) -> Iterable[str]:
        """Profiles."""
        if not findings.fit.profiles:
            yield "Profile likelihoods: how far the data bound each parameter, one at a time (--profiles)."


def profile_points(quantity: str, profiles: Sequence[Profile]) -> Rows:
    """A line for each point of each profile.

    Parameters
    ----------
    quantity : str
        Head of the column of names.
    """
    return [
        {quantity: profile.name, "value": value, "rise": rise}
        for profile in profiles
        for value, rise in zip(profile.values.tolist(), profile.rise.tolist(), strict=True)
    ]


def _parameter_table(fit: Fit) -> Table:
    """Estimates beside priors and profiles, with units and the reason why each is there."""
    profiles = {profile.name: profile for profile in fit.profiles}
    # an error by which an estimate is rounded that has neither a standard error nor an end of its profile
    digits = dict.fromkeys(fit.optimum.stepwise, fit.study.time_step / 4)
    digits |= {line.name: line.sd for line in fit.posterior.mixing} if fit.posterior is not None else {}
    digits |= {name: error for name, error in fit.errors.items() if error is not None}
    rows = []
    for line, estimated in zip(estimates(fit), fit.study.space, strict=True):
        name, value, profile = estimated.name, line["estimate"], profiles.get(estimated.name)
        units = fit.study.unit(name) if estimated.target == "model" else ""
        prior = f"{number(line['prior_median'], digits=3)} ({interval(line['prior_low'], line['prior_high'])})"
        error = "" if line["standard_error"] is None else number(line["standard_error"], digits=2)
        # of a held one all digits
        shown, ends = number(value), ""
        if profile is not None or name in digits:
            shown = beside(value, line["profile_low"], line["profile_high"], digits.get(name))
        if profile is not None:
            low, high = (NO_END.get(state, "") for state in profile.verdict.states)
            ends = interval(profile.lower, profile.upper, without=(low, high), gaps=profile.verdict.gaps)
        rows.append((name, units, prior, shown, error, ends, line["verdict"], estimated.why))
    level = percent(fit.level)
    head = ("parameter", "units", f"prior median ({level})", "estimate", "standard error", f"{level} profile",
            "in words", "seen in")  # fmt: skip
    return Table(head, tuple(rows), "Priors, estimates with standard errors, and profile intervals.")


def _searches(optimum: Reached, names: Sequence[str]) -> Rows:
    return [
        {
            "rank": rank,
            "log_density": search.log_density,
            "log_density_at_start": search.first,
            "points": search.evaluations,
            "converged": search.converged,
            **dict(zip(names, search.theta.tolist(), strict=True)),
        }
        for rank, search in enumerate(optimum.searches, start=1)
    ]


class Calculation(ReportPart):
    """Whether the numbers are those of the study and not of the program."""

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Coverage of the self-test."""
        tested = findings.assessment.tested
        if tested is None:
            return {}

        def rows(kind: str, names: Sequence[str], coverage: Array) -> Rows:
            held = (
                {f"coverage_{mass:g}": share for mass, share in zip(MASSES, of, strict=True)}
                for of in coverage.tolist()
            )
            return [{kind: name, "data_sets": len(tested.ranks), **of} for name, of in zip(names, held, strict=True)]

        later = rows("quantity", tested.later, tested.later_coverage)
        return {"self_test": rows("parameter", tested.names, tested.coverage), "self_test_later": later}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Ranks of the self-test."""
        if (tested := findings.assessment.tested) is not None:
            yield Drawing("self_test", figures_posterior.self_test_figure, tested)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """A sentence for each check."""
        caption = (
            "Simulation-based calibration: how the ranks of the true parameters spread over synthetic data sets, less "
            "what is uniform. A curve within the grey band says that intervals reach their nominal coverage."
        )
        blocks: tuple[Block, ...] = (Listing(tuple(_sentences(findings))), *pictures.show("self_test", caption))
        yield Section("Checks of the calculation", blocks)

    def not_run(self, findings: Findings) -> Iterator[str]:
        """Synthetic data sets, and the comparison with PySD."""
        if findings.assessment.tested is None:
            yield "Synthetic data sets with known parameters, fitted in the same way (--self-test 200)."
        if not findings.fit.replication.compared and findings.fit.comparable:
            yield f"The estimate run again in PySD ({OPTION})."


def _rates(coverage: Array) -> str:
    return ", ".join(f"{mass:.0%}: {share:.1%}" for mass, share in zip(MASSES, coverage, strict=True))


def _sentences(findings: Findings) -> Iterator[str]:
    fit, tested = findings.fit, findings.assessment.tested
    yield from fit.failed or ["All draws ran."]
    if step := fit.conditions.of_the_step or half_step_sentence(fit.conditions.shift):
        yield step
    yield fit.replication.sentence
    if tested is not None:
        pooled = _rates(tested.pooled)
        yield (
            f"On {len(tested.ranks)} synthetic data sets central intervals held the truth at the rates {pooled}; "
            f"ranks leave their band for {listed(tested.outside, 'no parameter')}; {tested.n_not_converged} "
            "fits used up their effort."
        )
        if tested.later:
            rates = _rates(tested.later_coverage.mean(axis=0))
            yield (
                f"After these fits central intervals of numbers to come held what came at the rates {rates}, given "
                "that the study's own structure made the data. Another structure, or a break, costs coverage that this "
                "does not show."
            )


class Data(ReportPart):
    """Observed against expected."""

    def tables(self, findings: Findings) -> "Mapping[str, Rows | pd.DataFrame]":
        """A line for each number."""
        courses = [
            {**{key: value for key, value in asdict(errors).items() if key != "chance"},
             **{f"chance_{key}".replace(" ", "_"): value for key, value in errors.chance.items()}}
            for errors in findings.fit.courses
        ]  # fmt: skip
        return {"fitted": findings.fit.rows, "course_errors": courses}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The model beside the numbers, and what the posterior predicts of them."""
        fit = findings.fit
        labels, time = {observation.name: observation.label for observation in fit.study.observations}, fit.study.time
        parts = (fit.curves.times, fit.curves.courses, fit.curves.levels, fit.rows)
        yield Drawing("fit", figures_fit.fit_figure, *parts, axis_labels=labels, time=time)
        if bands := findings.shown.bands:
            yield Drawing("bands", figures_posterior.bands_figure, bands, fit.study.observations, time=time)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Figures, and folded away observations and a line for each number."""
        blocks: tuple[Block, ...] = (
            *pictures.show(
                "bands",
                "What the posterior predicts, noise included, and what was reported; increments are added up from the "
                "start, so that a batch raises all later numbers.",
            ),
            *pictures.show(
                "fit",
                "The model at the optimum, dated numbers where they were reported, and residuals of the fitted ones.",
            ),
            *map(Paragraph, course_words(findings.fit.courses)),
            Folded("Every number, seen and expected", (_observed_table(findings.fit), _fitted_table(findings.fit))),
        )
        yield Section("The data and the model", blocks)


def _observed_table(fit: Fit) -> Table:
    """What was observed: a row for each observation."""
    rows = []
    label = fit.study.calendar.label
    for observation in fit.study.observations:
        chosen = fit.rows[fit.rows["observation"] == observation.name]
        counts = tuple(str((chosen["use"] == use).sum()) for use in ("fit", "holdout", "check"))
        dated = chosen if (chosen["use"] == "check").all() else chosen[chosen["use"] != "check"]
        first, last = label(dated["end"].min()), label(dated["end"].max())
        span = first if first == last else f"{first} to {last}"
        names = (observation.name, observation.kind, observation.variables)
        rows.append((*names, span, observation.families, *counts))
    head = ("observation", "kind", "of the model", "dates", "noise", "fitted", "held out", "compared only")
    return Table(head, tuple(rows), "What was observed; numbers of each use. Sources are in the study's tables.")


def _fitted_table(fit: Fit) -> Table:
    """Observed against expected at the optimum, row by row."""
    rows = []
    for row in fit.rows.to_dict("records"):
        lower, upper = row["lower"], row["upper"]
        observed = f"{lower:g}" if lower == upper else interval(lower, upper)
        noise = band(row["low"], row["high"]) if np.isfinite(row["low"]) else ""
        shown = (f"{row['expected']:.2f}", noise, f"{row['residual']:+.1f}", figures_fit.USES[row["use"]][2])
        rows.append((str(row["label"]), observed, *shown))
    head = ("number", "seen", "model", "90% of noise", "quantile residual", "use")
    caption = (
        "Seen against expected at the optimum, whose parameters are held in the band. Quantile residual: the standard "
        "normal number that is as improbable as what was seen, in the same direction."
    )
    if (fit.rows["use"] == "holdout").any():
        caption += (
            " The band is the noise alone: of numbers that are held out fewer lie in it than the share that it names, "
            "since the parameters are uncertain, too."
        )
    increments = [observation.name for observation in fit.study.observations if observation.kind == "increments"]
    if increments:
        caption += f" Of {listed(increments)}, a number is what came since the one before it."
    return Table(head, tuple(rows), caption)
