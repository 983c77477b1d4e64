"""python -m models.insight: pictures of what a network has learned, from its checkpoint or separator file.

Of a checkpoint: how its frequency transformations map frequencies, for each latent instrument where there
are such, and how much each stem attends to each. Of a separator file: the attention.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import train_extra
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.separator import Separator
from realtime.tape import make_folder

try:
    import matplotlib as mpl
    import torch
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from PIL import Image

    from models.card import lasaft_live_metadata
    from models.checkpoint import read_arguments, read_checkpoint
    from models.frequency_matrices import FrequencyMatrix, live_masks, live_tdfs, overlaps, unet_matrices
    from models.live_network import LiveNetwork
    from models.pipeline import attended
    from models.published import load_published, pipeline_from
    from models.train import load
except ImportError:
    raise train_extra() from None

RANGE_DB = 30.0
CELLS = 96
DPI = 110
LEVELS = 21
_MARKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000)
_FEW_MARKS = (100, 1000, 10000)
_STYLE = {
    "figure.facecolor": "#08090B",
    "axes.facecolor": "#050607",
    "text.color": "#F4F7FA",
    "axes.labelcolor": "#9CA9B6",
    "axes.edgecolor": "#343E4A",
    "xtick.color": "#9CA9B6",
    "ytick.color": "#9CA9B6",
    "font.size": 9,
    "axes.titlesize": 10,
}


@dataclass(frozen=True)
class Attention:
    """How much `stems` attend to latent instruments: `shares` [stems, layers, latents], with the layers' names."""

    stems: tuple[str, ...]
    layers: tuple[str, ...]
    shares: np.ndarray


def draw(name: str | Path, folder: Path, arguments: Path | None = None) -> list[Path]:
    """Write the pictures of the checkpoint, or of the separator, called `name` into `folder`; return the files.

    `arguments` is a JSON file with the published constructor's arguments, where the checkpoint lacks them.
    Raises HostError where it cannot be read or has nothing to show; nothing is written then.
    """
    path = Path(name).expanduser()
    checkpoint = path.is_file() and path.suffix != ".onnx"
    try:
        with mpl.rc_context(_STYLE):
            figures = _of_checkpoint(path, arguments) if checkpoint else _of_separator(find_separator(name))
    except HostError as error:
        raise HostError(f"nothing was drawn of {name}: {error}") from None
    files = [make_folder(folder) / f"insight-{kind}.png" for kind in figures]
    for file, figure in zip(files, figures.values(), strict=True):
        _save(figure, file)
    return files


def _save(figure: Figure, path: Path) -> None:
    """Write a small file: of few colours, with a palette."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="png", dpi=DPI)
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, format="png", optimize=True)


def _of_checkpoint(path: Path, arguments: Path | None) -> dict[str, Figure]:
    live = _live(path)
    if live is not None:
        stems = lasaft_live_metadata({}).stems
        with torch.inference_mode():
            shares = live.attention(torch.eye(len(stems))).numpy()
        masks = live_masks(live, stems, cells(44100))
        return {
            "attention": attention_figure(Attention(stems, ("",), shares)),
            "tdf": bands_figure(live_tdfs(live)),
            "mask": answers_figure(masks),
        }
    state, own = read_checkpoint(path)
    given = (own or {}) | (read_arguments(arguments) if arguments else {})
    network, pipeline = load_published(state, given), pipeline_from(given, state)
    matrices = unet_matrices(network, pipeline.rate)
    if not matrices:
        raise HostError(
            "none of its layers maps frequencies to frequencies (as TDF, LaSAFT and LightSAFT do), so there is nothing to show"
        )
    figures = {"tdf": weights_figure(matrices, cells(pipeline.rate))}
    if layers := attended(network):
        with torch.inference_mode():
            embedding = network.embedding(torch.eye(network.width))
            shares = torch.stack([layer.attention(embedding) for layer in layers], 1).numpy()
        names = tuple(dict.fromkeys(matrix.layer for matrix in matrices))
        figures["attention"] = attention_figure(Attention(pipeline.stems, names, shares))
    return figures


def _live(path: Path) -> LiveNetwork | None:
    """Return the network of a checkpoint of LaSAFT-Live; None where `path` is none."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - the importer of published checkpoints says what is wrong
        return None
    if not isinstance(content, dict) or not {"config", "average"} <= set(content):
        return None
    try:
        return load(path)
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise HostError(f"it is a checkpoint of LaSAFT-Live that this version cannot read ({reason})") from None


