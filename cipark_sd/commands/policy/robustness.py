"""What ``cipark policy`` shows of strategies: measures side by side, how stable they are, and where strategies fail."""

from dataclasses import dataclass, replace

import click
import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.setting import Setting
from cipark_sd.commands.policy.words import show
from cipark_sd.console import number, progress_bars
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.budget import balanced, base_cost, lever_cost, lever_value, policy_cost
from cipark_sd.experiments.definition import Outcome, Policy, Robustness
from cipark_sd.experiments.discovery import Box, discover, plain_words
from cipark_sd.experiments.futures import Futures, run_futures, sample_futures
from cipark_sd.experiments.robustness import MEASURES, SHARES, measures, stability, winners, winners_by_group
from cipark_sd.experiments.run import time_position
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Picture, Section, Table
from cipark_sd.plotting.files import save_for_print
from cipark_sd.scenarios import override_key


@dataclass(frozen=True, eq=False)
class Tried:
    """Strategies in futures: the outcome that they are compared by, and where they meet all demands."""

    wanted: Robustness
    outcome: Outcome
    strategies: tuple[Policy, ...]
    futures: Futures
    values: Array
    satisfied: NDArray[np.bool_]

    @property
    def met(self) -> NDArray[np.bool_] | None:
        """Where all demands are met; None where nothing is demanded."""
        return self.satisfied if self.wanted.criteria else None


def try_strategies(setting: Setting) -> Tried:
    """Run the strategies of the catalogue in its futures, all at one price where it has a lever that balances them.

    Raises
    ------
    InvalidValue
        When the catalogue has no table ``[robustness]``.
    """
    catalogue, wanted = setting.catalogue, setting.catalogue.robustness
    if wanted is None:
        raise InvalidValue("[robustness]", None, "a table with outcome, at and strategies", where="the catalogue")
    strategies = priced(setting, wanted)
    futures = sample(setting, wanted.futures, wanted.seed)
    with progress_bars() as bars:
        found = run_futures(
            setting.study.model,
            strategies,
            futures,
            catalogue.outcomes,
            catalogue.times,
            scenario=setting.scenario,
            engine=setting.settings.engine,
            progress=bars.counter("strategies"),
        )
    ids = [outcome.id for outcome in catalogue.outcomes]
    values = found[ids.index(wanted.outcome), :, :, time_position(wanted.at, catalogue.times)]
    fine = np.isfinite(values).all(axis=0)
    if not fine.all():
        click.echo(f"warning: {(~fine).sum()} futures are left out, since a run in them fails", err=True)
    satisfied = np.ones_like(values, dtype=bool)
    for one in wanted.criteria:
        own = found[ids.index(one.outcome), :, :, time_position(one.at, catalogue.times)]
        satisfied &= own > one.value if one.how == "more" else own < one.value
    kept = Futures(futures.rivals, futures.rival[fine], futures.draws.take(np.flatnonzero(fine)), futures.varied)
    outcome = catalogue.outcome_by_id[wanted.outcome]
    return Tried(wanted, outcome, strategies, kept, values[:, fine], satisfied[:, fine])


def priced(setting: Setting, wanted: Robustness) -> tuple[Policy, ...]:
    """The strategies, with the lever that balances them where the catalogue names one."""
    strategies = setting.catalogue.chosen(wanted.strategies)
    if not wanted.balance:
        return strategies
    levers = setting.catalogue.levers
    return balanced(strategies, levers, wanted.balance, base_cost(levers) if wanted.budget is None else wanted.budget)


def sample(setting: Setting, n: int, seed: int) -> Futures:
    """Futures of the study, with the parameters' names as its file writes them.

    Rivals come equally often unless the catalogue wants them by weight: stacking weights are of predictions, and leave
    out structures that the data do not refute.
    """
    labels = {override_key(parameter.name): parameter.name for parameter in setting.study.parameters}
    labels |= {override_key(one.name): one.name for one in setting.catalogue.uncertainties}
    wanted = setting.catalogue.robustness
    draws = setting.draws
    if wanted is None or not wanted.weighted:
        draws = {rival: replace(own, weight=float("nan")) for rival, own in draws.items()}
    rng = np.random.default_rng(seed)
    return sample_futures(setting.rivals, draws, setting.catalogue.uncertainties, n, rng, labels=labels)


