"""Stems of a live run kept in memory, and written when the run is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime.devices.file import FileSink
from realtime.engine import Engine


class Tape:
    """Room for `frames` samples of every stream of `engine`; what comes later is not kept."""

    def __init__(self, engine: Engine, frames: int) -> None:
        self._rate = int(engine.rate)
        self._names = engine.names if engine.run == "stems" else ("master",)
        self._audio = np.full((engine.streams, frames, engine.channels), 0, np.float32)

    def take(self, engine: Engine) -> None:
        """Copy the hop just mixed."""
        start, stems = engine.start, engine.stems
        first, last = max(0, -start), min(stems.shape[1], self._audio.shape[1] - start)
        if last > first:
            self._audio[:, start + first : start + last] = stems[:, first:last] if len(self._names) > 1 else engine.master[None, first:last]

    def write(self, folder: Path) -> list[Path]:
        """Write one float32 WAV per stream into `folder`; return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, audio in zip(self._names, self._audio, strict=True):
            sink = FileSink(folder / f"{name}.wav", self._rate, audio.shape[1])
            sink.write(audio)
            sink.close()
            paths.append(sink.path)
        return paths
