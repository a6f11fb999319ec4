"""What recipes share to be interrupted, and to go on. Not a recipe.

The config fields it reads: run, resume, save_steps, replay; all others but
`FREE` must be those that the run began with.
"""

import dataclasses
import shlex
import sys

import keras_kd as kd
from rich.console import Console
from rich.table import Table

# What may be otherwise when a run goes on.
FREE = (
    "run",
    "overwrite",
    "resume",
    "replay",
    "save_steps",
    "jit_compile",
    "loggers",
)


def make_run(config, folder):
    """The run's `kd.ResumableRun`; ends the program where it is another's.

    Args:
        config: The recipe's.
        folder: `pathlib.Path` of the run.
    """
    fields = dataclasses.asdict(config)
    command = [argument for argument in sys.argv if argument != "--resume"]
    try:
        return kd.ResumableRun(
            folder / "checkpoints",
            every_steps=config.save_steps,
            config={k: v for k, v in fields.items() if k not in FREE},
            resume_command=f"uv run {shlex.join([*command, '--resume'])}",
        )
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"`--run`: {error}")


def replay(model, batches, run, number):
    """Looks at one batch of a run, with its newest checkpoint's weights.

    Args:
        model: Compiled model of the run.
        batches: `TextBatches`.
        run: `kd.ResumableRun`.
        number: Int, which batch, from 0, as the run's report counts them.
    """
    run.set_model(model)
    batch = next(iter(batches.train(first_batch=number).take(1)))
    logs = model.test_on_batch(*batch, return_dict=True)
    model.train_on_batch(*batch)  # of which nothing is saved
    finite = int(model.optimizer.in_a_row) == 0
    print(f"Batch {number}, with the weights after {run.batches} batches:")
    table = Table()
    table.add_column("log")
    table.add_column("value", justify="right")
    for name, value in logs.items():
        table.add_row(name, f"{float(value):.6g}")
    table.add_row("gradient", "finite" if finite else "not finite")
    Console().print(table)
    run.close()
