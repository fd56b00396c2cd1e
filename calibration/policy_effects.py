"""What ``cipark policy`` shows of the past: effects, claims, attribution."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import click
import numpy as np

from calibration.policy_setting import Setting, save
from cipark_sd.commands.tables import number, print_table
from cipark_sd.experiments.attribution import attribution, factorial
from cipark_sd.experiments.definition import Policy
from cipark_sd.experiments.effects import SURE, WEIGHTED, Claim, claims, summary, table
from cipark_sd.plotting.files import save_figure

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: What the first figure follows over time: this many policies with the largest effects.
_FAN = 4


def show_effects(setting: Setting) -> None:
    """Run the catalogue; tables of effects and claims, the figures, and the files."""
    from cipark_sd.plotting.policies import plot_fans, plot_tornado

    catalogue = setting.catalogue
    result = setting.policies(catalogue.policies, "experiments", parts="policies.parts")
    save(setting, result, "policies.nc")
    frame = table(result)
    frame.to_csv(setting.folder / "effects.csv", index=False)
    outcome, at = catalogue.headline
    asked = setting.settings.outcomes or (outcome,)
    wanted = [o.id for o in catalogue.outcomes] if "all" in asked else list(asked)
    for one in wanted:
        _print_effects(setting, frame, one)
    found = claims(result, catalogue.policies)
    _print_claims(setting, found)
    write_claims(setting, found)
    title = catalogue.outcome_by_id[outcome].title
    save_figure(plot_tornado(frame, outcome, at, title=title, caption=setting.basis), setting.folder / "effects.png")
    largest = _largest(frame, outcome, at, setting.rivals[0].id)
    course = _course(setting, [policy for policy in catalogue.policies if policy.id in ("base", *largest)])
    save_figure(plot_fans(course, outcome, caption=setting.basis), setting.folder / "course.png")


def _print_effects(setting: Setting, frame: "pd.DataFrame", outcome: str) -> None:
    """One outcome: effect and band under the first rival, the range of medians over all of them."""
    times = [time for time in setting.catalogue.times if time >= setting.catalogue.headline[1]]
    first = setting.rivals[0].id
    shown = WEIGHTED if (frame["rival"] == WEIGHTED).any() else first
    of = frame[frame["outcome"] == outcome]
    columns = ["", "policy"]
    for time in times:
        columns += [f"{time:g}", "50 %", "90 %", "P>0"]
    columns += ["MC error", "over rivals"]
    rows = []
    for policy in setting.catalogue.policies[1:]:
        own = of[of["policy"] == policy.id]
        row = [policy.id, policy.title]
        for time in times:
            one = _numbers(own[(own["time"] == time) & (own["rival"] == shown)])
            row += [signed(one["median"]), band(one["low50"], one["high50"]), band(one["low90"], one["high90"])]
            row.append(f"{one['more']:.2f}")
        one = _numbers(own[(own["time"] == times[0]) & (own["rival"] == shown)])
        others = own[(own["time"] == times[0]) & (own["rival"] != WEIGHTED)]["median"]
        rows.append([*row, f"{one['mcse']:.2g}", band(float(others.min()), float(others.max()))])
    base = of[(of["rival"] == shown) & (of["policy"] == setting.catalogue.policies[1].id)]
    levels = ", ".join(f"{number(base[base['time'] == time]['base'].iloc[0])} at {time:g}" for time in times)
    title = setting.catalogue.outcome_by_id[outcome].title
    who = "rivals by weight" if shown == WEIGHTED else f"rival {first}"
    heading = (
        f"{title}: difference to base (median; mean of the base {levels}; {who}); last two columns at {times[0]:g}"
    )
    print_table(columns, rows, right=range(2, len(columns)), title=heading)
    click.echo()


def _numbers(rows: "pd.DataFrame") -> dict[str, float]:
    """The only row of a table, its numbers by column."""
    (row,) = rows.select_dtypes("number").to_dict("records")
    return {str(name): float(value) for name, value in row.items()}


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(-3.14159), signed(250.4), signed(0.0)
    ('-3.1', '+250', '0')
    """
    if not np.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:+.0f}"
    text = f"{value:+.1f}" if abs(value) >= 0.1 else f"{value:+.2g}"
    return "0" if float(text) == 0 else text


def band(low: float, high: float) -> str:
    """An interval of differences."""
    return f"{signed(low)} .. {signed(high)}"


def _print_claims(setting: Setting, found: Sequence[Claim]) -> None:
    rows = []
    for claim in found:
        first = next(iter(claim.probability))
        fails, opened = claim.rivals("fails"), claim.rivals("open")
        doubts = [f"fails in {', '.join(fails)}"] if fails else []
        doubts += [f"open in {', '.join(opened)}"] if opened else []
        rows.append(
            [
                claim.policy.id,
                claim.policy.title,
                str(claim.expected),
                f"{claim.probability[first]:.2f}",
                f"{min(claim.probability.values()):.2f}",
                f"{len(claim.rivals('holds'))}/{len(claim.probability)}",
                "; ".join(doubts),
            ]
        )
    columns = ["", "policy", "expected", f"P in {setting.rivals[0].id}", "least P", "holds", "where not"]
    print_table(columns, rows, right=(3, 4, 5), title=f"What was expected (holds: probability {SURE:g} or more)")
    surviving = sum(claim.survives for claim in found)
    click.echo(f"{surviving} of {len(found)} expectations hold under every one of {len(setting.rivals)} rivals.")


