import keras_kd as kd
import pytest


def test_a_term_that_computes_nothing_says_what_is_missing():
    class Empty(kd.LossTerm):
        pass

    with pytest.raises(NotImplementedError, match="Received: Empty"):
        Empty().compute({}, {}, {})
