"""The evaluation: its measures, what it says of behaviour, and the command as a whole on songs of two seconds."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from models.data.corpus import RATE, STEMS
from models.evaluate import __main__ as command
from models.evaluate import behaviour as manners
from models.evaluate import card as cards
from models.evaluate import evaluation, pictures
from models.evaluate.baselines import bands_of, fit_isolator, ideal_mask, isolator, mixture_itself
from models.evaluate.behaviour import behaviour, mid_note, switching
from models.evaluate.bss import bss_eval, museval_metrics
from models.evaluate.cache import Cache
from models.evaluate.card import markdown
from models.evaluate.contestant import contestant, told_apart
from models.evaluate.costs import costs_of, delay_ms, read_bench
from models.evaluate.evaluation import RowFigures, SetFigures, mean_over_stems, score
from models.evaluate.playing import conditioned, streaming
from models.evaluate.ratios import FLOOR, decibels, frame_sdr, sdr
from models.evaluate.report import Report, Source, command_of, read_report, text_of
from models.evaluate.rows import Row, separator_rows
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
    level = at_equal_loudness(quiet | {"bass": 1e-5 * quiet["bass"]})
    assert level["bass"].std() < 1e-5, "what codecs leave of silence is not music"
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


@pytest.mark.parametrize("mode", ["safe", "low", "lower", "extreme"])
def test_an_estimate_lies_where_the_mixture_does_to_the_last_sample(identity, mode):
    separator, audio = Separator.load(identity), sum(song(21, 0.3).values())
    (estimate,) = streaming(separator, separator.metadata.modes[mode])(audio, {}).values()
    np.testing.assert_allclose(estimate, audio, atol=1e-5)


def test_an_estimate_that_looks_ahead_lies_where_the_mixture_does(tmp_path):
    smear = pytest.importorskip("test_lookahead").write_smear(tmp_path / "smear.onnx", frames=4, lookahead=9)
    separator, audio = Separator.load(smear), sum(song(22, 0.3).values())
    for mode in separator.metadata.modes.values():
        first = separator.metadata.stems[0]
        np.testing.assert_allclose(streaming(separator, mode)(audio, {})[first], audio, atol=1e-5)
        np.testing.assert_allclose(conditioned(separator, mode, audio, [(0, first)]), audio, atol=1e-5)


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


def test_a_change_of_the_code_measures_anew(tmp_path, monkeypatch):
    Cache(tmp_path).get(("score",), lambda: 1)
    assert Cache(tmp_path).get(("score",), lambda: 2) == 1
    monkeypatch.setattr("models.evaluate.cache.code_hash", lambda: "changed")
    assert Cache(tmp_path).get(("score",), lambda: 3) == 3


def test_what_cannot_be_kept_is_measured_all_the_same(tmp_path):
    cache = Cache(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    assert cache.get(("score",), lambda: 1) == 1


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
    assert document["rows"]["four, low"]["weights"] == separator.metadata.weights
    assert document["command"].startswith("python -m models.evaluate --data songs0 --model four.onnx --seed 3 ")
    assert document["machine"].keys() >= {"numpy", "onnxruntime", "soundfile", "soxr"} and len(document["code"]) == 64
    assert document["behaviour_on"] == ["test/c"] and len(document["sets"]["first 2 songs"]["audio"]) == 64
    again = read_report(tmp_path / "out" / "figures.json")
    assert text_of(again.document()) == (tmp_path / "out" / "figures.json").read_text()
    assert all(f"| {stem} |" in markdown(again) for stem in STEMS)
    assert "Leakage in dB" in markdown(again) and "of a core" in markdown(again)
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
    assert [each.equal for each in music.selections(2, both=True)] == [False, True]


def test_the_free_corpus_is_measured_by_its_excerpts_from_either_folder(free_corpus):
    names = [
        [track.name for track in material(free_corpus / part, "test").excerpts] for part in ("", "everything-is-free")
    ]
    assert names == [["b-0", "b-1"]] * 2


def test_musdb18_is_validated_on_the_songs_that_its_own_library_keeps(tmp_path):
    for name in ("train/A - One", "train/Leaf - Summerghost", "train/Meaxic - Take A Step", "test/C - Three"):
        write_song(tmp_path / name, song(0, 1))
    assert [track.name for track in material(tmp_path, "valid").songs] == [
        "train/Leaf - Summerghost",
        "train/Meaxic - Take A Step",
    ]
    assert [track.name for track in material(tmp_path, "test").songs] == ["test/C - Three"]


@pytest.mark.parametrize(
    "listing",
    [
        "{",
        '{"excerpts": [{"id": "b-0", "split": "test", "song": "b"}]}',
        '{"excerpts": [{"id": "b-0", "split": "test", "song": "b", "samples": 9, "start": {"bass": 0}}]}',
    ],
)
def test_a_damaged_list_of_excerpts_is_named(free_corpus, listing):
    (free_corpus / "everything-is-free" / "excerpts-all4.json").write_text(listing)
    with pytest.raises(HostError, match="excerpts-all4.json is damaged"):
        material(free_corpus, "test")


def test_an_excerpt_that_lies_outside_its_song_is_skipped_and_counted(run, free_corpus, four_stems):
    listing = free_corpus / "everything-is-free" / "excerpts-all4.json"
    listing.write_text(listing.read_text().replace(f'"drums": {RATE}', f'"drums": {2 * RATE}'))
    printed = run("--data", free_corpus, "--sdr-only", "--model", four_stems)
    assert "skipped 1 of 2 tracks: b-1 (the excerpt of the drums does not lie within b)" in printed


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


def test_both_loudnesses_are_measured_in_one_go_and_their_means_shown(run, songs, four_stems, tmp_path):
    printed = run(
        "--data", songs, "--split", "valid", "--sdr-only", "--equal-too", "--no-baselines", "--model", four_stems,
        "--json", tmp_path / "v.json",
    )  # fmt: skip
    report = read_report(tmp_path / "v.json")
    assert [(figures.equal, list(figures.rows)) for figures in report.sets] == [
        (False, ["four, low"]),
        (True, ["four, low"]),
    ]
    means = next(line for line in printed.splitlines() if line.startswith("four, low")).split()[2:]
    assert means == [f"{mean_over_stems(each.rows['four, low'].sdr):.2f}" for each in report.sets]


def test_a_separator_that_fails_is_named_and_the_others_are_measured(songs):
    def fails(mixture, stems):
        raise HostError("separator 'bad' gave numbers that are not finite")

    selections = material(songs, "test").selections(count=2)
    bad, good = Row("bad, low", "bad", fails), Row("mixture", "mixture", mixture_itself)
    figures, notes = evaluation.measure(selections, [bad, good], None, Cache(None), lambda what: None)
    assert list(figures[0].rows) == ["mixture"] and len(figures[0].tracks) == 2
    assert notes == ["left out: bad, low, which failed on test/c (separator 'bad' gave numbers that are not finite)"]
    result, _, notes = evaluation.manners([bad], selections[0].tracks, {}, 0, Cache(None), lambda what: None)
    assert not result and notes == ["no behaviour of bad, low (separator 'bad' gave numbers that are not finite)"]
    with pytest.raises(HostError, match="nothing could be measured: left out: bad, low"):
        evaluation.measure(selections, [bad], None, Cache(None), lambda what: None)


def test_a_bench_of_one_name_is_not_taken_for_two_separators(songs, four_stems, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "behaviour", lambda *_: manners.Behaviour(0.0, 0.0, {}, {}, {}))
    monkeypatch.setattr(evaluation, "switching", lambda *_: None)
    monkeypatch.setattr("models.evaluate.costs.measure_work", lambda engine: (0.001, 0.002))
    found = contestant(str(four_stems), tmp_path)
    rows, _ = separator_rows([found, replace(found, name="four 123456")], ["low"], every=False)
    given = {("four", "low", run): 9.0 for run in ("single", "stems")}
    tracks = material(songs, "valid").songs
    result, names, notes = evaluation.manners(rows, tracks, given, 0, Cache(None), lambda what: None)
    assert [(each.costs.given, each.costs.all_stems_ms) for each in result.values()] == [(True, 9.0), (False, 1.0)]
    assert names == ("valid/b",) and not notes


def report(**changes) -> Report:
    """A small report, with a row of one stem and a track without a figure."""
    row = RowFigures(dict.fromkeys(STEMS, 1.0), dict.fromkeys(STEMS, 2.0), {}, {stem: [1.0, np.nan] for stem in STEMS})
    voice = RowFigures({"vocals": 0.5}, {"vocals": np.nan}, {}, {"vocals": [0.5, 0.5]})
    figures = SetFigures(
        "first 2 excerpts", False, ("a", "b"), "f" * 64, {"live, low": row, "voice, low": voice, "mixture": row}
    )
    sources = tuple(Source(name, kind * 64, "9" * 64) for name, kind in (("live", "a"), ("voice", "b")))
    plain = Report(
        command="python -m models.evaluate --data STEMS", material="song, test", split="test", seed=0, sources=sources,
        rows={"live, low": "live", "voice, low": "voice"}, delays={"live, low": 23.22, "voice, low": 23.22},
        sets=(figures,), manners={}, manners_on=(), notes=(), machine={}, code="0" * 64,
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture
def card(tmp_path, monkeypatch, capsys):
    """A card with a place for figures, and the command on it, which gives back what it printed."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "test.json").write_text(text_of(report().document()))
    path = tmp_path / "card.md"
    path.write_text(
        "# Live\n\n<!-- figures figures/test.json: Whole-signal -->\n<!-- end of figures -->\n\n## Limits\n"
    )

    def run(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["card", *map(str, arguments)])
        assert cards.main() == status
        printed = capsys.readouterr()
        return printed.err if status else printed.out

    return path, run


