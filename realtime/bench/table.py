"""What was measured, in words and in tables: the same for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.bench.contest import Result
from realtime.bench.figures import Figures
from realtime.bench.flooded import FloodFigures
from realtime.bench.osc import OscFigures
from realtime.bench.report import Report
from realtime.bench.tagged import TagFigures
from realtime.bench.windowed import WindowFigures


@dataclass(frozen=True)
class Table:
    """Rows of cells below `head`; `wrong` are the numbers of columns that ask for attention, `note` explains."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    wrong: tuple[int, ...] = ()


_MODES_NOTE = (
    "Work is the time a hop took, without interpolation between hops. Misses control: by a thread that does nothing, in a "
    "process of its own, at the same time on the same schedule, so the machine's own. Misses card: hops for which the stand-in "
    "for the device, which was late itself, left less time than the median work, among the misses. Misses bare: by the network's "
    "calls alone, without the host, afterwards on the same schedule. Delay: in samples, as reported, and of a click through the "
    "identity separator and the real path. Click: on a change of the condition, the largest second difference of the output over "
    "that of the steady tone, 0 dB where only the tone is heard. MAC: multiply-accumulates of matrix products, convolutions and "
    "recurrences per hop, over the median work."
)
_OSC_NOTE = (
    "From sendto to the first changed sample, in time of the stream: UDP, OSC server, two processes, and a paced engine "
    "that takes a change with its next hop and has its reserve to compute it; the device's block is counted, converters are not."
)
_PEERS_NOTE = (
    "Per hop, one thread, taking turns on one core, one hop after the other without a pause. Late: hops that took longer than a "
    "hop lasts. Untrained networks take the time of trained ones; of their quality this says nothing."
)


def tables(report: Report) -> list[Table]:
    """Return all the tables that `report` has figures for."""
    found = [_modes([each.figures for each in report.measured])] if report.measured else []
    found += [_osc(report.osc)] if report.osc else []
    found += [_tagged(report.tagged)] if report.tagged else []
    found += [_flood(report.flood)] if report.flood else []
    found += [_window(report.window)] if report.window else []
    found += [_contest(report.contest)] if report.contest else []
    return found


def _modes(rows: Sequence[Figures]) -> Table:
    lines = {
        "block": [str(row.block) for row in rows],
        "hop": [str(row.hop) for row in rows],
        "hops": [str(row.hops) for row in rows],
        "latency ms": [f"{row.latency_ms:.1f}" for row in rows],
        "deadline ms": [f"{row.deadline_ms:.1f}" for row in rows],
        "work p50 ms": [f"{row.p50_ms:.2f}" for row in rows],
        "p99 ms": [f"{row.p99_ms:.2f}" for row in rows],
        "p99.9 ms": [f"{row.p999_ms:.2f}" for row in rows],
        "max ms": [f"{row.max_ms:.2f}" for row in rows],
        "load": [f"{100 * row.load:.0f} %" for row in rows],
        "misses": [str(row.misses) for row in rows],
        "misses control": [str(row.misses_control) for row in rows],
        "misses card": ["-" if row.misses_card is None else str(row.misses_card) for row in rows],
        "misses bare": ["-" if row.misses_bare is None else str(row.misses_bare) for row in rows],
        "control p99 ms": [f"{row.control_p99_ms:.2f}" for row in rows],
        "control max ms": [f"{row.control_max_ms:.2f}" for row in rows],
        "delay": [str(row.delay_reported_samples) for row in rows],
        "measured": ["gap" if row.delay_measured_samples is None else str(row.delay_measured_samples) for row in rows],
        "click dB": [f"{row.click_db:+.1f}" for row in rows],
        "memory MB": [_number(row.memory_mb, ".0f") for row in rows],
        "MMAC": [_number(row.mmacs, ".2f") for row in rows],
        "GMAC/s": [_number(row.gmacs_per_second, ".1f") for row in rows],
    }
    if all(row.misses_bare is None for row in rows):
        del lines["misses bare"]
    return Table(
        title="Modes",
        head=("", *(f"{row.mode}\n{row.run}" for row in rows)),
        rows=tuple((label, *cells) for label, cells in lines.items()),
        note=_MODES_NOTE,
        wrong=tuple(index for index, row in enumerate(rows, 1) if not row.agrees),
    )


