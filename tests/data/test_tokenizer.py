import json

import numpy as np
import pytest
import tokenizers
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from keras_kd.data.tokenizer_files import bert_tokenizer, read_normalizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Whitespace

FABLE = [
    "A hungry Fox saw some fine bunches of Grapes hanging from a vine.",
    "She did her best to reach them, by jumping as high as she could.",
    "But it was all in vain, for they were just out of reach.",
    "So she gave up trying, and walked away with an air of dignity.",
    "I thought those Grapes were ripe, she said, but they are quite sour.",
]
# Of Google's own test: bert/tokenization_test.py, FullTokenizerTest.
GOOGLES = "want ##want ##ed wa un runn ##ing ,".split()


def save_vocabulary(file, tokens):
    file.write_text("\n".join(tokens) + "\n", "utf-8")
    return file


@pytest.fixture
def googles(tmp_path):
    tokens = [*SPECIAL_TOKENS, *GOOGLES]  # ids 5 and up
    return WordPieceTokenizer.load(save_vocabulary(tmp_path / "v.txt", tokens))


@pytest.fixture(scope="module")
def fable():
    return WordPieceTokenizer.train(FABLE, 100)


def encode(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    return ids.tolist()


# Encoding


def test_ids_are_those_of_googles_test(googles):
    # un ##want ##ed , runn ##ing; lower-cased, accent stripped
    expected = [9, 6, 7, 12, 10, 11]
    assert encode(googles, "UNwant\u00e9d,running") == expected


def test_a_word_with_a_piece_missing_is_one_unknown_token(googles):
    assert encode(googles, "unwanted runs want") == [9, 6, 7, 1, 5]


def test_special_ids_are_where_the_vocabulary_has_them(tmp_path):
    tokens = ["a", "[MASK]", "[SEP]", "b", "[CLS]", "[UNK]", "[PAD]"]
    tokenizer = WordPieceTokenizer.load(save_vocabulary(tmp_path / "v", tokens))
    assert tokenizer.special_ids == (6, 5, 4, 2, 1)
    ids = (
        tokenizer.pad_id,
        tokenizer.unknown_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    )
    assert ids == tokenizer.special_ids
    assert tokenizer.vocabulary == tokens
    assert tokenizer.vocabulary_size == 7


def test_a_literal_mask_in_text_is_the_token(googles, fable):
    # want [MASK] , [MASK]: as one token, also next to a comma
    assert encode(googles, "want [MASK],[MASK]") == [5, 4, 12, 4]
    assert fable.mask_id in encode(fable, "the [MASK] grapes")


def test_encoding_adds_no_special_tokens_and_keeps_the_order(googles):
    arrays = googles.encode_batch(["want", "", "un un"])
    assert [array.tolist() for array in arrays] == [[5], [], [9, 9]]
    assert {array.dtype for array in arrays} == {np.dtype("int32")}


@pytest.mark.parametrize("parts", [BertPreTokenizer(), Whitespace()])
def test_encode_documents_streams_some_million_characters(googles, parts):
    """By its words, and as a whole where another splitting wants that."""
    googles.backend.pre_tokenizer = parts
    words = ["want", "un", "wa", ",", "want", "un"]
    asked = []

    def documents():
        for word in words:
            asked.append(word)
            yield f"{word} " * 200_000

    encoded = googles.encode_documents(documents())
    firsts = [next(encoded)[:2].tolist()]
    assert len(asked) < len(words)
    firsts += [ids[-2:].tolist() for ids in encoded]
    assert firsts == [[5, 5], [9, 9], [8, 8], [12, 12], [5, 5], [9, 9]]


def test_decoding_joins_pieces_and_leaves_special_tokens_out(googles):
    ids = np.array([2, 9, 6, 7, 12, 10, 11, 3, 0, 0])
    assert googles.decode(ids) == "unwanted, running"


def test_cased_text_keeps_case_and_accents(tmp_path):
    tokens = [*SPECIAL_TOKENS, "Un", "un", "\u00e9t\u00e9", "ete"]
    file = save_vocabulary(tmp_path / "vocab.txt", tokens)
    cased = WordPieceTokenizer.load(file, lowercase=False)
    uncased = WordPieceTokenizer.load(file, lowercase=True)
    assert encode(cased, "Un un \u00e9t\u00e9 UN") == [5, 6, 7, 1]
    assert encode(uncased, "Un un \u00e9t\u00e9 UN") == [6, 6, 8, 6]
    assert (cased.lowercase, uncased.lowercase) == (False, True)


def test_continuations_are_the_tokens_that_go_on_a_word(googles):
    goes_on = np.flatnonzero(googles.continuations)
    assert [googles.vocabulary[i] for i in goes_on] == [
        "##want",
        "##ed",
        "##ing",
    ]


# Training


def test_training_by_hand():
    # "ab" three times, "cb" once. Letters in order, then the letters that go
    # on with a word, then the commonest pair of pieces, then the next.
    tokenizer = WordPieceTokenizer.train(["ab AB", "ab cb"], 100)
    expected = ["a", "b", "c", "##b", "ab", "cb"]
    assert tokenizer.vocabulary == [*SPECIAL_TOKENS, *expected]
    tokenizer = WordPieceTokenizer.train(["ab AB", "ab cb"], 10)
    assert tokenizer.vocabulary == [*SPECIAL_TOKENS, *expected[:-1]]


def test_cased_training_keeps_capitals():
    tokenizer = WordPieceTokenizer.train(["ab AB"], 100, lowercase=False)
    expected = ["A", "B", "a", "b", "##B", "##b"]
    assert tokenizer.vocabulary[5:11] == expected
    assert set(tokenizer.vocabulary[11:]) == {"AB", "ab"}


def test_two_trainings_give_the_same_vocabulary(fable):
    for _ in range(5):
        again = WordPieceTokenizer.train(iter(FABLE), 100)
        assert again.vocabulary == fable.vocabulary


def test_a_trained_vocabulary_is_what_it_was(fable):
    # Of another process: 5 special tokens, 27 letters and marks, 22 that go
    # on with a word, then the pairs by how often they occur.
    assert fable.vocabulary[31:33] == ["y", "##a"]
    assert fable.vocabulary[53:63] == (
        "##y ##he ##in she bu of so the ##er ##es".split()
    )


def test_the_order_of_the_documents_does_not_matter(fable):
    again = WordPieceTokenizer.train(FABLE[::-1], 100)
    assert again.vocabulary == fable.vocabulary


def test_a_trained_vocabulary_has_the_size_asked_for(fable):
    assert fable.vocabulary_size == len(fable.vocabulary) == 100
    assert fable.vocabulary[:5] == list(SPECIAL_TOKENS)
    assert fable.special_ids == (0, 1, 2, 3, 4)


def test_a_trained_vocabulary_encodes_its_text_without_unknown_tokens(fable):
    for text, ids in zip(FABLE, fable.encode_batch(FABLE), strict=True):
        assert fable.unknown_id not in ids
        spoken = fable.decode(ids).replace(" ", "")
        assert spoken == text.lower().replace(" ", "")


def test_all_letters_are_in_a_vocabulary_with_room_for_them():
    letters = [chr(0x4E00 + number) for number in range(1005)]
    documents = ["".join(letters), "".join(letters[5:])]  # the first 5 are rare
    tokenizer = WordPieceTokenizer.train(documents, 20_000)
    # Of 2,005 letters one is 0.05 %: it comes last, as there is room.
    first = [*letters[:4], *letters[5:]]
    assert tokenizer.vocabulary == [*SPECIAL_TOKENS, *first, letters[4]]
    assert tokenizer.unknown_id not in encode(tokenizer, documents[0])


@pytest.mark.parametrize("size, rare", [(110, 5), (107, 2), (105, 0)])
def test_a_small_vocabulary_keeps_a_hundred_letters(size, rare):
    letters = [chr(0x4E00 + number) for number in range(105)]
    documents = ["".join(letters), "".join(letters[5:])]
    tokenizer = WordPieceTokenizer.train(documents, size)
    expected = [*SPECIAL_TOKENS, *letters[5:], *letters[:rare]]
    assert tokenizer.vocabulary == expected


def test_rare_letters_do_not_take_the_room_of_pieces_of_words():
    rare = [chr(0x4E00 + number) for number in range(100)]
    documents = [*FABLE * 1000, "".join(rare)]  # 0.04 % of the letters
    tokenizer = WordPieceTokenizer.train(documents, 160)
    assert tokenizer.vocabulary_size == 160
    (ids,) = tokenizer.encode_batch(["".join(rare)])
    assert np.count_nonzero(ids == tokenizer.unknown_id) == 27  # the fable has


def test_letters_take_at_most_half_of_a_vocabulary():
    words = ["".join(map(chr, range(c, c + 3))) for c in range(0x3041, 0x3091)]
    letters = [chr(0x4E00 + number) for number in range(400)]
    documents = [*words * 3, "".join(letters)]
    tokenizer = WordPieceTokenizer.train(documents, 640)
    pieces = [t for t in tokenizer.vocabulary if len(t.lstrip("#")) > 1]
    assert len(pieces) > 100  # of words: special tokens are five


# Saving and loading


@pytest.mark.parametrize("name", ["", "vocab.txt", "tokenizer.json"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_saving_and_loading_gives_the_same_tokenizer(tmp_path, name, lowercase):
    tokenizer = WordPieceTokenizer.train(FABLE, 120, lowercase)
    tokenizer.save(tmp_path / "new" / "folder")
    loaded = WordPieceTokenizer.load(tmp_path / "new" / "folder" / name)
    assert loaded.vocabulary == tokenizer.vocabulary
    assert loaded.lowercase == lowercase
    # All of it is equal: normalisation, special tokens, decoder.
    assert loaded.backend.to_str() == tokenizer.backend.to_str()
    text = "She saw the [MASK] of \u00c9lan, xyz"
    assert encode(loaded, text) == encode(tokenizer, text)


def test_saving_writes_three_files_as_hugging_face_names_them(tmp_path, fable):
    fable.save(tmp_path)
    fable.save(tmp_path)  # over what is there
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    lines = (tmp_path / "vocab.txt").read_text("utf-8").split("\n")
    assert lines == [*fable.vocabulary, ""]
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings == {
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }


def not_berts(part, value):
    tokens = [*SPECIAL_TOKENS, "Hello", "##s"]
    ids = {token: index for index, token in enumerate(tokens)}
    model = tokenizers.models.WordPiece(ids, unk_token="[UNK]")
    backend = bert_tokenizer(model, lowercase=False)
    setattr(model if part == "model" else backend, *value)
    backend.model = model
    return WordPieceTokenizer(backend, lowercase=False)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("backend", ("normalizer", tokenizers.normalizers.NFC())),
        ("backend", ("normalizer", BertNormalizer(False, lowercase=False))),
        ("backend", ("pre_tokenizer", Whitespace())),
        ("model", ("continuing_subword_prefix", "@@")),
        ("model", ("max_input_chars_per_word", 20)),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_is_not_berts_is_not_said_to_be(tmp_path, part, value):
    not_berts(part, value).save(tmp_path, tokenizer_class="BertTokenizer")
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert encode(WordPieceTokenizer.load(tmp_path), "Hello") == [5]


def test_what_is_berts_keeps_the_class_asked_for(tmp_path, fable):
    fable.save(tmp_path, tokenizer_class="DistilBertTokenizer")
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "DistilBertTokenizer"


def test_a_vocabulary_is_lower_cased_where_nothing_else_is_said(tmp_path):
    file = save_vocabulary(tmp_path / "vocab.txt", [*SPECIAL_TOKENS, "a"])
    assert WordPieceTokenizer.load(file).lowercase is True
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"do_lower_case": false}', "utf-8")
    assert WordPieceTokenizer.load(file).lowercase is False
    assert WordPieceTokenizer.load(file, lowercase=True).lowercase is True
    settings.write_text("{}", "utf-8")
    assert WordPieceTokenizer.load(file).lowercase is True


@pytest.mark.parametrize(
    "tokens, said, lowercase",
    [
        (["a", "é", "<S>", "[unused1]", "Ⅳ", "𝐀", "中"], "no capitals", True),
        (["a", "##Z"], "capitals, as in '##Z'", False),
        (["É", "a"], "capitals, as in 'É'", False),
        (["straße", "Ж"], "capitals, as in 'Ж'", False),
    ],
)
@pytest.mark.parametrize("settings", [None, "{}", '{"do_lower_case": null}'])
def test_the_case_is_that_of_the_vocabulary_where_no_file_says_it(
    tmp_path, caplog, tokens, said, lowercase, settings
):
    tokens = [*SPECIAL_TOKENS, *tokens]
    file = save_vocabulary(tmp_path / "vocab.txt", tokens)
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(settings)
    loaded = WordPieceTokenizer.load(tmp_path)
    assert loaded.lowercase is lowercase
    assert f"{file} has {said}, and no file says more" in caplog.text
    assert read_normalizer(loaded.backend)["lowercase"] is lowercase
    caplog.clear()
    assert WordPieceTokenizer.load(file, not lowercase).lowercase != lowercase
    loaded.save(tmp_path)
    assert WordPieceTokenizer.load(file).lowercase is lowercase
    assert not caplog.text


def test_a_class_that_is_named_alone_lower_cases_capitals_and_says_so(
    tmp_path, caplog
):
    save_vocabulary(tmp_path / "vocab.txt", [*SPECIAL_TOKENS, "a", "A"])
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"tokenizer_class": "BertTokenizer"}')
    loaded = WordPieceTokenizer.load(tmp_path)
    assert encode(loaded, "A a") == [5, 5]  # as `transformers` 4 and 5
    assert "capitals, as in 'A', which never come up" in caplog.text


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c"])
def test_only_line_ends_part_the_tokens_of_a_vocabulary(tmp_path, separator):
    tokens = [*SPECIAL_TOKENS, separator, "a"]
    tokenizer = WordPieceTokenizer.load(save_vocabulary(tmp_path / "v", tokens))
    assert tokenizer.vocabulary == tokens
    assert encode(tokenizer, "a") == [6]


def test_a_vocabulary_may_have_windows_line_ends(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_bytes("\r\n".join([*SPECIAL_TOKENS, "a"]).encode())
    assert WordPieceTokenizer.load(file).vocabulary == [*SPECIAL_TOKENS, "a"]


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL_TOKENS, "a"]), "utf-8-sig")
    assert WordPieceTokenizer.load(file).vocabulary == [*SPECIAL_TOKENS, "a"]


