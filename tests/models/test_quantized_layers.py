import gc

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras_kd.models.quantized_layers import check_float, saved_dtype

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* `quantize` method")

CONFIG = kd.BertConfig(
    40, num_layers=1, hidden_dim=128, num_heads=2, max_sequence_length=8
)
INPUTS = {
    "token_ids": np.arange(16, dtype="int32").reshape(2, 8),
    "padding_mask": np.ones((2, 8), "int32"),
    "mask_positions": np.array([[0, 3], [1, 7]], "int32"),
}


@pytest.fixture(scope="module", autouse=True)
def little_garbage():
    """Keras collects garbage for every weight it quantises: 0.4 s each."""
    gc.freeze()
    yield
    gc.unfreeze()


def outputs_of(model):
    outputs = model(INPUTS)
    arrays = [*outputs.pop("hidden_states"), *outputs.values()]
    return [keras.ops.convert_to_numpy(a) for a in arrays]


def distance(found, expected):
    return max(
        np.abs(a - b).max() / np.abs(b).max()
        for a, b in zip(found, expected, strict=True)
    )


@pytest.fixture(scope="module")
def quantized():
    """A masked LM in int8, and what it gave before."""
    model = kd.BertMaskedLM(CONFIG, seed=0)
    expected = outputs_of(model)
    model.quantize("int8")
    return model, expected


def test_int8_is_near_float(quantized):
    """Random weights, which round worst: their logits are near zero."""
    model, expected = quantized
    assert distance(outputs_of(model), expected) < 0.01


@pytest.mark.parametrize(
    "model_class", [kd.BertClassifier, kd.BertTokenClassifier]
)
def test_the_logits_of_a_task_are_near_float(model_class):
    model = model_class(CONFIG, [f"B-{i}" for i in range(40)], seed=0)
    expected = outputs_of(model)
    model.quantize("int8")
    assert model.classifier.quantization_mode is None
    assert distance(outputs_of(model), expected) < 0.01


def test_the_tied_matrix_is_its_integers_over_their_scales(quantized):
    model, _ = quantized
    embedding = model.backbone.embeddings.token_embedding
    integers = keras.ops.convert_to_numpy(embedding.embeddings)
    scale = keras.ops.convert_to_numpy(embedding.embeddings_scale)
    assert integers.dtype == "int8"
    matrix, _ = model.head.vocabulary()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(matrix),
        integers / scale[:, None],
        rtol=1e-5,
    )


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_saved_quantised_model_is_the_same(tmp_path, mode, quantized):
    model, _ = quantized
    if mode != "int8":  # a classifier, whose head is float32 in any policy
        model = kd.BertClassifier(
            CONFIG, ["no", "yes"], seed=0, dtype="mixed_bfloat16"
        )
        model.quantize(mode)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in zip(
        outputs_of(loaded), outputs_of(model), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert saved_dtype(loaded) == saved_dtype(model)


def test_float_models_say_the_policy_that_was_asked_for():
    assert saved_dtype(kd.BertBackbone(CONFIG, seed=0)) is None
    model = kd.BertBackbone(CONFIG, seed=0, dtype="mixed_bfloat16")
    assert saved_dtype(model) == "mixed_bfloat16"


def test_rounding_that_no_policy_says_is_refused(tmp_path):
    model = kd.BertBackbone(CONFIG, seed=0)
    model.quantize(
        config=keras.quantizers.Int8QuantizationConfig(
            activation_quantizer=None
        )
    )
    with pytest.raises(ValueError, match="activation_quantizer=None"):
        model.save(tmp_path / "model.keras")


@pytest.mark.parametrize(
    "use",
    [
        lambda model, folder: kd.save_checkpoint(model, folder / "theirs"),
        lambda model, _: kd.extract_student(model, [0]),
        lambda model, _: kd.extract_student(model, "random", 1),
        lambda model, _: kd.make_plan([0], model, model),
        lambda model, _: kd.BertClassifier.from_encoder(
            model, class_names=["no", "yes"]
        ),
    ],
    ids=["save_checkpoint", "extract", "random", "make_plan", "from_encoder"],
)
def test_what_needs_float_weights_refuses_integers(quantized, tmp_path, use):
    with pytest.raises(
        ValueError, match=r"`model` must have float weights .* in int8"
    ):
        use(quantized[0], tmp_path)
    assert not any(tmp_path.iterdir())


def test_check_float_takes_float_layers():
    check_float([keras.layers.Dense(2)])
