import json
import shutil
import sys

import numpy as np
import pytest
from keras_kd.checkpoints import tensor_files as tensor_files_module
from keras_kd.checkpoints.tensor_files import list_tensors, tensor_files
from safetensors.numpy import save_file


@pytest.fixture
def folder(tmp_path, golden):
    def copy(name):
        return shutil.copytree(golden / name, tmp_path / name)

    return copy


def test_tensors_are_read_one_at_a_time_as_float32(golden):
    found = {
        tensor.key: tensor for tensor in list_tensors(golden / "bert_model")
    }
    tensor = found["embeddings.word_embeddings.weight"]
    assert tensor.shape == tensor.our_shape == (40, 8)
    values = tensor.array()
    assert values.shape == (40, 8)
    assert values.dtype == np.float32


@pytest.mark.parametrize("at_once", [1, 7, 16, 10**6])
def test_rows_read_in_pieces_are_the_rows(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(tensor_files_module, "NUMBERS_AT_ONCE", at_once)
    random = np.random.default_rng(0)
    saved = {
        "matrix": random.normal(size=(11, 3)).astype("float16"),
        "vector": random.normal(size=5).astype("float32"),
        "none": np.zeros((0, 3), "float32"),
        "scalar": np.array(2.5, "float32"),
    }
    save_file(saved, tmp_path / "model.safetensors")
    for tensor in list_tensors(tmp_path):
        values = tensor.array()
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, saved[tensor.key])
        assert values.shape == saved[tensor.key].shape


def test_shards_are_all_read(golden):
    folder = golden / "bert_pre_training_sharded"
    assert [path.name for path in tensor_files(folder)] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    keys = {tensor.key for tensor in list_tensors(folder)}
    assert keys == set(index["weight_map"])


def test_a_missing_shard_is_named(folder):
    folder = folder("bert_pre_training_sharded")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model-00002-of-00002"):
        tensor_files(folder)


def test_an_index_without_a_map_is_named(folder):
    folder = folder("bert_pre_training_sharded")
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ValueError, match="`weight_map`"):
        tensor_files(folder)


def test_a_truncated_file_is_named(folder):
    path = folder("bert_model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"whole files.*model\.safetensors"):
        list_tensors(path.parent)


def test_json_that_is_none_is_named(folder):
    folder = folder("bert_pre_training_sharded")
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(ValueError, match="must be JSON"):
        tensor_files(folder)


def test_a_folder_without_weights_lists_what_it_has(tmp_path):
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(FileNotFoundError, match=r"tf_model\.h5"):
        tensor_files(tmp_path)


def test_pickled_tensors_ask_for_pytorch(golden, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # not to be imported
    with pytest.raises(ImportError, match="pip install torch"):
        list_tensors(golden / "bert_pickled")


def test_pickled_code_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")

    class Code:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"a": Code()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="of tensors alone"):
        list_tensors(tmp_path)
    assert not (tmp_path / "ran").exists()
