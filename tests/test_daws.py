"""The ready files are what the table says, and bridges keep two programs the same without an echo."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import socket
import subprocess
import sys
import types
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from realtime import gainlaw
from realtime.control import controls_for
from realtime.daws import touchosc
from realtime.daws.ardour import Ardour
from realtime.daws.bridging import bridge
from realtime.daws.ends import End
from realtime.daws.files import files_for, read, written
from realtime.daws.reaper import PATTERNS, Reaper, pattern_file
from realtime.daws.strips import AGAIN, GONE, Bridge, decibels_of, gain_of
from realtime.daws.surface import surface_for
from realtime.errors import HostError
from realtime.patterns import Pattern
from realtime.presets import presets_for

DOCS = Path(__file__).resolve().parents[1] / "docs" / "daws"
FOUR = ("vocals", "drums", "bass", "other")
ODD = ("lead$1", "kick;snare", "low\\end", "$0")


# The files.


def test_the_committed_files_are_what_the_generator_writes():
    stale = [name for name, text in files_for(FOUR).items() if read(name, (DOCS / name).read_bytes()) != text]
    assert not stale, f"stale: {stale}; write them anew with: python -m realtime.daws docs/daws"


def test_every_ready_file_has_a_page():
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))
    index = (DOCS / "README.md").read_text()
    assert not [name for name in files_for(FOUR) if name.split("/")[0] not in pages]
    assert not [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index]


def test_a_surface_has_every_setting_once():
    surface = surface_for(FOUR)
    shown = [c for strip in surface.strips for c in (strip.gain, strip.mute, strip.solo) if c]
    shown += [surface.condition, surface.preset, *surface.ranges, *surface.switches]
    settings = [control.address for control in controls_for(FOUR).values() if control.kind == "setting"]
    assert sorted(control.address for control in shown) == sorted(settings)


def test_files_of_other_stems_address_those():
    for name, text in files_for(("strings", "choir"), 9100).items():
        assert "vocals" not in text, name
        if not name.endswith("ReaperOSC"):
            assert "/stem/strings" in text and "9100" in text, name


def test_stems_that_osc_cannot_address_are_refused():
    with pytest.raises(HostError, match="cannot be part of an OSC address"):
        files_for(("lead vocals",))


def widgets_of(widget: dict) -> list[dict]:
    return [widget, *(w for inner in widget.get("widgets", []) for w in widgets_of(inner))]


def test_what_the_stage_session_sends_is_accepted_by_the_host():
    table = controls_for(FOUR)
    session = json.loads(files_for(FOUR)["LaSAFT-Live.osc.json"])
    widgets = widgets_of(session["content"])[1:]
    assert len({w["id"] for w in widgets}) == len(widgets)
    for widget in (w for w in widgets if w["type"] in ("fader", "button")):
        control = table[widget["address"]]
        assert widget["typeTags"] == control.tags
        if widget["type"] == "fader":
            assert (widget["range"]["min"], widget["range"]["max"]) == control.range
        elif widget["mode"] == "tap":
            control.accept((widget["on"],))
        else:
            assert {control.accept((widget[state],)) for state in ("on", "off")} == {(1,), (0,)}
    sent = {w["address"] for w in widgets if w["type"] in ("fader", "button")}
    assert sent == {c.address for c in table.values() if c.kind == "setting"} - {"/condition"}
    presets = [w["on"] for w in widgets if w["type"] == "button" and w["address"] == "/preset"]
    assert presets == list(presets_for(FOUR))
    subscribed = set(re.findall(r'"/subscribe", \{type: "s", value: "([^"]+)"\}', session["content"]["onCreate"]))
    assert all(any(address.startswith(prefix) for prefix in subscribed) for address in sent - {"/preset"})


def test_widgets_of_the_stage_session_do_not_overlap():
    widgets = widgets_of(json.loads(files_for(FOUR)["LaSAFT-Live.osc.json"])["content"])[1:]
    boxes = [(w["left"], w["top"], w["left"] + w["width"], w["top"] + w["height"], w["id"]) for w in widgets]
    for number, a in enumerate(boxes):
        for b in boxes[number + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)


TOUCH = f"LaSAFT-Live{touchosc.SUFFIX}"


def touch_nodes(stems, port=9000) -> tuple[ElementTree.Element, list[ElementTree.Element]]:
    packed = written(TOUCH, files_for(stems, port)[TOUCH])
    document = ElementTree.fromstring(zlib.decompress(packed))
    assert document.tag == "lexml"
    (root,) = document
    return root, root.findall("children/node")


def settings_of(node: ElementTree.Element) -> dict[str, object]:
    found = {}
    for each in node.findall("properties/property"):
        inner = list(each.find("value"))
        found[each.find("key").text] = [float(n.text) for n in inner] if inner else each.find("value").text
    return found


def sent_by(osc: ElementTree.Element, x: float) -> tuple[str, list[object]]:
    """Return the address and the arguments of an OSC message of a control whose value is `x`."""
    (path,) = osc.findall("path/partial")
    arguments = []
    for partial in osc.findall("arguments/partial"):
        low, high = (float(partial.find(end).text) for end in ("scaleMin", "scaleMax"))
        said = partial.find("value").text if partial.find("type").text == "CONSTANT" else low + x * (high - low)
        arguments.append({"FLOAT": float, "INTEGER": lambda v: int(float(v)), "STRING": str}[partial.find("conversion").text](said))
    return path.find("value").text, arguments


def test_what_the_touch_layout_sends_is_accepted_by_the_host():
    table, sent = controls_for(FOUR), set()
    root, nodes = touch_nodes(FOUR)
    for node in nodes:
        for osc in node.findall("messages/osc"):
            for x in (0, 0.5, 1) if node.get("type") == "FADER" else (0, 1):
                address, arguments = sent_by(osc, x)
                if osc.find("send").text == "0":
                    assert node.get("type") == "LABEL" and table[address].tags == "s"
                    continue
                values = table[address].accept(arguments)
                sent.add(address)
                if node.get("type") == "FADER":
                    low, high = table[address].range
                    assert values == (low + x * (high - low),)
    assert sent == {c.address for c in table.values() if c.kind == "setting"} - {"/condition"} | {"/subscribe"}
    presets = [sent_by(osc, 1)[1][0] for node in nodes for osc in node.findall("messages/osc") if sent_by(osc, 1)[0] == "/preset"]
    assert presets[1:] == list(presets_for(FOUR))
    script = settings_of(root)["script"]
    (wanted,) = set(re.findall(r"tag = 's', value = '([^']+)'", script))
    shown = [a for a in sent if a != "/subscribe"]
    assert all(Pattern(wanted).holds(address) for address in shown) and str(touchosc.RECEIVE_PORT) in script


@pytest.mark.parametrize("stems", [FOUR, ODD, ("all",)])
def test_controls_of_the_touch_layout_lie_in_it_have_names_of_their_own_and_begin_as_the_host_does(stems):
    root, nodes = touch_nodes(stems)
    _, _, width, height = settings_of(root)["frame"]
    assert len({node.get("ID") for node in nodes}) == len(nodes) == len({settings_of(n)["name"] for n in nodes})
    boxes = []
    for node in nodes:
        x, y, w, h = settings_of(node)["frame"]
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height, settings_of(node)["name"]
        if settings_of(node).get("background") != "0":  # others lie on a button
            boxes.append((x, y, x + w, y + h))
        if node.get("type") == "FADER":
            values = {v.find("key").text: v.find("default").text for v in node.findall("values/value")}
            (osc,) = node.findall("messages/osc")
            address, arguments = sent_by(osc, float(values["x"]))
            assert tuple(arguments) == pytest.approx(controls_for(stems)[address].default)
    for number, a in enumerate(boxes):
        for b in boxes[number + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)


def test_a_reader_of_others_reads_the_touch_layout_and_would_write_the_same(tmp_path):
    py2tosc = pytest.importorskip("py2tosc", reason="a public reader of TouchOSC's files")
    layout = py2tosc.load(DOCS / TOUCH)
    assert layout.validate() == []
    layout.save(tmp_path / TOUCH)
    assert zlib.decompress((tmp_path / TOUCH).read_bytes()).strip() == zlib.decompress((DOCS / TOUCH).read_bytes()).strip()


@pytest.mark.parametrize("stems", [FOUR, ODD])
def test_the_wires_of_the_pd_patch_have_ends(stems):
    lines = files_for(stems)["LaSAFT-Live.pd"].splitlines()
    assert all(re.search(r"(?<!\\);$", line) and not re.search(r"(?<!\\);.", line) for line in lines)
    objects = [line for line in lines if line.startswith("#X") and not line.startswith("#X connect")]
    wires = [tuple(map(int, line.rstrip(";").split()[2:])) for line in lines if line.startswith("#X connect")]
    assert all(source < len(objects) and target < len(objects) for source, _, target, _ in wires)
    assert len(set(wires)) == len(wires)


def test_reaper_would_take_the_pattern_file_and_the_bridge_understands_it():
    # As REAPER reads it: an action, then patterns that begin with a letter for the type and a slash.
    for line in pattern_file().splitlines():
        if line.startswith("#"):
            continue
        action, *patterns = line.split()
        assert re.fullmatch(r"[A-Z_]+", action) and patterns
        if action in PATTERNS:
            assert all(re.fullmatch(r"[nfbtrsi]/[a-z/@]+", pattern) for pattern in patterns)
    said = {
        action: Reaper().understood(pattern[1:].replace("@", "7"), ("vocals" if pattern[0] == "s" else 1.0,))
        for action, pattern in PATTERNS.items()
    }
    assert said.pop("ACTION") is None
    assert [(s.track, s.what) for s in said.values()] == [(7, "name"), (7, "gain"), (7, "mute")]
    assert Reaper().gain(7, 0.75).address == "/track/7/volume/db"
    assert Reaper().hello()[0].address == PATTERNS["ACTION"][1:]


# The bridge.


@pytest.mark.parametrize("fader", [0.0, 0.001, 0.3, 0.75, 0.9, 1.0])
def test_decibels_and_back_are_the_same_fader(fader):
    assert gain_of(decibels_of(fader, -193.0)) == pytest.approx(fader, abs=1e-9)


def test_more_than_the_host_can_is_its_top():
    assert gain_of(12.0) == pytest.approx(1.0)
    assert gain_of(-200.0) == gain_of(-math.inf) == 0.0


def test_an_echo_is_no_news_however_late_it_comes_among_others():
    end = End()
    assert end.says(0.5, 0.0)
    for step in range(10):
        end.told(0.5 + step / 100, step / 1000)
    # The program thins out: it says some of it, and the last.
    assert not end.says(0.53, 0.02)
    assert not end.says(0.59, 0.02)
    assert end.has(0.59)
    assert end.says(0.53, 0.03)


def test_what_was_on_its_way_when_a_program_was_told_is_no_news_once_the_echo_has_come():
    end = End()
    end.says(0.5, 0.0)
    end.told(0.6, 0.1)
    assert not end.says(0.5, 0.11) and not end.belated(0.12)
    assert not end.says(0.6, 0.13)
    assert not end.belated(1.0) and end.has(0.6)


def test_what_another_did_meanwhile_is_news_when_no_echo_comes():
    end = End()
    end.says(0.5, 0.0)
    end.told(0.6, 0.1)
    assert not end.says(0.9, 0.11)
    assert end.belated(1.0) and end.has(0.9)
    assert not end.belated(1.1)


def test_what_was_told_long_ago_is_news_again():
    end = End()
    end.says(0.5, 0.0)
    end.told(0.6, 0.0)
    end.told(0.7, 0.1)
    assert end.says(0.6, 2.0)


class Line:
    """One program's socket: what is put into `inbox` arrives at the next turn."""

    def __init__(self) -> None:
        self.heard = self.asked = 0.0
        self.inbox: list[tuple[str, tuple]] = []
        self.sent: list[tuple] = []

    def send(self, address, tags, values) -> None:
        self.sent.append((address, *values))

    def messages(self, now):
        arrived, self.inbox = self.inbox, []
        self.heard = now if arrived else self.heard
        return arrived

    def told(self) -> list[tuple]:
        """Return what was sent since the last time, requests apart."""
        sent, self.sent = self.sent, []
        return [message for message in sent if message[0] not in ("/subscribe", "/get", "/set_surface", "/action")]


