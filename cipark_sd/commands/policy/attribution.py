"""The contribution of each mechanism: the factorial, Shapley values, and what does not add up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.effects import numbers
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.commands.policy.words import band, signed
from cipark_sd.console import Bars
from cipark_sd.experiments.attribution import attribution, factorial
from cipark_sd.experiments.definition import Policy
from cipark_sd.experiments.effects import summary
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.wording import with_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Attribution:
    """Of the catalogue as it is and of each of its variants, by the stem of a file, the factorial's Shapley values."""

    factorials: "Mapping[str, xr.Dataset]"
    doubts: tuple[str, ...]


def _names(about: About) -> list[tuple[Policy | None, str]]:
    """The stem of the files of each factorial; the first is of the catalogue as it is."""
    names = [(variant, f"attribution_{variant.id.replace(' ', '_')}") for variant in about.catalogue.variants]
    return [(None, "attribution"), *names]


def _in_words(main: Table, variant: Policy | None, about: About) -> str:
    outcome, at = about.catalogue.headline
    *factors, sums, total = main.rows
    largest, *smaller = sorted(factors, key=lambda row: -abs(float(row[1])) if row[1] != "-" else 0.0)
    text = "" if variant is None else f"{variant.title}. "
    title, when = about.catalogue.outcome_by_id[outcome].title, about.catalogue.when(at)
    text += (
        f"All mechanisms together are worth {with_unit(total[1], about.units[outcome])} in {title} {when}; most of it, "
        f"{largest[1]}, is due to '{largest[0]}'"
    )
    text += f", then to '{smaller[0][0]}' ({smaller[0][1]}). " if smaller else ". "
    return text + (
        f"Shapley values share out the whole and add up ({sums[1]}). Taking one mechanism out of the whole sums to "
        f"{sums[5]}, adding each alone to nothing sums to {sums[6]}: neither can be read as shares."
    )


def attribution_frame(dataset: "xr.Dataset") -> "pd.DataFrame":
    """One row for each outcome, time, rival and factor: Shapley value with bands, leave-one-out and add-one-in."""
    import pandas as pd

    rows = []
    outcomes = [str(name) for name in dataset.data_vars if dataset[name].dims[0] == "factor" and " " not in str(name)]
    places = [enumerate(dataset[dim].to_numpy()) for dim in ("time", "rival", "factor")]
    for outcome, (t, time), (r, rival), (f, factor) in product(outcomes, *places):
        at = {"time": t, "rival": r, "factor": f}
        of_names = (outcome, f"{outcome} leave one out", f"{outcome} add one in")
        shapley, out, alone = (summary(dataset[name].isel(at).to_numpy()) for name in of_names)
        bands = {key: getattr(shapley, key) for key in ("low50", "high50", "low90", "high90", "mcse")}
        rows.append(
            {"outcome": outcome, "time": float(time), "rival": str(rival), "factor": str(factor)}
            | {"shapley_mean": shapley.mean, "shapley_median": shapley.median}
            | bands
            | {"leave_one_out": out.mean, "add_one_in": alone.mean}
        )
    return pd.DataFrame(rows)


def _main_table(dataset: "xr.Dataset", about: About, variant: str) -> Table:
    outcome, at = about.catalogue.headline
    frame = attribution_frame(dataset[[n for n in dataset.data_vars if str(n).startswith(outcome)]])
    frame = frame[frame["time"] == at]
    first = frame[frame["rival"] == about.first]
    rows: list[tuple[str, ...]] = []
    for factor in about.catalogue.factors:
        row = numbers(first[first["factor"] == factor.id])
        over = frame[frame["factor"] == factor.id]["shapley_mean"]
        bands = (band(row[f"low{share}"], row[f"high{share}"]) for share in (50, 90))
        beside = (signed(row[name]) for name in ("leave_one_out", "add_one_in"))
        texts = (signed(row["shapley_mean"]), *bands, f"{row['mcse']:.2g}", *beside)
        rows.append((factor.title, *texts, band(float(over.min()), float(over.max()))))
    sums = [float(first[name].sum()) for name in ("shapley_mean", "leave_one_out", "add_one_in")]
    total = summary(dataset[f"{outcome} total"].sel(time=at).isel(rival=0).to_numpy())
    rows.append(("sum", signed(sums[0]), "", "", "", signed(sums[1]), signed(sums[2]), ""))
    ends = [band(total.low50, total.high50), band(total.low90, total.high90), f"{total.mcse:.2g}"]
    rows.append(("all mechanisms less none", signed(total.mean), *ends, signed(total.mean), signed(total.mean), ""))
    source = f"structure {about.first}; " if about.several else ""
    under = f", {variant}" if variant else ""
    caption = f"{about.titled(outcome)} {about.catalogue.when(at)}: contributions{under} ({source}{about.of_draws})"
    head = ("mechanism", "Shapley", "50 %", "90 %", "MC error", "leave one out", "add one in", "over structures")
    return _without_rivals(Table(head, tuple(rows), caption), about)


