"""From a recipe's text to its batches. Not a recipe.

The config fields it reads: corpus, validation_corpus, text_column,
block_length, batch_size, validation_batches, seed; mlm_smoothing,
mask_across_batch and whole_words where there are such; and for `fit`, steps
and validations.
"""

import collections.abc
import dataclasses
import functools
import sys

import keras_kd as kd
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TextBatches:
    """What a recipe trains and validates on.

    Args:
        train: Function that makes the Dataset, each time from its first
            epoch: models fitted one after another meet the same batches. With
            `first_batch` from there on.
        held_out: Dataset with fixed masks.
        unigram: Dict, the unigram baseline on `held_out`; None where nothing
            is masked.
    """

    train: collections.abc.Callable[[], tf.data.Dataset]
    held_out: tf.data.Dataset
    unigram: dict | None = None


def check_sizes(config):
    """Ends the program where batches cannot be made as asked for."""
    for name in ("batch_size", "validation_batches"):
        if getattr(config, name) < 1:
            flag = name.replace("_", "-")
            sys.exit(
                f"`--{flag}` must be at least 1. "
                f"Received: {getattr(config, name)}"
            )
    if config.block_length < kd.TokenStore.SHORTEST_BLOCK:
        sys.exit(
            "`--block-length` must be at least "
            f"{kd.TokenStore.SHORTEST_BLOCK}. Received: {config.block_length}"
        )
    if getattr(config, "whole_words", False) and getattr(
        config, "mask_across_batch", False
    ):
        sys.exit(
            "`--whole-words` must be left out with --mask-across-batch. "
            "Received: both"
        )
    smoothing = getattr(config, "mlm_smoothing", 0.0)
    if not smoothing >= 0:
        sys.exit(f"`--mlm-smoothing` must be 0 or more. Received: {smoothing}")
    for name in ("steps", "teacher_steps"):
        steps = getattr(config, name, None)
        if steps is None:
            continue
        validations = config.validations
        if validations < 1 or steps < validations or steps % validations:
            flag = name.replace("_", "-")
            sys.exit(
                f"`--{flag}` must be a multiple of --validations, both at "
                f"least 1. Received: {steps} and {validations}"
            )


def read_corpora(config):
    """Training and held-out documents of a recipe's config."""
    check_sizes(config)
    if getattr(config, "store", ()):
        return None, None  # it is read and tokenised already
    return read_parts(config)


def read_parts(config):
    """Training and held-out documents of its corpora."""
    column = config.text_column
    if config.validation_corpus:
        train = kd.read_documents(config.corpus, text_column=column)
        held_out = kd.read_documents(
            config.validation_corpus, text_column=column
        )
    else:
        train = kd.read_documents(config.corpus, "train", column)
        held_out = kd.read_documents(config.corpus, "validation", column)
    return train, held_out


def make_batches(config, folder, tokenizer, train, held_out):
    """Packs both texts into `folder`/tokens and makes masked batches."""
    stores = write_stores(config, folder, tokenizer, train, held_out)
    make_train, held_out_batches = batches_of(
        stores,
        kd.masked_lm_batches,
        config,
        tokenizer,
        smoothing=getattr(config, "mlm_smoothing", 0.0),
        across_batch=getattr(config, "mask_across_batch", False),
        whole_words=getattr(config, "whole_words", False),
    )
    unigram = kd.evaluate_unigram(
        stores["train"].token_counts, tokenizer.special_ids, held_out_batches
    )
    print(
        f"{describe(stores['train'])}; unigram baseline "
        f"{unigram['masked_cross_entropy']:.3f} nats on held-out text"
    )
    return TextBatches(make_train, held_out_batches, unigram)


def make_plain_batches(config, folder, tokenizer, train, held_out):
    """The same with nothing masked, for encoders without a head."""
    stores = write_stores(config, folder, tokenizer, train, held_out)
    batches = batches_of(stores, kd.token_batches, config, tokenizer)
    print(describe(stores["train"]))
    return TextBatches(*batches)


def write_stores(config, folder, tokenizer, train, held_out):
    """Packs both texts into `folder`/tokens: a dict of two stores.

    One that is there, of a run that is gone on with, is opened; so are those
    that `--store` names.
    """
    if getattr(config, "store", ()):
        return open_stores(config, tokenizer)

    def store_of(path, documents):
        if (path / "manifest.json").exists():
            return kd.TokenStore(path)
        store = kd.TokenStore.write(
            path, documents, tokenizer, config.block_length
        )
        if empty_files := getattr(documents, "empty_files", ()):
            print(f"{len(empty_files):,} files without text were passed over")
        return store

    return {
        name: store_of(folder / "tokens" / name, documents)
        for name, documents in (("train", train), ("held_out", held_out))
    }


def load_store_tokenizer(config):
    """The tokenizer of what prepare_corpus.py made."""
    try:
        return kd.WordPieceTokenizer.load(config.store[0])
    except (OSError, ValueError) as error:
        sys.exit(f"`--store`: {error}")


def open_stores(config, tokenizer):
    """Both parts of what prepare_corpus.py made, several mixed by weight."""
    weights = config.store_weights or (1.0,) * len(config.store)
    try:
        stores = {
            part: kd.MixedStore(
                [kd.TokenStore(f"{path}/{part}") for path in config.store],
                weights,
            )
            for part in ("train", "held_out")
        }
        stores["train"].check_tokenizer(tokenizer)
    except (OSError, ValueError) as error:
        sys.exit(f"`--store`: {error}")
    if stores["train"].block_length != config.block_length:
        sys.exit(
            f"`--block-length` must be that of --store, "
            f"{stores['train'].block_length}. Received: {config.block_length}"
        )
    return stores


def batches_of(stores, make, config, tokenizer, **training):
    """What makes the training batches, and the held-out ones.

    Args:
        stores: From `write_stores`.
        make: `kd.masked_lm_batches` or `kd.token_batches`.
        config: The recipe's.
        tokenizer: `WordPieceTokenizer`.
        **training: Further arguments of `make`, of the training batches alone.
    """
    make_train = functools.partial(
        make,
        stores["train"],
        tokenizer,
        config.batch_size,
        seed=config.seed,
        **training,
    )
    make_train()  # a corpus too small for one batch ends the program here
    size = min(config.batch_size, len(stores["held_out"]))
    held_out = make(stores["held_out"], tokenizer, size, shuffle=False)
    return make_train, held_out.take(config.validation_batches)


def describe(store):
    """How much training text there is."""
    return f"{store.tokens:,} training tokens in {len(store):,} blocks"


def fit(model, batches, config, callbacks, run=None):
    """Stock `fit` for `config.steps` steps, validated along the way.

    Args:
        model: Compiled.
        batches: `TextBatches`.
        config: The recipe's.
        callbacks: List.
        run: `kd.ResumableRun` to go on with, or None.
    """
    done = {"first_batch": run.batches} if run else {}
    return model.fit(
        batches.train(**done).repeat(),
        initial_epoch=run.epoch if run else 0,
        steps_per_epoch=config.steps // config.validations,
        epochs=config.validations,
        validation_data=batches.held_out,
        callbacks=[*callbacks, run] if run else callbacks,
        shuffle=False,
    )
