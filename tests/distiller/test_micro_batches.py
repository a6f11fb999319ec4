import keras_kd as kd
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)


def uneven(batches):
    """A batch whose sequences have from all to none of their rows."""
    x, y, weights = next(iter(batches))
    x = {name: np.array(value) for name, value in x.items()}
    weights = np.array(weights)
    for row in range(8):
        x["padding_mask"][row, 12 - row :] = 0
        weights[row] *= row % 3 > 0
    x["padding_mask"][7] = 0
    weights *= np.take_along_axis(x["padding_mask"], x["mask_positions"], 1)
    return x, np.array(y), weights


def train(tiny_config, data, micro_batches, epochs=1, **losses):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    student = kd.BertMaskedLM(tiny_config.with_layers(1), seed=1)
    distiller = kd.Distiller(
        teacher,
        student,
        **kd.distilbert_losses(**losses),
        micro_batches=micro_batches,
        seed=0,
    )
    distiller.compile(
        keras.optimizers.SGD(0.1, global_clipnorm=5.0),
        jit_compile=JIT,
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("top1")],
    )
    logs = distiller.fit(
        *data[:2],
        sample_weight=data[2],
        shuffle=False,
        batch_size=8,
        epochs=epochs,
        verbose=0,
    ).history
    return student.get_weights(), logs


@pytest.mark.parametrize(
    "micro_batches", [2, pytest.param(8, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "unmasked_share",
    [
        0.0,
        pytest.param(0.3, marks=pytest.mark.slow),
        pytest.param(1.0, marks=pytest.mark.slow),
    ],
)
def test_the_update_is_the_same_whatever_the_split(
    tiny_config, batches, micro_batches, unmasked_share
):
    data = uneven(batches)
    losses = {"unmasked_share": unmasked_share, "alpha_mse": 0.01}
    whole, logs = train(tiny_config, data, 1, **losses)
    parts, found = train(tiny_config, data, micro_batches, **losses)
    moved = kd.BertMaskedLM(tiny_config.with_layers(1), seed=1).get_weights()
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(whole, moved))  # noqa: B905
    for ours, theirs in zip(parts, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert set(found) == set(logs)
    for name, values in logs.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_nothing_is_carried_over_the_border_of_an_epoch(tiny_config, batches):
    data = uneven(batches)
    whole, _ = train(tiny_config, data, 1, epochs=3)
    parts, _ = train(tiny_config, data, 4, epochs=3)
    for ours, theirs in zip(parts, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_parts_that_do_not_divide_the_batch_are_refused(tiny_config, batches):
    with pytest.raises(ValueError, match="a divisor of 8. Received: 3"):
        train(tiny_config, uneven(batches), 3)
    with pytest.raises(ValueError, match="`micro_batches` must be at least 1"):
        train(tiny_config, uneven(batches), 0)
