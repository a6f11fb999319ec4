"""How each exported file is called: its inputs, outputs, and a snippet.

Every snippet runs in the folder of the export as it stands; tests do so.
"""

from keras_kd.export.litert_model import POSITIONS
from keras_kd.export.serving import embedding_of
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
    longest_text,
)

_INPUTS = {
    "token_ids": "ids of the tokens, [CLS] and [SEP] among them",
    "segment_ids": "0; 1 for the second text of a pair",
    "padding_mask": "1; 0 for padding",
    "mask_positions": "places to score, from 0",
}
# Shape and meaning of `logits`, by the kind of model.
_LOGITS = {
    BertMaskedLM: ("(B, K, V)", "a score for each token of the vocabulary"),
    BertClassifier: ("(B, C)", "a score for each class; softmax them"),
    BertRegressor: ("(B, 1)", "the number"),
    BertTokenClassifier: ("(B, T, C)", "a score for each class of each token"),
    BertSpanExtractor: ("(B, 2, T)", "of the answer's first and last token"),
}
_TOKENS = """\
import numpy as np
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({longest})
tokenizer.enable_padding(pad_id={pad_id}, pad_token="{pad}"{fixed})
rows = tokenizer.encode_batch({texts})
inputs = {{
{inputs}}}
"""
_INPUT_LINES = {
    "token_ids": '    "token_ids": np.array([r.ids for r in rows], "int32"),\n',
    "segment_ids": '    "segment_ids": np.array([r.type_ids for r in rows], '
    '"int32"),\n',
    "padding_mask": '    "padding_mask": np.array([r.attention_mask for r in '
    'rows], "int32"),\n',
    "mask_positions": '    "mask_positions": np.array(\n'
    '        [[r.tokens.index("{mask}")]{times} for r in rows], "int32"\n'
    "    ),\n",
}
_RUNS = {
    "keras": """\
import keras
import keras_kd

model = keras.saving.load_model("student.keras", compile=False)
outputs = model(inputs)
""",
    "saved_model": """\
import tensorflow as tf

model = tf.saved_model.load("saved_model")
tensors = {name: tf.constant(value) for name, value in inputs.items()}
outputs = model.signatures["serving_default"](**tensors)
""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
names = [output.name for output in session.get_outputs()]
outputs = dict(zip(names, session.run(None, inputs)))
""",
    "openvino": """\
import openvino

precision = {"INFERENCE_PRECISION_HINT": "f32"}
model = openvino.Core().compile_model("openvino/model.xml", "CPU", precision)
results = model(inputs)
outputs = {name: results[o] for o in model.outputs for name in o.get_names()}
""",
    "litert": """\
from ai_edge_litert.interpreter import Interpreter

run = Interpreter(model_path="model.tflite").get_signature_runner()
outputs = run(**inputs)
""",
}
_RUNS["litert_int8"] = _RUNS["litert"].replace("model.", "model_int8.", 1)
_KERAS_POOL = """\
pool = keras_kd.Pooling("{}", normalize={})
states = outputs["hidden_states"][-1]
outputs["embedding"] = pool(states, inputs["padding_mask"])
"""
_TITLES = {
    "keras": "Keras",
    "saved_model": "TensorFlow, token ids in",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
    "litert_int8": "LiteRT, 8-bit weights",
}
FIXED = ("litert", "litert_int8")


def call_section(student, tokenizer, formats, length, pooling=None):
    """The part of a card that says how its files are called.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        tokenizer: `WordPieceTokenizer`.
        formats: Names of the formats that were written.
        length: Int (T) of LiteRT files.
        pooling: As of `serving_model`.

    Returns:
        Markdown, str; "" where no format takes these inputs.
    """
    formats = [name for name in formats if name in _RUNS]
    if not formats:
        return ""
    fixed = sorted(set(formats) & set(FIXED))
    return "\n".join(
        [
            "## Inputs and outputs",
            *inputs_table(student, tokenizer, fixed and length),
            *outputs_table(student, pooling),
            *(
                snippet(student, tokenizer, name, length, pooling)
                for name in formats
            ),
        ]
    )


