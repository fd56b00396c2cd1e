"""The contribution of each mechanism: the factorial, Shapley values, and what does not add up."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cipark_sd.analysis.experiments.definition import Catalogue, Factor, Policy
from cipark_sd.analysis.experiments.effects import summary
from cipark_sd.base.arrays import Array
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.wording import with_unit
from cipark_sd.commands.policy.about import About, Findings, band, signed
from cipark_sd.commands.policy.analysis import Analysis, PolicyPart
from cipark_sd.commands.policy.effects import numbers
from cipark_sd.data.scenarios import Scenario
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.statements.headline import Bounds, Headline

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: More factors would be more runs than anyone waits for: 4096 for each draw.
MOST_FACTORS = 12


def factorial(factors: Sequence[Factor], variant: Policy | None = None) -> tuple[Policy, ...]:
    """All combinations of factors, ``2**k`` policies; bit *i* of a policy's number says that factor *i* is on.

    Parameters
    ----------
    variant : Policy, optional
        Settings that hold in all combinations.

    Returns
    -------
    tuple of Policy
        From none to all, in the order of their numbers.

    Raises
    ------
    InvalidValue
        Without a factor, or with more than :data:`MOST_FACTORS`.
    """
    k = len(factors)
    if not 1 <= k <= MOST_FACTORS:
        raise InvalidValue("the number of factors", k, f"1 to {MOST_FACTORS}", where="attribution")
    policies = []
    for mask in range(2**k):
        settings = variant.scenario if variant is not None else Scenario()
        for position, factor in enumerate(factors):
            settings = settings | (factor.on if mask >> position & 1 else factor.off)
        on = [factor.id for position, factor in enumerate(factors) if mask >> position & 1]
        policies.append(Policy("+".join(on) or "none", ", ".join(on) or "none", settings.renamed("")))
    return tuple(policies)


def shapley_matrix(k: int) -> Array:
    """``(k, 2**k)``: its product with the values of all coalitions gives the Shapley values.

    What a player adds to a coalition ``S`` of others weighs ``|S|! (k - |S| - 1)! / k!``, which is one over ``k`` times
    the number of coalitions of that size.

    Source: Shapley (1953), A value for n-person games; coalitions are numbered by their bits.
    """
    matrix = np.zeros((k, 2**k))
    for mask in range(2**k):
        size = mask.bit_count()
        for player in range(k):
            if mask >> player & 1:
                matrix[player, mask] = 1 / (k * math.comb(k - 1, size - 1))
            else:
                matrix[player, mask] = -1 / (k * math.comb(k - 1, size))
    return matrix


def interaction_matrix(k: int) -> Array:
    """``(n_pairs, 2**k)``, pairs in the order of ``itertools.combinations``: the Shapley interaction index.

    Positive where two factors are worth more together than one by one, averaged over what else is there.

    Source: Grabisch and Roubens (1999), Int. J. Game Theory 28, 547-565, for pairs.
    """
    pairs = list(combinations(range(k), 2))
    matrix = np.zeros((len(pairs), 2**k))
    for row, (i, j) in enumerate(pairs):
        for mask in range(2**k):
            coalition = mask & ~(1 << i) & ~(1 << j)
            weight = 1 / ((k - 1) * math.comb(k - 2, coalition.bit_count()))
            present = (mask >> i & 1) + (mask >> j & 1)
            matrix[row, mask] = weight if present != 1 else -weight
    return matrix


def attribution(result: "xr.Dataset", factors: Sequence[Factor]) -> "xr.Dataset":
    """Shapley values and their rivals from the run of a :func:`factorial`, for each outcome.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`, with dims policy, rival, draw, time.
    factors : sequence of Factor
        The ``k`` of the factorial, in its order.

    Returns
    -------
    xarray.Dataset
        For each outcome ``<outcome>`` (Shapley values), ``<outcome> leave one out`` (all less all without it),
        ``<outcome> add one in`` (it alone less nothing), dims ``factor, rival, draw, time``;
        ``<outcome> interaction``, dims ``pair, rival, draw, time``; ``<outcome> total``, dims ``rival, draw, time``.
    """
    import xarray as xr

    k = len(factors)
    pairs = list(combinations(range(k), 2))
    full = 2**k - 1
    variables: dict[str, Any] = {}
    dims = ("rival", "draw", "time")
    for name, array in result.data_vars.items():
        if "per" in array.attrs:
            continue  # shares do not add up
        v = array.transpose("policy", *dims).to_numpy()
        attributes = dict(array.attrs)
        variables[f"{name}"] = (("factor", *dims), np.tensordot(shapley_matrix(k), v, 1), attributes)
        out = np.stack([v[full] - v[full & ~(1 << i)] for i in range(k)])
        alone = np.stack([v[1 << i] - v[0] for i in range(k)])
        variables[f"{name} leave one out"] = (("factor", *dims), out, attributes)
        variables[f"{name} add one in"] = (("factor", *dims), alone, attributes)
        variables[f"{name} interaction"] = (("pair", *dims), np.tensordot(interaction_matrix(k), v, 1), attributes)
        variables[f"{name} total"] = (dims, v[full] - v[0], attributes)
    coords = {
        "factor": [factor.id for factor in factors],
        "factor_title": ("factor", [factor.title for factor in factors]),
        "pair": [f"{factors[i].id} x {factors[j].id}" for i, j in pairs],
    }
    shared = {
        key: result[key] for key in ("rival", "rival_title", "origin", "weight", "effective", "draw", "time", "instant")
    }
    return xr.Dataset(variables, coords=coords | shared, attrs=dict(result.attrs))


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


def _attribution_frame(dataset: "xr.Dataset") -> "pd.DataFrame":
    """One row for each outcome, time, rival and factor: Shapley value with bands, leave-one-out and add-one-in."""
    import pandas as pd

    rows = []
    outcomes = [str(name) for name in dataset.data_vars if dataset[name].dims[0] == "factor" and " " not in str(name)]
    places = [enumerate(dataset[dim].to_numpy()) for dim in ("time", "rival", "factor")]
    for outcome, (t, time), (r, rival), (f, factor) in product(outcomes, *places):
        at = {"time": t, "rival": r, "factor": f}
        of_names = (outcome, f"{outcome} leave one out", f"{outcome} add one in")
        n = float(dataset["effective"].to_numpy()[r])
        shapley, out, alone = (summary(dataset[name].isel(at).to_numpy(), effective=n) for name in of_names)
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
    frame = _attribution_frame(dataset[[n for n in dataset.data_vars if str(n).startswith(outcome)]])
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
    of_first = dataset[f"{outcome} total"].sel(time=at).isel(rival=0)
    total = summary(of_first.to_numpy(), effective=float(of_first["effective"]))
    rows.append(("sum", signed(sums[0]), "", "", "", signed(sums[1]), signed(sums[2]), ""))
    ends = [band(total.low50, total.high50), band(total.low90, total.high90), f"{total.mcse:.2g}"]
    rows.append(("all mechanisms less none", signed(total.mean), *ends, signed(total.mean), signed(total.mean), ""))
    source = f"structure {about.first}; " if about.several else ""
    under = f", {variant}" if variant else ""
    caption = f"{about.titled(outcome)} {about.catalogue.when(at)}: contributions{under} ({source}{about.of_draws})"
    head = ("mechanism", "Shapley", "50%", "90%", "MC error", "leave one out", "add one in", "over structures")
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

    def n_settings(self, catalogue: Catalogue) -> int:
        """All combinations of mechanisms, without and with each variant."""
        return (1 << len(catalogue.factors)) * (1 + len(catalogue.variants))

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

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Every Shapley value of every factorial."""
        result, about = self.read(findings)
        import pandas as pd

        frames = [
            _attribution_frame(result.factorials[name]).assign(variant="" if variant is None else variant.id)
            for variant, name in _names(about)
        ]
        return {"attribution": pd.concat(frames)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """The headline's Shapley values of each factorial."""
        result, about = self.read(findings)
        from cipark_sd.pages.figures.runs import plot_shapley

        outcome, at = about.catalogue.headline
        for variant, name in _names(about):
            title = about.titled(outcome) + ("" if variant is None else f", {variant.id}")
            words = {"title": title, "caption": about.basis, "when": about.catalogue.when(at)}
            yield Drawing(name, plot_shapley, result.factorials[name], outcome, at, **words)

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The Shapley value of each mechanism for the headline's outcome at its time."""
        result, about = self.read(findings)
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

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Of each factorial: in words, Shapley values, a figure, and pairs of mechanisms."""
        result, about = self.read(findings)
        blocks: list[Block] = [*map(Paragraph, result.doubts)]
        for variant, name in _names(about):
            main = _main_table(result.factorials[name], about, "" if variant is None else variant.title)
            blocks += [Paragraph(_in_words(main, variant, about)), main, *pictures.show(name, main.caption)]
            blocks += [_interactions(result.factorials[name], about)] if len(about.catalogue.factors) > 1 else []
        yield Section("Attribution: the contribution of each mechanism", tuple(blocks))
