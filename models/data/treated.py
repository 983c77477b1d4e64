"""Treated copies of what pools hold: compressed, driven, in rooms, slower or faster at their pitch, through codecs.

    python -m models.data.treated --pool cache/pool --out cache/treated --minutes 60

What is too dear to be done while training is done ahead: each kind of treatment and its cost is in `Treatment`.
Songs stay aligned. A seed gives the same pools again; what is there already is kept.
"""

from __future__ import annotations

import argparse
import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from models.data.arrangements.effects import compressed, distorted, equalised, random_curve, reverberant
from models.data.arrangements.voices import stretched
from models.data.corpus import RATE, STEMS
from models.data.pool import Pool
from models.data.pool_writer import LEVEL, PoolWriter
from realtime.errors import HostError

SHARD_MINUTES = 10.0
SECONDS = (30.0, 70.0)
"""How long a treated stretch of a song is; a single stem's is of the shorter length."""
_CODECS = (("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"))
_RATES = (8000, 11025, 16000, 22050, 32000)


@dataclass(frozen=True)
class Treatment:
    """What happens to all stems of a song: `tempo` and `pitch` factors, a codec at a compression of 0 to 1, a low
    sample rate in between.

    Seconds of CPU a minute of one stem, on a slow core: tempo or pitch 0.9, codec 1.7, rate 0.1; and of what is drawn
    for each stem alone: equaliser 0.1, compression 0.1, distortion 0.1 to 0.3, a room 0.2 to 0.4.
    """

    tempo: float = 1.0
    pitch: float = 1.0
    codec: tuple[str, str] | None = None
    compression: float = 0.0
    rate: int | None = None


def treatment(rng: np.random.Generator) -> Treatment:
    """Draw what happens to a song; about one in three keeps its time and its sound."""
    tempo = float(2 ** np.clip(rng.normal(0, 0.12), -0.25, 0.25)) if rng.random() < 0.3 else 1.0
    pitch = float(2 ** (rng.integers(-4, 5) / 12)) if rng.random() < 0.25 else 1.0
    coded = rng.random()
    if coded < 0.35:
        known = [codec for codec in _CODECS if codec[0] in soundfile.available_formats()]
        return Treatment(tempo, pitch, known[rng.integers(len(known))], float(rng.uniform(0.4, 0.95)))
    return Treatment(tempo, pitch, rate=int(rng.choice(_RATES)) if coded < 0.5 else None)


def coded(audio: np.ndarray, codec: tuple[str, str], compression: float) -> np.ndarray:
    """Return [samples, 2] written with a lossy codec and read again; not delayed, and as long."""
    file = io.BytesIO()
    peak = max(1.0, float(np.abs(audio).max()))
    kind, subtype = codec
    soundfile.write(file, audio / peak, RATE, format=kind, subtype=subtype, compression_level=compression)
    file.seek(0)
    result = soundfile.read(file, dtype="float32", always_2d=True)[0] * peak
    return np.pad(result, ((0, max(0, len(audio) - len(result))), (0, 0)))[: len(audio)]


def at_low_rate(audio: np.ndarray, rate: int) -> np.ndarray:
    """Return [samples, 2] resampled to `rate` Hz and back, as long as before."""
    result = soxr.resample(soxr.resample(audio, RATE, rate, quality="MQ"), rate, RATE, quality="MQ")
    return np.pad(result, ((0, max(0, len(audio) - len(result))), (0, 0)))[: len(audio)]


def stem_effects(rng: np.random.Generator, stem: str, audio: np.ndarray) -> np.ndarray:
    """Return a stem, float32 [samples, 2], through what a studio may do to it alone; as long, and not delayed."""
    if rng.random() < 0.5:
        audio = equalised(audio, random_curve(rng, 3.0))
    if rng.random() < 0.5:
        attack, release = float(rng.uniform(0.002, 0.03)), float(rng.uniform(0.05, 0.4))
        audio = compressed(audio, float(rng.uniform(-30, -10)), float(rng.uniform(1.5, 8)), attack, release)
    if rng.random() < (0.1 if stem == "vocals" else 0.2):
        audio = distorted(rng, audio, float(rng.uniform(0, 0.7)), amplifier=stem == "other" and rng.random() < 0.3)
    if rng.random() < (0.2 if stem == "bass" else 0.5):
        audio = reverberant(rng, audio, float(2 ** rng.uniform(-4, -0.7)), float(2 ** rng.uniform(-2, 1.6)))
    return audio.astype(np.float32)


