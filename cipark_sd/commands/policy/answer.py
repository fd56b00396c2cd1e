"""What the page of a policy analysis says first: effects that the data inform or leave open, and what is assumed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.classes import ORDER, EffectClass
from cipark_sd.commands.policy.effects import Effects, shown_rows
from cipark_sd.commands.policy.findings import Findings
from cipark_sd.commands.policy.signs import Signs
from cipark_sd.commands.policy.words import first_of
from cipark_sd.experiments.effects import WEIGHTED, Claim
from cipark_sd.headline import sentences
from cipark_sd.pages.blocks import Answer, Section
from cipark_sd.pages.parts import Drawing, Part, Pictures
from cipark_sd.wording import commas, in_sentence, is_counted, listed, number, rounded, said_date, with_unit

if TYPE_CHECKING:
    import pandas as pd

#: Effects in the box and in its figure, and parameters that it names, at most.
EFFECTS, DRAWN, NAMED = 2, 6, 3


@dataclass(frozen=True, slots=True)
class First(Part[Findings]):
    """The box at the top; where no effects were computed it tells the records of the parts ``of``."""

    of: tuple[Part[Findings], ...]

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The largest effects, so small that their letters can be read on a phone."""
        effects, about = findings.of(Effects), findings.about
        if effects is not None:
            from cipark_sd.plotting.policies import plot_tornado

            outcome, at = about.catalogue.headline
            options = {"title": about.titled(outcome), "time_units": about.catalogue.time_units, "most": DRAWN}
            if not effects.unassumed.empty:
                yield Drawing("answer", plot_tornado, (effects.unassumed, outcome, at), options)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block, the answer; nothing where nothing was found."""
        about = findings.about
        outcome, at = about.catalogue.headline
        title, date = about.catalogue.outcome_by_id[outcome].title, about.catalogue.date(at)
        when = about.catalogue.when(at).replace(date, said_date(date))
        lines = numbers_said(findings) or sentences(
            [r for part in self.of for r in part.headlines(findings)][: EFFECTS + 1]
        )
        all_drawn = len(about.catalogue.policies) <= DRAWN + 1
        content = "what each policy changes" if all_drawn else f"the {DRAWN} largest effects"
        effects = findings.of(Effects)
        if effects is not None and effects.assumed:
            content = "effects whose direction the model does not assume"
        many = about.bases[about.first].n > 1
        shown = "median with 50% and 90% of the draws" if many else "at the best fit"
        caption = f"{title} {when}: {content}, {shown}."
        answer = Answer(
            question=f"{title} {when}: what each policy changes",
            numbers=lines,
            fit=rests_on(about),
            cannot=cannot_say(findings),
            picture=next(pictures.show("answer", caption), None),
        )
        if lines:
            yield Section("In short", (answer,))


def numbers_said(findings: Findings) -> tuple[str, ...]:
    """The base and the largest effects with their ranges; of priors how many signs are open, and no size."""
    about = findings.about
    effects, signs = findings.of(Effects), findings.of(Signs)
    if effects is not None:
        return (*_sizes(effects, about),)
    return () if signs is None else _signs(signs, about)


def _sizes(effects: Effects, about: About) -> Iterator[str]:
    outcome, at = about.catalogue.headline
    frame = effects.differences
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at)]
    unit, shown = about.units[outcome], shown_rows(frame, about, outcome, at)
    rows = [(policy.title, policy.id, shown[policy.id]) for policy in about.catalogue.changes]
    classes = {effect.policy: effect for effect in effects.classes}
    sure = [row for row in rows if row[2]["low90"] > 0 or row[2]["high90"] < 0]
    open_ = [row for row in sure if row[1] not in effects.assumed]
    largest = sorted(open_, key=lambda row: (_place(classes.get(row[1])), -abs(row[2]["median"])))
    # what no number tells apart is said once
    apart = {tuple(row[end] for end in ("median", "low90", "high90")): (title, policy, row)
             for title, policy, row in reversed(largest)}  # fmt: skip
    many = about.bases[about.first].n > 1
    for title, policy, row in list(reversed(apart.values()))[:EFFECTS]:
        over = _over_structures(of[of["policy"] == policy], about, row["high90"] - row["low90"])
        effect = classes.get(policy)
        before = "" if effect is None else f"{effect.words[0].upper()}{effect.words[1:]}. "
        after = "" if effect is None else f" The priors alone say {_ends(effect.low, effect.high, unit)}."
        yield f"{before}{title}: {_change(row, unit, many=many)}{over}.{after}"
    if not apart and effects.assumed:
        yield "The data inform the direction of no effect: the model assumes all of them."
    if effects.assumed:
        moving = {policy for _, policy, row in rows if row["low90"] or row["high90"]}
        names = [policy.title for policy in about.catalogue.changes if policy.id in effects.assumed & moving]
        yield f"The model assumes the direction of these, so they are no findings: {first_of(names, NAMED)}."
    if not many:
        yield f"With nothing changed: {with_unit(commas(number(rows[0][2]['base'], digits=2)), unit)}, at the best fit."


def _place(effect: EffectClass | None) -> int:
    return 0 if effect is None else ORDER.index(effect.kind)


def _ends(low: float, high: float, unit: str) -> str:
    """An interval of differences in words."""
    if low < 0 < high:
        fewer, above = (_size(end, high - low, unit) for end in (low, high))
        return f"{fewer} {_way(-1, unit)} to {above} {_way(1, unit)}"
    near, far = sorted((abs(low), abs(high)))
    return f"{_size(near, high - low, unit)} to {_size(far, high - low, unit)} {_way(low + high, unit)}"


def _size(value: float, width: float, unit: str) -> str:
    """A number without its sign, of counted things whole where the interval is wide enough."""
    return in_sentence(abs(value), width, unit)


def _way(value: float, unit: str) -> str:
    return "more" if value > 0 else "fewer" if is_counted(unit) else "less"


def _change(row: dict[str, float], unit: str, *, many: bool) -> str:
    """A difference in words, with the interval of the draws where there are several."""
    low, high = row["low90"], row["high90"]
    size = with_unit(_size(row["median"], high - low, unit), unit)
    interval = f" (90%: {_ends(low, high, unit)})" if many else ""
    return f"{size} {_way(row['median'], unit)}{interval}"


def _over_structures(rows: "pd.DataFrame", about: About, width: float) -> str:
    """The range of the medians under single structures, where there are several, with the digits of a band's width."""
    medians = rows[rows["rival"] != WEIGHTED]["median"].dropna()
    if not about.several or medians.empty:
        return ""
    low, high = (rounded(float(end), width) for end in (medians.min(), medians.max()))
    if low == high:
        return f"; the same median under each of {len(medians)} structures"
    return f"; medians over {len(medians)} structures: {low} to {high}"


