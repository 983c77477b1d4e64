"""Recordings on disk: how long a file is, and its sound as float32 stereo at 44.1 kHz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from realtime.errors import HostError

RATE = 44100
KINDS = (".wav", ".flac", ".ogg", ".m4a", ".mp3")
"""Suffixes that are read; where a recording is there twice, the first of them counts."""
MULTIPLE = ".stem.mp4"
"""Several recordings in one file, as MUSDB18 has them."""

_MPEG4 = (".m4a", ".mp4")
_NO_FFMPEG = (
    "reading {} files takes the musdb library and the program ffmpeg: pip install -e '.[train]', and install ffmpeg"
)


@dataclass(frozen=True)
class Extent:
    """Length of a recording in samples, at `rate` Hz."""

    samples: int
    rate: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def mpeg4_reader(path: Path):
    """Return stempeg, the reader of MPEG-4 that comes with musdb. Raises HostError where it or ffmpeg is missing."""
    try:
        import stempeg
    except (ImportError, RuntimeError):  # it refuses to be imported where there is no ffmpeg
        raise HostError(_NO_FFMPEG.format(path.suffix)) from None
    return stempeg


def extent_of(path: Path, stream: int = 0) -> Extent:
    """Return what the head of a file says. Raises HostError where it cannot be read."""
    if path.suffix.lower() in _MPEG4:
        stempeg = mpeg4_reader(path)
        try:
            info = stempeg.Info(str(path))
            rate = info.sample_rate(stream)
            return Extent(round(info.duration(stream) * rate), rate)
        except Exception as error:  # noqa: BLE001  ffmpeg's own exceptions come from a module it hides
            raise HostError(f"{path.name} cannot be read ({_reason(error)})") from None
    try:
        info = soundfile.info(path)
    except (RuntimeError, OSError) as error:
        raise HostError(f"{path.name} cannot be read ({_reason(error)})") from None
    return Extent(info.frames, info.samplerate)


def read_stereo(path: Path, stream: int = 0) -> np.ndarray:
    """Return a file as float32 [samples, 2] at 44.1 kHz: mono is doubled, other rates are resampled.

    `stream` counts the recordings of a file that holds several. Raises HostError where the file cannot be
    read to its end, or holds what is no number.
    """
    extent = extent_of(path, stream)
    try:
        if path.suffix.lower() in _MPEG4:
            audio = mpeg4_reader(path).read_stems(str(path), stem_id=stream, dtype=np.float32, always_3d=True)[0][0]
        else:
            audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
    except HostError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a decoder stumbles over, the file is what is wrong
        raise HostError(f"{path.name} cannot be read ({_reason(error)})") from None
    if len(audio) < extent.samples - extent.rate // 10:
        raise HostError(f"{path.name} breaks off after {len(audio) / extent.rate:.1f} of {extent.seconds:.1f} s")
    if not np.isfinite(audio).all():
        raise HostError(f"{path.name} holds samples that are no numbers")
    audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
    return audio if extent.rate == RATE else soxr.resample(audio, extent.rate, RATE)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
