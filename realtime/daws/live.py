"""A remote script for Ableton Live 11 and newer: a track named like a stem is that stem, without Max for Live."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.daws.surface import surface_for

# Runs in Live's own Python, which knows nothing of this repository.
_TEMPLATE = '''\
"""LaSAFT Live from Ableton Live: a track named like a stem is that stem.

Its fader is the stem's gain and its Track Activator the stem's mute, both ways. Copy the folder LaSAFT_Live into
"Remote Scripts" of the User Library, start Live anew, and choose LaSAFT_Live as a control surface.
"""

import math
import socket
import struct

from _Framework.ControlSurface import ControlSurface

HOST = ("127.0.0.1", @PORT@)
# By the name of a track in small letters: the addresses of its fader and its mute.
ADDRESSES = {
@ADDRESSES@
}
# Counts up as long as a host runs, and from nought when it was started anew.
HOPS = "/telemetry/hops"
# Between two signs of life that are asked for: ticks of 100 ms.
AGAIN = 10
GONE = 40
# Both programs keep values as float32 or coarser.
CLOSE = 5e-4


def create_instance(c_instance):
    return LaSAFTLive(c_instance)


def padded(data):
    return data + b"\\0" * (4 - len(data) % 4)


def encode(address, tag, value):
    data = padded(value.encode()) if tag == "s" else struct.pack(">" + tag, value)
    return padded(address.encode()) + padded(b"," + tag.encode()) + data


def decode(packet):
    """Return the address and the number of a message with one number, else None."""
    end = packet.find(b"\\0")
    start = (end // 4 + 1) * 4
    tag = packet[start : start + 3]
    if end < 1 or len(packet) != start + 8 or tag not in (b",f\\0", b",i\\0"):
        return None
    return packet[:end].decode("ascii", "replace"), struct.unpack(">" + tag[1:2].decode(), packet[start + 4 :])[0]


def to_host(decibels):
    """Return the host's fader, 0..1, for decibels: 0.75 is 0 dB, 1 is +6 dB."""
    if decibels <= 0:
        return 0.75 * 10 ** (decibels / 40)
    return min(1.0, 0.75 + decibels / 24)


def to_decibels(fader):
    if fader <= 0:
        return None
    return 40 * math.log10(fader / 0.75) if fader <= 0.75 else 24 * (fader - 0.75)


def decibels_shown(text):
    """Return the decibels of what Live shows for a fader, such as "-6.0 dB" or "-inf dB"."""
    try:
        return float(text.replace("dB", "").replace("\\u2212", "-").replace(",", ".").strip())
    except ValueError:
        return -math.inf


class Fader:
    """The volume of a track, as the host counts it."""

    tag = "f"

    def __init__(self, track):
        self._parameter = track.mixer_device.volume

    def listen(self, listener):
        self._parameter.add_value_listener(listener)

    def leave(self, listener):
        self._parameter.remove_value_listener(listener)

    def get(self):
        # Live tells its law only by the text it shows, to a tenth of a decibel or so.
        return to_host(decibels_shown(self._parameter.str_for_value(self._parameter.value)))

    def set(self, value):
        wanted = to_decibels(value)
        if wanted is None:
            self._parameter.value = self._parameter.min
        else:  # the middle of all that show what is wanted
            self._parameter.value = (self._first(wanted - 0.04) + self._first(wanted + 0.04)) / 2

    def _first(self, decibels):
        """Return the lowest value that shows `decibels` or more; the highest where none does."""
        low, high = self._parameter.min, self._parameter.max
        for _ in range(24):
            middle = (low + high) / 2
            if decibels_shown(self._parameter.str_for_value(middle)) < decibels:
                low = middle
            else:
                high = middle
        return high


class Mute:
    """The Track Activator of a track: 1 is off."""

    tag = "i"

    def __init__(self, track):
        self._track = track

    def listen(self, listener):
        self._track.add_mute_listener(listener)

    def leave(self, listener):
        self._track.remove_mute_listener(listener)

    def get(self):
        return int(self._track.mute)

    def set(self, value):
        self._track.mute = bool(value)


