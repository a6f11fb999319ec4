import re

import pytest
from keras_kd.evaluation.evidence.pages import (
    Bullets,
    Figure,
    Listing,
    Section,
    Table,
    Text,
    escape_markdown,
    to_markdown,
)


@pytest.mark.parametrize(
    "text, escaped",
    [
        ("a|b", r"a\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[MASK] `x` *y*", r"\[MASK\] \`x\` \*y\*"),
        ("every_other _x_", r"every_other \_x\_"),
        ("two\nlines", "two lines"),
        ("a\\|b", r"a\\\|b"),
    ],
)
def test_text_is_shown_by_markdown_as_it_is(text, escaped):
    assert escape_markdown(text) == escaped


def test_sections_as_markdown():
    parts = (
        Text("Of <this>,", link="https://arxiv.org/abs/1706.04599"),
        Bullets(("one", "two")),
        Table("Numbers", ("name", "n"), (("a|b", "1"), ("c", "2"))),
        Figure("chart.svg", "It [grows].", "<svg/>"),
        Listing("Commands", "uv run a\nuv run b"),
    )
    page = to_markdown("A title", [Section("A section", parts)])
    expected = """\
# A title

## A section

Of &lt;this&gt;, <https://arxiv.org/abs/1706.04599>

- one
- two

Numbers:

| name | n |
| --- | ---: |
| a\\|b | 1 |
| c | 2 |

![It \\[grows\\].](chart.svg)

Commands:

```
uv run a
uv run b
```
"""
    assert page == expected


def test_a_fence_is_longer_than_any_within():
    page = to_markdown("", [Section("", (Listing("", "a\n```\nb"),))])
    assert len(re.findall("^````$", page, re.MULTILINE)) == 2
