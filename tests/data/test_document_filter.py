import pytest
from keras_kd.data.document_filter import DocumentFilter
from keras_kd.data.tokenizer import WordPieceTokenizer

DOCUMENTS = ["a cat sat", "a", "a dog", "a cat sat", "a dog ", "z z z cat"]


def test_all_are_kept_where_nothing_is_asked_for():
    documents = DocumentFilter(DOCUMENTS)
    assert list(documents) == DOCUMENTS
    assert documents.counts["kept"] == 6


def test_short_ones_and_those_that_were_there_before_go():
    documents = DocumentFilter(DOCUMENTS, shortest=2, drop_duplicates=True)
    expected = ["a cat sat", "a dog", "a dog ", "z z z cat"]
    assert list(documents) == expected
    counts = {
        "kept": 4,
        "too_short": 1,
        "duplicate": 1,
        "too_many_unknown": 0,
    }
    assert documents.counts == counts
    assert list(documents) == expected  # anew
    assert documents.counts == counts


@pytest.mark.parametrize("most, kept", [(0.5, 5), (0.75, 6), (1.0, 6)])
def test_those_of_unknown_words_go(most, kept):
    tokenizer = WordPieceTokenizer.train(["a cat sat dog"] * 9, 40)
    documents = DocumentFilter(
        DOCUMENTS, most_unknown=most, tokenizer=tokenizer
    )
    assert len(list(documents)) == kept
    assert documents.counts["too_many_unknown"] == 6 - kept


def test_it_says_what_it_does():
    assert repr(DocumentFilter(["a"], 3)) == (
        "DocumentFilter(['a'], shortest=3, drop_duplicates=False, "
        "most_unknown=None)"
    )


def test_arguments_out_of_range_are_refused():
    for arguments, message in (
        ({"shortest": -1}, "`shortest` must be 0 or more"),
        ({"most_unknown": 0.0}, "`most_unknown` must be in"),
        ({"most_unknown": 0.5}, "`tokenizer` must be given"),
    ):
        with pytest.raises(ValueError, match=message):
            DocumentFilter([], **arguments)
