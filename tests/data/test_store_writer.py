"""A store that was interrupted ends as one that was not."""

import pytest
from keras_kd.data import store_writer
from keras_kd.data import tokenizer as tokenizer_module
from keras_kd.data.token_store import TokenStore


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


class Killed(BaseException):
    pass


class Documents(list):
    """Documents that end in the middle, once."""

    def __init__(self, documents, until):
        super().__init__(documents)
        self.until = until
        self.begun = 0

    def __iter__(self):
        self.begun += 1
        for number, document in enumerate(super().__iter__()):
            if self.begun == 1 and number == self.until:
                raise Killed
            yield document


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(TokenStore, "SHARD_TOKENS", 3000)
    monkeypatch.setattr(store_writer, "TOKENS_AT_ONCE", 700)
    monkeypatch.setattr(tokenizer_module, "DOCUMENTS_AT_ONCE", 200)


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize("until", [0, 1000, 2500])
def test_an_interrupted_store_ends_with_the_same_bytes(
    tokenizer, tmp_path, small_pieces, until, line_by_line, random_documents
):
    def write(name, documents):
        layout = {"block_length": 10, "line_by_line": line_by_line}
        return TokenStore.write(
            tmp_path / name, documents, tokenizer, **layout, resume=True
        )

    documents = random_documents(3000)
    write("whole", Documents(documents, None))
    cut = Documents(documents, until)
    with pytest.raises(Killed):
        write("cut", cut)
    assert not (tmp_path / "cut").exists()
    beside = tmp_path / "cut.partial"
    shards = sorted(beside.glob("*.bin"))
    assert (
        (len(shards) > 2) == (beside / "progress.json").exists() == bool(until)
    )
    # As a process that is killed while it writes leaves them.
    if until:
        with shards[-1].open("ab") as file:
            file.write(b"half")
    (beside / "blocks-10-00099.bin").write_bytes(b"half")
    (beside / "progress.json.partial").write_bytes(b"{")
    write("cut", cut)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    TokenStore(tmp_path / "cut")


def test_what_is_gone_on_with_must_be_of_the_same(
    tokenizer, tmp_path, small_pieces, random_documents
):
    documents = Documents(random_documents(2500), 2000)

    def write(documents=documents, block_length=10, **layout):
        TokenStore.write(
            tmp_path / "s",
            documents,
            tokenizer,
            block_length,
            resume=True,
            **layout,
        )

    with pytest.raises(Killed):
        write()
    with pytest.raises(ValueError, match="`block_length`.*10. Received: 12"):
        write(block_length=12)
    with pytest.raises(ValueError, match="`line_by_line`.*False. Received: T"):
        write(line_by_line=True)
    with pytest.raises(ValueError, match="`documents` must be that of"):
        write(["a"])
    shard = tmp_path / "s.partial" / "blocks-10-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(ValueError, match="blocks-10-00000.bin as it was"):
        write()


@pytest.mark.parametrize("unknown, said", [(1, ""), (2, "2.0 % of its tokens")])
def test_more_than_one_unknown_token_in_a_hundred_is_said(
    letters, tmp_path, caplog, unknown, said
):
    text = "a " * (100 - unknown) + "\u4e00 " * unknown
    TokenStore.write(tmp_path / "store", [text], letters, 52)
    assert (said in caplog.text) and bool(caplog.text) == bool(said)
    if said:
        assert f"{tmp_path / 'store'}: 2.0 %" in caplog.text
        assert "`WordPieceTokenizer.train`" in caplog.text
