"""The bridge: exact delay, fades where a deadline is missed, the same compiled or not."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import realtime.bridge as bridge_module
from realtime import atomics
from realtime.bridge import Bridge
from realtime.callback import FADE, exchange, exchange_python, stream_callback

HOP = 256
TAIL = 64
LATENCY = 1000
# Raised cosine, from nearly 1 to nearly 0.
WEIGHTS = (np.cos(0.5 * np.pi * (np.arange(TAIL) + 0.5) / TAIL) ** 2).astype(np.float32)
needs_numba = pytest.mark.skipif(atomics.njit is None, reason="numba is not installed")


def noise(length: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((length, channels)).astype(np.float32)


def sine(length: int, rate: float = 0.02) -> np.ndarray:
    return np.repeat(np.sin(rate * np.arange(length))[:, None], 2, 1).astype(np.float32)


def play(bridge: Bridge, block: np.ndarray) -> np.ndarray:
    out = np.full((len(block), bridge.out_channels), np.nan, np.float32)
    bridge.process(np.array(block), out)
    return out


def infer(bridge: Bridge, wet: np.ndarray, gain: float = 1.0, until: int | None = None) -> None:
    """Publish hops of `wet` [positions, out_channels] and their tails, as far as the input allows, or to `until`."""
    while bridge.published + HOP + TAIL <= bridge.available() and (until is None or bridge.published + HOP <= until):
        at = bridge.published
        tail = wet[at + HOP : at + HOP + TAIL] * WEIGHTS[:, None]
        bridge.publish(wet[at : at + HOP], tail, gain)


def stream(bridge: Bridge, sound: np.ndarray, wet: np.ndarray, sizes, gain: float = 1.0, stall=None) -> np.ndarray:
    """Play `sound` in blocks of `sizes`; nothing beyond the stall's start is published before its end is played."""
    out = []
    for size in sizes:
        block = sound[bridge.available() :][:size]
        if not len(block):
            break
        out.append(play(bridge, block))
        infer(bridge, wet, gain, stall[0] if stall and bridge.played() < stall[1] else None)
    return np.concatenate(out)


def varying(seed: int = 0, low: int = 32, high: int = 4096):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(low, high + 1))


def fixed(size: int):
    while True:
        yield size


# Delay.


@pytest.mark.parametrize("block", [32, 64, 100, 128, 256, 441, 512, 1024, 4096, None])
def test_an_echo_comes_back_delayed_by_the_latency_and_nothing_else(block):
    latency = HOP - 1 + TAIL + (block or 4096)
    bridge = Bridge(latency, HOP, WEIGHTS)
    sound = noise(30000)
    heard = stream(bridge, sound, sound, varying() if block is None else fixed(block))
    assert not heard[:latency].any()
    assert np.array_equal(heard[latency:], sound[: len(heard) - latency])
    assert bridge.counts().gaps == 0


def test_the_rings_wrap_without_a_seam():
    bridge = Bridge(LATENCY, HOP, WEIGHTS, in_channels=1, out_channels=2)
    sound = noise(300_000, 1)
    heard = stream(bridge, sound, np.repeat(sound, 2, 1), fixed(333))
    assert np.array_equal(heard[LATENCY:], np.repeat(sound[: len(heard) - LATENCY], 2, 1))


def test_one_block_longer_than_the_ring_is_still_played_in_order():
    bridge = Bridge(LATENCY, 1, WEIGHTS)
    bridge.publish(noise(0), noise(0), 1.0)
    sound = noise(400_000)
    heard = play(bridge, sound)
    assert np.array_equal(heard[LATENCY:], sound[:-LATENCY])


def test_played_follows_available_by_the_latency():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    assert (bridge.available(), bridge.played()) == (0, -LATENCY)
    play(bridge, noise(700))
    assert (bridge.available(), bridge.played()) == (700, 700 - LATENCY)


# Gaps.


