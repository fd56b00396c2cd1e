"""What ``cipark policy`` shows of the worth of knowing more: everything, one input, the structure, or a measurement."""

from typing import TYPE_CHECKING

import click
import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.robustness import Tried, caption, heading, try_strategies
from cipark_sd.commands.policy.setting import Setting
from cipark_sd.commands.policy.words import share, show
from cipark_sd.console import number
from cipark_sd.experiments.definition import Measurement, Outcome, Policy
from cipark_sd.experiments.futures import run_futures
from cipark_sd.experiments.information import Worth, measured, partial, perfect
from cipark_sd.pages.blocks import Paragraph, Picture, Section, Table
from cipark_sd.plotting.files import save_for_print
from cipark_sd.scenarios import Scenario, override_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def show_information(setting: Setting) -> list[Section]:
    """What it is worth to know more: perfectly, one input, the structure, or a measurement."""
    from cipark_sd.plotting.choices import plot_worth

    tried = try_strategies(setting)
    utilities = tried.values if tried.outcome.better == "more" else -tried.values
    frame = _worths(setting, tried, utilities)
    setting.write_csv(frame, "information.csv")
    everything = float(frame.loc[frame["kind"] == "everything", "value"].iloc[0])
    rows = tuple(
        (
            str(row["what"]),
            str(row["kind"]),
            number(float(row["value"])),
            f"{row['error']:.2g}",
            share(float(row["value"]), everything),
        )
        for row in frame.to_dict("records")
    )
    title = f"What knowing more is worth, in {heading(setting, tried)} ({setting.of_draws})"
    table = Table(("known", "kind", "worth", "MC error", "of all"), rows, title)
    show(table)
    chosen = tried.strategies[int(utilities.mean(axis=1).argmax())].title
    click.echo(f"  without it one would choose: {chosen}")
    units = setting.units(tried.outcome.id)
    figure = plot_worth(frame, tried.outcome.title, tried.wanted.at, units, caption=caption(setting, tried))
    save_for_print(figure, setting.folder, "information")
    said = (
        f"Without knowing more one would choose '{chosen}'. To know everything would raise the expected outcome by "
        f"{everything:.3g}{' ' + units if units else ''}; nothing else can be worth more. What is worth less than "
        "twice its Monte Carlo error may be worth nothing. Measurements are Poisson counts where they have no error of "
        "their own."
    )
    return titled("information", [Paragraph(said), table, Picture("information.png", title)])


def _worths(setting: Setting, tried: Tried, utilities: Array) -> "pd.DataFrame":
    """One row for each piece of knowledge, the most worth first."""
    import pandas as pd

    rng = np.random.default_rng(tried.wanted.seed)
    inputs = tried.futures.inputs
    titles = {one.name: one.title for one in setting.catalogue.uncertainties} | {"rival": "which structure is true"}
    found: list[tuple[str, str, Worth]] = [("everything", "everything", perfect(utilities, rng))]
    found += [("input", titles.get(n, n), partial(utilities, inputs[[n]], rng=rng)) for n in inputs.columns]
    for one in setting.catalogue.measurements:
        worth = measured(utilities, _expected(setting, tried, one), rng, noise=_noise(one))
        found.append(("measurement", one.title, worth))
    rows = [{"kind": kind, "what": what, "value": worth.value, "error": worth.error} for kind, what, worth in found]
    return pd.DataFrame(rows).sort_values("value", ascending=False, kind="stable")


def _noise(measurement: Measurement) -> "Callable[[Array, np.random.Generator], Array] | None":
    """From what would be measured without error to data; None for Poisson counts."""
    error = measurement.error
    if error is None:
        return None
    return lambda means, rng: means * (1 + error * rng.standard_normal(means.shape))


def _expected(setting: Setting, tried: Tried, measurement: Measurement) -> Array:
    """What a measurement without error would give in each future, ``(n_futures, n_numbers)``."""
    model = setting.study.model
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
