"""Recipes are programs: their folder is put on the path, as running does."""

import pathlib
import sys

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
