"""The tasks, data sets and kinds of study that come with the harness."""

from harness.hookspecs import hookimpl
from harness.spec import DataSource, StudyKind, TaskDefinition
from harness_tasks.cnn import CNN
from harness_tasks.forecast import FORECAST
from harness_tasks.gan import GAN
from harness_tasks.lm import LM
from harness_tasks.mlp import MLP
from harness_tasks.resnet import RESNET
from harness_tasks.rnn import RNN
from harness_tasks.tabular import TABULAR

TASKS = {definition.name: definition for definition in (CNN, FORECAST, GAN, LM, MLP, RESNET, RNN, TABULAR)}


@hookimpl
def harness_task(name: str) -> TaskDefinition | None:
    """Return the task of this name."""
    return TASKS.get(name)


@hookimpl
def harness_dataset(name: str) -> DataSource | None:
    """Return the source of this data set."""
    from harness_tasks.datasets import SOURCES

    return SOURCES.get(name)


@hookimpl
def harness_study(name: str) -> StudyKind | None:
    """Return the kind of study of this name."""
    from harness_tasks.studies import STUDIES

    return STUDIES.get(name)
