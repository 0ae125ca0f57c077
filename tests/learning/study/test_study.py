"""Studies: what fits a budget, what is already recorded and what is recommended."""

import itertools
import math
import re

import msgspec
import numpy as np
import pytest
from scipy import special, stats
from support import made_study
from support.made_records import made_record, seeds_of
from support.made_runs import compared, findings_of, study_findings_of
from support.records import reconfigured

from harness.core.certify.certificate import Certificate
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import TRIAL_SEED, StopRule
from harness.errors import UsageError
from harness.learning.runs.conditions import Difference
from harness.learning.runs.page import findings_document
from harness.learning.study.parts import parts_of, quantity
from harness.learning.study.parts.scaling import PARTS as SCALING
from harness.learning.study.parts.scaling import scaling
from harness.learning.study.plan import StudyPlan
from harness.learning.study.record import Trial, Variant
from harness.learning.study.trials import at_edges, spread_settings
from harness.learning.study.tuning import Tuning
from harness.learning.study.variants import StudyOptions
from harness.spec import QuickForm, Range, StudyKind, StudyVariant
from harness.spec.data import DatasetSummary
from harness.spec.description import description_sha256
from harness.spec.task import Regression
from harness_tasks.forecast import FORECAST
from harness_tasks.studies import STUDIES as KINDS

#: Overfitting judged by the score alone, as the made-up runs differ in it.
KIND = msgspec.structs.replace(KINDS["overfitting"], decisive=("score",))
VARIANTS = [
    Variant("plain", [], "0" * 64, 2),
    Variant("dropout", ["dropout=0.5"], "1" * 64, 2),
    Variant("half the data", ["train_fraction=0.5"], "2" * 64, 2),
]
STUDY = msgspec.structs.replace(made_study.STUDY, kind=KIND, epochs=2, variants=VARIANTS)


def _task(number, **changes):
    """The task of one of the variants."""
    return msgspec.structs.replace(made_record().task, sha256=f"{number}" * 64, **changes)


def _records(backend="torch", gains=(0.05, 0.06, 0.055), **changes):
    for seed, gain in enumerate(gains):
        yield made_record(backend, seed, accuracy=0.6 + seed / 100, **changes)
        yield made_record(
            backend, seed, accuracy=0.6 + seed / 100 + gain, task=_task(1), held_out=(2.0, 1.1), step=0.011
        )


def _finding(*records, study=STUDY):
    (finding,) = study_findings_of(*records, studies=[study])
    return finding


def _of_regression(number, loss):
    task = made_record().task
    description = msgspec.structs.replace(task.description, objective=Regression(loss))
    return msgspec.structs.replace(task, sha256=f"{number}" * 64, description=description)


@pytest.mark.parametrize("order", [("mse", "mae"), ("mae", "mse")])
def test_the_score_of_a_regression_is_the_squared_error_whatever_the_loss(order):
    scores = {"mse": lambda seed: {"loss": 0.4 + seed / 100}}
    scores["mae"] = lambda seed: {"loss": 0.1, "mean_squared_error": 0.6 + seed / 100}
    variants = [Variant(loss, [], f"{number}" * 64, 2) for number, loss in enumerate(order)]
    kind = msgspec.structs.replace(
        KINDS["losses"], variants=tuple(StudyVariant(loss) for loss in order), reference="first"
    )
    study = msgspec.structs.replace(STUDY, kind=kind, variants=variants)
    records = [
        record
        for number, loss in enumerate(order)
        for record in seeds_of(
            seeds=range(3),
            task=_of_regression(number, loss),
            test_at_last=scores[loss],
            test_at_best=scores[loss],
        )
    ]
    levels = {
        each.variant.name: each.levels["score"].value for each in _finding(*records, study=study).effects
    }
    assert levels == {"mse": pytest.approx(0.41), "mae": pytest.approx(0.61)}


