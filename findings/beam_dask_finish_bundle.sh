#!/usr/bin/env bash
# Apache Beam 2.77.0: on the DaskRunner what a DoFn emits at a bundle's end is lost.
#
# One would guess that elements emitted in `DoFn.finish_bundle` reach the next step
# on every runner, as the programming guide has it: `BatchElements` depends on that.
# DaskRunner collects a bundle's results before it calls `finish_bundle`, so they
# vanish, without an error, in a pipeline whose state is DONE.
#
# Seen: a DoFn that gathers numbers and emits their sum at the bundle's end. Direct
# runner (FnApiRunner): the sums add up to 45, all numbers; DaskRunner: nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
    apache-beam==2.77.0 dask==2026.8.0 distributed==2026.8.0
cat > "$folder/program.py" <<'PYTHON'
import pathlib
import sys

import apache_beam as beam
from apache_beam.runners.dask.dask_runner import DaskRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue


class Sum(beam.DoFn):
    def start_bundle(self):
        self.total = 0

    def process(self, number):
        self.total += number

    def finish_bundle(self):
        window = GlobalWindow()
        yield WindowedValue(self.total, window.max_timestamp(), [window])


class Write(beam.DoFn):
    def __init__(self, file):
        self.file = str(file)

    def process(self, total):
        with open(self.file, "a") as file:
            print(total, file=file)


def run(runner, file):
    file.touch()
    pipeline = beam.Pipeline(runner=runner)
    numbers = pipeline | beam.Create(range(10))
    _ = numbers | beam.ParDo(Sum()) | beam.ParDo(Write(file))
    result = pipeline.run()
    result.wait_until_finish()
    return str(result.state), sum(map(int, file.read_text().split()))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    local = run(FnApiRunner(), folder / "local")
    dask = run(DaskRunner(), folder / "dask")
    print("apache-beam", beam.__version__, "local:", local, "Dask:", dask)
    assert local == ("DONE", 45), local
    assert dask == ("DONE", 0), dask
PYTHON
"$folder/venv/bin/python" "$folder/program.py" "$folder"