def treated(rng: np.random.Generator, stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the stems of a song, float32 [samples, 2] of one length, all treated; still of one length."""
    plan = treatment(rng)
    result = {}
    for stem, audio in stems.items():
        audio = stem_effects(rng, stem, audio)
        if plan.pitch != 1.0:
            audio = soxr.resample(audio, RATE, RATE / plan.pitch, quality="MQ")
        # What resampling shortened is drawn out again: then only the tempo's own factor is heard.
        audio = stretched(audio, plan.pitch / plan.tempo)
        audio = coded(audio, plan.codec, plan.compression) if plan.codec else audio
        result[stem] = at_low_rate(audio, plan.rate) if plan.rate else audio
    length = min(map(len, result.values()))
    return {stem: np.ascontiguousarray(audio[:length]) for stem, audio in result.items()}


def _part(pool: Pool, stem: str, start: int, samples: int, level: float) -> np.ndarray:
    return pool.audio[stem][start : start + samples].astype(np.float32) * (level / LEVEL / 32768)


def _render_shard(pools: list[Path], target: Path, seed: int, number: int, minutes: float) -> str:
    if (target / "other.json").exists():
        return f"{target.name}: there already"
    pool, rng, writer = Pool(pools), np.random.default_rng([seed, number]), PoolWriter("treated")
    songs = sorted(pool.aligned)
    seconds = dict.fromkeys(STEMS, 0.0)
    count = 0
    while min(seconds.values()) < minutes * 60:
        scarcest = min(STEMS, key=lambda stem: seconds[stem])
        label = songs[rng.integers(len(songs))] if songs and rng.random() < 0.5 else None
        if label and scarcest in pool.songs[label]:
            song = pool.songs[label]
            samples = min(int(rng.uniform(*SECONDS) * RATE), *(end - start for start, end, _ in song.values()))
            offset = pool.together(rng, label, samples)
            parts = {s: _part(pool, s, start + offset, samples, level) for s, (start, _, level) in song.items()}
            parts = {s: audio for s, audio in treated(rng, parts).items() if np.abs(audio).max() > 1e-3}
            writer.add(f"{target.name} {count} {label}", parts, {"style": "treated", "seconds": samples / RATE})
        else:
            samples = int(SECONDS[0] * RATE)
            start = pool.draw(rng, scarcest, samples)
            parts = treated(rng, {scarcest: _part(pool, scarcest, start, samples, LEVEL)})
            writer.add_piece(scarcest, parts[scarcest])
        for stem, audio in parts.items():
            seconds[stem] += len(audio) / RATE
        count += 1
    writer.write(target)
    return f"{target.name}: {count} stretches, {min(seconds.values()) / 60:.1f} min of each stem or more"


def render_treated(pools: list[Path], folder: Path, minutes: float, seed: int = 0, workers: int = 1) -> None:
    """Render `minutes` of each stem of `pools`, treated, into pools of ten minutes below `folder`.

    Raises HostError where there is no pool, a stem is missing from all of them, or `folder` is one of them.
    """
    if any(folder.resolve().is_relative_to(pool.resolve()) for pool in pools):
        raise HostError(f"{folder} lies in a pool that is drawn from; choose a folder beside it.")
    Pool(pools)
    shards = int(np.ceil(minutes / SHARD_MINUTES))
    jobs = [(pools, folder / f"{seed}-{n:03d}", seed, n, min(SHARD_MINUTES, minutes)) for n in range(shards)]
    if workers <= 1:
        for job in jobs:
            print(_render_shard(*job), flush=True)
        return
    with ProcessPoolExecutor(workers) as executor:
        for done in [executor.submit(_render_shard, *job) for job in jobs]:
            print(done.result(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, nargs="+", default=[Path("cache/pool")], help="pools to draw from")
    parser.add_argument("--out", type=Path, required=True, help="folder for the treated pools")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes of each stem (about 42 MB a minute)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    try:
        render_treated(options.pool, options.out, options.minutes, options.seed, options.workers)
    except HostError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
