"""What task models share: how they train, and how they get an encoder."""

import dataclasses
import math

import keras
import numpy as np
from keras.dtype_policies import DTypePolicyMap
from keras_kd.layers.dropout import Dropout
from keras_kd.layers.float_dense import FloatDense
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import split_seed
from keras_kd.models.bert_backbone import (
    BertBackbone,
    EncoderModel,
    SharingModel,
    name_variables,
    token_inputs,
)
from keras_kd.models.presets import BertConfig
from keras_kd.models.task_training import TaskTraining


class TaskModel(TaskTraining, EncoderModel):
    """A model whose loss and metrics see its logits alone.

    Trains with plain `compile` and `fit`; the loss "auto" is that of
    `make_loss`, the cross-entropy of the labels' ids.
    """

    @classmethod
    def from_encoder(cls, encoder, seed=None, dtype=None, **arguments):
        """A model of this class over a copy of an encoder's weights.

        Args:
            encoder: `BertBackbone`, or a task model over one, whose head is
                left behind. Where it has no pooler and this class does, the
                pooler starts at random.
            seed: Int or None. Seed of the new head, dropout and LayerDrop.
            dtype: Str or policy. Keras's precision policy; default: the
                global.
            **arguments: The class's own, such as `class_names`.

        Returns:
            The model.
        """
        model = cls(encoder.config, seed=seed, dtype=dtype, **arguments)
        theirs = getattr(encoder, "backbone", encoder).named_variables()
        for name, variable in model.backbone.named_variables().items():
            if name in theirs:  # by NumPy: on JAX both would have one array
                variable.assign(keras.ops.convert_to_numpy(theirs[name]))
        return model

    @staticmethod
    def make_loss():
        """The loss that "auto" stands for."""
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def compile(self, optimizer="adamw", loss="auto", **kwargs):
        """Keras's `compile`; "auto" is the loss that the task is told by.

        It is averaged over what has weight (`sample_weight`): for a masked LM
        the masked positions.
        """
        if loss == "auto":
            loss = self.make_loss()
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Keras's `predict`: logits alone, of real rows alone.

        Returns:
            Dict of `logits`, an array with a row for each row of `x` that is
            not padding alone, as filler is. Of batches of several widths it
            is as wide as the widest; what a text lacks is 0, of a span
            extractor -1e9.
        """
        found = self.logits_alone().predict(x, *args, **kwargs)
        real = found["real_rows"]
        logits, widths = found["logits"], found["widths"]
        shape = [None, *self.output["logits"].shape[1:]]
        if None in shape[1:]:
            lacking = -1e9 if self.labels_are_positions else 0.0
            logits = join_rows(logits, widths, shape, lacking)
        return {"logits": logits[real]}

    def logits_alone(self):
        """This model without its other outputs, and which rows are real.

        Logits of as many places as a batch is wide are flat, since Keras
        joins batches of one shape alone; `widths` says how many places.
        """
        inputs = {tensor.name: tensor for tensor in self.inputs}
        real = keras.ops.any(inputs["padding_mask"] != 0, axis=-1)
        places = inputs.get("mask_positions", inputs["padding_mask"])
        logits = self.output["logits"]
        if None in logits.shape[1:]:
            logits = keras.ops.reshape(logits, (-1,))
        widths = keras.ops.sum(keras.ops.ones_like(places), axis=-1)
        model = SharingModel(
            inputs,
            {"logits": logits, "real_rows": real, "widths": widths},
            name=f"logits_of_{self.name}",
        )
        if self.compiled:
            model.compile(
                run_eagerly=self.run_eagerly,
                jit_compile=self.jit_compile,
                steps_per_execution=self.steps_per_execution,
            )
        return model

    def compile_from_config(self, config):
        """Compiles a loaded model as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return super().compute_loss(
            x, y, y_pred["logits"], sample_weight, training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)


