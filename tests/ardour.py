"""Ardour without a window, on a JACK server without hardware, for tests of the real program."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 30.0
# Debian's and most other packages' places.
_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt")
_OSC = "Open Sound Control (OSC)"


def ardour_missing() -> str | None:
    """Return why no test of Ardour can run here, or None."""
    if _folder() is None:
        return "Ardour's headless host (hardour, in Debian's package ardour) is not installed"
    return None


def _folder() -> Path | None:
    for place in _PLACES:
        for found in sorted(Path(place).glob("ardour*/hardour-*")):
            if (found.parent / "luasession").exists():
                return found.parent
    return None


def _environment(home: Path, environment: dict[str, str]) -> dict[str, str]:
    folder = _folder()
    name = folder.name
    return environment | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LD_LIBRARY_PATH": str(folder),
        "ARDOUR_DLL_PATH": str(folder),
        "ARDOUR_DATA_PATH": f"/usr/share/{name}",
        "ARDOUR_CONFIG_PATH": f"/etc/{name}",
    }


def make_session(home: Path, script: str) -> None:
    """Make the session home/song with Ardour's own Lua: `script` fills it, where it is called `s`."""
    lua = home / "make.lua"
    lua.write_text(
        'AudioEngine:set_backend("None (Dummy)", "", "")\n'
        f'local s = create_session("{home}/song", "song", 44100)\n{script}\ns:save_state("")\ns:close()\nprint("session made")\nquit()\n'
    )
    made = subprocess.run(
        [str(_folder() / "luasession"), str(lua)],
        env=_environment(home, dict(os.environ)), capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )
    session = home / "song" / "song.ardour"
    text = session.read_text() if session.exists() else ""
    assert "session made" in made.stdout and f'name="{_OSC}"' in text, made.stdout + made.stderr
    session.write_text(re.sub(rf'name="{re.escape(_OSC)}" active="0"', f'name="{_OSC}" active="1"', text))


@contextmanager
def ardour(home: Path, environment: dict[str, str]) -> Iterator[int]:
    """Run Ardour with the session home/song on the JACK server of `environment`; yield the port of its OSC surface."""
    (hardour,) = _folder().glob("hardour-*")
    folder = home / _folder().name
    folder.mkdir(exist_ok=True)
    # Where this file is there, Ardour writes its address into it: another Ardour may have the usual port.
    url = folder / "osc_url"
    url.write_text("")
    with open(home / "ardour.log", "w") as log:
        process = subprocess.Popen(
            [str(hardour), "-O", str(home / "song"), "song"],
            env=_environment(home, environment), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )
    try:
        limit = time.monotonic() + PATIENCE
        while not (match := re.search(r":(\d+)/?\s*$", url.read_text() if url.exists() else "")):
            assert process.poll() is None and time.monotonic() < limit, (home / "ardour.log").read_text()
            time.sleep(0.05)
        try:
            yield int(match[1])
        except AssertionError:
            # At times the server loses a client's socket; what Ardour is told from then on stays without effect.
            if "JACK HALTED" in (home / "ardour.log").read_text():
                pytest.skip("the JACK server dropped Ardour on this machine, as its log says")
            raise
    finally:
        # It waits for its threads after a polite request, at times for long.
        # Killed outright, it leaves a JACK server that takes ten seconds to end.
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
