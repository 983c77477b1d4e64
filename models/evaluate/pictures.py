"""A picture of what a separator makes of a piece of music: spectrograms of the mixture and of every stem.

    python -m models.evaluate.pictures SONG.mp3 --model lasaft-live -o stems.png

The music goes through the separator's file and the streaming engine, as with `run_live.py separate`, from its beginning
on, whatever part of it is drawn.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.evaluate.costs import delay_ms
from models.evaluate.plots import frequencies, height, matplotlib_figure, spectrogram
from models.evaluate.report import check_writable
from realtime.defaults import mode_name
from realtime.devices.file import FileSource
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.offline import separate_array
from realtime.separator import Separator

SECONDS = 30.0
"""How much is drawn at most, unless more is asked for."""

RANGE = 60.0
"""What lies this far below the loudest sound of the mixture is black, in dB."""

TILT = 3.0
"""By how much levels are raised, in dB an octave: music falls by about as much, and its treble is to be seen."""

_LINES = 240
_COLOURS, _SHADES = "magma", 208
_PAPER, _INK, _FAINT = "#0e0f13", "#e8e8ec", "#8a8d98"
_WIDTH, _HEIGHT = 11.0, 1.75
_MARKS = {50: "50", 100: "100", 200: "200", 500: "500", 1000: "1 k", 2000: "2 k", 5000: "5 k", 10000: "10 k"}


@dataclass(frozen=True)
class Part:
    """A part of a piece, from `start` seconds on: the mixture and its stems, each [samples, channels], at `rate` Hz."""

    start: float
    rate: int
    sounds: dict[str, np.ndarray]


def separated(separator: Separator, mode: str, path: Path, start: float, seconds: float) -> Part:
    """Return what the streaming engine makes of a part of the file at `path`.

    Raises HostError where it cannot be read, or ends before `start`.
    """
    meta = separator.metadata
    rate = meta.sample_rates[0]
    with FileSource(path, rate) as probe:
        if probe.file_rate in meta.sample_rates:
            rate = probe.file_rate
    with FileSource(path, rate) as source:
        length = source.frames / rate
        if start >= length:
            raise HostError(f"{path.name} lasts {length:.1f} s: there is nothing to draw from {start:g} s on")
        audio = np.ascontiguousarray(source.read(round((start + seconds) * rate)))
    stems = separate_array(separator, meta.modes[mode], audio)
    first = round(start * rate)
    sounds = {"mixture": audio} | dict(zip(meta.stems, stems, strict=True))
    return Part(start, rate, {name: sound[first:] for name, sound in sounds.items()})


def picture(part: Part, title: str, note: str):
    """Return the figure: a panel for each sound, time across, log frequency up, level as colour, one scale for all."""
    tilt = TILT * np.log2(frequencies(_LINES) / 1000)[:, None]
    levels = {
        name: spectrogram(sound, hop=512, lines=_LINES, rate=part.rate) + tilt for name, sound in part.sounds.items()
    }
    top = max(float(each.max()) for each in levels.values())
    seconds = len(part.sounds["mixture"]) / part.rate
    figure = matplotlib_figure("a picture")(
        figsize=(_WIDTH, _HEIGHT * len(levels) + 1.0), layout="constrained", facecolor=_PAPER
    )
    axes = figure.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, level) in zip(axes, levels.items(), strict=True):
        image = axis.imshow(
            level, origin="lower", aspect="auto", cmap=_COLOURS, vmin=top - RANGE, vmax=top,
            extent=(part.start, part.start + seconds, 0, 1), interpolation="bilinear",
        )  # fmt: skip
        axis.set_yticks([height(mark) for mark in _MARKS], _MARKS.values())
        axis.set_ylabel("Hz", color=_FAINT)
        axis.set_title(name, loc="left", color=_INK, fontsize=12, fontweight="bold", pad=4)
        axis.tick_params(colors=_FAINT)
        axis.set_facecolor(_PAPER)
        for spine in axis.spines.values():
            spine.set_color("#33353d")
    axes[-1].set_xlabel("seconds", color=_FAINT)
    bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, aspect=60)
    ticks = np.arange(-RANGE, 1, 20)
    bar.set_ticks(top + ticks, labels=[f"{tick:.0f} dB" for tick in ticks], color=_FAINT)
    bar.outline.set_edgecolor("#33353d")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    figure.suptitle(title, color=_INK, fontsize=15, fontweight="bold")
    figure.supxlabel(note, color=_FAINT, fontsize=9)
    return figure


def draw(options: argparse.Namespace) -> None:
    """Separate and draw what `options` ask for. Raises HostError with what is wrong and allowed."""
    if not (math.isfinite(options.start) and options.start >= 0):
        raise HostError(f"--start {options.start:g}: a part begins at 0 s or later")
    if not 1 <= options.seconds <= 600:
        raise HostError(f"--seconds {options.seconds:g}: a picture shows 1 to 600 s")
    if not 30 <= options.dpi <= 600:
        raise HostError(f"--dpi {options.dpi}: a picture has 30 to 600 pixels per inch")
    if options.output.suffix.lower() != ".png":
        raise HostError(f"{options.output} is no PNG: name a file that ends in .png")
    matplotlib_figure("a picture")
    check_writable(options.output)
    separator = Separator.load(find_separator(options.model))
    mode = mode_name(separator, options.latency)
    part = separated(separator, mode, options.audio, options.start, options.seconds)
    meta = separator.metadata
    title = options.title or f"{options.audio.stem}, separated by {meta.name}"
    note = (
        f"{meta.name}, latency mode {mode} ({delay_ms(meta, meta.modes[mode]):.1f} ms), through the streaming engine; "
        f"weights {meta.weights[:12]}; levels against the loudest, raised by {TILT:g} dB an octave"
    )
    figure = picture(part, title, note)
    _write(figure, options.output, options.dpi)


def _write(figure, path: Path, dpi: int) -> None:
    """Write `figure` in the colours of its scale and its text alone: half the size, and no eye can tell."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb
    from PIL import Image  # matplotlib comes with it

    text = np.linspace(to_rgb(_PAPER), to_rgb(_INK), 256 - _SHADES)
    shades = np.concatenate([colormaps[_COLOURS](np.linspace(0, 1, _SHADES))[:, :3], text])
    palette = Image.new("P", (1, 1))
    palette.putpalette((255 * shades).round().astype(np.uint8).tobytes())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, facecolor=_PAPER)
    reduced = Image.open(file).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    reduced.save(path, format="PNG", optimize=True)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluate.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("audio", type=Path, metavar="AUDIO", help="an audio file")
    add("--model", default="lasaft-live", metavar="NAME_OR_FILE", help="separator (default: lasaft-live)")
    add("--latency", metavar="MODE", help="latency mode (default: low, or the first the separator has)")
    add("--start", type=float, default=0.0, metavar="S", help="where the drawn part begins, in seconds (default 0)")
    add("--seconds", type=float, default=SECONDS, metavar="S", help=f"how much is drawn at most (default {SECONDS:g})")
    add("--title", metavar="TEXT", help="the title (default: the names of the file and of the separator)")
    add("--dpi", type=int, default=110, metavar="N", help="pixels per inch, the picture being 11 wide (default 110)")
    add("-o", "--output", type=Path, required=True, metavar="PNG", help="the picture to write")
    try:
        draw(parser.parse_args())
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
