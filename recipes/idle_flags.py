"""Flags that another flag makes idle: none is passed over in silence.

Not a recipe. A field counts as given where it is not its default.
"""

import dataclasses
import sys

# What `--store` stands in for, and what stands for nothing without it.
TEXT = ("corpus", "validation_corpus", "text_column")
BESIDE_STORE = ("store_weights",)


def given(config, names):
    """Those flags of a frozen `Config` that are not their defaults.

    Args:
        config: The recipe's.
        names: Names of fields; those that it lacks are passed over.

    Returns:
        List of str, such as "--text-column".
    """
    return [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(config)
        if field.name in names and getattr(config, field.name) != field.default
    ]


def refuse_idle(config, names, reason):
    """Ends the program where flags were given that would do nothing.

    Args:
        config: The recipe's, as it was given: before `--smoke` makes it small.
        names: Names of the fields that do nothing.
        reason: Str, such as "with --store, whose text is read already".
    """
    found = given(config, names)
    if found:
        said = ", ".join(f"`{flag}`" for flag in found)
        sys.exit(
            f"{said} would do nothing {reason}: leave it out. Received: "
            + ", ".join(
                f"{flag} {getattr(config, flag[2:].replace('-', '_'))}"
                for flag in found
            )
        )


def say_idle(config, names, reason):
    """Prints flags that were given and do nothing; arguments as above."""
    found = given(config, names)
    if found:
        print(f"Of no use {reason}: {', '.join(found)}")


def check_text(config):
    """Ends the program where a text is named twice, by a store and files."""
    if config.store:
        refuse_idle(config, TEXT, "with --store, which holds its text")
    else:
        refuse_idle(config, BESIDE_STORE, "without --store")
