import dataclasses
import json
import pathlib
import sys

from command_line import read_config

import keras_kd as kd
import numpy as np
import prepare_corpus
import pytest
import train_teacher


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "config.json"
    }


@pytest.fixture
def config(corpus, tmp_path):
    return prepare_corpus.Config(
        corpus=(corpus,),
        to=str(tmp_path / "store"),
        vocabulary_size=500,
        block_length=32,
    )


def test_it_leaves_stores_a_tokenizer_and_a_report(config, tmp_path, capsys):
    report = prepare_corpus.main(config)
    tokenizer = kd.WordPieceTokenizer.load(tmp_path / "store")
    for part in ("train", "held_out"):
        store = kd.TokenStore(tmp_path / "store" / part)
        store.check_tokenizer(tokenizer)
        assert report[part]["tokens"] == store.tokens
        assert report[part]["blocks"] == len(store)
        assert report[part]["kept"] > 0
    written = json.loads((tmp_path / "store" / "report.json").read_text())
    assert written == report
    assert "too many unknown" in capsys.readouterr().out


@pytest.mark.parametrize("lowercase", [None, True, False])
def test_the_case_of_a_tokenizer_is_what_the_flag_says(
    config, tmp_path, lowercase
):
    named = tmp_path / "named"
    named.mkdir()
    tokens = [*kd.WordPieceTokenizer.train(["Aa"], 30).vocabulary, "A"]
    (named / "vocab.txt").write_text("\n".join(tokens) + "\n")
    for tokenizer, taken in ((named, bool(lowercase)), (None, lowercase)):
        (tmp_path / str(tokenizer is None)).mkdir()
        made = prepare_corpus.make_tokenizer(
            dataclasses.replace(
                config,
                tokenizer=tokenizer and str(tokenizer),
                lowercase=lowercase,
            ),
            tmp_path / str(tokenizer is None),
            ["A b"],
        )
        assert made.lowercase is (taken is not False)


@pytest.mark.parametrize("part", [1, 2])
def test_an_interrupted_one_ends_with_the_same_bytes(
    config, tmp_path, monkeypatch, part
):
    prepare_corpus.main(config)
    again = dataclasses.replace(config, to=str(tmp_path / "again"))
    real, calls = kd.TokenStore.write, []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == part:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(kd.TokenStore, "write", interrupted)
        with pytest.raises(SystemExit, match="the same command goes on"):
            prepare_corpus.main(again)
    prepare_corpus.main(again)
    found, expected = files(tmp_path / "again"), files(tmp_path / "store")
    assert found == expected


def test_another_command_does_not_go_on(config, tmp_path):
    folder = tmp_path / "store"
    prepare_corpus.check_folder(config, folder)
    other = dataclasses.replace(config, block_length=16)
    with pytest.raises(SystemExit, match="with another block_length"):
        prepare_corpus.main(other)
    (folder / "report.json").write_text("{}")
    with pytest.raises(SystemExit, match="which is done"):
        prepare_corpus.main(config)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    other = dataclasses.replace(config, to=str(tmp_path / "mine"))
    with pytest.raises(SystemExit, match="which holds something else"):
        prepare_corpus.main(other)


@pytest.mark.slow
def test_beam_leaves_the_same_bytes(config, tmp_path):
    pytest.importorskip("apache_beam")
    prepare_corpus.main(config)
    to = str(tmp_path / "beams")
    prepare_corpus.main(dataclasses.replace(config, to=to, beam=""))
    assert files(tmp_path / "beams") == files(tmp_path / "store")


def test_beam_that_is_not_there_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(SystemExit, match=r"`--beam`.*keras-kd\[beam\]"):
        prepare_corpus.main(dataclasses.replace(config, beam=""))


def test_empty_files_of_a_folder_are_counted(config, corpus, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_bytes(pathlib.Path(corpus).read_bytes())
    for name in ("b.txt", "c.jsonl"):
        (folder / name).write_text("")
    config = dataclasses.replace(config, corpus=(str(folder),))
    report = prepare_corpus.main(config)
    assert report["train"]["empty_files"] == 2
    assert report["held_out"]["empty_files"] == 2


@pytest.mark.parametrize("flags", ["--runner=DaskRunner", "--a=b --c d", ""])
def test_beams_flags_are_one_argument(monkeypatch, flags):
    monkeypatch.setattr("sys.argv", ["recipe.py", f"--beam={flags}"])
    assert read_config(prepare_corpus.Config, "A recipe.").beam == flags


def test_a_runner_that_loses_text_is_named(config, monkeypatch):
    def lose(*_):
        raise RuntimeError("2,251 of 6,188 documents judged")

    monkeypatch.setattr(kd, "write_store_with_beam", lose)
    with pytest.raises(SystemExit, match="`--beam`: 2,251 of 6,188 documents"):
        prepare_corpus.main(dataclasses.replace(config, beam=""))


@pytest.mark.slow
def test_a_teacher_trains_on_stores(config, tmp_path):
    prepare_corpus.main(config)
    stores = (str(tmp_path / "store"),) * 2
    train = train_teacher.Config(
        store=stores,
        store_weights=(1.0, 3.0),
        run=str(tmp_path / "run"),
        smoke=True,
        jit_compile=False,
    )
    results = train_teacher.main(train)
    assert results["teacher"]["masked_cross_entropy"] > 0
    assert not (tmp_path / "run" / "tokens").exists()
    with pytest.raises(SystemExit, match="`--store`.*must hold a tokenizer"):
        train_teacher.main(
            dataclasses.replace(
                train, store=(str(tmp_path),), run=str(tmp_path / "other")
            )
        )


@pytest.mark.slow
def test_a_teacher_trains_on_lines(config, corpus, tmp_path):
    words = pathlib.Path(corpus).read_text("utf-8").split()
    lines = [" ".join(words[i : i + 1 + i % 40]) for i in range(0, 8000, 7)]
    text = tmp_path / "lines.txt"
    text.write_text("\n".join(lines), "utf-8")
    config = dataclasses.replace(config, corpus=(str(text),), line_by_line=True)
    prepare_corpus.main(config)
    store = kd.TokenStore(tmp_path / "store" / "train")
    assert list(store.buckets) == [8, 16, 24, 32]
    train = train_teacher.Config(
        store=(config.to,),
        run=str(tmp_path / "run"),
        smoke=True,
        whole_words=True,
        jit_compile=False,
    )
    results = train_teacher.main(train)
    cross_entropy = results["teacher"]["masked_cross_entropy"]
    assert 0 < cross_entropy < np.log(500) + 0.5
