"""BertTokenClassifier: a class for every token."""

import keras
from keras_kd.models.task_model import NamedClasses


@keras.saving.register_keras_serializable(package="keras_kd")
class BertTokenClassifier(NamedClasses):
    """BERT with a dense layer over each token's last hidden state.

    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        config: `BertConfig`, or its fields as a dict. There is no pooler,
            whatever it says.
        class_names: List of str, such as "O", "B-PER", in the order of their
            ids.
        classifier_dropout: Float in [0, 1), of the states; None for
            `config.dropout`.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, T, C), in float32.

    Raises:
        ValueError: If there is no class, or one twice.
    """

    pooled = False
    per_token = True
