"""Attention from the network to the file, the engine and OSC; and pictures of what a network has learned."""

from __future__ import annotations

import json
import re
import shutil
import socket
import struct
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
onnx = pytest.importorskip("onnx", reason="needs the train extra")

from playing import noise, open_stream, play

from export.exporter import export_separator
from export.verify import verify
from models.card import lasaft_live_metadata
from models.configuration import UNetConfig, build
from models.frequency_matrices import live_masks, unet_matrices
from models.insight import main
from models.lasaft_bands import LasaftBands, LasaftBandsConfig
from models.lasaft_live import LasaftLive, LasaftLiveConfig
from models.systems import SYSTEMS, network_of, reduced, separator
from models.table import RANDOM
from models.unet import randomised
from realtime.control import table_text
from realtime.engine import Engine, full_mix
from realtime.errors import HostError
from realtime.latency import Latency
from realtime.library import SHIPPED
from realtime.mix import Mix
from realtime.osc import OscServer
from realtime.packets import encode
from realtime.separator import Separator
from realtime.state import ControlState
from realtime.telemetry import Telemetry

STEMS = ("vocals", "drums", "bass", "other")
CONDITIONS = np.array([[1, 0, 0, 0], [0, 0.5, 0, 1], [0, 0, 0, 0]], np.float32)
LIVE = replace(
    LasaftLiveConfig(), hidden=24, bottleneck=8, embedding=8, d_k=4, head_channels=4, head_width=3, head_hidden=16
)
BANDS = replace(LasaftBandsConfig(), width=6, bottleneck=8, layers=2, embedding=8, d_k=4, head_width=4, head_hidden=8)
SMALL = {"n_fft": 64, "n_blocks": 3, "internal_channels": 3, "n_internal_layers": 1, "bn_factor": 4, "min_bn_units": 4}
SMALL |= {"embedding_dim": 5, "control_n_layer": 1, "num_tdfs": 3, "dk": 4}


def live() -> LasaftLive:
    torch.manual_seed(0)
    return LasaftLive(LIVE).eval()


def small(block: str, **options):
    torch.manual_seed(0)
    return randomised(build(UNetConfig(block, **SMALL | options)))


@pytest.fixture(scope="module")
def attending(tmp_path_factory) -> Separator:
    """LaSAFT-Live, small, as a separator."""
    path = tmp_path_factory.mktemp("attending") / "live.onnx"
    export_separator(live(), lasaft_live_metadata({}), path, check=False)
    return Separator.load(path)


# The file.


@pytest.mark.parametrize("name", ["lasaft-net", "lightsaft-net"])
def test_the_attention_of_an_exported_network_is_its_modules(tmp_path, name):
    system = reduced(SYSTEMS[name])
    module = separator(system, randomised(network_of(system)))
    export_separator(module, module.metadata(name, name, RANDOM), tmp_path / "net.onnx", check=False)
    loaded = Separator.load(tmp_path / "net.onnx")
    assert loaded.attends == module.attends == (5, 3)
    runner = loaded.runner(3)
    runner.condition[:] = CONDITIONS
    runner.run()
    with torch.inference_mode():
        wanted = module.attention(torch.from_numpy(CONDITIONS)).numpy()
    assert np.abs(runner.attention - wanted).max() < 1e-5
    assert np.abs(runner.attention.sum(-1) - 1).max() < 1e-5
    assert np.ptp(runner.attention, axis=0).max() > 0.01


def test_verification_compares_the_attention_too(attending):
    module = live()
    assert verify(attending.path, module, frames=20).error < 1e-4
    module.attention = lambda condition: torch.full((len(condition), 1, 6), 1 / 6)
    with pytest.raises(HostError, match=r"its attention differs from its module's by 0\.\d+, allowed is 0.0001"):
        verify(attending.path, module, frames=20)


class Doubled(LasaftLive):
    def attention(self, condition):
        return 2 * super().attention(condition)


def test_attention_that_does_not_sum_to_one_fails(tmp_path):
    export_separator(Doubled(LIVE).eval(), lasaft_live_metadata({}), tmp_path / "live.onnx", check=False)
    with pytest.raises(HostError, match="shares of at least 0 that sum to 1 in every layer, but a sum is off by 1"):
        verify(tmp_path / "live.onnx", frames=20)


