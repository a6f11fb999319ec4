import keras_kd as kd
import pytest
import tensorflow as tf
from keras_kd.export.in_graph_tokenizer import InGraphTokenizer
from tokenizers import normalizers

TEXTS = [
    "The cat's mat, naïve café: (x + y) = 12.5!",
    "a [MASK] and[MASK]. [mask] [CLS]x",
    "日本 “quotes” — dash… " + "x" * 120,
    "ﬁle ½ ´ ÅNGSTRÖM ŒUVRE İstanbul ẞ no\u00a0break zero\u200bwidth",
    "tab\tline\r\nnul\x00 bad\ufffd private\U0010ff04 soft\u00adhyphen",
    "",
]


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_graph_gives_the_tokenizers_ids(lowercase):
    tokenizer = kd.WordPieceTokenizer.train(
        TEXTS * 4, vocabulary_size=140, lowercase=lowercase
    )
    in_graph = tf.function(InGraphTokenizer(tokenizer))
    found = in_graph(tf.constant(TEXTS)).to_list()
    for text, ids, expected in zip(
        TEXTS, found, tokenizer.encode_batch(TEXTS), strict=True
    ):
        assert tokens(tokenizer, ids) == tokens(tokenizer, expected), text


@pytest.mark.parametrize("strip_accents", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_accents_may_go_or_stay_whatever_the_case(
    tmp_path, lowercase, strip_accents
):
    tokenizer = normalized(
        tmp_path,
        normalizers.BertNormalizer(
            lowercase=lowercase, strip_accents=strip_accents
        ),
    )
    texts = ["Über uber, ÜBER Uber"]
    in_graph = tf.function(InGraphTokenizer(tokenizer))
    (found,) = in_graph(tf.constant(texts)).numpy()
    (expected,) = tokenizer.encode_batch(texts)
    assert tokens(tokenizer, found) == tokens(tokenizer, expected)


@pytest.mark.parametrize(
    "normalizer",
    [
        normalizers.NFKC(),
        normalizers.BertNormalizer(handle_chinese_chars=False),
        normalizers.BertNormalizer(clean_text=False),
    ],
)
def test_another_normalizer_is_refused(tmp_path, normalizer):
    with pytest.raises(ValueError, match="`tokenizer` must normalise text by"):
        InGraphTokenizer(normalized(tmp_path, normalizer))


def normalized(folder, normalizer):
    """A tokenizer of words with and without accents and capitals."""
    words = ["über", "uber", "Über", "Uber", "ÜBER"] * 9
    tokenizer = kd.WordPieceTokenizer.train(words, 80, lowercase=False)
    tokenizer.backend.normalizer = normalizer
    tokenizer.save(folder)
    return kd.WordPieceTokenizer.load(folder)


def tokens(tokenizer, ids):
    return [tokenizer.vocabulary[i] for i in ids]
