"""masked_lm_batches: blocks to shuffled, masked, prefetched batches."""

import functools
import itertools
import warnings

import numpy as np
from keras_kd.data.last_calls import last_calls
from keras_kd.data.masking import (
    MaskedLMMasking,
    check_seed,
    smoothed_token_probs,
)
from keras_kd.quiet import import_tensorflow


def masked_lm_batches(
    store,
    tokenizer,
    batch_size,
    rate=0.15,
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
    smoothing=0.0,
    across_batch=False,
    whole_words=False,
    independent=False,
):
    """A `tf.data.Dataset` of masked-LM batches, for `fit` and `evaluate`.

    Each time it is iterated is an epoch: blocks in another order, masked
    anew. Order and masks are a pure function of (seed, epoch, block index).
    The dataset counts its epochs from `first_epoch` on, over all that iterate
    it: for the same batches again, make another.
    Batches of running text have one static shape; line by line, all blocks of
    a batch are of one length, of the few that the store has, so that XLA
    compiles as many programs (`LayerDrop` then saves no time); where a length
    has too few blocks for a batch, these are left out of training.

    Args:
        store: `TokenStore`.
        tokenizer: The `WordPieceTokenizer` that made it.
        batch_size: Int (B).
        rate: Float in (0, 1). Share of tokens hidden.
        seed: Int >= 0, of order and masks.
        shuffle: Bool. False for evaluation: blocks in order (of lines: the
            batches in an order of chance that stays) and the same masks at
            each iteration, the blocks that do not fill the last batch kept
            with weight 0 for what is missing (a stock model's `val_loss`
            counts that batch as a full one; `evaluate` and `Distiller` count
            its tokens). True: they wait for another epoch.
        first_epoch: Int. Number of the first iteration, where training goes
            on after epochs done before.
        first_batch: Int. The batch to begin with, counted over epochs from
            `first_epoch` on: training goes on after so many batches, within
            an epoch or later. Only with `shuffle`.
        smoothing: Float >= 0. Rare tokens are hidden more often, by the
            store's own counts, as `smoothed_token_probs`; 0: all alike.
            DistilBERT's scripts have 0.7.
        across_batch: Bool. The share is drawn from the whole batch at once,
            as `MaskedLMMasking` says; masks then depend on its blocks.
        whole_words: Bool. All pieces of a word are hidden, or none.
        independent: Bool. Each token is hidden by itself, as Hugging Face's
            collator does; their number varies.

    Returns:
        Dataset of `x`, `y`, `sample_weight` as `MaskedLMMasking` makes them.

    Raises:
        ValueError: If the tokenizer is another, or there are fewer blocks
            than one batch has; if `rate`, `seed`, `smoothing` or
            `first_batch` is out of range, or ways of masking are asked for
            that do not go together.
    """
    tf = import_tensorflow("`masked_lm_batches` (tf.data)")
    check_batches(store, tokenizer, batch_size, shuffle, first_batch)
    token_probs = None
    if smoothing:
        token_probs = smoothed_token_probs(
            store.token_counts, tokenizer.special_ids, smoothing
        )
    nobodys = [id for id, token in enumerate(tokenizer.vocabulary) if not token]
    masking = MaskedLMMasking(
        tokenizer.vocabulary_size,
        (*tokenizer.special_ids, *nobodys),
        tokenizer.pad_id,
        tokenizer.mask_id,
        rate=rate,
        seed=seed,
        token_probs=token_probs,
        across_batch=across_batch,
        whole_words=tokenizer.continuations if whole_words else None,
        independent=independent,
    )

    def make(blocks, here, indices, epoch):
        x, y, weights = masking(blocks, indices, epoch)
        x["padding_mask"] = x["padding_mask"] * here.astype("int32")
        return *x.values(), y, weights * here.astype("float32")

    def named(arrays):
        *x, y, weights = arrays
        return dict(zip(INPUTS, x, strict=True)), y, weights

    slots = static_width(store, masking.positions_per_block)
    wide, narrow = (static_width(store), "int32"), (slots, "int32")
    specs = [wide, wide, wide, narrow, narrow, (slots, "float32")]
    order = seed, shuffle, first_epoch, first_batch
    at_once = 1 if across_batch else batches_at_once(store, batch_size)
    return _batches(tf, store, batch_size, order, specs, make, named, at_once)


def token_batches(
    store,
    tokenizer,
    batch_size,
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
):
    """Batches of text as it is, nothing masked, for encoders without a head.

    In the order, and counting epochs, as `masked_lm_batches` does.

    Args:
        store: `TokenStore`.
        tokenizer: The `WordPieceTokenizer` that made it.
        batch_size: Int (B).
        seed: Int >= 0, of the order.
        shuffle: Bool. False: blocks in order, the last batch filled with
            blocks of padding alone.
        first_epoch: Int. Number of the first iteration.
        first_batch: Int. As of `masked_lm_batches`.

    Returns:
        Dataset of one-element tuples: the dict of `token_ids`, `segment_ids`
        and `padding_mask`, each (B, T) int32.

    Raises:
        ValueError: As `masked_lm_batches`.
    """
    tf = import_tensorflow("`token_batches` (tf.data)")
    check_batches(store, tokenizer, batch_size, shuffle, first_batch)

    def make(blocks, here, indices, epoch):
        padding_mask = (blocks != tokenizer.pad_id) & here
        ids = blocks.astype("int32")
        return ids, np.zeros_like(ids), padding_mask.astype("int32")

    def named(arrays):
        return (dict(zip(INPUTS, arrays, strict=False)),)

    specs = [(static_width(store), "int32")] * 3
    order = seed, shuffle, first_epoch, first_batch
    at_once = batches_at_once(store, batch_size)
    return _batches(tf, store, batch_size, order, specs, make, named, at_once)


