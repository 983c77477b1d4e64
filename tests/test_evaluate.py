"""The evaluation: its measures, what it says of behaviour, and the command as a whole on songs of two seconds."""

from __future__ import annotations

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from models.data.corpus import RATE, STEMS
from models.evaluate import __main__ as command
from models.evaluate import behaviour as manners
from models.evaluate.baselines import bands_of, fit_isolator, ideal_mask, isolator, mixture_itself
from models.evaluate.behaviour import behaviour, mid_note, switching
from models.evaluate.bss import bss_eval, museval_metrics
from models.evaluate.cache import Cache
from models.evaluate.contestant import contestant, told_apart
from models.evaluate.costs import costs_of, delay_ms, read_bench
from models.evaluate.evaluation import score
from models.evaluate.playing import conditioned, streaming
from models.evaluate.ratios import FLOOR, decibels, frame_sdr, sdr
from models.evaluate.rows import separator_rows
from models.evaluate.tracks import at_equal_loudness, fullest, material
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.offline import separate_array
from realtime.separator import Separator

SECONDS = 2


def song(seed: int, seconds: float = SECONDS) -> dict[str, np.ndarray]:
    """Four stems of noise, each in a place of its own in the spectrum, float32 [samples, 2]."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((4, int(seconds * RATE), 2))
    spectra = np.fft.rfft(noise, axis=1)
    frequency = np.fft.rfftfreq(noise.shape[1], 1 / RATE)
    for spectrum, (low, high) in zip(spectra, ((400, 3000), (2000, 9000), (40, 200), (150, 900)), strict=True):
        spectrum[(frequency < low) | (frequency > high)] = 0
    audio = np.fft.irfft(spectra, noise.shape[1], axis=1)
    return {stem: (0.1 * a / a.std()).astype(np.float32) for stem, a in zip(STEMS, audio, strict=True)}


def write_song(folder, stems: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for stem, audio in stems.items():
        soundfile.write(folder / f"{stem}.wav", audio, RATE, subtype="FLOAT")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A folder of songs: one to train on, one to validate, two to test."""
    root = tmp_path_factory.mktemp("songs")
    for seed, name in enumerate(("train/a", "valid/b", "test/c", "test/d")):
        write_song(root / name, song(seed))
    return root


@pytest.fixture(scope="module")
def four(four_stems) -> Separator:
    return Separator.load(four_stems)


@pytest.fixture
def run(monkeypatch, capsys):
    """The command, which gives back what it printed."""
    monkeypatch.setattr(manners, "SILENCE", 4096)
    monkeypatch.setattr("models.evaluate.evaluation.BEHAVIOUR_TRACKS", 1)
    monkeypatch.setattr("models.evaluate.evaluation.BEHAVIOUR_SAMPLES", RATE)

    def run(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
        assert command.main() == status
        printed = capsys.readouterr()
        return printed.err if status else printed.out

    return run


def test_an_error_of_a_tenth_is_an_sdr_of_20_db():
    reference = song(0)["drums"]
    assert sdr(reference, 0.9 * reference) == pytest.approx(20, abs=1e-4)
    assert sdr(reference, np.zeros_like(reference)) == pytest.approx(0, abs=1e-6)
    assert np.isnan(sdr(np.zeros_like(reference), reference))


def test_nothing_at_all_is_the_floor_and_a_ratio_to_nothing_no_number():
    assert decibels(0.0) == FLOOR
    assert np.isnan(decibels(1.0, 0.0))


def test_a_second_in_which_a_source_is_digital_silence_does_not_count():
    references = np.stack(list(song(1).values()))
    references[2, RATE:] = 0
    estimates = references + 0.01
    frames = frame_sdr(references, estimates, RATE)
    assert frames.shape == (4, 2)
    assert np.isfinite(frames[:, 0]).all() and np.isnan(frames[:, 1]).all()


@pytest.fixture(scope="module")
def metrics():
    try:
        return museval_metrics()
    except HostError as problem:
        pytest.skip(str(problem))


def test_the_sdr_of_frames_is_musevals(metrics):
    references = np.random.default_rng(1).normal(0, 0.1, (2, SECONDS * RATE, 2))
    estimates = references + 0.2 * references[::-1] + np.random.default_rng(0).normal(0, 0.01, references.shape)
    ratios = bss_eval(metrics, references, estimates)
    wanted = np.median(frame_sdr(references, estimates, RATE), axis=1)
    np.testing.assert_allclose([each.sdr for each in ratios], wanted, atol=1e-3)
    assert all(each.sir == pytest.approx(20 * np.log10(5), abs=0.2) for each in ratios)
    assert all(each.sar == pytest.approx(20, abs=0.5) for each in ratios)


def test_sources_that_lack_frequencies_are_no_trouble_to_museval(metrics):
    references = np.stack(list(song(2).values())[:2])
    estimates = references + 0.2 * references[::-1] + np.random.default_rng(0).normal(0, 0.01, references.shape)
    assert all(each.sir > 3 and each.sar > 6 for each in bss_eval(metrics, references, estimates))


def test_without_museval_a_sentence_says_what_is_left_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HostError, match="museval is not installed, so ISR, SIR and SAR are left out"):
        museval_metrics()


