"""Alternatives for the same money: settings of the levers under a budget, re-scored on fresh futures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.commands.policy.strategies import sample
from cipark_sd.console import Bars
from cipark_sd.errors import MissingPackage
from cipark_sd.experiments import design as search
from cipark_sd.experiments.budget import base_cost
from cipark_sd.experiments.definition import Catalogue, Design
from cipark_sd.headline import Headline, output
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import grouped, listed, with_unit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DesignFindings:
    """The front of the levers, and what could be spent."""

    front: search.Front
    budget: float


def _settings(catalogue: Catalogue) -> Design:
    assert catalogue.design is not None, "the part is run only where the catalogue has them"
    return catalogue.design


def _picks(result: DesignFindings, about: About) -> Table:
    """The base and the ends of the front."""
    front, settings = result.front, _settings(about.catalogue)
    sign = 1 if about.catalogue.outcome_by_id[settings.outcome].better == "more" else -1
    picks = {
        "best mean": int(np.argmax(sign * front.searched.mean)),
        "best tail": int(np.argmax(sign * front.searched.tail)),
        "least regret": int(np.argmin(front.searched.regret)),
        "cheapest": int(np.argmin(front.searched.cost)),
    }
    units = about.catalogue.time_units
    base = [lever.shown(lever.base, units) for lever in front.levers]
    rows = [("base", *base, *_scored(front.base_searched, front.base_fresh, 0))]
    rows += [
        (
            name,
            *(lever.shown(float(v), units) for lever, v in zip(front.levers, front.settings[i], strict=True)),
            *_scored(front.searched, front.fresh, i),
        )
        for name, i in picks.items()
    ]
    head = ("setting", *(lever.title for lever in front.levers))
    goals = ("mean", "mean, fresh", "tail", "tail, fresh", "regret", "regret, fresh", "cost")
    caption = (
        f"{about.titled(settings.outcome)} {about.catalogue.when(settings.at)}, at most {result.budget:.6g} "
        f"{about.catalogue.money} to spend: {len(front.settings)} settings on the front ({about.of_draws})"
    )
    return Table((*head, *goals), tuple(rows), caption)


def _in_words(result: DesignFindings, about: About) -> list[str]:
    front, settings = result.front, _settings(about.catalogue)
    unit = about.units[settings.outcome]
    searched, fresh = (
        with_unit(grouped(gain), unit) for gain in front.gain(about.catalogue.outcome_by_id[settings.outcome].better)
    )
    sentences = [
        f"The setting of the best mean is {searched} better than the base in the futures of the search, and {fresh} "
        "better in fresh ones, which it was not chosen for: only the second number is a promise.",
        f"Tail: mean of the worst {settings.tail:.0%} of the futures. Regret: what nine futures in ten stay under. "
        "Fresh: in futures that the search has not seen.",
    ]
    half = [name for name, count in front.at_ends().items() if count > len(front.settings) / 2]
    titles = {lever.id: lever.title for lever in front.levers}
    if half:
        verb, its = ("stands", "its range") if len(half) == 1 else ("stand", "their ranges")
        sentences.append(
            f"{listed(titles[name] for name in half)} {verb} at an end of {its} in most settings: nothing in the model "
            f"holds {'it' if len(half) == 1 else 'them'} back."
        )
    return sentences


def _scored(searched: search.Scores, fresh: search.Scores, i: int) -> list[str]:
    cells = []
    for name in ("mean", "tail", "regret"):
        cells += [grouped(float(getattr(searched, name)[i])), grouped(float(getattr(fresh, name)[i]))]
    return [*cells, grouped(float(searched.cost[i]))]


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
        budget = base_cost(catalogue.levers) if settings.budget is None else settings.budget

        def over(seed: int, n: int) -> search.Evaluator:
            return search.Evaluator(
                analysis.setup,
                catalogue.levers,
                sample(analysis, n, seed),
                catalogue.outcome_by_id[settings.outcome],
                settings.at,
            )

        front = search.search(
            over(settings.seed, settings.draws),
            over(settings.seed + 1, 4 * settings.draws),
            budget=budget,
            share=settings.tail,
            population=settings.population,
            generations=settings.generations,
            rng=np.random.default_rng(settings.seed),
            on_generation=bars.counter("search"),
        )
        return DesignFindings(front, float(budget))

    def tables_of(self, result: DesignFindings, about: About) -> "dict[str, pd.DataFrame]":
        """Every setting of the front with its scores."""
        import pandas as pd

        front = result.front
        frame = pd.DataFrame(front.settings, columns=[lever.id for lever in front.levers])
        for name in search.GOALS:
            frame[name] = getattr(front.searched, name)
            frame[f"{name} fresh"] = getattr(front.fresh, name)
        return {"design": frame}

    def drawings_of(self, result: DesignFindings, about: About) -> Iterator[Drawing]:
        """The front."""
        from cipark_sd.plotting.choices import plot_front

        settings = _settings(about.catalogue)
        below = f"{settings.draws} futures in the search, {4 * settings.draws} fresh ones; {about.basis}"
        units, money = about.units[settings.outcome], about.catalogue.money
        drawn = partial(plot_front, units=units, money=money, caption=below, time_units=about.catalogue.time_units)
        yield Drawing("design", drawn, (result.front, about.catalogue.outcome_by_id[settings.outcome], settings.at))

    def headlines_of(self, result: DesignFindings, about: About) -> Iterator[Headline]:
        """What the setting of the best mean gains on fresh futures."""
        settings = _settings(about.catalogue)
        _, fresh = result.front.gain(about.catalogue.outcome_by_id[settings.outcome].better)
        estimand = output(about.quantities[settings.outcome], settings.at)
        yield from about.record(
            f"gain of the best setting found over the base in {estimand}",
            fresh,
            unit=about.units[settings.outcome],
            kind="mean",
            of="futures",
            conditions=(
                f"at most {result.budget:.6g} {about.catalogue.money}".rstrip(),
                f"{4 * settings.draws} fresh futures",
            ),
        )

    def sections_of(self, result: DesignFindings, about: About, pictures: Pictures) -> Iterator[Section]:
        """What was found, in words, and the ends of the front."""
        caption = "Settings on the front: how they do, and where each lever lies in its range."
        sentences = map(Paragraph, _in_words(result, about))
        blocks: tuple[Block, ...] = (*sentences, _picks(result, about), *pictures.show("design", caption))
        yield Section("Alternatives for the same money", blocks)


PART = DesignPart()
