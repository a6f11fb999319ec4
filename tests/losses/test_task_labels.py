import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], "int32")


def batch_of(y, weights, mask=MASK):
    return {
        "x": {"padding_mask": ops.convert_to_tensor(mask)},
        "y": ops.convert_to_tensor(y),
        "sample_weight": ops.convert_to_tensor(np.array(weights, "float32")),
    }


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def kl(theirs, ours, temperature):
    log_p, log_q = (log_softmax(a / temperature) for a in (theirs, ours))
    return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(-1)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_labels_are_a_cross_entropy_over_those_that_have_weight():
    logits = np.log(np.array([[1.0, 3], [3, 1], [1, 1]], "float32"))
    batch = batch_of(np.array([1, 1, 0]), [1, 3, 0])
    term = kd.LabelTerm()
    expected = (-np.log(0.75) - 3 * np.log(0.25)) / 4
    found = term.compute(batch, {}, {"logits": ops.convert_to_tensor(logits)})
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(term.row_weights(batch), [1, 3, 0])


def test_labels_of_numbers_are_squared_distances():
    logits = np.array([[1.0], [4.0], [9.0]], "float32")
    batch = batch_of(np.array([0.0, 2.0, 0.0], "float32"), [1, 1, 0])
    found = kd.LabelTerm(regression=True).compute(
        batch, {}, {"logits": ops.convert_to_tensor(logits)}
    )
    np.testing.assert_allclose(found, (1 + 4) / 2, rtol=1e-6)


def test_a_batch_without_labels_has_none():
    logits = ops.convert_to_tensor(draw(3, 2))
    found = kd.LabelTerm().compute(
        batch_of(np.zeros(3, int), [0, 0, 0]), {}, {"logits": logits}
    )
    assert float(found) == 0.0


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_soft_targets_are_of_every_text_that_is_there(temperature):
    theirs, ours = draw(3, 4), draw(3, 4, seed=1)
    batch = batch_of(np.zeros(3, int), [1, 0, 0])  # the second: no label
    term = kd.TaskSoftTargetTerm(temperature)
    np.testing.assert_array_equal(term.row_weights(batch), [1, 1, 0])
    found = term.compute(batch, {"logits": theirs}, {"logits": ours})
    expected = kl(theirs, ours, temperature)[:2].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    same = term.compute(batch, {"logits": ours}, {"logits": ours})
    np.testing.assert_allclose(same, 0.0, atol=1e-7)


def test_soft_targets_of_tokens_are_of_the_real_ones():
    theirs, ours = draw(3, 4, 5), draw(3, 4, 5, seed=1)
    batch = batch_of(np.zeros((3, 4), int), np.zeros((3, 4)))
    term = kd.TaskSoftTargetTerm(2.0, per_token=True)
    found = term.compute(batch, {"logits": theirs}, {"logits": ours})
    expected = kl(theirs, ours, 2.0)[MASK > 0].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_soft_targets_of_spans_are_the_mean_of_starts_and_ends():
    theirs, ours = draw(3, 2, 4), draw(3, 2, 4, seed=1)
    hidden = np.where(MASK[:, None] > 0, 0, -1e9).astype("float32")
    theirs, ours = theirs + hidden, ours + hidden
    batch = batch_of(np.zeros((3, 2), int), np.ones((3, 2)))
    term = kd.TaskSoftTargetTerm(2.0)
    found = term.compute(batch, {"logits": theirs}, {"logits": ours})
    by_hand = [
        kl(theirs[row, part, :n], ours[row, part, :n], 2.0)
        for row, n in ((0, 3), (1, 2))
        for part in (0, 1)
    ]
    np.testing.assert_allclose(found, np.mean(by_hand), rtol=1e-5)


def test_distances_of_logits_are_means_of_squares():
    theirs, ours = draw(3, 2), draw(3, 2, seed=1)
    batch = batch_of(np.zeros(3), [0, 0, 0])
    found = kd.TaskLogitsMSETerm().compute(
        batch, {"logits": theirs}, {"logits": ours}
    )
    expected = ((theirs - ours)[:2] ** 2).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_gradient_is_the_probabilities_difference(value_and_gradients):
    theirs, ours = draw(3, 4), draw(3, 4, seed=1)
    batch = batch_of(np.zeros(3, int), [1, 1, 1])
    term = kd.TaskSoftTargetTerm(2.0)

    def total(logits):
        return term.compute(batch, {"logits": theirs}, {"logits": logits})

    _, (gradient,) = value_and_gradients(total, [ours])
    p, q = (np.exp(log_softmax(a / 2)) for a in (theirs, ours))
    expected = 2.0 * (q - p) / 2
    expected[2] = 0.0
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_a_student_that_is_sure_and_wrong_still_learns(value_and_gradients):
    theirs = np.array([[100.0, 0.0]], "float32")
    ours = np.array([[-100.0, 0.0]], "float32")
    batch = batch_of(np.array([0]), [1], mask=MASK[:1])

    term = kd.TaskSoftTargetTerm(1.0)

    def total(logits):
        return term.compute(batch, {"logits": theirs}, {"logits": logits})

    value, (gradient,) = value_and_gradients(total, [ours])
    np.testing.assert_allclose(value, 100.0, rtol=1e-5)
    np.testing.assert_allclose(gradient, [[-1.0, 1.0]], rtol=1e-5)


