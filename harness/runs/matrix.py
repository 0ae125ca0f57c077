"""The runs of ``harness run``: every backend on every task with every seed.

Planning trains nothing. It refuses in two steps what cannot run: names and options first, then, once
the data sets are known, batch sizes.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins import registry
from harness.plugins.definition import define_task, resized
from harness.plugins.installation import select_backend
from harness.plugins.options import Value, parse_options
from harness.runs.data_choice import choose_dataset, refuse_unfitting, summary_of
from harness.runs.presets import preset_backends, preset_of, preset_tasks
from harness.runs.record import DatasetRecord
from harness.runs.request import RunRequest
from harness.spec.backend import Plan, Precision
from harness.spec.data import DownloadProgress
from harness.spec.task import Task, TaskDefinition
from harness.training.splits import training_count


class MatrixOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for. None leaves a value to the preset, then to the task.

    ``backends`` and ``tasks`` may be empty with a preset; ``assignments`` are ``KEY=VALUE`` texts.
    """

    backends: list[str]
    tasks: list[str]
    seeds: list[int]
    preset: str | None = None
    dataset: str | None = None
    epochs: int | None = None
    max_steps: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    precision: Precision = "float32"
    threads: int | None = None
    assignments: list[str] = []
    timeout: float | None = None


class _TaskRuns(NamedTuple):
    """A task as it will be trained; ``dataset`` is the one that the user or the preset names."""

    definition: TaskDefinition
    task: Task
    values: dict[str, Value]
    dataset: str | None


class RunMatrix:
    """The planned runs.

    Raises:
        UsageError: a name is unknown, a backend is not installed, an option does not fit, or nothing is
            named.
    """

    def __init__(self, options: MatrixOptions) -> None:
        self._options = options
        backends = _names(options.backends, "--backend", options.preset, preset_backends)
        selected = [(backend.name, mode) for backend, mode in map(select_backend, backends)]
        self._backends = list(dict.fromkeys(selected))
        tasks = _names(options.tasks, "--task", options.preset, lambda: preset_tasks(options.preset or ""))
        self._tasks = [_define(registry.task(name), options) for name in tasks]
        for planned in self._tasks:
            if options.dataset is not None:
                refuse_unfitting(planned.definition, options.dataset)

    def requests(self, progress: DownloadProgress) -> list[RunRequest]:
        """The runs in order, their data sets fetched. Seeds change slowest: drift affects all backends alike.

        Raises:
            UsageError: a data set that was named cannot be obtained, or a batch is larger than the data.
            DataError: no data set of a task can be obtained.
        """
        datasets = [choose_dataset(planned.definition, planned.dataset, progress) for planned in self._tasks]
        for planned, dataset in zip(self._tasks, datasets, strict=True):
            _refuse_large_batch(planned.task, dataset.name)
        return [
            self._request(seed, planned, dataset, backend, mode)
            for seed, (planned, dataset), (backend, mode) in itertools.product(
                self._options.seeds, list(zip(self._tasks, datasets, strict=True)), self._backends
            )
        ]

    def _request(
        self, seed: int, planned: _TaskRuns, dataset: DatasetRecord, backend: str, mode: str
    ) -> RunRequest:
        options = self._options
        plan = Plan(
            task=planned.task,
            mode=mode,
            device=options.device,
            precision=options.precision,
            threads=options.threads or default_threads(),
            seed=seed,
        )
        return RunRequest(
            backend=backend,
            plan=plan,
            options=planned.values,
            dataset=dataset,
            max_steps=options.max_steps,
            timeout_seconds=options.timeout,
        )


def _names(
    given: list[str], option: str, preset: str | None, names_of_preset: Callable[[], list[str]]
) -> list[str]:
    if given:
        return given
    if preset is None:
        raise UsageError(f"{option} is missing. Name at least one, or run everything small: --preset smoke.")
    return names_of_preset()


def _define(definition: TaskDefinition, options: MatrixOptions) -> _TaskRuns:
    values = parse_options(definition, options.assignments)
    preset = preset_of(definition, options.preset)
    task = resized(define_task(definition, values), options.batch_size, options.epochs or preset.epochs)
    return _TaskRuns(definition, task, msgspec.structs.asdict(values), options.dataset or preset.dataset)


def _refuse_large_batch(task: Task, dataset: str) -> None:
    """Only if the size of the data set is known without reading it; otherwise the worker refuses."""
    summary = summary_of(dataset)
    if summary is None or task.imbalance is not None or task.batch_size is None:
        return
    samples = training_count(summary.samples)
    if task.batch_size > samples:
        raise UsageError(
            f"batch size {task.batch_size} is larger than the {samples:,} training samples of {dataset}; "
            "give a smaller --batch-size."
        )