def _without_rivals(table: Table, about: About) -> Table:
    """The table without its last column, the range over rivals, where there is one structure only."""
    if about.several:
        return table
    return Table(table.head[:-1], tuple(row[:-1] for row in table.rows), table.caption)


def _interactions(dataset: "xr.Dataset", about: About) -> Table:
    outcome, at = about.catalogue.headline
    values = dataset[f"{outcome} interaction"].sel(time=at).mean("draw").transpose("pair", "rival").to_numpy()
    titles = [f"{first.title} x {second.title}" for first, second in combinations(about.catalogue.factors, 2)]
    order = np.argsort(-np.abs(values[:, 0]), kind="stable")[:6]
    rows = [(titles[i], signed(values[i, 0]), band(values[i].min(), values[i].max())) for i in order]
    caption = f"What pairs are worth together beyond one by one (the largest six; {about.of_draws})"
    worth = about.first if about.several else "worth"
    return _without_rivals(Table(("pair", worth, "over structures"), tuple(rows), caption), about)


class AttributionPart(PolicyPart[Attribution]):
    """The contribution of each mechanism."""

    name: ClassVar[str] = "attribution"
    kind: ClassVar[type[Attribution]] = Attribution
    needs = ("factors", "[[factor]]", "at least one mechanism to switch")

    def compute(self, analysis: Analysis, bars: Bars) -> Attribution:
        """Run the mechanisms in all combinations, without and with each variant."""
        factors, factorials = analysis.catalogue.factors, {}
        sentences: list[str] = []
        for variant, name in _names(analysis.about):
            stage = "attribution" if variant is None else f"attribution {variant.id}"
            runs = analysis.run(factorial(factors, variant), bars, stage)
            factorials[name] = attribution(runs, factors)
            sentences += analysis.doubts(runs)
        return Attribution(factorials, tuple(sentences))

    def tables_of(self, result: Attribution, about: About) -> "dict[str, pd.DataFrame]":
        """Every Shapley value of every factorial."""
        import pandas as pd

        frames = [
            attribution_frame(result.factorials[name]).assign(variant="" if variant is None else variant.id)
            for variant, name in _names(about)
        ]
        return {"attribution": pd.concat(frames)}

    def drawings_of(self, result: Attribution, about: About) -> Iterator[Drawing]:
        """The headline's Shapley values of each factorial."""
        from cipark_sd.plotting.policies import plot_shapley

        outcome, at = about.catalogue.headline
        for variant, name in _names(about):
            title = about.titled(outcome) + ("" if variant is None else f", {variant.id}")
            drawing = partial(plot_shapley, title=title, caption=about.basis, time_units=about.catalogue.time_units)
            yield Drawing(name, drawing, (result.factorials[name], outcome, at))

    def headlines_of(self, result: Attribution, about: About) -> Iterator[Headline]:
        """The Shapley value of each mechanism for the headline's outcome at its time."""
        outcome, at = about.catalogue.headline
        for variant, name in _names(about):
            values = result.factorials[name][outcome].sel(time=at).isel(rival=0)
            under = "" if variant is None else f", {variant.title}"
            for position, factor in enumerate(about.catalogue.factors):
                summarised = summary(values.isel(factor=position).to_numpy())
                if summarised.n:
                    yield from about.record(
                        f"Shapley value of {factor.title} for {about.estimand()}{under}",
                        summarised.mean,
                        unit=about.units[outcome],
                        kind="mean",
                        interval=Bounds(summarised.low90, summarised.high90, 0.9, "central draws"),
                    )

    def sections_of(self, result: Attribution, about: About, pictures: Pictures) -> Iterator[Section]:
        """Of each factorial: in words, Shapley values, a figure, and pairs of mechanisms."""
        blocks: list[Block] = [*map(Paragraph, result.doubts)]
        for variant, name in _names(about):
            main = _main_table(result.factorials[name], about, "" if variant is None else variant.title)
            blocks += [Paragraph(_in_words(main, variant, about)), main, *pictures.show(name, main.caption)]
            blocks += [_interactions(result.factorials[name], about)] if len(about.catalogue.factors) > 1 else []
        yield Section("Attribution: the contribution of each mechanism", tuple(blocks))


PART = AttributionPart()
