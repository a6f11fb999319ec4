"""labeled_batches: labelled texts to batches of about one length."""

import itertools

import numpy as np
from keras_kd.data.class_names import label_ids
from keras_kd.data.last_calls import last_calls
from keras_kd.data.masking import check_seed
from keras_kd.quiet import import_tensorflow

INPUTS = ("token_ids", "segment_ids", "padding_mask")
MULTIPLE = 8  # of which widths are, so that XLA compiles few programs
POOL = 50  # batches that are sorted by length together


def labeled_batches(
    texts,
    tokenizer,
    batch_size,
    class_names=None,
    max_length=128,
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
    width_multiple=MULTIPLE,
):
    """A `tf.data.Dataset` of batches of a task, for `fit` and `evaluate`.

    Each time it is iterated is an epoch, in another order: texts of about one
    length come together, batches in an order of chance. It is a pure function
    of (seed, epoch). No text is left out: the last batch is filled with rows of
    padding alone, of weight 0.

    Args:
        texts: List of `LabeledText`.
        tokenizer: `WordPieceTokenizer`.
        batch_size: Int (B).
        class_names: List of str, in the order of ids; None: labels are
            numbers.
        max_length: Int (T), at most. Longer texts are cut at their end; of a
            pair the longer one first.
        seed: Int >= 0, of the order.
        shuffle: Bool. False: texts in their order.
        first_epoch: Int. Number of the first iteration.
        first_batch: Int. The batch to begin with, counted over epochs from
            `first_epoch` on.
        width_multiple: Int. What T is a multiple of, so that XLA compiles few
            programs; 1, the least padding, where nothing is compiled.

    Returns:
        Dataset of the dict of `token_ids`, `segment_ids` and `padding_mask`,
        each (B, T) int32, T such a multiple or `max_length`; labels (B,),
        int32 ids or float32 numbers; and weights (B,) float32, those of
        the texts, 0 for texts without a label.

    Raises:
        ValueError: If there is no text, a size is too small, or a label is no
            class.
        ImportError: If TensorFlow is not installed.
    """
    import_tensorflow("`labeled_batches` (tf.data)")
    _check(texts, batch_size, max_length, first_batch, width_multiple)
    encoded = EncodedTexts(
        texts, tokenizer, class_names, max_length, width_multiple
    )
    return encoded_batches(
        encoded, batch_size, (), seed, shuffle, first_epoch, first_batch
    )


