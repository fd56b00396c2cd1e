"""What ``cipark sensitivity`` leaves behind: Datasets, tables, figures, a text and a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.commands.sensitivity_found import Found
from cipark_sd.commands.sensitivity_page import page
from cipark_sd.commands.sensitivity_tables import tables
from cipark_sd.files import whole, write_text
from cipark_sd.report import write_page
from cipark_sd.sensitivity.ranking import strongest_names
from cipark_sd.sensitivity.sample import fan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of the figures: sharp on a page, and not a second for each file.
DPI = 130


def write(found: Found, folder: Path, seed: int) -> list[Path]:
    """Write everything into a folder that exists; each file appears whole or not at all."""
    from cipark_sd.plotting.files import save_figure

    written: list[Path] = []
    for name, dataset in found.datasets().items():
        written.append(folder / f"{name}.nc")
        with whole(written[-1]) as partial:
            dataset.to_netcdf(partial, engine="h5netcdf")
    all_tables = tables(found, seed)
    for name, table in all_tables.items():
        written.append(folder / f"{name}.csv")
        with whole(written[-1]) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
    text = f"{found.study.title}\n\n" + "\n\n".join(found.sentences()) + "\n"
    written.append(write_text(folder / "summary.txt", text))
    pictures = []
    for name, figure in figures(found):
        save_figure(figure, folder / f"{name}.png", dpi=DPI)
        written.append(folder / f"{name}.png")
        pictures.append(f"{name}.png")
    return written + write_page(page(found, all_tables, pictures), folder)


def figures(found: Found) -> "Iterator[tuple[str, Figure]]":
    """Figures by name."""
    from cipark_sd.plotting import decisions, indices
    from cipark_sd.plotting import sensitivity as plot
    from cipark_sd.plotting.loops import plot_loops

    moments = found.moments
    if found.sobol is not None:
        yield "indices", indices.indices_over_time(found.sobol, moments)
        yield "heat-map", indices.heat_map(found.sobol)
        yield "convergence", indices.convergence(found.sobol, moments)
    if found.shapley is not None:
        yield "shapley-over-time", indices.shapley_over_time(found.shapley, moments)
        yield "shapley", plot.shapley_bars(found.shapley, moments)
    if found.sample is not None:
        yield "fan", plot.fan_chart(fan(found.sample), moments)
    if found.tornado is not None:
        yield "tornado", plot.tornado_bars(found.tornado, moments)
    if found.morris is not None:
        yield "morris", plot.morris_planes(found.morris, moments)
    if found.claims is not None:
        yield "claims", decisions.claims_map(found.claims)
    if found.choices is not None:
        yield "choices", decisions.choice_bars(found.choices)
    if found.loops is not None:
        yield "loops", plot_loops(found.loops)
    leading = found.sobol if found.sobol is not None else found.shapley
    if found.sample is not None and leading is not None:
        for output in map(str, leading["output"].to_numpy()):
            for moment in moments:
                names = strongest_names(leading, output, moment, count=4)
                if len(names) > 1:
                    tail = f"{_file(output)}_{_file(moment.label)}"
                    yield f"scatter_{tail}", plot.scatter_matrix(found.sample, names, output, moment)


def _file(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(character if character.isalnum() else "-" for character in text).strip("-").lower()
