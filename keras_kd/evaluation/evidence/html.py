"""Sections as one HTML file that asks the network for nothing.

Its own policy forbids it to: style and charts are inside of it.
"""

import html

from keras_kd.evaluation.evidence.pages import (
    Bullets,
    Figure,
    Listing,
    Table,
    Text,
)


def to_html(title, sections):
    """The sections as one HTML file, str, figures and style inside of it."""
    body = []
    for section in sections:
        parts = "\n".join(_HTML[type(part)](part) for part in section.parts)
        heading = html.escape(section.title)
        body.append(f"<section>\n<h2>{heading}</h2>\n{parts}\n</section>")
    page = _PAGE.replace("TITLE", html.escape(title))
    return page.replace("BODY", "\n".join(body))


def _html_text(part):
    text = html.escape(part.text)
    if part.link:
        link = html.escape(part.link)
        text += f' <a href="{link}" rel="noreferrer">{link}</a>'
    return f"<p>{text}</p>"


def _html_bullets(part):
    items = "".join(f"<li>{html.escape(item)}</li>" for item in part.items)
    return f"<ul>{items}</ul>"


def _html_table(part):
    caption = html.escape(part.caption)
    head = "".join(
        f'<th scope="col">{html.escape(name)}</th>' for name in part.headings
    )
    rows = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
        + "</tr>\n"
        for first, *rest in part.rows
    )
    words = ' class="words"' if part.words else ""
    # What scrolls is reached by the keyboard; its caption stays where it is.
    table = (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}">'
        f"<table{words}>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div>"
    )
    if part.folded:
        return _folded(caption, table)
    return f'<p class="caption">{caption}</p>{table}'


def _html_figure(part):
    svg = part.svg[part.svg.index("<svg") :]
    svg = svg.replace("#ffffff", "var(--page)")
    svg = svg.replace("#000000", "var(--ink)")
    alt = html.escape(part.alt)
    # A picture with a text for it, whose own letters are not read aloud.
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
    shown = f'<figcaption aria-hidden="true">{alt}</figcaption>'
    return f"<figure>{svg}{shown}</figure>"


def _html_listing(part):
    caption = html.escape(part.caption)
    text = f"<pre>{html.escape(part.text)}</pre>"
    return _folded(caption, text) if part.folded else f"<p>{caption}:</p>{text}"


def _folded(summary, body):
    return f"<details><summary>{summary}</summary>{body}</details>"


_HTML = {
    Text: _html_text,
    Bullets: _html_bullets,
    Table: _html_table,
    Figure: _html_figure,
    Listing: _html_listing,
}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>TITLE</title>
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1c2127;
  --soft: #57606a; --line: #d0d7de; --band: #f5f7f9; --link: #0757b5; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b;
  --ink: #e4e8ed; --soft: #9aa5b1; --line: #343b44; --band: #1b2027;
  --link: #74b3ff; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 46rem; padding: 1rem 1rem 3rem;
  font: 1rem/1.55 system-ui, sans-serif; background: var(--page);
  color: var(--ink); overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.2rem 0 0.6rem;
  padding-top: 0.8rem; border-top: 1px solid var(--line); }
a { color: var(--link); }
ul { padding-left: 1.2rem; }
li { margin: 0.3rem 0; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 36rem;
  margin: 0 auto; }
figure svg text { fill: var(--ink); }
figcaption, .caption { color: var(--soft); font-size: 0.85rem;
  line-height: 1.45; }
.caption { margin: 1.2rem 0 0.3rem; }
.wide { overflow-x: auto; margin: 0.3rem 0 0.8rem; }
table { border-collapse: separate; border-spacing: 0; font-size: 0.85rem;
  line-height: 1.35; font-variant-numeric: tabular-nums;
  overflow-wrap: break-word; }
th, td { padding: 0.35rem 0.6rem; border-bottom: 1px solid var(--line);
  text-align: right; white-space: nowrap; vertical-align: top; }
thead th { background: var(--band); font-weight: 600; }
th:first-child { text-align: left; position: sticky; left: 0;
  min-width: 4.5rem; max-width: 9rem; white-space: normal; }
tbody th { background: var(--page); font-weight: 500; }
.words th, .words td { text-align: left; white-space: normal; }
.words td { min-width: 6.5rem; max-width: 13rem; }
.words th:first-child { min-width: 7rem; }
pre { background: var(--band); padding: 0.7rem; border-radius: 0.4rem;
  overflow-x: auto; font-size: 0.8rem; line-height: 1.4;
  overflow-wrap: normal; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; color: var(--link); padding: 0.3rem 0; }
</style>
</head>
<body>
<main>
<h1>TITLE</h1>
BODY
</main>
</body>
</html>
"""
