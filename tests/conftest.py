"""Shared by all tests: a small tokenizer, made once, and a quiet TensorFlow."""

import keras_kd as kd
import pytest

SENTENCES = [
    "the cat sat on the mat and looked at the dog",
    "a dog and a cat ran over the hill to the sea",
    "the sea is blue and the hill is green and old",
]


@pytest.fixture(scope="session")
def tokenizer():
    return kd.WordPieceTokenizer.train(SENTENCES * 5, vocabulary_size=80)


@pytest.fixture
def tiny_config(tokenizer):
    return kd.BertConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        max_sequence_length=16,
        dropout=0.0,
    )


@pytest.fixture
def store(tmp_path, tokenizer):
    documents = SENTENCES * 20
    return kd.TokenStore.write(tmp_path / "store", documents, tokenizer, 12)
