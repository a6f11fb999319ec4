import json
import pathlib
import shutil

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.checkpoints.sentence_folder import read_sentence_embedding

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "sentence_encoders"
NAMES = ("cls", "cls_old", "mean_prompted")


@pytest.fixture
def folder(tmp_path):
    """A copy of one that `sentence-transformers` 6 wrote, to be changed."""
    return shutil.copytree(GOLDEN / "cls", tmp_path / "cls")


def change(path, **changes):
    """Sets fields of a JSON file."""
    fields = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(fields | changes))


def add_module(folder, kind, index=1):
    """Puts a module behind the encoder."""
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules.insert(index, {"type": f"them.{kind}", "path": f"9_{kind}"})
    path.write_text(json.dumps(modules))


def test_both_spellings_of_the_pooling_are_read():
    found = read_sentence_embedding(GOLDEN / "cls")  # pooling_mode: "cls"
    assert (found.pooling, found.normalize, found.max_length) == (
        "cls",
        True,
        8,
    )
    found = read_sentence_embedding(GOLDEN / "cls_old")
    assert found.pooling == "cls"  # pooling_mode_cls_token: true
    assert not found.normalize
    assert found.max_length == 6  # of 16 positions, in its own folder


def test_prompts_are_read():
    found = read_sentence_embedding(GOLDEN / "mean_prompted")
    assert found.prompt == "is the "
    assert dict(found.prompts)["passage"] == ""
    assert (found.default_prompt, found.similarity) == ("query", "cosine")


def test_a_plain_folder_says_nothing(golden):
    assert read_sentence_embedding(golden / "bert_model") is None
    assert kd.load_checkpoint(golden / "bert_model").config.embedding is None


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_gives_its_own_vectors(name):
    """Against those of `sentence-transformers`, texts cut as it cuts them."""
    encoder = kd.load_checkpoint(GOLDEN / name, pooler=False)
    tokenizer = kd.load_tokenizer(GOLDEN / name)
    own = encoder.config.embedding
    expected = json.loads((GOLDEN / name / "expected.json").read_text())
    texts = [own.prompt + text for text in expected["texts"]]
    rows = tokenizer.encode_batch(texts)
    pool = kd.Pooling(own.pooling, own.normalize)
    for ids, vector in zip(rows, expected["vectors"], strict=True):
        ids = ids[: (own.max_length or 16) - 2]
        ids = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
        x = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
        states = encoder(x)["hidden_states"][-1]
        found = pool(states, x["padding_mask"])[0]
        np.testing.assert_allclose(found, vector, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_is_written_again(name, tmp_path):
    encoder = kd.load_checkpoint(GOLDEN / name, pooler=False)
    tokenizer = kd.load_tokenizer(GOLDEN / name)
    kd.save_checkpoint(encoder, tmp_path, tokenizer)
    again = kd.load_checkpoint(tmp_path)
    own, found = encoder.config.embedding, again.config.embedding
    assert found.max_length == (own.max_length or 16)
    assert (found.pooling, found.normalize) == (own.pooling, own.normalize)
    assert found.prompts == own.prompts
    assert found.default_prompt == own.default_prompt
    assert found.similarity == own.similarity
    assert (tmp_path / "2_Normalize").exists() == own.normalize
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == found.max_length


@pytest.mark.parametrize(
    ("kind", "index"), [("Dense", 2), ("Dropout", 2), ("Normalize", 1)]
)
def test_a_module_that_is_not_done_is_refused_by_name(folder, kind, index):
    add_module(folder, kind, index)
    encoder = kd.load_checkpoint(folder)
    with pytest.raises(ValueError, match=f"a {kind} module"):
        kd.save_checkpoint(encoder, folder / "to")
    assert not (folder / "to").exists()
    kd.save_checkpoint(encoder, folder / "to", pooling="cls")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling_mode": "max"}, "the pooling max in 1_Pooling/config.json"),
        ({"pooling_mode": ["mean", "max"]}, r"the pooling mean \+ max in"),
        ({"pooling_mode": "lasttoken"}, "the pooling lasttoken in"),
        ({"include_prompt": False}, "include_prompt false in"),
        (
            {"pooling_mode": None, "pooling_mode_mean_sqrt_len_tokens": True},
            "the pooling mean_sqrt_len_tokens in",
        ),
    ],
)
def test_another_pooling_is_refused_by_name(folder, changes, message):
    change(folder / "1_Pooling" / "config.json", **changes)
    encoder = kd.load_checkpoint(folder, pooler=False)
    with pytest.raises(ValueError, match=message):
        kd.save_checkpoint(encoder, folder / "to")


def test_no_pooling_and_two_are_refused_by_name(folder):
    add_module(folder, "Pooling")
    found = read_sentence_embedding(folder)
    assert found.unsupported == "2 Pooling modules in modules.json"


def test_lower_case_before_a_cased_tokenizer_is_refused_by_name(folder):
    change(folder / "sentence_bert_config.json", do_lower_case=True)
    assert read_sentence_embedding(folder).unsupported is None
    change(folder / "tokenizer_config.json", do_lower_case=False)
    found = read_sentence_embedding(folder)
    assert found.unsupported.startswith("do_lower_case of sentence_bert_config")


def test_no_limit_is_no_longest_text(folder):
    change(folder / "tokenizer_config.json", model_max_length=10**30)
    assert read_sentence_embedding(folder).max_length is None


def test_damaged_files_are_named(folder):
    change(folder / "config_sentence_transformers.json", prompts=["a"])
    with pytest.raises(ValueError, match="config_sentence_transformers.json"):
        kd.load_checkpoint(folder, pooler=False)
    (folder / "modules.json").write_text("[]")
    with pytest.raises(ValueError, match="must begin with a Transformer"):
        kd.load_checkpoint(folder)
    (folder / "modules.json").write_text("{}")
    with pytest.raises(ValueError, match="must begin with a Transformer"):
        kd.load_tokenizer(folder)
    (folder / "modules.json").write_text('[{"type": "x.Transformer"}]')
    with pytest.raises(ValueError, match="`type` and `path`"):
        kd.load_checkpoint(folder)
    outside = '[{"type": "x.Transformer", "path": "../x"}]'
    (folder / "modules.json").write_text(outside)
    with pytest.raises(ValueError, match="folders inside its own"):
        kd.load_checkpoint(folder)


def test_a_classifier_over_such_a_folder_is_not_refused(folder):
    add_module(folder, "Dense", 2)
    encoder = kd.load_checkpoint(folder)
    classifier = kd.BertClassifier.from_encoder(encoder, class_names=["a", "b"])
    kd.save_checkpoint(classifier, folder / "to")
    assert not (folder / "to" / "modules.json").exists()
