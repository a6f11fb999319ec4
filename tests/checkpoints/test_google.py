"""Folders as google-research/bert wrote them, made here by TensorFlow."""

import json

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.checkpoints.google import common_name

pytestmark = pytest.mark.tensorflow

# The shapes of the 24 miniatures (Turc et al., 2019): layers and widths.
MINIATURES = [
    (n, h) for n in (2, 4, 6, 8, 10, 12) for h in (128, 256, 512, 768)
]
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 8,
    "initializer_range": 0.02,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 40,
}


def variables(config, head=True):
    """Names and shapes of Google's variables, written out from its code."""
    width, middle = config["hidden_size"], config["intermediate_size"]

    def dense(name, rows, columns):
        return {f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)}

    def norm(name):
        return {f"{name}/gamma": (width,), f"{name}/beta": (width,)}

    shapes = {
        "bert/embeddings/word_embeddings": (config["vocab_size"], width),
        "bert/embeddings/position_embeddings": (
            config["max_position_embeddings"],
            width,
        ),
        "bert/embeddings/token_type_embeddings": (2, width),
        **norm("bert/embeddings/LayerNorm"),
        **dense("bert/pooler/dense", width, width),
    }
    for index in range(config["num_hidden_layers"]):
        layer = f"bert/encoder/layer_{index}"
        for part in ("query", "key", "value"):
            shapes |= dense(f"{layer}/attention/self/{part}", width, width)
        shapes |= dense(f"{layer}/attention/output/dense", width, width)
        shapes |= norm(f"{layer}/attention/output/LayerNorm")
        shapes |= dense(f"{layer}/intermediate/dense", width, middle)
        shapes |= dense(f"{layer}/output/dense", middle, width)
        shapes |= norm(f"{layer}/output/LayerNorm")
    if head:
        shapes |= dense("cls/predictions/transform/dense", width, width)
        shapes |= norm("cls/predictions/transform/LayerNorm")
        shapes["cls/predictions/output_bias"] = (config["vocab_size"],)
        shapes["cls/seq_relationship/output_weights"] = (2, width)
        shapes["cls/seq_relationship/output_bias"] = (2,)
    return shapes


def write(folder, config, shapes, seed=0):
    """A checkpoint with random values; returns them."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    values = {
        name: random.normal(0, 0.3, shape).astype("float32")
        for name, shape in shapes.items()
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in values.items():
            tf.compat.v1.get_variable(name, initializer=array)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(
            session, str(folder / "bert_model.ckpt")
        )
    (folder / "bert_config.json").write_text(json.dumps(config))
    return values


def test_every_variable_lands_where_it_belongs(tmp_path):
    shapes = variables(CONFIG)
    shapes |= {"bert/pooler/dense/bias/adam_m": (8,), "global_step": ()}
    values = write(tmp_path, CONFIG, shapes)
    model = kd.load_checkpoint(tmp_path)
    assert type(model) is kd.BertMaskedLM
    assert model.config.activation == "gelu_tanh"
    names = model.named_variables()
    for ours, theirs in {
        "embeddings/token/embeddings": "bert/embeddings/word_embeddings",
        "embeddings/norm/beta": "bert/embeddings/LayerNorm/beta",
        "encoder_layer_1/intermediate/kernel": (
            "bert/encoder/layer_1/intermediate/dense/kernel"
        ),
        "encoder_layer_0/feed_forward_norm/gamma": (
            "bert/encoder/layer_0/output/LayerNorm/gamma"
        ),
        "masked_lm_head/dense/kernel": "cls/predictions/transform/dense/kernel",
        "masked_lm_head/bias": "cls/predictions/output_bias",
    }.items():
        np.testing.assert_array_equal(names[ours], values[theirs])


def test_it_computes_what_google_s_code_does(tmp_path):
    """The first block and the head in NumPy, from modeling.py's formulas."""
    config = {**CONFIG, "num_hidden_layers": 1, "num_attention_heads": 1}
    v = write(tmp_path, config, variables(config))
    model = kd.load_checkpoint(tmp_path)
    ids = np.array([[7, 9, 30, 4]])
    received = model(
        {
            "token_ids": ids,
            "segment_ids": np.array([[0, 0, 1, 1]]),
            "padding_mask": np.ones((1, 4)),
            "mask_positions": np.array([[2]]),
        }
    )

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * v[f"{name}/gamma"] + v[f"{name}/beta"]

    def dense(x, name):
        return x @ v[f"{name}/kernel"] + v[f"{name}/bias"]

    def gelu(x):
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        return x * 0.5 * (1 + np.tanh(inner))

    x = v["bert/embeddings/word_embeddings"][ids[0]]
    x = x + v["bert/embeddings/position_embeddings"][:4]
    x = x + v["bert/embeddings/token_type_embeddings"][[0, 0, 1, 1]]
    x = norm(x, "bert/embeddings/LayerNorm")
    layer = "bert/encoder/layer_0"
    q, k, value = (
        dense(x, f"{layer}/attention/self/{part}")
        for part in ("query", "key", "value")
    )
    scores = np.exp(q @ k.T / np.sqrt(8))
    context = scores / scores.sum(-1, keepdims=True) @ value
    branch = dense(context, f"{layer}/attention/output/dense")
    x = norm(x + branch, f"{layer}/attention/output/LayerNorm")
    middle = gelu(dense(x, f"{layer}/intermediate/dense"))
    branch = dense(middle, f"{layer}/output/dense")
    x = norm(x + branch, f"{layer}/output/LayerNorm")
    np.testing.assert_allclose(received["hidden_states"][-1][0], x, atol=1e-5)
    row = gelu(dense(x[2], "cls/predictions/transform/dense"))
    row = norm(row, "cls/predictions/transform/LayerNorm")
    logits = row @ v["bert/embeddings/word_embeddings"].T
    logits = logits + v["cls/predictions/output_bias"]
    np.testing.assert_allclose(received["logits"][0, 0], logits, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["layers=[0,2]", "bert*", "back\\slash", "ü %s"]
)
def test_a_folder_of_any_name_is_read(tmp_path, name):
    values = write(tmp_path, CONFIG, variables(CONFIG, head=False))
    folder = tmp_path / name
    folder.mkdir()
    for path in list(tmp_path.glob("bert_*")):
        path.rename(folder / path.name.replace("model", "[model]"))
    model = kd.load_checkpoint(folder)
    np.testing.assert_array_equal(
        model.named_variables()["pooler/kernel"],
        values["bert/pooler/dense/kernel"],
    )


