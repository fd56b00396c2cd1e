"""``cipark report``."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.commands.result import Result
from cipark_sd.console import echo
from cipark_sd.library import load

if TYPE_CHECKING:
    from cipark_sd.pages.blocks import Page

#: The entry-point group of functions that write the files of a folder again from the findings in it. Each returns what
#: it has written, or None where the folder has no findings of its kind.
GROUP = "cipark_sd.findings"
#: Writes the files of a folder again, figures as PNG and PDF too where that is wanted.
Again = Callable[[Path, bool], "list[Path] | None"]


@click.command("report", short_help="Combine several reports on one page.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--again", is_flag=True, help="First write tables, figures and page of each folder from its findings.")
@click.option("--print", "for_print", is_flag=True, help="As --again, with each figure as PNG and PDF beside its SVG.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("report.html"),
              show_default=True, help="HTML file; it needs no other file beside it.")  # fmt: skip
def command(folders: tuple[Path, ...], again: bool, for_print: bool, output: Path) -> Result:
    """Combine the reports of several commands on one self-contained page.

    FOLDERS are output folders of calibrate, policy and sensitivity, in the order of the page. Where two of them have
    different numbers of one quantity, the page says which and why; draws, models and data that do not belong together
    are warned of. Nothing is computed.

    \b
    Examples:
      cipark report cipark-output/great_stone cipark-output/great_stone-policy cipark-output/great_stone-sensitivity
      cipark report first-look -o look.html
      cipark report --again first-look            its tables, figures and page, from what was computed
      cipark report --print first-look            and each figure as PNG and PDF, for slides and papers
    """
    from cipark_sd.errors import InvalidValue, raise_all
    from cipark_sd.files import output_folder, write_text
    from cipark_sd.optional import record_in
    from cipark_sd.pages.combined import combined
    from cipark_sd.pages.page import read_page

    record_in()
    pages: list[tuple[Page, Path]] = []
    problems = []
    for folder in folders:
        try:
            if again or for_print:
                _write_again(folder, for_print)
            pages.append((read_page(folder), folder))
        except InvalidValue as problem:
            problems.append(problem)
    raise_all("cipark report", problems)
    output_folder(output.parent)
    document, warnings = combined(pages)
    write_text(output, document)
    for warning in warnings:
        echo(f"warning: {warning}", err=True)
    echo(f"written to {output}")
    return Result({"output": output, "folders": folders, "warnings": warnings})


def _write_again(folder: Path, for_print: bool) -> None:
    from cipark_sd.errors import UnusableInput

    writers: list[Again] = [load(entry) for entry in importlib.metadata.entry_points(group=GROUP)]
    written = [made for writer in writers if (made := writer(folder, for_print)) is not None]
    if not written:
        raise UnusableInput(f"{folder} has no findings of a command in it", where="--print" if for_print else "--again")
