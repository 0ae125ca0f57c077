"""The request of a run, its data set, and the record that the run begins with."""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from harness.core.documents.kinds import stamp
from harness.core.machine.description import describe_machine
from harness.core.machine.encoding import recorded
from harness.core.machine.processes import ProcessMark, this_process
from harness.core.machine.worker_variables import inherited_variables, worker_variables
from harness.core.plugins import kept_data, registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.faults import explain, memory_ran_out, message_of, nothing_on_stdout
from harness.core.plugins.options import Value
from harness.core.runs.record import DatasetRecord, Epoch, Evaluation, Record, TaskRecord
from harness.errors import DataError, HarnessError, UsageError
from harness.spec.backend import Plan
from harness.spec.data import Dataset, DatasetSummary, DataSource, DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.task import Task, TaskDefinition


class StopRule(msgspec.Struct, frozen=True):
    """A rule that ends a run whose validation ``score`` falls behind a threshold.

    ``thresholds`` are pairs of an epoch and a score. With ``best_so_far`` the best score up to the epoch
    counts, otherwise the score after it.
    """

    score: str
    higher_is_better: bool
    best_so_far: bool
    thresholds: tuple[tuple[int, float], ...]

    def reason(self, epochs: Sequence[Epoch]) -> str | None:
        """Return the reason why a run ends after the last of these epochs; None if it continues."""
        last = epochs[-1]
        threshold = dict(self.thresholds).get(last.epoch)
        values = [epoch.validation.get(self.score) for epoch in (epochs if self.best_so_far else [last])]
        known = [value for value in values if value is not None]
        if threshold is None or not known:
            return None
        value = max(known) if self.higher_is_better else min(known)
        if value == threshold or (value > threshold) == self.higher_is_better:
            return None
        return (
            f"after epoch {last.epoch} its validation {self.score} of {value:.3g} is worse than the "
            f"{threshold:.3g} that half of the earlier trials had reached"
        )