def encoded_batches(
    encoded,
    batch_size,
    label_shape=(),
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
):
    """A `tf.data.Dataset` of batches of what is encoded already.

    Args:
        encoded: Object with `lengths`, (N,) int, tokens of each row;
            `labels`, an array whose type is that of labels; and `batch(rows)`,
            as of `EncodedTexts`.
        batch_size: Int (B).
        label_shape: Tuple, of one row's labels and of its weights; None for a
            size that batches differ in.
        seed: As of `labeled_batches`, as all that follow.
        shuffle: Bool.
        first_epoch: Int.
        first_batch: Int.

    Returns:
        As `labeled_batches`; labels and weights are (B, *label_shape).
    """
    check_seed(seed)
    tf = import_tensorflow("`encoded_batches` (tf.data)")
    number = len(encoded.lengths)
    steps = -(-number // batch_size)
    watched = last_calls().watched
    done, first_step = divmod(first_batch, steps)
    epochs = itertools.count(first_epoch + done)
    first_steps = itertools.chain([first_step], itertools.repeat(0))

    def order(_):
        epoch = next(epochs) if shuffle else first_epoch
        rows = np.full(steps * batch_size, -1)
        rows[:number] = np.arange(number)
        rows = rows.reshape(steps, batch_size)
        if shuffle:
            rows = batches_by_length(encoded.lengths, batch_size, seed, epoch)
        return rows[next(first_steps) :]

    label_type = tf.as_dtype(encoded.labels.dtype)

    def load(rows):
        return encoded.batch(rows)

    def batch_of(rows):
        types = [tf.int32] * 3 + [label_type, tf.float32]
        *x, y, weights = tf.numpy_function(watched(load), [rows], types)
        for array in x:
            array.set_shape((batch_size, None))
        for array in (y, weights):
            array.set_shape((batch_size, *label_shape))
        return dict(zip(INPUTS, x, strict=True)), y, weights

    def start(index):
        rows = tf.numpy_function(watched(order), [index], tf.int64)
        rows.set_shape((None, batch_size))
        return tf.data.Dataset.from_tensor_slices(rows)

    dataset = tf.data.Dataset.range(1).flat_map(start)
    dataset = dataset.map(batch_of, num_parallel_calls=2)
    if not first_step:  # else the first epoch is shorter than the others
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(tf.data.AUTOTUNE)


def batches_by_length(lengths, batch_size, seed, epoch):
    """Rows of each batch, texts of about one length together.

    Texts are shuffled, sorted within pools of 50 batches, and cut to batches,
    which are shuffled: widths come in an order of chance.

    Args:
        lengths: (N,) int.
        batch_size: Int (B).
        seed: Int.
        epoch: Int.

    Returns:
        (N / B rounded up, B) int64, each row of 0 to N - 1 once; -1 fills the
        batch that is not full.
    """
    random = np.random.default_rng((seed, epoch))
    rows = random.permutation(len(lengths))
    size = POOL * batch_size
    pools = np.split(rows, range(size, len(rows), size))
    rows = np.concatenate(
        [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    )
    missing = -len(rows) % batch_size
    rows = np.concatenate([rows, np.full(missing, -1)])
    return random.permutation(rows.reshape(-1, batch_size)).astype("int64")


class EncodedTexts:
    """Texts as token ids, and their labels as numbers.

    Args:
        texts: List of `LabeledText`.
        tokenizer: `WordPieceTokenizer`.
        class_names: As of `labeled_batches`.
        max_length: Int.
        width_multiple: Int.
    """

    def __init__(
        self,
        texts,
        tokenizer,
        class_names,
        max_length,
        width_multiple=MULTIPLE,
    ):
        self.width_multiple = width_multiple
        self.tokenizer = tokenizer
        self.first = tokenizer.encode_batch([text.text for text in texts])
        self.second = None
        self.has_pairs = texts[0].pair is not None
        if self.has_pairs:
            self.second = tokenizer.encode_batch([t.pair for t in texts])
        self.max_length = max_length
        self.cut(max_length)
        self.lengths = np.array([len(ids) + 2 for ids in self.first])
        if self.has_pairs:
            self.lengths += [len(ids) + 1 for ids in self.second]
        self.weights = np.array(
            [0 if t.label is None else t.weight for t in texts], "float32"
        )
        self.labels = label_ids(texts, class_names)

    def cut(self, max_length):
        """Cuts what is longer than `max_length` with its special tokens."""
        if not self.has_pairs:
            self.first = [ids[: max_length - 2] for ids in self.first]
            return
        for index, ids in enumerate(self.first):
            kept = keep_longest(
                len(ids), len(self.second[index]), max_length - 3
            )
            self.first[index] = ids[: kept[0]]
            self.second[index] = self.second[index][: kept[1]]

    def batch(self, rows):
        """Arrays of a batch.

        Args:
            rows: (B,) int; -1 for one of padding alone.

        Returns:
            `INPUTS`, each (B, T) int32, labels (B,) and weights (B,).
        """
        parts = [self.pair(row) if row >= 0 else None for row in rows]
        there = np.asarray(rows) >= 0
        labels = np.where(there, self.labels[rows], 0)
        weights = np.where(there, self.weights[rows], 0)
        labels = labels.astype(self.labels.dtype)
        inputs = input_arrays(
            parts, self.tokenizer, self.max_length, self.width_multiple
        )
        return *inputs, labels, weights.astype("float32")

    def pair(self, row):
        """Token ids of a row's text, and of its second or None."""
        return self.first[row], self.second[row] if self.has_pairs else None


def input_arrays(parts, tokenizer, max_length=None, width_multiple=MULTIPLE):
    """`INPUTS` of texts, [CLS] first [SEP], or [CLS] first [SEP] second [SEP].

    Args:
        parts: List of pairs of int arrays, token ids of the first text and of
            the second, which may be None; or None, for padding alone.
        tokenizer: `WordPieceTokenizer`.
        max_length: Int (T), at most; or None. No part is longer.
        width_multiple: Int.

    Returns:
        Three arrays, (B, T) int32, T the next multiple, or `max_length`.
    """
    start, end = [tokenizer.cls_id], [tokenizer.sep_id]
    rows, begins = [], []
    for first, second in (pair or ((), None) for pair in parts):
        begins.append(len(first) + 2)
        after = () if second is None else (second, end)
        rows.append(np.concatenate([start, first, end, *after]))
    there = [pair is not None for pair in parts]
    lengths = np.where(there, [len(row) for row in rows], 0)
    width = -(-max(lengths) // width_multiple) * width_multiple
    shape = len(rows), width if max_length is None else min(width, max_length)
    ids = np.full(shape, tokenizer.pad_id, "int32")
    segments, mask = np.zeros((2, *shape), "int32")
    for index, length in enumerate(lengths):
        ids[index, :length] = rows[index][:length]
        segments[index, begins[index] : length] = 1
        mask[index, :length] = 1
    return ids, segments, mask


def keep_longest(first, second, room):
    """How much of a pair is kept: the longer one is cut first.

    As Hugging Face's tokenizers do with `longest_first`.

    Args:
        first: Int, tokens of the first text.
        second: Int, of the second.
        room: Int, tokens there are for both.

    Returns:
        Pair of int.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    if first <= second:
        return shorter, room - shorter
    return room - shorter, shorter


def _check(texts, batch_size, max_length, first_batch, width_multiple):
    if not texts:
        raise ValueError("`texts` must hold a text. Received: none")
    if len({text.pair is None for text in texts}) > 1:
        raise ValueError(
            "`texts` must be all pairs, or none of them. Received: both"
        )
    check_sizes(
        batch_size=(batch_size, 1),
        max_length=(max_length, MULTIPLE),
        first_batch=(first_batch, 0),
        width_multiple=(width_multiple, 1),
    )


def check_sizes(**sizes):
    """Refuses sizes, each given with the least it may be."""
    for name, (value, least) in sizes.items():
        if value < least:
            raise ValueError(
                f"`{name}` must be at least {least}. Received: {value}"
            )
