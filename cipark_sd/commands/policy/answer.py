"""The first screen of a policy analysis: effects that the data inform, those they leave open, and what is assumed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cipark_sd.analysis.experiments.definition import WEIGHTED
from cipark_sd.analysis.experiments.effects import Claim
from cipark_sd.base.wording import first_of, is_counted, labelled, listed, said_date, with_unit
from cipark_sd.commands.policy.about import About, Findings, error_words, in_words, size
from cipark_sd.commands.policy.effects import Effects, shown_rival, shown_rows
from cipark_sd.commands.policy.signs import Signs
from cipark_sd.commands.policy.what_next import page_of
from cipark_sd.pages.blocks import FirstScreen, Picture, Section
from cipark_sd.pages.parts import Drawing, Part, Pictures
from cipark_sd.statements.headline import Headline, sentences

if TYPE_CHECKING:
    import pandas as pd

#: Effects in sentences, at most.
EFFECTS = 2
#: What is known where nothing is, and whether no data were used.
NOTHING = {True: "Nothing: no data have been used for these numbers.", False: "Nothing of what these policies change."}


@dataclass(frozen=True, slots=True)
class First(Part[Findings]):
    """The first screen; where no effects were computed it is made of the records of the parts ``of``."""

    of: tuple[Part[Findings], ...]

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Every effect, by class."""
        effects, about = findings.of(Effects), findings.about
        if effects is not None:
            from cipark_sd.pages.figures.runs import plot_policies

            outcome, at = about.catalogue.headline
            kinds = {effect.policy: effect.kind for effect in effects.classes}
            title = labelled(_where(about), about.units[outcome])
            yield Drawing("answer", plot_policies, effects.differences, outcome, at, kinds=kinds, title=title)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block; nothing where nothing was found."""
        decisions = page_of(findings)
        records = [] if decisions else [record for part in self.of for record in part.headlines(findings)]
        summary = _summary(findings, records)
        picture = next(pictures.show("answer", _caption(findings)), None)
        if summary is not None:
            yield Section("In short", (_first_screen(findings, summary, picture),))
        elif decisions is not None:
            subject, (known, not_known, assumed) = f"{decisions.name}: {decisions.subtitle}", decisions.lines
            lines = (known[1], not_known[1], assumed[1], decisions.limits)
            yield Section("In short", (FirstScreen(subject, decisions.title, *lines, picture=picture),))


@dataclass(frozen=True, slots=True)
class Summary:
    """A title, and what is known, not known and assumed of the effects."""

    title: str
    known: Sequence[str] = ()
    open: Sequence[str] = ()
    assumed: Sequence[str] = ()


def _first_screen(findings: Findings, summary: Summary, picture: Picture | None = None) -> FirstScreen:
    """The summary of effects, beside what all of it rests on."""
    about = findings.about
    structures = (
        f"Which of {len(about.rivals)} structures is right."
        if about.several
        else "Whether the equations are right: this is one structure."
    )
    assumed = [*summary.assumed, *_assumed_beside(findings)]
    result = findings.of(Effects) or findings.of(Signs)
    cautions = [*about.cautions, *(result.doubts if result else ())]
    return FirstScreen(
        subject=f"{about.catalogue.title}: {_where(about)}",
        title=summary.title,
        known=" ".join([*_answer(about, known=True), *summary.known, *_informed(findings)]) or NOTHING[about.unseen],
        not_known=" ".join([*_answer(about, known=False), *summary.open, structures]),
        assumed=" ".join(assumed) or "The equations, and what they leave out.",
        limits=f"{rests_on(about)} Effects are of expected numbers, without the noise of counts.",
        cautions=(" ".join(cautions),) if cautions else (),
        picture=picture,
    )


def _summary(findings: Findings, records: Sequence[Headline]) -> Summary | None:
    about, effects, signs = findings.about, findings.of(Effects), findings.of(Signs)
    if effects is not None:
        return of_effects(effects, about)
    if signs is not None:
        return _of_signs(signs, about)
    if not records:
        return None
    first = records[0]
    title = f"{first.title or first.dated}: {first.brief}"
    # of these no class is known
    lines = sentences(records[: EFFECTS + 1])
    return Summary(title, assumed=lines) if about.unseen else Summary(title, open=lines)


def _where(about: About) -> str:
    """The outcome and the time of the headline."""
    outcome, at = about.catalogue.headline
    date = about.catalogue.date(at)
    return about.catalogue.read_at(outcome, at).replace(date, said_date(date))


def _caption(findings: Findings) -> str:
    about, effects = findings.about, findings.of(Effects)
    shown, grey = "at the best fit", "the change"
    if about.bases[about.first].n > 1:
        grey = "the median"
        shown = "median with 50% and 90% of the draws, the surest sign first"
    if about.several and effects is not None:
        by_weight = shown_rival(effects.differences, about) == WEIGHTED
        of = "structures by weight" if by_weight else f"structure {about.first}"
        shown += f"; {of}, and in grey {grey} under each{'' if by_weight else ' of the others'}"
    return f"{_where(about)}: what each policy changes, {shown}."


def of_effects(effects: Effects, about: About) -> Summary:
    """The largest effects by their class; where there is no class none is known."""
    outcome, at = about.catalogue.headline
    frame = effects.differences
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at)]
    unit, shown = about.units[outcome], shown_rows(frame, about, outcome, at)
    classes = {effect.policy: effect for effect in effects.classes}
    kinds: dict[str, str] = {effect.policy: effect.kind for effect in effects.classes}
    many = about.bases[about.first].n > 1
    moving = [policy for policy in about.catalogue.changes if shown[policy.id]["low90"] or shown[policy.id]["high90"]]
    assumed = [policy for policy in moving if kinds.get(policy.id) == "built in"]
    sure = {policy.id for policy in moving if shown[policy.id]["low90"] > 0 or shown[policy.id]["high90"] < 0}
    known = {policy.id for policy in moving if kinds.get(policy.id) == "informed"}
    named = [policy for policy in moving if policy.id in sure | known and policy not in assumed]
    named.sort(key=lambda policy: (policy.id not in known, -abs(shown[policy.id]["median"])))
    # what no number distinguishes is named once
    apart = {tuple(shown[p.id][end] for end in ("median", "low90", "high90")): p for p in reversed(named)}
    lines: dict[str, list[str]] = {"informed": [], "undecided": []}
    title = ""
    for policy in list(reversed(apart.values()))[:EFFECTS]:
        row, effect = shown[policy.id], classes.get(policy.id)
        over = _over_structures(of[of["policy"] == policy.id], about, row, unit)
        after = "" if effect is None else f" The priors alone say {_ends(effect.low, effect.high, unit)}."
        after += "" if policy.id in sure else " Its direction is open."
        lines[kinds.get(policy.id, "undecided")].append(
            f"{policy.title}: {_change(row, unit, many=many)}{over}.{after}"
        )
        if not title and (effect is None or policy.id in known):
            size_of = f"{_change(row, unit, many=False)}{'' if many else ', at the best fit alone'}"
            title = f"{policy.title}: {size_of if policy.id in sure else 'narrowed by the data, its direction open'}"
    title = title or _undecided(about, len(moving), len(assumed))
    n, some = len(about.catalogue.changes), list[str]()
    if assumed:
        largest = max(assumed, key=lambda policy: abs(shown[policy.id]["median"])).title
        direction = f"The direction of {_effects_of(len(assumed), n)}"
        some.append(f"{direction}{'; the largest is' if len(assumed) > 1 else ','} {largest}.")
    n_open = sum(policy.id not in sure and kinds.get(policy.id) == "undecided" for policy in moving)
    if n_open and not lines["undecided"]:
        lines["undecided"].append(f"The direction of {_effects_of(n_open, n)}.")
    base = with_unit(size(shown[about.catalogue.changes[0].id]["base"], math.nan, unit), unit)
    if about.unseen:
        return Summary(title, assumed=lines["undecided"])
    if not many:
        distance = ["How far these lie from those of other fits:", *lines["undecided"]] if lines["undecided"] else []
        return Summary(title, [f"Nothing of the effects. With nothing changed: {base}, at the best fit."], distance)
    return Summary(title, lines["informed"], lines["undecided"], some)


def _undecided(about: About, n_moving: int, n_assumed: int) -> str:
    """The title where the data decide no effect, of so many policies that have one and that the model assumes."""
    n, name = len(about.catalogue.changes), about.catalogue.changes[0].title
    if not n_moving:
        return f"{'The policy does not change' if n == 1 else f'None of {n} policies changes'} {_where(about)}"
    if n == 1:
        return f"{name}: {'the direction is assumed' if n_assumed else 'the data do not decide the effect'}"
    return f"The data do not tell what any of {n} policies changes"


def _effects_of(n: int, of: int) -> str:
    """So many effects of all."""
    return "the one effect" if of == 1 else f"all {of} effects" if n == of else f"{n} of {of} effects"


def _ends(low: float, high: float, unit: str, width: float = math.nan) -> str:
    """Two differences in words, with the digits of an interval of some width, else of the one between them."""
    width = width if width > 0 else high - low
    if low < 0 < high:
        fewer, above = (size(end, width, unit) for end in (low, high))
        return f"{fewer} {_way(-1, unit)} to {above} {_way(1, unit)}"
    near, far = (size(end, width, unit) for end in sorted((abs(low), abs(high))))
    return f"{near if near == far else f'{near} to {far}'} {_way(low + high, unit)}"


def _way(value: float, unit: str) -> str:
    return "more" if value > 0 else "fewer" if is_counted(unit) else "less"


def _change(row: dict[str, float], unit: str, *, many: bool) -> str:
    """A difference in words, with the interval of the draws where there are several."""
    low, high = row["low90"], row["high90"]
    error = error_words(row["mcse_median"], high - low, unit) if many else ""
    text = with_unit(f"{size(row['median'], high - low, unit)}{error}", unit)
    interval = f" (90%: {_ends(low, high, unit)})" if many else ""
    return f"{text} {_way(row['median'], unit)}{interval}"


def _over_structures(rows: "pd.DataFrame", about: About, row: dict[str, float], unit: str) -> str:
    """The range of the effects under single structures, where there are several."""
    medians = rows[rows["rival"] != WEIGHTED]["median"].dropna()
    if not about.several or medians.empty:
        return ""
    of = "medians over" if about.bases[about.first].n > 1 else "over"
    ends = _ends(float(medians.min()), float(medians.max()), unit, row["high90"] - row["low90"])
    return f"; {of} {len(medians)} structures: {ends}"


def _of_signs(signs: Signs, about: About) -> Summary:
    """How many policies bring more or less under the priors; no size."""
    of = [row[0] for row in signs.signs]
    counts = {sign: of.count(sign) for sign in ("more", "less", "either", "no change")}
    words = {"more": "more", "less": "less", "either": "more or less", "no change": "no change"}
    by_sign = listed(f"{words[sign]} under {count}" for sign, count in counts.items() if count)
    sure = len(of) - counts["either"]
    return Summary(
        f"Before the data, the model assumes the direction of {sure} of {len(of)} effects",
        open=("How large any effect is.",),
        assumed=(f"Of {len(of)} policies: {by_sign}. The priors and the equations imply these signs.",),
    )


def rests_on(about: About) -> str:
    """What the draws are, in one sentence, and where the fit is judged."""
    if about.unseen:
        return "No data have been used for these numbers."
    basis, _ = next(iter(about.by_origin.values()))
    return f"{basis.label[:1].upper()}{basis.label[1:]}; the report of the fit judges it."


def _answer(about: About, *, known: bool) -> Iterator[str]:
    """The answer of the fit to its question, where it is known or where it is not."""
    if about.question is not None and (about.question.standing == "known") is known:
        yield f"Asked of the fit: {about.question.sentence}."


def _informed(findings: Findings) -> Iterator[str]:
    """The expectations that the data inform, of which the first is named."""
    claims = _claims(findings)
    informed = [claim for claim in claims if claim.classified.kind == "informed"]
    if informed:
        catalogue, first = findings.about.catalogue, informed[0]
        date = catalogue.date(first.expected.at)
        expected = in_words(first.expected, catalogue).replace(date, said_date(date))
        against = ", is false" if first.classified.side == "against" else ""
        policy = catalogue.policy_by_id[first.policy].title
        yield f"{len(informed)} of {len(claims)} expectations: under '{policy}', {expected}{against}."


def _assumed_beside(findings: Findings) -> Iterator[str]:
    """Expectations that the model implies, and parameters that keep their priors."""
    claims, about = _claims(findings), findings.about
    built = sum(claim.classified.kind == "built in" for claim in claims)
    if built:
        yield f"Also {built} of {len(claims)} expectations."
    if about.untaught and not about.unseen:
        yield f"The priors of {first_of(about.untaught)}, which the data do not narrow."


def _claims(findings: Findings) -> tuple[Claim, ...]:
    result = findings.of(Effects) or findings.of(Signs)
    return () if result is None else result.claims
