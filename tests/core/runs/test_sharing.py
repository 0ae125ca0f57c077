"""Runs that are recorded are reused, others are claimed, and all end up in the matrix's records."""

import msgspec
import pytest
from support.records import save_runs

from harness.core.runs import identity, sequence, sharing
from harness.core.runs.claims import Claims, claim_paths
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.request import new_record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import RUNS
from harness.layers.native import Native, NativeModel
from harness.network import Network

pytest.importorskip("torch")
DATA = "f" * 64


class Watcher:
    """Notes what happens; while it waits, the runs of ``meanwhile`` are recorded by another process."""

    def __init__(self, meanwhile=()):
        self.events = []
        self.meanwhile = list(meanwhile)

    def begin(self, _node, request):
        self.events.append(f"run {request.seed}")
        return lambda _event: None

    def recorded_elsewhere(self, request, _record):
        self.events.append(f"elsewhere {request.seed}")

    def waiting(self, runs):
        self.events.append(f"wait {runs}")
        for act in self.meanwhile:
            act()


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    """Runs end at once; a run with seed 9 diverges."""

    def execute(request, _certificate, store, _observer):
        return saved(store, request, "diverged" if request.seed == 9 else "ok")

    monkeypatch.setattr(sequence, "execute", execute)
    monkeypatch.setattr(sequence, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(sharing, "data_fingerprint", lambda _name: DATA)


@pytest.fixture
def store(tmp_path):
    return save_runs(tmp_path)


def saved(store, request, status):
    record = new_record(request)
    record.status, record.dataset.fingerprint = status, DATA
    store.save(record)
    return record


def requests(seeds=(0, 1, 2), **options):
    asked = MatrixOptions(backends=["torch"], tasks=["mlp"], seeds=list(seeds), **options)
    return RunMatrix(asked).requests(lambda _what, _done, _total: None)


def executed(store, planned, watcher=None, *, certify=False, fresh=False):
    """What happened, and the seeds of the records of the matrix."""
    watcher = watcher or Watcher()
    with SharedRuns(planned, store, certify=certify, fresh=fresh) as shared:
        records = sequence.execute_all(shared, store, watcher)
    assert claim_paths(store.folder.parent) == []
    return watcher.events, [record.seed for record in records]


def test_finished_runs_are_reused_in_the_order_of_the_matrix(store):
    assert executed(store, requests([2, 9])) == (["run 2", "run 9"], [2, 9])
    assert executed(store, requests([0, 9, 2])) == (["run 0"], [0, 9, 2])
    assert executed(store, requests([0, 9, 2])) == ([], [0, 9, 2])
    assert executed(store, requests([0, 9]), fresh=True) == (["run 0", "run 9"], [0, 9])


@pytest.mark.parametrize("status", ["failed", "timeout", "interrupted", "unsupported", "running"])
def test_what_did_not_finish_is_done_again(store, status):
    (planned,) = SharedRuns(requests([0]), store, certify=False).left
    saved(store, planned.request, status)
    assert executed(store, requests([0])) == (["run 0"], [0])


@pytest.mark.parametrize(
    "change",
    [
        {"precisions": ("float64",)},
        {"device": "cpu"},
        {"threads": [7]},
        {"max_steps": 5},
        {"epochs": 3},
        {"batch_sizes": [32]},
        {"assignments": ["learning_rate=0.5"]},
    ],
)
def test_a_run_in_which_anything_differs_is_another(store, change):
    executed(store, requests([0]))
    assert executed(store, requests([0], **change))[0] == ["run 0"]
    assert executed(store, requests([0], **change))[0] == []


def test_a_run_with_a_certificate_does_not_replace_one_without(store, monkeypatch):
    executed(store, requests([0]))
    assert executed(store, requests([0]), certify=True)[0] == ["run 0"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert executed(store, requests([0]))[0] == ["run 0"]


def test_other_data_and_another_framework_make_another_run(store, monkeypatch):
    executed(store, requests([0]))
    with monkeypatch.context() as patched:
        patched.setattr(sharing, "data_fingerprint", lambda _name: "0" * 64)
        assert executed(store, requests([0]))[0] == ["run 0"]
    identity._program.cache_clear()
    monkeypatch.setattr(identity.metadata, "version", lambda _name: "9.9")
    assert executed(store, requests([0]))[0] == ["run 0"]
    identity._program.cache_clear()
    _, other_data, other_version = (RUNS.read(path) for path in store.paths())
    different = identity.differences(other_data, other_version)
    assert {name: new for name, (_, new) in different.items()} == {"framework": "torch 9.9"}


def test_runs_of_another_process_are_awaited_and_shown(store):
    planned = requests([0, 1, 2])
    theirs = SharedRuns(planned[1:], store, certify=False)
    run = theirs.claim()
    watcher = Watcher(
        [lambda: theirs.add(run, saved(store, run.request, "failed")) if theirs.left[1:] else None]
    )
    assert executed(store, planned, watcher) == (["run 0", "run 2", "wait 1", "elsewhere 1"], [0, 1, 2])


def test_a_run_that_another_process_gave_up_is_done_here(store):
    planned = requests([0, 1])
    theirs = Claims(store.folder.parent)
    for run in SharedRuns(planned, store, certify=False).left:
        assert theirs.take(run.key, "theirs")
    watcher = Watcher([theirs.close])
    assert executed(store, planned, watcher) == (["wait 2", "run 0", "run 1"], [0, 1])


def test_a_record_that_is_completed_just_before_the_claim_is_not_repeated(store, monkeypatch):
    planned = requests([0])

    class Late(Claims):
        def take(self, key, run):
            if not store.paths():
                saved(store, shared.left[0].request, "ok")
            return super().take(key, run)

    monkeypatch.setattr(sharing, "Claims", Late)
    shared = SharedRuns(planned, store, certify=False)
    watcher = Watcher()
    records = sequence.execute_all(shared, store, watcher)
    assert ("run 0" in watcher.events, len(records), len(store.paths())) == (False, 1, 1)


def test_an_interrupt_releases_the_claim(store, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sequence, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        executed(store, requests([0]))
    assert claim_paths(store.folder.parent) == []


def test_records_of_earlier_versions_have_no_identity_and_are_read(store):
    record = msgspec.structs.replace(new_record(requests([0])[0]), status="ok", process=None)
    store.save(record)
    assert RUNS.read(store.paths()[0]).identity_key == ""
    assert executed(store, requests([0]))[0] == ["run 0"]


def test_the_code_of_a_model_of_the_users_own_is_part_of_the_identity(tmp_path):
    code = tmp_path / "net.py"
    code.write_text("a = 1")
    model = NativeModel("torch", f"{code}:net")
    (planned,) = requests([0])
    network = Network((4,), (Native((model,), (), (2,)),))
    task = msgspec.structs.replace(planned.task, networks={"model": network})
    first = identity._models(task)
    code.write_text("a = 2")
    assert identity._models(task) != first
    assert identity._models(planned.task) == {}
