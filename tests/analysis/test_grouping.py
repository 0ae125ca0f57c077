"""Which runs are comparable, which are left out or kept apart, and how groups are named."""

import msgspec
import pytest
from support.made_runs import made_record, made_runs, two_configurations
from support.records import MACHINE, make_unfinished_record
from support.rendered import runs_text

from harness.analysis.conditions import Difference
from harness.analysis.findings import find
from harness.analysis.grouping import DifferentWork, LeftOut, NoPartner, NotCertified, group_runs, kept_apart
from harness.certify.certificate import Certificate
from harness.report.runs.sentences import headline, kept_apart_sentence, left_out_sentence
from harness.runs.record import DatasetRecord, Evaluation, Failure

SEEDS = range(4)
OTHER_MACHINE = msgspec.structs.replace(MACHINE, cpu="Other CPU")


@pytest.mark.parametrize(
    ("changes", "difference", "words"),
    [
        (
            {"dataset": DatasetRecord("cifar10", "a" * 64)},
            Difference("dataset", "cifar10", "digits"),
            "data set (cifar10, not digits)",
        ),
        (
            {"dataset": DatasetRecord("digits", "b" * 64)},
            Difference("fingerprint", "b" * 64, "f" * 64),
            "bytes of the data set",
        ),
        (
            {"precision": "float64"},
            Difference("precision", "float64", "float32"),
            "precision (float64, not float32)",
        ),
        ({"threads": 1}, Difference("threads", 1, 2), "threads (1, not 2)"),
        ({"device": "cuda:0 (X)"}, Difference("device", "cuda:0 (X)", "cpu"), "device (cuda:0 (X), not cpu)"),
        (
            {"machine": OTHER_MACHINE},
            Difference("machine", "Other CPU, 2 cores, 4 CPUs allowed", "Test CPU, 2 cores, 4 CPUs allowed"),
            "machine (Other CPU, 2 cores, 4 CPUs allowed, not Test CPU, 2 cores, 4 CPUs allowed)",
        ),
        ({"max_steps": 10}, Difference("max_steps", 10, None), "step limit (10, not none)"),
        (
            {"evaluation": Evaluation(5, 1000)},
            Difference("evaluation", Evaluation(5, 1000), Evaluation()),
            "scores (every 5 epochs, 1,000 samples, not every epoch)",
        ),
        (
            {"inherited_variables": {"XLA_FLAGS": "--fast", "TORCH_HOME": "/here"}},
            Difference("variables", "XLA_FLAGS=--fast", ""),
            "environment variables (XLA_FLAGS=--fast, not none)",
        ),
    ],
)
def test_runs_under_other_conditions_are_kept_apart(changes, difference, words):
    findings = find(two_configurations(**changes))
    assert all(not group.comparison.pairs for group in findings.groups)
    (apart,) = [apart for apart in findings.kept_apart if apart.configuration == "torch:eager"]
    assert isinstance(apart, NoPartner)
    assert apart.differences == (difference,)
    assert kept_apart_sentence(apart).endswith(f"; the nearest runs differ in {words}")


@pytest.mark.parametrize("changes", [{"version": 2}, {"sha256": "1" * 64}])
def test_another_task_version_or_description_is_kept_apart(changes):
    findings = find(two_configurations(task=msgspec.structs.replace(made_record().task, **changes)))
    assert len(findings.groups) == 2
    assert all(not group.comparison.pairs for group in findings.groups)


@pytest.mark.parametrize(
    ("certificate", "reasons", "words"),
    [
        (None, (), "not certified: no certificate was requested"),
        (Certificate(certified=False, reason="a gate is wrong"), ("a gate is wrong",), "a gate is wrong"),
    ],
)
def test_uncertified_runs_are_kept_apart(certificate, reasons, words):
    (apart,) = [
        apart
        for apart in kept_apart(group_runs(two_configurations(certificate=certificate)).groups)
        if isinstance(apart, NotCertified)
    ]
    assert (apart.configurations, apart.runs, apart.reasons) == (("torch:eager",), 4, reasons)
    assert kept_apart_sentence(apart).endswith(words)


def test_variables_that_do_not_affect_the_work_do_not_matter():
    runs = two_configurations()
    (flagged,) = made_runs(made_record("jax", 0, step=0.001, inherited_variables={"XLA_FLAGS": "--fast"}))
    groups = group_runs([*runs, flagged]).groups
    assert [group.title for group in groups] == [
        "cnn on digits, 2 epochs",
        "cnn on digits, 2 epochs, XLA_FLAGS=--fast",
    ]
    assert [len(group.configurations) for group in groups] == [2, 1]
    idle = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "jax", "KMP_DUPLICATE_LIB_OK": "True"}
    (quiet,) = made_runs(made_record("jax", 0, inherited_variables=idle))
    assert len(group_runs([*runs, quiet]).groups) == 1


