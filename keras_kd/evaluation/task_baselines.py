"""Baselines of a task that need no encoder, scored on the same texts."""

import numpy as np
import scipy.sparse
from keras_kd.evaluation.task_metrics import task_scores
from keras_kd.extras import import_extra


def majority_scores(metrics, training_labels, labels, num_classes=None):
    """The baseline that says the same of every text.

    Args:
        metrics: As of `task_scores`.
        training_labels: (M,) int ids, or float numbers.
        labels: (N,), of the texts to score.
        num_classes: Int (C); None: the labels are numbers, and it says their
            mean.

    Returns:
        Dict, as of `task_scores`.
    """
    if num_classes is None:
        said = [np.mean(training_labels)]
    else:
        said = np.bincount(training_labels, minlength=num_classes)
    return task_scores(metrics, labels, np.tile(said, (len(labels), 1)))


def tfidf_scores(
    metrics, training_texts, training_labels, texts, labels, num_classes=None
):
    """The baseline that a user would try first: words and pairs of words.

    TF-IDF (of a pair of texts, of each by itself) and logistic regression; for
    numbers, ridge regression. Settings are scikit-learn's own, but for
    sublinear term frequencies.

    Args:
        metrics: As of `task_scores`.
        training_texts: List of M `LabeledText`.
        training_labels: (M,) int ids, or float numbers.
        texts: List of N `LabeledText`.
        labels: (N,).
        num_classes: As of `majority_scores`.

    Returns:
        Dict, as of `task_scores`.

    Raises:
        ImportError: If scikit-learn, of the extra "tasks", is not installed.
    """
    linear = import_extra("sklearn.linear_model", "tasks")
    train, found = _vectors(training_texts, texts)
    if num_classes is None:
        model = linear.Ridge().fit(train, training_labels)
        return task_scores(metrics, labels, model.predict(found)[:, None])
    model = linear.LogisticRegression(max_iter=1000)
    model.fit(train, training_labels)
    scores = np.zeros((len(texts), num_classes))
    scores[:, model.classes_] = model.predict_proba(found)
    return task_scores(metrics, labels, scores)


def _vectors(training_texts, texts):
    """Both as sparse matrices, a row a text; words are the training texts'."""
    module = import_extra("sklearn.feature_extraction.text", "tasks")
    parts = ["text"] if texts[0].pair is None else ["text", "pair"]
    train, found = [], []
    for part in parts:
        tfidf = module.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        known = [getattr(text, part) for text in training_texts]
        train.append(tfidf.fit_transform(known))
        found.append(tfidf.transform([getattr(t, part) for t in texts]))
    return scipy.sparse.hstack(train).tocsr(), scipy.sparse.hstack(
        found
    ).tocsr()
