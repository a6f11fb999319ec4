"""What `fit` and `save` of all trainers do beyond Keras's."""

import warnings

import keras_kd as kd
import keras
import numpy as np
import pytest

JIT = keras.backend.backend() == "jax"


def masked_lm_batch():
    ids = np.full((4, 8), 7)
    x = {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
        "mask_positions": np.ones((4, 2), int),
    }
    return x, np.full((4, 2), 7), np.ones((4, 2), "float32")


@pytest.fixture
def make_trainer(tiny_config):
    def make(kind):
        teacher = kd.BertMaskedLM(tiny_config, seed=0)
        if kind == "Distiller":
            student = kd.BertMaskedLM(tiny_config.with_layers(1), seed=1)
            trainer = kd.Distiller(teacher, student, **kd.distilbert_losses())
        elif kind == "SelfDistiller":
            trainer = kd.SelfDistiller(teacher, (0,))
        else:
            trainer = kd.RDrop(teacher)
        # Eagerly where that is possible: there is little to run.
        trainer.compile(kd.AdamW(1e-3), jit_compile=JIT, run_eagerly=not JIT)
        return trainer

    return make


class Ruin(keras.callbacks.Callback):
    """As an infinity in the weights or a broken teacher would."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            kernel = self.model.trained_model().head.dense.kernel
            kernel.assign(kernel * np.nan)


KINDS = ["Distiller", "SelfDistiller", "RDrop"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_diverged_model_is_logged_as_such_and_training_stops(
    make_trainer, tmp_path, kind
):
    trainer = make_trainer(kind)
    batch = masked_lm_batch()
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        monitor="val_loss",
        save_best_only=True,
        save_weights_only=True,
    )
    with pytest.warns(UserWarning, match=r"Epoch 2 ended with .*'val_loss': n"):
        history = trainer.fit(
            batch[0],
            batch[1],
            sample_weight=batch[2],
            validation_data=batch,
            epochs=4,
            verbose=0,
            callbacks=[Ruin(1), best],
        ).history
    assert len(history["loss"]) == 2
    assert np.isfinite([values[0] for values in history.values()]).all()
    own = [
        n for n in history if n.startswith("masked_lm") or n.endswith("loss")
    ]
    assert len(own) == (2 if kind == "RDrop" else 3)
    assert np.isnan([history[name][1] for name in own]).all()
    trainer.load_weights(tmp_path / "best.weights.h5")
    for weight in trainer.trained_model().get_weights():
        assert np.isfinite(weight).all()


@pytest.mark.parametrize("bad, epochs", [(1, 2), (2, 1)])
def test_updates_that_were_left_out_do_not_end_training(
    tiny_config, bad, epochs
):
    """Unless the last one was: what it left out may be all that follows."""
    trainer = kd.RDrop(kd.BertMaskedLM(tiny_config, seed=0))

    def none_at_eight(labels, logits):
        value = keras.ops.mean(logits, axis=-1)
        return value * keras.ops.where(labels == 8, np.nan, 1.0)

    trainer.compile(
        kd.SkipNonFinite(keras.optimizers.SGD(1e-3)),
        none_at_eight,
        jit_compile=JIT,
        run_eagerly=not JIT,
    )
    x, y, weights = masked_lm_batch()
    y = y[:3].copy()
    y[bad] = 8
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        history = trainer.fit(
            {name: values[:3] for name, values in x.items()},
            y,
            batch_size=1,
            sample_weight=weights[:3],
            epochs=2,
            shuffle=False,
            verbose=0,
        ).history
    assert np.isnan(history["loss"]).tolist() == [True] * epochs
    assert int(trainer.optimizer.skipped) == epochs
    told = [str(one.message) for one in told]
    assert ("training stops" in " ".join(told)) == (epochs == 1)
    for weight in trainer.trained_model().get_weights():
        assert np.isfinite(weight).all()


def test_terminate_on_nan_stops_in_the_middle_of_an_epoch(make_trainer):
    trainer = make_trainer("Distiller")
    x, y, weights = masked_lm_batch()
    seen = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(batch)
    )
    with pytest.warns(UserWarning, match="Epoch 1 ended with"):
        trainer.fit(
            x,
            y,
            batch_size=1,
            sample_weight=weights,
            epochs=2,
            verbose=0,
            callbacks=[Ruin(0), keras.callbacks.TerminateOnNaN(), count],
        )
    assert seen == [0]


def test_callbacks_are_taken_in_every_form_that_keras_takes(make_trainer):
    trainer = make_trainer("RDrop")
    x, y, _ = masked_lm_batch()
    seen = []
    one = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch)
    )
    both = keras.callbacks.CallbackList(
        [one], add_history=True, model=trainer, epochs=1
    )
    for callbacks in (None, one, [one], both):
        trainer.fit(x, y, 4, 1, 0, callbacks)
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_checkpoint_keeps_the_trained_model(
    make_trainer, tmp_path, kind
):
    trainer = make_trainer(kind)
    x, y, weights = masked_lm_batch()
    path = tmp_path / "best.keras"
    trainer.fit(
        x,
        y,
        sample_weight=weights,
        verbose=0,
        callbacks=[keras.callbacks.ModelCheckpoint(path)],
    )
    again = keras.saving.load_model(path)
    trained = trainer.trained_model()
    assert type(again) is kd.BertMaskedLM
    assert again.config == trained.config
    pairs = zip(again.get_weights(), trained.get_weights(), strict=True)
    for mine, theirs in pairs:
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(
        again(x)["logits"], trained(x, training=False)["logits"]
    )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_an_export_is_of_the_trained_model(make_trainer, tmp_path):
    import tensorflow as tf

    trainer = make_trainer("Distiller")
    trainer.export(tmp_path / "exported", verbose=False)
    x, _, _ = masked_lm_batch()
    x = {name: np.asarray(values, "int32") for name, values in x.items()}
    exported = tf.saved_model.load(tmp_path / "exported")
    served = exported.serve(x)
    expected = trainer.student(x, training=False)
    np.testing.assert_allclose(served["logits"], expected["logits"], atol=1e-6)
    for index, states in enumerate(expected["hidden_states"]):
        np.testing.assert_allclose(
            served[f"hidden_states_{index}"], states, atol=1e-6
        )
