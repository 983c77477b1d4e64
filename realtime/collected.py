"""From rows of channels, as transforms have them, to samples of interleaved channels, as sound is mixed and played."""

from __future__ import annotations

from realtime.atomics import compiled, njit


def _by_slices(final, tail, past, stems, stem_tails, dry, dry_tail):
    step = len(dry)
    for channel in range(dry.shape[1]):
        stems[:, :, channel], stem_tails[:, :, channel] = final[:, channel], tail[:, channel]
        dry[:, channel], dry_tail[:, channel] = past[channel, :step], past[channel, step:]


def _by_loops(final, tail, past, stems, stem_tails, dry, dry_tail):
    step, channels = dry.shape
    rest = len(dry_tail)
    for channel in range(channels):
        for stream in range(len(stems)):
            for n in range(step):
                stems[stream, n, channel] = final[stream, channel, n]
            for n in range(rest):
                stem_tails[stream, n, channel] = tail[stream, channel, n]
        for n in range(step):
            dry[n, channel] = past[channel, n]
        for n in range(rest):
            dry_tail[n, channel] = past[channel, step + n]


# Writes `final` [streams, channels, step] to `stems` [streams, step, channels], `tail` likewise to `stem_tails`, and the dry
# sound `past` [channels, step + rest] to `dry` [step, channels] and `dry_tail` [rest, channels]. Of more channels in the rows
# than in the samples, the first ones are taken.
collect = compiled(_by_loops) if njit else _by_slices
