"""The deck: jumps and loops that land on the sample, bounded memory, and files that fail in a sentence."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time

import numpy as np
import pytest
import soundfile
from playing import noise, open_stream, play, residual_db
from test_lookahead import write_smear

from realtime.deck.deck import AHEAD, BEHIND, KEPT, Deck
from realtime.deck.material import CHUNK, Material
from realtime.deck.orders import CUES, Order, Setup
from realtime.deck.playhead import Jump, Loop, Play, PlayHead, Put, Wrap
from realtime.devices.file import FileSource
from realtime.errors import HostError
from realtime.host import Host, OscAddress, _LateLink
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.separator import Separator
from realtime.session import Session
from realtime.state import ControlState
from realtime.tape import Tape

RATE = 44100
FADE = 220


def written(path, audio, rate=RATE, **options):
    soundfile.write(path, audio, rate, **options)
    return path


@pytest.fixture(scope="module")
def song():
    return noise(3 * RATE + 17)


@pytest.fixture(scope="module")
def path(song, tmp_path_factory):
    return written(tmp_path_factory.mktemp("deck") / "song.wav", song, subtype="FLOAT")


def decoded(path, rate=RATE, channels=2):
    material = Material(path, rate, channels)
    for index in range(-(-material.frames // CHUNK)):
        material.decode(index)
    return material


@pytest.fixture(params=[0, FADE], ids=["cut", "fade"])
def head(request, path):
    head = PlayHead(2)
    head.fade = request.param
    head.moves.extend([Put(decoded(path)), Play(True)])
    return head


def rms(sound):
    return np.sqrt(np.mean(np.square(sound)))


# The play head.


def test_orders_that_come_while_one_is_obeyed_do_not_end_the_sound(head):
    before, stop = sys.getswitchinterval(), threading.Event()

    def flood():
        while not stop.is_set():
            if len(head.moves) < 64:
                head.moves.append(Jump(1000))

    thread = threading.Thread(target=flood)
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(3000):
            head.read(64)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)


@pytest.mark.parametrize("block", [64, 500, 4096])
def test_what_follows_a_seek_is_the_file_from_exactly_that_sample(head, song, block):
    before = [head.read(block) for _ in range(4)]
    assert np.array_equal(np.concatenate(before), song[: 4 * block])
    head.moves.append(Jump(54321))
    after = np.concatenate([head.read(block) for _ in range(12)])[head.fade :]
    assert np.array_equal(after, song[54321 :][: len(after)])


def test_the_fade_before_a_seek_has_equal_power_and_ends_at_the_target(path, song):
    head = PlayHead(2)
    head.fade = 2000
    head.moves.extend([Put(decoded(path), 10000), Play(True)])
    head.read(4000)
    head.moves.append(Jump(60000))
    faded = head.read(2000)
    angle = np.arange(1, 2001)[:, None] * np.pi / 2 / 2001
    expected = np.cos(angle) * song[12000:14000] + np.sin(angle) * song[58000:60000]
    assert residual_db(faded, expected) < -100
    assert rms(faded) == pytest.approx(rms(song), rel=0.05)


@pytest.mark.parametrize("length", [100, 1234, 30000])
def test_a_loop_repeats_exactly_its_length(head, song, length):
    start = 7000
    head.loop = Loop(start, start + length, True)
    heard = np.concatenate([head.read(333) for _ in range((start + 5 * length) // 333 + 2)])
    rounds = [heard[start + turn * length :][:length] for turn in range(5)]
    whole = max(0, length - head.fade)
    for each in rounds:
        assert np.array_equal(each[:whole], song[start : start + whole])
    # The fades, too, are the same each time.
    assert all(np.array_equal(each, rounds[1]) for each in rounds[2:4])
    if not head.fade:
        assert np.array_equal(rounds[1], song[start : start + length])


def test_a_loop_that_fits_the_material_has_no_click(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 441 / RATE * np.arange(RATE))
    # 37 periods and a quarter: cut, it would step.
    loop = Loop(5000, 5000 + 3725, True)
    heard = {}
    for fade in (0, FADE):
        head = PlayHead(1)
        head.fade = fade
        head.moves.extend([Put(decoded(written(tmp_path / "tone.wav", tone, subtype="FLOAT"), channels=1)), Play(True)])
        head.loop = loop
        heard[fade] = head.read(30000)[:, 0]
    steps = {fade: np.abs(np.diff(sound)).max() for fade, sound in heard.items()}
    assert steps[0] > 0.3
    assert steps[FADE] < 1.5 * np.abs(np.diff(tone)).max()


def test_beyond_its_end_a_loop_does_not_hold_and_leaving_it_plays_on(head, song):
    head.loop = Loop(1000, 2000, True)
    head.moves.append(Jump(2000))
    head.read(head.fade)
    assert np.array_equal(head.read(5000), song[2000:7000])
    head.moves.append(Jump(1500))
    head.read(700)
    head.loop = Loop(1000, 2000, False)
    head.read(3 * head.fade)
    place = head.position
    assert np.array_equal(head.read(5000), song[place : place + 5000])


def test_closing_a_loop_late_keeps_its_time(head):
    head.read(10700)
    head.loop = Loop(4000, 10000, True)
    head.moves.append(Wrap())
    head.read(1000)
    # 11700 samples have gone by; of the loop's second turn 1700.
    assert head.position == 4000 + 1700


def test_a_pause_fades_and_nothing_of_the_file_is_lost(head, song):
    head.read(3000)
    head.moves.append(Play(False))
    heard = head.read(1000)
    assert not heard[head.fade :].any() and not head.playing
    assert head.position == 3000
    head.moves.append(Play(True))
    assert np.array_equal(head.read(head.fade + 2000)[head.fade :], song[3000:5000])


def test_at_the_end_it_stops_and_begins_again(head, song):
    head.moves.append(Jump(len(song) - 100))
    heard = head.read(head.fade + 300)[head.fade :]
    assert np.array_equal(heard[:100], song[-100:]) and not heard[100:].any()
    assert head.ended and not head.playing
    head.moves.append(Play(True))
    assert np.array_equal(head.read(500), song[:500])


def test_it_knows_what_was_heard_when(head):
    head.read(1000)
    head.moves.append(Jump(50000))
    head.read(1000)
    head.moves.append(Play(False))
    head.read(1000)
    assert [head.place(at) for at in (-5, 0, 999)] == [0, 0, 999]
    assert head.place(1000 + head.fade) == 50000 and head.place(1999) == 50999 - head.fade
    assert head.place(2500) == head.place(2999) == 51000 - head.fade


def test_of_jumps_that_come_at_once_the_last_is_heard(head, song):
    head.read(100)
    head.moves.extend(move for to in range(10000, 90000, 1000) for move in (Jump(to), Play(True)))
    assert np.array_equal(head.read(head.fade + 1000)[head.fade :], song[89000:90000])
    assert not head.moves or head.fade


def test_what_is_not_decoded_is_waited_for_and_a_jump_there_plays_on_meanwhile(path, song):
    head, material = PlayHead(2), Material(path, RATE, 2)
    material.decode(0)
    head.moves.extend([Put(material), Play(True), Jump(60000)])
    assert np.array_equal(head.read(CHUNK), song[:CHUNK])
    assert not head.read(300).any() and head.starved
    assert head.position == CHUNK
    material.decode(60000 // CHUNK)
    assert np.array_equal(head.read(300), song[60000:60300])


# The material.


@pytest.mark.parametrize("rates", [(44100, 44100), (48000, 44100), (22050, 48000), (96000, 44100)], ids=str)
def test_chunks_in_any_order_are_what_one_pass_gives(tmp_path, rates):
    source, rate = rates
    path = written(tmp_path / "song.wav", noise(3 * source), source, subtype="FLOAT")
    material = Material(path, rate, 2)
    whole = FileSource(path, rate).read(10 * rate)
    assert material.frames == len(whole)
    order = np.random.default_rng(1).permutation(-(-material.frames // CHUNK))
    for index in order:
        material.decode(int(index))
    out = np.zeros_like(whole)
    assert material.rows(0, out) == len(whole)
    assert np.abs(out - whole).max() < 1e-6


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_compressed_files_are_read_from_within_to_the_sample(tmp_path, kind):
    path = written(tmp_path / f"song.{kind.lower()}", noise(3 * RATE), format=kind)
    whole = decoded(path)
    material = Material(path, RATE, 2)
    for index in (9, 3, 12, 4):
        material.decode(index)
        assert residual_db(material.chunks[index], whole.chunks[index]) < -60


def test_channels_are_repeated_or_left_out(tmp_path):
    mono, four = noise(RATE, 1), noise(RATE, 4)
    for audio, expected in ((mono, mono[:, [0, 0]]), (four, four[:, :2])):
        material = decoded(written(tmp_path / f"{audio.shape[1]}.wav", audio, subtype="FLOAT"))
        out = np.zeros((RATE, 2), np.float32)
        material.rows(0, out)
        assert np.array_equal(out, expected)


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "bought.m4p").write_bytes(b"\0\0\0\x20ftypM4P " + bytes(5000) + b"....drms....")
    for name, reason in (
        ("text.wav", "cannot be read as audio"),
        ("empty.wav", "is empty"),
        ("none.wav", "there is no file"),
        ("bought.m4p", "protected against copying"),
    ):
        with pytest.raises(HostError, match=reason):
            Material(tmp_path / name, RATE, 2)


# The deck with its thread.


def wait_for(condition, seconds=10.0):
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.002)


def go_on(deck, seconds):
    for _ in range(round(10 * seconds)):
        deck.read_surely(RATE // 10)


@pytest.fixture
def open_deck(path):
    decks = []

    def make(rate=RATE, **options):
        decks.append(Deck(rate, 2, Setup(**{"path": str(path), "fade": 0.0} | options)))
        return decks[-1]

    yield make
    for deck in decks:
        deck.close()


def obeyed(deck, *order):
    """Give `order` and have it obeyed, with nothing played meanwhile."""
    deck.order(Order(*order))
    deck.order(Order("/deck/fade", (0.0,)))
    wait_for(lambda: deck._orders.empty() and not deck._loading)
    wait_for(lambda: all(not isinstance(m, Jump) or deck.head.material.holds(m.to, 4096) for m in deck.head.moves.copy()))


def test_orders_reach_the_sound(open_deck, song):
    deck = open_deck()
    assert np.array_equal(deck.read_surely(2000), song[:2000])
    obeyed(deck, "/deck/seek", (1.5,))
    assert np.array_equal(deck.read_surely(2000), song[66150:68150])
    obeyed(deck, "/deck/seek/samples", (12345,))
    assert np.array_equal(deck.read_surely(2000), song[12345:14345])
    obeyed(deck, "/deck/cue/3/set", (None,))
    obeyed(deck, "/deck/loop/samples", (20000, 21000))
    obeyed(deck, "/deck/seek/samples", (20500,))
    heard = deck.read_surely(2500)
    assert np.array_equal(heard, song[[20000 + (500 + at) % 1000 for at in range(2500)]])
    news = deck.news()
    assert news.state == "playing" and news.looping and news.loop == (20000 / RATE, 21000 / RATE)
    assert news.cues[2] == 14345 / RATE and news.duration == len(song) / RATE and news.title == "song"
    obeyed(deck, "/deck/play", (0,))
    assert not deck.read_surely(100).any() and deck.news().state == "paused"
    obeyed(deck, "/deck/cue/3/clear", ())
    assert deck.news().cues[2] is None
    obeyed(deck, "/deck/cue/3/set", (14345 / RATE,))
    obeyed(deck, "/deck/cue/3", ())
    assert np.array_equal(deck.read_surely(2000), song[14345:16345])
    again = deck.setup()
    assert again.cues[2] == 14345 / RATE and again.playing and round(again.at * RATE) == 16345


def test_orders_that_make_no_sense_are_answered_in_a_sentence(open_deck):
    deck, empty = open_deck(), open_deck(path=None)
    for target, order, reason in (
        (empty, Order("/deck/play", (1,)), "the deck is empty"),
        (deck, Order("/deck/seek", (99.0,)), "lasts 3.000 s"),
        (deck, Order("/deck/loop", (2.0, 1.0)), "a loop begins"),
        (deck, Order("/deck/loop/on", (1,)), "a loop begins"),
        (deck, Order("/deck/cue/8"), "hot cue 8 is not set"),
        (deck, Order("/deck/load", ("/no/such/file.wav",)), "there is no file"),
        (deck, Order("/deck/load", ("/" + 300 * "x",)), "is no file that can be opened"),
        (deck, Order("/deck/load", ("a\0b",)), "there is no file"),
        (deck, Order("/deck/load", ("~nobody-of-that-name/song.wav",)), "home"),
        (deck, Order("/deck/load", ()), "takes the path of a file"),
    ):
        target.order(order)
        assert reason in target.said.get(timeout=10)
    assert deck.news().title == "song" and deck.read_surely(100).any()
    assert empty.news().state == "empty" and not empty.read(100).any()


def test_orders_without_end_are_refused_while_the_sound_stands_still(open_deck):
    deck = open_deck()
    for _ in range(200):
        deck.order(Order("/deck/play", (0,)))
    assert "the sound stands still" in deck.said.get(timeout=10)
    wait_for(deck._orders.empty)
    assert len(deck.head.moves) < 100


def test_another_file_is_loaded_while_one_plays(open_deck, tmp_path):
    deck, other = open_deck(), noise(RATE, seed=9)
    deck.read_surely(1000)
    obeyed(deck, "/deck/cue/1/set", (1.0,))
    obeyed(deck, "/deck/load", (str(written(tmp_path / "other.wav", other, subtype="FLOAT")),))
    assert np.array_equal(deck.read_surely(5000), other[:5000])
    assert deck.news().title == "other" and deck.news().cues == (None,) * CUES


def test_the_loop_holds_until_the_next_file_is_on_and_one_of_the_next_waits_for_it(open_deck, tmp_path, song):
    deck = open_deck(loop=(0.5, 1.0), looping=True)
    deck.read(RATE // 4)
    deck.order(Order("/deck/load", (str(written(tmp_path / "next.flac", noise(3 * RATE))),)))
    deck.order(Order("/deck/loop", (0.25, 0.75)))
    wait_for(lambda: (news := deck.news()).title == "next" and news.loop == (0.25, 0.75) and news.looping)
    # The sound has not asked for more: what it plays is the file of before, with its loop.
    assert deck.head.material.title != "next" and deck.head.loop == Loop(RATE // 2, RATE, True)
    deck.read_surely(RATE // 2)
    assert deck.head.material.title == "next" and deck.head.loop == Loop(RATE // 4, 3 * RATE // 4, True)


@pytest.mark.parametrize("where", ["_decode_one", "_load"])
def test_a_fault_that_nobody_foresaw_is_said_and_the_next_file_can_be_loaded(open_deck, path, monkeypatch, where):
    deck = open_deck()

    def fault(*_):
        raise TypeError("not foreseen")

    with monkeypatch.context() as broken:
        broken.setattr(deck, where, fault)
        deck.order(Order("/deck/load", (str(path),)))
        wait_for(lambda: deck.news().state.startswith("failed: the deck has a fault (TypeError('not foreseen')"))
        assert "/deck/load puts a file on it anew" in deck.said.get(timeout=5)
    time.sleep(0.1)
    assert deck.said.empty()
    deck.order(Order("/deck/load", (str(path),)))
    wait_for(lambda: not deck.news().state.startswith(("failed", "loading")))
    assert deck.read_surely(1000).shape == (1000, 2)


def test_three_hours_take_no_more_memory_than_a_minute_and_hot_cues_are_at_hand(tmp_path, open_deck):
    rate, seconds = 8000, 3 * 3600
    size = 2 * rate * seconds
    path = tmp_path / "long.wav"
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16) + b"data" + struct.pack("<I", size)
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    deck = open_deck(rate, path=str(path), cues=tuple(1000.0 * n for n in range(1, CUES + 1)))
    assert deck.news().duration == seconds
    material, most = deck.head.material, 0
    for place in (0, 5000.0, 10799.0, 17.0, 9000.5):
        obeyed(deck, "/deck/seek", (place,))
        for _ in range(50):
            deck.read_surely(rate // 10)
            most = max(most, len(material.chunks))
    wait_for(lambda: all(material.holds(1000 * n * rate, 2 * rate) for n in range(1, CUES + 1)))
    most = max(most, len(material.chunks))
    assert most * CHUNK / rate < AHEAD + BEHIND + (CUES + 4) * (KEPT + 3 * CHUNK / rate)


def test_a_file_that_goes_or_changes_is_said_and_the_rest_goes_on(tmp_path, open_deck, monkeypatch):
    monkeypatch.setattr("realtime.deck.deck.AHEAD", 1.0)
    audio = noise(20 * RATE)
    gone, grown, spoilt = (str(written(tmp_path / f"{n}.wav", audio)) for n in ("gone", "grown", "spoilt"))
    deck = open_deck(path=gone)
    deck.read_surely(RATE)
    os.rename(gone, tmp_path / "elsewhere.wav")
    go_on(deck, 6.0)
    assert "no longer where it was" in deck.said.get(timeout=10) and deck.read_surely(100).any()

    deck = open_deck(path=grown)
    deck.read_surely(RATE)
    soundfile.write(grown, noise(30 * RATE, seed=4), RATE)
    go_on(deck, 6.0)
    assert "has changed" in deck.said.get(timeout=10) and deck.read_surely(100).any()
    assert deck.news().duration == pytest.approx(30)

    deck = open_deck(path=spoilt)
    deck.read_surely(RATE)
    with open(spoilt, "r+b") as file:
        file.write(b"not a sound file any more")
    go_on(deck, 10.0)
    assert "cannot be read as audio" in deck.said.get(timeout=10)
    assert deck.news().state.startswith("failed: ") and not deck.read(100).any()
    obeyed(deck, "/deck/load", (grown,))
    obeyed(deck, "/deck/play", (1,))
    assert deck.read_surely(1000).any() and deck.news().state == "playing"


def test_the_overview_shows_the_peaks_of_the_whole_file(tmp_path, open_deck):
    audio = np.zeros((20 * RATE, 2), np.float32)
    for share, peak in ((0.1, 1.0), (0.5, -0.5), (0.9999, 0.25)):
        audio[round(share * len(audio)), 1] = peak
    deck = open_deck(path=str(written(tmp_path / "marks.wav", audio, subtype="FLOAT")))
    expected = np.zeros(1000, np.uint8)
    expected[[100, 500, 999]] = 255, 128, 64
    wait_for(lambda: np.array_equal(np.frombuffer(deck.overview().columns, np.uint8), expected))
    fine = np.frombuffer(deck.overview().fine, np.uint8)
    assert [(int(at), int(fine[at])) for at in np.flatnonzero(fine)] == [(800, 255), (4000, 128), (7999, 64)]


# In a stream.


def test_after_a_seek_the_output_is_the_file_from_that_sample_delayed_by_the_reported_latency(identity, open_deck, song):
    separator = Separator.load(identity)
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((1.0,)), block=128)
    latency, deck = stream.latency.added, open_deck(fade=5.0)
    deck.heard = stream.bridge.played
    rows = [deck.read_surely(128) for _ in range(40)]
    deck.order(Order("/deck/seek/samples", (77777,)))
    wait_for(lambda: deck.head.moves)
    wait_for(lambda: deck.head.material.holds(77777, 10000))
    taken = len(rows) * 128
    rows += [deck.read_surely(128) for _ in range(40)]
    heard = play(stream, np.concatenate(rows), 128)
    lands = taken + deck.head.fade + latency
    assert residual_db(heard[lands:], song[77777 :][: len(heard) - lands]) < -100
    assert residual_db(heard[latency : taken + latency], song[:taken]) < -100
    # What is heard now is what came in that long ago.
    assert deck.news().position == (77777 + len(rows) * 128 - lands) / RATE


# In a run.


@pytest.fixture
def host(identity, path):
    plan = Plan(identity, Mix((1.0,)), device="null", rate=RATE, block=256, realtime=False, deck=Setup(str(path), 2.5))
    host = Host(plan, OscAddress(port=0))
    yield host
    host.stop()


def test_a_run_with_a_deck_goes_on_beyond_the_end_of_the_file_and_is_played_over_its_controls(host, path, tmp_path):
    def reads(address):
        return host.state.value(address)[0]

    state = host.state
    assert reads("/source") == "deck"
    wait_for(lambda: reads("/deck/state") == "ended", 20)
    assert reads("/deck/duration") == pytest.approx(3 + 17 / RATE) and reads("/deck/title") == "song"
    assert not host.engine.wait(0.3)
    wait_for(lambda: len(reads("/deck/overview")) == 1000 and min(reads("/deck/overview")) > 30)
    state.set("/deck/cue/2/set", 1.25)
    state.set("/deck/loop", 1.0, 1.5)
    wait_for(lambda: reads("/deck/cue/2/at") == 1.25 and reads("/deck/loop/on") == 1)
    state.set("/deck/cue/2")
    wait_for(lambda: reads("/deck/play") == 1 and reads("/deck/position") < 2)
    seen = []
    wait_for(lambda: seen.append(reads("/deck/position")) or len(set(seen)) > 20)
    assert min(seen) > 0.99 and max(seen) <= 1.5
    state.set("/deck/seek", 99.0)
    wait_for(lambda: "lasts 3.000 s" in reads("/notice"))
    state.set("/deck/load", str(written(tmp_path / "next.flac", noise(5 * RATE))))
    wait_for(lambda: reads("/deck/title") == "next")
    state.set("/deck/play", 0)
    wait_for(lambda: reads("/deck/state") == "paused")


def test_a_run_without_a_deck_says_so():
    link = _LateLink(lambda: state)
    state = ControlState(("vocals",), link)
    state.checks |= link.checks()
    with pytest.raises(HostError, match="has no deck: start the host with --deck"):
        state.set("/deck/play", 1)


def test_an_unreadable_file_ends_the_start(identity, tmp_path):
    plan = Plan(identity, Mix((1.0,)), device="null", rate=RATE, deck=Setup(str(tmp_path / "none.wav")))
    with pytest.raises(HostError, match="there is no file"):
        Session(plan)


def test_under_a_separator_that_looks_ahead_the_deck_is_not_late_at_the_start(tmp_path, path, song):
    separator, record = write_smear(tmp_path / "smear.onnx", 4, 40), tmp_path / "heard.wav"
    plan = Plan(separator, Mix((1.0, 0.0), wet=0.0), device="null", rate=RATE, realtime=False, deck=Setup(str(path)), record=record)
    session = Session(plan)
    tape = Tape(session.recording, session.stream.taps)
    session.start()
    wait_for(lambda: session.deck.news().position > 0.5)
    session.stop()
    tape.stop()
    latency = session.started.latency
    assert latency.read_ahead and any("what the deck is told is heard" in notice for notice in session.started.notices)
    if session.stream.misses:
        pytest.skip("this machine missed hops; what fills a gap is not the file to the bit")
    heard = soundfile.read(record, dtype="float32")[0][latency.added :]
    assert len(heard) > RATE // 4 and np.array_equal(heard, song[: len(heard)])


def test_a_run_that_goes_on_after_its_device_was_gone_has_the_same_on_its_deck(identity, path):
    plan = Plan(identity, Mix((1.0,)), device="null", rate=RATE, block=256, realtime=False, deck=Setup(str(path), 1.0))
    session = Session(plan)
    session.start()
    try:
        session.deck.order(Order("/deck/loop", (1.0, 1.5)))
        wait_for(lambda: session.deck.news().looping and session.stream.bridge.played() > 5000)
        session.device.where = None
        kept = session.resumption().deck
    finally:
        session.stop()
    assert kept.path == str(path) and kept.playing and kept.looping and kept.loop == (1.0, 1.5)
    assert 1.0 < kept.at < 1.5
