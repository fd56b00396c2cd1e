"""Forecasts by scenario."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibration.assess.forecast import EQUAL, OWN, ForecastRow, origins
from calibration.assess.forecast import table as forecast_lines
from calibration.report import figures_assessment
from calibration.report.findings import Findings
from calibration.report.sections.base import ReportPart, Rows, record
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures

#: Dates of a forecast that stand on the page.
DATES = 4


class Forecasts(ReportPart):
    """Quantiles of what may come."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each observation and scenario the median at the last date."""
        rows = findings.assessment.forecasts if findings.bands else ()
        drawn = findings.fit.posterior
        chosen = [row for row in rows if row.structure in (OWN, EQUAL)]
        last = {(row.observation, row.scenario, row.structure): row for row in sorted(chosen, key=lambda row: row.time)}
        for row in last.values():
            if drawn is not None and np.isfinite(row.quantiles).all():
                alone = row.structure == OWN
                n = len({line.name for line in findings.assessment.comparison})
                mixed = f"the mixture of {n} structures with equal weights"
                scenario = row.scenario if alone else f"{row.scenario}, mixture"
                yield record(
                    findings,
                    f"observation {row.observation} at {row.time:.10g}, scenario {scenario}",
                    row.quantiles[4],
                    unit="",
                    kind="median",
                    interval=Bounds(row.quantiles[1], row.quantiles[7], 0.9, "central draws"),
                    conditional_on=("the study's own structure" if alone else mixed,),
                    basis=replace(drawn.basis, n=row.n_draws),
                )

    def tables(self, findings: Findings) -> Mapping[str, Rows]:
        """Every date and quantile."""
        rows = forecast_lines(findings.assessment.forecasts)
        return {"forecast": rows} if rows else {}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bands by scenario, of the study's own structure."""
        if findings.assessment.forecasts and findings.bands:
            yield Drawing(
                "forecast",
                figures_assessment.forecast_figure,
                (own_rows(findings.assessment.forecasts), findings.fit.curves.levels),
                {"time": findings.fit.study.time},
            )

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """From when, bands, and a few dates."""
        if not findings.assessment.forecasts or not findings.bands:
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


def own_rows(forecasts: Sequence[ForecastRow]) -> tuple[ForecastRow, ...]:
    """Those of the study's own structure."""
    return tuple(row for row in forecasts if row.structure == OWN)


def by_structure(forecasts: Sequence[ForecastRow]) -> Iterator[Block]:
    """Every structure and mixture at the last date, with the study's own settings."""
    last = max(row.time for row in forecasts)
    chosen = [row for row in forecasts if row.time == last and row.scenario == forecasts[0].scenario]
    if len({row.structure for row in chosen}) < 2:
        return
    rows = [
        (row.observation, row.structure, row.date, *(f"{row.quantiles[i]:{_digits(row)}}" for i in (1, 3, 4, 5, 7)))
        for row in sorted(chosen, key=lambda row: [r.observation for r in chosen].index(row.observation))
    ]
    caption = (
        "The last date under every structure and under their mixtures, with the settings as fitted. A band of one "
        "structure holds no doubt about the structure; that of a mixture does, as far as the study lists structures."
    )
    yield Table(("observation", "structure", "date", "5 %", "25 %", "50 %", "75 %", "95 %"), tuple(rows), caption)


def forecast_table(forecasts: Sequence[ForecastRow]) -> Table:
    """Quantiles at a few dates, evenly over the time to come."""
    times = sorted({row.time for row in forecasts})
    chosen = {times[i] for i in np.linspace(0, len(times) - 1, min(DATES, len(times))).round().astype(int)}
    rows = [
        (row.observation, row.scenario, row.date, *(f"{row.quantiles[i]:{_digits(row)}}" for i in (1, 3, 4, 5, 7)))
        for row in sorted(forecasts, key=lambda row: [r.observation for r in forecasts].index(row.observation))
        if row.time in chosen
    ]
    return Table(("observation", "scenario", "date", "5 %", "25 %", "50 %", "75 %", "95 %"), tuple(rows))


def _digits(row: ForecastRow) -> str:
    """Counts are whole; a measurement has three digits."""
    return ".0f" if all(q.is_integer() for q in row.quantiles) else ".3g"
