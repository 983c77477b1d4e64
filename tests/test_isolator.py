"""The DJ's equaliser isolator, as shipped: three bands that sum to the mixture, in every latency mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

import run_live
from models.crossover import BANDS, CROSSOVERS, band_gains
from realtime.errors import HostError
from realtime.latency import MODE_NAMES
from realtime.library import SHIPPED
from realtime.offline import separate_array
from realtime.presets import presets_for
from realtime.separator import Separator

FILE = SHIPPED / "isolator.onnx"
RATE = 44100


@pytest.fixture(scope="module")
def isolator():
    return Separator.load(FILE)


def decibels(ratio) -> np.ndarray:
    return 20 * np.log10(np.maximum(ratio, 1e-10))


def split(isolator: Separator, mode: str, signal: np.ndarray) -> np.ndarray:
    """Return the bands [3, samples] of a mono `signal` as the host plays them."""
    return separate_array(isolator, isolator.metadata.modes[mode], signal[:, None].astype(np.float32))[:, :, 0]


def test_gains_sum_to_one_and_cross_at_half_with_24_db_per_octave():
    frequency = np.linspace(0, 24000, 1001)
    assert np.abs(band_gains(frequency).sum(0) - 1).max() < 1e-15
    assert band_gains(frequency).min() >= 0
    low, mid, high = band_gains(np.array(CROSSOVERS))
    np.testing.assert_allclose([low[0], mid[0], mid[1], high[1]], 0.5, atol=1e-4)
    below, above = band_gains(np.array([20.0, 10000.0])), band_gains(np.array([40.0, 20000.0]))
    slopes = decibels(above / below)
    assert slopes[0, 1] == pytest.approx(-24, abs=0.1)
    assert slopes[2, 0] == pytest.approx(24, abs=0.1)


def test_the_shipped_file_is_what_the_module_exports(isolator):
    pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("onnx", reason="needs the train extra")
    from export.exporter import weights_hash
    from export.verify import verify
    from models.isolator import ISOLATOR, Isolator

    assert verify(FILE, Isolator(), frames=20).error < 2e-5
    assert isolator.metadata == replace(ISOLATOR, weights=weights_hash(Isolator()))


def test_an_estimate_is_the_mixture_times_the_gains_that_the_condition_blends(isolator):
    random = np.random.default_rng(0)
    runner = isolator.runner(4)
    runner.mixture[:] = random.standard_normal(runner.mixture.shape)
    runner.condition[:3], runner.condition[3] = np.eye(3), [0.3, 1.0, 0.0]
    runner.run()
    gains = runner.condition @ band_gains(np.fft.rfftfreq(isolator.metadata.n_fft, 1 / RATE))
    np.testing.assert_allclose(runner.estimate, gains[:, None, None] * runner.mixture, atol=1e-5)
    np.testing.assert_allclose(runner.estimate[:3].sum(0), runner.mixture[0], atol=1e-6)


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_the_three_bands_sum_to_the_mixture(isolator, mode):
    signal = np.random.default_rng(1).uniform(-0.5, 0.5, 20000)
    assert np.abs(split(isolator, mode, signal).sum(0) - signal).max() < 2e-6


# Levels in dB of 60 Hz in mid, 1 kHz in low, 1 kHz in high, 10 kHz in mid: -50, -48, -32 and -48 without windows.
@pytest.mark.parametrize(
    ("mode", "most"),
    [
        ("safe", (-47, -47, -31, -47)),
        ("low", (-45, -47, -31, -47)),
        ("lower", (-38, -47, -31, -47)),
        ("extreme", (-27, -46, -31, -47)),
    ],
)
def test_a_tone_of_one_band_is_weak_in_the_others_and_whole_in_its_own(isolator, mode, most):
    found = []
    for frequency, own, others in ((60, 0, (1,)), (1000, 1, (0, 2)), (10000, 2, (1,))):
        tone = np.sin(2 * np.pi * frequency * np.arange(RATE // 2) / RATE)
        bands = split(isolator, mode, tone)[:, 4096:-4096]
        levels = decibels(bands.std(1) / tone.std())
        assert abs(levels[own]) < 0.5
        found += [levels[other] for other in others]
    assert np.all(np.array(found) <= most), np.round(found, 1)


# What lies half a frame or more from a click cannot be the filter's own ringing: it has wrapped around the frame.
@pytest.mark.parametrize(("mode", "most"), [("safe", -65), ("low", -62), ("lower", -57), ("extreme", -52)])
def test_a_click_comes_back_from_around_the_frame_below_a_stated_level(isolator, mode, most):
    hop = isolator.metadata.modes[mode].hop
    worst = -200.0
    for place in range(6000, 6000 + hop, max(1, hop // 6)):
        click = np.zeros(12000)
        click[place] = 1
        bands = np.abs(split(isolator, mode, click))
        far = np.abs(np.arange(12000) - place) >= 1024
        worst = max(worst, decibels(bands[:, far].max(1) / bands.max(1)).max())
    assert worst < most


def test_it_is_listed_and_has_a_preset_for_every_band(isolator, capsys):
    assert isolator.metadata.stems == BANDS
    assert tuple(isolator.metadata.modes) == MODE_NAMES
    presets = presets_for(isolator.metadata.stems)
    assert presets["only-low"] == (1, 0, 0)
    assert presets["no-low"] == (0, 1, 1)
    assert run_live.main(["models"]) == 0
    assert "three-band isolator: low, mid, high" in capsys.readouterr().out


@pytest.mark.parametrize("latency", MODE_NAMES)
def test_a_file_is_separated_into_its_bands(tmp_path, latency):
    soundfile.write(
        tmp_path / "song.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (9000, 2)), RATE, subtype="FLOAT"
    )
    arguments = ["separate", str(tmp_path / "song.wav"), "-o", str(tmp_path / "out")]
    assert run_live.main([*arguments, "--model", "isolator", "--latency", latency]) == 0
    bands = [soundfile.read(tmp_path / "out" / "song" / f"{name}.wav")[0] for name in BANDS]
    assert np.abs(sum(bands) - soundfile.read(tmp_path / "song.wav")[0]).max() < 1e-5


def test_the_baseline_of_the_evaluation_has_the_same_bands():
    from models.evaluate.baselines import bands_of

    audio = np.random.default_rng(2).standard_normal((RATE, 2))
    found = np.fft.rfft(bands_of(audio), axis=1)
    wanted = band_gains(np.fft.rfftfreq(RATE, 1 / RATE))[:, :, None] * np.fft.rfft(audio, axis=0)
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_the_evaluation_refuses_a_separator_whose_stems_have_no_reference(tmp_path):
    from models.evaluate.contestant import contestant

    with pytest.raises(HostError, match="gives 'high', and the corpus has only vocals, drums, bass, other"):
        contestant("isolator", tmp_path)