class Rig:
    """A bridge between a host with four stems and Ardour with `tracks`, in a time of its own."""

    def __init__(self, *tracks: str, dialect=None) -> None:
        self.host, self.daw, self.said = Line(), Line(), []
        self.bridge = Bridge(self.host, self.daw, dialect or Ardour(), self.said.append)
        self.now = self.bridge._begun + 2 * AGAIN
        self.host_says(("/stems", FOUR), *((f"/stem/{stem}/{end}", (value,)) for stem in FOUR for end, value in (("gain", 0.75), ("mute", 0))))
        for number, name in enumerate(tracks, 1):
            self.daw_says(("/strip/name", (number, name)), ("/strip/gain", (number, 0.0)), ("/strip/mute", (number, 0.0)))
        self.host.told(), self.daw.told()

    def host_says(self, *messages: tuple[str, tuple]) -> None:
        self.host.inbox += messages
        self.turn()

    def daw_says(self, *messages: tuple[str, tuple]) -> None:
        self.daw.inbox += messages
        self.turn()

    def turn(self, seconds: float = 0.01) -> None:
        self.now += seconds
        self.bridge.turn(self.now)


def test_a_fader_and_a_mute_of_a_track_move_the_stem_of_its_name():
    rig = Rig("Song", "Vocals")
    rig.daw_says(("/strip/gain", (2, -12.0)), ("/strip/mute", (2, 1.0)), ("/strip/gain", (1, -20.0)))
    assert rig.host.told() == [("/stem/vocals/gain", pytest.approx(gainlaw.from_text("-12"))), ("/stem/vocals/mute", 1)]
    assert not rig.daw.told()


