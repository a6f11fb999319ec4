"""Ids word by word are those of the whole text by the tokenizer itself."""

import itertools
import json
import os
import pathlib
import random
import string
import subprocess
import sys
from concurrent import futures

import numpy as np
import pytest
from keras_kd.data import word_cache
from keras_kd.data.tokenizer import WordPieceTokenizer
from keras_kd.data.word_cache import WordCache, goes_by_words
from tokenizers import AddedToken, normalizers, pre_tokenizers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
FOLDERS = sorted(path.name for path in GOLDEN.glob("tokenizer_*"))


@pytest.fixture
def tokenizer():
    words = ["über", "uber", "Uber", "a cat sat on the mat, x 中 é"] * 9
    return WordPieceTokenizer.train(words, 80)


def whole(tokenizer, texts):
    encode = tokenizer.backend.encode
    return [encode(text, add_special_tokens=False).ids for text in texts]


def check(tokenizer, texts, cache=None):
    cache = cache or WordCache(tokenizer.backend, "[PAD]")
    found = cache.encode_batch(texts)
    for text, ids, expected in zip(
        texts, found, whole(tokenizer, texts), strict=True
    ):
        assert ids.dtype == np.int32
        assert ids.tolist() == expected, text


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_of_a_nasty_text(name):
    """Each alone, all together, and each after the others."""
    examples = json.loads((GOLDEN / name / "expected.json").read_text("utf-8"))
    tokenizer = WordPieceTokenizer.load(GOLDEN / name)
    assert tokenizer.word_cache() is not None
    for some in (examples, examples[::-1]):
        texts = [example["text"] for example in some]
        found = tokenizer.encode_batch(texts)
        assert [ids.tolist() for ids in found] == [e["ids"] for e in some]
        for example in some:
            (ids,) = tokenizer.encode_batch([example["text"]])
            assert ids.tolist() == example["ids"]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_within_a_word_and_between_words(
    tokenizer, lowercase, clean
):
    tokenizer.backend.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, clean_text=clean
    )
    codes = [c for c in range(0x11000) if not 0xD800 <= c < 0xE000]
    texts = [f"a{chr(code)}cat {chr(code)} sat{chr(code)}" for code in codes]
    check(tokenizer, texts)


def test_what_only_python_takes_for_space_goes_the_long_way(tokenizer):
    texts = ["a\x1ccat", "a\x0bcat", "a\x85cat", "a\u2028cat", "a\tcat\r\nsat"]
    check(tokenizer, [*texts, " ".join(texts), "a cat"])
    cache = WordCache(tokenizer.backend, "[PAD]")
    texts = ["a cat", "a\x0bcat", "a b\tc\nd\u3000e", "[MASK]", "\x1c,a"]
    assert cache.split(texts).whole == [1, 3]


def test_texts_with_special_tokens_go_the_long_way(tokenizer):
    texts = ["a [PAD] cat[PAD]sat [PAD][PAD] mat", "[PAD]", "[MASK]x [CLS]"]
    check(tokenizer, texts)
    check(tokenizer, ["[pad] [ PAD ] [mask]", "[ Mask]", "[PAD", "[[UNK]]"])


def test_punctuation_parts_words(tokenizer):
    """Each ASCII one, alone, doubled, and with a combining accent after it."""
    marks = string.punctuation
    texts = [f"a{m}cat {m}{m} sat{m} {m}\u0301a {m}\u0338" for m in marks]
    check(tokenizer, texts)
    cache = WordCache(tokenizer.backend, "[PAD]")
    words = cache.split(["the mat, the mat.", "(the)"])
    assert set(words.distinct) == {"the", "mat", ",", ".", "(", ")", ""}


def test_no_text_and_no_words(tokenizer):
    check(tokenizer, [])
    check(tokenizer, ["", " ", "a cat", "", "\u200b"])


def test_many_new_words_at_once(tokenizer):
    check(tokenizer, [" ".join(f"x{i}" for i in range(1700)), "cat x7 x1699"])


def test_it_begins_anew_when_it_is_full(tokenizer):
    cache = WordCache(tokenizer.backend, "[PAD]", largest=3)
    for texts in (["a cat sat on"], ["the mat"], ["a cat"]):
        check(tokenizer, texts, cache)
    assert set(cache.rows) == {"the", "mat", "a", "cat"}