def test_without_a_head_it_is_a_backbone_with_its_pooler(tmp_path):
    values = write(tmp_path, CONFIG, variables(CONFIG, head=False))
    model = kd.load_checkpoint(tmp_path, activation="gelu")
    assert type(model) is kd.BertBackbone
    assert model.config.activation == "gelu"
    np.testing.assert_array_equal(
        model.named_variables()["pooler/kernel"],
        values["bert/pooler/dense/kernel"],
    )


@pytest.mark.parametrize(("layers", "width"), MINIATURES)
def test_the_miniatures_shapes_are_read_whole(layers, width, tmp_path):
    """Names and shapes of all 24; zeros, as they are much."""
    config = {
        **CONFIG,
        "vocab_size": 50,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
    }
    from keras_kd.checkpoints.hugging_face_names import (
        read_config,
        their_names,
    )

    _, ours = read_config(config)
    names = their_names(ours, "bert")
    shapes = variables(config)
    found = {
        names[common_name(key)]: shape
        for key, shape in shapes.items()
        if not key.startswith("cls/seq_relationship")
    }
    if layers > 2:  # all layers are alike
        ours = ours.with_layers(2)
    model = kd.BertMaskedLM(ours.with_layers(ours.num_layers, pooler=True))
    for name, variable in model.named_variables().items():
        assert found[name] == tuple(variable.shape), name
    assert len(found) == 5 + 2 + 16 * layers + 5


def test_a_fine_tuned_folder_gives_its_encoder(tmp_path):
    shapes = variables(CONFIG, head=False)
    shapes |= {"output_weights": (3, 8), "output_bias": (3,), "loss_scale": ()}
    values = write(tmp_path, CONFIG, shapes)
    with pytest.raises(ValueError, match=r"kd\.BertBackbone.*output_weights"):
        kd.load_checkpoint(tmp_path, kd.BertClassifier)
    with pytest.warns(UserWarning, match="output_weights, loss_scale"):
        model = kd.load_checkpoint(tmp_path, kd.BertBackbone)
    np.testing.assert_array_equal(
        model.named_variables()["pooler/kernel"],
        values["bert/pooler/dense/kernel"],
    )


def test_unknown_variables_are_named(tmp_path):
    shapes = variables(CONFIG) | {
        "bert/encoder/layer_2/output/dense/bias": (8,)
    }
    write(tmp_path, CONFIG, shapes)
    with pytest.raises(ValueError, match="layer_2/output/dense/bias"):
        kd.load_checkpoint(tmp_path)


def test_a_folder_without_its_files_says_so(tmp_path):
    write(tmp_path, CONFIG, variables(CONFIG))
    (tmp_path / "bert_model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match=r"bert_model\.ckpt\.data"):
        kd.load_checkpoint(tmp_path)
    (tmp_path / "bert_model.ckpt.index").unlink()
    with pytest.raises(FileNotFoundError, match="one TensorFlow checkpoint"):
        kd.load_checkpoint(tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    write(tmp_path, CONFIG, variables(CONFIG))
    data = tmp_path / "bert_model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="whole files"):
        kd.load_checkpoint(tmp_path)
    index = tmp_path / "bert_model.ckpt.index"
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(ValueError, match="whole files"):
        kd.load_checkpoint(tmp_path)
