"""The song: stems and their sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from realtime.demo.arrangement import BPM, DURATION
from realtime.demo.bass import render_bass
from realtime.demo.drums import render_drums
from realtime.demo.keys import render_keys
from realtime.demo.sound import BLOCK, smoothstep
from realtime.demo.voice import render_voice
from realtime.errors import HostError

_PARTS = {"vocals": render_voice, "drums": render_drums, "bass": render_bass, "other": render_keys}
# Fixed, measured once: a gain taken from the sound itself would depend on where the song is cut.
_GAINS = {"vocals": 0.1, "drums": 0.38, "bass": 0.2, "other": 0.082}
_LAST_FADE = 0.6
_CUT_FADE = 0.02


@dataclass(frozen=True)
class Song:
    """A song with known stems.

    `stems` maps vocals, drums, bass, other, in this order, to float32 [samples, 2] at `rate` Hz.
    """

    rate: int
    stems: dict[str, np.ndarray]
    bpm: float = BPM

    @property
    def mixture(self) -> np.ndarray:
        """The sum of the stems in their order, float32 [samples, 2], within -1 dBFS."""
        return reduce(add, self.stems.values())

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(next(iter(self.stems.values()))) / self.rate


def demo_song(seconds: float | None = None, rate: int = 44100) -> Song:
    """Render the demo song, or its first `seconds` with a fade-out over the last 20 ms.

    A length beyond the song's gives the whole song. The same arguments give the same samples.
    Raises HostError for a length that is not positive or a rate below 16000 Hz.
    """
    if seconds is not None and not seconds > 0:
        raise HostError(f"The demo song cannot last {seconds:g} s; ask for more than 0 s, or for no length at all.")
    if rate < 16000:
        raise HostError(f"The demo song cannot be rendered at {rate} Hz; ask for 16000 Hz or more.")
    whole = round(DURATION * rate)
    length = whole if seconds is None else min(whole, max(1, round(seconds * rate)))
    # Whole blocks: the reverb then sees the same blocks however early the song is cut.
    rendered = -(-length // BLOCK) * BLOCK
    envelope = 1 - smoothstep((np.arange(length) - whole) / (_LAST_FADE * rate) + 1)
    if length < whole:
        fade = min(length, round(_CUT_FADE * rate))
        envelope[-fade:] *= np.linspace(1, 0, fade)
    envelope = envelope.astype(np.float32)[:, None]
    parts = {name: render(rendered, rate)[:length] for name, render in _PARTS.items()}
    return Song(rate=rate, stems={name: part * (envelope * np.float32(_GAINS[name])) for name, part in parts.items()})
