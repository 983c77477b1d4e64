"""Claims about the generator of arrangements: what it writes, what it renders, what its pools hold."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

mido = pytest.importorskip("mido", reason="mido is not installed (extra: train)")
pytest.importorskip("torch", reason="torch is not installed (extra: train)")

from models.data.arrangements.cache import render_arrangements
from models.data.arrangements.effects import distorted, equalised, filtered
from models.data.arrangements.grooves import GROOVES
from models.data.arrangements.midi_files import MidiSong, excerpt, midi_songs
from models.data.arrangements.notes import Song
from models.data.arrangements.render import render_song
from models.data.arrangements.score import midi, write_song
from models.data.arrangements.soundfonts import sound_fonts
from models.data.arrangements.soundtracks import pool_soundtracks
from models.data.arrangements.styles import STYLES, VOICES
from models.data.arrangements.voices import phrase, stretched
from models.data.corpus import RATE, STEMS, Corpus
from models.data.pool import Pool
from models.data.pool_writer import PoolWriter, stretches
from models.data.remix import Remix
from realtime.errors import HostError
from realtime.windows import analysis_window

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [write_song(style, seed) for style in STYLES for seed in (1, 2)]


@pytest.fixture
def fonts() -> list[Path]:
    try:
        return sound_fonts()
    except HostError as error:
        pytest.skip(str(error))


def test_a_seed_gives_the_same_song_and_another_seed_another():
    for style in STYLES[:4]:
        assert write_song(style, 5) == write_song(style, 5)
        assert write_song(style, 5) != write_song(style, 6)


def test_every_style_writes_drums_bass_and_the_rest_in_range(songs):
    assert len(STYLES) >= 10
    for song in songs:
        assert 60 <= song.tempo <= 180
        for stem, low, high in (("drums", 35, 81), ("bass", 24, 57), ("other", 36, 100)):
            notes = [note for part in song.stem(stem) for note in part.notes]
            assert notes, f"{song.style}: nothing in {stem}"
            assert all(low <= n.pitch <= high and 1 <= n.velocity <= 127 for n in notes), f"{song.style}: {stem}"
            assert all(0 <= n.start < song.beats + 0.5 and n.length > 0 for n in notes), f"{song.style}: {stem}"


def test_voices_never_play_in_the_rest(songs):
    offered = {program for style in STYLES for layer in style.layers for program in layer.programs}
    offered |= {program for style in STYLES for _, programs in style.basses for program in programs}
    assert not offered & VOICES
    assert not offered & set(range(120, 128))
    assert not {part.voice.program for song in songs for part in song.parts if part.stem != "drums"} & VOICES


def test_keys_and_tempi_differ(songs):
    assert len({song.tonic for song in songs}) >= 10
    assert len({round(song.tempo / 10) for song in songs}) >= 8
    assert 0.2 < np.mean([song.minor for song in songs]) < 0.9


def test_every_lane_of_a_groove_has_whole_beats():
    for name, family in GROOVES.items():
        for groove in family:
            assert all(len(lane) % groove.steps == 0 for lane in groove.lanes.values()), name
            assert {letter for lane in groove.lanes.values() for letter in lane} <= set("Xxog."), name


def test_midi_of_a_part_ends_every_note_it_starts(songs):
    for song in songs[:6]:
        for part in song.parts:
            file = mido.MidiFile(file=io.BytesIO(midi(part, song.tempo, song.beats)))
            open_notes: dict[int, int] = {}
            for message in file.tracks[0]:
                if message.type == "note_on":
                    open_notes[message.note] = open_notes.get(message.note, 0) + 1
                elif message.type == "note_off":
                    open_notes[message.note] -= 1
            assert not any(open_notes.values())
            assert file.length < song.seconds + 60 / song.tempo * 12


def _toy_song(*tracks: list) -> bytes:
    file = mido.MidiFile(ticks_per_beat=480)
    for messages in tracks:
        track = mido.MidiTrack(messages)
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _line(channel: int, program: int, note: int, count: int = 20) -> list:
    messages = [mido.Message("program_change", channel=channel, program=program)]
    for _ in range(count):
        messages.append(mido.Message("note_on", channel=channel, note=note, velocity=90))
        messages.append(mido.Message("note_off", channel=channel, note=note, time=240))
    return messages


def _notes(data: bytes) -> set[int]:
    return {m.note for m in mido.MidiFile(file=io.BytesIO(data)).tracks[0] if m.type == "note_on" and m.velocity}


def test_midi_songs_are_split_by_channel_and_program_and_voices_left_out():
    song = MidiSong("toy", _toy_song(_line(9, 0, 38), _line(0, 33, 40), _line(1, 0, 64), _line(2, 52, 67)))
    taken = excerpt(song, 0, 60, transpose=2)
    assert {stem: _notes(data) for stem, data in taken.stems.items()} == {"drums": {38}, "bass": {42}, "other": {66}}


def test_a_note_that_a_midi_song_never_ends_is_ended():
    held = [mido.Message("note_on", channel=3, note=50, velocity=80)]
    taken = excerpt(MidiSong("toy", _toy_song(_line(0, 0, 60, 30), held)), 0, 60)
    messages = mido.MidiFile(file=io.BytesIO(taken.stems["other"])).tracks[0]
    assert any(m.type == "note_off" and m.note == 50 for m in messages)


def test_a_file_that_is_no_midi_is_named(tmp_path):
    (tmp_path / "broken.mid").write_bytes(b"MThd nothing")
    (song,) = midi_songs([tmp_path])
    with pytest.raises(ValueError, match="broken"):
        excerpt(song, 0, 60)


def test_effects_do_not_delay():
    click = np.zeros((4096, 2), np.float32)
    click[100] = 1
    shaped = equalised(click, [(40, 3), (1000, -6), (8000, 4)])
    assert np.abs(shaped[:100]).max() < 1e-3
    assert np.argmax(np.abs(shaped[:, 0])) == 100
    response = np.random.default_rng(0).standard_normal(50)
    assert np.allclose(filtered(click, response)[100:150, 1], response, atol=1e-4)
    assert not distorted(np.random.default_rng(0), np.zeros((4096, 2), np.float32), 0.8, True).any()


def test_a_phrase_says_its_key_and_tempo_and_can_be_stretched():
    told = phrase(Path("etv_ebm_136_adlib_004.ogg"))
    assert (told.tonic, told.tempo, told.minor) == (3, 136.0, True)
    assert phrase(Path("etv_ebj_136_phrase_010.ogg")).minor is False
    assert phrase(Path("shv_fs_122_freedom_2.ogg")).tonic == 6
    assert phrase(Path("something_else.ogg")) is None
    tone = np.repeat(np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)[:, None], 2, axis=1).astype(np.float32)
    longer = stretched(tone, 1.25)
    assert len(longer) == pytest.approx(1.25 * RATE, rel=0.03)
    middle = longer[8192:40960, 0]
    peak = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))) * RATE / len(middle)
    assert peak == pytest.approx(220, abs=2)


def _stems(seconds: float, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {s: (0.1 * rng.standard_normal((int(seconds * RATE), 2))).astype(np.float32) for s in STEMS}


def test_pools_of_songs_are_read_back_aligned_and_joined(tmp_path):
    for number in range(2):
        writer = PoolWriter("arranged")
        stems = _stems(6, number)
        stems["bass"][: 3 * RATE] = 0
        if number:
            del stems["vocals"]
        writer.add(f"song {number}", stems, {"style": "noise", "seconds": 6.0})
        writer.write(tmp_path / f"{number}")
    pool = Pool(tmp_path)
    assert pool.aligned == {"song 0", "song 1"}
    assert "vocals" not in pool.songs["song 1"]
    second = pool.songs["song 1"]
    assert {end - start for start, end, _ in second.values()} == {6 * RATE}
    start, _, level = second["drums"]
    assert level == pytest.approx(0.1, rel=0.05)
    part = pool.audio["drums"][start : start + 1000].astype(np.float32)
    assert np.corrcoef(part[:, 0], _stems(6, 1)["drums"][:1000, 0])[0, 1] > 0.999
    across = pool.audio["drums"][start - 10 : start + 10]
    assert np.array_equal(
        across, np.concatenate([pool.audio["drums"][start - 10 : start], pool.audio["drums"][start : start + 10]])
    )
    rng = np.random.default_rng(0)
    for _ in range(20):  # where the bass pauses it is not drawn
        at = pool.draw(rng, "bass", RATE)
        assert np.abs(pool.audio["bass"][at : at + RATE // 2]).max() > 100


def test_scenes_of_an_arranged_song_play_all_stems_from_one_place(tmp_path):
    writer = PoolWriter("arranged")
    writer.add("song", _stems(30, 0), {"style": "noise", "seconds": 30.0})
    writer.write(tmp_path)
    window = analysis_window("asymmetric-32", 128)
    data = Remix(Pool(tmp_path), lanes=4, frames=8, hop=32, window=window, seed=1, from_one_song=1.0)
    for scene in data.scenes:
        assert len(set(scene.position)) == 1
        assert len(set(scene.speed)) == 1


def test_scenes_of_an_arranged_song_seek_places_where_stems_sound(tmp_path):
    stems = _stems(60, 0)
    for audio in stems.values():
        audio[: 30 * RATE] = 0
    writer = PoolWriter("arranged")
    writer.add("song", stems, {"style": "noise", "seconds": 60.0})
    writer.write(tmp_path)
    pool, rng = Pool(tmp_path), np.random.default_rng(0)
    offsets = np.array([pool.together(rng, "song", 5 * RATE) for _ in range(100)])
    assert np.mean(offsets > 27 * RATE) > 0.8


def test_weights_decide_which_group_is_drawn(tmp_path):
    for number, group in enumerate(("arranged", "midi")):
        writer = PoolWriter(group)
        writer.add(f"song {number}", _stems(4, number), {"style": "noise", "seconds": 4.0})
        writer.write(tmp_path / group)
    pool = Pool([tmp_path / "arranged", tmp_path / "midi"], weights={"arranged": 0.0})
    rng = np.random.default_rng(0)
    assert all(pool.draw(rng, "other", RATE) >= 4 * RATE for _ in range(10))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(HostError, match="no pool"):
        Pool(tmp_path)


def test_stems_of_unequal_length_are_refused():
    stems = _stems(1, 0)
    stems["bass"] = stems["bass"][:-1]
    with pytest.raises(ValueError, match="one length"):
        PoolWriter("arranged").add("song", stems, {})


def test_stretches_leave_out_long_pauses():
    audio = np.zeros((10 * RATE, 2), np.float32)
    audio[RATE : 3 * RATE] = audio[8 * RATE :] = 0.1
    assert stretches(audio) == [(RATE, 3 * RATE), (8 * RATE, 10 * RATE)]


def test_soundtracks_are_pooled_apart_from_the_stems(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "tune.wav", _stems(3, 0)["other"], RATE)
    soundfile.write(tmp_path / "choir.wav", _stems(3, 1)["other"], RATE)
    pool_soundtracks([tmp_path], tmp_path / "out", 1.0, leave_out=("choir*",), least=1.0)
    writer = PoolWriter("arranged")
    writer.add("song", _stems(2, 0), {"style": "noise", "seconds": 2.0})
    writer.write(tmp_path / "out")
    pool = Pool(tmp_path / "out")
    assert len(pool.accompaniment) == 3 * RATE
    assert list(pool.accompaniment_sources.values()) == [(0, 3 * RATE)]


def test_without_a_player_one_sentence_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("models.data.arrangements.soundfonts.shutil.which", lambda _: None)
    with pytest.raises(HostError, match="FluidSynth is not installed"):
        render_arrangements(None, tmp_path, 1)


def test_stems_of_a_rendered_song_are_aligned_and_do_not_clip(fonts):
    song = write_song(STYLES[0], 3, seconds=8)
    stems = render_song(song, None, fonts, voiced=False)
    assert set(stems) == {"drums", "bass", "other"}
    assert {len(audio) for audio in stems.values()} == {int(song.seconds * RATE)}
    assert np.abs(sum(stems.values())).max() < 0.9
    drums = replace(song, parts=song.stem("drums"))
    first = min(n.start for n in drums.parts[0].notes) * 60 / song.tempo
    level = np.abs(stems["drums"]).max(axis=1)
    assert np.argmax(level > 0.05 * level.max()) / RATE == pytest.approx(first, abs=0.05)


def test_singing_is_placed_where_the_song_is_sung(fonts):
    if not (SHARED / "vocals-producer-space").exists():
        pytest.skip(f"the stem corpus is not at {SHARED}")
    song = write_song(STYLES[1], 4, seconds=8)
    song = replace(song, parts=(), sections=tuple(replace(s, sung=True) for s in song.sections))
    stems = render_song(song, Corpus(SHARED), fonts, voiced=True)
    assert set(stems) == {"vocals"}
    assert len(stems["vocals"]) == int(song.seconds * RATE)
