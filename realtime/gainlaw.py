"""The gain law: what a fader position between 0 and 1 means as a linear gain and as text.

0 is silence and 0.75 is 0 dB. Below 0.75 the gain is 40 log10(x / 0.75) dB, that is (x / 0.75) squared;
above, decibels are linear in x up to +6 dB at 1.
"""

from __future__ import annotations

import math
import re

UNITY = 0.75
TOP_DB = 6.0
_TEXT = re.compile(r"^([+-]?\d+(?:\.\d+)?)\s*(?:db)?$")


def to_linear(x: float) -> float:
    """Return the linear gain, 0..1.995, of normalised `x`, 0..1."""
    return (x / UNITY) ** 2 if x <= UNITY else 10 ** (TOP_DB * (x - UNITY) / (1 - UNITY) / 20)


def from_linear(gain: float) -> float:
    """Return the normalised value, 0..1, of linear `gain` >= 0; gains above +6 dB give 1."""
    if gain <= 1:
        return UNITY * math.sqrt(gain)
    return min(1.0, UNITY + 20 * math.log10(gain) * (1 - UNITY) / TOP_DB)


def to_text(x: float) -> str:
    """Return what a person reads for normalised `x`: "off", "-6.0 dB", "0.0 dB", "+6.0 dB"."""
    if x <= 0:
        return "off"
    # Logarithms of x itself: squaring a tiny x underflows.
    decibels = 40 * math.log10(x / UNITY) if x <= UNITY else TOP_DB * (x - UNITY) / (1 - UNITY)
    decibels = round(decibels, 1) + 0.0
    return f"{decibels:+.1f} dB" if decibels else "0.0 dB"


def from_text(text: str) -> float:
    """Return the normalised value of "off" or of decibels such as "-6", "-6.0 dB".

    Raises ValueError for anything else and for more than +6 dB.
    """
    word = text.strip().lower()
    if word == "off":
        return 0.0
    match = _TEXT.match(word)
    if match is None or float(match.group(1)) > TOP_DB:
        raise ValueError(f"a gain is 'off' or decibels up to +{TOP_DB:.0f}, such as '-6 dB', not {text!r}")
    return from_linear(10 ** (float(match.group(1)) / 20))
