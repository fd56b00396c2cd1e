"""``cipark report``."""

from pathlib import Path

import click


@click.command("report", short_help="Combine several reports on one page.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--title", help="Title of the page (default: the titles of its parts).")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("report.html"),
              show_default=True, help="HTML file; it needs no other file beside it.")  # fmt: skip
def command(folders: tuple[Path, ...], title: str | None, output: Path) -> None:
    """Combine the reports of several commands on one self-contained page.

    FOLDERS are output folders of calibrate, policy and sensitivity, in the order of the page.

    \b
    Examples:
      cipark report cipark-output/great_stone cipark-output/great_stone-policy cipark-output/great_stone-sensitivity
      cipark report first-look -o look.html
    """
    from cipark_sd.errors import InvalidValue, raise_all
    from cipark_sd.files import output_folder, write_text
    from cipark_sd.pages.page import read_page, render

    pages, problems = [], []
    for folder in folders:
        try:
            pages.append((read_page(folder), folder))
        except InvalidValue as problem:
            problems.append(problem)
    raise_all("cipark report", problems)
    output_folder(output.parent)
    write_text(output, render(pages, title))
    click.echo(f"written to {output}")
