"""The tables of a report, as text: the terminal and the page show the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.data.corpus import STEMS
from models.evaluate.evaluation import Manner, RowFigures, SetFigures, mean_over_stems
from models.evaluate.ratios import FLOOR, median
from models.evaluate.report import Report, mean_ratios

EXACT = 100.0
"""An SDR above this is rounding, in dB."""


@dataclass(frozen=True)
class Figures:
    """A table: `title`, heads of its `columns`, `rows` of cells, and a sentence below that says what it means.

    `groups` are heads over the columns after the first, each with the number of columns it spans.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    groups: tuple[tuple[str, int], ...] = ()


def tables(report: Report) -> Iterator[Figures]:
    """Yield the tables in the order in which they are to be read."""
    for figures in report.sets:
        yield _quality(figures, report)
    if report.ratios:
        yield _ratios(report.first)
    if any(manner.costs for manner in report.manners.values()):
        yield _costs(report)
    if report.manners:
        yield _leakage(report)
        yield _solo(report)
    if any(manner.costs for manner in report.manners.values()):
        yield _moments(report)


def identities(report: Report) -> list[str]:
    """Return what makes the figures repeatable: weights, files, audio and seed, a line each."""
    lines = [f"weights of {each.name}: sha256 {each.weights} (file {each.file_hash})" for each in report.contestants]
    lines += [f"audio of {each.name}: sha256 {each.audio}" for each in report.sets]
    return [*lines, f"seed {report.seed}"]


def number(value: float, digits: int = 2) -> str:
    """Return a figure for a table: a dash for none, words for nothing at all and for what only rounding has touched."""
    if math.isnan(value):
        return "-"
    if value > EXACT:
        return "exact"
    return "nothing" if value <= FLOOR else f"{value:.{digits}f}"


def _quality(figures: SetFigures, report: Report) -> Figures:
    kinds = (lambda row: row.sdr), (lambda row: row.frames)

    def cells(row: RowFigures) -> Iterator[str]:
        for kind in kinds:
            values = kind(row)
            yield from (number(values.get(stem, math.nan)) for stem in STEMS)
            yield number(mean_over_stems(values))

    count = len(figures.tracks)
    return Figures(
        title=f"SDR in dB: {report.material}, {figures.name}" + (f", median of {count}" if count > 1 else ""),
        columns=("", *STEMS, "mean", *STEMS, "mean"),
        groups=(("whole", 5), ("v4", 5)),
        rows=tuple((label, *cells(row)) for label, row in figures.rows.items()),
        note="whole: of the whole signal. v4: BSS Eval version 4, the median over the seconds in which no stem is digital "
        "silence, though one may be too faint to hear, as most are in most of a whole song.",
    )


def _ratios(figures: SetFigures) -> Figures:
    def cells(row: RowFigures) -> Iterator[str]:
        for ratios in (*(row.bss.get(stem) for stem in STEMS), mean_ratios(row.bss)):
            yield from ("-",) * 3 if ratios is None else (number(r, 1) for r in (ratios.isr, ratios.sir, ratios.sar))

    return Figures(
        title=f"museval in dB, {figures.name}: spatial distortion (ISR), interference (SIR), artifacts (SAR)",
        columns=("", *(("ISR", "SIR", "SAR") * 5)),
        groups=tuple((stem, 3) for stem in (*STEMS, "mean")),
        rows=tuple((label, *cells(row)) for label, row in figures.rows.items() if row.bss),
        note="With the dither of 16-bit files. A separator of some stems is measured against the sum of the others.",
    )


def _costs(report: Report) -> Figures:
    rows = []
    slowest: dict[str, float] = {}
    for label, manner in sorted(
        ((label, manner) for label, manner in report.manners.items() if manner.costs),
        key=lambda entry: -entry[1].costs.delay_ms,
    ):
        sdr, costs = report.first.rows[label].sdr, manner.costs
        mean = mean_over_stems(sdr) if len(sdr) == len(STEMS) else median(sdr.values())
        name = label.rsplit(", ", 1)[0]
        work = costs.work_ms
        rows.append(
            (
                label,
                number(costs.delay_ms, 1),
                number(costs.period_ms, 1),
                number(work.get("single", math.nan)),
                number(work.get("stems", math.nan)),
                f"{100 * costs.load:.0f} %" + (" (given)" if costs.given else ""),
                number(mean) + ("" if len(sdr) == len(STEMS) else f" ({', '.join(sdr)})"),
                number(mean - slowest.setdefault(name, mean)),
            )
        )
    order = {label: index for index, label in enumerate(report.first.rows)}
    return Figures(
        title=f"delay, work and SDR ({report.first.name})",
        columns=("", "delay ms", "call ms", "one stem ms", "all stems ms", "of a core", "mean SDR", "against slowest"),
        rows=tuple(sorted(rows, key=lambda row: order[row[0]])),
        note="Added delay: window, block and a reserve of one call. Work: median time of a call, measured here unless given.",
    )


def _leakage(report: Report) -> Figures:
    def cells(manner: Manner) -> Iterator[str]:
        absent = manner.behaviour.absent
        yield from (number(absent.get(stem, math.nan), 1) for stem in STEMS)
        yield number(mean_over_stems(absent), 1)

    return Figures(
        title="leakage in dB: how loud a stem comes out of a mixture that lacks it, against that mixture",
        columns=("", *STEMS, "mean"),
        rows=tuple((label, *cells(manner)) for label, manner in report.manners.items()),
        note="Less is better.",
    )


def _solo(report: Report) -> Figures:
    def cells(manner: Manner) -> Iterator[str]:
        kept, leaks = manner.behaviour.kept, manner.behaviour.leaks
        yield from (number(kept.get(stem, math.nan), 1) for stem in STEMS)
        yield from (number(max(leaks.get(stem, {}).values(), default=math.nan), 1) for stem in STEMS)

    return Figures(
        title="a stem alone: SDR in dB of what is kept of it, and how loud the loudest other one comes out against it",
        columns=("", *STEMS, *STEMS),
        groups=(("kept", 4), ("leak", 4)),
        rows=tuple((label, *cells(manner)) for label, manner in report.manners.items()),
    )


def _moments(report: Report) -> Figures:
    def cells(manner: Manner) -> Iterator[str]:
        yield number(manner.behaviour.silence, 1)
        yield number(manner.behaviour.after, 1)
        switch = manner.switch
        values = (math.nan,) * 3 if switch is None else (switch.settles_ms, switch.loss, switch.click)
        yield from (number(value, 1) for value in values)

    return Figures(
        title="silence, and a condition switched in the middle of a note",
        columns=("", "silence, peak dBFS", "3 s after music, dBFS", "settles in ms", "SDR lost dB", "click dB"),
        rows=tuple((label, *cells(manner)) for label, manner in report.manners.items() if manner.costs),
        note="Settled: within 40 dB of what the new condition gives all along. Lost: over the first half second, against that. "
        "Click: the steepest bend against the steepest of either sound; at most 0 is none.",
    )
