"""What ``cipark sensitivity`` leaves behind: Datasets, tables, figures, a text and a page."""

from pathlib import Path

from cipark_sd.commands.sensitivity.figures import drawings, drawn
from cipark_sd.commands.sensitivity.findings import Found
from cipark_sd.commands.sensitivity.page import page
from cipark_sd.commands.sensitivity.tables import tables
from cipark_sd.files import write_table, write_text
from cipark_sd.pages.page import write_page
from cipark_sd.results import write_netcdf


def write(found: Found, folder: Path, seed: int, workers: int = 1) -> list[Path]:
    """Write everything into a folder that exists; each file appears whole or not at all."""
    written: list[Path] = []
    with drawn(list(drawings(found)), folder, workers) as figures:
        together = found.together()
        datasets = found.datasets() | ({} if together is None else {"all_indices": together})
        for name, dataset in datasets.items():
            written.append(write_netcdf(dataset.assign_attrs(basis=found.inputs.basis.sentence), folder / f"{name}.nc"))
        all_tables = tables(found, seed)
        for name, table in all_tables.items():
            written.append(write_table(folder / f"{name}.csv", table, draws=found.inputs.basis.label))
        text = "\n\n".join([found.question.title, *found.rests_on, *found.sentences()]) + "\n"
        written.append(write_text(folder / "summary.txt", text))
        pictures = figures()
    written += pictures
    shown = [path.name for path in pictures if path.suffix == ".png"]
    return written + write_page(page(found, all_tables, shown), folder)