def static_width(store, of=lambda length: length):
    """`of` the length of all blocks; None where there are several lengths."""
    lengths = list(store.buckets)
    return of(lengths[0]) if len(lengths) == 1 else None


def batches_at_once(store, batch_size):
    """Batches that go through NumPy together: some 130,000 tokens, or one."""
    if len(store.buckets) > 1:
        return 1
    return max(1, 2**17 // (batch_size * store.block_length))


def check_batches(store, tokenizer, batch_size, shuffle, first_batch):
    """Refuses what does not fit the store, or the order."""
    store.check_tokenizer(tokenizer)
    length, most = max(
        ((t, len(blocks)) for t, blocks in store.buckets.items()),
        key=lambda bucket: bucket[1],
    )
    if not 1 <= batch_size <= (most if shuffle else len(store)):
        raise ValueError(
            "`batch_size` must be at least 1 and at most the corpus's number "
            f"of blocks, {most} of {length} tokens. "
            f"Received: {batch_size}"
        )
    if first_batch < 0 or (first_batch and not shuffle):
        raise ValueError(
            "`first_batch` must be 0 or more, and 0 without `shuffle`. "
            f"Received: {first_batch}"
        )


def _batches(tf, store, batch_size, order, specs, make, named, at_once):
    """A dataset that goes through a store, an epoch each time.

    Args:
        tf: TensorFlow.
        store: `TokenStore`.
        batch_size: Int (B).
        order: Seed, whether to shuffle, the first epoch, the first batch.
        specs: List of pairs, width and dtype of each array of a batch; the
            width is None where batches have several.
        make: Function of the blocks (N, T) of some batches, which of them are
            there (N, 1) bool, their indices (N,) in the store and the epoch,
            to a tuple of arrays (N, width).
        named: Function of those as tensors, to an element of the dataset.
        at_once: Int. How many batches `make` is given, one after the other.
    """
    seed, shuffle, first_epoch, first_batch = order
    check_seed(seed)
    buckets = list(store.buckets.values())
    sizes = np.array([len(blocks) for blocks in buckets])
    steps_of = sizes // batch_size if shuffle else -(-sizes // batch_size)
    first_steps_of = np.cumsum(steps_of) - steps_of
    offsets = np.cumsum(sizes) - sizes
    steps = int(steps_of.sum())

    watched = last_calls().watched
    done, first_step = divmod(first_batch, steps)
    epochs = itertools.count(first_epoch + done)
    first_steps = itertools.chain([first_step], itertools.repeat(0))

    def this_epoch():
        if shuffle:
            return np.int64(next(epochs)), np.int64(next(first_steps))
        return np.int64(first_epoch), np.int64(0)

    def indices_of(epoch, step):
        """Of several batches each, and which bucket they are in."""
        key = tf.stack([seed, tf.cast(epoch, tf.int32)])
        shuffled = functools.partial(
            tf.random.experimental.index_shuffle, seed=key
        )

        def of_some(step):
            if len(buckets) > 1:  # lengths take turns at random
                step = shuffled(step, max_index=steps - 1)
            bucket = tf.searchsorted(first_steps_of, [step], "right")[0] - 1
            first = step - tf.gather(first_steps_of, bucket)
            last = tf.minimum(first + at_once, tf.gather(steps_of, bucket))
            indices = tf.range(first * batch_size, last * batch_size)
            if shuffle:
                size = tf.gather(sizes, bucket)
                indices = shuffled(indices, max_index=size - 1)
            return bucket, indices, epoch

        return tf.data.Dataset.range(step, steps, at_once).map(of_some)

    def load(bucket, indices, epoch):
        here = indices < sizes[bucket]  # False: filling the last batch
        blocks = buckets[bucket][np.where(here, indices, 0)]
        indices = indices + offsets[bucket]
        return make(blocks, here[:, None], indices, int(epoch))

    def batches_of(bucket, indices, epoch):
        types = [tf.dtypes.as_dtype(dtype) for _, dtype in specs]
        arrays = tf.numpy_function(
            watched(load), [bucket, indices, epoch], types
        )
        batches = []
        for array, (width, _) in zip(arrays, specs, strict=True):
            array.set_shape((None, width))
            shape = -1, batch_size, tf.shape(array)[1]
            batches.append(tf.reshape(array, shape))
            batches[-1].set_shape((None, batch_size, width))
        return named(batches)

    def start(_):
        epoch, step = tf.numpy_function(
            watched(this_epoch), [], [tf.int64, tf.int64]
        )
        return tf.ensure_shape(epoch, ()), tf.ensure_shape(step, ())

    dataset = tf.data.Dataset.range(1).map(start).flat_map(indices_of)
    dataset = dataset.map(batches_of, num_parallel_calls=2)
    dataset = dataset.flat_map(
        lambda *batches: tf.data.Dataset.from_tensor_slices(batches)
    )
    if not first_step:  # else the first epoch is shorter than the others
        assert_steps = tf.data.experimental.assert_cardinality(steps)
        dataset = dataset.apply(assert_steps)
    # Keras 3.15 says this at every fit with a dataset, asked for or not.
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    return dataset.prefetch(tf.data.AUTOTUNE)


INPUTS = ("token_ids", "segment_ids", "padding_mask", "mask_positions")
