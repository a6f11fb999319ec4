import collections

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def teacher(tiny_config):
    return kd.BertMaskedLM(tiny_config.with_layers(4), seed=0)


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(2)


def arrays(batch):
    return keras.tree.map_structure(np.asarray, batch)


def measure(model, batches, teacher):
    """Masked cross-entropy and KL to the teacher, nats, in NumPy."""
    sums = np.zeros(3)
    for x, ids, weights in map(arrays, batches):
        log_q, log_p = (
            np.asarray(keras.ops.log_softmax(one(x)["logits"]), "float64")
            for one in (model, teacher)
        )
        nats = -np.take_along_axis(log_q, ids[..., None], -1)[..., 0]
        kl = (np.exp(log_p) * (log_p - log_q)).sum(-1)
        sums += [(value * weights).sum() for value in (nats, kl, 1.0)]
    return sums[:2] / sums[2]


def test_the_total_is_that_of_models_by_themselves(teacher, batches):
    """CE(whole) + 0.5 (CE(extracted) + T² KL), each by itself."""
    distiller = kd.SelfDistiller(
        teacher, (0, 2), random_share=0.0, weight=0.5, temperature=1.0
    )
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=JIT)
    part = kd.extract_student(teacher, (0, 2))
    nats, kl = measure(part, batches, teacher)
    expected = {
        "masked_lm": measure(teacher, batches, teacher)[0],
        "subnetwork_masked_lm": nats,
        "subnetwork_soft_target": kl,
    }
    in_training = distiller.fit(batches, verbose=0).history
    in_validation = distiller.evaluate(batches, return_dict=True, verbose=0)
    for name, value in expected.items():
        assert in_training[name][0] == pytest.approx(value, rel=1e-5, abs=1e-6)
        assert in_validation[name] == pytest.approx(value, rel=1e-5, abs=1e-6)
    x, y, weights = arrays(next(iter(batches)))
    total = distiller.compute_loss(x, y, distiller(x, training=True), weights)
    one = batches.take(1)
    whole = measure(teacher, one, teacher)[0]
    both = sum(measure(part, one, teacher))
    assert float(total) == pytest.approx(whole + 0.5 * both, rel=1e-5)


def test_the_soft_targets_do_not_move_the_whole_teacher(
    teacher, batches, value_and_gradients
):
    """A layer that the sub-network lacks has the masked LM's gradient."""
    distiller = kd.SelfDistiller(teacher, (0, 2), random_share=0.0)
    x, y, weights = arrays(next(iter(batches)))
    layer = teacher.backbone.encoder_layers[3]
    found = value_and_gradients(
        lambda: distiller.compute_loss(
            x, y, distiller(x, training=True), weights
        ),
        layer.trainable_variables,
    )[1]

    def masked_lm():
        logits = teacher(x, training=True)["logits"]
        nats = ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return ops.sum(nats * weights) / ops.sum(weights)

    expected = value_and_gradients(masked_lm, layer.trainable_variables)[1]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-7)


def drawn(distiller, compiled, steps):
    step = compiled(distiller.draw_layers, [distiller.draws.state], True)
    found = (np.flatnonzero(np.asarray(step())) for _ in range(steps))
    return collections.Counter(tuple(map(int, layers)) for layers in found)


def test_what_is_drawn_is_the_target_or_any_of_as_many_layers(
    teacher, compiled
):
    distiller = kd.SelfDistiller(teacher, (0, 2), random_share=0.6, seed=0)
    counts = drawn(distiller, compiled, 2000)
    assert {len(layers) for layers in counts} == {2}
    assert len(counts) == 6
    for layers, count in counts.items():
        share = 0.1 + 0.4 * (layers == (0, 2))
        # 3.5 standard deviations
        assert abs(count - 2000 * share) < 3.5 * np.sqrt(
            2000 * share * (1 - share)
        )


def test_other_depths_are_drawn_as_often(teacher, compiled):
    distiller = kd.SelfDistiller(
        teacher, (0, 2), random_share=1.0, depths=(1, 2, 3), seed=1
    )
    counts = drawn(distiller, compiled, 2000)
    depths = collections.Counter()
    for layers, count in counts.items():
        depths[len(layers)] += count
    assert set(depths) == {1, 2, 3}
    for count in depths.values():
        assert abs(count - 2000 / 3) < 3.5 * np.sqrt(2000 * 2 / 9)


@pytest.mark.slow
def test_fit_teaches_the_teacher_and_its_sub_networks(
    tiny_config, store, tokenizer
):
    teacher = kd.BertMaskedLM(
        tiny_config.with_layers(4, dropout=0.1, num_segments=0), seed=0
    )
    distiller = kd.SelfDistiller(teacher, (0, 3), depths=(1, 2, 3), seed=0)
    distiller.compile(keras.optimizers.AdamW(3e-3), jit_compile=JIT)
    train = kd.masked_lm_batches(store, tokenizer, 8, seed=0)
    held_out = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 50, 1.0)
    history = distiller.fit(
        train,
        epochs=12,
        validation_data=held_out,
        callbacks=[
            kd.ScheduleLossWeight(name, ramp) for name in distiller.loss_weights
        ],
        verbose=0,
    ).history
    for name in ("val_masked_lm", "val_subnetwork_masked_lm"):
        assert history[name][-1] < history[name][0] - 0.5
    student = kd.extract_student(teacher, (0, 3))
    assert kd.evaluate(student, held_out)[
        "masked_cross_entropy"
    ] == pytest.approx(history["val_subnetwork_masked_lm"][-1], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": (2, 0)}, "`layers` must be different encoder layers"),
        ({"layers": (0, 4)}, "`layers` must be different encoder layers"),
        ({"random_share": 1.5}, "`random_share` must be in"),
        ({"depths": (0, 2)}, "`depths` must be from 1 to 4"),
        ({"depths": (5,)}, "`depths` must be from 1 to 4"),
        ({"weight": -1.0}, "`weight` must be 0 or more"),
        ({"temperature": 0.0}, "`temperature` must be greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(teacher, arguments, message):
    with pytest.raises(ValueError, match=message):
        kd.SelfDistiller(teacher, **{"layers": (0, 2), **arguments})
