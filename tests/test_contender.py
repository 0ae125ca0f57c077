"""Whatever a process of a duel is asked for when it falls, the side is named, with the last that it said."""

import os
import signal

import pytest

from harness import plugins
from harness.duel.contender import Contender, SideFailed
from harness.duel.sides import Side
from harness.spec import Plan


@pytest.fixture
def contender(tmp_path, harness):
    """A running process that dies in its next training once ``die`` is there."""
    definition = plugins.task("mlp")
    options = definition.options()
    plan = Plan(task=definition.define(options), mode="dies", device="cpu", threads=1, seed=0)
    names = ("PYTHONPATH", "HARNESS_DATA_DIR")
    variables = {name: harness.environment[name] for name in names} | {
        "PACED_FAILS_WHEN": str(tmp_path / "die")
    }
    side = Side(label="head", backend="paced", plan=plan, options={}, environment=variables)
    running = Contender(side, side.settings(quiet=True), deadline_seconds=60)
    try:
        running.start("mnist1d")
        yield running
    finally:
        running.session.kill_and_close()


@pytest.mark.parametrize("what", [lambda one: one.warm_up(2), lambda one: one.block(2)])
def test_at_work(contender, tmp_path, what):
    (tmp_path / "die").touch()
    with pytest.raises(SideFailed, match=r"side head: .* exited with code 9 \[the last words\]"):
        what(contender)


def test_when_it_is_asked_for_its_memory(contender):
    os.kill(contender.session.pid, signal.SIGKILL)  # as the system does when memory runs out
    with pytest.raises(SideFailed, match="side head: the worker process was ended by SIGKILL"):
        contender.finish()
