"""The demo song is exact, repeatable, and musical enough to be ground truth."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.demo import SHOW, Song, demo_song, sections
from realtime.demo.arrangement import BARS, CHORDS, DURATION, melody
from realtime.demo.sound import hertz
from realtime.errors import HostError

STEMS = ("vocals", "drums", "bass", "other")
PRESETS = {"all", "acapella", "instrumental", "drums", "bass", "drums+bass", "melody"}


@pytest.fixture(scope="module")
def song() -> Song:
    return demo_song()


def level(sound: np.ndarray, rate: int) -> np.ndarray:
    """RMS of every tenth of a second."""
    step = rate // 10
    return np.sqrt(np.mean(sound[: len(sound) // step * step].reshape(-1, 2 * step) ** 2, axis=1))


def decibels(ratio: float) -> float:
    return 20 * np.log10(ratio)


def test_stems_are_stereo_float32_in_the_project_order(song):
    assert tuple(song.stems) == STEMS
    for stem in song.stems.values():
        assert stem.dtype == np.float32
        assert stem.shape == (round(DURATION * song.rate), 2)
        assert np.all(np.isfinite(stem))
    assert song.duration == pytest.approx(DURATION, abs=1e-4)


def test_stems_sum_to_the_mixture(song):
    vocals, drums, bass, other = song.stems.values()
    assert np.array_equal(song.mixture, vocals + drums + bass + other)


def test_the_same_call_gives_the_same_samples():
    first, second = demo_song(9.0), demo_song(9.0)
    assert all(np.array_equal(first.stems[name], second.stems[name]) for name in STEMS)


def test_a_cut_song_is_the_beginning_of_the_full_one(song):
    cut = demo_song(9.3)
    assert len(cut.mixture) == round(9.3 * cut.rate)
    kept = len(cut.mixture) - round(0.03 * cut.rate)
    for name in STEMS:
        assert np.allclose(cut.stems[name][:kept], song.stems[name][:kept], atol=1e-6)
        assert np.all(np.abs(cut.stems[name][-1]) < 1e-6)


def test_any_positive_length_is_answered():
    assert len(demo_song(1e-6).mixture) == 1
    assert demo_song(1000.0, rate=16000).duration == pytest.approx(DURATION, abs=1e-3)


@pytest.mark.parametrize("arguments", [{"seconds": 0.0}, {"seconds": float("nan")}, {"rate": 4000}])
def test_what_cannot_be_rendered_is_refused_with_a_sentence(arguments):
    with pytest.raises(HostError, match="ask for"):
        demo_song(**arguments)


def test_another_rate_gives_the_same_music():
    slow, fast = demo_song(10.0, 22050), demo_song(10.0, 44100)
    assert slow.duration == fast.duration
    for name in ("bass", "other"):
        # Music below 11 kHz has the same level in the same places.
        assert np.allclose(level(slow.stems[name], 22050), level(fast.stems[name], 44100), atol=0.03)


def test_nothing_clips(song):
    assert decibels(np.abs(song.mixture).max()) <= -1.0


def test_stems_have_comparable_levels_where_they_sound(song):
    levels = [decibels(np.sqrt(np.mean(now[now > 0.005] ** 2))) for now in
              (level(stem, song.rate) for stem in song.stems.values())]
    assert max(levels) - min(levels) < 8.0
    assert all(-30.0 < each < -12.0 for each in levels)


def test_every_stem_sounds_alone_and_all_sound_together_for_half_of_the_song(song):
    active = np.array([level(stem, song.rate) > 0.005 for stem in song.stems.values()])
    assert np.mean(active.all(axis=0)) > 0.5
    for index in range(len(STEMS)):
        alone = active[index] & (active.sum(axis=0) == 1)
        assert alone.sum() >= 8, f"{STEMS[index]} is alone for {alone.sum() / 10} s"


def test_stems_have_no_offset_and_occupy_their_range(song):
    ranges = {"vocals": (150, 6000, 0.97), "bass": (30, 300, 0.9), "other": (100, 5000, 0.97)}
    for name, stem in song.stems.items():
        assert abs(stem.mean()) < 0.01 * np.sqrt(np.mean(stem**2))
        size = 1 << 19
        verse = round(8.0 * song.rate)
        power = np.abs(np.fft.rfft(stem[verse : verse + size].mean(axis=1))) ** 2
        frequency = np.fft.rfftfreq(size, 1 / song.rate)
        if name in ranges:
            low, high, share = ranges[name]
            assert power[(frequency > low) & (frequency < high)].sum() > share * power.sum()
        else:
            assert power[frequency > 5000].sum() > 0.02 * power.sum()


def test_vocals_sing_the_melody(song):
    voice = song.stems["vocals"].mean(axis=1)
    # Before the chorus, where no second voice confuses the autocorrelation.
    notes = [note for phrase in melody()[:5] for note in phrase if note.length > 0.4]
    assert len(notes) > 8
    for note in notes:
        first = round((note.start + 0.4 * note.length) * song.rate)
        frame = voice[first : first + 4096].astype(np.float64)
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 8192)) ** 2)[:4096]
        correlation /= np.arange(4096, 0, -1)
        shortest, longest = int(song.rate / 700), int(song.rate / 150)
        best = shortest + int(np.argmax(correlation[shortest:longest]))
        # The shortest period that is nearly as good is the pitch; its multiples are as periodic.
        for divisor in (4, 3, 2):
            part = round(best / divisor)
            if part >= shortest and correlation[part - 1 : part + 2].max() > 0.9 * correlation[best]:
                best = part
                break
        error = 12 * np.log2(song.rate / best / hertz(note.pitch))
        assert abs(error) < 0.8, f"{note} is {error:+.1f} semitones off"


def test_long_sung_notes_belong_to_their_chord():
    for phrase in melody():
        for note in phrase:
            chord = CHORDS[BARS[int(note.start / DURATION * len(BARS) + 1e-6)].chord]
            classes = {pitch % 12 for pitch in (chord.root, chord.fifth, *chord.voices)}
            assert note.length < 0.4 or note.pitch % 12 in classes, note


def test_the_show_follows_the_form():
    starts = [start for start, _ in sections()]
    assert starts == sorted(starts)
    assert [name for _, name in sections()] == ["intro", "verse", "break", "chorus"]
    times = [at for at, _ in SHOW]
    assert times[0] == 0
    assert times == sorted(set(times))
    assert times[-1] < DURATION
    assert {preset for _, preset in SHOW} == PRESETS
