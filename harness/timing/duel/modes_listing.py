"""The fastest modes that were measured on this machine, for ``harness list tasks``."""

from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.timing.duel.mode_times import all_kept
from harness.timing.duel.page import modes_row

_HEADERS = ("task", "backend", "fastest", "others", "measured with")


def listing() -> list[str]:
    """Return the table of fastest modes, if any was measured."""
    rows = [modes_row(times) for times in all_kept()]
    title = "Fastest modes on this machine (BACKEND:best)"
    return [f"{title}\n{fitted_table(rows, terminal_width(), _HEADERS)}"] if rows else []
