"""Several runs at once: the same results as one after the other, and nothing is lost however they end."""

import contextlib
import errno
import os
import signal
import sys
from unittest.mock import Mock, PropertyMock

import msgspec
import pytest
from support.processes import processes_of
from support.records import make_record, make_request

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs import jobs
from harness.core.runs.claims import claim_paths
from harness.core.runs.execute import execute
from harness.core.runs.frames import epochs_frame, runs_frame
from harness.core.runs.identity import ingredients_of
from harness.core.runs.jobs import Crew, execute_beside, outcome_of
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.places import Place
from harness.core.runs.record import Making, Record, step_time
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import RUNS, Store
from harness.core.runs.words import making_text
from harness.core.shell.commands.show import run_document
from harness.core.shell.executors import ThisMachine, unjudged
from harness.core.worker.template import Templates
from harness.errors import HarnessError

RUN = ("run", "--task", "cnn", "--dataset", "digits", "--threads", "1", "--quiet", "--no-certify")
OK = (*RUN, "--backend", "faulty:ok", "--epochs", "1")


@pytest.fixture(autouse=True)
def pythons_ctrl_c():
    """A command that an earlier test ran in this process may have left a handler of its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def results_of(harness):
    """What was computed, by seed."""
    paths = sorted((harness.folder / "results" / "runs").glob("*.json"))
    records = [record for record in map(RUNS.read, paths) if record.status == "ok"]
    return {record.seed: outcome_of(record) for record in records}


@pytest.mark.slow
def test_runs_at_once_give_the_same_results_as_one_after_the_other(harness, harness_in, tmp_path_factory):
    call = ("run", "--task", "mlp", "--backend", "torch", "--epochs", "1", "--threads", "1", "--no-certify")
    harness.ok(*call, "--seeds", "2")
    alone = results_of(harness)
    assert set(alone) == {0, 1}
    other = harness_in(tmp_path_factory.mktemp("jobs"))
    done = other.ok(*call, "--seeds", "2", "--jobs", "2")
    assert results_of(other) == alone
    assert "One run, drawn at random, is repeated in a fresh process" in done.stderr
    makings = [record["making"] for record in other.records()]
    assert sorted(str(making["repeated"]) for making in makings) == ["None", "equal"]
    assert {making["jobs"] for making in makings} == {2}
    assert {making["process"] for making in makings} == {"forked" if sys.platform == "linux" else "fresh"}
    for record in other.records():
        assert record["verification"]["outcome"] == "verified"
        assert (record["measured"], record["phases"]["import_seconds"]) == ({}, None)


@pytest.mark.slow
def test_runs_at_once_never_stand_for_runs_whose_times_are_judged(harness):
    harness.ok(*OK, "--jobs", "2")
    harness.ok(*OK)
    harness.ok(*OK, "--jobs", "1")
    judged, at_once = harness.records()[1], harness.records()[0]
    assert len(harness.records()) == 2
    assert (judged["making"], at_once["making"]["jobs"]) == (None, 2)


def test_the_identity_says_that_times_are_not_judged():
    request = make_request()
    executor = Mock(jobs=2)
    (asked,) = unjudged([request], executor)
    assert not asked.judges_times
    known, other = (ingredients_of(each, certify=False) for each in (request, asked))
    assert {name for name in other if known.get(name) != other[name]} == {"times"}
    assert unjudged([asked], ThisMachine()) == [request]


def test_times_of_runs_at_once_are_not_read():
    judged = make_record()
    assert step_time(judged) is not None
    record = msgspec.structs.replace(judged, making=Making("forked", 2))
    assert (step_time(record), record.judged_seconds) == (None, None)
    assert making_text(record.making) == "forked, 2 at once: times are not judged"
    for frame in (runs_frame([record]), epochs_frame([record])):
        assert frame.filter(like="seconds").isna().all(axis=None)
    shown = [terminal_text(run_document(each)) for each in (judged, record)]
    assert [("Blocks" in text, "s in total" in text) for text in shown] == [(True, True), (False, False)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sigkill", "exit", "raise", "nan"])
def test_a_run_that_fails_affects_no_other(harness, mode):
    done = harness(*RUN, "--backend", f"faulty:{mode},faulty:ok", "--epochs", "2", "--jobs", "2")
    assert done.returncode == 1
    statuses = {record["configuration"]["mode"]: record["status"] for record in harness.records()}
    assert statuses == {mode: "diverged" if mode == "nan" else "failed", "ok": "ok"}
    assert processes_of(harness) == []


@pytest.fixture
def in_process(generated_data, tmp_path, monkeypatch):
    """A function that executes runs of a backend at once in this process, with a store."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(generated_data))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))

    def execute(store, crew, seeds=(0, 1), epochs=200):
        options = MatrixOptions(
            backends=["torch"], tasks=["mlp"], seeds=list(seeds), epochs=epochs, threads=[1], device="cpu"
        )
        requests = RunMatrix(options).requests(lambda *_: None)
        requests = unjudged(requests, Mock(jobs=2))
        with SharedRuns(requests, store, certify=False) as shared, contextlib.suppress(KeyboardInterrupt):
            return execute_beside(shared, store, Mock(), False, crew)

    return execute


