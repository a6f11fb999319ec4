import re

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.data.labeled_batches import batches_by_length, keep_longest

pytestmark = pytest.mark.tensorflow

WORDS = "the cat sat on mat and looked at dog".split()


def texts_of(lengths, pairs=False):
    random = np.random.default_rng(0)
    return [
        kd.LabeledText(
            " ".join(random.choice(WORDS, length)),
            " ".join(random.choice(WORDS, 2)) if pairs else None,
            "ab"[index % 2],
        )
        for index, length in enumerate(lengths)
    ]


def test_a_batch_is_its_texts_padded_to_a_multiple_of_8(tokenizer):
    texts = [
        kd.LabeledText("the cat", label="b"),
        kd.LabeledText("the cat sat on the mat and looked", label="a"),
        kd.LabeledText("dog"),
    ]
    batches = kd.labeled_batches(texts, tokenizer, 2, ["a", "b"], shuffle=False)
    (x, y, weights), (last, last_y, last_weights) = batches
    first = tokenizer.encode_batch(["the cat"])[0]
    edges = tokenizer.cls_id, tokenizer.sep_id
    expected = [edges[0], *first, edges[1]]
    row = np.asarray(x["token_ids"])[0]
    assert row[: len(expected)].tolist() == expected
    assert set(row[len(expected) :]) == {tokenizer.pad_id}
    assert x["token_ids"].shape == (2, 16)
    assert np.asarray(x["padding_mask"])[0].sum() == len(expected)
    assert not np.asarray(x["segment_ids"]).any()
    assert np.asarray(y).tolist() == [1, 0]
    assert np.asarray(weights).tolist() == [1, 1]
    # A text without label, and what fills the batch.
    assert last["token_ids"].shape == (2, 8)
    assert np.asarray(last_weights).tolist() == [0, 0]
    assert np.asarray(last["padding_mask"]).sum(axis=1).tolist() == [3, 0]
    assert np.asarray(last_y).tolist() == [0, 0]


def test_a_pair_has_two_segments_and_the_longer_one_is_cut(tokenizer):
    texts = [kd.LabeledText("the cat", " ".join(["dog"] * 40), "a")]
    ((x, _, _),) = kd.labeled_batches(
        texts, tokenizer, 1, ["a"], max_length=16, shuffle=False
    )
    first, second = tokenizer.encode_batch(["the cat", "dog " * 11])
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    assert np.asarray(x["token_ids"])[0].tolist() == [
        cls,
        *first,
        sep,
        *second,
        sep,
    ]
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert np.asarray(x["segment_ids"])[0].tolist() == segments


def test_no_batch_is_wider_than_the_longest_text_may_be(tokenizer):
    texts = [kd.LabeledText("dog " * 20, label="a")]
    ((x, _, _),) = kd.labeled_batches(texts, tokenizer, 1, ["a"], 12)
    assert x["token_ids"].shape == (1, 12)


def test_where_nothing_is_compiled_there_is_no_padding(tokenizer):
    texts = [kd.LabeledText("dog dog dog", label="a")]
    length = len(tokenizer.encode_batch(["dog dog dog"])[0]) + 2
    for multiple, width in ((1, length), (4, -(-length // 4) * 4)):
        ((x, _, _),) = kd.labeled_batches(
            texts, tokenizer, 1, ["a"], width_multiple=multiple
        )
        assert x["token_ids"].shape == (1, width)


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ((3, 4), (3, 4)),
        ((3, 9), (3, 7)),
        ((9, 3), (7, 3)),
        ((20, 30), (5, 5)),
        ((6, 6), (5, 5)),
    ],
)
def test_of_a_pair_the_longer_one_is_cut_first(lengths, kept):
    assert keep_longest(*lengths, 10) == kept


def test_an_odd_place_goes_to_the_longer_one():
    assert keep_longest(20, 30, 11) == (5, 6)
    assert keep_longest(30, 20, 11) == (6, 5)
    assert keep_longest(20, 20, 11) == (5, 6)


def test_pairs_are_cut_as_by_hugging_face(tokenizer):
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend.to_str())
    backend.enable_truncation(11, strategy="longest_first")
    for first, second in ((20, 30), (30, 20), (3, 30), (9, 5), (20, 20)):
        found = backend.encode(
            "dog " * first, "cat " * second, add_special_tokens=False
        )
        kept = (
            found.sequence_ids.count(0),
            found.sequence_ids.count(1),
        )
        assert keep_longest(first, second, 11) == kept


