"""Figures of earlier runs, kept in a folder the user names, under everything that they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from realtime.errors import HostError

ROOT = Path(__file__).resolve().parents[2]
_CODE = (
    "models/evaluate",
    "models/data/corpus.py",
    "models/data/layout.py",
    "models/data/recordings.py",
    "models/crossover.py",
    "realtime",
)
_SHOWING = (
    "__main__.py",
    "card.py",
    "hearing.py",
    "page.py",
    "pictures.py",
    "plots.py",
    "report.py",
    "tables.py",
    "terminal.py",
)
"""What only shows figures that others measured."""

_PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr", "stempeg", "museval", "scipy")


class Cache:
    """Keeps JSON values in `folder`; without a folder it keeps nothing.

    A key is joined by `code_hash`, so that a change of the code or of a library measures anew.
    Raises HostError where the folder cannot be made.
    """

    def __init__(self, folder: Path | None) -> None:
        self.hits = 0
        self._folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise HostError(
                    f"{folder} cannot be made ({problem.strerror}); choose another folder with --cache"
                ) from None

    def get(self, key: tuple[str, ...], compute: Callable[[], object]) -> object:
        """Return the value under `key`, computed and kept if it is not there yet."""
        if self._folder is None:
            return compute()
        file = self._folder / (hashlib.sha256("\n".join((code_hash(), *key)).encode()).hexdigest() + ".json")
        try:
            value = json.loads(file.read_text())
            self.hits += 1
        except (OSError, ValueError):
            value = compute()
            # A draft of one's own: several runs may share a folder. What cannot be kept is not lost for this run.
            draft = file.with_suffix(f".{os.getpid()}")
            with contextlib.suppress(OSError):
                draft.write_text(json.dumps(value))
                draft.replace(file)
        return value


@cache
def code_hash() -> str:
    """Return the SHA-256 over the code that reads, plays and measures, and the versions of what it stands on."""
    digest = hashlib.sha256()
    for name in _CODE:
        path = ROOT / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files if name != "models/evaluate" else [each for each in files if each.name not in _SHOWING]:
            digest.update(file.relative_to(ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    digest.update(json.dumps(versions()).encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of the installed libraries that figures depend on."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
