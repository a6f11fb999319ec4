"""Each recipe runs, in miniature, as a user would run them in turn."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import types

import keras_kd as kd
import benchmark_latency
import benchmark_layer_drop
import benchmark_subnetworks
import distill_masked_lm
import evaluate_student
import export_student
import keras
import numpy as np
import prepare_corpus
import pytest
import quickstart
import shrink_encoder
import train_teacher

import finetuning
from text_batches import make_batches, read_corpora, write_stores

RECIPES = pathlib.Path(quickstart.__file__).parent
SENTENCE_ENCODERS = RECIPES.parent / "tests" / "golden" / "sentence_encoders"
NAMES = sorted(
    path.stem
    for path in RECIPES.glob("*.py")
    if "Not a recipe." not in path.read_text("utf-8").split('"""')[1]
)


@pytest.fixture(scope="module")
def student_run(tmp_path_factory, corpus, teacher_run):
    folder = tmp_path_factory.mktemp("student") / "run"
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(folder),
        num_layers=1,
        plan=(1,),
        freeze_position_embeddings=True,
        smoke=True,
        jit_compile=False,
    )
    distill_masked_lm.main(config)
    return folder


@pytest.mark.slow
def test_train_teacher_leaves_a_run(teacher_run):
    metrics = json.loads((teacher_run / "metrics.json").read_text())
    assert set(metrics) == {"unigram", "teacher"}
    rows = (teacher_run / "history.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,val_loss"
    assert len(rows) == 3
    teacher = keras.saving.load_model(teacher_run / "teacher.keras")
    assert teacher.config.layer_drop == 0.2


@pytest.mark.slow
def test_distill_masked_lm_leaves_a_run(student_run, teacher_run):
    metrics = json.loads((student_run / "metrics.json").read_text())
    assert set(metrics) == {"unigram", "teacher", "student"}
    assert metrics["student"]["teacher_kl"] > 0
    assert (student_run / "comparison.png").stat().st_size > 1000
    student = keras.saving.load_model(student_run / "student.keras")
    teacher = keras.saving.load_model(teacher_run / "teacher.keras")
    assert student.config.num_layers == 1
    frozen = [
        model.backbone.embeddings.position_embedding.get_weights()[0]
        for model in (student, teacher)
    ]
    assert (frozen[0] == frozen[1]).all()


@pytest.mark.slow
def test_evaluate_student_compares_runs(student_run, teacher_run, corpus):
    results = evaluate_student.main(
        evaluate_student.Config(
            runs=(str(student_run),),
            teacher=str(teacher_run),
            corpus=(corpus,),
            smoke=True,
        )
    )
    assert set(results) == {"unigram", str(teacher_run), str(student_run)}
    assert (student_run / "evaluation.json").exists()
    assert (student_run / "evaluation.png").exists()


def test_a_learning_curve_is_held_out_masked_lm_by_step(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 20, "validations": 2}')
    rows = "epoch,loss,val_loss,val_masked_lm\n0,9,8,3.5\n1,7,6,3.25\n"
    (tmp_path / "history.csv").write_text(rows)
    found = evaluate_student.learning_curve(tmp_path)
    assert found == [(10, 3.5), (20, 3.25)]


@pytest.mark.parametrize(
    "history",
    [
        None,
        "epoch,loss,val_loss\n",
        "epoch,loss,val_loss,soft_target,val_soft_target\n0,9,8,2,1\n",
    ],
)
def test_a_run_without_held_out_masked_lm_has_no_curve(tmp_path, history):
    (tmp_path / "config.json").write_text('{"steps": 20, "validations": 2}')
    if history:
        (tmp_path / "history.csv").write_text(history)
    assert evaluate_student.learning_curve(tmp_path) == []


def test_runs_are_named_by_their_last_part_where_it_tells_them_apart():
    folders = ["a/x", "b/x", "b/y", "b/unigram"]
    assert evaluate_student.short_names(folders, ("unigram",)) == {
        "a/x": "a/x",
        "b/x": "b/x",
        "b/y": "y",
        "b/unigram": "b/unigram",  # the baseline's name is taken
    }


def test_runs_of_two_tokenizers_are_not_compared(tmp_path):
    for name, text in (("a", "one two three"), ("b", "four five six")):
        tokenizer = kd.WordPieceTokenizer.train([text], vocabulary_size=40)
        tokenizer.save(tmp_path / name)
    folders = [str(tmp_path / name) for name in "ab"]
    with pytest.raises(SystemExit, match="another in .*b"):
        evaluate_student.load_tokenizer(folders)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("batch_size", 0, "`--batch-size` must be at least 1"),
        ("validation_batches", 0, "`--validation-batches` must be at least 1"),
        ("block_length", 7, "`--block-length` must be at least 8"),
        ("validations", 0, "a multiple of --validations"),
        ("steps", 3, "`--steps` must be a multiple.*Received: 3 and 2"),
        ("teacher_steps", 1, "`--teacher-steps` must be a multiple"),
    ],
)
def test_wrong_sizes_end_before_any_work(
    monkeypatch, corpus, tmp_path, field, value, message
):
    monkeypatch.setitem(quickstart.SMOKE, field, value)
    config = quickstart.Config(
        corpus=(corpus,), run=str(tmp_path / "run"), smoke=True
    )
    with pytest.raises(SystemExit, match=message):
        quickstart.main(config)
    assert not (tmp_path / "run").exists()


