"""A token store by Apache Beam, for corpora beyond one machine.

The same bytes as `TokenStore.write` gives, in another order of work: where a
document's tokens stand among those of all documents is a running sum of
counts, so that documents are tokenised, and shards written, each by itself.
Nothing is emitted at a bundle's end, where Beam on Dask loses it; and all that
was read is counted again where it is judged, tokenised and written.
"""

import itertools
import json
import os
import uuid

import numpy as np
from keras_kd.data.beam_results import check_results, write_results
from keras_kd.data.corpora import Documents
from keras_kd.data.document_filter import (
    AT_ONCE,
    DocumentFilter,
    text_digest,
)
from keras_kd.data.packing import (
    bucket_lengths,
    bucketed,
    chunks,
    frame_running,
    lines_of,
)
from keras_kd.data.shard_files import (
    blocks_in_shard,
    in_order,
    sealed_digest,
    shard_name,
)
from keras_kd.data.store_writer import (
    dtype_of,
    identity,
    write_manifest,
    written_beside,
)
from keras_kd.data.token_store import TokenStore
from keras_kd.extras import import_extra

RESULTS = "results.json"
LOCAL_RUNNER = "FnApiRunner"  # DirectRunner would download another first


def write_store_with_beam(
    folder,
    documents,
    tokenizer,
    block_length,
    line_by_line=False,
    pipeline_options=(),
):
    """Makes a token store on a runner of Apache Beam.

    The files are those that `TokenStore.write` writes of the same documents,
    byte by byte. Each source of the documents (each file) is read by one
    worker, so a large corpus should lie in many files.

    Args:
        folder: Str or path, one that all workers see. A store that is there
            already is replaced once the new one is whole.
        documents: What `read_documents` gives, or a `DocumentFilter` of it,
            whose `counts` are set; or an iterable of str that can be pickled.
        tokenizer: `WordPieceTokenizer`.
        block_length: Int (T), at least 8.
        line_by_line: Bool. Whether each line is a sequence of its own.
        pipeline_options: List of str, Beam's own flags, such as
            ["--runner=FlinkRunner", "--flink_master=..."]. Where they name no
            runner: FnApiRunner, on this machine.

    Returns:
        The `TokenStore`.

    Raises:
        ImportError: If Beam is not installed: the extra `beam`.
        ValueError: As `TokenStore.write`; if standard input is a source.
        RuntimeError: If the runner is not there, loses documents, or fails.
    """
    beam = import_extra("apache_beam", "beam")
    options = import_extra("apache_beam.options.pipeline_options", "beam")
    kept = documents
    if not isinstance(documents, DocumentFilter):
        kept = DocumentFilter(documents)
    sources = list(enumerate(sources_of(kept.documents)))
    layout = {"block_length": block_length, "line_by_line": line_by_line}
    flags = options.PipelineOptions(list(pipeline_options))
    standard = flags.view_as(options.StandardOptions)
    standard.runner = standard.runner or LOCAL_RUNNER
    with written_beside(folder, layout) as beside:
        with make_pipeline(beam, flags, standard.runner) as pipeline:
            add_steps(beam, pipeline, sources, kept, tokenizer, layout, beside)
        results = json.loads((beside / RESULTS).read_text("utf-8"))
        (beside / RESULTS).unlink()
        check_results(results, len(sources), layout, standard.runner)
        if isinstance(kept.documents, Documents):
            empty = [int(n) for n, (_, empty) in results["read"] if empty]
            kept.documents.pass_over([kept.documents.sources[n] for n in empty])
        write_manifest(
            beside,
            identity(documents, tokenizer, layout),
            tokenizer,
            np.array(results["counts"], "int64"),
            in_order(results["shards"]),
        )
        names = ("kept", "too_short", "duplicate", "too_many_unknown")
        kept.counts = {n: results["reasons"].get(n, 0) for n in names}
    return TokenStore(folder, verify=False)


def make_pipeline(beam, flags, runner):
    """Beam's `Pipeline`; a RuntimeError where its runner is not there."""
    try:
        return beam.Pipeline(options=flags)
    except (AttributeError, ImportError, ValueError) as error:
        raise RuntimeError(
            "`pipeline_options` must name a runner that is there, by Beam's "
            f"name or by that of its class. Received: {runner}: {error}"
        ) from error


def sources_of(documents):
    """Documents in parts that workers read, a list of iterables of str."""
    if not isinstance(documents, Documents):
        return [documents]
    if any(str(source) == "standard input" for source in documents.sources):
        raise ValueError(
            "`documents` must be of files or datasets, which all workers can "
            "read. Received: standard input"
        )
    return [
        Documents([source], documents.split, documents.text_column, whole=False)
        for source in documents.sources
    ]