def test_an_error_that_is_the_loss_and_the_score_is_stated_once():
    variants = [Variant(each.name, each.assignments, each.description, 2) for each in VARIANTS[:2]]
    kind = msgspec.structs.replace(KINDS["overfitting"], decisive=("loss", "score"))
    study = msgspec.structs.replace(STUDY, kind=kind, variants=variants)
    records = [
        record
        for number in range(2)
        for record in seeds_of(
            seeds=range(3),
            task=_of_regression(number, "mse"),
            test_at_last=lambda seed: {"loss": 0.4 + seed / 100},
        )
    ]
    finding = _finding(*records, study=study)
    assert (finding.study.kind.decisive, "loss" in finding.quantities) == (("score",), False)


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


@pytest.mark.parametrize(
    ("gains", "verdict"), [((0.1, 0.11, 0.105), "better"), ((-0.1, -0.11, -0.105), "worse")]
)
def test_an_error_that_falls_is_better(gains, verdict):
    forecast = FORECAST.define(FORECAST.options())
    records = []
    for number, taken in enumerate(((0.0, 0.0, 0.0), gains)):
        errors = [{"loss": 0.5 + seed / 100 - less} for seed, less in enumerate(taken)]
        records += seeds_of(
            task=_task(number, description=forecast),
            test_at_last=lambda seed, errors=errors: errors[seed],
            test_at_best=lambda seed, errors=errors: errors[seed],
        )
    effect = _finding(*records).effects[1]
    assert (effect.verdict, effect.changes["score"].value) == (verdict, pytest.approx(-gains[2]))


def test_runs_of_remedies_are_among_those_that_were_used():
    records = list(_records())
    used = {run.record.id for run in findings_of(*records, studies=[STUDY]).runs}
    assert used == {record.id for record in records}


@pytest.mark.parametrize(
    ("gains", "verdict", "recommended"),
    [
        ((-0.05, -0.06, -0.055), "worse", "early stopping"),
        ((0.1, -0.08, 0.02), "undecided", "early stopping"),
        ((0.001, 0.0011, 0.0009), "equal", "early stopping"),  # within the margin
        ((0.1,), "few", None),
    ],
)
def test_what_is_not_certain_is_not_recommended(gains, verdict, recommended):
    finding = _finding(*_records(gains=gains))
    assert finding.effects[1].verdict == verdict
    assert (finding.recommended and finding.recommended.variant.name) == recommended


def test_two_decisive_quantities_that_disagree_are_mixed():
    study = msgspec.structs.replace(STUDY, kind=KINDS["overfitting"])
    records = [
        msgspec.structs.replace(record, test_at_last={**record.test_at_last, "loss": 1.0 + number % 2})
        for number, record in enumerate(_records())
    ]
    assert _finding(*records, study=study).effects[1].verdict == "mixed"


def test_the_more_remedies_there_are_the_wider_is_each_interval():
    gains = (0.03, 0.05, 0.07, 0.05)  # of Student's t 6.1 with 3 degrees, where 3.2 is 95 % and 4.2 is 97.5 %

    def tried(loss=0.0):
        scores = {"accuracy": lambda seed: 0.6 + gains[seed] - loss}
        remedies = [seeds_of(seeds=range(4), task=_task(number), **scores) for number in (1, 2)]
        return _finding(*seeds_of(seeds=range(4), accuracy=0.6), *itertools.chain(*remedies))

    change = tried().effects[1].changes["score"]
    # Half the data is no remedy: dropout and early stopping share the 5 %.
    half = stats.t.ppf(1 - 0.05 / 2 / 2, 3) * np.std(gains, ddof=1) / 2
    ends = special.expit(special.logit(0.65) + np.array([-1, 1]) * half / (0.65 * 0.35))
    assert (change.low, change.high) == pytest.approx(100 * (ends - 0.6))
    assert [each.variant.name for each in tried().helpful] == ["dropout", "early stopping"]
    assert tried().recommended is None  # dropout is not certainly better than early stopping
    assert tried(loss=0.02).recommended.variant.name == "early stopping"  # t is 3.7, where 4.2 is needed


