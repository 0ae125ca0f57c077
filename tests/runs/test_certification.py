"""Certificates between runs: each is made once, when a run needs it; its worker is stopped meanwhile."""

import math
import threading

import msgspec
import pytest

from harness.runs import certification, sequence
from harness.runs.certification import Certification, certified_at_once
from harness.runs.matrix import MatrixOptions, RunMatrix
from harness.runs.request import new_record
from harness.runs.sharing import SharedRuns
from harness.runs.store import RUNS, Store
from harness.testing.certificate import Certificate
from harness.worker import examiner as worker_examiner

pytest.importorskip("torch")
pytest.importorskip("jax")


@pytest.fixture
def events(monkeypatch):
    """What happens, in order; no worker is started."""
    seen = []

    class Examiner:
        def __init__(self, configuration, _limit):
            self._name = configuration.backend

        def pause(self):
            seen.append(f"pause {self._name}")

        def close(self):
            seen.append(f"close {self._name}")

        def abandon(self):
            seen.append(f"abandon {self._name}")

        def __exit__(self, *_):
            self.close()

    def certificate(examiner, definition, _task, examined):
        seen.append(f"certify {examiner._name} {definition.name}")
        examined(1, 1)
        return Certificate(certified=True, reason=f"{examiner._name} {definition.name}")

    def execute(request, _store, _observer):
        assert request.certificate.reason == f"{request.backend} {request.plan.task.name}"
        seen.append(f"run {request.backend} {request.plan.task.name} {request.plan.seed}")
        return msgspec.structs.replace(new_record(request), status="ok")

    monkeypatch.setattr(certification, "Examiner", Examiner)
    monkeypatch.setattr(certification, "usable_cpus", lambda: 1)  # one after the other
    monkeypatch.setattr(certification, "certificate", certificate)
    monkeypatch.setattr(sequence, "execute", execute)
    return seen


class Silent:
    """An observer, of a run as well."""

    certified = end = lambda *_: None

    def begin(self, _request):
        return self

    def certifying(self, *_):
        pass

    examined = certifying


def _shared(requests, store):
    return SharedRuns(requests, store, certify=True)


def _requests():
    options = MatrixOptions(backends=["torch", "jax"], tasks=["mlp", "rnn"], seeds=[0, 1])
    return RunMatrix(options).requests(lambda _what, _done, _total: None)


def test_each_run_follows_its_certificate_and_no_worker_runs_meanwhile(events, tmp_path):
    requests, store = _requests(), Store(tmp_path)
    store.prepare()
    with Certification(certified_at_once(requests), Silent()) as certifier:
        records = sequence.execute_all(_shared(requests, store), store, Silent(), math.inf, certifier)
    assert len(records) == 8
    assert events[:6] == [
        *("certify torch mlp", "certify jax mlp"),
        *("pause torch", "pause jax"),
        *("run torch mlp 0", "run jax mlp 0"),
    ]
    assert events[6:12] == [
        *("certify torch rnn", "certify jax rnn"),
        *("close torch", "close jax"),
        *("run torch rnn 0", "run jax rnn 0"),
    ]
    assert events[12:] == ["run torch mlp 1", "run jax mlp 1", "run torch rnn 1", "run jax rnn 1"]


def test_certificates_of_a_task_are_made_at_once(events, monkeypatch):
    """Each waits for the other to begin."""
    together = threading.Barrier(2, timeout=60)

    def certificate(_examiner, _definition, _task, examined):
        together.wait()
        examined(1, 2)
        return Certificate(certified=True)

    monkeypatch.setattr(certification, "certificate", certificate)
    monkeypatch.setattr(certification, "usable_cpus", lambda: 2)
    told = []
    observer = Silent()
    observer.examined = lambda cases, of: told.append((cases, of))
    requests = _requests()
    with Certification(certified_at_once(requests), observer) as certifier:
        assert certifier.certificate(requests[0]).certified
    assert told == [(1, 2), (2, 4)]


def test_where_there_is_a_gpu_each_is_made_alone(monkeypatch):
    requests = _requests()
    assert [len(group) for group in certified_at_once(requests)] == [2, 2]
    monkeypatch.setattr(certification, "gpus", lambda: ["/dev/nvidia0"])
    assert [len(group) for group in certified_at_once(requests)] == [1, 1, 1, 1]


def test_an_interrupt_ends_certificates_that_others_make_at_once(events, monkeypatch):
    abandoned = threading.Event()

    def certificate(examiner, _definition, _task, examined):
        if examiner.configuration.backend == "torch":
            examined(1, 2)
        assert abandoned.wait(60)
        return Certificate(certified=False)

    class Examiner(worker_examiner.Examiner):
        def abandon(self):
            super().abandon()
            abandoned.set()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(certification, "certificate", certificate)
    monkeypatch.setattr(certification, "Examiner", Examiner)
    monkeypatch.setattr(certification, "usable_cpus", lambda: 2)
    observer = Silent()
    observer.examined = interrupted
    requests = _requests()
    with Certification(certified_at_once(requests), observer) as certifier, pytest.raises(KeyboardInterrupt):
        certifier.certificate(requests[0])
    assert abandoned.is_set()


def test_an_interrupt_while_certifying_keeps_what_has_run_and_ends_the_workers(events, monkeypatch, tmp_path):
    def interrupted(_examiner, definition, *_):
        if definition.name == "rnn":
            raise KeyboardInterrupt
        return Certificate(certified=True, reason=f"{_examiner._name} {definition.name}")

    monkeypatch.setattr(certification, "certificate", interrupted)
    requests, store = _requests(), Store(tmp_path)
    store.prepare()
    with Certification(certified_at_once(requests), Silent()) as certifier:
        records = sequence.execute_all(_shared(requests, store), store, Silent(), math.inf, certifier)
    assert [record.status for record in records] == ["ok", "ok", "interrupted"]
    assert [RUNS.read(path).status for path in store.paths()] == ["interrupted"]
    assert events[-2:] == ["close torch", "close jax"]
