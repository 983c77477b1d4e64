"""Sound in a ring, by position: what stands at sample p stands at p modulo the length of the ring."""

from __future__ import annotations

import numpy as np


def write_ring(ring: np.ndarray, position: int, rows: np.ndarray) -> None:
    """Copy `rows` [n, ...], n at most the length of `ring` [samples, ...], to where they stand from `position` on."""
    at = position % len(ring)
    first = min(len(rows), len(ring) - at)
    ring[at : at + first] = rows[:first]
    ring[: len(rows) - first] = rows[first:]


def fill_ring(ring: np.ndarray, position: int, count: int, value: float) -> None:
    """Write `value` to `count` samples from `position` on."""
    at = position % len(ring)
    first = min(count, len(ring) - at)
    ring[at : at + first] = value
    ring[: count - first] = value


def read_ring(ring: np.ndarray, position: int, rows: np.ndarray) -> None:
    """Copy into `rows` [n, ...] what stands in `ring` from `position` on."""
    at = position % len(ring)
    first = min(len(rows), len(ring) - at)
    rows[:first] = ring[at : at + first]
    rows[first:] = ring[: len(rows) - first]