def test_runs_under_other_conditions_are_not_included():
    records = list(_records())
    other = [reconfigured(record, threads=1) for record in records[1::2]]
    finding = _finding(*records[::2], *other)
    assert [effect.variant.name for effect in finding.effects] == ["plain", "early stopping"]


@pytest.mark.parametrize(
    ("changes", "groups"), [(None, 1), ({"precision": "float64"}, 2), ({"backend": "jax"}, 2)]
)
def test_groups_that_a_study_does_not_include_are_shown_beside_it(changes, groups):
    records = list(_records())
    others = [reconfigured(record, **changes) for record in records[1::2]] if changes else []
    assert len(findings_of(*records, *others, studies=[STUDY]).groups) == groups


def test_configurations_with_a_remedy_are_compared_beside_the_study():
    findings = findings_of(*_records(), *_records("jax"), studies=[STUDY])
    assert len(findings.sections) == 2
    assert [len(group.comparison.summaries) for group in findings.groups] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        (
            {"certificate": Certificate(certified=False, reason="it computes otherwise")},
            (Difference("certified", ours=False, theirs=True),),
        ),
        (
            {"device": "cuda:0 (NVIDIA H100)"},
            (Difference("device", "cuda:0 (NVIDIA H100)", "cpu"),),
        ),
        (
            {"dataset": DatasetRecord("digits", "e" * 64)},
            (Difference("fingerprint", "e" * 64, "f" * 64),),
        ),
        ({"framework": {"engine": "torch", "torch": "2.0"}}, ()),
    ],
)
def test_runs_of_a_remedy_without_plain_runs_are_kept_apart(changes, differences):
    records = list(_records())
    other = [msgspec.structs.replace(record, **changes) for record in records[1::2]]
    assert findings_of(*records, studies=[STUDY]).kept_apart == []
    (apart, *_) = findings_of(*records[::2], *other, studies=[STUDY]).kept_apart
    assert apart.reason.startswith("dropout has no plain runs")
    assert apart.runs == 3
    assert apart.differences == differences


def test_runs_of_the_unchanged_task_need_not_belong_to_a_study():
    whole = msgspec.structs.replace(VARIANTS[1], assignments=[])
    study = msgspec.structs.replace(STUDY, variants=[VARIANTS[0], whole])
    assert findings_of(*list(_records())[1::2], studies=[study]).kept_apart == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_of_runs_that_scored_nothing_has_few_seeds_and_is_shown(kind):
    empty = {"epochs": [], "best_epoch": None, "test_at_last": None, "test_at_best": None, "blocks": []}
    records = [msgspec.structs.replace(record, **empty) for record in _records()]
    names = [variant.name for variant in KINDS[kind].variants]
    variants = [msgspec.structs.replace(each, name=name) for each, name in zip(VARIANTS, names, strict=False)]
    study = msgspec.structs.replace(STUDY, kind=KINDS[kind], variants=variants)
    findings = findings_of(*records, studies=[study])
    assert findings.sections[0].finding.effects[1].verdict == "few"
    assert terminal_text(findings_document(findings), 100)


def test_a_configuration_without_a_remedy_is_left_out_beside_one_that_has_one():
    findings = findings_of(*_records(), *seeds_of("keras", accuracy=0.6), studies=[STUDY])
    assert [section.finding.configuration.name for section in findings.sections] == ["torch:eager"]


def test_another_backend_with_some_of_the_tuned_settings_is_left_out():
    records = [*_records("torch"), *seeds_of(task=_task(2)), *_records("keras")]
    tuned = msgspec.structs.replace(STUDY, tuned_on=made_record("torch").configuration.label)
    assert len(findings_of(*records, studies=[STUDY]).sections) == 2
    assert _finding(*records, study=tuned).configuration.runs[0].record.configuration.backend == "torch"
    assert tuned.id != STUDY.id  # trials on another backend find other settings