def test_a_vocabulary_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL_TOKENS, "é"]), "latin-1")
    with pytest.raises(ValueError, match=f"in UTF-8. Received: {file}"):
        WordPieceTokenizer.load(file)


def test_truncation_and_padding_of_a_tokenizer_file_are_off(tmp_path, googles):
    googles.backend.enable_truncation(2)
    googles.backend.enable_padding(length=4)
    googles.backend.save(str(tmp_path / "tokenizer.json"))
    loaded = WordPieceTokenizer.load(tmp_path)
    assert encode(loaded, "want want want") == [5, 5, 5]
    assert encode(loaded, "want") == [5]
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ours = WordPieceTokenizer(backend)
    assert encode(ours, "want want want") == [5, 5, 5]
    assert backend.truncation["max_length"] == 2  # the caller's stays
    ours.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    assert (saved["truncation"], saved["padding"]) == (None, None)


def test_a_tokenizer_without_a_template_gets_berts():
    ids = {token: index for index, token in enumerate([*SPECIAL_TOKENS, "a"])}
    model = tokenizers.models.WordPiece(ids, unk_token="[UNK]")
    pair = WordPieceTokenizer(tokenizers.Tokenizer(model)).backend
    assert pair.encode("a", "a").ids == [2, 5, 3, 5, 3]
    assert pair.encode("a", "a").type_ids == [0, 0, 0, 1, 1]


