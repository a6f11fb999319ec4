"""KerasHub's presets: with their heads, and read as another model."""

import keras_kd as kd
import keras
import keras_hub
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

SHAPE = {
    "vocabulary_size": 12,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 12,
    "max_sequence_length": 8,
}


def classifier(kind, folder, num_classes=3, **arguments):
    hub = keras_hub.models
    backbone = getattr(hub, f"{kind}Backbone")(**SHAPE)
    task = getattr(hub, f"{kind}TextClassifier")
    model = task(backbone, num_classes=num_classes, **arguments)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(0, 0.3, variable.shape))
    model.save_to_preset(str(folder))
    return model


def batch():
    mask = (np.arange(6) < [[6], [4]]).astype("int32")
    ids = np.random.default_rng(0).integers(0, 12, (2, 6)).astype("int32")
    return {"token_ids": ids, "padding_mask": mask, "segment_ids": 0 * mask}


def logits_of(model):
    inputs = batch()
    theirs = model(
        {tensor.name: inputs[tensor.name] for tensor in model.inputs}
    )
    theirs = theirs["logits"] if isinstance(theirs, dict) else theirs
    return keras.ops.convert_to_numpy(theirs)


@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_a_classifier_keeps_its_head(kind, tmp_path):
    theirs = classifier(kind, tmp_path)
    ours = kd.load_checkpoint(tmp_path)
    assert type(ours) is kd.BertClassifier
    assert ours.class_names == ["LABEL_0", "LABEL_1", "LABEL_2"]
    np.testing.assert_allclose(logits_of(ours), logits_of(theirs), atol=1e-5)


def test_one_class_is_a_score(tmp_path):
    theirs = classifier("Bert", tmp_path, 1, activation="sigmoid")
    ours = kd.load_checkpoint(tmp_path)
    assert type(ours) is kd.BertRegressor
    scores = ours.score(logits_of(ours))
    np.testing.assert_allclose(scores, logits_of(theirs), atol=1e-5)


def test_several_classes_at_once_are_refused(tmp_path):
    classifier("Bert", tmp_path, 2, activation="sigmoid")
    with pytest.raises(ValueError, match="`activation` of.*Received: sigmoid"):
        kd.load_checkpoint(tmp_path)


def test_an_encoder_is_read_from_under_a_head(tmp_path):
    theirs = classifier("Bert", tmp_path)
    ours = kd.load_checkpoint(tmp_path, kd.BertBackbone)
    assert type(ours) is kd.BertBackbone
    expected = theirs.backbone(batch())["pooled_output"]
    np.testing.assert_allclose(ours(batch())["pooled"], expected, atol=1e-5)


def test_a_random_head_is_told(tmp_path):
    classifier("Bert", tmp_path)
    with pytest.warns(UserWarning, match="masked_lm_head/dense.*stay random"):
        model = kd.load_checkpoint(tmp_path, kd.BertMaskedLM)
    assert model.config.head_activation == "gelu"
    with pytest.raises(ValueError, match="`model_class` must be BertClassif"):
        kd.load_checkpoint(tmp_path, kd.BertSpanExtractor)


def test_a_head_without_its_weights_is_refused(tmp_path):
    classifier("Bert", tmp_path)
    (tmp_path / "task.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"without task\.weights\.h5"):
        kd.load_checkpoint(tmp_path)


def test_a_head_that_nobody_knows_is_named(tmp_path):
    classifier("Bert", tmp_path)
    task = tmp_path / "task.json"
    task.write_text(task.read_text().replace("BertTextClassifier", "BertTags"))
    with pytest.raises(ValueError, match="`task.json`.*Received: BertTags"):
        kd.load_checkpoint(tmp_path)
    assert kd.load_checkpoint(tmp_path, kd.BertBackbone).config.pooler
