import keras_kd as kd
import h5py
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)


@pytest.fixture
def teacher(tiny_config):
    config = tiny_config.with_layers(4, layer_drop=0.5, dropout=0.3)
    return kd.BertMaskedLM(config, seed=0)


def make(teacher, seed=1, losses=None, **compile_arguments):
    config = teacher.config.with_layers(2, dropout=0.0)
    student = kd.BertMaskedLM(config, seed=seed)
    losses = losses or kd.distilbert_losses()
    distiller = kd.Distiller(teacher, student, **losses)
    distiller.compile(
        keras.optimizers.Adam(1e-2),
        **{"jit_compile": JIT, **compile_arguments},
    )
    return distiller


def test_every_term_is_logged_and_the_total_is_their_weighted_sum(
    teacher, batches
):
    distiller = make(teacher)
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    total = (
        5 * logs["soft_target"] + 2 * logs["masked_lm"] + logs["hidden_state"]
    )
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)
    assert set(logs) == {"loss", "soft_target", "masked_lm", "hidden_state"}


@pytest.mark.slow
def test_a_batch_that_is_partly_filled_counts_by_its_tokens(
    teacher, tokenizer, tmp_path
):
    documents = ["the cat sat on the mat and looked at the dog"] * 9
    store = kd.TokenStore.write(tmp_path / "few", documents, tokenizer, 12)
    assert len(store) == 11
    batches = kd.masked_lm_batches(store, tokenizer, 10, shuffle=False)
    distiller = make(teacher)
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    found = kd.evaluate(distiller.student, batches, teacher)
    np.testing.assert_allclose(
        logs["masked_lm"], found["masked_cross_entropy"], rtol=1e-5
    )
    singly = kd.masked_lm_batches(store, tokenizer, 1, shuffle=False)
    singly = distiller.evaluate(singly, return_dict=True, verbose=0)
    for name, value in logs.items():
        np.testing.assert_allclose(value, singly[name], rtol=1e-5)


def test_terms_are_those_of_both_models_in_inference_mode(teacher, batches):
    distiller = make(teacher)
    one = batches.take(1)
    x, ids, weights = next(iter(one))
    models = [
        {**model(x), "head": model.head}
        for model in (teacher, distiller.student)
    ]
    batch = {"x": x, "y": ids, "sample_weight": weights}
    logs = distiller.evaluate(one, return_dict=True, verbose=0)
    for name, term in distiller.loss_terms.items():
        expected = float(term.compute(batch, *models))
        np.testing.assert_allclose(logs[name], expected, rtol=1e-5)


def test_distances_are_zero_when_the_student_is_the_teacher(teacher, batches):
    losses = kd.distilbert_losses()
    student = kd.extract_student(teacher, [0, 1, 2, 3])
    distiller = kd.Distiller(teacher, student, **losses)
    distiller.compile("adam", jit_compile=JIT)
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    np.testing.assert_allclose(logs["soft_target"], 0.0, atol=1e-6)
    np.testing.assert_allclose(logs["hidden_state"], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "jit_compile, steps_per_execution",
    [
        (JIT, 1),
        pytest.param(True, 2, marks=pytest.mark.slow),
        pytest.param(False, 2, marks=pytest.mark.slow),
        pytest.param(True, 1, marks=pytest.mark.slow),
    ],
)
def test_fit_learns_and_leaves_the_teacher_as_it_was(
    teacher, batches, jit_compile, steps_per_execution
):
    before = [value.copy() for value in teacher.get_weights()]
    distiller = make(
        teacher,
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
        weighted_metrics=["sparse_categorical_accuracy"],
    )
    start = distiller.evaluate(batches, return_dict=True, verbose=0)
    history = distiller.fit(
        batches, epochs=4, validation_data=batches, verbose=0
    ).history
    names = {"loss", "soft_target", "masked_lm", "hidden_state"}
    names |= {"sparse_categorical_accuracy"}
    assert set(history) == names | {f"val_{name}" for name in names}
    # The total alone: two random models begin alike, and grow apart as the
    # masked LM teaches one of them.
    assert history["val_loss"][-1] < start["loss"]
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert teacher.trainable
    assert len(teacher.trainable_variables) > 0
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    assert set(logs) == names
    for name in names:
        np.testing.assert_allclose(
            logs[name], history[f"val_{name}"][-1], rtol=1e-4, atol=1e-6
        )


