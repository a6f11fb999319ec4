"""A study's report as one HTML page with its pictures. Not a recipe."""

import base64
import html


def page(text, folder):
    """Of the report, one HTML file that needs no other."""
    body, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("| ").split("|")])
            continue
        if rows:
            body.append(html_table(rows))
            rows = []
        if line.startswith("!["):
            alt, name = line[2:-1].split("](")
            data = base64.b64encode((folder / name).read_bytes()).decode()
            body.append(
                f'<img alt="{html.escape(alt)}" '
                f'src="data:image/png;base64,{data}">'
            )
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            heading = html.escape(line.lstrip("# "))
            body.append(f"<h{level}>{heading}</h{level}>")
        elif line.startswith("- "):
            body.append(f"<li>{html.escape(line[2:])}</li>")
        elif line:
            body.append(f"<p>{html.escape(line)}</p>")
    return PAGE.format(body="\n".join(body))


def html_table(rows):
    """A table's rows, the first of headings, the second of rules."""
    headings, _, *rows = rows

    def line(cells, tag):
        cells = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
        return f"<tr>{cells}</tr>"

    rows = [line(headings, "th"), *(line(row, "td") for row in rows)]
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Which start is best?</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; color: #222; }}
img {{ max-width: 100%; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
td, th {{ border: 1px solid #ccc; padding: 0.2rem 0.5rem; text-align: left; }}
</style></head><body>
{body}
</body></html>
"""