def test_a_version_is_compared_with_itself_if_plain_runs_are_of_two():
    finding = _finding(*seeds_of(framework={"engine": "torch", "torch": "0.9"}), *_records())
    assert finding.configuration.name == "torch:eager (torch 1.0)"
    assert finding.recommended.variant.name == "dropout"


def _plan(kind="overfitting", task="mlp", **changes):
    options = StudyOptions(
        **{"kind": KINDS[kind], "task": task, "backends": ["torch"], "seeds": 1, **changes}
    )
    return StudyPlan(options, lambda *_: None)


def test_variants_whose_data_have_no_batch_are_left_out_before_the_first_run(monkeypatch):
    plan = _plan("data", task="forecast")
    assert [(each.variant, each.reason) for each in plan.omissions] == [
        ("1/16 of the data", "its 10 training samples are fewer than a batch of 16")
    ]
    assert {each.variant for each in plan.runs({})} == {each.name for each in plan.variants}
    few = DatasetSummary("few", {"train": 10, "test": 10})
    monkeypatch.setattr("harness.learning.study.plan.summary_of", lambda _name: few)
    with pytest.raises(UsageError, match="all data: its 9 training samples are fewer than a batch of 16"):
        _plan("data", task="forecast")


def test_a_remedy_that_the_plain_task_has_is_left_out():
    plan = _plan(task="resnet", dataset="digits")
    assert [(each.variant, each.reason) for each in plan.omissions] == [
        ("augmentation", "plain is the same task")
    ]
    assert len(plan.runs({})) == len(plan.variants) == 5


def test_a_variant_that_is_left_out_takes_none_with_a_shorter_name():
    plan = _plan("federated")
    names = [each.name for each in plan.variants]
    assert {"even", "even 5 epochs"} <= {*names}
    plan.leave_out("even 5 epochs")
    assert [each.name for each in plan.variants] == [name for name in names if name != "even 5 epochs"]


@pytest.mark.parametrize("task", ["lm", "tabular"])
def test_every_other_remedy_fits_the_tasks_without_images(task):
    plan = _plan(task=task, dataset={"lm": "pydoc", "tabular": "breast_cancer"}[task])
    names = {variant.name for variant in KINDS["overfitting"].variants}
    assert {variant.name for variant in plan.variants} == names - {"augmentation"}
    assert [each.variant for each in plan.omissions] == ["augmentation"]


def test_the_short_version_is_smaller():
    whole, quick = _plan("optimizers", seeds=None), _plan("optimizers", seeds=None, quick=True)
    assert (whole.seeds, whole.trials) == (8, 12)
    form = KINDS["optimizers"].quick
    assert (quick.seeds, quick.trials) == (form.seeds, form.trials)
    epochs = [plan.runs({})[0].task.epochs for plan in (whole, quick)]
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
    first, second = (request.options for request in next(Tuning(plan).rounds(1)))
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
        assert [request.seed for request in requests] == [TRIAL_SEED] * 2
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
    assert re.search(r"\b6\b.*\b5\b", rules[3].reason(epochs))
    assert rules[3].reason(epochs[:1]) is None


def test_a_stop_rule_of_the_best_score_so_far_forgives_a_bad_epoch():
    epochs = made_record(held_out=(1.0, 3.0), train=(1.0, 1.0)).epochs
    assert StopRule("loss", False, True, ((2, 2.0),)).reason(epochs) is None
    assert StopRule("loss", False, False, ((2, 2.0),)).reason(epochs) is not None
    assert StopRule("accuracy", True, True, ((2, 0.8),)).reason(epochs) is not None


def test_runs_that_chose_a_setting_do_not_judge_it():
    chosen = [msgspec.structs.replace(record, seed=TRIAL_SEED) for record in _records(gains=(0.3,))]
    finding = _finding(*_records(), *chosen)
    assert [effect.seeds for effect in finding.effects] == [3, 3, 3]
    assert finding.effects[1].changes["score"].value == pytest.approx(5.5)


