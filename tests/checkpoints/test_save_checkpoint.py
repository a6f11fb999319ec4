"""What is loaded and saved again holds the same bytes."""

import dataclasses
import json

import keras_kd as kd
import numpy as np
import pytest
from safetensors.numpy import load_file

FOLDERS = (
    "bert_model",
    "bert_masked_lm",
    "bert_classifier",
    "distilbert_model",
    "distilbert_masked_lm",
    "distilbert_masked_lm_untied",
    "bert_one_label",
    "distilbert_classifier",
    "distilbert_tagger",
    "distilbert_span",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_round_trip_keeps_every_tensor_bit_for_bit(name, golden, tmp_path):
    kd.save_checkpoint(kd.load_checkpoint(golden / name), tmp_path / "saved")
    theirs = load_file(golden / name / "model.safetensors")
    ours = load_file(tmp_path / "saved" / "model.safetensors")
    assert set(ours) == set(theirs)
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype
        np.testing.assert_array_equal(ours[key], tensor, err_msg=key)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_round_trip_keeps_the_config(name, golden, tmp_path):
    kd.save_checkpoint(kd.load_checkpoint(golden / name), tmp_path)
    theirs = json.loads((golden / name / "config.json").read_text())
    ours = json.loads((tmp_path / "config.json").read_text())
    for key in set(theirs) & set(ours) - {"label2id", "classifier_dropout"}:
        assert ours[key] == theirs[key], key
    expected = {"model_type", "architectures", "pad_token_id", "vocab_size"}
    assert expected <= set(theirs) & set(ours)


def test_untied_the_bias_is_where_it_is_looked_for(golden, tmp_path):
    folder = golden / "bert_masked_lm_untied"
    kd.save_checkpoint(kd.load_checkpoint(folder), tmp_path)
    theirs = load_file(folder / "model.safetensors")
    ours = load_file(tmp_path / "model.safetensors")
    assert set(ours) == set(theirs)
    used = "cls.predictions.decoder.bias"
    for key in set(theirs) - {"cls.predictions.bias"}:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    np.testing.assert_array_equal(ours["cls.predictions.bias"], theirs[used])


def test_a_loaded_round_trip_gives_the_same(golden, expected, tmp_path):
    name = "bert_pre_training_sharded"  # its own file is in two
    kd.save_checkpoint(kd.load_checkpoint(golden / name), tmp_path)
    inputs, outputs = expected(name)
    received = kd.load_checkpoint(tmp_path)(inputs)
    np.testing.assert_allclose(received["logits"], outputs["logits"], atol=1e-5)


def test_without_segments_it_is_a_distilbert_where_that_says_all():
    config = kd.BertConfig(40, 1, 8, 2, num_segments=0)
    assert type_of(kd.BertMaskedLM(config)) == "distilbert"
    for changes in (
        {"pooler": True},
        {"layer_norm_epsilon": 1e-5},
        {"num_segments": 2},
    ):
        other = config.with_layers(1, **changes)
        assert type_of(kd.BertBackbone(other)) == "bert"
    assert type_of(kd.BertClassifier(config, ["a", "b"])) == "bert"


def type_of(model):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        kd.save_checkpoint(model, folder)
        with open(f"{folder}/config.json") as file:
            return json.load(file)["model_type"]


def test_a_bert_without_segments_has_segments_of_zeros(tmp_path):
    config = kd.BertConfig(40, 1, 8, 2, num_segments=0, pooler=True)
    model = kd.BertBackbone(config, seed=0)
    kd.save_checkpoint(model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    segments = tensors["embeddings.token_type_embeddings.weight"]
    np.testing.assert_array_equal(segments, np.zeros((2, 8)))
    inputs = {
        "token_ids": np.array([[5, 6, 7]]),
        "padding_mask": np.ones((1, 3)),
        "segment_ids": np.array([[0, 1, 1]]),
    }
    np.testing.assert_array_equal(
        kd.load_checkpoint(tmp_path)(inputs)["pooled"], model(inputs)["pooled"]
    )


def test_a_text_s_labels_say_what_kind_they_are(tmp_path, tiny_config):
    for model, problem, function in (
        (kd.BertClassifier(tiny_config, ["a", "b"]), "single_label", None),
        (kd.BertRegressor(tiny_config), "regression", "linear.Identity"),
        (
            kd.BertRegressor(tiny_config, sigmoid=True, score_name="fits"),
            "multi_label",
            "activation.Sigmoid",
        ),
    ):
        kd.save_checkpoint(model, tmp_path, overwrite=True)
        config = json.loads((tmp_path / "config.json").read_text())
        assert config["problem_type"].startswith(problem)
        if function:
            modules = config["sentence_transformers"]
            assert modules["activation_fn"] == f"torch.nn.modules.{function}"
            again = kd.load_checkpoint(tmp_path)
            assert again.sigmoid is model.sigmoid
            assert again.score_name == model.score_name
    assert config["id2label"] == {"0": "fits"}


def test_a_pooler_that_no_bert_has_is_refused(tmp_path, tiny_config):
    config = tiny_config.with_layers(1, pooler_activation="relu")
    model = kd.BertClassifier(config, ["a", "b"])
    with pytest.raises(ValueError, match="`pooler_activation`.*num_segments=0"):
        kd.save_checkpoint(model, tmp_path)
    student = kd.extract_student(model, [0], num_segments=0)
    kd.save_checkpoint(student, tmp_path)
    assert "pre_classifier.weight" in load_file(tmp_path / "model.safetensors")


def test_what_a_distilbert_cannot_say_is_refused(tmp_path, tiny_config):
    model = kd.BertMaskedLM(tiny_config)
    with pytest.raises(ValueError, match="`model_type`.*num_segments=0"):
        kd.save_checkpoint(model, tmp_path, model_type="distilbert")
    with pytest.raises(ValueError, match="'distilbert' or None.*'gpt'"):
        kd.save_checkpoint(model, tmp_path, model_type="gpt")
    assert not any(tmp_path.iterdir())


def test_the_tokenizer_goes_along(tmp_path, tiny_config, tokenizer):
    model = kd.BertMaskedLM(tiny_config.with_layers(1, num_segments=0))
    kd.save_checkpoint(model, tmp_path, tokenizer)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "DistilBertTokenizer"
    assert settings["model_max_length"] == 16
    assert settings["model_input_names"] == ["input_ids", "attention_mask"]
    text = ["the cat [MASK]"]
    received = kd.load_tokenizer(tmp_path).encode_batch(text)[0]
    np.testing.assert_array_equal(received, tokenizer.encode_batch(text)[0])


def test_a_table_filled_up_to_a_multiple_of_64_stays(
    tmp_path, tiny_config, tokenizer
):
    config = dataclasses.replace(tiny_config, vocabulary_size=128)
    model = kd.BertMaskedLM(config, seed=0)
    kd.save_checkpoint(model, tmp_path, tokenizer)
    loaded = kd.load_checkpoint(tmp_path)
    table = loaded.backbone.embeddings.token_embedding.embeddings
    assert table.shape == (128, tiny_config.hidden_dim)
    assert kd.load_tokenizer(tmp_path).vocabulary == tokenizer.vocabulary


@pytest.mark.parametrize(("num_segments", "types"), [(2, True), (1, False)])
def test_pairs_have_types_where_the_model_has(
    tmp_path, tiny_config, tokenizer, num_segments, types
):
    config = tiny_config.with_layers(1, num_segments=num_segments)
    kd.save_checkpoint(kd.BertBackbone(config), tmp_path, tokenizer)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "BertTokenizer"
    assert ("token_type_ids" in settings["model_input_names"]) is types


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path, tokenizer):
    model = kd.BertBackbone(kd.BertConfig(7, 1, 8, 2))
    with pytest.raises(ValueError, match="`tokenizer` must have.* 7 tokens"):
        kd.save_checkpoint(model, tmp_path, tokenizer)


def test_a_pooling_is_written_for_sentence_transformers(tmp_path, tiny_config):
    model = kd.BertBackbone(tiny_config)
    kd.save_checkpoint(model, tmp_path, pooling="mean", card="# Mine\n")
    modules = json.loads((tmp_path / "modules.json").read_text())
    kinds = [module["type"].split(".")[-1] for module in modules]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    pooling = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert not pooling["pooling_mode_cls_token"]
    assert pooling["word_embedding_dimension"] == 16
    assert (tmp_path / "README.md").read_text() == "# Mine\n"


def test_a_pooling_that_cannot_be_is_refused(tmp_path, tiny_config):
    model = kd.BertMaskedLM(tiny_config)
    with pytest.raises(ValueError, match="`pooling` is for a BertBackbone"):
        kd.save_checkpoint(model, tmp_path, pooling="mean")
    with pytest.raises(ValueError, match="`pooling` must be one of.*'max'"):
        kd.save_checkpoint(model.backbone, tmp_path, pooling="max")


def test_only_models_of_ours_are_written(tmp_path, tiny_config):
    observing = kd.BertMaskedLM(tiny_config).observing(["keys"])
    with pytest.raises(ValueError, match="`model` must be a BertBackbone"):
        kd.save_checkpoint(observing, tmp_path)


def test_an_old_checkpoint_stays_unless_it_may_go(tmp_path, tiny_config):
    model = kd.BertBackbone(tiny_config)
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"config\.json"):
        kd.save_checkpoint(model, tmp_path)
    assert (tmp_path / "config.json").read_text() == "mine"
    kd.save_checkpoint(model, tmp_path, overwrite=True)
    assert kd.load_checkpoint(tmp_path).config.hidden_dim == 16


@pytest.mark.parametrize(
    ("model_class", "arguments", "architecture"),
    [
        (kd.BertRegressor, {}, "BertForSequenceClassification"),
        (
            kd.BertTokenClassifier,
            {"class_names": ["O", "B-PER"]},
            "BertForTokenClassification",
        ),
        (kd.BertSpanExtractor, {}, "BertForQuestionAnswering"),
    ],
)
def test_a_task_model_comes_back_as_it_was(
    tiny_config, tmp_path, model_class, arguments, architecture
):
    model = model_class(tiny_config, seed=0, **arguments)
    kd.save_checkpoint(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == [architecture]
    again = kd.load_checkpoint(tmp_path)
    assert type(again) is model_class
    for name, value in arguments.items():
        assert getattr(again, name) == value
    for name, variable in model.named_variables().items():
        np.testing.assert_array_equal(again.named_variables()[name], variable)