class FullStore(Store):
    """Has room for so many records, and from then on for none."""

    def __init__(self, folder, room):
        super().__init__(folder)
        self.room = room

    def save(self, record: Record):
        self.room -= 1
        if self.room < 0:
            raise HarnessError(f"{record.id}: {os.strerror(errno.ENOSPC)}")
        return super().save(record)


@pytest.mark.slow
def test_a_full_disk_ends_all_runs(in_process, tmp_path):
    store = FullStore(tmp_path, 4)
    with Crew(2, 1, "cpu", waits_for_memory=False) as crew:
        with pytest.raises(HarnessError, match="No space left"):
            in_process(store, crew)
        assert [place._sessions for place in crew.places] == [set(), set()]
    assert claim_paths(tmp_path) == []
    assert {RUNS.read(path).status for path in store.paths()} == {"running"}  # "lost" once this process ends


@pytest.mark.parametrize(
    ("again", "repeated", "status"),
    [([1], "equal", "ok"), ([2, 2], None, "failed"), ([2, 3], "not repeatable", "ok")],
)
def test_a_drawn_run_that_a_fresh_process_refutes_has_failed(tmp_path, monkeypatch, again, repeated, status):
    def computed(steps):
        return make_record(first_losses=[[float(steps)]])

    found = iter(map(computed, again))
    monkeypatch.setattr(jobs, "execute", lambda *_, **__: next(found))
    record = msgspec.structs.replace(computed(1), making=Making("forked", 2))
    with Crew(1, 1, "cpu", waits_for_memory=False) as crew:
        crew.note(make_request(), record)
        crew.conclude(Store(tmp_path), [record], lambda _line: None)
        crew.conclude(Store(tmp_path), [record], pytest.fail)  # once for each command
    assert (record.making.repeated, record.status) == (repeated, status)
    (path,) = Store(tmp_path).paths()
    assert RUNS.read(path).making == record.making
    assert ("fresh process computes other" in str(record.failure)) == (status == "failed")


def test_a_backend_that_cannot_be_forked_is_named_and_ctrl_c_ends_the_repetition(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "execute", lambda *_, **__: make_record(status="interrupted"))
    said = []
    with Crew(1, 1, "cpu", waits_for_memory=False) as crew:
        crew._templates.reasons["torch"] = "its import starts threads (pool)"
        record = make_record(making=Making("forked", 1))
        crew.note(make_request(), record)
        with pytest.raises(KeyboardInterrupt):
            crew.conclude(Store(tmp_path), [record], said.append)
    assert said[0].endswith(
        "backend torch was started anew instead of forked: its import starts threads (pool)"
    )


