"""The report as one page of HTML that needs no other file: tables, pictures, and excerpts to hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from models.evaluate.hearing import Scene, data_uri
from models.evaluate.plots import curves, sdr_by_stem, spectrograms
from models.evaluate.report import Report
from models.evaluate.tables import Figures, identities, tables

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 1px solid #999; font-weight: 600 } tr.groups th { border: 0; text-align: center }
tbody tr:hover { background: #f2f2f2 } p.note { color: #666; margin: .3rem 0 2rem }
svg, img { max-width: 100%; height: auto } audio { width: 11rem; height: 2rem } code { overflow-wrap: anywhere }
"""


def page(report: Report, scenes: Sequence[Scene]) -> str:
    """Return the page; `scenes` are what can be heard and looked at."""
    names = ", ".join(each.name for each in report.sources) or "baselines"
    parts = [
        f"<h1>{escape(names)}: {escape(report.material)}</h1>",
        "<p>Every figure is measured through the separator's file and the streaming engine of the live host.</p>",
        *(f"<p>{escape(note)}</p>" for note in report.notes),
        sdr_by_stem(report),
    ]
    if any(manner.costs for manner in report.manners.values()):
        parts += ["<h2>What delay and work buy</h2>", curves(report)]
    parts += ["<h2>Figures</h2>", *map(_table, tables(report))]
    for scene in scenes:
        parts += [f"<h2>{escape(scene.name)}</h2>", spectrograms(scene), *_sounds(scene)]
    parts += ["<h2>Identity</h2>", *(f"<p><code>{escape(line)}</code></p>" for line in identities(report))]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(names)}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _table(figures: Figures) -> str:
    groups = ""
    if figures.groups:
        heads = "".join(f'<th colspan="{span}">{escape(name)}</th>' for name, span in figures.groups)
        groups = f'<tr class="groups"><th></th>{heads}</tr>'
    note = f'<p class="note">{escape(figures.note)}</p>' if figures.note else ""
    body = "".join(_row("td", row) for row in figures.rows)
    head = groups + _row("th", figures.columns)
    return f"<h3>{escape(figures.title)}</h3><table><thead>{head}</thead><tbody>{body}</tbody></table>{note}"


def _row(kind: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"


def _sounds(scene: Scene) -> Iterator[str]:
    """Yield a table of players: a row for what was made by whom, a column for each stem."""
    peak = float(np.abs(scene.mixture).max())

    def player(audio: np.ndarray) -> str:
        return f'<audio controls preload="none" src="{data_uri(audio, peak)}"></audio>'

    lines = ({"the true stems": scene.truth} if scene.truth else {}) | scene.estimates
    names = list(dict.fromkeys(name for stems in lines.values() for name in stems))
    yield f"<p>mixture {player(scene.mixture)}</p>"
    yield "<table><thead>" + _row("th", ("", *names)) + "</thead><tbody>"
    for label, stems in lines.items():
        cells = "".join(f"<td>{player(stems[name]) if name in stems else ''}</td>" for name in names)
        yield f"<tr><td>{escape(label)}</td>{cells}</tr>"
    yield "</tbody></table>"
