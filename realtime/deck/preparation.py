"""The pass over a file: every segment separated once and kept, those first that will be played next."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from realtime.deck.cache import OVERLAP, SEGMENT, Cache, Damaged
from realtime.deck.material import CHUNK, Material, contents_of, stamp_of
from realtime.errors import HostError
from realtime.offline import stems_of
from realtime.separator import Separator

PLACES = 1000
# What a network is given of the past before the first segment of a run, in seconds.
PAST = 5.0
# Samples whose level is kept as one.
BLOCK = 4096
# Segments over which speed is measured.
_MEASURED = 8
_READ = 1 << 20


@dataclass(frozen=True)
class Job:
    """The file to prepare, and for whom: stems in this order, each `channels` wide, at `rate` Hz."""

    path: str
    rate: int
    channels: int
    stems: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far the pass is: `ready` of the file, 0 to 1, at `speed` times real time, 0 where that is not known.

    `contents` says what was read, `folder` where the stems are, at `rate` Hz. `activity` is a byte for each of PLACES and each stem.
    """

    state: str
    ready: float = 0.0
    speed: float = 0.0
    contents: str = ""
    folder: str = ""
    activity: bytes = b""
    rate: int = 0


class Changed(Exception):
    """The file holds something else now."""


class _Elsewhere(Exception):
    """Another place is wanted more."""


