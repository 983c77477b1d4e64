"""A voice: a file as it plays at another tempo, rendered a little ahead by one thread and read by another."""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from realtime.deck.material import Material
from realtime.deck.playhead import Loop, Play, PlayHead, Put
from realtime.deck.stretcher import Stretcher

# Hops rendered ahead of what is read: a change of tempo waits for as many.
_AHEAD = 3
# After so many grains at tempo 1 the sound is the file again, as no window that is added up knows of another tempo.
_SETTLED = 10


@dataclass(frozen=True)
class _Part:
    """`sound` [n, channels] is the file from `place` on at `speed`; `straight` where it is the file as it is."""

    sound: np.ndarray
    place: float
    speed: float
    straight: bool


class Voice:
    """Plays `material` from sample `place` on, within `loop`, whose rounds cross-fade over `fade` samples.

    It plays at tempo 1 until it is `enter`ed, and then at `tempo`. `render` and `short` are for one thread, the rest for the one that reads.
    Beside the sound there may be `marks`, columns that are not stretched: each hop has the largest of what its sound was made of.
    `place` is the next sample of the file; `since` is where what was read last began, and `speed` its tempo.
    """

    def __init__(self, stretcher: Stretcher, material: Material, place: int, loop: Loop, fade: int, marks: int = 0) -> None:
        self.tempo = 1.0
        self.loop, self.fade = loop, fade
        self.place, self.since, self.speed = float(place), float(place), 1.0
        self.ended = False
        self._stretcher, self.hop = stretcher, stretcher.hop
        self._parts: deque[_Part] = deque()
        self._within = 0
        self._read = self._made = 0
        # Samples to have rendered: twice a block, and until it is entered, what `enter` will leave out and what follows that.
        self.wanted = 0
        self.left_out = 0
        self._is_in = False
        # Where it was entered, by what was read, and how far the file had gone beyond where it ought to be.
        self._entered: tuple[int, float] | None = None
        self._owed: float | None = None
        # The input: the file with its loops unrolled, of which sample 0 is the one at `place`.
        self._marks = marks
        channels, before = stretcher.channels + marks, (stretcher.early + 5) * self.hop
        rows = np.zeros((before, channels), np.float32)
        # What is not decoded there stays silent: none of it is heard.
        material.rows(place - before, rows)
        self._rows = np.zeros((channels, 32 * self.hop), np.float32)
        self._rows[:, :before] = rows.T
        self._at, self._held = -before, before
        self._feed = PlayHead(channels)
        # Without a fade at its beginning.
        self._feed.moves.extend((Put(material, place), Play(True)))
        self._feed.obey()
        self._next = -float(stretcher.early * self.hop)
        self._straight = _SETTLED

    # For the thread that reads.

    @property
    def ahead(self) -> int:
        """How many samples have been rendered and not been read."""
        return self._made - self._read

    @property
    def straight(self) -> bool:
        """Whether what comes next is the file as it is, from the whole sample `place` on."""
        return bool(self._parts) and self._within == 0 and self._parts[0].straight

    @property
    def lead(self) -> int:
        """Samples of the file, beyond `place`, that a change of the loop may come too late for."""
        return math.ceil((self.ahead + 10 * self.hop) * max(1.0, self.tempo, self.speed))

    def has(self, count: int) -> bool:
        """Return whether `count` samples can be read, or all that there will be."""
        return self.ended or self.ahead >= count

    def enter(self, skipped: int, tempo: float, beyond: float) -> None:
        """Leave out `skipped` samples, which have been rendered, and go on at `tempo`.

        `beyond` is how many samples of the file have gone by too much, and are made up for.
        """
        out = np.zeros((skipped, self._rows.shape[0]), np.float32)
        while skipped:
            skipped -= self.read(out[:skipped])
        self._entered = self._read, beyond
        # Whoever renders may still set `left_out` of what it took for a wish.
        self.tempo, self._is_in = tempo, True

    def read(self, out: np.ndarray) -> int:
        """Copy what is there, at one speed, into `out` [n, channels], and return how many samples."""
        if not self._parts:
            return 0
        part = self._parts[0]
        count = min(len(out), len(part.sound) - self._within)
        out[:count] = part.sound[self._within : self._within + count]
        self.since, self.speed = part.place + part.speed * self._within, part.speed
        self._within += count
        if self._within == len(part.sound):
            self._parts.popleft()
            self._within = 0
        self.place = self.since + self.speed * count
        self._read += count
        self.wanted = max(self.wanted, 2 * len(out))
        return count

    # For the thread that renders.

    @property
    def short(self) -> bool:
        """Whether more ought to be rendered."""
        least = (0 if self._is_in else self.left_out) or _AHEAD * self.hop
        return not self.ended and self.ahead < max(least, self.wanted)

    def render(self) -> bool:
        """Render a hop; return whether it could be done: not where the file is not decoded."""
        position, speed = self._next, self.tempo
        if not self._fill(math.ceil(position) + self._stretcher.reach):
            return False
        stretch = self._stretcher.grain(self._rows[: self._stretcher.channels, : self._held], self._at, position, speed)
        self._straight = self._straight + 1 if speed == 1 else 0
        self._advance(position, speed)
        if stretch is not None:
            self._split(stretch.sound, stretch.begin, stretch.end)
        return True

    def _advance(self, position: float, speed: float) -> None:
        if speed == 1:
            # Whole samples, so that the sound can go over into the file's own.
            self._owed = None
            self._next = float(math.ceil(position) + self.hop)
            if position != math.ceil(position):
                self._straight = 0
            return
        if self._entered is not None and self._owed is None:
            # Until here it went on at tempo 1: where would it be, had it gone at `speed` since it was entered?
            entered, beyond = self._entered
            self._owed = beyond + (position - entered) * (1 - speed)
            self._entered = None
        step = self.hop * speed
        back = 0.0 if self._owed is None else min(max(self._owed, -step / 3), step / 3)
        if self._owed is not None:
            self._owed -= back
        self._next = position + step - back

    def _fill(self, end: int) -> bool:
        """Have the input up to before `end`."""
        while self._at + self._held < end:
            count = min(self.hop, end - self._at - self._held)
            feed = self._feed
            feed.loop, feed.fade = self.loop, self.fade
            if not feed.ready(count) or not self._has_round(count):
                return False
            if self._held + count > self._rows.shape[1]:
                kept = 16 * self.hop
                self._rows[:, :kept] = self._rows[:, self._held - kept : self._held].copy()
                self._at += self._held - kept
                self._held = kept
            self._rows[:, self._held : self._held + count] = feed.read(count).T
            self._held += count
        return True

    def _has_round(self, count: int) -> bool:
        """Return whether the loop's start is decoded, where its end is near."""
        feed, loop = self._feed, self.loop
        near = loop.on and feed.position < loop.end <= feed.position + count + feed.fade
        return not near or feed.material is None or feed.material.holds(loop.start - feed.fade, count + feed.fade)

    def _split(self, sound: np.ndarray, begin: float, end: float) -> None:
        """Keep `sound`, which is the input from `begin` up to `end`, in parts that are one stretch of the file each."""
        if begin < 0:
            return
        feed, speed = self._feed, (end - begin) / len(sound)
        if self._marks:
            around = slice(math.floor(begin) - self._stretcher.reach - self._at, math.ceil(end) + self._stretcher.reach - self._at)
            mark = self._rows[-self._marks :, around].max(axis=1)
            sound = np.concatenate([sound, np.broadcast_to(mark, (len(sound), self._marks))], axis=1)
        straight = speed == 1 and self._straight >= _SETTLED
        # The input that has gone by when a part ends, as parts of the output.
        turns = [(turn - begin) / speed for turn in feed.turns(math.floor(begin) + 1, math.ceil(end))]
        cuts = [0, *sorted({min(max(0, math.ceil(turn)), len(sound)) for turn in turns}), len(sound)]
        for first, last in itertools.pairwise(cuts):
            if first == last:
                continue
            at = begin + speed * first
            whole = math.floor(at)
            place = feed.place(whole) + (at - whole)
            if feed.ended and place >= feed.material.frames:
                self.ended = True
                return
            part = sound[first:last]
            if feed.ended:
                part = part[: math.ceil((feed.material.frames - place) / speed)]
            self._parts.append(_Part(part, place, speed, straight))
            self._made += len(part)
