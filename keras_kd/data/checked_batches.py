"""checked_batches: what cannot be learned from is refused as it comes."""

import types

import keras
import numpy as np
from keras_kd.data.last_calls import last_calls
from keras_kd.quiet import import_tensorflow


class BatchCheck:
    """Refuses labels, positions and weights that no model could mean.

    What has weight 0 may hold anything, such as -100.

    Args:
        num_classes: Int, that ids of labels are below; None: not looked at.
        regression: Bool. Labels are numbers.
        positions: Bool. Labels are tokens' positions, which must be real.
        vocabulary_size: Int, that ids of tokens are below; None: not looked at.
        class_weight: Dict of class id to the factor of its rows' weights; a
            class that is not there has 1. Or None.
        rank: Int, the number of axes of labels; None: not looked at.

    Attributes:
        error: The ValueError of a batch that was refused, or None.

    Raises:
        ValueError: If `class_weight` has another class, or a factor that is
            negative or not finite.
    """

    def __init__(
        self,
        num_classes=None,
        regression=False,
        positions=False,
        vocabulary_size=None,
        class_weight=None,
        rank=None,
    ):
        self.num_classes = num_classes
        self.regression = regression
        self.positions = positions
        self.vocabulary_size = vocabulary_size
        self.rank = rank
        self.factors = None
        self.error = None
        if class_weight is not None:
            self.factors = class_factors(class_weight, num_classes)

    def __call__(self, x, y, weights):
        """The weights of a batch: those given, times those of the classes.

        Args:
            x: Dict of arrays, the inputs.
            y: Array of labels.
            weights: Array that goes with `y`, or None for 1 each.

        Returns:
            Float32 array, of the shape of `weights`, or of `y`.

        Raises:
            ValueError: If something is out of its range.
        """
        y = np.asarray(y)
        if weights is None:
            weights = np.ones(y.shape, "float32")
        weights = np.asarray(weights).astype("float32", copy=False)
        try:
            self.check(x, y, weights)
        except ValueError as error:
            self.error = error
            raise
        if self.factors is None:
            return weights
        known = (y >= 0) & (y < len(self.factors))  # others have weight 0
        ids = np.where(known, y, 0).astype("int64")
        weights = weights.reshape(like_labels(weights, y))
        return np.asarray(weights * self.factors[ids])

    def check(self, x, y, weights):
        """Raises a ValueError if something is out of its range."""
        self.check_shapes(y, weights)
        refuse(
            ~(np.isfinite(weights) & (weights >= 0)),
            weights,
            "`sample_weight` must be 0 or more, and finite",
        )
        counts = np.broadcast_to(
            weights.reshape(like_labels(weights, y)) > 0, y.shape
        )
        real = x.get("padding_mask")
        if self.regression:
            refuse(counts & ~np.isfinite(y), y, "`y` must be finite")
        elif self.positions:
            self.check_positions("`y`", y, counts, real)
        elif self.num_classes is not None:
            known = (y >= 0) & (y < self.num_classes)
            if y.dtype.kind == "f":
                known &= y == np.floor(y)
            refuse(
                counts & ~known,
                y,
                "`y` must be ids of classes (of a masked LM, of tokens) from 0 "
                f"to {self.num_classes - 1} wherever `sample_weight` is not 0",
            )
        if "mask_positions" in x:
            positions = np.asarray(x["mask_positions"])
            self.check_positions("`mask_positions`", positions, counts, real)
        elif real is not None and y.shape == np.shape(real):  # of tokens
            refuse(
                counts & (np.asarray(real) == 0),
                weights,
                "`sample_weight` must be 0 wherever `padding_mask` is",
            )
        if self.vocabulary_size is not None and "token_ids" in x:
            ids = np.asarray(x["token_ids"])
            refuse(
                (ids < 0) | (ids >= self.vocabulary_size),
                ids,
                f"`token_ids` must be from 0 to {self.vocabulary_size - 1}",
            )

    def check_shapes(self, y, weights):
        """Refuses labels that are no numbers, and shapes that do not fit."""
        if y.dtype.kind not in "biuf":
            raise ValueError(
                "`y` must be numbers: ids of classes, such as "
                "`names.index(label)`. Received: an array of dtype "
                f"{y.dtype}"
            )
        if self.rank is not None and y.ndim != self.rank:
            raise ValueError(
                f"`y` must have {self.rank} axes here, one label for each row "
                "of logits: not one-hot, and without a last axis of 1 "
                f"(`y[..., 0]`). Received: shape {y.shape}"
            )
        sizes = zip(weights.shape, y.shape, strict=False)
        if weights.ndim > y.ndim or any(w not in (1, n) for w, n in sizes):
            raise ValueError(
                "`sample_weight` must have the shape of `y`, or of its first "
                f"axes. Received: {weights.shape}, and `y` of {y.shape}"
            )

    @staticmethod
    def check_positions(name, positions, counts, real):
        """Refuses positions, (B, K), where no real token stands."""
        if real is None or positions.shape != counts.shape:
            return
        real = np.asarray(real) != 0
        length = real.shape[1]
        inside = (positions >= 0) & (positions < length)
        at = np.where(inside, positions, 0).astype("int64")
        refuse(
            counts & ~(inside & np.take_along_axis(real, at, axis=1)),
            positions,
            f"{name} must be of real tokens, within the {length} there are and "
            "not on padding, wherever `sample_weight` is not 0",
        )


