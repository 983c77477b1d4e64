"""A picture of a performance: spectrograms of the song and of what is heard, above the gains. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from realtime.errors import HostError
from realtime.mix import Mix

# In Hz; what lies _RANGE dB below the loudest is black; levels are raised by _TILT dB an octave, as music falls.
_LOWEST, _HIGHEST = 40.0, 16000.0
_RANGE, _TILT = 60.0, 3.0
_LINES, _MOST_COLUMNS, _N_FFT = 240, 2400, 4096
_PAPER, _INK, _FAINT, _EDGE = "#0e0f13", "#e8e8ec", "#8a8d98", "#33353d"
_COLOURS = ("#e86bb8", "#f2c14e", "#4cc3d9", "#7bd88f", "#b497f0", "#f08a5d")
_MARKS = {50: "50", 100: "100", 200: "200", 500: "500", 1000: "1 k", 2000: "2 k", 5000: "5 k", 10000: "10 k"}

Read = Callable[[int], np.ndarray]


def check_picture(path: Path) -> None:
    """Raise HostError unless a picture can be drawn and `path` names one."""
    if path.suffix.lower() != ".png":
        raise HostError(f"{path} is no PNG: name a file that ends in .png")
    _figure_class()


def draw_performance(
    path: Path, title: str, sounds: tuple[Read, Read], frames: int, rate: int, stems: Sequence[str],
    moves: Sequence[tuple[float, Mix]],
) -> None:  # fmt: skip
    """Write to `path` what `sounds`, the song and what is heard, give: `frames` samples at `rate` Hz each.

    `moves` are the mixes with the seconds from which they hold, the first from 0. Raises HostError.
    """
    seconds = frames / rate
    figure = _figure_class()(figsize=(12.0, 6.4), layout="constrained", facecolor=_PAPER)
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(1.5, 1.5, 1.0))
    levels = [spectrogram(read, frames, rate) for read in sounds]
    top = max(float(level.max()) for level in levels)
    for axis, name, level in zip(axes, ("the song", "what is heard"), levels, strict=False):
        image = axis.imshow(
            level, origin="lower", aspect="auto", cmap="magma", vmin=top - _RANGE, vmax=top,
            extent=(0, seconds, 0, 1), interpolation="bilinear",
        )  # fmt: skip
        axis.set_yticks([_height(mark) for mark in _MARKS], _MARKS.values())
        axis.set_ylabel("Hz", color=_FAINT)
        axis.set_title(name, loc="left", color=_INK, fontsize=12, fontweight="bold", pad=4)
    _draw_gains(axes[2], stems, moves, seconds)
    for axis in axes:
        axis.tick_params(colors=_FAINT)
        axis.set_facecolor(_PAPER)
        for spine in axis.spines.values():
            spine.set_color(_EDGE)
    bar = figure.colorbar(image, ax=axes[:2], fraction=0.02, pad=0.01, aspect=50)
    ticks = np.arange(-_RANGE, 1, 20)
    bar.set_ticks(top + ticks, labels=[f"{tick:.0f} dB" for tick in ticks], color=_FAINT)
    bar.outline.set_edgecolor(_EDGE)
    figure.suptitle(title, color=_INK, fontsize=15, fontweight="bold")
    try:
        # Without its maker's name and version, so that the same performance gives the same file.
        figure.savefig(path, format="png", dpi=110, facecolor=_PAPER, metadata={"Software": None})
    except OSError as problem:
        raise HostError(f"{path} cannot be written ({problem.strerror}); choose another place") from None


def _draw_gains(axis, stems: Sequence[str], moves: Sequence[tuple[float, Mix]], seconds: float) -> None:
    """Draw the gain of each stem, and of the remainder where there is any, a lane each: what sounds is filled."""
    lanes = {stem: [mix.wet * mix.gains[index] for _, mix in moves] for index, stem in enumerate(stems)}
    if any(mix.remainder for _, mix in moves):
        lanes["remainder"] = [mix.wet * mix.remainder for _, mix in moves]
    if any(mix.wet < 1 for _, mix in moves):
        lanes["dry"] = [1 - mix.wet for _, mix in moves]
    times = [time for time, _ in moves] + [seconds]
    for place, gains in enumerate(lanes.values()):
        foot = len(lanes) - 1 - place
        heights = foot + 0.85 * np.minimum(1.0, np.array([*gains, gains[-1]]))
        colour = _COLOURS[place % len(_COLOURS)]
        axis.fill_between(times, foot, heights, step="post", color=colour, alpha=0.85, linewidth=0)
        axis.axhline(foot, color=_EDGE, linewidth=0.8)
    axis.set_yticks([len(lanes) - 0.6 - place for place in range(len(lanes))], list(lanes), color=_INK)
    axis.set_ylim(0, len(lanes))
    axis.set_title("gains", loc="left", color=_INK, fontsize=12, fontweight="bold", pad=4)
    axis.set_xlabel("seconds", color=_FAINT)


def spectrogram(read: Read, frames: int, rate: int) -> np.ndarray:
    """Return levels in dB [lines, columns] of a sound of `frames` samples, 40 Hz to 16 kHz, evenly in log frequency.

    `read(n)` gives its next samples, [n, channels]. A column is the loudest of its frames in each line.
    """
    hop = _N_FFT // 4
    window = np.hanning(_N_FFT)
    edges = np.geomspace(_LOWEST, _HIGHEST, _LINES + 1) * _N_FFT / rate
    bins = [slice(int(low), max(int(low) + 1, int(high))) for low, high in pairwise(edges)]
    bins = [slice(min(one.start, _N_FFT // 2), one.stop) for one in bins]
    # To the frame whose middle is the last sample; what follows the sound is silence.
    count = -(-(frames + _N_FFT // 2) // hop)
    columns = min(-(-frames // hop), _MOST_COLUMNS)
    power = np.full((_LINES, columns), 1e-10)
    past = np.zeros(_N_FFT)
    for number in range(count):
        rows = read(hop)
        past[:-hop] = past[hop:].copy()
        past[-hop:] = 0
        past[_N_FFT - hop : _N_FFT - hop + len(rows)] = rows.mean(1) if len(rows) else 0
        spectrum = np.square(np.abs(np.fft.rfft(past * window)))
        centre = max(0, (number + 1) * hop - _N_FFT // 2)
        column = min(columns - 1, centre * columns // frames)
        power[:, column] = np.maximum(power[:, column], [spectrum[one].max() for one in bins])
    tilt = _TILT * np.log2(np.geomspace(_LOWEST, _HIGHEST, _LINES) / 1000)[:, None]
    return 10 * np.log10(power) + tilt


def _height(frequency: float) -> float:
    return float(np.log(frequency / _LOWEST) / np.log(_HIGHEST / _LOWEST))


def _figure_class():
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise HostError("a picture needs matplotlib, which is not installed: pip install matplotlib, or leave out --picture") from None
    return Figure
