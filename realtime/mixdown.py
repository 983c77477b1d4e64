"""The mix of a step in which nothing moves, which is most of them: one pass over the streams."""

from __future__ import annotations

import numpy as np

from realtime.atomics import compiled, njit


def add_up(gains: np.ndarray, parts: np.ndarray, out: np.ndarray) -> None:
    """Write the sum of `parts` [streams, n], each times its of the `gains`, which may be more, to `out` [n]."""
    if len(parts) == 1:
        np.multiply(parts[0], gains[0], out=out)
    else:
        np.einsum("s,sn->n", gains[: len(parts)], parts, out=out)


def _by_products(gains, stems, tails, dry, master, tail):
    add_up(gains, stems, master)
    add_up(gains, tails, tail)
    return float(np.vdot(master, master)), float(np.vdot(dry, dry))


def _sum_loop(gains, parts, out):
    gain = gains[0]
    for n in range(len(out)):
        out[n] = parts[0, n] * gain
    for stream in range(1, len(parts)):
        gain = gains[stream]
        for n in range(len(out)):
            out[n] += parts[stream, n] * gain


def _power_loop(values):
    # Four sums side by side: one would wait for itself.
    a = b = c = d = np.float32(0)
    whole = len(values) // 4 * 4
    for n in range(0, whole, 4):
        a += values[n] * values[n]
        b += values[n + 1] * values[n + 1]
        c += values[n + 2] * values[n + 2]
        d += values[n + 3] * values[n + 3]
    for n in range(whole, len(values)):
        a += values[n] * values[n]
    return float(a + b + c + d)


def _by_loops(gains, stems, tails, dry, master, tail):
    _sum(gains, stems, master)
    _sum(gains, tails, tail)
    return _power(master), _power(dry)


_sum, _power = (compiled(each, inline=True) for each in (_sum_loop, _power_loop))

# As `add_up` does, `stems` to `master` and `tails` to `tail`; returns the powers of `master` and `dry` [n], summed over their
# samples. All float32.
mix_steady = compiled(_by_loops) if njit else _by_products
