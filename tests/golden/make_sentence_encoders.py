"""Writes tests/golden/sentence_encoders, by `sentence-transformers`.

    uv run --group parity --with sentence-transformers \
        python tests/golden/make_sentence_encoders.py

Each folder is what it saves of a tiny encoder with random weights, and
`expected.json`: texts and the vectors that it gives for them.
"""

import json
import pathlib
import shutil
import tempfile

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Normalize,
    Pooling,
    Transformer,
)

FOLDER = pathlib.Path(__file__).parent / "sentence_encoders"
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL_TOKENS, *"the cat dog sat on mat ##s a sea is blue".split()]
TEXTS = [
    "the cat sat on the mat",
    "A dog.",
    "",
    "the sea is blue the sea is blue the dogs sat on the blue mats the cat",
]
# Folder: its modules after the encoder, tokens of the longest text, prompts.
ENCODERS = {
    "cls": ([Pooling(8, "cls"), Normalize()], 8, {}),
    "mean_prompted": (
        [Pooling(8, "mean")],
        None,
        {
            "prompts": {"query": "is the ", "passage": ""},
            "default_prompt_name": "query",
        },
    ),
    "cls_old": ([Pooling(8, "cls")], 6, {}),
}


def main():
    """Writes all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as base:
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(WORDS),
            num_hidden_layers=2,
            hidden_size=8,
            num_attention_heads=2,
            intermediate_size=12,
            max_position_embeddings=16,
            initializer_range=0.5,
        )
        transformers.BertModel(config).save_pretrained(base)
        vocabulary = {word: i for i, word in enumerate(WORDS)}
        transformers.BertTokenizer(vocab=vocabulary).save_pretrained(base)
        for name, (modules, longest, prompts) in ENCODERS.items():
            encoder = Transformer(base, max_seq_length=longest)
            model = SentenceTransformer(
                modules=[encoder, *modules], device="cpu", **prompts
            )
            model.save(str(FOLDER / name), create_model_card=False)
    as_of_2020(FOLDER / "cls_old", ENCODERS["cls_old"][1])
    for name in ENCODERS:
        model = SentenceTransformer(str(FOLDER / name), device="cpu")
        expected = {"texts": TEXTS, "vectors": model.encode(TEXTS).tolist()}
        text = json.dumps(expected, indent=1) + "\n"
        (FOLDER / name / "expected.json").write_text(text)


def as_of_2020(folder, longest):
    """The same as its early versions laid it out, and spelt the pooling."""
    inner = folder / "0_Transformer"
    inner.mkdir()
    names = ("config.json", "model.safetensors", "sentence_bert_config.json")
    for name in (*names, "tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(inner / name)
    settings = json.loads((inner / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 16
    values = {
        inner / "tokenizer_config.json": settings,
        inner / "sentence_bert_config.json": {"max_seq_length": longest},
        folder / "1_Pooling" / "config.json": {
            "word_embedding_dimension": 8,
            "pooling_mode_cls_token": True,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        folder / "modules.json": [
            {
                "idx": index,
                "name": str(index),
                "path": f"{index}_{kind}",
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, kind in enumerate(("Transformer", "Pooling"))
        ],
    }
    for path, value in values.items():
        path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    main()
