import json

import pytest
from keras_kd.extras import import_extra


def test_a_module_that_is_there_is_given():
    assert import_extra("json", "any") is json


def test_a_module_that_is_not_names_its_extra():
    with pytest.raises(ImportError, match=r"no_such.*keras-kd\[onnx\]"):
        import_extra("no_such", "onnx")
