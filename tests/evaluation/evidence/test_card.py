import html
import html.parser
import json
import re
import shutil
import subprocess

import pytest
from keras_kd.evaluation.evidence.card import evidence_card

STUDENT, ALONE = "student <b>|&", "_alone_ $1$"
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:%| M)?")


class Tables(html.parser.HTMLParser):
    """The rows of a page's tables, cells as text."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.cell = [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append("".join(self.cell))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)


def markdown_rows(page):
    """The rows of a Markdown page's tables, cells as text."""
    found = []
    for line in page.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            cells = [re.sub(r"\\(\W|_)", r"\1", cell) for cell in cells]
            found.append([html.unescape(cell).strip() for cell in cells])
    return found


def numbers(value):
    """All numbers in what JSON holds, those within str too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(key)
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, str):
        for found in re.findall(r"\d+(?:\.\d+)?", value):
            yield float(found)
    elif value is not None:
        yield float(value)


def is_known(shown, known):
    """Whether a number that is shown is one of those known, rounded."""
    scale = {"%": 100, "M": 1e-6}.get(shown[-1], 1)
    plain = shown.rstrip("% M").replace(",", "")
    decimals = len(plain.partition(".")[2])
    values = {f"{value * scale:.{decimals}f}" for value in known}
    return {plain.lstrip("+"), plain.lstrip("+-")} & values


@pytest.fixture(scope="module")
def card(made_up, task):
    return evidence_card({**made_up, "tasks": [task]})


def test_a_card_is_all_of_its_files(card):
    assert set(card) == {
        "card.md",
        "card.html",
        "metrics.json",
        "quality.svg",
        "frequency.svg",
        "reliability.svg",
    }
    for name in re.findall(r"!\[.*\]\((.*)\)", card["card.md"]):
        assert name in card
    assert card["card.html"].count("<svg") == 3


def test_both_pages_have_the_same_tables(card):
    rows = Tables(card["card.html"]).rows
    assert rows == markdown_rows(card["card.md"])
    assert any(STUDENT in row for row in rows)


def test_every_number_that_is_shown_is_in_the_metrics(card):
    known = list(numbers(json.loads(card["metrics.json"])))
    known += [1, 2, 3]  # the ranks of choices
    shown = [
        number
        for row in markdown_rows(card["card.md"])
        for cell in row
        for number in NUMBER.findall(cell)
    ]
    assert len(shown) > 150
    shown += [
        number
        for text in re.findall('aria-label="([^"]*)"', card["card.html"])
        for number in NUMBER.findall(html.unescape(text))
    ]
    answer = card["card.md"].split("## ")[1]
    shown += NUMBER.findall(answer)
    assert [n for n in shown if not is_known(n, known)] == []
    assert not is_known("3.501", known)  # what is made up is found


def test_the_answer_has_the_numbers_of_the_best_student(card):
    answer = html.unescape(card["card.md"].split("## ")[1].replace("\\", ""))
    assert f"{STUDENT}: 2.10 M parameters (50.0% of the teacher's)" in answer
    assert "It keeps 83.3% of what the teacher learnt" in answer
    assert f"Beside it, {ALONE} (not distilled" in answer
    assert "SST-2: student keeps 90.0% of the teacher's accuracy" in answer


def test_how_to_run_it_again_is_on_the_card(card):
    page = card["card.html"]
    command = f"uv run recipes/NAME.py --config '{STUDENT}/config.json'"
    assert html.escape(command) in page
    assert "config.json of teacher" in page


def test_without_a_teacher_and_settings_nothing_is_made_up(results):
    results["models"]["teacher"]["run"] = {"config": {}, "replay": ""}
    results["teacher"] = None
    page = evidence_card(results)["card.md"]
    assert "How teacher was made is not known" in page
    assert "of the teacher's" not in page


def test_a_teacher_alone_is_no_card(results):
    results["models"] = {"teacher": results["models"]["teacher"]}
    with pytest.raises(ValueError, match="not the teacher. Received"):
        evidence_card(results)


def test_nothing_on_the_page_is_fetched(card):
    page = card["card.html"]
    targets = re.findall(r'(?:src|href)="([^"]*)"', page)
    fetched = [t for t in targets if not t.startswith(("#", "data:"))]
    assert fetched == ["https://arxiv.org/abs/1706.04599"]  # a link
    assert f'<a href="{fetched[0]}"' in page
    assert not re.search(r"url\((?!#)|@import|<script|<iframe", page)


def find_browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def browse(page, tmp_path, *flags):
    """What Chromium makes of a page without any host: DOM and log."""
    path = tmp_path / "page.html"
    path.write_text(page, "utf-8")
    return subprocess.run(
        [
            find_browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--enable-logging=stderr",
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--log-net-log={tmp_path / 'net.json'}",
            f"--user-data-dir={tmp_path / 'profile'}",
            *flags,
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs Chromium")
def test_a_browser_opens_the_card_and_asks_no_one(card, tmp_path):
    done = browse(card["card.html"], tmp_path)
    assert "Not measured" in done.stdout
    assert done.stdout.count("<svg") == 3
    assert "CONSOLE" not in done.stderr
    assert asked_for(tmp_path) == []
    image = '<img src="http://example.invalid/x.png">'
    browse(image, tmp_path)
    assert asked_for(tmp_path) == ["http://example.invalid/x.png"]
    # Were there something to fetch, the page's own policy would forbid it.
    done = browse(card["card.html"].replace("<h1>", f"{image}<h1>"), tmp_path)
    assert asked_for(tmp_path) == []
    assert "Content Security Policy" in done.stderr


def asked_for(folder):
    """Addresses that a page asked for, not those of the browser itself."""
    log = json.loads((folder / "net.json").read_text("utf-8"))
    found = [event.get("params", {}) for event in log["events"]]
    return [
        params["url"]
        for params in found
        if params.get("initiator", "not an origin") != "not an origin"
        and params["url"].startswith("http")
    ]


# A phone is a frame of its width within a page that measures it.
PHONE = """<!doctype html><iframe width="{width}" height="800" style="border: 0"
 srcdoc="{page}"></iframe><script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const root = page.documentElement;
  const beyond = [...page.querySelectorAll("body *")].filter(
    (e) => !e.closest(".wide, pre, svg") &&
      e.getBoundingClientRect().right > root.clientWidth + 0.5);
  document.title = [root.clientWidth, root.scrollWidth, beyond.length];
}});
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [360, 1200])
def test_the_card_is_no_wider_than_the_screen(card, tmp_path, width):
    page = html.escape(card["card.html"])
    done = browse(PHONE.format(width=width, page=page), tmp_path)
    (found,) = re.findall("<title>(.*?)</title>", done.stdout)[:1]
    inside, needed, beyond = map(int, found.split(","))
    assert width - 20 <= inside <= width
    assert needed <= inside
    assert beyond == 0


