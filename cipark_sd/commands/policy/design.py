"""What ``cipark policy`` shows of the search for a policy: settings of the levers under a budget."""

import click
import numpy as np

from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.robustness import sample
from cipark_sd.commands.policy.setting import Setting
from cipark_sd.commands.policy.words import show
from cipark_sd.console import number, progress_bars
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments import design as search
from cipark_sd.experiments.budget import base_cost
from cipark_sd.experiments.definition import Better, Design
from cipark_sd.pages.blocks import Paragraph, Picture, Section, Table
from cipark_sd.plotting.files import save_for_print


def show_design(setting: Setting) -> list[Section]:
    """The front of the levers under the budget, re-scored on fresh futures.

    Raises
    ------
    InvalidValue
        When the catalogue has no table ``[design]``.
    """
    from cipark_sd.plotting.choices import plot_front

    wanted = setting.catalogue.design
    if wanted is None:
        raise InvalidValue("[design]", None, "a table with outcome and at", where="the catalogue")
    budget = base_cost(setting.catalogue.levers) if wanted.budget is None else wanted.budget
    front = _searched(setting, wanted, budget)
    _write(setting, front)
    table = _picks(setting, wanted, budget, front)
    show(table)
    said = _in_words(wanted, front, setting.catalogue.outcome_by_id[wanted.outcome].better)
    for line in said:
        click.echo(f"  {line}")
    outcome = setting.catalogue.outcome_by_id[wanted.outcome]
    units = setting.units(wanted.outcome)
    rests = f"{wanted.draws} futures in the search, {4 * wanted.draws} fresh ones; {setting.basis}"
    money = setting.catalogue.money
    figure = plot_front(front, outcome, wanted.at, units=units, money=money, caption=rests)
    save_for_print(figure, setting.folder, "design")
    shown = Picture("design.png", "Settings on the front: how they do, and where each lever stands in its range.")
    return titled("design", [*map(Paragraph, said), table, shown])


def _searched(setting: Setting, wanted: Design, budget: float) -> search.Front:
    catalogue = setting.catalogue

    def over(seed: int, n: int) -> search.Evaluator:
        return search.Evaluator(
            setting.study.model,
            catalogue.levers,
            sample(setting, n, seed),
            catalogue.outcome_by_id[wanted.outcome],
            wanted.at,
            setting.scenario,
            setting.settings.engine,
        )

    with progress_bars() as bars:
        return search.search(
            over(wanted.seed, wanted.draws),
            over(wanted.seed + 1, 4 * wanted.draws),
            budget=budget,
            share=wanted.tail,
            population=wanted.population,
            generations=wanted.generations,
            rng=np.random.default_rng(wanted.seed),
            on_generation=bars.counter("search"),
        )


def _write(setting: Setting, front: search.Front) -> None:
    import pandas as pd

    frame = pd.DataFrame(front.settings, columns=[lever.id for lever in front.levers])
    for name in search.GOALS:
        frame[name] = getattr(front.searched, name)
        frame[f"{name} fresh"] = getattr(front.fresh, name)
    setting.write_csv(frame, "design.csv")


def _picks(setting: Setting, wanted: Design, budget: float, front: search.Front) -> Table:
    """The base and the ends of the front."""
    outcome = setting.catalogue.outcome_by_id[wanted.outcome]
    sign = 1 if outcome.better == "more" else -1
    picks = {
        "best mean": int(np.argmax(sign * front.searched.mean)),
        "best tail": int(np.argmax(sign * front.searched.tail)),
        "least regret": int(np.argmin(front.searched.regret)),
        "cheapest": int(np.argmin(front.searched.cost)),
    }
    base = [f"{lever.base:.6g}" for lever in front.levers]
    rows = [("base", *base, *_scored(front.base_searched, front.base_fresh, 0))]
    rows += [
        (
            name,
            *(f"{v:.4g}" if abs(v) < 1000 else f"{v:.1f}" for v in front.settings[i]),
            *_scored(front.searched, front.fresh, i),
        )
        for name, i in picks.items()
    ]
    levers = [lever.title for lever in front.levers]
    goals = ("mean", "fresh", "tail", "fresh", "regret", "fresh", "cost")
    units, money = setting.units(outcome.id), setting.catalogue.money
    caption = (
        f"{outcome.title}{f' [{units}]' if units else ''} at {wanted.at:g}, at most {budget:.6g} {money} to spend: "
        f"{len(front.settings)} settings on the front ({setting.of_draws})"
    )
    return Table(("setting", *levers, *goals), tuple(rows), caption)


def _in_words(wanted: Design, front: search.Front, better: Better) -> list[str]:
    seen, fresh = front.gain(better)
    said = [
        f"tail: mean of the worst {wanted.tail:.0%} of the futures; regret: its 90 % quantile",
        f"the setting of the best mean is {number(seen)} better than the base in the search, {number(fresh)} better on "
        "fresh futures: only the second number is a promise",
    ]
    half = [name for name, count in front.at_ends().items() if count > len(front.settings) / 2]
    titles = {lever.id: lever.title for lever in front.levers}
    if half:
        ends = ", ".join(titles[name] for name in half)
        said.append(f"at an end of its range in most settings, so that nothing in the model holds it back: {ends}")
    return said


def _scored(searched: search.Scores, fresh: search.Scores, i: int) -> list[str]:
    cells = []
    for name in ("mean", "tail", "regret"):
        cells += [number(float(getattr(searched, name)[i])), number(float(getattr(fresh, name)[i]))]
    return [*cells, number(float(searched.cost[i]))]
