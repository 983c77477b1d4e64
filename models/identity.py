"""The separator that changes nothing: what delay is measured with, through the same door as every other."""

from __future__ import annotations

from torch import Tensor, nn

from realtime.latency import MODE_NAMES, Mode
from realtime.metadata import Metadata, Training


class Identity(nn.Module):
    """estimate = mixture * condition, float32, without state."""

    stem_states: tuple[bool, ...] = ()

    def initial_states(self, stems: int) -> tuple[Tensor, ...]:
        """Return no states."""
        return ()

    def forward(self, mixture: Tensor, condition: Tensor) -> tuple[Tensor]:
        return (mixture * condition[:, :, None, None],)


# A Hann window's tail is too small to undo exactly in float32, so the fall here is as long as the overlap.
IDENTITY = Metadata(
    name="identity",
    architecture="identity",
    stems=("all",),
    sample_rates=(44100, 48000),
    channels=2,
    n_fft=2048,
    frames=1,
    lookahead=0,
    modes={
        name: Mode(hop, 2 * hop, f"asymmetric-{hop}")
        for name, hop in zip(MODE_NAMES, (1024, 512, 256, 128), strict=True)
    },
    training=Training(data="none", licence="public domain"),
)
