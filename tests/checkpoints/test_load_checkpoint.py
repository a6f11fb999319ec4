"""Folders of `transformers` give here what they give there."""

import json
import logging
import shutil

import keras_kd as kd
import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

FOLDERS = {
    "bert_model": kd.BertBackbone,
    "bert_masked_lm": kd.BertMaskedLM,
    "bert_masked_lm_untied": kd.BertMaskedLM,
    "bert_old_names": kd.BertMaskedLM,
    "bert_pre_training_sharded": kd.BertMaskedLM,
    "bert_classifier": kd.BertClassifier,
    "distilbert_model": kd.BertBackbone,
    "distilbert_masked_lm": kd.BertMaskedLM,
    "distilbert_masked_lm_untied": kd.BertMaskedLM,
    "bert_one_label": kd.BertRegressor,
    "distilbert_classifier": kd.BertClassifier,
    "distilbert_tagger": kd.BertTokenClassifier,
    "distilbert_span": kd.BertSpanExtractor,
    "bert_own_decoder": kd.BertMaskedLM,
    "distilbert_own": kd.BertMaskedLM,
}


@pytest.fixture
def folder(tmp_path, golden):
    """A copy of a golden folder, to be damaged."""
    return shutil.copytree(golden / "bert_masked_lm", tmp_path / "folder")


def change_config(folder, **changes):
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(config))


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_gives_what_transformers_gives(name, golden, expected):
    model = kd.load_checkpoint(golden / name)
    assert type(model) is FOLDERS[name]
    inputs, outputs = expected(name)
    check_outputs(model(inputs), outputs)


def check_outputs(received, expected):
    states = np.stack([np.asarray(s) for s in received["hidden_states"]])
    np.testing.assert_allclose(states, expected["hidden_states"], atol=1e-5)
    for key in ("logits", "pooled"):
        if key in expected:
            np.testing.assert_allclose(
                received[key], expected[key], atol=1e-5, err_msg=key
            )


def test_a_decoder_of_its_own_goes_through_extraction_and_files(
    golden, expected, tmp_path
):
    """The config says tied; the file holds other numbers, which count."""
    inputs, outputs = expected("bert_own_decoder")
    model = kd.load_checkpoint(golden / "bert_own_decoder")
    assert not model.config.tie_embeddings
    student = kd.extract_student(model, [0, 1])
    kd.save_checkpoint(student, tmp_path)
    assert not json.loads((tmp_path / "config.json").read_text())[
        "tie_word_embeddings"
    ]
    check_outputs(kd.load_checkpoint(tmp_path)(inputs), outputs)


def test_a_decoder_that_is_the_embedding_stays_tied(golden):
    config = kd.load_checkpoint(golden / "bert_old_names").config
    assert config.tie_embeddings


def test_a_distilbert_s_head_is_cut_with_its_layers(golden, expected):
    inputs, outputs = expected("distilbert_classifier")
    teacher = kd.load_checkpoint(golden / "distilbert_classifier")
    assert teacher.config.pooler_activation == "relu"
    assert teacher.class_names == ["sad", "so so", "glad"]
    assert teacher.classifier_dropout == 0.3
    check_outputs(kd.extract_student(teacher, [0, 1])(inputs), outputs)


def test_heads_that_nobody_knows_are_named_and_left_out(folder, expected):
    def add(tensors):
        tensors["crf.transitions"] = np.ones((3, 3), "f4")

    change_tensors(folder, add)
    with pytest.raises(ValueError, match=r"kd\.BertBackbone.*crf\.transitions"):
        kd.load_checkpoint(folder)
    with pytest.warns(UserWarning, match=r"crf\.transitions.*left out"):
        model = kd.load_checkpoint(folder, kd.BertBackbone)
    inputs, outputs = expected("bert_masked_lm")
    del outputs["logits"], inputs["mask_positions"]
    check_outputs(model(inputs), outputs)


def test_numbers_of_a_training_loop_are_named_and_left_out(folder, expected):
    change_tensors(folder, lambda t: t.update(epoch=np.array(3, "f4")))
    with pytest.warns(UserWarning, match="epoch, which no model here has"):
        model = kd.load_checkpoint(folder)
    inputs, outputs = expected("bert_masked_lm")
    check_outputs(model(inputs), outputs)


def test_a_bare_encoder_with_unknown_layers_is_refused(folder):
    def add(tensors):
        tensors["bert.encoder.layer.2.output.dense.bias"] = np.ones(8, "f4")

    change_tensors(folder, add)
    with pytest.raises(ValueError, match=r"unknown.*layer\.2\.output"):
        kd.load_checkpoint(folder, kd.BertBackbone)


def test_changes_that_are_no_fields_are_named(golden):
    with pytest.raises(ValueError, match=r"`changes`.*\['num_layer'\]"):
        kd.load_checkpoint(golden / "bert_model", num_layer=1)
    with pytest.raises(ValueError, match=r"`dropout`.*number.*'0\.1'"):
        kd.load_checkpoint(golden / "bert_model", dropout="0.1")


def test_what_pytorch_pickled_is_read_with_pytorch(golden, expected):
    pytest.importorskip("torch")
    model = kd.load_checkpoint(golden / "bert_pickled")
    inputs, outputs = expected("bert_pickled")
    check_outputs(model(inputs), outputs)