def test_a_network_without_latent_sources_tells_no_attention(tmp_path):
    for name in ("mux-tdf-film", "tfc-tdf-film", "unet-tdf"):
        system = reduced(SYSTEMS[name])
        module = separator(system, randomised(network_of(system)))
        assert module.attends is None
    export_separator(module, module.metadata(name, name, RANDOM), tmp_path / "net.onnx", check=False)
    loaded = Separator.load(tmp_path / "net.onnx")
    assert loaded.attends is None
    assert loaded.runner(1).attention is None


def test_attention_of_another_shape_is_refused_by_name(attending, tmp_path):
    model = onnx.load(attending.path)
    (value,) = [output for output in model.graph.output if output.name == "attention"]
    for shape in (["stems", 6], [4, 1, 6], ["others", 1, 6]):
        value.CopyFrom(onnx.helper.make_tensor_value_info("attention", onnx.TensorProto.FLOAT, shape))
        onnx.save(model, tmp_path / "wrong.onnx")
        with pytest.raises(HostError, match=r"'attention' is .*the contract wants \[stems, layers, latents\]"):
            Separator.load(tmp_path / "wrong.onnx")


def test_the_shipped_separator_tells_its_attention():
    assert Separator.load(SHIPPED / "lasaft-live.onnx").attends == (1, 6)


# The host.


def test_in_single_the_attention_is_that_of_the_condition_as_it_glides(attending):
    mode = attending.metadata.modes["low"]
    engine = Engine(attending, mode, 2, "single", Mix((1.0, 0.0, 0.0, 0.0)))
    engine.schedule.submit(Mix((0.0, 0.0, 2.0, 0.0), glide=4 * mode.hop / 44100))
    seen = []
    for _ in range(6):
        engine.process(noise(mode.hop))
        with torch.inference_mode():
            wanted = live().attention(torch.from_numpy(engine.condition.copy())).numpy()
        assert np.abs(engine.attention - wanted).max() < 1e-5
        seen.append(engine.attention.copy())
    assert np.array_equal(seen[-1], seen[-2])
    assert not np.allclose(seen[0], seen[1], atol=1e-4)


def test_a_snapshot_has_one_attention_in_single_and_one_a_stem_in_stems(attending):
    mode = attending.metadata.modes["low"]
    with torch.inference_mode():
        wanted = live().attention(torch.eye(4)).flatten(1).numpy()
    for run, names in (("single", [""]), ("stems", list(STEMS))):
        stream = open_stream(attending, mode, Mix((0.0, 1.0, 0.0, 0.0)), run)
        play(stream, noise(4000), 512)
        attention = stream.telemetry().attention
        assert list(attention) == names
        rows = wanted[1:2] if run == "single" else wanted
        assert np.abs(np.array(list(attention.values())) - rows).max() < 1e-5


def test_a_separator_without_attention_publishes_none(four_stems):
    separator = Separator.load(four_stems)
    stream = open_stream(separator, separator.metadata.modes["low"], full_mix(STEMS))
    play(stream, noise(2000), 128)
    assert stream.telemetry().attention == {}
    assert "attention" not in table_text(STEMS)


def test_the_table_says_how_attention_is_laid_out():
    rows = {line.split()[0]: line for line in table_text(STEMS, (7, 6)).splitlines()}
    assert "f*42" in rows["/telemetry/attention"]
    assert "layer after layer" in rows["/telemetry/attention"]
    assert set(rows) >= {f"/telemetry/attention/{stem}" for stem in STEMS} | {"/attention"}


SNAPSHOT = Telemetry(
    hops=7,
    misses=0,
    xruns=0,
    position=3584,
    latency=Latency(512, 0, 512),
    rate=44100,
    hop=512,
    block=512,
    work_ms=(1.0, 2.0, 3.0, 4.0),
    deadline_ms=11.6,
    load=0.25,
    attention={"vocals": (0.25, 0.75, 1.0, 0.0), "drums": (0.5, 0.5, 0.0, 1.0)},
)


class Link:
    snapshot = SNAPSHOT

    def submit(self, mix, at):
        pass

    def position(self, wall):
        return None

    def telemetry(self):
        return self.snapshot


@pytest.fixture
def server():
    with OscServer(ControlState(STEMS, Link(), attends=(2, 2)), port=0) as running:
        yield running


