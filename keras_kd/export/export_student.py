"""export_student: a folder that Keras and TensorFlow Serving open."""

import json
import os
import pathlib
import shutil
import tempfile

import keras
import numpy as np
from keras_kd.export.model_card import model_card
from keras_kd.runtime import import_tensorflow

FILES = (
    "README.md",
    "metrics.json",
    "saved_model",
    "student.keras",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
TOLERANCE = 1e-4


def export_student(
    student,
    folder,
    tokenizer,
    metrics=None,
    description="",
    overwrite=False,
):
    """Writes the student as `.keras`, SavedModel, tokenizer files and card.

    The SavedModel is loaded again and compared with the Keras model before
    anything appears under `folder`: everything is written beside and moved
    in when it is whole.

    Args:
        student: `BertMaskedLM`.
        folder: Str or path. May exist; other files in it stay.
        tokenizer: `WordPieceTokenizer` of the student.
        metrics: Dict of model name to the dict of `evaluate`, for
            metrics.json and the model card; or None.
        description: Str for the card: how the student was trained.
        overwrite: Bool. Whether files of the export's names that are there
            (README.md, metrics.json, saved_model, ...) may be replaced.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: If tokenizer and student have different vocabularies, or
            the tokenizer is not one that a SavedModel can hold.
        FileExistsError: If there is an export already, or a file of a name
            that it needs.
        OSError: If the folder cannot be written; nothing is left in it.
        RuntimeError: If the SavedModel does not compute what Keras does, or
            Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "`export_student` needs the TensorFlow backend: `student.save` "
            "the model, and load and export it with KERAS_BACKEND=tensorflow. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    tf = import_tensorflow("`export_student`")
    if tokenizer.vocabulary_size != student.config.vocabulary_size:
        raise ValueError(
            "`tokenizer` must have the student's vocabulary of "
            f"{student.config.vocabulary_size} tokens. "
            f"Received: {tokenizer.vocabulary_size}"
        )
    folder = pathlib.Path(folder)
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            "`folder` must not hold an export or files of its names, or be "
            f"given with overwrite=True. Received: {folder}, with {there}"
        )
    beside = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        student.save(beside / "student.keras")
        tokenizer.save(beside)
        _write_saved_model(student, tokenizer, beside / "saved_model")
        _check_saved_model(student, beside / "saved_model")
        card = model_card(student, metrics, folder.name, description)
        (beside / "README.md").write_text(card, "utf-8")
        text = json.dumps(metrics or {}, indent=2) + "\n"
        (beside / "metrics.json").write_text(text, "utf-8")
        _move_in(beside, folder)
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"`folder` could not be written: {folder}: {error}"
        ) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return folder


def _write_saved_model(student, tokenizer, path):
    # Here, so that on another backend nothing has imported TensorFlow.
    from keras_kd.export.in_graph_tokenizer import InGraphTokenizer
    from keras_kd.export.signatures import (
        text_signatures,
        token_ids_signature,
    )

    archive = keras.export.ExportArchive()
    archive.track(student)
    function, signature = token_ids_signature(student)
    archive.add_endpoint("serving_default", function, signature)
    archive.tokenizer = InGraphTokenizer(tokenizer)
    functions = text_signatures(student, tokenizer, archive.tokenizer)
    for name, (function, signature) in functions.items():
        archive.add_endpoint(name, function, signature)
    archive.write_out(str(path), verbose=False)


def _check_saved_model(student, path):
    """Compares the written signature with Keras on fixed random ids."""
    random = np.random.default_rng(0)
    length = min(16, student.config.max_sequence_length)
    inputs = {
        tensor.name: np.zeros((2, length), "int32") for tensor in student.inputs
    }
    inputs["token_ids"] += random.integers(
        0, student.config.vocabulary_size, (2, length), dtype="int32"
    )
    inputs["padding_mask"] += 1
    inputs["mask_positions"] = np.array([[1, 2], [3, 0]], "int32")
    expected = keras.ops.convert_to_numpy(student(inputs)["logits"])
    tf = import_tensorflow("`export_student`")
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    received = serve(**tensors)["logits"].numpy()
    difference = float(np.abs(expected - received).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(
            "The SavedModel must give Keras's logits within "
            f"{TOLERANCE}. Received: a difference of {difference}"
        )


def _move_in(beside, folder):
    """Moves every entry into place; what it replaces goes away after."""
    for entry in sorted(beside.iterdir()):
        target = folder / entry.name
        old = None
        if target.is_dir():
            old = pathlib.Path(tempfile.mkdtemp(prefix=".old-", dir=folder))
            os.replace(target, old / target.name)
        os.replace(entry, target)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