def test_what_moves_the_host_moves_the_track():
    rig = Rig("drums")
    rig.host_says(("/stem/drums/gain", (0.375,)), ("/stem/drums/mute", (1,)), ("/stem/bass/gain", (0.1,)))
    assert rig.daw.told() == [("/strip/gain", 1, pytest.approx(-12.04, abs=0.01)), ("/strip/mute", 1, 1)]
    rig.daw_says(("/strip/gain", (1, -12.041200637817383)), ("/strip/mute", (1, 1.0)))
    assert not rig.host.told()


def test_a_moving_fader_is_not_pulled_back_by_its_echoes():
    rig = Rig("bass")
    for step in range(1, 100):
        rig.daw_says(("/strip/gain", (1, -step / 10)))
        if step > 3 and step % 2:
            rig.host_says(("/stem/bass/gain", (gain_of(-(step - 3) / 10),)))
    rig.host_says(("/stem/bass/gain", (gain_of(-9.9),)))
    assert not rig.daw.told()
    assert len(rig.host.told()) == 99


def test_the_song_in_the_daw_wins_when_a_host_comes_late_or_anew():
    rig = Rig("other")
    rig.daw_says(("/strip/gain", (1, -6.0)))
    rig.host.told()
    rig.host_says(("/telemetry/hops", (900,)))
    rig.host_says(("/telemetry/hops", (3,)))
    rig.host_says(("/stem/other/gain", (0.75,)), ("/stem/other/mute", (0,)))
    assert rig.host.told() == [("/stem/other/gain", pytest.approx(gain_of(-6.0)))]
    assert not rig.daw.told()


