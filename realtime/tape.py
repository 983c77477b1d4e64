"""Stems of a live run kept in memory, and written when the run is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime.devices.file import FileSink
from realtime.engine import Engine
from realtime.errors import HostError


def make_folder(folder: Path) -> Path:
    """Return `folder`, made with its parents where it was missing. Raises HostError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"{folder} cannot be made a folder ({problem.strerror}); choose another.") from None
    return folder


class Tape:
    """Room for `frames` samples of every stream of `engine`; what comes later is not kept.

    `folder` is made at once, so that one that cannot be is refused (HostError) before the music starts.
    """

    def __init__(self, engine: Engine, frames: int, folder: Path) -> None:
        self._folder = make_folder(folder)
        self._rate = int(engine.rate)
        self._names = engine.names if engine.run == "stems" else ("master",)
        self._audio = np.full((engine.streams, frames, engine.channels), 0, np.float32)

    def take(self, engine: Engine) -> None:
        """Copy the hop just mixed."""
        start, stems = engine.start, engine.stems
        first, last = max(0, -start), min(stems.shape[1], self._audio.shape[1] - start)
        if last > first:
            self._audio[:, start + first : start + last] = (
                stems[:, first:last] if len(self._names) > 1 else engine.master[None, first:last]
            )

    def write(self) -> list[Path]:
        """Write one float32 WAV per stream into the folder; return the files."""
        paths = []
        for name, audio in zip(self._names, self._audio, strict=True):
            sink = FileSink(self._folder / f"{name}.wav", self._rate, audio.shape[1])
            sink.write(audio)
            sink.close()
            paths.append(sink.path)
        return paths
