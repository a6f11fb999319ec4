"""The model card: what the exported folder holds and what it is worth."""

_CARD = """\
---
library_name: keras
pipeline_tag: fill-mask
tags: [bert, keras, keras_kd, knowledge-distillation]
---
# {name}

A BERT encoder with {num_layers} layers of width {hidden_dim}, {parameters:,}
parameters, a vocabulary of {vocabulary_size:,} tokens and room for
{max_sequence_length} of them, made with keras_kd. {description}

## Files
| file | opens in |
| --- | --- |
| `student.keras` | Keras: `keras_kd` imported, `keras.saving.load_model` |
| `saved_model/` | TensorFlow; signatures below |
| `vocab.txt`, `tokenizer.json`, `tokenizer_config.json` | Hugging Face \
`tokenizers`, `keras_kd.WordPieceTokenizer.load` |
| `metrics.json` | the figures below |

## Use
```python
import tensorflow as tf
import tensorflow_text  # only for the signatures that take text

model = tf.saved_model.load("saved_model")
filled = model.signatures["fill_mask"](tf.constant(["The [MASK] of a list."]))
print(filled["tokens"][0, 0], filled["scores"][0, 0])
vectors = model.signatures["embed"](tf.constant(["a text", "another"]))
```
`serving_default` takes {inputs} and gives `logits` at `mask_positions`.

## Measured
{measured}

Not tested on Apple Metal.
"""

_FIGURES = ("masked_cross_entropy", "perplexity", "top1", "top5", "teacher_kl")


def model_card(student, metrics, name, description=""):
    """The card's text.

    Args:
        student: `BertMaskedLM`.
        metrics: Dict of model name to the dict of `evaluate`, or None.
        name: Str, the title.
        description: Str, how it was trained.

    Returns:
        Markdown, str.
    """
    config = student.config
    names = [f"`{tensor.name}`" for tensor in student.inputs]
    return _CARD.format(
        name=name,
        description=description,
        parameters=student.count_params(),
        inputs=", ".join(names),
        measured=_table(metrics) if metrics else "Nothing was handed over.",
        num_layers=config.num_layers,
        hidden_dim=config.hidden_dim,
        vocabulary_size=config.vocabulary_size,
        max_sequence_length=config.max_sequence_length,
    )


def _table(metrics):
    lines = [
        "Held-out text, fixed masks; cross-entropy in nats.",
        "",
        "| model | " + " | ".join(_FIGURES) + " |",
        "| --- |" + " --- |" * len(_FIGURES),
    ]
    for name, result in metrics.items():
        cells = [
            f"{result[figure]:.3f}" if figure in result else "-"
            for figure in _FIGURES
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
