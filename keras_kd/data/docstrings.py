"""The built-in corpus: English docstrings of installed Python packages.

Real prose that is on every machine, with nothing to download and no licence
to carry: read with `ast`, never imported, from the standard library, Keras,
TensorFlow and NumPy. Code examples and parameter tables are thinned to prose.
"""

import ast
import hashlib
import importlib.util
import os
import pathlib
import re
import sysconfig
import tempfile
import warnings

import platformdirs
from rich.progress import track

PACKAGES = ("keras", "tensorflow", "numpy")
SHORTEST = 80  # characters of prose that make a document

# Goes into the cache's name: raise it when the text would come out otherwise.
VERSION = 1

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Attributes|Examples?"
    r"|See Also|References|Usage|Methods|Inputs?|Outputs?|Call arguments"
    r"|Input shape|Output shape) ?:?$"
)
# "- item", "1. item", "name: meaning", "name (type): meaning"
_ITEM = re.compile(
    r"^([-*] +|\d+[.)] +)?(\*{0,2}[A-Za-z_][\w.]*( ?\([^)]{1,60}\))? ?: +)?"
)
_DOCUMENTED = (
    ast.Module,
    ast.ClassDef,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
)
_WORD = re.compile(r"[A-Za-z]{2,}")


def read_docstrings():
    """Yields the corpus, a document a docstring, in an order that is fixed.

    The first call reads the packages (seconds) and keeps the text under the
    user's cache folder; later calls read that file. Python's version and the
    packages' folders and times are part of its name.

    Raises:
        OSError: If the cache folder cannot be written.
    """
    path = _cache_path()
    if not path.exists():
        try:
            _write_cache(path)
        except OSError as error:
            raise OSError(
                "The user's cache folder must be writable, to keep the corpus "
                "'docstrings' (on Linux `XDG_CACHE_HOME` names another). "
                f"Received: {path.parent}: {error}"
            ) from error
    document = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line == "\n":
                yield "\n".join(document)
                document = []
            else:
                document.append(line.rstrip("\n"))


def _cache_path():
    sources = [f"{VERSION}", sysconfig.get_python_version()]
    for root in _roots():
        stat = root.stat()
        sources.append(f"{root} {stat.st_mtime_ns}")
    name = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]
    folder = pathlib.Path(platformdirs.user_cache_dir("keras_kd"))
    return folder / f"docstrings-{name}.txt"


def _roots():
    """Folders of the packages, the standard library first."""
    roots = [pathlib.Path(sysconfig.get_path("stdlib"))]
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        roots.append(pathlib.Path(spec.submodule_search_locations[0]))
    return roots


def _write_cache(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [file for root in _roots() for file in _python_files(root)]
    seen = set()
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, delete=False
    ) as out:
        try:
            for file in track(files, "Reading docstrings", transient=True):
                for docstring in _docstrings(file):
                    prose = thin_to_prose(docstring)
                    if len(prose) >= SHORTEST and prose not in seen:
                        seen.add(prose)
                        out.write(prose + "\n\n")
        except BaseException:
            os.unlink(out.name)
            raise
    os.replace(out.name, path)


def _python_files(root):
    """Python files below `root`, sorted; installed packages left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in ("site-packages", "__pycache__", "test", "tests")
        )
        found += [
            pathlib.Path(folder, name)
            for name in sorted(names)
            if name.endswith(".py")
        ]
    return found


def _docstrings(file):
    """Docstrings of a file: of the module, its classes and functions."""
    try:
        source = file.read_bytes()
    except OSError:  # a link to nowhere
        return
    if b'"""' not in source and b"'''" not in source:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in other people's code
            tree = ast.parse(source)
    except (SyntaxError, ValueError):  # templates, other Python versions
        return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _DOCUMENTED):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
            waiting += reversed(node.body)
        elif isinstance(node, (ast.If, ast.Try)):
            waiting += reversed(node.body)


def thin_to_prose(docstring):
    """Sentences of a docstring, one paragraph a line.

    Headings, code, doctests, tables, reST directives and the names in front
    of parameters go; a paragraph stays when it is mostly words.
    """
    docstring = re.sub(r"```.*?(```|\Z)", "\n\n", docstring, flags=re.S)
    docstring = re.sub(r"``?([^`]+)``?", r"\1", docstring)
    paragraphs, current = [], []
    for line in [*docstring.splitlines(), ""]:
        text = line.strip()
        starts_anew = _ITEM.match(text).end() > 0
        if not text or starts_anew or _SECTION.match(text):
            paragraphs.append(" ".join(current))
            current = []
        if text and not _SECTION.match(text) and not _is_code(line, text):
            current.append(_ITEM.sub("", text))
    return "\n".join(p for p in paragraphs if _is_prose(p))


def _is_code(line, text):
    return (
        text.startswith((">>>", "...", "$", "|", "+-", "..", ":", "@", "#"))
        or not _WORD.search(text)
        or text.endswith(("{", "}", ";", "\\", "):", "]:"))
        or len(line) - len(line.lstrip()) >= 12
    )


def _is_prose(paragraph):
    words = paragraph.split()
    if len(words) < 6:
        return False
    plain = sum(
        bool(re.fullmatch(r"[(\"']?[A-Za-z'-]+[.,;:)\"']*", w)) for w in words
    )
    return plain / len(words) >= 0.75
