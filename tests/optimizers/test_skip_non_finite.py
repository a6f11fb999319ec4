import keras_kd as kd
import keras
import numpy as np
import pytest
from keras_kd.optimizers.skip_non_finite import all_finite

JIT = keras.backend.backend() == "jax"
NAMES = ("updates", "skipped", "in_a_row", "longest_row", "last_skipped")


def make_model(optimizer, jit_compile=JIT):
    """y = w x, of which the gradient of the squared error is 2 (w x - y) x."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model(inputs, outputs(inputs))
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    return model


def fit(model, inputs):
    """A step for each number; what is wanted is 0."""
    x = np.array(inputs, "float32")[:, None]
    model.fit(
        x, np.zeros_like(x), batch_size=1, epochs=1, verbose=0, shuffle=False
    )


def counts(optimizer):
    return [int(getattr(optimizer, name)) for name in NAMES]


@pytest.mark.parametrize(
    "jit_compile", [pytest.param(False, marks=pytest.mark.tensorflow), True]
)
def test_what_is_no_number_moves_nothing_and_is_counted(jit_compile):
    inner = keras.optimizers.Adam(0.1)
    optimizer = kd.SkipNonFinite(inner)
    model = make_model(optimizer, jit_compile)
    other = make_model(keras.optimizers.Adam(0.1), jit_compile)
    fit(model, [1.0, np.nan, np.inf, 2.0, np.nan, 1.0])
    fit(other, [1.0, 2.0, 1.0])
    np.testing.assert_array_equal(model.get_weights(), other.get_weights())
    for mine, theirs in zip(
        inner.variables, other.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert counts(optimizer) == [6, 3, 0, 2, 4]
    assert int(optimizer.iterations) == 3


def test_without_any_all_is_as_with_the_inner_one():
    optimizer = kd.SkipNonFinite(kd.AdamW(0.1))
    model, other = make_model(optimizer), make_model(kd.AdamW(0.1))
    for each in (model, other):
        fit(each, [1.0, 2.0])
    np.testing.assert_array_equal(model.get_weights(), other.get_weights())
    assert counts(optimizer) == [2, 0, 0, 0, -1]


def test_one_number_among_many_is_found():
    ones = np.ones((3, 4), "float32")
    bad = ones.copy()
    bad[1, 2] = np.inf
    assert all_finite([ones, None, ones])
    assert not all_finite([ones, None, bad])
    assert not all_finite([bad, -bad])


def test_it_is_saved_with_its_inner_one_and_its_counts(tmp_path):
    optimizer = kd.SkipNonFinite(keras.optimizers.SGD(0.25), name="mine")
    model = make_model(optimizer)
    fit(model, [np.nan, 1.0])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert again.name == "mine"
    assert isinstance(again.inner_optimizer, keras.optimizers.SGD)
    assert float(again.learning_rate) == 0.25
    assert counts(again) == [2, 1, 0, 1, 0]


def test_the_learning_rate_is_the_inner_ones():
    optimizer = kd.SkipNonFinite(keras.optimizers.SGD(0.25))
    optimizer.learning_rate = 0.5
    assert float(optimizer.inner_optimizer.learning_rate) == 0.5


class NoneAtEight(kd.LossTerm):
    """A term that is no number where a batch begins with token 8."""

    def row_weights(self, batch):
        return batch["sample_weight"]

    def compute(self, batch, teacher, student):
        value = keras.ops.mean(student["hidden_states"][-1])
        bad = batch["x"]["token_ids"][0, 0] == 8
        return value * keras.ops.where(bad, np.nan, 1.0)


def diverging(tiny_config, optimizer):
    """A distiller, and its batches: the second one's loss is none."""
    teacher, student = (kd.BertMaskedLM(tiny_config, seed=s) for s in (0, 1))
    recipe = kd.distilbert_losses()
    terms = {**recipe["loss_terms"], "own": NoneAtEight()}
    weights = {**recipe["loss_weights"], "own": 1.0}
    distiller = kd.Distiller(teacher, student, terms, weights)
    distiller.compile(optimizer, jit_compile=JIT, run_eagerly=not JIT)
    ids = np.full((6, 8), 7)
    ids[2:4] = 8
    x = {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
        "mask_positions": np.ones((6, 2), int),
    }
    return distiller, (x, np.full((6, 2), 7), np.ones((6, 2), "float32"))


@pytest.mark.filterwarnings("ignore:Epoch 1 ended with")
def test_a_distillers_logs_leave_out_what_it_leaves_out(tiny_config):
    """Its weights too are those of one that never saw such a batch."""
    ends = []
    for rows in (slice(None), [0, 1, 4, 5], slice(2, 4)):
        optimizer = kd.SkipNonFinite(keras.optimizers.SGD(0.0))
        distiller, (x, y, weights) = diverging(tiny_config, optimizer)
        logs = distiller.fit(
            {name: values[rows] for name, values in x.items()},
            y[rows],
            sample_weight=weights[rows],
            batch_size=2,
            shuffle=False,
            verbose=0,
        ).history
        ends.append({name: values[0] for name, values in logs.items()})
    some_left_out, without_these, all_left_out = ends
    assert some_left_out == pytest.approx(without_these, rel=1e-6)
    assert some_left_out["masked_lm"] > 1
    assert np.isnan(all_left_out["masked_lm"]) and np.isnan(
        all_left_out["loss"]
    )
