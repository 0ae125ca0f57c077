"""Runs compared along axes: which is found, how groups are made, what is refused; what a run trained."""

import msgspec
import pytest
from support.made_runs import made_record, made_runs, made_setting, seeds_of
from support.records import MACHINE

from harness.analysis.axes import Setting, ordered, trained
from harness.analysis.findings import find
from harness.analysis.grouping import LeftOut
from harness.certify.certificate import Certificate
from harness.errors import UsageError
from harness.machine.description import Host
from harness.plugins.options import options_with
from harness.runs.record import Evaluation, Failure, TaskRecord
from harness_tasks.mlp import MLP


def runs_of(*settings, **common):
    return made_runs(*(record for own in settings for record in seeds_of(made=made_setting, **common, **own)))


def names(findings):
    return [
        [configuration.name for configuration in group.comparison.group.configurations]
        for group in findings.groups
    ]


def titles(findings):
    return [group.comparison.group.title for group in findings.groups]


GRID = [{"optimizer": name, "learning_rate": rate} for name in ("adam", "sgd") for rate in (0.1, 0.01)]
ADAM, SGD, RMSPROP = ({"optimizer": name} for name in ("adam", "sgd", "rmsprop"))


def test_the_one_axis_that_varies_is_found():
    findings = find(runs_of(SGD, ADAM, RMSPROP))
    assert names(findings) == [["adam", "rmsprop", "sgd"]]
    assert titles(findings) == ["Adam, RMSprop, SGD on cnn: digits, 2 epochs, torch:eager"]
    assert (findings.variations, findings.kept_apart, findings.left_out) == ([], [], [])


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        (
            [{"learning_rate": 0.1}, {"learning_rate": 0.01}],
            "learning_rate 0.01, 0.1 on cnn: digits, 2 epochs",
        ),
        ([{"nesterov": True}, {"nesterov": False}], "nesterov false, true on cnn: digits, 2 epochs"),
        ([{"batch_size": 64}, {"batch_size": 32}], "batch_size 32, 64 on cnn: digits, 2 epochs"),
        ([{"threads": 1}, {"threads": 2}], "threads 1, 2 on cnn: digits, 2 epochs"),
        ([{"epochs_asked": 5}, {"epochs_asked": 2}], "epochs 2, 5 on cnn: digits, torch:eager"),
        ([{"width": number} for number in range(9)], "width (9 values) on cnn: digits, 2 epochs"),
    ],
)
def test_a_title_names_what_varies_in_ascending_order(settings, title):
    (actual,) = titles(find(runs_of(*settings)))
    assert actual.startswith(title)


def test_values_are_named_with_their_axis():
    for axis, values in (("learning_rate", (0.01, 0.1)), ("rebalance", ("none", "weights"))):
        found = find(runs_of(*({axis: value} for value in values)))
        assert names(found) == [[f"{axis}={value}" for value in values]]


def test_several_axes_are_found_and_nothing_is_compared():
    findings = find(runs_of(*GRID))
    assert [len(group) for group in names(findings)] == [1, 1, 1, 1]
    (variation,) = findings.variations
    assert variation.values == {"optimizer": ["adam", "sgd"], "learning_rate": [0.01, 0.1]}


def test_backends_that_vary_are_compared_and_what_else_varies_is_stated():
    findings = find(runs_of(ADAM, SGD) + runs_of(ADAM, SGD, backend="jax"))
    assert names(findings) == [["jax:eager", "torch:eager"]] * 2
    (variation,) = findings.variations
    assert variation.values == {"optimizer": ["adam", "sgd"], "backend": ["jax:eager", "torch:eager"]}


def test_all_else_is_equal_within_a_group():
    findings = find(runs_of(*GRID) + runs_of(*GRID, backend="jax"), by="optimizer")
    assert names(findings) == [["adam", "sgd"]] * 4
    assert {title.partition(": ")[2] for title in titles(findings)} == {
        f"digits, 2 epochs, {backend}:eager, learning_rate={rate}"
        for backend in ("torch", "jax")
        for rate in (0.1, 0.01)
    }


def test_axes_are_combined():
    tuned = [{"optimizer": "adam", "learning_rate": 0.01}, {"optimizer": "sgd", "learning_rate": 0.1}]
    findings = find(runs_of(*tuned), by="optimizer, learning_rate")
    assert names(findings) == [["adam learning_rate=0.01", "sgd learning_rate=0.1"]]
    assert titles(findings) == ["optimizer and learning_rate on cnn: digits, 2 epochs, torch:eager"]
    with pytest.raises(
        UsageError, match=r"also differ in learning_rate\. Compare every combination: --by op"
    ):
        find(runs_of(*tuned), by="optimizer")


