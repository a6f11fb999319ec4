"""With the extra `onnx`: written, run and compared."""

import time
import weakref

import pytest
from keras_kd.export import onnx_file
from keras_kd.export.onnx_file import write_onnx

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # tf2onnx, NumPy's object
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_kind_computes_what_keras_does(
    any_student, tmp_path, monkeypatch
):
    checked = []

    def check(model, inputs, received, what):
        checked.append(set(received) & set(model.output))
        real_check(model, inputs, received, what)

    real_check = onnx_file.check_outputs
    monkeypatch.setattr(onnx_file, "check_outputs", check)
    write_onnx(any_student, tmp_path / "model.onnx")
    assert len(checked) == 2  # two lengths
    assert all(checked)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_that_differs_is_refused(any_student, tmp_path, monkeypatch):
    def other_inputs(student, length=None):
        inputs = real_inputs(student, length)
        inputs["token_ids"] = inputs["token_ids"][:, ::-1].copy()
        return inputs

    real_inputs = onnx_file.sample_inputs
    real_check = onnx_file.check_outputs
    monkeypatch.setattr(
        onnx_file,
        "check_outputs",
        lambda model, inputs, *rest: real_check(
            model, other_inputs(any_student), *rest
        ),
    )
    with pytest.raises(RuntimeError, match="must give Keras's"):
        write_onnx(any_student, tmp_path / "model.onnx")


def test_garbage_is_collected_while_it_goes_on():
    class Copy:
        def __init__(self):
            self.itself = self

    with onnx_file.collected_often(seconds=0.01):
        copy = weakref.ref(Copy())
        end = time.monotonic() + 10
        while copy() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert copy() is None
