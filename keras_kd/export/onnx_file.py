"""The student as an ONNX file, checked in ONNX Runtime."""

import contextlib
import gc
import threading

from keras_kd.export.serving import (
    check_outputs,
    sample_inputs,
    serving_model,
)
from keras_kd.extras import import_extra

OPSET = 17  # the first with LayerNormalization


def write_onnx(student, path, pooling=None):
    """Writes it, batch and length of any size, and compares it with Keras.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        path: `pathlib.Path` of the file to write.
        pooling: As of `serving_model`.

    Raises:
        ImportError: If the extra "onnx" is not installed.
        RuntimeError: If the file does not compute what Keras does.
    """
    onnxruntime = import_extra("onnxruntime", "onnx")
    model = serving_model(student, pooling)
    model(sample_inputs(student))  # Keras exports what was called
    with collected_often():
        model.export(
            str(path), format="onnx", verbose=False, opset_version=OPSET
        )
    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    for length in (None, 5):  # of any length
        inputs = sample_inputs(student, length)
        names = [output.name for output in session.get_outputs()]
        received = dict(zip(names, session.run(None, inputs), strict=True))
        check_outputs(model, inputs, received, "The ONNX file")


@contextlib.contextmanager
def collected_often(seconds=0.2):
    """What is garbage is collected while this goes on, and at its end.

    tf2onnx copies the graph with all weights for each of some twenty passes.
    The copies refer to themselves, and Python, which counts objects and not
    their bytes, would leave them: fifty times the weights.
    """
    ended = threading.Event()

    def collect():
        while not ended.wait(seconds):
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        gc.collect()
