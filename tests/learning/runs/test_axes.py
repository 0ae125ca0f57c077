"""Runs compared along axes: which is found, how groups are made, what is refused; what a run trained."""

import msgspec
import pytest
from support.made_records import made_mlp, made_record, made_setting, seeds_of
from support.made_runs import made_runs
from support.records import MACHINE

from harness.core.certify.certificate import Certificate
from harness.core.runs.record import Evaluation, Failure, TaskRecord
from harness.errors import UsageError
from harness.learning.runs.axes import ordered
from harness.learning.runs.findings import find
from harness.learning.runs.rows import LeftOut
from harness.learning.runs.trained import defaults_of, settings_of
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
    assert titles(findings)[0].startswith("Adam, RMSprop, SGD on cnn")
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


TUNED = [{"optimizer": "adam", "learning_rate": 0.01}, {"optimizer": "sgd", "learning_rate": 0.1}]
GD = {"optimizer": "gd", "batch_size": None}
BATCHES = [{**SGD, "batch_size": size} for size in (32, 64)]
ELSEWHERE = msgspec.structs.replace(MACHINE, host="b" * 12)
ONE, TWO = made_setting(threads=1), made_setting(threads=2)
#: A description can change although no option does, for instance in a later version of a plugin.
CHANGED = msgspec.structs.replace(TWO, task=msgspec.structs.replace(TWO.task, sha256="c" * 64))
APART = [["torch:eager"]] * 2


@pytest.mark.parametrize(
    ("runs", "by", "expected"),
    [
        (
            runs_of({"learning_rate": 0.1}, {"learning_rate": 0.01}),
            None,
            [["learning_rate=0.01", "learning_rate=0.1"]],
        ),
        (
            runs_of({"rebalance": "none"}, {"rebalance": "weights"}),
            None,
            [["rebalance=none", "rebalance=weights"]],
        ),
        (runs_of(*TUNED), "optimizer, learning_rate", [["adam learning_rate=0.01", "sgd learning_rate=0.1"]]),
        # Full batches are compared with every batch size.
        (runs_of(GD, BATCHES[0]), None, [["gd", "sgd"]]),
        (runs_of(GD, *BATCHES), "optimizer", [["gd", "sgd"]] * 2),
        (
            runs_of(GD, *BATCHES),
            "optimizer,batch_size",
            [["gd batch_size=all", "sgd batch_size=32", "sgd batch_size=64"]],
        ),
        (
            runs_of(ADAM, SGD) + runs_of(ADAM, backend="jax"),
            "backend",
            [["jax:eager", "torch:eager"], ["torch:eager"]],
        ),
        (runs_of(ADAM) + runs_of(SGD, machine=ELSEWHERE), None, APART),
        (runs_of(ADAM) + runs_of(SGD, evaluation=Evaluation(every_epochs=2)), None, APART),
        (made_runs(ONE, TWO), None, [["threads=1", "threads=2"]]),
        (made_runs(ONE, CHANGED), None, APART),
    ],
)
def test_runs_that_differ_in_nothing_else_are_compared(runs, by, expected):
    assert names(find(runs, by=by)) == expected


def test_all_else_is_equal_within_a_group():
    findings = find(runs_of(*GRID) + runs_of(*GRID, backend="jax"), by="optimizer")
    assert names(findings) == [["adam", "sgd"]] * 4
    assert {title.partition(": ")[2] for title in titles(findings)} == {
        f"digits, 2 epochs, {backend}:eager, learning_rate={rate}"
        for backend in ("torch", "jax")
        for rate in (0.1, 0.01)
    }


def test_what_differs_besides_is_refused_with_the_axes_that_compare_it():
    with pytest.raises(UsageError, match=r"learning_rate\. .*--by optimizer,learning_rate"):
        find(runs_of(*TUNED), by="optimizer")


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


def test_settings_of_one_backend_need_no_certificate_but_a_failed_one_forbids_ranks():
    (group,) = find(runs_of(ADAM, SGD, certificate=None)).groups
    assert len(group.comparison.pairs) == 1
    failed = Certificate(certified=False, reason="another gradient")
    findings = find(runs_of(ADAM, SGD, certificate=failed))
    assert findings.groups[0].comparison.pairs == []
    assert findings.kept_apart[0].reason == "not certified: another gradient"


def test_a_setting_that_diverged_is_named():
    runs = runs_of({"learning_rate": 0.1}, {"learning_rate": 0.01})
    diverged = runs_of({"learning_rate": 10.0}, status="diverged", failure=Failure("the loss is not finite"))
    findings = find(runs + diverged)
    assert names(findings) == [["learning_rate=0.01", "learning_rate=0.1"]]
    assert findings.left_out == [
        LeftOut("cnn", "torch:eager, learning_rate=10.0", "diverged", "the loss is not finite", 3)
    ]


def test_threads_of_uncertified_runs_are_not_ranked():
    (group,) = find(runs_of({"threads": 1}, {"threads": 2}, certificate=None)).groups
    assert group.comparison.pairs == []
    (group,) = find(runs_of({"threads": 1}, {"threads": 2})).groups
    assert len(group.comparison.pairs) == 1


def test_values_are_in_ascending_order():
    assert ordered([None, "b", 2, True, 0.5, "a", 2]) == [0.5, True, 2, "a", "b", None]


# The settings that differ from the defaults of a task.


def test_only_what_differs_is_named_with_the_default():
    assert settings_of(made_mlp()) == {}
    differing = {"train_fraction": (0.05, 1.0), "epochs": (150, 167)}
    assert settings_of(made_mlp(train_fraction=0.05, epochs=150)) == differing
    assert settings_of(made_mlp(train_fraction=0.05), {"train_fraction"}) == {}  # an axis is none


def test_what_follows_from_an_option_is_no_setting_of_its_own():
    """Gradient descent takes all data at once; the batch size is not another choice."""
    assert list(settings_of(made_mlp(optimizer="gd"))) == ["optimizer"]


def test_of_a_task_that_is_not_installed_all_options_are_named():
    own = made_record(task=TaskRecord("mine", 1, {"depth": 3}, "0" * 64, MLP.define(MLP.options())))
    assert (settings_of(own), defaults_of(own)) == ({"depth": (3, None)}, None)
    other_version = msgspec.structs.replace(made_mlp().task, version=99)
    assert defaults_of(made_record(task=other_version)) is None
