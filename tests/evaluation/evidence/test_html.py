import re

from keras_kd.evaluation.evidence.html import to_html
from keras_kd.evaluation.evidence.pages import (
    Bullets,
    Figure,
    Listing,
    Section,
    Table,
    Text,
)

NASTY = "<script>alert(1)</script> & \"'|"
SVG = (
    '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg>'
    '<path style="fill: #ffffff; stroke: #000000"/></svg>'
)


def page():
    parts = (
        Text(NASTY, link="https://example.org/?a=1&b=2"),
        Bullets((NASTY,)),
        Table(NASTY, (NASTY, "n"), ((NASTY, NASTY),)),
        Table("Folded", ("a", "b"), (("c", "d"),), folded=True, words=True),
        Figure("chart.svg", NASTY, SVG),
        Listing(NASTY, NASTY),
        Listing("Folded", "text", folded=True),
    )
    return to_html(NASTY, [Section(NASTY, parts)])


def test_what_was_written_by_others_is_text_and_never_code():
    found = page()
    assert "<script" not in found
    assert "alert(1)&lt;/script&gt; &amp; &quot;&#x27;|" in found
    assert 'href="https://example.org/?a=1&amp;b=2"' in found


def test_a_chart_has_its_words_and_the_colours_of_the_page():
    found = page()
    (figure,) = re.findall("<figure>.*?</figure>", found, re.DOTALL)
    assert '<svg role="img" aria-label="&lt;script&gt;' in figure
    assert "fill: var(--page); stroke: var(--ink)" in figure
    assert "<?xml" not in found and "<!DOCTYPE svg" not in found


def test_what_is_folded_opens_and_what_scrolls_is_reached_by_keyboard():
    found = page()
    assert found.count("<details>") == found.count("</details>") == 2
    assert found.count('class="wide" role="region" tabindex="0"') == 2
    assert found.count('<table class="words">') == 1


def test_the_page_forbids_itself_the_network_and_fits_a_phone():
    found = page()
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', found)
    assert policy[1].startswith("default-src 'none';")
    assert 'name="viewport" content="width=device-width' in found
    assert "prefers-color-scheme: dark" in found
