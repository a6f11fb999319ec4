import os
import subprocess
import sys

import keras_kd as kd
import keras
import pytest
import tensorflow as tf
from keras_kd import runtime


def run_quietly(*arguments, **environment):
    """Runs Python as a user would; its standard error must stay empty."""
    environment = {**os.environ, **environment}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_importing_keras_kd_and_compiling_prints_nothing():
    program = "import keras_kd as kd; kd.choose_jit_compile()"
    assert run_quietly("-c", program) == ""


def test_on_jax_nothing_imports_tensorflow():
    # By path: the other rooms of keras_kd are not this test's matter.
    program = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("runtime", {runtime.__file__!r})
runtime = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runtime)
runtime.quiet_tensorflow()
assert "tensorflow" not in sys.modules
"""
    assert run_quietly("-c", program, KERAS_BACKEND="jax") == ""


def test_silent_stderr_gives_back_what_was_written_before_a_failure(capfd):
    with pytest.raises(RuntimeError), runtime.silent_stderr():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_silent_stderr_drops_what_compiled_code_writes(capfd):
    with runtime.silent_stderr():
        os.write(2, b"notice\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_xla_works_on_the_processor():
    assert runtime.xla_available("CPU:0") == (True, None)


def test_a_device_without_xla_says_why(monkeypatch):
    def no_compiler(*_, **__):
        raise ValueError("Could not find compiler for platform METAL")

    monkeypatch.setattr(tf, "function", no_compiler)
    works, reason = runtime.xla_available.__wrapped__("CPU:0")
    assert not works
    assert reason == "Could not find compiler for platform METAL"


def test_doctor_reports_the_machine(capsys):
    facts = kd.doctor()
    assert facts["device"] == runtime.training_device()
    assert facts["XLA"] == "works"
    assert "keras_kd on this machine" in capsys.readouterr().out


def test_bfloat16_on_the_processor_goes_without_xla(monkeypatch):
    monkeypatch.setattr(runtime, "training_device", lambda: "CPU:0")
    assert kd.choose_jit_compile() is True
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        assert kd.choose_jit_compile() is False
    finally:
        keras.config.set_dtype_policy(before)
