"""Text to blocks and blocks to batches, beside Hugging Face's ways.

    uv run --extra bench recipes/benchmark_data.py --corpus X.txt --tokenizer Y

Candidates take turns, each turn a new process. Prepared: the text, tokenised
and in blocks on disk, against `datasets.map` with a fast tokenizer and then
with `group_texts`, as `run_mlm.py` has them; the ids of every line are compared
with those of the tokenizer itself. Batches: masked, against
`DataCollatorForLanguageModeling` on that script's rows, as lists that are ready
and as a Dataset gives them. Ratios are medians over the rounds. Memory: the
peak of a process that prepares a text once, 10 and 100 times over.
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
        memory_corpus: A .txt file for memory; default: the corpus.
        times: How often over it is prepared.
        rounds: Turns of each.
        worker: For its own processes: which candidate.
    """

    corpus: str = ""
    tokenizer: str = ""
    block_length: int = 128
    batch_size: int = 32
    batches: int = 1000
    processes: int = 2
    memory_corpus: str = ""
    times: tuple[int, ...] = (1, 10, 100)
    rounds: int = 3
    worker: str = ""


PREPARING = ("prepare_keras_kd", "prepare_datasets_map")
BATCHING = ("batch_keras_kd", "batch_in_graph", "batch_lists", "batch_rows")
NAMES = {
    "prepare_keras_kd": "keras_kd",
    "prepare_datasets_map": "datasets.map",
    "batch_keras_kd": "keras_kd",
    "batch_in_graph": "keras_kd, in a graph's loop",
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
    print_differences(rounds[0]["prepare_keras_kd"])
    print_rates("blocks to batches", BATCHING, rounds)
    print_memory(memory)
    return rounds, memory


NOT_A_WORKERS = ("worker", "times", "rounds")


def flags_of(config):
    """What a worker is told."""
    flags = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in NOT_A_WORKERS or value == field.default:
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
        found = rate(store.tokens, start)
    return {**found, **differences(config, tokenizer)}


def differences(config, tokenizer):
    """Lines with other ids than the tokenizer itself gives, and all lines."""
    with open(config.corpus, encoding="utf-8") as file:
        lines = [line for line in file if line.strip()]
    ours = tokenizer.encode_batch(lines)
    theirs = tokenizer.backend.encode_batch_fast(
        lines, add_special_tokens=False
    )
    different = sum(
        a.tolist() != b.ids for a, b in zip(ours, theirs, strict=True)
    )
    return {"different": different, "lines": len(lines)}


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


def masked_batches(config, folder):
    """An iterator of `masked_lm_batches` over made-up text, without an end."""
    import keras_kd as kd

    tokenizer = kd.load_tokenizer(config.tokenizer)
    words = [w for w in tokenizer.vocabulary[1500:6500] if w.isalpha()]
    random = np.random.default_rng(0)
    count = min(config.batches, 200) * config.batch_size * config.block_length
    text = " ".join(random.choice(words, count).tolist())
    store = kd.TokenStore.write(
        f"{folder}/store", [text], tokenizer, config.block_length
    )
    batches = kd.masked_lm_batches(store, tokenizer, config.batch_size)
    return iter(batches.repeat())


def batch_keras_kd(config):
    """`masked_lm_batches`, one by one into Python's hands."""
    with tempfile.TemporaryDirectory() as folder:
        batches = masked_batches(config, folder)
        next(batches)
        start = time.perf_counter()
        for _ in range(config.batches):
            next(batches)
        tokens = config.batches * config.batch_size * config.block_length
        return rate(tokens, start)


def batch_in_graph(config):
    """The same, taken by a graph, as `fit` has it by `steps_per_execution`."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        batches = masked_batches(config, folder)

        @tf.function
        def take(number):
            weights = 0.0
            for _ in tf.range(number):
                _, _, sample_weight = next(batches)
                weights += tf.reduce_sum(sample_weight)
            return weights

        take(tf.constant(1))
        start = time.perf_counter()
        take(tf.constant(config.batches)).numpy()
        tokens = config.batches * config.batch_size * config.block_length
        return rate(tokens, start)


def columns_of(blocks):
    """What `run_mlm.py` has of a BERT tokenizer, a dict of lists."""
    nothing = np.zeros_like(blocks)
    return {
        "input_ids": blocks.tolist(),
        "token_type_ids": nothing.tolist(),
        "attention_mask": np.ones_like(blocks).tolist(),
        "special_tokens_mask": nothing.tolist(),
    }


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
        columns = columns_of(blocks)
        ready = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
        return lambda indices: [ready[i] for i in indices]

    return collate(config, rows_of)


def batch_rows(config):
    """On rows that a Dataset gives, one by one, as a DataLoader asks."""
    import datasets

    def rows_of(blocks):
        rows = datasets.Dataset.from_dict(columns_of(blocks))
        return lambda indices: [rows[i] for i in indices]

    return collate(config, rows_of)


def memory(config, times):
    """Growth of the peak while a text is prepared so many times over."""
    import keras_kd as kd

    tokenizer = kd.load_tokenizer(config.tokenizer)
    documents = kd.read_documents(config.memory_corpus or config.corpus)

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
            # Linux counts pages thread by thread, and some of them late.
            "grown": max(0, round((peak_mib() - before) * 2**20)),
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


def print_differences(found):
    """Whether the ids are those of the tokenizer."""
    print(
        f"{found['different']:,} of {found['lines']:,} lines have other ids "
        "than the tokenizer itself gives."
    )


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
    from command_line import read_config

    main(read_config(Config, __doc__))
