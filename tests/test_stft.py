"""Streaming STFT and what is compiled around it, against numpy's transforms in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from realtime import collected, fft, finite, stft
from realtime.fft import compile_aside, compile_now, transforms
from realtime.stft import Analysis, Synthesis

compiled_only = pytest.mark.skipif(transforms(64) is None, reason="numba is not installed")


def streamed(size: int, channels: int, hop: int, synthesis: int, slots: int, count: int = 6) -> tuple[np.ndarray, ...]:
    """Return the spectra [calls, 2 channels, slots, bins] of noise, and what two streams made of them finish and hold."""
    rng = np.random.default_rng(size + channels)
    window, fading = rng.random(size), rng.random(synthesis)
    audio = rng.standard_normal((channels, count * slots * hop)).astype(np.float32)
    analysis = Analysis(window, slots * hop, channels, size + (slots - 1) * hop)
    adding = Synthesis(fading, hop, size, 2, channels)
    spectra = np.zeros((count, 2 * channels, slots, size // 2 + 1), np.float32)
    finals = []
    for call in range(count):
        analysis.push(audio[:, call * slots * hop : (call + 1) * slots * hop])
        for slot in range(slots):
            analysis.transform(spectra[call], slot, (slots - 1 - slot) * hop)
            # The second stream is the first one turned and made softer.
            adding.add(np.stack([spectra[call], -0.5 * spectra[call]]), slot)
            finals.append(adding.final.copy())

    past = np.concatenate([np.zeros((channels, size)), audio.astype(np.float64)], 1)
    sums = np.zeros((channels, len(finals) * hop + synthesis))
    for frame in range(len(finals)):
        end = size + (frame + 1) * hop
        wanted = np.fft.rfft(past[:, end - size : end] * window)
        found = spectra[frame // slots, :, frame % slots]
        assert np.abs(found[0::2] + 1j * found[1::2] - wanted).max() < 5e-7 * np.abs(wanted).max()
        sums[:, frame * hop : frame * hop + synthesis] += np.fft.irfft(wanted, size)[:, -synthesis:] * fading
    heard = np.concatenate(finals, 2)
    return heard, adding.tail, sums[:, : heard.shape[2]], sums[:, heard.shape[2] :][:, : synthesis - hop]


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=compiled_only), False])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("size", "slots"), [(16, 1), (32, 2), (128, 1), (512, 3), (2048, 1), (4096, 2)])
def test_frames_are_transformed_and_added_up_as_numpy_does(monkeypatch, compiled, channels, size, slots):
    if not compiled:
        monkeypatch.setattr(stft, "transforms", lambda size: None)
    for hop, synthesis in ((size // 4, size // 2), (size // 8, size // 8 * 3), (size // 2, size)):
        heard, tail, sums, rest = streamed(size, channels, hop, synthesis, slots)
        for stream, gain in enumerate((1.0, -0.5)):
            assert np.abs(heard[stream] - gain * sums).max() < 1e-6 * np.abs(sums).max()
            assert np.abs(tail[stream] - gain * rest).max() < 1e-6 * np.abs(sums).max()


@pytest.mark.parametrize("size", [1000, 1536])
def test_frames_of_other_sizes_are_transformed_by_numpy(size):
    assert transforms(size) is None
    heard, _, sums, _ = streamed(size, 2, size // 4, size // 2, 1)
    assert np.abs(heard[0] - sums).max() < 1e-6 * np.abs(sums).max()


@compiled_only
def test_what_is_to_be_compiled_while_sound_runs_is_compiled_by_another_process(monkeypatch, tmp_path):
    transforms.cache_clear()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    compile_aside(16)
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbc")}
    assert any(name.endswith("forward") for name in kept) and any(name.endswith("inverse") for name in kept), kept
    assert not transforms(16).forward.signatures
    # Nor is it done again, or where numpy serves.
    compile_now(16)
    monkeypatch.setattr(fft, "subprocess", None)
    compile_aside(16)
    compile_aside(1000)


def test_the_imaginary_part_of_the_outermost_bins_is_left_out_as_numpy_does():
    size = 64
    spectra = np.random.default_rng(0).standard_normal((1, 4, 1, size // 2 + 1)).astype(np.float32)
    adding = Synthesis(np.ones(size), size, size, 1, 2)
    adding.add(spectra)
    wanted = np.fft.irfft(spectra[0, 0::2, 0] + 1j * spectra[0, 1::2, 0], size)
    assert np.abs(adding.final[0] - wanted).max() < 1e-6


@pytest.mark.parametrize("wanted", ["_by_loops", "_by_slices"])
def test_rows_are_collected_where_they_are_mixed(wanted):
    rng = np.random.default_rng(0)
    final, tail, past = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 2, 8), (3, 2, 5), (2, 13)))
    for channels in (1, 2):
        stems, tails = np.zeros((3, 8, channels), np.float32), np.zeros((3, 5, channels), np.float32)
        dry, dry_tail = np.zeros((8, channels), np.float32), np.zeros((5, channels), np.float32)
        getattr(collected, wanted)(final, tail, past, stems, tails, dry, dry_tail)
        assert np.array_equal(stems, final.swapaxes(1, 2)[:, :, :channels])
        assert np.array_equal(tails, tail.swapaxes(1, 2)[:, :, :channels])
        assert np.array_equal(np.concatenate([dry, dry_tail]), past.T[:, :channels])


@pytest.mark.parametrize("wanted", ["_by_bits", "_by_extremes", "all_finite"])
def test_one_number_that_is_none_is_found_anywhere(wanted):
    largest = np.finfo(np.float32).max
    for at in (0, 5, 32):
        for value, fine in ((largest, True), (-largest, True), (0.0, True), (np.nan, False), (np.inf, False), (-np.inf, False)):
            numbers = np.random.default_rng(0).standard_normal(33).astype(np.float32)
            numbers[at] = value
            assert getattr(finite, wanted)(numbers.view(np.int32)) == fine