@pytest.mark.parametrize("block", [64, 300, 512])
def test_a_gap_fades_to_the_scaled_dry_sound_and_back_within_a_hop(block):
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound, wet, gain = noise(20000), noise(20000, seed=1), 0.25
    stall = 20 * HOP
    heard = stream(bridge, sound, wet, fixed(block), gain, (stall, 8000))
    gap_end = stall + bridge.counts().gap_samples
    heard = heard[LATENCY:]
    assert bridge.counts().gaps == 1
    assert gap_end > stall + TAIL
    assert np.array_equal(heard[:stall], wet[:stall])
    w = WEIGHTS[:, None]
    tail = slice(stall, stall + TAIL)
    assert np.allclose(heard[tail], w * wet[tail] + (1 - w) * gain * sound[tail], atol=1e-6)
    dry = slice(stall + TAIL, gap_end)
    assert np.allclose(heard[dry], gain * sound[dry], atol=1e-6)
    back = slice(gap_end, gap_end + HOP)
    r = (np.arange(1, HOP + 1) / HOP)[:, None]
    assert np.allclose(heard[back], r * wet[back] + (1 - r) * gain * sound[back], atol=1e-6)
    after = slice(gap_end + HOP, len(heard))
    assert np.array_equal(heard[after], wet[after])


