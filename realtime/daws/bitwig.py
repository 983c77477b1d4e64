"""A controller script for Bitwig Studio 5 and newer: a track named like a stem is that stem."""

from __future__ import annotations

import json
from collections.abc import Sequence

from realtime.daws.surface import surface_for

_TEMPLATE = """\
// LaSAFT Live from Bitwig Studio: a track named like a stem is that stem.
// Its fader is the stem's gain and its mute the stem's mute, both ways. Put this file into a folder of "Controller Scripts"
// and add "LaSAFT Live" under Settings, Controllers.
loadAPI(18);
host.setShouldFailOnDeprecatedUse(true);
host.defineController("LaSAFT Live", "LaSAFT Live", "1.0", "c5f1f6b2-2d0f-4c55-9d0b-8f1f5b6d3a11", "LaSAFT Live contributors");

var HOST_ADDRESS = "127.0.0.1", HOST_PORT = @PORT@, OWN_PORT = @OWN@;
var MOST_TRACKS = 64, CLOSE = 0.0005, AGAIN_MS = 1000;
// Counts up as long as a host runs, and from nought when it was started anew.
var HOPS = "/telemetry/hops";
// By the name of a track in small letters: the addresses of its fader and its mute.
var ADDRESSES = @ADDRESSES@;

// Bitwig's fader v, 0..1, has the gain 2 v^3: +6 dB at its top. The host's has (x / 0.75)^2 up to 0 dB, then 24 dB a unit.
function toHost(v) {
   var gain = 2 * v * v * v;
   return gain <= 1 ? 0.75 * Math.sqrt(gain) : Math.min(1, 0.75 + 20 * Math.log(gain) / Math.LN10 / 24);
}

function fromHost(x) {
   var gain = x <= 0.75 ? x * x / 0.5625 : Math.pow(10, 24 * (x - 0.75) / 20);
   return Math.min(1, Math.pow(gain / 2, 1 / 3));
}

// One value at both ends; what either says is passed on to the other, and an echo is not. `there` and `here` are what the
// host and Bitwig show, null while unknown; where they differ once both are known, Bitwig's is taken.
function Link(address, whole) {
   this.address = address;
   this.whole = whole;
   this.here = this.there = this.set = null;
   this.toldThere = [];
   this.toldHere = [];
}

Link.prototype.isEcho = function (told, value) {
   for (var i = 0; i < told.length; i++) {
      if (Math.abs(told[i] - value) <= CLOSE) {
         told.splice(0, i + 1);
         return true;
      }
   }
   return false;
};

Link.prototype.bitwigSays = function (value) {
   if (this.isEcho(this.toldHere, value)) return;
   this.here = value;
   if (this.there !== null && Math.abs(this.there - value) > CLOSE) this.tellHost(value);
};

Link.prototype.hostSays = function (value) {
   if (this.isEcho(this.toldThere, value)) return;
   var first = this.there === null;
   this.there = value;
   if (this.here === null || Math.abs(this.here - value) <= CLOSE) return;
   if (first) {
      this.tellHost(this.here);
   } else if (this.set !== null) {
      this.here = value;
      this.toldHere = this.toldHere.slice(-63).concat([value]);
      this.set(value);
   }
};

Link.prototype.tellHost = function (value) {
   this.there = value;
   this.toldThere = this.toldThere.slice(-63).concat([value]);
   send(this.address, this.whole ? [new java.lang.Integer(value)] : [new java.lang.Float(value)]);
};

var connection, links = {}, hops = 0;

function send(address, values) {
   try {
      connection.sendMessage(address, values);
   } catch (error) {
      host.errorln("LaSAFT Live: " + error);
   }
}

function subscribe() {
   send("/subscribe", [new java.lang.Integer(OWN_PORT), HOPS]);
   for (var address in links) {
      if (links[address].there === null) send("/subscribe", [new java.lang.Integer(OWN_PORT), address]);
   }
   host.scheduleTask(subscribe, AGAIN_MS);
}

function init() {
   for (var name in ADDRESSES) {
      ADDRESSES[name].forEach(function (address, i) { links[address] = new Link(address, i === 1); });
   }
   var osc = host.getOscModule();
   var space = osc.createAddressSpace();
   space.registerDefaultMethod(function (source, message) {
      var link = links[message.getAddressPattern()];
      var values = message.getArguments();
      if (message.getAddressPattern() === HOPS) {
         if (Number(values[0]) < hops) for (var address in links) links[address].there = null;
         hops = Number(values[0]);
      }
      if (link && values.length === 1) link.hostSays(Number(values[0]));
   });
   osc.createUdpServer(OWN_PORT, space);
   connection = osc.connectToUdpServer(HOST_ADDRESS, HOST_PORT, osc.createAddressSpace());

   var bank = host.createTrackBank(MOST_TRACKS, 0, 0, true);
   for (var i = 0; i < MOST_TRACKS; i++) follow(bank.getItemAt(i));
   subscribe();
}

// Tracks are known by their place in the bank; what is in a place changes its name.
function follow(track) {
   var own = [], volume = null, muted = null;
   var setters = [
      function (value) { track.volume().value().setImmediately(fromHost(value)); },
      function (value) { track.mute().set(value > 0.5); }
   ];
   track.name().addValueObserver(function (name) {
      own.forEach(function (link) { link.set = link.here = null; });
      own = (ADDRESSES[name.trim().toLowerCase()] || []).map(function (address) { return links[address]; });
      // Of several tracks of one name, the first that has it.
      own = own.filter(function (link) { return link.set === null; });
      own.forEach(function (link) {
         link.set = setters[link.whole ? 1 : 0];
         var value = link.whole ? muted : volume;
         if (value !== null) link.bitwigSays(value);
      });
   });
   function say(whole, value) {
      own.forEach(function (link) { if (link.whole === whole) link.bitwigSays(value); });
   }
   track.volume().value().addValueObserver(function (value) { volume = toHost(value); say(false, volume); });
   track.mute().addValueObserver(function (value) { muted = value ? 1 : 0; say(true, muted); });
}

function flush() {}

function exit() {
   send("/unsubscribe", [new java.lang.Integer(OWN_PORT)]);
}
"""


def script(stems: Sequence[str], port: int = 9000) -> str:
    """Return the script for a host with `stems` that listens on UDP `port` of this machine."""
    addresses = {
        strip.name.lower(): [strip.gain.address, *([strip.mute.address] if strip.mute else [])]
        for strip in surface_for(stems).strips
    }
    rows = ",\n".join(f"   {json.dumps(name)}: {json.dumps(found)}" for name, found in addresses.items())
    own = port + 11 if port + 11 < 65536 else port - 11
    return (
        _TEMPLATE.replace("@PORT@", str(port)).replace("@OWN@", str(own)).replace("@ADDRESSES@", "{\n" + rows + "\n}")
    )
