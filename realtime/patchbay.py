"""What leaves on each pair of output channels: the engine's parts through a matrix whose entries glide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.errors import HostError
from realtime.outputs import DRY, FIXED, MASTER, REMAINDER, REMAINDER_PRE, Routes, columns


@dataclass(frozen=True)
class Parts:
    """The arrays in which an engine has the sound of a step, and of the tail behind it.

    `master` and `dry` [step, channels], `stems` [streams, step, channels]; `tail`, `dry_tail` and `stem_tails` are the
    same for what follows, weighted as overlap-add is. `named`: the streams are the stems by name. `separated` and
    `separated_tails` are the stems as they were before inserts; the same arrays where there are none.
    """

    master: np.ndarray
    dry: np.ndarray
    stems: np.ndarray
    tail: np.ndarray
    dry_tail: np.ndarray
    stem_tails: np.ndarray
    named: bool
    separated: np.ndarray
    separated_tails: np.ndarray


class _Matrix:
    """The entries, flat. Those that are heard move in straight lines, in memory that is there already."""

    def __init__(self, values: np.ndarray, step: int) -> None:
        self.now = np.array(values, np.float64)
        self._target, self._slope, self._left = self.now.copy(), np.zeros_like(self.now), 0
        self._steps = np.arange(1, step + 1, dtype=np.float32)
        # Of the `heard` entries, their course over the step, float32 [entries, step]; good unless `steady`: nothing moved.
        self.course = np.zeros((len(values), step), np.float32)
        self.heard: list[int] = np.flatnonzero(self.now).tolist()
        self.steady = True

    def aim(self, target: np.ndarray, samples: int) -> None:
        """Move to `target` within `samples`, from here on."""
        self._target[:] = target
        self._left, self.steady = samples, False
        self._slope[:] = (target - self.now) / samples
        new = [entry for entry in np.flatnonzero(target).tolist() if entry not in self.heard]
        self.course[new] = 0
        self.heard += new

    def run(self, start: int, end: int) -> None:
        """Let samples `start`..`end` of the step go by."""
        moving = min(end - start, self._left)
        self.steady = not moving and end - start == len(self._steps)
        if self.steady:
            return
        for entry in self.heard:
            path = self.course[entry, start : start + moving]
            np.multiply(self._steps[:moving], float(self._slope[entry]), out=path)
            path += float(self.now[entry])
        if moving:
            self._left -= moving
            self.now[:] = self._target if self._left == 0 else self.now + moving * self._slope
        for entry in self.heard:
            self.course[entry, start + moving : end] = self.now[entry]

    def settle(self) -> None:
        """Leave out what is heard no more."""
        self.heard = np.flatnonzero(self.now).tolist()

    def follow(self, other: _Matrix) -> None:
        """Go on where `other` is, to where it goes."""
        self.now[:], self._target[:], self._slope[:] = other.now, other._target, other._slope
        self._left, self.heard = other._left, other.heard.copy()
        for entry in self.heard:
            self.course[entry] = self.now[entry]


class Patchbay:
    """Routes `parts` to `pairs` pairs: `block` [step, pairs x channels], `tail` behind it, and `fills` for a gap.

    In a gap the master is filled with dry sound as ever, and dry sound goes on, also what the remainder has of it in
    bypass; stems fade to silence on their overlap-add tail. A change of the matrix takes `rise` samples at least.
    Raises HostError for a matrix of another shape.
    """

    def __init__(self, pairs: int, names: Sequence[str], parts: Parts, rise: int, routes: Routes = ()) -> None:
        self.names, self.pairs = tuple(names), pairs
        self._parts, self._rise, self._routes = parts, rise, routes
        (step, channels), rest = parts.master.shape, len(parts.tail)
        self._wide = len(columns(names))
        if routes and (len(routes), len(routes[0])) != (pairs, self._wide):
            raise HostError(f"a matrix of {len(routes)} pairs by {len(routes[0])} is not one of {pairs} by {self._wide}")
        self._matrix = _Matrix(np.array(routes).reshape(-1) if routes else np.zeros(pairs * self._wide), step)
        # What is heard while nothing moves; None while something does.
        self._steady: list[tuple[int, int, float]] | None = None
        self.block = np.zeros((step, pairs * channels), np.float32)
        self.tail = np.zeros((rest, pairs * channels), np.float32)
        self.fills = np.zeros(pairs * channels)
        # Each pair in one piece, taken apart at the end: sums of interleaved sound take several times as long.
        self._blocks = np.zeros((pairs, step, channels), np.float32)
        self._tails = np.zeros((pairs, rest, channels), np.float32)
        self._places = self.block.reshape(step, pairs, channels).transpose(1, 0, 2)
        self._tail_places = self.tail.reshape(rest, pairs, channels).transpose(1, 0, 2)
        self._fill_places = self.fills.reshape(pairs, channels)
        self._part, self._tail_part = np.zeros((step, channels), np.float32), np.zeros((rest, channels), np.float32)
        self._level = np.zeros(step, np.float32)
        # Sound and tail of each column, of a stem after its fader the tail before it; stems that are not computed have none.
        self._columns = {MASTER: (parts.master, parts.tail), DRY: (parts.dry, parts.dry_tail)}
        count = len(self.names)
        if parts.named:
            for index in range(count):
                stem, tail = parts.stems[index], parts.stem_tails[index]
                self._columns[FIXED + index] = np.zeros_like(stem), tail
                self._columns[FIXED + count + index] = parts.separated[index], parts.separated_tails[index]
        for column in (REMAINDER, REMAINDER_PRE):
            self._columns[column] = np.zeros_like(self._part), np.zeros_like(self._tail_part)

    def aim(self, routes: Routes, samples: int) -> None:
        """Move to `routes` within `samples`, from here on; an empty matrix leaves all as it is."""
        if routes and routes != self._routes:
            # Not every step is rendered: what was heard must not outlive one that is left out.
            self._routes, self._steady = routes, None
            self._matrix.aim(np.array(routes).reshape(-1), max(samples, self._rise))

    def run(self, start: int, end: int) -> None:
        """Let samples `start`..`end` of the step go by."""
        if end > start:
            self._matrix.run(start, end)

    def follow(self, other: Patchbay) -> None:
        """Take over where the matrix of `other` is on its way, unless it is for other stems or pairs."""
        if (self.names, self.pairs) == (other.names, other.pairs):
            self._matrix.follow(other._matrix)
            self._routes, self._steady = other._routes, None

    def render(self, course: np.ndarray, now: np.ndarray, steady: bool, fill_gain: float) -> None:
        """Route the step; `course` and `now` are the engine's: gains of its streams, of the remainder, and the wet share.

        `steady`: none of these moves in it.
        """
        heard, matrix, parts = self._heard(), self._matrix, self._parts
        # Where nothing moves at all, a stem after its fader is the one before it at another level.
        still = steady and self._steady is not None
        self._make({column for _, column, _ in heard}, course, now, still)
        self._fill_places.fill(0)
        filled = -1
        for pair, column, gain in heard:
            sound, tail = self._columns[column]
            index, share = column - FIXED, 1.0
            if 0 <= index < len(self.names):
                share = float(now[index] * now[-1])
                sound = parts.stems[index] if still else sound
            if self._steady is None:
                level = matrix.course[pair * self._wide + column][:, None]
            else:
                level = gain * share if still else gain
            if pair == filled:
                np.multiply(sound, level, out=self._part)
                self._blocks[pair] += self._part
                np.multiply(tail, gain * share, out=self._tail_part)
                self._tails[pair] += self._tail_part
            else:
                self._silence(filled + 1, pair)
                np.multiply(sound, level, out=self._blocks[pair])
                np.multiply(tail, gain * share, out=self._tails[pair])
            filled = pair
            fill = fill_gain if column == MASTER else 1.0 if column == DRY else 1 - now[-1] if column == REMAINDER else 0.0
            if fill:
                self._fill_places[pair] += gain * fill
        self._silence(filled + 1, self.pairs)
        self._places[:] = self._blocks
        self._tail_places[:] = self._tails

    def _silence(self, start: int, end: int) -> None:
        if start < end:
            self._blocks[start:end] = 0
            self._tails[start:end] = 0

    def _heard(self) -> list[tuple[int, int, float]]:
        """Return each pair, column and gain, at the end of the step, of what is heard in it."""
        matrix = self._matrix
        if not matrix.steady:
            self._steady = None
        elif self._steady is not None:
            return self._steady
        else:
            matrix.settle()
        entries = [(*divmod(entry, self._wide), float(matrix.now[entry])) for entry in sorted(matrix.heard)]
        entries = [entry for entry in entries if entry[1] in self._columns]
        if matrix.steady:
            self._steady = entries
        return entries

    def _make(self, wanted: set[int], course: np.ndarray, now: np.ndarray, still: bool) -> None:
        """Fill those of the `wanted` columns that the engine does not have itself."""
        parts, level, wet = self._parts, self._level, course[-1]
        if REMAINDER in wanted or REMAINDER_PRE in wanted:
            rest, rest_tail = self._columns[REMAINDER_PRE]
            np.sum(parts.separated, axis=0, out=rest)
            np.subtract(parts.dry, rest, out=rest)
            np.sum(parts.separated_tails, axis=0, out=rest_tail)
            np.subtract(parts.dry_tail, rest_tail, out=rest_tail)
        if REMAINDER in wanted:
            # With the dry share of the master, so that the stems and it make up the master.
            sound, tail = self._columns[REMAINDER]
            if still:
                np.multiply(rest, float(now[-2] * now[-1]), out=sound)
            else:
                np.multiply(course[-2], wet, out=level)
                np.multiply(rest, level[:, None], out=sound)
            np.multiply(rest_tail, float(now[-2] * now[-1]), out=tail)
            np.subtract(1, wet, out=level)
            if not still or level[0]:
                np.multiply(parts.dry, level[:, None], out=self._part)
                sound += self._part
            if now[-1] != 1:
                np.multiply(parts.dry_tail, float(1 - now[-1]), out=self._tail_part)
                tail += self._tail_part
        if still or not parts.named:
            return
        for index in range(len(self.names)):
            if FIXED + index in wanted:
                np.multiply(course[index], wet, out=level)
                np.multiply(parts.stems[index], level[:, None], out=self._columns[FIXED + index][0])
