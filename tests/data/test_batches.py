import string

import keras
import numpy as np
import pytest
from keras_kd.data.batches import masked_lm_batches, token_batches
from keras_kd.data.masking import MaskedLMMasking, smoothed_token_probs
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

BLOCKS, LENGTH = 23, 22  # K = 0.15 * 20 = 3


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


@pytest.fixture(scope="module")
def store(tokenizer, tmp_path_factory):
    letters = np.random.default_rng(0).choice(
        list(string.ascii_lowercase), 20 * BLOCKS
    )
    folder = tmp_path_factory.mktemp("store")
    store = TokenStore.write(folder, [" ".join(letters)], tokenizer, LENGTH)
    assert store.blocks.shape == (BLOCKS, LENGTH)
    return store


def iterate(dataset):
    """One epoch, a list of (x, y, sample_weight) of NumPy arrays."""
    return list(dataset.as_numpy_iterator())


def indices_of(epoch, store):
    """Which blocks an epoch's batches hold: their masks undone, looked up."""
    index = {tuple(row): i for i, row in enumerate(store.blocks.tolist())}
    found = []
    for x, y, weights in epoch:
        blocks = x["token_ids"].copy()
        row, slot = np.nonzero(weights)
        blocks[row, x["mask_positions"][row, slot]] = y[row, slot]
        found.append([index[tuple(row)] for row in blocks.tolist()])
    return found


def assert_equal_epochs(one, other):
    for (x, *y), (other_x, *other_y) in zip(one, other, strict=True):
        for name, array in x.items():
            np.testing.assert_array_equal(array, other_x[name])
        np.testing.assert_array_equal(y[0], other_y[0])
        np.testing.assert_array_equal(y[1], other_y[1])


@pytest.fixture
def googles_words(tmp_path):
    """un ##want ##ed, runn ##ing, and a comma."""
    file = tmp_path / "vocab.txt"
    tokens = "want ##want ##ed wa un runn ##ing ,".split()
    file.write_text("\n".join([*SPECIAL_TOKENS, *tokens]), "utf-8")
    return WordPieceTokenizer.load(file)


# Shapes


@pytest.mark.parametrize("shuffle, steps", [(True, 4), (False, 5)])
def test_shapes_are_static_and_the_number_of_batches_is_known(
    store, tokenizer, shuffle, steps
):
    dataset = masked_lm_batches(store, tokenizer, 5, shuffle=shuffle)
    x, y, weights = dataset.element_spec
    assert {name: (*v.shape, v.dtype.name) for name, v in x.items()} == {
        "token_ids": (5, 22, "int32"),
        "segment_ids": (5, 22, "int32"),
        "padding_mask": (5, 22, "int32"),
        "mask_positions": (5, 3, "int32"),
    }
    assert (*y.shape, y.dtype.name) == (5, 3, "int32")
    assert (*weights.shape, weights.dtype.name) == (5, 3, "float32")
    assert int(dataset.cardinality()) == len(dataset) == steps

    epoch = iterate(dataset)
    assert len(epoch) == steps
    for x, y, weights in epoch:
        assert {name: v.shape for name, v in x.items()} == {
            "token_ids": (5, 22),
            "segment_ids": (5, 22),
            "padding_mask": (5, 22),
            "mask_positions": (5, 3),
        }
        assert y.shape == weights.shape == (5, 3)


def test_rate_sets_the_number_of_positions(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 5, rate=0.3)
    assert dataset.element_spec[1].shape == (5, 6)  # 0.3 * 20


def test_batches_are_what_masking_makes_of_the_blocks(store, tokenizer):
    masking = MaskedLMMasking(31, (0, 1, 2, 3, 4), 0, 4, rate=0.3, seed=7)
    dataset = masked_lm_batches(
        store, tokenizer, 5, rate=0.3, seed=7, first_epoch=2
    )
    epoch = iterate(dataset)
    expected = [
        masking(store.blocks[indices], indices, 2)
        for indices in indices_of(epoch, store)
    ]
    assert_equal_epochs(epoch, expected)


