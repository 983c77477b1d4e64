"""Endless random remixes of a pool, in lanes whose music runs on from batch to batch.

A lane plays a scene (one source a stem, with its own gain, equaliser and stereo place) for a few
batches and then changes to another, the way a set does, so that a network with state learns to cope.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from models.data.augmentation import Augmentation, Bus, band_limit, bus_gains, rest, saturated
from models.data.corpus import RATE, STEMS
from models.data.pool import LEVEL, Pool

# Mean level of each stem in dB; what free songs and pop records have in common.
_BALANCE = {"vocals": -3.0, "drums": 2.0, "bass": 2.0, "other": -3.0}


@dataclass
class _Scene:
    position: list[float]
    speed: np.ndarray  # [stems]: pitch and tempo together, 1 is as recorded
    matrix: np.ndarray  # [stems, 2, 2]: gain, polarity, swap, width and pan of each stem
    curve: np.ndarray  # [stems, bins]: equaliser
    left: int
    played: int = 0  # samples
    drive: dict[int, float] = field(default_factory=dict)  # of stems that are saturated
    rests: dict[int, tuple[int, int]] = field(default_factory=dict)  # of stems that pause: samples of the scene
    bus: Bus | None = None

    def state(self) -> dict:
        """Return it as plain data and tensors. These share the scene's memory, which no one writes to."""
        return {
            "position": [float(p) for p in self.position],
            "speed": torch.from_numpy(self.speed),
            "matrix": torch.from_numpy(self.matrix),
            "curve": torch.from_numpy(self.curve),
            "left": self.left,
            "played": self.played,
            "drive": {int(i): float(d) for i, d in self.drive.items()},
            "rests": {int(i): [int(a), int(b)] for i, (a, b) in self.rests.items()},
            "bus": None if self.bus is None else {k: float(v) for k, v in asdict(self.bus).items()},
        }

    @classmethod
    def restored(cls, state: dict) -> _Scene:
        """Return the scene of a `state()`."""
        arrays = {key: state[key].numpy() for key in ("speed", "matrix", "curve")}
        bus = None if state["bus"] is None else Bus(**state["bus"])
        rests = {i: (a, b) for i, (a, b) in state["rests"].items()}
        changing = {"position": list(state["position"]), "drive": dict(state["drive"]), "rests": rests, "bus": bus}
        return cls(**(state | arrays | changing))