def heading(setting: Setting, tried: Tried) -> str:
    """The outcome that strategies are compared by, with its unit and time."""
    units = setting.units(tried.outcome.id)
    return f"{tried.outcome.title}{f' [{units}]' if units else ''} at {tried.wanted.at:g}"


def caption(setting: Setting, tried: Tried) -> str:
    """What a figure of futures rests on."""
    n = len(setting.rivals)
    over = "" if n == 1 else f" over {n} rivals, {'by weight' if tried.wanted.weighted else 'each as often'}"
    return f"{tried.values.shape[1]} futures{over}; {setting.basis}"


def show_robustness(setting: Setting) -> list[Section]:
    """Measures side by side, the winners, their stability, and where the winner and the first strategy fail."""
    tried = try_strategies(setting)
    blocks: list[Block] = []
    costs = _costs(setting, tried)
    if costs is not None:
        show(costs)
        click.echo()
        blocks += [Paragraph(_equal(tried, setting)), costs]
    found = measures(tried.values, tried.met, tried.outcome.better)
    table = _measures(setting, tried, found)
    show(table)
    meanings = [f"{name.replace('_', ' ')}: {MEASURES[name][0]}" for name in found]
    meanings += ["demands: " + ", ".join(map(str, tried.wanted.criteria))] if tried.wanted.criteria else []
    for line in meanings:
        click.echo(f"  {line}")
    steady = _stability(setting, tried, found)
    click.echo()
    show(steady)
    blocks += [Paragraph(_winner(tried, found)), table, Listing(tuple(meanings))]
    blocks += [Picture("robustness.png", "The darker the better within a column."), steady]
    return titled("robustness", blocks, _failures(setting, tried, found))


def _equal(tried: Tried, setting: Setting) -> str:
    unit = setting.catalogue.money
    all_costs = [policy_cost(one, setting.catalogue.levers) for one in tried.strategies]
    if np.ptp(all_costs) < 1e-6 * max(map(abs, all_costs)):
        if not tried.wanted.balance:
            return f"All strategies cost the same, {all_costs[0]:.0f} {unit}."
        return (
            f"All strategies cost the same, {all_costs[0]:.0f} {unit}: what one saves goes into the lever "
            f"'{tried.wanted.balance}', so that none is better by its money alone."
        )
    return f"Strategies cost {min(all_costs):.0f} to {max(all_costs):.0f} {unit}: what parts them can be their money."


def _costs(setting: Setting, tried: Tried) -> Table | None:
    """What each strategy costs, by lever; None where nothing has a price."""
    levers = [lever for lever in setting.catalogue.levers if lever.cost]
    if not levers and not any(one.cost for one in tried.strategies):
        return None
    beside = any(one.cost for one in tried.strategies)
    rows = []
    for one in tried.strategies:
        each = [lever_cost(lever, lever_value(lever, one.scenario)) for lever in levers]
        more = [f"{one.cost:.1f}"] if beside else []
        rows.append((one.title, *(f"{cost:.1f}" for cost in each), *more, f"{policy_cost(one, levers):.1f}"))
    unit = f" [{setting.catalogue.money}]" if setting.catalogue.money else ""
    head = ("strategy", *(lever.title for lever in levers), *(["beside"] if beside else []), "all")
    return Table(head, tuple(rows), f"What each strategy costs{unit}")


def _measures(setting: Setting, tried: Tried, found: dict[str, Array]) -> Table:
    """Measures as a table, as a file and as a figure."""
    import pandas as pd

    from cipark_sd.plotting.choices import plot_measures

    better = tried.outcome.better
    best = winners(found, better)
    frame = pd.DataFrame(found, index=pd.Index([s.id for s in tried.strategies], name="strategy"))
    setting.write_csv(frame.reset_index(), "robustness.csv")
    rows = tuple(
        (
            policy.title,
            *(f"{_cell(name, column[i])}{' *' if best[name] == i else '  '}" for name, column in found.items()),
        )
        for i, policy in enumerate(tried.strategies)
    )
    title = heading(setting, tried)
    figure = plot_measures(
        frame, [s.title for s in tried.strategies], better, title=title, caption=caption(setting, tried)
    )
    save_for_print(figure, setting.folder, "robustness")
    head = ("strategy", *(name.replace("_", " ") for name in found))
    return Table(
        head, rows, f"{title} over {tried.values.shape[1]} futures ({setting.of_draws}; * the best by that measure)"
    )