def test_the_gains_of_the_isolator_leave_the_least_error():
    stems = song(3)
    gains = fit_isolator([stems])
    bands = bands_of(sum(stems.values())).reshape(3, -1)
    for stem, found in gains.items():
        wanted = np.linalg.lstsq(bands.T, stems[stem].ravel())[0]
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_the_baselines_come_in_their_order():
    stems = song(4)
    mixture = sum(stems.values())
    rows = (mixture_itself, isolator(fit_isolator([stems])), ideal_mask)
    means = [np.mean([sdr(stems[name], part) for name, part in row(mixture, stems).items()]) for row in rows]
    assert means == sorted(means)


def test_an_estimate_of_one_stem_is_measured_against_the_sum_of_the_others():
    stems = song(5)
    found = score({"vocals": stems["vocals"] + 0.1 * stems["bass"]}, stems, None)
    assert found.sdr == {"vocals": pytest.approx(20, abs=0.1)}
    assert found.frames == {"vocals": pytest.approx(20, abs=0.1)}


def test_equal_loudness_keeps_the_loudest_stem_and_silence():
    stems = song(6)
    quiet = stems | {"vocals": 0.01 * stems["vocals"], "other": 0 * stems["other"]}
    level = at_equal_loudness(quiet)
    assert level["vocals"].std() == pytest.approx(level["drums"].std(), rel=1e-3)
    assert not level["other"].any()


def test_the_fullest_stretch_is_where_all_stems_sound():
    stems = {stem: np.tile(audio, (3, 1)) for stem, audio in song(7, 1).items()}
    stems["vocals"][: 2 * RATE] = 0
    assert np.array_equal(fullest(stems, RATE)["drums"], stems["drums"][2 * RATE :])


def test_the_streamed_estimate_is_what_the_host_separates(four):
    audio = sum(song(8, 0.5).values())
    mode = four.metadata.modes["low"]
    estimates = streaming(four, mode)(audio, {})
    assert np.array_equal(np.stack(list(estimates.values())), separate_array(four, mode, audio))


def test_a_condition_alone_gives_its_stem_where_it_was(four):
    audio = sum(song(9, 0.5).values())
    mode = four.metadata.modes["low"]
    wanted = streaming(four, mode)(audio, {})["bass"]
    np.testing.assert_allclose(conditioned(four, mode, audio, [(0, "bass")]), wanted, atol=1e-6)


def test_a_perfect_estimator_behaves_perfectly():
    found = behaviour(lambda mixture, stems: dict(stems), STEMS, [song(10)])
    assert found.silence == found.after == FLOOR
    assert set(found.absent.values()) == {FLOOR}
    assert {level for row in found.leaks.values() for level in row.values()} == {FLOOR}
    assert all(kept > 100 for kept in found.kept.values())


def test_the_mixture_leaks_as_loud_as_it_is():
    found = behaviour(mixture_itself, STEMS, [song(11)])
    assert all(level == pytest.approx(0, abs=1e-6) for level in found.absent.values())
    assert found.leaks["drums"] == {name: pytest.approx(0) for name in STEMS if name != "drums"}


def test_an_estimator_of_one_stem_is_asked_for_that_alone():
    found = behaviour(lambda mixture, stems: {"vocals": 0.1 * mixture}, ("vocals",), [song(12)])
    assert found.absent == {"vocals": pytest.approx(-20, abs=1e-4)}
    assert found.leaks["bass"] == {"vocals": pytest.approx(-20, abs=1e-4)}
    assert set(found.kept) == {"vocals"}


