import subprocess
import sys

import keras_kd as kd
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.export import saved_model
from keras_kd.export.saved_model import write_saved_model


@pytest.fixture(scope="module")
def deep(tmp_path_factory, tokenizer):
    """A teacher of four layers, exported with two depths beside its own."""
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 4, 8, 2, layer_drop=0.3, initializer_range=1
    )
    teacher = kd.BertMaskedLM(config, seed=0)
    folder = tmp_path_factory.mktemp("deep") / "saved_model"
    write_saved_model(teacher, tokenizer, folder, [(0, 2), (0, 1, 3)])
    return teacher, folder


@pytest.mark.slow
def test_it_is_written_under_any_name(tmp_path, tokenizer):
    config = kd.BertConfig(tokenizer.vocabulary_size, 1, 8, 2)
    student = kd.BertBackbone(config, seed=0)
    folder = tmp_path / "layers=[0,2] *? ü %s {x}"
    folder.mkdir()
    write_saved_model(student, tokenizer, folder / "saved_model")
    files = sorted(p.name for p in (folder / "saved_model").iterdir())
    assert {"saved_model.pb", "variables"} <= set(files)
    assert list((folder / "saved_model" / "variables").iterdir())
    assert [path.name for path in folder.iterdir()] == ["saved_model"]


@pytest.mark.slow
def test_every_depth_is_a_signature_of_one_artefact(deep):
    teacher, folder = deep
    inputs = {
        "token_ids": np.arange(7, dtype="int32")[None],
        "segment_ids": np.zeros((1, 7), "int32"),
        "padding_mask": np.ones((1, 7), "int32"),
        "mask_positions": np.array([[3, 1]], "int32"),
    }
    signatures = tf.saved_model.load(str(folder)).signatures
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    found = {}
    for name, layers in (
        ("serving_default", (0, 1, 2, 3)),
        ("depth_2", (0, 2)),
        ("depth_3", (0, 1, 3)),
    ):
        student = kd.extract_student(teacher, layers)
        found[name] = signatures[name](**tensors)["logits"].numpy()
        np.testing.assert_allclose(
            found[name], student(inputs)["logits"], atol=1e-4
        )
    assert np.abs(found["depth_2"] - found["depth_3"]).max() > 0.01


@pytest.mark.slow
def test_the_depths_share_their_weights(deep):
    """On disk too: no more numbers than the deepest has."""
    teacher, folder = deep
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map().values()
    stored = sum(int(np.prod(shape)) for shape in shapes)
    assert stored < 1.05 * teacher.count_params()


@pytest.mark.slow
def test_it_opens_where_there_is_only_tensorflow(deep):
    _, folder = deep
    program = f"""
import sys, tensorflow as tf
model = tf.saved_model.load({str(folder)!r})
ids = tf.constant([[2, 9, 4, 3]])
out = model.signatures["depth_2"](
    token_ids=ids, segment_ids=0 * ids, padding_mask=1 + 0 * ids,
    mask_positions=tf.constant([[2]]))
print(out["logits"].shape)
filled = model.signatures["fill_mask"](text=tf.constant(["the [MASK] sat"]))
assert filled["tokens"].shape == (1, 1, 5)
assert not {{"keras_kd", "keras_hub", "tensorflow_text"}} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert "(1, 1, " in done.stdout, done.stderr


@pytest.mark.slow
def test_the_command_line_shows_readable_names(deep):
    _, folder = deep
    program = "from tensorflow.python.tools.saved_model_cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "show", "--dir", str(folder), "--all"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in (
        "signature_def['depth_2']",
        "inputs['token_ids']",
        "inputs['mask_positions']",
        "outputs['logits']",
        "signature_def['fill_mask']",
        "inputs['text']",
    ):
        assert name in done.stdout, name


@pytest.mark.slow
def test_two_plans_of_one_depth_are_refused(deep, tokenizer, tmp_path):
    teacher, _ = deep
    with pytest.raises(ValueError, match="`depths` must be of different"):
        write_saved_model(teacher, tokenizer, tmp_path / "a", [(0, 1), (2, 3)])


def test_one_that_differs_is_refused(tokenizer, tmp_path, monkeypatch):
    config = kd.BertConfig(tokenizer.vocabulary_size, 1, 8, 2)

    def differs(*_):
        raise RuntimeError("differs")

    monkeypatch.setattr(saved_model, "check_outputs", differs)
    with pytest.raises(RuntimeError, match="differs"):
        write_saved_model(kd.BertBackbone(config), tokenizer, tmp_path / "a")


def test_without_a_bert_tokenizer_it_takes_ids_alone(tiny_config, tmp_path):
    other = kd.WordPieceTokenizer.train(["ab ba"] * 9, 9)
    other.backend.normalizer = None
    student = kd.BertBackbone(tiny_config, seed=0)
    with pytest.warns(UserWarning, match="token ids and no text.*normalizer"):
        write_saved_model(student, other, tmp_path / "a")
    signatures = tf.saved_model.load(str(tmp_path / "a")).signatures
    assert list(signatures) == ["serving_default"]
