"""From a recipe's text to its batches. Not a recipe.

The config fields it reads: corpus, validation_corpus, text_column,
block_length, batch_size, validation_batches, seed.
"""

import dataclasses

import keras_kd as kd
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TextBatches:
    """What a masked-LM recipe trains and validates on.

    Args:
        train: Dataset, every iteration an epoch.
        held_out: Dataset with fixed masks.
        unigram: Dict, the unigram baseline on `held_out`.
    """

    train: tf.data.Dataset
    held_out: tf.data.Dataset
    unigram: dict


def read_corpora(config):
    """Training and held-out documents of a recipe's config."""
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
    """Packs both texts into `folder`/tokens and makes batches of them."""
    stores = {
        name: kd.TokenStore.write(
            folder / "tokens" / name, documents, tokenizer, config.block_length
        )
        for name, documents in (("train", train), ("held_out", held_out))
    }
    train_batches = kd.masked_lm_batches(
        stores["train"], tokenizer, config.batch_size, seed=config.seed
    )
    held_out_batches = kd.masked_lm_batches(
        stores["held_out"],
        tokenizer,
        min(config.batch_size, len(stores["held_out"])),
        shuffle=False,
    ).take(config.validation_batches)
    unigram = kd.evaluate_unigram(
        stores["train"].token_counts, tokenizer.special_ids, held_out_batches
    )
    print(
        f"{stores['train'].manifest['tokens']:,} training tokens in "
        f"{len(stores['train']):,} blocks; unigram baseline "
        f"{unigram['masked_cross_entropy']:.3f} nats on held-out text"
    )
    return TextBatches(train_batches, held_out_batches, unigram)


def fit(model, batches, config, callbacks):
    """Stock `fit` for `config.steps` steps, validated along the way."""
    return model.fit(
        batches.train.repeat(),
        steps_per_epoch=max(1, config.steps // config.validations),
        epochs=config.validations,
        validation_data=batches.held_out,
        callbacks=callbacks,
        shuffle=False,
    )
