"""Claims about the reader of stems, pools made from any layout, and what augmentation does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed (extra: train)")
pytest.importorskip("mido", reason="mido is not installed (extra: train)")

from models.data import pool as pool_module
from models.data import treated as treated_module
from models.data.augmentation import Augmentation, Bus, band_limit, bus_gains, rest, saturated
from models.data.corpus import RATE, STEMS, Corpus, places, read_stereo
from models.data.pool import Pool, render_pool
from models.data.remix import Remix
from models.data.treated import at_low_rate, coded, render_treated, treated
from realtime.errors import HostError
from realtime.windows import analysis_window

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
OFF = Augmentation(**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0))


def _noise(seconds: float, seed: int, rate: int = RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((int(seconds * rate), 2))).astype(np.float32)


def _song(folder: Path, seconds: float = 2.0, kind: str = "wav", rate: int = RATE, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for number, stem in enumerate(STEMS):
        soundfile.write(folder / f"{stem}.{kind}", _noise(seconds, seed + number, rate), rate)
    return folder


def _musdb_hq(root: Path, seconds: float = 2.0) -> Path:
    """The layout of MUSDB18-HQ: two songs to train on, one that its library validates with, one to test with."""
    for number, name in enumerate(("train/A - One", "train/B - Two", "train/Leaf - Summerghost", "test/C - Three")):
        song = _song(root / name, seconds, seed=10 * number)
        mixture = sum(soundfile.read(song / f"{stem}.wav")[0] for stem in STEMS)
        soundfile.write(song / "mixture.wav", mixture, RATE)
    return root


def test_musdb18_hq_is_read_with_its_own_splits(tmp_path):
    corpus = Corpus(_musdb_hq(tmp_path))
    names = {split: [corpus.name(song) for song in corpus.songs(split)] for split in ("train", "valid", "test")}
    assert names["train"] == ["train/A - One", "train/B - Two"]
    assert names["valid"] == ["train/Leaf - Summerghost"]
    assert names["test"] == ["test/C - Three"]
    stems = corpus.stems(corpus.songs("test")[0])
    assert list(stems) == list(STEMS)
    assert np.allclose(stems["drums"], _noise(2, 31), atol=1e-4)
    assert corpus.phrases() == corpus.bass_notes() == corpus.drum_hits() == []


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_folders_of_stems_are_read_in_every_format(tmp_path, kind):
    for number in range(3):
        _song(tmp_path / "album" / f"song {number}", kind=kind, seed=number)
    corpus = Corpus(tmp_path)
    assert sum(len(corpus.songs(split)) for split in ("train", "valid", "test")) == 3
    assert all(corpus.songs(split) for split in ("train", "valid", "test"))
    stems = corpus.stems(tmp_path / "album" / "song 1")
    assert {audio.shape for audio in stems.values()} == {(2 * RATE, 2)}
    assert np.corrcoef(stems["bass"][:, 0], _noise(2, 3)[:, 0])[0, 1] > 0.5


def test_other_rates_are_resampled_and_mono_is_doubled(tmp_path):
    tone = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", 0.5 * tone, 48000)
    audio = read_stereo(tmp_path / "tone.wav")
    assert audio.shape == (RATE, 2)
    assert np.array_equal(audio[:, 0], audio[:, 1])
    assert np.argmax(np.abs(np.fft.rfft(audio[:, 0]))) == 440


def test_songs_that_cannot_be_used_are_named_and_counted(tmp_path, capsys):
    _song(tmp_path / "good")
    (_song(tmp_path / "no bass") / "bass.wav").unlink()
    soundfile.write(_song(tmp_path / "cut") / "drums.wav", _noise(1, 0), RATE)
    soundfile.write(_song(tmp_path / "rates") / "other.wav", _noise(2, 0, 48000), 48000)
    (_song(tmp_path / "broken") / "vocals.wav").write_bytes(b"RIFF, but nothing else")
    corpus = Corpus(tmp_path)
    assert [song.name for song in corpus.songs("train")] == ["good"]
    told = capsys.readouterr().err
    assert "4 of 5 songs skipped" in told
    assert "no bass (no bass)" in told
    assert "cut (vocals 2.00 s, drums 1.00 s" in told
    assert "rates (vocals at 44100 Hz" in told and "other at 48000 Hz" in told
    assert "broken (vocals.wav cannot be read" in told


def test_songs_that_break_while_being_read_are_named_and_counted(tmp_path, capsys):
    _musdb_hq(tmp_path)
    poisoned = _noise(2, 0)
    poisoned[77] = np.nan
    soundfile.write(tmp_path / "train" / "A - One" / "bass.wav", poisoned, RATE, subtype="FLOAT")
    corpus = Corpus(tmp_path)
    assert [name for name, _ in corpus.read("train")] == ["train/B - Two"]
    assert "1 of 2 songs skipped: train/A - One (bass.wav holds samples that are no numbers)" in capsys.readouterr().err


def test_encoders_may_pad(tmp_path):
    song = _song(tmp_path / "song")
    soundfile.write(song / "bass.wav", _noise(2.02, 0), RATE)
    assert {len(audio) for audio in Corpus(tmp_path).stems(song).values()} == {2 * RATE}


def test_an_empty_folder_is_told_what_is_expected(tmp_path):
    with pytest.raises(HostError, match=r"no songs in .*Expected is one folder a song with vocals, drums, bass"):
        Corpus(tmp_path)
    with pytest.raises(HostError, match="There is no folder"):
        Corpus(tmp_path / "nowhere")
    (_song(tmp_path / "only") / "bass.wav").unlink()
    with pytest.raises(HostError, match=r"No song in .* can be used. 1 of 1 songs skipped: only \(no bass\)"):
        Corpus(tmp_path)


def test_a_split_can_be_chosen_by_hand(tmp_path, capsys):
    for name in ("a", "b", "c"):
        _song(tmp_path / name)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["b", "gone"], "test": ["a"]}))
    corpus = Corpus(tmp_path)
    assert [[song.name for song in corpus.songs(s)] for s in ("train", "valid", "test")] == [["b"], [], ["a"]]
    told = capsys.readouterr().err
    assert "gone (in split.json, but not there)" in told and "c (not in split.json)" in told
    with pytest.raises(HostError, match="no excerpts for 'valid'"):
        corpus.excerpts("valid")


def test_musdb18_is_read_stream_by_stream(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    for name in ("A - One", "Leaf - Summerghost"):
        (tmp_path / "train" / f"{name}.stem.mp4").touch()

    class Info:
        def __init__(self, path: str) -> None:
            pass

        def sample_rate(self, stream: int) -> int:
            return RATE

        def duration(self, stream: int) -> float:
            return 2.0

    def read_stems(path: str, stem_id: int, dtype: type, always_3d: bool):
        return np.full((1, 2 * RATE, 2), stem_id, dtype), RATE

    monkeypatch.setitem(sys.modules, "stempeg", SimpleNamespace(Info=Info, read_stems=read_stems))
    corpus = Corpus(tmp_path)
    (song,) = corpus.songs("train")
    assert corpus.name(song) == "train/A - One"
    assert {stem: audio[0, 0] for stem, audio in corpus.stems(song).items()} == {
        "drums": 1,
        "bass": 2,
        "other": 3,
        "vocals": 4,
    }
    assert corpus.songs("valid")[0].name == "Leaf - Summerghost.stem.mp4"


def test_without_musdb_one_sentence_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stempeg", None)
    (tmp_path / "train").mkdir()
    for name in ("A - One", "B - Two"):
        (tmp_path / "train" / f"{name}.stem.mp4").touch()
    with pytest.raises(HostError, match=r"train/A - One, train/B - Two \(reading \.mp4 files takes the musdb library"):
        Corpus(tmp_path)


def test_excerpts_lie_where_all_stems_sound(tmp_path):
    stems = {stem: _noise(40, number) for number, stem in enumerate(STEMS)}
    stems["vocals"][: 20 * RATE] = stems["bass"][36 * RATE :] = 0
    first, second = places(stems, 8 * RATE, 2)
    assert 20 <= first / RATE <= 28 and abs(second - first) >= 8 * RATE
    stems["drums"][:] = 0
    assert places(stems, 8 * RATE, 2) == []


def test_excerpts_of_a_folder_come_from_its_songs_in_turns(tmp_path):
    excerpts = Corpus(_musdb_hq(tmp_path, seconds=13)).excerpts("valid")
    assert {audio.shape for audio in excerpts[0].values()} == {(12 * RATE, 2)}
    assert len(excerpts) == 1  # 13 seconds have room for one


def test_the_free_corpus_is_read_as_it_lies():
    if not (SHARED / "everything-is-free").exists():
        pytest.skip(f"the stem corpus is not at {SHARED}")
    corpus = Corpus(SHARED)
    assert corpus.free
    assert [song.name for song in corpus.songs("test")] == ["03-sodium"]
    assert len(corpus.songs("train")) == 5
    assert len(corpus.phrases()) == 459 and len(corpus.bass_notes()) == 317 and len(corpus.drum_hits()) == 116


def test_a_pool_is_made_from_a_folder_of_songs_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pool_module, "_SPEEDS", (1.0, 0.8))
    root = _musdb_hq(tmp_path / "music", seconds=4)
    soundfile.write(root / "train" / "A - One" / "bass.wav", np.zeros((4 * RATE, 2)), RATE)
    poisoned = _noise(4, 0)
    poisoned[0] = np.inf
    soundfile.write(root / "train" / "B - Two" / "vocals.wav", poisoned, RATE, subtype="FLOAT")
    render_pool(root, tmp_path / "pool", minutes=0.3, workers=1)
    told = capsys.readouterr()
    assert "vocals: songs" in told.out and "bass: songs" in told.out and "tones" in told.out
    assert "vocals: 1 of 2 songs skipped: train/B - Two (vocals.wav holds" in told.err
    pool = Pool(tmp_path / "pool")
    assert pool.aligned == {f"train/{name} x{speed}" for name in ("A - One", "B - Two") for speed in (1.0, 0.8)}
    assert set(pool.songs["train/A - One x1.0"]) == {"vocals", "drums", "other"}
    start, end, level = pool.songs["train/B - Two x0.8"]["drums"]
    assert (end - start) / RATE == pytest.approx(4 / 0.8, rel=0.01)
    assert level == pytest.approx(0.1, rel=0.1)
    assert pool.audio["drums"][start:end].std() == pytest.approx(10 ** (-26 / 20) * 32768, rel=0.05)
    window = analysis_window("asymmetric-32", 128)
    spectra, _ = Remix(pool, lanes=2, frames=8, hop=32, window=window, seed=1).next()
    assert np.isfinite(spectra.numpy()).all() and spectra.abs().max() > 0


def test_plenty_of_songs_is_pooled_in_one_speed_with_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_module, "PLENTY", 0.05)
    render_pool(_musdb_hq(tmp_path / "music"), tmp_path / "pool", minutes=1.0, workers=1)
    pool = Pool(tmp_path / "pool")
    assert pool.aligned == {"train/A - One x1.0", "train/B - Two x1.0"}
    assert all(set(groups) == {"songs"} for groups in pool.index.values())


def test_a_pool_of_which_nothing_could_be_read_is_not_made(tmp_path):
    root = _musdb_hq(tmp_path / "music")
    for file in root.glob("train/*/*.wav"):
        soundfile.write(file, np.full((2 * RATE, 2), np.nan), RATE, subtype="FLOAT")
    with pytest.raises(HostError, match="None of the songs"):
        render_pool(root, tmp_path / "pool", minutes=0.0, workers=1)
    assert not (tmp_path / "pool" / "other.json").exists()


class FakePool:
    """Four stems of noise, long enough to draw from."""

    def __init__(self, songs: bool = True) -> None:
        random = np.random.default_rng(0)
        self.songs = {"one x1.0": {"vocals": (0, 50000, 0.05), "drums": (0, 50000, 0.1)}} if songs else {}
        self.aligned: set[str] = set()
        self.audio = {s: random.normal(0, 1642, (60000, 2)).astype(np.int16) for s in STEMS}

    def draw(self, rng, stem, samples):
        return int(rng.integers(0, 1000))


def _remix(augmentation: Augmentation | None, seed: int = 1, pool: FakePool | None = None, lanes: int = 6) -> Remix:
    window = analysis_window("asymmetric-32", 128)
    return Remix(pool or FakePool(), lanes, frames=8, hop=32, window=window, seed=seed, augmentation=augmentation)


def test_augmentation_leaves_the_scenes_what_they_are():
    plain, off, on, again = _remix(None), _remix(OFF), _remix(Augmentation()), _remix(Augmentation())
    for _ in range(8):
        spectra, curves = plain.next()
        assert all(np.array_equal(a, b) for a, b in zip((spectra, curves), off.next(), strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(on.next(), again.next(), strict=True))
        assert [scene.left for scene in on.scenes] == [scene.left for scene in plain.scenes]


def _chance(**chances: float) -> Augmentation:
    return Augmentation(**(dict.fromkeys(Augmentation.__dataclass_fields__, 0.0) | chances))


def test_solos_and_instrumentals_are_what_they_say():
    for scene in _remix(_chance(solo=1.0), lanes=20).scenes:
        assert scene.matrix.any(axis=(1, 2)).sum() <= 1
    for scene in _remix(_chance(instrumental=1.0), lanes=20).scenes:
        sounds = scene.matrix.any(axis=(1, 2))
        assert not sounds[0] or sounds.sum() == 1


def test_loud_mixtures_are_held_near_full_scale_and_quiet_ones_are_quiet():
    def peaks(augmentation: Augmentation | None) -> np.ndarray:
        remix = _remix(augmentation, pool=FakePool(songs=False), lanes=20)
        remix.next()
        spectra, _ = remix.next()
        return spectra.sum(1).abs().amax((1, 2, 3, 4)).numpy()

    plain, quiet, loud = peaks(None), peaks(_chance(quiet=1.0)), peaks(_chance(loud=1.0))
    assert np.all(quiet < 0.4 * plain)
    assert loud.min() > 2 * np.median(quiet) and loud.max() / loud.min() < 12 < plain.max() / plain.min()


def test_mono_scenes_are_mono_and_narrow_ones_are_dull():
    spectra, _ = _remix(_chance(mono=1.0)).next()
    left, right = spectra.unbind(2)
    for lane in range(left.shape[0]):
        for stem in range(4):
            assert np.allclose(left[lane, stem], right[lane, stem], atol=1e-4)
    _, curves = _remix(_chance(narrow=1.0)).next()
    assert np.all(curves.numpy()[:, :, -1] < 1e-2)
    limit = band_limit(1025, 2048, 8000)
    hertz = np.arange(1025) * RATE / 2048
    assert np.all(limit[hertz < 8000] == 1) and np.all(limit[hertz > 9100] < 2e-4)


def test_a_bus_compressor_runs_on_from_batch_to_batch():
    mixture = _noise(1.0, 0)[: 64 * 400] * np.linspace(0.1, 4, 64 * 400, dtype=np.float32)[:, None]
    whole = bus_gains(Bus(-20, 4, 0.5), mixture, 64, 400)
    bus = Bus(-20, 4, 0.5)
    # 100 blocks a batch, of which the next batch hears the last ten again.
    parts = [bus_gains(bus, mixture[64 * 100 * i : 64 * (100 * i + 110)], 64, 100)[: 64 * 100] for i in range(4)]
    assert np.allclose(np.concatenate(parts), whole, atol=1e-6)
    assert whole[-1] < 0.5 * whole[100] and whole.max() <= 1


def test_a_saturated_stem_keeps_its_level_and_a_resting_one_is_silent():
    tone = 0.05 * np.sin(np.arange(4000) / 20)[:, None].repeat(2, 1)
    driven = saturated(tone, 4.0, 0.05)
    assert np.abs(driven).max() == pytest.approx(0.05, rel=1e-3)
    assert np.sqrt(np.mean(driven**2)) > 1.2 * np.sqrt(np.mean(tone**2))
    gains = rest(first=1000, samples=5000, start=2000, end=4000, ramp=100)
    assert not gains[1000:3000].any()
    assert np.all(gains[:900] == 1) and np.all(gains[3100:] == 1)


def test_codecs_and_low_rates_neither_delay_nor_shorten():
    audio = np.cumsum(_noise(2, 0), axis=0).astype(np.float32)
    audio = 0.3 * (audio - audio.mean(axis=0)) / np.abs(audio).max()
    kinds = [kind for kind in ("MP3", "OGG") if kind in soundfile.available_formats()]
    results = [coded(audio, (kind, {"MP3": "MPEG_LAYER_III", "OGG": "VORBIS"}[kind]), 0.8) for kind in kinds]
    for result in [*results, at_low_rate(audio, 8000)]:
        assert result.shape == audio.shape
        together = np.fft.irfft(np.fft.rfft(result[:, 0]) * np.conj(np.fft.rfft(audio[:, 0])))
        assert np.argmax(together) == 0
        assert 0 < np.mean((result - audio) ** 2) < 0.1 * np.mean(audio**2)


def test_treated_stems_stay_together_and_a_seed_gives_them_again():
    stems = {stem: _noise(1, number) for number, stem in enumerate(STEMS)}
    lengths = set()
    for seed in range(6):
        first = treated(np.random.default_rng(seed), stems)
        assert len({audio.shape for audio in first.values()}) == 1
        assert all(np.isfinite(audio).all() for audio in first.values())
        lengths.add(len(first["bass"]))
    again = treated(np.random.default_rng(5), stems)
    assert all(np.array_equal(first[stem], again[stem]) for stem in STEMS)
    assert len(lengths) > 1


def test_treated_pools_are_read_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(treated_module, "SECONDS", (2.0, 4.0))
    monkeypatch.setattr(pool_module, "_SPEEDS", (1.0,))
    render_pool(_musdb_hq(tmp_path / "music", seconds=6), tmp_path / "pool", minutes=0.0, workers=1)
    for folder in ("treated", "again"):
        render_treated([tmp_path / "pool"], tmp_path / folder, minutes=0.1, seed=4)
    pool, again = Pool(tmp_path / "treated"), Pool(tmp_path / "again")
    assert pool.aligned and pool.songs == again.songs
    for stem in STEMS:
        assert len(pool.audio[stem]) >= 0.1 * 60 * RATE
        assert np.array_equal(pool.audio[stem][:], again.audio[stem][:])
    with pytest.raises(HostError, match="lies in a pool"):
        render_treated([tmp_path / "pool"], tmp_path / "pool" / "treated", minutes=0.3)
