"""A TouchOSC layout: faders, switches and presets for a phone or tablet. A `.tosc` file is this XML, packed by zlib.

The format is the editor's own and not published; what is known of it is what its files hold. This is version 3 of it, which
older programs read too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape

from realtime.control import Control, twin_of
from realtime.daws.surface import Strip, Surface, surface_for

SUFFIX = ".tosc"
# Where the layout's connection is to listen; the layout itself cannot say so to the program, and tells the host.
RECEIVE_PORT = 9001
_VERSION = 3
_CONNECTIONS = "11111"
_STRIP, _FADER, _BUTTON, _GAP = 120, 320, 44, 10
_DARK, _GREY, _TEXT = (0.1, 0.1, 0.1, 1.0), (0.25, 0.25, 0.25, 1.0), (1.0, 1.0, 1.0, 1.0)
# By strip, so that a hand finds its own.
_COLOURS = ((0.85, 0.35, 0.6, 1.0), (0.9, 0.75, 0.25, 1.0), (0.3, 0.75, 0.85, 1.0), (0.45, 0.8, 0.45, 1.0))

Box = tuple[int, int, int, int]
Colour = tuple[float, float, float, float]
Setting = bool | int | float | str | Box | Colour


def pack(layout: str) -> bytes:
    """Return the bytes of a `.tosc` file for `layout`."""
    return zlib.compress(layout.encode(), 9)


def unpack(packed: bytes) -> str:
    """Return the layout of a `.tosc` file."""
    return zlib.decompress(packed).decode()


@dataclass(frozen=True)
class _Part:
    """One argument: the control's own value `x` or `text`, between `low` and `high`, or with `fixed` always `value`."""

    value: str
    conversion: str
    low: float = 0.0
    high: float = 1.0
    fixed: bool = False

    @property
    def xml(self) -> str:
        return _partial("CONSTANT" if self.fixed else "VALUE", self.conversion, self.value, self.low, self.high)


@dataclass(frozen=True)
class _Osc:
    """What a control sends to `address`, and shows of what comes from there; `rises` sends when it is pressed only."""

    address: str
    arguments: tuple[_Part, ...]
    send: bool = True
    receive: bool = True
    rises: bool = False

    @property
    def xml(self) -> str:
        watched = self.arguments[0].value if not self.rises else "x"
        trigger = f"<trigger><var>{_said(watched)}</var><condition>{'RISE' if self.rises else 'ANY'}</condition></trigger>"
        return (
            f"<osc><enabled>1</enabled><send>{self.send:d}</send><receive>{self.receive:d}</receive><feedback>0</feedback>"
            f"<connections>{_CONNECTIONS}</connections><triggers>{trigger}</triggers>"
            f"<path>{_partial('CONSTANT', 'STRING', self.address)}</path>"
            f"<arguments>{''.join(part.xml for part in self.arguments)}</arguments></osc>"
        )


