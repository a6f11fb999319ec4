import dataclasses
import errno
import json
import resource
import sys
import tempfile

import keras_kd as kd
import keras
import numpy as np
import pytest
import tensorflow as tf

# The function has its module's name.
MODULE = sys.modules["keras_kd.export.export_student"]

FILES = {"student.keras", "saved_model", *MODULE.OTHER_FILES}


@pytest.fixture
def student(tiny_config):
    return kd.BertMaskedLM(tiny_config, seed=0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tokenizer):
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 2, max_sequence_length=12
    )
    student = kd.BertMaskedLM(config, seed=0)
    folder = tmp_path_factory.mktemp("export") / "mine"
    metrics = {"student": {"masked_cross_entropy": 1.5}}
    return student, kd.export_student(student, folder, tokenizer, metrics)


def test_the_folder_holds_everything_and_nothing_else(exported):
    _, folder = exported
    assert {path.name for path in folder.iterdir()} == FILES
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == {"student": {"masked_cross_entropy": 1.5}}
    assert "| student | 1.500 |" in (folder / "README.md").read_text()


def test_the_keras_file_gives_the_same_logits(exported):
    student, folder = exported
    again = keras.saving.load_model(folder / "student.keras")
    x = {
        "token_ids": np.arange(12)[None],
        "padding_mask": np.ones((1, 12), int),
        "mask_positions": np.array([[3]]),
    }
    np.testing.assert_array_equal(again(x)["logits"], student(x)["logits"])


def test_the_saved_model_fills_masks_and_embeds(exported, tokenizer):
    student, folder = exported
    model = tf.saved_model.load(str(folder / "saved_model"))
    texts = ["the [MASK] sat", "no mask at all", "[MASK] and [MASK]"]
    filled = model.signatures["fill_mask"](tf.constant(texts))
    vectors = model.signatures["embed"](tf.constant(texts))["embedding"]
    scores = filled["scores"].numpy().tolist()
    tokens = [
        [token.decode() for token in row]
        for row in filled["tokens"][:, 0].numpy()
    ]
    ids = tokenizer.encode_batch(["the [MASK] sat"])[0]
    ids = np.array([tokenizer.cls_id, *ids, tokenizer.sep_id])
    position = int(np.argmax(ids == tokenizer.mask_id))
    outputs = student(
        {
            "token_ids": ids[None],
            "padding_mask": np.ones((1, len(ids)), int),
            "mask_positions": np.array([[position]]),
        }
    )
    probabilities = keras.ops.convert_to_numpy(
        keras.ops.softmax(outputs["logits"])[0, 0]
    )
    best = np.argsort(-probabilities)[:5]
    assert tokens[0] == [tokenizer.vocabulary[i] for i in best]
    np.testing.assert_allclose(scores[0][0], probabilities[best], rtol=1e-4)
    assert scores[0][1] == [0.0] * 5  # one mask only
    assert tokens[1] == [""] * 5  # none
    assert np.shape(scores) == (3, 2, 5)
    mean = keras.ops.convert_to_numpy(outputs["hidden_states"][-1])[0].mean(0)
    np.testing.assert_allclose(
        vectors[0], mean / np.linalg.norm(mean), atol=1e-5
    )


def test_the_tokenizer_comes_back(exported, tokenizer):
    _, folder = exported
    again = kd.WordPieceTokenizer.load(folder)
    assert again.vocabulary == tokenizer.vocabulary


def test_an_export_is_not_overwritten_unasked(exported, tokenizer):
    student, folder = exported
    with pytest.raises(FileExistsError, match="overwrite=True"):
        kd.export_student(student, folder, tokenizer)


