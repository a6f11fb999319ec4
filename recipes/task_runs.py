"""The runs of the study of tasks, each done once. Not a recipe.

Every run is a row of results.csv, written when it has ended: a study that was
interrupted goes on with the first that is missing.
"""

import dataclasses
import itertools
import statistics

import keras_kd as kd
import keras
from rich.console import Console

from classification import make_batches, score
from finetuning import cut, fit_and_choose, make_trainer
from run_folder import save_model
from splits import draw
from study_tables import Table

ROW = (
    "kind",
    "arm",
    "layers",
    "seed",
    "learning_rate",
    "rows",
    "epochs",
    "metric",
    "hold_out",
    "validation",
)
STARTS = {
    "distilled": "cut from the teacher, distilled",
    "labels": "cut from the teacher, labels alone",
    "random": "random start, labels alone",
}
SEARCH_TEXTS = 512  # of the held-out ones, that all sub-networks meet


@dataclasses.dataclass(frozen=True)
class Student:
    """One kind of student.

    Attributes:
        depth: Int, its layers.
        kind: Str, of `STARTS`.
    """

    depth: int
    kind: str

    @property
    def name(self):
        """Its row in the tables."""
        return f"{self.depth} layers, {STARTS[self.kind]}"


def students(config):
    """All students of a study, in the order of the table."""
    return [Student(depth, kind) for depth in config.depths for kind in STARTS]