def add_steps(beam, pipeline, sources, kept, tokenizer, layout, folder):
    """All that workers do, from sources to shards and results.json.

    Args:
        beam: The module.
        pipeline: Its `Pipeline`.
        sources: List of pairs, number and iterable of str.
        kept: `DocumentFilter`.
        tokenizer: `WordPieceTokenizer`.
        layout: Dict of `block_length` and `line_by_line`.
        folder: `pathlib.Path`, to write in.
    """
    some = (
        pipeline
        | "sources" >> beam.Create(sources)
        | "each by itself" >> beam.Reshuffle()
        | "read" >> beam.FlatMap(read_some)
    )
    judged = some | "judge" >> beam.Map(judge, kept=bare(kept))
    verdicts = judged | "one by one" >> beam.FlatMap(list)
    if kept.drop_duplicates:
        verdicts = (
            verdicts
            | "by digest" >> beam.Map(by_digest)
            | "the same" >> beam.GroupByKey()
            | "first of each" >> beam.FlatMap(first_of)
        )
        judged = (
            verdicts
            | "by place" >> beam.Map(by_place)
            | "neighbours" >> beam.GroupByKey()
            | "in their order" >> beam.MapTuple(lambda _, some: sorted(some))
        )
    kept_some = judged | "kept" >> beam.Map(only_kept)
    rows = kept_some | "tokenise" >> beam.FlatMap(
        encode, tokenizer=tokenizer, layout=layout
    )
    offsets, bases, totals = places_of(beam, rows)
    written = (
        {"rows": rows, "offset": offsets}
        | "rows and where" >> beam.CoGroupByKey()
        | "cut"
        >> beam.FlatMap(
            cut,
            bases=beam.pvalue.AsDict(bases),
            layout=layout,
        )
        | "by shard" >> beam.GroupByKey()
        | "write"
        >> beam.FlatMap(
            write_shard,
            totals=beam.pvalue.AsDict(totals),
            tokenizer=tokenizer,
            layout=layout,
            folder=folder,
        )
    )
    counts = (
        written
        | "their counts" >> beam.MapTuple(lambda name, entry, counts: counts)
        | "all counts" >> beam.CombineGlobally(sum_of).without_defaults()
    )
    reasons = (
        verdicts
        | "why" >> beam.Map(lambda verdict: verdict[2] or "kept")
        | "how often" >> beam.combiners.Count.PerElement()
    )
    _ = (
        pipeline
        | "once" >> beam.Create([folder / RESULTS])
        | "results"
        >> beam.Map(
            write_results,
            shards=beam.pvalue.AsList(
                written
                | "files" >> beam.MapTuple(lambda name, entry, _: (name, entry))
            ),
            counts=beam.pvalue.AsList(counts),
            reasons=beam.pvalue.AsDict(reasons),
            read=beam.pvalue.AsList(
                some | "how many" >> beam.FlatMap(lambda some: some[1])
            ),
            tokenised=beam.pvalue.AsList(
                kept_some | "how many are kept" >> beam.Map(len)
            ),
            sizes=beam.pvalue.AsList(totals),
        )
    )


def places_of(beam, rows):
    """Where rows stand among all of their block length.

    Args:
        beam: The module.
        rows: PCollection as of `encode`.

    Returns:
        Triple of PCollections: offset of each document's rows within its
        source; what comes before each source; how much there is in all.
    """
    placed = (
        rows
        | "how long" >> beam.Map(size_of)
        | "by source" >> beam.GroupByKey()
        | "in order" >> beam.Map(running_sums)
    )
    offsets = placed | "offsets" >> beam.FlatMap(lambda source: source[1])
    by_length = (
        placed
        | "sizes" >> beam.Map(lambda source: source[0])
        | "by length" >> beam.GroupByKey()
    )
    bases = by_length | "bases" >> beam.FlatMap(bases_of)
    totals = by_length | "totals" >> beam.MapTuple(
        lambda length, sizes: (length, sum(size for _, size in sizes))
    )
    return offsets, bases, totals


def bare(kept):
    """A filter without its documents, and without what needs all of them."""
    return DocumentFilter(
        [], kept.shortest, False, kept.most_unknown, kept.tokenizer
    )


def read(numbered):
    """Yields a source's documents, each with its place: (source, number)."""
    source, documents = numbered
    for number, document in enumerate(documents):
        yield (source, number), document