def test_attention_travels_as_one_message_a_stem(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(encode("/subscribe", "s", ("/telemetry/attention",)), ("127.0.0.1", server.port))
        packets = {client.recv(1000) for _ in range(4)}
        client.sendto(encode("/get", "s", ("/attention",)), ("127.0.0.1", server.port))
        while not (answer := client.recv(1000)).startswith(b"/attention\0"):
            assert answer in packets
    head = b"/telemetry/attention/vocals\0" + b",ffff\0\0\0"
    assert packets == {
        head + struct.pack(">4f", 0.25, 0.75, 1, 0),
        head.replace(b"vocals\0", b"drums\0\0") + struct.pack(">4f", 0.5, 0.5, 0, 1),
    }
    assert answer == b"/attention\0\0" + b",ii\0" + struct.pack(">2i", 2, 2)


def test_in_single_attention_is_at_its_own_address(server, monkeypatch):
    monkeypatch.setattr(Link, "snapshot", replace(SNAPSHOT, attention={"": (0.25, 0.75, 1.0, 0.0)}))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(encode("/get", "s", ("/telemetry/attention",)), ("127.0.0.1", server.port))
        packet = client.recv(1000)
    assert packet == b"/telemetry/attention\0\0\0\0" + b",ffff\0\0\0" + struct.pack(">4f", 0.25, 0.75, 1, 0)


@pytest.mark.skipif(not shutil.which("oscdump"), reason="liblo's oscdump is not installed")
def test_oscdump_reads_attention(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wanted = "/telemetry/attention/vocals ffff 0.250000 0.750000 1.000000 0.000000"
    dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        found = threading.Event()

        def read():
            for line in dump.stdout:
                if line.split(" ", 1)[1].strip() == wanted:
                    found.set()

        threading.Thread(target=read, daemon=True).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            packet = encode("/subscribe", "is", (port, "/telemetry/attention"))
            for _ in range(50):  # until oscdump listens
                client.sendto(packet, ("127.0.0.1", server.port))
                if found.wait(0.2):
                    break
        assert found.is_set()
    finally:
        dump.kill()
        dump.wait()


# The matrices.


@pytest.mark.parametrize("block", ["tdf", "tfc_tdf", "mux", "lasaft", "lightsaft"])
def test_a_matrix_is_what_the_layers_do_without_their_activations(block):
    modulation = "film" if block in ("mux", "lasaft", "lightsaft") else None
    network = small(block, activation="identity", modulation=modulation)
    found = [matrix for matrix in unet_matrices(network, 44100) if matrix.layer == "middle"]
    sources = {"mux": 4, "lasaft": 3, "lightsaft": 3}.get(block, 1)
    assert [matrix.values.shape for matrix in found] == [(16, 16)] * sources
    middle = network.mid_block
    for source, matrix in enumerate(found):

        def transform(x, source=source):
            weights = torch.eye(sources)[source].expand(1, 1, -1)
            if block in ("lasaft", "lightsaft"):
                return middle.transform(x, weights)
            tdf = {"tdf": lambda: middle.body[0], "tfc_tdf": lambda: middle.tdf, "mux": lambda: middle.tdfs}[block]()
            return tdf.map(x).unflatten(-1, (-1, sources))[..., source]

        with torch.no_grad():
            ground = transform(torch.zeros(1, 3, 1, 16))
            impulses = torch.stack([transform(row[None, None, None].expand(1, 3, 1, -1)) for row in torch.eye(16)])
        columns = (impulses - ground)[:, 0, :, 0]  # [inputs, channels, outputs]
        wanted = columns.square().mean(1).sqrt().T.numpy()
        assert np.allclose(np.abs(matrix.values), wanted, atol=1e-5)
        assert np.array_equal(matrix.edges, np.linspace(0, 22050, 17))


def test_layers_are_found_in_the_order_of_the_signal():
    names = [matrix.layer for matrix in unet_matrices(small("tfc_tdf", n_blocks=5), 44100)]
    assert names == ["encoder 1", "encoder 2", "middle", "decoder 1", "decoder 2"]
    assert unet_matrices(small("tfc"), 44100) == []


@pytest.mark.parametrize("network", [LasaftLive(LIVE), LasaftBands(BANDS)], ids=["live", "bands"])
def test_the_masks_answer_is_the_slope_of_their_logits(monkeypatch, network):
    network = network.eval().double()
    past, now = torch.randn(3, 5, 912).double(), torch.randn(3, 1, 912).double()
    monkeypatch.setattr("models.frequency_matrices._heard", lambda model, moments: (past, now.clone()))
    edges = network.bands.edges[[0, 100, 200, 304]] * 44100 / 2048  # whole bands, so that shares are sums
    found = live_masks(network, STEMS, edges, moments=3)[1].values
    state = network.begin(3).double()

    @torch.no_grad()
    def opened(louder: float) -> torch.Tensor:
        raised = now.clone().unflatten(-1, (3, 304))
        raised[..., 100:200] += louder  # in every band of the cell, and in left, right and side
        _, before = network.trunk(past, state)
        values, _ = network.trunk(raised.flatten(-2), before)
        logits = network.head.logits(values, torch.eye(4)[1].double().expand(3, 1, 1, -1))[:, 0, 0, 0].mean((0, 1))
        widths = np.diff(network.bands.edges)
        return np.array([np.average(logits[a:b], weights=widths[a:b]) for a, b in ((0, 100), (100, 200), (200, 304))])

    slope = (opened(1e-4) - opened(-1e-4)) / 2e-4
    assert np.allclose(found[:, 1], slope, rtol=1e-4, atol=1e-9)


# The pictures.


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return width and height of every picture."""
    heads = {path.name: path.read_bytes()[:24] for path in sorted(folder.iterdir())}
    assert all(head.startswith(b"\x89PNG") for head in heads.values())
    return {name: struct.unpack(">II", head[16:]) for name, head in heads.items()}


def save_published(network, path: Path) -> Path:
    """Write the parameters under the release's names."""
    state = {
        re.sub(r"(samplings\.\d)\.(conv|bn)", _numbered, key): value for key, value in network.state_dict().items()
    }
    torch.save(state, path)
    return path


def _numbered(found: re.Match) -> str:
    return f"{found[1]}.{('conv', 'bn').index(found[2])}"


def test_a_published_checkpoint_shows_its_weights_and_its_attention(tmp_path, capsys):
    checkpoint = save_published(small("lasaft", modulation="film", num_tdfs=2), tmp_path / "lasaft.pt")
    (tmp_path / "arguments.json").write_text(json.dumps(SMALL | {"film_type": "complex", "num_tdfs": 2}))
    options = ["--arguments", str(tmp_path / "arguments.json"), "-o", str(tmp_path / "out")]
    assert main([str(checkpoint), *options]) == 0
    assert set(sizes(tmp_path / "out")) == {"insight-tdf.png", "insight-attention.png"}
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "out" / name) for name in ("insight-tdf.png", "insight-attention.png")
    ]