def test_a_run_is_drawn_among_those_records_of_a_command_that_were_forked(tmp_path, monkeypatch):
    """A measurement of steps, for example, is forked, but is no record of its study."""
    drawn_from = []
    monkeypatch.setattr(jobs, "_RNG", Mock(choice=lambda among: drawn_from.extend(among) or among[0]))
    monkeypatch.setattr(jobs, "execute", lambda *_, **__: make_record(status="failed"))
    makings = [Making("forked", 1), Making("forked", 1), Making("fresh", 1), None]
    records = [make_record(str(seed), seed=seed, making=making) for seed, making in enumerate(makings)]
    records.append(make_record("diverged", status="diverged", making=Making("forked", 1)))
    with Crew(1, 1, "cpu", waits_for_memory=False) as crew:
        for record in [*records, make_record("measurement", making=Making("forked", 1))]:
            crew.note(make_request(), record)
        crew.conclude(Store(tmp_path), records, lambda _line: None)
    assert drawn_from == records[:2]


def test_a_run_at_an_abandoned_place_is_interrupted_whatever_came_of_it(tmp_path, monkeypatch):
    store = Store(tmp_path)
    place = Place(Templates(), [0])
    place.abandon("interrupted by SIGTERM")
    records = [execute(make_request(), None, store, pytest.fail, place)]
    monkeypatch.setattr("harness.core.runs.execute._worker", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(
        "harness.core.runs.execute._train", lambda _run, record, _: setattr(record, "status", "ok")
    )
    records.append(execute(make_request(), None, store, pytest.fail, place))
    expected = ("interrupted", "interrupted by SIGTERM")
    assert [(record.status, record.failure.message) for record in records] == [expected] * 2
    assert [RUNS.read(path).status for path in store.paths()] == ["interrupted"] * 2


def test_a_ctrl_c_is_kept_and_a_second_one_is_raised():
    kept = []
    with jobs._interrupts_kept(kept.append):
        signal.raise_signal(signal.SIGINT)
        assert len(kept) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert len(kept) == 1


def test_a_ctrl_c_after_the_last_run_is_not_lost(tmp_path, monkeypatch):
    shared = Mock(records=[])
    type(shared).left = PropertyMock(side_effect=lambda: signal.raise_signal(signal.SIGINT) or [])
    with Crew(1, 1, "cpu", waits_for_memory=False) as crew, pytest.raises(KeyboardInterrupt):
        execute_beside(shared, Store(tmp_path), Mock(), False, crew)


def test_workers_wait_for_memory(monkeypatch):
    memory = Mock(available=3 << 30)
    monkeypatch.setattr(jobs.psutil, "virtual_memory", lambda: memory)
    with Crew(8, 1, "cpu", waits_for_memory=True) as crew:
        assert [crew.room_beside(running) for running in range(4)] == [True, True, True, False]
        crew.places[1].note_memory({"peak_memory_bytes": 2 << 30})
        assert [crew.room_beside(running) for running in range(2)] == [True, False]  # one runs in any case
        crew.places[1].peak_bytes = 1 << 30
        memory.available = 1 << 29  # other programs have taken it
        assert not crew.room_beside(1)
    with Crew(3, 1, "cpu", waits_for_memory=False) as crew:
        crew.places[1].note_memory({"peak_memory_bytes": 4 << 30})
        assert crew.room_beside(2)


def test_places_take_gpus_in_turn(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    configuration = make_request().configuration
    chosen = {}
    for device in ("cuda", "auto", "cpu", "cuda:1"):
        asked = msgspec.structs.replace(configuration, device=device)
        with Crew(3, 1, device, gpus=2, waits_for_memory=False) as crew:
            chosen[device] = [place.variables(asked)["CUDA_VISIBLE_DEVICES"] for place in crew.places]
    in_turn = ["GPU-a", "GPU-b", "GPU-a"]
    assert chosen == {"cuda": in_turn, "auto": in_turn, "cpu": ["-1"] * 3, "cuda:1": ["GPU-b"] * 3}
