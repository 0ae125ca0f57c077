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
    STUDIES,
    TUNING_SEED,
    Study,
    StudyOptions,
    StudyPlan,
    StudySize,
    Trial,
    Variant,
    affordable_trials,
    study_size,
)
from harness.analysis.study_effects import study_findings
from harness.analysis.study_quantities import quantity
from harness.analysis.study_scaling import scaling
from harness.analysis.study_tuning import Tuning, at_edges
from harness.certify.certificate import Certificate
from harness.errors import UsageError
from harness.report.runs.sentences import kept_apart_sentence
from harness.report.study_sections import more_data, study_sentence
from harness.runs.record import DatasetRecord
from harness.runs.request import StopRule
from harness.spec import QuickForm, Range, StudyKind, StudyVariant
from harness.spec.description import description_sha256
from harness_tasks.forecast import FORECAST
from harness_tasks.studies import STUDIES as KINDS

#: Overfitting judged by the score alone, as the made-up runs differ in it.
KIND = msgspec.structs.replace(KINDS["overfitting"], decisive=("score",))
VARIANTS = [
    Variant("plain", [], "0" * 64, 2),
    Variant("dropout", ["dropout=0.5"], "1" * 64, 2),
    Variant("half the data", ["train_fraction=0.5"], "2" * 64, 2),
]
STUDY = Study(
    kind=KIND,
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
    assert plain.levels["score"].value == pytest.approx(61.0)
    assert dropout.changes["score"].value == pytest.approx(5.5)
    assert dropout.changes["gap"].value == pytest.approx(-10.0)
    assert dropout.changes["time"].value == pytest.approx(1.1)
    assert stopping.changes["score"].value == pytest.approx(2.0)
    assert finding.recommended is dropout
    assert (plain.verdict, dropout.verdict, stopping.verdict) == (None, "better", "better")
    assert "dropout with --set dropout=0.5 (test accuracy +5.5 [3.7, 7.3] points)" in study_sentence(finding)


def test_harmful_remedies_are_named_and_more_data_is_suggested():
    harmed = _finding(*_records(gains=(-0.05, -0.06, -0.055)))
    assert harmed.effects[1].verdict == "worse"
    assert "Worse than plain: dropout (test accuracy −5.5 [−7.3, −3.7] points)." in study_sentence(harmed)
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
    assert more_data(_finding(*plain, *less)).endswith("So more data should help.")


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
    finding = _finding(*records)
    assert finding.effects[1].verdict == "worse"
    assert more_data(finding).endswith("would help.")


def _regressions(gains):
    task = FORECAST.define(FORECAST.options())
    for seed, gain in enumerate(gains):
        for less, sha256 in ((0.0, "0" * 64), (gain, "1" * 64)):
            changed = msgspec.structs.replace(made_record().task, sha256=sha256, description=task)
            error = {"loss": 0.5 + seed / 100 - less}
            yield made_record(seed=seed, task=changed, test_at_last=error, test_at_best=error)


@pytest.mark.parametrize(
    ("gains", "verdict"), [((0.1, 0.11, 0.105), "better"), ((-0.1, -0.11, -0.105), "worse")]
)
def test_an_error_that_falls_is_better(gains, verdict):
    finding = _finding(*_regressions(gains))
    assert finding.effects[1].verdict == verdict
    assert finding.effects[1].changes["score"].value == pytest.approx(-gains[2])


def test_runs_of_remedies_are_among_those_that_were_used():
    records = list(_records())
    used = {run.record.id for run in find(made_runs(*records), [STUDY]).runs}
    assert used == {record.id for record in records}


def test_what_is_not_certain_is_not_recommended():
    unsure = _finding(*_records(gains=(0.1, -0.08, 0.02)))
    assert unsure.effects[1].verdict == "undecided"
    assert unsure.recommended.variant.name == "early stopping"
    single = _finding(*_records(gains=(0.1,)))
    assert single.recommended is None
    assert {effect.verdict for effect in single.effects[1:]} == {"few"}


def test_a_difference_within_the_margin_is_equal():
    same = _finding(*_records(gains=(0.001, 0.0011, 0.0009)))
    assert same.effects[1].verdict == "equal"


def test_two_decisive_quantities_that_disagree_are_mixed():
    study = msgspec.structs.replace(STUDY, kind=KINDS["overfitting"])
    records = [
        msgspec.structs.replace(record, test_at_last={**record.test_at_last, "loss": 1.0 + number % 2})
        for number, record in enumerate(_records())
    ]
    (finding,) = study_findings(study, group_runs(made_runs(*records)).groups)
    assert finding.effects[1].verdict == "mixed"


def test_the_more_remedies_there_are_the_wider_is_each_interval():
    def tried(gains):
        task = made_record().task
        for variant in VARIANTS[1:]:
            changed = msgspec.structs.replace(task, sha256=variant.description)
            for seed, gain in enumerate(gains):
                yield made_record(seed=seed, accuracy=0.6 + gain, task=changed)

    gains = (0.03, 0.05, 0.07, 0.05)  # of Student's t 6.1 with 3 degrees, where 3.2 is 95 % and 4.2 is 97.5 %
    plain = [made_record(seed=seed, accuracy=0.6) for seed in range(4)]
    change = _finding(*plain, *tried(gains)).effects[1].changes["score"]
    # Half the data is no remedy: dropout and early stopping share the 5 %.
    half = stats.t.ppf(1 - 0.05 / 2 / 2, 3) * np.std(gains, ddof=1) / 2 * 100
    assert (change.low, change.high) == pytest.approx((5 - half, 5 + half))
    assert _finding(*plain, *tried(gains)).recommended.variant.name == "dropout"
    unsure = [gain - 0.02 for gain in gains]  # t is 3.7, where 4.2 is needed
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
    study = msgspec.structs.replace(STUDY, variants=[VARIANTS[0], whole])
    assert find(made_runs(*list(_records())[1::2]), [study]).kept_apart == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_of_runs_that_scored_nothing_says_so(kind):
    empty = {"epochs": [], "best_epoch": None, "test_at_last": None, "test_at_best": None, "blocks": []}
    records = [msgspec.structs.replace(record, **empty) for record in _records()]
    names = [variant.name for variant in KINDS[kind].variants]
    variants = [msgspec.structs.replace(each, name=name) for each, name in zip(VARIANTS, names, strict=False)]
    study = msgspec.structs.replace(STUDY, kind=KINDS[kind], variants=variants)
    findings = find(made_runs(*records), [study])
    assert findings.studies[0].effects[1].verdict == "few"
    assert "So few seeds do not show" in " ".join(findings_text(findings, 100).split())


def test_a_configuration_without_a_remedy_is_left_out_beside_one_that_has_one():
    others = (made_record("keras", seed, accuracy=0.6) for seed in range(3))
    records = [*_records(), *others]
    findings = study_findings(STUDY, group_runs(made_runs(*records)).groups)
    assert [finding.configuration.name for finding in findings] == ["torch:eager"]


def test_another_backend_with_some_of_the_tuned_settings_is_left_out():
    third = msgspec.structs.replace(made_record("torch").task, sha256="2" * 64)
    more = [made_record("torch", seed, task=third) for seed in range(3)]
    groups = group_runs(made_runs(*_records("torch"), *more, *_records("keras"))).groups
    tuned = msgspec.structs.replace(STUDY, tuned_on=made_record("torch").configuration.label)
    assert len(study_findings(STUDY, groups)) == 2
    (finding,) = study_findings(tuned, groups)
    assert finding.configuration.runs[0].record.configuration.backend == "torch"
    assert tuned.id != STUDY.id  # trials on another backend find other settings


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
    path = STUDIES.save(msgspec.structs.replace(STUDY, schema=3), tmp_path / STUDIES.folder)
    studies, (message,) = read_all(STUDIES, STUDIES.paths(tmp_path))
    assert studies == []
    assert message.startswith(f"{path} ")
    assert "schema 3" in message


def _plan(kind="overfitting", task="mlp", **changes):
    options = StudyOptions(
        **{"kind": KINDS[kind], "task": task, "backends": ["torch"], "seeds": 1, **changes}
    )
    return StudyPlan(options, lambda *_: None)


def test_a_remedy_that_the_plain_task_has_is_left_out():
    plan = _plan(task="resnet", dataset="digits")
    assert [(each.variant, each.reason) for each in plan.omissions] == [
        ("augmentation", "plain is the same task")
    ]
    assert len(plan.runs({})) == len(plan.variants) == 5


@pytest.mark.parametrize("task", ["lm", "tabular"])
def test_every_other_remedy_fits_the_tasks_without_images(task):
    plan = _plan(task=task, dataset={"lm": "pydoc", "tabular": "breast_cancer"}[task])
    names = {variant.name for variant in KINDS["overfitting"].variants}
    assert {variant.name for variant in plan.variants} == names - {"augmentation"}
    assert not plan.omissions


def test_the_classroom_form_is_smaller():
    whole, quick = _plan("optimizers", seeds=None), _plan("optimizers", seeds=None, quick=True)
    assert (whole.seeds, whole.trials) == (5, 12)
    form = KINDS["optimizers"].quick
    assert (quick.seeds, quick.trials) == (form.seeds, form.trials)
    epochs = [plan.runs({})[0].request.task.epochs for plan in (whole, quick)]
    assert epochs == [167, round(167 * form.epochs)]


def test_an_option_that_the_user_sets_is_not_tuned():
    plan = _plan("optimizers", assignments=["learning_rate=0.01"])
    assert {name for variant in plan.variants for name in (each.option for each in variant.ranges)} == {
        "beta_1",
        "weight_decay",
        "momentum",
    }
    assert {each.variant for each in plan.omissions} == {"rmsprop", "sgd", "gd"}


def test_variants_are_chosen_by_name_and_may_have_a_further_one():
    plan = _plan("optimizers", chosen=["adam", "again=adam"])
    assert [variant.name for variant in plan.variants] == ["adam", "again"]
    first, second = (Tuning(plan)._tuners[place].ask()[1] for place in (0, 1))
    assert first != second
    with pytest.raises(UsageError, match="unknown optimizer 'adma'"):
        _plan("optimizers", chosen=["adma"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "write .*KEY=LOW:HIGH"),
        ("learning_rate=1:0.1", "must be below"),
        ("learning_rate=0:1", "logarithmic"),
        ("sgd.learnign_rate=0.1:1", "unknown range 'sgd.learnign_rate'"),
    ],
)
def test_a_range_that_does_not_fit_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        _plan("optimizers", searched=[text])