# Errors


def test_a_vocabulary_without_a_special_token_is_refused(tmp_path):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "a"]
    file = save_vocabulary(tmp_path / "vocab.txt", tokens)
    with pytest.raises(ValueError, match=r"without \['\[SEP\]', '\[MASK\]'\]"):
        WordPieceTokenizer.load(file)


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "folder"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"a tokenizer file.*{name}"):
        WordPieceTokenizer.load(tmp_path / name)


def test_a_folder_without_tokenizer_files_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(FileNotFoundError, match=f"or vocab.txt.*{tmp_path}"):
        WordPieceTokenizer.load(tmp_path)


def test_a_model_other_than_wordpiece_is_refused(tmp_path):
    file = tmp_path / "tokenizer.json"
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(file))
    with pytest.raises(ValueError, match="WordPiece model. Received: BPE in"):
        WordPieceTokenizer.load(file)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', ""])
def test_json_that_is_no_tokenizer_is_refused(tmp_path, text):
    file = tmp_path / "tokenizer.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=f"`path` must hold a.*{file}"):
        WordPieceTokenizer.load(file)


@pytest.mark.parametrize("vocabulary_size", [-1, 0, 5])
def test_a_vocabulary_with_room_for_special_tokens_only_is_refused(
    vocabulary_size,
):
    with pytest.raises(ValueError, match=f"5 special.*: {vocabulary_size}"):
        WordPieceTokenizer.train(FABLE, vocabulary_size)


