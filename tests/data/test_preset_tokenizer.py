"""Tokenizers of KerasHub's presets, read from their files."""

import json

import keras_kd as kd
import pytest

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] Der Arm arm der caf\u00e9 cafe".split()


def write_preset(folder, class_name="BertTokenizer", **config):
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    vocabulary = folder / "assets" / "tokenizer" / "vocabulary.txt"
    vocabulary.write_text("\n".join(WORDS) + "\n", "utf-8")
    described = {
        "module": f"keras_hub.src.models.{class_name}",
        "class_name": class_name,
        "config": config,
    }
    (folder / "tokenizer.json").write_text(json.dumps(described), "utf-8")
    return vocabulary


@pytest.mark.parametrize(
    ("lowercase", "strips", "expected"),
    [
        (False, False, [5, 6, 7, 9]),
        (True, False, [8, 7, 7, 9]),  # KerasHub's way: accents stay
        (True, True, [8, 7, 7, 10]),
    ],
)
def test_a_preset_says_its_case_and_accents(
    tmp_path, lowercase, strips, expected
):
    vocabulary = write_preset(
        tmp_path, lowercase=lowercase, strip_accents=strips
    )
    text = "Der Arm arm caf\u00e9"
    for path in (tmp_path, tmp_path / "tokenizer.json", vocabulary):
        tokenizer = kd.WordPieceTokenizer.load(path)
        assert tokenizer.lowercase is lowercase
        assert tokenizer.encode_batch([text])[0].tolist() == expected
    tokenizer.save(tmp_path / "saved")
    again = kd.WordPieceTokenizer.load(tmp_path / "saved")
    assert again.encode_batch([text])[0].tolist() == expected


def test_who_loads_a_preset_may_choose_its_case(tmp_path):
    write_preset(tmp_path, lowercase=False)
    tokenizer = kd.WordPieceTokenizer.load(tmp_path, lowercase=True)
    assert tokenizer.encode_batch(["Der Arm"])[0].tolist() == [8, 7]


def test_another_tokenizer_of_theirs_is_refused(tmp_path):
    write_preset(tmp_path, "RobertaTokenizer")
    with pytest.raises(ValueError, match="BertTokenizer or.*a RobertaTok"):
        kd.WordPieceTokenizer.load(tmp_path)


def test_another_splitting_is_refused_by_its_field(tmp_path):
    write_preset(tmp_path, split=False)
    with pytest.raises(ValueError, match="`split` of .*must be True"):
        kd.WordPieceTokenizer.load(tmp_path)


def test_a_preset_without_its_vocabulary_is_said(tmp_path):
    vocabulary = write_preset(tmp_path)
    vocabulary.unlink()
    with pytest.raises(FileNotFoundError, match=r"vocabulary\.txt. Received"):
        kd.WordPieceTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "config.json")
    with pytest.raises(FileNotFoundError, match="saved with its preprocessor"):
        kd.WordPieceTokenizer.load(tmp_path)
