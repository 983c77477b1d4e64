"""The report as one page of HTML that needs no other file, no script and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from realtime.bench.contenders import ALONE, PRODUCT
from realtime.bench.contest import Result
from realtime.bench.figures import Measured
from realtime.bench.plots import contenders, histogram, latency_split, message_delays, reach, timeline
from realtime.bench.report import Report
from realtime.bench.table import Table, tables

_STYLE = """
:root { color-scheme: dark }
body { font: 15px/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1.2rem; color: #e4e7eb; background: #13161b }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem } h3 { font-size: 1rem; font-weight: 600; margin: .2rem 0 }
p { max-width: 62rem; margin: .4rem 0 } p.note, .sub { color: #a3adb8 } ul { padding-left: 1.2rem }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr)); gap: 1rem }
.card { background: #1b1f26; border: 1px solid #2b313a; border-radius: 8px; padding: .8rem 1rem; overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .2rem .7rem; text-align: right } th:first-child, td:first-child { text-align: left; color: #a3adb8 }
thead th { border-bottom: 1px solid #4a525d; font-weight: 600 } tbody tr:hover { background: #242a33 } .wrong { color: #ff7b72 }
svg { width: 100%; height: auto; max-width: 52rem; display: block } svg text { font: 11.5px system-ui, sans-serif; fill: #e4e7eb }
svg text.tick { fill: #a3adb8 } svg text.mark { fill: #e4e7eb } svg text.deadline { fill: #ff7b72 } svg text.inside { fill: #10131a }
line.grid { stroke: #2b313a } line.axis { stroke: #6b7480 } line.mark { stroke: #e4e7eb; stroke-width: 1.5 }
line.deadline { stroke: #ff7b72; stroke-width: 1.5; stroke-dasharray: 5 3 } line.measured { stroke: #fff; stroke-width: 2.5 }
.single, .window { fill: #58a6e8 } .stems, .reserve { fill: #e3a44a } .block { fill: #4cc2a0 } .resampler { fill: #b795e6 }
.look-ahead { fill: #8b95a1 } .late { fill: #ff5d55 } .control { fill: #b795e6 } .strip { fill: #242a33 } .peer { fill: #b795e6 }
table.words td { text-align: left } .thin { opacity: .45 } .dot { opacity: .75 }
"""

_METHOD = (
    "Each mode and run plays a looped song on a device without hardware, in real time and in a process of its own, as the live "
    "host's engine does, while the condition goes from preset to preset every second. Deadlines are absolute: a late hop leaves "
    "those of the following ones where they were. The first second is discarded."
)


def page(report: Report) -> str:
    """Return the page."""
    title = f"Bench of {report.separator}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(_parts(report, title)) + "\n</body></html>\n"
    )


def _parts(report: Report, title: str) -> Iterator[str]:
    machine = report.machine
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="sub">{escape(str(machine["cpu"]))}, {escape(str(machine["cores"]))} cores; {escape(report.begun)}</p>'
    yield f"<p>{escape(_METHOD)}</p>"
    problems = [f"{each.mode} {each.run}: {each.reason}" for each in report.refused] + list(report.notes)
    if problems:
        yield "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in problems) + "</ul>"
    found = {table.title: table for table in tables(report)}
    if report.measured:
        yield _section(found.pop("Modes"))
        yield "<h2>Added latency by cause</h2>" + _card(latency_split(report.measured))
        # One axis for all, so that modes can be compared by eye.
        axis = reach(report.measured)
        yield "<h2>Work per hop</h2>" + _cards(report.measured, lambda row: histogram(row, axis))
        yield "<h2>Work and misses over time</h2>" + _cards(report.measured, lambda row: timeline(row, axis))
    for table in found.values():
        yield _section(table)
        if report.osc is not None and table.title.startswith("OSC message to"):
            yield _card(message_delays(report.osc))
        elif any(each.period_ms for each in report.contest) and table.title.startswith("On one core"):
            yield _card(contenders(report.contest))
            if (sentence := rate_sentence(report.contest)) is not None:
                yield f"<p>{escape(sentence)}</p>"
    yield '<h2>Machine</h2><table class="words"><tbody>'
    yield "".join(f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in machine.items())
    yield "</tbody></table>"


def rate_sentence(results: Sequence[Result]) -> str | None:
    """Return the arithmetic rate of the network beside the core's plain matrix product; None where there is none to tell."""
    product = next((each for each in results if each.name == PRODUCT), None)
    alone = next((each for each in results if each.name.endswith(ALONE)), None)
    if product is None or alone is None or not alone.gmacs_per_second:
        return None
    share = 100 * alone.gmacs_per_second / product.gmacs_per_second
    return (
        f"{alone.name}: {alone.gmacs_per_second:.1f} GMAC/s, {share:.0f} % of the "
        f"{product.gmacs_per_second:.1f} GMAC/s that a plain matrix product reaches on this core in the same run."
    )


def _section(table: Table) -> str:
    def row(kind: str, cells: tuple[str, ...]) -> str:
        wrong = [' class="wrong"' if index in table.wrong else "" for index in range(len(cells))]
        shown = [escape(cell).replace("\n", "<br>") for cell in cells]
        return "<tr>" + "".join(f"<{kind}{c}>{s}</{kind}>" for c, s in zip(wrong, shown, strict=True)) + "</tr>"

    body = "".join(row("td", cells) for cells in table.rows)
    return (
        f'<h2>{escape(table.title)}</h2><div class="card"><table><thead>{row("th", table.head)}</thead>'
        f'<tbody>{body}</tbody></table></div><p class="note">{escape(table.note)}</p>'
    )


def _card(content: str, title: str = "") -> str:
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="card">{head}{content}</div>'


def _cards(rows: Sequence[Measured], plot: Callable[[Measured], str]) -> str:
    cards = (_card(plot(row), f"{row.figures.mode} {row.figures.run}") for row in rows)
    return '<div class="grid">' + "".join(cards) + "</div>"
