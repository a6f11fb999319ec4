"""What Hugging Face's config.json says of a task's head, read and written."""

import warnings

from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
)

# What a text's logits mean; theirs are without one where nobody trained by it.
ONE_CLASS, NUMBERS, SEVERAL_CLASSES = (
    "single_label_classification",
    "regression",
    "multi_label_classification",
)
# Of sentence-transformers' cross-encoders: whether it is the sigmoid.
SCORES = {
    "torch.nn.modules.activation.Sigmoid": True,
    "torch.nn.modules.linear.Identity": False,
}
OLD_SCORE = "sbert_ce_default_activation_function"
# The dropout of a head, by its class, and what it is where the file is silent.
DISTILBERT_DROPOUTS = {
    BertClassifier: ("seq_classif_dropout", 0.2),
    BertRegressor: ("seq_classif_dropout", 0.2),
    BertSpanExtractor: ("qa_dropout", 0.1),
}


def label_names(theirs):
    """The names of a head's outputs, in their order.

    Args:
        theirs: Dict, their config.json.

    Returns:
        List of str, of `id2label`, or else of `label2id`; "LABEL_0", ...
        where it has neither.

    Raises:
        ValueError: If the field does not name the labels 0 .. n - 1, each by
            another name.

    Warns:
        UserWarning: If there are not `num_labels` of them.
    """
    field, said = "id2label", theirs.get("id2label")
    if not said and theirs.get("label2id"):
        field, said = "label2id", theirs["label2id"]
        if isinstance(said, dict):
            said = {str(index): name for name, index in said.items()}
    if not said:
        number = theirs.get("num_labels") or 2
        if not isinstance(number, int) or number < 1:
            raise ValueError(
                "`num_labels` of config.json must be 1 or more. "
                f"Received: {number!r}"
            )
        return [f"LABEL_{index}" for index in range(number)]
    names = []
    if isinstance(said, dict):
        names = [said.get(str(i), said.get(i)) for i in range(len(said))]
    names = [str(n) if isinstance(n, int) else n for n in names]
    whole = names and all(isinstance(name, str) for name in names)
    if not whole or len(set(names)) < len(names):
        raise ValueError(
            f"`{field}` of config.json must give each label from 0 upwards, "
            'without holes, a name of its own, such as {"0": "no", "1": '
            f'"yes"}}. Received: {theirs[field]!r}'
        )
    number = theirs.get("num_labels")
    if number is not None and number != len(names):
        warnings.warn(
            f"`num_labels` of config.json is {number!r}, but `{field}` names "
            f"{len(names)} labels, which count: {names}",
            stacklevel=2,
        )
    return names


def read_head(theirs, kind, model_class):
    """What a model is to be made with, beside its config.

    Args:
        theirs: Dict, their config.json.
        kind: Str, "bert" or "distilbert".
        model_class: Class of the model.

    Returns:
        Dict of the class's arguments.

    Raises:
        ValueError: If the head's outputs are none that the class has.
    """
    if model_class in (BertBackbone, BertMaskedLM):
        return {}
    field, silent = "classifier_dropout", None
    if kind == "distilbert":
        field, silent = DISTILBERT_DROPOUTS.get(model_class, (None, None))
    arguments = {"classifier_dropout": theirs.get(field, silent)}
    if model_class in (BertClassifier, BertTokenClassifier):
        arguments["class_names"] = label_names(theirs)
    if model_class is BertClassifier:
        _check_one_class(theirs, arguments["class_names"])
    if model_class is BertRegressor:
        names = label_names(theirs)
        if len(names) > 1:
            raise ValueError(
                "`model_class` must be kd.BertClassifier, or None, for a "
                f"config.json of {len(names)} labels: a regressor gives one "
                "number. Received: BertRegressor, `problem_type` "
                f"{theirs.get('problem_type')!r}, and labels {names}"
            )
        arguments["score_name"] = names[0]
        arguments["sigmoid"] = _is_sigmoid(theirs)
    return arguments


def write_head(model, kind):
    """The opposite of `read_head`.

    Args:
        model: Model of ours.
        kind: Str, "bert" or "distilbert".

    Returns:
        Dict, a part of their config.json.
    """
    theirs = {}
    if hasattr(model, "classifier_dropout"):
        field = "classifier_dropout"
        if kind == "distilbert":
            field, _ = DISTILBERT_DROPOUTS.get(type(model), (None, None))
        if field:
            theirs[field] = model.classifier_dropout
    names = getattr(model, "class_names", None)
    if isinstance(model, BertClassifier):
        theirs["problem_type"] = ONE_CLASS
    if isinstance(model, BertRegressor):
        # One label's sigmoid is what they call several classes.
        theirs["problem_type"] = SEVERAL_CLASSES if model.sigmoid else NUMBERS
        activations = {sigmoid: name for name, sigmoid in SCORES.items()}
        theirs["sentence_transformers"] = {
            "activation_fn": activations[model.sigmoid]
        }
        names = [model.score_name]
    if names is not None:
        theirs["id2label"] = {str(i): name for i, name in enumerate(names)}
        theirs["label2id"] = {name: i for i, name in enumerate(names)}
    return theirs


def _check_one_class(theirs, names):
    """That a text has one class of several: a softmax over them."""
    problem = theirs.get("problem_type")
    if len(names) == 1:
        raise ValueError(
            "`model_class` must be kd.BertRegressor, or None, for a "
            "config.json of one label, whose logit is a score. Received: "
            f"BertClassifier, and id2label={names}"
        )
    if problem not in (None, ONE_CLASS):
        raise ValueError(
            f"`problem_type` of config.json must be {ONE_CLASS!r}, or "
            f"{NUMBERS!r} of one number: a text has one class, or one number, "
            "here; model_class=kd.BertBackbone reads the encoder alone. "
            f"Received: {problem!r} of {len(names)} labels, {names}"
        )
    field, said = _activation(theirs)
    if SCORES.get(said):
        raise ValueError(
            f"`{field}` of config.json must not be a sigmoid where there are "
            f"{len(names)} labels, each a score of its own: a text has one "
            "class here; model_class=kd.BertBackbone reads the encoder alone. "
            f"Received: {said!r}"
        )


def _is_sigmoid(theirs):
    """Whether the score is the logit's sigmoid.

    By what sentence-transformers wrote, else as `transformers` has it in its
    pipelines: of all but regression.
    """
    field, said = _activation(theirs)
    if said is None:
        return theirs.get("problem_type") != NUMBERS
    if said not in SCORES:
        raise ValueError(
            f"`{field}` of config.json must be one of {sorted(SCORES)}; "
            "model_class=kd.BertBackbone reads the encoder alone. "
            f"Received: {said!r}"
        )
    return SCORES[said]


def _activation(theirs):
    """What sentence-transformers makes scores with: the field, and a str."""
    newer = theirs.get("sentence_transformers") or {}
    said = newer.get("activation_fn") if isinstance(newer, dict) else None
    if said is not None:
        return "sentence_transformers.activation_fn", said
    return OLD_SCORE, theirs.get(OLD_SCORE)