def test_smoothing_hides_rare_tokens_more_often(corpus, tmp_path):
    config = distill_masked_lm.Config(
        corpus=(corpus,), block_length=32, batch_size=8, steps=10
    )
    documents = read_corpora(config)
    tokenizer = kd.WordPieceTokenizer.train(documents[0], 500)

    def mean_count(smoothing):
        """How frequent the hidden tokens of training and held-out text are."""
        chosen = dataclasses.replace(config, mlm_smoothing=smoothing)
        folder = tmp_path / str(smoothing)
        batches = make_batches(chosen, folder, tokenizer, *documents)
        counts = kd.TokenStore(folder / "tokens" / "train").token_counts
        return [
            np.mean([counts[y[weights == 1]].mean() for _, y, weights in some])
            for some in (
                batches.train().as_numpy_iterator(),
                batches.held_out.as_numpy_iterator(),
            )
        ]

    even, smoothed = mean_count(0.0), mean_count(0.7)
    assert smoothed[0] < 0.8 * even[0]
    assert smoothed[1] == even[1]
    with pytest.raises(SystemExit, match="`--mlm-smoothing` must be 0 or more"):
        read_corpora(dataclasses.replace(config, mlm_smoothing=-0.1))


def test_held_out_text_too_short_is_named_and_leaves_nothing(corpus, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("alpha beta")
    config = train_teacher.Config(
        corpus=(corpus,),
        validation_corpus=(str(short),),
        run=str(tmp_path / "run"),
        smoke=True,
    )
    with pytest.raises(ValueError, match="at least 6 tokens.*short.txt"):
        train_teacher.main(config)
    assert not (tmp_path / "run").exists()


def test_models_fitted_in_turn_meet_the_same_batches(corpus, tmp_path):
    config = train_teacher.Config(corpus=(corpus,), smoke=True, batch_size=8)
    train, held_out = read_corpora(config)
    tokenizer = kd.WordPieceTokenizer.train(train, 500)
    batches = make_batches(config, tmp_path, tokenizer, train, held_out)
    first, second = (
        [x["token_ids"] for x, _, _ in batches.train().repeat().take(20)]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(np.array(first).sum((1, 2)))) > 10  # epochs differ


def test_export_student_lists_its_formats(capsys):
    export_student.main(export_student.Config(formats=()))
    printed = capsys.readouterr().out
    for name in kd.export.FORMATS:
        assert name in printed
    assert set(export_student.OPENS_IN) == set(kd.export.FORMATS)


@pytest.mark.slow
def test_export_student_gives_several_depths(teacher_run, tmp_path):
    import tensorflow as tf

    export_student.main(
        export_student.Config(
            run=str(teacher_run),
            to=str(tmp_path / "to"),
            formats=("saved_model", "hugging_face"),
            depths=(1, 2),
        )
    )
    model = tf.saved_model.load(str(tmp_path / "to" / "saved_model"))
    names = {"serving_default", "depth_1", "depth_2", "fill_mask", "embed"}
    assert set(model.signatures) == names
    again = kd.load_checkpoint(tmp_path / "to" / "hugging_face")
    assert type(again) is kd.BertMaskedLM


@pytest.mark.slow
def test_export_student_says_what_is_wrong(student_run, tmp_path):
    config = export_student.Config(run=str(student_run), to=str(tmp_path))
    for changes, message in (
        ({"formats": ("pdf",)}, "`formats` must be out of"),
        ({"depths": (9,)}, "at most the teacher's 1 layers"),
        ({"push_to": "me/mine"}, "`--push-to` needs the format hugging_face"),
    ):
        with pytest.raises(SystemExit, match=message):
            export_student.main(dataclasses.replace(config, **changes))


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory, teacher_run):
    """A folder of Hugging Face's, with a head that nobody asks for."""
    folder = tmp_path_factory.mktemp("encoder") / "theirs"
    teacher = keras.saving.load_model(teacher_run / "teacher.keras")
    tokenizer = kd.WordPieceTokenizer.load(teacher_run)
    return kd.save_checkpoint(teacher, folder, tokenizer)


