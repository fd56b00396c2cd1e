"""What it would be worth to know more: everything, one input, the structure, or a measurement."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.commands.policy.strategies import (
    NEEDS,
    StrategyOutcomes,
    caption,
    heading,
    over_futures,
    settings_of,
    try_strategies,
)
from cipark_sd.commands.policy.words import share
from cipark_sd.console import Bars
from cipark_sd.experiments import information
from cipark_sd.experiments.definition import Measurement, Outcome, Policy
from cipark_sd.experiments.futures import run_futures
from cipark_sd.headline import Bounds, Headline, output
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.scenarios import override_key
from cipark_sd.wording import grouped, with_unit

if TYPE_CHECKING:
    import pandas as pd

#: Standard errors on either side of a number within which 95 % of a normal distribution lie.
_TWO_SIDED = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class InformationFindings:
    """What pieces of knowledge are worth.

    Parameters
    ----------
    worths : DataFrame
        A row for each, the most worth first: ``kind``, ``what``, ``value`` and its Monte Carlo ``error``.
    chosen : str
        The title of the strategy that would be chosen without knowing more.
    futures : int
        How many.
    """

    worths: "pd.DataFrame"
    chosen: str
    futures: int
    doubts: tuple[str, ...]


def _worths(analysis: Analysis, ran: StrategyOutcomes, utilities: Array) -> "pd.DataFrame":
    """One row for each piece of knowledge, the most worth first."""
    import pandas as pd

    rng = np.random.default_rng(ran.settings.seed)
    inputs = ran.futures.inputs
    titles = {uncertainty.name: uncertainty.title for uncertainty in analysis.catalogue.uncertainties} | {
        "rival": "which structure is true"
    }
    worths = [("everything", "everything", information.perfect(utilities, rng))]
    worths += [
        ("input", titles.get(name, name), information.partial(utilities, inputs[[name]], rng=rng))
        for name in inputs.columns
    ]
    for measurement in analysis.catalogue.measurements:
        worth = information.measured(utilities, _expected(analysis, ran, measurement), rng, noise=_noise(measurement))
        worths.append(("measurement", measurement.title, worth))
    rows = [
        {"kind": kind, "what": source, "value": worth.value, "error": worth.error} for kind, source, worth in worths
    ]
    return pd.DataFrame(rows).sort_values("value", ascending=False, kind="stable")


def _noise(measurement: Measurement) -> Callable[[Array, np.random.Generator], Array] | None:
    """From what would be measured without error to data; None for Poisson counts."""
    error = measurement.error
    if error is None:
        return None
    return lambda means, rng: means * (1 + error * rng.standard_normal(means.shape))


def _expected(analysis: Analysis, ran: StrategyOutcomes, measurement: Measurement) -> Array:
    """What a measurement without error would give in each future, ``(n_futures, n_numbers)``."""
    model = analysis.model
    outcomes = []
    for name in measurement.variables:
        variable = model.by_name.get(override_key(name))
        if variable is not None and variable.dims:
            elements_of = [f"{variable.name}[{','.join(elements)}]" for elements in model.elements(variable)]
            outcomes += [Outcome(element, name, element) for element in elements_of]
        else:
            outcomes.append(Outcome(name, name, name))
    policy = Policy("measured", "", measurement.scenario)
    values = run_futures(analysis.setup, (policy,), ran.futures, outcomes, measurement.times)[:, 0]
    counts = np.diff(values, axis=-1) if measurement.increments else values
    return np.asarray(counts.transpose(1, 0, 2).reshape(values.shape[1], -1))


class InformationPart(PolicyPart[InformationFindings]):
    """What it would be worth to know more."""

    name: ClassVar[str] = "information"
    kind: ClassVar[type[InformationFindings]] = InformationFindings
    needs = NEEDS

    def compute(self, analysis: Analysis, bars: Bars) -> InformationFindings:
        """Run the strategies in the futures, and what could be measured in them."""
        ran = try_strategies(analysis, bars)
        utilities = ran.values if ran.better == "more" else -ran.values
        chosen = ran.strategies[int(utilities.mean(axis=1).argmax())].title
        return InformationFindings(_worths(analysis, ran, utilities), chosen, ran.values.shape[1], ran.doubts)

    def tables_of(self, result: InformationFindings, about: About) -> "dict[str, pd.DataFrame]":
        """Every piece of knowledge."""
        return {"information": result.worths}

    def drawings_of(self, result: InformationFindings, about: About) -> Iterator[Drawing]:
        """What each is worth."""
        from cipark_sd.plotting.choices import plot_worth

        settings = settings_of(about.catalogue)
        title, units = about.catalogue.outcome_by_id[settings.outcome].title, about.units[settings.outcome]
        drawn = partial(plot_worth, caption=caption(about, result.futures), time_units=about.catalogue.time_units)
        yield Drawing("information", drawn, (result.worths, title, settings.at, units))

    def headlines_of(self, result: InformationFindings, about: About) -> Iterator[Headline]:
        """What perfect information is worth."""
        settings, frame = settings_of(about.catalogue), result.worths
        everything = frame[frame["kind"] == "everything"]
        value, error = float(everything["value"].iloc[0]), float(everything["error"].iloc[0])
        yield from about.record(
            f"value of perfect information for {output(about.quantities[settings.outcome], settings.at)}",
            value,
            unit=about.units[settings.outcome],
            kind="mean",
            of="futures",
            interval=Bounds(value - _TWO_SIDED * error, value + _TWO_SIDED * error, 0.95, "Monte Carlo error"),
            conditions=(over_futures(about, result.futures),),
        )

    def sections_of(self, result: InformationFindings, about: About, pictures: Pictures) -> Iterator[Section]:
        """What would be chosen, and what each piece of knowledge is worth."""
        units = about.units[settings_of(about.catalogue).outcome]
        frame = result.worths
        everything = float(frame.loc[frame["kind"] == "everything", "value"].iloc[0])
        rows = tuple(
            (
                str(row["what"]),
                str(row["kind"]),
                grouped(float(row["value"])),
                f"{row['error']:.2g}",
                share(float(row["value"]), everything),
            )
            for row in frame.to_dict("records")
        )
        title = f"What knowing more is worth, in {heading(about)} ({about.of_draws})"
        text = (
            f"Without knowing more one would choose '{result.chosen}'. To know everything would raise the expected "
            f"outcome by {with_unit(f'{everything:.3g}', units)}; nothing else can be worth more. What is worth "
            "less than twice its Monte Carlo error may be worth nothing. Measurements are Poisson counts where they "
            "have no error of their own."
        )
        table = Table(("known", "kind", "worth", "MC error", "of all"), rows, title)
        blocks: tuple[Block, ...] = (
            *map(Paragraph, result.doubts),
            Paragraph(text),
            table,
            *pictures.show("information", title),
        )
        yield Section("Value of information", blocks)


PART = InformationPart()
