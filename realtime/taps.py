"""What a stream lets be seen from outside: its sound and its counts, in one piece of memory.

The stream only copies. Meters, spectra, percentiles and recordings are made by whoever reads, as a
rule in the control process, from the same memory (`realtime.view`, `realtime.tape`); nothing that a
reader does, or fails to do, reaches the writer.

What seldom changes is a `Description`. Each one begins a new generation, and whatever is written
says which it belongs to, so that names and rates may change while sound runs.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np

from realtime.atomics import load_acquire, load_after_reads, store_release
from realtime.latency import Latency
from realtime.track import STRETCH_WORDS, STRETCHES, WORDS, Track
from realtime.work import BINS, WorkCounts

# Seconds of sound that a view, which looks thirty times a second, and a recording may be behind by.
SEEN, RECORDED = 2.0, 10.0

# Counts, and descriptions, are written in turn: one is read while the next ones are filled.
_COUNT_SLOTS, _DESCRIPTION_SLOTS = 16, 4
_COUNT_FIELDS = 8
# Room for attention, float32 numbers, and for a description, bytes; what is larger is not shown, or refused.
_ATTENTION, _DESCRIPTION = 4096, 4096
_PAGE = 4096


def capacity_for(seconds: float, rate: float, step: int = 0) -> int:
    """Return the size in samples of a ring whose readers may be `seconds` behind; `step` samples are written at once."""
    # A sixteenth is the writer's own.
    return max(math.ceil(seconds * rate * 16 / 15) + 16, 4 * step)


@dataclass(frozen=True)
class Layout:
    """The size of the memory: rings of `capacity` samples for input, master and `stems` stems of `channels` channels.

    There is room for as many stems as a swap is likely to bring. What the device is given, of `heard`
    channels, has a ring of `heard_capacity` samples, where that is not 0.
    """

    channels: int
    capacity: int
    stems: int = 8
    heard: int = 0
    heard_capacity: int = 0

    @property
    def arrays(self) -> tuple[tuple[tuple[int, ...], type], ...]:
        """Shape and type of each array, in order."""
        stretches = ((STRETCHES, STRETCH_WORDS), np.int64)
        return (
            ((4 * WORDS,), np.int64),
            ((_COUNT_SLOTS, _COUNT_FIELDS), np.float64),
            ((BINS,), np.int64),
            ((_COUNT_SLOTS, _ATTENTION), np.float32),
            ((_DESCRIPTION_SLOTS, _DESCRIPTION), np.uint8),
            stretches,
            ((1, self.capacity, self.channels), np.float32),
            stretches,
            ((1 + self.stems, self.capacity, self.channels), np.float32),
            stretches,
            ((1, max(1, self.heard_capacity), max(1, self.heard)), np.float32),
        )

    @property
    def size(self) -> int:
        """Bytes that the arrays take, each on a page of its own."""
        return sum(_pages(shape, kind) for shape, kind in self.arrays)


def _pages(shape: tuple[int, ...], kind: type) -> int:
    return -(-math.prod(shape) * np.dtype(kind).itemsize // _PAGE) * _PAGE


@dataclass(frozen=True)
class Description:
    """What a view needs to know of a stream and does not change from hop to hop.

    `names` are those of the stems, none in single; `rate` is the device's, `engine_rate` that of master
    and stems; `hop` and `block` are in samples of the device. `attends` names the rows of the attention.
    With `ahead`, the input is tapped when it is heard, at `engine_rate`.
    """

    names: tuple[str, ...]
    attends: tuple[str, ...]
    rate: int
    engine_rate: float
    hop: int
    block: int
    latency: Latency

    def to_json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Description:
        """Return what `to_json` gave."""
        fields = json.loads(text)
        for name in ("names", "attends"):
            fields[name] = tuple(fields[name])
        return cls(**fields | {"latency": Latency(**fields["latency"])})


@dataclass(frozen=True)
class Counts:
    """The counts after one hop: `position` as in Telemetry, `origin` the wall-clock time of position 0, or None."""

    generation: int
    hops: int
    misses: int
    xruns: int
    position: int
    origin: float | None
    work: WorkCounts
    attention: np.ndarray


class Taps:
    """The memory of `layout`, for the thread that writes and for those that read.

    `input` and `output`, whose rows are the master and then the stems, are written by the inference
    thread, as are counts and descriptions; `heard` by the device. `buffer` holds `layout.size` bytes,
    zero at the start; without it, it is this process's own.
    """

    def __init__(self, layout: Layout, buffer: memoryview | None = None) -> None:
        self.layout = layout
        self._bytes = (
            np.zeros(layout.size, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8, layout.size)
        )
        arrays, at = [], 0
        for shape, kind in layout.arrays:
            size = math.prod(shape) * np.dtype(kind).itemsize
            arrays.append(self._bytes[at : at + size].view(kind).reshape(shape))
            at += _pages(shape, kind)
        words, self._counts, self._work, self._attention, self._descriptions, *rest = arrays
        self._words = words[:WORDS]
        tracks = [
            Track(words[index * WORDS : (index + 1) * WORDS], rest[2 * index - 2], rest[2 * index - 1])
            for index in (1, 2, 3)
        ]
        self.input, self.output, self.heard = tracks
        # Of the descriptions, and of the counts, as many have been written.
        self.generation = load_acquire(self._words, 0)
        self._counted = load_acquire(self._words, 1)

    def touch(self) -> None:
        """Have the system provide every page, so that writing never waits for one; before anything else runs."""
        pages = self._bytes[::_PAGE]
        pages |= 0

    # The writer.

    def describe(self, description: Description) -> None:
        """Let `description` hold for what is written from now on; by one thread at a time.

        Raises ValueError where it takes more room than there is.
        """
        text = description.to_json().encode()
        if len(text) > _DESCRIPTION:
            raise ValueError(f"a description takes at most {_DESCRIPTION} bytes, not {len(text)}")
        slot = self._descriptions[(self.generation + 1) % _DESCRIPTION_SLOTS]
        slot[: len(text)] = np.frombuffer(text, np.uint8)
        slot[len(text) :] = ord(" ")
        # Nothing may be of a generation that cannot be read yet.
        store_release(self._words, 0, self.generation + 1)
        self.generation += 1

    def count(
        self,
        hops: int,
        misses: int,
        xruns: int,
        position: int,
        origin: float | None,
        work: WorkCounts,
        attention: np.ndarray | None,
    ) -> None:
        """Publish the counts; meanings as in Counts. An attention there is no room for is left out."""
        slot = (self._counted + 1) % _COUNT_SLOTS
        numbers = 0 if attention is None or attention.size > _ATTENTION else attention.size
        fields = self._counts[slot]
        start = math.nan if origin is None else origin
        fields[:8] = self.generation, hops, misses, xruns, position, start, work.longest, numbers
        # Not in turn: that would take more room in the caches than the sound does, and half a hop's counts do no harm.
        self._work[:] = work.counts
        if numbers:
            self._attention[slot, :numbers] = attention.reshape(-1)
        self._counted += 1
        store_release(self._words, 1, self._counted)

    # Readers.

    def description(self, generation: int) -> Description | None:
        """Return the description of `generation`; None where later ones have taken its place, or it is not there yet."""
        newest = load_acquire(self._words, 0)
        if not newest - _DESCRIPTION_SLOTS + 1 < generation <= newest:
            return None
        text = self._descriptions[generation % _DESCRIPTION_SLOTS].tobytes()
        if load_after_reads(self._words, 0) - generation >= _DESCRIPTION_SLOTS - 1:
            return None
        return Description.from_json(text)

    def counts(self) -> Counts | None:
        """Return the last counts; None before the first, or where they changed quicker than they could be read."""
        for _ in range(10):
            counted = load_acquire(self._words, 1)
            if not counted:
                return None
            slot = counted % _COUNT_SLOTS
            generation, hops, misses, xruns, position, origin, longest, numbers = self._counts[slot, :8].tolist()
            work = WorkCounts()
            work.counts[:] = self._work
            attention = self._attention[slot, : int(numbers)].copy()
            # The next slot may be half written before its number is seen.
            if load_after_reads(self._words, 1) - counted < _COUNT_SLOTS - 2:
                work.longest = longest
                start = None if math.isnan(origin) else origin
                return Counts(
                    int(generation), int(hops), int(misses), int(xruns), int(position), start, work, attention
                )
        return None
