"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes, keep: Path | None = None) -> None:
    """Put `content`, text as UTF-8, in the place of the file at `path`, in whose folder it is made ready; the file before it goes to `keep`.

    Raises OSError, and changes nothing then.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            # Otherwise a crash of the machine may leave the name with nothing behind it.
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