def test_a_document_holds_what_is_missing_as_nothing_and_is_read_again(tmp_path):
    text = text_of(report().document())
    (tmp_path / "figures.json").write_text(text)
    assert text_of(read_report(tmp_path / "figures.json").document()) == text
    assert "NaN" not in text and '"vocals": [1.0, null]' in text


def test_a_committed_document_is_small(tmp_path):
    one = report().sets[0]
    rows = {f"separator {index}, low": one.rows["live, low"] for index in range(16)}
    rows = {label: replace(row, each={stem: [-12.3456] * 12 for stem in STEMS}) for label, row in rows.items()}
    sets = tuple(replace(one, name=f"set {index}", rows=rows) for index in range(5))
    assert len(text_of(report(sets=sets, rows={}).document())) < 100_000


def test_the_command_in_a_document_names_no_folder():
    command = command_of(
        ["--data", "/home/me/stems", "--model=/home/me/x.onnx", "--mixture", "a song.wav", "--count", "3"]
    )
    assert command == "python -m models.evaluate --data stems --model=x.onnx --mixture 'a song.wav' --count 3"


def test_a_card_is_filled_from_its_figures_and_stays_so(card):
    path, run = card
    assert "is not what its figures say" in run(path, "--check", status=1)
    run(path)
    text = path.read_text()
    assert "| live, `low` (23.2 ms) | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |" in text
    assert "| voice, `low` (23.2 ms) | 0.50 | - | - | - | - |" in text
    assert text.startswith("# Live\n") and text.endswith("<!-- end of figures -->\n\n## Limits\n") and "BSS" not in text
    run(path, "--check")
    run(path)
    assert path.read_text() == text
    path.write_text(text.replace("1.00", "1.01", 1))
    run(path, "--check", status=1)


