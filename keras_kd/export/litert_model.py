"""The student as a LiteRT (TensorFlow Lite) file, checked in its interpreter.

One text at a time, of a fixed length; a masked LM scores `POSITIONS` of it.
"""

import tempfile

import keras
import numpy as np
from keras_kd.export.serving import (
    check_outputs,
    sample_inputs,
    serving_model,
)
from keras_kd.extras import import_extra
from keras_kd.models import BertBackbone, BertRegressor, BertTokenClassifier
from keras_kd.quiet import import_tensorflow

POSITIONS = 4
TEXTS = 100  # of held-out text, that an int8 file is checked on
AGREEMENT = 0.98  # of the best token, or class
NEAR = 0.05  # of a regressor's numbers, the same share of which must be so
COSINE = 0.99  # of the embeddings of a model without a head


def write_litert(student, path, length, pooling=None):
    """Writes float32 and compares it with Keras.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        path: `pathlib.Path` of the file to write.
        length: Int (T).
        pooling: As of `serving_model`.

    Raises:
        ImportError: If the extra "litert" is not installed.
        RuntimeError: If the file does not compute what Keras does.
    """
    model = serving_model(student, pooling)
    path.write_bytes(convert(model, length, int8=False))
    run = runner(path)
    for inputs in singly(sample_inputs(student, length)):
        check_outputs(model, inputs, run(inputs), "The LiteRT file")


def write_litert_int8(student, path, length, held_out, pooling=None):
    """Writes 8-bit weights and compares what comes out on held-out text.

    "Dynamic range": weights are 8-bit, activations are made so on the way.

    Args:
        student: As of `write_litert`.
        path: As of `write_litert`.
        length: As of `write_litert`.
        held_out: Dataset whose elements begin with the dict of inputs.
        pooling: As of `serving_model`.

    Returns:
        What was measured, in words, the share or the cosine, and the number
        of texts.

    Raises:
        ImportError: If the extra "litert" is not installed.
        RuntimeError: If less than 0.98 of the best tokens, or classes, are
            Keras's, or of numbers near to Keras's, or the mean cosine of
            embeddings is below 0.99.
    """
    model = serving_model(student, pooling)
    path.write_bytes(convert(model, length, int8=True))
    run = runner(path)
    names = [tensor.name for tensor in student.inputs]
    agreements = []
    for inputs in some_texts(held_out, names, length):
        expected = {
            name: keras.ops.convert_to_numpy(values)
            for name, values in model(inputs, training=False).items()
        }
        agreements.append(agreement(student, inputs, expected, run(inputs)))
    found = float(np.mean(agreements))
    what, least = "best outputs that are", AGREEMENT
    if isinstance(student, BertRegressor):
        what = f"numbers within {NEAR} of"
    if isinstance(student, BertBackbone):
        what, least = "a mean cosine of embeddings with", COSINE
    if not found >= least:
        raise RuntimeError(
            f"The 8-bit LiteRT file must have {what} Keras's of at least "
            f"{least} on held-out text; the format 'litert' is the same in "
            f"32 bits. Received: {found:.4f}"
        )
    return f"{what} Keras's", found, len(agreements)


def agreement(student, inputs, expected, received):
    """How alike the outputs for a text are, 1 for equal ones.

    Args:
        student: As of `write_litert`.
        inputs: Dict of arrays of one text.
        expected: Dict of arrays, Keras's outputs.
        received: Dict of arrays, the file's.

    Returns:
        Float: the share of best tokens or classes that are Keras's, of real
        tokens alone; of numbers those within `NEAR`, of Keras's where that is
        more than 1; of embeddings the cosine.
    """
    if isinstance(student, BertBackbone):
        a, b = expected["embedding"], received["embedding"]
        return np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    a, b = expected["logits"], received["logits"]
    if isinstance(student, BertRegressor):
        return np.mean(np.abs(a - b) <= NEAR * np.maximum(1, np.abs(a)))
    same = np.equal(a.argmax(-1), b.argmax(-1))
    if isinstance(student, BertTokenClassifier):
        same = same[inputs["padding_mask"].astype(bool)]
    return np.mean(same)


def convert(model, length, int8):
    """The bytes of a file, for batches of one text."""
    tf = import_tensorflow("LiteRT")
    widths = {"mask_positions": POSITIONS}
    signature = {
        tensor.name: tf.TensorSpec(
            (1, widths.get(tensor.name, length)), tf.int32, tensor.name
        )
        for tensor in model.inputs
    }
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", lambda x: model(x, training=False), [signature]
    )
    # By a SavedModel: of a bare function the converter leaves the weights
    # variables that nobody fills, and the interpreter gives NaN.
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()


def runner(path):
    """A function of a dict of inputs, that the interpreter runs."""
    litert = import_extra("ai_edge_litert.interpreter", "litert")
    interpreter = litert.Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner()
    return lambda inputs: run(**inputs)


def singly(inputs):
    """Batches of one text out of one of several, the first `POSITIONS`."""
    for index in range(len(inputs["token_ids"])):
        one = {
            name: values[index : index + 1] for name, values in inputs.items()
        }
        if "mask_positions" in one:
            one["mask_positions"] = np.resize(
                one["mask_positions"], (1, POSITIONS)
            )
        yield one


def some_texts(held_out, names, length):
    """`TEXTS` texts of held-out batches, cut or padded to `length`."""
    found = 0
    for x, *_ in held_out:
        x = {name: np.asarray(x[name]) for name in names if name in x}
        for one in singly(x):
            if found == TEXTS:
                return
            if one["padding_mask"].any():
                found += 1
                yield {
                    name: values
                    if name == "mask_positions"
                    else fit_length(values, length)
                    for name, values in one.items()
                }


def fit_length(values, length):
    """(1, T) of any T to (1, length): cut, or padded with zeros."""
    values = values[:, :length]
    return np.pad(values, [(0, 0), (0, length - values.shape[1])])
