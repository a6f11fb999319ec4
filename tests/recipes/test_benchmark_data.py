import json

import keras_kd as kd
import benchmark_data
import pytest
from benchmark_data import Config

WORDS = "cat dog sea hill mat blue green old ran sat looked near far house tree"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A text and a vocabulary of 7,000 words, with room for random ones."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "text.txt").write_text(f"{WORDS} .\n\n" * 300)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"{a}{b}{c}" for a in letters for b in letters for c in letters]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words[:7000]]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    kd.WordPieceTokenizer.load(folder).save(folder)
    return Config(
        corpus=str(folder / "text.txt"),
        tokenizer=str(folder),
        block_length=16,
        batch_size=4,
        batches=20,
    )


def test_our_workers_count_tokens(config):
    for name in ("batch_in_graph", "batch_keras_kd"):
        found = benchmark_data.WORKERS[name](config)
        assert found["tokens_per_second"] > 0
    found = benchmark_data.prepare_keras_kd(config)
    assert (found["different"], found["lines"]) == (0, 300)
    once, thrice = (benchmark_data.memory(config, n) for n in (1, 3))
    tokenizer = kd.load_tokenizer(config.tokenizer)
    (ids,) = tokenizer.encode_batch([f"{WORDS} . 0"])
    known = ids[ids != tokenizer.unknown_id]
    assert once["tokens"] == 300 * len(known) > 300
    assert thrice["tokens"] == 3 * once["tokens"]
    assert once["peak"] > once["grown"] >= 0


def test_ratios_are_medians_over_rounds(capsys):
    rounds = [
        {
            "batch_keras_kd": {"tokens_per_second": ours * 1e6},
            "batch_in_graph": {"tokens_per_second": 2e6},
            "batch_lists": {"tokens_per_second": 1e6},
            "batch_rows": {"tokens_per_second": 5e5},
        }
        for ours in (4, 6, 9)
    ]
    benchmark_data.print_rates("x", benchmark_data.BATCHING, rounds)
    printed = capsys.readouterr().out
    assert "6.0 x (4.0-9.0)" in printed
    assert "12.0 x (8.0-18.0)" in printed


def test_a_missing_file_is_said_at_once(config, tmp_path):
    with pytest.raises(SystemExit, match="`--corpus` must be a file"):
        benchmark_data.main(Config(corpus=str(tmp_path / "no.txt")))
    with pytest.raises(SystemExit, match="`--tokenizer` must be a folder"):
        benchmark_data.main(Config(corpus=config.corpus, tokenizer="no"))


@pytest.mark.slow
def test_all_candidates_run(config):
    pytest.importorskip("transformers", reason="needs the extra bench")
    for name in (*benchmark_data.PREPARING, *benchmark_data.BATCHING):
        flags = benchmark_data.flags_of(config)
        found = benchmark_data.run_worker(benchmark_data.__file__, flags, name)
        assert found["tokens_per_second"] > 0, name
    assert json.dumps(found)
