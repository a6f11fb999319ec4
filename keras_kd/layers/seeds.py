"""One seed in, as many different seeds as there are random things out."""

import keras
import numpy as np


def split_seed(seed, count):
    """`count` independent ints from one; where it is None, from Keras's.

    None draws as a layer of Keras without a seed does: differently each time,
    and after `keras.utils.set_random_seed` the same in every process.

    Two Keras initializers with the same seed and shape give the same weights,
    so a layer may not hand its own seed on to its parts.
    """
    if seed is None:
        seed = keras.initializers.RandomNormal().seed
    state = np.random.SeedSequence(seed).generate_state(count)
    return [int(number) & 0x7FFFFFFF for number in state]


class DrawnSeed(keras.random.SeedGenerator):
    """A seed drawn earlier, for randomness inside a branch of `ops.cond`.

    A branch may not advance a generator's state (JAX fails, TensorFlow
    advances it only when the branch is taken): so the seed is drawn outside
    and handed in, as a tensor behind the interface that `keras.random` takes.
    """

    def __init__(self, drawn):  # no state of its own: no super().__init__()
        self.drawn = drawn

    def next(self, ordered=True):
        return self.drawn
