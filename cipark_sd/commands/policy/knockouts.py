"""Knock-outs: what each loop and each actor is worth, before and after the data, where no effect is an answer too."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.claims import BUILT_IN, INFORMED, as_said
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.effects import numbers
from cipark_sd.commands.policy.expectations import fitted_rivals
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.console import Bars
from cipark_sd.experiments.definition import BASE, Catalogue, Knockouts
from cipark_sd.experiments.knockouts import ANSWERS, POSTERIOR, PRIOR, knockout_table, range_over, verdict
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd

#: The title of the section.
KNOCKOUTS = "Without each loop and each actor: what is lost"


@dataclass(frozen=True)
class KnockoutsFound:
    """The table of :func:`cipark_sd.experiments.knockouts.knockout_table`, and what a reader must know of its runs."""

    table: "pd.DataFrame"
    doubts: tuple[str, ...]


def percent(values: Sequence[float]) -> str:
    """A change or changes in per cent, with their sign.

    >>> percent([-0.104]), percent([-0.5, 0.021])
    ('-10', '-50 to +2')
    """
    return " to ".join("0" if abs(v) < 0.005 else f"{100 * v:+.0f}" for v in values)


def knockouts_sentence(result: KnockoutsFound, knockouts: Knockouts) -> str:
    """How many knock-outs have which verdict."""
    verdicts = [
        str(verdict(result.table, policy, group.title)) for group in knockouts.groups for policy in group.policies
    ]
    counts = Counter(verdicts)
    undecided = counts.pop("undecided", 0)
    texts = "; ".join(f"{as_said(text)} {n}" for text, n in sorted(counts.items())) or "none has a verdict"
    return f"Of {len(verdicts)} mechanisms removed {undecided} are not decided by the data; {texts}."


def _meaning(about: About, knockouts: Knockouts) -> str:
    varied = [about.inputs[uncertainty.name] for uncertainty in about.catalogue.uncertainties]
    text = (
        "Each draw is run with and without, and the change is a share of what it has with. A change of less than "
        f"{knockouts.near:.0%} is no effect. An answer is informed by the data where they move its odds by a "
        f"factor of {INFORMED:g} or more under every structure that has the mechanism and leave it likelier than not, "
        f"assumed by the model where it is true in {BUILT_IN:.0%} or more of the prior draws, and not decided by the "
        "data otherwise. A loop is removed by a gain of zero, which moves the level of the park "
        "as well as what comes back to it."
    )
    return text + (f" Drawn from their ranges as well, before and after alike: {'; '.join(varied)}." if varied else "")


def _group_table(result: KnockoutsFound, about: About, number: int) -> Table:
    knockouts = _knockouts(about.catalogue)
    group = knockouts.groups[number]
    frame = result.table[result.table["group"] == group.title]
    after_data = (frame["when"] == POSTERIOR).any()
    first = frame[frame["structure"] == about.first]
    rows = []
    for policy in group.policies:
        of = first[first["policy"] == policy]
        cells = [("", str(of["title"].iloc[0]))]
        for when in (PRIOR, POSTERIOR) if after_data else (PRIOR,):
            texts = ["-"] * 4
            if (of["when"] == when).any():
                row = numbers(of[of["when"] == when])
                ends = ([row["median"]], [row["low50"], row["high50"]], [row["low90"], row["high90"]])
                texts = [*map(percent, ends), ", ".join(f"{100 * row[answer]:.0f}" for answer in ANSWERS)]
            median = f"{when}: median" if after_data else "median"
            cells += zip((median, "50 %", "90 %", "fewer, none, more"), texts, strict=True)
        if about.several:
            last = POSTERIOR if after_data else PRIOR
            over = percent(range_over(frame, policy, group.title, last, "median")) or "-"
            cells.append(("medians over structures", over))
        rows.append([*cells, ("verdict", as_said(str(verdict(frame, policy, group.title))))])
    outcome = about.catalogue.outcome_by_id[knockouts.outcome].title
    caption = (
        f"{group.title}: change of {outcome} {about.catalogue.when(group.at)} in per cent, and in how many of a "
        f"hundred draws it is {100 * knockouts.near:g} % or more fewer, none, or so many more"
        f"{f' (structure {about.first})' if about.several else ''}"
    )
    return Table.of(rows, caption)


def _knockouts(catalogue: Catalogue) -> Knockouts:
    assert catalogue.knockouts is not None, "the part is run only where the catalogue has them"
    return catalogue.knockouts


class KnockoutsPart(PolicyPart[KnockoutsFound]):
    """What is lost with each loop and each actor."""

    name: ClassVar[str] = "knockouts"
    kind: ClassVar[type[KnockoutsFound]] = KnockoutsFound
    needs = ("knockouts", "[knockouts]", "a table of what is taken away")

    def compute(self, analysis: Analysis, bars: Bars) -> KnockoutsFound:
        """Run what is taken away over the draws, and over draws that have seen no data."""
        catalogue = analysis.catalogue
        knockouts, seed = _knockouts(catalogue), analysis.about.seed
        ids = {BASE, *(policy for group in knockouts.groups for policy in group.policies)}
        chosen = [policy for policy in catalogue.policies if policy.id in ids]
        run = partial(
            analysis.run,
            chosen,
            bars,
            outcomes=[catalogue.outcome_by_id[knockouts.outcome]],
            times=sorted({group.at for group in knockouts.groups}),
        )
        prior = run(
            "knock-outs", draws={name: d.widened(catalogue.uncertainties, seed) for name, d in analysis.prior.items()}
        )
        doubts = list(analysis.doubts(prior))
        posterior = None
        if not analysis.about.unseen:
            after = {name: d.widened(catalogue.uncertainties, seed) for name, d in analysis.draws.items()}
            posterior = run("knock-outs after the data", draws=after)
            doubts += analysis.doubts(posterior)
        fitted = fitted_rivals(analysis)
        posterior = posterior if fitted else None
        return KnockoutsFound(knockout_table(knockouts, prior, posterior, fitted), tuple(doubts))

    def tables_of(self, result: KnockoutsFound, about: About) -> "dict[str, pd.DataFrame]":
        """Every distribution, with the verdict of its knock-out."""
        table = result.table
        places = list(zip(map(str, table["policy"]), map(str, table["group"]), strict=True))
        texts = {place: str(verdict(table, *place)) for place in dict.fromkeys(places)}
        verdicts = [texts[place] for place in places]
        return {"knockouts": table.assign(verdict=verdicts)}

    def drawings_of(self, result: KnockoutsFound, about: About) -> Iterator[Drawing]:
        """All of them."""
        from cipark_sd.plotting.knockouts import plot_knockouts

        knockouts = _knockouts(about.catalogue)
        outcome = about.catalogue.outcome_by_id[knockouts.outcome].title
        titles = [f"{group.title}: {outcome} {about.catalogue.when(group.at)}" for group in knockouts.groups]
        drawing = partial(plot_knockouts, near=knockouts.near, titles=titles, outcome=outcome, caption=about.basis)
        yield Drawing("knockouts", drawing, (result.table, about.first))

    def sections_of(self, result: KnockoutsFound, about: About, pictures: Pictures) -> Iterator[Section]:
        """What the answers mean, how many there are, a table for each group, and the figure."""
        knockouts = _knockouts(about.catalogue)
        blocks: list[Block] = [Paragraph(knockouts_sentence(result, knockouts)), *map(Paragraph, result.doubts)]
        blocks.append(Paragraph(_meaning(about, knockouts)))
        blocks += [_group_table(result, about, number) for number in range(len(knockouts.groups))]
        blocks += pictures.show(
            "knockouts", "Changes without each mechanism, before the data (grey) and after them (blue)"
        )
        yield Section(KNOCKOUTS, tuple(blocks))


PART = KnockoutsPart()
