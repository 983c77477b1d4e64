"""Whether numbers are free of infinities and NaN."""

from __future__ import annotations

import numpy as np

from realtime.atomics import compiled, njit


def _by_bits(bits):
    # The exponent of both is all ones, and that of no other number: whole numbers are compared several at a time.
    largest = np.int32(0)
    for n in range(len(bits)):
        largest = max(largest, bits[n] & np.int32(0x7F800000))
    return largest != 0x7F800000


def _by_extremes(bits):
    # max and min keep NaN and, unlike a sum, warn of nothing.
    numbers = bits.view(np.float32)
    return bool(np.isfinite(numbers.max()) and np.isfinite(numbers.min()))


# Takes the bits of float32 numbers, int32 [n], n >= 1.
all_finite = compiled(_by_bits) if njit else _by_extremes
