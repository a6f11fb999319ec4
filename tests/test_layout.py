"""The map of the project: which room may look into which."""

import ast
import pathlib
import subprocess

import keras_kd
import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "keras_kd"

# Room of keras_kd: rooms it may import.
ARROWS = {
    "data": {"extras", "file_digest", "quiet"},
    "layers": {"runtime"},
    "models": {"data", "layers", "metrics"},
    "checkpoints": {
        "layers",
        "models",
        "data",
        "plain_path",
        "quiet",
        "whole_folder",
    },
    "losses": {"runtime"},
    "distiller": {"layers", "losses", "models", "probes", "runtime"},
    "optimizers": set(),
    "callbacks": {"file_digest"},
    "metrics": set(),
    "initialization": {"models", "losses", "metrics"},
    "evaluation": {
        "extras",
        "metrics",
        "losses",
        "models",
        "data",
        "initialization",
    },
    "export": {
        "layers",
        "models",
        "data",
        "checkpoints",
        "extras",
        "plain_path",
        "quiet",
        "whole_folder",
    },
    "plain_path": set(),
    "whole_folder": set(),
    "extras": set(),
    "file_digest": set(),
    "huge_pages": set(),
    "quiet": set(),
    "probes": {"quiet"},
    "runtime": {"huge_pages", "probes"},
}
TENSORFLOW_ROOMS = {"data", "export", "quiet", "probes", "runtime"}
TENSORFLOW_FILES = {"distiller/tensorflow_step.py", "optimizers/adamw.py"}
JAX_FILES = {
    "callbacks/schedules.py",
    "distiller/jax_step.py",
    "probes.py",
    "runtime.py",
}
TOP_LEVEL = {
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "keras_kd",
    "recipes",
    "tests",
    "saved_models",
    "findings",
}


def imports(file):
    """Dotted names that a file imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(file):
    """Rooms of keras_kd that a file imports from."""
    parts = [name.split(".") for name in imports(file)]
    assert ["keras_kd"] not in parts, f"{file} imports all rooms at once"
    return {p[1] for p in parts if p[0] == "keras_kd" and len(p) > 1}


def room_of(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(
    file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py"
)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.name))
def test_imports_follow_the_arrows(file):
    room = room_of(file)
    assert rooms(file) - {room} <= ARROWS[room]


def test_every_room_is_on_the_map_and_every_arrow_was_checked():
    assert {room_of(file) for file in FILES} == set(ARROWS)
    assert rooms(PACKAGE / "models" / "task_model.py") == {"layers", "models"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.name))
def test_tensorflow_stays_in_its_rooms(file):
    uses = any(name.split(".")[0] == "tensorflow" for name in imports(file))
    inside = (
        room_of(file) in TENSORFLOW_ROOMS
        or str(file.relative_to(PACKAGE)) in TENSORFLOW_FILES
    )
    assert inside or not uses


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.name))
def test_jax_stays_in_its_files(file):
    uses = any(name.split(".")[0] == "jax" for name in imports(file))
    assert str(file.relative_to(PACKAGE)) in JAX_FILES or not uses


def test_the_library_knows_no_command_line():
    for file in FILES:
        assert not {"argparse", "tyro"} & set(imports(file)), file


def test_recipes_do_not_import_each_other():
    files = list((ROOT / "recipes").glob("*.py"))
    # What recipes share says so; all others are programs.
    recipes = {f.stem for f in files if "Not a recipe." not in docstring(f)}
    for file in files:
        assert not recipes & set(imports(file)), file
        is_program = '__name__ == "__main__"' in file.read_text("utf-8")
        assert is_program or file.stem not in recipes, file


def docstring(file):
    text = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    return " ".join(text.split())


def test_public_names_are_flat_and_all_there():
    assert len(set(keras_kd.__all__)) == len(keras_kd.__all__)
    for name in keras_kd.__all__:
        assert hasattr(keras_kd, name), name


def test_every_module_has_its_mirror_test():
    for file in FILES:
        path = file.relative_to(PACKAGE)
        if file.name in ("__init__.py",):
            continue
        mirror = ROOT / "tests" / path.parent / f"test_{file.name}"
        assert mirror.exists(), f"{path} has no {mirror}"


def test_top_level_is_the_agreed_list():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert {name for name in found if not name.startswith(".")} == TOP_LEVEL
