"""Pictures of a bench as SVG that stands in the page: histograms, timelines, and bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

import numpy as np

from realtime.bench.contest import Result
from realtime.bench.figures import Measured
from realtime.bench.osc import OscFigures

CAUSES = ("window", "block", "reserve", "resampler", "look-ahead")
_LEFT, _RIGHT, _TOP = 56, 16, 14
_WIDTH = 620
_BINS, _COLUMNS = 72, 270


def _svg(height: int, label: str, parts: Iterator[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>\n'
        f"{body}\n</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _bar(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" class="{kind}">{inside}</rect>'


def _logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    scale = (end - start) / math.log(high / low)
    return lambda value: start + scale * math.log(min(max(value, low), high) / low)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between `low` and `high` for a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    return [tick for decade in decades for step in steps if low <= (tick := step * 10.0**decade) <= high]


def _round_step(span: float, most: int) -> float:
    """Return a round step that divides `span` into at most `most` parts."""
    raw = max(span, 1e-9) / most
    unit = 10 ** math.floor(math.log10(raw))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= raw)


Reach = tuple[float, float]
"""From where to where an axis of milliseconds goes."""


def reach(rows: Sequence[Measured]) -> Reach:
    """Return an axis that holds the work and the deadlines of all `rows`."""
    longest = max(max(float(row.course.took.max()), row.figures.deadline_ms) for row in rows)
    return max(1e-3, min(float(row.course.took.min()) for row in rows) / 1.3), 1.4 * longest


def histogram(measured: Measured, axis: Reach) -> str:
    """Return how often a hop took how long, both axes logarithmic, with the deadline and the percentiles."""
    figures, took = measured.figures, measured.course.took
    low, high = axis
    edges = np.geomspace(low, high, _BINS + 1)
    counts, _ = np.histogram(took, edges)
    bottom = 190
    x = _logarithmic(low, high, _LEFT, _WIDTH - _RIGHT)
    top = max(1, int(counts.max()))

    def y(count: float) -> float:
        return bottom - (bottom - _TOP - 20) * math.log10(1 + count) / math.log10(1 + top)

    def parts() -> Iterator[str]:
        for count in (1, 10, 100, 1000, 10_000, 100_000):
            if count <= top:
                yield _line(_LEFT, y(count), _WIDTH - _RIGHT, y(count), "grid")
                yield _text(_LEFT - 6, y(count) + 4, f"{count}", "tick", "end")
        for tick in _ticks(low, high):
            yield _line(x(tick), bottom, x(tick), bottom + 4, "axis")
            yield _text(x(tick), bottom + 17, f"{tick:g}", "tick", "middle")
        yield _text(_WIDTH - _RIGHT, bottom + 33, "ms of work per hop", "tick", "end")
        for count, start, end in zip(counts, edges, edges[1:], strict=False):
            if count:
                late = start >= figures.deadline_ms
                title = f"{count} hops of {start:.3g} to {end:.3g} ms"
                kind = "late" if late else figures.run
                yield _bar(x(start), y(count), x(end) - x(start) - 0.6, bottom - y(count), kind, title)
        yield _line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, "axis")
        marks = {"p50": figures.p50_ms, "p99": figures.p99_ms, "p99.9": figures.p999_ms, "max": figures.max_ms}
        for value in marks.values():
            yield _line(x(value), bottom - 4, x(value), bottom + 8, "mark")
        yield _text(_LEFT, bottom + 33, ", ".join(f"{name} {value:.2f}" for name, value in marks.items()), "mark")
        deadline = x(figures.deadline_ms)
        yield _line(deadline, _TOP, deadline, bottom, "deadline")
        yield _text(deadline - 5, _TOP + 8, f"deadline {figures.deadline_ms:.1f} ms", "deadline", "end")

    return _svg(232, f"histogram of work per hop, {figures.mode} {figures.run}", parts())


def timeline(measured: Measured, axis: Reach) -> str:
    """Return the work over time, least to most with the median in each column, and below it the misses."""
    figures, course = measured.figures, measured.course
    low, high = axis
    length = max(
        float(course.at.max()), float(course.missed.max(initial=0)), float(course.control.max(initial=0)), 1e-3
    )
    bottom, strip = 140, 16
    y = _logarithmic(low, high, bottom, _TOP)

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(seconds / length, 0), 1)

    def parts() -> Iterator[str]:
        for tick in _ticks(low, high):
            yield _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid")
            yield _text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "tick", "end")
        yield _text(_LEFT - 6, _TOP - 3, "ms", "tick", "end")
        columns = np.minimum((_COLUMNS * np.clip(course.at, 0, None) / length).astype(int), _COLUMNS - 1)
        width = (_WIDTH - _LEFT - _RIGHT) / _COLUMNS
        for column in np.unique(columns):
            took = course.took[columns == column]
            left, most, least = _LEFT + column * width, y(float(took.max())), y(float(took.min()))
            yield _bar(left, most, width, max(least - most, 1), f"{figures.run} thin")
            yield _bar(left, y(float(np.median(took))) - 1, width, 2, figures.run)
        yield _line(_LEFT, y(figures.deadline_ms), _WIDTH - _RIGHT, y(figures.deadline_ms), "deadline")
        for row, (name, times, kind) in enumerate(
            (("misses", course.missed, "late"), ("control", course.control, "control"))
        ):
            at = bottom + 8 + row * (strip + 4)
            yield _bar(_LEFT, at, _WIDTH - _LEFT - _RIGHT, strip, "strip", f"{len(times)} {name}")
            yield _text(_LEFT - 6, at + 12, name, "tick", "end")
            # Thousands of misses are one band: no column is drawn twice.
            for place in sorted({round(2 * x(float(seconds))) / 2 for seconds in times}):
                yield _bar(place - 0.75, at, 1.5, strip, kind)
        foot = bottom + 2 * (strip + 4) + 20
        for tick in np.arange(0, 0.96 * length, _round_step(length, 8)):
            yield _text(x(float(tick)), foot, f"{tick:g}", "tick", "middle")
        yield _text(_WIDTH - _RIGHT, foot, "s", "tick", "end")

    return _svg(206, f"work and misses over time, {figures.mode} {figures.run}", parts())


def latency_split(rows: Sequence[Measured]) -> str:
    """Return a bar per mode and run, of the parts of the added latency, with the measured delay as a mark."""
    most = max(max(row.figures.latency_ms, _delay_ms(row) or 0) for row in rows)
    height, left, right = 30, 120, 150

    def x(ms: float) -> float:
        return left + (_WIDTH - left - right) * ms / most

    def parts() -> Iterator[str]:
        place = left
        for cause in CAUSES:
            if any(cause == name for row in rows for name, _ in row.course.split):
                yield _bar(place, 4, 11, 11, cause)
                yield _text(place + 16, 14, cause, "tick")
                place += 30 + 7 * len(cause)
        yield _line(place, 3, place, 16, "measured")
        yield _text(place + 6, 14, "measured by click", "tick")
        for number, row in enumerate(rows):
            figures, top, begun = row.figures, 26 + number * height, 0.0
            yield _text(left - 8, top + 14, f"{figures.mode} {figures.run}", "", "end")
            for cause, samples in row.course.split:
                ms = 1000 * samples / row.course.rate
                yield _bar(
                    x(begun), top, x(begun + ms) - x(begun) - 1, 20, cause, f"{cause}: {samples} samples, {ms:.1f} ms"
                )
                if x(begun + ms) - x(begun) > 34:
                    yield _text((x(begun) + x(begun + ms)) / 2, top + 14, str(samples), "inside", "middle")
                begun += ms
            if (delay := _delay_ms(row)) is not None:
                yield _line(x(delay), top - 4, x(delay), top + 24, "measured")
            total = f"{figures.delay_reported_samples} samples, {figures.latency_ms:.1f} ms"
            yield _text(x(max(begun, delay or 0)) + 8, top + 14, total, "tick")

    return _svg(30 + height * len(rows), "added latency by cause, of every mode", parts())


def _delay_ms(row: Measured) -> float | None:
    samples = row.figures.delay_measured_samples
    return None if samples is None else 1000 * samples / row.course.rate


def message_delays(osc: OscFigures) -> str:
    """Return a dot for every OSC message, at the time until it was heard, with reserve, p50 and p99."""
    times = [1000 * samples / osc.rate for samples in osc.delays_samples]
    reserve = 1000 * osc.reserve_samples / osc.rate
    most = 1.08 * max(*times, reserve)

    def x(ms: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ms / most

    def parts() -> Iterator[str]:
        for tick in np.arange(0, 0.96 * most, _round_step(most, 8)):
            yield _line(x(float(tick)), 20, x(float(tick)), 76, "grid")
            yield _text(x(float(tick)), 92, f"{tick:g}", "tick", "middle")
        yield _text(_WIDTH - _RIGHT, 92, "ms", "tick", "end")
        for number, ms in enumerate(times):
            yield f'<circle cx="{x(ms):.1f}" cy="{30 + 9 * (number % 5)}" r="3" class="{osc.run} dot"/>'
        for name, ms, kind in (("reserve", reserve, "axis"), ("p50", osc.p50_ms, "mark"), ("p99", osc.p99_ms, "mark")):
            yield _line(x(ms), 16, x(ms), 76, kind)
            yield _text(x(ms), 12, name, "mark", "middle")

    return _svg(98, "milliseconds from OSC message to first changed sample", parts())


def contenders(results: Sequence[Result]) -> str:
    """Return the median and the p99 of a hop's work of every contender that has a hop, beside how long that lasts."""
    shown = [each for each in results if each.period_ms]
    low = min(each.p50_ms for each in shown) / 1.5
    high = 2 * max(max(each.p99_ms, each.period_ms) for each in shown)
    left, height = 250, 28
    x = _logarithmic(low, high, left, _WIDTH - _RIGHT)

    def parts() -> Iterator[str]:
        bottom = 24 + height * len(shown)
        for tick in _ticks(low, high):
            yield _line(x(tick), 16, x(tick), bottom, "grid")
            yield _text(x(tick), bottom + 16, f"{tick:g}", "tick", "middle")
        yield _text(_WIDTH - _RIGHT, bottom + 32, "ms per hop: median, p99", "tick", "end")
        for number, each in enumerate(shown):
            y = 34 + number * height
            kind = "peer" if each.gmacs_per_second is None else "stems"
            title = f"{each.p50_ms:.2f} ms, p99 {each.p99_ms:.2f} ms, of {each.period_ms:.1f} ms"
            yield _text(left - 8, y + 4, f"{each.name}, {each.stems} stems", "", "end")
            yield _bar(x(each.p50_ms), y - 1.5, x(each.p99_ms) - x(each.p50_ms), 3, f"{kind} thin")
            yield f'<circle cx="{x(each.p50_ms):.1f}" cy="{y}" r="5" class="{kind}"><title>{escape(title)}</title></circle>'
            yield _text(x(each.p99_ms) + 9, y + 4, f"{each.p50_ms:.2f}", "tick")
            yield _line(x(each.period_ms), y - 11, x(each.period_ms), y + 11, "deadline")
        yield _text(x(max(each.period_ms for each in shown)), 12, "the hop lasts", "deadline", "middle")

    return _svg(62 + height * len(shown), "milliseconds per hop of every contender", parts())
