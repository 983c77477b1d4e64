"""The protocol's gain law: what a normalised 0..1 fader means in decibels."""

from __future__ import annotations

import math

UNITY = 0.75
TOP_DB = 6.0


def decibels(x: float) -> float:
    """Return the gain in dB of fader position `x` in 0..1: 0.75 is 0 dB, 1 is +6 dB, 0 is -inf."""
    if x <= 0.0:
        return -math.inf
    if x <= UNITY:
        return 40.0 * math.log10(x / UNITY)
    return TOP_DB * (x - UNITY) / (1.0 - UNITY)


def position(db: float) -> float:
    """Return the fader position in 0..1 of a gain in dB, the inverse of `decibels`, limited to the fader's travel."""
    if db > 0.0:
        return min(1.0, UNITY + (1.0 - UNITY) * db / TOP_DB)
    return UNITY * 10.0 ** (db / 40.0)


def linear(x: float) -> float:
    """Return the linear gain of fader position `x` in 0..1: 0.75 is 1."""
    return 0.0 if x <= 0.0 else 10.0 ** (decibels(x) / 20.0)


def gain_text(x: float) -> str:
    """Return what a person reads for fader position `x`, as the host's display twin writes it."""
    return "off" if x <= 0.0 else f"{decibels(x):+.1f} dB".replace("-0.0", "0.0").replace("+0.0", "0.0")


def percent_text(x: float) -> str:
    """Return a 0..1 amount in percent."""
    return f"{100.0 * x:.0f} %"