def test_a_switched_separator_of_short_memory_settles_soon_and_does_not_click(four):
    excerpts = [song(13)]
    found = switching(four, four.metadata.modes["safe"], excerpts, seed=1)
    assert 0 < found.settles_ms < 150
    assert abs(found.loss) < 3
    assert found.click < 6
    assert found == switching(four, four.metadata.modes["safe"], excerpts, seed=1)


def test_a_condition_is_switched_where_both_stems_sound():
    stems = song(14)
    for name, seconds in (("vocals", (0, 1.2)), ("drums", (0.9, 2))):
        gate = np.zeros_like(stems[name])
        gate[int(seconds[0] * RATE) : int(seconds[1] * RATE)] = 1
        stems[name] *= gate
    for seed in range(20):
        at = mid_note(stems["vocals"], stems["drums"], np.random.default_rng(seed))
        assert 0.9 * RATE <= at <= 1.2 * RATE


def test_a_separator_of_one_stem_is_not_switched(swap):
    separator = Separator.load(swap)
    assert switching(separator, separator.metadata.modes["low"], [song(15, 0.5)], 0) is None


def test_delay_is_that_of_a_block_and_a_reserve_of_one_hop():
    lasaft = Separator.load(find_separator("lasaft-live"))
    assert delay_ms(lasaft.metadata, lasaft.metadata.modes["low"]) == pytest.approx(23.2, abs=0.05)
    assert delay_ms(lasaft.metadata, lasaft.metadata.modes["safe"]) == pytest.approx(46.4, abs=0.05)


def test_work_is_taken_from_a_bench_where_one_is_given(tmp_path, four):
    rows = [{"mode": "low", "run": "single", "p50_ms": 0.5}, {"mode": "low", "run": "stems", "p50_ms": 1.5}]
    (tmp_path / "bench.json").write_text(json.dumps({"separator": "four", "modes": rows}))
    costs = costs_of(four, "low", read_bench(tmp_path / "bench.json"))
    assert costs.given and costs.work_ms == {"single": 0.5, "stems": 1.5}
    assert costs.load == pytest.approx(1.5 / (1000 * 256 / RATE))


def test_a_file_that_is_no_bench_is_refused(tmp_path):
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(HostError, match="is no bench; write one with run_live.py bench --json FILE"):
        read_bench(tmp_path / "bench.json")


def test_separators_of_one_name_are_told_apart_and_one_file_counts_once(tmp_path, four_stems):
    shutil.copy(four_stems, tmp_path / "same.onnx")
    (tmp_path / "other.onnx").write_bytes(four_stems.read_bytes())
    model = (tmp_path / "other.onnx").read_bytes()
    onnx = pytest.importorskip("onnx")
    changed = onnx.load_model_from_string(model)
    changed.doc_string = "other"
    (tmp_path / "other.onnx").write_bytes(changed.SerializeToString())
    given = [contestant(str(path), tmp_path) for path in (four_stems, tmp_path / "same.onnx", tmp_path / "other.onnx")]
    names = [each.name for each in told_apart(given)]
    assert len(names) == len(set(names)) == 2 and all(name.startswith("four ") for name in names)


def test_a_checkpoint_becomes_a_separator_first(tmp_path, monkeypatch, four_stems):
    checkpoint = SimpleNamespace(
        import_checkpoint=lambda path, name, folder: shutil.copy(four_stems, folder / f"{name}.onnx")
    )
    monkeypatch.setitem(sys.modules, "models.checkpoint", checkpoint)
    assert contestant(str(tmp_path / "published.pt"), tmp_path).name == "four"
    assert (tmp_path / "published.onnx").exists()


def test_a_mode_that_a_separator_does_not_offer_is_named_and_left_out(four_stems, identity, tmp_path):
    contestants = [contestant(str(four_stems), tmp_path), contestant("lasaft-live", tmp_path)]
    rows, notes = separator_rows(contestants, ["extreme"], every=False)
    if "extreme" in contestants[1].separator.metadata.modes:
        pytest.skip("the shipped separator offers every mode")
    assert [row.label for row in rows] == ["four, extreme"]
    assert "was not trained and measured for latency mode 'extreme'" in notes[0]
    with pytest.raises(HostError, match="latency mode 'fastest'"):
        separator_rows(contestants, ["fastest"], every=False)


