"""What happens when the device asks for a block: one function of plain arrays, compiled or not.

`exchange` takes the block into the input ring and plays what is due. It never waits, and compiled
it neither allocates nor runs Python. `exchange_python` is the same function uncompiled.

What is played at position p is r x(p) + (1 - r a(p)) g d(p): x is the wet sample, already weighted
by a, d the dry sample and g the fill gain, of which each output channel has its own. The weight a is
1 where the wet sound is whole, falls over the overlap-add tail behind its end, and is 0 beyond. The
mix r shrinks whenever a rises, so that r a never jumps up; where the sound is whole it grows to 1
within a hop.

Where another latency is wanted, the sound at the new one takes over from that at the old one within FADE samples.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np

from realtime.atomics import compiled, load_acquire, njit, store_release

# Layout of the shared int64 words. What one thread writes stays 128 bytes from what the other does.
IN_HEAD = 0  # callback: input positions below this are in the ring
OUT_POSITION = 1  # callback: next position to be played
CALLBACKS, XRUNS, GAPS, GAP_SAMPLES, LARGEST_BLOCK = 2, 3, 4, 5, 6  # callback: counters
LATENCY, LATENCY_BEFORE, FADING = 7, 8, 9  # callback: what holds now, what held before, samples left of a fade
SEQUENCE = 32  # inference: number of publications; the last one is in slot SEQUENCE % SLOTS
SLOTS = 8  # a callback may read a slot while the next ones are filled
ENDS = 48  # inference, per slot: wet positions below this are in the ring
TAIL_STARTS, TAIL_ENDS = 56, 64  # inference, per slot: positions of the tail; only what is not below ENDS counts
WHOLE = 72  # inference, per slot: from here to the end nothing was skipped
WANTED_LATENCY, HOP = 80, 81  # inference: the latency to go to; samples in which the sound grows whole
LOUD = 82  # control: 1, or 0 where nothing is to be heard
WORDS = 96

# Layout of the callback's own float64 state; the fill gain of each output channel follows.
MIX, WEIGHT, LEVEL = 0, 1, 2
STATE = 3

# Layout of the user data: shapes, then addresses, of what `exchange` takes.
IN_CHANNELS, OUT_CHANNELS, IN_CAPACITY, OUT_CAPACITY, TAIL = 0, 1, 2, 3, 4
ADDRESSES = 8
USER_DATA = 16

# Samples in which one latency takes over from another.
FADE = 512

XRUN_FLAGS = 15  # PortAudio: input underflow 1, input overflow 2, output underflow 4, output overflow 8


def _copy_rows_loop(target, to, source, since, count):
    for i in range(count):
        for c in range(target.shape[1]):
            target[to + i, c] = source[since + i, c]


def _copy_rows_slice(target, to, source, since, count):
    target[to : to + count] = source[since : since + count]


# A slice assignment may allocate when compiled, and a loop is slow when not.
_copy_rows = compiled(_copy_rows_loop) if njit else _copy_rows_slice


def exchange_python(
    block_in, block_out, flags, words, state, in_ring, out_ring, weight_ring, tails, fills, weights
) -> None:
    """Take a block in, play a block out.

    `block_in` float32 [n, in_channels], `block_out` float32 [n, out_channels], `flags` PortAudio's
    status flags. `words` int64 [WORDS] and `state` float64 [STATE + out_channels] as laid out above; `in_ring`
    float32 [2^k, in_channels], `out_ring` float32 [2^m, out_channels], `weight_ring` float32 [2^m]; `tails` float32
    [SLOTS, tail, out_channels], `fills` float64 [SLOTS, out_channels], `weights` float32 [SLOTS, tail], below 1.
    """
    total = block_out.shape[0]
    in_channels = in_ring.shape[1]
    out_channels = out_ring.shape[1]
    in_capacity = in_ring.shape[0]
    out_capacity = out_ring.shape[0]
    in_mask = in_capacity - 1
    out_mask = out_capacity - 1
    wanted = load_acquire(words, WANTED_LATENCY)
    if wanted != words[LATENCY] and words[FADING] == 0:
        words[LATENCY_BEFORE] = words[LATENCY]
        words[LATENCY] = wanted
        words[FADING] = FADE
    latency = words[LATENCY]
    step = 1.0 / words[HOP]
    r = float(state[MIX])
    last = float(state[WEIGHT])
    words[CALLBACKS] += 1
    if flags & XRUN_FLAGS:
        words[XRUNS] += 1
    words[LARGEST_BLOCK] = max(words[LARGEST_BLOCK], total)

    done = 0
    while done < total:
        # A reader of the ring relies on no more than this much being overwritten at a time.
        count = min(total - done, in_capacity // 8)
        head = words[IN_HEAD]
        at = head & in_mask
        first = min(count, in_capacity - at)
        _copy_rows(in_ring, at, block_in, done, first)
        _copy_rows(in_ring, 0, block_in, done + first, count - first)
        store_release(words, IN_HEAD, head + count)

        slot = load_acquire(words, SEQUENCE) % SLOTS
        end = words[ENDS + slot]
        whole = words[WHOLE + slot]
        tail_start = words[TAIL_STARTS + slot]
        tail_end = words[TAIL_ENDS + slot]
        since = head - latency
        i = 0
        while i < count:
            p = since + i
            fading = words[FADING]
            if fading == 0 and p < 0:
                run = min(count - i, -p)
                block_out[done + i : done + i + run] = 0.0
                i += run
                continue
            at = p & out_mask
            if fading == 0 and r == 1.0 and last == 1.0 and whole <= p < end:
                run = min(count - i, end - p, out_capacity - at)
                _copy_rows(block_out, done + i, out_ring, at, run)
                for c in range(out_channels):
                    state[STATE + c] = fills[slot, c]
                i += run
                continue
            weight = 0.0
            if p < end:
                weight = float(weight_ring[at])
            elif p < tail_end:
                weight = float(weights[slot, p - tail_start])
            if weight > last:
                r *= last / weight
            if weight == 1.0:
                r = min(1.0, r + step)
            else:
                words[GAP_SAMPLES] += 1
                if last == 1.0:
                    words[GAPS] += 1
            last = weight
            rest = 1.0 - r * weight
            # A gain that is heard glides.
            pace = step if rest else 1.0
            for c in range(out_channels):
                g = float(state[STATE + c])
                g += (float(fills[slot, c]) - g) * pace
                state[STATE + c] = g
                wet = 0.0
                if p < end:
                    wet = float(out_ring[at, c])
                elif p < tail_end:
                    wet = float(tails[slot, p - tail_start, c])
                sound = float(in_ring[p & in_mask, c % in_channels])
                # NaN and infinity would pass even a gain of zero.
                if not abs(sound) < 1e30:
                    sound = 0.0
                block_out[done + i, c] = (r * wet + rest * g * sound) * (p >= 0)
            if fading > 0:
                q = head + i - words[LATENCY_BEFORE]
                share = fading / (FADE + 1.0)
                before = 0.0
                if q < end:
                    before = float(weight_ring[q & out_mask])
                elif q < tail_end:
                    before = float(weights[slot, q - tail_start])
                for c in range(out_channels):
                    wet = 0.0
                    if q < end:
                        wet = float(out_ring[q & out_mask, c])
                    elif q < tail_end:
                        wet = float(tails[slot, q - tail_start, c])
                    sound = float(in_ring[q & in_mask, c % in_channels])
                    if not abs(sound) < 1e30:
                        sound = 0.0
                    old = (wet + (1.0 - before) * float(state[STATE + c]) * sound) * (q >= 0)
                    block_out[done + i, c] += share * (old - block_out[done + i, c])
                words[FADING] = fading - 1
            i += 1
        store_release(words, OUT_POSITION, since + count)
        done += count
    loud = float(load_acquire(words, LOUD))
    level = float(state[LEVEL])
    if level != loud or loud == 0.0:
        for i in range(total):
            level = min(1.0, max(0.0, level + (2.0 * loud - 1.0) / FADE))
            for c in range(out_channels):
                block_out[i, c] *= level
        state[LEVEL] = level
    state[MIX] = r
    state[WEIGHT] = last


exchange = compiled(exchange_python)

if njit:
    from numba import carray, cfunc, types
    from numba.extending import intrinsic

    @intrinsic
    def _pointer(typing, address):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

        return types.voidptr(types.int64), generate

    def _stream_callback(block_in, block_out, frames, time, flags, user_data):
        user = carray(user_data, (USER_DATA,), np.int64)
        n = np.int64(frames)
        ins, outs, tail = user[IN_CHANNELS], user[OUT_CHANNELS], user[TAIL]
        exchange(
            carray(block_in, (n, ins), np.float32),
            carray(block_out, (n, outs), np.float32),
            np.int64(flags),
            carray(_pointer(user[ADDRESSES]), (WORDS,), np.int64),
            carray(_pointer(user[ADDRESSES + 1]), (STATE + outs,), np.float64),
            carray(_pointer(user[ADDRESSES + 2]), (user[IN_CAPACITY], ins), np.float32),
            carray(_pointer(user[ADDRESSES + 3]), (user[OUT_CAPACITY], outs), np.float32),
            carray(_pointer(user[ADDRESSES + 4]), (user[OUT_CAPACITY],), np.float32),
            carray(_pointer(user[ADDRESSES + 5]), (SLOTS, tail, outs), np.float32),
            carray(_pointer(user[ADDRESSES + 6]), (SLOTS, outs), np.float64),
            carray(_pointer(user[ADDRESSES + 7]), (SLOTS, tail), np.float32),
        )
        return 0  # paContinue


@lru_cache(maxsize=1)
def stream_callback():
    """Return `exchange` as a compiled PaStreamCallback (numba CFunc), or None where numba is missing.

    Its user data is the address of int64 [USER_DATA]; its blocks are interleaved float32.
    """
    if njit is None:
        return None
    unsigned_long = types.uint32 if ctypes.sizeof(ctypes.c_ulong) == 4 else types.uint64
    pointer = types.voidptr
    signature = types.int32(pointer, pointer, unsigned_long, pointer, unsigned_long, pointer)
    try:
        return cfunc(signature, cache=True)(_stream_callback)
    except RuntimeError:  # nowhere to write a cache
        return cfunc(signature)(_stream_callback)
