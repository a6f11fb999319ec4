"""What train_teacher.py can do beside a new teacher by masked LM alone."""

import csv
import dataclasses
import json

import keras_kd as kd
import distill_masked_lm
import keras
import numpy as np
import pytest
import train_teacher


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory, corpus):
    folder = tmp_path_factory.mktemp("plain") / "run"
    train_teacher.main(
        train_teacher.Config(
            corpus=(corpus,),
            run=str(folder),
            layer_drop=0.0,
            smoke=True,
            jit_compile=False,
        )
    )
    return folder


def load(folder):
    return keras.saving.load_model(folder / "teacher.keras", compile=False)


@pytest.mark.slow
@pytest.mark.parametrize("hugging_face", [False, True])
def test_a_teacher_goes_on_with_layer_drop(
    plain_run, corpus, tmp_path, hugging_face
):
    source = plain_run
    if hugging_face:
        source = tmp_path / "checkpoint"
        tokenizer = kd.WordPieceTokenizer.load(plain_run)
        kd.save_checkpoint(load(plain_run), source, tokenizer)
    folder = tmp_path / "run"
    config = train_teacher.Config(
        corpus=(corpus,),
        run=str(folder),
        from_checkpoint=str(source),
        layer_drop=0.4,
        layer_drop_pin_first=True,
        layer_drop_late=True,
        learning_rate=0.0,
        smoke=True,
        jit_compile=False,
    )
    train_teacher.main(config)
    start, after = load(plain_run), load(folder)
    assert after.config.layer_drop == (0.0, 0.4)
    theirs = start.named_variables()
    for name, variable in after.named_variables().items():
        np.testing.assert_allclose(variable, theirs[name], rtol=1e-6)
    nats = [
        json.loads((run / "metrics.json").read_text())["teacher"][
            "masked_cross_entropy"
        ]
        for run in (plain_run, folder)
    ]
    assert nats[0] == pytest.approx(nats[1], rel=1e-5)
    written = json.loads((folder / "config.json").read_text())
    assert written["from_checkpoint"] == str(source)
    with (folder / "history.csv").open(newline="") as file:
        found = [float(row["layer_drop"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(found, [0, 0.4], rtol=1e-6)  # steps 1 and 3


def test_what_is_not_there_cannot_be_gone_on_from(tmp_path, corpus):
    config = train_teacher.Config(
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        from_checkpoint=str(tmp_path / "nothing"),
        smoke=True,
    )
    with pytest.raises(SystemExit, match="`--from`"):
        train_teacher.main(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_blocks_longer_than_the_positions_are_refused(
    plain_run, tmp_path, corpus
):
    config = train_teacher.Config(
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        from_checkpoint=str(plain_run),
        block_length=64,
        steps=2,
        validations=1,
    )
    with pytest.raises(SystemExit, match="at most the 32 positions of --from"):
        train_teacher.main(config)


@pytest.mark.slow
def test_a_sandwich_is_gone_on_with_and_its_student_chosen_by_text(
    corpus, tmp_path
):
    folder = tmp_path / "run"
    config = train_teacher.Config(
        corpus=(corpus,),
        run=str(folder),
        sandwich=1,
        layer_drop=0.0,
        num_layers=3,
        smoke=True,
        jit_compile=False,
    )
    train_teacher.main(config)
    header = (folder / "history.csv").read_text().splitlines()[0].split(",")
    assert {"masked_lm", "val_subnetwork_masked_lm"} <= set(header)
    before = load(folder).get_weights()
    train_teacher.main(dataclasses.replace(config, resume=True))  # all is done
    for one, other in zip(before, load(folder).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    student = tmp_path / "student"
    distill_masked_lm.main(
        distill_masked_lm.Config(
            teacher=str(folder),
            corpus=(corpus,),
            run=str(student),
            num_layers=2,
            plan="searched",
            compensation="gains",
            smoke=True,
            jit_compile=False,
        )
    )
    metrics = json.loads((student / "metrics.json").read_text())
    assert metrics["student"]["teacher_kl"] > 0


def test_a_teachers_layer_drop_follows_its_law(capsys):
    shape = kd.BertConfig.from_preset("mini", 100)  # 4 layers
    config = train_teacher.Config(layer_drop=0.6, layer_drop_law="linear")
    rates = train_teacher.layer_drop_of(config, shape)
    np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.6], atol=1e-9)
    printed = capsys.readouterr().out
    assert "2.8 of 4 layers a step" in printed
    # Layers 0 and 2 alone: 1 * 0.2 * 0.6 * 0.6, one step in 13.9.
    assert "a constant rate of 0.50" in printed
    assert "one step in 14 has" in printed
    pinned = dataclasses.replace(config, layer_drop_pin_last=True)
    train_teacher.layer_drop_of(pinned, shape)  # layer 3 is in every step
    assert "no step has just every other" in capsys.readouterr().out
    plain = dataclasses.replace(config, layer_drop_law="constant")
    assert train_teacher.layer_drop_of(plain, shape) == 0.6
    none = dataclasses.replace(plain, layer_drop=0.0)
    assert train_teacher.layer_drop_of(none, shape) == 0.0
    with pytest.raises(SystemExit, match="`--layer-drop`.*Received: 1.5"):
        train_teacher.layer_drop_of(
            dataclasses.replace(config, layer_drop=1.5), shape
        )


def test_late_layer_drop_needs_layer_drop():
    config = train_teacher.Config(layer_drop=0.0, layer_drop_late=True)
    with pytest.raises(SystemExit, match="`--layer-drop-late` needs"):
        train_teacher.layer_drop_of(config, train_teacher.shape_of(config))


def test_a_sandwich_of_more_layers_than_there_are_is_refused(tmp_path):
    config = train_teacher.Config(sandwich=5, layer_drop=0.0)
    teacher = kd.BertMaskedLM(kd.BertConfig(20, 2, 8, 1), seed=0)
    with pytest.raises(SystemExit, match="`--sandwich`: .*at most.*2 layers"):
        train_teacher.within(config, teacher)


def test_a_teacher_has_more_positions_than_its_blocks():
    shape = train_teacher.shape_of(train_teacher.Config(block_length=64), 90)
    assert shape.max_sequence_length == 512
    said = train_teacher.describe_positions(train_teacher.Config(), 512)
    assert "512 positions, the first 64 of them trained" in said
    said = train_teacher.describe_positions(train_teacher.Config(), 64)
    assert said == "64 positions, all of them trained"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"positions": 32}, "`--block-length` must be at most --positions, 32"),
        (
            {"from_checkpoint": "x", "preset": "base"},
            "`--preset` would do nothing with --from.*Received: --preset base",
        ),
        ({"from_checkpoint": "x", "positions": 128}, "`--positions`.*--from"),
        ({"from_checkpoint": "x", "tokenizer": "t"}, "`--tokenizer`.*--from"),
        ({"tokenizer": "t", "vocabulary_size": 9}, "`--vocabulary-size`"),
        ({"store": ("s",), "tokenizer": "t"}, "`--tokenizer`.*--store"),
        ({"store": ("s",), "corpus": ("c",)}, "`--corpus`.*--store"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(changes, message):
    with pytest.raises(SystemExit, match=message):
        train_teacher.main(train_teacher.Config(**changes))


def test_the_case_of_a_store_is_that_of_its_making():
    config = train_teacher.Config(store=("made",), lowercase=True)
    with pytest.raises(SystemExit, match="`--lowercase` must be given to prep"):
        train_teacher.make_tokenizer(config, None)
