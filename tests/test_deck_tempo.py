"""The deck's tempo: another speed at the same pitch, on the samples of the file, without click or gap."""

from __future__ import annotations

import time

import numpy as np
import pytest
import soundfile
from playing import noise, residual_db

pytest.importorskip("bungee_python", reason="the deck's tempo needs the extra `tempo`")

from realtime.deck import stretcher
from realtime.deck.deck import Deck
from realtime.deck.material import CHUNK, Material
from realtime.deck.orders import Order, Setup
from realtime.deck.playhead import Jump, Loop, Play, PlayHead, Put, Wrap
from realtime.deck.tempo import Renderer
from realtime.host import Host, OscAddress
from realtime.mix import Mix
from realtime.plan import Plan

RATE, BLOCK, FADE = 44100, 256, 220
# What a change of tempo may take, and what is made up for after that, in samples.
AT_ONCE, MADE_UP = 4410, 13230


class Rig:
    """A play head on `sound` and its renderer, which has rendered all it can between two blocks."""

    def __init__(self, folder, sound, at=0):
        path, channels = folder / "sound.wav", sound.shape[1]
        soundfile.write(path, sound, RATE, subtype="FLOAT")
        material = Material(path, RATE, channels)
        for index in range(-(-material.frames // CHUNK)):
            material.decode(index)
        self.head = PlayHead(channels)
        self.head.fade = FADE
        self.head.moves.extend((Put(material, at), Play(True)))
        self.renderer = Renderer(self.head, RATE)

    def go(self, count):
        blocks = []
        for _ in range(count // BLOCK):
            blocks.append(self.head.read(BLOCK))
            while self.renderer.step():
                pass
        return np.concatenate(blocks)

    def at(self, tempo, count=20480):
        """Return the sound at `tempo`, once it is settled, for `count` samples."""
        self.head.tempo = tempo
        self.go(MADE_UP)
        return self.go(count)

    def places(self, count):
        """Play `count` samples on; return where in the file each was."""
        since = self.head.given
        self.go(count)
        return np.array([self.head.place(at) for at in range(since, self.head.given)])


@pytest.fixture
def rig(tmp_path):
    return lambda sound, at=0: Rig(tmp_path, sound, at)


def tone(seconds, frequency=441.0, channels=2):
    wave = 0.4 * np.sin(2 * np.pi * frequency / RATE * np.arange(round(seconds * RATE)))
    return np.repeat(wave[:, None], channels, 1).astype(np.float32)


def frequency_of(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 20))
    return spectrum.argmax() * RATE / (1 << 20)


def test_at_tempo_1_the_sound_is_the_file_to_the_bit_before_and_after(rig):
    song = noise(6 * RATE)
    rig = rig(song)
    assert np.array_equal(rig.go(10240), song[:10240]) and rig.head.wish is None
    rig.at(0.8)
    assert rig.head.voice is not None
    rig.at(1.0)
    assert rig.head.voice is None
    place = rig.head.position
    assert np.array_equal(rig.go(10240), song[place : place + 10240])
    assert rig.renderer.idle and not rig.head.starved


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
def test_the_pitch_stays(rig, tempo):
    heard = rig(tone(6)).at(tempo, 2 * RATE)[:, 0]
    assert abs(1200 * np.log2(frequency_of(heard) / 441)) < 1


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
def test_the_file_lasts_its_length_divided_by_the_tempo(rig, tempo):
    song = noise(2 * RATE)
    rig = rig(song)
    rig.head.tempo = tempo
    heard = rig.go(round(len(song) / tempo) + 2048)[:, 0]
    assert rig.head.ended and not rig.head.starved
    assert abs(np.flatnonzero(heard)[-1] + 1 - len(song) / tempo) < 8


def test_tempo_changes_without_click_or_gap(rig):
    sound = tone(12)
    rig = rig(sound)
    heard = [rig.go(5120)]
    for tempo in (0.8, 0.82, 1.25, 1.0, 2.0, 0.5, 1.0):
        rig.head.tempo = tempo
        heard.append(rig.go(RATE // 2))
    heard = np.concatenate(heard)[:, 0]
    assert np.abs(np.diff(heard)).max() < 1.1 * np.abs(np.diff(sound[:, 0])).max()
    level = [np.abs(heard[at : at + 200]).max() for at in range(0, len(heard) - 200, 50)]
    assert min(level) > 0.36 and max(level) < 0.44 and not rig.head.starved


def test_a_change_of_tempo_is_heard_within_a_tenth_of_a_second(rig):
    rig = rig(noise(8 * RATE))
    rig.go(2560)
    for tempo in (0.8, 1.25, 0.5, 1.0):
        rig.head.tempo = tempo
        rig.go(AT_ONCE)
        moved = np.diff(rig.places(4 * BLOCK)[[0, -1]])[0] / (4 * BLOCK - 1)
        assert moved == pytest.approx(tempo, abs=0.35 * tempo) and (moved - 1) * (tempo - 1) >= 0
        rig.go(MADE_UP)
        assert np.diff(rig.places(4 * BLOCK)[[0, -1]])[0] / (4 * BLOCK - 1) == pytest.approx(tempo, abs=0.002)


def test_all_channels_stay_in_phase_and_stems_sum_to_the_mixture(rig):
    stems = [noise(3 * RATE, seed=seed) * (seed % 3 + 1) / 10 for seed in range(4)]
    channels = np.concatenate([sum(stems), *stems], axis=1).astype(np.float32)
    assert channels.shape[1] == 10
    heard = rig(channels).at(0.8, RATE)
    assert residual_db(sum(heard[:, 2 * n : 2 * n + 2] for n in range(1, 5)), heard[:, :2]) < -90
    # Whatever else plays, what is the same in two channels stays the same.
    alike = np.repeat(noise(3 * RATE, 1), 2, 1)
    heard = rig(np.concatenate([noise(3 * RATE, seed=5), alike], axis=1)).at(1.25, RATE)
    assert np.array_equal(heard[:, 2], heard[:, 3])


class _Marked(Material):
    """A file with a mark beside its sound, which is set from `since` on."""

    since = 60_000

    def rows(self, start, out):
        count = super().rows(start, out[:, :2])
        out[:count, 2] = np.arange(start, start + count) >= self.since
        return count


def test_marks_beside_the_sound_are_not_stretched_and_cover_all_they_are_about(rig):
    rig = rig(tone(4))
    plain = rig.at(0.8, 2 * RATE)
    head = rig.head.material
    material = _Marked(head.path, RATE, 2)
    material.chunks = head.chunks
    rig.head = PlayHead(3, marks=1)
    rig.head.fade = FADE
    rig.head.moves.extend((Put(material), Play(True)))
    rig.renderer = Renderer(rig.head, RATE)
    since = MADE_UP // BLOCK * BLOCK
    heard = rig.at(0.8, 2 * RATE)
    assert set(np.unique(heard[:, 2])) == {0, 1}
    first = rig.head.place(since + int(np.flatnonzero(heard[:, 2])[0]))
    assert material.since - 4000 < first < material.since - 1000
    assert np.abs(heard[:, :2]).max() == pytest.approx(np.abs(plain).max(), rel=0.01)


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
def test_what_is_heard_is_where_the_deck_says_it_is(rig, tempo):
    clicks = np.arange(5000, 8 * RATE, 11025)
    sound = np.zeros((8 * RATE, 2), np.float32)
    sound[clicks] = 0.8
    rig = rig(sound)
    rig.head.tempo = tempo
    rig.go(MADE_UP)
    since = rig.head.given
    heard = np.abs(rig.go(round(5 * RATE / max(1, tempo)))[:, 0])
    found, at = [], 0
    while len(loud := np.flatnonzero(heard[at:] > 0.15)):
        peak = at + loud[0] + heard[at + loud[0] :][:200].argmax()
        found.append(rig.head.place(since + int(peak)))
        at = peak + 3000
    assert len(found) > 8
    assert all(np.abs(clicks - place).min() <= 4 for place in found)


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
def test_after_a_seek_the_file_is_heard_from_that_sample_and_then_in_time(rig, tempo):
    song = noise(12 * RATE)
    rig = rig(song)
    rig.at(tempo)
    rig.head.moves.append(Jump(200_000))
    landed = rig.head.given + FADE
    heard = rig.go(2048)[FADE:]
    assert np.array_equal(heard[:1024], song[200_000:201_024])
    assert rig.head.place(landed) == 200_000
    rig.go(MADE_UP)
    assert abs(rig.head.place(rig.head.given) - 200_000 - tempo * (rig.head.given - landed)) <= 1


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("length", [3000, 22050])
def test_a_loop_comes_round_in_exactly_its_length_divided_by_the_tempo(rig, tempo, length):
    rig = rig(noise(4 * RATE))
    rig.head.loop = Loop(20_000, 20_000 + length, True)
    rig.head.moves.append(Jump(20_000))
    rig.at(tempo)
    turns = np.flatnonzero(np.diff(rig.places(round(5.5 * length / tempo))) < -length // 2)
    assert len(turns) > 3 and np.abs(np.diff(turns) - length / tempo).max() <= 1
    assert turns[-1] - turns[0] == pytest.approx((len(turns) - 1) * length / tempo, abs=1)
    assert not rig.head.starved


def test_a_loop_is_left_and_entered_even_where_the_sound_has_been_rendered_ahead(rig):
    rig = rig(noise(8 * RATE), 50_000)
    rig.at(0.8, 5120)
    # Its end is nearer than what has been rendered.
    start = rig.head.position
    rig.head.loop = Loop(start - 20_000, start + 1500, True)
    places = rig.places(4096)
    assert places.max() < start + 1500 and places[-1] < start - 10_000
    while rig.head.position < start + 600:
        rig.go(BLOCK)
    rig.head.loop = Loop(start - 20_000, start + 1500, False)
    assert np.diff(rig.places(20480)).min() > -400


def test_closing_a_loop_late_keeps_its_time(rig):
    rig = rig(noise(12 * RATE), 30_000)
    rig.at(0.8)
    since, place = rig.head.given, rig.head.position
    rig.head.loop = Loop(place - 40_000, place - 2000, True)
    rig.head.moves.append(Wrap())
    rig.go(MADE_UP)
    expected = place - 40_000 + 2000 + 0.8 * (rig.head.given - since)
    assert abs(rig.head.place(rig.head.given) - expected) <= 2


def test_a_pause_goes_on_where_it_began(rig):
    song = noise(8 * RATE)
    rig = rig(song)
    rig.at(1.25)
    rig.head.moves.append(Play(False))
    heard = rig.go(2048)
    place = rig.head.position
    assert heard[:FADE].any() and not heard[FADE:].any() and rig.head.voice is None
    rig.head.moves.append(Play(True))
    landed = rig.head.given + FADE
    assert np.array_equal(rig.go(2048)[FADE:][:1024], song[place : place + 1024])
    rig.go(MADE_UP)
    assert abs(rig.head.place(rig.head.given) - place - 1.25 * (rig.head.given - landed)) <= 1


def test_a_voice_that_comes_late_leaves_the_file_playing(rig):
    sound = tone(8)
    rig = rig(sound)
    rig.at(0.8)
    heard = np.concatenate([rig.head.read(BLOCK) for _ in range(60)])[:, 0]
    assert rig.head.voice is None and rig.head.starved == 1
    assert min(np.abs(heard[at : at + 400]).max() for at in range(0, len(heard) - 400, 100)) > 0.2
    assert np.abs(np.diff(heard)).max() < 1.6 * np.abs(np.diff(sound[:, 0])).max()
    assert abs(1200 * np.log2(frequency_of(rig.at(0.8, RATE)[:, 0]) / 441)) < 1


# The deck with its threads.


def wait_for(condition, seconds=10.0):
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.002)


@pytest.fixture
def deck(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(20), RATE)
    deck = Deck(RATE, 2, Setup(str(path)))
    yield deck
    deck.close()


def test_a_deck_plays_at_the_tempo_it_is_told_and_keeps_it_for_a_next_run(deck):
    deck.order(Order("/deck/tempo", (0.8,)))
    wait_for(lambda: deck.news().tempo == 0.8)
    heard = np.concatenate([deck.read_surely(512) for _ in range(200)])[20_000:, 0]
    assert abs(1200 * np.log2(frequency_of(heard) / 441)) < 1
    # More at a time than is rendered ahead.
    assert deck.read_surely(44_032)[-512:].any() and deck.head.starved == 0
    news = deck.news()
    assert news.values()["/deck/tempo"] == 0.8 and deck.setup().tempo == 0.8
    assert news.position * RATE == pytest.approx(0.8 * 286 * 512, abs=0.02 * 286 * 512)
    again = Deck(RATE, 2, deck.setup())
    wait_for(lambda: again.news().tempo == 0.8)
    again.close()


def test_what_cannot_be_a_tempo_is_refused_in_a_sentence(deck):
    deck.order(Order("/deck/tempo", (3.0,)))
    assert "0.5 to 2 times" in deck.said.get(timeout=10)
    wait_for(lambda: deck.news().refused == 1)
    assert deck.news().tempo == 1


def test_without_the_library_the_tempo_stays_1_and_says_so(deck, monkeypatch):
    monkeypatch.setattr(stretcher.importlib.util, "find_spec", lambda name: None)
    stretcher._library.cache_clear()
    deck.order(Order("/deck/tempo", (0.8,)))
    assert "the extra `tempo`" in deck.said.get(timeout=10)
    assert deck.news().tempo == 1 and deck.read_surely(512).any()
    stretcher._library.cache_clear()


def test_a_voice_that_plays_is_rendered_no_further_ahead_than_a_change_of_tempo_may_wait(rig):
    rig = rig(tone(4))
    rig.at(0.8)
    # As by a renderer that took it for a wish still.
    rig.head.voice.left_out = 20_000
    rig.go(BLOCK)
    assert rig.head.voice.ahead < 6 * rig.head.voice.hop


def test_whatever_fails_in_the_tempo_is_told_and_the_tempo_is_1(deck, monkeypatch):
    monkeypatch.setattr(Renderer, "step", lambda renderer: {}["nothing"])
    deck.order(Order("/deck/tempo", (0.8,)))
    assert "the deck's tempo failed" in deck.said.get(timeout=10)
    wait_for(lambda: deck.news().tempo == 1)


# In a run.


def test_the_tempo_is_a_control_and_what_was_refused_is_taken_back(identity, tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(30), RATE)
    plan = Plan(identity, Mix((1.0,)), device="null", rate=RATE, block=256, realtime=False, deck=Setup(str(path)))
    host = Host(plan, OscAddress(port=0))
    try:
        state = host.state
        wait_for(lambda: state.value("/deck/state")[0] == "playing")
        state.set("/deck/tempo", 0.5)
        state.set("/deck/loop", 40.0, 50.0)
        wait_for(lambda: "lasts 30.000 s" in state.value("/notice")[0])
        wait_for(lambda: state.value("/deck/loop") == (0.0, 0.0) and state.value("/deck/tempo") == (0.5,))
    finally:
        host.stop()
