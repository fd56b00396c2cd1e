"""Forecasts by scenario."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.forecast import EQUAL, OWN, QUANTILES, origins
from calibration.report import figures_posterior
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, record
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd

#: Dates of a forecast that stand on the page.
DATES = 4


class Forecasts(ReportPart):
    """Quantiles of what may come."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each observation and scenario the median at the last date."""
        rows, drawn = findings.assessment.forecasts, findings.fit.posterior
        if drawn is None or not findings.bands:
            return
        chosen = rows[rows["structure"].isin((OWN, EQUAL))].sort_values("time", kind="stable")
        for _, of in chosen.groupby(["observation", "scenario", "structure"], sort=False):
            row = of.iloc[-1]
            if np.isfinite(row[QUANTILES].to_numpy(float)).all():
                alone = row["structure"] == OWN
                n = len({line.name for line in findings.assessment.comparison})
                mixed = f"the mixture of {n} structures with equal weights"
                scenario = row["scenario"] if alone else f"{row['scenario']}, mixture"
                yield record(
                    findings,
                    f"observation {row['observation']} at {row['time']:.10g}, scenario {scenario}",
                    float(row["q0.5"]),
                    unit="",
                    kind="median",
                    interval=Bounds(float(row["q0.05"]), float(row["q0.95"]), 0.9, "central draws"),
                    conditional_on=("the study's own structure" if alone else mixed,),
                    basis=replace(drawn.basis, n=int(row["draws"])),
                )

    def tables(self, findings: Findings) -> "Mapping[str, pd.DataFrame]":
        """Every date and quantile."""
        rows = findings.assessment.forecasts
        return {} if rows.empty else {"forecast": rows}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bands by scenario, of the study's own structure."""
        if len(findings.assessment.forecasts) and findings.bands:
            yield Drawing(
                "forecast",
                figures_posterior.forecast_figure,
                (own_rows(findings.assessment.forecasts), findings.fit.curves.levels),
                {"time": findings.fit.study.time},
            )

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """From when, bands, and a few dates."""
        if findings.assessment.forecasts.empty or not findings.bands:
            return
        forecasts = findings.assessment.forecasts
        words = (
            "Given the structure and the scenario; forecast.csv has every date and more quantiles, for later data to "
            "score."
        )
        caption = "Medians, 50 % and 90 % bands by scenario, after the numbers that were seen."
        blocks: tuple[Block, ...] = (
            Paragraph(words),
            Listing(tuple(origins(forecasts))),
            *pictures.show("forecast", caption),
            forecast_table(own_rows(forecasts)),
            *by_structure(forecasts),
        )
        yield Section("Forecasts", blocks)

    def not_run(self, findings: Findings) -> Iterable[str]:
        """Bands of draws that have not converged; a posterior that has always has a forecast, where time is left."""
        if not findings.bands:
            yield "Bands and forecasts: the chains have not converged; raise --steps."


def own_rows(forecasts: "pd.DataFrame") -> "pd.DataFrame":
    """Those of the study's own structure."""
    return forecasts[forecasts["structure"] == OWN]


def by_structure(forecasts: "pd.DataFrame") -> Iterator[Block]:
    """Every structure and mixture at the last date, with the study's own settings."""
    last = (forecasts["time"] == forecasts["time"].max()) & (forecasts["scenario"] == forecasts["scenario"].iloc[0])
    chosen = forecasts[last]
    if chosen["structure"].nunique() < 2:
        return
    caption = (
        "The last date under every structure and under their mixtures, with the settings as fitted. A band of one "
        "structure holds no doubt about the structure; that of a mixture does, as far as the study lists structures."
    )
    yield Table(("observation", "structure", *_HEAD), _rows(chosen, "structure"), caption)


def forecast_table(forecasts: "pd.DataFrame") -> Table:
    """Quantiles at a few dates, evenly over the time to come."""
    times = np.unique(forecasts["time"])
    chosen = times[np.linspace(0, len(times) - 1, min(DATES, len(times))).round().astype(int)]
    return Table(("observation", "scenario", *_HEAD), _rows(forecasts[forecasts["time"].isin(chosen)], "scenario"))


_HEAD = ("date", "5 %", "25 %", "50 %", "75 %", "95 %")


def _rows(forecasts: "pd.DataFrame", by: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table, an observation after the other; counts are whole, a measurement has three digits."""
    rows = []
    for name in forecasts["observation"].unique():
        for row in forecasts[forecasts["observation"] == name].to_dict("records"):
            digits = ".0f" if all(float(row[q]).is_integer() for q in QUANTILES) else ".3g"
            shown = (f"{row[q]:{digits}}" for q in ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95"))
            rows.append((name, row[by], row["date"], *shown))
    return tuple(rows)
