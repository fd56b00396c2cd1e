"""Rival structures, and what experiments change under each."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from calibration.assess.counterfactuals import DRAWS, Effect
from calibration.assess.rivals import Comparison
from calibration.report import figures_assessment
from calibration.report.conclusions import main_effects
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, Rows, record
from cipark_sd.basis import Basis
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures


class Rivals(ReportPart):
    """Structures that were fitted to the same data."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """What each experiment changes in the stacked mixture of the structures."""
        assessed = findings.assessment
        converged = all(line.converged for line in assessed.comparison)
        for effect in assessed.effects:
            if effect.structure == "mixture" and math.isfinite(effect.median):
                yield record(
                    findings,
                    f"change of {effect.observation} in the experiment '{effect.experiment}'",
                    effect.median,
                    unit="",
                    kind="median",
                    interval=Bounds(effect.low, effect.high, 0.9, "central draws"),
                    conditional_on=(f"the stacked mixture of {len(assessed.comparison)} structures",),
                    basis=Basis("posterior", DRAWS, converged),
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """A line for each structure, and for each effect."""
        assessed = findings.assessment
        tables: dict[str, Rows] = {
            "rivals": [asdict(line) for line in assessed.comparison],
            "effects": [asdict(line) for line in assessed.effects],
        }
        return {name: rows for name, rows in tables.items() if rows}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Structures against the best, and effects."""
        assessed = findings.assessment
        if assessed.comparison:
            yield Drawing("rivals", figures_assessment.rivals_figure, (assessed.comparison,))
        if assessed.effects:
            order = [line.name for line in assessed.comparison]
            yield Drawing("effects", figures_assessment.effects_figure, (main_effects(assessed.effects), order))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Comparison and effects."""
        assessed = findings.assessment
        if not assessed.comparison:
            return
        blocks: list[Block] = [compared(assessed.comparison)]
        blocks += pictures.show(
            "rivals",
            "Left: leave-one-out log predictive density against the best, ± 2 standard errors. Right: weights.",
        )
        blocks += pictures.show(
            "effects",
            "What experiments change under each structure (median and 90 %) and under their stacked mixture (black).",
        )
        if assessed.effects:
            blocks.append(effect_table(assessed.effects))
            blocks.append(share_table(assessed.effects))
        yield Section("Rival structures", tuple(blocks))

    def not_run(self, findings: Findings) -> Iterable[str]:
        """The rivals of the study."""
        rivals, assessed = findings.fit.study.rivals, findings.assessment
        if rivals and not (assessed.comparison or assessed.refuted):
            yield f"{len(rivals)} rival structures, each refitted to the same data (--rivals)."


def compared(lines: Sequence[Comparison]) -> Table:
    """Rival structures, best predictor first."""
    rows = [
        (f"{r.name}: {r.why}", f"{r.best_log_likelihood:.1f}", f"{r.elpd_behind:.1f} ± {r.behind_error:.1f}",
         weight_words(r), f"{r.log_evidence:.1f} ± {r.evidence_error:.1f}", f"{r.probability:.2f}",
         str(r.n_unreliable))
        for r in lines
    ]  # fmt: skip
    head = ("structure", "log likelihood", "behind ± s.e.", "stacking", "log evidence", "probability", "k > 0.7")
    caption = (
        "Best log likelihood; log predictive density behind the best; stacking weight with its bootstrap standard "
        "error over the terms; log evidence and the "
        "probability that it gives to equally likely structures; terms whose leave-one-out density took a refit."
    )
    return Table(head, tuple(rows), caption)


def weight_words(line: Comparison) -> str:
    """A stacking weight with its error, where it has one."""
    error = line.stacking_error
    return f"{line.stacking:.2f}" + ("" if math.isnan(error) else f" ± {error:.2f}")


def effect_table(effects: Sequence[Effect]) -> Table:
    """A row for each structure, a column for each experiment, on the observation that comes first."""
    main = main_effects(effects)
    experiments = list(dict.fromkeys(effect.experiment for effect in main))
    cells = {(effect.structure, effect.experiment): effect for effect in main}
    rows = [
        (
            name,
            *(
                f"{(e := cells[name, experiment]).median:+.1f} ({e.low:+.1f} to {e.high:+.1f})"
                for experiment in experiments
            ),
        )
        for name in dict.fromkeys(effect.structure for effect in main)
    ]
    caption = (
        f"Change of {main[0].observation} in each experiment: median and central 90 % of paired differences. "
        "effects.csv has the other observations."
    )
    return Table(("structure", *experiments), tuple(rows), caption)


def share_table(effects: Sequence[Effect]) -> Table:
    """Effects as shares of the total, the posterior beside the priors alone."""
    main = main_effects(effects)
    rows = [
        (
            effect.experiment,
            effect.structure,
            f"{effect.share:+.0%} ({effect.share_low:+.0%} to {effect.share_high:+.0%})",
            f"{effect.prior_share:+.0%} ({effect.prior_share_low:+.0%} to {effect.prior_share_high:+.0%})",
        )
        for effect in sorted(main, key=lambda effect: [e.experiment for e in main].index(effect.experiment))
        if math.isfinite(effect.share) and math.isfinite(effect.prior_share)
    ]
    caption = (
        f"The same changes of {main[0].observation} as shares of its total: median and central 90 % after the data, "
        "and of the priors alone. Where both agree the data have said nothing of the share, however well they know the "
        "number."
    )
    head = ("experiment", "structure", "share", "share by the priors alone")
    return Table(head, tuple(rows), caption)
