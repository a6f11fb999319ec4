import platform

import pytest
from keras_kd import huge_pages


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A Linux where huge pages are there on request."""
    modes = tmp_path / "enabled"
    modes.write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "MODES", modes)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.top_pad=67108864")
    return modes


def test_jax_on_a_processor_is_told_what_to_set(machine):
    said = huge_pages.huge_pages_advice("jax", "CPU:0")
    assert said.startswith("GLIBC_TUNABLES=glibc.malloc.hugetlb=1, set before")


@pytest.mark.parametrize(
    ("backend", "device"), [("tensorflow", "CPU:0"), ("jax", "GPU:0")]
)
def test_others_have_nothing_to_gain(machine, backend, device):
    assert huge_pages.huge_pages_advice(backend, device) is None


def test_it_is_said_only_where_it_can_help(machine, monkeypatch):
    def advice():
        return huge_pages.huge_pages_advice("jax", "CPU:0")

    for libc in (("glibc", "2.31"), ("", ""), ("musl", "1.2")):
        with monkeypatch.context() as patch:
            patch.setattr(platform, "libc_ver", lambda libc=libc: libc)
            assert advice() is None
    with monkeypatch.context() as patch:
        patch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
        assert advice() is None
    machine.write_text("[always] madvise never\n")  # they are there already
    assert advice() is None
    machine.unlink()  # a kernel without them, or not Linux
    assert advice() is None
