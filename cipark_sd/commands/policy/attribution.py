"""What ``cipark policy`` shows of mechanisms: the factorial, Shapley values, and what does not add up."""

from itertools import combinations
from typing import TYPE_CHECKING

import click
import numpy as np

from cipark_sd.commands.policy.effects import numbers
from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.setting import Setting, save
from cipark_sd.commands.policy.words import band, show, signed
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.attribution import attribution, factorial
from cipark_sd.experiments.definition import Policy
from cipark_sd.experiments.effects import summary
from cipark_sd.pages.blocks import Block, Paragraph, Picture, Section, Table
from cipark_sd.plotting.files import save_for_print

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def show_attribution(setting: Setting) -> list[Section]:
    """The factorial, without and with each variant; Shapley values, interactions and what does not add up.

    Raises
    ------
    InvalidValue
        When the catalogue has no factors.
    """
    import pandas as pd

    factors = setting.catalogue.factors
    if not factors:
        raise InvalidValue("[[factor]]", "none", "at least one mechanism to switch", where="the catalogue")
    frames: list[pd.DataFrame] = []
    blocks: list[Block] = []
    for variant in (None, *setting.catalogue.variants):
        name = "attribution" if variant is None else f"attribution {variant.id}"
        result = setting.policies(factorial(factors, variant), name, parts=f"{name.replace(' ', '_')}.parts")
        found = attribution(result, factors)
        save(setting, found, f"{name.replace(' ', '_')}.nc")
        frames.append(attribution_table(found).assign(variant="" if variant is None else variant.id))
        blocks += _variant(setting, found, variant)
    setting.write_csv(pd.concat(frames), "attribution.csv")
    return titled("attribution", blocks)


def _variant(setting: Setting, found: "xr.Dataset", variant: Policy | None) -> list[Block]:
    """Tables and figure of one factorial, printed and for the page."""
    from cipark_sd.plotting.policies import plot_shapley

    outcome, at = setting.catalogue.headline
    name = "attribution" if variant is None else f"attribution_{variant.id.replace(' ', '_')}"
    main = _main_table(setting, found, "" if variant is None else variant.title)
    interactions = [_interactions(setting, found)] if len(setting.catalogue.factors) > 1 else []
    for table in (main, *interactions):
        show(table)
        click.echo()
    units = setting.units(outcome)
    title = setting.catalogue.outcome_by_id[outcome].title + (f" [{units}]" if units else "")
    title += "" if variant is None else f", {variant.id}"
    figure = plot_shapley(found, outcome, at, title=title, caption=setting.basis)
    save_for_print(figure, setting.folder, name)
    return [Paragraph(_in_words(main, variant)), main, Picture(f"{name}.png", main.caption), *interactions]


def _in_words(main: Table, variant: Policy | None) -> str:
    *factors, sums, total = main.rows
    largest, *rest = sorted(factors, key=lambda row: -abs(float(row[1])) if row[1] != "-" else 0.0)
    said = "" if variant is None else f"{variant.title}. "
    said += f"All mechanisms together are worth {total[1]}; most of it, {largest[1]}, is due to: {largest[0]}"
    said += f", then {rest[0][0]} ({rest[0][1]}). " if rest else ". "
    return said + (
        f"Shapley values share out the whole and add up ({sums[1]}). Taking one mechanism out of the whole sums to "
        f"{sums[5]}, adding each alone to nothing sums to {sums[6]}: neither can be read as shares."
    )


