"""Studies: what fits a budget, what is already recorded and what is recommended."""

import itertools

import msgspec
import numpy as np
import pytest
from scipy import stats
from support.made_runs import made_record, made_runs
from support.records import reconfigured
from support.rendered import findings_text

from harness.analysis.conditions import Difference
from harness.analysis.findings import find
from harness.analysis.grouping import NoPlainRuns, group_runs
from harness.analysis.results import read_all
from harness.analysis.study import (
    REMEDIES,
    STUDIES,
    Study,
    StudyOptions,
    StudySize,
    Variant,
    plan_study,
    study_size,
)
from harness.analysis.study_effects import study_findings
from harness.certify.certificate import Certificate
from harness.report.runs.sentences import kept_apart_sentence
from harness.report.study import study_sentence, study_table
from harness.runs.record import DatasetRecord
from harness_tasks.forecast import FORECAST

VARIANTS = [
    Variant("plain", [], "0" * 64),
    Variant("dropout", ["dropout=0.5"], "1" * 64),
    Variant("half the data", ["train_fraction=0.5"], "2" * 64),
]
STUDY = Study(
    kind="overfitting",
    task="cnn",
    dataset="digits",
    epochs=2,
    max_steps=None,
    precision="float32",
    threads=2,
    variants=VARIANTS,
)


@pytest.mark.parametrize(
    ("run_seconds", "budget", "plan"),
    [
        (1, 1000, StudySize(8, 5)),  # all of it
        (1, 24, StudySize(8, 3)),  # fewer seeds
        (1, 8, StudySize(4, 2)),  # two seeds at least: fewer remedies
        (100, 1, StudySize(2, 2)),  # the plain one and one remedy at least; the budget will stop it
    ],
)
def test_a_budget_costs_seeds_first_and_then_remedies(run_seconds, budget, plan):
    everything = list(itertools.product(range(8), range(5)))
    assert study_size(everything, run_seconds, budget, variants=8, seeds=5) == plan


def test_recorded_runs_cost_nothing_of_the_budget():
    missing = [
        (index, seed) for index, seed in itertools.product(range(8), range(5)) if (index, seed) > (5, 4)
    ]
    assert study_size(missing, run_seconds=1, budget_seconds=6, variants=8, seeds=5) == StudySize(8, 3)


def test_a_study_without_remedies_is_planned_too():
    assert study_size([(0, 0), (0, 1)], 100, 3, variants=1, seeds=2) == StudySize(1, 2)


def test_a_single_seed_is_planned_if_one_is_requested():
    assert study_size([(index, 0) for index in range(8)], 1, 3, variants=8, seeds=1) == StudySize(3, 1)


def _records(backend="torch", gains=(0.05, 0.06, 0.055), **changes):
    plain = made_record(backend).task
    dropped = msgspec.structs.replace(plain, sha256="1" * 64)
    for seed, gain in enumerate(gains):
        yield made_record(backend, seed, accuracy=0.6 + seed / 100, **changes)
        yield made_record(
            backend, seed, accuracy=0.6 + seed / 100 + gain, task=dropped, held_out=(2.0, 1.1), step=0.011
        )


def _finding(*records):
    (finding,) = study_findings(STUDY, group_runs(made_runs(*records)).groups)
    return finding


def test_remedies_are_compared_with_the_plain_runs_of_the_same_seeds():
    finding = _finding(*_records())
    plain, dropout, stopping = finding.effects
    assert [effect.variant.name for effect in finding.effects] == ["plain", "dropout", "early stopping"]
    assert plain.score.value == pytest.approx(61.0)
    assert dropout.score_change.value == pytest.approx(5.5)
    assert dropout.gap_change.value == pytest.approx(-10.0)
    assert dropout.time_ratio.value == pytest.approx(1.1)
    assert stopping.score_change.value == pytest.approx(2.0)
    assert finding.recommended is dropout
    assert not finding.overfits
    assert "dropout (--set dropout=0.5): test accuracy +5.5 [3.7, 7.3] points" in study_sentence(finding)


def test_harmful_remedies_are_named_and_more_data_is_suggested():
    sentence = study_sentence(_finding(*_records(gains=(-0.05, -0.06, -0.055))))
    assert sentence.endswith("Significantly worse: dropout (−5.5 [−7.3, −3.7] points).")
    less = [
        made_record(
            seed=seed,
            accuracy=0.545 + seed / 100,
            held_out=(2.0, 1.9),
            task=msgspec.structs.replace(made_record().task, sha256="2" * 64),
        )
        for seed in range(3)
    ]
    plain = [made_record(seed=seed, accuracy=0.6 + seed / 100) for seed in range(3)]
    assert study_sentence(_finding(*plain, *less)).endswith("more data should help.")


