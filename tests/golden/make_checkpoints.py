"""Writes tests/golden/checkpoints: tiny folders of `transformers`.

    uv run --group parity python tests/golden/make_checkpoints.py

Each folder is what `save_pretrained` writes of a model with random weights,
and `expected.npz`: a padded batch and what the model gives for it; or a
tokenizer's files, and `expected.json`: texts and their ids.
"""

import json
import pathlib
import shutil

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).parent / "checkpoints"
BERT = {
    "vocab_size": 40,
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
}
DISTILBERT = {
    "vocab_size": 40,
    "n_layers": 2,
    "dim": 8,
    "n_heads": 2,
    "hidden_dim": 12,
    "max_position_embeddings": 16,
}
TANH = {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}
CLASSES = {0: "sad", 1: "so so", 2: "glad"}

# Folder: class of transformers, its config, arguments of `save_pretrained`.
FOLDERS = {
    "bert_model": ("BertModel", BERT, {}),
    "bert_masked_lm": ("BertForMaskedLM", BERT, {}),
    "bert_masked_lm_untied": (
        "BertForMaskedLM",
        {**BERT, "hidden_act": "relu", "tie_word_embeddings": False},
        {},
    ),
    "bert_pre_training_sharded": (
        "BertForPreTraining",
        {**BERT, **TANH},
        {"max_shard_size": 4000},
    ),
    "bert_classifier": (
        "BertForSequenceClassification",
        {**BERT, "id2label": CLASSES, "pad_token_id": 3},
        {},
    ),
    "distilbert_model": ("DistilBertModel", DISTILBERT, {}),
    "distilbert_masked_lm": (
        "DistilBertForMaskedLM",
        {**DISTILBERT, "activation": "relu"},
        {},
    ),
    "distilbert_masked_lm_untied": (
        "DistilBertForMaskedLM",
        {**DISTILBERT, "tie_word_embeddings": False},
        {},
    ),
    "bert_one_label": (
        "BertForSequenceClassification",
        {**BERT, "num_labels": 1},
        {},
    ),
    "distilbert_classifier": (
        "DistilBertForSequenceClassification",
        {**DISTILBERT, "id2label": CLASSES, "seq_classif_dropout": 0.3},
        {},
    ),
    "distilbert_tagger": (
        "DistilBertForTokenClassification",
        {**DISTILBERT, "id2label": CLASSES},
        {},
    ),
    "distilbert_span": ("DistilBertForQuestionAnswering", DISTILBERT, {}),
}


SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFÉéñßæ中国ı0123456789.,!?-'()[]"
VOCABULARY = [
    *SPECIAL_TOKENS,
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *("the", "cat", "##s", "un", "##able", "cafe", "café", "Café", "中国"),
    *("hello", "Hello", "##ing", "🙂", "don", "naive", "naïve", "i", "##̇"),
]
VOCABULARY = list(dict.fromkeys(VOCABULARY))
NASTY = [
    "",
    "   ",
    "Hello, the CATS aren't unable!",
    "café CAFÉ Café cafe\u0301 naïve NAÏVE",
    "中国 the中国cat 国",
    "🙂 the🙂 👩\u200d👩\u200d👧 ok",
    "tab\tnew\nline\r\n zero\u200bwidth\u00a0space \u0000 \ufffd bell\u0007",
    "a" * 200 + " b " + "x" * 100 + " " + "x" * 101,
    "[MASK] the [CLS] [mask] [SEP][PAD] [UNK] [MASK]ing",
    "İstanbul ı ß æ ﬁ ½ … — “quotes” don’t",
    "line\u2028separator \u3000 wide ＡＢＣ",
    "añb\u0303 Ångström e\u0323\u0301",
    "0123456789.5 (a-b) c_d $5 a+b <b> ^",
    "<new> a<new>b the <NEW> [extra] cat",
]
ADDED = {
    len(VOCABULARY): {"content": "<new>", "special": False},
    len(VOCABULARY) + 1: {"content": "[extra]", "special": True},
}
# Folder: settings of its tokenizer_config.json.
TOKENIZERS = {
    "tokenizer_uncased": {},
    "tokenizer_cased": {"do_lower_case": False},
    "tokenizer_accents": {"strip_accents": False},
    "tokenizer_cased_no_accents": {
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
    },
    "tokenizer_added": {
        "added_tokens_decoder": {
            str(index): {
                "lstrip": False,
                "rstrip": False,
                "single_word": False,
                "normalized": not token["special"],
                **token,
            }
            for index, token in ADDED.items()
        }
    },
    "tokenizer_added_long_ago": {"additional_special_tokens": ["[extra]"]},
    "tokenizer_own_specials": {
        "pad_token": "0",
        "unk_token": "1",
        "mask_token": "2",
        "cls_token": "3",
        "sep_token": "4",
    },
}