def test_the_answer_says_of_how_many_seeds_a_share_is(made_up, task):
    tasks = [{**task, "seed": seed} for seed in range(3)]
    page = evidence_card({**made_up, "tasks": tasks})["card.md"]
    line = (
        "SST-2: student keeps 90.0% of the teacher's accuracy (mean of 3 seeds)"
    )
    assert page.count(line) == 1


def test_the_text_of_a_prepared_store_is_no_other(results):
    config = results["models"][STUDENT]["run"]["config"]
    config |= {"corpus": ["docstrings"], "store": ["mine"], "whole_words": True}
    config["mlm_smoothing"] = 0.7
    page = evidence_card(results)["card.md"]
    settings = page.split("Settings of each run")[1].split("Commands that")[0]
    assert "mine" in settings and "docstrings" not in settings
    assert "whole words masked" in settings
    assert "smoothing of masks" in settings and "0.7" in settings


def test_a_student_of_another_teacher_is_said_to_be(results):
    results["models"][STUDENT]["other_teacher"] = "saved/other"
    page = evidence_card(results)["card.md"]
    assert "It learnt from another teacher, saved/other" in page
    assert "by its config.json, not from teacher" in page
    results["models"][STUDENT]["other_teacher"] = None
    assert "another teacher" not in evidence_card(results)["card.md"]


def test_teachers_alone_make_no_card(results):
    for model in results["models"].values():
        model["role"] = "teacher"
    with pytest.raises(ValueError, match="a model that is not the teacher"):
        evidence_card(results)


def test_frequency_is_of_the_text_that_was_counted(results):
    results["held_out"]["counted"] = "other.txt"
    page = evidence_card(results)["card.md"]
    assert "occurs in the text counted (other.txt)" in page
    assert "in the training text" not in page
