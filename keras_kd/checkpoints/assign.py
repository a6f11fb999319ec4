"""An array into a variable, without copies of a whole vocabulary between."""

import keras
from keras_kd.quiet import import_tensorflow

LARGE = 2**22  # bytes
ALIGNMENT = 64  # bytes, as TensorFlow wants its own memory to be


def assign(variable, values):
    """Sets a Keras variable to an array, which is the variable's from then on.

    On its way through `convert_to_tensor` TensorFlow copies an array twice. A
    large one that lies as TensorFlow's own arrays do is handed over as it is;
    all others are assigned as ever.

    Args:
        variable: `keras.Variable`.
        values: Float32 array of its shape; not to be used again.
    """
    if (
        keras.backend.backend() == "tensorflow"
        and values.nbytes >= LARGE
        and values.flags.c_contiguous
        and values.flags.writeable
        and values.ctypes.data % ALIGNMENT == 0
    ):
        tf = import_tensorflow("A checkpoint")
        values = tf.experimental.dlpack.from_dlpack(values.__dlpack__())
    variable.assign(values)