class Preparation:
    """Prepares the file of `job` with `separator` in `mode` into `cache`; `run` until all is there.

    `poll` is called often, and may call `move`, or end it all by raising something; `tell` hears of progress, `say` sentences
    for the user. Raises HostError where the file cannot be read.
    """

    def __init__(
        self,
        job: Job,
        separator: Separator,
        mode: str,
        cache: Cache,
        poll: Callable[[], object] = lambda: None,
        tell: Callable[[Progress], object] = lambda progress: None,
        say: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self.job, self._separator, self._cache = job, separator, cache
        self._poll, self._tell, self._say = poll, tell, say
        meta = separator.metadata
        self._mode = meta.modes[mode]
        self.name = f"{meta.name} {mode}"
        self._rate = job.rate if job.rate in meta.sample_rates else meta.sample_rates[0]
        self._order = [meta.stems.index(stem) for stem in job.stems]
        tell(Progress(f"{self.name}: reading the file"))
        self._material = material = Material(job.path, self._rate, job.channels)
        self.contents, self._path = material.contents, material.path
        announced = Material(job.path, job.rate, job.channels)
        self._frames = announced.frames
        announced.close()
        title = {"song": material.title, "separator": meta.name, "mode": mode, "rate": job.rate, "stems": job.stems}
        key = self._hash(), _digest(separator.path.read_bytes()), mode, job.rate, job.channels, job.stems
        try:
            self.entry = cache.entry(*key, title)
        except OSError as problem:
            raise self._unkept(cache.folder, problem) from None
        # Levels of the segments that are there, and what has become of the disk.
        self._levels: dict[int, np.ndarray] = {}
        self._size = cache.size()
        self._at, self._playing, self._moved = 0, False, False
        self._times: deque[float] = deque(maxlen=_MEASURED + 1)
        self._took = 0.0
        self._look()

    # Where it stands.

    def close(self) -> None:
        """Let go of the file."""
        self._material.close()

    def move(self, at: int, playing: bool, jumped: bool) -> None:
        """Let the play head be at sample `at`; `jumped`: not because it played on."""
        self._at, self._playing = at, playing
        self._moved = self._moved or jumped

    @property
    def total(self) -> int:
        """How many segments the file has."""
        return -(-self.frames // SEGMENT)

    @property
    def frames(self) -> int:
        """Samples of the file at the rate of the job: what it announces, until its end has been met."""
        material = self._material
        return min(self._frames, math.ceil(material.frames * self.job.rate / self._rate))

    @property
    def ready(self) -> float:
        """How much of the file is there, 0 to 1."""
        done = sum(index < self.total for index in self._levels)
        return 1.0 if done >= self.total else done / self.total

    @property
    def speed(self) -> float:
        """Seconds of the file a second, of late; 0 where it is not known yet."""
        times = self._times
        if len(times) < 2:
            return 0.0
        return (len(times) - 1) * SEGMENT / self.job.rate / max(1e-6, times[-1] - times[0])

    def activity(self) -> bytes:
        """Return the level of each stem at each of PLACES, 255 for that of a full tone; 0 where it is not known."""
        per = SEGMENT // BLOCK
        blocks = np.zeros((max(1, self.total) * per, len(self.job.stems)), np.uint8)
        for index, levels in self._levels.items():
            if index < self.total:
                blocks[index * per : index * per + len(levels)] = levels
        count = max(1, -(-self.frames // BLOCK))
        # From the first block of a place to that of the next; where they are the same, that one.
        return np.maximum.reduceat(blocks[:count], np.arange(PLACES) * count // PLACES).tobytes()

    def progress(self, state: str | None = None) -> Progress:
        """Return how far it is."""
        state = state or ("ready" if self.ready == 1 else "working")
        folder = str(self.entry.folder)
        return Progress(
            f"{self.name}: {state}", self.ready, self.speed, self.contents, folder, self.activity(), self.job.rate
        )

    # The work.

    def run(self) -> None:
        """Work until every segment is there. Raises Changed where the file is another now, and HostError where it fails."""
        self._look()
        while (first := self._next()) is not None:
            self._tell(self.progress())
            try:
                self._separate(first)
            except _Elsewhere:
                pass
        self._times.clear()
        self._tell(self.progress())

    def _look(self) -> None:
        """Find out which segments are there; those that are damaged are not, any more."""
        there = self.entry.segments()
        self._levels = {index: levels for index, levels in self._levels.items() if index in there}
        for index in sorted(there - set(self._levels)):
            self._poll()
            try:
                self._levels[index] = self.entry.levels(index)
            except Damaged as problem:
                self.entry.drop(index)
                self._say(str(problem))
            except OSError:
                continue

    def _next(self) -> int | None:
        """Return the segment to be made next: the first that is missing from the play head on, then from the start on."""
        # What would be made too late is left for later.
        late = self._took * self.job.rate if self._playing else 0
        here = min(max(0, int(self._at + late)) // SEGMENT, self.total - 1)
        places = (*range(here, self.total), *range(here))
        return next((index for index in places if index not in self._levels), None)

    def _separate(self, index: int) -> None:
        """Make segment `index` and those that follow, until one is there already or others are wanted more."""
        job = self.job
        common = math.gcd(job.rate, self._rate)
        step, own_step = job.rate // common, self._rate // common
        steps = max(0, index * SEGMENT - round(PAST * job.rate)) // step
        at = steps * own_step
        back = None
        if job.rate != self._rate:
            columns = len(job.stems) * job.channels
            back = soxr.ResampleStream(self._rate, job.rate, columns, dtype="float32", quality="VHQ")
        # What lies before the first segment is given to nobody.
        sound = _Rows(steps * step, index * SEGMENT)
        begun = time.monotonic()
        self._times.clear()
        self._times.append(begun)

        def read(count: int) -> np.ndarray:
            nonlocal at
            self._poll()
            if self._moved:
                self._moved = False
                if (wanted := self._next()) is not None and not index <= wanted <= index + 1:
                    raise _Elsewhere
            rows = self._rows(at, count)
            at += len(rows)
            return rows

        material = self._material
        for part in stems_of(self._separator, self._mode, read, material.frames - at, job.channels):
            rows = part[self._order].transpose(1, 0, 2).reshape(part.shape[1], -1)
            sound.add(rows.copy() if back is None else back.resample_chunk(np.ascontiguousarray(rows)))
            while len(sound) >= SEGMENT + OVERLAP:
                self._keep(index, sound.first(SEGMENT + OVERLAP))
                sound.drop(SEGMENT)
                index += 1
                # Even where the play head has overtaken it: to begin anew costs more than a segment.
                if index in self._levels:
                    return
        if back is not None:
            sound.add(back.resample_chunk(np.zeros((0, len(job.stems) * job.channels), np.float32), last=True))
        while index < self.total:
            rows = sound.first(min(SEGMENT + OVERLAP, self.frames - index * SEGMENT))
            self._keep(index, rows if len(rows) else np.zeros((1, len(job.stems) * job.channels), np.float32))
            sound.drop(SEGMENT)
            index += 1

    def _rows(self, at: int, count: int) -> np.ndarray:
        material = self._material
        rows = np.zeros((min(count, max(0, material.frames - at)), self.job.channels), np.float32)
        first, last = at // CHUNK, (at + max(0, len(rows) - 1)) // CHUNK
        for chunk in range(first, last + 1):
            if chunk not in material.chunks:
                material.decode(chunk)
                # In place: what has been read is of another song than what follows.
                if material.contents != self.contents:
                    raise Changed
        material.forget(set(range(first, last + 1)))
        material.rows(at, rows)
        return rows

    def _keep(self, index: int, rows: np.ndarray) -> None:
        if contents_of(stamp := stamp_of(self._path)) != self.contents and stamp is not None:
            before = self.contents.split(":")
            if [str(each) for each in stamp[:2]] == before[:2]:
                raise Changed
        levels = _levels(rows[:SEGMENT], len(self.job.stems))
        try:
            self._size += self.entry.write(index, rows, levels, self.job.rate)
        except OSError as problem:
            raise self._unkept(self.entry.folder, problem) from None
        self._levels[index] = levels
        now = time.monotonic()
        self._took = now - self._times[-1]
        self._times.append(now)
        if self._size > self._cache.limit:
            self._size = self._cache.trim(self.entry)
            if self._size > self._cache.limit:
                raise HostError(
                    f"the stems of this file take more than the {self._cache.limit / 1e9:.1f} GB that may be kept; "
                    "what there is of them is used"
                )
        self._tell(self.progress())

    def _unkept(self, folder: Path, problem: OSError) -> HostError:
        reason = problem.strerror or problem
        return HostError(f"the stems cannot be kept in {folder} ({reason}); make room, then send /deck/hq 1")

    def _hash(self) -> str:
        """Return the hash of what is in the file."""
        digest = hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                self._check(file)
                while data := file.read(_READ):
                    self._poll()
                    digest.update(data)
                self._check(file)
        except OSError as problem:
            raise HostError(f"{self._path} cannot be read ({problem.strerror})") from None
        return digest.hexdigest()

    def _check(self, file) -> None:
        # Some systems number an open file and its name differently.
        found = os.fstat(file.fileno())
        if not self.contents.endswith(f":{found.st_size}:{found.st_mtime_ns}"):
            raise Changed


class _Rows:
    """Rows that come in pieces, the first of them that of position `at`; what lies before `begin` is left out."""

    def __init__(self, at: int, begin: int) -> None:
        self._skip = begin - at
        self._pieces: deque[np.ndarray] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, rows: np.ndarray) -> None:
        skipped = min(self._skip, len(rows))
        self._skip -= skipped
        if len(rows) > skipped:
            self._pieces.append(rows[skipped:])
            self._length += len(rows) - skipped

    def first(self, count: int) -> np.ndarray:
        """Return the next `count` rows, or as many as there are, which stay."""
        if len(self._pieces) > 1:
            whole = np.concatenate(self._pieces)
            self._pieces.clear()
            self._pieces.append(whole)
        return self._pieces[0][:count] if self._pieces else np.zeros((0, 1), np.float32)

    def drop(self, count: int) -> None:
        """Let go of the next `count`."""
        rest = self.first(self._length)[count:]
        self._pieces.clear()
        self._length = len(rest)
        if len(rest):
            self._pieces.append(rest)


def _levels(rows: np.ndarray, stems: int) -> np.ndarray:
    """Return the level of each block of `rows` and each of `stems`, uint8 [blocks, stems]; 255 for that of a full tone."""
    blocks = -(-len(rows) // BLOCK)
    power = np.zeros((blocks, stems))
    for block in range(blocks):
        part = rows[block * BLOCK : (block + 1) * BLOCK]
        power[block] = np.square(part.reshape(len(part), stems, -1), dtype=np.float64).mean(axis=(0, 2))
    return np.clip(np.round(255 * np.sqrt(2 * power)), 0, 255).astype(np.uint8)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
