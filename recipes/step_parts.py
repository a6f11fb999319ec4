"""What explains a step of `benchmark_step.py`: its parts, and its limit.

Not a recipe. The parts are truncated steps of `keras_kd.Distiller`; the limit
is what the step's matrix products take when each is run alone.
"""

import dataclasses

from step_peers import compiled_distiller

# Vocabulary rows at a time, and what its size is rounded up to, about as in
# keras_kd's losses.
CHUNK_ROWS = {"cpu": 512, "cuda": 4096}
WIDTH_MULTIPLE = {"cpu": 1, "cuda": 128}
PARTS = ("teacher", "student", "vocabulary rows", "optimizer")


@dataclasses.dataclass(frozen=True)
class Product:
    """`batch` times (m, k) @ (k, n), `count` times in a step.

    Args:
        part: Str, one of `PARTS`.
        m: Int. Rows of the outcome.
        k: Int. What is summed over.
        n: Int. Columns of the outcome.
        transposed: Str. "a" or "b" where that side is stored so; else "".
        batch: Int.
        count: Float.
    """

    part: str
    m: int
    k: int
    n: int
    transposed: str = ""
    batch: int = 1
    count: float = 1

    @property
    def shape(self):
        """What is measured: one product, wherever in the step it stands."""
        return self.batch, self.m, self.k, self.n, self.transposed

    @property
    def name(self):
        """The shape in words."""
        a, b = ("T" if self.transposed == side else "" for side in "ab")
        times = f"{self.batch} of " if self.batch > 1 else ""
        return f"{times}{self.m}x{self.k}{a} @ {self.k}x{self.n}{b}"

    @property
    def flops(self):
        """Floating-point operations in a step."""
        return 2 * self.batch * self.m * self.k * self.n * self.count


