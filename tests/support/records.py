"""Records made up for the tests of code that reads them; no run was made."""

import json

import msgspec

from harness.core.machine.checksums import with_checksum
from harness.core.machine.description import Machine
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Block, DatasetRecord, Epoch, Phases, Record, TaskRecord
from harness.core.runs.request import RunRequest
from harness.core.runs.store import Store
from harness_tasks.cnn import CNN

TASK = CNN.define(CNN.options())
MACHINE = Machine(
    cpu="Test CPU",
    physical_cores=2,
    logical_cpus=4,
    allowed_cpus=4,
    memory_bytes=2**33,
    os="Linux 6.1",
    libc="glibc 2.39",
    python="3.12.1",
    harness="0.1.0",
    git=None,
)
CONFIGURATION = Configuration("torch", "eager", "auto", 2, python="python")
BLOCKS = [
    Block(1, 1, 64, 0.5),
    Block(1, 8, 64, 0.16),
    Block(1, 10, 64, 0.3),
    Block(1, 1, 13, 0.001),
    Block(2, 4, 64, 0.4),
]
EPOCHS = [
    Epoch(1, 20, 1.0, 2.25, {"loss": 2.0, "accuracy": 0.25}, {"loss": 2.125, "accuracy": 0.125}),
    Epoch(2, 24, 1.5, 1.75, {"loss": 1.5, "accuracy": 0.75}, {"loss": None, "accuracy": 0.5}),
]


def make_record(identifier="20260101-000000-cnn-torch-eager-s0-abcd", **changes) -> Record:
    """Make a record with ``changes``, which may also be fields of its configuration."""
    names = set(Configuration.__struct_fields__) - {"device"}
    own = {name: changes.pop(name) for name in names & changes.keys()}
    if "device_asked" in changes:
        own["device"] = changes.pop("device_asked")
    record = Record(
        id=identifier,
        status="ok",
        started_at="2026-01-01T00:00:00+00:00",
        command=["run"],
        task=TaskRecord("cnn", 1, {"width": 0.5, "optimizer": "sgd"}, "0" * 64, TASK),
        dataset=DatasetRecord("digits", "f" * 64, "made up", {"train": 90, "validation": 10, "test": 20}),
        configuration=msgspec.structs.replace(CONFIGURATION, **own),
        framework={"engine": "torch", "torch": "2.9.0"},
        machine=MACHINE,
        worker_variables={"OMP_NUM_THREADS": "2"},
        device="cpu",
        seed=0,
        batch_size=64,
        epochs_asked=2,
        parameters=315_722,
        forward_flops_per_sample=8_377_600,
        epochs=EPOCHS,
        blocks=BLOCKS,
        best_epoch=1,
        test_at_last={"loss": 1.25, "accuracy": 0.5},
        test_at_best={"loss": 1.5, "accuracy": 0.25},
        phases=Phases(import_seconds=1.0, first_step_seconds=0.5, training_seconds=1.5),
        measured={"peak_memory_bytes": 2**28},
    )
    return msgspec.structs.replace(record, **changes)


def make_unfinished_record(identifier="20260101-000001-cnn-torch-eager-s0-dead", status="failed") -> Record:
    """Make a record of a run that failed before it could import its framework."""
    return make_record(
        identifier,
        status=status,
        framework={},
        device=None,
        epochs=[],
        blocks=[],
        best_epoch=None,
        test_at_last=None,
        test_at_best=None,
        phases=Phases(),
        measured={},
    )


def save_runs(results, *records) -> Store:
    """Save records in a results folder, and return its store."""
    store = Store(results)
    store.prepare()
    for record in records:
        store.save(record)
    return store


def reconfigured(record, **changes):
    """Return the record, or the configuration of a duel, with changes of its configuration."""
    configuration = msgspec.structs.replace(record.configuration, **changes)
    return msgspec.structs.replace(record, configuration=configuration)


def make_request(seed=0, *, task="mlp", epochs=None, **changes) -> RunRequest:
    """Make a request for one run of a task on ``mnist1d`` by ``torch:eager`` on one CPU thread."""
    definition = registry.task(task)
    defined = definition.define(definition.options())
    return RunRequest(
        configuration=Configuration("torch", "eager", "cpu", 1),
        task=msgspec.structs.replace(defined, epochs=epochs or defined.epochs),
        options={},
        dataset=DatasetRecord("mnist1d"),
        seed=seed,
        **changes,
    )


def as_stored(document):
    """Return the file of a record with the fields ``document``, and with their checksum."""
    fields = {name: value for name, value in document.items() if name != "checksum"}
    return with_checksum(json.dumps(fields).encode())


def row_of(frame, place=0):
    """Return a row of ``frame`` as JSON has it: times in ISO 8601, and null for what is not known."""
    return json.loads(frame.to_json(orient="records", date_format="iso"))[place]
