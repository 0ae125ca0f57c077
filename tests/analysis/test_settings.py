"""What a run trained: the settings that differ from the defaults of its task."""

import msgspec
from support.made_runs import made_record

from harness.analysis.axes import Setting, trained
from harness.plugins.options import options_with
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
