"""Robust strategies: measures side by side, how stable they are, and where strategies fail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.commands.policy.strategies import (
    NEEDS,
    StrategyOutcomes,
    caption,
    demanded,
    heading,
    over_futures,
    settings_of,
    try_strategies,
)
from cipark_sd.console import Bars
from cipark_sd.errors import MissingPackage
from cipark_sd.experiments.budget import lever_cost, lever_value, policy_cost
from cipark_sd.experiments.definition import Catalogue
from cipark_sd.experiments.discovery import Box, discover, missing, plain_words
from cipark_sd.experiments.robustness import MEASURES, SHARES, measures, stability, winners, winners_by_group
from cipark_sd.headline import Headline, output
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Picture, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.records import columns
from cipark_sd.wording import grouped

if TYPE_CHECKING:
    import pandas as pd

#: Resamples of the futures over which a winner stays one.
_RESAMPLES = 200


@dataclass(frozen=True)
class Winner:
    """The best strategy by a measure, and how stable that is.

    Parameters
    ----------
    strategy : int
        Its position.
    wins : float
        Share of resamples of the futures in which it is the best.
    low, high : float
        Its ranks in nine resamples of ten.
    others : tuple of str
        The rivals under which another one is.
    """

    measure: str
    strategy: int
    wins: float
    low: float
    high: float
    dissenting: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """Where a strategy misses a demand: ``fails`` says in which futures, ``inputs`` has what the box restricts."""

    strategy: int
    box: Box | None
    inputs: Mapping[str, NDArray[Any]]
    fails: NDArray[np.bool_]


@dataclass(frozen=True)
class RobustnessFindings:
    """How well strategies do whatever is true.

    Parameters
    ----------
    titles : tuple of str
        Of the strategies.
    costs : tuple of tuple of float
        Of each strategy: what each priced lever costs, what else, and all; empty where nothing has a price.
    measures : DataFrame
        A row for each strategy, its id and all measures.
    futures, groups : int
        How many, and how many structures are true in some of them.
    """

    titles: tuple[str, ...]
    costs: tuple[tuple[float, ...], ...]
    measures: "pd.DataFrame"
    winners: tuple[Winner, ...]
    failures: tuple[Failure, ...]
    futures: int
    groups: int
    doubts: tuple[str, ...]


def _costs(about: About, ran: StrategyOutcomes) -> tuple[tuple[float, ...], ...]:
    levers = [lever for lever in about.catalogue.levers if lever.cost]
    if not levers and not any(policy.cost for policy in ran.strategies):
        return ()
    return tuple(
        (
            *(lever_cost(lever, lever_value(lever, policy.scenario)) for lever in levers),
            policy.cost,
            policy_cost(policy, about.catalogue.levers),
        )
        for policy in ran.strategies
    )


def _winners(ran: StrategyOutcomes, best: dict[str, int]) -> tuple[Winner, ...]:
    rng = np.random.default_rng(ran.settings.seed)
    groups = [ran.futures.rivals[position].id for position in ran.futures.rival]
    by_rival = winners_by_group(ran.values, ran.met, groups, ran.better)
    made = []
    for name, i in best.items():
        sure = stability(ran.values, ran.met, name, rng, better=ran.better, resamples=_RESAMPLES)
        dissenting = tuple(rival for rival, positions in by_rival.items() if positions[name] != i)
        made.append(Winner(name, i, float(sure.wins[i]), float(sure.low[i]), float(sure.high[i]), dissenting))
    return tuple(made)


def _failures(ran: StrategyOutcomes, best: dict[str, int]) -> tuple[Failure, ...]:
    """Of the best by its demands and of the first strategy."""
    if not ran.settings.criteria:
        return ()
    inputs, made = ran.futures.inputs, []
    for i in dict.fromkeys((best["satisfied"], 0)):
        fails = ~ran.satisfied[i]
        box = discover(inputs, fails, np.random.default_rng(ran.settings.seed))
        names = [] if box is None else [restriction.name for restriction in box.restrictions]
        made.append(Failure(i, box, columns(inputs[names]), fails))
    return tuple(made)


def _stem(result: RobustnessFindings, failure: Failure) -> str:
    return f"failures_{str(result.measures['strategy'][failure.strategy]).replace(' ', '_')}"


def _box_frame(box: Box | None) -> "pd.DataFrame":
    import pandas as pd

    rows = [] if box is None else [
        {"input": r.name, "low": r.low, "high": r.high, "among": " ".join(r.among), "quasi_p": r.quasi_p,
         "reproduced": r.reproduced, "coverage": box.coverage, "density": box.density, "mass": box.mass,
         "failing": box.failing}
        for r in box.restrictions
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _equal(result: RobustnessFindings, about: About) -> str:
    unit, balance = about.catalogue.money, settings_of(about.catalogue).balance
    totals = [costs[-1] for costs in result.costs]
    titles = {lever.id: lever.title for lever in about.catalogue.levers}
    if np.ptp(totals) < 1e-6 * max(map(abs, totals)):
        if not balance:
            return f"All strategies cost the same, {totals[0]:.0f} {unit}."
        return (
            f"All strategies cost the same, {totals[0]:.0f} {unit}: what one saves goes into "
            f"'{titles[balance]}', so that none is better by its money alone."
        )
    return f"Strategies cost {min(totals):.0f} to {max(totals):.0f} {unit}: what parts them can be their money."


def _cost_table(result: RobustnessFindings, about: About) -> Table:
    """What each strategy costs, by lever."""
    levers = [lever.title for lever in about.catalogue.levers if lever.cost]
    beside = any(costs[-2] for costs in result.costs)
    rows = []
    for title, costs in zip(result.titles, result.costs, strict=True):
        cells = list(zip((*levers, "beside", "all"), (f"{cost:.1f}" for cost in costs), strict=True))
        rows.append([("strategy", title), *(cells if beside else (*cells[:-2], cells[-1]))])
    unit = f" [{about.catalogue.money}]" if about.catalogue.money else ""
    return Table.of(rows, f"What each strategy costs{unit}")


def _measure_table(result: RobustnessFindings, about: About) -> Table:
    best = {winner.measure: winner.strategy for winner in result.winners}
    columns = {str(name): result.measures[name].to_numpy() for name in result.measures.columns[1:]}
    rows = tuple(
        (title, *(f"{_cell(name, column[i])}{' *' if best[name] == i else '  '}" for name, column in columns.items()))
        for i, title in enumerate(result.titles)
    )
    head = ("strategy", *(name.replace("_", " ") for name in columns))
    over = f"over {result.futures} futures ({about.of_draws}; * the best by that measure)"
    return Table(head, rows, f"{heading(about)} {over}")


def _cell(name: str, value: float) -> str:
    return f"{value:.0%}" if name in SHARES else grouped(float(value))


def _winner(result: RobustnessFindings) -> str:
    """In words: which strategies are best by some measure, and by which."""
    by: dict[int, list[str]] = {}
    for winner in result.winners:
        by.setdefault(winner.strategy, []).append(winner.measure.replace("_", " "))
    if len(by) == 1:
        return f"'{result.titles[next(iter(by))]}' is the best by every measure."
    parts = [f"'{result.titles[i]}' by {', '.join(names)}" for i, names in by.items()]
    return "Measures name different winners: " + "; ".join(parts) + "."


def _stability_table(result: RobustnessFindings, about: About) -> Table:
    """Whether the winner of a measure stays so: over resamples of the futures, and under each rival."""
    n, order = result.groups, [rival.id for rival in about.rivals]
    rows = []
    for winner in result.winners:
        row = [("by", winner.measure.replace("_", " ")), ("the best", result.titles[winner.strategy])]
        row += [("in resamples", f"{winner.wins:.2f}"), ("rank, 90 %", f"{winner.low:.0f} to {winner.high:.0f}")]
        dissenting = ", ".join(sorted(winner.dissenting, key=order.index))
        agreeing = f"{n - len(winner.dissenting)}/{n}"
        rows.append([*row, ("structures", agreeing), ("another one under", dissenting)] if n > 1 else row)
    return Table.of(rows, f"How stable that is ({about.of_draws})")


def _failure_blocks(result: RobustnessFindings, about: About, pictures: Pictures) -> list[Block]:
    if not result.failures:
        return []
    names = {**about.inputs, "rival": "the structure"}
    lines: list[str] = []
    boxes: list[Picture] = []
    for failure in result.failures:
        title = result.titles[failure.strategy]
        lines += plain_words(failure.box, f"'{title}'", {"failing": float(failure.fails.mean())}, names)
        if failure.box is not None:
            caption_of = f"Futures in which '{title}' does not meet the demands."
            boxes += pictures.show(_stem(result, failure), caption_of)
    demands = demanded(about.catalogue)
    return [Paragraph(f"A strategy fails where it misses a demand: {demands}."), Listing(tuple(lines)), *boxes]


class RobustnessPart(PolicyPart[RobustnessFindings]):
    """Strategies by several measures, and where they fail."""

    name: ClassVar[str] = "robustness"
    kind: ClassVar[type[RobustnessFindings]] = RobustnessFindings
    needs = NEEDS

    def lacks_package(self, catalogue: Catalogue) -> MissingPackage | None:
        """The library of scenario discovery, where there are demands that strategies may fail."""
        return missing() if settings_of(catalogue).criteria else None

    def compute(self, analysis: Analysis, bars: Bars) -> RobustnessFindings:
        """Run the strategies in the futures; measure, resample, and look for boxes of failures."""
        import pandas as pd

        ran = try_strategies(analysis, bars)
        by_measure = measures(ran.values, ran.met, ran.better)
        best = winners(by_measure, ran.better)
        return RobustnessFindings(
            titles=tuple(policy.title for policy in ran.strategies),
            costs=_costs(analysis.about, ran),
            measures=pd.DataFrame({"strategy": [policy.id for policy in ran.strategies], **by_measure}),
            winners=_winners(ran, best),
            failures=_failures(ran, best),
            futures=ran.values.shape[1],
            groups=len(np.unique(ran.futures.rival)),
            doubts=ran.doubts,
        )

    def tables_of(self, result: RobustnessFindings, about: About) -> "dict[str, pd.DataFrame]":
        """Every measure of every strategy, and each box of failures."""
        boxes = {_stem(result, failure): _box_frame(failure.box) for failure in result.failures}
        return {"robustness": result.measures, **boxes}

    def drawings_of(self, result: RobustnessFindings, about: About) -> Iterator[Drawing]:
        """Each box of failures."""
        import pandas as pd

        from cipark_sd.plotting.choices import plot_box

        below = caption(about, result.futures)
        for failure in result.failures:
            if failure.box is not None:
                title = result.titles[failure.strategy]
                box = partial(plot_box, title=title, caption=below, names={**about.inputs, "rival": "structure"})
                yield Drawing(_stem(result, failure), box, (pd.DataFrame(failure.inputs), failure.fails, failure.box))

    def headlines_of(self, result: RobustnessFindings, about: About) -> Iterator[Headline]:
        """The mean outcome of each strategy over the futures."""
        settings = settings_of(about.catalogue)
        for title, mean in zip(result.titles, result.measures["mean"], strict=True):
            yield from about.record(
                f"{output(about.quantities[settings.outcome], settings.at)}, with the strategy '{title}'",
                float(mean),
                unit=about.units[settings.outcome],
                kind="mean",
                of="futures",
                conditions=(over_futures(about, result.futures),),
            )

    def sections_of(self, result: RobustnessFindings, about: About, pictures: Pictures) -> Iterator[Section]:
        """Costs, measures, winners and their stability; where strategies fail."""
        meanings = [f"{name.replace('_', ' ')}: {MEASURES[name][0]}" for name in map(str, result.measures.columns[1:])]
        meanings += [f"demands: {demands}"] if (demands := demanded(about.catalogue)) else []
        costs: list[Block] = [Paragraph(_equal(result, about)), _cost_table(result, about)] if result.costs else []
        blocks: list[Block] = [
            *map(Paragraph, result.doubts),
            *costs,
            Paragraph(_winner(result)),
            _measure_table(result, about),
            Listing(tuple(meanings)),
            _stability_table(result, about),
        ]
        yield Section("Robust strategies", tuple(blocks))
        yield Section("Scenario discovery: where the strategy fails", tuple(_failure_blocks(result, about, pictures)))


PART = RobustnessPart()
