"""Workers that are forked from a template compute what fresh ones do, and end as they do."""

import errno
import os
import re
import signal
import socket
import sys
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from support.processes import wait_until

from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.selection import parse_backend
from harness.core.reference.training import NUMPY
from harness.core.training.weights import decoded
from harness.core.worker import protocol, template_process
from harness.core.worker.session import Conversation, Session
from harness.core.worker.template import CannotFork, Templates
from harness.errors import WorkerLost

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")

BACKENDS = ("torch", "jax", "keras", "keras-torch", "keras-jax")
#: A task for each backend in CI; all others take minutes.
IN_CI = {("torch", "mlp"), ("jax", "mlp"), ("keras", "mlp"), ("keras-torch", "mlp")}
TASKS = sorted(registry.names("task"))


@pytest.fixture
def variables(generated_data):
    return worker_variables(1, "cpu", os.environ) | {"HARNESS_DATA_DIR": str(generated_data)}


def trained(backend, name, variables, folder, template=None):
    """The losses, scores and weights of a short training."""
    definition = registry.task(name)
    task = define_task(definition, definition.options())
    mode = parse_backend(backend).mode(task)
    plan = Configuration(backend, mode, "cpu", 1).plan(task, 0)
    with Session(variables, None, template=template) as session:
        built = Conversation(session, backend, 1).build(plan, definition.datasets[-1])
        assert built.build_seconds > 0
        calls = [session.call(protocol.Train(steps), protocol.Trained) for steps in (1, 2)]
        scored = session.call(protocol.Evaluate(["validation"], 32), protocol.Evaluated)
        file = folder / "weights"
        session.call(protocol.SaveWeights(str(file), False, {}), protocol.Done)
        if template is not None:
            template.learn_from(session)
        return [call.losses for call in calls], scored.scores, decoded(file.read_bytes()).arrays


@pytest.mark.parametrize(
    ("backend", "task"),
    [
        pytest.param(backend, task, marks=pytest.mark.slow if (backend, task) in IN_CI else pytest.mark.long)
        for backend in BACKENDS
        for task in TASKS
    ],
)
def test_a_forked_worker_computes_what_a_fresh_one_does(backend, task, variables, tmp_path):
    fresh = trained(backend, task, variables, tmp_path)
    with Templates() as templates:
        template = templates.template(backend, 1, variables)
        for _ in range(2):  # the second one finds what the first has imported
            forked = trained(backend, task, variables, tmp_path, template)
            assert forked[:2] == fresh[:2]
            assert {name: array.tobytes() for name, array in forked[2].items()} == {
                name: array.tobytes() for name, array in fresh[2].items()
            }
        assert template.has_learned


@pytest.fixture
def template(variables):
    with Templates() as templates:
        yield templates.template(NUMPY, 1, variables)


def test_a_forked_worker_ends_with_an_exit_status(template, variables):
    with Session(variables, 60, template=template) as session:
        session.call(protocol.Ping(), protocol.Done)
        assert not session.process.has_ended()
        os.kill(session.process.pid, signal.SIGTERM)
        with pytest.raises(WorkerLost, match="was killed by SIGTERM"):
            session.call(protocol.Ping(), protocol.Done)
        assert session.process.has_ended()
    wait_until(lambda: not psutil.pid_exists(session.process.pid))  # it is no zombie


def test_forked_workers_end_with_their_template(template, variables):
    with Session(variables, 60, template=template) as session:
        session.call(protocol.Ping(), protocol.Done)
        template.kill()
        with pytest.raises(WorkerLost):
            session.call(protocol.Ping(), protocol.Done)
    with pytest.raises(CannotFork, match="its process has ended"):
        Session(variables, 60, template=template)


def test_a_forked_worker_has_its_own_mark_group_and_folder(template, variables):
    with Session(variables, 60, template=template) as one, Session(variables, 60, template=template) as two:
        for session in (one, two):
            session.call(protocol.Ping(), protocol.Done)
            process = psutil.Process(session.process.pid)
            marks = [name for name in process.environ() if name.startswith("HARNESS_MARK_")]
            assert session.process.mark in marks
            assert template.process.mark not in marks
            assert os.getpgid(process.pid) == process.pid


