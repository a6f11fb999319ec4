import pathlib
import re
import subprocess
import sys

import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_the_example_works_when_pasted_into_an_empty_file(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    (tmp_path / "example.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"student +\d\.\d{3} ", done.stdout)
    assert (tmp_path / "my_student" / "saved_model").is_dir()
    assert (tmp_path / "my_student" / "student.keras").is_file()
