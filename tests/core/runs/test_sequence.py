"""A sequence of runs: which are executed, and each certificate once, when a run needs it."""

import msgspec
import pytest
from support.records import save_runs

from harness.core.certify.certificate import Certificate
from harness.core.runs import sequence
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.request import new_record
from harness.core.runs.sequence import Certification
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import RUNS, Store

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

        def __exit__(self, *_):
            self.close()

    def certificate(examiner, definition, _task, examined):
        seen.append(f"certify {examiner._name} {definition.name}")
        examined(1, 1)
        return Certificate(certified=True, reason=f"{examiner._name} {definition.name}")

    def execute(request, certificate, _store, _observer):
        assert certificate.reason == f"{request.configuration.backend} {request.task.name}"
        seen.append(f"run {request.configuration.backend} {request.task.name} {request.seed}")
        return msgspec.structs.replace(new_record(request), status="ok")

    monkeypatch.setattr(sequence, "Examiner", Examiner)
    monkeypatch.setattr(sequence, "certificate", certificate)
    monkeypatch.setattr(sequence, "execute", execute)
    return seen


class Silent:
    """An observer, of a run as well."""

    def begin(self, _node, _request):
        return lambda _event: None


def _requests():
    options = MatrixOptions(backends=["torch", "jax"], tasks=["mlp", "rnn"], seeds=[0, 1])
    return RunMatrix(options).requests(lambda _what, _done, _total: None)


def _certified(folder):
    """The records of these runs with their certificates, and their store."""
    requests, store = _requests(), save_runs(folder)
    with Certification(requests, lambda _event: None) as certifier:
        shared = SharedRuns(requests, store, certify=True)
        return sequence.execute_all(shared, store, Silent(), certifier), store


def test_each_run_follows_its_certificate_and_no_worker_runs_meanwhile(events, tmp_path):
    records, _ = _certified(tmp_path)
    assert len(records) == 8
    for place, backend in enumerate(("torch", "jax")):
        first = [f"certify {backend} mlp", f"pause {backend}", f"run {backend} mlp 0"]
        assert events[3 * place :][:3] == first
    assert events[7:9] == ["close torch", "run torch rnn 0"]
    assert [event for event in events if event.startswith("certify")] == [
        f"certify {backend} {task}" for task in ("mlp", "rnn") for backend in ("torch", "jax")
    ]
    assert events[-4:] == ["run torch mlp 1", "run jax mlp 1", "run torch rnn 1", "run jax rnn 1"]


def test_an_interrupt_while_certifying_keeps_what_has_run_and_ends_the_workers(events, monkeypatch, tmp_path):
    def interrupted(_examiner, definition, *_):
        if definition.name == "rnn":
            raise KeyboardInterrupt
        return Certificate(certified=True, reason=f"{_examiner._name} {definition.name}")

    monkeypatch.setattr(sequence, "certificate", interrupted)
    records, store = _certified(tmp_path)
    assert [record.status for record in records] == ["ok", "ok", "interrupted"]
    assert [RUNS.read(path).status for path in store.paths()] == ["interrupted"]
    assert events[-2:] == ["close torch", "close jax"]


def test_what_one_precision_declines_is_still_tried_in_another(monkeypatch, tmp_path):
    def declining(request, _certificate, _store, _observer):
        status = "unsupported" if request.configuration.precision == "bfloat16" else "ok"
        return msgspec.structs.replace(new_record(request), status=status)

    monkeypatch.setattr(sequence, "execute", declining)
    options = MatrixOptions(
        backends=["torch"], tasks=["mlp"], seeds=[0, 1], precisions=("bfloat16", "float32")
    )
    requests = RunMatrix(options).requests(lambda _what, _done, _total: None)
    store = Store(tmp_path)
    records = sequence.execute_all(SharedRuns(requests, store, certify=False), store, Silent())
    assert [(record.configuration.precision, record.seed) for record in records] == [
        ("bfloat16", 0),
        ("float32", 0),
        ("float32", 1),
    ]
