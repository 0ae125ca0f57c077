"""What records of each kind contain, and take along into a bundle."""

import json
import zipfile

import msgspec
import pytest
from support.made_bisections import made_bisection
from support.made_bundles import own_record
from support.made_duels import made_time, stored_duel
from support.made_gates import made_benchmark, made_gate
from support.made_ports import made_port
from support.made_study import STUDY, made_study_records
from support.records import save_runs

from harness.core.documents.kinds import Envelope
from harness.core.shell import features
from harness.learning.study.record import STUDIES
from harness.sharing.bundle.opening import opened
from harness.timing.environments.suite import Benchmark

KINDS = {kind.name: kind for kind in features.records().kinds}
STEP = "bench.py:make_step"


def step_gate():
    asked = Benchmark(name="step", step=STEP)
    return made_gate(made_benchmark(asked=asked, backend="", task=STEP), made_benchmark("other"))


def step_duel():
    step = msgspec.structs.replace(made_time().step, targets=[STEP, STEP])
    return msgspec.structs.replace(stored_duel(), task=None, dataset=None, step=step)


def test_every_kind_with_a_command_says_what_it_needs():
    default = KINDS["study"].needs
    kinds = [kind for kind in KINDS.values() if issubclass(kind.type, Envelope)]
    assert len(kinds) >= 6
    assert [kind.name for kind in kinds if kind.needs is default] == []


@pytest.mark.parametrize(
    ("kind", "make", "files"),
    [
        ("duel", step_duel, ["bench.py"]),
        ("time", made_time, ["bench.py"]),
        ("gate", step_gate, ["bench.py"]),
        ("bisection", made_bisection, ["bench.py"]),
        ("port", made_port, ["my_keras.py", "my_torch.py"]),
    ],
)
def test_a_record_has_its_code_in_a_bundle(quick, tmp_path, kind, make, files):
    for name in ("bench.py", "my_torch.py", "my_keras.py"):
        (tmp_path / name).write_text(f"NAME = '{name}'\n")
    record, kind = msgspec.structs.replace(make(), status="ok"), KINDS[kind]
    path = kind.save(record, tmp_path / "results" / kind.folder)
    assert [source.path for source in kind.read(path).sources] == files
    done = quick("bundle", str(path), "--to", "claim.zip")
    assert done.returncode == 0, done.stderr
    (theirs,) = opened(tmp_path / "claim.zip", tmp_path / "theirs", lambda _: None)
    assert theirs == tmp_path / "theirs" / "results" / kind.folder / path.name
    assert [source.path for source in kind.read(theirs).sources] == files


def test_the_code_is_that_of_the_first_time_that_a_record_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = own_record(tmp_path)
    store = save_runs(tmp_path / "results", record)
    before = record.sources
    (tmp_path / "net.py").write_text("import os\n")
    store.save(record)
    assert record.sources == before


def test_a_study_takes_its_runs_along(quick, tmp_path):
    records = [*made_study_records(seeds=1)]
    store = save_runs(tmp_path / "results", *records, own_record(tmp_path))
    path = STUDIES.save(STUDY, tmp_path / "results" / "studies")
    done = quick("bundle", path.stem, "--to", "claim.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile("claim.zip") as archive:
        listed, names = json.loads(archive.read("bundle.json")), archive.namelist()
    assert listed["records"] == [f"results/studies/{path.name}"]
    runs = [name for name in names if name.startswith("results/runs/")]
    assert sorted(runs) == sorted(f"results/runs/{each.id}.json" for each in records)
    assert len(store.paths()) == len(records) + 1
