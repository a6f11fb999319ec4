r"""Live against `transformers`: theirs opened here, ours opened there.

    uv run --group parity --with sentence-transformers \
        pytest tests/checkpoints/test_transformers.py

Skipped where it, or PyTorch, is not installed: the default suite has folders
that it wrote.
"""

import keras_kd as kd
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BERT = {
    "vocab_size": 90,
    "num_hidden_layers": 3,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
DISTILBERT = {
    "vocab_size": 90,
    "n_layers": 3,
    "dim": 24,
    "n_heads": 3,
    "hidden_dim": 40,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
CLASSES = {
    "BertModel": BERT,
    "BertForMaskedLM": {**BERT, "hidden_act": "gelu_pytorch_tanh"},
    "BertForPreTraining": {**BERT, "hidden_act": "silu"},
    "BertForSequenceClassification": {**BERT, "num_labels": 4},
    "BertForTokenClassification": {**BERT, "num_labels": 4},
    "BertForQuestionAnswering": BERT,
    "DistilBertModel": DISTILBERT,
    "DistilBertForMaskedLM": DISTILBERT,
}
AUTO = {
    "BertModel": "AutoModel",
    "BertForMaskedLM": "AutoModelForMaskedLM",
    "BertForSequenceClassification": "AutoModelForSequenceClassification",
    "BertForTokenClassification": "AutoModelForTokenClassification",
    "BertForQuestionAnswering": "AutoModelForQuestionAnswering",
    "DistilBertModel": "AutoModel",
    "DistilBertForMaskedLM": "AutoModelForMaskedLM",
}


def batch():
    random = np.random.default_rng(1)
    padding_mask = (np.arange(12) < [[12], [5], [1]]).astype("int32")
    positions = np.tile(np.arange(12, dtype="int32"), (3, 1))
    return {
        "token_ids": random.integers(5, 90, (3, 12)).astype("int32"),
        "segment_ids": padding_mask * (np.arange(12) > 5).astype("int32"),
        "padding_mask": padding_mask,
        "mask_positions": positions,
    }


def check_equal(ours, theirs, inputs, segments=True):
    """Every output that both have, within 1e-5 of its largest number."""
    names = {"input_ids": "token_ids", "attention_mask": "padding_mask"}
    if theirs.config.model_type == "bert" and segments:
        names["token_type_ids"] = "segment_ids"
    tensors = {k: torch.from_numpy(inputs[v]).long() for k, v in names.items()}
    with torch.no_grad():
        outputs = theirs.eval()(**tensors, output_hidden_states=True)
    received = ours(inputs)
    pairs = list(
        zip(received["hidden_states"], outputs.hidden_states, strict=True)
    )
    for key, name in (
        ("logits", "logits"),
        ("logits", "prediction_logits"),
        ("pooled", "pooler_output"),
    ):
        if name in outputs and outputs[name] is not None and key in received:
            pairs.append((received[key], outputs[name]))
    if "start_logits" in outputs:
        real = torch.from_numpy(inputs["padding_mask"]) > 0  # ours hide it
        for part, name in enumerate(("start_logits", "end_logits")):
            ours_there = np.asarray(received["logits"])[:, part][real]
            pairs.append((ours_there, outputs[name][real]))
    for our_values, their_values in pairs:
        scale = max(1.0, float(their_values.abs().max()))
        np.testing.assert_allclose(
            np.asarray(our_values) / scale, their_values / scale, atol=1e-5
        )
    return len(pairs)


@pytest.mark.parametrize("name", CLASSES)
def test_theirs_here_and_back_again(name, tmp_path):
    torch.manual_seed(0)
    their_class = getattr(transformers, name)
    theirs = their_class(their_class.config_class(**CLASSES[name]))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = kd.load_checkpoint(tmp_path / "theirs")
    assert check_equal(ours, theirs, batch()) >= 4
    kd.save_checkpoint(ours, tmp_path / "ours")
    auto = getattr(transformers, AUTO.get(name, "AutoModelForMaskedLM"))
    opened, report = auto.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report[key] for key in report), report
    assert check_equal(ours, opened, batch()) >= 4


def test_a_regressor_is_theirs_of_one_label(tmp_path):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        **BERT, num_labels=1, problem_type="regression"
    )
    theirs = transformers.BertForSequenceClassification(config)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = kd.load_checkpoint(tmp_path / "theirs")
    assert isinstance(ours, kd.BertRegressor)
    assert check_equal(ours, theirs, batch()) >= 5
    kd.save_checkpoint(ours, tmp_path / "ours")
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "ours"
    )
    assert opened.config.problem_type == "regression"
    assert check_equal(ours, opened, batch()) >= 5


@pytest.mark.parametrize("pooler", [False, True])
@pytest.mark.parametrize("model_class", [kd.BertBackbone, kd.BertMaskedLM])
def test_a_student_without_segments_opens_there(model_class, pooler, tmp_path):
    config = kd.BertConfig(90, 2, 24, 3, num_segments=0, initializer_range=0.3)
    student = model_class(config.with_layers(2, pooler=pooler), seed=0)
    kd.save_checkpoint(student, tmp_path)
    auto = {
        kd.BertBackbone: transformers.AutoModel,
        kd.BertMaskedLM: transformers.AutoModelForMaskedLM,
    }[model_class]
    theirs = auto.from_pretrained(tmp_path)
    kind = "bert" if pooler else "distilbert"
    assert theirs.config.model_type == kind
    assert check_equal(student, theirs, batch()) >= 3
    assert check_equal(student, theirs, batch(), segments=False) >= 3


@pytest.mark.parametrize("num_segments", [0, 2])
def test_their_tokenizer_and_model_fit_together(
    num_segments, tmp_path, tokenizer, tiny_config
):
    config = tiny_config.with_layers(1, num_segments=num_segments)
    student = kd.BertMaskedLM(config, seed=0)
    kd.save_checkpoint(student, tmp_path, tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["The cat [MASK] on the mat.", "a dog"]
    encoded = theirs(texts, padding=True, return_tensors="pt")
    ours = tokenizer.encode_batch(texts)
    for ids, mask, expected in zip(
        encoded["input_ids"], encoded["attention_mask"], ours, strict=True
    ):
        real = ids[mask.bool()].tolist()
        assert real == [tokenizer.cls_id, *expected, tokenizer.sep_id]
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert model(**encoded).logits.shape[-1] == tokenizer.vocabulary_size


@pytest.mark.filterwarnings("ignore")  # of its own dependencies
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("num_segments", [0, 2])
def test_sentence_transformers_embeds_as_we_do(
    num_segments, pooling, tmp_path, tokenizer, tiny_config
):
    library = pytest.importorskip("sentence_transformers")
    config = tiny_config.with_layers(2, num_segments=num_segments)
    student = kd.BertBackbone(config, seed=0)
    kd.save_checkpoint(student, tmp_path, tokenizer, pooling=pooling)
    texts = ["the cat sat on the mat", "a dog"]
    ids = [
        [tokenizer.cls_id, *some, tokenizer.sep_id]
        for some in tokenizer.encode_batch(texts)
    ]
    token_ids = np.zeros((2, len(ids[0])), "int32")
    for row, some in zip(token_ids, ids, strict=True):
        row[: len(some)] = some
    mask = (token_ids != 0).astype("int32")
    inputs = {"token_ids": token_ids, "padding_mask": mask}
    states = student(inputs)["hidden_states"][-1]
    if pooling == "mean":
        expected = np.asarray(kd.MeanPooling()(states, mask))
    else:
        expected = np.asarray(states[:, 0])
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    found = library.SentenceTransformer(str(tmp_path)).encode(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
