"""Tables and figures of an inquiry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.assessment import Inquiry
from calibration.assess.contraction import Contraction
from calibration.assess.forecast import table as forecast_table
from calibration.assess.posterior_predictive import judged
from calibration.assess.scores import LEVELS, Score
from calibration.assess.self_test import MASSES, SelfTest
from calibration.report import figures_assessment, figures_posterior
from calibration.report.drawing import time_label
from calibration.report.files import Fit, levels_of
from calibration.report.findings import main_effects
from calibration.sampling.draws import PosteriorDraws
from cipark_sd.files import write_table
from cipark_sd.plotting.files import save_for_print

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of the parameters in pair and mixing plots: those that the data narrowed most.
MOST = 8


def write(fit: Fit, drawn: PosteriorDraws, found: Inquiry, folder: Path) -> list[Path]:
    """Write everything beside what :func:`calibration.report.files.write` wrote, each file whole or not at all."""
    tables: dict[str, Sequence[Mapping[str, object]]] = {
        "contraction.csv": [asdict(line) | {"verdict": line.verdict} for line in found.contractions],
        "forecast.csv": forecast_table(found.forecasts),
        "rivals.csv": [asdict(line) for line in found.comparison],
        "effects.csv": [asdict(line) for line in found.effects],
        "step_shift.csv": _steps(found),
    }
    if found.rolling is not None:
        tables["holdout.csv"] = [_flat(one) for one in found.rolling.scores]
        tables["holdout_summary.csv"] = [asdict(line) for line in found.rolling.summary]
    if found.tested is not None:
        tables["self_test.csv"] = _tested(found.tested)
    written = [write_table(folder / name, rows) for name, rows in tables.items() if rows]
    for name, figure in (*_of_draws(fit, drawn, found), *_of_inquiry(fit, found)):
        written += save_for_print(figure, folder, name)
    return written


def _of_draws(fit: Fit, drawn: PosteriorDraws, found: Inquiry) -> "Iterator[tuple[str, Figure]]":
    narrowed: list[Contraction] = sorted(found.contractions, key=lambda line: -line.contraction)
    names = [line.name for line in narrowed[:MOST]]
    pits = judged(fit.predicted)
    yield "bands", figures_posterior.bands_figure(drawn, found.replicates)
    yield "posterior", figures_posterior.posterior_figure(fit.problem.space, drawn.flat)
    yield "pairs", figures_posterior.pairs_figure(drawn, names)
    yield "mixing", figures_posterior.mixing_figure(drawn, names)
    if pits:
        yield "pit", figures_posterior.pit_figure(pits)


def _of_inquiry(fit: Fit, found: Inquiry) -> "Iterator[tuple[str, Figure]]":
    problem = fit.problem
    if found.rolling is not None and found.rolling.scores:
        yield "holdout", figures_assessment.holdout_figure(found.rolling, problem.calendar)
    if found.comparison:
        yield "rivals", figures_assessment.rivals_figure(found.comparison)
    if found.effects:
        order = [line.name for line in found.comparison]
        yield "effects", figures_assessment.effects_figure(main_effects(found.effects), order)
    if found.forecasts:
        label = time_label(problem.calendar, problem.model.time.units)
        yield "forecast", figures_assessment.forecast_figure(found.forecasts, levels_of(fit), time_label=label)
    if found.tested is not None:
        yield "self_test", figures_assessment.self_test_figure(found.tested, np.random.default_rng(fit.seed))


def _flat(one: Score) -> dict[str, object]:
    row = asdict(one)
    quantiles = row.pop("quantiles")
    return row | {f"q{level:g}": value for level, value in zip(LEVELS, quantiles, strict=True)}


def _steps(found: Inquiry) -> list[dict[str, object]]:
    shift = found.step_shift
    return [
        {"parameter": name, "step": step, "estimate": float(shift.theta[j, i]), "shift": float(shift.shift[j, i])}
        for j, step in enumerate(shift.steps)
        for i, name in enumerate(shift.names)
    ]


def _tested(tested: SelfTest) -> list[dict[str, object]]:
    return [
        {"parameter": name, "data_sets": len(tested.ranks)}
        | {f"coverage_{mass:g}": float(value) for mass, value in zip(MASSES, coverage, strict=True)}
        for name, coverage in zip(tested.names, tested.coverage, strict=True)
    ]
