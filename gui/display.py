"""Whether a window can be shown here. Qt itself would abort where it cannot."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

_ELSEWHERE = "Run the window on a machine with a screen and point --host at this one, or use --screenshot, which needs none."


def display_trouble() -> str:
    """Return why no window can be shown here, as a sentence, or an empty string."""
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if not sys.platform.startswith("linux") or (platform and not platform.startswith(("xcb", "wayland"))):
        return ""
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY", ""), os.environ.get("DISPLAY", "")
    if not wayland and not x11:
        return f"There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set). {_ELSEWHERE}"
    if wayland and not platform.startswith("xcb") and _wayland_answers(wayland):
        return ""
    if not x11 or not _x11_answers():
        named = " and ".join(f"{name}={value}" for name, value in (("WAYLAND_DISPLAY", wayland), ("DISPLAY", x11)) if value)
        return f"The display that {named} names is not there, or does not let this user in. {_ELSEWHERE}"
    try:
        ctypes.CDLL("libxcb-cursor.so.0")
    except OSError:
        return "Qt needs the library libxcb-cursor for a window under X11: install it (Debian: apt install libxcb-cursor0)."
    return ""


def _wayland_answers(name: str) -> bool:
    path = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / name
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(str(path))
        except OSError:
            return False
    return True


def _x11_answers() -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # Qt says what it lacks
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    broken = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not broken
