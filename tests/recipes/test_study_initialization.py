import dataclasses
import re
import shutil
import subprocess

import keras_kd as kd
import numpy as np
import pytest
import study_initialization

import study_arms
import study_figures
import study_report
import study_runs
import study_tables
from study_report import Study, findings, steps_to, verdicts, write_report
from study_runs import MaskedBlocks, Runs, copy_weights, rounded
from study_tables import Table

SEEDS = (0, 1, 2)
LAYERS = ("0", "1", "2", "0 1", "0 2", "1 2", "0 1 2")


class Config:
    """What the report and the FLOPs are told of a study."""

    num_layers = 3
    kept = 2
    hidden_dim = 8
    num_heads = 2
    initializer_range = 0.02
    mask_rate = 0.25
    batch_size = 4
    teacher_steps = 100
    student_steps = 20
    points = 10
    tuning_seed = 100
    scale = "cpu"
    precision = "float32"
    jit_compile = None
    held_out_batches = 1


def final(arm, seed):
    """Nats that a made-up student ends with."""
    ours = {"late searched+gains < late": -0.5}
    return 4.0 + ours.get(arm, 0.0) + 0.01 * seed


@pytest.fixture
def folder(tmp_path):
    """A study's tables, with numbers by hand."""
    results = Table(tmp_path / "results.csv", study_tables.RESULT_ROW)
    subnetworks = Table(
        tmp_path / "subnetworks.csv", study_tables.SUBNETWORK_ROW
    )
    shared = {"learning_rate": 0.001, "steps": 100, "flops": "1e9"}
    for seed in SEEDS:
        for name in study_arms.TEACHERS:
            row = {"kind": "teacher", "arm": name, "seed": seed, **shared}
            ends = {"start": 8.0, "final": 3.5, "curve": "0:8 100:3.5"}
            results.add([row | ends])
            # By layers missing 0.2 each; a third of that with LayerDrop.
            lost = 0.3 if name == "plain" else 0.1
            subnetworks.add(
                {
                    "arm": name,
                    "seed": seed,
                    "steps": 100,
                    "layers": layers,
                    "search": 3.0,
                    "test": 3.5 + lost * (3 - len(layers.split())),
                    "kl": 0.1,
                }
                for layers in LAYERS
            )
        for arm in study_arms.STUDENTS:
            end = final(arm.name, seed)
            row = {"kind": "student", "arm": arm.name, "seed": seed, **shared}
            curve = f"0:5.0 10:{end + 0.2} 20:{end}"
            ends = {"start": 5.0 + end / 100, "final": end, "curve": curve}
            results.add([row | ends])
        row = {"kind": "alone", "arm": "alone", "seed": seed, **shared}
        results.add([row | {"start": 8, "final": 4.5, "curve": "0:8 100:4.5"}])
        for steps, test in ((0, 5.0), (50, 4.0)):
            subnetworks.add(
                {
                    "arm": "plain, then layerdrop",
                    "seed": seed,
                    "steps": steps,
                    "layers": layers,
                    "search": 3.0,
                    "test": 3.5 if layers == "0 1 2" else test,
                    "kl": 0.1,
                }
                for layers in LAYERS
            )
    return tmp_path


def test_the_area_is_the_medians_beyond_the_whole(folder):
    study = Study(folder, SEEDS, 6.0)
    # Two layers left: one is missing; one left: two are.
    assert study.area("plain", 0) == pytest.approx((0.3 + 0.6) / 2)
    assert study.area("layerdrop", 1) == pytest.approx((0.1 + 0.2) / 2)


def test_what_is_found_is_what_the_tables_say(folder):
    study = Study(folder, SEEDS, 6.0)
    found = findings(study, Config)
    assert found["area_shares"]["layerdrop"] == pytest.approx(1 / 3)
    question = "late LayerDrop, searched, gains"
    assert found["differences"][question].mean == pytest.approx(-0.5)
    best = "late searched+gains < late"
    assert found["steps"][best] == 0.5  # at 10 of 20 steps it is below
    assert found["steps"][study_arms.DISTILBERT.name] == 1.0
    assert found["continued"] == [
        (0, pytest.approx(1.5), pytest.approx(3.5)),
        (50, pytest.approx(0.5), pytest.approx(3.5)),
    ]
    said = list(verdicts(study, Config, found))
    assert said[0].startswith("Gate: the plain teacher is 2.50 nats below")
    assert said[0].endswith(": held.")
    better = "-0.500 nats: better, the interval clear of 0."
    assert f"{question}, against DistilBERT's way: {better}" in said
    assert any("3 pairs can show no p-value below 0.25" in s for s in said)
    (steps,) = (s for s in said if s.startswith("The best student"))
    assert steps.startswith(f"The best student ({best})")
    assert "after 0.50 of the steps" in steps
    (alone,) = (s for s in said if s.startswith("The students' shape"))
    assert alone.endswith(
        "ends at 4.500 nats, +0.990 beside the best student's: worth less than "
        "both stages."
    )


