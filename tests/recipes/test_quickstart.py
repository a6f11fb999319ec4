"""The quickstart: from text to filled masks, its students told apart."""

import dataclasses

import pytest
import quickstart


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("plan", "evry_other", "`plan` must be one of"),
        ("plan", (0, 9), "indices from 0 to 3"),
        ("student_layers", 5, "at most the teacher's 4 layers"),
        ("student_layers", 0, "num_layers"),
    ],
)
def test_a_wrong_student_ends_the_quickstart_before_its_teacher(
    corpus, tmp_path, field, value, message
):
    config = quickstart.Config(
        corpus=(corpus,), run=str(tmp_path / "run"), smoke=True
    )
    config = dataclasses.replace(config, **{field: value})
    with pytest.raises(ValueError, match=message):
        quickstart.main(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_quickstart_walks_from_text_to_filled_masks(tmp_path, corpus, capsys):
    results = quickstart.main(
        quickstart.Config(
            corpus=(corpus,),
            run=str(tmp_path / "run"),
            smoke=True,
            jit_compile=False,
        )
    )
    assert list(results) == [
        "unigram",
        "teacher",
        quickstart.FROM_LAYERS,
        quickstart.FROM_RANDOM,
        quickstart.ALONE,
    ]
    printed = capsys.readouterr().out
    assert "Ahead: " in printed
    assert printed.count("  ->  ") == len(quickstart.SENTENCES)
    assert (tmp_path / "run" / "comparison.png").exists()
    assert (tmp_path / "run" / "export" / "README.md").exists()


def test_the_verdict_names_the_lowest_cross_entropy():
    names = quickstart.FROM_LAYERS, quickstart.FROM_RANDOM, quickstart.ALONE
    results = {
        name: {"masked_cross_entropy": nats}
        for name, nats in zip(names, (3.5, 3.0, 3.25), strict=True)
    }
    assert quickstart.verdict(results).startswith(
        "Ahead: b: random start, by 0.250 nats before c: no distillation."
    )