def join_rows(flat, widths, shape, lacking):
    """Rows of several widths as one array, as wide as the widest.

    Args:
        flat: Float array, all rows' values, one row after the other.
        widths: Int array (N,), of each row.
        shape: List, the shape of rows: None for N, and for the width.
        lacking: Float, what narrower rows are filled up with.

    Returns:
        Float array of that shape.
    """
    axis = shape.index(None, 1)
    sizes = widths * math.prod(size for size in shape if size is not None)
    widest = int(max(widths, default=0))
    joined = np.full(
        (len(widths), *shape[1:axis], widest, *shape[axis + 1 :]),
        lacking,
        flat.dtype,
    )
    ends = np.cumsum(sizes)
    for row, (width, size, end) in enumerate(
        zip(widths, sizes, ends, strict=True)
    ):
        values = flat[end - size : end]
        place = (row, *[slice(None)] * (axis - 1), slice(0, int(width)))
        joined[place] = values.reshape(
            *shape[1:axis], width, *shape[axis + 1 :]
        )
    return joined


class DenseTask(TaskModel):
    """A task model whose head is dropout and one dense layer.

    A class says how many numbers the layer gives (`num_outputs`), whether it
    reads each text's pooled state or each token's (`pooled`), and what becomes
    of them (`shape_logits`).

    Args:
        config: `BertConfig`, or its fields as a dict.
        num_outputs: Int.
        classifier_dropout: Float in [0, 1), of what the layer reads; None for
            `config.dropout`.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.
    """

    pooled = True
    head_name = "classifier"

    def __init__(
        self,
        config,
        num_outputs,
        classifier_dropout=None,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        config = (
            config if isinstance(config, BertConfig) else BertConfig(**config)
        )
        config = dataclasses.replace(config, pooler=self.pooled)
        if classifier_dropout is None:
            classifier_dropout = config.dropout
        seeds = split_seed(seed, 3)
        backbone = BertBackbone(
            config, seed=seeds[0], dtype=dtype, name="backbone"
        )
        dropout = Dropout(classifier_dropout, seed=seeds[1], dtype=dtype)
        classifier = FloatDense(
            num_outputs,
            kernel_initializer=noise(config.initializer_range, seeds[2]),
            dtype=dtype if isinstance(dtype, DTypePolicyMap) else "float32",
            name=self.head_name,
        )
        inputs, outputs = self.classify(backbone, dropout, classifier, config)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.classifier_dropout = classifier_dropout
        self.backbone = backbone
        self.dropout = dropout
        self.classifier = classifier

    @classmethod
    def classify(cls, backbone, dropout, classifier, config):
        """Functional inputs and outputs of the head over a backbone."""
        inputs = token_inputs(config)
        outputs = dict(backbone(inputs))
        states = outputs["hidden_states"][-1]
        read = outputs["pooled"] if cls.pooled else states
        logits = classifier(dropout(read))
        outputs["logits"] = cls.shape_logits(logits, inputs["padding_mask"])
        return inputs, outputs

    @staticmethod
    def shape_logits(logits, padding_mask):
        """The model's logits, of what the dense layer gives."""
        return logits

    def connect_observed(self, names):
        backbone = self.backbone.observing(names)
        return self.classify(
            backbone, self.dropout, self.classifier, self.config
        )

    def connect_layers(self, layers):
        backbone = self.backbone.subnetwork(layers)
        return self.classify(
            backbone, self.dropout, self.classifier, self.config
        )

    def named_variables(self):
        """The backbone's names, and the head's, such as "classifier/kernel".

        Returns:
            Dict of str to variable.
        """
        own = name_variables([self.classifier])
        return {**self.backbone.named_variables(), **own}

    def get_config(self):
        return {
            **super().get_config(),
            "classifier_dropout": self.classifier_dropout,
        }


class NamedClasses(DenseTask):
    """A `DenseTask` whose numbers are the logits of classes with names.

    Args:
        config: As of `DenseTask`.
        class_names: List of str, the classes in the order of their ids.
        classifier_dropout: As of `DenseTask`.
        seed: As of `DenseTask`.
        dtype: As of `DenseTask`.

    Raises:
        ValueError: If there are fewer classes than `fewest`, or one twice.
    """

    fewest = 1

    def __init__(
        self,
        config,
        class_names,
        classifier_dropout=None,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        names = list(class_names or ())
        if len(names) < self.fewest or len(set(names)) < len(names):
            raise ValueError(
                "`class_names` must name a class, or more (at least "
                f"{self.fewest} here), each by another name; a score of one "
                f"logit is a `BertRegressor`'s. Received: {class_names!r}"
            )
        super().__init__(
            config, len(names), classifier_dropout, seed, dtype, **kwargs
        )
        self.class_names = names
        self.num_classes = len(names)

    def get_config(self):
        return {**super().get_config(), "class_names": self.class_names}
