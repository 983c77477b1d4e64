"""Where plugins are installed on this platform, and which are there."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def folders() -> tuple[Path, ...]:
    """Return the standard folders of VST3 plugins, and on macOS of Audio Units; not all of them need exist."""
    home = Path.home()
    if sys.platform == "darwin":
        library = Path("/Library/Audio/Plug-Ins"), home / "Library/Audio/Plug-Ins"
        return tuple(folder / kind for kind in ("VST3", "Components") for folder in library)
    if sys.platform == "win32":
        common = Path(os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files"))
        own = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local")) / "Programs/Common"
        return common / "VST3", own / "VST3"
    return home / ".vst3", Path("/usr/local/lib/vst3"), Path("/usr/lib/vst3")


def found(places: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the plugins in `places` and the folders in them, sorted in each place; none of them is opened."""
    plugins: list[Path] = []
    for place in places:
        for base, names, files in os.walk(place):
            here = sorted(name for name in (*names, *files) if name.endswith((".vst3", ".component")))
            plugins += (Path(base) / name for name in here)
            # What lies within a bundle is its own affair.
            names[:] = [name for name in names if name not in here]
    return tuple(plugins)


def listing() -> str:
    """Return what was found, a path a line, and what is missing to use it, for a person to read."""
    places = folders()
    lines = [str(path) for path in found(places)] or [f"no plugins in {', '.join(map(str, places))}"]
    if find_spec("pedalboard") is None:
        lines.append("to use them: pip install 'lasaft-live[inserts]' (pedalboard, under the GPL, version 3)")
    return "\n".join(lines)
