"""Acquire and release on int64 words shared by two threads.

The callback and the inference thread hand positions to each other without a lock: whoever writes
samples stores the position behind them with release, whoever reads loads it with acquire, and sees
the samples. x86 keeps that order by itself, ARM does not. Where numba is missing the plain
functions serve, ordered by the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

try:
    from numba import njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic
except ImportError:
    njit = None

NOTICE = (
    None
    if njit
    else "numba is not installed, so the audio callback runs in Python and may drop out under load; "
    "install numba for the compiled callback."
)


def compiled(function: Callable, inline: bool = False) -> Callable:
    """Return `function` compiled without the interpreter lock, or itself where numba is missing.

    With `inline` it becomes a part of each compiled function that calls it.
    """
    if njit is None:
        return function
    # One rounding where a product is added, as processors do it.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": inline}
    try:
        # The cache watches the file of `function` alone: empty it after changing this one.
        return njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write a cache
        return njit(**options)(function)


if njit:

    def _pointer(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        return cgutils.get_item_pointer(context, builder, signature.args[0], array, [index], wraparound=False)

    @intrinsic
    def _load(typing, words, index):
        def generate(context, builder, signature, arguments):
            pointer = _pointer(context, builder, signature, arguments)
            word = context.get_value_type(types.int64)
            return builder.load_atomic(pointer, "acquire", 8, typ=word)

        return types.int64(words, index), generate

    @intrinsic
    def _store(typing, words, index, value):
        def generate(context, builder, signature, arguments):
            pointer = _pointer(context, builder, signature, arguments)
            word = context.cast(builder, arguments[2], signature.args[2], types.int64)
            builder.store_atomic(word, pointer, "release", 8)
            return context.get_dummy_value()

        return types.void(words, index, value), generate

    @intrinsic
    def _fence(typing):
        def generate(context, builder, signature, arguments):
            builder.fence("acquire")
            return context.get_dummy_value()

        return types.void(), generate

    def load_acquire(words: np.ndarray, index: int) -> int:
        """Return int64 `words[index]`; what was written before its release is visible afterwards."""
        return _load(words, index)

    def store_release(words: np.ndarray, index: int, value: int) -> None:
        """Store int64 `words[index]`; whoever acquires it sees everything written before."""
        _store(words, index, value)

    def load_after_reads(words: np.ndarray, index: int) -> int:
        """Return int64 `words[index]`, loaded no earlier than any read before this call."""
        _fence()
        return _load(words, index)

else:

    def load_acquire(words: np.ndarray, index: int) -> int:
        """Return int64 `words[index]`; the interpreter lock orders it."""
        return int(words[index])

    def store_release(words: np.ndarray, index: int, value: int) -> None:
        """Store int64 `words[index]`; the interpreter lock orders it."""
        words[index] = value

    load_after_reads = load_acquire


load_acquire = compiled(load_acquire)
store_release = compiled(store_release)
load_after_reads = compiled(load_after_reads)
