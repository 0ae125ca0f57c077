"""Certificates: how long one may take, and what is told of a worker that falls."""

import time
from types import SimpleNamespace

import pytest

from harness import plugins, session
from harness.certify import Examiner, Side, check
from harness.errors import HarnessError
from harness.parity_cases import cases

MLP = plugins.task("mlp")


@pytest.fixture
def faulty(harness):
    """A side of a backend in NumPy that deviates from everything."""
    names = ("PYTHONPATH", "HARNESS_DATA_DIR")
    variables = tuple((name, harness.environment[name]) for name in names)
    return Side("faulty", "ok", "cpu", 1, environment=variables)


def test_each_certification_of_a_worker_has_the_whole_time(faulty, monkeypatch):
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(session, "time", clock)
    with Examiner(faulty, limit_seconds=100) as examiner:
        for _ in range(3):
            assert check(examiner, MLP)
            passed[0] += 70


def test_what_a_worker_said_before_it_fell_at_its_start_is_told(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho the last words >&2\nexit 1\n")
    python.chmod(0o755)
    side = Side("torch", "eager", "cpu", 1, python=str(python))
    with Examiner(side) as examiner, pytest.raises(HarnessError, match="exited with code 1 the last words"):
        examiner.observe(cases(MLP)[0])
