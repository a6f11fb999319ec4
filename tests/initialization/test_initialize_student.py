import keras_kd as kd
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, seed=0).take(2)


@pytest.fixture
def teacher(tiny_config):
    return kd.BertMaskedLM(tiny_config.with_layers(4), seed=0)


def make(teacher, rate=1e-2):
    student = kd.BertMaskedLM(teacher.config.with_layers(2), seed=1)
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile(keras.optimizers.SGD(rate), jit_compile=JIT)
    return distiller


def begin(distiller, start):
    """What `fit` does with a callback before the first step."""
    start.set_model(distiller)
    start.on_train_begin()


def kernel(model, layer):
    return model.backbone.encoder_layers[layer].query.get_weights()[0]


def test_the_student_starts_from_the_teachers_layers(teacher, batches):
    distiller = make(teacher, rate=0.0)
    distiller.fit(
        batches, callbacks=[kd.InitializeStudent("every_other")], verbose=0
    )
    for ours, theirs in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(
            kernel(distiller.student, ours), kernel(teacher, theirs)
        )


@pytest.mark.slow
@pytest.mark.parametrize("num_segments", [2, 0])
def test_frozen_positions_stay_as_they_were_copied(
    teacher, batches, num_segments
):
    config = teacher.config.with_layers(2, num_segments=num_segments)
    student = kd.BertMaskedLM(config, seed=1)
    student.backbone.embeddings.position_embedding.trainable = False
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile(
        kd.distilbert_optimizer(2, 1e-2, warmup_share=0, weight_decay=0.1),
        jit_compile=JIT,
    )
    start = kd.InitializeStudent("first")
    distiller.fit(batches, callbacks=[start], verbose=0)
    theirs, ours = (
        {name: v.numpy() for name, v in model.named_variables().items()}
        for model in (teacher, student)
    )
    expected = theirs["embeddings/position/embeddings"]
    if num_segments == 0:  # segment 0 is folded in
        expected = expected + theirs["embeddings/segment/embeddings"][0]
    found = ours["embeddings/position/embeddings"]
    np.testing.assert_array_equal(found, expected)
    for name in ("embeddings/token/embeddings", "embeddings/norm/gamma"):
        assert (ours[name] != theirs[name]).any()


@pytest.mark.slow
def test_a_later_fit_and_a_recompile_keep_what_was_learned(teacher, batches):
    distiller = make(teacher)
    start = [kd.InitializeStudent("first")]
    distiller.fit(batches, callbacks=start, verbose=0)
    learned = kernel(distiller.student, 0)
    assert (learned != kernel(teacher, 0)).any()
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=JIT)
    assert int(distiller.optimizer.iterations) == 0
    distiller.fit(batches, callbacks=start, verbose=0)
    np.testing.assert_array_equal(kernel(distiller.student, 0), learned)
    again = [kd.InitializeStudent("last")]
    distiller.fit(batches, callbacks=again, verbose=0)
    np.testing.assert_array_equal(kernel(distiller.student, 0), learned)


@pytest.mark.slow
@pytest.mark.parametrize("backup_first", [True, False])
def test_a_resumed_run_keeps_its_weights(
    teacher, batches, tmp_path, backup_first
):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append((epoch, kernel(self.model.student, 0)))

    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        pair = [backup, kd.InitializeStudent("first")]
        return pair if backup_first else pair[::-1]

    distiller = make(teacher)
    with pytest.raises(KeyboardInterrupt):
        distiller.fit(
            batches, epochs=2, callbacks=[*callbacks(), Stop()], verbose=0
        )
    learned = kernel(distiller.student, 0)
    assert (learned != kernel(teacher, 0)).any()

    seen = []
    resumed = make(teacher)
    resumed.fit(batches, epochs=2, callbacks=[*callbacks(), Look()], verbose=0)
    ((epoch, found),) = seen
    assert epoch == 1
    np.testing.assert_array_equal(found, learned)


def test_a_plan_may_be_handed_over_whole(teacher):
    distiller = make(teacher)
    plan = kd.make_plan([3, 1], teacher, distiller.student)
    begin(distiller, kd.InitializeStudent(plan))
    np.testing.assert_array_equal(
        kernel(distiller.student, 0), kernel(teacher, 3)
    )


def test_a_wrong_plan_is_refused_before_the_first_step(teacher, batches):
    distiller = make(teacher)
    with pytest.raises(ValueError, match="indices from 0 to 3"):
        distiller.fit(
            batches, callbacks=[kd.InitializeStudent([0, 9])], verbose=0
        )
    assert int(distiller.optimizer.iterations) == 0


def test_only_a_distiller_has_a_student(teacher, batches):
    teacher.compile("sgd", jit_compile=JIT)
    with pytest.raises(ValueError, match="`Distiller`.*BertMaskedLM"):
        teacher.fit(
            batches, callbacks=[kd.InitializeStudent("first")], verbose=0
        )


def test_verbose_prints_the_plan(teacher, capsys):
    begin(make(teacher), kd.InitializeStudent("last", verbose=1))
    assert "last: teacher layers [2, 3]" in capsys.readouterr().out


def test_text_chooses_layers_and_compensates(teacher, store, tokenizer, capsys):
    held_out = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(2)
    distiller = make(teacher)
    start = kd.InitializeStudent(
        "searched", batches=held_out, compensation="average", verbose=1
    )
    begin(distiller, start)
    expected = kd.BertMaskedLM(teacher.config.with_layers(2), seed=2)
    plan = kd.make_plan("searched", teacher, expected, held_out)
    plan = kd.compensate(plan, teacher, method="average")
    plan.apply(teacher, expected)
    for layer in range(2):
        np.testing.assert_array_equal(
            kernel(distiller.student, layer), kernel(expected, layer)
        )
    assert "searched + average" in capsys.readouterr().out
