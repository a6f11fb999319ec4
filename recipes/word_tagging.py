"""Words with tags, from files to scores. Not a recipe.

From a frozen `Config`'s fields: train, validation, unlabeled, word, tag,
tag_names, teacher, hold_out, train_rows, max_length, batch_size, seed.
"""

import dataclasses
import sys

import keras_kd as kd

from finetuning import PARTS, check_unlabeled, run_results
from splits import draw, hold_out


@dataclasses.dataclass(frozen=True)
class Task:
    """Sentences, lists of `TaggedWords`, and how they are scored.

    Attributes:
        tag_names: List of str, in the order of their ids.
        train: Those that train.
        hold_out: Those that choose the epoch.
        validation: Those that report.
        unlabeled: Those that the teacher alone tags.
    """

    tag_names: list
    train: list
    hold_out: list
    validation: list
    unlabeled: list

    @property
    def metrics(self):
        """Names of the scores; students are chosen by the first."""
        return kd.tag_metrics_of(self.tag_names)


def read_task(config, teacher):
    """All sentences of a task, checked; ends the program where one is wrong."""
    if not (config.train and config.validation):
        sys.exit(
            "`--train` and `--validation` must be given. "
            f"Received: {config.train} and {config.validation}"
        )
    check_unlabeled(config)
    names = teacher.class_names if teacher is not None else config.tag_names
    try:
        train, validation = (
            kd.read_tagged_words(source, config.word, config.tag, names)
            for source in (config.train, config.validation)
        )
        names = list(names or kd.tag_names_of(train))
        kd.check_tags(train, names)  # all of them: a few may lack a rare tag
        kd.tag_ids(validation, names)
        if config.train_rows:
            train = draw(train, config.train_rows, config.seed)
        train, choosing = hold_out(train, config.hold_out)
        unlabeled = []
        if config.unlabeled:
            unlabeled = kd.read_tagged_words(
                config.unlabeled, config.word, None
            )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    return Task(names, train, choosing, validation, unlabeled)


def make_batches(config, task, tokenizer):
    """Batches that train; ends the program where sizes do not fit."""
    try:
        return kd.token_label_batches(
            task.train + task.unlabeled,
            tokenizer,
            config.batch_size,
            task.tag_names,
            config.max_length,
            seed=config.seed,
        )
    except ValueError as error:
        sys.exit(str(error))


def measure(config, task, student, teacher, tokenizer):
    """All that is known of a run's student, for metrics.json."""
    sizes = config.batch_size, config.max_length

    def score(guesses, sentences=task.validation):
        tags = [sentence.tags for sentence in sentences]
        return kd.tag_scores(task.metrics, tags, guesses)

    def score_model(model, sentences=task.validation):
        guesses = kd.predict_tags(model, sentences, tokenizer, *sizes)
        return score(guesses, sentences)

    baselines = {
        name: score(kd.most_frequent_tags(task.train, task.validation, by_word))
        for name, by_word in (
            ("majority tag", False),
            ("each word's most frequent tag", True),
        )
    }
    if teacher is not None:
        baselines["teacher"] = score_model(teacher)
    return run_results(
        config,
        config.train,
        task.metrics[0],
        student,
        scores=score_model(student),
        hold_out_scores=score_model(student, task.hold_out),
        baselines=baselines,
        rows={name: len(getattr(task, name)) for name in PARTS},
    )
