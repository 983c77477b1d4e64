"""FluidSynth and the free General MIDI sound fonts, run offline."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.corpus import RATE
from realtime.errors import HostError

_FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
    Path("/usr/local/share/soundfonts"),
    Path("/opt/homebrew/share/soundfonts"),
    Path.home() / ".local/share/soundfonts",
)
# The first of each line is taken; sf3 is the same font compressed, and seconds slower to load.
_FONTS = (
    ("FluidR3_GM.sf2",),
    ("sf_GMbank.sf2",),
    ("MuseScore_General_Full.sf2", "MuseScore_General.sf2", "MuseScore_General_Full.sf3", "MuseScore_General.sf3"),
)


def sound_fonts() -> list[Path]:
    """Return the sound fonts that are installed. Raises HostError where there is none, or no FluidSynth."""
    if shutil.which("fluidsynth") is None:
        raise HostError(
            "FluidSynth is not installed: arrangements are rendered with it (on Debian: apt install fluidsynth fluid-soundfont-gm)."
        )
    found = [
        next((f for name in names for folder in _FOLDERS if (f := folder / name).exists()), None) for names in _FONTS
    ]
    if not any(found):
        raise HostError(
            f"None of the sound fonts {', '.join(names[0] for names in _FONTS)} was found: arrangements are rendered with "
            "at least one of them (on Debian: apt install fluid-soundfont-gm musescore-general-soundfont)."
        )
    return [font for font in found if font]


def drawn(rng: np.random.Generator, fonts: list[Path]) -> Path:
    """Return one of the fonts, the small one (sf_GMbank) more rarely than the others."""
    share = np.array([0.2 if font.name == "sf_GMbank.sf2" else 1.0 for font in fonts])
    return fonts[int(rng.choice(len(fonts), p=share / share.sum()))]


@dataclass(frozen=True)
class Room:
    """FluidSynth's reverb (`size`, `damp` 0 to 1, `width` 0 to 100) and the `level` of it and of its `chorus`; 0 is off."""

    size: float
    damp: float
    width: float
    level: float
    chorus: float

    @staticmethod
    def random(rng: np.random.Generator) -> Room:
        """Return a room between a booth and a hall, often none: FluidSynth's own is wide and loud."""
        level = rng.uniform(0.05, 0.45) if rng.random() < 0.65 else 0.0
        chorus = rng.uniform(0.1, 0.8) if rng.random() < 0.2 else 0.0
        size, damp, width = rng.uniform(0.1, 0.95), rng.uniform(0, 1), rng.uniform(0, 60)
        return Room(float(size), float(damp), float(width), float(level), float(chorus))


def render_midi(data: bytes, font: Path, seconds: float, room: Room) -> np.ndarray:
    """Return float32 [samples, 2] of a Standard MIDI File played by a font, exactly `seconds` long.

    Raises HostError where FluidSynth fails or does not come to an end.
    """
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "score.mid", Path(folder) / "sound.raw"
        score.write_bytes(data)
        settings = {
            "synth.dynamic-sample-loading": 1,
            "synth.chorus.active": int(room.chorus > 0),
            "synth.chorus.level": room.chorus,
            "synth.reverb.active": int(room.level > 0),
            "synth.reverb.room-size": room.size,
            "synth.reverb.damp": room.damp,
            "synth.reverb.width": room.width,
            "synth.reverb.level": room.level,
        }
        command = [
            "fluidsynth",
            "-ni",
            "-q",
            "-g",
            "0.3",
            "-z",
            "4096",
            "-r",
            str(RATE),
            "-T",
            "raw",
            "-O",
            "float",
            "-F",
            str(sound),
        ]
        command += [f"-o{name}={value}" for name, value in settings.items()]
        try:
            done = subprocess.run(
                [*command, str(font), str(score)], capture_output=True, text=True, check=False, timeout=60 + 3 * seconds
            )
        except subprocess.TimeoutExpired:
            raise HostError(
                f"FluidSynth did not come to an end within {60 + 3 * seconds:.0f} s; the part is left out"
            ) from None
        if done.returncode or not sound.exists():
            raise HostError(f"FluidSynth could not play with {font.name}: {done.stderr.strip()[-200:]}")
        audio = np.fromfile(sound, np.float32).reshape(-1, 2)
    out = np.zeros((int(seconds * RATE), 2), np.float32)
    out[: len(audio)] = audio[: len(out)]
    return out
