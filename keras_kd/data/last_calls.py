"""last_calls: a program may end while batches are being made.

TensorFlow's threads call Python for the next batches, ahead of time. One that
does so while the interpreter shuts down never comes back, and the iterator
that is deleted then waits for it: the program would hang at its very end.
"""

import atexit
import functools
import threading
import time

QUIET = 0.2  # seconds without a call: all buffers are full
AT_MOST = 10.0  # seconds


class LastCalls:
    """Watches functions that other threads call, and waits for the last."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = 0
        self.last = -QUIET

    def watched(self, function):
        """The function; the program does not end in the middle of it."""

        @functools.wraps(function)
        def call(*arguments):
            with self.lock:
                self.running += 1
            try:
                return function(*arguments)
            finally:
                with self.lock:
                    self.running -= 1
                    self.last = time.monotonic()

        return call

    def wait(self):
        """Returns when nothing has been called for a while."""
        end = time.monotonic() + AT_MOST
        while time.monotonic() < end:
            if not self.running and time.monotonic() - self.last >= QUIET:
                return
            time.sleep(QUIET / 20)


@functools.cache
def last_calls():
    """The program's `LastCalls`, which wait when it ends."""
    calls = LastCalls()
    atexit.register(calls.wait)
    return calls