def layout(stems: Sequence[str], port: int = 9000) -> str:
    """Return the layout's XML for a host with `stems` that listens on UDP `port`."""
    surface = surface_for(stems)
    columns = max(len(surface.strips), 2 * len(surface.ranges))
    nodes: list[str] = []
    for number, strip in enumerate(surface.strips):
        nodes += _strip(strip, _GAP + number * (_STRIP + _GAP), _COLOURS[number % len(_COLOURS)])
    top = _FADER + 3 * _BUTTON + 5 * _GAP
    for number, control in enumerate(surface.ranges):
        left = _GAP + number * 2 * (_STRIP + _GAP)
        nodes.append(_label(f"{_id(control)} name", _id(control), (left, top, 60, _BUTTON)))
        nodes.append(_fader(control, (left + 60, top, 2 * _STRIP - 60, _BUTTON), _GREY, horizontal=True))
    top += _BUTTON + _GAP
    cells = [lambda box, control=control: _switch(control, box, _GREY) for control in surface.switches]
    cells.append(lambda box: [_label(_id(surface.preset), "", box, surface.preset.address)])
    cells += [lambda box, choice=choice: _preset(surface.preset, choice, box) for choice in surface.preset.choices]
    cells.append(lambda box: _feedback(surface, box))
    for number, made in enumerate(cells):
        row, column = divmod(number, columns)
        nodes += made((_GAP + column * (_STRIP + _GAP), top + row * (_BUTTON + _GAP), _STRIP, _BUTTON))
    height = top + -(-len(cells) // columns) * (_BUTTON + _GAP)
    root = _node(
        "GROUP", "LaSAFT Live", (0, 0, _GAP + columns * (_STRIP + _GAP), height),
        {"color": _DARK, "interactive": False, "grabFocus": False, "script": _script(surface, port)}, {}, children=nodes,
    )  # fmt: skip
    return f"<?xml version='1.0' encoding='UTF-8'?><lexml version='{_VERSION}'>{root}</lexml>\n"


def _strip(strip: Strip, left: int, colour: Colour) -> list[str]:
    found = [
        _label(f"{strip.name} name", strip.name, (left, _GAP, _STRIP, _BUTTON)),
        _fader(strip.gain, (left, 2 * _GAP + _BUTTON, _STRIP, _FADER), colour),
        _label(
            f"{_id(strip.gain)} text", "", (left, 3 * _GAP + _BUTTON + _FADER, _STRIP, _BUTTON), twin_of(strip.gain.address)
        ),
    ]
    top, half = 4 * _GAP + 2 * _BUTTON + _FADER, (_STRIP - _GAP) // 2
    for number, control in enumerate(c for c in (strip.mute, strip.solo) if c):
        found += _switch(control, (left + number * (half + _GAP), top, half, _BUTTON), colour)
    return found


def _fader(control: Control, box: Box, colour: Colour, horizontal: bool = False) -> str:
    low, high = control.range
    argument = _Part("x", "FLOAT", low, high)
    # Upright is north, and rising to the right is east.
    look = {"color": colour, "orientation": int(horizontal), "grid": False, "bar": True, "cursor": True}
    at = (control.default[0] - low) / (high - low)
    return _node("FADER", _id(control), box, look, {"x": at}, [_Osc(control.address, (argument,))])


def _switch(control: Control, box: Box, colour: Colour) -> list[str]:
    message = _Osc(control.address, (_Part("x", "INTEGER"),))
    # 2: it turns over as it is pressed.
    button = _node("BUTTON", _id(control), box, {"color": colour, "buttonType": 2}, {"x": control.default[0]}, [message])
    return [button, _label(f"{_id(control)} name", control.address.rsplit("/", 1)[1], box, bare=True)]


def _preset(control: Control, choice: str, box: Box) -> list[str]:
    return _press(f"{_id(control)} {choice}", choice, box, control.address, _Part(choice, "STRING", fixed=True))


def _feedback(surface: Surface, box: Box) -> list[str]:
    """Return a button that asks for feedback by hand: the script does so by itself."""
    wanted = _Part(str(RECEIVE_PORT), "INTEGER", fixed=True), _Part(_wanted(surface), "STRING", fixed=True)
    return _press("feedback", "feedback", box, "/subscribe", *wanted)


def _press(name: str, text: str, box: Box, address: str, *arguments: _Part) -> list[str]:
    message = _Osc(address, arguments, receive=False, rises=True)
    return [_node("BUTTON", name, box, {"buttonType": 0}, {"x": 0}, [message]), _label(f"{name} name", text, box, bare=True)]


def _label(name: str, text: str, box: Box, address: str | None = None, bare: bool = False) -> str:
    """Return a label that shows `text`, or what comes from `address`; a `bare` one lies on a button."""
    messages = [] if address is None else [_Osc(address, (_Part("text", "STRING"),), send=False)]
    look = {"interactive": False, "background": not bare, "outline": False, "textColor": _TEXT, "textSize": 14}
    return _node("LABEL", name, box, look, {"text": text}, messages)


def _id(control: Control) -> str:
    return control.address.strip("/").replace("/", " ")


def _wanted(surface: Surface) -> str:
    """Return the pattern of all that the layout shows."""
    shown = [strip.gain for strip in surface.strips] + [surface.preset, *surface.ranges, *surface.switches]
    return "/{" + ",".join(dict.fromkeys(control.address.split("/")[1] for control in shown)) + "}"


def _script(surface: Surface, port: int) -> str:
    """Return the Lua of the layout's root: it subscribes, and does so again when the host's heart-beat has stayed away."""
    return f"""-- LaSAFT Live. In Connections, OSC, connection 1: UDP, the host's machine, send port {port}, receive port {RECEIVE_PORT}.
local heard = -10000

function update()
  local now = getMillis()
  if now - heard > 3000 then
    heard = now
    sendOSC({{ '/subscribe', {{ {{ tag = 'i', value = {RECEIVE_PORT} }}, {{ tag = 's', value = '{_wanted(surface)}' }} }} }})
  end
end

function onReceiveOSC(message, connections)
  heard = getMillis()
  return false
end
"""


# The format.


def _node(
    kind: str,
    name: str,
    box: Box,
    look: dict[str, Setting],
    values: dict[str, float | str],
    messages: Iterable[_Osc] = (),
    children: Iterable[str] = (),
) -> str:
    settings: dict[str, Setting] = {
        "background": True, "color": _GREY, "cornerRadius": 1.0, "frame": box, "grabFocus": True, "interactive": True,
        "locked": False, "name": name, "orientation": 0, "outline": True, "outlineStyle": 1, "pointerPriority": 0, "shape": 1,
        "visible": True,
    } | look
    properties = "".join(_property(key, settings[key]) for key in sorted(settings))
    held = "".join(_value(key, f"{value:g}" if isinstance(value, int | float) else value) for key, value in values.items())
    told = "".join(message.xml for message in messages)
    inner = "".join(children)
    return (
        # The same each time, so that files can be compared.
        f"<node ID='{uuid5(NAMESPACE_URL, f'lasaft-live/{kind}/{name}')}' type='{kind}'>"
        f"<properties>{properties}</properties><values>{held}{_value('touch', 'false')}</values>"
        + (f"<messages>{told}</messages>" if told else "")
        + (f"<children>{inner}</children>" if inner else "")
        + "</node>"
    )


def _property(key: str, value: Setting) -> str:
    match value:
        case bool():
            kind, text = "b", str(int(value))
        case int():
            kind, text = "i", str(value)
        case float():
            kind, text = "f", f"{value:g}"
        case str():
            kind, text = "s", _said(value)
        case _:
            kind, names = ("r", "xywh") if key == "frame" else ("c", "rgba")
            text = "".join(f"<{name}>{each:g}</{name}>" for name, each in zip(names, value, strict=True))
    return f"<property type='{kind}'><key>{_said(key)}</key><value>{text}</value></property>"


def _value(key: str, default: str) -> str:
    return (
        f"<value><key>{_said(key)}</key><locked>0</locked><lockedDefaultCurrent>0</lockedDefaultCurrent>"
        f"<default>{_said(default)}</default><defaultPull>0</defaultPull></value>"
    )


def _partial(kind: str, conversion: str, value: str, low: float = 0.0, high: float = 1.0) -> str:
    return (
        f"<partial><type>{kind}</type><conversion>{conversion}</conversion><value>{_said(value)}</value>"
        f"<scaleMin>{low:g}</scaleMin><scaleMax>{high:g}</scaleMax></partial>"
    )


def _said(text: str) -> str:
    """Return `text` as the editor writes it: literally, but for what would end it."""
    return f"<![CDATA[{text}]]>" if "]]>" not in text else escape(text)
