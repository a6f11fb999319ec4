import numpy as np
import pytest
from keras_kd.data.conll import TaggedWords
from keras_kd.data.token_label_batches import (
    EncodedWords,
    cut_to_windows,
    token_label_batches,
)
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

NAMES = ["O", "A", "B"]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ##a 7, ##b 8."""
    file = tmp_path_factory.mktemp("pieces") / "vocab.txt"
    file.write_text("\n".join([*SPECIAL_TOKENS, "a", "b", "##a", "##b"]))
    return WordPieceTokenizer.load(file)


def sentence(words, tags=None):
    return TaggedWords(tuple(words.split()), tags and tuple(tags.split()))


@pytest.mark.tensorflow
def test_a_tag_stands_at_the_first_piece_of_its_word(pieces):
    sentences = [sentence("ab b aab", "A O B"), sentence("a b")]
    batches = token_label_batches(
        sentences, pieces, 3, NAMES, max_length=8, shuffle=False
    )
    [(x, tags, weights)] = list(batches)
    ids = [[2, 5, 8, 6, 5, 7, 8, 3], [2, 5, 6, 3, 0, 0, 0, 0], [0] * 8]
    np.testing.assert_array_equal(x["token_ids"], ids)
    np.testing.assert_array_equal(x["padding_mask"], np.array(ids) > 0)
    np.testing.assert_array_equal(x["segment_ids"], np.zeros((3, 8)))
    none = [0] * 8
    np.testing.assert_array_equal(tags, [[0, 1, 0, 0, 2, 0, 0, 0], none, none])
    np.testing.assert_array_equal(
        weights, [[0, 1, 0, 1, 1, 0, 0, 0], none, none]
    )
    assert (tags.dtype, weights.dtype) == ("int32", "float32")
    assert batches.cardinality() == 1
    assert batches.element_spec[1].shape.as_list() == [3, None]


def test_a_word_of_which_nothing_is_left_is_unknown(pieces):
    # A control character: the normalizer takes it away.
    words = TaggedWords(("a", "\u200b", "b"), ("O", "A", "B"))
    encoded = EncodedWords([words], pieces, NAMES, 8)
    ids, _, _, tags, weights = encoded.batch([0])
    assert list(ids[0]) == [2, 5, 1, 6, 3, 0, 0, 0]
    assert list(tags[0]) == [0, 0, 1, 2, 0, 0, 0, 0]
    assert list(weights[0]) == [0, 1, 1, 1, 0, 0, 0, 0]


def test_a_long_sentence_becomes_windows_that_have_each_word_once(pieces):
    words = sentence("a ab b abab b ba a", "A B O A B O A")
    encoded = EncodedWords([words, sentence("b", "B")], pieces, NAMES, 8)
    # 12 pieces, 6 in a window.
    assert list(encoded.lengths) == [6, 7, 5, 3]
    ids, _, mask, tags, weights = encoded.batch(range(4))
    assert [list(row) for row in ids] == [
        [2, 5, 5, 8, 6, 3, 0, 0],
        [2, 5, 8, 7, 8, 6, 3, 0],
        [2, 6, 7, 5, 3, 0, 0, 0],
        [2, 6, 3, 0, 0, 0, 0, 0],
    ]
    assert list(tags[weights > 0]) == [1, 2, 0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(mask, ids > 0)


def test_windows_are_about_as_long():
    assert cut_to_windows([1] * 9, 8) == [(0, 5), (5, 9)]
    assert cut_to_windows([1] * 8, 8) == [(0, 8)]
    assert cut_to_windows([3, 3, 2], 4) == [(0, 1), (1, 2), (2, 3)]
    assert cut_to_windows([4, 1, 4], 4) == [(0, 1), (1, 2), (2, 3)]


def test_no_window_is_too_long_and_no_word_is_left_out():
    random = np.random.default_rng(0)
    for _ in range(200):
        sizes = random.integers(1, 7, random.integers(1, 60))
        windows = cut_to_windows(sizes, 6)
        held = [sum(sizes[first:end]) for first, end in windows]
        assert max(held) <= 6 and min(held) > 0
        words = np.concatenate([np.arange(*window) for window in windows])
        np.testing.assert_array_equal(words, np.arange(len(sizes)))


def test_a_word_that_is_longer_than_a_window_is_cut(pieces):
    encoded = EncodedWords(
        [sentence("b abababab b", "O A B")], pieces, NAMES, 8
    )
    assert list(encoded.lengths) == [3, 8, 3]
    _, _, _, tags, weights = encoded.batch(range(3))
    assert list(tags[weights > 0]) == [0, 1, 2]


@pytest.mark.tensorflow
def test_epochs_are_of_all_words_in_an_order_of_chance(letters):
    words = "a b c d e f g h i j k l".split()
    sentences = [
        TaggedWords(tuple(words[i : i + 1 + i % 3]), ("O",) * (1 + i % 3))
        for i in range(9)
    ]
    batches = token_label_batches(sentences, letters, 4, ["O"], seed=1)

    def first_words(some):
        ids = np.concatenate(
            [np.asarray(x["token_ids"])[:, 1] for x, *_ in some]
        )
        return list(ids[ids > 0])

    first, second = (first_words(batches) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(5, 14))
    assert first != second
    on = token_label_batches(
        sentences, letters, 4, ["O"], seed=1, first_batch=3
    )
    assert first_words(on) == second


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "changed, message",
    [
        ({"sentences": []}, "`sentences` must hold a sentence.*none"),
        ({"sentences": [TaggedWords((), (), "f, line 2")]}, "no word at f, l"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"max_length": 7}, "`max_length` must be at least 8"),
        ({"first_batch": -1}, "`first_batch` must be at least 0"),
        ({"tag_names": ["B"]}, "must be one of `tag_names`.*'A' of 'a'"),
    ],
)
def test_wrong_arguments_are_named(letters, changed, message):
    arguments = {
        "sentences": [sentence("a", "A")],
        "tokenizer": letters,
        "batch_size": 2,
        "tag_names": NAMES,
    }
    with pytest.raises(ValueError, match=message):
        token_label_batches(**{**arguments, **changed})


def test_pieces_and_their_words_are_those_of_the_tokenizers_library(pieces):
    random = np.random.default_rng(0)
    words = ["".join(random.choice([*"abAB-. c"], 5)) for _ in range(40)]
    ours = EncodedWords([TaggedWords(tuple(words))], pieces, NAMES, 512)
    theirs = pieces.backend.encode(words, is_pretokenized=True)
    ids, _, _, _, _ = ours.batch([0])
    length = len(theirs.ids)
    assert list(ids[0, :length]) == theirs.ids
    starts = [theirs.word_ids.index(word) for word in range(len(words))]
    assert list(ours.starts[0]) == starts