def _signs(signs: Signs, about: About) -> tuple[str, ...]:
    """How many policies bring more or less under the priors."""
    of = [row[0] for row in signs.signs]
    counts = {sign: of.count(sign) for sign in ("more", "less", "either", "no change")}
    words = {"more": "more", "less": "less", "either": "more or less", "no change": "no change"}
    by_sign = listed(f"{words[sign]} under {count}" for sign, count in counts.items() if count)
    return (f"Of {len(of)} policies: {by_sign}. The priors and the equations imply these signs; no sizes are given.",)


def rests_on(about: About) -> str:
    """What the draws are, in one sentence, and where the fit is judged."""
    if about.unseen:
        return "No data have been used for these numbers."
    basis, _ = next(iter(about.by_origin.values()))
    return f"The numbers are of {basis.sentence}; the report of the fit says how well it fits."


def cannot_say(findings: Findings) -> str:
    """What is assumed, what the equations contain already, and what the data have not taught."""
    about = findings.about
    parts = []
    if about.misfit:
        parts.append(f"{about.misfit[:1].upper()}{about.misfit[1:]}, so that intervals are too narrow.")
    if about.unseen:
        parts.append("All of it is assumed.")
    if about.several:
        parts.append(f"The data do not decide which of {len(about.rivals)} structures is right.")
    else:
        parts.append("One structure only; whether its equations are right is not tested here.")
    claims = _claims(findings)
    if claims:
        built = sum(claim.classified.kind == "built in" for claim in claims)
        informed = sum(claim.classified.kind == "informed" for claim in claims)
        parts.append(f"Of {len(claims)} expectations the model assumes {built}, and the data inform {informed}.")
    if about.untaught and not about.unseen:
        names = first_of(about.untaught, NAMED)
        parts.append(f"The data do not narrow {names}.")
    return " ".join(parts)


def _claims(findings: Findings) -> tuple[Claim, ...]:
    result = findings.of(Effects) or findings.of(Signs)
    return () if result is None else result.claims
