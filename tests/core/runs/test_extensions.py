"""Work after a training: who asks for it, what it leaves in the record, and what a failure costs."""

from unittest.mock import Mock

import msgspec
import pytest
from support.outline import outline
from support.records import make_record, make_request, save_runs

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.execute import execute
from harness.core.runs.extensions import AfterTraining, carry_out, with_work
from harness.core.runs.identity import ingredients_of
from harness.core.runs.page import record_document
from harness.core.runs.record import Extension, Record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import RUNS
from harness.core.runs.summary import summary_document
from harness.errors import Declined, RequestFailed, UsageError, WorkerLost


class Work(AfterTraining):
    """Work whose operation is a function of the standard library."""

    title, phase = "Title", "working"

    def __init__(self, name, operation="operator:is_", *, in_every_run=True):
        self.name, self.operation, self.in_every_run = name, operation, in_every_run

    def applies(self, task):
        return task.name != "rnn"

    def arguments(self, record, last_state):
        assert last_state.is_file()
        return {"steps": len(record.blocks)}

    def facts(self, record):
        return {self.name: record.extension(self.name, bool), "unknown": None}

    def remarks(self, record):
        return [f"The sentence of {self.name} about {record.id}."]


class Missing(Work):
    """Work that lacks a library."""

    def require(self, task):
        raise UsageError(f"{task.name} needs a library")


ALWAYS, ASKED, BROKEN = Work("always"), Work("asked", in_every_run=False), Work("broken", "operator:add")
NEEDY = Missing("needy", in_every_run=False)
PLACES = [f"{__name__}:{name}" for name in ("ALWAYS", "ASKED", "BROKEN", "NEEDY")]


def names(requests):
    return [[place.rpartition(":")[2] for place in each.after_training] for each in requests]


def test_a_request_gets_the_work_that_applies_and_what_it_asks_for():
    plain, asking = make_request(), make_request(asks_for=("asked", "unknown"))
    assert names(with_work([plain, asking, make_request(task="rnn")], PLACES)) == [
        ["ALWAYS", "BROKEN"],
        ["ALWAYS", "ASKED", "BROKEN"],
        [],
    ]
    assert names(with_work([asking], [])) == [[]]


def test_what_a_missing_library_is_needed_for_is_refused_beforehand():
    with pytest.raises(UsageError, match="mlp needs a library"):
        with_work([make_request(asks_for=("needy",))], PLACES)


def test_work_is_no_part_of_the_identity_of_a_run():
    request = make_request()
    (worked,) = with_work([msgspec.structs.replace(request, asks_for=("asked",))], PLACES)
    assert ingredients_of(worked, certify=False) == ingredients_of(request, certify=False)


def test_a_run_keeps_its_proofs_and_the_reason_of_work_that_fails(tmp_path):
    pytest.importorskip("torch")
    (request,) = with_work([make_request(max_steps=8)], PLACES)
    execute(request, None, store := save_runs(tmp_path), lambda _event: None)
    record = RUNS.read(*store.paths())
    assert (record.status, record.verification.outcome) == ("ok", "verified")
    assert record.extensions["always"] == Extension(False)
    assert record.extensions["broken"].failure.startswith("TypeError: ")
    assert (record.extension("always", bool), record.extension("broken", bool)) == (False, None)
    assert record.extension("always", list[str]) is None  # of another version of the feature
    page = terminal_text(record_document(record, [ALWAYS, BROKEN]), 200)
    assert "Failed after the training" in page
    assert "unknown" not in page
    summary = terminal_text(summary_document([record, record], tmp_path, works=[ALWAYS]), 200)
    assert summary.count(f"The sentence of always about {record.id}.") == 1
    assert summary.count("broken of torch:eager on mlp failed after the training: TypeError") == 1


def _of(error, work, tmp_path):
    session = Mock()
    session.operate.side_effect = error
    (tmp_path / "state").touch()
    return carry_out(work, make_record(), session, tmp_path / "state")


@pytest.mark.parametrize("error", [WorkerLost("gone", 1, None), RequestFailed("raised", "")])
def test_a_worker_that_fails_is_a_reason(error, tmp_path):
    assert _of(error, ASKED, tmp_path) == Extension(failure=str(error))


def test_a_backend_may_decline_only_what_is_asked_for(tmp_path):
    declined = Declined("no gradients")
    assert _of(declined, ALWAYS, tmp_path) == Extension(failure="no gradients")
    with pytest.raises(Declined):
        _of(declined, ASKED, tmp_path)


def test_an_error_of_the_work_itself_is_a_reason_with_its_place(tmp_path):
    missing = tmp_path / "missing"
    found = carry_out(ALWAYS, make_record(), Mock(), missing)
    assert found.failure.startswith("AssertionError")


@pytest.mark.parametrize(
    ("extensions", "repeated"),
    [
        ({}, True),
        ({"asked": Extension(1)}, False),
        ({"asked": Extension(failure="it fell")}, True),
    ],
)
def test_a_run_that_lacks_what_is_asked_for_is_repeated(extensions, repeated, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.core.runs.sharing.data_fingerprint", lambda _name: "f" * 64)
    store, (request,) = save_runs(tmp_path), with_work([make_request(asks_for=("asked",))], PLACES)
    (planned,) = SharedRuns([request], store, certify=False).left
    record = msgspec.structs.replace(make_record(), identity=planned.request.identity, extensions=extensions)
    record.dataset.fingerprint = "f" * 64
    store.save(record)
    assert len(SharedRuns([request], store, certify=False).left) == repeated
    assert SharedRuns([make_request()], store, certify=False).left == []


def test_the_page_of_a_run_without_features_has_no_facts_of_theirs():
    record: Record = make_record(extensions={"always": Extension(True)})
    assert "Title" not in outline(record_document(record))
    assert "Title" in outline(record_document(record, [ALWAYS]))