def read_some(numbered):
    """Yields pairs: documents as of `read`, many at once; and how many.

    The last pair alone has the latter, [(source, (number, whether the source
    is an empty file))], the others [].
    """
    source, documents = numbered
    number, pairs = 0, read(numbered)
    while some := list(itertools.islice(pairs, AT_ONCE)):
        number += len(some)
        yield some, []
    is_empty = bool(getattr(documents, "empty_files", ()))
    yield [], [(source, (number, is_empty))]


def judge(read, kept):
    """List of triples: place, document, why it is left out or None."""
    some, _ = read
    unknown = kept.unknown_shares([document for _, document in some])
    return [
        (place, document, kept.reason(document, share, set()))
        for (place, document), share in zip(some, unknown, strict=True)
    ]


def only_kept(verdicts):
    """Those of documents that nothing speaks against, a list."""
    return [verdict for verdict in verdicts if verdict[2] is None]


def by_place(verdict):
    """Keyed so that neighbours in a source come together, `AT_ONCE` of them."""
    source, number = verdict[0]
    return (source, number // AT_ONCE), verdict


def by_digest(verdict):
    """Keyed so that the same texts come together; others come alone."""
    place, document, reason = verdict
    digest = text_digest(document).hex() if reason is None else str(place)
    return digest, verdict


def first_of(same):
    """Yields the verdicts on the same texts: the first one is kept."""
    _, verdicts = same
    verdicts = sorted(verdicts, key=lambda verdict: verdict[0])
    yield verdicts[0]
    for place, document, _ in verdicts[1:]:
        yield place, document, "duplicate"


def encode(some, tokenizer, layout):
    """Yields ((length, source, number), rows): ids, or framed lines."""
    length = layout["block_length"]
    if not layout["line_by_line"]:
        found = tokenizer.encode_batch([document for _, document, _ in some])
        for (place, *_), ids in zip(some, found, strict=True):
            if len(ids):
                yield (length, *place), np.append(ids, tokenizer.sep_id)
        return
    for place, document, _ in some:
        lines = tokenizer.encode_batch(lines_of(document))
        pieces = [piece for ids in lines for piece in chunks(ids, length)]
        for blocks in bucketed(pieces, tokenizer, bucket_lengths(length)):
            yield (blocks.shape[1], *place), blocks


def size_of(keyed):
    """((length, source), (number, size)) of rows."""
    (length, source, number), rows = keyed
    return (length, source), (number, len(rows))


def running_sums(sizes):
    """(length, (source, size)), and ((length, source, number), offset)s."""
    (length, source), numbered = sizes
    offset, offsets = 0, []
    for number, size in sorted(numbered):
        offsets.append(((length, source, number), offset))
        offset += size
    return (length, (source, offset)), offsets


def bases_of(sizes):
    """Yields ((length, source), what comes before it)."""
    length, numbered = sizes
    base = 0
    for source, size in sorted(numbered):
        yield (length, source), base
        base += size


def capacity_of(length, layout):
    """Ids of running text, or rows of lines, in a full shard."""
    blocks = blocks_in_shard(length, TokenStore.SHARD_TOKENS)
    return blocks if layout["line_by_line"] else blocks * (length - 2)


def cut(joined, bases, layout):
    """Yields ((length, shard), (start in it, rows))."""
    (length, source, _), found = joined
    (rows,), (offset,) = found["rows"], found["offset"]
    place, room = bases[length, source] + offset, capacity_of(length, layout)
    while len(rows):
        shard, start = divmod(place, room)
        some, rows = np.split(rows, [room - start])
        yield (length, shard), (start, some)
        place += len(some)


def write_shard(shard, totals, tokenizer, layout, folder):
    """Yields (name, entry of the manifest, counts) of a shard it writes."""
    (length, index), pieces = shard
    rows = [rows for _, rows in sorted(pieces, key=lambda piece: piece[0])]
    blocks = np.concatenate(rows)
    if not layout["line_by_line"]:
        end = index * capacity_of(length, layout) + len(blocks)
        if end == totals[length]:  # the last [SEP] is that of the frame
            blocks = blocks[:-1]
        blocks = frame_running(blocks, tokenizer, length)
    if not len(blocks):
        return
    name = shard_name(length, index)
    beside = folder / f"{name}.{uuid.uuid4().hex}"  # workers may try twice
    beside.write_bytes(blocks.astype(dtype_of(tokenizer)).tobytes())
    digest = sealed_digest(beside)
    os.replace(beside, folder / name)
    entry = {"length": length, "blocks": len(blocks), "digest": digest}
    counts = np.bincount(blocks.ravel(), minlength=tokenizer.vocabulary_size)
    yield name, entry, counts


def sum_of(counts):
    """The sum of arrays; 0 of none."""
    return sum(counts)