def like_labels(weights, y):
    """Shape of weights of whole texts, as goes with labels of their parts."""
    return weights.shape + (1,) * (y.ndim - weights.ndim)


def refuse(wrong, values, expected):
    """Raises a ValueError that names the first value that is wrong."""
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        value = np.broadcast_to(values, wrong.shape)[place]
        raise ValueError(
            f"{expected}: give what is not to count the weight 0. Received: "
            f"{value.item()} at row {place[0]} of a batch, {int(wrong.sum())} "
            "such in all"
        )


def class_factors(class_weight, num_classes):
    """Factors of the classes in their order, (C,) float32."""
    if num_classes is None:
        raise ValueError(
            "`class_weight` must be left out where labels are no classes. "
            f"Received: {class_weight}"
        )
    if not hasattr(class_weight, "values"):
        raise ValueError(
            "`class_weight` must be a dict of class ids and factors, such as "
            f"{{0: 1.0, 1: 2.5}}. Received: {class_weight!r}"
        )
    unknown = [c for c in class_weight if c not in range(num_classes)]
    wrong = [w for w in class_weight.values() if not 0 <= w < float("inf")]
    if unknown or wrong:
        raise ValueError(
            f"`class_weight` must name classes from 0 to {num_classes - 1}, "
            "each with a number of 0 or more, and finite. Received: "
            f"{class_weight}"
        )
    factors = np.ones(num_classes, "float32")
    for index, factor in class_weight.items():
        factors[int(index)] = factor
    return factors


def checked_batches(x, y, sample_weight, check):
    """What `fit` or `evaluate` is given, each batch checked as it comes.

    Arrays are checked at once; batches of a `tf.data.Dataset`, a `PyDataset`
    or a generator before a step sees them, on any backend, compiled or not.
    Other sources, and batches without labels, are handed on as they are.

    Args:
        x: Dataset, `PyDataset`, generator, or dict of arrays.
        y: Array, or None.
        sample_weight: Array, or None.
        check: `BatchCheck`.

    Returns:
        `x`, `y` and `sample_weight`, with the weights of classes.

    Raises:
        ValueError: If arrays are refused, labels do not go with a dict, or
            there are weights of classes and `x` is another source.
    """
    if isinstance(x, dict) and y is not None:
        y = np.asarray(y) if isinstance(y, (list, tuple)) else y
        return x, y, check(x, y, sample_weight)
    if y is not None:
        raise ValueError(
            "`x` must be a dict of arrays (`token_ids`, `padding_mask`, ...) "
            f"where `y` is given. Received: {type(x).__name__}"
        )
    if isinstance(x, keras.utils.PyDataset):
        return CheckedPyDataset(x, check), y, sample_weight
    if isinstance(x, types.GeneratorType):
        return (_checked(batch, check) for batch in x), y, sample_weight
    spec = getattr(x, "element_spec", None)
    if has_labels(spec) and hasattr(x, "map"):
        return _checked_dataset(x, check), y, sample_weight
    if check.factors is not None:
        raise ValueError(
            "`class_weight` goes with a dataset, a generator or a dict of "
            f"arrays that have labels. Received: {type(x).__name__}"
        )
    return x, y, sample_weight


def has_labels(batch):
    """Whether a batch, or its spec, is a dict of inputs and one of labels."""
    return (
        isinstance(batch, tuple)
        and len(batch) > 1
        and isinstance(batch[0], dict)
        and hasattr(batch[1], "shape")
    )


def _checked(batch, check):
    if not has_labels(batch):
        return batch
    x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
    return x, y, check(x, y, weights)


class CheckedPyDataset(keras.utils.PyDataset):
    """Batches of a `PyDataset`, each checked as it is made.

    Args:
        source: `PyDataset`.
        check: `BatchCheck`.
    """

    def __init__(self, source, check):
        super().__init__(
            source.workers, source.use_multiprocessing, source.max_queue_size
        )
        self.source = source
        self.check = check

    @property
    def num_batches(self):
        return self.source.num_batches

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        return _checked(self.source[index], self.check)

    def on_epoch_begin(self):
        self.source.on_epoch_begin()

    def on_epoch_end(self):
        self.source.on_epoch_end()


def _checked_dataset(dataset, check):
    tf = import_tensorflow("`checked_batches` (tf.data)")
    watched = last_calls().watched
    looked_at = ("token_ids", "padding_mask", "mask_positions")

    def of_arrays(names, y, weights, *arrays):
        x = dict(zip(names, arrays, strict=True))
        return check(x, y, weights if weights.shape else None)

    def checked(x, y, weights=None):
        names = [name for name in looked_at if name in x]
        given = tf.constant(1.0) if weights is None else weights
        found = tf.numpy_function(
            watched(lambda *arrays: of_arrays(names, *arrays)),
            [y, given, *(x[name] for name in names)],
            tf.float32,
        )
        like = y if weights is None or check.factors is not None else weights
        found.set_shape(like.shape)
        return x, y, found

    return dataset.map(checked, num_parallel_calls=1)
