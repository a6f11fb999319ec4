import os

import pytest
from keras_kd import quiet


def test_silent_stderr_gives_back_what_was_written_before_a_failure(capfd):
    with pytest.raises(RuntimeError), quiet.silent_stderr():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_silent_stderr_drops_what_compiled_code_writes(capfd):
    with quiet.silent_stderr():
        os.write(2, b"notice\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
