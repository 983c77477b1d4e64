"""The play head: what a deck gives block by block, with jumps and loops that land on the sample.

At a jump the sound cross-fades with equal power from where it was to what precedes the target, so
that the fade is over when the target is reached: from there on the output is the file, to the
sample. A loop fades in the same way before its out point, and so comes round in exactly its length.

At a tempo other than 1 it is so as well: what follows a jump is the file itself, until a voice, which
is rendered meanwhile and begins as the same sound, takes over and makes up for the time gone by.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING

import numpy as np

from realtime.deck.material import Material

if TYPE_CHECKING:
    from realtime.deck.voice import Voice

# Pieces of the past that are remembered, to tell what of it is heard now.
_REMEMBERED = 4096
# Decoded sound that a jump waits for, in samples; until then the old place plays on.
_ROOM = 4096
# Samples over which file and voice go over into each other where both are the same sound.
_SEAM = 256
# Samples of a voice that are kept for a fade, should it not be rendered in time.
_LEAST = 64
# Samples for which the file itself is heard, at least, before a voice takes over: what follows a jump is as sharp as it was.
_ITSELF = 1024
# Samples after which a voice that could not begin is wished for anew.
_PATIENCE = 1 << 16


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
class Wish:
    """A voice that is wished for, of what is played from `place` on, at sample `since` of the stream; `voice` once it is there.

    `room` samples are read from it at a time.
    """

    material: Material
    place: int
    loop: Loop
    fade: int
    since: int
    room: int
    voice: Voice | None = None


@dataclass
class _File:
    """`material` as it is, from `at` on."""

    material: Material
    at: int

    def read(self, out: np.ndarray) -> int:
        count = self.material.rows(self.at, out)
        self.at += count
        return count


@dataclass
class _Fade:
    """`old` falls while what plays rises; either may be silence. In a `seam` both are the same sound, and their amplitudes add up to 1."""

    length: int
    rises: bool
    old: _File | Voice | None = None
    seam: bool = False
    done: int = 0


@dataclass(frozen=True)
class _Piece:
    """From sample `since` of the stream on, the file is played from `at`; at `speed` 0 it stands."""

    since: int
    at: float
    speed: float


class PlayHead:
    """Gives the sound of a deck of `channels` channels by `read`, which neither waits nor decodes.

    `moves` takes Play, Jump, Wrap and Put from any thread, obeyed in order at the start of a block, or when the fade that is
    under way is over. `loop`, `fade`, the length of cross-fades in samples, and `tempo` may be set at any time. `stuck` says why
    nothing more will be decoded; it is set by whoever decodes. At a `tempo` other than 1 somebody must fulfil `wish` and
    render the `voices`. The last `marks` of the channels are no sound, but tell of it; see `realtime.deck.voice`.
    """

    def __init__(self, channels: int, marks: int = 0) -> None:
        self.channels, self.marks = channels, marks
        self.moves: deque[Play | Jump | Wrap | Put] = deque()
        self.fade = 0
        self.material: Material | None = None
        # The next sample of the file, the one that a jump waits for, and how much has been given since the start.
        self.position = 0
        self.target: int | None = None
        self.given = 0
        self.playing = self.ended = False
        self.stuck: str | None = None
        self.tempo = 1.0
        self.voice: Voice | None = None
        self.wish: Wish | None = None
        # Samples of the file that have gone by too much, as it plays at 1 until there is a voice.
        self._beyond = 0.0
        # How often the sound had to stop because it was not decoded yet.
        self.starved = 0
        self._looped = Looped()
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
        out = np.zeros((count, self.channels), np.float32)
        done = 0
        while done < count:
            done += self._step(out[done:], self.given + done)
        self.given += count
        return out

    def place(self, sample: int) -> int:
        """Return which sample of the file was given as sample `sample` of the stream, or stood there."""
        past = self._past.copy()
        piece = next((each for each in reversed(past) if each.since <= sample), past[0])
        return max(0, round(piece.at + piece.speed * max(0, sample - piece.since)))

    def turns(self, first: int, last: int) -> list[int]:
        """Return the samples of the stream, from `first` to before `last`, at which the place in the file or the speed steps."""
        return [piece.since for piece in self._past.copy() if first <= piece.since < last]

    def voices(self) -> list[Voice | _File | None]:
        """Return what plays, or is to, as far as somebody has to render it."""
        fade, wish = self._fade, self.wish
        return [self.voice, None if fade is None else fade.old, None if wish is None else wish.voice]

    def ready(self, count: int) -> bool:
        """Return whether the next `count` samples can be had, or will never be."""
        material, voice, wish = self.material, self.voice, self.wish
        if self.playing and not self.stuck and wish is not None:
            wish.room = max(wish.room, count)
            if wish.voice is None or not wish.voice.has(self.given - wish.since + count + 2 * _SEAM):
                return False
        if self.playing and not self.stuck and voice is not None:
            voice.wanted = max(voice.wanted, count + _LEAST)
            if not voice.has(count + _LEAST):
                return False
        return material is None or not self.playing or bool(self.stuck) or material.holds(self.position, count)

    def _step(self, out: np.ndarray, since: int) -> int:
        if self._fade is None:
            self.obey()
        if self._fade is not None:
            return self._fading(out, since)
        if not self.playing:
            self._note(since, 0, self.position)
            return len(out)
        self._bend(since, len(out))
        if self._fade is not None:
            return 0
        if self.voice is not None:
            if self.voice.has(len(out) + _LEAST) and self.voice.ahead:
                return self._take(out, since)
            self._lose_voice()
            return 0
        material, loop, limit = self.material, self.loop, len(out)
        if self.position >= material.frames:
            self.playing, self.ended, self.wish = False, True, None
            return 0
        looped = loop.on and self.position < loop.end <= material.frames
        if looped:
            left = loop.end - self.position
            if left <= self.fade:
                self._begin_fade(left, loop.start)
                return 0
            limit = min(limit, left - self.fade)
        count = self._take(out[: min(limit, material.frames - self.position)], since)
        if not count:
            return self._starve(out, since)
        if looped and self.position == loop.end:
            self.position = loop.start
        return count

    def _fading(self, out: np.ndarray, since: int) -> int:
        fade = self._fade
        out = out[: fade.length - fade.done]
        if fade.rises:
            count = self._take(out, since)
            if not count:
                return self._starve(out, since)
        else:
            self._note(since, 0, self.position)
            count = len(out)
        angle = np.arange(fade.done + 1, fade.done + count + 1) * (np.pi / 2 / (fade.length + 1))
        out = out[:count]
        power = 2 if fade.seam else 1
        out *= np.sin(angle, dtype=np.float32)[:, None] ** power
        if fade.old is not None:
            old, done = np.zeros((count, self.channels), np.float32), 0
            while done < count and (more := fade.old.read(old[done:])):
                done += more
            out += old * np.cos(angle, dtype=np.float32)[:, None] ** power
        fade.done += count
        if fade.done == fade.length:
            self._fade = None
        return count

    def _take(self, out: np.ndarray, since: int) -> int:
        """Put what plays into `out`, and return how many samples there were."""
        voice = self.voice
        if voice is not None and voice.ahead:
            count = voice.read(out)
            self._note(since, voice.speed, voice.since)
            self.position = round(voice.place)
            return count
        self.voice = None
        self._note(since, 1, self.position)
        count = self.material.rows(self.position, out)
        self.position += count
        self._beyond += count * (1 - self.tempo)
        return count

    def _bend(self, since: int, room: int) -> None:
        """Let a voice begin or end, as the tempo has it."""
        voice, wish = self.voice, self.wish
        if voice is not None:
            voice.fade = self.fade
            if self.tempo == 1 and voice.straight and self._is_clear(_SEAM):
                self._fade = _Fade(_SEAM, True, self._leave(), seam=True)
            elif voice.loop is not self.loop:
                self._change_loop(voice)
            elif voice.tempo != self.tempo:
                voice.tempo = self.tempo
        elif self.tempo == 1:
            self.wish, self._beyond = None, 0.0
        elif wish is None or wish.loop is not self.loop or wish.fade != self.fade or since - wish.since > _PATIENCE:
            self.wish = Wish(self.material, self.position, self.loop, self.fade, since, room)
        elif since - wish.since >= _ITSELF and self._is_clear(_SEAM) and wish.voice is not None:
            if not wish.voice.has(since - wish.since + room + 2 * _SEAM):
                return
            self._fade = _Fade(_SEAM, True, self._leave(), seam=True)
            self.voice = wish.voice
            self.voice.enter(since - wish.since, self.tempo, self._beyond)
            self.wish, self._beyond = None, 0.0

    def _is_clear(self, count: int) -> bool:
        """Return whether the next `count` samples are of one piece."""
        loop, after = self.loop, self.position + count
        return after <= self.material.frames and not (loop.on and self.position < loop.end <= after + self.fade)

    def _change_loop(self, voice: Voice) -> None:
        """Have the voice keep to the new loop, or begin another where it is too far ahead for that."""
        ahead = self.position + voice.lead
        if not any(loop.on and self.position < loop.end <= ahead for loop in (voice.loop, self.loop)):
            voice.loop = self.loop
            return
        left = self.loop.end - self.position - 1 if self.loop.on else self.fade
        length = self.fade if left < 0 else min(self.fade, left)
        old = self._leave()
        if length:
            self._fade = _Fade(length, True, old)

    def _lose_voice(self) -> None:
        """Go on with the file itself, as the voice is at its end, or late: what there is of it is enough for a fade."""
        voice = self._leave()
        if not voice.ended:
            self.starved += 1
            length = min(max(self.fade, _LEAST), voice.ahead)
            self._fade = _Fade(length, True, voice) if length else None

    def _leave(self) -> _File | Voice | None:
        """Return what plays, for a fade, and let the file itself follow."""
        voice, self.voice = self.voice, None
        if not self.playing:
            return None
        return _File(self.material, self.position) if voice is None else voice

    def _starve(self, out: np.ndarray, since: int) -> int:
        """Stand still where nothing has been decoded, so that nothing of the file is lost."""
        self.starved += 1
        self.wish = None
        if self.stuck:
            self.playing, self._fade = False, None
        self._note(since, 0, self.position)
        return len(out)

    def _begin_fade(self, length: int, to: int) -> None:
        """Let what plays go over to what precedes `to`, which is reached when the fade is over."""
        old = self._leave()
        self._fade = _Fade(length, True, old) if length else None
        self.position = to - length

    def _land(self, length: int, to: int) -> None:
        """Go to `to`, which is reached in `length` samples of a fade, and be in time there."""
        self._begin_fade(length, to)
        self.wish, self._beyond = None, -length * (1 - self.tempo)

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
                        round_it = (self.position + round(self.fade * self.tempo) - loop.start) % (loop.end - loop.start)
                        self.target = loop.start + round_it
                        self._jump()
                case Play(on):
                    self._play(on)
                case Put(material, at, looped):
                    self._looped = looped or self._looped
                    if self.playing:
                        self._begin_fade(self.fade, at)
                        at -= self.fade
                    self.wish = None
                    self.material, self.position, self.ended = material, at, False

    def _play(self, on: bool) -> None:
        if on == self.playing or self.material is None:
            return
        if on:
            start = 0 if self.ended else self.position
            self._land(min(self.fade, start), start)
            self.ended = False
        else:
            old, self.wish = self._leave(), None
            self._fade = _Fade(self.fade, False, old) if self.fade else None
        self.playing = on

    def _jump(self) -> None:
        if self.material is None:
            self.target = None
        elif not self.playing:
            self.position, self.target, self.ended = self.target, None, False
        elif self.stuck or self.material.holds(self.target - self.fade, self.fade + _ROOM):
            to, self.target = self.target, None
            self._land(self.fade, to)
        elif self._waits(Jump | Put):
            self.target = None

    def _waits(self, kind: type | UnionType) -> bool:
        """Return whether a move of `kind` waits."""
        # A copy, made at one go: whoever adds one meanwhile would end the sound.
        return any(isinstance(move, kind) for move in self.moves.copy())

    def _note(self, since: int, speed: float, at: float) -> None:
        last = self._past[-1]
        if abs(last.speed - speed) > 1e-6 or abs(last.at + speed * (since - last.since) - at) > 0.01:
            self._past.append(_Piece(since, at, speed))
