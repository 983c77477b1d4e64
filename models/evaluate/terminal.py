"""The report in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from models.evaluate.report import Report
from models.evaluate.tables import Figures, identities, tables

WIDTH = 132
"""Columns of text where there is no terminal to ask: as wide as the widest table but museval's."""


def show(report: Report, console: Console) -> None:
    """Print the tables, the notes, and what makes the figures repeatable."""
    for figures in tables(report):
        console.print(figures.title, style="bold", highlight=False, soft_wrap=True)
        console.print(_table(figures))
        if figures.note:
            console.print(figures.note, style="dim", highlight=False, soft_wrap=True)
        console.print()
    for line in (*report.notes, *identities(report)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _table(figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False)
    heads = list(figures.columns)
    names = [name for name, span in figures.groups for _ in range(span)]
    for index, name in enumerate(names, 1):
        heads[index] = f"{name}\n{heads[index]}"
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left", no_wrap=index == 0)
    for row in figures.rows:
        table.add_row(*row)
    return table


def console() -> Console:
    """Return the console to print on."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=WIDTH)
