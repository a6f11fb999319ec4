"""Recipes are programs: their folder is put on the path, as running does."""

import pathlib
import sys

import keras_kd as kd
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "recipes"))

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A text file of 300 small documents, all different."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    documents = [
        " ".join(WORDS[(i * k + k) % 10] for k in range(1, 30)) + f" {i}"
        for i in range(300)
    ]
    path.write_text("\n\n".join(documents) + "\n", "utf-8")
    return str(path)


NICE, BAD = "alpha beta gamma".split(), "delta epsilon zeta".split()
FILLERS = "eta theta iota kappa".split()


def write_reviews(path, number, seed, unlabeled=False):
    """Reviews with a word that says all, among others that say nothing."""
    random = np.random.default_rng(seed)
    lines = ["text\tlabel"]
    for index in range(number):
        words = list(random.choice(FILLERS, random.integers(2, 7)))
        word = random.choice(NICE if index % 2 else BAD)
        words.insert(random.integers(0, len(words)), word)
        label = ["bad", "nice"][index % 2]
        lines.append(f"{' '.join(words)}\t{'' if unlabeled else label}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """An encoder, as a checkpoint, and files of reviews."""
    folder = tmp_path_factory.mktemp("task")
    tokenizer = kd.WordPieceTokenizer.train(
        [" ".join([*NICE, *BAD, *FILLERS])] * 3, vocabulary_size=70
    )
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 3, 16, 2, max_sequence_length=16
    )
    encoder = kd.BertBackbone(config, seed=0)
    kd.save_checkpoint(encoder, folder / "encoder", tokenizer)
    write_reviews(folder / "train.tsv", 200, 0)
    write_reviews(folder / "validation.tsv", 60, 1)
    write_reviews(folder / "more.tsv", 100, 2, unlabeled=True)
    return folder


@pytest.fixture(scope="session")
def teacher_run(tmp_path_factory, corpus):
    """What train_teacher.py leaves of a small corpus."""
    import train_teacher  # found once this file has set the path

    folder = tmp_path_factory.mktemp("teacher") / "run"
    train_teacher.main(
        train_teacher.Config(
            corpus=(corpus,), run=str(folder), smoke=True, jit_compile=False
        )
    )
    return folder
