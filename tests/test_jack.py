"""The whole host, started as a user starts it, between a player and a recorder on a JACK server without hardware."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from realtime.demo import demo_song
from realtime.mix import Mix
from realtime.packets import encode
from realtime.presets import presets_for
from realtime.separator import Separator
from tests.hearing import RATE, brightness, cross_fade, find_fade, level
from tests.jack_peers import MODE, PERIOD, Host, host, jack_host, play_through, reference
from tests.jack_server import jack_missing, jack_server

# What PortAudio adds over JACK: it plays a period what it was given a period before.
PORTAUDIO = PERIOD
GLIDE = round(0.03 * RATE)

pytestmark = pytest.mark.skipif(jack_missing() is not None, reason=str(jack_missing()))


@pytest.fixture(scope="module")
def separator(four_stems) -> Path:
    """One with memory that settles in silence, of which there is as much as the machine takes to get going."""
    return four_stems


@pytest.fixture(scope="module")
def mixes(separator) -> dict[str, Mix]:
    presets = presets_for(Separator.load(separator).metadata.stems)
    return {name: Mix(gains) for name, gains in presets.items()}


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return demo_song(4.0).mixture


def end(running: Host) -> None:
    assert running.stop() == 0, running.stderr
    assert "Traceback" not in running.stderr


# Freewheeling.


@pytest.fixture(scope="module")
def lockstep(separator) -> Iterator[Host]:
    with jack_server(RATE, PERIOD) as environment, jack_host(separator, environment, "--lockstep") as running:
        yield running
        end(running)


def test_bypass_gives_the_input_back_to_the_bit_after_the_reported_latency(lockstep, song, tmp_path):
    lockstep.tell("/bypass", "i", 1)
    assert lockstep.ask("/bypass") == (1,)
    take = play_through(lockstep, song, tmp_path, freewheel=True)
    delay = take.added + PORTAUDIO
    assert np.array_equal(take.sound[delay:][: len(song)], song)
    assert not take.sound[:delay].any()
    assert f"= {take.added} samples" in lockstep.stdout


def test_separation_equals_the_offline_result_after_the_reported_latency(lockstep, separator, song, tmp_path):
    gains = (0.5, 1.0, 0.0, 0.25)
    lockstep.tell("/bypass", "i", 0)
    lockstep.tell("/condition", "ffff", *gains)
    assert np.allclose(lockstep.ask("/condition"), gains, atol=1e-6)
    take = play_through(lockstep, song, tmp_path, freewheel=True)
    wanted = reference(separator, song, Mix(gains))
    assert level(wanted, song) > -60
    assert np.abs(take.sound[take.added + PORTAUDIO :][: len(song)] - wanted).max() <= 1e-5


PAIRS = ("master", "vocals", "drums:pre", "bass", "other", "remainder", "dry")


def test_each_stem_leaves_on_ports_of_its_own_to_the_sample(separator, song, tmp_path):
    song = song[:RATE]
    gains = (0.5, 1.0, 0.25, 1.0)
    options = ("--lockstep", "--outputs", ",".join(PAIRS))
    with (
        jack_server(RATE, PERIOD, playback=2 * len(PAIRS)) as environment,
        jack_host(separator, environment, *options) as running,
    ):
        running.tell("/condition", "ffff", *gains)
        assert np.allclose(running.ask("/condition"), gains, atol=1e-6)
        first = play_through(running, song, tmp_path, freewheel=True)
        # Another routing, live.
        for pair, source in enumerate(reversed(PAIRS), 1):
            running.tell(f"/output/{pair}/source", "s", source)
        assert running.ask(f"/output/{len(PAIRS)}/source") == ("master",)
        second = play_through(running, song, tmp_path, freewheel=True)
        end(running)
    alone = [reference(separator, song, Mix(tuple(float(i == s) for s in range(4)))) for i in range(4)]
    wanted = {
        "master": reference(separator, song, Mix(gains)),
        "vocals": 0.5 * alone[0],
        "drums:pre": alone[1],
        "bass": 0.25 * alone[2],
        "other": alone[3],
        "remainder": 0 * song,
        "dry": song,
    }
    for take, names in ((first, PAIRS), (second, reversed(PAIRS))):
        heard = take.sound[take.added + PORTAUDIO :][: len(song)]
        assert heard.shape[1] == 2 * len(PAIRS)
        for pair, name in enumerate(names):
            assert np.abs(heard[:, 2 * pair : 2 * pair + 2] - wanted[name]).max() <= 1e-5, name
    assert level(wanted["vocals"], song) > -60


def test_more_pairs_than_the_device_has_are_refused_with_a_sentence(separator):
    with (
        jack_server(RATE, PERIOD, playback=4) as environment,
        host(
            *("--device", "system", "--model", str(separator), "--outputs", "master,vocals,drums"), environment=environment
        ) as running,
    ):
        assert running.wait() == 1
    assert "system has 4 output channels, not 6" in running.stderr
    assert "Traceback" not in running.stderr


# In real time.


def test_the_inference_thread_plays_in_real_time(separator, song, mixes, tmp_path, capsys):
    with jack_server(RATE, PERIOD) as environment, jack_host(separator, environment) as running:
        take = play_through(running, song, tmp_path)
        end(running)
    wanted = reference(separator, song, mixes["all"])
    heard = take.sound[take.added + PORTAUDIO :][: len(song)]
    residual = level(heard - wanted, wanted)
    with capsys.disabled():
        print(f"\n[in real time: {take.misses} misses, {take.xruns} xruns, residual {residual:.1f} dB] ", end="")
    assert level(take.sound, song) > -40
    # A machine that was busy elsewhere has lost hops or periods, and the host says so.
    if take.misses == take.xruns == 0:
        assert np.abs(heard - wanted).max() <= 1e-5


@pytest.mark.parametrize("run", ["stems", "single"])
def test_a_foreign_client_switches_presets_while_it_plays(separator, song, mixes, tmp_path, capsys, run):
    """Lockstep, so that a busy machine loses nothing; in real time, so that moments of wall-clock time mean something."""
    if shutil.which("oscsend") is None:
        pytest.skip("oscsend (liblo-tools) is not installed")

    def switch() -> dict:
        time.sleep(1.0)
        asked = time.time()
        command = ["oscsend", "127.0.0.1", str(running.port), "/preset", "s", "drums"]
        subprocess.run(command, check=True, timeout=20)
        while running.ask("/preset") != ("drums",):
            pass
        handled = time.time()
        due = handled + 0.8
        message = encode("/preset", "s", ("melody",))
        bundle = b"#bundle\0" + struct.pack(">Qi", round((due + 2_208_988_800) * 2**32), len(message)) + message
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(bundle, ("127.0.0.1", running.port))
        return {"asked": asked, "handled": handled, "due": due}

    options = ("--lockstep", "--run", run, "--preset", "instrumental")
    with jack_server(RATE, PERIOD) as environment, jack_host(separator, environment, *options) as running:
        take = play_through(running, song, tmp_path, during=switch)
        end(running)
    heard = take.sound[take.added + PORTAUDIO :][: len(song)]
    first, second, third = (reference(separator, song, mixes[name], run) for name in ("instrumental", "drums", "melody"))
    # At a moment, the period that begins has been taken in.
    asked, handled, due = (take.index_at(take.notes[name]) + PERIOD for name in ("asked", "handled", "due"))
    middle = round(due) - RATE // 4

    def switched(before: np.ndarray, after: np.ndarray, part: slice) -> int:
        now, before, after = heard[part], before[part], after[part]
        if run == "stems":
            begun = find_fade(now, before, after, GLIDE)
            faded = cross_fade(before, after, begun, GLIDE)
            assert level((now - faded)[begun : begun + GLIDE], faded[begun : begun + GLIDE]) <= -60
            assert np.abs(now - faded).max() <= 1e-5
        else:
            begun = int(np.flatnonzero(np.abs(now - before).max(axis=1) > 1e-5)[0])
            rest = slice(begun + RATE // 4, None)
            assert level((now - after)[rest], after[rest]) <= -60
        assert brightness(now, begun, GLIDE, before, after) <= 1
        return part.start + begun

    by_message = switched(first, second, slice(0, middle))
    by_tag = switched(second, third, slice(middle, len(song)))
    with capsys.disabled():
        after_asking, after_handling = by_message + take.added - asked, by_message + take.added - handled
        print(
            f"\n[{run}: the message is heard {after_asking:.0f} samples after it was sent, {after_handling:.0f} after "
            f"it was seen to work; the time tag lands {by_tag - due:+.0f} samples off, while the server's clock moved by "
            f"{take.clock_moved():.0f}; {take.xruns} xruns] ",
            end="",
        )
    # A server that was kept waiting has no even clock, and no moment can be told better than that.
    moved, hop = take.clock_moved(), Separator.load(separator).metadata.modes[MODE].hop
    # Never before it was sent; how soon afterwards is the machine's affair, of which the time tag is free.
    assert -moved < after_asking < RATE + moved
    assert abs(by_tag - due) <= hop + moved


# The server.


@contextmanager
def host_without_server(separator: Path, *options: str) -> Iterator[Host]:
    """Run the host on a server that is then stopped."""
    with ExitStack() as host, jack_server(RATE, PERIOD) as environment:
        running = host.enter_context(jack_host(separator, environment, *options))
        if not options:
            running.tell("/condition", "ffff", *GAINS)
            assert np.allclose(running.ask("/condition"), GAINS, atol=1e-6)
        # The server goes first.
        host = host.pop_all()
    with host:
        yield running


GAINS = (0.5, 1.0, 0.0, 0.25)


def await_state(running: Host, begins: str) -> str:
    while not (state := running.ask("/device/state")[0]).startswith(begins):
        time.sleep(0.02)
    return state


def test_a_host_whose_server_goes_waits_and_says_so_until_it_is_ended(separator):
    with host_without_server(separator) as running:
        state = await_state(running, "waiting: system has ")
        assert np.allclose(running.ask("/condition"), GAINS, atol=1e-6)
        # Ctrl-C may cut a line that is being printed.
        while "is back.\n" not in running.stdout:
            time.sleep(0.02)
        assert running.stop() == 0
    said = [line for line in running.stdout.splitlines() if "goes on by itself" in line]
    assert said == [f"note: {state.removeprefix('waiting: ')}; the sound goes on by itself when the device is back."]
    assert running.stderr == ""


def test_a_host_in_lockstep_whose_server_goes_ends_with_a_sentence(separator):
    with host_without_server(separator, "--lockstep") as running:
        assert running.wait() == 1
    assert "error: system has" in running.stderr
    assert "start again" in running.stderr
    assert "Traceback" not in running.stderr + running.stdout


def test_a_server_that_is_back_is_played_on_with_the_controls_as_they_are(separator, song, tmp_path):
    gains = (0.25, 0.0, 1.0, 0.5)
    with host_without_server(separator) as running:
        await_state(running, "waiting")
        added = running.ask("/telemetry/latency")
        running.tell("/condition", "ffff", *gains)
        assert np.allclose(running.ask("/condition"), gains, atol=1e-6)
        with jack_server(RATE, PERIOD, running.environment):
            await_state(running, "playing")
            assert running.ask("/telemetry/latency") == added
            take = play_through(running, song, tmp_path)
            end(running)
    assert "system plays again." in running.stdout
    heard = take.sound[take.added + PORTAUDIO :][: len(song)]
    assert level(take.sound, song) > -40
    if take.misses == take.xruns == 0:
        assert np.abs(heard - reference(separator, song, Mix(gains))).max() <= 1e-5


def test_a_server_that_is_back_with_another_rate_and_period_is_played_on_and_this_is_said(separator):
    with host_without_server(separator) as running:
        await_state(running, "waiting")
        hops = running.ask("/telemetry/hops")[0]
        with jack_server(48000, PERIOD // 2, running.environment):
            await_state(running, "playing")
            assert running.ask("/rate") == (48000,)
            assert np.allclose(running.ask("/condition"), GAINS, atol=1e-6)
            while running.ask("/telemetry/hops")[0] < hops + 20:
                time.sleep(0.02)
            end(running)
    said = re.search(r"system plays again, at 48000 Hz instead of 44100, .*", running.stdout)[0]
    assert f"{PERIOD // 2} samples in" in said


def test_a_server_that_comes_to_take_longer_blocks_is_given_them(separator):
    with jack_server(RATE, PERIOD) as environment, jack_host(separator, environment) as running:
        subprocess.run(["jack_bufsize", str(4 * PERIOD)], check=True, env=environment, capture_output=True, timeout=20)
        while running.ask("/block") != (4 * PERIOD,):
            time.sleep(0.05)
        assert running.ask("/notice") == ("system has come to take 2048 samples at once.",)
        assert running.ask("/device/state") == ("playing",)
        end(running)
