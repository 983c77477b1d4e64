"""An Open Stage Control session (1.x): faders, switches and presets for a phone, tablet or browser."""

from __future__ import annotations

import json
from collections.abc import Sequence

from realtime.control import Control, twin_of
from realtime.daws.surface import Strip, Surface, surface_for

# Of the session's format; newer programs read it.
_VERSION = "1.25.0"
_STRIP, _FADER, _BUTTON, _GAP = 120, 320, 44, 10


class _Sheet:
    """Widgets that talk to one host."""

    def __init__(self, port: int) -> None:
        self.target = f"127.0.0.1:{port}"

    def place(self, kind: str, name: str, box: tuple[int, int, int, int], **settings: object) -> dict[str, object]:
        left, top, width, height = box
        return {
            "type": kind, "id": name, "left": left, "top": top, "width": width, "height": height,
            "target": self.target, "ignoreDefaults": True,
        } | settings

    def fader(self, control: Control, box: tuple[int, int, int, int], horizontal: bool = False) -> dict[str, object]:
        low, high = control.range
        return self.place(
            "fader", _id(control), box, address=control.address, typeTags="f", decimals=6, horizontal=horizontal,
            range={"min": low, "max": high}, default=control.default[0], doubleTap=True, snap=False,
        )

    def switch(self, control: Control, box: tuple[int, int, int, int]) -> dict[str, object]:
        return self.place(
            "button", _id(control), box, address=control.address, typeTags="i", mode="toggle", on=1, off=0,
            label=control.address.rsplit("/", 1)[1], default=control.default[0],
        )

    def preset(self, control: Control, choice: str, box: tuple[int, int, int, int]) -> dict[str, object]:
        return self.place(
            "button", f"{_id(control)} {choice}", box, address=control.address, typeTags="s", mode="tap", on=choice, off="",
            label=choice, default="",
        )

    def label(self, name: str, text: str, box: tuple[int, int, int, int], address: str = "auto") -> dict[str, object]:
        return self.place("text", name, box, address=address, value=text, default=text, interaction=False)


def _id(control: Control) -> str:
    return control.address.strip("/").replace("/", " ")


def session(stems: Sequence[str], port: int = 9000) -> str:
    """Return the session's JSON for a host with `stems` that listens on UDP `port` of the server's machine."""
    surface = surface_for(stems)
    sheet = _Sheet(port)
    widgets: list[dict[str, object]] = []
    for number, strip in enumerate(surface.strips):
        widgets += _strip(sheet, strip, _GAP + number * (_STRIP + _GAP))
    top = _FADER + 4 * (_BUTTON + _GAP) + _GAP
    for number, control in enumerate(surface.ranges):
        left = _GAP + number * 2 * (_STRIP + _GAP)
        widgets.append(sheet.label(f"{_id(control)} name", _id(control), (left, top, 60, _BUTTON)))
        widgets.append(sheet.fader(control, (left + 60, top, 2 * _STRIP - 60, _BUTTON), horizontal=True))
    for number, control in enumerate(surface.switches):
        left = _GAP + (2 * len(surface.ranges) + number) * (_STRIP + _GAP)
        widgets.append(sheet.switch(control, (left, top, _STRIP, _BUTTON)))
    for number, choice in enumerate(surface.preset.choices):
        row, column = divmod(number, len(surface.strips))
        box = (_GAP + column * (_STRIP + _GAP), top + (row + 1) * (_BUTTON + _GAP), _STRIP, _BUTTON)
        widgets.append(sheet.preset(surface.preset, choice, box))
    root = {
        "type": "root", "id": "root", "onCreate": _subscription(surface, sheet.target), "widgets": widgets, "tabs": [],
    }
    document = {"createdWith": "Open Stage Control", "version": _VERSION, "type": "session", "content": root}
    return json.dumps(document, indent=2) + "\n"


def _strip(sheet: _Sheet, strip: Strip, left: int) -> list[dict[str, object]]:
    found = [
        sheet.label(f"{strip.name} name", strip.name, (left, _GAP, _STRIP, _BUTTON)),
        sheet.fader(strip.gain, (left, 2 * _GAP + _BUTTON, _STRIP, _FADER)),
        sheet.label(
            f"{_id(strip.gain)} text", "", (left, 2 * _GAP + _BUTTON + _FADER, _STRIP, _BUTTON), twin_of(strip.gain.address)
        ),
    ]
    top = 2 * _GAP + 2 * _BUTTON + _FADER
    half = (_STRIP - _GAP) // 2
    for number, control in enumerate(c for c in (strip.mute, strip.solo) if c):
        found.append(sheet.switch(control, (left + number * (half + _GAP), top, half, _BUTTON)))
    return found


def _subscription(surface: Surface, target: str) -> str:
    """Return the script that asks the host to send what it knows: back to where it came from."""
    prefixes = [strip.gain.address.rsplit("/", 1)[0] for strip in surface.strips]
    prefixes += [control.address for control in (*surface.ranges, *surface.switches)]
    return "\n".join(f'send("{target}", "/subscribe", {{type: "s", value: {json.dumps(prefix)}}})' for prefix in prefixes)
