import types

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras_kd.evaluation import cost
from keras_kd.evaluation.cost import (
    Timing,
    count_bytes,
    multiply_adds,
    time_in_turns,
)

# A layer, by hand: projections 4 · 8², attention 2 · T · 8, feed-forward
# 2 · 8 · 32.
WIDTH, LENGTH, VOCABULARY = 8, 4, 50
LAYER = 256 + 64 + 512


@pytest.fixture
def small():
    return kd.BertConfig(VOCABULARY, 3, WIDTH, 2, max_sequence_length=6)


def test_bert_base_by_hand():
    """85 million of the matrices, and 12 · 2 · 128 · 768 of the attention."""
    base = kd.BertConfig.from_preset("base", 30522)
    assert multiply_adds(base, 128) == 84_934_656 + 2_359_296
    assert (
        multiply_adds(base.with_layers(6), 128) == (84_934_656 + 2_359_296) / 2
    )
    pooled = kd.BertConfig.from_preset("base", 30522, pooler=True)
    assert multiply_adds(pooled, 128) == 87_293_952 + 4608


def test_multiply_adds_of_every_kind_of_model_by_hand(small):
    assert multiply_adds(small, LENGTH) == 3 * LAYER
    assert multiply_adds(small, 1) == 3 * (256 + 16 + 512)
    narrow = kd.BertConfig(VOCABULARY, 1, WIDTH, 2, intermediate_dim=5)
    assert multiply_adds(narrow, LENGTH) == 256 + 64 + 80
    encoder = kd.BertBackbone(small)
    assert multiply_adds(encoder, LENGTH) == 3 * LAYER
    assert multiply_adds(encoder.subnetwork([0, 2]), LENGTH) == 2 * LAYER


def test_multiply_adds_of_heads_by_hand(small):
    masked_lm = kd.BertMaskedLM(small)
    row = 64 + 8 * 50
    assert multiply_adds(masked_lm, LENGTH) == 3 * LAYER + row / 4
    assert multiply_adds(masked_lm, LENGTH, 3) == 3 * LAYER + 3 * row / 4
    assert multiply_adds(masked_lm, LENGTH, 0) == 3 * LAYER
    classifier = kd.BertClassifier(small, ["a", "b", "c"])
    pooler_and_classes = (64 + 8 * 3) / 4
    assert multiply_adds(classifier, LENGTH) == 3 * LAYER + pooler_and_classes
    cut = classifier.subnetwork([1])
    assert multiply_adds(cut, LENGTH) == LAYER + pooler_and_classes


def products_of_graph(model, inputs):
    """Multiply-adds of a traced graph: of each outcome's numbers, the sum."""
    import tensorflow as tf

    def call(x):
        outputs = model(x, training=False)
        return outputs.get("logits", outputs["hidden_states"][-1])

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    graph = tf.function(call).get_concrete_function(tensors).graph
    total, kinds = 0, set()
    for operation in graph.get_operations():
        shapes = [tuple(tensor.shape) for tensor in operation.inputs]
        if operation.type in ("MatMul", "BatchMatMulV2"):
            transposed = operation.node_def.attr
            kinds.add(operation.type)
            first = (transposed["transpose_a"].b, transposed["adj_x"].b)
            summed = shapes[0][-2] if any(first) else shapes[0][-1]
        elif operation.type == "Einsum":
            kinds.add("Einsum")
            equation = operation.node_def.attr["equation"].s.decode()
            terms, outcome = equation.split("->")
            letters = dict(
                zip(terms.replace(",", ""), sum(shapes, ()), strict=True)
            )
            lost = set(letters) - set(outcome)
            summed = np.prod([letters[letter] for letter in lost])
        else:
            continue
        total += np.prod(operation.outputs[0].shape) * summed
    assert "MatMul" in kinds
    return total


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "make",
    [
        kd.BertBackbone,
        kd.BertMaskedLM,
        lambda config: kd.BertClassifier(config, ["a", "b", "c"]),
    ],
    ids=["encoder", "masked LM", "classifier"],
)
def test_multiply_adds_are_the_matrix_products_of_the_graph(make, small):
    model, texts, positions = make(small), 5, 2
    ids = np.ones((texts, LENGTH), "int32")
    inputs = {
        "token_ids": ids,
        "segment_ids": 0 * ids,
        "padding_mask": ids,
        "mask_positions": ids[:, :positions],
    }
    inputs = {tensor.name: inputs[tensor.name] for tensor in model.inputs}
    expected = texts * LENGTH * multiply_adds(model, LENGTH, positions)
    assert products_of_graph(model, inputs) == expected


