import keras_kd as kd
import pytest

KINDS = ("masked_lm", "encoder", "classifier")


@pytest.fixture(params=KINDS)
def any_student(request, tokenizer):
    """A student of each kind, with weights that are far from nothing."""
    config = kd.BertConfig(
        tokenizer.vocabulary_size,
        2,
        16,
        2,
        max_sequence_length=16,
        num_segments=0 if request.param == "masked_lm" else 2,
        activation="gelu_tanh" if request.param == "encoder" else "gelu",
        initializer_range=0.3,
    )
    if request.param == "masked_lm":
        return kd.BertMaskedLM(config, seed=0)
    if request.param == "classifier":
        return kd.BertClassifier(config, ["a", "b", "c"], seed=0)
    return kd.BertBackbone(config, seed=0)