def test_a_users_own_files_are_not_replaced_unasked(
    student, tokenizer, tmp_path
):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"with \['README.md'\]"):
        kd.export_student(student, tmp_path, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_another_vocabulary_is_refused(student, tmp_path):
    other = kd.WordPieceTokenizer.train(["ab ba"] * 9, vocabulary_size=9)
    with pytest.raises(ValueError, match="`tokenizer` must have the student's"):
        kd.export_student(student, tmp_path / "out", other)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "step",
    ["write_saved_model", pytest.param("model_card", marks=pytest.mark.slow)],
)
def test_a_full_disk_leaves_nothing_half_written(
    student, tmp_path, tokenizer, monkeypatch, step
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MODULE, step, full)
    with pytest.raises(OSError, match="`folder` could not be written.*space"):
        kd.export_student(student, tmp_path / "out", tokenizer)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_read_only_disk_is_named_and_what_is_there_stays(
    student, tmp_path, tokenizer, monkeypatch
):
    (tmp_path / "notes.txt").write_text("mine")

    def read_only(*_, **__):  # as root one may write where others may not
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(OSError, match="`folder` could not be written.*Read-on"):
        kd.export_student(student, tmp_path, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_disk_that_takes_only_small_files_leaves_nothing(
    student, tmp_path, tokenizer
):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(OSError, match="`folder` could not be written"):
            kd.export_student(student, tmp_path / "out", tokenizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failing_export_leaves_the_old_one_whole(
    tiny_config, tmp_path, tokenizer, monkeypatch
):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    folder = tmp_path / "out"
    kd.export_student(student, folder, tokenizer, formats=["keras"])
    before = (folder / "student.keras").read_bytes()
    names = {path.name for path in folder.iterdir()}

    def differs(*_):
        raise RuntimeError("differs")

    monkeypatch.setattr(MODULE, "write_saved_model", differs)
    other = kd.BertMaskedLM(tiny_config, seed=1)
    with pytest.raises(RuntimeError, match="differs"):
        kd.export_student(other, folder, tokenizer, overwrite=True)
    assert (folder / "student.keras").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == names


@pytest.mark.slow
def test_overwriting_replaces_and_leaves_other_files(
    tiny_config, tmp_path, tokenizer
):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    kd.export_student(kd.BertMaskedLM(tiny_config, seed=0), folder, tokenizer)
    before = (folder / "student.keras").read_bytes()
    other = kd.BertMaskedLM(tiny_config, seed=1)
    kd.export_student(other, folder, tokenizer, overwrite=True)
    assert (folder / "student.keras").read_bytes() != before
    assert {path.name for path in folder.iterdir()} == FILES | {"notes.txt"}


def test_a_folder_that_cannot_be_made_is_named(student, tokenizer, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="`folder` could not be written"):
        kd.export_student(student, blocked / "out", tokenizer)


def test_formats_are_checked_before_any_work(student, tokenizer, tmp_path):
    for arguments, message in (
        ({"formats": ["pdf"]}, "`formats` must be out of.*'pdf'"),
        ({"formats": []}, "`formats` must be out of"),
        ({"formats": ["litert_int8"]}, "`held_out` must be batches"),
        ({"formats": ["litert"], "length": 99}, "`length` must be.* 16 pos"),
    ):
        with pytest.raises(ValueError, match=message):
            kd.export_student(student, tmp_path / "out", tokenizer, **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", MODULE.EXTRAS)
def test_a_format_without_its_extra_says_what_to_install(
    student, tokenizer, tmp_path, monkeypatch, name
):
    for module in MODULE.EXTRAS[name]:
        monkeypatch.setitem(sys.modules, module, None)  # not to be imported
    extra = name.removesuffix("_int8")
    with pytest.raises(ImportError, match=rf"keras-kd\[{extra}\]"):
        kd.export_student(
            student,
            tmp_path / "out",
            tokenizer,
            formats=[name],
            held_out=[],
            length=8,
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_for_transformers_is_one_of_the_formats(
    student, tokenizer, tmp_path
):
    kd.export_student(student, tmp_path, tokenizer, formats=["hugging_face"])
    folder = tmp_path / "hugging_face"
    assert "library_name: transformers" in (folder / "README.md").read_text()
    again = kd.load_checkpoint(folder)
    for name, variable in student.named_variables().items():
        np.testing.assert_array_equal(again.named_variables()[name], variable)
    assert not (tmp_path / "saved_model").exists()


@pytest.mark.slow
def test_every_format_pools_as_asked(tokenizer, tmp_path, monkeypatch):
    """What each writer checks its file against is the [CLS] pooling."""
    student = kd.BertBackbone(kd.BertConfig(tokenizer.vocabulary_size, 1, 8, 2))
    received = {}
    for name in ("write_onnx", "write_openvino", "write_litert"):

        def write(student, path, *rest, name=name):
            received[name] = rest[-1]
            path.touch()

        monkeypatch.setattr(MODULE, name, write)

    def write_int8(student, path, *rest):
        received["int8"] = rest[-1]
        path.touch()
        return "best outputs that are Keras's", 1.0, 3

    monkeypatch.setattr(MODULE, "write_litert_int8", write_int8)
    monkeypatch.setattr(MODULE, "import_extra", lambda *_: None)
    kd.export_student(
        student,
        tmp_path,
        tokenizer,
        formats=["hugging_face", "saved_model", "onnx", "openvino", "litert"]
        + ["litert_int8"],
        held_out=[],
        length=8,
        pooling="cls",
    )
    assert len(received) == 4
    assert set(received.values()) == {kd.SentenceEmbedding("cls")}
    path = tmp_path / "hugging_face" / "1_Pooling" / "config.json"
    assert json.loads(path.read_text())["pooling_mode_cls_token"]
    ids = np.array([[tokenizer.cls_id, 7, 8, tokenizer.sep_id]], "int32")
    x = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    states = np.asarray(student(x)["hidden_states"][-1])
    first = states[:, 0] / np.linalg.norm(states[:, 0])
    model = tf.saved_model.load(str(tmp_path / "saved_model"))
    text = tokenizer.decode([7, 8])
    for name, inputs in (
        ("serving_default", x | {"segment_ids": np.zeros_like(ids)}),
        ("embed", {"text": [text]}),
    ):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        found = model.signatures[name](**inputs)["embedding"]
        np.testing.assert_allclose(found, first, atol=1e-5, err_msg=name)


def test_an_encoders_own_longest_text_holds(tiny_config, tokenizer, tmp_path):
    own = kd.SentenceEmbedding(max_length=8)
    config = dataclasses.replace(tiny_config, embedding=own)
    student = kd.BertBackbone(config, seed=0)
    with pytest.raises(ValueError, match="`length` must be from 1 to .* 8"):
        kd.export_student(
            student, tmp_path, tokenizer, formats=["litert"], length=9
        )
    kd.export_student(student, tmp_path, tokenizer, formats=["hugging_face"])
    path = tmp_path / "hugging_face" / "sentence_bert_config.json"
    assert json.loads(path.read_text())["max_seq_length"] == 8