def test_an_epoch_has_every_text_once_in_another_order(tokenizer):
    texts = texts_of(np.random.default_rng(1).integers(1, 30, 70))
    batches = kd.labeled_batches(texts, tokenizer, 8, ["a", "b"], seed=3)
    assert int(batches.cardinality()) == 9
    seen = []
    for _ in range(2):
        epoch = [np.asarray(x["padding_mask"]).sum(1) for x, _, _ in batches]
        seen.append(np.concatenate(epoch))
        assert (seen[-1] == 0).sum() == 2
    assert sorted(seen[0]) == sorted(seen[1])
    assert seen[0].tolist() != seen[1].tolist()


def test_texts_of_a_length_come_together_at_random_times():
    lengths = np.random.default_rng(0).integers(5, 60, 1003)
    rows = batches_by_length(lengths, 16, seed=0, epoch=0)
    assert sorted(rows.ravel()) == [*[-1] * 5, *range(1003)]
    full = rows[(rows >= 0).all(axis=1)]
    spread = np.ptp(lengths[full], axis=1).mean()
    assert spread < 2 < np.ptp(lengths) / 10
    widths = lengths[full].max(axis=1)
    assert np.abs(np.corrcoef(widths[1:], widths[:-1])[0, 1]) < 0.4
    again = batches_by_length(lengths, 16, seed=0, epoch=0)
    np.testing.assert_array_equal(rows, again)
    assert (rows != batches_by_length(lengths, 16, 0, 1)).any()
    assert (rows != batches_by_length(lengths, 16, 1, 0)).any()


def test_training_goes_on_at_a_batch(tokenizer):
    texts = texts_of(np.random.default_rng(1).integers(1, 30, 30))

    def ids(take, **begin):
        batches = kd.labeled_batches(
            texts, tokenizer, 4, ["a", "b"], seed=3, **begin
        )
        return [
            np.asarray(x["token_ids"])
            for x, _, _ in batches.repeat().take(take)
        ]

    whole, rest = ids(24), ids(13, first_batch=11)
    for one, other in zip(whole[11:], rest, strict=True):
        np.testing.assert_array_equal(one, other)


def test_numbers_are_floats(tokenizer):
    texts = [kd.LabeledText("the cat", label=2.5)]
    ((_, y, _),) = kd.labeled_batches(texts, tokenizer, 1)
    assert y.dtype == "float32"
    assert np.asarray(y).tolist() == [2.5]


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([], {}, "`texts` must hold a text"),
        (
            [kd.LabeledText("a", label="a"), kd.LabeledText("a", "b", "a")],
            {},
            "all pairs, or none",
        ),
        ([kd.LabeledText("a", label="c")], {}, "`class_names`.*Received: 'c'"),
        (texts_of([3]), {"batch_size": 0}, "`batch_size` must be at least 1"),
        (texts_of([3]), {"max_length": 2}, "`max_length` must be at least 8"),
    ],
)
def test_what_cannot_be_batches_is_refused(tokenizer, texts, settings, message):
    settings = {"batch_size": 2, "class_names": ["a", "b"], **settings}
    with pytest.raises(ValueError, match=message):
        kd.labeled_batches(texts, tokenizer, **settings)


@pytest.mark.slow
def test_a_classifier_learns_which_word_is_there(tiny_config, tokenizer):
    random = np.random.default_rng(0)
    texts = []
    for _ in range(120):
        words = list(random.choice(WORDS[4:], random.integers(1, 8)))
        label = str(random.choice(["cat", "dog"]))
        words.insert(random.integers(0, len(words) + 1), label)
        words = [w for w in words if w == label or w not in ("cat", "dog")]
        texts.append(kd.LabeledText(" ".join(words), label=label))
    model = kd.BertClassifier(tiny_config, ["cat", "dog"], seed=0)
    model.compile(kd.AdamW(1e-2), jit_compile=False)
    batches = kd.labeled_batches(
        texts, tokenizer, 16, model.class_names, max_length=16
    )
    model.fit(batches, epochs=6, verbose=0)
    held = kd.labeled_batches(
        texts[:40], tokenizer, 16, model.class_names, shuffle=False
    )
    scores = kd.task_scores(["accuracy"], *kd.predict_task(model, held))
    assert scores["accuracy"] > 0.9


@pytest.mark.parametrize("seed", [None, -1, 0.5])
def test_a_seed_that_is_none_is_refused_at_once(tokenizer, store, seed):
    texts = [kd.LabeledText("a dog", label="a")]
    message = r"`seed` must be a whole number of 0 or more.*Received: "
    with pytest.raises(ValueError, match=message + re.escape(repr(seed))):
        kd.labeled_batches(texts, tokenizer, 1, ["a", "b"], seed=seed)
    with pytest.raises(ValueError, match=message):
        kd.token_batches(store, tokenizer, 2, seed=seed)
    with pytest.raises(ValueError, match=message):
        kd.masked_lm_batches(store, tokenizer, 2, seed=seed)