def inputs_table(student, tokenizer, fixed):
    """Lines of a table of inputs; `fixed` is LiteRT's length, or 0."""
    longest = student.config.max_sequence_length
    yield f"B texts of T tokens, T up to {longest}, padded with "
    yield f"`{tokenizer.special_tokens[0]}` (id {tokenizer.pad_id})."
    if fixed:
        positions = f", K = {POSITIONS}" if _scores_places(student) else ""
        yield f"LiteRT files take one shape: B = 1, T = {fixed}{positions}."
    yield from ("", "| input | type | shape | |", "| --- | --- | --- | --- |")
    for tensor in student.inputs:
        shape = "(B, K)" if tensor.name == "mask_positions" else "(B, T)"
        meaning = _INPUTS[tensor.name]
        yield f"| `{tensor.name}` | int32 | {shape} | {meaning} |"
    yield ""


def outputs_table(student, pooling=None):
    """Lines of a table of outputs, and of the classes in their order."""
    dim = student.config.hidden_dim
    if isinstance(student, BertBackbone):
        embedding = embedding_of(student, pooling)
        rows = {
            "last_hidden_state": (f"(B, T, {dim})", "a vector for each token"),
            "embedding": (f"(B, {dim})", str(embedding)),
        }
        if student.config.pooler:
            rows["pooled"] = f"(B, {dim})", "the dense layer over [CLS]"
    else:
        rows = {"logits": _LOGITS[type(student)]}
        if getattr(student, "sigmoid", False):
            rows = {"logits": ("(B, 1)", "a logit; its sigmoid is the number")}
    yield from ("| output | type | shape | |", "| --- | --- | --- | --- |")
    for name, (shape, meaning) in rows.items():
        yield f"| `{name}` | float32 | {shape} | {meaning} |"
    yield ""
    names = getattr(student, "class_names", None)
    if names:
        order = ", ".join(f"{i} `{name}`" for i, name in enumerate(names))
        yield f"Classes, in the order of the scores: {order}."
        yield ""
    if isinstance(student, BertBackbone):
        yield from _text_lines(student, embedding)


def _text_lines(student, embedding):
    """What is done to a text before it is embedded."""
    longest = longest_text(student.config, embedding)
    yield f"Texts of more than {longest} tokens are to be cut."
    if embedding.prompt:
        yield f"`{embedding.prompt}` stands before every text."
    others = [f"`{n}`: `{text}`" for n, text in embedding.prompts if text]
    if others:
        yield f"Prompts: {', '.join(others)}."
    yield ""


def snippet(student, tokenizer, name, length, pooling=None):
    """A section that calls the file of one format."""
    tokens = token_lines(student, tokenizer, name, length, pooling)
    code = f"{tokens}\n{_RUNS[name]}"
    if name == "keras" and isinstance(student, BertBackbone):
        own = embedding_of(student, pooling)
        code += _KERAS_POOL.format(own.pooling, own.normalize)
    code += "for name, values in outputs.items():\n"
    code += "    print(name, np.shape(values))\n"
    return f"### {_TITLES[name]}\n```python\n{code}{_best(student)}```\n"


def token_lines(student, tokenizer, name, length, pooling=None):
    """Python that makes `inputs` of texts."""
    pad, mask = tokenizer.special_tokens[0], tokenizer.special_tokens[4]
    texts, longest, prompt = ["a text", "another one"], None, ""
    if isinstance(student, BertBackbone):
        embedding = embedding_of(student, pooling)
        longest = longest_text(student.config, embedding)
        prompt = embedding.prompt
    if _scores_places(student):
        texts = [f"the {mask} of a list", f"a {mask}"]
    if isinstance(student, BertSpanExtractor):
        texts = [("a question", "the text"), ("another", "and its text")]
    if prompt:
        texts = [prompt + text for text in texts]
    fixed = name in FIXED
    lines = "".join(_INPUT_LINES[tensor.name] for tensor in student.inputs)
    if _scores_places(student):
        times = f" * {POSITIONS}" if fixed else ""
        lines = lines.replace("{mask}", mask).replace("{times}", times)
    return _TOKENS.format(
        longest=length
        if fixed
        else longest or student.config.max_sequence_length,
        pad_id=tokenizer.pad_id,
        pad=pad,
        fixed=f", length={length}" if fixed else "",
        texts=repr(texts[:1] if fixed else texts),
        inputs=lines,
    )


def _scores_places(student):
    return any(tensor.name == "mask_positions" for tensor in student.inputs)


def _best(student):
    """Python that says the best class by its name."""
    if not isinstance(student, BertClassifier):
        return ""
    return (
        f"classes = {list(student.class_names)!r}\n"
        'best = np.argmax(outputs["logits"], axis=-1)\n'
        "print([classes[index] for index in best])\n"
    )