def test_smoothing_and_drawing_across_the_batch_are_those_of_masking(
    store, tokenizer
):
    probs = smoothed_token_probs(store.token_counts, (0, 1, 2, 3, 4), 0.7)
    masking = MaskedLMMasking(
        31, (0, 1, 2, 3, 4), 0, 4, token_probs=probs, across_batch=True
    )
    dataset = masked_lm_batches(
        store, tokenizer, 5, smoothing=0.7, across_batch=True
    )
    assert dataset.element_spec[1].shape == (5, 16)  # 4 + 6 * root of 4
    epoch = iterate(dataset)
    expected = [
        masking(store.blocks[indices], indices, 0)
        for indices in indices_of(epoch, store)
    ]
    assert_equal_epochs(epoch, expected)


# Shuffled


def test_every_epoch_is_another_order_of_the_blocks(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 1)
    orders = []
    for _ in range(3):
        order = sum(indices_of(iterate(dataset), store), [])
        assert sorted(order) == list(range(BLOCKS))
        orders.append(order)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert list(range(BLOCKS)) not in orders


def test_blocks_that_do_not_fill_a_batch_wait_for_another_epoch(
    store, tokenizer
):
    dataset = masked_lm_batches(store, tokenizer, 5)
    seen = set()
    for _ in range(8):
        order = sum(indices_of(iterate(dataset), store), [])
        assert len(order) == len(set(order)) == 20
        seen.update(order)
    # The chance that a block is left out 8 times is (3 / 23)^8, 1e-7.
    assert seen == set(range(BLOCKS))


def test_masks_of_a_block_differ_between_epochs(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 1)
    by_block = []
    for _ in range(2):
        epoch = iterate(dataset)
        order = sum(indices_of(epoch, store), [])
        positions = [sorted(x["mask_positions"][0]) for x, _, _ in epoch]
        by_block.append(dict(zip(order, positions, strict=True)))
    same = sum(by_block[0][i] == by_block[1][i] for i in range(BLOCKS))
    assert same <= 2  # by chance one in (20 over 3), 1140


def test_equal_seeds_give_equal_epochs_and_others_differ(store, tokenizer):
    one = masked_lm_batches(store, tokenizer, 5, seed=1)
    again = masked_lm_batches(store, tokenizer, 5, seed=1)
    for _ in range(2):
        epoch = iterate(one)
        assert_equal_epochs(epoch, iterate(again))
    other = iterate(
        masked_lm_batches(store, tokenizer, 5, seed=2, first_epoch=1)
    )
    assert indices_of(other, store) != indices_of(epoch, store)


def test_first_epoch_goes_on_after_epochs_done_before(store, tokenizer):
    whole = masked_lm_batches(store, tokenizer, 5)
    epochs = [iterate(whole) for _ in range(4)]
    resumed = masked_lm_batches(store, tokenizer, 5, first_epoch=2)
    assert_equal_epochs(epochs[2], iterate(resumed))
    assert_equal_epochs(epochs[3], iterate(resumed))


def test_repeating_goes_on_with_the_next_epoch(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 5)
    epochs = [*iterate(dataset), *iterate(dataset)]
    repeated = masked_lm_batches(store, tokenizer, 5).repeat()
    assert_equal_epochs(epochs, iterate(repeated.take(8)))


# In order


def test_without_shuffling_order_and_masks_are_fixed(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 1, shuffle=False)
    epoch = iterate(dataset)
    assert sum(indices_of(epoch, store), []) == list(range(BLOCKS))
    assert_equal_epochs(epoch, iterate(dataset))
    assert_equal_epochs(epoch, iterate(dataset))


def test_the_last_batch_is_filled_up_with_weight_0(store, tokenizer):
    dataset = masked_lm_batches(store, tokenizer, 5, shuffle=False)
    *whole, (x, _, weights) = iterate(dataset)
    for batch, _, batch_weights in whole:
        np.testing.assert_array_equal(batch["padding_mask"], np.ones((5, 22)))
        np.testing.assert_array_equal(batch_weights, np.ones((5, 3)))
    here = np.array([[1], [1], [1], [0], [0]])  # 23 = 4 * 5 + 3
    np.testing.assert_array_equal(weights, here * np.ones((5, 3)))
    np.testing.assert_array_equal(x["padding_mask"], here * np.ones((5, 22)))