@pytest.mark.parametrize(
    "token, by_words, by_punctuation",
    [
        (AddedToken("<new>"), True, False),
        (AddedToken("<new>", normalized=False), True, True),
        (AddedToken("new"), True, True),
        (AddedToken("new", single_word=True), True, False),
        (AddedToken("two words", normalized=False), False, True),
    ],
)
def test_which_tokenizers_go_by_words(
    tokenizer, token, by_words, by_punctuation
):
    assert goes_by_words(tokenizer.backend, "[PAD]")
    assert not goes_by_words(tokenizer.backend, "cat")
    tokenizer.backend.add_tokens([token])
    assert goes_by_words(tokenizer.backend, "[PAD]") is by_words
    cache = WordCache(tokenizer.backend, "[PAD]")
    assert cache.parts_punctuation is by_punctuation
    texts = ["a <new> b<new>c <NEW>", "NEW newa _new_ two words", "é,new"]
    found = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
    assert found == whole(tokenizer, texts)


@pytest.mark.parametrize(
    "part, other",
    [
        ("normalizer", normalizers.NFKC()),
        ("pre_tokenizer", pre_tokenizers.Whitespace()),
    ],
)
def test_other_parts_have_texts_tokenised_whole(
    tokenizer, tmp_path, part, other
):
    setattr(tokenizer.backend, part, other)
    assert not goes_by_words(tokenizer.backend, "[PAD]")
    tokenizer.save(tmp_path)
    again = WordPieceTokenizer.load(tmp_path)
    assert again.word_cache() is None
    texts = ["a cat, ½ ﬁ", "über"]
    found = [ids.tolist() for ids in again.encode_batch(texts)]
    assert found == whole(again, texts)


def test_a_backend_that_is_changed_is_followed(tokenizer):
    texts = ["a CAT sat <new> x"]
    for change in (
        lambda backend: backend.add_tokens(["<new>"]),
        lambda backend: setattr(
            backend, "normalizer", normalizers.BertNormalizer(lowercase=False)
        ),
        lambda backend: setattr(backend, "normalizer", normalizers.NFKC()),
    ):
        tokenizer.encode_batch(texts)
        change(tokenizer.backend)
        found = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
        assert found == whole(tokenizer, texts)


def many_batches(count):
    """Batches of texts whose words are new to a tokenizer of letters."""
    draw = random.Random(2)
    words = [f"w{i}" for i in range(5000)]
    tokenizer = WordPieceTokenizer.train([" ".join(words)], 200)
    batches = [
        [" ".join(draw.choices(words, k=12)) for _ in range(20)]
        for _ in range(count)
    ]
    return tokenizer, batches, [whole(tokenizer, batch) for batch in batches]


def lists(found):
    return [ids.tolist() for ids in found]


@pytest.mark.parametrize("largest", [500_000, 700])
def test_threads_have_the_ids_of_one_and_so_has_one_afterwards(largest):
    """With room for all words, and where it begins anew in between."""
    tokenizer, batches, expected = many_batches(300)
    tokenizer.word_cache().largest = largest
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(tokenizer.encode_batch, batches))
    finally:
        sys.setswitchinterval(before)
    assert [lists(ids) for ids in found] == expected
    assert [lists(tokenizer.encode_batch(b)) for b in batches] == expected


def test_a_stream_and_other_threads_do_not_disturb_each_other():
    tokenizer, batches, expected = many_batches(100)
    texts = list(itertools.chain(*batches))
    with futures.ThreadPoolExecutor(4) as pool:
        streams = [
            pool.submit(lambda: lists(tokenizer.encode_documents(texts)))
            for _ in range(2)
        ]
        found = list(pool.map(tokenizer.encode_batch, batches))
    assert [lists(ids) for ids in found] == expected
    flat = list(itertools.chain(*expected))
    assert all(stream.result() == flat for stream in streams)


def test_what_stops_a_thread_while_it_learns_leaves_right_ids(
    tokenizer, monkeypatch
):
    """Ctrl-C after the words were tokenised, before they are remembered."""
    cache = tokenizer.word_cache()
    tokenizer.encode_batch(["a cat"])

    def stopped(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(word_cache, "Known", stopped)
        with pytest.raises(KeyboardInterrupt):
            tokenizer.encode_batch(["sat on the mat"])
    check(tokenizer, ["the mat sat on a cat", "on", "x"], cache)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_while_a_thread_learns_has_right_ids():
    """The lock, held by a thread that is not there, would never be free."""
    program = """
import os, threading
from keras_kd.data.tokenizer import WordPieceTokenizer

tokenizer = WordPieceTokenizer.train(["a cat sat on the mat"] * 9, 80)
tokenizer.encode_batch(["a cat"])
expected = tokenizer.backend.encode("the mat", add_special_tokens=False).ids
held, done = threading.Event(), threading.Event()

def hold():
    with tokenizer.word_cache().lock:
        held.set()
        done.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    (ids,) = tokenizer.encode_batch(["the mat"])
    os._exit(0 if ids.tolist() == expected else 3)
_, status = os.waitpid(child, 0)
done.set()
print(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "0\n", done.stderr
