"""The callback that starts a student from its teacher."""

import keras
from keras_kd.initialization.compensation import compensate
from keras_kd.initialization.make_plan import make_plan


class InitializeStudent(keras.callbacks.Callback):
    """Starts a `Distiller`'s student from its teacher, before the first step.

    Applied in `on_train_begin`, once for a `Distiller` and its student: not on
    a later `fit`, not after a recompile, not on a resumed run (whichever side
    of `keras.callbacks.BackupAndRestore` it stands). A new `Distiller` starts
    its student anew: to train on from what another made of it, leave the
    callback out.

    Args:
        plan: Name in `PLANS`, teacher layer indices, or an
            `InitializationPlan`.
        batches: Held-out batches with fixed masks, for the plans whose layers
            text chooses, and to compensate by; report the student on others.
        compensation: How kept layers make up for those taken away, as
            `compensate` says, or None.
        verbose: 1 prints the plan's table, 0 nothing.

    Raises:
        ValueError: On `fit`, before the first step, as `make_plan` and
            `compensate`; if the model is not a `Distiller`.
    """

    def __init__(self, plan, batches=None, compensation=None, verbose=0):
        super().__init__()
        self.plan = plan
        self.batches = batches
        self.compensation = compensation
        self.verbose = verbose

    def on_train_begin(self, logs=None):
        distiller = self.model
        if not hasattr(distiller, "student_initialized"):
            raise ValueError(
                "`InitializeStudent` goes to the `fit` of a `Distiller`. "
                f"Received: {type(distiller).__name__}"
            )
        begun = int(distiller.optimizer.iterations) > 0
        if begun or int(distiller.student_initialized) > 0:
            return
        teacher, student = distiller.teacher, distiller.student
        plan = self.plan
        if not hasattr(plan, "apply"):
            plan = make_plan(plan, teacher, student, self.batches)
        if self.compensation is not None:
            plan = compensate(plan, teacher, self.batches, self.compensation)
        plan.apply(teacher, student)
        distiller.student_initialized.assign(1)
        if self.verbose:
            plan.print()