def test_masks_do_not_depend_on_the_size_of_the_batch(store, tokenizer):
    singles = iterate(masked_lm_batches(store, tokenizer, 1, shuffle=False))
    fives = iterate(masked_lm_batches(store, tokenizer, 5, shuffle=False))
    for name in ("token_ids", "mask_positions"):
        one = np.concatenate([x[name] for x, _, _ in singles])
        five = np.concatenate([x[name] for x, _, _ in fives])
        np.testing.assert_array_equal(one, five[:BLOCKS])


def test_padding_of_a_short_block_is_masked_out(tokenizer, tmp_path):
    documents = ["a b c d e f g h i j"]
    store = TokenStore.write(tmp_path / "s", documents, tokenizer, LENGTH)
    dataset = masked_lm_batches(store, tokenizer, 1, shuffle=False)
    ((x, _, weights),) = iterate(dataset)
    padding_mask = [[1] * 12 + [0] * 10]  # [CLS], 10 letters, [SEP]
    np.testing.assert_array_equal(x["padding_mask"], padding_mask)
    np.testing.assert_array_equal(weights, [[1, 1, 0]])  # 0.15 * 10 = 1.5


# Errors


@pytest.mark.parametrize("batch_size", [0, -1, BLOCKS + 1])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_corpus_too_small_for_one_batch_is_refused(
    store, tokenizer, batch_size, shuffle
):
    with pytest.raises(
        ValueError, match=f"of blocks, 23 of 22 tokens.*: {batch_size}"
    ):
        masked_lm_batches(store, tokenizer, batch_size, shuffle=shuffle)


def test_a_batch_of_the_whole_corpus_is_fine(store, tokenizer):
    (batch,) = iterate(masked_lm_batches(store, tokenizer, BLOCKS))
    assert sorted(indices_of([batch], store)[0]) == list(range(BLOCKS))


