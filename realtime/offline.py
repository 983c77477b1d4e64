"""A file, or an array, through the engine as fast as it goes: the same hops as live, aligned with the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr

from realtime.devices.file import FileSink, FileSource, reader
from realtime.engine import Engine, full_mix
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.separator import Separator
from realtime.wholefiles import whole_files

REMAINDER = "remainder"


def default_run(separator: Separator) -> str:
    """Return the way of running that gives every stem."""
    return "stems" if "stems" in separator.metadata.runs else "single"


def stems_of(
    separator: Separator, mode: Mode, read: Callable[[int], np.ndarray], frames: int, channels: int
) -> Iterator[np.ndarray]:
    """Yield the stems [stems, n, channels] of a source of `frames` samples, aligned with it and as long.

    `read(n)` returns the next samples, float32 [n, channels], fewer at its end. Raises HostError where the
    network gives NaN or infinity.
    """
    names = separator.metadata.stems
    engine = Engine(separator, mode, channels, default_run(separator), full_mix(names))
    engine.ends_at = frames
    block = np.zeros((engine.step, channels), np.float32)
    given = 0
    while given < frames:
        rows = read(engine.step)
        block.fill(0)
        block[: len(rows)] = rows
        if not engine.process(block):
            raise HostError(f"separator '{separator.metadata.name}' gave numbers that are not finite; nothing was kept")
        start = engine.start
        part = engine.stems[:, max(0, -start) : max(0, min(engine.step, frames - start))]
        if part.shape[1]:
            given += part.shape[1]
            yield part


def separate_array(separator: Separator, mode: Mode, audio: np.ndarray) -> np.ndarray:
    """Return the stems [stems, samples, channels] of `audio` float32 [samples, channels] at the separator's rate."""
    read = reader(audio)
    parts = [part.copy() for part in stems_of(separator, mode, read, len(audio), audio.shape[1])]
    return np.concatenate(parts, axis=1)


def separate_file(
    separator: Separator,
    mode: Mode,
    path: Path,
    folder: Path,
    progress: Callable[[float], object] = lambda share: None,
    spare: Sequence[Path] = (),
) -> tuple[list[Path], list[str]]:
    """Write every stem of `path` and the remainder into `folder` as float32 WAV; return the files and notices.

    The files are as long as the input, aligned with it, and sum to it. They appear only when whole, and
    never in the place of `path` or of one of `spare`. Raises HostError.
    """
    meta = separator.metadata
    rate = meta.sample_rates[0]
    with FileSource(path, rate) as probe:
        file_rate, channels = probe.file_rate, probe.channels
        notices = [probe.notice] if probe.notice else []
    if file_rate in meta.sample_rates:
        rate = file_rate
    targets = [folder / f"{name}.wav" for name in (*meta.stems, REMAINDER)]
    inputs = {source.resolve(): source for source in (path, *spare)}
    for target in targets:
        if target.resolve() in inputs:
            source = inputs[target.resolve()]
            raise HostError(f"writing into {folder} would overwrite the input {source}; choose another folder with -o")
    with (
        FileSource(path, rate) as source,
        FileSource(path, file_rate) as original,
        whole_files(targets, file_rate, channels, "choose another folder with -o") as sinks,
    ):
        _separate(separator, mode, source, original, sinks, progress)
    return targets, notices


def _separate(
    separator: Separator, mode: Mode, source: FileSource, original: FileSource, sinks: list[FileSink], progress
) -> None:
    channels, frames = original.channels, original.frames
    resample = source.rate != original.rate
    back = (
        [
            soxr.ResampleStream(source.rate, original.rate, channels, dtype="float32", quality="VHQ")
            for _ in separator.metadata.stems
        ]
        if resample
        else []
    )
    written = 0

    def write(stems: list[np.ndarray]) -> None:
        nonlocal written
        count = min(len(stems[0]), frames - written)
        mixture = original.read(count)
        remainder = mixture - np.sum([stem[:count] for stem in stems], axis=0)
        for sink, part in zip(sinks, (*stems, remainder), strict=True):
            sink.write(np.ascontiguousarray(part[:count]))
        written += count
        progress(written / frames)

    for stems in stems_of(separator, mode, source.read, source.frames, channels):
        parts = [np.ascontiguousarray(stem) for stem in stems]
        write([stream.resample_chunk(part) for stream, part in zip(back, parts, strict=True)] if resample else parts)
    if resample:
        empty = np.zeros((0, channels), np.float32)
        write([stream.resample_chunk(empty, last=True) for stream in back])
        missing = frames - written
        if missing > 0:
            write([np.zeros((missing, channels), np.float32) for _ in separator.metadata.stems])
