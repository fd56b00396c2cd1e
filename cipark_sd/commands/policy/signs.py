"""What is shown of the priors of a study: signs, and nothing that could be taken for a finding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cipark_sd.claims import BUILT_IN
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis, doubts
from cipark_sd.commands.policy.expectations import (
    CLAIMS,
    claims_blocks,
    claims_frame,
    claims_printed,
    classified_claims,
)
from cipark_sd.commands.policy.part import Missing, Part
from cipark_sd.console import Bars
from cipark_sd.experiments.effects import Claim, Sign, sign
from cipark_sd.headline import Headline
from cipark_sd.pages.blocks import Block, Paragraph, Table
from cipark_sd.pages.parts import Drawing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What stands above them.
HEADING = (
    "Signs under the priors. No data have been used, so this says what the model assumes and not what is known: no "
    "size is told, and nothing is ranked."
)


@dataclass(frozen=True)
class Signs:
    """By policy, in the order of the catalogue, and by outcome: whether it brings more or less."""

    policies: "xr.Dataset"
    signs: tuple[tuple[Sign, ...], ...]
    claims: tuple[Claim, ...]
    doubts: tuple[str, ...]


def compute(analysis: Analysis, bars: Bars) -> Signs:
    """Run the catalogue over the priors."""
    runs = analysis.run(analysis.catalogue.policies, bars, "experiments")
    at = analysis.catalogue.headline[1]
    shown = analysis.about.in_full
    signs = tuple(
        tuple(sign(runs, policy.id, outcome, at) for outcome in shown) for policy in analysis.catalogue.policies[1:]
    )
    return Signs(runs, signs, classified_claims(analysis, None, bars), doubts(runs))


def tables(findings: Signs, about: About) -> "dict[str, pd.DataFrame]":
    """Every sign; the claims where there are any."""
    import pandas as pd

    rows = [
        (policy.id, policy.title, *signs)
        for policy, signs in zip(about.catalogue.policies[1:], findings.signs, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["policy", "title", *about.in_full])
    return {"signs": frame, **({"claims": claims_frame(findings.claims, about)} if findings.claims else {})}


def figures(findings: Signs, about: About) -> Sequence[Drawing]:
    """None: a figure would show sizes."""
    return ()


def headlines(findings: Signs, about: About) -> Sequence[Headline]:
    """None: no size is told."""
    return ()


def blocks(findings: Signs, about: About) -> tuple[list[Block], list[Block]]:
    """The signs, and what was expected."""
    return _signs(findings, about), claims_blocks(findings.claims, about)


def console(findings: Signs, about: About) -> list[Block]:
    """The same, in short."""
    return [*_signs(findings, about), *claims_printed(findings.claims, about)]


def _signs(findings: Signs, about: About) -> list[Block]:
    catalogue = about.catalogue
    caption = (
        f"Whether each policy brings more or less than the base at {catalogue.headline[1]:g}, in the order of the "
        f"catalogue; a sign is told where it is the same in {BUILT_IN:.0%} of the prior draws or more under every "
        "structure"
    )
    head = ("policy", *(catalogue.outcome_by_id[outcome].title for outcome in about.in_full))
    rows = [(policy.title, *signs) for policy, signs in zip(catalogue.policies[1:], findings.signs, strict=True)]
    return [Paragraph(HEADING, warning=True), *map(Paragraph, findings.doubts), Table(head, tuple(rows), caption)]


PART = Part(
    name="signs",
    titles=("Assumed signs under the priors", CLAIMS),
    findings=Signs,
    needs=Missing("[[policy]]", "at least one"),
    present=lambda catalogue: len(catalogue.policies) > 1,
    compute=compute,
    tables=tables,
    figures=figures,
    headlines=headlines,
    blocks=blocks,
    console=console,
)
