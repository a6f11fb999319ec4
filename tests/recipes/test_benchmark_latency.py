"""The latency benchmark: its refusals, its ratios, a run in miniature."""

import importlib.util
import io
import json
import subprocess
import sys

import keras_kd as kd
import benchmark_latency
import numpy as np
import pytest
from benchmark_latency import Config
from keras_kd.evaluation.cost import Timing
from rich.console import Console

import latency_peers
from latency_tables import time_table

pytestmark = pytest.mark.tensorflow

INSTALLED = [
    name for name in latency_peers.PEERS if not latency_peers.why_missing(name)
]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"peers": ("tvm",)}, "`--peers` must be of.*Received: .'tvm'"),
        ({"peers": ()}, "`--peers` must be of.*Received: none"),
        ({"rounds": 0}, "`--rounds` must be at least 1. Received: 0"),
        ({"batch_size": 0}, "`--batch-size` must be at least 1"),
        ({"lengths": (8, 0)}, "`--lengths` must be at least 1. Received: 0"),
        ({"threads": -1}, "`--threads` must be at least 1. Received: -1"),
        ({"lengths": (513,)}, "`--lengths` must be at most the 512 positions"),
        ({"models": ("nowhere/at_all",)}, "`--models`: "),
    ],
)
def test_a_wrong_choice_ends_before_any_work(changes, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # taken back afterwards
    small = {"num_layers": (1,), "hidden_dim": 64, "vocabulary_size": 10}
    with pytest.raises(SystemExit, match=message):
        benchmark_latency.main(Config(**{**small, **changes}))


def test_results_are_not_overwritten(tmp_path):
    (tmp_path / "latency.json").write_text("{}")
    with pytest.raises(SystemExit, match="`--to` must be a folder without"):
        benchmark_latency.check(Config(to=str(tmp_path)))


def test_peers_that_are_not_installed_are_named(monkeypatch):
    def find_spec(name):
        return None if name in ("torch", "tf2onnx") else name

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert latency_peers.why_missing("keras") is None
    reason = latency_peers.why_missing("transformers")
    assert reason == "transformers needs the extra `bench`: no torch here"
    with pytest.raises(SystemExit, match="onnx needs the extra `onnx`"):
        benchmark_latency.check(Config(peers=("onnx", "transformers")))


def test_a_peer_that_computes_something_else_is_an_error():
    right = {"logits": np.array([[0.5, 40.0]])}
    close = {"logits": np.array([[0.5, 40.02]])}  # within 1e-3 of 40
    wrong = {"logits": np.array([[0.5, 40.1]])}
    peers = {"keras": lambda x: right, "close": lambda x: close}
    latency_peers.check_peers(peers, {}, "6 x 768")
    for values in (wrong, {"logits": np.full((1, 2), np.nan)}):
        peers["other"] = lambda x, values=values: values
        with pytest.raises(
            RuntimeError, match="`other` must give the logits of `keras` for 6"
        ):
            latency_peers.check_peers(peers, {}, "6 x 768")


def test_ratios_are_to_the_teacher_and_to_transformers():
    times = {
        ("large", "keras"): Timing(((0.2,), (0.4,))),
        ("large", "transformers"): Timing(((0.4,), (1.2,))),
        ("small", "keras"): Timing(((0.1,), (0.1,))),
        ("small", "transformers"): Timing(((0.2,), (0.2,))),
    }
    rows = benchmark_latency.rows_of(times, 8, 32)
    found = {(row["model"], row["peer"]): row for row in rows}
    keras = found["small", "keras"]
    assert keras["speed_up_over_teacher"] == pytest.approx((3, 2, 4))
    assert keras["speed_up_over_transformers"] == pytest.approx((2, 2, 2))
    assert keras["texts_per_second"] == pytest.approx(80)
    large = found["large", "keras"]
    assert large["speed_up_over_teacher"] == (1, 1, 1)
    assert large["speed_up_over_transformers"] == pytest.approx((2.5, 2, 3))
    assert large["p50_ms"] == pytest.approx(300)
    assert (large["calls"], large["length"], large["batch_size"]) == (2, 32, 8)


def test_without_transformers_there_is_no_ratio_to_it():
    times = {
        ("large", "keras"): Timing(((0.2,),)),
        ("small", "keras"): Timing(((0.1,),)),
    }
    rows = benchmark_latency.rows_of(times, 1, 32)
    rows += benchmark_latency.rows_of(times, 4, 32)
    console = Console(width=120, file=io.StringIO())
    console.print(time_table(rows, 32))
    lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    twice = "2.00 (2.00-2.00)"
    assert ["large", "keras", *("200.00",) * 2, "1", "-", "20.0", "1", "-"] in (
        cells
    )
    assert [
        *("small", "keras", "100.00", "100.00", twice, "-"),
        *("40.0", twice, "-"),
    ] in cells


def test_a_name_is_the_last_part_where_that_is_free():
    names = benchmark_latency.short_names(("a/one", "b/one", "c/two"))
    assert names == {"a/one": "a/one", "b/one": "b/one", "c/two": "two"}


def test_encoders_are_read_from_runs_and_from_hugging_face(tmp_path):
    config = kd.BertConfig(60, 2, 16, 2)
    teacher = kd.BertMaskedLM(config, seed=0, dtype="mixed_bfloat16")
    (tmp_path / "run").mkdir()
    teacher.save(tmp_path / "run" / "teacher.keras")
    student = kd.BertMaskedLM(config.with_layers(1, num_segments=0), seed=1)
    kd.save_checkpoint(student, tmp_path / "distilbert")
    models = (str(tmp_path / "run"), str(tmp_path / "distilbert"))
    found = benchmark_latency.load_encoders(Config(models=models))
    assert list(found) == ["run", "distilbert"]
    for encoder, source in zip(found.values(), (teacher, student), strict=True):
        assert type(encoder) is kd.BertBackbone
        assert encoder.compute_dtype == "float32"
        expected = source.backbone.named_variables()
        for name, variable in encoder.named_variables().items():
            np.testing.assert_array_equal(variable, expected[name])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pooler", "no segments"])
def test_every_peer_computes_what_keras_does(kind, tmp_path):
    changes = {"pooler": {"pooler": True}, "no segments": {"num_segments": 0}}
    config = kd.BertConfig(60, 2, 16, 2, **changes[kind])
    encoder = kd.BertBackbone(config, seed=0)
    functions, sizes = latency_peers.make_functions(
        encoder, INSTALLED, tmp_path, 1, kind
    )
    assert list(functions) == list(sizes) == INSTALLED
    assert min(sizes.values()) > 4 * encoder.count_params()
    inputs = latency_peers.make_inputs(encoder, 3, 5, seed=0)
    assert inputs["token_ids"].shape == (3, 5)
    outputs = functions[INSTALLED[-1]](inputs)
    assert outputs["last_hidden_state"].shape == (3, 5, 16)
    assert ("pooled" in outputs) == (kind == "pooler")


@pytest.mark.slow
def test_a_smoke_run_times_every_model_in_every_runtime(tmp_path):
    done = subprocess.run(
        [sys.executable, benchmark_latency.__file__, "--smoke"]
        + ["--threads", "1", "--to", str(tmp_path / "new")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "threads of each runtime: 1" in done.stdout
    assert "8 tokens: one text; batches of 2" in done.stdout
    results = json.loads((tmp_path / "new" / "latency.json").read_text())
    assert results["machine"]["threads"] == 1
    assert list(results["models"]) == ["2 x 128", "1 x 128"]
    found = [(t["model"], t["peer"], t["batch_size"]) for t in results["times"]]
    assert found == [
        (model, peer, batch_size)
        for batch_size in (1, 2)
        for model in results["models"]
        for peer in INSTALLED
    ]
    for row in results["times"]:
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        low, high = row["speed_up_over_teacher"][1:]
        assert 0 < low <= row["speed_up_over_teacher"][0] <= high
    for name in set(latency_peers.PEERS) - set(INSTALLED):
        assert latency_peers.why_missing(name) in done.stdout
