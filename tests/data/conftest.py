"""Shared by these tests: a vocabulary of letters, and texts of them."""

import string

import numpy as np
import pytest
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer


@pytest.fixture(scope="session")
def letters(tmp_path_factory):
    """[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ..., z 30."""
    file = tmp_path_factory.mktemp("letters") / "vocab.txt"
    tokens = [*SPECIAL_TOKENS, *string.ascii_lowercase]
    file.write_text("\n".join(tokens), "utf-8")
    return WordPieceTokenizer.load(file)


@pytest.fixture(scope="session")
def random_documents():
    """`random_documents(count, seed=0)`, of 1 to 29 letters each."""

    def make(count, seed=0):
        generator = np.random.default_rng(seed)
        lengths = generator.integers(1, 30, count)
        choose = generator.choice
        letters = list(string.ascii_lowercase)
        return [" ".join(choose(letters, n)) for n in lengths]

    return make
