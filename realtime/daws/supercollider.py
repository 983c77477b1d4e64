"""A SuperCollider script: the host as an event `~lasaft`, with values at once, at a time, and along an envelope."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.control import Control
from realtime.daws.surface import Surface, surface_for

_TEMPLATE = """\
// LaSAFT Live from SuperCollider. Evaluate the block, then use ~lasaft; examples are at the end.
(
~lasaft !? { ~lasaft.close };
~lasaft = (
    host: NetAddr("127.0.0.1", @PORT@),
    stems: @STEMS@,
    presets: @PRESETS@,
    // What the host said last, by address; told to `onChange` as soon as it says it.
    state: IdentityDictionary.new,
    onChange: { |self, address, values| },

    // A value now: whole numbers for switches, numbers with a point for faders.
    tell: { |self, address ... values| self.host.sendMsg(address, *values) },

    // Messages that happen together, `delay` seconds from now, on the sample that this time names. In a Routine "now" is
    // its logical time: no jitter of its own is added.
    tellIn: { |self, delay ... messages| self.host.sendBundle(delay, *messages) },

    // A fader along an envelope, a value each `step` seconds, each on its sample; `delay` must cover the way to the host.
    curve: { |self, address, env, step = 0.01, delay = 0.2|
        Routine {
            var count = (env.duration / step).ceil.asInteger;
            (count + 1).do { |i|
                self.tellIn(delay, [address, env.at((i * step).min(env.duration)).asFloat]);
                step.wait;
            };
        }.play(SystemClock)
    },

    subscribe: { |self| @PREFIXES@.do { |prefix| self.host.sendMsg('/subscribe', prefix) } },

    close: { |self|
        self.host.sendMsg('/unsubscribe');
        thisProcess.removeOSCRecvFunc(self[\\listener]);
    }
);
~lasaft[\\listener] = { |message, time, address|
    if (address.port == ~lasaft.host.port) {
        ~lasaft.state[message[0]] = message[1..];
        ~lasaft.onChange(message[0], message[1..]);
    };
};
thisProcess.addOSCRecvFunc(~lasaft[\\listener]);
~lasaft.subscribe;
)

/* The controls:
@CONTROLS@

// Examples. A value now:
~lasaft.tell('@GAIN@', 0.5);
~lasaft.tell('@MUTE@', 1);
~lasaft.tell('/preset', "@PRESET@");
// Two things on one sample, half a second from now:
~lasaft.tellIn(0.5, ['@GAIN@', 0.75], ['@MUTE@', 0]);
// A fade of four seconds:
~lasaft.curve('@GAIN@', Env([0.75, 0], [4], \\sin));
// What it is:
~lasaft.state['@GAIN@'];
*/
"""


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(texts: Sequence[str]) -> str:
    return "[" + ", ".join(_text(text) for text in texts) + "]"


def _line(control: Control) -> str:
    bounds = f"{control.range[0]:g}..{control.range[1]:g}" if control.range else ""
    return f"    {control.address:<24} {control.tags:<6} {bounds:<8} {control.description}".rstrip()


def _all(surface: Surface) -> list[Control]:
    strips = [c for strip in surface.strips for c in (strip.gain, strip.mute, strip.solo) if c]
    return [surface.condition, surface.preset, *strips, *surface.ranges, *surface.switches]


def script(stems: Sequence[str], port: int = 9000) -> str:
    """Return the script for a host with `stems` that listens on UDP `port` of this machine."""
    surface = surface_for(stems)
    first = surface.strips[0]
    rest = [c.address for c in (surface.condition, surface.preset, *surface.ranges, *surface.switches)]
    filled = {
        "PORT": str(port),
        "STEMS": _array(stems),
        "PRESETS": _array(surface.preset.choices),
        "PREFIXES": _array([*(strip.gain.address.rsplit("/", 1)[0] for strip in surface.strips), *rest]),
        "CONTROLS": "\n".join(_line(control) for control in _all(surface)).replace("*/", "* /"),
        "GAIN": first.gain.address,
        "MUTE": first.mute.address,
        "PRESET": surface.preset.choices[0],
    }
    text = _TEMPLATE
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text