def test_a_setting_at_the_end_of_its_range_is_named():
    variant = StudyVariant(
        "sgd", ranges=(Range("learning_rate", 0.001, 1.0), Range("momentum", 0.5, 0.9, log=False))
    )
    (edge,) = at_edges([(variant, ["learning_rate=0.98", "momentum=0.7"], 3)])
    assert (edge.option, edge.is_low) == ("learning_rate", False)
    (low,) = at_edges([(variant, ["learning_rate=0.03", "momentum=0.505"], 3)])
    assert (low.option, low.is_low) == ("momentum", True)
    (high,) = at_edges([(variant, ["learning_rate=0.3", "momentum=0.7"], 3)])  # nearer to 0.001 in a sum
    assert not high.is_low
    near = ["learning_rate=0.5", "momentum=0.7"]  # a tenth of the range from its end
    assert [bool(at_edges([(variant, near, trials)])) for trials in (3, 9, 12)] == [True, True, False]


@pytest.mark.parametrize("count", [3, 4, 12])
def test_few_trials_cover_every_range(count):
    ranges = (Range("learning_rate", 0.001, 1.0), Range("momentum", 0.5, 0.9, log=False))
    settings = spread_settings(ranges, count, seed=1)
    rates = sorted(np.log10([each["learning_rate"] for each in settings]) / 3 + 1)
    momenta = sorted((np.array([each["momentum"] for each in settings]) - 0.5) / 0.4)
    for shares in (rates, momenta):
        assert [int(share * count) for share in shares] == list(range(count))
    early = [np.log10(each["learning_rate"]) / 3 + 1 for each in settings[:3]]  # as where a budget ends them
    assert max(early) - min(early) > 0.3
    assert settings != spread_settings(ranges, count, seed=2)


def test_the_file_of_a_study_keeps_its_name_when_tuning_goes_on():
    trial = Trial("dropout", ["dropout=0.3"], "3" * 64, 1.5)
    assert msgspec.structs.replace(STUDY, trials=[trial], target=0.5).id == STUDY.id
    assert msgspec.structs.replace(STUDY, assignments=["width=0.5"]).id != STUDY.id


def test_amounts_to_the_target_are_those_of_the_first_epoch_that_reaches_it():
    study = msgspec.structs.replace(STUDY, target=55.0)  # accuracy 1 - loss / 4
    (configuration,) = compared(*seeds_of(held_out=(2.0, 1.7, 1.9), train=(1.0,) * 3)).group.configurations
    epochs, seconds = (
        quantity(name, study, configuration) for name in ("epochs to target", "time to target")
    )
    assert epochs.values(configuration, True) == {0: 2.0, 1: 2.0, 2: 2.0}
    assert seconds.values(configuration, True) == {0: 2.0, 1: 2.0, 2: 2.0}
    missed = quantity("epochs to target", msgspec.structs.replace(study, target=90.0), configuration)
    assert missed.values(configuration, True) == dict.fromkeys(range(3), math.inf)


def test_a_seed_that_misses_the_target_is_counted():
    kind = msgspec.structs.replace(KINDS["optimizers"], decisive=("score",))
    names = ("adam", "gd")
    variants = [Variant(name, [], f"{number}" * 64, 3) for number, name in enumerate(names)]
    study = msgspec.structs.replace(STUDY, kind=kind, epochs=3, variants=variants, target=55.0)
    records = [
        *seeds_of(task=_task(0), held_out=(2.0, 1.7, 1.6), train=(1.0,) * 3),
        *seeds_of(
            task=_task(1), held_out=lambda seed: (1.7 if seed == 0 else 2.0, 2.0, 2.0), train=(1.0,) * 3
        ),
    ]
    finding = _finding(*records, study=study)
    gd = next(each for each in finding.effects if each.variant.name == "gd")
    adam = next(each for each in finding.effects if each.variant.name == "adam")
    assert (adam.changes["epochs to target"], gd.changes["epochs to target"]) == (None, None)
    (part,) = [each for each in parts_of(kind) if each.name == "target"]
    content = part.content(finding)
    rows = {row[0]: [*row[1:3]] for row in content.above[1].rows}
    assert rows == {"adam": ["3 of 3", "2"], "gd": ["1 of 3", "not reached"]}
    assert all("gd" in figure.caption for figure in part.charts(finding, "part"))
    epochs_alone = msgspec.structs.replace(kind, quantities=("epochs to target",))
    finding = _finding(*records, study=msgspec.structs.replace(study, kind=epochs_alone))
    assert [figure.name for figure in part.charts(finding, "part")] == ["part-target-epochs-to-target"]


