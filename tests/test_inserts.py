"""Inserts: everything stays aligned, and a plugin that crashes, stalls or gives no numbers does not take the music with it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from playing import noise, play, residual_db

from realtime.chain import chain_for
from realtime.engine import Engine
from realtime.inserts import keeper as keeper_module
from realtime.inserts.insert import Insert, Place, Turn
from realtime.inserts.plugins import Plugins
from realtime.inserts.rack import delays_for
from realtime.mix import Mix
from realtime.outputs import routes_for
from realtime.separator import Separator
from realtime.stream import Stream
from realtime.successor import successor

BLOCK = 128
GAINS = (0.5, 1.0, 0.25, 0.8)


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(keeper_module, "OPENER", "fake_effects")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


class Run:
    """A stream with inserts; plugins are waited for, so that nothing hangs on how busy the machine is."""

    def __init__(self, path, *inserts: Insert, mode="low", mix=Mix(GAINS), pairs=0, patience=1e9, channels=2) -> None:
        self.separator = Separator.load(path)
        self.mode = self.separator.metadata.modes[mode]
        self.plugins = Plugins(inserts)
        self.pairs, self.patience, self.channels = pairs, patience, channels
        engine = self.engine(mix)
        chain = chain_for(engine, 44100)
        latency = chain.latency(BLOCK, BLOCK)
        self.stream = Stream(chain, latency, 44100, BLOCK, (channels, 2 * pairs or channels))

    def engine(self, mix: Mix) -> Engine:
        step, rest = self.mode.hop, self.mode.synthesis - self.mode.hop
        self.keepers = self.plugins.open(tuple(self.separator.metadata.stems), 44100, self.channels, step)
        rack = self.plugins.rack(self.keepers, step, rest, 44100, self.channels, BLOCK)
        engine = Engine(self.separator, self.mode, self.channels, "stems", mix, pairs=self.pairs, rack=rack)
        if rack is not None:
            rack.wait_for(self.patience)
        self.rack = rack
        self.plugins.take_over(self.keepers, rack)
        return engine

    def close(self) -> None:
        self.plugins.close()


@pytest.fixture
def run(four_stems):
    runs = []

    def make(*inserts: Insert, **options) -> Run:
        runs.append(Run(four_stems, *inserts, **options))
        return runs[-1]

    yield make
    for each in runs:
        each.close()


def heard_without(run, audio: np.ndarray, **options) -> tuple[np.ndarray, int]:
    plain = run(**options)
    return play(plain.stream, audio, BLOCK), plain.stream.latency.added


EVERYTHING = ("master", "vocals", "drums", "vocals:pre", "remainder", "remainder:pre", "dry")


@pytest.mark.parametrize("mode", ["low", "lower", "safe", "extreme"])
def test_all_that_leaves_stays_aligned_to_the_sample_behind_plugins_of_any_latency(run, mode):
    stems = ("vocals", "drums", "bass", "other")
    mix = Mix(GAINS, remainder=0.3, routes=routes_for(stems, EVERYTHING))
    audio = noise(16000)
    options = {"mode": mode, "mix": mix, "pairs": len(EVERYTHING)}
    plain, before = heard_without(run, audio, **options)
    late = run(Insert("vocals", 1, "delay:100"), Insert("vocals", 2, "delay:33"), Insert("master", 1, "delay:77"), **options)
    heard = play(late.stream, audio, BLOCK)
    added = late.stream.latency.inserts
    assert late.stream.latency.added == before + added
    hop = late.mode.hop
    assert late.rack.delays.whole == added and (added - 100 - 33 - 77 - 2 * 128) % hop == 0
    # A plugin comes in over a hop, from what is the same.
    assert np.abs(heard[added:] - plain[:-added]).max() < 1e-6
    assert [port.misses for port in late.rack.ports.values()] == [0, 0]


def test_a_gain_on_a_stem_and_on_the_master_is_heard_where_it_is(run):
    stems = ("vocals", "drums", "bass", "other")
    mix = Mix(GAINS, routes=routes_for(stems, EVERYTHING))
    options = {"mix": mix, "pairs": len(EVERYTHING)}
    audio = noise(16000)
    plain, _ = heard_without(run, audio, **options)
    inserted = run(Insert("vocals", 1, "gain:0.5"), Insert("master", 1, "gain:3"), **options)
    heard, added = play(inserted.stream, audio, BLOCK), inserted.stream.latency.inserts
    heard, plain = heard[6000:], plain[6000 - added : -added]
    pair = {name: slice(2 * i, 2 * i + 2) for i, name in enumerate(EVERYTHING)}
    vocals = plain[:, pair["vocals"]]
    wanted = 3 * (plain[:, pair["master"]] - 0.5 * vocals)
    assert residual_db(heard[:, pair["master"]], wanted) < -90
    assert residual_db(heard[:, pair["vocals"]], 0.5 * vocals) < -90
    # As it was separated, and what was not: plugins are not in these.
    for name in ("drums", "vocals:pre", "remainder:pre", "dry"):
        assert residual_db(heard[:, pair[name]], plain[:, pair[name]]) < -90


def test_without_inserts_nothing_is_added_and_nothing_changed(run, four_stems):
    audio = noise(8000)
    separator = Separator.load(four_stems)
    chain = chain_for(Engine(separator, separator.metadata.modes["low"], 2, "stems", Mix(GAINS)), 44100)
    stream = Stream(chain, chain.latency(BLOCK, BLOCK), 44100, BLOCK)
    heard, added = heard_without(run, audio)
    assert added == stream.latency.added and stream.latency.inserts == 0
    assert "inserts" not in stream.latency.text(44100)
    assert (heard == play(stream, audio, BLOCK)).all()


def test_gains_land_on_their_sample_behind_inserts_too(run):
    audio, later = noise(30000), Mix((0.0, 0.5, 1.0, 0.0), glide=0.001)
    plain, inserted = run(), run(Insert("drums", 1, "delay:10"), Insert("master", 1, "delay:20"))
    for each in (plain, inserted):
        each.stream.submit(later, 15000)
    added = inserted.stream.latency.inserts
    heard = play(inserted.stream, audio, BLOCK)
    assert np.abs(heard[added:] - play(plain.stream, audio, BLOCK)[:-added]).max() < 1e-5


@pytest.mark.parametrize("target", ["vocals", "master"])
def test_what_gives_no_numbers_is_left_out_faded_and_counted(run, target):
    audio = noise(16000)
    plain, _ = heard_without(run, audio)
    inserted = run(Insert(target, 1, "nan"))
    heard, added = play(inserted.stream, audio, BLOCK), inserted.stream.latency.inserts
    assert np.isfinite(heard).all()
    assert np.abs(heard[added:] - plain[:-added]).max() < 1e-6
    # What came before anything was handed over is not missed.
    assert inserted.rack.ports[target].misses == 16000 // inserted.mode.hop - -(-added // inserted.mode.hop)


def test_a_plugin_that_stumbles_over_a_loud_sample_comes_back(run):
    audio = noise(40000)
    audio[12000] = 4.0
    inserted = run(Insert("master", 1, "loud-nan"))
    heard, added = play(inserted.stream, audio, BLOCK), inserted.stream.latency.inserts
    plain, _ = heard_without(run, audio)
    assert np.abs(heard[added:] - plain[:-added]).max() < 1e-5
    assert 0 < inserted.rack.ports["master"].misses < 20


def wait_until(true, seconds: float = 30.0) -> None:
    due = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < due
        time.sleep(0.01)


@pytest.mark.parametrize(("kind", "word"), [("gain", "signal 11"), ("delay", "gave nothing back")])
def test_a_crash_and_a_stall_leave_no_gap_and_are_told_and_started_again_so_many_times(run, monkeypatch, kind, word):
    monkeypatch.setattr(keeper_module, "RESTARTS", 1)
    monkeypatch.setattr(keeper_module, "STALL", 0.3)
    audio = noise(40000)
    plain, _ = heard_without(run, audio)
    inserted = run(Insert("master", 1, f"{kind}:1"), patience=1e9)
    keeper = inserted.keepers["master"]
    troubled = []

    def infer(position: int) -> bool:
        if position == 5120:
            inserted.plugins.order(Turn("master", 1, 2, 1.0))
            inserted.rack.wait_for(0.5)
        if position == 15104:
            # It has been started again, with what was turned, and fails again.
            wait_until(lambda: keeper._restarts == 1 and (keeper.line() is not None or inserted.plugins.said.qsize() >= 2))
        if position == 25088:
            wait_until(lambda: keeper.line() is None and inserted.plugins.said.qsize() >= 2)
            inserted.plugins.beat()
            troubled.append(inserted.rack.ports["master"].misses)
        return True

    heard, added = play(inserted.stream, audio, BLOCK, infer), inserted.stream.latency.inserts
    assert inserted.stream.misses == 0 and inserted.stream.bridge.counts().gaps == 0
    assert np.abs(heard[added:] - plain[:-added]).max() < 1e-5
    wait_until(lambda: inserted.plugins.said.qsize() >= 2)
    said = [inserted.plugins.said.get() for _ in range(2)]
    assert word in said[0] and "started again" in said[0]
    assert "stays without" in said[1]
    assert troubled[0] > 0
    # What is given up is missed no more.
    assert inserted.rack.ports["master"].misses <= troubled[0] + 1
    assert inserted.plugins.news()[0].state.startswith("failed: ")


def test_parameters_reach_the_plugin_and_come_back_as_text(run):
    inserted = run(Insert("master", 1, "gain:1"))
    keeper = inserted.keepers["master"]
    assert [p.name for p in keeper.parameters[1]] == ["Gain", "Trouble"]
    inserted.plugins.order(Turn("master", 1, 1, 0.25))
    wait_until(lambda: keeper.parameters[1][0].text == "0.50 x")
    audio = noise(12000)
    heard, added = play(inserted.stream, audio, BLOCK), inserted.stream.latency.inserts
    plain, _ = heard_without(run, audio)
    assert residual_db(heard[6000:], 0.5 * plain[6000 - added : -added]) < -90


def test_a_bypass_glides_to_the_aligned_sound_as_it_was(run):
    inserted = run(Insert("master", 1, "delay:50"), Insert("master", 2, "gain:0.25"))
    audio = noise(40000)
    plain, _ = heard_without(run, audio)

    def infer(position: int) -> bool:
        if position == 20096:
            inserted.plugins.order(Turn("master", 2, 0, 1))
        return True

    heard, added = play(inserted.stream, audio, BLOCK, infer), inserted.stream.latency.inserts
    assert residual_db(heard[10000:20000], 0.25 * plain[10000 - added : 20000 - added]) < -90
    assert residual_db(heard[26000:], plain[26000 - added : -added]) < -90
    ratio = heard[20000:26000] / plain[20000 - added : 26000 - added]
    steps = np.diff(np.median(ratio, axis=1))
    assert np.abs(steps).max() < 0.002


def test_inserts_come_and_go_while_music_plays_without_a_miss_or_a_click(run):
    audio = noise(50000)
    plain = run(mix=Mix(GAINS))
    reference, _ = heard_without(run, audio)
    before = plain.stream.latency.added

    done = set()

    def infer(position: int) -> bool:
        if position in done:
            return True
        done.add(position)
        if position == 15104:
            plain.plugins.order(Place("master", 1, "delay:40"))
            assert plain.plugins.stale
        elif position == 32000:
            plain.plugins.order(Place("master", 1, ""))
        else:
            return True
        old = plain.plugins.keepers
        plain.plugins.keepers = {}
        engine = plain.engine(Mix(GAINS))
        latency = chain_for(engine, 44100).latency(BLOCK, BLOCK)
        plain.stream.succeed(successor(plain.stream, engine, latency))
        plain.old = old
        return True

    heard = play(plain.stream, audio, BLOCK, infer)
    for keeper in plain.old.values():
        keeper.close()
    assert plain.stream.misses == 0 and plain.stream.bridge.counts().gaps == 0
    assert plain.stream.latency.added == before
    added = delays_for({"master": 40}, plain.mode.hop, plain.mode.synthesis - plain.mode.hop, 44100, BLOCK).whole
    assert residual_db(heard[:15000], reference[:15000]) < -100
    assert residual_db(heard[22000:31900], reference[22000 - added : 31900 - added]) < -100
    assert residual_db(heard[38000:], reference[38000:]) < -100


def test_what_cannot_be_loaded_is_told_in_a_sentence_and_the_rest_plays(run):
    inserted = run(Insert("master", 1, "missing.vst3"), Insert("master", 2, "gain:0.5"), Insert("drums", 1, "dies"))
    assert set(inserted.keepers) == {"master"} and inserted.keepers["master"].slots == (2,)
    said = [inserted.plugins.said.get() for _ in range(2)]
    assert "insert 1 of master: there is no missing.vst3" in said[0]
    assert "insert 1 of drums: dies ended its process while it was loaded" in said[1]
    states = {(each.target, each.slot): each.state for each in inserted.plugins.news()}
    assert states["master", 2] == "running" and states["drums", 1].startswith("failed: ")


def test_what_is_chosen_while_another_is_loaded_is_loaded_next_and_turned_on_nothing_else(run):
    inserted = run(Insert("master", 1, "gain:1"))
    plugins, keeper = inserted.plugins, inserted.keepers["master"]
    plugins.order(Place("master", 1, "gain:0.5"))
    plugins.order(Turn("master", 1, 1, 0.9))
    plugins.order(Turn("master", 1, 0, 1.0))
    # What plays until then is left as it was.
    assert keeper._inserts[1] == Insert("master", 1, "gain:1") and plugins.stale
    keepers = plugins.open((), 44100, 2, inserted.mode.hop)
    plugins.order(Place("master", 1, "delay:10"))
    plugins.take_over(keepers, None)
    assert plugins.stale and plugins.news()[0].state == "loading"
    assert keepers["master"]._inserts[1] == Insert("master", 1, "gain:0.5", True, ((1, 0.9),))


def test_a_plugin_that_ends_is_not_waited_for_where_there_is_no_clock(run, monkeypatch):
    monkeypatch.setattr(keeper_module, "RESTARTS", 0)
    monkeypatch.setattr(keeper_module, "STALL", 0.3)
    inserted, audio = run(Insert("master", 1, "delay:1"), patience=math.inf), noise(10000)

    def infer(position: int) -> bool:
        if position == 5120:
            inserted.plugins.order(Turn("master", 1, 2, 1.0))
        return True

    heard, added = play(inserted.stream, audio, BLOCK, infer), inserted.stream.latency.inserts
    plain, _ = heard_without(run, audio)
    assert np.abs(heard[added:] - plain[:-added]).max() < 1e-5


def test_a_plugin_that_never_returns_does_not_outlive_its_host():
    if not hasattr(os, "fork"):
        pytest.skip("looks for the process as POSIX has it")
    program = """
