"""What a run trained: the settings that differ from the defaults of its task."""

import msgspec
from support.made_runs import made_record

from harness.analysis.axes import Setting, trained
from harness.analysis.findings import find
from harness.analysis.run_curves import Run
from harness.plugins.options import options_with
from harness.report.runs.sentences import trained_text
from harness.runs.record import TaskRecord
from harness_tasks.mlp import MLP


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
    assert trained(_mlp(train_fraction=0.05), {"train_fraction"}).settings == ()


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


def _text(*records, **keywords):
    (group,) = find(map(Run.of, records)).groups
    return trained_text(group.comparison.group, **keywords)


def test_the_text_states_settings_and_data():
    text = _text(_mlp(train_fraction=0.05, epochs=150))
    assert text == (
        "Trained with train_fraction=0.05 (default 1.0) and epochs=150 (default 167); everything else is the "
        "default of mlp. Data digits: made up."
    )
    assert _text(_mlp(), brief=True) == ""


def test_the_text_states_what_stands_in():
    record = _mlp()
    record.dataset.stands_in_for, record.dataset.reason = "cifar10", "not downloaded"
    assert _text(record, brief=True) == "Data digits: made up. It stands in for cifar10: not downloaded."


def test_axes_are_not_repeated():
    records = [_mlp(optimizer=name, train_fraction=0.05) for name in ("adam", "sgd")]
    for number, record in enumerate(records):
        record.task = msgspec.structs.replace(record.task, sha256=str(number) * 64)
    assert _text(*records, brief=True).startswith("Trained with train_fraction=0.05 (default 1.0);")
