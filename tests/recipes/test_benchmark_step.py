"""The benchmark of a training step: its arithmetic, its peers, its tables."""

import dataclasses
import importlib
import io
import json
import sys
import time

import keras_kd as kd
import benchmark_step
import numpy as np
import pytest
from rich.console import Console

import step_parts
import step_peers
import step_tables
import step_worker
from step_parts import step_products

SIZES = benchmark_step.SIZES


@pytest.mark.parametrize(
    "size, rows, gflop",
    [
        ("mini", 4096, 328.0),
        ("mini", 615, 108.6),
        ("base", 1024, 643.8),
        ("base", 154, 476.6),
    ],
)
def test_the_arithmetic_of_a_step_is_that_counted_by_hand(size, rows, gflop):
    products = step_products(SIZES[size], rows)
    total = sum(product.flops for product in products)
    assert round(total / 1e9, 1) == gflop


def test_a_part_has_its_products():
    """Tiny: 2 x 16 tokens, width 16, 2 heads, inner 32, vocabulary 100."""
    flops = dict.fromkeys(("teacher", "student", "vocabulary rows"), 0)
    for product in step_products(SIZES["tiny"], 6):
        flops[product.part] += product.flops
    layer = 2 * 32 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 2 * 32 * 16 * 16
    assert flops["teacher"] == 2 * layer
    assert flops["student"] == 3 * layer
    assert flops["vocabulary rows"] == 4 * 2 * 6 * (16 * 16 + 16 * 100)


def test_on_a_gpu_the_vocabulary_is_rounded_up_and_chunks_are_larger():
    products = step_products(SIZES["base-64"], 8192, "cuda")
    shapes = {p.shape for p in products if p.part == "vocabulary rows"}
    assert (1, 4096, 768, 30592, "b") in shapes  # 239 times 128
    total = sum(product.flops for product in products)
    assert round(total / 1e9) == 5154


def test_the_peak_in_torch_multiplies_each_shape():
    pytest.importorskip("torch")
    shapes = {"plain": (1, 3, 4, 5, ""), "a": (2, 3, 4, 5, "a")}
    shapes["b"] = (1, 3, 4, 5, "b")
    runs = step_parts.make_torch_peak(
        list(shapes.items()), ["float32", "bfloat16"], 0, "cpu"
    )
    assert len(runs) == 6
    for run in runs.values():
        run(2)


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="`--groups gpu` needs a GPU"):
        benchmark_step.main(benchmark_step.Config(groups=("gpu",)))


def test_the_batch_is_masked_as_often_as_keras_kd_masks():
    masking = kd.MaskedLMMasking(30522, (0, 1, 2, 3, 4), pad_id=0, mask_id=4)
    size = SIZES["mini"]
    assert size.masked_per_block == masking.positions_per_block(128)
    ids, positions, labels = step_peers.make_batch(size, seed=0)
    assert labels.min() >= 5
    assert size.rows("masked") == labels.size == (ids == 4).sum() == 32 * 19
    assert (np.take_along_axis(ids, positions, axis=1) == 4).all()


