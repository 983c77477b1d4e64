"""The play head: what a deck gives block by block, with jumps and loops that land on the sample.

At a jump the sound cross-fades with equal power from where it was to what precedes the target, so
that the fade is over when the target is reached: from there on the output is the file, to the
sample. A loop fades in the same way before its out point, and so comes round in exactly its length.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import UnionType

import numpy as np

from realtime.deck.material import Material

# Pieces of the past that are remembered, to tell what of it is heard now.
_REMEMBERED = 4096
# Decoded sound that a jump waits for, in samples; until then the old place plays on.
_ROOM = 4096


@dataclass(frozen=True)
class Loop:
    """From sample `start` to before sample `end`; it holds what plays before its end."""

    start: int = 0
    end: int = 0
    on: bool = False


@dataclass
class Looped:
    """What holds the loop of one material, from the moment it is loaded: before it is on, too."""

    loop: Loop = Loop()


@dataclass(frozen=True)
class Play:
    """Play on, or pause."""

    on: bool


@dataclass(frozen=True)
class Jump:
    """Go on at sample `to`."""

    to: int


@dataclass(frozen=True)
class Wrap:
    """Where the loop's end has gone by, go on as if the loop had come round there."""


@dataclass(frozen=True)
class Put:
    """Put `material` on the deck in place of what was there, at sample `at`, and its loop with it; None leaves the loop."""

    material: Material
    at: int = 0
    looped: Looped | None = None


@dataclass
class _Fade:
    """`old` falls, from `at` on, while what plays rises; either may be silence."""

    length: int
    rises: bool
    old: Material | None = None
    at: int = 0
    done: int = 0


@dataclass(frozen=True)
class _Piece:
    """From sample `since` of the stream on, the file is played from `at`; at `speed` 0 it stands."""

    since: int
    at: int
    speed: int


