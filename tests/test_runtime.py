import json
import os
import platform
import subprocess
import sys

import keras_kd as kd
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_kd import probes, runtime


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


@pytest.mark.slow
def test_importing_keras_kd_and_compiling_prints_nothing():
    program = "from keras_kd import probes; probes.xla_available()"
    assert run_quietly("-c", program) == ""


@pytest.mark.slow
def test_the_doctor_as_a_program_prints_one_table_in_80_columns():
    out = run_quietly("-m", "keras_kd.runtime", COLUMNS="80")
    title, *rows = out.splitlines()
    assert title.strip() == "keras_kd on this machine"
    assert all(row[0] in "┌│└" and row[-1] in "┐│┘" for row in rows)
    assert max(len(row) for row in rows) <= 80


@pytest.mark.slow
def test_on_jax_nothing_imports_tensorflow():
    program = """
import json, sys
from keras_kd import runtime
facts = runtime.doctor()
facts["chosen"] = runtime.choose_precision(), runtime.choose_jit_compile()
assert "tensorflow" not in sys.modules
print(json.dumps(facts))
"""
    out = run_quietly("-c", program, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    facts = json.loads(out.splitlines()[-1])
    assert facts["keras backend"] == "jax"
    assert (facts["device"], facts["XLA"]) == ("CPU:0", "works")
    assert facts["gradient"] == "the CPU's, to 0e+00"
    assert facts["random draws"] == "follow the seed"
    assert (facts["precision"], facts["jit_compile"]) == ("float32", True)
    assert facts["chosen"] == ["float32", True]


def test_tests_run_on_processors():
    assert runtime.on_processor()


def test_doctor_reports_the_machine(capsys):
    facts = kd.doctor()
    assert facts["device"] == runtime.training_device()
    assert facts["XLA"] == "works"
    assert facts["tensorflow"] == tf.__version__
    assert facts["precision"] == kd.choose_precision()
    assert facts["random draws"] == "follow the seed"
    assert "advice" not in facts
    assert "keras_kd on this machine" in capsys.readouterr().out


def test_on_a_processor_a_step_is_a_plain_graph(monkeypatch, caplog):
    monkeypatch.setattr(runtime, "training_device", lambda: "CPU:0")
    assert kd.choose_jit_compile() is False
    assert not caplog.records  # nothing is lost by it


def test_on_a_gpu_whose_xla_works_a_step_is_compiled(monkeypatch, caplog):
    monkeypatch.setattr(runtime, "training_device", lambda: "GPU:0")
    monkeypatch.setattr(runtime, "xla_available", {"GPU:0": (True, None)}.get)
    assert kd.choose_jit_compile() is True
    assert not caplog.records


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 vaes", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni amx_tile", False),
        ("flags\t\t: fpu not_avx512_bf16_yet", False),
        ("", False),
    ],
)
def test_bfloat16_of_a_processor_is_read_from_its_flags(
    monkeypatch, flags, expected
):
    cpuinfo = f"processor\t: 0\nmodel name\t: A CPU\n{flags}\nbugs\t\t:\n"
    assert probes.processor_has_bfloat16(cpuinfo) is expected
    monkeypatch.setattr(runtime, "training_device", lambda: "CPU:0")
    monkeypatch.setattr(runtime, "read_cpuinfo", lambda: cpuinfo)
    monkeypatch.setattr(runtime, "bfloat16_is_faster", lambda: (True, 2.0))
    chosen = "mixed_bfloat16" if expected else "float32"
    assert kd.choose_precision() == chosen


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen", "said"),
    [
        (0.02, 0.01, "mixed_bfloat16", "run 2.00 times as fast"),
        (0.0158, 0.0279, "float32", "run 0.57 times as fast"),
        (0.0105, 0.01, "float32", "run 1.05 times as fast"),
    ],
)
def test_a_processor_s_bfloat16_must_be_faster_when_it_is_tried(
    monkeypatch, fresh_probes, caplog, float32, bfloat16, chosen, said
):
    """With stand-in timings, in turns: the first of each is not counted."""
    turns = [9.0, 8.0, *[2 * float32, 2 * bfloat16] * 4, float32, bfloat16]
    times = iter(turns)
    monkeypatch.setattr(probes, "products", lambda dtype: dtype)
    monkeypatch.setattr(probes, "seconds_of", lambda run: next(times))
    monkeypatch.setattr(runtime, "read_cpuinfo", lambda: "flags : avx512_bf16")
    precision, why = runtime.precision_choice("CPU:0")
    assert precision == chosen
    assert said in why
    assert runtime.precision_choice("CPU:0") == (precision, why)  # asked once
    monkeypatch.setattr(runtime, "training_device", lambda: "CPU:0")
    caplog.set_level("INFO", "keras_kd")
    assert kd.choose_precision() == chosen
    assert caplog.messages == [f"{chosen}: {why}"]


