"""digest_of: whether a file is as it was written."""

import hashlib


def digest_of(path):
    """BLAKE2 of a file, read in pieces, as hexadecimal digits.

    Args:
        path: `pathlib.Path`.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
