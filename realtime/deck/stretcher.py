"""A stretcher: sound made slower or faster at its own pitch, grain by grain, by the Bungee library.

All channels are turned by the same phases, so that they stay in phase with each other and sums of
channels stay sums. https://github.com/bungee-audio-stretch/bungee, MPL-2.0.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.errors import HostError

# The layout below is this version's. Another might have another, and would end the process.
_VERSION = "0.2.1"


class _Request(ctypes.Structure):
    _fields_ = (
        ("position", ctypes.c_double),
        ("speed", ctypes.c_double),
        ("pitch", ctypes.c_double),
        ("reset", ctypes.c_bool),
    )


class _Span(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_int), ("end", ctypes.c_int))


class _Output(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.POINTER(ctypes.c_float)),
        ("count", ctypes.c_int),
        ("stride", ctypes.c_ssize_t),
        ("requests", ctypes.POINTER(_Request) * 2),
    )


class _Rates(ctypes.Structure):
    _fields_ = (("input", ctypes.c_int), ("output", ctypes.c_int))


_Asked = ctypes.POINTER(_Request)


class _Functions(ctypes.Structure):
    _fields_ = (
        ("edition", ctypes.CFUNCTYPE(ctypes.c_char_p)),
        ("version", ctypes.CFUNCTYPE(ctypes.c_char_p)),
        ("create", ctypes.CFUNCTYPE(ctypes.c_void_p, _Rates, ctypes.c_int, ctypes.c_int)),
        ("destroy", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("instrument", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)),
        ("longest", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)),
        ("preroll", ctypes.CFUNCTYPE(None, ctypes.c_void_p, _Asked)),
        ("next", ctypes.CFUNCTYPE(None, ctypes.c_void_p, _Asked)),
        ("specify", ctypes.CFUNCTYPE(_Span, ctypes.c_void_p, _Asked, ctypes.c_double)),
        (
            "analyse",
            ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_int),
        ),
        ("synthesise", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Output))),
        ("is_flushed", ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)),
    )


@functools.cache
def _library() -> tuple[ctypes.CDLL, _Functions]:
    """Return the library, which must outlive its functions, and these."""
    found = importlib.util.find_spec("bungee_python")
    if found is None:
        raise HostError("the deck's tempo needs the extra `tempo` (pip install 'lasaft-live[tempo]'); the tempo stays 1.")
    version = importlib.metadata.version("bungee-python")
    if version != _VERSION:
        raise HostError(f"the deck's tempo is made for bungee-python {_VERSION}, not {version}; the tempo stays 1.")
    try:
        library = ctypes.CDLL(str(Path(found.origin).parent / "libbungee.so"))
        library.getFunctionsBungeeBasic.restype = ctypes.POINTER(_Functions)
        return library, library.getFunctionsBungeeBasic().contents
    except (OSError, AttributeError) as problem:
        raise HostError(f"the library of the deck's tempo cannot be used here ({problem}); the tempo stays 1.") from None


@dataclass(frozen=True)
class Stretch:
    """`sound`, float32 [n, channels], is what lies between two samples of the input: `begin`, and before `end`."""

    sound: np.ndarray
    begin: float
    end: float


class Stretcher:
    """Stretches `channels` channels at `rate` Hz; for one thread.

    Each `grain` is `hop` samples of output, of which the positions of two grains tell where in the input they are: the
    caller chooses the positions, and so the tempo. `reach` samples before and after its position are looked at.
    Raises HostError where the library is missing.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._functions = _library()[1]
        self.channels = channels
        self._state = self._functions.create(_Rates(rate, rate), channels, 0)
        request = _Request(0.0, 1.0, 1.0, True)
        self._functions.next(self._state, request)
        self.hop = round(request.position)
        request = _Request(0.0, 1.0, 1.0, True)
        self._functions.preroll(self._state, request)
        # A stream begins so many hops early, until there is enough to add up.
        self.early = round(-request.position / self.hop)
        # A window is eight hops; one more sample, as positions are rounded.
        self.reach = 4 * self.hop + 1
        self._begun = False

    def grain(self, rows: np.ndarray, at: int, position: float, speed: float) -> Stretch | None:
        """Add the grain at `position`, and return what is complete then; None at the start.

        `rows` is float32 [channels, n], of which the first stands at `at` in the input, and holds what `reach` says. `speed` is
        the tempo where there is no grain before this one.
        """
        call, request = self._functions, _Request(position, speed, 1.0, not self._begun)
        self._begun = True
        span = call.specify(self._state, request, 0.0)
        if not at <= span.begin <= span.end <= at + rows.shape[1]:
            raise RuntimeError(f"the tempo's grain at {position} needs {span.begin} to {span.end}, beyond what it was given")
        first = rows.ctypes.data + rows.strides[1] * (span.begin - at)
        call.analyse(self._state, first, rows.strides[0] // rows.itemsize, 0, 0)
        output = _Output()
        call.synthesise(self._state, output)
        if not output.count:
            return None
        begin, end = (each.contents.position for each in output.requests)
        if not begin < end:
            return None
        sound = np.empty((output.count, self.channels), np.float32)
        start = ctypes.addressof(output.data.contents)
        for channel in range(self.channels):
            data = (ctypes.c_float * output.count).from_address(start + sound.itemsize * output.stride * channel)
            sound[:, channel] = data
        return Stretch(sound, begin, end)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._functions.destroy(self._state)