def test_without_a_mode_low_is_measured_and_in_full_every_one(four_stems, tmp_path):
    contestants = [contestant(str(four_stems), tmp_path)]
    assert [row.mode for row in separator_rows(contestants, None, every=False)[0]] == ["low"]
    assert [row.mode for row in separator_rows(contestants, None, every=True)[0]] == ["safe", "low", "lower", "extreme"]


def test_a_cache_computes_once_and_anew_for_another_key(tmp_path):
    counted = []
    for key in ("a", "a", "b"):
        cache = Cache(tmp_path / "cache")
        cache.get(("score", key), lambda: counted.append(1) or len(counted))
    assert len(counted) == 2
    assert Cache(None).get(("score", "a"), lambda: 7) == 7


def test_every_output_carries_figures_seed_and_the_hash_of_the_weights(run, songs, four_stems, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the train extra")
    soundfile.write(tmp_path / "band.wav", sum(song(20, 1).values()), RATE)
    outputs = "--json", tmp_path / "out" / "figures.json", "--html", tmp_path / "out" / "page.html"
    printed = run(
        "--data", songs, "--model", four_stems, "--seed", 3, *outputs, "--mixture", tmp_path / "band.wav"
    )  # fmt: skip
    separator = Separator.load(four_stems)
    document = json.loads((tmp_path / "out" / "figures.json").read_text(), parse_constant=pytest.fail)
    page = (tmp_path / "out" / "page.html").read_text()
    for text in (printed, page):
        assert separator.metadata.weights in text and "seed 3" in text
    assert document["weights"] == {"four": separator.metadata.weights} and document["seed"] == 3
    assert document["count"] == 2 and document["split"] == "test"
    assert set(document["sdr"]) == {"four, low", "mixture", "three-band isolator", "ideal ratio mask"}
    expected = np.median([sdr(stems["bass"], sum(stems.values())) for stems in (song(2), song(3))])
    assert document["sdr"]["mixture"]["bass"] == pytest.approx(expected, abs=1e-3)
    assert document["behaviour"]["four, low"]["switch"]["settles_ms"] >= 0
    assert document["costs"]["four, low"]["load"] > 0
    assert str(tmp_path) not in page and str(tmp_path) not in json.dumps(document)
    assert page.count("<svg") == 2 and page.count("data:image/png") == 2 and "data:audio/ogg" in page
    assert 'src="http' not in page and "<script" not in page and "<link" not in page


@pytest.fixture
def free_corpus(tmp_path):
    """The free corpus in small: a song to test, with two listed excerpts whose stems begin at their own places."""
    base = tmp_path / "corpus" / "everything-is-free"
    write_song(base / "a", song(1))
    write_song(base / "b", song(2, 3))
    (base / "split.json").write_text(json.dumps({"train": ["a"], "valid": [], "test": ["b"]}))
    starts = [dict.fromkeys(STEMS, 0), {stem: RATE * (index % 2) for index, stem in enumerate(STEMS)}]
    entries = [
        {"id": f"b-{number}", "song": "b", "split": "test", "samples": 2 * RATE, "start": start}
        for number, start in enumerate(starts)
    ]
    (base / "excerpts-all4.json").write_text(json.dumps({"excerpts": entries}))
    return base.parent


def test_each_stem_of_an_excerpt_begins_at_its_own_place(free_corpus):
    music, whole = material(free_corpus, "test"), song(2, 3)
    assert [track.name for track in music.excerpts] == ["b-0", "b-1"]
    stems = music.excerpts[1].read()
    assert np.array_equal(stems["vocals"], whole["vocals"][: 2 * RATE])
    assert np.array_equal(stems["drums"], whole["drums"][RATE : 3 * RATE])


def test_the_excerpts_come_first_and_then_the_song(free_corpus):
    music = material(free_corpus, "test")
    names = [selection.name for selection in music.selections(count=1, equal=False, song=True, full=False)]
    assert names == ["first 1 excerpts", "whole song"]
    assert [each.name for each in music.selections(2, True, False, False)] == [
        "first 2 excerpts, stems at equal loudness"
    ]


@pytest.mark.parametrize("listing", ["{", '{"excerpts": [{"id": "b-0", "split": "test", "song": "b"}]}'])
def test_a_damaged_list_of_excerpts_is_named(free_corpus, listing):
    (free_corpus / "everything-is-free" / "excerpts-all4.json").write_text(listing)
    with pytest.raises(HostError, match="excerpts-all4.json is missing or damaged"):
        material(free_corpus, "test")


def test_an_excerpt_that_lies_outside_its_song_is_skipped_and_counted(run, free_corpus, four_stems):
    listing = free_corpus / "everything-is-free" / "excerpts-all4.json"
    listing.write_text(listing.read_text().replace(f'"drums": {RATE}', f'"drums": {2 * RATE}'))
    printed = run("--data", free_corpus, "--sdr-only", "--model", four_stems)
    assert "skipped 1 of 2 tracks: b-1 (b ends before the excerpt of its drums does)" in printed


def test_the_validation_song_is_measured_by_itself(run, songs, four_stems, tmp_path):
    run(
        "--data", songs, "--split", "valid", "--sdr-only", "--model", four_stems, "--json", tmp_path / "v.json"
    )  # fmt: skip
    document = json.loads((tmp_path / "v.json").read_text())
    assert document["sets"]["first 1 songs"]["tracks"] == ["valid/b"]
    assert document["behaviour"] == {} and document["costs"] == {}


def test_full_measures_every_set_and_says_where_museval_is_missing(run, songs, four_stems, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    printed = run(
        "--data", songs, "--full", "--sdr-only", "--count", 1, "--latency", "safe", "--latency", "lower", "--model", four_stems, "--json", tmp_path / "f.json"
    )  # fmt: skip
    document = json.loads((tmp_path / "f.json").read_text())
    assert {label for label in document["sdr"] if "," in label} == {"four, safe", "four, lower"}
    assert list(document["sets"]) == [
        "first 1 songs",
        "first 1 songs, stems at equal loudness",
        "all 2 songs",
        "all 2 songs, stems at equal loudness",
    ]
    assert "museval is not installed" in printed


def test_museval_measures_what_was_asked_for_and_no_other_set(run, songs, four_stems, tmp_path, monkeypatch):
    def bss_eval(references, estimates, window, hop):
        sources, samples, _ = references.shape
        return tuple(np.full((sources, samples // window), kind) for kind in (1.0, 2.0, 3.0, 4.0)) + (None,)

    monkeypatch.setattr(command, "museval_metrics", lambda: SimpleNamespace(bss_eval=bss_eval))
    printed = run(
        "--data", songs, "--full", "--sdr-only", "--count", 1, "--model", four_stems, "--latency", "safe",
        "--json", tmp_path / "f.json",
    )  # fmt: skip
    sets = json.loads((tmp_path / "f.json").read_text())["sets"]
    ratios = {"sdr": 1.0, "isr": 2.0, "sir": 3.0, "sar": 4.0}
    assert sets["first 1 songs"]["rows"]["four, safe"]["museval"] == dict.fromkeys(STEMS, ratios)
    assert sets["all 2 songs"]["rows"]["four, safe"]["museval"] == {}
    assert "interference (SIR)" in printed


def test_a_song_without_a_stem_is_named_and_the_others_are_measured(run, songs, four_stems, tmp_path):
    shutil.copytree(songs, tmp_path / "songs")
    (tmp_path / "songs" / "test" / "c" / "bass.wav").unlink()
    (tmp_path / "songs" / "train" / "a" / "bass.wav").write_bytes(b"no sound")
    printed = run("--data", tmp_path / "songs", "--sdr-only", "--model", four_stems)
    assert "test/c (no bass)" in printed
    assert "left out: the isolator, for its gains cannot be fitted" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "There are no songs in"),
        (("--count", 0), "at least one excerpt is needed"),
        (("--mixture", "x.wav"), "--mixture is heard on the page: name one with --html"),
        (("--mixture", "x.wav", "--html", "page.html"), "there is no file x.wav to hear"),
        (("--bench", "none.json"), "bench none.json cannot be read"),
    ],
)
def test_a_wrong_call_ends_in_a_sentence(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if "--bench" in arguments:
        write_song(tmp_path / "empty" / "test" / "a", song(0))
    assert sentence in run("--data", tmp_path / "empty", *arguments, status=1)


def test_a_place_that_cannot_be_written_is_said_before_anything_is_measured(run, songs, tmp_path):
    assert "cannot be written; nothing was measured" in run("--data", songs, "--json", tmp_path, status=1)