class Remix:
    """Batches of stem spectra; a share `from_one_song` of the scenes keeps to the stems of one song.

    Of these, a share `aligned` plays a song whose stems belong together moment by moment, where the pool has such.
    `augmentation` has a random generator of its own: with it or without, the scenes are the same ones.

    `next()` returns the spectra of the stems, float32 [lanes, stems, 2, frames, bins, 2] with real and
    imaginary parts last, and the equaliser of each, [lanes, stems, bins], still to be applied.
    """

    def __init__(
        self,
        pool: Pool,
        lanes: int,
        frames: int,
        hop: int,
        window: np.ndarray,
        seed: int,
        from_one_song: float = 0.5,
        aligned: float = 0.6,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.pool, self.frames, self.hop, self.from_one_song = pool, frames, hop, from_one_song
        self.aligned = aligned
        self.window = torch.from_numpy(window.astype(np.float32))
        self.rng = np.random.default_rng(seed)
        self.augmentation, self.chance = augmentation, np.random.default_rng([seed, 1])
        self.n_fft = len(window)
        self.samples = (frames - 1) * hop + self.n_fft
        self.scenes = [self._scene() for _ in range(lanes)]

    def _curve(self) -> np.ndarray:
        if self.rng.random() < 0.3:
            return np.ones(self.n_fft // 2 + 1, np.float32)
        octave = np.log2(np.maximum(np.arange(self.n_fft // 2 + 1), 1) * RATE / self.n_fft / 30)
        knots = self.rng.normal(0, 4.5, 11)
        return (10 ** (np.interp(octave, np.arange(11), knots) / 20)).astype(np.float32)

    def _labels(self) -> list[str]:
        """Songs to draw from: the aligned ones, or the others; a pool with only one kind draws nothing for it."""
        loose = [label for label in self.pool.songs if label not in self.pool.aligned]
        if not self.pool.aligned or not loose:
            return list(self.pool.songs)
        return sorted(self.pool.aligned) if self.rng.random() < self.aligned else loose

    def _scene(self) -> _Scene:
        rng = self.rng
        spread = rng.choice([3.0, 6.0])
        balance = rng.random() < 0.7
        gains = np.array([10 ** ((_BALANCE[s] * balance + rng.normal(0, spread)) / 20) for s in STEMS])
        present = rng.random(len(STEMS)) > 0.1
        if rng.random() < 0.06 or not present.any():
            present = np.arange(len(STEMS)) == rng.integers(len(STEMS))
        gains = gains * present
        # The pool lies at -26 dBFS; land the mixture anywhere between quiet and hot.
        gains *= 10 ** (rng.uniform(-10, 14) / 20) / np.sqrt(np.sum(gains**2))
        matrix = np.zeros((len(STEMS), 2, 2), np.float32)
        for i in range(len(STEMS)):
            side = rng.uniform(0, 1.3) if rng.random() < 0.4 else 1.0
            place = np.array([[1 + side, 1 - side], [1 - side, 1 + side]]) / 2
            pan = np.clip(rng.normal(0, 0.15 if STEMS[i] == "other" else 0.05), -0.5, 0.5)
            place = np.diag([1 - pan, 1 + pan]) @ place
            if rng.random() < 0.5:
                place = place[::-1]
            matrix[i] = place * gains[i] * rng.choice([-1, 1])
        left = int(rng.integers(2, 7))
        length = left * self.frames * self.hop + self.n_fft
        speed = 2 ** (np.clip(rng.normal(0, 2, len(STEMS)), -4, 4) / 12)
        position = [float(self.pool.draw(rng, s, int(length * v) + 2)) for s, v in zip(STEMS, speed, strict=True)]
        if self.pool.songs and rng.random() < self.from_one_song:
            # As a song has them: its own stems at its own levels, in one tempo and key.
            labels = self._labels()
            label = labels[rng.integers(len(labels))]
            song = self.pool.songs[label]
            speed[:] = speed[0]
            loudest = max(level for _, _, level in song.values())
            together = label in self.pool.aligned
            if together:
                offset = self.pool.together(rng, label, int(length * speed[0]) + 2)
            for i, stem in enumerate(STEMS):
                level = loudest * 10 ** (rng.uniform(-8, 0) / 20) * (rng.random() < 0.5)
                if stem in song:
                    start, end, level = song[stem]
                    if together:
                        position[i] = float(start + offset)
                    else:
                        position[i] = float(rng.integers(start, max(start + 1, end - int(length * speed[i]) - 2)))
                    level = level * 10 ** (rng.normal(0, 1.5) / 20) * (rng.random() < 0.9)
                size = np.abs(matrix[i]).max()
                matrix[i] *= (level / LEVEL) / size if size > 0 else 0.0
            matrix *= 10 ** (rng.uniform(-6, 6) / 20)
        curve = np.stack([self._curve() for _ in STEMS])
        scene = _Scene(position, speed, matrix, curve, left)
        if self.augmentation is not None:
            self._augment(scene, self.augmentation, length)
        return scene

    def _augment(self, scene: _Scene, chances: Augmentation, length: int) -> None:
        """Change a scene of `length` samples as chance will have it."""
        rng = self.chance
        matrix = scene.matrix
        sounds = [i for i in range(len(STEMS)) if matrix[i].any()]
        if rng.random() < chances.solo and sounds:
            kept = rng.choice(sounds)
            matrix[np.arange(len(STEMS)) != kept] = 0
        elif rng.random() < chances.instrumental and len(sounds) > 1:
            matrix[STEMS.index("vocals")] = 0
        for i in np.flatnonzero(matrix.any(axis=(1, 2))):
            if rng.random() < chances.saturated:
                scene.drive[i] = 2 ** rng.uniform(0, 3)
            if rng.random() < chances.resting:
                start = int(rng.integers(length))
                scene.rests[i] = (start, start + int(rng.uniform(0.4, 4) * RATE))
        if rng.random() < chances.mono:
            matrix[:] = matrix.mean(axis=1, keepdims=True)
        # What the mixture's level will be, about: the pool lies at LEVEL.
        level = 20 * np.log10(LEVEL * np.sqrt(np.sum(matrix**2) / 2) + 1e-9)
        kind = rng.random()
        if kind < chances.loud:
            wanted = rng.uniform(-14, -6)
            matrix *= 10 ** ((wanted - level) / 20)
            scene.bus = Bus(-0.5, 100.0, rng.uniform(0.3, 3))
        elif kind < chances.loud + chances.quiet:
            matrix *= 10 ** (rng.uniform(-40, -10) / 20)
        elif kind < chances.loud + chances.quiet + chances.squeezed:
            scene.bus = Bus(level + rng.uniform(-2, 10), 2 ** rng.uniform(0.6, 3.5), 2 ** rng.uniform(-3, 1.5))
        if rng.random() < chances.narrow:
            corner = rng.choice([3500, 5200, 7500, 10500, 14500, 15500, 16000, 18500]) * rng.uniform(0.95, 1.03)
            scene.curve *= band_limit(scene.curve.shape[1], self.n_fft, corner)
        if rng.random() < chances.wrong_rate:
            scene.speed *= rng.choice([48 / 44.1, 44.1 / 48])

    def _read(self, stem: str, position: float, speed: float) -> np.ndarray:
        """Return float32 [samples, 2] played at `speed` by linear interpolation: enough for training."""
        first = int(position)
        part = self.pool.audio[stem][first : first + int(self.samples * speed) + 3].astype(np.float32)
        at = (position - first) + np.arange(self.samples) * speed
        at = at[at < len(part) - 1]
        index = at.astype(np.int64)
        share = (at - index).astype(np.float32)[:, None]
        return part[index] * (1 - share) + part[index + 1] * share

    def state(self) -> dict:
        """Return where every lane is, as plain data and tensors; `restore` goes on from there, sample by sample."""
        return {
            "rng": self.rng.bit_generator.state,
            "chance": self.chance.bit_generator.state,
            "scenes": [scene.state() for scene in self.scenes],
        }

    def restore(self, state: dict) -> None:
        """Go on from a `state()` of a remix with as many lanes, of the same pool."""
        self.rng.bit_generator.state = state["rng"]
        self.chance.bit_generator.state = state["chance"]
        self.scenes = [_Scene.restored(scene) for scene in state["scenes"]]

    def next(self, window: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the next batch, through another analysis `window` [n_fft] where one is given."""
        audio = np.zeros((len(self.scenes), len(STEMS), self.samples, 2), np.float32)
        curves = np.zeros((len(self.scenes), len(STEMS), self.n_fft // 2 + 1), np.float32)
        for lane, scene in enumerate(self.scenes):
            if scene.left == 0:
                scene = self.scenes[lane] = self._scene()
            for i, stem in enumerate(STEMS):
                curves[lane, i] = scene.curve[i]
                if scene.matrix[i].any():
                    part = self._read(stem, scene.position[i], scene.speed[i])
                    if i in scene.drive:
                        part = saturated(part, scene.drive[i], LEVEL * 32768)
                    audio[lane, i, : len(part)] = part @ (scene.matrix[i].T / 32768)
                    if i in scene.rests:
                        audio[lane, i] *= rest(scene.played, self.samples, *scene.rests[i])[:, None]
                scene.position[i] += self.frames * self.hop * scene.speed[i]
            if scene.bus is not None:
                audio[lane] *= bus_gains(scene.bus, audio[lane].sum(axis=0), self.hop, self.frames)[:, None]
            scene.played += self.frames * self.hop
            scene.left -= 1
        frames = torch.from_numpy(audio).transpose(2, 3).unfold(-1, self.n_fft, self.hop)
        window = self.window if window is None else window
        return torch.view_as_real(torch.fft.rfft(frames * window)), torch.from_numpy(curves)
