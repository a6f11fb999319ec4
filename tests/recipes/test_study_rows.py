"""The study of rows: which tokens have soft targets, and at what price."""

import json

import keras_kd as kd
import pytest
import study_rows


@pytest.mark.slow
def test_study_rows_compares_shares_at_equal_steps_and_equal_time(
    tmp_path, corpus, teacher_run, capsys
):
    results = study_rows.main(
        study_rows.Config(
            teacher=str(teacher_run),
            corpus=(corpus,),
            run=str(tmp_path / "run"),
            num_layers=1,
            plan=(1,),
            precision="float32",
            jit_compile=False,
            smoke=True,
        )
    )
    assert results["prices"]["1.0"] == 1.0
    arms = [(s["share"], s["equal"], s["seed"]) for s in results["students"]]
    one_seed = [(1.0, "steps"), (0.0, "steps"), (0.0, "time")]
    assert arms == [(*arm, seed) for seed in (0, 1) for arm in one_seed]
    timed = round(2 / results["prices"]["0.0"])
    assert [s["steps"] for s in results["students"][:3]] == [2, 2, timed]
    saved = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert saved == results
    assert "0.00" in capsys.readouterr().out


def test_study_rows_states_means_and_intervals_of_distances():
    def student(share, seed, nats):
        return {"share": share, "equal": "steps", "seed": seed, "nats": nats}

    config = study_rows.Config(shares=(1.0, 0.0), seeds=(0, 1, 2))
    nats = {1.0: [3.0, 3.2, 3.4], 0.0: [3.1, 3.2, 3.6]}
    students = [
        student(share, seed, value)
        for share, values in nats.items()
        for seed, value in enumerate(values)
    ]
    results = {"students": students}
    found = study_rows.of(results, 0.0, "steps")
    # Distances 0.1, 0.0, 0.2: mean 0.1, deviation 0.1; 4.30 · 0.1 / √3.
    text = study_rows.summary(results, config, found, "nats")
    assert text == "3.300 (+0.100 ± 0.248)"
    first = study_rows.of(results, 1.0, "steps")
    assert study_rows.summary(results, config, first, "nats") == "3.200"


def test_study_rows_wants_more_than_one_seed():
    with pytest.raises(SystemExit, match="2 to 8 of them"):
        study_rows.main(study_rows.Config(seeds=(0,)))


def test_study_rows_has_blocks_that_the_teacher_has_room_for(tmp_path):
    tokenizer = kd.WordPieceTokenizer.train(["a cat sat on a mat"] * 9, 60)
    tokenizer.save(tmp_path / "teacher")
    shape = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 1, max_sequence_length=16
    )
    kd.BertMaskedLM(shape).save(tmp_path / "teacher" / "teacher.keras")
    config = study_rows.Config(
        teacher=str(tmp_path / "teacher"),
        run=str(tmp_path / "run"),
        block_length=17,
        precision="float32",
    )
    with pytest.raises(SystemExit, match="teacher's 16 positions.*: 17"):
        study_rows.main(config)
    assert not (tmp_path / "run").exists()
