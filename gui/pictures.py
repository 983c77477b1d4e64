"""Every page of the window in pictures, of a host that plays: `python -m gui.pictures`.

At 1280x720 and 3840x2160, on an X server without a screen and offscreen, each in a folder of its own, window-PAGE.png. With
--docs those of the first kind at 1280x720 become the pictures in docs/. Of a page that one host does not offer there is a
picture from the next one: the demo song, then a deck, then outputs and slots for plugins.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from gui.xvfb import virtual_display, xvfb_missing

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((1280, 720), (3840, 2160))
HOSTS = (("--input", "{song}"), ("--deck", "{song}"), ("--input", "{song}", "--outputs", "master, vocals", "{slots}"))
# A program that writes it, long enough for all pictures; this package knows the host over OSC only.
SONG = """
import sys, numpy, soundfile
from realtime.demo import demo_song
soundfile.write(sys.argv[1], numpy.tile(demo_song().mixture, (20, 1)), 44100, "PCM_16")
"""
# The picture of the README.
FRONT = "stems"
# Seconds until spectra have filled their ten, that a page may take to be drawn, and to wait for a host.
FILL, SETTLE, PATIENCE = 11.0, 1.0, 300.0
MIXES = {
    "verse": (1.0, 0.0, 0.25, 0.5), "chorus": (0.7, 1.0, 1.0, 0.7), "breakdown": (1.0, 0.0, 0.0, 0.3), "last chorus": (1.0, 1.0, 1.0, 1.0),
}
CONDITION = (1.0, 0.4, 0.64, 0.4)


def main() -> int:
    """Take the pictures; the exit status is 1 where one could not be taken."""
    parser = argparse.ArgumentParser(prog="python -m gui.pictures", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "out" / "pictures", help="where to (default: out/pictures)")
    parser.add_argument("--docs", action="store_true", help="also put them into docs/")
    parser.add_argument("--insert", default="", metavar="TARGET=PATH", help="a plugin for the picture of its page, as run_live.py takes it")
    parser.add_argument("--shoot", nargs=3, metavar=("PORT", "WIDTH", "HEIGHT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shoot:
        return _shoot(options.folder, *(int(word) for word in options.shoot))
    if missing := xvfb_missing():
        print(f"note: {missing} Pictures are taken offscreen only.", file=sys.stderr)
    for old in options.folder.glob("*/window-*.png"):
        old.unlink()
    failed = False
    with tempfile.TemporaryDirectory() as home:
        for arguments in HOSTS:
            slots = f"--insert={options.insert}" if options.insert else "--slots"
            with _host(Path(home), arguments, slots) as port:
                for kind in ("offscreen", *(() if missing else ("xvfb",))):
                    for size in SIZES:
                        failed |= not _take(kind, size, port, options.folder, Path(home))
    if options.docs:
        best = options.folder / f"{'offscreen' if missing else 'xvfb'}-{SIZES[0][0]}x{SIZES[0][1]}"
        for picture in sorted(best.glob("window-*.png")):
            shutil.copy(picture, ROOT / "docs" / ("window.png" if picture.stem == f"window-{FRONT}" else picture.name))
    return int(failed)


def _take(kind: str, size: tuple[int, int], port: int, folder: Path, home: Path) -> bool:
    target = folder / f"{kind}-{size[0]}x{size[1]}"
    with virtual_display(*size) if kind == "xvfb" else nullcontext() as display:
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"} if display is None else display.environment
        command = [sys.executable, "-m", "gui.pictures", str(target), "--shoot", *map(str, (port, *size))]
        done = subprocess.run(command, cwd=ROOT, env=environment | _homes(home), check=False)
    return done.returncode == 0


@contextmanager
def _host(home: Path, arguments: tuple[str, ...], slots: str) -> Iterator[int]:
    """Start a host on the null device with a home of its own; yield its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    song = home / "demo song.wav"
    if not song.exists():
        subprocess.run([sys.executable, "-c", SONG, str(song)], cwd=ROOT, check=True)
    command = [sys.executable, "run_live.py", "--device", "null", "--no-window", "--osc-port", str(port)]
    command += [word.format(song=song, slots=slots) for word in arguments]
    host = subprocess.Popen(command, cwd=ROOT, env=os.environ | _homes(home), stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        host.send_signal(signal.SIGINT)
        try:
            host.wait(30)
        except subprocess.TimeoutExpired:
            host.kill()
            host.wait()


def _homes(home: Path) -> dict[str, str]:
    return {f"XDG_{kind}_HOME": str(home) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}


def _shoot(folder: Path, port: int, width: int, height: int) -> int:
    """Take a picture of every page that is offered and has none in `folder` yet."""
    from pyqtgraph.Qt import QtCore, QtWidgets

    from gui.client import Client
    from gui.window import Window

    app = QtWidgets.QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as home:
        mixes = Path(home) / "mixes.json"
        named = [{"name": name, "gains": dict(zip(("vocals", "drums", "bass", "other"), gains, strict=True))} for name, gains in MIXES.items()]
        mixes.write_text(json.dumps({"mixes": named}))
        window = Window(Client("127.0.0.1", port), mixes)

        def wait(seconds: float, until: Callable[[], object] = lambda: False) -> bool:
            begun = time.monotonic()
            while not until() and time.monotonic() - begun < seconds:
                loop = QtCore.QEventLoop()
                QtCore.QTimer.singleShot(round(1000 * min(0.2, seconds)), loop.quit)
                loop.exec()
            return bool(until())

        window.move(0, 0)
        window.resize(width, height)
        window.show()
        if not wait(PATIENCE, lambda: window.strips and "/telemetry/load" in window.client.values):
            print(f"The host told nothing in {PATIENCE:g} s, so there are no pictures of it.", file=sys.stderr)
            return 1
        window.client.send("/deck/play", 1)
        window.client.send("/condition", *CONDITION[: len(window.strips)])
        for end in (0, 1):
            window.mixes.list.setCurrentRow(end)
            window.mixes.set_end(end)
        wait(SETTLE)
        pages = {tab.text().lower(): index for index, tab in enumerate(window.pages.tabs) if not tab.isHidden()}
        pictures = {index: folder / f"window-{name}.png" for name, index in pages.items()}
        pictures = {index: path for index, path in pictures.items() if not path.exists()}
        for index in pictures:
            # Spectra that have not been seen yet have no size.
            window.pages.turn(index)
            wait(0.1)
        wait(FILL if pictures else 0.0)
        folder.mkdir(parents=True, exist_ok=True)
        shots = {}
        for index, path in pictures.items():
            window.pages.turn(index)
            wait(SETTLE)
            shots[path] = window.screen().grabWindow(window.winId()) if app.platformName() == "xcb" else window.grab()
        # Not between them: what takes seconds to write would be a hole in the next one's spectra.
        for path, shown in shots.items():
            if not shown.save(str(path)):
                print(f"The picture could not be written to {path}: choose another folder.", file=sys.stderr)
                return 1
            print(path)
        window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