def test_another_tokenizer_is_refused(store, tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    cased = WordPieceTokenizer.load(tmp_path / "vocab.txt", lowercase=False)
    with pytest.raises(ValueError, match="`tokenizer` must be the one"):
        masked_lm_batches(store, cased, 5)


def test_rate_and_seed_out_of_range_are_refused(store, tokenizer):
    with pytest.raises(ValueError, match="`rate` must be in"):
        masked_lm_batches(store, tokenizer, 5, rate=0)
    with pytest.raises(
        ValueError, match="`seed` must be a whole number of 0 or more"
    ):
        masked_lm_batches(store, tokenizer, 5, seed=-1)
    with pytest.raises(ValueError, match="`smoothing` must be 0 or more"):
        masked_lm_batches(store, tokenizer, 5, smoothing=-1)


# Without masks


def test_token_batches_are_the_blocks_as_they_are(store, tokenizer):
    batches = token_batches(store, tokenizer, 7, shuffle=False)
    rows = []
    for (x,) in batches:
        assert set(x) == {"token_ids", "segment_ids", "padding_mask"}
        assert x["token_ids"].shape == (7, store.block_length)
        there = np.asarray(x["padding_mask"]).any(axis=1)
        rows.extend(np.asarray(x["token_ids"])[there])
        np.testing.assert_array_equal(
            x["padding_mask"],
            (np.asarray(x["token_ids"]) != tokenizer.pad_id) * there[:, None],
        )
        assert not np.any(x["segment_ids"])
    np.testing.assert_array_equal(rows, store.blocks)


def test_token_batches_come_in_the_order_of_the_masked_ones(store, tokenizer):
    plain = token_batches(store, tokenizer, 4, seed=3)
    masked = masked_lm_batches(store, tokenizer, 4, seed=3)
    for _ in range(2):  # epochs
        for (x,), (masked_x, y, weights) in zip(plain, masked, strict=True):
            ids = np.array(masked_x["token_ids"])
            rows, columns = np.nonzero(weights)
            places = np.asarray(masked_x["mask_positions"])[rows, columns]
            ids[rows, places] = np.asarray(y)[rows, columns]
            np.testing.assert_array_equal(x["token_ids"], ids)


# From a batch on


def test_training_goes_on_at_any_batch(store, tokenizer):
    """Within an epoch, at an epoch's border, and in a later epoch."""

    def batches(**arguments):
        made = masked_lm_batches(store, tokenizer, 5, seed=3, **arguments)
        return list(made.repeat().take(9).as_numpy_iterator())

    steps = len(store) // 5
    assert steps > 2
    whole = batches()
    for done in (1, steps - 1, steps, steps + 1):
        for expected, found in zip(
            whole[done:], batches(first_batch=done), strict=False
        ):
            keras.tree.map_structure(
                np.testing.assert_array_equal, expected, found
            )
    later = batches(first_epoch=1, first_batch=1)
    expected = whole[steps + 1]
    keras.tree.map_structure(np.testing.assert_array_equal, expected, later[0])


@pytest.mark.parametrize("make", [masked_lm_batches, token_batches])
def test_a_first_batch_that_there_is_not_is_refused(store, tokenizer, make):
    for arguments in (
        {"first_batch": -1},
        {"first_batch": 1, "shuffle": False},
    ):
        with pytest.raises(ValueError, match="`first_batch` must be 0 or more"):
            make(store, tokenizer, 8, **arguments)


# Whole words


def test_whole_words_are_hidden_by_the_tokenizers_own_pieces(
    googles_words, tmp_path
):
    store = TokenStore.write(
        tmp_path / "s", ["unwanted running , " * 200], googles_words, 32
    )
    options = {"rate": 0.3, "whole_words": True}
    batches = masked_lm_batches(store, googles_words, 8, **options)
    plain = token_batches(store, googles_words, 8)
    for (x, _, weights), (before,) in zip(
        iterate(batches), iterate(plain), strict=True
    ):
        chosen = np.zeros_like(x["token_ids"])
        rows, slots = np.nonzero(weights)
        chosen[rows, x["mask_positions"][rows, slots]] = 1
        inner = googles_words.continuations[before["token_ids"]]
        inner[:, 1] = False  # cut off from its word
        np.testing.assert_array_equal(
            chosen[:, 1:][inner[:, 1:]], chosen[:, :-1][inner[:, 1:]]
        )
        assert 0.2 < chosen.sum() / (8 * 30) <= 0.31
    independent = masked_lm_batches(store, googles_words, 8, independent=True)
    assert independent.element_spec[1].shape == (8, 5 + 14)


# Line by line


@pytest.fixture(scope="module")
def lines(tokenizer, tmp_path_factory):
    """40 lines of 2 to 13 letters, no two alike."""
    folder = tmp_path_factory.mktemp("lines") / "store"
    letters = string.ascii_lowercase
    texts = [
        " ".join((letters * 3)[i : i + 2 + i * 5 % 12][:: 1 if i < 26 else -1])
        for i in range(40)
    ]
    return TokenStore.write(folder, ["\n".join(texts)], tokenizer, 15, True)


def rows_of(store):
    """Every block of a store, padding cut off, with its index in it."""
    rows = [row for b in store.buckets.values() for row in b.tolist()]
    return [tuple(id for id in row if id) for row in rows]


def test_batches_of_lines_are_each_of_one_length(lines, tokenizer):
    sizes = {t: len(blocks) for t, blocks in lines.buckets.items()}
    assert sizes == {8: 17, 11: 10, 15: 13}
    dataset = masked_lm_batches(lines, tokenizer, 4)
    assert dataset.element_spec[0]["token_ids"].shape == (4, None)
    epochs = [iterate(dataset) for _ in range(3)]
    for epoch in epochs:
        shapes = [x["token_ids"].shape for x, _, _ in epoch]
        assert sorted(shapes) == [(4, 8)] * 4 + [(4, 11)] * 2 + [(4, 15)] * 3
        assert shapes != sorted(shapes)
        slots = {x["mask_positions"].shape for x, _, _ in epoch}
        assert slots == {(4, 1), (4, 2)}
    a, b, c = ([x["token_ids"].shape for x, _, _ in e] for e in epochs)
    assert a != b != c


def test_batches_of_lines_are_what_masking_makes_of_them(lines, tokenizer):
    """Each line once at most, by its index over all lengths."""
    masking = MaskedLMMasking(31, (0, 1, 2, 3, 4), 0, 4, seed=5)
    dataset = token_batches(lines, tokenizer, 4, seed=5)
    masked = masked_lm_batches(lines, tokenizer, 4, seed=5)
    index_of = {row: index for index, row in enumerate(rows_of(lines))}
    assert len(index_of) == 40
    seen = []
    for (x,), (masked_x, y, weights) in zip(
        iterate(dataset), iterate(masked), strict=True
    ):
        blocks = x["token_ids"]
        indices = [
            index_of[tuple(filter(None, row))] for row in blocks.tolist()
        ]
        seen += indices
        expected_x, expected_y, expected_weights = masking(blocks, indices, 0)
        for name, array in expected_x.items():
            np.testing.assert_array_equal(masked_x[name], array)
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(weights, expected_weights)
    assert len(seen) == len(set(seen)) == 36


def test_lines_that_are_not_shuffled_are_each_there_once(lines, tokenizer):
    """The lengths take turns, so that the first batches are a fair sample."""
    dataset = token_batches(lines, tokenizer, 4, shuffle=False)
    epoch = iterate(dataset)
    shapes = [x["token_ids"].shape for (x,) in epoch]
    assert sorted(shapes) == [(4, 8)] * 5 + [(4, 11)] * 3 + [(4, 15)] * 4
    assert shapes != sorted(shapes)
    found = [
        tuple(id for id in row if id)
        for (x,) in epoch
        for row, real in zip(
            x["token_ids"].tolist(), x["padding_mask"].tolist(), strict=True
        )
        if any(real)
    ]
    assert sorted(found) == sorted(rows_of(lines))


@pytest.mark.parametrize("first_batch", [1, 8, 9, 14])
def test_lines_go_on_from_a_batch(lines, tokenizer, first_batch):
    whole = masked_lm_batches(lines, tokenizer, 4).repeat().take(20)
    expected = iterate(whole)[first_batch:]
    options = {"first_batch": first_batch}
    cut = masked_lm_batches(lines, tokenizer, 4, **options).repeat()
    for (a, b, c), (x, y, z) in zip(
        expected, iterate(cut.take(20 - first_batch)), strict=True
    ):
        np.testing.assert_array_equal(a["token_ids"], x["token_ids"])
        np.testing.assert_array_equal(b, y)
        np.testing.assert_array_equal(c, z)


def test_a_length_with_too_few_lines_waits(lines, tokenizer):
    epoch = iterate(masked_lm_batches(lines, tokenizer, 11))
    shapes = [x["token_ids"].shape for x, _, _ in epoch]
    assert sorted(shapes) == [(11, 8), (11, 15)]
    with pytest.raises(ValueError, match="17 of 8 tokens. Received: 18"):
        masked_lm_batches(lines, tokenizer, 18)
    held_out = token_batches(lines, tokenizer, 18, shuffle=False)
    assert len(iterate(held_out)) == 3


def test_what_is_put_in_is_never_an_id_without_a_token(tmp_path):
    """Of a vocab.txt with a line twice: 5 is nobody's, as the last counts."""
    file = tmp_path / "vocab.txt"
    lines = [*SPECIAL_TOKENS, "a", "b", "c", "a"]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    tokenizer = WordPieceTokenizer.load(file)
    documents = ["a b c a b c"] * 60
    store = TokenStore.write(tmp_path / "s", documents, tokenizer, 8)
    batches = masked_lm_batches(store, tokenizer, 20, rate=0.9)
    put_in = [x["token_ids"].numpy() for x, _, _ in batches.take(3)]
    assert set(np.unique(put_in)) == {2, 3, 4, 6, 7, 8}
