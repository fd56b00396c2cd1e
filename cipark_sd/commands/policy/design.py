"""Alternatives for the same money: settings of the levers under a budget, re-scored on fresh futures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.console import Bars
from cipark_sd.errors import MissingPackage
from cipark_sd.experiments import design as search
from cipark_sd.experiments.definition import Catalogue, Design
from cipark_sd.headline import Headline, output
from cipark_sd.pages.blocks import Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures
from cipark_sd.wording import grouped, listed, with_unit

if TYPE_CHECKING:
    import pandas as pd

#: How close to an end of its range a lever counts as being there, as a share of the range.
AT_END = 0.02


@dataclass(frozen=True)
class DesignFindings:
    """The table of :func:`cipark_sd.experiments.design.search`, and what could be spent."""

    front: "pd.DataFrame"
    budget: float


def _settings(catalogue: Catalogue) -> Design:
    assert catalogue.design is not None, "the part is run only where the catalogue has them"
    return catalogue.design


def _sign(about: About) -> int:
    return 1 if about.catalogue.outcome_by_id[_settings(about.catalogue).outcome].better == "more" else -1


def gains(front: "pd.DataFrame", sign: int) -> tuple[float, float]:
    """By how much the setting of the best mean is above the base's mean: in the search, and on fresh futures."""
    best = 1 + int(np.argmax(sign * front["mean"][1:].to_numpy()))
    searched, fresh = (sign * float(front[name][best] - front[name][0]) for name in ("mean", "mean fresh"))
    return searched, fresh


def _picks(result: DesignFindings, about: About) -> Table:
    """The base and the ends of the front."""
    front, settings, sign = result.front, _settings(about.catalogue), _sign(about)
    kinds = {"best mean": -sign * front["mean"], "best tail": -sign * front["tail"]}
    kinds["cheapest"] = front["cost"]
    picks = {"base": 0} | {name: 1 + int(np.argmin(column[1:].to_numpy())) for name, column in kinds.items()}
    goals = ("mean", "mean fresh", "tail", "tail fresh", "cost")
    rows = []
    for name, i in picks.items():
        row = front.iloc[i]
        levers = [(of.title, of.shown(float(row[of.id]), about.catalogue.time_units)) for of in about.catalogue.levers]
        scores = [(goal.replace(" fresh", ", fresh"), grouped(float(row[goal]))) for goal in goals]
        rows.append([("setting", name), *levers, *scores])
    caption = (
        f"{about.titled(settings.outcome)} {about.catalogue.when(settings.at)}, at most {result.budget:.6g} "
        f"{about.catalogue.money} to spend: {len(front) - 1} settings on the front ({about.of_draws})"
    )
    return Table.of(rows, caption)


def _in_words(result: DesignFindings, about: About) -> Iterator[str]:
    settings, levers = _settings(about.catalogue), about.catalogue.levers
    unit = about.units[settings.outcome]
    searched, fresh = (with_unit(grouped(gain), unit) for gain in gains(result.front, _sign(about)))
    yield (
        f"The setting of the best mean is {searched} better than the base in the futures of the search, and {fresh} "
        "better in fresh ones, which it was not chosen for: only the second number is a promise."
    )
    yield (
        f"Tail: mean of the worst {settings.tail:.0%} of the futures. Fresh: in futures that the search has not seen."
    )
    places = {lever.title: (result.front[lever.id][1:] - lever.low) / (lever.high - lever.low) for lever in levers}
    half = [title for title, of in places.items() if ((of < AT_END) | (of > 1 - AT_END)).mean() > 0.5]
    if half:
        verb, ranges, back = ("stands", "its range", "it") if len(half) == 1 else ("stand", "their ranges", "them")
        yield (f"{listed(half)} {verb} at an end of {ranges} in most settings: nothing in the model holds {back} back.")


class DesignPart(PolicyPart[DesignFindings]):
    """Settings of the levers under a budget."""

    name: ClassVar[str] = "design"
    kind: ClassVar[type[DesignFindings]] = DesignFindings
    needs = ("design", "[design]", "a table with outcome and at")

    def lacks_package(self, catalogue: Catalogue) -> MissingPackage | None:
        """The library of the search."""
        return search.missing()

    def compute(self, analysis: Analysis, bars: Bars) -> DesignFindings:
        """Search the levers."""
        catalogue, settings = analysis.catalogue, _settings(analysis.catalogue)
        levers, outcome = catalogue.levers, catalogue.outcome_by_id[settings.outcome]
        base = sum(lever.price(lever.base) for lever in levers)
        budget = base if settings.budget is None else settings.budget
        searched, fresh = (
            search.Evaluator(analysis.setup, levers, analysis.futures(n, settings.seed + i), outcome, settings.at)
            for i, n in enumerate((settings.draws, 4 * settings.draws))
        )
        front = search.search(
            searched,
            fresh,
            budget=budget,
            share=settings.tail,
            population=settings.population,
            generations=settings.generations,
            rng=np.random.default_rng(settings.seed),
            on_generation=bars.counter("search"),
        )
        return DesignFindings(front, float(budget))

    def tables_of(self, result: DesignFindings, about: About) -> "dict[str, pd.DataFrame]":
        """The base, and every setting of the front, with their scores."""
        return {"design": result.front}

    def headlines_of(self, result: DesignFindings, about: About) -> Iterator[Headline]:
        """What the setting of the best mean gains on fresh futures."""
        settings = _settings(about.catalogue)
        estimand = output(about.quantities[settings.outcome], settings.at)
        money = f"at most {result.budget:.6g} {about.catalogue.money}".rstrip()
        yield from about.record(
            f"gain of the best setting found over the base in {estimand}",
            gains(result.front, _sign(about))[1],
            unit=about.units[settings.outcome],
            kind="mean",
            of="futures",
            conditions=(money, f"{4 * settings.draws} fresh futures"),
        )

    def sections_of(self, result: DesignFindings, about: About, pictures: Pictures) -> Iterator[Section]:
        """What was found, in words, and the ends of the front."""
        sentences = map(Paragraph, _in_words(result, about))
        yield Section("Alternatives for the same money", (*sentences, _picks(result, about)))


PART = DesignPart()