@pytest.mark.slow
def test_shrink_encoder_leaves_a_smaller_folder(
    encoder_folder, corpus, tmp_path
):
    results = shrink_encoder.main(
        shrink_encoder.Config(
            encoder=str(encoder_folder),
            corpus=(corpus,),
            run=str(tmp_path / "run"),
            num_layers=1,
            plans=("first", "last"),
            smoke=True,
            jit_compile=False,
        )
    )
    assert list(results) == [
        "encoder",
        "first, cut",
        "first",
        "last, cut",
        "last",
    ]
    assert results["encoder"]["embedding_cosine"] > 0.999
    for plan in ("first", "last"):
        cut, after = results[f"{plan}, cut"], results[plan]
        assert after["hidden_state_cosine"] != cut["hidden_state_cosine"]
    student = kd.load_checkpoint(tmp_path / "run" / "encoder")
    assert type(student) is kd.BertBackbone
    assert student.config.num_layers == 1
    saved = keras.saving.load_model(tmp_path / "run" / "student.keras")
    for name, variable in saved.named_variables().items():
        np.testing.assert_array_equal(student.named_variables()[name], variable)
    assert (tmp_path / "run" / "encoder" / "1_Pooling").is_dir()
    assert (tmp_path / "run" / "first" / "history.csv").exists()


@pytest.mark.slow
def test_shrink_encoder_says_what_is_wrong(encoder_folder, corpus, tmp_path):
    config = shrink_encoder.Config(
        encoder=str(encoder_folder),
        corpus=(corpus,),
        run=str(tmp_path / "r"),
        block_length=16,
    )
    for changes, message in (
        ({"encoder": "./nowhere"}, "`--encoder`: `source` must be a folder"),
        ({"num_layers": 9}, "`--plans`: `student` may have at most"),
        ({"plans": ("best",)}, "`--plans`: `plan` must be one of"),
        ({"block_length": 9999}, "`--block-length` must be at most"),
        ({"plans": (), "num_layers": 9}, "`--plans`: `student` may have at"),
    ):
        with pytest.raises(SystemExit, match=message):
            shrink_encoder.main(dataclasses.replace(config, **changes))
    dense = shutil.copytree(
        SENTENCE_ENCODERS / "cls", tmp_path / "dense", dirs_exist_ok=True
    )
    modules = json.loads((dense / "modules.json").read_text())
    modules.insert(2, {"type": "x.Dense", "path": "2_Dense"})
    (dense / "modules.json").write_text(json.dumps(modules))
    for folder, length, message in (
        (dense, 16, r"`--encoder`: .*a Dense module \(2_Dense\)"),
        (SENTENCE_ENCODERS / "cls", 9, "the encoder's longest text, 8 tokens"),
    ):
        with pytest.raises(SystemExit, match=message):
            shrink_encoder.main(
                dataclasses.replace(
                    config, encoder=str(folder), block_length=length
                )
            )
    assert not (tmp_path / "r").exists()


@pytest.fixture
def sentence_encoder(tmp_path, monkeypatch):
    """The configuration of a shrinking in which nothing is learnt."""
    monkeypatch.setattr(shrink_encoder, "distil", lambda *_: None)
    texts = tmp_path / "texts.txt"
    lines = ["the cat sat on the mat", "a dog sat on the sea", "sea is blue"]
    texts.write_text("\n\n".join(lines * 10))
    return shrink_encoder.Config(
        encoder=str(SENTENCE_ENCODERS / "cls"),
        corpus=(str(texts),),
        validation_corpus=(str(texts),),
        run=str(tmp_path / "run"),
        block_length=8,
        batch_size=4,
        validation_batches=2,
        loggers=(),
    )


def test_shrink_encoder_keeps_what_the_folder_says(sentence_encoder, capsys):
    """All layers are kept: what comes out is what went in."""
    config = dataclasses.replace(sentence_encoder, num_layers=2)
    results = shrink_encoder.main(config)
    printed = capsys.readouterr().out
    assert "the first token, of length 1, of at most 8 tokens" in printed
    assert results["encoder"]["embedding_cosine"] > 0.9999
    run = pathlib.Path(config.run)
    encoder = kd.load_checkpoint(config.encoder, pooler=False)
    ours = kd.load_checkpoint(run / "encoder")
    assert ours.config.embedding == encoder.config.embedding
    for name, variable in encoder.named_variables().items():
        np.testing.assert_array_equal(ours.named_variables()[name], variable)
    kept = keras.saving.load_model(run / "student.keras")
    assert kept.config.embedding == encoder.config.embedding


