#!/usr/bin/env bash
# Keras 3.15.1: a first value that is NaN stays the best there ever was.
#
# One would guess that `ModelCheckpoint(save_best_only=True)` and `EarlyStopping`
# take no NaN for an improvement, or let the first finite value improve on it. The
# first value counts whatever it is, and nothing is less than NaN: the file keeps
# the weights of the epoch that was no number, however good later ones are.
#
# Seen: val_loss NaN, 0.5, 0.25: one file is written, after the first epoch, and
# `EarlyStopping(patience=2, restore_best_weights=True)` gives back its weights.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 numpy==2.1.3 jax==0.10.2
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import keras

VALUES = float("nan"), 0.5, 0.25
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
(weight, _) = model.weights
checkpoint = keras.callbacks.ModelCheckpoint(
    f"{sys.argv[1]}/{{epoch}}.weights.h5",
    monitor="val_loss",
    save_best_only=True,
    save_weights_only=True,
)
stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
for callback in (checkpoint, stop):
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(VALUES):
        weight.assign([[float(epoch + 1)]])
        callback.on_epoch_end(epoch, {"val_loss": value})
    callback.on_train_end()
restored = float(weight.value[0, 0])
files = sorted(p.name for p in pathlib.Path(sys.argv[1]).glob("*.weights.h5"))
print("keras", keras.__version__, "files:", files, "restored: epoch", restored)
assert files == ["1.weights.h5"], files
assert restored == 1.0, restored
PYTHON