def test_ranges_can_be_given_for_one_variant_or_for_all():
    plan = _plan("optimizers", searched=["learning_rate=0.1:0.2", "sgd.learning_rate=0.3:0.4"])
    ends = {variant.name: (variant.ranges[0].low, variant.ranges[0].high) for variant in plan.variants}
    assert ends.pop("sgd") == (0.3, 0.4)
    assert set(ends.values()) == {(0.1, 0.2)}


# Tuning.


def _trained(request, *, validation, status="ok"):
    record = made_record(seed=request.seed, held_out=validation, train=validation, status=status)
    task = msgspec.structs.replace(record.task, sha256=description_sha256(request.task))
    return msgspec.structs.replace(record, task=task)


def test_every_variant_gets_the_same_trials_and_its_best_one_wins():
    plan = _plan("overfitting", chosen=["plain", "dropout", "l2"], trials=5)
    tuning = Tuning(plan)
    losses = iter([3.0, 2.0, 1.5, 2.5, 1.0, 2.2, 1.2, 2.1, 1.9, 2.4])
    for requests in tuning.rounds(5):
        assert [request.seed for request in requests] == [TUNING_SEED] * 2
        tuning.tell([_trained(request, validation=(3.5, next(losses))) for request in requests])
    assert [trial.variant for trial in tuning.trials] == ["dropout", "l2"] * 5
    assert tuning.best("dropout").value == 1.0
    assert tuning.best("l2").value == 2.0
    assert tuning.found() == {name: tuning.best(name).assignments for name in ("dropout", "l2")}
    again = Tuning(plan)
    for _ in again.rounds(5):
        assert again.tell([]) is None
    assert [trial.assignments for trial in again.trials] == [trial.assignments for trial in tuning.trials]
    assert {trial.value for trial in again.trials} == {None}
    assert again.found() == {"dropout": ["dropout=0.4"], "l2": ["l2=0.003"]}  # the centres


