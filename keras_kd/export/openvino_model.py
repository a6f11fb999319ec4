"""The student as an OpenVINO model, checked on the CPU."""

from keras_kd.export.serving import (
    check_outputs,
    sample_inputs,
    serving_model,
)
from keras_kd.extras import import_extra


def write_openvino(student, folder, pooling=None):
    """Writes model.xml and model.bin and compares them with Keras.

    OpenVINO computes in bfloat16 by itself where the processor has it. The
    check is in float32 (`INFERENCE_PRECISION_HINT`), as the weights are.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        folder: `pathlib.Path` of the folder to write.
        pooling: As of `serving_model`.

    Raises:
        ImportError: If the extra "openvino" is not installed.
        RuntimeError: If the model does not compute what Keras does.
    """
    openvino = import_extra("openvino", "openvino")
    model = serving_model(student, pooling)
    model(sample_inputs(student))  # Keras exports what was called
    folder.mkdir()
    path = folder / "model.xml"
    model.export(str(path), format="openvino", verbose=False)
    compiled = openvino.Core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for length in (None, 5):  # of any length
        inputs = sample_inputs(student, length)
        results = compiled(inputs)
        received = {  # an output has several names
            name: results[output]
            for output in compiled.outputs
            for name in output.get_names()
        }
        check_outputs(model, inputs, received, "The OpenVINO model")
