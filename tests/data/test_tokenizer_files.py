"""Ids are those of `transformers.AutoTokenizer` with the same files."""

import json
import pathlib
import shutil

import pytest
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from keras_kd.data.tokenizer_files import read_normalizer

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
FOLDERS = sorted(path.name for path in GOLDEN.glob("tokenizer_*"))


def check_ids(tokenizer, folder):
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    assert len(expected) > 10
    for example in expected:
        ids = tokenizer.encode_batch([example["text"]])[0].tolist()
        assert ids == example["ids"], example["text"]


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("files", [".", "saved"])
def test_ids_of_a_nasty_text(name, files):
    """From a vocab.txt with settings, and from a tokenizer.json."""
    folder = GOLDEN / name
    check_ids(WordPieceTokenizer.load(folder / files), folder)


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_saved_is_loaded_again(name, tmp_path):
    WordPieceTokenizer.load(GOLDEN / name).save(tmp_path)
    check_ids(WordPieceTokenizer.load(tmp_path), GOLDEN / name)


def test_there_are_all_kinds():
    assert len(FOLDERS) == 7
    for name in ("tokenizer_added", "tokenizer_added_long_ago"):
        tokenizer = WordPieceTokenizer.load(GOLDEN / name)
        assert tokenizer.vocabulary[-2:] == ["<new>", "[extra]"]
    tokenizer = WordPieceTokenizer.load(GOLDEN / "tokenizer_own_specials")
    assert tokenizer.special_tokens == ("0", "1", "3", "4", "2")
    assert tokenizer.vocabulary[tokenizer.mask_id] == "2"


def test_settings_beside_a_tokenizer_json_win(tmp_path):
    folder = shutil.copytree(
        GOLDEN / "tokenizer_uncased" / "saved", tmp_path / "a"
    )
    settings = {"do_lower_case": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = WordPieceTokenizer.load(folder)
    assert not tokenizer.lowercase
    check_ids(tokenizer, GOLDEN / "tokenizer_cased")
    tokenizer = WordPieceTokenizer.load(folder, lowercase=True)
    check_ids(tokenizer, GOLDEN / "tokenizer_uncased")


def test_special_tokens_are_read_from_either_file_in_either_form(tmp_path):
    tokens = [*SPECIAL_TOKENS[:4], "<mask>", "a"]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n")
    special = {"mask_token": {"content": "<mask>", "lstrip": True}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(special))
    tokenizer = WordPieceTokenizer.load(tmp_path)
    assert tokenizer.encode_batch(["a<mask>"])[0].tolist() == [5, 4]
    assert tokenizer.mask_id == 4


def test_added_tokens_that_do_not_go_on_are_an_error(tmp_path):
    folder = shutil.copytree(GOLDEN / "tokenizer_added", tmp_path / "a")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    (index, token), *_ = settings["added_tokens_decoder"].items()
    settings["added_tokens_decoder"] = {str(int(index) + 7): token}
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="`added_tokens_decoder`.*'<new>'"):
        WordPieceTokenizer.load(folder)


def test_added_tokens_after_lines_without_an_id_name_the_lines(tmp_path):
    tokens = [*SPECIAL_TOKENS, "a", "b", "a", "", "c"]  # lines 6 and 9
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n")
    (tmp_path / "added_tokens.json").write_text('{"new": 10}')
    with pytest.raises(ValueError, match=r"lines \[6, 9\] are blank, or"):
        WordPieceTokenizer.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_settings_that_are_no_dict_are_named(tmp_path, text):
    folder = shutil.copytree(GOLDEN / "tokenizer_uncased", tmp_path / "a")
    (folder / "tokenizer_config.json").write_text(text)
    with pytest.raises(ValueError, match=r"tokenizer_config\.json must hold"):
        WordPieceTokenizer.load(folder)


def test_a_normalizer_is_read_as_a_dict():
    tokenizer = WordPieceTokenizer.load(GOLDEN / "tokenizer_accents")
    assert read_normalizer(tokenizer.backend) == {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": False,
        "lowercase": True,
    }


def test_who_asks_for_it_gets_the_start_and_the_ends():
    tokenizer = WordPieceTokenizer.load(GOLDEN / "tokenizer_uncased")
    encoding = tokenizer.backend.encode("the", "cat")
    assert encoding.tokens == ["[CLS]", "the", "[SEP]", "cat", "[SEP]"]
    assert encoding.type_ids == [0, 0, 0, 1, 1]
