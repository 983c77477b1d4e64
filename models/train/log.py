"""What a run leaves behind while it goes: rows in log.csv, and TensorBoard's files where that is installed."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from models.data.layout import STEMS

FILE = "log.csv"
COLUMNS = ("step", "minutes", "speed", "rate", "loss", *STEMS, *(f"{k}_{s}" for k in ("valid", "equal") for s in STEMS))
"""speed in seconds of audio a second; SDR in dB: of the stems in training, smoothed, and in validation, as the
excerpts are and with their stems equally loud."""


class Log:
    """Rows of a run. What an earlier, killed run has written beyond `step` goes, for it will be done again."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / FILE
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = list(csv.reader(file))
            if not rows or tuple(rows[0]) != COLUMNS:
                # Of another make: kept, not mixed.
                self.path.replace(self.path.with_suffix(".old.csv"))
                rows = []
        kept = [row for row in rows[1:] if row and int(row[0]) <= step]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *kept])
        self._board = _tensorboard(folder, step)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add a row; columns without a value stay empty."""
        finite = {key: value for key, value in values.items() if math.isfinite(value)}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow({"step": step} | {k: _short(k, v) for k, v in finite.items()})
        if self._board is not None:
            for key, value in finite.items():
                self._board.add_scalar(key.replace("_", "/"), value, step)

    def close(self) -> None:
        """Write what is left to write."""
        if self._board is not None:
            self._board.close()


def _short(key: str, value: float) -> str:
    # A loss in full: two runs are compared by it.
    return repr(value) if key == "loss" else f"{value:.6g}" if key == "rate" else f"{value:.3f}"


def _tensorboard(folder: Path, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
