import dataclasses
import re

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.export.card_use import call_section, outputs_table

pytestmark = pytest.mark.tensorflow

NAMES = ["bad", "so so", "good"]
MODELS = {
    "masked_lm": lambda config: kd.BertMaskedLM(config, seed=0),
    "encoder": lambda config: kd.BertBackbone(config, seed=0),
    "classifier": lambda config: kd.BertClassifier(config, NAMES, seed=0),
    "regressor": lambda config: kd.BertRegressor(config, seed=0),
    "tagger": lambda config: kd.BertTokenClassifier(config, NAMES, seed=0),
    "span": lambda config: kd.BertSpanExtractor(config, seed=0),
}
SHAPES = {  # of two texts, of the snippets
    "masked_lm": "(B, K, V)",
    "classifier": "(B, C)",
    "regressor": "(B, 1)",
    "tagger": "(B, T, C)",
    "span": "(B, 2, T)",
}
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def run_snippets(folder, monkeypatch):
    """Runs all Python of a folder's card there: a list of their variables."""
    monkeypatch.chdir(folder)
    card = (folder / "README.md").read_text()
    found = []
    for code in PYTHON.findall(card):
        found.append({})
        exec(code, found[-1])
    return found


def test_lengths_types_and_outputs_are_said(tiny_config, tokenizer):
    for kind, shape in SHAPES.items():
        student = MODELS[kind](tiny_config)
        card = call_section(student, tokenizer, ["onnx", "litert"], 12)
        assert "T up to 16" in card
        assert "LiteRT files take one shape: B = 1, T = 12" in card
        assert ("K = 4" in card) == (kind == "masked_lm")
        for tensor in student.inputs:
            assert f"| `{tensor.name}` | int32 | (B, " in card
        assert f"| `logits` | float32 | {shape} |" in card
        classes = "Classes, in the order of the scores: 0 `bad`, 1 `so so`"
        assert (classes in card) == (kind in ("classifier", "tagger"))


@pytest.mark.parametrize(
    "sigmoid, meaning",
    [(True, "a logit; its sigmoid is the number"), (False, "the number")],
)
def test_whether_a_number_is_behind_a_sigmoid_is_said(
    tiny_config, sigmoid, meaning
):
    model = kd.BertRegressor(tiny_config, sigmoid=sigmoid)
    row = f"| `logits` | float32 | (B, 1) | {meaning} |"
    assert row in list(outputs_table(model))


def test_an_encoders_own_way_with_texts_is_said(tiny_config, tokenizer):
    own = kd.SentenceEmbedding(
        "cls", False, 8, {"q": "the ", "d": ""}, default_prompt="q"
    )
    config = dataclasses.replace(tiny_config, embedding=own, pooler=True)
    student = kd.BertBackbone(config)
    card = call_section(student, tokenizer, ["onnx"], 12)
    assert "(B, 16) | the first token, not normalised |" in card
    assert "| `pooled` | float32 | (B, 16) |" in card
    assert "Texts of more than 8 tokens are to be cut." in card
    assert "tokenizer.enable_truncation(8)" in card
    assert "`the ` stands before every text." in card
    assert "encode_batch(['the a text', 'the another one'])" in card
    card = call_section(student, tokenizer, ["onnx"], 12, "mean")
    assert "| the mean of the tokens, not normalised |" in card


def test_a_folder_for_transformers_has_its_own_card(tiny_config, tokenizer):
    student = MODELS["encoder"](tiny_config)
    assert call_section(student, tokenizer, ["hugging_face"], 12) == ""


@pytest.mark.parametrize("kind", MODELS)
def test_the_snippets_run(kind, tokenizer, tmp_path, monkeypatch, capsys):
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 2, max_sequence_length=12
    )
    student = MODELS[kind](config)
    kd.export_student(student, tmp_path, tokenizer, formats=["keras"])
    (values,) = run_snippets(tmp_path, monkeypatch)
    inputs = values["inputs"]
    assert inputs["token_ids"].shape[0] == 2
    assert inputs["token_ids"][0, 0] == tokenizer.cls_id
    expected = student(inputs)
    if kind == "encoder":
        states = expected["hidden_states"][-1]
        expected = {"logits": kd.MeanPooling()(states, inputs["padding_mask"])}
        values["outputs"]["logits"] = values["outputs"]["embedding"]
    np.testing.assert_allclose(
        values["outputs"]["logits"], expected["logits"], rtol=1e-5
    )
    if kind == "masked_lm":
        ids = inputs["token_ids"][[0, 1], inputs["mask_positions"][:, 0]]
        assert ids.tolist() == [tokenizer.mask_id] * 2
    if kind == "classifier":
        best = np.argmax(expected["logits"], axis=-1)
        assert f"{[NAMES[i] for i in best]}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # tf2onnx, NumPy's object
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_the_snippets_of_all_formats_give_one_result(
    kind, tokenizer, tmp_path, monkeypatch
):
    for extra in ("onnxruntime", "tf2onnx", "openvino", "ai_edge_litert"):
        pytest.importorskip(extra, reason=f"needs the extra of {extra}")
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 16, 2, max_sequence_length=12
    )
    student = MODELS[kind](config)
    kd.export_student(
        student,
        tmp_path,
        tokenizer,
        formats=["keras", "saved_model", "onnx", "openvino", "litert"],
        length=12,
        pooling="cls",
    )
    results = run_snippets(tmp_path, monkeypatch)
    results = [found for found in results if "inputs" in found]
    assert len(results) == 5
    name = "embedding" if kind == "encoder" else "logits"
    expected = np.asarray(results[0]["outputs"][name])
    for found in results[1:4]:
        np.testing.assert_allclose(found["outputs"][name], expected, atol=1e-4)
    one = np.asarray(results[4]["outputs"][name])  # one text, padded
    if name == "embedding" or expected.ndim == 2:
        np.testing.assert_allclose(one, expected[:1], atol=1e-4)