def main():
    """Writes all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for index, (name, (kind, config, how)) in enumerate(FOLDERS.items()):
        torch.manual_seed(index)
        model_class = getattr(transformers, kind)
        model = model_class(model_class.config_class(**config)).eval()
        with torch.no_grad():  # LayerNorms and biases too
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        model.save_pretrained(FOLDER / name, **how)
        np.savez(FOLDER / name / "expected.npz", **expect(model))
    with_old_names(FOLDER / "bert_masked_lm", FOLDER / "bert_old_names")
    pickled(FOLDER / "bert_masked_lm", FOLDER / "bert_pickled")
    own_decoder(FOLDER / "bert_masked_lm", FOLDER / "bert_own_decoder")
    own_decoder(FOLDER / "distilbert_masked_lm", FOLDER / "distilbert_own")
    for name, settings in TOKENIZERS.items():
        save_tokenizer(FOLDER / name, settings)


def expect(model):
    """A padded batch, and the model's outputs for it."""
    random = np.random.default_rng(0)
    batch = {
        "token_ids": random.integers(4, 40, (3, 10)),
        "padding_mask": np.arange(10) < np.array([[10], [7], [1]]),
    }
    batch["segment_ids"] = (np.arange(10) >= 4) & batch["padding_mask"]
    batch = {key: value.astype("int32") for key, value in batch.items()}
    inputs = {
        "input_ids": batch["token_ids"],
        "attention_mask": batch["padding_mask"],
    }
    if model.config.model_type == "bert":
        inputs["token_type_ids"] = batch["segment_ids"]
    inputs = {k: torch.from_numpy(v).long() for k, v in inputs.items()}
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True)
    expected = {"hidden_states": np.stack(outputs.hidden_states)}
    for key in ("logits", "prediction_logits"):
        if key in outputs:
            expected["logits"] = outputs[key].numpy()
    if "start_logits" in outputs:
        logits = np.stack([outputs.start_logits, outputs.end_logits], axis=1)
        real = batch["padding_mask"][:, None] > 0
        expected["logits"] = np.where(real, logits, np.float32(-1e9))
    if "pooler_output" in outputs:
        expected["pooled"] = outputs["pooler_output"].numpy()
    return {**batch, **expected}


def with_old_names(source, target):
    """The same with the keys of files from 2019."""
    shutil.copytree(source, target)
    tensors = load_file(target / "model.safetensors")
    old = {"bert.embeddings.position_ids": torch.arange(16)[None]}
    for key, tensor in tensors.items():
        key = key.replace("LayerNorm.weight", "LayerNorm.gamma")
        key = key.replace("LayerNorm.bias", "LayerNorm.beta")
        old[key.removeprefix("bert.")] = tensor
    embeddings = tensors["bert.embeddings.word_embeddings.weight"]
    old["cls.predictions.decoder.weight"] = embeddings.clone()
    old["cls.seq_relationship.weight"] = torch.ones(2, 8)
    old["cls.seq_relationship.bias"] = torch.ones(2)
    old["pooler.dense.weight"] = torch.ones(8, 8)
    old["pooler.dense.bias"] = torch.ones(8)
    save_file(old, target / "model.safetensors")
    config = json.loads((target / "config.json").read_text())
    for field in ("model_type", "tie_word_embeddings", "pad_token_id"):
        config.pop(field, None)  # files from then had none
    (target / "config.json").write_text(json.dumps(config, indent=2))


def own_decoder(source, target):
    """The same with a decoder of other numbers, and the config still tied."""
    shutil.copytree(source, target)
    torch.manual_seed(0)
    path = target / "model.safetensors"
    tensors = load_file(path)
    if "vocab_projector.bias" in tensors:
        tensors["vocab_projector.weight"] = torch.randn(40, 8)
    else:
        tensors["cls.predictions.decoder.weight"] = torch.randn(40, 8)
        tensors["cls.predictions.decoder.bias"] = torch.randn(40)
    save_file(tensors, path, {"format": "pt"})
    model = transformers.AutoModelForMaskedLM.from_pretrained(target).eval()
    np.savez(target / "expected.npz", **expect(model))


def pickled(source, target):
    """The same as PyTorch pickles it."""
    shutil.copytree(source, target)
    path = target / "model.safetensors"
    torch.save(load_file(path), target / "pytorch_model.bin")
    path.unlink()


def save_tokenizer(folder, settings):
    """vocab.txt with settings, the same as a tokenizer.json, and texts."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    settings = {"tokenizer_class": "BertTokenizer", **settings}
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, "utf-8")
    if "additional_special_tokens" in settings:  # as files from then have it
        added = {token["content"]: index for index, token in ADDED.items()}
        text = json.dumps(added) + "\n"
        (folder / "added_tokens.json").write_text(text, "utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder / "saved")
    ids = tokenizer(NASTY, add_special_tokens=False)["input_ids"]
    expected = [{"text": t, "ids": i} for t, i in zip(NASTY, ids, strict=True)]
    text = json.dumps(expected, indent=1) + "\n"
    (folder / "expected.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
