"""Runs whose mode is ``best``, each in the mode that is fastest here, with progress on standard error."""

from pathlib import Path

from harness.cli.duel_display import ModeDisplay
from harness.duel import run_modes
from harness.duel.fastest_mode import FastestModes
from harness.duel.files import DUELS
from harness.runs.request import RunRequest


def in_fastest_modes(
    requests: list[RunRequest], results: Path, *, quiet: bool, certify: bool
) -> list[RunRequest]:
    """See :func:`harness.duel.run_modes.in_fastest_modes`."""
    if not run_modes.asks_for_fastest(requests):
        return requests
    display = ModeDisplay(quiet=quiet)
    try:
        modes = FastestModes(results / DUELS.folder, display, certify=certify)
        return run_modes.in_fastest_modes(requests, modes)
    finally:
        display.stop()