def test_a_gap_shorter_than_the_tail_comes_back_from_where_the_fade_was():
    bridge = Bridge(HOP + TAIL, HOP, WEIGHTS)
    sound, wet = noise(4 * HOP), noise(4 * HOP, seed=1)
    bridge.publish(wet[:HOP], wet[HOP : HOP + TAIL] * WEIGHTS[:, None], 0.5)
    heard = [play(bridge, sound[: 2 * HOP + TAIL + 10])]
    assert bridge.counts().gap_samples == 10
    infer(bridge, wet, 0.5)
    heard = np.concatenate([*heard, play(bridge, sound[2 * HOP + TAIL + 10 :])])[bridge.latency :]
    p = HOP + 10
    r = WEIGHTS[9] + 1 / HOP
    assert np.allclose(heard[p], r * wet[p] + (1 - r) * 0.5 * sound[p], atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_a_sine_has_no_step_wherever_a_gap_starts_or_ends(seed):
    rng = np.random.default_rng(seed)
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound = sine(40000)
    wet = -0.7 * sound
    out, at = [], 0
    while at < 38000:
        size = int(rng.integers(32, 600))
        out.append(play(bridge, sound[at : at + size]))
        at += size
        # From time to time nothing comes, one late hop, or everything.
        fate = rng.random()
        if fate < 0.3:
            infer(bridge, wet)
        elif fate < 0.5:
            infer(bridge, wet, until=bridge.published + HOP)
        elif fate < 0.55 and at > 4000:
            bridge.skip_to(max(bridge.published, bridge.played() + int(rng.integers(0, 500))))
    heard = np.concatenate(out)[LATENCY:]
    assert bridge.counts().gaps > 5
    # The sine itself steps by 0.02, a fade adds its slope times the distance between wet and dry.
    bound = 0.02 + 1.7 * max(1 / HOP, float(np.abs(np.diff(WEIGHTS)).max()))
    assert np.abs(np.diff(heard[300:], axis=0)).max() < bound


def test_muted_stays_silent_in_a_gap():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound = noise(12000)
    heard = stream(bridge, sound, np.zeros_like(sound), varying(1, 32, 600), 0.0, (4000, 7000))
    assert bridge.counts().gap_samples > 0
    assert not heard.any()


def test_a_new_fill_gain_glides():
    bridge = Bridge(0, HOP, WEIGHTS)
    ones = np.ones((100, 2), np.float32)
    bridge.publish(ones, ones[:0], 1.0)
    play(bridge, ones)
    before = play(bridge, ones)
    bridge.publish(ones[:0], ones[:0], 0.0)
    after = play(bridge, ones)
    assert np.allclose(before, 1)
    assert abs(after[0, 0] - before[-1, 0]) <= 1.001 / HOP
    assert after[-1, 0] < 0.8


def test_skipped_positions_are_a_gap_behind_the_old_tail():
    bridge = Bridge(HOP, HOP, WEIGHTS)
    sound, wet = noise(5 * HOP), noise(5 * HOP, seed=1)
    bridge.publish(wet[:HOP], wet[HOP : HOP + TAIL] * WEIGHTS[:, None], 0.5)
    bridge.skip_to(2 * HOP)
    bridge.publish(wet[2 * HOP : 4 * HOP], np.zeros((0, 2), np.float32), 0.5)
    heard = play(bridge, sound)[HOP:]
    w = WEIGHTS[:, None]
    tail = slice(HOP, HOP + TAIL)
    assert np.array_equal(heard[:HOP], wet[:HOP])
    assert np.allclose(heard[tail], w * wet[tail] + (1 - w) * 0.5 * sound[tail], atol=1e-6)
    assert np.allclose(heard[HOP + TAIL : 2 * HOP], 0.5 * sound[HOP + TAIL : 2 * HOP], atol=1e-6)
    assert np.array_equal(heard[3 * HOP - 1 : 4 * HOP], wet[3 * HOP - 1 : 4 * HOP])
    assert bridge.counts().gap_samples == HOP
    assert bridge.counts().gaps == 1


def test_skipping_back_is_refused():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    bridge.skip_to(500)
    with pytest.raises(ValueError, match="cannot skip back"):
        bridge.skip_to(499)


def test_before_the_first_publication_there_is_silence():
    bridge = Bridge(100, HOP, WEIGHTS)
    assert not play(bridge, noise(1000)).any()
    assert bridge.counts().gap_samples == 900


# Counters and reading.


def test_everything_is_counted_exactly():
    bridge = Bridge(0, HOP, WEIGHTS)
    out = np.zeros((100, 2), np.float32)
    for flags in (0, 1, 2, 4, 8, 16, 3):
        bridge.process(noise(100), out, flags)
    play(bridge, noise(333))
    assert bridge.counts() == bridge_module.Counts(8, 5, 1, 1033, 333)


def test_input_reads_back_with_silence_before_the_start():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound = noise(1000)
    play(bridge, sound)
    out = np.full((600, 2), np.nan, np.float32)
    assert bridge.read(-500, 600, out)
    assert not out[:500].any()
    assert np.array_equal(out[500:], sound[:100])
    with pytest.raises(ValueError, match="has not arrived"):
        bridge.read(900, 101, out)


def test_a_stall_longer_than_the_ring_harms_nothing_and_is_noticed():
    bridge = Bridge(LATENCY, 1, WEIGHTS)
    bridge.publish(noise(0), noise(0), 1.0)
    sound = noise(200_000)
    heard = np.concatenate([play(bridge, block) for block in np.split(sound, 200)])
    assert np.array_equal(heard[LATENCY:], sound[:-LATENCY])
    out = np.zeros((HOP, 2), np.float32)
    assert not bridge.read(0, HOP, out)
    start = bridge.available() - HOP
    assert bridge.read(start, HOP, out)
    assert np.array_equal(out, sound[start:])
    bridge.skip_to(bridge.available())
    bridge.publish(sound[:HOP] * 0 + 7, noise(0), 1.0)
    heard = play(bridge, noise(LATENCY + 10))
    assert np.allclose(heard[LATENCY:], 7)


# Compiled and not.


def code(function, *arguments) -> str:
    """Return the LLVM code of `function`, compiled afresh: what comes from the cache has none to show."""
    from numba import njit, typeof

    fresh = njit(nogil=True, error_model="numpy")(function.py_func)
    fresh.compile(tuple(map(typeof, arguments)))
    return "\n".join(fresh.inspect_llvm().values())



@pytest.mark.parametrize(("ins", "outs"), [(1, 1), (1, 2), (2, 2), (2, 8), (6, 2)])
@needs_numba
def test_compiled_and_python_callbacks_agree_to_the_bit(monkeypatch, ins, outs):
    rng = np.random.default_rng(ins * 10 + outs)
    sound, wet = noise(60000, ins), noise(60000, outs, 1)
    fast = Bridge(LATENCY, HOP, WEIGHTS, ins, outs)
    plain = Bridge(LATENCY, HOP, WEIGHTS, ins, outs)
    at = 0
    while at < 50000:
        size = int(rng.integers(32, 4097))
        flags = int(rng.integers(0, 17))
        blocks = np.zeros((2, size, outs), np.float32)
        fast.process(sound[at : at + size].copy(), blocks[0], flags)
        with monkeypatch.context() as patch:
            patch.setattr(bridge_module, "exchange", exchange_python)
            plain.process(sound[at : at + size].copy(), blocks[1], flags)
        assert np.array_equal(blocks[0], blocks[1])
        at += size
        gain, hops, skip = float(rng.random()), int(rng.integers(0, 20)), rng.random() < 0.1
        for bridge in (fast, plain):
            infer(bridge, wet, gain, bridge.published + hops * HOP)
            if skip:
                bridge.skip_to(max(bridge.published, bridge.played() + 100))
    assert fast.counts() == plain.counts()
    assert fast.counts().gaps > 3


@needs_numba
def test_the_device_callback_reaches_the_same_kernel():
    bridge = Bridge(10, 1, WEIGHTS)
    bridge.publish(noise(0), noise(0), 1.0)
    address, user_data = bridge.callback_pointers
    pointer, long = ctypes.c_void_p, ctypes.c_ulong
    callback = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, long, pointer, long, pointer)(address)
    block_in, block_out = noise(200), np.zeros((200, 2), np.float32)
    assert callback(block_in.ctypes.data, block_out.ctypes.data, 200, None, 4, user_data) == 0
    assert np.array_equal(block_out[10:], block_in[:-10])
    assert (bridge.counts().callbacks, bridge.counts().xruns, bridge.played()) == (1, 1, 190)


