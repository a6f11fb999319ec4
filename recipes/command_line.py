"""The command line of every recipe, read before its slow imports.

Not a recipe. Flags are the fields of the recipe's frozen `Config`; defaults
are overridden by `--config run.json`, and that by flags.

A recipe imports this module before Keras. Importing it already reads the
command line, by the `Config` that stands in the recipe's file: `--help` and a
mistyped flag are answered in a second, where TensorFlow takes many.
"""

import argparse
import ast
import functools
import itertools
import json
import pathlib
import sys
import typing

import typeguard
import tyro

# What a `Config` may take names from: it and these are run before the rest.
LIGHT = {"dataclasses", "run_logs", "typing", "tyro"}


def read_config(config_class, description):
    """The recipe's `Config`: defaults < `--config run.json` < flags.

    An unknown flag, or an unknown field in the file, ends the program.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", type=pathlib.Path)
    found, flags = first.parse_known_args()
    fields = {}
    if found.config:
        fields = read_fields(found.config)
        fields = check_fields(config_class, fields, found.config)
    default = config_class(**fields)
    usage = f"{description}\n\n--config FILE reads fields from a JSON file."
    flags = spell_out(config_class, flags)
    return tyro.cli(
        config_class, args=flags, default=default, description=usage
    )


@functools.cache  # a pipe can be read once, the command line is twice
def read_fields(file):
    """What a JSON file holds; one that is none ends the program."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        sys.exit(f"`--config` must be a JSON file: {error}")


def spell_out(config_class, flags):
    """--x and --no-x of fields that may be None as --x True and --x False."""
    types = typing.get_type_hints(config_class)
    names = [name for name in types if types[name] == bool | None]
    pairs = {"--" + name.replace("_", "-"): "True" for name in names}
    pairs |= {f"--no-{flag[2:]}": "False" for flag in pairs}
    spelled = []
    for flag, after in itertools.zip_longest(flags, flags[1:]):
        spelled.append(flag)
        if flag in pairs and after not in ("True", "False", "None"):
            spelled[-1:] = [flag.replace("--no-", "--", 1), pairs[flag]]
    return spelled


def check_fields(config_class, fields, file):
    """The fields of a JSON file, of the types that the recipe's `Config` has.

    One that is unknown, or of another type, ends the program.
    """
    types = typing.get_type_hints(config_class)
    if not isinstance(fields, dict):
        sys.exit(
            "`--config` must be a JSON file of one object. "
            f"Received: {fields!r} in {file}"
        )
    unknown = sorted(set(fields) - set(types))
    if unknown:
        sys.exit(
            f"`--config` must hold fields of this recipe: {list(types)}. "
            f"Received: {unknown} in {file}"
        )
    checked = {}
    for name, value in fields.items():
        value = tuple(value) if isinstance(value, list) else value
        try:
            if isinstance(value, bool) and types[name] in (int, float):
                raise typeguard.TypeCheckError("a bool is an int in Python")
            checked[name] = typeguard.check_type(
                value,
                types[name],
                collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS,
            )
        except typeguard.TypeCheckError:
            sys.exit(
                f"`--config` must hold {types[name]} as `{name}`. "
                f"Received: {value!r} in {file}"
            )
    return checked


def read_early():
    """Reads the command line of the recipe that runs, if one does.

    What is wrong with it ends the program, as `--help` does.
    """
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is None:
        return
    file = pathlib.Path(program).resolve()
    if file.parent == pathlib.Path(__file__).resolve().parent:
        read_config(*light_config(file))


def light_config(file):
    """A recipe's `Config` and docstring, from its file and light imports alone.

    Args:
        file: `pathlib.Path` of the recipe.
    """
    tree = ast.parse(file.read_text("utf-8"), file)
    description = ast.get_docstring(tree, clean=False)
    tree.body = [node for node in tree.body if is_light(node)]
    names = {"__name__": "__main__"}
    exec(compile(tree, file, "exec"), names)
    return names["Config"], description


def is_light(node):
    """Whether a statement is a light import, or the recipe's `Config`."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} <= LIGHT
    if isinstance(node, ast.ImportFrom):
        return node.module in LIGHT
    return isinstance(node, ast.ClassDef) and node.name == "Config"


read_early()
