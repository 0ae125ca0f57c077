"""What a comparison advises: a duel as a complete command for the same work, and a faster mode."""

import shlex
from pathlib import Path

import msgspec
import pytest
from support.made_runs import made_record, made_runs
from support.records import TASK
from support.rendered import findings_text, html_report, markdown_report

from harness.analysis.comparison import compare
from harness.analysis.findings import read_findings
from harness.analysis.grouping import group_runs
from harness.cli.duel import command as duel
from harness.report.duel import next_duel
from harness.report.runs import findings as document
from harness.runs.record import TaskRecord
from harness.runs.store import Store
from harness_tasks.cnn import CNN

_DEFAULTS = msgspec.structs.asdict(CNN.options())


def _compared(names=("jax", "torch"), options=_DEFAULTS, seeds=1, **changes):
    task = TaskRecord("cnn", 1, options, "0" * 64, CNN.define(CNN.options(**options)))
    records = [
        made_record(name, seed, step=0.01 * place, task=task, **changes)
        for place, name in enumerate(names, 1)
        for seed in range(seeds)
    ]
    (group,) = group_runs(made_runs(*records)).groups
    return compare(group)


def test_options_that_are_not_the_tasks_own_are_given():
    options = _DEFAULTS | {"width": 0.5, "flip": True}
    command = next_duel(_compared(options=options), Path("other results"))
    assert command == (
        "harness duel jax:eager torch:eager --task cnn --set width=0.5 --set flip=true --dataset digits "
        "--threads 2 --results 'other results'"
    )


def test_conditions_other_than_the_usual_ones_are_given():
    description = msgspec.structs.replace(TASK, batch_size=77)
    task = TaskRecord("cnn", 1, _DEFAULTS, "0" * 64, description)
    records = [
        made_record(
            name,
            task=task,
            precision="bfloat16",
            device_asked="cpu",
            inherited_variables={"OMP_WAIT_POLICY": "PASSIVE", "TORCH_LOGS": "all"},
            command=["run", "--plugin", "my task.py", "--plugin=other.py"],
        )
        for name in ("jax", "torch")
    ]
    (group,) = group_runs(made_runs(*records)).groups
    assert next_duel(compare(group)) == (
        "OMP_WAIT_POLICY=PASSIVE harness duel jax:eager torch:eager --task cnn --batch-size 77 "
        "--dataset digits --device cpu --precision bfloat16 --threads 2 --plugin 'my task.py' "
        "--plugin other.py"
    )


def test_variables_that_this_shell_sets_too_are_not_named(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "256")
    inherited = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512"}
    command = next_duel(_compared(inherited_variables=inherited))
    assert command.startswith("OPENBLAS_L2_SIZE=512 harness duel jax:eager torch:eager --task cnn")


def test_the_command_line_takes_it():
    words = shlex.split(next_duel(_compared(options=_DEFAULTS | {"width": 0.5})))
    given = duel.make_context("duel", words[2:], resilient_parsing=False).params
    assert given["names"] == ("jax:eager", "torch:eager")
    assert (given["task"], given["assignments"], given["threads"]) == ("cnn", ("width=0.5",), 2)


def test_a_task_that_is_not_installed_has_all_its_options():
    task = TaskRecord("elsewhere", 1, {"depth": 3}, "0" * 64, TASK)
    (group,) = group_runs(made_runs(*(made_record(name, task=task) for name in ("jax", "torch")))).groups
    assert "--task elsewhere --set depth=3 --batch-size 64 --dataset digits" in next_duel(compare(group))


def test_a_duel_takes_the_reference_and_the_three_nearest():
    command = next_duel(_compared([f"b{number}" for number in range(6)]))
    assert "duel b0:eager b1:eager b2:eager b3:eager --task" in command


@pytest.mark.parametrize(
    "comparison",
    [
        lambda: _compared(seeds=3),  # decided by quiet runs
        lambda: _compared(["torch"]),
    ],
)
def test_nothing_is_suggested_where_nothing_is_open(comparison):
    assert next_duel(comparison()) is None


def test_versions_of_one_framework_need_more_than_a_command():
    records = [made_record("torch", framework={"engine": "torch", "torch": version}) for version in "12"]
    (group,) = group_runs(made_runs(*records)).groups
    assert next_duel(compare(group)) is None


SENTENCE = "torch:eager is not the fastest mode on cnn"


@pytest.fixture
def shown(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(document, "faster_modes", lambda ran, _known: asked.extend(ran) or [SENTENCE])
    store = Store(tmp_path / "results")
    store.prepare()
    for backend in ("torch", "keras"):
        for seed in range(3):
            store.save(made_record(backend, seed))
    return read_findings((), store.folder.parent), asked


def test_text_page_and_markdown_say_it(shown, tmp_path):
    found, asked = shown
    assert SENTENCE in findings_text(found, 100)
    # One of the runs of each configuration is enough.
    assert sorted(record.configuration.backend for record, *_ in asked) == ["keras", "torch"]
    assert SENTENCE in html_report(found)
    markdown_report(found, tmp_path / "report.md")
    assert SENTENCE in (tmp_path / "report.md").read_text()
