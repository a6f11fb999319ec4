"""Beam's store is the local one, byte by byte; each step by hand."""

import pathlib
import sys

import numpy as np
import pytest
from keras_kd.data import beam_pipeline
from keras_kd.data.corpora import read_documents
from keras_kd.data.document_filter import DocumentFilter
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer


@pytest.fixture
def tokenizer(tmp_path):
    """Letters a to y: z is unknown."""
    file = tmp_path / "vocab.txt"
    letters = [chr(code) for code in range(ord("a"), ord("z"))]
    file.write_text("\n".join([*SPECIAL_TOKENS, *letters]), "utf-8")
    return WordPieceTokenizer.load(file)


@pytest.fixture
def corpus(tmp_path, random_documents):
    """Three files; texts that come twice, short ones, unknown ones."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    documents = random_documents(400)
    for index in range(3):
        some = documents[index * 100 : index * 100 + 200]
        some = ["\n".join([text, text[::-1]]) for text in some]
        (folder / f"{index}.txt").write_text("\n\n".join(some), "utf-8")
    return str(folder / "*.txt")


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize(
    "options", [(), ("--direct_running_mode=multi_threading",)]
)
def test_the_same_bytes_as_the_local_way(
    tokenizer, corpus, tmp_path, monkeypatch, caplog, line_by_line, options
):
    pytest.importorskip("apache_beam")
    monkeypatch.setattr(TokenStore, "SHARD_TOKENS", 500)

    def kept():
        documents = read_documents(corpus, "train")
        return DocumentFilter(documents, 20, True, 0.1, tokenizer)

    local, beams = kept(), kept()
    layout = {"block_length": 32, "line_by_line": line_by_line}
    TokenStore.write(tmp_path / "local", local, tokenizer, **layout)
    store = beam_pipeline.write_store_with_beam(
        tmp_path / "beam",
        beams,
        tokenizer,
        **layout,
        pipeline_options=options,
    )
    assert files(tmp_path / "beam") == files(tmp_path / "local")
    assert len(store.manifest["shards"]) > 10
    assert beams.counts == local.counts
    assert min(local.counts.values()) > 5
    for name in ("local", "beam"):
        assert f"{tmp_path / name}: 3.3 % of its tokens are" in caplog.text
    TokenStore(tmp_path / "beam")


@pytest.mark.slow
def test_empty_files_of_a_folder_are_counted(tokenizer, corpus, tmp_path):
    pytest.importorskip("apache_beam")
    folder = pathlib.Path(corpus).parent
    (folder / "void.txt").write_text("\n")
    local, beams = (read_documents(folder, "train") for _ in range(2))
    TokenStore.write(tmp_path / "a", local, tokenizer, 32)
    beam_pipeline.write_store_with_beam(tmp_path / "b", beams, tokenizer, 32)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert beams.empty_files == local.empty_files
    assert [file.path.name for file in local.empty_files] == ["void.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("letters", [0, 3, 5, 6, 29, 30, 31, 60, 66, 90])
def test_few_tokens_and_edges_of_blocks(tokenizer, tmp_path, letters):
    pytest.importorskip("apache_beam")
    documents = [" ".join("a" * letters), ""]
    arguments = documents, tokenizer, 32
    if letters < 6:
        with pytest.raises(ValueError, match="at least 6 tokens"):
            beam_pipeline.write_store_with_beam(tmp_path / "b", *arguments)
        assert not list(tmp_path.glob("b*"))
        return
    TokenStore.write(tmp_path / "a", *arguments)
    beam_pipeline.write_store_with_beam(tmp_path / "b", *arguments)
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.slow
def test_a_damaged_source_is_named_and_nothing_is_left(tokenizer, tmp_path):
    pytest.importorskip("apache_beam")
    (tmp_path / "bad.txt").write_bytes(b"a b c \xff")
    documents = read_documents(str(tmp_path / "bad.txt"))
    with pytest.raises(Exception, match="must be UTF-8.*bad.txt"):
        beam_pipeline.write_store_with_beam(
            tmp_path / "s", documents, tokenizer, 8
        )
    assert not list(tmp_path.glob("s*"))


def test_without_beam_its_extra_is_named(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"apache_beam.*keras-kd\[beam\]"):
        beam_pipeline.write_store_with_beam(tmp_path / "s", [], tokenizer, 8)


def test_what_is_piped_in_is_refused():
    with pytest.raises(ValueError, match="`documents`.*standard input"):
        beam_pipeline.sources_of(read_documents("-"))


def test_sources_are_read_each_by_itself(corpus):
    documents = read_documents(corpus, "train")
    sources = beam_pipeline.sources_of(documents)
    assert len(sources) == 3
    assert [text for source in sources for text in source] == list(documents)
    places = [place for place, _ in beam_pipeline.read((2, sources[2]))]
    assert places == [(2, number) for number in range(len(places))]
    assert beam_pipeline.sources_of(["a", "b"]) == [["a", "b"]]


def test_places_by_hand():
    sums = beam_pipeline.running_sums(((8, 2), [(3, 5), (0, 7), (1, 0)]))
    assert sums == (
        (8, (2, 12)),
        [((8, 2, 0), 0), ((8, 2, 1), 7), ((8, 2, 3), 7)],
    )
    bases = beam_pipeline.bases_of((8, [(2, 12), (0, 4), (1, 10)]))
    assert list(bases) == [((8, 0), 0), ((8, 1), 4), ((8, 2), 14)]


def test_cuts_by_hand(monkeypatch):
    """Shards of two blocks of six ids: rows 10 to 30 stand in three."""
    monkeypatch.setattr(TokenStore, "SHARD_TOKENS", 16)
    found = {"rows": [np.arange(20)], "offset": [6]}
    layout = {"block_length": 8, "line_by_line": False}
    cuts = list(beam_pipeline.cut(((8, 1, 0), found), {(8, 1): 4}, layout))
    assert [(*shard, start) for shard, (start, _) in cuts] == [
        (8, 0, 10),
        (8, 1, 0),
        (8, 2, 0),
    ]
    assert [rows.tolist() for _, (_, rows) in cuts] == [
        [0, 1],
        list(range(2, 14)),
        list(range(14, 20)),
    ]


def test_the_first_of_the_same_texts_is_kept():
    verdicts = [((1, 4), "a", None), ((0, 9), "a", None), ((1, 0), "a", None)]
    found = list(beam_pipeline.first_of(("digest", verdicts)))
    assert found == [
        ((0, 9), "a", None),
        ((1, 0), "a", "duplicate"),
        ((1, 4), "a", "duplicate"),
    ]
    left_out = [((0, 1), "a", "too_short"), ((0, 2), "a", "too_short")]
    keys = {beam_pipeline.by_digest(verdict)[0] for verdict in left_out}
    assert len(keys) == 2


def test_a_shard_that_is_written_twice_is_written_once(tokenizer, tmp_path):
    layout = {"block_length": 8, "line_by_line": False}
    shard = (8, 0), [(3, np.arange(8, 12)), (0, np.arange(5, 8))]
    arguments = {8: 7}, tokenizer, layout, pathlib.Path(tmp_path)
    for _ in range(2):
        ((name, entry, counts),) = beam_pipeline.write_shard(shard, *arguments)
    assert name == "blocks-8-00000.bin"
    assert (entry["length"], entry["blocks"]) == (8, 1)
    assert counts.sum() == 8
    ids = np.fromfile(tmp_path / name, "uint16")
    assert ids.tolist() == [2, *range(5, 11), 3]
    assert len(list(tmp_path.glob("blocks*"))) == 1


def test_documents_are_read_many_at_once_and_counted(monkeypatch):
    monkeypatch.setattr(beam_pipeline, "AT_ONCE", 2)
    found = list(beam_pipeline.read_some((3, ["a", "b", "c"])))
    assert found == [
        ([((3, 0), "a"), ((3, 1), "b")], []),
        ([((3, 2), "c")], []),
        ([], [(3, (3, False))]),
    ]


def test_an_empty_file_among_many_is_passed_over(tmp_path):
    for name, text in (("a", "a b"), ("b", "\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    documents = read_documents(tmp_path)
    found = [
        list(beam_pipeline.read_some(numbered))
        for numbered in enumerate(beam_pipeline.sources_of(documents))
    ]
    assert found[0] == [([((0, 0), "a b")], []), ([], [(0, (1, False))])]
    assert found[1] == [([], [(1, (0, True))])]


def test_no_step_waits_for_a_bundles_end():
    """What is emitted there is lost by Beam on Dask, without a word."""
    source = pathlib.Path(beam_pipeline.__file__).read_text("utf-8")
    assert "BatchElements" not in source and "finish_bundle" not in source


@pytest.mark.parametrize(
    "flags, runner",
    [([], "FnApiRunner"), (["--runner=FlinkRunner"], "FlinkRunner")],
)
def test_a_runner_is_always_named(
    tokenizer, tmp_path, monkeypatch, flags, runner
):
    beam = pytest.importorskip("apache_beam")
    options = pytest.importorskip("apache_beam.options.pipeline_options")
    asked = []

    def pipeline(options):
        asked.append(options)
        raise RuntimeError("no further")

    monkeypatch.setattr(beam, "Pipeline", pipeline)
    with pytest.raises(RuntimeError, match="no further"):
        beam_pipeline.write_store_with_beam(
            tmp_path / "s", ["a"], tokenizer, 8, pipeline_options=flags
        )
    standard = asked[0].view_as(options.StandardOptions)
    assert standard.runner == runner
    assert not list(tmp_path.glob("s*"))


@pytest.mark.parametrize("runner", ["DaskRuner", "no.such.Runner"])
def test_a_runner_that_is_not_there_is_named(tokenizer, tmp_path, runner):
    pytest.importorskip("apache_beam")
    flags = [f"--runner={runner}"]
    with pytest.raises(
        RuntimeError, match=f"`pipeline_options` must name.*Received: {runner}"
    ):
        beam_pipeline.write_store_with_beam(
            tmp_path / "s", ["a"], tokenizer, 8, pipeline_options=flags
        )
    assert not list(tmp_path.glob("s*"))
