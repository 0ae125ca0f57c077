"""Runs whose mode is ``best``, each in the mode that is fastest here, with progress on standard error."""

from pathlib import Path

from harness.cli.duel_display import ModeDisplay
from harness.duel import fastest_mode
from harness.duel.fastest_mode import FastestModes
from harness.duel.record import DUELS
from harness.runs.request import RunRequest


def in_fastest_modes(
    requests: list[RunRequest], results: Path, *, quiet: bool, certify: bool
) -> list[RunRequest]:
    """See :func:`harness.duel.fastest_mode.in_fastest_modes`."""
    if not fastest_mode.asks_for_fastest(requests):
        return requests
    display = ModeDisplay(quiet=quiet)
    try:
        modes = FastestModes(results / DUELS.folder, display, certify=certify)
        return fastest_mode.in_fastest_modes(requests, modes)
    finally:
        display.stop()