def test_the_config_decides(golden):
    config = kd.load_checkpoint(golden / "bert_pre_training_sharded").config
    assert config.activation == "gelu_tanh"
    assert config.layer_norm_epsilon == 1e-5
    assert (config.num_layers, config.hidden_dim) == (2, 8)
    assert config.max_sequence_length == 16
    assert kd.load_checkpoint(golden / "bert_classifier").config.padding_id == 3
    assert kd.load_checkpoint(golden / "distilbert_model").config == (
        kd.BertConfig(
            40,
            2,
            8,
            2,
            12,
            max_sequence_length=16,
            num_segments=0,
            attention_dropout=0.1,
        )
    )


def test_a_classifier_knows_its_classes(golden):
    model = kd.load_checkpoint(golden / "bert_classifier")
    assert model.class_names == ["sad", "so so", "glad"]


def test_fields_can_be_changed_and_the_pooler_asked_for(golden):
    model = kd.load_checkpoint(
        golden / "bert_old_names", layer_drop=0.2, dropout=0.0, pooler=True
    )
    assert model.config.layer_drop == 0.2
    assert model.config.dropout == 0.0
    names = model.named_variables()
    np.testing.assert_array_equal(names["pooler/kernel"], np.ones((8, 8)))


def test_a_head_that_is_not_there_stays_random_and_is_named(golden, expected):
    with pytest.warns(UserWarning, match="masked_lm_head/dense/kernel") as said:
        model = kd.load_checkpoint(golden / "bert_model", kd.BertMaskedLM)
    assert "masked_lm_head/bias" in str(said[0].message)
    assert "encoder" not in str(said[0].message)
    kernel = np.asarray(model.named_variables()["masked_lm_head/dense/kernel"])
    assert kernel.std() > 0.01
    inputs, outputs = expected("bert_model")
    del outputs["pooled"]
    check_outputs(model(inputs), outputs)


def test_a_head_that_is_not_wanted_is_left_out(golden, expected, caplog):
    with caplog.at_level(logging.INFO, "keras_kd"):
        model = kd.load_checkpoint(golden / "bert_masked_lm", kd.BertBackbone)
    assert "masked_lm_head/bias" in caplog.text
    inputs, outputs = expected("bert_masked_lm")
    del outputs["logits"], inputs["mask_positions"]
    check_outputs(model(inputs), outputs)


def test_a_loaded_teacher_is_saved_and_loaded_by_keras(
    golden, expected, tmp_path
):
    for name in ("bert_pre_training_sharded", "bert_classifier"):
        kd.load_checkpoint(golden / name).save(tmp_path / "teacher.keras")
        model = keras.saving.load_model(tmp_path / "teacher.keras")
        inputs, outputs = expected(name)
        check_outputs(model(inputs), outputs)


def test_a_student_is_cut_from_a_loaded_classifier(golden):
    teacher = kd.load_checkpoint(golden / "bert_classifier")
    student = kd.extract_student(teacher, [1])
    assert student.class_names == ["sad", "so so", "glad"]
    assert student.config.num_layers == 1
    np.testing.assert_array_equal(
        student.named_variables()["encoder_layer_0/query/kernel"],
        teacher.named_variables()["encoder_layer_1/query/kernel"],
    )
    np.testing.assert_array_equal(
        student.named_variables()["classifier/kernel"],
        teacher.named_variables()["classifier/kernel"],
    )


def test_low_precision_files_are_read(folder, expected):
    import ml_dtypes

    def lower(tensors):
        for key, tensor in tensors.items():
            tensors[key] = tensor.astype(ml_dtypes.bfloat16)

    change_tensors(folder, lower)
    model = kd.load_checkpoint(folder)
    inputs, outputs = expected("bert_masked_lm")
    received = model(inputs)["logits"]
    assert str(model.weights[0].dtype) == "float32"
    difference = np.abs(received - outputs["logits"]).max()
    assert 1e-5 < difference < 0.1


def test_unknown_keys_are_named(folder):
    def add(tensors):
        tensors["bert.encoder.layer.2.output.dense.bias"] = np.ones(8, "f4")

    change_tensors(folder, add)
    with pytest.raises(ValueError, match=r"bert\.encoder\.layer\.2\.output"):
        kd.load_checkpoint(folder)


def test_missing_layers_are_named(folder):
    change_config(folder, num_hidden_layers=3)
    with pytest.raises(ValueError, match="encoder_layer_2/query/kernel"):
        kd.load_checkpoint(folder)


def test_shapes_that_do_not_fit_name_both(folder):
    change_config(folder, vocab_size=41)
    with pytest.raises(ValueError, match=r"\(40, 8\).*\(41, 8\)") as error:
        kd.load_checkpoint(folder)
    assert "bert.embeddings.word_embeddings.weight" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "t5"}, "`model_type`.*'t5'"),
        ({"hidden_act": "mish"}, "`hidden_act`.*'mish'"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"is_decoder": True}, "`is_decoder`"),
        ({"num_attention_heads": 3}, "`num_heads` must divide"),
        ({"architectures": ["BertForMultipleChoice"]}, "`architectures`"),
        ({"architectures": None}, "`architectures`.*`model_class`"),
    ],
)
def test_a_config_of_something_else_says_what(folder, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ValueError, match=message):
        kd.load_checkpoint(folder)


def test_a_config_without_a_field_names_it(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["hidden_size"]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"without \['hidden_size'\]"):
        kd.load_checkpoint(folder)


def test_a_folder_without_a_config_says_so(folder):
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        kd.load_checkpoint(folder)


def test_the_tokenizer_of_a_folder(folder):
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
        kd.load_tokenizer(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    assert kd.load_tokenizer(folder).encode_batch(["B a"])[0].tolist() == [6, 5]
    cased = kd.load_tokenizer(folder, lowercase=False)
    assert cased.encode_batch(["B a"])[0].tolist() == [1, 5]
