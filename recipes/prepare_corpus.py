"""Prepares a corpus once: text to token stores that recipes train on.

    uv run recipes/prepare_corpus.py --corpus "*.txt" --to saved_models/mine
    uv run recipes/train_teacher.py --store saved_models/mine

Leaves in the folder: the tokenizer's files, `train` and `held_out` (token
stores), report.json (what was kept, what was left out and why). The same
command goes on where an interruption left it, and ends with the same bytes.
"""

import dataclasses
import json
import pathlib
import shlex
import sys

from command_line import read_config

import keras_kd as kd
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from run_folder import write_json
from text_batches import read_parts


@dataclasses.dataclass(frozen=True)
class Config:
    """Prepares a corpus once.

    Args:
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet, datasets.
        to: Folder to write.
        tokenizer: Folder with a tokenizer; default: trained on the corpus.
        lowercase: Whether its text is lower-cased, --lowercase or
            --no-lowercase; default: as its files say, else unless its
            vocabulary holds capitals; one that is trained: lower-cased.
        vocabulary_size: Tokens of one that is trained.
        block_length: Tokens in a sequence.
        line_by_line: Make a sequence of each line, of a few lengths, longer
            ones split; else sequences are running text.
        shortest: Characters that a document must have.
        drop_duplicates: Leave out texts that were there before.
        most_unknown: Share of a document's tokens that may be unknown.
        beam: Flags of Apache Beam, as --beam="--runner=FlinkRunner ...", or ""
            for its FnApiRunner on this machine: stores of the same bytes are
            made by its runner, whose workers read a file each. Default: by
            this program.
    """

    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    to: str = "saved_models/stores/docstrings"
    tokenizer: str | None = None
    lowercase: bool | None = None
    vocabulary_size: int = 4000
    block_length: int = 64
    line_by_line: bool = False
    shortest: int = 0
    drop_duplicates: bool = True
    most_unknown: float | None = None
    beam: str | None = None


def main(config):
    """Tokenizer, then a store of each part; the report last."""
    folder = pathlib.Path(config.to)
    check_folder(config, folder)
    try:
        train, held_out = read_parts(config)
    except (OSError, ValueError) as error:
        sys.exit(f"`--corpus`: {error}")
    watched = Watched(train, "words")
    tokenizer = make_tokenizer(config, folder, watched)
    report = {}
    for name, documents, total in (
        ("train", train, watched.number or None),
        ("held_out", held_out, None),
    ):
        kept = kd.DocumentFilter(
            documents
            if config.beam is not None
            else Watched(documents, name, total),
            config.shortest,
            config.drop_duplicates,
            config.most_unknown,
            tokenizer,
        )
        store = write_store(config, folder / name, kept, tokenizer)
        unknown = int(store.token_counts[tokenizer.unknown_id])
        report[name] = {
            **kept.counts,
            "empty_files": len(documents.empty_files),
            "tokens": store.tokens,
            "unknown": unknown / max(1, store.tokens + unknown),
            "blocks": len(store),
        }
    write_json(folder / "report.json", report)
    print_report(report)
    return report


def check_folder(config, folder):
    """Ends the program where the folder is of another corpus, or is done."""
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    path = folder / "config.json"
    if (folder / "report.json").exists():
        sys.exit(
            "`--to` must be a new folder, or one that was interrupted. "
            f"Received: {folder}, which is done"
        )
    if path.exists():
        there = json.loads(path.read_text("utf-8"))
        changed = [n for n in fields if fields[n] != there.get(n)]
        if changed:
            sys.exit(
                "`--to` must be gone on with as it was begun. Received: "
                f"{folder}, with another {', '.join(changed)}"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        sys.exit(
            "`--to` must be a new folder, or one that was interrupted. "
            f"Received: {folder}, which holds something else"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, fields)


def make_tokenizer(config, folder, train):
    """The one that is there, the one that is named, or a new one."""
    if (folder / "vocab.txt").exists():
        return kd.WordPieceTokenizer.load(folder)
    if config.tokenizer:
        tokenizer = kd.load_tokenizer(
            config.tokenizer, lowercase=config.lowercase
        )
    else:
        tokenizer = kd.WordPieceTokenizer.train(
            train, config.vocabulary_size, config.lowercase is not False
        )
    tokenizer.save(folder)
    return tokenizer


class Watched:
    """Documents that are counted on a bar as they go by.

    Args:
        documents: Iterable of str.
        name: Str, what is done with them.
        total: Int or None, how many there are where that is known.
    """

    def __init__(self, documents, name, total=None):
        self.documents = documents
        self.name = name
        self.total = total
        self.number = 0

    def __iter__(self):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} documents"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task(self.name, total=self.total)
            self.number = 0
            for document in self.documents:
                self.number += 1
                if self.number % 100 == 0:
                    progress.update(task, completed=self.number)
                yield document

    def __repr__(self):
        return repr(self.documents)


def write_store(config, path, documents, tokenizer):
    """A store of documents that are watched; one that is there is opened."""
    try:
        if (path / "manifest.json").exists():
            for _ in documents:  # the counts of the report
                pass
            return kd.TokenStore(path)
        layout = config.block_length, config.line_by_line
        if config.beam is not None:
            flags = shlex.split(config.beam)
            return kd.write_store_with_beam(
                path, documents, tokenizer, *layout, flags
            )
        return kd.TokenStore.write(
            path, documents, tokenizer, *layout, resume=True
        )
    except (ImportError, RuntimeError) as error:
        sys.exit(f"`--beam`: {error}")
    except (OSError, ValueError) as error:
        sys.exit(f"`--corpus`: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: the same command goes on from here.")


def print_report(report):
    """A column for each part."""
    table = Table(title="what was prepared")
    table.add_column("")
    for name in report:
        table.add_column(name.replace("_", " "), justify="right")
    for name in report["train"]:
        values = [part[name] for part in report.values()]
        cells = [
            f"{value:.3%}" if isinstance(value, float) else f"{value:,}"
            for value in values
        ]
        table.add_row(name.replace("_", " "), *cells)
    Console().print(table)


if __name__ == "__main__":
    main(read_config(Config, __doc__))
