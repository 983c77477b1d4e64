"""The demo song: four stems synthesised here, so that a first listen and the tests need no audio file.

The stems are exact: their sum, in the order vocals, drums, bass, other, is the mixture. Nothing is
normalised over the whole song, so a cut song is the beginning of the full one.
"""

from __future__ import annotations

from realtime.demo.arrangement import BPM, SHOW, sections
from realtime.demo.song import Song, demo_song

__all__ = ["BPM", "SHOW", "Song", "demo_song", "sections"]