def test_a_batch_size_of_its_own_is_in_the_title():
    task = msgspec.structs.replace(made_record().task, sha256="1" * 64)
    small = [made_record("jax", seed, task=task, batch_size=8) for seed in SEEDS]
    titles = {group.title for group in group_runs([*two_configurations(), *made_runs(*small)]).groups}
    assert titles == {"cnn on digits, 2 epochs, batch size 64", "cnn on digits, 2 epochs, batch size 8"}


def test_a_title_states_what_distinguishes_its_group_and_nothing_else():
    titles = {group.title for group in group_runs(two_configurations(precision="float64", threads=1)).groups}
    assert titles == {
        "cnn on digits, 2 epochs, float32, 2 threads",
        "cnn on digits, 2 epochs, float64, 1 thread",
    }
    options = [{"width": 1.0, "l2": 0.0}, {"width": 0.5, "l2": 0.0}, {"width": 0.5, "l2": 0.1}]
    task = made_record().task
    records = [
        made_record(task=msgspec.structs.replace(task, sha256=str(index) * 64, options=chosen))
        for index, chosen in enumerate(options)
    ]
    assert {group.title for group in group_runs(made_runs(*records)).groups} == {
        "cnn on digits, 2 epochs, width=1.0",
        "cnn on digits, 2 epochs",
        "cnn on digits, 2 epochs, l2=0.1",
    }


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
    grouped = group_runs(made_runs(old, new, failed, *others))
    (configuration,) = grouped.groups[0].configurations
    assert configuration.runs[0].record.id == new.id
    assert set(grouped.left_out) == {
        LeftOut("cnn", "torch:eager", "failed", "no memory", 1),
        LeftOut("cnn", "torch:eager", "timeout", "", 1),
        LeftOut("cnn", "torch:eager", "interrupted", "interrupted", 1),
        LeftOut("cnn", "torch:eager", "running", "", 1),
        LeftOut("cnn", "torch:eager", "lost", "", 1),
        LeftOut("cnn", "torch:eager", "superseded", "", 1),
    }
    sentences = {left_out_sentence(left_out) for left_out in grouped.left_out}
    assert all(sentence.startswith("1 run of cnn on torch:eager: ") for sentence in sentences)
    assert len(sentences) == len(grouped.left_out)


def test_findings_by_task_hold_everything_about_the_task():
    rnn = msgspec.structs.replace(made_record().task, name="rnn")
    runs = [*two_configurations(), *made_runs(made_record(task=rnn, threads=1), make_unfinished_record())]
    first, second = find(runs).by_task()
    assert (first.task, len(first.groups), len(first.left_out), len(first.kept_apart)) == ("cnn", 1, 1, 0)
    assert (second.task, len(second.groups), len(second.left_out)) == ("rnn", 1, 0)
    assert [task.task for task in find(runs).by_task(most_groups=1)] == ["cnn"]


def test_versions_of_one_framework_are_configurations():
    newer = [made_record("torch", seed, framework={"engine": "torch", "torch": "2.0"}) for seed in SEEDS]
    (group,) = group_runs(made_runs(*newer, *[made_record("torch", seed) for seed in SEEDS])).groups
    names = [configuration.name for configuration in group.configurations]
    assert names == ["torch:eager (torch 1.0)", "torch:eager (torch 2.0)"]


def test_versions_of_a_plugin_are_configurations_whatever_its_engine():
    def made(version):
        framework = {"engine": "numpy", "numpy": "2.3", "my-numpy": version}
        return [made_record("my-numpy", seed, framework=framework) for seed in SEEDS]

    grouped = group_runs(made_runs(*made("1.0"), *made("2.0")))
    names = [configuration.name for configuration in grouped.groups[0].configurations]
    assert names == [f"my-numpy:eager (my-numpy {version}, numpy 2.3)" for version in ("1.0", "2.0")]
    assert grouped.left_out == []
    assert "my-numpy 2.0" in runs_text([made("2.0")[0]], 100)


LOSSES = [[2.3], [2.1], [2.0], [1.9]]
OTHER_LOSSES = [[2.3], [2.1], [2.05], [1.95]]


def runs_with_losses(theirs, **changes):
    records = [
        made_record(backend, seed, first_losses=losses, **changes)
        for backend, losses in (("torch", LOSSES), ("jax", theirs))
        for seed in (0, 1)
    ]
    return made_runs(*records)


def test_configurations_whose_first_losses_differ_are_not_compared():
    findings = find(runs_with_losses(OTHER_LOSSES))

    (group,), (apart,) = findings.groups, findings.kept_apart
    assert not group.comparison.pairs
    assert isinstance(apart, DifferentWork)
    assert (apart.step, apart.runs) == (3, 4)
    words = "jax:eager and torch:eager do different work: with seed 0, the loss of step 3 is 2.05 and 2"
    assert kept_apart_sentence(apart).endswith(words)
    assert words in headline(group.comparison)


@pytest.mark.parametrize("theirs", [LOSSES, [[2.300001], *LOSSES[1:]], LOSSES[:2], []])
def test_configurations_with_equal_first_losses_are_compared(theirs):
    findings = find(runs_with_losses(theirs))

    assert findings.groups[0].comparison.pairs
    assert not findings.kept_apart
