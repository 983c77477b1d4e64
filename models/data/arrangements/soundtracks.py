"""Free instrumental recordings, pooled unseparated: mixtures of which only the missing voice is known."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from models.data.corpus import RATE, read_stereo
from models.data.pool_writer import levelled
from realtime.errors import HostError

_KINDS = (".ogg", ".oga", ".opus", ".flac", ".wav", ".mp3")


def pool_soundtracks(
    paths: list[Path],
    folder: Path,
    minutes: float,
    leave_out: tuple[str, ...] = (),
    least: float = 30.0,
    most: float = 120.0,
) -> str:
    """Write the recordings below `paths` to accompaniment.npy and .json in `folder`; return what was done.

    Of each the middle `most` seconds are taken; what is shorter than `least` seconds (a jingle) is left out, and so
    is what has a name that matches a pattern of `leave_out`. Raises HostError where nothing is left.
    """
    files = sorted(f for p in paths for f in (p.rglob("*") if p.is_dir() else [p]) if f.suffix.lower() in _KINDS)
    parts, sources, position, skipped = [], [], 0, []
    for file in files:
        if position >= minutes * 60 * RATE:
            break
        if any(fnmatch(file.name, pattern) for pattern in leave_out):
            continue
        try:
            audio = read_stereo(file)
        except HostError as error:
            skipped.append(str(error))
            continue
        if len(audio) < least * RATE or np.abs(audio).max() < 1e-3:
            continue
        first = max(0, len(audio) - int(most * RATE)) // 2
        part = levelled(audio[first : first + int(most * RATE)])
        parts.append(part)
        sources.append({"name": f"{file.parent.name}/{file.name}", "start": position, "end": position + len(part)})
        position += len(part)
    if not parts:
        raise HostError(f"There is no recording of at least {least:.0f} s in {', '.join(map(str, paths))}.")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "accompaniment.npy", np.concatenate(parts))
    (folder / "accompaniment.json").write_text(json.dumps({"sources": sources, "label": "no vocals"}, indent=1))
    unread = f"; {len(skipped)} of {len(files)} skipped: {', '.join(skipped)}" if skipped else ""
    return f"accompaniment: {len(sources)} recordings, {position / RATE / 60:.0f} min{unread}"