def _cell(name: str, value: float) -> str:
    return f"{value:.0%}" if name in SHARES else number(float(value))


def _winner(tried: Tried, found: dict[str, Array]) -> str:
    """In words: which strategies are best by some measure, and by which."""
    by: dict[int, list[str]] = {}
    for name, i in winners(found, tried.outcome.better).items():
        by.setdefault(i, []).append(name.replace("_", " "))
    if len(by) == 1:
        return f"'{tried.strategies[next(iter(by))].title}' is the best by every measure."
    parts = [f"'{tried.strategies[i].title}' by {', '.join(names)}" for i, names in by.items()]
    return "Measures name different winners: " + "; ".join(parts) + "."


def _stability(setting: Setting, tried: Tried, found: dict[str, Array]) -> Table:
    """Whether the winner of a measure stays so: over resamples of the futures, and under each rival."""
    better = tried.outcome.better
    rng = np.random.default_rng(tried.wanted.seed)
    groups = [tried.futures.rivals[position].id for position in tried.futures.rival]
    by_rival = winners_by_group(tried.values, tried.met, groups, better)
    rows = []
    for name, i in winners(found, better).items():
        sure = stability(tried.values, tried.met, name, rng, better=better, resamples=200)
        other = [rival for rival, own in by_rival.items() if own[name] != i]
        rows.append(
            (
                name.replace("_", " "),
                tried.strategies[i].title,
                f"{sure.wins[i]:.2f}",
                f"{sure.low[i]:.0f} to {sure.high[i]:.0f}",
                *([f"{len(by_rival) - len(other)}/{len(by_rival)}", ", ".join(other)] if len(by_rival) > 1 else []),
            )
        )
    more = ("rivals", "another one under") if len(by_rival) > 1 else ()
    return Table(
        ("by", "the best", "in resamples", "rank, 90 %", *more), tuple(rows), f"How stable that is ({setting.of_draws})"
    )


def _failures(setting: Setting, tried: Tried, found: dict[str, Array]) -> list[Block]:
    """Where the best by its demands and the first strategy fail: print it, write it, draw it."""
    from cipark_sd.plotting.choices import plot_box

    if not tried.wanted.criteria:
        return []
    inputs, rng_seed = tried.futures.inputs, tried.wanted.seed
    titles = setting.input_titles()
    best = winners(found, tried.outcome.better)["satisfied"]
    lines: list[str] = []
    pictures: list[Picture] = []
    for i in dict.fromkeys((best, 0)):
        fails = ~tried.satisfied[i]
        box = discover(inputs, fails, np.random.default_rng(rng_seed))
        one = tried.strategies[i]
        lines += plain_words(box, f"'{one.title}'", {"failing": float(fails.mean())}, titles)
        name = f"failures_{one.id.replace(' ', '_')}"
        _write_box(setting, name, box)
        if box is not None:
            figure = plot_box(inputs, fails, box, title=one.title, caption=caption(setting, tried), names=titles)
            save_for_print(figure, setting.folder, name)
            pictures.append(Picture(f"{name}.png", f"Futures in which '{one.title}' does not meet the demands."))
    click.echo("\nWhere the demands are not met")
    for line in lines:
        click.echo(f"  {line}")
    demands = ", ".join(map(str, tried.wanted.criteria))
    first = [Paragraph(f"A strategy fails where it misses a demand: {demands}.")] if demands else []
    return [*first, Listing(tuple(lines)), *pictures]


def _write_box(setting: Setting, name: str, box: Box | None) -> None:
    import pandas as pd

    rows = [] if box is None else [
        {"input": r.name, "low": r.low, "high": r.high, "among": " ".join(r.among), "quasi_p": r.quasi_p,
         "reproduced": r.reproduced, "coverage": box.coverage, "density": box.density, "mass": box.mass,
         "failing": box.failing}
        for r in box.restrictions
    ]  # fmt: skip
    setting.write_csv(pd.DataFrame(rows), f"{name}.csv")
