import keras_kd as kd
import numpy as np
import pytest


def sure(guesses, classes=2):
    return np.eye(classes)[guesses]


def test_scores_of_classes_by_hand():
    # Of class 1: 2 hits, 1 false alarm, 1 miss; of class 0: 4 right.
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    guesses = [1, 1, 0, 1, 0, 0, 0, 0]
    scores = kd.task_scores(
        ["accuracy", "f1", "matthews"], labels, sure(guesses)
    )
    assert scores["accuracy"] == 6 / 8
    np.testing.assert_allclose(scores["f1"], 2 * 2 / (2 * 2 + 1 + 1))
    by_hand = (2 * 4 - 1 * 1) / np.sqrt(3 * 3 * 5 * 5)
    np.testing.assert_allclose(scores["matthews"], by_hand)


def test_scores_of_one_class_only():
    scores = kd.task_scores(["f1", "matthews"], [0, 1], sure([0, 0]))
    assert scores == {"f1": 0.0, "matthews": 0.0}


def test_scores_of_numbers_by_hand():
    labels = np.array([1.0, 2.0, 3.0, 4.0])
    logits = np.array([[1.0], [3.0], [2.0], [10.0]])
    scores = kd.task_scores(["pearson", "spearman"], labels, logits)
    # Deviations -1.5 -0.5 0.5 1.5 and -3 -1 -2 6: 13 of sqrt(5 * 50).
    np.testing.assert_allclose(scores["pearson"], 13 / np.sqrt(250))
    np.testing.assert_allclose(scores["spearman"], 1 - 6 * 2 / (4 * 15))
    still = kd.task_scores(["pearson"], labels, np.ones((4, 1)))
    assert still == {"pearson": 0.0}


@pytest.mark.parametrize(
    ("metrics", "labels", "logits", "message"),
    [
        (["bleu"], [0], sure([0]), "`metrics` must be out of.*bleu"),
        ([], [0], sure([0]), "`metrics` must be out of"),
        (["accuracy"], [], np.zeros((0, 2)), "N at least 1"),
        (["accuracy"], [0, 1], sure([0]), "Received: .2,. and .1, 2."),
        (["f1"], [0], sure([0], 3), "two classes alone. Received: 3"),
        (
            ["accuracy"],
            [0, 1],
            [[0, 1], [0, np.nan]],
            "`logits` must be numbers. Received: 1 rows of 2.*row 1",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(metrics, labels, logits, message):
    with pytest.raises(ValueError, match=message):
        kd.task_scores(metrics, labels, logits)


X = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0], [0, 0, 0, 0]]),
    "segment_ids": np.zeros((3, 4), int),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]]),
}


def test_predictions_are_of_what_has_weight_in_order(tiny_config):
    model = kd.BertClassifier(tiny_config, ["a", "b"], seed=0)
    batch = X, np.array([1, 0, 0]), np.array([1.0, 1.0, 0.0])
    labels, logits = kd.predict_task(model, [batch, batch])
    assert labels.tolist() == [1, 0, 1, 0]
    expected = np.asarray(model(X)["logits"])[:2]
    np.testing.assert_allclose(logits[:2], expected, atol=1e-6)
    np.testing.assert_array_equal(logits[:2], logits[2:])


@pytest.mark.parametrize(
    "distilled", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_scores_of_held_out_texts_are_in_the_logs(tiny_config, distilled):
    model = kd.BertClassifier(tiny_config, ["a", "b"], seed=0)
    model.classifier.bias.assign([5.0, 0.0])
    trained = model
    if distilled:
        teacher = kd.extract_student(model, [0, 1])
        trained = kd.Distiller(teacher, model, **kd.task_losses())
    trained.compile("sgd", jit_compile=False)
    held_out = [(X, np.array([0, 1, 0]), np.array([1.0, 1.0, 0.0]))]
    history = trained.fit(
        X,
        np.array([0, 0, 0]),
        sample_weight=np.array([1.0, 1.0, 0.0]),
        verbose=0,
        callbacks=[kd.ScoreTask(held_out, ["accuracy"])],
    ).history
    assert history["val_accuracy"] == [0.5]