@pytest.mark.slow
@pytest.mark.parametrize("pooler", [False, True])
def test_multiply_adds_are_those_that_torch_counts_of_transformers(pooler):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode

    ours = kd.BertConfig(VOCABULARY, 2, 16, 4, pooler=pooler)
    theirs = transformers.BertConfig(
        vocab_size=VOCABULARY,
        num_hidden_layers=2,
        hidden_size=16,
        num_attention_heads=4,
        intermediate_size=64,
        attn_implementation="eager",  # whose products the counter sees
    )
    model = transformers.BertModel(theirs, add_pooling_layer=pooler).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.ones((3, 7), dtype=torch.long))
    assert counter.get_total_flops() == 2 * 3 * 7 * multiply_adds(ours, 7)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"length": 7}, "`length` must be from 1 to 6.*Received: 7"),
        ({"length": 0}, "`length` must be from 1 to 6.*Received: 0"),
        ({"positions": 5}, "`positions` must be from 0 to `length`, 4.*: 5"),
        ({"model": "base"}, "`model` must be an encoder.*Received: 'base'"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments, message, small):
    arguments = {"model": small, "length": LENGTH, **arguments}
    with pytest.raises(ValueError, match=message):
        multiply_adds(**arguments)


def test_bytes_by_hand():
    """A matrix 3 x 4 and its bias: 16 numbers."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    assert count_bytes(model) == {
        "parameters": 16,
        "float32_bytes": 64,
        "int8_bytes": 12 + 4 * 4 + 4 * 4,
    }


def test_half_precision_and_files_are_counted_in_float32(small, tmp_path):
    half = kd.BertBackbone(small, dtype="float16")
    model = kd.BertBackbone(small)
    found = count_bytes(model)
    assert count_bytes(half) == found
    assert found["parameters"] == model.count_params()
    kd.save_checkpoint(model, tmp_path)
    written = (tmp_path / "model.safetensors").stat().st_size
    assert 0 < written - found["float32_bytes"] < 8192  # names and shapes


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until its `seconds` are moved."""
    clock = types.SimpleNamespace(seconds=0.0, calls=[])
    stub = types.SimpleNamespace(perf_counter=lambda: clock.seconds)
    monkeypatch.setattr(cost, "time", stub)
    return clock


def taking(clock, name, *seconds):
    """A function whose calls take these seconds, the last again and again."""
    left = list(seconds)

    def call():
        clock.calls.append(name)
        clock.seconds += left.pop(0) if len(left) > 1 else left[0]

    return call


def test_functions_take_turns_and_first_calls_do_not_count(clock):
    functions = {
        "slow": taking(clock, "slow", 99, 5, 3),
        "fast": taking(clock, "fast", 99, 2, 1),
    }
    times = time_in_turns(functions, rounds=2, seconds=3)
    # Warm-up; each 3 seconds or a call; then the other way round. The only
    # call of a turn counts, else the first does not.
    assert clock.calls == [
        *("slow", "fast"),
        *("slow", "fast", "fast"),
        *("fast", "fast", "fast", "slow"),
    ]
    assert times["slow"].rounds == ((5,), (3,))
    assert times["fast"].rounds == ((1,), (1, 1))


def test_percentiles_and_throughput_by_hand():
    timing = Timing(((0.1, 0.2, 0.3), (0.4, 0.5)))
    assert timing.p50 == pytest.approx(0.3)
    assert timing.p95 == pytest.approx(0.48)  # four fifths from 0.4 to 0.5
    assert timing.throughput(96) == pytest.approx(320)


def test_speed_up_is_the_median_of_the_rounds_ratios():
    ours = Timing(((1.0, 1.0, 9.0), (2.0,), (1.0, 3.0)))
    theirs = Timing(((3.0,), (4.0, 4.0), (8.0,)))
    assert ours.speed_up(theirs) == (3.0, 2.0, 4.0)
    assert ours.speed_up(ours) == (1.0, 1.0, 1.0)


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="`functions` must hold.*Received: {}"):
        time_in_turns({})
    with pytest.raises(ValueError, match="`rounds` must be.*Received: 0"):
        time_in_turns({"one": int}, rounds=0)
