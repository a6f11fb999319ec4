"""DocumentFilter: leaves out documents that teach nothing, and counts them."""

import hashlib
import itertools

import numpy as np

AT_ONCE = 1000  # documents tokenised together


class DocumentFilter:
    """Documents that are worth learning from, streamed.

    Args:
        documents: Iterable of str.
        shortest: Int. Characters that a document must have at least.
        drop_duplicates: Bool. Whether a text that was there before, to the
            character, is left out: some 60 bytes of memory a document.
        most_unknown: Float in (0, 1] or None. Share of a document's tokens
            that may be unknown; its documents are tokenised once more.
        tokenizer: `WordPieceTokenizer`, for `most_unknown`.

    Attributes:
        counts: Dict of what became of the documents of the last iteration:
            `kept`, `too_short`, `duplicate`, `too_many_unknown`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        documents,
        shortest=0,
        drop_duplicates=False,
        most_unknown=None,
        tokenizer=None,
    ):
        if shortest < 0:
            raise ValueError(
                f"`shortest` must be 0 or more. Received: {shortest}"
            )
        if most_unknown is not None and not 0 < most_unknown <= 1:
            raise ValueError(
                f"`most_unknown` must be in (0, 1]. Received: {most_unknown}"
            )
        if most_unknown is not None and tokenizer is None:
            raise ValueError(
                "`tokenizer` must be given for `most_unknown`. Received: None"
            )
        self.documents = documents
        self.shortest = shortest
        self.drop_duplicates = drop_duplicates
        self.most_unknown = most_unknown
        self.tokenizer = tokenizer
        self.counts = {}

    def __iter__(self):
        names = ("kept", "too_short", "duplicate", "too_many_unknown")
        self.counts = counts = dict.fromkeys(names, 0)
        seen = set()
        documents = iter(self.documents)
        while some := list(itertools.islice(documents, AT_ONCE)):
            for document, unknown in zip(
                some, self.unknown_shares(some), strict=True
            ):
                reason = self.reason(document, unknown, seen)
                counts[reason or "kept"] += 1
                if reason is None:
                    yield document

    def __repr__(self):
        return (
            f"DocumentFilter({self.documents!r}, shortest={self.shortest}, "
            f"drop_duplicates={self.drop_duplicates}, "
            f"most_unknown={self.most_unknown})"
        )

    def unknown_shares(self, documents):
        """Share of unknown tokens of each; zeros where nobody asks."""
        if self.most_unknown is None:
            return [0.0] * len(documents)
        return [
            float(np.mean(ids == self.tokenizer.unknown_id)) if len(ids) else 0
            for ids in self.tokenizer.encode_batch(documents)
        ]

    def reason(self, document, unknown, seen):
        """Why a document is left out; None where it is not."""
        if len(document) < self.shortest:
            return "too_short"
        if self.most_unknown is not None and unknown > self.most_unknown:
            return "too_many_unknown"
        if self.drop_duplicates:
            digest = text_digest(document)
            if digest in seen:
                return "duplicate"
            seen.add(digest)
        return None


def text_digest(document):
    """The same for the same text alone, 8 bytes."""
    return hashlib.blake2b(document.encode("utf-8"), digest_size=8).digest()
