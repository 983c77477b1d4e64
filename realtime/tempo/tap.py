"""Tap tempo: a grid out of taps."""

from __future__ import annotations

from realtime.tempo.grid import Grid

# A longer pause, in seconds, begins a new row of taps: slower than 30 beats a minute nobody taps.
PAUSE = 2.0
# The taps that count: a tempo that drifts is followed.
KEPT = 8
# A tap that is further from where it belongs, in beats, begins a new row.
ASTRAY = 0.35


class Tap:
    """Rows of taps on the beat. The first of a row is beat 0; the second makes a tempo of them."""

    def __init__(self) -> None:
        self._taps: list[tuple[float, float]] = []

    def tap(self, time: float) -> Grid | None:
        """Take a tap at `time`, in seconds; return the grid that fits the row, None where it is the first.

        The grid is the straight line, by least squares, through the last taps of the row.
        """
        taps = self._taps
        if taps and not 0 < time - taps[-1][1] <= PAUSE:
            taps.clear()
        if len(taps) >= 2:
            beat = self._fit().beat_at(time)
            if round(beat) <= taps[-1][0] or abs(beat - round(beat)) > ASTRAY:
                # Another tempo, or another place of the one: the last tap and this one begin again.
                taps[:] = [(0.0, taps[-1][1])]
                taps.append((1.0, time))
                return self._fit()
            taps.append((float(round(beat)), time))
            del taps[:-KEPT]
            return self._fit()
        taps.append((float(len(taps)), time))
        return self._fit() if len(taps) == 2 else None

    def _fit(self) -> Grid:
        count = len(self._taps)
        beat = sum(b for b, _ in self._taps) / count
        time = sum(t for _, t in self._taps) / count
        spread = sum((b - beat) ** 2 for b, _ in self._taps)
        seconds = sum((b - beat) * (t - time) for b, t in self._taps) / spread
        return Grid(beat, time, 60 / seconds)
