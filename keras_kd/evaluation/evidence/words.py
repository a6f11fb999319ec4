"""Numbers of the evidence card in words."""


def percent(share):
    """A share as 12.3%."""
    return f"{share:.1%}"


def millions(counted):
    """Parameters as 1.23 M."""
    return f"{counted['parameters'] / 1e6:.2f} M"


def optional(value, form):
    """A value in its form, or a dash."""
    return "-" if value is None else form(value)


def yes_no(value):
    """A bool in words."""
    return "yes" if value else "no"


def setting(value):
    """A field of config.json in words."""
    if value is None or value == [] or value == "":
        return "-"
    if isinstance(value, bool):
        return yes_no(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def bucket_name(row):
    """The borders of a bucket of `evaluate_by_frequency`, in words."""
    if row["below"] is None:
        return f"{row['from']:,} or more"
    return f"{row['from']:,} to < {row['below']:,}"


def beside_teacher(kept):
    """How far a model's nats are from the teacher's."""
    nats = kept["nats_above_teacher"]
    return (
        f"{abs(nats):.3f} nats {'below' if nats < 0 else 'above'} the teacher"
    )
