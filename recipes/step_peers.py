"""The candidates of `benchmark_step.py`: PyTorch, keras.distillation, ours.

Not a recipe. Each function makes a candidate and gives back a dict of what can
be timed: a name, and a function of a number of steps that takes them. What is
heavy is imported where it is needed, so that a candidate's memory is its own.
"""

import dataclasses
import math
import os

import numpy as np

# The objective and the optimizer of all candidates: DistilBERT's.
ALPHA_CE, ALPHA_MLM, ALPHA_COS = 5.0, 2.0, 1.0
TEMPERATURE = 2.0
LEARNING_RATE, BETA_2, EPSILON, CLIP = 5e-4, 0.98, 1e-6, 5.0
MASK_ID, FIRST_ORDINARY_ID = 4, 5


@dataclasses.dataclass(frozen=True)
class Size:
    """Teacher, student and batch; all tokens are real."""

    teacher_layers: int
    student_layers: int
    hidden_dim: int
    num_heads: int
    intermediate_dim: int
    vocabulary_size: int
    batch_size: int
    block_length: int

    @property
    def tokens(self):
        """Tokens in a step."""
        return self.batch_size * self.block_length

    @property
    def masked_per_block(self):
        """As many as `keras_kd.masked_lm_batches` hides of a block."""
        return max(1, math.ceil(0.15 * (self.block_length - 2)))

    def rows(self, which):
        """Rows of the soft targets: of "all" tokens or of the "masked"."""
        if which == "all":
            return self.tokens
        return self.batch_size * self.masked_per_block


def make_batch(size, seed):
    """The batch of all candidates.

    Returns:
        Triple of arrays: token ids (B, T), masked positions (B, K) and the
        ids that stood there (B, K).
    """
    random = np.random.default_rng(seed)
    shape = size.batch_size, size.block_length
    ids = random.integers(
        FIRST_ORDINARY_ID, size.vocabulary_size, shape, "int32"
    )
    between = np.tile(np.arange(1, shape[1] - 1, dtype="int32"), (shape[0], 1))
    shuffled = random.permuted(between, axis=1)
    positions = np.sort(shuffled[:, : size.masked_per_block], axis=1)
    labels = np.take_along_axis(ids, positions, axis=1)
    np.put_along_axis(ids, positions, MASK_ID, axis=1)
    return ids, positions, labels


def everywhere(size, positions, labels, ignored):
    """Labels of masked positions as (B, T), `ignored` elsewhere."""
    all_labels = np.full((size.batch_size, size.block_length), ignored, "int32")
    np.put_along_axis(all_labels, positions, labels, axis=1)
    return all_labels


def make_torch(size, rows, precision, seed, device="cpu", compiled=False):
    """The step of Hugging Face's distillation project, from its maths.

    Both models give logits of all tokens, (B, T, V); the rows are selected
    out of them, also where only the masked ones count. `compiled`: models and
    losses by `torch.compile`.
    """
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(os.cpu_count())
    teacher = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=size.vocabulary_size,
            num_hidden_layers=size.teacher_layers,
            hidden_size=size.hidden_dim,
            num_attention_heads=size.num_heads,
            intermediate_size=size.intermediate_dim,
        )
    )
    student = transformers.DistilBertForMaskedLM(
        transformers.DistilBertConfig(
            vocab_size=size.vocabulary_size,
            n_layers=size.student_layers,
            dim=size.hidden_dim,
            n_heads=size.num_heads,
            hidden_dim=size.intermediate_dim,
        )
    )
    teacher, student = teacher.eval().to(device), student.train().to(device)
    optimizer = torch.optim.AdamW(
        student.parameters(),
        lr=LEARNING_RATE,
        betas=(0.9, BETA_2),
        eps=EPSILON,
        weight_decay=0.0,
    )
    ids, positions, labels = make_batch(size, seed)
    labels = everywhere(size, positions, labels, ignored=-100)
    ids, labels = (torch.from_numpy(a).long().to(device) for a in (ids, labels))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    low = torch.autocast(
        device, torch.bfloat16, enabled=precision == "bfloat16"
    )

    def forward():
        with torch.no_grad():
            theirs = teacher(**inputs, output_hidden_states=True)
        ours = student(**inputs, output_hidden_states=True)
        return torch_loss(
            (theirs.logits, theirs.hidden_states[-1]),
            (ours.logits, ours.hidden_states[-1]),
            inputs["attention_mask"].bool(),
            labels,
            masked_only=rows == "masked",
        )

    if compiled:
        forward = torch.compile(forward)

    def step():
        with low:
            loss = forward()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    def run(steps):
        first = [step() for _ in range(steps)][0]
        if device == "cuda":
            torch.cuda.synchronize()
        return first

    return {"step": run}


