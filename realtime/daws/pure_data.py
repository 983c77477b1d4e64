"""A Pure Data patch (vanilla, 0.51 and newer): a fader, mute and solo per stem, presets, and what the host says of them."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.control import Control, Value
from realtime.daws.surface import Strip, surface_for

_COLOURS = "#fcfcfc #000000 #000000"
_LEFT, _TOP, _WIDTH = 30, 130, 110


class _Canvas:
    """The text of a patch, object by object; objects are known by their number."""

    def __init__(self, width: int, height: int) -> None:
        self._lines = [f"#N canvas 40 40 {width} {height} 12;"]
        self._wires: list[str] = []
        self._count = 0

    def place(self, kind: str, x: int, y: int, text: str) -> int:
        self._lines.append(f"#X {kind} {x} {y} {text};")
        self._count += 1
        return self._count - 1

    def box(self, x: int, y: int, text: str) -> int:
        return self.place("obj", x, y, text)

    def message(self, x: int, y: int, text: str) -> int:
        return self.place("msg", x, y, text)

    def note(self, x: int, y: int, text: str) -> int:
        return self.place("text", x, y, text)

    def wire(self, source: int, outlet: int, target: int, inlet: int = 0) -> None:
        self._wires.append(f"#X connect {source} {outlet} {target} {inlet};")

    @property
    def text(self) -> str:
        return "\n".join([*self._lines, *self._wires]) + "\n"


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in "\\;,$ " else character for character in text)


def _words(address: str) -> str:
    return " ".join(_escaped(word) for word in address.strip("/").split("/"))


def _number(value: Value) -> str:
    return f"{value:g}"


def patch(stems: Sequence[str], port: int = 9000) -> str:
    """Return the patch for a host with `stems` that listens on UDP `port` of this machine."""
    surface = surface_for(stems)
    width = _LEFT + _WIDTH * max(len(surface.strips), 6) + 40
    canvas = _Canvas(width, 720)
    canvas.note(_LEFT, 10, "LaSAFT Live. What a fader does goes to the host \\, and what the host says moves the fader.")
    gain = _escaped(surface.strips[0].gain.address)
    canvas.note(_LEFT, 28, f"In a patch of your own: [s {gain}] moves a fader \\; [s lasaft-send] takes what [oscformat] makes \\;")
    canvas.note(_LEFT, 46, f"[r lasaft-feedback] gives all that the host says: {_words(surface.strips[0].gain.address)} 0.75")
    rest = [*surface.ranges, *surface.switches, surface.preset]
    network = _network(canvas, [strip.gain.address.rsplit("/", 1)[0] for strip in surface.strips], port, rest)
    for number, strip in enumerate(surface.strips):
        _strip(canvas, _LEFT + number * _WIDTH, strip, network)
    y = 430
    for number, control in enumerate(surface.ranges):
        _range(canvas, _LEFT + 220 * number, y, control, network)
    for number, control in enumerate(surface.switches):
        _switch(canvas, _LEFT + 220 * len(surface.ranges) + _WIDTH * number, y, control, network)
    _presets(canvas, y + 90, surface.preset, network)
    _condition(canvas, y + 190, surface.condition)
    return canvas.text


def _network(canvas: _Canvas, strips: Sequence[str], port: int, rest: Sequence[Control]) -> dict[str, tuple[int, int]]:
    """Place what talks to the host; return where what it says of each address comes out: object and outlet."""
    x, y = _LEFT, 560 + 100
    load = canvas.box(x, 70, "loadbang")
    order = canvas.box(x, 92, "t b b")
    connect = canvas.message(x + 340, 92, f"connect 127.0.0.1 {port}")
    net = canvas.box(x + 340, y, "netsend -u -b")
    canvas.wire(load, 0, order)
    canvas.wire(order, 1, connect)
    canvas.wire(connect, 0, net)
    subscribe = canvas.box(x + 120, 92, "oscformat subscribe")
    for number, address in enumerate([*strips, *(control.address for control in rest)]):
        prefix = canvas.message(x + 520 + 12 * number, 92, f"symbol {_escaped(address)}")
        canvas.wire(order, 0, prefix)
        canvas.wire(prefix, 0, subscribe)
    out = canvas.box(x + 120, 112, "s lasaft-send")
    canvas.wire(subscribe, 0, out)
    take = canvas.box(x + 120, y - 44, "r lasaft-send")
    send = canvas.box(x + 120, y - 22, "list prepend send")
    trim = canvas.box(x + 120, y, "list trim")
    canvas.wire(take, 0, send)
    canvas.wire(send, 0, trim)
    canvas.wire(trim, 0, net)
    parse = canvas.box(x + 470, y, "oscparse")
    canvas.wire(net, 1, parse)
    plain = canvas.box(x + 550, y, "list trim")
    canvas.wire(parse, 0, plain)
    feedback = canvas.box(x + 630, y, "s lasaft-feedback")
    canvas.wire(plain, 0, feedback)
    found: dict[str, tuple[int, int]] = {}
    _routes(canvas, (plain, 0), [a.strip("/").split("/") for a in [*strips, *(c.address for c in rest)]], "", found)
    return found


def _routes(canvas: _Canvas, source: tuple[int, int], paths: list[list[str]], at: str, found: dict[str, tuple[int, int]]) -> None:
    """Place a tree of [route] for `paths` below `source`; enter where each path comes out into `found`."""
    firsts = list(dict.fromkeys(path[0] for path in paths))
    route = canvas.box(_LEFT + 700, 600 + 22 * at.count("/"), "route " + " ".join(_escaped(first) for first in firsts))
    canvas.wire(*source, route)
    for outlet, first in enumerate(firsts):
        address = f"{at}/{first}"
        deeper = [path[1:] for path in paths if path[0] == first and len(path) > 1]
        if deeper:
            _routes(canvas, (route, outlet), deeper, address, found)
        else:
            found[address] = (route, outlet)


def _strip(canvas: _Canvas, x: int, strip: Strip, network: dict[str, tuple[int, int]]) -> None:
    source = network[strip.gain.address.rsplit("/", 1)[0]]
    ends = ["gain", *(["mute", "solo"] if strip.mute else [])]
    route = canvas.box(x, 390, "route " + " ".join(ends))
    canvas.wire(*source, route)
    canvas.note(x, _TOP, _escaped(strip.name))
    fader = canvas.box(
        x, _TOP + 22, f"vsl 22 128 0 1 0 0 empty {_escaped(strip.gain.address)} empty 0 -9 0 10 {_COLOURS} 0 1"
    )
    _feedback(canvas, x, 410, (route, 0), fader)
    text = canvas.place("symbolatom", x, _TOP + 158, "9 0 0 0 - - - 12")
    _text(canvas, x, (route, 0), text)
    _sending(canvas, x, _TOP + 180, fader, strip.gain)
    for number, control in enumerate(c for c in (strip.mute, strip.solo) if c):
        canvas.note(x + 50, _TOP + 22 + 40 * number, control.address.rsplit("/", 1)[1])
        toggle = _toggle(canvas, x + 34, _TOP + 24 + 40 * number, control)
        _feedback(canvas, x + 34, 410, (route, number + 1), toggle)


def _toggle(canvas: _Canvas, x: int, y: int, control: Control) -> int:
    toggle = canvas.box(x, y, f"tgl 15 0 empty {_escaped(control.address)} empty 17 7 0 10 {_COLOURS} 0 1")
    _sending(canvas, x, y + 180, toggle, control)
    return toggle


def _sending(canvas: _Canvas, x: int, y: int, source: int, control: Control) -> None:
    form = canvas.box(x, y, f"oscformat -f {control.tags} {_words(control.address)}")
    out = canvas.box(x, y + 20, "s lasaft-send")
    canvas.wire(source, 0, form)
    canvas.wire(form, 0, out)


def _feedback(canvas: _Canvas, x: int, y: int, source: tuple[int, int], target: int) -> None:
    """Have a number that the host says shown by `target`, which does not send it back."""
    number = canvas.box(x, y, "route float")
    shown = canvas.message(x, y + 20, "set \\$1")
    canvas.wire(*source, number)
    canvas.wire(number, 0, shown)
    canvas.wire(shown, 0, target)


def _text(canvas: _Canvas, x: int, source: tuple[int, int], target: int) -> None:
    text = canvas.box(x + 60, 410, "route str")
    canvas.wire(*source, text)
    _word(canvas, x + 60, 430, (text, 0), target)


def _word(canvas: _Canvas, x: int, y: int, source: tuple[int, int], target: int) -> None:
    # What comes out of [route] is a message of that name, where a box for symbols takes only symbols.
    word = canvas.box(x, y, "symbol")
    canvas.wire(*source, word)
    canvas.wire(word, 0, target)


def _range(canvas: _Canvas, x: int, y: int, control: Control, network: dict[str, tuple[int, int]]) -> None:
    low, high = control.range
    unit = f" ({control.unit})" if control.unit else ""
    canvas.note(x, y - 22, f"{_escaped(control.address.strip('/'))}{_escaped(unit)}")
    fader = canvas.box(
        x, y, f"hsl 180 18 {_number(low)} {_number(high)} 0 0 empty {_escaped(control.address)} empty -2 -8 0 10 {_COLOURS} 0 1"
    )
    _sending(canvas, x, y + 30, fader, control)
    _feedback(canvas, x + 120, y + 30, network[control.address], fader)


def _switch(canvas: _Canvas, x: int, y: int, control: Control, network: dict[str, tuple[int, int]]) -> None:
    canvas.note(x, y - 22, _escaped(control.address.strip("/")))
    _feedback(canvas, x, y + 30, network[control.address], _toggle(canvas, x, y, control))


def _presets(canvas: _Canvas, y: int, control: Control, network: dict[str, tuple[int, int]]) -> None:
    canvas.note(_LEFT, y - 22, _escaped(control.address.strip("/")))
    form = canvas.box(_LEFT, y + 44, f"oscformat {_words(control.address)}")
    out = canvas.box(_LEFT, y + 64, "s lasaft-send")
    canvas.wire(form, 0, out)
    for number, name in enumerate(control.choices):
        button = canvas.message(_LEFT + 130 * (number % 6), y + 22 * (number // 6), f"symbol {_escaped(name)}")
        canvas.wire(button, 0, form)
    shown = canvas.place("symbolatom", _LEFT + 180, y + 44, "14 0 0 0 - - - 12")
    _word(canvas, _LEFT + 180, y + 64, network[control.address], shown)


def _condition(canvas: _Canvas, y: int, control: Control) -> None:
    count = len(control.tags)
    button = canvas.message(_LEFT + 330, y - 56, " ".join("1" if not i else "0" for i in range(count)))
    form = canvas.box(_LEFT + 330, y - 36, f"oscformat -f {control.tags} {_words(control.address)}")
    out = canvas.box(_LEFT + 330, y - 16, "s lasaft-send")
    canvas.note(_LEFT + 450, y - 56, "the whole condition at once")
    canvas.wire(button, 0, form)
    canvas.wire(form, 0, out)
