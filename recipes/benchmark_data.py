"""Text to blocks and blocks to batches, beside Hugging Face's ways.

    uv run --extra bench recipes/benchmark_data.py --corpus X.txt --tokenizer Y

Candidates take turns, each turn a new process. Prepared: the text, tokenised
and in blocks on disk, against `datasets.map` with a fast tokenizer and then
with `group_texts`, as `run_mlm.py` has them. Batches: masked, against
`DataCollatorForLanguageModeling` on lists that are ready and on rows of a
Dataset. Ratios are medians over the rounds. Memory: by how much the peak of a
process grows while it prepares the text once, 10 and 100 times over.
"""

import dataclasses
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from worker_process import forget_peak, peak_mib, run_worker


@dataclasses.dataclass(frozen=True)
class Config:
    """Text to blocks and blocks to batches, beside Hugging Face's ways.

    Args:
        corpus: A .txt file.
        tokenizer: Folder that `transformers` and keras_kd read.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a batch.
        batches: Batches that are timed.
        processes: Of `datasets.map`.
        times: How often over the text is, for memory.
        rounds: Turns of each.
        worker: For its own processes: which candidate.
    """

    corpus: str = ""
    tokenizer: str = ""
    block_length: int = 128
    batch_size: int = 32
    batches: int = 1000
    processes: int = 2
    times: tuple[int, ...] = (1, 10, 100)
    rounds: int = 3
    worker: str = ""


PREPARING = ("prepare_keras_kd", "prepare_datasets_map")
BATCHING = ("batch_keras_kd", "batch_lists", "batch_rows")
NAMES = {
    "prepare_keras_kd": "keras_kd",
    "prepare_datasets_map": "datasets.map",
    "batch_keras_kd": "keras_kd",
    "batch_lists": "collator, ready lists",
    "batch_rows": "collator, Dataset rows",
}


def main(config):
    """Runs the processes in turn; prints the tables."""
    if not pathlib.Path(config.corpus).is_file():
        sys.exit(f"`--corpus` must be a file. Received: {config.corpus!r}")
    if not pathlib.Path(config.tokenizer).is_dir():
        sys.exit(
            f"`--tokenizer` must be a folder. Received: {config.tokenizer!r}"
        )
    if config.worker:
        name, _, times = config.worker.partition(":")
        found = WORKERS[name](config, *([int(times)] if times else []))
        print(json.dumps(found))
        return found
    rounds, flags = [], flags_of(config)
    for index in range(config.rounds):
        names = (*PREPARING, *BATCHING)[:: 1 if index % 2 else -1]
        rounds.append({n: run_worker(__file__, flags, n) for n in names})
    memory = {
        n: run_worker(__file__, flags, f"memory:{n}") for n in config.times
    }
    print_rates("text to blocks", PREPARING, rounds)
    print_rates("blocks to batches", BATCHING, rounds)
    print_memory(memory)
    return rounds, memory


def flags_of(config):
    """What a worker is told."""
    flags = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ("worker", "times") or value == field.default:
            continue
        flags += [f"--{field.name.replace('_', '-')}", str(value)]
    return flags


def rate(tokens, start):
    """Tokens a second since `start`, a dict."""
    return {"tokens_per_second": tokens / (time.perf_counter() - start)}


