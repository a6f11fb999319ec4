"""The tables of the study of initialisations. Not a recipe."""

import csv
import os

RESULT_ROW = (
    "kind",
    "arm",
    "seed",
    "learning_rate",
    "steps",
    "flops",
    "start",
    "final",
    "curve",
)
SUBNETWORK_ROW = ("arm", "seed", "steps", "layers", "search", "test", "kl")


class Table:
    """A CSV file with a header, one row after another, never half a row."""

    def __init__(self, path, columns):
        self.path = path
        self.columns = columns
        self.rows = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def add(self, rows):
        """Appends rows, dicts, and writes the file."""
        self.rows += [{c: str(row[c]) for c in self.columns} for row in rows]
        beside = self.path.with_name(f"{self.path.name}.partial")
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(beside, self.path)

    def find(self, **wanted):
        """The rows that have these values, compared as text."""
        return [
            row
            for row in self.rows
            if all(row[name] == str(value) for name, value in wanted.items())
        ]
