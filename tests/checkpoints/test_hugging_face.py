import keras_kd as kd
import numpy as np
from keras_kd.checkpoints.hugging_face import open_hugging_face


def test_kernels_are_transposed_and_embeddings_are_not(golden):
    checkpoint = open_hugging_face(golden / "bert_masked_lm_untied")
    tensors = checkpoint.tensors
    kernel = tensors["encoder_layer_0/intermediate/kernel"]
    assert (kernel.shape, kernel.our_shape) == ((12, 8), (8, 12))
    assert tensors["masked_lm_head/decoder"].our_shape == (40, 8)
    assert checkpoint.unknown == ()


def test_a_bias_under_two_names_is_the_one_that_counts(golden):
    """Untied, `transformers` adds the decoder's and ignores the other."""
    checkpoint = open_hugging_face(golden / "bert_masked_lm_untied")
    key = checkpoint.tensors["masked_lm_head/bias"].key
    assert key == "cls.predictions.decoder.bias"
    checkpoint = open_hugging_face(golden / "bert_masked_lm")
    key = checkpoint.tensors["masked_lm_head/bias"].key
    assert key == "cls.predictions.bias"


def test_only_a_bare_model_has_its_pooler(golden):
    folder = golden / "bert_old_names"
    checkpoint = open_hugging_face(folder)
    assert checkpoint.model_class is kd.BertMaskedLM
    assert not checkpoint.config.pooler
    checkpoint = open_hugging_face(folder, kd.BertBackbone)
    assert checkpoint.config.pooler
    kernel = checkpoint.tensors["pooler/kernel"].array()
    np.testing.assert_array_equal(kernel, np.ones((8, 8)))
