"""The command line of the window: `python -m gui`."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from gui.display import display_trouble

if TYPE_CHECKING:
    from pyqtgraph.Qt import QtWidgets

    from gui.window import Window

EXTRA = 'pip install -e ".[gui]"'
SHOT_WAIT = 15.0
SHOT_SETTLE = 1.0
PAGES = ("view", "stems", "morph", "mixes", "setup", "device", "rec", "out")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gui",
        description="The window of LaSAFT Live: faders, solo and mute, presets, meters, spectrograms and latency of a "
                    "running host, over OSC. It may be opened twice, closed or moved to another machine while the "
                    "music plays.",
        epilog="keys: Q W E R solo while held, with Shift for good; A S D F mute, 0 clears both; 1-9 presets, Shift+1-9 your "
               "own mixes; B bypass, Space bypass while held, Esc panic; F2-F10 and F12 pages, Ctrl+R records, F11 full screen, "
               "F1 or ? all keys. The host is started with run_live.py.")
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="machine the host runs on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=9000, metavar="N", help="its OSC port (default: %(default)s)")
    parser.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH",
                        help="size of the window in pixels, 1024x640 or more (default: 1280x720)")
    parser.add_argument("--full-screen", action="store_true", help="fill the screen")
    parser.add_argument("--page", choices=(*PAGES, "deck", "inserts"), help="page to begin with (default: deck where the host has one, else view)")
    parser.add_argument("--screenshot", metavar="FILE",
                        help="wait for the host and a second of telemetry, save a picture as FILE (png) and leave; "
                             "needs no display")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port; ports are 1 to 65535")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()) or int(width) < 1024 or int(height) < 640:
        raise argparse.ArgumentTypeError(f"{text} is not a size; write one like 1280x720, at least 1024x640")
    return int(width), int(height)


def qt_trouble() -> str:
    """Return why Qt cannot be used, as a sentence, or an empty string."""
    for module in ("pyqtgraph", "pythonosc"):
        if importlib.util.find_spec(module) is None:
            return f"The window needs {module}, which is not installed: {EXTRA}"
    try:
        import pyqtgraph.Qt  # noqa: F401
    except Exception as trouble:  # noqa: BLE001 - pyqtgraph raises a bare Exception where no binding loads
        try:
            import PySide6.QtWidgets  # noqa: F401
        except ModuleNotFoundError:
            return f"The window needs Qt, which is not installed: {EXTRA}"
        except ImportError as missing:
            return f"Qt is installed but does not load ({missing}): install that system library."
        return f"Qt does not load ({trouble}): {EXTRA}"
    if loses_references():
        return ("This PySide6 would end the window after some seconds: under Python 3.11 and older it is broken. Use "
                'Python 3.12, or pip install "PySide6-Essentials<6.12".')
    return ""


def loses_references() -> bool:
    """Return whether Qt's methods give away references to None that they do not own, as PySide6 6.12.0 does.

    Harmless where None is immortal (Python 3.12); before that, the count falls to zero and the process aborts.
    """
    from pyqtgraph.Qt import QtCore

    thing, calls = QtCore.QObject(), 100
    before = sys.getrefcount(None)
    for _ in range(calls):
        thing.setObjectName("")
    return sys.getrefcount(None) < before - calls // 2


def main(argv: list[str] | None = None) -> int:
    """Run the window with the command line `argv`; return the exit status."""
    options = _parser().parse_args(argv)
    if options.screenshot and not os.environ.get("QT_QPA_PLATFORM") and display_trouble():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    for trouble in (qt_trouble(), display_trouble()):
        if trouble:
            print(trouble, file=sys.stderr)
            return 1
    from pyqtgraph.Qt import QtWidgets

    from gui.client import Client
    from gui.window import Window

    # python-osc warns on the root logger, once for every unreadable datagram.
    logging.getLogger().setLevel(logging.ERROR)
    app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(sys.argv[:1])
    app.setApplicationName("LaSAFT Live")
    try:
        client = Client(options.host, options.port)
    except socket.gaierror:
        print(f"No machine is called {options.host}: give --host a name or address that exists.", file=sys.stderr)
        return 1
    window = Window(client)
    window.resize(*options.size)
    if options.page in PAGES:
        window.deck_first = False
        window.pages.turn(PAGES.index(options.page))
    elif options.page == "inserts":
        window.deck_first = False
        window.pages.turn(window.insert_page)
    if options.screenshot:
        return _shoot(app, window, options.screenshot)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        # A host that starts the window holds Ctrl-C back until here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if options.full_screen:
        window.showFullScreen()
    else:
        window.show()
    return app.exec()


def _shoot(app: QtWidgets.QApplication, window: Window, path: str) -> int:
    from pyqtgraph.Qt import QtCore

    state = {"code": 1, "telling": False}

    def heard(address: str, values: tuple) -> None:
        if address.startswith("/telemetry/") and window.strips and not state["telling"]:
            state["telling"] = True
            QtCore.QTimer.singleShot(round(1000 * SHOT_SETTLE), save)

    def save() -> None:
        state["code"] = 0 if window.grab().save(path) else 2
        app.quit()

    window.client.received.connect(heard)
    QtCore.QTimer.singleShot(round(1000 * SHOT_WAIT), app.quit)
    window.show()
    app.exec()
    window.close()
    if state["code"] == 1:
        print(f"The host at {window.client.name} told nothing in {SHOT_WAIT:g} s, so there is no picture: start it with "
              "run_live.py, or check --host and --port.", file=sys.stderr)
    elif state["code"] == 2:
        print(f"The picture could not be written to {path}: choose a folder that exists and a name that ends in .png.",
              file=sys.stderr)
    return min(1, state["code"])


if __name__ == "__main__":
    sys.exit(main())
