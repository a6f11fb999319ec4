"""The model card: what an exported folder holds and what it is worth."""

from keras_kd.export.card_use import call_section
from keras_kd.export.character_rules import why_not_by_characters
from keras_kd.export.serving import embedding_of
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
)

_CARD = """\
---
library_name: {library}
pipeline_tag: {task}
tags: [bert, keras, keras_kd, knowledge-distillation]
---
# {name}

A BERT encoder with {num_layers} layers of width {hidden_dim}, {parameters:,}
parameters, a vocabulary of {vocabulary_size:,} tokens and room for
{max_sequence_length} of them, made with keras_kd. {description}

{body}
## Measured
{measured}

Not tested on Apple Metal.
"""

# Row of the table of files, by the format that writes it.
_FILES = {
    "keras": "| `student.keras` | Keras: `keras_kd` imported, "
    "`keras.saving.load_model` |",
    "saved_model": "| `saved_model/` | TensorFlow; signatures below |",
    "hugging_face": "| `hugging_face/` | `transformers`, "
    "`keras_kd.load_checkpoint` |",
    "onnx": "| `model.onnx` | ONNX Runtime and others |",
    "openvino": "| `openvino/` | OpenVINO; checked in float32, it may choose "
    "bfloat16 itself |",
    "litert": "| `model.tflite` | LiteRT; one text of a fixed length |",
    "litert_int8": "| `model_int8.tflite` | the same with 8-bit weights |",
}
_SAVED_MODEL_USE = """\
## Use
```python
import tensorflow as tf

model = tf.saved_model.load("saved_model")
{text_use}```
`serving_default` takes {inputs} and gives {outputs}.

"""
_TEXT_USE = """\
texts = tf.constant(["a text", "another"])
{task_use}vectors = model.signatures["embed"](texts)["embedding"]  # {embedding}
"""
_HUGGING_FACE_USE = """\
## Use
In this folder:
```python
from transformers import AutoTokenizer, {auto}

model = {auto}.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
outputs = model(**tokenizer(["a text"], return_tensors="pt"))
```

"""
_SENTENCE_USE = """\
```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer(".").encode(["a text"])
```

"""
_TASK_USE = {
    BertMaskedLM: """\
filled = model.signatures["fill_mask"](tf.constant(["The [MASK] of a list."]))
print(filled["tokens"][0, 0], filled["scores"][0, 0])
""",
    BertClassifier: """\
found = model.signatures["classify"](texts)
print(found["label"], found["classes"], found["scores"])
# Of pairs: "classify_pair".
""",
    BertRegressor: """\
print(model.signatures["rate"](texts)["number"])  # of pairs: "rate_pair"
""",
}
_TASKS = {
    BertMaskedLM: "fill-mask",
    BertClassifier: "text-classification",
    BertRegressor: "text-classification",
    BertTokenClassifier: "token-classification",
    BertSpanExtractor: "question-answering",
}

_FIGURES = ("masked_cross_entropy", "perplexity", "top1", "top5", "teacher_kl")


def model_card(
    student,
    tokenizer,
    formats,
    metrics,
    name,
    description="",
    length=128,
    pooling=None,
    int8=None,
):
    """The card of an export.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        tokenizer: `WordPieceTokenizer`.
        formats: Names of the formats that were written.
        metrics: Dict of model name to the dict of `evaluate`; or of a task,
            as the recipes of fine-tuning write it; or None.
        name: Str, the title.
        description: Str, how it was trained.
        length: Int (T) of LiteRT files.
        pooling: As of `serving_model`.
        int8: What `write_litert_int8` measured, or None.

    Returns:
        Markdown, str.
    """
    rows = [
        "## Files",
        "| file | opens in |",
        "| --- | --- |",
        *(_FILES[name] for name in formats),
        "| `vocab.txt`, `tokenizer.json`, `tokenizer_config.json` | Hugging "
        "Face `tokenizers`, `keras_kd.WordPieceTokenizer.load` |",
        "| `metrics.json` | the figures below |",
    ]
    body = "\n".join(rows) + "\n\n"
    if int8 is not None:
        what, found, texts = int8
        body += (
            f"8-bit weights, on {texts} held-out texts: {what}, {found:.4f} "
            "(1 were no difference).\n\n"
        )
    if "saved_model" in formats:
        inputs = [f"`{tensor.name}`" for tensor in student.inputs]
        outputs = "`last_hidden_state` and `embedding`"
        if isinstance(student, BertMaskedLM):
            outputs = "`logits` at `mask_positions`"
        elif not isinstance(student, BertBackbone):
            outputs = "`logits`"
        takes_text = why_not_by_characters(tokenizer) is None
        task_use = _TASK_USE.get(type(student), "")
        text_use = _TEXT_USE.format(
            task_use=task_use, embedding=embedding_of(student, pooling)
        )
        body += _SAVED_MODEL_USE.format(
            text_use=text_use if takes_text else "",
            inputs=", ".join(inputs),
            outputs=outputs,
        )
    body += call_section(student, tokenizer, formats, length, pooling)
    return _fill(student, "keras", body, metrics, name, description)


def hugging_face_card(student, metrics, name, description=""):
    """The card of a folder for `transformers`; arguments as `model_card`."""
    auto = {
        BertMaskedLM: "AutoModelForMaskedLM",
        BertClassifier: "AutoModelForSequenceClassification",
        BertRegressor: "AutoModelForSequenceClassification",
        BertTokenClassifier: "AutoModelForTokenClassification",
        BertSpanExtractor: "AutoModelForQuestionAnswering",
    }.get(type(student), "AutoModel")
    body = _HUGGING_FACE_USE.format(auto=auto)
    if isinstance(student, BertBackbone):
        body += _SENTENCE_USE
    return _fill(student, "transformers", body, metrics, name, description)


def _fill(student, library, body, metrics, name, description):
    config = student.config
    return _CARD.format(
        library=library,
        task=_TASKS.get(type(student), "feature-extraction"),
        name=name,
        description=description,
        body=body,
        parameters=student.count_params(),
        measured=_table(metrics) if metrics else "Nothing was handed over.",
        num_layers=config.num_layers,
        hidden_dim=config.hidden_dim,
        vocabulary_size=config.vocabulary_size,
        max_sequence_length=config.max_sequence_length,
    )


def _table(metrics):
    """Of each model its figures; of a task its scores, and its baselines'."""
    if "task" in metrics:
        title = (
            # A task of one's own is named by its training file.
            f"{metrics.get('held_out', metrics['task'])}, "
            f"{metrics['rows']['validation']:,} texts for validation, by "
            "which nothing was chosen."
        )
        model = {metrics["model"]["name"]: metrics["scores"]}
        rows, columns = model | metrics["baselines"], list(metrics["scores"])
        digits = 4
    else:
        title = "Held-out text, fixed masks; cross-entropy in nats."
        rows, columns, digits = metrics, _FIGURES, 3
        if not any(name in row for row in rows.values() for name in _FIGURES):
            # Of an encoder without a head, that was compared with another.
            title = "Held-out text, beside the encoder it was cut out of."
            columns = list(dict.fromkeys(c for r in rows.values() for c in r))
    lines = [
        title,
        "",
        "| model | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for name, row in rows.items():
        cells = [f"{row[c]:.{digits}f}" if c in row else "-" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