def test_a_daw_that_was_gone_says_everything_anew():
    rig = Rig("vocals")
    rig.turn(GONE + 1)
    assert ("/set_surface", 0, 31, 11, 0, 0, 0, 0) in rig.daw.sent
    rig.host_says(("/stem/vocals/gain", (0.2,)))
    assert not rig.daw.told()
    rig.daw_says(("/strip/name", (4, "vocals")), ("/strip/gain", (4, 6.0)))
    assert rig.host.told() == [("/stem/vocals/gain", pytest.approx(1.0))]


def test_a_track_that_is_renamed_lets_the_stem_go_and_the_next_one_takes_it():
    rig = Rig("drums", "drums 2")
    rig.daw_says(("/strip/gain", (2, -20.0)))
    assert not rig.host.told()
    rig.daw_says(("/strip/name", (1, "old")), ("/strip/name", (2, "drums")))
    assert rig.host.told() == [("/stem/drums/gain", pytest.approx(gain_of(-20.0)))]
    rig.host_says(("/stem/drums/gain", (gain_of(-20.0),)), ("/stem/drums/gain", (0.75,)))
    assert rig.daw.told() == [("/strip/gain", 2, 0.0)]


def test_the_bridge_says_which_stems_have_no_track():
    rig = Rig("vocals", "remainder")
    rig.turn()
    assert rig.said[-1] == "joined to tracks of Ardour: vocals, remainder; without a track of its name: drums, bass, other"


