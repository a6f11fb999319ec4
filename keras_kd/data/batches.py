"""masked_lm_batches: blocks to shuffled, masked, prefetched batches."""

import itertools
import warnings

import numpy as np
from keras_kd.data.masking import MaskedLMMasking, smoothed_token_probs
from keras_kd.runtime import import_tensorflow


def masked_lm_batches(
    store,
    tokenizer,
    batch_size,
    rate=0.15,
    seed=0,
    shuffle=True,
    first_epoch=0,
    smoothing=0.0,
    across_batch=False,
):
    """A `tf.data.Dataset` of masked-LM batches, for `fit` and `evaluate`.

    Each time it is iterated is an epoch: blocks in another order, masked
    anew. Order and masks are a pure function of (seed, epoch, block index).
    The dataset counts its epochs from `first_epoch` on, over all that iterate
    it: for the same batches again, make another.
    Batches have one static shape, as XLA and LayerDrop want them.

    Args:
        store: `TokenStore`.
        tokenizer: The `WordPieceTokenizer` that made it.
        batch_size: Int (B).
        rate: Float in (0, 1). Share of tokens hidden.
        seed: Int >= 0, of order and masks.
        shuffle: Bool. False for evaluation: blocks in order and the same
            masks at each iteration, the blocks that do not fill the last
            batch kept with weight 0 for what is missing (a stock model's
            `val_loss` counts that batch as a full one; `evaluate` and
            `Distiller` count its tokens). True: they wait for another epoch.
        first_epoch: Int. Number of the first iteration, where training goes
            on after epochs done before.
        smoothing: Float >= 0. Rare tokens are hidden more often, by the
            store's own counts, as `smoothed_token_probs`; 0: all alike.
            DistilBERT's scripts have 0.7.
        across_batch: Bool. The share is drawn from the whole batch at once,
            as `MaskedLMMasking` says; masks then depend on its blocks.

    Returns:
        Dataset of `x`, `y`, `sample_weight` as `MaskedLMMasking` makes them.

    Raises:
        ValueError: If the tokenizer is another, or there are fewer blocks
            than one batch has; if `rate`, `seed` or `smoothing` is out of
            range.
    """
    tf = import_tensorflow("`masked_lm_batches` (tf.data)")
    store.check_tokenizer(tokenizer)
    if not 1 <= batch_size <= len(store):
        raise ValueError(
            "`batch_size` must be at least 1 and at most the corpus's number "
            f"of blocks, {len(store)} of {store.block_length} tokens. "
            f"Received: {batch_size}"
        )
    token_probs = None
    if smoothing:
        token_probs = smoothed_token_probs(
            store.token_counts, tokenizer.special_ids, smoothing
        )
    masking = MaskedLMMasking(
        tokenizer.vocabulary_size,
        tokenizer.special_ids,
        tokenizer.pad_id,
        tokenizer.mask_id,
        rate=rate,
        seed=seed,
        token_probs=token_probs,
        across_batch=across_batch,
    )
    number_of_blocks = len(store)
    steps = number_of_blocks // batch_size
    if not shuffle:
        steps = -(-number_of_blocks // batch_size)

    epochs = itertools.count(first_epoch)

    def this_epoch():
        yield next(epochs) if shuffle else first_epoch

    def indices_of(epoch):
        indices = tf.data.Dataset.range(steps * batch_size)
        if shuffle:
            key = tf.stack([seed, tf.cast(epoch, tf.int32)])
            indices = indices.map(
                lambda index: tf.random.experimental.index_shuffle(
                    index, key, number_of_blocks - 1
                )
            )
        batches = indices.batch(batch_size, drop_remainder=True)
        return batches.map(lambda batch: (batch, epoch))

    slots = masking.positions_per_block(store.block_length)
    wide, narrow = (batch_size, store.block_length), (batch_size, slots)
    shapes = [wide, wide, wide, narrow, narrow, narrow]

    def load(indices, epoch):
        here = indices < number_of_blocks  # False: filling the last batch
        blocks = store.blocks[np.where(here, indices, 0)]
        x, y, weights = masking(blocks, indices, int(epoch))
        weights = weights * here[:, None].astype("float32")
        x["padding_mask"] = x["padding_mask"] * here[:, None].astype("int32")
        return *x.values(), y, weights

    def batch_of(indices, epoch):
        types = [tf.int32] * 5 + [tf.float32]
        arrays = tf.numpy_function(load, [indices, epoch], types)
        for array, shape in zip(arrays, shapes, strict=True):
            array.set_shape(shape)
        *x, y, weights = arrays
        return dict(zip(INPUTS, x, strict=True)), y, weights

    dataset = tf.data.Dataset.from_generator(
        this_epoch, output_signature=tf.TensorSpec((), tf.int64)
    )
    dataset = dataset.flat_map(indices_of)
    dataset = dataset.map(batch_of, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    # Keras 3.15 says this at every fit with a dataset, asked for or not.
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    return dataset.prefetch(tf.data.AUTOTUNE)


INPUTS = ("token_ids", "segment_ids", "padding_mask", "mask_positions")
