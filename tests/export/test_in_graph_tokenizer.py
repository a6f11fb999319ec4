import keras_kd as kd
import pytest
import tensorflow as tf
from keras_kd.export.in_graph_tokenizer import InGraphTokenizer

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


def tokens(tokenizer, ids):
    return [tokenizer.vocabulary[i] for i in ids]