@pytest.mark.parametrize(
    "message",
    [
        ("/strip/gain", ()),
        ("/strip/gain", ("a", "b")),
        ("/strip/gain", (1, "loud")),
        ("/strip/name", (1, 2.0)),
        ("/strip/gain", (-1, 0.0)),
        ("/strip/gain", (10**9, 0.0)),
        ("/strip/gain", (1, math.nan)),
        ("/strip/gain", (1, -math.inf)),
        ("/stems", ()),
    ],
)
def test_nonsense_of_a_daw_moves_nothing_silly(message):
    rig = Rig("vocals")
    rig.daw_says(message)
    assert rig.host.told() in ([], [("/stem/vocals/gain", 0.0)])
    rig.daw_says(("/strip/gain", (1, -6.0)))
    assert rig.host.told() == [("/stem/vocals/gain", pytest.approx(gain_of(-6.0)))]


def test_reaper_is_asked_once_and_never_taken_for_gone():
    rig = Rig(dialect=Reaper())
    rig.daw_says(("/track/3/name", ("bass",)), ("/track/3/volume/db", (-6.0,)), ("/track/3/mute", (0.0,)))
    assert rig.host.told() == [("/stem/bass/gain", pytest.approx(gain_of(-6.0)))]
    rig.turn(GONE * 10)
    rig.host_says(("/stems", FOUR), ("/stem/bass/gain", (0.75,)))
    assert rig.host.told() == [("/stem/bass/gain", pytest.approx(gain_of(-6.0)))]
    rig.host_says(("/stem/bass/gain", (gain_of(-6.0),)), ("/stem/bass/gain", (0.75,)))
    assert rig.daw.told() == [("/track/3/volume/db", 0.0)]


