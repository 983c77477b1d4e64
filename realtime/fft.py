"""The Fourier transform of real frames to and from the rows of a separator: per channel the real part, then the imaginary one.

Two real channels make one complex signal, so that a stereo frame costs one complex transform (Stockham's, radix 4, which
needs no bit reversal; see Swarztrauber, "FFT algorithms for vector computers", Parallel Computing 1, 1984). It is compiled,
with windows and overlap-add in the same call, so that a hop is few calls of Python. Where numba is missing, or a frame is no
power of two, `transforms` gives none, and numpy's transform serves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from realtime.atomics import compiled, njit

# The longest frame.
_LONGEST = 4**7

# In seconds: how long another process may take to compile.
_PATIENCE = 60.0


def _first(x, y, table, size):
    # The first stage of all: neighbours are far apart in `x` and beside each other in `y`.
    m = size // 4
    for p in range(m):
        ar, ai, br, bi = x[p], x[size + p], x[p + m], x[size + p + m]
        cr, ci, dr, di = x[p + 2 * m], x[size + p + 2 * m], x[p + 3 * m], x[size + p + 3 * m]
        sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
        ur, ui, vr, vi = br + dr, bi + di, bi - di, dr - br
        y[4 * p], y[size + 4 * p] = sr + ur, si + ui
        wr, wi, er, ei = table[p], table[size + p], tr + vr, ti + vi
        y[4 * p + 1], y[size + 4 * p + 1] = er * wr - ei * wi, er * wi + ei * wr
        wr, wi, er, ei = table[m + p], table[size + m + p], sr - ur, si - ui
        y[4 * p + 2], y[size + 4 * p + 2] = er * wr - ei * wi, er * wi + ei * wr
        wr, wi, er, ei = table[2 * m + p], table[size + 2 * m + p], tr - vr, ti - vi
        y[4 * p + 3], y[size + 4 * p + 3] = er * wr - ei * wi, er * wi + ei * wr


def _later(x, y, table, size, s, at):
    # A stage with `s` transforms side by side, its twiddle factors in `table` from `at` on.
    m = size // s // 4
    for p in range(m):
        w1r, w1i = table[at + p], table[size + at + p]
        w2r, w2i = table[at + m + p], table[size + at + m + p]
        w3r, w3i = table[at + 2 * m + p], table[size + at + 2 * m + p]
        f, g = s * p, 4 * s * p
        for q in range(s):
            ar, ai, br, bi = x[f + q], x[size + f + q], x[f + q + s * m], x[size + f + q + s * m]
            cr, ci = x[f + q + 2 * s * m], x[size + f + q + 2 * s * m]
            dr, di = x[f + q + 3 * s * m], x[size + f + q + 3 * s * m]
            sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, vr, vi = br + dr, bi + di, bi - di, dr - br
            y[g + q], y[size + g + q] = sr + ur, si + ui
            er, ei = tr + vr, ti + vi
            y[g + q + s], y[size + g + q + s] = er * w1r - ei * w1i, er * w1i + ei * w1r
            er, ei = sr - ur, si - ui
            y[g + q + 2 * s], y[size + g + q + 2 * s] = er * w2r - ei * w2i, er * w2i + ei * w2r
            er, ei = tr - vr, ti - vi
            y[g + q + 3 * s], y[size + g + q + 3 * s] = er * w3r - ei * w3i, er * w3i + ei * w3r


def _halves(x, y, size):
    # The last stage where four does not divide what is left.
    h = size // 2
    for q in range(h):
        y[q], y[size + q] = x[q] + x[q + h], x[size + q] + x[size + q + h]
        y[q + h], y[size + q + h] = x[q] - x[q + h], x[size + q] - x[size + q + h]


def _run(x, y, table, size, stages, halves):
    # One array and the other in turn; return the one with the result.
    _first(x, y, table, size)
    if stages > 1:
        _later(y, x, table, size, 4, size - size // 4)
    if stages > 2:
        _later(x, y, table, size, 16, size - size // 16)
    if stages > 3:
        _later(y, x, table, size, 64, size - size // 64)
    if stages > 4:
        _later(x, y, table, size, 256, size - size // 256)
    if stages > 5:
        _later(y, x, table, size, 1024, size - size // 1024)
    if stages > 6:
        _later(x, y, table, size, 4096, size - size // 4096)
    if halves:
        if stages % 2:
            _halves(y, x, size)
        else:
            _halves(x, y, size)
    return x if (stages + halves) % 2 == 0 else y


def _pack(left, right, window, x, size):
    for n in range(size):
        x[n] = left[n] * window[n]
        x[size + n] = right[n] * window[n]


def _part(z, left, left_imag, right, right_imag, size):
    # Two real signals in one complex spectrum: what is symmetric is of the one, what is not of the other.
    h = size // 2
    left[0], left_imag[0], right[0], right_imag[0] = z[0], 0, z[size], 0
    for k in range(1, h + 1):
        ar, ai, br, bi = z[k], z[size + k], z[size - k], z[2 * size - k]
        left[k], left_imag[k] = 0.5 * (ar + br), 0.5 * (ai - bi)
        right[k], right_imag[k] = 0.5 * (ai + bi), 0.5 * (br - ar)


def _join(left, left_imag, right, right_imag, x, size):
    # Real and imaginary part change places, which turns the transform round.
    h = size // 2
    x[0], x[size], x[h], x[size + h] = right[0], left[0], right[h], left[h]
    for k in range(1, h):
        ar, ai, br, bi = left[k], left_imag[k], right[k], right_imag[k]
        x[size + k], x[k] = ar - bi, ai + br
        x[2 * size - k], x[size - k] = ar + bi, br - ai


def _overlap(frame, window, sums, hop):
    # The last `len(window)` samples of the frame, on what is left of those before.
    keep = len(window) - hop
    for n in range(keep):
        sums[n] = sums[n + hop] + frame[n] * window[n]
    for n in range(keep, len(window)):
        sums[n] = frame[n] * window[n]


if njit:
    _first, _later, _halves = (compiled(each, inline=True) for each in (_first, _later, _halves))
    _run, _pack, _part, _join, _overlap = (compiled(each, inline=True) for each in (_run, _pack, _part, _join, _overlap))


@dataclass(frozen=True)
class Transforms:
    """What is compiled for frames of `size` samples; all arrays are contiguous and float32.

    `forward(history, end, window, table, work, spectra, slot)`: of `history` [channels, n] the frame before `end`, times
    `window` [size], to `slot` of `spectra` [2 channels, slots, bins].
    `inverse(spectra, slot, window, hop, table, work, sums)`: `sums` [streams, channels, synthesis] move on by `hop` and get
    the last samples of each frame in `slot` of `spectra` [streams, 2 channels, slots, bins] times `window` [synthesis], which
    must contain 1 / size.
    `work` [4 size] is scratch of the one who calls.
    """

    size: int
    table: np.ndarray
    forward: Callable
    inverse: Callable


@lru_cache
def transforms(size: int) -> Transforms | None:
    """Return the transforms for frames of `size` samples; None where numpy's have to serve."""
    if njit is None or not 16 <= size <= _LONGEST or size & (size - 1):
        return None
    stages = (size.bit_length() - 1) // 2
    table = np.zeros(2 * size, np.float32)
    for stage in range(stages):
        m, at = size // 4 ** (stage + 1), size - size // 4**stage
        factors = np.exp(-2j * np.pi * np.outer([1, 2, 3], np.arange(m)) * 4**stage / size).ravel()
        table[at : at + 3 * m], table[size + at : size + at + 3 * m] = factors.real, factors.imag
    return Transforms(size, table, *_kernels(size, stages, size != 4**stages))


