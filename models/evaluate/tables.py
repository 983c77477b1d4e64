"""The tables of a report, as text: the terminal and the page show the same ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

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
    if len(report.sets) > 1:
        yield _means(report)
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


def short_tables(report: Report) -> Iterator[Figures]:
    """Yield what a model card shows: whole-signal SDR of every set; of the first one BSS Eval too; leakage and work."""
    for figures in report.sets:
        yield _kind(figures, report, "whole-signal SDR in dB", lambda row: row.sdr)
    yield _kind(report.first, report, "SDR of BSS Eval v4, as by museval, in dB", lambda row: row.frames)
    if report.ratios:
        yield _joined(_ratios(report.first), 3, STEMS + ("mean",))
    if report.manners:
        yield _leakage(report)
        yield _joined(_solo(report), 4, tuple(f"{what}: {' / '.join(STEMS)}" for what in ("kept", "leak")))
    if any(manner.costs for manner in report.manners.values()):
        yield _moments(report)
        yield _costs(report)


def _kind(figures: SetFigures, report: Report, title: str, pick: Callable[[RowFigures], dict[str, float]]) -> Figures:
    def cells(values: dict[str, float]) -> Iterator[str]:
        yield from (number(values.get(stem, math.nan)) for stem in STEMS)
        yield number(mean_over_stems(values))

    return Figures(
        title=f"{title}: {_named(figures, report)}",
        columns=("", *STEMS, "mean"),
        rows=tuple((label, *cells(pick(row))) for label, row in figures.rows.items()),
    )


def _joined(figures: Figures, width: int, columns: Sequence[str]) -> Figures:
    """Return the table with every `width` cells after the first made one, under `columns`."""
    starts = range(1, len(figures.columns), width)
    rows = tuple((row[0], *(" / ".join(row[at : at + width]) for at in starts)) for row in figures.rows)
    return replace(figures, columns=("", *columns), rows=rows, groups=())


def _named(figures: SetFigures, report: Report) -> str:
    count = len(figures.tracks)
    return f"{report.material}, {figures.name}" + (f", median of {count}" if count > 1 else "")


def identities(report: Report) -> list[str]:
    """Return what makes the figures repeatable: weights, files, audio, seed and command, a line each."""
    lines = [f"weights of {each.name}: sha256 {each.weights} (file {each.file})" for each in report.sources]
    lines += [f"audio of {each.name}: sha256 {each.audio}" for each in report.sets]
    return [*lines, f"seed {report.seed}", report.command]


def number(value: float, digits: int = 2) -> str:
    """Return a figure for a table: a dash for none, words for nothing at all and for what only rounding has touched."""
    if math.isnan(value):
        return "-"
    if value > EXACT:
        return "exact"
    return "nothing" if value <= FLOOR else f"{value:.{digits}f}"


def _means(report: Report) -> Figures:
    def cell(row: RowFigures) -> str:
        missing = "" if len(row.sdr) == len(STEMS) else f" ({', '.join(row.sdr)})"
        return number(mean_over_stems(row.sdr) if not missing else median(row.sdr.values())) + missing

    return Figures(
        title=f"mean over stems of whole-signal SDR in dB: {report.material}",
        columns=("", *(figures.name for figures in report.sets)),
        rows=tuple(
            (label, *(cell(figures.rows[label]) for figures in report.sets if label in figures.rows))
            for label in report.first.rows
        ),
    )


def _quality(figures: SetFigures, report: Report) -> Figures:
    kinds = (lambda row: row.sdr), (lambda row: row.frames)

    def cells(row: RowFigures) -> Iterator[str]:
        for kind in kinds:
            values = kind(row)
            yield from (number(values.get(stem, math.nan)) for stem in STEMS)
            yield number(mean_over_stems(values))

    return Figures(
        title=f"SDR in dB: {_named(figures, report)}",
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
        name = report.rows[label]
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
        title="leakage in dB: how loud a stem comes out of a mixture that lacks it, against that mixture"
        f"; {', '.join(report.manners_on)}",
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
