"""Rendered arrangements as pools of ten minutes, so that a training can begin while others still render."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np

from models.data.arrangements.midi_files import MidiSong, midi_songs, render_excerpt
from models.data.arrangements.render import render_song
from models.data.arrangements.score import write_song
from models.data.arrangements.soundfonts import sound_fonts
from models.data.arrangements.styles import STYLES
from models.data.corpus import RATE, STEMS, Corpus
from models.data.pool_writer import PoolWriter
from realtime.errors import HostError

SHARD_MINUTES = 10.0
_SUNG_SHARE = 0.5
Piece = tuple[str, dict[str, np.ndarray], dict]


def _written(
    rng: np.random.Generator, seed: int, number: int, corpus: Corpus | None, fonts: list[Path]
) -> Iterator[Piece]:
    """Endless songs of our own, the styles in turn."""
    order = np.random.default_rng([seed, 5]).permutation(len(STYLES))
    for i in count(number * 7):
        song = write_song(STYLES[order[i % len(STYLES)]], int(rng.integers(1 << 31)))
        stems = render_song(song, corpus, fonts, voiced=bool(rng.random() < _SUNG_SHARE))
        about = {"style": song.style, "tempo": round(song.tempo, 2), "tonic": song.tonic, "minor": song.minor}
        yield song.style, stems, about | {"seconds": round(song.seconds, 1)}


def _excerpts(
    rng: np.random.Generator, number: int, songs: list[MidiSong], corpus: Corpus | None, fonts: list[Path]
) -> Iterator[Piece]:
    """Endless excerpts of a minute and a bit of the songs of others, every song once before any comes again."""
    order = np.random.default_rng(3).permutation(len(songs))
    for i in count(number * 9):
        song = songs[order[i % len(songs)]]
        try:
            stems, about = render_excerpt(
                rng, song, corpus, fonts, float(rng.uniform(50, 90)), bool(rng.random() < _SUNG_SHARE)
            )
        except (ValueError, HostError) as error:
            print(f"left out: {error}", flush=True)
            continue
        yield song.name, stems, about


def _render_shard(
    root: Path | None, midi: list[Path] | None, target: Path, seed: int, number: int, minutes: float
) -> str:
    if (target / "other.json").exists():
        return f"{target.name}: there already"
    corpus, fonts = (Corpus(root) if root else None), sound_fonts()
    writer = PoolWriter("midi" if midi else "arranged")
    rng = np.random.default_rng([seed, number, len(midi or [])])
    pieces = (
        _excerpts(rng, number, midi_songs(midi), corpus, fonts) if midi else _written(rng, seed, number, corpus, fonts)
    )
    seconds = 0.0
    for i, (name, stems, about) in enumerate(pieces):
        if stems:
            writer.add(f"{target.name} {i} {name}", stems, about)
            seconds += about["seconds"]
        if seconds >= minutes * 60:
            break
    writer.write(target)
    return f"{target.name}: {len(writer.about)} songs, {seconds / 60:.1f} min"


def render_arrangements(
    root: Path | None, folder: Path, minutes: float, seed: int = 0, workers: int = 1, midi: list[Path] | None = None
) -> None:
    """Render `minutes` of songs into pools below `folder`; what is there already is kept.

    `root` is the stem corpus: without it there is no singing and no sampled bass or drums. `midi` names files,
    folders or archives whose songs are played in place of our own. Raises HostError where FluidSynth or its
    sound fonts are missing, `root` holds nothing but songs, or `midi` holds no song.
    """
    sound_fonts()
    if root and not Corpus(root).phrases():
        raise HostError(f"{root} has no sung phrases, notes or hits to play with: leave it out, and nothing is sung.")
    if midi and not midi_songs(midi):
        raise HostError(f"There is no MIDI song in {', '.join(map(str, midi))}.")
    shards = int(np.ceil(minutes / SHARD_MINUTES))
    kind = "midi-" if midi else ""
    jobs = [(root, midi, folder / f"{kind}{seed}-{n:03d}", seed, n, min(SHARD_MINUTES, minutes)) for n in range(shards)]
    if workers <= 1:
        for job in jobs:
            print(_render_shard(*job), flush=True)
        return
    with ProcessPoolExecutor(workers) as executor:
        for done in [executor.submit(_render_shard, *job) for job in jobs]:
            print(done.result(), flush=True)


def holdings(folder: Path) -> str:
    """Return a table of what the pools below `folder` hold: minutes a stem and, of the rest, a style."""
    minutes = dict.fromkeys(STEMS, 0.0)
    sounding = dict.fromkeys(STEMS, 0.0)
    styles: dict[str, list[float]] = {}
    for index in sorted(folder.rglob("other.json")):
        for stem in STEMS:
            document = json.loads((index.parent / f"{stem}.json").read_text())
            minutes[stem] += sum(b - a for a, b in document["groups"].values()) / RATE / 60
            sounding[stem] += sum(b - a for runs in document.get("sounding", {}).values() for a, b in runs) / RATE / 60
            if stem == "other":
                for about in document.get("about", {}).values():
                    styles.setdefault(about["style"], []).append(about["seconds"] / 60)
    lines = [f"{stem:8s} {minutes[stem]:7.1f} min, {sounding[stem]:7.1f} sounding" for stem in STEMS]
    lines += [f"  {name:16s} {len(v):4d} songs {sum(v):7.1f} min" for name, v in sorted(styles.items())]
    return "\n".join(lines)
