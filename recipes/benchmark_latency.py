"""What encoders cost to run: students beside their teacher, in four runtimes.

    uv run --extra bench --extra onnx recipes/benchmark_latency.py \
        --models saved_models/teacher saved_models/student

Parameters, bytes, multiply-adds; then the time of one text (p50, p95), and
texts a second in batches, in Keras (`predict_on_batch`), as a SavedModel
(`serving_default`), in ONNX Runtime and in PyTorch (`transformers`, not
compiled), with the same weights and as many threads each. All stay in memory
and take turns; a ratio is the median of the rounds' ratios. Heads are left
out: encoders are timed, down to last hidden states and embeddings, which
every runtime must agree on first. All on processors, in float32, all tokens
real. PyTorch's threads sleep while they wait (OMP_WAIT_POLICY=passive, unless
the environment says otherwise): where other programs run, too, their spinning
costs it far more than it saves elsewhere. Absolute times are of this machine at
this hour. Results: recipes/README.md.
"""

import dataclasses
import os
import pathlib
import platform
import sys
import tempfile
from importlib import metadata

from command_line import read_config

import keras_kd as kd
import keras

from latency_peers import (
    PEERS,
    check_peers,
    make_functions,
    make_inputs,
    processors,
    set_threads,
    why_missing,
)
from latency_tables import cost_table, time_table
from run_folder import (
    find_model,
    short_names,
    wide_console,
    write_json,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Times encoders in four runtimes, taking turns.

    Args:
        models: Run folders with student.keras or teacher.keras, Hugging Face
            folders or names on its hub; the first is the teacher of the
            ratios. Default: random ones of the three fields that follow.
        num_layers: Encoder layers of each.
        hidden_dim: Width.
        vocabulary_size: Tokens of the vocabulary.
        peers: Of keras, saved_model, onnx, transformers. Those that are not
            installed are left out.
        lengths: Tokens in a text.
        batch_size: Texts in a batch, of the throughput; latency is of one.
        rounds: Rounds; each ratio is within one.
        seconds: Of a turn, which is one call at least.
        threads: Of each runtime; default: all processors.
        to: Folder to write a new latency.json into.
        seed: Of weights and texts.
        smoke: Tiny sizes, to see that it runs.
    """

    models: tuple[str, ...] = ()
    num_layers: tuple[int, ...] = (12, 6, 3)
    hidden_dim: int = 768
    vocabulary_size: int = 30522
    peers: tuple[str, ...] = ("keras", "saved_model", "onnx", "transformers")
    lengths: tuple[int, ...] = (32, 128, 512)
    batch_size: int = 32
    rounds: int = 5
    seconds: float = 1.0
    threads: int | None = None
    to: str | None = None
    seed: int = 0
    smoke: bool = False


SMOKE = {
    "num_layers": (2, 1),
    "hidden_dim": 128,  # two heads of 64
    "vocabulary_size": 100,
    "lengths": (8,),
    "batch_size": 2,
    "rounds": 2,
    "seconds": 0.01,
}


def main(config):
    """Makes all peers, checks them, times them; prints the tables."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    check(config)
    threads = config.threads or processors()
    set_threads(threads)
    encoders = load_encoders(config)
    console = wide_console()
    for name in filter(why_missing, config.peers):
        console.print(f"Left out: {why_missing(name)}")
    functions, costs = make_peers(config, encoders, threads)
    results = {
        "machine": describe_machine(threads),
        "models": costs,
        "times": [],
    }
    console.print(cost_table(results))
    for length in config.lengths:
        for batch_size in (1, config.batch_size):
            times = measure(config, encoders, functions, batch_size, length)
            results["times"] += rows_of(times, batch_size, length)
        console.print(time_table(results["times"], length))
        if config.to:  # a long run that is stopped leaves a part
            write_json(pathlib.Path(config.to, "latency.json"), results)
    return results


def check(config):
    """Ends the program where a choice cannot be."""
    unknown = set(config.peers) - set(PEERS)
    if unknown or not config.peers:
        sys.exit(
            f"`--peers` must be of {list(PEERS)}. "
            f"Received: {sorted(unknown) or 'none'}"
        )
    if all(why_missing(name) for name in config.peers):
        sys.exit(f"`--peers`: {'; '.join(map(why_missing, config.peers))}")
    if keras.backend.backend() != "tensorflow":
        sys.exit(
            "This needs KERAS_BACKEND=tensorflow, for the SavedModel. "
            f"Received: {keras.backend.backend()}"
        )
    counts = {
        **{name: (getattr(config, name),) for name in ("batch_size", "rounds")},
        "lengths": config.lengths or (0,),
        "num_layers": config.num_layers or (0,),
        "threads": (1 if config.threads is None else config.threads,),
    }
    for field, values in counts.items():
        if min(values) < 1:
            sys.exit(
                f"`--{field.replace('_', '-')}` must be at least 1. "
                f"Received: {min(values)}"
            )
    if config.to:
        file = pathlib.Path(config.to, "latency.json")
        if file.exists():
            sys.exit(
                "`--to` must be a folder without a latency.json. "
                f"Received: {config.to}, which has one"
            )
        file.parent.mkdir(parents=True, exist_ok=True)


def load_encoders(config):
    """Dict of a name to `BertBackbone`, the teacher first."""
    names = short_names(config.models)
    encoders = {names[m]: load_encoder(m, config.seed) for m in names}
    for layers in config.num_layers if not config.models else ():
        shape = kd.BertConfig(
            vocabulary_size=config.vocabulary_size,
            num_layers=layers,
            hidden_dim=config.hidden_dim,
            num_heads=max(1, config.hidden_dim // 64),
        )
        name = f"{layers} x {config.hidden_dim}"
        encoders[name] = kd.BertBackbone(shape, seed=config.seed)
    for name, encoder in encoders.items():
        longest = encoder.config.max_sequence_length
        if max(config.lengths) > longest:
            sys.exit(
                f"`--lengths` must be at most the {longest} positions of "
                f"{name}. Received: {max(config.lengths)}"
            )
    return encoders


def load_encoder(source, seed):
    """The encoder of a run folder or of Hugging Face's, in float32."""
    path = find_model(source)
    if path is not None:
        model = keras.saving.load_model(path, compile=False)
    else:
        try:
            model = kd.load_checkpoint(source, kd.BertBackbone, seed=seed)
        except (OSError, ValueError, ImportError) as error:
            sys.exit(f"`--models`: {error}")
    encoder = getattr(model, "backbone", model)
    if encoder.compute_dtype == "float32":
        return encoder
    exact = kd.BertBackbone(encoder.config, dtype="float32")
    exact.set_weights(encoder.get_weights())
    return exact


def make_peers(config, encoders, threads):
    """All encoders in all runtimes, and what they cost by count.

    Returns:
        Pair of dicts: functions by model and peer; and of each model what
        `count_bytes` gives, its `files`, in bytes, by peer, and its
        `multiply_adds` by length.
    """
    peers = [name for name in config.peers if not why_missing(name)]
    functions, costs = {}, {}
    for name, encoder in encoders.items():
        with tempfile.TemporaryDirectory() as folder:
            made, files = make_functions(
                encoder, peers, pathlib.Path(folder), threads, name
            )
        functions.update({(name, peer): made[peer] for peer in peers})
        costs[name] = {
            **kd.count_bytes(encoder),
            "files": files,
            "multiply_adds": {
                str(length): kd.multiply_adds(encoder, length)
                for length in config.lengths
            },
        }
    return functions, costs


def describe_machine(threads):
    """What the figures are of."""
    packages = ("keras", "tensorflow", "onnxruntime", "torch", "transformers")
    found = {
        "platform": platform.platform(),
        "threads": threads,
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
    }
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def measure(config, encoders, functions, batch_size, length):
    """Checks all peers on one batch, then times them on it."""
    calls = {}
    for name, encoder in encoders.items():
        inputs = make_inputs(encoder, batch_size, length, config.seed)
        mine = {peer: f for (of, peer), f in functions.items() if of == name}
        check_peers(mine, inputs, name)
        for peer, function in mine.items():
            calls[name, peer] = lambda f=function, x=inputs: f(x)
    return kd.time_in_turns(calls, config.rounds, config.seconds)


def rows_of(times, batch_size, length):
    """A dict for each model and peer, with speed-ups over two others."""
    teacher = next(iter(times))[0]
    rows = []
    for (model, peer), timing in times.items():
        others = {
            "teacher": times[teacher, peer],
            "transformers": times.get((model, "transformers")),
        }
        row = {"model": model, "peer": peer}
        row |= {"length": length, "batch_size": batch_size}
        row |= {"p50_ms": 1e3 * timing.p50, "p95_ms": 1e3 * timing.p95}
        row["texts_per_second"] = timing.throughput(batch_size)
        row["calls"] = sum(map(len, timing.rounds))
        for name, other in others.items():
            found = timing.speed_up(other) if other else None
            row[f"speed_up_over_{name}"] = found
        rows.append(row)
    return rows


if __name__ == "__main__":
    main(read_config(Config, __doc__))
