"""The student as a SavedModel with signatures, checked."""

import warnings

import keras
from keras_kd.export.character_rules import why_not_by_characters
from keras_kd.export.serving import (
    check_outputs,
    sample_inputs,
    serving_model,
)
from keras_kd.plain_path import plain_paths
from keras_kd.quiet import import_tensorflow


def write_saved_model(student, tokenizer, path, depths=(), pooling=None):
    """Writes it and compares what it computes with Keras.

    Whoever opens it needs TensorFlow alone.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        tokenizer: `WordPieceTokenizer` of the student.
        path: `pathlib.Path` of the folder to write.
        depths: List of lists of encoder layers; each becomes a signature
            "depth_<layers>" that runs those alone. They share all variables.
        pooling: As of `serving_model`.

    Raises:
        ValueError: If two of `depths` are as deep.
        RuntimeError: If the SavedModel does not compute what Keras does.

    Warns:
        UserWarning: If the tokenizer treats text in another way than BERT's:
            the SavedModel takes token ids alone then.
    """
    # Here, so that on another backend nothing has imported TensorFlow.
    from keras_kd.export.in_graph_tokenizer import InGraphTokenizer
    from keras_kd.export.signatures import (
        text_signatures,
        token_ids_signature,
    )

    served = {"serving_default": serving_model(student, pooling)}
    for layers in depths:
        name = f"depth_{len(layers)}"
        if name in served:
            raise ValueError(
                "`depths` must be of different numbers of layers. "
                f"Received: {list(map(list, depths))}"
            )
        served[name] = serving_model(student.subnetwork(layers), pooling)
    # Without `track`, which writes all weights a second time: those that the
    # signatures use are written anyway.
    archive = keras.export.ExportArchive()
    for name, model in served.items():
        archive.add_endpoint(name, *token_ids_signature(model))
    reason = why_not_by_characters(tokenizer)
    if reason is None:
        in_graph = InGraphTokenizer(tokenizer)
        archive.track(in_graph)  # its tables
        functions = text_signatures(student, tokenizer, in_graph, pooling)
        for name, (function, signature) in functions.items():
            archive.add_endpoint(name, function, signature)
    else:
        warnings.warn(
            "The SavedModel takes token ids and no text, as `tokenizer` "
            f"treats text in another way than BERT's: {reason}",
            stacklevel=3,
        )
    tf = import_tensorflow("A SavedModel")
    with plain_paths({"folder": path.parent}) as plain:
        place = str(plain / "folder" / path.name)
        archive.write_out(place, verbose=False)
        signatures = tf.saved_model.load(place).signatures
    inputs = sample_inputs(student)
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    for name, model in served.items():
        received = signatures[name](**tensors)
        received = {key: value.numpy() for key, value in received.items()}
        check_outputs(model, inputs, received, f"The SavedModel's {name}")