@pytest.mark.slow
def test_xla_and_the_plain_graph_train_alike(teacher, batches):
    losses = [
        make(teacher, jit_compile=jit_compile)
        .fit(batches, epochs=2, verbose=0)
        .history["loss"]
        for jit_compile in (False, True)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_a_step_is_a_step_down_the_gradient_of_the_total(teacher, batches):
    distiller = make(teacher)
    distiller.compile(keras.optimizers.SGD(1e-3), jit_compile=JIT)
    one = batches.take(1)
    before = distiller.evaluate(one, return_dict=True, verbose=0)["loss"]
    variables = distiller.trainable_variables
    start = [v.numpy() for v in variables]
    distiller.fit(one, verbose=0)
    after = distiller.evaluate(one, return_dict=True, verbose=0)["loss"]
    squared = sum(
        (((v.numpy() - s) / 1e-3) ** 2).sum()
        for v, s in zip(variables, start, strict=True)
    )
    np.testing.assert_allclose(before - after, 1e-3 * squared, rtol=0.05)


def test_the_teacher_is_a_variable_but_neither_trained_nor_saved(
    teacher, tmp_path
):
    distiller = make(teacher)
    ids = {id(v) for v in teacher.variables}
    assert ids <= {id(v) for v in distiller.variables}
    assert ids <= {id(v) for v in distiller.non_trainable_variables}
    assert not ids & {id(v) for v in distiller.trainable_variables}
    assert len(distiller.trainable_variables) == len(
        distiller.student.trainable_variables
    )
    distiller.optimizer.build(distiller.trainable_variables)
    distiller.save_weights(tmp_path / "d.weights.h5")
    numbers = 0

    def count(_, item):
        nonlocal numbers
        if isinstance(item, h5py.Dataset) and item.dtype == "float32":
            numbers += item.size

    with h5py.File(tmp_path / "d.weights.h5") as file:
        file.visititems(count)
    student = distiller.student.count_params()
    # Student and Adam's two moments; then weights, rates, a temperature.
    assert 3 * student <= numbers <= 3 * student + 20


@pytest.mark.slow
def test_a_frozen_embedding_stays(teacher, batches):
    distiller = make(teacher)
    positions = distiller.student.backbone.embeddings.position_embedding
    positions.trainable = False
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    before = positions.get_weights()[0]
    distiller.fit(batches.take(2), verbose=0)
    np.testing.assert_array_equal(positions.get_weights()[0], before)


def test_weights_of_terms_act_inside_the_compiled_step(teacher, batches):
    distiller = make(teacher)
    one = batches.take(1)
    first = distiller.evaluate(one, return_dict=True, verbose=0)
    distiller.loss_weights["masked_lm"].assign(0.0)
    second = distiller.evaluate(one, return_dict=True, verbose=0)
    np.testing.assert_allclose(
        first["loss"] - second["loss"], 2 * first["masked_lm"], rtol=1e-4
    )


def test_weights_default_to_one_and_terms_may_be_ones_own(teacher, batches):
    class Length(kd.LossTerm):
        def compute(self, batch, teacher, student):
            return keras.ops.mean(student["hidden_states"][-1] ** 2)

    distiller = make(teacher, losses={"loss_terms": {"length": Length()}})
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    assert set(logs) == {"loss", "length"}
    np.testing.assert_allclose(logs["loss"], logs["length"])
    np.testing.assert_allclose(logs["length"], 1.0, rtol=1e-4)  # LayerNorm


@pytest.mark.slow
def test_a_student_without_segments_learns_from_a_teacher_with(
    teacher, batches
):
    student = kd.extract_student(teacher, [0, 2], num_segments=0)
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile("adam", jit_compile=JIT)
    history = distiller.fit(batches, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary_size": 11}, "teacher's `vocabulary_size`.*Received: 11"),
        ({"hidden_dim": 8}, "teacher's `hidden_dim` to compare.*Received: 8"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(teacher, changes, message):
    student = kd.BertMaskedLM(teacher.config.with_layers(1, **changes))
    terms = kd.distilbert_losses()["loss_terms"].values()
    renamed = {f"term_{i}": term for i, term in enumerate(terms)}
    with pytest.raises(ValueError, match=message):
        kd.Distiller(teacher, student, renamed)


@pytest.mark.slow
def test_a_narrower_student_may_learn_without_hidden_states(teacher, batches):
    config = teacher.config.with_layers(1, hidden_dim=8, dropout=0.0)
    distiller = kd.Distiller(
        teacher, kd.BertMaskedLM(config), **kd.distilbert_losses(alpha_cos=0)
    )
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    history = distiller.fit(batches, epochs=4, verbose=0).history
    assert history["masked_lm"][-1] < history["masked_lm"][0] - 0.1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"masked_lm": 1.0}, "must name each of `loss_terms`"),
        (
            {"soft_target": -1.0, "masked_lm": 1.0, "hidden_state": 1.0},
            "`loss_weights` must be 0 or more",
        ),
        (
            {"soft_target": 1.0, "masked_lm": np.nan, "hidden_state": 1.0},
            "`loss_weights` must be 0 or more, and finite",
        ),
    ],
)
def test_weights_that_do_not_fit_the_terms_are_refused(
    teacher, weights, message
):
    terms = kd.distilbert_losses()["loss_terms"]
    with pytest.raises(ValueError, match=message):
        kd.Distiller(teacher, teacher, terms, weights)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_learns_too(tiny_config, batches, dtype):
    teacher, student = (
        kd.BertMaskedLM(tiny_config.with_layers(depth), seed=0, dtype=dtype)
        for depth in (4, 2)
    )
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    scales = isinstance(
        distiller.optimizer, keras.optimizers.LossScaleOptimizer
    )
    assert scales == (dtype == "mixed_float16")
    history = distiller.fit(batches, epochs=3, verbose=0).history
    assert history["masked_lm"][-1] < history["masked_lm"][0] - 0.1
    assert {v.dtype for v in distiller.trainable_weights} == {"float32"}


