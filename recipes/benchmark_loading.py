"""Loads a Hugging Face folder here and in `transformers`, taking turns.

    uv run --extra bench recipes/benchmark_loading.py --encoder FOLDER

Each turn is a new process: it imports its library, then loads the encoder and
its tokenizer, which is timed, and embeds sentences (mean of the last hidden
states, of length 1). Memory is what the process's peak grew by while it
loaded. Ratios are medians over the rounds; at the end stands the largest
difference between any two numbers of the embeddings.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from worker_process import forget_peak, peak_mib, run_worker


@dataclasses.dataclass(frozen=True)
class Config:
    """Loads a Hugging Face folder here and in `transformers`, taking turns.

    Args:
        encoder: Folder with config.json, model.safetensors and a tokenizer.
        texts: Text file; its first lines that are long enough are embedded.
        sentences: How many.
        rounds: Loads of each.
        worker: For its own processes: which library loads.
    """

    encoder: str = ""
    texts: str = ""
    sentences: int = 200
    rounds: int = 5
    worker: str = ""


LIBRARIES = ("keras_kd", "transformers")
MOST_TOKENS = 64


def main(config):
    """Runs the processes in turn; prints the ratios."""
    if not pathlib.Path(config.encoder, "config.json").is_file():
        sys.exit(
            "`--encoder` must be a folder with a config.json. "
            f"Received: {config.encoder!r}"
        )
    if config.texts and not pathlib.Path(config.texts).is_file():
        sys.exit(f"`--texts` must be a text file. Received: {config.texts}")
    if config.worker:
        found = measure(config, globals()[f"load_{config.worker}"])
        print(json.dumps(found))
        return found
    rounds, flags = [], flags_of(config)
    for index in range(config.rounds):
        order = LIBRARIES if index % 2 else LIBRARIES[::-1]
        rounds.append({n: run_worker(__file__, flags, n) for n in order})
    print_table(config, rounds)
    return rounds


def flags_of(config):
    """What a worker is told."""
    flags = ["--encoder", config.encoder, "--texts", config.texts]
    return [*flags, "--sentences", str(config.sentences)]


def measure(config, load):
    """Seconds and bytes of a load, and the embeddings."""
    read, embed = load()
    forget_peak()
    before = peak_mib()
    start = time.perf_counter()
    loaded = read(config.encoder)
    seconds = time.perf_counter() - start
    grown = round((peak_mib() - before) * 2**20)
    texts = some_sentences(config)
    vectors = np.asarray(embed(*loaded, texts)) if texts else np.zeros((0, 1))
    return {"seconds": seconds, "bytes": grown, "vectors": vectors.tolist()}


def some_sentences(config):
    """The first lines of the texts that are long enough to be sentences."""
    if not config.texts:
        return []
    lines = pathlib.Path(config.texts).read_text("utf-8").splitlines()
    lines = [line.strip() for line in lines if len(line.strip()) > 20]
    return lines[: config.sentences]


def load_keras_kd():
    """How keras_kd reads a folder, and embeds texts."""
    import keras_kd as kd
    import keras
    import tensorflow as tf

    tf.zeros(1)  # TensorFlow's own start is no part of a load

    def read(folder):
        return (
            kd.load_checkpoint(folder, kd.BertBackbone),
            kd.load_tokenizer(folder),
        )

    def embed(model, tokenizer, texts):
        ids = [i[: MOST_TOKENS - 2] for i in tokenizer.encode_batch(texts)]
        token_ids = np.full((len(ids), MOST_TOKENS), tokenizer.pad_id, "int32")
        for row, some in zip(token_ids, ids, strict=True):
            row[: len(some) + 2] = [tokenizer.cls_id, *some, tokenizer.sep_id]
        lengths = np.array([[len(some) + 2] for some in ids])
        mask = (np.arange(MOST_TOKENS) < lengths).astype("int32")
        inputs = {"token_ids": token_ids, "padding_mask": mask}
        states = model(inputs)["hidden_states"][-1]
        vectors = kd.MeanPooling()(states, mask)
        return keras.ops.convert_to_numpy(vectors)

    return read, embed


def load_transformers():
    """How `transformers` reads a folder, and embeds texts."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.zeros(1)

    def read(folder):
        return (
            AutoModel.from_pretrained(folder),
            AutoTokenizer.from_pretrained(folder),
        )

    def embed(model, tokenizer, texts):
        inputs = tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors="pt",
        )
        with torch.no_grad():
            states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None].float()
        mean = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean).numpy()

    return read, embed


def print_table(config, rounds):
    """Medians and ratios."""
    size = sum(
        path.stat().st_size
        for path in pathlib.Path(config.encoder).glob("*.safetensors")
    )
    table = Table(title=f"loading {size / 1e6:.0f} MB, {len(rounds)} rounds")
    for heading in ("", "s", "of transformers", "MB", "of the file"):
        table.add_column(heading)
    for name in LIBRARIES:
        seconds = [r[name]["seconds"] for r in rounds]
        ratios = [
            r[name]["seconds"] / r["transformers"]["seconds"] for r in rounds
        ]
        grown = statistics.median(r[name]["bytes"] for r in rounds)
        table.add_row(
            name,
            f"{statistics.median(seconds):.2f}",
            f"{statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f})",
            f"{grown / 1e6:.0f}",
            f"{grown / size:.2f}" if size else "-",
        )
    Console().print(table)
    if config.texts:
        ours, theirs = (np.array(rounds[0][n]["vectors"]) for n in LIBRARIES)
        print(
            f"{len(ours)} sentences: embeddings differ by at most "
            f"{np.abs(ours - theirs).max():.1e}"
        )


if __name__ == "__main__":
    from command_line import read_config

    main(read_config(Config, __doc__))