@pytest.mark.parametrize("masked_only", [False, True])
def test_the_peer_in_torch_has_our_loss(masked_only):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    teacher, student = (
        (
            random.normal(size=(2, 6, 11)).astype("float32"),
            random.normal(size=(2, 6, 4)).astype("float32"),
        )
        for _ in range(2)
    )
    real = np.ones((2, 6), bool)
    real[1, 4:] = False
    labels = np.full((2, 6), -100)
    labels[0, 2], labels[1, 1] = 7, 3
    rows = labels >= 0 if masked_only else real
    expected = (
        5 * kd.SoftTargetKL(2.0)(teacher[0], student[0], sample_weight=rows)
        - 2 * log_softmax(student[0])[[0, 1], [2, 1], [7, 3]].mean()
        + kd.HiddenStateCosine()(teacher[1], student[1], sample_weight=real)
    )

    found = step_peers.torch_loss(
        [torch.from_numpy(a) for a in teacher],
        [torch.from_numpy(a) for a in student],
        torch.from_numpy(real),
        torch.from_numpy(labels),
        masked_only,
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_a_sample_is_seconds_per_step_and_memory_since_it_was_forgotten():
    step_worker.forget_peak()
    before = step_worker.peak_mib()
    calls = []

    def run(steps):
        np.ones(2**26, "uint8")  # 64 MiB
        time.sleep(0.02 * steps if calls else 1.0)
        calls.append(steps)

    sample = step_worker.take_sample({"step": run}, 3)
    assert calls == [1, 3]  # the first, slow here, does not count
    assert 0.02 <= sample["seconds"]["step"] < 0.2
    assert sample["steps_mib"] >= before + 60


def made_up_group():
    """Two rounds of a group, in which other programs were busy once."""
    size = SIZES["tiny"]
    shape = dataclasses.asdict(size)
    products = step_products(size, size.rows("all"))

    def candidate(*seconds, others=0.0):
        samples = [
            {
                "round": index,
                "seconds": value
                if isinstance(value, dict)
                else {"step": value},
                "others": others * index,
                "steps_mib": 100.0,
                "whole_mib": 200.0,
            }
            for index, value in enumerate(seconds)
        ]
        return {
            "precision": "float32",
            "first_loss": 10.0,
            "error": None,
            "samples": samples,
        }

    matmuls = {f"float32 {product.name}": 2e-3 for product in products}
    fast = {name: 1e-3 for name in matmuls}
    parts = dict.fromkeys(step_tables.PARTS, 0.1)
    return {
        "size": "tiny",
        "shape": shape,
        "rows": "all",
        "group": "parts",
        "steps": 2,
        "candidates": {
            "peak": candidate(fast, matmuls),
            "keras-kd-graph": candidate(0.5, 1.0),
            "torch-tuned": candidate(1.0, 3.0, others=1.5),
            "parts": candidate(parts, parts),
            "keras-kd-jax": {**candidate(), "error": "ended with status 1"},
        },
    }


def test_ratios_are_within_a_round():
    group = made_up_group()
    assert step_tables.ratios(group, "torch-tuned") == [2.0, 3.0]
    group["candidates"]["keras-kd-graph"]["samples"].pop(0)
    assert step_tables.ratios(group, "torch-tuned") == [3.0]


def test_the_limit_is_each_product_at_the_best_speed_of_its_shape():
    group = made_up_group()
    products = step_tables.products_of(group)
    count = sum(product.count for product in products)
    assert step_tables.limit(group, "float32") == pytest.approx(1e-3 * count)
    # A layer: 6 kernels and 2 products of the attention; 2 teacher layers.
    limit = step_tables.limit(group, "float32", "teacher")
    assert limit == pytest.approx(16e-3)
    assert step_tables.limit(group, "bfloat16") is None


def test_the_tables_say_it_all():
    console = Console(width=100, file=io.StringIO())
    results = {"machine": {"processors": 2}, "groups": [made_up_group()]}
    step_tables.print_tables(results, console)
    lines = console.file.getvalue().splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    # Medians: 2 s a step for 32 tokens; 2 and 3 times the anchor's; 0 and 1.5.
    expected = ["torch-tuned", "2.000", "16", "2.50", "2.00 - 3.00", "0.8, 1.5"]
    assert expected in rows
    # 0.75 s, less four parts of 0.1 s.
    assert ["rest", "350.0", "47%", "", "difference"] in rows
    assert "keras-kd-jax (tiny, all rows): ended with status 1" in lines


def test_a_group_without_its_first_candidate_has_no_ratios():
    group = made_up_group()
    group["candidates"]["keras-kd-graph"]["samples"] = []
    console = Console(width=100, file=io.StringIO())
    step_tables.print_tables({"machine": {}, "groups": [group]}, console)
    assert step_tables.ratios(group, "torch-tuned") == []
    assert "torch-tuned" in console.file.getvalue()
    assert "fixed gradients" not in console.file.getvalue()


def test_tables_are_printed_again_from_the_file(tmp_path, capsys):
    file = tmp_path / "step.json"
    results = {"machine": {"processors": 2}, "groups": [made_up_group()]}
    file.write_text(json.dumps(results))
    benchmark_step.main(benchmark_step.Config(tables=str(file)))
    assert "torch-tuned" in capsys.readouterr().out


@pytest.mark.slow
def test_a_process_that_ends_says_so():
    with benchmark_step.Process({"maker": "nothing"}, {}) as process:
        assert process.answer() == {"error": "ended with status 1"}
        assert process.ask(1) == {"error": "ended with status 1"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sizes": ("huge",)}, "`--sizes` must be of.*Received: .'huge'"),
        ({"candidates": ("jax",)}, "`--candidates` must be of"),
        ({"rounds": 0}, "`--rounds` must be at least 1"),
        ({"tables": "none.json"}, "`--tables` must be a file"),
        ({"output": __file__}, "`--output` must be a new file"),
    ],
)
def test_a_wrong_choice_ends_before_any_work(changes, message):
    with pytest.raises(SystemExit, match=message):
        benchmark_step.main(benchmark_step.Config(**changes))


def test_missing_peers_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit, match="extra `bench`.*Missing: .*torch"):
        benchmark_step.main(benchmark_step.Config())


@pytest.mark.slow
@pytest.mark.parametrize("group", benchmark_step.GROUPS)
def test_every_candidate_takes_a_step_of_the_same_loss(group, tmp_path):
    for package in ("jax", "torch", "transformers"):
        pytest.importorskip(package)
    if (
        group == "gpu"
        and not importlib.import_module("torch").cuda.is_available()
    ):
        pytest.skip("no GPU")
    file = tmp_path / "step.json"
    results = benchmark_step.main(
        benchmark_step.Config(smoke=True, groups=(group,), output=str(file))
    )
    assert json.loads(file.read_text()) == results
    (found,) = results["groups"]
    names = {"peak", *benchmark_step.GROUPS[group]}
    assert set(found["candidates"]) == names
    for name, candidate in found["candidates"].items():
        assert candidate["error"] is None, name
        (sample,) = candidate["samples"]
        assert min(sample["seconds"].values()) > 0
        if name not in ("peak", "parts"):
            # Random starts: 2 ln(100) of masked LM, and the cosine.
            assert candidate["first_loss"] == pytest.approx(10.25, abs=0.3)
