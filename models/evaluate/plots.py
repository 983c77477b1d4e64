"""The pictures of a report, as SVG or PNG to be put into a page. Needs matplotlib, of the ``train`` extra."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from models.data.corpus import RATE, STEMS
from models.evaluate.evaluation import mean_over_stems
from models.evaluate.hearing import Scene
from models.evaluate.report import Report
from models.evaluate.rows import ISOLATOR
from realtime.errors import HostError

LOWEST, HIGHEST = 40.0, 16000.0
"""What spectrograms show, in Hz."""

_RANGE = 70.0


def matplotlib_figure(wanted: str = "a page"):
    """Return matplotlib's Figure, for what is `wanted`. Raises HostError where it is not installed."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise HostError(
            f"{wanted} needs matplotlib, which is not installed: install the extra, pip install -e '.[train]'"
        ) from None
    # The same figures make the same file; and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "lasaft-live", "svg.fonttype": "none", "font.size": 9})
    return Figure


def sdr_by_stem(report: Report) -> str:
    """Return a picture of the SDR of every stem and row: the median as a bar, every track as a dot."""
    rows = report.first.rows
    figure = matplotlib_figure()(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, len(STEMS), sharey=True)
    colours = [f"C{index % 10}" for index in range(len(rows))]
    for axis, stem in zip(axes, STEMS, strict=True):
        for place, row in enumerate(rows.values()):
            if stem in row.sdr and math.isfinite(row.sdr[stem]):
                axis.bar(place, row.sdr[stem], color=colours[place], alpha=0.5, width=0.8)
                axis.plot([place] * len(row.each[stem]), row.each[stem], ".", color=colours[place], markersize=4)
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set_title(stem)
        axis.set_xticks([])
    axes[0].set_ylabel("SDR in dB")
    figure.legend(
        handles=[_patch(colour, label) for colour, label in zip(colours, rows, strict=True)],
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    return _svg(figure)


def _patch(colour: str, label: str):
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label, alpha=0.5)


def curves(report: Report) -> str:
    """Return the two curves to choose by: SDR against added delay, and against the work for all stems."""
    panels = ("mean", *STEMS)
    figure = matplotlib_figure()(figsize=(13, 5), layout="constrained")
    axes = figure.subplots(2, len(panels), sharey="col")
    for line, (pick, axis_name) in enumerate(
        (
            (lambda costs: costs.delay_ms, "added delay in ms"),
            (lambda costs: costs.all_stems_ms * 512000 / RATE / costs.period_ms, "ms of work per 512 samples"),
        )
    ):
        for axis, panel in zip(axes[line], panels, strict=True):
            for name, points in _courses(report, panel, pick):
                axis.plot(*zip(*sorted(points), strict=True), "o-", label=name, markersize=4)
            if (value := _sdr(report, ISOLATOR, panel)) is not None:
                axis.axhline(value, color="grey", linestyle="--", linewidth=1, label=ISOLATOR)
            low, high = axis.get_ylim()
            axis.set_ylim(min(low, (low + high - 1) / 2), max(high, (low + high + 1) / 2))
            axis.set_xscale("log")
            # Costs that hardly differ are not to look far apart.
            left, right = axis.get_xlim()
            axis.set_xlim(left / 1.5, right * 1.5)
            axis.grid(alpha=0.3)
            axis.set_xlabel(axis_name)
            _plain_ticks(axis)
            if line == 0:
                axis.set_title(panel)
        axes[line][0].set_ylabel("SDR in dB")
    handles: dict[str, object] = {}
    for axis in axes.ravel():
        handles |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False)
    return _svg(figure)


def _courses(report: Report, panel: str, pick) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield for each separator its points (cost, SDR), a latency mode each."""
    for source in report.sources:
        points = []
        for label, manner in report.manners.items():
            if manner.costs and report.rows[label] == source.name:
                value = _sdr(report, label, panel)
                if value is not None:
                    points.append((pick(manner.costs), value))
        if points:
            yield source.name, points


def _sdr(report: Report, label: str, panel: str) -> float | None:
    """Return the SDR of a row for a stem, or its mean; None where there is none."""
    sdr = report.first.rows[label].sdr if label in report.first.rows else {}
    value = mean_over_stems(sdr) if panel == "mean" else sdr.get(panel, math.nan)
    return value if math.isfinite(value) else None


def _plain_ticks(axis) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())


def spectrograms(scene: Scene) -> str:
    """Return a picture of the mixture and, a line for each row, of its stems, all on one scale of 70 dB."""
    lines = ({"the true stems": scene.truth} if scene.truth else {}) | scene.estimates
    names = list(dict.fromkeys(name for stems in lines.values() for name in stems))
    images = {label: {name: spectrogram(audio) for name, audio in stems.items()} for label, stems in lines.items()}
    mixture = spectrogram(scene.mixture)
    top = float(mixture.max())
    figure = matplotlib_figure()(figsize=(2.6 * (len(names) + 1), 1.75 * len(lines) + 0.3), layout="constrained")
    axes = figure.subplots(len(lines), len(names) + 1, squeeze=False, sharex=True, sharey=True)
    for line, (label, stems) in enumerate(images.items()):
        first = {"mixture": mixture} if line == 0 else {}
        for place, name in enumerate(("mixture", *names)):
            axis, image = axes[line][place], (first | stems).get(name)
            if image is None:
                axis.set_axis_off()
                continue
            seconds = len(scene.mixture) / RATE
            axis.imshow(
                image, origin="lower", aspect="auto", cmap="magma", vmin=top - _RANGE, vmax=top,
                extent=(0, seconds, 0, 1), interpolation="nearest",
            )  # fmt: skip
            marks = [100, 1000, 10000]
            axis.set_yticks([height(mark) for mark in marks], ["100", "1 k", "10 k"])
            axis.set_title(name if place == 0 else f"{name}: {label}" if place == 1 else name, fontsize=8)
    figure.supxlabel("seconds", fontsize=8)
    return _png(figure)


def height(frequency: float) -> float:
    """Return where in a spectrogram `frequency` in Hz lies, from 0 to 1."""
    return math.log(frequency / LOWEST) / math.log(HIGHEST / LOWEST)


def frequencies(count: int) -> np.ndarray:
    """Return `count` frequencies in Hz from LOWEST to HIGHEST, evenly on a logarithmic scale."""
    return np.geomspace(LOWEST, HIGHEST, count)


def spectrogram(
    audio: np.ndarray, n_fft: int = 4096, hop: int = 1024, lines: int = 160, rate: int = RATE
) -> np.ndarray:
    """Return levels in dB [lines, frames] of `audio` [samples, channels], 40 Hz to 16 kHz, evenly in log frequency."""
    mono = np.pad(audio.mean(1), (n_fft // 2, n_fft // 2))
    frames = np.lib.stride_tricks.sliding_window_view(mono, n_fft)[::hop] * np.hanning(n_fft)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).T
    edges = frequencies(lines + 1) * n_fft / rate
    bins = [power[int(low) : max(int(low) + 1, int(high))].max(0) for low, high in pairwise(edges)]
    return 10 * np.log10(np.array(bins) + 1e-10)


def _svg(figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _png(figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90, metadata={"Software": None})
    encoded = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="spectrograms" src="data:image/png;base64,{encoded}">'
