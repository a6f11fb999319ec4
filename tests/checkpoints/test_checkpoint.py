import numpy as np
from keras_kd.checkpoints.checkpoint import Tensor


def test_a_transposed_tensor_has_our_shape_and_values():
    values = np.arange(6.0).reshape(2, 3)
    tensor = Tensor("weight", (2, 3), lambda: values, transpose=True)
    assert tensor.our_shape == (3, 2)
    np.testing.assert_array_equal(tensor.array(), [[0, 3], [1, 4], [2, 5]])


def test_other_tensors_are_as_they_lie():
    tensor = Tensor("bias", (2,), lambda: np.array([1, 2]))
    assert tensor.our_shape == (2,)
    assert tensor.array().tolist() == [1, 2]
