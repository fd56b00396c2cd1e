"""The page of a calibration: figures, numbers in words, and what is missing said so."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from calibration.contraction import unseen_sentence
from calibration.convergence import poorest
from calibration.draws import PosteriorDraws
from calibration.holdout import verdict
from calibration.inquiry import Inquiry
from calibration.record import Fit
from calibration.self_test import MASSES
from cipark_sd.report import Block, Listing, Page, Paragraph, Picture, Section, Table
from cipark_sd.results import version


def report(fit: Fit, drawn: PosteriorDraws, found: Inquiry, pictures: Mapping[str, Path]) -> Page:
    """The page; ``pictures`` are files in its folder by the name under which a section asks for them."""
    sections = (
        Section("What can be said", (*_warnings(drawn, found), Listing(tuple(honest(fit, drawn, found))))),
        Section(
            "The data and the model",
            (
                *_picture(pictures, "bands", "Bands: the central 50 % and 90 % of predictions, noise included."),
                *_picture(pictures, "fit", "The optimum and the numbers that were seen."),
            ),
        ),
        Section(
            "The optimum",
            (
                *_picture(pictures, "waterfall", "What each local search reached; a flat left end is reassuring."),
                *_picture(pictures, "profiles", "Best fit with one parameter held; a side that stays flat is open."),
            ),
        ),
        Section(
            "The posterior",
            (
                Paragraph(f"{drawn.chains.n_steps} steps, first half left out; {poorest(drawn.chains.found)}."),
                _posterior_table(fit, drawn, found),
                *_picture(pictures, "posterior", "Prior and posterior of each parameter."),
                *_picture(pictures, "pairs", "Joint draws of the parameters that the data narrow most."),
                *_picture(pictures, "mixing", "Ranks of the draws by ensemble; level bars say that they agree."),
            ),
        ),
        Section(
            "Predictions of the data that were fitted",
            _picture(pictures, "pit", "Place of each number within its forecast; on the line where they are right."),
        ),
        *_holdout(found, pictures),
        *_rivals(found, pictures),
        *_forecasts(found),
        *_trust(fit, found),
        Section(
            "Reporting checklist",
            (
                Paragraph("After Rahmandad and Sterman 2012, System Dynamics Review 28(4), 396-411."),
                Table(("item", "where"), tuple(checklist(fit, found))),
            ),
        ),
    )
    identity = (
        f"Model {fit.problem.model.name} ({fit.problem.model.digest[:12]}), cipark_sd {version()}, "
        f"engine {fit.engine}, seed {fit.seed}."
    )
    return Page(fit.problem.title, identity, tuple(section for section in sections if section.blocks))


def honest(fit: Fit, drawn: PosteriorDraws, found: Inquiry) -> list[str]:
    """Three outputs: what the data support, what the theory adds, what cannot be known from these data."""
    informed = [line.name for line in found.contractions if line.contraction > 0.3]
    assumed = [line.name for line in found.contractions if not line.untouched and line.contraction <= 0.3]
    said = [
        f"What the data support: {fit.identifiability.n_informed} of {len(fit.identifiability.names)} directions of the"
        f" fitted parameters are informed by more than their priors. Narrowed by 30 % of their prior variance or more: "
        f"{', '.join(informed) or 'none'}.",
        f"What the theory adds: the structure, the values held fixed ({len(fit.problem.fixed)}), and the priors of "
        f"{', '.join(assumed) or 'no parameter'}, which the data move little. " + _worth(found, "base"),
        "What cannot be known from these data: " + unseen_sentence(found.contractions) + " " + _undecided(found),
    ]
    if found.rolling is not None:
        said.append("How well it predicted: " + verdict(found.rolling))
    return said


def _worth(found: Inquiry, which: str) -> str:
    """What the experiments were worth in the structure that comes first."""
    if not found.effects:
        return ""
    first = found.effects[0].structure
    own = [effect for effect in found.effects if effect.structure == first]
    main = own[0].observation
    words = [f"{e.experiment} {e.median:+.0f} ({e.low:+.0f} to {e.high:+.0f})" for e in own if e.observation == main]
    return f"Under the first structure ({first}) the experiments change {main} by: {'; '.join(words)}."


def _undecided(found: Inquiry) -> str:
    if not found.comparison:
        return "Rival structures were not fitted, so nothing is attributed to one cause rather than another."
    close = [line for line in found.comparison if line.elpd_behind <= 2 * line.behind_error + 1e-9]
    said = (
        f"{len(close)} of {len(found.comparison)} structures predict within two standard errors of the best: "
        + ", ".join(f"{line.name} ({line.why})" for line in close)
        + ". "
    )
    for variant in found.refuted:
        said += f"{variant.name} ({variant.why}) is refuted: under it the data are impossible whatever the parameters. "
    for name in dict.fromkeys(effect.experiment for effect in found.effects):
        own = [effect for effect in found.effects if effect.experiment == name]
        main = [effect for effect in own if effect.observation == own[0].observation]
        among = [e for e in main if e.structure in {line.name for line in close}]
        mixed = next(e for e in main if e.structure == "mixture")
        said += (
            f"'{name}' changes {mixed.observation} by {min(e.median for e in among):+.0f} to "
            f"{max(e.median for e in among):+.0f} among these; in the stacked mixture by {mixed.median:+.0f} "
            f"({mixed.low:+.0f} to {mixed.high:+.0f}). "
        )
    return said


def checklist(fit: Fit, found: Inquiry) -> list[tuple[str, str]]:
    """Minimum and preferred items, and "missing" where the run has none."""

    def present(there: object, text: str) -> str:
        return text if there else "missing"

    return [
        ("equations and their units", f"model file, digest {fit.problem.model.digest[:12]}"),
        ("software and versions", f"cipark_sd {version()}, NumPy {np.__version__}; draws.nc holds the rest"),
        ("integration method and step", f"{fit.problem.model.time.method}; refits at halved steps below"),
        ("data and their sources", "data folder of the study, a source for each row"),
        ("parameters, bounds, priors, reasons", present(fit.problem.space.parameters, "problem.toml, summary.csv")),
        ("what is held fixed and why", present(fit.problem.fixed, "problem.toml")),
        ("objective and noise", "problem.toml, a family for each table"),
        ("algorithm, starts, seed, convergence", f"{len(fit.optimum.searches)} searches, seed {fit.seed}"),
        ("goodness of fit", "fitted.csv, predictive.csv"),
        ("uncertainty of estimates", present(fit.profiles, "profiles.csv") + "; posterior.csv"),
        ("sensitivity to priors", "contraction.csv"),
        ("out-of-sample prediction", present(found.rolling, "holdout.csv")),
        ("rival structures", present(found.comparison, "rivals.csv, effects.csv")),
        ("recovery from synthetic data", present(found.tested, "self_test.csv")),
        ("replication in another engine", present(fit.reference_gap is not None, "the optimum re-run in PySD")),
    ]


def _warnings(drawn: PosteriorDraws, found: Inquiry) -> list[Paragraph]:
    said = []
    if not drawn.chains.converged:
        said.append("The posterior HAS NOT CONVERGED: do not use its numbers; allow more steps.")
    if found.rolling is not None and found.rolling.not_converged:
        origins = ", ".join(f"{origin:.2f}" for origin in found.rolling.not_converged)
        said.append(f"Not converged at hold-out origins {origins}.")
    failed = [line.name for line in found.comparison if not line.converged]
    if failed:
        said.append("Not converged for rivals " + ", ".join(failed) + ".")
    if found.interrupted or drawn.chains.interrupted:
        said.append("Stopped before all was done; a second start goes on.")
    return [Paragraph(text, warning=True) for text in said]


def _posterior_table(fit: Fit, drawn: PosteriorDraws, found: Inquiry) -> Table:
    rows = []
    for line, mixing, column in zip(found.contractions, drawn.chains.found, drawn.flat.T, strict=True):
        low, median, high = np.quantile(column, [0.025, 0.5, 0.975])
        size = min(mixing.ess_bulk, mixing.ess_tail)
        numbers = (f"{median:.3g}", f"{low:.3g} to {high:.3g}", f"{line.contraction:.2f}", f"{line.to_prior:.2f}")
        rows.append((line.name, *numbers, f"{line.to_data:.2f}", f"{mixing.r_hat:.3f}", f"{size:.0f}", line.verdict))
    head = ("parameter", "median", "95 %", "contraction", "to prior", "to data", "R-hat", "ESS", "in words")
    return Table(head, tuple(rows))


def _holdout(found: Inquiry, pictures: Mapping[str, Path]) -> list[Section]:
    if found.rolling is None:
        return []
    rows = [
        (
            s.forecaster,
            str(s.n),
            f"{s.mean_log_score:.2f}",
            f"{s.mean_crps:.2f}",
            f"{s.coverage_50:.0%}",
            f"{s.coverage_90:.0%}",
        )
        for s in found.rolling.summary
    ]
    head = ("forecaster", "points", "log score", "CRPS", "in 50 %", "in 90 %")
    words = (
        " Lower scores are better. The model's structure and dated events were written by people who knew the later "
        "data, so this is not a blind test."
    )
    blocks: tuple[Block, ...] = (
        Paragraph(verdict(found.rolling) + words),
        Table(head, tuple(rows)),
        *_picture(pictures, "holdout", "Forecasts of each origin and the numbers that came later."),
    )
    return [Section("Predictions before the data", blocks)]


def _rivals(found: Inquiry, pictures: Mapping[str, Path]) -> list[Section]:
    if not found.comparison:
        return []
    rows = [
        (f"{r.name}: {r.why}", f"{r.best_log_likelihood:.1f}", f"{r.elpd_behind:.1f}", f"{r.behind_error:.1f}",
         f"{r.stacking:.2f}", f"{r.log_evidence:.1f}", f"{r.probability:.2f}", str(r.n_unreliable))
        for r in found.comparison
    ]  # fmt: skip
    head = ("structure", "best log likelihood", "behind", "s.e.", "stacking", "log evidence", "probability", "high k")
    effects = [
        (
            e.structure,
            e.experiment,
            e.observation,
            f"{e.median:+.1f}",
            f"{e.low:+.1f} to {e.high:+.1f}",
            f"{e.share:+.0%}",
        )
        for e in found.effects
    ]
    worth = Table(
        ("structure", "experiment", "observation", "median", "90 %", "share"),
        tuple(effects),
        "What events were worth, by structure.",
    )
    blocks: tuple[Block, ...] = (
        Table(head, tuple(rows)),
        *_picture(pictures, "rivals", "Expected log predictive density behind the best, with its standard error."),
        *((worth,) if effects else ()),
    )
    return [Section("Rival structures", blocks)]


def _forecasts(found: Inquiry) -> list[Section]:
    if not found.forecasts:
        return []
    rows = [
        (r.scenario, r.observation, f"{r.time:g}", *(f"{r.quantiles[i]:.0f}" for i in (1, 3, 4, 5, 7)))
        for r in found.forecasts
    ]
    blocks = (
        Paragraph("Given the structure and the scenario; forecast.csv has more quantiles, for later data to score."),
        Table(("scenario", "observation", "time", "5 %", "25 %", "50 %", "75 %", "95 %"), tuple(rows)),
    )
    return [Section("Forecasts", blocks)]


def _trust(fit: Fit, found: Inquiry) -> list[Section]:
    name, shift = found.step_shift.largest
    steps = " and ".join(f"{step:g}" for step in found.step_shift.steps[1:])
    said = [
        f"Refitted with time steps of {steps}: "
        f"the estimate that moves most is {name}, by {shift:+.3f} prior standard deviations."
    ]
    if fit.reference_gap is not None:
        said.append(f"The optimum run again in PySD differs by {fit.reference_gap:.1e} at most, relatively.")
    if found.tested is not None:
        pooled = ", ".join(f"{m:.0%}: {c:.1%}" for m, c in zip(MASSES, found.tested.pooled, strict=True))
        outside = found.tested.outside(np.random.default_rng(fit.seed))
        said.append(
            f"On {len(found.tested.ranks)} synthetic data sets central intervals held the truth at the rates {pooled}; "
            f"ranks leave their band for {', '.join(outside) or 'no parameter'}; {found.tested.n_not_converged} fits "
            "used up their effort."
        )
    return [Section("Checks of the calculation", (Listing(tuple(said)),))]


def _picture(pictures: Mapping[str, Path], name: str, caption: str) -> tuple[Picture, ...]:
    return (Picture(pictures[name].name, caption),) if name in pictures else ()
