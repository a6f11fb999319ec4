import keras_kd as kd
import pytest


def test_a_term_that_computes_nothing_says_what_is_missing():
    class Empty(kd.LossTerm):
        pass

    with pytest.raises(NotImplementedError, match="Received: Empty"):
        Empty().compute({}, {}, {})


@pytest.mark.parametrize("term", [kd.MaskedLMTerm(), kd.SoftTargetTerm(3.0)])
def test_a_term_comes_back_from_its_config(term):
    again = type(term).from_config(term.get_config())
    assert again.get_config() == term.get_config()
    assert again.dtype_policy.name == "float32" and not again.autocast
