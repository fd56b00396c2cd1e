"""What ``cipark policy`` shows of the choice of a policy: robustness, discovery, design, value of information."""

from dataclasses import dataclass

import click
import numpy as np
from numpy.typing import NDArray

from calibration.policy_effects import signed
from calibration.policy_setting import Setting, progress
from cipark_sd.commands.tables import number, print_table
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments import design as search
from cipark_sd.experiments.definition import Outcome, Policy, Robustness
from cipark_sd.experiments.discovery import Box, discover, plain_words
from cipark_sd.experiments.futures import Futures, run_futures, sample_futures
from cipark_sd.experiments.information import measured, partial, perfect
from cipark_sd.experiments.robustness import MEASURES, measures, stability, winners, winners_by_group
from cipark_sd.experiments.run import time_position
from cipark_sd.plotting.files import save_figure
from cipark_sd.scenarios import Scenario, override_key

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tried:
    """Strategies in futures: the outcome that they are compared by, and where they meet all demands."""

    wanted: Robustness
    outcome: Outcome
    strategies: tuple[Policy, ...]
    futures: Futures
    values: Array
    satisfied: NDArray[np.bool_]


def try_strategies(setting: Setting) -> Tried:
    """Run the strategies of the catalogue in its futures.

    Raises
    ------
    InvalidValue
        When the catalogue has no table ``[robustness]``.
    """
    catalogue, wanted = setting.catalogue, setting.catalogue.robustness
    if wanted is None:
        raise InvalidValue("[robustness]", None, "a table with outcome, at and strategies", where="the catalogue")
    strategies = catalogue.chosen(wanted.strategies)
    futures = sample(setting, wanted.futures, wanted.seed)
    with progress("strategies") as tick:
        found = run_futures(
            setting.problem.model,
            strategies,
            futures,
            catalogue.outcomes,
            catalogue.times,
            scenario=setting.scenario,
            engine=setting.settings.engine,
            progress=tick,
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


def sample(setting: Setting, n: int, seed: int) -> Futures:
    """Futures of the study, with the parameters' names as its file writes them."""
    labels = {override_key(parameter.name): parameter.name for parameter in setting.problem.space}
    return sample_futures(
        setting.rivals,
        setting.draws,
        setting.catalogue.uncertainties,
        n,
        np.random.default_rng(seed),
        labels=labels,
    )


def show_robustness(setting: Setting) -> None:
    """Measures side by side, the winners, their stability, and where the winner and the first strategy fail."""
    import pandas as pd

    from cipark_sd.plotting.choices import plot_box, plot_measures

    tried = try_strategies(setting)
    better = tried.outcome.better
    found = measures(tried.values, tried.satisfied, better)
    best = winners(found, better)
    frame = pd.DataFrame(found, index=pd.Index([s.id for s in tried.strategies], name="strategy"))
    frame.to_csv(setting.folder / "robustness.csv")
    columns = ["strategy", *(name.replace("_", " ") for name in found)]
    rows = [
        [
            policy.title,
            *(f"{number(float(column[i]))}{' *' if best[name] == i else '  '}" for name, column in found.items()),
        ]
        for i, policy in enumerate(tried.strategies)
    ]
    n = tried.values.shape[1]
    heading = f"{tried.outcome.title} at {tried.wanted.at:g} over {n} futures (* the best by that measure)"
    print_table(columns, rows, right=range(1, len(columns)), title=heading)
    for name in found:
        click.echo(f"  {name.replace('_', ' ')}: {MEASURES[name][0]}")
    if tried.wanted.criteria:
        click.echo("  demands: " + ", ".join(map(str, tried.wanted.criteria)))
    _print_stability(tried, found)
    save_figure(
        plot_measures(frame, [s.title for s in tried.strategies], better, caption=_caption(setting, tried)),
        setting.folder / "robustness.png",
    )
    named = tried.strategies[best["satisfied"]]
    inputs = tried.futures.inputs
    lines = []
    for policy in dict.fromkeys((named.id, tried.strategies[0].id)):
        i = [s.id for s in tried.strategies].index(policy)
        fails = ~tried.satisfied[i]
        box = discover(inputs, fails, np.random.default_rng(tried.wanted.seed))
        title = tried.strategies[i].title
        lines += plain_words(box, f"'{title}'", {"failing": float(fails.mean())})
        _write_box(setting, policy, box)
        if box is not None:
            figure = plot_box(inputs, fails, box, title=title, caption=_caption(setting, tried))
            save_figure(figure, setting.folder / f"failures_{policy.replace(' ', '_')}.png")
    click.echo("\nWhere the demands are not met")
    for line in lines:
        click.echo(f"  {line}")


def _caption(setting: Setting, tried: Tried) -> str:
    return f"{tried.values.shape[1]} futures over {len(setting.rivals)} rivals; {setting.basis}"


def _print_stability(tried: Tried, found: dict[str, Array]) -> None:
    """Whether the winner of a measure stays so: over resamples of the futures, and under each rival."""
    better = tried.outcome.better
    rng = np.random.default_rng(tried.wanted.seed)
    groups = [tried.futures.rivals[position].id for position in tried.futures.rival]
    by_rival = winners_by_group(tried.values, tried.satisfied, groups, better)
    rows = []
    for name, i in winners(found, better).items():
        sure = stability(tried.values, tried.satisfied, name, rng, better=better, resamples=200)
        other = [rival for rival, own in by_rival.items() if own[name] != i]
        rows.append(
            [
                name.replace("_", " "),
                tried.strategies[i].title,
                f"{sure.wins[i]:.2f}",
                f"{sure.low[i]:.0f} to {sure.high[i]:.0f}",
                f"{len(by_rival) - len(other)}/{len(by_rival)}",
                ", ".join(other),
            ]
        )
    columns = ["by", "the best", "in resamples", "rank, 90 %", "rivals", "another one under"]
    click.echo()
    print_table(columns, rows, right=(2, 3, 4), title="How stable that is")


def _write_box(setting: Setting, policy: str, box: Box | None) -> None:
    import pandas as pd

    rows = [] if box is None else [
        {"input": r.name, "low": r.low, "high": r.high, "among": " ".join(r.among), "quasi_p": r.quasi_p,
         "reproduced": r.reproduced, "coverage": box.coverage, "density": box.density, "mass": box.mass,
         "failing": box.failing}
        for r in box.restrictions
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(setting.folder / f"failures_{policy.replace(' ', '_')}.csv", index=False)


def show_design(setting: Setting) -> None:
    """The front of the levers under the budget, re-scored on fresh futures."""
    import pandas as pd

    from cipark_sd.plotting.choices import plot_front

    catalogue, wanted = setting.catalogue, setting.catalogue.design
    if wanted is None:
        raise InvalidValue("[design]", None, "a table with outcome, at and budget", where="the catalogue")
    outcome = catalogue.outcome_by_id[wanted.outcome]

    def over(seed: int, n: int) -> search.Evaluator:
        return search.Evaluator(
            setting.problem.model,
            catalogue.levers,
            sample(setting, n, seed),
            outcome,
            wanted.at,
            setting.scenario,
            setting.settings.engine,
        )

    with progress("search") as tick:
        front = search.search(
            over(wanted.seed, wanted.draws),
            over(wanted.seed + 1, 4 * wanted.draws),
            budget=wanted.budget,
            share=wanted.tail,
            population=wanted.population,
            generations=wanted.generations,
            rng=np.random.default_rng(wanted.seed),
            on_generation=tick,
        )
    frame = pd.DataFrame(front.settings, columns=[lever.id for lever in front.levers])
    for name in search.GOALS:
        frame[name] = getattr(front.searched, name)
        frame[f"{name} fresh"] = getattr(front.fresh, name)
    frame.to_csv(setting.folder / "design.csv", index=False)
    _print_front(setting, front)
    caption = f"{wanted.draws} futures in the search, {4 * wanted.draws} fresh ones; {setting.basis}"
    figure = plot_front(front, outcome, wanted.at, caption=caption)
    save_figure(figure, setting.folder / "design.png")


def _print_front(setting: Setting, front: search.Front) -> None:
    wanted = setting.catalogue.design
    assert wanted is not None  # show_design has told a user whose catalogue has none
    sign = 1 if setting.catalogue.outcome_by_id[wanted.outcome].better == "more" else -1
    picks = {
        "largest mean": int(np.argmax(sign * front.searched.mean)),
        "best tail": int(np.argmax(sign * front.searched.tail)),
        "least regret": int(np.argmin(front.searched.regret)),
        "cheapest": int(np.argmin(front.searched.cost)),
    }
    base = [f"{lever.base:.6g}" for lever in front.levers]
    rows = [["as it was", *base, *_scored(front.base_searched, front.base_fresh, 0)]]
    rows += [
        [
            name,
            *(f"{v:.4g}" if abs(v) < 1000 else f"{v:.1f}" for v in front.settings[i]),
            *_scored(front.searched, front.fresh, i),
        ]
        for name, i in picks.items()
    ]
    columns = [
        "setting",
        *(lever.id for lever in front.levers),
        "mean",
        "fresh",
        "tail",
        "fresh",
        "regret",
        "fresh",
        "cost",
    ]
    title = setting.catalogue.outcome_by_id[wanted.outcome].title
    heading = (
        f"{title} at {wanted.at:g}, at most {wanted.budget:g} to spend: {len(front.settings)} settings on the front"
    )
    print_table(columns, rows, right=range(1, len(columns)), title=heading)
    click.echo(f"  tail: mean of the worst {wanted.tail:.0%} of the futures; regret: its 90 % quantile")
    click.echo(f"  the gain of the largest mean over the base shrinks by {signed(front.optimism)} on fresh futures")
    half = [name for name, count in front.at_ends().items() if count > len(front.settings) / 2]
    if half:
        click.echo(
            f"  at an end of its range in most settings, so that nothing in the model holds it back: {', '.join(half)}"
        )


def _scored(searched: search.Scores, fresh: search.Scores, i: int) -> list[str]:
    cells = []
    for name in ("mean", "tail", "regret"):
        cells += [number(float(getattr(searched, name)[i])), number(float(getattr(fresh, name)[i]))]
    return [*cells, number(float(searched.cost[i]))]


def show_information(setting: Setting) -> None:
    """What it is worth to know more: perfectly, one input, the structure, or a measurement."""
    import pandas as pd

    from cipark_sd.plotting.choices import plot_worth

    tried = try_strategies(setting)
    utilities = tried.values if tried.outcome.better == "more" else -tried.values
    rng = np.random.default_rng(tried.wanted.seed)
    inputs = tried.futures.inputs
    everything = perfect(utilities)
    rows: list[dict[str, object]] = [{"kind": "everything", "what": "everything", "value": everything, "error": 0.0}]
    titles = {one.name: one.title for one in setting.catalogue.uncertainties} | {"rival": "which structure is true"}
    for name in inputs.columns:
        found = partial(utilities, inputs[[name]], rng=rng)
        rows.append({"kind": "input", "what": titles.get(name, name), "value": found.value, "error": found.error})
    for measurement in setting.catalogue.measurements:
        found = measured(utilities, _expected(setting, tried, measurement.id), rng)
        rows.append({"kind": "measurement", "what": measurement.title, "value": found.value, "error": found.error})
    frame = pd.DataFrame(rows).sort_values("value", ascending=False, kind="stable")
    frame.to_csv(setting.folder / "information.csv", index=False)
    units = setting.problem.model[tried.outcome.variable.partition("[")[0]].units if not tried.outcome.per else ""
    cells = [
        [
            str(row["what"]),
            str(row["kind"]),
            f"{row['value']:.3f}",
            f"{row['error']:.3f}",
            _share(float(row["value"]), everything),
        ]
        for row in frame.to_dict("records")
    ]
    heading = f"What knowing more is worth, in {tried.outcome.title} at {tried.wanted.at:g} [{units}]"
    print_table(["known", "kind", "worth", "error", "of all"], cells, right=(2, 3, 4), title=heading)
    i = int(utilities.mean(axis=1).argmax())
    click.echo(f"  without it one would choose: {tried.strategies[i].title}")
    figure = plot_worth(frame, tried.outcome.title, tried.wanted.at, units, caption=_caption(setting, tried))
    save_figure(figure, setting.folder / "information.png")


def _share(value: float, everything: float) -> str:
    return f"{value / everything:.0%}" if everything > 0 else "-"


def _expected(setting: Setting, tried: Tried, id_: str) -> Array:
    """Means of the counts that a measurement would give in each future, ``(n_futures, n_counts)``."""
    (measurement,) = (one for one in setting.catalogue.measurements if one.id == id_)
    model = setting.problem.model
    outcomes = []
    for name in measurement.variables:
        variable = model.by_name.get(override_key(name))
        if variable is not None and variable.dims:
            each = [f"{variable.name}[{','.join(elements)}]" for elements in model.elements(variable)]
            outcomes += [Outcome(one, name, one) for one in each]
        else:
            outcomes.append(Outcome(name, name, name))
    policy = Policy("measured", "", measurement.scenario if measurement.scenario.overrides else Scenario())
    found = run_futures(
        model, (policy,), tried.futures, outcomes, measurement.times, scenario=setting.scenario,
        engine=setting.settings.engine,
    )[:, 0]  # fmt: skip
    counts = np.diff(found, axis=-1) if measurement.increments else found
    return np.asarray(counts.transpose(1, 0, 2).reshape(found.shape[1], -1))