@needs_numba
def test_generated_code_acquires_and_releases():
    words = np.zeros(4, np.int64)
    atomics.store_release(words, 1, 5)
    assert atomics.load_acquire(words, 1) == atomics.load_after_reads(words, 1) == 5

    load, store, fenced = (
        code(function, *(np.zeros(1, np.int64), 0, 0)[:count])
        for function, count in ((atomics.load_acquire, 2), (atomics.store_release, 3), (atomics.load_after_reads, 2))
    )
    assert re.search(r"load atomic i64, .* acquire, align 8", load)
    assert re.search(r"store atomic i64 .* release, align 8", store)
    assert re.search(r"fence acquire\n.*load atomic i64, .* acquire, align 8", fenced, re.DOTALL)


@needs_numba
def test_the_compiled_kernel_acquires_releases_and_never_allocates():
    bridge = Bridge(1, 1, WEIGHTS)
    generated = code(exchange, noise(0), noise(0), 0, *bridge._arrays)
    assert len(re.findall(r"store atomic i64 .* release, align 8", generated)) >= 2
    assert re.search(r"load atomic i64, .* acquire, align 8", generated)
    assert "NRT_Allocate" not in generated
    assert "NRT_MemInfo_alloc" not in generated


@needs_numba
def test_on_arm_the_positions_are_ordered_by_instructions():
    import llvmlite.binding as llvm

    try:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(opt=2)
    except RuntimeError as problem:
        pytest.skip(f"this LLVM has no ARM target ({problem})")
    module = llvm.parse_assembly(
        'target triple = "aarch64-unknown-linux-gnu"\n'
        "define i64 @load(ptr %p) {\n %v = load atomic i64, ptr %p acquire, align 8\n ret i64 %v\n}\n"
        "define void @store(ptr %p, i64 %v) {\n store atomic i64 %v, ptr %p release, align 8\n ret void\n}\n"
    )
    assembly = machine.emit_assembly(module)
    assert "ldar" in assembly or "ldapr" in assembly
    assert "stlr" in assembly


def test_without_numba_the_bridge_works_and_says_so():
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from realtime.bridge import Bridge\n"
        "bridge = Bridge(100, 1, np.zeros(0))\n"
        "bridge.publish(np.zeros((0, 2)), np.zeros((0, 2)), 1.0)\n"
        "block = np.arange(600, dtype=np.float32).reshape(300, 2); out = np.zeros_like(block)\n"
        "bridge.process(block, out)\n"
        "assert np.array_equal(out[100:], block[:200]) and not out[:100].any()\n"
        "assert bridge.callback_pointers is None and 'numba' in bridge.notice\n"
        "assert bridge.available() == 300 and bridge.read(0, 300, out) and np.array_equal(out, block)\n"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)


@needs_numba
def test_with_numba_there_is_nothing_to_say():
    assert Bridge(1, 1, WEIGHTS).notice is None
    assert stream_callback() is not None


def test_sizes_that_make_no_stream_are_refused():
    for arguments in ((-1, HOP, WEIGHTS), (0, 0, WEIGHTS), (0, HOP, WEIGHTS, 0), (0, HOP, WEIGHTS[:, None])):
        with pytest.raises(ValueError, match="a bridge needs"):
            Bridge(*arguments)


