"""Scores of tags: entities found whole, words; and tags that models give."""

import collections
import dataclasses
import re

import keras
import numpy as np
from keras_kd.data.token_label_batches import token_label_batches
from keras_kd.evaluation.task_metrics import predict_task
from keras_kd.extras import import_extra

ENTITY_METRICS = ("f1", "precision", "recall")
TAG_METRICS = (*ENTITY_METRICS, "accuracy")
_ENTITY_TAG = re.compile(r"[BIESLU](-.+)?")
_AS_IOBES = {"L": "E", "U": "S"}  # the last word of BILOU, and a single one


def has_entities(tag_names):
    """Whether tags mark entities: "O", and "B-PER", "I-PER" and the like.

    Args:
        tag_names: List of str. IOB, IOBES and BILOU are known.
    """
    inside = [name for name in tag_names if name != "O"]
    return bool(inside) and all(map(_ENTITY_TAG.fullmatch, inside))


def tag_metrics_of(tag_names):
    """Names of the scores that tags have: a tuple out of `TAG_METRICS`."""
    return TAG_METRICS if has_entities(tag_names) else ("accuracy",)


def tag_scores(metrics, tags, guesses):
    """Scores of guessed tags against those of the sentences.

    An entity counts where its type, first word and last word are right, all
    types together (micro), as CoNLL's script `conlleval` counts: an "I-" that
    follows no word of its entity begins one.
    Source: Tjong Kim Sang & De Meulder, 2003,
    https://arxiv.org/abs/cs/0306050; seqeval, Nakayama, 2018,
    https://github.com/chakki-works/seqeval

    Args:
        metrics: Names out of `TAG_METRICS`: "f1", "precision" and "recall" of
            entities; "accuracy", the share of words whose tag is right.
        tags: List of a list of str for each sentence.
        guesses: Likewise.

    Returns:
        Dict of each name to a float. Precision is 0 where no entity is
        guessed, recall where there is none, F1 where nothing is right.

    Raises:
        ValueError: If a name is unknown, there is nothing to score, guesses
            are of other lengths, or tags that are scored by entities mark
            none.
        ImportError: If seqeval, of the extra "tasks", is not installed and
            needed.
    """
    unknown = [name for name in metrics if name not in TAG_METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"`metrics` must be out of {TAG_METRICS}. Received: {list(metrics)}"
        )
    lengths = [[len(one) for one in some] for some in (tags, guesses)]
    if lengths[0] != lengths[1] or not sum(lengths[0]):
        raise ValueError(
            "`tags` and `guesses` must have a tag for each word, of one word "
            f"at least. Received: {sum(lengths[0])} in {len(tags)} sentences "
            f"and {sum(lengths[1])} in {len(guesses)}"
        )
    scores = {}
    if set(metrics) & set(ENTITY_METRICS):
        scores = _entity_scores(tags, guesses)
    if "accuracy" in metrics:
        pairs = zip(_flat(tags), _flat(guesses), strict=True)
        scores["accuracy"] = np.mean([tag == guess for tag, guess in pairs])
    return {name: float(scores[name]) for name in metrics}


def _entity_scores(tags, guesses):
    found = sorted({*_flat(tags), *_flat(guesses)} - {"O"})
    if found and not has_entities(found):  # of which seqeval only warns
        raise ValueError(
            "`tags` must be 'O', or a letter of IOB, IOBES or BILOU and a "
            f"type, such as 'B-PER', for {', '.join(ENTITY_METRICS)}. "
            f"Received: {found}"
        )
    seqeval = import_extra("seqeval.metrics.sequence_labeling", "tasks")
    known, guessed = (
        [[_AS_IOBES.get(tag[0], tag[0]) + tag[1:] for tag in one] for one in s]
        for s in (tags, guesses)
    )
    precision, recall, f1, _ = seqeval.precision_recall_fscore_support(
        known, guessed, average="micro", zero_division=0
    )
    return {"f1": f1, "precision": precision, "recall": recall}


def _flat(tags):
    return [tag for one in tags for tag in one]


def predict_tags(model, sentences, tokenizer, batch_size=32, max_length=128):
    """The tag that a model gives each word, dropout off.

    Of a sentence of several windows, those of all windows, in order.

    Args:
        model: `BertTokenClassifier`.
        sentences: List of `TaggedWords`; their tags are not read.
        tokenizer: The model's `WordPieceTokenizer`.
        batch_size: Int.
        max_length: Int. As of `token_label_batches`.

    Returns:
        List of a list of str for each sentence.

    Raises:
        ValueError: If a logit is no number, or as `token_label_batches`.
    """
    names = model.class_names
    asked = [
        dataclasses.replace(s, tags=(names[0],) * len(s.words))
        for s in sentences
    ]
    batches = token_label_batches(
        asked, tokenizer, batch_size, names, max_length, shuffle=False
    )
    _, logits = predict_task(model, batches)  # (W, C), every word once
    bad = np.flatnonzero(~np.all(np.isfinite(logits), axis=-1))
    if len(bad):
        raise ValueError(
            f"logits must be numbers. Received: those of {len(bad)} words of "
            f"{len(logits)} are not"
        )
    found = [names[index] for index in np.argmax(logits, axis=-1)]
    ends = np.cumsum([len(s.words) for s in sentences])
    return [
        found[end - len(sentence.words) : end]
        for sentence, end in zip(sentences, ends, strict=True)
    ]


def most_frequent_tags(training, sentences, by_word=True):
    """The baselines that need no encoder: a tag a word, whatever is around.

    Args:
        training: List of `TaggedWords`.
        sentences: List of `TaggedWords` to tag.
        by_word: Bool. Each word has its own most frequent tag in `training`,
            and a word that is not there the most frequent of all; False: all
            words have that.

    Returns:
        List of a list of str for each sentence. Of tags as frequent, the one
        that came first.
    """
    counts, all_tags = {}, collections.Counter()
    for sentence in training:
        all_tags.update(sentence.tags)
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts.setdefault(word, collections.Counter())[tag] += 1
    [(majority, _)] = all_tags.most_common(1)
    known = {}
    if by_word:
        known = {word: c.most_common(1)[0][0] for word, c in counts.items()}
    return [[known.get(word, majority) for word in s.words] for s in sentences]


class ScoreTags(keras.callbacks.Callback):
    """Adds the scores of held-out sentences to the logs of each epoch.

    Each is logged as `val_<metric>`, such as `val_f1`: for
    `keras.callbacks.EarlyStopping(monitor="val_f1", mode="max")`, to stand
    after it in the list of callbacks.

    Args:
        sentences: List of `TaggedWords`.
        tokenizer: The model's `WordPieceTokenizer`.
        metrics: As of `tag_scores`.
        batch_size: Int.
        max_length: Int. As of `predict_tags`.

    Raises:
        ValueError: At the end of an epoch, as `tag_scores`.
    """

    def __init__(
        self, sentences, tokenizer, metrics, batch_size=32, max_length=128
    ):
        super().__init__()
        self.sentences = sentences
        self.metrics = tuple(metrics)
        self.settings = tokenizer, batch_size, max_length

    def on_epoch_end(self, epoch, logs=None):
        # Of a `Distiller`, its student.
        model = getattr(self.model, "student", self.model)
        guesses = predict_tags(model, self.sentences, *self.settings)
        tags = [sentence.tags for sentence in self.sentences]
        for name, score in tag_scores(self.metrics, tags, guesses).items():
            logs[f"val_{name}"] = score
