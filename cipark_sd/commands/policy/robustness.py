"""Robust strategies: measures side by side, how stable they are, and where strategies fail."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.decisions_shown import records
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.console import Bars
from cipark_sd.errors import MissingPackage
from cipark_sd.experiments.definition import Catalogue, Lever, Policy, Robustness
from cipark_sd.experiments.discovery import LIKELY, discover, missing
from cipark_sd.experiments.futures import run_futures
from cipark_sd.experiments.robustness import MEASURES, SHARES, measures, stability
from cipark_sd.experiments.run import time_position
from cipark_sd.failures import Failures, labels
from cipark_sd.headline import Headline, output
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures
from cipark_sd.scenarios import override_key
from cipark_sd.wording import grouped, listed, number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RobustnessFindings:
    """How well strategies do whatever is true.

    Parameters
    ----------
    measures : DataFrame
        A row for each strategy: its id, its title, what it costs, and all measures.
    stability : DataFrame
        Of :func:`cipark_sd.experiments.robustness.stability`.
    boxes : DataFrame
        Where strategies miss a demand: ``strategy``, ``failing`` (the share of all futures), and the sides of a box
        with the columns of :func:`cipark_sd.experiments.discovery.discover`.
    futures : int
        How many.
    """

    measures: "pd.DataFrame"
    stability: "pd.DataFrame"
    boxes: "pd.DataFrame"
    futures: int
    doubts: tuple[str, ...]


def settings_of(catalogue: Catalogue) -> Robustness:
    """What strategies are compared by."""
    assert catalogue.robustness is not None, "the part is run only where the catalogue has them"
    return catalogue.robustness


def _cost(policy: Policy, levers: tuple[Lever, ...]) -> float:
    """What a policy costs: its levers, which stay at their base where it leaves them alone, and what it says beside."""
    total = policy.cost
    for lever in levers:
        values = (policy.scenario.overrides.get(override_key(name)) for name in lever.names)
        total += lever.price(next((value for value in values if isinstance(value, float)), lever.base))
    return total


def _over(about: About, n: int) -> str:
    """What ``n`` futures are sampled over."""
    return f"{n} futures" + (f" over {len(about.rivals)} structures, each as often" if about.several else "")


def _measure_table(result: RobustnessFindings, about: About) -> Table:
    best = dict(zip(result.stability["measure"], result.stability["best"], strict=True))
    settings, rows = settings_of(about.catalogue), []
    for i, row in enumerate(records(result.measures)):
        cells = [("strategy", row["title"])]
        if result.measures["cost"].any():
            cells.append((f"cost [{about.catalogue.money}]".replace(" []", ""), f"{row['cost']:.1f}"))
        for name in best:
            text = f"{row[name]:.0%}" if name in SHARES else grouped(float(row[name]))
            cells.append((str(name).replace("_", " "), f"{text}{' *' if best[name] == i else '  '}"))
        rows.append(cells)
    title, when = about.titled(settings.outcome), about.catalogue.when(settings.at)
    over = f"over {result.futures} futures ({about.of_draws}; * the best by that measure)"
    return Table.of(rows, f"{title} {when} {over}")


def _winner(result: RobustnessFindings) -> str:
    """In words: which strategies are best by some measure, and by which."""
    titles, by = result.measures["title"], result.stability.groupby("best", sort=False)["measure"]
    if len(by) == 1:
        return f"'{titles[result.stability['best'][0]]}' is the best by every measure."
    parts = [f"'{titles[i]}' by {', '.join(names).replace('_', ' ')}" for i, names in by]
    return "Measures name different winners: " + "; ".join(parts) + "."


def _stability_table(result: RobustnessFindings, about: About) -> Table:
    """Whether the winner of a measure stays so: over resamples of the futures, and under each rival."""
    rows = []
    for row in records(result.stability):
        best = str(result.measures["title"][row["best"]])
        cells = [("by", row["measure"].replace("_", " ")), ("the best", best)]
        cells.append(("in resamples", f"{row['resamples']:.2f}"))
        rows.append([*cells, ("another one under", str(row["another"]))] if about.several else cells)
    return Table.of(rows, f"How stable that is ({about.of_draws})")


def _side(row: dict[str, Any], names: dict[str, str]) -> str:
    """One side of a box in words."""
    low, high, name = row["low"], row["high"], names.get(row["input"], row["input"])
    low_text, high_text = (f"{end:,.0f}" if abs(end) >= 1000 else f"{end:.3g}" for end in (low, high))
    if row["among"]:
        *first, last = row["among"].split(", ")
        return f"{name} is {', '.join(first)}{' or ' if first else ''}{last}"
    if np.isnan(low):
        return f"{name} is under {high_text}"
    return f"{name} is over {low_text}" if np.isnan(high) else f"{name} is between {low_text} and {high_text}"


def failures_in_words(result: RobustnessFindings, about: About) -> Iterator[str]:
    """Where each strategy that was looked at misses a demand."""
    titles = dict(zip(result.measures["strategy"], result.measures["title"], strict=True))
    names = {**about.inputs, "rival": "the structure"}
    for strategy, box in result.boxes.groupby("strategy", sort=False):
        rows = list(records(box.dropna(subset="input")))
        title, failing = f"'{titles[strategy]}' fails", f"{box['failing'].iloc[0]:.0%}"
        if not rows:
            yield f"{title} in {failing} of the futures; no range of the inputs sets these apart."
            continue
        where = " and ".join(_side(row, names) for row in rows)
        yield (
            f"{title} where {where}: {rows[0]['density']:.0%} of such futures fail (of all futures {failing}), and "
            f"{rows[0]['coverage']:.0%} of all failures lie there."
        )
        if weak := [names.get(row["input"], row["input"]) for row in rows if not row["quasi_p"] <= LIKELY]:
            yield f"May be there by chance (quasi-p over {LIKELY:g}): {', '.join(weak)}."


def demanded(catalogue: Catalogue) -> str:
    """All demands on a strategy; empty for none."""
    demands = (
        f"{catalogue.outcome_by_id[criterion.outcome].title} {catalogue.when(criterion.at)} {criterion.how} than "
        f"{number(criterion.value)}"
        for criterion in settings_of(catalogue).criteria
    )
    return listed(demands, none="")


class RobustnessPart(PolicyPart[RobustnessFindings]):
    """Strategies by several measures, and where they fail."""

    name: ClassVar[str] = "robustness"
    kind: ClassVar[type[RobustnessFindings]] = RobustnessFindings
    needs = ("robustness", "[robustness]", "a table with outcome, at and strategies")

    def lacks_package(self, catalogue: Catalogue) -> MissingPackage | None:
        """The library of scenario discovery, where there are demands that strategies may fail."""
        return missing() if settings_of(catalogue).criteria else None

    def compute(self, analysis: Analysis, bars: Bars) -> RobustnessFindings:
        """Run the strategies in the futures; measure, resample, and look for boxes of failures."""
        import pandas as pd

        catalogue, settings = analysis.catalogue, settings_of(analysis.catalogue)
        strategies, futures = catalogue.chosen(settings.strategies), analysis.futures(settings.futures, settings.seed)
        failures, rng = Failures(labels(analysis.model)), np.random.default_rng(settings.seed)
        runs_of = (strategies, futures, catalogue.outcomes, catalogue.times)
        runs = run_futures(analysis.setup, *runs_of, failures, bars.counter("strategies"))
        failures.check(f"{analysis.model.name}, strategies", failures.total, analysis.allowed)
        ids, times = [outcome.id for outcome in catalogue.outcomes], catalogue.times

        def values_of(outcome: str, at: float) -> Array:
            return np.asarray(runs[ids.index(outcome), :, :, time_position(at, times)])

        values = values_of(settings.outcome, settings.at)
        fine: npt.NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=0))
        satisfied = np.ones_like(values, dtype=bool)
        for criterion in settings.criteria:
            levels = values_of(criterion.outcome, criterion.at)
            satisfied &= levels > criterion.value if criterion.how == "more" else levels < criterion.value
        values, satisfied = values[:, fine], satisfied[:, fine]
        met, better = satisfied if settings.criteria else None, catalogue.outcome_by_id[settings.outcome].better
        rivals = [futures.rivals[position].id for position in futures.rival[fine]]
        stable = stability(values, met, rivals, rng, better=better)
        facts = {
            "strategy": [policy.id for policy in strategies],
            "title": [policy.title for policy in strategies],
            "cost": [_cost(policy, catalogue.levers) for policy in strategies],
        }
        boxes, inputs = [], futures.inputs(analysis.names)[fine].reset_index(drop=True)
        # of the best by its demands and of the first strategy
        best = int(stable.set_index("measure")["best"].get("satisfied", 0))
        for i in dict.fromkeys((best, 0)) if settings.criteria else ():
            box = discover(inputs, ~satisfied[i])
            box = box if len(box) else box.reindex([0])
            boxes.append(box.assign(strategy=strategies[i].id, failing=float((~satisfied[i]).mean())))
        lost = int((~fine).sum())
        return RobustnessFindings(
            pd.DataFrame(facts | measures(values, met, better)),
            stable,
            pd.concat(boxes, ignore_index=True) if boxes else pd.DataFrame({"strategy": [], "input": []}),
            int(fine.sum()),
            (f"{lost} futures are left out, since a run in them fails.",) if lost else (),
        )

    def tables_of(self, result: RobustnessFindings, about: About) -> "dict[str, pd.DataFrame]":
        """Every measure of every strategy, how sure the winners are, and each box of failures."""
        boxes = {"failures": result.boxes} if len(result.boxes) else {}
        return {"robustness": result.measures, "stability": result.stability, **boxes}

    def headlines_of(self, result: RobustnessFindings, about: About) -> Iterator[Headline]:
        """The mean outcome of each strategy over the futures."""
        settings = settings_of(about.catalogue)
        quantity = output(about.quantities[settings.outcome], settings.at)
        for title, mean in zip(result.measures["title"], result.measures["mean"], strict=True):
            yield from about.record(
                f"{quantity}, with the strategy '{title}'",
                float(mean),
                unit=about.units[settings.outcome],
                kind="mean",
                of="futures",
                conditions=(_over(about, result.futures),),
            )

    def sections_of(self, result: RobustnessFindings, about: About, pictures: Pictures) -> Iterator[Section]:
        """Measures, winners and their stability; where strategies fail."""
        demands = demanded(about.catalogue)
        meanings = [f"{name.replace('_', ' ')}: {MEASURES[name][0]}" for name in map(str, result.stability["measure"])]
        meanings += [f"demands: {demands}"] if demands else []
        tables = (_measure_table(result, about), Listing(tuple(meanings)), _stability_table(result, about))
        yield Section("Robust strategies", (*map(Paragraph, (*result.doubts, _winner(result))), *tables))
        failures: tuple[Block, ...] = (
            Paragraph(f"A strategy fails where it misses a demand: {demands}."),
            Listing(tuple(failures_in_words(result, about))),
        )
        title = "Scenario discovery: where the strategy fails"
        yield Section(title, failures if len(result.boxes) else ())


PART = RobustnessPart()