def test_a_trial_that_falls_behind_half_of_the_others_is_stopped():
    plan = _plan("overfitting", chosen=["plain", "l2"], trials=6)
    tuning = Tuning(plan)
    rules = []
    for requests in tuning.rounds(6):
        rules.append(requests[0].stop)
        tuning.tell([_trained(request, validation=(4.0, 3.0 + len(rules), 2.0, 1.0)) for request in requests])
    assert rules[:3] == [None] * 3
    # The fourth trial has three before it; their median after epoch 2 is 5.
    assert dict(rules[3].thresholds) == {2: 5.0, 3: 2.0}
    epochs = made_record(held_out=(4.0, 6.0), train=(1.0, 1.0)).epochs
    assert "validation loss of 6 is worse than the 5" in rules[3].reason(epochs)
    assert rules[3].reason(epochs[:1]) is None


def test_a_stop_rule_of_the_best_score_so_far_forgives_a_bad_epoch():
    epochs = made_record(held_out=(1.0, 3.0), train=(1.0, 1.0)).epochs
    assert StopRule("loss", False, True, ((2, 2.0),)).reason(epochs) is None
    assert StopRule("loss", False, False, ((2, 2.0),)).reason(epochs) is not None
    assert StopRule("accuracy", True, True, ((2, 0.8),)).reason(epochs) is not None


def test_runs_that_chose_a_setting_do_not_judge_it():
    chosen = [msgspec.structs.replace(record, seed=TUNING_SEED) for record in _records(gains=(0.3,))]
    finding = _finding(*_records(), *chosen)
    assert [effect.seeds for effect in finding.effects] == [3, 3, 3]
    assert finding.effects[1].changes["score"].value == pytest.approx(5.5)