def test_the_tables_of_a_document_are_printed(card):
    path, run = card
    printed = run(path.parent / "figures" / "test.json")
    assert "SDR of BSS Eval v4" in printed and "a" * 64 in printed and "seed 0" in printed


def test_a_card_that_cannot_be_filled_says_why(card):
    path, run = card
    assert "no table has 'leakage'" in run(
        _written(path, "<!-- figures figures/test.json: leakage -->\n<!-- end of figures -->"), status=1
    )
    assert "cannot be read" in run(_written(path, "<!-- figures no.json -->\n<!-- end of figures -->"), status=1)
    assert "has no place for figures" in run(_written(path, "# Live"), status=1)
    assert "holds no figures" in run(_written(path.with_name("x.json"), "[]"), status=1)


def _written(path, text: str):
    path.write_text(text)
    return path


def test_every_shipped_card_is_what_its_figures_say():
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "models" / "pretrained").glob("*.md")]:
        if "<!-- figures " in path.read_text(encoding="utf-8"):
            now, wanted = cards.filled(path)
            assert now == wanted, f"run python -m models.evaluate.card {path.relative_to(ROOT)}"


@pytest.fixture
def drawn(monkeypatch, capsys, tmp_path):
    """The command that draws, which gives back what it complained of."""
    pytest.importorskip("matplotlib", reason="needs the train extra")
    soundfile.write(tmp_path / "song.wav", sum(song(23).values()), RATE)

    def run(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["pictures", str(tmp_path / "song.wav"), *map(str, arguments)])
        assert pictures.main() == status
        return capsys.readouterr().err

    return run


def test_a_picture_shows_the_mixture_and_every_stem(drawn, four_stems, tmp_path):
    drawn("--model", four_stems, "--start", 0.5, "--dpi", 40, "-o", tmp_path / "new" / "stems.png")
    image = pytest.importorskip("matplotlib.image").imread(tmp_path / "new" / "stems.png")
    assert image.shape[:2] == (round(40 * (5 * 1.75 + 1)), 440)
    assert image[..., :3].max() > 0.8 and image[..., :3].mean() < 0.5
    part = pictures.separated(Separator.load(four_stems), "low", tmp_path / "song.wav", 0.5, 1.0)
    assert list(part.sounds) == ["mixture", *STEMS] and {len(sound) for sound in part.sounds.values()} == {RATE}
    whole = streaming(Separator.load(four_stems), Separator.load(four_stems).metadata.modes["low"])
    audio, _ = soundfile.read(tmp_path / "song.wav", dtype="float32")
    assert np.array_equal(part.sounds["bass"], whole(audio[: 3 * RATE // 2], {})["bass"][RATE // 2 :])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-o", "x.jpg"), "name a file that ends in .png"),
        (("-o", "x.png", "--start", "60"), "there is nothing to draw from 60 s on"),
        (("-o", "x.png", "--start", "nan"), "begins at 0 s or later"),
        (("-o", "x.png", "--seconds", "0"), "shows 1 to 600 s"),
        (("-o", "x.png", "--dpi", "0"), "30 to 600 pixels per inch"),
        (("-o", "x.png", "--latency", "none"), "latency mode 'none'"),
    ],
)
def test_a_picture_that_cannot_be_drawn_says_why(drawn, monkeypatch, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in drawn(*arguments, status=1)
    assert not list(tmp_path.glob("x.*"))


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