# Silence around a stop.


def test_everything_fades_out_and_in_again():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound = np.ones((20000, 2), np.float32)
    stream(bridge, sound[:8000], sound, fixed(100))
    bridge.fade(False)
    out = play(bridge, sound[:FADE])
    assert np.allclose(out[:, 0], 1 - np.arange(1, FADE + 1) / FADE, atol=1e-5)
    assert bridge.silent and not play(bridge, sound[:100]).any()
    bridge.fade(True)
    infer(bridge, sound)
    assert np.allclose(play(bridge, sound[:FADE])[:, 1], np.arange(1, FADE + 1) / FADE, atol=1e-5)
    assert not bridge.silent and (play(bridge, sound[:50]) == 1).all()


# Another latency.


@pytest.mark.parametrize("block", [64, 441, 1024, None])
@pytest.mark.parametrize("grows", [True, False])
def test_another_latency_takes_over_within_a_fade(block, grows):
    short = HOP - 1 + TAIL + (block or 4096)
    first, then = (short, short + 1500) if grows else (short + 1500, short)
    bridge = Bridge(first, HOP, WEIGHTS)
    sound = sine(60000)
    sizes = varying() if block is None else fixed(block)
    heard = [stream(bridge, sound[:20000], sound, sizes)]
    assert bridge.settled
    bridge.change_latency(then)
    asked = bridge.available()
    assert not bridge.settled
    heard.append(stream(bridge, sound, sound, sizes))
    heard = np.concatenate(heard)
    assert bridge.settled
    assert np.array_equal(heard[first:asked], sound[: asked - first])
    rest = heard[asked + FADE :]
    assert np.array_equal(rest, sound[asked + FADE - then :][: len(rest)])
    share = np.arange(FADE, 0, -1)[:, None] / (FADE + 1)
    old, new = (sound[asked - latency :][:FADE] for latency in (first, then))
    assert np.allclose(heard[asked : asked + FADE], share * old + (1 - share) * new, atol=1e-6)
    # No gap was counted, for none was heard.
    assert bridge.counts().gaps == 0


def test_latency_grows_before_the_first_sound_and_twice_in_a_row():
    bridge = Bridge(LATENCY, HOP, WEIGHTS)
    sound = noise(30000)
    bridge.change_latency(LATENCY + 300)
    heard = [stream(bridge, sound[:600], sound, fixed(100))]
    # Asked for in the midst of a fade: it waits for its end.
    bridge.change_latency(LATENCY + 100)
    heard.append(stream(bridge, sound, sound, fixed(100)))
    heard = np.concatenate(heard)
    assert not heard[:LATENCY].any()
    rest = heard[4000:]
    assert np.array_equal(rest, sound[4000 - LATENCY - 100 :][: len(rest)])


def test_a_tail_of_another_shape_fades_by_its_own_weights():
    bridge = Bridge(HOP + TAIL, HOP, WEIGHTS, room=3 * TAIL)
    wet = sine(4000)
    bridge.publish(wet[:HOP], wet[HOP : HOP + TAIL] * WEIGHTS[:, None], 0.5)
    longer = np.linspace(1, 0, 3 * TAIL + 2, dtype=np.float32)[1:-1]
    bridge.shape(64, longer)
    bridge.publish(wet[HOP : 2 * HOP], wet[2 * HOP : 2 * HOP + 3 * TAIL] * longer[:, None], 0.5)
    start, tail, weights = bridge.tail()
    assert start == 2 * HOP and np.array_equal(weights, longer)
    assert np.array_equal(tail, wet[2 * HOP : 2 * HOP + 3 * TAIL] * longer[:, None])
    heard = play(bridge, sine(4 * HOP + 4 * TAIL))[HOP + TAIL :]
    assert np.array_equal(heard[: 2 * HOP], wet[: 2 * HOP])
    fading = slice(2 * HOP, 2 * HOP + 3 * TAIL)
    wanted = wet[fading] * longer[:, None] + (1 - longer[:, None]) * 0.5 * sine(4000)[fading]
    assert np.allclose(heard[fading], wanted, atol=1e-6)
    with pytest.raises(ValueError, match="where there is room"):
        bridge.shape(64, np.zeros(3 * TAIL + 1))