def torch_loss(teacher, student, real, labels, masked_only):
    """DistilBERT's objective.

    Args:
        teacher: Pair of logits (B, T, V) and last hidden states (B, T, D).
        student: Likewise.
        real: (B, T) bool, not padding.
        labels: (B, T) int, -100 where not masked.
        masked_only: Bool. Soft targets at masked positions only.

    Returns:
        Scalar: 5 · soft targets + 2 · masked LM + 1 · cosine.
    """
    import torch
    from torch.nn import functional

    def select(values, rows):
        chosen = torch.masked_select(values, rows[..., None])
        return chosen.view(-1, values.shape[-1])

    rows = labels >= 0 if masked_only else real
    theirs, ours = (
        select(logits, rows) / TEMPERATURE for logits, _ in (teacher, student)
    )
    soft_target = TEMPERATURE**2 * functional.kl_div(
        functional.log_softmax(ours, dim=-1),
        functional.softmax(theirs, dim=-1),
        reduction="batchmean",
    )
    logits = student[0]
    masked_lm = functional.cross_entropy(
        logits.view(-1, logits.shape[-1]), labels.view(-1)
    )
    theirs, ours = (select(states, real) for _, states in (teacher, student))
    hidden_state = functional.cosine_embedding_loss(
        ours, theirs, torch.ones(len(ours), device=ours.device)
    )
    return (
        ALPHA_CE * soft_target
        + ALPHA_MLM * masked_lm
        + ALPHA_COS * hidden_state
    )


def make_pair(size, precision, seed, student_segments=0):
    """keras_kd's teacher and student."""
    import keras_kd as kd

    config = kd.BertConfig(
        vocabulary_size=size.vocabulary_size,
        num_layers=size.teacher_layers,
        hidden_dim=size.hidden_dim,
        num_heads=size.num_heads,
        intermediate_dim=size.intermediate_dim,
    )
    smaller = config.with_layers(
        size.student_layers, num_segments=student_segments
    )
    dtype = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    return (
        kd.BertMaskedLM(config, seed=seed, dtype=dtype),
        kd.BertMaskedLM(smaller, seed=seed + 1, dtype=dtype),
    )


def keras_inputs(ids, positions):
    """The dict of inputs of keras_kd's models."""
    return {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
        "mask_positions": positions,
    }


def make_optimizer(adamw):
    """An AdamW, Keras's or ours, with the settings of all candidates."""
    return adamw(
        LEARNING_RATE,
        weight_decay=0.0,
        beta_2=BETA_2,
        epsilon=EPSILON,
        global_clipnorm=CLIP,
    )


def steps_by_fit(model, batch):
    """Takes steps as users do: `fit` on a dataset; on JAX, on a generator."""
    import keras

    if keras.config.backend() == "jax":
        return _steps_on_jax(model, batch)
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensors(batch).repeat()
    # The thread that would tune the pipeline holds up the end of each `fit`.
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    batches = batches.with_options(untuned)

    def run(steps):
        history = model.fit(batches.take(steps), verbose=0, shuffle=False)
        return history.history["loss"][0]

    return run


def _steps_on_jax(model, batch):
    """Likewise, where there may be no TensorFlow to make a dataset of."""
    import jax

    def run(steps):
        history = model.fit(
            (batch for _ in range(steps)),
            steps_per_epoch=steps,
            verbose=0,
            shuffle=False,
        )
        jax.block_until_ready([v.value for v in model.trainable_variables])
        return history.history["loss"][0]

    return run


