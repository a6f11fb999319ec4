"""Hidden-state terms: distances between teacher's and student's states."""

import keras
from keras import ops
from keras_kd.losses.layer_map import layer_pairs
from keras_kd.losses.loss_term import LossTerm


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateCosine(keras.losses.Loss):
    """1 - cos(teacher, student) over the last axis.

    Inputs are (..., D); a `sample_weight` of 0 ignores that row. Each squared
    norm gets 1e-12 added, as in the source's framework.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108
    """

    def __init__(self, name="hidden_state_cosine", **kwargs):
        super().__init__(
            name=name, **{"reduction": "mean_with_sample_weight", **kwargs}
        )

    def call(self, teacher_states, student_states):
        def squared(a):
            return ops.sum(a * a, axis=-1) + 1e-12

        product = ops.sum(teacher_states * student_states, axis=-1)
        norms = squared(teacher_states) * squared(student_states)
        return 1.0 - product * ops.rsqrt(norms)


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateMSE(keras.losses.Loss):
    """Mean over the last axis of (teacher - student)².

    Inputs are (..., D); a `sample_weight` of 0 ignores that row. A mean over
    all numbers of the rows that count, not a sum over D.
    Source: Jiao et al., 2019, https://arxiv.org/abs/1909.10351
    """

    def __init__(self, name="hidden_state_mse", **kwargs):
        super().__init__(
            name=name, **{"reduction": "mean_with_sample_weight", **kwargs}
        )

    def call(self, teacher_states, student_states):
        return ops.mean((teacher_states - student_states) ** 2, axis=-1)


DISTANCES = {"cosine": HiddenStateCosine, "mse": HiddenStateMSE}


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateTerm(LossTerm):
    """Mean distance between hidden states, over the pairs of a layer map.

    As it stands, 1 - cos between both models' last hidden states.
    Rows: all real tokens (`padding_mask`), [CLS] and [SEP] included.
    Reduction: mean over rows, then over pairs. Power of the temperature: 0.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108; layer maps,
    mean squares and projections as in Jiao et al., 2019,
    https://arxiv.org/abs/1909.10351

    Args:
        distance: "cosine" or "mse".
        layer_map: "last", "uniform" (student layer j of k with teacher layer
            (j + 1) · L // k - 1) or a list of pairs (teacher layer, student
            layer). Layers count from 0, layer i gives `hidden_states[i + 1]`;
            -1 is the embeddings' output.
        project: Bool. Whether each pair learns a matrix from the student's
            width to the teacher's. They are the term's, not the student's:
            trained with it, never saved or exported with it.
        seed: Int or None. Seed of the projections' initial weights.

    Raises:
        ValueError: If `distance` is unknown; in `build_for`, if a layer of
            `layer_map` is not there, or widths differ without `project`.
    """

    def __init__(
        self,
        distance="cosine",
        layer_map="last",
        project=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if distance not in DISTANCES:
            raise ValueError(
                f"`distance` must be one of {sorted(DISTANCES)}. "
                f"Received: {distance!r}"
            )
        self.distance = distance
        self.layer_map = layer_map
        self.project = project
        self.seed = seed
        self.formula = DISTANCES[distance]()
        self.projections = []

    def build_for(self, teacher, student):
        pairs = layer_pairs(
            self.layer_map, teacher.num_layers, student.num_layers, lowest=-1
        )
        if not self.project and teacher.hidden_dim != student.hidden_dim:
            raise ValueError(
                "`student` must have the teacher's `hidden_dim` to compare "
                "hidden states, or the term `project=True`. Expected: "
                f"{teacher.hidden_dim}. Received: {student.hidden_dim}"
            )
        self.projections.clear()
        if self.project:
            seeds = keras.random.SeedGenerator(self.seed)
            for index in range(len(pairs)):
                projection = keras.layers.Dense(
                    teacher.hidden_dim,
                    use_bias=False,
                    kernel_initializer=keras.initializers.GlorotUniform(seeds),
                    dtype=self.dtype_policy,
                    name=f"projection_{index}",
                )
                projection.build((None, None, student.hidden_dim))
                self.projections.append(projection)

    def compute(self, batch, teacher, student):
        theirs, ours = teacher["hidden_states"], student["hidden_states"]
        pairs = layer_pairs(
            self.layer_map, len(theirs) - 1, len(ours) - 1, lowest=-1
        )
        weights = self.row_weights(batch)
        total = 0.0
        for index, (teacher_layer, student_layer) in enumerate(pairs):
            states = ours[student_layer + 1]
            if self.project:
                states = self.projections[index](states)
            total += self.formula(
                theirs[teacher_layer + 1], states, sample_weight=weights
            )
        return total / len(pairs)
