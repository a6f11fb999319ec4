import hashlib

import pytest
from keras_kd.file_digest import digest_of


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 1_000_000])
def test_a_digest_is_that_of_the_content(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert digest_of(path) == hashlib.blake2b(content).hexdigest()
