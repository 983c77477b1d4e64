"""Sound files that appear only when they are whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from realtime.devices.file import FileSink
from realtime.errors import HostError
from realtime.tape import make_folder


@contextmanager
def whole_files(targets: Sequence[Path], rate: int, channels: int, hint: str) -> Iterator[list[FileSink]]:
    """Give a sink for each of `targets`, which take their places when the block ends well; otherwise nothing is left.

    Raises HostError where one cannot be written; `hint` ends its sentence.
    """
    for target in targets:
        if target.is_dir():
            raise HostError(f"{target} cannot be written: it is a folder; {hint}")
    partial = [make_folder(target.parent) / f"{target.stem}.part" for target in targets]
    sinks: list[FileSink] = []
    try:
        try:
            sinks += (FileSink(part, rate, channels) for part in partial)
            yield sinks
        finally:
            for sink in sinks:
                sink.close()
        for part, target in zip(partial, targets, strict=True):
            try:
                part.replace(target)
            except OSError as problem:
                raise HostError(f"{target} cannot be written ({problem.strerror}); {hint}") from None
    finally:
        for part in partial:
            part.unlink(missing_ok=True)
