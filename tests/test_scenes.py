"""Scenes: what was saved is what is loaded, what is wrong is named, and what is not known stays in the file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, STEMS
from test_control import Engine as FakeEngine
from test_stream import free_port

import run_live
from realtime import scene, scenes
from realtime.control import Refused
from realtime.errors import HostError
from realtime.inserts.controls import InsertControls
from realtime.inserts.insert import Place, Turn
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.scene import VERSION, Scene, read_scene, wanted, write_scene
from realtime.scenes import Scenes, last_path, open_last, open_scene, scene_folder
from realtime.state import ControlState


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(scenes, "list_separators", lambda: dict.fromkeys(("big", "small")))
    for module in (scene, scenes):
        monkeypatch.setattr(module, "config_folder", lambda: tmp_path / "config")
    return tmp_path / "config"


class Stage:
    """A host without sound: choices hold as soon as they are made."""

    def __init__(self, identity: Path, device: str | None = None) -> None:
        link, self.told = FakeEngine(), []
        self.state = ControlState(STEMS, link, models=("big", "small"))
        self.scenes = Scenes(self.state, Plan(identity, Mix(()), device=device), self.told.append)
        link.change = self._change
        self.state.checks |= dict.fromkeys(scenes.ADDRESSES, self.scenes.check)
        for address, value in {"/model": "small", "/mode": "low", "/run": "stems", "/block": 512}.items():
            self.state.set_info(address, value)

    def _change(self, address: str, value) -> None:
        if address in scenes.ADDRESSES:
            self.scenes.change(address, value)
        else:
            self.state.set_info(address, value)

    def do(self, address: str, name: str) -> str:
        """Have it done, and return what was told."""
        count = len(self.told)
        self.state.set(address, name)
        due = time.monotonic() + 10
        while len(self.told) == count:
            assert time.monotonic() < due
            time.sleep(0.005)
        return self.told[-1]


@pytest.fixture
def stage(folder, identity):
    stage = Stage(identity, device="null")
    yield stage
    stage.scenes.close()


def test_a_scene_brings_back_every_setting_and_what_ran(stage):
    stage.state.set("/preset", "acapella")
    stage.state.set("/stem/drums/mute", 1)
    stage.state.set("/stem/bass/gain", 0.9)
    stage.state.set("/glide", 120.0)
    stage.state.set("/wet", 0.25)
    stage.state.set("/record/format", "flac")
    stage.state.set("/mode", "lower")
    stage.state.set("/block", 128)
    kept = stage.state.values
    assert "is saved" in stage.do("/scene/save", "verse 1")
    stage.state.set("/preset", "all")
    for address, value in (("/glide", 0.0), ("/wet", 1.0), ("/mode", "low"), ("/block", 512), ("/record/format", "wav")):
        stage.state.set(address, value)
    assert stage.do("/scene/load", "verse 1") == "scene 'verse 1' is loaded."
    now = stage.state.values
    assert {a for a in now if now[a] != kept[a]} <= {"/scene/names"}
    assert stage.state.value("/scene/names") == ("verse 1",)


def test_a_preset_that_holds_is_loaded_by_its_name_with_the_mutes_on_top(stage):
    stage.state.set("/preset", "acapella")
    stage.state.set("/stem/drums/mute", 1)
    stage.do("/scene/save", "a")
    stage.state.set("/preset", "all")
    stage.do("/scene/load", "a")
    assert stage.state.value("/preset") == ("acapella",)
    assert stage.state.value("/stem/drums/mute") == (1,)


def test_a_scene_leaves_the_deck_alone(stage):
    # As of a host without a deck: its /deck/play is 0, and must not stop another's music.
    stage.do("/scene/save", "verse")
    text = (scene_folder() / "verse.toml").read_text()
    assert "/deck" not in text
    (scene_folder() / "verse.toml").write_text(text + '"/deck/play" = 0\n')
    stage.state.set_info("/deck/play", 1)
    assert "/deck/play: that is not for a scene" in stage.do("/scene/load", "verse")
    assert stage.state.value("/deck/play") == (1,)


def test_what_a_scene_turns_on_a_plugin_that_is_missing_is_turned_on_no_other(identity, folder, tmp_path):
    state = ControlState(STEMS, FakeEngine(), inserts=True)
    orders: list[object] = []
    controls = InsertControls(state, orders.append)
    state.link.change = controls.change
    state.checks |= dict.fromkeys(controls.addresses, controls.check)
    kept = Scenes(state, Plan(identity, Mix(())), print)
    try:
        there = tmp_path / "there.vst3"
        there.touch()
        # By hand, in any order.
        values = {"/insert/master/1/param/1": 0.9, "/insert/master/1/plugin": "/gone.vst3", "/insert/vocals/1/param/1": 0.4}
        problems = kept.choose(Scene("scene", controls={**values, "/insert/vocals/1/plugin": str(there)}))
        assert len(problems) == 1 and "there is no plugin /gone.vst3" in problems[0]
        assert orders == [Place("vocals", 1, str(there)), Turn("vocals", 1, 1, 0.4)]
    finally:
        kept.close()


def test_a_scene_is_text_that_a_person_reads(stage):
    stage.do("/scene/save", "a")
    text = (scene_folder() / "a.toml").read_text()
    assert '\n[run]\nmodel = "small"\nmode = "low"\nrun = "stems"\nblock = 512\ndevice = "null"\n' in text
    assert '\n"/stem/vocals/gain" = 0.75\n' in text
    assert "/notice" not in text
    assert '"/record" =' not in text


def test_what_is_not_known_is_kept_when_a_file_is_rewritten(stage):
    path = scene_folder() / "a.toml"
    path.parent.mkdir(parents=True)
    mine = 'note = "for the encore"\nwhen = 2030-01-02 03:04:05\n[run]\nlights = [1, 2.5, "x"]\n[controls]\n"/stem/guitar/gain" = 0.5\n'
    mine += '"/wet" = 0.1\n["a b".c]\nd = true\n'
    path.write_text(mine)
    stage.do("/scene/save", "a")
    found, before = tomllib.loads(path.read_text()), tomllib.loads(mine)
    assert found["note"] == before["note"]
    assert found["when"] == before["when"]
    assert found["a b"] == before["a b"]
    assert found["run"]["lights"] == [1, 2.5, "x"]
    assert found["controls"]["/stem/guitar/gain"] == 0.5
    assert found["controls"]["/wet"] == 1.0


def test_bad_values_are_named_with_what_is_allowed_and_the_rest_loads(stage):
    path = scene_folder() / "bad.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[controls]\n"/wet" = 7\n"/glide" = 50\n"/preset" = "loud"\n"/stem/flute/gain" = 1\n"/rate" = 1\n'
        '"/bypass" = true\n"/condition" = [0.5]\n"/quantise" = "never"\n'
    )
    told = stage.do("/scene/load", "bad")
    assert "/wet takes a number from 0 to 1, not 7; it is left out" in told
    assert "/preset takes one of all, acapella" in told
    assert "there is no /stem/flute/gain here" in told
    assert "/rate: that is not for a scene" in told
    assert "/condition takes 4 numbers" in told
    assert "/quantise takes one of off, beat" in told
    assert stage.state.value("/glide") == (50.0,)
    assert stage.state.value("/bypass") == (1,)
    assert stage.state.value("/wet") == (1.0,)


def test_what_cannot_be_written_is_told_and_scenes_go_on(stage):
    stage.state.set_info("/record/folder", "/takes/\udcff")
    assert "a scene failed" in stage.do("/scene/save", "opening")
    stage.state.set_info("/record/folder", "")
    assert stage.do("/scene/save", "opening") == "scene 'opening' is saved."


def test_a_scene_of_a_later_version_loads_what_is_known_and_says_so(stage):
    path = scene_folder() / "new.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'version = {VERSION + 1}\n[controls]\n"/wet" = 0.5\n"/smell" = 1\n')
    told = stage.do("/scene/load", "new")
    assert f"a later version ({VERSION + 1}, here {VERSION})" in told
    assert stage.state.value("/wet") == (0.5,)
    stage.do("/scene/save", "new")
    assert tomllib.loads(path.read_text())["version"] == VERSION + 1


@pytest.mark.parametrize("text", ["wet = ", "[controls]\n[controls]\n", "\x00", "a = " + "[" * 5000])
def test_a_file_that_is_no_toml_is_told_and_never_written_over(stage, text):
    path = scene_folder() / "broken.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "is not TOML" in stage.do("/scene/load", "broken")
    assert "is not TOML" in stage.do("/scene/save", "broken")
    assert path.read_text() == text


def test_a_scene_is_written_all_at_once(folder, monkeypatch):
    path = folder / "a.toml"
    write_scene(path, {"mode": "low"}, {})
    before = path.read_text()

    def full(*arguments) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="No space left on device.*is as it was"):
        write_scene(path, {"mode": "safe"}, {})
    assert path.read_text() == before


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a,b", "x" * 65, "end "])
def test_names_that_are_no_file_names_are_refused(stage, name):
    for address in scenes.ADDRESSES:
        with pytest.raises(Refused, match="a scene cannot be called"):
            stage.state.set(address, name)


def test_a_scene_that_is_not_there_is_told_with_those_that_are(stage):
    stage.do("/scene/save", "a")
    stage.do("/scene/save", "b")
    with pytest.raises(Refused, match="there is no scene 'c'; those in .* a, b"):
        stage.state.set("/scene/load", "c")
    assert "is deleted" in stage.do("/scene/delete", "a")
    assert stage.state.value("/scene/names") == ("b",)
    with pytest.raises(HostError, match="are: b"):
        open_scene("a")


def test_what_a_scene_wants_to_run_is_checked_before_the_start(folder, identity):
    path = folder / "a.toml"
    write_scene(path, {"model": "no such", "mode": "slow", "run": 3, "block": 7, "device": ["x"]}, {})
    chosen, problems = wanted(read_scene(path, "scene 'a'"), str(identity))
    assert chosen == scene.Wanted()
    assert len(problems) == 5
    assert any("mode is one of" in problem and "not 'slow'" in problem for problem in problems)
    write_scene(path, {"model": str(identity), "mode": "low", "run": "stems", "block": 64, "device": "null"}, {})
    chosen, problems = wanted(read_scene(path, "scene 'a'"), "lasaft-live")
    assert chosen == scene.Wanted(str(identity), "low", "stems", 64, "null")
    assert not problems


def test_the_last_state_is_kept_and_a_broken_one_put_aside(folder, identity):
    assert "no last state" in open_last().problems[0]
    last_path().parent.mkdir(parents=True)
    last_path().write_text("broken = ")
    assert "nothing is restored" in open_last().problems[0]
    stage = Stage(identity)
    stage.scenes.keep_last = True
    stage.state.set("/wet", 0.5)
    stage.scenes.close()
    assert open_last().controls["/wet"] == 0.5
    assert last_path().with_name("last.toml~").read_text() == "broken = "


@pytest.mark.parametrize("begin", ["--scene=encore", "--restore"])
def test_what_the_command_line_says_goes_before_the_scene(folder, identity, monkeypatch, capsys, begin):
    for path in (scene_folder() / "encore.toml", last_path()):
        write_scene(path, {"model": str(identity), "mode": "extreme", "block": 64, "device": "null"}, {"/wet": 0.5})
    asked = {}

    def host(plan: Plan, *arguments, **more) -> None:
        asked.setdefault("plan", plan)
        asked.update(more)
        raise HostError("far enough")

    monkeypatch.setattr("realtime.host.Host", host)
    assert run_live.main(["--no-window", begin, "--block", "256"]) == 1
    plan = asked["plan"]
    assert (plan.separator, plan.latency, plan.block, plan.device) == (identity, "extreme", 256, "null")
    assert asked["scene"].controls == {"/wet": 0.5}
    assert asked["keep_last"]
    assert run_live.main(["--no-window", "--scene", "none"]) == 1
    assert "there is no scene 'none'" in capsys.readouterr().err


def test_a_device_that_a_scene_names_and_that_is_not_there_gives_way_to_the_usual_one(folder, identity, monkeypatch):
    write_scene(last_path(), {"model": str(identity), "device": "gone"}, {})
    devices = []

    def host(plan: Plan, *arguments, **more) -> None:
        devices.append(plan.device)
        raise HostError("there is no such device")

    monkeypatch.setattr("realtime.host.Host", host)
    assert run_live.main(["--no-window", "--restore"]) == 1
    assert run_live.main(["--no-window", "--restore", "--device", "mine"]) == 1
    assert devices == ["gone", None, "mine"]


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is told by XDG_CONFIG_HOME")
def test_a_host_begins_as_its_scene_says_and_keeps_how_it_stood(identity, tmp_path):
    folder = tmp_path / "lasaft-live"
    write_scene(
        folder / "scenes" / "encore.toml",
        {"model": str(identity), "mode": "extreme", "block": 64, "device": "null"},
        {"/wet": 0.5, "/glide": 9999, "/quantise": "bar", "/mode/auto": 0},
    )
    soundfile.write(tmp_path / "in.wav", np.zeros((22050, 2)), 44100)
    command = [sys.executable, "run_live.py", "--scene", "encore", "--no-window", "--no-oscquery", "--no-realtime"]
    command += ["--osc-port", str(free_port()), "--input", str(tmp_path / "in.wav")]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "/glide takes a number from 0 to 5000, not 9999" in done.stdout
    last = tomllib.loads((folder / "last.toml").read_text())
    assert last["run"] == {"model": "identity", "mode": "extreme", "run": "single", "block": 64, "device": "null"}
    assert last["controls"]["/wet"] == 0.5
    assert last["controls"]["/quantise"] == "bar"
    assert last["controls"]["/mode/auto"] == 0
