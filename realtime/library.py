"""Where separators live, and how a name becomes one."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_data_dir

from realtime.errors import HostError

SHIPPED = Path(__file__).resolve().parents[1] / "models" / "pretrained"


def user_folder() -> Path:
    """Return the folder for separators of the user's own; it may not exist yet."""
    return Path(user_data_dir("lasaft-live", appauthor=False)) / "separators"


def list_separators() -> dict[str, Path]:
    """Return the known separator files by name; a shipped one goes before a user's of the same name."""
    found = {}
    for folder in (user_folder(), SHIPPED):
        found |= {path.stem: path for path in folder.glob("*.onnx")}
    return dict(sorted(found.items()))


def find_separator(name: str | Path) -> Path:
    """Return the file that `name`, a path or the name of a known separator, stands for.

    Raises HostError, listing the known ones, where there is none.
    """
    path = Path(name).expanduser()
    if path.is_file() or (path.suffix == ".onnx" and not path.is_dir()):
        return path
    known = list_separators()
    if path.is_dir() and str(name) not in known:
        raise HostError(f"{path} is a folder: name an .onnx file in it, or one of {', '.join(known) or '(none is installed)'}")
    if str(name) not in known:
        raise HostError(
            f"there is no separator '{name}': name an .onnx file or one of {', '.join(known) or '(none is installed)'}"
        )
    return known[str(name)]
