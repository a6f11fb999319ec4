import math

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops
from keras_kd.optimizers import (
    LinearWarmupDecay,
    PathAdamW,
    distilbert_optimizer,
)

STEPS = 20


def make_model():
    config = kd.BertConfig(
        vocabulary_size=30,
        num_layers=1,
        hidden_dim=8,
        num_heads=2,
        max_sequence_length=6,
        num_segments=0,
    )
    return kd.BertMaskedLM(config, seed=0)


def values(variables):
    return [ops.convert_to_numpy(v).astype("float64") for v in variables]


def random_gradients(variables):
    """Of 20 steps; their global norms rise from below 5 to above it."""
    generator = np.random.default_rng(1)
    sizes = np.geomspace(0.01, 1.0, STEPS)
    return [
        [size * generator.normal(size=v.shape) for v in variables]
        for size in sizes
    ]


def train(optimizer, variables, gradients):
    for step in gradients:
        tensors = [ops.convert_to_tensor(g.astype("float32")) for g in step]
        optimizer.apply(tensors, variables)


def scripts_name(path):
    """What a variable is called in the scripts' DistilBERT."""
    for ours, theirs in {
        "embeddings/norm": "distilbert.embeddings.LayerNorm",
        "attention_norm": "sa_layer_norm",
        "feed_forward_norm": "output_layer_norm",
        "masked_lm_head/norm": "vocab_layer_norm",
        "gamma": "weight",
        "beta": "bias",
        "kernel": "weight",
        "token/embeddings": "word_embeddings.weight",
        "position/embeddings": "position_embeddings.weight",
        "/": ".",
    }.items():
        path = path.replace(ours, theirs)
    return path


def exempt_in_the_scripts(path):
    names = ("bias", "LayerNorm.weight")
    return any(name in scripts_name(path) for name in names)


# The schedule


def test_the_rate_goes_up_and_down_in_lines():
    schedule = LinearWarmupDecay(0.4, total_steps=21, warmup_steps=2)
    found = [float(schedule(step)) for step in (0, 1, 2, 3, 20, 21, 30)]
    expected = [0, 0.2, 0.4, 0.4 * 18 / 19, 0.4 / 19, 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "warmup, expected",
    [(0, [1, 0.75, 0.5, 0.25, 0]), (4, [0, 0.25, 0.5, 0.75, 0])],
)
def test_a_schedule_may_be_all_of_one_kind(warmup, expected):
    schedule = LinearWarmupDecay(1.0, total_steps=4, warmup_steps=warmup)
    found = [float(schedule(step)) for step in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "steps, share, total, warmup",
    [(20, 0.05, 21, 2), (99, 0.05, 100, 5), (100, 0.05, 101, 6), (9, 0, 10, 0)],
)
def test_the_optimizer_warms_up_over_its_share_rounded_up(
    steps, share, total, warmup
):
    optimizer = distilbert_optimizer(steps, 3e-4, warmup_share=share)
    config = optimizer.get_config()["learning_rate"]["config"]
    assert config == {
        "learning_rate": 3e-4,
        "total_steps": total,
        "warmup_steps": warmup,
    }


# The updates


@pytest.mark.parametrize("decay_block_norms", [False, True])
def test_updates_are_those_of_adamw_in_float64(decay_block_norms):
    variables = make_model().trainable_variables
    gradients = random_gradients(variables)
    expected = values(variables)
    first = [np.zeros(v.shape) for v in variables]
    second = [np.zeros(v.shape) for v in variables]
    clipped = 0
    for step, some in enumerate(gradients):
        up, down = step / 2, (21 - step) / 19
        rate = 0.01 * min(up, down)
        norm = math.sqrt(sum((g**2).sum() for g in some))
        clipped += norm > 5
        for i, variable in enumerate(variables):
            g = some[i] * min(1, 5 / norm)
            last = variable.path.split("/")[-1]
            norm_decays = (
                decay_block_norms and "embeddings" not in variable.path
            )
            if last not in ("bias", "beta") and (
                last != "gamma" or norm_decays
            ):
                expected[i] *= 1 - rate * 0.1
            first[i] += 0.1 * (g - first[i])
            second[i] += 0.02 * (g**2 - second[i])
            correct = math.sqrt(1 - 0.98 ** (step + 1))
            correct /= 1 - 0.9 ** (step + 1)
            expected[i] -= (
                rate * correct * first[i] / (np.sqrt(second[i]) + 1e-6)
            )
    assert 5 < clipped < 15  # on both sides of the clip

    optimizer = distilbert_optimizer(
        STEPS, 0.01, weight_decay=0.1, decay_block_norms=decay_block_norms
    )
    train(optimizer, variables, gradients)
    for found, wanted in zip(values(variables), expected, strict=True):
        # The way of a value is some 0.1 long.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("decay_block_norms", [False, True])
