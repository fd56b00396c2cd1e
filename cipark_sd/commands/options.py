"""Options that every command with a model has."""

from pathlib import Path

import click

#: Names the folders in which the files of a model or a study may lie, beside its own.
allow_files = click.option(
    "--allow-files",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Files that the model or study names may lie beneath FOLDER as well as beneath its own; may be repeated.",
)
