"""Exports the student of a run folder: .keras, SavedModel, tokenizer, card.

uv run recipes/export_student.py --run saved_models/student --to exported
"""

import dataclasses
import json
import pathlib
import sys

import keras_kd as kd
import keras

from run_folder import read_config


@dataclasses.dataclass(frozen=True)
class Config:
    """Exports the student of a run folder.

    Args:
        run: Run folder with student.keras, the tokenizer's files and
            metrics.json.
        to: Folder to write; default: `export` in the run folder.
        description: How the student was trained, for the model card.
        overwrite: Replace an export that is there.
    """

    run: str = "saved_models/student"
    to: str | None = None
    description: str = ""
    overwrite: bool = False


def main(config):
    """Loads the run and writes the export."""
    run = pathlib.Path(config.run)
    if not (run / "student.keras").exists():
        sys.exit(
            "`--run` must be a run folder with student.keras. "
            f"Received: {config.run}"
        )
    metrics = run / "metrics.json"
    try:
        folder = kd.export_student(
            keras.saving.load_model(run / "student.keras", compile=False),
            config.to or run / "export",
            kd.WordPieceTokenizer.load(run),
            metrics=json.loads(metrics.read_text()) if metrics.exists() else {},
            description=config.description,
            overwrite=config.overwrite,
        )
    except OSError as error:
        sys.exit(str(error))
    print(f"Exported to {folder}")


if __name__ == "__main__":
    main(read_config(Config, __doc__))