@pytest.mark.parametrize(
    "epsilon_hat, tolerance", [(True, 2e-6), (False, 1e-4)]
)
def test_updates_are_those_of_torch_but_for_the_epsilon(
    decay_block_norms, epsilon_hat, tolerance
):
    # The way of a value is some 0.1 long. Given Keras's epsilon, PyTorch goes
    # the same way; with its own it ends up to 1e-4 beside.
    torch = pytest.importorskip("torch")
    variables = make_model().trainable_variables
    gradients = random_gradients(variables)
    parameters = [
        torch.nn.Parameter(torch.tensor(value)) for value in values(variables)
    ]
    decayed, spared = [], []
    for variable, parameter in zip(variables, parameters, strict=True):
        exempt = exempt_in_the_scripts(variable.path)
        if variable.path.endswith("gamma") and not decay_block_norms:
            exempt = True
        (spared if exempt else decayed).append(parameter)
    theirs = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": 0.1},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=0.01,
        eps=1e-6,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        theirs, lambda s: s / 2 if s < 2 else (21 - s) / 19
    )
    for step, some in enumerate(gradients):
        for parameter, gradient in zip(parameters, some, strict=True):
            parameter.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        if epsilon_hat:
            for group in theirs.param_groups:
                group["eps"] = 1e-6 / math.sqrt(1 - 0.98 ** (step + 1))
        theirs.step()
        schedule.step()

    optimizer = distilbert_optimizer(
        STEPS, 0.01, weight_decay=0.1, decay_block_norms=decay_block_norms
    )
    train(optimizer, variables, gradients)
    for found, wanted in zip(values(variables), parameters, strict=True):
        wanted = wanted.detach().numpy()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


# What is decayed


@pytest.mark.parametrize("decay_block_norms", [False, True])
def test_decay_spares_biases_and_norms_as_asked(decay_block_norms):
    variables = make_model().trainable_variables
    for variable in variables:
        variable.assign(ops.ones(variable.shape))
    optimizer = distilbert_optimizer(
        10,
        1.0,
        warmup_share=0,
        weight_decay=0.25,
        decay_block_norms=decay_block_norms,
    )
    # No gradient: what moves, moves by decay.
    train(optimizer, variables, [[np.zeros(v.shape) for v in variables]])
    found = {
        variable.path: value
        for variable, value in zip(variables, values(variables), strict=True)
    }
    spared = {path for path, value in found.items() if (value == 1).all()}
    for path in set(found) - spared:
        np.testing.assert_array_equal(found[path], 0.75, err_msg=path)
    exempt = {path for path in found if exempt_in_the_scripts(path)}
    norms = {path for path in found if path.endswith("gamma")}
    assert len(norms - exempt) == 3  # two in the block, one in the head
    assert spared == (exempt if decay_block_norms else exempt | norms)
    assert "embeddings/token/embeddings" not in spared


def test_an_optimizer_that_was_saved_spares_the_same():
    optimizer = distilbert_optimizer(
        10, 1.0, warmup_share=0, weight_decay=0.25, decay_block_norms=True
    )
    saved = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(saved)
    assert isinstance(again, keras.optimizers.AdamW)
    assert again.get_config() == optimizer.get_config()
    outcomes = []
    for each in (optimizer, again):
        variables = make_model().trainable_variables
        train(each, variables, random_gradients(variables)[:2])
        outcomes.append(values(variables))
    for one, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_paths_are_matched_as_regular_expressions():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, name="a")(inputs)
    outputs = keras.layers.Dense(2, name="b")(outputs)
    model = keras.Model(inputs, outputs)
    for weight in model.weights:
        weight.assign(ops.ones(weight.shape))
    optimizer = PathAdamW(1.0, no_decay=("^a/k", "b.*bias"), weight_decay=0.5)
    zeros = [[np.zeros(w.shape) for w in model.weights]]
    train(optimizer, model.trainable_weights, zeros)
    found = [value.max() for value in values(model.weights)]
    assert found == [1.0, 0.5, 0.5, 1.0]


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_model_is_fitted_with_it(jit_compile):
    model = make_model()
    generator = np.random.default_rng(0)
    ids = generator.integers(5, 30, (8, 6)).astype("int32")
    x = {
        "token_ids": ids,
        "padding_mask": np.ones_like(ids),
        "mask_positions": np.ones((8, 1), "int32"),
    }
    model.compile(
        distilbert_optimizer(20, 1e-2, weight_decay=0.01),
        jit_compile=jit_compile,
    )
    history = model.fit(x, ids[:, 1:2], epochs=20, verbose=0)
    assert int(model.optimizer.iterations) == 20
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]


# Errors


@pytest.mark.parametrize("total, warmup", [(0, 0), (4, 5), (4, -1)])
def test_a_number_of_steps_out_of_range_is_refused(total, warmup):
    with pytest.raises(ValueError, match=f"Received: {total} and {warmup}"):
        LinearWarmupDecay(1.0, total, warmup)


@pytest.mark.parametrize("steps, share", [(0, 0.05), (9, -0.1), (9, 1.1)])
def test_a_run_or_share_out_of_range_is_refused(steps, share):
    with pytest.raises(ValueError, match=f"Received: {steps} and {share}"):
        distilbert_optimizer(steps, warmup_share=share)
