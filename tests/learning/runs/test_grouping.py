"""Which runs are comparable, which are left out or kept apart, and how groups are named."""

import msgspec
import pytest
from support.made_records import made_record, seeds_of, two_configurations
from support.made_runs import findings_of, made_runs
from support.records import MACHINE, make_unfinished_record

from harness.core.certify.certificate import Certificate
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.record import DatasetRecord, Evaluation, Failure, Making
from harness.core.runs.request import TRIAL_SEED
from harness.learning.runs.comparison import compare
from harness.learning.runs.conditions import Difference
from harness.learning.runs.grouping import grouped
from harness.learning.runs.kept_apart import DifferentWork
from harness.learning.runs.page import findings_document
from harness.learning.runs.rows import LeftOut, rows_of


def groups_of(runs):
    return grouped(rows_of(runs).rows)


def task_with(**changes):
    return msgspec.structs.replace(made_record().task, **changes)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"dataset": DatasetRecord("cifar10", "a" * 64)}, Difference("dataset", "cifar10", "digits")),
        ({"dataset": DatasetRecord("digits", "b" * 64)}, Difference("fingerprint", "b" * 64, "f" * 64)),
        ({"precision": "float64"}, Difference("precision", "float64", "float32")),
        ({"threads": 1}, Difference("threads", 1, 2)),
        ({"device": "cuda:0 (X)"}, Difference("device", "cuda:0 (X)", "cpu")),
        (
            {"machine": msgspec.structs.replace(MACHINE, cpu="Other CPU")},
            Difference("machine", "Other CPU, 2 cores, 4 CPUs allowed", "Test CPU, 2 cores, 4 CPUs allowed"),
        ),
        ({"max_steps": 10}, Difference("max_steps", 10, None)),
        (
            {"evaluation": Evaluation(5, 1000)},
            Difference("evaluation", Evaluation(5, 1000), Evaluation()),
        ),
        (
            {"inherited_variables": {"XLA_FLAGS": "--fast", "TORCH_HOME": "/here"}},
            Difference("variables", "XLA_FLAGS=--fast", ""),
        ),
    ],
)
def test_runs_under_other_conditions_are_kept_apart(changes, difference):
    findings = findings_of(*two_configurations(**changes))
    assert all(not group.comparison.pairs for group in findings.groups)
    (apart,) = [apart for apart in findings.kept_apart if apart.configurations == ("torch:eager",)]
    assert apart.differences == (difference,)


@pytest.mark.parametrize("changes", [{"version": 2}, {"sha256": "1" * 64}])
def test_another_task_version_or_description_is_kept_apart(changes):
    findings = findings_of(*two_configurations(task=task_with(**changes)))
    assert len(findings.groups) == 2
    assert all(not group.comparison.pairs for group in findings.groups)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [(None, "no certificate"), (Certificate(certified=False, reason="a gate is wrong"), "a gate is wrong")],
)
def test_uncertified_runs_are_kept_apart(certificate, reason):
    found = findings_of(*two_configurations(certificate=certificate)).kept_apart
    (apart,) = [each for each in found if each.reason.startswith("not certified")]
    assert (apart.configurations, apart.runs, reason in apart.reason) == (("torch:eager",), 4, True)


def test_variables_that_do_not_affect_the_work_do_not_matter():
    flagged = made_record("jax", 0, step=0.001, inherited_variables={"XLA_FLAGS": "--fast"})
    groups = groups_of(made_runs(*two_configurations(), flagged))
    assert [len(group.configurations) for group in groups] == [2, 1]
    idle = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "jax", "KMP_DUPLICATE_LIB_OK": "True"}
    quiet = made_record("jax", 0, inherited_variables=idle)
    assert len(groups_of(made_runs(*two_configurations(), quiet))) == 1


@pytest.mark.parametrize(
    ("records", "distinctions"),
    [
        (
            [*two_configurations(), made_record(inherited_variables={"XLA_FLAGS": "--fast"})],
            {"", ", XLA_FLAGS=--fast"},
        ),
        (
            [*two_configurations(), made_record(task=task_with(sha256="1" * 64), batch_size=8)],
            {", batch size 64", ", batch size 8"},
        ),
        (two_configurations(precision="float64", threads=1), {", float32, 2 threads", ", float64, 1 thread"}),
        (
            [
                made_record(task=task_with(sha256=str(number) * 64, options={"width": width, "l2": l2}))
                for number, (width, l2) in enumerate([(1.0, 0.0), (0.5, 0.0), (0.5, 0.1)])
            ],
            {"", ", width=1.0", ", l2=0.1"},
        ),
    ],
)
def test_a_title_states_what_distinguishes_its_group_and_nothing_else(records, distinctions):
    titles = {group.title for group in groups_of(made_runs(*records))}
    assert titles == {f"cnn on digits, 2 epochs{distinction}" for distinction in distinctions}