def attribution_table(found: "xr.Dataset") -> "pd.DataFrame":
    """One row for each outcome, time, rival and factor: Shapley value with bands, leave-one-out and add-one-in."""
    import pandas as pd

    rows = []
    outcomes = [str(name) for name in found.data_vars if found[name].dims[0] == "factor" and " " not in str(name)]
    for outcome in outcomes:
        for t, time in enumerate(found["time"].to_numpy()):
            for r, rival in enumerate(found["rival"].to_numpy()):
                for f, factor in enumerate(found["factor"].to_numpy()):
                    at = {"time": t, "rival": r, "factor": f}
                    shapley = summary(found[outcome].isel(at).to_numpy())
                    out = summary(found[f"{outcome} leave one out"].isel(at).to_numpy())
                    alone = summary(found[f"{outcome} add one in"].isel(at).to_numpy())
                    rows.append(
                        {
                            "outcome": outcome,
                            "time": float(time),
                            "rival": str(rival),
                            "factor": str(factor),
                            "shapley_mean": shapley.mean,
                            "shapley_median": shapley.median,
                            "low50": shapley.low50,
                            "high50": shapley.high50,
                            "low90": shapley.low90,
                            "high90": shapley.high90,
                            "mcse": shapley.mcse,
                            "leave_one_out": out.mean,
                            "add_one_in": alone.mean,
                        }
                    )
    return pd.DataFrame(rows)


def _main_table(setting: Setting, found: "xr.Dataset", variant: str) -> Table:
    outcome, at = setting.catalogue.headline
    frame = attribution_table(found[[n for n in found.data_vars if str(n).startswith(outcome)]])
    frame = frame[frame["time"] == at]
    first = frame[frame["rival"] == setting.rivals[0].id]
    rows: list[tuple[str, ...]] = []
    for factor in setting.catalogue.factors:
        one = numbers(first[first["factor"] == factor.id])
        over = frame[frame["factor"] == factor.id]["shapley_mean"]
        rows.append(
            (
                factor.title,
                signed(one["shapley_mean"]),
                band(one["low50"], one["high50"]),
                band(one["low90"], one["high90"]),
                f"{one['mcse']:.2g}",
                signed(one["leave_one_out"]),
                signed(one["add_one_in"]),
                band(float(over.min()), float(over.max())),
            )
        )
    sums = [float(first[name].sum()) for name in ("shapley_mean", "leave_one_out", "add_one_in")]
    total = summary(found[f"{outcome} total"].sel(time=at).isel(rival=0).to_numpy())
    rows.append(("sum", signed(sums[0]), "", "", "", signed(sums[1]), signed(sums[2]), ""))
    bands = [band(total.low50, total.high50), band(total.low90, total.high90), f"{total.mcse:.2g}"]
    rows.append(("all mechanisms less none", signed(total.mean), *bands, signed(total.mean), signed(total.mean), ""))
    units = setting.units(outcome)
    title = setting.catalogue.outcome_by_id[outcome].title + (f" [{units}]" if units else "")
    who = f" (rival {setting.rivals[0].id})" if len(setting.rivals) > 1 else ""
    caption = f"{title} at {at:g}: who did it{who}{', ' + variant if variant else ''} ({setting.of_draws})"
    head = ("mechanism", "Shapley", "50 %", "90 %", "MC error", "leave one out", "add one in", "over rivals")
    return _without_rivals(setting, Table(head, tuple(rows), caption))


def _without_rivals(setting: Setting, table: Table) -> Table:
    """The table without its last column, the range over rivals, where there is one structure only."""
    if len(setting.rivals) > 1:
        return table
    return Table(table.head[:-1], tuple(row[:-1] for row in table.rows), table.caption)


def _interactions(setting: Setting, found: "xr.Dataset") -> Table:
    outcome, at = setting.catalogue.headline
    values = found[f"{outcome} interaction"].sel(time=at).mean("draw").transpose("pair", "rival").to_numpy()
    titles = [f"{one.title} x {other.title}" for one, other in combinations(setting.catalogue.factors, 2)]
    order = np.argsort(-np.abs(values[:, 0]), kind="stable")[:6]
    rows = [(titles[i], signed(values[i, 0]), band(values[i].min(), values[i].max())) for i in order]
    caption = f"What pairs are worth together beyond one by one (the largest six; {setting.of_draws})"
    worth = setting.rivals[0].id if len(setting.rivals) > 1 else "worth"
    return _without_rivals(setting, Table(("pair", worth, "over rivals"), tuple(rows), caption))
