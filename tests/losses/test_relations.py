import keras_kd as kd
import keras
import numpy as np
import pytest

MASK = np.array([[1] * 5, [1, 1, 1, 0, 0]])
BATCH = {"x": {"padding_mask": MASK}}
X = {
    "token_ids": np.arange(10).reshape(2, 5),
    "padding_mask": MASK,
}
NAMES = ("queries", "keys", "values")


def relation(first, second, mask):
    """softmax(first · secondᵀ / √d) over real tokens, head by head, float64."""
    first, second = (np.asarray(a, "float64") for a in (first, second))
    batch, length, heads, width = first.shape
    found = np.zeros((batch, heads, length, length))
    for b in range(batch):
        real = mask[b].sum()
        for h in range(heads):
            logits = first[b, :, h] @ second[b, :real, h].T / np.sqrt(width)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            found[b, h, :, :real] = weights / weights.sum(-1, keepdims=True)
    return found


def mean_kl(p, q, mask):
    """KL over real tokens, mean over heads and real rows; p, q (B, R, T, T)."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    rows = (p * np.log(ratio)).sum(-1).mean(1)
    return (rows * mask).sum() / mask.sum()


def split(a, heads):
    return np.asarray(a).reshape(*a.shape[:2], heads, -1)


@pytest.fixture
def draw():
    random = np.random.default_rng(0)

    def draw(layers, heads, width):
        """Random queries, keys and values of some layers."""
        shape = layers, 2, 5, heads, width
        return {n: list(random.normal(size=shape)) for n in NAMES}

    return draw


def configs(**changes):
    """A teacher's config, 4 layers of width 8, and a student's of 2.

    Both start wide apart: attention that is nearly even everywhere would
    leave a KL of rounding errors.
    """
    teacher = kd.BertConfig(30, 4, 8, 2, dropout=0.0, initializer_range=0.3)
    return teacher, teacher.with_layers(2, **changes)


def two_tokens(first, second):
    """One sequence of two tokens, one head, one number each."""
    return [np.array([first, second], "float32").reshape(1, 2, 1, 1)]


REAL = {"x": {"padding_mask": np.ones((1, 2), int)}}


def test_attention_of_two_tokens_by_hand():
    # Rows of the teacher: (3/4, 1/4) and (1/2, 1/2); student: (1/2, 1/2).
    teacher = {
        "queries": two_tokens(np.log(3.0), 0.0),
        "keys": two_tokens(1.0, 0.0),
    }
    student = {"queries": two_tokens(0.0, 0.0), "keys": two_tokens(1.0, 0.0)}
    value = kd.AttentionTerm().compute(REAL, teacher, student)
    row = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    np.testing.assert_allclose(value, row / 2, rtol=1e-6)


def test_relations_of_two_tokens_by_hand_add_up():
    teacher = {name: two_tokens(np.log(3.0) ** 0.5, 0.0) for name in NAMES}
    student = {name: two_tokens(0.0, 0.0) for name in NAMES}
    row = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    for count in (1, 2, 3):
        term = kd.RelationTerm(1, NAMES[:count])
        value = term.compute(REAL, teacher, student)
        np.testing.assert_allclose(value, count * row / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer_map", "pairs"),
    [
        ("last", [(3, 1)]),
        ("uniform", [(1, 0), (3, 1)]),
        ([(0, 1), (2, 0), (2, 1)], [(0, 1), (2, 0), (2, 1)]),
    ],
)
def test_attention_is_the_float64_formula(draw, layer_map, pairs):
    teacher, student = draw(4, 2, 4), draw(2, 2, 3)
    value = kd.AttentionTerm(layer_map).compute(BATCH, teacher, student)
    expected = np.mean(
        [
            mean_kl(
                relation(teacher["queries"][t], teacher["keys"][t], MASK),
                relation(student["queries"][s], student["keys"][s], MASK),
                MASK,
            )
            for t, s in pairs
        ]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("num_relation_heads", [None, 1, 4, 6])
@pytest.mark.parametrize("teacher_layer", ["last", 1])
@pytest.mark.parametrize("relations", [NAMES, ("values",)])
def test_relations_are_the_float64_formula(
    draw, num_relation_heads, teacher_layer, relations
):
    # Widths 24 and 12, heads 2 and 3.
    teacher, student = draw(4, 2, 12), draw(2, 3, 4)
    term = kd.RelationTerm(num_relation_heads, relations, teacher_layer)
    value = term.compute(BATCH, teacher, student)
    heads = num_relation_heads or 2
    index = 3 if teacher_layer == "last" else teacher_layer
    expected = 0.0
    for name in relations:
        a = split(teacher[name][index], heads)
        b = split(student[name][-1], heads)
        p, q = relation(a, a, MASK), relation(b, b, MASK)
        expected += mean_kl(p, q, MASK)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_attention_is_that_of_the_models():
    theirs, ours = configs(hidden_dim=6)
    teacher, student = (
        kd.BertBackbone(config, seed).observing(
            ("attention_scores", *kd.AttentionTerm.observed)
        )(X)
        for config, seed in ((theirs, 0), (ours, 1))
    )
    value = kd.AttentionTerm("uniform").compute(BATCH, teacher, student)
    scores = [
        [np.asarray(a, "float64") for a in outputs["attention_scores"]]
        for outputs in (teacher, student)
    ]
    expected = np.mean(
        [mean_kl(scores[0][t], scores[1][s], MASK) for t, s in [(1, 0), (3, 1)]]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-4)


TERMS = [
    kd.AttentionTerm("uniform"),
    kd.RelationTerm(),
    kd.RelationTerm(4, ("keys",), teacher_layer=3),
]


@pytest.mark.parametrize("term", TERMS)
def test_it_is_zero_when_the_student_is_the_teacher(term):
    config, _ = configs()
    teacher, student = (kd.BertBackbone(config, seed=s) for s in (0, 1))
    observed = [model.observing(term.observed) for model in (teacher, student)]
    before = term.compute(BATCH, *(model(X) for model in observed))
    student.set_weights(teacher.get_weights())
    after = term.compute(BATCH, *(model(X) for model in observed))
    assert float(before) > 0.01
    np.testing.assert_allclose(after, 0.0, atol=1e-7)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_student_sure_and_wrong_has_a_gradient(
    value_and_gradients, jit_compile
):
    # Logits (1000, -1000) and (-1000, 1000) in both rows: KL 2000, and its
    # gradient by the student's logits (-1, 1), halved by the mean over rows.
    teacher = {"queries": two_tokens(10, 10), "keys": two_tokens(100, -100)}

    def value(keys):
        student = {"queries": two_tokens(10, 10), "keys": [keys]}
        return kd.AttentionTerm().compute(REAL, teacher, student)

    wrong = two_tokens(-100, 100)
    found, (gradient,) = value_and_gradients(value, wrong, jit_compile)
    np.testing.assert_allclose(found, 2000.0, rtol=1e-6)
    np.testing.assert_allclose(np.ravel(gradient), [-10.0, 10.0], rtol=1e-6)


def test_a_wrong_relation_has_a_gradient(value_and_gradients):
    # The student's first token looks at the second, the teacher's at itself:
    # logits (400, 0) and (1, 50), (0, 0) and (50, 2500).
    teacher = {"values": two_tokens(20, 0)}

    def value(values):
        term = kd.RelationTerm(1, ("values",))
        return term.compute(REAL, teacher, {"values": [values]})

    found, (gradient,) = value_and_gradients(value, two_tokens(1, 50))
    # Row 0: 49. Row 1, from (1/2, 1/2): 2450 / 2 - ln 2. Mean of both.
    np.testing.assert_allclose(found, (49 + 1225 - np.log(2)) / 2, rtol=1e-6)
    # By logits: row 0 (-1, 1), row 1 (-1/2, 1/2); logits are a², ab, ba, b².
    by_first = (-2 * 1 + 50 - 50 / 2) / 2
    by_second = (1 - 1 / 2 + 50) / 2
    np.testing.assert_allclose(
        np.ravel(gradient), [by_first, by_second], rtol=1e-5
    )


def last_layer(term, batch, teacher, value_and_gradients, student):
    """Value and gradients by the student's last layer's projections."""

    def value(*arrays):
        student = {n: [a] for n, a in zip(term.observed, arrays, strict=True)}
        return term.compute(batch, teacher, student)

    inputs = [student[n][-1].astype("float32") for n in term.observed]
    found, gradients = value_and_gradients(value, inputs)
    return float(found), [np.asarray(g) for g in gradients]


@pytest.mark.parametrize("term", [kd.AttentionTerm(), *TERMS[1:]])
def test_padding_does_not_count(draw, value_and_gradients, term):
    teacher, student = draw(4, 2, 4), draw(1, 2, 4)

    def spoil(outputs):
        padded = MASK[..., None, None] == 0
        return {
            name: [np.where(padded, 99.0, a) for a in layers]
            for name, layers in outputs.items()
        }

    found, gradients = last_layer(
        term, BATCH, teacher, value_and_gradients, student
    )
    same, same_gradients = last_layer(
        term, BATCH, spoil(teacher), value_and_gradients, spoil(student)
    )
    assert found > 0.01
    np.testing.assert_allclose(found, same, rtol=1e-6)
    for a, b in zip(gradients, same_gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert not a[MASK == 0].any()
        assert a[MASK == 1].any()


@pytest.mark.parametrize("term", [kd.AttentionTerm(), *TERMS[1:]])
def test_a_sequence_without_a_real_token_counts_nothing(
    draw, value_and_gradients, term
):
    teacher, student = draw(4, 2, 4), draw(1, 2, 4)

    def first_alone(outputs):
        return {n: [a[:1] for a in layers] for n, layers in outputs.items()}

    mask = np.array([[1] * 5, [0] * 5])
    found, gradients = last_layer(
        term,
        {"x": {"padding_mask": mask}},
        teacher,
        value_and_gradients,
        student,
    )
    alone, gradients_alone = last_layer(
        term,
        {"x": {"padding_mask": mask[:1]}},
        first_alone(teacher),
        value_and_gradients,
        first_alone(student),
    )
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    for a, b in zip(gradients, gradients_alone, strict=True):
        np.testing.assert_allclose(a[:1], b, rtol=1e-5, atol=1e-8)
        assert not a[1].any()
    nothing, gradients = last_layer(
        term,
        {"x": {"padding_mask": 0 * mask}},
        teacher,
        value_and_gradients,
        student,
    )
    assert nothing == 0.0
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize("term", TERMS)
def test_a_step_down_the_gradient_teaches_the_student(
    value_and_gradients, term
):
    theirs, ours = configs(hidden_dim=12)
    term.build_for(theirs, ours)
    teacher, student = kd.BertBackbone(theirs, 0), kd.BertBackbone(ours, 1)
    goal = teacher.observing(term.observed)(X)
    observing = student.observing(term.observed)
    kernels = [
        layer.kernel
        for encoder_layer in student.encoder_layers
        for layer in (encoder_layer.query, encoder_layer.key)
    ]
    if term.observed == ("keys",):  # the last layer's queries are not seen
        kernels = [kernels[0], kernels[1], kernels[3]]

    def value():
        return term.compute(BATCH, goal, observing(X))

    before, gradients = value_and_gradients(value, kernels)
    squared = sum((np.asarray(g, "float64") ** 2).sum() for g in gradients)
    rate = 0.01 * float(before) / squared
    for kernel, gradient in zip(kernels, gradients, strict=True):
        assert np.abs(gradient).max() > 0
        kernel.assign(kernel - rate * gradient)
    after, _ = value_and_gradients(value, kernels)
    np.testing.assert_allclose(before - after, rate * squared, rtol=0.1)


def test_half_precision_is_compared_in_float32(draw):
    teacher, student = draw(1, 2, 4), draw(1, 2, 4)
    half = {
        n: [keras.ops.cast(30 * a, "float16") for a in layers]
        for n, layers in student.items()
    }
    single = {
        n: [np.asarray(a, "float32") for a in layers]
        for n, layers in half.items()
    }
    for term in (kd.AttentionTerm(), kd.RelationTerm(1)):
        np.testing.assert_allclose(
            term.compute(BATCH, teacher, half),
            term.compute(BATCH, teacher, single),
            rtol=1e-6,
        )


@pytest.mark.parametrize(
    ("term", "changes", "message"),
    [
        (
            kd.AttentionTerm(),
            {"num_heads": 4},
            "teacher's `num_heads`.*`RelationTerm`.*Expected: 2. Received: 4",
        ),
        (kd.AttentionTerm([(-1, -1)]), {}, r"`layer_map` must be.*\[0, 4\)"),
        (
            kd.RelationTerm(4),
            {"hidden_dim": 6},
            "`num_relation_heads` must divide.*8 and 6. Received: 4",
        ),
        (kd.RelationTerm(0), {}, "`num_relation_heads` must.*Received: 0"),
        (
            kd.RelationTerm(teacher_layer=4),
            {},
            r"`teacher_layer` must be 'last' or in \[0, 4\). Received: 4",
        ),
        (kd.RelationTerm(teacher_layer=-1), {}, "must be 'last'.*Received: -1"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(term, changes, message):
    with pytest.raises(ValueError, match=message):
        term.build_for(*configs(**changes))


def test_any_width_and_number_of_heads_may_learn_relations():
    theirs, ours = configs(hidden_dim=12, num_heads=3)
    kd.RelationTerm(4).build_for(theirs, ours)
    kd.RelationTerm().build_for(theirs, ours)


@pytest.mark.parametrize("relations", [(), ("queries", "scores"), "keys"])
def test_a_relation_that_is_not_there_is_refused(relations):
    with pytest.raises(ValueError, match="`relations` must be one or more"):
        kd.RelationTerm(relations=relations)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (kd.AttentionTerm, {"layer_map": [[3, 1]]}),
        (
            kd.RelationTerm,
            {
                "num_relation_heads": 6,
                "relations": ("keys", "values"),
                "teacher_layer": 2,
            },
        ),
    ],
)
def test_the_config_comes_back(kind, arguments):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(kind(**arguments))
    )
    assert {name: getattr(again, name) for name in arguments} == arguments
