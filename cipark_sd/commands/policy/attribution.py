"""The contribution of each mechanism: a factorial, and the Shapley values of its mechanisms."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
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


def attribution(result: "xr.Dataset", factors: Sequence[Factor]) -> "xr.Dataset":
    """Shapley values from the run of a :func:`factorial`, for each outcome.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`, with dims policy, rival, draw, time.
    factors : sequence of Factor
        The ``k`` of the factorial, in its order.

    Returns
    -------
    xarray.Dataset
        For each outcome ``<outcome>`` (Shapley values), dims ``factor, rival, draw, time``, and ``<outcome> total``
        (all less none), dims ``rival, draw, time``.
    """
    import xarray as xr

    k = len(factors)
    variables: dict[str, Any] = {}
    dims = ("rival", "draw", "time")
    for name, array in result.data_vars.items():
        if "per" in array.attrs:
            continue  # shares do not add up
        v = array.transpose("policy", *dims).to_numpy()
        attributes = dict(array.attrs)
        variables[f"{name}"] = (("factor", *dims), np.tensordot(shapley_matrix(k), v, 1), attributes)
        variables[f"{name} total"] = (dims, v[-1] - v[0], attributes)
    coords = {
        "factor": [factor.id for factor in factors],
        "factor_title": ("factor", [factor.title for factor in factors]),
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
    return text + f"Shapley values share out the whole and add up ({sums[1]})."


def _attribution_frame(dataset: "xr.Dataset") -> "pd.DataFrame":
    """One row for each outcome, time, rival and factor: Shapley value with bands."""
    import pandas as pd

    rows = []
    outcomes = [str(name) for name in dataset.data_vars if dataset[name].dims[0] == "factor" and " " not in str(name)]
    places = [enumerate(dataset[dim].to_numpy()) for dim in ("time", "rival", "factor")]
    for outcome, (t, time), (r, rival), (f, factor) in product(outcomes, *places):
        at = {"time": t, "rival": r, "factor": f}
        n = float(dataset["effective"].to_numpy()[r])
        shapley = summary(dataset[outcome].isel(at).to_numpy(), effective=n)
        bands = {key: getattr(shapley, key) for key in ("low50", "high50", "low90", "high90", "mcse")}
        rows.append(
            {"outcome": outcome, "time": float(time), "rival": str(rival), "factor": str(factor)}
            | {"shapley_mean": shapley.mean, "shapley_median": shapley.median}
            | bands
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
        texts = (signed(row["shapley_mean"]), *bands, f"{row['mcse']:.2g}")
        rows.append((factor.title, *texts, band(float(over.min()), float(over.max()))))
    of_first = dataset[f"{outcome} total"].sel(time=at).isel(rival=0)
    total = summary(of_first.to_numpy(), effective=float(of_first["effective"]))
    rows.append(("sum", signed(float(first["shapley_mean"].sum())), "", "", "", ""))
    ends = [band(total.low50, total.high50), band(total.low90, total.high90), f"{total.mcse:.2g}"]
    rows.append(("all mechanisms less none", signed(total.mean), *ends, ""))
    source = f"structure {about.first}; " if about.several else ""
    under = f", {variant}" if variant else ""
    caption = f"{about.titled(outcome)} {about.catalogue.when(at)}: contributions{under} ({source}{about.of_draws})"
    head = ("mechanism", "Shapley", "50%", "90%", "MC error", "over structures")
    # one structure has no range over several
    width = len(head) if about.several else len(head) - 1
    return Table(head[:width], tuple(row[:width] for row in rows), caption)


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
        """Of each factorial: in words, Shapley values and a figure."""
        result, about = self.read(findings)
        blocks: list[Block] = [*map(Paragraph, result.doubts)]
        for variant, name in _names(about):
            main = _main_table(result.factorials[name], about, "" if variant is None else variant.title)
            blocks += [Paragraph(_in_words(main, variant, about)), main, *pictures.show(name, main.caption)]
        yield Section("Attribution: the contribution of each mechanism", tuple(blocks))