@pytest.mark.slow
def test_bfloat16_follows_float32_for_two_hundred_steps(tiny_config, batches):
    losses = []
    for dtype in ("float32", "mixed_bfloat16"):
        teacher, student = (
            kd.BertMaskedLM(tiny_config.with_layers(depth), seed=0, dtype=dtype)
            for depth in (4, 2)
        )
        distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
        distiller.compile(keras.optimizers.Adam(1e-3), jit_compile=JIT)
        history = distiller.fit(
            batches.repeat(), steps_per_epoch=50, epochs=4, verbose=0
        ).history
        losses.append(history["loss"])
    assert losses[0][-1] < 0.9 * losses[0][0]
    np.testing.assert_allclose(*losses, rtol=0.01)


def make_headless(tiny_config, **arguments):
    teacher = kd.BertBackbone(tiny_config.with_layers(3), seed=0)
    student = kd.BertBackbone(tiny_config.with_layers(1), seed=1)
    terms = {"hidden_state": kd.HiddenStateTerm()}
    distiller = kd.Distiller(teacher, student, terms, **arguments)
    distiller.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    return distiller


@pytest.mark.slow
@pytest.mark.parametrize(
    "micro_batches", [1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_encoders_without_heads_learn_each_other_s_states(
    tiny_config, store, tokenizer, micro_batches
):
    distiller = make_headless(tiny_config, micro_batches=micro_batches)
    batches = kd.token_batches(store, tokenizer, 8)
    held_out = kd.token_batches(store, tokenizer, 8, shuffle=False)
    before = kd.evaluate_similarity(
        distiller.student, distiller.teacher, held_out
    )
    logs = distiller.evaluate(held_out, return_dict=True, verbose=0)
    np.testing.assert_allclose(
        logs["hidden_state"], 1 - before["hidden_state_cosine"], atol=1e-5
    )
    history = distiller.fit(batches, epochs=3, verbose=0).history
    assert set(history) == {"loss", "hidden_state"}
    after = kd.evaluate_similarity(
        distiller.student, distiller.teacher, held_out
    )
    gained = after["hidden_state_cosine"] - before["hidden_state_cosine"]
    assert gained > 0.1


def test_a_term_of_the_vocabulary_asks_for_heads(tiny_config):
    model = kd.BertMaskedLM(tiny_config)
    for pair in ((model, model.backbone), (model.backbone, model)):
        with pytest.raises(ValueError, match="masked-LM head.*'soft_target'"):
            kd.Distiller(*pair, **kd.distilbert_losses())


def test_scores_of_a_sigmoid_are_compared_with_their_like(tiny_config):
    teacher = kd.BertRegressor(tiny_config, seed=0, sigmoid=True)
    losses = kd.task_losses(alpha_label=0, regression=True)
    plain = kd.BertRegressor(tiny_config, seed=1)
    with pytest.raises(ValueError, match="`sigmoid`.*Received: False"):
        kd.Distiller(teacher, plain, **losses)
    student = kd.extract_student(teacher, [0])
    assert student.sigmoid
    kd.Distiller(teacher, student, **losses)
    with pytest.raises(ValueError, match="`loss_terms`.*alpha_label=0"):
        kd.Distiller(teacher, student, **kd.task_losses(regression=True))
