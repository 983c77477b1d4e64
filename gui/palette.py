"""Colours and type: dark, high contrast, and told apart by colour-blind eyes.

Hues are those of Okabe and Ito, "Color Universal Design" (2008). Colour never stands alone: what is on
is filled, what is off is an outline, and words say the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyqtgraph.Qt import QtGui

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#00A87B", "#F0E442"
BLUE, VERMILION, PURPLE = "#3D93D0", "#E8632B", "#CC79A7"

GROUND = QtGui.QColor("#08090B")
PANEL = QtGui.QColor("#12151A")
RAISED = QtGui.QColor("#1D232B")
WELL = QtGui.QColor("#050607")
LINE = QtGui.QColor("#343E4A")
TEXT = QtGui.QColor("#F4F7FA")
DIM = QtGui.QColor("#9CA9B6")
FAINT = QtGui.QColor("#5E6B78")
INK = QtGui.QColor("#08090B")
SOLO = QtGui.QColor(YELLOW)
MUTE = QtGui.QColor(VERMILION)
GOOD = QtGui.QColor(GREEN)
CAUTION = QtGui.QColor(YELLOW)
WARNING = QtGui.QColor("#FF6A2B")
NEUTRAL = QtGui.QColor("#D5DDE5")

STEM_COLOURS = {"vocals": ORANGE, "drums": SKY, "bass": PURPLE, "other": GREEN}
# Of hot cues 1 to 8; their numbers say the same.
CUE_COLOURS = tuple(map(QtGui.QColor, (YELLOW, SKY, VERMILION, PURPLE, GREEN, ORANGE, BLUE, "#B8C4CF")))
FURTHER_COLOURS = (YELLOW, BLUE, VERMILION, "#B8C4CF")

FAMILIES = ["Inter", "SF Pro Text", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif"]

# Black through indigo and teal to a warm white: brightness rises all the way, so it reads without hue too.
HEAT = ((0.0, "#050607"), (0.25, "#141B4D"), (0.5, "#17607F"), (0.72, "#3FB79A"), (0.88, "#CFE58A"), (1.0, "#FFFDF0"))


def stem_colours(stems: Sequence[str]) -> dict[str, QtGui.QColor]:
    """Return each stem's colour: fixed for the four usual names, the first free one for any other."""
    free = [*FURTHER_COLOURS] + [c for n, c in STEM_COLOURS.items() if n not in stems]
    unknown = [name for name in stems if name not in STEM_COLOURS]
    chosen = STEM_COLOURS | {name: free[i % len(free)] for i, name in enumerate(unknown)}
    return {name: QtGui.QColor(chosen[name]) for name in stems}


def font(pixels: float, bold: bool = False) -> QtGui.QFont:
    """Return the window's typeface at a height of `pixels`, with figures of equal width where the face has them."""
    made = QtGui.QFont()
    made.setFamilies(FAMILIES)
    made.setPixelSize(max(1, round(pixels)))
    made.setWeight(QtGui.QFont.Weight.Bold if bold else QtGui.QFont.Weight.Normal)
    if hasattr(QtGui.QFont, "Tag"):
        made.setFeature(QtGui.QFont.Tag("tnum"), 1)
    return made


def fitted_font(text: str, width: float, pixels: float, bold: bool = False, least: float = 9.0) -> QtGui.QFont:
    """Return the typeface at `pixels`, or smaller until `text` is at most `width` wide, but not under `least`."""
    made = font(pixels, bold)
    wide = QtGui.QFontMetricsF(made).horizontalAdvance(text)
    return made if wide <= width else font(max(least, pixels * width / wide), bold)


def mixed(colour: QtGui.QColor, ground: QtGui.QColor, amount: float) -> QtGui.QColor:
    """Return `amount` (0..1) of `colour` over `ground`."""
    parts = zip(colour.getRgb()[:3], ground.getRgb()[:3], strict=True)
    return QtGui.QColor(*(round(amount * a + (1.0 - amount) * b) for a, b in parts))


def heat_table(colour: QtGui.QColor | None = None) -> list[bytes]:
    """Return 256 pixels of four bytes (32-bit RGB in this machine's order) from silence to full scale.

    With a `colour`, from black through shades of it to nearly white.
    """
    stops = HEAT
    if colour is not None:
        shades = ((0.0, WELL, 1.0), (0.2, WELL, 0.92), (0.4, WELL, 0.6), (0.65, colour, 1.0), (1.0, TEXT, 0.9))
        stops = tuple((x, mixed(ground, colour, amount).name()) for x, ground, amount in shades)
    table = []
    for value in range(256):
        x = value / 255.0
        above = next(i for i in range(1, len(stops)) if x <= stops[i][0])
        (x0, c0), (x1, c1) = stops[above - 1], stops[above]
        colour = mixed(QtGui.QColor(c1), QtGui.QColor(c0), (x - x0) / (x1 - x0))
        table.append(colour.rgb().to_bytes(4, sys.byteorder))
    return table
