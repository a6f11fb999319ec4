import io

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.initialization.narrowing import evenly_spaced, most
from rich.console import Console


@pytest.fixture
def batches(store, tokenizer):
    found = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(3)
    return list(found.as_numpy_iterator())


def narrow(teacher, layers, batches, ridge=1e-3, **changes):
    config = teacher.config.with_layers(len(layers), **changes)
    student = teacher.of_shape(config, seed=5)
    plan = kd.narrow_plan(layers, teacher, student, batches, ridge)
    plan.apply(teacher, student)
    return student, plan


def nats(model, batches):
    """Mean of `sample_weight`ed cross-entropies."""
    total = weight = 0.0
    for x, y, weights in batches:
        logits = np.asarray(model.predict_on_batch(x)["logits"], "float64")
        logits -= logits.max(-1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        picked = np.take_along_axis(log_p, y[..., None], -1)[..., 0]
        total -= (picked * weights).sum()
        weight += weights.sum()
    return total / weight


@pytest.mark.parametrize("pooler", [True, False])
def test_with_all_kept_it_is_the_teacher(tiny_config, batches, pooler):
    config = tiny_config.with_layers(3, pooler=pooler)
    teacher = kd.BertMaskedLM(config, seed=0)
    student, _ = narrow(teacher, (0, 1, 2), batches)
    theirs = teacher.named_variables()
    for name, variable in student.named_variables().items():
        np.testing.assert_allclose(
            np.asarray(variable), np.asarray(theirs[name]), rtol=1e-6
        )


def test_neurons_that_do_nothing_are_not_missed(deep_teacher, batches):
    """Half of the neurons write nothing: without them it is the same."""
    layer = deep_teacher.backbone.encoder_layers[1].feed_forward_output
    kernel = np.asarray(layer.kernel).copy()
    kernel[::2] = 0
    layer.kernel.assign(kernel)
    student, plan = narrow(
        deep_teacher, (1,), batches, ridge=1e-9, intermediate_dim=32
    )
    x = batches[0][0]
    copy = kd.extract_student(deep_teacher, (1,))
    for found, expected in zip(
        student.predict_on_batch(x)["hidden_states"],
        copy.predict_on_batch(x)["hidden_states"],
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    source = plan.sources["encoder_layer_0/intermediate/bias"]
    expected = deep_teacher.named_variables()[source.instead_of]
    np.testing.assert_allclose(
        source.array, np.asarray(expected)[1::2], rtol=1e-6
    )


def test_a_head_that_is_missing_is_made_up_for(deep_teacher, batches):
    """What one head says is twice what the other says: either is enough."""
    layer = deep_teacher.backbone.encoder_layers[0]
    for part in (layer.query, layer.key, layer.value):
        kernel, bias = map(np.array, (part.kernel, part.bias))
        factor = 2.0 if part is layer.value else 1.0
        kernel[:, 8:] = factor * kernel[:, :8]
        bias[8:] = factor * bias[:8]
        part.kernel.assign(kernel)
        part.bias.assign(bias)
    cut = kd.BertMaskedLM(
        deep_teacher.config.with_layers(1, hidden_dim=8, num_heads=1)
    )
    plan = kd.narrow_plan((0,), deep_teacher, cut, batches, ridge=1e-10)
    theirs = deep_teacher.named_variables()
    kernel, bias = (
        np.asarray(theirs[f"encoder_layer_0/attention_output/{part}"])
        for part in ("kernel", "bias")
    )
    found = plan.sources["encoder_layer_0/attention_output/kernel"].array
    both = kernel[:8] + 2.0 * kernel[8:]  # by what the first head says
    # By what the second says it is half of it.
    candidates = [both[:, ::2], both[:, ::2] / 2.0]
    assert any(np.allclose(found, c, rtol=1e-3, atol=1e-4) for c in candidates)
    bias_found = plan.sources["encoder_layer_0/attention_output/bias"].array
    np.testing.assert_allclose(bias_found, bias[::2], rtol=1e-3, atol=1e-4)


def test_a_narrower_student_is_made_of_the_teacher(deep_teacher, batches):
    student, plan = narrow(
        deep_teacher,
        (0, 2),
        batches,
        hidden_dim=8,
        num_heads=1,
        intermediate_dim=24,
        max_sequence_length=12,
        num_segments=0,
    )
    theirs = {
        n: np.asarray(v) for n, v in deep_teacher.named_variables().items()
    }
    ours = {n: np.asarray(v) for n, v in student.named_variables().items()}
    assert set(plan.sources) == set(ours)
    np.testing.assert_array_equal(
        ours["embeddings/token/embeddings"],
        theirs["embeddings/token/embeddings"][:, ::2],
    )
    folded = theirs["embeddings/position/embeddings"][:12, ::2]
    folded = folded + theirs["embeddings/segment/embeddings"][0, ::2]
    np.testing.assert_allclose(
        ours["embeddings/position/embeddings"], folded, rtol=1e-6
    )
    np.testing.assert_array_equal(
        ours["encoder_layer_1/attention_norm/gamma"],
        theirs["encoder_layer_2/attention_norm/gamma"][::2],
    )
    out = io.StringIO()
    plan.print(Console(file=out, width=120))
    assert "indices, narrower: teacher layers [0, 2]" in out.getvalue()
    assert "fitted on 8 of its 16 inputs" in out.getvalue()
    assert "embeddings/token/embeddings[:, 8 of]" in out.getvalue()


def test_fitting_is_better_than_leaving_out(deep_teacher, batches):
    """Nearer to the teacher's nats with a little ridge than as selected."""
    whole = nats(kd.extract_student(deep_teacher, (0,)), batches)
    changes = {"intermediate_dim": 16}
    fitted, _ = narrow(deep_teacher, (0,), batches, 1e-6, **changes)
    selected, _ = narrow(deep_teacher, (0,), batches, 1e9, **changes)
    assert abs(nats(fitted, batches) - whole) < 0.7 * abs(
        nats(selected, batches) - whole
    )


def test_indices_by_hand():
    assert evenly_spaced(8, 4).tolist() == [0, 2, 4, 6]
    assert evenly_spaced(8, 3).tolist() == [0, 4, 7]
    assert evenly_spaced(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert most(np.array([3.0, 9.0, 1.0, 3.0]), 2).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 32, "num_heads": 4}, "at most the teacher's `hidden"),
        ({"hidden_dim": 8}, "heads of the teacher's width.*8.*Received: 4"),
        ({"intermediate_dim": 999}, "at most the teacher's `intermediate"),
        ({"vocabulary_size": 11}, "the teacher's `vocabulary_size`"),
        ({"max_sequence_length": 99}, "at most the teacher's `max_seq"),
        ({"num_segments": 3}, "the teacher's `num_segments`, or 0"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    deep_teacher, batches, changes, message
):
    student = deep_teacher.of_shape(
        deep_teacher.config.with_layers(1, **changes)
    )
    with pytest.raises(ValueError, match=message):
        kd.narrow_plan("first", deep_teacher, student, batches)


def test_what_else_cannot_be_is_refused(deep_teacher, batches):
    student = deep_teacher.of_shape(deep_teacher.config.with_layers(1))
    with pytest.raises(ValueError, match="`plan` must copy layers"):
        kd.narrow_plan("random", deep_teacher, student, batches)
    with pytest.raises(ValueError, match="`ridge` must be above 0"):
        kd.narrow_plan("first", deep_teacher, student, batches, ridge=0.0)
    with pytest.raises(ValueError, match="`batches` must hold text"):
        kd.narrow_plan("first", deep_teacher, student, [])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_classifier_s_head_is_narrowed_with_it(activation):
    config = kd.BertConfig(
        20, 1, 8, 2, pooler_activation=activation, initializer_range=0.5
    )
    teacher = kd.BertClassifier(config, ["a", "b", "c"], seed=0)
    ids = np.random.default_rng(0).integers(1, 20, (6, 5)).astype("int32")
    x = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}
    whole = kd.BertClassifier(config, teacher.class_names, seed=1)
    kd.narrow_plan([0], teacher, whole, [x]).apply(teacher, whole)
    np.testing.assert_allclose(
        whole(x)["logits"], teacher(x)["logits"], atol=1e-5
    )
    narrow = config.with_layers(1, hidden_dim=4, num_heads=1)
    student = kd.BertClassifier(narrow, teacher.class_names, seed=1)
    plan = kd.narrow_plan([0], teacher, student, [x])
    plan.apply(teacher, student)
    kernel = plan.sources["classifier/kernel"].value({})
    assert kernel.shape == (4, 3)
    np.testing.assert_array_equal(student.classifier.kernel, kernel)
