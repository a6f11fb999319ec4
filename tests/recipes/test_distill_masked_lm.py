"""The flags of masking, with each kind of text, through `main`."""

import dataclasses
import json

import keras_kd as kd
import distill_masked_lm
import numpy as np
import pytest
import train_teacher

WHOLE_WORDS = {"whole_words": True}
SMOOTHED = {"mlm_smoothing": 0.7}
ACROSS = {"mask_across_batch": True, "mlm_smoothing": 0.7}


@pytest.fixture(scope="module")
def places(tmp_path_factory, corpus):
    """An untrained teacher's run folder, and a store of its tokens."""
    folder = tmp_path_factory.mktemp("masked")
    documents = kd.read_documents([corpus], "train")
    tokenizer = kd.WordPieceTokenizer.train(documents, 200)
    shape = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 1, max_sequence_length=16
    )
    tokenizer.save(folder / "teacher")
    teacher = kd.BertMaskedLM(shape, seed=0)
    teacher.save(folder / "teacher" / "teacher.keras")
    tokenizer.save(folder / "store")
    for part, split in (("train", "train"), ("held_out", "validation")):
        texts = kd.read_documents([corpus], split)
        kd.TokenStore.write(folder / "store" / part, texts, tokenizer, 16)
    return folder


@pytest.fixture
def config(places, corpus, tmp_path):
    return distill_masked_lm.Config(
        teacher=str(places / "teacher"),
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        num_layers=1,
        block_length=16,
        batch_size=4,
        steps=2,
        validations=1,
        validation_batches=1,
        loggers=("csv",),
        jit_compile=False,
    )


def stored(config, places):
    """The same run, of a store."""
    store = (str(places / "store"),)
    return dataclasses.replace(config, corpus=("docstrings",), store=store)


def rows_of(run):
    return (run / "history.csv").read_text().splitlines()


class Reached(Exception):
    """Training would begin here."""


def first_batch(model, batches, config, callbacks, run=None):
    """Stands in for `fit`: draws a batch, as its first step would."""
    x, _, weights = next(iter(batches.train()))
    shape = x["token_ids"].shape
    raise Reached(int((np.asarray(weights) > 0).sum()), *shape)


SLOW = pytest.mark.slow  # one of the kind is enough by default


@pytest.mark.parametrize(
    "masking, is_stored",
    [
        (SMOOTHED, False),
        pytest.param(SMOOTHED, True, marks=SLOW),
        pytest.param(WHOLE_WORDS, False, marks=SLOW),
        pytest.param(WHOLE_WORDS, True, marks=SLOW),
        pytest.param(ACROSS, False, marks=SLOW),
        pytest.param(ACROSS, True, marks=SLOW),
    ],
)
def test_masking_of_any_text_reaches_its_first_step(
    config, places, monkeypatch, masking, is_stored
):
    monkeypatch.setattr(distill_masked_lm, "fit", first_batch)
    config = stored(config, places) if is_stored else config
    for again in (False, True):  # begun, then gone on with
        with pytest.raises(Reached) as reached:
            distill_masked_lm.main(
                dataclasses.replace(config, resume=again, **masking)
            )
        hidden, size, length = reached.value.args
        assert (size, length) == (4, 16)
        assert 0 < hidden < 4 * 16


@pytest.mark.slow
def test_smoothing_of_a_corpus_trains(config, tmp_path):
    results = distill_masked_lm.main(dataclasses.replace(config, **SMOOTHED))
    assert results["student"]["masked_cross_entropy"] > 0
    run = tmp_path / "run"
    assert json.loads((run / "config.json").read_text())["mlm_smoothing"] == 0.7
    assert len(rows_of(run)) == 2  # the head and one validation


@pytest.mark.slow
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_teacher_of_whole_words_of_any_text(
    places, corpus, tmp_path, is_stored
):
    text = {"corpus": (corpus,), "vocabulary_size": 200}
    if is_stored:
        text = {"store": (str(places / "store"),)}
    results = train_teacher.main(
        train_teacher.Config(
            run=str(tmp_path / "run"),
            preset="tiny",
            whole_words=True,
            positions=24,
            block_length=16,
            batch_size=4,
            steps=2,
            validations=1,
            validation_batches=1,
            loggers=("csv",),
            jit_compile=False,
            **text,
        )
    )
    assert results["teacher"]["masked_cross_entropy"] > 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mlm_smoothing": -1.0}, "`--mlm-smoothing` must be 0 or more"),
        (
            {"whole_words": True, "mask_across_batch": True},
            "`--whole-words` must be left out with --mask-across-batch",
        ),
        ({"store_weights": (1.0,)}, "`--store-weights`.*without --store"),
        ({"store": ("s",)}, "`--corpus` would do nothing with --store"),
    ],
)
def test_wrong_flags_end_before_anything_is_written(
    config, tmp_path, changes, message
):
    with pytest.raises(SystemExit, match=message):
        distill_masked_lm.main(dataclasses.replace(config, **changes))
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_says_how_to_go_on(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(SystemExit, match="--overwrite or.*--resume"):
        distill_masked_lm.main(config)
