"""Shared by all tests: a small tokenizer, gradients, probes that forget."""

import keras_kd as kd
import keras
import pytest
from keras_kd import probes, runtime

SENTENCES = [
    "the cat sat on the mat and looked at the dog",
    "a dog and a cat ran over the hill to the sea",
    "the sea is blue and the hill is green and old",
]


@pytest.fixture(scope="session")
def tokenizer():
    return kd.WordPieceTokenizer.train(SENTENCES * 5, vocabulary_size=80)


@pytest.fixture
def tiny_config(tokenizer):
    return kd.BertConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        max_sequence_length=16,
        dropout=0.0,
    )


@pytest.fixture
def store(tmp_path, tokenizer):
    documents = SENTENCES * 20
    return kd.TokenStore.write(tmp_path / "store", documents, tokenizer, 12)


def pytest_collection_modifyitems(items):
    """Tests of what only TensorFlow has are left out on another backend."""
    if keras.backend.backend() == "tensorflow":
        return
    skip = pytest.mark.skip(reason="of the TensorFlow backend only")
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(skip)


@pytest.fixture
def compiled():
    """`compiled(function, variables, jit_compile)`, on either backend.

    Returns `function`, without arguments, as one traced function that reads
    and writes `variables`: Keras variables, seeds among them.
    """
    return _compiled


def _compiled(function, variables, jit_compile):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=jit_compile)
    import jax

    def pure(values):
        pairs = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=pairs) as scope:
            result = function()
        return result, [scope.get_current_value(v) for v in variables]

    pure = jax.jit(pure) if jit_compile else pure

    def run():
        result, values = pure([v.value for v in variables])
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return result

    return run


@pytest.fixture
def value_and_gradients():
    """`run(function, inputs, jit_compile=False)`, on either backend.

    `inputs` are arrays, given to `function` as tensors, or Keras variables,
    which it reads by itself: `run(lambda: ..., variables)`. Returns the
    scalar and a list of its gradients by each.
    """
    return _value_and_gradients


def _value_and_gradients(function, inputs, jit_compile=False):
    variables = all(isinstance(i, keras.Variable) for i in inputs)
    if keras.backend.backend() == "jax":
        import jax

        def value(tensors):
            if not variables:
                return function(*tensors)
            pairs = zip(inputs, tensors, strict=True)
            with keras.StatelessScope(state_mapping=pairs):
                return function()

        run = jax.value_and_grad(value)
        run = jax.jit(run) if jit_compile else run
        return run([keras.ops.convert_to_tensor(i) for i in inputs])

    import tensorflow as tf

    sources = [i.value if variables else tf.constant(i) for i in inputs]

    def run():
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = function() if variables else function(*sources)
        # Gathers leave IndexedSlices.
        return value, [
            tf.convert_to_tensor(g) for g in tape.gradient(value, sources)
        ]

    return tf.function(run, jit_compile=jit_compile)()


@pytest.fixture
def fresh_probes():
    """Forgets what the probes of a device found, before the test and after."""
    cached = (
        probes.xla_available,
        probes.gradient_matches_cpu,
        probes.draws_follow_seed,
        probes.gpu_has_bfloat16,
        probes.bfloat16_is_faster,
        runtime.say,
    )
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def spoil_the_gpu(monkeypatch):
    """Lets a function change the gradients and the draw that GPU:0 returns."""

    def spoil_by(spoil):
        def spoiled(device, *args, **kwargs):
            outcome = small_step(device, *args, **kwargs)
            return spoil(*outcome) if device == "GPU:0" else outcome

        small_step = probes.small_step
        monkeypatch.setattr(probes, "small_step", spoiled)

    return spoil_by
