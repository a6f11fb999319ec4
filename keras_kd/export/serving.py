"""What every exported file computes, and how it is checked."""

import keras
import numpy as np
from keras_kd.layers import Pooling
from keras_kd.models import BertBackbone, choose_embedding

TOLERANCE = 1e-4  # of float32 files, for numbers about 1


def embedding_of(student, pooling=None):
    """How a student's states become the vector of a text.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        pooling: As of `choose_embedding`. Of a task model whose encoder has
            an embedding that no code here does, None is the mean.

    Returns:
        `SentenceEmbedding`.

    Raises:
        ValueError: As `choose_embedding`.
    """
    own = student.config.embedding
    if not isinstance(student, BertBackbone) and own and own.unsupported:
        pooling = pooling or "mean"
    return choose_embedding(student.config, pooling)


def serving_model(student, pooling=None):
    """The student with the outputs that leave Keras, of the same layers.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        pooling: As of `choose_embedding`.

    Returns:
        Functional model from the student's dict of inputs to a dict: `logits`
        where there is a head; of a bare encoder `last_hidden_state`
        (B, T, D), `embedding` (B, D), as `pooling` says, and, with a pooler,
        `pooled` (B, D). All in float32.
    """
    inputs = {tensor.name: tensor for tensor in student.inputs}
    outputs = student.output
    if not isinstance(student, BertBackbone):
        return keras.Model(inputs, {"logits": outputs["logits"]})
    states = outputs["hidden_states"][-1]
    embedding = embedding_of(student, pooling)
    pool = Pooling(embedding.pooling, embedding.normalize)
    served = {
        "last_hidden_state": states,
        "embedding": pool(states, inputs["padding_mask"]),
    }
    if "pooled" in outputs:
        served["pooled"] = outputs["pooled"]
    served = {
        name: keras.ops.cast(tensor, "float32")
        for name, tensor in served.items()
    }
    return keras.Model(inputs, served)


def sample_inputs(student, length=None):
    """A padded batch of fixed random ids, to compare a written file with.

    Args:
        student: As of `serving_model`.
        length: Int or None. Tokens; default: 16, or the student's longest.

    Returns:
        Dict of int32 arrays, two texts, the second a third padding.
    """
    if length is None:
        length = min(16, student.config.max_sequence_length)
    random = np.random.default_rng(0)
    ids = random.integers(0, student.config.vocabulary_size, (2, length))
    padding_mask = np.ones((2, length), "int32")
    padding_mask[1, length - length // 3 :] = 0
    inputs = {
        "token_ids": ids.astype("int32"),
        "segment_ids": np.zeros((2, length), "int32"),
        "padding_mask": padding_mask,
        "mask_positions": np.array([[1, 2], [3, 0]], "int32") % length,
    }
    return {tensor.name: inputs[tensor.name] for tensor in student.inputs}


def check_outputs(model, inputs, received, what, tolerance=TOLERANCE):
    """Refuses a file that does not compute what Keras does.

    Args:
        model: From `serving_model`.
        inputs: Dict of arrays.
        received: Dict of arrays, what the file gave for them.
        what: Str, the file in words.
        tolerance: Float, for each number, in units of the largest of its
            output, or of 1 where that is smaller.

    Raises:
        RuntimeError: If a number differs by more, or is none.
    """
    expected = model(inputs, training=False)
    for name, values in expected.items():
        values = keras.ops.convert_to_numpy(values)
        scale = max(1.0, float(np.abs(values).max()))
        difference = float(np.abs(values - received[name]).max()) / scale
        if not difference <= tolerance:
            raise RuntimeError(
                f"{what} must give Keras's {name} within {tolerance}. "
                f"Received: a difference of {difference}"
            )
