"""The fastest mode of a backend: from a duel of its modes, which is kept and then not repeated."""

from importlib import metadata

import msgspec
import pytest
from support.made_duels import stored_duel
from support.records import reconfigured
from support.workloads import workload as make_workload

from harness.core.machine.description import describe_machine
from harness.core.runs.record import DatasetRecord
from harness.errors import HarnessError
from harness.timing.duel import fastest_mode, mode_times
from harness.timing.duel.fastest_mode import FastestMode, FastestModes, TimingModes
from harness.timing.duel.modes_page import chosen_sentence, faster_modes, modes_row
from harness.timing.duel.request import DuelRequest

pytest.importorskip("torch")

DATA = DatasetRecord("mnist1d")
#: Step times of the modes of ``torch``; compiling fails.
SECONDS = {"eager": 1.3, "channels_last": 1.0}


class Watching:
    """Notes what it is told."""

    def __init__(self):
        self.timed, self.found = [], []

    def __call__(self, event):
        match event:
            case TimingModes(modes=modes):
                self.timed.append(modes)
            case FastestMode(times):
                self.found.append(times)


class MadeDuel:
    """In place of a duel: the record that one with these step times leaves."""

    failure, label = "torch:compile: g++ is missing", "torch:compile"

    def __init__(self, request, _folder, _observer):
        self.request, self.failed_label = request, None

    def carry_out(self):
        modes = [workload.configuration.mode for workload in self.request.workloads]
        if "compile" in modes:
            self.failed_label = self.label
            return stored_duel(status="failed", failure=self.failure, results=[], pairs=[])
        record = stored_duel(machine=describe_machine())
        (result,) = record.results
        framework = {"engine": "torch", "torch": metadata.version("torch")}
        first = msgspec.structs.replace(
            reconfigured(record.configurations[0], backend="torch"), framework=framework
        )
        ratio = msgspec.structs.replace(result.ratio, value=SECONDS[modes[1]] / SECONDS[modes[0]])
        record.configurations = [reconfigured(first, mode=mode) for mode in modes]
        record.results = [msgspec.structs.replace(result, ratio=ratio)]
        return record


@pytest.fixture(autouse=True)
def _made(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(fastest_mode, "Duel", MadeDuel)
    monkeypatch.setattr(fastest_mode, "is_certified", lambda _workload: True)


def workload(mode, **changes):
    return make_workload(f"torch:{mode}", mode=mode, **changes)


def chosen(tmp_path, modes=("eager", "compile", "channels_last"), *, certify=False, **changes):
    watching = Watching()
    choice = [workload(mode, **changes) for mode in modes]
    return FastestModes(tmp_path, watching, certify=certify).choose(choice, DATA), watching


def test_the_fastest_of_the_modes_that_work_is_taken(tmp_path):
    found, watching = chosen(tmp_path)
    assert (found.configuration.mode, found.label) == ("channels_last", "torch:channels_last")
    assert watching.timed == [["eager", "compile", "channels_last"], ["eager", "channels_last"]]
    (times,) = watching.found
    assert times.times == pytest.approx({"eager": 1.3, "channels_last": 1.0})
    assert times.failed == {"compile": MadeDuel.failure}


def test_a_mode_that_is_named_is_left_alone(tmp_path):
    found, watching = chosen(tmp_path, ["compile"])
    assert found == workload("compile")
    assert not watching.timed


def test_what_was_measured_is_kept_for_the_same_conditions_only(tmp_path):
    chosen(tmp_path)
    found, watching = chosen(tmp_path)
    assert found.configuration.mode == "channels_last"
    assert not watching.timed
    assert len(watching.found) == 1
    for change in ({"threads": 2}, {"precision": "float64"}, {"device": "auto"}):
        assert chosen(tmp_path, **change)[1].timed, change


def test_other_versions_and_damaged_entries_are_measured_again(tmp_path, monkeypatch):
    chosen(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(mode_times, "has_versions", lambda _backend, versions: versions["torch"] == "0.1")
        assert chosen(tmp_path)[1].timed
    (path,) = (tmp_path / "cache" / "mode-times").iterdir()
    path.write_bytes(path.read_bytes().replace(b'"eager":1.3', b'"eager":0.3'))
    assert chosen(tmp_path)[1].timed


def test_a_mode_that_is_not_certified_does_not_win(tmp_path, monkeypatch):
    right = {"eager", "compile"}
    monkeypatch.setattr(fastest_mode, "is_certified", lambda each: each.configuration.mode in right)
    found, watching = chosen(tmp_path, certify=True)
    assert found.configuration.mode == "eager"
    assert watching.timed == [["eager", "compile"]]


def test_a_duel_that_fails_as_a_whole_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(MadeDuel, "label", None)
    with pytest.raises(HarnessError, match=r"torch:best on mlp: its modes could not be timed \(torch:comp"):
        chosen(tmp_path)


def test_a_comparison_names_the_faster_mode_of_a_side(tmp_path, snapshot):
    _, watching = chosen(tmp_path)
    (times,) = watching.found
    modes = [workload("eager"), workload("channels_last")]
    record = MadeDuel(DuelRequest(workloads=modes, dataset=DATA, margin=0.02), "", "").carry_out()
    task = msgspec.structs.replace(modes[0].task, epochs=99)
    ran = [
        (msgspec.structs.replace(each, batch_size=task.batch_size), task, record.machine)
        for each in record.configurations
    ]
    (sentence,) = faster_modes([*ran, *ran], [times])
    sentences = [sentence, chosen_sentence(times)]
    assert [each.replace(times.day, "DAY") for each in sentences] == snapshot
    other = reconfigured(ran[0][0], threads=7)
    assert faster_modes([(other, task, record.machine)], [times]) == []
    assert modes_row(times)[:3] == ("mlp", "torch", "channels_last")
    assert modes_row(times)[3] == snapshot
