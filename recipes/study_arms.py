"""What the study of initialisations compares. Not a recipe.

Teachers differ in how they are trained; students in the teacher they start
from, in how, and in the teacher they are distilled from.
"""

import dataclasses

import keras_kd as kd

# When late LayerDrop begins, and has its full rate: shares of the steps.
LATE = (0.4, 0.7)


@dataclasses.dataclass(frozen=True)
class TeacherArm:
    """One way to train a teacher.

    Args:
        name: Str.
        what: Str, in words.
        layer_drop: Float, probability of skipping a layer.
        late: Bool. Whether that comes when the teacher has learnt something:
            0 first, then more and more, as `LATE` says.
        sandwich: Bool, whether it distils its own sub-networks.
        equal_flops: Bool. Whether it has the plain teacher's floating-point
            operations, not its steps.
        tuned_as: Str, the teacher whose learning rate it has.
    """

    name: str
    what: str
    layer_drop: float = 0.0
    late: bool = False
    sandwich: bool = False
    equal_flops: bool = False
    tuned_as: str | None = None

    def rate(self, share):
        """LayerDrop after a share of the steps."""
        if not self.late:
            return self.layer_drop
        return self.layer_drop * kd.late_layer_drop(1, *LATE)(share)

    def mean_rate(self):
        """LayerDrop, over all steps."""
        if not self.late:
            return self.layer_drop
        begin, full = LATE
        return self.layer_drop * ((full - begin) / 2 + 1 - full)


TEACHERS = {
    arm.name: arm
    for arm in (
        TeacherArm("plain", "masked LM alone"),
        TeacherArm("layerdrop", "LayerDrop of 0.2", layer_drop=0.2),
        TeacherArm("late", "late LayerDrop of 0.5", layer_drop=0.5, late=True),
        TeacherArm(
            "late=",
            "the same, the plain one's FLOPs",
            layer_drop=0.5,
            late=True,
            equal_flops=True,
            tuned_as="late",
        ),
        TeacherArm(
            "sandwich",
            "distils its own sub-networks, the plain one's FLOPs",
            sandwich=True,
            equal_flops=True,
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class StudentArm:
    """One way to start a student, and whom it learns from.

    Args:
        source: Name of the teacher it starts from.
        plan: Str, as of `kd.make_plan`.
        teacher: Name of the teacher it is distilled from.
        compensation: As of `kd.compensate`, or None.
    """

    source: str
    plan: str
    teacher: str
    compensation: str | None = None

    @property
    def name(self):
        """Such as "late searched+gains < plain"."""
        how = self.plan
        if self.compensation:
            how += f"+{self.compensation}"
        return f"{self.source} {how} < {self.teacher}"

    @property
    def tuned_as(self):
        """The arm whose learning rate it has: of teachers that are tuned."""
        source, teacher = (
            TEACHERS[name].tuned_as or name
            for name in (self.source, self.teacher)
        )
        return dataclasses.replace(self, source=source, teacher=teacher)


DISTILBERT = StudentArm("plain", "every_other", "plain")
STUDENTS = [
    DISTILBERT,
    StudentArm("plain", "first", "plain"),
    StudentArm("plain", "searched", "plain"),
    StudentArm("plain", "searched", "plain", "gains"),
    StudentArm("plain", "embeddings_only", "plain"),
    StudentArm("plain", "random", "plain"),
    StudentArm("layerdrop", "every_other", "layerdrop"),
    StudentArm("layerdrop", "searched", "layerdrop", "gains"),
    # The other teacher's layers under the same teacher, and the reverse.
    StudentArm("late", "every_other", "plain"),
    StudentArm("sandwich", "every_other", "plain"),
    StudentArm("plain", "every_other", "late"),
    StudentArm("late", "every_other", "late"),
    StudentArm("late", "searched", "late"),
    StudentArm("late", "searched", "late", "gains"),
    StudentArm("late", "searched", "late", "ridge"),
    StudentArm("late=", "searched", "late=", "gains"),
    StudentArm("sandwich", "every_other", "sandwich"),
    StudentArm("sandwich", "searched", "sandwich"),
]


def student(source, plan, teacher, compensation=None):
    """The name of one of `STUDENTS`."""
    arm = StudentArm(source, plan, teacher, compensation)
    if arm not in STUDENTS:
        raise ValueError(f"Expected one of STUDENTS. Received: {arm}")
    return arm.name


# Declared before any run: what is compared with DistilBERT's way (a plain
# teacher's every other layer). Holm's correction is over these.
CONTRASTS = {
    question: (arm, DISTILBERT.name)
    for question, arm in (
        (
            "late LayerDrop, searched, gains",
            student("late", "searched", "late", "gains"),
        ),
        (
            "late LayerDrop, searched, gains, equal FLOPs",
            student("late=", "searched", "late=", "gains"),
        ),
        (
            "LayerDrop of 0.2, searched, gains",
            student("layerdrop", "searched", "layerdrop", "gains"),
        ),
        (
            "sandwich, equal FLOPs",
            student("sandwich", "every_other", "sandwich"),
        ),
        (
            "late LayerDrop's start alone, the plain teacher's targets",
            student("late", "every_other", "plain"),
        ),
        (
            "the sandwich's start alone, the plain teacher's targets",
            student("sandwich", "every_other", "plain"),
        ),
    )
}
