"""`run_live.py perform`: a song through gestures into a file, each change on its sample, the same bits each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, STEMS
from playing import noise

import run_live
from realtime.performance import Performance, perform
from realtime.separator import Separator
from tests.test_gestures import LEAD, Rig

RATE = 44100
SECONDS = 2.0


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    soundfile.write(path, noise(round(SECONDS * RATE) + 13), RATE, subtype="FLOAT")
    return path


def gesture_file(folder: Path, text: str) -> Path:
    path = folder / "moves.gesture"
    path.write_text(text)
    return path


def run(separator: Path, song: Path, gesture: Path, out: Path, *more: str | Path) -> int:
    words = ["perform", song, "--gesture", gesture, "-o", out, "--model", separator, *more]
    return run_live.main([str(word) for word in words])


def sound(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def stems_in(folder: Path) -> np.ndarray:
    return np.stack([sound(folder / f"{name}.wav") for name in STEMS])


@pytest.mark.parametrize("latency", ["safe", "low", "extreme"])
@pytest.mark.parametrize("at", [0.5, 1.234567, 1.9])
def test_a_step_of_a_gain_begins_at_the_stated_sample(tmp_path, four_stems, song, latency, at):
    moves = gesture_file(tmp_path, f"0 /glide 0\n0 /preset all\n{at} /preset acapella\n")
    assert run(four_stems, song, moves, tmp_path / "out.wav", "--stems", tmp_path / "stems", "--latency", latency) == 0
    heard, stems = sound(tmp_path / "out.wav"), stems_in(tmp_path / "stems")
    assert len(heard) == len(sound(song)) == stems.shape[1]
    first = round(at * RATE)
    np.testing.assert_allclose(heard[:first], stems.sum(0)[:first], atol=1e-6)
    np.testing.assert_allclose(heard[first:], stems[0, first:], atol=1e-6)
    # Neither a sample sooner nor later would do.
    assert np.abs(heard[first - 1] - stems[0, first - 1]).max() > 1e-4
    assert np.abs(heard[first] - stems.sum(0)[first]).max() > 1e-4


def test_a_glide_begins_at_the_stated_sample_and_takes_its_time(tmp_path, four_stems, song):
    moves = gesture_file(tmp_path, "0 /glide 100\n0 /preset acapella\n1 /stem/vocals/gain 0\n")
    assert run(four_stems, song, moves, tmp_path / "out.wav", "--stems", tmp_path / "stems") == 0
    gains = np.ones((len(sound(song)), 1))
    gains[RATE : RATE + 4410, 0] = 1 - np.arange(1, 4411) / 4410
    gains[RATE + 4410 :] = 0
    np.testing.assert_allclose(sound(tmp_path / "out.wav"), gains * sound(tmp_path / "stems" / "vocals.wav"), atol=1e-6)


def test_two_performances_are_the_same_to_the_bit_in_processes_of_their_own(tmp_path, four_stems, song):
    moves = gesture_file(tmp_path, "0 /preset all\n0.3 /preset drums\n0.5..1.5 /condition 1 0 0.5 0\n1.7 /remainder/gain 0.5\n")
    digests = []
    for number in range(2):
        out = tmp_path / str(number)
        words = ["run_live.py", "perform", song, "--gesture", moves, "-o", out / "out.wav", "--stems", out / "stems", "--model", four_stems]
        subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, timeout=120, capture_output=True)
        files = sorted(path for path in out.rglob("*") if path.is_file())
        assert len(files) == 5
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("mode", ["safe", "extreme"])
def test_a_performance_in_single_is_repeatable_too(tmp_path, four_stems, song, mode):
    moves = gesture_file(tmp_path, "0 /preset all\n0.5 /preset drums\n1..1.5 /wet 0\n")
    outs = [tmp_path / f"{number}.wav" for number in range(2)]
    for out in outs:
        assert run(four_stems, song, moves, out, "--run", "single", "--latency", mode) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    changed = np.flatnonzero(np.abs(sound(outs[0])).max(1))
    assert len(changed) > RATE


def test_a_gesture_recorded_live_is_performed_with_the_same_values_on_the_same_samples(tmp_path, four_stems, song):
    """Recorded from a live host, saved, loaded, and performed; against the gains that the live engine was given."""
    rig = Rig(tmp_path)
    rig.state.set("/glide", 0)
    rig.state.set("/gesture/record", "live")
    moves = [(0.4, "/stem/vocals/gain", 0.3), (0.9, "/stem/drums/mute", 1), (1.3, "/preset", "melody"), (1.7, "/wet", 0.25)]
    for seconds, address, value in moves:
        rig.at(seconds, address, value)
    rig.at(2.1, "/gesture/stop")
    rig.until(2.2)
    live = [(at, mix) for at, mix in rig.landed if at > 0]
    # What came before the recording is none of it.
    take = (rig.folder / "live.gesture").read_text()
    (rig.folder / "live.gesture").write_text("0 /glide 0\n" + take)
    assert run(four_stems, song, rig.folder / "live.gesture", tmp_path / "out.wav", "--stems", tmp_path / "stems") == 0
    stems, mixture = stems_in(tmp_path / "stems"), sound(song)
    expected = stems.sum(0)
    for at, mix in live:
        wet = np.einsum("s,sxc->xc", np.array(mix.gains), stems)
        expected[at:] = (mix.wet * wet + (1 - mix.wet) * mixture)[at:]
    np.testing.assert_allclose(sound(tmp_path / "out.wav"), expected, atol=1e-6)
    # And played on the live host it gives them a fixed time later.
    rig.landed.clear()
    rig.at(5, "/gesture/play", "live")
    rig.until(8)
    again = [(at - round((5 + LEAD) * RATE), mix) for at, mix in rig.landed if at > round((5 + LEAD) * RATE)]
    assert [at for at, _ in again] == pytest.approx([at for at, _ in live], abs=1)
    for (_, mix), (_, other) in zip(again, live, strict=True):
        assert (*mix.gains, mix.wet) == pytest.approx((*other.gains, other.wet), rel=1e-6)


def test_a_live_run_on_the_clock_changes_on_the_samples_of_the_performance(tmp_path, identity, capsys):
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(3 * RATE), RATE, subtype="FLOAT")
    mute = f"/stem/{Separator.load(identity).metadata.stems[0]}/mute"
    moves = gesture_file(tmp_path, f"0 /glide 0\n2 {mute} 1\n2.5 {mute} 0\n")
    words = ["--device", "null", "--input", song, "--gesture", moves, "--record", tmp_path / "live.wav", "--latency", "safe"]
    words += ["--no-window", "--no-realtime", "--osc-port", 0, "--model", identity, "--run", "stems"]
    assert run_live.main([str(word) for word in words]) == 0
    if "misses 0 of" not in capsys.readouterr().out.splitlines()[-2]:
        pytest.skip("this machine was too busy to play in time")
    assert run(identity, song, moves, tmp_path / "out.wav", "--run", "stems") == 0
    heard, performed = sound(tmp_path / "live.wav"), sound(tmp_path / "out.wav")
    late = int(np.flatnonzero(np.abs(heard[: RATE // 2]).max(1))[0])
    assert not performed[2 * RATE : round(2.5 * RATE)].any() and performed[2 * RATE - 1].any()
    np.testing.assert_allclose(heard[late : late + round(2.7 * RATE)], performed[: round(2.7 * RATE)], atol=1e-6)


def test_the_demo_song_is_performed_as_the_documentation_says(tmp_path, identity, monkeypatch):
    # Cut short, and with a separator that costs nothing: the lines for stems it has not are named.
    import realtime.performance
    from realtime.demo import demo_song

    short = demo_song(3.0)
    monkeypatch.setattr(realtime.performance, "demo_song", lambda rate: short)
    performance = Performance("demo", (str(ROOT / "docs" / "control" / "demo.gesture"),), tmp_path / "out.wav")
    separator = Separator.load(identity)
    files, notices = perform(separator, separator.metadata.modes["low"], performance)
    assert files == [tmp_path / "out.wav"] and len(sound(files[0])) == len(short.mixture)
    assert notices[0].startswith("demo.gesture, line ") and "values: /preset takes one of" in notices[0]


def test_a_picture_is_drawn_or_what_it_needs_is_said(tmp_path, four_stems, song, monkeypatch):
    moves = gesture_file(tmp_path, "0 /preset all\n1 /preset drums\n1.5 /remainder/gain 0.5\n1.6 /wet 0.5\n")
    pytest.importorskip("matplotlib")
    assert run(four_stems, song, moves, tmp_path / "out.wav", "--picture", tmp_path / "out.png") == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(four_stems, song, moves, tmp_path / "no.wav", "--picture", tmp_path / "no.png") == 1
    assert not (tmp_path / "no.wav").exists()


REFUSED = [
    (["--speed", "0"], "gestures go 0.1 to 10 times"), (["--speed", "nan"], "gestures go"),
    (["--run", "single", "--stems", "x"], "--stems needs --run stems"), (["--picture", "x.jpg"], "no PNG"),
    (["-o", "out.mp3"], "is no WAV"), (["--gesture", "nowhere"], "there is no gesture 'nowhere'"),
    (["--preset", "karaoke"], "one of all, acapella"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "sentence"), REFUSED, ids=[" ".join(more) for more, _ in REFUSED])
def test_what_cannot_be_performed_is_said_before_anything_is_written(tmp_path, four_stems, song, capsys, monkeypatch, more, sentence):
    monkeypatch.chdir(tmp_path)
    moves = gesture_file(tmp_path, "0 /preset all\n")
    assert run(four_stems, song, moves, tmp_path / "out.wav", *more) == 1
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["moves.gesture"]


def test_neither_the_song_nor_a_gesture_is_written_over(tmp_path, four_stems, capsys):
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(1000), RATE)
    before = song.read_bytes()
    assert run(four_stems, song, gesture_file(tmp_path, "0 /preset all\n"), song) == 1
    assert "would overwrite" in capsys.readouterr().err and song.read_bytes() == before


def test_broken_lines_are_named_and_the_rest_is_performed(tmp_path, four_stems, song, capsys):
    moves = gesture_file(tmp_path, "0 /glide 0\n0 /preset drums\n0.5 /wett 1\n1 /preset acapella\n")
    assert run(four_stems, song, moves, tmp_path / "out.wav", "--stems", tmp_path / "stems") == 0
    assert "moves.gesture, line 3, address: there is no /wett" in capsys.readouterr().err
    np.testing.assert_allclose(sound(tmp_path / "out.wav")[RATE:], stems_in(tmp_path / "stems")[0, RATE:], atol=1e-6)


@pytest.mark.parametrize("rate", [48000, 22050])
def test_a_song_at_another_rate_is_performed_at_the_separators_and_says_so(tmp_path, swap, rate, capsys):
    soundfile.write(tmp_path / "song.wav", noise(rate, 1), rate)
    assert run(swap, tmp_path / "song.wav", gesture_file(tmp_path, "0.5 /wet 0\n"), tmp_path / "out.wav") == 0
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.frames, info.channels) == (RATE, RATE, 1)
    assert f"{rate} Hz, the performance the separator's 44100 Hz" in capsys.readouterr().err


def test_loop_and_speed_are_taken_from_the_command_line(tmp_path, identity, song):
    mute = f"/stem/{Separator.load(identity).metadata.stems[0]}/mute"
    moves = gesture_file(tmp_path, f"0 /glide 0\n0 {mute} 0\n0.5 {mute} 1\nlength 1\n")
    assert run(identity, song, moves, tmp_path / "out.wav", "--run", "stems", "--loop", "--speed", "2") == 0
    heard, quarter = sound(tmp_path / "out.wav"), RATE // 4
    loud = [bool(np.abs(heard[n * quarter : (n + 1) * quarter]).max() > 0) for n in range(8)]
    assert loud == [True, False] * 4