def test_what_was_left_out_is_counted_and_the_newest_run_of_a_seed_is_used():
    old, new = made_record(seed=0, accuracy=0.1), made_record(seed=0, accuracy=0.6)
    failed = make_unfinished_record()
    failed.failure = Failure("no memory\nand more")
    others = [
        make_unfinished_record("x", "timeout"),
        make_unfinished_record("y", "running"),
        make_unfinished_record("w", "lost"),
        make_unfinished_record("z", "interrupted"),
    ]
    others[-1].failure = Failure("interrupted")
    table = rows_of(made_runs(old, new, failed, *others))
    (row,) = table.rows
    assert row.record.id == new.id
    assert set(table.left_out) == {
        LeftOut("cnn", "torch:eager", "failed", "no memory", 1),
        LeftOut("cnn", "torch:eager", "timeout", "", 1),
        LeftOut("cnn", "torch:eager", "interrupted", "interrupted", 1),
        LeftOut("cnn", "torch:eager", "running", "", 1),
        LeftOut("cnn", "torch:eager", "lost", "", 1),
        LeftOut("cnn", "torch:eager", "superseded", "", 1),
    }


def test_a_run_with_judged_times_comes_before_newer_ones_without():
    judged, newer = made_record(seed=0), made_record(seed=0)
    newer.making = Making("forked", 2)
    for records in ([judged, newer], [newer, judged]):
        (row,) = rows_of(made_runs(*records)).rows
        assert row.record.id == judged.id
    (row,) = rows_of(made_runs(newer)).rows
    assert (row.training_seconds(), row.curves("training_seconds")) == ({}, None)


def test_trials_of_studies_are_counted_and_used_nowhere():
    options = [task_with(sha256=f"{number}" * 64, options={"l2": number}) for number in range(3)]
    trials = [
        made_record(seed=TRIAL_SEED, task=task, status=status)
        for task, status in zip(options, ("ok", "stopped", "diverged"), strict=True)
    ]
    runs = two_configurations()
    findings = findings_of(*trials, *runs)
    assert findings.left_out == [LeftOut("cnn", "torch:eager", "trial", "", 3)]
    assert {run.record.seed for run in findings.runs} == {record.seed for record in runs}
    assert [findings_document(each).title for each in (findings, findings_of(*runs))] == [
        "cnn on digits, 2 epochs"
    ] * 2
    alone = terminal_text(findings_document(findings_of(*trials)), 120)
    assert "3 runs of cnn on torch:eager: trials of studies" in alone
    failed = made_record(seed=TRIAL_SEED, status="failed", failure=Failure("out of memory"))
    assert findings_of(failed).left_out == [LeftOut("cnn", "torch:eager", "failed", "out of memory", 1)]


def test_findings_by_task_hold_everything_about_the_task():
    rnn = made_record(task=task_with(name="rnn"), threads=1)
    findings = findings_of(*two_configurations(), rnn, make_unfinished_record())
    first, second = findings.by_task()
    assert (first.task, len(first.groups), len(first.left_out), len(first.kept_apart)) == ("cnn", 1, 1, 0)
    assert (second.task, len(second.groups), len(second.left_out)) == ("rnn", 1, 0)
    assert [task.task for task in findings.by_task(most_groups=1)] == ["cnn"]


@pytest.mark.parametrize(
    ("backend", "frameworks", "names"),
    [
        (
            "torch",
            [{"engine": "torch", "torch": version} for version in ("1.0", "2.0")],
            ["torch:eager (torch 1.0)", "torch:eager (torch 2.0)"],
        ),
        (  # of a plugin, whatever its engine
            "my-numpy",
            [{"engine": "numpy", "numpy": "2.3", "my-numpy": version} for version in ("1.0", "2.0")],
            [f"my-numpy:eager (my-numpy {version}, numpy 2.3)" for version in ("1.0", "2.0")],
        ),
    ],
)
def test_versions_are_configurations(backend, frameworks, names):
    records = [record for each in frameworks for record in seeds_of(backend, framework=each)]
    (group,) = groups_of(made_runs(*records))
    assert [configuration.name for configuration in group.configurations] == names


LOSSES = [[2.3], [2.1], [2.0], [1.9]]


def beginning_with(theirs):
    return findings_of(
        *seeds_of("torch", range(2), first_losses=LOSSES), *seeds_of("jax", range(2), first_losses=theirs)
    )


def test_configurations_whose_first_losses_differ_are_not_compared():
    findings = beginning_with([[2.3], [2.1], [2.05], [1.95]])
    (group,), (apart,) = findings.groups, findings.kept_apart
    assert not group.comparison.pairs
    assert (apart.configurations, apart.runs) == (("jax:eager", "torch:eager"), 4)
    assert group.comparison.different == DifferentWork(apart.configurations, 0, 3, (2.05, 2.0))


@pytest.mark.parametrize("theirs", [LOSSES, [[2.300001], *LOSSES[1:]], LOSSES[:2], []])
def test_configurations_with_equal_first_losses_are_compared(theirs):
    findings = beginning_with(theirs)
    assert findings.groups[0].comparison.pairs
    assert not findings.kept_apart


def test_agreement_in_float32_is_never_ranked():
    agreeing = Certificate(certified=False, reason="no float64", agrees_in_float32=True)
    records = [
        made_record(name, step=step, certificate=agreeing)
        for name, step in (("jax", 0.001), ("torch", 0.002))
    ]
    (group,) = groups_of(made_runs(*records))
    assert not group.comparable
    assert compare(group).pairs == []