class Link:
    """One value at both ends; what either says is passed on to the other, and an echo is not."""

    def __init__(self, control, send):
        self._control, self._send = control, send
        self._there = None
        self._unanswered = []
        self._setting = False
        control.listen(self.moved)

    def close(self):
        self._control.leave(self.moved)

    def moved(self):
        value = self._control.get()
        if self._setting or self._there is None or abs(value - self._there) <= CLOSE:
            return
        self._there = value
        self._unanswered = self._unanswered[-63:] + [value]
        self._send(value)

    def said(self, value):
        for index, told in enumerate(self._unanswered):
            if abs(told - value) <= CLOSE:
                del self._unanswered[: index + 1]
                return
        first, self._there = self._there is None, value
        if abs(value - self._control.get()) <= CLOSE:
            return
        if first:  # the song's values are taken where both have some
            self.moved()
            return
        self._setting = True
        try:
            self._control.set(value)
        finally:
            self._setting = False

    @property
    def unknown(self):
        return self._there is None

    def forget(self):
        self._there = None
        self._unanswered = []


class LaSAFTLive(ControlSurface):
    def __init__(self, c_instance):
        ControlSurface.__init__(self, c_instance)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._links = {}
        self._named = []
        self._ticks = 0
        self._heard = -GONE
        self._hops = 0
        self.song().add_tracks_listener(self._join)
        self._join()

    def disconnect(self):
        self.song().remove_tracks_listener(self._join)
        self._leave()
        self._socket.close()
        ControlSurface.disconnect(self)

    def update_display(self):
        """Live calls this every 100 ms."""
        ControlSurface.update_display(self)
        self._ticks += 1
        self._listen()
        if self._ticks - self._heard == GONE:
            self._forget()
        if self._ticks % AGAIN == 0:
            # To subscribe to what is known would bring back what is older than what is on its way.
            for address, link in self._links.items():
                if link.unknown:
                    self._tell("/subscribe", "s", address)
            self._tell("/get", "s", HOPS)

    def _listen(self):
        for _ in range(256):
            try:
                packet, sender = self._socket.recvfrom(65536)
            except OSError:
                return
            if sender != HOST:
                continue
            self._heard = self._ticks
            message = decode(packet)
            if message and message[0] in self._links:
                self._links[message[0]].said(message[1])
            elif message and message[0] == HOPS:
                if message[1] < self._hops:
                    self._forget()
                self._hops = message[1]

    def _forget(self):
        for link in self._links.values():
            link.forget()

    def _tell(self, address, tag, value):
        try:
            self._socket.sendto(encode(address, tag, value), HOST)
        except OSError:
            pass

    def _leave(self):
        for link in self._links.values():
            link.close()
        for track in self._named:
            track.remove_name_listener(self._join)
        self._links, self._named = {}, []

    def _join(self):
        """Find the track of each name; of several, the first."""
        self._leave()
        for track in self.song().tracks:
            track.add_name_listener(self._join)
            self._named.append(track)
            for kind, address in zip((Fader, Mute), ADDRESSES.get(track.name.strip().lower(), ())):
                if address not in self._links:
                    send = lambda value, a=address, t=kind.tag: self._tell(a, t, value)
                    self._links[address] = Link(kind(track), send)
        self._heard = self._ticks - GONE
'''


def script(stems: Sequence[str], port: int = 9000) -> str:
    """Return the script for a host with `stems` that listens on UDP `port` of this machine."""
    rows = []
    for strip in surface_for(stems).strips:
        addresses = [strip.gain.address, *([strip.mute.address] if strip.mute else [])]
        rows.append(f"    {strip.name.lower()!r}: {tuple(addresses)!r},")
    return _TEMPLATE.replace("@PORT@", str(port)).replace("@ADDRESSES@", "\n".join(rows))