def _kernels(size: int, stages: int, halves: bool) -> tuple[Callable, Callable]:
    # The size is a constant of what is compiled: only then are the loops known not to write what they read.
    def forward(history, end, window, table, work, spectra, slot):
        x, y = work[: 2 * size], work[2 * size :]
        start, channels = end - size, len(history)
        for c in range(0, channels, 2):
            # An odd channel goes with itself.
            d = min(c + 1, channels - 1)
            _pack(history[c, start:end], history[d, start:end], window, x, size)
            z = _run(x, y, table, size, stages, halves)
            left, left_imag = spectra[2 * c, slot], spectra[2 * c + 1, slot]
            _part(z, left, left_imag, spectra[2 * d, slot], spectra[2 * d + 1, slot], size)

    def inverse(spectra, slot, window, hop, table, work, sums):
        x, y = work[: 2 * size], work[2 * size :]
        streams, channels, length = sums.shape
        for stream in range(streams):
            for c in range(0, channels, 2):
                d = min(c + 1, channels - 1)
                left, left_imag = spectra[stream, 2 * c, slot], spectra[stream, 2 * c + 1, slot]
                _join(left, left_imag, spectra[stream, 2 * d, slot], spectra[stream, 2 * d + 1, slot], x, size)
                z = _run(x, y, table, size, stages, halves)
                _overlap(z[2 * size - length :], window, sums[stream, c], hop)
                if d != c:
                    _overlap(z[size - length : size], window, sums[stream, d], hop)

    return compiled(forward), compiled(inverse)


def compile_now(size: int) -> None:
    """Have the transforms for frames of `size` samples compiled, and kept on disk where that can be written."""
    found = transforms(size)
    if found is None:
        return
    frame, work = np.zeros(size, np.float32), np.zeros(4 * size, np.float32)
    spectra, sound = np.zeros((4, 1, size // 2 + 1), np.float32), np.zeros((2, size), np.float32)
    found.forward(sound, size, frame, found.table, work, spectra, 0)
    found.inverse(spectra[None], 0, frame, size, found.table, work, sound[None])


def compile_aside(size: int) -> None:
    """Do that in another process, unless this one has them: compiling would keep the interpreter from sound that runs."""
    found = transforms(size)
    if found is None or found.forward.signatures:
        return
    command = [sys.executable, "-c", f"from {__name__} import compile_now; compile_now({size})"]
    try:
        subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):  # then it is done here
        pass
