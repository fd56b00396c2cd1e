"""Tables, figures and the page of an inquiry."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from calibration import figures, figures_posterior
from calibration.contraction import Contraction
from calibration.draws import PosteriorDraws
from calibration.forecast import table as forecast_table
from calibration.inquiry import Inquiry
from calibration.record import Fit, write_table
from calibration.report import report
from calibration.scores import LEVELS, Score
from calibration.self_test import MASSES, SelfTest
from cipark_sd.files import whole
from cipark_sd.report import write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of the parameters in pair and mixing plots: those that the data narrowed most.
MOST = 8


def write(fit: Fit, drawn: PosteriorDraws, found: Inquiry, folder: Path) -> list[Path]:
    """Write everything beside what :func:`calibration.record.write` wrote; each file appears whole or not at all."""
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
    drawings = _figures(fit, drawn, found)
    for name, figure in drawings.items():
        with whole(folder / f"{name}.png") as partial:
            figures.save(figure, partial)
        written.append(folder / f"{name}.png")
    earlier = ("fit", "waterfall", *(["profiles"] if fit.profiles else []), "posterior")
    pictures = {name: folder / f"{name}.png" for name in (*earlier, *drawings)}
    written += write_page(report(fit, drawn, found, pictures), folder)
    return written


def _figures(fit: Fit, drawn: PosteriorDraws, found: Inquiry) -> "dict[str, Figure]":
    narrowed: list[Contraction] = sorted(found.contractions, key=lambda line: -line.contraction)
    names = [line.name for line in narrowed[:MOST]]
    pits = [row.pit for row in fit.predicted if row.use == "fit" and row.pit is not None]
    result = {
        "bands": figures_posterior.bands_figure(drawn, found.replicates),
        "pairs": figures_posterior.pairs_figure(drawn, names),
        "mixing": figures_posterior.mixing_figure(drawn, names),
    }
    if pits:
        result["pit"] = figures_posterior.pit_figure(pits)
    if found.rolling is not None and found.rolling.scores:
        result["holdout"] = figures_posterior.holdout_figure(found.rolling)
    if found.comparison:
        result["rivals"] = figures_posterior.rivals_figure(found.comparison)
    return result


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