def test_full_batches_are_compared_with_every_batch_size():
    gd = {"optimizer": "gd", "batch_size": None}
    both = [{**SGD, "batch_size": size} for size in (32, 64)]
    assert names(find(runs_of(gd, {**SGD, "batch_size": 32}))) == [["gd", "sgd"]]
    assert names(find(runs_of(gd, *both), by="optimizer")) == [["gd", "sgd"]] * 2
    (group,) = find(runs_of(gd, *both), by="optimizer,batch_size").groups
    assert [each.name for each in group.comparison.group.configurations] == [
        "gd batch_size=all",
        "sgd batch_size=32",
        "sgd batch_size=64",
    ]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("optimiser", "unknown field or option 'optimiser'. Did you mean 'optimizer'?"),
        ("lr", "unknown field or option 'lr'. Did you mean 'learning_rate'?"),
        ("seed", "--by seed: seeds are repetitions"),
        ("machine", "--by machine: times of different machines"),
        ("status", "--by status: only runs that succeeded"),
        ("backend,optimizer", "--by backend,optimizer: backends are compared under equal settings"),
        ("learning_rate", "--by learning_rate: there is nothing to compare, all have learning_rate 0.1."),
    ],
)
def test_what_cannot_be_compared_by_is_refused(by, message):
    runs = runs_of(ADAM, SGD, learning_rate=0.1)
    with pytest.raises(UsageError) as caught:
        find(runs, by=by)
    assert str(caught.value).startswith(message)


def test_by_backend_is_the_comparison_of_backends():
    runs = runs_of(ADAM, SGD) + runs_of(ADAM, backend="jax")
    findings = find(runs, by="backend")
    assert names(findings)[0] == ["jax:eager", "torch:eager"]
    assert findings.variations == []


def test_settings_of_one_backend_need_no_certificate_but_a_failed_one_forbids_ranks():
    (group,) = find(runs_of(ADAM, SGD, certificate=None)).groups
    assert len(group.comparison.pairs) == 1
    failed = Certificate(certified=False, reason="another gradient")
    findings = find(runs_of(ADAM, SGD, certificate=failed))
    assert findings.groups[0].comparison.pairs == []
    assert findings.kept_apart[0].reasons == ("another gradient",)


def test_a_setting_that_diverged_is_named():
    runs = runs_of({"learning_rate": 0.1}, {"learning_rate": 0.01})
    diverged = runs_of({"learning_rate": 10.0}, status="diverged", failure=Failure("the loss is not finite"))
    findings = find(runs + diverged)
    assert names(findings) == [["learning_rate=0.01", "learning_rate=0.1"]]
    assert findings.left_out == [
        LeftOut("cnn", "torch:eager, learning_rate=10.0", "diverged", "the loss is not finite", 3)
    ]


def test_equal_machines_are_not_one_machine():
    other = msgspec.structs.replace(MACHINE, host=Host("b" * 32, "elsewhere"))
    findings = find(runs_of(ADAM) + runs_of(SGD, machine=other))
    assert names(findings) == [["torch:eager"]] * 2


def test_runs_that_were_scored_in_other_ways_are_kept_apart():
    runs = runs_of(ADAM) + runs_of(SGD, evaluation=Evaluation(every_epochs=2))
    assert names(find(runs)) == [["torch:eager"]] * 2


def test_threads_of_uncertified_runs_are_not_ranked():
    (group,) = find(runs_of({"threads": 1}, {"threads": 2}, certificate=None)).groups
    assert group.comparison.pairs == []
    (group,) = find(runs_of({"threads": 1}, {"threads": 2})).groups
    assert len(group.comparison.pairs) == 1


def test_threads_of_tasks_that_differ_otherwise_are_not_compared():
    """A description can change although no option does, for instance in a later version of a plugin."""
    one, two = made_setting(threads=1), made_setting(threads=2)
    changed = msgspec.structs.replace(two, task=msgspec.structs.replace(two.task, sha256="c" * 64))
    assert names(find(made_runs(one, two))) == [["threads=1", "threads=2"]]
    assert names(find(made_runs(one, changed))) == [["torch:eager"]] * 2


def test_values_are_in_ascending_order():
    assert ordered([None, "b", 2, True, 0.5, "a", 2]) == [0.5, True, 2, "a", "b", None]


# The settings that differ from the defaults of a task.


def _mlp(*, epochs=None, **options):
    """A record of mlp with these options and, where given, another number of epochs."""
    given = options_with(MLP, options)
    task = MLP.define(given)
    task = msgspec.structs.replace(task, epochs=epochs or task.epochs)
    recorded = TaskRecord("mlp", task.version, msgspec.structs.asdict(given), "0" * 64, task)
    return made_record(task=recorded, epochs_asked=task.epochs, batch_size=task.batch_size or 0)


def test_only_what_differs_is_named_with_the_default():
    assert trained(_mlp()).settings == ()
    found = trained(_mlp(train_fraction=0.05, epochs=150))
    assert found.settings == (Setting("train_fraction", 0.05, 1.0), Setting("epochs", 150, 167))
    assert found.knows_defaults
    assert trained(_mlp(train_fraction=0.05), {"train_fraction"}).settings == ()  # an axis is none


def test_what_follows_from_an_option_is_no_setting_of_its_own():
    """Gradient descent takes all data at once; the batch size is not another choice."""
    names = [setting.name for setting in trained(_mlp(optimizer="gd")).settings]
    assert names == ["optimizer"]


def test_of_a_task_that_is_not_installed_all_options_are_named():
    own = TaskRecord("mine", 1, {"depth": 3}, "0" * 64, MLP.define(MLP.options()))
    found = trained(made_record(task=own))
    assert (found.settings, found.knows_defaults) == ((Setting("depth", 3, None),), False)
    other_version = msgspec.structs.replace(_mlp().task, version=99)
    assert not trained(made_record(task=other_version)).knows_defaults