def test_bfloat16_that_does_not_run_is_not_chosen(monkeypatch, fresh_probes):
    def fail(dtype):
        raise NotImplementedError("no kernel for it")

    monkeypatch.setattr(probes, "products", fail)
    monkeypatch.setattr(runtime, "read_cpuinfo", lambda: "flags : amx_bf16")
    precision, why = runtime.precision_choice("CPU:0")
    assert precision == "float32"
    assert "no kernel for it" in why


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"compute_capability": (9, 0)}, "mixed_bfloat16"),
        ({"compute_capability": (8, 0)}, "mixed_bfloat16"),
        ({"compute_capability": (7, 5)}, "float32"),
        ({"device_name": "not NVIDIA's"}, "float32"),
    ],
)
def test_bfloat16_of_a_gpu_goes_by_its_compute_capability(
    monkeypatch, fresh_probes, details, expected
):
    monkeypatch.setattr(runtime, "training_device", lambda: "GPU:0")
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["gpu"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", {"gpu": details}.get
    )
    assert kd.choose_precision() == expected


def test_a_tpu_trains_in_bfloat16(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", {"TPU": [1]}.get)
    assert runtime.training_device() == "TPU:0"
    assert kd.choose_precision() == "mixed_bfloat16"


def test_other_backends_do_not_train(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=torch"):
        runtime.training_device()


@pytest.fixture
def metal(monkeypatch, fresh_probes):
    """A Mac with Apple's GPU, whose work this machine's CPU really does."""

    def no_compiler(function, jit_compile=False, **kwargs):
        if jit_compile:
            raise ValueError("Could not find compiler for platform METAL")
        return plain_function(function, **kwargs)

    plain_function = tf.function
    monkeypatch.setattr(tf, "function", no_compiler)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(tf.config, "list_logical_devices", {"GPU": [1]}.get)
    monkeypatch.setattr(tf.config, "list_physical_devices", {"GPU": [1]}.get)


def test_metal_runs_a_plain_graph_in_float32_and_says_why(
    metal, caplog, capsys
):
    assert kd.choose_jit_compile() is False
    assert kd.choose_jit_compile() is False
    assert kd.choose_precision() == "float32"
    (record,) = caplog.records  # once
    assert "Metal plugin has no XLA" in record.getMessage()
    assert "plain graph" in record.getMessage()
    facts = kd.doctor()
    assert (facts["device"], facts["precision"]) == ("GPU:0", "float32")
    assert facts["jit_compile"] is False
    assert facts["why jit_compile"] == record.getMessage()
    assert facts["XLA"] == (
        "not available: Could not find compiler for platform METAL"
    )
    assert facts["gradient"] == "the CPU's, to 0e+00"
    assert "advice" not in facts
    out = capsys.readouterr().out
    assert max(len(row) for row in out.splitlines()) <= 80
    assert "Metal plugin has no XLA" in out


def test_a_hidden_metal_gpu_still_keeps_keras_from_xla(
    metal, monkeypatch, caplog
):
    monkeypatch.setattr(tf.config, "list_logical_devices", {}.get)
    assert runtime.training_device() == "CPU:0"
    assert kd.choose_jit_compile() is False
    assert not caplog.records  # nothing is lost by it on a CPU


def test_a_gpu_whose_xla_is_broken_runs_a_plain_graph(
    metal, monkeypatch, caplog
):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert kd.choose_jit_compile() is False
    assert "XLA does not compile for GPU:0" in caplog.text


@pytest.mark.parametrize(
    ("factor", "distance"), [(2.0, "1"), (1.01, "0.01"), (np.nan, "nan")]
)
def test_a_wrong_gradient_is_found_and_said_aloud(
    metal, caplog, capsys, factor, distance, spoil_the_gpu
):
    def spoil(gradients, draw):
        return {**gradients, "kernel": factor * gradients["kernel"]}, draw

    spoil_the_gpu(spoil)
    right, reason = probes.gradient_matches_cpu("GPU:0")
    assert not right
    assert f"gradient of the `kernel` is {distance} times" in reason
    assert kd.choose_jit_compile() is False
    assert f"GPU:0 is not to be trusted: {reason}" in caplog.text
    assert "set_visible_devices" in caplog.text
    facts = kd.doctor()
    assert facts["gradient"] == f"not to be trusted: {reason}"
    assert "set_visible_devices" in facts["advice"]


def test_draws_that_ignore_their_seed_are_found(metal, caplog, spoil_the_gpu):
    spoil_the_gpu(lambda gradients, draw: (gradients, 0 * draw))
    expected = (False, "two seeds give the same random draw")
    assert probes.draws_follow_seed("GPU:0") == expected
    kd.choose_jit_compile()
    assert "two seeds give the same random draw" in caplog.text


def test_the_doctor_survives_probes_that_raise(
    monkeypatch, fresh_probes, capsys
):
    def broken(*_, **__):
        raise MemoryError("[/red] out of [memory]\nand a long trace")

    monkeypatch.setattr(probes, "small_step", broken)
    monkeypatch.setattr(runtime, "training_device", lambda: "GPU:0")
    facts = kd.doctor()
    assert facts["XLA"] == "not available: [/red] out of [memory]"
    assert facts["gradient"] == "not to be trusted: [/red] out of [memory]"
    assert facts["jit_compile"] is False
    assert "[/red] out of [memory]" in capsys.readouterr().out


def test_the_doctor_survives_a_machine_without_a_device(
    monkeypatch, fresh_probes
):
    def broken(_):
        raise RuntimeError("CUDA driver is too old")

    monkeypatch.setattr(tf.config, "list_logical_devices", broken)
    facts = kd.doctor()
    assert facts["device"] == "none: CUDA driver is too old"
    assert facts["XLA"].startswith("not available: ")
    assert (facts["precision"], facts["jit_compile"]) == ("float32", False)
