"""A display that nobody looks at: an X server without a screen, whose pixels can be read."""

from __future__ import annotations

import os
import select
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PATIENCE = 120.0
# What Qt's plugin for X11 loads, beside what every program with a window does.
LIBRARIES = ("xcb-cursor", "xcb-icccm", "xcb-keysyms", "xcb-shape", "xcb-xkb", "xkbcommon-x11")


def xvfb_missing() -> str:
    """Return what is missing to show a window without a screen, as a sentence; an empty string where nothing is."""
    if shutil.which("Xvfb") is None:
        return "Xvfb is not installed (Debian: apt install xvfb)."
    missing = [f"lib{name}" for name in LIBRARIES if find_library(name) is None]
    return f"Qt needs {', '.join(missing)} for a window under X11, not installed here." if missing else ""


@dataclass(frozen=True)
class VirtualDisplay:
    """A running X server: `name` is what DISPLAY says, `frame` the file its pixels are in."""

    name: str
    frame: Path

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, but for a Qt program to open its window there."""
        ours = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
        return ours | {"DISPLAY": self.name, "QT_QPA_PLATFORM": "xcb"}

    def pixels(self) -> np.ndarray:
        """Return what stands on the display now, uint8 [height, width, 3]: red, green, blue."""
        # The format of xwd, version 7: big-endian words, colours, then rows of blue, green, red and a byte of nothing.
        data = self.frame.read_bytes()
        header = struct.unpack(">25I", data[:100])
        size, width, height, stride, colours = (header[index] for index in (0, 4, 5, 12, 19))
        rows = np.frombuffer(data, np.uint8, height * stride, size + 12 * colours).reshape(height, stride)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1]


@contextmanager
def virtual_display(width: int, height: int) -> Iterator[VirtualDisplay]:
    """Start an X server of `width` x `height` pixels on a free display, and end it. Raises OSError where it does not start."""
    with tempfile.TemporaryDirectory() as folder:
        reading, writing = os.pipe()
        options = ["-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-dpi", "96", "-fbdir", folder]
        try:
            server = subprocess.Popen(
                ["Xvfb", *options, "-nolisten", "tcp", "-noreset"], pass_fds=[writing], stderr=subprocess.DEVNULL
            )
        finally:
            os.close(writing)
        try:
            yield VirtualDisplay(f":{_number(reading)}", Path(folder) / "Xvfb_screen0")
        finally:
            os.close(reading)
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _number(pipe: int) -> int:
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], PATIENCE)
        more = os.read(pipe, 100) if ready else b""
        if not more:
            raise OSError("Xvfb did not start")
        said += more
    return int(said)