def test_the_terms_of_a_task_and_their_weights():
    found = kd.task_losses(alpha_hidden=0.1, alpha_relation=0.2)
    assert found["loss_weights"] == {
        "soft_target": 0.5,
        "label": 0.5,
        "hidden_state": 0.1,
        "relation": 0.2,
    }
    assert list(found["loss_terms"]) == list(found["loss_weights"])
    assert set(kd.task_losses(alpha_ce=0)["loss_terms"]) == {"label"}
    terms = kd.task_losses(regression=True)["loss_terms"]
    assert isinstance(terms["soft_target"], kd.TaskLogitsMSETerm)
    assert terms["label"].regression


@pytest.mark.parametrize(
    "weights", [{"alpha_ce": -1}, {"alpha_ce": 0, "alpha_label": 0}]
)
def test_weights_that_say_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="`alpha_ce`, `alpha_label`"):
        kd.task_losses(**weights)


@pytest.fixture
def pair(tiny_config):
    config = dataclasses.replace(tiny_config, initializer_range=0.5)
    teacher = kd.BertClassifier(config, ["a", "b"], seed=0)
    return teacher, kd.extract_student(teacher, [0], seed=1)


X = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0], [0, 0, 0, 0]]),
    "segment_ids": np.zeros((3, 4), int),
    "padding_mask": MASK,
}


def test_a_distiller_adds_up_the_terms_of_a_task(pair):
    teacher, student = pair
    distiller = kd.Distiller(
        teacher, student, **kd.task_losses(alpha_hidden=0.5, alpha_relation=1)
    )
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    labels, weights = np.array([1, 0, 0]), np.array([1.0, 0.0, 0.0])
    logs = distiller.train_on_batch(X, labels, weights, return_dict=True)
    theirs, ours = (np.asarray(m(X)["logits"]) for m in pair)
    soft = kl(theirs, ours, 2.0)[:2].mean()
    label = -log_softmax(ours)[0, 1]
    np.testing.assert_allclose(logs["soft_target"], soft, rtol=1e-4)
    np.testing.assert_allclose(logs["label"], label, rtol=1e-5)
    assert logs["hidden_state"] > 0 and logs["relation"] > 0
    total = 0.5 * (soft + label + logs["hidden_state"]) + logs["relation"]
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-4)


def test_micro_batches_of_a_task_give_the_update_of_the_batch(pair):
    teacher, _ = pair
    x = {name: np.concatenate([a, a[:1]]) for name, a in X.items()}
    labels, weights = np.array([1, 0, 0, 1]), np.array([1.0, 1, 0, 0])
    updated = []
    for parts in (1, 2):
        student = kd.extract_student(teacher, [0], seed=1)
        distiller = kd.Distiller(
            teacher, student, micro_batches=parts, **kd.task_losses()
        )
        distiller.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        distiller.train_on_batch(x, labels, weights)
        updated.append(np.asarray(student.classifier.kernel))
    np.testing.assert_allclose(*updated, atol=1e-6)
    before = kd.extract_student(teacher, [0], seed=1).classifier.kernel
    assert np.abs(updated[0] - np.asarray(before)).max() > 1e-4


def test_classes_in_another_order_are_refused(tiny_config):
    models = [
        kd.BertClassifier(tiny_config, names) for names in (["a", "b"], "ba")
    ]
    with pytest.raises(ValueError, match="the teacher's `class_names`"):
        kd.Distiller(*models, **kd.task_losses())


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (kd.BertRegressor, {}, "`task_losses.regression=True.`"),
        (kd.BertRegressor, {"alpha_label": 0}, "`regression` must be True"),
        (kd.BertTokenClassifier, {}, "`task_losses.per_token=True.`"),
        (kd.BertClassifier, {"per_token": True}, "`per_token` must be False"),
        (kd.BertClassifier, {"regression": True}, "`regression` must be False"),
        (kd.BertSpanExtractor, {"per_token": True}, "`per_token` must be"),
        (kd.BertMaskedLM, {}, "`distilbert_losses`"),
        (kd.BertMaskedLM, {"alpha_label": 0}, "`distilbert_losses`"),
    ],
)
def test_terms_of_another_kind_of_task_are_refused(
    tiny_config, kind, given, expected
):
    named = kind in (kd.BertTokenClassifier, kd.BertClassifier)
    arguments = {"class_names": ["a", "b"]} if named else {}
    models = [kind(tiny_config, **arguments) for _ in range(2)]
    with pytest.raises(ValueError, match=expected):
        kd.Distiller(*models, **kd.task_losses(**given))


def test_a_teacher_of_another_task_is_refused(tiny_config):
    teacher = kd.BertTokenClassifier(tiny_config, class_names=["a", "b"])
    student = kd.BertClassifier(tiny_config, class_names=["a", "b"])
    with pytest.raises(ValueError, match="the teacher's `per_token`"):
        kd.Distiller(teacher, student, **kd.task_losses(alpha_ce=0))