def _osc(osc: OscFigures) -> Table:
    return Table(
        title=f"OSC message to first changed sample, {osc.mode} {osc.run}",
        head=(
            "messages",
            "heard",
            "p50 ms",
            "p99 ms",
            "max ms",
            "p50 samples",
            "p99 samples",
            "reserve",
            "block",
            "hop",
        ),
        rows=(
            (
                str(osc.messages),
                str(osc.heard),
                *(f"{value:.1f}" for value in (osc.p50_ms, osc.p99_ms, osc.max_ms)),
                *(str(value) for value in (osc.p50_samples, osc.p99_samples, osc.reserve_samples, osc.block, osc.hop)),
            ),
        ),
        note=_OSC_NOTE,
    )


def _tagged(tagged: TagFigures) -> Table:
    residual = "-" if tagged.residual_ms is None else f"{tagged.residual_ms:.3f}"
    return Table(
        title=f"OSC with time tags, {tagged.mode} {tagged.run}",
        head=("bundles", "heard", "late", "jitter RMS ms", "jitter max ms", "residual told ms", "drift ppm"),
        rows=(
            (
                *(str(value) for value in (tagged.messages, tagged.heard, tagged.late)),
                *(f"{value:.3f}" for value in (tagged.jitter_rms_ms, tagged.jitter_max_ms)),
                residual,
                f"{tagged.drift_ppm:+.1f}",
            ),
        ),
        note="Bundles with evenly spaced time tags: how far the first changed samples lie from a line through the tags, beside "
        "what the host itself says of its tracking.",
    )


def _flood(flood: FloodFigures) -> Table:
    return Table(
        title=f"OSC flood, {flood.mode} {flood.run}",
        head=("messages a second", "messages", "hops quiet", "misses quiet", "hops flooded", "misses flooded"),
        rows=(
            (
                str(flood.rate),
                *(str(value) for value in (flood.messages, flood.hops_quiet, flood.misses_quiet)),
                *(str(value) for value in (flood.hops_flooded, flood.misses_flooded)),
            ),
        ),
        note="Spells of one run, in turns quiet and flooded with messages that fit, that do not fit, and that are none.",
    )


def _window(window: WindowFigures) -> Table:
    def cpu(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:.1f} %"

    both = window.closed, window.open
    lines = {
        "hops": [str(each.hops) for each in both],
        "misses": [str(each.misses) for each in both],
        "misses control": [str(each.misses_control) for each in both],
        "work p50 ms": [f"{each.p50_ms:.2f}" for each in both],
        "p99 ms": [f"{each.p99_ms:.2f}" for each in both],
        "p99.9 ms": [f"{each.p999_ms:.2f}" for each in both],
        "load": [f"{100 * each.load:.0f} %" for each in both],
        "engine CPU": [cpu(each.engine_cpu) for each in both],
        "control CPU": [cpu(each.control_cpu) for each in both],
        "window CPU": [cpu(each.window_cpu) for each in both],
    }
    return Table(
        title=f"Without the window and with it, {window.mode} {window.run}",
        head=("", "closed", "open"),
        rows=tuple((label, *cells) for label, cells in lines.items()),
        note=f"{window.stretches} stretches of {window.seconds:g} s of one run, in turns without the window and with it on its page "
        f"{window.page.upper()} (Qt's platform: {window.platform}); the condition moves all the time. Misses control: by a thread "
        "that does nothing, at the same time on the same schedule. CPU: processor time of each process as a share of a core.",
    )


def _contest(results: Sequence[Result]) -> Table:
    return Table(
        title="On one core, one thread, in the same run",
        head=("", "stems", "hop", "lasts ms", "p50 ms", "p99 ms", "max ms", "load", "late", "GMAC/s"),
        rows=tuple(
            (
                each.name,
                str(each.stems or "-"),
                str(each.hop or "-"),
                _number(each.period_ms, ".1f"),
                *(f"{value:.2f}" for value in (each.p50_ms, each.p99_ms, each.max_ms)),
                "-" if each.load is None else f"{100 * each.load:.0f} %",
                "-" if each.late is None else f"{each.late} of {each.hops}",
                _number(each.gmacs_per_second, ".1f"),
            )
            for each in results
        ),
        note=_PEERS_NOTE,
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