def test_a_live_checkpoint_shows_its_masks_too(tmp_path):
    network = live()
    content = {"config": network.config.to_dict(), "average": {k: v.half() for k, v in network.state_dict().items()}}
    torch.save(content, tmp_path / "live.pt")
    assert main([str(tmp_path / "live.pt"), "-o", str(tmp_path / "out")]) == 0
    found = sizes(tmp_path / "out")
    assert set(found) == {"insight-attention.png", "insight-tdf.png", "insight-mask.png"}
    assert all(300 < width < 1200 and 150 < height < 1200 for width, height in found.values())


def test_a_separator_shows_its_attention(attending, tmp_path):
    assert main([str(attending.path), "-o", str(tmp_path / "out")]) == 0
    assert set(sizes(tmp_path / "out")) == {"insight-attention.png"}


def test_what_has_nothing_to_show_is_refused_in_a_sentence(tmp_path, capsys, identity):
    plain = save_published(small("tfc", modulation="film"), tmp_path / "plain.pt")
    (tmp_path / "arguments.json").write_text(json.dumps(SMALL | {"film_type": "complex"}))
    (tmp_path / "noise.pt").write_bytes(b"noise")
    torch.save({"config": {"unknown": 1}, "average": {}}, tmp_path / "later.pt")
    for name, reason in (
        (plain, "none of its layers maps frequencies to frequencies"),
        (tmp_path / "noise.pt", "not a checkpoint"),
        (tmp_path / "later.pt", "a checkpoint of LaSAFT-Live that this version cannot read"),
        (identity, "attends to no latent sources"),
        ("nowhere", "there is no separator 'nowhere'"),
    ):
        options = ["--arguments", str(tmp_path / "arguments.json"), "-o", str(tmp_path / "out")]
        assert main([str(name), *options]) == 1
        said = capsys.readouterr().err
        assert f"nothing was drawn of {name}: " in said
        assert reason in said
    assert not (tmp_path / "out").exists()
