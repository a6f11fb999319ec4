"""The runs of the study of initialisations, each done once. Not a recipe.

Every run is a row of results.csv, written when it has ended: a study that was
interrupted goes on with the first that is missing. A run is a function of its
arm, seed and learning rate: it has the first weights, the order of the text
and the masks of all others of its seed.
"""

import functools
import math

import keras_kd as kd
import keras
import numpy as np
from rich.console import Console

from run_folder import (
    jit_compile,
    make_optimizer,
    save_model,
    warmed_up_and_decayed,
)
from study_arms import TEACHERS
from study_tables import RESULT_ROW, SUBNETWORK_ROW, Table


class MaskedBlocks(keras.utils.PyDataset):
    """A store's blocks, masked: batch i is a function of (seed, i) alone.

    For either backend, with TensorFlow installed or not. All epochs are one:
    their batches are counted on.

    Args:
        blocks: (N, T) of token ids.
        masking: `kd.MaskedLMMasking`, with its seed.
        batch_size: Int.
        batches: Int, how many there are.
        shuffle: Bool. False for blocks in their order.
    """

    def __init__(self, blocks, masking, batch_size, batches, shuffle=True):
        super().__init__()
        self.blocks = blocks
        self.masking = masking
        self.batch_size = batch_size
        self.batches = batches
        self.shuffle = shuffle

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        if index >= self.batches:
            raise IndexError(index)
        epoch, start = divmod(
            index, max(1, len(self.blocks) // self.batch_size)
        )
        here = slice(start * self.batch_size, (start + 1) * self.batch_size)
        indices = np.arange(len(self.blocks))[here]
        if self.shuffle:
            indices = self.order(epoch)[here]
        return self.masking(self.blocks[indices], indices, epoch)

    def order(self, epoch):
        """The blocks of an epoch."""
        return _order(len(self.blocks), self.masking.seed, epoch)

    def arrays(self):
        """All batches, a list."""
        return [self[index] for index in range(len(self))]


@functools.lru_cache(maxsize=2)
def _order(blocks, seed, epoch):
    return np.random.default_rng([seed, epoch]).permutation(blocks)


def flops_of_layers(config, tokens, length):
    """Floating-point operations of one layer's forward pass."""
    width, inner = config.hidden_dim, config.intermediate_dim
    return tokens * (8 * width**2 + 4 * width * inner + 4 * length * width)


class Runs:
    """Trains what a row is missing of.

    Args:
        config: The recipe's.
        folder: `pathlib.Path` of the study.
        store: Dict of `train` and `held_out` `kd.TokenStore`.
        tokenizer: `kd.WordPieceTokenizer`.
    """

    def __init__(self, config, folder, store, tokenizer):
        self.config = config
        self.folder = folder
        self.store = store
        self.tokenizer = tokenizer
        self.block_length = store["train"].block_length
        self.results = Table(folder / "results.csv", RESULT_ROW)
        self.subnetworks = Table(folder / "subnetworks.csv", SUBNETWORK_ROW)
        (folder / "teachers").mkdir(exist_ok=True)
        blocks = np.asarray(store["held_out"].blocks)
        half = len(blocks) // 2
        number = min(config.held_out_batches, half // config.batch_size)
        fixed = functools.partial(
            MaskedBlocks,
            masking=self.masking(seed=0),
            batch_size=config.batch_size,
            batches=number,
            shuffle=False,
        )
        self.search, self.test = fixed(blocks[:half]), fixed(blocks[half:])

    def masking(self, seed):
        """How tokens are hidden."""
        tokenizer = self.tokenizer
        return kd.MaskedLMMasking(
            tokenizer.vocabulary_size,
            tokenizer.special_ids,
            tokenizer.pad_id,
            tokenizer.mask_id,
            rate=self.config.mask_rate,
            seed=seed,
        )

    def text(self, seed, batches):
        """Training batches of a seed."""
        return MaskedBlocks(
            self.store["train"].blocks,
            self.masking(seed),
            self.config.batch_size,
            batches,
        )

    def shape(self, num_layers, layer_drop=0.0):
        """A model's config."""
        config = self.config
        return kd.BertConfig(
            self.tokenizer.vocabulary_size,
            num_layers,
            config.hidden_dim,
            config.num_heads,
            max_sequence_length=self.block_length,
            num_segments=0,
            dropout=0.0,
            layer_drop=layer_drop,
            initializer_range=config.initializer_range,
            sinusoidal_positions=True,
        )

    def flops(self, layers, forward_layers=0, heads=1):
        """Floating-point operations of a step.

        Args:
            layers: Float, layers that are trained.
            forward_layers: Float, layers that only run.
            heads: How often all masked rows are scored and trained.
        """
        shape = self.shape(self.config.num_layers)
        length = self.block_length
        tokens = self.config.batch_size * length
        layer = flops_of_layers(shape, tokens, length)
        rows = self.config.mask_rate * tokens
        head = 2 * rows * shape.hidden_dim
        head *= shape.hidden_dim + shape.vocabulary_size
        only_run = forward_layers * layer + (head if forward_layers else 0)
        return 3 * (layers * layer + heads * head) + only_run

    def teacher_flops(self, arm):
        """Of a step of a teacher's training."""
        depth, kept = self.config.num_layers, self.config.kept
        if arm.sandwich:
            return self.flops(depth + kept, heads=2)
        return self.flops(depth * (1 - arm.mean_rate()))

    def teacher_steps(self, arm):
        """How many steps a teacher has."""
        if not arm.equal_flops:
            return self.config.teacher_steps
        plain = self.flops(self.config.num_layers)
        share = plain / self.teacher_flops(arm)
        return rounded(self.config.teacher_steps * share, self.config.points)

    def done(self, **wanted):
        """Whether there is the row of a run."""
        return bool(self.results.find(**wanted))

    def say(self, text):
        """A line about what comes next."""
        done = len(self.results.rows)
        Console().print(f"[bold]{done} runs done; next:[/bold] {text}")

    # Teachers, and the small model from scratch.

    def path(self, arm, seed, learning_rate):
        """Where a teacher is kept."""
        name = f"{arm}-{seed}-{learning_rate:g}.keras"
        return self.folder / "teachers" / name

    def load(self, arm, seed):
        """A teacher that has been trained."""
        rate = self.best_rate("teacher", TEACHERS[arm].tuned_as or arm)
        path = self.path(arm, seed, rate)
        return keras.saving.load_model(path, compile=False)

    def train_teacher(self, arm, seed, learning_rate, keep=True):
        """Trains one; to tune its rate, for half the steps."""
        key = {"kind": "teacher" if keep else "tuned teacher"}
        key |= {"arm": arm.name, "seed": seed, "learning_rate": learning_rate}
        if self.done(**key):
            return
        steps = self.teacher_steps(arm)
        if not keep:
            steps = rounded(steps / 2, self.config.points)
        self.say(f"teacher {arm.name}, seed {seed}, rate {learning_rate}")
        teacher = kd.BertMaskedLM(
            self.shape(self.config.num_layers, arm.layer_drop), seed=seed
        )
        schedules = []
        if arm.late:
            schedules = [kd.ScheduleLayerDrop(lambda s: arm.rate(s / steps))]
        model = teacher
        if arm.sandwich:
            layers = kd.choose_layers(
                "every_other", self.config.num_layers, self.config.kept
            )
            model = kd.SelfDistiller(teacher, layers, seed=seed)
        row = self.fit(
            model,
            seed,
            steps,
            learning_rate,
            self.teacher_flops(arm),
            keep,
            schedules,
        )
        save_model(teacher, self.path(arm.name, seed, learning_rate))
        self.results.add([key | row])

    def train_alone(self, seed, learning_rate):
        """The student's shape from scratch, for the FLOPs of both stages."""
        key = {"kind": "alone", "arm": "alone"}
        key |= {"seed": seed, "learning_rate": learning_rate}
        if self.done(**key):
            return
        flops = self.flops(self.config.kept)
        spent = self.flops(self.config.num_layers) * self.config.teacher_steps
        spent += self.student_flops() * self.config.student_steps
        steps = rounded(spent / flops, self.config.points)
        self.say(f"the student's shape from scratch, seed {seed}")
        model = kd.BertMaskedLM(self.shape(self.config.kept), seed=seed)
        row = self.fit(model, seed, steps, learning_rate, flops, True)
        self.results.add([key | row])

    def continue_teacher(self, seed, learning_rate):
        """A plain teacher trained on with LayerDrop, measured on the way."""
        key = {"kind": "continued", "arm": "plain, then layerdrop"}
        key |= {"seed": seed, "learning_rate": learning_rate}
        if self.done(**key):
            return
        self.say(f"a plain teacher goes on with LayerDrop, seed {seed}")
        config = self.config
        rate = kd.suggested_rate(config.num_layers, config.kept)
        teacher = kd.BertMaskedLM(
            self.shape(config.num_layers, rate), seed=seed
        )
        copy_weights(self.load("plain", seed), teacher)
        row = self.fit(
            teacher,
            seed + 1000,
            config.continued_steps,
            learning_rate,
            self.flops(config.num_layers * (1 - rate)),
            True,
            [
                Measure(
                    lambda step: self.measure(
                        "plain, then layerdrop", seed, step, teacher
                    )
                )
            ],
        )
        self.results.add([key | row])

    def fit(self, model, seed, steps, learning_rate, flops, keep, more=()):
        """Trains a new model by masked LM: a row's last columns."""
        keras.utils.set_random_seed(seed)
        model.compile(
            make_optimizer("muon", learning_rate, steps),
            jit_compile=jit_compile(self.config),
        )
        return self.learn(model, seed, steps, flops, keep, more)

    def learn(self, model, seed, steps, flops, keep, callbacks):
        """Trains a compiled model: a row's last columns.

        Args:
            model: Keras model.
            seed: Int, of the order of the text and the masks.
            steps: Int.
            flops: Float, of a step.
            keep: Bool. Whether it is reported, so looked at on the half of
                the held-out text that chooses nothing.
            callbacks: Iterable.
        """
        points = self.config.points
        held_out = self.test if keep else self.search
        begin = held_out_nats(
            model.evaluate(held_out, return_dict=True, verbose=0)
        )
        history = model.fit(
            self.text(seed, steps),
            steps_per_epoch=steps // points,
            epochs=points,
            validation_data=held_out,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=self.config.verbose,
        ).history
        return curve_row(begin, history, steps, steps * flops)

    def measure(self, arm, seed, steps, teacher=None):
        """All sub-networks of a teacher, on both halves of held-out text.

        Args:
            arm: Str.
            seed: Int.
            steps: Int, how many the teacher has done.
            teacher: `kd.BertMaskedLM`; None for the arm's.
        """
        if self.subnetworks.find(arm=arm, seed=seed, steps=steps):
            return
        if teacher is None:
            self.say(f"all sub-networks of teacher {arm}, seed {seed}")
            teacher = self.load(arm, seed)
        evaluator = kd.SubnetworkEvaluator(teacher)
        search = evaluator.evaluate(self.search.arrays())
        test = evaluator.evaluate(self.test.arrays())
        self.subnetworks.add(
            {
                "arm": arm,
                "seed": seed,
                "steps": steps,
                "layers": " ".join(map(str, layers)),
                "search": found["masked_cross_entropy"],
                "test": test[layers]["masked_cross_entropy"],
                "kl": test[layers]["teacher_kl"],
            }
            for layers, found in search.items()
        )

    # Students.

    def student_flops(self):
        """Of a step of distillation."""
        return self.flops(self.config.kept, self.config.num_layers)

    @functools.cached_property
    def distiller(self):
        """One, compiled once; teachers and students are put into it."""
        teacher = kd.BertMaskedLM(self.shape(self.config.num_layers))
        student = kd.BertMaskedLM(self.shape(self.config.kept))
        distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
        distiller.compile(
            make_optimizer("muon", 1e-3), jit_compile=jit_compile(self.config)
        )
        distiller.optimizer.build(distiller.trainable_variables)
        return distiller

    def best_layers(self, arm, seed, plan):
        """What a plan chooses, by the half that is for choosing."""
        kept = self.config.kept
        if plan != "searched":
            return plan
        rows = [
            row
            for row in self.subnetworks.find(arm=arm, seed=seed)
            if len(row["layers"].split()) == kept
        ]
        best = min(rows, key=lambda row: float(row["search"]))
        return tuple(map(int, best["layers"].split()))

    def train_student(self, arm, seed, learning_rate, keep=True):
        """Starts and distils one."""
        key = {"kind": "student" if keep else "tuned student"}
        key |= {"arm": arm.name, "seed": seed, "learning_rate": learning_rate}
        if self.done(**key):
            return
        self.say(f"student {arm.name}, seed {seed}, rate {learning_rate}")
        config, distiller = self.config, self.distiller
        keras.utils.set_random_seed(seed)
        teachers = {
            name: self.load(name, seed) for name in {arm.teacher, arm.source}
        }
        copy_weights(teachers[arm.teacher], distiller.teacher)
        student = distiller.student
        fresh = kd.BertMaskedLM(self.shape(config.kept), seed=seed + 1)
        copy_weights(fresh, student)
        source = teachers[arm.source]
        plan = kd.make_plan(
            self.best_layers(arm.source, seed, arm.plan), source, student
        )
        if arm.compensation:
            text = self.search.arrays()[: config.calibration_batches]
            plan = kd.compensate(plan, source, text, arm.compensation)
        plan.apply(source, student)
        for variable in distiller.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        schedule = warmed_up_and_decayed(learning_rate, config.student_steps)
        row = self.learn(
            distiller,
            seed + 500,
            config.student_steps,
            self.student_flops(),
            keep,
            [kd.ScheduleLearningRate(schedule)],
        )
        self.results.add([key | row])

    def best_rate(self, kind, arm):
        """The learning rate that was best on the seed that is not reported."""
        rows = self.results.find(kind=f"tuned {kind}", arm=arm)
        best = min(rows, key=lambda row: float(row["final"]))
        return float(best["learning_rate"])


class Measure(keras.callbacks.Callback):
    """Calls a function with the number of steps, before and at each epoch."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_train_begin(self, logs=None):
        self.function(0)

    def on_epoch_end(self, epoch, logs=None):
        self.function(int(self.model.optimizer.iterations))


def copy_weights(source, target):
    """Puts one model's weights into another of its shape.

    By way of NumPy: JAX would have both models share the arrays, and training
    one of them takes its arrays away.
    """
    theirs = source.named_variables()
    for name, variable in target.named_variables().items():
        variable.assign(keras.ops.convert_to_numpy(theirs[name]))


def held_out_nats(logs):
    """The masked LM's cross-entropy in logs of any of the models."""
    return float(logs.get("masked_lm", logs["loss"]))


def curve_row(begin, history, steps, flops):
    """Steps, FLOPs, held-out nats before, after, and on the way."""
    nats = history.get("val_masked_lm") or history["val_loss"]
    points = [0.0, *np.linspace(0, steps, len(nats) + 1)[1:]]
    curve = zip(points, [begin, *nats], strict=True)
    return {
        "steps": steps,
        "flops": f"{flops:.4g}",
        "start": f"{begin:.5f}",
        "final": f"{nats[-1]:.5f}",
        "curve": " ".join(f"{step:.0f}:{n:.4f}" for step, n in curve),
    }


def rounded(steps, points):
    """The multiple of `points` next to a number of steps, at least one."""
    return points * max(1, math.floor(steps / points + 0.5))