#: Modules that spoil the process that imports them, and why nothing may be forked from it then.
SPOILING = {
    "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n": (
        "its import starts threads"
    ),
    # A worker would inherit the setting without the module that made it.
    "import sys\nsys.setrecursionlimit(2345)\nraise SystemExit\n": r"its import fails \(SystemExit\)",
}


@pytest.mark.parametrize(("code", "reason"), SPOILING.items(), ids=["a thread", "a failure"])
def test_nothing_is_forked_from_a_template_that_an_import_has_spoiled(variables, tmp_path, code, reason):
    (tmp_path / "spoiling.py").write_text(code)
    variables |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with Templates() as templates:
        template = templates.template(NUMPY, 1, variables)
        template._pending = {"spoiling": str(tmp_path / "spoiling.py")}
        template._known = {"spoiling"}
        for _ in range(2):  # it does not recover
            with pytest.raises(CannotFork, match=reason) as raised:
                Session(variables, 60, template=template)
        templates.give_up(NUMPY, template, raised.value)
        another = templates.template(NUMPY, 1, variables)
        assert another is not template  # only what was learned can be the cause
        with Session(variables, 60, template=another) as session:
            session.call(protocol.Ping(), protocol.Done)
            another.learn_from(session)
            assert not another.has_learned
        templates.give_up(NUMPY, another, raised.value)
        assert templates.template(NUMPY, 1, variables) is None
        assert re.search(reason, templates.reasons[NUMPY])


def test_a_backend_whose_import_fails_is_not_forked(variables):
    with Templates() as templates:
        template = templates.template("missing", 1, variables)
        with pytest.raises(CannotFork, match=r"its import fails \(UsageError\)") as raised:
            Session(variables, 60, template=template)
        templates.give_up("missing", template, raised.value)
        assert templates.template("missing", 1, variables) is None


def test_a_fork_that_fails_ends_no_other_worker(monkeypatch):
    monkeypatch.setattr(template_process, "why_not_alone", str)
    monkeypatch.setattr(template_process.gc, "freeze", Mock())
    monkeypatch.setattr(template_process.os, "fork", Mock(side_effect=OSError(errno.EAGAIN, "no room")))
    loop = object.__new__(template_process._Template)
    loop._children, loop._failure = {}, ""
    ours, its = socket.socketpair()
    descriptors = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    with ours:
        loop._fork(template_process.Fork({}, "", "", []), [*descriptors, its.detach()])
        assert ours.recv(100) == b"!its process cannot be forked: no room\n"
        assert ours.recv(100) == b""
    assert loop._children == {}
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.close(descriptor)


def test_a_module_of_another_file_is_not_imported(variables, tmp_path):
    (tmp_path / "twice.py").write_text("raise SystemExit(1)\n")
    variables |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with Templates() as templates:
        template = templates.template(NUMPY, 1, variables)
        template._pending = {"twice": "/another/twice.py", "wave": np.__file__}
        with Session(variables, 60, template=template) as session:
            session.call(protocol.Ping(), protocol.Done)
            template.learn_from(session)
    assert not {"twice", "wave"} & template._known


def test_a_template_ends_with_the_process_that_started_it(variables, tmp_path):
    code = (
        "import os, sys, time\n"
        "from harness.core.worker.template import Templates\n"
        "from harness.core.worker.session import Session\n"
        "from harness.core.worker import protocol\n"
        "templates = Templates()\n"
        "template = templates.template('plain NumPy', 1, {'OPENBLAS_NUM_THREADS': '1'})\n"
        "session = Session({}, 60, template=template)\n"
        "session.call(protocol.Ping(), protocol.Done)\n"
        "print(template.process.pid, session.process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    process = psutil.Popen([sys.executable, "-c", code], stdout=-1, text=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), 30)