def write_claims(setting: Setting, found: Sequence[Claim]) -> None:
    """``claims.csv``: one row for each expectation, its probability under each rival."""
    import pandas as pd

    rows = [
        {
            "policy": claim.policy.id,
            "title": claim.policy.title,
            "expected": str(claim.expected),
            "source": claim.policy.source,
            "weighted": claim.weighted,
            "holds_in": len(claim.rivals("holds")),
            "fails_in": len(claim.rivals("fails")),
        }
        | {f"P {rival}": share for rival, share in claim.probability.items()}
        for claim in found
    ]
    pd.DataFrame(rows).to_csv(setting.folder / "claims.csv", index=False)


def _largest(frame: "pd.DataFrame", outcome: str, at: float, rival: str) -> list[str]:
    of = frame[(frame["outcome"] == outcome) & (frame["time"] == at) & (frame["rival"] == rival)]
    order = of["median"].abs().sort_values(ascending=False, kind="stable").index
    ends = of.loc[order].drop_duplicates("median")
    return [str(policy) for policy in ends["policy"].head(_FAN)]


def _course(setting: Setting, policies: Sequence[Policy]) -> "xr.Dataset":
    """The course of a few policies over the whole run under the first rival."""
    from cipark_sd.experiments.run import run_policies

    model = setting.problem.model
    times = np.linspace(model.time.initial, model.time.final, 41)
    return run_policies(
        model,
        policies,
        setting.rivals[:1],
        setting.draws,
        [setting.catalogue.outcome_by_id[setting.catalogue.headline[0]]],
        times.tolist(),
        scenario=setting.scenario,
        engine=setting.settings.engine,
    )


def show_attribution(setting: Setting) -> None:
    """The factorial, without and with each variant; Shapley values, interactions and what does not add up."""
    from cipark_sd.plotting.policies import plot_shapley

    factors = setting.catalogue.factors
    outcome, at = setting.catalogue.headline
    rows = []
    for variant in (None, *setting.catalogue.variants):
        name = "attribution" if variant is None else f"attribution {variant.id}"
        plain = name.replace(" ", "_")
        result = setting.policies(factorial(factors, variant), name, parts=f"{plain}.parts")
        found = attribution(result, factors)
        save(setting, found, f"{plain}.nc")
        _print_attribution(setting, found, "" if variant is None else variant.title)
        _print_interactions(setting, found)
        rows.append(attribution_table(found).assign(variant="" if variant is None else variant.id))
        title = setting.catalogue.outcome_by_id[outcome].title + ("" if variant is None else f", {variant.id}")
        figure = plot_shapley(found, outcome, at, title=title, caption=setting.basis)
        save_figure(figure, setting.folder / f"{plain}.png")
    import pandas as pd

    pd.concat(rows).to_csv(setting.folder / "attribution.csv", index=False)


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


def _print_attribution(setting: Setting, found: "xr.Dataset", variant: str) -> None:
    outcome, at = setting.catalogue.headline
    frame = attribution_table(found[[n for n in found.data_vars if str(n).startswith(outcome)]])
    frame = frame[frame["time"] == at]
    first = frame[frame["rival"] == setting.rivals[0].id]
    rows = []
    for factor in setting.catalogue.factors:
        one = _numbers(first[first["factor"] == factor.id])
        over = frame[frame["factor"] == factor.id]["shapley_mean"]
        rows.append(
            [
                factor.title,
                signed(one["shapley_mean"]),
                band(one["low50"], one["high50"]),
                band(one["low90"], one["high90"]),
                f"{one['mcse']:.2g}",
                signed(one["leave_one_out"]),
                signed(one["add_one_in"]),
                band(float(over.min()), float(over.max())),
            ]
        )
    sums = [float(first[name].sum()) for name in ("shapley_mean", "leave_one_out", "add_one_in")]
    total = summary(found[f"{outcome} total"].sel(time=at).isel(rival=0).to_numpy())
    rows.append(["sum", signed(sums[0]), "", "", "", signed(sums[1]), signed(sums[2]), ""])
    bands = [band(total.low50, total.high50), band(total.low90, total.high90), f"{total.mcse:.2g}"]
    rows.append(["all mechanisms less none", signed(total.mean), *bands, signed(total.mean), signed(total.mean), ""])
    title = setting.catalogue.outcome_by_id[outcome].title
    heading = f"{title} at {at:g}: who did it ({setting.rivals[0].id}){', ' + variant if variant else ''}"
    columns = ["mechanism", "Shapley", "50 %", "90 %", "MC error", "leave one out", "add one in", "over rivals"]
    print_table(columns, rows, right=range(1, 8), title=heading)


def _print_interactions(setting: Setting, found: "xr.Dataset") -> None:
    outcome, at = setting.catalogue.headline
    values = found[f"{outcome} interaction"].sel(time=at).mean("draw").transpose("pair", "rival").to_numpy()
    titles = [f"{one.title} x {other.title}" for one, other in combinations(setting.catalogue.factors, 2)]
    order = np.argsort(-np.abs(values[:, 0]), kind="stable")[:6]
    rows = [[titles[i], signed(values[i, 0]), band(values[i].min(), values[i].max())] for i in order]
    columns = ["largest interactions", setting.rivals[0].id, "over rivals"]
    print_table(columns, rows, right=(1, 2))
    click.echo()