def test_a_bridge_whose_port_is_taken_says_so(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert bridge(Reaper(), "", ("127.0.0.1", 8010), 9010, ["--listen", str(port)]) == 1
    assert f"UDP port {port} cannot be had" in capsys.readouterr().err
    assert bridge(Reaper(), "", ("127.0.0.1", 8010), 9010, ["--host", "here"]) == 1
    assert "write it as 127.0.0.1:9000" in capsys.readouterr().err


# Ableton Live's script, in a Live made of paper.


class Listened:
    """Something with listeners, as Live's objects have them."""

    def __init__(self) -> None:
        self.listeners: list = []

    def __getattr__(self, name: str):
        if name.startswith("add_"):
            return self.listeners.append
        if name.startswith("remove_"):
            return self.listeners.remove
        raise AttributeError(name)

    def changed(self) -> None:
        for listener in tuple(self.listeners):
            listener()


class Volume(Listened):
    min, max = 0.0, 1.0

    def __init__(self) -> None:
        super().__init__()
        self._value = 0.85

    @property
    def value(self) -> float:
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        self._value = value
        self.changed()

    def str_for_value(self, value: float) -> str:
        # Live's upper part: 0 dB at 0.85, 40 dB a unit.
        return "-inf dB" if value <= 0 else f"{40 * (value - 0.85):.2f} dB"


class Track(Listened):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self._mute, self.volume = name, False, Volume()

    @property
    def mixer_device(self):
        return types.SimpleNamespace(volume=self.volume)

    @property
    def mute(self) -> bool:
        return self._mute

    @mute.setter
    def mute(self, mute: bool) -> None:
        self._mute = mute
        self.changed()


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Live with a song track and one called vocals, and the host's socket."""
    host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.bind(("127.0.0.1", 0))
    host.settimeout(5)
    song = Listened()
    song.tracks = [Track("Song"), Track("Vocals")]

    class ControlSurface:
        def __init__(self, c_instance) -> None: ...
        def disconnect(self) -> None: ...
        def update_display(self) -> None: ...
        def song(self):
            return song

    framework = types.ModuleType("_Framework.ControlSurface")
    framework.ControlSurface = ControlSurface
    monkeypatch.setitem(sys.modules, "_Framework", types.ModuleType("_Framework"))
    monkeypatch.setitem(sys.modules, "_Framework.ControlSurface", framework)
    file = tmp_path / "LaSAFT_Live.py"
    file.write_text(files_for(FOUR, host.getsockname()[1])["LaSAFT_Live/__init__.py"])
    spec = importlib.util.spec_from_file_location("LaSAFT_Live", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    surface = module.create_instance(None)
    yield types.SimpleNamespace(host=host, song=song, surface=surface, module=module, track=song.tracks[1])
    surface.disconnect()
    host.close()
    assert not any(listened.listeners for track in song.tracks for listened in (track, track.volume))


def ticks(live, count: int) -> None:
    for _ in range(count):
        live.surface.update_display()


def packets(live, count: int) -> tuple[list[tuple], tuple]:
    from tests.jack_peers import decode

    found = []
    for _ in range(count):
        packet, sender = live.host.recvfrom(1000)
        found += [(message.address, *message.values) for _, message in decode(packet)]
    return found, sender


def joined(live) -> tuple:
    """Let the script subscribe, and answer as a host would; return its address."""
    ticks(live, 10)
    asked, script = packets(live, 3)
    assert asked == [("/subscribe", "/stem/vocals/gain"), ("/subscribe", "/stem/vocals/mute"), ("/get", "/telemetry/hops")]
    say(live, script, ("/stem/vocals/gain", "f", 0.75), ("/stem/vocals/mute", "i", 0))
    return script


def say(live, script: tuple, *messages: tuple) -> None:
    for address, tag, value in messages:
        live.host.sendto(live.module.encode(address, tag, value), script)
    ticks(live, 1)


def test_live_sends_what_a_track_does_and_follows_the_host_without_an_echo(live):
    script = joined(live)
    live.track.volume.value = 0.7
    live.track.mute = True
    sent, _ = packets(live, 2)
    assert sent == [("/stem/vocals/gain", pytest.approx(gainlaw.from_text("-6"), abs=1e-6)), ("/stem/vocals/mute", 1)]
    live.song.tracks[0].volume.value = 0.1
    say(live, script, ("/stem/vocals/gain", "f", sent[0][1]), ("/stem/vocals/mute", "i", 1))
    assert live.track.volume.value == 0.7
    say(live, script, ("/stem/vocals/gain", "f", gainlaw.from_text("-10")), ("/stem/vocals/mute", "i", 0))
    assert live.track.volume.value == pytest.approx(0.85 - 10 / 40, abs=1e-3)
    assert not live.track.mute
    live.host.setblocking(False)
    with pytest.raises(BlockingIOError):
        packets(live, 1)


def test_live_wins_when_a_host_comes_anew_and_garbage_is_let_go(live):
    script = joined(live)
    live.track.volume.value = 0.75
    packets(live, 1)
    for garbage in (b"", b"/", b"/stem/vocals/gain", b"\xff" * 40, b"/stem/vocals/gain\0\0\0,s\0\0abc\0"):
        live.host.sendto(garbage, script)
    say(live, script, ("/telemetry/hops", "i", 50), ("/telemetry/hops", "i", 2), ("/stem/vocals/gain", "f", 0.75))
    sent, _ = packets(live, 1)
    assert sent == [("/stem/vocals/gain", pytest.approx(gainlaw.from_text("-4"), abs=1e-6))]
    assert live.track.volume.value == 0.75


# Bitwig's script, in a Bitwig made of paper.

_BITWIG = """
var sent = [], observers = {}, incoming;
var java = { lang: { Integer: function (v) { this.v = v; }, Float: function (v) { this.v = v; } } };
function loadAPI() {}
function value(key, set) {
   return { addValueObserver: function (f) { observers[key] = f; }, set: set, setImmediately: set };
}
function track(i) {
   return {
      name: function () { return value("name" + i); },
      mute: function () { return value("mute" + i, function (v) { sent.push(["mute", i, v]); observers["mute" + i](v); }); },
      volume: function () { return { value: function () {
         return value("volume" + i, function (v) { sent.push(["volume", i, v]); observers["volume" + i](v); }); } }; }
   };
}
var host = {
   setShouldFailOnDeprecatedUse: function () {}, defineController: function () {}, scheduleTask: function () {}, errorln: console.error,
   getOscModule: function () { return {
      createAddressSpace: function () { return { registerDefaultMethod: function (f) { incoming = f; } }; },
      createUdpServer: function () {},
      connectToUdpServer: function () { return { sendMessage: function (a, v) {
         sent.push([a].concat(v.map(function (x) { return x.v === undefined ? x : x.v; }))); } }; }
   }; },
   createTrackBank: function (n) { return { getItemAt: track }; }
};
function say(address, v) {
   incoming(null, { getAddressPattern: function () { return address; }, getArguments: function () { return [v]; } });
}
function take() { var s = sent; sent = []; return s; }
"""

_BITWIG_PLAY = """
init();
var out = [take().length > 2];
["name", "volume", "mute"].forEach(function (k, i) { observers[k + "3"](["Drums", 0.5, false][i]); });
say("/stem/drums/gain", 0.75); say("/stem/drums/mute", 0);
out.push(take());
observers.volume3(0.7937005); out.push(take());
say("/stem/drums/gain", 0.375); say("/stem/drums/gain", 0.75); out.push(take());
say("/stem/drums/gain", 0.375); say("/stem/drums/mute", 1); out.push(take());
say("/telemetry/hops", 9); say("/telemetry/hops", 1); say("/stem/drums/gain", 0.75); out.push(take());
console.log(JSON.stringify(out));
"""


def test_bitwig_sends_what_a_track_does_and_follows_the_host_without_an_echo():
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    code = _BITWIG + files_for(FOUR)["LaSAFT-Live.control.js"] + _BITWIG_PLAY
    ran = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    subscribed, at_first, moved, echo, followed, anew = json.loads(ran.stdout)
    assert subscribed
    # The song's fader, at half its way, is 2 / 8 of full gain.
    assert at_first == [["/stem/drums/gain", pytest.approx(0.75 * 0.5)]]
    assert moved == [["/stem/drums/gain", pytest.approx(0.75, abs=1e-6)]]
    assert not echo
    assert followed == [["volume", 3, pytest.approx(0.5, abs=1e-6)], ["mute", 3, True]]
    assert anew == [["/stem/drums/gain", pytest.approx(0.375, abs=1e-6)]]
