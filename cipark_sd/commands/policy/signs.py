"""What is shown of the priors of a study: signs, and nothing that could be taken for a finding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.claims import BUILT_IN
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.expectations import (
    CLAIMS,
    claims_blocks,
    claims_frame,
    classified_claims,
    runs_without_data,
)
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.console import Bars
from cipark_sd.experiments.effects import Claim, Sign, sign
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What stands above them.
HEADING = (
    "Signs under the priors. No data have been used, so this is what the model assumes and not what is known: no "
    "sizes, no ranks."
)


@dataclass(frozen=True)
class Signs:
    """By policy, in the order of the catalogue, and by outcome: whether it brings more or less."""

    policies: "xr.Dataset"
    signs: tuple[tuple[Sign, ...], ...]
    claims: tuple[Claim, ...]
    doubts: tuple[str, ...]


def _signs(result: Signs, about: About) -> list[Block]:
    catalogue = about.catalogue
    caption = (
        f"Whether each policy brings more or less than the base {catalogue.when(catalogue.headline[1])}, in the order "
        f"of the catalogue; a sign is given where it is the same in {BUILT_IN:.0%} of the prior draws or more under "
        "every structure"
    )
    head = ("policy", *(catalogue.outcome_by_id[outcome].title for outcome in about.in_full))
    rows = [(policy.title, *signs) for policy, signs in zip(catalogue.changes, result.signs, strict=True)]
    return [Paragraph(HEADING, warning=True), *map(Paragraph, result.doubts), Table(head, tuple(rows), caption)]


class SignsPart(PolicyPart[Signs]):
    """What the priors of a study assume."""

    name: ClassVar[str] = "signs"
    kind: ClassVar[type[Signs]] = Signs

    def compute(self, analysis: Analysis, bars: Bars) -> Signs:
        """Run the catalogue over the priors."""
        runs = analysis.run(analysis.catalogue.policies, bars, "experiments")
        at = analysis.catalogue.headline[1]
        shown = analysis.about.in_full
        signs = tuple(
            tuple(sign(runs, policy.id, outcome, at) for outcome in shown) for policy in analysis.catalogue.changes
        )
        return Signs(
            runs, signs, classified_claims(analysis, runs_without_data(analysis, bars), None), analysis.doubts(runs)
        )

    def tables_of(self, result: Signs, about: About) -> "dict[str, pd.DataFrame]":
        """Every sign; the claims where there are any."""
        import pandas as pd

        rows = [
            (policy.id, policy.title, *signs)
            for policy, signs in zip(about.catalogue.changes, result.signs, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=["policy", "title", *about.in_full])
        return {"signs": frame, **({"claims": claims_frame(result.claims, about)} if result.claims else {})}

    def sections_of(self, result: Signs, about: About, pictures: Pictures) -> Iterator[Section]:
        """The signs, and what was expected."""
        yield Section("Assumed signs under the priors", tuple(_signs(result, about)))
        yield Section(CLAIMS, tuple(claims_blocks(result.claims, about)))


PART = SignsPart()