import os, time, numpy as np
from realtime.inserts import keeper
from realtime.inserts.insert import Insert
keeper.OPENER, keeper.STUCK = "fake_effects", 2.0
made = keeper.Keeper(keeper.Setup(44100, 2, 64), [Insert("master", 1, "delay:1", values=((2, 1.0),))])
assert made.load()
made.line().send(0, np.zeros((64, 2), np.float32))
made.wake()
time.sleep(0.3)
print(made._life.process.pid, flush=True)
os._exit(0)
"""
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    pid = int(told.stdout)
    try:
        wait_until(lambda: not _runs(pid), 20)
    finally:
        if _runs(pid):
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not os.path.isdir("/proc/self")


def test_stems_that_were_prepared_go_through_plugins_on_the_sample(run, four_stems):
    audio, shares = noise(16000), np.array([0.4, 0.3, 0.2, 0.1], np.float32)
    rows = np.concatenate([audio, *(share * audio for share in shares), np.zeros((len(audio), 1), np.float32)], axis=1)
    inserted = run(Insert("vocals", 1, "gain:0.5"), Insert("master", 1, "delay:77"))
    engine = Engine(inserted.separator, inserted.mode, 2, "stems", Mix((1.0, 1.0, 0.0, 0.0), remainder=1.0), prepared=True, rack=inserted.rack)
    heard = []
    for at in range(0, len(rows) - engine.step + 1, engine.step):
        assert engine.process(rows[at : at + engine.step])
        heard.append(engine.master.copy())
    heard = np.concatenate(heard)[-(engine.start + engine.step) :]
    # The vocals behind the plugin, the drums, and what is left of the mixture: nothing.
    wanted = (0.5 * shares[0] + shares[1]) * audio
    assert residual_db(heard[2000:], wanted[2000 : len(heard)]) < -90