#: The seed of all trials, which only choose settings. No other run has it, so that a record says what it is.
TRIAL_SEED = 10_000


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run to execute. ``options`` are the values that defined the task, kept for the record."""

    configuration: Configuration
    task: Task
    options: dict[str, Value]
    dataset: DatasetRecord
    seed: int
    max_steps: int | None = None
    evaluation: Evaluation = Evaluation()
    timeout_seconds: float | None = None
    save_weights: bool = False
    """Keep the weights; no part of the identity, because it changes no result."""
    asks_for: tuple[str, ...] = ()
    """Names of work after the training that is not done in every run; no part of the identity either."""
    after_training: tuple[str, ...] = ()
    """The work after the training: :class:`harness.core.runs.extensions.AfterTraining` objects, by place."""
    stop: StopRule | None = None
    """The rule by which a trial of a study ends early."""
    variant: str = ""
    """The variant of a study, or the settings that vary in a matrix; for progress alone."""
    identity: dict[str, str] = {}
    """See :func:`harness.core.runs.identity.ingredients_of`."""
    process: ProcessMark | None = None
    """The process that writes the record; default: this one."""
    command: list[str] = []
    """The command line that asked for the run."""
    judges_times: bool = True
    """False: nobody judges the times, so that the run may share the machine and be forked."""

    @property
    def plan(self) -> Plan:
        """The plan from which the backend builds its program."""
        return self.configuration.plan(self.task, self.seed)


def new_record(request: RunRequest) -> Record:
    """Make the record of a run that is about to start."""
    configuration, task = request.configuration, request.task
    networks = task.networks.values()
    variables = worker_variables(configuration.threads, configuration.device, os.environ)
    identifier, started_at = stamp(task.name, configuration.backend, configuration.mode, f"s{request.seed}")
    return Record(
        id=identifier,
        started_at=started_at,
        command=request.command,
        task=TaskRecord(task.name, task.version, request.options, description_sha256(task), task),
        dataset=msgspec.structs.replace(request.dataset),
        configuration=configuration,
        seed=request.seed,
        machine=describe_machine(),
        worker_variables=variables,
        inherited_variables=inherited_variables(os.environ, variables),
        batch_size=task.batch_size or 0,  # all samples: known once the data is loaded
        epochs_asked=task.epochs,
        max_steps=request.max_steps,
        evaluation=request.evaluation,
        parameters=sum(network.parameter_count() for network in networks),
        identity=request.identity,
        process=request.process or this_process(),
        forward_flops_per_sample=sum(network.forward_flops() for network in networks),
    )


_T = TypeVar("_T")


def choose_dataset(
    definition: TaskDefinition, name: str | None, progress: DownloadProgress, task: Task | None = None
) -> DatasetRecord:
    """Fetch the data set to run on: the one that the user names, the task's own, or a stated substitute.

    With a ``name``, this data set or none; ``task`` as in :func:`refuse_unfitting`. Otherwise the first of
    the task's data sets that can be obtained; if it is not the task's first, the result states why it stands
    in.
    """
    if name is not None:
        refuse_unfitting(definition, name, task)
        try:
            _fetch(name, progress)
        except DataError as error:
            raise UsageError(str(error)) from error
        return DatasetRecord(name, file=kept_data.file_of(name))
    own, reason = definition.datasets[0], None
    for candidate in definition.datasets:
        try:
            _fetch(candidate, progress)
        except UsageError:  # harness port has written the task for a file, of which it knows the name
            reason = reason or f"{candidate} is unknown; if it is a file of yours, give it by --dataset"
            continue
        except HarnessError as error:
            reason = reason or str(error).splitlines()[0]
            continue
        if candidate == own:
            return DatasetRecord(candidate)
        return DatasetRecord(candidate, stands_in_for=own, reason=reason)
    raise UsageError(f"no data set of task {definition.name} can be obtained: {reason}")


def refuse_unfitting(definition: TaskDefinition, name: str, task: Task | None = None) -> None:
    """Check, before anything is fetched, that the task runs on this data set.

    The data sets that it lists fit; of others those of files whose arrays fit ``task``, which is by default
    the task with its usual options.
    """
    registry.dataset(name)  # an unknown name is reported before one that does not fit
    if name in definition.datasets:
        return
    listed = ", ".join(definition.datasets)
    if kept_data.source(name) is None:
        raise UsageError(f"task {definition.name} does not run on {name}; it runs on: {listed}.")
    from harness.core.plugins.programs import ContractBroken  # NumPy is behind both
    from harness.core.training.fitted import fitted

    try:
        fitted(loaded(name), task or define_task(definition, definition.options()))
    except ContractBroken as error:
        raise UsageError(
            f"task {definition.name} does not fit: {error}. It runs on: {listed}; --model trains a model of "
            "your own."
        ) from error


def _fetch(name: str, progress: DownloadProgress) -> None:
    ask_source(name, lambda source: source.fetch(progress))


def loaded(name: str) -> Dataset:
    """Read the data set of this name."""
    dataset: object = ask_source(name, lambda source: source.load())
    if not isinstance(dataset, Dataset):
        raise DataError(f"data set {name}: load() returned {type(dataset).__name__} instead of Dataset")
    from harness.core.training.fitted import described  # NumPy is behind it

    return described(dataset)


def summary_of(name: str) -> DatasetSummary | None:
    """Return the summary of a data set without reading its arrays; None if only the arrays contain it."""
    summary: object = ask_source(name, lambda source: source.summarize())
    if summary is None:
        return None
    if not isinstance(summary, DatasetSummary) or not {"train", "test"} <= summary.samples.keys():
        raise DataError(
            f"data set {name}: summarize() must return None, or a DatasetSummary that counts the training "
            "and test samples"
        )
    try:
        return recorded(summary, DatasetSummary)
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        raise DataError(f"data set {name}: summarize() returned what cannot be recorded: {error}") from error


def ask_source(name: str, ask: Callable[[DataSource], _T]) -> _T:
    """Return the result of ``ask`` on the source of this name."""
    source = registry.dataset(name)
    try:
        with nothing_on_stdout():
            return ask(source)
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        if memory_ran_out(error):  # no worker and no batch: what was to be read is too large, or claims to be
            why = f"data set {name} does not fit into memory: {message_of(error)}"
            raise DataError(why.removesuffix(": ")) from error
        raise DataError(f"data set {name} raised {explain(error)}") from error
