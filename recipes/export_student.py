"""Exports the model of a run folder, in one format or several.

    uv run recipes/export_student.py --run saved_models/student --to exported
    uv run --extra onnx recipes/export_student.py --formats onnx saved_model
    uv run recipes/export_student.py --formats           (lists the formats)
    uv run recipes/export_student.py --run saved_models/teacher --depths 1 2

Every file is run and compared with Keras before it is kept.
"""

import dataclasses
import json
import pathlib
import sys
import tempfile

from command_line import read_config

import keras_kd as kd
import keras
from keras_kd.export import FORMATS
from rich.console import Console
from rich.table import Table

from run_folder import find_model


@dataclasses.dataclass(frozen=True)
class Config:
    """Exports the model of a run folder.

    Args:
        run: Run folder with student.keras (or teacher.keras), the tokenizer's
            files and metrics.json.
        to: Folder to write; default: `export` in the run folder.
        formats: keras, saved_model, hugging_face, onnx, openvino, litert,
            litert_int8; none lists them.
        depths: Depths that the SavedModel gives too, of the same weights.
        plan: Which layers those are: first, last, every_other, both_ends.
        length: Tokens of a text in LiteRT files.
        corpus: Text whose held-out part litert_int8 is checked on.
        description: How the student was trained, for the model card.
        overwrite: Replace an export that is there.
        push_to: Name on the Hugging Face hub, such as me/my-bert, that the
            hugging_face folder is sent to, as a private model.
    """

    run: str = "saved_models/student"
    to: str | None = None
    formats: tuple[str, ...] = ("keras", "saved_model")
    depths: tuple[int, ...] = ()
    plan: str = "every_other"
    length: int = 64
    corpus: tuple[str, ...] = ("docstrings",)
    description: str = ""
    overwrite: bool = False
    push_to: str | None = None


OPENS_IN = {
    "keras": "Keras, with keras_kd imported",
    "saved_model": "TensorFlow, TensorFlow Serving",
    "hugging_face": "transformers, sentence-transformers",
    "onnx": "ONNX Runtime; extra onnx",
    "openvino": "OpenVINO; extra openvino",
    "litert": "LiteRT; extra litert",
    "litert_int8": "LiteRT, 8-bit weights; extra litert",
}


def main(config):
    """Loads the run and writes the export."""
    if not config.formats:
        table = Table("format", "written", "opens in")
        for name, file in FORMATS.items():
            table.add_row(name, file, OPENS_IN[name])
        Console().print(table)
        return
    if config.push_to and "hugging_face" not in config.formats:
        sys.exit(
            "`--push-to` needs the format hugging_face. "
            f"Received: --formats {' '.join(config.formats)}"
        )
    run = pathlib.Path(config.run)
    found = find_model(run)
    if found is None:
        sys.exit(
            "`--run` must be a run folder with student.keras or "
            f"teacher.keras. Received: {config.run}"
        )
    metrics = run / "metrics.json"
    tokenizer = kd.WordPieceTokenizer.load(run)
    student = keras.saving.load_model(found, compile=False)
    with tempfile.TemporaryDirectory() as folder:
        held_out = None
        if "litert_int8" in config.formats:
            held_out = make_held_out(config, folder, tokenizer)
        try:
            folder = kd.export_student(
                student,
                config.to or run / "export",
                tokenizer,
                metrics=json.loads(metrics.read_text())
                if metrics.exists()
                else {},
                description=config.description,
                overwrite=config.overwrite,
                formats=config.formats,
                depths=[
                    kd.choose_layers(
                        config.plan, student.config.num_layers, depth
                    )
                    for depth in config.depths
                ],
                held_out=held_out,
                length=config.length,
            )
        except (OSError, ValueError, ImportError) as error:
            sys.exit(str(error))
    print(f"Exported to {folder}")
    if config.push_to:
        try:
            print(kd.push_to_hub(folder / "hugging_face", config.push_to))
        except OSError as error:
            sys.exit(f"`--push-to`: {error}")


def make_held_out(config, folder, tokenizer):
    """Masked batches of the corpus's held-out part."""
    store = kd.TokenStore.write(
        pathlib.Path(folder, "held_out"),
        kd.read_documents(config.corpus, "validation"),
        tokenizer,
        config.length,
    )
    size = min(8, len(store))
    return kd.masked_lm_batches(store, tokenizer, size, shuffle=False)


if __name__ == "__main__":
    main(read_config(Config, __doc__))
