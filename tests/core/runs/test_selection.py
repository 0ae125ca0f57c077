"""Which records are read: paths, filters, and the errors when nothing is selected."""

from pathlib import Path

import pytest
from support.made_records import made_record, made_setting, seeds_of
from support.records import save_runs

from harness.core.runs.selection import Selection
from harness.core.runs.store import Store
from harness.core.shell.features import records
from harness.errors import UsageError


@pytest.fixture
def results(tmp_path):
    save_runs(tmp_path, made_record("torch", 0), made_record("torch", 1), made_record("jax", 0))
    return tmp_path


def _labels(*arguments, results):
    return sorted(
        f"{record.configuration.backend} {record.seed}" for record in Selection(arguments, results, records())
    )


EVERYTHING = ["jax 0", "torch 0", "torch 1"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], EVERYTHING),
        (["backend=torch"], ["torch 0", "torch 1"]),
        (["backend=torch:eager,jax", "seed=0"], ["jax 0", "torch 0"]),
        (["task=cnn", "status=ok", "dataset=digits", "precision=float32", "threads=2"], EVERYTHING),
        (["epochs=2", "batch_size=64", "max_steps=none", "mode=eager"], EVERYTHING),
        (["version=torch 1.0,jax 2.0"], ["torch 0", "torch 1"]),
        (["since=2026-01-01"], EVERYTHING),
        (["since=999999w"], EVERYTHING),  # before there were dates
    ],
)
def test_a_record_passes_if_it_matches_every_filter(results, filters, expected):
    assert _labels(*filters, results=results) == expected


@pytest.mark.parametrize(
    ("device", "seeds"),
    [("cuda", [0, 1]), ("cuda:1", [1]), ("cuda:1 (NVIDIA H100)", [1]), ("cpu", [2]), ("cuda:1,cpu", [1, 2])],
)
def test_a_device_is_found_by_its_kind_its_number_or_its_name(tmp_path, device, seeds):
    # A process that is given the second GPU sees it as its first.
    devices = [("auto", "cuda:0 (NVIDIA H100)"), ("cuda:1", "cuda:0 (NVIDIA H100)"), ("auto", "cpu")]
    save_runs(
        tmp_path,
        *seeds_of(device_asked=lambda seed: devices[seed][0], device=lambda seed: devices[seed][1]),
    )
    assert [record.seed for record in Selection([f"device={device}"], tmp_path, records())] == seeds


def test_files_folders_and_ids(results, tmp_path_factory):
    first, *_ = Store(results).paths()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert _labels(str(first), results=elsewhere) == ["torch 0"]
    assert _labels(str(results), results=elsewhere) == EVERYTHING
    assert _labels(str(results / "runs"), str(first), results=elsewhere) == EVERYTHING
    assert _labels(first.stem[:20], results=results) == ["torch 0"]
    assert _labels("last", results=results) == ["jax 0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bakend=torch"], r"unknown filter 'bakend'\. Did you mean 'backend'\?"),
        (["task="], "task= has an empty value"),
        (["since=yesterday"], "since=yesterday is not a time; write 90m, 3h, 2d, 1w or a date"),
        (
            ["backend=keras"],
            r"none of 3 records passes the filters\. Present: backend torch:eager \(2\), jax:eager \(1\)\.",
        ),
        (["since=1m"], "none of 3 records passes the filters since "),
        (["nothing-like-it"], "unknown record 'nothing-like-it'"),
    ],
)
def test_an_error_states_what_is_there(results, arguments, message):
    with pytest.raises(UsageError, match=message):
        _labels(*arguments, results=results)


@pytest.mark.parametrize(
    ("filters", "seeds"),
    [
        (["optimizer=adam,rmsprop"], [0, 1]),
        (["learning_rate=1e-2"], [0, 2]),
        (["nesterov=true"], [2]),
        (["optimizer=adam", "learning_rate=0.010"], [0]),
    ],
)
def test_options_of_the_task_are_filters(tmp_path, filters, seeds):
    save_runs(
        tmp_path,
        made_setting(0, optimizer="adam", learning_rate=0.01, nesterov=False),
        made_setting(1, optimizer="rmsprop", learning_rate=0.1, nesterov=False),
        made_setting(2, optimizer="sgd", learning_rate=0.01, nesterov=True),
        made_setting(9, width=1.0),
    )
    assert [record.seed for record in Selection(filters, tmp_path, records())] == seeds
    with pytest.raises(UsageError, match=r"Present: optimizer adam \(1\), rmsprop \(1\), sgd \(1\)\."):
        list(Selection(["optimizer=gd"], tmp_path, records()))
    with pytest.raises(UsageError, match=r"unknown filter 'optimiser'\. Did you mean 'optimizer'\?"):
        list(Selection(["optimiser=adam"], tmp_path, records()))


def test_a_file_of_another_program_is_named_and_skipped(results):
    (results / "runs" / "foreign.json").write_text('{"benchmarks": []}')
    selection = Selection([], results, records())
    assert (len(list(selection)), len(selection.unreadable)) == (3, 1)
    assert "foreign.json" in selection.unreadable[0]


def test_nothing_but_broken_files(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UsageError, match=r"^\S*x\.json is not a readable run record: "):
        list(Selection([str(tmp_path)], tmp_path, records()))
    (tmp_path / "y.json").write_text("{")
    with pytest.raises(UsageError, match=r"^none of 2 files can be read: .*x\.json"):
        list(Selection([str(tmp_path)], tmp_path, records()))


def test_a_record_whose_start_cannot_be_read_is_named_and_passes_no_date(results):
    store = Store(results)
    store.save(made_record("keras", started_at="yesterday"))
    store.save(made_record("keras", 1, started_at="2026-02-01T00:00:00"))  # no zone: UTC
    selection = Selection(["since=2026-01-31"], results, records())
    assert [record.seed for record in selection] == [1]
    (message,) = selection.unreadable
    assert "'yesterday'" in message


def test_stored_records_are_read():
    comparison = Path(__file__).parents[3] / "results" / "comparison"
    selection = Selection(["task=mlp"], comparison, records())
    labels = {record.configuration.label for record in selection}
    assert labels == {"torch:eager", "keras:fit", "jax:jit"}


def test_a_filter_longer_than_a_file_name_is_a_filter(results):
    seeds = ",".join(map(str, range(100)))
    assert len(_labels(f"seed={seeds}", results=results)) == 3
    with pytest.raises(UsageError):
        _labels("x" * 300, results=results)
