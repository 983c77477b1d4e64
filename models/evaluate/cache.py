"""Figures of earlier runs, kept in a folder the user names, under everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from realtime.errors import HostError

ROOT = Path(__file__).resolve().parents[2]
_CODE = ("models/evaluate", "models/data", "models/crossover.py", "realtime")
_PACKAGES = ("numpy", "onnxruntime", "museval")


class Cache:
    """Keeps JSON values in `folder`; without a folder it keeps nothing.

    A key is joined by the hash of the code that measures, so that a change of the code measures anew.
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
        file = self._folder / (hashlib.sha256("\n".join((self._code, *key)).encode()).hexdigest() + ".json")
        try:
            value = json.loads(file.read_text())
            self.hits += 1
        except (OSError, ValueError):
            value = compute()
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps(value))
            draft.replace(file)
        return value

    @cached_property
    def _code(self) -> str:
        digest = hashlib.sha256()
        for name in _CODE:
            path = ROOT / name
            for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
                digest.update(file.read_bytes())
        for package in _PACKAGES:
            digest.update(f"{package} {_version(package)}\n".encode())
        return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