def test_a_setting_at_the_end_of_its_range_is_named():
    variant = StudyVariant(
        "sgd", ranges=(Range("learning_rate", 0.001, 1.0), Range("momentum", 0.5, 0.9, log=False))
    )
    (edge,) = at_edges([(variant, ["learning_rate=0.98", "momentum=0.7"])])
    assert (edge.option, edge.is_low) == ("learning_rate", False)
    (low,) = at_edges([(variant, ["learning_rate=0.03", "momentum=0.505"])])
    assert (low.option, low.is_low) == ("momentum", True)


def test_a_budget_cuts_trials_first():
    assert affordable_trials(12, tuned=6, compared=30, run_seconds=1, left_seconds=200) == 12
    assert affordable_trials(12, tuned=6, compared=30, run_seconds=1, left_seconds=80) == 8
    assert affordable_trials(12, tuned=6, compared=30, run_seconds=1, left_seconds=1) == 3
    assert affordable_trials(2, tuned=6, compared=30, run_seconds=1, left_seconds=1) == 2


def test_the_file_of_a_study_keeps_its_name_when_tuning_goes_on():
    trial = Trial("dropout", ["dropout=0.3"], "3" * 64, 1.5)
    assert msgspec.structs.replace(STUDY, trials=[trial], target=0.5).id == STUDY.id
    assert msgspec.structs.replace(STUDY, assignments=["width=0.5"]).id != STUDY.id


def test_steps_and_time_to_the_target_are_those_of_the_first_epoch_that_reaches_it():
    study = msgspec.structs.replace(STUDY, target=55.0)  # accuracy 1 - loss / 4
    records = [made_record(seed=seed, held_out=(2.0, 1.7, 1.9), train=(1.0, 1.0, 1.0)) for seed in range(3)]
    (group,) = group_runs(made_runs(*records)).groups
    (configuration,) = group.configurations
    steps, seconds = (quantity(name, study, configuration) for name in ("steps to target", "time to target"))
    assert steps.values(configuration, True) == {0: 20.0, 1: 20.0, 2: 20.0}
    assert seconds.values(configuration, True) == {0: 2.0, 1: 2.0, 2: 2.0}
    missed = quantity("steps to target", msgspec.structs.replace(study, target=90.0), configuration)
    assert missed.values(configuration, True) == {}


def _kind_of_amounts(count):
    variants = tuple(StudyVariant(f"amount {number}", data=True) for number in range(count))
    return StudyKind(
        name="amounts",
        question="?",
        summary="",
        noun="amount",
        tasks=("cnn",),
        variants=variants,
        quantities=("loss",),
        decisive=("loss",),
        quick=QuickForm(),
    )


@pytest.mark.parametrize("count", [3, 5])
def test_a_power_law_is_found_again(count):
    kind = _kind_of_amounts(count)
    variants = [Variant(each.name, [], f"{number}" * 64, 2) for number, each in enumerate(kind.variants)]
    study = msgspec.structs.replace(STUDY, kind=kind, variants=variants)
    records = []
    for number, variant in enumerate(variants):
        samples = 3200 >> number
        for seed in range(4):
            record = made_record(seed=seed)
            loss = 0.5 + 20 * samples**-0.5 * (1 + 0.01 * (seed - 1.5))
            records.append(
                msgspec.structs.replace(
                    record,
                    task=msgspec.structs.replace(record.task, sha256=variant.description),
                    dataset=msgspec.structs.replace(record.dataset, samples={"train": samples}),
                    test_at_last={"loss": loss, "accuracy": 0.5},
                )
            )
    (finding,) = study_findings(study, group_runs(made_runs(*records)).groups)
    law = scaling(finding)
    if count < 4:  # too few amounts for a law with a floor
        assert law is None
        return
    assert law.exponent.value == pytest.approx(0.5, abs=0.02)
    assert law.floor == pytest.approx(0.5, rel=0.05)
    assert law.doubled.value == pytest.approx(0.5 + 20 * 6400**-0.5, rel=0.01)
    assert law.gain.low < 1 - law.doubled.value / law.levels[-1] < law.gain.high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ()}, "no variants"),
        ({"variants": (StudyVariant("a"), StudyVariant("a"))}, "two variants named 'a'"),
        ({"variants": (StudyVariant("a", ranges=(Range("x", 0.0, 1.0),)),)}, "range of x"),
        ({"tasks": ()}, "names no task"),
        ({"quick": QuickForm(variants=("b",))}, "unknown variant 'b'"),
    ],
)
def test_a_kind_that_cannot_be_a_study_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        msgspec.structs.replace(_kind_of_amounts(2), **changes)