class TaskRuns:
    """All runs, by the study's folder.

    Args:
        config: The recipe's.
        folder: `pathlib.Path`.
        task: `classification.Task`.
        encoder: The teacher's encoder.
        tokenizer: `WordPieceTokenizer`.
    """

    def __init__(self, config, folder, task, encoder, tokenizer):
        self.config = config
        self.task = task
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.models = folder / "models"
        self.models.mkdir(exist_ok=True)
        self.table = Table(folder / "results.csv", ROW)

    def tune(self):
        """Rates of all, and the plan of each depth, on a part of the texts."""
        tuning = self.config.tuning_seed
        for rate in self.config.rates:
            self.train_teacher(tuning, rate)
        for student in students(self.config):
            if student.kind == "distilled":
                for plan in self.config.plans:
                    self.train_student(student, tuning, self.middle(), plan)
            for rate in self.config.rates:
                self.train_student(student, tuning, rate)

    def middle(self):
        """The rate that plans are compared at."""
        return sorted(self.config.rates)[len(self.config.rates) // 2]

    def best(self, kind, arm):
        """The row of the tuning that is best on the held-out texts."""
        rows = self.table.find(kind=kind, arm=arm, seed=self.config.tuning_seed)
        return max(rows, key=lambda row: float(row["hold_out"]))

    def train_teachers(self):
        """Those of all seeds that are reported."""
        for seed in self.config.seeds:
            for rate in self.config.teacher_rates or [self.teacher_rate(seed)]:
                self.train_teacher(seed, rate)

    def train_teacher(self, seed, rate):
        """Fine-tunes the encoder."""
        arm, tuning = "teacher", seed == self.config.tuning_seed
        kind = "rate" if tuning else "run"
        if self.done(kind, arm, seed, rate):
            return
        self.say(kind, arm, seed, rate)
        model_class, arguments = self.task.model()
        keras.utils.set_random_seed(seed)
        teacher = model_class.from_encoder(self.encoder, seed, **arguments)
        row = self.learn(teacher, None, seed, rate, tuning)
        save_model(teacher, self.teacher_path(seed, rate))
        layers = range(teacher.config.num_layers)
        self.add(kind, arm, layers, seed, rate, row)

    def teacher_rate(self, seed):
        """The rate that held-out texts chose for the teacher of a seed.

        Of `teacher_rates` it is one for all seeds, the best on their mean.
        """
        tuning = seed == self.config.tuning_seed
        if tuning or not self.config.teacher_rates:
            return float(self.best("rate", "teacher")["learning_rate"])

        def mean(rate):
            rows = self.table.find(
                kind="run", arm="teacher", learning_rate=rate
            )
            return statistics.fmean(float(row["hold_out"]) for row in rows)

        return max(self.config.teacher_rates, key=mean)

    def teacher(self, seed):
        """The fine-tuned teacher of a seed, at the rate that was chosen."""
        path = self.teacher_path(seed, self.teacher_rate(seed))
        return keras.saving.load_model(path, compile=False)

    def teacher_path(self, seed, rate):
        """Where a teacher is kept."""
        several = seed == self.config.tuning_seed or self.config.teacher_rates
        return self.path("teacher", seed, rate if several else None)

    def reported(self, arm, seed):
        """The row of a seed's model that the report has, as a dict."""
        wanted = {"kind": "run", "arm": arm, "seed": seed}
        if arm == "teacher":
            wanted["learning_rate"] = self.teacher_rate(seed)
        return self.table.find(**wanted)[0]

    def train_student(self, student, seed, rate=None, plan=None):
        """One student; with a rate, for tuning, with a plan, of plans."""
        tuning = rate is not None
        kind = ("plan" if plan else "rate") if tuning else "run"
        arm = f"{student.name}, {plan}" if plan else student.name
        rate = rate or float(self.best("rate", arm)["learning_rate"])
        if self.done(kind, arm, seed, rate if tuning else None):
            return
        self.say(kind, arm, seed, rate)
        keras.utils.set_random_seed(seed)
        teacher = None if student.kind == "random" else self.teacher(seed)
        model, layers = self.start(student, teacher, seed, plan)
        distilled = student.kind == "distilled"
        row = self.learn(
            model, teacher if distilled else None, seed, rate, tuning
        )
        if not tuning:
            save_model(model, self.path(student.name, seed))
        self.add(kind, arm, layers, seed, rate, row)

    def start(self, student, teacher, seed, plan):
        """A student before its training, and the teacher layers it has."""
        if student.kind == "random":
            model_class, arguments = self.task.model()
            config = self.encoder.config.with_layers(student.depth)
            return model_class(config, seed=seed, **arguments), ()
        layers = self.layers(student, teacher, plan)
        return cut(teacher, layers, student.depth, seed), layers

    def layers(self, student, teacher, plan=None):
        """Teacher layers that a student has, as a tuple."""
        if plan is None:
            arms = [
                f"{Student(student.depth, 'distilled').name}, {name}"
                for name in self.config.plans
            ]
            rows = [self.best("plan", arm) for arm in arms]
            best = max(rows, key=lambda row: float(row["hold_out"]))
            return tuple(map(int, best["layers"].split()))
        if plan != "searched":
            depth = teacher.config.num_layers
            return kd.choose_layers(plan, depth, student.depth)
        return self.search(teacher, student.depth)

    def search(self, teacher, depth):
        """The sub-network with the lowest loss on the first held-out texts."""
        some = self.task.hold_out[:SEARCH_TEXTS]
        task = dataclasses.replace(
            self.task, train=some, hold_out=some, validation=some
        )
        batches = make_batches(self.config, task, self.tokenizer)["hold_out"]
        batches = list(batches.as_numpy_iterator())
        loss = teacher.make_loss()
        found = {}
        for layers in itertools.combinations(
            range(teacher.config.num_layers), depth
        ):
            labels, logits = kd.predict_task(
                teacher.subnetwork(layers), batches
            )
            found[layers] = float(loss(labels, logits))
        return min(found, key=found.get)

    def learn(self, model, teacher, seed, rate, tuning):
        """Fits a model and scores it.

        Returns:
            Dict of fields of `ROW`.
        """
        config = SeededConfig(self.config, seed, rate)
        task = self.task
        if tuning and len(task.train) > config.tuning_rows:
            texts = draw(task.train, config.tuning_rows, seed)
            task = dataclasses.replace(task, train=texts)
        batches = make_batches(config, task, self.tokenizer)
        metric = task.metrics[0]
        trainer = make_trainer(
            config,
            model,
            teacher,
            config.epochs * len(batches["train"]),
            regression=task.class_names is None,
        )
        history = fit_and_choose(
            trainer,
            batches["train"],
            config.epochs,
            kd.ScoreTask(batches["hold_out"], task.metrics),
            metric,
            config.patience,
        )
        found = {
            "rows": len(task.train),
            "epochs": len(history["loss"]),
            "metric": metric,
            "hold_out": max(history[f"val_{metric}"]),
            "validation": "",
        }
        if not tuning:
            reported = score(task, model, batches["validation"])[metric]
            found["validation"] = reported
        return found

    def done(self, kind, arm, seed, rate=None):
        """Whether a run has its row."""
        wanted = {"kind": kind, "arm": arm, "seed": seed}
        if rate is not None:
            wanted["learning_rate"] = rate
        return bool(self.table.find(**wanted))

    def add(self, kind, arm, layers, seed, rate, row):
        """Writes a run's row."""
        self.table.add(
            [
                {
                    "kind": kind,
                    "arm": arm,
                    "layers": " ".join(map(str, layers)),
                    "seed": seed,
                    "learning_rate": rate,
                    **row,
                }
            ]
        )

    def path(self, arm, seed, rate=None):
        """Where a model is kept."""
        name = arm.replace(", ", "-").replace(" ", "_")
        more = "" if rate is None else f"-rate_{rate}"
        return self.models / f"{name}-seed_{seed}{more}.keras"

    def say(self, kind, arm, seed, rate):
        """What is to come, after how many runs."""
        Console().print(
            f"{len(self.table.rows)} runs done; next: {kind} of {arm}, seed "
            f"{seed}, rate {rate}",
            highlight=False,
        )


class SeededConfig:
    """The study's config, with the seed and the rate of one run."""

    def __init__(self, config, seed, learning_rate):
        self.config = config
        self.seed = seed
        self.learning_rate = learning_rate

    def __getattr__(self, name):
        return getattr(self.config, name)
