import subprocess
import sys
import threading
import time

import keras_kd as kd
import pytest
from keras_kd.data import last_calls
from keras_kd.data.last_calls import LastCalls

PROGRAM = """
import keras_kd as kd
tokenizer = kd.WordPieceTokenizer.load({folder!r})
store = kd.TokenStore({folder!r} + "/store")
batches = iter(kd.masked_lm_batches(store, tokenizer, 32).repeat())
for _ in range(50):
    next(batches)
print("done", flush=True)
"""


def test_a_call_that_runs_is_waited_for(monkeypatch):
    monkeypatch.setattr(last_calls, "QUIET", 0.02)
    calls, go_on, returned = LastCalls(), threading.Event(), []

    def slow(number):
        go_on.wait(10)
        returned.append(number)
        return 2 * number

    threads = [
        threading.Thread(target=calls.watched(slow), args=(number,))
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    while calls.running < 2:
        time.sleep(0.001)
    threading.Timer(0.1, go_on.set).start()
    calls.wait()
    assert sorted(returned) == [0, 1]
    assert calls.running == 0


def test_a_call_that_fails_is_over(monkeypatch):
    monkeypatch.setattr(last_calls, "QUIET", 0.02)
    calls = LastCalls()
    with pytest.raises(ZeroDivisionError):
        calls.watched(lambda: 1 / 0)()
    assert calls.running == 0
    assert calls.watched(lambda number: 2 * number)(4) == 8


def test_without_calls_there_is_no_waiting():
    start = time.monotonic()
    LastCalls().wait()
    assert time.monotonic() - start < 0.1


def test_a_call_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(last_calls, "AT_MOST", 0.05)
    calls = LastCalls()
    calls.running = 1
    calls.wait()
    assert calls.running == 1


@pytest.mark.slow
def test_a_program_ends_while_batches_are_made(tmp_path):
    documents = list(kd.read_documents("docstrings"))[:20_000]
    tokenizer = kd.WordPieceTokenizer.train(documents[:500], 1000)
    tokenizer.save(tmp_path)
    kd.TokenStore.write(tmp_path / "store", documents, tokenizer, 128)
    program = PROGRAM.format(folder=str(tmp_path))
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=120,  # it hung in two of three before it was waited for
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.splitlines()[-1] == "done"
