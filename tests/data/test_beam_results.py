import json

import numpy as np
import pytest
from keras_kd.data.beam_results import blocks_of, check_results, write_results
from keras_kd.data.packing import frame_running

RESULTS = {
    "shards": {"a": {"length": 8, "blocks": 3}},
    "reasons": {"kept": 4, "duplicate": 1},
    "read": [[0, [2, False]], [1, [3, False]]],
    "tokenised": 4,
    "sizes": [[8, 19]],  # three blocks of six ids, and a [SEP]
}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({}, None),
        ({"read": RESULTS["read"][:1]}, "1 of 2 sources read, 5 of 2 doc"),
        ({"reasons": {"kept": 4}}, "SomeRunner, with 4 of 5 documents judged"),
        ({"tokenised": 3}, "3 of 4 documents tokenised; no store"),
        ({"sizes": [[8, 25]]}, "3 of 4 blocks written"),
        ({"shards": {}}, "0 of 3 blocks written"),
    ],
)
def test_what_a_runner_loses_is_an_error(changes, message):
    layout = {"block_length": 8, "line_by_line": False}
    arguments = {**RESULTS, **changes}, 2, layout, "SomeRunner"
    if message is None:
        check_results(*arguments)
        return
    with pytest.raises(RuntimeError, match=message):
        check_results(*arguments)


@pytest.mark.parametrize("number", [0, 1, 6, 7, 12, 13, 18, 19, 60, 67])
def test_blocks_of_running_text_are_counted(letters, number):
    """With the last [SEP], which is that of the frame."""
    layout = {"block_length": 8, "line_by_line": False}
    ids = np.full(number, 5)
    blocks = frame_running(ids, letters, 8)
    assert blocks_of(number + 1, 8, layout) == len(blocks)
    assert blocks_of(5, 8, {"line_by_line": True}) == 5


def test_results_are_written_for_the_program_that_waits(tmp_path):
    write_results(
        tmp_path / "results.json",
        [("a", {"length": 8, "blocks": 3})],
        [np.array([1, 2])],
        {"kept": 4, "duplicate": 1},
        [(0, (2, False)), (1, (3, False))],
        [3, 1],
        [(8, 19)],
    )
    found = json.loads((tmp_path / "results.json").read_text())
    assert found == {**RESULTS, "counts": [1, 2]}