def prepare_keras_kd(config):
    """`TokenStore.write`."""
    import keras_kd as kd

    tokenizer = kd.load_tokenizer(config.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        store = kd.TokenStore.write(
            f"{folder}/store",
            kd.read_documents(config.corpus),
            tokenizer,
            config.block_length,
        )
        return rate(store.tokens, start)


def prepare_datasets_map(config):
    """`run_mlm.py`'s two maps, of lines and then of a thousand rows."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    tokenizer = transformers.AutoTokenizer.from_pretrained(config.tokenizer)
    length = config.block_length

    def tokenize(rows):
        return tokenizer(rows["text"], return_special_tokens_mask=True)

    def group(rows):
        joined = {k: list(itertools.chain(*rows[k])) for k in rows}
        total = len(joined["input_ids"]) // length * length
        return {
            k: [t[i : i + length] for i in range(0, total, length)]
            for k, t in joined.items()
        }

    with tempfile.TemporaryDirectory() as folder:
        rows = datasets.load_dataset(
            "text", data_files=config.corpus, cache_dir=folder, split="train"
        )
        start = time.perf_counter()
        rows = rows.map(
            tokenize,
            batched=True,
            num_proc=config.processes,
            remove_columns=["text"],
        )
        grouped = rows.map(group, batched=True, num_proc=config.processes)
        seconds = time.perf_counter() - start
        special = np.array(grouped["special_tokens_mask"])
        return {"tokens_per_second": int((special == 0).sum()) / seconds}


def some_blocks(config):
    """Blocks of random ids for as many batches as are timed."""
    size = min(config.batches, 200) * config.batch_size
    random = np.random.default_rng(0)
    return random.integers(1000, 20_000, (size, config.block_length))


def batch_keras_kd(config):
    """`masked_lm_batches`, into NumPy's hands."""
    import keras_kd as kd

    tokenizer = kd.load_tokenizer(config.tokenizer)
    words = [w for w in tokenizer.vocabulary[1500:6500] if w.isalpha()]
    random = np.random.default_rng(0)
    count = min(config.batches, 200) * config.batch_size * config.block_length
    text = " ".join(random.choice(words, count).tolist())
    with tempfile.TemporaryDirectory() as folder:
        store = kd.TokenStore.write(
            f"{folder}/store", [text], tokenizer, config.block_length
        )
        batches = kd.masked_lm_batches(store, tokenizer, config.batch_size)
        batches = iter(batches.repeat())
        next(batches)
        start = time.perf_counter()
        for _ in range(config.batches):
            next(batches)
        tokens = config.batches * config.batch_size * config.block_length
        return rate(tokens, start)


def collate(config, rows_of):
    """`DataCollatorForLanguageModeling` on rows, batch by batch."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(config.tokenizer)
    collator = transformers.DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=0.15
    )
    size = config.batch_size
    blocks = some_blocks(config)
    rows = rows_of(blocks)
    batches = max(1, min(config.batches, len(blocks) // size))
    collator(rows(range(size)))
    start = time.perf_counter()
    for index in range(batches):
        collator(rows(range(index * size, (index + 1) * size)))
    return rate(batches * size * config.block_length, start)


def batch_lists(config):
    """On lists of dicts that are there already."""

    def rows_of(blocks):
        ready = [{"input_ids": block} for block in blocks.tolist()]
        return lambda indices: [ready[i] for i in indices]

    return collate(config, rows_of)


def batch_rows(config):
    """On rows that a Dataset gives, one by one, as a DataLoader asks."""
    import datasets

    def rows_of(blocks):
        rows = datasets.Dataset.from_dict({"input_ids": blocks.tolist()})
        return lambda indices: [rows[i] for i in indices]

    return collate(config, rows_of)


def memory(config, times):
    """Growth of the peak while a text is prepared so many times over."""
    import keras_kd as kd

    tokenizer = kd.load_tokenizer(config.tokenizer)
    documents = kd.read_documents(config.corpus)

    def varied():
        for turn in range(times):
            for document in documents:
                yield f"{document} {turn}"

    tokenizer.encode_batch(["a text"])
    forget_peak()
    before = peak_mib()
    with tempfile.TemporaryDirectory() as folder:
        store = kd.TokenStore.write(
            f"{folder}/store", varied(), tokenizer, config.block_length
        )
        return {
            "tokens": store.tokens,
            "grown": round((peak_mib() - before) * 2**20),
            "peak": round(peak_mib() * 2**20),
        }


def print_rates(title, names, rounds):
    """Medians, and how many times as fast the first one is."""
    table = Table(title=f"{title}, {len(rounds)} rounds")
    for heading in ("", "M tokens/s", "keras_kd is"):
        table.add_column(heading)
    for name in names:
        rates = [r[name]["tokens_per_second"] for r in rounds]
        ratios = [
            r[names[0]]["tokens_per_second"] / r[name]["tokens_per_second"]
            for r in rounds
        ]
        table.add_row(
            NAMES[name],
            f"{statistics.median(rates) / 1e6:.3f}",
            f"{statistics.median(ratios):.1f} x "
            f"({min(ratios):.1f}-{max(ratios):.1f})",
        )
    Console().print(table)


def print_memory(memory):
    """What preparing takes, by the size of the text."""
    table = Table(title="memory while preparing")
    for heading in ("times", "M tokens", "MB more", "MB in all"):
        table.add_column(heading)
    for times, found in memory.items():
        table.add_row(
            str(times),
            f"{found['tokens'] / 1e6:.1f}",
            f"{found['grown'] / 1e6:.0f}",
            f"{found['peak'] / 1e6:.0f}",
        )
    Console().print(table)


WORKERS = {name: globals()[name] for name in (*PREPARING, *BATCHING, "memory")}


if __name__ == "__main__":
    from run_folder import read_config

    main(read_config(Config, __doc__))
