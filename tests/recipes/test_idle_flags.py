import dataclasses

import idle_flags
import pytest


@dataclasses.dataclass(frozen=True)
class Config:
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    store: tuple[str, ...] = ()
    store_weights: tuple[float, ...] = ()


def test_what_is_given_is_what_is_no_default():
    config = Config(text_column="body", store=("s",))
    assert idle_flags.given(config, ("corpus", "text_column", "other")) == [
        "--text-column"
    ]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"store": ("s",), "corpus": ("a",)}, "`--corpus` would do nothing"),
        ({"store": ("s",), "text_column": "t"}, "Received: --text-column t"),
        (
            {"store": ("s",), "validation_corpus": ("a",)},
            "`--validation-corpus` would do nothing with --store",
        ),
        ({"store_weights": (1.0,)}, "`--store-weights`.*without --store"),
    ],
)
def test_a_text_named_twice_ends_the_program(changes, message):
    with pytest.raises(SystemExit, match=message):
        idle_flags.check_text(Config(**changes))


def test_a_store_with_weights_and_a_corpus_alone_are_taken():
    idle_flags.check_text(Config(store=("s", "t"), store_weights=(1.0, 2.0)))
    idle_flags.check_text(Config(corpus=("a",), validation_corpus=("b",)))


def test_what_does_no_harm_is_said(capsys):
    idle_flags.say_idle(Config(), ("corpus",), "here")
    assert capsys.readouterr().out == ""
    idle_flags.say_idle(Config(corpus=("a",)), ("corpus",), "here")
    assert capsys.readouterr().out == "Of no use here: --corpus\n"