def test_more_data_is_not_suggested_if_no_gap_opens():
    plain, taught = [2.0, 1.0], [2.0, 1.5]  # of half the steps the gap is no wider
    records = [
        made_record(
            seed=seed,
            accuracy=0.6 - less / 10,
            train=taught if less else plain,
            task=msgspec.structs.replace(made_record().task, sha256="2" * 64 if less else "0" * 64),
        )
        for seed in range(3)
        for less in (0, 1)
    ]
    sentence = study_sentence(_finding(*records))
    assert "Significantly worse: half the data (−10.0" in sentence
    assert "more data" not in sentence


def _regressions(gains):
    task = FORECAST.define(FORECAST.options())
    for seed, gain in enumerate(gains):
        for less, sha256 in ((0.0, "0" * 64), (gain, "1" * 64)):
            changed = msgspec.structs.replace(made_record().task, sha256=sha256, description=task)
            error = {"loss": 0.5 + seed / 100 - less}
            yield made_record(seed=seed, task=changed, test_at_last=error, test_at_best=error)


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ((0.1, 0.11, 0.105), "dropout (--set dropout=0.5): test mean squared error −0.105 ["),
        ((-0.1, -0.11, -0.105), "Significantly worse: dropout (+0.105 ["),
    ],
)
def test_an_error_that_falls_has_a_negative_change(gains, words):
    records = list(_regressions(gains))
    assert words in study_sentence(_finding(*records))
    (row,) = [row for row in study_table(_finding(*records)).rows if row[0] == "dropout"]
    assert row[6].startswith("−0.105" if gains[0] > 0 else "+0.105")


def test_runs_of_remedies_are_among_those_that_were_used():
    records = list(_records())
    used = {run.record.id for run in find(made_runs(*records), [STUDY]).runs}
    assert used == {record.id for record in records}


def test_what_is_not_certain_is_not_recommended():
    unsure = _finding(*_records(gains=(0.1, -0.08, 0.02)))
    assert unsure.recommended.variant.name == "early stopping"
    single = _finding(*_records(gains=(0.1,)))
    assert single.recommended is None
    assert "fewer than 3 seeds give no interval" in study_sentence(single)


def test_the_seeds_of_a_study_are_those_that_were_paired():
    records = [*_records(gains=(0.1,)), *(made_record(seed=seed, accuracy=0.6) for seed in range(1, 6))]
    # Early stopping, which uses every plain run, gains nothing.
    flat = [msgspec.structs.replace(record, test_at_best=record.test_at_last) for record in records]
    assert "significantly (1 to 6 seeds)" in study_sentence(_finding(*flat))


def test_the_more_remedies_there_are_the_wider_is_each_interval():
    def tried(gains):
        task = made_record().task
        for variant in VARIANTS[1:]:
            changed = msgspec.structs.replace(task, sha256=variant.description)
            for seed, gain in enumerate(gains):
                yield made_record(seed=seed, accuracy=0.6 + gain, task=changed)

    gains = (0.03, 0.05, 0.07, 0.05)  # of Student's t 6.1 with 3 degrees, where 3.2 is 95 % and 4.9 is 98.3 %
    plain = [made_record(seed=seed, accuracy=0.6) for seed in range(4)]
    change = _finding(*plain, *tried(gains)).effects[1].score_change
    half = stats.t.ppf(1 - 0.05 / 3 / 2, 3) * np.std(gains, ddof=1) / 2 * 100
    assert (change.low, change.high) == pytest.approx((5 - half, 5 + half))
    assert _finding(*plain, *tried(gains)).recommended.variant.name == "dropout"
    unsure = [gain - 0.015 for gain in gains]  # t is 4.3
    assert _finding(*plain, *tried(unsure)).recommended.variant.name == "early stopping"


def test_runs_under_other_conditions_are_not_included():
    records = list(_records())
    other = [reconfigured(record, threads=1) for record in records[1::2]]
    finding = _finding(*records[::2], *other)
    assert [effect.variant.name for effect in finding.effects] == ["plain", "early stopping"]


def test_groups_that_a_study_does_not_include_are_shown_beside_it():
    records = list(_records())
    elsewhere = [reconfigured(record, precision="float64") for record in records[1::2]]
    other_backend = [reconfigured(record, backend="jax") for record in records[1::2]]
    assert len(find(made_runs(*records), [STUDY]).groups) == 1
    assert len(find(made_runs(*records, *elsewhere), [STUDY]).groups) == 2
    assert len(find(made_runs(*records, *other_backend), [STUDY]).groups) == 2


