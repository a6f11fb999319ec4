"""export_student: a folder that Keras, TensorFlow and others open."""

import json
import pathlib

import keras
from keras_kd.checkpoints import save_checkpoint
from keras_kd.export.litert_model import write_litert, write_litert_int8
from keras_kd.export.model_card import hugging_face_card, model_card
from keras_kd.export.onnx_file import write_onnx
from keras_kd.export.openvino_model import write_openvino
from keras_kd.export.saved_model import write_saved_model
from keras_kd.export.serving import embedding_of
from keras_kd.extras import import_extra
from keras_kd.models import BertBackbone, longest_text
from keras_kd.models.quantized_layers import check_float
from keras_kd.quiet import import_tensorflow
from keras_kd.whole_folder import whole_folder

# What each format writes.
FORMATS = {
    "keras": "student.keras",
    "saved_model": "saved_model",
    "hugging_face": "hugging_face",
    "onnx": "model.onnx",
    "openvino": "openvino",
    "litert": "model.tflite",
    "litert_int8": "model_int8.tflite",
}
# Modules that a format needs, of the extra of its name.
EXTRAS = {
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
    "litert_int8": ("ai_edge_litert",),
}
OTHER_FILES = (
    "README.md",
    "metrics.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def export_student(
    student,
    folder,
    tokenizer,
    metrics=None,
    description="",
    overwrite=False,
    formats=("keras", "saved_model"),
    depths=(),
    held_out=None,
    length=128,
    pooling=None,
):
    """Writes the student in one format or several, tokenizer files and card.

    Every file that computes is run and compared with the Keras model before
    anything appears under `folder`: all is written beside and moved in when
    it is whole.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        folder: Str or path. May exist; other files in it stay.
        tokenizer: `WordPieceTokenizer` of the student.
        metrics: Dict of model name to the dict of `evaluate`, or a task's
            as of `model_card`, for metrics.json and the model card; or None.
        description: Str for the card: how the student was trained.
        overwrite: Bool. Whether files of the export's names that are there
            (README.md, metrics.json, saved_model, ...) may be replaced.
        formats: Names out of `keras_kd.export.FORMATS`: "keras",
            "saved_model", "hugging_face"; "onnx", "openvino", "litert" and
            "litert_int8" with the extras of these names.
        depths: List of lists of encoder layers, for the SavedModel: each
            becomes a signature "depth_<layers>" that runs those layers alone,
            of the same variables. For an encoder trained with LayerDrop.
        held_out: Dataset of batches of held-out text, as of
            `masked_lm_batches` or `token_batches`, that "litert_int8" is
            checked on.
        length: Int (T), of LiteRT files, which take no other; at most the
            student's longest.
        pooling: How states become a text's embedding, in every format:
            "mean", "cls" or a `SentenceEmbedding`; default: the encoder's
            own (`config.embedding`), else the mean, of length 1. Of a task
            model it is the SavedModel's `embed`.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: If a format is unknown, tokenizer and student have
            different vocabularies, or an encoder's own embedding has what no
            code here does, such as a Dense layer.
        ImportError: If a format's extra is not installed.
        FileExistsError: If there is an export already, or a file of a name
            that it needs.
        OSError: If the folder cannot be written; nothing is left in it.
        RuntimeError: If a file does not compute what Keras does, or Keras
            does not run on TensorFlow.

    Warns:
        UserWarning: If the tokenizer treats text in another way than BERT's:
            the SavedModel takes token ids alone then.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "`export_student` needs the TensorFlow backend: `student.save` "
            "the model, and load and export it with KERAS_BACKEND=tensorflow. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    tf = import_tensorflow("`export_student`")
    embedding = embedding_of(student, pooling)
    _check(student, tokenizer, formats, held_out, length, embedding)
    folder = pathlib.Path(folder)
    writers = {
        "keras": student.save,
        "saved_model": lambda path: write_saved_model(
            student, tokenizer, path, depths, embedding
        ),
        "hugging_face": lambda path: save_checkpoint(
            student,
            path,
            tokenizer,
            pooling=embedding if isinstance(student, BertBackbone) else None,
            card=hugging_face_card(student, metrics, folder.name, description),
        ),
        "onnx": lambda path: write_onnx(student, path, embedding),
        "openvino": lambda path: write_openvino(student, path, embedding),
        "litert": lambda path: write_litert(student, path, length, embedding),
        "litert_int8": lambda path: write_litert_int8(
            student, path, length, held_out, embedding
        ),
    }
    names = [*(FORMATS[name] for name in formats), *OTHER_FILES]
    with whole_folder(folder, names, overwrite) as beside:
        tokenizer.save(beside)
        measured = {}
        for name in formats:
            try:
                measured[name] = writers[name](beside / FORMATS[name])
            except tf.errors.OpError as error:  # a full disk, says TensorFlow
                raise OSError(str(error)) from error
        card = model_card(
            student,
            tokenizer,
            formats,
            metrics,
            folder.name,
            description,
            length=length,
            pooling=embedding,
            int8=measured.get("litert_int8"),
        )
        (beside / "README.md").write_text(card, "utf-8")
        text = json.dumps(metrics or {}, indent=2) + "\n"
        (beside / "metrics.json").write_text(text, "utf-8")
    return folder


def _check(student, tokenizer, formats, held_out, length, embedding):
    """Refuses what would fail after long work."""
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise ValueError(
            f"`formats` must be out of {list(FORMATS)}. Received: "
            f"{list(formats)}"
        )
    tokenizer.check_vocabulary_size(student.config.vocabulary_size, "student")
    if "litert_int8" in formats and held_out is None:
        raise ValueError(
            "`held_out` must be batches of held-out text, which 'litert_int8' "
            "is checked on. Received: None"
        )
    if {"hugging_face", "openvino", "litert_int8"} & set(formats):
        check_float([student])  # they hold, or make, integers of their own
    longest = student.config.max_sequence_length
    if isinstance(student, BertBackbone):
        longest = longest_text(student.config, embedding)
    fixed = {"litert", "litert_int8"} & set(formats)
    if fixed and not 1 <= length <= longest:
        raise ValueError(
            f"`length` must be from 1 to the student's {longest} positions. "
            f"Received: {length}"
        )
    for name in formats:
        for module in EXTRAS.get(name, ()):
            import_extra(module, name.removesuffix("_int8"))
