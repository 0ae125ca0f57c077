"""The mark of times of runs during which others used the machine, next to the number wherever it stands."""

from harness.report.numbers import NOTHING

#: Stands next to every time of a run during which others used the machine.
BUSY = "(busy)"
BUSY_LEGEND = f"{BUSY}: other programs used the machine during these runs; the times are unreliable."


def busy_mark(text: str, *, disturbed: bool | None) -> str:
    """A time as text, marked if its run was disturbed."""
    return f"{text} {BUSY}" if disturbed and text != NOTHING else text
