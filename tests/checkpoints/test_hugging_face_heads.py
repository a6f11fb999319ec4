import keras_kd as kd
import pytest
from keras_kd.checkpoints.hugging_face_heads import label_names, read_head

SIGMOID = "torch.nn.modules.activation.Sigmoid"
IDENTITY = "torch.nn.modules.linear.Identity"


@pytest.mark.parametrize(
    ("theirs", "sigmoid"),
    [
        ({}, True),
        ({"problem_type": "regression"}, False),
        ({"problem_type": "multi_label_classification"}, True),
        ({"sentence_transformers": {"activation_fn": IDENTITY}}, False),
        ({"sbert_ce_default_activation_function": IDENTITY}, False),
        (
            {
                "problem_type": "regression",
                "sentence_transformers": {"activation_fn": SIGMOID},
            },
            True,
        ),
        ({"sentence_transformers": {"version": "5.0"}}, True),
    ],
)
def test_one_label_is_a_score(theirs, sigmoid):
    theirs = {"id2label": {"0": "fits"}, **theirs}
    arguments = read_head(theirs, "bert", kd.BertRegressor)
    assert arguments["sigmoid"] is sigmoid
    assert arguments["score_name"] == "fits"


def test_an_activation_that_is_not_known_is_named():
    said = {"activation_fn": "torch.nn.modules.activation.Tanh"}
    theirs = {"num_labels": 1, "sentence_transformers": said}
    with pytest.raises(ValueError, match=r"activation_fn`.*Tanh'"):
        read_head(theirs, "bert", kd.BertRegressor)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"num_labels": 1}, "`model_class` must be kd.BertRegressor"),
        (
            {"num_labels": 3, "problem_type": "multi_label_classification"},
            "`problem_type`.*multi_label_classification' of 3 labels",
        ),
        (
            {"num_labels": 2, "problem_type": "regression"},
            "`problem_type`.*'regression' of 2 labels",
        ),
        ({"num_labels": 2, "problem_type": "ranking"}, "'ranking'"),
        (
            {
                "num_labels": 3,
                "sentence_transformers": {"activation_fn": SIGMOID},
            },
            "activation_fn` .*must not be a sigmoid where there are 3 labels",
        ),
    ],
)
def test_what_no_classifier_here_is_is_refused(theirs, message):
    with pytest.raises(ValueError, match=message):
        read_head(theirs, "bert", kd.BertClassifier)
    assert read_head(theirs, "bert", kd.BertBackbone) == {}


@pytest.mark.parametrize(
    "said",
    [
        {"0": "no", "2": "yes"},
        {"no": 0, "yes": 1},
        {"0": "no", "1": "no"},
        {"0": "no", "1": None},
        ["no", "yes"],
    ],
)
def test_labels_with_holes_or_without_names_are_refused(said):
    with pytest.raises(ValueError, match="`id2label` of config.json"):
        label_names({"id2label": said})


def test_labels_are_in_their_order():
    said = {str(i): f"c{i}" for i in reversed(range(12))}
    assert label_names({"id2label": said}) == [f"c{i}" for i in range(12)]
    assert label_names({"id2label": {0: 1, 1: 0}}) == ["1", "0"]
    assert label_names({"num_labels": 3}) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert label_names({}) == ["LABEL_0", "LABEL_1"]
    with pytest.raises(ValueError, match="`num_labels`.*'3'"):
        label_names({"num_labels": "3"})


def test_a_regressor_is_not_made_of_several_labels():
    theirs = {"num_labels": 2, "problem_type": "regression"}
    expected = "`model_class` must be kd.BertClassifier.*'regression'"
    with pytest.raises(ValueError, match=expected):
        read_head(theirs, "distilbert", kd.BertRegressor)


def test_label2id_names_labels_where_it_stands_alone():
    said = {"neg": 2, "pos": 0, "neutral": 1}
    assert label_names({"label2id": said}) == ["pos", "neutral", "neg"]
    both = {"id2label": {"0": "a", "1": "b"}, "label2id": said}
    assert label_names(both) == ["a", "b"]
    with pytest.raises(ValueError, match="`label2id`.*{'neg': 2}"):
        label_names({"label2id": {"neg": 2}})


def test_a_number_of_labels_that_contradicts_their_names_is_said():
    theirs = {"id2label": {"0": "a", "1": "b"}, "num_labels": 5}
    with pytest.warns(
        UserWarning, match="`num_labels` .* is 5, but `id2label`"
    ):
        assert label_names(theirs) == ["a", "b"]
