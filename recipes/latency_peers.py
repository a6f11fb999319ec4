"""The peers of `benchmark_latency.py`: one encoder in four runtimes.

Not a recipe. A maker writes the encoder's file, opens it as its users do, and
gives back a function from the dict of inputs to a dict of outputs, NumPy
arrays both. What is heavy is imported where it is needed.
"""

import importlib.util
import json
import os
import warnings

import keras_kd as kd
import keras
import numpy as np
from keras_kd.export.onnx_file import write_onnx
from keras_kd.export.serving import sample_inputs, serving_model
from keras_kd.quiet import import_tensorflow, silent_stderr

TOLERANCE = 1e-3  # in units of the largest number of an output, or of 1
NEEDED = {
    "onnx": ("onnx", ("onnx", "onnxruntime", "tf2onnx")),
    "transformers": ("bench", ("torch", "transformers")),
}
THEIR_NAMES = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}


def make_keras(encoder, path, threads):
    """`predict_on_batch`, compiled as `kd.choose_jit_compile` has it."""
    encoder.save(path / "encoder.keras")
    model = serving_model(encoder)
    model.compile(jit_compile=kd.choose_jit_compile())
    return model.predict_on_batch


def make_saved_model(encoder, path, threads):
    """The signature `serving_default` of a SavedModel that was opened."""
    from keras_kd.export.signatures import token_ids_signature

    tf = import_tensorflow("A SavedModel")
    archive = keras.export.ExportArchive()
    signature = token_ids_signature(serving_model(encoder))
    archive.add_endpoint("serving_default", *signature)
    archive.write_out(str(path), verbose=False)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(inputs, loaded=loaded):  # which holds the variables
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = serve(**inputs)
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def make_onnx(encoder, path, threads):
    """A session of ONNX Runtime."""
    import onnxruntime

    with warnings.catch_warnings(), silent_stderr():
        warnings.simplefilter("ignore")  # tf2onnx, of its own NumPy
        write_onnx(encoder, path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Between calls its threads would turn while others are timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        str(path / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda x: dict(zip(names, session.run(None, x), strict=True))


def make_transformers(encoder, path, threads):
    """`AutoModel` in PyTorch, not compiled, as `from_pretrained` gives it."""
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    kd.save_checkpoint(encoder, path)
    config = json.loads((path / "config.json").read_text("utf-8"))
    has_choice = config["model_type"] == "bert"  # DistilBERT has no pooler
    choice = {"add_pooling_layer": encoder.config.pooler} if has_choice else {}
    model = transformers.AutoModel.from_pretrained(path, **choice).eval()

    @torch.inference_mode()
    def run(inputs):
        tensors = {
            THEIR_NAMES[name]: torch.from_numpy(value).long()
            for name, value in inputs.items()
        }
        found = model(**tensors)
        states = found.last_hidden_state
        mask = tensors["attention_mask"][:, :, None].float()
        mean = (states * mask).sum(1) / mask.sum(1)
        outputs = {
            "last_hidden_state": states,
            "embedding": torch.nn.functional.normalize(mean),
        }
        if encoder.config.pooler:
            outputs["pooled"] = found.pooler_output
        return {name: value.numpy() for name, value in outputs.items()}

    return run


PEERS = {
    "keras": make_keras,
    "saved_model": make_saved_model,
    "onnx": make_onnx,
    "transformers": make_transformers,
}


def why_missing(name):
    """Why a peer cannot take part, a sentence; None where it can."""
    extra, modules = NEEDED.get(name, (None, ()))
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if not missing:
        return None
    return f"{name} needs the extra `{extra}`: no {', '.join(missing)} here"


def processors():
    """How many processors this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def set_threads(threads):
    """Keeps all to processors, TensorFlow to some; before either computes.

    Raises:
        RuntimeError: If TensorFlow has computed already, with others.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch reads it
    tf = import_tensorflow("This")
    tf.config.set_visible_devices([], "GPU")
    if threads != processors():  # else they are TensorFlow's own choice
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def make_inputs(encoder, batch_size, length, seed):
    """A batch of random ids, all tokens real."""
    shape = batch_size, length
    random = np.random.default_rng(seed)
    ids = random.integers(0, encoder.config.vocabulary_size, shape, "int32")
    inputs = {
        "token_ids": ids,
        "segment_ids": np.zeros(shape, "int32"),
        "padding_mask": np.ones(shape, "int32"),
    }
    return {tensor.name: inputs[tensor.name] for tensor in encoder.inputs}


def check_peers(functions, inputs, model):
    """Refuses a peer that does not compute what the first one does.

    Args:
        functions: Dict of a peer to its function.
        inputs: Dict of arrays.
        model: Str, for the error.

    Raises:
        RuntimeError: If a number differs by more than `TOLERANCE`.
    """
    (first, function), *others = functions.items()
    expected = function(inputs)
    for name, function in others:
        received = function(inputs)
        for key, values in expected.items():
            scale = max(1.0, float(np.abs(values).max()))
            difference = float(np.abs(values - received[key]).max()) / scale
            if not difference <= TOLERANCE:  # NaN is wrong too
                raise RuntimeError(
                    f"`{name}` must give the {key} of `{first}` for {model}, "
                    f"within {TOLERANCE}. Received: a difference of "
                    f"{difference}"
                )


def make_functions(encoder, names, folder, threads, model):
    """The peers of an encoder, checked on a padded batch.

    Returns:
        Pair of dicts by peer: the function, and the bytes of its files.
    """
    functions, sizes = {}, {}
    for name in names:
        path = folder / name
        path.mkdir()
        functions[name] = PEERS[name](encoder, path, threads)
        files = (file for file in path.rglob("*") if file.is_file())
        sizes[name] = sum(file.stat().st_size for file in files)
    check_peers(functions, sample_inputs(encoder), model)
    return functions, sizes