def two_outputs(model):
    """A model of ours that gives logits and last hidden states.

    A tuple: Keras wraps lists and dicts of losses, and then finds that they do
    not match the outputs.
    """
    import keras

    outputs = model.output["logits"], model.output["hidden_states"][-1]
    return keras.Model(model.input, outputs)


def make_hub_pair(size, precision, seed):
    """KerasHub's BERT twice, of our shapes, with the same two outputs."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(seed)
    dtype = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    pair = []
    for num_layers in (size.teacher_layers, size.student_layers):
        backbone = keras_hub.models.BertBackbone(
            size.vocabulary_size,
            num_layers,
            size.num_heads,
            size.hidden_dim,
            size.intermediate_dim,
            dtype=dtype,
        )
        task = keras_hub.models.BertMaskedLM(backbone)
        positions = task.input["mask_positions"]
        states = backbone(backbone.input)["sequence_output"]
        outputs = task.masked_lm_head(states, positions), states
        pair.append(keras.Model(task.input, outputs))
    return pair


def make_keras_distillation(size, rows, precision, seed, xla, hub=False):
    """`keras.distillation.Distiller` over models of ours, or KerasHub's.

    The student has segments, as models of unequal inputs are refused. States
    are a second output: by a layer's name, the student would run twice. The
    KL is given as an object: named by its default string, it is not one.
    """
    import keras

    ids, positions, labels = make_batch(size, seed)
    if rows == "all":
        labels = everywhere(size, positions, labels, ignored=-1)
        whole_block = np.arange(size.block_length, dtype="int32")
        positions = np.tile(whole_block, (size.batch_size, 1))
    if hub:
        teacher, student = make_hub_pair(size, precision, seed)
    else:
        pair = make_pair(size, precision, seed, student_segments=2)
        teacher, student = map(two_outputs, pair)
    total = ALPHA_CE + ALPHA_MLM + ALPHA_COS  # its own weights add up to 1
    distiller = keras.distillation.Distiller(
        teacher,
        student,
        [
            keras.distillation.LogitsDistillation(
                TEMPERATURE, (keras.losses.KLDivergence(), None)
            ),
            keras.distillation.FeatureDistillation(
                (None, keras.losses.CosineSimilarity())
            ),
        ],
        distillation_loss_weights=[
            alpha / (ALPHA_CE + ALPHA_COS) for alpha in (ALPHA_CE, ALPHA_COS)
        ],
        student_loss_weight=ALPHA_MLM / total,
    )
    masked_lm = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=-1
    )
    distiller.compile(
        make_optimizer(keras.optimizers.AdamW),
        loss=(masked_lm, lambda _, states: 0.0),
        jit_compile=xla,
    )
    no_labels = np.zeros((size.batch_size, 1), "float32")  # of the states
    batch = keras_inputs(ids, positions), (labels, no_labels)
    run = steps_by_fit(distiller, batch)
    # Its cosine loss is -cos, ours 1 - cos.
    return {"step": lambda steps: total * run(steps) + ALPHA_COS}


def make_keras_kd(size, rows, precision, seed, xla):
    """`keras_kd.Distiller`."""
    distiller, batch = compiled_distiller(size, rows, precision, seed, xla)
    return {"step": steps_by_fit(distiller, batch)}


def compiled_distiller(size, rows, precision, seed, xla):
    """`keras_kd.Distiller`, and its batch."""
    import keras_kd as kd

    losses = kd.distilbert_losses(
        ALPHA_CE,
        ALPHA_MLM,
        ALPHA_COS,
        temperature=TEMPERATURE,
        restrict_ce_to_mask=rows == "masked",
    )
    distiller = kd.Distiller(*make_pair(size, precision, seed), **losses)
    distiller.compile(make_optimizer(kd.AdamW), jit_compile=xla)
    ids, positions, labels = make_batch(size, seed)
    weights = np.ones(labels.shape, "float32")
    return distiller, (keras_inputs(ids, positions), labels, weights)
