"""The matrix of output pairs: as it is asked for, as controls, and in a whole run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from playing import noise, reference

import realtime.session as session_module
from realtime.control import Refused, controls_for
from realtime.errors import DeviceError, HostError
from realtime.mix import Mix
from realtime.outputs import DRY, FIXED, MASTER, REMAINDER, columns, routes_for, sources, wanted_stems, watch_outputs
from realtime.plan import Plan
from realtime.separator import Separator
from realtime.session import Session
from realtime.state import Change, ControlState, Message

STEMS = ("vocals", "drums", "bass", "other")
OUTPUTS = ("master", *STEMS)


class Link:
    def __init__(self) -> None:
        self.mixes: list[tuple[Mix, int | None]] = []

    def submit(self, mix: Mix, at: int | None) -> None:
        self.mixes.append((mix, at))

    def position(self, wall: float) -> int | None:
        return round(1000 * wall)

    def telemetry(self) -> None:
        return None

    def change(self, address, value) -> None:
        pass


@pytest.fixture
def link() -> Link:
    return Link()


def state_for(link: Link, outputs=(*OUTPUTS, "cue"), clock=lambda: 0.0) -> ControlState:
    return ControlState(STEMS, link, clock, outputs=outputs)


def heard(state: ControlState, pair: int) -> dict[str, float]:
    """Return by name what pair number `pair`, from 1, is given."""
    row = state.mix.routes[pair - 1]
    return {name: gain for name, gain in zip(columns(STEMS), row, strict=True) if gain}


# The matrix.


def test_every_source_has_its_column_and_none_has_nothing():
    for source in sources(STEMS):
        (row,) = routes_for(STEMS, (source,))
        assert sum(row) == (source != "none")
    assert routes_for(STEMS, ("dry",), (0.5,))[0][DRY] == 0.5
    assert routes_for(STEMS, ("drums",))[0][FIXED + 1] == routes_for(STEMS, ("drums:pre",))[0][FIXED + 5] == 1
    assert routes_for(STEMS, ("remainder",))[0][REMAINDER] == 1


def test_stems_that_are_wanted_by_themselves_are_known():
    assert wanted_stems(routes_for(STEMS, ("master", "cue", "dry")), STEMS) == ()
    assert wanted_stems(routes_for(STEMS, ("other:pre", "vocals", "cue"), cued=("drums",)), STEMS) == (
        "vocals",
        "drums",
        "other",
    )


def test_an_output_that_cannot_be_is_refused_with_what_can():
    with pytest.raises(HostError, match="output pair 2 cannot be 'voclas'; a pair takes one of master, vocals"):
        controls_for(STEMS, outputs=("master", "voclas"))
    with pytest.raises(HostError, match="at most 32"):
        controls_for(STEMS, outputs=("master",) * 33)


# The controls.


def test_without_pairs_there_are_no_controls_of_them(link):
    state = ControlState(STEMS, link)
    assert not [address for address in state.controls if "/output/" in address and "/telemetry" not in address]
    assert "/cue/dry" not in state.controls and "/stem/drums/cue" not in state.controls
    assert state.mix.routes == ()


def test_pairs_begin_with_what_was_asked_for(link):
    state = state_for(link)
    assert [state.value(f"/output/{n}/source")[0] for n in range(1, 7)] == [*OUTPUTS, "cue"]
    assert [heard(state, n) for n in range(1, 6)] == [{name: 1.0} for name in OUTPUTS]
    assert state.value("/output/3/gain/str") == ("0.0 dB",)


def test_a_pair_is_given_something_else_at_its_level(link):
    state = state_for(link)
    state.set("/output/2/source", "remainder:pre")
    state.set("/output/2/gain", 0.375)
    assert heard(state, 2) == {"remainder:pre": 0.25}
    assert link.mixes[-1][0].routes == state.mix.routes
    with pytest.raises(Refused, match="takes one of master, vocals"):
        state.set("/output/2/source", "saxophone")
    with pytest.raises(Refused, match="there is no /output/7/source"):
        state.set("/output/7/source", "dry")
    assert heard(state, 2) == {"remainder:pre": 0.25}


def test_the_cue_is_what_is_cued_and_else_the_master(link):
    state = state_for(link)
    assert heard(state, 6) == {"master": 1.0}
    state.set("/stem/drums/cue", 1)
    assert heard(state, 6) == {"drums:pre": 1.0}
    state.set("/cue/dry", 1)
    state.set("/output/6/gain", 0.375)
    assert heard(state, 6) == {"drums:pre": 0.25, "dry": 0.25}
    state.set("/stem/drums/cue", 0)
    state.set("/cue/dry", 0)
    assert heard(state, 6) == {"master": 0.25}


def test_faders_and_presets_leave_the_matrix_alone(link):
    state = state_for(link)
    before = state.mix.routes
    state.set("/preset", "acapella")
    state.set("/stem/drums/solo", 1)
    state.set("/condition", 0.0, 0.5, 1.0, 0.0)
    assert state.mix.routes == before


def test_a_time_tag_on_a_routing_becomes_a_position(link):
    state = state_for(link)
    state.apply([Change((Message("/output/1/source", ("dry",)),), 0.05)])
    mix, at = link.mixes[-1]
    assert at == 50
    assert mix.routes[0][DRY] == 1 and state.mix.routes[0][MASTER] == 1


def test_stems_that_single_does_not_compute_are_named_once(link):
    state, said = state_for(link, ("master", "vocals", "cue")), []
    watch_outputs(state, said.append)
    state.set_info("/run", "stems")
    assert said == []
    state.set_info("/run", "single")
    assert len(said) == 1 and "vocals;" in said[0] and "/run stems" in said[0]
    state.set("/stem/bass/gain", 0.5)
    state.set("/output/2/gain", 0.5)
    assert len(said) == 1
    state.set("/stem/bass/cue", 1)
    assert len(said) == 2 and "vocals, bass;" in said[1]


def test_the_notice_of_silent_stems_may_be_kept_among_the_values(link):
    state = state_for(link, ("vocals",))
    watch_outputs(state, lambda text: state.set_info("/notice", text))
    state.set_info("/run", "single")
    assert state.value("/run") == ("single",)
    assert state.value("/notice")[0].startswith("silent on the output pairs: vocals;")


# A whole run.


@pytest.fixture
def idle(monkeypatch):
    """A machine that has time, whatever else it does."""
    monkeypatch.setattr(session_module, "measure_work", lambda engine, hops, keep: (1e-3, 8e-3))


def test_a_run_records_every_pair_aligned(idle, four_stems, tmp_path):
    audio = noise(22050)
    soundfile.write(tmp_path / "in.wav", audio, 44100, "FLOAT")
    plan = Plan(
        four_stems,
        Mix((1.0, 0.5, 0.0, 1.0)),
        latency="safe",
        device="null",
        source=str(tmp_path / "in.wav"),
        record=tmp_path / "out.wav",
        outputs=("master", "drums", "bass:pre", "dry", "none"),
        realtime=False,
    )
    session = Session(plan)
    assert (session.device.in_channels, session.device.out_channels) == (2, 10)
    assert session.started.run == "stems"
    assert session.stream.taps.layout.heard == 10
    blocks: list[np.ndarray] = []
    session.device._sink = lambda block: blocks.append(block.copy())
    session.device.priority = None
    session.stream.priority = None
    session.start()
    session.device.wait(30)
    session.stop()
    assert session.failure is None
    sound = np.concatenate(blocks)[session.stream.latency.added :]
    assert np.abs(sound[:, 6:8] - audio[: len(sound)]).max() < 1e-6
    assert not sound[:, 8:].any()
    if session.stream.misses == 0:
        separator = Separator.load(four_stems)
        stems = reference(separator, separator.metadata.modes["safe"], audio, np.eye(4))[:, : len(sound)]
        assert np.abs(sound[:, 2:4] - 0.5 * stems[1]).max() < 1e-5
        assert np.abs(sound[:, 4:6] - stems[2]).max() < 1e-5


def test_pairs_of_another_width_are_refused(four_stems):
    plan = Plan(four_stems, Mix((1.0,) * 4), device="null", channels=4, outputs=("master",))
    with pytest.raises(HostError, match="leave out --channels"):
        Session(plan)


def test_a_mono_file_is_heard_on_both_sides_of_a_pair(idle, four_stems, tmp_path):
    soundfile.write(tmp_path / "mono.wav", noise(4000, 1), 44100, "FLOAT")
    plan = Plan(
        four_stems, Mix((1.0,) * 4), device="null", source=str(tmp_path / "mono.wav"), outputs=("dry", "drums"), realtime=False
    )
    session = Session(plan)
    assert (session.device.in_channels, session.device.out_channels, session.stream.engine.channels) == (2, 4, 2)


class Card:
    """A sound card of two inputs and six outputs that is asked for blocks by hand."""

    name, rate, block, in_channels, out_channels, output_latency, error = "card", 44100, 128, 2, 6, 100, None
    callback = None

    def start_lockstep(self, callback) -> None:
        self.callback = callback

    def active(self) -> bool:
        return True


def test_a_file_on_a_sound_card_leaves_on_its_pairs(idle, four_stems, tmp_path, monkeypatch):
    audio, card = noise(12000, 1), Card()
    soundfile.write(tmp_path / "mono.wav", audio, 44100, "FLOAT")
    monkeypatch.setattr(Session, "_portaudio", lambda self, plan, block, notices: card)
    outputs = ("dry", "drums:pre", "master")
    session = Session(
        Plan(four_stems, Mix((1.0,) * 4), latency="safe", source=str(tmp_path / "mono.wav"), device="card", outputs=outputs)
    )
    session.device.start(session.stream.bridge)
    blocks = []
    while session.device.active():
        blocks.append(np.full((128, 6), np.nan, np.float32))
        card.callback(np.ones((128, 2), np.float32), blocks[-1], 128)
        while session.stream.advance():
            pass
    sound = np.concatenate(blocks)[session.started.latency.added :][: len(audio)]
    separator, stereo = Separator.load(four_stems), np.repeat(audio, 2, 1)
    stems = reference(separator, separator.metadata.modes["safe"], stereo, np.eye(4))
    assert np.array_equal(sound[:, :2], stereo)
    assert np.abs(sound[:, 2:4] - stems[1]).max() < 1e-5
    assert np.abs(sound[:, 4:] - stems.sum(axis=0)).max() < 1e-5


def test_pairs_that_the_default_device_lacks_are_not_silently_done_without(idle, four_stems, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "in.wav", noise(4000), 44100, "FLOAT")
    def device(choice, rate, block, channels):
        raise DeviceError(f"card has 2 output channels, not {np.max(channels)}; choose another device.")

    monkeypatch.setattr(session_module, "PortAudioDevice", device)
    plan = Plan(four_stems, Mix((1.0,) * 4), source=str(tmp_path / "in.wav"), outputs=OUTPUTS)
    with pytest.raises(HostError, match="card has 2 output channels, not 10"):
        Session(plan)
    assert Session(replace(plan, outputs=(), realtime=False)).device.name == "null"
