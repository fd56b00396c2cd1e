"""The optimum: estimates beside priors, standard errors and profiles, how well data determine them, and its checks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from calibration.assess.self_test import MASSES
from calibration.inference.optimum.conditions import held_table
from calibration.inference.optimum.diagnostics import identifiability_tables, identifiability_words
from calibration.inference.optimum.optimise import ARRIVED
from calibration.inference.optimum.profile import Profile
from calibration.inference.optimum.verification import OPTION, half_step_sentence
from calibration.report import figures_fit, figures_posterior
from calibration.report.conclusions import estimate_words
from calibration.report.findings import BestFit, Estimate, Findings, Fit, estimates
from calibration.report.sections.base import ReportPart, Rows, given_texts, record
from cipark_sd.base.wording import interval, listed, number, percent
from cipark_sd.pages.blocks import Block, Folded, Listing, Paragraph, Plain, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Bounds, Headline, Kind, parameter


class Optimum(ReportPart):
    """Estimates, searches and profiles."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The fitted parameters of the model, where there are no draws to be trusted."""
        fit = findings.fit
        if fit.study.pools or findings.draws is not None:
            # the best joint fit of groups and of how much they differ estimates neither
            return
        profiles = {profile.name: profile for profile in fit.profiles}
        for estimated, value in zip(fit.study.space, fit.optimum.theta.tolist(), strict=True):
            verdict = fit.conditions.of(estimated.name)
            if estimated.target == "model" and verdict is not None:
                profile = profiles.get(estimated.name)
                yield record(
                    findings,
                    parameter(estimated.name),
                    value,
                    unit=fit.study.unit(estimated.name),
                    kind=kind_of(fit),
                    interval=None if profile is None else profile_bounds(fit, profile),
                    conditional_on=given_texts(verdict.held),
                    prior=Bounds(*estimated.interval(fit.level), fit.level, "central draws"),
                    scale=estimated.scale,
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Estimates, searches, identifiability, held constants and profiles."""
        fit = findings.fit
        hardly = [estimated.name for estimated in fit.conditions.parameters if estimated.hardly_seen]
        return {
            "summary": [_plain(line) for line in estimates(fit)],
            "waterfall": _searches(fit.optimum, fit.study.space.names),
            **identifiability_tables(fit.identifiability, hardly),
            "held": held_table(fit.conditions.held),
            "profiles": profile_points("parameter", fit.profiles),
        }

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Where searches ended, and profiles."""
        fit = findings.fit
        yield Drawing("waterfall", figures_fit.waterfall_figure, (fit.optimum,))
        if fit.profiles:
            units = [fit.study.unit(profile.name) for profile in fit.profiles]
            yield Drawing(
                "profiles", figures_fit.profiles_figure, (fit.study.space, fit.optimum.theta, fit.profiles, units)
            )

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """What the searches reached, estimates, and what the data determine."""
        fit, optimum, level = findings.fit, findings.fit.optimum, percent(findings.fit.level)
        text = (
            f"Log likelihood {optimum.log_likelihood:.2f}. {optimum.n_arrived} of {len(optimum.searches)} searches "
            f"ended within {ARRIVED:g} of the best."
        )
        blocks: tuple[Plain, ...] = (
            Paragraph(text),
            parameter_table(fit),
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


def _plain(line: Estimate) -> dict[str, object]:
    """A line of the table: the numbers, without what only their printing needs."""
    return {name: value for name, value in asdict(line).items() if name not in ("gaps", "digits")}


def kind_of(fit: Fit) -> Kind:
    """The kind of the estimate."""
    return "MAP optimum" if fit.study.method.estimate == "map" else "ML optimum"


def profile_bounds(fit: Fit, profile: Profile) -> Bounds:
    """The interval of a profile."""
    verdict, level, by = profile.verdict, profile.threshold.level, "profile likelihood"
    error = fit.errors.values.get(profile.name)
    if error is None and "none" in verdict.states:
        # a step is told apart to a time step
        error = fit.study.time_step / 4
    return Bounds(profile.lower, profile.upper, level, by, verdict.states, verdict.gaps, error)


def profile_points(quantity: str, profiles: Sequence[Profile]) -> Rows:
    """A line for each point of each profile."""
    return [
        {quantity: profile.name, "value": value, "rise": rise}
        for profile in profiles
        for value, rise in zip(profile.values.tolist(), profile.rise.tolist(), strict=True)
    ]


def parameter_table(fit: Fit) -> Table:
    """Estimates beside priors and profiles, with units and the reason why each is there."""
    rows = []
    for line, estimated in zip(estimates(fit), fit.study.space, strict=True):
        units = fit.study.unit(estimated.name) if estimated.target == "model" else ""
        prior = f"{number(line.prior_median, digits=3)} ({interval(line.prior_low, line.prior_high)})"
        error = "" if line.standard_error is None else number(line.standard_error, digits=2)
        estimate = (line.shown, error)
        rows.append((line.name, units, prior, *estimate, line.profile, line.verdict, estimated.why))
    level = percent(fit.level)
    head = ("parameter", "units", f"prior median ({level})", "estimate", "standard error", f"{level} profile",
            "in words", "seen in")  # fmt: skip
    return Table(head, tuple(rows), "Priors, estimates with standard errors, and profile intervals.")


def _searches(optimum: BestFit, names: Sequence[str]) -> Rows:
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
        coverage = {"parameter": (tested.names, tested.coverage), "quantity": (tested.later, tested.later_coverage)}
        parameters, later = (
            [
                {kind: name, "data_sets": len(tested.ranks)}
                | {f"coverage_{mass:g}": float(share) for mass, share in zip(MASSES, shares, strict=True)}
                for name, shares in zip(*of_kind, strict=True)
            ]
            for kind, of_kind in coverage.items()
        )
        return {"self_test": parameters, "self_test_later": later}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Ranks of the self-test."""
        assessed = findings.assessment
        if assessed.tested is not None and assessed.ranks is not None:
            yield Drawing("self_test", figures_posterior.self_test_figure, (assessed.tested, assessed.ranks))

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


def _sentences(findings: Findings) -> Iterator[str]:
    fit, assessed = findings.fit, findings.assessment
    yield from fit.failed or ["All draws ran."]
    step = half_step_sentence(fit.step_shift)
    if step:
        yield step
    yield fit.replication.sentence
    if assessed.tested is not None and assessed.ranks is not None:
        tested = assessed.tested
        pooled = ", ".join(f"{m:.0%}: {c:.1%}" for m, c in zip(MASSES, tested.pooled, strict=True))
        yield (
            f"On {len(tested.ranks)} synthetic data sets central intervals held the truth at the rates {pooled}; "
            f"ranks leave their band for {listed(assessed.ranks.outside, 'no parameter')}; {tested.n_not_converged} "
            "fits used up their effort."
        )
        if tested.later:
            coverage = tested.later_coverage.mean(axis=0)
            rates = ", ".join(f"{m:.0%}: {c:.1%}" for m, c in zip(MASSES, coverage, strict=True))
            yield (
                f"After these fits central intervals of numbers to come held what came at the rates {rates}, given "
                "that the study's own structure made the data. Another structure, or a break, costs coverage that this "
                "does not show."
            )
