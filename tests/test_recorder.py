"""Recording at any time: aligned to the sample, what was done beside it, whole after any end, and never in the sound's way."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, STEMS
from playing import residual_db
from test_control import Engine as FakeEngine

from realtime import recorder
from realtime.aligned import Aligned
from realtime.control import Refused
from realtime.devices.file import FileSink
from realtime.errors import HostError
from realtime.host import Host, OscAddress
from realtime.latency import Latency
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.recorder import ADDRESSES, Recorder
from realtime.state import Change, ControlState, Message
from realtime.take import CHANGES, Take
from realtime.tape import check_folder
from realtime.taps import Description, Layout, Taps
from realtime.track import Stretch
from realtime.turn import Anchor, Turn
from realtime.work import WorkCounts

ORIGIN = 1000.0
DELAY = 700


def description(names: tuple[str, ...] = STEMS, rate: int = 44100) -> Description:
    return Description(names, names or ("",), rate, 44100.0, 512, 128, Latency(512, 384, 128))


class Run:
    """An engine as the recorder sees it: `play` gives it sound, and the wall clock goes with it."""

    def __init__(self, folder: Path, capacity: int = 1 << 16) -> None:
        link = FakeEngine()
        self.wall = ORIGIN
        self.state = ControlState(STEMS, link, lambda: self.wall)
        self.taps: Taps | None = Taps(Layout(2, capacity))
        self.taps.describe(description())
        self.at = self.hops = 0
        self.recorder = Recorder(self.state, lambda: self.taps)
        link.change = lambda address, value: self.recorder.change(address, value)
        self.state.checks |= dict.fromkeys(ADDRESSES, self.recorder.check)
        self.state.set("/record/folder", str(folder))
        self.play(0)

    def play(self, count: int, stems: bool = True, left_out: bool = False) -> None:
        """Take in `count` samples of `sound`, of which what was DELAY ago comes out."""
        at, end = self.at, self.at + count
        self.taps.input.write(at, self.taps.generation, sound(0, at, end))
        if not left_out:
            rest = np.stack([sound(row, at - DELAY, end - DELAY) for row in range(2, 6)])
            master = sound(1, at - DELAY, end - DELAY)
            self.taps.output.write(at - DELAY, self.taps.generation, master, rest if stems else None)
        self.at, self.hops = end, self.hops + 1
        self.taps.count(self.hops, 0, 0, end, ORIGIN, WorkCounts(), None)
        self.wall = ORIGIN + end / 44100

    def finish(self) -> list[Path]:
        self.recorder.close()
        return sorted(self.recorder.folders)


def sound(row: int, start: int, end: int) -> np.ndarray:
    """Sound that tells its row and its positions, below 1."""
    return ((np.arange(start, end)[:, None] * 8 + row) / 2**22 * np.ones(2)).astype(np.float32)


def until(done, seconds: float = 15) -> None:
    due = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < due
        time.sleep(0.01)


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def rows_of(folder: Path) -> list[list[str]]:
    """The control changes of a take, split, without those of its beginning."""
    lines = (folder / CHANGES).read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")][1:]
    return [row for row in rows if row[0] != "0"]


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "takes")
    yield run
    run.recorder.close()


# Files.


def test_a_take_begins_and_ends_on_the_same_sample_in_every_file(run):
    run.play(5000)
    run.state.set("/record", 1)
    assert run.state.value("/record/state") == ("recording",)
    for _ in range(20):
        run.play(700)
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    names = ["mixture", "master", *STEMS]
    assert sorted(path.name for path in folder.iterdir()) == sorted([CHANGES, *(f"{name}.wav" for name in names)])
    for row, name in enumerate(names):
        assert np.array_equal(read(folder / f"{name}.wav"), sound(row, 5000, 5000 + 20 * 700)), name
    assert run.state.value("/record/state") == ("off",)
    assert run.state.value("/record") == (0,)
    assert run.state.value("/record/seconds")[0] == pytest.approx(14000 / 44100)


def test_all_takes_of_a_run_are_remembered(run):
    for takes in (1, 2):
        run.state.set("/record", 1)
        run.play(5000)
        until(lambda takes=takes: len(run.recorder.folders) == takes)
        run.state.set("/record", 0)
        run.play(DELAY)
        until(lambda: run.state.value("/record/state") == ("off",))
    assert len(set(run.finish())) == 2


def test_a_take_of_the_whole_run_begins_with_its_first_sample(run):
    run.play(3000)
    run.recorder.start(whole=True)
    run.play(2000)
    until(lambda: run.state.value("/record/seconds")[0] > 0)
    run.recorder.stop()
    run.play(DELAY)
    (folder,) = run.finish()
    assert np.array_equal(read(folder / "mixture.wav"), sound(0, 0, 5000))
    assert np.array_equal(read(folder / "bass.wav"), sound(4, 0, 5000))


def test_only_what_is_chosen_is_recorded(run):
    for kind in ("mixture", "stems"):
        run.state.set(f"/record/{kind}", 0)
    run.state.set("/record", 1)
    run.play(3000)
    (folder,) = run.finish()
    assert sorted(path.name for path in folder.iterdir()) == [CHANGES, "master.wav"]
    run.state.set("/record/master", 0)
    with pytest.raises(Refused, match="there is nothing to record"):
        run.state.set("/record", 1)


def test_what_was_left_out_is_silent_and_told_and_the_mixture_is_whole(run):
    run.state.set("/record", 1)
    run.play(3000)
    run.play(1000, left_out=True)
    run.play(3000)
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    master = sound(1, 0, 7000)
    master[3000 - DELAY : 4000 - DELAY] = 0
    assert np.array_equal(read(folder / "master.wav"), master)
    assert np.array_equal(read(folder / "mixture.wav"), sound(0, 0, 7000))
    assert "were not there in time, and are silent" in (folder / CHANGES).read_text()


def test_what_the_disk_was_too_slow_for_is_silent_and_told_and_all_files_stay_aligned(tmp_path, monkeypatch):
    run = Run(tmp_path, capacity=1 << 14)
    blocked, begun, write = threading.Event(), threading.Event(), FileSink.write

    def slow(sink: FileSink, block: np.ndarray) -> None:
        begun.set()
        blocked.wait(30)
        write(sink, block)

    monkeypatch.setattr(FileSink, "write", slow)
    run.state.set("/record", 1)
    run.play(4000)
    begun.wait(15)
    for _ in range(40):
        run.play(1000)
    blocked.set()
    until(lambda: run.state.value("/record/lost")[0] > 0)
    run.play(2000)
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    for row, name in enumerate(["mixture", "master", *STEMS]):
        found, wanted = read(folder / f"{name}.wav"), sound(row, 0, 46000)
        assert len(found) == 46000
        assert ((found == wanted) | (found == 0)).all()
        assert np.array_equal(found[-2000:], wanted[-2000:])
    assert "the disk was too slow" in run.state.value("/notice")[0]
    assert "the disk was too slow" in (folder / CHANGES).read_text()


def test_where_other_stems_take_over_a_new_part_goes_on_with_the_next_sample(run):
    run.state.set("/record", 1)
    run.play(3000)
    run.taps.describe(description(()))
    run.play(3000, stems=False)
    run.state.set("/record", 0)
    run.play(DELAY, stems=False)
    first, second = run.finish()
    assert second.name.endswith("_part-2")
    length = 3000 - DELAY
    assert np.array_equal(read(first / "vocals.wav"), sound(2, 0, length))
    assert np.array_equal(read(first / "mixture.wav"), sound(0, 0, length))
    assert sorted(path.name for path in second.iterdir()) == [CHANGES, "master.wav", "mixture.wav"]
    assert np.array_equal(read(second / "mixture.wav"), sound(0, length, 6000))
    assert np.array_equal(read(second / "master.wav"), sound(1, length, 6000))


def test_a_device_that_comes_back_begins_a_new_part(run):
    run.state.set("/record", 1)
    run.play(3000)
    until(lambda: run.state.value("/record/seconds")[0] > 0)
    run.taps, run.at = None, 0
    until(lambda: any("ended after" in (folder / CHANGES).read_text() for folder in run.recorder.folders))
    run.taps = Taps(Layout(2, 1 << 16))
    run.taps.describe(description())
    run.play(5000)
    until(lambda: len(run.recorder.folders) == 2)
    run.recorder.stop()
    run.play(DELAY)
    first, second = run.finish()
    assert np.array_equal(read(first / "master.wav"), sound(1, 0, 3000 - DELAY))
    assert np.array_equal(read(second / "master.wav"), sound(1, 0, 5000))


def test_flac_is_made_of_the_files_once_the_take_has_ended(run):
    run.state.set("/record/format", "flac")
    run.state.set("/record", 1)
    run.play(9000)
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    assert sorted({path.suffix for path in folder.iterdir()}) == [".flac", ".tsv"]
    assert soundfile.info(folder / "drums.flac").subtype == "PCM_24"
    assert np.abs(read(folder / "drums.flac") - sound(3, 0, 9000)).max() < 2**-23


@pytest.mark.parametrize("rate", [48000, 44100, 96000])
def test_the_input_of_a_device_at_another_rate_is_aligned_with_what_comes_out(rate):
    low = np.sin(np.linspace(0, 400, rate))[:, None] * np.ones(2)
    aligned = Aligned(rate, 44100, 147 * 10, 2)
    begin = 147 * 10 * rate // 44100
    for at in range(0, rate, 1000):
        if at != 60 * 1000 // 4:
            aligned.add(Stretch(at, 1, low[None, at : at + 1000].astype(np.float32)))
    aligned.finish()
    found = aligned.take(44100)
    places = np.arange(len(found)) * rate / 44100 + begin
    wanted = np.interp(places, np.arange(rate), low[:, 0])
    heard = np.ones(len(found), bool)
    heard[int((15000 - begin) * 44100 / rate) - 2000 : int((16000 - begin) * 44100 / rate) + 2000] = False
    heard[int((rate - begin) * 44100 / rate) - 2000 :] = heard[:2000] = False
    assert residual_db(found[heard, 0], wanted[heard]) < -60


# What was done.


def test_the_text_beside_the_files_has_every_change_with_its_sample(run):
    run.play(2000)
    run.state.set("/record", 1)
    run.play(4410)
    run.state.set("/preset", "no drums")
    run.state.apply([Change((Message("/glide", (0.0,)), Message("/wet", (0.5,))), due=ORIGIN + 1.0)])
    run.play(44100)
    run.state.advance()
    run.state.set_info("/mode", "lower")
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    assert rows_of(folder) == [
        ["4410", "0.100000", "/preset", '"no drums"'],
        [f"{44100 - 2000}", f"{42100 / 44100:.6f}", "/glide", "0.0"],
        [f"{44100 - 2000}", f"{42100 / 44100:.6f}", "/wet", "0.5"],
        ["48510", "1.100000", "/mode", '"lower"'],
    ]
    text = (folder / CHANGES).read_text()
    assert '0\t0.000000\t/preset\t"all"' in text
    assert text.splitlines()[-1] == "# ended after 48510 samples, 1.100 s"


def test_what_waited_for_its_time_before_the_take_is_in_its_text(run):
    run.state.apply([Change((Message("/wet", (0.5,)),), due=ORIGIN + 0.5)])
    run.state.set("/record", 1)
    run.play(44100)
    run.state.advance()
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    assert rows_of(folder) == [["22050", "0.500000", "/wet", "0.5"]]


def test_what_a_hand_took_out_of_a_gesture_is_not_in_the_text(run):
    run.state.set("/record", 1)
    turn = Turn(ORIGIN, ORIGIN + 9, Anchor(ORIGIN))
    for due, wet in ((0.1, 0.9), (0.3, 0.7)):
        run.state.apply([Change((Message("/wet", (wet,)), Message("/glide", (wet,))), ORIGIN + due, turn)])
    turn.take(["/wet"], ORIGIN + 0.2)
    run.play(44100)
    run.state.advance()
    run.state.set("/record", 0)
    run.play(DELAY)
    (folder,) = run.finish()
    assert [(row[2], row[3]) for row in rows_of(folder)] == [("/wet", "0.9"), ("/glide", "0.9"), ("/glide", "0.7")]


# What goes wrong.


def test_a_take_without_any_sound_is_told_and_leaves_nothing(run):
    run.taps = None
    run.state.set("/record", 1)
    run.state.set("/record", 0)
    assert run.finish() == []
    assert run.state.value("/notice")[0].startswith("nothing was recorded")


def test_a_folder_that_cannot_be_written_stops_the_recording_with_a_notice(run, tmp_path):
    (tmp_path / "file").write_text("")
    run.state.set("/record/folder", str(tmp_path / "file" / "below"))
    run.state.set("/record", 1)
    until(lambda: run.state.value("/record") == (0,))
    assert run.state.value("/record/state")[0].startswith("stopped: ")
    assert "choose another" in run.state.value("/notice")[0]
    with pytest.raises(Refused, match="a whole path"):
        run.state.set("/record/folder", "below/here")
    with pytest.raises(Refused, match="a whole path"):
        run.state.set("/record/folder", "~nobody-of-this-name/takes")


def test_a_full_disk_stops_the_recording_with_a_notice_and_its_files_open(run, monkeypatch):
    write, room = FileSink.write, [60000]

    def full(sink: FileSink, block: np.ndarray) -> None:
        room[0] -= len(block)
        if room[0] < 0:
            raise HostError(f"writing {sink.path} failed (No space left on device); the recording ends here.")
        write(sink, block)

    monkeypatch.setattr(FileSink, "write", full)
    run.state.set("/record", 1)
    for _ in range(60):
        run.play(1000)
        time.sleep(0.005)
    until(lambda: run.state.value("/record") == (0,))
    assert "No space left" in run.state.value("/record/state")[0]
    assert run.state.value("/notice")[0].endswith("The sound goes on.")
    for path in run.recorder.folders[0].glob("*.wav"):
        found = read(path)
        assert np.array_equal(found[:, 0] > 0, np.ones(len(found), bool) & (found[:, 0] > 0))
    monkeypatch.undo()
    run.state.set("/record", 1)
    run.play(1000)
    run.state.set("/record", 0)
    run.play(DELAY)
    run.finish()
    assert run.state.value("/record/state") == ("off",)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_file_that_may_not_grow_ends_with_a_sentence_and_opens(tmp_path):
    code = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from realtime.errors import HostError\n"
        "from realtime.take import Take\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "take = Take(Path(sys.argv[1]), ('master',), 44100, 2, 0.0, {})\n"
        "try:\n"
        "    while True:\n"
        "        take.write([np.ones((4410, 2), np.float32)], 4410); take.update()\n"
        "except HostError as problem:\n"
        "    print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "the recording ends here" in done.stdout, done.stderr
    assert soundfile.info(tmp_path / "master.wav").frames >= 20000


def test_every_address_of_the_recorder_is_in_the_table():
    controls = ControlState(STEMS, FakeEngine()).controls
    assert all(controls[address].kind == "choice" for address in ADDRESSES)


def test_a_take_that_cannot_begin_leaves_no_open_file(tmp_path):
    (tmp_path / "master.wav").mkdir()
    with pytest.raises(HostError, match="cannot be written"):
        Take(tmp_path, ("mixture", "master"), 44100, 2, 0.0, {})


def test_the_end_does_not_wait_for_ever_for_flac_and_leaves_whole_wav_behind(run, monkeypatch):
    monkeypatch.setattr(recorder, "LONGEST_END", 0.3)
    begun, read_on = threading.Event(), soundfile.SoundFile.read

    def slow(file, *arguments, **options):
        begun.set()
        time.sleep(0.5)
        return read_on(file, *arguments, **options)

    run.state.set("/record/format", "flac")
    run.state.set("/record", 1)
    run.play(5000)
    monkeypatch.setattr(soundfile.SoundFile, "read", slow)
    due = time.monotonic() + 10
    (folder,) = run.finish()
    monkeypatch.undo()
    assert begun.is_set() and time.monotonic() < due
    assert np.array_equal(read(folder / "mixture.wav"), sound(0, 0, 5000))
    assert np.array_equal(read(folder / "bass.wav")[: 5000 - DELAY], sound(4, 0, 5000 - DELAY))
    assert not list(folder.glob("*.part"))
    assert any("WAV files that were not FLAC by the end of the host, and are whole" in each for each in run.recorder.remarks)


def test_a_folder_that_cannot_be_recorded_to_is_said_before_the_start(tmp_path, identity):
    (tmp_path / "file").write_text("")
    before = set(threading.enumerate())
    plan = Plan(identity, Mix(()), device="null", realtime=False)
    with pytest.raises(HostError, match="cannot be made a folder"):
        Host(plan, OscAddress(port=0), record_to=tmp_path / "file" / "below")
    assert set(threading.enumerate()) <= before
    if sys.platform == "linux":
        with pytest.raises(HostError, match="nothing can be written to /proc"):
            check_folder(Path("/proc"))
    check_folder(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
