"""`run_live.py separate`: whole files, as long as the input, aligned with it, that sum to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, STEMS
from playing import noise, reference, residual_db

import run_live
from realtime.engine import Engine
from realtime.mix import Mix
from realtime.separator import Separator

SHARED = ROOT.parent / "shared"
NAMES = (*STEMS, "remainder")


def separate(separator: Path, out: Path, *inputs: Path | str) -> int:
    return run_live.main(["separate", *map(str, inputs), "-o", str(out), "--model", str(separator)])


def parts(folder: Path, names=NAMES) -> dict[str, np.ndarray]:
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.wav" for name in names)
    return {name: soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0] for name in names}


def song(path: Path, rate: int, channels: int, subtype: str, seconds: float = 0.7) -> np.ndarray:
    soundfile.write(path, noise(int(rate * seconds) + 13, channels), rate, subtype=subtype)
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


CASES = [
    (44100, 2, "FLOAT"),
    (44100, 1, "PCM_16"),
    (44100, 3, "FLOAT"),
    (48000, 2, "PCM_24"),
    (8000, 2, "PCM_16"),
    (192000, 1, "PCM_24"),
]


@pytest.mark.parametrize(("rate", "channels", "subtype"), CASES)
def test_stems_and_remainder_are_as_long_as_the_song_and_sum_to_it(tmp_path, four_stems, rate, channels, subtype):
    audio = song(tmp_path / "song.wav", rate, channels, subtype)
    assert separate(four_stems, tmp_path / "out", tmp_path / "song.wav") == 0
    files = parts(tmp_path / "out" / "song")
    for name in NAMES:
        info = soundfile.info(tmp_path / "out" / "song" / f"{name}.wav")
        assert (info.samplerate, info.channels, info.frames) == (rate, channels, len(audio))
        # WAVEX is the kind of WAV that says where channels belong.
        assert (info.format in ("WAV", "WAVEX"), info.subtype) == (True, "FLOAT")
    assert np.abs(sum(files.values()) - audio).max() < 1e-4
    assert all(np.abs(files[name]).max() > 1e-3 for name in STEMS)


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats_are_read(tmp_path, four_stems, extension):
    if extension.upper() not in soundfile.available_formats():
        pytest.skip(f"this libsndfile writes no {extension}")
    path = tmp_path / f"song.{extension}"
    soundfile.write(path, noise(30000), 44100)
    audio = soundfile.read(path, dtype="float32")[0]
    assert separate(four_stems, tmp_path / "out", path) == 0
    assert np.abs(sum(parts(tmp_path / "out" / "song").values()) - audio).max() < 1e-4


def test_stems_are_those_of_an_offline_stft(tmp_path, four_stems):
    audio = song(tmp_path / "song.wav", 44100, 2, "FLOAT")
    assert separate(four_stems, tmp_path, tmp_path / "song.wav") == 0
    separator = Separator.load(four_stems)
    wanted = reference(separator, separator.metadata.modes["low"], audio, np.eye(4))
    files = parts(tmp_path / "song")
    for name, stem in zip(STEMS, wanted, strict=True):
        assert residual_db(files[name], stem) < -100


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 192000])
def test_the_identity_gives_back_the_song_in_its_place(tmp_path, identity, rate):
    time = np.arange(rate)[:, None] / rate
    audio = 0.3 * np.sin(2 * np.pi * (100 * time + 1300 * time**2) + np.array([0, 1]))
    soundfile.write(tmp_path / "song.wav", audio, rate, subtype="FLOAT")
    assert separate(identity, tmp_path / "out", tmp_path / "song.wav") == 0
    files = parts(tmp_path / "out" / "song", ("all", "remainder"))
    edge = rate // 10
    assert residual_db(files["all"][edge:-edge], audio[edge:-edge]) < -80


def test_songs_shorter_than_a_hop_are_separated(tmp_path, four_stems):
    for length in (1, 100, 300):
        soundfile.write(tmp_path / "song.wav", noise(length), 44100, subtype="FLOAT")
        assert separate(four_stems, tmp_path / "out", tmp_path / "song.wav") == 0
        files = parts(tmp_path / "out" / "song")
        assert np.abs(sum(files.values()) - noise(length)).max() < 1e-6


def test_songs_of_one_name_get_folders_of_their_own(tmp_path, identity):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first, second = (
        song(tmp_path / folder / "song.wav", 44100, 2, "FLOAT", seconds) for folder, seconds in (("a", 0.3), ("b", 0.2))
    )
    assert separate(identity, tmp_path / "out", tmp_path / "a" / "song.wav", tmp_path / "b" / "song.wav") == 0
    lengths = [soundfile.info(tmp_path / "out" / name / "all.wav").frames for name in ("song", "song-2")]
    assert lengths == [len(first), len(second)]


def test_a_bad_song_does_not_keep_the_others_from_being_separated(tmp_path, identity, capsys):
    song(tmp_path / "good.wav", 44100, 2, "FLOAT")
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    assert separate(identity, tmp_path / "out", tmp_path / "bad.wav", tmp_path / "good.wav") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]
    assert capsys.readouterr().err.startswith("error: ")


def test_the_song_itself_is_never_overwritten(tmp_path, identity, capsys):
    (tmp_path / "all").mkdir()
    audio = song(tmp_path / "all" / "all.wav", 44100, 2, "FLOAT")
    assert separate(identity, tmp_path, tmp_path / "all" / "all.wav") == 1
    assert "would overwrite the input" in capsys.readouterr().err
    assert np.array_equal(soundfile.read(tmp_path / "all" / "all.wav", dtype="float32")[0], audio)


def test_nor_are_the_other_songs_of_the_same_call(tmp_path, identity, capsys):
    (tmp_path / "song").mkdir()
    song(tmp_path / "song.wav", 44100, 2, "FLOAT")
    before = song(tmp_path / "song" / "remainder.wav", 44100, 2, "FLOAT", 0.3)
    assert separate(identity, tmp_path, tmp_path / "song.wav", tmp_path / "song" / "remainder.wav") == 1
    assert "would overwrite the input" in capsys.readouterr().err
    assert np.array_equal(soundfile.read(tmp_path / "song" / "remainder.wav", dtype="float32")[0], before)


def test_after_a_failure_midway_nothing_is_left_and_what_was_there_stays(tmp_path, poisoned, capsys):
    audio = noise(44100) * 0.5
    soundfile.write(tmp_path / "song.wav", audio, 44100, subtype="FLOAT")
    assert separate(poisoned, tmp_path / "out", tmp_path / "song.wav") == 0
    before = parts(tmp_path / "out" / "song", ("all", "remainder"))
    audio[30000] = 1000.0
    soundfile.write(tmp_path / "song.wav", audio, 44100, subtype="FLOAT")
    assert separate(poisoned, tmp_path / "out", tmp_path / "song.wav") == 1
    assert "not finite" in capsys.readouterr().err
    after = parts(tmp_path / "out" / "song", ("all", "remainder"))
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(tmp_path, identity, monkeypatch, problem):
    song(tmp_path / "song.wav", 44100, 2, "FLOAT")
    process, calls = Engine.process, iter(range(1000))

    def interrupted(engine: Engine, block: np.ndarray) -> bool:
        if next(calls) == 20:
            raise problem
        return process(engine, block)

    monkeypatch.setattr(Engine, "process", interrupted)
    if problem is KeyboardInterrupt:
        assert separate(identity, tmp_path / "out", tmp_path / "song.wav") == 130
    else:
        with pytest.raises(problem):
            separate(identity, tmp_path / "out", tmp_path / "song.wav")
    assert list((tmp_path / "out" / "song").iterdir()) == []


def test_samples_that_are_no_numbers_are_silence_and_reported(tmp_path, identity, capsys):
    audio = noise(20000)
    audio[5000:5010] = np.nan
    audio[6000, 1] = np.inf
    soundfile.write(tmp_path / "song.wav", audio, 44100, subtype="FLOAT")
    assert separate(identity, tmp_path / "out", tmp_path / "song.wav") == 0
    assert "21 samples that are not numbers" in " ".join(capsys.readouterr().out.split())
    files = parts(tmp_path / "out" / "song", ("all", "remainder"))
    assert np.abs(sum(files.values()) - np.where(np.isfinite(audio), audio, 0)).max() < 1e-4


def test_a_real_mixture_is_split_into_parts_that_sum_to_it(tmp_path, four_stems):
    path = SHARED / "data" / "real-mixtures" / "spleeter_audio_example.mp3"
    if not path.is_file():
        pytest.skip("the real mixtures are not beside this repository")
    audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert separate(four_stems, tmp_path, path, "--latency", "safe") == 0
    files = parts(tmp_path / path.stem)
    assert all(part.shape == audio.shape for part in files.values())
    assert np.abs(sum(files.values()) - audio).max() < 1e-4


def test_offline_and_the_live_engine_give_the_same_hops(four_stems):
    from realtime.offline import separate_array

    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes["lower"], noise(10000)
    stems = separate_array(separator, mode, audio)
    engine = Engine(separator, mode, 2, "stems", Mix((1.0,) * 4))
    hops = [engine.process(audio[at : at + mode.hop]) and engine.stems.copy() for at in range(0, 9900, mode.hop)]
    early = mode.synthesis - mode.hop
    live = np.concatenate(hops, axis=1)[:, early:]
    assert stems.shape == (4, 10000, 2)
    assert np.array_equal(stems[:, : live.shape[1]], live)
