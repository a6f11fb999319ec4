import keras_kd as kd
import keras
import numpy as np
import pytest

TEXTS = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0]], "int32"),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], "int32"),
}
TRAINERS = ["model", "r_drop", "distiller"]


def make_trainer(name, model):
    if name == "r_drop":
        return kd.RDrop(model)
    if name == "distiller":
        student = model.of_shape(model.config, 0)
        return kd.Distiller(model, student, **kd.task_losses())
    return model


def labelled(y, weights):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensors((TEXTS, np.array(y), weights))


def test_padding_counts_in_no_metric_however_wide_a_batch_is(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, class_names=["O", "B"], seed=0)
    model.compile(metrics=["accuracy"], run_eagerly=True)
    logits = np.array([[[1, 0]] * 8], "float32")
    for width, y, weight in ((8, 0, [0, 1, 0.5]), (4, 1, [0, 2, 0])):
        weights = np.pad([weight], ((0, 0), (0, width - 3)))
        ids = np.full((1, width), y)
        outputs = {"logits": logits[:, :width]}
        found = model.compute_metrics(None, ids, outputs, weights)
    np.testing.assert_allclose(found["accuracy"], 2 / 3, rtol=1e-6)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_unlabelled_texts_and_filler_count_in_no_metric(tiny_config, trainer):
    model = kd.BertClassifier(tiny_config, class_names=["a", "b"], seed=0)
    trained = make_trainer(trainer, model)
    trained.compile(metrics=["accuracy"], run_eagerly=True)
    best = np.asarray(model(TEXTS)["logits"]).argmax(-1)
    y = np.array([best[0], 1 - best[1]])
    for second, expected in ((0.0, 1.0), (1.0, 0.5)):  # each counts 1
        found = trained.evaluate(
            TEXTS,
            y,
            sample_weight=np.array([3.0, second]),
            verbose=0,
            return_dict=True,
        )
        assert found["accuracy"] == expected


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_label_out_of_range_is_refused_before_a_step(tiny_config, trainer):
    model = kd.BertClassifier(tiny_config, class_names=["a", "b"], seed=0)
    trained = make_trainer(trainer, model)
    trained.compile(kd.AdamW(1e-3), run_eagerly=True)
    table = trained.trainable_weights[0]
    table.assign_add(np.ones(table.shape))  # else it is as it was made
    before = model.get_weights()
    batches = labelled([0, 2], np.ones(2, "float32"))
    expected = "from 0 to 1 .*Received: 2 at row 1"
    with pytest.raises(ValueError, match=expected):
        trained.fit(batches, verbose=0, shuffle=False)
    for after, weight in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, weight)
    with pytest.raises(ValueError, match=expected):
        trained.evaluate(batches, verbose=0)
    good = labelled([0, 1], np.ones(2, "float32"))
    with pytest.raises(ValueError, match=expected):
        trained.fit(good, validation_data=batches, verbose=0, shuffle=False)


@pytest.mark.slow
def test_a_compiled_step_refuses_too_and_its_weights_stay(tiny_config):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    model.compile(kd.AdamW(1e-3))
    before = model.head.bias.numpy()
    x = {**TEXTS, "mask_positions": np.array([[1, 2], [1, 3]], "int32")}
    batches = labelled([[9, 8], [7, 0]], np.ones((2, 2), "float32"))
    batches = batches.map(lambda _, y, weights: (x, y, weights))
    with pytest.raises(ValueError, match="`mask_positions` .* 3 at row 1"):
        model.fit(batches, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.head.bias, before)


def test_weights_of_classes_go_with_those_of_rows(tiny_config):
    model = kd.BertClassifier(
        tiny_config, class_names=["a", "b"], classifier_dropout=0.0, seed=0
    )
    model.compile(kd.AdamW(0.0), run_eagerly=True)
    model.call = lambda inputs, training=None, mask=None: {
        "logits": np.array([[0.0, 2.0], [0.0, 2.0]], "float32")
        + 0 * kd.BertClassifier.call(model, inputs, training)["logits"]
    }
    batches = labelled([0, 1], np.array([1.0, 0.5], "float32"))
    found = model.fit(batches, class_weight={0: 4.0}, verbose=0, shuffle=False)
    nats = np.log1p(np.exp([2.0, -2.0]))
    expected = (4 * nats[0] + 0.5 * nats[1]) / 4.5
    np.testing.assert_allclose(found.history["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["model", "Distiller", "RDrop"])
def test_another_backend_is_refused_before_anything_is_trained(
    tiny_config, monkeypatch, kind
):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    if kind == "Distiller":
        model = kd.Distiller(model, model, **kd.distilbert_losses())
    elif kind == "RDrop":
        model = kd.RDrop(model)
    model.compile("adamw")
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError) as error:
        model.fit({}, np.zeros(1))
    name = "BertMaskedLM" if kind == "model" else kind
    assert str(error.value) == (
        f"`{name}` trains on the TensorFlow and JAX backends: set "
        "KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax before Python starts. "
        "Received: KERAS_BACKEND=torch"
    )