def test_configurations_with_a_remedy_are_compared_beside_the_study():
    findings = find(made_runs(*_records(), *_records("jax")), [STUDY])
    assert len(findings.studies) == 2
    assert [len(group.comparison.summaries) for group in findings.groups] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "differences", "words"),
    [
        (
            {"certificate": Certificate(certified=False, reason="it computes otherwise")},
            (Difference("certified", ours=False, theirs=True),),
            "the nearest differ in certified (no, not yes)",
        ),
        (
            {"device": "cuda:0 (NVIDIA H100)"},
            (Difference("device", "cuda:0 (NVIDIA H100)", "cpu"),),
            "the nearest differ in device (cuda:0 (NVIDIA H100), not cpu)",
        ),
        (
            {"dataset": DatasetRecord("digits", "e" * 64)},
            (Difference("fingerprint", "e" * 64, "f" * 64),),
            "the nearest differ in bytes of the data set",
        ),
        ({"framework": {"engine": "torch", "torch": "2.0"}}, (), "this version has none"),
    ],
)
def test_runs_of_a_remedy_without_plain_runs_are_kept_apart(changes, differences, words):
    records = list(_records())
    other = [msgspec.structs.replace(record, **changes) for record in records[1::2]]
    assert find(made_runs(*records), [STUDY]).kept_apart == []
    (apart, *_) = find(made_runs(*records[::2], *other), [STUDY]).kept_apart
    assert isinstance(apart, NoPlainRuns)
    assert (apart.remedy, apart.reference, apart.runs, apart.differences) == (
        "dropout",
        "plain",
        3,
        differences,
    )
    assert kept_apart_sentence(apart).startswith("dropout, torch:eager")
    assert kept_apart_sentence(apart).endswith(f"no plain runs under these conditions; {words}")


def test_runs_of_the_unchanged_task_need_not_belong_to_a_study():
    whole = msgspec.structs.replace(VARIANTS[1], name="all data", assignments=[])
    study = msgspec.structs.replace(STUDY, kind="imbalance", variants=[VARIANTS[0], whole])
    assert find(made_runs(*list(_records())[1::2]), [study]).kept_apart == []


@pytest.mark.parametrize("kind", ["overfitting", "imbalance"])
def test_a_study_of_runs_that_scored_nothing_says_so(kind):
    empty = {"epochs": [], "best_epoch": None, "test_at_last": None, "test_at_best": None, "blocks": []}
    records = [msgspec.structs.replace(record, **empty) for record in _records()]
    findings = find(made_runs(*records), [msgspec.structs.replace(STUDY, kind=kind)])
    assert "significantly (3 seeds)" in " ".join(findings_text(findings, 100).split())


def test_a_configuration_without_a_remedy_is_left_out_beside_one_that_has_one():
    others = (made_record("keras", seed, accuracy=0.6) for seed in range(3))
    records = [*_records(), *others]
    findings = study_findings(STUDY, group_runs(made_runs(*records)).groups)
    assert [finding.configuration.name for finding in findings] == ["torch:eager"]


def test_a_version_is_compared_with_itself_if_plain_runs_are_of_two():
    older = [made_record(seed=seed, framework={"engine": "torch", "torch": "0.9"}) for seed in range(3)]
    findings = study_findings(STUDY, group_runs(made_runs(*older, *_records())).groups)
    assert [finding.configuration.name for finding in findings] == ["torch:eager (torch 1.0)"]
    assert findings[0].recommended.variant.name == "dropout"


def test_a_finding_without_certificates_says_so():
    uncertified = [msgspec.structs.replace(record, certificate=None) for record in _records()]
    assert "(3 seeds, not certified)" in study_sentence(_finding(*uncertified))
    assert "not certified" not in study_sentence(_finding(*_records()))


def test_a_study_file_is_read_back_and_a_broken_one_is_named(tmp_path):
    path = STUDIES.save(STUDY, tmp_path / STUDIES.folder)
    (tmp_path / "studies" / "broken.json").write_text("{")
    studies, unreadable = read_all(STUDIES, STUDIES.paths(tmp_path))
    assert studies == [STUDY]
    assert path.name.startswith("overfitting-cnn-digits-")
    assert "broken.json is not a readable study record" in unreadable[0]


def test_a_study_of_a_later_harness_is_named(tmp_path):
    path = STUDIES.save(msgspec.structs.replace(STUDY, schema=2), tmp_path / STUDIES.folder)
    studies, (message,) = read_all(STUDIES, STUDIES.paths(tmp_path))
    assert studies == []
    assert message.startswith(f"{path} ")
    assert "schema 2" in message


def test_a_remedy_that_the_plain_task_has_is_left_out():
    options = StudyOptions(kind="overfitting", task="resnet", backends=["torch"], seeds=1, dataset="digits")
    planned = plan_study(options, lambda *_: None)
    assert [(each.remedy, each.reason) for each in planned.omissions] == [
        ("augmentation", "the plain task has it already")
    ]
    assert len(planned.runs) == len(planned.study.variants) == 7


@pytest.mark.parametrize("task", ["lm", "tabular"])
def test_every_other_remedy_fits_the_tasks_without_images(task):
    dataset = {"lm": "pydoc", "tabular": "breast_cancer"}[task]
    options = StudyOptions(kind="overfitting", task=task, backends=["torch"], seeds=1, dataset=dataset)
    planned = plan_study(options, lambda *_: None)
    names = {variant.name for variant in planned.study.variants}
    assert names == {remedy.name for remedy in REMEDIES["overfitting"]} - {"augmentation"}
    assert not planned.omissions