def _of_separator(path: Path) -> dict[str, Figure]:
    separator = Separator.load(path)
    stems = separator.metadata.stems
    runner = separator.runner(len(stems))
    if runner.attention is None:
        raise HostError(
            "this separator attends to no latent sources, and the weights of its layers can be read from a checkpoint only"
        )
    runner.condition[:] = np.eye(len(stems))
    runner.run()
    layers = tuple(f"layer {index + 1}" for index in range(runner.attention.shape[1]))
    return {"attention": attention_figure(Attention(stems, layers if len(layers) > 1 else ("",), runner.attention))}


def cells(rate: int) -> np.ndarray:
    """Return the edges in Hz of cells of equal width on a logarithmic axis, up to 0.45 of `rate`."""
    return np.geomspace(40, 0.45 * rate, CELLS + 1)


def attention_figure(attention: Attention) -> Figure:
    """Draw stems against latent instruments, a panel a layer, each share in per cent."""
    stems, layers, latents = attention.shares.shape
    across = min(layers, 3)
    down = -(-layers // across)
    size = (max(5.2, across * (0.45 * latents + 0.8) + 1.4), down * (0.34 * stems + 0.7) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index >= layers:
            axis.axis("off")
            continue
        shares = attention.shares[:, index]
        axis.imshow(shares, cmap="magma", vmin=0, vmax=1, aspect="auto")
        for row, column in itertools.product(range(stems), range(latents)):
            share = shares[row, column]
            colour = "#08090B" if share > 0.6 else "#F4F7FA"
            axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axis.set_yticks(range(stems), attention.stems if index % across == 0 else [])
        axis.set_xticks(range(latents), [str(number + 1) for number in range(latents)])
        axis.tick_params(length=0)
        axis.set_title(attention.layers[index])
    figure.supxlabel("latent source; shares in %", color="#9CA9B6", fontsize=9)
    return figure


def weights_figure(matrices: Sequence[FrequencyMatrix], cells: np.ndarray) -> Figure:
    """Draw the weights of all layers, magnitudes in dB against the layer's largest, latent instruments side by side."""
    names = list(dict.fromkeys(matrix.layer for matrix in matrices))
    rows = [[matrix for matrix in matrices if matrix.layer == name] for name in names]
    # Nearly the largest: a few bins alone in their cell would darken all that are averaged.
    most = {
        row[0].layer: max(1e-30, *(float(np.quantile(_pooled(matrix, cells), 0.995)) for matrix in row)) for row in rows
    }
    if len(rows[0]) == 1:  # one a layer: layers side by side
        rows = [list(matrices[start : start + 4]) for start in range(0, len(matrices), 4)]
    across = max(map(len, rows))
    figure = Figure(figsize=(1.75 * across + 1.6, 1.75 * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots(len(rows), across, squeeze=False)
    for index, (line, row) in enumerate(zip(axes, rows, strict=True)):
        below = len(rows[index + 1]) if index + 1 < len(rows) else 0
        for column, axis in enumerate(line):
            if column >= len(row):
                axis.axis("off")
                continue
            level = 10 * np.log10(np.maximum(_pooled(row[column], cells) / most[row[column].layer], 1e-12))
            picture = axis.pcolormesh(cells, cells, level, cmap="magma", vmin=-RANGE_DB, vmax=0)
            _log_axes(axis, _FEW_MARKS, column >= below, column == 0)
            axis.set_title(" ".join(filter(None, (row[column].layer, row[column].source))), fontsize=8)
    figure.colorbar(picture, ax=axes, label="dB", shrink=0.6)
    _name_axes(figure)
    return figure


def _pooled(matrix: FrequencyMatrix, cells: np.ndarray) -> np.ndarray:
    """Return the mean square of the weights between each two cells, [outputs, inputs]."""
    share = overlaps(cells, matrix.edges)
    share /= np.maximum(share.sum(1, keepdims=True), 1e-12)
    return share @ matrix.values.astype(np.float64) ** 2 @ share.T


def bands_figure(matrices: Sequence[FrequencyMatrix]) -> Figure:
    """Draw signed matrices on the bands' own axis, which is linear in frequency at first and coarser above."""
    figure = Figure(figsize=(4.2 * len(matrices), 4.1), layout="constrained")
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axis, matrix in zip(axes, matrices, strict=True):
        most = np.quantile(np.abs(matrix.values), 0.99)
        axis.imshow(matrix.values, origin="lower", cmap=_signed(), vmin=-most, vmax=most, interpolation="nearest")
        marks = [mark for mark in (500, 1000, 2000, 4000, 10000, 20000) if mark < matrix.edges[-1]]
        places = np.interp(marks, matrix.edges, np.arange(len(matrix.edges)) - 0.5)
        axis.set_xticks(places, [_hertz(mark) for mark in marks])
        axis.set_yticks(places, [_hertz(mark) for mark in marks] if axis is axes[0] else [])
        axis.set_title(matrix.layer)
    figure.suptitle("what the layers add (red) and take away (blue)", fontsize=10)
    _name_axes(figure)
    return figure


def answers_figure(matrices: Sequence[FrequencyMatrix]) -> Figure:
    """Draw how masks answer to the music on logarithmic axes: a panel a stem, red opens and blue closes."""
    down = -(-len(matrices) // 2)
    figure = Figure(figsize=(7.2, 3.3 * down + 0.3), layout="constrained")
    axes = figure.subplots(down, 2, squeeze=False)
    for axis, matrix in itertools.zip_longest(axes.flat, matrices):
        if matrix is None:
            axis.axis("off")
            continue
        most = np.quantile(np.abs(matrix.values), 0.96)
        axis.pcolormesh(matrix.edges, matrix.edges, matrix.values, cmap=_signed(), vmin=-most, vmax=most)
        _log_axes(axis, _MARKS, axis in axes[-1], axis in axes[:, 0])
        axis.set_title(f"{matrix.layer}: {matrix.source}")
    figure.suptitle("what opens (red) and closes (blue) the masks", fontsize=10)
    _name_axes(figure)
    return figure


def _signed() -> Colormap:
    """Return colours from blue through black to red, few of them: signed matrices are noisy, and their files large."""
    return mpl.colormaps["berlin"].resampled(LEVELS)


def _log_axes(axis: Axes, marks: Sequence[int], bottom: bool, left: bool) -> None:
    axis.set(xscale="log", yscale="log", aspect="equal")
    marks = [mark for mark in marks if mark < axis.get_xlim()[1]]
    axis.minorticks_off()
    axis.set_xticks(marks, [_hertz(mark) for mark in marks] if bottom else [])
    axis.set_yticks(marks, [_hertz(mark) for mark in marks] if left else [])


def _name_axes(figure: Figure) -> None:
    figure.supxlabel("frequency that is heard, Hz", color="#9CA9B6", fontsize=9)
    figure.supylabel("frequency that is changed, Hz", color="#9CA9B6", fontsize=9)


def _hertz(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.insight", description=__doc__)
    parser.add_argument("name", metavar="CHECKPOINT_OR_SEPARATOR", help="a checkpoint, or a separator's file or name")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    parser.add_argument(
        "--arguments",
        type=Path,
        metavar="JSON",
        help="the published constructor's arguments, if the checkpoint has none",
    )
    options = parser.parse_args(argv)
    try:
        files = draw(options.name, options.output, options.arguments)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    for file in files:
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