def step_products(size, rows, device="cpu"):
    """The matrix products of a distillation step.

    Teacher forward; student forward and backward; and `rows` rows that go
    through the heads and the vocabulary: the teacher's logits, the student's,
    and its two gradients. What a candidate computes beyond that is not work
    done. The masked-LM rows are among these rows.

    Args:
        size: `Size`.
        rows: Int. Rows of the soft targets.
        device: Str, of `CHUNK_ROWS`.

    Returns:
        List of `Product`.
    """
    width, inner, length = (
        size.hidden_dim,
        size.intermediate_dim,
        size.block_length,
    )
    tokens, heads = size.tokens, size.batch_size * size.num_heads
    head_width = width // size.num_heads

    def product(part, m, k, n, count=1, batch=1, trained=False):
        found = [Product(part, m, k, n, "", batch, count)]
        if trained:
            found.append(Product(part, m, n, k, "b", batch, count))
            found.append(Product(part, k, m, n, "a", batch, count))
        return found

    def encoder(part, layers, trained):
        return [
            *product(part, tokens, width, width, 4 * layers, 1, trained),
            *product(part, tokens, width, inner, layers, 1, trained),
            *product(part, tokens, inner, width, layers, 1, trained),
            *product(part, length, head_width, length, layers, heads, trained),
            *product(part, length, length, head_width, layers, heads, trained),
        ]

    part, multiple = "vocabulary rows", WIDTH_MULTIPLE[device]
    vocabulary = -(-size.vocabulary_size // multiple) * multiple
    chunk = min(CHUNK_ROWS[device], rows)
    chunks = rows / chunk
    return [
        *encoder("teacher", size.teacher_layers, trained=False),
        *encoder("student", size.student_layers, trained=True),
        *product(part, rows, width, width),
        *product(part, rows, width, width, trained=True),
        Product(part, chunk, width, vocabulary, "b", count=2 * chunks),
        Product(part, chunk, vocabulary, width, count=chunks),
        Product(part, vocabulary, chunk, width, "a", count=chunks),
    ]


def make_parts(size, rows, precision, seed):
    """Truncated steps of `keras_kd.Distiller`, as plain graphs.

    What a part needs of the others was computed before and stays fixed: the
    student learns from the teacher's states by the hidden-state term alone;
    the vocabulary's rows begin at both models' states and end at their
    gradients; the optimizer gets fixed gradients.
    """
    import keras_kd as kd
    import tensorflow as tf

    distiller, batch = compiled_distiller(size, rows, precision, seed, False)
    x, labels, weights = tf.nest.map_structure(tf.constant, batch)
    teacher, student = distiller.teacher, distiller.student
    names = [name for name in distiller.loss_terms if name != "hidden_state"]
    in_pass = kd.Distiller(
        teacher,
        student,
        {name: distiller.loss_terms[name] for name in names},
        {name: float(distiller.loss_weights[name]) for name in names},
    )
    in_pass.compile(jit_compile=False)
    cosine = kd.HiddenStateCosine()

    @tf.function
    def teacher_states(x):
        return teacher.backbone(x, training=False)["hidden_states"][-1]

    @tf.function
    def student_step(x, target):
        with tf.GradientTape() as tape:
            states = student.backbone(x, training=True)["hidden_states"][-1]
            loss = cosine(target, states)
        return tape.gradient(loss, student.backbone.trainable_variables)

    @tf.function
    def rows_step(target, states):
        batch = in_pass.make_batch(x, labels, weights, training=True)
        theirs, ours = {"hidden_states": [target]}, {"hidden_states": [states]}
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss, _ = in_pass.add_up(batch, theirs, ours)
        return tape.gradient(loss, [states, *student.head.trainable_variables])

    variables = distiller.trainable_variables
    distiller.optimizer.build(variables)

    @tf.function
    def update(gradients):
        distiller.optimizer.apply(gradients, variables)

    target = teacher_states(x)
    states = student.backbone(x)["hidden_states"][-1]
    gradients = [1e-3 * tf.random.normal(v.shape, seed=seed) for v in variables]

    def repeat(function, *arguments):
        def run(steps):
            for _ in range(steps):
                function(*arguments)

        return run

    return {
        "teacher": repeat(teacher_states, x),
        "student": repeat(student_step, x, target),
        "vocabulary rows": repeat(rows_step, target, states),
        "optimizer": repeat(update, gradients),
    }


def make_peak(products, precisions, seed):
    """The matrix products of a step, each alone, as TensorFlow graphs.

    Args:
        products: List of pairs of a `Product`'s name and shape.
        precisions: List of dtypes.
        seed: Int.
    """
    import keras_kd  # noqa: F401  (a quiet TensorFlow)
    import tensorflow as tf

    def make(dtype, batch, m, k, n, transposed):
        a, b = (
            tf.cast(tf.random.normal(shape, seed=seed), dtype)
            for shape in (
                [batch, k, m] if transposed == "a" else [batch, m, k],
                [batch, n, k] if transposed == "b" else [batch, k, n],
            )
        )
        if batch == 1:
            a, b = a[0], b[0]

        @tf.function
        def multiply(a, b):
            return tf.matmul(
                a,
                b,
                transpose_a=transposed == "a",
                transpose_b=transposed == "b",
            )

        def run(steps):
            for _ in range(steps):
                multiply(a, b)

        return run

    return {
        f"{dtype} {name}": make(dtype, *shape)
        for dtype in precisions
        for name, shape in products
    }


def make_torch_peak(products, precisions, seed, device):
    """Likewise on a GPU, in PyTorch: cuBLAS, whatever the candidates use."""
    import torch

    torch.manual_seed(seed)

    def make(dtype, batch, m, k, n, transposed):
        a, b = (
            torch.randn(shape, device=device, dtype=getattr(torch, dtype))
            for shape in (
                [batch, k, m] if transposed == "a" else [batch, m, k],
                [batch, n, k] if transposed == "b" else [batch, k, n],
            )
        )
        if batch == 1:
            a, b = a[0], b[0]
        a = a.mT if transposed == "a" else a
        b = b.mT if transposed == "b" else b

        def run(steps):
            for _ in range(steps):
                torch.matmul(a, b)
            if device == "cuda":
                torch.cuda.synchronize()

        return run

    return {
        f"{dtype} {name}": make(dtype, *shape)
        for dtype in precisions
        for name, shape in products
    }
