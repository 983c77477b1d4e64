"""A stand-in for a sound card: compiled blocks by the clock, over and over from memory.

The null device is a thread of Python, and waits for the interpreter where a hop holds it. No sound card does: its callback is
compiled. So is this one's, which is called by its C address as PortAudio calls it, and so is the loop around it. Where that
cannot be had (no numba, no POSIX clock), it is the null device.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from realtime.atomics import load_acquire, njit, store_release
from realtime.bridge import Bridge
from realtime.callback import stream_callback
from realtime.devices.file import endless
from realtime.devices.null import NullDevice

# How long it may take to notice that it is to stop, in seconds.
_NOTICE = 0.02


@lru_cache(maxsize=1)
def _compiled_loop() -> Callable | None:
    """Return the loop; None where it cannot be had. Compiled anew in every process: addresses are not kept in files."""
    clock = getattr(time, "CLOCK_MONOTONIC", None)
    if njit is None or clock is None or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    # A pointer is a number here, as compiled code has it.
    pointer, library = ctypes.c_size_t, ctypes.CDLL(None)
    clock_gettime, nanosleep = library.clock_gettime, library.nanosleep
    clock_gettime.argtypes, clock_gettime.restype = (ctypes.c_int, pointer), ctypes.c_int
    nanosleep.argtypes, nanosleep.restype = (pointer, pointer), ctypes.c_int
    kind = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, ctypes.c_ulong, pointer, ctypes.c_ulong, pointer)
    callback = kind(stream_callback().address)

    @njit(nogil=True, error_model="numpy")
    def loop(over, music, block, rate, calls, timespec, inputs, outputs, moment, user):
        clock_gettime(clock, moment)
        begun, played, at, call = timespec[0] + 1e-9 * timespec[1], 0, 0, 0
        while load_acquire(over, 0) == 0:
            for i in range(len(block)):
                for c in range(block.shape[1]):
                    block[i, c] = music[at, c]
                at = at + 1 if at + 1 < len(music) else 0
            played += len(block)
            while load_acquire(over, 0) == 0:
                clock_gettime(clock, moment)
                # A block exists once its last sample has been heard.
                wait = begun - timespec[0] - 1e-9 * timespec[1] + played / rate
                if wait <= 0:
                    if call < len(calls):
                        calls[call] = -wait
                    call += 1
                    break
                timespec[0], timespec[1] = 0, np.int64(1e9 * min(wait, _NOTICE))
                nanosleep(moment, 0)
            callback(inputs, outputs, len(block), 0, 0, user)

    return loop


class Card(NullDevice):
    """Plays `music`, float32 [samples, channels], over and over, until it is stopped.

    `late` [calls] is by how many seconds each of the first `calls` blocks came after its time; NaN where that is not known.
    """

    def __init__(self, music: np.ndarray, rate: int, block: int, calls: int = 0) -> None:
        super().__init__(endless(music), rate, block, music.shape[1])
        self._music, self._over = np.ascontiguousarray(music, np.float32), np.zeros(1, np.int64)
        self.late = np.full(calls, np.nan)
        # Compiled before anything is timed.
        self._loop = _compiled_loop()

    def stop(self) -> None:
        """Stop, and wait until the last block is done."""
        store_release(self._over, 0, 1)
        super().stop()

    def _play(self, bridge: Bridge) -> None:
        if self._loop is None:
            super()._play(bridge)
            return
        block, timespec = (np.zeros((self.block, self.in_channels), np.float32), np.zeros(2, np.int64))
        out = np.zeros((self.block, self.out_channels), np.float32)
        addresses = (array.ctypes.data for array in (block, out, timespec))
        self._loop(self._over, self._music, block, self.rate, self.late, timespec, *addresses, bridge.callback_pointers[1])