def test_shrink_encoder_takes_the_cut_that_is_nearest(sentence_encoder, capsys):
    config = dataclasses.replace(sentence_encoder, num_layers=1, pooling="mean")
    results = shrink_encoder.main(config)
    run = pathlib.Path(config.run)
    table = json.loads((run / "scouted.json").read_text())
    assert {"first", "last", "every_other", "both_ends", "searched"} < {*table}
    cosines = [row["embedding_cosine"] for row in table.values()]
    best, found = next(iter(table.items()))
    assert found["embedding_cosine"] == max(cosines) > min(cosines)
    assert list(results) == ["encoder", f"{best}, cut", best]
    printed = " ".join(capsys.readouterr().out.split())
    layer = found["layers"][0]
    assert f"{best} is taken, layers {layer}: before any training" in printed
    ours = kd.load_checkpoint(run / "encoder")  # --pooling wins, and is kept
    own = kd.load_checkpoint(config.encoder).config.embedding
    assert ours.config.embedding == dataclasses.replace(own, pooling="mean")


@pytest.mark.slow
def test_export_student_exports_a_run(student_run):
    export_student.main(export_student.Config(run=str(student_run)))
    assert (student_run / "export" / "saved_model" / "saved_model.pb").exists()
    with pytest.raises(SystemExit, match="overwrite"):
        export_student.main(export_student.Config(run=str(student_run)))


@pytest.mark.slow
def test_a_block_longer_than_the_teachers_positions_is_refused(
    teacher_run, corpus, tmp_path
):
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        block_length=64,
    )
    with pytest.raises(SystemExit, match="at most the teacher's 32 positions"):
        distill_masked_lm.main(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_wrong_plan_ends_before_anything_is_written(
    teacher_run, corpus, tmp_path
):
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        plan=(0, 5),
        smoke=True,
    )
    with pytest.raises(ValueError, match="indices from 0 to 1"):
        distill_masked_lm.main(config)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_model_is_named(tmp_path):
    with pytest.raises(SystemExit, match="`--teacher` must be a run folder"):
        distill_masked_lm.load_teacher(tmp_path)
    with pytest.raises(SystemExit, match="must be run folders"):
        evaluate_student.load_model(tmp_path)
    with pytest.raises(SystemExit, match="must be a run folder with student"):
        export_student.main(export_student.Config(run=str(tmp_path)))


@pytest.mark.slow
def test_the_benchmark_prints_a_ratio_for_both(capsys):
    ratios = benchmark_layer_drop.main(benchmark_layer_drop.Config(smoke=True))
    assert set(ratios) == {True, False}
    assert "LayerDrop 0.5 / without" in capsys.readouterr().out


@pytest.mark.slow
def test_subnetworks_together_and_alone_are_the_same(capsys):
    report = benchmark_subnetworks.main(
        benchmark_subnetworks.Config(smoke=True)
    )
    assert report["difference"] < 1e-6
    assert min(report.values()) >= 0
    assert "7 sub-networks" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_explains_itself(name):
    done = subprocess.run(
        [sys.executable, RECIPES / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--config" in done.stdout
    assert done.stderr == ""


def test_files_without_text_are_passed_over_and_told(
    tmp_path, tokenizer, capsys
):
    (tmp_path / "a.txt").write_text("the cat sat on the mat\n" * 3)
    (tmp_path / "b.txt").write_text("\n")
    config = types.SimpleNamespace(block_length=8)
    documents = kd.read_documents(str(tmp_path / "*.txt"))
    stores = write_stores(config, tmp_path, tokenizer, documents, documents)
    assert stores["train"].tokens == stores["held_out"].tokens > 0
    assert "1 files without text were passed" in capsys.readouterr().out


def test_recipes_take_their_presets(tmp_path):
    import keras_hub  # slow to import

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] Ein Satz .".split()
    hub = keras_hub.models
    backbone = hub.BertBackbone(
        vocabulary_size=len(words),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
        max_sequence_length=32,
    )
    folder = tmp_path / "preset"
    hub.BertMaskedLM(backbone).save_to_preset(str(folder))
    hub.BertTokenizer(words, lowercase=False).save_to_preset(str(folder))
    place = str(folder)

    start = train_teacher.Config(from_checkpoint=place, block_length=16)
    shrunk = shrink_encoder.Config(encoder=place, block_length=16)
    for model, tokenizer in (
        finetuning.load_encoder(place),
        train_teacher.load_start(start),
        shrink_encoder.load_encoder(shrunk)[:2],
    ):
        assert model.config.num_layers == 2
        assert tokenizer.encode_batch(["Ein Satz."])[0].tolist() == [5, 6, 7]
    corpus = prepare_corpus.Config(to=str(tmp_path), tokenizer=place)
    tokenizer = prepare_corpus.make_tokenizer(corpus, tmp_path / "to", None)
    assert tokenizer.vocabulary == words
    encoder = benchmark_latency.load_encoder(place, seed=0)
    np.testing.assert_array_equal(
        encoder.named_variables()["embeddings/token/embeddings"],
        backbone.token_embedding.embeddings,
    )
