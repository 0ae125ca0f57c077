"""Which data set a run uses: the one asked for, strictly, or the task's own with a stated stand-in."""

from collections.abc import Callable
from typing import TypeVar

from harness.errors import DataError, HarnessError, UsageError
from harness.plugins import registry
from harness.plugins.faults import explain
from harness.plugins.output import nothing_on_stdout
from harness.runs.record import DatasetRecord
from harness.spec.data import Dataset, DatasetSummary, DataSource, DownloadProgress
from harness.spec.task import TaskDefinition

_T = TypeVar("_T")


def choose_dataset(
    definition: TaskDefinition, asked: str | None, progress: DownloadProgress
) -> DatasetRecord:
    """The data set to run on, brought onto this machine.

    What was asked for by name is had or refused. Otherwise the task's data sets are tried in its
    order, and the result says what could not be had and why.

    Raises:
        UsageError: what was asked for does not fit the task or cannot be had.
        DataError: nothing that fits the task can be had.
    """
    if asked is not None:
        refuse_unfitting(definition, asked)
        try:
            _fetch(asked, progress)
        except DataError as error:
            raise UsageError(str(error)) from error
        return DatasetRecord(asked)
    meant, reason = definition.datasets[0], None
    for name in definition.datasets:
        try:
            _fetch(name, progress)
        except HarnessError as error:
            reason = reason or str(error).splitlines()[0]
            continue
        if name == meant:
            return DatasetRecord(name)
        return DatasetRecord(name, stands_in_for=meant, reason=reason)
    raise DataError(f"no data for task {definition.name}: {reason}")


def refuse_unfitting(definition: TaskDefinition, asked: str) -> None:
    """Find out, before anything is fetched, whether the task runs on this data set.

    Raises:
        UsageError: it does not, or there is no such data set.
    """
    registry.dataset(asked)  # that there is such a one comes before whether it fits
    if asked not in definition.datasets:
        fitting = ", ".join(definition.datasets)
        raise UsageError(f"task {definition.name} does not run on {asked}; it runs on: {fitting}.")


def _fetch(name: str, progress: DownloadProgress) -> None:
    ask_source(name, lambda source: source.fetch(progress))


def loaded(name: str) -> Dataset:
    """The data set of this name.

    Raises:
        DataError: it is not here or broken, or its plugin gave something else.
    """
    dataset: object = ask_source(name, lambda source: source.load())
    if not isinstance(dataset, Dataset):
        raise DataError(f"data set {name}: load() gave {type(dataset).__name__}, and a Dataset is expected")
    return dataset


def summary_of(name: str) -> DatasetSummary | None:
    """What can be said of the data set unread; None where only its arrays tell. Raises as :func:`loaded`."""
    summary: object = ask_source(name, lambda source: source.summarize())
    if summary is None:
        return None
    if not isinstance(summary, DatasetSummary) or not {"train", "test"} <= summary.samples.keys():
        raise DataError(
            f"data set {name}: summarize() must give None, or a DatasetSummary with the samples of train "
            "and test"
        )
    return summary


def ask_source(name: str, ask: Callable[[DataSource], _T]) -> _T:
    """What the source of this name says or does.

    Raises:
        DataError: its own code raised something; says what and where.
    """
    source = registry.dataset(name)
    try:
        with nothing_on_stdout():
            return ask(source)
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"data set {name} fell: {explain(error)}") from error
