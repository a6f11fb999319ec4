"""Trains a LayerDrop teacher by masked LM, on the built-in or your own text.

    uv run recipes/train_teacher.py
    uv run recipes/train_teacher.py --corpus texts/*.txt.gz --run saved_models/t

Leaves in the run folder: teacher.keras, the tokenizer's files, metrics.json
(with the unigram baseline on the same masks), history.csv, TensorBoard logs.
Commands with time, hardware and results: recipes/README.md.
"""

import dataclasses

import keras_kd as kd
import keras

from run_folder import (
    adamw,
    log_callbacks,
    open_run_folder,
    read_config,
    write_json,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a LayerDrop teacher by masked LM.

    Args:
        corpus: "docstrings" (built in), files or globs.
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        tokenizer: vocab.txt, tokenizer.json or a folder; default: trained.
        vocabulary_size: Tokens of a trained vocabulary.
        preset: Size of the teacher: tiny, mini, small, medium, base.
        num_layers: Layers, where other than the preset's.
        layer_drop: Probability of skipping each layer at a step.
        dropout: Dropout in embeddings, attention and blocks.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a step.
        steps: Training steps.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        learning_rate: Highest learning rate of AdamW.
        seed: Of weights, order, masks, LayerDrop.
        jit_compile: XLA; default: where it works.
        smoke: Tiny sizes and a few steps, to see that everything runs.
    """

    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    run: str = "saved_models/teacher"
    overwrite: bool = False
    tokenizer: str | None = None
    vocabulary_size: int = 8000
    preset: str = "mini"
    num_layers: int | None = None
    layer_drop: float = 0.2
    dropout: float = 0.0
    block_length: int = 128
    batch_size: int = 32
    steps: int = 2000
    validations: int = 10
    validation_batches: int = 40
    learning_rate: float = 1e-3
    seed: int = 0
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {
    "preset": "tiny",
    "vocabulary_size": 500,
    "block_length": 32,
    "batch_size": 8,
    "steps": 4,
    "validations": 2,
    "validation_batches": 2,
}


def main(config):
    """Text, tokenizer, blocks, batches; teacher; fit; evaluate; save."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    train, held_out = read_corpora(config)
    jit_compile = config.jit_compile
    if jit_compile is None:
        jit_compile = kd.choose_jit_compile()
    shape = {"num_layers": config.num_layers} if config.num_layers else {}
    kd.BertConfig.from_preset(config.preset, 1)  # a wrong name ends here
    folder = open_run_folder(config)

    if config.tokenizer:
        tokenizer = kd.WordPieceTokenizer.load(config.tokenizer)
    else:
        tokenizer = kd.WordPieceTokenizer.train(train, config.vocabulary_size)
    tokenizer.save(folder)
    stores = {
        name: kd.TokenStore.write(
            folder / "tokens" / name, text, tokenizer, config.block_length
        )
        for name, text in (("train", train), ("held_out", held_out))
    }
    batches = kd.masked_lm_batches(
        stores["train"], tokenizer, config.batch_size, seed=config.seed
    )
    held_out_batches = kd.masked_lm_batches(
        stores["held_out"],
        tokenizer,
        min(config.batch_size, len(stores["held_out"])),
        shuffle=False,
    ).take(config.validation_batches)

    unigram = kd.evaluate_unigram(
        stores["train"].token_counts, tokenizer.special_ids, held_out_batches
    )
    print(
        f"{stores['train'].manifest['tokens']:,} training tokens; unigram "
        f"baseline {unigram['masked_cross_entropy']:.3f} nats; "
        f"XLA {'on' if jit_compile else 'off'}"
    )
    teacher = kd.BertMaskedLM(
        kd.BertConfig.from_preset(
            config.preset,
            tokenizer.vocabulary_size,
            max_sequence_length=config.block_length,
            layer_drop=config.layer_drop,
            dropout=config.dropout,
            **shape,
        ),
        seed=config.seed,
    )
    teacher.compile(
        adamw(config.learning_rate, config.steps), jit_compile=jit_compile
    )
    teacher.fit(
        batches.repeat(),
        steps_per_epoch=config.steps // config.validations,
        epochs=config.validations,
        validation_data=held_out_batches,
        callbacks=log_callbacks(folder),
    )
    teacher.save(folder / "teacher.keras")
    results = {
        "unigram": unigram,
        "teacher": kd.evaluate(teacher, held_out_batches),
    }
    results = kd.compare(results, title="held-out text, fixed masks")
    write_json(folder / "metrics.json", results)
    return results


def read_corpora(config):
    """Training and held-out documents."""
    if config.validation_corpus:
        return (
            kd.read_documents(config.corpus, text_column=config.text_column),
            kd.read_documents(
                config.validation_corpus, text_column=config.text_column
            ),
        )
    return tuple(
        kd.read_documents(config.corpus, split, config.text_column)
        for split in ("train", "validation")
    )


if __name__ == "__main__":
    main(read_config(Config, __doc__))
