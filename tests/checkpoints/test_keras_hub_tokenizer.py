"""KerasHub's tokenizers here, ours there: the same ids."""

import keras_kd as kd
import keras_hub
import pytest

pytestmark = pytest.mark.tensorflow

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] caf ##e ##\u00e9 \u00fc u \u4e2d , a "
    "b x ##b Caf ss stra ##ss ##\u00df"
).split()
TEXTS = ["Caf\u00e9, \u00dc\u4e2da", "ab [MASK] x", "cafe\u0301"]
MODEL = kd.BertConfig(len(WORDS), 1, 8, 2)


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n", "utf-8")
    return path


def ids_of(theirs, texts):
    return [list(map(int, ids)) for ids in theirs(list(texts))]


@pytest.mark.parametrize("segments", [2, 0])
@pytest.mark.parametrize("lowercase", [True, False])
def test_what_goes_there_keeps_its_ids(vocabulary, lowercase, segments):
    ours = kd.WordPieceTokenizer.load(vocabulary, lowercase)
    config = MODEL.with_layers(1, num_segments=segments)
    with pytest.warns(UserWarning, match="other ids"):
        theirs = kd.to_keras_hub_tokenizer(ours, kd.BertBackbone(config))
    expected = [ids.tolist() for ids in ours.encode_batch(TEXTS)]
    if lowercase:
        assert expected == [[5, 6, 11, 9, 10, 12], [12, 15, 4, 14], [5, 6]]
    assert ids_of(theirs, TEXTS) == expected
    kind = "BertTokenizer" if segments else "DistilBertTokenizer"
    assert type(theirs) is getattr(keras_hub.models, kind)


def test_what_they_do_otherwise_is_said(vocabulary):
    ours = kd.WordPieceTokenizer.load(vocabulary, lowercase=True)
    with pytest.warns(UserWarning, match="other ids.*Stra\u00dfe") as told:
        kd.to_keras_hub_tokenizer(ours, kd.BertBackbone(MODEL))
    assert "caf\u00e9" not in str(told[0].message)


def test_theirs_here(vocabulary):
    theirs = keras_hub.models.BertTokenizer(WORDS, lowercase=True)
    ours = kd.load_tokenizer(theirs)
    assert not ours.encode_batch(["caf\u00e9 Caf"])[0].tolist() == [5, 6, 5]
    texts = ["caf\u00e9 Caf", "\u00dc , u"]
    expected = [ids.tolist() for ids in ours.encode_batch(texts)]
    assert ids_of(theirs, texts) == expected == [[5, 7, 5], [8, 11, 9]]


def test_what_they_cannot_say_is_refused(vocabulary):
    model = kd.BertBackbone(MODEL)
    ours = kd.WordPieceTokenizer.load(vocabulary)
    ours.special_tokens = ("<pad>", *ours.special_tokens[1:])
    with pytest.raises(ValueError, match="special tokens \\('<pad>'"):
        kd.to_keras_hub_tokenizer(ours, model)
    ours = kd.WordPieceTokenizer.load(vocabulary)
    ours.backend.add_tokens(["<e>"])
    wider = kd.BertBackbone(
        MODEL.with_layers(1, vocabulary_size=len(WORDS) + 1)
    )
    with pytest.raises(ValueError, match="added tokens \\['<e>'\\]"):
        kd.to_keras_hub_tokenizer(ours, wider)


def test_a_model_without_a_tokenizer_has_none():
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=9,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
    )
    with pytest.raises(ValueError, match="a task with a preprocessor"):
        kd.load_tokenizer(backbone)


def test_a_tokenizer_that_their_files_do_not_keep_is_refused():
    theirs = keras_hub.models.BertTokenizer(WORDS, split_on_cjk=False)
    with pytest.raises(ValueError, match="`split_on_cjk`.*must be True"):
        kd.load_tokenizer(theirs)
