"""A real recording that is killed: its files open, and are whole to within a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from conftest import ROOT
from playing import noise, residual_db
from test_recorder import read
from test_stream import free_port

from realtime.demo import demo_song
from realtime.take import CHANGES


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("victim", ["control", "engine"])
def test_a_recording_that_is_killed_opens_and_is_whole_to_within_a_second(identity, tmp_path, victim):
    song = noise(44100 * 10)
    soundfile.write(tmp_path / "song.wav", song, 44100, "FLOAT")
    port, takes = free_port(), tmp_path / "takes"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from realtime.host import Host, OscAddress\n"
        "from realtime.mix import Mix\n"
        "from realtime.plan import Plan\n"
        "if __name__ == '__main__':\n"
        "    separator, song, takes, port = sys.argv[1:]\n"
        "    plan = Plan(Path(separator), Mix(()), device='null', run='stems', source=song, realtime=False, reserve=0.5)\n"
        "    host = Host(plan, OscAddress(port=int(port)), record_to=Path(takes))\n"
        "    while True:\n"
        "        snapshot = host.engine.telemetry()\n"
        "        print(host.engine.pid, time.time(), snapshot.position if snapshot else 0, flush=True)\n"
        "        time.sleep(0.02)\n"
    )
    script = tmp_path / "record.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(identity), str(tmp_path / "song.wav"), str(takes), str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        for line in process.stdout:
            engine, _, position = line.split()
            if int(position) > 2 * 44100:
                break
        os.kill(process.pid if victim == "control" else int(engine), signal.SIGKILL)
        if victim == "engine":
            time.sleep(1)
    finally:
        process.kill()
        process.wait()
    (folder,) = takes.iterdir()
    lengths = set()
    for name in ("mixture", "master"):
        found = read(folder / f"{name}.wav")
        lengths.add(len(found))
        assert len(found) > int(position) - 44100
        assert residual_db(found, song[: len(found)]) < -60, name
    assert len(lengths) == 1
    assert "/preset" in (folder / CHANGES).read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("how", ["group asked", "terminal closed twice"])
def test_a_host_that_is_asked_to_end_finishes_its_take(identity, tmp_path, how):
    takes = tmp_path / "takes"
    command = [sys.executable, "run_live.py", "--model", str(identity), "--device", "null", "--input", "demo", "--no-window"]
    command += ["--no-oscquery", "--no-realtime", "--osc-port", str(free_port()), "--record-to", str(takes)]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        # Whoever runs the tests in the background may have had it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        # The line of status says that it plays.
        assert any("misses" in line for line in process.stdout)
        time.sleep(1)
        if how == "group asked":
            os.killpg(process.pid, signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGHUP)
            time.sleep(0.1)
            os.killpg(process.pid, signal.SIGHUP)
        said, complained = process.communicate(timeout=120)
        assert process.returncode == 0, complained
    finally:
        process.kill()
        process.wait()
    # The engine went on until the host had its last sound, and gave its last figures.
    assert "ended unexpectedly" not in complained and "misses" in said
    (folder,) = takes.iterdir()
    assert "# ended after" in (folder / CHANGES).read_text()
    song = demo_song(rate=44100).mixture
    master, mixture = read(folder / "master.wav"), read(folder / "mixture.wav")
    assert len(master) == len(mixture) > 44100 // 2
    # A busy machine may lose hops of the master, and nothing of what went in.
    assert residual_db(mixture, song[: len(mixture)]) < -60
