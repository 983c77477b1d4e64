"""The deck's background pass: stems that are ready take the network's place on the sample, and nothing else changes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import MODES, STEMS, Graph, metadata
from hearing import brightness
from playing import delayed, noise, open_stream, play, residual_db
from test_deck import obeyed, wait_for
from test_lookahead import write_smear

from realtime.deck import preparation as preparation_module
from realtime.deck.best import best_separator
from realtime.deck.cache import OVERLAP, SEGMENT, Cache, Entry
from realtime.deck.deck import Deck
from realtime.deck.orders import NO_DECK, Order, Setup
from realtime.deck.preparation import PLACES, Changed, Job, Preparation, Progress
from realtime.deck.preparer import HighQuality, Preparer
from realtime.deck.shelf import Shelf
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.host import Host, OscAddress
from realtime.mix import Mix
from realtime.offline import separate_array
from realtime.outputs import routes_for
from realtime.plan import Plan
from realtime.separator import Separator
from realtime.stemring import MARK, StemRing

RATE = 44100
SHARES = np.array([0.4, 0.3, 0.2, 0.1], np.float32)
SEGMENTS = 3
LENGTH = 2 * SEGMENT + 20000


def write_shares(path, quality=9.0, stems=STEMS):
    """Every stem is a fixed share of the mixture."""
    graph = Graph()
    share = graph.op("MatMul", "condition", graph.weight(SHARES[: len(stems), None]))
    graph.op("Mul", "mixture", graph.op("Unsqueeze", share, graph.weight(np.array([2, 3]))), output="estimate")
    scores = {"safe": dict.fromkeys(stems, quality)} if quality else {}
    return graph.write(path, replace(metadata(path.stem, stems), quality=scores), {})


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    return write_shares(tmp_path_factory.mktemp("best") / "best.onnx")


@pytest.fixture(scope="module")
def song():
    return noise(LENGTH)


@pytest.fixture
def path(song, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, song, RATE, subtype="FLOAT")
    return path


def job_of(path, rate=RATE, stems=STEMS):
    return Job(str(path), rate, 2, stems)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 1 << 30)


@pytest.fixture
def prepared(path, cache, best):
    """The song with all its stems in the cache."""
    found = Preparation(job_of(path), Separator.load(best), "safe", cache)
    found.run()
    return found


def no_work(*arguments):
    raise AssertionError("the network was asked again")


# In the engine.


def beside(audio, shares=SHARES, unready=()):
    """Return `audio` with the stems that `shares` of it are, none in the stretches `unready`."""
    stems = np.concatenate([share * audio for share in shares], axis=1)
    mark = np.zeros((len(audio), 1), np.float32)
    for first, last in unready:
        stems[first:last], mark[first:last] = 0, MARK
    return np.concatenate([audio, stems, mark], axis=1)


def heard_from(engine, rows):
    """Return what `engine` gives for whole steps of `rows`, from sample 0 on."""
    first, parts = engine.start + engine.step, []
    for at in range(0, len(rows) - engine.step + 1, engine.step):
        assert engine.process(rows[at : at + engine.step])
        parts.append(engine.master.copy())
    return np.concatenate(parts)[-first:]


@pytest.mark.parametrize("mode", ["safe", "low", "extreme"])
@pytest.mark.parametrize("run", ["stems", "single"])
def test_what_is_prepared_is_heard_on_the_sample_and_the_network_where_it_is_not(four_stems, run, mode):
    separator, audio = Separator.load(four_stems), noise(30000)
    gains = (1.0, 0.0, 0.5, 0.0)
    first, last = 10000, 20000
    engines = [Engine(separator, MODES[mode], 2, run, Mix(gains), prepared=kind) for kind in (True, False)]
    heard = heard_from(engines[0], beside(audio, unready=[(first, last)]))
    network = heard_from(engines[1], audio)
    expected = float(SHARES @ gains) * audio
    count = min(len(heard), 29000)
    before, after = slice(0, first - 441), slice(last + 883, count)
    for ready in (before, after):
        assert residual_db(heard[ready], expected[ready]) < -120
    # Until the first sample without stems, and from the last one on, all is the network's, whose state is as if nothing had been.
    assert np.array_equal(heard[first:last], network[first:last])


def test_a_live_separator_that_looks_ahead_gives_way_to_prepared_stems_on_the_sample_too(tmp_path):
    separator, audio = Separator.load(write_smear(tmp_path / "ahead.onnx", 4, 9)), noise(60000)
    mode = separator.metadata.modes["low"]
    engine = Engine(separator, mode, 2, "stems", Mix((1.0, 0.5)), prepared=True)
    assert engine.lookahead == 9 * mode.hop and engine.step == 4 * mode.hop
    heard = heard_from(engine, beside(audio, SHARES[:2], unready=[(30000, 60000)]))
    assert residual_db(heard[:29500], (SHARES[0] + 0.5 * SHARES[1]) * audio[:29500]) < -120
    network = Engine(separator, mode, 2, "stems", Mix((1.0, 0.5)))
    assert np.array_equal(heard[30000:], heard_from(network, audio)[30000:])


def test_it_goes_over_and_back_without_a_click(four_stems):
    separator = Separator.load(four_stems)
    rows = np.arange(80000)[:, None] / RATE
    tones = np.concatenate([np.sin(2 * np.pi * f * rows) for f in (220.0, 331.0)], axis=1).astype(np.float32)
    for mode in ("safe", "low"):
        engine, plain = (Engine(separator, MODES[mode], 2, "stems", Mix((1.0,) * 4), prepared=kind) for kind in (True, False))
        heard = heard_from(engine, beside(tones, unready=[(30000, 50000)]))
        network = heard_from(plain, tones)
        constant = tones[: len(network)]
        for begun, glide in ((30000 - 441, 441), (50000, 882)):
            assert brightness(heard, begun, glide, network, constant) < 3


def test_gains_remainder_and_solo_mean_the_same_for_prepared_stems(four_stems):
    audio = noise(40000)
    engine = Engine(Separator.load(four_stems), MODES["low"], 2, "stems", Mix((1.5, 0.0, 0.0, 1.0), remainder=1.0), prepared=True)
    shares = np.array([0.3, 0.2, 0.1, 0.1], np.float32)
    heard = heard_from(engine, beside(audio, shares))[:39000]
    assert residual_db(heard, (1.5 * 0.3 + 0.1 + 0.3) * audio[:39000]) < -120


def test_in_single_the_condition_moves_the_blend_without_steps(four_stems):
    tone = np.sin(2 * np.pi * 220 * np.arange(60000)[:, None] / RATE).astype(np.float32) * np.ones((1, 2), np.float32)
    engine = Engine(Separator.load(four_stems), MODES["low"], 2, "single", Mix((1.0, 0.0, 0.0, 0.0)), prepared=True)
    engine.schedule.submit(Mix((0.0, 0.0, 0.0, 1.0), glide=0.05), 30000)
    heard = heard_from(engine, beside(tone))[:58000]
    assert residual_db(heard[:29000], 0.4 * tone[:29000]) < -120
    assert residual_db(heard[36000:], 0.1 * tone[36000:58000]) < -120
    assert np.abs(np.diff(heard, axis=0)).max() < 1.05 * np.abs(np.diff(0.4 * tone, axis=0)).max()


def test_in_the_stream_at_another_rate_they_stay_aligned(four_stems):
    rows = np.arange(2 * 48000)[:, None]
    for rate in (44100, 48000):
        audio = 0.1 * sum(np.sin(2 * np.pi * f / rate * rows + [0, 1]) for f in (313.0, 1111.0, 7321.0)).astype(np.float32)
        stream = open_stream(Separator.load(four_stems), MODES["low"], Mix((1.0, 1.0, 0.0, 0.0)), block=256, reserve=256, rate=rate, prepared=True)
        block, at, heard = beside(audio), 0, []
        while at < len(audio):
            stream.stems.write(block[at : at + 256, 2:])
            heard.append(play(stream, block[at : at + 256, :2], 256))
            at += 256
        heard, late = np.concatenate(heard), stream.latency.inside
        expected = 0.7 * delayed(audio, late)
        assert not stream.misses and residual_db(heard[late + 5000 :], expected[late + 5000 :]) < (-120 if rate == 44100 else -70)


def test_a_ring_gives_what_it_holds_and_marks_what_it_does_not():
    ring, rows = StemRing(100, 2, 2), np.arange(150 * 5, dtype=np.float32).reshape(150, 5)
    for at in range(0, 150, 30):
        ring.write(rows[at : at + 30])
    out = np.zeros((40, 5), np.float32)
    ring.read(60, out)
    assert np.array_equal(out, rows[60:100])
    for start in (-10, 20, 120):
        ring.read(start, out)
        assert not out[:, :-1].any() and (out[:, -1] == np.float32(MARK)).all()
    wide = StemRing(10, 2, 3)
    wide.write(np.array([[1, 2, 3, 4, 0]], np.float32))
    out = np.zeros((1, 7), np.float32)
    wide.read(0, out)
    assert out.tolist() == [[1, 2, 1, 3, 4, 3, 0]]


# The pass.


def test_the_pass_reaches_the_end_and_gives_what_offline_separation_gives(path, song, cache, four_stems):
    separator = Separator.load(four_stems)
    told = []
    found = Preparation(job_of(path), separator, "low", cache, tell=told.append)
    found.run()
    assert found.ready == 1 and found.entry.segments() == set(range(SEGMENTS))
    assert [each.ready for each in told] == sorted(each.ready for each in told)
    assert told[-1].ready == 1 and told[-1].state == "four low: ready" and told[-2].speed > 0
    whole = separate_array(separator, MODES["low"], song).transpose(1, 0, 2).reshape(LENGTH, 8)
    for index in range(SEGMENTS):
        expected = whole[index * SEGMENT : (index + 1) * SEGMENT + OVERLAP]
        # FLAC of 24 bits, 12 dB of room.
        assert np.abs(found.entry.read(index) - expected).max() < 2.0**-21
    activity = np.frombuffer(told[-1].activity, np.uint8).reshape(PLACES, 4)
    power = np.sqrt(2 * np.square(whole.reshape(LENGTH, 4, 2)).mean(axis=(0, 2)))
    assert np.abs(activity.mean(axis=0) - 255 * power).max() < 2


def test_stems_at_another_rate_than_the_separators_stand_where_the_mixture_does(tmp_path, cache, best):
    for index, (source, rate) in enumerate(((44100, 48000), (48000, 44100), (48000, 48000))):
        path = tmp_path / f"{index}.wav"
        tone = np.sin(2 * np.pi * 440 * np.arange(5 * source) / source)[:, None] * [0.5, 0.3]
        soundfile.write(path, tone, source, subtype="FLOAT")
        found = Preparation(job_of(path, rate), Separator.load(best), "safe", cache)
        found.move(3 * SEGMENT, False, False)
        found.run()
        assert found.ready == 1
        shelf, rows = Shelf(found.entry, 8), np.zeros((found.frames, 9), np.float32)
        shelf.take(range(found.total))
        while shelf.take(range(found.total)):
            pass
        shelf.rows(0, rows, found.frames)
        expected = 0.4 * np.sin(2 * np.pi * 440 * np.arange(found.frames) / rate) * 0.5
        assert not rows[:, -1].any() and np.abs(rows[2000:-2000, 0] - expected[2000:-2000]).max() < 1e-4


def test_it_works_from_the_play_head_on_then_what_is_before_it(path, cache, best):
    order = []
    found = Preparation(job_of(path), Separator.load(best), "safe", cache)
    keep = found._keep
    found._keep = lambda index, rows: (order.append(index), keep(index, rows))
    found.move(SEGMENT + 10, True, True)
    found.run()
    assert order == [1, 2, 0]


def test_a_seek_moves_where_it_works(path, cache, best):
    order, steps = [], 0

    def poll():
        nonlocal steps
        steps += 1
        if steps == 40:
            found.move(2 * SEGMENT + 5, True, True)

    found = Preparation(job_of(path), Separator.load(best), "safe", cache, poll)
    keep = found._keep
    found._keep = lambda index, rows: (order.append(index), keep(index, rows))
    found.run()
    assert order == [2, 0, 1] and found.ready == 1


def test_the_second_time_nothing_is_left_to_do(path, cache, best, prepared, monkeypatch):
    monkeypatch.setattr(preparation_module, "stems_of", no_work)
    again = Preparation(job_of(path), Separator.load(best), "safe", cache)
    again.run()
    assert again.ready == 1 and again.activity() == prepared.activity()
    # The same song by another name is the same song.
    other = path.with_name("copy.wav")
    other.write_bytes(path.read_bytes())
    assert Preparation(job_of(other), Separator.load(best), "safe", cache).ready == 1
    assert Preparation(job_of(other), Separator.load(best), "low", cache).ready == 0


def test_a_damaged_entry_is_named_dropped_and_made_anew(path, cache, best, prepared):
    entry, said = prepared.entry, []
    whole = entry.path(1).read_bytes()
    entry.path(1).write_bytes(whole[:500] + b"?" + whole[501:])
    entry.path(2).write_bytes(b"")
    again = Preparation(job_of(path), Separator.load(best), "safe", cache, say=said.append)
    assert len(said) == 2 and all("is damaged; it is dropped and made anew" in text for text in said)
    assert str(entry.path(1)) in said[0] and again.entry.segments() == {0}
    again.run()
    assert again.ready == 1 and entry.path(1).read_bytes() == whole


def test_a_write_that_is_cut_off_leaves_nothing_that_is_taken_for_stems(path, cache, best, monkeypatch):
    def cut(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", cut)
    # The description of the entry as well.
    with pytest.raises(HostError, match="cannot be kept"):
        Preparation(job_of(path), Separator.load(best), "safe", cache)
    monkeypatch.undo()
    found = Preparation(job_of(path), Separator.load(best), "safe", cache)
    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(HostError, match="No space left"):
        found.run()
    assert [each.name for each in found.entry.folder.iterdir()] == ["about.json"]


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = Cache(tmp_path, 1000)
    entries = [cache.entry(name, "s", "safe", RATE, 2, STEMS, {}) for name in "abc"]
    for age, entry in zip((300, 100, 200), entries, strict=True):
        (entry.folder / "000000.stems").write_bytes(bytes(600))
        os.utime(entry.folder / "about.json", (time.time() - age,) * 2)
    assert cache.trim(entries[2]) < 1000
    assert [entry.folder.exists() for entry in entries] == [False, False, True]
    # What plays is kept, though it alone be too much.
    cache.limit = 100
    assert cache.trim(entries[2]) > 100 and entries[2].folder.exists()


def test_a_file_that_changes_meanwhile_is_not_mistaken_for_what_it_was(path, cache, best, song):
    steps = 0

    def poll():
        nonlocal steps
        steps += 1
        if steps == 60:
            soundfile.write(path, -song, RATE, subtype="FLOAT")
            os.utime(path, ns=(1, 1))

    found = Preparation(job_of(path), Separator.load(best), "safe", cache, poll)
    with pytest.raises(Changed):
        found.run()
    again = Preparation(job_of(path), Separator.load(best), "safe", cache)
    assert again.entry.folder != found.entry.folder and again.contents != found.contents and again.ready == 0


# Which separator.


def test_the_best_measured_separator_of_the_same_stems_prepares(tmp_path, best, four_stems, identity):
    worse = write_shares(tmp_path / "worse.onnx", 3.0)
    other = write_shares(tmp_path / "other.onnx", 99.0, ("vocals", "drums"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    for at_hand in ([worse, best, other, broken, identity], [best, worse]):
        separator, mode = best_separator(four_stems, STEMS, at_hand)
        assert (separator.path, mode) == (best, "safe")
    assert best_separator(four_stems, STEMS, [other])[0].path == four_stems
    assert best_separator(four_stems, STEMS, [best], worse)[0].path == worse
    with pytest.raises(HostError, match="other has the stems vocals, drums, and this run"):
        best_separator(four_stems, STEMS, [], other)


# On the deck.


def played(deck, stream, count):
    """Play `count` samples of the deck; hops are computed after each block."""
    heard = []
    for _ in range(count // 256):
        block = deck.read_surely(256)
        heard.append(play(stream, block, 256))
    return np.concatenate(heard)


@pytest.fixture
def on_deck(path, four_stems, request):
    decks = []

    def make(mode="low", separator=four_stems, stems=4, gains=(1.0, 1.0, 0.0, 0.0), at=path, prepared=True):
        deck = Deck(RATE, 2, Setup(str(at), fade=5.0), stems if prepared else 0)
        decks.append(deck)
        loaded = Separator.load(separator)
        stream = open_stream(loaded, loaded.metadata.modes[mode], Mix(gains), block=256, reserve=256, prepared=prepared)
        deck.ring = stream.stems
        return deck, stream

    yield make
    for deck in decks:
        deck.close()


def give(deck, entry, *segments):
    """Let the deck have its stems, and wait for those of `segments`."""
    deck.order(Order("/deck/hq/stems", (deck.news().contents, str(entry.folder))))
    wait_for(lambda: deck.head.material.stems is not None)
    wait_for(lambda: all(segment in deck.head.material.stems._held for segment in segments))


def test_the_deck_goes_over_to_what_is_ready_on_the_sample(on_deck, prepared, song):
    (deck, stream), (plain_deck, plain) = on_deck(), on_deck(prepared=False)
    network = played(plain_deck, plain, 100 * 256)
    before = played(deck, stream, 40 * 256)
    assert np.array_equal(before, network[: len(before)])
    give(deck, prepared.entry, 0)
    after = played(deck, stream, 60 * 256)
    late = stream.latency.inside
    assert late == plain.latency.inside
    heard = np.concatenate([before, after])
    expected = 0.7 * delayed(song, late)[: len(heard)]
    gone = 40 * 256 + late + 882
    assert residual_db(heard[gone:], expected[gone:]) < -110
    assert brightness(heard, 40 * 256 + late, 882, network, expected) < 3


def test_a_seek_to_what_is_not_ready_goes_back_to_the_network(on_deck, prepared, song):
    prepared.entry.drop(2)
    (deck, stream), (plain_deck, plain) = on_deck(), on_deck(prepared=False)
    give(deck, prepared.entry, 0)
    for each in (deck, plain_deck):
        each.wait_for(SEGMENT)
    heard, network = played(deck, stream, 40 * 256), played(plain_deck, plain, 40 * 256)
    assert residual_db(heard[2000:], 0.7 * delayed(song, stream.latency.inside)[2000 : len(heard)]) < -110
    for each in (deck, plain_deck):
        obeyed_with_fade(each, ("/deck/seek/samples", (2 * SEGMENT + 3000,)))
    after, after_network = played(deck, stream, 40 * 256), played(plain_deck, plain, 40 * 256)
    late = stream.latency.inside
    assert np.array_equal(after[late:], after_network[late:])
    whole, whole_network = np.concatenate([heard, after]), np.concatenate([network, after_network])
    assert brightness(whole, len(heard) + late - 441, 661, whole_network, 0.7 * song[: len(whole)]) < 3
    # Once it is made, it is used.
    again = Preparation(prepared.job, prepared._separator, "safe", prepared._cache)
    again.run()
    give(deck, again.entry, 2)
    place = deck.head.position
    heard = played(deck, stream, 20 * 256)
    assert residual_db(heard[late + 882 :], 0.7 * song[place + 882 :][: len(heard) - late - 882]) < -110


def obeyed_with_fade(deck, order):
    deck.order(Order(*order))
    wait_for(lambda: deck._orders.empty() and deck.head.moves)
    wait_for(lambda: all(deck.head.material.holds(move.to - 300, 5000) for move in deck.head.moves.copy()))


def test_segments_made_at_different_times_are_joined_without_a_step(tmp_path):
    entry = Entry(tmp_path)
    for index, level in ((0, 0.5), (1, 0.4)):
        entry.write(index, np.full((SEGMENT + OVERLAP, 2), level, np.float32), np.zeros((1, 1), np.uint8), RATE)
    shelf, out = Shelf(entry, 2), np.zeros((3000, 3), np.float32)
    while shelf.take([0, 1]):
        pass
    shelf.rows(SEGMENT - 1000, out, 2 * SEGMENT)
    assert np.abs(np.diff(out[:, 0])).max() < 3e-4 and out[0, 0] == 0.5 and out[-1, 0] == pytest.approx(0.4)
    assert shelf.take([0]) is False and list(shelf._held) == [0]


def test_stems_that_are_damaged_on_the_disk_are_said_and_the_network_plays(on_deck, prepared):
    deck, stream = on_deck()
    entry = prepared.entry
    entry.path(0).write_bytes(entry.path(0).read_bytes()[:-1] + b"?")
    give(deck, entry)
    assert "000000.stems, stems of the deck, is damaged" in deck.said.get(timeout=10)
    assert not entry.path(0).exists()
    assert played(deck, stream, 20 * 256).any()


def test_stems_of_a_file_that_has_changed_are_not_used_any_more(on_deck, prepared, path, song):
    deck, _ = on_deck()
    contents = deck.news().contents
    give(deck, prepared.entry, 0)
    soundfile.write(path, -song, RATE, subtype="FLOAT")
    os.utime(path, ns=(1, 1))
    obeyed(deck, "/deck/seek/samples", (SEGMENT + 5000,))
    deck._material.forget(set())
    wait_for(lambda: not deck.news().stems and deck.news().contents != contents)
    deck.order(Order("/deck/hq/stems", (contents, str(prepared.entry.folder))))
    obeyed(deck, "/deck/seek/samples", (0,))
    assert not deck.news().stems


def test_a_separator_that_looks_ahead_is_not_late_by_way_of_the_deck(tmp_path, on_deck, cache, song, path):
    live = write_smear(tmp_path / "live.onnx", 1, 0)
    ahead = Separator.load(write_smear(tmp_path / "ahead.onnx", 16, 37))
    found = Preparation(job_of(path, stems=("now", "then")), ahead, "low", cache)
    found.run()
    deck, stream = on_deck("low", live, 2, (1.0, 0.0))
    give(deck, found.entry, 0)
    heard = played(deck, stream, 60 * 256)
    late = stream.latency.inside
    assert late < 1024 and stream.latency.lookahead == 0
    # "now" is the mixture itself.
    assert residual_db(heard[late:], song[: len(heard) - late]) < -100


def test_at_tempo_0_8_prepared_stems_stay_in_phase_with_the_mixture_on_the_deck(on_deck, tmp_path, cache, path, four_stems):
    pytest.importorskip("bungee_python", reason="the deck's tempo needs the extra `tempo`")
    # Stems that have nothing in common but that they add up to the song.
    parts = [noise(LENGTH, seed=seed) * (seed + 1) / 4 for seed in range(4)]
    soundfile.write(path, sum(parts), RATE, subtype="FLOAT")
    entry = cache.entry("song", "by hand", "safe", RATE, 2, STEMS, {})
    sound = np.concatenate(parts, axis=1)
    for index in range(2):
        rows = sound[index * SEGMENT :][: SEGMENT + OVERLAP]
        entry.write(index, rows, np.zeros((1, 4), np.uint8), RATE)
    deck, _ = on_deck()
    outs = (*STEMS, "remainder", "dry")
    mix = Mix((1.0,) * 4, remainder=1.0, routes=routes_for(STEMS, outs))
    loaded = Separator.load(four_stems)
    stream = open_stream(loaded, MODES["low"], mix, block=256, reserve=256, prepared=True, pairs=len(outs))
    deck.ring = stream.stems
    give(deck, entry, 0, 1)
    deck.order(Order("/deck/tempo", (0.8,)))
    wait_for(lambda: deck.news().tempo == 0.8)
    played(deck, stream, 60 * 256)
    assert deck.head.voice is not None and deck.head.voice.speed == pytest.approx(0.8, abs=0.01)
    pairs = played(deck, stream, 200 * 256).reshape(-1, len(outs), 2)
    stems, remainder, dry = pairs[:, :4], pairs[:, 4], pairs[:, 5]
    assert deck.head.starved == 0
    # Whatever was separated, that holds; that nothing remains holds only where stems and mixture are in phase.
    assert np.abs(stems.sum(1) + remainder - dry).max() < 1e-5
    assert residual_db(stems.sum(1), dry) < -80
    # And each is itself: unlike the others, at its own level.
    powers = np.square(stems, dtype=np.float64).mean((0, 2))
    assert np.sqrt(powers / powers[0]) == pytest.approx([1, 2, 3, 4], rel=0.05)
    flat = stems.transpose(1, 0, 2).reshape(4, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(4)).max() < 0.05


# What follows the deck.


class Told:
    """A preparer without a process: what it sends there, what it orders of the deck, and what it is told."""

    def __init__(self, monkeypatch) -> None:
        self.sent, self.orders = [], []
        monkeypatch.setattr(Preparer, "_start", lambda preparer: None)
        monkeypatch.setattr(Preparer, "_send", lambda preparer, message: self.sent.append(message))
        self.preparer = Preparer(HighQuality(), Path("own.onnx"), STEMS, 2, self.orders.append, lambda *told: None, print)
        self.news = replace(NO_DECK, path="song.wav", contents="1:2:3:4", rate=RATE)

    def hear(self, event) -> None:
        self.preparer._events.put(event)
        wait_for(self.preparer._events.empty)

    def jobs(self) -> list[Job | None]:
        """Return what was asked for, once the preparer has ended."""
        self.preparer.close()
        return [each for each in self.sent if each is None or isinstance(each, Job)]


def test_a_deck_that_goes_on_at_another_rate_has_its_file_prepared_anew(monkeypatch):
    told = Told(monkeypatch)
    done = Progress("ready", 1.0, 0.0, told.news.contents, "/at-44100", b"", RATE)
    for event in (told.news, (None, done), replace(told.news, rate=48000), (None, done)):
        told.hear(event)
    told.hear((None, replace(done, folder="/at-48000", rate=48000)))
    assert [job.rate for job in told.jobs()] == [RATE, 48000]
    # What comes late of the other is not for this one.
    assert [order.values[1] for order in told.orders] == ["/at-44100", "/at-48000"]


def test_where_the_run_has_no_deck_any_more_nothing_is_prepared(monkeypatch):
    told = Told(monkeypatch)
    for event in (told.news, NO_DECK):
        told.preparer.hear(event)
    assert told.jobs()[1:] == [None] and told.jobs()[0].path == "song.wav"


# The process.


def test_a_host_plays_from_the_pass_and_plays_on_when_it_is_killed(path, tmp_path, best, four_stems):
    plan = Plan(four_stems, Mix(()), device="null", deck=Setup(str(path), loop=(0.0, 1.0), looping=True), realtime=False)
    host = Host(plan, OscAddress(port=0), hq=HighQuality(separator=best, folder=tmp_path / "cache"))
    try:
        read = host.state.value
        # On a busy machine the lowest priority may wait for long.
        wait_for(lambda: read("/deck/hq/ready") == (1.0,), 120)
        wait_for(lambda: host.preparer._news.stems)
        assert read("/deck/hq") == (1,) and read("/deck/hq/state") == ("best safe: ready",)
        assert len(read("/deck/activity")[0]) == 4 * PLACES and host.engine.pid != host.preparer.pid
        if hasattr(os, "getpriority"):
            assert os.getpriority(os.PRIO_PROCESS, host.preparer.pid) == 19
        if hasattr(signal, "SIGKILL"):
            # What ends the whole group leaves its end to the host; only the other ends it.
            os.kill(host.preparer.pid, signal.SIGTERM)
            time.sleep(0.3)
            os.kill(host.preparer.pid, signal.SIGKILL)
        else:
            os.kill(host.preparer.pid, signal.SIGTERM)
        wait_for(lambda: "ended unexpectedly" in read("/notice")[0])
        assert not hasattr(signal, "SIGKILL") or "exit code -9" in read("/notice")[0]
        at = host.engine.telemetry().position
        wait_for(lambda: host.engine.telemetry().position > at + RATE // 4)
        assert host.preparer._news.stems and read("/deck/hq/state")[0].startswith("stopped: ") and read("/deck/hq/ready") == (1.0,)
        host.state.set("/deck/hq", 0)
        wait_for(lambda: not host.preparer._news.stems)
        assert read("/deck/hq/state") == ("off",) and read("/deck/hq") == (0,)
    finally:
        host.stop()
