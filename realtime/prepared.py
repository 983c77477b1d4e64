"""Stems that were made beforehand, in place of the network's wherever they are there."""

from __future__ import annotations

import numpy as np

from realtime.stemring import MARK, UNREADY

# Seconds of a cross-fade to prepared stems, and at most of one back: that must be over when the first sample without them is
# due, and there is only as much warning as the synthesis window gives.
TO, BACK = 0.02, 0.01


class Prepared:
    """Holds what came in beside the mixture, and lays it over what a network gave for the same samples.

    For `stems` x `channels`, stem by stem, in steps of `step` samples, behind which overlap-add holds `weights`; output
    lags the end of a step by `lookahead` samples more. How much is prepared follows from the marks around each
    sample alone, so that it does not matter where steps begin.
    """

    def __init__(
        self, stems: int, channels: int, step: int, weights: np.ndarray, lookahead: int, rate: float, single: bool = False
    ) -> None:
        self.columns = stems * channels + 1
        self._shape, self._single = (stems, channels), single
        self._step, self._size, self._lookahead = step, step + len(weights), lookahead
        self._weights = weights.astype(np.float32)[:, None]
        self._to, self._back = round(TO * rate), max(1, min(len(weights), round(BACK * rate)))
        self._reach = reach = lookahead + self._size + self._to
        # Before the start there is silence, and nothing to wait for.
        self._history = np.zeros((reach + max(16 * step, reach + step), self.columns), np.float32)
        self._end = reach
        self._at = np.arange(self._to + self._size)
        self._before: np.ndarray | None = None

    def push(self, rows: np.ndarray) -> None:
        """Take `rows` [step, columns]; with no columns, nothing is prepared there."""
        if self._end + self._step > len(self._history):
            self._history[: self._reach] = self._history[self._end - self._reach : self._end]
            self._end = self._reach
        place = self._history[self._end : self._end + self._step]
        if rows.shape[1]:
            place[:] = rows
        else:
            place[:, :-1] = 0
            place[:, -1] = MARK
        self._end += self._step

    def over(self, stems: np.ndarray, tails: np.ndarray, condition: np.ndarray) -> None:
        """Lay what is prepared over `stems` [streams, step, channels] and `tails` [streams, rest, channels], weighted.

        In `single` it is their blend by `condition` [1, stems], which goes from the last to this one in a line.
        """
        before, self._before = self._before, condition.copy()
        end, step = self._end - self._lookahead, self._step
        window = self._history[end - self._size - self._to : end]
        unready = window[:, -1] > UNREADY
        if unready[self._to :].all():
            return
        share = None if not unready.any() else self._share(unready)[self._to :, None]
        sound = window[self._to :, :-1].reshape(self._size, *self._shape).transpose(1, 0, 2)
        if self._single:
            sound = self._blend(sound, condition[0], condition[0] if before is None else before[0])
        first, rest = sound[:, :step], sound[:, step:] * self._weights
        if share is None:
            stems[:], tails[:] = first, rest
        else:
            stems += share[:step] * (first - stems)
            tails += share[step:] * (rest - tails)

    def _share(self, unready: np.ndarray) -> np.ndarray:
        """Return how much of each sample is prepared: a way up behind each stretch that is not, and one down before it."""
        at, far = self._at, 1 << 30
        since = at - np.maximum.accumulate(np.where(unready, at, -far))
        until = np.minimum.accumulate(np.where(unready, at, far)[::-1])[::-1] - at
        line = np.clip(np.minimum(since / self._to, until / self._back), 0, 1)
        # Without corners, which would be heard where there is little to cover them.
        return (line * line * (3 - 2 * line)).astype(np.float32)

    def _blend(self, sound: np.ndarray, condition: np.ndarray, before: np.ndarray) -> np.ndarray:
        if np.array_equal(condition, before):
            return np.einsum("s,snc->nc", condition, sound)[None]
        way = np.minimum(1, np.arange(1, self._size + 1, dtype=np.float32) / self._step)
        course = before[:, None] + (condition - before)[:, None] * way
        return np.einsum("sn,snc->nc", course, sound)[None]