class PlayHead:
    """Gives the sound of a deck of `channels` channels by `read`, which neither waits nor decodes.

    `moves` takes Play, Jump, Wrap and Put from any thread, obeyed in order at the start of a block, or when the fade that is
    under way is over. `loop` and `fade`, the length of cross-fades in samples, may be set at any time. `stuck` says why
    nothing more will be decoded; it is set by whoever decodes.
    """

    def __init__(self, channels: int) -> None:
        self.moves: deque[Play | Jump | Wrap | Put] = deque()
        self.fade = 0
        self.material: Material | None = None
        # The next sample of the file, the one that a jump waits for, and how much has been given since the start.
        self.position = 0
        self.target: int | None = None
        self.given = 0
        self.playing = self.ended = False
        self.stuck: str | None = None
        # How often the sound had to stop because it was not decoded yet.
        self.starved = 0
        self._looped = Looped()
        self._channels = channels
        self._fade: _Fade | None = None
        self._past: deque[_Piece] = deque([_Piece(0, 0, 0)], _REMEMBERED)
        self._other = np.zeros((0, channels), np.float32)

    @property
    def loop(self) -> Loop:
        """The loop of what is on."""
        return self._looped.loop

    @loop.setter
    def loop(self, loop: Loop) -> None:
        self._looped.loop = loop

    def read(self, count: int) -> np.ndarray:
        """Return the next `count` samples, float32 [count, channels]; silence where nothing plays."""
        out = np.zeros((count, self._channels), np.float32)
        done = 0
        while done < count:
            done += self._step(out[done:], self.given + done)
        self.given += count
        return out

    def place(self, sample: int) -> int:
        """Return which sample of the file was given as sample `sample` of the stream, or stood there."""
        past = self._past.copy()
        piece = next((each for each in reversed(past) if each.since <= sample), past[0])
        return max(0, piece.at + piece.speed * max(0, sample - piece.since))

    def ready(self, count: int) -> bool:
        """Return whether the next `count` samples can be had, or will never be."""
        material = self.material
        return material is None or not self.playing or bool(self.stuck) or material.holds(self.position, count)

    def _step(self, out: np.ndarray, since: int) -> int:
        if self._fade is None:
            self.obey()
        if self._fade is not None:
            return self._fading(out, since)
        if not self.playing:
            self._note(since, 0)
            return len(out)
        material, loop, limit = self.material, self.loop, len(out)
        if self.position >= material.frames:
            self.playing, self.ended = False, True
            return 0
        looped = loop.on and self.position < loop.end <= material.frames
        if looped:
            left = loop.end - self.position
            if left <= self.fade:
                self._begin_fade(left, loop.start)
                return 0
            limit = min(limit, left - self.fade)
        self._note(since, 1)
        count = material.rows(self.position, out[: min(limit, material.frames - self.position)])
        if not count:
            return self._starve(out, since)
        self.position += count
        if looped and self.position == loop.end:
            self.position = loop.start
        return count

    def _fading(self, out: np.ndarray, since: int) -> int:
        fade = self._fade
        out = out[: fade.length - fade.done]
        if fade.rises:
            self._note(since, 1)
            count = self.material.rows(self.position, out)
            if not count:
                return self._starve(out, since)
            self.position += count
        else:
            self._note(since, 0)
            count = len(out)
        angle = np.arange(fade.done + 1, fade.done + count + 1) * (np.pi / 2 / (fade.length + 1))
        out = out[:count]
        out *= np.sin(angle, dtype=np.float32)[:, None]
        if fade.old is not None:
            old = np.zeros((count, self._channels), np.float32)
            fade.old.rows(fade.at + fade.done, old)
            out += old * np.cos(angle, dtype=np.float32)[:, None]
        fade.done += count
        if fade.done == fade.length:
            self._fade = None
        return count

    def _starve(self, out: np.ndarray, since: int) -> int:
        """Stand still where nothing has been decoded, so that nothing of the file is lost."""
        self.starved += 1
        if self.stuck:
            self.playing, self._fade = False, None
        self._note(since, 0)
        return len(out)

    def _begin_fade(self, length: int, to: int) -> None:
        """Let what plays go over to what precedes `to`, which is reached when the fade is over."""
        old = self.material if self.playing else None
        self._fade = _Fade(length, True, old, self.position) if length else None
        self.position = to - length

    def obey(self) -> None:
        """Do what `moves` ask for, as far as it can be done now: for `read`, and before the first of it."""
        if self.target is not None:
            self._jump()
        while self._fade is None and self.target is None and self.moves:
            match self.moves.popleft():
                case Jump(to):
                    # Nobody waits for the first of two.
                    if not self._waits(Jump):
                        self.target = to
                        self._jump()
                case Wrap():
                    loop = self.loop
                    if self.playing and self.position >= loop.end > loop.start:
                        round_it = (self.position + self.fade - loop.start) % (loop.end - loop.start)
                        self.target = loop.start + round_it
                        self._jump()
                case Play(on):
                    self._play(on)
                case Put(material, at, looped):
                    self._looped = looped or self._looped
                    if self.playing:
                        self._fade = _Fade(self.fade, True, self.material, self.position) if self.fade else None
                        at -= self.fade
                    self.material, self.position, self.ended = material, at, False

    def _play(self, on: bool) -> None:
        if on == self.playing or self.material is None:
            return
        if on:
            start = 0 if self.ended else self.position
            length = min(self.fade, start)
            self._begin_fade(length, start)
            self.ended = False
        elif self.fade:
            self._fade = _Fade(self.fade, False, self.material, self.position)
        self.playing = on

    def _jump(self) -> None:
        if self.material is None:
            self.target = None
        elif not self.playing:
            self.position, self.target, self.ended = self.target, None, False
        elif self.stuck or self.material.holds(self.target - self.fade, self.fade + _ROOM):
            to, self.target = self.target, None
            self._begin_fade(self.fade, to)
        elif self._waits(Jump | Put):
            self.target = None

    def _waits(self, kind: type | UnionType) -> bool:
        """Return whether a move of `kind` waits."""
        # A copy, made at one go: whoever adds one meanwhile would end the sound.
        return any(isinstance(move, kind) for move in self.moves.copy())

    def _note(self, since: int, speed: int) -> None:
        last = self._past[-1]
        if last.speed != speed or last.at + speed * (since - last.since) != self.position:
            self._past.append(_Piece(since, self.position, speed))
