"""Tables for people: rich on a terminal, aligned plain text when the output goes on to a file or another program."""

import sys
from collections.abc import Sequence

import click


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), title: str = ""
) -> None:
    """Print ``rows`` under ``columns``; those whose positions are in ``right`` align to the right."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title or None, title_justify="left", show_edge=False, header_style="bold")
        for position, column in enumerate(columns):
            table.add_column(column, justify="right" if position in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(_escaped, row))
        Console().print(table)
        return
    if title:
        click.echo(title)
    widths = [max(len(row[position]) for row in (columns, *rows)) for position in range(len(columns))]
    for row in (columns, *rows):
        cells = [
            text.rjust(width) if position in right else text.ljust(width)
            for position, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def number(value: float) -> str:
    """A value with four significant digits, whole numbers as such.

    >>> number(41.0), number(0.123456), number(1234567.8)
    ('41', '0.1235', '1,234,568')
    """
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
