"""Knock-outs: what each loop and each actor is worth, before and after the data, where no effect is an answer too."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, Catalogue, Knockouts
from cipark_sd.analysis.experiments.effects import paired, summary
from cipark_sd.base.arrays import Array
from cipark_sd.base.console import Bars
from cipark_sd.commands.policy.about import About, Findings
from cipark_sd.commands.policy.analysis import Analysis, PolicyPart
from cipark_sd.commands.policy.effects import numbers
from cipark_sd.commands.policy.signs import fitted_rivals
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.figures.panels import PALETTE, SMALL, TINY, grid, interval, note, styled
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.claims import BUILT_IN, IDLE, INFORMED, Classified, Evidence, Tally, as_said, classify

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Answer = Literal["fewer", "none", "more"]
#: What a knock-out may do.
ANSWERS: tuple[Answer, ...] = ("fewer", "none", "more")
#: Before and after the data.
PRIOR, POSTERIOR = "prior", "posterior"
#: An answer is given as informed where it is likelier than not after the data: odds that have tripled may still be low.
_LIKELIER = 0.5
#: A change below this share is none at all: the mechanism is switched off already.
_NOTHING = 1e-12


def _changes(result: "xr.Dataset", policy: str, outcome: str, at: float) -> dict[str, Array]:
    """By structure, the changes ``(n,)`` that a policy brings as shares of the base; draws without a base are left out.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    """
    pairs = paired(result, policy, outcome, at)
    return {rival: row[base > 0] / base[base > 0] - 1 for rival, (row, base) in pairs.items()}


def knockout_table(
    knockouts: Knockouts,
    prior: "xr.Dataset",
    posterior: "xr.Dataset | None" = None,
    effective: Mapping[str, float] | None = None,
) -> "pd.DataFrame":
    """One row for each knock-out, structure and set of draws.

    Columns: ``group, policy, title, time, structure, when`` (prior or posterior), ``n``, ``independent`` (what they
    are worth), ``idle`` (nothing is there to take away), median and bands of the change, and the shares of draws with
    each of the :data:`ANSWERS`.

    Parameters
    ----------
    prior, posterior : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`.
    effective : mapping of str to float, optional
        By structure that has been fitted itself, how many independent draws those of the posterior are worth.
    """
    import pandas as pd

    sets = {PRIOR: prior} | ({} if posterior is None else {POSTERIOR: posterior})
    titles = dict(zip(map(str, prior["policy"].to_numpy()), map(str, prior["policy_title"].to_numpy()), strict=True))
    rows = []
    for group in knockouts.groups:
        for policy in group.policies:
            by_draws = {name: _changes(runs, policy, knockouts.outcome, group.at) for name, runs in sets.items()}
            for name, by_rival in by_draws.items():
                for rival, change in by_rival.items():
                    if name == POSTERIOR and effective is not None and rival not in effective:
                        continue
                    worth = float("inf") if name == PRIOR or effective is None else effective[rival]
                    facts = summary(change)
                    before = by_draws[PRIOR].get(rival, change)
                    rows.append(
                        {
                            "group": group.title,
                            "policy": policy,
                            "title": titles[policy],
                            "time": group.at,
                            "structure": rival,
                            "when": name,
                            "n": facts.n,
                            "independent": min(float(facts.n), worth),
                            "idle": bool(len(before)) and float((np.abs(before) < _NOTHING).mean()) >= IDLE,
                            **{q: getattr(facts, q) for q in ("low90", "low50", "median", "high50", "high90")},
                            "fewer": _share(change < -knockouts.near),
                            "none": _share(np.abs(change) <= knockouts.near),
                            "more": _share(change > knockouts.near),
                        }
                    )
    return pd.DataFrame(rows)


def _share(flags: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def evidence_of(frame: "pd.DataFrame", policy: str, group: str, answer: str) -> tuple[Evidence, ...]:
    """What draws say of an answer under each structure, from rows of :func:`knockout_table`."""
    of = frame[(frame["policy"] == policy) & (frame["group"] == group)]
    judged = []
    for structure in of["structure"].drop_duplicates():
        rows = {str(row["when"]): row for row in of[of["structure"] == structure].to_dict("records")}
        tallies = {name: Tally(row[answer] * row["n"], row["n"]) for name, row in rows.items() if row["n"]}
        if PRIOR not in tallies:
            continue
        after = tallies[POSTERIOR].worth(rows[POSTERIOR]["independent"]) if POSTERIOR in tallies else None
        judged.append(Evidence(str(structure), tallies[PRIOR], after, bool(rows[PRIOR]["idle"])))
    return tuple(judged)


def verdict(frame: "pd.DataFrame", policy: str, group: str) -> str:
    """The answer that is informed by the data and likelier than not after them, else the one built in, else none.

    The interval of its probability has to lie above a half under every structure. A structure in which nothing is
    there to take away is not asked.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`knockout_table`.
    policy, group : str
        The id of a knock-out, and the title of its group.

    Returns
    -------
    str
        The class and the answer, ``informed: fewer``, or ``undecided``.
    """
    classes: dict[Answer, Classified] = {}
    for answer in ANSWERS:
        judged = [evidence for evidence in evidence_of(frame, policy, group, answer) if not evidence.idle]
        classes[answer] = classify(judged)
    for kind in ("informed", "built in"):
        for answer, classified in classes.items():
            if classified.kind == kind and classified.side == "for" and (kind == "built in" or _likelier(classified)):
                return f"{kind}: {'no effect' if answer == 'none' else answer}"
    return "undecided"


def _likelier(classified: Classified) -> bool:
    return all(e.posterior is not None and e.posterior.interval[0] > _LIKELIER for e in classified.evidence)


def range_over(frame: "pd.DataFrame", policy: str, group: str, when: str, column: str) -> Sequence[float]:
    """The smallest and the largest number of a column over the structures that have something to take away."""
    of = frame[
        (frame["policy"] == policy) & (frame["group"] == group) & (frame["when"] == when) & ~frame["idle"].astype(bool)
    ]
    return (float(of[column].min()), float(of[column].max())) if len(of) else ()


#: The title of the section.
KNOCKOUTS = "Without each loop and each actor: what is lost"


@dataclass(frozen=True)
class KnockoutsFound:
    """The table of :func:`knockout_table`, and what a reader must know of its runs."""

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
    verdicts = [verdict(result.table, policy, group.title) for group in knockouts.groups for policy in group.policies]
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
        "data otherwise."
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
            cells += zip((median, "50%", "90%", "fewer, none, more"), texts, strict=True)
        if about.several:
            last = POSTERIOR if after_data else PRIOR
            over = percent(range_over(frame, policy, group.title, last, "median")) or "-"
            cells.append(("medians over structures", over))
        rows.append([*cells, ("verdict", as_said(verdict(frame, policy, group.title)))])
    outcome = about.catalogue.outcome_by_id[knockouts.outcome].title
    caption = (
        f"{group.title}: change of {outcome} {about.catalogue.when(group.at)} in per cent, and in how many of a "
        f"hundred draws it is {100 * knockouts.near:g}% or more fewer, none, or so many more"
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
        knockouts = _knockouts(catalogue)
        ids = {BASE, *(policy for group in knockouts.groups for policy in group.policies)}
        chosen = [policy for policy in catalogue.policies if policy.id in ids]
        run = partial(
            analysis.run,
            chosen,
            bars,
            outcomes=[catalogue.outcome_by_id[knockouts.outcome]],
            times=sorted({group.at for group in knockouts.groups}),
        )
        prior = run("knock-outs", draws=analysis.widened(analysis.prior))
        doubts = list(analysis.doubts(prior))
        posterior = None
        if not analysis.about.unseen:
            posterior = run("knock-outs after the data", draws=analysis.widened(analysis.draws))
            doubts += analysis.doubts(posterior)
        fitted = fitted_rivals(analysis)
        posterior = posterior if fitted else None
        return KnockoutsFound(knockout_table(knockouts, prior, posterior, fitted), tuple(doubts))

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Every distribution, with the verdict of its knock-out."""
        result, _ = self.read(findings)
        table = result.table
        places = list(zip(map(str, table["policy"]), map(str, table["group"]), strict=True))
        texts = {place: verdict(table, *place) for place in dict.fromkeys(places)}
        return {"knockouts": table.assign(verdict=[texts[place] for place in places])}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """All of them."""
        result, about = self.read(findings)
        knockouts = _knockouts(about.catalogue)
        outcome = about.catalogue.outcome_by_id[knockouts.outcome].title
        titles = [f"{group.title}: {outcome} {about.catalogue.when(group.at)}" for group in knockouts.groups]
        words = {"titles": titles, "outcome": outcome, "caption": about.basis}
        yield Drawing("knockouts", plot_knockouts, result.table, about.first, near=knockouts.near, **words)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """What the answers mean, how many there are, a table for each group, and the figure."""
        result, about = self.read(findings)
        knockouts = _knockouts(about.catalogue)
        blocks: list[Block] = [Paragraph(knockouts_sentence(result, knockouts)), *map(Paragraph, result.doubts)]
        blocks.append(Paragraph(_meaning(about, knockouts)))
        blocks += [_group_table(result, about, number) for number in range(len(knockouts.groups))]
        blocks += pictures.show(
            "knockouts", "Changes without each mechanism, before the data (grey) and after them (blue)"
        )
        yield Section(KNOCKOUTS, tuple(blocks))


_AFTER, _BEFORE, _OTHERS = PALETTE[0], "0.6", "0.25"
#: Letters of a knock-out's title in one line, and the inches that a row takes.
_LETTERS, _ROW = 46, 0.27
#: Changes beyond this share are drawn at the edge, with an arrow.
_MOST = 1.0


@styled
def plot_knockouts(
    table: "pd.DataFrame", structure: str, *, near: float, titles: Sequence[str], outcome: str, caption: str = ""
) -> "Figure":
    """A panel for each group: thin and thick bars are 90 and 50%, the dot the median; in the grey band there is none.

    Numbers at the right are the hundreds of draws with fewer, none and more, after the data where there are some.
    Ticks are the medians after the data under each other structure.

    Parameters
    ----------
    table : DataFrame
        Of :func:`knockout_table`.
    structure : str
        Whose bars are drawn.
    titles : sequence of str
        Of the groups, in the order of the table.
    """
    groups = list(table["group"].drop_duplicates())
    policies = [list(table[table["group"] == group]["policy"].drop_duplicates()) for group in groups]
    counts = [len(names) for names in policies]
    height = 1.0 + 0.42 * len(groups) + _ROW * sum(counts)
    figure, table_of = grid(len(groups), 1, height, letters=None, sharex=True, height_ratios=counts)
    panels = table_of[:, 0]
    for axes, group, names, title in zip(panels, groups, policies, titles, strict=True):
        _panel(axes, table[table["group"] == group], names, structure, near)
        axes.set_title(title, loc="left", weight="bold")
    panels[0].set_title("fewer, none, more\nof 100 draws", loc="right", fontsize=TINY)
    panels[-1].set_xlim(-_MOST - 0.02, _MOST + 0.4)
    ticks = [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    panels[-1].set_xticks(ticks, [f"{100 * tick:+.0f}" if tick else "0" for tick in ticks])
    panels[-1].set_xlabel(f"change of {outcome[0].lower()}{outcome[1:]}, % of the base")
    after_data = (table["when"] == "posterior").any()
    how = "Dot, thick and thin bar: median, 50 and 90%. "
    how += "Grey: prior, blue: posterior. " if after_data else ""
    several = table["structure"].nunique() > 1
    how += f"Structure {structure}; ticks: medians of the other structures that have it. " if several else ""
    note(figure, f"{how}Shaded: no effect, less than {near:.0%}. {caption}")
    return figure


def _panel(axes: "Axes", of_group: "pd.DataFrame", names: Sequence[str], structure: str, near: float) -> None:
    axes.axvspan(-near, near, color="0.93", zorder=0, linewidth=0)
    axes.axvline(0, color="0.3", linewidth=0.7, zorder=1)
    labels = []
    for place, name in enumerate(names):
        of = of_group[of_group["policy"] == name]
        labels.append(textwrap.fill(str(of["title"].iloc[0]), _LETTERS))
        of_structure = of[of["structure"] == structure]
        after_data = (of_structure["when"] == "posterior").any()
        for draws, colour, shift in (("prior", _BEFORE, -0.19), ("posterior", _AFTER, 0.19)):
            for row in of_structure[of_structure["when"] == draws].to_dict("records"):
                y = place + (shift if after_data else 0.0)
                ends = [min(row[key], _MOST) for key in ("low90", "low50", "median", "high50", "high90")]
                interval(axes, y, ends, colour, thick=3.6, dot=3.4)
                if row["high90"] > _MOST:
                    axes.plot(_MOST, y, ">", color=colour, markersize=3, zorder=4)
                if draws == ("posterior" if after_data else "prior"):
                    shares = ", ".join(f"{100 * row[answer]:.0f}" for answer in ("fewer", "none", "more"))
                    how: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": SMALL}
                    axes.text(1.0, place, shares, va="center", ha="right", **how)
        rival_rows = of[(of["structure"] != structure) & (of["when"] == ("posterior" if after_data else "prior"))]
        medians = rival_rows[~rival_rows["idle"].astype(bool)]["median"].clip(upper=_MOST)
        axes.plot(medians, [place + (0.19 if after_data else 0.0)] * len(medians), "|", color=_OTHERS, markersize=4.5,
                  markeredgewidth=0.6, zorder=5)  # fmt: skip
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(labelsize=SMALL, left=False)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
