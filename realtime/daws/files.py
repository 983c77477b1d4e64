"""The ready files of docs/daws, by name."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.daws import bitwig, live, open_stage_control, pure_data, reaper, supercollider, touchosc


def files_for(stems: Sequence[str], port: int = 9000) -> dict[str, str]:
    """Return path below the folder -> text, for a host with `stems` that listens on UDP `port` of this machine.

    Raises HostError where a stem's name cannot be part of an address.
    """
    return {
        "LaSAFT-Live.pd": pure_data.patch(stems, port),
        "LaSAFT-Live.scd": supercollider.script(stems, port),
        "LaSAFT-Live.osc.json": open_stage_control.session(stems, port),
        "LaSAFT-Live.ReaperOSC": reaper.pattern_file(),
        "LaSAFT-Live.control.js": bitwig.script(stems, port),
        f"LaSAFT-Live{touchosc.SUFFIX}": touchosc.layout(stems, port),
        "LaSAFT_Live/__init__.py": live.script(stems, port),
    }


def written(name: str, text: str) -> bytes:
    """Return what stands in the file called `name` for `text`."""
    return touchosc.pack(text) if name.endswith(touchosc.SUFFIX) else text.encode()


def read(name: str, content: bytes) -> str:
    """Return the text that `written` made `content` of."""
    return touchosc.unpack(content) if name.endswith(touchosc.SUFFIX) else content.decode()