def test_a_vocabulary_without_room_for_the_letters_is_refused():
    # 5 special tokens, a, b, c, ##b: 9 at least.
    with pytest.raises(ValueError, match="at least 9.*letters.*: 8"):
        WordPieceTokenizer.train(["ab AB", "ab cb"], 8)
    assert WordPieceTokenizer.train(["ab cb"], 9).vocabulary_size == 9


@pytest.mark.parametrize("documents", [[], ["", " \n"], iter(())])
def test_training_without_text_is_refused(documents):
    with pytest.raises(ValueError, match="must hold text. Received: no words"):
        WordPieceTokenizer.train(documents, 100)


def test_a_model_of_another_vocabulary_is_refused(tokenizer):
    size = tokenizer.vocabulary_size
    tokenizer.check_vocabulary_size(size, "model")
    for other in (size - 1, size + 1):
        with pytest.raises(ValueError, match=f"model's vocabulary of {other}"):
            tokenizer.check_vocabulary_size(other, "model")


# Vocabularies with ids that have no token


def test_a_duplicate_or_blank_line_leaves_the_other_ids_as_they_are(tmp_path):
    lines = [*SPECIAL_TOKENS, "a", "b", "a", "", "c", "", "d", "", ""]
    loaded = WordPieceTokenizer.load(
        save_vocabulary(tmp_path / "vocab.txt", lines)
    )
    # As transformers 5.24's BertTokenizer: the last line of a token counts.
    assert encode(loaded, "a b c d") == [7, 6, 9, 11]
    kept = [*SPECIAL_TOKENS, "", "b", "a", "", "c", "", "d"]
    assert loaded.vocabulary == kept
    assert loaded.vocabulary_size == len(loaded.continuations) == 12
    for name in ("again", "and_again"):
        loaded.save(tmp_path / name)
        for file in ("vocab.txt", "tokenizer.json"):
            again = WordPieceTokenizer.load(tmp_path / name / file)
            assert again.vocabulary == kept
            assert encode(again, "a b c d") == [7, 6, 9, 11]
        loaded = again


def test_two_tokens_of_one_id_are_refused(tmp_path):
    lines = [*SPECIAL_TOKENS, "a", "b", "a", "c"]
    loaded = WordPieceTokenizer.load(
        save_vocabulary(tmp_path / "vocab.txt", lines)
    )
    loaded.backend.add_tokens(["new"])  # numbers it 8, as many as there are
    with pytest.raises(ValueError, match=r"Received: 8 for \['c', 'new'\]"):
        WordPieceTokenizer(loaded.backend)


def test_a_table_filled_up_to_a_multiple_is_that_of_the_vocabulary(tokenizer):
    size = tokenizer.vocabulary_size
    for rows in (8, 64, 128):
        filled_up = -(-size // rows) * rows
        tokenizer.check_vocabulary_size(filled_up, "model")
        with pytest.raises(ValueError, match="next multiple"):
            tokenizer.check_vocabulary_size(filled_up + 128, "model")