def test_the_target_is_what_half_of_the_winners_reached():
    plan = _plan("optimizers", chosen=["adam", "sgd", "gd"], trials=1)
    tuning = Tuning(plan)
    losses = {"adam": 0.4, "sgd": 0.8, "gd": 3.2}
    for requests in tuning.rounds(1):
        tuning.tell(
            [_trained(each, validation=(3.8, losses[each.variant.partition(",")[0]])) for each in requests]
        )
    assert tuning.reference() == ("adam", pytest.approx(80.0))


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


def _runs_of_amounts(count, law):
    """The records of a study of amounts of data, and the study; ``law`` takes samples and noise."""
    kind = _kind_of_amounts(count)
    variants = [Variant(each.name, [], f"{number}" * 64, 2) for number, each in enumerate(kind.variants)]
    study = msgspec.structs.replace(STUDY, kind=kind, variants=variants)
    records = []
    for number, _ in enumerate(variants):
        samples = 3200 >> number
        records += seeds_of(
            seeds=range(4),
            task=_task(number),
            dataset=msgspec.structs.replace(made_record().dataset, samples={"train": samples}),
            test_at_last=lambda seed, samples=samples: {
                "loss": law(samples, 1 + 0.01 * (seed - 1.5)),
                "accuracy": 0.5,
            },
        )
    return records, study


def test_a_loss_that_rises_with_the_data_has_no_power_law():
    records, study = _runs_of_amounts(5, lambda samples, noise: noise * (0.5 + samples / 10_000))
    law = scaling(_finding(*records, study=study))
    assert (law.factor, law.gain.value, law.gain.high) == (0.0, 0.0, 0.0)
    assert law.doubled.value == pytest.approx(law.floor)
    assert min(law.levels) < law.floor < max(law.levels)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            lambda samples, noise: 0.5 + noise * 20 * samples**-0.5,
            "twice the data would lower the test loss by ",
        ),
        (lambda samples, noise: 0.5 + noise * 4000 * samples**-2.0, "by less than 1 %"),
        (lambda samples, noise: noise * (0.5 + samples / 10_000), "do not show that more data would lower"),
    ],
)
def test_no_gain_of_zero_percent_is_promised(loss, said):
    records, study = _runs_of_amounts(5, loss)
    headline = SCALING[0].headline(_finding(*records, study=study), "mlp on digits")
    assert said in headline
    assert "0 % [0, 0]" not in headline


@pytest.mark.parametrize("count", [3, 5])
def test_a_power_law_is_found_again(count):
    records, study = _runs_of_amounts(count, lambda samples, noise: 0.5 + noise * 20 * samples**-0.5)
    finding = _finding(*records, study=study)
    law = scaling(finding)
    if count < 4:  # too few amounts for a law with a floor
        assert law is None
        return
    assert law.exponent.value == pytest.approx(0.5, abs=0.02)
    assert law.floor == pytest.approx(0.5, rel=0.05)
    assert law.doubled.value == pytest.approx(0.5 + 20 * 6400**-0.5, rel=0.01)
    assert law.gain.low < 1 - law.doubled.value / law.levels[-1] < law.gain.high
    one = _finding(*(record for record in records if record.seed == 0), study=study)
    assert scaling(one).gain.low is None  # "0 % [0, 0]" is no interval


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