def test_an_arm_that_never_arrives_says_so(folder):
    table = Table(folder / "results.csv", study_tables.RESULT_ROW)
    for row in table.rows:
        if row["arm"] == "plain random < plain":
            row["curve"] = "0:9 10:8 20:7"
    table.add([])
    study = Study(folder, SEEDS, 6.0)
    assert steps_to(study, "plain random < plain", 20) is None
    assert study_report.share_of(None) == "never"


def test_a_rounded_curve_is_where_it_ends(folder):
    table = Table(folder / "results.csv", study_tables.RESULT_ROW)
    for row in table.rows:
        if row["arm"] == study_arms.DISTILBERT.name:
            row["final"], row["curve"] = "3.99996", "0:5.0 10:4.2 20:4.0000"
    table.add([])
    study = Study(folder, SEEDS, 6.0)
    assert steps_to(study, study_arms.DISTILBERT.name, 20) == 1.0


def test_the_report_is_one_page_with_its_pictures(folder):
    write_report(folder, Config, SEEDS, {"masked_cross_entropy": 6.0})
    for name in study_report.FIGURES:
        assert (folder / name).stat().st_size > 10_000
    markdown = (folder / "report.md").read_text("utf-8")
    assert "| plain every_other < plain | 0.001 | 5.040" in markdown
    page = (folder / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("<table>") == 4
    assert all(f'alt="{c[:30]}' in page for c in study_report.FIGURES.values())


def find_browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs Chromium")
def test_a_browser_opens_the_report(folder):
    write_report(folder, Config, SEEDS, {"masked_cross_entropy": 6.0})
    done = subprocess.run(
        [
            find_browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--enable-logging=stderr",
            (folder / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "What held and what did not" in done.stdout
    assert done.stdout.count("<img") == 3
    assert "CONSOLE" not in done.stderr


def test_batches_are_a_function_of_seed_and_number(tokenizer):
    blocks = np.arange(7 * 16).reshape(7, 16) % 20 + 5
    masking = kd.MaskedLMMasking(
        tokenizer.vocabulary_size,
        tokenizer.special_ids,
        tokenizer.pad_id,
        tokenizer.mask_id,
        seed=3,
    )

    def make(**arguments):
        return MaskedBlocks(blocks, masking, 2, 6, **arguments)

    first, again = make(), make()
    for index in (4, 0, 5):  # three to an epoch, one block waits
        for one, other in zip(
            first[index][0].values(), again[index][0].values(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    orders = [first.order(epoch).tolist() for epoch in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(7))
    assert orders[0] != orders[1]
    batch = first[4][0]  # the second of the second epoch
    expected = masking(blocks[orders[1][2:4]], np.array(orders[1][2:4]), 1)
    np.testing.assert_array_equal(batch["token_ids"], expected[0]["token_ids"])
    in_order = make(shuffle=False).arrays()
    expected = masking(blocks[2:4], np.array([2, 3]), 0)
    np.testing.assert_array_equal(in_order[1][1], expected[1])
    assert len(in_order) == 6
    with pytest.raises(IndexError):
        first[6]


def test_a_table_is_there_again(tmp_path):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    table.add([{"a": 1, "b": "x, y"}])
    table.add([{"a": 2, "b": 0.5}])
    again = Table(tmp_path / "t.csv", ("a", "b"))
    assert again.find(a=1) == [{"a": "1", "b": "x, y"}]
    assert again.find(a=2, b=0.5) == [{"a": "2", "b": "0.5"}]
    assert again.find(a=3) == []
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.fixture
def runs(tmp_path, tokenizer):
    documents = ["the cat sat on the mat and looked at the dog"] * 40
    store = {
        part: kd.TokenStore.write(tmp_path / part, documents, tokenizer, 16)
        for part in ("train", "held_out")
    }
    return Runs(Config, tmp_path, store, tokenizer)


def test_flops_by_hand(runs, tokenizer):
    """4 sequences of 16 tokens, width 8, inner 32, a quarter masked."""
    layer = 64 * (8 * 64 + 4 * 8 * 32 + 4 * 16 * 8)
    head = 2 * 16 * 8 * (8 + tokenizer.vocabulary_size)
    assert runs.flops(3) == 3 * (3 * layer + head)
    assert runs.student_flops() == 3 * (2 * layer + head) + 3 * layer + head
    arms = study_arms.TEACHERS
    dropped = 3 * (3 * 0.8 * layer + head)
    assert runs.teacher_flops(arms["layerdrop"]) == pytest.approx(dropped)
    late = 3 * (3 * (1 - 0.5 * 0.45) * layer + head)
    assert runs.teacher_flops(arms["late"]) == pytest.approx(late)
    assert runs.teacher_flops(arms["sandwich"]) == 3 * (5 * layer + 2 * head)
    assert runs.teacher_steps(arms["layerdrop"]) == 100
    share = runs.flops(3) / runs.teacher_flops(arms["sandwich"])
    assert runs.teacher_steps(arms["sandwich"]) == rounded(100 * share, 10)


def test_late_layer_drop_by_hand():
    """None until 0.4 of the steps, half at 0.55, all from 0.7 on."""
    arm = study_arms.TEACHERS["late"]
    shares = (0.0, 0.4, 0.55, 0.7, 1.0)
    rates = [arm.rate(share) for share in shares]
    assert rates == pytest.approx([0.0, 0.0, 0.25, 0.5, 0.5])
    assert arm.mean_rate() == pytest.approx(
        np.mean([arm.rate(share) for share in np.linspace(0, 1, 1001)]),
        abs=1e-3,
    )
    assert study_arms.TEACHERS["layerdrop"].rate(0.9) == 0.2


def test_rounded_by_hand():
    assert [rounded(steps, 10) for steps in (1, 14, 15, 99)] == [
        10,
        10,
        20,
        100,
    ]


def test_the_arms_are_as_declared():
    names = [arm.name for arm in study_arms.STUDENTS]
    assert len(set(names)) == len(names)
    assert len(study_arms.CONTRASTS) <= 6
    for ours, other in study_arms.CONTRASTS.values():
        assert {ours, other} <= set(names)
    for arm in study_arms.STUDENTS:
        assert {arm.source, arm.teacher} <= set(study_arms.TEACHERS)
        assert arm.tuned_as in study_arms.STUDENTS
    with pytest.raises(ValueError, match="Expected one of STUDENTS"):
        study_arms.student("plain", "last", "plain")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (1,)}, "`--seeds` must be two at least"),
        ({"tuning_seed": 0}, "`--tuning-seed` none|--tuning-seed none"),
        ({"kept": 6}, "`--kept` must be from 1 to 5"),
        ({"student_steps": 7}, "`--student-steps` must be a multiple"),
        ({"store": "nowhere"}, "`--store`"),
    ],
)
def test_what_cannot_be_ends_the_program(tmp_path, changes, message):
    config = study_initialization.Config(
        store=str(tmp_path), run=str(tmp_path / "run")
    )
    config = dataclasses.replace(config, **changes)
    with pytest.raises(SystemExit, match=message):
        study_initialization.main(config)


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(
    tmp_path, tokenizer, monkeypatch, capsys
):
    """A few arms of it; then rows are taken away, and made again."""
    teachers = {name: study_arms.TEACHERS[name] for name in ("plain", "late")}
    chosen = [
        study_arms.DISTILBERT,
        study_arms.StudentArm("late", "searched", "late", "gains"),
    ]
    contrasts = {"late": (chosen[1].name, chosen[0].name)}
    for module in (
        study_initialization,
        study_figures,
        study_report,
        study_runs,
    ):
        for name, value in (
            ("TEACHERS", teachers),
            ("STUDENTS", chosen),
            ("CONTRASTS", contrasts),
            ("SHOWN", tuple(teachers)),
        ):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    documents = ["the cat sat on the mat and looked at the dog"] * 40
    for part in ("train", "held_out"):
        kd.TokenStore.write(tmp_path / "s" / part, documents, tokenizer, 16)
    tokenizer.save(tmp_path / "s")
    config = study_initialization.Config(
        store=str(tmp_path / "s"),
        run=str(tmp_path / "run"),
        smoke=True,
        verbose=0,
    )
    found = study_initialization.main(config)
    assert set(found["area_shares"]) == set(teachers)
    results = tmp_path / "run" / "results.csv"
    whole = results.read_text()
    lines = whole.splitlines(keepends=True)
    # A study that was stopped before the last student and what came after.
    last = next(
        i for i, line in enumerate(lines) if line.startswith("student,late")
    )
    results.write_text("".join(lines[:last]))
    study_initialization.main(config)
    assert results.read_text() == whole
    assert "runs done; next:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="by the arguments it was begun with"):
        study_initialization.main(dataclasses.replace(config, mask_rate=0.3))


def test_a_model_outlives_the_training_of_its_copy(tiny_config):
    source, target = (kd.BertMaskedLM(tiny_config, seed=s) for s in (0, 1))
    x = {
        "token_ids": np.array([[2, 9, 8, 3]]),
        "padding_mask": np.ones((1, 4)),
        "mask_positions": np.array([[1]]),
    }
    before = np.asarray(source(x)["logits"])
    copy_weights(source, target)
    np.testing.assert_array_equal(target(x)["logits"], before)
    target.compile("adamw")
    target.fit(x, np.array([[7]]), verbose=0)
    np.testing.assert_array_equal(source(x)["logits"], before)
    assert np.abs(np.asarray(target(x)["logits"]) - before).max() > 0
