"""The experiment `translation`: losses, batches, a run, its model, its resumption, bad input."""

import json
import random
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab
from experiments import translation
from experiments.translation import adjoints, measure
from rnnlab.data.buckets import pad
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.pairs import Pairs, PairSource, read_pairs
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, translating
from rnnlab.training.translation import CodedPair, TranslationLoss, losses, losses_after
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

SMALL: dict[str, Any] = {
    "hidden": 6,
    "decoder_hidden": 8,
    "embedding": 8,
    "readout": 8,
    "strategy": "autodiff",
    "batch": 120,
    "epochs": 2,
    "checkpoint_every": 4,
    "learning_rate": 0.05,
    "warmup": 2,
}
WRITTEN = ("metrics.jsonl", "translations.json", "adjoints.json", "model.json")


def config_of(**changes):
    return changed(translation.PRESETS["tiny"], **(SMALL | changes))


def run(folder, **changes):
    config = config_of(**changes)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "translation", config) as workdir:
        workdir.end(translation.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def given():
    """Configuration, coders, model, parameters and coded pairs, without training."""
    config = config_of()
    splits = read_pairs(config.source)
    coders = measure.coders_of(config, splits["train"])
    model = measure.model_of(config, coders)
    params = jax.tree.map(lambda a: 2 * a, model.init(jax.random.key(0)))
    return config, coders, model, params, measure.coded(coders, splits["test"])


# --- numbers ---


def test_bleu_is_of_the_whole_corpus_and_has_a_signature():
    """By hand: precisions 5/6, 3/5, 1/3 of one sentence and a brevity penalty of none."""
    score, signature = measure.bleu(["the cat sat on a mat"], ["the cat sat on the mat"])
    assert score == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert "tok:13a" in signature and "case:mixed" in signature
    assert measure.bleu(["A dog ."], ["a dog ."])[0] < 100


LINES = [
    "A man, aged 30, smiles at two dogs (one of them black).",
    "They don't stop; the girl's hat is red!",
    'A sign says "Stop" near the well-known river.',
]


@pytest.mark.parametrize("units", ["pieces", "words"])
def test_bleu_does_not_depend_on_the_units(units):
    """It is of lines as people write them: what is written as it is read has a BLEU of 100."""
    coder = LineCoder.of(LINES, units, 100, "en")
    written = [coder.decode(coder.encode(line)) for line in LINES]
    assert measure.bleu(written, LINES)[0] == pytest.approx(100)
    tokens = [" ".join(coder.tokens(line)) for line in LINES]
    assert measure.bleu(tokens, LINES)[0] < 99 and "tok:13a" in measure.bleu(tokens, LINES)[1]


def test_unknown_words_keep_their_places_behind_symbols_that_are_no_words(monkeypatch):
    """An early network may write `<pad>` and `<s>`, of which nothing is left in the text."""
    coders = translating.Coders(
        LineCoder.of(["Anna sieht Bob"], "words", 9, "de"),
        LineCoder.of(["she sees"], "words", 9, "en"),
    )
    codes = np.array([0, *coders.target.encode("she"), 2, 1], np.int32)
    written = translating.Translation(codes, -1.0, -2.0)
    monkeypatch.setattr(translating, "translate", lambda m, p, read, *_: [written] * len(read))
    monkeypatch.setattr(translating, "attention_of", lambda *_: np.eye(5)[:, [0, 2, 3]])
    model, params = translation.Config().network.model(9, 9), {}
    (found,) = translating.translate_lines(model, params, coders, [" Anna  sieht Bob\t"])
    assert found.text == "she Bob" and found.codes is codes
    blank = translating.translate_lines(model, params, coders, ["", " \t\u2003"])
    assert [one.text for one in blank] == ["", ""] and len(blank[1].codes) == 0


def test_sentences_are_grouped_by_the_words_of_their_source():
    rows = [
        {"source": " ".join("x" * n), "reference": "a b c d e", "beams": "a b c d e"}
        for n in (1, 8, 9, 17, 18, 60)
    ]
    groups = measure.by_length(rows)
    assert list(groups) == [
        f"BLEU of sources of {name} words"
        for name in ("1 to 8", "9 to 11", "15 to 17", "18 or more")
    ]
    assert list(groups.values()) == pytest.approx([100] * 4)


@pytest.mark.slow
def test_losses_do_not_depend_on_the_batch(given):
    _, _, model, params, pairs = given
    pairs = [*pairs[:5], CodedPair(np.zeros(0, np.int32), np.array([2, 5, 3], np.int32))]
    rows = np.arange(6, dtype=np.int32)
    batch = pad(pairs, (30, 40), np.append(rows, -1).astype(np.int32), time_major=False)
    nats, symbols = losses(model, params, batch)
    assert float(nats[6]) == 0 and int(symbols[6]) == 0
    for row, pair in enumerate(pairs):
        alone = pad(pairs, (max(len(pair.source), 1), len(pair.target)), rows[row : row + 1])
        alone = jax.tree.map(lambda a: np.swapaxes(a, 0, 1) if a.ndim == 2 else a, alone)
        found, count = losses(model, params, alone)
        np.testing.assert_allclose(found[0], nats[row], rtol=1e-5)
        assert int(count[0]) == int(symbols[row]) == len(pair.target) - 1
    whole = TranslationLoss(model, pairs)(params, 0)["loss"]
    assert whole == pytest.approx(float(nats.sum()) / int(symbols.sum()), rel=1e-5)


@pytest.mark.slow
def test_a_translation_does_not_depend_on_the_others(given, monkeypatch):
    _, _, model, params, pairs = given
    sources = [pair.source for pair in pairs[:7]]
    together = translating.translate(model, params, sources, 3)
    monkeypatch.setattr(translating, "READ", 2)
    for one, other in zip(together, translating.translate(model, params, sources, 3), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        assert one.score == pytest.approx(other.score, rel=1e-5)
    (alone,) = translating.translate(model, params, sources[3:4], 3)
    np.testing.assert_array_equal(alone.codes, together[3].codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hand_over", "cell"), [("attention", "gru"), ("context", "gru"), ("attention", "lstm")]
)
def test_adjoints_are_those_of_autodiff(given, hand_over, cell):
    """The state after a symbol is changed by itself, and the rest of the sentence is read again."""
    config, coders, _, _, pairs = given
    network = changed(config, hand_over=hand_over, cell=cell).network
    model = network.model(coders.source.vocabulary.size, coders.target.vocabulary.size)
    params = jax.tree.map(lambda a: 2 * a, model.init(jax.random.key(1)))
    (pair,) = (CodedPair(p.source, p.target) for p in pairs[:1])
    module, source = model.bind(params), jnp.asarray(pair.source)[None]
    layer, count = module.encoder.cell.layers[-1], len(pair.source)
    xs = jnp.swapaxes(module.source(source), 0, 1)
    final, outputs = module.encoder(module.source(source))
    size = layer.forward.hidden

    def loss(changes):
        state, ys = layer.forward.initial_state((1,), xs.dtype), []
        for x, change in zip(xs, changes, strict=True):
            state, _ = layer.forward.step(module.encoder.params[-1]["forward"], x, state)
            leaves, structure = jax.tree.flatten(state)
            state = structure.unflatten(
                [
                    leaf + c
                    for leaf, c in zip(leaves, jnp.split(change, len(leaves), -1), strict=True)
                ]
            )
            ys.append(state.h)
        both = jnp.concatenate([jnp.stack(ys, 1), outputs[..., size:]], axis=-1)
        ends = (final[-1]._replace(forward=state),)
        memory = module.hand(ends, both, jnp.array([count], jnp.int32))
        target = jnp.asarray(pair.target)[None]
        lengths = jnp.array([target.shape[1]], jnp.int32)
        nats, symbols, _ = losses_after(module, memory, target, lengths)
        return nats[0] / symbols[0].astype(nats.dtype)

    parts = len(jax.tree.leaves(layer.forward.initial_state((), jnp.float32)))
    want = jax.grad(loss)(jnp.zeros((count, 1, parts * size), jnp.float32))
    found = adjoints.profiles(model, params, [pair])
    assert found is not None and found.sentences == [1] * count
    norms = np.log10(np.linalg.norm(want[:, 0], axis=-1))[::-1]
    np.testing.assert_allclose(found.all_ways, norms, atol=1e-4)
    same = np.allclose(found.all_ways, found.by_the_end, atol=1e-4)
    assert same == (hand_over == "context")


# --- the run and its model ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    assert state_of(whole) == "done"
    rows, summary = evaluations(whole), summary_of(whole)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert summary["best step"] == min(rows, key=lambda row: row["loss"])["step"]
    kept = json.loads((whole / "translations.json").read_text())
    by_hand = measure.bleu([row["beams"] for row in kept], [row["reference"] for row in kept])
    assert (summary["test BLEU, beam 2"], summary["signature"]) == by_hand
    assert (whole / "report.html").exists() and (whole / "attention1.png").exists()


@pytest.mark.slow
def test_the_trained_model_answers_any_line(whole, tmp_path):
    model = rnnlab.load(whole)
    kept = json.loads((whole / "translations.json").read_text())[:6]
    lines = [row["source"] for row in kept]
    assert [a["answer"] for a in model.predict(lines)] == [row["beams"] for row in kept]
    assert [a["answer"] for a in model.predict(lines, beams=1)] == [row["greedy"] for row in kept]
    odd = ["", "   ", "😀 日本語", "x" * 300, "\udc80", lines[0], f" {lines[0]}\t"]
    answers = model.predict(odd)
    assert [a["line"] for a in answers] == odd
    assert answers[0]["answer"] == answers[1]["answer"] == ""
    assert answers[-1]["answer"] == answers[-2]["answer"] == kept[0]["beams"]
    model.show(lines[0], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
    for line in ("", "Anna " * 100):
        with pytest.raises(UsageError, match="a picture shows 1 to 80"):
            model.show(line, tmp_path / "b.png")


@pytest.mark.slow
def test_translations_are_drawn(whole):
    """Each by its own line; those of temperature 0 are the greedy ones."""
    model = rnnlab.load(whole)
    kept = json.loads((whole / "translations.json").read_text())[:5]
    lines = [row["source"] for row in kept]
    coldest = [a["answer"] for a in model.sample(lines, temperature=0.0)]
    assert coldest == [row["greedy"] for row in kept]
    together = model.sample([*lines, ""], seed=3)
    assert together[-1]["answer"] == "" and together[:5] != model.sample(lines, seed=4)
    for one, line in zip(together[4::-1], lines[::-1], strict=True):
        (alone,) = model.sample([line], seed=3)
        assert alone["answer"] == one["answer"] and one["log_probability"] < 0
        assert alone["log_probability"] == pytest.approx(one["log_probability"], rel=1e-4)
    with pytest.raises(UsageError, match=r"^top_p=0: must be above 0"):
        model.sample(lines, top_p=0)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["beams", "pieces"])
def test_a_damaged_description_is_one_line(whole, tmp_path, damage):
    folder = copy(whole, tmp_path / "w")
    contents = json.loads((folder / "model.json").read_text())
    if damage == "beams":
        contents["beams"] = "five"
    else:
        contents["source"]["units"]["model"] = "AAAA"
    (folder / "model.json").write_text(json.dumps(contents))
    with pytest.raises(RunError, match=r"model\.json: is damaged") as error:
        rnnlab.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_words_that_are_unknown_are_taken_from_the_source(tmp_path):
    run(tmp_path / "w", units="words", symbols=20, epochs=1)
    model = rnnlab.load(tmp_path / "w")
    assert model.coders.target.vocabulary.size == 20
    answers = [a["answer"] for a in model.predict(["Oft sucht Anna den roten Ball."] * 2)]
    assert answers[0] == answers[1] and "<unk>" not in answers[0]


@pytest.mark.slow
@pytest.mark.parametrize("hand_over", ["state", "context"])
def test_other_hand_overs_run_and_have_no_attention(tmp_path, hand_over):
    run(tmp_path / "w", hand_over=hand_over, epochs=1)
    assert not (tmp_path / "w" / "attention1.png").exists()
    with pytest.raises(UsageError, match=f"hand_over={hand_over}: there is no attention"):
        rnnlab.load(tmp_path / "w").show("Anna sieht den Ball.", tmp_path / "a.png")


@pytest.mark.slow
def test_tiny_preset(tmp_path):
    names = run_tiny(translation, tmp_path / "w")
    assert {"report.html", "summary.json", "lengths.png", "adjoints.png", "curve.png"} <= names
    assert summary_of(tmp_path / "w")["test BLEU, beam 2"] > 90


@pytest.mark.slow
def test_a_work_directory_belongs_to_its_sentences(tmp_path, whole):
    record = json.loads((whole / "pairs.json").read_text())
    folder = tmp_path / "w"
    run(folder, epochs=1)
    (folder / "pairs.json").write_text(json.dumps(record | {"sha256": "0"}))
    with pytest.raises(UsageError, match="pairs=made: the sentences have changed"):
        run(folder, epochs=1)


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hand_over": "both"}, "hand_over=both"),
        (
            {"hand_over": "state", "feeding": "readout"},
            "feeding=readout: needs hand_over=attention",
        ),
        ({"readout": 9}, "readout=9: must be embedding where tied=True"),
        ({"attention": "dot"}, "decoder_hidden=8: must be twice hidden"),
        (
            {"attention": "dot", "feeding": "context", "decoder_hidden": 12, "layers": 2},
            "attention=dot: with feeding=context all 24 numbers of the decoder's state ask for 12",
        ),
        ({"units": "letters"}, "units=letters"),
        ({"boundaries": (9, 5)}, "boundaries="),
        ({"beams": 0}, "beams=0"),
        ({"dispatch": 2}, "dispatch=2: must be 1, for batches differ in length"),
        ({"own": 1.5}, r"own=1.5: must be within 0 \.\. 1"),
        ({"smoothing": 1.0}, "smoothing=1.0: must be at least 0 and below 1"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        config_of(**changes)


def test_a_language_of_blank_lines_is_refused():
    with pytest.raises(UsageError, match=r"^target_language=en: all sentences to train on are bl"):
        measure.coders_of(config_of(), Pairs(["Anna", "Bob"], ["", " "]))


def test_pairs_that_are_too_long_are_left_out():
    pairs = [CodedPair(np.zeros(n, np.int32), np.zeros(n + 2, np.int32)) for n in (3, 8, 9)]
    config = config_of(boundaries=(10,))
    assert [len(p.source) for p in measure.rows_of(config, pairs).pairs] == [3, 8]
    with pytest.raises(UsageError, match=r"boundaries=\(4,\): every pair of sentences is longer"):
        measure.rows_of(config_of(boundaries=(4,)), pairs)


def test_the_default_is_multi30k_from_german():
    source = PairSource(pairs="multi30k", source_language="de", target_language="en")
    assert translation.Config().source == source


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)
