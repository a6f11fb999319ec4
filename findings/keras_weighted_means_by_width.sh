#!/usr/bin/env bash
# Keras 3.15.1: a weighted metric of words depends on how wide batches are padded.
#
# One would guess that `SparseCategoricalAccuracy` with `sample_weight` (B, T),
# 1 for a real word and 0 for padding, is the share of right words: Σ w · right /
# Σ w. It is that only where all batches are equally wide. A metric takes the mean
# over T first, of values and of weights, so that a batch's words count 1 / T each:
# words of short sentences count more where they are padded less.
#
# Seen: three sentences of 4, 2 and 1 words, 3 of 7 right. Each padded to its own
# length 0.3333, all padded to 4 words 0.4286 = 3 / 7. With words handed over flat,
# (B * T,), it is 3 / 7 either way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 numpy==2.1.3 jax==0.10.2
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

SENTENCES = [1, 1, 0, 0], [1, 0], [0]  # which words are right


def accuracy(width=None, flat=False):
    metric = keras.metrics.SparseCategoricalAccuracy()
    for sentence in SENTENCES:
        padding = (width or len(sentence)) - len(sentence)
        right = np.array([sentence + [0] * padding])
        weights = np.array([[1.0] * len(sentence) + [0.0] * padding])
        labels = np.zeros_like(right)
        logits = np.eye(2)[1 - right]
        if flat:
            labels, weights = labels.ravel(), weights.ravel()
            logits = logits.reshape(-1, 2)
        metric.update_state(labels, logits, sample_weight=weights)
    return round(float(metric.result()), 4)


found = accuracy(), accuracy(width=4), accuracy(flat=True)
print("keras", keras.__version__, "own width, width 4, flat:", found)
assert found == (0.3333, 0.4286, 0.4286), found
PYTHON
