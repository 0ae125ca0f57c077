"""``best`` and ``*`` on the command line, without measuring anything."""

import pytest
from click.testing import CliRunner

from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.shell.commands import list as list_command
from harness.timing.duel import modes_page
from harness.timing.duel.fastest_mode import fastest_runs
from harness.timing.duel.mode_times import ModeTimes

pytest.importorskip("torch")

TIMES = ModeTimes(
    key="0" * 32,
    backend="torch",
    versions={},
    task="cnn",
    options={},
    work_sha256="",
    machine=[],
    device="cpu",
    precision="float32",
    threads=1,
    times={"eager": 1.34, "channels_last": 1.0},
    day="2026-01-31",
)


class ChannelsLast:
    """Finds that this is the fastest mode."""

    def choose(self, workloads, _dataset):
        return workloads[-1]


def test_best_becomes_a_mode_and_what_is_then_equal_runs_once():
    options = MatrixOptions(backends=["torch:best", "torch"], tasks=["cnn"], seeds=[0, 1])
    matrix = RunMatrix(options)
    runs = fastest_runs(matrix.choices(lambda _what, _done, _total: None), ChannelsLast())
    assert [(run.configuration.mode, run.seed) for run in runs] == [
        ("channels_last", 0),
        ("channels_last", 1),
    ]
    assert matrix.axes()["backend"] == ["torch:best", "torch:channels_last"]


def test_the_fastest_modes_that_are_known_are_listed(monkeypatch):
    monkeypatch.setattr(modes_page, "all_kept", lambda: [TIMES])
    printed = CliRunner().invoke(list_command.command, ["tasks"]).output
    row = next(line for line in printed.splitlines() if "channels_last" in line)
    assert row.split()[:6] == ["cnn", "torch", "channels_last", "eager", "34", "%"]
    monkeypatch.setattr(modes_page, "all_kept", list)
    assert "Fastest" not in CliRunner().invoke(list_command.command, ["tasks"]).output
