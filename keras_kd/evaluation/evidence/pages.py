"""The parts that a page is built of, and how they are written in Markdown."""

import dataclasses
import html
import re


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph; `link` is a web address that ends it."""

    text: str
    link: str | None = None


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of str under headings; the first cell names its row.

    In the HTML `folded` tables open when they are asked for, and those of
    `words`, not of numbers, may break lines.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    words: bool = False


@dataclasses.dataclass(frozen=True)
class Figure:
    """A chart: `name` of its file, `alt` for who cannot see it, and its SVG.

    The SVG has `#ffffff` for paper and `#000000` for ink: in the HTML they
    become the colours of the page, dark or light.
    """

    name: str
    alt: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """Commands, or a file, letter by letter."""

    caption: str
    text: str
    folded: bool = False


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    parts: tuple


def to_markdown(title, sections):
    """The sections as Markdown, str; figures are files beside it."""
    lines = [f"# {escape_markdown(title)}", ""]
    for section in sections:
        lines += [f"## {escape_markdown(section.title)}", ""]
        for part in section.parts:
            lines += [*_MARKDOWN[type(part)](part), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def escape_markdown(text):
    """Text that Markdown shows as it is, in tables too."""
    text = " ".join(html.escape(str(text), quote=False).split())
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", text)
    # An underscore within a word means nothing and may stay readable.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _markdown_text(part):
    text = escape_markdown(part.text)
    return [f"{text} <{part.link}>" if part.link else text]


def _markdown_bullets(part):
    return [f"- {escape_markdown(item)}" for item in part.items]


def _markdown_table(part):
    def line(cells):
        return f"| {' | '.join(map(escape_markdown, cells))} |"

    rule = "| --- |" + " ---: |" * (len(part.headings) - 1)
    return [
        f"{escape_markdown(part.caption)}:",
        "",
        line(part.headings),
        rule,
        *map(line, part.rows),
    ]


def _markdown_figure(part):
    return [f"![{escape_markdown(part.alt)}]({part.name})"]


def _markdown_listing(part):
    fence = "```"
    while fence in part.text:
        fence += "`"
    caption = f"{escape_markdown(part.caption)}:"
    return [caption, "", fence, *part.text.splitlines(), fence]


_MARKDOWN = {
    Text: _markdown_text,
    Bullets: _markdown_bullets,
    Table: _markdown_table,
    Figure: _markdown_figure,
    Listing: _markdown_listing,
}
