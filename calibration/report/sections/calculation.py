"""Checks of the calculation: time step, another engine, synthetic data sets."""

from collections.abc import Iterator, Mapping

from calibration.assess.self_test import MASSES
from calibration.fit.verification import OPTION, half_step_sentence
from calibration.report import figures_posterior
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, Rows
from cipark_sd.pages.blocks import Block, Listing, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import listed


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
    yield from fit.failed.sentences or ["All draws ran."]
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
