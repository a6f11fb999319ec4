import keras_kd as kd
from keras_kd.export.model_card import hugging_face_card, model_card


def test_the_card_states_shape_figures_and_limits(tiny_config, tokenizer):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    metrics = {
        "teacher": {"masked_cross_entropy": 2.0, "perplexity": 7.389},
        "student": {"masked_cross_entropy": 2.5, "teacher_kl": 0.25},
    }
    card = model_card(
        student,
        tokenizer,
        ["keras", "onnx"],
        metrics,
        "mine",
        "Trained on cats.",
    )
    assert "# mine" in card
    assert "2 layers of width 16" in card
    assert f"{student.count_params():,}\nparameters" in card
    assert "| teacher | 2.000 | 7.389 | - | - | - |" in card
    assert "| student | 2.500 | - | - | - | 0.250 |" in card
    assert "Trained on cats." in card
    assert "Not tested on Apple Metal." in card
    assert "| `model.onnx` |" in card
    assert "saved_model" not in card


def test_a_card_without_figures_says_so(tiny_config, tokenizer):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    assert "Nothing was handed over." in model_card(
        student, tokenizer, ["keras"], None, "mine"
    )


def test_a_card_shows_the_signatures_of_its_kind(tiny_config, tokenizer):
    masked_lm = kd.BertMaskedLM(tiny_config)
    classifier = kd.BertClassifier(tiny_config, ["a", "b"])
    for student, task, name in (
        (masked_lm, "fill-mask", '"fill_mask"'),
        (classifier, "text-classification", '"classify"'),
        (masked_lm.backbone, "feature-extraction", '"embed"'),
    ):
        card = model_card(student, tokenizer, ["saved_model"], None, "mine")
        assert f"pipeline_tag: {task}\n" in card
        assert name in card
    assert '"fill_mask"' not in card


def test_a_card_shows_no_signatures_that_are_not_there(tiny_config):
    other = kd.WordPieceTokenizer.train(["ab ba"] * 9, 9)
    other.backend.normalizer = None
    student = kd.BertMaskedLM(tiny_config)
    card = model_card(student, other, ["saved_model"], None, "mine")
    assert "`serving_default` takes " in card
    assert '"fill_mask"' not in card


def test_a_card_says_what_eight_bits_were_measured_to_differ_by(
    tiny_config, tokenizer
):
    student = kd.BertMaskedLM(tiny_config)
    card = model_card(
        student,
        tokenizer,
        ["litert_int8"],
        None,
        "mine",
        length=12,
        int8=("best outputs that are Keras's", 0.98765, 100),
    )
    assert "on 100 held-out texts: best outputs that are Keras's, 0.98" in card
    assert "B = 1, T = 12, K = 4" in card


def test_a_card_of_an_encoder_says_how_it_pools(tiny_config, tokenizer):
    student = kd.BertBackbone(tiny_config)
    arguments = student, tokenizer, ["saved_model"], None, "mine"
    card = model_card(*arguments, pooling="cls")
    assert '["embedding"]  # the first token, of length 1' in card
    assert "SentenceTransformer(" in hugging_face_card(student, None, "mine")


def test_a_card_for_transformers_names_its_class(tiny_config):
    student = kd.BertMaskedLM(tiny_config)
    card = hugging_face_card(student, None, "mine", "Trained on cats.")
    assert "library_name: transformers" in card
    assert "AutoModelForMaskedLM.from_pretrained" in card
    assert "Trained on cats." in card


def test_a_card_of_a_task_has_its_scores_and_baselines(tiny_config, tokenizer):
    student = kd.BertClassifier(tiny_config, ["bad", "good"], seed=0)
    metrics = {
        "task": "SST-2",
        "model": {"name": "2 layers x 16"},
        "scores": {"accuracy": 0.91},
        "baselines": {"majority class": {"accuracy": 0.5092}},
        "rows": {"validation": 872},
    }
    card = model_card(student, tokenizer, ["keras"], metrics, "mine")
    assert "SST-2, 872 texts for validation, by which" in card
    assert "| 2 layers x 16 | 0.9100 |" in card
    assert "| majority class | 0.5092 |" in card
    assert "pipeline_tag: text-classification" in card


def test_a_card_of_files_names_those_that_reported(tiny_config, tokenizer):
    student = kd.BertClassifier(tiny_config, ["bad", "good"], seed=0)
    metrics = {
        "task": "train.csv",
        "held_out": "valid.csv",
        "model": {"name": "2 layers x 16"},
        "scores": {"accuracy": 0.91},
        "baselines": {},
        "rows": {"validation": 872},
    }
    card = model_card(student, tokenizer, ["keras"], metrics, "mine")
    assert "valid.csv, 872 texts for validation, by which" in card
    assert "train.csv" not in card


def test_a_card_of_a_shrunk_encoder_has_its_figures(tiny_config, tokenizer):
    encoder = kd.BertBackbone(tiny_config, seed=0)
    metrics = {
        "encoder": {"hidden_state_cosine": 1.0, "embedding_cosine": 1.0},
        "first": {"hidden_state_cosine": 0.75, "embedding_cosine": 0.5},
    }
    card = model_card(encoder, tokenizer, ["keras"], metrics, "mine")
    assert "| model | hidden_state_cosine | embedding_cosine |" in card
    assert "| first | 0.750 | 0.500 |" in card
    assert "beside the encoder it was cut out of" in card
    assert "cross-entropy" not in card
