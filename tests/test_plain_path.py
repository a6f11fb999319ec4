import pytest
from keras_kd.plain_path import plain_paths


@pytest.mark.parametrize("name", ["[0,2]", "*", "a?b", "a\\b", "100 %", "{x}"])
def test_what_is_written_under_the_plain_name_is_in_the_place(tmp_path, name):
    place = tmp_path / name
    place.mkdir()
    (place / "there").write_text("before")
    with plain_paths({"folder": place}) as plain:
        assert (plain / "folder" / "there").read_text() == "before"
        (plain / "folder" / "new").write_text("after")
    assert not plain.exists()
    assert (place / "new").read_text() == "after"
    assert (place / "there").read_text() == "before"
